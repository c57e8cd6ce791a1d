//! The one place where the house reads the time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// UTC now, cut to microseconds.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the house reads the time")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// The time by which the core and the outbox act. The clock on the wall may be set back, by an hour
/// or to 1970, in a run or between two; recorded times never go back. Were the wall believed then,
/// a mail that is due by recorded time would wait until the wall has caught up. So this time goes
/// on, at half its speed, until the two agree again: what is due after two seconds is due after
/// four, and never after an hour.
#[derive(Debug)]
pub struct Steady {
    /// When the two last agreed, or where the journal ended: time, and the run's age then.
    anchor: (Timestamp, Duration),
}

impl Steady {
    /// Goes on from the last recorded time at this age of the run.
    #[must_use]
    pub const fn new(last: Timestamp, age: Duration) -> Self {
        Self { anchor: (last, age) }
    }

    /// The time, when the wall shows `wall` and the run has this age, which never goes back.
    pub fn read(&mut self, wall: Timestamp, age: Duration) -> Timestamp {
        let (last, since) = self.anchor;
        let half = age.saturating_sub(since) / 2;
        let half = i64::try_from(half.as_micros()).unwrap_or(i64::MAX);
        let slow = last.checked_add(SignedDuration::from_micros(half)).unwrap_or(last);
        if wall < slow {
            return slow;
        }
        self.anchor = (wall, age);
        wall
    }
}

/// [`Steady`] on this machine's clocks, shared by all who act by it.
#[derive(Debug)]
pub struct HouseClock {
    steady: Mutex<Steady>,
    begun: Instant,
}

impl HouseClock {
    /// Goes on from the last recorded time, if there is one.
    #[must_use]
    pub fn new(last: Option<Timestamp>) -> Self {
        let steady = Steady::new(last.unwrap_or(Timestamp::MIN), Duration::ZERO);
        Self { steady: Mutex::new(steady), begun: monotonic() }
    }

    /// The time to act by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let (wall, age) = (now(), monotonic().saturating_duration_since(self.begun));
        self.steady.lock().unwrap_or_else(PoisonError::into_inner).read(wall, age)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the house reads the time")]
fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_when_the_wall_is_set_back() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let age = Duration::from_secs;
        let mut steady = Steady::new(Timestamp::MIN, age(0));
        assert_eq!(steady.read(at(10_000), age(1)), at(10_000));
        // An hour back: on at half the speed, and never back.
        assert_eq!(steady.read(at(6_401), age(2)), at(10_000) + Duration::from_millis(500));
        assert_eq!(steady.read(at(6_409), age(10)), at(10_004) + Duration::from_millis(500));
        assert_eq!(steady.read(at(13_600), age(7_200)), at(13_600), "after two hours they agree");
        assert_eq!(steady.read(at(20_000), age(7_201)), at(20_000), "forward is believed at once");
        // A start with a clock that lost its battery.
        let mut steady = Steady::new(at(10_000), age(0));
        assert_eq!(steady.read(at(3), age(2)), at(10_001));
        assert_eq!(steady.read(at(3), age(2)), at(10_001));
    }
}
