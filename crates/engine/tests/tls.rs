//! Durable, then acknowledged, where no trace of system calls can read along: the mark is set at
//! the point of answer, before the bytes are enciphered.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hansho_core::State;
use hansho_engine::accounting::Books;
use hansho_engine::clock::{self, HouseClock};
use hansho_engine::edge::Edge;
use hansho_engine::live::{self, Outlets, Queue};
use hansho_engine::registry::Subjects;
use hansho_engine::replica::Replica;
use hansho_engine::sequencer::Sequencer;
use hansho_engine::tls;
use hansho_intake::{Decided, Entrance, Sink, TcpLimits, Turnstile, serve_tls};
use hansho_journal::{SqliteJournal, SqliteReader, Vault};
use hansho_model::{Door, Event, FrameFault, Report, Seq};
use hansho_protocols::{Accounts, Limits, Protocol, Setup, Transport, UnknownDevices};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

/// The edge, with a look into the journal at every answer.
struct Marked {
    edge: Arc<Edge>,
    journal: Mutex<(SqliteReader, Seq, BTreeSet<u16>)>,
    answers: AtomicUsize,
    early: Mutex<Vec<u16>>,
}

impl Sink for Marked {
    fn take(self: Arc<Self>, peer: SocketAddr, received_at: Timestamp, report: Report) -> Decided {
        Arc::clone(&self.edge).take(peer, received_at, report)
    }

    fn refuse(&self, door: Door, fault: FrameFault) {
        self.edge.refuse(door, fault);
    }

    fn broken(&self, door: Door) {
        self.edge.broken(door);
    }

    fn taken_over(&self, door: Door) {
        self.edge.taken_over(door);
    }

    fn now(&self) -> Timestamp {
        self.edge.now()
    }

    /// Another connection to the journal sees what is committed and nothing else.
    fn answering(&self, _door: Door, bytes: &[u8]) {
        let mut journal = self.journal.lock().unwrap();
        let (reader, after, seen) = &mut *journal;
        for recorded in reader.read(*after, 100_000).unwrap() {
            *after = recorded.seq;
            if let Event::ReportReceived(report) = recorded.event {
                // The counter of each message is its packet id.
                let counter: [u8; 2] = report.device_key[11..13].try_into().unwrap();
                seen.insert(u16::from_be_bytes(counter));
            }
        }
        for puback in bytes.chunks_exact(4).filter(|chunk| chunk.starts_with(&[0x40, 0x02])) {
            let id = u16::from_be_bytes([puback[2], puback[3]]);
            self.answers.fetch_add(1, Ordering::SeqCst);
            if !seen.contains(&id) {
                self.early.lock().unwrap().push(id);
            }
        }
    }
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let size = body.len();
    assert!((128..16_384).contains(&size) || size < 128);
    let low = u8::try_from(size % 128).unwrap();
    let high = u8::try_from(size / 128).unwrap();
    let length = if high > 0 { vec![low | 0x80, high] } else { vec![low] };
    [vec![head], length, body.to_vec()].concat()
}

fn string(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

fn publish(n: u16) -> Vec<u8> {
    let payload = format!(r#"{{"n":{n},"alarms":[{{"kind":"help"}}]}}"#);
    let topic = string("hansho/v1/pendant/p-1/alarm");
    packet(0x32, &[topic, n.to_be_bytes().to_vec(), payload.into_bytes()].concat())
}

/// A client's side of TLS that trusts the made certificate alone.
async fn dial(address: SocketAddr, pem: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_each_puback_is_marked_after_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(folder.path()).unwrap();
    let vault = Arc::new(Vault::open(folder.path()).unwrap());
    let (queue, books) = (Arc::new(Queue::default()), Arc::new(Books::default()));
    let edge = Edge::new(vault, Arc::clone(&queue), books, Subjects::default());
    let live = {
        let (queue, runtime) = (Arc::clone(&queue), tokio::runtime::Handle::current());
        std::thread::spawn(move || {
            let (replica, _batches) = sync_channel(65_536);
            let (outbox, _changes) = mpsc::channel(65_536);
            let readers = Arc::new(Replica::new(State::default(), None));
            let outlets = Outlets { replica, readers, outbox, runtime, committed: |_, _, _| {} };
            let mut sequencer = Sequencer::new(State::default(), journal);
            live::run(&mut sequencer, &queue, &outlets, &HouseClock::new(None)).unwrap();
        })
    };
    let reader = SqliteReader::open(folder.path()).unwrap();
    let sink = Arc::new(Marked {
        edge: Arc::new(edge),
        journal: Mutex::new((reader, Seq::ZERO, BTreeSet::new())),
        answers: AtomicUsize::new(0),
        early: Mutex::default(),
    });
    let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
    let sessions = Arc::new(move || {
        let (limits, accounts) = (Limits::default(), Arc::clone(&accounts));
        Protocol::Mqtt.session(Setup::new(accounts, Transport::Stream, limits, clock::now()))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let identity = tls::identity(None, folder.path()).unwrap();
    let marked: Arc<dyn Sink> = Arc::<Marked>::clone(&sink);
    let entrance = Entrance {
        door: Door::Mqtt,
        sessions,
        sink: marked,
        identities: Arc::default(),
        turnstile: Turnstile::default(),
    };
    let (_keep, stop) = watch::channel(false);
    tokio::spawn(serve_tls(listener, identity, entrance, TcpLimits::default(), stop));
    let pem = std::fs::read(folder.path().join(tls::MADE_CERTIFICATE)).unwrap();
    let mut client = dial(address, &pem).await;
    let hello = [string("MQTT"), vec![4, 0x02, 0, 60], string("c1")].concat();
    client.write_all(&packet(0x10, &hello)).await.unwrap();
    let mut connack = [0; 4];
    client.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 0x02, 0x00, 0x00]);
    // One at a time, and then in bursts that are committed together.
    let mut expected = Vec::new();
    for (first, count) in [(1, 1), (2, 1), (3, 30), (33, 64), (97, 200)] {
        let ids = first..first + count;
        client.write_all(&ids.clone().flat_map(publish).collect::<Vec<u8>>()).await.unwrap();
        expected
            .extend(ids.flat_map(|id: u16| [vec![0x40, 0x02], id.to_be_bytes().to_vec()].concat()));
        let mut answers = vec![0; usize::from(count) * 4];
        let read = client.read_exact(&mut answers);
        tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
        assert_eq!(answers, expected[expected.len() - answers.len()..], "in their order");
    }
    assert_eq!(sink.answers.load(Ordering::SeqCst), 296);
    assert!(sink.early.lock().unwrap().is_empty(), "{:?}", sink.early.lock().unwrap());
    queue.stop();
    live.join().unwrap();
}
