//! The one sequencer: decide, evolve, decide, evolve over all that is ready; then one commit.
//!
//! It is driven from outside: the live thread, or a simulator with a journal that forgets what was
//! not durable. It owns the live state and the journal, and it alone gives events their numbers.

use std::sync::Arc;

use hansho_core::{EffectChange, State};
use hansho_journal::{Journal, JournalError};
use hansho_model::{Draft, Event, Receipt, Recorded, Refusal, SourceId};
use jiff::{SignedDuration, Timestamp};

use crate::lanes::Envelope;

/// A clock that goes back more than this is journalled.
const STEP_BACK_MIN: SignedDuration = SignedDuration::from_secs(1);

/// What a commit brought.
#[derive(Debug)]
pub struct Committed<R> {
    /// The events, durable.
    pub events: Arc<[Recorded]>,
    /// Who hears what, in the order of the inputs.
    pub replies: Vec<(R, Result<Receipt, Refusal>)>,
    /// Changes in what is owed to the outside, in the order of the events.
    pub effects: Vec<EffectChange>,
}

/// The sequencer.
#[derive(Debug)]
pub struct Sequencer<J> {
    state: State,
    journal: J,
    clock_back_us: Option<i64>,
}

impl<J: Journal> Sequencer<J> {
    /// Goes on from a state that was folded from this journal.
    ///
    /// # Panics
    ///
    /// When the state does not end where the journal ends.
    #[must_use]
    pub fn new(state: State, journal: J) -> Self {
        assert!(
            state.seq() == journal.head().seq,
            "the state ends at event {}, the journal at {}",
            state.seq(),
            journal.head().seq
        );
        Self { state, journal, clock_back_us: None }
    }

    /// The live state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The journal.
    pub const fn journal_mut(&mut self) -> &mut J {
        &mut self.journal
    }

    /// Decides about inputs in their order and commits all that follows from them at once.
    /// Nothing of the result may be told to anyone before this returns.
    ///
    /// # Errors
    ///
    /// A failed commit: nobody may be answered, and the process must end.
    pub fn step<R>(
        &mut self,
        now: Timestamp,
        inputs: Vec<Envelope<R>>,
    ) -> Result<Committed<R>, JournalError> {
        self.step_at(now, now, inputs)
    }

    /// The same when the clock on the wall shows something else than the time to act by (see
    /// [`Steady`](crate::clock::Steady)).
    ///
    /// # Errors
    ///
    /// As [`Sequencer::step`].
    pub fn step_at<R>(
        &mut self,
        now: Timestamp,
        wall: Timestamp,
        inputs: Vec<Envelope<R>>,
    ) -> Result<Committed<R>, JournalError> {
        let mut events = Vec::with_capacity(inputs.len());
        let mut effects = Vec::new();
        let mut replies = Vec::with_capacity(inputs.len());
        self.note_clock(now, wall, &mut events, &mut effects);
        for Envelope { input, reply } in inputs {
            let at = self.time_after(now);
            let answer = self
                .state
                .decide(at, &input)
                .map(|drafts| self.fold(now, drafts, &mut events, &mut effects));
            replies.push((reply, answer));
        }
        if !events.is_empty() {
            self.journal.append(&events)?;
        }
        Ok(Committed { events: events.into(), replies, effects })
    }

    /// Gives drafts their numbers and times and folds them; the receipt names the input's own
    /// event (the one after any naming of a new source) and the last.
    fn fold(
        &mut self,
        now: Timestamp,
        drafts: Vec<Draft>,
        events: &mut Vec<Recorded>,
        effects: &mut Vec<EffectChange>,
    ) -> Receipt {
        let mut own = None;
        for draft in drafts {
            let recorded = Recorded {
                seq: self.state.seq().next(),
                at: self.time_after(now),
                source: draft.source,
                cause: draft.cause,
                idem: draft.idem,
                event: draft.event,
            };
            self.state.evolve(&recorded);
            effects.extend(self.state.effect_changes(&recorded));
            if own.is_none() && !matches!(recorded.event, Event::SourceNamed { .. }) {
                own = Some(recorded.seq);
            }
            events.push(recorded);
        }
        let last = self.state.seq();
        Receipt { seq: own.unwrap_or(last), last }
    }

    /// Recorded time: never back, never twice.
    fn time_after(&self, now: Timestamp) -> Timestamp {
        let Some(last) = self.state.at() else { return now };
        let next = last.checked_add(SignedDuration::from_micros(1)).unwrap_or(last);
        now.max(next)
    }

    /// A clock that stepped back is journalled once; recorded times go on without a step.
    fn note_clock(
        &mut self,
        now: Timestamp,
        wall: Timestamp,
        events: &mut Vec<Recorded>,
        effects: &mut Vec<EffectChange>,
    ) {
        let Some(last) = self.state.at() else { return };
        let back = last.duration_since(wall);
        if back <= STEP_BACK_MIN {
            self.clock_back_us = None;
            return;
        }
        if self.clock_back_us.is_some() {
            return;
        }
        let back_us = i64::try_from(back.as_micros()).unwrap_or(i64::MAX);
        self.clock_back_us = Some(back_us);
        let draft = Draft {
            source: SourceId::CORE,
            cause: None,
            idem: hansho_model::Idem::default(),
            event: Event::ClockStepped { back_us },
        };
        self.fold(now, vec![draft], events, effects);
    }
}

#[cfg(test)]
mod tests {
    use hansho_journal::{Head, SqliteJournal};
    use hansho_model::{
        AlarmClass, AlarmKind, Door, Finding, Input, KeyId, Lane, Phase, Sealed, SealedReport,
    };

    use super::*;

    fn press(number: u8, at: Timestamp) -> Envelope<()> {
        let sealed = || Sealed { key: KeyId(1), bytes: vec![number] };
        let finding = Finding {
            class: AlarmClass::Life,
            kind: AlarmKind::Help,
            phase: Phase::New,
            code: "CID 101".to_owned(),
            zone: "003".to_owned(),
        };
        let report = SealedReport {
            door: Door::Dc09,
            source: "dc09:4901".to_owned(),
            lane: Lane::A,
            observed_at: None,
            received_at: at,
            device_key: vec![number],
            findings: vec![finding],
            position: None,
            telemetry: None,
            text: None,
            raw: sealed(),
            peer: sealed(),
            refused: None,
            deviations: Vec::new(),
        };
        Envelope { input: Input::Report(Box::new(report)), reply: () }
    }

    #[test]
    fn a_wall_that_is_set_back_is_journalled_once_and_time_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path()).unwrap();
        assert_eq!(journal.head(), Head::EMPTY);
        let mut sequencer = Sequencer::new(State::default(), journal);
        let wall = |second: i64| Timestamp::from_second(second).unwrap();
        sequencer.step(wall(10_000), vec![press(1, wall(10_000))]).unwrap();
        let mut stepped = Vec::new();
        for (number, now, shown) in [(2, 10_001, 6_402), (3, 10_002, 6_404), (4, 10_003, 13_000)] {
            let (now, shown) = (wall(now), wall(shown));
            let committed = sequencer.step_at(now, shown, vec![press(number, shown)]).unwrap();
            let report = committed.events.last().unwrap();
            assert!(report.at >= now, "recorded times go on");
            for each in committed.events.iter() {
                if let Event::ClockStepped { back_us } = each.event {
                    stepped.push(back_us / 1_000_000);
                }
            }
        }
        assert_eq!(stepped, [3_598], "an hour back, less what has passed; said once");
    }
}
