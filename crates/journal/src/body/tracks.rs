//! Safe zones of trackers: kinds 50 to 53, version 1; and version 2 of the kinds that came to know
//! zones and sightings. Frozen, as all of [`v1`](super::v1) is.

use hansho_model::{
    Event, MetresU32, Sighting as ModelSighting, SignalId, SourceId, Zone as ModelZone,
    ZoneDistance as ModelZoneDistance,
};
use serde::{Deserialize, Serialize};

use super::read::{some_position, time};
use super::v1::{DeviceRegistered as FirstDevice, NoticeOrdered as FirstNotice, Position};
use super::write::{position, us};
use super::{BodyError, kinds, whole};

/// Kind 50.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ZoneLeft<'a> {
    pub(super) device: u32,
    pub(super) zone: &'a str,
    pub(super) distance_m: u32,
    pub(super) accuracy_m: u32,
    pub(super) signal: Option<u64>,
}

/// Kind 51.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ZoneEntered<'a> {
    pub(super) device: u32,
    pub(super) zone: &'a str,
    pub(super) distance_m: u32,
}

/// Kind 52.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ZoneDoubted<'a> {
    pub(super) device: u32,
    pub(super) zone: &'a str,
    pub(super) distance_m: u32,
    pub(super) since_us: i64,
    pub(super) at_us: i64,
}

/// Kind 53.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct FixDoubted {
    pub(super) device: u32,
    pub(super) distance_m: u32,
    pub(super) seconds: u32,
}

/// A safe zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Zone<'a> {
    pub(super) name: &'a str,
    pub(super) centre: Position,
    pub(super) radius_m: u32,
}

/// Kind 7, version 2: what version 1 holds, then zones and interval.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DeviceRegistered<'a> {
    #[serde(borrow)]
    pub(super) first: FirstDevice<'a>,
    #[serde(borrow)]
    pub(super) zones: Vec<Zone<'a>>,
    pub(super) interval_s: Option<u32>,
}

/// Where a wearer was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sighting<'a> {
    pub(super) position: Position,
    pub(super) accuracy_m: Option<u32>,
    pub(super) at_us: i64,
    #[serde(borrow)]
    pub(super) zone: Option<ZoneDistance<'a>>,
}

/// How far from a zone's centre.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ZoneDistance<'a> {
    pub(super) zone: &'a str,
    pub(super) distance_m: u32,
}

/// Kind 20, version 2: what version 1 holds, then the sighting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NoticeOrdered<'a> {
    #[serde(borrow)]
    pub(super) first: FirstNotice<'a>,
    #[serde(borrow)]
    pub(super) sighting: Sighting<'a>,
}

/// The event of one of these kinds; `None` for another kind.
pub(super) fn event(kind: u16, payload: &[u8]) -> Result<Option<Event>, BodyError> {
    Ok(Some(match kind {
        kinds::ZONE_LEFT => {
            let ZoneLeft { device, zone, distance_m, accuracy_m, signal } = whole(payload)?;
            Event::ZoneLeft {
                device: SourceId(device),
                zone: zone.to_owned(),
                distance: MetresU32(distance_m),
                accuracy: MetresU32(accuracy_m),
                signal: signal.map(|id| SignalId(hansho_model::Seq::new(id))),
            }
        }
        kinds::ZONE_ENTERED => {
            let ZoneEntered { device, zone, distance_m } = whole(payload)?;
            let (device, zone) = (SourceId(device), zone.to_owned());
            Event::ZoneEntered { device, zone, distance: MetresU32(distance_m) }
        }
        kinds::ZONE_DOUBTED => {
            let ZoneDoubted { device, zone, distance_m, since_us, at_us } = whole(payload)?;
            Event::ZoneDoubted {
                device: SourceId(device),
                zone: zone.to_owned(),
                distance: MetresU32(distance_m),
                since: time(since_us)?,
                at: time(at_us)?,
            }
        }
        kinds::FIX_DOUBTED => {
            let FixDoubted { device, distance_m, seconds } = whole(payload)?;
            let (device, distance) = (SourceId(device), MetresU32(distance_m));
            Event::FixDoubted { device, distance, seconds }
        }
        _ => return Ok(None),
    }))
}

pub(super) fn zones<'a>(zones: &'a [ModelZone]) -> Vec<Zone<'a>> {
    let frozen = |zone: &'a ModelZone| {
        let ModelZone { name, centre, radius } = zone;
        Zone { name, centre: position(*centre), radius_m: radius.0 }
    };
    zones.iter().map(frozen).collect()
}

pub(super) fn read_zones(zones: &[Zone<'_>]) -> Result<Vec<ModelZone>, BodyError> {
    let model = |zone: &Zone<'_>| {
        let (name, centre) = (zone.name.to_owned(), some_position(zone.centre)?);
        Ok(ModelZone { name, centre, radius: MetresU32(zone.radius_m) })
    };
    zones.iter().map(model).collect()
}

pub(super) fn sighting(value: &ModelSighting) -> Sighting<'_> {
    let ModelSighting { position: place, accuracy, at, zone } = value;
    Sighting {
        position: position(*place),
        accuracy_m: accuracy.map(|metres| metres.0),
        at_us: us(*at),
        zone: zone.as_ref().map(|ModelZoneDistance { zone, distance }| ZoneDistance {
            zone,
            distance_m: distance.0,
        }),
    }
}

pub(super) fn read_sighting(value: &Sighting<'_>) -> Result<ModelSighting, BodyError> {
    let zone = value.zone.map(|ZoneDistance { zone, distance_m }| ModelZoneDistance {
        zone: zone.to_owned(),
        distance: MetresU32(distance_m),
    });
    Ok(ModelSighting {
        position: some_position(value.position)?,
        accuracy: value.accuracy_m.map(MetresU32),
        at: time(value.at_us)?,
        zone,
    })
}
