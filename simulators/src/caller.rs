//! Somebody who calls 119 over SIP: UDP or TCP, with the place that the network adds.
//!
//! ```no_run
//! # async fn run() {
//! use std::time::Duration;
//! use hansho_simulators::caller::{Plan, call};
//! use hansho_simulators::pendant::Link;
//! let plan = Plan { hang_up_after: Some(Duration::from_millis(700)), ..Plan::default() };
//! println!("{}", call(([127, 0, 0, 1], 5060).into(), Link::Udp, &plan).await);
//! # }
//! ```
//!
//! What is sent within a call goes where the call went: a caller here has a proxy and no routes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

use crate::devices::sip::{GIVEN_UP, Message, Place, T1, T2, sdp, two_parts};
use crate::line::Line;
use crate::pendant::Link;

/// What a caller does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number as the network asserts it; `None` when it gives none.
    pub tel: Option<String>,
    /// Whether the caller asks that the number be withheld (184).
    pub withheld: bool,
    /// What is asked for, such as `sos.fire`.
    pub service: String,
    /// Where the caller is.
    pub place: Place,
    /// From the first sign of the other side until the caller hangs up, answered or not.
    pub hang_up_after: Option<Duration>,
    /// Without `hang_up_after`: from the answer until the caller hangs up.
    pub talk: Duration,
    /// From the first sign of the other side until the caller gives up waiting for an answer.
    pub patience: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tel: Some("+819000000001".to_owned()),
            withheld: false,
            service: "sos".to_owned(),
            place: Place::default(),
            hang_up_after: None,
            talk: Duration::from_secs(5),
            patience: Duration::from_mins(2),
        }
    }
}

/// How a call ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The caller hung up a call that had been answered.
    HungUp,
    /// The other side hung up.
    HungUpThere,
    /// The caller hung up before an answer, and the other side confirmed it.
    Abandoned,
    /// Nobody answered as long as the caller had patience.
    Unanswered,
    /// The other side refused it.
    Refused(u16),
    /// The other side said nothing, or nothing any more.
    Silent,
    /// The line broke.
    Broken(io::Error),
}

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    /// Its Call-ID.
    pub id: String,
    /// Number of the caller, or `anonymous`.
    pub from: String,
    /// From the INVITE to the first 180.
    pub ringing: Option<Duration>,
    /// From the INVITE to the answer.
    pub answered: Option<Duration>,
    /// From the INVITE to its end.
    pub ended: Duration,
    /// How it ended.
    pub end: End,
    /// Requests that had to be sent again.
    pub repeats: u32,
}

impl Outcome {
    /// Whether it went as this plan asks: answered, or abandoned when the caller was to hang up.
    #[must_use]
    pub const fn is_as_asked(&self, plan: &Plan) -> bool {
        match self.end {
            End::HungUp | End::HungUpThere => true,
            End::Abandoned => plan.hang_up_after.is_some(),
            End::Unanswered | End::Refused(_) | End::Silent | End::Broken(_) => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.from)?;
        match self.ringing {
            Some(after) => write!(f, " ringing after {} ms", after.as_millis())?,
            None => write!(f, " never rang")?,
        }
        if let Some(after) = self.answered {
            write!(f, ", answered after {} ms", after.as_millis())?;
        }
        let after = self.ended.as_millis();
        match &self.end {
            End::HungUp => write!(f, ", hung up here after {after} ms"),
            End::HungUpThere => write!(f, ", hung up there after {after} ms"),
            End::Abandoned => write!(f, ", abandoned after {after} ms"),
            End::Unanswered => write!(f, ", given up after {after} ms"),
            End::Refused(status) => write!(f, ", refused with {status} after {after} ms"),
            End::Silent => write!(f, ", nothing heard until {after} ms"),
            End::Broken(error) => write!(f, ", line broken after {after} ms: {error}"),
        }
    }
}

/// Calls once.
pub async fn call(to: SocketAddr, link: Link, plan: &Plan) -> Outcome {
    let started = Instant::now();
    match Line::connect(to, link).await {
        Ok(line) => Handset::new(line, plan, started).run().await,
        Err(error) => Outcome {
            id: String::new(),
            from: plan.number().to_owned(),
            ringing: None,
            answered: None,
            ended: started.elapsed(),
            end: End::Broken(error),
            repeats: 0,
        },
    }
}

