//! The `Geolocation` header: RFC 6442, 8787.

use hansho_model::{LocationFault, LocationSource};

use super::message::is_token;

/// Most values of the header that are read.
pub const VALUE_COUNT_MAX: usize = 8;

/// One value: where the location is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geolocation {
    /// In a part of the body, or at an address to ask.
    pub source: LocationSource,
    /// The URI, as written.
    pub uri: String,
}

/// Reads a header's value, which may hold several, parted by commas.
///
/// # Errors
///
/// `Syntax` when it cannot be read, `Scheme` for an address of a kind that we do not follow.
pub fn parse(value: &str) -> Result<Vec<Geolocation>, LocationFault> {
    let mut found = Vec::new();
    let mut rest = value.trim();
    loop {
        let inner = rest.strip_prefix('<').ok_or(LocationFault::Syntax)?;
        let (uri, after) = inner.split_once('>').ok_or(LocationFault::Syntax)?;
        if found.len() >= VALUE_COUNT_MAX {
            return Err(LocationFault::Size);
        }
        found.push(read(uri)?);
        rest = skip_params(after)?;
        if rest.is_empty() {
            return Ok(found);
        }
        rest = rest.strip_prefix(',').ok_or(LocationFault::Syntax)?.trim_start();
    }
}

fn read(uri: &str) -> Result<Geolocation, LocationFault> {
    let (scheme, rest) = uri.split_once(':').ok_or(LocationFault::Syntax)?;
    let mut letters = scheme.bytes();
    let legal = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let blank = uri.chars().any(|sign| sign.is_whitespace() || sign.is_control());
    if !legal || rest.is_empty() || blank || uri.contains(['<', '"']) {
        return Err(LocationFault::Syntax);
    }
    let source = match scheme.to_ascii_lowercase().as_str() {
        "cid" => LocationSource::Value,
        "http" | "https" | "sip" | "sips" | "pres" => LocationSource::Reference,
        _ => return Err(LocationFault::Scheme),
    };
    Ok(Geolocation { source, uri: uri.to_owned() })
}

/// Skips `;name=value`, where a value may stand in quotes; gives what follows.
fn skip_params(text: &str) -> Result<&str, LocationFault> {
    let mut rest = text.trim_start();
    while let Some(param) = rest.strip_prefix(';') {
        let param = param.trim_start();
        let (name, after) = take(param, is_token);
        if name.is_empty() {
            return Err(LocationFault::Syntax);
        }
        rest = after.trim_start();
        let Some(value) = rest.strip_prefix('=') else { continue };
        let value = value.trim_start();
        rest = if let Some(quoted) = value.strip_prefix('"') {
            after_quote(quoted).ok_or(LocationFault::Syntax)?
        } else {
            let (word, after) = take(value, |byte| is_token(byte) || b"[]:@".contains(&byte));
            if word.is_empty() {
                return Err(LocationFault::Syntax);
            }
            after
        };
        rest = rest.trim_start();
    }
    Ok(rest)
}

fn take(text: &str, fits: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !fits(byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn after_quote(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, sign) in text.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return text.get(at.checked_add(1)?..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(value: &str) -> String {
        match parse(value) {
            Ok(values) => {
                let words = values.iter().map(|value| format!("{} {}", value.source, value.uri));
                words.collect::<Vec<_>>().join("; ")
            }
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn values_are_read_with_their_parameters() {
        let two = "<cid:a@b>;inserted-by=\"x, <y>\" , <https://c.example/d,e>;loc-src=lis.example";
        assert_eq!(words(two), "value cid:a@b; reference https://c.example/d,e");
        assert_eq!(words("<CID:a@b>;routing-allowed=yes"), "value CID:a@b");
    }

    #[test]
    fn what_breaks_the_grammar_is_named() {
        let bad =
            ["", "<", "<>", "cid:a@b", "<cid:>", "<cid:a@b", "<a b:c>", "<cid:a@b>,", "<cid:a b>"];
        for value in bad.into_iter().chain(["x <cid:a@b>", "<cid:a@b>;", "<cid:a@b> <cid:c@d>"]) {
            assert_eq!(words(value), "syntax", "{value}");
        }
        assert_eq!(words("<ftp://lis.example/x>"), "scheme");
    }
}
