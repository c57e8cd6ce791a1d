//! Units: who may be ordered, which status can follow which, and what follows from it for the
//! vehicle that has the same crew and for orders that wait.

use std::collections::BTreeSet;

use hansho_model::{
    Actor, AssignmentEnd, AssignmentId, Availability, CommandKind, Event, Fleet, IncidentId,
    Refusal, RefusalCode, Role, Sealed, Seq, SourceId, StatusReached, UnitFound, UnitId,
    UnitStatus, UnitsOrdered, Usable,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use super::command::Case;
use crate::state::{State, limits};
use crate::units::{Assignment, Press, Unit, ends, terminal_source};

/// Clocks of vehicles and people's watches may be this far off.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(60);

/// What a person says about a unit's status.
pub(super) struct Said<'a> {
    pub(super) unit: &'a str,
    pub(super) status: UnitStatus,
    pub(super) at: Option<Timestamp>,
    pub(super) incident: Option<IncidentId>,
    pub(super) corrects: Option<Seq>,
}

/// Who causes what follows, and by which event.
#[derive(Clone, Copy)]
pub(super) struct Cause {
    actor: SourceId,
    seq: Seq,
}

impl State {
    /// Registers are compared entry by entry, so an unchanged one journals nothing. How a unit is
    /// found counts only when it is new: later the journal knows better.
    pub(super) fn register_fleet(&self, now: Timestamp, fleet: &Fleet, batch: &mut Batch) {
        let dispatch = &self.dispatch;
        let mut ids = dispatch.call_signs.clone();
        let mut next = dispatch.units.last_key_value().map_or(1, |(id, _)| id.0.saturating_add(1));
        let mut new = Vec::new();
        let mut listed = BTreeSet::new();
        for entry in &fleet.units {
            let id = *ids.entry(entry.call_sign.clone()).or_insert_with(|| {
                new.push((UnitId(next), entry));
                UnitId(next)
            });
            next = next.max(id.0.saturating_add(1));
            listed.insert(id);
            let known = dispatch.units.get(&id).filter(|unit| !unit.withdrawn);
            if known.is_none_or(|unit| unit.entry != *entry) {
                batch.push_core(Event::UnitRegistered { unit: id, entry: entry.clone() });
            }
        }
        for (id, unit) in &dispatch.units {
            if !unit.withdrawn && !listed.contains(id) {
                batch.push_core(Event::UnitWithdrawn { unit: *id });
            }
        }
        if dispatch.plans != fleet.plans {
            batch.push_core(Event::PlansApplied { plans: fleet.plans.clone() });
        }
        for (id, entry) in new {
            let found = fleet.found.iter().find(|found| found.call_sign == entry.call_sign);
            let off = Usable { availability: Availability::Off, reason: None, minutes: None };
            let usual = if entry.reserve { off } else { Usable::AVAILABLE };
            let partner = entry.cross_staffed_with.as_ref().and_then(|name| ids.get(name).copied());
            find(now, (id, partner), (usual, found), batch);
        }
    }

    /// A crew speaks for its own unit, by the unit's own terminal. It takes nothing back: to cancel
    /// an order, or to correct a time, is the desk's.
    pub(super) fn permit_crew(&self, actor: &Actor, kind: &CommandKind) -> Result<(), Refusal> {
        if actor.role != Role::Crew {
            return Ok(());
        }
        let unit = if let CommandKind::UnitStatus { unit, status, corrects: None, .. } = kind {
            Some(unit).filter(|_| *status != UnitStatus::Cancelled)
        } else if let CommandKind::SetAvailability { unit, .. } = kind {
            Some(unit)
        } else {
            None
        };
        let entry = unit.and_then(|unit| self.unit(unit)).and_then(|id| self.units().get(&id));
        let terminal = entry.and_then(|unit| unit.entry.terminal.as_deref());
        match terminal {
            Some(terminal) if terminal_source(terminal) == actor.source => Ok(()),
            Some(_) | None => Err(Refusal::new(RefusalCode::Forbidden)),
        }
    }

