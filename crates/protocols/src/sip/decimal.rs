//! Decimal numbers of devices as integers: what the journal keeps must fold alike everywhere.

use std::fmt;

/// Digits after the point that are kept.
const DIGITS: i32 = 9;
/// Significant digits that are read; more cannot be told from rounding.
const SIGNIFICANT_MAX: u32 = 24;
/// Degrees of one radian, in units of 1e-15.
const DEGREES_PER_RADIAN_E15: i128 = 57_295_779_513_082_321;

/// A number in units of 1e-9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i64);

/// Why a text is no number that we can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFault {
    /// It is none, or infinite, or "not a number".
    NotANumber,
    /// It is one, and larger than anything that is measured here.
    Huge,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From units of 1e-9.
    #[must_use]
    pub const fn from_e9(e9: i64) -> Self {
        Self(e9)
    }

    /// In units of 1e-9.
    #[must_use]
    pub const fn e9(self) -> i64 {
        self.0
    }

    /// From a whole number.
    #[must_use]
    pub fn whole(number: i32) -> Self {
        // 2^31 * 1e9 is below 2^63.
        Self(i64::from(number).saturating_mul(1_000_000_000))
    }

    /// Reads a number as XML Schema's `double` and JSON write it: sign, digits, point, exponent.
    ///
    /// # Errors
    ///
    /// When it is none, or too large.
    pub fn parse(text: &str) -> Result<Self, NumberFault> {
        narrow(scaled(text, DIGITS)?)
    }

    /// Reads radians and gives degrees.
    ///
    /// # Errors
    ///
    /// When it is no number, or too large.
    pub fn parse_radians(text: &str) -> Result<Self, NumberFault> {
        let radians_e15 = scaled(text, 15)?;
        let product = radians_e15.checked_mul(DEGREES_PER_RADIAN_E15).ok_or(NumberFault::Huge)?;
        narrow(divide_rounded(product, 21).ok_or(NumberFault::Huge)?)
    }

    /// In units of 1e-7, rounded to the nearest.
    #[must_use]
    pub fn e7(self) -> Option<i32> {
        i32::try_from(divide_rounded(self.0.into(), 2)?).ok()
    }

    /// The next whole number that is not smaller; `None` when negative or above 2^32.
    #[must_use]
    pub fn ceiling(self) -> Option<u32> {
        let whole = self.0.div_euclid(1_000_000_000);
        let more = i64::from(self.0.rem_euclid(1_000_000_000) > 0);
        u32::try_from(whole.checked_add(more)?).ok()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        let whole = size.wrapping_div(1_000_000_000);
        let rest = format!("{:09}", size.wrapping_rem(1_000_000_000));
        match rest.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            digits => write!(f, "{sign}{whole}.{digits}"),
        }
    }
}

fn narrow(wide: i128) -> Result<Decimal, NumberFault> {
    i64::try_from(wide).map(Decimal).map_err(|_too_large| NumberFault::Huge)
}

/// The number times ten to the power of `scale`, rounded.
fn scaled(text: &str, scale: i32) -> Result<i128, NumberFault> {
    let text = text.trim_ascii();
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, text.get(1..)),
        [b'+', ..] => (false, text.get(1..)),
        _ => (false, Some(text)),
    };
    let digits = digits.ok_or(NumberFault::NotANumber)?;
    let (digits, exponent) = match digits.find(['e', 'E']) {
        None => (digits, 0),
        Some(at) => {
            let (digits, exponent) = digits.split_at_checked(at).unwrap_or((digits, ""));
            (digits, read_exponent(exponent.get(1..).unwrap_or_default())?)
        }
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return Err(NumberFault::NotANumber);
    }
    let mut value: i128 = 0;
    let mut significant: u32 = 0;
    let mut power = exponent;
    let places = whole.bytes().map(|byte| (byte, 0)).chain(part.bytes().map(|byte| (byte, 1_i32)));
    for (byte, place) in places {
        if !byte.is_ascii_digit() {
            return Err(NumberFault::NotANumber);
        }
        let digit = i128::from(byte.wrapping_sub(b'0'));
        if significant >= SIGNIFICANT_MAX {
            // Digits that nobody measures; those before the point still count as places.
            power = power.saturating_add(1_i32.saturating_sub(place));
            continue;
        }
        value = value.saturating_mul(10).saturating_add(digit);
        significant = significant.saturating_add(u32::from(value > 0));
        power = power.saturating_sub(place);
    }
    let shift = power.saturating_add(scale);
    let value = match u32::try_from(shift) {
        Ok(_up) if value == 0 => 0,
        Ok(up) => {
            let factor = 10_i128.checked_pow(up).ok_or(NumberFault::Huge)?;
            value.checked_mul(factor).ok_or(NumberFault::Huge)?
        }
        // Smaller than any unit that is kept.
        Err(_negative) => divide_rounded(value, shift.unsigned_abs()).unwrap_or(0),
    };
    Ok(if negative { value.saturating_neg() } else { value })
}

