//! QUIC: terminals of vehicles, each with a certificate of its own.
//!
//! A connection has a long stream for alarms and one for what the crew says, so that a lost packet
//! of one holds up nothing of the other; positions come as datagrams. Whose connection it is, its
//! certificate says. 0-RTT is not offered: nothing that is replayed is taken.

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hansho_model::{Door, FrameFault, RefusalCode, Seq};
use hansho_protocols::Durable;
use hansho_protocols::vehicle::{
    self, ALPN, Frames, HELLO_TIME_MAX, OrderKey, Press, StreamClass, UNANSWERED_MAX, Up, frame,
};
use jiff::Timestamp;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    Connection, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, version};

use crate::identities::{Claim, Identities};
use crate::tcp::Counted;
use crate::tls::{TlsError, certificates, private_key};
use crate::turnstile::{QUIET, Turnstile};
use crate::{Decided, Sink};

/// Connections in all; a city has some hundred vehicles.
const CONNECTIONS_MAX: usize = 4_096;
/// From here on an address must prove itself before anything is spent on its handshake.
const RETRY_FROM: usize = 256;
/// From the first packet to the end of the handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// A link that is silent for so long is lost.
const IDLE_MAX_MS: u32 = 60_000;
/// How often we say something, so that no router on the way forgets the link.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Streams of a connection at once.
const STREAMS_MAX: u32 = 16;
/// Bytes of a connection that may be under way to us.
const RECEIVE_WINDOW: u32 = 256 << 10;
/// Bytes of one stream that may be under way to us.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of datagrams that wait for us; the oldest go first.
const DATAGRAMS_BYTES: usize = 64 << 10;
/// Longest time a terminal may take to accept an answer.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes that are read at once.
const READ_BYTES: usize = 4_096;
/// Orders that wait to be written to one terminal.
const ORDERS_MAX: usize = 64;

/// Why a stream or a connection is ended, as the other side reads it.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The house ends.
    House = 0,
    /// What it says cannot be read.
    Unreadable = 1,
    /// Its certificate is not the terminal's that it says it is, or nobody knows that one.
    NotYours = 2,
    /// A newer connection of the same terminal has come.
    TakenOver = 3,
    /// It takes nothing.
    Mute = 4,
}

impl End {
    fn code(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }
}

/// What became of a press: the number of its event, or why it is refused for good.
pub type Pressed = Pin<Box<dyn Future<Output = Result<Seq, RefusalCode>> + Send>>;

/// What the crews' side of the house does.
pub trait Crews: Send + Sync + 'static {
    /// Whether some unit has this terminal; its id is in upper case.
    fn knows(&self, terminal: &str) -> bool;

    /// A crew said something. It ends when that is durable or refused, and is to be driven to its
    /// end though nobody wants the answer any more.
    fn press(self: Arc<Self>, terminal: &str, received_at: Timestamp, press: Press) -> Pressed;

    /// A terminal is there and takes orders, as contents of frames.
    fn arrived(&self, terminal: &str, orders: mpsc::Sender<Vec<u8>>);

    /// An order stands on a terminal's screen.
    fn received(&self, terminal: &str, key: OrderKey);
}

/// The house's side of the handshake.
pub struct QuicIdentity(ServerConfig, EndpointConfig);

impl std::fmt::Debug for QuicIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QuicIdentity")
    }
}

impl QuicIdentity {
    /// From PEM files: the house's certificate and key, and who vouches for terminals. `secret`
    /// stays the same from start to start: by it terminals learn at once that an earlier core, and
    /// their link with it, has gone.
    ///
    /// # Errors
    ///
    /// See [`TlsError`].
    pub fn load(
        certificate: &Path,
        key: &Path,
        authority: &Path,
        secret: &[u8],
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for vouches in certificates(authority)? {
            roots.add(vouches).map_err(TlsError::Unusable)?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier
            .build()
            .map_err(|error| TlsError::Unusable(rustls::Error::General(error.to_string())))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .map_err(TlsError::Unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(certificate)?, private_key(key)?)
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        let config = QuicServerConfig::try_from(config)
            .map_err(|error| TlsError::Unusable(rustls::Error::General(error.to_string())))?;
        let mut config = ServerConfig::with_crypto(Arc::new(config));
        config.transport_config(Arc::new(transport()));
        config.migration(true).max_incoming(RETRY_FROM);
        let reset = ResetKey(blake3::derive_key("hansho 1 quic reset", secret));
        Ok(Self(config, EndpointConfig::new(Arc::new(reset))))
    }
}

/// Marks packets that say "this link is gone"; only who has the key can make them.
struct ResetKey([u8; 32]);

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        let hash = blake3::keyed_hash(&self.0, data);
        for (out, byte) in out.iter_mut().zip(hash.as_bytes()) {
            *out = *byte;
        }
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        // Compared in constant time.
        let same = blake3::keyed_hash(&self.0, data) == *signature;
        if same { Ok(()) } else { Err(CryptoError) }
    }
}

