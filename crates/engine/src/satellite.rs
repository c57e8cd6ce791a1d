//! Satellite modems: what comes over them goes to the core as reports, and messages to sites go out.
//!
//! A message that came is cleared in its modem only when it is in the journal; one from us is given to
//! the first modem that answers, and its outcome is what the modem's own count says. How it is with a
//! modem stands on the console as faults of the device `sbd:<name>`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hansho_config::Config;
use hansho_intake::Sink;
use hansho_intake::serial::{self, Orders, Port, SbdModem, SbdOrder, SbdWord, SerialLine};
use hansho_journal::Vault;
use hansho_model::{
    AlarmClass, AlarmKind, Deviation, Door, Finding, FrameFault, Lane, Message, Mode, Phase,
    Private, Report, Reveal as _,
};
use hansho_outbox::Delivery;
use hansho_protocols::sbd::{
    Event, Failure, Incoming, MO_SIZE_MAX, MO_SIZE_MAX_9523, Outcome, Outgoing, Sbd, SendError,
    Setup, State, Trouble, text,
};
use hansho_protocols::{Durable, Receipt};
use jiff::SignedDuration;
use tokio::sync::{oneshot, watch};

use crate::clock;
use crate::edge::Edge;

/// After a start, a modem that is not ready by then is said to be missing.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long a port may take to leave its modem when the house ends.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// Between two tries to give an order to a port that has too many.
const FULL_PAUSE: Duration = Duration::from_millis(200);
/// Past its last moment, how much longer a message's outcome is waited for: a session may be on.
const OUTCOME_MAX: SignedDuration = SignedDuration::from_mins(15);
/// Zone of the faults of a modem.
const MODEM: &str = "modem";
/// For what the vault's secret is used when two messages are compared.
const KEY_PURPOSE: &str = "sbd message";
/// A serial line has no address.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The modems of the house.
#[derive(Debug)]
pub struct Satellites {
    vault: Arc<Vault>,
    /// Known handsets; `None` where those that nobody registered are shown, not refused.
    known: Option<Vec<String>>,
    modems: Mutex<Vec<Plugged>>,
    /// Who waits for what became of a message.
    sent: Mutex<Waiting>,
}

/// A modem as messages go to it.
#[derive(Debug)]
struct Plugged {
    name: String,
    ready: bool,
    orders: Orders<SbdModem>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    outcomes: BTreeMap<u64, oneshot::Sender<Delivery>>,
}

impl Satellites {
    /// Of a configuration; no port is open yet.
    #[must_use]
    pub fn new(config: &Config, vault: Arc<Vault>) -> Self {
        let refuse = config.site.unknown_devices == hansho_config::UnknownDevices::Refuse;
        let sites = &config.satellite.sites;
        let known = refuse.then(|| sites.iter().map(|site| site.imei.clone()).collect());
        Self { vault, known, modems: Mutex::default(), sent: Mutex::default() }
    }

    /// Opens the ports, and serves each until the house ends.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn open(
        self: &Arc<Self>,
        config: &Config,
        data: &Path,
        edge: &Arc<Edge>,
        stop: &watch::Receiver<bool>,
        doors: &mut tokio::task::JoinSet<()>,
    ) -> std::io::Result<()> {
        for modem in &config.satellite.modems {
            let mo_size_max = if modem.long_messages { MO_SIZE_MAX_9523 } else { MO_SIZE_MAX };
            let mailbox_check = SignedDuration::from_mins(i64::from(modem.mailbox_minutes));
            // Two modems of one start must not knock at the gateway together.
            let seed = self.vault.mac("sbd retries", modem.name.as_bytes());
            let (seed, _) = seed.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
            let setup =
                Setup { mo_size_max, mailbox_check, ..Setup::new(u64::from_le_bytes(*seed)) };
            let line = SerialLine::new(data.join(&modem.port));
            let port = serial::drive(line, SbdModem::new(Sbd::new(setup)), clock::now)?;
            let orders = port.orders().clone();
            let plugged = Plugged { name: modem.name.clone(), ready: false, orders };
            lock(&self.modems).push(plugged);
            let desk = ModemDesk {
                satellites: Arc::clone(self),
                edge: Arc::clone(edge),
                name: modem.name.clone(),
            };
            doors.spawn(desk.serve(port, stop.clone()));
        }
        Ok(())
    }

    /// Sends a message, and ends when it is known what became of it; that may take hours without a
    /// satellite in sight.
    pub async fn send(&self, message: Message) -> Delivery {
        let Some(imei) = message.device.strip_prefix("sbd:").map(str::to_owned) else {
            return Delivery::failed(0, false);
        };
        let Some(words) = self.vault.reveal_text(&message.text) else {
            return Delivery::failed(0, false);
        };
        let number = message.message.0.get();
        let bytes = text::write(&text::Head { imei, number }, &with_mark(message.mode, &words));
        let (tell, outcome) = oneshot::channel();
        let id = {
            let mut waiting = lock(&self.sent);
            waiting.next = waiting.next.saturating_add(1);
            let id = waiting.next;
            waiting.outcomes.insert(id, tell);
            id
        };
        let outgoing = Outgoing { id, bytes: Private(bytes), until: Some(message.until) };
        let given =
            self.orders().is_some_and(|orders| orders.give(SbdOrder::Send(outgoing)).is_ok());
        if !given {
            lock(&self.sent).outcomes.remove(&id);
            return Delivery::failed(0, true);
        }
        let left = message.until.duration_since(clock::now()).max(SignedDuration::ZERO);
        let left = Duration::try_from(left.saturating_add(OUTCOME_MAX)).unwrap_or_default();
        let outcome = tokio::time::timeout(left, outcome).await;
        lock(&self.sent).outcomes.remove(&id);
        // A modem whose thread ended says nothing more: the message may have gone.
        outcome.ok().and_then(Result::ok).unwrap_or(Delivery::uncertain())
    }

    /// The first modem that answers; without one, the first that is plugged in.
    fn orders(&self) -> Option<Orders<SbdModem>> {
        let modems = lock(&self.modems);
        let best = modems.iter().find(|modem| modem.ready).or_else(|| modems.first());
        best.map(|modem| modem.orders.clone())
    }

    fn note_ready(&self, name: &str, ready: bool) {
        for modem in lock(&self.modems).iter_mut().filter(|modem| modem.name == name) {
            modem.ready = ready;
        }
    }

    fn tell(&self, id: u64, delivery: Delivery) {
        let waits = lock(&self.sent).outcomes.remove(&id);
        if waits.is_none_or(|tell| tell.send(delivery).is_err()) {
            tracing::debug!(id, "Nobody waits for what became of a message.");
        }
    }
}

