//! The shell: joins doors, lanes, sequencer, journal, replica, outbox and console into a house.

pub mod clock;
pub mod conformance;
pub mod lanes;
pub mod live;
pub mod replica;
pub mod sequencer;
