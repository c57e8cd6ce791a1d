//! From the core's state to what the API shows.

mod letters;
mod sites;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use hansho_core::{
    Call, CallPhase, Device, Incident, LastFix, Notice, Person, RecipientState, RecipientStatus,
    SavedDraft, Signal, State,
};
use hansho_model::{
    CallerLocation, DegreesE7, Door, EffectId, IncidentId, KeyId, LocationFault, LocationShape,
    Mode, NoticeId, Reveal, Role, Sealed, Seq, SignalId, SourceId, Token,
};
use jiff::Timestamp;

use crate::accounts::Accounts;
use crate::limits::{
    INCIDENTS_SHOWN_MAX, NOTICES_SHOWN_MAX, RECIPIENTS_SHOWN_MAX, SIGNALS_SHOWN_MAX,
};
use crate::view;

/// An open session, as the state has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Log-in name, without `user:`.
    pub(crate) user: String,
    pub(crate) expires_at: Timestamp,
}

/// The session of this token, if it is open at `now`.
pub(crate) fn session(state: &State, token: &Token, now: Timestamp) -> Option<Session> {
    let open = state.session(token, now)?;
    let user = state.source_name(open.source).strip_prefix("user:")?.to_owned();
    Some(Session { user, expires_at: open.expires_at })
}

/// Whether names, addresses, typed words and positions are shown. A viewer's screen hangs on a
/// wall, where it shows what happens and never to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Whole,
    NothingPersonal,
}

impl Sight {
    pub(crate) const fn of(role: Role) -> Self {
        match role {
            Role::Dispatcher | Role::Supervisor | Role::DisasterManager | Role::Administrator => {
                Self::Whole
            }
            Role::Viewer | Role::Crew => Self::NothingPersonal,
        }
    }
}

/// Makes the view of a state.
#[derive(Clone, Copy)]
pub(crate) struct Viewer<'a> {
    pub(crate) state: &'a State,
    pub(crate) reveal: &'a dyn Reveal,
    pub(crate) accounts: &'a Accounts,
    pub(crate) sight: Sight,
    /// Of people who were erased: closed from then on, not only once the keys are destroyed.
    pub(crate) erased: &'a BTreeSet<KeyId>,
}

