//! The recommendation: which units the plan asks for, which are nearest, and why not the others.

use std::collections::BTreeSet;

use hansho_model::{
    Ability, Availability, AvailabilityReason, IncidentId, IncidentKind, IncidentSubkind,
    MetresU32, NeedMet, Plan, PlanNeed, Position, Recommendation, UnitAdvice, UnitId, UnitStatus,
    Why,
};
use jiff::{SignedDuration, Timestamp};

use crate::state::State;
use crate::units::Unit;

/// A position older than this is called stale.
const POSITION_FRESH: SignedDuration = SignedDuration::from_mins(5);
/// A position older than this counts only when nothing else is left (console reference, 6.6).
const POSITION_KEPT: SignedDuration = SignedDuration::from_mins(30);

impl State {
    /// What should go to this incident beside what is ordered already; `None` when it is not known.
    /// The atlas is asked for the ways, so this belongs to `decide` and to readers, never to
    /// `evolve`; an order keeps the answer.
    #[must_use]
    pub fn recommend(&self, incident: IncidentId, now: Timestamp) -> Option<Recommendation> {
        let record = self.incidents.get(&incident)?;
        self.recommend_as(incident, record.kind, record.subkind, now)
    }

    /// The same, as if the incident were of another kind.
    #[must_use]
    pub fn recommend_as(
        &self,
        incident: IncidentId,
        kind: IncidentKind,
        subkind: Option<IncidentSubkind>,
        now: Timestamp,
    ) -> Option<Recommendation> {
        let place = self.incidents.get(&incident)?.place.position;
        let needs =
            plan_of(&self.dispatch.plans, kind, subkind).map_or(&[][..], |plan| &plan.first);
        let asked = asked_abilities(needs);
        let candidates = self
            .dispatch
            .units
            .iter()
            .filter(|(_, unit)| !unit.withdrawn)
            .map(|(id, unit)| self.candidate((*id, unit), (incident, place), &asked, now))
            .collect();
        Some(Choice { state: self, candidates, taken: BTreeSet::new() }.advise(needs, &asked))
    }

    fn candidate<'a>(
        &'a self,
        (id, unit): (UnitId, &'a Unit),
        (incident, place): (IncidentId, Option<Position>),
        asked: &[Ability],
        now: Timestamp,
    ) -> Candidate<'a> {
        let mut rows = self.assignments_of(incident).filter(|(row, _)| row.unit == id);
        let row = rows.find(|(_, row)| row.end.is_none()).map(|(_, row)| row);
        let status = unit.active.and_then(|active| self.assignment(active)?.current());
        let status = status.map(|press| press.status);
        let blocked = match row {
            Some(_) => Some(Why::AlreadyOrdered),
            None => blocked(unit, status),
        };
        // One that returns will not be there.
        let returning = status == Some(UnitStatus::Returning);
        let present = row.is_some_and(|row| row.presses.is_empty() || !returning);
        let mut candidate = Candidate {
            id,
            unit,
            metres: None,
            seconds: u32::MAX,
            blocked,
            present,
            last: false,
            flags: Vec::new(),
            spare: unit.entry.abilities.iter().filter(|each| !asked.contains(each)).count(),
            chosen: None,
        };
        match place {
            Some(place) => self.measure(&mut candidate, place, now),
            None if blocked.is_none() => candidate.blocked = Some(Why::NoPlace),
            None => {}
        }
        if returning {
            candidate.flags.insert(0, Why::Diverted);
        }
        candidate
    }

    fn measure(&self, candidate: &mut Candidate<'_>, place: Position, now: Timestamp) {
        let Some(known) = self.unit_position(candidate.id) else { return };
        let travel = hansho_atlas::travel(known.position, place);
        let usable = candidate.unit.usable_now();
        let wait_s = usable.minutes.map_or(0, |minutes| u32::from(minutes).saturating_mul(60));
        candidate.metres = Some(travel.line);
        candidate.seconds = travel.seconds.saturating_add(wait_s);
        if usable.availability == Availability::Delayed {
            candidate.flags.push(Why::Delayed);
        }
        match known.at.map(|at| now.duration_since(at)) {
            None => candidate.flags.push(Why::HomeStation),
            Some(age) => {
                candidate.last = age > POSITION_KEPT;
                if known.guessed || age > POSITION_FRESH {
                    candidate.flags.push(Why::StalePosition);
                }
            }
        }
    }
}

/// The plan of this kind: of the second level when there is one, else of the first.
fn plan_of(plans: &[Plan], kind: IncidentKind, subkind: Option<IncidentSubkind>) -> Option<&Plan> {
    let of = |level| plans.iter().find(|plan| plan.kind == kind && plan.subkind == level);
    of(subkind).or_else(|| of(None))
}

fn asked_abilities(needs: &[PlanNeed]) -> Vec<Ability> {
    let with = needs.iter().filter_map(|need| need.with.map(|(ability, _)| ability));
    needs.iter().map(|need| need.ability).chain(with).collect()
}

/// Why a unit cannot be sent, whatever it can do.
fn blocked(unit: &Unit, status: Option<UnitStatus>) -> Option<Why> {
    if unit.crew_with.is_some() {
        return Some(Why::NoCrew);
    }
    match unit.usable.availability {
        Availability::OutOfService => {
            return Some(match unit.usable.reason {
                Some(AvailabilityReason::Maintenance) => Why::OutMaintenance,
                Some(AvailabilityReason::Training) => Why::OutTraining,
                Some(AvailabilityReason::Reassigned) => Why::OutReassigned,
                Some(AvailabilityReason::Crew) | None => Why::OutCrew,
            });
        }
        Availability::Off if unit.entry.reserve => return Some(Why::NoCrew),
        Availability::Off => return Some(Why::OutOff),
        Availability::Available | Availability::Delayed => {}
    }
    status.filter(|status| *status != UnitStatus::Returning).map(|_| Why::Busy)
}

