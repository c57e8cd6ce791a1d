//! Bookkeeping: what an event that is in the journal changes. Never says no, looks nothing up.

mod call;

use std::collections::BTreeSet;

use hansho_model::{
    AlarmClass, AlarmKind, Attempt, Deviation, DeviceEntry, Door, EffectId, Event, Finding,
    IncidentId, Lane, Mail, MailContent, NoticeId, OrderWord, Outcome, PersonId, Phase, Recorded,
    SealedReport, Seq, Settled, SignalId, SourceId, StatusReached,
};
use jiff::Timestamp;

use crate::canonical::Canonical;
use crate::dedupe::{ALARM_MEMORY, TELEMETRY_MEMORY};
use crate::notice::NoticeContent;
use crate::state::{
    Acknowledged, AnswerRecord, Device, Ended, Fault, Incident, IncidentEnd, LastReport, Load,
    Note, Notice, Owed, OwedPhase, Person, RecipientState, RecipientStatus, SessionState, Signal,
    SignalState, State, limits,
};
use crate::track::{Doubt, Episode, Track, ZonePlace, ZoneState};

/// A change in what is owed to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectChange {
    /// Attempt it at this time or later.
    Owe(EffectId, Timestamp),
    /// This attempt is in the journal; it may be made once it is committed.
    Attempt(Attempt),
    /// It is settled, or its time is over.
    Forget(EffectId),
}

impl State {
    /// Folds one event into the state.
    ///
    /// # Panics
    ///
    /// When the event is not the next one: a gap means that durability was lost.
    pub fn evolve(&mut self, recorded: &Recorded) {
        assert!(
            recorded.seq == self.seq.next(),
            "event {} cannot follow event {}: the journal has a gap",
            recorded.seq,
            self.seq
        );
        self.seq = recorded.seq;
        self.at = Some(recorded.at);
        self.seen.forget_old(recorded.at);
        self.fold(recorded);
        self.note_reminders(&recorded.event);
        if recorded.cause.is_none() {
            self.remember(recorded);
        }
    }

    /// Goes past an event that a panic kept from being folded; the state may lack what it said.
    pub fn pass_over(&mut self, recorded: &Recorded) {
        self.seq = recorded.seq;
        self.at = Some(recorded.at);
    }

    /// What an event changed in what is owed; `self` is the state after it.
    #[must_use]
    pub fn effect_changes(&self, recorded: &Recorded) -> Vec<EffectChange> {
        let change = |id: EffectId| match self.owed.get(&id).map(|owed| owed.phase) {
            Some(OwedPhase::Waiting { due }) => Some(EffectChange::Owe(id, due)),
            Some(OwedPhase::Attempting { .. }) => None,
            None => Some(EffectChange::Forget(id)),
        };
        if let Event::NoticeOrdered { notice, .. }
        | Event::LetterOrdered { notice, .. }
        | Event::NoticeReplaced { notice, .. }
        | Event::NoticeExpired { notice } = &recorded.event
        {
            return self.notice_effects(*notice).filter_map(change).collect();
        }
        if let Event::EffectsSettled { outcomes } = &recorded.event {
            return outcomes.iter().filter_map(|each| change(each.outcome.effect)).collect();
        }
        if let Event::EffectsAttempted { attempts } = &recorded.event {
            return attempts.iter().copied().map(EffectChange::Attempt).collect();
        }
        if matches!(
            recorded.event,
            Event::PersonErased { .. } | Event::CallAnswered { .. } | Event::MessageOrdered { .. }
        ) {
            return change(EffectId { seq: recorded.seq, index: 0 }).into_iter().collect();
        }
        if let Event::ReportReceived(report) = &recorded.event {
            return self.sheets_of_terminal(report).into_iter().filter_map(change).collect();
        }
        if let Event::AssignmentStarted { assignment }
        | Event::AssignmentEnded { assignment, .. }
        | Event::SheetOrdered { assignment, .. }
        | Event::UnitStatusReached(StatusReached { assignment, .. }) = &recorded.event
        {
            return self.sheets_of(*assignment).into_iter().filter_map(change).collect();
        }
        // What is heard of a call may end that its last answer is owed a phone's ringing.
        let call = if let Event::CallReceived { said, .. } = &recorded.event {
            self.calls.get(&said.call)
        } else if let Event::CallAnswerLapsed { signal } = &recorded.event {
            self.signals.get(signal).and_then(|signal| self.call_of(signal))
        } else {
            None
        };
        let answer = call.and_then(|call| call.answer.as_ref()?.seq);
        answer.and_then(|seq| change(EffectId { seq, index: 0 })).into_iter().collect()
    }

