//! A short-burst modem of the 9602's kind, with its sky and its gateway: what is typed goes in, what
//! it says comes out. It has no line of its own and no clock; [`crate::satphone`] gives it both.
//!
//! It speaks SBD alone, as a 9602 does: no SMS, no calls. As it leaves the factory it echoes.

use std::collections::VecDeque;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// Longest message that is sent, bytes.
pub const SENT_SIZE_MAX: usize = 340;
/// Longest message that comes, bytes.
pub const CAME_SIZE_MAX: usize = 270;
/// The gateway keeps so many messages for one modem.
pub const QUEUE_MAX: usize = 50;
/// How long the modem waits for the bytes of a message.
const LOAD_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Longest command line, bytes.
const COMMAND_SIZE_MAX: usize = 256;
/// First frame of the era that went into the air in 2026, Unix seconds; a frame is 90 ms.
const ERA_S: i64 = 1_739_556_857;
/// The era before.
const OLD_ERA_S: i64 = 1_399_818_235;

/// What is above the antenna, and at the other end.
#[derive(Clone, Debug)]
pub struct Sky {
    /// Bars of signal, 0 to 5. With 0 every session ends with status 32.
    pub bars: u8,
    /// How long a session takes.
    pub session: SignedDuration,
    /// Status of each session to come; after them all go well.
    pub fates: VecDeque<u8>,
    /// Messages that wait at the gateway.
    pub queue: VecDeque<Vec<u8>>,
    /// Whether the network's clock still counts from the era before.
    pub old_era: bool,
}

impl Default for Sky {
    fn default() -> Self {
        let session = SignedDuration::from_secs(5);
        Self { bars: 5, session, fates: VecDeque::new(), queue: VecDeque::new(), old_era: false }
    }
}

/// Something that goes wrong once, as soon as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An answer's `OK` is lost.
    LostOk,
    /// A session takes place and its whole answer is lost.
    LostSession,
    /// A message that is read breaks off after so many bytes.
    CutBuffer(usize),
    /// A message that is read has a wrong checksum.
    WrongChecksum,
    /// The modem starts anew after so many bytes of a message that is read: buffers empty, echo on.
    Reset(usize),
    /// So many bytes into what is said, a ring cuts in.
    Ring(usize),
    /// So many bytes into what is said, one is lost.
    Lost(usize),
    /// So many bytes into what is said, one comes twice.
    Doubled(usize),
    /// Bytes without a meaning come before an answer.
    Garbage,
    /// Nothing is heard and nothing said for so many seconds.
    Silence(i64),
    /// The line is cut, and comes back; [`crate::satphone`] does that.
    HangUp,
}

/// A word that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no fault; give lost-ok, lost-session, cut=BYTES, wrong-checksum, reset=BYTES, \
     ring=BYTES, lost=BYTES, doubled=BYTES, garbage, silence=SECONDS or hang-up"
)]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let unknown = || UnknownFault(text.to_owned());
        let (name, number) = text.split_once('=').map_or((text, None), |(a, b)| (a, Some(b)));
        let bytes = || number.and_then(|number| number.parse().ok()).ok_or_else(unknown);
        Ok(match (name, number) {
            ("lost-ok", None) => Self::LostOk,
            ("lost-session", None) => Self::LostSession,
            ("wrong-checksum", None) => Self::WrongChecksum,
            ("garbage", None) => Self::Garbage,
            ("hang-up", None) => Self::HangUp,
            ("cut", _) => Self::CutBuffer(bytes()?),
            ("reset", _) => Self::Reset(bytes()?),
            ("ring", _) => Self::Ring(bytes()?),
            ("lost", _) => Self::Lost(bytes()?),
            ("doubled", _) => Self::Doubled(bytes()?),
            ("silence", _) => {
                let seconds = number.and_then(|number| number.parse().ok());
                Self::Silence(seconds.filter(|seconds| *seconds >= 0).ok_or_else(unknown)?)
            }
            _ => return Err(unknown()),
        })
    }
}

/// What is typed.
#[derive(Debug)]
enum Typing {
    Command(Vec<u8>),
    /// The bytes of a message, until then.
    Message {
        size: usize,
        bytes: Vec<u8>,
        until: Timestamp,
    },
    /// The text of a message, to its CR.
    Text {
        bytes: Vec<u8>,
        until: Timestamp,
    },
}