/// Many callers, so many a second, each with the next number and a place within `spread_m` of the
/// plan's. Outcomes come as the calls end.
#[must_use]
pub fn swarm(
    to: SocketAddr,
    link: Link,
    plan: Plan,
    crowd: Crowd,
) -> mpsc::Receiver<(Plan, Outcome)> {
    let (tell, outcomes) = mpsc::channel(AT_ONCE_MAX);
    let doors = Arc::new(Semaphore::new(AT_ONCE_MAX));
    tokio::spawn(async move {
        let per_call = Duration::from_secs(1).div_f64(crowd.per_second.max(0.01));
        let mut ticks = tokio::time::interval(per_call);
        for index in 0..crowd.count {
            ticks.tick().await;
            let Ok(door) = Arc::clone(&doors).acquire_owned().await else { return };
            let plan = plan.of_one(index, crowd.spread_m);
            let tell = tell.clone();
            tokio::spawn(async move {
                let outcome = call(to, link, &plan).await;
                drop(door);
                // Whoever does not want to know has gone.
                tell.send((plan, outcome)).await.ok();
            });
        }
    });
    outcomes
}

/// How many call, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Calls in all.
    pub count: u32,
    /// Calls a second.
    pub per_second: f64,
    /// How far around the plan's place they stand, metres.
    pub spread_m: u32,
}

impl Plan {
    fn number(&self) -> &str {
        self.tel.as_deref().unwrap_or("anonymous")
    }

    /// The plan of one of a crowd: the same for the same index.
    #[must_use]
    pub fn of_one(&self, index: u32, spread_m: u32) -> Self {
        let mut plan = self.clone();
        plan.tel = self.tel.as_ref().map(|tel| number_after(tel, index));
        // The golden angle puts them evenly over a disc.
        let angle = f64::from(index) * 2.399_963;
        let away = f64::from(spread_m) * (f64::from(index % 100) / 100.0).sqrt();
        let degrees_lat = away * angle.sin() / METRES_PER_DEGREE;
        let degrees_lon = away * angle.cos() / METRES_PER_DEGREE;
        plan.place.lat += degrees_lat;
        plan.place.lon += degrees_lon / self.place.lat.to_radians().cos().max(0.01);
        plan
    }
}

const METRES_PER_DEGREE: f64 = 111_195.0;

/// The number so many places behind this one, as long as it was.
fn number_after(tel: &str, index: u32) -> String {
    let digits = tel.strip_prefix('+').unwrap_or(tel);
    let plus = if tel.starts_with('+') { "+" } else { "" };
    match digits.parse::<u64>() {
        Ok(number) => format!("{plus}{:0width$}", number + u64::from(index), width = digits.len()),
        Err(_not_a_number) => tel.to_owned(),
    }
}

/// One call.
struct Handset<'a> {
    plan: &'a Plan,
    line: Line,
    id: String,
    tag: String,
    invite: Message,
    /// Branch of the INVITE: CANCEL and the ACK of a refusal carry it again.
    branch: String,
    sequence: u32,
    phase: Phase,
    sending: Option<Sending>,
    /// `To` and the address to speak to, from the answer.
    far: (String, String),
    ack: Vec<u8>,
    started: Instant,
    first_sign: Option<Instant>,
    ringing: Option<Duration>,
    answered: Option<Duration>,
    repeats: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The INVITE is out.
    Calling,
    /// The other side has it.
    Waiting,
    /// CANCEL is out; whether because patience had ended.
    Cancelling {
        given_up: bool,
    },
    Speaking,
    /// BYE is out.
    Leaving,
}

/// A request that waits for an answer.
struct Sending {
    bytes: Vec<u8>,
    next: Instant,
    wait: Duration,
    wait_max: Duration,
    until: Instant,
}

impl<'a> Handset<'a> {
    fn new(line: Line, plan: &'a Plan, started: Instant) -> Self {
        let id = format!("{}@carrier.example", token());
        let mut handset = Self {
            plan,
            line,
            id,
            tag: token(),
            invite: Message::default(),
            branch: branch(),
            sequence: 1,
            phase: Phase::Calling,
            sending: None,
            far: (String::new(), String::new()),
            ack: Vec::new(),
            started,
            first_sign: None,
            ringing: None,
            answered: None,
            repeats: 0,
        };
        handset.invite = handset.invite(clock());
        handset
    }

    fn uri(&self) -> String {
        format!("urn:service:{}", self.plan.service)
    }

    fn from(&self) -> String {
        let address = match &self.plan.tel {
            Some(tel) if !self.plan.withheld => format!("sip:{tel}@carrier.example;user=phone"),
            _ => "sip:anonymous@anonymous.invalid".to_owned(),
        };
        format!("<{address}>;tag={}", self.tag)
    }

