//! The terminals' door, driven by a client of the test's own: what it answers and when, and what no
//! terminal should say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hansho_intake::{
    Crews, Decided, Identities, Pressed, QuicDoor, QuicIdentity, Sink, Turnstile, serve_quic,
};
use hansho_model::{Door, FrameFault, Lane, RefusalCode, Report, Seq};
use hansho_protocols::Durable;
use hansho_protocols::vehicle::{OrderKey, Press, certificate_name, frame};
use jiff::Timestamp;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, RootCertStore};

const PATIENCE: Duration = Duration::from_secs(20);
const ID: &str = "019abcde-f012-7345-8678-9abcdef01234";

/// Keeps what comes; each is durable when the gate lets it pass.
struct House {
    reports: Mutex<Vec<Report>>,
    presses: Mutex<Vec<Press>>,
    refused: Mutex<Vec<FrameFault>>,
    /// What was answered, in its order.
    answers: Mutex<Vec<Vec<u8>>>,
    orders: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    shown: Mutex<Vec<OrderKey>>,
    /// Turns that telemetry waited for.
    turns: AtomicUsize,
    /// Reports of which it is known what became of them.
    decided: AtomicUsize,
    gate: Semaphore,
}

impl House {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            reports: Mutex::default(),
            presses: Mutex::default(),
            refused: Mutex::default(),
            answers: Mutex::default(),
            orders: Mutex::default(),
            shown: Mutex::default(),
            turns: AtomicUsize::new(0),
            decided: AtomicUsize::new(0),
            gate: Semaphore::new(permits),
        })
    }

    fn of_lane(&self, lane: Lane) -> usize {
        self.reports.lock().unwrap().iter().filter(|report| report.lane == lane).count()
    }
}

impl Sink for House {
    fn take(self: Arc<Self>, _: SocketAddr, _: Timestamp, report: Report) -> Decided {
        // Everything but that a terminal came or went.
        let gated = report.lane != Lane::C;
        self.reports.lock().unwrap().push(report);
        Box::pin(async move {
            if gated {
                self.gate.acquire().await.unwrap().forget();
            }
            self.decided.fetch_add(1, Ordering::SeqCst);
            Durable::Stored
        })
    }

    fn refuse(&self, door: Door, fault: FrameFault) {
        assert_eq!(door, Door::Quic);
        self.refused.lock().unwrap().push(fault);
    }

    fn broken(&self, _: Door) {}

    fn taken_over(&self, _: Door) {}

    fn now(&self) -> Timestamp {
        "2026-11-23T05:40:48Z".parse().unwrap()
    }

    fn held_back(&self, _waited: Duration) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }

    fn answering(&self, _: Door, bytes: &[u8]) {
        self.answers.lock().unwrap().push(bytes.to_vec());
    }
}

impl Crews for House {
    fn knows(&self, terminal: &str) -> bool {
        terminal == "T-1"
    }

    fn press(self: Arc<Self>, _terminal: &str, _: Timestamp, press: Press) -> Pressed {
        self.presses.lock().unwrap().push(press);
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            Ok(Seq::new(7))
        })
    }

    fn arrived(&self, terminal: &str, orders: mpsc::Sender<Vec<u8>>) {
        assert_eq!(terminal, "T-1");
        *self.orders.lock().unwrap() = Some(orders);
    }

    fn received(&self, _terminal: &str, key: OrderKey) {
        self.shown.lock().unwrap().push(key);
    }
}

/// A door with who vouches for its terminals.
struct World {
    house: Arc<House>,
    address: SocketAddr,
    folder: tempfile::TempDir,
    authority: Issuer<'static, KeyPair>,
    _stop: watch::Sender<bool>,
}

