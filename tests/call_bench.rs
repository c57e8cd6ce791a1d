//! Calls to 119 at the real program, fifty a second: from the INVITE to its 180 and to the console's
//! stream, and alarms beside them; idle, and while telemetry comes as fast as the door takes it.
//! Load and house share the machine. Prints one JSON object a line.
//! `HANSHO_BENCH_SECONDS` sets the time of each half (10).
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

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hansho_journal::probe;
use hansho_simulators::caller::{Plan, call};
use hansho_simulators::pendant::Link;
use rustix::net::sockopt;
use serde_json::Value;

use crate::house::House;
use crate::house::mqtt::{self, Client};
use crate::house::setup::Setup;

/// Calls a second.
const CALLS: u32 = 50;
/// Alarms a second, over all pendants.
const ALARMS: u32 = 20;
/// Pendants that call for help.
const PENDANTS: [&str; 4] = ["p-1", "p-2", "p-3", "p-4"];
/// Trackers that flood.
const FLOODERS: u32 = 128;
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let seconds = std::env::var("HANSHO_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u32 = seconds.unwrap_or(10);
    let house = House::start_new(&Setup::default().with_mqtt(&PENDANTS));
    let disk = probe(&house.data(), 64).unwrap().p50;
    let idle = measure(&house, seconds, 0);
    idle.rows("idle");
    row("INVITE to 180, idle: p50", at(&idle.rings, 500), disk, "probe p50");

    let before = book(&house, "mqtt");
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let busy = thread::scope(|scope| {
        for number in 0..FLOODERS {
            let (stop, door) = (&stop, house.addresses().mqtt);
            scope.spawn(move || flood(door, number, stop));
        }
        let end = End(&stop);
        // Until it is as full as it gets.
        thread::sleep(Duration::from_secs(3));
        let busy = measure(&house, seconds, 1);
        drop(end);
        busy
    });
    let time = begun.elapsed().as_secs_f64();
    busy.rows("in a flood");
    for (name, ours, peer) in [
        ("INVITE to 180", &busy.rings, &idle.rings),
        ("INVITE to the console's stream", &busy.shown, &idle.shown),
        ("alarm over MQTT", &busy.alarms, &idle.alarms),
    ] {
        let case = format!("{name}, in a flood of telemetry: p99");
        row(&case, at(ours, 990), at(peer, 990), "idle p99");
    }
    let after = settled(&house, "mqtt");
    let of = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
    println!(
        "flood: {:.0} messages a second came, {:.0} of them became durable; {} shed, {} coalesced",
        of("received") as f64 / time,
        of("durable") as f64 / time,
        of("shed"),
        of("coalesced"),
    );
    settled(&house, "sip");
    let metrics = String::from_utf8(house.client().get("/metrics").unwrap().body).unwrap();
    for line in metrics.lines().filter(|line| line.starts_with("hansho_intake_shed_total")) {
        println!("{line}");
        let alarms = line.contains("\"A\"") || line.contains("\"B\"");
        assert!(!alarms || line.ends_with(" 0"), "an alarm was shed: {line}");
    }
}

/// Times, sorted.
struct Measured {
    rings: Vec<Duration>,
    shown: Vec<Duration>,
    alarms: Vec<Duration>,
}

impl Measured {
    fn rows(&self, when: &str) {
        for (name, times) in
            [("180", &self.rings), ("stream", &self.shown), ("alarm", &self.alarms)]
        {
            let (p50, p99) = (at(times, 500), at(times, 990));
            println!("{when}: {name}: {} times, p50 {p50:?}, p99 {p99:?}", times.len());
        }
    }
}

