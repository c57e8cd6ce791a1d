//! The phone on a dispatcher's desk: rings, is answered or not, hears the other side hang up.
//!
//! One port, UDP and TCP. It takes several calls at a time, as no real phone would: what rings at a
//! seat is not its business.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::caller::{branch, token};
use crate::devices::sip::{GIVEN_UP, Message, T1, T2, sdp};
use crate::line::SIZE_MAX;

/// What a phone does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Rings for so long, then is answered.
    Answer(Duration),
    /// Rings until the caller gives up.
    RingOn,
    /// Refuses: 486 busy, 480 away, 603 declined.
    Refuse(u16),
    /// Says nothing, as if it were unplugged.
    Silent,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It rings.
    Ringing,
    /// Answered; the other side has not confirmed it yet.
    Answered,
    /// The two can speak.
    Connected,
    /// The other side gave up before the answer.
    Cancelled,
    /// The phone refused it.
    Refused,
    /// The other side hung up.
    HungUpThere,
    /// The phone hung up.
    HungUp,
    /// The other side never confirmed the answer, or never took the end.
    Lost,
}

/// A change of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Call-ID.
    pub call: String,
    /// How far it has come.
    pub stage: Stage,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.stage {
            Stage::Ringing => "rings",
            Stage::Answered => "answered",
            Stage::Connected => "connected",
            Stage::Cancelled => "cancelled there",
            Stage::Refused => "refused",
            Stage::HungUpThere => "hung up there",
            Stage::HungUp => "hung up here",
            Stage::Lost => "lost",
        };
        write!(f, "{} {word}", self.call)
    }
}

/// A phone at work; it is unplugged when dropped.
#[derive(Debug)]
pub struct Phone {
    address: SocketAddr,
    seen: Arc<Mutex<BTreeMap<String, Stage>>>,
    changes: mpsc::Receiver<Change>,
    _tasks: JoinSet<()>,
}

