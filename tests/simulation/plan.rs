//! How cruel a run is.

use super::dice::Dice;
use super::disk::Vice;

/// A fault of the shell that the simulator must notice; it proves that the checks can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    None,
    /// Answers a device before its report is durable.
    AcksEarly,
    /// Delivers as soon as the attempt is asked for.
    DeliversEarly,
    /// Does not tell the core that it started again.
    SkipsStart,
    /// Makes every repeat of a message look new.
    SkipsDedupe,
    /// Drops what came of a delivery.
    LosesOutcomes,
    /// Delivers again after a crash what was under way, as if it had not been attempted.
    RepeatsInterrupted,
}

/// The dangers of one run. Probabilities are "once in so many", 0 for never.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) vice: Vice,
    pub(super) sabotage: Sabotage,
    /// Crash before a step.
    pub(super) crash: u64,
    /// Crash before exactly this step.
    pub(super) crash_at: Option<u64>,
    pub(super) crashes_max: u32,
    /// Percent of packets lost, and doubled.
    pub(super) loss: u64,
    pub(super) doubled: u64,
    /// Longest way of a packet, in milliseconds; a long one reorders.
    pub(super) delay_ms_max: i64,
    /// A commit fails.
    pub(super) disk: u64,
    /// Longest commit, in milliseconds.
    pub(super) commit_ms_max: i64,
    /// The mail relay has bad days.
    pub(super) relay: bool,
    /// Largest step of the clock, in milliseconds.
    pub(super) clock_ms_max: i64,
    /// Heartbeats that come at once.
    pub(super) flood: u64,
    /// Little room on the disk for a while.
    pub(super) tight: bool,
    /// When all faults end, in milliseconds.
    pub(super) length_ms: i64,
}

impl Plan {
    /// Nothing goes wrong.
    pub(super) const CALM: Self = Self {
        vice: Vice::None,
        sabotage: Sabotage::None,
        crash: 0,
        crash_at: None,
        crashes_max: 1,
        loss: 0,
        doubled: 0,
        delay_ms_max: 50,
        disk: 0,
        commit_ms_max: 5,
        relay: false,
        clock_ms_max: 0,
        flood: 0,
        tight: false,
        length_ms: 60_000,
    };

    pub(super) fn new(seed: u64, dice: &mut Dice) -> Self {
        let mut pick = |list: &[u64]| list.get(dice.place(list.len())).copied().unwrap_or_default();
        let crash = pick(&[0, 400, 120, 40]);
        let loss = pick(&[0, 5, 30]);
        let doubled = pick(&[0, 10, 40]);
        let delay_ms_max = pick(&[20, 500, 8_000]).cast_signed();
        let disk = pick(&[0, 0, 60, 15]);
        let commit_ms_max = pick(&[2, 50, 1_500]).cast_signed();
        let clock_ms_max = pick(&[0, 0, 2_000, 90_000, 4_000_000]).cast_signed();
        let small_flood = pick(&[0, 0, 0, 0, 0, 150]);
        Self {
            crash,
            crashes_max: 10,
            loss,
            doubled,
            delay_ms_max,
            disk,
            commit_ms_max,
            relay: !seed.is_multiple_of(4),
            clock_ms_max,
            flood: if seed % 512 == 7 { 17_000 } else { small_flood },
            tight: seed % 5 == 3,
            length_ms: 20_000 + pick(&[0, 20_000, 60_000]).cast_signed(),
            ..Self::CALM
        }
    }
}
