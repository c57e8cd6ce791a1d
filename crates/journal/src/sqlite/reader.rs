//! Reading a journal while another process may write it: replay, proof, statistics, export.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use hansho_model::{Recorded, Seq};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde::Serialize;

use super::file::{self, beside, fault, file_fault, name};
use super::{APPLICATION_ID, JOURNAL_FILE, SCHEMA_VERSION, rows};
use crate::body;
use crate::chain::Row;
use crate::{Head, JournalError};

/// Events read in one short transaction: a reader that stays long keeps the write-ahead log from
/// being used anew.
const CHUNK: usize = 4_096;

/// A second pair of eyes on a journal: reads only, in short transactions, and never checkpoints.
pub struct SqliteReader {
    connection: Connection,
    path: PathBuf,
    cursor: Head,
}

impl std::fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteReader({}, at {})", name(&self.path), self.cursor.seq)
    }
}

impl SqliteReader {
    /// Opens the journal of a data folder for reading.
    ///
    /// # Errors
    ///
    /// There is none; it is damaged, of a newer version, or no journal.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(JOURNAL_FILE);
        let connection = file::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        file::check_kind(&connection, &path, APPLICATION_ID, SCHEMA_VERSION)?;
        file::set(&connection, &path, "query_only", "ON", "1")?;
        file::set(&connection, &path, "mmap_size", "0", "0")?;
        file::set(&connection, &path, "cell_size_check", "ON", "1")?;
        Ok(Self { connection, path, cursor: Head::EMPTY })
    }

    /// Number of the last event just now.
    ///
    /// # Errors
    ///
    /// Storage faults.
    pub fn last(&self) -> Result<Seq, JournalError> {
        let last: Option<i64> = self
            .connection
            .query_row("SELECT seq FROM event ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(|error| fault("read the last event", &self.path, error))?;
        Ok(Seq::new(last.and_then(|seq| u64::try_from(seq).ok()).unwrap_or_default()))
    }

    /// Up to `limit` events behind `after`, in order, their chain checked; in one transaction, so
    /// that a caller who wants all asks again and again.
    ///
    /// # Errors
    ///
    /// Storage faults, a broken chain, a body of a newer version.
    pub fn read(&mut self, after: Seq, limit: usize) -> Result<Vec<Recorded>, JournalError> {
        if !self.seek(after)? {
            return Ok(Vec::new());
        }
        rows::read(&self.connection, &self.path, &mut self.cursor, limit)
    }

    /// The link of the event that was read last.
    #[must_use]
    pub fn cursor(&self) -> Head {
        self.cursor
    }

    /// Goes behind the event `after`; `false` when there is no such event.
    fn seek(&mut self, after: Seq) -> Result<bool, JournalError> {
        if self.cursor.seq != after {
            let Some(sum) = rows::sum_of(&self.connection, &self.path, after)? else {
                return Ok(false);
            };
            self.cursor = Head { seq: after, sum };
        }
        Ok(true)
    }

    /// Visits all rows behind the cursor in chunks.
    fn each<E: From<JournalError>>(
        &mut self,
        mut visit: impl FnMut(&Row<'_>, &[u8; 32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { connection, path, cursor } = self;
        while rows::visit(connection, path, cursor, CHUNK, &mut visit)? > 0 {}
        Ok(())
    }
}

/// What a proof of the chain found.
#[derive(Debug)]
pub struct Report {
    /// Events whose link and body are good, from the first on.
    pub events: u64,
    /// The last good link.
    pub head: Head,
    /// Time of the first event.
    pub first_at: Option<Timestamp>,
    /// Time of the last good event.
    pub last_at: Option<Timestamp>,
    /// Why the proof ended before the end; `None` when all is good.
    pub fault: Option<JournalError>,
}

impl Report {
    /// Number of the first event that is not good.
    #[must_use]
    pub fn first_bad(&self) -> Option<Seq> {
        self.fault.is_some().then(|| Seq::new(self.events).next())
    }
}

/// Proves the chain of a data folder's journal from its first event to its last.
///
/// # Errors
///
/// The journal cannot be opened. What is wrong inside is in the report.
pub fn verify(folder: &Path) -> Result<Report, JournalError> {
    let mut reader = SqliteReader::open(folder)?;
    let mut report =
        Report { events: 0, head: Head::EMPTY, first_at: None, last_at: None, fault: None };
    let end = reader.each(|row, sum| {
        let event = rows::recorded(row)?;
        if report.last_at.is_some_and(|last| event.at <= last) {
            return Err(JournalError::Disorder { seq: event.seq });
        }
        report.events = report.events.saturating_add(1);
        report.head = Head { seq: event.seq, sum: *sum };
        report.first_at = report.first_at.or(Some(event.at));
        report.last_at = Some(event.at);
        Ok(())
    });
    report.fault = end.err();
    Ok(report)
}

/// Count and size of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStats {
    /// Events.
    pub count: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// How big a journal is and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Last event.
    pub last: Seq,
    /// Time of the first event.
    pub first_at: Option<Timestamp>,
    /// Time of the last event.
    pub last_at: Option<Timestamp>,
    /// Per number of kind; [`body::kind_name`] names it.
    pub kinds: BTreeMap<u16, KindStats>,
    /// Size of the journal's file.
    pub file_bytes: u64,
    /// Size of its write-ahead log's file, which does not shrink while hansho runs.
    pub log_bytes: u64,
}

