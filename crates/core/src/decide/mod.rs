//! Decisions: what follows from an input. May say no; changes nothing.

mod call;
mod command;
mod effects;
mod notice;
mod place;
mod registers;
mod report;
mod site;
mod track;
mod units;

use hansho_model::{
    AlarmKind, Answer, AnswerChoice, Draft, Event, Idem, Input, LoadLevel, NoticeId, Refusal,
    RefusalCode, Seq, SignalId, SignalOutcome, SourceId, Template,
};
use jiff::Timestamp;

pub use effects::{CONNECT_DELAYS_S, RETRY_DELAYS_S, UNCERTAIN_RESENDS};
pub use site::MESSAGE_TIME;

use crate::idem;
use crate::state::{State, limits};

impl State {
    /// What follows from `input` at time `now`: the events of one batch, each naming its cause.
    /// The state is unchanged; the events are folded with [`State::evolve`] and committed whole.
    ///
    /// # Errors
    ///
    /// A refusal with its reason code: an answer to the asker, not a fault.
    pub fn decide(&self, now: Timestamp, input: &Input) -> Result<Vec<Draft>, Refusal> {
        let mut batch = Batch::new(self);
        match input {
            Input::Start(start) => self.decide_start(now, start, &mut batch),
            Input::Report(report) => self.decide_report(now, report, &mut batch)?,
            Input::Command(command) => self.decide_command(now, command, &mut batch)?,
            Input::Answer(answer) => self.decide_answer(now, answer, &mut batch)?,
            Input::Attempt(effects) => self.decide_attempt(now, effects, &mut batch)?,
            Input::Outcome(outcomes) => self.decide_outcome(now, outcomes, &mut batch)?,
            Input::Tick => self.decide_tick(now, &mut batch),
            Input::Call { said, caller } => self.decide_said(now, said, *caller, &mut batch)?,
            Input::Load(level) => self.decide_load(*level, &mut batch),
        }
        Ok(batch.drafts)
    }

    fn decide_answer(
        &self,
        now: Timestamp,
        answer: &Answer,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let key = idem::of_command(answer.id);
        if let Some(original) = self.seen.find(&key, now) {
            return Err(Refusal::duplicate(original));
        }
        let not_found = || Refusal::new(RefusalCode::NotFound);
        let notice = NoticeId(answer.effect.seq);
        let notice = self.notices.get(&notice).ok_or_else(not_found)?;
        let index = usize::try_from(answer.effect.index).map_err(|_range| not_found())?;
        let recipient = notice.recipients.get(index).ok_or_else(not_found)?;
        if notice.expired || notice.expires_at <= now {
            return Err(Refusal::new(RefusalCode::Expired));
        }
        if recipient.answers.len() >= limits::ANSWERS {
            return Err(Refusal::new(RefusalCode::LimitReached));
        }
        if answer.minutes.is_some_and(|minutes| minutes > 1_440) {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let source = self.source_or_name("answers", batch);
        let cause = batch.push(Draft {
            source,
            cause: None,
            idem: key,
            event: Event::AnswerGiven {
                effect: answer.effect,
                choice: answer.choice,
                minutes: answer.minutes,
                received_at: answer.received_at,
            },
        });
        // Who went to look for a wearer has found him.
        let looked_for = answer.choice == AnswerChoice::Arrived
            && [Template::TrackerLeftZone, Template::TrackerStillAway]
                .into_iter()
                .any(|template| notice.has_template(template));
        let is_open = |id: &SignalId| self.signals.get(id).is_some_and(|each| each.ended.is_none());
        if let Some(signal) = notice.signal().filter(is_open).filter(|_| looked_for) {
            let outcome = SignalOutcome::Found;
            batch.follow(source, cause, Event::SignalEnded { signal, outcome, reason: None });
        }
        Ok(())
    }

    fn decide_tick(&self, now: Timestamp, batch: &mut Batch) {
        for (_, notice) in self.index.expiries.iter().take_while(|(at, _)| *at <= now) {
            batch.push_core(Event::NoticeExpired { notice: *notice });
        }
        self.decide_call_deadlines(now, batch);
        for notice in self.index.reminders.due(now) {
            self.decide_reminder(now, notice, batch);
        }
        for (assignment, word) in &self.dispatch.due {
            let (assignment, word) = (*assignment, *word);
            batch.push_core(Event::SheetOrdered { assignment, word });
        }
        self.give_up(now, batch);
        for device in self.index.silences.due(now) {
            let (fault, code, zone) = (AlarmKind::Silent, String::new(), String::new());
            batch.push_core(Event::FaultRaised { device, fault, code, zone });
        }
    }

    pub(super) fn decide_load(&self, level: LoadLevel, batch: &mut Batch) {
        if self.load.level != level {
            batch.push_core(Event::LoadChanged { level });
        }
    }

    /// Number of a source; names it first when it is new.
    pub(crate) fn source_or_name(&self, name: &str, batch: &mut Batch) -> SourceId {
        if let Some(source) = self.index.sources.get(name) {
            return *source;
        }
        let source = SourceId(batch.sources_next);
        batch.sources_next = batch.sources_next.saturating_add(1);
        batch.push_core(Event::SourceNamed { source, name: name.to_owned() });
        source
    }
}

/// The events of one input, with the numbers they will get.
pub(crate) struct Batch {
    base: Seq,
    sources_next: u32,
    pub(crate) drafts: Vec<Draft>,
}

impl Batch {
    fn new(state: &State) -> Self {
        // Before the first start nothing is named; `core` itself takes number 0 then.
        let known = state.sources.len().max(1);
        let sources_next = u32::try_from(known).unwrap_or(u32::MAX);
        Self { base: state.seq, sources_next, drafts: Vec::new() }
    }

    /// Number that the next event of the batch will get.
    pub(crate) fn next_seq(&self) -> Seq {
        let ahead = u64::try_from(self.drafts.len()).unwrap_or(u64::MAX);
        Seq::new(self.base.get().saturating_add(ahead).saturating_add(1))
    }

    /// Adds an event; returns its number.
    pub(crate) fn push(&mut self, draft: Draft) -> Seq {
        let seq = self.next_seq();
        self.drafts.push(draft);
        seq
    }

    /// Adds an event of the core itself.
    pub(crate) fn push_core(&mut self, event: Event) -> Seq {
        let idem = idem::of_derived(self.next_seq(), 0);
        self.push(Draft { source: SourceId::CORE, cause: None, idem, event })
    }

    /// Adds an event that follows from another of this batch.
    pub(crate) fn follow(&mut self, source: SourceId, cause: Seq, event: Event) -> Seq {
        let idem: Idem = idem::of_derived(cause, self.drafts.len());
        self.push(Draft { source, cause: Some(cause), idem, event })
    }
}
