//! The numbers of the real program: what `/metrics` shows is what happened.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::house::dc09::{self, Link};
use crate::house::http::{Client, Events};
use crate::house::post::Post;
use crate::house::setup::{Device, Setup, password_of};
use crate::house::{House, text, wait, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// What `/metrics` shows, by name and label.
fn metrics(house: &House) -> BTreeMap<String, f64> {
    let answer = house.client().get("/metrics").unwrap();
    let text = text(&answer.body);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let parse = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
    };
    lines.map(parse).collect()
}

/// Waits until all of these are shown; names the one that is not.
#[track_caller]
fn wait_shown(house: &House, wanted: &[(&str, f64)]) {
    let missing = || {
        let metrics = metrics(house);
        let shown = |name: &str| metrics.get(name).copied().unwrap_or(f64::NAN);
        let missing = wanted.iter().find(|(name, wanted)| (shown(name) - wanted).abs() > 1e-9);
        let missing = missing.map(|(name, wanted)| (*name, *wanted, metrics.get(*name).copied()));
        missing.map(|(name, wanted, shown)| format!("{name} to be {wanted}: it is {shown:?}"))
    };
    let settled = wait_for(PATIENCE, || missing().is_none().then_some(()));
    assert!(settled.is_some(), "{:?}", missing());
}

/// Waits until this has reached `least`.
#[track_caller]
fn wait_reached(house: &House, name: &str, least: f64) {
    wait(name, || metrics(house).get(name).is_some_and(|shown| *shown >= least).then_some(()));
}

#[test]
fn what_is_shown_is_what_happened() {
    let post = Post::start();
    let device = Device::new("9001", &["helper@docomo.example.jp"]);
    let house = House::start_new(&Setup::new(vec![device]).with_relay(post.relay()));
    a_quiet_house_shows_nothing_that_waits(&house);
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    for sequence in [1, 2] {
        let answer = link.ask(&dc09::press("9001", sequence, sequence)).unwrap();
        assert!(answer.contains(&dc09::ack(sequence)), "{answer}");
    }
    wait_shown(
        &house,
        &[
            ("hansho_intake_connections_count{door=\"dc09\"}", 1.0),
            ("hansho_intake_in_flight_count{door=\"dc09\"}", 0.0),
            ("hansho_intake_reports_total{lane=\"A\"}", 2.0),
            ("hansho_intake_durable_seconds_count{lane=\"A\"}", 2.0),
        ],
    );
    post.wait(1);
    wait_reached(&house, "hansho_outbox_attempts_total{channel=\"mail\"}", 1.0);
    wait_reached(&house, "hansho_outbox_attempt_seconds_count{channel=\"mail\"}", 1.0);
    wait_shown(&house, &[("hansho_outbox_owed_count", 0.0)]);
    let stream = people_are_counted(&house);
    drop((link, stream));
    wait_shown(
        &house,
        &[
            ("hansho_intake_connections_count{door=\"dc09\"}", 0.0),
            ("hansho_console_streams_count", 0.0),
        ],
    );
}

fn a_quiet_house_shows_nothing_that_waits(house: &House) {
    wait_shown(
        house,
        &[
            ("hansho_intake_queue_count{lane=\"A\"}", 0.0),
            ("hansho_intake_queue_count{lane=\"D\"}", 0.0),
            ("hansho_engine_degraded_count", 0.0),
            ("hansho_engine_replica_lag_count", 0.0),
            ("hansho_outbox_owed_count", 0.0),
            ("hansho_console_streams_count", 0.0),
        ],
    );
    for name in [
        "hansho_journal_head_seq",
        "hansho_journal_file_bytes",
        "hansho_engine_disk_free_bytes",
        "hansho_console_requests_total{status=\"2xx\"}",
        "hansho_console_request_seconds_count",
    ] {
        wait_reached(house, name, 1.0);
    }
    wait_reached(house, "hansho_engine_disk_probe_seconds", 1e-9);
    // A busy machine may be slow enough for a level of its own.
    let level = metrics(house)["hansho_engine_load_level"];
    assert!((0.0..=4.0).contains(&level), "{level}");
    let seq = house.client_of("viewer1").state()["seq"].as_u64().unwrap();
    wait_shown(house, &[("hansho_journal_head_seq", f64::from(u32::try_from(seq).unwrap()))]);
}

/// Log-ins, commands and a stream, which still is open.
fn people_are_counted(house: &House) -> Events {
    let log_in = |password: &str| {
        let body = json!({"user": "dispatcher1", "password": password});
        house.client().post_json("/api/login", &body).unwrap().status
    };
    assert_eq!((log_in("nonsense"), log_in(&password_of("dispatcher1"))), (401, 200));
    let desk: Client = house.client_of("dispatcher1");
    let mut stream = desk.events(None);
    stream.next();
    let unknown = json!({"signals": ["s999999"], "kind": "ems"});
    assert_eq!(desk.command("OpenIncident", &unknown).unwrap().code(), "not_found");
    let signal = desk.state()["signals"][0]["id"].clone();
    let known = json!({"signal": signal, "position": "desk1"});
    assert_eq!(desk.command("AcknowledgeSignal", &known).unwrap().status, 200);
    stream.next_event();
    wait_shown(
        house,
        &[
            ("hansho_console_logins_total{result=\"wrong\"}", 1.0),
            ("hansho_console_logins_total{result=\"opened\"}", 1.0),
            ("hansho_console_commands_total{code=\"not_found\"}", 1.0),
            ("hansho_console_commands_total{code=\"taken\"}", 1.0),
            ("hansho_console_streams_count", 1.0),
        ],
    );
    wait_reached(house, "hansho_console_requests_total{status=\"4xx\"}", 2.0);
    wait_reached(house, "hansho_console_stream_seconds_count", 1.0);
    stream
}
