//! The conversation, with packets written byte by byte: no code of the codec is on this side.

use std::sync::Arc;

use hansho_model::{DeviceKind, FrameFault, Lane, LoadLevel, Report};
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::{
    Accounts, Durable, FrameError, Limits, LogIn, Output, Receipt, Session, Setup, Transport,
    UnknownDevices,
};

const ALARM: &str = "hansho/v1/pendant/p-7001/alarm";
const HELP: &str = r#"{"n":1,"alarms":[{"kind":"help"}]}"#;

fn now() -> Timestamp {
    "2026-11-23T05:40:50Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn accounts(unknown: UnknownDevices) -> Arc<Accounts> {
    let mut accounts = Accounts::new(unknown);
    let mut admit = |name: &str, kind, telemetry_only| {
        let password = blake3::hash(format!("secret of {name}").as_bytes());
        accounts.admit(name, LogIn { password, kind, telemetry_only });
    };
    admit("p-7001", DeviceKind::Pendant, false);
    admit("t-8001", DeviceKind::Tracker, true);
    Arc::new(accounts)
}

fn session() -> Mqtt {
    open(UnknownDevices::Refuse)
}

fn open(unknown: UnknownDevices) -> Mqtt {
    Mqtt::new(Setup::new(accounts(unknown), Transport::Stream, Limits::default(), now()))
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    let mut left = body.len();
    loop {
        let digit = u8::try_from(left % 128).unwrap();
        left /= 128;
        bytes.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// Properties of MQTT 5, or nothing in 3.1.1.
fn none(level: u8) -> Vec<u8> {
    if level == 5 { vec![0] } else { Vec::new() }
}

fn connect_as(level: u8, client: &str, user: Option<(&str, &str)>, keep_alive: u16) -> Vec<u8> {
    let flags = if user.is_some() { 0xc2 } else { 0x02 };
    let mut body = [text("MQTT"), vec![level, flags], keep_alive.to_be_bytes().to_vec()].concat();
    body.extend(none(level));
    body.extend(text(client));
    if let Some((user, password)) = user {
        body.extend([text(user), text(password)].concat());
    }
    packet(0x10, &body)
}

fn connect(level: u8) -> Vec<u8> {
    connect_as(level, "c1", Some(("p-7001", "secret of p-7001")), 60)
}

fn publish(level: u8, qos: u8, id: u16, topic: &str, payload: &str) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(none(level));
    body.extend(payload.as_bytes());
    packet(0x30 | qos << 1, &body)
}

fn subscribe(level: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = [id.to_be_bytes().to_vec(), none(level)].concat();
    for filter in filters {
        body.extend(text(filter));
        body.push(1);
    }
    packet(0x82, &body)
}

#[derive(Debug, Default)]
struct Heard {
    reports: Vec<(Receipt, Report)>,
    sent: Vec<Vec<u8>>,
    fault: Option<FrameError>,
}

impl Heard {
    fn hex(&self) -> Vec<String> {
        let byte = |byte: &u8| format!("{byte:02x}");
        self.sent.iter().map(|bytes| bytes.iter().map(byte).collect()).collect()
    }
}

fn drain(session: &mut dyn Session) -> Heard {
    let mut heard = Heard::default();
    loop {
        match session.poll_output() {
            Output::Report(receipt, report) => heard.reports.push((receipt, *report)),
            Output::Transmit(bytes) => heard.sent.push(bytes),
            Output::Idle(_) => return heard,
        }
    }
}

fn feed(session: &mut dyn Session, bytes: &[u8]) -> Heard {
    let fault = session.handle_bytes(now(), bytes).err();
    Heard { fault, ..drain(session) }
}

fn store(session: &mut dyn Session, receipt: Receipt, durable: Durable) -> Heard {
    session.handle_durable(now(), receipt, durable);
    drain(session)
}

#[test]
fn puback_leaves_when_the_message_is_durable_and_in_the_order_of_the_publishes() {
    for level in [4, 5] {
        let mut session = session();
        let connack = feed(&mut session, &connect(level)).hex();
        // Receive Maximum 64, Maximum QoS 1, no retain, no sessions, no wildcards, identifiers, shares; 65,536 bytes.
        let five = "201a000017210040240125001100000000280029002a002700010000".to_owned();
        assert_eq!(connack, [if level == 4 { "20020000".to_owned() } else { five }]);
        let two = [
            publish(level, 1, 7, ALARM, HELP),
            publish(level, 1, 3, ALARM, r#"{"n":2,"alarms":[{"kind":"fall"}]}"#),
        ];
        let heard = feed(&mut session, &two.concat());
        assert_eq!((heard.reports.len(), heard.sent.len()), (2, 0));
        let (first, report) = &heard.reports[0];
        assert_eq!(
            (report.device.as_str(), report.lane, report.refused),
            ("P-7001", Lane::A, None)
        );
        assert_eq!(report.raw.0, format!("{ALARM}\n{HELP}").as_bytes());
        assert!(store(&mut session, heard.reports[1].0, Durable::Stored).sent.is_empty());
        assert_eq!(store(&mut session, *first, Durable::Stored).hex(), ["40020007", "40020003"]);
        // The packet id is free again, and no key.
        let again = feed(
            &mut session,
            &publish(level, 1, 7, ALARM, r#"{"n":3,"alarms":[{"kind":"help"}]}"#),
        );
        assert_ne!(again.reports[0].1.device_key, report.device_key);
        assert_eq!(store(&mut session, again.reports[0].0, Durable::Stored).hex(), ["40020007"]);
        let repeated = feed(&mut session, &publish(level, 1, 9, ALARM, HELP));
        assert_eq!(repeated.reports[0].1.device_key, report.device_key, "the same message");
    }
}

#[test]
fn a_packet_id_in_use_is_answered_as_often_as_it_came() {
    let mut session = session();
    feed(&mut session, &connect(5));
    let twice = publish(5, 1, 7, ALARM, HELP).repeat(2);
    let heard = feed(&mut session, &twice);
    let receipts: Vec<Receipt> = heard.reports.iter().map(|(receipt, _)| *receipt).collect();
    let mut answers = store(&mut session, receipts[0], Durable::Stored).hex();
    answers.extend(store(&mut session, receipts[1], Durable::Stored).hex());
    assert_eq!(answers, ["40020007", "40020007"]);
}

#[test]
fn what_is_shed_is_said_in_five_and_ends_three() {
    let mut five = session();
    feed(&mut five, &connect(5));
    let heard = feed(&mut five, &publish(5, 1, 7, ALARM, HELP));
    let answer = store(&mut five, heard.reports[0].0, Durable::Shed);
    assert_eq!((answer.hex(), five.is_over()), (vec!["4003000797".to_owned()], false));
    let mut three = session();
    feed(&mut three, &connect(4));
    let two = [publish(4, 1, 7, ALARM, HELP), publish(4, 1, 8, ALARM, HELP)].concat();
    let heard = feed(&mut three, &two);
    assert!(store(&mut three, heard.reports[1].0, Durable::Stored).sent.is_empty());
    assert!(store(&mut three, heard.reports[0].0, Durable::Shed).sent.is_empty());
    assert!(three.is_over(), "and the one behind it is not acknowledged out of its turn");
}

#[test]
fn an_alarm_with_qos_0_is_shown_a_fault_and_the_end() {
    for (level, end) in [(4, vec![]), (5, vec!["e0019b".to_owned()])] {
        let mut session = session();
        feed(&mut session, &connect(level));
        let heard = feed(&mut session, &publish(level, 0, 0, ALARM, HELP));
        let report = &heard.reports[0].1;
        assert_eq!((report.refused, report.lane), (Some(FrameFault::WrongQos), Lane::A));
        assert_eq!(heard.hex(), end);
        assert!(session.is_over());
    }
    let mut session = session();
    feed(&mut session, &connect(5));
    let heard = feed(&mut session, &publish(5, 0, 0, "hansho/v1/pendant/p-7001/telemetry", "{}"));
    assert_eq!((heard.reports.len(), session.is_over()), (1, false), "telemetry may");
    let heard = feed(&mut session, &publish(5, 2, 7, ALARM, HELP));
    assert_eq!(
        (heard.hex(), heard.reports.len()),
        (vec!["e0019b".to_owned()], 0),
        "QoS 2 is not offered"
    );
}

#[test]
fn a_client_of_three_is_held_at_64_and_one_of_five_is_told() {
    let burst = |level: u8, count: u16| -> Vec<u8> {
        (1..=count).flat_map(|id| publish(level, 1, id, ALARM, HELP)).collect()
    };
    let mut three = session();
    feed(&mut three, &connect(4));
    let heard = feed(&mut three, &burst(4, 100));
    assert_eq!(heard.reports.len(), 64);
    assert!(!three.wants_bytes(), "its socket is not read");
    three.handle_durable(now(), heard.reports[0].0, Durable::Stored);
    let more = drain(&mut three);
    assert_eq!((more.reports.len(), more.hex()), (1, vec!["40020001".to_owned()]));
    assert!(!three.wants_bytes(), "64 wait again");
    // All but the first are decided, and none can be answered before it.
    for (receipt, _) in heard.reports.iter().skip(2) {
        three.handle_durable(now(), *receipt, Durable::Stored);
    }
    assert!(drain(&mut three).reports.is_empty() && !three.wants_bytes());
    three.handle_durable(now(), heard.reports[1].0, Durable::Stored);
    assert!(three.wants_bytes());
    assert_eq!(drain(&mut three).reports.len(), 35);
    let mut five = session();
    feed(&mut five, &connect(5));
    assert_eq!(feed(&mut five, &burst(5, 64)).fault, None);
    let heard = feed(&mut five, &publish(5, 1, 65, ALARM, HELP));
    assert_eq!(heard.hex(), ["e00193"]);
    assert!(five.is_over());
}

#[test]
fn who_does_not_bring_his_password_is_turned_away() {
    let tries = [
        (UnknownDevices::Refuse, Some(("p-7001", "guess")), "20020004", "2003008600"),
        (UnknownDevices::Show, Some(("P-7001", "guess")), "20020004", "2003008600"),
        (UnknownDevices::Refuse, Some(("nobody", "")), "20020004", "2003008600"),
        (UnknownDevices::Refuse, None, "20020005", "2003008700"),
        (UnknownDevices::Show, None, "20020000", ""),
        (UnknownDevices::Show, Some(("nobody", "x")), "20020000", ""),
    ];
    for (unknown, user, three, five) in tries {
        for (level, wanted) in [(4, three), (5, five)] {
            let mut session = open(unknown);
            let heard = feed(&mut session, &connect_as(level, "c1", user, 60));
            let turned_away = wanted != "20020000" && !wanted.is_empty();
            if !wanted.is_empty() {
                assert_eq!(heard.hex(), [wanted], "{user:?}");
            }
            assert_eq!(
                (session.is_over(), heard.fault.is_some()),
                (turned_away, turned_away),
                "{user:?}"
            );
        }
    }
    let mut old = session();
    assert_eq!(feed(&mut old, &connect_as(3, "c1", None, 60)).hex(), ["20020001"], "MQTT 3.1");
    assert!(old.is_over());
    let mut long = session();
    let name = "x".repeat(129);
    assert_eq!(
        feed(&mut long, &connect_as(4, &name, Some(("p-7001", "secret of p-7001")), 60)).hex(),
        ["20020002"]
    );
}

#[test]
fn a_device_publishes_to_its_own_topics_alone() {
    for topic in [
        "hansho/v1/pendant/p-7002/alarm",
        "hansho/v1/tracker/p-7001/alarm",
        "siren",
        "hansho/v1/pendant/p-7001/down",
    ] {
        let mut five = session();
        feed(&mut five, &connect(5));
        let heard = feed(&mut five, &publish(5, 1, 7, topic, HELP));
        let report = &heard.reports[0].1;
        assert_eq!(
            (report.refused, report.findings.len(), report.device.as_str()),
            (Some(FrameFault::NotAllowed), 0, "P-7001")
        );
        assert_eq!(store(&mut five, heard.reports[0].0, Durable::Stored).hex(), ["4003000787"]);
        assert!(!five.is_over());
        let mut three = session();
        feed(&mut three, &connect(4));
        let heard = feed(&mut three, &publish(4, 1, 7, topic, HELP));
        assert!(three.is_over() && heard.sent.is_empty());
    }
    // Whom nobody knows may speak for those whom nobody knows.
    let mut stranger = open(UnknownDevices::Show);
    feed(&mut stranger, &connect_as(5, "c1", None, 60));
    let heard = feed(&mut stranger, &publish(5, 1, 1, "hansho/v1/tracker/new-1/telemetry", "{}"));
    assert_eq!(heard.reports[0].1.device, "NEW-1");
    let heard = feed(&mut stranger, &publish(5, 1, 2, ALARM, HELP));
    assert!(
        heard.reports.is_empty() && heard.fault.is_some() && heard.sent.is_empty(),
        "and waits its turn"
    );
}

#[test]
fn a_device_subscribes_to_its_own_topic_alone() {
    let own = "hansho/v1/pendant/p-7001/down";
    for (level, answer) in [(4, "9004000a0080"), (5, "9005000a000087")] {
        let mut session = session();
        feed(&mut session, &connect(level));
        let heard =
            feed(&mut session, &subscribe(level, 10, &[own, "hansho/v1/pendant/p-7002/down"]));
        assert_eq!(heard.hex(), [answer]);
        for filter in ["#", "hansho/v1/pendant/+/down", "$share/g/hansho/v1/pendant/p-7001/down"] {
            let heard = feed(&mut session, &subscribe(level, 11, &[filter]));
            let refused = if level == 4 { "9003000b80" } else { "9004000b0087" };
            assert_eq!(heard.hex(), [refused], "{filter}");
        }
    }
}

#[test]
fn under_load_devices_are_asked_for_less_and_telemetry_is_not_read() {
    let mut tracker = session();
    let log_in = Some(("t-8001", "secret of t-8001"));
    feed(&mut tracker, &connect_as(4, "c1", log_in, 60));
    feed(&mut tracker, &subscribe(4, 1, &["hansho/v1/tracker/t-8001/down"]));
    assert!(tracker.wants_bytes());
    tracker.handle_load(now(), LoadLevel::REFUSE_TELEMETRY);
    assert!(!tracker.wants_bytes());
    let said = |heard: Heard| String::from_utf8_lossy(&heard.sent.concat()).into_owned();
    assert!(said(drain(&mut tracker)).ends_with(r#"down{"interval_s":300}"#));
    tracker.handle_timeout(after(3_600));
    assert!(!tracker.is_over(), "its silence is ours");
    tracker.handle_load(after(3_600), LoadLevel::CALM);
    assert!(said(drain(&mut tracker)).ends_with(r#"down{"interval_s":0}"#));
    assert!(tracker.wants_bytes());
    tracker.handle_timeout(after(3_689));
    assert!(!tracker.is_over());
    tracker.handle_timeout(after(3_690));
    assert!(tracker.is_over());
    for (level, answer) in [(4, "20020003"), (5, "2003009700")] {
        let mut late = session();
        late.handle_load(now(), LoadLevel::ALARMS_ONLY);
        assert_eq!(feed(&mut late, &connect_as(level, "c1", log_in, 60)).hex(), [answer]);
        let mut pendant = session();
        pendant.handle_load(now(), LoadLevel::ALARMS_ONLY);
        feed(&mut pendant, &connect(level));
        assert!(!pendant.is_over() && pendant.wants_bytes(), "who may call for help is let in");
    }
}

#[test]
fn an_alarm_of_a_telemetry_device_rings_and_is_marked() {
    let mut tracker = session();
    feed(&mut tracker, &connect_as(5, "c1", Some(("t-8001", "secret of t-8001")), 60));
    for (topic, refused) in [("alarm", None), ("telemetry", Some(FrameFault::BadPayload))] {
        let topic = format!("hansho/v1/tracker/t-8001/{topic}");
        let heard = feed(&mut tracker, &publish(5, 1, 1, &topic, HELP));
        let report = &heard.reports[0].1;
        assert_eq!((report.lane, report.refused), (Lane::A, refused));
        assert_eq!(report.deviations, [hansho_model::Deviation::AlarmFromTelemetry]);
    }
    tracker.handle_load(now(), LoadLevel::ALARMS_ONLY);
    assert!(tracker.wants_bytes(), "it has called for help: it is heard");
}

#[test]
fn a_line_that_breaks_is_a_fault_and_a_farewell_is_none() {
    for level in [4, 5] {
        let mut broken = session();
        feed(&mut broken, &connect(level));
        broken.handle_closed(now());
        let lost = drain(&mut broken).reports;
        let finding = &lost[0].1.findings[0];
        assert_eq!(
            (finding.kind.as_str(), finding.zone.as_str(), lost.len()),
            ("line", "connection", 1)
        );
        let mut polite = session();
        feed(&mut polite, &connect(level));
        feed(&mut polite, &packet(0xe0, &[]));
        assert!(polite.is_over());
        polite.handle_closed(now());
        assert!(drain(&mut polite).reports.is_empty());
        let mut silent = session();
        feed(&mut silent, &connect(level));
        silent.handle_timeout(after(89));
        assert!(!silent.is_over());
        silent.handle_timeout(after(90));
        let heard = drain(&mut silent);
        assert!(silent.is_over());
        assert_eq!(heard.reports.len(), 1);
        assert_eq!(heard.hex(), if level == 4 { vec![] } else { vec!["e0018d".to_owned()] });
    }
}

#[test]
fn times_and_names_are_kept() {
    let mut mute = session();
    mute.handle_timeout(after(4));
    assert!(!mute.is_over());
    mute.handle_timeout(after(5));
    assert!(mute.is_over(), "no CONNECT within 5 s");
    let mut half = session();
    feed(&mut half, &connect_as(4, "c1", Some(("p-7001", "secret of p-7001")), 0));
    feed(&mut half, &[0x30, 0x20, 0x00]);
    half.handle_timeout(after(60));
    assert!(half.is_over(), "half a packet");
    let mut pinging = session();
    feed(&mut pinging, &connect(4));
    assert_eq!(feed(&mut pinging, &[0xc0, 0x00]).hex(), ["d000"]);
    assert_eq!(pinging.identity(), Some("P-7001/c1"));
    pinging.handle_takeover(now());
    assert!(drain(&mut pinging).sent.is_empty() && pinging.is_over());
    let mut older = session();
    feed(&mut older, &connect(5));
    older.handle_takeover(now());
    assert_eq!(drain(&mut older).hex(), ["e0018e"]);
    let mut nameless = session();
    let heard = feed(&mut nameless, &connect_as(5, "", Some(("p-7001", "secret of p-7001")), 0));
    let connack = String::from_utf8_lossy(&heard.sent[0]).into_owned();
    assert!(connack.contains("hansho-") && heard.hex()[0].contains("1304b0"), "a name, 1,200 s");
    assert_eq!(nameless.identity(), None, "nobody can take over from it");
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    let long_topic = publish(5, 1, 7, &"t".repeat(65_535), "");
    let size = |body: usize| {
        let mut whole = publish(5, 1, 7, ALARM, "");
        whole.truncate(0);
        let topic = text(ALARM);
        let payload = vec![b' '; body - topic.len() - 3];
        whole.extend(packet(0x32, &[topic, vec![0, 7, 0], payload].concat()));
        whole
    };
    assert_eq!((long_topic.len(), size(65_532).len()), (65_544, 65_536));
    for (bytes, ends, answer) in [
        (long_topic, true, "e00195"),
        (size(65_533), true, "e00195"),
        (size(65_532), false, ""),
        (connect(5), true, "e00182"),
        (publish(5, 1, 0, ALARM, HELP), true, "e00182"),
        (vec![0x36, 0x00], true, "e00181"),
        (vec![0x40, 0x02, 0x00, 0x07], true, "e00182"),
        (vec![0x20, 0x02, 0x00, 0x00], true, ""),
        (vec![0xf0, 0x00], true, "e00182"),
        (vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01], true, ""),
        (packet(0x32, &[0x00, 0x02, 0xff, 0xff, 0x00, 0x01, 0x00]), true, "e00181"),
    ] {
        let mut session = session();
        feed(&mut session, &connect(5));
        let heard = feed(&mut session, &bytes);
        let start: Vec<u8> = bytes.iter().take(8).copied().collect();
        assert_eq!(session.is_over(), ends, "{start:02x?}");
        assert_eq!(heard.hex().concat(), answer, "{start:02x?}");
        assert_eq!(heard.fault.is_some(), ends, "{start:02x?}");
    }
    let mut early = session();
    assert!(feed(&mut early, &publish(4, 1, 1, ALARM, HELP)).reports.is_empty() && early.is_over());
}

/// Packets, good and bad, and rubbish.
fn packets() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let level = prop_oneof![Just(4_u8), Just(5)];
    level.prop_flat_map(|level| {
        let topic = prop_oneof![
            4 => Just(ALARM.to_owned()),
            2 => Just("hansho/v1/pendant/p-7001/telemetry".to_owned()),
            1 => "[ -~]{0,40}",
        ];
        let payload = prop_oneof![3 => Just(HELP.to_owned()), 1 => "[ -~]{0,60}", 1 => Just("{}".to_owned())];
        let one = prop_oneof![
            6 => (0..2_u8, 0..5_u16, topic, payload).prop_map(move |(qos, id, topic, payload)| publish(level, qos, id, &topic, &payload)),
            1 => Just(subscribe(level, 3, &["hansho/v1/pendant/p-7001/down"])),
            1 => Just(vec![0xc0, 0x00]),
            1 => vec(any::<u8>(), 0..24),
        ];
        (Just(level), vec(one, 0..12).prop_map(|parts| parts.concat()))
    })
}

fn said(pieces: &[&[u8]]) -> (Vec<Report>, Vec<u8>) {
    let mut session = session();
    let (mut reports, mut sent) = (Vec::new(), Vec::new());
    let mut receipts = Vec::new();
    for piece in pieces {
        let heard = feed(&mut session, piece);
        sent.extend(heard.sent.concat());
        for (receipt, report) in heard.reports {
            reports.push(report);
            receipts.push(receipt);
        }
    }
    for receipt in receipts {
        let heard = store(&mut session, receipt, Durable::Stored);
        reports.extend(heard.reports.into_iter().map(|(_, report)| report));
        sent.extend(heard.sent.concat());
    }
    (reports, sent)
}

#[test]
fn any_packets_however_they_are_cut_say_the_same() {
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let run = TestRunner::new_with_rng(config, rng).run(
        &(packets(), 1..40_usize),
        |((level, bytes), cut)| {
            let whole = [connect(level), bytes].concat();
            let (reports, sent) = said(&[&whole]);
            for report in &reports {
                prop_assert!((1..=32).contains(&report.device.len()) && report.device.is_ascii());
                prop_assert!(report.findings.len() <= 16 && report.raw.0.len() <= 4_200);
                prop_assert!(report.device_key.len() <= 128);
            }
            let pieces: Vec<&[u8]> = whole.chunks(cut).collect();
            prop_assert_eq!(said(&pieces), (reports, sent));
            Ok(())
        },
    );
    run.unwrap();
}
