use hansho_model::{
    Availability, AvailabilityReason, CommandId, DegreesE7, EffectId, FrameFault, IncidentId,
    IncidentKind, Lane, MetresU32, Mode, OrderWord, Position, RefusalCode, Seq, UnitStatus, Usable,
    is_terminal_id,
};
use proptest::prelude::*;

use super::*;
use crate::mqtt::fields::Fields;

const ID: &str = "019abcde-f012-7345-8678-9abcdef01234";

fn id() -> CommandId {
    let [head, tail] = [
        [0x01, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x73, 0x45],
        [0x86, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34],
    ];
    CommandId([head, tail].concat().try_into().unwrap())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_stream_begins_with_its_class_and_whose_it_is() {
    let heard = hello(br#"{"hello":1,"class":"B","terminal":"onahama-1"}"#).unwrap();
    let crew = Hello { class: StreamClass::Crew, terminal: "ONAHAMA-1".to_owned() };
    assert_eq!(heard, crew);
    for bad in [
        r#"{"hello":2,"class":"B","terminal":"onahama-1"}"#,
        r#"{"hello":1,"class":"D","terminal":"onahama-1"}"#,
        r#"{"hello":1,"class":"B"}"#,
        r#"{"class":"B","terminal":"onahama-1"}"#,
        r#"{"hello":1,"class":"B","terminal":"-x"}"#,
        r#"{"hello":1,"class":"B","terminal":"a.b"}"#,
        r#"{"hello":1,"class":"B","terminal":"x","seat":1}"#,
        "",
    ] {
        assert!(hello(bad.as_bytes()).unwrap_err().fatal, "{bad}");
    }
    let now = "2026-11-23T05:40:48.123456Z".parse().unwrap();
    let answer = welcome(StreamClass::Alarm, now);
    assert_eq!(text(&answer), r#"{"hello":1,"class":"A","time":"2026-11-23T05:40:48.123456Z"}"#);
}

#[test]
fn a_press_is_read_with_its_own_time() {
    let said = format!(
        r#"{{"id":"{ID}","status":"OS","at":"2026-11-23T14:40:48+09:00","incident":"i184210"}}"#
    );
    let Ok(Up::Press(press)) = up(said.as_bytes()) else { panic!() };
    let at = "2026-11-23T05:40:48Z".parse().ok();
    let incident = Some(IncidentId(Seq::new(184_210)));
    let status = UnitStatus::OnScene;
    assert_eq!(press, Press { id: id(), said: CrewSaid::Status { status, at, incident } });

    let said = format!(r#"{{"id":"{ID}","availability":"OO","reason":"maintenance"}}"#);
    let Ok(Up::Press(press)) = up(said.as_bytes()) else { panic!() };
    let usable = Usable {
        availability: Availability::OutOfService,
        reason: Some(AvailabilityReason::Maintenance),
        minutes: None,
    };
    assert_eq!(press.said, CrewSaid::Availability(usable));

    let key = OrderKey(EffectId { seq: Seq::new(184_225), index: 3 });
    assert_eq!(up(br#"{"received":"184225.3"}"#), Ok(Up::Received(key)));
}

#[test]
fn what_is_wrong_is_refused_by_its_id_where_that_is_legible() {
    for (bad, legible) in [
        (format!(r#"{{"id":"{ID}","status":"XX"}}"#), true),
        (format!(r#"{{"id":"{ID}","status":"OS","at":"noon"}}"#), true),
        (format!(r#"{{"id":"{ID}","status":"OS","incident":"184210"}}"#), true),
        (format!(r#"{{"id":"{ID}","availability":"OO"}}"#), true),
        (format!(r#"{{"id":"{ID}","status":"OS","seat":"desk1"}}"#), true),
        (format!(r#"{{"id":"{ID}"}}"#), true),
        (r#"{"id":"019abcde","status":"OS"}"#.to_owned(), false),
        (format!(r#"{{"id":"{}","status":"OS"}}"#, ID.replace('-', "0")), false),
        (r#"{"received":"184225"}"#.to_owned(), false),
        ("[]".to_owned(), false),
        (String::new(), false),
    ] {
        let (read, error) = up(bad.as_bytes()).unwrap_err();
        assert_eq!((read, error.fatal), (legible.then(id), false), "{bad}");
    }
    assert_eq!(text(&stored(id(), Seq::new(7))), format!(r#"{{"id":"{ID}","seq":7}}"#));
    let no = refused(id(), RefusalCode::WrongMove);
    assert_eq!(text(&no), format!(r#"{{"id":"{ID}","refused":"wrong_move"}}"#));
}

#[test]
fn an_alarm_rings_though_it_cannot_be_read() {
    let (counter, report) = alarm("ONAHAMA-1", br#"{"n":7,"alarms":[{"kind":"help"}]}"#);
    assert_eq!((counter, report.lane, report.refused), (Some(7), Lane::A, None));
    assert_eq!((report.door.as_str(), &*report.device), ("quic", "ONAHAMA-1"));
    let (counter, report) = alarm("ONAHAMA-1", b"help!");
    assert_eq!((counter, report.lane), (None, Lane::A));
    assert_eq!(report.refused, Some(FrameFault::BadPayload));
    assert_eq!(text(&stored_alarm(Some(7))), r#"{"n":7,"stored":true}"#);
    assert_eq!(text(&stored_alarm(None)), r#"{"n":null,"stored":true}"#);
}

#[test]
fn a_datagram_is_a_place_and_what_calls_in_one_is_shown_and_not_trusted() {
    let said = br#"{"observed_at":"2026-11-23T05:40:48Z","position":{"lat":36.9548,"lon":140.905,"speed_kmh":42.5}}"#;
    let report = position("ONAHAMA-1", said);
    assert_eq!((report.lane, report.refused), (Lane::D, None));
    assert_eq!(report.position.map(|place| place.lat.e7()), Some(369_548_000));
    let report = position("ONAHAMA-1", br#"{"alarms":[{"kind":"help"}]}"#);
    assert_eq!((report.lane, report.refused), (Lane::A, Some(FrameFault::BadPayload)));
}

#[test]
fn an_order_is_json_whatever_its_words_are() {
    let place = Position::new(DegreesE7::from_e7(-369_758), DegreesE7::from_e7(1_408_861_000));
    let order = Order {
        key: OrderKey(EffectId { seq: Seq::new(184_225), index: 0 }),
        word: OrderWord::Ordered,
        incident: IncidentId(Seq::new(184_210)),
        number: "1123-3".to_owned(),
        kind: IncidentKind::Fire,
        subkind: None,
        at: "2026-11-23T05:40:48Z".parse().unwrap(),
        place: Some("小名浜住吉 \"角\"\n2階\\".to_owned()),
        position: place,
        radius: Some(MetresU32(50)),
        units: vec!["小名浜1".to_owned(), "小名浜救1".to_owned()],
        mode: Mode::Demo,
    };
    let content = order.content();
    let said = r#"{"order":"184225.0","state":"ordered","incident":"i184210","number":"1123-3","kind":"fire","at":"2026-11-23T05:40:48Z","place":"小名浜住吉 \"角\"\u000a2階\\","lat":-0.0369758,"lon":140.8861000,"radius_m":50,"units":["小名浜1","小名浜救1"],"mode":"demo"}"#;
    assert_eq!(text(&content), said);
    let read = Fields::any(&content, |fields| fields.word("place", |word| Some(word.to_owned())));
    assert_eq!(read, order.place);
    let back = Order { word: OrderWord::Withdrawn, ..order.clone() };
    assert!(text(&back.content()).starts_with(r#"{"order":"184225.0","state":"withdrawn","#));
    let bare = Order { place: None, position: None, radius: None, units: Vec::new(), ..order };
    assert!(
        text(&bare.content()).ends_with(r#""at":"2026-11-23T05:40:48Z","units":[],"mode":"demo"}"#)
    );
}

#[test]
fn terminals_have_names_that_stand_in_certificates() {
    assert_eq!(certificate_name("Onahama-1"), "onahama-1.terminal.hansho");
    for good in ["a", "ONAHAMA-1", &"x".repeat(32)] {
        assert!(is_terminal_id(good), "{good}");
    }
    for bad in ["", "-a", "a-", "a.b", "小名浜1", "a b", &"x".repeat(33)] {
        assert!(!is_terminal_id(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8),
        cut in 1_usize..64,
    ) {
        let stream: Vec<u8> = contents.iter().flat_map(|each| frame(each)).collect();
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for piece in stream.chunks(cut) {
            frames.feed(piece);
            while let Some(content) = frames.take().unwrap() {
                found.push(content);
            }
        }
        prop_assert!(!frames.is_unfinished());
        prop_assert_eq!(found, contents);
    }

    #[test]
    fn any_bytes_are_legal_input(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut frames = Frames::default();
        frames.feed(&bytes);
        while let Ok(Some(content)) = frames.take() {
            prop_assert!(content.len() <= FRAME_SIZE_MAX);
        }
        prop_assert!(hello(&bytes).is_err());
        if let Err((_, error)) = up(&bytes) {
            prop_assert_eq!(error.fault, FrameFault::BadPayload);
        }
        prop_assert_eq!(alarm("T", &bytes).1.lane, Lane::A);
        prop_assert_eq!(position("T", &bytes).lane, Lane::D);
    }
}

#[test]
fn a_frame_that_is_empty_or_too_long_ends_the_stream() {
    for length in [0_u32, 4_097, u32::MAX] {
        let mut frames = Frames::default();
        frames.feed(&length.to_be_bytes());
        assert!(frames.take().unwrap_err().fatal, "{length}");
    }
    let longest = frame(&vec![b' '; FRAME_SIZE_MAX]);
    let mut frames = Frames::default();
    frames.feed(&longest[..longest.len() - 1]);
    assert_eq!(frames.take(), Ok(None));
    assert!(frames.is_unfinished());
    frames.feed(&longest[longest.len() - 1..]);
    assert_eq!(frames.take().unwrap().unwrap().len(), FRAME_SIZE_MAX);
}
