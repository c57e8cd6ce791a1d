//! The dispatchers' web console and API.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hansho_core::State;
use hansho_model::{Input, Lane, Receipt, Recorded, Refusal, Seq};

/// Events after a number, as the stream needs them.
#[derive(Debug)]
pub enum Tail {
    /// These follow; empty when nothing does yet.
    Events(Vec<Arc<Recorded>>),
    /// Too old for memory: show the whole state, then go on from its number.
    Behind,
}

/// Reads of the replica: a state folded from committed events only.
pub trait Reads: Send + Sync + 'static {
    /// Calls `read` with the replica's state. Short; never over an await.
    fn with_state(&self, read: &mut dyn FnMut(&State));

    /// Committed events after `after`, at most `limit`.
    fn tail(&self, after: Seq, limit: usize) -> Tail;

    /// The replica's last event; changes when there is a new one.
    fn head(&self) -> tokio::sync::watch::Receiver<Seq>;
}

/// What an asker hears.
pub type Answered = Pin<Box<dyn Future<Output = Result<Receipt, Refusal>> + Send>>;

/// Inputs to the core.
pub trait Submit: Send + Sync + 'static {
    /// Queues an input; the answer comes when it is durable or refused. `None` when the lane is
    /// full or the core is stopping: not taken, ask again.
    fn submit(&self, lane: Lane, input: Input) -> Option<Answered>;
}
