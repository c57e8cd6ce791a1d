//! Bodies of rows: numbers of kinds, frozen types per version, and the way to and from the model.
//!
//! A row's `body` is a varint with the number of the event that caused this one (0 for none) and
//! then the payload of the row's `kind` and `ver`. What stands in a payload is fixed by the frozen
//! types of that version, never by the model's types of today; README.md beside the crate tells
//! the bytes, `golden/` holds an example of every kind that nobody edits.

mod calls;
mod codes;
mod letters;
mod read;
mod sites;
mod tracks;
mod units;
mod v1;
mod v2;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use hansho_model::{Event, Seq};
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $number:literal = $constant:ident $name:literal,)+) => {
        /// Numbers of the kinds, for ever: append only, never given twice.
        pub mod kinds {
            $($(#[$doc])* #[doc = concat!("`", $name, "`.")] pub const $constant: u16 = $number;)+

            /// Every kind this release knows: number and name.
            pub const ALL: &[(u16, &str)] = &[$(($constant, $name),)+];
        }

        /// Name of a kind, the same as the API's; `None` when this release does not know it.
        #[must_use]
        pub const fn kind_name(kind: u16) -> Option<&'static str> {
            match kind {
                $(kinds::$constant => Some($name),)+
                _ => None,
            }
        }
    };
}

kinds! {
    1 = CORE_STARTED "CoreStarted",
    2 = CLOCK_STEPPED "ClockStepped",
    3 = SETTINGS_APPLIED "SettingsApplied",
    4 = SOURCE_NAMED "SourceNamed",
    5 = PERSON_ENTERED "PersonEntered",
    6 = PERSON_ERASED "PersonErased",
    7 = DEVICE_REGISTERED "DeviceRegistered",
    8 = DEVICE_WITHDRAWN "DeviceWithdrawn",
    9 = REPORT_RECEIVED "ReportReceived",
    10 = SIGNAL_RECEIVED "SignalReceived",
    11 = SIGNAL_REPEATED "SignalRepeated",
    12 = SIGNAL_ACKNOWLEDGED "SignalAcknowledged",
    13 = SIGNAL_JOINED "SignalJoined",
    14 = SIGNAL_ENDED "SignalEnded",
    15 = INCIDENT_OPENED "IncidentOpened",
    16 = INCIDENT_NOTED "IncidentNoted",
    17 = INCIDENT_CLOSED "IncidentClosed",
    18 = FAULT_RAISED "FaultRaised",
    19 = FAULT_CLEARED "FaultCleared",
    20 = NOTICE_ORDERED "NoticeOrdered",
    21 = NOTICE_EXPIRED "NoticeExpired",
    22 = EFFECTS_ATTEMPTED "EffectsAttempted",
    23 = EFFECTS_SETTLED "EffectsSettled",
    24 = ANSWER_GIVEN "AnswerGiven",
    25 = SESSION_OPENED "SessionOpened",
    26 = SESSION_CLOSED "SessionClosed",
    27 = LOG_IN_REFUSED "LogInRefused",
    28 = CALL_RECEIVED "CallReceived",
    29 = CALL_ANSWERED "CallAnswered",
    30 = CALL_ANSWER_LAPSED "CallAnswerLapsed",
    31 = CALL_BACK_DUE "CallBackDue",
    32 = CALL_BACK_TRIED "CallBackTried",
    33 = PLACE_SET "PlaceSet",
    34 = KIND_SET "KindSet",
    35 = DRAFT_SAVED "DraftSaved",
    36 = DRAFT_CLEARED "DraftCleared",
    40 = UNIT_REGISTERED "UnitRegistered",
    41 = UNIT_WITHDRAWN "UnitWithdrawn",
    42 = PLANS_APPLIED "PlansApplied",
    43 = UNIT_FOUND_OUT "UnitFoundOut",
    44 = UNITS_ORDERED "UnitsOrdered",
    45 = ASSIGNMENT_STARTED "AssignmentStarted",
    46 = ASSIGNMENT_ENDED "AssignmentEnded",
    47 = UNIT_STATUS_REACHED "UnitStatusReached",
    48 = AVAILABILITY_CHANGED "AvailabilityChanged",
    49 = CREW_MOVED "CrewMoved",
    50 = ZONE_LEFT "ZoneLeft",
    51 = ZONE_ENTERED "ZoneEntered",
    52 = ZONE_DOUBTED "ZoneDoubted",
    53 = FIX_DOUBTED "FixDoubted",
    56 = LOAD_CHANGED "LoadChanged",
    57 = ALARMS_LIMITED "AlarmsLimited",
    58 = SITE_REGISTERED "SiteRegistered",
    59 = SITE_WITHDRAWN "SiteWithdrawn",
    60 = MESSAGE_ORDERED "MessageOrdered",
    61 = GROUP_REGISTERED "GroupRegistered",
    62 = GROUP_WITHDRAWN "GroupWithdrawn",
    63 = LETTER_ORDERED "LetterOrdered",
    64 = NOTICE_REPLACED "NoticeReplaced",
    65 = SHEET_ORDERED "SheetOrdered",
}

