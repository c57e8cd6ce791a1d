//! Words in a message: who says them, and which of his messages it is.
//!
//! A burst tells whose modem it came to, not who sent it. So words begin with a head of our own:
//!
//! ```text
//! @300000000000111/7 道路寸断 負傷2 孤立12世帯
//!  IMEI            number of the message
//! ```
//!
//! To the house, the IMEI is the sender's; from the house, it is that of whom it is for. The number is
//! the sender's own count: the same head and words again are a second copy. Words without a head are
//! taken as they are, from whoever is at the other end of the modem. A head proves nothing: networks
//! deliver what anybody with a handset typed.

use hansho_model::Private;

/// Digits of an IMEI.
const IMEI_DIGITS: usize = 15;
/// Most digits of a number.
const NUMBER_DIGITS_MAX: usize = 19;

/// Who is named by a message's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// 15 digits.
    pub imei: String,
    /// The sender's own count.
    pub number: u64,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Its head, if it has one.
    pub head: Option<Head>,
    /// The words after it; `None` when the message is no text.
    pub text: Option<Private<String>>,
}

impl Words {
    /// Reads a message. Any bytes at all are legal input: what is no UTF-8 has no words. Signs that
    /// steer a printer or a screen become blanks.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(bytes) else { return Self { head: None, text: None } };
        let (head, rest) = match split_head(text) {
            Some((head, rest)) => (Some(head), rest),
            None => (None, text),
        };
        let plain = |sign: char| if sign.is_control() && sign != '\n' { ' ' } else { sign };
        let text: String = rest.chars().map(plain).collect();
        let text = text.trim().to_owned();
        Self { head, text: (!text.is_empty()).then_some(Private(text)) }
    }

    /// Whether it is a site's test of its handset, and nothing else: `TEST` or 試験 alone.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let text = self.text.as_ref().map(|text| text.0.as_str());
        text.is_some_and(|text| text.eq_ignore_ascii_case("test") || text == "試験")
    }
}

/// A message as it goes over the line.
#[must_use]
pub fn write(head: &Head, text: &str) -> Vec<u8> {
    format!("@{}/{} {text}", head.imei, head.number).into_bytes()
}

fn split_head(text: &str) -> Option<(Head, &str)> {
    let (imei, rest) = text.strip_prefix('@')?.split_once('/')?;
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if imei.len() != IMEI_DIGITS || !digits(imei) {
        return None;
    }
    if number.is_empty() || number.len() > NUMBER_DIGITS_MAX || !digits(number) {
        return None;
    }
    Some((Head { imei: imei.to_owned(), number: number.parse().ok()? }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<(String, u64)>, Option<String>) {
        let Words { head, text } = Words::read(text.as_bytes());
        (head.map(|head| (head.imei, head.number)), text.map(|text| text.0))
    }

    #[test]
    fn a_head_says_who_and_which() {
        let head = Head { imei: "300000000000111".to_owned(), number: 7 };
        let bytes = write(&head, "道路寸断 負傷2");
        assert_eq!(bytes, "@300000000000111/7 道路寸断 負傷2".as_bytes());
        let words = Words::read(&bytes);
        assert_eq!((words.head, words.text), (Some(head), Some(Private("道路寸断 負傷2".into()))));
        let of_111 = |number| Some(("300000000000111".to_owned(), number));
        assert_eq!(read("@300000000000111/12"), (of_111(12), None));
        let most = "@300000000000111/9223372036854775807 x";
        assert_eq!(read(most), (of_111(9_223_372_036_854_775_807), Some("x".to_owned())));
    }

    #[test]
    fn what_only_looks_like_a_head_is_words() {
        for text in [
            "@30000000000011/7 fourteen digits",
            "@3000000000001111/7 sixteen",
            "@30000000000011x/7 a letter",
            "@300000000000111/ no number",
            "@300000000000111/-1 below nothing",
            "@300000000000111/99999999999999999999 too many",
            "@３０００００００００００１１１/7 wide digits",
            "@300000000000111 7",
            "300000000000111/7 no sign",
        ] {
            assert_eq!(read(text), (None, Some(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_steers_a_screen_becomes_a_blank_and_what_is_no_text_has_no_words() {
        assert_eq!(read("一\u{1b}[2J二\r\n三\u{7}"), (None, Some("一 [2J二 \n三".to_owned())));
        assert_eq!(read(" \r\n\t"), (None, None));
        let bytes = [0xB5, 0x00, 0xFF];
        assert_eq!(Words::read(&bytes), Words { head: None, text: None });
        assert_eq!(Words::read(&[]), Words { head: None, text: None });
    }

    #[test]
    fn a_test_is_that_word_alone() {
        for text in ["TEST", " test\r\n", "試験", "@300000000000111/3 Test"] {
            assert!(Words::read(text.as_bytes()).is_test(), "{text}");
        }
        for text in ["テスト", "test 2", "TEST 負傷者あり", "", "試験 火事"] {
            assert!(!Words::read(text.as_bytes()).is_test(), "{text}");
        }
    }
}
