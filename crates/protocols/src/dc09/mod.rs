//! ANSI/SIA DC-09: pendants' home units and alarm panels over IP.
//!
//! - **Devices**: home units for emergency pendants (緊急通報装置), alarm panels.
//! - **Transport**: TCP and UDP on the same port. A TCP link may stay open for many messages; an
//!   answer to a datagram goes to where the datagram came from.
//! - **Source**: ANSI/SIA DC-09 editions 2007 to 2026, DC-07 (CRC), DC-05 (Contact ID), DC-03 (SIA
//!   codes), and captured frames of senders that deviate.
//! - **Limits**: a frame has at most [`FRAME_MAX`] bytes; at most [`PENDING_MAX`] reports of one
//!   session wait for their receipt; a stream may bring [`JUNK_MAX`] bytes without one good frame.
//! - **Quirks**, each accepted and shown as a [`hansho_model::Deviation`]: CRC and length that
//!   include the closing CR; CRC as two raw bytes (answered in the same form); `L` without digits
//!   or absent; lower-case digits; events numbered 0000; accounts that are not hexadecimal, or
//!   absent from header or data; loose payload blocks; PKCS#7 bytes after the stamp; a heartbeat
//!   line in Osborne-Hoffman's style; a stamp that is no time on a plain frame.
//!
//! One sender may forward for other accounts: the report is then that of the account in the data,
//! so its events do not show that the sender itself is alive; its link tests do. The sender's own
//! standing and key are tested, and an account that encrypts is never believed in the clear.
//!
//! Order of tests: frame, length, CRC, header, account, key, decryption, stamp, payload. The first
//! failure decides the answer. A frame that fails at or before the CRC is an error and gets no
//! answer. One that passes it always becomes a report; its answer leaves when that is durable.

mod cipher;
mod codes;
mod frame;
mod message;
mod payload;
mod reply;
mod report;
mod session;
mod text;
mod time;

pub use codes::{cid_finding, sia_finding};
pub use frame::{FRAME_MAX, crc16};
pub use message::{Decoded, Message, decode};
pub use payload::{Cid, Payload, Sia, SiaEvent};
pub use reply::{Answer, Reply, parse_reply};
pub use session::{Dc09, JUNK_MAX, PENDING_MAX};

use crate::{Session, Setup};

/// A new conversation.
#[must_use]
pub fn session(setup: Setup) -> Box<dyn Session> {
    Box::new(Dc09::new(setup))
}
