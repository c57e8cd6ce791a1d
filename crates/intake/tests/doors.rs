//! The doors, driven over real sockets with a session made for the test.
#![expect(
    clippy::unwrap_used,
    clippy::panic_in_result_fn,
    reason = "a test fails by panicking, and one session panics on purpose"
)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hansho_intake::{
    Decided, Entrance, Sessions, Sink, TcpLimits, Turnstile, serve_tcp, serve_udp,
};
use hansho_model::{Door, FrameFault, Lane, Private, Report};
use hansho_protocols::{Durable, FrameError, Output, Receipt, Session};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};

/// A line is a report; its answer is the same line. `panic` panics, `rubbish` is refused, `name`
/// says whose connection it is, `place` is telemetry.
#[derive(Default)]
struct Lines {
    name: Option<String>,
    buffer: Vec<u8>,
    outputs: Vec<Output>,
    waiting: Vec<(Receipt, Vec<u8>)>,
    next: u64,
}

impl Session for Lines {
    fn handle_bytes(&mut self, _now: Timestamp, bytes: &[u8]) -> Result<(), FrameError> {
        self.buffer.extend_from_slice(bytes);
        let mut fault = Ok(());
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            assert!(!line.starts_with(b"panic"), "asked for");
            if line.starts_with(b"rubbish") {
                let fatal = line.starts_with(b"rubbish!");
                fault = Err(FrameError::new(FrameFault::BadFrame, "say something else", fatal));
                continue;
            }
            if line.starts_with(b"name ") {
                self.name = Some(String::from_utf8_lossy(&line).into_owned());
            }
            self.next += 1;
            let receipt = Receipt(self.next);
            self.outputs.push(Output::Report(receipt, Box::new(report(&line))));
            self.waiting.push((receipt, line));
        }
        fault
    }

    fn handle_durable(&mut self, _now: Timestamp, receipt: Receipt, durable: Durable) {
        let place = self.waiting.iter().position(|(each, _)| *each == receipt).unwrap();
        let (_, line) = self.waiting.remove(place);
        if durable == Durable::Stored {
            self.outputs.push(Output::Transmit(line));
        }
    }

    fn handle_timeout(&mut self, _now: Timestamp) {}

    fn poll_output(&mut self) -> Output {
        if self.outputs.is_empty() { Output::Idle(None) } else { self.outputs.remove(0) }
    }

    fn identity(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn handle_takeover(&mut self, _now: Timestamp) {
        self.outputs.push(Output::Transmit(b"bye\n".to_vec()));
    }
}

fn report(line: &[u8]) -> Report {
    Report {
        door: Door::Dc09,
        device: "4901".to_owned(),
        lane: if line.starts_with(b"place") { Lane::D } else { Lane::A },
        observed_at: None,
        device_key: Vec::new(),
        findings: Vec::new(),
        position: None,
        telemetry: None,
        text: None,
        raw: Private(line.to_vec()),
        refused: None,
        deviations: Vec::new(),
    }
}

/// Keeps reports; each is durable when the gate lets it pass.
struct Shelf {
    reports: Mutex<Vec<Report>>,
    refused: AtomicU64,
    broken: AtomicU64,
    taken_over: AtomicU64,
    decided: AtomicU64,
    held_back: AtomicU64,
    gate: Semaphore,
}

impl Shelf {
    fn open(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            reports: Mutex::default(),
            refused: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            taken_over: AtomicU64::new(0),
            decided: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
            gate: Semaphore::new(permits),
        })
    }

    fn raw(&self) -> Vec<Vec<u8>> {
        self.reports.lock().unwrap().iter().map(|report| report.raw.0.clone()).collect()
    }
}

