//! One alarm, all the way: from a pendant's wire to the console and a helper's mail and back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use hansho_core::{SNAPSHOT_VERSION, State};
use hansho_journal::{SnapshotStore, SqliteReader, Vault};
use hansho_model::{Event, Reveal as _, Sealed, Seq};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::house::dc09::{self, Link};
use crate::house::http::{Client, new_id};
use crate::house::post::{Post, answer_path};
use crate::house::setup::{Device, Setup, password_of};
use crate::house::{House, text, wait};

const PATIENCE: Duration = Duration::from_secs(20);
/// Typed by the dispatcher: as private as a name.
const NOTE: &str = "玄関の鍵は隣家が持つ";
const PLACE: &str = "架空町の二軒目";
const LAST_WORDS: &str = "搬送の要なしと家族が言う";

fn device() -> Device {
    Device::new("9001", &["first9001@docomo.example.jp", "second9001@au.example.jp"])
}

fn setup(post: &Post) -> Setup {
    let other = Device::new("9002", &["first9002@mail.example.jp"]);
    Setup::new(vec![device(), other]).with_relay(post.relay())
}

#[test]
fn an_alarm_goes_all_the_way_and_back() {
    let post = Post::start();
    let mut house = House::start_new(&setup(&post));
    the_whole_story(&mut house, &post);
}

#[test]
fn a_whole_story_logged_at_trace_shows_nothing_private() {
    let post = Post::start();
    let mut house = House::new(&setup(&post));
    house.set_rust_log("trace");
    house.start();
    the_whole_story(&mut house, &post);
    let device = device();
    let frame = text(&dc09::press("9001", 1, 3));
    let mut private = vec![
        device.subscriber,
        device.address,
        "[#9001|".to_owned(),
        frame.trim().to_owned(),
        NOTE.to_owned(),
        PLACE.to_owned(),
        LAST_WORDS.to_owned(),
        password_of("dispatcher1"),
        "hansho-demo-token-".to_owned(),
        "/r/".to_owned(),
        "hansho_session".to_owned(),
    ];
    for (name, mail) in device.helpers {
        let local = mail.split('@').next().unwrap().to_owned();
        private.extend([name, mail, local]);
    }
    let log = house.log();
    assert!(log.iter().any(|line| line.contains("DEBUG")), "the filter was heard");
    for value in &private {
        let escaped = value.escape_debug().to_string();
        let bytes = format!("{:?}", value.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        for form in [value.as_str(), &escaped, bytes] {
            let shown = log.iter().find(|line| line.contains(form));
            assert_eq!(shown, None, "the log shows {value}");
        }
    }
}

fn the_whole_story(house: &mut House, post: &Post) {
    let desk = house.client_of("dispatcher1");
    let signal = alarm_reaches_the_console(house, &desk);
    mail_reaches_the_helpers(post, &desk);
    who_may_do_what(house, &signal);
    let incident = a_dispatcher_handles_it(&desk, &signal);
    assert_eq!(one(&desk.state()["incidents"], "id", &incident)["outcome"], "handled");
    a_session_outlives_the_core(house);
    let before = stop_and_compare(house);
    house.start();
    a_person_is_erased(house, post);
    let after = stop_and_compare(house);
    assert_ne!(before, after);
    nothing_of_the_person_is_left(house);
}

/// Press, acknowledgement, state, stream; gives the signal's id.
fn alarm_reaches_the_console(house: &House, desk: &Client) -> String {
    let start = desk.state()["seq"].as_u64().unwrap();
    let mut stream = desk.events(Some(start));
    let mut pendant = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    let answer = pendant.ask(&dc09::press("9001", 1, 3)).unwrap();
    assert!(answer.contains("\"ACK\"0001L0#9001[]"), "{answer}");
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(_, kind)| kind != "NoticeOrdered") {
        let event = stream.next_event();
        let kind = event.data["kind"].as_str().unwrap().to_owned();
        assert_eq!(event.data["seq"].as_u64(), event.id);
        seen.push((event.id.unwrap(), kind));
    }
    let numbers: Vec<u64> = seen.iter().map(|(seq, _)| *seq).collect();
    let expected: Vec<u64> = (start + 1..=start + numbers.len() as u64).collect();
    assert_eq!(numbers, expected, "no gap and no repeat");
    let kinds: Vec<&str> = seen.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(kinds, ["ReportReceived", "SignalReceived", "NoticeOrdered"]);
    // Away for a moment: whoever names the last event he has gets the rest.
    drop(stream);
    let mut resumed = desk.events(Some(seen[0].0));
    for (seq, kind) in &seen[1..] {
        let event = resumed.next_event();
        assert_eq!((event.id, event.data["kind"].as_str()), (Some(*seq), Some(kind.as_str())));
    }
    let state = desk.state();
    let signal = one(&state["signals"], "device", "dc09:9001");
    assert_eq!(signal["seq"].as_u64(), Some(seen[1].0));
    assert_eq!(signal["state"], "ringing");
    assert_eq!(signal["alarm"], "help");
    assert_eq!(signal["subscriber"]["name"], device().subscriber.as_str());
    assert_eq!(signal["subscriber"]["address"], device().address.as_str());
    // A repeat after a lost answer is acknowledged and changes nothing.
    let again = pendant.ask(&dc09::press("9001", 1, 3)).unwrap();
    assert!(again.contains(&dc09::ack(1)), "{again}");
    assert_eq!(desk.state()["signals"].as_array().unwrap().len(), 1);
    signal["id"].as_str().unwrap().to_owned()
}

