//! From a frame to what it says, and how it is to be answered.

use hansho_model::{AlarmClass, AlarmKind, Deviation, Finding, FrameFault, Phase};
use jiff::Timestamp;

use super::payload::{Cid, Data, Payload, Sia};
use super::reply::{Answer, Echo};
use super::{cipher, codes, frame, text, time};
use crate::{Accounts, FrameError, Key, Standing, UnknownDevices};

/// Digits of R and L, and signs of an account (DC-09).
const ROUTE_SIZE_MAX: usize = 6;
const ACCOUNT_SIZE_MIN: usize = 3;
const ACCOUNT_SIZE_MAX: usize = 16;
/// Longest id we read; the longest assigned has 7 signs.
const ID_SIZE_MAX: usize = 16;
/// Japan's offset from UTC, for devices that stamp local time.
const JAPAN_OFFSET_S: i64 = 9 * 3_600;

/// What a frame says, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `SIA-DCS`, `ADM-CID`, `NULL`, `XNM`, or `OH` for Osborne-Hoffman's heartbeat line.
    pub id: String,
    /// Whether it came encrypted.
    pub encrypted: bool,
    /// Four decimal digits.
    pub sequence: Option<String>,
    /// Digits after `R`, as sent.
    pub receiver: Option<String>,
    /// Digits after `L`, as sent; empty when the sender leaves them out.
    pub line: Option<String>,
    /// Account of the sender, as sent.
    pub account: Option<String>,
    /// Account in the data, when it differs: the sender forwards for this one.
    pub data_account: Option<String>,
    /// The event.
    pub event: Option<Payload>,
    /// Extended data: letter and value, in order.
    pub xdata: Vec<String>,
    /// The sender's clock.
    pub timestamp: Option<Timestamp>,
    /// What is not as the standard has it.
    pub deviations: Vec<Deviation>,
}

/// A frame whose CRC is right, with the verdict on it.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What it says.
    pub message: Message,
    /// What that means to people, most urgent first.
    pub findings: Vec<Finding>,
    /// Why it is refused, if it is: the first failure.
    pub refused: Option<FrameFault>,
    /// How to answer it once it is durable.
    pub answer: Answer,
    /// What makes two messages of this device the same one; empty when every one is new.
    pub key: Vec<u8>,
}

/// Reads one frame, LF first and CR last; NULs after CR are passed over, as G90B panels send one.
/// `now` is when it arrived.
///
/// # Errors
///
/// When it is not a frame, or length or CRC are wrong: nobody is answered then.
pub fn decode(accounts: &Accounts, now: Timestamp, bytes: &[u8]) -> Result<Decoded, FrameError> {
    let end = bytes.iter().rposition(|byte| *byte != 0).and_then(|last| last.checked_add(1));
    let bytes = end.and_then(|end| bytes.get(..end)).unwrap_or_default();
    match frame::open(bytes)? {
        frame::Line::Dc09(frame) => Ok(Reader::new(accounts, now, &frame).run(frame.body)),
        frame::Line::OsborneHoffman(line) => osborne_hoffman(accounts, line),
    }
}

/// Content of the brackets and what follows them.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub(super) data: &'a [u8],
    pub(super) xdata: Vec<String>,
    pub(super) stamp: Stamp,
}

/// A time stamp as found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stamp {
    #[default]
    Absent,
    Read(Timestamp),
    /// Digits where digits belong, but no time.
    NoTime,
    /// Something else.
    Unreadable,
}

struct Reader<'a> {
    accounts: &'a Accounts,
    now: Timestamp,
    decoded: Decoded,
    key: Option<&'a Key>,
}

impl<'a> Reader<'a> {
    fn new(accounts: &'a Accounts, now: Timestamp, frame: &frame::Frame<'_>) -> Self {
        let message = Message { deviations: frame.deviations.clone(), ..Message::default() };
        let answer = Answer::silence(frame.crc_form, frame.crc);
        let decoded =
            Decoded { message, findings: Vec::new(), refused: None, answer, key: Vec::new() };
        Self { accounts, now, decoded, key: None }
    }

