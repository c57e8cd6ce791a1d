//! What the frames and datagrams say.

use hansho_model::{
    Availability, AvailabilityReason, CommandId, Door, EffectId, IncidentId, IncidentKind,
    IncidentSubkind, MetresU32, Mode, OrderWord, Position, RefusalCode, Report, Seq, UnitStatus,
    Usable, is_terminal_id,
};
use jiff::Timestamp;

use crate::FrameError;
use crate::mqtt::fields::Fields;
use crate::mqtt::json::Quoted;
use crate::mqtt::{self, Class};

/// Version of what is spoken on a stream, in its hello.
const VERSION: i64 = 1;
/// Bytes of a UUID as text.
const UUID_SIZE: usize = 36;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamClass {
    /// The crew is in danger: before everything else.
    Alarm,
    /// Acknowledgements and statuses up, orders down.
    Crew,
}

impl StreamClass {
    const fn letter(self) -> &'static str {
        match self {
            Self::Alarm => "A",
            Self::Crew => "B",
        }
    }
}

/// The first frame of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the stream is for.
    pub class: StreamClass,
    /// The terminal's id, in upper case; its certificate must say the same.
    pub terminal: String,
}

/// What a terminal's crew says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrewSaid {
    /// A status was reached: a press of a button.
    Status {
        /// The status.
        status: UnitStatus,
        /// When it was pressed, by the terminal's clock.
        at: Option<Timestamp>,
        /// For which incident, when it is not the one at work.
        incident: Option<IncidentId>,
    },
    /// The unit may be used, or may not.
    Availability(Usable),
}

/// A press, with the id that makes a repeat recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Press {
    /// Made by the terminal.
    pub id: CommandId,
    /// What.
    pub said: CrewSaid,
}

/// Which order: the effect's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub EffectId);

impl std::fmt::Display for OrderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0.seq, self.0.index)
    }
}

impl OrderKey {
    fn from_text(text: &str) -> Option<Self> {
        let (seq, index) = text.split_once('.')?;
        Some(Self(EffectId { seq: Seq::new(seq.parse().ok()?), index: index.parse().ok()? }))
    }
}

/// What comes up on the crew's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Up {
    /// A press.
    Press(Press),
    /// The order is on the terminal's screen. It has no answer.
    Received(OrderKey),
}

/// An order, as it stands on the terminal's screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its key: what comes again with the same key is the same.
    pub key: OrderKey,
    /// Whether it is given, changed, or taken back.
    pub word: OrderWord,
    /// To which incident; one thing stands on the screen for each.
    pub incident: IncidentId,
    /// The incident's number of the day.
    pub number: String,
    /// Kind.
    pub kind: IncidentKind,
    /// Second level of the kind.
    pub subkind: Option<IncidentSubkind>,
    /// When it was given.
    pub at: Timestamp,
    /// The place in words.
    pub place: Option<String>,
    /// The place, when known.
    pub position: Option<Position>,
    /// How far off it may be.
    pub radius: Option<MetresU32>,
    /// Call signs of all units of this order.
    pub units: Vec<String>,
    /// Whether this is the real thing.
    pub mode: Mode,
}

