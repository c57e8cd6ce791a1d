//! Four bounded lanes: alarms pass everything, and nothing below is starved.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hansho_model::{Input, Lane};

/// Inputs that may wait in each lane, A to D. A and B hold about 20 s of the worst storm.
pub const LANE_CAPACITY: [usize; 4] = [65_536, 65_536, 16_384, 16_384];

/// Inputs taken for one commit.
pub const BATCH_INPUTS_MAX: usize = 4_096;

/// Of these, from lane D: an alarm that comes in the middle of a flood of telemetry waits for a
/// short commit, not for a long one. At 512 a group has nearly all that it can gain.
pub const BATCH_TELEMETRY_MAX: usize = 512;

/// One input in this many is taken from a lower lane, whatever waits above it: from B, C and D in
/// turn, so that a flood below does not keep people's commands waiting behind a flood above.
const FLOOR: u32 = 16;

/// What a source may have taken before the next one's turn, in units of [`cost`].
const QUANTUM: usize = 1_024;

/// What an input costs beside its bytes.
const COST_BASE: usize = 256;

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
    waiting: [Fair<R>; 4],
    taken: u32,
}

impl<R> Default for Lanes<R> {
    fn default() -> Self {
        Self { waiting: std::array::from_fn(|_| Fair::default()), taken: 0 }
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
        if waiting.count >= *capacity {
            return Err(envelope);
        }
        waiting.push(envelope);
        Ok(())
    }

    /// The next input: the highest lane that waits; each sixteenth from a lower one.
    pub fn pop(&mut self) -> Option<Envelope<R>> {
        self.pop_of(Lane::ALL.len())
    }

    /// The same, of so many lanes from the highest on.
    fn pop_of(&mut self, lanes: usize) -> Option<Envelope<R>> {
        self.taken = self.taken.wrapping_add(1);
        let waiting = self.waiting.get_mut(..lanes).unwrap_or_default();
        if self.taken.is_multiple_of(FLOOR)
            && let [_highest, lower @ ..] = &mut *waiting
            && !lower.is_empty()
        {
            let turn = usize::try_from(self.taken / FLOOR).unwrap_or_default() % lower.len();
            let (first, last) = lower.split_at_mut(turn);
            let found = last.iter_mut().chain(first).find_map(Fair::pop);
            if found.is_some() {
                return found;
            }
        }
        waiting.iter_mut().find_map(Fair::pop)
    }

    /// Everything that is ready, up to [`BATCH_INPUTS_MAX`] and [`BATCH_TELEMETRY_MAX`].
    pub fn drain(&mut self) -> Vec<Envelope<R>> {
        let ready = self.waiting.iter().map(|lane| lane.count).sum::<usize>().min(BATCH_INPUTS_MAX);
        let mut batch = Vec::with_capacity(ready);
        let telemetry = self.len(Lane::D);
        while batch.len() < ready {
            let taken = telemetry.saturating_sub(self.len(Lane::D));
            let lanes = if taken < BATCH_TELEMETRY_MAX { Lane::ALL.len() } else { Lane::D.index() };
            match self.pop_of(lanes) {
                Some(envelope) => batch.push(envelope),
                None => break,
            }
        }
        batch
    }

    /// How many wait in a lane.
    #[must_use]
    pub fn len(&self, lane: Lane) -> usize {
        self.waiting.get(lane.index()).map_or(0, |lane| lane.count)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.iter().all(|lane| lane.count == 0)
    }

    /// How full the lanes are, A to D, in per cent.
    #[must_use]
    pub fn fill(&self) -> [u8; 4] {
        let mut fill = [0; 4];
        for ((percent, lane), capacity) in fill.iter_mut().zip(&self.waiting).zip(LANE_CAPACITY) {
            *percent = u8::try_from(lane.count.saturating_mul(100) / capacity).unwrap_or(u8::MAX);
        }
        fill
    }
}

/// One lane: its sources take turns by deficit round robin, so that one that floods it has its
/// share and no more, whatever the size of its inputs. The inputs of a source keep their order.
#[derive(Debug)]
struct Fair<R> {
    flows: BTreeMap<u64, Flow<R>>,
    /// Sources that wait, the next one first.
    turns: VecDeque<u64>,
    count: usize,
}

#[derive(Debug)]
struct Flow<R> {
    waiting: VecDeque<Envelope<R>>,
    credit: usize,
}

impl<R> Default for Fair<R> {
    fn default() -> Self {
        Self { flows: BTreeMap::new(), turns: VecDeque::new(), count: 0 }
    }
}

impl<R> Fair<R> {
    fn push(&mut self, envelope: Envelope<R>) {
        let source = source(&envelope.input);
        let turns = &mut self.turns;
        let flow = self.flows.entry(source).or_insert_with(|| {
            turns.push_back(source);
            Flow { waiting: VecDeque::new(), credit: QUANTUM }
        });
        flow.waiting.push_back(envelope);
        self.count = self.count.saturating_add(1);
    }

    fn pop(&mut self) -> Option<Envelope<R>> {
        loop {
            let source = *self.turns.front()?;
            let Some(flow) = self.flows.get_mut(&source) else {
                self.turns.pop_front();
                continue;
            };
            let cost = flow.waiting.front().map_or(0, |first| cost(&first.input));
            if let Some(left) = flow.credit.checked_sub(cost) {
                flow.credit = left;
                let taken = flow.waiting.pop_front();
                if flow.waiting.is_empty() {
                    self.flows.remove(&source);
                    self.turns.pop_front();
                }
                self.count = self.count.saturating_sub(usize::from(taken.is_some()));
                return taken;
            }
            // Not enough for this one: the others first, then more.
            flow.credit = flow.credit.saturating_add(QUANTUM);
            self.turns.rotate_left(1);
        }
    }
}

