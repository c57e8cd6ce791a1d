//! Vehicle terminals (車両端末) over QUIC: orders down; acknowledgements, statuses and positions up.
//!
//! - **Devices**: terminals of units; the crate's README tells makers how they speak.
//! - **Transport**: QUIC, ALPN [`ALPN`], a certificate on either side. One long stream a class,
//!   opened by the terminal; positions come as datagrams, so that a lost one holds up nothing.
//! - **Source**: our own; receive window, streams and times as the event core's reference says.
//! - **Limits**: [`FRAME_SIZE_MAX`], [`HELLO_TIME_MAX`], [`UNANSWERED_MAX`].
//!
//! A frame is its length (4 bytes, most significant first) and one JSON object. The first one of a
//! stream says which class it is for. What goes up on it is answered by a frame with the same `id`,
//! or the same `n`, when it is durable or refused; until then the terminal keeps it, and says it
//! again on its next connection: the same `id` twice has the effect of once.

mod frames;
mod message;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use frames::{FRAME_SIZE_MAX, Frames, frame};
pub use message::{
    CrewSaid, Hello, Order, OrderKey, Press, StreamClass, Up, alarm, arrived, hello, lost,
    position, refused, stored, stored_alarm, up, welcome,
};

/// What the two ends agree on before anything else.
pub const ALPN: &[u8] = b"hansho/1";
/// Longest time from a stream's beginning to its hello.
pub const HELLO_TIME_MAX: Duration = Duration::from_secs(5);
/// Frames of one stream that may wait for their answer; then it is not read.
pub const UNANSWERED_MAX: usize = 64;

/// The name in a terminal's certificate, as a DNS name: a terminal is who its certificate says.
#[must_use]
pub fn certificate_name(terminal: &str) -> String {
    format!("{}.terminal.hansho", terminal.to_ascii_lowercase())
}
