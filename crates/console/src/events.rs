//! Events as the stream shows them. Personal values are left out: whoever may see them gets them
//! from `GET /api/state`, where what a person may see is decided once.

use hansho_model::{
    AvailabilityReason, CallFact, Event, FrameFault, IncidentSubkind, Recorded, SealedCallReport,
    Seq,
};
use serde_json::{Value, json};

use crate::view::StreamEvent;

/// An event as the stream shows it.
pub(crate) fn view(recorded: &Recorded) -> StreamEvent {
    let (kind, body) = kind_and_body(&recorded.event);
    StreamEvent {
        seq: recorded.seq.get(),
        at: recorded.at.to_string(),
        kind: kind.to_owned(),
        body,
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each event; in pieces the compiler could not say that one is missing"
)]
fn kind_and_body(event: &Event) -> (&'static str, Value) {
    match event {
        Event::CoreStarted { epoch, release } => {
            ("CoreStarted", json!({"epoch": epoch, "release": release}))
        }
        Event::ClockStepped { back_us } => ("ClockStepped", json!({"back_us": back_us})),
        Event::SettingsApplied(settings) => {
            ("SettingsApplied", json!({"mode": settings.mode.as_str()}))
        }
        Event::SourceNamed { source, name } => {
            ("SourceNamed", json!({"source": source.0, "name": name}))
        }
        Event::PersonEntered { person, entry } => {
            ("PersonEntered", json!({"person": person.0, "key": entry.key}))
        }
        Event::PersonErased { person } => ("PersonErased", json!({"person": person.0})),
        Event::DeviceRegistered { device, entry, .. } => {
            ("DeviceRegistered", json!({"source": device.0, "device": entry.source}))
        }
        Event::DeviceWithdrawn { device } => ("DeviceWithdrawn", json!({"source": device.0})),
        Event::ReportReceived(report) => (
            "ReportReceived",
            json!({
                "device": report.source, "door": report.door.as_str(),
                "lane": report.lane.as_str(), "received_at": report.received_at.to_string(),
                "refused": report.refused.map(FrameFault::as_str),
            }),
        ),
        Event::SignalReceived { signal, report, alarm, zone, refused } => (
            "SignalReceived",
            json!({
                "signal": signal.to_string(), "report": report.get(), "alarm": alarm.as_str(),
                "zone": zone, "refused": refused,
            }),
        ),
        Event::SignalRepeated { signal, report, alarm, restored, zone } => (
            "SignalRepeated",
            json!({
                "signal": signal.to_string(), "report": report.get(), "alarm": alarm.as_str(),
                "zone": zone, "restored": restored,
            }),
        ),
        Event::SignalAcknowledged { signal, position } => {
            ("SignalAcknowledged", json!({"signal": signal.to_string(), "position": position}))
        }
        Event::SignalJoined { signal, incident } => (
            "SignalJoined",
            json!({"signal": signal.to_string(), "incident": incident.to_string()}),
        ),
        Event::SignalEnded { signal, outcome, .. } => {
            ("SignalEnded", json!({"signal": signal.to_string(), "outcome": outcome.as_str()}))
        }
        Event::IncidentOpened { incident, number, kind, subkind, place, .. } => (
            "IncidentOpened",
            json!({
                "incident": incident.to_string(), "number": number, "kind": kind.as_str(),
                "subkind": subkind.map(IncidentSubkind::as_str),
                "district": place.district.map(|district| district.0),
            }),
        ),
        Event::IncidentNoted { incident, .. } => {
            ("IncidentNoted", json!({"incident": incident.to_string()}))
        }
        Event::IncidentClosed { incident, outcome, .. } => (
            "IncidentClosed",
            json!({"incident": incident.to_string(), "outcome": outcome.as_str()}),
        ),
        Event::FaultRaised { device, fault, code, zone } => (
            "FaultRaised",
            json!({"source": device.0, "fault": fault.as_str(), "code": code, "zone": zone}),
        ),
        Event::FaultCleared { device, fault, zone } => {
            ("FaultCleared", json!({"source": device.0, "fault": fault.as_str(), "zone": zone}))
        }
        Event::NoticeOrdered { notice, signal, template, recipients, expires_at, .. } => (
            "NoticeOrdered",
            json!({
                "notice": notice.to_string(), "signal": signal.map(|signal| signal.to_string()),
                "template": template.as_str(), "recipients": recipients.len(),
                "expires_at": expires_at.to_string(),
            }),
        ),
        Event::NoticeExpired { notice } => ("NoticeExpired", json!({"notice": notice.to_string()})),
        Event::EffectsAttempted { attempts } => (
            "EffectsAttempted",
            json!({"effects": attempts.iter().map(|each| each.effect.to_string()).collect::<Vec<_>>()}),
        ),
        Event::EffectsSettled { outcomes } => {
            let outcomes: Vec<Value> = outcomes
                .iter()
                .map(|each| {
                    json!({
                        "effect": each.outcome.effect.to_string(),
                        "attempt": each.outcome.attempt,
                        "outcome": each.outcome.outcome.as_str(),
                        "code": each.outcome.detail.code,
                    })
                })
                .collect();
            ("EffectsSettled", json!({"outcomes": outcomes}))
        }
        Event::AnswerGiven { effect, choice, minutes, received_at } => (
            "AnswerGiven",
            json!({
                "effect": effect.to_string(), "choice": choice.as_str(), "minutes": minutes,
                "received_at": received_at.to_string(),
            }),
        ),
        // Tokens of sessions and of typed names stay inside.
        Event::SessionOpened { role, .. } => ("SessionOpened", json!({"role": role.as_str()})),
        Event::SessionClosed { .. } => ("SessionClosed", json!({})),
        Event::LogInRefused { .. } => ("LogInRefused", json!({})),
        Event::CallReceived { said, .. } => ("CallReceived", call(said)),
        Event::CallAnswered { signal, position } => {
            ("CallAnswered", json!({"signal": signal.to_string(), "position": position}))
        }
        Event::CallAnswerLapsed { signal } => {
            ("CallAnswerLapsed", json!({"signal": signal.to_string()}))
        }
        Event::CallBackDue { signal } => ("CallBackDue", json!({"signal": signal.to_string()})),
        Event::CallBackTried { signal, outcome } => {
            ("CallBackTried", json!({"signal": signal.to_string(), "outcome": outcome.as_str()}))
        }
        Event::PlaceSet { incident, place, .. } => (
            "PlaceSet",
            json!({
                "incident": incident.to_string(), "confirmed": place.confirmed,
                "district": place.district.map(|district| district.0),
            }),
        ),
        Event::KindSet { incident, kind, subkind } => (
            "KindSet",
            json!({
                "incident": incident.to_string(), "kind": kind.as_str(),
                "subkind": subkind.map(IncidentSubkind::as_str),
            }),
        ),
        Event::DraftSaved { form, .. } => ("DraftSaved", json!({"form": form})),
        Event::DraftCleared { form } => ("DraftCleared", json!({"form": form})),
        Event::UnitRegistered { unit, entry } => {
            ("UnitRegistered", json!({"unit": unit.0, "call_sign": entry.call_sign}))
        }
        Event::UnitWithdrawn { unit } => ("UnitWithdrawn", json!({"unit": unit.0})),
        Event::PlansApplied { plans } => ("PlansApplied", json!({"plans": plans.len()})),
        Event::UnitFoundOut { unit, status, at } => (
            "UnitFoundOut",
            json!({"unit": unit.0, "status": status.as_str(), "at": at.to_string()}),
        ),
        Event::UnitsOrdered(ordered) => (
            "UnitsOrdered",
            json!({
                "incident": ordered.incident.to_string(), "overridden": ordered.overridden,
                "units": ordered.units.iter().map(|unit| unit.0).collect::<Vec<_>>(),
            }),
        ),
        Event::AssignmentStarted { assignment } => (
            "AssignmentStarted",
            json!({"order": assignment.order.get(), "unit": assignment.unit.0}),
        ),
        Event::AssignmentEnded { assignment, end } => (
            "AssignmentEnded",
            json!({
                "order": assignment.order.get(), "unit": assignment.unit.0, "end": end.as_str(),
            }),
        ),
        Event::SheetOrdered { assignment, word } => (
            "SheetOrdered",
            json!({
                "order": assignment.order.get(), "unit": assignment.unit.0, "word": word.as_str(),
            }),
        ),
        Event::UnitStatusReached(reached) => (
            "UnitStatusReached",
            json!({
                "order": reached.assignment.order.get(), "unit": reached.assignment.unit.0,
                "status": reached.status.as_str(), "at": reached.at.to_string(),
                "corrects": reached.corrects.map(Seq::get),
            }),
        ),
        Event::AvailabilityChanged { unit, usable, since } => (
            "AvailabilityChanged",
            json!({
                "unit": unit.0, "availability": usable.availability.as_str(),
                "reason": usable.reason.map(AvailabilityReason::as_str),
                "minutes": usable.minutes, "since": since.to_string(),
            }),
        ),
        Event::CrewMoved { unit, with } => {
            ("CrewMoved", json!({"unit": unit.0, "with": with.map(|unit| unit.0)}))
        }
        // How far from home somebody is, and what the zone is called, is for who may see it.
        Event::ZoneLeft { device, signal, .. } => (
            "ZoneLeft",
            json!({"source": device.0, "signal": signal.map(|signal| signal.to_string())}),
        ),
        Event::ZoneEntered { device, .. } => ("ZoneEntered", json!({"source": device.0})),
        Event::ZoneDoubted { device, .. } => ("ZoneDoubted", json!({"source": device.0})),
        Event::FixDoubted { device, .. } => ("FixDoubted", json!({"source": device.0})),
        Event::GroupRegistered { key, group } => {
            ("GroupRegistered", json!({"group": key, "members": group.members.len()}))
        }
        Event::GroupWithdrawn { key } => ("GroupWithdrawn", json!({"group": key})),
        Event::LetterOrdered { notice, letter, recipients, expires_at } => (
            "LetterOrdered",
            json!({
                "notice": notice.to_string(), "group": letter.group,
                "about": letter.kind.as_str(), "drill": letter.drill,
                "incident": letter.incident.map(|incident| incident.to_string()),
                "recipients": recipients.len(), "public": letter.public.is_some(),
                "expires_at": expires_at.to_string(),
            }),
        ),
        Event::NoticeReplaced { notice, by } => {
            ("NoticeReplaced", json!({"notice": notice.to_string(), "by": by.to_string()}))
        }
        Event::SiteRegistered { device, entry } => {
            ("SiteRegistered", json!({"source": device.0, "device": entry.source}))
        }
        Event::SiteWithdrawn { device } => ("SiteWithdrawn", json!({"source": device.0})),
        Event::MessageOrdered { message, device, until, .. } => (
            "MessageOrdered",
            json!({
                "message": message.to_string(), "source": device.0, "until": until.to_string(),
            }),
        ),
        Event::LoadChanged { level } => ("LoadChanged", json!({"level": level.get()})),
        Event::AlarmsLimited { device } => ("AlarmsLimited", json!({"source": device.0})),
    }
}

fn call(said: &SealedCallReport) -> Value {
    let mut body = json!({
        "call": said.call.0, "received_at": said.received_at.to_string(),
        "unrecorded": said.unrecorded,
    });
    let fact = match &said.fact {
        CallFact::Offered(offer) => json!({
            "fact": "offered", "service": offer.service, "withheld": offer.withheld,
            "locations": offer.locations.len(),
        }),
        CallFact::Abandoned => json!({"fact": "abandoned"}),
        CallFact::Connected { position } => json!({"fact": "connected", "position": position}),
        CallFact::NotConnected { position, status } => {
            json!({"fact": "not_connected", "position": position, "status": status})
        }
        CallFact::Ended { by } => json!({"fact": "ended", "by": by.as_str()}),
    };
    if let (Value::Object(body), Value::Object(fact)) = (&mut body, fact) {
        body.extend(fact);
    }
    body
}
