//! Commands as the API takes them: bytes become a [`CommandKind`] or a fault that says what,
//! where and how.

mod letters;
mod sites;
mod units;

use std::str::FromStr;

use hansho_model::{
    CallBackOutcome, CommandId, CommandKind, DegreesE7, DistrictId, IncidentKind, IncidentOutcome,
    IncidentSubkind, MetresU32, PersonId, Place, Position, Sealed, SignalId, SignalOutcome,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::fault::Fault;
use crate::limits::{DRAFT_BYTES_MAX, FORM_BYTES_MAX, TEXT_BYTES_MAX};
use crate::seams::Seal;

pub(crate) use letters::{PublicNotice, SendNotice};
pub(crate) use sites::SendMessage;
pub(crate) use units::{OrderUnits, SetAvailability, UnitStatus};

/// Body of `POST /api/commands`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope {
    /// UUID of version 7, made by the client. Sent twice it has the effect of once.
    #[schema(format = "uuid")]
    pub(crate) id: String,
    /// `AcknowledgeSignal`, `AnswerCall`, `CallBack`, `OpenIncident`, `JoinSignal`, `EndSignal`,
    /// `SetPlace`, `SetKind`, `AddNote`, `CloseIncident`, `SaveDraft`, `ClearDraft`,
    /// `ErasePerson`, `OrderUnits`, `UnitStatus`, `SetAvailability`,
    /// `SendMessage`, `SendNotice`.
    pub(crate) kind: String,
    /// The fields of that kind.
    #[schema(value_type = Object)]
    pub(crate) body: serde_json::Value,
}

/// `AcknowledgeSignal`: "I have it".
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcknowledgeSignal {
    /// Such as `s184200`.
    signal: String,
    /// The seat, such as `desk1`.
    position: String,
}

/// `OpenIncident`: for one or more signals.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenIncident {
    /// 1 to 64 signals that have no incident yet.
    signals: Vec<String>,
    /// Kind, such as `ems`.
    kind: String,
    /// Second level of the kind, such as `building` of `fire`.
    #[serde(default)]
    subkind: Option<String>,
    /// District, 1 to 13, when the dispatcher names one.
    #[serde(default)]
    district: Option<u8>,
    /// Place in words, when the dispatcher typed some.
    #[serde(default)]
    place_text: Option<String>,
    /// Latitude in degrees, with `lon`; without them the place is taken from the signals.
    #[serde(default)]
    lat: Option<f64>,
    /// Longitude in degrees, with `lat`.
    #[serde(default)]
    lon: Option<f64>,
    /// How far off that may be, 1 to 100,000 m.
    #[serde(default)]
    radius_m: Option<u32>,
    /// Whether the dispatcher is sure of the place.
    #[serde(default)]
    confirmed: bool,
}

/// `AnswerCall`: rings the seat's phone and joins it with the caller.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerCall {
    /// The call's signal.
    signal: String,
    /// The seat, such as `desk1`.
    position: String,
}

/// `CallBack`: tells of a try to call back who hung up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallBack {
    /// The call's signal.
    signal: String,
    /// `reached`, `no_answer`, `busy`, `wrong_number`.
    outcome: String,
}

/// `SetPlace`: what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPlace {
    /// The incident.
    incident: String,
    /// Place in words.
    #[serde(default)]
    place_text: Option<String>,
    /// District, 1 to 13; another one than before without `lat` and `lon` moves to its centre.
    #[serde(default)]
    district: Option<u8>,
    /// Latitude in degrees, with `lon`.
    #[serde(default)]
    lat: Option<f64>,
    /// Longitude in degrees, with `lat`.
    #[serde(default)]
    lon: Option<f64>,
    /// How far off that may be, 1 to 100,000 m; only with `lat` and `lon`.
    #[serde(default)]
    radius_m: Option<u32>,
    /// Whether the dispatcher is sure of the place.
    confirmed: bool,
}

/// `SetKind`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetKind {
    /// The incident.
    incident: String,
    /// Kind, such as `fire`.
    kind: String,
    /// Second level of the kind, such as `building`.
    #[serde(default)]
    subkind: Option<String>,
}