/// The modem.
#[derive(Debug)]
pub struct Modem {
    /// What is above it.
    pub sky: Sky,
    /// What will go wrong.
    pub faults: Vec<Fault>,
    /// Its serial number, 15 digits.
    pub imei: String,
    /// Number of the next message that is sent; one more with each session that goes well.
    pub momsn: u16,
    /// Number of the last message that came.
    pub mtmsn: u16,
    /// What the gateway got.
    pub sent: Vec<Vec<u8>>,
    /// Commands that were obeyed.
    pub commands: Vec<String>,
    outgoing: Option<Vec<u8>>,
    incoming: Option<Vec<u8>>,
    echo: bool,
    words: bool,
    rings: bool,
    tells_signal: bool,
    ring_flag: bool,
    waiting: usize,
    typing: Typing,
    /// A session, and when it ends.
    session: Option<Timestamp>,
    silent_until: Option<Timestamp>,
    said: usize,
}

impl Modem {
    /// As it leaves the factory.
    #[must_use]
    pub fn new(sky: Sky) -> Self {
        Self {
            sky,
            faults: Vec::new(),
            imei: "300234010753370".to_owned(),
            momsn: 0,
            mtmsn: 0,
            sent: Vec::new(),
            commands: Vec::new(),
            outgoing: None,
            incoming: None,
            echo: true,
            words: true,
            rings: false,
            tells_signal: false,
            ring_flag: false,
            waiting: 0,
            typing: Typing::Command(Vec::new()),
            session: None,
            silent_until: None,
            said: 0,
        }
    }

    /// What stands in the buffer for sending.
    #[must_use]
    pub fn loaded(&self) -> Option<&[u8]> {
        self.outgoing.as_deref()
    }

    /// What stands in the buffer of what came.
    #[must_use]
    pub fn unread(&self) -> Option<&[u8]> {
        self.incoming.as_deref()
    }

    /// Takes what is typed; gives what it says to it.
    pub fn hear(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        if self.is_silent(now) {
            return said;
        }
        for byte in bytes {
            self.key(now, *byte, &mut said);
        }
        self.spoil(said)
    }

