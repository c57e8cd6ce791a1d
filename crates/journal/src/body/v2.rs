//! Version 2 of payloads: frozen. A kind stands here only when version 1 could not hold what it says;
//! what version 1 can hold is written as version 1.

use serde::{Deserialize, Serialize};

use super::v1::{IncidentOpened as FirstOpened, Position, ReportReceived as First};

/// A place that a device found by itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Fix {
    pub(super) position: Position,
    pub(super) at_us: Option<i64>,
    pub(super) valid: bool,
    pub(super) method: u8,
    pub(super) accuracy_m: Option<u32>,
    pub(super) speed_e2_kmh: Option<u32>,
    pub(super) course_e2: Option<u16>,
    pub(super) altitude_cm: Option<i32>,
    pub(super) satellites: Option<u8>,
}

/// What a tracker says beside alarms.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Telemetry {
    pub(super) fix: Option<Fix>,
    pub(super) battery: Option<u8>,
    pub(super) charging: Option<bool>,
    pub(super) steps: Option<u32>,
    pub(super) pulse: Option<u16>,
    pub(super) stored: bool,
}

/// Kind 9, when the device said more than alarms: what version 1 holds, then the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ReportReceived<'a> {
    #[serde(borrow)]
    pub(super) first: First<'a>,
    pub(super) telemetry: Telemetry,
}

/// Kind 15, when the kind has a second level: what version 1 holds, then the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IncidentOpened<'a> {
    #[serde(borrow)]
    pub(super) first: FirstOpened<'a>,
    pub(super) subkind: u8,
}
