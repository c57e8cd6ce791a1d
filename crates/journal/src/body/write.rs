//! From the model to the frozen types.

use hansho_model::{
    DeviceEntry, EffectId, Event, Facts, Finding, IncidentId, IncidentKind, Mailbox, PersonEntry,
    PersonId, Place, Position, Recipient, Sealed, SealedReport, Seq, Settings, Settled, SourceId,
    Telemetry,
};
use jiff::Timestamp;
use serde::Serialize;

use super::codes::Code as _;
use super::tracks;
use super::v1::{self, Bytes, Bytes16};
use super::v2;
use super::{BodyError, Encoded, VERSION, calls, extend, kinds, letters, sites, units};

/// Room for a usual body, so that most need one allocation.
const BODY_CAPACITY: usize = 384;

#[expect(clippy::too_many_lines, reason = "one arm a kind; parts would hide that none is missing")]
pub(super) fn encode(cause: Option<Seq>, event: &Event) -> Result<Encoded, BodyError> {
    let out = extend(Vec::with_capacity(BODY_CAPACITY), &cause.map_or(0, Seq::get))?;
    match event {
        Event::CoreStarted { epoch, release } => {
            row(out, kinds::CORE_STARTED, &v1::CoreStarted { epoch: *epoch, release })
        }
        Event::ClockStepped { back_us } => {
            row(out, kinds::CLOCK_STEPPED, &v1::ClockStepped { back_us: *back_us })
        }
        Event::SettingsApplied(value) => row(out, kinds::SETTINGS_APPLIED, &settings(value)),
        Event::SourceNamed { source, name } => {
            row(out, kinds::SOURCE_NAMED, &v1::SourceNamed { source: source.0, name })
        }
        Event::PersonEntered { person, entry } => {
            row(out, kinds::PERSON_ENTERED, &person_entered(*person, entry))
        }
        Event::PersonErased { person } => {
            row(out, kinds::PERSON_ERASED, &v1::PersonErased { person: person.0 })
        }
        Event::DeviceRegistered { device, subscriber, helpers, entry } => {
            let first = device_registered(*device, *subscriber, helpers, entry);
            if entry.zones.is_empty() && entry.interval_s.is_none() {
                return row(out, kinds::DEVICE_REGISTERED, &first);
            }
            let (zones, interval_s) = (tracks::zones(&entry.zones), entry.interval_s);
            let value = tracks::DeviceRegistered { first, zones, interval_s };
            row_of(out, kinds::DEVICE_REGISTERED, 2, &value)
        }
        Event::DeviceWithdrawn { device } => {
            row(out, kinds::DEVICE_WITHDRAWN, &v1::DeviceWithdrawn { device: device.0 })
        }
        Event::ReportReceived(value) => match value.telemetry {
            None => row(out, kinds::REPORT_RECEIVED, &report(value)),
            Some(said) => {
                let value = v2::ReportReceived { first: report(value), telemetry: telemetry(said) };
                row_of(out, kinds::REPORT_RECEIVED, 2, &value)
            }
        },
        Event::SignalReceived { signal, report, alarm, zone, refused } => {
            let (signal, report, alarm) = (signal.0.get(), report.get(), alarm.code());
            let value = v1::SignalReceived { signal, report, alarm, zone, refused: *refused };
            row(out, kinds::SIGNAL_RECEIVED, &value)
        }
        Event::SignalRepeated { signal, report, alarm, restored, zone } => {
            let (signal, report, alarm) = (signal.0.get(), report.get(), alarm.code());
            let value = v1::SignalRepeated { signal, report, alarm, restored: *restored, zone };
            row(out, kinds::SIGNAL_REPEATED, &value)
        }
        Event::SignalAcknowledged { signal, position } => {
            let value = v1::SignalAcknowledged { signal: signal.0.get(), position };
            row(out, kinds::SIGNAL_ACKNOWLEDGED, &value)
        }
        Event::SignalJoined { signal, incident } => {
            let value = v1::SignalJoined { signal: signal.0.get(), incident: incident.0.get() };
            row(out, kinds::SIGNAL_JOINED, &value)
        }
        Event::SignalEnded { signal, outcome, reason } => {
            let (signal, outcome) = (signal.0.get(), outcome.code());
            let value = v1::SignalEnded { signal, outcome, reason: maybe(reason.as_ref()) };
            row(out, kinds::SIGNAL_ENDED, &value)
        }
        Event::IncidentOpened { incident, number, kind, subkind, place, place_text } => {
            let text = place_text.as_ref();
            let first = incident_opened(*incident, number, *kind, place, text);
            match subkind {
                None => row(out, kinds::INCIDENT_OPENED, &first),
                Some(subkind) => {
                    let value = v2::IncidentOpened { first, subkind: subkind.code() };
                    row_of(out, kinds::INCIDENT_OPENED, 2, &value)
                }
            }
        }
        Event::IncidentNoted { incident, text } => {
            let value = v1::IncidentNoted { incident: incident.0.get(), text: sealed(text) };
            row(out, kinds::INCIDENT_NOTED, &value)
        }
        Event::IncidentClosed { incident, outcome, note } => {
            let (incident, outcome) = (incident.0.get(), outcome.code());
            let value = v1::IncidentClosed { incident, outcome, note: maybe(note.as_ref()) };
            row(out, kinds::INCIDENT_CLOSED, &value)
        }
        Event::FaultRaised { device, fault, code, zone } => {
            let value = v1::FaultRaised { device: device.0, fault: fault.code(), code, zone };
            row(out, kinds::FAULT_RAISED, &value)
        }
        Event::FaultCleared { device, fault, zone } => {
            let value = v1::FaultCleared { device: device.0, fault: fault.code(), zone };
            row(out, kinds::FAULT_CLEARED, &value)
        }
        Event::NoticeOrdered { notice, signal, template, facts: about, recipients, expires_at } => {
            let first = v1::NoticeOrdered {
                notice: notice.0.get(),
                signal: signal.map(|signal| signal.0.get()),
                template: template.code(),
                facts: facts(about),
                recipients: recipients.iter().map(recipient).collect(),
                expires_at_us: us(*expires_at),
            };
            match &about.sighting {
                None => row(out, kinds::NOTICE_ORDERED, &first),
                Some(seen) => {
                    let value = tracks::NoticeOrdered { first, sighting: tracks::sighting(seen) };
                    row_of(out, kinds::NOTICE_ORDERED, 2, &value)
                }
            }
        }
        Event::NoticeExpired { notice } => {
            row(out, kinds::NOTICE_EXPIRED, &v1::NoticeExpired { notice: notice.0.get() })
        }
        Event::EffectsAttempted { attempts } => {
            let attempts = attempts
                .iter()
                .map(|each| v1::Attempt { effect: effect(each.effect), number: each.number })
                .collect();
            row(out, kinds::EFFECTS_ATTEMPTED, &v1::EffectsAttempted { attempts })
        }
        Event::EffectsSettled { outcomes } => {
            let outcomes = outcomes.iter().map(settled).collect();
            row(out, kinds::EFFECTS_SETTLED, &v1::EffectsSettled { outcomes })
        }
        Event::AnswerGiven { effect: answered, choice, minutes, received_at } => {
            let value = v1::AnswerGiven {
                effect: effect(*answered),
                choice: choice.code(),
                minutes: *minutes,
                received_at_us: us(*received_at),
            };
            row(out, kinds::ANSWER_GIVEN, &value)
        }
        Event::SessionOpened { token, role, expires_at } => {
            let (token, role) = (Bytes16(token.0), role.code());
            let value = v1::SessionOpened { token, role, expires_at_us: us(*expires_at) };
            row(out, kinds::SESSION_OPENED, &value)
        }
        Event::SessionClosed { token } => {
            row(out, kinds::SESSION_CLOSED, &v1::SessionClosed { token: Bytes16(token.0) })
        }
        Event::LogInRefused { name } => {
            row(out, kinds::LOG_IN_REFUSED, &v1::LogInRefused { name: Bytes16(name.0) })
        }
        Event::CallReceived { said, caller } => {
            row(out, kinds::CALL_RECEIVED, &calls::received(said, *caller))
        }
        Event::CallAnswered { signal, position } => {
            let value = calls::CallAnswered { signal: signal.0.get(), position };
            row(out, kinds::CALL_ANSWERED, &value)
        }
        Event::CallAnswerLapsed { signal } => {
            row(out, kinds::CALL_ANSWER_LAPSED, &calls::of_signal(*signal))
        }
        Event::CallBackDue { signal } => row(out, kinds::CALL_BACK_DUE, &calls::of_signal(*signal)),
        Event::CallBackTried { signal, outcome } => {
            let (signal, outcome) = (signal.0.get(), outcome.code());
            row(out, kinds::CALL_BACK_TRIED, &calls::CallBackTried { signal, outcome })
        }
        Event::PlaceSet { incident, place, place_text } => {
            let value = calls::place_set(*incident, place, place_text.as_ref());
            row(out, kinds::PLACE_SET, &value)
        }
        Event::KindSet { incident, kind, subkind } => {
            let (kind, subkind) = (kind.code(), subkind.map(|subkind| subkind.code()));
            let value = calls::KindSet { incident: incident.0.get(), kind, subkind };
            row(out, kinds::KIND_SET, &value)
        }
        Event::DraftSaved { form, text } => {
            row(out, kinds::DRAFT_SAVED, &calls::DraftSaved { form, text: sealed(text) })
        }
        Event::DraftCleared { form } => {
            row(out, kinds::DRAFT_CLEARED, &calls::DraftCleared { form })
        }
        Event::UnitRegistered { unit, entry } => match &entry.terminal {
            None => row(out, kinds::UNIT_REGISTERED, &units::registered(*unit, entry)),
            Some(terminal) => {
                let value = units::with_terminal(*unit, entry, terminal);
                row_of(out, kinds::UNIT_REGISTERED, 2, &value)
            }
        },
        Event::UnitWithdrawn { unit } => row(out, kinds::UNIT_WITHDRAWN, &units::withdrawn(*unit)),
        Event::PlansApplied { plans } => row(out, kinds::PLANS_APPLIED, &units::plans(plans)),
        Event::UnitFoundOut { unit, status, at } => {
            row(out, kinds::UNIT_FOUND_OUT, &units::found_out(*unit, *status, *at))
        }
        Event::UnitsOrdered(value) => row(out, kinds::UNITS_ORDERED, &units::ordered(value)),
        Event::AssignmentStarted { assignment } => {
            row(out, kinds::ASSIGNMENT_STARTED, &units::started(*assignment))
        }
        Event::AssignmentEnded { assignment, end } => {
            row(out, kinds::ASSIGNMENT_ENDED, &units::ended(*assignment, *end))
        }
        Event::SheetOrdered { assignment, word } => {
            row(out, kinds::SHEET_ORDERED, &units::sheet(*assignment, *word))
        }
        Event::UnitStatusReached(value) => {
            row(out, kinds::UNIT_STATUS_REACHED, &units::reached(value))
        }
        Event::AvailabilityChanged { unit, usable, since } => {
            row(out, kinds::AVAILABILITY_CHANGED, &units::availability(*unit, *usable, *since))
        }
        Event::CrewMoved { unit, with } => {
            row(out, kinds::CREW_MOVED, &units::crew_moved(*unit, *with))
        }
        Event::ZoneLeft { device, zone, distance, accuracy, signal } => {
            let value = tracks::ZoneLeft {
                device: device.0,
                zone,
                distance_m: distance.0,
                accuracy_m: accuracy.0,
                signal: signal.map(|signal| signal.0.get()),
            };
            row(out, kinds::ZONE_LEFT, &value)
        }
        Event::ZoneEntered { device, zone, distance } => {
            let value = tracks::ZoneEntered { device: device.0, zone, distance_m: distance.0 };
            row(out, kinds::ZONE_ENTERED, &value)
        }
        Event::ZoneDoubted { device, zone, distance, since, at } => {
            let value = tracks::ZoneDoubted {
                device: device.0,
                zone,
                distance_m: distance.0,
                since_us: us(*since),
                at_us: us(*at),
            };
            row(out, kinds::ZONE_DOUBTED, &value)
        }
        Event::FixDoubted { device, distance, seconds } => {
            let (device, distance_m) = (device.0, distance.0);
            let value = tracks::FixDoubted { device, distance_m, seconds: *seconds };
            row(out, kinds::FIX_DOUBTED, &value)
        }
        Event::GroupRegistered { key, group } => {
            row(out, kinds::GROUP_REGISTERED, &letters::registered(key, group))
        }
        Event::GroupWithdrawn { key } => {
            row(out, kinds::GROUP_WITHDRAWN, &letters::GroupWithdrawn { key })
        }
        Event::LetterOrdered { notice, letter, recipients, expires_at } => {
            let value = letters::ordered(*notice, letter, recipients, *expires_at);
            row(out, kinds::LETTER_ORDERED, &value)
        }
        Event::NoticeReplaced { notice, by } => {
            row(out, kinds::NOTICE_REPLACED, &letters::replaced(*notice, *by))
        }
        Event::SiteRegistered { device, entry } => {
            row(out, kinds::SITE_REGISTERED, &sites::registered(*device, entry))
        }
        Event::SiteWithdrawn { device } => {
            row(out, kinds::SITE_WITHDRAWN, &sites::withdrawn(*device))
        }
        Event::MessageOrdered { message, device, text, until } => {
            let value = sites::ordered(*message, *device, text, *until);
            row(out, kinds::MESSAGE_ORDERED, &value)
        }
        Event::LoadChanged { level } => {
            row(out, kinds::LOAD_CHANGED, &v1::LoadChanged { level: level.get() })
        }
        Event::AlarmsLimited { device } => {
            row(out, kinds::ALARMS_LIMITED, &v1::AlarmsLimited { device: device.0 })
        }
    }
}

