//! The network's clock: 90 ms frames since the beginning of an era, in 32 bits. An era lasts 12
//! years, and its number is never said.

use jiff::{SignedDuration, Timestamp};

/// Length of a frame, milliseconds.
const FRAME_MS: i64 = 90;
/// How far our clock and the network's may be apart, either way.
const APART_MAX: SignedDuration = SignedDuration::from_hours(48);

/// Since when frames are counted (maker's notices to developers of 2015 and 2025).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// From 1996.
    Original,
    /// From 2007.
    One,
    /// From 2014; in the air from 2015 on.
    Two,
    /// From 2025; in the air from 2026 on.
    Three,
}

impl Era {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Original, Self::One, Self::Two, Self::Three];

    /// Its first frame.
    #[must_use]
    pub fn zero(self) -> Timestamp {
        let second = match self {
            Self::Original => 833_587_211,
            Self::One => 1_173_325_821,
            Self::Two => 1_399_818_235,
            Self::Three => 1_739_556_857,
        };
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// When this frame begins.
    #[must_use]
    pub fn at(self, frame: u32) -> Timestamp {
        let since = SignedDuration::from_millis(i64::from(frame).saturating_mul(FRAME_MS));
        self.zero().saturating_add(since).unwrap_or(Timestamp::MAX)
    }

    /// The frame of this time; `None` outside of the era.
    #[must_use]
    pub fn frame(self, at: Timestamp) -> Option<u32> {
        let since = at.duration_since(self.zero()).as_millis();
        let frames = since.checked_div(i128::from(FRAME_MS))?;
        if since < 0 { None } else { u32::try_from(frames).ok() }
    }
}

/// When this frame began, going by a clock that is at most two days off. `None` when no era fits:
/// then the count is all that is known. No clock may be set by it.
#[must_use]
pub fn network_time(frame: u32, now: Timestamp) -> Option<Timestamp> {
    let times = Era::ALL.map(|era| era.at(frame));
    times.into_iter().find(|at| at.duration_since(now).abs() <= APART_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_era_follows_from_our_own_clock() {
        let frame = 0x24FA_3B00;
        let at: Timestamp = "2026-11-22T23:42:36.2Z".parse().unwrap();
        assert_eq!(Era::Three.at(frame), at);
        for apart in [-48, 0, 48] {
            assert_eq!(network_time(frame, at + SignedDuration::from_hours(apart)), Some(at));
        }
        assert_eq!(network_time(frame, at + SignedDuration::from_hours(49)), None);
        let older = "2016-02-16T00:00:00Z".parse().unwrap();
        assert_eq!(network_time(frame, older), Some(Era::Two.at(frame)));
    }

    #[test]
    fn frames_are_counted_within_the_era_alone() {
        for era in Era::ALL {
            for frame in [0, 1, u32::MAX] {
                assert_eq!(era.frame(era.at(frame)), Some(frame));
            }
            assert_eq!(era.frame(era.zero() - SignedDuration::from_millis(1)), None);
            assert_eq!(era.frame(era.at(u32::MAX) + SignedDuration::from_millis(90)), None);
        }
    }
}
