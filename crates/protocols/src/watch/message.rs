//! Messages: what a content means and how it is answered.

use hansho_model::{Finding, FrameFault, Position, Telemetry};
use jiff::Timestamp;

use super::findings;
use super::frame::unescape;
use super::position::PositionReport;
use super::reading::whole;
use crate::FrameError;

/// A message, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type as sent, such as `UD_LTE`.
    pub kind: String,
    /// What it means.
    pub meaning: Meaning,
}

/// What a message means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// INIT: the device starts.
    Start,
    /// LK: it is still there.
    Link {
        /// Steps and battery; an empty keep-alive has neither.
        said: Option<(Option<u32>, Option<u8>)>,
    },
    /// UD, WT: where it is.
    Place(Box<PositionReport>),
    /// UD2: where it was, kept and sent later.
    StoredPlace(Box<PositionReport>),
    /// AL: an alarm; it repeats until it is answered.
    Alarm(Box<PositionReport>),
    /// TKQ, TKQ2: it asks whether voice waits for it.
    VoicePoll,
    /// Pulse in beats a minute; blood pressure and oxygen, temperature without one.
    Health {
        /// Pulse.
        pulse: Option<u16>,
    },
    /// TK: voice; JXTK: voice in parts.
    Voice {
        /// Whether it is all there now.
        whole: bool,
        /// Whether it came in parts.
        in_parts: bool,
    },
    /// A picture.
    Picture,
    /// A configuration told back, an answer to a command.
    Echo,
}

impl Message {
    /// What the server answers once the message is durable.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        match &self.meaning {
            Meaning::Start => Some("INIT,1"),
            Meaning::Link { .. } => Some("LK"),
            Meaning::Alarm(_) => Some("AL"),
            Meaning::VoicePoll => Some(&self.kind),
            Meaning::Voice { in_parts: true, .. } => Some("JXTKR,1"),
            Meaning::Voice { in_parts: false, .. }
            | Meaning::Place(_)
            | Meaning::StoredPlace(_)
            | Meaning::Health { .. }
            | Meaning::Picture
            | Meaning::Echo => None,
        }
    }

    /// What it says beside alarms; `None` when it says nothing of the wearer.
    #[must_use]
    pub fn telemetry(&self) -> Option<Telemetry> {
        match &self.meaning {
            Meaning::Start | Meaning::VoicePoll | Meaning::Echo => None,
            Meaning::Link { said: None } | Meaning::Voice { whole: false, .. } => None,
            Meaning::Link { said: Some((steps, battery)) } => {
                Some(Telemetry { steps: *steps, battery: *battery, ..Telemetry::default() })
            }
            Meaning::Place(report) | Meaning::Alarm(report) => Some(report.telemetry(false)),
            Meaning::StoredPlace(report) => Some(report.telemetry(true)),
            Meaning::Health { pulse } => Some(Telemetry { pulse: *pulse, ..Telemetry::default() }),
            Meaning::Voice { whole: true, .. } | Meaning::Picture => Some(Telemetry::default()),
        }
    }

    /// Its position, if it carries one.
    #[must_use]
    pub const fn report(&self) -> Option<&PositionReport> {
        if let Meaning::Place(report) | Meaning::StoredPlace(report) | Meaning::Alarm(report) =
            &self.meaning
        {
            return Some(report);
        }
        None
    }

    /// Where the wearer is, if the device knows.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.report().and_then(PositionReport::position)
    }

    /// The findings, given the status of the message before it on this connection.
    #[must_use]
    pub fn findings(&self, before: Option<u32>) -> Vec<Finding> {
        let Some(report) = self.report() else { return Vec::new() };
        if matches!(self.meaning, Meaning::Alarm(_)) {
            return findings::of_alarm(report.status);
        }
        if matches!(self.meaning, Meaning::StoredPlace(_)) {
            // An alarm is one whenever it happened; an old state is no change of today's.
            return findings::of_state(report.status & findings::ALARM, None);
        }
        findings::of_state(report.status, before)
    }
}

/// Reads a frame's content, escapes and all.
///
/// # Errors
///
/// When it is no text of the protocol; it is then dropped without an answer.
pub fn decode(now: Timestamp, content: &[u8]) -> Result<Message, FrameError> {
    let plain = match unescape(content) {
        Some(plain) => plain,
        // Names of Wi-Fi stations come unescaped; an alarm must not be lost for a brace in one.
        None if is_position(&kind_of(content)) => content.to_vec(),
        None => return Err(malformed("`}` is followed by 01 to 05 only")),
    };
    let kind = kind_of(&plain);
    if kind.is_empty() || !kind.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        return Err(malformed("a content begins with its type"));
    }
    let rest = plain.get(kind.len()..).unwrap_or_default();
    let parameters = rest.strip_prefix(b",");
    let text = String::from_utf8_lossy(parameters.unwrap_or_default());
    let fields: Vec<&str> = text.split(',').collect();
    let meaning = match (kind.as_str(), parameters) {
        ("INIT", _) => Meaning::Start,
        ("LK", _) => Meaning::Link { said: link(&fields) },
        ("TKQ" | "TKQ2", _) => Meaning::VoicePoll,
        ("TK" | "TK2", Some(data)) if data.len() != 1 => {
            Meaning::Voice { whole: true, in_parts: false }
        }
        ("JXTK", Some(_)) => part(&fields)?,
        ("img", Some(_)) => Meaning::Picture,
        (word, _) if is_position(word) => position(word, &fields, now)?,
        (word, Some(_)) => health(word, &fields)?.unwrap_or(Meaning::Echo),
        _ => Meaning::Echo,
    };
    Ok(Message { kind, meaning })
}

