//! Journals of earlier releases: every later one opens them, proves them, folds them to the same
//! state, and goes on writing. What a newer release wrote is refused and not touched.
//!
//! `crates/journal/golden/journals/<release>.sql` holds the rows as that release wrote them, of one
//! run of the simulation; the `.txt` beside it what they fold to. Nobody edits either; only a line
//! `state <version of the state's encoding> <hash>` is added where that version is raised.
//! `HANSHO_NEW_GOLDEN=1` writes what is missing: for this release, or such a line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use hansho_core::{SNAPSHOT_VERSION, State};
use hansho_engine::officer::{hex, replay};
use hansho_journal::chain::{Row, link};
use hansho_journal::{
    APPLICATION_ID, JOURNAL_FILE, Journal as _, SCHEMA_VERSION, SqliteJournal, Vault, body, verify,
};
use hansho_model::{Event, Idem, Recorded, SourceId};
use rusqlite::{Connection, params};

use crate::house::setup::Setup;
use crate::house::{House, serve_to_end};
use crate::simulation::journal_of;

/// Runs out of which the one with the most kinds of events is kept.
const SEEDS: u64 = 400;
/// Longest journal that is kept, events.
const EVENTS_MAX: usize = 400;
/// The tables, as they are for ever.
const SCHEMA: &str = include_str!("../crates/journal/golden/v1/schema.sql");

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/journal/golden/journals")
}

fn is_asked_for() -> bool {
    std::env::var_os("HANSHO_NEW_GOLDEN").is_some()
}

/// The rows of a run with many kinds of events, as this release writes them.
fn make(path: &Path) {
    let kinds = |events: &[Recorded]| {
        let kind = |each: &Recorded| {
            let encoded = body::encode(each.cause, &each.event).unwrap();
            (encoded.kind, encoded.ver)
        };
        events.iter().map(kind).collect::<BTreeSet<_>>().len()
    };
    let runs = (0..SEEDS).map(journal_of).filter(|events| events.len() <= EVENTS_MAX);
    let events = runs.max_by_key(|events| kinds(events)).unwrap();
    println!("{} events of {} kinds", events.len(), kinds(&events));
    let folder = tempfile::tempdir().unwrap();
    SqliteJournal::open(folder.path()).unwrap().append(&events).unwrap();
    let connection = Connection::open(folder.path().join(JOURNAL_FILE)).unwrap();
    let mut rows = connection.prepare("SELECT * FROM event ORDER BY seq").unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let number = |index: usize| row.get::<_, i64>(index);
        let bytes = |index: usize| row.get::<_, Vec<u8>>(index).map(|bytes| hex(&bytes));
        Ok(format!(
            "INSERT INTO event VALUES({},{},{},{},{},X'{}',X'{}',X'{}');\n",
            number(0)?,
            number(1)?,
            number(2)?,
            number(3)?,
            number(4)?,
            bytes(5)?,
            bytes(6)?,
            bytes(7)?
        ))
    };
    let lines: String = rows.query_map([], row).unwrap().map(Result::unwrap).collect();
    fs::create_dir_all(golden()).unwrap();
    fs::write(path, lines).unwrap();
}

/// A data folder with the journal that an earlier release left.
fn old_journal(rows: &str, folder: &Path) {
    drop(Vault::open(folder).unwrap());
    let connection = Connection::open(folder.join(JOURNAL_FILE)).unwrap();
    let tables = SCHEMA.replace("STRICT", "STRICT;");
    let schema = format!(
        "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA application_id={APPLICATION_ID}; \
         PRAGMA user_version={SCHEMA_VERSION}; BEGIN; {tables} \
         INSERT INTO meta VALUES('journal_id', zeroblob(16)); {rows} COMMIT; \
         PRAGMA wal_checkpoint(TRUNCATE);"
    );
    connection.execute_batch(&schema).unwrap_or_else(|error| panic!("{:.200}", error.to_string()));
}

/// What a journal proves and folds to, without the state's hash.
fn told(folder: &Path, state: &State) -> String {
    let report = verify(folder).unwrap();
    assert!(report.fault.is_none(), "{report:?}");
    assert_eq!(report.events, state.seq().get());
    let open = state.signals().values().filter(|signal| signal.ended.is_none()).count();
    let mut text = String::new();
    writeln!(text, "events {}\nhead {}", report.events, report.head.sum_hex()).unwrap();
    writeln!(text, "effects {}", hex(state.effects_sum())).unwrap();
    writeln!(text, "signals {} open {open}", state.signals().len()).unwrap();
    writeln!(text, "owed {}", state.owed().len()).unwrap();
    text
}

