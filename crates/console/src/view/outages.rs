//! Power cuts, as the devices of a district tell of them.

use serde::Serialize;
use utoipa::ToSchema;

/// Several devices of one district are without mains: one line, not one a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outage {
    /// District, 1 to 13.
    pub district: u8,
    /// How many devices there have no mains, 3 or more; they run on battery.
    pub devices: u32,
    /// Since when the first of them has none.
    pub since: String,
    /// When the last of them told so.
    pub latest: String,
}