    /// A request of this call; `To` and its address change with the answer.
    fn request(&self, method: &str, uri: &str, to: &str, branch: &str) -> Message {
        let (transport, local) = (self.line.transport(), self.line.local());
        Message::request(method, uri)
            .with("Via", format_args!("SIP/2.0/{transport} {local};rport;branch={branch}"))
            .with("Max-Forwards", 70)
            .with("From", self.from())
            .with("To", to)
            .with("Call-ID", &self.id)
            .with("CSeq", format_args!("{} {method}", self.sequence))
    }

    fn invite(&self, now: Timestamp) -> Message {
        let (uri, local) = (self.uri(), self.line.local());
        let transport = self.line.transport().to_ascii_lowercase();
        let mut invite = self
            .request("INVITE", &uri, &format!("<{uri}>"), &self.branch)
            .with("Contact", format_args!("<sip:caller@{local};transport={transport}>"))
            .with("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")
            .with("Supported", "geolocation");
        if let Some(tel) = &self.plan.tel {
            invite = invite.with("P-Asserted-Identity", format_args!("<tel:{tel}>"));
        }
        if self.plan.withheld {
            invite = invite.with("Privacy", "id");
        }
        let sdp = sdp("caller", local.ip());
        match self.plan.place.document(self.plan.number(), now) {
            Some(document) => {
                let content_id = format!("place-{}@carrier.example", self.tag);
                let (kind, body) = two_parts(&sdp, &document, &content_id);
                invite
                    .with("Geolocation", format_args!("<cid:{content_id}>"))
                    .with("Geolocation-Routing", "yes")
                    .with_body(&kind, body)
            }
            None => invite.with_body("application/sdp", sdp),
        }
    }

    async fn run(mut self) -> Outcome {
        let end = match self.follow().await {
            Ok(end) => end,
            Err(error) => End::Broken(error),
        };
        Outcome {
            from: self.plan.number().to_owned(),
            ringing: self.ringing,
            answered: self.answered,
            ended: self.started.elapsed(),
            end,
            repeats: self.repeats,
            id: self.id,
        }
    }

    async fn follow(&mut self) -> io::Result<End> {
        let invite = self.invite.encode();
        self.send(invite, GIVEN_UP).await?;
        loop {
            let wake = self.wake();
            let ended = match timeout_at(wake, self.line.receive()).await {
                Ok(message) => self.hear(&message?).await?,
                Err(_elapsed) => self.wait_is_over().await?,
            };
            if let Some(end) = ended {
                return Ok(end);
            }
        }
    }

    /// Sends a request, and again until it is answered.
    async fn send(&mut self, bytes: Vec<u8>, wait_max: Duration) -> io::Result<()> {
        self.line.send(&bytes).await?;
        let now = Instant::now();
        let next = now + if self.line.is_lossy() { T1 } else { GIVEN_UP };
        self.sending = Some(Sending { bytes, next, wait: T1, wait_max, until: now + GIVEN_UP });
        Ok(())
    }

    /// When the caller does something of his own accord, while a call is up.
    fn own_will(&self) -> Option<(Instant, bool)> {
        let since = self.first_sign?;
        match (self.phase, self.plan.hang_up_after) {
            (Phase::Waiting | Phase::Speaking, Some(after)) => Some((since + after, false)),
            (Phase::Waiting, None) => Some((since + self.plan.patience, true)),
            (Phase::Speaking, None) => {
                let answered = self.started + self.answered.unwrap_or_default();
                Some((answered + self.plan.talk, false))
            }
            _ => None,
        }
    }

    fn wake(&self) -> Instant {
        let will = self.own_will().map(|(at, _)| at);
        let repeat = self.sending.as_ref().map(|sending| sending.next.min(sending.until));
        let last = self.started + LONGEST;
        [will, repeat].into_iter().flatten().fold(last, Instant::min)
    }

    async fn wait_is_over(&mut self) -> io::Result<Option<End>> {
        let now = Instant::now();
        if now >= self.started + LONGEST {
            return Ok(Some(End::Silent));
        }
        if let Some((at, given_up)) = self.own_will()
            && at <= now
        {
            return self.hang_up(given_up).await.map(|()| None);
        }
        let Some(sending) = &mut self.sending else { return Ok(None) };
        if sending.until <= now {
            return Ok(Some(End::Silent));
        }
        if sending.next <= now {
            sending.wait = (sending.wait * 2).min(sending.wait_max);
            sending.next = now + sending.wait;
            self.repeats += 1;
            self.line.send(&sending.bytes).await?;
        }
        Ok(None)
    }