/// The transport's limits, as the event core's reference gives them.
fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MAX_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .datagram_receive_buffer_size(Some(DATAGRAMS_BYTES));
    config
}

/// The door for terminals.
pub struct QuicDoor {
    /// Takes alarms and positions.
    pub sink: Arc<dyn Sink>,
    /// Takes what crews say, and has orders for them.
    pub crews: Arc<dyn Crews>,
    /// Where telemetry waits for its turn; one for the whole house.
    pub turnstile: Turnstile,
    /// Whose connections are open.
    pub identities: Arc<Identities>,
}

impl std::fmt::Debug for QuicDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QuicDoor")
    }
}

/// Accepts terminals until `stop` turns true.
///
/// # Errors
///
/// The socket cannot be used.
pub async fn serve_quic(
    socket: UdpSocket,
    identity: QuicIdentity,
    door: QuicDoor,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let QuicIdentity(server, config) = identity;
    let endpoint = Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime))?;
    let door = Arc::new(door);
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some(incoming) = incoming else { break };
        let open = endpoint.open_connections();
        if open >= CONNECTIONS_MAX {
            tracing::warn!("A terminal over the limit of connections was turned away.");
            incoming.refuse();
            continue;
        }
        if open >= RETRY_FROM && incoming.may_retry() && !incoming.remote_address_validated() {
            if incoming.retry().is_err() {
                tracing::debug!("An address could not be asked to prove itself.");
            }
            continue;
        }
        let (door, stop, counted) = (Arc::clone(&door), stop.clone(), Counted::new(Door::Quic));
        tokio::spawn(async move {
            greet(incoming, door, stop).await;
            drop(counted);
        });
    }
    endpoint.close(End::House.code(), b"the house ends");
    // What is closed is said to those who are there, and not waited for any longer.
    let told = timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
    drop(told);
    Ok(())
}

async fn greet(incoming: Incoming, door: Arc<QuicDoor>, stop: watch::Receiver<bool>) {
    let connecting = async { incoming.accept()?.await };
    let connection = match timeout(HANDSHAKE_TIME_MAX, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            tracing::debug!(%error, "A terminal's handshake failed.");
            return;
        }
        Err(_late) => {
            tracing::debug!("A terminal's handshake took too long.");
            return;
        }
    };
    let link = Arc::new(Link { connection, door, terminal: OnceLock::new() });
    link.converse(stop).await;
}

/// A connection of a terminal.
struct Link {
    connection: Connection,
    door: Arc<QuicDoor>,
    /// Whose it is, from its first hello on.
    terminal: OnceLock<String>,
}