impl Viewer<'_> {
    /// The whole world; `accounting` and `degraded_from` are no part of the state.
    pub(crate) fn world(
        self,
        accounting: Vec<view::Accounting>,
        degraded_from: Option<Seq>,
    ) -> view::World {
        let settings = self.state.settings();
        let mode = settings.map_or(Mode::Demo, |settings| settings.mode);
        let notices: Vec<_> = self.notices();
        view::World {
            seq: self.state.seq().get(),
            at: self.state.at().unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            mode: mode.as_str().to_owned(),
            headquarters: settings.map(|each| each.headquarters.clone()).unwrap_or_default(),
            degraded: degraded_from.is_some(),
            degraded_from: degraded_from.map(Seq::get),
            signals: self.signals(),
            incidents: self.incidents(),
            units: self.units(),
            devices: self.devices(),
            accounting,
            mail: self.mail(&notices),
            load: view::Load {
                level: self.state.load().level.get(),
                since: self.state.load().since.map(|since| since.to_string()),
            },
            notices,
            drafts: self.drafts(),
            groups: self.groups(),
            sites: self.sites(),
            messages: self.messages(),
        }
    }

    fn signals(self) -> Vec<view::Signal> {
        let all = self.state.signals();
        let open = all.iter().filter(|(_, signal)| signal.ended.is_none());
        let ended = all.iter().rev().filter(|(_, signal)| signal.ended.is_some());
        open.chain(ended).take(SIGNALS_SHOWN_MAX).map(|(id, each)| self.signal(*id, each)).collect()
    }

    fn signal(self, id: SignalId, signal: &Signal) -> view::Signal {
        let ended = signal.ended.as_ref();
        let call = self.state.call_of(signal);
        let number = call.filter(|call| !call.withheld).and_then(|call| call.number.as_ref());
        let is_device = signal.call.is_none();
        let alarms = signal.findings.iter().map(|finding| view::Alarm {
            kind: finding.kind.as_str().to_owned(),
            class: finding.class.as_str().to_owned(),
            phase: finding.phase.as_str().to_owned(),
            code: finding.code.clone(),
            zone: finding.zone.clone(),
        });
        view::Signal {
            id: id.to_string(),
            kind: if is_device { self.kind(signal.source) } else { "call" }.to_owned(),
            door: signal.door.as_str().to_owned(),
            seq: id.0.get(),
            received_at: signal.received_at.to_string(),
            state: signal.state.as_str().to_owned(),
            from: self.open(number),
            withheld: call.is_some_and(|call| call.withheld),
            service: call.map(|call| call.service.clone()).filter(|service| !service.is_empty()),
            device: is_device.then(|| self.state.source_name(signal.source).to_owned()),
            location: self.location(signal, call),
            locations: self.locations(signal, call),
            similar: self.similar(signal),
            call: call.map(|call| self.call(call)),
            alarm: signal.alarm.as_str().to_owned(),
            alarms: alarms.collect(),
            zones: signal.zones.clone(),
            count: signal.presses,
            observed_at: signal.observed_at.map(|at| at.to_string()),
            recorded_at: signal.recorded_at.to_string(),
            restored_at: signal.restored_at.map(|at| at.to_string()),
            refused: signal.refused,
            acknowledged: signal.acknowledged.as_ref().map(|each| view::Acknowledged {
                by: self.operator(each.by),
                position: each.position.clone(),
                at: each.at.to_string(),
            }),
            site: self.site_name(signal.source),
            subscriber: self.subscriber(signal.source),
            text: self.open(signal.text.as_ref()),
            incident: signal.incident.map(|incident| incident.to_string()),
            notices: signal.notices.iter().map(ToString::to_string).collect(),
            outcome: ended.map(|end| end.outcome.as_str().to_owned()),
            reason: self.open(ended.and_then(|end| end.reason.as_ref())),
            ended_at: ended.map(|end| end.at.to_string()),
            ended_by: ended.map(|end| self.operator(end.by)),
        }
    }

    /// The place to show.
    fn location(self, signal: &Signal, call: Option<&Call>) -> Option<view::Location> {
        if !self.is_whole() {
            return None;
        }
        match call {
            Some(call) => call.shown().map(|shown| self.told_location(shown)),
            None => device_location(signal),
        }
    }

    fn locations(self, signal: &Signal, call: Option<&Call>) -> Vec<view::Location> {
        if !self.is_whole() {
            return Vec::new();
        }
        match call {
            Some(call) => call.locations.iter().map(|each| self.told_location(each)).collect(),
            None => device_location(signal).into_iter().collect(),
        }
    }

    fn told_location(self, location: &CallerLocation<Sealed>) -> view::Location {
        view::Location {
            source: location.source.as_str().to_owned(),
            shape: location.shape.map(LocationShape::as_str).map(str::to_owned),
            lat: location.centre.map(|centre| degrees(centre.lat)),
            lon: location.centre.map(|centre| degrees(centre.lon)),
            radius_m: location.radius.map(|radius| radius.0),
            confidence: location.confidence,
            method: Some(location.method.clone()).filter(|method| !method.is_empty()),
            at: location.at.map(|at| at.to_string()),
            civic: self.open(location.civic.as_ref()),
            refused: location.refused.map(LocationFault::as_str).map(str::to_owned),
            marks: location.marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
        }
    }

    /// Asked for only while a person has to decide about it.
    fn similar(self, signal: &Signal) -> Vec<view::Similar> {
        if signal.ended.is_some() || !self.is_whole() {
            return Vec::new();
        }
        let similar = self.state.similar(signal).into_iter();
        similar
            .map(|each| view::Similar {
                incident: each.incident.to_string(),
                distance_m: each.distance.0,
                age_s: u32::try_from(each.age.as_secs()).unwrap_or_default(),
            })
            .collect()
    }

    fn call(self, call: &Call) -> view::Call {
        // Of an answer that came to nothing only the failure is told.
        let taken =
            matches!(call.phase, CallPhase::Connecting | CallPhase::Connected | CallPhase::Over);
        let answer = call.answer.as_ref().filter(|_| taken);
        let callbacks = call.call_backs.iter().map(|each| view::CallBackTry {
            at: each.at.to_string(),
            by: self.operator(each.by),
            outcome: each.outcome.as_str().to_owned(),
        });
        view::Call {
            state: call.phase.as_str().to_owned(),
            position: answer.map(|answer| answer.position.clone()),
            answered_at: answer.map(|answer| answer.at.to_string()),
            connected_at: call.connected_at.map(|at| at.to_string()),
            ended_at: call.over.map(|over| over.at.to_string()),
            ended_by: call.over.map(|over| over.by.as_str().to_owned()),
            unrecorded: call.unrecorded,
            earlier: call.earlier,
            callback_due: call.call_back_due.map(|due| due.to_string()),
            callback_overdue: call.call_back_overdue,
            callbacks: callbacks.collect(),
            failed: call.failure.as_ref().map(|failure| view::CallFailure {
                position: failure.position.clone(),
                status: failure.status,
            }),
        }
    }

    fn drafts(self) -> Vec<view::Draft> {
        if !self.is_whole() {
            return Vec::new();
        }
        self.state.drafts().iter().map(|(form, draft)| self.draft(form, draft)).collect()
    }

    fn draft(self, form: &str, draft: &SavedDraft) -> view::Draft {
        view::Draft {
            form: form.to_owned(),
            text: self.open(Some(&draft.text)),
            by: self.operator(draft.by),
            at: draft.at.to_string(),
            seq: draft.seq.get(),
        }
    }

    fn kind(self, source: SourceId) -> &'static str {
        let device = self.state.devices().get(&source);
        match device {
            Some(device) if device.door == Door::Sbd => "message",
            Some(device) if device.is_tracker() => "tracker",
            Some(_) | None => "pendant",
        }
    }

    fn subscriber(self, source: SourceId) -> Option<view::Subscriber> {
        let device = self.state.devices().get(&source)?;
        let entry = device.entry.as_ref()?;
        let id = device.subscriber?;
        let person: &Person = self.state.people().get(&id)?;
        Some(view::Subscriber {
            person: id.0,
            key: person.entry.key.clone(),
            name: self.open(Some(&person.entry.name)),
            address: self.open(entry.address.as_ref()),
            district: entry.district.map(|district| district.0),
            erased: person.erased,
        })
    }

    fn incidents(self) -> Vec<view::Incident> {
        let all = self.state.incidents();
        let open = all.iter().filter(|(_, incident)| incident.end.is_none());
        let closed = all.iter().rev().filter(|(_, incident)| incident.end.is_some());
        let shown = open.chain(closed).take(INCIDENTS_SHOWN_MAX);
        shown.map(|(id, each)| self.incident(*id, each)).collect()
    }

    fn incident(self, id: IncidentId, incident: &Incident) -> view::Incident {
        let end = incident.end.as_ref();
        let place = &incident.place;
        let position =
            place.position.filter(|_| self.is_whole() || State::is_districts_centre(place));
        let notes = incident.notes.iter().map(|note| view::Note {
            seq: note.seq.get(),
            at: note.at.to_string(),
            by: self.operator(note.by),
            text: self.open(Some(&note.text)),
        });
        view::Incident {
            id: id.to_string(),
            number: incident.number.clone(),
            kind: incident.kind.as_str().to_owned(),
            subkind: incident.subkind.map(|subkind| subkind.as_str().to_owned()),
            state: if end.is_some() { "closed" } else { "open" }.to_owned(),
            place: view::Place {
                text: self.open(incident.place_text.as_ref()),
                district: place.district.map(|district| district.0),
                lat: position.map(|position| degrees(position.lat)),
                lon: position.map(|position| degrees(position.lon)),
                radius_m: place.radius.map(|radius| radius.0),
                confirmed: place.confirmed,
            },
            signals: incident.signals.iter().map(ToString::to_string).collect(),
            perceived_at: incident.perceived_at.to_string(),
            times: times(incident),
            units: self.units_of(id),
            assignments: self.assignments_of(id),
            orders: self.orders_of(id),
            opened_at: incident.opened_at.to_string(),
            opened_by: self.operator(incident.by),
            notes: notes.collect(),
            outcome: end.map(|end| end.outcome.as_str().to_owned()),
            closed_by: end.map(|end| self.operator(end.by)),
            closed_at: end.map(|end| end.at.to_string()),
            closing_note: self.open(end.and_then(|end| end.note.as_ref())),
        }
    }

    fn notices(self) -> Vec<view::Notice> {
        let latest = self.state.notices().iter().rev().take(NOTICES_SHOWN_MAX);
        latest.map(|(id, notice)| self.notice(*id, notice)).collect()
    }

    fn notice(self, id: NoticeId, notice: &Notice) -> view::Notice {
        let outcomes = outcomes(&notice.recipients);
        // A mail that may have gone and goes once more is not queued, and still owed.
        let state = match (notice.expired, self.state.owes_mails(id)) {
            (true, _) => "expired",
            (false, false) => "sent",
            (false, true) => "sending",
        };
        let shown = notice.recipients.iter().take(RECIPIENTS_SHOWN_MAX);
        view::Notice {
            id: id.to_string(),
            state: state.to_owned(),
            signal: notice.signal().map(|signal| signal.to_string()),
            letter: self.letter(notice),
            ordered_at: notice.ordered_at.to_string(),
            expires_at: notice.expires_at.to_string(),
            outcomes,
            answers: self.answers(&notice.recipients),
            recipients: shown.map(|each| self.recipient(each)).collect(),
        }
    }

    fn recipient(self, each: &RecipientState) -> view::Recipient {
        let answer = self.state.last_answer(each);
        view::Recipient {
            name: self.open(Some(&each.recipient.name)),
            mail: each.status.as_str().to_owned(),
            attempts: each.attempts,
            maybe_twice: each.maybe_twice,
            code: each.detail.code,
            answer: answer.map(|answer| answer.choice.as_str().to_owned()),
            minutes: answer.and_then(|answer| answer.minutes),
            answered_at: answer.map(|answer| answer.at.to_string()),
        }
    }

    fn devices(self) -> Vec<view::Device> {
        let all = self.state.devices().iter();
        all.map(|(source, device)| self.device(*source, device)).collect()
    }

    fn device(self, source: SourceId, device: &Device) -> view::Device {
        let faults = device.faults.iter().map(|fault| view::Fault {
            kind: fault.kind.as_str().to_owned(),
            zone: fault.zone.clone(),
            code: fault.code.clone(),
            since: fault.since.to_string(),
        });
        view::Device {
            id: self.state.source_name(source).to_owned(),
            door: device.door.as_str().to_owned(),
            registered: device.entry.is_some() || self.state.sites().contains_key(&source),
            last_heard: device.last_heard.map(|at| at.to_string()),
            reports: device.reports,
            refused: device.refused,
            faults: faults.collect(),
            position: device.track.fix.as_ref().and_then(|fix| self.device_position(fix)),
            battery: device.track.battery,
            zones: self.zones(device),
        }
    }

    fn device_position(self, fix: &LastFix) -> Option<view::DevicePosition> {
        let age = self.state.at().filter(|_| self.is_whole())?.duration_since(fix.at);
        Some(view::DevicePosition {
            lat: degrees(fix.position.lat),
            lon: degrees(fix.position.lon),
            at: fix.at.to_string(),
            age_s: u64::try_from(age.as_secs()).unwrap_or_default(),
            accuracy_m: fix.accuracy.0,
            method: fix.method.as_str().to_owned(),
            suspect: fix.suspect,
        })
    }

    fn zones(self, device: &Device) -> Vec<view::Zone> {
        let entry = device.entry.as_ref().filter(|_| self.is_whole());
        let zones = entry.into_iter().flat_map(|entry| &entry.zones);
        let shown = zones.zip(&device.track.zones).map(|(zone, known)| view::Zone {
            name: zone.name.clone(),
            state: known.place.as_str().to_owned(),
            since: known.since.map(|at| at.to_string()),
            lat: degrees(zone.centre.lat),
            lon: degrees(zone.centre.lon),
            radius_m: zone.radius.0,
        });
        shown.collect()
    }

    fn mail(self, notices: &[view::Notice]) -> view::MailHealth {
        let running = notices.iter().filter(|notice| notice.state != "expired");
        let (failed, uncertain) = running.fold((0_u32, 0_u32), |(failed, uncertain), notice| {
            (
                failed.saturating_add(notice.outcomes.failed),
                uncertain.saturating_add(notice.outcomes.uncertain),
            )
        });
        let is_mail = |id: &EffectId| self.state.notices().contains_key(&NoticeId(id.seq));
        let mails = || self.state.owed().iter().filter(|(id, _)| is_mail(id)).map(|(_, owed)| owed);
        let owed = u32::try_from(mails().count()).unwrap_or(u32::MAX);
        // A mail that is still owed after an attempt waits for a second one: the relay is in trouble.
        let retrying = mails().any(|owed| owed.attempts > 1);
        let state = match (retrying, owed) {
            (true, _) => "failing",
            (false, 0) => "ok",
            (false, _) => "sending",
        };
        view::MailHealth { state: state.to_owned(), owed, failed, uncertain }
    }

    /// Name of an operator: the person's, else the log-in name.
    fn operator(self, source: SourceId) -> String {
        let name = self.state.source_name(source);
        let user = name.strip_prefix("user:").unwrap_or(name);
        let account = self.accounts.account(user).filter(|_| self.is_whole());
        account.map_or(user, |account| &account.name).to_owned()
    }

    fn is_whole(self) -> bool {
        self.sight == Sight::Whole
    }

    fn open(self, sealed: Option<&Sealed>) -> Option<String> {
        let shown = |sealed: &&Sealed| self.is_whole() && !self.erased.contains(&sealed.key);
        sealed.filter(shown).and_then(|sealed| self.reveal.reveal_text(sealed))
    }
}

