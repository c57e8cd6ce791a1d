//! The small grammars of values: socket addresses, mail addresses, hashes, keys, names.

use std::net::{IpAddr, SocketAddr};

/// What is wrong and how to mend it.
pub(crate) type Wrong = (String, String);

fn wrong<T>(message: impl Into<String>, remedy: impl Into<String>) -> Result<T, Wrong> {
    Err((message.into(), remedy.into()))
}

/// An address to listen at: IP address and port.
pub(crate) fn listener(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().or_else(|_| {
        let message = format!("`{text}` is no IP address with a port");
        wrong(message, "write it as \"127.0.0.1:8119\" or \"[::1]:8119\"")
    })
}

/// A server's `host:port`, by name or IP address.
pub(crate) fn server(text: &str) -> Result<&str, Wrong> {
    let remedy = "write it as \"mail.example.jp:25\"";
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong(format!("`{text}` has no port"), remedy);
    };
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong(format!("`{port}` is no port"), "a port is a number from 1 to 65535");
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<IpAddr>().is_err() && domain(host).is_err() {
        return wrong(format!("`{host}` is no host name and no IP address"), remedy);
    }
    Ok(text)
}

/// Whether this host, as written in `host:port`, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host of `host:port`.
pub(crate) fn host(server: &str) -> &str {
    server.rsplit_once(':').map_or(server, |(host, _)| host)
}

/// Whether the domain is one of those that are set aside for examples (RFC 2606, RFC 6761) or
/// `example.jp`, which the registry of `.jp` keeps for the same use.
pub(crate) fn is_example(domain: &str) -> bool {
    const SET_ASIDE: [&str; 7] =
        ["example", "example.jp", "example.com", "example.net", "example.org", "test", "invalid"];
    SET_ASIDE.iter().any(|aside| {
        domain.strip_suffix(aside).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// A mail address as it lives. Japanese carriers gave out addresses that RFC 5321 forbids
/// (`a..b@`, `.a@`, `a.@`) and people still have them, so the local part is checked only for what
/// would break a mail's envelope.
pub(crate) fn mail_address(text: &str) -> Result<&str, Wrong> {
    let remedy = "write one address: \"name@docomo.example.jp\"";
    if text.len() > MAIL_ADDRESS_BYTES_MAX {
        let message = format!("the mail address has more than {MAIL_ADDRESS_BYTES_MAX} bytes");
        return wrong(message, "check it with the person");
    }
    let Some((local, domain_part)) = text.rsplit_once('@') else {
        return wrong("the mail address has no `@`", remedy);
    };
    let legal = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '@' | '\\' | ',' | ';');
    if local.is_empty() || !local.chars().all(legal) {
        return wrong("the mail address has an impossible part before the `@`", remedy);
    }
    if !domain_part.contains('.') || domain(domain_part).is_err() {
        return wrong("the mail address has an impossible domain", remedy);
    }
    Ok(text)
}

/// A domain of letters, digits and hyphens.
pub(crate) fn domain(text: &str) -> Result<&str, Wrong> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return wrong(format!("`{text}` is no domain"), "write it as \"city.example.jp\"");
    }
    Ok(text)
}

/// An address without a port.
pub(crate) fn ip(text: &str) -> Result<IpAddr, Wrong> {
    text.parse().or_else(|_no_address| {
        wrong(format!("`{text}` is no address"), "write it as \"192.0.2.10\"")
    })
}

/// A seat's phone, `sip:user@address:port` with `;transport=tcp` when it is reached so: user,
/// address, whether over TCP.
pub(crate) fn phone(text: &str) -> Result<(&str, SocketAddr, bool), Wrong> {
    let remedy = "write it as \"sip:desk1@192.0.2.21:5060\", with \";transport=tcp\" for TCP";
    let (uri, parameter) = text.split_once(';').unwrap_or((text, "transport=udp"));
    let tcp = match parameter {
        "transport=tcp" => true,
        "transport=udp" => false,
        _ => return wrong(format!("`{parameter}` is no way to a phone"), remedy),
    };
    let parts = uri.strip_prefix("sip:").and_then(|rest| rest.split_once('@'));
    let found = parts.and_then(|(user, host)| Some((user, host.parse().ok()?)));
    let named = |user: &str| {
        !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
    };
    match found {
        Some((user, address)) if named(user) => Ok((user, address, tcp)),
        _ => wrong(format!("`{text}` is no address of a phone"), remedy),
    }
}

/// First part of links: `http://` or `https://`, a host, no slash at the end, no query.
pub(crate) fn url(text: &str) -> Result<&str, Wrong> {
    let remedy = "write it as \"https://answer.example.jp\", without a slash at its end";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or("");
    let named = server(authority).is_ok() || domain(authority).is_ok();
    let clean = text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['?', '#', '"', '<', '>', '@'])
        && !text.ends_with('/');
    if named && clean { Ok(text) } else { wrong("this is no address for links", remedy) }
}