    /// What it says because time has passed; to be called when [`Self::wake`] has come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<u8> {
        if self.is_silent(now) {
            return Vec::new();
        }
        let mut said = Vec::new();
        if self.session.is_some_and(|end| now >= end) {
            self.session = None;
            self.end_session(&mut said);
        }
        let late = match &self.typing {
            Typing::Command(_) => false,
            Typing::Message { until, .. } | Typing::Text { until, .. } => now >= *until,
        };
        if late {
            self.typing = Typing::Command(Vec::new());
            self.inform("1", &mut said);
            self.end(true, &mut said);
        }
        self.spoil(said)
    }

    /// When it has something to do.
    #[must_use]
    pub fn wake(&self) -> Option<Timestamp> {
        let typing = match &self.typing {
            Typing::Command(_) => None,
            Typing::Message { until, .. } | Typing::Text { until, .. } => Some(*until),
        };
        let next = [self.session, typing].into_iter().flatten().min();
        next.map(|next| self.silent_until.map_or(next, |until| until.max(next)))
    }

    /// A message comes to the gateway; gives the ring, if rings are on. `false` when there is no room.
    pub fn call(&mut self, message: &[u8]) -> (bool, Vec<u8>) {
        if self.sky.queue.len() >= QUEUE_MAX {
            return (false, Vec::new());
        }
        self.sky.queue.push_back(message.to_vec());
        if !self.rings || self.sky.bars == 0 {
            return (true, Vec::new());
        }
        self.ring_flag = true;
        (true, self.spoil(b"\r\nSBDRING\r\n".to_vec()))
    }

    /// The sky changes; gives what the modem says of it.
    pub fn look_up(&mut self, bars: u8) -> Vec<u8> {
        let before = std::mem::replace(&mut self.sky.bars, bars);
        if !self.tells_signal || before == bars {
            return Vec::new();
        }
        let mut said = format!("\r\n+CIEV:0,{bars}\r\n");
        if (before == 0) != (bars == 0) {
            said.push_str(&format!("\r\n+CIEV:1,{}\r\n", u8::from(bars > 0)));
        }
        self.spoil(said.into_bytes())
    }

    /// The power was off: both buffers are empty, settings are the factory's.
    pub fn restart(&mut self) {
        self.outgoing = None;
        self.incoming = None;
        self.factory();
        self.rings = false;
        self.tells_signal = false;
        self.typing = Typing::Command(Vec::new());
        self.session = None;
    }

    /// Whether this fault waits; it is then done with.
    pub fn takes(&mut self, fault: Fault) -> bool {
        let index = self.faults.iter().position(|each| *each == fault);
        index.map(|index| self.faults.remove(index)).is_some()
    }

    fn factory(&mut self) {
        self.echo = true;
        self.words = true;
    }

    fn is_silent(&mut self, now: Timestamp) -> bool {
        let silence = self.faults.iter().position(|each| matches!(each, Fault::Silence(_)));
        if let Some(index) = silence
            && let Fault::Silence(seconds) = self.faults.remove(index)
        {
            self.silent_until = Some(after(now, SignedDuration::from_secs(seconds)));
        }
        self.silent_until.is_some_and(|until| now < until)
    }

    fn key(&mut self, now: Timestamp, byte: u8, said: &mut Vec<u8>) {
        match &mut self.typing {
            Typing::Message { size, bytes, .. } => {
                bytes.push(byte);
                if bytes.len() == *size + 2 {
                    self.store(said);
                }
                return;
            }
            Typing::Text { bytes, .. } if byte != b'\r' => {
                bytes.push(byte);
                return;
            }
            Typing::Text { bytes, .. } => {
                let text = std::mem::take(bytes);
                self.typing = Typing::Command(Vec::new());
                self.outgoing = Some(text);
                self.inform("0", said);
                return self.end(true, said);
            }
            Typing::Command(line) => match byte {
                // It leaves a prompt, of which there are none.
                ESCAPE => line.clear(),
                b'\n' | b'\r' => {}
                _ if line.len() >= COMMAND_SIZE_MAX => {}
                byte => line.push(byte),
            },
        }
        if self.echo && byte != b'\n' && byte != ESCAPE {
            said.push(byte);
        }
        if byte == b'\r'
            && let Typing::Command(line) = &mut self.typing
        {
            let line = String::from_utf8_lossy(&std::mem::take(line)).trim().to_owned();
            self.obey(now, &line, said);
        }
    }

    fn store(&mut self, said: &mut Vec<u8>) {
        let Typing::Message { size, bytes, .. } =
            std::mem::replace(&mut self.typing, Typing::Command(Vec::new()))
        else {
            return;
        };
        let (message, tail) = bytes.split_at(size);
        let right = tail == sum(message);
        if right {
            self.outgoing = Some(message.to_vec());
        }
        self.inform(if right { "0" } else { "2" }, said);
        self.end(true, said);
    }

    /// A line of commands, one after the other.
    fn obey(&mut self, now: Timestamp, line: &str, said: &mut Vec<u8>) {
        let upper = line.to_ascii_uppercase();
        let Some(commands) = upper.strip_prefix("AT") else {
            if !line.is_empty() {
                self.end(false, said);
            }
            return;
        };
        // During a session nothing is heard.
        if self.session.is_some() {
            return;
        }
        // Text keeps its case, and what else it holds.
        if commands.starts_with("+SBDWT=") {
            self.commands.push("AT+SBDWT=".to_owned());
            let text = line.get("AT+SBDWT=".len()..).unwrap_or_default();
            let fits = text.len() <= TEXT_SIZE_MAX;
            if fits {
                self.outgoing = Some(text.as_bytes().to_vec());
            }
            return self.end(fits, said);
        }
        for command in commands.split(';') {
            self.commands.push(format!("AT{command}"));
            let done = match command.chars().next() {
                None => Some(true),
                Some('+' | '-') => self.extended(now, command, said),
                Some(_) => Some(self.basic(command)),
            };
            match done {
                Some(true) => {}
                Some(false) => return self.end(false, said),
                None => return,
            }
        }
        self.end(true, said);
    }

    /// `E0V1&K0` and the like.
    fn basic(&mut self, commands: &str) -> bool {
        let mut rest = commands;
        while !rest.is_empty() {
            let end = rest.char_indices().skip(1).find(|(_, sign)| !sign.is_ascii_digit());
            let end = if rest.starts_with(['&', '*']) {
                let digits = rest.char_indices().skip(2).find(|(_, sign)| !sign.is_ascii_digit());
                digits.map_or(rest.len(), |(at, _)| at)
            } else {
                end.map_or(rest.len(), |(at, _)| at)
            };
            let (command, after) = rest.split_at(end);
            rest = after;
            match command {
                "E" | "E0" => self.echo = false,
                "E1" => self.echo = true,
                "V" | "V0" => self.words = false,
                "V1" => self.words = true,
                "&F" | "&F0" | "Z" | "Z0" => self.factory(),
                "&K" | "&K0" | "&K3" | "&D" | "&D0" | "&D1" | "&D2" | "&D3" | "&W" | "&W0"
                | "&W1" | "&Y" | "&Y0" | "&Y1" | "*F" | "*R" | "*R0" | "*R1" | "Q" | "Q0" => {}
                _ => return false,
            }
        }
        true
    }

    /// Whether it went well; `None` when its end comes later.
    fn extended(&mut self, now: Timestamp, command: &str, said: &mut Vec<u8>) -> Option<bool> {
        let (name, value) = command.split_once('=').map_or((command, None), |(a, b)| (a, Some(b)));
        let line = match (name, value) {
            ("+SBDIX" | "+SBDIXA" | "+SBDI", _) => {
                self.incoming = None;
                self.session = Some(after(now, self.sky.session));
                return None;
            }
            ("+SBDWB", Some(size)) => return self.announce(now, size, said),
            ("+SBDWT", None) => {
                self.inform("READY", said);
                let until = after(now, LOAD_MAX);
                self.typing = Typing::Text { bytes: Vec::new(), until };
                return None;
            }
            ("+SBDRB", None) => {
                self.give(said);
                return Some(true);
            }
            ("+SBDMTA", Some(on @ ("0" | "1"))) => {
                self.rings = on == "1";
                return Some(true);
            }
            ("+CIER", Some(modes)) => {
                self.tells_signal = modes.starts_with('1');
                return Some(true);
            }
            ("+SBDST" | "+SBDAREG" | "+CFUN" | "+CMEE" | "+CREG", Some(_)) => return Some(true),
            (name, None) => self.answer(now, name)?,
            _ => return Some(false),
        };
        if line.is_empty() {
            return Some(false);
        }
        self.inform(&line, said);
        Some(true)
    }

    /// The one line of a plain question; empty when nobody knows it.
    fn answer(&mut self, now: Timestamp, name: &str) -> Option<String> {
        Some(match name {
            "+CGMI" | "+GMI" => "Iridium".to_owned(),
            "+CGMM" | "+GMM" => "IRIDIUM 9600 Family SBD Transceiver".to_owned(),
            "+CGMR" | "+GMR" => "Call Processor Version: TA16005".to_owned(),
            "+CGSN" | "+GSN" => self.imei.clone(),
            "+CSQ" | "+CSQF" => format!("{name}:{}", self.sky.bars).replace("CSQF", "CSQ"),
            "+SBDD0" | "+SBDD1" | "+SBDD2" => {
                if !name.ends_with('1') {
                    self.outgoing = None;
                }
                if !name.ends_with('0') {
                    self.incoming = None;
                }
                "0".to_owned()
            }
            "+SBDTC" => {
                let copy = self.outgoing.clone().unwrap_or_default();
                let size = copy.len();
                self.incoming = Some(copy);
                format!("SBDTC: Outbound SBD Copied to Inbound SBD: size = {size}")
            }
            "+SBDRT" => {
                let message = self.incoming.as_deref().unwrap_or_default();
                format!("+SBDRT:\r\n{}", String::from_utf8_lossy(message))
            }
            "+SBDS" => {
                let [out, came] = self.buffers();
                format!("+SBDS: {out}, {}, {came}, {}", self.momsn, self.last_came())
            }
            "+SBDSX" => {
                let ([out, came], ring) = (self.buffers(), u8::from(self.ring_flag));
                let (momsn, mtmsn, waiting) = (self.momsn, self.last_came(), self.waiting);
                format!("+SBDSX: {out}, {momsn}, {came}, {mtmsn}, {ring}, {waiting}")
            }
            "+SBDREG" => "+SBDREG:2,0".to_owned(),
            "+SBDREG?" => "+SBDREG:2".to_owned(),
            "+SBDDET" => "+SBDDET:0,0".to_owned(),
            "+SBDLOE" => "+SBDLOE:0,60".to_owned(),
            "+SBDGW" => "+SBDGW:NON-EMSS".to_owned(),
            "+SBDMTA?" => format!("+SBDMTA:{}", u8::from(self.rings)),
            "+CREG?" => "+CREG:000,001".to_owned(),
            "+CRIS" => "+CRIS:000,001".to_owned(),
            "-MSSTM" if self.sky.bars == 0 => "-MSSTM: no network service".to_owned(),
            "-MSSTM" => {
                let zero = if self.sky.old_era { OLD_ERA_S } else { ERA_S };
                let ms = now.as_millisecond() - zero * 1_000;
                format!("-MSSTM: {:x}", (ms / 90).rem_euclid(1 << 32))
            }
            // Iwaki City Hall, as far as the network can tell.
            "-MSGEO" => "-MSGEO: -3948,3212,3840,24fa3b00".to_owned(),
            _ => String::new(),
        })
    }

    fn buffers(&self) -> [u8; 2] {
        [u8::from(self.outgoing.is_some()), u8::from(self.incoming.is_some())]
    }

    /// Number of the message that came, -1 without one.
    fn last_came(&self) -> i32 {
        if self.incoming.is_some() { i32::from(self.mtmsn) } else { -1 }
    }

    fn announce(&mut self, now: Timestamp, size: &str, said: &mut Vec<u8>) -> Option<bool> {
        let size = size.parse().ok().filter(|size| (1..=SENT_SIZE_MAX).contains(size));
        let Some(size) = size else {
            self.inform("3", said);
            return Some(true);
        };
        self.inform("READY", said);
        self.typing = Typing::Message { size, bytes: Vec::new(), until: after(now, LOAD_MAX) };
        None
    }

    /// The message in the buffer, without a mark before it.
    fn give(&mut self, said: &mut Vec<u8>) {
        let message = self.incoming.clone().unwrap_or_default();
        let size = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let mut answer = [&size.to_be_bytes()[..], &message, &sum(&message)].concat();
        if self.takes(Fault::WrongChecksum)
            && let Some(last) = answer.last_mut()
        {
            *last ^= 0x55;
        }
        let cut = self.faults.iter().position(|fault| matches!(fault, Fault::CutBuffer(_)));
        if let Some(index) = cut
            && let Fault::CutBuffer(size) = self.faults.remove(index)
        {
            answer.truncate(size);
        }
        let reset = self.faults.iter().position(|fault| matches!(fault, Fault::Reset(_)));
        if let Some(index) = reset
            && let Fault::Reset(size) = self.faults.remove(index)
        {
            answer.truncate(size);
            self.restart();
        }
        said.extend(answer);
    }

    fn end_session(&mut self, said: &mut Vec<u8>) {
        let no_network = u8::from(self.sky.bars == 0) * 32;
        let status = self.sky.fates.pop_front().unwrap_or(no_network);
        let momsn = self.momsn;
        let (mut mt, mut size) = (2, 0);
        if status <= 4 {
            self.sent.extend(self.outgoing.clone());
            self.momsn = self.momsn.wrapping_add(1);
            self.ring_flag = false;
            mt = 0;
            if let Some(mut message) = self.sky.queue.pop_front() {
                message.truncate(CAME_SIZE_MAX);
                (mt, size) = (1, message.len());
                self.mtmsn = self.mtmsn.wrapping_add(1);
                self.incoming = Some(message);
            }
            self.waiting = self.sky.queue.len();
        }
        if self.takes(Fault::LostSession) {
            return;
        }
        let mtmsn = if mt == 1 { self.mtmsn } else { 0 };
        let waiting = self.waiting;
        self.inform(&format!("+SBDIX: {status}, {momsn}, {mt}, {mtmsn}, {size}, {waiting}"), said);
        self.end(true, said);
    }

    /// A line of an answer.
    fn inform(&self, line: &str, said: &mut Vec<u8>) {
        let before = if self.words { "\r\n" } else { "" };
        said.extend(format!("{before}{line}\r\n").into_bytes());
    }

    fn end(&mut self, good: bool, said: &mut Vec<u8>) {
        if self.takes(Fault::LostOk) {
            return;
        }
        let end = match (self.words, good) {
            (true, true) => "\r\nOK\r\n",
            (true, false) => "\r\nERROR\r\n",
            (false, true) => "0\r",
            (false, false) => "4\r",
        };
        said.extend(end.as_bytes());
    }

    /// What the line does to what is said.
    fn spoil(&mut self, said: Vec<u8>) -> Vec<u8> {
        if said.is_empty() {
            return said;
        }
        let mut heard = Vec::new();
        if self.takes(Fault::Garbage) {
            heard.extend(b"\xFF\x00~\x7F\r\xFE");
        }
        for byte in said {
            let at = self.said;
            self.said += 1;
            if self.takes(Fault::Ring(at)) {
                heard.extend(b"\r\nSBDRING\r\n");
            }
            if self.takes(Fault::Doubled(at)) {
                heard.push(byte);
            }
            if !self.takes(Fault::Lost(at)) {
                heard.push(byte);
            }
        }
        heard
    }
}