impl Link {
    async fn converse(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (named, mut names) = mpsc::channel(1);
        // It ends with the connection, when all that came by it is accounted for.
        drop(tokio::spawn(Arc::clone(&self).positions()));
        let silent = tokio::time::sleep(HELLO_TIME_MAX);
        tokio::pin!(silent);
        let mut claim: Option<Claim> = None;
        let end = loop {
            tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok((send, receive)) => {
                        let (link, named) = (Arc::clone(&self), named.clone());
                        tokio::spawn(async move { link.stream(send, receive, named).await });
                    }
                    Err(error) => {
                        tracing::debug!(%error, "The link to a terminal is over.");
                        break None;
                    }
                },
                Some(name) = names.recv(), if claim.is_none() => {
                    claim = Some(self.door.identities.claim(name));
                    self.take(vehicle::arrived(self.terminal()));
                }
                // Who never says whose link it is holds no place.
                () = &mut silent, if claim.is_none() => break Some(End::Unreadable),
                () = lost(claim.as_ref()) => break Some(End::TakenOver),
                _ = stop.wait_for(|stop| *stop) => break Some(End::House),
            }
        };
        match end {
            Some(end) => {
                if matches!(end, End::TakenOver) {
                    self.door.sink.taken_over(Door::Quic);
                }
                self.connection.close(end.code(), b"");
            }
            None if claim.is_some() => {
                self.take(vehicle::lost(self.terminal(), self.door.sink.now()));
            }
            None => {}
        }
    }

    /// Whose link it is; nobody's before the first hello.
    fn terminal(&self) -> &str {
        self.terminal.get().map_or("", String::as_str)
    }

    /// Hands on a report that nobody waits for; it is driven to its end all the same.
    fn take(&self, report: hansho_model::Report) {
        drop(tokio::spawn(self.decide(report)));
    }

    fn decide(&self, report: hansho_model::Report) -> Decided {
        let (sink, peer) = (Arc::clone(&self.door.sink), self.connection.remote_address());
        let now = sink.now();
        sink.take(peer, now, report)
    }

    /// Positions, one a datagram. Who floods with them waits for his turn like every other.
    async fn positions(self: Arc<Self>) {
        let mut heard_at: Option<Instant> = None;
        let mut under_way = FuturesUnordered::<Decided>::new();
        loop {
            let datagram = tokio::select! {
                datagram = self.connection.read_datagram(), if under_way.len() < UNANSWERED_MAX => {
                    datagram
                }
                Some(_fate) = under_way.next() => continue,
            };
            let Ok(datagram) = datagram else { break };
            let mut turn = None;
            if heard_at.is_some_and(|at| at.elapsed() < QUIET) {
                let its = self.door.turnstile.clone().turn().await;
                self.door.sink.held_back(its.waited);
                turn = Some(its);
            }
            heard_at = Some(Instant::now());
            if self.terminal.get().is_none() || datagram.len() > vehicle::FRAME_SIZE_MAX {
                self.door.sink.refuse(Door::Quic, FrameFault::UnknownId);
                continue;
            }
            under_way.push(self.decide(vehicle::position(self.terminal(), &datagram)));
            // It is paid for when its work is done.
            drop(turn);
        }
        while under_way.next().await.is_some() {}
    }

    /// One stream from its hello to its end.
    async fn stream(&self, send: SendStream, receive: RecvStream, named: mpsc::Sender<String>) {
        let mut line = Line { link: self, send, receive, frames: Frames::default() };
        let Ok(hello) = timeout(HELLO_TIME_MAX, line.next()).await else {
            return line.end(End::Unreadable);
        };
        let Some(content) = hello else { return };
        let hello = match vehicle::hello(&content) {
            Ok(hello) => hello,
            Err(error) => {
                self.door.sink.refuse(Door::Quic, error.fault);
                tracing::debug!(%error, "A terminal's stream was refused.");
                return line.end(End::Unreadable);
            }
        };
        if !self.is_of(&hello.terminal) {
            tracing::warn!(terminal = hello.terminal, "A terminal is not who it says it is.");
            self.door.sink.refuse(Door::Quic, FrameFault::UnknownId);
            return self.connection.close(End::NotYours.code(), b"not this terminal's certificate");
        }
        let priority = i32::from(hello.class == StreamClass::Alarm);
        let welcome = vehicle::welcome(hello.class, self.door.sink.now());
        if line.send.set_priority(priority).is_err() || !line.say(&welcome).await {
            return;
        }
        match hello.class {
            StreamClass::Alarm => {
                self.name(&named);
                line.alarms().await;
            }
            StreamClass::Crew => {
                let (orders, to_show) = mpsc::channel(ORDERS_MAX);
                self.door.crews.arrived(self.terminal(), orders);
                self.name(&named);
                line.crew(to_show).await;
            }
        }
    }

    /// Says whose link it is; of later streams nobody needs to hear it again.
    fn name(&self, named: &mpsc::Sender<String>) {
        drop(named.try_send(self.terminal().to_owned()));
    }

    /// Whether the certificate is this terminal's, some unit has it, and the link is nobody else's.
    fn is_of(&self, terminal: &str) -> bool {
        let certificates = self.connection.peer_identity();
        let certificates =
            certificates.and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let named = certificates.as_deref().and_then(|chain| chain.first()).is_some_and(|first| {
            let name = ServerName::try_from(vehicle::certificate_name(terminal));
            let parsed = ParsedCertificate::try_from(first);
            matches!((name, parsed), (Ok(name), Ok(parsed))
                if verify_server_name(&parsed, &name).is_ok())
        });
        named
            && self.door.crews.knows(terminal)
            && self.terminal.get_or_init(|| terminal.to_owned()) == terminal
    }
}

