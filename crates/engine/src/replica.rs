//! The replica: a second state, folded from committed batches on a thread of its own.
//!
//! Consoles read it and snapshots are made of it, so the live thread never waits for either.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hansho_console::{Reads, Tail};
use hansho_core::State;
use hansho_model::{Recorded, Seq};
use tokio::sync::watch;

/// Committed events kept in memory for streams that were away for a moment.
pub const EVENTS_KEPT: usize = 65_536;

/// The replica's memory, shared with its readers.
pub struct Replica {
    inner: RwLock<Inner>,
    head: watch::Sender<Seq>,
    durable: AtomicU64,
    passed_over: Option<Seq>,
}

struct Inner {
    state: State,
    recent: VecDeque<Arc<Recorded>>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Replica(seq {})", *self.head.borrow())
    }
}

impl Replica {
    /// Goes on from a state. `passed_over` is the first event that could not be folded.
    #[must_use]
    pub fn new(state: State, passed_over: Option<Seq>) -> Self {
        let (head, _) = watch::channel(state.seq());
        let inner = RwLock::new(Inner { state, recent: VecDeque::new() });
        let durable = AtomicU64::new(head.borrow().get());
        Self { inner, head, durable, passed_over }
    }

    /// Says that events up to this one are durable; told before anybody is answered.
    pub fn expect(&self, last: Seq) {
        self.durable.store(last.get(), Ordering::Release);
    }

    /// Folds a committed batch.
    pub fn fold(&self, batch: &[Recorded]) {
        let Some(last) = batch.last() else { return };
        {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            for recorded in batch {
                inner.state.evolve(recorded);
                inner.recent.push_back(Arc::new(recorded.clone()));
            }
            while inner.recent.len() > EVENTS_KEPT {
                inner.recent.pop_front();
            }
        }
        self.head.send_replace(last.seq);
    }

    /// The state's number, encoding and hash, for a snapshot.
    #[must_use]
    pub fn encode(&self) -> (Seq, Vec<u8>) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        (inner.state.seq(), inner.state.encode())
    }
}

impl Reads for Replica {
    fn with_state(&self, read: &mut dyn FnMut(&State)) {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        read(&inner.state);
    }

    fn tail(&self, after: Seq, limit: usize) -> Tail {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if after >= inner.state.seq() {
            return Tail::Events(Vec::new());
        }
        let Some(first) = inner.recent.front().map(|event| event.seq) else { return Tail::Behind };
        if after.next() < first {
            return Tail::Behind;
        }
        let skip = after.next().get().saturating_sub(first.get());
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Tail::Events(inner.recent.iter().skip(skip).take(limit).cloned().collect())
    }

    fn durable(&self) -> Seq {
        Seq::new(self.durable.load(Ordering::Acquire))
    }

    fn degraded_from(&self) -> Option<Seq> {
        self.passed_over
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }
}
