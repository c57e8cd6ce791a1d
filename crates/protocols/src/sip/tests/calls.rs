//! Calls from their first message to their last.

use jiff::SignedDuration;

use super::house::{House, PHONE_SDP, PHONES, SDP, TRUNK, answer, said};
use crate::sip::{Hop, SipTransport, Standing};

const BOTH: [SipTransport; 2] = [SipTransport::Udp, SipTransport::Tcp];

#[test]
fn a_call_rings_only_when_it_is_durable() {
    for transport in BOTH {
        let mut house = House::new(transport);
        let invite = house.invite();
        house.caller(&invite);
        assert_eq!(house.to(TRUNK), ["100 INVITE"]);
        assert_eq!(house.told(), ["offered +819000000001 sos.fire"]);
        house.pass_s(20);
        house.caller(&invite);
        assert_eq!(house.to(TRUNK), ["100 INVITE"], "the repeat gets the last word again");
        house.durable();
        assert_eq!(house.to(TRUNK), ["180 INVITE"]);
        house.caller(&invite);
        assert_eq!(house.to(TRUNK), ["180 INVITE"]);
        house.pass_s(125);
        assert_eq!(house.to(TRUNK), ["180 INVITE", "180 INVITE"], "refreshed each minute");
        assert_eq!(house.told(), [""; 0]);
    }
}

#[test]
fn a_cancel_is_answered_only_when_it_is_durable() {
    for transport in BOTH {
        let mut house = House::new(transport);
        house.ringing();
        let cancel = house.cancel();
        house.caller(&cancel);
        house.pass_s(2);
        house.caller(&cancel);
        assert_eq!(house.to(TRUNK), [""; 0]);
        assert_eq!(house.told(), ["abandoned"], "once, however often it came");
        house.durable();
        assert_eq!(house.to(TRUNK), ["200 CANCEL", "487 INVITE"]);
        house.pass_s(4);
        let repeated: &[&str] = match transport {
            SipTransport::Udp => &["487 INVITE"; 3],
            SipTransport::Tcp => &[],
        };
        assert_eq!(house.to(TRUNK), repeated);
        let ack = house.request("ACK", "i1", ";tag=x", 1, "");
        house.caller(&ack);
        house.pass_s(60);
        assert_eq!(house.to(TRUNK), [""; 0]);
        assert_eq!(house.endpoint.calls().count(), 0);
        assert_eq!(house.next, None, "nothing is left");
    }
}

#[test]
fn a_cancel_before_the_offer_is_durable_waits_for_its_own_receipt() {
    let mut house = House::new(SipTransport::Udp);
    let (invite, cancel) = (house.invite(), house.cancel());
    house.caller(&invite);
    house.caller(&cancel);
    assert_eq!(house.durable(), ["offered +819000000001 sos.fire", "abandoned"]);
    assert_eq!(house.to(TRUNK), ["100 INVITE", "200 CANCEL", "487 INVITE"]);
}

#[test]
fn a_seat_answers_and_the_two_are_joined() {
    for transport in BOTH {
        let mut house = House::new(transport);
        let call = house.ringing();
        assert!(!house.endpoint.connect(house.now, &call, "desk9"));
        assert!(house.endpoint.connect(house.now, &call, "desk1"));
        assert!(house.endpoint.connect(house.now, &call, "desk1"), "twice is once");
        house.drain();
        let invites = house.messages(PHONES[0]);
        assert_eq!(invites.len(), 1);
        let invite = &invites[0];
        assert_eq!(invite.body, SDP.as_bytes());
        assert!(invite.first("From").unwrap().contains("+819000000001"));
        house.phone(0, &answer(invite, 180, None));
        house.phone(0, &answer(invite, 200, Some(PHONE_SDP)));
        assert_eq!(house.to(PHONES[0]), ["ACK"]);
        assert_eq!(house.told(), ["connected desk1"]);
        let ok = house.messages(TRUNK).remove(0);
        assert_eq!((said(&ok).as_str(), ok.body.as_slice()), ("200 INVITE", PHONE_SDP.as_bytes()));
        house.pass_s(2);
        assert_eq!(house.to(TRUNK), ["200 INVITE"; 2], "until its ACK, over TCP as well");
        let ack = house.in_dialog("ACK", &ok.tag("To").unwrap(), 1, "");
        house.caller(&ack);
        house.pass_s(40);
        assert_eq!(house.to(TRUNK), [""; 0]);
        // The phone's 200 comes again, as our ACK was lost.
        assert_eq!(house.endpoint.calls().next().unwrap().standing, Standing::Connected("desk1"));
        assert!(house.endpoint.connect(house.now, &call, "desk1"));
        assert!(!house.endpoint.connect(house.now, &call, "desk2"));
    }
}