/// Low 16 bits of the sum of all bytes, high byte first.
fn sum(message: &[u8]) -> [u8; 2] {
    let sum = message.iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
    let [_, _, high, low] = sum.to_be_bytes();
    [high, low]
}

fn after(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(now)
}

/// Longest text on a command line, bytes.
const TEXT_SIZE_MAX: usize = 120;
const ESCAPE: u8 = 0x1B;

#[cfg(test)]
mod tests {
    use super::*;

    /// What it says to these lines, told apart by `|`; a session takes no time.
    fn run(modem: &mut Modem, lines: &[&str]) -> String {
        let now = "2026-11-22T23:42:36.2Z".parse().unwrap();
        let mut said = Vec::new();
        for line in lines {
            said.push(modem.hear(now, line.as_bytes()));
            said.push(modem.tick(now));
        }
        said.retain(|said| !said.is_empty());
        let said: Vec<_> = said.iter().map(|said| said.escape_ascii().to_string()).collect();
        said.join("|")
    }

    fn modem() -> Modem {
        let mut modem = Modem::new(Sky { session: SignedDuration::ZERO, ..Sky::default() });
        run(&mut modem, &["ATE0\r"]);
        modem
    }

    #[test]
    fn it_echoes_until_it_is_told_not_to() {
        let mut modem = Modem::new(Sky::default());
        let said = run(&mut modem, &["\x1bAT\r", "ate0v1&k0\r", "AT\r\n", "AT&F0\r", "AT\r"]);
        insta::assert_snapshot!(said, @r"AT\r\r\nOK\r\n|ate0v1&k0\r\r\nOK\r\n|\r\nOK\r\n|\r\nOK\r\n|AT\r\r\nOK\r\n");
    }

