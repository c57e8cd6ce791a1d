//! The journal beside its peers: a growing log file with fdatasync, and SQLite that does not wait
//! for the disk. Prints one JSON object a line. `--seconds N` sets the length of one case.
#![expect(clippy::print_stdout, reason = "a benchmark prints its rows")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it measures time, and may fail"
)]
#![expect(clippy::cast_precision_loss, reason = "rates need no more digits than f64 has")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hansho_journal::{Journal as _, SqliteJournal, SqliteReader, Vault, body, probe, verify};
use hansho_model::{
    AlarmClass, AlarmKind, Door, Event, Finding, Idem, KeyId, Lane, Phase, Recorded, Reveal as _,
    Sealed, SealedReport, Seq, SourceId,
};
use jiff::Timestamp;
use rusqlite::{Connection, params};

/// Events per commit.
const BATCHES: [u64; 4] = [1, 8, 64, 512];
/// The three take turns in slices: a shared disk swings by 15 times within minutes.
const SLICES: u32 = 7;

fn main() {
    let seconds = seconds();
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let case = Duration::from_secs_f64(seconds);
    for batch in BATCHES {
        let folder = folder.path().join(batch.to_string());
        std::fs::create_dir(&folder).unwrap();
        let mut three = [ours(&folder, batch), log_file(&folder, batch), normal(&folder, batch)];
        for _slice in 0..SLICES {
            for each in &mut three {
                each.run(batch, case / SLICES);
            }
        }
        let [ours, log, normal] = three.map(|each| each.rate());
        let name = format!("batch {batch}");
        print(&name, ours, log, "log file + fdatasync", "events/s", "higher");
        print(&name, ours, normal, "SQLite synchronous=NORMAL", "events/s", "higher");
    }
    acks(folder.path());
    read_back(folder.path());
    seals(folder.path());
}

fn seconds() -> f64 {
    let mut arguments = std::env::args();
    let given = arguments
        .by_ref()
        .find(|argument| argument == "--seconds")
        .and_then(|_flag| arguments.next())
        .or_else(|| std::env::var("HANSHO_BENCH_SECONDS").ok());
    given.and_then(|text| text.parse().ok()).unwrap_or(2.0)
}

fn print(case: &str, ours: f64, peer: f64, peer_name: &str, unit: &str, better: &str) {
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"journal","case":"{case}","ours":{ours:.2},"peer":{peer:.2},"peer_name":"{peer_name}","ratio":{ratio:.3},"unit":"{unit}","better":"{better}"}}"#
    );
}

/// A pendant's report whose row has about 300 bytes.
fn event(number: u64) -> Recorded {
    let sealed = |size| Sealed { key: KeyId(7), bytes: vec![0x5a; size] };
    let report = SealedReport {
        door: Door::Dc09,
        source: "dc09:4901".to_owned(),
        lane: Lane::A,
        observed_at: None,
        received_at: Timestamp::from_microsecond(1_795_410_050_123_456).unwrap(),
        device_key: vec![1; 8],
        findings: vec![Finding {
            class: AlarmClass::Life,
            kind: AlarmKind::Help,
            phase: Phase::New,
            code: "CID 101".to_owned(),
            zone: "001".to_owned(),
        }],
        position: None,
        telemetry: None,
        text: None,
        raw: sealed(120),
        peer: sealed(60),
        refused: None,
        deviations: Vec::new(),
    };
    Recorded {
        seq: Seq::new(number),
        at: Timestamp::from_microsecond(1_795_410_050_000_000 + i64::try_from(number).unwrap())
            .unwrap(),
        source: SourceId(3),
        cause: None,
        idem: Idem([9; 16]),
        event: Event::ReportReceived(Box::new(report)),
    }
}

/// One of those who are compared.
struct Contender {
    /// Makes the events of a batch that begins with this number, and commits them; returns how
    /// long the commit took. Making the events is the caller's work and not counted.
    commit: Box<dyn FnMut(u64) -> Duration>,
    next: u64,
    taken: Duration,
}

impl Contender {
    fn new<T>(
        mut make: impl FnMut(u64) -> T + 'static,
        mut commit: impl FnMut(T) + 'static,
    ) -> Self {
        let commit = move |first| {
            let made = make(first);
            let start = Instant::now();
            commit(made);
            start.elapsed()
        };
        Self { commit: Box::new(commit), next: 1, taken: Duration::ZERO }
    }

    fn run(&mut self, batch: u64, slice: Duration) {
        let end = self.taken + slice;
        while self.taken < end {
            self.taken += (self.commit)(self.next);
            self.next += batch;
        }
    }

    fn rate(&self) -> f64 {
        (self.next - 1) as f64 / self.taken.as_secs_f64()
    }
}

