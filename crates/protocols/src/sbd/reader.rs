//! Parts the modem's bytes into lines and binary answers.
//!
//! Lines end with CR or LF; echoes and empty lines need no care. A binary answer follows its
//! command without any mark: while one is expected, the first byte that can only be the high byte
//! of a length begins it, and lines before it are read like all others.

use super::frame::{FIRST_BYTE_MAX, MT_SIZE_MAX, answer_size};

/// Longest line, bytes; what is longer is dropped to its end.
pub const LINE_SIZE_MAX: usize = 256;
/// Longest binary answer, bytes: length, message, checksum.
pub const ANSWER_SIZE_MAX: usize = MT_SIZE_MAX + 4;

/// Something whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A line without its end, never empty.
    Line(Vec<u8>),
    /// A binary answer: length, message, checksum; as many bytes as its length says, or as many as
    /// any may have.
    Buffer(Vec<u8>),
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Lines,
    /// Lines, until a binary answer begins.
    Expecting,
    Binary,
    /// The rest of a line that is too long.
    Dropping,
}

/// Parts bytes into tokens, one byte after the other.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    mode: Mode,
    bytes: Vec<u8>,
}

impl Reader {
    /// A command with a binary answer was sent.
    pub fn expect_buffer(&mut self) {
        *self = Self { mode: Mode::Expecting, bytes: Vec::new() };
    }

    /// No binary answer is expected any more; gives what came of it.
    pub fn expect_lines(&mut self) -> Vec<u8> {
        let was = std::mem::take(self);
        if was.mode == Mode::Binary { was.bytes } else { Vec::new() }
    }

    /// Takes a byte; gives what it completes.
    pub fn push(&mut self, byte: u8) -> Option<Token> {
        match self.mode {
            Mode::Binary => return self.binary(byte),
            Mode::Expecting if byte <= FIRST_BYTE_MAX => {
                *self = Self { mode: Mode::Binary, bytes: vec![byte] };
                return None;
            }
            Mode::Lines | Mode::Expecting | Mode::Dropping => {}
        }
        let end = matches!(byte, b'\r' | b'\n');
        match self.mode {
            Mode::Dropping if end => self.mode = Mode::Lines,
            Mode::Dropping => {}
            _ if end && self.bytes.is_empty() => {}
            _ if end => return Some(Token::Line(std::mem::take(&mut self.bytes))),
            Mode::Lines if self.bytes.len() == LINE_SIZE_MAX => {
                *self = Self { mode: Mode::Dropping, bytes: Vec::new() };
            }
            // The beginning of what is expected must not be missed, so nothing is dropped whole.
            _ if self.bytes.len() == LINE_SIZE_MAX => self.bytes = vec![byte],
            Mode::Lines | Mode::Expecting | Mode::Binary => self.bytes.push(byte),
        }
        None
    }

    fn binary(&mut self, byte: u8) -> Option<Token> {
        self.bytes.push(byte);
        let size = answer_size(&self.bytes)?.min(ANSWER_SIZE_MAX);
        if self.bytes.len() < size {
            return None;
        }
        self.mode = Mode::Lines;
        Some(Token::Buffer(std::mem::take(&mut self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as text, binary answers in brackets.
    fn run(reader: &mut Reader, bytes: &[u8]) -> String {
        let tokens = bytes.iter().filter_map(|byte| reader.push(*byte));
        let words = tokens.map(|token| match token {
            Token::Line(line) => line.escape_ascii().to_string(),
            Token::Buffer(bytes) => format!("[{}]", bytes.escape_ascii()),
        });
        words.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn lines_end_with_either_sign_and_echoes_are_lines() {
        let mut reader = Reader::default();
        let found = run(&mut reader, b"AT+CSQ\r\r\n+CSQ:5\r\n\r\nOK\r\n0\rSBDRING\r\n");
        assert_eq!(found, "AT+CSQ | +CSQ:5 | OK | 0 | SBDRING");
    }

    #[test]
    fn a_binary_answer_may_follow_an_echo_a_ring_or_nothing() {
        let answer = b"\x00\x05hello\x02\x14\r\nOK\r\n";
        for (before, lines) in [
            (b"".as_slice(), ""),
            (b"AT+SBDRB\r", "AT+SBDRB | "),
            (b"AT+SBDRB\r\r\nSBDRING\r\n", "AT+SBDRB | SBDRING | "),
            (b"AT+SB", ""),
        ] {
            let mut reader = Reader::default();
            reader.expect_buffer();
            let found = run(&mut reader, &[before, answer].concat());
            assert_eq!(found, format!("{lines}[\\x00\\x05hello\\x02\\x14] | OK"));
        }
    }

    #[test]
    fn a_binary_answer_may_hold_anything() {
        let mut reader = Reader::default();
        reader.expect_buffer();
        let found = run(&mut reader, b"\x00\x06\r\nOK\r\n\x00\xC8\r\nOK\r\n");
        assert_eq!(found, "[\\x00\\x06\\r\\nOK\\r\\n\\x00\\xc8] | OK");
    }

    #[test]
    fn what_came_of_a_binary_answer_is_kept() {
        let mut reader = Reader::default();
        reader.expect_buffer();
        assert_eq!(run(&mut reader, b"\x00\x05hel"), "");
        assert_eq!(reader.expect_lines(), b"\x00\x05hel");
        assert_eq!(run(&mut reader, b"OK\r"), "OK");
        assert!(reader.expect_lines().is_empty());
    }

    #[test]
    fn lines_and_binary_answers_have_limits() {
        let mut reader = Reader::default();
        let line = [b'x'; LINE_SIZE_MAX];
        assert_eq!(
            run(&mut reader, &[&line[..], b"\rOK\r"].concat()),
            format!("{} | OK", "x".repeat(256))
        );
        assert_eq!(run(&mut reader, &[&line[..], b"x\rOK\r"].concat()), "OK");
        reader.expect_buffer();
        assert_eq!(
            run(&mut reader, &[&line[..], &line[..], b"\x00\x00\x00\x00OK\r"].concat()),
            "[\\x00\\x00\\x00\\x00] | OK"
        );
        reader.expect_buffer();
        for byte in std::iter::once(7).chain(vec![0xFF; ANSWER_SIZE_MAX - 2]) {
            assert_eq!(reader.push(byte), None);
        }
        let Some(Token::Buffer(bytes)) = reader.push(0xFF) else { panic!() };
        assert_eq!(bytes.len(), ANSWER_SIZE_MAX);
    }
}
