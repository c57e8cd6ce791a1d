//! Numbers and times as these devices write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Weeks after which the satellites' date begins again, in days.
const ROLLOVER_DAYS: i64 = 7_168;
/// How far back a date may lie before it is taken for one that began again: chips of the last
/// quarter before a rollover are not to be moved.
const ROLLOVER_MARGIN_DAYS: i64 = 90;

/// A decimal number in units of 10^-`places`: spaces before it, a sign, digits past the last place
/// rounded half away from zero. `None` when it is no number or too great.
pub(super) fn decimal(text: &str, places: usize) -> Option<i64> {
    let text = text.trim_start_matches(' ');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
    let up = fraction.as_bytes().get(places).is_some_and(|digit| *digit >= b'5');
    let scaled: i64 = format!("{whole}{kept}").parse().ok()?;
    let scaled = scaled.checked_add(i64::from(up))?;
    Some(if negative { scaled.checked_neg()? } else { scaled })
}

/// A whole number without sign.
pub(super) fn whole<T: TryFrom<i64>>(text: &str) -> Option<T> {
    T::try_from(decimal(text, 0).filter(|_| !text.contains(['.', '-']))?).ok()
}

/// A time from `ddmmyy` and `hhmmss`, UTC, and whether the date had begun again; `None` inside when
/// the digits are no time, `None` outside when they are no digits.
pub(super) fn time(date: &str, clock: &str, now: Timestamp) -> Option<(Option<Timestamp>, bool)> {
    let [day, month, year] = pairs(date)?;
    let [hour, minute, second] = pairs(clock)?;
    let year = i16::from(year).checked_add(2_000)?;
    let found = DateTime::new(year, month, day, hour, minute, second, 0)
        .and_then(|civil| TimeZone::UTC.to_timestamp(civil));
    let Ok(mut at) = found else { return Some((None, false)) };
    let mut rolled_over = false;
    let limit = SignedDuration::from_hours(24)
        .saturating_mul(i32::try_from(ROLLOVER_DAYS.saturating_sub(ROLLOVER_MARGIN_DAYS)).ok()?);
    let step = SignedDuration::from_hours(24).saturating_mul(i32::try_from(ROLLOVER_DAYS).ok()?);
    while now.duration_since(at) > limit {
        at = at.checked_add(step).ok()?;
        rolled_over = true;
    }
    Some((Some(at), rolled_over))
}

/// Three numbers of two digits.
fn pairs(text: &str) -> Option<[i8; 3]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = |pair: &[u8; 2]| std::str::from_utf8(pair).ok()?.parse().ok();
    match pairs {
        [a, b, c] => Some([value(a)?, value(b)?, value(c)?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_integers() {
        assert_eq!(decimal("114.3601924", 7), Some(1_143_601_924));
        assert_eq!(decimal(" 9.1574736", 7), Some(91_574_736));
        assert_eq!(decimal("-84.1422119", 7), Some(-841_422_119));
        assert_eq!(decimal("-0.5", 0), Some(-1));
        assert_eq!(decimal("0.00000005", 7), Some(1));
        assert_eq!(decimal("00", 0), Some(0));
        assert_eq!(decimal("265.158", 2), Some(26_516));
        for bad in ["", "-", ".5", "1.2.3", "1e3", "+1", "a", "99999999999999999999"] {
            assert_eq!(decimal(bad, 2), None, "{bad}");
        }
        assert_eq!(whole::<u8>("100"), Some(100));
        assert_eq!(whole::<u8>("256"), None);
        assert_eq!(whole::<u8>("-1"), None);
    }

    #[test]
    fn a_date_that_began_again_is_moved_by_1024_weeks() {
        let now = "2026-08-21T12:00:00Z".parse().unwrap();
        let read = |date: &str| {
            time(date, "115500", now).map(|(at, rolled)| (at.map(|at| at.to_string()), rolled))
        };
        assert_eq!(read("210826"), Some((Some("2026-08-21T11:55:00Z".to_owned()), false)));
        assert_eq!(read("050107"), Some((Some("2026-08-21T11:55:00Z".to_owned()), true)));
        // Within the margin a date stays what it says.
        assert_eq!(read("060407"), Some((Some("2007-04-06T11:55:00Z".to_owned()), false)));
        assert_eq!(read("000000"), Some((None, false)));
        assert_eq!(read("310226"), Some((None, false)));
        assert_eq!(read("2108266"), None);
        assert_eq!(read("2a0826"), None);
    }
}
