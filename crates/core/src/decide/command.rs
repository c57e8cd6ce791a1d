//! Commands of people: who may do what, and whether it can still be done.

use hansho_model::{
    Command, CommandKind, Draft, Event, IncidentId, IncidentKind, IncidentSubkind, PersonId, Place,
    Refusal, RefusalCode, Role, Sealed, Seq, SignalId, SignalOutcome, SourceId, Token,
};
use jiff::{Timestamp, tz::Offset};

use super::Batch;
use super::place::check_kind;
use super::units::Said;
use crate::call::{Call, CallPhase};
use crate::idem;
use crate::state::{Incident, Signal, State, limits};

impl State {
    #[expect(clippy::too_many_lines, reason = "one arm a command: the list is the point")]
    pub(super) fn decide_command(
        &self,
        now: Timestamp,
        command: &Command,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let key = idem::of_command(command.id);
        if let Some(original) = self.seen.find(&key, now) {
            return Err(Refusal::duplicate(original));
        }
        permit(command.actor.role, &command.kind)?;
        self.permit_crew(&command.actor, &command.kind)?;
        let actor = self.source_or_name(&command.actor.source, batch);
        let case = Case { now, actor, key };
        match &command.kind {
            CommandKind::AcknowledgeSignal { signal, position } => {
                self.acknowledge(*signal, position, &case, batch)
            }
            CommandKind::OpenIncident { signals, kind, subkind, place, place_text } => {
                let (kind, words) = ((*kind, *subkind), place_text.clone());
                self.open_incident_for(signals, kind, (place, words), &case, batch)
            }
            CommandKind::JoinSignal { signal, incident } => {
                self.join(*signal, *incident, &case, batch)
            }
            CommandKind::EndSignal { signal, outcome, reason } => {
                self.end(*signal, *outcome, reason.as_ref(), &case, batch)
            }
            CommandKind::AddNote { incident, text } => self.note(*incident, text, &case, batch),
            CommandKind::CloseIncident { incident, outcome, note } => {
                self.open_incident_of(*incident)?;
                self.may_close(*incident)?;
                let (incident, outcome, note) = (*incident, *outcome, note.clone());
                let closed = case.push(Event::IncidentClosed { incident, outcome, note }, batch);
                self.release_units(incident, &case, closed, batch);
                Ok(())
            }
            CommandKind::AnswerCall { signal, position } => {
                self.answer(*signal, position, &case, batch)
            }
            CommandKind::CallBack { signal, outcome } => {
                self.call_back(*signal, *outcome, &case, batch)
            }
            CommandKind::SetPlace { incident, place, place_text } => {
                self.set_place(*incident, place, place_text.as_ref(), &case, batch)
            }
            CommandKind::SetKind { incident, kind, subkind } => {
                self.set_kind(*incident, *kind, *subkind, &case, batch)
            }
            CommandKind::SaveDraft { form, text } => Self::draft(form, text, &case, batch),
            CommandKind::ClearDraft { form } => self.drop_draft(form, &case, batch),
            CommandKind::OrderUnits { incident, units, reason, divert } => {
                self.order_units(*incident, units, (reason.as_ref(), *divert), &case, batch)
            }
            CommandKind::UnitStatus { unit, status, at, incident, corrects } => {
                let (status, at, incident) = (*status, *at, *incident);
                let said = Said { unit, status, at, incident, corrects: *corrects };
                self.unit_status(&said, command.received_at, &case, batch)
            }
            CommandKind::SetAvailability { unit, usable } => {
                self.set_availability(unit, *usable, &case, batch)
            }
            CommandKind::SendNotice(notice) => {
                self.send_notice(command.actor.role, notice, &case, batch)
            }
            CommandKind::SendMessage { device, text } => {
                self.send_message(device, text, &case, batch)
            }
            CommandKind::ErasePerson { person } => self.erase(*person, &case, batch),
            CommandKind::OpenSession { token, expires_at } => {
                self.log_in(*token, command.actor.role, *expires_at, &case, batch)
            }
            CommandKind::CloseSession { token } => {
                case.push(Event::SessionClosed { token: *token }, batch);
                Ok(())
            }
            CommandKind::RefuseLogIn { name } => {
                case.push(Event::LogInRefused { name: *name }, batch);
                Ok(())
            }
        }
    }

