//! The runner on tokio, against a core and a channel made for the test.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hansho_model::{
    Attempt, Effect, EffectId, EffectOutcome, Input, KeyId, Lane, Outcome, Receipt, Refusal,
    RefusalCode, Seq,
};
use hansho_outbox::{Answered, Change, Channel, Clock, Core, Delivery, Runner, Task};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

/// A core that takes everything, and tells of it like the engine does.
struct World {
    changes: Mutex<Option<mpsc::Sender<Change>>>,
    attempts: Mutex<BTreeMap<EffectId, u16>>,
    outcomes: Mutex<Vec<EffectOutcome>>,
    /// Inputs that are not taken at all, then refused, before it behaves.
    moods: AtomicUsize,
    seq: AtomicUsize,
    settled: Notify,
    flying: AtomicUsize,
    most: AtomicUsize,
    delivered: Mutex<BTreeSet<(EffectId, u16)>>,
}

#[derive(Clone)]
struct Shared(Arc<World>);

impl Core for Shared {
    fn submit(&self, lane: Lane, input: Input) -> Option<Answered> {
        assert_eq!(lane, Lane::B);
        let world = Arc::clone(&self.0);
        let mood = world.moods.fetch_add(1, Ordering::SeqCst);
        if mood == 0 {
            return None;
        }
        if mood == 1 {
            let refusal = Refusal::new(RefusalCode::RateLimited);
            return Some(Box::pin(async move { Err(refusal) }));
        }
        Some(Box::pin(async move {
            // Somewhere a disk turns.
            tokio::task::yield_now().await;
            let number = u64::try_from(world.seq.fetch_add(1, Ordering::SeqCst)).unwrap();
            let last = Seq::new(number);
            let mut told = Vec::new();
            match input {
                Input::Attempt(ids) => {
                    let mut attempts = world.attempts.lock().unwrap();
                    for effect in ids {
                        let number = attempts.entry(effect).or_default();
                        *number += 1;
                        told.push(Change::Attempted(Attempt { effect, number: *number }));
                    }
                }
                Input::Outcome(outcomes) => {
                    for each in outcomes {
                        told.push(if each.outcome == Outcome::Failed && each.detail.again {
                            owed(each.effect)
                        } else {
                            Change::Forgotten(each.effect)
                        });
                        world.outcomes.lock().unwrap().push(each);
                    }
                    world.settled.notify_one();
                }
                other @ (Input::Start(_)
                | Input::Report(_)
                | Input::Command(_)
                | Input::Answer(_)
                | Input::Tick
                | Input::Call { .. }
                | Input::Load(_)) => panic!("the outbox never submits {other:?}"),
            }
            told.push(Change::Observed(last));
            let sender = world.changes.lock().unwrap().clone();
            if let Some(sender) = sender {
                for change in told {
                    sender.send(change).await.unwrap();
                }
            }
            Ok(Receipt { seq: last, last })
        }))
    }
}

impl Channel for Shared {
    fn width(&self) -> usize {
        3
    }

    async fn deliver(&self, task: Task) -> Delivery {
        let world = &self.0;
        assert_eq!(world.attempts.lock().unwrap().get(&task.id), Some(&task.number));
        assert!(world.delivered.lock().unwrap().insert((task.id, task.number)), "twice the same");
        let now = world.flying.fetch_add(1, Ordering::SeqCst) + 1;
        world.most.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        world.flying.fetch_sub(1, Ordering::SeqCst);
        match (task.id.index % 5, task.number) {
            (0, 1) => Delivery::failed(451, true),
            (1, _) => Delivery::failed(550, false),
            (2, _) => panic!("a channel with a fault"),
            _ => Delivery::done(250),
        }
    }
}

impl Clock for Shared {
    #[expect(clippy::disallowed_methods, reason = "the runner sleeps on the clock of the day")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn owed(id: EffectId) -> Change {
    Change::Owed { id, effect: Effect::DestroyKey(KeyId(1)), due: Timestamp::UNIX_EPOCH }
}

fn world(sender: mpsc::Sender<Change>, mood: usize) -> Shared {
    Shared(Arc::new(World {
        changes: Mutex::new(Some(sender)),
        attempts: Mutex::default(),
        outcomes: Mutex::default(),
        moods: AtomicUsize::new(mood),
        seq: AtomicUsize::new(100),
        settled: Notify::new(),
        flying: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        delivered: Mutex::default(),
    }))
}

#[tokio::test]
async fn everything_owed_is_settled_and_a_panic_is_uncertain() {
    let (sender, changes) = mpsc::channel(1_024);
    let shared = world(sender.clone(), 0);
    let runner = Runner::new(shared.clone(), shared.clone(), shared.clone());
    for index in 0..50 {
        sender.send(owed(EffectId { seq: Seq::new(7), index })).await.unwrap();
    }
    let running = tokio::spawn(runner.run(changes));
    let final_count = || {
        let outcomes = shared.0.outcomes.lock().unwrap();
        outcomes.iter().filter(|each| !each.detail.again).count()
    };
    while final_count() < 50 {
        shared.0.settled.notified().await;
    }
    drop(sender);
    shared.0.changes.lock().unwrap().take();
    running.await.unwrap();
    let outcomes = shared.0.outcomes.lock().unwrap();
    let count = |outcome, again| {
        outcomes.iter().filter(|each| each.outcome == outcome && each.detail.again == again).count()
    };
    assert_eq!(count(Outcome::Failed, true), 10);
    assert_eq!(count(Outcome::Failed, false), 10);
    assert_eq!(count(Outcome::Uncertain, false), 10);
    assert_eq!(count(Outcome::Done, false), 30);
    assert!(shared.0.most.load(Ordering::SeqCst) <= 3);
}

#[tokio::test]
async fn a_closed_feed_ends_it_and_nothing_is_begun() {
    let (sender, changes) = mpsc::channel(4);
    let shared = world(sender.clone(), 2);
    sender.send(owed(EffectId { seq: Seq::new(7), index: 3 })).await.unwrap();
    shared.0.changes.lock().unwrap().take();
    let runner = Runner::new(shared.clone(), shared.clone(), shared.clone());
    drop(sender);
    runner.run(changes).await;
    assert!(shared.0.delivered.lock().unwrap().len() <= 1);
    assert_eq!(shared.0.flying.load(Ordering::SeqCst), 0);
}
