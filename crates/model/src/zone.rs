//! Safe zones of people who may lose their way, and where they were seen.

use jiff::Timestamp;

use crate::{MetresU32, Position};

/// A safe zone (見守り区域): a circle in which a wearer is known to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name, unique among the zones of one device, such as `自宅`; 1 to 48 bytes.
    pub name: String,
    /// Centre.
    pub centre: Position,
    /// Radius, 20 m to 50 km.
    pub radius: MetresU32,
}

/// How far from a zone's centre a wearer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneDistance {
    /// Name of the zone.
    pub zone: String,
    /// From its centre.
    pub distance: MetresU32,
}

/// Where a wearer was seen last, as a notice tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where.
    pub position: Position,
    /// How far off it may be.
    pub accuracy: Option<MetresU32>,
    /// When.
    pub at: Timestamp,
    /// From which zone, when it is about one.
    pub zone: Option<ZoneDistance>,
}