#[test]
fn a_bye_is_answered_only_when_it_is_durable_and_passed_on_at_once() {
    for transport in BOTH {
        let mut house = House::new(transport);
        let (_call, legs) = house.connected();
        let bye = house.in_dialog("BYE", &legs.caller, 2, "");
        house.caller(&bye);
        house.caller(&bye);
        assert_eq!((house.to(TRUNK), house.told()), (Vec::new(), vec!["ended caller".to_owned()]));
        let passed = house.messages(PHONES[0]);
        assert_eq!(passed.iter().map(said).collect::<Vec<_>>(), ["BYE"]);
        house.phone(0, &answer(&passed[0], 200, None));
        house.durable();
        assert_eq!(house.to(TRUNK), ["200 BYE"]);
        house.pass_s(70);
        assert_eq!((house.to(PHONES[0]), house.next), (Vec::new(), None));
    }
}

#[test]
fn a_bye_of_the_phone_ends_the_call_for_the_caller() {
    let mut house = House::new(SipTransport::Udp);
    let (_call, legs) = house.connected();
    house.phone(0, &legs.request("BYE", 1, ""));
    assert_eq!((house.to(PHONES[0]), house.told()), (Vec::new(), vec!["ended desk".to_owned()]));
    let bye = house.messages(TRUNK).remove(0);
    assert_eq!(said(&bye), "BYE");
    assert_eq!(bye.uri(), Some(format!("sip:c@{TRUNK}").as_str()));
    // The caller hangs up in the same moment: one end, two answers.
    let late = house.in_dialog("BYE", &legs.caller, 2, "");
    house.caller(&late);
    assert_eq!((house.to(TRUNK), house.told().len()), (Vec::new(), 1));
    house.durable();
    assert_eq!(
        (house.to(PHONES[0]), house.to(TRUNK)),
        (vec!["200 BYE".to_owned()], vec!["200 BYE".to_owned()])
    );
    house.caller(&answer(&bye, 200, None));
    house.pass_s(70);
    assert_eq!(house.next, None);
}

#[test]
fn a_phone_that_hangs_up_before_the_callers_ack_waits_for_it() {
    let mut house = House::new(SipTransport::Udp);
    let call = house.ringing();
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    let phone = house.messages(PHONES[0]).remove(0);
    house.phone(0, &answer(&phone, 200, Some(PHONE_SDP)));
    let tag = house.messages(TRUNK).remove(0).tag("To").unwrap();
    let legs = super::house::Legs { caller: tag.clone(), phone };
    house.phone(0, &legs.request("BYE", 1, ""));
    assert_eq!(house.to(TRUNK), [""; 0]);
    let ack = house.in_dialog("ACK", &tag, 1, "");
    house.caller(&ack);
    assert_eq!(house.to(TRUNK), ["BYE"]);
}

#[test]
fn a_200_that_nobody_acknowledges_is_a_lost_call() {
    for transport in BOTH {
        let mut house = House::new(transport);
        let call = house.ringing();
        house.endpoint.connect(house.now, &call, "desk1");
        house.drain();
        let invite = house.messages(PHONES[0]).remove(0);
        house.phone(0, &answer(&invite, 200, Some(PHONE_SDP)));
        house.durable();
        house.to(PHONES[0]);
        house.pass_s(31);
        // 0.5, 1.5, 3.5, 7.5, 11.5 ... 27.5 s after the first.
        assert_eq!(house.to(TRUNK).len(), 1 + 9);
        assert_eq!(house.told(), [""; 0]);
        house.pass_s(2);
        assert_eq!(house.told(), ["ended lost"]);
        assert!(house.to(TRUNK).contains(&"BYE".to_owned()));
        assert!(house.to(PHONES[0]).contains(&"BYE".to_owned()));
        house.durable();
        house.pass_s(70);
        assert_eq!(house.next, None);
    }
}

#[test]
fn a_phone_that_does_not_take_it_leaves_the_call_ringing() {
    for status in [302, 401, 407, 486, 503, 603] {
        let mut house = House::new(SipTransport::Udp);
        let call = house.ringing();
        house.endpoint.connect(house.now, &call, "desk1");
        house.drain();
        let invite = house.messages(PHONES[0]).remove(0);
        let refusal = answer(&invite, status, None);
        house.phone(0, &refusal);
        house.phone(0, &refusal);
        assert_eq!(house.to(PHONES[0]), ["ACK"; 2]);
        assert_eq!(house.told(), [format!("not connected desk1 {status}")]);
        assert_eq!(house.endpoint.calls().next().unwrap().standing, Standing::Ringing);
        assert!(house.endpoint.connect(house.now, &call, "desk1"), "it may be tried again");
        house.drain();
        assert_eq!(house.to(PHONES[0]), ["INVITE"]);
        assert_eq!(house.to(TRUNK), [""; 0]);
    }
}

