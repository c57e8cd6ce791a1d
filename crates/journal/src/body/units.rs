//! Kinds 40 to 49, units and orders: frozen types of version 1, and the way to and from the model.
//! What is said at the top of [`v1`](super::v1) holds here, too.

use hansho_model::{
    AssignmentId, DegreesE7, Event, IncidentId, MetresU32, NeedMet, Plan, PlanNeed, Position,
    Recommendation, Seq, StatusReached, UnitAdvice, UnitEntry, UnitId, UnitStatus, Usable,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::read::{json, sealed, time, word};
use super::v1::Sealed;
use super::write::{maybe, us};
use super::{BodyError, kinds, whole};

macro_rules! frozen {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(super) struct $name { $($field: $kind,)* }
    )+};
}

frozen! {
    /// Kind 41.
    UnitWithdrawn { unit: u32, }
    /// Kind 43.
    UnitFoundOut { unit: u32, status: u8, at_us: i64, }
    /// Kind 45.
    AssignmentStarted { order: u64, unit: u32, }
    /// Kind 46.
    AssignmentEnded { order: u64, unit: u32, end: u8, }
    /// Kind 65.
    SheetOrdered { order: u64, unit: u32, word: u8, }
    /// Kind 47.
    UnitStatusReached { order: u64, unit: u32, status: u8, at_us: i64, corrects: Option<u64>, }
    /// Kind 48.
    AvailabilityChanged {
        unit: u32,
        availability: u8,
        reason: Option<u8>,
        minutes: Option<u16>,
        since_us: i64,
    }
    /// Kind 49.
    CrewMoved { unit: u32, with: Option<u32>, }
    /// What a plan asks for: an ability, how many, and of these with another ability so many.
    Asked { ability: u8, count: u8, with: Option<(u8, u8)>, }
    /// What a plan asks for and what there is.
    Need { ability: u8, want: u8, have: u8, }
    /// What is advised about a unit.
    Advice {
        unit: u32,
        chosen: bool,
        ability: Option<u8>,
        minutes: Option<u16>,
        distance_m: Option<u32>,
        why: Vec<u8>,
    }
}

/// Kind 40.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UnitRegistered<'a> {
    unit: u32,
    call_sign: &'a str,
    station: &'a str,
    lat_e7: i32,
    lon_e7: i32,
    kind: u8,
    abilities: Vec<u8>,
    crew: u8,
    cross_staffed_with: Option<&'a str>,
    reserve: bool,
}

/// Kind 40 of a unit with a terminal: what version 1 holds, then the rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UnitWithTerminal<'a> {
    #[serde(borrow)]
    first: UnitRegistered<'a>,
    terminal: &'a str,
}

/// A plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PlanOf {
    kind: u8,
    subkind: Option<u8>,
    first: Vec<Asked>,
}

/// Kind 42.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PlansApplied {
    plans: Vec<PlanOf>,
}

/// Kind 44.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UnitsOrdered<'a> {
    incident: u64,
    units: Vec<u32>,
    #[serde(borrow)]
    reason: Option<Sealed<'a>>,
    overridden: bool,
    needs: Vec<Need>,
    advice: Vec<Advice>,
}

pub(super) fn registered(unit: UnitId, entry: &UnitEntry) -> UnitRegistered<'_> {
    let UnitEntry {
        call_sign,
        station,
        position,
        kind,
        abilities,
        crew,
        cross_staffed_with,
        reserve,
        terminal: _,
    } = entry;
    UnitRegistered {
        unit: unit.0,
        call_sign,
        station,
        lat_e7: position.lat.e7(),
        lon_e7: position.lon.e7(),
        kind: kind.code(),
        abilities: abilities.iter().map(|each| each.code()).collect(),
        crew: *crew,
        cross_staffed_with: cross_staffed_with.as_deref(),
        reserve: *reserve,
    }
}

pub(super) fn with_terminal<'a>(
    unit: UnitId,
    entry: &'a UnitEntry,
    terminal: &'a str,
) -> UnitWithTerminal<'a> {
    UnitWithTerminal { first: registered(unit, entry), terminal }
}

pub(super) fn withdrawn(unit: UnitId) -> UnitWithdrawn {
    UnitWithdrawn { unit: unit.0 }
}

pub(super) fn plans(plans: &[Plan]) -> PlansApplied {
    let need = |need: &PlanNeed| {
        let with = need.with.map(|(ability, count)| (ability.code(), count));
        Asked { ability: need.ability.code(), count: need.count, with }
    };
    let plan = |plan: &Plan| PlanOf {
        kind: plan.kind.code(),
        subkind: plan.subkind.map(Code::code),
        first: plan.first.iter().map(need).collect(),
    };
    PlansApplied { plans: plans.iter().map(plan).collect() }
}