/// What is not real says so first: a handset shows nothing else.
fn with_mark(mode: Mode, words: &str) -> String {
    match mode {
        Mode::Real => words.to_owned(),
        Mode::Training => format!("【訓練】{words}"),
        Mode::Demo => format!("【デモ】{words}"),
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let stopped = stop.wait_for(|stop| *stop).await;
    drop(stopped);
}

/// What is said of one modem, and what comes over it.
struct ModemDesk {
    satellites: Arc<Satellites>,
    edge: Arc<Edge>,
    name: String,
}

impl ModemDesk {
    async fn serve(self, port: Port<SbdModem>, mut stop: watch::Receiver<bool>) {
        let (orders, mut words, thread) = port.into_parts();
        let late = tokio::time::sleep(READY_MAX);
        tokio::pin!(late);
        let mut heard_of = false;
        loop {
            tokio::select! {
                word = words.recv() => match word {
                    Some(word) => {
                        let state = matches!(word, SbdWord::Event(Event::State(_)));
                        heard_of |= state;
                        self.hear(word, &orders).await;
                    }
                    None => {
                        tracing::error!(modem = self.name, "A serial port's thread ended.");
                        return;
                    }
                },
                () = &mut late, if !heard_of => {
                    heard_of = true;
                    self.say_state(State::Absent).await;
                }
                () = stopped(&mut stop) => break,
            }
        }
        // The last order-giver that goes stops the port. What comes from here on stays in the modem.
        lock(&self.satellites.modems).retain(|modem| modem.name != self.name);
        drop(orders);
        let left = async {
            while let Some(word) = words.recv().await {
                if let SbdWord::Event(Event::Sent(id, outcome)) = word {
                    self.satellites.tell(id, delivery_of(outcome));
                }
            }
        };
        let in_time = tokio::time::timeout(LEAVE_MAX, left).await.is_ok();
        if in_time && tokio::task::spawn_blocking(move || thread.join()).await.is_err() {
            tracing::warn!(modem = self.name, "A serial port's thread was not joined.");
        }
    }

    async fn hear(&self, word: SbdWord, orders: &Orders<SbdModem>) {
        match word {
            SbdWord::Event(Event::Message(receipt, incoming)) => {
                self.take(receipt, *incoming, orders).await;
            }
            SbdWord::Event(Event::State(state)) => {
                self.satellites.note_ready(&self.name, state == State::Ready);
                self.say_state(state).await;
            }
            SbdWord::Event(Event::Sent(id, outcome)) => {
                self.satellites.tell(id, delivery_of(outcome));
                if outcome == Outcome::Done {
                    // A session went well: whatever was wrong with antenna or contract is mended.
                    self.say_fault(AlarmKind::Radio, None).await;
                }
            }
            SbdWord::NotTaken(id, error) => {
                let again = matches!(error, SendError::Full { .. });
                tracing::warn!(modem = self.name, %error, "A modem did not take a message.");
                self.satellites.tell(id, Delivery::failed(0, again));
            }
            SbdWord::Event(Event::Trouble(trouble)) => {
                let code = match trouble {
                    Trouble::HardwareFailure { part, error } => format!("hw {part},{error}"),
                    Trouble::Session(status) => format!("mo {}", status.0),
                };
                tracing::error!(modem = self.name, code, "A satellite modem is in trouble.");
                self.say_fault(AlarmKind::Radio, Some(code)).await;
            }
            SbdWord::Event(Event::Waiting { id, status, until }) => {
                tracing::debug!(modem = self.name, id, ?status, %until, "A message waits.");
            }
            SbdWord::Event(Event::Signal(bars)) => {
                tracing::debug!(modem = self.name, bars, "The signal changed.");
            }
            SbdWord::Event(Event::Service(there)) => {
                tracing::info!(modem = self.name, there, "The satellite network changed.");
            }
        }
    }

    /// Durable first, then cleared in the modem.
    async fn take(&self, receipt: Receipt, incoming: Incoming, orders: &Orders<SbdModem>) {
        let report = self.report(&incoming);
        let sink: Arc<Edge> = Arc::clone(&self.edge);
        let durable = sink.take(NOWHERE, clock::now(), report).await;
        if durable == Durable::Shed {
            tracing::error!(
                modem = self.name,
                "A message could not be kept; it stays in the modem."
            );
        }
        // The thread hears orders many times a second; one that has ended has nothing to clear.
        while let Err(serial::OrderError::Full) = orders.give(SbdOrder::Durable(receipt, durable)) {
            tokio::time::sleep(FULL_PAUSE).await;
        }
    }

    fn report(&self, incoming: &Incoming) -> Report {
        let Incoming { imei, mtmsn, bytes, damaged } = incoming;
        let words = text::Words::read(&bytes.0);
        let class = if words.is_test() { AlarmClass::Test } else { AlarmClass::Check };
        let code = if *damaged { Deviation::Damaged.as_str() } else { "" };
        let device = match &words.head {
            Some(head) => head.imei.clone(),
            None => self.name.clone(),
        };
        let strange = words.head.as_ref().is_some_and(|head| {
            self.satellites.known.as_ref().is_some_and(|known| !known.contains(&head.imei))
        });
        // The sender's number tells a second copy; without one, the modem's does.
        let mut message = bytes.0.clone();
        if words.head.is_none() {
            message.extend(imei.iter().flat_map(|imei| imei.bytes()));
            message.extend(mtmsn.iter().flat_map(|number| number.to_be_bytes()));
        }
        let device_key = self.satellites.vault.mac(KEY_PURPOSE, &message).to_vec();
        Report {
            door: Door::Sbd,
            device,
            lane: Lane::A,
            observed_at: None,
            device_key,
            findings: vec![finding(class, AlarmKind::Message, Phase::New, code.to_owned(), "")],
            position: None,
            telemetry: None,
            text: words.text,
            raw: bytes.clone(),
            refused: strange.then_some(FrameFault::UnknownAccount),
            deviations: damaged.then_some(Deviation::Damaged).into_iter().collect(),
        }
    }

    async fn say_state(&self, state: State) {
        let code = match state {
            State::Absent => "absent",
            State::Silent => "silent",
            State::Ready => return self.say_fault(AlarmKind::Line, None).await,
            State::Probing => return,
        };
        self.say_fault(AlarmKind::Line, Some(code.to_owned())).await;
    }

    /// Says that something is wrong with the modem, or that it is not any more.
    async fn say_fault(&self, kind: AlarmKind, code: Option<String>) {
        let phase = if code.is_some() { Phase::New } else { Phase::Restored };
        let code = code.unwrap_or_default();
        let report = Report {
            door: Door::Sbd,
            device: self.name.clone(),
            lane: Lane::C,
            observed_at: None,
            device_key: Vec::new(),
            findings: vec![finding(AlarmClass::Fault, kind, phase, code, MODEM)],
            position: None,
            telemetry: None,
            text: None,
            raw: Private(Vec::new()),
            refused: None,
            deviations: Vec::new(),
        };
        let sink: Arc<Edge> = Arc::clone(&self.edge);
        let kept = sink.take(NOWHERE, clock::now(), report).await;
        if kept == Durable::Shed {
            tracing::warn!(modem = self.name, "How it is with a modem was given up under load.");
        }
    }
}

fn finding(class: AlarmClass, kind: AlarmKind, phase: Phase, code: String, zone: &str) -> Finding {
    Finding { class, kind, phase, code, zone: zone.to_owned() }
}

/// What the core is told of an outcome; the modem's own status is its code.
fn delivery_of(outcome: Outcome) -> Delivery {
    match outcome {
        Outcome::Done => Delivery::done(0),
        Outcome::Uncertain => Delivery::uncertain(),
        Outcome::Failed(Failure::Refused(status)) => Delivery::failed(u16::from(status.0), false),
        Outcome::Failed(Failure::BadLength | Failure::Expired) => Delivery::failed(0, false),
        // It waited when the house ended; the next core gives it to the modem again.
        Outcome::Failed(Failure::Stopped) => Delivery::failed(0, true),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