    #[test]
    fn it_answers_in_words_and_digits() {
        let said =
            run(&mut modem(), &["AT+CSQ\r", "ATV0\r", "AT+CSQ\r", "AT+NO\r", "AT+CMEE=1;+CGSN\r"]);
        insta::assert_snapshot!(said, @r"\r\n+CSQ:5\r\n\r\nOK\r\n|0\r|+CSQ:5\r\n0\r|4\r|300234010753370\r\n0\r");
    }

    #[test]
    fn a_message_is_loaded_sent_and_stays_in_the_buffer() {
        let mut modem = modem();
        let said = run(
            &mut modem,
            &["AT+SBDWB=5\r", "hello\x02\x14", "AT+SBDIX\r", "AT+SBDSX\r", "AT+SBDD0\r"],
        );
        insta::assert_snapshot!(said, @r"\r\nREADY\r\n|\r\n0\r\n\r\nOK\r\n|\r\n+SBDIX: 0, 0, 0, 0, 0, 0\r\n\r\nOK\r\n|\r\n+SBDSX: 1, 1, 0, -1, 0, 0\r\n\r\nOK\r\n|\r\n0\r\n\r\nOK\r\n");
        assert_eq!((modem.sent, modem.outgoing), (vec![b"hello".to_vec()], None));
    }

