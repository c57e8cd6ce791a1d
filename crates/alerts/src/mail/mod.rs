//! Mail: lettre's connection over a stream of our own, one mail a person.
//!
//! What an attempt comes to (mass-mail rules, section 1):
//!
//! | what happened | outcome | again |
//! |---|---|---|
//! | 2yz after the dot | done | |
//! | 4yz | failed | yes |
//! | 5yz | failed | no (552 at RCPT, and what speaks of the session: yes) |
//! | connection lost, mute or out of step before the dot was handed to the system | failed | yes |
//! | the same, or 421, after it | uncertain | the core decides |
//!
//! A log-in (AUTH PLAIN, LOGIN) goes to a relay on this machine or through STARTTLS only, which
//! the cargo feature `starttls` brings. Under TLS nobody sees when the dot leaves the machine: from
//! the moment it is about to be written, a lost connection counts as "uncertain".

mod connection;
mod reply;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hansho_model::{DistrictId, Effect, EffectId, Language, MailContent, Reveal};
use hansho_outbox::{Channel, Delivery, Provider, Task};
pub use lettre::transport::smtp::authentication::Credentials;
#[cfg(feature = "starttls")]
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, warn};

use self::connection::{Connection, Transaction};
use crate::{Rendered, Surroundings, render};

/// A relay that takes our mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port: 25, 587, 2525.
    pub port: u16,
}

/// How long each step may take. RFC 5321 asks for minutes; here another way is tried sooner, and
/// only the dot, where giving up means "uncertain", gets a long time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connect.
    pub connect: Duration,
    /// Banner and EHLO.
    pub greeting: Duration,
    /// MAIL, RCPT, RSET, a log-in.
    pub command: Duration,
    /// DATA.
    pub data: Duration,
    /// From the first byte of the text to the answer to the dot.
    pub dot: Duration,
    /// A whole attempt, with waiting for a connection.
    pub attempt: Duration,
    /// A connection without work is closed after this.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            greeting: Duration::from_secs(10),
            command: Duration::from_secs(10),
            data: Duration::from_secs(10),
            dot: Duration::from_secs(30),
            attempt: Duration::from_secs(60),
            idle: Duration::from_secs(5),
        }
    }
}

/// How mails go out.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// Relays, tried in this order when one cannot be reached or turns us away at the door.
    pub servers: Vec<Server>,
    /// Our name in EHLO.
    pub hello: String,
    /// Connections at once, at least 1.
    pub width: usize,
    /// Of these, to one provider at most, at least 1: one that never answers holds no more.
    pub provider_width: usize,
    /// Provider of a mail domain, in lower case; a domain that is not here is a provider of its own.
    pub providers: BTreeMap<String, String>,
    /// Messages on one connection, at least 1; carriers like short, busy sessions.
    pub messages_per_connection: u32,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Speak only after STARTTLS, with a certificate that the system trusts for the relay's name.
    pub starttls: bool,
    /// Certificates in PEM form that are trusted beside the system's: a city's own authority.
    pub roots_pem: Vec<Vec<u8>>,
    /// Log-in at the relay.
    pub credentials: Option<Credentials>,
}

impl MailConfig {
    /// One relay without a log-in, eight connections, four to one provider.
    #[must_use]
    pub fn plain(host: &str, port: u16, hello: &str) -> Self {
        Self {
            servers: vec![Server { host: host.to_owned(), port }],
            hello: hello.to_owned(),
            width: 8,
            provider_width: 4,
            providers: BTreeMap::new(),
            messages_per_connection: 100,
            timeouts: Timeouts::default(),
            starttls: false,
            roots_pem: Vec::new(),
            credentials: None,
        }
    }
}

#[cfg(feature = "starttls")]
impl MailConfig {
    /// What TLS needs for a relay; `None` when a root is no certificate.
    fn tls(&self, host: &str) -> Option<TlsParameters> {
        let mut builder = TlsParameters::builder(host.to_owned());
        for root in &self.roots_pem {
            builder = builder.add_root_certificate(Certificate::from_pem(root).ok()?);
        }
        builder.build_rustls().ok()
    }
}

