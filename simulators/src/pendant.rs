//! A home unit with its pendants, over TCP or UDP: sends, waits for the answer, repeats with the
//! same number, sets its clock when it is told to.
//!
//! ```no_run
//! # async fn run() -> Result<(), hansho_simulators::pendant::PendantError> {
//! use hansho_simulators::pendant::{Link, Pendant};
//! let mut pendant = Pendant::new(([127, 0, 0, 1], 5009).into(), Link::Tcp, "4901", None);
//! let delivery = pendant.press(3).await?;
//! println!("acknowledged after {} tries", delivery.tries);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use crate::devices::dc09::{Answer, Content, Key, Unit, read_answer};

/// Longest answer that is read.
const ANSWER_SIZE_MAX: usize = 4_105;
/// Latencies that are kept for percentiles; later ones only count.
const LATENCIES_MAX: usize = 1_000_000;

/// How a home unit is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// One connection, kept open.
    Tcp,
    /// Datagrams.
    Udp,
}

/// How patient a home unit is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Wait for an answer; 20 s is the standard's, 5 to 60 s may be set.
    pub answer_timeout: Duration,
    /// Tries of one message before it is given up.
    pub tries_max: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer_timeout: Duration::from_secs(20), tries_max: 4 }
    }
}

/// A message that was acknowledged.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number.
    pub sequence: u16,
    /// How often it was sent.
    pub tries: u32,
    /// From its first sending to its acknowledgement.
    pub took: Duration,
    /// The acknowledgement as it came.
    pub answer: Vec<u8>,
}

/// Why a message was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PendantError {
    /// Nobody answered.
    #[error("no answer to message {sequence:04} after {tries} tries; is the receiver up?")]
    NoAnswer {
        /// Number of the message.
        sequence: u16,
        /// How often it was sent.
        tries: u32,
    },
    /// DUH: the receiver cannot process it.
    #[error("message {sequence:04} was answered DUH; is account and key registered there?")]
    Refused {
        /// Number of the message.
        sequence: u16,
    },
    /// NAK even after the clock was set.
    #[error("message {sequence:04} was answered NAK although the clock was set from it")]
    Clock {
        /// Number of the message.
        sequence: u16,
    },
    /// The receiver cannot be reached.
    #[error("no link to {address}")]
    Link {
        /// Address that was tried.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Counts of what a home unit did.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Frames sent, repeats included.
    pub sent: u64,
    /// Repeats among them.
    pub repeated: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages answered DUH.
    pub refused: u64,
    /// NAKs, each followed by a set clock.
    pub clock_set: u64,
    /// Messages given up.
    pub unanswered: u64,
    /// Times from first sending to acknowledgement, at most a million.
    pub latencies: Vec<Duration>,
}

impl Stats {
    /// Takes another unit's counts in.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.repeated += other.repeated;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.clock_set += other.clock_set;
        self.unanswered += other.unanswered;
        let room = LATENCIES_MAX.saturating_sub(self.latencies.len());
        self.latencies.extend(other.latencies.iter().take(room));
    }

    /// The latency that so many per mille of the messages did not exceed; `None` without messages.
    #[must_use]
    pub fn latency_at(&self, per_mille: usize) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last * per_mille.min(1_000)).div_ceil(1_000)).copied()
    }
}

type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A home unit.
pub struct Pendant {
    /// What it puts around each message; may be changed to play a unit that deviates.
    pub unit: Unit,
    /// Extended data sent with each event, letter first, such as `X140E53.26`.
    pub xdata: Vec<String>,
    /// How patient it is.
    pub patience: Patience,
    address: SocketAddr,
    link: Link,
    open: Option<Open>,
    sequence: u16,
    clock: Clock,
    clock_ahead: SignedDuration,
    stats: Stats,
}

impl fmt::Debug for Pendant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pendant")
            .field("account", &self.unit.account)
            .field("address", &self.address)
            .field("link", &self.link)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// An open link, and bytes that came without making an answer yet.
enum Open {
    Tcp(TcpStream, Vec<u8>),
    Udp(UdpSocket),
}

impl Pendant {
    /// A unit of this account that reports to `address`, in the clear without a key.
    #[must_use]
    pub fn new(address: SocketAddr, link: Link, account: &str, key: Option<Key>) -> Self {
        Self {
            unit: Unit::new(account, key),
            xdata: Vec::new(),
            patience: Patience::default(),
            address,
            link,
            open: None,
            sequence: 0,
            clock: Box::new(system_clock),
            clock_ahead: SignedDuration::ZERO,
            stats: Stats::default(),
        }
    }