/// Version of payloads that this release writes where it holds all that is to be said.
pub const VERSION: u16 = 1;

/// Newest version of a kind's payload that this release writes and reads.
const fn newest(kind: u16) -> u16 {
    match kind {
        kinds::DEVICE_REGISTERED
        | kinds::REPORT_RECEIVED
        | kinds::INCIDENT_OPENED
        | kinds::NOTICE_ORDERED
        | kinds::UNIT_REGISTERED => 2,
        _ => VERSION,
    }
}

/// Why a body could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The kind is not in this release's list.
    #[error("kind {kind} is unknown: the journal is of a newer version, update hansho")]
    UnknownKind {
        /// Number in the row.
        kind: i64,
    },
    /// The payload's version is not in this release's list.
    #[error("version {ver} of {name} is unknown: the journal is of a newer version, update hansho")]
    UnknownVersion {
        /// Name of the kind.
        name: &'static str,
        /// Version in the row.
        ver: i64,
    },
    /// A word's number is not in this release's table.
    #[error("{table} has no word {code}: the journal is of a newer version, update hansho")]
    UnknownCode {
        /// Name of the table.
        table: &'static str,
        /// Number in the body.
        code: u8,
    },
    /// A value is outside of what it may be.
    #[error("the value of {what} is out of its range")]
    OutOfRange {
        /// Which value.
        what: &'static str,
    },
    /// The payload has more bytes than its kind and version explain.
    #[error("{count} bytes are left over behind the payload")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// The bytes are not a payload of this kind and version.
    #[error("the bytes are not a payload of this kind")]
    Malformed {
        /// What postcard says.
        #[source]
        source: postcard::Error,
    },
}

/// An event as a row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Number of the kind.
    pub kind: u16,
    /// Version of the payload.
    pub ver: u16,
    /// Cause and payload.
    pub body: Vec<u8>,
}

/// Encodes an event with its cause. Times are kept to the microsecond.
///
/// # Errors
///
/// [`BodyError::Malformed`] when postcard refuses, which it has no reason to for these types.
pub fn encode(cause: Option<Seq>, event: &Event) -> Result<Encoded, BodyError> {
    write::encode(cause, event)
}

/// Decodes a row's body into its cause and the event.
///
/// # Errors
///
/// Bytes that are not a body of this kind and version, or of a newer release.
pub fn decode(kind: i64, ver: i64, body: &[u8]) -> Result<(Option<Seq>, Event), BodyError> {
    let known = known_kind(kind, ver)?;
    let (cause, payload) = split_cause(body)?;
    let event = match known {
        (kind, VERSION) => read::event_v1(kind, payload)?,
        (kind, _) => read::event_v2(kind, payload)?,
    };
    Ok((cause, event))
}

/// A row's body for an export: the cause and the frozen type as JSON, words as their numbers,
/// bytes and sealed values as hex.
///
/// # Errors
///
/// As [`decode`].
pub fn json(
    kind: i64,
    ver: i64,
    body: &[u8],
) -> Result<(Option<Seq>, serde_json::Value), BodyError> {
    let known = known_kind(kind, ver)?;
    let (cause, payload) = split_cause(body)?;
    let value = match known {
        (kind, VERSION) => read::json_v1(kind, payload)?,
        (kind, _) => read::json_v2(kind, payload)?,
    };
    Ok((cause, value))
}

pub(crate) use read::time;
pub(crate) use write::us;

/// The kind and the version of its payload, when this release knows both.
fn known_kind(kind: i64, ver: i64) -> Result<(u16, u16), BodyError> {
    let unknown = BodyError::UnknownKind { kind };
    let Ok(known) = u16::try_from(kind) else { return Err(unknown) };
    let Some(name) = kind_name(known) else { return Err(unknown) };
    match u16::try_from(ver) {
        Ok(ver) if (VERSION..=newest(known)).contains(&ver) => Ok((known, ver)),
        _ => Err(BodyError::UnknownVersion { name, ver }),
    }
}

fn split_cause(body: &[u8]) -> Result<(Option<Seq>, &[u8]), BodyError> {
    let (cause, payload): (u64, _) =
        postcard::take_from_bytes(body).map_err(|source| BodyError::Malformed { source })?;
    Ok(((cause != 0).then_some(Seq::new(cause)), payload))
}

/// All of `bytes` as one value.
fn whole<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BodyError> {
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|source| BodyError::Malformed { source })?;
    if rest.is_empty() { Ok(value) } else { Err(BodyError::LeftOver { count: rest.len() }) }
}

/// Appends a value to `bytes`.
fn extend<T: Serialize>(bytes: Vec<u8>, value: &T) -> Result<Vec<u8>, BodyError> {
    postcard::to_extend(value, bytes).map_err(|source| BodyError::Malformed { source })
}
