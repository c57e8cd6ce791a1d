//! The journal in one SQLite file: one writer, group commit, a checked chain.

pub(crate) mod file;
mod reader;
pub(crate) mod rows;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use hansho_model::{Recorded, Seq};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use self::file::{beside, fault, name};
pub use self::reader::{KindStats, Report, SqliteReader, Stats, export, stats, tail, verify};
use crate::body::{self, Encoded};
use crate::chain::{self, Row};
use crate::{Cause, Head, Journal, JournalError};

/// File of the journal in the data folder.
pub const JOURNAL_FILE: &str = "journal.db";
/// File whose lock says that a process writes the journal.
pub const LOCK_FILE: &str = "journal.lock";
/// Version of the tables; in `user_version`.
pub const SCHEMA_VERSION: i64 = 1;
/// `application_id` of a journal: `HNSJ`.
pub const APPLICATION_ID: i64 = 0x484e_534a;

/// Pages in the write-ahead log from which an idle writer checkpoints.
const CHECKPOINT_IDLE_PAGES: u64 = 64;
/// Pages in the write-ahead log (1 MiB) at which the writer checkpoints though others wait: what
/// comes meanwhile waits as long as the disk needs for so much. A log 64 times as long is carried
/// over no faster by the page, and makes everybody wait 64 times as long.
const CHECKPOINT_BUSY_PAGES: u64 = 256;
/// Pages (4 MiB) that the write-ahead log is given at first: those, and the largest group after.
const WARM_UP_PAGES: u64 = 1_000;
/// Bytes of rows that fit into a page, roughly: for counting pages without asking SQLite.
const PAGE_ROOM: usize = 3_600;

const SCHEMA: &str = "
CREATE TABLE event(
  seq  INTEGER PRIMARY KEY,
  tr   INTEGER NOT NULL,
  src  INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  ver  INTEGER NOT NULL,
  idem BLOB    NOT NULL,
  body BLOB    NOT NULL,
  sum  BLOB    NOT NULL
) STRICT;
CREATE TABLE meta(k TEXT PRIMARY KEY, v BLOB NOT NULL) STRICT;
PRAGMA user_version=1;
";

const INSERT: &str = "INSERT INTO event(seq, tr, src, kind, ver, idem, body, sum) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// What each pragma of the writer is set to and must read back as, in this order.
const PRAGMAS: [(&str, &str, &str); 14] = [
    ("page_size", "4096", "4096"),
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", "2"),
    ("wal_autocheckpoint", "0", "0"),
    ("journal_size_limit", "-1", "-1"),
    ("cache_size", "-65536", "-65536"),
    ("temp_store", "MEMORY", "2"),
    ("foreign_keys", "OFF", "0"),
    ("busy_timeout", "5000", "5000"),
    ("locking_mode", "NORMAL", "normal"),
    ("mmap_size", "0", "0"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    ("auto_vacuum", "NONE", "0"),
];

/// The journal, open for writing. Dropping it without further ado loses nothing committed.
pub struct SqliteJournal {
    connection: Connection,
    path: PathBuf,
    head: Head,
    /// `tr` of the head.
    last_at: Option<i64>,
    /// Where the last [`Journal::read`] ended, so that the next need not look its link up.
    cursor: Head,
    /// A write failed: what the disk holds is unknown until it is read back.
    stopped: bool,
    /// Pages written to the write-ahead log since the last whole checkpoint, about.
    wal_pages: u64,
    /// Never read: its lock ends with it.
    _lock: File,
}

impl std::fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteJournal({}, head {})", name(&self.path), self.head.seq)
    }
}

/// A row ready to be written.
struct Ready {
    seq: i64,
    tr: i64,
    src: i64,
    idem: [u8; 16],
    encoded: Encoded,
    sum: [u8; 32],
}