impl Phone {
    /// Plugs it in. `talk` is how long it speaks before it hangs up; without it the caller does.
    ///
    /// # Errors
    ///
    /// When the address is taken.
    pub async fn start(
        address: SocketAddr,
        manner: Manner,
        talk: Option<Duration>,
    ) -> io::Result<Self> {
        let stream = TcpListener::bind(address).await?;
        let address = stream.local_addr()?;
        let datagrams = Arc::new(UdpSocket::bind(address).await?);
        let (heard, hear) = mpsc::channel(WAITING_MAX);
        let (tell, changes) = mpsc::channel(WAITING_MAX);
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let bench = Bench {
            address,
            manner,
            talk,
            calls: BTreeMap::new(),
            datagrams: Arc::clone(&datagrams),
            tell,
            seen: Arc::clone(&seen),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(bench.work(hear));
        tasks.spawn(read_datagrams(datagrams, heard.clone()));
        tasks.spawn(accept(stream, heard));
        Ok(Self { address, seen, changes, _tasks: tasks })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How far each call has come, by Call-ID.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, Stage> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next change of any call. Changes nobody fetches are dropped after 1,024.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }
}

/// A message, and where its answer goes.
struct Heard {
    message: Message,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Udp(SocketAddr),
    Tcp(SocketAddr, mpsc::Sender<Vec<u8>>),
}

async fn read_datagrams(socket: Arc<UdpSocket>, heard: mpsc::Sender<Heard>) {
    let mut buffer = vec![0; SIZE_MAX];
    loop {
        // A reset by somebody who went away is no reason to stop.
        let Ok((count, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(message) = Message::read(buffer.get(..count).unwrap_or_default()) else {
            continue;
        };
        if heard.send(Heard { message, way: Way::Udp(peer) }).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener, heard: mpsc::Sender<Heard>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(converse(stream, peer, heard.clone()));
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, heard: mpsc::Sender<Heard>) {
    let (mut reader, mut writer) = stream.into_split();
    let (say, mut said) = mpsc::channel::<Vec<u8>>(WAITING_MAX);
    let speaking = async move {
        while let Some(bytes) = said.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let listening = async move {
        let mut rest = Vec::new();
        while reader.read_buf(&mut rest).await.is_ok_and(|count| count > 0) {
            while let Some(message) = Message::take(&mut rest) {
                let way = Way::Tcp(peer, say.clone());
                if heard.send(Heard { message, way }).await.is_err() {
                    return;
                }
            }
            if rest.len() > SIZE_MAX {
                return;
            }
        }
    };
    tokio::select! { () = speaking => {}, () = listening => {} }
}

/// The phone's insides.
struct Bench {
    address: SocketAddr,
    manner: Manner,
    talk: Option<Duration>,
    calls: BTreeMap<String, Call>,
    datagrams: Arc<UdpSocket>,
    tell: mpsc::Sender<Change>,
    seen: Arc<Mutex<BTreeMap<String, Stage>>>,
}

/// One call.
struct Call {
    stage: Stage,
    invite: Message,
    tag: String,
    way: Way,
    /// The response that a repeat of the INVITE gets again.
    last: Vec<u8>,
    /// When the phone answers or hangs up of its own accord.
    will: Option<Instant>,
    repeat: Option<Repeat>,
}

/// What is sent again until it is confirmed.
struct Repeat {
    bytes: Vec<u8>,
    next: Instant,
    wait: Duration,
    until: Instant,
}

impl Repeat {
    fn new(bytes: Vec<u8>) -> Self {
        let now = Instant::now();
        Self { bytes, next: now + T1, wait: T1, until: now + GIVEN_UP }
    }
}

impl Bench {
    async fn work(mut self, mut hear: mpsc::Receiver<Heard>) {
        loop {
            let wakes = self.calls.values().flat_map(|call| {
                [call.will, call.repeat.as_ref().map(|repeat| repeat.next.min(repeat.until))]
            });
            let idle = Instant::now() + GIVEN_UP;
            let wake = wakes.flatten().fold(idle, Instant::min);
            match timeout_at(wake, hear.recv()).await {
                Ok(Some(heard)) => self.take(heard).await,
                Ok(None) => return,
                Err(_elapsed) => self.wait_is_over().await,
            }
        }
    }

    async fn take(&mut self, heard: Heard) {
        let Heard { message, way } = heard;
        let id = message.header("Call-ID").unwrap_or_default().to_owned();
        let known = self.calls.get(&id).map(|call| call.stage);
        match (message.status(), message.method(), known) {
            (None, _, _) if self.manner == Manner::Silent => {}
            (None, "INVITE", None) => self.ring(id, message, way).await,
            (None, "INVITE", Some(_)) => self.ring_again(&id, &message, &way).await,
            (None, "ACK", Some(stage)) => self.confirm(&id, stage),
            (None, "ACK", None) => {}
            (None, "CANCEL", Some(stage)) => self.cancel(&id, stage, &message, &way).await,
            (None, "BYE", Some(stage)) => {
                self.respond(&way, &message, 200, "OK", &id).await;
                if matches!(stage, Stage::Answered | Stage::Connected) {
                    self.end(&id, Stage::HungUpThere);
                }
            }
            (None, "CANCEL" | "BYE", None) => {
                self.respond(&way, &message, 481, "Call/Transaction Does Not Exist", &id).await;
            }
            (None, "OPTIONS", _) => self.respond(&way, &message, 200, "OK", &id).await,
            (None, _, _) => self.respond(&way, &message, 501, "Not Implemented", &id).await,
            (Some(200..), "BYE", Some(_)) => self.end(&id, Stage::HungUp),
            (Some(_), _, _) => {}
        }
    }

    async fn ring(&mut self, id: String, invite: Message, way: Way) {
        let (stage, status, reason) = match self.manner {
            Manner::Refuse(status) => (Stage::Refused, status, "Not Now"),
            Manner::Answer(_) | Manner::RingOn | Manner::Silent => (Stage::Ringing, 180, "Ringing"),
        };
        let will = match self.manner {
            Manner::Answer(after) => Some(Instant::now() + after),
            Manner::RingOn | Manner::Refuse(_) | Manner::Silent => None,
        };
        let tag = token();
        let response = self.response(&way, &invite, status, reason, &tag).encode();
        let repeat = (stage == Stage::Refused).then(|| Repeat::new(response.clone()));
        self.send(&way, &response).await;
        if self.calls.len() >= CALLS_MAX {
            self.calls.pop_first();
        }
        let call = Call { stage, invite, tag, way, last: response, will, repeat };
        self.calls.insert(id.clone(), call);
        self.note(&id, stage);
    }

    /// A repeat, or a request within the call, which no phone here takes.
    async fn ring_again(&self, id: &str, invite: &Message, way: &Way) {
        let Some(call) = self.calls.get(id) else { return };
        if invite.header("CSeq") == call.invite.header("CSeq") {
            self.send(way, &call.last).await;
        } else {
            self.respond(way, invite, 488, "Not Acceptable Here", id).await;
        }
    }

    fn confirm(&mut self, id: &str, stage: Stage) {
        let talk = self.talk.map(|talk| Instant::now() + talk);
        let Some(call) = self.calls.get_mut(id) else { return };
        call.repeat = None;
        if stage == Stage::Answered {
            call.stage = Stage::Connected;
            call.will = talk;
            self.note(id, Stage::Connected);
        }
    }

    async fn cancel(&mut self, id: &str, stage: Stage, cancel: &Message, way: &Way) {
        self.respond(way, cancel, 200, "OK", id).await;
        if stage != Stage::Ringing {
            return;
        }
        self.finish(id, 487, "Request Terminated", Stage::Cancelled).await;
    }

    /// Sends the last response to the INVITE, and again until it is confirmed.
    async fn finish(&mut self, id: &str, status: u16, reason: &str, stage: Stage) {
        let Some(call) = self.calls.get(id) else { return };
        let mut response = self.response(&call.way, &call.invite, status, reason, &call.tag);
        if status == 200 {
            response = response.with_body("application/sdp", sdp("desk", self.address.ip()));
        }
        let bytes = response.encode();
        self.send(&call.way, &bytes).await;
        let Some(call) = self.calls.get_mut(id) else { return };
        call.last.clone_from(&bytes);
        call.repeat = Some(Repeat::new(bytes));
        call.will = None;
        call.stage = stage;
        self.note(id, stage);
    }

    async fn wait_is_over(&mut self) {
        let now = Instant::now();
        let ids: Vec<String> = self.calls.keys().cloned().collect();
        for id in ids {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            let wants = call.will.is_some_and(|at| at <= now);
            if wants && call.stage == Stage::Ringing {
                self.finish(&id, 200, "OK", Stage::Answered).await;
            } else if wants {
                self.hang_up(&id).await;
            } else {
                self.repeat(&id, now).await;
            }
        }
    }

    async fn repeat(&mut self, id: &str, now: Instant) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let Some(repeat) = &mut call.repeat else { return };
        if repeat.until <= now {
            call.repeat = None;
            if matches!(call.stage, Stage::Answered | Stage::Connected) {
                self.end(id, Stage::Lost);
            }
        } else if repeat.next <= now {
            repeat.wait = (repeat.wait * 2).min(T2);
            repeat.next = now + repeat.wait;
            let (way, bytes) = (call.way.clone(), repeat.bytes.clone());
            self.send(&way, &bytes).await;
        }
    }

    async fn hang_up(&mut self, id: &str) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let (local, transport) = (self.address, call.way.transport());
        let far = call.invite.contact().unwrap_or_default();
        let to = call.invite.header("To").unwrap_or_default();
        let mut bye = Message::request("BYE", far)
            .with("Via", format_args!("SIP/2.0/{transport} {local};branch={}", branch()))
            .with("Max-Forwards", 70)
            .with("From", format_args!("{to};tag={}", call.tag))
            .with("To", call.invite.header("From").unwrap_or_default())
            .with("Call-ID", id)
            .with("CSeq", "1 BYE");
        for route in call.invite.headers("Record-Route") {
            bye = bye.with("Route", route);
        }
        let bytes = bye.encode();
        call.will = None;
        call.repeat = Some(Repeat::new(bytes.clone()));
        let way = call.way.clone();
        self.send(&way, &bytes).await;
    }

    fn end(&mut self, id: &str, stage: Stage) {
        let Some(call) = self.calls.get_mut(id) else { return };
        (call.will, call.repeat) = (None, None);
        if call.stage != stage {
            call.stage = stage;
            self.note(id, stage);
        }
    }

    fn note(&self, id: &str, stage: Stage) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= CALLS_MAX {
            seen.pop_first();
        }
        seen.insert(id.to_owned(), stage);
        // Nobody has to read along.
        self.tell.try_send(Change { call: id.to_owned(), stage }).ok();
    }

    async fn respond(&self, way: &Way, request: &Message, status: u16, reason: &str, id: &str) {
        let tag = self.calls.get(id).map_or_else(token, |call| call.tag.clone());
        let response = self.response(way, request, status, reason, &tag);
        self.send(way, &response.encode()).await;
    }

    fn response(
        &self,
        way: &Way,
        request: &Message,
        status: u16,
        reason: &str,
        tag: &str,
    ) -> Message {
        let (local, transport) = (self.address, way.transport().to_ascii_lowercase());
        Message::response(status, reason, request)
            .with_to_tag(tag)
            .seen_from(way.peer())
            .with("Contact", format_args!("<sip:desk@{local};transport={transport}>"))
            .with("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")
    }

    /// A response goes where its request came from (RFC 3581): every peer here asks for that or
    /// sends from the port that it names.
    async fn send(&self, way: &Way, bytes: &[u8]) {
        // What is lost is repeated; who is gone is found out by the repeats.
        match way {
            Way::Udp(peer) => self.datagrams.send_to(bytes, peer).await.map(drop).ok(),
            Way::Tcp(_, say) => say.try_send(bytes.to_vec()).ok(),
        };
    }
}

impl Way {
    const fn transport(&self) -> &'static str {
        match self {
            Self::Udp(_) => "UDP",
            Self::Tcp(..) => "TCP",
        }
    }

    const fn peer(&self) -> SocketAddr {
        match self {
            Self::Udp(peer) | Self::Tcp(peer, _) => *peer,
        }
    }
}

const WAITING_MAX: usize = 1_024;
/// Calls that are remembered.
const CALLS_MAX: usize = 10_000;

#[cfg(test)]
mod tests;