#[test]
fn a_phone_that_rings_in_vain_is_given_up_after_20_seconds() {
    let mut house = House::new(SipTransport::Udp);
    let call = house.ringing();
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    let invite = house.messages(PHONES[0]).remove(0);
    house.phone(0, &answer(&invite, 180, None));
    house.pass_s(19);
    assert_eq!((house.to(PHONES[0]), house.told()), (Vec::new(), Vec::new()));
    house.pass_s(1);
    assert_eq!(house.told(), ["not connected desk1 408"]);
    let cancel = house.messages(PHONES[0]).remove(0);
    assert_eq!(said(&cancel), "CANCEL");
    assert_eq!(cancel.first("Via"), invite.first("Via"), "of the same transaction");
    house.phone(0, &answer(&cancel, 200, None));
    house.phone(0, &answer(&invite, 487, None));
    assert_eq!(house.to(PHONES[0]), ["ACK"]);
    assert_eq!(house.told().len(), 1);
}

#[test]
fn a_silent_phone_is_asked_again_and_again_and_never_cancelled() {
    let mut house = House::new(SipTransport::Udp);
    let call = house.ringing();
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    house.pass_s(19);
    // 0, 0.5, 1.5, 3.5, 7.5, 15.5 s: without T2, as an INVITE does.
    assert_eq!(house.to(PHONES[0]), ["INVITE"; 6]);
    house.pass_s(40);
    assert_eq!(house.told(), ["not connected desk1 408"]);
    assert!(!house.to(PHONES[0]).contains(&"CANCEL".to_owned()));
}

#[test]
fn a_phone_that_cannot_be_reached_is_known_at_once() {
    let mut house = House::new(SipTransport::Udp);
    let call = house.ringing();
    house.endpoint.connect(house.now, &call, "desk2");
    house.drain();
    assert!(matches!(house.sent[0].0, Hop::Address(SipTransport::Tcp, _)));
    let there = super::house::address(PHONES[1]);
    house.endpoint.handle_unreachable(house.now, SipTransport::Tcp, there);
    house.drain();
    assert_eq!(house.told(), ["not connected desk2 503"]);
}

#[test]
fn without_a_core_every_phone_rings_and_the_first_wins() {
    let mut house = House::new(SipTransport::Udp);
    let (_call, [first, second]) = house.ringing_everywhere();
    house.phone(0, &answer(&first, 180, None));
    house.phone(1, &answer(&second, 180, None));
    house.pass_s(90);
    assert_eq!(house.told(), [""; 0], "they ring on");
    house.phone(1, &answer(&second, 200, Some(PHONE_SDP)));
    assert_eq!(house.told(), ["connected desk2"]);
    assert_eq!(
        (house.to(PHONES[0]), house.to(PHONES[1])),
        (vec!["CANCEL".to_owned()], vec!["ACK".to_owned()])
    );
    // The other was just being taken up: it is told that it is too late.
    house.phone(0, &answer(&first, 200, Some(PHONE_SDP)));
    assert_eq!(house.to(PHONES[0]), ["ACK", "BYE"]);
    assert_eq!(house.told().len(), 1);
}

#[test]
fn a_phone_that_gives_up_is_rung_again_while_there_is_no_core() {
    let mut house = House::new(SipTransport::Udp);
    let (call, [mut invite, _other]) = house.ringing_everywhere();
    for _round in 0..3 {
        house.phone(0, &answer(&invite, 480, None));
        // Asked over and over, the phone still has its rest.
        house.endpoint.ring_all(house.now, &call);
        house.drain();
        assert_eq!(house.to(PHONES[0]), ["ACK"]);
        house.pass_s(11);
        let mut again = house.messages(PHONES[0]);
        assert_eq!(again.iter().map(said).collect::<Vec<_>>(), ["INVITE"; 2]);
        invite = again.remove(0);
    }
    let told = house.told();
    assert_eq!(told.iter().filter(|word| *word == "not connected desk1 480").count(), 1);
}

