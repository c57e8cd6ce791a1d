//! The shell: joins doors, lanes, sequencer, journal, replica, outbox and console into a house.
//!
//! [`house`] is the core process; [`supervisor`] starts it, keeps its sockets, and starts it again.
//! The parts that decide and order ([`lanes`], [`sequencer`]) take time and journal as arguments,
//! so that a simulator can drive them.

pub mod accounting;
pub mod answers;
pub mod backup;
pub mod clock;
pub mod conformance;
pub mod edge;
pub mod exchange;
pub mod gauges;
pub mod house;
pub mod lanes;
pub mod live;
pub mod load;
pub mod notify;
pub mod officer;
pub mod public;
pub mod registry;
pub mod replica;
pub mod satellite;
pub mod sequencer;
pub mod sockets;
pub mod start;
pub mod supervisor;
pub mod telephone;
pub mod terminals;
pub mod thin;
pub mod tls;
pub mod ways;
