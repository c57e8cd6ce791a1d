//! A tracker's report: is the wearer where he is safe, does the battery last, is the clock right.

use hansho_model::{
    AlarmClass, AlarmKind, Event, Facts, Finding, FixMethod, MetresU32, NoticeId, Phase, Recipient,
    SealedReport, Seq, Sighting, SignalId, SignalOutcome, SourceId, Telemetry, Template, Zone,
    ZoneDistance,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use super::report::Case;
use crate::state::{Device, Notice, State};
use crate::track::{Doubt, Episode, LastFix, SKEW_MAX, ZonePlace, ZoneState, believed_fix};

/// How far past the edge a fix lies, its accuracy taken off, before it counts as outside.
const MARGIN_M: u32 = 30;
/// Two fixes outside must lie this far apart to be an exit.
const APART: SignedDuration = SignedDuration::from_secs(20);
/// How far past the edge one good fix alone is an exit.
const FAR_M: u32 = 200;
/// Accuracy of a fix that is good enough for that.
const GOOD_M: u32 = 50;
/// Who is back this soon after an exit was not gone: the signal ends by itself.
const BACK_SOON: SignedDuration = SignedDuration::from_mins(3);
/// Nobody on foot or in a car is faster than 40 m/s; shorter jumps than 500 m are drift.
const SPEED_MAX_M_S: u64 = 40;
const JUMP_M: u32 = 500;
/// A battery is low or nearly empty from the first number down, and well again above the second.
const BATTERY_LEVELS: [(u8, u8, &str); 2] = [(20, 25, "20 %"), (10, 15, "10 %")];
/// Sensor that a fault of a fix's time is noted under; the link's own clock has none.
const FIX_CLOCK: &str = "fix";

impl State {
    /// What a report says beside alarms.
    pub(super) fn decide_track(
        &self,
        now: Timestamp,
        report: &SealedReport,
        case: &Case<'_>,
        batch: &mut Batch,
    ) {
        if case.has_fault(AlarmKind::Silent, "") {
            case.clear(AlarmKind::Silent, "", batch);
        }
        let Some(telemetry) = report.telemetry.filter(|_| report.refused.is_none()) else { return };
        decide_battery(&telemetry, case, batch);
        decide_clock(report, &telemetry, case, batch);
        let Some(device) = case.device else { return };
        let Some(fix) = believed_fix(report, &telemetry) else { return };
        // What was kept, or comes late, moves no fence: it is not where the wearer is now.
        if telemetry.stored || !device.track.is_new(&fix) {
            return;
        }
        if let Some(event) = jump(case.source, device, &fix) {
            batch.follow(case.source, case.cause, event);
            return;
        }
        let zones = device.entry.iter().flat_map(|entry| &entry.zones);
        for zone in zones {
            self.decide_zone(now, report, case, &Seen { device, fix, zone }, batch);
        }
    }

    fn decide_zone(
        &self,
        now: Timestamp,
        report: &SealedReport,
        case: &Case<'_>,
        seen: &Seen<'_>,
        batch: &mut Batch,
    ) {
        let Some(state) = seen.device.track.zone(&seen.zone.name) else { return };
        let (device, name) = (case.source, &seen.zone.name);
        let distance = hansho_atlas::distance(seen.fix.position, seen.zone.centre);
        match seen.judge(distance, state) {
            Judgement::Inside if state.place != ZonePlace::Inside => {
                let zone = name.clone();
                let event = Event::ZoneEntered { device, zone, distance };
                let cause = batch.follow(device, case.cause, event);
                if let Some(episode) = state.episode {
                    self.decide_return(now, report, (case, cause), (seen, episode), batch);
                }
            }
            Judgement::Outside if state.place != ZonePlace::Outside => {
                let away = ZoneDistance { zone: name.clone(), distance };
                self.decide_exit(now, report, case, seen, (state, away), batch);
            }
            Judgement::Doubtful(Doubt { since, at }) if state.place != ZonePlace::Outside => {
                let zone = name.clone();
                let event = Event::ZoneDoubted { device, zone, distance, since, at };
                batch.follow(device, case.cause, event);
            }
            Judgement::Inside
            | Judgement::Outside
            | Judgement::Doubtful(_)
            | Judgement::Nothing => {}
        }
    }

    /// Who was never seen inside has left nothing: it is noted, and nobody is called.
    fn decide_exit(
        &self,
        now: Timestamp,
        report: &SealedReport,
        case: &Case<'_>,
        seen: &Seen<'_>,
        (state, away): (&ZoneState, ZoneDistance),
        batch: &mut Batch,
    ) {
        let calls = state.place == ZonePlace::Inside;
        // The signal is the next event of the batch, and its own number is its name.
        let signal = calls.then(|| SignalId(batch.next_seq().next()));
        let (zone, distance, accuracy) = (away.zone.clone(), away.distance, seen.fix.accuracy);
        let event = Event::ZoneLeft { device: case.source, zone, distance, accuracy, signal };
        let cause = batch.follow(case.source, case.cause, event);
        let Some(signal) = signal else { return };
        let event = Event::SignalReceived {
            signal,
            report: case.cause,
            alarm: AlarmKind::LeftZone,
            zone: away.zone.clone(),
            refused: false,
        };
        let cause = batch.follow(case.source, cause, event);
        let recipients = self.recipients(seen.device);
        let sighting = seen.sighting(Some(away));
        let facts = self.facts_of(report, seen.device, AlarmKind::LeftZone, Some(sighting));
        let template = Template::TrackerLeftZone;
        self.order(now, Some(signal), (template, facts, recipients), cause, batch);
    }

    /// The wearer is back. Soon after the exit it was none, and the signal ends; later a person ends
    /// it. Exactly those who were told are told of the return, once.
    fn decide_return(
        &self,
        now: Timestamp,
        report: &SealedReport,
        (case, cause): (&Case<'_>, Seq),
        (seen, episode): (&Seen<'_>, Episode),
        batch: &mut Batch,
    ) {
        let Some(signal) = self.signals.get(&episode.signal) else { return };
        let id = episode.signal;
        if signal.ended.is_none() {
            let soon = now.duration_since(episode.left_at) <= BACK_SOON;
            let event = if soon {
                Event::SignalEnded { signal: id, outcome: SignalOutcome::Returned, reason: None }
            } else {
                Event::SignalRepeated {
                    signal: id,
                    report: case.cause,
                    alarm: AlarmKind::EnteredZone,
                    restored: true,
                    zone: seen.zone.name.clone(),
                }
            };
            batch.follow(SourceId::CORE, cause, event);
        }
        // A carer who found the person knows.
        if signal.ended.as_ref().is_some_and(|ended| ended.outcome == SignalOutcome::Found) {
            return;
        }
        let told = signal.notices.iter().filter_map(|notice| self.notices.get(notice));
        let told = told.filter(|notice| notice.has_template(Template::TrackerLeftZone));
        let recipients: Vec<Recipient> = told
            .flat_map(|notice| &notice.recipients)
            .map(|each| each.recipient.clone())
            .filter(|each| self.may_be_told(each))
            .collect();
        let sighting = Some(seen.sighting(None));
        let facts = self.facts_of(report, seen.device, AlarmKind::EnteredZone, sighting);
        let template = Template::TrackerReturned;
        self.order(now, Some(id), (template, facts, recipients), cause, batch);
    }

    /// Nobody has answered: the same people are told once more, and where the wearer is by now. It is
    /// ordered though nobody is left to be told, or the tick would come again.
    pub(super) fn decide_reminder(&self, now: Timestamp, id: NoticeId, batch: &mut Batch) {
        let Some(told) = self.notices.get(&id) else { return };
        let Some((_, said)) = told.alarm() else { return };
        let minutes = SignedDuration::from_mins(i64::from(told.settings.answer_minutes));
        let expires_at = now.checked_add(minutes).unwrap_or(told.expires_at);
        let recipients = told.recipients.iter().map(|each| each.recipient.clone());
        let facts = Facts { sighting: self.seen_by_now(told), ..said.clone() };
        batch.push_core(Event::NoticeOrdered {
            notice: NoticeId(batch.next_seq()),
            signal: told.signal(),
            template: Template::TrackerStillAway,
            facts,
            recipients: recipients.filter(|each| self.may_be_told(each)).collect(),
            expires_at,
        });
    }

    fn may_be_told(&self, recipient: &Recipient) -> bool {
        self.people.get(&recipient.person).is_some_and(|person| !person.erased)
    }

    /// The last trusted fix of the wearer that a notice is about, seen from the zone that it names;
    /// what it says itself where nothing newer is known.
    fn seen_by_now(&self, told: &Notice) -> Option<Sighting> {
        let then = told.alarm()?.1.sighting.clone()?;
        let device = self.signals.get(&told.signal()?).and_then(|it| self.devices.get(&it.source));
        let fix = device.and_then(|device| device.track.fix);
        let Some(fix) = fix.filter(|fix| fix.at > then.at && !fix.suspect) else {
            return Some(then);
        };
        let named = then.zone.as_ref().map(|away| &away.zone);
        let zones = device.and_then(|device| device.entry.as_ref()).map(|entry| &entry.zones);
        let zone = zones.into_iter().flatten().find(|zone| Some(&zone.name) == named);
        let away = zone.map(|zone| ZoneDistance {
            zone: zone.name.clone(),
            distance: hansho_atlas::distance(fix.position, zone.centre),
        });
        let (position, accuracy) = (fix.position, Some(fix.accuracy));
        Some(Sighting { position, accuracy, at: fix.at, zone: away.or(then.zone) })
    }

    /// Orders a notice to people; without settings or people there is none.
    pub(super) fn order(
        &self,
        now: Timestamp,
        signal: Option<SignalId>,
        (template, facts, recipients): (Template, Facts, Vec<Recipient>),
        cause: Seq,
        batch: &mut Batch,
    ) {
        let Some(settings) = &self.settings else { return };
        let minutes = SignedDuration::from_mins(i64::from(settings.answer_minutes));
        let Ok(expires_at) = now.checked_add(minutes) else { return };
        if recipients.is_empty() {
            return;
        }
        let notice = NoticeId(batch.next_seq());
        let event =
            Event::NoticeOrdered { notice, signal, template, facts, recipients, expires_at };
        batch.follow(SourceId::CORE, cause, event);
    }
}

/// A fix, looked at from a zone.
struct Seen<'a> {
    device: &'a Device,
    fix: LastFix,
    zone: &'a Zone,
}

enum Judgement {
    Inside,
    Outside,
    /// Outside, but one such fix alone may be drift.
    Doubtful(Doubt),
    /// Too near the edge, or too rough, to say anything.
    Nothing,
}

impl Seen<'_> {
    fn judge(&self, distance: MetresU32, state: &ZoneState) -> Judgement {
        let LastFix { at, accuracy, method, .. } = self.fix;
        let (distance, radius) = (distance.0, self.zone.radius.0);
        // Cells are too rough for a fence: a mast beside the home brings nobody home either.
        if method == FixMethod::Cell {
            return Judgement::Nothing;
        }
        if distance < radius {
            return Judgement::Inside;
        }
        if accuracy.0 <= GOOD_M && distance > radius.saturating_add(FAR_M) {
            return Judgement::Outside;
        }
        if distance.saturating_sub(accuracy.0) <= radius.saturating_add(MARGIN_M) {
            return Judgement::Nothing;
        }
        let last = self.device.track.fix.map(|last| last.at);
        let row = state.doubt.filter(|doubt| Some(doubt.at) == last);
        let since = row.map_or(at, |doubt| doubt.since);
        if at.duration_since(since) >= APART {
            Judgement::Outside
        } else {
            Judgement::Doubtful(Doubt { since, at })
        }
    }

    fn sighting(&self, zone: Option<ZoneDistance>) -> Sighting {
        let LastFix { position, accuracy, at, .. } = self.fix;
        Sighting { position, accuracy: Some(accuracy), at, zone }
    }
}

/// A fix where nobody can have gone since the one before.
fn jump(device: SourceId, known: &Device, fix: &LastFix) -> Option<Event> {
    let last = known.track.fix?;
    let distance = hansho_atlas::distance(last.position, fix.position);
    let seconds = u32::try_from(fix.at.duration_since(last.at).as_secs()).ok()?;
    let reach = SPEED_MAX_M_S.saturating_mul(u64::from(seconds));
    (distance.0 > JUMP_M && u64::from(distance.0) > reach).then_some(Event::FixDoubted {
        device,
        distance,
        seconds,
    })
}

fn decide_battery(telemetry: &Telemetry, case: &Case<'_>, batch: &mut Batch) {
    let Some(percent) = telemetry.battery else { return };
    for (low, well, name) in BATTERY_LEVELS {
        if percent <= low {
            case.raise(&fault(AlarmKind::Battery, format!("{percent} %"), name), batch);
        } else if percent > well && case.has_fault(AlarmKind::Battery, name) {
            case.clear(AlarmKind::Battery, name, batch);
        }
    }
}

/// A clock that is wrong is told, and its times are not used; a message that was kept says nothing
/// about it.
fn decide_clock(report: &SealedReport, telemetry: &Telemetry, case: &Case<'_>, batch: &mut Batch) {
    let fix = telemetry.fix.filter(|fix| fix.valid && !telemetry.stored);
    let Some(at) = fix.and_then(|fix| fix.at) else { return };
    let ahead = at.duration_since(report.received_at);
    if ahead.abs() > SKEW_MAX {
        let code = format!("{} s", ahead.as_secs()).chars().take(16).collect();
        case.raise(&fault(AlarmKind::Clock, code, FIX_CLOCK), batch);
    } else if case.has_fault(AlarmKind::Clock, FIX_CLOCK) {
        case.clear(AlarmKind::Clock, FIX_CLOCK, batch);
    }
}

fn fault(kind: AlarmKind, code: String, zone: &str) -> Finding {
    let zone = zone.to_owned();
    Finding { class: AlarmClass::Fault, kind, phase: Phase::New, code, zone }
}
