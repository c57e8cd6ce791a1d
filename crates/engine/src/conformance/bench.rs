//! `hansho decode`: for the person with a new device on the bench.

use std::sync::Arc;

use hansho_model::{Finding, Fix, FrameFault, Position, Report};
use hansho_protocols::dc09::{Decoded, decode as decode_dc09};
use hansho_protocols::mqtt::message_report;
use hansho_protocols::{Accounts, Durable, FrameError, Limits, Output, Protocol, Setup, Transport};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::dc09::{message, unhex};

/// Decodes what a device sent: bytes as they came, or lines of hexadecimal digits, one frame or
/// datagram a line. Gives one JSON object a frame, and one for each thing that is no frame.
///
/// `accounts` holds the keys of encrypted frames; `now` is what their stamps are held against.
#[must_use]
pub fn decode(
    protocol: Protocol,
    accounts: &Arc<Accounts>,
    now: Timestamp,
    input: &[u8],
) -> Vec<String> {
    match protocol {
        Protocol::Dc09 => match hex_lines(input) {
            Some(frames) => frames.iter().map(|frame| datagram(accounts, now, frame)).collect(),
            None => stream(accounts, now, input),
        },
        Protocol::Watch => {
            let reads = hex_lines(input).unwrap_or_else(|| vec![input.to_vec()]);
            reads.iter().flat_map(|read| reports(protocol, accounts, now, read)).collect()
        }
        Protocol::Mqtt => String::from_utf8_lossy(input).lines().map(mqtt_line).collect(),
    }
}

/// A topic, a space and a payload, as `mosquitto_sub -v` prints a message.
fn mqtt_line(line: &str) -> String {
    let (topic, payload) = line.split_once(' ').unwrap_or((line, ""));
    match message_report(topic, payload.as_bytes()) {
        Some(report) => said(Protocol::Mqtt, &report, None).to_string(),
        None => {
            let hint = "write hansho/v1/<pendant|tracker>/<id>/<class>, a space, the payload";
            let error = FrameError::new(FrameFault::MalformedHeader, hint, false);
            bad(Protocol::Mqtt, &error).to_string()
        }
    }
}

/// What a session says of these bytes, all that there are.
fn reports(
    protocol: Protocol,
    accounts: &Arc<Accounts>,
    now: Timestamp,
    input: &[u8],
) -> Vec<String> {
    let setup = Setup::new(Arc::clone(accounts), Transport::Datagram, Limits::default(), now);
    let mut session = protocol.session(setup);
    let fault = session.handle_bytes(now, input).err();
    let mut lines = Vec::new();
    while let Output::Report(receipt, report) = session.poll_output() {
        lines.push((receipt, report));
    }
    let mut lines: Vec<String> = lines
        .into_iter()
        .map(|(receipt, report)| {
            session.handle_durable(now, receipt, Durable::Stored);
            let answer = match session.poll_output() {
                Output::Transmit(bytes) => Some(bytes.escape_ascii().to_string()),
                Output::Report(..) | Output::Idle(_) => None,
            };
            said(protocol, &report, answer.as_deref()).to_string()
        })
        .collect();
    lines.extend(fault.map(|error| bad(protocol, &error).to_string()));
    lines
}

fn said(protocol: Protocol, report: &Report, answer: Option<&str>) -> Value {
    let telemetry = report.telemetry.map(|said| {
        json!({
            "fix": said.fix.as_ref().map(fix), "battery": said.battery, "steps": said.steps,
            "charging": said.charging, "pulse": said.pulse, "stored": said.stored,
        })
    });
    json!({
        "protocol": protocol.name(), "device": report.device, "lane": report.lane.as_str(),
        "observed_at": report.observed_at.map(|at| at.to_string()),
        "findings": findings(&report.findings), "position": report.position.map(place),
        "telemetry": telemetry, "refused": report.refused.map(FrameFault::as_str),
        "answer": answer,
    })
}

fn fix(fix: &Fix) -> Value {
    json!({
        "position": place(fix.position), "at": fix.at.map(|at| at.to_string()),
        "valid": fix.valid, "method": fix.method.as_str(),
        "accuracy_m": fix.accuracy.map(|metres| metres.0), "speed_e2_kmh": fix.speed_e2_kmh,
        "course_e2": fix.course_e2, "altitude_cm": fix.altitude_cm,
        "satellites": fix.satellites,
    })
}

fn place(at: Position) -> Value {
    json!({ "lat_e7": at.lat.e7(), "lon_e7": at.lon.e7() })
}

fn findings(findings: &[Finding]) -> Vec<Value> {
    let one = |finding: &Finding| {
        json!({
            "class": finding.class.as_str(), "kind": finding.kind.as_str(),
            "phase": finding.phase.as_str(), "code": finding.code, "zone": finding.zone,
        })
    };
    findings.iter().map(one).collect()
}

/// `None` when the input is not lines of hexadecimal digits.
fn hex_lines(input: &[u8]) -> Option<Vec<Vec<u8>>> {
    let text = std::str::from_utf8(input).ok()?;
    let frames: Option<Vec<Vec<u8>>> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<String>())
        .filter(|line| !line.is_empty())
        .map(|line| unhex(&line))
        .collect();
    frames.filter(|frames| !frames.is_empty())
}

fn datagram(accounts: &Accounts, now: Timestamp, bytes: &[u8]) -> String {
    match decode_dc09(accounts, now, bytes) {
        Ok(decoded) => good(&decoded, now).to_string(),
        Err(error) => bad(Protocol::Dc09, &error).to_string(),
    }
}

fn stream(accounts: &Arc<Accounts>, now: Timestamp, input: &[u8]) -> Vec<String> {
    let setup = Setup::new(Arc::clone(accounts), Transport::Stream, Limits::default(), now);
    let mut session = Protocol::Dc09.session(setup);
    let mut lines = Vec::new();
    // By frames, so that each fault has its line.
    for piece in input.split_inclusive(|byte| *byte == b'\r') {
        let fault = session.handle_bytes(now, piece).err();
        while let Output::Report(_receipt, report) = session.poll_output() {
            lines.push(datagram(accounts, now, &report.raw.0));
        }
        lines.extend(fault.map(|error| bad(Protocol::Dc09, &error).to_string()));
    }
    lines
}

fn bad(protocol: Protocol, error: &FrameError) -> Value {
    json!({ "protocol": protocol.name(), "error": error.fault.as_str(), "hint": error.hint })
}

fn good(decoded: &Decoded, now: Timestamp) -> Value {
    let mut map = message(&decoded.message);
    // A key on the wire belongs in no terminal's history.
    if let Some(Value::Array(fields)) = map.get_mut("xdata") {
        for field in fields {
            if field.as_str().is_some_and(|text| text.starts_with('K')) {
                *field = json!("K▮");
            }
        }
    }
    let report = decoded.report(&[]);
    let deviations: Vec<&str> = report.deviations.iter().map(|each| each.as_str()).collect();
    let answer = decoded
        .answer
        .encode(now, 0)
        .map(|bytes| String::from_utf8_lossy(&bytes).trim_matches(['\n', '\r']).to_owned());
    let more = json!({
        "protocol": "dc09",
        "device": report.device,
        "lane": report.lane.as_str(),
        "observed_at": report.observed_at.map(|at| at.to_string()),
        "findings": findings(&decoded.findings),
        "position": report.position.map(place),
        "text": report.text.map(|text| text.0),
        "refused": report.refused.map(FrameFault::as_str),
        "deviations": deviations,
        "answer": answer,
    });
    if let Value::Object(more) = more {
        map.extend(more);
    }
    Value::Object(map)
}