/// A register key of a person, or a log-in name: 1 to 64 of `a-z 0-9 - _ .`.
pub(crate) fn key(text: &str) -> Result<&str, Wrong> {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    if text.is_empty() || text.len() > KEY_BYTES_MAX || !text.bytes().all(legal) {
        let remedy = format!("use 1 to {KEY_BYTES_MAX} of a-z, 0-9, `-`, `_`, `.`");
        return wrong(format!("`{text}` is no key"), remedy);
    }
    Ok(text)
}

/// A device's source name: a door that is built in, `:`, and the device's own name there.
pub(crate) fn source_name(text: &str) -> Result<&str, Wrong> {
    let Some((door, device)) = text.split_once(':') else {
        return wrong(format!("`{text}` names no door"), "write it as \"dc09:4001\"");
    };
    if !DEVICE_DOORS.contains(&door) {
        let message = format!("`{door}` is no door for devices");
        return wrong(message, format!("known doors are {}", DEVICE_DOORS.join(", ")));
    }
    let legal = device.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b':'));
    if device.is_empty() || device.len() > DEVICE_BYTES_MAX || !legal {
        let remedy = format!("1 to {DEVICE_BYTES_MAX} signs of plain ASCII follow `{door}:`");
        return wrong(format!("`{text}` names no device"), remedy);
    }
    Ok(text)
}

/// A zone's name: it stands in mails, in one line.
pub(crate) fn zone_name(text: &str) -> Result<&str, Wrong> {
    if text.len() > crate::ZONE_NAME_BYTES_MAX {
        let remedy = format!("use 1 to {} bytes", crate::ZONE_NAME_BYTES_MAX);
        return wrong(format!("`{text}` is no name for a zone"), remedy);
    }
    Ok(text)
}

/// An argon2id hash in PHC form: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
///
/// `m_kib_min` is the least memory it must have been made with.
pub(crate) fn password_hash(text: &str, m_kib_min: u32) -> Result<&str, Wrong> {
    let remedy = "make it with `argon2` (Debian: argon2): argon2 SALT -id -e -m 15 -t 2 -p 1";
    let parts: Vec<&str> = text.split('$').collect();
    let ["", "argon2id", "v=19", costs, salt, hash] = parts.as_slice() else {
        return wrong("this is no argon2id hash in PHC form", remedy);
    };
    let costs: Option<Vec<u32>> = costs
        .split(',')
        .zip(["m=", "t=", "p="])
        .map(|(cost, name)| cost.strip_prefix(name)?.parse().ok())
        .collect();
    let Some([memory_kib, passes, lanes]) = costs.as_deref() else {
        return wrong("the costs of the argon2id hash cannot be read", remedy);
    };
    if !(1..=16).contains(lanes) || !(1..=16).contains(passes) || *memory_kib > MEMORY_KIB_MAX {
        let message = "the costs of the argon2id hash are out of range";
        return wrong(message, "p and t may be 1 to 16, m at most 1048576");
    }
    if *memory_kib < m_kib_min.max(8 * lanes) {
        let message = format!("the argon2id hash was made with m={memory_kib}");
        return wrong(message, format!("make it with m={m_kib_min} or more"));
    }
    let sized = |text: &str, least: usize| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        text.len() >= least && text.len() <= 86 && text.bytes().all(legal) && text.len() % 4 != 1
    };
    // 8 bytes of salt and 16 of hash are the least that RFC 9106 allows or advises; base64
    // without padding makes 11 and 22 letters of them.
    if !sized(salt, 11) || !sized(hash, 22) {
        return wrong("the salt or the hash is not base64 of a right length", remedy);
    }
    Ok(text)
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// An AES key in hexadecimal digits.
pub(crate) fn aes_key(text: &str) -> Result<Vec<u8>, Wrong> {
    let remedy = "write 32, 48 or 64 hexadecimal digits, as the maker's tool shows them";
    match hex(text) {
        Some(bytes) if matches!(bytes.len(), 16 | 24 | 32) => Ok(bytes),
        Some(bytes) => {
            wrong(format!("an AES key has 16, 24 or 32 bytes, this one {}", bytes.len()), remedy)
        }
        None => wrong("the AES key is not in pairs of hexadecimal digits", remedy),
    }
}

/// A BLAKE3 hash in hexadecimal digits.
pub(crate) fn blake3(text: &str) -> Result<[u8; 32], Wrong> {
    hex(text).and_then(|bytes| bytes.try_into().ok()).map_or_else(
        || wrong("the token's hash is not 64 hexadecimal digits", "make it with `b3sum`"),
        Ok,
    )
}

/// The nearest of `known` to what was typed, when it is near enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).clamp(2, 3);
    known
        .map(|word| (distance(typed, word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a_char) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b_char) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(a_char != *b_char);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// Doors at which devices are registered.
const DEVICE_DOORS: [&str; 3] = ["dc09", "watch", "mqtt"];
/// RFC 5321 section 4.5.3.1.3: a path of 256 bytes with its two angle brackets.
const MAIL_ADDRESS_BYTES_MAX: usize = 254;
const KEY_BYTES_MAX: usize = 64;
/// As `hansho_model::Report::device`.
const DEVICE_BYTES_MAX: usize = 32;
/// 1 GiB; more would let one log-in take the machine's memory.
const MEMORY_KIB_MAX: u32 = 1_048_576;
