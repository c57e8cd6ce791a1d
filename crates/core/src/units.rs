//! Units, orders and assignments: what is known of them, and what their events change.
//!
//! Two axes that never overwrite each other: whether a unit may be used, and what it is doing for
//! which incident. What it is doing is not a field but follows from all presses: the latest by its
//! own time counts, so one that comes late finds its place and changes nothing newer.

use std::collections::BTreeMap;

use hansho_model::{
    Ability, AssignmentEnd, AssignmentId, Availability, AvailabilityReason, Door, EffectId,
    EffectOutcome, IncidentId, MetresU32, NeedMet, OrderSheet, OrderWord, Outcome, Plan, PlanNeed,
    Position, Recommendation, Recorded, SealedReport, Seq, SourceId, StatusReached, UnitAdvice,
    UnitEntry, UnitId, UnitKind, UnitStatus, UnitsOrdered, Usable, Why,
};
use jiff::{SignedDuration, Timestamp};

use crate::canonical::{Canonical, DecodeError, canonical, newtypes, word_enums};
use crate::state::{Device, OwedPhase, State, limits};
use crate::track::LastFix;

/// How long a terminal that is away is told that an order is taken back.
const WITHDRAWAL_TIME: SignedDuration = SignedDuration::from_hours(1);
/// How far from its station a vehicle may be and still stand there.
const STATION_RADIUS: MetresU32 = MetresU32(300);

/// Units, orders, assignments and plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub(crate) units: BTreeMap<UnitId, Unit>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) orders: BTreeMap<Seq, Order>,
    pub(crate) assignments: BTreeMap<AssignmentId, Assignment>,
    /// Sheets that are owed to a terminal.
    pub(crate) sheets: BTreeMap<EffectId, AssignmentId>,
    /// Sheets that terminals are to have now, until the event that owes them.
    pub(crate) due: BTreeMap<AssignmentId, OrderWord>,
    /// Found again from the rest: units by call sign, orders by incident.
    pub(crate) call_signs: BTreeMap<String, UnitId>,
    pub(crate) ordered: BTreeMap<IncidentId, Vec<Seq>>,
}

/// A unit (隊).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its entry in the register.
    pub entry: UnitEntry,
    /// Whether it left the register; old orders still name it.
    pub withdrawn: bool,
    /// Whether it may be used, as a person said last.
    pub usable: Usable,
    /// Since when.
    pub usable_since: Timestamp,
    /// The unit its crew went with.
    pub crew_with: Option<UnitId>,
    /// What it is doing: one thing at most.
    pub active: Option<AssignmentId>,
    /// Orders that wait until it is free, oldest first.
    pub queued: Vec<AssignmentId>,
}

impl Unit {
    /// Whether it may be used now: without its crew it may not, whatever was said before.
    #[must_use]
    pub fn usable_now(&self) -> Usable {
        let ready =
            matches!(self.usable.availability, Availability::Available | Availability::Delayed);
        if ready && self.crew_with.is_some() {
            let reason = Some(AvailabilityReason::Crew);
            return Usable { availability: Availability::OutOfService, reason, minutes: None };
        }
        self.usable
    }

    /// Whether it has what `ability` asks for.
    #[must_use]
    pub fn can(&self, ability: Ability) -> bool {
        self.entry.abilities.contains(&ability)
    }
}

/// An order (指令), with what was recommended when it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Operator.
    pub by: SourceId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub ordered: UnitsOrdered,
}

/// What one unit does for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its incident; `None` when the unit was out already before this journal began.
    pub incident: Option<IncidentId>,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// Statuses in the order of the journal; empty while it waits in the unit's queue.
    pub presses: Vec<Press>,
    /// How and when it ended.
    pub end: Option<(AssignmentEnd, Timestamp)>,
    /// When the order stood on the unit's terminal.
    pub delivered_at: Option<Timestamp>,
    /// When the terminal showed that it is taken back.
    pub withdrawn_at: Option<Timestamp>,
    /// Every sheet that was owed for it, and what it says.
    pub(crate) sheets: Vec<(EffectId, OrderWord)>,
}

