//! How much the house gives up under load: lanes that fill and commits that take long, with
//! hysteresis. Pure: time and measurements come in as arguments.
//!
//! | level | from | what is given up |
//! | --- | --- | --- |
//! | 1 | lane D more than half full, or commits 4 times the disk's probe, or telemetry is held back 100 ms at the doors | telemetry is thinned to the newest of a device |
//! | 2 | lane D four fifths full, or commits 16 times the probe, or telemetry is held back 2 s | telemetry is refused |
//! | 3 | lane C four fifths full | states are thinned to the newest of a device |
//! | 4 | lane A half full, or B four fifths, or little room on the disk | only alarms, calls and commands are taken |
//!
//! A level is reached at once. It is left one step at a time, each after [`CALM_TIME`] in which not
//! even half of what leads to it was measured. A commit that nobody would notice is no sign of
//! load, however fast the disk: below [`NOTICED_MIN`] its time does not count.

use std::time::Duration;

use hansho_model::{Lane, LoadLevel};
use jiff::{SignedDuration, Timestamp};

/// Commits over which their time is averaged.
const COMMITS_AVERAGED: u32 = 64;
/// Time without half of what leads to a level, before it is left.
pub const CALM_TIME: SignedDuration = SignedDuration::from_secs(5);
/// Commits that take less than this are no sign of load; a group of a thousand inputs may take it.
pub const NOTICED_MIN: Duration = Duration::from_millis(25);
/// Telemetry that is held back longer at the doors is thinned, and refused, respectively: more of it
/// comes than may be handled beside alarms, and ever older positions would be the worse evil.
pub const HELD_BACK_MAX: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// The average time of a commit: an exponentially weighted one of the last 64.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommitTime {
    average: Duration,
}

impl CommitTime {
    /// A commit took so long.
    pub fn note(&mut self, took: Duration) {
        // The usual weight of a mean over N values: 2 of N + 1.
        let (weight, whole) = (2, COMMITS_AVERAGED.saturating_add(1));
        let old = self.average.saturating_mul(whole.saturating_sub(weight));
        self.average = old.saturating_add(took.saturating_mul(weight)) / whole;
    }

    /// Nothing was to be committed for a while: what was measured before says ever less.
    pub fn rest(&mut self) {
        self.average /= 2;
    }

    /// The average.
    #[must_use]
    pub const fn average(&self) -> Duration {
        self.average
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauge {
    /// How full the lanes are, A to D, in per cent.
    pub fill: [u8; 4],
    /// Average time of a commit.
    pub commit: Duration,
    /// What the disk alone takes: fdatasync of a page, lately.
    pub probe: Duration,
    /// Longest that telemetry was held back at a door since the last look.
    pub held_back: Duration,
    /// Whether little room is left on the disk.
    pub tight: bool,
}

impl Gauge {
    /// Whether this level is reached; with `part` 2, whether half of it still holds.
    fn reaches(&self, level: LoadLevel, part: u8) -> bool {
        let full = |lane: Lane, percent: u8| {
            self.fill.get(lane.index()).is_some_and(|fill| *fill > percent / part)
        };
        let slow = |times: u32| {
            let limit = self.probe.saturating_mul(times).max(NOTICED_MIN);
            self.commit > limit / u32::from(part)
        };
        let late = |limit: Duration| self.held_back > limit / u32::from(part);
        let [thinned, refused] = HELD_BACK_MAX;
        match level {
            LoadLevel::CALM => true,
            LoadLevel::THIN_TELEMETRY => full(Lane::D, 50) || slow(4) || late(thinned),
            LoadLevel::REFUSE_TELEMETRY => full(Lane::D, 80) || slow(16) || late(refused),
            LoadLevel::THIN_STATES => full(Lane::C, 80),
            _ => self.tight || full(Lane::A, 50) || full(Lane::B, 80),
        }
    }

    fn highest(&self, part: u8) -> LoadLevel {
        let levels = (0..=LoadLevel::ALARMS_ONLY.get()).rev().filter_map(LoadLevel::new);
        levels.into_iter().find(|level| self.reaches(*level, part)).unwrap_or_default()
    }
}

/// The level, and since when less would do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy {
    level: LoadLevel,
    calm_since: Option<Timestamp>,
}

impl Policy {
    /// The level now.
    #[must_use]
    pub const fn level(&self) -> LoadLevel {
        self.level
    }

