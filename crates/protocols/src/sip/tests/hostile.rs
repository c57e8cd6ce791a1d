//! What strangers and broken senders send.

use hansho_model::{CallFact, LocationFault};

use super::house::{House, PHONES, SDP, TRUNK, address, answer, flow, setup};
use crate::sip::message::Message;
use crate::sip::serve::DIALOG_COUNT_MAX;
use crate::sip::{
    CALL_COUNT_MAX, Endpoint, FLOW_COUNT_MAX, KEPT_COUNT_MAX, Setup, SipTransport,
    TRANSACTION_COUNT_MAX,
};

fn first_to(house: &mut House, text: &str) -> String {
    house.give(SipTransport::Udp, TRUNK, text);
    house.to(TRUNK).join(", ")
}

#[test]
fn scanners_get_404_and_leave_nothing_behind() {
    let mut house = House::new(SipTransport::Udp);
    let scan = house.invite().replace("urn:service:sos.fire", "sip:100@192.0.2.1");
    assert_eq!(first_to(&mut house, &scan), "404 INVITE");
    assert_eq!((house.told(), house.next), (Vec::new(), None));
    let own = house.invite().replace("urn:service:sos.fire", "sip:119@192.0.2.1");
    assert_eq!(first_to(&mut house, &own), "100 INVITE");
    assert_eq!(house.told(), ["offered +819000000001 "]);
}

#[test]
fn other_methods_are_answered_by_the_book() {
    let mut house = House::new(SipTransport::Udp);
    for (method, status) in [
        ("OPTIONS", 200),
        ("MESSAGE", 405),
        ("REGISTER", 405),
        ("DANCE", 501),
        ("BYE", 481),
        ("CANCEL", 481),
    ] {
        let text = house.request(method, "x", "", 1, "");
        house.give(SipTransport::Udp, TRUNK, &text);
        let answer = house.messages(TRUNK).remove(0);
        assert_eq!(answer.status(), Some(status), "{method}");
        assert_eq!(answer.first("Allow").is_some(), [200, 405, 501].contains(&status));
        assert!(answer.tag("To").is_some());
    }
    let late = house.in_dialog("BYE", "nobody", 2, "");
    assert_eq!(first_to(&mut house, &late), "481 BYE");
    let stray = house.in_dialog("ACK", "nobody", 2, "");
    assert_eq!(first_to(&mut house, &stray), "");
    assert_eq!(house.next, None);
}

#[test]
fn malformed_requests_are_answered_400_or_with_silence() {
    let mut house = House::new(SipTransport::Udp);
    let invite = house.invite();
    let without_to = invite.replace("To: <urn:service:sos.fire>\r\n", "");
    house.give(SipTransport::Udp, TRUNK, &without_to);
    let (_hop, answer) = house.sent.pop().unwrap_or_else(|| panic!("no answer"));
    assert_eq!(answer.status(), Some(400));
    let seven = invite.replace(" SIP/2.0\r\nVia", " SIP/7.0\r\nVia");
    assert_eq!(first_to(&mut house, &seven), "505 INVITE");
    let mixed = invite.replace("CSeq: 1 INVITE", "CSeq: 1 NEWMETHOD");
    house.give(SipTransport::Udp, TRUNK, &mixed);
    assert_eq!(house.sent.pop().unwrap().1.status(), Some(400));
    let peer = flow(SipTransport::Udp, TRUNK);
    for text in ["garbage", "INVITE urn:service:sos SIP/2.0\r\n\r\n", "\u{1}\u{2}"] {
        let fault = house.endpoint.handle_datagram(house.now, peer, text.as_bytes());
        assert!(!fault.unwrap_err().fatal, "{text}");
    }
    house.endpoint.handle_datagram(house.now, peer, b"\r\n\r\n").unwrap();
    house.drain();
    assert_eq!((house.sent.len(), house.told(), house.next), (0, Vec::new(), None));
}

#[test]
fn the_same_call_by_another_way_is_merged() {
    let mut house = House::new(SipTransport::Udp);
    house.ringing();
    let other = house.request("INVITE", "other", "", 1, SDP);
    assert_eq!(first_to(&mut house, &other), "482 INVITE");
    assert_eq!(house.endpoint.calls().count(), 1);
}

#[test]
fn a_body_that_was_cut_off_still_rings() {
    let mut house = House::new(SipTransport::Udp);
    let body = format!(
        "--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b\r\n\
         Content-Type: application/pidf+xml\r\nContent-ID: <l@c>\r\n\r\n<presence xmlns=\"urn:ie"
    );
    let text = house.request("INVITE", "i1", "", 1, &body);
    let text = text
        .replace(
            "application/sdp\r\nContent-Length",
            "multipart/mixed;boundary=b\r\nContent-Length",
        )
        .replace(&format!("Content-Length: {}", body.len()), "Content-Length: 10000")
        .replace("Contact:", "Geolocation: <cid:l@c>, <cid:m@c>\r\nContact:");
    house.caller(&text);
    let CallFact::Offered(offer) = &house.facts[0].1.fact else { panic!() };
    let faults: Vec<_> = offer.locations.iter().map(|location| location.refused).collect();
    assert_eq!(faults, [Some(LocationFault::Size); 2]);
    let call = house.endpoint.calls().next().unwrap().call.clone();
    house.durable();
    assert_eq!(house.to(TRUNK), ["100 INVITE", "180 INVITE"]);
    // What came whole is used.
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    assert_eq!(house.messages(PHONES[0])[0].body, SDP.as_bytes());
}

