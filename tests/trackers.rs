//! Watches at the real program: a wearer leaves a safe zone, carers are told, answer and find; and
//! what no watch would send.

use std::time::Duration;

use hansho_simulators::devices::watch::{Place, SOS, STRAP_REMOVED, Said};
use serde_json::Value;

use crate::house::http::Client;
use crate::house::post::{Post, answer_path};
use crate::house::setup::{Device, Setup};
use crate::house::watch::Watch;
use crate::house::{Dice, House, seed, text, wait};

const PATIENCE: Duration = Duration::from_secs(20);
/// Home of the wearer in 四倉, and its zone.
const HOME: Place = Place::new(371_060_000, 1_409_589_000);
const CARERS: [&str; 2] = ["first@docomo.example.jp", "second@au.example.jp"];

fn wearer() -> Device {
    Device::new("8800000003", &CARERS).wearing_watch(37.106, 140.9589, 200)
}

fn setup(post: &Post) -> Setup {
    Setup::new(vec![wearer(), Device::new("9001", &[])]).with_relay(post.relay())
}

fn watch(house: &House, id: &str) -> Watch {
    let mut watch = Watch::connect(house.addresses().watch, id, PATIENCE).unwrap();
    watch.say(&Said::Start);
    watch
}

fn device(desk: &Client, id: &str) -> Value {
    let devices = desk.state()["devices"].clone();
    let found = devices.as_array().unwrap().iter().find(|device| device["id"] == id);
    found.cloned().unwrap_or_default()
}

fn signals(desk: &Client) -> Vec<Value> {
    desk.state()["signals"].as_array().unwrap().clone()
}

fn wait_zone(desk: &Client, state: &str) {
    wait(state, || (device(desk, "watch:8800000003")["zones"][0]["state"] == state).then_some(()));
}

#[test]
fn who_leaves_the_zone_is_looked_for_and_found() {
    let post = Post::start();
    let house = House::start_new(&setup(&post));
    let desk = house.client_of("dispatcher1");
    let mut watch = watch(&house, "8800000003");
    watch.walk(HOME);
    wait_zone(&desk, "inside");
    let away = HOME.moved(450, 0);
    watch.walk(away);
    let mails = post.wait(2);
    wait_zone(&desk, "outside");
    let shown = signals(&desk).remove(0);
    assert_eq!((&shown["kind"], &shown["alarm"]), (&"tracker".into(), &"left_zone".into()));
    assert_eq!((&shown["state"], &shown["zones"][0]), (&"ringing".into(), &"自宅".into()));
    let known = device(&desk, "watch:8800000003");
    assert_eq!(known["position"]["accuracy_m"], 15);
    assert_eq!(known["battery"], 80);
    let viewed = device(&house.client_of("viewer1"), "watch:8800000003");
    assert!(viewed["position"].is_null() && viewed["zones"].as_array().unwrap().is_empty());
    let mail = mails.iter().find(|mail| mail.to[0] == CARERS[0]).unwrap();
    assert!(mail.text.starts_with("【デモ・実際の災害ではありません】"), "{}", mail.text);
    for part in ["見守りの区域を出ました", "自宅から", "37.11004,140.95890", &wearer().subscriber]
    {
        assert!(mail.text.contains(part), "{part}: {}", mail.text);
    }
    let path = answer_path(mail);
    let page = house.client().get(&path).unwrap();
    assert!(text(&page.body).contains("37.11004,140.95890"), "the carer sees where to go");
    // Still walking: no second mail, and the page follows.
    watch.walk(HOME.moved(600, 0));
    wait("the page to follow", || {
        let page = house.client().get(&path).unwrap();
        text(&page.body).contains("37.11139").then_some(())
    });
    for answer in ["answer=coming", "answer=arrived"] {
        assert_eq!(house.client().post_form(&path, answer).unwrap().status, 200);
    }
    let ended =
        wait("the end", || signals(&desk).into_iter().find(|signal| signal["state"] == "ended"));
    assert_eq!(ended["outcome"], "found");
    assert_eq!(post.mails().len(), 2);
}