    /// What an event says of a notice, or of a signal that people were told of, changes whether
    /// they are told again.
    fn note_reminders(&mut self, event: &Event) {
        let about = |notice: NoticeId| self.notices.get(&notice).and_then(Notice::signal);
        let signal = if let Event::SignalRepeated { signal, .. }
        | Event::SignalAcknowledged { signal, .. }
        | Event::SignalJoined { signal, .. }
        | Event::SignalEnded { signal, .. } = event
        {
            Some(*signal)
        } else if let Event::NoticeOrdered { signal, .. } = event {
            *signal
        } else if let Event::NoticeExpired { notice } = event {
            about(*notice)
        } else if let Event::AnswerGiven { effect, .. } = event {
            about(NoticeId(effect.seq))
        } else {
            return;
        };
        let signal = signal.and_then(|signal| self.signals.get(&signal));
        let notices = signal.map(|signal| signal.notices.clone()).unwrap_or_default();
        for notice in notices {
            let at = self.reminder_at(notice);
            self.index.reminders.note(notice, at);
        }
    }

    /// Effects of a notice, settled or not.
    fn notice_effects(&self, notice: NoticeId) -> impl Iterator<Item = EffectId> + use<> {
        let count = self.notices.get(&notice).map_or(0, |record| record.recipients.len());
        (0..u32::try_from(count).unwrap_or(u32::MAX))
            .map(move |index| EffectId { seq: notice.0, index })
    }

