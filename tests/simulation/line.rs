//! The telephone side: callers, the seats' phones, and the supervisor that tells the core of them.
//! It outlives the core: what the core did not say it has is told again.

use std::collections::VecDeque;

use hansho_core::{CallPhase, State};
use hansho_model::{
    CallEnd, CallFact, CallOffer, CallRef, CallSaid, Input, Lane, RefusalCode, Sealed,
    SealedCallReport, Token,
};

use super::house::Waiter;
use super::town::sealed;
use super::world::{Happening, Heard, World};

/// A caller and the line to one seat's phone.
pub(super) struct Caller {
    name: CallRef,
    stage: Stage,
    /// What the core does not have yet, the oldest first. Only the first is told.
    told: VecDeque<SealedCallReport>,
    /// How often a phone was to ring for it.
    phones: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Has not called yet.
    Quiet,
    /// Waits, and nobody's phone rings.
    Waiting,
    /// Waits while this seat's phone rings.
    Ringing(String),
    /// Speaks.
    Connected,
    /// Has hung up, having spoken or not.
    Gone { spoke: bool },
}

impl Caller {
    pub(super) fn new(number: usize) -> Self {
        let name = CallRef(format!("call-{number}@invented"));
        Self { name, stage: Stage::Quiet, told: VecDeque::new(), phones: 0 }
    }

    /// Nothing is left to tell, and the core knows how it ended.
    pub(super) fn check_rest(&self, state: &State) {
        assert!(self.told.is_empty(), "{} is not told of to the end: {:?}", self.name, self.told);
        let phase = state.calls().get(&self.name).map(|call| call.phase);
        let fits = match self.stage {
            Stage::Quiet => phase.is_none(),
            Stage::Gone { spoke: true } => phase == Some(CallPhase::Over),
            Stage::Gone { spoke: false } => phase == Some(CallPhase::Abandoned),
            Stage::Waiting | Stage::Ringing(_) | Stage::Connected => false,
        };
        assert!(fits, "{} is {:?}, and {phase:?} for the core", self.name, self.stage);
    }
}

impl World {
    pub(super) fn caller_timer(&mut self, place: usize) {
        let healed = self.healed;
        let settled = self.town.callers[place].told.is_empty();
        if settled {
            let moves_on = healed || self.dice.one_in(6);
            let stage = self.town.callers[place].stage.clone();
            match stage {
                Stage::Quiet if healed => return,
                Stage::Quiet => {
                    self.town.callers[place].stage = Stage::Waiting;
                    let offer = self.offer();
                    self.note(place, CallFact::Offered(Box::new(offer)));
                }
                Stage::Waiting | Stage::Ringing(_) if moves_on => {
                    self.town.callers[place].stage = Stage::Gone { spoke: false };
                    self.note(place, CallFact::Abandoned);
                }
                Stage::Connected if moves_on => {
                    self.town.callers[place].stage = Stage::Gone { spoke: true };
                    let by = *self.dice.pick(CallEnd::ALL).unwrap();
                    self.note(place, CallFact::Ended { by });
                }
                Stage::Waiting | Stage::Ringing(_) | Stage::Connected => {}
                Stage::Gone { .. } => return,
            }
        } else {
            self.tell_core(place);
        }
        let wait = self.dice.between(500, 6_000);
        self.after_ms(wait, Happening::CallerTimer(place));
    }

    fn offer(&mut self) -> CallOffer<Sealed, Sealed> {
        CallOffer {
            number: self.dice.one_in(2).then(|| sealed(9, b"number")),
            withheld: self.dice.one_in(5),
            service: "sos".to_owned(),
            locations: Vec::new(),
            peer: sealed(9, b"peer"),
            raw: sealed(9, b"raw"),
        }
    }

    /// Something happened to a call: it stays noted until the core has it.
    fn note(&mut self, place: usize, fact: CallFact<Sealed, Sealed>) {
        let (received_at, unrecorded) = (self.wall(), self.house.is_none());
        let caller = &mut self.town.callers[place];
        let call = caller.name.clone();
        caller.told.push_back(CallSaid { call, received_at, unrecorded, fact });
        if caller.told.len() == 1 {
            self.tell_core(place);
        }
    }

    fn tell_core(&mut self, place: usize) {
        let Some(said) = self.town.callers[place].told.front().cloned() else { return };
        let caller = matches!(said.fact, CallFact::Offered(_)).then_some(Token([5; 16]));
        let copies = if self.dice.percent(self.plan.doubled) { 2 } else { 1 };
        for _copy in 0..copies {
            let input = Input::Call { said: Box::new(said.clone()), caller };
            let waiter = Waiter::Said(place, Box::new(said.clone()));
            // A full lane, or no core: told again later.
            self.submit(Lane::A, input, waiter);
        }
    }

    /// The core has the word, or says that it had it before: only now the network is answered.
    pub(super) fn said_is_heard(&mut self, place: usize, said: &SealedCallReport, heard: &Heard) {
        let seq = match heard {
            Ok(receipt) => Some(receipt.seq),
            Err(refusal) => {
                assert_eq!(refusal.code, RefusalCode::Duplicate, "{said:?} is refused");
                refusal.original
            }
        };
        self.audit.call_heard(said, seq);
        let caller = &mut self.town.callers[place];
        if caller.told.front() == Some(said) {
            caller.told.pop_front();
            self.tell_core(place);
        }
    }

    /// The core has a seat's phone rung; twice is once.
    pub(super) fn ring_phone(&mut self, call: &CallRef, position: &str) {
        let place = self.town.callers.iter().position(|caller| caller.name == *call).unwrap();
        let caller = &mut self.town.callers[place];
        self.audit.phone_rings(call, position);
        self.tally.rung_again += u64::from(caller.phones > 0);
        caller.phones += 1;
        match &caller.stage {
            Stage::Waiting => {}
            Stage::Ringing(seat) if seat != position => {}
            Stage::Quiet | Stage::Ringing(_) | Stage::Connected | Stage::Gone { .. } => return,
        }
        caller.stage = Stage::Ringing(position.to_owned());
        // One in six phones says nothing at all.
        if !self.dice.one_in(6) {
            let wait = self.dice.between(100, 8_000);
            self.after_ms(wait, Happening::PhoneAnswers(place, position.to_owned()));
        }
    }

    pub(super) fn phone_answers(&mut self, place: usize, position: String) {
        if self.town.callers[place].stage != Stage::Ringing(position.clone()) {
            return;
        }
        if self.dice.one_in(3) {
            self.town.callers[place].stage = Stage::Waiting;
            self.note(place, CallFact::NotConnected { position, status: 486 });
        } else {
            self.town.callers[place].stage = Stage::Connected;
            self.tally.connected += 1;
            self.note(place, CallFact::Connected { position });
        }
    }
}
