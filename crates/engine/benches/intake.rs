//! MQTT intake beside its peers: PUBACKs a second and their times, with every message durable before
//! its PUBACK, beside mosquitto, which acknowledges from memory, and beside ourselves with a
//! journal that keeps nothing. Load and server share the machine. Prints one JSON object a line.
//! `HANSHO_BENCH_SECONDS` sets the time of each case (4); `HANSHO_BENCH_PART` (`full`, `steady`,
//! `flood`) leaves out the others.
#![expect(clippy::print_stdout, reason = "a benchmark prints its rows")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it measures time, and may fail"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "rates need no more digits than f64 has"
)]

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hansho_core::State;
use hansho_engine::accounting::Books;
use hansho_engine::clock::{self, HouseClock};
use hansho_engine::edge::Edge;
use hansho_engine::live::{self, Outlets, Queue};
use hansho_engine::registry::Subjects;
use hansho_engine::replica::Replica;
use hansho_engine::sequencer::Sequencer;
use hansho_intake::{Entrance, Sink, TcpLimits, Turnstile, serve_tcp};
use hansho_journal::{Head, Journal, JournalError, SqliteJournal, Vault, probe};
use hansho_model::{Door, Recorded, Seq};
use hansho_protocols::{Accounts, Limits, Protocol, Setup, Transport, UnknownDevices};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// As the product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Commits and the inputs in them, since a case began.
static COMMITS: AtomicU64 = AtomicU64::new(0);
static INPUTS: AtomicU64 = AtomicU64::new(0);

fn main() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let disk = probe(folder.path(), 200).unwrap();
    println!("probe: fdatasync of a page, p50 {:?}, p99 {:?}", disk.p50, disk.p99);
    let durable = House::open(SqliteJournal::open(folder.path()).unwrap(), folder.path());
    let forgetful = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let null = House::open(Null(Head::EMPTY), forgetful.path());
    let mosquitto = Mosquitto::start();
    let client = runtime();
    if part("full") {
        full(&client, [&durable, &null], mosquitto.as_ref(), folder.path());
    }
    if part("steady") {
        open_loop(&durable, bare_log(folder.path()), folder.path());
    }
    if part("flood") {
        flood(&client, &durable);
    }
    durable.close();
    null.close();
}

/// Whether this part is asked for.
fn part(name: &str) -> bool {
    std::env::var("HANSHO_BENCH_PART").map_or(true, |asked| asked == name)
}

/// As much as goes, by shape of the load.
fn full(
    client: &Runtime,
    [durable, null]: [&House; 2],
    mosquitto: Option<&Mosquitto>,
    folder: &Path,
) {
    let mut single = None;
    for (connections, in_flight) in [(1, 1), (1, 64), (100, 1), (1_000, 1)] {
        let case = format!("{connections} connections, {in_flight} in flight");
        let shape = Shape { connections, in_flight };
        let ours = client.block_on(measure(durable.address, shape));
        let batch =
            INPUTS.swap(0, Ordering::Relaxed) as f64 / COMMITS.swap(0, Ordering::Relaxed) as f64;
        println!(
            "{case}: {batch:.1} inputs a commit, p50 {:?}, p99 {:?}",
            ours.at(500),
            ours.at(990)
        );
        let forgotten = client.block_on(measure(null.address, shape));
        if let Some(broker) = mosquitto {
            let theirs = client.block_on(measure(broker.address, shape));
            row(&case, ours.rate, theirs.rate, "mosquitto, in memory", "acks/s", "higher");
        }
        row(&case, ours.rate, forgotten.rate, "null journal", "acks/s", "higher");
        let now = probe(folder, 64).unwrap().p50;
        row(&format!("{case}: p50"), us(ours.at(500)), us(now), "probe p50", "us", "lower");
        row(&format!("{case}: p99"), us(ours.at(990)), us(now), "probe p50", "us", "lower");
        match single {
            None => single = Some(ours.rate),
            Some(alone) if in_flight == 64 => {
                row(
                    "group commit: 64 in flight",
                    ours.rate,
                    alone,
                    "1 in flight",
                    "acks/s",
                    "higher",
                );
            }
            Some(_) => {}
        }
    }
}

