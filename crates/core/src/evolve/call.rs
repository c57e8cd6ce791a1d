//! Bookkeeping of calls.

use hansho_model::{
    AlarmClass, AlarmKind, CallBackOutcome, CallEnd, CallFact, CallOffer, CallRef, Door, EffectId,
    EffectOutcome, Finding, Outcome, Phase, Recorded, Sealed, SealedCallReport, Seq, SignalId,
    SourceId, Token,
};
use jiff::{SignedDuration, Timestamp};

use crate::call::{
    Call, CallAnswer, CallBackTry, CallFailure, CallOver, CallPhase, Connection, EARLIER_TIME,
    SavedDraft,
};
use crate::canonical::Canonical;
use crate::state::{Acknowledged, Index, OwedPhase, Signal, SignalState, State, limits};

/// Longer than this no phone rings unanswered: by then the telephone side has said what came of it,
/// or it never will.
const CONNECT_TIME: SignedDuration = SignedDuration::from_secs(30);
/// Who hung up is to be called back within this.
const CALL_BACK_TIME: SignedDuration = SignedDuration::from_secs(60);

impl Index {
    /// Notes a call by its offer and its deadlines.
    pub(crate) fn add_call(&mut self, name: &CallRef, call: &Call) {
        self.offers.insert(call.report, name.clone());
        self.connecting.extend(lapse_of(call).map(|at| (at, name.clone())));
        self.call_backs.extend(call_back_of(call).map(|at| (at, name.clone())));
    }

    fn remove_call(&mut self, name: &CallRef, call: &Call) {
        self.offers.remove(&call.report);
        if let Some(at) = lapse_of(call) {
            self.connecting.remove(&(at, name.clone()));
        }
        if let Some(at) = call_back_of(call) {
            self.call_backs.remove(&(at, name.clone()));
        }
    }
}

/// When waiting for the seat's phone takes too long.
fn lapse_of(call: &Call) -> Option<Timestamp> {
    let answer = call.answer.as_ref().filter(|_| call.phase == CallPhase::Connecting)?;
    answer.at.checked_add(CONNECT_TIME).ok()
}

/// When somebody must be reminded to call back.
fn call_back_of(call: &Call) -> Option<Timestamp> {
    call.call_back_due.filter(|_| !call.call_back_overdue)
}

impl State {
    pub(super) fn hear_of_call(
        &mut self,
        recorded: &Recorded,
        said: &SealedCallReport,
        caller: Option<Token>,
    ) {
        let name = &said.call;
        match &said.fact {
            CallFact::Offered(offer) => {
                let call = self.offered(recorded.seq, said, offer, caller);
                self.forget_call(name);
                self.index.add_call(name, &call);
                self.calls.insert(name.clone(), call);
            }
            CallFact::Abandoned => {
                let over = CallOver { at: said.received_at, by: CallEnd::Caller };
                self.abandon_call(name, recorded.at, over);
            }
            CallFact::Connected { position } => {
                self.connect_call(name, position, recorded, said.received_at);
            }
            CallFact::NotConnected { position, status } => {
                let failure = CallFailure { position: position.clone(), status: *status };
                let record = self.calls.get(name);
                if record.is_some_and(|call| call.rings_at(position)) {
                    self.ring_again(name, failure);
                } else if record.is_some_and(|call| call.phase == CallPhase::Ringing) {
                    self.change_call(name, |call| call.failure = Some(failure));
                }
            }
            CallFact::Ended { by } => {
                let connected =
                    self.calls.get(name).is_some_and(|call| call.phase == CallPhase::Connected);
                let over = CallOver { at: said.received_at, by: *by };
                if connected {
                    self.change_call(name, |call| {
                        (call.phase, call.over) = (CallPhase::Over, Some(over));
                    });
                } else {
                    self.abandon_call(name, recorded.at, over);
                }
            }
        }
        if said.unrecorded {
            self.change_call(name, |call| call.unrecorded = true);
        }
    }

    fn offered(
        &self,
        report: Seq,
        said: &SealedCallReport,
        offer: &CallOffer<Sealed, Sealed>,
        caller: Option<Token>,
    ) -> Call {
        let since = said.received_at.saturating_sub(EARLIER_TIME).unwrap_or(Timestamp::MIN);
        let earlier = self.calls.iter().filter(|(name, call)| {
            caller.is_some()
                && call.caller == caller
                && call.received_at >= since
                && **name != said.call
        });
        Call {
            signal: None,
            report,
            received_at: said.received_at,
            unrecorded: false,
            number: offer.number.clone(),
            caller,
            earlier: u32::try_from(earlier.count()).unwrap_or(u32::MAX),
            withheld: offer.withheld,
            service: offer.service.clone(),
            locations: offer.locations.clone(),
            phase: CallPhase::Ringing,
            answer: None,
            connected_at: None,
            over: None,
            failure: None,
            call_back_due: None,
            call_back_overdue: false,
            call_backs: Vec::new(),
        }
    }

