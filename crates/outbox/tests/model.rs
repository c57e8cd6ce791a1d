//! The desk against a naive core: whatever the order of things, and wherever it crashes.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hansho_model::{
    Attempt, Effect, EffectId, EffectOutcome, KeyId, Outcome, Receipt, Refusal, RefusalCode, Seq,
};
use hansho_outbox::{Action, BATCH_MAX, Change, Delivery, Desk, Limits, Provider};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// What the core knows of an effect that is owed.
#[derive(Clone, Copy, Debug)]
struct Owed {
    attempts: u16,
    /// `None` while an attempt is under way.
    due: Option<Timestamp>,
}

/// An input on its way to the core, or its answer on its way back.
#[derive(Debug)]
enum Input {
    Ask(Vec<EffectId>),
    Report(Vec<EffectOutcome>),
}

/// Two to a provider at once.
fn limits(width: usize) -> Limits {
    Limits::for_width(width).with_provider_max(2)
}

/// Three providers, and what has no limits of its own.
fn provider(effect: &Effect) -> Provider {
    let Effect::DestroyKey(KeyId(key)) = effect else { panic!("{effect:?}") };
    Provider::new(["", "au", "docomo", "softbank"][usize::try_from(key % 4).unwrap()])
}

type Answer = Option<Result<Receipt, Refusal>>;

/// The world: a core that decides like the real one, a channel, and a desk between them.
#[derive(Debug)]
struct World {
    now: Timestamp,
    seq: u64,
    owed: BTreeMap<EffectId, Owed>,
    settled: BTreeMap<EffectId, Outcome>,
    deliveries: BTreeMap<EffectId, u32>,
    desk: Desk,
    inputs: VecDeque<Input>,
    answers: VecDeque<(Input, Answer)>,
    changes: VecDeque<Change>,
    flying: BTreeSet<(EffectId, u16)>,
    width: usize,
}

