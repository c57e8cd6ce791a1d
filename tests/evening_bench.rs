//! The whole demo at a hundred times the speed of life: its evening again and again at one house,
//! and beside it a steady load that is timed at every arrow of the picture. What it costs, and, when
//! it runs long enough, whether the house's memory is flat. Load and house share the machine. Prints
//! one JSON object a line. `HANSHO_BENCH_MINUTES` sets how long it plays (4); 30 are a soak.
#![expect(clippy::print_stdout, reason = "a benchmark prints its rows")]
#![expect(dead_code, reason = "the tests use the rest of the house")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "it measures time, and may fail"
)]

mod evening;
mod house;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hansho_core::{State, limits};
use hansho_engine::replica::EVENTS_KEPT;
use hansho_journal::{SqliteReader, probe, stats};
use hansho_simulators::scenario::{self, Round};
use jiff::Timestamp;
use rustix::process::Pid;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::evening::arrows::{Arrow, Times};
use crate::evening::city::City;
use crate::evening::cost::{Cost, slope};
use crate::evening::load::{Beside, Work};
use crate::house::{House, wait};

/// How many times as fast as life.
pub(crate) const FACTOR: u32 = 100;
const MINUTES: u64 = 4;
/// Shorter runs do not judge the memory: after a third of the time all that is kept for a while by
/// design is to be full. Of the keys of telemetry that takes ten minutes.
const SOAK_MINUTES: u64 = 30;
/// Syncs of the disk's probe in each look.
const PROBES: u32 = 16;
/// Between two looks at the house's processes.
const LOOK_PERIOD: Duration = Duration::from_secs(10);
/// What a process may grow by in an hour of the story beside what it must remember: 1.5 MiB a day,
/// and half a gigabyte a year without a restart.
const FLAT_BYTES: f64 = 65_536.0;
/// What a remembered key takes in the live state and in the replica: two trees hold it in each.
const KEY_BYTES: f64 = 320.0;
/// The page cache of the journal's writer.
const PAGES_KEPT: u64 = 64 << 20;
/// Threads and open files that may come and go.
const FLAT_COUNT: f64 = 4.0;