    /// With another clock, for a unit whose clock is wrong or a scene in virtual time.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// With other patience.
    #[must_use]
    pub const fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// What it did so far.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Number of its last message; 0 before the first.
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        self.sequence
    }

    /// Lets the next message have the number after this; a unit that lost power begins at 0 again.
    pub const fn set_sequence(&mut self, sequence: u16) {
        self.sequence = sequence;
    }

    /// Pendant number `zone` is pressed.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged.
    pub async fn press(&mut self, zone: u16) -> Result<Delivery, PendantError> {
        self.send(&Content::press(zone)).await
    }

    /// The user takes pendant number `zone`'s press back.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged.
    pub async fn restore(&mut self, zone: u16) -> Result<Delivery, PendantError> {
        let content = Content::ContactId { qualifier: 3, code: 101, partition: 1, zone };
        self.send(&content).await
    }

    /// Supervision.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged.
    pub async fn link_test(&mut self) -> Result<Delivery, PendantError> {
        self.send(&Content::LinkTest).await
    }

    /// Sends a new message and repeats it, with its number, until it is answered or given up.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged.
    pub async fn send(&mut self, content: &Content) -> Result<Delivery, PendantError> {
        let sequence = if *content == Content::LinkTest {
            0
        } else {
            self.sequence = if self.sequence >= 9_999 { 1 } else { self.sequence + 1 };
            self.sequence
        };
        self.deliver(sequence, content).await
    }

    /// Sends the last message once more under its old number, as a unit does whose acknowledgement
    /// was lost.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged.
    pub async fn repeat(&mut self, content: &Content) -> Result<Delivery, PendantError> {
        self.stats.repeated += 1;
        self.deliver(self.sequence, content).await
    }

    /// Cuts the link; the next message opens another.
    pub fn hang_up(&mut self) {
        self.open = None;
    }

    async fn deliver(
        &mut self,
        sequence: u16,
        content: &Content,
    ) -> Result<Delivery, PendantError> {
        let begun = Instant::now();
        let mut clock_was_set = false;
        let mut fault = None;
        for tries in 1..=self.patience.tries_max {
            let at = self.now();
            let frame = self.unit.frame(sequence, content, &self.xdata, at);
            self.stats.sent += 1;
            self.stats.repeated += u64::from(tries > 1);
            let bytes = match self.exchange(&frame, sequence).await {
                Ok(Some(answer)) => answer,
                Ok(None) => continue,
                Err(source) => {
                    self.open = None;
                    fault = Some(source);
                    continue;
                }
            };
            match read_answer(&bytes, &self.unit.account, sequence) {
                Some(Answer::Ack) => {
                    let took = begun.elapsed();
                    self.stats.acknowledged += 1;
                    if self.stats.latencies.len() < LATENCIES_MAX {
                        self.stats.latencies.push(took);
                    }
                    return Ok(Delivery { sequence, tries, took, answer: bytes });
                }
                Some(Answer::Duh) => {
                    self.stats.refused += 1;
                    return Err(PendantError::Refused { sequence });
                }
                Some(Answer::Nak { .. }) if clock_was_set => {
                    return Err(PendantError::Clock { sequence });
                }
                Some(Answer::Nak { at: theirs }) => {
                    clock_was_set = true;
                    self.stats.clock_set += 1;
                    let theirs = theirs.unwrap_or(at);
                    self.clock_ahead = theirs.duration_since((self.clock)());
                }
                None => {}
            }
        }
        self.stats.unanswered += 1;
        match fault {
            Some(source) => Err(PendantError::Link { address: self.address, source }),
            None => Err(PendantError::NoAnswer { sequence, tries: self.patience.tries_max }),
        }
    }

    fn now(&self) -> Timestamp {
        let clock = (self.clock)();
        clock.saturating_add(self.clock_ahead).unwrap_or(clock)
    }

    /// Sends a frame and waits for its answer; `None` when none came in time.
    async fn exchange(&mut self, frame: &[u8], sequence: u16) -> std::io::Result<Option<Vec<u8>>> {
        if self.open.is_none() {
            self.open = Some(connect(self.address, self.link).await?);
        }
        let Some(open) = &mut self.open else { return Ok(None) };
        open.send(frame).await?;
        let account = self.unit.account.clone();
        let wait = timeout(self.patience.answer_timeout, open.receive(&account, sequence));
        match wait.await {
            Ok(answer) => answer.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }
}

async fn connect(address: SocketAddr, link: Link) -> std::io::Result<Open> {
    match link {
        Link::Tcp => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Open::Tcp(stream, Vec::new()))
        }
        Link::Udp => {
            let any = match address {
                SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            Ok(Open::Udp(socket))
        }
    }
}

impl Open {
    async fn send(&mut self, frame: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.write_all(frame).await,
            Self::Udp(socket) => socket.send(frame).await.map(drop),
        }
    }

    /// The next answer to this message; answers to earlier ones are passed over.
    async fn receive(&mut self, account: &str, sequence: u16) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut buffer = vec![0; ANSWER_SIZE_MAX];
                loop {
                    let count = socket.recv(&mut buffer).await?;
                    let bytes = buffer.get(..count).unwrap_or_default();
                    if read_answer(bytes, account, sequence).is_some() {
                        return Ok(bytes.to_vec());
                    }
                }
            }
            Self::Tcp(stream, rest) => loop {
                while let Some(end) = frame_end(rest) {
                    let bytes: Vec<u8> = rest.drain(..end).collect();
                    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
                    let bytes = bytes.get(start..).unwrap_or_default();
                    if read_answer(bytes, account, sequence).is_some() {
                        return Ok(bytes.to_vec());
                    }
                }
                if rest.len() > ANSWER_SIZE_MAX {
                    rest.clear();
                }
                if stream.read_buf(rest).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            },
        }
    }
}

/// Just past the CR that ends the first frame. A raw CRC's two bytes are passed over.
fn frame_end(bytes: &[u8]) -> Option<usize> {
    let start = bytes.iter().position(|byte| *byte == b'\n')?;
    let after = bytes.iter().enumerate().skip(start + 3).find(|(_at, byte)| **byte == b'\r');
    after.map(|(at, _cr)| at + 1)
}

#[expect(clippy::disallowed_methods, reason = "a simulated device has a clock of its own")]
fn system_clock() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests;
