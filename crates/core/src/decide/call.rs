//! What the telephone side says of calls, and what people do with them.

use hansho_model::{
    AlarmKind, CallBackOutcome, CallFact, CallRef, CallerLocation, Draft, Event, LocationMark,
    Outcome, Refusal, RefusalCode, Sealed, SealedCallReport, Seq, Settled, SignalId, SourceId,
    Token,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use super::command::Case;
use crate::call::{Call, CallPhase};
use crate::idem;
use crate::state::{State, limits};

/// Name of the source of all calls: a caller's number is sealed and no name.
const SOURCE: &str = "sip";

// Caller-location reference, section 0, rule 7, and section 8.
/// A location that is older than the call by more than this is stale.
const STALE_TIME: SignedDuration = SignedDuration::from_secs(120);
/// A location that is further in the future than this comes from a wrong clock.
const CLOCK_TIME: SignedDuration = SignedDuration::from_secs(5);
/// A caller farther than this from the city is marked, in metres.
const OUTSIDE_METRES: u32 = 30_000;
/// A wider place is an area and never a pin, in metres.
const WIDE_METRES: u32 = 1_000;

impl State {
    pub(super) fn decide_said(
        &self,
        now: Timestamp,
        said: &SealedCallReport,
        caller: Option<Token>,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let idem = idem::of_call(said);
        if let Some(original) = self.seen.find(&idem, now) {
            return Err(Refusal::duplicate(original));
        }
        let call = self.calls.get(&said.call);
        let open = |call: &&Call| call.signal.is_some_and(|signal| !self.has_ended(signal));
        if matches!(said.fact, CallFact::Offered(_))
            && let Some(call) = call.filter(open)
        {
            return Err(Refusal::duplicate(call.report));
        }
        let source = self.source_or_name(SOURCE, batch);
        let event = Event::CallReceived { said: Box::new(marked(said)), caller };
        let cause = batch.push(Draft { source, cause: None, idem, event });
        match &said.fact {
            CallFact::Offered(_) => open_signal(source, cause, cause, batch),
            CallFact::NotConnected { position, .. } => {
                if call.is_some_and(|call| call.rings_at(position)) {
                    self.show_again(&said.call, source, cause, batch);
                }
            }
            CallFact::Abandoned | CallFact::Connected { .. } | CallFact::Ended { .. } => {}
        }
        Ok(())
    }

    /// A caller whose signal has its outcome already must not ring unseen: it gets a new signal.
    fn show_again(&self, call: &CallRef, source: SourceId, cause: Seq, batch: &mut Batch) {
        let Some(call) = self.calls.get(call) else { return };
        if call.signal.is_none_or(|signal| self.has_ended(signal)) {
            open_signal(source, cause, call.report, batch);
        }
    }

    fn has_ended(&self, signal: SignalId) -> bool {
        self.signals.get(&signal).is_none_or(|signal| signal.ended.is_some())
    }

    /// Deadlines of calls that have come.
    pub(super) fn decide_call_deadlines(&self, now: Timestamp, batch: &mut Batch) {
        for (_, name) in self.index.connecting.iter().take_while(|(at, _)| *at <= now) {
            let Some(signal) = self.calls.get(name).and_then(|call| call.signal) else { continue };
            let cause = batch.push_core(Event::CallAnswerLapsed { signal });
            self.show_again(name, SourceId::CORE, cause, batch);
        }
        for (_, name) in self.index.call_backs.iter().take_while(|(at, _)| *at <= now) {
            if let Some(signal) = self.calls.get(name).and_then(|call| call.signal) {
                batch.push_core(Event::CallBackDue { signal });
            }
        }
    }

    /// What follows when phones could not be rung: the calls ring again.
    pub(super) fn follow_settled(&self, outcomes: &[Settled], cause: Seq, batch: &mut Batch) {
        for Settled { outcome, again_at } in outcomes {
            let Some(connection) = self.connections.get(&outcome.effect.seq) else { continue };
            let waits = self.calls.get(&connection.call);
            let waits = waits.is_some_and(|call| call.awaits(outcome.effect.seq));
            if waits && again_at.is_none() && outcome.outcome != Outcome::Done {
                self.show_again(&connection.call, SourceId::CORE, cause, batch);
            }
        }
    }

    /// Whether the seat's phone of this answer is still to be rung; `None` when it is no answer.
    pub(super) fn connection_lives(&self, answer: Seq) -> Option<bool> {
        let connection = self.connections.get(&answer)?;
        Some(self.calls.get(&connection.call).is_some_and(|call| call.awaits(answer)))
    }

    pub(super) fn answer(
        &self,
        id: SignalId,
        position: &str,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let call = self.open_call_of(id)?;
        match call.phase {
            CallPhase::Ringing => {}
            CallPhase::Connecting | CallPhase::Connected => {
                return Err(Refusal::new(RefusalCode::AlreadyAnswered));
            }
            CallPhase::Abandoned | CallPhase::Over => {
                return Err(Refusal::new(RefusalCode::AlreadyEnded));
            }
        }
        if position.is_empty() || position.len() > limits::SEAT_BYTES {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        case.push(Event::CallAnswered { signal: id, position: position.to_owned() }, batch);
        Ok(())
    }

    pub(super) fn call_back(
        &self,
        id: SignalId,
        outcome: CallBackOutcome,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let call = self.open_call_of(id)?;
        match call.phase {
            CallPhase::Ringing => return Err(Refusal::new(RefusalCode::StillRinging)),
            CallPhase::Connecting | CallPhase::Connected => {
                return Err(Refusal::new(RefusalCode::AlreadyAnswered));
            }
            CallPhase::Abandoned | CallPhase::Over => {}
        }
        if call.call_backs.len() >= limits::CALL_BACKS {
            return Err(Refusal::new(RefusalCode::LimitReached));
        }
        case.push(Event::CallBackTried { signal: id, outcome }, batch);
        Ok(())
    }

    /// The call of a signal without an outcome.
    fn open_call_of(&self, id: SignalId) -> Result<&Call, Refusal> {
        let signal = self.open_signal_of(id)?;
        self.call_of(signal).ok_or(Refusal::new(RefusalCode::Invalid))
    }

    pub(super) fn draft(
        form: &str,
        text: &Sealed,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        if form.is_empty()
            || form.len() > limits::FORM_BYTES
            || text.bytes.len() > limits::DRAFT_BYTES
        {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        case.push(Event::DraftSaved { form: form.to_owned(), text: text.clone() }, batch);
        Ok(())
    }

    pub(super) fn drop_draft(
        &self,
        form: &str,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        if !self.drafts.contains_key(form) {
            return Err(Refusal::new(RefusalCode::NotFound));
        }
        case.push(Event::DraftCleared { form: form.to_owned() }, batch);
        Ok(())
    }
}

fn open_signal(source: SourceId, cause: Seq, report: Seq, batch: &mut Batch) {
    let signal = SignalId(batch.next_seq());
    let (alarm, zone) = (AlarmKind::Call, String::new());
    let event = Event::SignalReceived { signal, report, alarm, zone, refused: false };
    batch.follow(source, cause, event);
}

/// The same with the marks of its locations.
fn marked(said: &SealedCallReport) -> SealedCallReport {
    let mut said = said.clone();
    if let CallFact::Offered(offer) = &mut said.fact {
        for location in &mut offer.locations {
            for mark in marks(said.received_at, location) {
                if !location.marks.contains(&mark) {
                    location.marks.push(mark);
                }
            }
        }
    }
    said
}

/// What is odd about a location. The atlas is asked here and its answer goes into the event.
fn marks(call_at: Timestamp, location: &CallerLocation<Sealed>) -> Vec<LocationMark> {
    let Some(centre) = location.centre else { return Vec::new() };
    let time = match location.at.map(|at| call_at.duration_since(at)) {
        None => Some(LocationMark::NoTime),
        Some(age) if age > STALE_TIME => Some(LocationMark::Stale),
        Some(age) if age < -CLOCK_TIME => Some(LocationMark::Clock),
        Some(_) => None,
    };
    let outside = hansho_atlas::metres_from_city(centre).0 > OUTSIDE_METRES;
    let wide = location.radius.is_some_and(|radius| radius.0 > WIDE_METRES);
    let outside = outside.then_some(LocationMark::Outside);
    let wide = wide.then_some(LocationMark::Wide);
    [time, outside, wide].into_iter().flatten().collect()
}
