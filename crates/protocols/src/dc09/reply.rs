//! Answers: those we send, and those of another receiver as a home unit reads them.

use hansho_model::FrameFault;
use jiff::Timestamp;

use super::frame::{self, CrcForm, crc16};
use super::message::{Header, Message, Route, Stamp, open_plain, split_clear};
use super::{cipher, time};
use crate::{Accounts, Key, Standing};

/// Pad of an encrypted answer: with `]` and the stamp it fills three blocks, and it is longer than
/// the first, as the 2026 edition asks.
const PAD_SIZE: usize = 27;
/// Letters of the pad: any byte but `[`, `]` and `|` is legal, these are easy to read in a log.
const PAD_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
/// One byte that acknowledges a line outside DC-09 (ASCII ACK).
const ACK_BYTE: u8 = 0x06;

/// How a frame is to be answered once its report is durable.
#[derive(Clone, Debug)]
pub struct Answer {
    kind: Kind,
    crc_form: CrcForm,
    /// CRC of the frame that is answered; part of what makes the pad differ.
    crc: u16,
}

#[derive(Clone, Debug)]
enum Kind {
    Silence,
    Ack(Echo, Option<Key>),
    AckByte,
    Nak,
    Duh(Echo),
}

/// What an answer repeats of the header that it answers, byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Echo(String);

impl Default for Echo {
    /// For when the header cannot be read, and in every NAK.
    fn default() -> Self {
        Self("0000R0L0A0".to_owned())
    }
}

impl Echo {
    pub(crate) fn of(message: &Message) -> Self {
        let receiver = message.receiver.as_ref().map_or_else(String::new, |r| format!("R{r}"));
        Self(format!(
            "{}{receiver}L{}#{}",
            message.sequence.as_deref().unwrap_or("0000"),
            message.line.as_deref().unwrap_or("0"),
            message.account.as_deref().unwrap_or_default(),
        ))
    }
}

impl Answer {
    pub(crate) const fn silence(crc_form: CrcForm, crc: u16) -> Self {
        Self { kind: Kind::Silence, crc_form, crc }
    }

    pub(crate) fn ack(&mut self, echo: Echo, key: Option<Key>) {
        self.kind = Kind::Ack(echo, key);
    }

    pub(crate) fn ack_byte(&mut self) {
        self.kind = Kind::AckByte;
    }

    pub(crate) fn nak(&mut self) {
        self.kind = Kind::Nak;
    }

    pub(crate) fn duh(&mut self, echo: Echo) {
        self.kind = Kind::Duh(echo);
    }

    /// The bytes to send; `None` is silence. `count` differs from one answer to the next; `now` goes
    /// into NAK and encrypted ACK, from which a sender may set its clock.
    ///
    /// Plain ACK and DUH carry no stamp: every sender takes them so, some do not with one.
    #[must_use]
    pub fn encode(&self, now: Timestamp, count: u64) -> Option<Vec<u8>> {
        let body = match &self.kind {
            Kind::Silence => return None,
            Kind::AckByte => return Some(vec![ACK_BYTE]),
            Kind::Ack(Echo(echo), None) => format!("\"ACK\"{echo}[]"),
            Kind::Ack(Echo(echo), Some(key)) => {
                let mut plain = self.pad(key, now, count)?;
                plain.extend(format!("]{}", time::stamp(now)).bytes());
                format!("\"*ACK\"{echo}[{}", cipher::to_hex(&cipher::encrypt(key, plain)?))
            }
            Kind::Nak => format!("\"NAK\"{}[]{}", Echo::default().0, time::stamp(now)),
            Kind::Duh(Echo(echo)) => format!("\"DUH\"{echo}[]"),
        };
        let crc = crc16(body.as_bytes());
        let mut bytes = vec![frame::LF];
        match self.crc_form {
            CrcForm::Hex => bytes.extend(format!("{crc:04X}").bytes()),
            CrcForm::Raw => bytes.extend(crc.to_be_bytes()),
        }
        bytes.extend(format!("{:04X}{body}", body.len()).bytes());
        bytes.push(frame::CR);
        Some(bytes)
    }

    /// The zero IV makes equal plain texts equal on the wire, so the pad must not repeat. This crate
    /// has no random numbers: the pad is the device's own cipher run over the time, the count of
    /// answers and the CRC of the frame answered, which nobody without the key can foretell.
    fn pad(&self, key: &Key, now: Timestamp, count: u64) -> Option<Vec<u8>> {
        let mut seed = now.as_microsecond().to_be_bytes().to_vec();
        seed.extend(count.wrapping_shl(16).wrapping_add(u64::from(self.crc)).to_be_bytes());
        seed.extend([0; cipher::BLOCK_SIZE]);
        let mixed = cipher::encrypt(key, seed)?;
        let letter = |byte: &u8| PAD_LETTERS.get(usize::from(byte & 0x3F)).copied();
        mixed.iter().take(PAD_SIZE).map(letter).collect()
    }

    /// The answer's word: `ACK`, `*ACK`, `NAK`, `DUH`; `None` is silence.
    #[must_use]
    pub const fn word(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Silence => None,
            Kind::Ack(_, None) | Kind::AckByte => Some("ACK"),
            Kind::Ack(_, Some(_)) => Some("*ACK"),
            Kind::Nak => Some("NAK"),
            Kind::Duh(_) => Some("DUH"),
        }
    }
}