    fn run(mut self, body: &[u8]) -> Decoded {
        if let Some(rest) = self.header(body) {
            self.content(rest);
        }
        if let Some(fault) = self.decoded.refused {
            self.explain(fault, body);
        }
        self.finish(body)
    }

    fn deviates(&mut self, deviation: Deviation) {
        if !self.decoded.message.deviations.contains(&deviation) {
            self.decoded.message.deviations.push(deviation);
        }
    }

    /// Notes a failure; the first one stays.
    fn refuse(&mut self, fault: FrameFault) {
        self.decoded.refused.get_or_insert(fault);
    }

    /// Reads up to the opening bracket; gives what follows it.
    fn header<'b>(&mut self, body: &'b [u8]) -> Option<&'b [u8]> {
        let Some((header, rest)) = Header::parse(body) else {
            self.malformed_header(body);
            return None;
        };
        let message = &mut self.decoded.message;
        message.id = header.id;
        message.encrypted = header.encrypted;
        if matches!(message.id.as_str(), "ACK" | "NAK" | "DUH" | "RSP") {
            // Answering an answer could go on for ever.
            self.refuse(FrameFault::NotATransmitterMessage);
            return None;
        }
        let Some((route, rest)) = Route::parse(rest) else {
            self.malformed_header(body);
            return None;
        };
        self.route(route, rest);
        Some(rest)
    }

    fn malformed_header(&mut self, body: &[u8]) {
        self.decoded.answer.duh(Echo::default());
        self.refuse(FrameFault::MalformedHeader);
        // Its data may still tell who it was.
        let data = body.iter().position(|byte| *byte == b'[').and_then(|open| body.get(open..));
        let data = data.and_then(|data| data.get(1..)).unwrap_or_default();
        let account = Data::split(before(data, b']')).account;
        self.decoded.message.account = account.and_then(account_text);
    }

    fn route(&mut self, route: Route, rest: &[u8]) {
        match route.line.as_deref() {
            None => self.deviates(Deviation::NoLine),
            Some("") => self.deviates(Deviation::EmptyLine),
            Some(_digits) => {}
        }
        let mut account = route.account;
        if account.is_none() {
            self.deviates(Deviation::HeaderWithoutAccount);
            if !self.decoded.message.encrypted {
                account = Data::split(before(rest, b']')).account.and_then(account_text);
            }
        }
        if account.as_ref().is_some_and(|name| !name.bytes().all(|b| b.is_ascii_hexdigit())) {
            self.deviates(Deviation::AccountNotHex);
        }
        let message = &mut self.decoded.message;
        message.sequence = Some(route.sequence);
        message.receiver = route.receiver;
        message.line = route.line;
        message.account = account;
    }

    /// Everything after the opening bracket.
    fn content(&mut self, rest: &[u8]) {
        let message = &self.decoded.message;
        let echo = Echo::of(message);
        self.decoded.answer.duh(echo.clone());
        let Some(account) = message.account.clone() else {
            self.refuse(FrameFault::MalformedHeader);
            return;
        };
        let standing = self.accounts.standing(&account);
        if standing == Standing::Unknown && self.accounts.unknown() == UnknownDevices::Refuse {
            self.refuse(FrameFault::UnknownAccount);
        }
        let opened;
        let content = if self.decoded.message.encrypted {
            let Standing::Keyed(key) = standing else {
                self.refuse(FrameFault::NoKey);
                return;
            };
            self.key = Some(key);
            opened = cipher::from_hex(rest).and_then(|bytes| cipher::decrypt(key, bytes));
            let Some(plain) = opened.as_deref().filter(|plain| !plain.is_empty()) else {
                self.refuse(FrameFault::DecryptFailed);
                return;
            };
            match open_plain(plain) {
                Some((content, pad)) => {
                    if pad {
                        self.deviates(Deviation::TrailingPad);
                    }
                    Some(content)
                }
                None => {
                    self.refuse(FrameFault::DecryptFailed);
                    None
                }
            }
        } else {
            if matches!(standing, Standing::Keyed(_)) {
                self.refuse(FrameFault::EncryptionRequired);
            }
            let content = split_clear(rest);
            if content.is_none() {
                self.refuse(FrameFault::MalformedBody);
            }
            content
        };
        let Some(content) = content else { return };
        self.stamp(content.stamp);
        self.decoded.message.xdata = content.xdata;
        self.payload(content.data);
        match self.decoded.refused {
            None => self.decoded.answer.ack(echo, self.key.cloned()),
            Some(FrameFault::TimestampOutOfWindow) => self.decoded.answer.nak(),
            Some(_processing) => {}
        }
    }

    fn stamp(&mut self, stamp: Stamp) {
        let encrypted = self.decoded.message.encrypted;
        match stamp {
            Stamp::Absent if encrypted => self.refuse(FrameFault::MissingTimestamp),
            Stamp::Absent => {}
            Stamp::NoTime | Stamp::Unreadable if encrypted => {
                self.refuse(FrameFault::BadTimestamp);
            }
            // A clock that lost its battery must not cost a call for help its answer.
            Stamp::NoTime | Stamp::Unreadable => self.deviates(Deviation::UnreadableStamp),
            Stamp::Read(at) => {
                self.decoded.message.timestamp = Some(at);
                let window = time::WINDOW_EARLIEST_S..=time::WINDOW_LATEST_S;
                if encrypted && !window.contains(&time::ahead_s(at, self.now)) {
                    self.refuse(FrameFault::TimestampOutOfWindow);
                }
            }
        }
    }

    fn payload(&mut self, data: &[u8]) {
        let split = Data::split(data);
        let id = self.decoded.message.id.clone();
        if matches!(id.as_str(), "NULL" | "XNM") {
            // Data of a heartbeat is supervision of the header's account, whatever it says.
            if split.blocks.is_some() {
                self.deviates(Deviation::LoosePayload);
            }
            return;
        }
        let parsed = match id.as_str() {
            "ADM-CID" => split.blocks.map(|blocks| {
                Cid::parse_blocks(blocks).map(|(cid, loose)| (Payload::Cid(cid), loose))
            }),
            "SIA-DCS" => split.blocks.map(|blocks| {
                Sia::parse_blocks(blocks).map(|sia| {
                    let loose = sia.loose;
                    (Payload::Sia(sia), loose)
                })
            }),
            _ => {
                self.refuse(FrameFault::UnknownId);
                return;
            }
        };
        self.data_account(data, split);
        match parsed {
            None => {}
            Some(None) => self.refuse(FrameFault::BadPayload),
            Some(Some((event, loose))) => {
                if loose || split.loose {
                    self.deviates(Deviation::LoosePayload);
                }
                if self.decoded.message.sequence.as_deref() == Some("0000") {
                    self.deviates(Deviation::SequenceZero);
                }
                self.decoded.findings = event.findings();
                self.decoded.message.event = Some(event);
            }
        }
    }

    /// One sender may forward for another account: that one is then the subscriber.
    fn data_account(&mut self, data: &[u8], split: Data<'_>) {
        let Some(account) = split.account.filter(|account| !account.is_empty()) else {
            if !data.is_empty() {
                self.deviates(Deviation::DataWithoutAccount);
            }
            return;
        };
        let Some(account) = account_text(account) else {
            self.refuse(FrameFault::BadPayload);
            return;
        };
        let header = self.decoded.message.account.as_deref().unwrap_or_default();
        if header.eq_ignore_ascii_case(&account) {
            return;
        }
        // Else anyone could speak for an encrypting device by way of one that does not.
        let keyed = matches!(self.accounts.standing(&account), Standing::Keyed(_));
        if keyed && !self.decoded.message.encrypted {
            self.refuse(FrameFault::EncryptionRequired);
        }
        self.decoded.message.data_account = Some(account);
    }

    /// Says to people why a frame is refused, beside what could be read of it.
    fn explain(&mut self, fault: FrameFault, body: &[u8]) {
        if fault == FrameFault::NotATransmitterMessage {
            return;
        }
        if self.decoded.findings.is_empty() && !self.decoded.message.encrypted {
            self.decoded.findings = salvage(body);
        }
        let clock = self.decoded.message.timestamp.map(|at| time::ahead_s(at, self.now));
        let found = match fault {
            FrameFault::TimestampOutOfWindow => {
                finding(AlarmClass::Fault, AlarmKind::Clock, &clock_word(clock.unwrap_or(0)))
            }
            FrameFault::MissingTimestamp | FrameFault::BadTimestamp => {
                finding(AlarmClass::Fault, AlarmKind::Clock, "CLOCK unreadable")
            }
            // What it says is known; the fault itself tells the rest.
            FrameFault::UnknownAccount
            | FrameFault::EncryptionRequired
            | FrameFault::NotATransmitterMessage
            | FrameFault::NotAllowed => return,
            FrameFault::BadFrame
            | FrameFault::BadLength
            | FrameFault::BadCrc
            | FrameFault::TooLong
            | FrameFault::MalformedHeader
            | FrameFault::MalformedBody
            | FrameFault::BadPayload
            | FrameFault::DecryptFailed
            | FrameFault::NoKey
            | FrameFault::WrongQos
            | FrameFault::UnknownId => {
                if !self.decoded.findings.is_empty() {
                    return;
                }
                finding(AlarmClass::Check, AlarmKind::Unreadable, fault.as_str())
            }
        };
        self.decoded.findings.push(found);
        self.decoded.findings.truncate(super::payload::FINDINGS_MAX);
    }

    /// Works out the key under which repeats are known.
    fn finish(mut self, body: &[u8]) -> Decoded {
        let message = &self.decoded.message;
        let sequence = message.sequence.as_deref().unwrap_or_default();
        let account = message.account.as_deref().unwrap_or_default();
        let mut key = format!("{account}|{sequence}|{}|", message.id).into_bytes();
        if let Some(fault) = self.decoded.refused {
            // A refused message and its later, good repeat must not count as one.
            key.extend(fault.as_str().bytes());
            key.extend(digest(body));
        } else if let Some(event) = &message.event {
            if sequence == "0000" {
                // Without a number only the stamp tells a repeat from a second press; without both,
                // each counts: two lines on the record are better than a press lost.
                let Some(stamp) = message.timestamp else { return self.decoded };
                key.extend(stamp.as_second().to_be_bytes());
            }
            key.extend(digest(format!("{event:?}{:?}", message.data_account).as_bytes()));
        } else {
            return self.decoded;
        }
        self.decoded.key = key;
        self.decoded
    }
}