fn row<T: Serialize>(out: Vec<u8>, kind: u16, value: &T) -> Result<Encoded, BodyError> {
    row_of(out, kind, VERSION, value)
}

fn row_of<T: Serialize>(
    out: Vec<u8>,
    kind: u16,
    ver: u16,
    value: &T,
) -> Result<Encoded, BodyError> {
    Ok(Encoded { kind, ver, body: extend(out, value)? })
}

/// Microseconds since 1970 UTC. A finer time would replay as another than it was lived as, so the
/// reader of the clock cuts it; the nanoseconds of one who forgot do not stop a city.
pub(crate) fn us(time: Timestamp) -> i64 {
    debug_assert!(
        time.subsec_nanosecond() % 1_000 == 0,
        "a time finer than a microsecond reached the journal; cut it where it is read"
    );
    time.as_microsecond()
}

pub(super) fn sealed(value: &Sealed) -> v1::Sealed<'_> {
    v1::Sealed { key: value.key.0, bytes: Bytes(&value.bytes) }
}

pub(super) fn maybe(value: Option<&Sealed>) -> Option<v1::Sealed<'_>> {
    value.map(sealed)
}

fn effect(id: EffectId) -> v1::EffectId {
    v1::EffectId { seq: id.seq.get(), index: id.index }
}

