use std::fs;

use hansho_model::{Idem, SourceId};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::body::tests::{assert_golden, first_samples};

/// Events `first` to `first + count - 1`, one second apart, with bodies of all kinds.
pub(crate) fn batch(first: u64, count: u64) -> Vec<Recorded> {
    let samples = first_samples();
    (first..first + count)
        .map(|number| {
            let index = usize::try_from(number).unwrap() % samples.len();
            Recorded {
                seq: Seq::new(number),
                at: Timestamp::from_second(1_795_410_000 + i64::try_from(number).unwrap()).unwrap(),
                source: SourceId(u32::try_from(number % 7).unwrap()),
                cause: number.checked_sub(2).filter(|cause| *cause > 0).map(Seq::new),
                idem: Idem([u8::try_from(number % 251).unwrap(); 16]),
                event: samples[index].clone(),
            }
        })
        .collect()
}

fn filled(folder: &Path, count: u64) -> Head {
    SqliteJournal::open(folder).unwrap().append(&batch(1, count)).unwrap()
}

fn raw(folder: &Path) -> Connection {
    Connection::open(folder.join(JOURNAL_FILE)).unwrap()
}

#[test]
fn what_is_appended_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.head(), Head::EMPTY);
    assert_eq!(journal.append(&[]).unwrap(), Head::EMPTY);
    let events = batch(1, 100);
    let head = journal.append(&events).unwrap();
    assert_eq!((head, head.seq), (journal.head(), Seq::new(100)));
    assert_eq!(journal.read(Seq::ZERO, 1_000).unwrap(), events);
    assert_eq!(journal.read(Seq::new(10), 5).unwrap(), events[10..15]);
    assert_eq!(journal.read(Seq::new(15), 5).unwrap(), events[15..20]);
    assert_eq!(journal.read(Seq::new(100), 5).unwrap(), []);
    assert_eq!(journal.read(Seq::new(101), 5).unwrap(), []);
    assert_eq!(journal.read(Seq::new(u64::MAX), 5).unwrap(), []);
    journal.idle().unwrap();
    drop(journal);
    let mut again = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(again.head(), head);
    assert_eq!(again.read(Seq::ZERO, 1_000).unwrap(), events);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_123), ..Default::default() })]
    #[test]
    fn random_batches_read_back_in_any_chunks(
        sizes in proptest::collection::vec((0_u64..40, any::<bool>()), 1..12), chunk in 1_usize..50,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(folder.path()).unwrap();
        let mut all = Vec::new();
        for (size, torn) in sizes {
            let events = batch(journal.head().seq.next().get(), size);
            journal.append(&events).unwrap();
            all.extend(events);
            if torn {
                drop(journal);
                journal = SqliteJournal::open(folder.path()).unwrap();
            }
        }
        let mut reader = SqliteReader::open(folder.path()).unwrap();
        let mut read = Vec::new();
        loop {
            let next = reader.read(Seq::new(read.len() as u64), chunk).unwrap();
            if next.is_empty() { break; }
            read.extend(next);
        }
        prop_assert_eq!(&read, &all);
        prop_assert_eq!(reader.cursor(), journal.head());
        let report = verify(folder.path()).unwrap();
        prop_assert!(report.fault.is_none());
        prop_assert_eq!(report.head, journal.head());
    }
}

#[test]
fn a_gap_or_a_step_back_in_time_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let head = journal.append(&batch(1, 3)).unwrap();
    for wrong in [batch(5, 1), batch(3, 1), [batch(4, 1), batch(6, 1)].concat()] {
        let error = journal.append(&wrong).unwrap_err();
        assert!(matches!(error, JournalError::Gap { .. }), "{error}");
    }
    let mut late = batch(4, 2);
    late[1].at = late[0].at;
    assert!(matches!(
        journal.append(&late).unwrap_err(),
        JournalError::Disorder { seq } if seq == Seq::new(5)
    ));
    assert_eq!(journal.head(), head);
    assert_eq!(journal.read(Seq::ZERO, 10).unwrap().len(), 3);
    journal.append(&batch(4, 2)).unwrap();
    assert_eq!(verify(folder.path()).unwrap().events, 5);
}

