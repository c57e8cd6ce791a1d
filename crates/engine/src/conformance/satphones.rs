//! Cases of satellite modems (`iridium.sbdwb` to `iridium.msgeo`): what is written to them, and what
//! they say. Kinds of the SMS and of the gateway are skipped.

use hansho_protocols::sbd::{
    Buffer, Era, Line, LoadResult, MO_SIZE_MAX, MO_SIZE_MAX_9523, NetworkPlace, Reader, Token, Urc,
    checksum, load_command, load_data, takes,
};
use serde_json::{Map, Value, json};

use super::Mismatch;
use super::dc09::{equal, hex_field};
use crate::officer::hex;

/// How far a place may be off where the case does not say.
const TOLERANCE_DEG: f64 = 0.001;

/// A message on its way into the modem, seen from both sides.
pub(super) fn load(case: &Value) -> Result<(), Mismatch> {
    let size_max = size_max(case);
    if case.get("input_text").is_some() {
        let line = text_field(case)?;
        let size = line.trim().strip_prefix("AT+SBDWB=");
        let size = size.and_then(|size| size.parse().ok()).ok_or_else(|| no("a length", line))?;
        let ready = takes(size, size_max);
        let mut found = json!({ "ready_sent": ready });
        if !ready {
            found["result"] = json!(LoadResult::of(size, &[], size_max).code().to_string());
        }
        return compare(case, &found);
    }
    let bytes = hex_field(case, "input_hex")?;
    // Without a length of its own the case is a message; with one, what follows `READY`.
    let declared = case.get("declared_length").and_then(Value::as_u64);
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    let (size, data) = match declared {
        Some(size) => (size, bytes),
        None => (bytes.len(), load_data(&bytes)),
    };
    let result = LoadResult::of(size, &data, size_max);
    let sum = data.get(..size).map(checksum);
    compare(
        case,
        &json!({
            "command": format!("{}\r", load_command(size)),
            "after_ready_hex": hex(&data),
            "checksum": sum,
            "result": result.code().to_string(),
            "ready_sent": result != LoadResult::BadLength,
            "buffer_changed": result == LoadResult::Stored,
        }),
    )
}

/// What the modem takes that the case's name ends with; without one, it is a 9602.
fn size_max(case: &Value) -> usize {
    let name = case.get("name").and_then(Value::as_str).unwrap_or_default();
    let large = ["_9522", "_9522b", "_9523"].iter().any(|model| name.ends_with(model));
    if large { MO_SIZE_MAX_9523 } else { MO_SIZE_MAX }
}

/// The answer to `AT+SBDRB`; the reader takes it byte by byte.
pub(super) fn buffer(case: &Value) -> Result<(), Mismatch> {
    let bytes = hex_field(case, "input_hex")?;
    let mut reader = Reader::default();
    reader.expect_buffer();
    let mut tokens = bytes.iter().filter_map(|byte| reader.push(*byte));
    let token = tokens.find_map(|token| match token {
        Token::Buffer(answer) => Some(answer),
        Token::Line(_) => None,
    });
    let answer = token.unwrap_or_else(|| reader.expect_lines());
    let found = match Buffer::read(&answer) {
        None => json!({ "error": true, "checksum_ok": false }),
        Some(buffer) => json!({
            "length": buffer.length,
            "payload_hex": hex(buffer.message),
            "checksum": buffer.checksum,
            "checksum_ok": buffer.is_whole(),
            "error": !buffer.is_whole(),
        }),
    };
    compare(case, &found)
}

/// A line of any kind.
pub(super) fn line(case: &Value) -> Result<(), Mismatch> {
    let text = text_field(case)?;
    // One line, or an answer with empty lines and its `OK`.
    let lines = text.split(['\r', '\n']).map(|line| Line::read(line.as_bytes()));
    let known = lines.filter(|line| !matches!(line, Line::Other | Line::Ok)).collect::<Vec<_>>();
    let tolerance = case.get("tolerance_deg").and_then(Value::as_f64).unwrap_or(TOLERANCE_DEG);
    match known.first() {
        None => compare(case, &json!({ "error": true, "parse_ok": false })),
        Some(Line::Place(place)) => near(case, place, tolerance),
        Some(line) => compare(case, &said(line)),
    }
}

/// The network's clock, from a time.
pub(super) fn clock(case: &Value) -> Result<(), Mismatch> {
    let text = text_field(case)?;
    let at = text.parse().map_err(|error| Mismatch::new("input_text", "a time", error))?;
    let era = case.get("era").and_then(Value::as_str).unwrap_or("-");
    let era = ERAS.iter().find(|(name, _era)| *name == era).map(|(_name, era)| *era);
    let era = era.ok_or_else(|| Mismatch::missing("era"))?;
    let Some(frame) = era.frame(at) else {
        return compare(case, &json!({ "error": true }));
    };
    compare(case, &json!({ "ticks": frame, "line": format!("-MSSTM: {frame:x}") }))
}