fn mail_reaches_the_helpers(post: &Post, desk: &Client) {
    let mails = post.wait(2);
    let to: BTreeSet<&str> = mails.iter().map(|mail| mail.to[0].as_str()).collect();
    let expected: BTreeSet<_> = ["first9001@docomo.example.jp", "second9001@au.example.jp"].into();
    assert_eq!(to, expected);
    let mail = mails.iter().find(|mail| mail.to[0].starts_with("first9001")).unwrap();
    assert!(mail.text.contains("デモ"), "the first line says that it is none: {}", mail.text);
    let settled = || {
        let notices = desk.state()["notices"].clone();
        (notices[0]["outcomes"]["accepted"] == 2).then_some(notices)
    };
    let notices = wait("both mails to be settled", settled);
    assert_eq!(notices[0]["answers"]["coming"], 0);
    // Scanners fetch links: a GET records nothing.
    let path = answer_path(mail);
    let before = desk.state()["seq"].clone();
    let page = Client::new(desk.address).get(&path).unwrap();
    assert_eq!(page.status, 200);
    assert!(text(&page.body).contains(&device().address), "the helper sees where to go");
    assert_eq!(desk.state()["seq"], before);
    let forged = Client::new(desk.address).get("/r/1-0-00000000000000000000000000000000").unwrap();
    assert_eq!(forged.status, 404);
    for _twice in 0..2 {
        let posted = Client::new(desk.address).post_form(&path, "answer=coming").unwrap();
        assert_eq!(posted.status, 200, "{posted:?}");
    }
    let bad = Client::new(desk.address).post_form(&path, "answer=perhaps").unwrap();
    assert_eq!(bad.status, 400);
    let answered = wait("the answer", || {
        let notice = desk.state()["notices"][0].clone();
        (notice["answers"]["coming"] == 1).then_some(notice)
    });
    let recipients = answered["recipients"].as_array().unwrap();
    assert!(recipients.iter().any(|each| each["answer"] == "coming"), "{recipients:?}");
}

fn who_may_do_what(house: &House, signal: &str) {
    let body = json!({"signal": signal, "position": "desk1"});
    let acknowledge = |client: &Client| client.command("AcknowledgeSignal", &body).unwrap();
    let viewer = acknowledge(&house.client_of("viewer1"));
    assert_eq!((viewer.status, viewer.code().as_str()), (403, "forbidden"));
    assert_eq!(house.client_of("viewer1").get("/api/state").unwrap().status, 200);
    let stranger = house.client().with_header("Authorization", "Bearer wrong");
    assert_eq!(acknowledge(&stranger).status, 401);
    assert_eq!(stranger.get("/api/state").unwrap().status, 401);
    for path in ["/api/state", "/api/stream", "/api/me"] {
        assert_eq!(house.client().get(path).unwrap().status, 401, "{path}");
    }
    let erase = house.client_of("dispatcher1").command("ErasePerson", &json!({"person": 1}));
    let erase = erase.unwrap();
    assert_eq!((erase.status, erase.code().as_str()), (403, "forbidden"));
}

