//! The start of a house with a long past: from `exec` to the first alarm that is durable, and to the
//! first call that rings; with a snapshot and without, beside a house without a past and beside
//! plain reading of the same bytes. Prints one JSON object a line.
//! `HANSHO_BENCH_EVENTS` sets how many events (1,000,000); the full size is 10,000,000, for which
//! `cargo dev bench start --full` needs some 4 GB of disk and minutes.
#![expect(clippy::print_stdout, reason = "a benchmark prints its rows")]
#![expect(dead_code, reason = "the tests and the benchmark of the replay use the rest")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "it measures time, and may fail"
)]

mod house;
#[path = "../crates/engine/benches/replay.rs"]
mod replay;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use hansho_core::{SNAPSHOT_VERSION, State};
use hansho_journal::{Journal as _, Snapshot, SnapshotStore, SqliteJournal, Vault};
use hansho_simulators::caller::{Plan, call};
use hansho_simulators::pendant::Link as Carrier;

use crate::house::House;
use crate::house::dc09::{self, Link};
use crate::house::setup::{Device, Setup};
use crate::replay::City;

const EVENTS: u64 = 1_000_000;
/// Events written down at a time.
const BATCH: usize = 4_000;
/// Events after the newest snapshot: the house makes one every 100,000.
const TAIL: u64 = 50_000;
/// Starts of each kind; the median counts.
const ROUNDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(600);
/// From the first sign of the other side on; it rings before that, or something is wrong.
const HANG_UP_AFTER: Duration = Duration::from_secs(2);

fn main() {
    let count = std::env::var("HANSHO_BENCH_EVENTS").ok().and_then(|text| text.parse().ok());
    let count = count.unwrap_or(EVENTS);
    let mut house = House::new(&Setup::new(vec![Device::new("9001", &[])]));
    let (past, fresh) = (house.config().join("../past"), house.data());
    let began = Instant::now();
    let state = live(&past, count);
    eprintln!("{count} events and a state of {state} bytes in {:.0?}", began.elapsed());
    let journal = fs::metadata(past.join("journal.db")).unwrap().len();
    let reading = median(|_round| read(&past.join("journal.db")));
    let with = median(|round| start(&mut house, &past, round, true));
    let without = median(|round| start(&mut house, &past, ROUNDS + round, false));
    let new = median(|round| {
        fs::remove_dir_all(&fresh).ok();
        start(&mut house, &fresh, 2 * ROUNDS + round, true)
    });
    let case = |what: &str| format!("first alarm durable, {count} events, {what}");
    row(&case("with snapshot"), with[0], new[0], "a house without a past");
    row(&case("with snapshot"), with[0], without[0], "without snapshot");
    let bytes = format!("plain reading of {} MB of journal", journal / 1_000_000);
    row(&case("with snapshot"), with[0], reading[0], &bytes);
    row(&case("without"), without[0], reading[0], &bytes);
    let case = |what: &str| format!("first call rings, {count} events, {what}");
    row(&case("with snapshot"), with[1], new[1], "a house without a past");
    row(&case("without"), without[1], new[1], "a house without a past");
}

fn row(case: &str, ours: f64, peer: f64, peer_name: &str) {
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"start","case":"{case}","ours":{ours:.3},"peer":{peer:.3},"peer_name":"{peer_name}","ratio":{ratio:.3},"unit":"s","better":"lower"}}"#
    );
}

/// The medians of what some rounds took.
fn median<const N: usize>(mut round: impl FnMut(usize) -> [f64; N]) -> [f64; N] {
    let rounds: Vec<[f64; N]> = (0..ROUNDS).map(&mut round).collect();
    std::array::from_fn(|index| {
        let mut times: Vec<f64> = rounds.iter().map(|times| times[index]).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// Writes a city's past into a data folder: journal, a snapshot before its tail, vault. Gives the
/// size of the state.
fn live(data: &Path, count: u64) -> usize {
    drop(Vault::open(data).unwrap());
    let mut city = City::new();
    let mut journal = SqliteJournal::open(data).unwrap();
    let mut snapshots = SnapshotStore::open(data).unwrap();
    let mut state = State::default();
    let mut snapshot = false;
    while state.seq().get() < count {
        let left = usize::try_from(count - state.seq().get()).unwrap();
        let events = city.events(BATCH.min(left));
        journal.append(&events).unwrap();
        journal.idle().unwrap();
        events.iter().for_each(|each| state.evolve(each));
        if !snapshot && state.seq().get() + TAIL >= count {
            let seq = state.seq();
            snapshots.put(&Snapshot::new(seq, SNAPSHOT_VERSION, state.encode())).unwrap();
            snapshot = true;
        }
    }
    state.encode().len()
}

/// Reads a file from its begin to its end, as it is.
fn read(path: &Path) -> [f64; 1] {
    let mut block = vec![0; 1 << 20];
    let mut file = File::open(path).unwrap();
    let began = Instant::now();
    while file.read(&mut block).unwrap() > 0 {}
    [began.elapsed().as_secs_f64()]
}

/// Starts the house with this data folder and kills it again, so that it keeps no newer snapshot.
/// Gives the time until the first alarm was durable, and until a call rang.
fn start(house: &mut House, data: &Path, round: usize, snapshot: bool) -> [f64; 2] {
    let (there, away) = (data.join("snapshots.db"), data.join("snapshots.db.away"));
    if !snapshot && there.exists() {
        fs::rename(&there, &away).unwrap();
    }
    house.use_data(data);
    let began = Instant::now();
    house.launch();
    let addresses = house.addresses();
    let ringing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let plan = Plan { hang_up_after: Some(HANG_UP_AFTER), ..Plan::default() };
        let called = began.elapsed();
        let outcome = runtime.block_on(call(addresses.sip, Carrier::Udp, &plan));
        (called + outcome.ringing.expect("nothing rings")).as_secs_f64()
    });
    let mut link = Link::tcp(addresses.dc09, PATIENCE).unwrap();
    let sequence = u16::try_from(round + 1).unwrap();
    let answer = link.ask(&dc09::press("9001", sequence, sequence)).unwrap();
    let durable = began.elapsed().as_secs_f64();
    assert!(answer.contains(&dc09::ack(sequence)), "{answer}");
    let rang = ringing.join().unwrap();
    house.kill_both();
    if !snapshot {
        fs::remove_file(&there).ok();
        if away.exists() {
            fs::rename(&away, &there).unwrap();
        }
    }
    [durable, rang]
}
