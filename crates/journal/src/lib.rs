//! The journal: append, group commit, read back, prove, snapshot; and the vault of data keys.

mod journal;

pub use journal::{Head, Journal, JournalError, Snapshot};
