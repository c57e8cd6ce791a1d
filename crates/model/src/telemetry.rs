//! What a tracker says beside alarms: where it is, how sure it is, how its battery does.

use jiff::Timestamp;

use crate::alarm::words;
use crate::{MetresU32, Position};

words! {
    /// How a device found its place.
    FixMethod {
        /// Satellites.
        Gnss = "gnss",
        /// Wi-Fi stations.
        Wifi = "wifi",
        /// Cells of the mobile network.
        Cell = "cell",
        /// It does not say.
        Unknown = "unknown",
    }
}

/// A place that a device found by itself. A heartbeat has none; the last one is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Where.
    pub position: Position,
    /// When, by the satellites' or the device's clock.
    pub at: Option<Timestamp>,
    /// Whether the device itself trusts it.
    pub valid: bool,
    /// How it was found.
    pub method: FixMethod,
    /// How far off it may be.
    pub accuracy: Option<MetresU32>,
    /// Speed in units of 0.01 km/h.
    pub speed_e2_kmh: Option<u32>,
    /// Course in units of 0.01 degree clockwise from north, 0 to 35,999.
    pub course_e2: Option<u16>,
    /// Height in units of 0.01 m, as the device says it.
    pub altitude_cm: Option<i32>,
    /// Satellites used.
    pub satellites: Option<u8>,
}

/// What a tracker says beside alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// Its own place, when the message carries one.
    pub fix: Option<Fix>,
    /// Battery, 0 to 100 per cent.
    pub battery: Option<u8>,
    /// Whether it is being charged.
    pub charging: Option<bool>,
    /// Steps counted.
    pub steps: Option<u32>,
    /// Pulse in beats a minute.
    pub pulse: Option<u16>,
    /// Whether it was kept and sent later.
    pub stored: bool,
}
