//! Snapshots of the state, in a file of their own.
//!
//! `snapshots.db` is a cache: the state can always be had by replay. It is not in the journal's
//! file because that file has one writer, the sequencer's thread, and snapshots are made by the
//! replica's; and because a damaged or deleted snapshot file must never touch an event.

use std::path::{Path, PathBuf};

use hansho_model::Seq;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::sqlite::file::{self, beside, fault, file_fault, name};
use crate::{JournalError, Snapshot};

/// File of the snapshots in the data folder.
pub const SNAPSHOT_FILE: &str = "snapshots.db";
/// Snapshots that are kept.
pub const SNAPSHOT_COUNT_MAX: u32 = 8;
/// Most bytes a stored state may claim to have when unpacked: 4 GiB.
const STATE_SIZE_MAX: usize = 4 << 30;
/// `application_id` of a snapshot file: `HNSS`.
const APPLICATION_ID: i64 = 0x484e_5353;
/// Version of the tables; in `user_version`.
const SCHEMA_VERSION: i64 = 1;
/// zstd level: about 500 MB/s, a third of the size.
const LEVEL: i32 = 3;

const SCHEMA: &str = "
CREATE TABLE snapshot(
  seq        INTEGER PRIMARY KEY,
  ver        INTEGER NOT NULL,
  state_hash BLOB    NOT NULL,
  size       INTEGER NOT NULL,
  state      BLOB    NOT NULL
) STRICT;
";

const PRAGMAS: [(&str, &str, &str); 6] = [
    ("page_size", "4096", "4096"),
    ("journal_mode", "TRUNCATE", "truncate"),
    ("synchronous", "FULL", "2"),
    ("mmap_size", "0", "0"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
];

/// What a snapshot says it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMark {
    /// Its last event.
    pub seq: Seq,
    /// Version of the state's encoding.
    pub version: u32,
    /// Hash of that state.
    pub hash: [u8; 32],
}

/// The snapshots of a data folder by their events, read beside a writer; nothing is changed. None
/// when there is no file.
///
/// # Errors
///
/// Storage faults, and a file that is no store of snapshots.
pub fn snapshot_marks(folder: &Path) -> Result<Vec<SnapshotMark>, JournalError> {
    let path = folder.join(SNAPSHOT_FILE);
    if file::size(&path)?.unwrap_or(0) == 0 {
        return Ok(Vec::new());
    }
    let connection = file::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    file::check_kind(&connection, &path, APPLICATION_ID, SCHEMA_VERSION)?;
    let mark = |row: &rusqlite::Row<'_>| {
        let (seq, version): (i64, u32) = (row.get(0)?, row.get(1)?);
        let seq = Seq::new(u64::try_from(seq).unwrap_or_default());
        Ok(SnapshotMark { seq, version, hash: row.get(2)? })
    };
    connection
        .prepare("SELECT seq, ver, state_hash FROM snapshot ORDER BY seq")
        .and_then(|mut list| list.query_map([], mark)?.collect())
        .map_err(|error| fault("read the snapshots", &path, error))
}

/// The snapshots of a data folder.
pub struct SnapshotStore {
    connection: Connection,
    path: PathBuf,
}

impl std::fmt::Debug for SnapshotStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SnapshotStore({})", name(&self.path))
    }
}

