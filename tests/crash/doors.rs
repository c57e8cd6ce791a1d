//! The other doors under the same kills: alarms over MQTT and from a watch, calls to 119, and a
//! vehicle's crew over QUIC.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use hansho_journal::Vault;
use hansho_model::{CallFact, Event, Recorded, Reveal as _, Sealed};
use hansho_simulators::caller::{End, Plan, call};
use hansho_simulators::devices::watch::{Place, SOS, Said};
use hansho_simulators::pendant::Link;
use hansho_simulators::vehicle::{Pressed, Vehicle};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{REPEAT_AFTER, Shared};
use crate::house::mqtt::Client;
use crate::house::watch::Watch;
use crate::house::{House, pause};

/// The pendant that logs in over MQTT.
pub(super) const PENDANT: &str = "p-1";
/// The watch.
pub(super) const WATCH: &str = "8800000003";
/// Where its wearer lives.
pub(super) const HOME: Place = Place::new(371_060_000, 1_409_589_000);
/// A device's pause between two alarms.
const PACE: Duration = Duration::from_millis(50);
/// The vehicle's terminal.
pub(super) const TERMINAL: &str = "onahama-1";
/// How long a link to the house may take to come about and to answer.
const LINK_MAX: Duration = Duration::from_millis(500);
/// The callers' pause between two calls.
const NEXT_CALL: Duration = Duration::from_millis(250);
/// A caller hangs up so long after the first sign of the other side.
const HANG_UP_AFTER: Duration = Duration::from_millis(200);

/// What those at these doors were told.
#[derive(Default)]
pub(super) struct Held {
    /// Counters of the pendant's alarms.
    alarms: BTreeSet<u64>,
    /// Frames of the watch.
    frames: BTreeSet<Vec<u8>>,
    /// Call-IDs that heard it ring.
    rang: BTreeSet<String>,
    /// Call-IDs whose hanging up was confirmed.
    given_up: BTreeSet<String>,
    /// Presses of the crew that were answered; they are commands, and looked up among these.
    pub(super) presses: usize,
}

/// A pendant: the same alarm until its PUBACK, then the next.
pub(super) fn publish_for_ever(shared: &Shared) {
    let topic = format!("hansho/v1/pendant/{PENDANT}/alarm");
    let (mut client, mut number) = (None, 0_u64);
    while !shared.is_quiet() {
        let id = u16::try_from(number % 60_000).unwrap() + 1;
        let payload = format!(r#"{{"n":{number},"alarms":[{{"kind":"help"}}]}}"#);
        let told = publish(&mut client, shared, id, &topic, &payload);
        match told {
            Ok(told) => {
                assert_eq!(told, (id, 0), "an alarm is never given up");
                shared.doors.lock().unwrap().alarms.insert(number);
                number += 1;
                pause(PACE);
            }
            Err(_lost) => {
                client = None;
                pause(Duration::from_millis(5));
            }
        }
    }
}

fn publish(
    client: &mut Option<Client>,
    shared: &Shared,
    id: u16,
    topic: &str,
    payload: &str,
) -> io::Result<(u16, u8)> {
    let client = match client {
        Some(open) => open,
        None => {
            let door = shared.addresses().ok_or(io::ErrorKind::NotConnected)?.mqtt;
            client.insert(Client::open(door, 5, PENDANT, REPEAT_AFTER)?)
        }
    };
    client.publish(id, topic, payload)?;
    client.puback()
}

/// A watch: the same alarm until it is answered, then the next.
pub(super) fn alarm_for_ever(shared: &Shared) {
    let said = Said::Alarm(SOS, HOME);
    let (mut watch, mut steps): (Option<Watch>, u32) = (None, 1);
    while !shared.is_quiet() {
        match alarm(&mut watch, shared, steps, &said) {
            Ok(frame) => {
                shared.doors.lock().unwrap().frames.insert(frame);
                steps += 1;
                pause(PACE);
            }
            Err(_lost) => {
                watch = None;
                pause(Duration::from_millis(5));
            }
        }
    }
}

/// The frame, once it is answered. Its count of steps makes it one of its own.
fn alarm(
    watch: &mut Option<Watch>,
    shared: &Shared,
    steps: u32,
    said: &Said,
) -> io::Result<Vec<u8>> {
    let watch = match watch {
        Some(open) => open,
        None => {
            let door = shared.addresses().ok_or(io::ErrorKind::NotConnected)?.watch;
            watch.insert(Watch::connect(door, WATCH, REPEAT_AFTER)?)
        }
    };
    watch.wearable.steps = steps;
    watch.try_say(said)
}

/// Callers, one after another, over UDP and TCP in turn; each hangs up soon.
pub(super) fn call_for_ever(shared: &Shared) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut calls = Vec::new();
    while !shared.is_quiet() {
        if let Some(addresses) = shared.addresses() {
            let number = calls.len();
            let link = if number.is_multiple_of(2) { Link::Udp } else { Link::Tcp };
            let plan = Plan {
                tel: Some(format!("+81900002{:04}", number % 10_000)),
                hang_up_after: Some(HANG_UP_AFTER),
                ..Plan::default()
            };
            calls.push(runtime.spawn(async move { call(addresses.sip, link, &plan).await }));
        }
        pause(NEXT_CALL);
    }
    for each in calls {
        let outcome = runtime.block_on(each).unwrap();
        let mut held = shared.doors.lock().unwrap();
        if outcome.ringing.is_some() {
            held.rang.insert(outcome.id.clone());
        }
        if matches!(outcome.end, End::Abandoned) {
            held.given_up.insert(outcome.id);
        }
    }
}