pub(super) fn position(value: Position) -> v1::Position {
    v1::Position { lat_e7: value.lat.e7(), lon_e7: value.lon.e7() }
}

fn settings(value: &Settings) -> v1::SettingsApplied<'_> {
    let Settings { mode, headquarters, sender, message_domain, answer_url, answer_minutes } = value;
    v1::SettingsApplied {
        mode: mode.code(),
        headquarters,
        sender,
        message_domain,
        answer_url,
        answer_minutes: *answer_minutes,
    }
}

fn person_entered(person: PersonId, entry: &PersonEntry) -> v1::PersonEntered<'_> {
    let PersonEntry { key, digest, name, mailboxes, language, role } = entry;
    v1::PersonEntered {
        person: person.0,
        key,
        digest: Bytes16(digest.0),
        name: sealed(name),
        mailboxes: mailboxes.iter().map(mailbox).collect(),
        language: language.code(),
        role: role.map(|role| role.code()),
    }
}

fn mailbox(value: &Mailbox) -> v1::Mailbox<'_> {
    v1::Mailbox { address: sealed(&value.address), token: Bytes16(value.token.0) }
}

fn device_registered<'a>(
    device: SourceId,
    protects: PersonId,
    told: &[PersonId],
    entry: &'a DeviceEntry,
) -> v1::DeviceRegistered<'a> {
    let DeviceEntry { source, subscriber, helpers, district, address, digest, .. } = entry;
    v1::DeviceRegistered {
        device: device.0,
        subscriber: protects.0,
        helpers: told.iter().map(|person| person.0).collect(),
        entry_source: source,
        entry_subscriber: subscriber,
        entry_helpers: helpers.iter().map(String::as_str).collect(),
        district: district.map(|district| district.0),
        address: maybe(address.as_ref()),
        digest: Bytes16(digest.0),
    }
}