#[test]
fn who_is_back_at_once_was_not_gone_and_drift_is_nothing() {
    let post = Post::start();
    let house = House::start_new(&setup(&post));
    let desk = house.client_of("dispatcher1");
    let mut watch = watch(&house, "8800000003");
    watch.walk(HOME);
    for metres in [260, 100, 255, 30, 260, 10] {
        watch.wait(15);
        watch.walk(HOME.moved(metres, 0));
    }
    assert!(signals(&desk).is_empty(), "one fix outside alone is drift");
    watch.walk(HOME.moved(450, 0));
    post.wait(2);
    watch.walk(HOME);
    let mails = post.wait(4);
    let returned = mails.iter().filter(|mail| mail.text.contains("戻りました"));
    let to: Vec<&str> = returned.clone().map(|mail| mail.to[0].as_str()).collect();
    assert_eq!(to.len(), 2, "{to:?}");
    assert!(returned.clone().all(|mail| mail.link.is_none()), "nobody has to answer that");
    let signal = signals(&desk).remove(0);
    assert_eq!((&signal["state"], &signal["outcome"]), (&"ended".into(), &"returned".into()));
    watch.walk(HOME.moved(20, 0));
    assert_eq!(post.mails().len(), 4);
}

#[test]
fn alarms_of_a_watch_survive_a_killed_core_and_a_new_connection_closes_the_old() {
    let post = Post::start();
    let house = House::start_new(&setup(&post));
    let desk = house.client_of("dispatcher1");
    let mut old = watch(&house, "8800000003");
    old.say(&Said::Alarm(SOS | STRAP_REMOVED, HOME));
    post.wait(2);
    let mut new = watch(&house, "8800000003");
    assert!(old.hear(1).is_err(), "closed");
    new.walk(HOME);
    assert!(house.kill_core());
    house.wait_ready();
    let signal = signals(&desk).remove(0);
    assert_eq!((&signal["kind"], &signal["alarm"]), (&"tracker".into(), &"help".into()));
    let kinds: Vec<&str> = signal["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alarm| alarm["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["help", "removal"]);
    house.journal("verify");
}

#[test]
fn bad_input_at_the_watch_door_hurts_nobody() {
    let seed = seed();
    println!("HANSHO_SEED={seed}");
    let mut dice = Dice(seed);
    let mut setup = Setup::new(vec![wearer(), Device::new("9001", &[])]);
    setup.refuse_unknown = true;
    let house = House::start_new(&setup);
    let core = house.core().unwrap();
    let mut neighbour = watch(&house, "8800000003");
    let door = house.addresses().watch;
    let stranger = || Watch::connect(door, "8899999999", PATIENCE).unwrap();
    for _ in 0..40 {
        let count = usize::try_from(dice.below(2_000) + 1).unwrap();
        let bytes = dice.bytes(count);
        stranger().send(&bytes).unwrap();
        let cut = neighbour
            .wearable
            .encode("2026-11-23T05:40:48Z".parse().unwrap(), &Said::Alarm(SOS, HOME));
        stranger().send(&cut[..usize::try_from(dice.below(cut.len() as u64)).unwrap()]).unwrap();
    }
    neighbour.say(&Said::Link);
    // 64 KiB without a frame, a frame past its limit, twenty bad ones: each ends its connection.
    let endless = [b"[3G*8899999999*7FFF*AL,".as_slice(), &[b'1'; 70_000]].concat();
    let bad = b"[3G*8899999999*0x02*LK]".repeat(20);
    for bytes in [vec![b'x'; 70_000], endless, bad] {
        let mut line = stranger();
        drop(line.send(&bytes));
        assert!(line.hear(1).is_err(), "closed without a word");
    }
    // Nobody registered it: its call is kept and shown, never answered.
    let mut line = stranger();
    let sos =
        line.wearable.encode("2026-11-23T05:40:48Z".parse().unwrap(), &Said::Alarm(SOS, HOME));
    line.send(&sos).unwrap();
    let desk = house.client_of("dispatcher1");
    let shown = wait("the stranger's call", || signals(&desk).into_iter().next());
    assert_eq!((&shown["device"], &shown["refused"]), (&"watch:8899999999".into(), &true.into()));
    // A connection speaks for one device: it cannot borrow another's name.
    line.wearable.id = "8800000003".to_owned();
    let forged =
        line.wearable.encode("2026-11-23T05:40:48Z".parse().unwrap(), &Said::Alarm(SOS, HOME));
    line.send(&forged).unwrap();
    neighbour.walk(HOME);
    assert_eq!(signals(&desk).len(), 1);
    neighbour.say(&Said::Link);
    assert_eq!(house.core(), Some(core), "the core was restarted");
    let settled = wait("the books to settle", || {
        let books = desk.state()["accounting"].as_array().unwrap().clone();
        books.into_iter().find(|book| book["door"] == "watch" && book["in_flight"] == 0)
    });
    let count = |name: &str| settled[name].as_u64().unwrap();
    let fates = ["durable", "refused", "shed", "coalesced"].map(count);
    assert_eq!(count("received"), fates.iter().sum::<u64>());
    assert!(house.log().iter().all(|line| !line.contains("panicked")));
}
