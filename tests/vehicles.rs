//! Vehicle terminals at the real program: orders down, presses up, through kills of the core, new
//! addresses and certificates of others.

use std::path::Path;

use hansho_journal::SqliteReader;
use hansho_model::{Event, Seq, UnitStatus};
use hansho_simulators::vehicle::{Pressed, Vehicle, VehicleError, now};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::house::dc09;
use crate::house::setup::Setup;
use crate::house::{House, PATIENCE, wait};

const PLACE: &str = "小名浜住吉 架空の角";

fn setup() -> Setup {
    Setup::default().with_unit("小名浜1", "onahama-1").with_unit("小名浜2", "onahama-2")
}

fn vehicle(runtime: &Runtime, house: &House, terminal: &str, folder: &Path) -> Vehicle {
    // Its socket belongs to the runtime.
    let _inside = runtime.enter();
    let trust = house.data().join("tls.pem");
    Vehicle::new(terminal, folder, &trust, house.addresses().quic).unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn unit(house: &House, call_sign: &str) -> Value {
    let state = house.client_of("dispatcher1").state();
    let units = state["units"].as_array().unwrap();
    units.iter().find(|unit| unit["id"] == call_sign).unwrap().clone()
}

/// Opens an incident for a call for help and orders units to it.
fn order(house: &House, units: &[&str]) -> String {
    let desk = house.client_of("dispatcher1");
    let mut pendant = dc09::Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    pendant.ask(&dc09::press("4901", 1, 1)).unwrap();
    let signal = wait("the signal", || {
        let state = desk.state();
        let signals = state["signals"].as_array().unwrap();
        let open = signals.iter().find(|signal| signal["incident"].is_null()).cloned();
        open.map(|signal| signal["id"].as_str().unwrap().to_owned())
    });
    let open = json!({
        "signals": [signal], "kind": "fire", "place_text": PLACE, "lat": 36.9758, "lon": 140.8861,
    });
    let opened = desk.command("OpenIncident", &open).unwrap();
    assert_eq!(opened.status, 200, "{opened:?}");
    let incident = format!("i{}", opened.seq());
    let ordered = json!({ "incident": incident, "units": units });
    let ordered = desk.command("OrderUnits", &ordered).unwrap();
    assert_eq!(ordered.status, 200, "{ordered:?}");
    incident
}

async fn next_order(vehicle: &mut Vehicle) -> Value {
    timeout(PATIENCE, vehicle.order()).await.expect("an order")
}

#[test]
fn an_order_goes_down_and_what_the_crew_does_comes_up_with_its_own_times() {
    let mut house = House::start_new(&setup());
    let folder = house.issue(&["onahama-1", "onahama-2"]);
    let runtime = runtime();
    let mut first = vehicle(&runtime, &house, "onahama-1", &folder);
    // It is heard, and where it is; a datagram may be lost, so it is said until it is known.
    wait("the position", || {
        runtime.block_on(first.position(36.96, 140.9)).unwrap();
        let position = unit(&house, "小名浜1")["position"].clone();
        (position["lat"] == 36.96 && position["guessed"] == false).then_some(())
    });
    let incident = order(&house, &["小名浜1"]);
    let shown = runtime.block_on(next_order(&mut first));
    assert_eq!((&shown["incident"], &shown["place"]), (&json!(incident), &json!(PLACE)));
    assert_eq!((&shown["mode"], &shown["units"]), (&json!("demo"), &json!(["小名浜1"])));
    wait("the order to be known as shown", || {
        let unit = unit(&house, "小名浜1");
        unit["terminal"]["order_shown_at"].as_str().map(drop)
    });
    // Pressed out of coverage, and said later in another order: each keeps its own time.
    let ordered = unit(&house, "小名浜1")["times"]["AL"].as_str().unwrap().parse().unwrap();
    let at = |seconds| jiff::Timestamp::checked_add(ordered, SignedDuration::from_millis(seconds));
    for (status, millis) in [("AK", 10), ("OS", 30), ("ER", 20)] {
        let pressed = runtime.block_on(first.press(status, at(millis).unwrap())).unwrap();
        assert!(matches!(pressed, Pressed::Stored(_)), "{status}: {pressed:?}");
    }
    let now = unit(&house, "小名浜1");
    assert_eq!(now["status"], "OS", "what comes late overwrites nothing newer");
    assert_eq!(now["times"]["ER"], at(20).unwrap().to_string());
    // What a crew may not say.
    for status in ["CX", "AL", "AK"] {
        let refused = runtime.block_on(first.press(status, at(40).unwrap())).unwrap();
        assert!(matches!(refused, Pressed::Refused(_)), "{status}: {refused:?}");
    }
    runtime.block_on(first.mayday(1)).unwrap();
    let state = house.client_of("dispatcher1").state();
    let calls = state["signals"].as_array().unwrap();
    assert!(calls.iter().any(|call| call["device"] == "quic:ONAHAMA-1"), "{calls:?}");
    assert!(house.stop().success());
    // Each must succeed.
    let (verified, replayed) = (house.journal("verify"), house.journal("replay"));
    assert!(!verified.is_empty() && !replayed.is_empty());
}

#[test]
fn the_same_press_twice_is_one_through_a_kill_and_a_new_address() {
    let house = House::start_new(&setup());
    let folder = house.issue(&["onahama-1"]);
    let runtime = runtime();
    let mut first = vehicle(&runtime, &house, "onahama-1", &folder);
    order(&house, &["小名浜1"]);
    runtime.block_on(next_order(&mut first));
    let at = now().to_string();
    let press = json!({ "id": crate::house::http::new_id(), "status": "ER", "at": at });
    let stored = runtime.block_on(first.say(&press)).unwrap();
    runtime.block_on(async { first.migrate().unwrap() });
    assert_eq!(runtime.block_on(first.say(&press)).unwrap(), stored, "by another address");
    assert!(house.kill_core());
    house.wait_ready();
    assert_eq!(runtime.block_on(first.say(&press)).unwrap(), stored, "to another core");
    let mut reader = SqliteReader::open(&house.data()).unwrap();
    let events = reader.read(Seq::ZERO, 4_096).unwrap();
    let reached = events.iter().filter(|each| {
        matches!(each.event, Event::UnitStatusReached(reached) if reached.status == UnitStatus::EnRoute)
    });
    assert_eq!(reached.count(), 1);
}

#[test]
fn an_order_waits_for_a_terminal_that_is_not_there_and_outlives_the_core() {
    let house = House::start_new(&setup());
    let folder = house.issue(&["onahama-2"]);
    order(&house, &["小名浜2"]);
    assert!(unit(&house, "小名浜2")["terminal"]["order_shown_at"].is_null());
    assert!(house.kill_core());
    house.wait_ready();
    let runtime = runtime();
    let mut second = vehicle(&runtime, &house, "onahama-2", &folder);
    runtime.block_on(next_order(&mut second));
    wait("the order to be known as shown", || {
        unit(&house, "小名浜2")["terminal"]["order_shown_at"].as_str().map(drop)
    });
}

#[test]
fn nobody_comes_in_with_a_certificate_of_another() {
    let house = House::start_new(&setup());
    let folder = house.issue(&["onahama-1", "onahama-3"]);
    let other = House::new(&setup());
    let strange = other.issue(&["onahama-1"]);
    std::fs::copy(folder.join("onahama-1.pem"), folder.join("onahama-2.pem")).unwrap();
    std::fs::copy(folder.join("onahama-1.key"), folder.join("onahama-2.key")).unwrap();
    let runtime = runtime();
    for (terminal, folder) in [
        ("onahama-2", &folder),
        // Vouched for, but no unit has it.
        ("onahama-3", &folder),
        // Another house vouches for it.
        ("onahama-1", &strange),
    ] {
        let mut vehicle = vehicle(&runtime, &house, terminal, folder);
        let said = runtime.block_on(vehicle.press("AK", now()));
        assert!(matches!(said, Err(VehicleError::Unanswered(_))), "{terminal}: {said:?}");
    }
    let mut right = vehicle(&runtime, &house, "onahama-1", &folder);
    let said = runtime.block_on(right.press("AK", now())).unwrap();
    assert_eq!(said, Pressed::Refused("wrong_move".to_owned()), "it is ordered to nothing");
}

#[test]
fn a_crew_is_told_of_a_new_place_and_that_it_need_not_go() {
    let house = House::start_new(&setup());
    let folder = house.issue(&["onahama-1"]);
    let desk = house.client_of("dispatcher1");
    let runtime = runtime();
    let mut first = vehicle(&runtime, &house, "onahama-1", &folder);
    let incident = order(&house, &["小名浜1"]);
    assert_eq!(runtime.block_on(next_order(&mut first))["state"], "ordered");
    let moved = json!({ "incident": incident, "lat": 36.95, "lon": 140.91, "confirmed": true });
    assert_eq!(desk.command("SetPlace", &moved).unwrap().status, 200);
    let changed = runtime.block_on(next_order(&mut first));
    assert_eq!((&changed["state"], &changed["lat"]), (&json!("changed"), &json!(36.95)));
    assert_eq!(changed["incident"], incident.as_str());
    // The terminal is away while the order is taken back, and so is the core.
    drop(first);
    let back = json!({ "unit": "小名浜1", "status": "CX", "incident": incident });
    assert_eq!(desk.command("UnitStatus", &back).unwrap().status, 200);
    let withdrawal = || {
        let state = house.client_of("dispatcher1").state();
        state["incidents"][0]["assignments"][0]["withdrawal"].clone()
    };
    wait("the withdrawal to be owed", || (withdrawal() == "owed").then_some(()));
    assert!(house.kill_core());
    house.wait_ready();
    let mut again = vehicle(&runtime, &house, "onahama-1", &folder);
    let shown = runtime.block_on(next_order(&mut again));
    assert_eq!((&shown["state"], &shown["incident"]), (&json!("withdrawn"), &json!(incident)));
    wait("the withdrawal to be known as shown", || (withdrawal() == "shown").then_some(()));
}