fn finding(value: &Finding) -> v1::Finding<'_> {
    let Finding { class, kind, phase, code, zone } = value;
    v1::Finding { class: class.code(), kind: kind.code(), phase: phase.code(), code, zone }
}

fn report(value: &SealedReport) -> v1::ReportReceived<'_> {
    v1::ReportReceived {
        door: value.door.code(),
        source: &value.source,
        lane: value.lane.code(),
        observed_at_us: value.observed_at.map(us),
        received_at_us: us(value.received_at),
        device_key: Bytes(&value.device_key),
        findings: value.findings.iter().map(finding).collect(),
        position: value.position.map(position),
        text: maybe(value.text.as_ref()),
        raw: sealed(&value.raw),
        peer: sealed(&value.peer),
        refused: value.refused.map(|fault| fault.code()),
        deviations: value.deviations.iter().map(|deviation| deviation.code()).collect(),
    }
}

fn telemetry(value: Telemetry) -> v2::Telemetry {
    let Telemetry { fix, battery, charging, steps, pulse, stored } = value;
    let fix = fix.map(|fix| v2::Fix {
        position: position(fix.position),
        at_us: fix.at.map(us),
        valid: fix.valid,
        method: fix.method.code(),
        accuracy_m: fix.accuracy.map(|metres| metres.0),
        speed_e2_kmh: fix.speed_e2_kmh,
        course_e2: fix.course_e2,
        altitude_cm: fix.altitude_cm,
        satellites: fix.satellites,
    });
    v2::Telemetry { fix, battery, charging, steps, pulse, stored }
}

