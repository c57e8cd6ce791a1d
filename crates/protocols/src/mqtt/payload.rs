//! The JSON of a message, as `schema.json` beside this file and the crate's README describe it.
//!
//! In states and telemetry everything must be right. In an alarm only its `alarms` decide: any
//! other field that is wrong is dropped and shown, and an alarm that cannot be read at all still
//! calls, as one that nobody may trust.

use hansho_model::{
    AlarmClass, AlarmKind, DegreesE7, Deviation, Finding, Fix, FixMethod, FrameFault, MetresU32,
    Phase, Position, Private, Telemetry,
};
use jiff::Timestamp;

use super::fields::Fields;
use super::json::{self, Value};
use super::topic::Class;

/// Longest payload that is read, in bytes.
pub const PAYLOAD_SIZE_MAX: usize = 4_096;
/// Most alarms of one message.
pub const ALARMS_MAX: usize = 8;
/// Greatest message counter: what every JSON library keeps whole.
pub const COUNTER_MAX: u64 = 9_007_199_254_740_991;
/// Longest text, in bytes.
const TEXT_SIZE_MAX: usize = 1_024;
/// Longest zone or code, in bytes.
const WORD_SIZE_MAX: usize = 16;

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) counter: Option<u64>,
    pub(super) observed_at: Option<Timestamp>,
    pub(super) findings: Vec<Finding>,
    pub(super) telemetry: Option<Telemetry>,
    pub(super) text: Option<Private<String>>,
    pub(super) refused: Option<FrameFault>,
    pub(super) deviations: Vec<Deviation>,
}

impl Said {
    /// Where the device says it is.
    pub(super) fn position(&self) -> Option<Position> {
        self.telemetry?.fix.filter(|fix| fix.valid).map(|fix| fix.position)
    }

    /// Whether somebody must act or look.
    pub(super) fn calls(&self) -> bool {
        self.findings.iter().any(|finding| {
            matches!(finding.class, AlarmClass::Life | AlarmClass::Check)
                && finding.phase != Phase::Restored
        })
    }
}

/// Reads a payload that came on a topic of this class.
pub(super) fn read(class: Class, payload: &[u8]) -> Said {
    let value = (payload.len() <= PAYLOAD_SIZE_MAX).then(|| json::parse(payload)).flatten();
    let (mut said, faults) = match value {
        Some(Value::Map(map)) => {
            let mut fields = Fields::new(map);
            let said = message(&mut fields);
            (said, fields.end())
        }
        _ => (Said::default(), 1),
    };
    let sound = match class {
        Class::Alarm => {
            if said.findings.is_empty() {
                said.findings.push(unreadable());
                false
            } else {
                if faults > 0 {
                    said.deviations.push(Deviation::LoosePayload);
                }
                true
            }
        }
        // What calls for help must come as an alarm; it is shown all the same.
        Class::State => faults == 0 && !said.findings.is_empty() && !said.calls(),
        Class::Telemetry => faults == 0 && said.findings.is_empty(),
    };
    if !sound {
        said.refused = Some(FrameFault::BadPayload);
    }
    if said.counter.is_none() && class != Class::Telemetry {
        said.deviations.push(Deviation::SequenceZero);
    }
    said
}

fn unreadable() -> Finding {
    Finding {
        class: AlarmClass::Life,
        kind: AlarmKind::Unreadable,
        phase: Phase::New,
        code: String::new(),
        zone: String::new(),
    }
}

fn message(fields: &mut Fields) -> Said {
    let counter = fields.counter();
    let observed_at = fields.time("observed_at");
    let mut findings = alarms(fields);
    // The sort is stable: among equally urgent ones the first stays first.
    findings.sort_by_key(|finding| finding.class);
    let telemetry = Telemetry {
        fix: fields.nested("position", fix),
        battery: fields.small("battery", 100),
        charging: fields.truth("charging"),
        steps: fields.integer("steps", 0, 1_000_000).and_then(|steps| u32::try_from(steps).ok()),
        pulse: fields.integer("pulse", 1, 400).and_then(|pulse| u16::try_from(pulse).ok()),
        stored: fields.truth("stored").unwrap_or_default(),
    };
    Said {
        counter,
        observed_at,
        findings,
        telemetry: (telemetry != Telemetry::default()).then_some(telemetry),
        text: fields.text("text", TEXT_SIZE_MAX).filter(|text| !text.is_empty()).map(Private),
        refused: None,
        deviations: Vec::new(),
    }
}

