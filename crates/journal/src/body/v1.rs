//! Version 1 of every kind's payload: frozen. Never edit a type of this file once a release has
//! written it; a change of a payload is a new type in a `v2` and a new `ver` in the row.
//!
//! The bytes are postcard's (wire format 1): the fields in the order of their definition, without
//! names; `u16`, `u32`, `u64` as LEB128 varints, `i32` and `i64` zigzag first; `u8` and `bool` one
//! byte; text and bytes a varint length and then themselves; an option a byte 0 or 1 and then the
//! value; a list a varint count and then its members; 16-byte arrays as they are. Times are
//! microseconds since 1970 UTC. Words are the numbers of [`codes`](super::codes).

use serde::{Deserialize, Serialize};

/// Bytes: as they are in the journal, hex in an export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&crate::hex::encode(self.0))
        } else {
            serializer.serialize_bytes(self.0)
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Self)
    }
}

/// Exactly 16 bytes: as they are in the journal, hex in an export.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes16(pub(super) [u8; 16]);

impl Serialize for Bytes16 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&crate::hex::encode(&self.0))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Bytes16 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <[u8; 16]>::deserialize(deserializer).map(Self)
    }
}

macro_rules! frozen {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(super) struct $name { $(pub(super) $field: $kind,)* }
    )+};
}

/// A sealed value: number of its data key, then nonce, ciphertext and tag.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Sealed<'a> {
    pub(super) key: u64,
    #[serde(borrow)]
    pub(super) bytes: Bytes<'a>,
}

/// A place on the earth, in units of 1e-7 degree.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) lat_e7: i32,
    pub(super) lon_e7: i32,
}

/// One thing a report says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Finding<'a> {
    pub(super) class: u8,
    pub(super) kind: u8,
    pub(super) phase: u8,
    pub(super) code: &'a str,
    pub(super) zone: &'a str,
}

/// An effect: number of the event that owes it, place among its effects.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct EffectId {
    pub(super) seq: u64,
    pub(super) index: u32,
}

/// A mail address of a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mailbox<'a> {
    #[serde(borrow)]
    pub(super) address: Sealed<'a>,
    pub(super) token: Bytes16,
}

/// A recipient of a notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recipient<'a> {
    pub(super) person: u32,
    #[serde(borrow)]
    pub(super) address: Sealed<'a>,
    pub(super) token: Bytes16,
    #[serde(borrow)]
    pub(super) name: Sealed<'a>,
    pub(super) language: u8,
}

/// What a notice says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Facts<'a> {
    pub(super) alarm: u8,
    #[serde(borrow)]
    pub(super) subscriber: Option<Sealed<'a>>,
    #[serde(borrow)]
    pub(super) address: Option<Sealed<'a>>,
    pub(super) district: Option<u8>,
    pub(super) at_us: i64,
}

frozen! {
    /// Kind 2.
    ClockStepped { back_us: i64, }
    /// Kind 6.
    PersonErased { person: u32, }
    /// Kind 8.
    DeviceWithdrawn { device: u32, }
    /// Kind 13.
    SignalJoined { signal: u64, incident: u64, }
    /// Kind 21.
    NoticeExpired { notice: u64, }
    /// Part of kind 22.
    Attempt { effect: EffectId, number: u16, }
    /// Kind 22.
    EffectsAttempted { attempts: Vec<Attempt>, }
    /// Part of kind 23. `enhanced` is the RFC 3463 code: class, subject, detail; `again_at_us` is
    /// when the next attempt was decided to be.
    Settled {
        effect: EffectId,
        attempt: u16,
        outcome: u8,
        code: u16,
        enhanced: Option<(u8, u16, u16)>,
        again: bool,
        again_at_us: Option<i64>,
    }
    /// Kind 23.
    EffectsSettled { outcomes: Vec<Settled>, }
    /// Kind 24.
    AnswerGiven { effect: EffectId, choice: u8, minutes: Option<u16>, received_at_us: i64, }
    /// Kind 25.
    SessionOpened { token: Bytes16, role: u8, expires_at_us: i64, }
    /// Kind 26.
    SessionClosed { token: Bytes16, }
    /// Kind 27.
    LogInRefused { name: Bytes16, }
    /// Kind 56.
    LoadChanged { level: u8, }
    /// Kind 57.
    AlarmsLimited { device: u32, }
}

/// Kind 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CoreStarted<'a> {
    pub(super) epoch: u32,
    pub(super) release: &'a str,
}

