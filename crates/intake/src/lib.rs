//! Listeners that drive sessions: bytes in, reports to the core, answers out after the receipt.
//!
//! A listener owns a socket and gives every connection a [`Session`] of its own. It knows neither
//! the journal nor the core: it hands reports to a [`Sink`] and learns from it when one is durable.
//! One session's fault closes that session; its neighbours never notice.

mod conversation;
mod foreign;
mod identities;
mod quic;
pub mod serial;
mod tcp;
mod tls;
mod turnstile;
mod udp;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hansho_model::{Door, FrameFault, LoadLevel, Report};
use hansho_protocols::{Durable, Session};
use jiff::Timestamp;
use tokio::sync::watch;

pub use foreign::{ForeignBroker, ForeignTopic, follow_broker};
pub use identities::Identities;
pub use quic::{Crews, Pressed, QuicDoor, QuicIdentity, serve_quic};
pub use tcp::{TcpLimits, serve_tcp};
pub use tls::{HANDSHAKE_TIME_MAX, TlsError, TlsIdentity, serve_tls};
pub use turnstile::Turnstile;
pub use udp::{UDP_IN_FLIGHT_MAX, serve_udp};

/// The answer to a report, when it is known.
pub type Decided = Pin<Box<dyn Future<Output = Durable> + Send>>;

/// Where reports go.
pub trait Sink: Send + Sync + 'static {
    /// Takes a report. The future ends when the report is durable or will never be; it is to be
    /// driven to its end though nobody wants the answer any more, as what became of the report is
    /// accounted for there.
    fn take(self: Arc<Self>, peer: SocketAddr, received_at: Timestamp, report: Report) -> Decided;

    /// Bytes were dropped without an answer, for this reason.
    fn refuse(&self, door: Door, fault: FrameFault);

    /// A session panicked and was closed.
    fn broken(&self, door: Door);

    /// A connection was closed because a newer one of the same device came.
    fn taken_over(&self, door: Door);

    /// The clock of the shell.
    fn now(&self) -> Timestamp;

    /// What the house gives up under load, as it changes.
    fn load(&self) -> watch::Receiver<LoadLevel> {
        watch::channel(LoadLevel::CALM).1
    }

    /// Telemetry was held back for so long at a door before its turn came.
    fn held_back(&self, _waited: Duration) {}

    /// These bytes are about to be written to a peer, before any encryption: the mark by which a
    /// test proves that nothing is answered before it is durable, where no trace can read it.
    fn answering(&self, _door: Door, _bytes: &[u8]) {}
}

/// Makes a session for a new connection or datagram.
pub type Sessions = Arc<dyn Fn() -> Box<dyn Session> + Send + Sync>;

/// A door: what to listen for, and for whom.
#[derive(Clone)]
pub struct Entrance {
    /// Its name.
    pub door: Door,
    /// Makes sessions.
    pub sessions: Sessions,
    /// Takes reports.
    pub sink: Arc<dyn Sink>,
    /// Whose connections are open; one for all entrances by which the same devices come.
    pub identities: Arc<Identities>,
    /// Where telemetry waits for its turn; one for the whole house.
    pub turnstile: Turnstile,
}

impl std::fmt::Debug for Entrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entrance({})", self.door)
    }
}
