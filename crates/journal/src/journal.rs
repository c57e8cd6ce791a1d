//! What every journal can do, whatever it is made of.

use hansho_model::{Recorded, Seq};

use crate::body::BodyError;

/// Where a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Last event; `Seq::ZERO` when there is none.
    pub seq: Seq,
    /// Last link of the BLAKE3 chain; [`chain::GENESIS`](crate::chain::GENESIS) when there is none.
    pub sum: [u8; 32],
}

impl Head {
    /// Of a journal without events.
    pub const EMPTY: Self = Self { seq: Seq::ZERO, sum: crate::chain::GENESIS };

    /// The last link as hexadecimal digits, for a person to compare.
    #[must_use]
    pub fn sum_hex(&self) -> String {
        crate::hex::encode(&self.sum)
    }
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

impl Snapshot {
    /// Of a state's canonical encoding; the hash is made here.
    #[must_use]
    pub fn new(seq: Seq, version: u32, state: Vec<u8>) -> Self {
        let hash = *blake3::hash(&state).as_bytes();
        Self { seq, version, hash, state }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot(seq {}, {} bytes)", self.seq, self.state.len())
    }
}

/// What lies beneath a fault of the storage. Another backend adds a variant of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// SQLite said no.
    #[error("SQLite refused")]
    Sqlite(#[source] rusqlite::Error),
    /// The file system said no.
    #[error("the file system refused")]
    File(#[source] std::io::Error),
    /// A setting did not take.
    #[error("`{setting}` is `{found}` and must be `{wanted}`")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Random(#[source] getrandom::Error),
    /// A test's or a simulator's fault.
    #[error("injected: {0}")]
    Injected(&'static str),
}

/// Why the journal could not do it. Any error of `append` ends the process: after a failed commit
/// nobody knows what the disk holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The batch does not begin where the journal ends.
    #[error("event {found} cannot follow event {head}: the numbers must have no gap")]
    Gap {
        /// The event before.
        head: Seq,
        /// The event that came.
        found: Seq,
    },
    /// An event's time is not later than that of the event before it.
    #[error("event {seq} is not later than the event before it")]
    Disorder {
        /// The event.
        seq: Seq,
    },
    /// An event's body cannot be written or read.
    #[error("the body of event {seq} cannot be understood")]
    Body {
        /// The event.
        seq: Seq,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// A row is not what was written.
    #[error(
        "event {seq} in {path} is missing or not what was written: keep the file, restore a copy \
         whose `hansho journal verify` is clean"
    )]
    Broken {
        /// First event that does not fit the chain.
        seq: Seq,
        /// File.
        path: String,
    },
    /// An earlier commit failed, so nobody knows what the disk holds.
    #[error("an earlier write to {path} failed: restart hansho, it reads back what the disk holds")]
    Stopped {
        /// File.
        path: String,
    },
    /// Another process has it.
    #[error("{path} is held by another hansho: stop that one, or give another data folder")]
    Busy {
        /// Lock file.
        path: String,
    },
    /// A newer release made it.
    #[error("{path} is of a newer version ({found}; this release knows {known}): update hansho")]
    Newer {
        /// File.
        path: String,
        /// Version of the file.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// It is something else.
    #[error(
        "{path} is not a file of this kind made by hansho: restore a copy, or give another data folder"
    )]
    Foreign {
        /// File.
        path: String,
    },
    /// It cannot be read back.
    #[error("{path} is damaged: keep it and restore a copy; nothing was changed")]
    Damaged {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// The log is there and what it belongs to is not.
    #[error(
        "{path} is missing or empty and its `-wal` file is not: restore both from the same copy; \
         nothing was changed"
    )]
    Headless {
        /// File.
        path: String,
    },
    /// No room.
    #[error("no room left on the disk of {path}: free some, then restart hansho")]
    Full {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// It may not be written.
    #[error("{path} may not be written: mount it writable and let hansho's user own it")]
    ReadOnly {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: Cause,
    },
    /// The data folder cannot be used.
    #[error("{path} cannot be used as a data folder: give a folder that hansho's user may write")]
    Folder {
        /// Folder.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The SQLite library has the WAL-reset bug.
    #[error("SQLite {found} may lose committed data; build with the bundled one, 3.51.3 or later")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// The storage refused otherwise.
    #[error("could not {what} at {path}")]
    Storage {
        /// What was being done.
        what: &'static str,
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: Cause,
    },
}

/// An append-only, durable, ordered log of events.
pub trait Journal: Send {
    /// Appends a batch of events, durable when this returns. The events' numbers must follow the
    /// head without a gap, their times must increase. An empty batch does nothing.
    ///
    /// # Errors
    ///
    /// On any error nothing of the batch may be acknowledged, and the caller must end the process.
    fn append(&mut self, batch: &[Recorded]) -> Result<Head, JournalError>;

    /// Where it ends.
    fn head(&self) -> Head;

    /// Up to `limit` events after `after`, in order, their chain checked.
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
