//! Time stamps as DC-09 writes them: `HH:MM:SS,MM-DD-YYYY`, UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Bytes of a stamp, without the `_` before it.
pub(crate) const STAMP_SIZE: usize = 19;

/// Earliest stamp of an encrypted frame, in seconds from our clock (DC-09, constants of siadc09).
pub(crate) const WINDOW_EARLIEST_S: i64 = -40;
/// Latest.
pub(crate) const WINDOW_LATEST_S: i64 = 20;

/// Reads a stamp; `None` when it is no time.
pub(crate) fn parse(bytes: &[u8]) -> Option<Timestamp> {
    if !has_shape(bytes) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes.get(from..to)?.iter().try_fold(0_i16, |value, digit| {
            value.checked_mul(10)?.checked_add(i16::from(digit.wrapping_sub(b'0')))
        })
    };
    let small = |from: usize| i8::try_from(number(from, from.checked_add(2)?)?).ok();
    let civil =
        DateTime::new(number(15, 19)?, small(9)?, small(12)?, small(0)?, small(3)?, small(6)?, 0);
    TimeZone::UTC.to_timestamp(civil.ok()?).ok()
}

/// Whether digits and separators stand where a stamp has them, whatever their values.
pub(crate) fn has_shape(bytes: &[u8]) -> bool {
    let pattern = b"00:00:00,00-00-0000";
    bytes.len() == pattern.len()
        && bytes.iter().zip(pattern).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            separator => byte == separator,
        })
}

/// Writes a stamp with its `_`.
pub(crate) fn stamp(at: Timestamp) -> String {
    let civil = TimeZone::UTC.to_datetime(at);
    format!(
        "_{:02}:{:02}:{:02},{:02}-{:02}-{:04}",
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.month(),
        civil.day(),
        civil.year()
    )
}

/// Seconds by which a device's clock is ahead of ours.
pub(crate) fn ahead_s(stamp: Timestamp, now: Timestamp) -> i64 {
    stamp.as_second().saturating_sub(now.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_what_was_written() {
        let at: Timestamp = "2026-04-01T00:00:30Z".parse().unwrap();
        assert_eq!(stamp(at), "_00:00:30,04-01-2026");
        assert_eq!(parse(b"00:00:30,04-01-2026"), Some(at));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let bad = [
            "00:00:30,02-30-2026",
            "25:00:30,04-01-2026",
            "00:00:60,04-01-2026",
            "00:00:30,00-31-2019",
            "00:00:30,04-01-26",
            "2026-04-01T00:00:30",
            "",
        ];
        for text in bad {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
