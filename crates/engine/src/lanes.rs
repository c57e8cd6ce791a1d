//! Four bounded lanes: alarms pass everything, and nothing below is starved.

use std::collections::VecDeque;

use hansho_model::{Input, Lane};

/// Inputs that may wait in each lane, A to D. A and B hold about 20 s of the worst storm.
pub const LANE_CAPACITY: [usize; 4] = [65_536, 65_536, 16_384, 16_384];

/// Inputs taken for one commit.
pub const BATCH_INPUTS_MAX: usize = 4_096;

/// One input in this many is taken from a lower lane, whatever waits above it: from B, C and D in
/// turn, so that a flood below does not keep people's commands waiting behind a flood above.
const FLOOR: u32 = 16;

/// An input with who waits for it.
#[derive(Debug)]
pub struct Envelope<R> {
    /// What.
    pub input: Input,
    /// Who hears of it.
    pub reply: R,
}

/// The lanes. `R` is whatever the caller uses to answer.
#[derive(Debug)]
pub struct Lanes<R> {
    waiting: [VecDeque<Envelope<R>>; 4],
    taken: u32,
}

impl<R> Default for Lanes<R> {
    fn default() -> Self {
        Self { waiting: std::array::from_fn(|_| VecDeque::new()), taken: 0 }
    }
}

impl<R> Lanes<R> {
    /// Adds an input at the end of its lane.
    ///
    /// # Errors
    ///
    /// Gives it back when the lane is full. Who brings an alarm then waits and holds back its
    /// sender; telemetry is shed.
    pub fn push(&mut self, lane: Lane, envelope: Envelope<R>) -> Result<(), Envelope<R>> {
        let (Some(waiting), Some(capacity)) =
            (self.waiting.get_mut(lane.index()), LANE_CAPACITY.get(lane.index()))
        else {
            return Err(envelope);
        };
        if waiting.len() >= *capacity {
            return Err(envelope);
        }
        waiting.push_back(envelope);
        Ok(())
    }

    /// The next input: the highest lane that waits; each sixteenth from a lower one.
    pub fn pop(&mut self) -> Option<Envelope<R>> {
        self.taken = self.taken.wrapping_add(1);
        if self.taken.is_multiple_of(FLOOR) {
            let [_highest, lower @ ..] = &mut self.waiting;
            let turn = usize::try_from(self.taken / FLOOR).unwrap_or_default() % lower.len();
            let (first, last) = lower.split_at_mut(turn);
            let found = last.iter_mut().chain(first).find_map(VecDeque::pop_front);
            if found.is_some() {
                return found;
            }
        }
        self.waiting.iter_mut().find_map(VecDeque::pop_front)
    }

    /// Everything that is ready, up to [`BATCH_INPUTS_MAX`].
    pub fn drain(&mut self) -> Vec<Envelope<R>> {
        let ready = self.waiting.iter().map(VecDeque::len).sum::<usize>().min(BATCH_INPUTS_MAX);
        let mut batch = Vec::with_capacity(ready);
        while batch.len() < ready {
            match self.pop() {
                Some(envelope) => batch.push(envelope),
                None => break,
            }
        }
        batch
    }

    /// How many wait in a lane.
    #[must_use]
    pub fn len(&self, lane: Lane) -> usize {
        self.waiting.get(lane.index()).map_or(0, VecDeque::len)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(reply: u32) -> Envelope<u32> {
        Envelope { input: Input::Tick, reply }
    }

    #[test]
    fn alarms_pass_telemetry_and_telemetry_still_moves() {
        let mut lanes = Lanes::default();
        for number in 0..100 {
            lanes.push(Lane::D, envelope(1_000 + number)).unwrap();
            lanes.push(Lane::A, envelope(number)).unwrap();
        }
        let order: Vec<u32> = lanes.drain().into_iter().map(|each| each.reply).collect();
        assert_eq!(order.len(), 200);
        let first_hundred = &order[..100];
        let telemetry = first_hundred.iter().filter(|reply| **reply >= 1_000).count();
        assert_eq!(telemetry, 6, "one in sixteen");
        assert!(order.iter().filter(|reply| **reply < 1_000).is_sorted(), "a lane keeps its order");
    }

    #[test]
    fn no_lane_is_starved_by_floods_above_and_below() {
        let mut lanes = Lanes::default();
        for number in 0..1_000 {
            lanes.push(Lane::A, envelope(number)).unwrap();
            lanes.push(Lane::D, envelope(3_000 + number)).unwrap();
        }
        for number in 0..5 {
            lanes.push(Lane::B, envelope(1_000 + number)).unwrap();
            lanes.push(Lane::C, envelope(2_000 + number)).unwrap();
        }
        let taken: Vec<u32> = (0..480).filter_map(|_| lanes.pop()).map(|each| each.reply).collect();
        let of = |lane: u32| taken.iter().filter(|reply| **reply / 1_000 == lane).count();
        assert_eq!([of(0), of(1), of(2), of(3)], [450, 5, 5, 20]);
    }

    #[test]
    fn a_full_lane_gives_back_what_it_cannot_hold() {
        let mut lanes = Lanes::default();
        for number in 0..16_384 {
            lanes.push(Lane::D, envelope(number)).unwrap();
        }
        assert_eq!(lanes.push(Lane::D, envelope(7)).unwrap_err().reply, 7);
        lanes.push(Lane::A, envelope(8)).unwrap();
        assert_eq!(lanes.len(Lane::D), 16_384);
        assert_eq!(lanes.drain().len(), BATCH_INPUTS_MAX);
    }
}