#[test]
fn ten_megabytes_over_a_connection_still_ring() {
    let mut house = House::new(SipTransport::Tcp);
    let text = house.invite();
    let (head, _body) = text.split_once("\r\n\r\n").unwrap();
    let head = head.replace(&format!("Content-Length: {}", SDP.len()), "Content-Length: 10000000");
    house.caller(&format!("{head}\r\n\r\n"));
    let CallFact::Offered(offer) = &house.facts[0].1.fact else { panic!() };
    assert_eq!(offer.locations[0].refused, Some(LocationFault::Size));
    house.durable();
    assert_eq!(house.to(TRUNK), ["100 INVITE", "180 INVITE"]);
}

#[test]
fn nobody_but_the_trunk_says_who_calls() {
    let mut house = House::new(SipTransport::Udp);
    let text = house.invite().replace("<sip:+819000000001@", "<sip:+819000000009@");
    house.give(SipTransport::Udp, "192.0.2.99:5060", &text);
    assert_eq!(house.told(), ["offered +819000000009 sos.fire"]);
}

#[test]
fn the_call_after_the_last_that_has_room_is_told_so() {
    let mut house = House::new(SipTransport::Udp);
    fill(&mut house, 0);
    assert_eq!(house.endpoint.calls().count(), CALL_COUNT_MAX);
}

/// A request of another call than all the others.
fn other_call(house: &House, method: &str, index: usize) -> String {
    let text = house.request(method, &index.to_string(), "", 1, "");
    text.replace("c1@t", &format!("{index}@t"))
}

/// The trunk brings calls beside those that live already, until one finds no room.
fn fill(house: &mut House, living: usize) {
    for index in living..=CALL_COUNT_MAX {
        let text = other_call(house, "INVITE", index);
        let wanted = if index < CALL_COUNT_MAX { "100 INVITE" } else { "503 INVITE" };
        assert_eq!(first_to(house, &text), wanted, "{index}");
    }
}

#[test]
fn calls_that_are_over_take_no_room_of_those_that_live() {
    let mut house = House::new(SipTransport::Udp);
    for index in 0..=KEPT_COUNT_MAX {
        let invite = other_call(&house, "INVITE", index);
        let wanted = if index < KEPT_COUNT_MAX { "100 INVITE" } else { "503 INVITE" };
        assert_eq!(first_to(&mut house, &invite), wanted, "{index}");
        let cancel = other_call(&house, "CANCEL", index);
        house.give(SipTransport::Udp, TRUNK, &cancel);
        house.durable();
        house.sent.clear();
    }
    house.pass_s(33);
    house.sent.clear();
    let invite = other_call(&house, "INVITE", KEPT_COUNT_MAX);
    assert_eq!(first_to(&mut house, &invite), "100 INVITE", "they are forgotten");
}

#[test]
fn strangers_leave_half_of_the_room_to_the_trunks() {
    let mut house = House::new(SipTransport::Udp);
    let stranger = "192.0.2.99:5060";
    for index in 0..=CALL_COUNT_MAX / 2 {
        let text = other_call(&house, "INVITE", index).replace(TRUNK, stranger);
        house.give(SipTransport::Udp, stranger, &text);
        let wanted = if index < CALL_COUNT_MAX / 2 { "100 INVITE" } else { "503 INVITE" };
        assert_eq!(house.to(stranger), [wanted], "{index}");
    }
    fill(&mut house, CALL_COUNT_MAX / 2);
}

#[test]
fn strangers_leave_half_of_the_transactions_to_trunks_and_phones() {
    let mut house = House::new(SipTransport::Udp);
    let text = other_call(&house, "INVITE", 0);
    let message = Message::parse(text.as_bytes()).unwrap();
    let via = message.via().unwrap();
    let mut opened = |peer: &str, count: usize| {
        let flow = flow(SipTransport::Udp, peer);
        let opens = (0..count).filter(|number| {
            let key = format!("{peer} {number}");
            house.endpoint.open(house.now, flow, &via, message.clone(), &key)
        });
        opens.count()
    };
    let half = TRANSACTION_COUNT_MAX / 2;
    assert_eq!(opened("192.0.2.99:5060", half + 10), half);
    assert_eq!(opened("192.0.2.98:5060", 10), 0, "all strangers together");
    assert_eq!(opened(PHONES[0], 10), 10);
    assert_eq!(opened(TRUNK, half), half - 10, "all of what is left");
}

#[test]
fn where_no_trunk_is_named_all_of_the_room_is_everybodys() {
    let mut house = House::new(SipTransport::Udp);
    house.endpoint = Endpoint::new(Setup { trunks: Vec::new(), ..setup() });
    fill(&mut house, 0);
}