/// A unit on the way to being chosen.
struct Candidate<'a> {
    id: UnitId,
    unit: &'a Unit,
    metres: Option<MetresU32>,
    seconds: u32,
    blocked: Option<Why>,
    /// Ordered to this incident already and not on its way home: counts, and is not chosen again.
    present: bool,
    /// Its position is so old that it counts only when nothing else is left.
    last: bool,
    flags: Vec<Why>,
    /// Abilities nobody asks for here: of two that are as near, the plainer one goes.
    spare: usize,
    chosen: Option<Ability>,
}

impl Candidate<'_> {
    /// The smallest goes first: of two that are as near, the one whose place is sure.
    fn key(&self) -> (bool, bool, u32, bool, usize, UnitId) {
        let stale = self.flags.contains(&Why::StalePosition);
        (!self.present, self.last, self.seconds, stale, self.spare, self.id)
    }
}

/// Chooses units for needs.
struct Choice<'a> {
    state: &'a State,
    candidates: Vec<Candidate<'a>>,
    /// Those that fill a need already, and those whose crew went with one of them.
    taken: BTreeSet<UnitId>,
}

impl Choice<'_> {
    fn advise(mut self, needs: &[PlanNeed], asked: &[Ability]) -> Recommendation {
        // What few can do is chosen first: a boat may take the crew of a rescue truck.
        let mut order: Vec<usize> = (0..needs.len()).collect();
        order.sort_by_key(|index| needs.get(*index).map(|need| self.able(need.ability)));
        let mut met: Vec<(usize, [Option<NeedMet>; 2])> = Vec::new();
        for index in order {
            if let Some(need) = needs.get(index).copied() {
                met.push((index, self.fill(need)));
            }
        }
        met.sort_by_key(|(index, _)| *index);
        let needs = met.into_iter().flat_map(|(_, both)| both).flatten().collect();
        let only: Vec<Ability> =
            asked.iter().copied().filter(|ability| self.able(*ability) == 1).collect();
        self.candidates.sort_by_key(|each| {
            let able = asked.iter().any(|ability| each.unit.can(*ability));
            (each.chosen.is_none(), !able, each.blocked.is_some(), each.seconds, each.id)
        });
        let units = self.candidates.iter().map(|each| self.advice(each, asked, &only)).collect();
        Recommendation { needs, units }
    }

    /// How many that may go can do this.
    fn able(&self, ability: Ability) -> usize {
        let free = self.candidates.iter().filter(|each| each.blocked.is_none());
        free.filter(|each| each.unit.can(ability)).count()
    }

    fn fill(&mut self, need: PlanNeed) -> [Option<NeedMet>; 2] {
        let (mut have, mut have_with) = (0_u8, 0_u8);
        if let Some((with, count)) = need.with {
            for _ in 0..count.min(need.count) {
                if !self.take_nearest(need.ability, Some(with)) {
                    break;
                }
                have_with = have_with.saturating_add(1);
            }
            have = have_with;
        }
        while have < need.count && self.take_nearest(need.ability, None) {
            have = have.saturating_add(1);
        }
        let first = NeedMet { ability: need.ability, want: need.count, have };
        let with = need.with.map(|(ability, want)| NeedMet { ability, want, have: have_with });
        [Some(first), with]
    }

    /// Takes the nearest one that can do it; `false` when there is none.
    fn take_nearest(&mut self, ability: Ability, with: Option<Ability>) -> bool {
        let taken = &self.taken;
        let nearest = self
            .candidates
            .iter_mut()
            .filter(|each| each.present || each.blocked.is_none())
            .filter(|each| !taken.contains(&each.id) && each.unit.can(ability))
            .filter(|each| with.is_none_or(|with| each.unit.can(with)))
            .min_by_key(|each| each.key());
        let Some(nearest) = nearest else { return false };
        self.taken.insert(nearest.id);
        if !nearest.present {
            nearest.chosen = Some(ability);
            let partner = nearest.unit.entry.cross_staffed_with.as_deref();
            self.taken.extend(partner.and_then(|call_sign| self.state.unit(call_sign)));
        }
        true
    }

    fn advice(&self, each: &Candidate<'_>, asked: &[Ability], only: &[Ability]) -> UnitAdvice {
        let could = asked.iter().copied().find(|ability| each.unit.can(*ability));
        let mut why = Vec::new();
        match (each.chosen, each.blocked) {
            (Some(ability), _) if only.contains(&ability) => why.push(Why::OnlyWithCapability),
            (Some(_), _) => why.push(Why::NearestByLine),
            (None, Some(blocked)) => why.push(blocked),
            (None, None) if self.taken.contains(&each.id) => why.push(Why::NoCrew),
            (None, None) if could.is_some() => why.push(Why::Farther),
            (None, None) => why.push(Why::NotNeeded),
        }
        if each.blocked.is_none() {
            why.extend(each.flags.iter().copied());
        }
        let known = each.metres.is_some();
        let minutes = u16::try_from(each.seconds.div_ceil(60)).unwrap_or(u16::MAX);
        UnitAdvice {
            unit: each.id,
            chosen: each.chosen.is_some(),
            ability: each.chosen.or(could),
            minutes: known.then_some(minutes),
            distance: each.metres,
            why,
        }
    }
}