impl Assignment {
    const fn new(incident: Option<IncidentId>, ordered_at: Timestamp) -> Self {
        Self {
            incident,
            ordered_at,
            presses: Vec::new(),
            end: None,
            delivered_at: None,
            withdrawn_at: None,
            sheets: Vec::new(),
        }
    }

    /// Statuses that nobody corrected.
    pub fn valid(&self) -> impl Iterator<Item = &Press> {
        self.presses.iter().filter(|press| press.corrected_by.is_none())
    }

    /// The status that counts: the latest by its own time.
    #[must_use]
    pub fn current(&self) -> Option<&Press> {
        self.valid().max_by_key(|press| (press.at, press.seq))
    }

    /// When each status was reached first; of what may come again on the way home, last. What was
    /// skipped stays away.
    #[must_use]
    pub fn times(&self) -> BTreeMap<UnitStatus, Timestamp> {
        let mut times = BTreeMap::new();
        for press in self.valid() {
            let time = times.entry(press.status).or_insert(press.at);
            *time = match press.status {
                UnitStatus::Returning | UnitStatus::InStation => press.at.max(*time),
                UnitStatus::Ordered
                | UnitStatus::Acknowledged
                | UnitStatus::EnRoute
                | UnitStatus::OnScene
                | UnitStatus::Working
                | UnitStatus::Transporting
                | UnitStatus::AtHospital
                | UnitStatus::Cancelled => press.at.min(*time),
            };
        }
        times
    }
}

/// A status that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Press {
    /// The event.
    pub seq: Seq,
    /// The status.
    pub status: UnitStatus,
    /// When it happened.
    pub at: Timestamp,
    /// When we knew.
    pub recorded_at: Timestamp,
    /// Who said so.
    pub by: SourceId,
    /// The event that corrected it; it then no longer counts.
    pub corrected_by: Option<Seq>,
}

/// Where a unit is believed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitPosition {
    /// Where.
    pub position: Position,
    /// When that was known; `None` while it stands in its station.
    pub at: Option<Timestamp>,
    /// Whether it is only the station's place, while the unit is elsewhere.
    pub guessed: bool,
}

impl State {
    /// Units in the order of their numbers, with those that left the register.
    #[must_use]
    pub const fn units(&self) -> &BTreeMap<UnitId, Unit> {
        &self.dispatch.units
    }

    /// The unit of this call sign.
    #[must_use]
    pub fn unit(&self, call_sign: &str) -> Option<UnitId> {
        self.dispatch.call_signs.get(call_sign).copied()
    }