    async fn hang_up(&mut self, given_up: bool) -> io::Result<()> {
        if self.phase == Phase::Speaking {
            return self.leave().await;
        }
        self.phase = Phase::Cancelling { given_up };
        let (uri, to) = (self.uri(), self.invite.header("To").unwrap_or_default());
        let cancel = self.request("CANCEL", &uri, to, &self.branch);
        self.send(cancel.encode(), T2).await
    }

    async fn leave(&mut self) -> io::Result<()> {
        self.phase = Phase::Leaving;
        self.sequence += 1;
        let (to, address) = &self.far;
        let bye = self.request("BYE", address, to, &branch());
        self.send(bye.encode(), T2).await
    }

    async fn hear(&mut self, message: &Message) -> io::Result<Option<End>> {
        if message.header("Call-ID") != Some(&self.id) {
            return Ok(None);
        }
        match (message.status(), message.method()) {
            (None, "BYE") => {
                self.respond(message, 200, "OK").await?;
                Ok(Some(End::HungUpThere))
            }
            (None, "OPTIONS") => self.respond(message, 200, "OK").await.map(|()| None),
            (None, "ACK") => Ok(None),
            (None, "INVITE") => {
                self.respond(message, 488, "Not Acceptable Here").await.map(|()| None)
            }
            (None, _) => self.respond(message, 501, "Not Implemented").await.map(|()| None),
            (Some(status), "INVITE") => self.hear_of_invite(message, status).await,
            (Some(200..), "CANCEL") => {
                // What is still to come is the end of the INVITE.
                if let Some(sending) = &mut self.sending {
                    sending.next = sending.until;
                }
                Ok(None)
            }
            // 481: the call had ended there already.
            (Some(200..), "BYE") if self.phase == Phase::Leaving => Ok(Some(End::HungUp)),
            (Some(_), _) => Ok(None),
        }
    }

    async fn hear_of_invite(&mut self, message: &Message, status: u16) -> io::Result<Option<End>> {
        match status {
            ..200 => {
                self.first_sign.get_or_insert_with(Instant::now);
                if status == 180 {
                    self.ringing.get_or_insert_with(|| self.started.elapsed());
                }
                if self.phase == Phase::Calling {
                    self.phase = Phase::Waiting;
                    self.sending = None;
                }
                Ok(None)
            }
            200..300 if self.answered.is_some() => {
                // Ours was lost.
                self.repeats += 1;
                let ack = self.ack.clone();
                self.line.send(&ack).await.map(|()| None)
            }
            200..300 => self.connect(message).await.map(|()| None),
            300.. => {
                let to = message.header("To").unwrap_or_default();
                let ack = self.request("ACK", &self.uri(), to, &self.branch).encode();
                self.line.send(&ack).await?;
                Ok(match self.phase {
                    Phase::Calling | Phase::Waiting => Some(End::Refused(status)),
                    Phase::Cancelling { given_up: true } => Some(End::Unanswered),
                    Phase::Cancelling { given_up: false } if status == 487 => Some(End::Abandoned),
                    Phase::Cancelling { given_up: false } => Some(End::Refused(status)),
                    Phase::Speaking | Phase::Leaving => None,
                })
            }
        }
    }

    async fn connect(&mut self, message: &Message) -> io::Result<()> {
        self.answered = Some(self.started.elapsed());
        self.first_sign.get_or_insert_with(Instant::now);
        let to = message.header("To").unwrap_or_default().to_owned();
        let uri = message.contact().unwrap_or_default().to_owned();
        self.ack = self.request("ACK", &uri, &to, &branch()).encode();
        self.far = (to, uri);
        let ack = self.ack.clone();
        self.line.send(&ack).await?;
        if let Phase::Cancelling { .. } = self.phase {
            // It crossed our CANCEL: nobody wants this call any more.
            return self.leave().await;
        }
        self.phase = Phase::Speaking;
        self.sending = None;
        Ok(())
    }

    async fn respond(&mut self, request: &Message, status: u16, reason: &str) -> io::Result<()> {
        let response = Message::response(status, reason, request).with_to_tag(&self.tag);
        self.line.send(&response.encode()).await
    }
}

/// A name that nobody else has.
pub(crate) fn token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// A new branch; the first letters are RFC 3261's.
pub(crate) fn branch() -> String {
    format!("z9hG4bK{}", token())
}

#[expect(clippy::disallowed_methods, reason = "a simulated caller has a clock of its own")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// No call is longer.
const LONGEST: Duration = Duration::from_hours(1);
/// Calls at once.
const AT_ONCE_MAX: usize = 500;

#[cfg(test)]
mod tests;
