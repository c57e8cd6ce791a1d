//! The one place where the house reads the time.

use jiff::Timestamp;

/// UTC now, cut to microseconds.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the house reads the time")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