fn fix(fields: &mut Fields) -> Option<Fix> {
    let lat = fields.decimal("lat", 7, -900_000_000..=900_000_000);
    let lon = fields.decimal("lon", 7, -1_800_000_000..=1_800_000_000);
    let at = fields.time("at");
    let valid = fields.truth("valid").unwrap_or(true);
    let method = fields.word("method", FixMethod::from_word);
    let accuracy = fields.decimal("accuracy_m", 0, 0..=100_000);
    let speed = fields.decimal("speed_kmh", 2, 0..=100_000);
    let course = fields.decimal("course", 2, 0..=35_999);
    let altitude = fields.decimal("altitude_m", 2, -1_000_000..=1_000_000);
    let satellites = fields.small("satellites", 99);
    let degrees = |e7: i64| i32::try_from(e7).ok().map(DegreesE7::from_e7);
    Some(Fix {
        position: Position::new(degrees(lat?)?, degrees(lon?)?)?,
        at,
        valid,
        method: method.unwrap_or(FixMethod::Unknown),
        accuracy: accuracy.and_then(|metres| u32::try_from(metres).ok()).map(MetresU32),
        speed_e2_kmh: speed.and_then(|speed| u32::try_from(speed).ok()),
        course_e2: course.and_then(|course| u16::try_from(course).ok()),
        altitude_cm: altitude.and_then(|altitude| i32::try_from(altitude).ok()),
        satellites,
    })
}

fn alarms(fields: &mut Fields) -> Vec<Finding> {
    let list = match fields.take("alarms") {
        None => return Vec::new(),
        Some(Value::List(list)) => list,
        Some(_) => {
            fields.fault();
            return Vec::new();
        }
    };
    let mut findings = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        if let Value::Map(map) = value
            && index < ALARMS_MAX
        {
            let mut inner = Fields::new(map);
            findings.extend(finding(&mut inner));
            fields.faults(inner.end());
        } else {
            fields.fault();
        }
    }
    findings
}

/// An alarm of a kind we have no word for is one all the same.
fn finding(fields: &mut Fields) -> Option<Finding> {
    let named = fields.text("kind", 64);
    // A call to 119 is a person's, and so is a message, whatever a device says.
    let known = named.as_deref().and_then(AlarmKind::from_word);
    let known = known.filter(|kind| !matches!(kind, AlarmKind::Call | AlarmKind::Message));
    let kind = known.unwrap_or(AlarmKind::Other);
    let phase = fields.word("phase", Phase::from_word).unwrap_or(Phase::New);
    let zone = fields.text("zone", WORD_SIZE_MAX).unwrap_or_default();
    let code = fields.text("code", WORD_SIZE_MAX).unwrap_or_default();
    let named = named.or_else(|| {
        fields.fault();
        None
    })?;
    let code = if known.is_none() && code.is_empty() { named } else { code };
    Some(Finding { class: class(kind), kind, phase, code: word(&code), zone: word(&zone) })
}

/// How urgent a kind is by itself.
const fn class(kind: AlarmKind) -> AlarmClass {
    match kind {
        AlarmKind::Help
        | AlarmKind::Medical
        | AlarmKind::Fall
        | AlarmKind::Fire
        | AlarmKind::Gas
        | AlarmKind::Panic
        | AlarmKind::Voice
        | AlarmKind::Call
        | AlarmKind::Other
        | AlarmKind::Unreadable => AlarmClass::Life,
        AlarmKind::Water
        | AlarmKind::Temperature
        | AlarmKind::Inactivity
        | AlarmKind::NoReport
        | AlarmKind::Removal
        | AlarmKind::LeftZone
        | AlarmKind::Message
        | AlarmKind::Silent => AlarmClass::Check,
        AlarmKind::Mains
        | AlarmKind::Battery
        | AlarmKind::Radio
        | AlarmKind::Line
        | AlarmKind::Tamper
        | AlarmKind::Clock => AlarmClass::Fault,
        AlarmKind::Cancel | AlarmKind::Presence | AlarmKind::EnteredZone => AlarmClass::Note,
        AlarmKind::Test => AlarmClass::Test,
    }
}