    /// Response plans.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.dispatch.plans
    }

    /// Orders of the incidents that are kept, oldest first.
    #[must_use]
    pub const fn orders(&self) -> &BTreeMap<Seq, Order> {
        &self.dispatch.orders
    }

    /// Orders of an incident, oldest first.
    pub fn orders_of(&self, incident: IncidentId) -> impl Iterator<Item = (Seq, &Order)> {
        let orders = self.dispatch.ordered.get(&incident).into_iter().flatten();
        orders.filter_map(|seq| Some((*seq, self.dispatch.orders.get(seq)?)))
    }

    /// One unit's part in one order.
    #[must_use]
    pub fn assignment(&self, id: AssignmentId) -> Option<&Assignment> {
        self.dispatch.assignments.get(&id)
    }

    /// Assignments of an incident in the order of their orders.
    pub fn assignments_of(
        &self,
        incident: IncidentId,
    ) -> impl Iterator<Item = (AssignmentId, &Assignment)> {
        self.dispatch.assignments_of(incident)
    }

    /// Where a unit is believed to be: where its terminal says, if that is the newest word, else in
    /// its station, or at the place of the incident it is, or was, at work for.
    #[must_use]
    pub fn unit_position(&self, id: UnitId) -> Option<UnitPosition> {
        let unit = self.dispatch.units.get(&id)?;
        let believed = self.position_by_status(unit);
        let Some(fix) = self.terminal_fix(unit) else { return believed };
        let told = UnitPosition { position: fix.position, at: Some(fix.at), guessed: false };
        match believed {
            // A terminal that fell silent in the station says nothing else than the station.
            Some(home) if home.at.is_none() => {
                let away = hansho_atlas::distance(home.position, fix.position);
                Some(if away > STATION_RADIUS { told } else { home })
            }
            Some(place) if place.at > told.at && !place.guessed => Some(place),
            Some(_) | None => Some(told),
        }
    }

    /// The last place that a unit's terminal told.
    fn terminal_fix(&self, unit: &Unit) -> Option<LastFix> {
        let device = self.terminal_device(unit.entry.terminal.as_deref()?)?;
        device.track.fix.filter(|fix| !fix.suspect)
    }

    /// What is known of a terminal as a device; `None` before it was heard.
    #[must_use]
    pub fn terminal_device(&self, terminal: &str) -> Option<&Device> {
        self.devices.get(self.index.sources.get(&terminal_source(terminal))?)
    }

    fn position_by_status(&self, unit: &Unit) -> Option<UnitPosition> {
        let station = unit.entry.position;
        let home = UnitPosition { position: station, at: None, guessed: false };
        let Some(row) = unit.active.and_then(|active| self.assignment(active)) else {
            return Some(home);
        };
        let press = row.current()?;
        let scene = row
            .incident
            .and_then(|incident| self.incidents.get(&incident))
            .and_then(|incident| incident.place.position);
        let guess = UnitPosition { position: station, at: Some(press.at), guessed: true };
        let at_scene = |at| scene.map(|position| UnitPosition { position, at, guessed: false });
        match press.status {
            UnitStatus::Ordered | UnitStatus::Acknowledged => Some(home),
            UnitStatus::EnRoute => Some(guess),
            UnitStatus::OnScene | UnitStatus::Working => {
                Some(at_scene(Some(press.at)).unwrap_or(guess))
            }
            UnitStatus::Returning => {
                let left = row.times().get(&UnitStatus::Transporting).copied();
                Some(at_scene(left.or(Some(press.at))).unwrap_or(guess))
            }
            UnitStatus::Transporting
            | UnitStatus::AtHospital
            | UnitStatus::InStation
            | UnitStatus::Cancelled => None,
        }
    }
}

impl State {
    /// What a terminal shows of an order.
    pub(crate) fn sheet(&self, id: EffectId) -> Option<OrderSheet> {
        let assignment = *self.dispatch.sheets.get(&id)?;
        let word = self.dispatch.assignments.get(&assignment)?.word_of(id)?;
        let order = self.dispatch.orders.get(&assignment.order)?;
        let terminal = self.dispatch.units.get(&assignment.unit)?.entry.terminal.clone()?;
        let incident = self.incidents.get(&order.ordered.incident)?;
        let call_sign = |id| Some(self.dispatch.units.get(id)?.entry.call_sign.clone());
        Some(OrderSheet {
            assignment,
            word,
            terminal,
            incident: order.ordered.incident,
            number: incident.number.clone(),
            kind: incident.kind,
            subkind: incident.subkind,
            ordered_at: order.at,
            place: incident.place.clone(),
            place_text: incident.place_text.clone(),
            units: order.ordered.units.iter().filter_map(call_sign).collect(),
            mode: self.settings.as_ref()?.mode,
        })
    }

