//! Satellite modems at the real program, on real ptys: words of sites come in and are cleared when
//! they are durable, words to them go out with an honest outcome, through kills of the core, no sky
//! and an unplugged line.

use std::time::Duration;

use hansho_simulators::devices::sbd::{CAME_SIZE_MAX, Fault, Modem, SENT_SIZE_MAX, Sky};
use hansho_simulators::satphone::Satphone;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::house::setup::Setup;
use crate::house::{House, pause, wait};

const SITE: &str = "300000000000111";
const NAME: &str = "川前支所";

/// A house with a modem at its side, not started yet.
struct Office {
    house: House,
    satphone: Satphone,
}

impl Office {
    fn new() -> Self {
        Self::with(Setup::default())
    }

    fn with(setup: Setup) -> Self {
        let setup = setup.with_modem("../satphone").with_site(SITE, NAME, 12);
        let house = House::new(&setup);
        std::fs::create_dir_all(house.data()).unwrap();
        let port = house.data().join("../satphone");
        let session = SignedDuration::from_millis(50);
        let modem = Modem::new(Sky { session, ..Sky::default() });
        let mut office = Self { house, satphone: Satphone::plug_in(modem, port).unwrap() };
        office.house.start();
        office
    }

    fn state(&self) -> Value {
        self.house.client_of("dispatcher1").state()
    }

    fn signals(&self) -> Vec<Value> {
        let state = self.state();
        let all = state["signals"].as_array().unwrap().iter();
        all.filter(|signal| signal["kind"] == "message").cloned().collect()
    }

    fn wait_signals(&self, count: usize) -> Vec<Value> {
        wait("the messages", || Some(self.signals()).filter(|all| all.len() >= count))
    }

    /// Orders a message; gives its id.
    fn send(&self, text: &str) -> String {
        let message = json!({ "device": format!("sbd:{SITE}"), "text": text });
        let sent = self.house.client_of("dispatcher1").command("SendMessage", &message).unwrap();
        assert_eq!(sent.status, 200, "{sent:?}");
        format!("m{}", sent.seq())
    }

    fn message(&self, id: &str) -> Value {
        let state = self.state();
        let messages = state["messages"].as_array().unwrap();
        messages.iter().find(|message| message["id"] == id).unwrap().clone()
    }

    fn wait_message(&self, id: &str, state: &str) -> Value {
        wait(state, || Some(self.message(id)).filter(|message| message["state"] == state))
    }

    fn wait_sent(&self, count: usize) -> Vec<String> {
        wait("the gateway to have it", || {
            let sent = self.satphone.modem().sent.clone();
            let texts = || sent.iter().map(|bytes| String::from_utf8(bytes.clone()).unwrap());
            (sent.len() >= count).then(|| texts().collect())
        })
    }

    fn faults(&self) -> Vec<Value> {
        let state = self.state();
        let devices = state["devices"].as_array().unwrap().iter();
        let modem = devices.filter(|device| device["id"] == "sbd:roof");
        modem.flat_map(|device| device["faults"].as_array().unwrap().clone()).collect()
    }
}

#[test]
fn a_sites_words_stand_on_the_desk_once_and_are_cleared_when_they_are_durable() {
    let office = Office::new();
    let text = format!("@{SITE}/7 道路寸断 負傷2 孤立12世帯");
    office.satphone.call(text.as_bytes());
    let [signal] = office.wait_signals(1).try_into().unwrap();
    assert_eq!(signal["text"], "道路寸断 負傷2 孤立12世帯");
    assert_eq!((&signal["site"], &signal["state"]), (&json!(NAME), &json!("ringing")));
    assert_eq!(
        (&signal["device"], &signal["alarm"]),
        (&json!(format!("sbd:{SITE}")), &json!("message"))
    );
    wait("the modem to be cleared", || office.satphone.modem().unread().is_none().then_some(()));
    // The same message from another session is a second copy; another one is a signal of its own,
    // though the first is open.
    office.satphone.call(text.as_bytes());
    office.satphone.call(format!("@{SITE}/8 続報 負傷3").as_bytes());
    office.satphone.call("名乗らない電文".as_bytes());
    office.satphone.call(format!("@{SITE}/9 試験").as_bytes());
    office.satphone.call(&[0xB5, 0x00, 0xFF]);
    let signals = office.wait_signals(4);
    let mut texts: Vec<&str> = signals.iter().filter_map(|each| each["text"].as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["名乗らない電文", "続報 負傷3", "道路寸断 負傷2 孤立12世帯"]);
    let unread = signals.iter().filter(|each| each["text"].is_null());
    assert_eq!(unread.count(), 1, "what is no text is shown all the same");
    let place = json!({ "signals": [signal["id"]], "kind": "disaster" });
    let opened = office.house.client_of("dispatcher1").command("OpenIncident", &place).unwrap();
    assert_eq!(opened.status, 200, "{opened:?}");
    let incident = office.state()["incidents"][0].clone();
    assert_eq!(incident["place"]["district"], 12, "the site says where");
}