#[test]
fn a_flip_of_any_column_breaks_the_chain_at_its_row() {
    let changes = [
        "tr = tr + 1",
        "src = src + 1",
        "kind = kind + 1",
        "ver = ver + 1",
        "idem = zeroblob(16)",
        "idem = zeroblob(15)",
        "body = zeroblob(length(body))",
        "body = x''",
        "sum = zeroblob(32)",
        "sum = x'00'",
        "seq = 100",
    ];
    for change in changes {
        let copy = tempfile::tempdir().unwrap();
        filled(copy.path(), 9);
        raw(copy.path()).execute(&format!("UPDATE event SET {change} WHERE seq = 5"), []).unwrap();
        let report = verify(copy.path()).unwrap();
        assert_eq!(report.first_bad(), Some(Seq::new(5)), "{change}");
        assert_eq!(report.events, 4, "{change}");
        let error = SqliteReader::open(copy.path()).unwrap().read(Seq::ZERO, 9).unwrap_err();
        assert!(
            matches!(error, JournalError::Broken { seq, .. } if seq == Seq::new(5)),
            "{change}"
        );
    }
}

#[test]
fn every_byte_of_a_row_is_in_its_sum() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3);
    for column in ["idem", "body", "sum"] {
        let bytes: Vec<u8> = raw(folder.path())
            .query_row(&format!("SELECT {column} FROM event WHERE seq = 2"), [], |row| row.get(0))
            .unwrap();
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 0x10;
            let set = format!("UPDATE event SET {column} = ?1 WHERE seq = 2");
            raw(folder.path()).execute(&set, [&flipped]).unwrap();
            assert_eq!(verify(folder.path()).unwrap().first_bad(), Some(Seq::new(2)));
            raw(folder.path()).execute(&set, [&bytes]).unwrap();
        }
    }
    assert!(verify(folder.path()).unwrap().fault.is_none());
}

#[test]
fn a_row_taken_out_or_put_in_or_moved_breaks_the_chain() {
    let cases = [
        ("DELETE FROM event WHERE seq = 4", Some(4)),
        ("DELETE FROM event WHERE seq = 1", Some(1)),
        (
            "INSERT INTO event SELECT 10, tr, src, kind, ver, idem, body, sum FROM event WHERE seq = 9",
            Some(10),
        ),
        (
            "UPDATE event SET seq = -seq WHERE seq IN (4, 5); \
          UPDATE event SET seq = 9 + seq WHERE seq < 0",
            Some(4),
        ),
        // Who cuts off the end leaves a whole chain: the head that was printed elsewhere tells.
        ("DELETE FROM event WHERE seq = 9", None),
    ];
    for (change, bad) in cases {
        let folder = tempfile::tempdir().unwrap();
        let head = filled(folder.path(), 9);
        raw(folder.path()).execute_batch(change).unwrap();
        let report = verify(folder.path()).unwrap();
        assert_eq!(report.first_bad(), bad.map(Seq::new), "{change}");
        assert!(bad == Some(10) || report.head != head, "{change}");
    }
}

#[test]
fn a_broken_last_row_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 9);
    raw(folder.path()).execute("UPDATE event SET tr = tr + 1 WHERE seq = 9", []).unwrap();
    let error = SqliteJournal::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Broken { seq, .. } if seq == Seq::new(9)), "{error}");
}

#[test]
fn a_batch_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let head = journal.append(&batch(1, 3)).unwrap();
    // A row that stands in the way makes the second insert of the batch fail.
    raw(folder.path())
        .execute("INSERT INTO event SELECT 5, tr, src, kind, ver, idem, body, sum FROM event WHERE seq = 1", [])
        .unwrap();
    let error = journal.append(&batch(4, 3)).unwrap_err();
    assert!(matches!(error, JournalError::Storage { .. }), "{error}");
    assert!(matches!(journal.append(&batch(4, 1)), Err(JournalError::Stopped { .. })));
    assert!(matches!(journal.read(Seq::ZERO, 1), Err(JournalError::Stopped { .. })));
    assert!(matches!(journal.idle(), Err(JournalError::Stopped { .. })));
    drop(journal);
    raw(folder.path()).execute("DELETE FROM event WHERE seq = 5", []).unwrap();
    assert_eq!(SqliteJournal::open(folder.path()).unwrap().head(), head);
}