/// Splits what decryption gave: pad, `|`, data, `]`, extended data, stamp; and says whether a pad
/// follows the stamp.
pub(super) fn open_plain(plain: &[u8]) -> Option<(Content<'_>, bool)> {
    let close = plain.iter().position(|byte| *byte == b']')?;
    let (inside, rest) = plain.split_at_checked(close)?;
    let bar = inside.iter().position(|byte| *byte == b'|');
    let data = bar.and_then(|bar| inside.get(bar.checked_add(1)?..)).unwrap_or_default();
    let (xdata, stamp, pad) = tail(rest.get(1..)?, true)?;
    // Data without a bar of its own lost its account to a sender that sets no pad mark; control
    // signs come from a wrong key.
    let readable = data.is_empty() || data.contains(&b'|');
    let clean = !data.iter().any(u8::is_ascii_control);
    (readable && clean && stamp != Stamp::Unreadable)
        .then_some((Content { data, xdata, stamp }, pad))
}

/// Splits data, `]`, extended data, stamp in the clear.
pub(super) fn split_clear(rest: &[u8]) -> Option<Content<'_>> {
    let close = rest.iter().position(|byte| *byte == b']')?;
    let (data, after) = rest.split_at_checked(close)?;
    let (xdata, stamp, _pad) = tail(after.get(1..)?, false)?;
    Some(Content { data, xdata, stamp })
}