fn incident_opened<'a>(
    incident: IncidentId,
    number: &'a str,
    kind: IncidentKind,
    place: &Place,
    place_text: Option<&'a Sealed>,
) -> v1::IncidentOpened<'a> {
    v1::IncidentOpened {
        incident: incident.0.get(),
        number,
        kind: kind.code(),
        district: place.district.map(|district| district.0),
        position: place.position.map(position),
        radius_m: place.radius.map(|metres| metres.0),
        confirmed: place.confirmed,
        place_text: maybe(place_text),
    }
}

fn facts(value: &Facts) -> v1::Facts<'_> {
    v1::Facts {
        alarm: value.alarm.code(),
        subscriber: maybe(value.subscriber.as_ref()),
        address: maybe(value.address.as_ref()),
        district: value.district.map(|district| district.0),
        at_us: us(value.at),
    }
}

pub(super) fn recipient(value: &Recipient) -> v1::Recipient<'_> {
    v1::Recipient {
        person: value.person.0,
        address: sealed(&value.address),
        token: Bytes16(value.token.0),
        name: sealed(&value.name),
        language: value.language.code(),
    }
}

fn settled(value: &Settled) -> v1::Settled {
    let Settled { outcome: value, again_at } = value;
    v1::Settled {
        effect: effect(value.effect),
        attempt: value.attempt,
        outcome: value.outcome.code(),
        code: value.detail.code,
        enhanced: value.detail.enhanced,
        again: value.detail.again,
        again_at_us: again_at.map(|at| at.as_microsecond()),
    }
}
