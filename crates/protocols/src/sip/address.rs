//! Addresses, lists of them, and the lines of `Via`.

use std::net::{IpAddr, SocketAddr};

/// Port of SIP over UDP and TCP.
pub const PORT: u16 = 5060;
/// Most entries of a list that are read.
const LIST_COUNT_MAX: usize = 64;
/// Most parameters that are read.
const PARAM_COUNT_MAX: usize = 32;

/// Splits a list at its commas, outside of quotes and angle brackets.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split_outside(value, ',').take(LIST_COUNT_MAX)
}

fn split_outside(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = find_outside(text, separator) else {
            rest = None;
            return Some(text.trim());
        };
        let (item, after) = text.split_at_checked(at)?;
        rest = after.get(separator.len_utf8()..);
        Some(item.trim())
    })
}

/// Where a sign stands outside of quotes and angle brackets.
fn find_outside(text: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut bracketed = false;
    for (at, sign) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match sign {
            '\\' if quoted => escaped = true,
            '"' if !bracketed => quoted = !quoted,
            _ if quoted => {}
            sign if sign == wanted && !bracketed => return Some(at),
            '<' => bracketed = true,
            '>' => bracketed = false,
            _ => {}
        }
    }
    None
}

/// Parameters after a semicolon: names and values without quotes.
fn params(text: &str) -> Vec<(String, Option<String>)> {
    let parts = split_outside(text, ';').filter(|part| !part.is_empty());
    let read = |part: &str| match part.split_once('=') {
        None => (part.trim().to_owned(), None),
        Some((name, value)) => (name.trim().to_owned(), Some(unquote(value.trim()))),
    };
    parts.take(PARAM_COUNT_MAX).map(read).collect()
}

/// A quoted text without its quotes; any other text as it is.
#[must_use]
pub fn unquote(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(inner) = inner else { return text.to_owned() };
    let mut plain = String::new();
    let mut escaped = false;
    for sign in inner.chars() {
        if sign == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        plain.push(sign);
    }
    plain
}

fn find<'a>(params: &'a [(String, Option<String>)], name: &str) -> Option<&'a str> {
    let found = params.iter().find(|(each, _value)| each.eq_ignore_ascii_case(name));
    found.map(|(_name, value)| value.as_deref().unwrap_or_default())
}

/// An address of a header, with or without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its URI.
    pub uri: String,
    /// Parameters of the header, which stand after the bracket.
    pub params: Vec<(String, Option<String>)>,
}

impl Address {
    /// Reads one address. A bracket that is never closed is closed by the end, as callers send it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (uri, rest) = match find_outside(text, '<') {
            Some(open) => {
                let inner = text.get(open.checked_add(1)?..)?;
                inner.split_once('>').unwrap_or((inner, ""))
            }
            // Without brackets every parameter is the header's.
            None => {
                if text.contains('"') {
                    return None;
                }
                text.split_at_checked(text.find(';').unwrap_or(text.len()))?
            }
        };
        let uri = uri.trim();
        let (scheme, after) = uri.split_once(':')?;
        let legal =
            scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if scheme.is_empty() || !legal || after.is_empty() || uri.contains([' ', '\t', '<']) {
            return None;
        }
        Some(Self { uri: uri.to_owned(), params: params(rest) })
    }

    /// A parameter; empty when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }
}

/// A `sip:`, `sips:` or `tel:` URI in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
    /// In lower case.
    pub scheme: String,
    /// User or number, without password and parameters; escapes resolved.
    pub user: Option<String>,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Vec<(String, Option<String>)>,
}

impl Uri {
    /// Takes a URI apart.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme == "tel" {
            let (number, more) = rest.split_once(';').unwrap_or((rest, ""));
            let user = Some(unescape(number));
            let host = String::new();
            return Some(Self { scheme, user, host, port: None, params: params(more) });
        }
        if scheme != "sip" && scheme != "sips" {
            return None;
        }
        let rest = rest.split_once('?').map_or(rest, |(before, _headers)| before);
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let user = user.map(|user| {
            let user = user.split(';').next().unwrap_or_default();
            unescape(user.split(':').next().unwrap_or_default())
        });
        let (place, more) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = host_port(place)?;
        Some(Self { scheme, user, host, port, params: params(more) })
    }

    /// A parameter; empty when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }

    /// Its address when its host is one; a name would have to be looked up.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        let host: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(host, self.port.unwrap_or(PORT)))
    }
}

