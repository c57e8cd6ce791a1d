//! The scheduler: which effect is asked for, delivered, reported next. No time, no threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hansho_model::{
    Attempt, Effect, EffectId, EffectOutcome, Outcome, OutcomeDetail, Receipt, Refusal,
    RefusalCode, Seq,
};
use jiff::{SignedDuration, Timestamp};

use crate::provider::{Provider, Traffic};
use crate::{Delivery, Task};

/// Most effects in one `Input::Attempt` or `Input::Outcome`.
pub const BATCH_MAX: usize = 256;

/// Rounds of deliveries that may be written down: one that flies, three that follow.
pub(crate) const ROUNDS: usize = 4;

/// How long to wait before asking the core again after it did not take an input.
const PAUSE: SignedDuration = SignedDuration::from_millis(500);

/// Two clocks may differ by a little: "not yet" for a time that is now must not spin.
const BLINK: SignedDuration = SignedDuration::from_millis(10);

/// Calls that are connected, orders that are shown and messages that are with a modem at once, beside
/// all other effects: somebody waits on the line, or for the unit, so they wait for nothing else; and
/// what waits for a satellite for hours takes nobody's place. No headquarters has more seats, vehicles
/// and messages (16) than this.
pub const CALLS_MAX: usize = 128;

/// How much may go on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deliveries at once, at least 1.
    pub width: usize,
    /// Effects between "asked" and "reported", at least `width`: what a crash can make uncertain.
    pub in_flight_max: usize,
    /// Deliveries at once to one provider, at least 1: a mute one then costs these, and everybody
    /// else's way stays open. See [`Provider`].
    pub provider_max: usize,
}

impl Limits {
    /// For a channel of this width: while one round flies, up to three more are being written down.
    /// No provider is held to less than that.
    #[must_use]
    pub fn for_width(width: usize) -> Self {
        let width = width.max(1);
        let in_flight_max = width.saturating_mul(ROUNDS).min(BATCH_MAX.max(width));
        Self { width, in_flight_max, provider_max: width }
    }

    /// The same with a limit for each provider.
    #[must_use]
    pub const fn with_provider_max(self, provider_max: usize) -> Self {
        Self { provider_max, ..self }
    }
}

/// What the committed events say about effects. The engine makes these from the core's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The effect is owed, not before `due`. Said once when it begins to be owed, again after each
    /// outcome that leaves it owed, and for every owed effect at a start.
    Owed {
        /// Which.
        id: EffectId,
        /// What.
        effect: Effect,
        /// Not before.
        due: Timestamp,
    },
    /// The attempt is in the journal.
    Attempted(Attempt),
    /// The effect is not owed any more: settled, cancelled or expired.
    Forgotten(EffectId),
    /// All changes up to this event have been told.
    Observed(Seq),
}

/// What the shell has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Submit `Input::Attempt` with these; the answer goes to [`Desk::handle_asked`].
    Ask(Vec<EffectId>),
    /// Give this to the channel; what came of it goes to [`Desk::handle_delivered`].
    Deliver(Task),
    /// Submit `Input::Outcome` with these; the answer goes to [`Desk::handle_reported`].
    Report(Vec<EffectOutcome>),
}

/// How many effects are at which stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Known in all.
    pub known: usize,
    /// Between "asked" and "delivered".
    pub in_flight: usize,
    /// With the channel.
    pub flying: usize,
    /// Outcomes that were not yet taken by the core.
    pub unreported: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Owed, not before this time.
    Waiting(Timestamp),
    /// Owed and due since this time; stands in its provider's `ready`.
    Ready(Timestamp),
    /// The core was asked to write the attempt down.
    Asked,
    /// The attempt is durable; stands in `granted`.
    Granted,
    /// With the channel; `forgotten` when the core settled it meanwhile.
    Flying { number: u16, forgotten: bool },
    /// The core has the word: it will owe or forget it.
    Settling,
}

/// How much goes on of one class of effects.
#[derive(Clone, Copy, Debug, Default)]
struct Gauge {
    /// Between "asked" and "delivered".
    in_flight: usize,
    /// With the channel.
    flying: usize,
}

/// Whether an effect goes before all others.
const fn is_urgent(effect: &Effect) -> bool {
    match effect {
        Effect::ConnectCall { .. } | Effect::SendOrder(_) | Effect::SendMessage(_) => true,
        Effect::Mail(_) | Effect::DestroyKey(_) => false,
    }
}

#[derive(Debug)]
struct Entry {
    effect: Effect,
    provider: Provider,
    stage: Stage,
}