#[test]
fn a_core_that_comes_back_and_names_a_seat_quiets_the_others() {
    let mut house = House::new(SipTransport::Udp);
    let (call, [first, second]) = house.ringing_everywhere();
    house.phone(0, &answer(&first, 180, None));
    house.phone(1, &answer(&second, 180, None));
    assert!(!house.endpoint.connect(house.now, &call, "desk9"));
    assert!(house.endpoint.connect(house.now, &call, "desk2"));
    house.drain();
    assert_eq!((house.to(PHONES[0]), house.to(PHONES[1])), (vec!["CANCEL".to_owned()], Vec::new()));
    house.pass_s(20);
    assert_eq!(house.told(), ["not connected desk2 408"], "the one that was named is told of");
    assert_eq!(house.to(PHONES[1]), ["CANCEL"]);
    house.pass_s(60);
    assert!(!house.to(PHONES[0]).contains(&"INVITE".to_owned()));
}

#[test]
fn a_caller_who_hangs_up_stops_the_phones() {
    let mut house = House::new(SipTransport::Udp);
    let (_call, [invite, silent]) = house.ringing_everywhere();
    house.phone(0, &answer(&invite, 180, None));
    let cancel = house.cancel();
    house.caller(&cancel);
    assert_eq!(house.to(PHONES[0]), ["CANCEL"]);
    assert_eq!(house.to(PHONES[1]), [""; 0], "not before it said anything");
    house.phone(1, &answer(&silent, 180, None));
    assert_eq!(house.to(PHONES[1]), ["CANCEL"]);
    house.phone(1, &answer(&silent, 200, Some(PHONE_SDP)));
    assert_eq!(house.to(PHONES[1]), ["ACK", "BYE"]);
    assert_eq!(house.told(), ["abandoned"]);
}

#[test]
fn a_call_without_an_offer_gets_the_phones_and_answers_in_its_ack() {
    let mut house = House::new(SipTransport::Udp);
    let invite = house.request("INVITE", "i1", "", 1, "");
    house.caller(&invite);
    house.durable();
    house.to(TRUNK);
    let call = house.endpoint.calls().next().unwrap().call.clone();
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    let invite = house.messages(PHONES[0]).remove(0);
    assert!(invite.body.is_empty());
    house.phone(0, &answer(&invite, 200, Some(PHONE_SDP)));
    assert_eq!(house.to(PHONES[0]), [""; 0]);
    let ok = house.messages(TRUNK).remove(0);
    assert_eq!(ok.body, PHONE_SDP.as_bytes());
    let ack = house.in_dialog("ACK", &ok.tag("To").unwrap(), 1, SDP);
    house.caller(&ack);
    let ack = house.messages(PHONES[0]).remove(0);
    assert_eq!((said(&ack).as_str(), ack.body.as_slice()), ("ACK", SDP.as_bytes()));
}

#[test]
fn requests_within_a_call_reach_the_other_side() {
    let mut house = House::new(SipTransport::Udp);
    let (_call, legs) = house.connected();
    // Hold, pressed at the phone.
    house.phone(0, &legs.request("INVITE", 5, PHONE_SDP));
    assert_eq!(house.to(PHONES[0]), ["100 INVITE"]);
    let hold = house.messages(TRUNK).remove(0);
    assert_eq!((said(&hold).as_str(), hold.body.as_slice()), ("INVITE", PHONE_SDP.as_bytes()));
    house.caller(&answer(&hold, 200, Some(SDP)));
    assert_eq!(house.to(TRUNK), ["ACK"]);
    let ok = house.messages(PHONES[0]).remove(0);
    assert_eq!((said(&ok).as_str(), ok.body.as_slice()), ("200 INVITE", SDP.as_bytes()));
    house.phone(0, &legs.request("ACK", 5, ""));
    house.pass_s(40);
    assert_eq!((house.to(PHONES[0]), house.told()), (Vec::new(), Vec::new()));
    // A key pressed by the caller.
    let info = house.in_dialog("INFO", &legs.caller, 2, SDP);
    house.caller(&info);
    let passed = house.messages(PHONES[0]).remove(0);
    assert_eq!(said(&passed), "INFO");
    house.phone(0, &answer(&passed, 200, None));
    assert_eq!(house.to(TRUNK), ["200 INFO"]);
    // Refused by the other side, and the call goes on.
    house.phone(0, &legs.request("UPDATE", 6, PHONE_SDP));
    let passed = house.messages(TRUNK).remove(0);
    house.caller(&answer(&passed, 407, None));
    assert_eq!(house.to(PHONES[0]), ["488 UPDATE"]);
    house.phone(0, &legs.request("INVITE", 7, ""));
    assert_eq!(house.to(PHONES[0]), ["488 INVITE"]);
    house.phone(0, &legs.request("REFER", 8, ""));
    house.phone(0, &legs.request("DANCE", 9, ""));
    house.phone(0, &legs.request("INFO", 4, ""));
    let answers = house.to(PHONES[0]);
    assert_eq!(answers[answers.len() - 3..], ["405 REFER", "501 DANCE", "500 INFO"]);
    assert_eq!(house.endpoint.calls().count(), 1);
}