    #[test]
    fn wrong_lengths_and_sums_are_told() {
        let said =
            run(&mut modem(), &["AT+SBDWB=0\r", "AT+SBDWB=341\r", "AT+SBDWB=1\r", "\x07\0\0"]);
        insta::assert_snapshot!(said, @r"\r\n3\r\n\r\nOK\r\n|\r\n3\r\n\r\nOK\r\n|\r\nREADY\r\n|\r\n2\r\n\r\nOK\r\n");
        let mut modem = modem();
        run(&mut modem, &["AT+SBDWB=5\r"]);
        let late = modem.wake().unwrap();
        assert_eq!(modem.tick(late), b"\r\n1\r\n\r\nOK\r\n");
    }

    #[test]
    fn a_message_that_came_is_read_as_often_as_somebody_likes() {
        let mut modem = modem();
        modem.sky.queue.extend([b"\r\nOK\r\n".to_vec(), b"two".to_vec()]);
        let said = run(
            &mut modem,
            &["AT+SBDIX\r", "AT+SBDRB\r", "AT+SBDRB\r", "AT+SBDIXA\r", "AT+SBDRT\r"],
        );
        insta::assert_snapshot!(said, @r"\r\n+SBDIX: 0, 0, 1, 1, 6, 1\r\n\r\nOK\r\n|\x00\x06\r\nOK\r\n\x00\xc8\r\nOK\r\n|\x00\x06\r\nOK\r\n\x00\xc8\r\nOK\r\n|\r\n+SBDIX: 0, 1, 1, 2, 3, 0\r\n\r\nOK\r\n|\r\n+SBDRT:\r\ntwo\r\n\r\nOK\r\n");
    }

