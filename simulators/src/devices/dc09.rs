//! A home unit that speaks ANSI/SIA DC-09.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Pad letters of encrypted frames; none of them may be `[`, `]` or `|`.
const PAD: &[u8; 32] = b"q7ZrW2mK9xTvBn3pLc8YdF5hGj1sQwEt";
/// Bytes of an AES block.
const BLOCK_SIZE: usize = 16;

/// A key of a wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has {count} bytes; give 16, 24 or 32")]
pub struct KeyError {
    /// Bytes given.
    pub count: usize,
}

/// An AES key. `Debug` prints its length only.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// From its bytes.
    ///
    /// # Errors
    ///
    /// When there are not 16, 24 or 32 of them.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(bytes.to_vec())),
            count => Err(KeyError { count }),
        }
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// What a home unit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Supervision; carries nothing.
    LinkTest,
    /// A Contact ID event.
    ContactId {
        /// 1 new, 3 restored, 6 still present.
        qualifier: u8,
        /// Three digits, such as 101 for a pendant pressed.
        code: u16,
        /// Partition, 0 to 99.
        partition: u8,
        /// Zone or pendant, 0 to 999.
        zone: u16,
    },
    /// SIA blocks as they stand after the account, such as `Nri1/QA003`.
    Sia(String),
}

impl Content {
    /// Pendant number `zone` was pressed.
    #[must_use]
    pub const fn press(zone: u16) -> Self {
        Self::ContactId { qualifier: 1, code: 101, partition: 1, zone }
    }

    /// Its id on the wire.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match self {
            Self::LinkTest => "NULL",
            Self::ContactId { .. } => "ADM-CID",
            Self::Sia(_) => "SIA-DCS",
        }
    }
}

/// How a frame's CRC is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrcStyle {
    /// Four hexadecimal characters: the standard.
    #[default]
    Standard,
    /// Two raw bytes.
    Raw,
    /// Four characters; CRC and length include the closing CR.
    WithCr,
}

/// What a home unit puts around each message.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// Account, 3 to 16 hexadecimal digits.
    pub account: String,
    /// Key, when it encrypts.
    pub key: Option<Key>,
    /// Digits after `R`.
    pub receiver: Option<String>,
    /// Digits after `L`; `None` leaves the field out, as some units do.
    pub line: Option<String>,
    /// How it writes its CRC.
    pub crc_style: CrcStyle,
}

impl Unit {
    /// A unit with line 0 and no receiver number.
    #[must_use]
    pub fn new(account: &str, key: Option<Key>) -> Self {
        Self {
            account: account.to_owned(),
            key,
            receiver: None,
            line: Some("0".to_owned()),
            crc_style: CrcStyle::Standard,
        }
    }

    /// One frame. `at` is the stamp; an encrypted frame always has one. `xdata` are further fields,
    /// letter first.
    #[must_use]
    pub fn frame(
        &self,
        sequence: u16,
        content: &Content,
        xdata: &[String],
        at: Timestamp,
    ) -> Vec<u8> {
        let star = if self.key.is_some() { "*" } else { "" };
        let receiver =
            self.receiver.as_ref().map_or_else(String::new, |digits| format!("R{digits}"));
        let line = self.line.as_ref().map_or_else(String::new, |digits| format!("L{digits}"));
        let head =
            format!("\"{star}{}\"{sequence:04}{receiver}{line}#{}[", content.id(), self.account);
        let data = match content {
            Content::LinkTest => String::new(),
            Content::ContactId { qualifier, code, partition, zone } => {
                format!("#{}|{qualifier}{code:03} {partition:02} {zone:03}", self.account)
            }
            Content::Sia(blocks) => format!("#{}|{blocks}", self.account),
        };
        let extended: String = xdata.iter().map(|field| format!("[{field}]")).collect();
        let stamp = at.strftime("_%H:%M:%S,%m-%d-%Y").to_string();
        let mut body = head.into_bytes();
        match &self.key {
            None => body.extend(format!("{data}]{extended}{stamp}").bytes()),
            Some(key) => {
                let bar = if data.is_empty() { "" } else { "|" };
                let tail = format!("{bar}{data}]{extended}{stamp}");
                body.extend(hex(&encrypt(key, &padded(tail.as_bytes(), sequence))).bytes());
            }
        }
        enclose(&body, self.crc_style)
    }
}