impl Sink for Shelf {
    fn take(
        self: Arc<Self>,
        _peer: SocketAddr,
        _received_at: Timestamp,
        report: Report,
    ) -> Decided {
        self.reports.lock().unwrap().push(report);
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            self.decided.fetch_add(1, Ordering::SeqCst);
            Durable::Stored
        })
    }

    fn refuse(&self, _door: Door, _fault: FrameFault) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn broken(&self, _door: Door) {
        self.broken.fetch_add(1, Ordering::SeqCst);
    }

    fn taken_over(&self, _door: Door) {
        self.taken_over.fetch_add(1, Ordering::SeqCst);
    }

    fn held_back(&self, _waited: Duration) {
        self.held_back.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        "2026-11-23T05:07:31Z".parse().unwrap()
    }
}

fn entrance(shelf: &Arc<Shelf>) -> Entrance {
    let sink: Arc<dyn Sink> = Arc::<Shelf>::clone(shelf);
    let sessions: Sessions = Arc::new(|| Box::new(Lines::default()));
    Entrance {
        door: Door::Dc09,
        sessions,
        sink,
        identities: Arc::default(),
        turnstile: Turnstile::default(),
    }
}

async fn tcp(shelf: &Arc<Shelf>) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(serve_tcp(listener, entrance(shelf), TcpLimits::default(), stopped));
    (address, stop)
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut buffer = vec![0; count];
    stream.read_exact(&mut buffer).await.unwrap();
    buffer
}

#[tokio::test]
async fn nothing_is_answered_before_the_receipt() {
    let shelf = Shelf::open(0);
    let (address, _stop) = tcp(&shelf).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"help\n").await.unwrap();
    while shelf.raw().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut buffer = [0; 16];
    assert!(stream.try_read(&mut buffer).is_err(), "the receipt has not come");
    shelf.gate.add_permits(1);
    assert_eq!(read(&mut stream, 5).await, b"help\n");
}

#[tokio::test]
async fn a_report_is_kept_and_answered_though_its_sender_stops_writing() {
    let shelf = Shelf::open(0);
    let (address, _stop) = tcp(&shelf).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"last words\n").await.unwrap();
    stream.shutdown().await.unwrap();
    shelf.gate.add_permits(1);
    assert_eq!(read(&mut stream, 11).await, b"last words\n");
}

#[tokio::test]
async fn a_report_is_seen_through_though_its_connection_has_gone() {
    let shelf = Shelf::open(0);
    let (address, stop) = tcp(&shelf).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"help\n").await.unwrap();
    while shelf.raw().is_empty() {
        tokio::task::yield_now().await;
    }
    stop.send_replace(true);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "closed, and nothing was answered");
    shelf.gate.add_permits(1);
    while shelf.decided.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn telemetry_takes_turns_and_none_of_it_is_lost() {
    let shelf = Shelf::open(100_000);
    let (address, _stop) = tcp(&shelf).await;
    let flood = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let lines: Vec<String> = (0..3_000).map(|number| format!("place {number}\n")).collect();
        let (mut answers, mut half) = stream.split();
        let send = async {
            half.write_all(lines.concat().as_bytes()).await.unwrap();
            half.shutdown().await.unwrap();
        };
        let mut answered = String::new();
        let (_sent, heard) = tokio::join!(send, answers.read_to_string(&mut answered));
        heard.unwrap();
        // What waits for its turn when the sender ends is answered, too.
        assert!(answered == lines.concat(), "{} bytes", answered.len());
    };
    let alarms = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _press in 0..100 {
            stream.write_all(b"help\n").await.unwrap();
            assert_eq!(read(&mut stream, 5).await, b"help\n");
        }
    };
    tokio::join!(flood(), flood(), flood(), alarms);
    // 31,890 bytes of each, at most 4,096 at a time; the first of each pass at once.
    let turns = shelf.held_back.load(Ordering::SeqCst);
    assert!((21..=9_000).contains(&turns), "{turns}");
    let alarms = shelf.raw().iter().filter(|raw| raw.starts_with(b"help")).count();
    assert_eq!((alarms, shelf.decided.load(Ordering::SeqCst)), (100, 9_100));
}

