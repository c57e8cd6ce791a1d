//! Repeated warnings: one per ten seconds per key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// A key is let through once in this time.
pub const REPEAT_PERIOD: Duration = Duration::from_secs(10);
/// Most keys that are remembered. A flood of new keys beyond that shares one key, so that an
/// attacker with many addresses can fill neither the log nor the memory.
pub const REPEAT_KEYS_MAX: usize = 1_024;

/// Lets a warning through once per [`REPEAT_PERIOD`] and key, and counts what it held back.
///
/// ```
/// use hansho_telemetry::Repeats;
/// let now = "2026-11-23T05:00:00Z".parse().unwrap();
/// let repeats = Repeats::new();
/// assert_eq!(repeats.admit(now, "bad_crc"), Some(0));
/// assert_eq!(repeats.admit(now, "bad_crc"), None);
/// ```
#[derive(Debug, Default)]
pub struct Repeats<K> {
    keys: Mutex<BTreeMap<Option<K>, Key>>,
}

#[derive(Debug)]
struct Key {
    admitted_at: Timestamp,
    held_back: u64,
}

impl<K: Ord> Repeats<K> {
    /// Remembers nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { keys: Mutex::new(BTreeMap::new()) }
    }

    /// `None` when this warning is to be held back; else how many of its kind were held back since
    /// the last one that was let through.
    pub fn admit(&self, now: Timestamp, key: K) -> Option<u64> {
        // A panic elsewhere while the lock was held leaves at worst a count that is one too low.
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Some(key);
        if !keys.contains_key(&key) && keys.len() >= REPEAT_KEYS_MAX {
            keys.retain(|_, known| !passed(known.admitted_at, now));
            if keys.len() >= REPEAT_KEYS_MAX {
                key = None;
            }
        }
        let Some(known) = keys.get_mut(&key) else {
            keys.insert(key, Key { admitted_at: now, held_back: 0 });
            return Some(0);
        };
        if passed(known.admitted_at, now) {
            known.admitted_at = now;
            return Some(std::mem::take(&mut known.held_back));
        }
        known.held_back = known.held_back.saturating_add(1);
        None
    }
}

/// Whether the period is over. A clock that was set back counts as over: a warning too many is
/// better than silence until the clock is there again.
fn passed(admitted_at: Timestamp, now: Timestamp) -> bool {
    let waited = now.duration_since(admitted_at);
    waited.is_negative() || waited.unsigned_abs() >= REPEAT_PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + ms).unwrap()
    }

    #[test]
    fn one_in_ten_seconds_and_the_rest_is_counted() {
        let repeats = Repeats::new();
        assert_eq!(repeats.admit(at(0), "a"), Some(0));
        assert_eq!(repeats.admit(at(0), "b"), Some(0), "keys do not know each other");
        assert_eq!(repeats.admit(at(1), "a"), None);
        assert_eq!(repeats.admit(at(9_999), "a"), None);
        assert_eq!(repeats.admit(at(10_000), "a"), Some(2));
        assert_eq!(repeats.admit(at(20_000), "a"), Some(0));
        assert_eq!(repeats.admit(at(5_000), "a"), Some(0), "the clock was set back");
    }

    #[test]
    fn keys_past_the_limit_share_one() {
        let repeats = Repeats::new();
        for key in 0..REPEAT_KEYS_MAX {
            assert_eq!(repeats.admit(at(0), key), Some(0));
        }
        assert_eq!(repeats.admit(at(1), REPEAT_KEYS_MAX), Some(0), "the first of the crowd");
        assert_eq!(repeats.admit(at(2), REPEAT_KEYS_MAX + 1), None, "the crowd shares its key");
        assert_eq!(repeats.admit(at(3), 0), None, "known keys stay known");
        assert_eq!(repeats.admit(at(10_001), REPEAT_KEYS_MAX + 2), Some(0), "room again");
        assert!(repeats.keys.lock().unwrap().len() <= REPEAT_KEYS_MAX + 1);
    }
}