/// The scheduler of owed effects.
///
/// Between notices it takes turns, so that a call-out of twenty does not stand behind a letter to
/// thousands; within a notice the one that is due longest goes first. No provider gets more than its
/// share of the deliveries at once, so that one that never answers does not hold up the others. Calls
/// go before all of them.
#[derive(Debug)]
pub struct Desk {
    limits: Limits,
    entries: BTreeMap<EffectId, Entry>,
    /// `Stage::Waiting`, by time.
    waiting: BTreeSet<(Timestamp, EffectId)>,
    /// What is ready and under way, by provider; calls are not among what is ready.
    providers: BTreeMap<Provider, Traffic>,
    /// Whose turn was last.
    turn: Seq,
    /// `Stage::Granted`, in the order of the journal.
    granted: VecDeque<Attempt>,
    /// Attempts whose input is not answered yet.
    asking: bool,
    /// Halves of a refused batch of attempts, to be asked for again.
    split_asks: VecDeque<Vec<EffectId>>,
    /// Answered, but the events up to this number are not seen yet.
    unseen: VecDeque<(Seq, Vec<EffectId>)>,
    observed: Seq,
    /// Outcomes to report.
    outcomes: VecDeque<EffectOutcome>,
    /// Halves of a refused batch of outcomes, to be reported again.
    split_reports: VecDeque<Vec<EffectOutcome>>,
    /// Outcomes whose input is not answered yet.
    reporting: usize,
    /// The core did not take an outcome: not again before this time.
    report_pause: Option<Timestamp>,
    others: Gauge,
    calls: Gauge,
    /// `Stage::Ready`, of calls.
    calls_ready: BTreeSet<EffectId>,
}

