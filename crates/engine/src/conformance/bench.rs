//! `hansho decode`: for the person with a new device on the bench.

use std::sync::Arc;

use hansho_protocols::dc09::{Decoded, decode as decode_dc09};
use hansho_protocols::{Accounts, FrameError, Limits, Output, Protocol, Setup, Transport};
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
    }
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
        Err(error) => bad(&error).to_string(),
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
        lines.extend(fault.map(|error| bad(&error).to_string()));
    }
    lines
}

fn bad(error: &FrameError) -> Value {
    json!({ "protocol": "dc09", "error": error.fault.as_str(), "hint": error.hint })
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
    let findings: Vec<Value> = decoded
        .findings
        .iter()
        .map(|finding| {
            json!({
                "class": finding.class.as_str(), "kind": finding.kind.as_str(),
                "phase": finding.phase.as_str(), "code": finding.code, "zone": finding.zone,
            })
        })
        .collect();
    let report = decoded.report(&[]);
    let deviations: Vec<&str> = report.deviations.iter().map(|each| each.as_str()).collect();
    let position =
        report.position.map(|at| json!({ "lat_e7": at.lat.e7(), "lon_e7": at.lon.e7() }));
    let answer = decoded
        .answer
        .encode(now, 0)
        .map(|bytes| String::from_utf8_lossy(&bytes).trim_matches(['\n', '\r']).to_owned());
    let more = json!({
        "protocol": "dc09",
        "device": report.device,
        "lane": report.lane.as_str(),
        "observed_at": report.observed_at.map(|at| at.to_string()),
        "findings": findings,
        "position": position,
        "text": report.text.map(|text| text.0),
        "refused": report.refused.map(hansho_model::FrameFault::as_str),
        "deviations": deviations,
        "answer": answer,
    });
    if let Value::Object(more) = more {
        map.extend(more);
    }
    Value::Object(map)
}
