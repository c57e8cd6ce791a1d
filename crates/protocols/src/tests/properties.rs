//! What must hold for any bytes: no panic, the same reports however they are cut, an end to every
//! exchange, and limits that hold. The seeds are fixed, so that a failure is the same everywhere.

use std::sync::Arc;

use hansho_model::Report;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::dc09::{FRAME_MAX, JUNK_MAX, PENDING_MAX, crc16};
use crate::{
    Accounts, Durable, Key, Limits, Output, Protocol, Receipt, Session, Setup, Transport,
    UnknownDevices,
};

fn now() -> Timestamp {
    "2026-04-01T00:00:30Z".parse().unwrap()
}

fn session(protocol: Protocol, transport: Transport) -> Box<dyn Session> {
    let mut accounts = Accounts::new(UnknownDevices::Refuse);
    accounts.register("4901", None);
    accounts.register("4902", Key::new(vec![b'A'; 16]).ok());
    protocol.session(Setup::new(Arc::new(accounts), transport, Limits::default(), now()))
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]))
}

/// Bytes, and where to cut them.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let good = "(ADM-CID|SIA-DCS|NULL|\\*NULL|XYZ|ACK)\"[0-9]{4}(R[0-9A-F]{1,2})?(L[0-9]?)?#490[12]\\[\
                (#4901\\|(1101 01 003|Nri1/QA003|[ -~]{0,12}))?\\](\\[[A-Z][ -~]{1,8}\\])?";
    let frame = prop_oneof![
        4 => good.prop_map(|body| framed(format!("\"{body}").as_bytes())),
        2 => vec(any::<u8>(), 0..60).prop_map(|body| framed(&body)),
        2 => vec(any::<u8>(), 0..40),
        1 => vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'"'), Just(b'0'), Just(0)], 0..30),
        1 => good.prop_map(|body| raw_framed(format!("\"{body}").as_bytes())),
        4 => watch_frame(),
    ];
    (vec(frame, 0..6), vec(1_usize..30, 1..8)).prop_map(|(frames, cuts)| {
        let bytes = frames.concat();
        let mut rest = bytes.as_slice();
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece.to_vec());
            rest = after;
        }
        pieces
    })
}

/// Frames of watches with lengths right and wrong, and brackets in names.
fn watch_frame() -> impl Strategy<Value = Vec<u8>> {
    let place = "2[0-9]1126,0540[0-9]{2},[AV],-?37\\.[0-9]{1,8},[NS]?, ?140\\.[0-9]{4},[EW]?,3\\.7,\
                 120,15,9,80,67,1,0,[0-9A-F]{8}(,[ -~]{0,24})?";
    let content = prop_oneof![
        place.prop_map(|place| format!("UD,{place}")),
        place.prop_map(|place| format!("AL,{place}")),
        place.prop_map(|place| format!("UD2,{place}")),
        Just("LK,50,100,85".to_owned()),
        "(INIT|TKQ|TK|heart|JXTK|img),?[ -~]{0,12}",
    ];
    let head = "(3G|SG|ZJ)\\*(4901|4902)(\\*00[0-9A-F]{2})?";
    (head, content, 0..40_usize, "[\\r\\n\\[\\] ]{0,2}").prop_map(|(head, content, off, after)| {
        // Mostly right.
        let length =
            if off < 30 { content.len() } else { (content.len() + 35).saturating_sub(off) };
        format!("[{head}*{length:04X}*{content}]{after}").into_bytes()
    })
}

fn framed(body: &[u8]) -> Vec<u8> {
    let head = format!("\n{:04X}{:04X}", crc16(body), body.len());
    [head.as_bytes(), body, b"\r"].concat()
}

fn raw_framed(body: &[u8]) -> Vec<u8> {
    let length = format!("{:04X}", body.len());
    [b"\n".as_slice(), &crc16(body).to_be_bytes(), length.as_bytes(), body, b"\r"].concat()
}

/// Feeds pieces and drains to `Idle`; an answer before its receipt panics.
fn feed(session: &mut dyn Session, pieces: &[Vec<u8>]) -> Vec<(Receipt, Box<Report>)> {
    let mut reports = Vec::new();
    for piece in pieces {
        if let Err(error) = session.handle_bytes(now(), piece) {
            assert!(!error.to_string().is_empty());
        }
        loop {
            match session.poll_output() {
                Output::Report(receipt, report) => reports.push((receipt, report)),
                // MQTT turns away, with nothing reported, whose first packet is no good.
                Output::Transmit(_) if session.is_over() => {}
                Output::Transmit(bytes) => panic!("answered too early: {bytes:?}"),
                Output::Idle(_) => break,
            }
        }
    }
    reports
}

