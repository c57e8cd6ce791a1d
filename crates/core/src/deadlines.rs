//! Times at which something must be decided, each found by its time and by whose it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// One time for each key at most. Found again from the state, and no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines<K> {
    by_time: BTreeSet<(Timestamp, K)>,
    of: BTreeMap<K, Timestamp>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), of: BTreeMap::new() }
    }
}

impl<K: Copy + Ord> Deadlines<K> {
    /// Notes what holds for a key now: a time, or none.
    pub(crate) fn note(&mut self, key: K, at: Option<Timestamp>) {
        if let Some(old) = self.of.remove(&key) {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = at {
            self.of.insert(key, at);
            self.by_time.insert((at, key));
        }
    }

    /// The first time of all.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Those whose time has come.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = K> {
        self.by_time.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| *key)
    }
}