/// `SaveDraft`: keeps what is typed, for any seat to go on with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaveDraft {
    /// Which form, such as `call:s123`; 1 to 64 bytes.
    form: String,
    /// What it holds, at most 4,096 bytes.
    text: String,
}

/// `ClearDraft`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClearDraft {
    /// Which form.
    form: String,
}

/// `JoinSignal`: adds a signal to an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JoinSignal {
    /// The signal.
    signal: String,
    /// The incident.
    incident: String,
}

/// `EndSignal`: finishes a signal that leads to no incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndSignal {
    /// The signal.
    signal: String,
    /// What became of it.
    outcome: String,
    /// Why, in words.
    #[serde(default)]
    reason: Option<String>,
}

/// `AddNote`: adds a line to an incident's record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddNote {
    /// The incident.
    incident: String,
    /// The line.
    text: String,
}

/// `CloseIncident`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseIncident {
    /// The incident.
    incident: String,
    /// How it ended.
    outcome: String,
    /// Last words.
    #[serde(default)]
    note: Option<String>,
}

/// `ErasePerson`: destroys a person's data key for ever.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ErasePerson {
    /// Number of the person in the register.
    person: u32,
}

/// Reads a command. Seals what it carries in words, so this blocks: not for an async thread.
///
/// # Errors
/// [`Fault::Malformed`], or [`Fault::Internal`] when the vault cannot seal.
pub(crate) fn read(bytes: &[u8], seal: &dyn Seal) -> Result<(CommandId, CommandKind), Fault> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| {
        Fault::malformed(
            error.to_string(),
            "the body",
            r#"send {"id": "<uuid v7>", "kind": "<command>", "body": {...}}"#,
        )
    })?;
    let id = uuid::Uuid::try_parse(&envelope.id)
        .ok()
        .filter(|id| id.get_version_num() == 7)
        .ok_or_else(|| {
            Fault::malformed(
                "`id` is no UUID of version 7",
                "`id`",
                "make one for each command and send it again unchanged when no answer comes",
            )
        })?;
    let kind = kind(&envelope, seal)?;
    Ok((CommandId(id.into_bytes()), kind))
}

