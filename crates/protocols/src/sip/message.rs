//! Requests and responses of SIP: RFC 3261, forgiving where RFC 4475 asks for it.
//!
//! Accepted: compact names, folded lines, lines that end in LF alone, white space around colons,
//! lines that are no header (kept out and told of), bytes that are no UTF-8 in display names.

use super::address::{Address, Via};

/// Largest head of a message: start line and headers.
pub const HEAD_SIZE_MAX: usize = 16_384;
/// Largest message, head and body.
pub const MESSAGE_SIZE_MAX: usize = 65_536;
/// Most headers of a message.
pub const HEADER_COUNT_MAX: usize = 256;

/// First line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// Such as `INVITE`; upper and lower case differ.
        method: String,
        /// Request-URI.
        uri: String,
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// For people.
        reason: String,
    },
}

/// A header, folded lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Name as written.
    pub name: String,
    /// Value without white space around it.
    pub value: String,
}

/// What is wrong with a message that could be taken apart all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A header that every message needs is missing, double or unreadable.
    Header(&'static str),
    /// Another version of SIP.
    Version,
    /// The method of `CSeq` is not that of the request.
    Method,
    /// A length that is none.
    Length,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// First line.
    pub start: Start,
    /// Headers in their order.
    pub headers: Vec<Header>,
    /// Body, as far as it came.
    pub body: Vec<u8>,
    /// Whether the message claims a longer body than came, or than is read.
    pub truncated: bool,
    /// The first thing that is wrong with it.
    pub flaw: Option<Flaw>,
}

/// Bytes that are no message at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no SIP message: {0}")]
pub struct NoMessage(pub &'static str);

/// Full name of a compact header name, else the name itself.
fn full_name(name: &str) -> &str {
    let compact = match name.as_bytes() {
        [letter] => letter.to_ascii_lowercase(),
        _ => return name,
    };
    match compact {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

/// Whether two header names are one, compact or not.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    full_name(one).eq_ignore_ascii_case(full_name(other))
}

/// Where the head ends: its size, with the empty line that closes it.
#[must_use]
pub fn head_size(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\n' {
            continue;
        }
        let line = bytes.get(line_start..at)?;
        if matches!(line, [] | [b'\r']) {
            return at.checked_add(1);
        }
        line_start = at.checked_add(1)?;
    }
    None
}