fn main() {
    let minutes = std::env::var("HANSHO_BENCH_MINUTES").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(60 * minutes.unwrap_or(MINUTES));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let city = runtime.block_on(City::start());
    let disk = probe(&city.house.data(), 256).unwrap().p50;
    println!("the disk: p50 {disk:?}");
    let pids = [city.house.core().unwrap(), city.house.supervisor()];
    let seq = city.house.client_of("viewer1").state()["seq"].as_u64().unwrap();
    let work = Work::begin(Beside::new(city), &runtime);
    let watch = Watch::begin(pids, work.beside().city.house.config());
    let begun = Instant::now();
    let (rounds, missed) = play(&runtime, &work, begun, time);
    let hours = begun.elapsed().as_secs_f64() * f64::from(FACTOR) / 3_600.0;
    let looks = watch.end();
    let beside = work.end(&runtime);
    println!("{rounds} evenings, {hours:.1} hours of the story");
    let Beside { city, times, .. } = beside;
    for arrow in Arrow::ALL {
        say_times(&times, arrow, disk);
    }
    let mut house = city.house;
    settle(&house);
    drop((city.stage, city.mailbox));
    assert!(house.stop().success());
    costs(&looks, hours);
    let written = grown(&house, seq, hours);
    prove(&house);
    if time >= Duration::from_secs(60 * SOAK_MINUTES) {
        soak(&house, &looks, written);
    } else {
        println!("memory is judged from {SOAK_MINUTES} minutes on");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Plays evenings until the time is over; how many, and what did not go as it should.
fn play(runtime: &Runtime, work: &Work, begun: Instant, time: Duration) -> (u16, Vec<String>) {
    let (mut number, mut all_missed) = (0, Vec::new());
    while begun.elapsed() < time && work.goes_on() {
        let (mut lines, round) = (Vec::new(), Round { number, time_factor: FACTOR });
        let playing = scenario::evening(&work.beside().city.stage, round, &mut lines);
        let (_met, missed) = runtime.block_on(playing);
        if missed > 0 {
            let lines = String::from_utf8(lines).unwrap();
            let lines = lines.lines().filter(|line| line.starts_with("MISSED"));
            all_missed.extend(lines.map(|line| format!("evening {number}: {line}")));
        }
        number += 1;
    }
    (number, all_missed)
}

/// The books of all doors close once nothing is in flight.
fn settle(house: &House) {
    wait("the books to close", || {
        let state = house.client_of("viewer1").state();
        let books = state["accounting"].as_array().unwrap();
        let closes = |book: &Value| {
            let of = |name: &str| book[name].as_u64().unwrap();
            let fates = of("durable") + of("refused") + of("shed") + of("coalesced");
            assert!(fates + of("in_flight") <= of("received"), "{book}");
            fates == of("received")
        };
        books.iter().all(closes).then(|| {
            for book in books.iter().filter(|book| book["received"] != 0) {
                let words = ["received", "durable", "coalesced", "shed", "refused"];
                let words = words.map(|word| format!("{word} {}", book[word]));
                println!("{}: {}", book["door"].as_str().unwrap(), words.join(", "));
            }
        })
    });
}

/// The journal proves, and folding it from nothing agrees with the snapshots that were kept.
fn prove(house: &House) {
    house.journal("verify");
    let replayed = house.journal("replay");
    let agrees = replayed.lines().find(|line| line.starts_with("agrees")).unwrap();
    println!("{agrees}");
    assert!(!agrees.contains(" 0 "), "{replayed}");
}

/// Core and supervisor, looked at again and again.
struct Watch {
    end: SyncSender<()>,
    looking: JoinHandle<Vec<Look>>,
}

/// Both at a moment.
struct Look {
    at: Timestamp,
    /// Since the first look.
    after: Duration,
    costs: [Cost; 2],
    /// What its probe takes beside the load, p50.
    disk: Duration,
}

const NAMES: [&str; 2] = ["core", "supervisor"];

impl Watch {
    fn begin(pids: [Pid; 2], folder: PathBuf) -> Self {
        let (end, ended) = sync_channel(1);
        let looking = thread::spawn(move || {
            let (begun, mut looks) = (Instant::now(), Vec::new());
            loop {
                let (after, at) = (begun.elapsed(), Timestamp::now());
                let (costs, disk) = (pids.map(Cost::of), probe(&folder, PROBES).unwrap().p50);
                let look = Look { at, after, costs, disk };
                let [core, supervisor] = look.costs.map(|cost| {
                    let (rss, cpu) = (cost.rss / 1_024, cost.cpu.as_secs_f64());
                    format!("{rss} KiB, {cpu:.1} s, {} threads, {} files", cost.threads, cost.files)
                });
                eprintln!("{:>5} s  core {core}; supervisor {supervisor}", after.as_secs());
                looks.push(look);
                let next = LOOK_PERIOD * u32::try_from(looks.len()).unwrap();
                match ended.recv_timeout(next.saturating_sub(begun.elapsed())) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return looks,
                }
            }
        });
        Self { end, looking }
    }

    fn end(self) -> Vec<Look> {
        self.end.send(()).unwrap();
        self.looking.join().unwrap()
    }
}

fn say_times(times: &Times, arrow: Arrow, disk: Duration) {
    let (times, name) = (times.of(arrow), arrow.name());
    println!("{name}: {} times", times.len());
    let disk = disk.as_secs_f64() * 1e6;
    for (rank, quantile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let ours = times.value_at_quantile(quantile) as f64;
        row(&format!("{name}: {rank}"), ours, (disk, "probe p50"), "us");
    }
}

fn costs(looks: &[Look], hours: f64) {
    let mut disks: Vec<Duration> = looks.iter().map(|look| look.disk).collect();
    disks.sort_unstable();
    let (half, max) = (disks[disks.len() / 2], disks[disks.len() - 1]);
    println!("the disk meanwhile, of its p50 in each look: p50 {half:?}, max {max:?}");
    let (first, last) = (&looks[0], &looks[looks.len() - 1]);
    let hour = 3_600.0 / f64::from(FACTOR);
    for (index, name) in NAMES.into_iter().enumerate() {
        let (first, last) = (first.costs[index], last.costs[index]);
        let cpu = (last.cpu - first.cpu).as_secs_f64() / hours;
        let case = format!("processor of the {name}, an hour of the story");
        row(&case, cpu, (hour, "one processor"), "s");
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let begin = (mib(first.rss), "at the beginning");
        row(&format!("memory of the {name}, in the end"), mib(last.rss), begin, "MiB");
        row(&format!("memory of the {name}, at most"), mib(last.rss_max), begin, "MiB");
    }
}

/// What the journal has grown by since an event, beside what the events say; bytes in an hour of the
/// story.
fn grown(house: &House, since: u64, hours: f64) -> f64 {
    let stats = stats(&house.data()).unwrap();
    let events = stats.last.get() - since;
    let an_hour = |bytes: u64| {
        let an_event = bytes as f64 / stats.last.get() as f64;
        an_event * events as f64 / hours
    };
    let bodies = stats.kinds.values().map(|kind| kind.bytes).sum();
    println!("{events} events, {:.0} an hour of the story", events as f64 / hours);
    let (written, bodies) = (an_hour(stats.file_bytes), an_hour(bodies));
    let mib = |bytes: f64| bytes / 1_048_576.0;
    row("journal, an hour of the story", mib(written), (mib(bodies), "its bodies alone"), "MiB");
    // Its writer keeps the pages that it wrote, up to the size of its cache.
    if stats.file_bytes < PAGES_KEPT { written } else { 0.0 }
}

/// What the state holds of what it keeps for a while.
#[derive(Debug)]
struct Holdings {
    events: u64,
    keys: usize,
    signals: usize,
    incidents: usize,
    notices: usize,
    messages: usize,
    owed: usize,
    /// Bytes of its encoding.
    bytes: usize,
}

/// What the state held at a time, by the journal.
fn holdings(data: &Path, at: Timestamp) -> Holdings {
    let mut reader = SqliteReader::open(data).unwrap();
    let mut state = State::default();
    loop {
        let events = reader.read(state.seq(), 4_096).unwrap();
        let before = events.iter().take_while(|event| event.at <= at).count();
        for recorded in events.iter().take(before) {
            state.evolve(recorded);
        }
        if before < events.len() || events.is_empty() {
            break;
        }
    }
    Holdings {
        events: state.seq().get(),
        keys: state.seen().len(),
        signals: state.signals().len(),
        incidents: state.incidents().len(),
        notices: state.notices().len(),
        messages: state.messages().len(),
        owed: state.owed().len(),
        bytes: state.encode().len(),
    }
}

/// Whether all is flat once what is kept for a while is as large as it gets: in the last two thirds.
fn soak(house: &House, looks: &[Look], pages: f64) {
    let late = &looks[looks.len() / 3..];
    let (first, last) = (&late[0], &late[late.len() - 1]);
    let [then, now] = [first.at, last.at].map(|at| holdings(&house.data(), at));
    println!("after a third of the time: {then:?}\nin the end: {now:?}");
    assert!(then.events >= EVENTS_KEPT as u64, "too few events to fill the streams' memory");
    let full =
        [("signals", then.signals), ("incidents", then.incidents), ("notices", then.notices)];
    for (name, kept) in full {
        assert!(kept >= limits::ENDED_KEPT, "{name} have not come to their limit: {kept}");
    }
    let seconds = (last.after - first.after).as_secs_f64();
    let hours = seconds * f64::from(FACTOR) / 3_600.0;
    let keys = now.keys.saturating_sub(then.keys) as f64 * KEY_BYTES / hours;
    let growth_of = |of: &dyn Fn(&Look) -> f64| -> f64 {
        let points: Vec<_> = late.iter().map(|look| (look.after.as_secs_f64(), of(look))).collect();
        slope(&points) * seconds
    };
    let mut faults = Vec::new();
    for (index, allowed) in [(0, FLAT_BYTES + keys + pages), (1, FLAT_BYTES)] {
        let name = NAMES[index];
        let growth = growth_of(&|look| look.costs[index].rss as f64) / hours;
        let case = format!("growth of the {name}, an hour of the story");
        row(&case, growth / 1_024.0, (allowed / 1_024.0, "allowed"), "KiB");
        if growth > allowed {
            faults.push(format!("the {name} grows by {growth:.0} bytes an hour"));
        }
        let threads = growth_of(&|look| look.costs[index].threads as f64);
        let files = growth_of(&|look| look.costs[index].files as f64);
        println!("{name}: {threads:+.1} threads, {files:+.1} open files");
        if threads > FLAT_COUNT || files > FLAT_COUNT {
            faults.push(format!("the {name} collects threads or files"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn row(case: &str, ours: f64, (peer, peer_name): (f64, &str), unit: &str) {
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"evening","case":"{case}","ours":{ours:.3},"peer":{peer:.3},"peer_name":"{peer_name}","ratio":{ratio:.3},"unit":"{unit}","better":"lower"}}"#
    );
}
