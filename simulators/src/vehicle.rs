//! A vehicle's terminal over QUIC: keeps what its crew said until it is answered, connects again and
//! says it again with the same id, shows orders and confirms them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, RootCertStore, version};
use uuid::Uuid;

/// What the two ends agree on.
const ALPN: &[u8] = b"hansho/1";
/// Longest frame.
const FRAME_SIZE_MAX: usize = 4_096;
/// Pause before a new connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for anything that the house should answer at once.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Why a terminal does not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VehicleError {
    /// Certificate, key or whom to trust.
    #[error("{what} cannot be used: {why}")]
    Identity {
        /// File.
        what: String,
        /// Why.
        why: String,
    },
    /// No socket.
    #[error("no socket could be opened")]
    Socket(#[from] io::Error),
    /// The house was not reached in time, or turned the terminal away.
    #[error("the house does not answer: {0}")]
    Unanswered(String),
}

/// What became of a press.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pressed {
    /// It is in the journal, as this event.
    Stored(u64),
    /// It is refused for good.
    Refused(String),
}

/// A terminal.
#[derive(Debug)]
pub struct Vehicle {
    id: String,
    house: SocketAddr,
    endpoint: Endpoint,
    link: Option<Link>,
    /// Orders that nobody has read yet, oldest first.
    orders: VecDeque<Value>,
    /// Keys of orders that were shown.
    shown: Vec<String>,
}

/// A connection with its stream for the crew.
#[derive(Debug)]
struct Link {
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
    held: Vec<u8>,
}

impl Vehicle {
    /// A terminal with this id; `folder` holds `<id>.pem` and `<id>.key`, `trust` the house's
    /// certificate.
    ///
    /// # Errors
    ///
    /// The files cannot be used; no socket.
    pub fn new(
        id: &str,
        folder: &Path,
        trust: &Path,
        house: SocketAddr,
    ) -> Result<Self, VehicleError> {
        let config = client(&folder.join(id), trust)?;
        let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into())?;
        endpoint.set_default_client_config(config);
        let (orders, shown) = (VecDeque::new(), Vec::new());
        Ok(Self { id: id.to_owned(), house, endpoint, link: None, orders, shown })
    }

    /// Goes on from another local port, as a phone does that changes networks; the link lives on.
    ///
    /// # Errors
    ///
    /// No socket.
    pub fn migrate(&self) -> Result<(), VehicleError> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        Ok(self.endpoint.rebind(socket)?)
    }

    /// Says where it is, in degrees. Nothing answers, and it may be lost.
    ///
    /// # Errors
    ///
    /// The house cannot be reached.
    pub async fn position(&mut self, lat: f64, lon: f64) -> Result<(), VehicleError> {
        let (now, link) = (now(), self.link().await?);
        let said = format!(
            r#"{{"observed_at":"{now}","position":{{"lat":{lat:.7},"lon":{lon:.7},"method":"gnss","satellites":9,"at":"{now}"}}}}"#
        );
        if link.connection.send_datagram(said.into_bytes().into()).is_err() {
            self.link = None;
        }
        Ok(())
    }

    /// Says that a status was reached at a time, and waits until it is answered; says it again on a
    /// new connection, with the same id.
    ///
    /// # Errors
    ///
    /// After four tries.
    pub async fn press(&mut self, status: &str, at: Timestamp) -> Result<Pressed, VehicleError> {
        let press =
            json!({ "id": Uuid::now_v7().to_string(), "status": status, "at": at.to_string() });
        self.say(&press).await
    }

    /// Says a frame that has an `id`, until it is answered.
    ///
    /// # Errors
    ///
    /// After four tries.
    pub async fn say(&mut self, frame: &Value) -> Result<Pressed, VehicleError> {
        let mut last = String::new();
        for _try in 0..4 {
            match timeout(ANSWER_TIME_MAX, self.try_once(frame)).await {
                Ok(Ok(pressed)) => return Ok(pressed),
                Ok(Err(error)) => last = error.to_string(),
                Err(_silent) => "it was silent".clone_into(&mut last),
            }
            self.link = None;
            sleep(PAUSE).await;
        }
        Err(VehicleError::Unanswered(last))
    }

    async fn try_once(&mut self, frame: &Value) -> Result<Pressed, VehicleError> {
        self.link().await?.write(frame).await?;
        loop {
            let heard = self.hear().await?;
            if heard["id"] != frame["id"] {
                continue;
            }
            if let Some(code) = heard["refused"].as_str() {
                return Ok(Pressed::Refused(code.to_owned()));
            }
            if let Some(seq) = heard["seq"].as_u64() {
                return Ok(Pressed::Stored(seq));
            }
        }
    }

    /// The next order, each once; it is confirmed. Connects anew as long as it takes.
    pub async fn order(&mut self) -> Value {
        loop {
            if let Some(order) = self.orders.pop_front() {
                return order;
            }
            if self.hear().await.is_err() {
                self.link = None;
                sleep(PAUSE).await;
            }
        }
    }

    /// The next frame. An order is confirmed and kept for [`Vehicle::order`].
    async fn hear(&mut self) -> Result<Value, VehicleError> {
        let link = self.link().await?;
        let heard = link.read().await?;
        if let Some(key) = heard["order"].as_str() {
            link.write(&json!({ "received": key })).await?;
            if !self.shown.iter().any(|shown| shown == key) {
                self.shown.push(key.to_owned());
                self.orders.push_back(heard.clone());
            }
        }
        Ok(heard)
    }

    async fn link(&mut self) -> Result<&mut Link, VehicleError> {
        let over = self.link.as_ref().is_some_and(|link| link.connection.close_reason().is_some());
        let link = match self.link.take().filter(|_| !over) {
            Some(link) => link,
            None => match timeout(ANSWER_TIME_MAX, self.connect()).await {
                Ok(link) => link?,
                Err(_silent) => {
                    return Err(VehicleError::Unanswered("it was silent".to_owned()));
                }
            },
        };
        Ok(self.link.insert(link))
    }

    async fn connect(&self) -> Result<Link, VehicleError> {
        let connecting = self.endpoint.connect(self.house, "localhost").map_err(unanswered)?;
        let connection = connecting.await.map_err(unanswered)?;
        let (send, receive) = connection.open_bi().await.map_err(unanswered)?;
        let mut link = Link { connection, send, receive, held: Vec::new() };
        link.write(&json!({ "hello": 1, "class": "B", "terminal": self.id })).await?;
        let welcome = link.read().await?;
        if welcome["hello"] == 1 { Ok(link) } else { Err(unanswered(welcome)) }
    }

    /// Calls for help: the crew is in danger. Ends when the call is durable.
    ///
    /// # Errors
    ///
    /// The house does not answer.
    pub async fn mayday(&mut self, counter: u64) -> Result<(), VehicleError> {
        let (id, connection) = (self.id.clone(), self.link().await?.connection.clone());
        let (send, receive) = connection.open_bi().await.map_err(unanswered)?;
        let mut line = Link { connection, send, receive, held: Vec::new() };
        line.write(&json!({ "hello": 1, "class": "A", "terminal": id })).await?;
        line.read().await?;
        line.write(&json!({ "n": counter, "alarms": [{ "kind": "help" }] })).await?;
        let answer = timeout(ANSWER_TIME_MAX, line.read()).await.map_err(unanswered)??;
        let stored = answer["n"] == counter && answer["stored"] == true;
        if stored { Ok(()) } else { Err(unanswered(answer)) }
    }
}