/// Reads the answer that a receiver gave to `sequence` of `account`; `None` when these bytes are no
/// answer, or one to something else.
#[must_use]
pub fn read_answer(bytes: &[u8], account: &str, sequence: u16) -> Option<Answer> {
    let inner = bytes.strip_prefix(b"\n")?.strip_suffix(b"\r")?;
    let (sum, body) = match inner.get(6) {
        Some(b'"') => (u16::from_be_bytes([*inner.first()?, *inner.get(1)?]), inner.get(6..)?),
        _ => {
            let digits = std::str::from_utf8(inner.get(..4)?).ok()?;
            (u16::from_str_radix(digits, 16).ok()?, inner.get(8..)?)
        }
    };
    if sum != checksum(body) {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let (id, rest) = text.strip_prefix('"')?.split_once('"')?;
    let mine = format!("{sequence:04}");
    let (head, tail) = rest.split_once('[')?;
    match id {
        "NAK" => Some(Answer::Nak { at: stamp(tail) }),
        "ACK" | "*ACK" | "DUH" => {
            let (_route, to) = head.split_once('#')?;
            let right = head.starts_with(&mine) && to.eq_ignore_ascii_case(account);
            right.then_some(if id == "DUH" { Answer::Duh } else { Answer::Ack })
        }
        _ => None,
    }
}

/// A receiver's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Taken.
    Ack,
    /// Our clock is off; theirs says this.
    Nak {
        /// Time to set our clock to.
        at: Option<Timestamp>,
    },
    /// They cannot process it.
    Duh,
}