    /// The signal of a call that was offered, or of one that rings again.
    pub(super) fn receive_call(
        &mut self,
        name: &CallRef,
        id: SignalId,
        source: SourceId,
        recorded_at: Timestamp,
    ) {
        let Some(call) = self.calls.get(name) else { return };
        let finding = Finding {
            class: AlarmClass::Life,
            kind: AlarmKind::Call,
            phase: Phase::New,
            code: String::new(),
            zone: String::new(),
        };
        let signal = Signal {
            source,
            door: Door::Sip,
            report: call.report,
            received_at: call.received_at,
            recorded_at,
            observed_at: None,
            alarm: AlarmKind::Call,
            findings: vec![finding],
            zones: Vec::new(),
            presses: 1,
            restored_at: None,
            refused: false,
            position: None,
            text: None,
            state: SignalState::Ringing,
            acknowledged: None,
            incident: None,
            notices: Vec::new(),
            ended: None,
            call: Some(name.clone()),
        };
        self.signals.insert(id, signal);
        self.index.open_signals.entry(source).or_default().insert(id);
        self.change_call(name, |call| call.signal = Some(id));
    }

    pub(super) fn answer_call(&mut self, recorded: &Recorded, id: SignalId, position: &str) {
        let (seq, at) = (recorded.seq, recorded.at);
        let Some(signal) = self.signals.get_mut(&id) else { return };
        let Some(name) = signal.call.clone() else { return };
        let position = position.to_owned();
        signal.state = SignalState::Answered;
        signal.acknowledged =
            Some(Acknowledged { by: recorded.source, position: position.clone(), at });
        let answer = CallAnswer { seq: Some(seq), position: position.clone(), at };
        self.change_call(&name, |call| {
            call.phase = CallPhase::Connecting;
            call.answer = Some(answer);
            call.failure = None;
        });
        let effect = EffectId { seq, index: 0 };
        let connection = Connection { call: name, position };
        let mut bytes = vec![2];
        effect.put(&mut bytes);
        connection.put(&mut bytes);
        self.connections.insert(seq, connection);
        self.owe(effect, at, &bytes);
    }

    fn connect_call(&mut self, name: &CallRef, position: &str, recorded: &Recorded, at: Timestamp) {
        let Some(call) = self.calls.get(name) else { return };
        if matches!(call.phase, CallPhase::Abandoned | CallPhase::Over) {
            return;
        }
        let known = call.answer.as_ref().is_some_and(|answer| answer.position == position);
        let position = position.to_owned();
        // Another seat's phone took it: what was owed for the answer is found by its number still.
        let seq = call.answer.as_ref().and_then(|answer| answer.seq);
        let by_itself = CallAnswer { seq, position: position.clone(), at };
        if let Some(signal) = call.signal.and_then(|id| self.signals.get_mut(&id)) {
            if signal.state == SignalState::Ringing {
                signal.state = SignalState::Answered;
            }
            if signal.acknowledged.is_none() || !known {
                let (by, at) = (recorded.source, recorded.at);
                signal.acknowledged = Some(Acknowledged { by, position, at });
            }
        }
        self.drop_connection(name);
        self.change_call(name, |call| {
            call.phase = CallPhase::Connected;
            call.connected_at = Some(at);
            call.failure = None;
            if !known {
                call.answer = Some(by_itself);
            }
        });
    }

    fn abandon_call(&mut self, name: &CallRef, at: Timestamp, over: CallOver) {
        let Some(call) = self.calls.get(name) else { return };
        if !matches!(call.phase, CallPhase::Ringing | CallPhase::Connecting) {
            return;
        }
        let signal = call.signal.and_then(|id| self.signals.get_mut(&id));
        let open = signal.filter(|signal| signal.ended.is_none());
        let due = if let Some(signal) = open {
            signal.state = SignalState::Abandoned;
            at.checked_add(CALL_BACK_TIME).ok()
        } else {
            None
        };
        self.drop_connection(name);
        self.change_call(name, |call| {
            (call.phase, call.over, call.call_back_due) = (CallPhase::Abandoned, Some(over), due);
        });
    }

