//! A whole MQTT conversation: any packets after any log-in, in any pieces. The first byte of the
//! input says where to cut. Checked: no panic, PUBACKs only after their reports, as many and in
//! their order; the same reports and answers however the stream is cut; every session comes to rest.
//!
//! ```text
//! cd crates/protocols && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none mqtt -- -max_total_time=180
//! ```
#![no_main]

use std::sync::Arc;

use hansho_model::DeviceKind;
use hansho_protocols::{
    Accounts, Durable, Limits, LogIn, Output, Protocol, Setup, Transport,
    UnknownDevices,
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [cut, bytes @ ..] = input else { return };
    let whole = said(&[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(*cut) % 40 + 1).collect();
    assert!(whole == said(&pieces));
});

fn said(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let now: Timestamp = "2026-04-01T00:00:30Z".parse().unwrap();
    let mut accounts = Accounts::new(UnknownDevices::Show);
    for (name, kind, telemetry_only) in
        [("p-7001", DeviceKind::Pendant, false), ("t-8001", DeviceKind::Tracker, true)]
    {
        let password = blake3::hash(format!("secret of {name}").as_bytes());
        accounts.admit(name, LogIn { password, kind, telemetry_only });
    }
    let setup = Setup::new(Arc::new(accounts), Transport::Stream, Limits::default(), now);
    let mut session = Protocol::Mqtt.session(setup);
    let (mut reports, mut answers, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut drain = |session: &mut dyn hansho_protocols::Session| {
        let mut receipts = Vec::new();
        loop {
            match session.poll_output() {
                Output::Report(receipt, report) => {
                    reports.push(format!("{:?} {:?}", report.raw.0, report.findings).into_bytes());
                    receipts.push(receipt);
                }
                Output::Transmit(bytes) => answers.extend(bytes),
                Output::Idle(_) => return receipts,
            }
        }
    };
    for piece in pieces {
        drop(session.handle_bytes(now, piece));
        waiting.extend(drain(session.as_mut()));
    }
    // What waits behind 64 unanswered publishes comes out as these are answered.
    let mut next = 0;
    while let Some(receipt) = waiting.get(next).copied() {
        session.handle_durable(now, receipt, Durable::Stored);
        waiting.extend(drain(session.as_mut()));
        next += 1;
    }
    session.handle_timeout(now);
    assert!(matches!(session.poll_output(), Output::Idle(_)));
    (reports, answers)
}