/// Rounds of which the one in the middle counts: a neighbour on the disk can spoil any of them.
const ROUNDS: usize = 5;

/// The middle one of the rounds' ratios, with its two numbers; all of them are printed.
fn middle(case: &str, ours: &[Duration], peer: &[Duration], peer_name: &str) {
    let ratio = |(ours, peer): &(&Duration, &Duration)| us(**ours) / us(**peer);
    let mut rounds: Vec<_> = ours.iter().zip(peer).collect();
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let all: Vec<_> = rounds.iter().map(|round| format!("{:.1}", ratio(round))).collect();
    println!("{case}, in multiples of {peer_name}: {}", all.join(", "));
    let (ours, peer) = rounds[rounds.len() / 2];
    row(case, us(*ours), us(*peer), peer_name, "us", "lower");
}

/// A steady load, beside the same load on a bare log.
fn open_loop(house: &House, bare: SocketAddr, folder: &Path) {
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let bare = paced(bare, 100, 5_000, "state");
            let ours = paced(house.address, 100, 5_000, "state");
            (ours, bare, probe(folder, 64).unwrap().p50)
        })
        .collect();
    let [mut p50, mut p99, mut bare_p99, mut disk] = [const { Vec::new() }; 4];
    for (ours, bare, probe) in rounds {
        p50.push(ours.at(500));
        p99.push(ours.at(990));
        bare_p99.push(bare.at(990));
        disk.push(probe);
    }
    let case = "5,000/s over 100 connections";
    middle(&format!("{case}: p50"), &p50, &disk, "probe p50");
    middle(&format!("{case}: p99"), &p99, &disk, "probe p50");
    middle(&format!("{case}: p99"), &p99, &bare_p99, "bare log");
}

/// Alarms while telemetry comes as fast as it can, beside alarms alone.
fn flood(client: &Runtime, house: &House) {
    let (mut within, mut alone) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        alone.push(paced(house.address, 10, 100, "alarm").at(990));
        let stop = Arc::new(watch::channel(false).0);
        for number in 0..FLOODERS {
            let tracker = round * FLOODERS + number;
            client.spawn(flood_one(house.address, tracker, stop.subscribe()));
        }
        within.push(paced(house.address, 10, 100, "alarm").at(990));
        stop.send_replace(true);
    }
    middle("alarms in a flood of telemetry: p99", &within, &alone, "alarms alone");
    let book = house.books.read().into_iter().find(|book| book.door == "mqtt").unwrap();
    println!(
        "flood: received {}, durable {}, shed {}, coalesced {}, level {}",
        book.received,
        book.durable,
        book.shed,
        book.coalesced,
        house.queue.board().level().get()
    );
}

/// Trackers that flood at once.
const FLOODERS: usize = 64;

/// Telemetry with QoS 0, as fast as the door takes it.
async fn flood_one(address: SocketAddr, number: usize, mut stop: watch::Receiver<bool>) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    stream.write_all(&connect(10_000 + number)).await.unwrap();
    let topic = string(&format!("hansho/v1/tracker/f-{number}/telemetry"));
    let message = packet(
        0x30,
        &[topic, br#"{"battery":80,"position":{"lat":37.05,"lon":140.88}}"#.to_vec()].concat(),
    );
    let burst = message.repeat(32);
    while !*stop.borrow_and_update() {
        if stream.write_all(&burst).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn row(case: &str, ours: f64, peer: f64, peer_name: &str, unit: &str, better: &str) {
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"intake","case":"{case}","ours":{ours:.3},"peer":{peer:.3},"peer_name":"{peer_name}","ratio":{ratio:.3},"unit":"{unit}","better":"{better}"}}"#
    );
}