/// Who sent it: a device has turns of its own, and so has a call; everything else shares one.
fn source(input: &Input) -> u64 {
    // Its keys are fixed: the same source has the same number in every run.
    let mut hasher = DefaultHasher::new();
    if let Input::Report(report) = input {
        report.source.hash(&mut hasher);
    } else if let Input::Call { said, .. } = input {
        said.call.hash(&mut hasher);
    } else {
        return 0;
    }
    hasher.finish()
}

/// What an input costs: the more it holds, the more.
fn cost(input: &Input) -> usize {
    let Input::Report(report) = input else { return COST_BASE };
    COST_BASE.saturating_add(report.raw.bytes.len())
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

    fn report(source: &str, size: usize, reply: u32) -> Envelope<u32> {
        let sealed =
            |size| hansho_model::Sealed { key: hansho_model::KeyId(1), bytes: vec![0; size] };
        let report = hansho_model::SealedReport {
            door: hansho_model::Door::Mqtt,
            source: source.to_owned(),
            lane: Lane::A,
            observed_at: None,
            received_at: jiff::Timestamp::UNIX_EPOCH,
            device_key: Vec::new(),
            findings: Vec::new(),
            position: None,
            telemetry: None,
            text: None,
            raw: sealed(size),
            peer: sealed(0),
            refused: None,
            deviations: Vec::new(),
        };
        Envelope { input: Input::Report(Box::new(report)), reply }
    }

    #[test]
    fn a_source_that_floods_its_lane_cannot_starve_the_others() {
        let mut lanes = Lanes::default();
        for number in 0..10_000 {
            lanes.push(Lane::A, report("mqtt:GATEWAY", 200, number)).unwrap();
        }
        for facility in 0..300 {
            lanes
                .push(Lane::A, report(&format!("mqtt:P-{facility}"), 200, 20_000 + facility))
                .unwrap();
        }
        let taken: Vec<u32> = (0..310).filter_map(|_| lanes.pop()).map(|each| each.reply).collect();
        let facilities = taken.iter().filter(|reply| **reply >= 20_000).count();
        assert_eq!(facilities, 300, "before the gateway has its third turn");
        let gateway: Vec<u32> = taken.into_iter().filter(|reply| *reply < 20_000).collect();
        assert_eq!(gateway, (0..10).collect::<Vec<_>>(), "and in its order");
        assert_eq!(lanes.len(Lane::A), 9_990);
    }

    #[test]
    fn a_call_has_its_turn_beside_those_that_press() {
        let mut lanes = Lanes::default();
        for number in 0..400 {
            lanes.push(Lane::A, report(&format!("dc09:{number}"), 200, number)).unwrap();
        }
        for number in 0..20 {
            for part in 0..2 {
                let said = hansho_model::CallSaid {
                    call: hansho_model::CallRef(format!("c{number}")),
                    received_at: jiff::Timestamp::UNIX_EPOCH,
                    unrecorded: false,
                    fact: hansho_model::CallFact::Abandoned,
                };
                let input = Input::Call { said: Box::new(said), caller: None };
                let reply = 1_000 + 2 * number + part;
                lanes.push(Lane::A, Envelope { input, reply }).unwrap();
            }
        }
        let taken: Vec<u32> = (0..440).filter_map(|_| lanes.pop()).map(|each| each.reply).collect();
        let calls: Vec<u32> = taken.iter().copied().filter(|reply| *reply >= 1_000).collect();
        assert_eq!(calls, (1_000..1_040).collect::<Vec<_>>(), "each in its order");
        let last = taken.iter().position(|reply| *reply == 1_039).unwrap();
        let first = taken.iter().position(|reply| *reply == 1_000).unwrap();
        assert_eq!(last - first, 39, "no call waits for another round of the others");
    }

    #[test]
    fn turns_are_of_bytes_not_of_inputs() {
        let mut lanes = Lanes::default();
        for number in 0..1_000 {
            lanes.push(Lane::A, report("mqtt:LONG", 4_000, number)).unwrap();
            lanes.push(Lane::A, report("mqtt:SHORT", 0, 10_000 + number)).unwrap();
        }
        let taken: Vec<u32> = (0..500).filter_map(|_| lanes.pop()).map(|each| each.reply).collect();
        let long = taken.iter().filter(|reply| **reply < 10_000).count();
        assert!((25..=35).contains(&long), "{long} of 500: a seventeenth");
    }

    #[test]
    fn fill_is_in_per_cent() {
        let mut lanes = Lanes::default();
        for number in 0..8_192 {
            lanes.push(Lane::D, envelope(number)).unwrap();
        }
        assert_eq!(lanes.fill(), [0, 0, 0, 50]);
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
        assert_eq!(lanes.drain().len(), BATCH_TELEMETRY_MAX + 1, "a short commit");
        for number in 0..5_000 {
            lanes.push(Lane::A, envelope(number)).unwrap();
        }
        assert_eq!(lanes.drain().len(), BATCH_INPUTS_MAX);
    }
}
