//! The simple types of XML Schema that CAP uses, read as libxml2 reads them.

/// Most of the hours of an offset.
const OFFSET_HOURS_MAX: u32 = 14;

/// Without the white space of XML at both ends: what a type with `collapse` compares.
pub(super) fn collapse(text: &str) -> &str {
    text.trim_matches(is_space)
}

pub(super) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// A character that a document may hold (XML 1.0, production 2).
pub(super) const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// `dateTime` in the form of CAP: `2025-11-23T08:45:00+09:00`, a day and an hour that exist.
pub(super) fn is_date_time(text: &str) -> bool {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:ddsdd:dd";
    let fits = |(form, byte): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b's' => matches!(byte, b'+' | b'-'),
        fixed => fixed == byte,
    };
    if text.len() != FORM.len() || !FORM.iter().zip(text.as_bytes()).all(fits) {
        return false;
    }
    let number = |range: std::ops::Range<usize>| {
        text.get(range).and_then(|digits| digits.parse::<u32>().ok())
    };
    let numbers = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19, 20..22, 23..25].map(number);
    let [
        Some(year),
        Some(month),
        Some(day),
        Some(hour),
        Some(minute),
        Some(second),
        Some(offset_hours),
        Some(offset_minutes),
    ] = numbers
    else {
        return false;
    };
    let end_of_day = (hour, minute, second) == (24, 0, 0);
    let offset_is_good = offset_minutes < 60
        && (offset_hours < OFFSET_HOURS_MAX
            || (offset_hours, offset_minutes) == (OFFSET_HOURS_MAX, 0));
    year > 0
        && (1..=days_of(year, month)).contains(&day)
        && (end_of_day || (hour < 24 && minute < 60 && second < 60))
        && offset_is_good
}

/// 0 for a month that does not exist.
const fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

/// `language`: letters, then letters and digits, parted by hyphens, one to eight each.
pub(super) fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let sized = |part: &str| (1..=8).contains(&part.len());
    let first = parts
        .next()
        .is_some_and(|part| sized(part) && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    first && parts.all(|part| sized(part) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// `integer`.
pub(super) fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `decimal`.
pub(super) fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(part) && !(whole.is_empty() && part.is_empty())
}

/// `anyURI`: nothing, or a reference of RFC 3986, where characters that would have to be escaped
/// count as escaped, white space too.
pub(super) fn is_any_uri(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let (before, fragment) = match text.split_once('#') {
        Some((before, fragment)) => (before, fragment),
        None => (text, ""),
    };
    let (before, query) = before.split_once('?').unwrap_or((before, ""));
    if !is_made_of(query, "/?:@") || !is_made_of(fragment, "/?:@[]") {
        return false;
    }
    let after_scheme = before.split_once(':').filter(|(scheme, _rest)| is_scheme(scheme));
    if after_scheme.is_some_and(|(_scheme, rest)| is_hierarchy(rest)) {
        return true;
    }
    let first = before.split('/').next().unwrap_or_default();
    (before.starts_with('/') || !first.contains(':')) && is_hierarchy(before)
}

fn is_scheme(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(rest)
}

/// A path, with or without an authority before it.
fn is_hierarchy(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("//") else {
        return is_made_of(text, "/:@");
    };
    let (authority, path) =
        rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or((rest, ""));
    is_made_of(path, "/:@") && is_authority(authority)
}

fn is_authority(text: &str) -> bool {
    let host = match text.split_once('@') {
        Some((user, host)) if is_made_of(user, ":") => host,
        _ => text,
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<i32>().is_ok();
    if let Some(bracket) = host.strip_prefix('[') {
        let Some((_address, port)) = bracket.split_once(']') else { return false };
        return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    }
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    is_made_of(name, "") && port.is_none_or(is_port)
}

/// Unreserved characters, sub-delimiters, escapes, and these too.
fn is_made_of(text: &str, these: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let good = match c {
            '%' => [rest.next(), rest.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            // Those that count as escaped.
            '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`' | '\u{7F}' => true,
            c if is_space(c) => true,
            '-' | '.' | '_' | '~' | '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';'
            | '=' => true,
            c => !c.is_ascii() || c.is_ascii_alphanumeric() || these.contains(c),
        };
        if !good {
            return false;
        }
    }
    true
}