#[test]
fn two_writers_are_one_too_many_and_readers_are_welcome() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let error = SqliteJournal::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Busy { .. }), "{error}");
    let mut reader = SqliteReader::open(folder.path()).unwrap();
    assert_eq!(reader.read(Seq::ZERO, 10).unwrap(), []);
    journal.append(&batch(1, 2)).unwrap();
    assert_eq!(reader.read(Seq::ZERO, 10).unwrap(), batch(1, 2));
    assert_eq!(reader.last().unwrap(), Seq::new(2));
    drop(journal);
    SqliteJournal::open(folder.path()).unwrap();
}

#[test]
fn a_newer_or_foreign_file_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 2);
    raw(folder.path()).execute_batch("PRAGMA user_version=2").unwrap();
    let newer = SqliteJournal::open(folder.path()).unwrap_err();
    assert!(
        newer
            .to_string()
            .ends_with("journal.db is of a newer version (2; this release knows 1): update hansho")
    );
    assert!(matches!(verify(folder.path()), Err(JournalError::Newer { .. })));
    for pragma in ["user_version=0", "user_version=1; PRAGMA application_id=7"] {
        raw(folder.path()).execute_batch(&format!("PRAGMA {pragma}")).unwrap();
        let error = SqliteJournal::open(folder.path()).unwrap_err();
        assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
    }
    let other = tempfile::tempdir().unwrap();
    let text = "A text that is no database. ".repeat(400);
    fs::write(other.path().join(JOURNAL_FILE), &text).unwrap();
    let error = SqliteJournal::open(other.path()).unwrap_err();
    assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
    assert_eq!(fs::read_to_string(other.path().join(JOURNAL_FILE)).unwrap(), text);
}

#[test]
fn a_lost_file_beside_its_log_is_not_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 2);
    fs::remove_file(folder.path().join(JOURNAL_FILE)).unwrap();
    let error = SqliteJournal::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Headless { .. }), "{error}");
    fs::write(folder.path().join(JOURNAL_FILE), b"").unwrap();
    let error = SqliteJournal::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Headless { .. }), "{error}");
}

#[test]
fn a_first_start_that_broke_off_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    for left_over in ["journal.db.new", "journal.db.new-wal", "journal.db.new-shm"] {
        fs::write(folder.path().join(left_over), b"half").unwrap();
    }
    filled(folder.path(), 2);
    assert_eq!(verify(folder.path()).unwrap().events, 2);
    assert!(!folder.path().join("journal.db.new").exists());
    raw(folder.path()).execute_batch("CREATE TABLE warm_up(v BLOB)").unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    raw(folder.path()).execute_batch("CREATE TABLE warm_up(v BLOB)").unwrap();
}

#[test]
fn a_file_where_the_folder_should_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    fs::write(&file, b"").unwrap();
    for path in [file.clone(), file.join("deeper")] {
        let error = SqliteJournal::open(&path).unwrap_err();
        assert!(matches!(error, JournalError::Folder { .. }), "{error}");
    }
    let deep = folder.path().join("a/b/c");
    filled(&deep, 1);
    assert_eq!(verify(&deep).unwrap().events, 1);
    let error = SqliteReader::open(&folder.path().join("nothing")).unwrap_err();
    assert!(matches!(error, JournalError::Folder { .. }), "{error}");
    let error = SqliteReader::open(folder.path()).unwrap_err();
    assert!(matches!(error, JournalError::Storage { .. }), "{error}");
}