/// `host`, `host:port`, `[v6]:port`; the host without its brackets.
fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.trim().strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host = host.trim();
    if host.is_empty() || host.contains([' ', '\t', '"']) {
        return None;
    }
    let port = match port {
        None => None,
        Some(port) => Some(port.trim().parse().ok()?),
    };
    Some((host.to_owned(), port))
}

/// Resolves `%41`; what is no escape stays.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if let (b'%', Some([high, low, tail @ ..])) = (*first, Some(after))
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            bytes.push(high.wrapping_shl(4) | low);
            rest = tail;
            continue;
        }
        bytes.push(*first);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A line of `Via`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP` and the like, in upper case.
    pub transport: String,
    /// Host of the sender.
    pub host: String,
    /// Port of the sender.
    pub port: Option<u16>,
    /// Parameters.
    pub params: Vec<(String, Option<String>)>,
}

impl Via {
    /// Reads one entry.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (sent, more) = text.split_at_checked(text.find(';').unwrap_or(text.len()))?;
        let mut parts = sent.splitn(3, '/');
        let name = parts.next()?.trim();
        let version = parts.next()?.trim();
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (transport, place) = parts.next()?.trim().split_once([' ', '\t'])?;
        let transport = transport.trim().to_ascii_uppercase();
        let (host, port) = host_port(place)?;
        if transport.is_empty() || !transport.bytes().all(super::message::is_token) {
            return None;
        }
        Some(Self { transport, host, port, params: params(more) })
    }

    /// A parameter; empty when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        find(&self.params, name)
    }

    /// Name of the transaction.
    #[must_use]
    pub fn branch(&self) -> &str {
        self.param("branch").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_brackets() {
        let read = |text: &str| Address::parse(text).map(|address| address.uri);
        assert_eq!(read("\"A, \\\"B\\\" <x>\" <sip:a@b;lr>;tag=1").as_deref(), Some("sip:a@b;lr"));
        assert_eq!(read("sip:a@b;tag=1").as_deref(), Some("sip:a@b"));
        assert_eq!(read("<sip:a@b:5060").as_deref(), Some("sip:a@b:5060"));
        assert_eq!(read("urn:service:sos").as_deref(), Some("urn:service:sos"));
        assert_eq!(read("\"Watson <sip:a@b>"), None);
        assert_eq!(read("<>;tag=1"), None);
        let tagged = Address::parse("<sip:a@b;tag=no>;Tag=\"a b\";x").unwrap();
        assert_eq!((tagged.param("tag"), tagged.param("x")), (Some("a b"), Some("")));
    }

    #[test]
    fn lists_are_split_outside_of_quotes_and_brackets() {
        let parts: Vec<&str> = split_list("<sip:a,b@c>, \"x, y\" <sip:d@e> ,f").collect();
        assert_eq!(parts, ["<sip:a,b@c>", "\"x, y\" <sip:d@e>", "f"]);
    }

    #[test]
    fn uris_come_apart() {
        let uri = Uri::parse("sip:+81%39:pw@[::1]:5070;transport=tcp?x=y").unwrap();
        assert_eq!(uri.user.as_deref(), Some("+819"));
        assert_eq!(uri.socket(), Some("[::1]:5070".parse().unwrap()));
        assert_eq!(uri.param("Transport"), Some("tcp"));
        assert_eq!(Uri::parse("tel:+81-90;x=1").unwrap().user.as_deref(), Some("+81-90"));
        assert_eq!(Uri::parse("urn:service:sos"), None);
        assert_eq!(Uri::parse("sip:a@b:99999"), None);
    }

    #[test]
    fn vias_are_read_with_loose_white_space() {
        let via = Via::parse("SIP / 2.0 / UDP 192.0.2.2 ; branch=z9hG4bK1;rport").unwrap();
        assert_eq!((via.transport.as_str(), via.host.as_str()), ("UDP", "192.0.2.2"));
        assert_eq!((via.branch(), via.param("rport")), ("z9hG4bK1", Some("")));
        for text in ["", "SIP/2.0", "SIP/1.0/UDP a", "SIP/2.0/UDP", "HTTP/2.0/UDP a"] {
            assert_eq!(Via::parse(text), None, "{text}");
        }
    }
}