impl SqliteJournal {
    /// Opens the journal of a data folder, alone. At the first start it makes the folder and an
    /// empty journal, durable before this returns.
    ///
    /// # Errors
    ///
    /// The folder cannot be used; another process has the journal; the journal is damaged, of a
    /// newer version, or no journal. Nothing is overwritten then.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        file::ensure_folder(folder)?;
        let lock = file::lock(&folder.join(LOCK_FILE))?;
        let path = folder.join(JOURNAL_FILE);
        let fresh = file::size(&path)?.unwrap_or(0) == 0;
        if fresh {
            create(folder, &path)?;
        }
        let connection = file::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        file::check_kind(&connection, &path, APPLICATION_ID, SCHEMA_VERSION)?;
        for (setting, value, wanted) in PRAGMAS {
            file::set(&connection, &path, setting, value, wanted)?;
        }
        warm_up(&connection, fresh).map_err(|error| fault("make the journal", &path, error))?;
        let (head, last_at) = last(&connection, &path)?;
        let mut journal = Self {
            connection,
            path,
            head,
            last_at,
            cursor: Head::EMPTY,
            stopped: false,
            wal_pages: 0,
            _lock: lock,
        };
        journal.checkpoint()?;
        Ok(journal)
    }

    /// The journal's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn usable(&self) -> Result<(), JournalError> {
        if self.stopped {
            return Err(JournalError::Stopped { path: name(&self.path) });
        }
        Ok(())
    }

    /// Encodes and chains a batch. Nothing is written yet.
    fn ready(&self, batch: &[Recorded]) -> Result<Vec<Ready>, JournalError> {
        let mut rows = Vec::with_capacity(batch.len());
        let (mut head, mut last_at) = (self.head, self.last_at);
        for event in batch {
            let gap = || JournalError::Gap { head: head.seq, found: event.seq };
            if event.seq != head.seq.next() {
                return Err(gap());
            }
            let seq = i64::try_from(event.seq.get()).map_err(|_range| gap())?;
            let tr = body::us(event.at);
            if last_at.is_some_and(|last| tr <= last) {
                return Err(JournalError::Disorder { seq: event.seq });
            }
            let encoded = body::encode(event.cause, &event.event)
                .map_err(|source| JournalError::Body { seq: event.seq, source })?;
            let (src, idem) = (i64::from(event.source.0), event.idem.0);
            let (kind, ver) = (i64::from(encoded.kind), i64::from(encoded.ver));
            let row = Row { seq, tr, src, kind, ver, idem: &idem, body: &encoded.body };
            let sum = chain::link(&head.sum, &row);
            head = Head { seq: event.seq, sum };
            last_at = Some(tr);
            rows.push(Ready { seq, tr, src, idem, encoded, sum });
        }
        Ok(rows)
    }

    /// Writes and commits. On any error nobody knows what the disk holds.
    fn write(&self, rows: &[Ready]) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut insert = self.connection.prepare_cached(INSERT)?;
        for row in rows {
            let Encoded { kind, ver, body } = &row.encoded;
            insert
                .execute(params![row.seq, row.tr, row.src, kind, ver, row.idem, body, row.sum])?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Carries the write-ahead log over as far as readers let it; never waits, never cuts it.
    fn checkpoint(&mut self) -> Result<(), JournalError> {
        let done = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(()));
        // A reader may have pinned a part; the next try comes as many pages later.
        self.wal_pages = 0;
        let Err(error) = done else { return Ok(()) };
        let fault = fault("checkpoint the journal", &self.path, error);
        // On a full disk the log is still whole and may still have room for alarms.
        if matches!(fault, JournalError::Full { .. }) {
            return Ok(());
        }
        self.stopped = true;
        Err(fault)
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, batch: &[Recorded]) -> Result<Head, JournalError> {
        self.usable()?;
        let rows = self.ready(batch)?;
        let Some(last) = rows.last() else { return Ok(self.head) };
        let bytes: usize = rows.iter().map(|row| row.encoded.body.len().saturating_add(80)).sum();
        if let Err(error) = self.write(&rows) {
            self.stopped = true;
            return Err(fault("commit to the journal", &self.path, error));
        }
        let seq = Seq::new(u64::try_from(last.seq).unwrap_or_default());
        self.head = Head { seq, sum: last.sum };
        self.last_at = Some(last.tr);
        let pages = u64::try_from(bytes / PAGE_ROOM).unwrap_or(u64::MAX).saturating_add(1);
        self.wal_pages = self.wal_pages.saturating_add(pages);
        if self.wal_pages >= CHECKPOINT_BUSY_PAGES {
            self.checkpoint()?;
        }
        Ok(self.head)
    }

    fn head(&self) -> Head {
        self.head
    }

    fn read(&mut self, after: Seq, limit: usize) -> Result<Vec<Recorded>, JournalError> {
        self.usable()?;
        if self.cursor.seq != after {
            let Some(sum) = rows::sum_of(&self.connection, &self.path, after)? else {
                return Ok(Vec::new());
            };
            self.cursor = Head { seq: after, sum };
        }
        rows::read(&self.connection, &self.path, &mut self.cursor, limit)
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        self.usable()?;
        if self.wal_pages > CHECKPOINT_IDLE_PAGES { self.checkpoint() } else { Ok(()) }
    }
}