#[test]
fn a_message_outlives_a_kill_of_the_core_and_stays_one() {
    let office = Office::new();
    for number in 1..=3_u64 {
        office.satphone.call(format!("@{SITE}/{number} 第{number}報").as_bytes());
        // Somewhere between the ring and the end of it.
        pause(Duration::from_millis(120 * number));
        office.house.kill_core();
        office.house.wait_ready();
        let before = usize::try_from(number).unwrap();
        office.wait_signals(before);
    }
    wait("the modem to be cleared", || office.satphone.modem().unread().is_none().then_some(()));
    assert_eq!(office.signals().len(), 3);
    assert!(office.satphone.modem().sky.queue.is_empty());
}

#[test]
fn words_to_a_site_go_out_with_their_number_and_the_outcome_is_the_modems() {
    let office = Office::new();
    let id = office.send("了解。防災ヘリ要請中。");
    office.wait_message(&id, "accepted");
    let number = id.trim_start_matches('m');
    let wanted = format!("@{SITE}/{number} 【デモ】了解。防災ヘリ要請中。");
    assert_eq!(office.wait_sent(1), [wanted]);

    // Barred for good: said, with the modem's own status, and never tried again.
    office.satphone.modem().sky.fates.push_back(15);
    let barred = office.send("契約切れの試験");
    assert_eq!(office.wait_message(&barred, "failed")["code"], 15);
    wait("the fault", || {
        office.faults().iter().any(|fault| fault["code"] == "mo 15").then_some(())
    });
    let after = office.send("契約復活");
    office.wait_message(&after, "accepted");
    wait("the fault to be over", || office.faults().is_empty().then_some(()));
}

#[test]
fn words_wait_for_a_sky_through_the_end_of_the_core() {
    let mut office = Office::new();
    office.satphone.look_up(0);
    let first = office.send("空が見えるまで待つ");
    let second = office.send("二通目");
    pause(Duration::from_millis(500));
    assert_eq!(office.message(&first)["state"], "queued");
    office.house.kill_core();
    office.house.wait_ready();
    assert_eq!(office.message(&first)["maybe_twice"], true, "it was with the modem");
    assert!(office.house.stop().success(), "what waits in a modem holds up no end");
    office.house.start();
    office.satphone.look_up(5);
    office.wait_message(&first, "accepted");
    office.wait_message(&second, "accepted");
    let sent = office.wait_sent(2);
    assert_eq!(sent.len(), 2, "{sent:?}");
}

#[test]
fn a_line_that_is_cut_is_a_fault_until_it_is_back() {
    let office = Office::new();
    office.satphone.call("線を抜く前".as_bytes());
    office.wait_signals(1);
    office.satphone.pull_out();
    wait("the fault", || {
        office.faults().iter().any(|fault| fault["code"] == "absent").then_some(())
    });
    let waiting = office.send("線が戻るまで待つ");
    office.satphone.plug_in_again();
    office.wait_message(&waiting, "accepted");
    wait("the fault to be over", || office.faults().is_empty().then_some(()));
}

#[test]
fn what_may_not_be_sent_is_refused_and_an_unknown_handset_is_shown_and_not_trusted() {
    let office = Office::with(Setup { refuse_unknown: true, ..Setup::default() });
    let desk = office.house.client_of("dispatcher1");
    let device = format!("sbd:{SITE}");
    let most = "火".repeat(100);
    let said = |device: &str, text: &str| {
        desk.command("SendMessage", &json!({ "device": device, "text": text })).unwrap().status
    };
    assert_eq!(said(&device, &most), 200);
    assert_eq!(said(&device, &format!("{most}a")), 400);
    assert_eq!(said(&device, " \n"), 400);
    assert_eq!(said(&device, "\u{7}"), 400);
    assert_eq!(said("sbd:300000000000999", "誰"), 409);
    assert_eq!(said("sbd:roof", "誰"), 409);
    let viewer = office.house.client_of("viewer1");
    let body = json!({ "device": device, "text": "見るだけ" });
    assert_eq!(viewer.command("SendMessage", &body).unwrap().status, 403);
    office.satphone.call("@300000000000999/1 なりすまし".as_bytes());
    let [signal] = office.wait_signals(1).try_into().unwrap();
    assert_eq!((&signal["refused"], &signal["site"]), (&json!(true), &Value::Null));
    assert_eq!(viewer.state()["signals"][0]["text"], Value::Null, "a viewer sees no words");
}