    #[test]
    fn without_a_sky_nothing_goes() {
        let mut modem = modem();
        run(&mut modem, &["AT+CIER=1,1,1\r", "AT+SBDMTA=1\r"]);
        assert_eq!(modem.look_up(0), b"\r\n+CIEV:0,0\r\n\r\n+CIEV:1,0\r\n");
        let said = run(&mut modem, &["AT+SBDIX\r", "AT-MSSTM\r"]);
        insta::assert_snapshot!(said, @r"\r\n+SBDIX: 32, 0, 2, 0, 0, 0\r\n\r\nOK\r\n|\r\n-MSSTM: no network service\r\n\r\nOK\r\n");
        assert_eq!(modem.call(b"one"), (true, Vec::new()));
        assert_eq!(modem.look_up(4), b"\r\n+CIEV:0,4\r\n\r\n+CIEV:1,1\r\n");
        assert_eq!(modem.call(b"two"), (true, b"\r\nSBDRING\r\n".to_vec()));
        assert_eq!(run(&mut modem, &["AT-MSSTM\r"]), r"\r\n-MSSTM: 24fa3b00\r\n\r\nOK\r\n");
        for _message in 2..QUEUE_MAX {
            assert!(modem.call(b"more").0);
        }
        assert!(!modem.call(b"too many").0);
    }

    #[test]
    fn faults_happen_once() {
        let mut modem = modem();
        for word in ["lost-ok", "garbage", "wrong-checksum", "cut=3"] {
            modem.faults.push(word.parse().unwrap());
        }
        let said = run(&mut modem, &["AT+CSQ\r", "AT+SBDRB\r", "AT+SBDRB\r", "AT\r"]);
        insta::assert_snapshot!(said, @r"\xff\x00~\x7f\r\xfe\r\n+CSQ:5\r\n|\x00\x00\x00\r\nOK\r\n|\x00\x00\x00\x00\r\nOK\r\n|\r\nOK\r\n");
        for (word, fault) in [
            ("ring=7", Fault::Ring(7)),
            ("silence=60", Fault::Silence(60)),
            ("hang-up", Fault::HangUp),
        ] {
            assert_eq!(word.parse(), Ok(fault));
        }
        for word in ["", "cut", "cut=x", "garbage=1", "silence=-1", "thunder"] {
            assert!(word.parse::<Fault>().unwrap_err().to_string().contains("is no fault"));
        }
    }
}