/// The id in quotes.
pub(super) struct Header {
    pub(super) id: String,
    pub(super) encrypted: bool,
}

impl Header {
    pub(super) fn parse(body: &[u8]) -> Option<(Self, &[u8])> {
        let rest = body.strip_prefix(b"\"")?;
        let close = rest.iter().position(|byte| *byte == b'"')?;
        let (token, rest) = rest.split_at_checked(close)?;
        let (encrypted, id) = match token {
            [b'*', id @ ..] => (true, id),
            id => (false, id),
        };
        let legal = (1..=ID_SIZE_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
        legal.then(|| (Self { id: text::decode(id), encrypted }, rest.get(1..).unwrap_or_default()))
    }
}

/// Sequence, receiver, line, account.
#[derive(Default)]
pub(super) struct Route {
    pub(super) sequence: String,
    pub(super) receiver: Option<String>,
    pub(super) line: Option<String>,
    pub(super) account: Option<String>,
}

impl Route {
    /// With the opening bracket.
    fn parse(rest: &[u8]) -> Option<(Self, &[u8])> {
        let (route, rest) = Self::parse_open(rest)?;
        Some((route, rest.strip_prefix(b"[")?))
    }

    /// Without it, as an answer may have something else there.
    pub(super) fn parse_open(rest: &[u8]) -> Option<(Self, &[u8])> {
        let (sequence, mut rest) = rest.split_first_chunk::<4>()?;
        if !sequence.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut route = Self { sequence: text::decode(sequence), ..Self::default() };
        if let Some(after) = rest.strip_prefix(b"R") {
            let (digits, after) = run(after, u8::is_ascii_hexdigit);
            if digits.is_empty() || digits.len() > ROUTE_SIZE_MAX {
                return None;
            }
            route.receiver = Some(text::decode(digits));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix(b"L") {
            let (digits, after) = line_digits(after);
            if digits.len() > ROUTE_SIZE_MAX {
                return None;
            }
            route.line = Some(text::decode(digits));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix(b"#") {
            let (name, after) = run(after, u8::is_ascii_alphanumeric);
            route.account = Some(account_text(name).filter(|name| name.len() >= ACCOUNT_SIZE_MIN)?);
            rest = after;
        }
        Some((route, rest))
    }
}

/// Digits of a line. In `L0A0[`, how a NAK's header ends, `A0` stands for the account.
fn line_digits(after: &[u8]) -> (&[u8], &[u8]) {
    if after.starts_with(b"0A0[") {
        return after.split_at_checked(1).unwrap_or((after, &[]));
    }
    run(after, u8::is_ascii_hexdigit)
}

fn account_text(name: &[u8]) -> Option<String> {
    let legal =
        (1..=ACCOUNT_SIZE_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_alphanumeric);
    legal.then(|| text::decode(name))
}

/// The longest head whose bytes all fit, and the rest.
fn run(bytes: &[u8], fits: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !fits(byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

fn before(bytes: &[u8], end: u8) -> &[u8] {
    run(bytes, |byte| *byte != end).0
}

/// What follows the data: extended data, stamp, and (encrypted) a pad that does not belong there.
fn tail(mut rest: &[u8], encrypted: bool) -> Option<(Vec<String>, Stamp, bool)> {
    let mut xdata = Vec::new();
    while let Some(after) = rest.strip_prefix(b"[") {
        let close = after.iter().position(|byte| *byte == b']')?;
        let (value, after) = after.split_at_checked(close)?;
        if value.is_empty() {
            return None;
        }
        xdata.push(text::decode(value));
        rest = after.get(1..)?;
    }
    let Some(stamp) = rest.strip_prefix(b"_") else {
        let pad = encrypted && is_pad(rest);
        return (rest.is_empty() || pad).then_some((xdata, Stamp::Absent, pad));
    };
    let (digits, after) = stamp.split_at_checked(time::STAMP_SIZE).unwrap_or((stamp, &[]));
    let stamp = match time::parse(digits) {
        Some(at) => Stamp::Read(at),
        None if time::has_shape(digits) => Stamp::NoTime,
        None => return Some((xdata, Stamp::Unreadable, false)),
    };
    let pad = encrypted && is_pad(after);
    (after.is_empty() || pad).then_some((xdata, stamp, pad))
}

/// PKCS#7 bytes: one block at most, each telling how many there are.
fn is_pad(bytes: &[u8]) -> bool {
    (1..=cipher::BLOCK_SIZE).contains(&bytes.len())
        && bytes.iter().all(|byte| usize::from(*byte) == bytes.len())
}

/// What can still be made out of a frame that is not right: a person may wait for help.
fn salvage(body: &[u8]) -> Vec<Finding> {
    let after = body.iter().position(|byte| *byte == b'[').and_then(|open| body.get(open..));
    let Some(inside) = after.and_then(|after| after.get(1..)) else { return Vec::new() };
    let Some(blocks) = Data::split(before(inside, b']')).blocks else { return Vec::new() };
    if let Some((cid, _loose)) = Cid::parse_blocks(blocks) {
        return Payload::Cid(cid).findings();
    }
    let sia = body.windows(7).any(|window| window == b"SIA-DCS");
    let parsed = if sia { Sia::parse_blocks(blocks) } else { None };
    parsed.map(|sia| Payload::Sia(sia).findings()).unwrap_or_default()
}

fn finding(class: AlarmClass, kind: AlarmKind, code: &str) -> Finding {
    Finding { class, kind, phase: Phase::New, code: codes::word(code), zone: String::new() }
}

/// By how much a clock is off; a device that stamps Japan's time is named, as it fails for ever.
fn clock_word(ahead_s: i64) -> String {
    let window = time::WINDOW_EARLIEST_S..=time::WINDOW_LATEST_S;
    if window.contains(&ahead_s.saturating_sub(JAPAN_OFFSET_S)) {
        return "CLOCK Japan +9 h".to_owned();
    }
    format!("CLOCK {:+}s", ahead_s.clamp(-99_999_999, 99_999_999))
}

/// FNV-1a, 128 bits: keeps free text (names) out of the key of a message. It need not resist an
/// attacker, who can only make a message of his own device count as a repeat.
fn digest(bytes: &[u8]) -> [u8; 16] {
    const OFFSET: u128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    let hash =
        bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    hash.to_be_bytes()
}

/// `SR0001L0001    006969XX    [ID00000000]`: receiver, line, account, identity. No CRC, so it is
/// taken as a sign of life and as nothing more.
fn osborne_hoffman(accounts: &Accounts, line: &[u8]) -> Result<Decoded, FrameError> {
    let malformed = || FrameError {
        fault: FrameFault::MalformedHeader,
        hint: "it begins like an Osborne-Hoffman heartbeat and is none",
        fatal: false,
    };
    let parse = || {
        let (receiver, rest) = run(line.strip_prefix(b"SR")?, u8::is_ascii_hexdigit);
        let (digits, rest) = run(rest.strip_prefix(b"L")?, u8::is_ascii_hexdigit);
        let (account, rest) = run(rest.trim_ascii_start(), u8::is_ascii_alphanumeric);
        let identity = rest.trim_ascii().strip_prefix(b"[ID")?.strip_suffix(b"]")?;
        let route = 1..=ROUTE_SIZE_MAX;
        let legal = route.contains(&receiver.len())
            && route.contains(&digits.len())
            && account.len() >= ACCOUNT_SIZE_MIN
            && identity.iter().all(u8::is_ascii_alphanumeric);
        legal.then_some(())?;
        Some((text::decode(receiver), text::decode(digits), account_text(account)?))
    };
    let (receiver, line, account) = parse().ok_or_else(malformed)?;
    let unknown = accounts.standing(&account) == Standing::Unknown
        && accounts.standing(subscriber(&account)) == Standing::Unknown;
    let refused = (unknown && accounts.unknown() == UnknownDevices::Refuse)
        .then_some(FrameFault::UnknownAccount);
    let mut answer = Answer::silence(frame::CrcForm::Hex, 0);
    if refused.is_none() {
        answer.ack_byte();
    }
    let message = Message {
        id: "OH".to_owned(),
        receiver: Some(receiver),
        line: Some(line),
        account: Some(account),
        deviations: vec![Deviation::OsborneHoffman],
        ..Message::default()
    };
    Ok(Decoded { message, findings: Vec::new(), refused, answer, key: Vec::new() })
}

/// Osborne-Hoffman fills accounts up with `X`.
pub(super) fn subscriber(account: &str) -> &str {
    account.trim_end_matches('X')
}