#[test]
fn a_flipped_byte_in_any_page_is_found() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 400);
    // Written anew, so that every page but the first three holds rows.
    raw(folder.path()).execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let path = folder.path().join(JOURNAL_FILE);
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4_096;
    assert!(pages > 10);
    let mut found = 0;
    for page in 3..pages {
        let mut flipped = whole.clone();
        flipped[page * 4_096 + 3_000] ^= 0x40;
        fs::write(&path, &flipped).unwrap();
        found += usize::from(verify(folder.path()).map_or(true, |report| report.fault.is_some()));
    }
    // A byte may lie in a page's free room; nearly all do not.
    assert!(found * 10 >= (pages - 3) * 9, "{found} of {pages}");
    let mut torn = whole.clone();
    torn[4_096 * 4..4_096 * 6].fill(0xff);
    fs::write(&path, &torn).unwrap();
    let fault = verify(folder.path()).unwrap().fault.unwrap();
    assert!(matches!(fault, JournalError::Damaged { .. } | JournalError::Broken { .. }), "{fault}");
    assert_eq!(fs::read(&path).unwrap(), torn, "nothing was overwritten");
}

#[test]
fn no_room_stops_the_journal_and_keeps_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let mut head = journal.append(&batch(1, 10)).unwrap();
    journal.connection.execute_batch("PRAGMA max_page_count=20").unwrap();
    let error = loop {
        match journal.append(&batch(head.seq.next().get(), 50)) {
            Ok(next) => head = next,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    assert!(matches!(journal.append(&[]), Err(JournalError::Stopped { .. })));
    drop(journal);
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    assert_eq!(journal.head(), head);
    journal.append(&batch(head.seq.next().get(), 50)).unwrap();
}

#[test]
fn the_log_is_carried_over_when_idle_and_when_long() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal.append(&batch(1, 10)).unwrap();
    journal.wal_pages = CHECKPOINT_IDLE_PAGES;
    journal.idle().unwrap();
    assert_eq!(journal.wal_pages, CHECKPOINT_IDLE_PAGES);
    // What stands in the file without its log is what was carried over.
    let carried = || {
        let copy = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join(JOURNAL_FILE), copy.path().join(JOURNAL_FILE)).unwrap();
        verify(copy.path()).unwrap().events
    };
    journal.append(&batch(11, 200)).unwrap();
    assert_eq!(carried(), 0);
    journal.idle().unwrap();
    assert_eq!((journal.wal_pages, carried()), (0, 210));
    journal.wal_pages = CHECKPOINT_BUSY_PAGES - 1;
    journal.append(&batch(211, 400)).unwrap();
    assert_eq!((journal.wal_pages, carried()), (0, 610));
    assert_eq!(verify(folder.path()).unwrap().events, 610);
}

#[test]
fn statistics_tail_and_export_tell_the_same_journal() {
    let folder = tempfile::tempdir().unwrap();
    let head = filled(folder.path(), 120);
    let stats = stats(folder.path()).unwrap();
    assert_eq!(stats.last, head.seq);
    let kinds: std::collections::BTreeSet<u16> = batch(1, 120)
        .iter()
        .map(|recorded| body::encode(None, &recorded.event).unwrap().kind)
        .collect();
    assert_eq!(stats.kinds.len(), kinds.len());
    assert_eq!(stats.kinds.values().map(|kind| kind.count).sum::<u64>(), 120);
    assert_eq!(stats.first_at, Some(batch(1, 1)[0].at));
    assert_eq!(stats.last_at, Some(batch(120, 1)[0].at));
    assert_eq!(tail(folder.path(), 3).unwrap(), batch(118, 3));
    assert_eq!(tail(folder.path(), 1_000).unwrap().len(), 120);
    let mut out = Vec::new();
    assert_eq!(export(folder.path(), &mut out).unwrap(), head);
    // A stranger proves the chain from the lines alone.
    let mut sum = chain::GENESIS;
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 120);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| line[key].as_i64().unwrap();
        let bytes = |key: &str| crate::hex::decode(line[key].as_str().unwrap()).unwrap();
        let mut all = sum.to_vec();
        for key in ["seq", "tr", "src", "kind", "ver"] {
            all.extend(number(key).to_le_bytes());
        }
        all.extend(bytes("idem"));
        all.extend((bytes("body").len() as u64).to_le_bytes());
        all.extend(bytes("body"));
        sum = *blake3::hash(&all).as_bytes();
        assert_eq!(bytes("sum"), sum);
        assert!(line["event"].is_object());
    }
    assert_eq!(sum, head.sum);
}

