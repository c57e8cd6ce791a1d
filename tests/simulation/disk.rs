//! A journal in memory with a part that is pending and a part that is durable.

use std::sync::{Arc, Mutex, MutexGuard};

use hansho_core::State;
use hansho_journal::{Cause, Head, Journal, JournalError, body, chain};
use hansho_model::{Recorded, Seq};

/// A disk that is broken in a way that no code of ours can make good; the simulator must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vice {
    /// An honest disk.
    None,
    /// Says "durable" to every third batch and keeps it pending.
    Forgets,
    /// A crash in the middle of a batch leaves a part of it.
    Tears,
    /// Gives back an event that differs from what was written.
    Alters,
}

/// What the disk does to the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails, and nothing of the batch is kept.
    BeforeDurable,
    /// It fails, and yet the batch is kept: "did the commit happen?"
    AfterDurable,
}

/// The disk; it outlives every core.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<Platter>>);

pub(super) struct Platter {
    vice: Vice,
    appends: u32,
    pub(super) durable: Vec<Recorded>,
    pending: Vec<Recorded>,
    pub(super) fault: Option<Fault>,
    /// Newest snapshot: number and encoding.
    pub(super) snapshot: Option<(Seq, Vec<u8>)>,
}

impl Disk {
    pub(super) fn new(vice: Vice) -> Self {
        Self(Arc::new(Mutex::new(Platter {
            vice,
            appends: 0,
            durable: Vec::new(),
            pending: Vec::new(),
            fault: None,
            snapshot: None,
        })))
    }

    pub(super) fn read(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The power goes: what is pending is lost.
    pub(super) fn crash(&self) {
        let mut platter = self.read();
        platter.fault = None;
        let pending = std::mem::take(&mut platter.pending);
        if platter.vice == Vice::Tears {
            let torn = pending.len().div_ceil(2);
            platter.durable.extend(pending.into_iter().take(torn));
        } else if platter.vice == Vice::Alters
            && let Some(last) = platter.durable.pop()
        {
            platter.durable.push(Recorded { source: hansho_model::SourceId(0), ..last });
        }
    }

    /// The state of everything durable, folded from nothing.
    pub(super) fn replay(&self) -> State {
        let platter = self.read();
        fold(State::default(), &platter.durable)
    }

    /// The same by way of the newest snapshot, if there is one.
    pub(super) fn replay_from_snapshot(&self) -> Option<State> {
        let platter = self.read();
        let (seq, encoding) = platter.snapshot.as_ref()?;
        let state = State::decode(encoding).unwrap();
        assert_eq!(state.seq(), *seq);
        let rest = usize::try_from(seq.get()).unwrap();
        Some(fold(state, platter.durable.get(rest..).unwrap_or_default()))
    }
}

fn fold(mut state: State, events: &[Recorded]) -> State {
    for recorded in events {
        state.evolve(recorded);
    }
    state
}

/// The journal of one run of the core.
pub(super) struct ModelJournal {
    disk: Disk,
    head: Head,
    stopped: bool,
}

impl ModelJournal {
    pub(super) fn open(disk: &Disk) -> Self {
        let seq = disk.read().durable.last().map_or(Seq::ZERO, |last| last.seq);
        Self { disk: disk.clone(), head: Head { seq, sum: chain::GENESIS }, stopped: false }
    }
}

/// The body that the real journal would keep must mean the same when it is read back.
fn must_equal(kept: &Recorded, written: &Recorded) {
    assert!(kept == written, "event {} is not what was written", written.seq);
}

fn injected(what: &'static str) -> JournalError {
    let (path, cause) = ("model".to_owned(), "a fault of the simulated disk");
    JournalError::Storage { what, path, source: Cause::Injected(cause) }
}

impl Journal for ModelJournal {
    fn append(&mut self, batch: &[Recorded]) -> Result<Head, JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped { path: "model".to_owned() });
        }
        let mut platter = self.disk.read();
        let mut last = platter.pending.last().or_else(|| platter.durable.last()).cloned();
        for recorded in batch {
            let before = last.as_ref().map_or(Seq::ZERO, |last| last.seq);
            if recorded.seq != before.next() {
                return Err(JournalError::Gap { head: before, found: recorded.seq });
            }
            if last.as_ref().is_some_and(|last| last.at >= recorded.at) {
                return Err(JournalError::Disorder { seq: recorded.seq });
            }
            let seq = recorded.seq;
            let wrong = |source| JournalError::Body { seq, source };
            let encoded = body::encode(recorded.cause, &recorded.event).map_err(wrong)?;
            let (kind, ver) = (i64::from(encoded.kind), i64::from(encoded.ver));
            let (cause, event) = body::decode(kind, ver, &encoded.body).map_err(wrong)?;
            let kept = Recorded { cause, event, ..recorded.clone() };
            must_equal(&kept, recorded);
            platter.pending.push(kept.clone());
            last = Some(kept);
        }
        platter.appends += 1;
        let fault = platter.fault.take();
        if fault == Some(Fault::BeforeDurable) {
            self.stopped = true;
            return Err(injected("write"));
        }
        let forgets = platter.vice == Vice::Forgets && platter.appends.is_multiple_of(3);
        if !forgets {
            let pending = std::mem::take(&mut platter.pending);
            platter.durable.extend(pending);
        }
        if fault == Some(Fault::AfterDurable) {
            self.stopped = true;
            return Err(injected("make durable"));
        }
        self.head.seq = last.map_or(self.head.seq, |last| last.seq);
        Ok(self.head)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn read(&mut self, after: Seq, limit: usize) -> Result<Vec<Recorded>, JournalError> {
        let platter = self.disk.read();
        let skip = usize::try_from(after.get()).unwrap_or(usize::MAX);
        Ok(platter.durable.iter().skip(skip).take(limit).cloned().collect())
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}