    fn remember(&mut self, recorded: &Recorded) {
        let memory = if let Event::ReportReceived(report) = &recorded.event {
            if report.device_key.is_empty() {
                return;
            }
            if report.lane > Lane::A { TELEMETRY_MEMORY } else { ALARM_MEMORY }
        } else if recorded.source == SourceId::CORE {
            return;
        } else {
            ALARM_MEMORY
        };
        if let Ok(until) = recorded.at.checked_add(memory) {
            self.seen.remember(recorded.idem, recorded.seq, until);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a kind of event: the list is the point")]
    fn fold(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.event {
            Event::CoreStarted { epoch, release } => {
                self.epoch = *epoch;
                self.started_at = Some(at);
                self.release.clone_from(release);
                if self.sources.is_empty() {
                    self.name_source("core");
                }
                for (source, device) in &self.devices {
                    self.index.silences.note(*source, device.silent_at(self.started_at));
                }
            }
            Event::ClockStepped { .. } | Event::LogInRefused { .. } => {}
            Event::SiteRegistered { device, entry } => {
                self.sites.entries.insert(*device, entry.clone());
            }
            Event::SiteWithdrawn { device } => {
                self.sites.entries.remove(device);
            }
            Event::MessageOrdered { message, device, text, until } => {
                self.order_message(recorded, *message, (*device, text, *until));
            }
            Event::SettingsApplied(settings) => self.settings = Some(settings.clone()),
            Event::SourceNamed { name, .. } => self.name_source(name),
            Event::PersonEntered { person, entry } => {
                self.index.people.insert(entry.key.clone(), *person);
                self.people.insert(*person, Person { entry: entry.clone(), erased: false });
            }
            Event::PersonErased { person } => self.erase_person(recorded, *person),
            Event::DeviceRegistered { device, subscriber, helpers, entry } => {
                self.register_device(*device, *subscriber, helpers, entry);
            }
            Event::DeviceWithdrawn { device } => self.withdraw_device(*device),
            Event::ReportReceived(report) => {
                self.receive_report(recorded, report);
                self.hurry_sheets(recorded, report);
            }
            Event::SignalReceived { signal, report, alarm, zone, refused } => {
                let (source, recorded_at) = (recorded.source, at);
                if let Some(name) = self.index.offers.get(report).cloned() {
                    self.receive_call(&name, *signal, source, recorded_at);
                    return;
                }
                let call = Call { source, recorded_at, report: *report, alarm: *alarm };
                self.receive_signal(*signal, call, zone, *refused);
            }
            Event::SignalRepeated { signal, restored, zone, alarm, .. } => {
                self.repeat_signal(*signal, at, *restored, zone);
                if !restored {
                    self.add_finding(*signal, *alarm);
                }
            }
            Event::SignalAcknowledged { signal, position } => {
                let (by, position) = (recorded.source, position.clone());
                self.acknowledge_signal(*signal, Acknowledged { by, position, at });
            }
            Event::SignalJoined { signal, incident } => self.join_signal(*signal, *incident),
            Event::SignalEnded { signal, outcome, reason } => {
                let (outcome, by) = (*outcome, recorded.source);
                self.end_signal(*signal, Ended { outcome, by, at, reason: reason.clone() });
            }
            Event::IncidentOpened { incident, number, kind, subkind, place, place_text } => {
                let record = Incident {
                    number: number.clone(),
                    kind: *kind,
                    place: place.clone(),
                    place_text: place_text.clone(),
                    signals: Vec::new(),
                    by: recorded.source,
                    opened_at: at,
                    notes: Vec::new(),
                    end: None,
                    subkind: *subkind,
                    perceived_at: at,
                    answered_at: None,
                    placed_at: place.confirmed.then_some(at),
                    kind_set_at: at,
                };
                self.open_incident(*incident, record);
            }
            Event::IncidentNoted { incident, text } => {
                let note = Note { seq: recorded.seq, by: recorded.source, at, text: text.clone() };
                if let Some(record) = self.incidents.get_mut(incident) {
                    record.notes.push(note);
                }
            }
            Event::IncidentClosed { incident, outcome, note } => {
                let (outcome, by) = (*outcome, recorded.source);
                self.close_incident(*incident, IncidentEnd { outcome, by, at, note: note.clone() });
            }
            Event::FaultRaised { device, fault, code, zone } => {
                let (zone, code) = (zone.clone(), code.clone());
                if let Some(device) = self.devices.get_mut(device) {
                    device.raise(Fault { kind: *fault, zone, code, since: at });
                }
                self.note_silence(*device);
            }
            Event::FaultCleared { device, fault, zone } => {
                if let Some(device) = self.devices.get_mut(device) {
                    device.faults.retain(|each| each.kind != *fault || each.zone != *zone);
                }
                self.note_silence(*device);
            }
            Event::NoticeOrdered { notice, signal, template, facts, recipients, expires_at } => {
                let (signal, template, facts) = (*signal, *template, facts.clone());
                let content = NoticeContent::Alarm { signal, template, facts };
                let states = recipients.iter().map(RecipientState::new).collect();
                self.enter_notice((*notice, at), content, states, *expires_at);
            }
            Event::LetterOrdered { notice, letter, recipients, expires_at } => {
                let order = (*notice, recorded.source);
                self.order_letter(at, order, letter, recipients, *expires_at);
            }
            Event::NoticeReplaced { notice, by } => self.replace_notice(*notice, *by),
            Event::GroupRegistered { key, group } => {
                self.groups.insert(key.clone(), group.clone());
            }
            Event::GroupWithdrawn { key } => {
                self.groups.remove(key);
            }
            Event::NoticeExpired { notice } => self.expire_notice(*notice),
            Event::EffectsAttempted { attempts } => self.attempt(at, attempts),
            Event::EffectsSettled { outcomes } => {
                for each in outcomes {
                    self.settle(each);
                }
            }
            Event::AnswerGiven { effect, choice, minutes, received_at } => {
                let (choice, minutes, at) = (*choice, *minutes, *received_at);
                if let Some(recipient) = self.recipient_mut(*effect) {
                    recipient.answers.push(AnswerRecord { seq: recorded.seq, choice, minutes, at });
                }
            }
            Event::SessionOpened { token, role, expires_at } => {
                self.sessions.retain(|_, session| session.expires_at > at);
                let (source, role, expires_at) = (recorded.source, *role, *expires_at);
                self.sessions.insert(*token, SessionState { source, role, expires_at });
            }
            Event::SessionClosed { token } => {
                self.sessions.remove(token);
            }
            Event::CallReceived { said, caller } => self.hear_of_call(recorded, said, *caller),
            Event::CallAnswered { signal, position } => {
                self.answer_call(recorded, *signal, position);
            }
            Event::CallAnswerLapsed { signal } => self.lapse_answer(*signal),
            Event::CallBackDue { signal } => self.remind_of_call_back(*signal),
            Event::CallBackTried { signal, outcome } => {
                self.try_call_back(recorded, *signal, *outcome);
            }
            Event::PlaceSet { incident, place, place_text } => {
                if let Some(record) = self.incidents.get_mut(incident) {
                    record.placed_at = record.placed_at.or_else(|| place.confirmed.then_some(at));
                    record.place = place.clone();
                    record.place_text.clone_from(place_text);
                }
                self.want_changes(*incident);
            }
            Event::KindSet { incident, kind, subkind } => {
                if let Some(record) = self.incidents.get_mut(incident) {
                    (record.kind, record.subkind, record.kind_set_at) = (*kind, *subkind, at);
                }
                self.want_changes(*incident);
            }
            Event::DraftSaved { form, text } => self.save_draft(recorded, form, text),
            Event::DraftCleared { form } => {
                self.drafts.remove(form);
            }
            Event::UnitRegistered { unit, entry } => self.dispatch.register(at, *unit, entry),
            Event::UnitWithdrawn { unit } => self.dispatch.withdraw(*unit),
            Event::PlansApplied { plans } => self.dispatch.plans.clone_from(plans),
            Event::UnitFoundOut { unit, status, at } => {
                self.dispatch.find_out(recorded, *unit, *status, *at);
            }
            Event::UnitsOrdered(ordered) => self.dispatch.order(recorded, ordered),
            Event::AssignmentStarted { assignment } => {
                self.dispatch.start(recorded, *assignment);
                self.owe_sheet(recorded, *assignment, OrderWord::Ordered);
            }
            Event::AssignmentEnded { assignment, end } => {
                self.dispatch.end(at, *assignment, *end);
                self.follow_sheets(*assignment);
            }
            Event::SheetOrdered { assignment, word } => {
                self.owe_sheet(recorded, *assignment, *word);
            }
            Event::UnitStatusReached(reached) => {
                self.dispatch.reach(recorded, reached);
                self.follow_sheets(reached.assignment);
            }
            Event::AvailabilityChanged { unit, usable, since } => {
                self.dispatch.set_usable(*unit, *usable, *since);
            }
            Event::CrewMoved { unit, with } => self.dispatch.move_crew(*unit, *with),
            Event::ZoneLeft { device, zone, signal, .. } => {
                let episode = signal.map(|signal| Episode { signal, left_at: at });
                self.see_zone(*device, zone, (ZonePlace::Outside, at), episode);
            }
            Event::ZoneEntered { device, zone, .. } => {
                self.see_zone(*device, zone, (ZonePlace::Inside, at), None);
            }
            Event::ZoneDoubted { device, zone, since, at, .. } => {
                let doubt = Doubt { since: *since, at: *at };
                let device = self.devices.get_mut(device);
                if let Some(zone) = device.and_then(|device| device.track.zone_mut(zone)) {
                    zone.doubt = Some(doubt);
                }
            }
            Event::FixDoubted { device, .. } => {
                let device = self.devices.get_mut(device);
                if let Some(fix) = device.and_then(|device| device.track.fix.as_mut()) {
                    fix.suspect = true;
                }
            }
            Event::LoadChanged { level } => self.load = Load { level: *level, since: Some(at) },
            Event::AlarmsLimited { .. } => {}
        }
    }

    fn name_source(&mut self, name: &str) {
        let source = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(name.to_owned());
        self.index.sources.insert(name.to_owned(), source);
    }

    fn erase_person(&mut self, recorded: &Recorded, person: PersonId) {
        let Some(record) = self.people.get_mut(&person) else { return };
        record.erased = true;
        let key = record.entry.name.key;
        self.keys_to_destroy.insert(recorded.seq, key);
        let id = EffectId { seq: recorded.seq, index: 0 };
        let mut bytes = vec![0];
        id.put(&mut bytes);
        key.put(&mut bytes);
        self.owe(id, recorded.at, &bytes);
    }

    fn register_device(
        &mut self,
        source: SourceId,
        subscriber: PersonId,
        helpers: &[PersonId],
        entry: &DeviceEntry,
    ) {
        let door = entry.source.split_once(':').and_then(|(door, _)| Door::from_word(door));
        let door = door.unwrap_or(Door::Dc09);
        let device = self.devices.entry(source).or_insert_with(|| new_device(door));
        let known = device.entry.as_ref().map(|entry| entry.zones.clone()).unwrap_or_default();
        device.track.zones = entry
            .zones
            .iter()
            .map(|zone| {
                // A zone that was moved is another one.
                let same = known.contains(zone).then(|| device.track.zone(&zone.name)).flatten();
                same.cloned().unwrap_or_else(|| new_zone(&zone.name))
            })
            .collect();
        device.entry = Some(entry.clone());
        device.subscriber = Some(subscriber);
        device.helpers = helpers.to_vec();
        self.note_silence(source);
    }

    fn note_silence(&mut self, source: SourceId) {
        let device = self.devices.get(&source);
        let at = device.and_then(|device| device.silent_at(self.started_at));
        self.index.silences.note(source, at);
    }

    fn see_zone(
        &mut self,
        device: SourceId,
        zone: &str,
        (place, at): (ZonePlace, Timestamp),
        episode: Option<Episode>,
    ) {
        let device = self.devices.get_mut(&device);
        let Some(zone) = device.and_then(|device| device.track.zone_mut(zone)) else { return };
        let name = std::mem::take(&mut zone.name);
        *zone = ZoneState { name, place, since: Some(at), doubt: None, episode };
    }

    fn withdraw_device(&mut self, source: SourceId) {
        let Some(device) = self.devices.get_mut(&source) else { return };
        device.entry = None;
        device.subscriber = None;
        device.helpers.clear();
        device.track.zones.clear();
        self.note_silence(source);
    }

    fn receive_report(&mut self, recorded: &Recorded, report: &SealedReport) {
        let device = self.devices.entry(recorded.source).or_insert_with(|| new_device(report.door));
        device.last_heard = Some(recorded.at);
        if report.refused.is_some() {
            device.refused = device.refused.saturating_add(1);
            let minute = minute_of(recorded.at);
            let (last, count) = device.refused_lately;
            let count = if last == minute { count.saturating_add(1) } else { 1 };
            device.refused_lately = (minute, count);
        } else {
            device.reports = device.reports.saturating_add(1);
        }
        device.track.hear(report);
        if report.deviations.contains(&Deviation::AlarmFromTelemetry) {
            let minute = minute_of(recorded.at);
            let (last, count) = device.alarms_lately;
            let count = if last == minute { count.saturating_add(1) } else { 1 };
            device.alarms_lately = (minute, count);
        }
        let last = LastReport {
            seq: recorded.seq,
            observed_at: report.observed_at,
            received_at: report.received_at,
            findings: report.findings.clone(),
            position: report.position,
            text: report.text.clone(),
            refused: report.refused.is_some(),
        };
        match &mut device.last_report {
            Some(slot) => **slot = last,
            None => device.last_report = Some(Box::new(last)),
        }
        self.note_silence(recorded.source);
    }

    fn receive_signal(&mut self, id: SignalId, call: Call, zone: &str, refused: bool) {
        let Some(device) = self.devices.get(&call.source) else { return };
        let Some(last) = &device.last_report else { return };
        let mut zones = Vec::new();
        add_zone(&mut zones, zone);
        let signal = Signal {
            source: call.source,
            door: device.door,
            report: call.report,
            received_at: last.received_at,
            recorded_at: call.recorded_at,
            observed_at: last.observed_at,
            alarm: call.alarm,
            findings: findings_of(call.alarm, zone, &last.findings),
            zones,
            presses: 1,
            restored_at: None,
            refused,
            position: last.position,
            text: last.text.clone(),
            state: SignalState::Ringing,
            acknowledged: None,
            incident: None,
            notices: Vec::new(),
            ended: None,
            call: None,
        };
        self.signals.insert(id, signal);
        self.index.open_signals.entry(call.source).or_default().insert(id);
    }

    fn repeat_signal(&mut self, id: SignalId, at: Timestamp, restored: bool, zone: &str) {
        let Some(record) = self.signals.get_mut(&id) else { return };
        if restored {
            record.restored_at = Some(at);
        } else {
            record.presses = record.presses.saturating_add(1);
            add_zone(&mut record.zones, zone);
            let last =
                self.devices.get(&record.source).and_then(|device| device.last_report.as_ref());
            // One press that can be trusted is enough.
            record.refused &= last.is_none_or(|last| last.refused);
        }
    }

    /// A device that has called already calls for something else, too: a fire after a press must
    /// not hide behind the press.
    fn add_finding(&mut self, id: SignalId, alarm: AlarmKind) {
        let Some(record) = self.signals.get_mut(&id) else { return };
        let last = self.devices.get(&record.source).and_then(|device| device.last_report.as_ref());
        let calls = |finding: &&Finding| {
            matches!(finding.class, AlarmClass::Life | AlarmClass::Check) && finding.kind == alarm
        };
        let Some(finding) = last.and_then(|last| last.findings.iter().find(calls)) else { return };
        let known = record.findings.iter().any(|each| each.kind == alarm);
        if known || record.findings.len() >= limits::FINDINGS {
            return;
        }
        record.findings.push(finding.clone());
        // The sort is stable: among equally urgent ones the first stays first.
        record.findings.sort_by_key(|finding| finding.class);
        if let Some(first) = record.findings.first() {
            record.alarm = first.kind;
        }
    }

    fn acknowledge_signal(&mut self, id: SignalId, acknowledged: Acknowledged) {
        let Some(record) = self.signals.get_mut(&id) else { return };
        record.acknowledged = Some(acknowledged);
        if record.state == SignalState::Ringing {
            record.state = SignalState::Answered;
        }
    }

    fn join_signal(&mut self, signal: SignalId, incident: IncidentId) {
        let Some(joined) = self.signals.get_mut(&signal) else { return };
        joined.incident = Some(incident);
        let received_at = joined.received_at;
        let call = joined.call.as_ref().and_then(|name| self.calls.get(name));
        let answered_at = call.and_then(crate::call::Call::answered_at);
        if let Some(record) = self.incidents.get_mut(&incident) {
            record.signals.push(signal);
            record.perceived_at = record.perceived_at.min(received_at);
            let answers = [record.answered_at, answered_at];
            record.answered_at = answers.into_iter().flatten().min();
        }
    }

    fn end_signal(&mut self, id: SignalId, ended: Ended) {
        let Some(record) = self.signals.get_mut(&id) else { return };
        let at = ended.at;
        record.state = SignalState::Ended;
        record.ended = Some(ended);
        let (source, call) = (record.source, record.call.clone());
        if let Some(call) = call {
            self.end_call_back(&call);
        }
        if let Some(open) = self.index.open_signals.get_mut(&source) {
            open.remove(&id);
            if open.is_empty() {
                self.index.open_signals.remove(&source);
            }
        }
        for old in keep_last(&mut self.index.ended_signals, (at, id)) {
            let call = self.signals.remove(&old).and_then(|signal| signal.call);
            if let Some(call) = call {
                self.forget_call_of(&call, old);
            }
        }
    }

    fn open_incident(&mut self, id: IncidentId, record: Incident) {
        let day: String = record.number.chars().take_while(|sign| *sign != '-').collect();
        let count = if self.incident_day.0 == day { self.incident_day.1 } else { 0 };
        self.incident_day = (day, count.saturating_add(1));
        self.incidents.insert(id, record);
    }

    fn close_incident(&mut self, id: IncidentId, end: IncidentEnd) {
        let Some(record) = self.incidents.get_mut(&id) else { return };
        let at = end.at;
        record.end = Some(end);
        for old in keep_last(&mut self.index.closed_incidents, (at, id)) {
            self.incidents.remove(&old);
            self.dispatch.forget(old);
        }
    }

    fn attempt(&mut self, at: Timestamp, attempts: &[Attempt]) {
        for attempt in attempts {
            if let Some(owed) = self.owed.get_mut(&attempt.effect) {
                owed.attempts = attempt.number;
                owed.phase = OwedPhase::Attempting { since: at };
            }
            if let Some(recipient) = self.recipient_mut(attempt.effect) {
                recipient.attempts = attempt.number;
            }
        }
    }

    pub(crate) fn enter_notice(
        &mut self,
        (notice, at): (NoticeId, Timestamp),
        content: NoticeContent,
        recipients: Vec<RecipientState>,
        expires_at: Timestamp,
    ) {
        let Some(settings) = self.settings.clone() else { return };
        let expired = false;
        let record = Notice { content, settings, ordered_at: at, expires_at, expired, recipients };
        let signal = record.signal();
        self.notices.insert(notice, record);
        self.index.expiries.insert((expires_at, notice));
        if let Some(signal) = signal.and_then(|id| self.signals.get_mut(&id)) {
            signal.notices.push(notice);
        }
        for id in self.notice_effects(notice) {
            let Some(mail) = self.mail(notice, id.index) else { continue };
            let mut bytes = Vec::new();
            put_mail(id, &mail, &mut bytes);
            self.owe(id, at, &bytes);
        }
    }

    pub(crate) fn owe(&mut self, id: EffectId, due: Timestamp, bytes: &[u8]) {
        let phase = OwedPhase::Waiting { due };
        self.owed.insert(id, Owed { attempts: 0, phase, uncertain: 0 });
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.effects_sum).update(bytes);
        self.effects_sum = *hasher.finalize().as_bytes();
    }

    /// Mails of a notice that are not on their way are owed no longer.
    pub(crate) fn stop_mails(&mut self, notice: NoticeId, never_left: RecipientStatus) {
        for id in self.notice_effects(notice) {
            let under_way = self
                .owed
                .get(&id)
                .is_some_and(|owed| matches!(owed.phase, OwedPhase::Attempting { .. }));
            if under_way {
                continue;
            }
            if let Some(owed) = self.owed.remove(&id)
                && let Some(recipient) = self.recipient_mut(id)
            {
                recipient.status = match owed.uncertain {
                    0 => never_left,
                    _ => RecipientStatus::Uncertain,
                };
            }
        }
    }

    fn expire_notice(&mut self, notice: NoticeId) {
        self.stop_mails(notice, RecipientStatus::Failed);
        let Some(record) = self.notices.get_mut(&notice) else { return };
        record.expired = true;
        let at = record.expires_at;
        self.index.expiries.remove(&(at, notice));
        for old in keep_last(&mut self.index.ended_notices, (at, notice)) {
            self.notices.remove(&old);
        }
    }

    fn settle(&mut self, settled: &Settled) {
        let Settled { outcome, again_at } = settled;
        let id = outcome.effect;
        let Some(owed) = self.owed.get_mut(&id) else { return };
        if outcome.outcome == Outcome::Uncertain {
            owed.uncertain = owed.uncertain.saturating_add(1);
        }
        let uncertain_before = owed.uncertain;
        if let Some(due) = again_at {
            owed.phase = OwedPhase::Waiting { due: *due };
        } else {
            self.owed.remove(&id);
            self.keys_to_destroy.remove(&id.seq);
            self.settle_connection(outcome);
            self.settle_sheet(outcome);
        }
        let again = again_at.is_some();
        self.settle_message(outcome, again, uncertain_before > 0);
        let Some(recipient) = self.recipient_mut(id) else { return };
        recipient.detail = outcome.detail;
        recipient.maybe_twice |= again && outcome.outcome == Outcome::Uncertain;
        recipient.status = match outcome.outcome {
            Outcome::Done => RecipientStatus::Accepted,
            Outcome::Uncertain => RecipientStatus::Uncertain,
            // An earlier attempt may have left: "failed" would claim more than we know.
            Outcome::Failed if uncertain_before > 0 => RecipientStatus::Uncertain,
            Outcome::Failed if again => RecipientStatus::Queued,
            Outcome::Failed => RecipientStatus::Failed,
        };
    }

    fn recipient_mut(&mut self, id: EffectId) -> Option<&mut RecipientState> {
        let index = usize::try_from(id.index).ok()?;
        self.notices.get_mut(&NoticeId(id.seq))?.recipients.get_mut(index)
    }
}

/// Fields of `SignalReceived`.
#[derive(Clone, Copy)]
struct Call {
    source: SourceId,
    recorded_at: Timestamp,
    report: Seq,
    alarm: AlarmKind,
}

/// Civil minutes since 1970 UTC, for counting what happened lately.
pub(crate) fn minute_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

pub(crate) fn new_device(door: Door) -> Device {
    Device {
        door,
        entry: None,
        subscriber: None,
        helpers: Vec::new(),
        last_heard: None,
        reports: 0,
        refused: 0,
        refused_lately: (0, 0),
        last_report: None,
        faults: BTreeSet::new(),
        track: Track::default(),
        alarms_lately: (0, 0),
    }
}

fn new_zone(name: &str) -> ZoneState {
    let (place, since) = (ZonePlace::Unknown, None);
    ZoneState { name: name.to_owned(), place, since, doubt: None, episode: None }
}

/// What a signal says: what its report says, but an exit from a zone is our own finding.
fn findings_of(alarm: AlarmKind, zone: &str, said: &[Finding]) -> Vec<Finding> {
    if alarm != AlarmKind::LeftZone || zone.is_empty() {
        return said.to_vec();
    }
    let (code, zone) = ("zone".to_owned(), zone.to_owned());
    vec![Finding { class: AlarmClass::Check, kind: alarm, phase: Phase::New, code, zone }]
}

/// An alarm's mail as it was always counted; a letter's with a number of its own before it.
fn put_mail(id: EffectId, mail: &Mail, out: &mut Vec<u8>) {
    let Mail { notice, recipient, content, ordered_at, expires_at, settings } = mail;
    match content {
        MailContent::Alarm { .. } => out.push(1),
        MailContent::Letter(_) => out.push(5),
    }
    id.put(out);
    notice.put(out);
    recipient.put(out);
    match content {
        MailContent::Alarm { template, facts } => {
            template.put(out);
            facts.put(out);
        }
        MailContent::Letter(letter) => letter.put(out),
    }
    ordered_at.put(out);
    expires_at.put(out);
    settings.put(out);
}

/// Adds a pendant's or sensor's number to those that called, each once.
fn add_zone(zones: &mut Vec<String>, zone: &str) {
    if !zone.is_empty() && zones.len() < limits::ZONES && !zones.iter().any(|each| each == zone) {
        zones.push(zone.to_owned());
    }
}

/// Adds what has just ended; returns what is then too old to keep: what ended first, however young
/// its number is.
fn keep_last<T: Ord + Copy>(ended: &mut BTreeSet<(Timestamp, T)>, new: (Timestamp, T)) -> Vec<T> {
    ended.insert(new);
    let mut old = Vec::new();
    while ended.len() > limits::ENDED_KEPT {
        old.extend(ended.pop_first().map(|(_, id)| id));
    }
    old
}
