//! Places, as integers: the journal must fold to the same state on every machine.

/// Latitude or longitude in units of 1e-7 degree (about 11 mm of latitude).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DegreesE7(i32);

impl DegreesE7 {
    /// From units of 1e-7 degree.
    #[must_use]
    pub const fn from_e7(e7: i32) -> Self {
        Self(e7)
    }

    /// In units of 1e-7 degree.
    #[must_use]
    pub const fn e7(self) -> i32 {
        self.0
    }
}

/// Length in metres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetresU32(pub u32);

/// Where a device or a thing is: WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Latitude, -90 to 90 degrees.
    pub lat: DegreesE7,
    /// Longitude, -180 to 180 degrees.
    pub lon: DegreesE7,
}

impl Position {
    /// `None` when either is out of range.
    #[must_use]
    pub fn new(lat: DegreesE7, lon: DegreesE7) -> Option<Self> {
        let in_range = lat.0.unsigned_abs() <= 900_000_000 && lon.0.unsigned_abs() <= 1_800_000_000;
        in_range.then_some(Self { lat, lon })
    }
}

/// One of the city's districts (地区), 1 to 13 in Iwaki.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DistrictId(pub u8);

/// Where an incident is believed to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// District, when known.
    pub district: Option<DistrictId>,
    /// Centre of what is known, when known.
    pub position: Option<Position>,
    /// How far from the centre it may be.
    pub radius: Option<MetresU32>,
    /// Whether a dispatcher has confirmed it.
    pub confirmed: bool,
}