fn ours(folder: &Path, batch: u64) -> Contender {
    let mut journal = SqliteJournal::open(&folder.join("ours")).unwrap();
    let make = move |first| (first..first + batch).map(event).collect::<Vec<Recorded>>();
    Contender::new(make, move |events| {
        journal.append(&events).unwrap();
        journal.idle().unwrap();
    })
}

fn log_file(folder: &Path, batch: u64) -> Contender {
    let mut file = File::create(folder.join("log")).unwrap();
    let make = move |_first| vec![0x5a_u8; 300].repeat(usize::try_from(batch).unwrap());
    Contender::new(make, move |bytes| {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
    })
}

fn normal(folder: &Path, batch: u64) -> Contender {
    let connection = Connection::open(folder.join("normal.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
             CREATE TABLE event(seq INTEGER PRIMARY KEY, tr INTEGER NOT NULL, body BLOB NOT NULL)
             STRICT;",
        )
        .unwrap();
    let row = vec![0x5a_u8; 290];
    let make = |first| i64::try_from(first).unwrap();
    let count = i64::try_from(batch).unwrap();
    Contender::new(make, move |first| {
        connection.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
        let mut insert =
            connection.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3)").unwrap();
        for seq in first..first + count {
            insert.execute(params![seq, seq, row]).unwrap();
        }
        connection.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
    })
}

/// Time until an append of one event returns, one after the other, as multiples of the disk's own.
fn acks(folder: &Path) {
    let mut journal = SqliteJournal::open(&folder.join("acks")).unwrap();
    let mut ratios: Vec<(f64, f64, f64, f64)> = Vec::new();
    let mut first = 1;
    for _round in 0..5 {
        let disk = probe(folder, 300).unwrap();
        let mut times: Vec<Duration> = (0..400)
            .map(|_each| {
                let event = event(first);
                first += 1;
                let start = Instant::now();
                journal.append(&[event]).unwrap();
                let taken = start.elapsed();
                journal.idle().unwrap();
                taken
            })
            .collect();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64();
        let unit = disk.p50.as_secs_f64();
        ratios.push((at(50) / unit, at(99) / unit, unit, disk.p99.as_secs_f64() / unit));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let unit = ratios[2].2 * 1_000_000.0;
    print("ack p50 idle", ratios[2].0, 1.0, &format!("probe p50 {unit:.0} us"), "x probe", "lower");
    ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (_, p99, _, own) = ratios[2];
    print("ack p99 idle", p99, own, "probe p99 in probe p50", "x probe", "lower");
}

/// Reading back with the chain proved, and without SQLite: hashing and decoding alone.
fn read_back(folder: &Path) {
    let folder = folder.join("read");
    let mut journal = SqliteJournal::open(&folder).unwrap();
    let count = 200_000_u64;
    for first in (1..=count).step_by(4_000) {
        let events: Vec<Recorded> = (first..first + 4_000).map(event).collect();
        journal.append(&events).unwrap();
        journal.idle().unwrap();
    }
    let encoded = body::encode(None, &event(1).event).unwrap();
    let start = Instant::now();
    for _each in 0..count {
        std::hint::black_box(body::decode(9, 1, std::hint::black_box(&encoded.body)).unwrap());
    }
    let decode = count as f64 / start.elapsed().as_secs_f64();
    let mut reader = SqliteReader::open(&folder).unwrap();
    let start = Instant::now();
    let mut after = Seq::ZERO;
    loop {
        let events = reader.read(after, 4_096).unwrap();
        let Some(last) = events.last() else { break };
        after = last.seq;
    }
    let read = count as f64 / start.elapsed().as_secs_f64();
    print("read back", read, decode, "decode of bodies alone", "events/s", "higher");
    let start = Instant::now();
    assert!(verify(&folder).unwrap().fault.is_none());
    let proved = count as f64 / start.elapsed().as_secs_f64();
    print("verify", proved, decode, "decode of bodies alone", "events/s", "higher");
}

/// Sealing and revealing with keys in the cache.
fn seals(folder: &Path) {
    let vault = Vault::open(&folder.join("vault")).unwrap();
    let clear = [0x5a; 80];
    let count = 200_000;
    let sealed = vault.seal("person:a", &clear).unwrap();
    let start = Instant::now();
    for _each in 0..count {
        std::hint::black_box(vault.seal("person:a", &clear).unwrap());
    }
    let seals = f64::from(count) / start.elapsed().as_secs_f64();
    let start = Instant::now();
    for _each in 0..count {
        std::hint::black_box(vault.reveal(&sealed).unwrap());
    }
    let reveals = f64::from(count) / start.elapsed().as_secs_f64();
    print("seal", seals, 200_000.0, "target", "values/s", "higher");
    print("reveal", reveals, 200_000.0, "target", "values/s", "higher");
}
