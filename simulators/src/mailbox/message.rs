//! Reads a mail for display: headers, encoded words, base64 and quoted-printable, UTF-8.

/// What the catcher shows of a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) message_id: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// Any bytes are a mail; what cannot be read is shown as it came.
pub(crate) fn parse(bytes: &[u8]) -> Message {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((text.as_str(), ""));
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let header = |name: &str| {
        unfolded
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(each, _value)| each.eq_ignore_ascii_case(name))
            .map_or("", |(_name, value)| value.trim())
    };
    let encoding = header("Content-Transfer-Encoding").to_ascii_lowercase();
    let decoded = match encoding.as_str() {
        "base64" => base64(body),
        "quoted-printable" => Some(quoted_printable(&body.replace("=\n", ""), false)),
        _ => None,
    };
    let text = decoded.map_or_else(
        || body.to_owned(),
        |bytes| String::from_utf8_lossy(&bytes).replace("\r\n", "\n"),
    );
    Message { message_id: header("Message-ID").to_owned(), subject: words(header("Subject")), text }
}

/// Decodes encoded words; a blank between two of them is not part of the text.
fn words(value: &str) -> String {
    let mut text = String::new();
    let mut after_word = false;
    for word in value.split(' ') {
        let decoded = encoded_word(word);
        let joined = after_word && decoded.is_some();
        if !text.is_empty() && !joined {
            text.push(' ');
        }
        after_word = decoded.is_some();
        text.push_str(decoded.as_deref().unwrap_or(word));
    }
    text
}

fn encoded_word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = inner.splitn(3, '?');
    let (charset, encoding, payload) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => base64(payload)?,
        "q" | "Q" => quoted_printable(payload, true),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for sign in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let six = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn quoted_printable(text: &str, underscore: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| str::from_utf8(pair).ok());
        let escaped = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, escaped) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            (b'_', _) if underscore => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
        rest = tail;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        assert_eq!(words("plain  text"), "plain  text");
        assert_eq!(words("=?UTF-8?B?44GC?= =?utf-8?q?=E3=81=84_x?= y"), "あい x y");
        assert_eq!(words("=?iso-2022-jp?b?GyRC?="), "=?iso-2022-jp?b?GyRC?=");
        assert_eq!(words("=?utf-8?b?!!!?="), "=?utf-8?b?!!!?=");
        assert_eq!(words("=?utf-8?x?a?="), "=?utf-8?x?a?=");
    }

    #[test]
    fn bodies() {
        let read = |mail: &str| parse(mail.as_bytes()).text;
        assert_eq!(read("A: b\r\n\r\nplain\r\n"), "plain\n");
        assert_eq!(read("Content-Transfer-Encoding: base64\r\n\r\n44GC\r\nDQo=\r\n"), "あ\n");
        let quoted = "content-transfer-encoding: Quoted-Printable\r\n\r\n=E3=81=\r\n=82 =x_\r\n";
        assert_eq!(read(quoted), "あ =x_\n");
        assert_eq!(read("Content-Transfer-Encoding: base64\r\n\r\n!\r\n"), "!\n");
        assert_eq!(parse(b"\xff\xfe"), Message::default());
    }
}