#[test]
fn an_empty_journal_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteJournal::open(folder.path()).unwrap());
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.events, report.head, report.first_bad()), (0, Head::EMPTY, None));
    assert_eq!(tail(folder.path(), 3).unwrap(), []);
    assert_eq!(stats(folder.path()).unwrap().last, Seq::ZERO);
}

#[test]
fn tables_and_chain_are_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 50);
    let mut out = Vec::new();
    export(folder.path(), &mut out).unwrap();
    assert_golden("v1/export.jsonl", &String::from_utf8(out).unwrap());
    let connection = raw(folder.path());
    let mut schema = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql > ''").unwrap();
    let tables = schema.query_map([], |row| row.get(0)).unwrap();
    let tables: Vec<String> = tables.collect::<Result<_, _>>().unwrap();
    assert_golden("v1/schema.sql", &format!("{}\n", tables.join("\n")));
}

#[test]
fn a_kind_of_a_newer_release_stops_the_reader_and_not_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let head = filled(folder.path(), 3);
    let (idem, body) = ([1; 16], b"\0new".as_slice());
    let row =
        Row { seq: 4, tr: 1_795_410_900_000_000, src: 1, kind: 99, ver: 1, idem: &idem, body };
    let sum = chain::link(&head.sum, &row);
    let values = params![row.seq, row.tr, row.src, row.kind, row.ver, row.idem, row.body, sum];
    raw(folder.path()).execute(INSERT, values).unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    let error = journal.read(Seq::ZERO, 10).unwrap_err();
    assert_eq!(error.to_string(), "the body of event 4 cannot be understood");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.ends_with("kind 99 is unknown: the journal is of a newer version, update hansho")
    );
    assert_eq!(verify(folder.path()).unwrap().first_bad(), Some(Seq::new(4)));
    assert_eq!(stats(folder.path()).unwrap().kinds[&99], KindStats { count: 1, bytes: 4 });
    let mut out = Vec::new();
    assert_eq!(export(folder.path(), &mut out).unwrap().sum, sum);
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().last().unwrap().ends_with(r#""name":null,"cause":null,"event":null}"#));
}

#[test]
fn readers_are_not_disturbed_by_a_checkpoint_nor_it_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = SqliteJournal::open(folder.path()).unwrap();
    journal.append(&batch(1, 50)).unwrap();
    let reader = raw(folder.path());
    let mut pinned = reader.prepare("SELECT seq FROM event ORDER BY seq").unwrap();
    let mut rows = pinned.query([]).unwrap();
    assert!(rows.next().unwrap().is_some());
    journal.append(&batch(51, 50)).unwrap();
    journal.checkpoint().unwrap();
    journal.append(&batch(101, 50)).unwrap();
    let mut seen = 1;
    while rows.next().unwrap().is_some() {
        seen += 1;
    }
    assert_eq!(seen, 50, "a reader sees the journal of when it began");
    drop(rows);
    journal.checkpoint().unwrap();
    assert_eq!(verify(folder.path()).unwrap().events, 150);
}

/// A small disk of its own, for those who may mount one.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            println!("skipped: mounting a small disk needs the rights of root");
        }
        mounted.then_some(Self { folder })
    }

    fn remount(&self, options: &str) {
        let done = std::process::Command::new("mount")
            .args(["-o", options])
            .arg(self.folder.path())
            .status()
            .unwrap();
        assert!(done.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.folder.path();
        std::process::Command::new("umount").arg("-l").arg(path).status().unwrap();
    }
}