impl World {
    fn open(permits: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(file("house.pem"), own.cert.pem()).unwrap();
        std::fs::write(file("house.key"), own.signing_key.serialize_pem()).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        std::fs::write(file("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let authority = Issuer::new(params, key);
        let identity = QuicIdentity::load(
            &file("house.pem"),
            &file("house.key"),
            &file("authority.pem"),
            b"a secret",
        );
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let house = House::new(permits);
        let door = QuicDoor {
            sink: Arc::<House>::clone(&house),
            crews: Arc::<House>::clone(&house),
            turnstile: Turnstile::default(),
            identities: Arc::<Identities>::default(),
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve_quic(socket, identity.unwrap(), door, stopped));
        Self { house, address, folder, authority, _stop: stop }
    }

    /// Files of a terminal's certificate and key.
    fn issue(&self, terminal: &str) -> [PathBuf; 2] {
        let params = CertificateParams::new(vec![certificate_name(terminal)]).unwrap();
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.authority).unwrap();
        let files = ["pem", "key"].map(|end| self.folder.path().join(format!("{terminal}.{end}")));
        std::fs::write(&files[0], made.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }

    /// A connection of this terminal, or of nobody.
    async fn connect(&self, terminal: Option<&str>) -> Result<Connection, String> {
        self.connect_as(terminal, b"hansho/1").await
    }

    async fn connect_as(&self, terminal: Option<&str>, alpn: &[u8]) -> Result<Connection, String> {
        let certificate = |path: &Path| CertificateDer::from_pem_file(path).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.folder.path().join("house.pem"))).unwrap();
        let builder =
            rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_root_certificates(roots);
        let mut config = match terminal {
            None => builder.with_no_client_auth(),
            Some(terminal) => {
                let [pem, key] = self.issue(terminal);
                let key = PrivateKeyDer::from_pem_file(&key).unwrap();
                builder.with_client_auth_cert(vec![certificate(&pem)], key).unwrap()
            }
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let config = QuicClientConfig::try_from(config).unwrap();
        let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(ClientConfig::new(Arc::new(config)));
        let connecting = endpoint.connect(self.address, "localhost").unwrap();
        let connection = connecting.await.map_err(|error| error.to_string())?;
        Ok(connection)
    }

    async fn stream(&self, connection: &Connection, class: &str) -> Stream {
        let mut stream = Stream::open(connection).await;
        stream.say(&format!(r#"{{"hello":1,"class":"{class}","terminal":"t-1"}}"#)).await;
        assert!(stream.hear().await.starts_with(r#"{"hello":1"#));
        stream
    }
}

struct Stream(SendStream, RecvStream);

impl Stream {
    async fn open(connection: &Connection) -> Self {
        let (send, receive) = connection.open_bi().await.unwrap();
        Self(send, receive)
    }

    async fn say(&mut self, content: &str) {
        self.0.write_all(&frame(content.as_bytes())).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        let read = async {
            let mut length = [0; 4];
            self.1.read_exact(&mut length).await.unwrap();
            let mut content = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            self.1.read_exact(&mut content).await.unwrap();
            String::from_utf8(content).unwrap()
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    /// The code with which the house ended it.
    async fn end(&mut self) -> String {
        let mut rest = [0; 64];
        let read = timeout(PATIENCE, self.1.read(&mut rest)).await.unwrap();
        read.map(|count| format!("{count:?}")).unwrap_or_else(|error| error.to_string())
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waits = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waits).await.unwrap();
}

fn press(status: &str) -> String {
    format!(r#"{{"id":"{ID}","status":"{status}"}}"#)
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_durable() {
    let world = World::open(0);
    let link = world.connect(Some("t-1")).await.unwrap();
    let (mut crew, mut alarms) = (world.stream(&link, "B").await, world.stream(&link, "A").await);
    crew.say(&press("ER")).await;
    alarms.say(r#"{"n":1,"alarms":[{"kind":"help"}]}"#).await;
    let house = &world.house;
    until(|| house.presses.lock().unwrap().len() == 1 && house.of_lane(Lane::A) == 1).await;
    assert_eq!(house.answers.lock().unwrap().len(), 2, "the two welcomes, and no more");
    house.gate.add_permits(2);
    assert_eq!(crew.hear().await, format!(r#"{{"id":"{ID}","seq":7}}"#));
    assert_eq!(alarms.hear().await, r#"{"n":1,"stored":true}"#);
}

#[tokio::test]
async fn what_was_said_is_kept_though_the_link_is_gone() {
    let world = World::open(0);
    let link = world.connect(Some("t-1")).await.unwrap();
    let mut crew = world.stream(&link, "B").await;
    crew.say(&press("ER")).await;
    until(|| world.house.presses.lock().unwrap().len() == 1).await;
    link.close(0_u32.into(), b"");
    // It is heard that it came and that it went.
    let lost = |report: &Report| report.findings.iter().any(|each| each.zone == "connection");
    until(|| world.house.reports.lock().unwrap().iter().any(lost)).await;
    world.house.gate.add_permits(1);
    until(|| world.house.gate.available_permits() == 0).await;
}

#[tokio::test]
async fn an_order_goes_down_and_its_word_comes_back() {
    let world = World::open(10);
    let link = world.connect(Some("t-1")).await.unwrap();
    let mut crew = world.stream(&link, "B").await;
    let orders = world.house.orders.lock().unwrap().clone().unwrap();
    orders.send(br#"{"order":"7.0"}"#.to_vec()).await.unwrap();
    assert_eq!(crew.hear().await, r#"{"order":"7.0"}"#);
    crew.say(r#"{"received":"7.0"}"#).await;
    until(|| world.house.shown.lock().unwrap().len() == 1).await;
}

#[tokio::test]
async fn positions_are_datagrams_and_none_comes_before_a_hello() {
    let world = World::open(100);
    let link = world.connect(Some("t-1")).await.unwrap();
    let said = br#"{"position":{"lat":36.9548,"lon":140.905}}"#;
    link.send_datagram(said.to_vec().into()).unwrap();
    until(|| world.house.refused.lock().unwrap().len() == 1).await;
    let _crew = world.stream(&link, "B").await;
    link.send_datagram(said.to_vec().into()).unwrap();
    until(|| world.house.of_lane(Lane::D) == 1).await;
    link.send_datagram(b"rubbish".to_vec().into()).unwrap();
    until(|| world.house.of_lane(Lane::D) == 2).await;
    assert!(world.house.reports.lock().unwrap().last().unwrap().refused.is_some());
    // Who brings many has a turn for each.
    let before = world.house.turns.load(Ordering::SeqCst);
    for _datagram in 0..20 {
        link.send_datagram(said.to_vec().into()).unwrap();
    }
    until(|| world.house.of_lane(Lane::D) == 22).await;
    assert!(world.house.turns.load(Ordering::SeqCst) >= before + 20);
}

#[tokio::test]
async fn a_position_is_accounted_for_though_the_link_is_gone() {
    let world = World::open(0);
    let link = world.connect(Some("t-1")).await.unwrap();
    let _crew = world.stream(&link, "B").await;
    link.send_datagram(br#"{"position":{"lat":36.9548,"lon":140.905}}"#.to_vec().into()).unwrap();
    until(|| world.house.of_lane(Lane::D) == 1).await;
    link.close(0_u32.into(), b"");
    // That it came, and that it went.
    until(|| world.house.of_lane(Lane::C) == 2).await;
    world.house.gate.add_permits(1);
    until(|| world.house.decided.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn a_link_that_says_nothing_is_ended() {
    let world = World::open(10);
    let link = world.connect(Some("t-1")).await.unwrap();
    let closed = timeout(PATIENCE, link.closed()).await.unwrap().to_string();
    assert!(closed.contains('1'), "{closed}");
    assert_eq!(world.house.of_lane(Lane::C), 0, "nobody was there");
}

#[tokio::test]
async fn nobody_comes_in_without_a_certificate_of_ours() {
    let world = World::open(10);
    // TLS 1.3: a client learns of it with the first thing it hears.
    let bare = world.connect(None).await;
    let refused = match bare {
        Err(_) => true,
        Ok(link) => timeout(PATIENCE, link.closed()).await.is_ok(),
    };
    assert!(refused);
    assert!(world.connect_as(Some("t-1"), b"h3").await.is_err(), "it speaks something else");
    // A certificate of ours, and another's name.
    let link = world.connect(Some("t-2")).await.unwrap();
    let mut stream = Stream::open(&link).await;
    stream.say(r#"{"hello":1,"class":"B","terminal":"t-1"}"#).await;
    let closed = timeout(PATIENCE, link.closed()).await.unwrap().to_string();
    assert!(closed.contains("not this terminal's certificate"), "{closed}");
    // Its own name, and no unit has it.
    let link = world.connect(Some("t-2")).await.unwrap();
    let mut stream = Stream::open(&link).await;
    stream.say(r#"{"hello":1,"class":"B","terminal":"t-2"}"#).await;
    timeout(PATIENCE, link.closed()).await.unwrap();
    assert!(world.house.presses.lock().unwrap().is_empty());
    assert_eq!(world.house.of_lane(Lane::C), 0, "nobody was there");
}

#[tokio::test]
async fn what_no_terminal_should_say_ends_its_stream_and_no_other() {
    let world = World::open(100);
    let link = world.connect(Some("t-1")).await.unwrap();
    let mut good = world.stream(&link, "B").await;
    let mut without = Stream::open(&link).await;
    without.say(r#"{"id":"x"}"#).await;
    assert!(without.end().await.contains("error 1"), "no hello");
    let mut long = world.stream(&link, "B").await;
    long.0.write_all(&4_097_u32.to_be_bytes()).await.unwrap();
    assert!(long.end().await.contains("error 1"), "too long a frame");
    let mut empty = world.stream(&link, "A").await;
    empty.0.write_all(&[0; 4]).await.unwrap();
    assert!(empty.end().await.contains("error 1"), "an empty frame");
    good.say("rubbish").await;
    good.say(&press("XX")).await;
    assert_eq!(
        good.hear().await,
        format!(r#"{{"id":"{ID}","refused":"{}"}}"#, RefusalCode::Invalid)
    );
    good.say(&press("AK")).await;
    assert_eq!(good.hear().await, format!(r#"{{"id":"{ID}","seq":7}}"#));
}

#[tokio::test]
async fn a_flood_of_streams_and_of_presses_waits_in_the_terminal() {
    let world = World::open(0);
    let link = world.connect(Some("t-1")).await.unwrap();
    let mut crew = world.stream(&link, "B").await;
    let mut held = Vec::new();
    let opened = timeout(Duration::from_millis(300), async {
        loop {
            held.push(link.open_bi().await.unwrap());
        }
    });
    assert!(opened.await.is_err() && held.len() == 15, "{} more streams", held.len());
    for _press in 0..200 {
        crew.say(&press("AK")).await;
    }
    until(|| world.house.presses.lock().unwrap().len() == 64).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.house.presses.lock().unwrap().len(), 64, "more are not read");
    world.house.gate.add_permits(200);
    for _press in 0..200 {
        assert!(crew.hear().await.ends_with(r#""seq":7}"#));
    }
}

#[tokio::test]
async fn a_newer_link_of_the_same_terminal_ends_the_older() {
    let world = World::open(10);
    let older = world.connect(Some("t-1")).await.unwrap();
    let _stream = world.stream(&older, "B").await;
    let newer = world.connect(Some("t-1")).await.unwrap();
    let mut crew = world.stream(&newer, "B").await;
    let closed = timeout(PATIENCE, older.closed()).await.unwrap().to_string();
    assert!(closed.contains('3'), "{closed}");
    crew.say(&press("AK")).await;
    assert_eq!(crew.hear().await, format!(r#"{{"id":"{ID}","seq":7}}"#));
}
