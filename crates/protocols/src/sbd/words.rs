//! What the driver is asked, and what it says.

use hansho_model::Private;
use jiff::{SignedDuration, Timestamp};

use super::answer::MoStatus;
use crate::Receipt;

/// What a driver is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Longest message that this modem sends, bytes: [`super::MO_SIZE_MAX`] of a 9602 or 9603,
    /// [`super::MO_SIZE_MAX_9523`] of a 9522B or 9523.
    pub mo_size_max: usize,
    /// From one look into the mailbox to the next; rings can be missed. 15 to 60 minutes, and each
    /// look is paid for.
    pub mailbox_check: SignedDuration,
    /// Random: by it retries of several modems do not meet.
    pub seed: u64,
}

impl Setup {
    /// For a 9602 or 9603, with a look into the mailbox every 30 minutes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let mailbox_check = SignedDuration::from_mins(30);
        Self { mo_size_max: super::MO_SIZE_MAX, mailbox_check, seed }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// By which its outcome is told; no two that wait have the same.
    pub id: u64,
    /// The message.
    pub bytes: Private<Vec<u8>>,
    /// Given up when it has not begun to go by then. Without it, tried for ever.
    pub until: Option<Timestamp>,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The modem's IMEI, when it says one.
    pub imei: Option<String>,
    /// The message's number. With the IMEI it tells a repeat from a new message: the modem hands
    /// the same one out again until it was cleared.
    pub mtmsn: Option<u16>,
    /// The message, as far as it came.
    pub bytes: Private<Vec<u8>>,
    /// Its checksum was wrong, or it did not come whole, three times; or the modem lost it before it
    /// could be read again.
    pub damaged: bool,
}

/// Why a message is not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There is nothing to send.
    #[error("the message has no bytes; the modem takes 1 or more")]
    Empty,
    /// It does not fit.
    #[error("the message has {size} bytes; the modem takes {limit}")]
    TooLong {
        /// Bytes of the message.
        size: usize,
        /// Most that the modem takes.
        limit: usize,
    },
    /// Too many wait.
    #[error("{limit} messages wait for the modem already; wait for an outcome")]
    Full {
        /// Most that may wait.
        limit: usize,
    },
}

/// How it is with the modem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no port.
    Absent,
    /// The port is open; the modem has not answered yet.
    Probing,
    /// It is set up and says what stands in its buffers.
    Ready,
    /// The port is open, but the modem does not answer, or not as one of this kind.
    Silent,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway has it.
    Done,
    /// It did not go and will not be tried again.
    Failed(Failure),
    /// It may have gone: nobody knows.
    Uncertain,
}

/// Why a message did not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The gateway or the modem said so, for good.
    Refused(MoStatus),
    /// The modem does not take messages of its length.
    BadLength,
    /// Its time was over before it could go.
    Expired,
    /// The driver was stopped before it could go.
    Stopped,
}

/// Something that a person must see to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The modem says that it is broken.
    HardwareFailure {
        /// Which part.
        part: u32,
        /// What is wrong with it.
        error: u32,
    },
    /// A session ended so: contract, lock, antenna or radio.
    Session(MoStatus),
}

/// What the driver says to the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How it is with the modem, when that changes.
    State(State),
    /// Make this message durable, then call [`super::Sbd::handle_durable`].
    Message(Receipt, Box<Incoming>),
    /// What became of a message from us. Each that was taken gets one.
    Sent(u64, Outcome),
    /// A message did not go yet, and is tried again.
    Waiting {
        /// Which.
        id: u64,
        /// Why; `None` when the modem did not say.
        status: Option<MoStatus>,
        /// When.
        until: Timestamp,
    },
    /// Bars of signal, 0 to 5, when they change.
    Signal(u8),
    /// Whether the network can be reached, when that changes.
    Service(bool),
    /// A person must see to it.
    Trouble(Trouble),
}

/// What the driver wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write these bytes to the port.
    Transmit(Vec<u8>),
    /// Tell this to the house.
    Say(Event),
    /// Close the port and call [`super::Sbd::handle_closed`]; then open it again, unless the driver
    /// was stopped.
    Close,
    /// Nothing to do before this time, or before more bytes come.
    Idle(Option<Timestamp>),
}