impl Link {
    async fn write(&mut self, frame: &Value) -> Result<(), VehicleError> {
        let content = frame.to_string();
        let length = u32::try_from(content.len()).map_err(unanswered)?;
        let bytes = [&length.to_be_bytes(), content.as_bytes()].concat();
        self.send.write_all(&bytes).await.map_err(unanswered)
    }

    /// The next frame; nothing is lost when it is not waited for.
    async fn read(&mut self) -> Result<Value, VehicleError> {
        loop {
            if let Some((length, rest)) = self.held.split_first_chunk::<4>() {
                let length = usize::try_from(u32::from_be_bytes(*length)).map_err(unanswered)?;
                if length > FRAME_SIZE_MAX {
                    return Err(VehicleError::Unanswered("a frame is too long".to_owned()));
                }
                if let Some(content) = rest.get(..length) {
                    let frame = serde_json::from_slice(content).map_err(unanswered)?;
                    self.held.drain(..4 + length);
                    return Ok(frame);
                }
            }
            let mut bytes = [0; 1_024];
            let count = self.receive.read(&mut bytes).await.map_err(unanswered)?;
            let count = count.ok_or_else(|| unanswered("the stream ended"))?;
            self.held.extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
    }
}

fn unanswered(error: impl std::fmt::Display) -> VehicleError {
    VehicleError::Unanswered(error.to_string())
}

/// Certificate and key at `path` with `.pem` and `.key`.
fn client(path: &Path, trust: &Path) -> Result<ClientConfig, VehicleError> {
    let fault = |path: &Path| {
        let what = path.display().to_string();
        move |why: &dyn std::fmt::Display| VehicleError::Identity { what, why: why.to_string() }
    };
    let (own, key) = (path.with_extension("pem"), path.with_extension("key"));
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(trust).map_err(|error| fault(trust)(&error))?;
    roots.add(trusted).map_err(|error| fault(trust)(&error))?;
    let chain = CertificateDer::from_pem_file(&own).map_err(|error| fault(&own)(&error))?;
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|error| fault(&key)(&error))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| fault(&own)(&error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![chain], key_der)
        .map_err(|error| fault(&own)(&error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    let config = QuicClientConfig::try_from(config).map_err(|error| fault(&own)(&error))?;
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_secs(15)));
    let mut config = ClientConfig::new(Arc::new(config));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// The terminal's clock.
#[expect(clippy::disallowed_methods, reason = "a simulated terminal has a clock of its own")]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}
