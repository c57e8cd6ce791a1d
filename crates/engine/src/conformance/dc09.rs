//! Cases of the kinds `dc09`, `dc09-reply` and `dc09-stream`.

use std::sync::Arc;

use hansho_model::{Deviation, Report};
use hansho_protocols::dc09::{Decoded, Message, Payload, Reply, Sia, decode, parse_reply};
use hansho_protocols::{
    Accounts, Durable, Key, Limits, Output, Protocol, Receipt, Session, Setup, Transport,
    UnknownDevices,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Mismatch;
use crate::officer::hex;

/// The clock of a case that names none.
const CLOCK: &str = "2026-04-01T00:00:30Z";

/// One frame or datagram: what it says, and how it is answered.
pub(super) fn frame(case: &Value) -> Result<(), Mismatch> {
    let config = Config::read(case)?;
    let bytes = hex_field(case, "input_hex")?;
    let expect = case.get("expect").ok_or_else(|| Mismatch::missing("expect"))?;
    let made = Made::of(&config, &bytes)?;
    let first = made.compare(&config, expect);
    match expect.get("or") {
        // A second outcome that is right too: a whole one, or another error.
        Some(other @ Value::Object(_)) => first.or_else(|_first| made.compare(&config, other)),
        Some(Value::String(word)) if made.fault() == Some(word.as_str()) => Ok(()),
        _ => first,
    }
}

/// A receiver's answer, read as a home unit reads it.
pub(super) fn reply(case: &Value) -> Result<(), Mismatch> {
    let config = Config::read(case)?;
    let bytes = hex_field(case, "input_hex")?;
    let expect = case.get("expect").ok_or_else(|| Mismatch::missing("expect"))?;
    let wanted_error = expect.get("error").and_then(Value::as_str);
    let reply = match (parse_reply(&config.accounts, &bytes), wanted_error) {
        (Err(fault), Some(wanted)) => {
            return equal("error", &json!(wanted), &json!(fault.as_str()));
        }
        (Ok(reply), Some(wanted)) => return Err(Mismatch::new("error", wanted, reply.id)),
        (Err(fault), None) => return Err(Mismatch::new("error", "none", fault)),
        (Ok(reply), None) => reply,
    };
    let Reply { id, encrypted, sequence, receiver, line, account, timestamp } = reply;
    let found = json!({
        "id": id, "encrypted": encrypted, "sequence": sequence, "receiver": receiver, "line": line,
        "account": account, "timestamp": timestamp.map(|at| at.to_string()),
    });
    for (key, wanted) in expect.as_object().into_iter().flatten() {
        if let Some(found) = found.get(key) {
            equal(key, wanted, found)?;
        }
    }
    Ok(())
}

/// Reads of a TCP connection, in order.
pub(super) fn stream(case: &Value) -> Result<(), Mismatch> {
    let config = Config::read(case)?;
    let chunks = case.get("chunks_hex").and_then(Value::as_array);
    let chunks = chunks.ok_or_else(|| Mismatch::missing("chunks_hex"))?;
    let mut session = config.session(Transport::Stream);
    let mut found = Vec::new();
    for chunk in chunks {
        let digits = chunk.as_str().ok_or_else(|| Mismatch::missing("chunks_hex"))?;
        let bytes = unhex(digits).ok_or_else(|| Mismatch::missing("chunks_hex"))?;
        // A fault beside good frames is the caller's to count; the messages decide here.
        let _fault = session.handle_bytes(config.now, &bytes).err();
        for exchange in exchanges(session.as_mut(), config.now)? {
            let decoded = decode(&config.accounts, config.now, &exchange.report.raw.0).ok();
            let sequence = decoded.and_then(|decoded| decoded.message.sequence);
            found.push(json!({
                "sequence": sequence,
                "reply_id": exchange.answer.as_deref().and_then(|bytes| answer_word(&config, bytes)),
            }));
        }
    }
    let wanted = case.pointer("/expect/messages").and_then(Value::as_array);
    let wanted = wanted.ok_or_else(|| Mismatch::missing("expect.messages"))?;
    if wanted.len() != found.len() {
        return Err(Mismatch::new("count of messages", wanted.len(), found.len()));
    }
    for (wanted, found) in wanted.iter().zip(&found) {
        for (key, wanted) in wanted.as_object().into_iter().flatten() {
            equal(key, wanted, found.get(key).unwrap_or(&Value::Null))?;
        }
    }
    Ok(())
}

/// A case's register and clock.
pub(super) struct Config {
    pub(super) accounts: Arc<Accounts>,
    pub(super) now: Timestamp,
}

impl Config {
    pub(super) fn read(case: &Value) -> Result<Self, Mismatch> {
        let mut accounts = Accounts::new(UnknownDevices::Refuse);
        let entries = case.pointer("/config/accounts").and_then(Value::as_object);
        for (account, entry) in entries.into_iter().flatten() {
            let key = match entry.get("key_hex").and_then(Value::as_str) {
                None => None,
                Some(digits) => {
                    let bytes = unhex(digits).ok_or_else(|| Mismatch::missing("key_hex"))?;
                    Some(
                        Key::new(bytes)
                            .map_err(|error| Mismatch::new("key_hex", "a key", error))?,
                    )
                }
            };
            accounts.register(account, key);
        }
        let now = case.pointer("/config/now").and_then(Value::as_str).unwrap_or(CLOCK);
        let now = now.parse().map_err(|error| Mismatch::new("config.now", "a time", error))?;
        Ok(Self { accounts: Arc::new(accounts), now })
    }

    pub(super) fn session(&self, transport: Transport) -> Box<dyn Session> {
        let accounts = Arc::clone(&self.accounts);
        Protocol::Dc09.session(Setup::new(accounts, transport, Limits::default(), self.now))
    }
}

/// A report and the answer that its receipt brought.
pub(super) struct Exchange {
    pub(super) report: Box<Report>,
    pub(super) answer: Option<Vec<u8>>,
}

/// Drains a session, storing each report. An answer that leaves before its report is durable fails
/// the case.
pub(super) fn exchanges(
    session: &mut dyn Session,
    now: Timestamp,
) -> Result<Vec<Exchange>, Mismatch> {
    let mut waiting: Vec<(Receipt, Box<Report>)> = Vec::new();
    loop {
        match session.poll_output() {
            Output::Report(receipt, report) => waiting.push((receipt, report)),
            Output::Transmit(bytes) => {
                return Err(Mismatch::new("answer", "none before it is durable", hex(&bytes)));
            }
            Output::Idle(_) => break,
        }
    }
    let mut done = Vec::new();
    for (receipt, report) in waiting {
        session.handle_durable(now, receipt, Durable::Stored);
        let mut answer = None;
        while let Output::Transmit(bytes) = session.poll_output() {
            answer = Some(bytes);
        }
        done.push(Exchange { report, answer });
    }
    Ok(done)
}

/// What we made of a frame.
struct Made {
    decoded: Result<Decoded, hansho_protocols::FrameError>,
    answer: Option<Vec<u8>>,
}

impl Made {
    fn of(config: &Config, bytes: &[u8]) -> Result<Self, Mismatch> {
        let decoded = decode(&config.accounts, config.now, bytes);
        let mut session = config.session(Transport::Datagram);
        let fault = session.handle_bytes(config.now, bytes).err();
        if fault.as_ref() != decoded.as_ref().err() {
            return Err(Mismatch::new("session", "what the decoder says", "something else"));
        }
        let mut exchanges = exchanges(session.as_mut(), config.now)?;
        if exchanges.len() != usize::from(decoded.is_ok()) {
            return Err(Mismatch::new("reports", usize::from(decoded.is_ok()), exchanges.len()));
        }
        let answer = exchanges.pop().and_then(|exchange| exchange.answer);
        Ok(Self { decoded, answer })
    }

    fn fault(&self) -> Option<&'static str> {
        match &self.decoded {
            Err(error) => Some(error.fault.as_str()),
            Ok(decoded) => decoded.refused.map(hansho_model::FrameFault::as_str),
        }
    }

    fn compare(&self, config: &Config, expect: &Value) -> Result<(), Mismatch> {
        if let Some(wanted) = expect.get("error").and_then(Value::as_str) {
            if wanted == "bad_timestamp" && self.is_accepted_without_stamp() {
                return Ok(());
            }
            equal("error", &json!(wanted), &json!(self.fault()))?;
        } else {
            let decoded = match &self.decoded {
                Err(error) => return Err(Mismatch::new("error", "none", error)),
                Ok(decoded) => decoded,
            };
            if let Some(fault) = decoded.refused {
                return Err(Mismatch::new("error", "none", fault));
            }
            let found = message(&decoded.message);
            for key in FIELDS.iter().copied() {
                match (expect.get(key), found.get(key)) {
                    (Some(wanted), found) => equal(key, wanted, found.unwrap_or(&Value::Null))?,
                    // It is given only when it differs from the header's.
                    (None, Some(found)) if key == "data_account" => {
                        equal(key, &Value::Null, found)?;
                    }
                    (None, _) => {}
                }
            }
        }
        match expect.get("reply") {
            Some(wanted) => self.compare_answer(config, wanted),
            None => Ok(()),
        }
    }

    /// A plain frame whose stamp is no time still carries its alarm: to accept it with no time is
    /// right as well, and is what we do.
    fn is_accepted_without_stamp(&self) -> bool {
        self.decoded.as_ref().is_ok_and(|decoded| {
            decoded.refused.is_none()
                && decoded.message.timestamp.is_none()
                && decoded.message.deviations.contains(&Deviation::UnreadableStamp)
        })
    }

    fn compare_answer(&self, config: &Config, wanted: &Value) -> Result<(), Mismatch> {
        let Some(bytes) = &self.answer else {
            let silent = wanted.is_null() || wanted.get("or_none") == Some(&Value::Bool(true));
            return if silent { Ok(()) } else { Err(Mismatch::new("reply", wanted, "silence")) };
        };
        if wanted.is_null() {
            return Err(Mismatch::new("reply", "silence", hex(bytes)));
        }
        if let Some(other @ Value::Object(_)) = wanted.get("or") {
            let first = self.compare_one_answer(config, wanted, bytes);
            return first.or_else(|_first| self.compare_one_answer(config, other, bytes));
        }
        self.compare_one_answer(config, wanted, bytes)
    }

    fn compare_one_answer(
        &self,
        config: &Config,
        wanted: &Value,
        bytes: &[u8],
    ) -> Result<(), Mismatch> {
        if let Some(id) = wanted.get("id") {
            equal("reply.id", id, &json!(answer_word(config, bytes)))?;
        }
        let texts = ["text", "or_text"].map(|key| text_bytes(wanted, key));
        let hexes = ["text_hex", "or_text_hex"]
            .map(|key| wanted.get(key).and_then(Value::as_str).and_then(unhex));
        let right: Vec<Vec<u8>> = texts.into_iter().chain(hexes).flatten().collect();
        if !right.is_empty() && !right.iter().any(|each| each == bytes) {
            return Err(Mismatch::new("reply", wanted, hex(bytes)));
        }
        if wanted.get("header").is_some() {
            return compare_encrypted(config, wanted, bytes);
        }
        Ok(())
    }
}

