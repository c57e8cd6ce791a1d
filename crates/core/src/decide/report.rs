//! A device's report: is it new, is it a call for help, who must be told.

use std::borrow::Cow;

use hansho_model::{
    AlarmClass, AlarmKind, Deviation, Draft, Event, Facts, Finding, FrameFault, Phase, Recipient,
    Refusal, RefusalCode, SealedReport, Seq, Sighting, SignalId, SourceId, Template,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use crate::dedupe::ALARM_MEMORY;
use crate::evolve::minute_of;
use crate::idem;
use crate::state::{Device, State, limits};

/// Zone of the fault that a device's connection broke.
const CONNECTION: &str = "connection";
/// A repeat of the same message this long after the first is a new call (a new press, while its
/// signal is open): senders give up repeating long before, and a device that lost power counts
/// anew from 1.
const REPEAT_HORIZON: SignedDuration = SignedDuration::from_mins(10);

impl State {
    pub(super) fn decide_report(
        &self,
        now: Timestamp,
        report: &SealedReport,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let idem = idem::of_report(report);
        let name = self.name_of(report);
        let device = self.index.sources.get(&*name).and_then(|id| self.devices.get(id));
        if let Some(original) = self.repeat_of(now, report, &idem) {
            return Err(Refusal::duplicate(original));
        }
        if report.refused.is_some() && !calls_for_help(report) && refused_too_often(now, device) {
            return Err(Refusal::new(RefusalCode::RateLimited));
        }
        let alarms = alarms_lately(now, report, device);
        if alarms > limits::TELEMETRY_ALARMS_A_MINUTE {
            return Err(Refusal::new(RefusalCode::RateLimited));
        }
        let source = self.source_or_name(&name, batch);
        let event = Event::ReportReceived(Box::new(report.clone()));
        let cause = batch.push(Draft { source, cause: None, idem, event });
        if alarms == limits::TELEMETRY_ALARMS_A_MINUTE {
            // In the journal, and said to be one too many; what comes after it is counted only.
            batch.follow(source, cause, Event::AlarmsLimited { device: source });
            return Ok(());
        }
        let signal = self.open_signal(source);
        let told = signal
            .and_then(|id| self.signals.get(&id))
            .is_some_and(|signal| !signal.notices.is_empty());
        let mut case = Case { source, cause, signal, told, device };
        for finding in &report.findings {
            self.decide_finding(now, report, finding, &mut case, batch);
        }
        decide_link_faults(report, &case, batch);
        self.decide_track(now, report, &case, batch);
        Ok(())
    }

    /// The first event of the same message. A call for help is a repeat only within
    /// [`REPEAT_HORIZON`] of the first, whatever else the device said meanwhile.
    fn repeat_of(
        &self,
        now: Timestamp,
        report: &SealedReport,
        idem: &hansho_model::Idem,
    ) -> Option<Seq> {
        if report.device_key.is_empty() {
            return None;
        }
        let (original, forgotten_at) = self.seen.find_with_end(idem, now)?;
        // A modem hands out the same message until it was cleared, and words never mean a new call.
        if report.findings.iter().all(|finding| finding.kind == AlarmKind::Message) {
            return Some(original);
        }
        // What calls for help is remembered for ALARM_MEMORY from its first receipt on.
        let left = forgotten_at.duration_since(now);
        let old = left < ALARM_MEMORY.saturating_sub(REPEAT_HORIZON);
        (!old || !calls_for_help(report)).then_some(original)
    }

    /// Past the limit, the devices of a door share one name: an alarm is never refused for it.
    fn name_of<'a>(&self, report: &'a SealedReport) -> Cow<'a, str> {
        let full = self.sources.len() >= limits::SOURCES;
        if full && !self.index.sources.contains_key(&report.source) {
            return Cow::Owned(format!("{}:others", report.door));
        }
        Cow::Borrowed(&report.source)
    }

    /// A wearer who left a zone has a signal for that alone: a press must not hide behind it.
    fn open_signal(&self, source: SourceId) -> Option<SignalId> {
        let open = self.index.open_signals.get(&source)?;
        let presses =
            |id: &&SignalId| self.signals.get(id).is_none_or(|signal| !signal.is_about_zone());
        open.iter().rev().find(presses).copied()
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
                case.add(finding, true, batch);
            }
            (AlarmClass::Fault, Phase::New | Phase::Still) => case.raise(finding, batch),
            (AlarmClass::Fault, Phase::Restored) => {
                if case.has_fault(finding.kind, &finding.zone) {
                    case.clear(finding.kind, &finding.zone, batch);
                }
            }
            (AlarmClass::Note, _) => {
                case.add(finding, finding.kind == AlarmKind::Cancel, batch);
            }
            (AlarmClass::Test, _) => {}
        }
    }

    /// One open signal a device: a press while one is open adds to it. Helpers are told once a
    /// signal, by the first press that can be trusted: it may come after one that could not, or
    /// after something less than a call.
    fn decide_call(
        &self,
        now: Timestamp,
        report: &SealedReport,
        finding: &Finding,
        case: &mut Case<'_>,
        batch: &mut Batch,
    ) {
        // Each message is a signal of its own: the second must not hide behind the first.
        let signal = case.signal.filter(|_open| finding.kind != AlarmKind::Message);
        let (signal, cause) = match signal {
            Some(signal) => (signal, case.repeat(signal, finding, false, batch)),
            None => case.open(report, finding, batch),
        };
        // What cannot be trusted is shown to the dispatcher, but moves nobody by itself.
        if finding.class == AlarmClass::Life && report.refused.is_none() && !case.told {
            self.tell_helpers(now, report, finding, case, (signal, cause), batch);
            case.told = true;
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
        let Some(device) = case.device.filter(|device| device.entry.is_some()) else { return };
        let recipients = self.recipients(device);
        let at = report.observed_at.unwrap_or(report.received_at);
        // Whoever carries the device may be far from home.
        let sighting =
            report.position.map(|position| Sighting { position, accuracy: None, at, zone: None });
        let facts = self.facts_of(report, device, finding.kind, sighting);
        self.order(now, Some(signal), (Template::PendantAlarm, facts, recipients), cause, batch);
    }

    /// What a notice says of a device's wearer. Of one who was erased by law nothing can be opened
    /// any more; helpers go all the same.
    pub(super) fn facts_of(
        &self,
        report: &SealedReport,
        device: &Device,
        alarm: AlarmKind,
        sighting: Option<Sighting>,
    ) -> Facts {
        let subscriber = device.subscriber.and_then(|id| self.people.get(&id));
        let subscriber = subscriber.filter(|person| !person.erased);
        let entry = device.entry.as_ref();
        Facts {
            alarm,
            subscriber: subscriber.map(|person| person.entry.name.clone()),
            address: subscriber.and(entry).and_then(|entry| entry.address.clone()),
            district: entry.and_then(|entry| entry.district),
            at: report.received_at,
            sighting,
        }
    }

    /// One mail a person, to the preferred address, and never two to one address.
    pub(super) fn recipients(&self, device: &Device) -> Vec<Recipient> {
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
pub(super) struct Case<'a> {
    pub(super) source: SourceId,
    pub(super) cause: Seq,
    /// The device's open signal, if it has one by now.
    signal: Option<SignalId>,
    /// Whether helpers were told of it.
    told: bool,
    pub(super) device: Option<&'a Device>,
}

impl Case<'_> {
    fn open(
        &mut self,
        report: &SealedReport,
        finding: &Finding,
        batch: &mut Batch,
    ) -> (SignalId, Seq) {
        let signal = SignalId(batch.next_seq());
        let event = Event::SignalReceived {
            signal,
            report: self.cause,
            alarm: finding.kind,
            zone: finding.zone.clone(),
            refused: report.refused.is_some(),
        };
        let cause = batch.follow(self.source, self.cause, event);
        self.signal = Some(signal);
        (signal, cause)
    }

    /// Adds to the open signal.
    fn repeat(
        &self,
        signal: SignalId,
        finding: &Finding,
        restored: bool,
        batch: &mut Batch,
    ) -> Seq {
        let event = Event::SignalRepeated {
            signal,
            report: self.cause,
            alarm: finding.kind,
            restored,
            zone: finding.zone.clone(),
        };
        batch.follow(self.source, self.cause, event)
    }

    /// The same; without an open signal there is nothing to add to.
    fn add(&self, finding: &Finding, restored: bool, batch: &mut Batch) {
        if let Some(signal) = self.signal {
            self.repeat(signal, finding, restored, batch);
        }
    }

    pub(super) fn raise(&self, finding: &Finding, batch: &mut Batch) {
        // Zones are whatever the device says: past the limit the report itself must do.
        let full = self.device.is_some_and(|device| device.faults.len() >= limits::FAULTS);
        if full || self.has_fault(finding.kind, &finding.zone) {
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

    pub(super) fn clear(&self, fault: AlarmKind, zone: &str, batch: &mut Batch) {
        let event = Event::FaultCleared { device: self.source, fault, zone: zone.to_owned() };
        batch.follow(self.source, self.cause, event);
    }

    pub(super) fn has_fault(&self, kind: AlarmKind, zone: &str) -> bool {
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
        // What breaks is said by the door, what is heard again is heard.
        let broke = report.findings.iter().any(|each| each.zone == CONNECTION);
        if !broke && case.has_fault(AlarmKind::Line, CONNECTION) {
            case.clear(AlarmKind::Line, CONNECTION, batch);
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

/// How many alarms of a device that is registered for telemetry alone this minute has already; 0
/// for every other device.
fn alarms_lately(now: Timestamp, report: &SealedReport, device: Option<&Device>) -> u16 {
    if !report.deviations.contains(&Deviation::AlarmFromTelemetry) {
        return 0;
    }
    device.map_or(0, |device| {
        let (minute, count) = device.alarms_lately;
        if minute == minute_of(now) { count } else { 0 }
    })
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