fn read_exponent(text: &str) -> Result<i32, NumberFault> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, text.get(1..)),
        [b'+', ..] => (1, text.get(1..)),
        _ => (1, Some(text)),
    };
    let digits = digits.filter(|digits| !digits.is_empty()).ok_or(NumberFault::NotANumber)?;
    let mut value: i32 = 0;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return Err(NumberFault::NotANumber);
        }
        // More than that is out of any range either way.
        let next = value.saturating_mul(10).saturating_add(byte.wrapping_sub(b'0').into());
        value = next.min(10_000);
    }
    Ok(value.saturating_mul(sign))
}

/// Divides by ten to the power of `places`, half away from zero.
fn divide_rounded(value: i128, places: u32) -> Option<i128> {
    let divisor = 10_i128.checked_pow(places)?;
    let half = divisor.checked_div(2)?;
    let shifted = if value < 0 { value.checked_sub(half)? } else { value.checked_add(half)? };
    shifted.checked_div(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_schema_and_json_write_them() {
        let read = |text: &str| Decimal::parse(text).map(|number| number.to_string());
        for (text, wanted) in [
            ("37.05041", "37.05041"),
            ("+140.88771", "140.88771"),
            ("-73.99069756654683", "-73.990697567"),
            ("3.705041e1", "37.05041"),
            ("1.8E+1", "18"),
            (" 5. ", "5"),
            (".5", "0.5"),
            ("1e-400", "0"),
            ("0e400", "0"),
            ("-0.0000000004", "0"),
            ("0.00000000000000000000000000000000001", "0"),
            ("18.00000000000000000000000000000000001", "18"),
        ] {
            assert_eq!(read(text), Ok(wanted.to_owned()), "{text}");
        }
        for text in ["", "+", ".", "NaN", "INF", "1e", "1e+", "12,5", "0x1", "1_0", "１８", "--1"]
        {
            assert_eq!(read(text), Err(NumberFault::NotANumber), "{text}");
        }
        for text in ["1e11", "9".repeat(40).as_str(), "1e9999999999"] {
            assert_eq!(read(text), Err(NumberFault::Huge), "{text}");
        }
    }

    #[test]
    fn radians_become_degrees() {
        let read = |text: &str| Decimal::parse_radians(text).map(|number| number.to_string());
        assert_eq!(read("0.5"), Ok("28.647889757".to_owned()));
        assert_eq!(read("0.610865238198015"), Ok("35".to_owned()));
        assert_eq!(read("-3.14159265358979"), Ok("-180".to_owned()));
        assert_eq!(read("1e30"), Err(NumberFault::Huge));
    }

    #[test]
    fn rounding_is_to_the_nearest_for_places_and_up_for_sizes() {
        assert_eq!(Decimal::parse("37.05041004").unwrap().e7(), Some(370_504_100));
        assert_eq!(Decimal::parse("-37.05041005").unwrap().e7(), Some(-370_504_101));
        assert_eq!(Decimal::parse("850.24").unwrap().ceiling(), Some(851));
        assert_eq!(Decimal::parse("18").unwrap().ceiling(), Some(18));
        assert_eq!(Decimal::parse("-1").unwrap().ceiling(), None);
    }
}
