//! What must hold for any bytes: no panic, the same however they are cut, limits that hold, and an
//! end to every call. The seeds are fixed, so that a failure is the same everywhere.

use jiff::SignedDuration;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::house::{House, PHONE_SDP, PHONES, SDP, TRUNK, answer, flow, said, word};
use crate::sip::message::Message;
use crate::sip::{Endpoint, Output, SipTransport, geolocation, offer, pidf};

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]))
}

/// Requests that are nearly right, and bytes that are nothing.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let house = House::new(SipTransport::Tcp);
    let good = vec![
        house.invite(),
        house.cancel(),
        house.request("ACK", "i1", "", 1, ""),
        house.request("BYE", "b1", ";tag=x", 2, ""),
        house.request("OPTIONS", "o1", "", 1, "abc"),
        house.request(
            "INVITE",
            "i2",
            "",
            2,
            "--b\r\nContent-Type: application/pidf+xml\r\n\r\n<a/>",
        ),
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n".to_owned(),
        "\r\n\r\n".to_owned(),
    ];
    let damage =
        (prop::sample::select(good), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4));
    prop_oneof![
        6 => damage.prop_map(|(text, places)| {
            let mut bytes = text.into_bytes();
            for (place, byte) in places {
                let index = place.index(bytes.len());
                bytes[index] = byte;
            }
            bytes
        }),
        1 => vec(any::<u8>(), 0..200),
        1 => vec(prop::sample::select(b"\r\n :;<>\",=-SIP/2.0".to_vec()), 0..60),
    ]
}

/// What an endpoint says to bytes that come in pieces.
fn said_to(pieces: &[&[u8]]) -> Vec<String> {
    let mut endpoint = Endpoint::new(super::house::setup());
    let now = House::new(SipTransport::Tcp).now;
    let mut words = Vec::new();
    // Each read tells its first fault only, unless one ends the connection.
    let mut faults = Vec::new();
    for piece in pieces {
        if let Err(error) = endpoint.handle_stream(now, flow(SipTransport::Tcp, TRUNK), piece) {
            faults.extend(error.fatal.then(|| error.to_string()));
        }
        loop {
            match endpoint.poll_output() {
                Output::Fact(receipt, report) => {
                    words.push(format!("{receipt:?} {}", word(&report)));
                }
                Output::Transmit(hop, bytes) => {
                    words.push(format!("{hop:?} {}", bytes.escape_ascii()));
                }
                Output::Close(flow) => words.push(format!("{flow:?}")),
                Output::Idle(_) => break,
            }
        }
    }
    words.extend(faults);
    words
}

