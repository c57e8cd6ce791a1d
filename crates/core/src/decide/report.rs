//! A device's report: is it new, is it a call for help, who must be told.

use hansho_model::{
    AlarmClass, AlarmKind, Draft, Event, Facts, Finding, FrameFault, Phase, Recipient, Refusal,
    RefusalCode, SealedReport, Seq, SignalId, SourceId, Template,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use crate::evolve::minute_of;
use crate::idem;
use crate::state::{Device, Person, State, limits};

/// A repeat of the same message this long after the first, once its signal has ended, is a new
/// call: senders give up repeating long before, and a device that lost power counts anew from 1.
const REPEAT_HORIZON: SignedDuration = SignedDuration::from_mins(10);

impl State {
    pub(super) fn decide_report(
        &self,
        now: Timestamp,
        report: &SealedReport,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let idem = idem::of_report(report);
        let device = self.index.sources.get(&report.source).and_then(|id| self.devices.get(id));
        if let Some(original) = self.repeat_of(now, report, &idem) {
            return Err(Refusal::duplicate(original));
        }
        if report.refused.is_some() && !calls_for_help(report) && refused_too_often(now, device) {
            return Err(Refusal::new(RefusalCode::RateLimited));
        }
        let source = self.source_of(report, batch);
        let event = Event::ReportReceived(Box::new(report.clone()));
        let cause = batch.push(Draft { source, cause: None, idem, event });
        let mut case = Case { source, cause, signal: self.open_signal(source), device };
        for finding in &report.findings {
            self.decide_finding(now, report, finding, &mut case, batch);
        }
        decide_link_faults(report, &case, batch);
        Ok(())
    }

    fn repeat_of(
        &self,
        now: Timestamp,
        report: &SealedReport,
        idem: &hansho_model::Idem,
    ) -> Option<Seq> {
        if report.device_key.is_empty() {
            return None;
        }
        let original = self.seen.find(idem, now)?;
        let source = self.index.sources.get(&report.source)?;
        let still_open = self.index.open_signals.contains_key(source);
        let first = self.devices.get(source)?.last_heard?;
        let old = now.duration_since(first) > REPEAT_HORIZON;
        (still_open || !old || !calls_for_help(report)).then_some(original)
    }

    /// Past the limit, the devices of a door share one number: an alarm is never refused for it.
    fn source_of(&self, report: &SealedReport, batch: &mut Batch) -> SourceId {
        let full = self.sources.len() >= limits::SOURCES;
        if full && !self.index.sources.contains_key(&report.source) {
            return self.source_or_name(&format!("{}:others", report.door), batch);
        }
        self.source_or_name(&report.source, batch)
    }

    fn open_signal(&self, source: SourceId) -> Option<SignalId> {
        self.index.open_signals.get(&source).and_then(|open| open.last().copied())
    }

    fn decide_finding(
        &self,
        now: Timestamp,
        report: &SealedReport,
        finding: &Finding,
        case: &mut Case<'_>,
        batch: &mut Batch,
    ) {
        match (finding.class, finding.phase) {
            (AlarmClass::Life | AlarmClass::Check, Phase::New | Phase::Still) => {
                self.decide_call(now, report, finding, case, batch);
            }
            (AlarmClass::Life | AlarmClass::Check, Phase::Restored) => {
                case.repeat(finding, true, batch);
            }
            (AlarmClass::Fault, Phase::New | Phase::Still) => case.raise(finding, batch),
            (AlarmClass::Fault, Phase::Restored) => {
                if case.has_fault(finding.kind, &finding.zone) {
                    case.clear(finding.kind, &finding.zone, batch);
                }
            }
            (AlarmClass::Note, _) => {
                case.repeat(finding, finding.kind == AlarmKind::Cancel, batch);
            }
            (AlarmClass::Test, _) => {}
        }
    }

    /// One open signal a device: a press while one is open adds to it.
    fn decide_call(
        &self,
        now: Timestamp,
        report: &SealedReport,
        finding: &Finding,
        case: &mut Case<'_>,
        batch: &mut Batch,
    ) {
        if case.signal.is_some() {
            case.repeat(finding, false, batch);
            return;
        }
        let signal = SignalId(batch.next_seq());
        let event = Event::SignalReceived {
            signal,
            report: case.cause,
            alarm: finding.kind,
            zone: finding.zone.clone(),
            refused: report.refused.is_some(),
        };
        let cause = batch.follow(case.source, case.cause, event);
        case.signal = Some(signal);
        // What cannot be trusted is shown to the dispatcher, but moves nobody by itself.
        if finding.class == AlarmClass::Life && report.refused.is_none() {
            self.tell_helpers(now, report, finding, case, (signal, cause), batch);
        }
    }

    fn tell_helpers(
        &self,
        now: Timestamp,
        report: &SealedReport,
        finding: &Finding,
        case: &Case<'_>,
        (signal, cause): (SignalId, Seq),
        batch: &mut Batch,
    ) {
        let Some(settings) = &self.settings else { return };
        let Some(device) = case.device else { return };
        let Some(entry) = &device.entry else { return };
        let recipients = self.recipients(device);
        let minutes = SignedDuration::from_mins(i64::from(settings.answer_minutes));
        let Ok(expires_at) = now.checked_add(minutes) else { return };
        if recipients.is_empty() {
            return;
        }
        let subscriber = device.subscriber.and_then(|id| self.people.get(&id));
        // Whoever was erased is named to nobody, but a button that is pressed is heard all the same.
        let shown = |person: &&Person| !person.erased;
        let facts = Facts {
            alarm: finding.kind,
            subscriber: subscriber.filter(shown).map(|person| person.entry.name.clone()),
            address: subscriber.filter(shown).and(entry.address.clone()),
            district: entry.district,
            at: report.received_at,
        };
        let event = Event::NoticeOrdered {
            notice: hansho_model::NoticeId(batch.next_seq()),
            signal: Some(signal),
            template: Template::PendantAlarm,
            facts,
            recipients,
            expires_at,
        };
        batch.follow(SourceId::CORE, cause, event);
    }

    /// One mail a person, to the preferred address, and never two to one address.
    fn recipients(&self, device: &Device) -> Vec<Recipient> {
        let mut recipients: Vec<Recipient> = Vec::new();
        for id in &device.helpers {
            let Some(person) = self.people.get(id).filter(|person| !person.erased) else {
                continue;
            };
            let Some(mailbox) = person.entry.mailboxes.first() else { continue };
            if recipients.iter().any(|each| each.token == mailbox.token) {
                continue;
            }
            recipients.push(Recipient {
                person: *id,
                address: mailbox.address.clone(),
                token: mailbox.token,
                name: person.entry.name.clone(),
                language: person.entry.language,
            });
        }
        recipients
    }
}

/// A report on its way through its findings.
struct Case<'a> {
    source: SourceId,
    cause: Seq,
    /// The device's open signal, if it has one by now.
    signal: Option<SignalId>,
    device: Option<&'a Device>,
}

