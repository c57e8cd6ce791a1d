//! Cases of the kinds `pidf-lo`, `geolocation-header` and `sip-request`: where a caller is.

use hansho_model::LocationSource;
use hansho_protocols::sip::decimal::Decimal;
use hansho_protocols::sip::geolocation;
use hansho_protocols::sip::message::Message;
use hansho_protocols::sip::multipart::Parts;
use hansho_protocols::sip::offer::{Conveyed, conveyed};
use hansho_protocols::sip::pidf::{self, Confidence, Geodetic, Located, Refused};
use serde_json::{Map, Value, json};

use super::Mismatch;

/// Units of 1e-9 by which two roundings of one number may differ.
const ROUNDING_E9: u64 = 1;

/// A document with a location.
pub(super) fn document(case: &Value) -> Result<(), Mismatch> {
    let input = text(case)?;
    compare("", expect(case)?, &located(&pidf::read(input.as_bytes())))
}

/// The value of a header.
pub(super) fn header(case: &Value) -> Result<(), Mismatch> {
    let found = match geolocation::parse(text(case)?) {
        Ok(values) => {
            let values: Vec<Value> = values
                .iter()
                .map(|value| json!({ "by": value.source.as_str(), "uri": value.uri }))
                .collect();
            json!({ "ok": true, "values": values })
        }
        Err(fault) => json!({ "ok": false, "error": fault.as_str() }),
    };
    compare("", expect(case)?, &found)
}

/// A whole request.
pub(super) fn request(case: &Value) -> Result<(), Mismatch> {
    let found = match Message::parse(text(case)?.as_bytes()) {
        Ok(message) => {
            let parts = Parts::of(&message);
            let types: Vec<&str> =
                parts.leaves.iter().map(|part| part.media_type.as_str()).collect();
            let lines = conveyed(&message, &parts);
            let locations: Vec<Value> = lines.iter().map(location).collect();
            json!({
                "ok": true, "method": message.method(), "ruri": message.uri(),
                "part_types": types, "locations": locations,
            })
        }
        Err(_no_message) => json!({ "ok": false, "error": "syntax" }),
    };
    compare("", expect(case)?, &found)
}

fn text(case: &Value) -> Result<&str, Mismatch> {
    case.get("input_text").and_then(Value::as_str).ok_or_else(|| Mismatch::missing("input_text"))
}

fn expect(case: &Value) -> Result<&Value, Mismatch> {
    case.get("expect").filter(|e| e.is_object()).ok_or_else(|| Mismatch::missing("expect"))
}

/// A line of `Geolocation`, as the cases show it.
fn location(line: &Conveyed) -> Value {
    let mut map = Map::new();
    if let Some(source) = line.source {
        map.insert("by".to_owned(), json!(source.as_str()));
    }
    match (&line.found, line.source) {
        (Err(_not_asked), Some(LocationSource::Reference)) => {
            map.insert("uri".to_owned(), json!(line.uri));
        }
        // A fault of the header, not of the document that it names.
        (Err(refused), None) => {
            map.insert("error".to_owned(), json!(refused.fault.as_str()));
        }
        (Err(refused), _) if refused.fault.as_str() == "cid-missing" => {
            map.insert("error".to_owned(), json!(refused.fault.as_str()));
        }
        (found, _) => {
            map.insert("result".to_owned(), located(found));
        }
    }
    Value::Object(map)
}

fn located(found: &Result<Located, Refused>) -> Value {
    let located = match found {
        Ok(located) => located,
        Err(refused) => return json!({ "ok": false, "error": refused.fault.as_str() }),
    };
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
    put("ok", json!(true));
    put("container", json!(located.container.as_str()));
    if let Some(geodetic) = &located.geodetic {
        shape(geodetic, &mut put);
    }
    if !located.civic.is_empty() {
        let civic = located.civic.iter().map(|(name, text)| (name.clone(), json!(text)));
        put("civic", Value::Object(civic.collect()));
    }
    if let Some(method) = &located.method {
        put("method", json!(method));
    }
    match located.confidence {
        Confidence::Absent => {}
        Confidence::Unknown => put("confidence", json!("unknown")),
        Confidence::Percent(percent) => put("confidence", number(percent)),
    }
    let mut warnings = Vec::new();
    match &located.timestamp {
        Some((text, _at)) => put("timestamp", json!(text)),
        None => warnings.push("no-timestamp"),
    }
    if located.more_locations {
        warnings.push("more-locations");
    }
    if !warnings.is_empty() {
        put("warnings", json!(warnings));
    }
    if let Some(fault) = located.partial_error {
        put("partial_error", json!(fault.as_str()));
    }
    Value::Object(map)
}