/// A journal that keeps nothing: what everything but the disk costs.
#[derive(Debug)]
struct Null(Head);

impl Journal for Null {
    fn head(&self) -> Head {
        self.0
    }

    fn append(&mut self, events: &[Recorded]) -> Result<Head, JournalError> {
        if let Some(last) = events.last() {
            self.0.seq = last.seq;
        }
        Ok(self.0)
    }

    fn read(&mut self, _after: Seq, _limit: usize) -> Result<Vec<Recorded>, JournalError> {
        Ok(Vec::new())
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// Our MQTT door with all that stands behind it.
struct House {
    address: SocketAddr,
    queue: Arc<Queue>,
    books: Arc<Books>,
    live: JoinHandle<()>,
    _runtime: Runtime,
    _stop: watch::Sender<bool>,
}

impl House {
    fn open<J: Journal + Send + 'static>(journal: J, folder: &Path) -> Self {
        let vault = Arc::new(Vault::open(folder).unwrap());
        let (queue, books) = (Arc::new(Queue::default()), Arc::new(Books::default()));
        queue.board().note_probe(probe(folder, 64).unwrap().p50);
        let edge = Edge::new(vault, Arc::clone(&queue), Arc::clone(&books), Subjects::default());
        let runtime = runtime();
        let live = {
            let (queue, runtime) = (Arc::clone(&queue), runtime.handle().clone());
            std::thread::spawn(move || {
                let (replica, batches) = sync_channel(65_536);
                std::thread::spawn(move || while batches.recv().is_ok() {});
                let (outbox, mut changes) = mpsc::channel(65_536);
                std::thread::spawn(move || while changes.blocking_recv().is_some() {});
                let readers = Arc::new(Replica::new(State::default(), None));
                let outlets = Outlets { replica, readers, outbox, runtime, committed: count };
                let mut sequencer = Sequencer::new(State::default(), journal);
                live::run(&mut sequencer, &queue, &outlets, &HouseClock::new(None)).unwrap();
            })
        };
        let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
        let sessions = Arc::new(move || {
            let (limits, accounts) = (Limits::default(), Arc::clone(&accounts));
            Protocol::Mqtt.session(Setup::new(accounts, Transport::Stream, limits, clock::now()))
        });
        let sink: Arc<dyn Sink> = Arc::new(edge);
        let entrance = Entrance {
            door: Door::Mqtt,
            sessions,
            sink,
            identities: Arc::default(),
            turnstile: Turnstile::default(),
        };
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(serve_tcp(listener, entrance, TcpLimits::default(), stopped));
        Self { address, queue, books, live, _runtime: runtime, _stop: stop }
    }

    fn close(self) {
        self.queue.stop();
        self.live.join().unwrap();
    }
}

fn count(_took: Duration, inputs: usize, _events: usize) {
    COMMITS.fetch_add(1, Ordering::Relaxed);
    INPUTS.fetch_add(inputs as u64, Ordering::Relaxed);
}

/// The least that a durable answer takes: one thread that reads what has come, writes it into a log
/// of full length, waits for the disk once, and answers. It understands nothing and keeps no state.
fn bare_log(folder: &Path) -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut log = tempfile::tempfile_in(folder).unwrap();
    log.write_all(&vec![0; BARE_LOG_BYTES]).unwrap();
    log.sync_all().unwrap();
    std::thread::spawn(move || {
        let mut streams: Vec<std::net::TcpStream> = Vec::new();
        let mut end = 0;
        loop {
            let mut ready: Vec<_> = [PollFd::new(&listener, PollFlags::IN)].into();
            ready.extend(streams.iter().map(|stream| PollFd::new(stream, PollFlags::IN)));
            poll(&mut ready, None).unwrap();
            let come: Vec<bool> = ready.iter().map(|each| !each.revents().is_empty()).collect();
            let mut answers = Vec::new();
            let mut gone = Vec::new();
            for (number, mut stream) in streams.iter().enumerate() {
                if !come[number + 1] {
                    continue;
                }
                let mut bytes = [0; 4_096];
                let count = stream.read(&mut bytes).unwrap_or_default();
                if count == 0 {
                    gone.push(number);
                    continue;
                }
                // All packets have two bytes of length but CONNECT, which stands alone.
                let (mut answer, mut rest) = (Vec::new(), &bytes[..count]);
                while let [kind, low, high, ..] = *rest {
                    let publish = kind == 0x32;
                    answer.extend(if publish { [0x40, 0x02, 0, 0] } else { CONNACK });
                    let length = 3 + usize::from(low & 0x7f) + (usize::from(high) << 7);
                    rest = if publish { &rest[length..] } else { &[] };
                }
                log.write_all_at(&bytes[..count], end).unwrap();
                end = (end + count as u64) % (BARE_LOG_BYTES as u64 - 4_096);
                answers.push((number, answer));
            }
            log.sync_data().unwrap();
            for (number, answer) in answers {
                (&streams[number]).write_all(&answer).unwrap();
            }
            for number in gone.into_iter().rev() {
                streams.remove(number);
            }
            if come[0] {
                let stream = listener.accept().unwrap().0;
                stream.set_nodelay(true).unwrap();
                streams.push(stream);
            }
        }
    });
    address
}