#[expect(clippy::too_many_lines, reason = "one arm a command: the list is the point")]
fn kind(envelope: &Envelope, seal: &dyn Seal) -> Result<CommandKind, Fault> {
    Ok(match envelope.kind.as_str() {
        "AcknowledgeSignal" => {
            let AcknowledgeSignal { signal, position } = fields(envelope)?;
            CommandKind::AcknowledgeSignal { signal: id(&signal, "body.signal")?, position }
        }
        "AnswerCall" => {
            let AnswerCall { signal, position } = fields(envelope)?;
            CommandKind::AnswerCall { signal: id(&signal, "body.signal")?, position }
        }
        "CallBack" => {
            let CallBack { signal, outcome } = fields(envelope)?;
            let signal = id(&signal, "body.signal")?;
            let (all, name) = (CallBackOutcome::ALL, CallBackOutcome::as_str);
            CommandKind::CallBack { signal, outcome: word(&outcome, "body.outcome", all, name)? }
        }
        "SetPlace" => set_place(fields(envelope)?, seal)?,
        "SetKind" => {
            let SetKind { incident, kind, subkind } = fields(envelope)?;
            CommandKind::SetKind {
                incident: id(&incident, "body.incident")?,
                kind: word(&kind, "body.kind", IncidentKind::ALL, IncidentKind::as_str)?,
                subkind: subkind_of(subkind.as_deref())?,
            }
        }
        "SaveDraft" => {
            let SaveDraft { form, text } = fields(envelope)?;
            if text.len() > DRAFT_BYTES_MAX {
                return Err(Fault::malformed(
                    format!("a text of {} bytes", text.len()),
                    "body.text",
                    &format!("at most {DRAFT_BYTES_MAX} bytes of UTF-8"),
                ));
            }
            let form = form_of(form)?;
            let text = seal.seal(text.as_bytes()).ok_or(Fault::Internal)?;
            CommandKind::SaveDraft { form, text }
        }
        "ClearDraft" => {
            let ClearDraft { form } = fields(envelope)?;
            CommandKind::ClearDraft { form: form_of(form)? }
        }
        "OpenIncident" => open_incident(fields(envelope)?, seal)?,
        "JoinSignal" => {
            let JoinSignal { signal, incident } = fields(envelope)?;
            CommandKind::JoinSignal {
                signal: id(&signal, "body.signal")?,
                incident: id(&incident, "body.incident")?,
            }
        }
        "EndSignal" => {
            let EndSignal { signal, outcome, reason } = fields(envelope)?;
            CommandKind::EndSignal {
                signal: id(&signal, "body.signal")?,
                outcome: word(&outcome, "body.outcome", SignalOutcome::ALL, SignalOutcome::as_str)?,
                reason: sealed_option(reason, "body.reason", seal)?,
            }
        }
        "AddNote" => {
            let AddNote { incident, text } = fields(envelope)?;
            CommandKind::AddNote {
                incident: id(&incident, "body.incident")?,
                text: sealed(&text, "body.text", seal)?,
            }
        }
        "CloseIncident" => {
            let CloseIncident { incident, outcome, note } = fields(envelope)?;
            CommandKind::CloseIncident {
                incident: id(&incident, "body.incident")?,
                outcome: word(
                    &outcome,
                    "body.outcome",
                    IncidentOutcome::ALL,
                    IncidentOutcome::as_str,
                )?,
                note: sealed_option(note, "body.note", seal)?,
            }
        }
        "ErasePerson" => {
            let ErasePerson { person } = fields(envelope)?;
            CommandKind::ErasePerson { person: PersonId(person) }
        }
        "OrderUnits" => units::order(fields(envelope)?, seal)?,
        "UnitStatus" => units::status(fields(envelope)?)?,
        "SetAvailability" => units::availability(fields(envelope)?)?,
        "SendNotice" => letters::send(&fields(envelope)?, seal)?,
        "SendMessage" => sites::send(fields(envelope)?, seal)?,
        // Sessions are opened by log-in alone, never by a command from outside.
        _unknown => {
            return Err(Fault::malformed(
                "`kind` is no command",
                "`kind`",
                "one of AcknowledgeSignal, AnswerCall, CallBack, OpenIncident, JoinSignal, \
                 EndSignal, SetPlace, SetKind, AddNote, CloseIncident, SaveDraft, ClearDraft, \
                 ErasePerson, OrderUnits, UnitStatus, SetAvailability, SendMessage, \
                 SendNotice",
            ));
        }
    })
}

fn open_incident(body: OpenIncident, seal: &dyn Seal) -> Result<CommandKind, Fault> {
    let OpenIncident {
        signals,
        kind,
        subkind,
        district,
        place_text,
        lat,
        lon,
        radius_m,
        confirmed,
    } = body;
    if signals.is_empty() || signals.len() > 64 {
        return Err(Fault::malformed(
            format!("{} signals", signals.len()),
            "body.signals",
            "name 1 to 64 signals",
        ));
    }
    Ok(CommandKind::OpenIncident {
        signals: signals
            .iter()
            .map(|signal| id::<SignalId>(signal, "body.signals"))
            .collect::<Result<_, _>>()?,
        kind: word(&kind, "body.kind", IncidentKind::ALL, IncidentKind::as_str)?,
        subkind: subkind_of(subkind.as_deref())?,
        place: Place {
            district: district.map(DistrictId),
            position: position(lat, lon)?,
            radius: radius_m.map(MetresU32),
            confirmed,
        },
        place_text: sealed_option(place_text, "body.place_text", seal)?,
    })
}

fn set_place(body: SetPlace, seal: &dyn Seal) -> Result<CommandKind, Fault> {
    let SetPlace { incident, place_text, district, lat, lon, radius_m, confirmed } = body;
    Ok(CommandKind::SetPlace {
        incident: id(&incident, "body.incident")?,
        place: Place {
            district: district.map(DistrictId),
            position: position(lat, lon)?,
            radius: radius_m.map(MetresU32),
            confirmed,
        },
        place_text: sealed_option(place_text, "body.place_text", seal)?,
    })
}