#[tokio::test]
async fn a_session_that_panics_is_closed_and_its_bytes_are_kept() {
    let shelf = Shelf::open(100);
    let (address, _stop) = tcp(&shelf).await;
    let mut neighbour = TcpStream::connect(address).await.unwrap();
    neighbour.write_all(b"one\n").await.unwrap();
    assert_eq!(read(&mut neighbour, 4).await, b"one\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"panic\n").await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "closed");
    assert_eq!(shelf.broken.load(Ordering::SeqCst), 1);
    let evidence = shelf.reports.lock().unwrap().last().unwrap().clone();
    assert_eq!(
        (evidence.raw.0, evidence.refused),
        (b"panic\n".to_vec(), Some(FrameFault::BadFrame))
    );
    neighbour.write_all(b"two\n").await.unwrap();
    assert_eq!(read(&mut neighbour, 4).await, b"two\n");
}

#[tokio::test]
async fn rubbish_is_counted_and_the_connection_lives_unless_it_cannot() {
    let shelf = Shelf::open(100);
    let (address, _stop) = tcp(&shelf).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"rubbish\nsense\n").await.unwrap();
    assert_eq!(read(&mut stream, 6).await, b"sense\n");
    stream.write_all(b"rubbish!\n").await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "closed");
    assert_eq!(shelf.refused.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_newer_connection_of_a_device_closes_the_older_one() {
    let shelf = Shelf::open(100);
    let (address, _stop) = tcp(&shelf).await;
    let mut older = TcpStream::connect(address).await.unwrap();
    older.write_all(b"name a\n").await.unwrap();
    assert_eq!(read(&mut older, 7).await, b"name a\n");
    let mut neighbour = TcpStream::connect(address).await.unwrap();
    neighbour.write_all(b"name b\n").await.unwrap();
    assert_eq!(read(&mut neighbour, 7).await, b"name b\n");
    let mut newer = TcpStream::connect(address).await.unwrap();
    newer.write_all(b"name a\n").await.unwrap();
    assert_eq!(read(&mut newer, 7).await, b"name a\n");
    let mut last_words = Vec::new();
    older.read_to_end(&mut last_words).await.unwrap();
    assert_eq!(last_words, b"bye\n");
    assert_eq!(shelf.taken_over.load(Ordering::SeqCst), 1);
    for stream in [&mut neighbour, &mut newer] {
        stream.write_all(b"still here\n").await.unwrap();
        assert_eq!(read(stream, 11).await, b"still here\n");
    }
}

#[tokio::test]
async fn a_thousand_half_open_connections_keep_nobody_out() {
    let shelf = Shelf::open(100);
    let (address, _stop) = tcp(&shelf).await;
    let mut half_open = Vec::new();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"half a li").await.unwrap();
        half_open.push(stream);
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"help\n").await.unwrap();
    assert_eq!(read(&mut stream, 5).await, b"help\n");
}

#[tokio::test]
async fn a_connection_with_too_many_open_reports_is_not_read() {
    let shelf = Shelf::open(0);
    let (address, _stop) = tcp(&shelf).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for number in 0..65_u8 {
        // One write a report, so that each is a read of its own as far as the kernel allows.
        stream.write_all(&[b'a' + number % 26, b'\n']).await.unwrap();
        while shelf.raw().len() < usize::from(number.min(62)) {
            tokio::task::yield_now().await;
        }
    }
    shelf.gate.add_permits(65);
    assert_eq!(read(&mut stream, 130).await.len(), 130, "all are answered in the end");
}

#[tokio::test]
async fn a_datagram_is_answered_to_its_own_source() {
    let shelf = Shelf::open(100);
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(serve_udp(socket, entrance(&shelf), stopped));
    let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    one.send_to(b"one\n", address).await.unwrap();
    other.send_to(b"other\n", address).await.unwrap();
    let mut buffer = [0; 16];
    let (count, _) = one.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"one\n");
    let (count, _) = other.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"other\n");
}

#[tokio::test]
async fn a_door_that_stops_closes_its_connections() {
    let shelf = Shelf::open(100);
    let (address, stop) = tcp(&shelf).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"one\n").await.unwrap();
    assert_eq!(read(&mut stream, 4).await, b"one\n");
    stop.send_replace(true);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "closed");
}
