//! SIP: calls to 119, with the caller's location, from the trunk to a seat's phone.
//!
//! - **Peers**: carriers' gateways (trunks) on one side, the seats' phones on the other.
//! - **Transport**: UDP and TCP. An [`Endpoint`] is a back-to-back user agent for signalling: the
//!   voice goes from end to end and never passes through it.
//! - **Source**: RFC 3261, 6026, 3581 (transactions), 4475 (torture), 6442 and 8787 (Geolocation),
//!   2392 and 8262 (Content-ID), 4119, 5139, 5491, 7459 (location), 5031 (service names).
//! - **Limits**: a head has at most [`message::HEAD_SIZE_MAX`] bytes, a message
//!   [`message::MESSAGE_SIZE_MAX`], a body [`multipart::PART_COUNT_MAX`] parts that stand
//!   [`multipart::NESTING_MAX`] deep; larger bodies are dropped as they come, and the call rings
//!   without them. At most [`CALL_COUNT_MAX`] calls live at once, and at most half of
//!   them come from elsewhere than a trunk; [`KEPT_COUNT_MAX`] are known, with those just over.
//! - **Quirks**, each accepted: lines that end in LF, lines that are no header, a bracket that is
//!   never closed, parameters outside of brackets, a closing boundary that is missing, a body
//!   shorter than its length says.
//!
//! A location that cannot be used is never a reason to refuse or delay a call.

pub mod address;
mod call;
pub mod decimal;
mod dialog;
mod endpoint;
pub mod geolocation;
pub mod message;
pub mod multipart;
mod names;
pub mod offer;
mod phone;
pub mod pidf;
mod serve;
mod shape;
mod stream;
#[cfg(test)]
mod tests;
mod timers;
mod transaction;

pub use endpoint::{
    CALL_COUNT_MAX, Endpoint, FLOW_COUNT_MAX, KEPT_COUNT_MAX, Live, Output, SEAT_COUNT_MAX, Seat,
    Setup, Standing, TRANSACTION_COUNT_MAX,
};
pub use transaction::{Flow, Hop, SipTransport, Timers};
