//! The driver: commands and answers in, what the house must know out.
//!
//! One command is under way at a time. When it ends, [`Sbd::plan`] looks at what is known and picks
//! the next one, so that a modem that was reset, unplugged or misheard needs no path of its own.
//!
//! This file holds the facts, the commands and the plan; `flight` is the way out, `mail` the way in.

mod flight;
mod mail;

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::answer::{Line, MoStatus, SessionAnswer, StatusAnswer, Urc};
use super::frame::{LoadResult, load_command, load_data, takes};
use super::reader::{Reader, Token};
use super::words::{Event, Failure, Outcome, Outgoing, Output, SendError, Setup, State, Trouble};
use crate::{Durable, Receipt};

/// Messages that may wait for the modem.
pub const OUTBOX_COUNT_MAX: usize = 16;
/// From one question whether the modem is there to the next.
pub const PROBE_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// Questions without an answer for so long make a modem silent; its capacitors take their time.
pub const PROBE_MAX: SignedDuration = SignedDuration::from_secs(240);
/// What comes so long after the first answer still belongs to the questions before it.
pub const SETTLE: SignedDuration = SignedDuration::from_millis(500);
/// Commands in a row without an answer after which the port is closed and opened again.
pub const MISSES_MAX: u32 = 3;
/// How often a message is read before it is handed over as damaged.
pub const READS_MAX: u32 = 3;
/// Sessions for the mailbox that may fail before the next look is waited for.
pub const LOOKS_MAX: u32 = 3;
/// How long the modem may be away before a message that was on its way is uncertain.
pub const UNCERTAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Of a plain command.
const COMMAND_MAX: SignedDuration = SignedDuration::from_secs(30);
/// Of a session; the modem itself gives up after a minute.
const SESSION_MAX: SignedDuration = SignedDuration::from_secs(120);
/// From announcing a message to `READY`.
const READY_MAX: SignedDuration = SignedDuration::from_secs(5);
/// From `READY` to what came of it; the modem waits a minute for the bytes.
const LOAD_MAX: SignedDuration = SignedDuration::from_secs(70);
/// Of a binary answer: 1,894 bytes take a second at 19,200 bit/s.
const READ_MAX: SignedDuration = SignedDuration::from_secs(10);
/// From the answer to the `OK` behind it; when that is lost, the answer counts.
const FINAL_MAX: SignedDuration = SignedDuration::from_secs(5);
/// Of each command before the port is left.
const LEAVE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// First, second, third wait before a message is tried again, and all after that, seconds.
const BACK_OFF_S: [i64; 4] = [5, 30, 60, 300];
/// Longest wait, and that of statuses which need minutes.
const MINUTES: SignedDuration = SignedDuration::from_secs(300);
/// Longest wait for the network when it does not say that it can be reached.
const SERVICE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// From one registration to the next; twice as fast is refused with 36.
const REGISTRATION: SignedDuration = SignedDuration::from_secs(180);
/// Longest wait that `+SBDLOE` may ask for.
const WINDOW_MAX_S: u32 = 3_600;
/// Shed messages are offered again after it.
const SHED_WAIT: SignedDuration = SignedDuration::from_secs(10);

/// How the modem is set up: no echo, words for results, no flow control, DTR ignored, its IMEI,
/// sessions that end before we lose patience, rings on, signal and service told unasked. A modem
/// that refuses one is used all the same.
const SETTINGS: [&str; 8] =
    ["ATE0", "ATV1", "AT&K0", "AT&D0", "AT+CGSN", "AT+SBDST=60", "AT+SBDMTA=1", "AT+CIER=1,1,1"];
/// Settings that may still be answered by a digit.
const DIGITS_UNTIL: usize = 1;
/// The one that asks who the modem is.
const IMEI_INDEX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Is it there? Since then.
    Probing(Timestamp),
    /// What is late is waited for until then.
    Settling(Timestamp),
    SettingUp,
    Working,
}

/// A command under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Probe,
    Set(usize),
    Status,
    /// Announces the first message of the outbox.
    Load,
    /// Its bytes were sent.
    Data,
    Session,
    ClearSent,
    Read,
    ClearRead,
    Window,
    Detach,
    Flush,
}

/// What the modem has said to the command under way.
#[derive(Clone, Debug, Default)]
struct Said {
    code: Option<u8>,
    refused: bool,
    imei: Option<String>,
    session: Option<SessionAnswer>,
    status: Option<StatusAnswer>,
    window_s: Option<u32>,
    buffer: Option<Vec<u8>>,
}

