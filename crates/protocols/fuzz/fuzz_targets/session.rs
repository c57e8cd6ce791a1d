//! Any bytes, in any pieces, to every protocol. The first byte of the input picks protocol and
//! transport, and whether each line is put into a frame whose length and CRC are right (no fuzzer
//! finds a CRC by chance); the second byte says where to cut. Checked: no panic, no answer before its report is durable,
//! the same reports however a stream is cut, every session comes to rest.
//!
//! ```text
//! cd crates/protocols && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none session -- -max_total_time=180
//! ```
#![no_main]

use std::sync::Arc;

use hansho_protocols::dc09::crc16;
use hansho_protocols::{
    Accounts, Durable, Key, Limits, Output, Protocol, Setup, Transport, UnknownDevices,
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [pick, cut, bytes @ ..] = input else { return };
    let protocol = Protocol::ALL[usize::from(pick >> 2) % Protocol::ALL.len()];
    let transport = if pick & 1 == 0 { Transport::Stream } else { Transport::Datagram };
    let unknown = if pick & 2 == 0 { UnknownDevices::Refuse } else { UnknownDevices::Show };
    let framed = if pick & 0x80 == 0 { bytes.to_vec() } else { framed(bytes) };
    let bytes = framed.as_slice();
    let whole = said(protocol, transport, unknown, &[bytes]);
    if transport == Transport::Stream {
        let pieces: Vec<&[u8]> = bytes.chunks(usize::from(*cut) % 40 + 1).collect();
        let cut = said(protocol, transport, unknown, &pieces);
        // Where junk has used up its limit a connection ends, and that depends on the reads.
        assert!(whole == cut || bytes.len() > 60_000);
    }
});

/// Each line as the body of a DC-09 frame.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let frame = |body: &[u8]| {
        let head = format!("\n{:04X}{:04X}", crc16(body), body.len());
        [head.as_bytes(), body, b"\r"].concat()
    };
    bytes.split(|byte| *byte == b'\n').flat_map(frame).collect()
}

fn said(
    protocol: Protocol,
    transport: Transport,
    unknown: UnknownDevices,
    pieces: &[&[u8]],
) -> Vec<Vec<u8>> {
    let now: Timestamp = "2026-04-01T00:00:30Z".parse().unwrap();
    let mut accounts = Accounts::new(unknown);
    accounts.register("4901", None);
    accounts.register("4902", Key::new(vec![b'A'; 16]).ok());
    let setup = Setup::new(Arc::new(accounts), transport, Limits::default(), now);
    let mut session = protocol.session(setup);
    let mut reports = Vec::new();
    for piece in pieces {
        // Faults are legal; only what follows from good frames is held against the other reads.
        drop(session.handle_bytes(now, piece));
        let mut receipts = Vec::new();
        loop {
            match session.poll_output() {
                Output::Report(receipt, report) => {
                    reports.push(format!("{:?} {:?}", report.raw.0, report.findings).into_bytes());
                    receipts.push(receipt);
                }
                // MQTT says hello and turns away before anything is reported.
                Output::Transmit(_) if protocol == Protocol::Mqtt => {}
                Output::Transmit(_) => panic!("an answer left before its report was durable"),
                Output::Idle(_) => break,
            }
        }
        for receipt in receipts {
            session.handle_durable(now, receipt, Durable::Stored);
        }
        while let Output::Transmit(bytes) = session.poll_output() {
            assert!(!bytes.is_empty());
        }
    }
    session.handle_timeout(now);
    assert!(matches!(session.poll_output(), Output::Idle(_)));
    reports
}
