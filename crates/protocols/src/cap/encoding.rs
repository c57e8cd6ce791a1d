//! Bytes to text. What is in an encoding that is not read is refused, never guessed at.

use std::borrow::Cow;

use super::fault::{CapFault, cut};

/// Longest XML declaration, in bytes, in which an encoding is looked for.
const DECLARATION_SIZE_MAX: usize = 256;

/// A byte order mark comes before what is declared, and so does the beginning of a declaration in
/// UTF-16.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, CapFault> {
    match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [b'<', 0, b'?', 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, b'<', 0, b'?', ..] => utf16(bytes, u16::from_be_bytes),
        _ => {
            let label = declared(bytes);
            match label.as_deref().map(str::to_ascii_uppercase).as_deref() {
                None | Some("UTF-8" | "UTF8") => utf8(bytes),
                Some("US-ASCII" | "ASCII") if bytes.is_ascii() => utf8(bytes),
                Some("US-ASCII" | "ASCII") => Err(CapFault::Characters),
                Some("ISO-8859-1" | "ISO_8859-1" | "LATIN1") => {
                    Ok(bytes.iter().copied().map(char::from).collect::<String>().into())
                }
                Some(_other) => Err(CapFault::Encoding { label: cut(&label.unwrap_or_default()) }),
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, CapFault> {
    std::str::from_utf8(bytes).map(Cow::from).map_err(|_error| CapFault::Characters)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Cow<'_, str>, CapFault> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(CapFault::Characters);
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.map(Cow::from).map_err(|_error| CapFault::Characters)
}

/// The encoding that the XML declaration names.
fn declared(bytes: &[u8]) -> Option<String> {
    let start = bytes.get(..DECLARATION_SIZE_MAX).unwrap_or(bytes);
    let start: String = start.iter().copied().map(char::from).collect();
    let (declaration, _rest) = start.strip_prefix("<?xml")?.split_once("?>")?;
    let (_before, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let mark = rest.chars().next().filter(|mark| matches!(mark, '"' | '\''))?;
    let (label, _rest) = rest.strip_prefix(mark)?.split_once(mark)?;
    Some(label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(bytes: &[u8]) -> String {
        decode(bytes).map_or_else(|fault| fault.to_string(), Cow::into_owned)
    }

    #[test]
    fn marks_and_declarations() {
        assert_eq!(run("\u{FEFF}火".as_bytes()), "火");
        assert_eq!(run(b"\xFF\xFE<\0\x6B\x70"), "<火");
        assert_eq!(run(b"\xFE\xFF\0<\x70\x6B"), "<火");
        assert_eq!(run(b"<\0?\0\x6B\x70"), "<?火");
        assert_eq!(run(b"\0<\0?\x70\x6B"), "<?火");
        assert_eq!(run(b"<?xml encoding = 'latin1' ?>\xE9"), "<?xml encoding = 'latin1' ?>é");
        assert_eq!(run(b"<?xml encoding=\"ISO-8859-1\"?>\xE9"), "<?xml encoding=\"ISO-8859-1\"?>é");
    }

    #[test]
    fn what_is_not_read_is_refused() {
        assert_eq!(run(b"<?xml encoding='ISO-2022-JP'?>"), "in the encoding `ISO-2022-JP`");
        assert_eq!(run(b"<?xml encoding='Shift_JIS'?>"), "in the encoding `Shift_JIS`");
        // Said to be what it cannot be.
        assert_eq!(run(b"<?xml encoding='UTF-16'?>"), "in the encoding `UTF-16`");
        let characters = "bytes or characters that no document can have";
        assert_eq!(run(b"<?xml encoding='US-ASCII'?>\xE9"), characters);
        assert_eq!(run(b"<a>\x89\xCE</a>"), characters);
        assert_eq!(run(b"\xFF\xFE<\0\x6B"), characters);
        assert_eq!(run(b"\xFF\xFE\0\xD8"), characters);
    }
}
