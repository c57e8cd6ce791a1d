//! SIP (RFC 3261) as a handset or a phone on a desk speaks it, and the body of a call to 119: SDP
//! and a PIDF-LO (RFC 4119, 5491) side by side.
//!
//! It reads no more than a phone must: first line, headers, length.

use std::fmt;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

/// First wait for an answer over UDP; doubled with each repeat.
pub const T1: std::time::Duration = std::time::Duration::from_millis(500);
/// Longest wait between two repeats of anything but an INVITE.
pub const T2: std::time::Duration = std::time::Duration::from_secs(4);
/// After this the other side is given up: 64 times [`T1`].
pub const GIVEN_UP: std::time::Duration = std::time::Duration::from_secs(32);

/// A request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// A request without headers.
    #[must_use]
    pub fn request(method: &str, uri: &str) -> Self {
        Self { first: format!("{method} {uri} SIP/2.0"), ..Self::default() }
    }

    /// The response to a request, with what RFC 3261 section 8.2.6 has it copy.
    #[must_use]
    pub fn response(status: u16, reason: &str, request: &Self) -> Self {
        let copied = ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"];
        let headers = request.headers.iter();
        let headers = headers.filter(|(name, _)| copied.iter().any(|each| is(name, each)));
        Self {
            first: format!("SIP/2.0 {status} {reason}"),
            headers: headers.cloned().collect(),
            body: Vec::new(),
        }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a body of this type.
    #[must_use]
    pub fn with_body(self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.with("Content-Type", kind) }
    }

    /// With a tag on `To`, unless there is one.
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        for (name, value) in &mut self.headers {
            if is(name, "To") && parameter(value, "tag").is_none() {
                value.push_str(";tag=");
                value.push_str(tag);
            }
        }
        self
    }

    /// With the first `Via` telling its sender which address it was seen at (RFC 3581).
    #[must_use]
    pub fn seen_from(mut self, address: std::net::SocketAddr) -> Self {
        if let Some((_, via)) = self.headers.iter_mut().find(|(name, _)| is(name, "Via")) {
            let (ip, port) = (address.ip(), address.port());
            *via = via.replacen(";rport", &format!(";received={ip};rport={port}"), 1);
        }
        self
    }

    /// On the wire, with its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// A datagram; `None` when it is no SIP.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, body) = (bytes.get(..end)?, bytes.get(end + 4..)?);
        let head = str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        if !first.starts_with("SIP/2.0 ") && !first.ends_with(" SIP/2.0") {
            return None;
        }
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            match (line.starts_with([' ', '\t']), headers.last_mut()) {
                (true, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    let (name, value) = line.split_once(':')?;
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
        }
        Some(Self { first, headers, body: body.to_vec() })
    }

    /// The next message of a stream, taken out of it; `None` until it is whole.
    pub fn take(stream: &mut Vec<u8>) -> Option<Self> {
        // Empty lines between messages keep a connection alive (RFC 5626).
        let start = stream.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        drop(stream.drain(..start.unwrap_or(stream.len())));
        let end = stream.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = Self::read(stream.get(..end)?);
        let length = head.as_ref().and_then(|head| head.header("Content-Length")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        let end = end.checked_add(length).filter(|end| *end <= stream.len())?;
        let whole: Vec<u8> = stream.drain(..end).collect();
        Self::read(&whole)
    }

    /// Status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.split(' ').next()?.parse().ok()
    }

    /// Method of a request; of a response, that of the request it answers.
    #[must_use]
    pub fn method(&self) -> &str {
        let word = match self.status() {
            Some(_) => self.header("CSeq").and_then(|value| value.split_whitespace().nth(1)),
            None => self.first.split(' ').next(),
        };
        word.unwrap_or_default()
    }

    /// The first header of this name, long or short.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| is(found, name));
        found.map(|(_, value)| value.as_str())
    }

    /// All headers of this name, in order.
    #[must_use]
    pub fn headers<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let found = self.headers.iter().filter(move |(found, _)| is(found, name));
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter of a header.
    #[must_use]
    pub fn parameter(&self, header: &str, name: &str) -> Option<&str> {
        parameter(self.header(header)?, name)
    }

    /// The address in `Contact`.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        let value = self.header("Contact")?;
        match value.split_once('<') {
            Some((_, rest)) => rest.split('>').next(),
            None => value.split(';').next(),
        }
    }

    /// Body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Whether a header's name, maybe in its short form (RFC 3261 section 20), is this one.
