//! JSON of RFC 8259, strict and bounded: numbers stay the text they came as, so that no float ever
//! stands between a device and the journal.

use std::fmt::{self, Write as _};

/// Deepest nesting: the message, a list in it, an entry of the list.
const DEPTH_MAX: usize = 4;
/// Most values of a message, keys not counted.
const VALUES_MAX: usize = 256;

/// A value. A map keeps the order of its keys and has each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Value {
    /// The text of a number.
    pub(super) fn number(&self) -> Option<&str> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Reads one value that fills all of `bytes`; `None` for anything else, whatever is wrong.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader { rest: text, values: 0, depth_max: DEPTH_MAX };
    let value = reader.value(0)?;
    reader.space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    values: usize,
    depth_max: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// The next sign, after space.
    fn token(&mut self, sign: char) -> bool {
        self.space();
        let found = self.rest.strip_prefix(sign);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.values = self.values.checked_add(1).filter(|count| *count <= VALUES_MAX)?;
        self.space();
        match self.rest.chars().next()? {
            '{' => self.map(depth.checked_add(1).filter(|depth| *depth <= self.depth_max)?),
            '[' => self.list(depth.checked_add(1).filter(|depth| *depth <= self.depth_max)?),
            '"' => self.text().map(Value::Text),
            'n' => self.take("null").map(|()| Value::Null),
            't' => self.take("true").map(|()| Value::Bool(true)),
            'f' => self.take("false").map(|()| Value::Bool(false)),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.take("[")?;
        let mut list = Vec::new();
        if self.token(']') {
            return Some(Value::List(list));
        }
        loop {
            list.push(self.value(depth)?);
            if self.token(']') {
                return Some(Value::List(list));
            }
            self.token(',').then_some(())?;
        }
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        self.take("{")?;
        let mut map: Vec<(String, Value)> = Vec::new();
        if self.token('}') {
            return Some(Value::Map(map));
        }
        loop {
            self.space();
            let key = self.text()?;
            self.token(':').then_some(())?;
            let value = self.value(depth)?;
            // Two values under one key: which of them was meant nobody knows.
            if map.iter().any(|(other, _)| *other == key) {
                return None;
            }
            map.push((key, value));
            if self.token('}') {
                return Some(Value::Map(map));
            }
            self.token(',').then_some(())?;
        }
    }

    fn number(&mut self) -> Option<Value> {
        let end =
            self.rest.find(|sign: char| !matches!(sign, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let (number, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            None => (unsigned, None),
            Some(at) => (unsigned.get(..at)?, Some(unsigned.get(at.checked_add(1)?..)?)),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            None => (mantissa, None),
            Some((whole, fraction)) => (whole, Some(fraction)),
        };
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
        let sound = digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && fraction.is_none_or(digits)
            && exponent.is_none_or(digits);
        self.rest = rest;
        sound.then(|| Value::Number(number.to_owned()))
    }

    fn text(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(|sign: char| matches!(sign, '"' | '\\' | '\0'..='\u{1f}'))?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            text.push_str(plain);
            self.rest = rest;
            if self.take("\"").is_some() {
                return Some(text);
            }
            self.take("\\")?;
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let sign = self.rest.chars().next()?;
        self.rest = self.rest.get(sign.len_utf8()..)?;
        Some(match sign {
            '"' | '\\' | '/' => sign,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.unit()?;
                if !(0xd800..=0xdbff).contains(&first) {
                    return char::from_u32(first);
                }
                self.take("\\u")?;
                let second = self.unit()?;
                let units = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
                char::decode_utf16(units).next()?.ok()?
            }
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
        self.rest = rest;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// A plain decimal number in units of ten to the minus `places`; what stands behind is cut off,
/// toward zero. `None` with an exponent or outside of 64 bits.
pub(super) fn decimal(number: &str, places: usize) -> Option<i64> {
    let (sign, digits) = number.strip_prefix('-').map_or((1, number), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let kept = fraction.get(..places.min(fraction.len()))?;
    let scaled = format!("{whole}{kept:0<places$}");
    if !scaled.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A fraction that is cut off may hold a sign that is no digit, such as an exponent.
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    scaled.parse::<i64>().ok()?.checked_mul(sign)
}

/// A text as JSON writes it.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for sign in self.0.chars() {
            match sign {
                '"' | '\\' => write!(f, "\\{sign}")?,
                '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(sign))?,
                _ => f.write_char(sign)?,
            }
        }
        f.write_char('"')
    }
}

/// The same without a limit of depth, for files of ours.
#[cfg(test)]
pub(super) fn parse_deep(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    Reader { rest: text, values: 0, depth_max: usize::MAX }.value(0)
}

/// As text; for values without signs that need an escape.
#[cfg(test)]
pub(super) fn write(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.clone(),
        Value::Text(text) => format!("\"{text}\""),
        Value::List(list) => {
            format!("[{}]", list.iter().map(write).collect::<Vec<_>>().join(","))
        }
        Value::Map(map) => {
            let field = |(key, value): &(String, Value)| format!("\"{key}\":{}", write(value));
            format!("{{{}}}", map.iter().map(field).collect::<Vec<_>>().join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value {
        Value::Number(text.to_owned())
    }

    #[test]
    fn what_the_standard_allows_is_read() {
        let text = r#" { "a" : [ 1 , -0.50, 2e+3 ] , "b\u00e9\uD83D\uDE00\/" : null , "c":{}, "d":[true,false] } "#;
        let Value::Map(map) = parse(text.as_bytes()).unwrap() else { panic!() };
        let keys: Vec<&str> = map.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "bé😀/", "c", "d"]);
        assert_eq!(map[0].1, Value::List(vec![number("1"), number("-0.50"), number("2e+3")]));
        assert_eq!(
            parse(br#""\"\\\b\f\n\r\t""#),
            Some(Value::Text("\"\\\u{8}\u{c}\n\r\t".to_owned()))
        );
    }

    #[test]
    fn what_it_does_not_is_refused() {
        for bad in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "--1",
            "nul",
            "tru",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\u{1}\"",
            "1 2",
            "[[[[[1]]]]]",
            "{\"a\":1,\"a\":2}",
            "NaN",
            "'a'",
            "{\"a\" 1}",
            "\u{feff}1",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"\"\xff\""), None);
        assert!(parse(b"[[[[1]]]]").is_some(), "as deep as allowed");
        let many = |count| format!("[{}]", vec!["1"; count].join(","));
        assert!(parse(many(VALUES_MAX - 1).as_bytes()).is_some());
        assert_eq!(parse(many(VALUES_MAX).as_bytes()), None);
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal("37.0505", 7), Some(370_505_000));
        assert_eq!(decimal("-140.88766669", 7), Some(-1_408_876_666));
        assert_eq!(decimal("12", 0), Some(12));
        assert_eq!(decimal("12.9", 0), Some(12));
        assert_eq!(decimal("-0.00000001", 7), Some(0));
        for bad in ["1e3", "0.12345678e3", "99999999999999999999", "9223372036854775807.0"] {
            assert_eq!(decimal(bad, 7), None, "{bad}");
        }
    }
}
