//! Cases of trackers: frames on one connection (`decode`), and where a stream's first frame ends
//! (`framing`). Kinds of protocols that are not spoken yet are skipped.

use std::collections::BTreeSet;
use std::sync::Arc;

use hansho_model::{AlarmClass, AlarmKind, Finding, Fix, Phase, Report};
use hansho_protocols::{
    Accounts, Limits, Output, Protocol, Session, Setup, Transport, UnknownDevices, watch,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Mismatch;
use super::dc09::{Exchange, equal, exchanges, hex_field};
use crate::officer::hex;

/// The clock of the files; it matters to dates that have begun again.
const CLOCK: &str = "2026-08-21T12:00:00Z";
/// After which a session has decided where a frame ends.
const SETTLED: SignedDuration = SignedDuration::from_secs(1);

pub(super) fn watch(case: &Value) -> Result<(), Mismatch> {
    match case.get("kind").and_then(Value::as_str) {
        Some("framing") => framing(case),
        Some("decode") => decode(case, Protocol::Watch),
        _ => Err(Mismatch::missing("kind")),
    }
}

fn framing(case: &Value) -> Result<(), Mismatch> {
    let stream = hex_field(case, "stream_hex")?;
    let expect = case.get("expect").ok_or_else(|| Mismatch::missing("expect"))?;
    let found = watch::first_frame(&stream);
    let wanted = expect.get("first_frame_hex").unwrap_or(&Value::Null);
    equal("first_frame_hex", wanted, &json!(found.as_ref().map(|(frame, _)| hex(frame))))?;
    match (expect.get("consumed"), found) {
        (Some(wanted), Some((_, taken))) => equal("consumed", wanted, &json!(taken)),
        _ => Ok(()),
    }
}

fn decode(case: &Value, protocol: Protocol) -> Result<(), Mismatch> {
    let frames = case.get("frames").and_then(Value::as_array);
    let frames = frames.ok_or_else(|| Mismatch::missing("frames"))?;
    let now = frames.iter().find_map(|frame| frame.pointer("/expect/server_now"));
    let now = now.and_then(Value::as_str).unwrap_or(CLOCK);
    let now = now.parse().map_err(|error| Mismatch::new("server_now", "a time", error))?;
    let transport = match case.get("transport").and_then(Value::as_str) {
        Some("udp") => Transport::Datagram,
        _ => Transport::Stream,
    };
    let open = || {
        let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
        protocol.session(Setup::new(accounts, transport, Limits::TRACKERS, now))
    };
    let mut session = open();
    for (index, frame) in frames.iter().enumerate() {
        let bytes = match frame.get("wire_hex") {
            Some(Value::String(_)) => hex_field(frame, "wire_hex")?,
            _ => hex_field(frame, "payload_hex")?,
        };
        let found = feed(session.as_mut(), now, &[&bytes])?;
        let expect = frame.get("expect").ok_or_else(|| Mismatch::missing("expect"))?;
        compare(expect, &found).map_err(|error| of_frame(index, error))?;
        if index == 0 && transport == Transport::Stream {
            cut(open, now, &bytes, &found)?;
        }
    }
    Ok(())
}

fn of_frame(index: usize, error: Mismatch) -> Mismatch {
    if index == 0 {
        error
    } else {
        Mismatch { what: format!("frames[{index}].{}", error.what), ..error }
    }
}

/// Feeds reads, then lets the session settle; stores each report.
fn feed(
    session: &mut dyn Session,
    now: Timestamp,
    reads: &[&[u8]],
) -> Result<Vec<Exchange>, Mismatch> {
    let mut found = Vec::new();
    for bytes in reads {
        // What is no frame is met with silence.
        let _fault = session.handle_bytes(now, bytes).err();
        found.extend(exchanges(session, now)?);
    }
    if let Output::Idle(Some(deadline)) = session.poll_output()
        && deadline.duration_since(now) < SETTLED
    {
        session.handle_timeout(deadline);
        found.extend(exchanges(session, now)?);
    }
    Ok(found)
}

/// The frame cut in two at every byte says the same, its beginning alone says nothing, and twice it
/// says it twice.
fn cut(
    open: impl Fn() -> Box<dyn Session>,
    now: Timestamp,
    bytes: &[u8],
    whole: &[Exchange],
) -> Result<(), Mismatch> {
    for at in 1..bytes.len() {
        let (first, second) = bytes.split_at(at);
        let mut session = open();
        let _fault = session.handle_bytes(now, first).err();
        let early = exchanges(session.as_mut(), now)?;
        if !early.is_empty() {
            return Err(Mismatch::new(&format!("its first {at} bytes"), "nothing", early.len()));
        }
        let found = feed(session.as_mut(), now, &[second])?;
        if !same(whole, &found) {
            return Err(Mismatch::new(&format!("cut after {at} bytes"), "the same", "another"));
        }
    }
    let twice = feed(open().as_mut(), now, &[&[bytes, bytes].concat()])?;
    let expected = whole.len().saturating_mul(2);
    if twice.len() == expected {
        Ok(())
    } else {
        Err(Mismatch::new("twice", expected, twice.len()))
    }
}

fn same(a: &[Exchange], b: &[Exchange]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.report == b.report && a.answer == b.answer)
}