const ERAS: [(&str, Era); 4] =
    [("ERA0", Era::Original), ("ERA1", Era::One), ("ERA2", Era::Two), ("ERA3", Era::Three)];

fn said(line: &Line) -> Value {
    match line {
        Line::Session(answer) => json!({
            "mo_status": answer.mo.0,
            "momsn": answer.momsn,
            "mt_status": answer.mt,
            "mtmsn": number(answer.mtmsn),
            "mt_length": answer.mt_size,
            "mt_queued": answer.mt_queued,
            "mo_ok": answer.mo.is_ok(),
            "class": answer.mo.class().as_str(),
        }),
        Line::Status(answer) => json!({
            "mo_flag": u8::from(answer.mo),
            "momsn": answer.momsn,
            "mt_flag": u8::from(answer.mt),
            "mtmsn": number(answer.mtmsn),
            "ra_flag": u8::from(answer.ring),
            "msg_waiting": answer.waiting,
        }),
        Line::Urc(urc) => unasked(*urc),
        Line::Bars(bars) => json!({ "bars": bars }),
        Line::Clock(None) => json!({ "ticks": null }),
        Line::Clock(Some(frame)) => {
            let at = |(name, era): &(&str, Era)| {
                ((*name).to_owned(), json!(format!("{:.3}", era.at(*frame))))
            };
            json!({ "ticks": frame, "utc": ERAS.iter().map(at).collect::<Map<_, _>>() })
        }
        Line::Ok
        | Line::Error
        | Line::Ready
        | Line::Code(_)
        | Line::Window(_)
        | Line::Place(_)
        | Line::Imei(_)
        | Line::Other => json!({}),
    }
}

fn unasked(urc: Urc) -> Value {
    match urc {
        Urc::Ring => json!({ "event": "sbd_ring" }),
        Urc::Signal(bars) => json!({ "event": "signal", "bars": bars }),
        Urc::Service(available) => json!({ "event": "service", "available": available }),
        Urc::HardwareFailure { part, error } => {
            json!({ "event": "hardware_failure", "sub": part, "subsystem": part, "err": error, "error": error })
        }
        Urc::Area { event, error } => json!({ "event": "areg", "areg_event": event, "err": error }),
    }
}

fn number(number: Option<u16>) -> i32 {
    number.map_or(-1, i32::from)
}

fn near(case: &Value, place: &NetworkPlace, tolerance: f64) -> Result<(), Mismatch> {
    let found = json!({
        "x": place.x_km, "y": place.y_km, "z": place.z_km, "ticks": place.frame,
    });
    let expect = case.get("expect").ok_or_else(|| Mismatch::missing("expect"))?;
    for (key, found) in found.as_object().into_iter().flatten() {
        if let Some(wanted) = expect.get(key) {
            equal(key, wanted, found)?;
        }
    }
    let degrees = |e7: i32| f64::from(e7) / 1e7;
    let angles = [("lat_geocentric", place.lat().e7()), ("lon", place.lon().e7())];
    for (key, found) in angles.map(|(key, e7)| (key, degrees(e7))) {
        let Some(wanted) = expect.get(key).and_then(Value::as_f64) else { continue };
        if (wanted - found).abs() > tolerance {
            return Err(Mismatch::new(key, wanted, found));
        }
    }
    Ok(())
}

/// Whatever the case names must be as it says; a key that we know nothing of fails it.
fn compare(case: &Value, found: &Value) -> Result<(), Mismatch> {
    let expect = case.get("expect").and_then(Value::as_object);
    for (key, wanted) in expect.ok_or_else(|| Mismatch::missing("expect"))? {
        let Some(found) = found.get(key) else {
            return Err(Mismatch::new(key, wanted, "nothing"));
        };
        match (wanted, found) {
            // Of the eras a case names some.
            (Value::Object(wanted), Value::Object(found)) => {
                for (name, wanted) in wanted {
                    equal(name, wanted, found.get(name).unwrap_or(&Value::Null))?;
                }
            }
            (wanted, found) => equal(key, wanted, found)?,
        }
    }
    Ok(())
}

fn text_field(case: &Value) -> Result<&str, Mismatch> {
    let text = case.get("input_text").and_then(Value::as_str);
    text.ok_or_else(|| Mismatch::missing("input_text"))
}

fn no(wanted: &str, found: &str) -> Mismatch {
    Mismatch::new("input_text", wanted, found)
}
