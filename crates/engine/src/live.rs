//! The live thread: waits for inputs, commits them, and only then lets anyone hear of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use hansho_console::{Answered, Submit};
use hansho_core::{EffectChange, OwedPhase, State};
use hansho_journal::{Journal, JournalError};
use hansho_model::{Input, Lane, LoadLevel, Receipt, Recorded, Refusal};
use hansho_outbox::Change;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::{self, HouseClock};
use crate::lanes::{Envelope, Lanes};
use crate::load::{CommitTime, Gauge, Policy};
use crate::replica::Replica;
use crate::sequencer::{Committed, Sequencer};

/// Longest sleep of the live thread: it looks at the clock this often, whatever happens.
const NAP_MAX: Duration = Duration::from_secs(1);

/// Who waits for an answer, if anyone.
pub type Reply = Option<oneshot::Sender<Result<Receipt, Refusal>>>;

/// The way into the core: lanes that the live thread drains.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: Mutex<Waiting>,
    arrived: Condvar,
    space: Notify,
    board: LoadBoard,
}

/// What the house gives up under load, for all who look, and what the live thread cannot measure.
#[derive(Debug, Default)]
pub struct LoadBoard {
    level: watch::Sender<LoadLevel>,
    /// What the disk alone takes, in microseconds; 0 before the first probe.
    probe_us: AtomicU64,
    /// Longest that telemetry was held back at a door since the live thread looked, in
    /// microseconds.
    held_back_us: AtomicU64,
    tight: AtomicBool,
}

impl LoadBoard {
    /// The level now.
    #[must_use]
    pub fn level(&self) -> LoadLevel {
        *self.level.borrow()
    }

    /// The level as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LoadLevel> {
        self.level.subscribe()
    }

    /// A change of the level, which is in the journal.
    pub fn show(&self, level: LoadLevel) {
        if level > self.level() {
            tracing::warn!(level = level.get(), "Under load the house gives up more.");
        } else {
            tracing::warn!(level = level.get(), "The load is less: the house gives up less.");
        }
        self.level.send_replace(level);
    }

    /// What a page written and made durable took lately.
    pub fn note_probe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.probe_us.store(us, Ordering::Relaxed);
    }

    /// Telemetry was held back for so long before its turn at a door came.
    pub fn note_held_back(&self, waited: Duration) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.held_back_us.fetch_max(us, Ordering::Relaxed);
    }

    /// Little room is left on the disk, or there is room again; returns what held before.
    pub fn set_tight(&self, tight: bool) -> bool {
        self.tight.swap(tight, Ordering::Relaxed)
    }

    /// Whether little room is left on the disk.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.tight.load(Ordering::Relaxed)
    }

    fn gauge(&self, fill: [u8; 4], commit: Duration) -> Gauge {
        let probe = Duration::from_micros(self.probe_us.load(Ordering::Relaxed));
        let held_back = Duration::from_micros(self.held_back_us.swap(0, Ordering::Relaxed));
        Gauge { fill, commit, probe, held_back, tight: self.is_tight() }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    lanes: Lanes<Reply>,
    stopping: bool,
}

impl Queue {
    /// What the house gives up under load.
    #[must_use]
    pub const fn board(&self) -> &LoadBoard {
        &self.board
    }

    /// Waits until a full lane may have room again.
    pub async fn space(&self) {
        // A commit takes a moment at most; the time-out covers a notice sent before we listened.
        let listened = tokio::time::timeout(Duration::from_millis(50), self.space.notified()).await;
        drop(listened);
    }

    /// No more inputs are taken; the live thread ends when all that waits is committed.
    pub fn stop(&self) {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.arrived.notify_all();
    }

    /// How many inputs wait in a lane.
    #[must_use]
    pub fn waiting(&self, lane: Lane) -> usize {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).lanes.len(lane)
    }

    /// Everything that is ready, after waiting `nap` at most, and how full the lanes were; `None`
    /// when it is time to end.
    fn drain(&self, nap: Duration) -> Option<(Vec<Envelope<Reply>>, [u8; 4])> {
        let mut waiting = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.lanes.is_empty() && !waiting.stopping {
            let woken = self.arrived.wait_timeout(waiting, nap);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let fill = waiting.lanes.fill();
        let batch = waiting.lanes.drain();
        let over = batch.is_empty() && waiting.stopping;
        drop(waiting);
        self.space.notify_waiters();
        (!over).then_some((batch, fill))
    }
}

impl Queue {
    /// Queues an input; the answer comes when it is durable or refused.
    ///
    /// # Errors
    ///
    /// Gives the input back when its lane is full or the core is stopping.
    pub fn offer(&self, lane: Lane, input: Input) -> Result<Answered, Input> {
        let (reply, answer) = oneshot::channel();
        {
            let mut waiting = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.stopping {
                return Err(input);
            }
            let pushed = waiting.lanes.push(lane, Envelope { input, reply: Some(reply) });
            pushed.map_err(|envelope| envelope.input)?;
        }
        self.arrived.notify_one();
        Ok(Box::pin(async move {
            match answer.await {
                Ok(answer) => answer,
                // The core died before the commit: nobody may be told anything.
                Err(_gone) => std::future::pending().await,
            }
        }))
    }
}