fn is(found: &str, name: &str) -> bool {
    let long = match found {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "l" => "Content-Length",
        "c" => "Content-Type",
        whole => whole,
    };
    long.eq_ignore_ascii_case(name)
}

/// A parameter behind the address of a header's value; empty when it is there without a value.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let behind = value.rsplit_once('>').map_or(value, |(_, behind)| behind);
    behind.split(';').skip(1).find_map(|part| {
        let (found, value) = part.split_once('=').unwrap_or((part, ""));
        found.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// What a call says of where the caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A circle.
    Circle,
    /// A point that does not say how far off it may be.
    Point,
    /// An address in words.
    Civic,
    /// Nothing.
    None,
    /// A circle with the longitude first.
    Swapped,
    /// XML that ends in the middle.
    Broken,
}

/// Where a caller is, and how the network puts it.
#[derive(Clone, Debug)]
pub struct Place {
    /// How it is said.
    pub shape: Shape,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Radius in metres.
    pub radius_m: u32,
    /// How it was found: `GPS`, `Cell`, `802.11`.
    pub method: String,
    /// How old it is when the call begins; negative from a clock that is ahead.
    pub age: SignedDuration,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            shape: Shape::Circle,
            lat: 37.0558,
            lon: 140.8930,
            radius_m: 18,
            method: "GPS".to_owned(),
            age: SignedDuration::ZERO,
        }
    }
}

impl Place {
    /// As a PIDF-LO about this number; `None` when nothing is said.
    #[must_use]
    pub fn document(&self, number: &str, now: Timestamp) -> Option<String> {
        let Self { lat, lon, radius_m, method, .. } = self;
        let circle = |first: &f64, second: &f64| {
            format!(
                "<gs:Circle srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>{first:.5} {second:.5}\
                 </gml:pos><gs:radius uom=\"urn:ogc:def:uom:EPSG::9001\">{radius_m}</gs:radius>\
                 </gs:Circle>"
            )
        };
        let shown = match self.shape {
            Shape::None => return None,
            Shape::Circle | Shape::Broken => circle(lat, lon),
            Shape::Swapped => circle(lon, lat),
            Shape::Point => format!(
                "<gml:Point srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>{lat:.5} {lon:.5}\
                 </gml:pos></gml:Point>"
            ),
            Shape::Civic => "<ca:civicAddress xml:lang=\"ja\"><ca:country>JP</ca:country>\
                             <ca:A1>福島県</ca:A1><ca:A3>いわき市</ca:A3><ca:A4>平</ca:A4>\
                             <ca:A5>字梅本</ca:A5><ca:HNO>999</ca:HNO></ca:civicAddress>"
                .to_owned(),
        };
        let at = now.checked_sub(self.age).unwrap_or(now);
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
             <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
             xmlns:gp=\"urn:ietf:params:xml:ns:pidf:geopriv10\" \
             xmlns:gml=\"http://www.opengis.net/gml\" \
             xmlns:gs=\"http://www.opengis.net/pidflo/1.0\" \
             xmlns:ca=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\" \
             entity=\"pres:{number}@carrier.example\"><dm:device id=\"handset\"><gp:geopriv>\
             <gp:location-info>{shown}</gp:location-info><gp:usage-rules/>\
             <gp:method>{method}</gp:method></gp:geopriv><dm:timestamp>{at}</dm:timestamp>\
             </dm:device></presence>\r\n"
        );
        if self.shape == Shape::Broken {
            let cut: String = text.chars().take(text.chars().count() * 4 / 5).collect();
            text = cut;
        }
        Some(text)
    }
}