/// Reads a stream's first frame.
///
/// # Errors
///
/// It is no hello of a version that is spoken here.
pub fn hello(content: &[u8]) -> Result<Hello, FrameError> {
    Fields::whole(content, |fields| {
        let version = fields.integer("hello", VERSION, VERSION);
        let class = fields.word("class", |word| match word {
            "A" => Some(StreamClass::Alarm),
            "B" => Some(StreamClass::Crew),
            _ => None,
        });
        let terminal = fields.word("terminal", |id| is_terminal_id(id).then(|| id.to_owned()));
        version?;
        Some(Hello { class: class?, terminal: terminal?.to_ascii_uppercase() })
    })
    .ok_or(bad(r#"a stream begins with {"hello":1,"class":"A" or "B","terminal":"..."}"#, true))
}

/// The answer to a hello; the terminal sets its clock by it.
#[must_use]
pub fn welcome(class: StreamClass, now: Timestamp) -> Vec<u8> {
    let letter = class.letter();
    format!(r#"{{"hello":{VERSION},"class":"{letter}","time":"{now}"}}"#).into_bytes()
}

/// Reads a frame of the crew's stream.
///
/// # Errors
///
/// It cannot be read; the stream lives on, and the frame is not answered unless its `id` is legible
/// (see [`refused`]).
pub fn up(content: &[u8]) -> Result<Up, (Option<CommandId>, FrameError)> {
    let read = |fields: &mut Fields| {
        if let Some(key) = fields.word("received", OrderKey::from_text) {
            return Some(Up::Received(key));
        }
        let id = fields.word("id", uuid)?;
        let said = match fields.word("status", UnitStatus::from_word) {
            Some(status) => {
                let at = fields.time("at");
                let incident = fields.word("incident", |text| text.parse().ok());
                CrewSaid::Status { status, at, incident }
            }
            None => CrewSaid::Availability(usable(fields)?),
        };
        Some(Up::Press(Press { id, said }))
    };
    Fields::whole(content, read).ok_or_else(|| {
        let hint = "a press is {\"id\":\"<uuid>\",\"status\":\"ER\",\"at\":\"<time>\"}";
        // Whoever sent it shall hear that it was not taken, and not send it for ever.
        (Fields::any(content, |fields| fields.word("id", uuid)), bad(hint, false))
    })
}

fn usable(fields: &mut Fields) -> Option<Usable> {
    let availability = fields.word("availability", Availability::from_word)?;
    let reason = fields.word("reason", AvailabilityReason::from_word);
    let minutes = fields.integer("minutes", 1, 1_440).and_then(|count| u16::try_from(count).ok());
    let usable = Usable { availability, reason, minutes };
    usable.is_whole().then_some(usable)
}

/// That a press is durable, with the number of its event.
#[must_use]
pub fn stored(id: CommandId, seq: Seq) -> Vec<u8> {
    format!(r#"{{"id":"{}","seq":{seq}}}"#, uuid_text(id)).into_bytes()
}

/// That a press was refused for good; to send it again is of no use.
#[must_use]
pub fn refused(id: CommandId, code: RefusalCode) -> Vec<u8> {
    format!(r#"{{"id":"{}","refused":"{code}"}}"#, uuid_text(id)).into_bytes()
}

/// Reads a frame of the alarm's stream: the JSON of an alarm over MQTT. One that cannot be read is
/// an alarm that nobody may trust, and shown all the same. Its counter is what its answer names.
#[must_use]
pub fn alarm(terminal: &str, content: &[u8]) -> (Option<u64>, Report) {
    let report = mqtt::foreign_report(terminal, Class::Alarm, "alarm", content);
    let counter = Fields::any(content, |fields| fields.counter());
    (counter, Report { door: Door::Quic, ..report })
}

/// That an alarm is durable; without a counter the next answer is that of the oldest that waits.
#[must_use]
pub fn stored_alarm(counter: Option<u64>) -> Vec<u8> {
    let counter = counter.map_or_else(|| "null".to_owned(), |counter| counter.to_string());
    format!(r#"{{"n":{counter},"stored":true}}"#).into_bytes()
}

/// Reads a datagram: the JSON of telemetry over MQTT.
#[must_use]
pub fn position(terminal: &str, content: &[u8]) -> Report {
    let report = mqtt::foreign_report(terminal, Class::Telemetry, "telemetry", content);
    Report { door: Door::Quic, ..report }
}

/// The report that a terminal is there.
#[must_use]
pub fn arrived(terminal: &str) -> Report {
    Report { door: Door::Quic, ..mqtt::sign_of_life(terminal) }
}

/// The report that the link to a terminal broke.
#[must_use]
pub fn lost(terminal: &str, now: Timestamp) -> Report {
    Report { door: Door::Quic, ..mqtt::connection_lost(terminal, now) }
}

impl Order {
    /// The frame that puts it on the screen.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let Self {
            key,
            word,
            incident,
            number,
            kind,
            subkind,
            at,
            place,
            position,
            radius,
            units,
            mode,
        } = self;
        let mut text = format!(
            r#"{{"order":"{key}","state":"{word}","incident":"{incident}","number":{},"kind":"{kind}""#,
            Quoted(number)
        );
        let mut add = |name: &str, value: String| {
            text.push_str(&format!(r#","{name}":{value}"#));
        };
        if let Some(subkind) = subkind {
            add("subkind", format!("\"{subkind}\""));
        }
        add("at", format!("\"{at}\""));
        if let Some(place) = place {
            add("place", Quoted(place).to_string());
        }
        if let Some(position) = position {
            add("lat", degrees(position.lat.e7()));
            add("lon", degrees(position.lon.e7()));
        }
        if let Some(radius) = radius {
            add("radius_m", radius.0.to_string());
        }
        let units: Vec<_> = units.iter().map(|unit| Quoted(unit).to_string()).collect();
        add("units", format!("[{}]", units.join(",")));
        add("mode", format!("\"{mode}\""));
        text.push('}');
        text.into_bytes()
    }
}

/// As a decimal number of degrees.
fn degrees(e7: i32) -> String {
    let sign = if e7 < 0 { "-" } else { "" };
    let units = e7.unsigned_abs();
    let (whole, rest) = (units / 10_000_000, units % 10_000_000);
    format!("{sign}{whole}.{rest:07}")
}

/// A UUID in its usual form.
fn uuid(text: &str) -> Option<CommandId> {
    let places = [8, 13, 18, 23];
    if text.len() != UUID_SIZE {
        return None;
    }
    let mut digits = Vec::with_capacity(32);
    for (place, byte) in text.bytes().enumerate() {
        match (places.contains(&place), byte) {
            (true, b'-') => {}
            (false, byte) => digits.push(char::from(byte).to_digit(16)?),
            (true, _) => return None,
        }
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(high.checked_mul(16)?.checked_add(*low)?).ok()?;
    }
    Some(CommandId(bytes))
}

fn uuid_text(id: CommandId) -> String {
    let mut text = String::with_capacity(UUID_SIZE);
    for (place, byte) in id.0.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

const fn bad(hint: &'static str, fatal: bool) -> FrameError {
    FrameError::new(hansho_model::FrameFault::BadPayload, hint, fatal)
}