/// What makes a configuration unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailConfigError {
    /// No relay.
    #[error("no mail relay is named; add one to `servers`")]
    NoServer,
    /// The EHLO name would break the line or is empty.
    #[error("`hello` must be a host name of letters, digits, dots and hyphens")]
    BadHello,
    /// STARTTLS is asked for and not built in.
    #[error(
        "this build has no TLS: build with the feature `starttls`, or use a relay on this machine"
    )]
    NoTls,
    /// A password would cross the network in the clear.
    #[error(
        "a log-in needs a relay on this machine (127.0.0.1, ::1, localhost): without TLS the password would be readable"
    )]
    SecretInTheClear,
}

/// What the channel asks of the house beside the seal: proofs in links and names of districts.
pub trait Lookups: Send + Sync + 'static {
    /// The vault's keyed hash for the purpose "answer" over the effect's id.
    fn answer_mac(&self, effect: EffectId) -> [u8; 16];

    /// Name of a district.
    fn district_name(&self, district: DistrictId, language: Language) -> Option<String>;
}

/// Sends the effects that are mails.
pub struct MailChannel {
    config: MailConfig,
    reveal: Arc<dyn Reveal>,
    lookups: Arc<dyn Lookups>,
    /// Hard cap on connections, whoever calls.
    permits: Semaphore,
    pool: Arc<Pool>,
}

impl std::fmt::Debug for MailChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailChannel").field("servers", &self.config.servers).finish_non_exhaustive()
    }
}

impl MailChannel {
    /// Connects to nobody yet.
    ///
    /// # Errors
    ///
    /// See [`MailConfigError`].
    pub fn new(
        mut config: MailConfig,
        reveal: Arc<dyn Reveal>,
        lookups: Arc<dyn Lookups>,
    ) -> Result<Self, MailConfigError> {
        if config.servers.is_empty() {
            return Err(MailConfigError::NoServer);
        }
        let named =
            config.hello.bytes().all(|b| b.is_ascii_alphanumeric() || b".-[]:".contains(&b));
        if !named || config.hello.is_empty() || config.hello.len() > 255 {
            return Err(MailConfigError::BadHello);
        }
        let local = |server: &Server| matches!(&*server.host, "127.0.0.1" | "::1" | "localhost");
        if config.starttls && !cfg!(feature = "starttls") {
            return Err(MailConfigError::NoTls);
        }
        let open = !config.starttls && !config.servers.iter().all(local);
        if config.credentials.is_some() && open {
            return Err(MailConfigError::SecretInTheClear);
        }
        config.width = config.width.max(1);
        let permits = Semaphore::new(config.width);
        Ok(Self { config, reveal, lookups, permits, pool: Arc::default() })
    }

    /// Sends a rendered mail: one attempt, one recipient.
    pub async fn send(&self, mail: &Rendered) -> Delivery {
        let begun = Instant::now();
        let Ok(Ok(_permit)) = within(self.config.timeouts.attempt, self.permits.acquire()).await
        else {
            return Delivery::failed(0, true);
        };
        loop {
            let left = self.config.timeouts.attempt.saturating_sub(begun.elapsed());
            let kept = self.pool.take(self.config.timeouts.idle);
            let was_kept = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                None => match within(left, self.connect()).await {
                    Ok(Ok(connection)) => connection,
                    Ok(Err(delivery)) => return delivery,
                    Err(_late) => return Delivery::failed(0, true),
                },
            };
            let left = self.config.timeouts.attempt.saturating_sub(begun.elapsed());
            let transaction = self.transact(connection, mail, left).await;
            // A kept connection may have been closed by the server while it had no work. Nothing
            // of this message has left, so a fresh connection may take it at once.
            if !(transaction.stale && was_kept) {
                return transaction.delivery;
            }
        }
    }

    async fn transact(
        &self,
        mut connection: Connection,
        mail: &Rendered,
        left: Duration,
    ) -> Transaction {
        let mark = connection.mark();
        let Ok(transaction) = within(left, connection.send(&self.config, mail)).await else {
            // The deadline fell in the middle: where exactly is what the mark is for.
            let delivery =
                if mark.is_sent() { Delivery::uncertain() } else { Delivery::failed(0, true) };
            return Transaction { delivery, reusable: false, stale: false };
        };
        if transaction.reusable {
            if connection.messages < self.config.messages_per_connection {
                Pool::put(&self.pool, connection, self.config.timeouts.idle);
            } else {
                tokio::spawn(connection.close(FAREWELL));
            }
        }
        transaction
    }

    /// A fresh connection to the first relay that lets us in.
    async fn connect(&self) -> Result<Connection, Delivery> {
        let mut last = Delivery::failed(0, true);
        for server in &self.config.servers {
            match Connection::open(&self.config, server).await {
                Ok(connection) => return Ok(connection),
                Err(delivery) => {
                    debug!(port = server.port, code = delivery.detail.code, "Relay not usable.");
                    last = delivery;
                }
            }
        }
        Err(last)
    }

    /// What a mail needs beside its effect.
    fn surroundings(&self, id: EffectId, mail: &hansho_model::Mail) -> Surroundings {
        let language = mail.recipient.language;
        let district = match &mail.content {
            MailContent::Alarm { facts, .. } => facts.district,
            MailContent::Letter(_) => None,
        };
        Surroundings {
            answer_mac: self.lookups.answer_mac(id),
            district: district.and_then(|each| self.lookups.district_name(each, language)),
        }
    }
}