/// Text and code of what the site said.
fn said(signal: &Value) -> (&str, &str) {
    let text = signal["text"].as_str().unwrap_or_default();
    (text, signal["alarms"][0]["code"].as_str().unwrap())
}

#[test]
fn what_the_line_does_to_a_message_is_mended_or_said() {
    let office = Office::new();
    // Each alone, then so many of a kind that answers of every command are hit.
    let often =
        |fault: fn(usize) -> Fault, step: usize| (0..6_000).step_by(step).map(fault).collect();
    let all: [Vec<Fault>; 9] = [
        vec![Fault::LostOk],
        vec![Fault::Garbage],
        vec![Fault::WrongChecksum],
        vec![Fault::WrongChecksum; 2],
        vec![Fault::CutBuffer(9)],
        vec![Fault::CutBuffer(1)],
        often(Fault::Ring, 397),
        often(Fault::Lost, 211),
        often(Fault::Doubled, 223),
    ];
    for (index, faults) in all.into_iter().enumerate() {
        office.satphone.modem().faults = faults.clone();
        let text = format!("第{index}報 道路寸断\r\nOK\r\nSBDRING\r\n負傷2");
        office.satphone.call(format!("@{SITE}/{index} {text}").as_bytes());
        office.wait_signals(index + 1);
        let signals = office.signals();
        let wanted = text.replace('\r', " ");
        let found = signals.iter().map(said).find(|(text, _)| *text == wanted);
        assert_eq!(found, Some((wanted.as_str(), "")), "{faults:?}");
        office.satphone.modem().faults.clear();
    }
    assert_eq!(office.signals().len(), 9);
    let id = office.send("全部届いた");
    office.wait_message(&id, "accepted");
    assert_eq!(office.wait_sent(1).len(), 1);
}

#[test]
fn a_message_whose_checksum_is_wrong_three_times_is_shown_as_damaged() {
    let office = Office::new();
    office.satphone.modem().faults = vec![Fault::WrongChecksum; 3];
    office.satphone.call(format!("@{SITE}/1 負傷2").as_bytes());
    let [signal] = office.wait_signals(1).try_into().unwrap();
    assert_eq!(said(&signal), ("負傷2", "damaged"), "{signal}");
    wait("the modem to be cleared", || office.satphone.modem().unread().is_none().then_some(()));
    office.satphone.call(format!("@{SITE}/2 負傷3").as_bytes());
    let signals = office.wait_signals(2);
    assert!(signals.iter().any(|signal| said(signal) == ("負傷3", "")), "{signals:?}");
}

#[test]
fn what_a_reset_leaves_of_a_message_is_shown_as_damaged() {
    let office = Office::new();
    office.satphone.modem().faults = vec![Fault::Reset(40)];
    office.satphone.call(format!("@{SITE}/1 第一報 道路寸断 負傷2 孤立12世帯").as_bytes());
    wait("the reset", || office.satphone.modem().faults.is_empty().then_some(()));
    // Its echo is on again, its rings are off, and it has lost the message.
    let [signal] = office.wait_signals(1).try_into().unwrap();
    assert_eq!(said(&signal).1, "damaged", "{signal}");
    let id = office.send("もう一度");
    office.wait_message(&id, "accepted");
    office.satphone.call(format!("@{SITE}/2 第二報").as_bytes());
    let signals = office.wait_signals(2);
    assert!(signals.iter().any(|signal| said(signal) == ("第二報", "")), "{signals:?}");
}

#[test]
fn messages_are_as_long_as_a_modem_takes_them_or_empty() {
    let office = Office::new();
    office.satphone.call(b"");
    let head = format!("@{SITE}/1 ");
    let longest = "x".repeat(CAME_SIZE_MAX - head.len());
    office.satphone.call(format!("{head}{longest}").as_bytes());
    let line_ends = "\r\n\r\nOK\r\n\r\nERROR\r\n\u{1a}\u{1b}+++";
    office.satphone.call(line_ends.as_bytes());
    let signals = office.wait_signals(2);
    assert!(signals.iter().any(|signal| said(signal) == (longest.as_str(), "")), "{signals:?}");
    let line_ends = signals.iter().filter(|signal| said(signal).0.ends_with("+++"));
    assert_eq!(line_ends.count(), 1);
    let words = "火".repeat(100);
    let id = office.send(&words);
    office.wait_message(&id, "accepted");
    let [sent] = office.wait_sent(1).try_into().unwrap();
    assert!(sent.ends_with(&words) && sent.len() <= SENT_SIZE_MAX, "{sent}");
    assert_eq!(office.signals().len(), 2, "of nothing there is nothing to show");
}
