//! Vehicle terminals at the real program: from a press to its receipt, alone and among a fleet that
//! tells where it is once a second; and from a dispatcher's order to the terminal's screen.
//! Load and house share the machine. Prints one JSON object a line.
//! `HANSHO_BENCH_SECONDS` sets the time of each half (10), `HANSHO_BENCH_VEHICLES` the fleet (1,000).
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

mod house;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hansho_journal::probe;
use hansho_simulators::vehicle::{Pressed, Vehicle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::house::dc09::{self, Link};
use crate::house::setup::Setup;
use crate::house::{House, PATIENCE};

/// Vehicles of the fleet whose crews press, once a second each.
const PRESSERS: usize = 20;
/// Orders a second.
const ORDERS: usize = 5;
/// Handshakes at once.
const HANDSHAKES: usize = 16;

fn number_of(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn main() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let (seconds, count) =
        (number_of("HANSHO_BENCH_SECONDS", 10), number_of("HANSHO_BENCH_VEHICLES", 1_000));
    let names: Vec<_> =
        (0..count).map(|number| (format!("隊{number}"), format!("v-{number}"))).collect();
    let setup = names.iter().fold(Setup::default(), |setup, (sign, id)| setup.with_unit(sign, id));
    let house = House::start_new(&setup);
    let folder = house.issue(&names.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>());
    let disk = probe(&house.data(), 64).unwrap().p50;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let alone = runtime.block_on(alone(&house, &folder, seconds));
    println!("alone: {} receipts", alone.len());
    row("press to receipt, alone: p50", at(&alone, 500), disk, "probe p50");
    row("press to receipt, alone: p99", at(&alone, 990), disk, "probe p50");
    let among = runtime.block_on(among(&house, &folder, seconds, count));
    let disk = probe(&house.data(), 64).unwrap().p50;
    println!(
        "among {count} at 1 Hz: {} receipts, {} orders",
        among.receipts.len(),
        among.orders.len()
    );
    for (case, times) in [
        ("press to receipt, in a fleet at 1 Hz", &among.receipts),
        ("order to the screen, in a fleet at 1 Hz", &among.orders),
    ] {
        row(&format!("{case}: p50"), at(times, 500), disk, "probe p50");
        row(&format!("{case}: p99"), at(times, 990), disk, "probe p50");
    }
    row(
        "press to receipt, in a fleet at 1 Hz: p99",
        at(&among.receipts, 990),
        at(&alone, 990),
        "alone p99",
    );
    let state = house.client_of("viewer1").state();
    let books = state["accounting"].as_array().unwrap();
    let book = books.iter().find(|book| book["door"] == "quic").unwrap();
    let words = ["received", "durable", "coalesced", "shed", "refused", "in_flight"];
    println!("the door's book: {}", words.map(|word| format!("{word} {}", book[word])).join(", "));
}

fn vehicle(house: &House, folder: &Path, number: usize) -> Vehicle {
    let (id, trust) = (format!("v-{number}"), house.data().join("tls.pem"));
    Vehicle::new(&id, folder, &trust, house.addresses().quic).unwrap()
}

/// A press that changes nothing that counts, and is an event like every other.
async fn press(vehicle: &mut Vehicle) -> Duration {
    let said = json!({ "id": house::http::new_id(), "availability": "AV" });
    let begun = Instant::now();
    let pressed = vehicle.say(&said).await.unwrap();
    assert!(matches!(pressed, Pressed::Stored(_)), "{pressed:?}");
    begun.elapsed()
}

async fn alone(house: &House, folder: &Path, seconds: usize) -> Vec<Duration> {
    let mut vehicle = vehicle(house, folder, 0);
    press(&mut vehicle).await;
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(seconds as u64) {
        times.push(press(&mut vehicle).await);
    }
    times.sort_unstable();
    times
}

/// Times, sorted.
struct Among {
    receipts: Vec<Duration>,
    orders: Vec<Duration>,
}

async fn among(house: &House, folder: &Path, seconds: usize, count: usize) -> Among {
    let (start, started) = watch::channel(false);
    let (shown, mut seen) = mpsc::channel(1_024);
    let (presses, mut pressed) = mpsc::channel(65_536);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    // Each says that it is there, and presses once.
    let all_in = durable(house) + 2 * count as u64;
    let mut fleet = JoinSet::new();
    for number in 0..count {
        let mut vehicle = vehicle(house, folder, number);
        let (mut started, shown, presses) = (started.clone(), shown.clone(), presses.clone());
        let handshakes = Arc::clone(&handshakes);
        fleet.spawn(async move {
            let place = handshakes.acquire().await.unwrap();
            press(&mut vehicle).await;
            drop(place);
            started.wait_for(|start| *start).await.unwrap();
            // Not all in the same moment.
            tokio::time::sleep(Duration::from_micros((number * 997 % 1_000_000) as u64)).await;
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            loop {
                tokio::select! {
                    order = vehicle.order() => {
                        let id = order["units"][0].as_str().unwrap().to_owned();
                        shown.send((id, Instant::now())).await.unwrap();
                    }
                    _ = tick.tick() => {
                        vehicle.position(36.95, 140.9).await.unwrap();
                        if number < PRESSERS {
                            presses.send(press(&mut vehicle).await).await.unwrap();
                        }
                    }
                }
            }
        });
    }
    let connecting = Instant::now();
    while durable(house) < all_in {
        assert!(connecting.elapsed() < 4 * PATIENCE, "they do not all come in");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{count} links in {:.1} s", connecting.elapsed().as_secs_f64());
    start.send_replace(true);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let incident = incident(house);
    let desk = house.client_of("dispatcher1");
    let (begun, mut orders) = (Instant::now(), Vec::new());
    for number in 0..seconds * ORDERS {
        let due = begun + Duration::from_millis((number * 1_000 / ORDERS) as u64);
        tokio::time::sleep_until(due.into()).await;
        let sign = format!("隊{}", PRESSERS + number);
        let (ordered, body) = (Instant::now(), json!({ "incident": incident, "units": [sign] }));
        let answer = tokio::task::block_in_place(|| desk.command("OrderUnits", &body)).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = tokio::time::timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
        assert_eq!(seen.0, sign);
        orders.push(seen.1.duration_since(ordered));
    }
    fleet.shutdown().await;
    drop(presses);
    let mut receipts = Vec::new();
    while let Some(took) = pressed.recv().await {
        receipts.push(took);
    }
    receipts.sort_unstable();
    orders.sort_unstable();
    Among { receipts, orders }
}

/// What came by this door and is in the journal.
fn durable(house: &House) -> u64 {
    let state = house.client_of("viewer1").state();
    let books = state["accounting"].as_array().unwrap();
    let book = books.iter().find(|book| book["door"] == "quic").unwrap();
    book["durable"].as_u64().unwrap()
}

fn incident(house: &House) -> String {
    let mut pendant = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    pendant.ask(&dc09::press("4901", 1, 1)).unwrap();
    let desk = house.client_of("dispatcher1");
    let signal = house::wait("the signal", || {
        let state = desk.state();
        state["signals"][0]["id"].as_str().map(str::to_owned)
    });
    let open = json!({ "signals": [signal], "kind": "fire", "lat": 36.9758, "lon": 140.8861 });
    let opened = desk.command("OpenIncident", &open).unwrap();
    format!("i{}", opened.seq())
}

fn at(times: &[Duration], per_mille: usize) -> Duration {
    let last = times.len() - 1;
    times[(last * per_mille).div_ceil(1_000).min(last)]
}

fn row(case: &str, ours: Duration, peer: Duration, peer_name: &str) {
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let (ours, peer) = (us(ours), us(peer));
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"quic","case":"{case}","ours":{ours:.1},"peer":{peer:.1},"peer_name":"{peer_name}","ratio":{ratio:.3},"unit":"us","better":"lower"}}"#
    );
}