fn assert_told(path: &Path, told: &str, state: &State) {
    let line = format!("state {SNAPSHOT_VERSION} {}", hex(&state.hash()));
    let kept = fs::read_to_string(path).unwrap_or_default();
    let of_this_version = |kept: &str| {
        kept.lines().any(|kept| kept.starts_with(&format!("state {SNAPSHOT_VERSION} ")))
    };
    let kept = if is_asked_for() && !of_this_version(&kept) {
        let begin = if kept.is_empty() { told } else { &kept };
        fs::write(path, format!("{begin}{line}\n")).unwrap();
        fs::read_to_string(path).unwrap()
    } else {
        kept
    };
    assert!(
        kept.starts_with(told),
        "{}: it no longer folds to what it was:\n{told}",
        path.display()
    );
    let remedy = "HANSHO_NEW_GOLDEN=1 adds the line where SNAPSHOT_VERSION was raised";
    assert!(kept.lines().any(|kept| kept == line), "{}: no {line}; {remedy}", path.display());
}

#[test]
fn journals_of_earlier_releases_are_opened_proved_folded_and_gone_on_with() {
    let own = golden().join(format!("{}.sql", env!("CARGO_PKG_VERSION")));
    if !own.exists() && is_asked_for() {
        make(&own);
    }
    assert!(own.exists(), "{} is missing; HANSHO_NEW_GOLDEN=1 makes it", own.display());
    for file in fs::read_dir(golden()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        old_journal(&fs::read_to_string(&path).unwrap(), folder.path());
        let state = replay(folder.path()).unwrap();
        let before = told(folder.path(), &state);
        assert_told(&path.with_extension("txt"), &before, &state);
        let mut journal = SqliteJournal::open(folder.path()).unwrap();
        let next = Recorded {
            seq: journal.head().seq.next(),
            at: "2040-01-01T00:00:00Z".parse().unwrap(),
            source: SourceId::CORE,
            cause: None,
            idem: Idem::default(),
            event: Event::ClockStepped { back_us: 1 },
        };
        let head = journal.append(&[next]).unwrap();
        drop(journal);
        let report = verify(folder.path()).unwrap();
        assert_eq!((report.head, report.fault.is_none()), (head, true), "{}", path.display());
    }
}

/// A whole house takes over what an earlier release left.
#[test]
fn a_house_goes_on_from_an_older_journal() {
    let mut house = House::new(&Setup::new(Vec::new()));
    let own = golden().join(format!("{}.sql", env!("CARGO_PKG_VERSION")));
    old_journal(&fs::read_to_string(own).unwrap(), &house.data());
    let before = verify(&house.data()).unwrap();
    house.start();
    assert!(house.stop().success());
    let after = verify(&house.data()).unwrap();
    assert!(after.fault.is_none() && after.events > before.events);
}

/// Going back to an older release is refused by it, and costs nothing.
#[test]
fn what_a_newer_release_wrote_is_refused_and_not_touched() {
    type Change = fn(&Connection);
    let newer: [(Change, &str); 2] = [
        (newer_tables, "is of a newer version (2; this release knows 1): update hansho"),
        (newer_kind, "kind 9999 is unknown: the journal is of a newer version, update hansho"),
    ];
    for (change, remedy) in newer {
        let house = House::new(&Setup::new(Vec::new()));
        let rows = fs::read_to_string(golden().join("0.1.0.sql")).unwrap();
        old_journal(&rows, &house.data());
        let path = house.data().join(JOURNAL_FILE);
        let connection = Connection::open(&path).unwrap();
        change(&connection);
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).unwrap();
        drop(connection);
        let before = fs::read(&path).unwrap();
        let (code, said) = serve_to_end(&house.config(), &house.data());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(remedy), "{said}");
        assert!(fs::read(&path).unwrap() == before, "{remedy}: the file was touched");
    }
}

fn newer_tables(connection: &Connection) {
    connection.pragma_update(None, "user_version", 2).unwrap();
}

/// An event of a kind that only a later release knows, with a good link.
fn newer_kind(connection: &Connection) {
    let last = "SELECT seq, tr, sum FROM event ORDER BY seq DESC LIMIT 1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (seq, tr, before): (i64, i64, [u8; 32]) = connection.query_row(last, [], read).unwrap();
    let (seq, tr, src, kind, ver, idem, body) = (seq + 1, tr + 1, 0, 9_999, 1, [0; 16], [0]);
    let row = Row { seq, tr, src, kind, ver, idem: &idem, body: &body };
    let sum = link(&before, &row);
    let insert = "INSERT INTO event VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.execute(insert, params![seq, tr, src, kind, ver, idem, body, sum]).unwrap();
}