impl Message {
    /// Takes a datagram apart. Bytes beyond the claimed length are ignored; fewer make it
    /// `truncated`.
    ///
    /// # Errors
    ///
    /// When there is no start line of SIP, or no end to the head.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoMessage> {
        let bytes = skip_line_ends(bytes);
        // A head without its empty line ends where the datagram does.
        let size = head_size(bytes).unwrap_or(bytes.len());
        let (head, body) = bytes.split_at_checked(size).unwrap_or((bytes, &[]));
        let mut message = Self::parse_head(head)?;
        match message.content_length() {
            Ok(None) => message.body = body.to_vec(),
            Ok(Some(claimed)) => {
                let came = body.len();
                message.truncated = claimed > came;
                message.body = body.get(..claimed.min(came)).unwrap_or_default().to_vec();
            }
            Err(flaw) => {
                message.flaw.get_or_insert(flaw);
                message.body = body.to_vec();
            }
        }
        Ok(message)
    }

    /// Takes a head apart; the body is left empty.
    ///
    /// # Errors
    ///
    /// When there is no start line of SIP, or more than the limits allow.
    pub fn parse_head(head: &[u8]) -> Result<Self, NoMessage> {
        if head.len() > HEAD_SIZE_MAX {
            return Err(NoMessage("its head has more than 16 KiB"));
        }
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let (start, mut flaw) = parse_start(lines.next().unwrap_or_default())?;
        let mut headers: Vec<Header> = Vec::new();
        for line in lines {
            if line.is_empty() {
                break;
            }
            if line.starts_with([' ', '\t']) {
                let Some(last) = headers.last_mut() else { continue };
                last.value.push(' ');
                last.value.push_str(line.trim());
                continue;
            }
            // A line that is no header says nothing; the call counts more than the line.
            let Some((name, value)) = line.split_once(':') else { continue };
            let name = name.trim_end();
            if name.is_empty() || !name.bytes().all(is_token) {
                continue;
            }
            if headers.len() >= HEADER_COUNT_MAX {
                return Err(NoMessage("it has more than 256 headers"));
            }
            headers.push(Header { name: name.to_owned(), value: value.trim().to_owned() });
        }
        for header in &mut headers {
            header.value = plain(&header.value);
        }
        let mut message = Self { start, headers, body: Vec::new(), truncated: false, flaw: None };
        if flaw.is_none() {
            flaw = message.find_flaw();
        }
        message.flaw = flaw;
        Ok(message)
    }

    fn find_flaw(&self) -> Option<Flaw> {
        for name in ["Call-ID", "CSeq", "From", "To"] {
            let mut values = self.all(name);
            let good = values.next().is_some_and(|value| !value.is_empty());
            if !good || values.next().is_some() {
                return Some(Flaw::Header(name));
            }
        }
        if self.via().is_none() {
            return Some(Flaw::Header("Via"));
        }
        for name in ["From", "To"] {
            if self.address(name).is_none() {
                return Some(Flaw::Header(name));
            }
        }
        let Some((_number, method)) = self.cseq() else { return Some(Flaw::Header("CSeq")) };
        if let Start::Request { method: wanted, .. } = &self.start
            && method != wanted
        {
            return Some(Flaw::Method);
        }
        None
    }

    /// First value of a header.
    #[must_use]
    pub fn first(&self, name: &'static str) -> Option<&str> {
        self.all(name).next()
    }

    /// Values of a header, a line each.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let mut headers = self.headers.iter();
        std::iter::from_fn(move || {
            headers.find(|header| same_name(&header.name, name)).map(|header| header.value.as_str())
        })
    }

    /// Method of a request.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// Request-URI.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// Status of a response.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(*status),
        }
    }

    /// Number and method of `CSeq`.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.first("CSeq")?.split_once([' ', '\t'])?;
        let method = method.trim();
        let good = !method.is_empty() && method.bytes().all(is_token);
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !good {
            return None;
        }
        // RFC 3261: below 2^31.
        let number = number.parse::<u32>().ok().filter(|number| *number < 0x8000_0000)?;
        Some((number, method))
    }

    /// Topmost `Via`.
    #[must_use]
    pub fn via(&self) -> Option<Via> {
        Via::parse(super::address::split_list(self.first("Via")?).next()?)
    }

    /// The one address of a header.
    #[must_use]
    pub fn address(&self, name: &'static str) -> Option<Address> {
        Address::parse(self.first(name)?)
    }

    /// Tag of `From` or `To`.
    #[must_use]
    pub fn tag(&self, name: &'static str) -> Option<String> {
        self.address(name)?.param("tag").map(str::to_owned).filter(|tag| !tag.is_empty())
    }

    /// Claimed size of the body.
    ///
    /// # Errors
    ///
    /// When it is no number, or two that differ.
    pub fn content_length(&self) -> Result<Option<usize>, Flaw> {
        let mut found = None;
        for value in self.all("Content-Length") {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            // A number too large for the type is too large for us as well.
            let length = if digits {
                value.parse().unwrap_or(usize::MAX)
            } else {
                return Err(Flaw::Length);
            };
            if found.is_some_and(|found| found != length) {
                return Err(Flaw::Length);
            }
            found = Some(length);
        }
        Ok(found)
    }

    /// Writes it; `Content-Length` is added, whatever the headers say.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { status, reason } => format!("SIP/2.0 {status:03} {reason}\r\n"),
        };
        for Header { name, value } in &self.headers {
            if same_name(name, "Content-Length") {
                continue;
            }
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("Content-Length: ");
        text.push_str(&self.body.len().to_string());
        text.push_str("\r\n\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// A request with nothing but its first line.
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Self {
        let start = Start::Request { method: method.to_owned(), uri: uri.to_owned() };
        Self { start, headers: Vec::new(), body: Vec::new(), truncated: false, flaw: None }
    }

    /// Adds a header.
    pub fn push(&mut self, name: &str, value: &str) {
        self.headers.push(Header { name: name.to_owned(), value: value.to_owned() });
    }
}

fn parse_start(line: &str) -> Result<(Start, Option<Flaw>), NoMessage> {
    let none = NoMessage("its first line is neither a request nor a status");
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        let status: u16 = if digits { status.parse().unwrap_or(0) } else { 0 };
        if !(100..700).contains(&status) {
            return Err(none);
        }
        return Ok((Start::Response { status, reason: reason.to_owned() }, None));
    }
    let (method, rest) = line.split_once(' ').ok_or(none)?;
    let (uri, version) = rest.trim().rsplit_once(' ').ok_or(none)?;
    let uri = uri.trim();
    let sip = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
    if method.is_empty() || !method.bytes().all(is_token) || uri.is_empty() || !sip {
        return Err(none);
    }
    let flaw = if version.eq_ignore_ascii_case("SIP/2.0") {
        // White space within an address: RFC 4475 has it refused, not repaired.
        let odd = |sign: char| sign.is_control() || " <>\"".contains(sign);
        uri.contains(odd).then_some(Flaw::Header("Request-URI"))
    } else {
        Some(Flaw::Version)
    };
    Ok((Start::Request { method: method.to_owned(), uri: uri.to_owned() }, flaw))
}

/// A value without control signs: what comes back in an answer must not break its lines.
fn plain(value: &str) -> String {
    value.replace(|sign: char| sign.is_control() && sign != '\t', " ").trim().to_owned()
}

/// Line ends before a message keep links alive and say nothing.
pub(super) fn skip_line_ends(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    start.and_then(|start| bytes.get(start..)).unwrap_or_default()
}

pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}
