//! Bodies of several parts: RFC 2046, and `Content-ID` of RFC 2392 and 8262.

use super::address::{unescape, unquote};
use super::message::{Header, Message, is_token, same_name};

/// Most leaf parts of a body that are read.
pub const PART_COUNT_MAX: usize = 32;
/// How deep parts may stand in parts.
pub const NESTING_MAX: usize = 8;

/// A part that holds no parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Media type without parameters, in lower case.
    pub media_type: String,
    /// `Content-ID` without its brackets.
    pub id: Option<String>,
    /// Content, decoded.
    pub content: Vec<u8>,
    /// Whether its end was seen; a part that was cut off is not whole.
    pub whole: bool,
}

/// Leaf parts of a body, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The parts.
    pub leaves: Vec<Part>,
    /// Whether some are left out: too many, or too deep.
    pub cut: bool,
}

impl Parts {
    /// Takes a message's body apart.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        let mut parts = Self::default();
        if let Some(content_type) = message.first("Content-Type") {
            parts.take(content_type, &message.headers, &message.body, !message.truncated, 0);
        }
        parts
    }

    /// The part that a `cid:` URI names: the URI is escaped, the part's name is not.
    #[must_use]
    pub fn by_cid(&self, uri: &str) -> Option<&Part> {
        let (_scheme, name) = uri.split_once(':')?;
        let plain = unescape(name);
        let named = |part: &&Part| part.id.as_deref().is_some_and(|id| id == name || id == plain);
        self.leaves.iter().find(named)
    }

    /// The first whole part of a media type.
    #[must_use]
    pub fn by_type(&self, media_type: &str) -> Option<&Part> {
        self.leaves.iter().find(|part| part.whole && part.media_type == media_type)
    }

    fn take(
        &mut self,
        content_type: &str,
        headers: &[Header],
        body: &[u8],
        whole: bool,
        depth: usize,
    ) {
        let media_type = media_type(content_type);
        if media_type.starts_with("multipart/") {
            match boundary(content_type) {
                Some(boundary) if depth < NESTING_MAX => {
                    self.split(&boundary, body, whole, depth.saturating_add(1));
                }
                Some(_too_deep) => self.cut = true,
                None => {}
            }
            return;
        }
        if self.leaves.len() >= PART_COUNT_MAX {
            self.cut = true;
            return;
        }
        let value = |name: &str| headers.iter().find(|header| same_name(&header.name, name));
        let id = value("Content-ID").map(|header| {
            let id = header.value.trim();
            id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id).to_owned()
        });
        let encoding = value("Content-Transfer-Encoding").map(|header| header.value.as_str());
        let content = decode(encoding, body);
        self.leaves.push(Part { media_type, id, content, whole });
    }

    fn split(&mut self, boundary: &str, body: &[u8], whole: bool, depth: usize) {
        let mut open: Option<usize> = None;
        for line in Lines::new(body) {
            let Some(closing) = delimiter(line.text, boundary) else { continue };
            if let Some(start) = open.take() {
                self.part(body.get(start..line.before).unwrap_or_default(), true, depth);
            }
            if closing {
                return;
            }
            open = Some(line.after);
            if self.cut {
                return;
            }
        }
        // The closing line is missing: what came is still a part.
        if let Some(start) = open {
            self.part(body.get(start..).unwrap_or_default(), whole, depth);
        }
    }

    fn part(&mut self, bytes: &[u8], whole: bool, depth: usize) {
        let mut headers: Vec<Header> = Vec::new();
        let mut content: &[u8] = &[];
        for line in Lines::new(bytes) {
            if line.text.is_empty() {
                content = bytes.get(line.after..).unwrap_or_default();
                break;
            }
            let text = String::from_utf8_lossy(line.text);
            if text.starts_with([' ', '\t']) {
                if let Some(last) = headers.last_mut() {
                    last.value.push(' ');
                    last.value.push_str(text.trim());
                }
                continue;
            }
            let Some((name, value)) = text.split_once(':') else { continue };
            let name = name.trim_end();
            if !name.is_empty() && name.bytes().all(is_token) {
                headers.push(Header { name: name.to_owned(), value: value.trim().to_owned() });
            }
        }
        let named = headers.iter().find(|header| same_name(&header.name, "Content-Type"));
        let content_type = named.map_or("text/plain", |header| header.value.as_str()).to_owned();
        self.take(&content_type, &headers, content, whole, depth);
    }
}

struct Line<'a> {
    /// Without its end.
    text: &'a [u8],
    /// Where the line end before it begins; content ends there.
    before: usize,
    /// Where the next line begins.
    after: usize,
}

/// Lines that end in CRLF or LF.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let size = rest.iter().position(|byte| *byte == b'\n');
        let text = rest.get(..size.unwrap_or(rest.len()))?;
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let start = self.bytes.get(..self.at)?;
        let before = match start {
            [before @ .., b'\r', b'\n'] | [before @ .., b'\n'] => before.len(),
            _ => start.len(),
        };
        let used = size.map_or(rest.len(), |size| size.saturating_add(1));
        self.at = self.at.saturating_add(used);
        Some(Line { text, before, after: self.at })
    }
}

/// Whether a line parts two parts (`false`) or closes the last (`true`).
fn delimiter(line: &[u8], boundary: &str) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
    let (closing, rest) = match rest.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    rest.iter().all(|byte| matches!(byte, b' ' | b'\t')).then_some(closing)
}

fn media_type(content_type: &str) -> String {
    let name = content_type.split(';').next().unwrap_or_default();
    let plain: String = name.chars().filter(|sign| !sign.is_whitespace()).collect();
    plain.to_ascii_lowercase()
}

fn boundary(content_type: &str) -> Option<String> {
    let mut rest = content_type;
    loop {
        // A boundary may hold a semicolon within its quotes; nothing before it does.
        let (_before, after) = rest.split_once(';')?;
        let after = after.trim_start();
        let (name, value) = after.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("boundary") {
            let value = value.trim_start();
            let value = match value.strip_prefix('"') {
                Some(quoted) => unquote(&format!("\"{}\"", quoted.split('"').next()?)),
                None => value.split(';').next()?.trim_end().to_owned(),
            };
            return Some(value).filter(|value| (1..=70).contains(&value.len()));
        }
        rest = after;
    }
}

fn decode(encoding: Option<&str>, body: &[u8]) -> Vec<u8> {
    match encoding.map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        Some("base64") => base64(body),
        Some("quoted-printable") => quoted_printable(body),
        _ => body.to_vec(),
    }
}

/// Skips what is no digit; stops at the first pad.
fn base64(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut bits: u32 = 0;
    let mut count: u32 = 0;
    for byte in body {
        let digit = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits.wrapping_shl(6) | u32::from(digit);
        count = count.wrapping_add(6);
        if count >= 8 {
            count = count.wrapping_sub(8);
            let [.., byte] = bits.wrapping_shr(count).to_be_bytes();
            bytes.push(byte);
        }
    }
    bytes
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = body;
    loop {
        match rest {
            [] => return bytes,
            [b'=', b'\r', b'\n', tail @ ..] | [b'=', b'\n', tail @ ..] => rest = tail,
            [b'=', high, low, tail @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                if let (Some(high), Some(low)) = (digit(*high), digit(*low)) {
                    let [.., byte] = (high.wrapping_shl(4) | low).to_be_bytes();
                    bytes.push(byte);
                    rest = tail;
                } else {
                    bytes.push(b'=');
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
}