fn subkind_of(text: Option<&str>) -> Result<Option<IncidentSubkind>, Fault> {
    let (all, name) = (IncidentSubkind::ALL, IncidentSubkind::as_str);
    text.map(|text| word(text, "body.subkind", all, name)).transpose()
}

fn form_of(form: String) -> Result<String, Fault> {
    if form.is_empty() || form.len() > FORM_BYTES_MAX {
        return Err(Fault::malformed(
            format!("a form's name of {} bytes", form.len()),
            "body.form",
            &format!("1 to {FORM_BYTES_MAX} bytes, such as `call:s123`"),
        ));
    }
    Ok(form)
}

/// Both numbers, latitude first, or neither. They are never swapped by us.
fn position(lat: Option<f64>, lon: Option<f64>) -> Result<Option<Position>, Fault> {
    let fault = |what: &str| {
        Fault::malformed(
            what,
            "body.lat, body.lon",
            "give both in degrees: latitude -90 to 90, longitude -180 to 180",
        )
    };
    let (lat, lon) = match (lat, lon) {
        (Some(lat), Some(lon)) => (lat, lon),
        (None, None) => return Ok(None),
        (Some(_), None) | (None, Some(_)) => return Err(fault("one of two numbers is missing")),
    };
    let out_of_range = || fault("a number out of its range");
    let (lat, lon) = (e7(lat).ok_or_else(out_of_range)?, e7(lon).ok_or_else(out_of_range)?);
    Position::new(lat, lon).map(Some).ok_or_else(out_of_range)
}

/// In units of 1e-7 degree; `None` beyond 180 degrees.
fn e7(degrees: f64) -> Option<DegreesE7> {
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 degrees: 1.8e9 fits")]
    (degrees.abs() <= 180.0).then(|| DegreesE7::from_e7((degrees * 1e7).round() as i32))
}

fn fields<T: DeserializeOwned>(envelope: &Envelope) -> Result<T, Fault> {
    T::deserialize(&envelope.body).map_err(|error| {
        Fault::malformed(
            error.to_string(),
            "`body`",
            "see the schema of this kind in /api/openapi.json",
        )
    })
}

fn id<T: FromStr<Err = hansho_model::ParseIdError>>(text: &str, place: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: hansho_model::ParseIdError| {
        Fault::malformed(error.to_string(), place, "take the id from /api/state")
    })
}

fn word<T: Copy>(
    text: &str,
    place: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, Fault> {
    all.iter().copied().find(|each| name(*each) == text).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|each| name(*each)).collect();
        Fault::malformed("no such word", place, &format!("one of {}", names.join(", ")))
    })
}

fn sealed(text: &str, place: &str, seal: &dyn Seal) -> Result<Sealed, Fault> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(Fault::malformed(
            format!("a text of {} bytes", text.len()),
            place,
            &format!("1 to {TEXT_BYTES_MAX} bytes of UTF-8"),
        ));
    }
    seal.seal(text.as_bytes()).ok_or(Fault::Internal)
}

fn sealed_option(
    text: Option<String>,
    place: &str,
    seal: &dyn Seal,
) -> Result<Option<Sealed>, Fault> {
    text.filter(|text| !text.trim().is_empty()).map(|text| sealed(&text, place, seal)).transpose()
}

#[cfg(test)]
mod tests {
    use hansho_model::{IncidentId, KeyId, Seq, Token};

    use super::*;

    struct Wax;

    impl Seal for Wax {
        fn seal(&self, clear: &[u8]) -> Option<Sealed> {
            (clear != b"no room").then(|| Sealed { key: KeyId(1), bytes: clear.to_vec() })
        }
        fn token(&self, _purpose: &'static str, _clear: &[u8]) -> Token {
            Token([0; 16])
        }
    }

    const ID: &str = "019ab000-0000-7000-8000-000000000001";