/// An offer of one PCMU stream; nobody speaks.
#[must_use]
pub fn sdp(name: &str, address: IpAddr) -> String {
    let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no={name} 1 1 IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\nt=0 0\r\n\
         m=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

/// Both parts of a call's body and its type.
#[must_use]
pub fn two_parts(sdp: &str, document: &str, content_id: &str) -> (String, String) {
    let boundary = "hansho-sim-part";
    let text = format!(
        "--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n\
         --{boundary}\r\nContent-Type: application/pidf+xml\r\nContent-ID: <{content_id}>\r\n\r\n\
         {document}\r\n--{boundary}--\r\n"
    );
    (format!("multipart/mixed;boundary={boundary}"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RINGING: &[u8] = b"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP 127.0.0.1:5090;rport;branch=z9\r\n\
        t: \"119\" <urn:service:sos>\r\n ;tag=b\r\nCSeq: 1 INVITE\r\nm: <sip:h@127.0.0.1:5060>;x=y\r\n\
        Content-Length: 0\r\n\r\n";

    #[test]
    fn a_response_is_read_whatever_its_headers_look_like() {
        let message = Message::read(RINGING).unwrap();
        assert_eq!((message.status(), message.method()), (Some(180), "INVITE"));
        assert_eq!(message.parameter("To", "tag"), Some("b"));
        assert_eq!(message.parameter("Via", "branch"), Some("z9"));
        assert_eq!(message.parameter("Via", "rport"), Some(""));
        assert_eq!(message.contact(), Some("sip:h@127.0.0.1:5060"));
        for bad in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 180\r\nnothing\r\n\r\n"] {
            assert_eq!(Message::read(bad), None);
        }
    }

    #[test]
    fn a_stream_is_cut_into_messages() {
        let whole = Message::request("INVITE", "urn:service:sos").with_body("text/plain", "hello");
        let bytes = [b"\r\n\r\n".as_slice(), &whole.encode(), RINGING].concat();
        for cut in 0..bytes.len() {
            let mut stream = bytes[..cut].to_vec();
            let mut taken: Vec<Message> =
                std::iter::from_fn(|| Message::take(&mut stream)).collect();
            stream.extend_from_slice(&bytes[cut..]);
            taken.extend(std::iter::from_fn(|| Message::take(&mut stream)));
            assert_eq!(taken.len(), 2, "cut at {cut}");
            assert_eq!(taken[0].body(), b"hello");
        }
    }

    #[test]
    fn a_response_says_where_its_request_was_seen() {
        let request = Message::request("OPTIONS", "sip:desk1@127.0.0.1")
            .with("Via", "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9")
            .with("To", "<sip:desk1@127.0.0.1>")
            .with("Subject", "not copied");
        let seen = "127.0.0.1:6000".parse().unwrap();
        let response = Message::response(200, "OK", &request).with_to_tag("a").seen_from(seen);
        let via = "SIP/2.0/UDP 10.0.0.1:5060;received=127.0.0.1;rport=6000;branch=z9";
        assert_eq!(response.header("Via"), Some(via));
        assert_eq!(response.header("To"), Some("<sip:desk1@127.0.0.1>;tag=a"));
        assert_eq!(response.header("Subject"), None);
    }

    #[test]
    fn places() {
        let now = "2026-01-15T03:04:05Z".parse().unwrap();
        let say = |shape, age| {
            let age = SignedDuration::from_secs(age);
            Place { shape, age, ..Place::default() }.document("+819000000001", now)
        };
        let circle = say(Shape::Circle, 130).unwrap();
        assert!(circle.contains("<gml:pos>37.05580 140.89300</gml:pos>"), "{circle}");
        assert!(circle.contains("2026-01-15T03:01:55Z"), "{circle}");
        assert!(circle.ends_with("</presence>\r\n"), "{circle}");
        assert!(say(Shape::Swapped, 0).unwrap().contains("<gml:pos>140.89300 37.05580</gml:pos>"));
        assert!(!say(Shape::Point, 0).unwrap().contains("radius"));
        assert!(say(Shape::Civic, 0).unwrap().contains("字梅本"));
        assert!(!say(Shape::Broken, 0).unwrap().contains("</presence>"));
        assert_eq!(say(Shape::None, 0), None);
    }
}