/// Acknowledges, opens, notes and closes; gives the incident's id.
fn a_dispatcher_handles_it(desk: &Client, signal: &str) -> String {
    let body = json!({"signal": signal, "position": "desk1"});
    let id = new_id();
    let first = desk.command_as(&id, "AcknowledgeSignal", &body).unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    let again = desk.command_as(&id, "AcknowledgeSignal", &body).unwrap();
    assert_eq!((again.status, again.seq()), (200, first.seq()), "twice has the effect of once");
    let late = desk.command("AcknowledgeSignal", &body).unwrap();
    assert_eq!((late.status, late.code().as_str()), (409, "already_answered"));
    let shown = || {
        let state = desk.state();
        let signal = one(&state["signals"], "id", signal);
        (signal["state"] == "answered").then_some(signal)
    };
    let shown = wait("the acknowledgement", shown);
    assert_eq!(shown["acknowledged"]["position"], "desk1");
    let none = json!({"signals": ["s999999"], "kind": "ems"});
    let none = desk.command("OpenIncident", &none).unwrap();
    assert_eq!((none.status, none.code().as_str()), (409, "not_found"));
    let open = json!({"signals": [signal], "kind": "ems", "place_text": PLACE});
    let opened = desk.command("OpenIncident", &open).unwrap();
    assert_eq!(opened.status, 200, "{opened:?}");
    let incident = format!("i{}", opened.seq());
    let twice = desk.command("OpenIncident", &open).unwrap();
    assert_eq!((twice.status, twice.code().as_str()), (409, "already_ended"));
    let note = desk.command("AddNote", &json!({"incident": incident, "text": NOTE})).unwrap();
    assert_eq!(note.status, 200, "{note:?}");
    let close = json!({"incident": incident, "outcome": "handled", "note": LAST_WORDS});
    let closed = desk.command("CloseIncident", &close).unwrap();
    assert_eq!(closed.status, 200, "{closed:?}");
    let twice = desk.command("CloseIncident", &close).unwrap();
    assert_eq!((twice.status, twice.code().as_str()), (409, "already_ended"));
    let malformed = desk.command("CloseIncident", &json!({"incident": incident})).unwrap();
    assert_eq!((malformed.status, malformed.code().as_str()), (400, "malformed"));
    let closed = wait("the close", || {
        let incident = one(&desk.state()["incidents"], "id", &incident);
        (incident["state"] == "closed").then_some(incident)
    });
    assert_eq!(closed["notes"][0]["text"], NOTE);
    assert_eq!(closed["place"]["text"], PLACE);
    assert_eq!(closed["closing_note"], LAST_WORDS);
    incident
}

fn a_session_outlives_the_core(house: &House) {
    let nobody = house.client();
    let wrong = json!({"user": "dispatcher1", "password": "wrong"});
    let wrong = nobody.post_json("/api/login", &wrong).unwrap();
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "wrong_password"));
    let right = json!({"user": "dispatcher1", "password": password_of("dispatcher1")});
    let answer = nobody.post_json("/api/login", &right).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    for word in ["HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let session = nobody.clone().with_header("Cookie", &cookie);
    assert_eq!(session.get("/api/me").unwrap().json()["user"], "dispatcher1");
    assert!(house.kill_core());
    house.wait_ready();
    assert_eq!(session.get("/api/me").unwrap().status, 200, "the session is in the journal");
    // What a stream missed is no longer in memory: it goes on from the whole state, and then
    // number by number.
    let mut stream = house.client_of("dispatcher1").events(Some(1));
    let whole = stream.next_event();
    assert_eq!(whole.name, "snapshot");
    assert_eq!(whole.data["seq"].as_u64(), whole.id);
    let known = one(&whole.data["signals"], "device", "dc09:9001");
    assert_eq!(known["state"], "ended");
    let mut other = Link::udp(house.addresses().dc09, PATIENCE).unwrap();
    let test = dc09::event("9002", 1, "1602", 0);
    assert!(other.ask(&test).unwrap().contains(&dc09::ack(1)));
    assert_eq!(stream.next_event().id, whole.id.map(|last| last + 1));
    // A command with a cookie must come from our own page.
    let body = json!({"incident": "i1", "text": NOTE});
    let note = |client: &Client| client.command("AddNote", &body).unwrap();
    let own = format!("http://{}", nobody.address);
    assert_eq!(note(&session).status, 403, "no origin");
    let foreign = session.clone().with_header("Origin", "http://evil.example.jp");
    assert_eq!(note(&foreign).status, 403);
    let own = session.clone().with_header("Origin", &own);
    let refused = note(&own);
    assert_eq!((refused.status, refused.code().as_str()), (409, "not_found"));
    assert_eq!(own.post_json("/api/logout", &json!({})).unwrap().status, 204);
    assert_eq!(session.get("/api/me").unwrap().status, 401);
}

/// Stops the house; its last snapshot, made of the live events, and a replay of the whole journal
/// must be the same state. Gives its hash.
fn stop_and_compare(house: &mut House) -> String {
    assert!(house.stop().success());
    house.journal("verify");
    let replay = house.journal("replay");
    let field = |name: &str| {
        let line = replay.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{replay}")).trim().to_owned()
    };
    let last: u64 = field("events").parse().unwrap();
    let mut store = SnapshotStore::open(&house.data()).unwrap();
    let snapshot = store.newest(Seq::new(last), SNAPSHOT_VERSION).unwrap().unwrap();
    assert_eq!(snapshot.seq.get(), last, "a house that is asked to end leaves a snapshot");
    let hash: String =
        State::hash_of(&snapshot.state).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(field("state"), hash, "replay and live state differ");
    assert!(!field("agrees").starts_with("with 0"), "{replay}");
    hash
}