impl Channel for MailChannel {
    fn width(&self) -> usize {
        self.config.width
    }

    fn provider_width(&self) -> usize {
        self.config.provider_width.clamp(1, self.config.width)
    }

    fn provider(&self, effect: &Effect) -> Provider {
        let Effect::Mail(mail) = effect else { return Provider::default() };
        // Of a person who was erased nothing can be told any more; the attempt says so.
        let address = self.reveal.reveal_text(&mail.recipient.address).unwrap_or_default();
        let domain = address.rsplit_once('@').map_or("", |(_local, domain)| domain);
        let domain = domain.to_ascii_lowercase();
        Provider::new(self.config.providers.get(&domain).unwrap_or(&domain))
    }

    async fn deliver(&self, task: Task) -> Delivery {
        let Effect::Mail(mail) = &task.effect else {
            warn!(effect = %task.id, "An effect that is no mail came to the mail channel.");
            return Delivery::failed(0, false);
        };
        let surroundings = self.surroundings(task.id, mail);
        match render(mail, task.id, &*self.reveal, &surroundings) {
            Ok(rendered) => self.send(&rendered).await,
            Err(error) => {
                warn!(effect = %task.id, %error, "The mail cannot be made.");
                Delivery::failed(0, false)
            }
        }
    }
}

/// Connections without work. Never more than the channel's width, as each comes from a permit.
#[derive(Debug, Default)]
struct Pool {
    idle: Mutex<VecDeque<(Instant, Connection)>>,
    sweeping: AtomicBool,
}

impl Pool {
    /// The one that was used last: the others may then grow old and go.
    fn take(&self, idle_max: Duration) -> Option<Connection> {
        let (since, connection) = self.lock().pop_back()?;
        (since.elapsed() < idle_max).then_some(connection)
    }

    fn put(this: &Arc<Self>, connection: Connection, idle_max: Duration) {
        this.lock().push_back((Instant::now(), connection));
        if !this.sweeping.swap(true, Ordering::AcqRel) {
            tokio::spawn(Arc::clone(this).sweep(idle_max));
        }
    }

    /// Closes what has been without work for too long, until nothing is left.
    async fn sweep(self: Arc<Self>, idle_max: Duration) {
        loop {
            tokio::time::sleep(idle_max).await;
            loop {
                let old = {
                    let mut idle = self.lock();
                    match idle.front() {
                        Some((since, _connection)) if since.elapsed() >= idle_max => {
                            idle.pop_front()
                        }
                        Some(_) => None,
                        None => {
                            // Under the lock, so that no `put` falls between the two.
                            self.sweeping.store(false, Ordering::Release);
                            return;
                        }
                    }
                };
                let Some((_since, connection)) = old else { break };
                connection.close(FAREWELL).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Connection)>> {
        // A panic while a queue of connections is pushed or popped leaves a whole queue.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    tokio::time::timeout(limit, step).await
}

/// How long a QUIT may take.
const FAREWELL: Duration = Duration::from_secs(2);