impl World {
    fn new(width: usize, notices: &[u8]) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let mut owed = BTreeMap::new();
        for (notice, count) in (1..).zip(notices) {
            for index in 0..u32::from(*count) {
                let id = EffectId { seq: Seq::new(notice), index };
                owed.insert(id, Owed { attempts: 0, due: Some(now) });
            }
        }
        let mut world = Self {
            now,
            seq: 100,
            owed,
            settled: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            desk: Desk::new(limits(width)),
            inputs: VecDeque::new(),
            answers: VecDeque::new(),
            changes: VecDeque::new(),
            flying: BTreeSet::new(),
            width,
        };
        world.start();
        world
    }

    /// A start of the process: only what the core knows is left.
    fn start(&mut self) {
        self.desk = Desk::new(limits(self.width));
        self.inputs.clear();
        self.answers.clear();
        self.changes.clear();
        self.flying.clear();
        for owed in self.owed.values_mut() {
            // An attempt without an outcome is uncertain: again, with the same Message-ID.
            owed.due.get_or_insert(self.now);
        }
        self.tell_all();
    }

    /// Said twice is as good as once.
    fn tell_all(&mut self) {
        let all: Vec<EffectId> = self.owed.keys().copied().collect();
        for id in all {
            self.tell(id);
        }
    }

    fn tell(&mut self, id: EffectId) {
        let change = match self.owed.get(&id) {
            Some(Owed { due: Some(due), .. }) => Change::Owed {
                id,
                effect: Effect::DestroyKey(KeyId(u64::from(id.index))),
                due: *due,
            },
            Some(_) => return,
            None => Change::Forgotten(id),
        };
        self.changes.push_back(change);
    }

    fn commit(&mut self) -> Receipt {
        self.seq += 1;
        let seq = Seq::new(self.seq);
        Receipt { seq, last: seq }
    }

    /// The desk's next wish.
    fn poll(&mut self) -> bool {
        let Some(action) = self.desk.poll(self.now) else { return false };
        match action {
            Action::Ask(ids) => {
                assert!(!ids.is_empty() && ids.len() <= BATCH_MAX);
                self.inputs.push_back(Input::Ask(ids));
            }
            Action::Report(outcomes) => {
                assert!(!outcomes.is_empty() && outcomes.len() <= BATCH_MAX);
                self.inputs.push_back(Input::Report(outcomes));
            }
            Action::Deliver(task) => {
                assert!(self.flying.len() < self.width, "more at once than the channel is wide");
                assert!(
                    self.flying.iter().all(|(id, _number)| *id != task.id),
                    "two attempts of {} at once",
                    task.id
                );
                if let Some(owed) = self.owed.get(&task.id) {
                    assert_eq!(
                        owed.due, None,
                        "{} flies and no attempt is in the journal",
                        task.id
                    );
                    assert_eq!(owed.attempts, task.number);
                }
                self.flying.insert((task.id, task.number));
                *self.deliveries.entry(task.id).or_default() += 1;
            }
        }
        true
    }

    /// The core takes one input, or is busy.
    fn decide(&mut self, busy: bool) {
        let Some(input) = self.inputs.pop_front() else { return };
        let answer = match &input {
            _ if busy => None,
            Input::Ask(ids) => Some(self.decide_ask(&ids.clone())),
            Input::Report(outcomes) => Some(self.decide_report(&outcomes.clone())),
        };
        self.answers.push_back((input, answer));
    }

    fn decide_ask(&mut self, ids: &[EffectId]) -> Result<Receipt, Refusal> {
        for id in ids {
            let due = self.owed.get(id).and_then(|owed| owed.due);
            if due.is_none_or(|due| due > self.now) {
                return Err(Refusal { code: RefusalCode::NotDue, original: None, not_before: due });
            }
        }
        let receipt = self.commit();
        for id in ids {
            let owed = self.owed.get_mut(id).unwrap();
            owed.due = None;
            owed.attempts += 1;
            let attempt = Attempt { effect: *id, number: owed.attempts };
            self.changes.push_back(Change::Attempted(attempt));
        }
        self.changes.push_back(Change::Observed(receipt.last));
        Ok(receipt)
    }

    fn decide_report(&mut self, outcomes: &[EffectOutcome]) -> Result<Receipt, Refusal> {
        let awaited: Vec<&EffectOutcome> = outcomes
            .iter()
            .filter(|each| {
                self.owed
                    .get(&each.effect)
                    .is_some_and(|owed| owed.due.is_none() && owed.attempts == each.attempt)
            })
            .collect();
        if awaited.is_empty() {
            return Err(Refusal::new(RefusalCode::NotDue));
        }
        let receipt = self.commit();
        for each in awaited {
            if each.outcome != Outcome::Done && each.detail.again {
                let due = self.now + SignedDuration::from_secs(2);
                self.owed.get_mut(&each.effect).unwrap().due = Some(due);
            } else {
                self.owed.remove(&each.effect);
                self.settled.insert(each.effect, each.outcome);
            }
            self.tell(each.effect);
        }
        self.changes.push_back(Change::Observed(receipt.last));
        Ok(receipt)
    }

    /// The answer to the oldest input arrives.
    fn answer(&mut self) {
        match self.answers.pop_front() {
            Some((Input::Ask(ids), answer)) => self.desk.handle_asked(self.now, ids, answer),
            Some((Input::Report(outcomes), answer)) => {
                self.desk.handle_reported(self.now, outcomes, answer);
            }
            None => {}
        }
    }

    /// The committed events arrive, sooner or later than the answers.
    fn observe(&mut self) {
        if let Some(change) = self.changes.pop_front() {
            self.desk.handle_change(change, provider);
        }
    }

    fn land(&mut self, place: usize, delivery: Delivery) {
        if self.flying.is_empty() {
            return;
        }
        let landed = *self.flying.iter().nth(place % self.flying.len()).unwrap();
        self.flying.remove(&landed);
        self.desk.handle_delivered(landed.0, landed.1, delivery);
    }

    /// A notice expires: what is not settled is not owed any more.
    fn expire(&mut self, notice: u64) {
        self.commit();
        let gone: Vec<EffectId> =
            self.owed.keys().filter(|id| id.seq == Seq::new(notice)).copied().collect();
        for id in gone {
            self.owed.remove(&id);
            self.settled.insert(id, Outcome::Failed);
            self.tell(id);
        }
    }

    fn step(&mut self, what: u8, place: u8) {
        let place = usize::from(place);
        match what {
            0..=79 => {
                self.poll();
            }
            80..=119 => self.decide(false),
            120..=159 => self.answer(),
            160..=199 => self.observe(),
            200..=214 => self.land(place, Delivery::done(250)),
            215..=229 => self.land(place, Delivery::failed(451, true)),
            230..=234 => self.land(place, Delivery::failed(550, false)),
            235..=239 => self.land(place, Delivery::uncertain()),
            240..=244 => self.decide(true),
            245..=247 => self.now += SignedDuration::from_millis(700),
            248..=251 => self.expire(u64::try_from(place % 4).unwrap()),
            252..=253 => self.start(),
            254..=255 => self.tell_all(),
        }
    }

    /// From here on all goes well: everything must come to an end.
    fn finish(&mut self) {
        for _ in 0..100_000 {
            self.decide(false);
            self.answer();
            self.observe();
            self.land(0, Delivery::done(250));
            let busy = self.poll();
            let idle = !busy
                && self.inputs.is_empty()
                && self.answers.is_empty()
                && self.changes.is_empty()
                && self.flying.is_empty();
            if idle {
                match self.desk.next_wake() {
                    Some(wake) => self.now = self.now.max(wake),
                    None => break,
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(
        width in 1_usize..9,
        notices in prop::collection::vec(0_u8..40, 1..4),
        steps in prop::collection::vec(any::<(u8, u8)>(), 0..600),
    ) {
        let mut world = World::new(width, &notices);
        for (what, place) in steps {
            world.step(what, place);
        }
        world.finish();
        prop_assert!(world.owed.is_empty(), "still owed: {:?}", world.owed);
        let counts = world.desk.counts();
        prop_assert_eq!(counts.known, 0);
        prop_assert_eq!(counts.in_flight, 0);
        prop_assert_eq!(counts.unreported, 0);
        for (id, outcome) in &world.settled {
            if *outcome == Outcome::Done {
                prop_assert!(world.deliveries.contains_key(id), "{id} is done and never flew");
            }
        }
    }
}