    pub(super) fn order_units(
        &self,
        incident: IncidentId,
        call_signs: &[String],
        (reason, divert): (Option<&Sealed>, bool),
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        self.open_incident_of(incident)?;
        let units = self.orderable(incident, call_signs, divert)?;
        let recommendation = self.recommend(incident, case.now).unwrap_or_default();
        let chosen = recommendation.units.iter().filter(|advice| advice.chosen);
        let chosen: BTreeSet<UnitId> = chosen.map(|advice| advice.unit).collect();
        let overridden = chosen != units.iter().copied().collect();
        let reason = reason.cloned();
        let ordered =
            UnitsOrdered { incident, units: units.clone(), reason, overridden, recommendation };
        let seq = case.push(Event::UnitsOrdered(Box::new(ordered)), batch);
        let cause = Cause { actor: case.actor, seq };
        for id in units {
            let assignment = AssignmentId { order: seq, unit: id };
            match self.doing(id) {
                None => self.start(assignment, cause, batch),
                Some((active, press))
                    if press.status == UnitStatus::Returning
                        || divert && can_cancel(press.status) =>
                {
                    cause.divert(active, assignment, batch);
                }
                // It waits in the unit's queue.
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The units of these call signs, if every one of them can be ordered.
    fn orderable(
        &self,
        incident: IncidentId,
        call_signs: &[String],
        divert: bool,
    ) -> Result<Vec<UnitId>, Refusal> {
        if call_signs.is_empty() || call_signs.len() > limits::UNITS_ORDERED {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let mut units: Vec<UnitId> = Vec::with_capacity(call_signs.len());
        let mut crews_gone = BTreeSet::new();
        for call_sign in call_signs {
            let (id, unit) = self.unit_of(call_sign)?;
            if unit.withdrawn {
                return Err(Refusal::new(RefusalCode::NotFound));
            }
            if units.contains(&id) {
                return Err(Refusal::new(RefusalCode::Invalid));
            }
            let mut rows = self.assignments_of(incident);
            if rows.any(|(row, assignment)| row.unit == id && assignment.end.is_none()) {
                return Err(Refusal::new(RefusalCode::AlreadyOrdered));
            }
            if !ready(unit.usable_now()) || crews_gone.contains(&id) {
                return Err(Refusal::new(RefusalCode::NotAvailable));
            }
            let doing = self.doing(id).map(|(_, press)| press.status);
            if divert && doing.is_some_and(|status| !can_cancel(status) && !returning(status)) {
                return Err(Refusal::new(RefusalCode::WrongMove));
            }
            if doing.is_some() && unit.queued.len() >= limits::QUEUED {
                return Err(Refusal::new(RefusalCode::LimitReached));
            }
            if doing.is_none() {
                crews_gone.extend(self.partner_of(unit).filter(|partner| self.stands(*partner)));
            }
            units.push(id);
        }
        Ok(units)
    }

    pub(super) fn unit_status(
        &self,
        said: &Said<'_>,
        received_at: Timestamp,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let (id, unit) = self.unit_of(said.unit)?;
        let at = said.at.unwrap_or(received_at);
        if at > plus(case.now, CLOCKS_APART) {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        if said.status == UnitStatus::Ordered {
            // Only an order orders.
            return Err(Refusal::new(RefusalCode::WrongMove));
        }
        if let Some(wrong) = said.corrects {
            return self.correct((id, unit), (wrong, said.status, said.at), case, batch);
        }
        let (assignment, row) = self.assignment_of(id, unit, said.incident, at)?;
        let Some(current) = row.current() else {
            if row.end.is_some() {
                return Err(Refusal::new(RefusalCode::WrongMove));
            }
            return cancel_waiting(assignment, said.status, case, batch);
        };
        if plus(at, CLOCKS_APART) < row.ordered_at {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let at = not_before_order(at, row);
        let late = at < current.at || row.end.is_some_and(|(_, ended)| at < ended);
        let allowed = if late { ends(said.status).is_none() } else { row.end.is_none() };
        if !allowed || !late && !can_follow(current.status, said.status) {
            return Err(Refusal::new(RefusalCode::WrongMove));
        }
        if row.presses.len() >= limits::PRESSES {
            return Err(Refusal::new(RefusalCode::LimitReached));
        }
        let reached = StatusReached { assignment, status: said.status, at, corrects: None };
        let seq = case.push(Event::UnitStatusReached(reached), batch);
        if !late {
            self.follow_status(assignment, said.status, Cause { actor: case.actor, seq }, batch);
        }
        Ok(())
    }

    /// A correction strikes one press out and puts another beside it; what counts then may lie
    /// before or after what counted.
    fn correct(
        &self,
        (id, unit): (UnitId, &Unit),
        (wrong, status, given): (Seq, UnitStatus, Option<Timestamp>),
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let rows = self.dispatch.assignments.iter().filter(|(row, _)| row.unit == id);
        let mut found = rows.filter_map(|(row, assignment)| {
            Some((*row, assignment, assignment.valid().find(|press| press.seq == wrong)?))
        });
        let (assignment, row, press) =
            found.next_back().ok_or(Refusal::new(RefusalCode::NotFound))?;
        // What was wrong is the word, unless a time is given: it happened when it was said to.
        let at = given.map_or(press.at, |at| not_before_order(at, row));
        if press.status == UnitStatus::Ordered || row.presses.len() >= limits::PRESSES {
            return Err(Refusal::new(RefusalCode::WrongMove));
        }
        if press.status == status && given.is_none() || plus(at, CLOCKS_APART) < row.ordered_at {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let before = row.current().map(|press| press.status);
        let rest =
            row.valid().filter(|press| press.seq != wrong).map(|each| (each.at, each.status));
        let after = rest.max_by_key(|(at, _)| *at).filter(|(last, _)| *last > at);
        let after = after.map_or(status, |(_, status)| status);
        let over = matches!(row.end, Some((AssignmentEnd::Diverted | AssignmentEnd::Released, _)));
        let reopens = row.end.is_some() && !over && ends(after).is_none();
        if reopens {
            self.may_reopen(unit, row)?;
        }
        let corrects = Some(wrong);
        let reached = StatusReached { assignment, status, at, corrects };
        let seq = case.push(Event::UnitStatusReached(reached), batch);
        let cause = Cause { actor: case.actor, seq };
        if reopens {
            self.take_crew(id, unit, cause, batch);
        } else if row.end.is_none() && before != Some(after) {
            self.follow_status(assignment, after, cause, batch);
        }
        Ok(())
    }

    fn may_reopen(&self, unit: &Unit, row: &Assignment) -> Result<(), Refusal> {
        if unit.active.is_some() {
            return Err(Refusal::new(RefusalCode::WrongMove));
        }
        if unit.crew_with.is_some() {
            return Err(Refusal::new(RefusalCode::NotAvailable));
        }
        row.incident.map_or(Ok(()), |incident| self.open_incident_of(incident).map(|_| ()))
    }

    pub(super) fn set_availability(
        &self,
        call_sign: &str,
        usable: Usable,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let (id, unit) = self.unit_of(call_sign)?;
        if !usable.is_whole() {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let since = case.now;
        let seq = case.push(Event::AvailabilityChanged { unit: id, usable, since }, batch);
        let cause = Cause { actor: case.actor, seq };
        if !ready(usable) {
            return Ok(());
        }
        if unit.crew_with.is_some() {
            // Who says so has found another crew for it.
            cause.follow(Event::CrewMoved { unit: id, with: None }, batch);
        }
        let Some(next) = unit.queued.first().copied() else { return Ok(()) };
        match self.doing(id) {
            None => self.start(next, cause, batch),
            Some((active, press)) if returning(press.status) => cause.divert(active, next, batch),
            Some(_) => {}
        }
        Ok(())
    }

    /// An incident can be closed when nobody is at work for it any more.
    pub(super) fn may_close(&self, incident: IncidentId) -> Result<(), Refusal> {
        let at_work = self.assignments_of(incident).any(|(_, row)| {
            let status = row.current().map(|press| press.status);
            row.end.is_none() && status.is_some_and(|status| !returning(status))
        });
        if at_work { Err(Refusal::new(RefusalCode::StillOpen)) } else { Ok(()) }
    }

    /// Lets go who returns and who would have come later, each by an event of its own.
    pub(super) fn release_units(
        &self,
        incident: IncidentId,
        case: &Case,
        seq: Seq,
        batch: &mut Batch,
    ) {
        let cause = Cause { actor: case.actor, seq };
        for (assignment, row) in self.assignments_of(incident) {
            if row.end.is_some() {
                continue;
            }
            let end = AssignmentEnd::Released;
            cause.follow(Event::AssignmentEnded { assignment, end }, batch);
            if row.current().is_some() {
                self.free(assignment, cause, batch);
            }
        }
    }

    /// What follows from a status that counts.
    fn follow_status(
        &self,
        assignment: AssignmentId,
        status: UnitStatus,
        cause: Cause,
        batch: &mut Batch,
    ) {
        if ends(status).is_some() {
            self.free(assignment, cause, batch);
        } else if returning(status)
            && let Some(next) = self.next_of(assignment.unit)
        {
            cause.divert(assignment, next, batch);
        }
    }

    /// A unit whose work is over: what waits for it starts, else its crew is there for the other
    /// vehicle again.
    fn free(&self, over: AssignmentId, cause: Cause, batch: &mut Batch) {
        if let Some(assignment) = self.next_of(over.unit) {
            cause.follow(Event::AssignmentStarted { assignment }, batch);
            return;
        }
        let unit = self.dispatch.units.get(&over.unit);
        let Some(partner) = unit.and_then(|unit| self.partner_of(unit)) else { return };
        let gone = self.dispatch.units.get(&partner).and_then(|partner| partner.crew_with);
        if gone == Some(over.unit) {
            cause.follow(Event::CrewMoved { unit: partner, with: None }, batch);
        }
    }

    /// The order that starts when the unit is free; none while it may not be used.
    fn next_of(&self, id: UnitId) -> Option<AssignmentId> {
        let unit = self.dispatch.units.get(&id)?;
        unit.queued.first().copied().filter(|_| ready(unit.usable))
    }

    /// A unit leaves its station for this.
    fn start(&self, assignment: AssignmentId, cause: Cause, batch: &mut Batch) {
        cause.follow(Event::AssignmentStarted { assignment }, batch);
        if let Some(unit) = self.dispatch.units.get(&assignment.unit) {
            self.take_crew(assignment.unit, unit, cause, batch);
        }
    }

    fn take_crew(&self, id: UnitId, unit: &Unit, cause: Cause, batch: &mut Batch) {
        let Some(partner) = self.partner_of(unit) else { return };
        if self.stands(partner) {
            cause.follow(Event::CrewMoved { unit: partner, with: Some(id) }, batch);
        }
    }

    /// Whether a unit is in its station with its crew.
    fn stands(&self, id: UnitId) -> bool {
        let unit = self.dispatch.units.get(&id);
        unit.is_some_and(|unit| unit.active.is_none() && unit.crew_with.is_none())
    }

    fn partner_of(&self, unit: &Unit) -> Option<UnitId> {
        unit.entry.cross_staffed_with.as_deref().and_then(|call_sign| self.unit(call_sign))
    }

    fn unit_of(&self, call_sign: &str) -> Result<(UnitId, &Unit), Refusal> {
        let id = self.unit(call_sign);
        id.and_then(|id| Some((id, self.dispatch.units.get(&id)?)))
            .filter(|(_, unit)| !unit.withdrawn || unit.active.is_some())
            .ok_or(Refusal::new(RefusalCode::NotFound))
    }

    /// What a unit is doing.
    fn doing(&self, id: UnitId) -> Option<(AssignmentId, &Press)> {
        let active = self.dispatch.units.get(&id)?.active?;
        Some((active, self.assignment(active)?.current()?))
    }

    /// The assignment that a status at this time is about: of the incident that was named, else
    /// what the unit is doing, else what it did then.
    fn assignment_of(
        &self,
        id: UnitId,
        unit: &Unit,
        incident: Option<IncidentId>,
        at: Timestamp,
    ) -> Result<(AssignmentId, &Assignment), Refusal> {
        let begun = |row: &Assignment| row.ordered_at <= plus(at, CLOCKS_APART);
        let rows = || self.dispatch.assignments.iter().filter(|(row, _)| row.unit == id).rev();
        let found = match incident {
            Some(incident) => {
                self.incidents.get(&incident).ok_or(Refusal::new(RefusalCode::NotFound))?;
                let mut rows = rows().filter(|(_, row)| row.incident == Some(incident));
                rows.clone().find(|(_, row)| begun(row)).or_else(|| rows.next())
            }
            None => {
                let active =
                    unit.active.and_then(|active| self.dispatch.assignments.get_key_value(&active));
                let started = |row: &Assignment| {
                    let first = row.presses.first();
                    first.is_some_and(|press| press.at <= plus(at, CLOCKS_APART))
                };
                active
                    .filter(|(_, row)| started(row))
                    .or_else(|| rows().find(|(_, row)| started(row)))
            }
        };
        let (id, row) = found.ok_or(Refusal::new(RefusalCode::WrongMove))?;
        Ok((*id, row))
    }
}

impl Cause {
    fn follow(self, event: Event, batch: &mut Batch) {
        batch.follow(self.actor, self.seq, event);
    }

    /// A unit goes from one thing to the next without its station between.
    fn divert(self, from: AssignmentId, to: AssignmentId, batch: &mut Batch) {
        let end = AssignmentEnd::Diverted;
        self.follow(Event::AssignmentEnded { assignment: from, end }, batch);
        self.follow(Event::AssignmentStarted { assignment: to }, batch);
    }
}

/// How a new unit is found.
fn find(
    now: Timestamp,
    (unit, partner): (UnitId, Option<UnitId>),
    (usual, found): (Usable, Option<&UnitFound>),
    batch: &mut Batch,
) {
    let usable = found.map_or(usual, |found| found.usable);
    let since_min = found.map_or(0, |found| found.since_min);
    let ago = SignedDuration::from_mins(i64::from(since_min));
    let since = now.checked_sub(ago).unwrap_or(now);
    if usable != Usable::AVAILABLE {
        batch.push_core(Event::AvailabilityChanged { unit, usable, since });
    }
    if let Some(status) = found.and_then(|found| found.status) {
        batch.push_core(Event::UnitFoundOut { unit, status, at: since });
        if let Some(partner) = partner {
            batch.push_core(Event::CrewMoved { unit: partner, with: Some(unit) });
        }
    }
}

/// A watch that is slow, or is read to the minute, does not come before the order itself.
fn not_before_order(at: Timestamp, row: &Assignment) -> Timestamp {
    let began = row.presses.first().map_or(at, |press| press.at);
    if plus(at, CLOCKS_APART) < began { at } else { at.max(began) }
}

/// An order that waits for a unit can only be taken back.
fn cancel_waiting(
    assignment: AssignmentId,
    status: UnitStatus,
    case: &Case,
    batch: &mut Batch,
) -> Result<(), Refusal> {
    if status != UnitStatus::Cancelled {
        return Err(Refusal::new(RefusalCode::WrongMove));
    }
    case.push(Event::AssignmentEnded { assignment, end: AssignmentEnd::Cancelled }, batch);
    Ok(())
}

/// The moves of the console reference, 6.1: forward, any step may be skipped; cancelled before
/// arrival; called back from the way home.
fn can_follow(from: UnitStatus, to: UnitStatus) -> bool {
    match to {
        UnitStatus::Ordered => false,
        UnitStatus::Cancelled => can_cancel(from),
        UnitStatus::OnScene if from == UnitStatus::Returning => true,
        UnitStatus::Acknowledged
        | UnitStatus::EnRoute
        | UnitStatus::OnScene
        | UnitStatus::Working
        | UnitStatus::Transporting
        | UnitStatus::AtHospital
        | UnitStatus::Returning
        | UnitStatus::InStation => ends(from).is_none() && to > from,
    }
}

const fn can_cancel(status: UnitStatus) -> bool {
    matches!(status, UnitStatus::Ordered | UnitStatus::Acknowledged | UnitStatus::EnRoute)
}

const fn returning(status: UnitStatus) -> bool {
    matches!(status, UnitStatus::Returning)
}

const fn ready(usable: Usable) -> bool {
    matches!(usable.availability, Availability::Available | Availability::Delayed)
}

fn plus(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(at)
}