/// Counts a journal's events by kind.
///
/// # Errors
///
/// The journal cannot be opened or read, or its chain is broken.
pub fn stats(folder: &Path) -> Result<Stats, JournalError> {
    let mut reader = SqliteReader::open(folder)?;
    let mut kinds: BTreeMap<u16, KindStats> = BTreeMap::new();
    let mut times: (Option<i64>, Option<i64>) = (None, None);
    reader.each(|row, _sum| {
        let kind = u16::try_from(row.kind).unwrap_or(u16::MAX);
        let bytes = u64::try_from(row.body.len()).unwrap_or(u64::MAX);
        let stats = kinds.entry(kind).or_default();
        stats.count = stats.count.saturating_add(1);
        stats.bytes = stats.bytes.saturating_add(bytes);
        times = (times.0.or(Some(row.tr)), Some(row.tr));
        Ok::<(), JournalError>(())
    })?;
    let time = |us: Option<i64>| us.and_then(|us| body::time(us).ok());
    Ok(Stats {
        last: reader.cursor.seq,
        first_at: time(times.0),
        last_at: time(times.1),
        kinds,
        file_bytes: file::size(&reader.path)?.unwrap_or(0),
        log_bytes: file::size(&beside(&reader.path, "-wal"))?.unwrap_or(0),
    })
}

/// The last `count` events, in order.
///
/// # Errors
///
/// As [`SqliteReader::read`].
pub fn tail(folder: &Path, count: usize) -> Result<Vec<Recorded>, JournalError> {
    let mut reader = SqliteReader::open(folder)?;
    let back = u64::try_from(count).unwrap_or(u64::MAX);
    let after = Seq::new(reader.last()?.get().saturating_sub(back));
    reader.read(after, count)
}

/// A line of an export: the row with every byte that its sum covers, and the same told in JSON.
#[derive(Serialize)]
struct Line {
    seq: i64,
    tr: i64,
    src: i64,
    kind: i64,
    ver: i64,
    idem: String,
    body: String,
    sum: String,
    name: Option<&'static str>,
    cause: Option<u64>,
    event: Option<serde_json::Value>,
}

/// Writes every event as a line of JSON, so that a stranger can prove the chain with nothing but
/// a BLAKE3 and read the rest; sealed values stay sealed. Returns where the journal ended.
///
/// # Errors
///
/// The journal cannot be opened or read, or its chain is broken; `out` refuses.
pub fn export(folder: &Path, out: &mut dyn Write) -> Result<Head, JournalError> {
    let mut reader = SqliteReader::open(folder)?;
    reader.each(|row, sum| {
        let told = body::json(row.kind, row.ver, row.body).ok();
        let (cause, event) = told.unzip();
        let line = Line {
            seq: row.seq,
            tr: row.tr,
            src: row.src,
            kind: row.kind,
            ver: row.ver,
            idem: crate::hex::encode(row.idem),
            body: crate::hex::encode(row.body),
            sum: crate::hex::encode(sum),
            name: u16::try_from(row.kind).ok().and_then(body::kind_name),
            cause: cause.flatten().map(Seq::get),
            event,
        };
        serde_json::to_writer(&mut *out, &line)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|error| file_fault("write the export", Path::new("the export"), error))
    })?;
    out.flush().map_err(|error| file_fault("write the export", Path::new("the export"), error))?;
    Ok(reader.cursor)
}