    /// Nobody heard in time what came of an answer.
    pub(super) fn lapse_answer(&mut self, id: SignalId) {
        let Some(name) = self.signals.get(&id).and_then(|signal| signal.call.clone()) else {
            return;
        };
        let answer = self.calls.get(&name).and_then(|call| call.answer.as_ref());
        let position = answer.map(|answer| answer.position.clone()).unwrap_or_default();
        self.ring_again(&name, CallFailure { position, status: 0 });
    }

    /// An attempt to have a phone rung has its last word.
    pub(super) fn settle_connection(&mut self, outcome: &EffectOutcome) {
        let answer = outcome.effect.seq;
        let Some(Connection { call, position }) = self.connections.remove(&answer) else { return };
        let waits = self.calls.get(&call).is_some_and(|each| each.awaits(answer));
        if waits && outcome.outcome != Outcome::Done {
            self.ring_again(&call, CallFailure { position, status: outcome.detail.code });
        }
    }

    /// The caller waits again, and any seat may answer.
    fn ring_again(&mut self, name: &CallRef, failure: CallFailure) {
        self.drop_connection(name);
        self.change_call(name, |call| {
            (call.phase, call.failure) = (CallPhase::Ringing, Some(failure));
        });
        let signal = self.calls.get(name).and_then(|call| call.signal);
        if let Some(signal) = signal.and_then(|id| self.signals.get_mut(&id))
            && signal.ended.is_none()
        {
            signal.state = SignalState::Ringing;
            signal.acknowledged = None;
        }
    }

    /// The phone of the last answer need not be rung any more; an attempt under way comes down by
    /// itself.
    fn drop_connection(&mut self, name: &CallRef) {
        let answer = self.calls.get(name).and_then(|call| call.answer.as_ref());
        let Some(seq) = answer.and_then(|answer| answer.seq) else { return };
        let effect = EffectId { seq, index: 0 };
        if let Some(owed) = self.owed.get(&effect)
            && matches!(owed.phase, OwedPhase::Waiting { .. })
        {
            self.owed.remove(&effect);
            self.connections.remove(&seq);
        }
    }

    pub(super) fn remind_of_call_back(&mut self, id: SignalId) {
        if let Some(name) = self.signals.get(&id).and_then(|signal| signal.call.clone()) {
            self.change_call(&name, |call| call.call_back_overdue = true);
        }
    }

    pub(super) fn try_call_back(
        &mut self,
        recorded: &Recorded,
        id: SignalId,
        outcome: CallBackOutcome,
    ) {
        let tried = CallBackTry { at: recorded.at, by: recorded.source, outcome };
        if let Some(name) = self.signals.get(&id).and_then(|signal| signal.call.clone()) {
            self.change_call(&name, |call| {
                call.call_backs.push(tried);
                (call.call_back_due, call.call_back_overdue) = (None, false);
            });
        }
    }

    /// A signal with an outcome asks nobody to call back.
    pub(super) fn end_call_back(&mut self, name: &CallRef) {
        self.change_call(name, |call| {
            (call.call_back_due, call.call_back_overdue) = (None, false);
        });
    }

    /// Forgets a call with its newest signal.
    pub(super) fn forget_call_of(&mut self, name: &CallRef, signal: SignalId) {
        if self.calls.get(name).is_some_and(|call| call.signal == Some(signal)) {
            self.forget_call(name);
        }
    }

    fn forget_call(&mut self, name: &CallRef) {
        self.drop_connection(name);
        if let Some(call) = self.calls.remove(name) {
            self.index.remove_call(name, &call);
        }
    }

    /// The only way to change a call: what is found by its deadlines stays right.
    fn change_call(&mut self, name: &CallRef, change: impl FnOnce(&mut Call)) {
        let Some(call) = self.calls.get_mut(name) else { return };
        self.index.remove_call(name, call);
        change(call);
        self.index.add_call(name, call);
    }

    pub(super) fn save_draft(&mut self, recorded: &Recorded, form: &str, text: &Sealed) {
        let (seq, by, at) = (recorded.seq, recorded.source, recorded.at);
        self.drafts.insert(form.to_owned(), SavedDraft { seq, by, at, text: text.clone() });
        if self.drafts.len() > limits::DRAFTS {
            let oldest = self.drafts.iter().min_by_key(|(_, draft)| draft.seq);
            if let Some(form) = oldest.map(|(form, _)| form.clone()) {
                self.drafts.remove(&form);
            }
        }
    }
}
