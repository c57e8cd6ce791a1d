//! Any bytes as a body of several parts, and as a `Geolocation` header. The first line is the
//! `Content-Type`. Checked: no panic, limits hold, what is found can be looked up.
#![no_main]

use hansho_protocols::sip::geolocation;
use hansho_protocols::sip::message::Message;
use hansho_protocols::sip::multipart::{PART_COUNT_MAX, Parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = input.split_at(end);
    let line = String::from_utf8_lossy(line);
    drop(geolocation::parse(&line));
    let mut message = Message::request("INVITE", "urn:service:sos");
    message.push("Content-Type", line.trim());
    message.body = body.get(1..).unwrap_or_default().to_vec();
    let parts = Parts::of(&message);
    assert!(parts.leaves.len() <= PART_COUNT_MAX);
    let size: usize = parts.leaves.iter().map(|part| part.content.len()).sum();
    assert!(size <= message.body.len());
    for part in &parts.leaves {
        assert!(!part.whole || parts.by_type(&part.media_type).is_some());
    }
});
