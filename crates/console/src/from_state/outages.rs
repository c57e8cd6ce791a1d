//! Power cuts, from the faults of devices to what the API shows.

use std::collections::BTreeMap;

use hansho_model::{AlarmKind, DistrictId};
use jiff::Timestamp;

use super::Viewer;
use crate::view;

/// Fewer devices of a district without mains are faults of theirs, more are a power cut.
const OUTAGE_DEVICES_MIN: usize = 3;

impl Viewer<'_> {
    /// Districts in which several devices have lost their mains, by their numbers.
    pub(super) fn outages(self) -> Vec<view::Outage> {
        let mut lost: BTreeMap<DistrictId, Vec<Timestamp>> = BTreeMap::new();
        for device in self.state.devices().values() {
            let Some(district) = device.entry.as_ref().and_then(|entry| entry.district) else {
                continue;
            };
            let faults = device.faults.iter().filter(|fault| fault.kind == AlarmKind::Mains);
            // However many sensors of it say so, it is one device.
            if let Some(since) = faults.map(|fault| fault.since).min() {
                lost.entry(district).or_default().push(since);
            }
        }
        let many = lost.into_iter().filter(|(_, since)| since.len() >= OUTAGE_DEVICES_MIN);
        many.filter_map(|(district, since)| {
            Some(view::Outage {
                district: district.0,
                devices: u32::try_from(since.len()).unwrap_or(u32::MAX),
                since: since.iter().min()?.to_string(),
                latest: since.iter().max()?.to_string(),
            })
        })
        .collect()
    }
}