/// A crew: the same press until it is answered, then the next.
pub(super) fn drive_for_ever(shared: &Shared, terminals: &Path, trust: &Path) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut vehicle: Option<Vehicle> = None;
    while !shared.is_quiet() {
        let id = uuid::Uuid::now_v7();
        let said = json!({ "id": id.to_string(), "availability": "AV" });
        while !shared.is_over() {
            let Some(open) = vehicle.take().or_else(|| reach(&runtime, shared, terminals, trust))
            else {
                pause(Duration::from_millis(5));
                continue;
            };
            // A press that was cut off leaves half a frame: the next try is another link's.
            let open = vehicle.insert(open);
            let told = runtime.block_on(async { timeout(LINK_MAX, open.say(&said)).await });
            match told {
                Ok(Ok(Pressed::Stored(seq))) => {
                    shared.held.lock().unwrap().commands.insert(id, seq);
                    shared.doors.lock().unwrap().presses += 1;
                    break;
                }
                Ok(Ok(refused)) => panic!("{refused:?}"),
                Ok(Err(_)) | Err(_) => vehicle = None,
            }
        }
        pause(PACE);
    }
}

/// A terminal for wherever the house listens now.
fn reach(runtime: &Runtime, shared: &Shared, terminals: &Path, trust: &Path) -> Option<Vehicle> {
    let door = shared.addresses()?.quic;
    let _inside = runtime.enter();
    Vehicle::new(TERMINAL, terminals, trust, door).ok()
}

/// What stands in the journal of these doors.
#[derive(Default)]
pub(super) struct Witness {
    alarms: BTreeSet<u64>,
    frames: Vec<Sealed>,
    offered: BTreeSet<String>,
    abandoned: BTreeSet<String>,
}

impl Witness {
    /// Takes one event; whether it was of these doors.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a witness looks for a few kinds")]
    pub(super) fn take(&mut self, recorded: &Recorded) -> bool {
        match &recorded.event {
            Event::ReportReceived(report) if report.source.starts_with("mqtt:") => {
                let digits = report.device_key["alarm".len()..].first_chunk().unwrap();
                let fresh = self.alarms.insert(u64::from_be_bytes(*digits));
                assert!(fresh, "one alarm, two reports: {recorded:?}");
            }
            Event::ReportReceived(report) if report.source.starts_with("watch:") => {
                self.frames.push(report.raw.clone());
            }
            // That the terminal came and went.
            Event::ReportReceived(report) if report.source.starts_with("quic:") => {}
            Event::CallReceived { said, .. } => {
                // A call's name is its Call-ID and the caller's tag.
                let (id, _tag) = said.call.0.rsplit_once(';').unwrap();
                match said.fact {
                    CallFact::Offered(_) => drop(self.offered.insert(id.to_owned())),
                    CallFact::Abandoned => drop(self.abandoned.insert(id.to_owned())),
                    CallFact::Connected { .. }
                    | CallFact::NotConnected { .. }
                    | CallFact::Ended { .. } => {}
                }
            }
            _ => return false,
        }
        true
    }

    /// Every acknowledgement that anybody holds is in the journal; says how many there were.
    pub(super) fn check(&self, house: &House, held: &Held) -> String {
        let lost: Vec<_> = held.alarms.difference(&self.alarms).collect();
        assert!(lost.is_empty(), "lost: acknowledged alarms of MQTT {lost:?}");
        let vault = Vault::open(&house.data()).unwrap();
        let frames: BTreeSet<_> = self.frames.iter().filter_map(|raw| vault.reveal(raw)).collect();
        let lost: Vec<_> = held.frames.difference(&frames).collect();
        assert!(lost.is_empty(), "lost: answered frames of a watch {lost:?}");
        let lost: Vec<_> = held.rang.difference(&self.offered).collect();
        assert!(lost.is_empty(), "lost: calls that heard it ring {lost:?}");
        let lost: Vec<_> = held.given_up.difference(&self.abandoned).collect();
        assert!(lost.is_empty(), "lost: calls that were given up {lost:?}");
        let counts = [held.alarms.len(), held.frames.len(), held.rang.len(), held.given_up.len()];
        assert!(!counts.contains(&0), "there was no load at a door: {counts:?}");
        let [alarms, frames, rang, given_up] = counts;
        format!(
            "{alarms} alarms of MQTT, {frames} of a watch, {rang} calls rang, {given_up} were given up"
        )
    }
}