#[test]
fn a_full_disk_stops_the_journal_until_the_reserve_is_released() {
    let Some(disk) = SmallDisk::mount("size=24m") else { return };
    let folder = disk.folder.path().join("data");
    let mut journal = SqliteJournal::open(&folder).unwrap();
    let mut reserve = crate::Reserve::create(&folder, 8).unwrap();
    let mut head = journal.head();
    let error = loop {
        match journal.append(&batch(head.seq.next().get(), 500)) {
            Ok(next) => head = next,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    assert!(error.to_string().starts_with("no room left on the disk of "), "{error}");
    drop(journal);
    assert_eq!(SqliteJournal::open(&folder).unwrap().head(), head, "a full disk can be read");
    reserve.release().unwrap();
    let mut journal = SqliteJournal::open(&folder).unwrap();
    assert_eq!(journal.head(), head, "all that was committed is there, nothing else");
    head = journal.append(&batch(head.seq.next().get(), 500)).unwrap();
    drop(journal);
    assert_eq!(verify(&folder).unwrap().head, head);
}

#[test]
fn a_read_only_disk_is_named_and_can_still_be_read() {
    let Some(disk) = SmallDisk::mount("size=24m") else { return };
    let folder = disk.folder.path().join("data");
    let head = filled(&folder, 20);
    disk.remount("remount,ro");
    let error = SqliteJournal::open(&folder).unwrap_err();
    assert!(matches!(error, JournalError::ReadOnly { .. }), "{error}");
    let error = SqliteJournal::open(&disk.folder.path().join("new")).unwrap_err();
    assert!(matches!(error, JournalError::Folder { .. }), "{error}");
    assert_eq!(verify(&folder).unwrap().head, head);
}

/// What the traced process does: appends and says so until the disk refuses.
fn append_until_refused(folder: &Path) {
    let mut journal = SqliteJournal::open(folder).unwrap();
    for _each in 0..1_000 {
        match journal.append(&batch(journal.head().seq.next().get(), 3)) {
            Ok(head) => println!("acked {}", head.seq),
            Err(error) => {
                assert!(matches!(error, JournalError::Storage { .. }), "{error}");
                let again = journal.append(&batch(journal.head().seq.next().get(), 3));
                assert!(matches!(again, Err(JournalError::Stopped { .. })));
                println!("refused");
                return;
            }
        }
    }
}

#[test]
fn every_ack_follows_an_fdatasync_and_none_follows_a_failed_one() {
    const ROLE: &str = "HANSHO_TEST_TRACED";
    if let Some(folder) = std::env::var_os(ROLE) {
        append_until_refused(Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let traced = std::process::Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=pwrite64,fdatasync,write", "-o"])
        .arg(&trace)
        .args(["-e", "inject=fdatasync:error=EIO:when=40+"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("sqlite::tests::every_ack_follows_an_fdatasync_and_none_follows_a_failed_one")
        .env(ROLE, &data)
        .output();
    let Ok(traced) = traced else {
        println!("skipped: there is no strace");
        return;
    };
    if !trace.exists() || fs::read_to_string(&trace).unwrap().is_empty() {
        println!("skipped: this process may not trace another");
        return;
    }
    assert!(traced.status.success(), "{}", String::from_utf8_lossy(&traced.stdout));
    let (mut dirty, mut failed, mut acked, mut refused) = (false, false, 0, false);
    for line in fs::read_to_string(&trace).unwrap().lines() {
        if line.contains("pwrite64(") {
            dirty = true;
        } else if line.contains("fdatasync(") {
            failed |= line.contains("EIO");
            dirty = line.contains("EIO");
        } else if let Some((_, rest)) = line.split_once("\"acked ") {
            assert!(!dirty && !failed, "acknowledged before it was durable: {line}");
            acked = rest.split('\\').next().unwrap().parse().unwrap();
        } else if line.contains("refused") {
            refused = true;
        }
    }
    assert!(acked > 30 && failed && refused, "{acked} {failed} {refused}");
    let report = verify(&data).unwrap();
    assert!(report.fault.is_none() && report.head.seq >= Seq::new(acked));
}