const BARE_LOG_BYTES: usize = 4 << 20;

/// Debian's mosquitto without a store.
struct Mosquitto {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Mosquitto {
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let address = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = address.port();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n"
        );
        let file = folder.path().join("mosquitto.conf");
        std::fs::write(&file, config).unwrap();
        for program in ["mosquitto", "/usr/sbin/mosquitto"] {
            let Ok(child) = Command::new(program).arg("-c").arg(&file).spawn() else { continue };
            while std::net::TcpStream::connect(address).is_err() {
                std::thread::sleep(Duration::from_millis(10));
            }
            return Some(Self { child, address, _folder: folder });
        }
        println!("skipped: no mosquitto beside ours; install it");
        None
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A load that goes on as fast as answers come.
#[derive(Clone, Copy)]
struct Shape {
    connections: usize,
    /// Publishes of one connection under way.
    in_flight: usize,
}

struct Measured {
    rate: f64,
    /// Sorted.
    times: Vec<Duration>,
}

impl Measured {
    fn new(rate: f64, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { rate, times }
    }

    fn at(&self, per_mille: usize) -> Duration {
        let last = self.times.len() - 1;
        self.times[(last * per_mille).div_ceil(1_000).min(last)]
    }
}

/// Time of each case.
fn seconds() -> Duration {
    let seconds = std::env::var("HANSHO_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(4))
}

async fn measure(address: SocketAddr, shape: Shape) -> Measured {
    let time = seconds();
    let mut streams = Vec::new();
    for number in 0..shape.connections {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&connect(number)).await.unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).await.unwrap();
        assert_eq!(connack, CONNACK);
        streams.push(stream);
    }
    INPUTS.store(0, Ordering::Relaxed);
    COMMITS.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(number, stream)| tokio::spawn(load(stream, number, shape, begun, time)))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    Measured::new(times.len() as f64 / begun.elapsed().as_secs_f64(), times)
}

async fn load(
    mut stream: TcpStream,
    number: usize,
    shape: Shape,
    begun: Instant,
    time: Duration,
) -> Vec<Duration> {
    let (mut times, mut sent) = (Vec::new(), VecDeque::new());
    let mut messages = messages(number, "state");
    while begun.elapsed() < time || !sent.is_empty() {
        while sent.len() < shape.in_flight && begun.elapsed() < time {
            let message = messages.next().unwrap();
            sent.push_back(Instant::now());
            stream.write_all(&message).await.unwrap();
        }
        let Some(begun) = sent.pop_front() else { break };
        let mut puback = [0; 4];
        stream.read_exact(&mut puback).await.unwrap();
        assert_eq!(puback[..2], PUBACK);
        times.push(begun.elapsed());
    }
    times
}