pub(super) fn found_out(unit: UnitId, status: UnitStatus, at: Timestamp) -> UnitFoundOut {
    UnitFoundOut { unit: unit.0, status: status.code(), at_us: us(at) }
}

pub(super) fn ordered(value: &hansho_model::UnitsOrdered) -> UnitsOrdered<'_> {
    let hansho_model::UnitsOrdered { incident, units, reason, overridden, recommendation } = value;
    let need = |need: &NeedMet| {
        let NeedMet { ability, want, have } = *need;
        Need { ability: ability.code(), want, have }
    };
    let advice = |advice: &UnitAdvice| Advice {
        unit: advice.unit.0,
        chosen: advice.chosen,
        ability: advice.ability.map(|ability| ability.code()),
        minutes: advice.minutes,
        distance_m: advice.distance.map(|metres| metres.0),
        why: advice.why.iter().map(|why| why.code()).collect(),
    };
    UnitsOrdered {
        incident: incident.0.get(),
        units: units.iter().map(|unit| unit.0).collect(),
        reason: maybe(reason.as_ref()),
        overridden: *overridden,
        needs: recommendation.needs.iter().map(need).collect(),
        advice: recommendation.units.iter().map(advice).collect(),
    }
}

pub(super) fn started(id: AssignmentId) -> AssignmentStarted {
    AssignmentStarted { order: id.order.get(), unit: id.unit.0 }
}

pub(super) fn sheet(id: AssignmentId, word: hansho_model::OrderWord) -> SheetOrdered {
    SheetOrdered { order: id.order.get(), unit: id.unit.0, word: word.code() }
}

pub(super) fn ended(id: AssignmentId, end: hansho_model::AssignmentEnd) -> AssignmentEnded {
    AssignmentEnded { order: id.order.get(), unit: id.unit.0, end: end.code() }
}

pub(super) fn reached(value: &StatusReached) -> UnitStatusReached {
    let StatusReached { assignment, status, at, corrects } = *value;
    UnitStatusReached {
        order: assignment.order.get(),
        unit: assignment.unit.0,
        status: status.code(),
        at_us: us(at),
        corrects: corrects.map(Seq::get),
    }
}

pub(super) fn availability(unit: UnitId, usable: Usable, since: Timestamp) -> AvailabilityChanged {
    let Usable { availability, reason, minutes } = usable;
    AvailabilityChanged {
        unit: unit.0,
        availability: availability.code(),
        reason: reason.map(|reason| reason.code()),
        minutes,
        since_us: us(since),
    }
}

pub(super) fn crew_moved(unit: UnitId, with: Option<UnitId>) -> CrewMoved {
    CrewMoved { unit: unit.0, with: with.map(|unit| unit.0) }
}

pub(super) fn event(kind: u16, payload: &[u8]) -> Result<Event, BodyError> {
    Ok(match kind {
        kinds::UNIT_REGISTERED => read_registered(&whole(payload)?, None)?,
        kinds::UNIT_WITHDRAWN => {
            let UnitWithdrawn { unit } = whole(payload)?;
            Event::UnitWithdrawn { unit: UnitId(unit) }
        }
        kinds::PLANS_APPLIED => {
            let PlansApplied { plans } = whole(payload)?;
            let plans: Result<_, BodyError> = plans.into_iter().map(read_plan).collect();
            Event::PlansApplied { plans: plans? }
        }
        kinds::UNIT_FOUND_OUT => {
            let UnitFoundOut { unit, status, at_us } = whole(payload)?;
            let (unit, status) = (UnitId(unit), Code::from_code(status)?);
            Event::UnitFoundOut { unit, status, at: time(at_us)? }
        }
        kinds::UNITS_ORDERED => read_ordered(whole(payload)?)?,
        kinds::ASSIGNMENT_STARTED => {
            let AssignmentStarted { order, unit } = whole(payload)?;
            Event::AssignmentStarted { assignment: assignment(order, unit) }
        }
        kinds::ASSIGNMENT_ENDED => {
            let AssignmentEnded { order, unit, end } = whole(payload)?;
            let (assignment, end) = (assignment(order, unit), Code::from_code(end)?);
            Event::AssignmentEnded { assignment, end }
        }
        kinds::SHEET_ORDERED => {
            let SheetOrdered { order, unit, word } = whole(payload)?;
            let (assignment, word) = (assignment(order, unit), Code::from_code(word)?);
            Event::SheetOrdered { assignment, word }
        }
        kinds::UNIT_STATUS_REACHED => {
            let UnitStatusReached { order, unit, status, at_us, corrects } = whole(payload)?;
            Event::UnitStatusReached(StatusReached {
                assignment: assignment(order, unit),
                status: Code::from_code(status)?,
                at: time(at_us)?,
                corrects: corrects.map(Seq::new),
            })
        }
        kinds::AVAILABILITY_CHANGED => {
            let value: AvailabilityChanged = whole(payload)?;
            let (reason, minutes) = (word(value.reason)?, value.minutes);
            let usable =
                Usable { availability: Code::from_code(value.availability)?, reason, minutes };
            let (unit, since) = (UnitId(value.unit), time(value.since_us)?);
            Event::AvailabilityChanged { unit, usable, since }
        }
        kinds::CREW_MOVED => {
            let CrewMoved { unit, with } = whole(payload)?;
            Event::CrewMoved { unit: UnitId(unit), with: with.map(UnitId) }
        }
        other => return Err(BodyError::UnknownKind { kind: i64::from(other) }),
    })
}