impl Desk {
    /// Knows of nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let width = limits.width.max(1);
        Self {
            limits: Limits {
                width,
                in_flight_max: limits.in_flight_max.max(width),
                provider_max: limits.provider_max.max(1),
            },
            entries: BTreeMap::new(),
            waiting: BTreeSet::new(),
            providers: BTreeMap::new(),
            turn: Seq::ZERO,
            granted: VecDeque::new(),
            asking: false,
            split_asks: VecDeque::new(),
            unseen: VecDeque::new(),
            observed: Seq::ZERO,
            outcomes: VecDeque::new(),
            split_reports: VecDeque::new(),
            reporting: 0,
            report_pause: None,
            others: Gauge::default(),
            calls: Gauge::default(),
            calls_ready: BTreeSet::new(),
        }
    }

    /// Takes in what the committed events say, in their order; `provider` says whose limits an
    /// effect goes by.
    pub fn handle_change(&mut self, change: Change, provider: impl Fn(&Effect) -> Provider) {
        match change {
            Change::Owed { id, effect, due } => {
                let provider = provider(&effect);
                self.owe(id, effect, provider, due);
            }
            Change::Attempted(attempt) => self.grant(attempt),
            Change::Forgotten(id) => self.forget(id),
            Change::Observed(seq) => self.observed = self.observed.max(seq),
        }
    }

    /// The next thing to do; to be called until it returns `None` after every `handle_*` and when
    /// [`Desk::next_wake`] has come.
    pub fn poll(&mut self, now: Timestamp) -> Option<Action> {
        self.wake(now);
        self.release_omitted(now);
        if let Some(outcomes) = self.next_report(now) {
            return Some(Action::Report(outcomes));
        }
        if let Some(task) = self.next_task() {
            return Some(Action::Deliver(task));
        }
        self.next_ask().map(Action::Ask)
    }

    /// When to poll again though nothing happens; `None` when only an event can change anything.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let due = self.waiting.first().map(|(due, _id)| *due);
        let pause = self.report_pause.filter(|_end| self.has_unreported());
        match (due, pause) {
            (Some(due), Some(pause)) => Some(due.min(pause)),
            (due, pause) => due.or(pause),
        }
    }

    /// The core answered an [`Action::Ask`]; `None` when it did not take the input at all.
    pub fn handle_asked(
        &mut self,
        now: Timestamp,
        ids: Vec<EffectId>,
        answer: Option<Result<Receipt, Refusal>>,
    ) {
        self.asking = false;
        match answer {
            Some(Ok(receipt)) => self.unseen.push_back((receipt.last, ids)),
            Some(Err(_refusal)) if ids.len() > 1 => {
                // One of them was not right; the halves find it without holding up the others.
                let mut first = ids;
                let second = first.split_off(first.len().div_ceil(2));
                self.split_asks.push_back(first);
                self.split_asks.push_back(second);
            }
            Some(Err(refusal)) if is_final(refusal.code) => {
                let later = refusal.not_before.filter(|_at| refusal.code == RefusalCode::NotDue);
                for id in ids {
                    self.unask(id, later.map(|at| at.max(now.saturating_add_or_self(BLINK))));
                }
            }
            Some(Err(_)) | None => {
                for id in ids {
                    self.unask(id, Some(now.saturating_add_or_self(PAUSE)));
                }
            }
        }
    }

    /// What came of an [`Action::Deliver`].
    pub fn handle_delivered(&mut self, id: EffectId, number: u16, delivery: Delivery) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Stage::Flying { number: flown, forgotten } = entry.stage else { return };
        if flown != number {
            return;
        }
        entry.stage = Stage::Settling;
        let urgent = is_urgent(&entry.effect);
        let provider = entry.provider.clone();
        if let Some(traffic) = self.providers.get_mut(&provider) {
            traffic.land(&delivery, self.limits.provider_max);
        }
        if forgotten {
            self.drop_entry(id);
        }
        let gauge = self.gauge(urgent);
        gauge.in_flight -= 1;
        gauge.flying -= 1;
        self.outcomes.push_back(EffectOutcome {
            effect: id,
            attempt: number,
            outcome: delivery.outcome,
            detail: delivery.detail,
        });
    }

    /// The core answered an [`Action::Report`]; `None` when it did not take the input at all.
    pub fn handle_reported(
        &mut self,
        now: Timestamp,
        outcomes: Vec<EffectOutcome>,
        answer: Option<Result<Receipt, Refusal>>,
    ) {
        self.reporting = 0;
        match answer {
            // Settled, or the core knows better: it owes or forgets them by events.
            Some(Ok(_receipt)) => {}
            Some(Err(_refusal)) if outcomes.len() > 1 => {
                let mut first = outcomes;
                let second = first.split_off(first.len().div_ceil(2));
                self.split_reports.push_back(first);
                self.split_reports.push_back(second);
            }
            Some(Err(refusal)) if is_final(refusal.code) => {}
            Some(Err(_)) | None => {
                // What happened outside must not be lost: the same batch again, a little later.
                self.split_reports.push_front(outcomes);
                self.report_pause = Some(now.saturating_add_or_self(PAUSE));
            }
        }
    }

    /// How many effects are at which stage.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let split: usize = self.split_reports.iter().map(Vec::len).sum();
        Counts {
            known: self.entries.len(),
            in_flight: self.others.in_flight + self.calls.in_flight,
            flying: self.others.flying + self.calls.flying,
            unreported: self.outcomes.len() + split + self.reporting,
        }
    }

    const fn gauge(&mut self, urgent: bool) -> &mut Gauge {
        if urgent { &mut self.calls } else { &mut self.others }
    }

    fn owe(&mut self, id: EffectId, effect: Effect, provider: Provider, due: Timestamp) {
        let stage = self.entries.get(&id).map(|entry| entry.stage);
        match stage {
            // The core was asked already, or it flies: the answer will say how it goes on.
            Some(Stage::Asked | Stage::Granted) => return,
            Some(Stage::Flying { number, .. }) => {
                // It flies as what it was, and to whom.
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.stage = Stage::Flying { number, forgotten: false };
                }
                return;
            }
            Some(Stage::Waiting(_) | Stage::Ready(_) | Stage::Settling) => {
                self.unlist(id);
                self.drop_entry(id);
            }
            None => {}
        }
        let max = self.limits.provider_max;
        self.providers
            .entry(provider.clone())
            .or_insert_with_key(|of| Traffic::new(of, max))
            .known += 1;
        self.entries.insert(id, Entry { effect, provider, stage: Stage::Waiting(due) });
        self.waiting.insert((due, id));
    }

    /// Forgets an effect that stands on no list; its provider, too, when that was the last one.
    fn drop_entry(&mut self, id: EffectId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        let Some(traffic) = self.providers.get_mut(&entry.provider) else { return };
        traffic.known -= 1;
        if traffic.known == 0 {
            self.providers.remove(&entry.provider);
        }
    }

    /// An effect on its way before it flies is not on its way any more.
    fn call_back(&mut self, id: EffectId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let urgent = is_urgent(&entry.effect);
        if let Some(traffic) = self.providers.get_mut(&entry.provider) {
            traffic.in_flight -= 1;
        }
        self.gauge(urgent).in_flight -= 1;
    }

    fn grant(&mut self, attempt: Attempt) {
        let Some(entry) = self.entries.get_mut(&attempt.effect) else { return };
        // Only what was asked for is delivered: an attempt of an earlier run is not ours to make.
        if entry.stage == Stage::Asked {
            entry.stage = Stage::Granted;
            self.granted.push_back(attempt);
        }
    }

    fn forget(&mut self, id: EffectId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let stage = entry.stage;
        match stage {
            Stage::Flying { number, .. } => {
                // It is out already: what came of it is still told.
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.stage = Stage::Flying { number, forgotten: true };
                }
                return;
            }
            Stage::Granted => {
                self.call_back(id);
                let place = self.granted.iter().position(|attempt| attempt.effect == id);
                if let Some(attempt) = place.and_then(|place| self.granted.remove(place)) {
                    self.outcomes.push_back(never_made(attempt));
                }
            }
            Stage::Asked => self.call_back(id),
            Stage::Waiting(_) | Stage::Ready(_) | Stage::Settling => self.unlist(id),
        }
        self.drop_entry(id);
    }

    /// Takes a waiting or ready effect off its list.
    fn unlist(&mut self, id: EffectId) {
        let Some(entry) = self.entries.get(&id) else { return };
        match entry.stage {
            Stage::Waiting(due) => {
                self.waiting.remove(&(due, id));
            }
            Stage::Ready(due) => {
                self.calls_ready.remove(&id);
                if let Some(traffic) = self.providers.get_mut(&entry.provider) {
                    traffic.unlist(id, due);
                }
            }
            Stage::Asked | Stage::Granted | Stage::Flying { .. } | Stage::Settling => {}
        }
    }

    /// An effect that was asked for and not granted: due later, or up to the core.
    fn unask(&mut self, id: EffectId, later: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.stage != Stage::Asked {
            return;
        }
        match later {
            Some(due) => {
                entry.stage = Stage::Waiting(due);
                self.waiting.insert((due, id));
            }
            None => entry.stage = Stage::Settling,
        }
        self.call_back(id);
    }

    /// Moves what is due now from `waiting` to `ready`.
    fn wake(&mut self, now: Timestamp) {
        while let Some((due, id)) = self.waiting.first().copied() {
            if due > now {
                break;
            }
            self.waiting.remove(&(due, id));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.stage = Stage::Ready(due);
                if is_urgent(&entry.effect) {
                    self.calls_ready.insert(id);
                } else if let Some(traffic) = self.providers.get_mut(&entry.provider) {
                    traffic.list(id, due);
                }
            }
        }
    }

    /// What the core left out of an attempt that it took is asked for again, a little later.
    fn release_omitted(&mut self, now: Timestamp) {
        while self.unseen.front().is_some_and(|(last, _ids)| *last <= self.observed) {
            let Some((_last, ids)) = self.unseen.pop_front() else { break };
            for id in ids {
                self.unask(id, Some(now.saturating_add_or_self(PAUSE)));
            }
        }
    }

    fn next_report(&mut self, now: Timestamp) -> Option<Vec<EffectOutcome>> {
        if self.reporting > 0 || self.report_pause.is_some_and(|end| now < end) {
            return None;
        }
        self.report_pause = None;
        let batch = self.split_reports.pop_front().or_else(|| {
            let count = self.outcomes.len().min(BATCH_MAX);
            (count > 0).then(|| self.outcomes.drain(..count).collect())
        })?;
        self.reporting = batch.len();
        Some(batch)
    }

    fn next_task(&mut self) -> Option<Task> {
        let room = self.others.flying < self.limits.width;
        let may_fly = |attempt: &Attempt| {
            let Some(entry) = self.entries.get(&attempt.effect) else { return false };
            let open = || self.providers.get(&entry.provider).is_some_and(Traffic::may_fly);
            is_urgent(&entry.effect) || (room && open())
        };
        let place = self.granted.iter().position(may_fly)?;
        let attempt = self.granted.remove(place)?;
        let entry = self.entries.get_mut(&attempt.effect)?;
        if let Some(traffic) = self.providers.get_mut(&entry.provider) {
            traffic.flying += 1;
        }
        entry.stage = Stage::Flying { number: attempt.number, forgotten: false };
        let effect = entry.effect.clone();
        self.gauge(is_urgent(&effect)).flying += 1;
        Some(Task { id: attempt.effect, number: attempt.number, effect })
    }

    fn next_ask(&mut self) -> Option<Vec<EffectId>> {
        if self.asking {
            return None;
        }
        while let Some(mut ids) = self.split_asks.pop_front() {
            ids.retain(|id| self.entries.get(id).is_some_and(|entry| entry.stage == Stage::Asked));
            if !ids.is_empty() {
                self.asking = true;
                return Some(ids);
            }
        }
        let mut ids = Vec::new();
        while self.calls.in_flight < CALLS_MAX {
            let Some(id) = self.calls_ready.pop_first() else { break };
            self.ask(id, &mut ids);
        }
        while self.others.in_flight < self.limits.in_flight_max && ids.len() < BATCH_MAX {
            let Some(id) = self.next_ready() else { break };
            self.ask(id, &mut ids);
        }
        self.asking = !ids.is_empty();
        self.asking.then_some(ids)
    }

    fn ask(&mut self, id: EffectId, ids: &mut Vec<EffectId>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.stage = Stage::Asked;
        if let Some(traffic) = self.providers.get_mut(&entry.provider) {
            traffic.in_flight += 1;
        }
        let urgent = is_urgent(&entry.effect);
        self.gauge(urgent).in_flight += 1;
        ids.push(id);
    }

    /// The next in turn among what is ready and has a way open to it.
    fn next_ready(&mut self) -> Option<EffectId> {
        let open = || self.providers.values().filter(|traffic| traffic.has_room());
        let after = self.turn.next();
        let next = open().filter_map(|traffic| traffic.first_from(after)).min();
        let (seq, due, index) =
            next.or_else(|| open().filter_map(|traffic| traffic.first_from(Seq::ZERO)).min())?;
        self.turn = seq;
        let id = EffectId { seq, index };
        let provider = self.entries.get(&id).map(|entry| &entry.provider);
        if let Some(traffic) = provider.and_then(|provider| self.providers.get_mut(provider)) {
            traffic.unlist(id, due);
        }
        Some(id)
    }

    fn has_unreported(&self) -> bool {
        !self.outcomes.is_empty() || !self.split_reports.is_empty()
    }
}