#[test]
fn any_bytes_are_legal_and_a_stream_may_be_cut_anywhere() {
    let input = (vec(text(), 0..5), 1_usize..200);
    let run = runner(2_000).run(&input, |(texts, cut)| {
        let bytes = texts.concat();
        let whole = said_to(&[&bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        prop_assert_eq!(&said_to(&pieces), &whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&said_to(&single), &whole);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn any_datagram_is_legal_and_nothing_early_is_said() {
    let run = runner(3_000).run(&vec(text(), 0..6), |texts| {
        let mut endpoint = Endpoint::new(super::house::setup());
        let now = House::new(SipTransport::Udp).now;
        for text in texts {
            drop(endpoint.handle_datagram(now, flow(SipTransport::Udp, TRUNK), &text));
            loop {
                match endpoint.poll_output() {
                    Output::Transmit(_, bytes) => {
                        let answer = Message::parse(&bytes).unwrap();
                        // Nothing is durable here, so no call may ring or be told that it is over.
                        let status = answer.status().unwrap();
                        let early = [180, 487, 480].contains(&status);
                        prop_assert!(!early, "{}", bytes.escape_ascii());
                    }
                    Output::Fact(..) | Output::Close(_) => {}
                    Output::Idle(_) => break,
                }
            }
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn any_document_header_and_request_is_legal() {
    let xml = prop_oneof![
        vec(any::<u8>(), 0..200),
        "(<presence xmlns=\"urn:ietf:params:xml:ns:pidf\">)?(<[a-z]{1,3}( x=\"[0-9]\")?/?>|</[a-z]>|[0-9. -]{1,9}){0,9}"
            .prop_map(String::into_bytes),
    ];
    let header = "(<(cid|https|ftp)?:?[a-z@,]{0,6}>?(;[a-z]{0,2}(=\"?[a-z]?\"?)?)?,? ?){0,3}";
    let run = runner(3_000).run(&(xml, header, text()), |(xml, header, text)| {
        drop(pidf::read(&xml));
        drop(geolocation::parse(&header));
        if let Ok(message) = Message::parse(&text) {
            let offer = offer::offer(&message, true, String::new(), Vec::new());
            prop_assert!(offer.service.len() <= 64 && offer.locations.len() <= 8);
            prop_assert!(offer.number.is_none_or(|number| number.0.len() <= 64));
            prop_assert!(offer::call_ref(&message).0.len() <= 255);
            // What could be read is written so that it reads the same.
            let again = Message::parse(&message.encode());
            prop_assert!(again.is_ok_and(|again| again.start == message.start));
        }
        Ok(())
    });
    run.unwrap();
}

/// What may happen to a call, in any order.
#[derive(Clone, Debug)]
enum Step {
    Caller(&'static str),
    Phone(usize, u16),
    PhoneBye,
    Connect(&'static str),
    RingAll,
    Durable,
    Pass(i64),
    Unreachable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::sample::select(vec!["INVITE", "CANCEL", "ACK", "BYE", "INFO", "REINVITE"]).prop_map(Step::Caller),
        4 => (0_usize..2, prop::sample::select(vec![100_u16, 180, 200, 200, 302, 486, 487]))
            .prop_map(|(phone, status)| Step::Phone(phone, status)),
        1 => Just(Step::PhoneBye),
        2 => prop::sample::select(vec!["desk1", "desk2"]).prop_map(Step::Connect),
        1 => Just(Step::RingAll),
        3 => Just(Step::Durable),
        2 => (0_i64..50).prop_map(Step::Pass),
        1 => Just(Step::Unreachable),
    ]
}

/// A house that plays, and looks at each message before it leaves.
struct Play {
    house: House,
    tag: String,
    invites: [Option<Message>; 2],
    durable: Vec<String>,
    told: Vec<String>,
}

impl Play {
    fn new(transport: SipTransport) -> Self {
        Self {
            house: House::new(transport),
            tag: String::new(),
            invites: [None, None],
            durable: Vec::new(),
            told: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step, number: u32) {
        let call = hansho_model::CallRef("c1@t;f1".to_owned());
        let house = &mut self.house;
        match step {
            Step::Caller("INVITE") => {
                let text = house.invite();
                house.caller(&text);
            }
            Step::Caller("CANCEL") => {
                let text = house.cancel();
                house.caller(&text);
            }
            Step::Caller(method) => {
                let method = if *method == "REINVITE" { "INVITE" } else { method };
                let number = if method == "ACK" { 1 } else { number + 1 };
                let body = if matches!(method, "ACK" | "BYE") { "" } else { SDP };
                let text = house.in_dialog(method, &self.tag, number, body);
                house.caller(&text);
            }
            Step::Phone(phone, status) => {
                if let Some(invite) = &self.invites[*phone] {
                    let body = (*status == 200).then_some(PHONE_SDP);
                    house.phone(*phone, &answer(invite, *status, body));
                }
            }
            Step::PhoneBye => {
                if let Some(invite) = self.invites[0].clone() {
                    let legs = super::house::Legs { caller: String::new(), phone: invite };
                    house.phone(0, &legs.request("BYE", number, ""));
                }
            }
            Step::Connect(seat) => {
                house.endpoint.connect(house.now, &call, seat);
                house.drain();
            }
            Step::RingAll => {
                house.endpoint.ring_all(house.now, &call);
                house.drain();
            }
            Step::Durable => self.durable.extend(house.durable()),
            Step::Pass(seconds) => house.pass_s(*seconds),
            Step::Unreachable => {
                let there = super::house::address(PHONES[1]);
                house.endpoint.handle_unreachable(house.now, SipTransport::Tcp, there);
                house.drain();
            }
        }
    }

    /// Looks at what left, and learns from it.
    fn look(&mut self) {
        self.told.extend(self.house.told());
        for (_hop, message) in std::mem::take(&mut self.house.sent) {
            let has = |start: &str| self.durable.iter().any(|word| word.starts_with(start));
            match said(&message).as_str() {
                "180 INVITE" => assert!(has("offered"), "it rang before it was durable"),
                // Of the call itself; the other side may refuse a later INVITE as it likes.
                "487 INVITE" | "480 INVITE" if message.cseq() == Some((1, "INVITE")) => {
                    assert!(has("abandoned"), "refused too early");
                }
                "200 CANCEL" => {
                    assert!(!self.told.iter().any(|w| w == "abandoned") || has("abandoned"));
                }
                "200 BYE" => assert!(
                    has("ended")
                        || has("abandoned")
                        || self.told.is_empty()
                        || !self
                            .told
                            .iter()
                            .any(|word| word.starts_with("ended") || word == "abandoned")
                ),
                "200 INVITE" => self.tag = message.tag("To").unwrap_or_default(),
                "INVITE" => {
                    let phone = usize::from(message.uri().is_some_and(|uri| uri.contains("desk2")));
                    if message.tag("To").is_none() {
                        self.invites[phone] = Some(message);
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn every_call_reaches_an_end_and_nothing_leaves_early() {
    let input = (vec(step(), 0..30), any::<bool>());
    let run = runner(1_500).run(&input, |(steps, udp)| {
        let mut play = Play::new(if udp { SipTransport::Udp } else { SipTransport::Tcp });
        let mut number = 1;
        play.step(&Step::Caller("INVITE"), number);
        play.look();
        for step in &steps {
            number += 1;
            play.step(step, number);
            play.look();
        }
        // Nothing more is said by anybody: durable or not, all of it ends.
        play.step(&Step::Durable, number);
        play.look();
        for _hour in 0..30 {
            play.house.pass(SignedDuration::from_hours(1));
            play.durable.extend(play.house.durable());
            play.look();
        }
        prop_assert_eq!(play.house.endpoint.calls().count(), 0);
        prop_assert_eq!(play.house.next, None);
        let count =
            |start: &str| play.durable.iter().filter(|word| word.starts_with(start)).count();
        let offered = count("offered");
        prop_assert_eq!(count("abandoned") + count("ended"), offered, "{:?}", play.durable);
        prop_assert!(count("connected") <= offered);
        Ok(())
    });
    run.unwrap();
}
