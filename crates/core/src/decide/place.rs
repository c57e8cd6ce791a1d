//! Where an incident is and of which kind: what a dispatcher says, what the signals say.

use hansho_model::{
    DistrictId, Event, IncidentId, IncidentKind, IncidentSubkind, Place, Refusal, RefusalCode,
    Sealed, SignalId,
};

use super::Batch;
use super::command::Case;
use crate::state::{State, limits};

impl State {
    /// Where it may be: where the dispatcher says, else where the caller or the device says it is,
    /// else the district's centre with its radius. The atlas is asked here and its answer goes into
    /// the event.
    pub(super) fn place_of(&self, signals: &[SignalId], said: &Place) -> Result<Place, Refusal> {
        check_place(said)?;
        let signals = || signals.iter().filter_map(|id| self.signals.get(id));
        let of_home = || {
            signals().find_map(|signal| {
                let home = self.devices.get(&signal.source)?.entry.as_ref();
                let site = self.sites.entries.get(&signal.source);
                home.and_then(|home| home.district).or_else(|| site?.district)
            })
        };
        let district = said.district.or_else(of_home);
        let known = known_district(district)?;
        let reported = signals().find_map(|signal| self.spot_of(signal));
        let (position, radius) = match (said.position, reported) {
            (Some(position), _) => (Some(position), said.radius),
            (None, Some(spot)) => (Some(spot.position), spot.radius),
            (None, None) => {
                (known.map(|district| district.centre), known.map(|district| district.radius))
            }
        };
        Ok(Place { district, position, radius, confirmed: said.confirmed })
    }

    pub(super) fn set_place(
        &self,
        id: IncidentId,
        said: &Place,
        text: Option<&Sealed>,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let incident = self.open_incident_of(id)?;
        check_place(said)?;
        let known = known_district(said.district)?;
        let before = &incident.place;
        // The point of another district is no point in this one.
        let moved = known.filter(|district| before.district != Some(district.id));
        let (position, radius) = match (said.position, moved) {
            (Some(position), _) => (Some(position), said.radius),
            (None, Some(district)) => (Some(district.centre), Some(district.radius)),
            (None, None) => (before.position, before.radius),
        };
        let district = said.district.or(before.district);
        let place = Place { district, position, radius, confirmed: said.confirmed };
        let place_text = text.or(incident.place_text.as_ref()).cloned();
        case.push(Event::PlaceSet { incident: id, place, place_text }, batch);
        Ok(())
    }

    pub(super) fn set_kind(
        &self,
        incident: IncidentId,
        kind: IncidentKind,
        subkind: Option<IncidentSubkind>,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        self.open_incident_of(incident)?;
        check_kind(kind, subkind)?;
        case.push(Event::KindSet { incident, kind, subkind }, batch);
        Ok(())
    }
}

/// A second level belongs to one kind only.
pub(super) fn check_kind(
    kind: IncidentKind,
    subkind: Option<IncidentSubkind>,
) -> Result<(), Refusal> {
    let fits = subkind.is_none_or(|subkind| subkind.kind() == kind);
    if fits { Ok(()) } else { Err(Refusal::new(RefusalCode::Invalid)) }
}

/// A radius needs a point, and is at least a metre.
fn check_place(said: &Place) -> Result<(), Refusal> {
    let fits = said.radius.is_none_or(|radius| {
        said.position.is_some() && (1..=limits::PLACE_METRES).contains(&radius.0)
    });
    if fits { Ok(()) } else { Err(Refusal::new(RefusalCode::Invalid)) }
}

fn known_district(
    id: Option<DistrictId>,
) -> Result<Option<&'static hansho_atlas::District>, Refusal> {
    let find = |id| hansho_atlas::by_id(id).ok_or(Refusal::new(RefusalCode::Invalid));
    id.map(find).transpose()
}
