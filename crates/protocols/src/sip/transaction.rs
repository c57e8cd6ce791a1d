//! Transactions of RFC 3261 and 6026: repeats over UDP, and the ends of everything.

use std::net::SocketAddr;

use hansho_model::CallRef;
use jiff::{SignedDuration, Timestamp};

use super::message::Message;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
}

impl SipTransport {
    /// As `Via` writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// Where bytes came from, and where answers go. A TCP connection is one flow for as long as it
/// lives; over UDP each peer is one, and `id` is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Transport.
    pub transport: SipTransport,
    /// Our address.
    pub local: SocketAddr,
    /// Theirs.
    pub peer: SocketAddr,
    /// Tells connections apart.
    pub id: u64,
}

/// Where to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// Back on a flow.
    Flow(Flow),
    /// To an address: over UDP from our socket, over TCP on a connection to be opened, or on one
    /// that was opened to it before.
    Address(SipTransport, SocketAddr),
}

impl Hop {
    /// How it travels.
    #[must_use]
    pub const fn transport(&self) -> SipTransport {
        match self {
            Self::Flow(flow) => flow.transport,
            Self::Address(transport, _) => *transport,
        }
    }

    pub(super) const fn is_reliable(&self) -> bool {
        matches!(self.transport(), SipTransport::Tcp)
    }

    pub(super) const fn address(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.peer,
            Self::Address(_, address) => *address,
        }
    }
}

/// Times of the transaction layer and of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// First repeat.
    pub t1: SignedDuration,
    /// Longest time between two repeats.
    pub t2: SignedDuration,
    /// How long a message may stay in the network.
    pub t4: SignedDuration,
    /// A ringing call is told again that it rings.
    pub refresh: SignedDuration,
    /// A seat's phone that was rung for one answer is given up.
    pub answer: SignedDuration,
    /// A phone that did not take a call that rings everywhere is rung again.
    pub again: SignedDuration,
    /// The longest that a call may ring.
    pub ringing: SignedDuration,
    /// The longest that a call may last.
    pub talking: SignedDuration,
    /// A stream's message must be whole.
    pub unfinished: SignedDuration,
}

impl Default for Timers {
    /// RFC 3261's 0.5, 4 and 5 s; 180 each minute, as proxies give up after three; 20 s for one
    /// phone; half an hour of ringing, as a disaster's queue is long; 12 hours of talk.
    fn default() -> Self {
        Self {
            t1: SignedDuration::from_millis(500),
            t2: SignedDuration::from_secs(4),
            t4: SignedDuration::from_secs(5),
            refresh: SignedDuration::from_secs(60),
            answer: SignedDuration::from_secs(20),
            again: SignedDuration::from_secs(10),
            ringing: SignedDuration::from_mins(30),
            talking: SignedDuration::from_hours(12),
            unfinished: SignedDuration::from_secs(32),
        }
    }
}

impl Timers {
    /// 64 * T1: after that nobody waits any more.
    pub(super) fn long(&self) -> SignedDuration {
        self.t1.saturating_mul(64)
    }

    /// The time to the repeat after one that came after `last`.
    pub(super) fn next(&self, last: SignedDuration) -> SignedDuration {
        last.saturating_mul(2).min(self.t2)
    }
}

/// A time later; the end of the calendar is never reached.
pub(super) fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Repeats of bytes, further and further apart.
#[derive(Clone, Debug)]
pub(super) struct Repeat {
    pub(super) at: Timestamp,
    wait: SignedDuration,
    bytes: Vec<u8>,
}

impl Repeat {
    pub(super) fn new(now: Timestamp, timers: &Timers, bytes: Vec<u8>) -> Self {
        Self { at: after(now, timers.t1), wait: timers.t1, bytes }
    }

    /// The bytes when their time has come. `doubled` is for INVITE, whose repeats know no T2.
    pub(super) fn due(
        &mut self,
        now: Timestamp,
        timers: &Timers,
        doubled: bool,
    ) -> Option<Vec<u8>> {
        if now < self.at {
            return None;
        }
        self.wait = if doubled { self.wait.saturating_mul(2) } else { timers.next(self.wait) };
        self.at = after(now, self.wait);
        Some(self.bytes.clone())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    /// No final response yet.
    Open,
    /// Answered with 300 or more, or not an INVITE and answered.
    Completed,
    /// An INVITE answered with 200.
    Accepted,
    /// The ACK is there.
    Confirmed,
}

/// A request that came, and what was answered.
#[derive(Debug)]
pub(super) struct Server {
    /// The request without its body: answers echo its headers.
    pub(super) request: Message,
    pub(super) flow: Flow,
    pub(super) hop: Hop,
    state: ServerState,
    /// Last response.
    last: Option<Vec<u8>>,
    repeat: Option<Repeat>,
    ends_at: Option<Timestamp>,
}

impl Server {
    pub(super) fn new(
        now: Timestamp,
        mut request: Message,
        flow: Flow,
        hop: Hop,
        timers: &Timers,
    ) -> Self {
        request.body = Vec::new();
        // Who sent anything but an INVITE waits no longer than that; an INVITE waits with its call.
        let ends_at = (request.method() != Some("INVITE")).then(|| after(now, timers.long()));
        Self { request, flow, hop, state: ServerState::Open, last: None, repeat: None, ends_at }
    }