/// Whether asking again later cannot help.
const fn is_final(code: RefusalCode) -> bool {
    !matches!(code, RefusalCode::RateLimited | RefusalCode::LimitReached | RefusalCode::Degraded)
}

/// The outcome of an attempt that was written down and then not made.
fn never_made(attempt: Attempt) -> EffectOutcome {
    EffectOutcome {
        effect: attempt.effect,
        attempt: attempt.number,
        outcome: Outcome::Failed,
        detail: OutcomeDetail::default(),
    }
}

/// Addition that stays at the end of time instead of failing there.
trait Later {
    fn saturating_add_or_self(self, by: SignedDuration) -> Self;
}

impl Later for Timestamp {
    fn saturating_add_or_self(self, by: SignedDuration) -> Self {
        self.checked_add(by).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use hansho_model::{CallRef, KeyId};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn id(seq: u64, index: u32) -> EffectId {
        EffectId { seq: Seq::new(seq), index }
    }

    fn owed(id: EffectId, due: i64) -> Change {
        Change::Owed { id, effect: Effect::DestroyKey(KeyId(1)), due: at(due) }
    }

    fn call(id: EffectId, due: i64) -> Change {
        let (call, position) = (CallRef("c1".to_owned()), "desk1".to_owned());
        Change::Owed { id, effect: Effect::ConnectCall { call, position }, due: at(due) }
    }

    fn attempted(id: EffectId, number: u16) -> Change {
        Change::Attempted(Attempt { effect: id, number })
    }

    fn receipt(last: u64) -> Option<Result<Receipt, Refusal>> {
        Some(Ok(Receipt { seq: Seq::new(last), last: Seq::new(last) }))
    }

    fn refusal(code: RefusalCode) -> Option<Result<Receipt, Refusal>> {
        Some(Err(Refusal::new(code)))
    }

    /// All that is to be done at a time, in words.
    fn todo(desk: &mut Desk, second: i64) -> String {
        let mut said = String::new();
        while let Some(action) = desk.poll(at(second)) {
            let ids = |ids: &[EffectId]| {
                ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            };
            match action {
                Action::Ask(asked) => write!(said, "ask {}; ", ids(&asked)),
                Action::Deliver(task) => write!(said, "deliver {} #{}; ", task.id, task.number),
                Action::Report(outcomes) => {
                    let told: Vec<String> = outcomes
                        .iter()
                        .map(|each| format!("{} #{} {}", each.effect, each.attempt, each.outcome))
                        .collect();
                    write!(said, "report {}; ", told.join(", "))
                }
            }
            .unwrap();
        }
        said
    }

    fn desk(width: usize, in_flight_max: usize) -> Desk {
        Desk::new(Limits { width, in_flight_max, provider_max: width })
    }

    /// All effects go without a provider.
    fn tell(desk: &mut Desk, change: Change) {
        desk.handle_change(change, |_effect| Provider::default());
    }

    #[test]
    fn a_call_waits_for_no_mail() {
        let mut desk = Desk::new(Limits { width: 1, in_flight_max: 2, provider_max: 1 });
        for index in 0..3 {
            tell(&mut desk, owed(id(7, index), 0));
        }
        assert_eq!(todo(&mut desk, 0), "ask 7.0 7.1; ");
        desk.handle_asked(at(0), vec![id(7, 0), id(7, 1)], receipt(8));
        for index in 0..2 {
            tell(&mut desk, attempted(id(7, index), 1));
        }
        tell(&mut desk, Change::Observed(Seq::new(8)));
        assert_eq!(todo(&mut desk, 0), "deliver 7.0 #1; ", "now the channel is full");
        tell(&mut desk, call(id(9, 0), 0));
        tell(&mut desk, call(id(6, 0), 0));
        tell(&mut desk, Change::Forgotten(id(6, 0)));
        assert_eq!(todo(&mut desk, 0), "ask 9.0; ");
        desk.handle_asked(at(0), vec![id(9, 0)], receipt(10));
        tell(&mut desk, attempted(id(9, 0), 1));
        tell(&mut desk, Change::Observed(Seq::new(10)));
        assert_eq!(todo(&mut desk, 0), "deliver 9.0 #1; ");
        desk.handle_delivered(id(9, 0), 1, Delivery::done(200));
        assert_eq!(todo(&mut desk, 0), "report 9.0 #1 done; ");
        assert_eq!(desk.counts().flying, 1);
        desk.handle_reported(at(0), Vec::new(), receipt(11));
        for seq in 20..200 {
            tell(&mut desk, call(id(seq, 0), 0));
        }
        let asked = desk.poll(at(0));
        let Some(Action::Ask(ids)) = asked else { panic!("{asked:?}") };
        assert_eq!(ids.len(), CALLS_MAX, "and not one more");
    }

    #[test]
    fn one_effect_all_the_way() {
        let mut desk = desk(1, 4);
        tell(&mut desk, owed(id(7, 0), 10));
        assert_eq!(todo(&mut desk, 9), "");
        assert_eq!(desk.next_wake(), Some(at(10)));
        assert_eq!(todo(&mut desk, 10), "ask 7.0; ");
        desk.handle_asked(at(10), vec![id(7, 0)], receipt(8));
        assert_eq!(todo(&mut desk, 10), "", "the answer alone is not the journal's word");
        tell(&mut desk, attempted(id(7, 0), 1));
        tell(&mut desk, Change::Observed(Seq::new(8)));
        assert_eq!(todo(&mut desk, 10), "deliver 7.0 #1; ");
        desk.handle_delivered(id(7, 0), 1, Delivery::failed(451, true));
        assert_eq!(todo(&mut desk, 11), "report 7.0 #1 failed; ");
        desk.handle_reported(at(11), vec![], receipt(9));
        assert_eq!(todo(&mut desk, 99), "", "whether to try again is the core's to say");
        tell(&mut desk, owed(id(7, 0), 100));
        assert_eq!(todo(&mut desk, 100), "ask 7.0; ");
        tell(&mut desk, attempted(id(7, 0), 2));
        desk.handle_asked(at(100), vec![id(7, 0)], receipt(10));
        assert_eq!(todo(&mut desk, 100), "deliver 7.0 #2; ");
        desk.handle_delivered(id(7, 0), 2, Delivery::done(250));
        assert_eq!(todo(&mut desk, 100), "report 7.0 #2 done; ");
        desk.handle_reported(at(100), vec![], receipt(11));
        tell(&mut desk, Change::Forgotten(id(7, 0)));
        assert_eq!(desk.counts(), Counts::default());
    }

    #[test]
    fn notices_take_turns_and_width_holds() {
        let mut desk = desk(2, 5);
        for index in 0..100 {
            tell(&mut desk, owed(id(1, index), 0));
        }
        tell(&mut desk, owed(id(2, 0), 0));
        tell(&mut desk, owed(id(3, 0), 0));
        assert_eq!(todo(&mut desk, 0), "ask 1.0 2.0 3.0 1.1 1.2; ");
        for each in [id(1, 0), id(2, 0), id(3, 0)] {
            tell(&mut desk, attempted(each, 1));
        }
        assert_eq!(todo(&mut desk, 0), "deliver 1.0 #1; deliver 2.0 #1; ");
        desk.handle_delivered(id(1, 0), 1, Delivery::done(250));
        assert_eq!(todo(&mut desk, 0), "report 1.0 #1 done; deliver 3.0 #1; ");
    }

    #[test]
    fn a_refused_batch_is_halved_until_the_bad_one_stands_alone() {
        let mut desk = desk(4, 4);
        for index in 0..4 {
            tell(&mut desk, owed(id(1, index), 0));
        }
        assert_eq!(todo(&mut desk, 0), "ask 1.0 1.1 1.2 1.3; ");
        let all: Vec<EffectId> = (0..4).map(|index| id(1, index)).collect();
        desk.handle_asked(at(0), all.clone(), refusal(RefusalCode::NotDue));
        assert_eq!(todo(&mut desk, 0), "ask 1.0 1.1; ");
        desk.handle_asked(at(0), all[..2].to_vec(), refusal(RefusalCode::NotDue));
        assert_eq!(todo(&mut desk, 0), "ask 1.2 1.3; ");
        desk.handle_asked(at(0), all[2..].to_vec(), receipt(5));
        assert_eq!(todo(&mut desk, 0), "ask 1.0; ");
        desk.handle_asked(at(0), vec![id(1, 0)], refusal(RefusalCode::NotDue));
        assert_eq!(todo(&mut desk, 0), "ask 1.1; ");
        let later = Refusal { code: RefusalCode::NotDue, original: None, not_before: Some(at(30)) };
        desk.handle_asked(at(0), vec![id(1, 1)], Some(Err(later)));
        assert_eq!(todo(&mut desk, 29), "", "1.0 is up to the core, 1.1 comes later");
        assert_eq!(todo(&mut desk, 30), "ask 1.1; ");
    }

    #[test]
    fn what_the_core_did_not_take_is_asked_again() {
        for answer in [None, refusal(RefusalCode::RateLimited), refusal(RefusalCode::Degraded)] {
            let mut desk = desk(1, 1);
            tell(&mut desk, owed(id(1, 0), 0));
            assert_eq!(todo(&mut desk, 0), "ask 1.0; ");
            desk.handle_asked(at(0), vec![id(1, 0)], answer);
            assert_eq!(todo(&mut desk, 0), "");
            assert_eq!(todo(&mut desk, 1), "ask 1.0; ");
        }
    }

    #[test]
    fn what_the_core_left_out_is_asked_again() {
        let mut desk = desk(1, 1);
        tell(&mut desk, owed(id(1, 0), 0));
        assert_eq!(todo(&mut desk, 0), "ask 1.0; ");
        desk.handle_asked(at(0), vec![id(1, 0)], receipt(9));
        assert_eq!(todo(&mut desk, 5), "", "its events may still come");
        tell(&mut desk, Change::Observed(Seq::new(9)));
        assert_eq!(todo(&mut desk, 5), "");
        assert_eq!(todo(&mut desk, 6), "ask 1.0; ");
    }

    /// A desk with 1.0 and 1.1 flying.
    fn flying() -> Desk {
        let mut desk = desk(2, 4);
        for index in 0..2 {
            tell(&mut desk, owed(id(1, index), 0));
        }
        assert_eq!(todo(&mut desk, 0), "ask 1.0 1.1; ");
        for index in 0..2 {
            tell(&mut desk, attempted(id(1, index), 1));
        }
        desk.handle_asked(at(0), vec![id(1, 0), id(1, 1)], receipt(2));
        assert_eq!(todo(&mut desk, 0), "deliver 1.0 #1; deliver 1.1 #1; ");
        desk
    }

    #[test]
    fn outcomes_are_never_lost_when_the_core_is_busy() {
        let mut desk = flying();
        desk.handle_delivered(id(1, 0), 1, Delivery::uncertain());
        assert_eq!(todo(&mut desk, 0), "report 1.0 #1 uncertain; ");
        desk.handle_delivered(id(1, 1), 1, Delivery::done(250));
        let first = EffectOutcome {
            effect: id(1, 0),
            attempt: 1,
            outcome: Outcome::Uncertain,
            detail: OutcomeDetail::default(),
        };
        desk.handle_reported(at(0), vec![first.clone()], None);
        assert_eq!(desk.counts().unreported, 2);
        assert_eq!(desk.next_wake(), Some(at(0) + PAUSE));
        assert_eq!(todo(&mut desk, 0), "");
        assert_eq!(todo(&mut desk, 1), "report 1.0 #1 uncertain; ");
        desk.handle_reported(at(1), vec![first], refusal(RefusalCode::NotDue));
        assert_eq!(todo(&mut desk, 1), "report 1.1 #1 done; ", "a final no is an answer");
    }

    #[test]
    fn a_refused_batch_of_outcomes_is_halved() {
        let mut desk = flying();
        desk.handle_delivered(id(1, 0), 1, Delivery::done(250));
        desk.handle_delivered(id(1, 1), 1, Delivery::done(250));
        let Some(Action::Report(both)) = desk.poll(at(0)) else { panic!("two outcomes wait") };
        desk.handle_reported(at(0), both, refusal(RefusalCode::Invalid));
        assert_eq!(todo(&mut desk, 0), "report 1.0 #1 done; ");
        desk.handle_reported(at(0), vec![], receipt(4));
        assert_eq!(todo(&mut desk, 0), "report 1.1 #1 done; ");
    }

    #[test]
    fn forgotten_at_every_stage() {
        // Waiting, ready and asked: nothing is done.
        let mut desk = desk(1, 1);
        tell(&mut desk, owed(id(1, 0), 9));
        tell(&mut desk, Change::Forgotten(id(1, 0)));
        tell(&mut desk, owed(id(2, 0), 0));
        tell(&mut desk, owed(id(2, 1), 0));
        assert_eq!(todo(&mut desk, 9), "ask 2.0; ");
        tell(&mut desk, Change::Forgotten(id(2, 1)));
        tell(&mut desk, Change::Forgotten(id(2, 0)));
        tell(&mut desk, attempted(id(2, 0), 1));
        assert_eq!(todo(&mut desk, 9), "");
        assert_eq!(desk.counts().in_flight, 0);
        // Flying: what came of it is told.
        let mut desk = flying();
        tell(&mut desk, Change::Forgotten(id(1, 0)));
        desk.handle_delivered(id(1, 0), 1, Delivery::done(250));
        assert_eq!(todo(&mut desk, 0), "report 1.0 #1 done; ");
        assert_eq!(desk.counts().known, 1);
    }

    #[test]
    fn forgotten_between_durable_and_delivered() {
        let mut desk = desk(1, 2);
        tell(&mut desk, owed(id(1, 0), 0));
        tell(&mut desk, owed(id(1, 1), 0));
        assert_eq!(todo(&mut desk, 0), "ask 1.0 1.1; ");
        tell(&mut desk, attempted(id(1, 0), 1));
        tell(&mut desk, attempted(id(1, 1), 1));
        assert_eq!(todo(&mut desk, 0), "deliver 1.0 #1; ");
        tell(&mut desk, Change::Forgotten(id(1, 1)));
        assert_eq!(todo(&mut desk, 0), "report 1.1 #1 failed; ", "it certainly did not go out");
        assert_eq!(desk.counts().known, 1);
    }

    #[test]
    fn words_about_strangers_change_nothing() {
        let mut desk = flying();
        tell(&mut desk, attempted(id(9, 9), 1));
        tell(&mut desk, attempted(id(1, 0), 5));
        tell(&mut desk, Change::Forgotten(id(9, 9)));
        desk.handle_delivered(id(9, 9), 1, Delivery::done(250));
        desk.handle_delivered(id(1, 0), 7, Delivery::done(250));
        tell(&mut desk, owed(id(1, 0), 0));
        assert_eq!(todo(&mut desk, 0), "");
        assert_eq!(desk.counts(), Counts { known: 2, in_flight: 2, flying: 2, unreported: 0 });
    }

    /// Sixteen at once; effects 1.* to a mute provider, 2.* to another, four at once each at most.
    fn two_providers() -> Desk {
        let limits = Limits::for_width(16).with_provider_max(4);
        let mut desk = Desk::new(limits);
        for (seq, name) in [(1, "mute"), (2, "swift")] {
            for index in 0..40 {
                desk.handle_change(owed(id(seq, index), 0), |_effect| Provider::new(name));
            }
        }
        desk
    }

    /// Grants everything that is asked for; says what flies then.
    fn fly(desk: &mut Desk, second: i64) -> Vec<EffectId> {
        let mut flown = Vec::new();
        while let Some(action) = desk.poll(at(second)) {
            match action {
                Action::Ask(ids) => {
                    for each in &ids {
                        tell(desk, attempted(*each, 1));
                    }
                    desk.handle_asked(at(second), ids, receipt(9));
                }
                Action::Deliver(task) => flown.push(task.id),
                Action::Report(outcomes) => desk.handle_reported(at(second), outcomes, receipt(9)),
            }
        }
        flown
    }

    #[test]
    fn a_mute_provider_does_not_hold_up_the_others() {
        let mut desk = two_providers();
        let first = fly(&mut desk, 0);
        let of = |flown: &[EffectId], seq: u64| {
            flown.iter().filter(|each| each.seq == Seq::new(seq)).count()
        };
        assert_eq!((of(&first, 1), of(&first, 2)), (2, 2), "each begins with half its share");
        let mut swift: Vec<EffectId> =
            first.iter().filter(|each| each.seq == Seq::new(2)).copied().collect();
        let mut delivered = 0;
        while let Some(each) = swift.pop() {
            desk.handle_delivered(each, 1, Delivery::done(250));
            tell(&mut desk, Change::Forgotten(each));
            delivered += 1;
            let flown = fly(&mut desk, 1);
            assert_eq!(of(&flown, 1), 0, "the mute one keeps its two");
            swift.extend(flown);
            assert!(swift.len() <= 4, "never more than its share");
        }
        assert_eq!(delivered, 40);
        assert_eq!(desk.counts().flying, 2);
    }

    #[test]
    fn a_provider_in_trouble_gets_one_at_a_time_until_it_is_well() {
        let mut desk = two_providers();
        let mute: Vec<EffectId> =
            fly(&mut desk, 0).into_iter().filter(|each| each.seq == Seq::new(1)).collect();
        let mut flown = Vec::new();
        for each in mute {
            desk.handle_delivered(each, 1, Delivery::uncertain());
            flown.extend(fly(&mut desk, 30));
        }
        assert_eq!(flown.len(), 1, "two were uncertain: one is tried");
        for more in [1, 2, 2] {
            let each = flown.pop().unwrap();
            desk.handle_delivered(each, 1, Delivery::done(250));
            let next = fly(&mut desk, 60);
            assert!(next.iter().all(|each| each.seq == Seq::new(1)));
            assert!(next.len() >= more, "it recovers");
            flown.extend(next);
        }
        assert_eq!(flown.len(), 4);
    }

    #[test]
    fn a_provider_is_forgotten_with_its_last_effect() {
        let mut desk = two_providers();
        fly(&mut desk, 0);
        for seq in [1, 2] {
            for index in 0..40 {
                desk.handle_delivered(id(seq, index), 1, Delivery::done(250));
                tell(&mut desk, Change::Forgotten(id(seq, index)));
            }
        }
        assert_eq!((desk.counts().known, desk.providers.len()), (0, 0));
    }
}