/// A message whose session was begun.
#[derive(Clone, Debug)]
struct Flight {
    id: u64,
    /// Number of the next message before the session.
    momsn: u16,
    imei: Option<String>,
    begun_at: Timestamp,
    /// What the modem said of it.
    answer: Option<MoStatus>,
}

/// What is known of the buffer for messages to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mail {
    Nothing,
    Unread,
    /// It was told to the house, which has not made it durable yet.
    Told(Receipt),
    /// To be read once more from then on.
    Shed(Timestamp),
    /// To be cleared.
    Read,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Timestamp,
    /// Neither a ring nor a new message ends it.
    hard: bool,
    /// The network ends it.
    service: bool,
}

/// Drives one modem.
#[derive(Debug)]
pub struct Sbd {
    setup: Setup,
    reader: Reader,
    outputs: VecDeque<Output>,
    state: State,
    phase: Phase,
    ask: Option<Ask>,
    said: Said,
    /// Of the command under way.
    deadline: Timestamp,
    misses: u32,
    imei: Option<String>,
    /// The buffers, as asked for since anything could have changed them.
    status: Option<StatusAnswer>,
    /// Time has passed since.
    stale: bool,
    outbox: VecDeque<Outgoing>,
    /// Message that stands in the modem's buffer.
    loaded: Option<u64>,
    /// What stands in the modem's buffer was sent.
    clear_sent: bool,
    flight: Option<Flight>,
    /// Tries of the first message of the outbox.
    tries: usize,
    /// Sessions for the mailbox that failed in a row.
    looks: u32,
    pause: Option<Pause>,
    /// Status 38 came: how long is to be waited is asked first.
    ask_window: bool,
    mail: Mail,
    reads: u32,
    /// The most that came of the message in the buffer while its reads came to harm.
    harmed: Vec<u8>,
    receipts: u64,
    /// Modem and number of the message that was told to the house.
    told: Option<(Option<String>, u16)>,
    /// Those of the last message that is durable and not yet cleared.
    stored: Option<(Option<String>, u16)>,
    /// Number of the message in the buffer.
    mtmsn: Option<u16>,
    ring: bool,
    /// The session under way was begun because of a ring.
    answers_ring: bool,
    /// The modem has just been set up: rings may have been missed.
    fresh: bool,
    /// More messages wait at the gateway.
    more: bool,
    /// When the mailbox is to be looked into; at once in the beginning.
    look_at: Option<Timestamp>,
    signal: Option<u8>,
    service: Option<bool>,
    /// The port is closed because we said so.
    asked_close: bool,
    stopping: bool,
    detached: bool,
    random: u64,
}