    /// Whether a unit's terminal shows that an order is taken back: `owed`, `shown` or `given_up`;
    /// `None` when there was nothing to take back.
    #[must_use]
    pub fn withdrawal(&self, assignment: AssignmentId) -> Option<&'static str> {
        let row = self.assignment(assignment)?;
        if self.dispatch.due.get(&assignment) == Some(&OrderWord::Withdrawn) {
            return Some("owed");
        }
        let (id, word) = row.sheets.last()?;
        if *word != OrderWord::Withdrawn {
            return None;
        }
        Some(match row.withdrawn_at {
            Some(_) => "shown",
            None if self.owed.contains_key(id) => "owed",
            None => "given_up",
        })
    }

    /// Sheets that were ever owed for an assignment.
    pub(crate) fn sheets_of(&self, assignment: AssignmentId) -> Vec<EffectId> {
        let row = self.assignment(assignment);
        row.into_iter().flat_map(|row| &row.sheets).map(|(id, _)| *id).collect()
    }

    /// The place or the kind of an incident is another: who goes there is to be told. What nobody has
    /// tried to show yet shows it by itself.
    pub(crate) fn want_changes(&mut self, incident: IncidentId) {
        let told = |(_, row): &(AssignmentId, &Assignment)| {
            row.end.is_none() && row.sheets.iter().any(|(id, _)| self.was_attempted(*id))
        };
        let rows: Vec<_> = self.assignments_of(incident).filter(told).map(|(id, _)| id).collect();
        for assignment in rows {
            self.want_sheet(assignment, OrderWord::Changed);
        }
    }

    /// Whether a sheet may stand on a screen.
    fn was_attempted(&self, id: EffectId) -> bool {
        self.owed.get(&id).is_none_or(|owed| owed.attempts > 0)
    }

    /// Another sheet is to be owed, by an event of its own: what the events before this one owe is
    /// settled for ever.
    fn want_sheet(&mut self, assignment: AssignmentId, word: OrderWord) {
        if self.assignment(assignment).is_some_and(Assignment::takes_sheets) {
            self.dispatch.due.insert(assignment, word);
        }
    }

    pub(crate) fn owe_sheet(
        &mut self,
        recorded: &Recorded,
        assignment: AssignmentId,
        word: OrderWord,
    ) {
        self.dispatch.due.remove(&assignment);
        let id = EffectId { seq: recorded.seq, index: 0 };
        let terminal = self.dispatch.units.get(&assignment.unit);
        let Some(terminal) = terminal.and_then(|unit| unit.entry.terminal.clone()) else { return };
        let Some(row) = self.dispatch.assignments.get_mut(&assignment) else { return };
        if !row.takes_sheets() {
            return;
        }
        row.sheets.push((id, word));
        // An order is counted as it always was.
        let mut bytes = vec![3];
        id.put(&mut bytes);
        assignment.put(&mut bytes);
        terminal.put(&mut bytes);
        if word != OrderWord::Ordered {
            word.put(&mut bytes);
        }
        self.dispatch.sheets.insert(id, assignment);
        self.owe(id, recorded.at, &bytes);
    }

    /// Sheets that are owed to the terminal that reports; none for all other devices.
    pub(crate) fn sheets_of_terminal(&self, report: &SealedReport) -> Vec<EffectId> {
        if report.door != Door::Quic || report.refused.is_some() {
            return Vec::new();
        }
        let is_its = |unit: &UnitId| {
            let entry = self.dispatch.units.get(unit).map(|unit| &unit.entry);
            let terminal = entry.and_then(|entry| entry.terminal.as_deref());
            terminal.is_some_and(|terminal| terminal_source(terminal) == report.source)
        };
        let its = self.dispatch.sheets.iter().filter(|(_, row)| is_its(&row.unit));
        its.map(|(id, _)| *id).collect()
    }

    /// A terminal that is heard again need not wait for the next try.
    pub(crate) fn hurry_sheets(&mut self, recorded: &Recorded, report: &SealedReport) {
        for id in self.sheets_of_terminal(report) {
            if let Some(owed) = self.owed.get_mut(&id)
                && matches!(owed.phase, OwedPhase::Waiting { due } if due > recorded.at)
            {
                owed.phase = OwedPhase::Waiting { due: recorded.at };
            }
        }
    }

    /// What a status or an end means for the terminal. Of an order that is over nothing need be shown
    /// any more but, where the crew may have it and is to stay or turn back, that it is taken back; one
    /// whose end was a mistake stands again. An attempt under way comes down by itself.
    pub(crate) fn follow_sheets(&mut self, assignment: AssignmentId) {
        let Some(row) = self.assignment(assignment) else { return };
        let (sheets, end) = (row.sheets.clone(), row.end);
        let Some((_, last)) = sheets.last().copied() else { return };
        let due = self.dispatch.due.get(&assignment).copied();
        let Some((end, _)) = end else {
            if last == OrderWord::Withdrawn || due == Some(OrderWord::Withdrawn) {
                self.drop_sheets(&sheets, |word| word == OrderWord::Withdrawn);
                self.want_sheet(assignment, OrderWord::Ordered);
            }
            return;
        };
        if due == Some(OrderWord::Withdrawn) {
            return;
        }
        self.dispatch.due.remove(&assignment);
        let back = matches!(end, AssignmentEnd::Cancelled | AssignmentEnd::Diverted)
            && last != OrderWord::Withdrawn
            && sheets.iter().any(|(id, _)| self.was_attempted(*id));
        self.drop_sheets(&sheets, |word| word != OrderWord::Withdrawn);
        if back {
            self.want_sheet(assignment, OrderWord::Withdrawn);
        }
    }

    /// Sheets that wait are owed no more.
    fn drop_sheets(&mut self, sheets: &[(EffectId, OrderWord)], which: impl Fn(OrderWord) -> bool) {
        for (id, _) in sheets.iter().filter(|(_, word)| which(*word)) {
            let owed = self.owed.get(id);
            if owed.is_some_and(|owed| matches!(owed.phase, OwedPhase::Waiting { .. })) {
                self.owed.remove(id);
                self.dispatch.sheets.remove(id);
            }
        }
    }

    /// A sheet that was owed to a terminal is settled for good.
    pub(crate) fn settle_sheet(&mut self, outcome: &EffectOutcome) {
        let Some(assignment) = self.dispatch.sheets.remove(&outcome.effect) else { return };
        let (at, row) = (self.at, self.dispatch.assignments.get_mut(&assignment));
        if let Some(row) = row.filter(|_| outcome.outcome == Outcome::Done) {
            match row.word_of(outcome.effect) {
                Some(OrderWord::Withdrawn) => row.withdrawn_at = at,
                Some(OrderWord::Ordered | OrderWord::Changed) | None => row.delivered_at = at,
            }
        }
    }

    /// Sheets that take an order back and that no attempt is under way for, by the time when they are
    /// given up: a terminal that is away for so long is told by radio.
    pub(crate) fn sheets_to_give_up(&self) -> impl Iterator<Item = (Timestamp, EffectId)> {
        self.dispatch.sheets.iter().filter_map(|(id, assignment)| {
            let row = self.dispatch.assignments.get(assignment)?;
            row.word_of(*id).filter(|word| *word == OrderWord::Withdrawn)?;
            let waits = matches!(self.owed.get(id)?.phase, OwedPhase::Waiting { .. });
            Some((row.withdrawal_ends()?, *id)).filter(|_| waits)
        })
    }
}