/// The clear header of an encrypted answer, the length of its cipher text, and how it ends.
fn compare_encrypted(config: &Config, wanted: &Value, bytes: &[u8]) -> Result<(), Mismatch> {
    let body = bytes.get(9..bytes.len().saturating_sub(1)).unwrap_or_default();
    let open = body.iter().position(|byte| *byte == b'[').map_or(0, |open| open + 1);
    let (header, cipher) = body.split_at(open);
    let header_text = String::from_utf8_lossy(header);
    equal("reply.header", wanted.get("header").unwrap_or(&Value::Null), &json!(header_text))?;
    let multiple = wanted.get("cipher_hex_multiple_of").and_then(Value::as_u64).unwrap_or(32);
    let count = u64::try_from(cipher.len()).unwrap_or(u64::MAX);
    if multiple == 0 || count == 0 || count % multiple != 0 {
        return Err(Mismatch::new("reply.cipher_hex_multiple_of", multiple, count));
    }
    let stamp = parse_reply(&config.accounts, bytes).ok().and_then(|reply| reply.timestamp);
    let stamp = stamp.map(|at| format!("]{}", at.strftime("_%H:%M:%S,%m-%d-%Y")));
    match wanted.get("decrypted_ends_with") {
        Some(ending) => equal("reply.decrypted_ends_with", ending, &json!(stamp)),
        None => Ok(()),
    }
}