/// Makes an empty journal under another name, makes it durable, and only then gives it its name:
/// where a journal has its name it is whole, whenever the power went.
fn create(folder: &Path, path: &Path) -> Result<(), JournalError> {
    let log = beside(path, "-wal");
    if file::size(path)?.is_some() || file::size(&log)?.unwrap_or(0) > 0 {
        return Err(JournalError::Headless { path: name(path) });
    }
    let young = beside(path, ".new");
    for suffix in ["", "-wal", "-shm", "-journal"] {
        file::remove(&beside(&young, suffix))?;
    }
    drop(file::open_private(&young)?);
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| JournalError::Storage {
        what: "make the journal's id",
        path: name(path),
        source: Cause::Random(error),
    })?;
    let connection = file::connect(&young, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    for (setting, value, wanted) in PRAGMAS {
        file::set(&connection, &young, setting, value, wanted)?;
    }
    let make = || {
        connection.execute_batch(&format!("PRAGMA application_id={APPLICATION_ID}; {SCHEMA}"))?;
        connection.execute("INSERT INTO meta(k, v) VALUES ('journal_id', ?1)", [id])?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
    };
    make().map_err(|error| fault("make the journal", &young, error))?;
    drop(connection);
    file::sync_file(&young)?;
    for suffix in ["-wal", "-shm"] {
        file::remove(&beside(&young, suffix))?;
    }
    std::fs::rename(&young, path)
        .map_err(|error| file::file_fault("name the journal", path, error))?;
    file::sync_folder(folder)
}

/// Makes the write-ahead log about as long as it will ever be, and empty: a commit that
/// overwrites is durable in half the time of one that makes its file longer.
fn warm_up(connection: &Connection, fresh: bool) -> rusqlite::Result<()> {
    if fresh {
        connection.execute_batch(&format!(
            "CREATE TABLE warm_up(v BLOB NOT NULL) STRICT;
             INSERT INTO warm_up VALUES (zeroblob({WARM_UP_PAGES} * 4096));"
        ))?;
    }
    // Not only when fresh: a first start may have broken off between the two.
    connection.execute_batch("DROP TABLE IF EXISTS warm_up")
}

/// The last event's link and time, the link checked.
fn last(connection: &Connection, path: &Path) -> Result<(Head, Option<i64>), JournalError> {
    let found: Option<(i64, i64)> = connection
        .query_row("SELECT seq, tr FROM event ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(|error| fault("read the last event", path, error))?;
    let Some((last, tr)) = found else { return Ok((Head::EMPTY, None)) };
    let last = u64::try_from(last).unwrap_or_default();
    let broken = || JournalError::Broken { seq: Seq::new(last), path: name(path) };
    let before = Seq::new(last.saturating_sub(1));
    let sum = rows::sum_of(connection, path, before)?.ok_or_else(broken)?;
    let mut head = Head { seq: before, sum };
    let seen =
        rows::visit(connection, path, &mut head, 1, |_row, _sum| Ok::<(), JournalError>(()))?;
    if seen == 1 { Ok((head, Some(tr))) } else { Err(broken()) }
}