fn compare(expect: &Value, found: &[Exchange]) -> Result<(), Mismatch> {
    // What says nothing of the wearer is a report of ours for the sake of its answer only.
    let reports: Vec<&Report> = found
        .iter()
        .map(|exchange| exchange.report.as_ref())
        .filter(|report| report.telemetry.is_some())
        .collect();
    let wanted: &[Value] =
        expect.get("reports").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    if wanted.len() != reports.len() {
        return Err(Mismatch::new("count of reports", wanted.len(), reports.len()));
    }
    for (wanted, report) in wanted.iter().zip(&reports) {
        compare_report(wanted, report)?;
    }
    if let Some(id @ Value::String(_)) = expect.get("device_id") {
        for exchange in found {
            equal("device_id", id, &json!(exchange.report.device))?;
        }
    }
    let replies: Vec<String> =
        found.iter().filter_map(|each| each.answer.as_deref().map(hex)).collect();
    let wanted: Vec<&str> = expect
        .get("replies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|reply| reply.get("hex").and_then(Value::as_str))
        .collect();
    equal("replies", &json!(wanted), &json!(replies))
}

fn compare_report(wanted: &Value, report: &Report) -> Result<(), Mismatch> {
    let telemetry = report.telemetry.unwrap_or_default();
    match (wanted.get("fix"), telemetry.fix) {
        (None | Some(Value::Null), None) => {}
        (Some(fix @ Value::Object(_)), Some(found)) => compare_fix(fix, &found)?,
        (wanted, found) => {
            let wanted = wanted.is_some_and(Value::is_object);
            return Err(Mismatch::new("has a fix", wanted, found.is_some()));
        }
    }
    let alarms: BTreeSet<&str> = report.findings.iter().filter_map(alarm).collect();
    let named = wanted.get("alarms").and_then(Value::as_array).into_iter().flatten();
    let named: BTreeSet<&str> = named.filter_map(Value::as_str).collect();
    equal("alarms", &json!(named), &json!(alarms))?;
    let found = json!({
        "battery_pct": telemetry.battery, "steps": telemetry.steps, "heart_rate": telemetry.pulse,
    });
    for (key, found) in found.as_object().into_iter().flatten() {
        if let Some(wanted) = wanted.get(key) {
            equal(key, wanted, found)?;
        }
    }
    Ok(())
}

fn compare_fix(wanted: &Value, found: &Fix) -> Result<(), Mismatch> {
    let time = wanted.get("time").and_then(Value::as_str);
    let time = time.and_then(|text| text.parse::<Timestamp>().ok());
    if time != found.at {
        return Err(Mismatch::new("fix.time", show(time), show(found.at)));
    }
    equal("fix.valid", wanted.get("valid").unwrap_or(&Value::Null), &json!(found.valid))?;
    let e2 = |number: u32| f64::from(number) / 100.0;
    let speed = found.speed_e2_kmh.map(e2);
    let course = found.course_e2.map(|course| e2(u32::from(course)));
    let lat = Some(f64::from(found.position.lat.e7()) / 1e7);
    let lon = Some(f64::from(found.position.lon.e7()) / 1e7);
    let altitude = found.altitude_cm.map(|altitude| f64::from(altitude) / 100.0);
    // Half a unit more than the file's tolerance, for what was rounded.
    for (key, found, tolerance) in [
        ("lat", lat, 1.05e-6),
        ("lon", lon, 1.05e-6),
        ("speed_kmh", speed, 0.0105),
        ("course", course, 0.0105),
        ("alt_m", altitude, 0.0105),
    ] {
        let Some(wanted) = wanted.get(key).and_then(Value::as_f64) else { continue };
        if !found.is_some_and(|found| (found - wanted).abs() <= tolerance) {
            let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
            return Err(Mismatch::new(&format!("fix.{key}"), wanted, found));
        }
    }
    Ok(())
}

fn show(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "none".to_owned(), |at| at.to_string())
}

/// The files' word for a finding; states beside an alarm have none.
fn alarm(finding: &Finding) -> Option<&'static str> {
    if finding.phase == Phase::Restored {
        return None;
    }
    let told = finding.class != AlarmClass::Note;
    let word = |(kind, _): &&(AlarmKind, &str)| *kind == finding.kind;
    let found = if told { ALARMS.iter().find(word) } else { STATES.iter().find(word) };
    found.map(|(_, word)| *word)
}

/// Words of findings that call for something.
const ALARMS: [(AlarmKind, &str); 7] = [
    (AlarmKind::Help, "sos"),
    (AlarmKind::Fall, "fallDown"),
    (AlarmKind::Battery, "lowBattery"),
    (AlarmKind::Mains, "powerCut"),
    (AlarmKind::LeftZone, "geofenceExit"),
    (AlarmKind::Removal, "removing"),
    (AlarmKind::Other, "general"),
];

/// Words of findings for the record.
const STATES: [(AlarmKind, &str); 2] =
    [(AlarmKind::LeftZone, "geofenceExit"), (AlarmKind::EnteredZone, "geofenceEnter")];