    pub(super) fn is_invite(&self) -> bool {
        self.request.method() == Some("INVITE")
    }

    /// Whether a final response was given.
    pub(super) fn is_final(&self) -> bool {
        self.state != ServerState::Open
    }

    /// Notes a response and gives what to send; a second final response is none.
    pub(super) fn respond(
        &mut self,
        now: Timestamp,
        status: u16,
        bytes: Vec<u8>,
        timers: &Timers,
    ) -> Option<Vec<u8>> {
        if self.is_final() {
            return None;
        }
        self.last = Some(bytes.clone());
        if status < 200 {
            return Some(bytes);
        }
        let reliable = self.hop.is_reliable();
        self.ends_at = Some(after(now, timers.long()));
        if !self.is_invite() {
            self.state = ServerState::Completed;
            if reliable {
                self.ends_at = Some(now);
            }
        } else if status < 300 {
            self.state = ServerState::Accepted;
        } else {
            self.state = ServerState::Completed;
            self.repeat = (!reliable).then(|| Repeat::new(now, timers, bytes.clone()));
        }
        Some(bytes)
    }

    /// The request came again: what was last said of it.
    pub(super) fn again(&self) -> Option<Vec<u8>> {
        match self.state {
            ServerState::Open | ServerState::Completed => self.last.clone(),
            // The call itself repeats its 200.
            ServerState::Accepted | ServerState::Confirmed => None,
        }
    }

    /// An ACK for a response of 300 or more.
    pub(super) fn acknowledge(&mut self, now: Timestamp, timers: &Timers) {
        if self.state != ServerState::Completed {
            return;
        }
        self.state = ServerState::Confirmed;
        self.repeat = None;
        let stay = if self.hop.is_reliable() { SignedDuration::ZERO } else { timers.t4 };
        self.ends_at = Some(after(now, stay));
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let repeat = self.repeat.as_ref().map(|repeat| repeat.at);
        [repeat, self.ends_at].into_iter().flatten().min()
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|at| now >= at)
    }

    pub(super) fn due(&mut self, now: Timestamp, timers: &Timers) -> Option<Vec<u8>> {
        self.repeat.as_mut()?.due(now, timers, false)
    }
}

/// Why we sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To ring a phone.
    Ring(CallRef, u64),
    /// To pass on what the other side asked; its transaction waits for the answer.
    Relay(String),
    /// To end something: whatever is answered is right.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientState {
    /// No response yet.
    Calling,
    /// A provisional one.
    Proceeding,
    /// A final one.
    Completed,
}

/// A request that we sent.
#[derive(Debug)]
pub(super) struct Client {
    /// The request without its body: ACK and CANCEL repeat its headers.
    pub(super) request: Message,
    pub(super) hop: Hop,
    pub(super) purpose: Purpose,
    pub(super) state: ClientState,
    /// What repeats of a final response are answered with.
    pub(super) ack: Option<(Hop, Vec<u8>)>,
    repeat: Option<Repeat>,
    pub(super) ends_at: Option<Timestamp>,
}

/// What a response is to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// News.
    New,
    /// Nothing new.
    Again,
}

impl Client {
    pub(super) fn new(
        now: Timestamp,
        request: &Message,
        hop: Hop,
        purpose: Purpose,
        timers: &Timers,
    ) -> Self {
        let bytes = request.encode();
        let repeat = (!hop.is_reliable()).then(|| Repeat::new(now, timers, bytes));
        let mut request = request.clone();
        request.body = Vec::new();
        let ends_at = Some(after(now, timers.long()));
        Self { request, hop, purpose, state: ClientState::Calling, ack: None, repeat, ends_at }
    }

    pub(super) fn is_invite(&self) -> bool {
        self.request.method() == Some("INVITE")
    }

    pub(super) fn heard(&mut self, now: Timestamp, status: u16, timers: &Timers) -> Heard {
        if self.state == ClientState::Completed {
            return Heard::Again;
        }
        if status < 200 {
            if self.is_invite() {
                self.repeat = None;
                match self.purpose {
                    // From here on the call decides how long the phone may ring.
                    Purpose::Ring(..) => self.ends_at = None,
                    // Once: the other side may not put off its answer for ever.
                    Purpose::Relay(_) if self.state == ClientState::Calling => {
                        self.ends_at = Some(after(now, timers.long()));
                    }
                    Purpose::Relay(_) | Purpose::End => {}
                }
            }
            self.state = ClientState::Proceeding;
            return Heard::New;
        }
        self.state = ClientState::Completed;
        self.repeat = None;
        let stay = match (self.hop.is_reliable(), self.is_invite(), status) {
            // Repeats of a 200 come from the phone itself, over TCP as well.
            (_, true, 200..=299) => timers.long(),
            (true, ..) => SignedDuration::ZERO,
            (false, true, _) => timers.long(),
            (false, false, _) => timers.t4,
        };
        self.ends_at = Some(after(now, stay));
        Heard::New
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let repeat = self.repeat.as_ref().map(|repeat| repeat.at);
        [repeat, self.ends_at].into_iter().flatten().min()
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|at| now >= at)
    }

    pub(super) fn due(&mut self, now: Timestamp, timers: &Timers) -> Option<Vec<u8>> {
        let invite = self.is_invite();
        self.repeat.as_mut()?.due(now, timers, invite)
    }
}
