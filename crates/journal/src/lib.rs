//! The journal: append, group commit, read back, prove, snapshot; and the vault of data keys.
//!
//! It stands between the sequencer and the disk. Invariants: what [`Journal::append`] returned for
//! is durable; numbers have no gap; every row is linked to the one before it ([`chain`]); a row's
//! bytes are made of frozen types ([`body`]), never of the model's of today. Personal values come
//! in sealed and stay so; their keys stand in a second file ([`Vault`]). The crate never reads a
//! clock, but for [`probe()`], which measures the disk. README.md beside it is the contract of the
//! format on the disk.
//!
//! ```
//! use hansho_journal::{Journal as _, SqliteJournal, verify};
//! use hansho_model::{Event, Idem, Recorded, Seq, SourceId};
//! # let folder = tempfile::tempdir()?;
//! let mut journal = SqliteJournal::open(folder.path())?;
//! let event = Recorded {
//!     seq: journal.head().seq.next(),
//!     at: jiff::Timestamp::from_second(1_795_410_050)?,
//!     source: SourceId::CORE,
//!     cause: None,
//!     idem: Idem([0; 16]),
//!     event: Event::CoreStarted { epoch: 1, release: "0.1.0".to_owned() },
//! };
//! let head = journal.append(&[event.clone()])?; // durable from here on
//! assert_eq!(journal.read(Seq::ZERO, 10)?, [event]);
//! assert_eq!(verify(folder.path())?.head, head);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod body;
pub mod chain;
mod copy;
mod disk;
mod hex;
mod journal;
mod snapshot;
mod sqlite;
mod vault;

pub use copy::{check_vault, copy_journal, copy_vault, journal_id};
pub use disk::{Probe, RESERVE_FILE, Reserve, free_bytes, probe};
pub use journal::{Cause, Head, Journal, JournalError, Snapshot};
pub use snapshot::{
    SNAPSHOT_COUNT_MAX, SNAPSHOT_FILE, SnapshotMark, SnapshotStore, snapshot_marks,
};
pub use sqlite::{
    APPLICATION_ID, JOURNAL_FILE, KindStats, LOCK_FILE, Report, SCHEMA_VERSION, SqliteJournal,
    SqliteReader, Stats, export, stats, tail, verify,
};
pub use vault::{VAULT_FILE, Vault, VaultError};