fn degrees(value: DegreesE7) -> f64 {
    f64::from(value.e7()) / 1e7
}

/// Where a device says it is.
fn device_location(signal: &Signal) -> Option<view::Location> {
    signal.position.map(|position| view::Location {
        source: "device".to_owned(),
        shape: Some(LocationShape::Point.as_str().to_owned()),
        lat: Some(degrees(position.lat)),
        lon: Some(degrees(position.lon)),
        radius_m: None,
        confidence: None,
        method: Some("device".to_owned()),
        at: signal.observed_at.map(|at| at.to_string()),
        civic: None,
        refused: None,
        marks: Vec::new(),
    })
}

/// What happened when. For an emergency call the ring is when it was known.
fn times(incident: &Incident) -> BTreeMap<String, String> {
    let all = [
        ("received", Some(incident.perceived_at)),
        ("answered", incident.answered_at),
        ("perceived", Some(incident.perceived_at)),
        ("opened", Some(incident.opened_at)),
        ("place_set", incident.placed_at),
        ("kind_set", Some(incident.kind_set_at)),
        ("closed", incident.end.as_ref().map(|end| end.at)),
    ];
    let known = all.into_iter().filter_map(|(word, at)| Some((word.to_owned(), at?.to_string())));
    known.collect()
}

fn outcomes(recipients: &[RecipientState]) -> view::Outcomes {
    let mut counts = view::Outcomes::default();
    for each in recipients {
        let count = match each.status {
            RecipientStatus::Queued => &mut counts.queued,
            RecipientStatus::Accepted => &mut counts.accepted,
            RecipientStatus::Uncertain => &mut counts.uncertain,
            RecipientStatus::Failed => &mut counts.failed,
            RecipientStatus::Stopped => &mut counts.stopped,
        };
        *count = count.saturating_add(1);
    }
    counts
}