#[test]
fn any_bytes_are_legal_and_reports_keep_their_limits() {
    for transport in [Transport::Stream, Transport::Datagram] {
        let run = runner(3_000).run(&pieces(), |pieces| {
            for protocol in Protocol::ALL {
                let mut session = session(*protocol, transport);
                for (receipt, report) in feed(session.as_mut(), &pieces) {
                    prop_assert!((1..=32).contains(&report.device.len()), "{}", report.device);
                    prop_assert!(report.device.is_ascii());
                    prop_assert!(report.findings.len() <= 16);
                    for finding in &report.findings {
                        prop_assert!(finding.code.len() <= 16 && finding.zone.len() <= 16);
                    }
                    prop_assert!(report.raw.0.len() <= 4_200);
                    prop_assert!(report.text.iter().all(|text| text.0.len() <= 1_024));
                    prop_assert!(report.device_key.len() <= 128);
                    session.handle_durable(now(), receipt, Durable::Stored);
                    let mut answers = 0;
                    while let Output::Transmit(bytes) = session.poll_output() {
                        prop_assert!(!bytes.is_empty() && bytes.len() <= FRAME_MAX);
                        answers += 1;
                    }
                    prop_assert!(answers <= 1);
                }
            }
            Ok(())
        });
        run.unwrap();
    }
}

#[test]
fn a_stream_gives_the_same_reports_however_it_is_cut() {
    let run = runner(3_000).run(&pieces(), |pieces| {
        for protocol in Protocol::ALL {
            let whole = vec![pieces.concat()];
            let single: Vec<Vec<u8>> = pieces.concat().iter().map(|byte| vec![*byte]).collect();
            let said = |pieces: &[Vec<u8>]| -> Vec<Report> {
                let mut session = session(*protocol, Transport::Stream);
                feed(session.as_mut(), pieces).into_iter().map(|(_, report)| *report).collect()
            };
            let wanted = said(&whole);
            prop_assert_eq!(&said(&pieces), &wanted);
            prop_assert_eq!(&said(&single), &wanted);
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_stream_that_stays_silent_is_closed() {
    for protocol in Protocol::ALL {
        let after = |seconds| now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
        // Opened and nothing said.
        let mut session = session(*protocol, Transport::Stream);
        let Output::Idle(Some(deadline)) = session.poll_output() else { panic!() };
        let limit = if *protocol == Protocol::Mqtt { 5 } else { 60 };
        assert_eq!(deadline, after(limit));
        session.handle_timeout(after(limit - 1));
        assert!(!session.is_over());
        session.handle_timeout(after(60));
        assert!(session.is_over());
        assert!(matches!(session.poll_output(), Output::Idle(None)));
    }
}

#[test]
fn an_unfinished_frame_is_waited_for_sixty_seconds_and_an_idle_link_for_a_day() {
    let good = framed(b"\"NULL\"0000L0#4901[]");
    let at = |seconds| now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let mut session = session(Protocol::Dc09, Transport::Stream);
    feed(session.as_mut(), std::slice::from_ref(&good));
    let Output::Idle(Some(deadline)) = session.poll_output() else { panic!() };
    assert_eq!(deadline, at(26 * 3_600));
    session.handle_bytes(at(100), &good[..9]).unwrap();
    // Dripping bytes do not move the deadline.
    session.handle_bytes(at(150), &good[9..12]).unwrap();
    let Output::Idle(Some(deadline)) = session.poll_output() else { panic!() };
    assert_eq!(deadline, at(160));
    session.handle_timeout(at(160));
    assert!(session.is_over());
}

#[test]
fn junk_is_borne_up_to_its_limit() {
    let line = [vec![b'x'; 1_023], vec![b'\r']].concat();
    let mut session = session(Protocol::Dc09, Transport::Stream);
    for _line in 0..JUNK_MAX / 1_024 {
        assert!(!session.handle_bytes(now(), &line).unwrap_err().fatal);
    }
    let fatal = session.handle_bytes(now(), b"x").unwrap_err();
    assert!(fatal.fatal && session.is_over());
}

#[test]
fn a_good_frame_clears_the_count_of_junk() {
    let line = vec![b'x'; 1_024];
    let good = framed(b"\"NULL\"0000L0#4901[]");
    let mut session = session(Protocol::Dc09, Transport::Stream);
    for _line in 0..3 * JUNK_MAX / 1_024 {
        assert!(!session.handle_bytes(now(), &line).unwrap_err().fatal);
        assert_eq!(feed(session.as_mut(), std::slice::from_ref(&good)).len(), 1);
    }
}

#[test]
fn an_endless_frame_is_dropped_and_the_next_one_is_read() {
    let good = framed(b"\"NULL\"0000L0#4901[]");
    let mut session = session(Protocol::Dc09, Transport::Stream);
    let error = session.handle_bytes(now(), b"\n").err();
    assert_eq!(error, None);
    let error = session.handle_bytes(now(), &[b'A'; FRAME_MAX]).unwrap_err();
    assert_eq!(error.fault, hansho_model::FrameFault::TooLong);
    assert_eq!(feed(session.as_mut(), &[good]).len(), 1);
}

#[test]
fn more_unanswered_reports_than_the_limit_end_the_session() {
    let good = framed(b"\"NULL\"0000L0#4901[]");
    let mut session = session(Protocol::Dc09, Transport::Stream);
    let reports = feed(session.as_mut(), &vec![good.clone(); PENDING_MAX]);
    assert_eq!(reports.len(), PENDING_MAX);
    assert!(session.handle_bytes(now(), &good).unwrap_err().fatal);
    // One receipt makes room for one.
    session.handle_durable(now(), reports[0].0, Durable::Shed);
    assert!(session.handle_bytes(now(), &good).is_ok());
}
