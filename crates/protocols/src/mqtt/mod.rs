//! MQTT 3.1.1 and 5: pendants and trackers of our own, over TCP and TLS.
//!
//! - **Devices**: whatever its maker lets speak MQTT; the crate's README tells makers how, and
//!   `schema.json` in this folder is the payload's JSON schema.
//! - **Transport**: TCP, TLS. A device may publish to `hansho/v1/<pendant|tracker>/<id>/<class>`
//!   with class `alarm`, `state` or `telemetry`, and subscribe to its own `.../down`, alone.
//! - **Source**: MQTT 3.1.1 and 5.0 (OASIS). The codec is `mqtt-protocol-core`; what is answered,
//!   and when, is decided here.
//! - **Limits**: [`PACKET_SIZE_MAX`], [`PAYLOAD_SIZE_MAX`], [`UNANSWERED_MAX`], [`ALARMS_MAX`],
//!   [`CONNECT_TIME_MAX`], [`KEEP_ALIVE_S_MAX`], [`CLIENT_ID_SIZE_MAX`].
//! - **Quirks**: RETAIN is ignored and said to be unavailable; a will is taken if it is on the
//!   device's own topic, and never published: that a connection broke we see ourselves. QoS 2 is
//!   not offered: the message counter gives its effect. What we tell a device comes with QoS 0.
//!
//! A user name that is in the register must bring its password; its name is the device's. Client
//! ids are a device's own: the newest connection with one takes over from the older. Where unknown
//! devices are shown, a client without a registered name may publish for devices that nobody
//! registered, and for no other.
//!
//! PUBACK leaves when the message is durable, in the order of the publishes. MQTT 5 hears what is
//! wrong with it (0x87 not yours, 0x97 no room, 0x99 unreadable); 3.1.1 has no words for that: there
//! a message that is unreadable is acknowledged and shown, and one that was not taken is answered
//! by closing. Packet ids are no keys: they are used anew after each PUBACK.

pub(crate) mod fields;
pub(crate) mod json;
mod payload;
mod session;
#[cfg(test)]
mod tests;
mod topic;
mod wire;

use hansho_model::{Lane, Report};
use jiff::Timestamp;

pub use payload::{ALARMS_MAX, COUNTER_MAX, PAYLOAD_SIZE_MAX};
pub use session::{CLIENT_ID_SIZE_MAX, CONNECT_TIME_MAX, KEEP_ALIVE_S_MAX, Mqtt, SLOW_INTERVAL_S};
pub use topic::Class;
pub use wire::{PACKET_SIZE_MAX, UNANSWERED_MAX};

use crate::{Session, Setup};

/// A new conversation.
#[must_use]
pub fn session(setup: Setup) -> Box<dyn Session> {
    Box::new(Mqtt::new(setup))
}

/// The report of a message on one of our topics, from whomever it came; `None` for other topics.
#[must_use]
pub fn message_report(topic: &str, payload: &[u8]) -> Option<Report> {
    let (owner, class) = topic::publish(topic)?;
    Some(session::report(&owner.device, class, payload::read(class, payload), topic, payload))
}

/// The report that a device's connection has broken.
pub(crate) fn connection_lost(device: &str, now: Timestamp) -> Report {
    session::lost(device, now)
}

/// A report that says nothing but that the device is there.
pub(crate) fn sign_of_life(device: &str) -> Report {
    session::empty(device, Lane::C, Vec::new())
}

/// The report of a message that came by somebody else's broker: same payload, class and device
/// from the broker's own topic.
#[must_use]
pub fn foreign_report(device: &str, class: Class, topic: &str, payload: &[u8]) -> Report {
    let device = device.to_ascii_uppercase();
    session::report(&device, class, payload::read(class, payload), topic, payload)
}