/// Cuts to what a finding's words may hold.
fn word(text: &str) -> String {
    text.chars().filter(|sign| matches!(sign, ' '..='~')).take(WORD_SIZE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(class: Class, text: &str) -> Said {
        read(class, text.as_bytes())
    }

    fn words(said: &Said) -> Vec<String> {
        let word = |each: &Finding| {
            format!("{} {} {} {} {}", each.class, each.kind, each.phase, each.code, each.zone)
        };
        said.findings.iter().map(|each| word(each).trim_end().to_owned()).collect()
    }

    #[test]
    fn a_whole_message_is_read_in_integers() {
        let said = told(
            Class::Telemetry,
            r#"{"n":9007199254740991,"observed_at":"2026-11-23T14:40:48.0000009+09:00","position":{"lat":37.0505,"lon":140.88766669,
                "accuracy_m":12.5,"method":"gnss","at":"2026-11-23T05:40:47Z","speed_kmh":3.456,"course":359.99,"altitude_m":-1.5,
                "satellites":9},"battery":100,"charging":false,"steps":1234,"pulse":72,"stored":true,"text":"\u671d"}"#,
        );
        assert_eq!((said.refused, said.counter), (None, Some(COUNTER_MAX)));
        assert_eq!(said.observed_at.unwrap().to_string(), "2026-11-23T05:40:48Z");
        let position = said.position().unwrap();
        assert_eq!((position.lat.e7(), position.lon.e7()), (370_505_000, 1_408_876_666));
        let telemetry = said.telemetry.unwrap();
        let fix = telemetry.fix.unwrap();
        assert_eq!(
            (fix.accuracy, fix.speed_e2_kmh, fix.course_e2),
            (Some(MetresU32(12)), Some(345), Some(35_999))
        );
        assert_eq!(
            (fix.altitude_cm, fix.satellites, fix.method),
            (Some(-150), Some(9), FixMethod::Gnss)
        );
        assert_eq!(
            (telemetry.battery, telemetry.charging, telemetry.stored),
            (Some(100), Some(false), true)
        );
        assert_eq!((telemetry.steps, telemetry.pulse), (Some(1_234), Some(72)));
        assert_eq!(said.text.unwrap().0, "朝");
    }

    #[test]
    fn an_alarm_rings_whatever_else_is_wrong_with_it() {
        let said = told(
            Class::Alarm,
            r#"{"n":1,"alarms":[{"kind":"battery"},{"kind":"fall","zone":"3"}],"position":{"lat":91,"lon":0},"rssi":-70}"#,
        );
        assert_eq!(words(&said), ["life fall new  3", "fault battery new"]);
        assert_eq!((said.refused, said.position()), (None, None));
        assert_eq!(said.deviations, [Deviation::LoosePayload]);
        let said = told(Class::Alarm, r#"{"alarms":[{"kind":"drowning"}]}"#);
        assert_eq!(words(&said), ["life other new drowning"]);
        assert_eq!(said.deviations, [Deviation::SequenceZero]);
        for unreadable in [
            "",
            "help!",
            "{}",
            r#"{"alarms":[]}"#,
            r#"{"alarms":"help"}"#,
            r#"{"alarms":[{"zone":"3"}]}"#,
            "[1]",
        ] {
            let said = told(Class::Alarm, unreadable);
            assert_eq!(words(&said), ["life unreadable new"], "{unreadable}");
            assert_eq!(said.refused, Some(FrameFault::BadPayload), "{unreadable}");
        }
        let long = format!(
            r#"{{"n":1,"alarms":[{{"kind":"help"}}],"text":"{}"}}"#,
            "x".repeat(PAYLOAD_SIZE_MAX)
        );
        assert_eq!(told(Class::Alarm, &long).refused, Some(FrameFault::BadPayload));
    }

    #[test]
    fn states_and_telemetry_must_be_right() {
        let sound = told(
            Class::State,
            r#"{"n":4,"alarms":[{"kind":"help","phase":"restored"},{"kind":"battery"}]}"#,
        );
        assert_eq!((sound.refused, words(&sound).len()), (None, 2));
        assert_eq!(told(Class::Telemetry, "{}").refused, None, "a sign of life");
        for (class, bad) in [
            (Class::State, r#"{"n":1}"#),
            (Class::State, r#"{"n":1,"alarms":[{"kind":"help"}]}"#),
            (Class::Telemetry, r#"{"n":1,"alarms":[{"kind":"help"}]}"#),
            (Class::Telemetry, r#"{"n":1,"rssi":-70}"#),
            (Class::Telemetry, r#"{"n":-1}"#),
            (Class::Telemetry, r#"{"n":1.5}"#),
            (Class::Telemetry, r#"{"n":9007199254740992}"#),
            (Class::Telemetry, r#"{"battery":101}"#),
            (Class::Telemetry, r#"{"battery":"full"}"#),
            (Class::Telemetry, r#"{"position":{"lat":90.00000001e0,"lon":0}}"#),
            (Class::Telemetry, r#"{"position":{"lat":90.0000001,"lon":0}}"#),
            (Class::Telemetry, r#"{"position":{"lat":90}}"#),
            (Class::Telemetry, r#"{"position":[90,0]}"#),
            (Class::Telemetry, r#"{"position":{"lat":90,"lon":0,"method":"dowsing"}}"#),
            (Class::Telemetry, r#"{"observed_at":"yesterday"}"#),
            (Class::Telemetry, r#"{"charging":1}"#),
            (Class::Telemetry, "NaN"),
        ] {
            assert_eq!(told(class, bad).refused, Some(FrameFault::BadPayload), "{bad}");
        }
        let shown = told(Class::State, r#"{"n":1,"alarms":[{"kind":"help"}]}"#);
        assert!(shown.calls(), "refused as a state, and shown all the same");
        assert_eq!(
            told(Class::Telemetry, r#"{"position":{"lat":1,"lon":2,"valid":false}}"#).position(),
            None
        );
    }

    /// The committed schema names exactly the fields that are read, and its examples are good.
    #[test]
    fn the_schema_says_what_is_read() {
        let Some(Value::Map(schema)) = json::parse_deep(include_bytes!("schema.json")) else {
            panic!()
        };
        let field = |map: &[(String, Value)], key: &str| {
            map.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()).unwrap()
        };
        let Value::List(examples) = field(&schema, "examples") else { panic!() };
        for (example, class) in examples.iter().zip([Class::Alarm, Class::State, Class::Telemetry])
        {
            let said = told(class, &json::write(example));
            assert_eq!((said.refused, said.deviations), (None, vec![]), "{example:?}");
        }
        let Value::Map(properties) = field(&schema, "properties") else { panic!() };
        let known = r#"{"n":1,"observed_at":"2026-11-23T05:40:48Z","battery":1,"charging":true,"steps":1,"pulse":1,"stored":true,"text":"x","position":{"lat":1,"lon":1}}"#;
        assert_eq!(told(Class::Telemetry, known).refused, None);
        let Some(Value::Map(known)) = json::parse(known.as_bytes()) else { panic!() };
        for (name, _) in &properties {
            assert!(name == "alarms" || known.iter().any(|(other, _)| other == name), "{name}");
        }
        assert_eq!(properties.len(), known.len() + 1);
    }

    #[test]
    fn at_most_eight_alarms_are_read() {
        let many = |count| {
            format!(r#"{{"n":1,"alarms":[{}]}}"#, vec![r#"{"kind":"help"}"#; count].join(","))
        };
        assert_eq!(told(Class::Alarm, &many(8)).deviations, []);
        let said = told(Class::Alarm, &many(9));
        assert_eq!((said.findings.len(), said.deviations), (8, vec![Deviation::LoosePayload]));
    }
}
