//! `sbd`: short-burst modems of Iridium on a serial line.
//!
//! - **Devices**: 9602 and 9603 (in RockBLOCK and trackers); 9522B and 9523 with [`MO_SIZE_MAX_9523`].
//! - **Transport**: serial, 19,200 bit/s, 8N1, three wires; the house asks, the modem answers.
//! - **Source**: the maker's AT references, in our own words.
//! - **Limits**: a message from us has at most [`MO_SIZE_MAX`] bytes, one to us [`MT_SIZE_MAX`]; a
//!   line [`LINE_SIZE_MAX`]; at most [`OUTBOX_COUNT_MAX`] messages wait. A modem is silent after
//!   [`MISSES_MAX`] commands in a row without an answer, or [`PROBE_MAX`] without any.
//! - **Quirks**, each accepted: echo on or off; results as words or digits; answers with spaces or
//!   without; `+SBDIXA:` for `+SBDIX:`; settings that are refused; rings between and inside answers;
//!   an answer whose `OK` is lost.
//!
//! Nothing in the modem is durable. A message to us is read, told to the house and cleared only when
//! [`Sbd::handle_durable`] says so; until then there is no session, as each one wipes it out. What
//! stands in the buffer when a modem comes, or comes back, is read first.
//!
//! A message from us counts as gone when the number of the next one has moved by one: asked before
//! and after each session, and again after a lost answer, a reset or an unplugged line. Where that
//! number and the answer contradict each other, or nobody can be asked for [`UNCERTAIN_AFTER`], its
//! outcome is uncertain and it is never repeated from here.
//!
//! The line is guarded by a sum of bytes alone: two faults in one message that undo each other are not
//! seen, here or by the modem. Who sends what must be exact puts a stronger check inside.
//!
//! This is no [`crate::Session`]: the modem is the house's own, speaks for no device and is asked
//! more than it says. It stands outside the registry, as calls do.

mod answer;
mod driver;
mod frame;
mod position;
mod reader;
#[cfg(test)]
mod tests;
pub mod text;
mod time;
mod words;

pub use answer::{Class, Line, MoStatus, SessionAnswer, StatusAnswer, Urc};
pub use driver::{
    LOOKS_MAX, MISSES_MAX, OUTBOX_COUNT_MAX, PROBE_EVERY, PROBE_MAX, READS_MAX, SETTLE, Sbd,
    UNCERTAIN_AFTER,
};
pub use frame::{
    Buffer, LoadResult, MO_SIZE_MAX, MO_SIZE_MAX_9523, MT_SIZE_MAX, checksum, load_command,
    load_data, takes,
};
pub use position::NetworkPlace;
pub use reader::{ANSWER_SIZE_MAX, LINE_SIZE_MAX, Reader, Token};
pub use time::{Era, network_time};
pub use words::{
    Event, Failure, Incoming, Outcome, Outgoing, Output, SendError, Setup, State, Trouble,
};