/// Waits until a newer connection of the same terminal comes; for ever while nobody's is known.
async fn lost(claim: Option<&Claim>) {
    match claim {
        None => std::future::pending().await,
        Some(claim) => claim.lost().await,
    }
}

/// An answer on its way; `None` when there is none.
type Answering = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// One stream of a link.
struct Line<'a> {
    link: &'a Link,
    send: SendStream,
    receive: RecvStream,
    frames: Frames,
}

impl Line<'_> {
    /// The next frame; `None` when the stream is over. Nothing is lost when it is not waited for.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.frames.take() {
                Ok(Some(content)) => return Some(content),
                Ok(None) => {}
                Err(error) => {
                    self.link.door.sink.refuse(Door::Quic, error.fault);
                    tracing::debug!(%error, "A terminal's frame was refused.");
                    self.end(End::Unreadable);
                    return None;
                }
            }
            let mut bytes = [0; READ_BYTES];
            let count = self.receive.read(&mut bytes).await.ok()??;
            self.frames.feed(bytes.get(..count).unwrap_or_default());
        }
    }

    fn end(&mut self, why: End) {
        // Whoever has closed the stream already need not be told.
        drop((self.send.reset(why.code()), self.receive.stop(why.code())));
    }

    /// Whether the terminal took it.
    async fn say(&mut self, content: &[u8]) -> bool {
        let bytes = frame(content);
        self.link.door.sink.answering(Door::Quic, &bytes);
        let said = timeout(WRITE_TIME_MAX, self.send.write_all(&bytes)).await;
        if said.is_err() {
            self.link.connection.close(End::Mute.code(), b"answers are not taken");
        }
        matches!(said, Ok(Ok(())))
    }

    /// Alarms: answered when they are durable.
    async fn alarms(&mut self) {
        let mut answers = FuturesUnordered::<Answering>::new();
        let mut open = true;
        while open || !answers.is_empty() {
            let answer = tokio::select! {
                content = self.next(), if open && answers.len() < UNANSWERED_MAX => {
                    match content {
                        Some(content) => {
                            let (n, report) = vehicle::alarm(self.link.terminal(), &content);
                            let decided = self.link.decide(report);
                            answers.push(Box::pin(async move {
                                let stored = decided.await == Durable::Stored;
                                stored.then(|| vehicle::stored_alarm(n))
                            }));
                        }
                        None => open = false,
                    }
                    continue;
                }
                Some(answer) = answers.next() => answer,
            };
            if let Some(answer) = answer
                && !self.say(&answer).await
            {
                break;
            }
        }
        finish(answers).await;
    }

    /// What the crew says, and orders for it.
    async fn crew(&mut self, mut orders: mpsc::Receiver<Vec<u8>>) {
        let mut answers = FuturesUnordered::<Answering>::new();
        let mut open = true;
        while open || !answers.is_empty() {
            let say = tokio::select! {
                content = self.next(), if open && answers.len() < UNANSWERED_MAX => {
                    match content {
                        Some(content) => answers.extend(self.hear(&content)),
                        None => open = false,
                    }
                    continue;
                }
                Some(answer) = answers.next() => answer,
                Some(order) = orders.recv(), if open => Some(order),
            };
            if let Some(content) = say
                && !self.say(&content).await
            {
                break;
            }
        }
        finish(answers).await;
    }

    /// What is to be answered to a frame of the crew's stream.
    fn hear(&self, content: &[u8]) -> Option<Answering> {
        let (link, now) = (self.link, self.link.door.sink.now());
        match vehicle::up(content) {
            Ok(Up::Received(key)) => {
                link.door.crews.received(link.terminal(), key);
                None
            }
            Ok(Up::Press(press)) => {
                let crews = Arc::clone(&link.door.crews);
                let pressed = crews.press(link.terminal(), now, press);
                Some(Box::pin(async move {
                    Some(match pressed.await {
                        Ok(seq) => vehicle::stored(press.id, seq),
                        Err(code) => vehicle::refused(press.id, code),
                    })
                }))
            }
            Err((id, error)) => {
                link.door.sink.refuse(Door::Quic, error.fault);
                let answer = id.map(|id| vehicle::refused(id, RefusalCode::Invalid));
                answer.map(|answer| -> Answering { Box::pin(async { Some(answer) }) })
            }
        }
    }
}

/// What became of what was said is accounted for, though nobody hears it any more.
async fn finish(mut answers: FuturesUnordered<Answering>) {
    while answers.next().await.is_some() {}
}