    fn acknowledge(
        &self,
        id: SignalId,
        position: &str,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let signal = self.open_signal_of(id)?;
        if signal.acknowledged.is_some() {
            return Err(Refusal::new(RefusalCode::AlreadyAnswered));
        }
        if self.call_of(signal).is_some_and(|call| call.phase == CallPhase::Ringing) {
            // A caller is not helped by somebody who says "I have it" and does not answer.
            return Err(Refusal::new(RefusalCode::StillRinging));
        }
        if position.len() > limits::SEAT_BYTES {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let position = position.to_owned();
        case.push(Event::SignalAcknowledged { signal: id, position }, batch);
        Ok(())
    }

    fn open_incident_for(
        &self,
        signals: &[SignalId],
        (kind, subkind): (IncidentKind, Option<IncidentSubkind>),
        (place, place_text): (&Place, Option<Sealed>),
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        if signals.len() > limits::SIGNALS_JOINED {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        for (place, id) in signals.iter().enumerate() {
            self.may_join(*id)?;
            if signals.iter().take(place).any(|earlier| earlier == id) {
                return Err(Refusal::new(RefusalCode::Invalid));
            }
        }
        check_kind(kind, subkind)?;
        let incident = IncidentId(batch.next_seq());
        let number = self.next_incident_number(case.now);
        let place = self.place_of(signals, place)?;
        let opened = Event::IncidentOpened { incident, number, kind, subkind, place, place_text };
        let cause = case.push(opened, batch);
        for id in signals {
            self.join_open(*id, incident, SignalOutcome::NewIncident, (case, cause), batch);
        }
        Ok(())
    }

    fn join(
        &self,
        id: SignalId,
        incident: IncidentId,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        self.open_incident_of(incident)?;
        self.may_join(id)?;
        let cause = case.push(Event::SignalJoined { signal: id, incident }, batch);
        self.finish_joined(id, SignalOutcome::Joined, (case, cause), batch);
        Ok(())
    }

    fn join_open(
        &self,
        signal: SignalId,
        incident: IncidentId,
        outcome: SignalOutcome,
        (case, cause): (&Case, Seq),
        batch: &mut Batch,
    ) {
        batch.follow(case.actor, cause, Event::SignalJoined { signal, incident });
        self.finish_joined(signal, outcome, (case, cause), batch);
    }

    /// The outcome is known once the signal has an incident; who joins it has it, too.
    fn finish_joined(
        &self,
        signal: SignalId,
        outcome: SignalOutcome,
        (case, cause): (&Case, Seq),
        batch: &mut Batch,
    ) {
        let unclaimed = self.signals.get(&signal).is_some_and(|each| each.acknowledged.is_none());
        if unclaimed {
            let position = String::new();
            batch.follow(case.actor, cause, Event::SignalAcknowledged { signal, position });
        }
        let event = Event::SignalEnded { signal, outcome, reason: None };
        batch.follow(case.actor, cause, event);
    }

    fn end(
        &self,
        id: SignalId,
        outcome: SignalOutcome,
        reason: Option<&Sealed>,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        self.signal_to_end(id)?;
        if matches!(outcome, SignalOutcome::NewIncident | SignalOutcome::Joined) {
            // Those come with an incident, never alone.
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let reason = reason.cloned();
        case.push(Event::SignalEnded { signal: id, outcome, reason }, batch);
        Ok(())
    }

    fn note(
        &self,
        id: IncidentId,
        text: &Sealed,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let incident = self.incidents.get(&id).ok_or(Refusal::new(RefusalCode::NotFound))?;
        if incident.notes.len() >= limits::NOTES {
            return Err(Refusal::new(RefusalCode::LimitReached));
        }
        case.push(Event::IncidentNoted { incident: id, text: text.clone() }, batch);
        Ok(())
    }

    fn erase(&self, person: PersonId, case: &Case, batch: &mut Batch) -> Result<(), Refusal> {
        let record = self.people.get(&person).ok_or(Refusal::new(RefusalCode::NotFound))?;
        if record.erased {
            return Err(Refusal::new(RefusalCode::AlreadyEnded));
        }
        case.push(Event::PersonErased { person }, batch);
        Ok(())
    }

    fn log_in(
        &self,
        token: Token,
        role: Role,
        expires_at: Timestamp,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let open = self.sessions.values().filter(|each| each.expires_at > case.now).count();
        if open >= limits::SESSIONS {
            return Err(Refusal::new(RefusalCode::LimitReached));
        }
        if expires_at <= case.now {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        case.push(Event::SessionOpened { token, role, expires_at }, batch);
        Ok(())
    }

    fn may_join(&self, id: SignalId) -> Result<(), Refusal> {
        if self.signal_to_end(id)?.incident.is_some() {
            return Err(Refusal::new(RefusalCode::AlreadyJoined));
        }
        Ok(())
    }

    /// A signal that may get its outcome: nobody waits on its line for an answer.
    fn signal_to_end(&self, id: SignalId) -> Result<&Signal, Refusal> {
        let signal = self.open_signal_of(id)?;
        if self.call_of(signal).is_some_and(Call::waits_for_answer) {
            return Err(Refusal::new(RefusalCode::StillRinging));
        }
        Ok(signal)
    }

    pub(super) fn open_signal_of(&self, id: SignalId) -> Result<&Signal, Refusal> {
        let signal = self.signals.get(&id).ok_or(Refusal::new(RefusalCode::NotFound))?;
        if signal.ended.is_some() {
            return Err(Refusal::new(RefusalCode::AlreadyEnded));
        }
        Ok(signal)
    }

    pub(super) fn open_incident_of(&self, id: IncidentId) -> Result<&Incident, Refusal> {
        let incident = self.incidents.get(&id).ok_or(Refusal::new(RefusalCode::NotFound))?;
        if incident.end.is_some() {
            return Err(Refusal::new(RefusalCode::AlreadyEnded));
        }
        Ok(incident)
    }

    /// Month, day in Japan and number of the day: `1123-3`.
    fn next_incident_number(&self, now: Timestamp) -> String {
        let day = Offset::constant(9).to_datetime(now).date();
        let day = format!("{:02}{:02}", day.month(), day.day());
        let count = if self.incident_day.0 == day { self.incident_day.1 } else { 0 };
        format!("{day}-{}", count.saturating_add(1))
    }
}

/// A command on its way.
pub(super) struct Case {
    pub(super) now: Timestamp,
    pub(super) actor: SourceId,
    key: hansho_model::Idem,
}

impl Case {
    /// The command's own event: it carries the command's key.
    pub(super) fn push(&self, event: Event, batch: &mut Batch) -> Seq {
        batch.push(Draft { source: self.actor, cause: None, idem: self.key, event })
    }
}

/// What each role may do. A viewer may only log in and off.
fn permit(role: Role, kind: &CommandKind) -> Result<(), Refusal> {
    let allowed = match kind {
        CommandKind::OpenSession { .. }
        | CommandKind::CloseSession { .. }
        | CommandKind::RefuseLogIn { .. } => role != Role::Crew,
        CommandKind::ErasePerson { .. } => role == Role::Administrator,
        CommandKind::SendNotice(_) | CommandKind::SendMessage { .. } => {
            matches!(role, Role::Dispatcher | Role::Supervisor | Role::DisasterManager)
        }
        CommandKind::SaveDraft { .. } | CommandKind::ClearDraft { .. } => {
            !matches!(role, Role::Viewer | Role::Crew)
        }
        CommandKind::AcknowledgeSignal { .. }
        | CommandKind::OpenIncident { .. }
        | CommandKind::JoinSignal { .. }
        | CommandKind::EndSignal { .. }
        | CommandKind::AddNote { .. }
        | CommandKind::CloseIncident { .. }
        | CommandKind::AnswerCall { .. }
        | CommandKind::CallBack { .. }
        | CommandKind::SetPlace { .. }
        | CommandKind::SetKind { .. }
        | CommandKind::OrderUnits { .. } => matches!(role, Role::Dispatcher | Role::Supervisor),
        CommandKind::UnitStatus { .. } | CommandKind::SetAvailability { .. } => {
            matches!(role, Role::Dispatcher | Role::Supervisor | Role::Crew)
        }
    };
    if allowed { Ok(()) } else { Err(Refusal::new(RefusalCode::Forbidden)) }
}
