//! From the frozen types to the model.

use hansho_model::{
    Attempt, DegreesE7, DeviceEntry, DistrictId, EffectId, EffectOutcome, Event, Facts, Finding,
    Fix, IncidentId, IncidentSubkind, KeyId, LoadLevel, Mailbox, MetresU32, NoticeId,
    OutcomeDetail, PersonEntry, PersonId, Place, Position, Recipient, Sealed, SealedReport, Seq,
    Settings, Settled, Sighting, SignalId, SourceId, Telemetry, Token, Zone,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::{BodyError, calls, kinds, letters, sites, tracks, units, v1, v2, whole};

#[expect(clippy::too_many_lines, reason = "one arm a kind; parts would hide that none is missing")]
pub(super) fn event_v1(kind: u16, payload: &[u8]) -> Result<Event, BodyError> {
    Ok(match kind {
        kinds::CORE_STARTED => {
            let v1::CoreStarted { epoch, release } = whole(payload)?;
            Event::CoreStarted { epoch, release: release.to_owned() }
        }
        kinds::CLOCK_STEPPED => {
            let v1::ClockStepped { back_us } = whole(payload)?;
            Event::ClockStepped { back_us }
        }
        kinds::SETTINGS_APPLIED => settings(&whole(payload)?)?,
        kinds::SOURCE_NAMED => {
            let v1::SourceNamed { source, name } = whole(payload)?;
            Event::SourceNamed { source: SourceId(source), name: name.to_owned() }
        }
        kinds::PERSON_ENTERED => person_entered(whole(payload)?)?,
        kinds::PERSON_ERASED => {
            let v1::PersonErased { person } = whole(payload)?;
            Event::PersonErased { person: PersonId(person) }
        }
        kinds::DEVICE_REGISTERED => device_registered(whole(payload)?, Vec::new(), None),
        kinds::DEVICE_WITHDRAWN => {
            let v1::DeviceWithdrawn { device } = whole(payload)?;
            Event::DeviceWithdrawn { device: SourceId(device) }
        }
        kinds::REPORT_RECEIVED => report(whole(payload)?, None)?,
        kinds::SIGNAL_RECEIVED => {
            let v1::SignalReceived { signal: id, report, alarm, zone, refused } = whole(payload)?;
            let (signal, report, alarm) = (signal(id), Seq::new(report), Code::from_code(alarm)?);
            Event::SignalReceived { signal, report, alarm, zone: zone.to_owned(), refused }
        }
        kinds::SIGNAL_REPEATED => {
            let v1::SignalRepeated { signal: id, report, alarm, restored, zone } = whole(payload)?;
            let (signal, report, alarm) = (signal(id), Seq::new(report), Code::from_code(alarm)?);
            Event::SignalRepeated { signal, report, alarm, restored, zone: zone.to_owned() }
        }
        kinds::SIGNAL_ACKNOWLEDGED => {
            let v1::SignalAcknowledged { signal: id, position } = whole(payload)?;
            Event::SignalAcknowledged { signal: signal(id), position: position.to_owned() }
        }
        kinds::SIGNAL_JOINED => {
            let v1::SignalJoined { signal: id, incident } = whole(payload)?;
            Event::SignalJoined { signal: signal(id), incident: IncidentId(Seq::new(incident)) }
        }
        kinds::SIGNAL_ENDED => {
            let v1::SignalEnded { signal: id, outcome, reason } = whole(payload)?;
            let (outcome, reason) = (Code::from_code(outcome)?, reason.map(sealed));
            Event::SignalEnded { signal: signal(id), outcome, reason }
        }
        kinds::INCIDENT_OPENED => incident_opened(&whole(payload)?, None)?,
        kinds::INCIDENT_NOTED => {
            let v1::IncidentNoted { incident, text } = whole(payload)?;
            Event::IncidentNoted { incident: IncidentId(Seq::new(incident)), text: sealed(text) }
        }
        kinds::INCIDENT_CLOSED => {
            let v1::IncidentClosed { incident, outcome, note } = whole(payload)?;
            let (incident, outcome) = (IncidentId(Seq::new(incident)), Code::from_code(outcome)?);
            Event::IncidentClosed { incident, outcome, note: note.map(sealed) }
        }
        kinds::FAULT_RAISED => {
            let v1::FaultRaised { device, fault, code, zone } = whole(payload)?;
            let (device, fault) = (SourceId(device), Code::from_code(fault)?);
            Event::FaultRaised { device, fault, code: code.to_owned(), zone: zone.to_owned() }
        }
        kinds::FAULT_CLEARED => {
            let v1::FaultCleared { device, fault, zone } = whole(payload)?;
            let (device, fault) = (SourceId(device), Code::from_code(fault)?);
            Event::FaultCleared { device, fault, zone: zone.to_owned() }
        }
        kinds::NOTICE_ORDERED => notice_ordered(&whole(payload)?, None)?,
        kinds::NOTICE_EXPIRED => {
            let v1::NoticeExpired { notice } = whole(payload)?;
            Event::NoticeExpired { notice: NoticeId(Seq::new(notice)) }
        }
        kinds::EFFECTS_ATTEMPTED => {
            let v1::EffectsAttempted { attempts } = whole(payload)?;
            let attempts = attempts
                .into_iter()
                .map(|each| Attempt { effect: effect(each.effect), number: each.number });
            Event::EffectsAttempted { attempts: attempts.collect() }
        }
        kinds::EFFECTS_SETTLED => {
            let v1::EffectsSettled { outcomes } = whole(payload)?;
            let outcomes: Result<_, _> = outcomes.iter().map(settled).collect();
            Event::EffectsSettled { outcomes: outcomes? }
        }
        kinds::ANSWER_GIVEN => {
            let v1::AnswerGiven { effect: id, choice, minutes, received_at_us } = whole(payload)?;
            let (effect, choice) = (effect(id), Code::from_code(choice)?);
            Event::AnswerGiven { effect, choice, minutes, received_at: time(received_at_us)? }
        }
        kinds::SESSION_OPENED => {
            let v1::SessionOpened { token, role, expires_at_us } = whole(payload)?;
            let (token, role) = (Token(token.0), Code::from_code(role)?);
            Event::SessionOpened { token, role, expires_at: time(expires_at_us)? }
        }
        kinds::SESSION_CLOSED => {
            let v1::SessionClosed { token } = whole(payload)?;
            Event::SessionClosed { token: Token(token.0) }
        }
        kinds::LOG_IN_REFUSED => {
            let v1::LogInRefused { name } = whole(payload)?;
            Event::LogInRefused { name: Token(name.0) }
        }
        kinds::CALL_RECEIVED => calls::event_of_received(whole(payload)?)?,
        kinds::CALL_ANSWERED => {
            let calls::CallAnswered { signal: id, position } = whole(payload)?;
            Event::CallAnswered { signal: signal(id), position: position.to_owned() }
        }
        kinds::CALL_ANSWER_LAPSED => {
            let calls::OfSignal { signal: id } = whole(payload)?;
            Event::CallAnswerLapsed { signal: signal(id) }
        }
        kinds::CALL_BACK_DUE => {
            let calls::OfSignal { signal: id } = whole(payload)?;
            Event::CallBackDue { signal: signal(id) }
        }
        kinds::CALL_BACK_TRIED => {
            let calls::CallBackTried { signal: id, outcome } = whole(payload)?;
            Event::CallBackTried { signal: signal(id), outcome: Code::from_code(outcome)? }
        }
        kinds::PLACE_SET => calls::event_of_place_set(whole(payload)?)?,
        kinds::KIND_SET => {
            let calls::KindSet { incident, kind, subkind } = whole(payload)?;
            let (incident, kind) = (IncidentId(Seq::new(incident)), Code::from_code(kind)?);
            Event::KindSet { incident, kind, subkind: word(subkind)? }
        }
        kinds::DRAFT_SAVED => {
            let calls::DraftSaved { form, text } = whole(payload)?;
            Event::DraftSaved { form: form.to_owned(), text: sealed(text) }
        }
        kinds::DRAFT_CLEARED => {
            let calls::DraftCleared { form } = whole(payload)?;
            Event::DraftCleared { form: form.to_owned() }
        }
        kinds::UNIT_REGISTERED..=kinds::CREW_MOVED | kinds::SHEET_ORDERED => {
            units::event(kind, payload)?
        }
        kinds::SITE_REGISTERED..=kinds::MESSAGE_ORDERED => sites::event(kind, payload)?,
        kinds::GROUP_REGISTERED..=kinds::NOTICE_REPLACED => letters::event(kind, payload)?,
        kinds::LOAD_CHANGED => {
            let v1::LoadChanged { level } = whole(payload)?;
            let out_of_range = BodyError::OutOfRange { what: "the level of load" };
            Event::LoadChanged { level: LoadLevel::new(level).ok_or(out_of_range)? }
        }
        kinds::ALARMS_LIMITED => {
            let v1::AlarmsLimited { device } = whole(payload)?;
            Event::AlarmsLimited { device: SourceId(device) }
        }
        other => {
            let unknown = BodyError::UnknownKind { kind: i64::from(other) };
            return tracks::event(other, payload)?.ok_or(unknown);
        }
    })
}

pub(super) fn event_v2(kind: u16, payload: &[u8]) -> Result<Event, BodyError> {
    match kind {
        kinds::REPORT_RECEIVED => {
            let v2::ReportReceived { first, telemetry: said } = whole(payload)?;
            report(first, Some(telemetry(said)?))
        }
        kinds::INCIDENT_OPENED => {
            let v2::IncidentOpened { first, subkind } = whole(payload)?;
            incident_opened(&first, Some(Code::from_code(subkind)?))
        }
        kinds::DEVICE_REGISTERED => {
            let tracks::DeviceRegistered { first, zones, interval_s } = whole(payload)?;
            Ok(device_registered(first, tracks::read_zones(&zones)?, interval_s))
        }
        kinds::NOTICE_ORDERED => {
            let tracks::NoticeOrdered { first, sighting } = whole(payload)?;
            notice_ordered(&first, Some(tracks::read_sighting(&sighting)?))
        }
        kinds::UNIT_REGISTERED => units::read_with_terminal(payload),
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}

/// The frozen type as JSON.
pub(super) fn json_v2(kind: u16, payload: &[u8]) -> Result<serde_json::Value, BodyError> {
    match kind {
        kinds::REPORT_RECEIVED => json::<v2::ReportReceived<'_>>(payload),
        kinds::INCIDENT_OPENED => json::<v2::IncidentOpened<'_>>(payload),
        kinds::DEVICE_REGISTERED => json::<tracks::DeviceRegistered<'_>>(payload),
        kinds::NOTICE_ORDERED => json::<tracks::NoticeOrdered<'_>>(payload),
        kinds::UNIT_REGISTERED => json::<units::UnitWithTerminal<'_>>(payload),
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}

/// The frozen type as JSON.
pub(super) fn json_v1(kind: u16, payload: &[u8]) -> Result<serde_json::Value, BodyError> {
    match kind {
        kinds::CORE_STARTED => json::<v1::CoreStarted<'_>>(payload),
        kinds::CLOCK_STEPPED => json::<v1::ClockStepped>(payload),
        kinds::SETTINGS_APPLIED => json::<v1::SettingsApplied<'_>>(payload),
        kinds::SOURCE_NAMED => json::<v1::SourceNamed<'_>>(payload),
        kinds::PERSON_ENTERED => json::<v1::PersonEntered<'_>>(payload),
        kinds::PERSON_ERASED => json::<v1::PersonErased>(payload),
        kinds::DEVICE_REGISTERED => json::<v1::DeviceRegistered<'_>>(payload),
        kinds::DEVICE_WITHDRAWN => json::<v1::DeviceWithdrawn>(payload),
        kinds::REPORT_RECEIVED => json::<v1::ReportReceived<'_>>(payload),
        kinds::SIGNAL_RECEIVED => json::<v1::SignalReceived<'_>>(payload),
        kinds::SIGNAL_REPEATED => json::<v1::SignalRepeated<'_>>(payload),
        kinds::SIGNAL_ACKNOWLEDGED => json::<v1::SignalAcknowledged<'_>>(payload),
        kinds::SIGNAL_JOINED => json::<v1::SignalJoined>(payload),
        kinds::SIGNAL_ENDED => json::<v1::SignalEnded<'_>>(payload),
        kinds::INCIDENT_OPENED => json::<v1::IncidentOpened<'_>>(payload),
        kinds::INCIDENT_NOTED => json::<v1::IncidentNoted<'_>>(payload),
        kinds::INCIDENT_CLOSED => json::<v1::IncidentClosed<'_>>(payload),
        kinds::FAULT_RAISED => json::<v1::FaultRaised<'_>>(payload),
        kinds::FAULT_CLEARED => json::<v1::FaultCleared<'_>>(payload),
        kinds::NOTICE_ORDERED => json::<v1::NoticeOrdered<'_>>(payload),
        kinds::NOTICE_EXPIRED => json::<v1::NoticeExpired>(payload),
        kinds::EFFECTS_ATTEMPTED => json::<v1::EffectsAttempted>(payload),
        kinds::EFFECTS_SETTLED => json::<v1::EffectsSettled>(payload),
        kinds::ANSWER_GIVEN => json::<v1::AnswerGiven>(payload),
        kinds::SESSION_OPENED => json::<v1::SessionOpened>(payload),
        kinds::SESSION_CLOSED => json::<v1::SessionClosed>(payload),
        kinds::LOG_IN_REFUSED => json::<v1::LogInRefused>(payload),
        kinds::CALL_RECEIVED => json::<calls::CallReceived<'_>>(payload),
        kinds::CALL_ANSWERED => json::<calls::CallAnswered<'_>>(payload),
        kinds::CALL_ANSWER_LAPSED | kinds::CALL_BACK_DUE => json::<calls::OfSignal>(payload),
        kinds::CALL_BACK_TRIED => json::<calls::CallBackTried>(payload),
        kinds::PLACE_SET => json::<calls::PlaceSet<'_>>(payload),
        kinds::KIND_SET => json::<calls::KindSet>(payload),
        kinds::DRAFT_SAVED => json::<calls::DraftSaved<'_>>(payload),
        kinds::DRAFT_CLEARED => json::<calls::DraftCleared<'_>>(payload),
        kinds::UNIT_REGISTERED..=kinds::CREW_MOVED | kinds::SHEET_ORDERED => {
            units::json_of(kind, payload)
        }
        kinds::ZONE_LEFT => json::<tracks::ZoneLeft<'_>>(payload),
        kinds::ZONE_ENTERED => json::<tracks::ZoneEntered<'_>>(payload),
        kinds::ZONE_DOUBTED => json::<tracks::ZoneDoubted<'_>>(payload),
        kinds::FIX_DOUBTED => json::<tracks::FixDoubted>(payload),
        kinds::SITE_REGISTERED..=kinds::MESSAGE_ORDERED => sites::json_of(kind, payload),
        kinds::GROUP_REGISTERED..=kinds::NOTICE_REPLACED => letters::json_of(kind, payload),
        kinds::LOAD_CHANGED => json::<v1::LoadChanged>(payload),
        kinds::ALARMS_LIMITED => json::<v1::AlarmsLimited>(payload),
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}

pub(super) fn json<'a, T: Deserialize<'a> + Serialize>(
    payload: &'a [u8],
) -> Result<serde_json::Value, BodyError> {
    let value: T = whole(payload)?;
    // Maps with texts as keys, integers, texts: JSON has a form for each of them.
    serde_json::to_value(&value).map_err(|_no_such| BodyError::OutOfRange { what: "a JSON value" })
}

/// From microseconds since 1970 UTC.
pub(crate) fn time(us: i64) -> Result<Timestamp, BodyError> {
    Timestamp::from_microsecond(us).map_err(|_range| BodyError::OutOfRange { what: "a time" })
}

pub(super) fn word<T: Code>(code: Option<u8>) -> Result<Option<T>, BodyError> {
    code.map(T::from_code).transpose()
}

pub(super) fn sealed(value: v1::Sealed<'_>) -> Sealed {
    Sealed { key: KeyId(value.key), bytes: value.bytes.0.to_vec() }
}

fn signal(id: u64) -> SignalId {
    SignalId(Seq::new(id))
}

fn effect(id: v1::EffectId) -> EffectId {
    EffectId { seq: Seq::new(id.seq), index: id.index }
}

pub(super) fn position(value: Option<v1::Position>) -> Result<Option<Position>, BodyError> {
    value.map(some_position).transpose()
}

pub(super) fn some_position(value: v1::Position) -> Result<Position, BodyError> {
    let v1::Position { lat_e7, lon_e7 } = value;
    let (lat, lon) = (DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(lon_e7));
    Position::new(lat, lon).ok_or(BodyError::OutOfRange { what: "a position" })
}

fn settings(value: &v1::SettingsApplied<'_>) -> Result<Event, BodyError> {
    Ok(Event::SettingsApplied(Settings {
        mode: Code::from_code(value.mode)?,
        headquarters: value.headquarters.to_owned(),
        sender: value.sender.to_owned(),
        message_domain: value.message_domain.to_owned(),
        answer_url: value.answer_url.to_owned(),
        answer_minutes: value.answer_minutes,
    }))
}

fn person_entered(value: v1::PersonEntered<'_>) -> Result<Event, BodyError> {
    let mailboxes = value
        .mailboxes
        .into_iter()
        .map(|each| Mailbox { address: sealed(each.address), token: Token(each.token.0) });
    let entry = PersonEntry {
        key: value.key.to_owned(),
        digest: Token(value.digest.0),
        name: sealed(value.name),
        mailboxes: mailboxes.collect(),
        language: Code::from_code(value.language)?,
        role: word(value.role)?,
    };
    Ok(Event::PersonEntered { person: PersonId(value.person), entry })
}

fn device_registered(
    value: v1::DeviceRegistered<'_>,
    zones: Vec<Zone>,
    interval_s: Option<u32>,
) -> Event {
    let entry = DeviceEntry {
        source: value.entry_source.to_owned(),
        subscriber: value.entry_subscriber.to_owned(),
        helpers: value.entry_helpers.into_iter().map(str::to_owned).collect(),
        district: value.district.map(DistrictId),
        address: value.address.map(sealed),
        digest: Token(value.digest.0),
        zones,
        interval_s,
    };
    Event::DeviceRegistered {
        device: SourceId(value.device),
        subscriber: PersonId(value.subscriber),
        helpers: value.helpers.into_iter().map(PersonId).collect(),
        entry,
    }
}

fn finding(value: v1::Finding<'_>) -> Result<Finding, BodyError> {
    Ok(Finding {
        class: Code::from_code(value.class)?,
        kind: Code::from_code(value.kind)?,
        phase: Code::from_code(value.phase)?,
        code: value.code.to_owned(),
        zone: value.zone.to_owned(),
    })
}

fn report(value: v1::ReportReceived<'_>, telemetry: Option<Telemetry>) -> Result<Event, BodyError> {
    let findings: Result<_, _> = value.findings.into_iter().map(finding).collect();
    let deviations: Result<_, _> = value.deviations.into_iter().map(Code::from_code).collect();
    Ok(Event::ReportReceived(Box::new(SealedReport {
        door: Code::from_code(value.door)?,
        source: value.source.to_owned(),
        lane: Code::from_code(value.lane)?,
        observed_at: value.observed_at_us.map(time).transpose()?,
        received_at: time(value.received_at_us)?,
        device_key: value.device_key.0.to_vec(),
        findings: findings?,
        position: position(value.position)?,
        telemetry,
        text: value.text.map(sealed),
        raw: sealed(value.raw),
        peer: sealed(value.peer),
        refused: word(value.refused)?,
        deviations: deviations?,
    })))
}

fn telemetry(value: v2::Telemetry) -> Result<Telemetry, BodyError> {
    let v2::Telemetry { fix, battery, charging, steps, pulse, stored } = value;
    Ok(Telemetry { fix: fix.map(found).transpose()?, battery, charging, steps, pulse, stored })
}

fn found(value: v2::Fix) -> Result<Fix, BodyError> {
    Ok(Fix {
        position: some_position(value.position)?,
        at: value.at_us.map(time).transpose()?,
        valid: value.valid,
        method: Code::from_code(value.method)?,
        accuracy: value.accuracy_m.map(MetresU32),
        speed_e2_kmh: value.speed_e2_kmh,
        course_e2: value.course_e2,
        altitude_cm: value.altitude_cm,
        satellites: value.satellites,
    })
}

fn incident_opened(
    value: &v1::IncidentOpened<'_>,
    subkind: Option<IncidentSubkind>,
) -> Result<Event, BodyError> {
    let place = Place {
        district: value.district.map(DistrictId),
        position: position(value.position)?,
        radius: value.radius_m.map(MetresU32),
        confirmed: value.confirmed,
    };
    Ok(Event::IncidentOpened {
        incident: IncidentId(Seq::new(value.incident)),
        number: value.number.to_owned(),
        kind: Code::from_code(value.kind)?,
        subkind,
        place,
        place_text: value.place_text.map(sealed),
    })
}

fn facts(value: &v1::Facts<'_>, sighting: Option<Sighting>) -> Result<Facts, BodyError> {
    Ok(Facts {
        alarm: Code::from_code(value.alarm)?,
        subscriber: value.subscriber.map(sealed),
        address: value.address.map(sealed),
        district: value.district.map(DistrictId),
        at: time(value.at_us)?,
        sighting,
    })
}

pub(super) fn recipient(value: &v1::Recipient<'_>) -> Result<Recipient, BodyError> {
    Ok(Recipient {
        person: PersonId(value.person),
        address: sealed(value.address),
        token: Token(value.token.0),
        name: sealed(value.name),
        language: Code::from_code(value.language)?,
    })
}

fn notice_ordered(
    value: &v1::NoticeOrdered<'_>,
    sighting: Option<Sighting>,
) -> Result<Event, BodyError> {
    let recipients: Result<_, _> = value.recipients.iter().map(recipient).collect();
    Ok(Event::NoticeOrdered {
        notice: NoticeId(Seq::new(value.notice)),
        signal: value.signal.map(signal),
        template: Code::from_code(value.template)?,
        facts: facts(&value.facts, sighting)?,
        recipients: recipients?,
        expires_at: time(value.expires_at_us)?,
    })
}

fn settled(value: &v1::Settled) -> Result<Settled, BodyError> {
    let v1::Settled { effect: id, attempt, outcome, code, enhanced, again, again_at_us } = *value;
    let detail = OutcomeDetail { code, enhanced, again };
    let outcome =
        EffectOutcome { effect: effect(id), attempt, outcome: Code::from_code(outcome)?, detail };
    Ok(Settled { outcome, again_at: again_at_us.map(time).transpose()? })
}