/// The type: what stands before the first comma.
fn kind_of(content: &[u8]) -> String {
    let kind = content.split(|byte| *byte == b',').next().unwrap_or_default();
    String::from_utf8_lossy(kind).into_owned()
}

/// UD, AL and WT have many variants: `UD2`, `UD_LTE`, `ALCUSTOMER1`.
fn is_position(kind: &str) -> bool {
    ["UD", "AL", "WT"].iter().any(|prefix| kind.starts_with(prefix))
}

fn position(kind: &str, fields: &[&str], now: Timestamp) -> Result<Meaning, FrameError> {
    let alarm = kind.starts_with("AL");
    let report = PositionReport::read(fields, now, alarm).map(Box::new).ok_or_else(|| {
        malformed("a position has 16 fields: date, time, A or V, place ... status")
    })?;
    Ok(match kind {
        _ if alarm => Meaning::Alarm(report),
        "UD2" => Meaning::StoredPlace(report),
        _ => Meaning::Place(report),
    })
}

/// Steps, rollovers, battery.
fn link(fields: &[&str]) -> Option<(Option<u32>, Option<u8>)> {
    let [steps, _rollovers, battery, ..] = fields else { return None };
    Some((whole(steps), whole(battery).filter(|percent: &u8| *percent <= 100)))
}

/// Type, file, part, parts, data.
fn part(fields: &[&str]) -> Result<Meaning, FrameError> {
    let number = |place: usize| fields.get(place).and_then(|text| whole::<u16>(text));
    match (number(2), number(3)) {
        (Some(part), Some(parts)) => Ok(Meaning::Voice { whole: part >= parts, in_parts: true }),
        _ => Err(malformed("voice in parts says which part of how many")),
    }
}

/// Values of the body. Written in either case.
fn health(kind: &str, fields: &[&str]) -> Result<Option<Meaning>, FrameError> {
    let pulse_at = match kind.to_ascii_lowercase().as_str() {
        "pulse" | "heart" => Some(0),
        "blood" | "bphrt" => Some(2),
        "oxygen" | "temp" | "btemp2" => None,
        _ => return Ok(None),
    };
    let pulse = pulse_at.and_then(|place: usize| fields.get(place)).filter(|text| !text.is_empty());
    let pulse = pulse
        .map(|text| whole(text).ok_or_else(|| malformed("a pulse is a whole number")))
        .transpose()?;
    Ok(Some(Meaning::Health { pulse }))
}

const fn malformed(hint: &'static str) -> FrameError {
    FrameError::new(FrameFault::MalformedBody, hint, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Message, FrameError> {
        decode("2026-08-21T12:00:00Z".parse().unwrap(), content)
    }

    fn answer(content: &[u8]) -> Option<String> {
        read(content).unwrap().answer().map(str::to_owned)
    }

    const PLACE: &str = "210826,115500,A,37.050419,N,140.8876800,E,3.70,120.5,15.0,9,80,67,1234,0";

    #[test]
    fn each_type_has_its_answer() {
        assert_eq!(answer(b"INIT,13800000000,0,watch,1").unwrap(), "INIT,1");
        assert_eq!(answer(b"LK").unwrap(), "LK");
        assert_eq!(answer(b"TKQ2").unwrap(), "TKQ2");
        assert_eq!(answer(b"JXTK,0,file,1,6,#!AMR").unwrap(), "JXTKR,1");
        assert_eq!(answer(format!("AL_LTE,{PLACE},00010000,0,0").as_bytes()).unwrap(), "AL");
        for silent in ["heart,71", "TK,#!AMR", "TK,1", "CONFIG,TY:g36a", "rcapture", "img,5,1,x"] {
            assert_eq!(answer(silent.as_bytes()), None, "{silent}");
        }
        assert_eq!(answer(format!("UD,{PLACE},00000000").as_bytes()), None);
    }

    #[test]
    fn what_says_nothing_of_the_wearer_has_no_telemetry() {
        let told = |content: &[u8]| read(content).unwrap().telemetry();
        for content in [&b"INIT,1"[..], b"LK", b"LK,0,100", b"TKQ", b"TK,1", b"heart", b"CONFIG,a"]
        {
            assert_eq!(told(content), None, "{}", content.escape_ascii());
        }
        assert_eq!(told(b"JXTK,0,file,1,6,x"), None);
        assert_eq!(told(b"JXTK,0,file,6,6,x"), Some(Telemetry::default()));
        let link = told(b"LK,50,100,85").unwrap();
        assert_eq!((link.steps, link.battery, link.fix), (Some(50), Some(85), None));
        assert_eq!(told(b"bphrt,120,73,73,0,").unwrap().pulse, Some(73));
        assert_eq!(told(b"PULSE,72").unwrap().pulse, Some(72));
        assert_eq!(told(b"BLOOD,109,68").unwrap().pulse, None);
        assert!(told(format!("UD2,{PLACE},00000000").as_bytes()).unwrap().stored);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let broken = ["", ",1", "UD,210826", "AL,help", "heart,fast", "JXTK,0,file,x,6,", "TK,}x"];
        for content in broken {
            assert_eq!(read(content.as_bytes()).unwrap_err().fault, FrameFault::MalformedBody);
        }
        // A brace in a station's name does not cost the alarm.
        let message = read(format!("AL,{PLACE},00010000,0,1,a}}b,m,-61,9").as_bytes()).unwrap();
        assert_eq!(message.findings(None).len(), 1);
    }
}