#[test]
fn a_request_within_a_call_that_is_thought_about_for_ever_is_taken_back() {
    for late in [Some(200), Some(487), None] {
        let mut house = House::new(SipTransport::Udp);
        let (_call, legs) = house.connected();
        house.phone(0, &legs.request("INVITE", 5, PHONE_SDP));
        let hold = house.messages(TRUNK).remove(0);
        for _each in 0..3 {
            house.caller(&answer(&hold, 100, None));
            house.pass_s(10);
        }
        assert_eq!((house.to(PHONES[0]), house.to(TRUNK)), (vec!["100 INVITE".to_owned()], vec![]));
        house.pass_s(2);
        assert_eq!(house.to(PHONES[0]), ["488 INVITE"]);
        house.phone(0, &legs.request("ACK", 5, "").replace("pACK5", "pINVITE5"));
        let cancel = house.messages(TRUNK).remove(0);
        assert_eq!(said(&cancel), "CANCEL");
        assert_eq!(cancel.first("Via"), hold.first("Via"), "of the same transaction");
        house.caller(&answer(&cancel, 200, None));
        if let Some(status) = late {
            house.caller(&answer(&hold, status, Some(SDP)));
            assert_eq!(house.to(TRUNK), ["ACK"], "{status}");
        }
        house.pass_s(70);
        assert_eq!((house.to(PHONES[0]), house.to(TRUNK)), (vec![], vec![]));
        assert_eq!(house.endpoint.calls().count(), 1, "the call itself goes on");
        house.phone(0, &legs.request("BYE", 6, ""));
        house.durable();
        let bye = house.messages(TRUNK).remove(0);
        house.caller(&answer(&bye, 200, None));
        house.pass_s(70);
        assert_eq!(house.next, None, "nothing is left");
    }
}

#[test]
fn nobody_answers_for_half_an_hour_and_the_call_ends() {
    let mut house = House::new(SipTransport::Udp);
    house.ringing();
    house.pass_s(1_799);
    assert_eq!(house.to(TRUNK).len(), 29);
    house.pass_s(1);
    assert_eq!(house.told(), ["abandoned"]);
    house.to(TRUNK);
    house.durable();
    assert_eq!(house.to(TRUNK), ["480 INVITE"]);
}

#[test]
fn a_receipt_that_never_comes_holds_nothing_for_ever() {
    let mut house = House::new(SipTransport::Udp);
    let (invite, cancel) = (house.invite(), house.cancel());
    house.caller(&invite);
    house.caller(&cancel);
    house.to(TRUNK);
    house.pass(SignedDuration::from_hours(2));
    assert_eq!((house.to(TRUNK), house.next), (Vec::new(), None));
    house.durable();
    assert_eq!(house.to(TRUNK), [""; 0]);
}

#[test]
fn a_caller_whose_connection_is_gone_is_reached_by_a_new_one() {
    let mut house = House::new(SipTransport::Tcp);
    let (_call, legs) = house.connected();
    let flow = super::house::flow(SipTransport::Tcp, TRUNK);
    house.endpoint.handle_flow_closed(house.now, flow);
    house.phone(0, &legs.request("BYE", 1, ""));
    let (hop, bye) = house.sent.pop().unwrap();
    assert_eq!(said(&bye), "BYE");
    assert_eq!(hop, Hop::Address(SipTransport::Tcp, super::house::address(TRUNK)));
}

#[test]
fn a_200_is_repeated_over_a_new_connection_when_the_old_one_is_gone() {
    let mut house = House::new(SipTransport::Tcp);
    let call = house.ringing();
    house.endpoint.connect(house.now, &call, "desk1");
    house.drain();
    let invite = house.messages(PHONES[0]).remove(0);
    house.phone(0, &answer(&invite, 200, Some(PHONE_SDP)));
    house.sent.clear();
    let flow = super::house::flow(SipTransport::Tcp, TRUNK);
    house.endpoint.handle_flow_closed(house.now, flow);
    house.pass_s(1);
    let (hop, again) = house.sent.pop().unwrap();
    assert_eq!(said(&again), "200 INVITE");
    assert_eq!(hop, Hop::Address(SipTransport::Tcp, super::house::address(TRUNK)));
}