#[test]
fn when_the_trunks_take_all_the_room_a_stranger_finds_none() {
    let mut house = House::new(SipTransport::Udp);
    let stranger = "192.0.2.99:5060";
    for index in 0..=CALL_COUNT_MAX {
        let text = other_call(&house, "INVITE", index);
        if index == CALL_COUNT_MAX {
            house.give(SipTransport::Udp, stranger, &text.replace(TRUNK, stranger));
        } else {
            house.give(SipTransport::Udp, TRUNK, &text);
        }
    }
    assert_eq!(house.to(stranger), ["503 INVITE"]);
}

#[test]
fn one_call_does_not_take_the_room_of_all() {
    let mut house = House::new(SipTransport::Udp);
    let (_call, legs) = house.connected();
    for number in 2..200 {
        let text = house.in_dialog("INFO", &legs.caller, number, SDP);
        house.caller(&text);
    }
    let passed = house.to(PHONES[0]).len();
    // The INVITE's own transaction counts as well.
    assert_eq!(passed, DIALOG_COUNT_MAX - 1);
    house.pass_s(40);
    let bye = house.in_dialog("BYE", &legs.caller, 300, "");
    house.caller(&bye);
    assert_eq!(house.told(), ["ended caller"]);
}

#[test]
fn connections_are_counted_and_unfinished_messages_end() {
    let mut house = House::new(SipTransport::Tcp);
    let mut peer = flow(SipTransport::Tcp, TRUNK);
    for id in 0..FLOW_COUNT_MAX {
        peer.id = u64::try_from(id).unwrap();
        house.endpoint.handle_stream(house.now, peer, b"INVITE ").unwrap();
    }
    peer.id = u64::MAX;
    assert!(house.endpoint.handle_stream(house.now, peer, b"x").unwrap_err().fatal);
    house.drain();
    house.pass_s(31);
    assert!(house.closed.is_empty());
    house.pass_s(1);
    assert_eq!(house.closed.len(), FLOW_COUNT_MAX);
    assert!(house.endpoint.handle_stream(house.now, peer, b"x").is_ok());
}

#[test]
fn a_phones_answer_is_heard_when_all_connections_are_taken() {
    let mut house = House::new(SipTransport::Udp);
    let call = house.ringing();
    let mut peer = flow(SipTransport::Tcp, "192.0.2.99:5060");
    for id in 0..FLOW_COUNT_MAX {
        peer.id = u64::try_from(id).unwrap();
        house.endpoint.handle_stream(house.now, peer, b"INVITE ").unwrap();
    }
    house.endpoint.connect(house.now, &call, "desk2");
    house.drain();
    let invite = house.messages(PHONES[1]).remove(0);
    house.phone(1, &answer(&invite, 486, None));
    assert_eq!(house.told(), ["not connected desk2 486"]);
}

#[test]
fn answers_go_where_the_request_came_from() {
    let mut house = House::new(SipTransport::Udp);
    let nat = "198.51.100.9:31337";
    let options = house.request("OPTIONS", "o", "", 1, "");
    house.give(SipTransport::Udp, nat, &options.replace(";branch", ";rport;branch"));
    let (hop, answer) = house.sent.pop().unwrap();
    assert_eq!(hop, crate::sip::Hop::Flow(flow(SipTransport::Udp, nat)));
    let via = answer.via().unwrap();
    assert_eq!((via.param("rport"), via.param("received")), (Some("31337"), Some("198.51.100.9")));
    house.give(SipTransport::Udp, nat, &options);
    let (hop, _answer) = house.sent.pop().unwrap();
    assert_eq!(hop, crate::sip::Hop::Address(SipTransport::Udp, address("198.51.100.9:5060")));
}

#[test]
fn the_way_of_the_proxies_is_kept() {
    let mut house = House::new(SipTransport::Udp);
    let routes = "Record-Route: <sip:192.0.2.8;lr>, <sip:192.0.2.9:5070;lr>\r\nMax-Forwards";
    let text = house.invite().replacen("Max-Forwards", routes, 1);
    house.caller(&text);
    house.durable();
    let call = house.endpoint.calls().next().unwrap().call.clone();
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    let phone = house.messages(PHONES[0]).remove(0);
    house.phone(0, &answer(&phone, 200, Some(SDP)));
    let ok = house.messages(TRUNK).pop().unwrap();
    assert_eq!(ok.first("Record-Route"), Some("<sip:192.0.2.8;lr>, <sip:192.0.2.9:5070;lr>"));
    let tag = ok.tag("To").unwrap();
    let ack = house.in_dialog("ACK", &tag, 1, "");
    house.caller(&ack);
    house.sent.clear();
    let legs = super::house::Legs { caller: tag, phone };
    house.phone(0, &legs.request("BYE", 1, ""));
    let (hop, bye) = house.sent.pop().unwrap();
    assert_eq!(hop.address(), address("192.0.2.8:5060"));
    assert_eq!(bye.uri(), Some(format!("sip:c@{TRUNK}").as_str()));
    let routes: Vec<&str> = bye.all("Route").collect();
    assert_eq!(routes, ["<sip:192.0.2.8;lr>", "<sip:192.0.2.9:5070;lr>"]);
}