fn shape(geodetic: &Geodetic, put: &mut impl FnMut(&str, Value)) {
    put("shape", json!(geodetic.shape.as_str()));
    for (key, value) in [
        ("lat", geodetic.lat),
        ("lon", geodetic.lon),
        ("alt_m", geodetic.alt_m),
        ("radius_m", geodetic.radius_m),
        ("semi_major_m", geodetic.semi_major_m),
        ("semi_minor_m", geodetic.semi_minor_m),
        ("vertical_m", geodetic.vertical_m),
        ("orientation_deg", geodetic.orientation_deg),
        ("inner_m", geodetic.inner_m),
        ("outer_m", geodetic.outer_m),
        ("start_deg", geodetic.start_deg),
        ("opening_deg", geodetic.opening_deg),
        ("height_m", geodetic.height_m),
    ] {
        if let Some(value) = value {
            put(key, number(value));
        }
    }
    if !geodetic.ring.is_empty() {
        let points = geodetic.ring.iter().map(|(lat, lon)| json!([number(*lat), number(*lon)]));
        put("ring", Value::Array(points.collect()));
    }
}

/// As JSON writes it, digit by digit: no float comes in between.
fn number(decimal: Decimal) -> Value {
    serde_json::from_str(&decimal.to_string()).unwrap_or(Value::Null)
}

/// Holds what was found against what the case says: same keys, same values; numbers by their
/// value, as 18 and 18.0 are one.
fn compare(at: &str, wanted: &Value, found: &Value) -> Result<(), Mismatch> {
    let differs = || Mismatch::new(if at.is_empty() { "expect" } else { at }, wanted, found);
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let keys = wanted.keys().chain(found.keys());
            for key in keys {
                let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                let wanted = wanted.get(key).unwrap_or(&Value::Null);
                let found = found.get(key).unwrap_or(&Value::Null);
                compare(&place, wanted, found)?;
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{at}[{index}]"), wanted, found)?;
            }
            Ok(())
        }
        (Value::Number(one), Value::Number(other)) => {
            let read = |number: &serde_json::Number| Decimal::parse(&number.to_string()).ok();
            let (Some(one), Some(other)) = (read(one), read(other)) else { return Err(differs()) };
            let apart = one.e9().abs_diff(other.e9());
            if apart <= ROUNDING_E9 { Ok(()) } else { Err(differs()) }
        }
        (wanted, found) if wanted == found => Ok(()),
        _ => Err(differs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(expect: &Value) -> String {
        let case = json!({ "input_text": "<cid:a@b>", "expect": expect });
        header(&case).map_or_else(|mismatch| mismatch.to_string(), |()| "passed".to_owned())
    }

    #[test]
    fn a_case_that_says_something_else_fails() {
        let value = json!({ "by": "value", "uri": "cid:a@b" });
        assert_eq!(says(&json!({ "ok": true, "values": [value] })), "passed");
        assert!(says(&json!({ "ok": true, "values": [] })).starts_with("values: expected []"));
        assert!(says(&json!({ "ok": true })).starts_with("values: expected null"));
        assert!(says(&json!({ "ok": false, "error": "syntax" })).starts_with("error: expected"));
        let more = json!({ "ok": true, "values": [value], "warnings": ["x"] });
        assert!(says(&more).starts_with("warnings: expected"));
        assert!(header(&json!({ "expect": {} })).is_err());
        assert!(header(&json!({ "input_text": "" })).is_err());
    }

    #[test]
    fn numbers_are_held_together_by_value() {
        let same = |one: Value, other: Value| compare("x", &one, &other).is_ok();
        assert!(same(json!(18), json!(18.0)));
        assert!(same(json!(40.716_683_007_560_87), json!(40.716_683_008)));
        assert!(!same(json!(18), json!(18.000_001)));
        assert!(!same(json!(18), json!("18")));
    }
}
