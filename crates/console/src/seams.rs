//! The seams to the rest of the house: what the engine hands in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hansho_core::State;
use hansho_model::{Input, Lane, Receipt, Recorded, Refusal, Reveal, Sealed, Seq, Token};
use jiff::Timestamp;

use crate::accounts::{Accounts, ApiToken};
use crate::limits::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, HEAD_TIME_MAX};
use crate::view::Accounting;

/// Events after a number, as the stream needs them.
#[derive(Debug)]
pub enum Tail {
    /// These follow; empty when nothing does yet.
    Events(Vec<Arc<Recorded>>),
    /// Too old for memory: show the whole state, then go on from its number.
    Behind,
}

/// Reads of the replica: a state folded from committed events only.
pub trait Reads: Send + Sync + 'static {
    /// Calls `read` with the replica's state. Short; never over an await.
    fn with_state(&self, read: &mut dyn FnMut(&State));

    /// Committed events after `after`, at most `limit`.
    fn tail(&self, after: Seq, limit: usize) -> Tail;

    /// The last event that is durable: what anybody was acknowledged is at or before it. The
    /// replica follows a moment later.
    fn durable(&self) -> Seq {
        let head = self.head();
        *head.borrow()
    }

    /// The replica's last event; changes when there is a new one.
    fn head(&self) -> tokio::sync::watch::Receiver<Seq>;

    /// The first event of the journal that could not be folded: the core started degraded and
    /// what is shown is incomplete from there.
    fn degraded_from(&self) -> Option<Seq> {
        None
    }
}

/// What an asker hears.
pub type Answered = Pin<Box<dyn Future<Output = Result<Receipt, Refusal>> + Send>>;

/// Inputs to the core.
pub trait Submit: Send + Sync + 'static {
    /// Queues an input; the answer comes when it is durable or refused. `None` when the lane is
    /// full or the core is stopping: not taken, ask again.
    fn submit(&self, lane: Lane, input: Input) -> Option<Answered>;
}

/// Seals what people type and makes keyed tokens. The vault implements it beside [`Reveal`].
pub trait Seal: Send + Sync + 'static {
    /// Seals words typed at the console. Blocks for a short write of the key; called off the
    /// async threads. `None` when the vault cannot: nothing is taken then.
    fn seal(&self, clear: &[u8]) -> Option<Sealed>;

    /// Keyed hash; `purpose` keeps equal values of different purposes apart.
    fn token(&self, purpose: &'static str, clear: &[u8]) -> Token;
}

/// What an answer page's route hears: status and a whole HTML page.
pub type Page = Pin<Box<dyn Future<Output = (u16, String)> + Send>>;

/// The public answer page. A mail scanner may fetch every link: only `answer` records.
pub trait Answers: Send + Sync + 'static {
    /// The page behind a link. Records nothing.
    fn page(&self, token: &str) -> (u16, String);

    /// Records what was posted; the page comes when it is durable.
    fn answer(&self, token: &str, form: &[u8]) -> Page;
}

/// What the public may read of notices. Open to all: nothing in it is personal.
pub trait PublicAlerts: Send + Sync + 'static {
    /// The feed of live alerts (Atom); `None` before the first start.
    fn feed(&self) -> Option<String>;

    /// The alert of this identifier (CAP 1.2); `None` when there is none, or it is not public.
    fn alert(&self, identifier: &str) -> Option<String>;
}

/// The clock, read at the edge.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What came in at each door.
pub type Accountings = Arc<dyn Fn() -> Vec<Accounting> + Send + Sync>;

/// Text of `GET /metrics`.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Settings of the console.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a session lasts; 1 minute to 24 hours. A shift is 12 to 24 hours.
    pub session_time: Duration,
    /// Whether the cookie is for TLS only; set it whenever the console is reached by HTTPS.
    pub secure_cookie: bool,
    /// A request's head must be complete within this; also ends idle connections.
    pub request_head_time: Duration,
    /// Connections at once; further ones are closed at once.
    pub connections_max: usize,
    /// Connections at once from one address; further ones are closed at once.
    pub connections_per_address_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_time: Duration::from_secs(12 * 3_600),
            secure_cookie: false,
            request_head_time: HEAD_TIME_MAX,
            connections_max: CONNECTIONS_MAX,
            connections_per_address_max: CONNECTIONS_PER_ADDRESS_MAX,
        }
    }
}

/// All that the console works with.
pub struct Console {
    /// Reads.
    pub reads: Arc<dyn Reads>,
    /// Commands.
    pub submit: Arc<dyn Submit>,
    /// Opens sealed values.
    pub reveal: Arc<dyn Reveal>,
    /// Seals.
    pub seal: Arc<dyn Seal>,
    /// Answer page.
    pub answers: Arc<dyn Answers>,
    /// What the public may read.
    pub public: Arc<dyn PublicAlerts>,
    /// Who may log in.
    pub accounts: Accounts,
    /// Bearer tokens.
    pub tokens: Vec<ApiToken>,
    /// Accounting of the doors.
    pub accounting: Accountings,
    /// Metrics.
    pub metrics: Metrics,
    /// Clock.
    pub clock: Clock,
    /// Settings.
    pub settings: Settings,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("accounts", &self.accounts)
            .field("tokens", &self.tokens.len())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