/// Stops the flood when what is measured has ended, whatever ended it.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// So many seconds of calls and alarms. `round` makes their numbers new.
fn measure(house: &House, seconds: u32, round: u32) -> Measured {
    let addresses = house.addresses();
    let count = CALLS * seconds;
    let desk = house.client_of("dispatcher1");
    let mut stream = desk.events(desk.state()["seq"].as_u64());
    let since = Instant::now();
    let shown = thread::spawn(move || {
        let mut times = BTreeMap::new();
        while times.len() < count as usize {
            let event = stream.next_event();
            assert!(since.elapsed() < Duration::from_secs(seconds.into()) + PATIENCE, "{times:?}");
            let said = &event.data["body"];
            if event.data["kind"] == "CallReceived" && said["fact"] == "offered" {
                // A call's name is its Call-ID and the caller's tag.
                let (id, _tag) = said["call"].as_str().unwrap().rsplit_once(';').unwrap();
                times.insert(id.to_owned(), Instant::now());
            }
        }
        times
    });
    let alarms = (0..).zip(PENDANTS).map(|(place, name)| {
        thread::spawn(move || press(addresses.mqtt, name, place, seconds, round))
    });
    let alarms: Vec<_> = alarms.collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (begun, outcomes) = runtime.block_on(async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / CALLS);
        let (mut begun, mut calls) = (Vec::new(), Vec::new());
        for index in 0..count {
            ticks.tick().await;
            let plan = Plan {
                tel: Some(format!("+8190{:08}", round * 100_000 + index)),
                hang_up_after: Some(Duration::from_secs(1)),
                ..Plan::default()
            };
            begun.push(Instant::now());
            let calling = async move { call(addresses.sip, Link::Udp, &plan).await };
            calls.push(tokio::spawn(calling));
        }
        let mut outcomes = Vec::new();
        for each in calls {
            outcomes.push(each.await.unwrap());
        }
        (begun, outcomes)
    });
    let mut rings: Vec<Duration> = outcomes
        .iter()
        .map(|outcome| outcome.ringing.unwrap_or_else(|| panic!("nobody heard it: {outcome}")))
        .collect();
    let shown = shown.join().unwrap();
    let mut shown: Vec<Duration> = outcomes
        .iter()
        .zip(begun)
        .map(|(outcome, begun)| shown[&outcome.id].saturating_duration_since(begun))
        .collect();
    let mut alarms: Vec<Duration> =
        alarms.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    rings.sort_unstable();
    shown.sort_unstable();
    alarms.sort_unstable();
    Measured { rings, shown, alarms }
}

/// A pendant's alarms, each from when it was due to its PUBACK: a late answer must not slow the load
/// down and hide itself.
fn press(door: SocketAddr, name: &str, place: u32, seconds: u32, round: u32) -> Vec<Duration> {
    let mut client = Client::open(door, 4, name, PATIENCE).unwrap();
    let topic = format!("hansho/v1/pendant/{name}/alarm");
    let of_all = u32::try_from(PENDANTS.len()).unwrap();
    let pause = Duration::from_secs(1) * of_all / ALARMS;
    let mut due = Instant::now() + pause * place / of_all;
    let mut times = Vec::new();
    for number in 0..ALARMS * seconds / of_all {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let n = round * 1_000_000 + number;
        let id = u16::try_from(number % 60_000).unwrap() + 1;
        let payload = format!(r#"{{"n":{n},"alarms":[{{"kind":"help"}}]}}"#);
        client.publish(id, &topic, &payload).unwrap();
        assert_eq!(client.puback().unwrap(), (id, 0));
        times.push(due.elapsed());
        due += pause;
    }
    times
}

/// Telemetry with QoS 0, as fast as the door takes it. In the end it is gone without a word, and what
/// it could not send with it.
fn flood(door: SocketAddr, number: u32, stop: &AtomicBool) {
    let mut stream = TcpStream::connect(door).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    let name = format!("f-{number}");
    stream.write_all(&mqtt::connect(4, &name, None)).unwrap();
    let mut welcome = [0; 4];
    stream.read_exact(&mut welcome).unwrap();
    assert_eq!(welcome, [0x20, 2, 0, 0]);
    let payload = r#"{"battery":80,"position":{"lat":37.05,"lon":140.88}}"#;
    let topic = format!("hansho/v1/tracker/{name}/telemetry");
    let burst = mqtt::publish(4, 0, 0, &topic, payload).repeat(16);
    while !stop.load(Ordering::SeqCst) {
        if stream.write_all(&burst).is_err() {
            // Held back for longer than it has patience.
            return;
        }
    }
}

fn book(house: &House, door: &str) -> Value {
    let state = house.client_of("viewer1").state();
    let books = state["accounting"].as_array().unwrap();
    books.iter().find(|book| book["door"] == door).unwrap().clone()
}

/// The books of a door with nothing in flight any more; they must close.
fn settled(house: &House, door: &str) -> Value {
    let begun = Instant::now();
    loop {
        let book = book(house, door);
        if book["in_flight"] == 0 {
            let of = |name: &str| book[name].as_u64().unwrap();
            let fates = of("durable") + of("refused") + of("shed") + of("coalesced");
            assert_eq!(of("received"), fates, "{book}");
            return book;
        }
        assert!(begun.elapsed() < PATIENCE, "still in flight: {book}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn at(times: &[Duration], per_mille: usize) -> Duration {
    let last = times.len() - 1;
    times[(last * per_mille).div_ceil(1_000).min(last)]
}

fn row(case: &str, ours: Duration, peer: Duration, peer_name: &str) {
    let [ours, peer] = [ours, peer].map(|time| time.as_secs_f64() * 1e6);
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"call","case":"{case}","ours":{ours:.1},"peer":{peer:.1},"peer_name":"{peer_name}","ratio":{ratio:.2},"unit":"us","better":"lower"}}"#
    );
}