impl Sbd {
    /// A driver without a port yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let random = setup.seed | 1;
        Self {
            setup,
            reader: Reader::default(),
            outputs: VecDeque::new(),
            state: State::Absent,
            phase: Phase::Closed,
            ask: None,
            said: Said::default(),
            deadline: Timestamp::UNIX_EPOCH,
            misses: 0,
            imei: None,
            status: None,
            stale: false,
            outbox: VecDeque::new(),
            loaded: None,
            clear_sent: false,
            flight: None,
            tries: 0,
            looks: 0,
            pause: None,
            ask_window: false,
            mail: Mail::Nothing,
            reads: 0,
            harmed: Vec::new(),
            receipts: 0,
            told: None,
            stored: None,
            mtmsn: None,
            ring: false,
            answers_ring: false,
            fresh: false,
            more: false,
            look_at: None,
            signal: None,
            service: None,
            asked_close: false,
            stopping: false,
            detached: false,
            random,
        }
    }

    /// How it is with the modem.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The port was opened.
    pub fn handle_opened(&mut self, now: Timestamp) {
        if self.state == State::Absent {
            self.turn(State::Probing);
        }
        self.misses = 0;
        // Ends a prompt that somebody left.
        self.outputs.push_back(Output::Transmit(vec![ESCAPE]));
        self.probe(now);
    }

    /// The port was closed, broke, or could not be opened. What the modem held is unknown from here
    /// on; a message that was on its way is asked about when it is back.
    pub fn handle_closed(&mut self, _now: Timestamp) {
        if !std::mem::take(&mut self.asked_close) {
            self.turn(State::Absent);
        }
        self.leave();
    }

    /// Takes bytes off the wire. Any bytes at all are legal input.
    pub fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]) {
        for byte in bytes {
            if self.phase == Phase::Closed {
                return;
            }
            match self.reader.push(*byte) {
                Some(Token::Line(line)) => self.line(now, &line),
                Some(Token::Buffer(bytes)) => {
                    self.said.buffer = Some(bytes);
                    self.hasten(now);
                }
                None => {}
            }
        }
    }

    /// The message of this receipt was decided about; only now may it be cleared in the modem.
    pub fn handle_durable(&mut self, now: Timestamp, receipt: Receipt, durable: Durable) {
        if self.mail != Mail::Told(receipt) {
            return;
        }
        match durable {
            Durable::Shed => self.mail = Mail::Shed(after(now, SHED_WAIT)),
            Durable::Stored => {
                self.stored = self.told.take();
                // Without a number nobody can tell whether it is the same one still.
                let known = self.stored.is_some();
                self.mail = if known { Mail::Nothing } else { Mail::Read };
                self.status = None;
            }
        }
        self.go(now);
    }

    /// Takes a message for sending; its outcome comes as [`Event::Sent`], unless the driver is
    /// dropped first: then a message that was being sent may have gone.
    ///
    /// # Errors
    ///
    /// When it is empty or too long, or too many wait.
    pub fn send(&mut self, now: Timestamp, outgoing: Outgoing) -> Result<(), SendError> {
        let size = outgoing.bytes.0.len();
        let limit = self.setup.mo_size_max;
        if size == 0 {
            return Err(SendError::Empty);
        }
        if !takes(size, limit) {
            return Err(SendError::TooLong { size, limit });
        }
        if self.outbox.len() >= OUTBOX_COUNT_MAX {
            return Err(SendError::Full { limit: OUTBOX_COUNT_MAX });
        }
        if self.outbox.is_empty() {
            self.end_pause(|pause| !pause.hard);
            self.tries = 0;
        }
        self.outbox.push_back(outgoing);
        self.go(now);
        Ok(())
    }

    /// Leaves the modem so that its power may go: detaches it from the network, and has it write
    /// down what it must keep. Ends with [`Output::Close`]; a session under way is waited for. What
    /// waits and has not begun to go is given back.
    pub fn stop(&mut self, now: Timestamp) {
        self.stopping = true;
        let kept = usize::from(self.is_going());
        while self.outbox.len() > kept {
            let Some(back) = self.outbox.pop_back() else { break };
            if self.loaded == Some(back.id) {
                self.loaded = None;
                self.clear_sent = true;
            }
            self.say(Event::Sent(back.id, Outcome::Failed(Failure::Stopped)));
        }
        match self.phase {
            Phase::Closed => {}
            Phase::Working => self.go(now),
            Phase::Probing(_) | Phase::Settling(_) | Phase::SettingUp => self.close(),
        }
    }

    /// The time that [`Output::Idle`] named has come.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.give_up(now);
        match self.phase {
            Phase::Closed => {}
            Phase::Settling(until) if now >= until => {
                self.phase = Phase::SettingUp;
                self.begin(now, Ask::Set(0));
            }
            Phase::Settling(_) => {}
            Phase::Probing(_) | Phase::SettingUp | Phase::Working
                if self.ask.is_some() && now >= self.deadline =>
            {
                self.late(now);
            }
            Phase::Probing(_) | Phase::SettingUp | Phase::Working => self.go(now),
        }
    }

    /// The next thing to do; to be drained to `Idle` after every call.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(self.wake()))
    }

    // Lines.

    fn line(&mut self, now: Timestamp, line: &[u8]) {
        let read = Line::read(line);
        if let Line::Urc(urc) = read {
            return self.unasked(now, urc);
        }
        // A ring that cut into something else: that is lost, the ring need not be.
        if holds_ring(line) {
            self.unasked(now, Urc::Ring);
        }
        let Some(ask) = self.ask else { return };
        match (ask, read) {
            (_, Line::Ok) => self.finish(now),
            (Ask::Probe, Line::Code(0)) => self.finish(now),
            (Ask::Set(index), Line::Code(_)) if index <= DIGITS_UNTIL => self.finish(now),
            (_, Line::Error) => {
                self.said = Said { refused: true, ..Said::default() };
                self.finish(now);
            }
            (Ask::Load, Line::Ready) => self.hand_over(now),
            (Ask::Load | Ask::Data | Ask::ClearSent | Ask::ClearRead, Line::Code(code)) => {
                self.said.code = Some(code);
                self.hasten(now);
            }
            (Ask::Session, Line::Session(answer)) => {
                self.said.session = Some(answer);
                self.hasten(now);
            }
            (Ask::Status, Line::Status(answer)) => {
                self.said.status = Some(answer);
                self.hasten(now);
            }
            (Ask::Window, Line::Window(seconds)) => {
                self.said.window_s = Some(seconds);
                self.hasten(now);
            }
            (Ask::Set(_), Line::Imei(imei)) => self.said.imei = Some(imei),
            _ => {}
        }
    }

    fn unasked(&mut self, now: Timestamp, urc: Urc) {
        match urc {
            Urc::Ring => {
                self.ring = true;
                self.looks = 0;
                self.end_pause(|pause| !pause.hard);
            }
            Urc::Signal(bars) => {
                if self.signal.replace(bars) != Some(bars) {
                    self.say(Event::Signal(bars));
                }
            }
            Urc::Service(available) => {
                if self.service.replace(available) != Some(available) {
                    self.say(Event::Service(available));
                }
                self.end_pause(|pause| pause.service && available);
            }
            Urc::HardwareFailure { part, error } => {
                self.say(Event::Trouble(Trouble::HardwareFailure { part, error }));
            }
            Urc::Area { .. } => {}
        }
        self.go(now);
    }

    /// The answer is here; its `OK` follows at once or is lost.
    fn hasten(&mut self, now: Timestamp) {
        self.deadline = self.deadline.min(after(now, FINAL_MAX));
    }

    // Commands.

    fn begin(&mut self, now: Timestamp, ask: Ask) {
        let (command, limit) = match ask {
            Ask::Probe => ("AT".to_owned(), PROBE_EVERY),
            Ask::Set(index) => {
                let command = SETTINGS.get(index).copied().unwrap_or("AT");
                (command.to_owned(), COMMAND_MAX)
            }
            Ask::Status => ("AT+SBDSX".to_owned(), COMMAND_MAX),
            Ask::Load => {
                let size = self.outbox.front().map_or(0, |first| first.bytes.0.len());
                (load_command(size), READY_MAX)
            }
            Ask::Data => (String::new(), LOAD_MAX),
            Ask::Session if self.answers_ring => ("AT+SBDIXA".to_owned(), SESSION_MAX),
            Ask::Session => ("AT+SBDIX".to_owned(), SESSION_MAX),
            Ask::ClearSent => ("AT+SBDD0".to_owned(), COMMAND_MAX),
            Ask::Read => ("AT+SBDRB".to_owned(), READ_MAX),
            Ask::ClearRead => ("AT+SBDD1".to_owned(), COMMAND_MAX),
            Ask::Window => ("AT+SBDLOE".to_owned(), COMMAND_MAX),
            Ask::Detach => ("AT+SBDDET".to_owned(), LEAVE_MAX),
            Ask::Flush => ("AT*F".to_owned(), LEAVE_MAX),
        };
        self.ask = Some(ask);
        self.said = Said::default();
        self.deadline = after(now, limit);
        if ask == Ask::Read {
            self.reader.expect_buffer();
        }
        if ask != Ask::Data {
            self.outputs.push_back(Output::Transmit([command.as_bytes(), b"\r"].concat()));
        }
    }

    /// `READY` came: the message goes.
    fn hand_over(&mut self, now: Timestamp) {
        let data = self.outbox.front().map_or_else(Vec::new, |first| load_data(&first.bytes.0));
        self.begin(now, Ask::Data);
        self.outputs.push_back(Output::Transmit(data));
    }

    /// The command under way has ended.
    fn finish(&mut self, now: Timestamp) {
        let Some(ask) = self.ask.take() else { return };
        let said = std::mem::take(&mut self.said);
        let part = self.reader.expect_lines();
        match ask {
            Ask::Probe => return self.phase = Phase::Settling(after(now, SETTLE)),
            Ask::Set(IMEI_INDEX) if said.imei.is_none() && !said.refused => {
                return self.missed(now);
            }
            Ask::Set(index) => {
                if index == IMEI_INDEX {
                    self.imei = said.imei;
                }
                return self.set_up(now, index);
            }
            Ask::Status => match said.status {
                Some(status) => self.took_status(now, status),
                None => return self.missed(now),
            },
            Ask::Load | Ask::Data => match said.code.and_then(LoadResult::from_code) {
                Some(LoadResult::Stored) => self.stands_loaded(),
                Some(LoadResult::BadLength) => self.end(Outcome::Failed(Failure::BadLength)),
                Some(LoadResult::TimedOut | LoadResult::BadChecksum) | None => {
                    return self.missed(now);
                }
            },
            Ask::Session => {
                self.status = None;
                match said.session {
                    Some(answer) => self.took_session(now, &answer),
                    None => return self.no_session(now),
                }
            }
            Ask::ClearSent | Ask::ClearRead if said.code != Some(0) => return self.missed(now),
            Ask::ClearSent => {
                self.clear_sent = false;
                self.status = None;
            }
            Ask::Read => return self.took_mail(now, &said.buffer.unwrap_or(part)),
            Ask::ClearRead => {
                self.mail = Mail::Nothing;
                self.stored = None;
                self.status = None;
            }
            Ask::Window => self.took_window(now, said.window_s),
            Ask::Detach => self.detached = true,
            Ask::Flush => return self.close(),
        }
        self.misses = 0;
        self.go(now);
    }

    fn set_up(&mut self, now: Timestamp, index: usize) {
        let next = index.saturating_add(1);
        if next < SETTINGS.len() {
            return self.begin(now, Ask::Set(next));
        }
        self.phase = Phase::Working;
        self.fresh = true;
        self.go(now);
    }

    /// No end came in time.
    fn late(&mut self, now: Timestamp) {
        let Some(ask) = self.ask else { return };
        match ask {
            Ask::Probe => {
                let Phase::Probing(since) = self.phase else { return };
                if now.duration_since(since) >= PROBE_MAX {
                    return self.give_in();
                }
                self.begin(now, Ask::Probe);
            }
            Ask::Set(_) => self.missed(now),
            // The answer is here, or will not come any more; what ended it does not matter.
            Ask::Status
            | Ask::Load
            | Ask::Data
            | Ask::Session
            | Ask::ClearSent
            | Ask::Read
            | Ask::ClearRead
            | Ask::Window
            | Ask::Detach
            | Ask::Flush => self.finish(now),
        }
    }

    /// An answer did not come, or came to harm: finds out whether the modem is there still.
    fn missed(&mut self, now: Timestamp) {
        self.misses = self.misses.saturating_add(1);
        if self.misses >= MISSES_MAX {
            return self.give_in();
        }
        self.probe(now);
    }

    fn probe(&mut self, now: Timestamp) {
        if self.stopping {
            return self.close();
        }
        self.reader = Reader::default();
        self.status = None;
        self.phase = Phase::Probing(now);
        self.begin(now, Ask::Probe);
    }

    fn give_in(&mut self) {
        self.turn(State::Silent);
        self.close();
    }

    fn close(&mut self) {
        self.leave();
        self.asked_close = !self.stopping;
        self.outputs.push_back(Output::Close);
    }

    /// Nothing is known of the modem any more.
    fn leave(&mut self) {
        if self.ask == Some(Ask::Read) {
            let part = self.reader.expect_lines();
            let came = self.said.buffer.take().unwrap_or(part);
            self.keep_harmed(&came);
        }
        self.phase = Phase::Closed;
        self.ring |= self.ask.take() == Some(Ask::Session) && self.answers_ring;
        self.said = Said::default();
        self.reader = Reader::default();
        self.status = None;
        self.loaded = None;
        self.clear_sent = false;
        self.signal = None;
        self.service = None;
        if matches!(self.mail, Mail::Unread | Mail::Read) {
            self.mail = Mail::Nothing;
        }
    }

    // What to do next.

    fn go(&mut self, now: Timestamp) {
        if self.phase != Phase::Working || self.ask.is_some() {
            return;
        }
        if let Some(ask) = self.plan(now) {
            if ask == Ask::Session {
                self.take_off(now);
            }
            self.begin(now, ask);
        }
    }

    /// The next command, or nothing until time passes or something comes.
    fn plan(&mut self, now: Timestamp) -> Option<Ask> {
        if self.stopping {
            return Some(if self.detached { Ask::Flush } else { Ask::Detach });
        }
        self.give_up(now);
        let Some(status) = self.status else { return Some(Ask::Status) };
        if self.clear_sent {
            return Some(Ask::ClearSent);
        }
        match self.mail {
            Mail::Read => return Some(Ask::ClearRead),
            Mail::Unread => return Some(Ask::Read),
            Mail::Shed(until) if now >= until => return Some(Ask::Read),
            // A session would wipe out what nobody has on a disk yet.
            Mail::Told(_) | Mail::Shed(_) => {
                self.stale = true;
                return None;
            }
            Mail::Nothing => {}
        }
        if self.ask_window {
            return Some(Ask::Window);
        }
        if self.pause.is_some_and(|pause| now < pause.until) || !self.has_work(now) {
            self.stale = true;
            return None;
        }
        if self.stale {
            // A modem that was reset meanwhile has lost what it was given, and an empty session
            // would look like one with the message.
            return Some(Ask::Status);
        }
        self.pause = None;
        match self.outbox.front() {
            Some(first) if status.mo && self.loaded == Some(first.id) => Some(Ask::Session),
            Some(_) => Some(Ask::Load),
            // Whatever stands there would be sent, and paid for.
            None if status.mo => Some(Ask::ClearSent),
            None => Some(Ask::Session),
        }
    }

    fn has_work(&self, now: Timestamp) -> bool {
        let look = self.look_at.is_none_or(|at| now >= at);
        !self.outbox.is_empty() || self.ring || self.more || look
    }

    fn took_status(&mut self, now: Timestamp, status: StatusAnswer) {
        // A modem of another kind may take every setting; only one of this kind has such buffers.
        self.turn(State::Ready);
        self.status = Some(status);
        self.stale = false;
        // Later ones are heard.
        let fresh = std::mem::take(&mut self.fresh);
        self.ring |= status.ring && fresh;
        if status.mt && matches!(self.mail, Mail::Nothing) {
            self.mtmsn = status.mtmsn;
            let number = status.mtmsn.map(|number| (self.imei.clone(), number));
            let same = number.is_some() && number == self.stored;
            self.mail = if same { Mail::Read } else { Mail::Unread };
            self.reads = 0;
        }
        if !status.mt && matches!(self.mail, Mail::Nothing) && !self.harmed.is_empty() {
            self.tell_harmed();
        }
        if let Some(flight) = self.flight.take() {
            self.more |= flight.answer.is_none() && status.waiting > 0;
            self.land(now, &flight, status.momsn);
        }
    }

    fn wake(&self) -> Option<Timestamp> {
        let lost = self.flight.as_ref().map(|flight| after(flight.begun_at, UNCERTAIN_AFTER));
        let over = self.outbox.iter().filter_map(|each| each.until).min();
        let over = over.filter(|_| !self.is_going());
        let idle = match self.phase {
            Phase::Closed => lost,
            Phase::Settling(until) => Some(until),
            Phase::Probing(_) | Phase::SettingUp | Phase::Working => {
                if self.ask.is_some() {
                    Some(self.deadline)
                } else {
                    self.idle_until()
                }
            }
        };
        [idle, over].into_iter().flatten().min()
    }

    /// When there is something to do with nothing under way.
    fn idle_until(&self) -> Option<Timestamp> {
        match self.mail {
            Mail::Told(_) => return None,
            Mail::Shed(until) => return Some(until),
            Mail::Nothing | Mail::Unread | Mail::Read => {}
        }
        match self.pause {
            Some(pause) => Some(pause.until.max(self.work_at())),
            None => Some(self.work_at()),
        }
    }

    fn work_at(&self) -> Timestamp {
        let at_once = !self.outbox.is_empty() || self.ring || self.more;
        if at_once { Timestamp::MIN } else { self.look_at.unwrap_or(Timestamp::MIN) }
    }

    fn end_pause(&mut self, which: impl Fn(&Pause) -> bool) {
        if self.pause.as_ref().is_some_and(which) {
            self.pause = None;
        }
    }

    fn turn(&mut self, state: State) {
        if std::mem::replace(&mut self.state, state) != state {
            self.say(Event::State(state));
        }
    }

    fn say(&mut self, event: Event) {
        self.outputs.push_back(Output::Say(event));
    }
}

fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(now)
}

fn is_over(outgoing: &Outgoing, now: Timestamp) -> bool {
    outgoing.until.is_some_and(|until| now >= until)
}

fn holds_ring(bytes: &[u8]) -> bool {
    bytes.windows(RING.len()).any(|part| part == RING)
}

const RING: &[u8] = b"SBDRING";
const ESCAPE: u8 = 0x1B;
