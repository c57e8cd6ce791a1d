//! What every journal can do, whatever it is made of.

use hansho_model::{Recorded, Seq};

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Last event; `Seq::ZERO` when there is none.
    pub seq: Seq,
    /// Last link of the BLAKE3 chain.
    pub sum: [u8; 32],
}

/// A state as it was after an event.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// After this event.
    pub seq: Seq,
    /// Version of the encoding of `state`.
    pub version: u32,
    /// BLAKE3 of `state`.
    pub hash: [u8; 32],
    /// Canonical encoding of the state, not compressed.
    pub state: Vec<u8>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot(seq {}, {} bytes)", self.seq, self.state.len())
    }
}

/// Why the journal could not do it. Any error of `append` ends the process: after a failed commit
/// nobody knows what the disk holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The batch does not begin where the journal ends.
    #[error("the batch begins at event {found}, the journal ends at {head}")]
    Gap {
        /// Where the journal ends.
        head: Seq,
        /// Where the batch begins.
        found: Seq,
    },
    /// The storage refused.
    #[error("the journal at {path} could not {what}")]
    Storage {
        /// What was being done.
        what: &'static str,
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: rusqlite::Error,
    },
}

/// An append-only, durable, ordered log of events.
pub trait Journal: Send {
    /// Appends a batch of events, durable when this returns. The events' numbers must follow the
    /// head without a gap.
    ///
    /// # Errors
    ///
    /// On any error nothing of the batch may be acknowledged, and the caller must end the process.
    fn append(&mut self, batch: &[Recorded]) -> Result<Head, JournalError>;

    /// Where it ends.
    fn head(&self) -> Head;

    /// Up to `limit` events after `after`, in order.
    ///
    /// # Errors
    ///
    /// Storage faults, a broken chain, a body of a newer version.
    fn read(&mut self, after: Seq, limit: usize) -> Result<Vec<Recorded>, JournalError>;

    /// Work that may be done when nothing waits, such as a checkpoint.
    ///
    /// # Errors
    ///
    /// As `append`.
    fn idle(&mut self) -> Result<(), JournalError>;
}