impl Submit for Queue {
    fn submit(&self, lane: Lane, input: Input) -> Option<Answered> {
        self.offer(lane, input).ok()
    }
}

/// Where committed events go.
#[derive(Debug)]
pub struct Outlets {
    /// To the replica.
    pub replica: SyncSender<Arc<[Recorded]>>,
    /// Whose readers are told what is durable, before anybody is answered.
    pub readers: Arc<Replica>,
    /// To the outbox.
    pub outbox: tokio::sync::mpsc::Sender<Change>,
    /// Where those wait who are answered.
    pub runtime: Handle,
    /// Told of each commit: how long it took, how many inputs and events it held.
    pub committed: fn(Duration, usize, usize),
}

/// Runs until the queue is stopped and empty. Called on a thread of its own.
///
/// # Errors
///
/// A failed commit; the process must end at once and answer nobody.
pub fn run<J: Journal>(
    sequencer: &mut Sequencer<J>,
    queue: &Queue,
    outlets: &Outlets,
    clock: &HouseClock,
) -> Result<(), JournalError> {
    let (mut policy, mut commits) = (Policy::default(), CommitTime::default());
    loop {
        let nap = nap(sequencer.state().next_deadline(), clock.now());
        let Some((mut batch, fill)) = queue.drain(nap) else { return Ok(()) };
        let (begun, now) = (clock::now(), clock.now());
        if sequencer.state().next_deadline().is_some_and(|deadline| deadline <= now) {
            batch.push(Envelope { input: Input::Tick, reply: None });
        }
        let level = policy.observe(now, &queue.board.gauge(fill, commits.average()));
        if let Some(level) = level {
            batch.push(Envelope { input: Input::Load(level), reply: None });
        }
        if batch.is_empty() {
            commits.rest();
            sequencer.journal_mut().idle()?;
            continue;
        }
        let count = batch.len();
        let asked = batch.iter().any(|each| is_of_outbox(&each.input));
        let committed = sequencer.step_at(now, begun, batch)?;
        let took = clock::now().duration_since(begun).unsigned_abs();
        commits.note(took);
        if let Some(level) = level {
            queue.board.show(level);
        }
        (outlets.committed)(took, count, committed.events.len());
        publish(sequencer, committed, asked, outlets);
    }
}

fn nap(deadline: Option<Timestamp>, now: Timestamp) -> Duration {
    let Some(deadline) = deadline else { return NAP_MAX };
    if deadline <= now {
        return Duration::ZERO;
    }
    deadline.duration_since(now).unsigned_abs().min(NAP_MAX)
}

/// Whether the outbox said it, and waits to hear that all is told that came of it.
#[must_use]
pub const fn is_of_outbox(input: &Input) -> bool {
    matches!(input, Input::Attempt(_) | Input::Outcome(_))
}

/// Tells all who are concerned; `asked` when the outbox waits to hear that all is told.
fn publish<J: Journal>(
    sequencer: &Sequencer<J>,
    committed: Committed<Reply>,
    asked: bool,
    outlets: &Outlets,
) {
    let last = committed.events.last().map(|event| event.seq);
    if let Some(last) = last {
        outlets.readers.expect(last);
    }
    // From here each answer would wake its task by itself, and a processor with it; from a task of
    // theirs all are told before the first of them goes on: what one connection is answered leaves
    // in one piece.
    drop(outlets.runtime.spawn(answer(committed.replies)));
    if last.is_some() && outlets.replica.send(committed.events).is_err() {
        tracing::error!("The replica has ended; consoles show an old state.");
    }
    let state = sequencer.state();
    for change in changes(state, committed.effects, asked) {
        if outlets.outbox.blocking_send(change).is_err() {
            tracing::error!("The outbox has ended; what is owed waits for the next start.");
            return;
        }
    }
}

async fn answer(replies: Vec<(Reply, Result<Receipt, Refusal>)>) {
    for (reply, answer) in replies {
        if let Some(reply) = reply
            && reply.send(answer).is_err()
        {
            // Who asked has gone; what was asked is durable all the same.
            tracing::trace!("An answer found nobody waiting.");
        }
    }
}

/// What the outbox is told of a commit, in the order of its events; `state` is the state after it.
/// When the outbox `asked` for something in it, it hears at the end that all is told.
pub fn changes(
    state: &State,
    effects: Vec<EffectChange>,
    asked: bool,
) -> impl Iterator<Item = Change> {
    let changes = effects.into_iter().filter_map(|change| match change {
        EffectChange::Forget(id) => Some(Change::Forgotten(id)),
        EffectChange::Attempt(attempt) => Some(Change::Attempted(attempt)),
        EffectChange::Owe(id, due) => {
            state.effect(id).map(|effect| Change::Owed { id, effect, due })
        }
    });
    changes.chain(asked.then(|| Change::Observed(state.seq())))
}

/// What the outbox is told at a start: every effect that an earlier run left waiting. Interrupted
/// ones follow with the first commit, which settles them.
pub fn left_waiting(state: &State) -> impl Iterator<Item = Change> {
    state.owed().iter().filter_map(|(id, owed)| {
        let OwedPhase::Waiting { due } = owed.phase else { return None };
        state.effect(*id).map(|effect| Change::Owed { id: *id, effect, due })
    })
}