/// `ACK`, `*ACK`, `NAK`, `DUH`; the lone byte that acknowledges a heartbeat line counts as ACK.
pub(super) fn answer_word(config: &Config, bytes: &[u8]) -> Option<String> {
    if bytes == [0x06] {
        return Some("ACK".to_owned());
    }
    let reply = parse_reply(&config.accounts, bytes).ok()?;
    Some(if reply.encrypted { format!("*{}", reply.id) } else { reply.id })
}

/// Fields of an accepted frame.
const FIELDS: &[&str] = &[
    "id",
    "encrypted",
    "sequence",
    "receiver",
    "line",
    "account",
    "data_account",
    "event",
    "xdata",
    "timestamp",
];

/// A message in the form of the conformance files.
pub(super) fn message(message: &Message) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("id".to_owned(), json!(message.id));
    map.insert("encrypted".to_owned(), json!(message.encrypted));
    map.insert("sequence".to_owned(), json!(message.sequence));
    map.insert("receiver".to_owned(), json!(message.receiver));
    map.insert("line".to_owned(), json!(message.line));
    map.insert("account".to_owned(), json!(message.account));
    if let Some(account) = &message.data_account {
        map.insert("data_account".to_owned(), json!(account));
    }
    map.insert("event".to_owned(), message.event.as_ref().map_or(Value::Null, event));
    map.insert("xdata".to_owned(), json!(message.xdata));
    let timestamp = message.timestamp.map(|at| at.to_string());
    map.insert("timestamp".to_owned(), json!(timestamp));
    map
}