    fn run(kind: &str, body: &str) -> Result<CommandKind, Fault> {
        let text = format!(r#"{{"id":"{ID}","kind":"{kind}","body":{body}}}"#);
        read(text.as_bytes(), &Wax).map(|(_id, kind)| kind)
    }

    #[test]
    fn each_kind_is_read() {
        for (kind, body) in [
            ("AcknowledgeSignal", r#"{"signal":"s7","position":"desk1"}"#),
            ("OpenIncident", r#"{"signals":["s7"],"kind":"ems"}"#),
            (
                "OpenIncident",
                r#"{"signals":["s7","s8"],"kind":"fire","district":2,"place_text":"駅前"}"#,
            ),
            (
                "OpenIncident",
                r#"{"signals":["s7"],"kind":"fire","subkind":"building","lat":36.9758,"lon":140.8861,"radius_m":50,"confirmed":true}"#,
            ),
            ("AnswerCall", r#"{"signal":"s7","position":"desk1"}"#),
            ("CallBack", r#"{"signal":"s7","outcome":"no_answer"}"#),
            ("SetPlace", r#"{"incident":"i9","confirmed":true}"#),
            (
                "SetPlace",
                r#"{"incident":"i9","place_text":"駅前","district":2,"lat":-90,"lon":180,"radius_m":1,"confirmed":false}"#,
            ),
            ("SetKind", r#"{"incident":"i9","kind":"ems","subkind":"cpa"}"#),
            ("SetKind", r#"{"incident":"i9","kind":"search"}"#),
            ("SaveDraft", r#"{"form":"call:s7","text":""}"#),
            ("ClearDraft", r#"{"form":"call:s7"}"#),
            ("JoinSignal", r#"{"signal":"s7","incident":"i9"}"#),
            ("EndSignal", r#"{"signal":"s7","outcome":"mistake","reason":null}"#),
            ("AddNote", r#"{"incident":"i9","text":"2階から煙"}"#),
            ("CloseIncident", r#"{"incident":"i9","outcome":"handled"}"#),
            ("ErasePerson", r#"{"person":3}"#),
            ("OrderUnits", r#"{"incident":"i9","units":["小名浜1"]}"#),
            ("OrderUnits", r#"{"incident":"i9","units":["平1"],"reason":"道路","divert":true}"#),
            ("UnitStatus", r#"{"unit":"平1","status":"AK"}"#),
            (
                "UnitStatus",
                r#"{"unit":"平1","status":"OS","at":"2026-11-23T05:07:42.1234567Z","incident":"i9","corrects":7}"#,
            ),
            ("SetAvailability", r#"{"unit":"平1","availability":"AV"}"#),
            (
                "SetAvailability",
                r#"{"unit":"平1","availability":"AD","reason":"training","minutes":10}"#,
            ),
        ] {
            let read = run(kind, body).unwrap();
            assert_eq!(read.as_str(), kind);
        }
        let read = run("JoinSignal", r#"{"signal":"s7","incident":"i9"}"#).unwrap();
        let (signal, incident) = (SignalId(Seq::new(7)), IncidentId(Seq::new(9)));
        assert_eq!(read, CommandKind::JoinSignal { signal, incident });
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let long = format!(r#"{{"incident":"i9","text":"{}"}}"#, "x".repeat(TEXT_BYTES_MAX + 1));
        for (kind, body, where_) in [
            ("OpenSession", "{}", "`kind`"),
            ("Nonsense", "{}", "`kind`"),
            ("JoinSignal", "{}", "`body`"),
            ("JoinSignal", r#"{"signal":"s7","incident":"i9","more":1}"#, "`body`"),
            ("JoinSignal", r#"{"signal":"i7","incident":"i9"}"#, "body.signal"),
            ("JoinSignal", r#"{"signal":"s7","incident":"9"}"#, "body.incident"),
            ("OpenIncident", r#"{"signals":[],"kind":"ems"}"#, "body.signals"),
            ("OpenIncident", r#"{"signals":["s7"],"kind":"war"}"#, "body.kind"),
            ("OpenIncident", r#"{"signals":["s7"],"kind":"ems","subkind":"x"}"#, "body.subkind"),
            ("OpenIncident", r#"{"signals":["s7"],"kind":"ems","lat":37.0}"#, "body.lat, body.lon"),
            (
                "SetPlace",
                r#"{"incident":"i9","confirmed":true,"lat":140.9,"lon":37.0}"#,
                "body.lat, body.lon",
            ),
            (
                "SetPlace",
                r#"{"incident":"i9","confirmed":true,"lat":1e300,"lon":37.0}"#,
                "body.lat, body.lon",
            ),
            ("SetPlace", r#"{"incident":"i9"}"#, "`body`"),
            ("SetKind", r#"{"incident":"i9","kind":"x"}"#, "body.kind"),
            ("CallBack", r#"{"signal":"s7","outcome":"x"}"#, "body.outcome"),
            ("AnswerCall", r#"{"signal":"s7"}"#, "`body`"),
            ("SaveDraft", r#"{"form":"","text":"x"}"#, "body.form"),
            ("ClearDraft", r#"{"form":""}"#, "body.form"),
            ("EndSignal", r#"{"signal":"s7","outcome":"x"}"#, "body.outcome"),
            ("CloseIncident", r#"{"incident":"i9","outcome":"x"}"#, "body.outcome"),
            ("OrderUnits", r#"{"incident":"i9","units":[]}"#, "body.units"),
            ("UnitStatus", r#"{"unit":"平1","status":"XX"}"#, "body.status"),
            ("UnitStatus", r#"{"unit":"平1","status":"OS","at":"14:05"}"#, "body.at"),
            ("SetAvailability", r#"{"unit":"平1","availability":"OO"}"#, "body.availability"),
            (
                "SetAvailability",
                r#"{"unit":"平1","availability":"OO","reason":"tired"}"#,
                "body.reason",
            ),
            ("AddNote", r#"{"incident":"i9","text":"  "}"#, "body.text"),
            ("AddNote", &long, "body.text"),
        ] {
            let error = run(kind, body).unwrap_err();
            let Fault::Malformed { place, .. } = &error else { panic!("{error:?}") };
            assert_eq!(place, where_, "{kind} {body}");
        }
        let full = run("AddNote", r#"{"incident":"i9","text":"no room"}"#);
        assert_eq!(full, Err(Fault::Internal), "nothing is taken that cannot be sealed");
    }

    #[test]
    fn limits_hold_at_the_limit_and_one_more() {
        let signals = |n: usize| {
            let list = vec![r#""s7""#; n].join(",");
            run("OpenIncident", &format!(r#"{{"signals":[{list}],"kind":"ems"}}"#))
        };
        assert!(signals(64).is_ok());
        assert!(signals(65).is_err());
        let draft = |form: usize, text: usize| {
            let (form, text) = ("x".repeat(form), "x".repeat(text));
            run("SaveDraft", &format!(r#"{{"form":"{form}","text":"{text}"}}"#))
        };
        assert!(draft(FORM_BYTES_MAX, DRAFT_BYTES_MAX).is_ok());
        assert!(draft(FORM_BYTES_MAX + 1, 1).is_err());
        assert!(draft(1, DRAFT_BYTES_MAX + 1).is_err());
        let text = "x".repeat(TEXT_BYTES_MAX);
        assert!(run("AddNote", &format!(r#"{{"incident":"i9","text":"{text}"}}"#)).is_ok());
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7() {
        for bad in ["", "1", "550e8400-e29b-41d4-a716-446655440000"] {
            let text = format!(r#"{{"id":"{bad}","kind":"ErasePerson","body":{{"person":1}}}}"#);
            let error = read(text.as_bytes(), &Wax).unwrap_err();
            assert!(matches!(&error, Fault::Malformed { place, .. } if place == "`id`"), "{bad}");
        }
        for bad in ["", "[]", "{}", "{", "\u{0}"] {
            let error = read(bad.as_bytes(), &Wax).unwrap_err();
            assert!(matches!(&error, Fault::Malformed { place, .. } if place == "the body"));
        }
    }
}