impl Assignment {
    /// Without an incident there is nothing to show; past the limit the radio must do.
    fn takes_sheets(&self) -> bool {
        self.incident.is_some() && self.sheets.len() < limits::SHEETS
    }

    fn word_of(&self, id: EffectId) -> Option<OrderWord> {
        self.sheets.iter().find(|(sheet, _)| *sheet == id).map(|(_, word)| *word)
    }

    /// Until when a terminal is told that the order is taken back.
    fn withdrawal_ends(&self) -> Option<Timestamp> {
        let (_, ended) = self.end?;
        ended.checked_add(WITHDRAWAL_TIME).ok()
    }
}

/// The name of a terminal among the sources.
pub(crate) fn terminal_source(terminal: &str) -> String {
    format!("{}:{terminal}", Door::Quic)
}

impl Dispatch {
    /// Whether a sheet is still to be shown at a time; `None` when this is none.
    pub(crate) fn sheet_lives(&self, id: EffectId, at: Timestamp) -> Option<bool> {
        let row = self.assignments.get(self.sheets.get(&id)?);
        Some(row.is_some_and(|row| match row.word_of(id) {
            Some(OrderWord::Withdrawn) => row.withdrawal_ends().is_some_and(|end| at < end),
            Some(OrderWord::Ordered | OrderWord::Changed) | None => row.end.is_none(),
        }))
    }