fn event(event: &Payload) -> Value {
    match event {
        Payload::Cid(cid) => json!({
            "format": "CID", "qualifier": cid.qualifier.to_string(), "code": cid.code,
            "partition": cid.partition, "zone": cid.zone,
        }),
        Payload::Sia(sia) => sia_event(sia),
    }
}

fn sia_event(sia: &Sia) -> Value {
    let events: Vec<Value> = sia
        .events
        .iter()
        .map(|event| json!({ "code": event.code, "address": event.address }))
        .collect();
    let mut value = json!({
        "format": "SIA", "qualifier": sia.qualifier.map(String::from),
        "modifiers": sia.modifiers, "events": events,
    });
    let text = match sia.texts.as_slice() {
        [] => None,
        [one] => Some(json!(one)),
        many => Some(json!(many)),
    };
    if let (Some(text), Some(map)) = (text, value.as_object_mut()) {
        map.insert("text".to_owned(), text);
    }
    value
}

pub(super) fn equal(what: &str, wanted: &Value, found: &Value) -> Result<(), Mismatch> {
    if wanted == found { Ok(()) } else { Err(Mismatch::new(what, wanted, found)) }
}

fn text_bytes(wanted: &Value, key: &str) -> Option<Vec<u8>> {
    wanted.get(key).and_then(Value::as_str).map(|text| text.as_bytes().to_vec())
}

pub(super) fn hex_field(case: &Value, key: &str) -> Result<Vec<u8>, Mismatch> {
    case.get(key).and_then(Value::as_str).and_then(unhex).ok_or_else(|| Mismatch::missing(key))
}

/// Reads hexadecimal digits of either case.
pub(super) fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from((nibble(*high)? << 4) | nibble(*low)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
