//! What was taken lately, so that a repeat is answered like the first and counted once.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{Idem, Seq};
use jiff::{SignedDuration, Timestamp};

use crate::canonical::{Canonical, DecodeError};

/// How long alarms, commands and answers are remembered.
pub(crate) const ALARM_MEMORY: SignedDuration = SignedDuration::from_hours(24);
/// How long states and telemetry are remembered.
pub(crate) const TELEMETRY_MEMORY: SignedDuration = SignedDuration::from_mins(10);
/// Most keys remembered; the ones that would be forgotten first make room.
const KEYS_MAX: usize = 1_000_000;

/// Keys of inputs that were taken, each until its time is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    by_key: BTreeMap<Idem, (Seq, Timestamp)>,
    by_end: BTreeSet<(Timestamp, Idem)>,
}

impl Seen {
    /// The event that took this key first, if it is still remembered at `now`.
    #[must_use]
    pub fn find(&self, key: &Idem, now: Timestamp) -> Option<Seq> {
        self.find_with_end(key, now).map(|(seq, _)| seq)
    }

    /// The same, with the time at which it will be forgotten.
    pub(crate) fn find_with_end(&self, key: &Idem, now: Timestamp) -> Option<(Seq, Timestamp)> {
        self.by_key.get(key).filter(|(_, until)| *until > now).copied()
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(crate) fn remember(&mut self, key: Idem, seq: Seq, until: Timestamp) {
        if let Some((_, end)) = self.by_key.insert(key, (seq, until)) {
            self.by_end.remove(&(end, key));
        }
        self.by_end.insert((until, key));
        if self.by_key.len() > KEYS_MAX {
            self.forget_first();
        }
    }

    /// Forgets what is over at `now`: at most four keys a call, so that no event waits for many.
    pub(crate) fn forget_old(&mut self, now: Timestamp) {
        for _ in 0..4 {
            match self.by_end.first() {
                Some((until, _)) if *until <= now => self.forget_first(),
                _ => return,
            }
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.by_end.pop_first() {
            self.by_key.remove(&key);
        }
    }
}

impl Canonical for Seen {
    fn put(&self, out: &mut Vec<u8>) {
        self.by_key.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let by_key = BTreeMap::<Idem, (Seq, Timestamp)>::take(input)?;
        let by_end = by_key.iter().map(|(key, (_, until))| (*until, *key)).collect();
        Ok(Self { by_key, by_end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_is_found_until_its_time_is_over() {
        let mut seen = Seen::default();
        seen.remember(Idem([1; 16]), Seq::new(7), at(100));
        assert_eq!(seen.find(&Idem([1; 16]), at(99)), Some(Seq::new(7)));
        assert_eq!(seen.find(&Idem([1; 16]), at(100)), None);
        seen.forget_old(at(99));
        assert_eq!(seen.len(), 1);
        seen.forget_old(at(100));
        assert!(seen.is_empty());
    }

    #[test]
    fn a_key_taken_again_is_remembered_anew() {
        let mut seen = Seen::default();
        seen.remember(Idem([1; 16]), Seq::new(7), at(100));
        seen.remember(Idem([1; 16]), Seq::new(9), at(200));
        seen.forget_old(at(150));
        assert_eq!(seen.find(&Idem([1; 16]), at(150)), Some(Seq::new(9)));
    }
}