    pub(crate) fn assignments_of(
        &self,
        incident: IncidentId,
    ) -> impl Iterator<Item = (AssignmentId, &Assignment)> {
        let orders = self.ordered.get(&incident).into_iter().flatten();
        orders.flat_map(|order| self.of_order(*order))
    }

    fn of_order(&self, order: Seq) -> impl Iterator<Item = (AssignmentId, &Assignment)> {
        let first = AssignmentId { order, unit: UnitId(0) };
        let last = AssignmentId { order, unit: UnitId(u32::MAX) };
        self.assignments.range(first..=last).map(|(id, row)| (*id, row))
    }

    pub(crate) fn register(&mut self, at: Timestamp, id: UnitId, entry: &UnitEntry) {
        self.call_signs.insert(entry.call_sign.clone(), id);
        if let Some(known) = self.units.get_mut(&id) {
            known.entry = entry.clone();
            known.withdrawn = false;
            return;
        }
        let unit = Unit {
            entry: entry.clone(),
            withdrawn: false,
            usable: Usable::AVAILABLE,
            usable_since: at,
            crew_with: None,
            active: None,
            queued: Vec::new(),
        };
        self.units.insert(id, unit);
    }

    pub(crate) fn withdraw(&mut self, id: UnitId) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.withdrawn = true;
        }
    }

    /// A unit that was out already: an assignment without an incident.
    pub(crate) fn find_out(
        &mut self,
        recorded: &Recorded,
        unit: UnitId,
        status: UnitStatus,
        at: Timestamp,
    ) {
        let id = AssignmentId { order: recorded.seq, unit };
        let row = Assignment::new(None, at);
        self.assignments.insert(id, row);
        self.press(recorded, id, (status, at));
        if let Some(unit) = self.units.get_mut(&unit) {
            unit.active = Some(id);
        }
    }

    pub(crate) fn order(&mut self, recorded: &Recorded, ordered: &UnitsOrdered) {
        let (order, at, by) = (recorded.seq, recorded.at, recorded.source);
        let incident = Some(ordered.incident);
        for id in &ordered.units {
            let row = Assignment::new(incident, at);
            let assignment = AssignmentId { order, unit: *id };
            self.assignments.insert(assignment, row);
            if let Some(unit) = self.units.get_mut(id) {
                unit.queued.push(assignment);
            }
        }
        self.orders.insert(order, Order { by, at, ordered: ordered.clone() });
        self.ordered.entry(ordered.incident).or_default().push(order);
    }

    pub(crate) fn start(&mut self, recorded: &Recorded, id: AssignmentId) {
        self.press(recorded, id, (UnitStatus::Ordered, recorded.at));
        if let Some(unit) = self.units.get_mut(&id.unit) {
            unit.queued.retain(|queued| *queued != id);
            unit.active = Some(id);
        }
    }

    pub(crate) fn end(&mut self, at: Timestamp, id: AssignmentId, how: AssignmentEnd) {
        if let Some(row) = self.assignments.get_mut(&id) {
            row.end = Some((how, at));
        }
        self.leave(id);
    }

    pub(crate) fn reach(&mut self, recorded: &Recorded, reached: &StatusReached) {
        let id = reached.assignment;
        if let Some(wrong) = reached.corrects
            && let Some(row) = self.assignments.get_mut(&id)
            && let Some(press) = row.presses.iter_mut().find(|press| press.seq == wrong)
        {
            press.corrected_by = Some(recorded.seq);
        }
        self.press(recorded, id, (reached.status, reached.at));
        let Some(row) = self.assignments.get_mut(&id) else { return };
        if matches!(row.end, Some((AssignmentEnd::Diverted | AssignmentEnd::Released, _))) {
            return;
        }
        row.end = row.current().and_then(|press| Some((ends(press.status)?, press.at)));
        if row.end.is_some() {
            self.leave(id);
        } else if let Some(unit) = self.units.get_mut(&id.unit) {
            // Back from an end that was a mistake, too.
            unit.active = Some(id);
        }
    }

    pub(crate) fn set_usable(&mut self, id: UnitId, usable: Usable, since: Timestamp) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.usable = usable;
            unit.usable_since = since;
        }
    }

    pub(crate) fn move_crew(&mut self, id: UnitId, with: Option<UnitId>) {
        if let Some(unit) = self.units.get_mut(&id) {
            unit.crew_with = with;
        }
    }

    /// Forgets what was ordered for an incident that is no longer kept.
    pub(crate) fn forget(&mut self, incident: IncidentId) {
        for order in self.ordered.remove(&incident).unwrap_or_default() {
            self.orders.remove(&order);
            let rows: Vec<_> = self.of_order(order).map(|(id, _)| id).collect();
            for id in rows {
                self.assignments.remove(&id);
            }
        }
    }

    fn press(
        &mut self,
        recorded: &Recorded,
        id: AssignmentId,
        (status, at): (UnitStatus, Timestamp),
    ) {
        let press = Press {
            seq: recorded.seq,
            status,
            at,
            recorded_at: recorded.at,
            by: recorded.source,
            corrected_by: None,
        };
        if let Some(row) = self.assignments.get_mut(&id) {
            row.presses.push(press);
        }
    }

    fn leave(&mut self, id: AssignmentId) {
        if let Some(unit) = self.units.get_mut(&id.unit) {
            unit.queued.retain(|queued| *queued != id);
            if unit.active == Some(id) {
                unit.active = None;
            }
        }
        // Without an incident nobody asks for it again.
        if self.assignments.get(&id).is_some_and(|row| row.incident.is_none()) {
            self.assignments.remove(&id);
        }
    }
}