/// The frozen type as JSON.
pub(super) fn json_of(kind: u16, payload: &[u8]) -> Result<serde_json::Value, BodyError> {
    match kind {
        kinds::UNIT_REGISTERED => json::<UnitRegistered<'_>>(payload),
        kinds::UNIT_WITHDRAWN => json::<UnitWithdrawn>(payload),
        kinds::PLANS_APPLIED => json::<PlansApplied>(payload),
        kinds::UNIT_FOUND_OUT => json::<UnitFoundOut>(payload),
        kinds::UNITS_ORDERED => json::<UnitsOrdered<'_>>(payload),
        kinds::ASSIGNMENT_STARTED => json::<AssignmentStarted>(payload),
        kinds::ASSIGNMENT_ENDED => json::<AssignmentEnded>(payload),
        kinds::SHEET_ORDERED => json::<SheetOrdered>(payload),
        kinds::UNIT_STATUS_REACHED => json::<UnitStatusReached>(payload),
        kinds::AVAILABILITY_CHANGED => json::<AvailabilityChanged>(payload),
        kinds::CREW_MOVED => json::<CrewMoved>(payload),
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}

fn assignment(order: u64, unit: u32) -> AssignmentId {
    AssignmentId { order: Seq::new(order), unit: UnitId(unit) }
}

fn words<T: Code>(codes: &[u8]) -> Result<Vec<T>, BodyError> {
    codes.iter().map(|code| T::from_code(*code)).collect()
}

pub(super) fn read_with_terminal(payload: &[u8]) -> Result<Event, BodyError> {
    let UnitWithTerminal { first, terminal } = whole(payload)?;
    read_registered(&first, Some(terminal))
}

fn read_registered(value: &UnitRegistered<'_>, terminal: Option<&str>) -> Result<Event, BodyError> {
    let (lat, lon) = (DegreesE7::from_e7(value.lat_e7), DegreesE7::from_e7(value.lon_e7));
    let entry = UnitEntry {
        call_sign: value.call_sign.to_owned(),
        station: value.station.to_owned(),
        position: Position::new(lat, lon).ok_or(BodyError::OutOfRange { what: "a position" })?,
        kind: Code::from_code(value.kind)?,
        abilities: words(&value.abilities)?,
        crew: value.crew,
        cross_staffed_with: value.cross_staffed_with.map(str::to_owned),
        reserve: value.reserve,
        terminal: terminal.map(str::to_owned),
    };
    Ok(Event::UnitRegistered { unit: UnitId(value.unit), entry })
}

fn read_plan(value: PlanOf) -> Result<Plan, BodyError> {
    let need = |Asked { ability, count, with }: Asked| {
        let with =
            with.map(|(ability, count)| Ok((Code::from_code(ability)?, count))).transpose()?;
        Ok(PlanNeed { ability: Code::from_code(ability)?, count, with })
    };
    let first: Result<_, BodyError> = value.first.into_iter().map(need).collect();
    let subkind = value.subkind.map(Code::from_code).transpose()?;
    Ok(Plan { kind: Code::from_code(value.kind)?, subkind, first: first? })
}

fn read_ordered(value: UnitsOrdered<'_>) -> Result<Event, BodyError> {
    let need = |need: &Need| {
        let Need { ability, want, have } = *need;
        Ok(NeedMet { ability: Code::from_code(ability)?, want, have })
    };
    let advice = |advice: &Advice| {
        Ok(UnitAdvice {
            unit: UnitId(advice.unit),
            chosen: advice.chosen,
            ability: word(advice.ability)?,
            minutes: advice.minutes,
            distance: advice.distance_m.map(MetresU32),
            why: words(&advice.why)?,
        })
    };
    let needs: Result<_, BodyError> = value.needs.iter().map(need).collect();
    let units: Result<_, BodyError> = value.advice.iter().map(advice).collect();
    Ok(Event::UnitsOrdered(Box::new(hansho_model::UnitsOrdered {
        incident: IncidentId(Seq::new(value.incident)),
        units: value.units.into_iter().map(UnitId).collect(),
        reason: value.reason.map(sealed),
        overridden: value.overridden,
        recommendation: Recommendation { needs: needs?, units: units? },
    })))
}