impl SnapshotStore {
    /// Opens the snapshots of a data folder; makes the file if need be. Open it while the journal
    /// is open: that one's lock keeps a second process away from both. A file that is damaged or
    /// of a newer version is renamed to `snapshots.db.unusable` and a new one made, for a cache
    /// must not keep a city waiting; nothing is lost but the time of a replay.
    ///
    /// # Errors
    ///
    /// The file system or SQLite refuses otherwise.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        file::ensure_folder(folder)?;
        let path = folder.join(SNAPSHOT_FILE);
        match Self::connect(folder, path.clone()) {
            Err(
                JournalError::Damaged { .. }
                | JournalError::Foreign { .. }
                | JournalError::Newer { .. },
            ) => {
                set_aside(folder, &path)?;
                Self::connect(folder, path)
            }
            opened => opened,
        }
    }

    fn connect(folder: &Path, path: PathBuf) -> Result<Self, JournalError> {
        let fresh = file::size(&path)?.unwrap_or(0) == 0;
        drop(file::open_private(&path)?);
        let connection = file::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if !fresh {
            file::check_kind(&connection, &path, APPLICATION_ID, SCHEMA_VERSION)?;
        }
        for (setting, value, wanted) in PRAGMAS {
            file::set(&connection, &path, setting, value, wanted)?;
        }
        if fresh {
            let make = format!(
                "BEGIN; {SCHEMA} PRAGMA application_id={APPLICATION_ID}; \
                 PRAGMA user_version={SCHEMA_VERSION}; COMMIT;"
            );
            connection
                .execute_batch(&make)
                .map_err(|error| fault("make the snapshots", &path, error))?;
            file::sync_folder(folder)?;
        }
        Ok(Self { connection, path })
    }

    /// Stores a snapshot, durable when this returns; the oldest beyond
    /// [`SNAPSHOT_COUNT_MAX`] go. One of the same event is replaced.
    ///
    /// # Errors
    ///
    /// Storage faults. The journal does not suffer from them.
    pub fn put(&mut self, snapshot: &Snapshot) -> Result<(), JournalError> {
        let path = &self.path;
        let state = zstd::bulk::compress(&snapshot.state, LEVEL)
            .map_err(|error| file_fault("pack a snapshot", path, error))?;
        let seq = i64::try_from(snapshot.seq.get()).unwrap_or(i64::MAX);
        let size = i64::try_from(snapshot.state.len()).unwrap_or(i64::MAX);
        let store = || {
            let transaction = self.connection.unchecked_transaction()?;
            transaction.execute(
                "INSERT OR REPLACE INTO snapshot(seq, ver, state_hash, size, state) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![seq, snapshot.version, snapshot.hash, size, state],
            )?;
            transaction.execute(
                "DELETE FROM snapshot WHERE seq NOT IN \
                 (SELECT seq FROM snapshot ORDER BY seq DESC LIMIT ?1)",
                [SNAPSHOT_COUNT_MAX],
            )?;
            transaction.commit()
        };
        store().map_err(|error| fault("store a snapshot", path, error))
    }

    /// The last event that any snapshot holds. Snapshots are made of durable events only, so one
    /// beyond the journal's end says that the journal has lost its end.
    ///
    /// # Errors
    ///
    /// Storage faults.
    pub fn last(&self) -> Result<Option<Seq>, JournalError> {
        let wrong = |error| fault("read the snapshots", &self.path, error);
        let last: Option<i64> = self
            .connection
            .query_row("SELECT max(seq) FROM snapshot", [], |row| row.get(0))
            .map_err(wrong)?;
        Ok(last.and_then(|seq| u64::try_from(seq).ok()).map(Seq::new))
    }

    /// The newest snapshot that is whole, of this version of the state's encoding, and not beyond
    /// `head`, the journal's end. Snapshots beyond it are of another history (see
    /// [`SnapshotStore::last`]); they are dropped, or they would one day pass for this journal's.
    ///
    /// # Errors
    ///
    /// Storage faults. A damaged snapshot is passed over, a damaged file renamed as by
    /// [`SnapshotStore::open`].
    pub fn newest(&mut self, head: Seq, version: u32) -> Result<Option<Snapshot>, JournalError> {
        match self.newest_of(head, version) {
            Err(JournalError::Damaged { .. }) => {
                let folder = self.path.parent().unwrap_or(&self.path).to_owned();
                set_aside(&folder, &self.path)?;
                *self = Self::connect(&folder, self.path.clone())?;
                Ok(None)
            }
            found => found,
        }
    }

    fn newest_of(&self, head: Seq, version: u32) -> Result<Option<Snapshot>, JournalError> {
        let wrong = |error| fault("read the snapshots", &self.path, error);
        let end = i64::try_from(head.get()).unwrap_or(i64::MAX);
        self.connection.execute("DELETE FROM snapshot WHERE seq > ?1", [end]).map_err(wrong)?;
        let seqs: Vec<i64> = self
            .connection
            .prepare("SELECT seq FROM snapshot WHERE ver = ?1 ORDER BY seq DESC")
            .and_then(|mut list| list.query_map([version], |row| row.get(0))?.collect())
            .map_err(wrong)?;
        Ok(seqs.into_iter().find_map(|seq| self.whole(seq, version)))
    }

    /// A snapshot whose hash is right.
    fn whole(&self, seq: i64, version: u32) -> Option<Snapshot> {
        let select = "SELECT state_hash, size, state FROM snapshot WHERE seq = ?1";
        let (hash, size, packed): ([u8; 32], i64, Vec<u8>) = self
            .connection
            .query_row(select, [seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()
            .ok()??;
        let size = usize::try_from(size).ok().filter(|size| *size <= STATE_SIZE_MAX)?;
        let state = zstd::bulk::decompress(&packed, size).ok()?;
        let snapshot = Snapshot::new(Seq::new(u64::try_from(seq).ok()?), version, state);
        (snapshot.hash == hash).then_some(snapshot)
    }
}

fn set_aside(folder: &Path, path: &Path) -> Result<(), JournalError> {
    file::remove(&beside(path, "-journal"))?;
    std::fs::rename(path, beside(path, ".unusable"))
        .map_err(|error| file_fault("set the snapshots aside", path, error))?;
    file::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn snapshot(seq: u64) -> Snapshot {
        let state = (0..50_000_u64).flat_map(|n| (n ^ seq).to_le_bytes()).collect();
        Snapshot::new(Seq::new(seq), 1, state)
    }

    fn change(folder: &Path, sql: &str) {
        Connection::open(folder.join(SNAPSHOT_FILE)).unwrap().execute_batch(sql).unwrap();
    }

    #[test]
    fn the_last_eight_are_kept_and_the_newest_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), None);
        for seq in 1..=10 {
            store.put(&snapshot(seq)).unwrap();
        }
        drop(store);
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), Some(snapshot(10)));
        assert_eq!(store.newest(Seq::new(100), 2).unwrap(), None);
        let count: i64 = store
            .connection
            .query_row("SELECT count(*) FROM snapshot WHERE seq > 2", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 8);
    }

    #[test]
    fn a_damaged_newest_gives_way_to_the_next_older() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        for seq in [10, 20, 30, 40, 50] {
            store.put(&snapshot(seq)).unwrap();
        }
        for (sql, newest) in [
            ("UPDATE snapshot SET state = x'00' WHERE seq = 50", 40),
            ("UPDATE snapshot SET state_hash = zeroblob(32) WHERE seq = 40", 30),
            ("UPDATE snapshot SET size = 1 WHERE seq = 30", 20),
            ("UPDATE snapshot SET size = -1 WHERE seq = 20", 10),
        ] {
            change(folder.path(), sql);
            assert_eq!(store.newest(Seq::new(100), 1).unwrap(), Some(snapshot(newest)), "{sql}");
        }
        change(folder.path(), "UPDATE snapshot SET size = 1 << 40, state_hash = x'00'");
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), None);
    }

    #[test]
    fn snapshots_of_another_history_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        for seq in [10, 20, 30] {
            store.put(&snapshot(seq)).unwrap();
        }
        assert_eq!(store.newest(Seq::new(25), 1).unwrap(), Some(snapshot(20)));
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), Some(snapshot(20)));
    }

    #[test]
    fn a_file_that_does_not_open_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SNAPSHOT_FILE);
        fs::write(&path, vec![7; 8_192]).unwrap();
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        store.put(&snapshot(1)).unwrap();
        assert_eq!(fs::read(beside(&path, ".unusable")).unwrap(), vec![7; 8_192]);
        drop(store);
        change(folder.path(), "PRAGMA user_version=2");
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), None);
    }

    #[test]
    fn damaged_pages_cost_a_replay_and_no_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SNAPSHOT_FILE);
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        store.put(&snapshot(5)).unwrap();
        drop(store);
        let mut bytes = fs::read(&path).unwrap();
        bytes[4_096..8_192].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let mut store = SnapshotStore::open(folder.path()).unwrap();
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), None);
        store.put(&snapshot(6)).unwrap();
        assert_eq!(store.newest(Seq::new(100), 1).unwrap(), Some(snapshot(6)));
    }
}