impl Case<'_> {
    /// Adds to the open signal; without one there is nothing to add to.
    fn repeat(&self, finding: &Finding, restored: bool, batch: &mut Batch) {
        let Some(signal) = self.signal else { return };
        let event = Event::SignalRepeated {
            signal,
            report: self.cause,
            alarm: finding.kind,
            restored,
            zone: finding.zone.clone(),
        };
        batch.follow(self.source, self.cause, event);
    }

    fn raise(&self, finding: &Finding, batch: &mut Batch) {
        if self.has_fault(finding.kind, &finding.zone) {
            return;
        }
        let event = Event::FaultRaised {
            device: self.source,
            fault: finding.kind,
            code: finding.code.clone(),
            zone: finding.zone.clone(),
        };
        batch.follow(self.source, self.cause, event);
    }

    fn clear(&self, fault: AlarmKind, zone: &str, batch: &mut Batch) {
        let event = Event::FaultCleared { device: self.source, fault, zone: zone.to_owned() };
        batch.follow(self.source, self.cause, event);
    }

    fn has_fault(&self, kind: AlarmKind, zone: &str) -> bool {
        self.device.is_some_and(|device| {
            device.faults.iter().any(|fault| fault.kind == kind && fault.zone == zone)
        })
    }
}

/// A wrong clock and an unreadable report are faults of the device; a good frame clears them.
fn decide_link_faults(report: &SealedReport, case: &Case<'_>, batch: &mut Batch) {
    let Some(fault) = report.refused else {
        for kind in [AlarmKind::Clock, AlarmKind::Unreadable] {
            if case.has_fault(kind, "") {
                case.clear(kind, "", batch);
            }
        }
        return;
    };
    let clock = matches!(fault, FrameFault::TimestampOutOfWindow | FrameFault::MissingTimestamp);
    let kind = if clock { AlarmKind::Clock } else { AlarmKind::Unreadable };
    let code = fault.as_str().chars().take(16).collect();
    let finding =
        Finding { class: AlarmClass::Fault, kind, phase: Phase::New, code, zone: String::new() };
    case.raise(&finding, batch);
}

fn calls_for_help(report: &SealedReport) -> bool {
    report.findings.iter().any(|finding| {
        matches!(finding.class, AlarmClass::Life | AlarmClass::Check)
            && finding.phase != Phase::Restored
    })
}

fn refused_too_often(now: Timestamp, device: Option<&Device>) -> bool {
    device.is_some_and(|device| {
        let (minute, count) = device.refused_lately;
        minute == minute_of(now) && count >= limits::REFUSALS_A_MINUTE
    })
}