/// So many publishes a second over all connections, whatever becomes of them. Each is timed from
/// when it was due: a late answer must not slow the load down and hide itself. One thread and one
/// timer to the microsecond: one that ticks by the millisecond would be most of the time.
fn paced(address: SocketAddr, connections: usize, pace: u32, class: &str) -> Measured {
    let mut devices: Vec<_> = (0..connections)
        .map(|number| {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(&connect(number)).unwrap();
            let mut connack = [0; 4];
            stream.read_exact(&mut connack).unwrap();
            assert_eq!(connack, CONNACK);
            stream.set_nonblocking(true).unwrap();
            (stream, messages(number, class), VecDeque::new())
        })
        .collect();
    let ready = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for ((stream, ..), number) in devices.iter().zip(0..) {
        let data = epoll::EventData::new_u64(number);
        epoll::add(&ready, stream, data, epoll::EventFlags::IN).unwrap();
    }
    let mut events = Vec::with_capacity(connections);
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).unwrap();
    let count = seconds().as_secs() as u32 * pace;
    let (begun, mut number, mut times) = (Instant::now(), 0, Vec::new());
    while times.len() < count as usize {
        let due = begun + Duration::from_secs(1) * number / pace;
        let wait = due.saturating_duration_since(Instant::now());
        if number < count && wait.is_zero() {
            let (stream, messages, sent) = &mut devices[number as usize % connections];
            stream.write_all(&messages.next().unwrap()).unwrap();
            sent.push_back(due);
            number += 1;
            continue;
        }
        let wait = if number < count { wait } else { Duration::from_secs(1) };
        events.clear();
        epoll::wait(&ready, spare_capacity(&mut events), Some(&wait.try_into().unwrap())).unwrap();
        for event in &events {
            let (stream, _messages, sent) = &mut devices[event.data.u64() as usize];
            let mut pubacks = [0; 4 * 64];
            let bytes = stream.read(&mut pubacks).unwrap();
            assert!(bytes > 0 && bytes.is_multiple_of(4), "{bytes} bytes");
            for puback in pubacks[..bytes].chunks(4) {
                assert_eq!(puback[..2], PUBACK);
                let due: Instant = sent.pop_front().unwrap();
                times.push(due.elapsed());
            }
        }
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    Measured::new(rate, times)
}

const CONNACK: [u8; 4] = [0x20, 0x02, 0x00, 0x00];
const PUBACK: [u8; 2] = [0x40, 0x02];

/// Publishes with QoS 1 of one device, each new to the house.
fn messages(number: usize, class: &str) -> impl Iterator<Item = Vec<u8>> + use<> {
    /// So that no two runs over one house say the same.
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let topic = string(&format!("hansho/v1/tracker/b-{number}/{class}"));
    let first = (BEGUN.elapsed().as_nanos() as u64) << 20;
    (1..).map(move |more: u64| {
        let n = first + more;
        let payload = format!(
            r#"{{"n":{},"observed_at":"2026-11-23T05:40:48Z","alarms":[{{"kind":"battery","phase":"restored","code":"3.1V","zone":"3"}}],"position":{{"lat":37.0505,"lon":140.8876666,"accuracy_m":12,"method":"gnss"}}}}"#,
            n % 9_007_199_254_740_991
        );
        let id = (n as u16).max(1).to_be_bytes();
        packet(0x32, &[topic.clone(), id.to_vec(), payload.into_bytes()].concat())
    })
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let (low, high) = (body.len() % 128, body.len() / 128);
    let mut bytes = vec![head, low as u8 | if high > 0 { 0x80 } else { 0 }];
    bytes.extend((high > 0).then_some(high as u8));
    bytes.extend(body);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn connect(number: usize) -> Vec<u8> {
    packet(
        0x10,
        &[string("MQTT"), vec![4, 0x02, 0, 0], string(&format!("bench-{number}"))].concat(),
    )
}