/// Kind 3.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SettingsApplied<'a> {
    pub(super) mode: u8,
    pub(super) headquarters: &'a str,
    pub(super) sender: &'a str,
    pub(super) message_domain: &'a str,
    pub(super) answer_url: &'a str,
    pub(super) answer_minutes: u16,
}

/// Kind 4.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SourceNamed<'a> {
    pub(super) source: u32,
    pub(super) name: &'a str,
}

/// Kind 5.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PersonEntered<'a> {
    pub(super) person: u32,
    pub(super) key: &'a str,
    pub(super) digest: Bytes16,
    #[serde(borrow)]
    pub(super) name: Sealed<'a>,
    #[serde(borrow)]
    pub(super) mailboxes: Vec<Mailbox<'a>>,
    pub(super) language: u8,
    pub(super) role: Option<u8>,
}

/// Kind 7.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeviceRegistered<'a> {
    pub(super) device: u32,
    pub(super) subscriber: u32,
    pub(super) helpers: Vec<u32>,
    pub(super) entry_source: &'a str,
    pub(super) entry_subscriber: &'a str,
    #[serde(borrow)]
    pub(super) entry_helpers: Vec<&'a str>,
    pub(super) district: Option<u8>,
    #[serde(borrow)]
    pub(super) address: Option<Sealed<'a>>,
    pub(super) digest: Bytes16,
}

/// Kind 9.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReportReceived<'a> {
    pub(super) door: u8,
    pub(super) source: &'a str,
    pub(super) lane: u8,
    pub(super) observed_at_us: Option<i64>,
    pub(super) received_at_us: i64,
    #[serde(borrow)]
    pub(super) device_key: Bytes<'a>,
    #[serde(borrow)]
    pub(super) findings: Vec<Finding<'a>>,
    pub(super) position: Option<Position>,
    #[serde(borrow)]
    pub(super) text: Option<Sealed<'a>>,
    #[serde(borrow)]
    pub(super) raw: Sealed<'a>,
    #[serde(borrow)]
    pub(super) peer: Sealed<'a>,
    pub(super) refused: Option<u8>,
    pub(super) deviations: Vec<u8>,
}

/// Kind 10.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignalReceived<'a> {
    pub(super) signal: u64,
    pub(super) report: u64,
    pub(super) alarm: u8,
    pub(super) zone: &'a str,
    pub(super) refused: bool,
}

/// Kind 11.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignalRepeated<'a> {
    pub(super) signal: u64,
    pub(super) report: u64,
    pub(super) alarm: u8,
    pub(super) restored: bool,
    pub(super) zone: &'a str,
}

/// Kind 12.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignalAcknowledged<'a> {
    pub(super) signal: u64,
    pub(super) position: &'a str,
}

/// Kind 14.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SignalEnded<'a> {
    pub(super) signal: u64,
    pub(super) outcome: u8,
    #[serde(borrow)]
    pub(super) reason: Option<Sealed<'a>>,
}

/// Kind 15.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IncidentOpened<'a> {
    pub(super) incident: u64,
    pub(super) number: &'a str,
    pub(super) kind: u8,
    pub(super) district: Option<u8>,
    pub(super) position: Option<Position>,
    pub(super) radius_m: Option<u32>,
    pub(super) confirmed: bool,
    #[serde(borrow)]
    pub(super) place_text: Option<Sealed<'a>>,
}

/// Kind 16.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IncidentNoted<'a> {
    pub(super) incident: u64,
    #[serde(borrow)]
    pub(super) text: Sealed<'a>,
}

/// Kind 17.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IncidentClosed<'a> {
    pub(super) incident: u64,
    pub(super) outcome: u8,
    #[serde(borrow)]
    pub(super) note: Option<Sealed<'a>>,
}

/// Kind 18.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FaultRaised<'a> {
    pub(super) device: u32,
    pub(super) fault: u8,
    pub(super) code: &'a str,
    pub(super) zone: &'a str,
}

/// Kind 19.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FaultCleared<'a> {
    pub(super) device: u32,
    pub(super) fault: u8,
    pub(super) zone: &'a str,
}

/// Kind 20.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NoticeOrdered<'a> {
    pub(super) notice: u64,
    pub(super) signal: Option<u64>,
    pub(super) template: u8,
    #[serde(borrow)]
    pub(super) facts: Facts<'a>,
    #[serde(borrow)]
    pub(super) recipients: Vec<Recipient<'a>>,
    pub(super) expires_at_us: i64,
}