fn stamp(tail: &str) -> Option<Timestamp> {
    let (_data, text) = tail.split_once('_')?;
    let civil = jiff::civil::DateTime::strptime("%H:%M:%S,%m-%d-%Y", text).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// Decrypts an encrypted answer's text, for tests that look into it.
#[must_use]
pub fn decrypt(key: &Key, secret: &[u8]) -> Vec<u8> {
    let mut before = [0; BLOCK_SIZE];
    let mut plain = Vec::new();
    for chunk in secret.as_chunks::<BLOCK_SIZE>().0 {
        let mut block = Array(*chunk);
        match key.0.len() {
            16 => decryptor::<aes::Aes128>(key).decrypt_block(&mut block),
            24 => decryptor::<aes::Aes192>(key).decrypt_block(&mut block),
            _ => decryptor::<aes::Aes256>(key).decrypt_block(&mut block),
        }
        plain.extend(block.iter().zip(before).map(|(byte, mask)| byte ^ mask));
        before = *chunk;
    }
    plain
}

/// CBC by hand, zero IV: each block is mixed with the cipher text before it.
fn encrypt(key: &Key, plain: &[u8]) -> Vec<u8> {
    let mut before = [0; BLOCK_SIZE];
    let mut secret = Vec::new();
    for chunk in plain.as_chunks::<BLOCK_SIZE>().0 {
        let mut mixed = *chunk;
        for (byte, mask) in mixed.iter_mut().zip(before) {
            *byte ^= mask;
        }
        let mut block = Array(mixed);
        match key.0.len() {
            16 => decryptor::<aes::Aes128>(key).encrypt_block(&mut block),
            24 => decryptor::<aes::Aes192>(key).encrypt_block(&mut block),
            _ => decryptor::<aes::Aes256>(key).encrypt_block(&mut block),
        }
        before = block.0;
        secret.extend(before);
    }
    secret
}

fn decryptor<C: KeyInit>(key: &Key) -> C {
    #[expect(clippy::unwrap_used, reason = "Key holds only lengths that its cipher takes")]
    C::new_from_slice(&key.0).unwrap()
}

/// Puts 16 to 31 pad bytes before the text so that it fills its blocks. The sequence number turns
/// them, as a real unit's random numbers would.
fn padded(tail: &[u8], sequence: u16) -> Vec<u8> {
    let pad_size = BLOCK_SIZE + (BLOCK_SIZE - tail.len() % BLOCK_SIZE) % BLOCK_SIZE;
    let start = usize::from(sequence) % PAD.len();
    let pad = PAD.iter().cycle().skip(start).take(pad_size);
    pad.chain(tail).copied().collect()
}

fn enclose(body: &[u8], style: CrcStyle) -> Vec<u8> {
    let mut bytes = vec![b'\n'];
    match style {
        CrcStyle::Standard => {
            bytes.extend(format!("{:04X}{:04X}", checksum(body), body.len()).bytes());
        }
        CrcStyle::Raw => {
            bytes.extend(checksum(body).to_be_bytes());
            bytes.extend(format!("{:04X}", body.len()).bytes());
        }
        CrcStyle::WithCr => {
            let with_cr = [body, b"\r"].concat();
            bytes.extend(format!("{:04X}{:04X}", checksum(&with_cr), with_cr.len()).bytes());
        }
    }
    bytes.extend_from_slice(body);
    bytes.push(b'\r');
    bytes
}

/// CRC-16/ARC, four bits at a time.
fn checksum(bytes: &[u8]) -> u16 {
    const STEPS: [u16; 16] = [
        0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401, 0xA001, 0x6C00, 0x7800,
        0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
    ];
    let step =
        |crc: u16, nibble: u8| (crc >> 4) ^ STEPS[usize::from((crc & 0xF) ^ u16::from(nibble))];
    bytes.iter().fold(0, |crc, byte| step(step(crc, byte & 0xF), byte >> 4))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hansho_protocols::dc09::{Payload, decode};
    use hansho_protocols::{Accounts, UnknownDevices};
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;

    fn at() -> Timestamp {
        "2026-04-01T00:00:30Z".parse().unwrap()
    }

    #[test]
    fn published_frames_come_out_byte_for_byte() {
        let body = b"\"ADM-CID\"0102L0#4901[#4901|1101 01 003]";
        let frame = enclose(body, CrcStyle::Standard);
        assert_eq!(frame, b"\n5F3F0027\"ADM-CID\"0102L0#4901[#4901|1101 01 003]\r");
        assert_eq!(checksum(b"123456789"), 0xBB3D);
        let key = Key::new(b"AAAAAAAAAAAAAAAA").unwrap();
        let plain = b"kQ7zR2mW9xT]_00:00:30,04-01-2026";
        let secret = "7E1840AFF0C97380F2CF26F2C5E348D04C8C5E3BA0AE8C270E4B4D457A3C9F7F";
        assert_eq!(hex(&encrypt(&key, plain)), secret);
        assert_eq!(decrypt(&key, &encrypt(&key, plain)), plain);
        assert_eq!(Key::new(b"short").unwrap_err(), KeyError { count: 5 });
    }

    #[test]
    fn answers_are_matched_to_what_they_answer() {
        let ack = b"\n06790012\"ACK\"0102L0#4901[]\r";
        assert_eq!(read_answer(ack, "4901", 102), Some(Answer::Ack));
        assert_eq!(read_answer(ack, "4901", 103), None);
        assert_eq!(read_answer(ack, "4902", 102), None);
        assert_eq!(read_answer(&ack[..20], "4901", 102), None);
        let duh = b"\n370D0012\"DUH\"0233L0#BEEF[]\r";
        assert_eq!(read_answer(duh, "beef", 233), Some(Answer::Duh));
        let nak = b"\n3C830025\"NAK\"0000R0L0A0[]_16:09:09,04-14-2015\r";
        let clock = "2015-04-14T16:09:09Z".parse().ok();
        assert_eq!(read_answer(nak, "4901", 102), Some(Answer::Nak { at: clock }));
        let broken = b"\n06780012\"ACK\"0102L0#4901[]\r";
        assert_eq!(read_answer(broken, "4901", 102), None);
    }

    /// What this encoder writes, the receiver's decoder reads: two codes that know nothing of each
    /// other.
    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]);
        let unit =
            ("[0-9A-F]{3,16}", proptest::option::of("[0-9A-F]{1,6}"), 0_usize..4, 0_usize..3);
        let content = prop_oneof![
            Just(Content::LinkTest),
            (prop_oneof![Just(1_u8), Just(3), Just(6)], 0_u16..1_000, 0_u8..100, 0_u16..1_000)
                .prop_map(|(qualifier, code, partition, zone)| Content::ContactId {
                    qualifier,
                    code,
                    partition,
                    zone
                }),
            "N(ri[0-9]/)?[A-Z]{2}[0-9]{0,4}(\\^[a-z ]{1,9}\\^)?".prop_map(Content::Sia),
        ];
        let input = (
            unit,
            content,
            1_u16..10_000,
            proptest::option::of("X[0-9]{3}E[0-5][0-9]\\.[0-9]{1,4}"),
        );
        let run = TestRunner::new_with_rng(config, rng).run(
            &input,
            |(unit, content, sequence, xdata)| {
                let (account, receiver, key_kind, style) = unit;
                let key_bytes = [0, 16, 24, 32][key_kind];
                let bytes = vec![b'k'; key_bytes];
                let mut sender =
                    Unit::new(&account, (key_bytes > 0).then(|| Key::new(&bytes).unwrap()));
                sender.receiver = receiver.clone();
                sender.crc_style = [CrcStyle::Standard, CrcStyle::Raw, CrcStyle::WithCr][style];
                let xdata: Vec<String> = xdata.into_iter().collect();
                let frame = sender.frame(sequence, &content, &xdata, at());

                let mut accounts = Accounts::new(UnknownDevices::Refuse);
                accounts.register(&account, hansho_protocols::Key::new(bytes).ok());
                let decoded = decode(&Arc::new(accounts), at(), &frame).unwrap();
                prop_assert_eq!(decoded.refused, None);
                let message = decoded.message;
                prop_assert_eq!(message.id, content.id());
                prop_assert_eq!(message.encrypted, key_bytes > 0);
                prop_assert_eq!(message.sequence, Some(format!("{sequence:04}")));
                prop_assert_eq!(message.receiver, receiver);
                prop_assert_eq!(message.account, Some(account));
                prop_assert_eq!(message.xdata, xdata);
                prop_assert_eq!(message.timestamp, Some(at()));
                match (&content, message.event) {
                    (Content::LinkTest, None) => {}
                    (
                        Content::ContactId { qualifier, code, partition, zone },
                        Some(Payload::Cid(cid)),
                    ) => {
                        let wanted = format!("{qualifier}{code:03}{partition:02}{zone:03}");
                        let found =
                            format!("{}{}{}{}", cid.qualifier, cid.code, cid.partition, cid.zone);
                        prop_assert_eq!(found, wanted);
                    }
                    (Content::Sia(blocks), Some(Payload::Sia(sia))) => {
                        prop_assert_eq!(sia.events.len(), 1);
                        prop_assert!(blocks.contains(&sia.events[0].code));
                    }
                    (content, event) => prop_assert!(false, "{content:?} became {event:?}"),
                }
                let answer = decoded.answer.encode(at(), 1).unwrap();
                prop_assert_eq!(read_answer(&answer, &sender.account, sequence), Some(Answer::Ack));
                Ok(())
            },
        );
        run.unwrap();
    }
}