/// How a status ends an assignment, if it does.
pub(crate) const fn ends(status: UnitStatus) -> Option<AssignmentEnd> {
    match status {
        UnitStatus::InStation => Some(AssignmentEnd::Returned),
        UnitStatus::Cancelled => Some(AssignmentEnd::Cancelled),
        UnitStatus::Ordered
        | UnitStatus::Acknowledged
        | UnitStatus::EnRoute
        | UnitStatus::OnScene
        | UnitStatus::Working
        | UnitStatus::Transporting
        | UnitStatus::AtHospital
        | UnitStatus::Returning => None,
    }
}

impl Canonical for Dispatch {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { units, plans, orders, assignments, sheets, due, call_signs: _, ordered: _ } =
            self;
        units.put(out);
        plans.put(out);
        orders.put(out);
        assignments.put(out);
        sheets.put(out);
        due.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut dispatch = Self {
            units: Canonical::take(input)?,
            plans: Canonical::take(input)?,
            orders: Canonical::take(input)?,
            assignments: Canonical::take(input)?,
            sheets: Canonical::take(input)?,
            due: Canonical::take(input)?,
            ..Self::default()
        };
        for (id, unit) in &dispatch.units {
            dispatch.call_signs.insert(unit.entry.call_sign.clone(), *id);
        }
        for (seq, order) in &dispatch.orders {
            dispatch.ordered.entry(order.ordered.incident).or_default().push(*seq);
        }
        Ok(dispatch)
    }
}

word_enums!(
    Ability,
    AssignmentEnd,
    Availability,
    AvailabilityReason,
    OrderWord,
    UnitKind,
    UnitStatus,
    Why
);
newtypes!(UnitId);
canonical!(AssignmentId { order, unit });
canonical!(UnitEntry {
    call_sign,
    station,
    position,
    kind,
    abilities,
    crew,
    cross_staffed_with,
    reserve,
    terminal,
});
canonical!(Usable { availability, reason, minutes });
canonical!(Unit { entry, withdrawn, usable, usable_since, crew_with, active, queued });
canonical!(PlanNeed { ability, count, with });
canonical!(Plan { kind, subkind, first });
canonical!(NeedMet { ability, want, have });
canonical!(UnitAdvice { unit, chosen, ability, minutes, distance, why });
canonical!(Recommendation { needs, units });
canonical!(UnitsOrdered { incident, units, reason, overridden, recommendation });
canonical!(Order { by, at, ordered });
canonical!(Press { seq, status, at, recorded_at, by, corrected_by });
canonical!(Assignment { incident, ordered_at, presses, end, delivered_at, withdrawn_at, sheets });