fn a_person_is_erased(house: &House, post: &Post) {
    let device = device();
    let admin = house.client_of("admin1");
    let state = admin.state();
    let person = one(&state["signals"], "device", "dc09:9001")["subscriber"]["person"].clone();
    assert!(state.to_string().contains(&device.subscriber));
    let export = house.journal("export");
    assert!(!export.contains(&device.subscriber), "an export is sealed");
    let erased = admin.command("ErasePerson", &json!({"person": person})).unwrap();
    assert_eq!(erased.status, 200, "{erased:?}");
    let again = admin.command("ErasePerson", &json!({"person": person})).unwrap();
    assert_eq!((again.status, again.code().as_str()), (409, "already_ended"));
    wait("the key's destruction", || {
        let state = admin.state();
        let signal = one(&state["signals"], "device", "dc09:9001");
        let gone = signal["subscriber"]["erased"] == true && state["mail"]["owed"] == 0;
        (gone && !state.to_string().contains(&device.subscriber)).then_some(())
    });
    let shown = admin.state().to_string();
    for value in [&device.subscriber, &device.address] {
        assert!(!shown.contains(value), "{value} is still shown");
    }
    assert!(shown.contains(&device.helpers[0].0), "the helper is somebody else");
    // The device still calls for help: it is shown and acknowledged, nobody's name with it.
    let mut pendant = Link::udp(house.addresses().dc09, PATIENCE).unwrap();
    let answer = pendant.ask(&dc09::press("9001", 2, 3)).unwrap();
    assert!(answer.contains(&dc09::ack(2)), "{answer}");
    for mail in post.mails().iter().skip(2) {
        assert!(!mail.text.contains(&device.subscriber), "{}", mail.text);
    }
}

/// Neither in any file's bytes nor behind any key.
#[expect(clippy::wildcard_enum_match_arm, reason = "only some kinds hold what was the person's")]
fn nothing_of_the_person_is_left(house: &House) {
    let device = device();
    let frame = dc09::press("9001", 1, 3);
    for file in fs::read_dir(house.data()).unwrap() {
        let path = file.unwrap().path();
        for value in [device.subscriber.as_bytes(), device.address.as_bytes(), &frame] {
            assert!(!holds(&path, value), "{} holds {}", path.display(), text(value));
        }
    }
    let export = house.journal("export");
    assert!(!export.contains(&device.subscriber) && !export.contains(&device.address));
    let vault = Vault::open(&house.data()).unwrap();
    let mut sealed: Vec<Sealed> = Vec::new();
    let mut others = 0;
    let mut reader = SqliteReader::open(&house.data()).unwrap();
    for recorded in reader.read(Seq::ZERO, 100_000).unwrap() {
        match recorded.event {
            Event::PersonEntered { entry, .. } if entry.key == "subscriber-9001" => {
                sealed.push(entry.name);
            }
            Event::PersonEntered { entry, .. } => {
                others += u32::from(vault.reveal(&entry.name).is_some());
            }
            Event::NoticeOrdered { facts, .. } => {
                sealed.extend([facts.subscriber, facts.address].into_iter().flatten());
            }
            Event::DeviceRegistered { entry, .. } if entry.source == "dc09:9001" => {
                sealed.extend(entry.address);
            }
            _ => {}
        }
    }
    assert!(sealed.len() >= 4, "name and address, registered and noticed");
    for value in &sealed {
        assert_eq!(vault.reveal(value), None, "the key still opens a value");
    }
    assert!(others > 0, "the others are still known");
}

fn holds(path: &Path, value: &[u8]) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes.windows(value.len()).any(|window| window == value)
}

/// The one of a list whose field has this value.
/// A core that neither dies nor answers must not keep a city waiting.
#[test]
fn a_core_that_hangs_is_killed_and_started_again() {
    let mut house = House::start_new(&Setup::new(vec![device()]));
    let hung = house.core().unwrap();
    kill_process(hung, Signal::STOP).unwrap();
    house.wait_core_gone(hung);
    house.wait_ready();
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    let frame = dc09::press("9001", 1, 1);
    assert!(link.ask(&frame).unwrap().contains(&dc09::ack(1)));
    assert!(house.stop().success());
}

fn one(list: &Value, field: &str, value: &str) -> Value {
    let mut found = list.as_array().unwrap().iter().filter(|each| each[field] == value);
    let first = found.next().unwrap_or_else(|| panic!("no {value} in {list}"));
    assert!(found.next().is_none(), "two with {value}");
    first.clone()
}
