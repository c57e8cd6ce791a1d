//! The one trait of all doors.

use std::sync::Arc;

use hansho_model::{FrameFault, LoadLevel, Report};
use jiff::{SignedDuration, Timestamp};

use crate::Accounts;

/// Ties a report to the answer that waits for it. Each of a session is greater than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(pub u64);

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// It is in the journal (now, or since an earlier equal one): answer as planned.
    Stored,
    /// It was not stored and will not be: stay silent, so that the device repeats.
    Shed,
}

/// What a session wants done.
#[derive(Debug)]
pub enum Output {
    /// Make this report durable, then call [`Session::handle_durable`].
    Report(Receipt, Box<Report>),
    /// Send these bytes to the device.
    Transmit(Vec<u8>),
    /// Nothing to do before this time, or before more bytes come.
    Idle(Option<Timestamp>),
}

/// Why bytes were dropped without an answer. The connection lives on unless `fatal`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("frame refused: {fault}: {hint}")]
#[non_exhaustive]
pub struct FrameError {
    /// Which rule it broke.
    pub fault: FrameFault,
    /// Where, and how to mend it.
    pub hint: &'static str,
    /// Whether this connection cannot go on.
    pub fatal: bool,
}

impl FrameError {
    /// From its parts.
    #[must_use]
    pub const fn new(fault: FrameFault, hint: &'static str, fatal: bool) -> Self {
        Self { fault, hint, fatal }
    }
}

/// A conversation with one device, as a state machine.
pub trait Session: Send {
    /// Takes bytes off the wire. Any bytes at all are legal input; on datagram transports one call
    /// is one datagram.
    ///
    /// # Errors
    ///
    /// The first fault found. Good frames beside the bad one are still handed out.
    fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), FrameError>;

    /// The report of this receipt was decided about; only now may its answer be queued.
    fn handle_durable(&mut self, now: Timestamp, receipt: Receipt, durable: Durable);

    /// The time that `Output::Idle` named has come.
    fn handle_timeout(&mut self, now: Timestamp);

    /// The next thing to do; to be drained to `Idle` after every `handle_*`.
    fn poll_output(&mut self) -> Output;

    /// Whether the connection should be closed once all outputs are drained: a time limit of
    /// [`Limits`] ran out, or the protocol says so. To be asked after every `handle_*`.
    fn is_over(&self) -> bool {
        false
    }

    /// The device whose connection this is, once that is known: then an older connection of the
    /// same device is closed. `None` where one connection may speak for many. To be asked after
    /// every `handle_bytes`.
    fn identity(&self) -> Option<&str> {
        None
    }

    /// A newer connection of the same device has come; this one is closed once all outputs are
    /// drained. For protocols that say so to the device.
    fn handle_takeover(&mut self, _now: Timestamp) {}

    /// The peer closed the connection, or the line broke. For protocols that tell the two apart.
    fn handle_closed(&mut self, _now: Timestamp) {}

    /// What the house gives up from here on. Told at the beginning of a conversation, too, where
    /// it is not calm; a connection that got one of the last places is told that only alarms are
    /// heard.
    fn handle_load(&mut self, _now: Timestamp, _load: LoadLevel) {}

    /// Whether bytes should be read now. A device that sends nothing but telemetry is not read
    /// while telemetry is refused: its own flow control holds it back.
    fn wants_bytes(&self) -> bool {
        true
    }
}

/// How bytes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, serial: bytes in order, cut anywhere.
    Stream,
    /// UDP: one call of [`Session::handle_bytes`] is one datagram.
    Datagram,
}

/// Time limits of a stream; a datagram has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the opening of the connection to its first whole frame.
    pub first_frame: SignedDuration,
    /// From the first byte of a frame to its last.
    pub unfinished: SignedDuration,
    /// From one whole frame to the next. Long, as many devices keep their link open between daily
    /// tests.
    pub idle: SignedDuration,
}

impl Limits {
    /// Of trackers: 60 seconds, 60 seconds, 30 minutes; they report every 3 to 10 minutes.
    pub const TRACKERS: Self = Self {
        first_frame: SignedDuration::from_secs(60),
        unfinished: SignedDuration::from_secs(60),
        idle: SignedDuration::from_mins(30),
    };
}

impl Default for Limits {
    /// 60 seconds, 60 seconds, 26 hours: the slowest class of supervision reports every 25 hours.
    fn default() -> Self {
        Self {
            first_frame: SignedDuration::from_secs(60),
            unfinished: SignedDuration::from_secs(60),
            idle: SignedDuration::from_hours(26),
        }
    }
}

/// What a session is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The devices we know.
    pub accounts: Arc<Accounts>,
    /// How bytes arrive.
    pub transport: Transport,
    /// Time limits.
    pub limits: Limits,
    /// When the connection was opened.
    pub opened_at: Timestamp,
}

impl Setup {
    /// From its parts.
    #[must_use]
    pub const fn new(
        accounts: Arc<Accounts>,
        transport: Transport,
        limits: Limits,
        opened_at: Timestamp,
    ) -> Self {
        Self { accounts, transport, limits, opened_at }
    }
}