    /// Looks at what was measured; the new level when it changes.
    pub fn observe(&mut self, now: Timestamp, gauge: &Gauge) -> Option<LoadLevel> {
        let reached = gauge.highest(1);
        if reached > self.level {
            self.level = reached;
            self.calm_since = None;
            return Some(reached);
        }
        if gauge.highest(2) >= self.level {
            self.calm_since = None;
            return None;
        }
        let since = *self.calm_since.get_or_insert(now);
        if now.duration_since(since) < CALM_TIME {
            return None;
        }
        self.level = self.level.below();
        self.calm_since = Some(now);
        Some(self.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn filled(fill: [u8; 4]) -> Gauge {
        Gauge { fill, probe: Duration::from_millis(2), ..Gauge::default() }
    }

    fn committed(ms: u64) -> Gauge {
        Gauge { commit: Duration::from_millis(ms), ..filled([0; 4]) }
    }

    fn level(gauge: Gauge) -> u8 {
        gauge.highest(1).get()
    }

    #[test]
    fn each_level_begins_past_its_limit() {
        let lanes = [
            ([0, 0, 0, 50], 0),
            ([0, 0, 0, 51], 1),
            ([0, 0, 0, 80], 1),
            ([0, 0, 0, 81], 2),
            ([0, 0, 80, 0], 0),
            ([0, 0, 81, 0], 3),
            ([50, 80, 0, 0], 0),
            ([51, 0, 0, 0], 4),
            ([0, 81, 0, 0], 4),
        ];
        for (fill, wanted) in lanes {
            assert_eq!(level(filled(fill)), wanted, "{fill:?}");
        }
        for (ms, wanted) in [(25, 0), (26, 1), (32, 1), (33, 2)] {
            assert_eq!(level(committed(ms)), wanted, "{ms} ms, probe 2 ms");
        }
        let slow_disk = Gauge { probe: Duration::from_millis(20), ..committed(80) };
        assert_eq!(level(slow_disk), 0, "the disk itself is slow");
        assert_eq!(level(Gauge { commit: Duration::from_millis(81), ..slow_disk }), 1);
        for (ms, wanted) in [(100, 0), (101, 1), (2_000, 1), (2_001, 2)] {
            let held_back = Duration::from_millis(ms);
            assert_eq!(level(Gauge { held_back, ..filled([0; 4]) }), wanted, "held back {ms} ms");
        }
        assert_eq!(level(Gauge { tight: true, ..filled([0; 4]) }), 4);
    }

    #[test]
    fn a_level_is_reached_at_once_and_left_step_by_step() {
        let mut policy = Policy::default();
        assert_eq!(policy.observe(at(0), &filled([0, 0, 0, 90])).map(LoadLevel::get), Some(2));
        // Half of what led here still holds.
        assert_eq!(policy.observe(at(60), &filled([0, 0, 0, 41])), None);
        let calm = filled([0; 4]);
        assert_eq!(policy.observe(at(61), &calm), None);
        assert_eq!(policy.observe(at(65), &calm), None);
        assert_eq!(policy.observe(at(66), &calm).map(LoadLevel::get), Some(1));
        assert_eq!(policy.observe(at(70), &calm), None);
        // A moment of load begins the wait anew.
        assert_eq!(policy.observe(at(71), &filled([0, 0, 0, 30])), None);
        assert_eq!(policy.observe(at(75), &calm), None);
        assert_eq!(policy.observe(at(80), &calm).map(LoadLevel::get), Some(0));
        assert_eq!(policy.observe(at(99), &calm), None);
        assert_eq!(policy.observe(at(100), &filled([60, 0, 0, 0])).map(LoadLevel::get), Some(4));
    }

    #[test]
    fn a_level_does_not_flutter_around_its_limit() {
        let mut policy = Policy::default();
        let changes = (0..600).filter(|second| {
            let fill = if second % 2 == 0 { 55 } else { 45 };
            policy.observe(at(*second), &filled([0, 0, 0, fill])).is_some()
        });
        assert_eq!(changes.count(), 1);
    }

    #[test]
    fn the_average_follows_and_forgets() {
        let mut time = CommitTime::default();
        for _ in 0..64 {
            time.note(Duration::from_millis(100));
        }
        let average = time.average().as_millis();
        assert!((85..=88).contains(&average), "{average}: 1 - (63/65)^64");
        time.note(Duration::from_secs(3));
        assert!(time.average() < Duration::from_millis(200), "one slow commit is no load");
        for _ in 0..10 {
            time.rest();
        }
        assert!(time.average() < Duration::from_millis(1));
    }
}