/// A receiver's answer as a home unit reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `ACK`, `NAK`, `DUH` or `RSP`.
    pub id: String,
    /// Whether it came encrypted.
    pub encrypted: bool,
    /// Sequence it answers.
    pub sequence: String,
    /// Digits after `R`.
    pub receiver: Option<String>,
    /// Digits after `L`.
    pub line: Option<String>,
    /// Account; absent in a NAK.
    pub account: Option<String>,
    /// The receiver's clock.
    pub timestamp: Option<Timestamp>,
}

/// Reads a receiver's answer, LF first and CR last.
///
/// # Errors
///
/// Which rule it breaks: that of a frame, `UnknownId` for what is no answer, `NoKey` and
/// `DecryptFailed` for an encrypted one that does not open.
pub fn parse_reply(accounts: &Accounts, bytes: &[u8]) -> Result<Reply, FrameFault> {
    let frame::Line::Dc09(frame) = frame::open(bytes).map_err(|error| error.fault)? else {
        return Err(FrameFault::MalformedHeader);
    };
    let (header, rest) = Header::parse(frame.body).ok_or(FrameFault::MalformedHeader)?;
    if !matches!(header.id.as_str(), "ACK" | "NAK" | "DUH" | "RSP") {
        return Err(FrameFault::UnknownId);
    }
    let (route, rest) = Route::parse_open(rest).ok_or(FrameFault::MalformedHeader)?;
    let rest = match route.account {
        Some(_) => rest,
        // A NAK has `A0` in the account's place.
        None => rest.strip_prefix(b"A0").unwrap_or(rest),
    };
    let rest = rest.strip_prefix(b"[").ok_or(FrameFault::MalformedHeader)?;
    let stamp = if header.encrypted {
        let account = route.account.as_deref().ok_or(FrameFault::MalformedHeader)?;
        let Standing::Keyed(key) = accounts.standing(account) else {
            return Err(FrameFault::NoKey);
        };
        let plain = cipher::from_hex(rest).and_then(|secret| cipher::decrypt(key, secret));
        let plain = plain.ok_or(FrameFault::DecryptFailed)?;
        open_plain(&plain).ok_or(FrameFault::DecryptFailed)?.0.stamp
    } else {
        split_clear(rest).ok_or(FrameFault::MalformedBody)?.stamp
    };
    let timestamp = match stamp {
        Stamp::Absent => None,
        Stamp::Read(at) => Some(at),
        Stamp::NoTime | Stamp::Unreadable => return Err(FrameFault::BadTimestamp),
    };
    Ok(Reply {
        id: header.id,
        encrypted: header.encrypted,
        sequence: route.sequence,
        receiver: route.receiver,
        line: route.line,
        account: route.account,
        timestamp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnknownDevices;

    fn keyed() -> Accounts {
        let mut accounts = Accounts::new(UnknownDevices::Refuse);
        accounts.register("4901", Key::new(vec![b'A'; 16]).ok());
        accounts
    }

    fn framed(body: &str) -> Vec<u8> {
        format!("\n{:04X}{:04X}{body}\r", crc16(body.as_bytes()), body.len()).into_bytes()
    }

    #[test]
    fn an_encrypted_answer_reads_back_and_never_repeats() {
        let now: Timestamp = "2026-04-01T00:00:30Z".parse().unwrap();
        let mut answer = Answer::silence(CrcForm::Hex, 0x51AA);
        let echo = Echo("0155L0#4901".to_owned());
        answer.ack(echo, Key::new(vec![b'A'; 16]).ok());
        let first = answer.encode(now, 1).unwrap();
        let second = answer.encode(now, 2).unwrap();
        assert_ne!(first, second);
        let reply = parse_reply(&keyed(), &first).unwrap();
        assert_eq!((reply.id.as_str(), reply.encrypted, reply.timestamp), ("ACK", true, Some(now)));
        assert_eq!(reply.account.as_deref(), Some("4901"));
    }

    #[test]
    fn each_fault_of_an_answer_is_named() {
        let accounts = keyed();
        let fault = |body: &str| parse_reply(&accounts, &framed(body)).unwrap_err();
        assert_eq!(parse_reply(&accounts, b"x"), Err(FrameFault::BadFrame));
        assert_eq!(fault("ACK"), FrameFault::MalformedHeader);
        assert_eq!(fault("\"NULL\"0000L0#4901[]"), FrameFault::UnknownId);
        assert_eq!(fault("\"ACK\"0003NoneL0#1234[]"), FrameFault::MalformedHeader);
        assert_eq!(fault("\"ACK\"0003L0#1234["), FrameFault::MalformedBody);
        assert_eq!(fault("\"ACK\"0003L0#1234[]_00:00:30,02-30-2026"), FrameFault::BadTimestamp);
        assert_eq!(fault("\"*ACK\"0003L0#1234[00"), FrameFault::NoKey);
        assert_eq!(fault("\"*ACK\"0003L0#4901[00"), FrameFault::DecryptFailed);
        assert_eq!(fault("\"*ACK\"0003L0["), FrameFault::MalformedHeader);
    }

    #[test]
    fn a_nak_has_no_account() {
        let reply = parse_reply(&keyed(), b"\n3C830025\"NAK\"0000R0L0A0[]_16:09:09,04-14-2015\r");
        let reply = reply.unwrap();
        assert_eq!((reply.id.as_str(), reply.account), ("NAK", None));
        assert_eq!((reply.receiver.as_deref(), reply.line.as_deref()), (Some("0"), Some("0")));
    }
}
