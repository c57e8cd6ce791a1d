//! Free text: UTF-8, or else Windows-1252.

/// Windows-1252 from 0x80 to 0x9F; its five holes stay the control signs they are in Latin-1.
const WINDOWS_1252: [char; 32] = [
    '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2C6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
];

/// Decodes text; any bytes give some text.
pub(crate) fn decode(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let one = |byte: &u8| {
        let index = usize::from(byte.wrapping_sub(0x80));
        if *byte < 0x80 {
            char::from(*byte)
        } else {
            WINDOWS_1252.get(index).copied().unwrap_or_else(|| char::from(*byte))
        }
    };
    bytes.iter().map(one).collect()
}

/// Cuts text to at most `size_max` bytes, between characters, control signs made spaces.
pub(crate) fn clip(text: &str, size_max: usize) -> String {
    let mut clipped = String::new();
    for sign in text.chars() {
        let sign = if sign.is_control() && sign != '\n' { ' ' } else { sign };
        if clipped.len().saturating_add(sign.len_utf8()) > size_max {
            break;
        }
        clipped.push(sign);
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_comes_first_and_windows_1252_takes_the_rest() {
        assert_eq!(decode("いわき".as_bytes()), "いわき");
        assert_eq!(decode(b"Ren\xE9 M\xFCller \x80\x92"), "René Müller €’");
    }

    #[test]
    fn text_is_clipped_between_characters() {
        assert_eq!(clip("いわき", 6), "いわ");
        assert_eq!(clip("いわき", 5), "い");
        assert_eq!(clip("a\u{7}b\tc", 9), "a b c");
    }
}
