//! The binary phases: a message with its checksum into the modem, and out of it.

/// Longest message that a 9602 or 9603 takes for sending, bytes (maker's AT reference).
pub const MO_SIZE_MAX: usize = 340;
/// Longest message that a 9522B or 9523 takes for sending, bytes (maker's AT references).
pub const MO_SIZE_MAX_9523: usize = 1_960;
/// Longest message that any modem of the family hands over, bytes: 270 of a 9602 or 9603, 1,890 of
/// a 9522B or 9523 (maker's AT references).
pub const MT_SIZE_MAX: usize = 1_890;
/// Length before the message and checksum after it, bytes each.
const WORD_SIZE: usize = 2;

/// Low 16 bits of the sum of all bytes.
#[must_use]
pub fn checksum(message: &[u8]) -> u16 {
    message.iter().fold(0, |sum: u16, byte| sum.wrapping_add(u16::from(*byte)))
}

/// The command that announces a message of so many bytes.
#[must_use]
pub fn load_command(size: usize) -> String {
    format!("AT+SBDWB={size}")
}

/// What follows `READY`: the message and its checksum, high byte first.
#[must_use]
pub fn load_data(message: &[u8]) -> Vec<u8> {
    [message, &checksum(message).to_be_bytes()].concat()
}

/// What the modem says of a message that was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadResult {
    /// It is in the buffer.
    Stored,
    /// Fewer bytes than announced came within 60 s.
    TimedOut,
    /// The checksum is another; the buffer is as it was.
    BadChecksum,
    /// No length that this modem takes; there was no `READY`.
    BadLength,
}

impl LoadResult {
    /// As the modem says it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Stored => 0,
            Self::TimedOut => 1,
            Self::BadChecksum => 2,
            Self::BadLength => 3,
        }
    }

    /// From what the modem says.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let all = [Self::Stored, Self::TimedOut, Self::BadChecksum, Self::BadLength];
        all.into_iter().find(|each| each.code() == code)
    }

    /// What a modem that takes up to `size_max` bytes has to say of these bytes after `READY`.
    #[must_use]
    pub fn of(size: usize, data: &[u8], size_max: usize) -> Self {
        if !takes(size, size_max) {
            return Self::BadLength;
        }
        let Some((message, rest)) = data.split_at_checked(size) else { return Self::TimedOut };
        let Some(tail) = rest.first_chunk::<WORD_SIZE>() else { return Self::TimedOut };
        if u16::from_be_bytes(*tail) == checksum(message) {
            Self::Stored
        } else {
            Self::BadChecksum
        }
    }
}

/// Whether a modem that takes up to `size_max` bytes says `READY` to this length.
#[must_use]
pub const fn takes(size: usize, size_max: usize) -> bool {
    size >= 1 && size <= size_max
}

/// The answer to `AT+SBDRB`: length, message, checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer<'a> {
    /// As it says.
    pub length: usize,
    /// What came of the message.
    pub message: &'a [u8],
    /// As it says; `None` when it did not come whole.
    pub checksum: Option<u16>,
}

impl<'a> Buffer<'a> {
    /// From the bytes of the answer, whole or not. `None` without a whole length.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<WORD_SIZE>()?;
        let length = usize::from(u16::from_be_bytes(*head));
        let Some((message, tail)) = rest.split_at_checked(length) else {
            return Some(Self { length, message: rest, checksum: None });
        };
        let checksum = tail.first_chunk::<WORD_SIZE>().map(|tail| u16::from_be_bytes(*tail));
        Some(Self { length, message, checksum })
    }

    /// Whether it came as it was sent.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.checksum == Some(checksum(self.message)) && self.length <= MT_SIZE_MAX
    }
}

/// Bytes of the whole answer, once its length has come. `None` before that.
pub(super) fn answer_size(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<WORD_SIZE>()?;
    Some(usize::from(u16::from_be_bytes(*head)).saturating_add(WORD_SIZE.saturating_mul(2)))
}

/// Greatest first byte of an answer to `AT+SBDRB`: the high byte of its length.
pub(super) const FIRST_BYTE_MAX: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_carries_the_sum_of_its_bytes() {
        assert_eq!(load_command(5), "AT+SBDWB=5");
        assert_eq!(load_data(b"hello"), b"hello\x02\x14");
        assert_eq!(checksum(&[0xFF; 340]), 0x52AC);
        assert_eq!(load_data(&[0]), [0, 0, 0]);
    }

    #[test]
    fn the_modem_takes_one_to_340_bytes_with_the_right_sum() {
        let of = |size, data: &[u8]| LoadResult::of(size, data, MO_SIZE_MAX);
        assert_eq!(of(5, b"hello\x02\x14"), LoadResult::Stored);
        assert_eq!(of(5, b"hello\x14\x02"), LoadResult::BadChecksum);
        assert_eq!(of(5, b"hello\x02"), LoadResult::TimedOut);
        assert_eq!(of(5, b"hel"), LoadResult::TimedOut);
        assert_eq!(of(0, b""), LoadResult::BadLength);
        assert_eq!(of(340, &load_data(&[7; 340])), LoadResult::Stored);
        assert_eq!(of(341, &load_data(&[7; 341])), LoadResult::BadLength);
        for code in 0..4 {
            assert_eq!(LoadResult::from_code(code).unwrap().code(), code);
        }
        assert_eq!(LoadResult::from_code(4), None);
    }

    #[test]
    fn an_answer_is_whole_when_its_sum_says_so() {
        let whole = |bytes| Buffer::read(bytes).is_some_and(|buffer| buffer.is_whole());
        assert!(whole(b"\x00\x05hello\x02\x14"));
        assert!(whole(b"\x00\x06\r\nOK\r\n\x00\xC8"));
        assert!(whole(b"\x00\x00\x00\x00"));
        assert!(!whole(b"\x00\x05hello\x14\x02"));
        assert!(!whole(b"\x00\x05hello\x02"));
        assert!(!whole(b"\x00"));
        let cut = Buffer::read(b"\x00\x05hel").unwrap();
        assert_eq!((cut.length, cut.message, cut.checksum), (5, b"hel".as_slice(), None));
        assert_eq!(usize::from(FIRST_BYTE_MAX), MT_SIZE_MAX >> 8);
    }
}
