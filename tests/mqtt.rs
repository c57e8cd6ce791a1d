//! MQTT at the real program: clients of others, what no client should say, and a core that is
//! killed under a hundred thousand publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::Duration;

use hansho_journal::SqliteReader;
use hansho_model::{Event, Lane, SealedReport, Seq};
use serde_json::Value;

use crate::house::mqtt::{self, Client, password_of};
use crate::house::setup::Setup;
use crate::house::{Dice, House, now, pause, seed, text, wait};
use crate::peers::{python, script};

const PATIENCE: Duration = Duration::from_secs(20);

fn topic(device: &str, class: &str) -> String {
    format!("hansho/v1/pendant/{device}/{class}")
}

fn alarm(n: u64) -> String {
    format!(r#"{{"n":{n},"alarms":[{{"kind":"help"}}]}}"#)
}

/// Every report in the journal, in its order.
fn reports(house: &House) -> Vec<SealedReport> {
    let mut reader = SqliteReader::open(&house.data()).unwrap();
    let (mut after, mut reports) = (Seq::ZERO, Vec::new());
    loop {
        let events = reader.read(after, 4_096).unwrap();
        let Some(last) = events.last() else { return reports };
        after = last.seq;
        for recorded in events {
            if let Event::ReportReceived(report) = recorded.event {
                reports.push(*report);
            }
        }
    }
}

/// A device's own counter in the key of its message.
fn counter(report: &SealedReport) -> Option<u64> {
    let class = ["alarm", "state", "telemetry"]
        .into_iter()
        .find(|class| report.device_key.starts_with(class.as_bytes()))?;
    let digits = report.device_key.get(class.len()..class.len() + 8)?;
    Some(u64::from_be_bytes(digits.try_into().unwrap()))
}

fn book(house: &House) -> Value {
    let state = house.client_of("viewer1").state();
    let books = state["accounting"].as_array().unwrap();
    books.iter().find(|book| book["door"] == "mqtt").unwrap().clone()
}

/// received = durable + refused + shed + coalesced + in flight, with nothing in flight any more.
fn assert_closes(house: &House) {
    let closed = wait("nothing to be in flight", || {
        let book = book(house);
        (book["in_flight"] == 0).then_some(book)
    });
    let of = |name: &str| closed[name].as_u64().unwrap();
    let settled = of("durable") + of("refused") + of("shed") + of("coalesced");
    assert_eq!(of("received"), settled, "{closed}");
}

#[test]
fn mosquitto_pub_is_answered_when_its_alarm_is_in_the_journal() {
    let mut house = House::start_new(&Setup::default().with_mqtt(&["p-1"]));
    let addresses = house.addresses();
    let trust = house.data().join("tls.pem");
    let mut n = 0;
    for version in ["mqttv311", "mqttv5"] {
        for door in [addresses.mqtt, addresses.mqtts] {
            n += 1;
            let mut publish = Command::new("mosquitto_pub");
            publish.args(["-h", &door.ip().to_string(), "-p", &door.port().to_string()]);
            publish.args(["-V", version, "-q", "1", "-u", "p-1", "-P", &password_of("p-1")]);
            publish.args(["-t", &topic("p-1", "alarm"), "-m", &alarm(n), "-i", "mosquitto"]);
            if door == addresses.mqtts {
                publish.arg("--cafile").arg(&trust);
            }
            let output = match publish.output() {
                Ok(output) => output,
                Err(error) => {
                    println!(
                        "skipped: mosquitto_pub cannot be run ({error}); install mosquitto-clients"
                    );
                    return;
                }
            };
            assert!(output.status.success(), "{version} {door}: {}", text(&output.stderr));
            let last = reports(&house).pop().unwrap();
            assert_eq!((counter(&last), last.lane), (Some(n), Lane::A), "{version} {door}");
        }
    }
    assert_closes(&house);
    let signal = &house.client_of("viewer1").state()["signals"][0];
    assert_eq!((&signal["device"], &signal["door"]), (&"mqtt:P-1".into(), &"mqtt".into()));
    assert!(house.stop().success());
}

#[test]
fn a_reserved_door_takes_those_who_may_call_for_help_and_nobody_else() {
    let mut house = House::start_new(&Setup::default().with_mqtt(&["p-1", "t-1"]));
    let (common, reserved) = (house.addresses().mqtt, house.addresses().mqtt_alarms);
    let mut n = 0;
    for (level, refused) in [(4, "[20, 02, 00, 03]"), (5, "[20, 03, 00, 97, 00]")] {
        let turned_away = Client::open(reserved, level, "t-1", PATIENCE).unwrap_err();
        assert_eq!(turned_away.to_string(), refused);
        drop(Client::open(common, level, "t-1", PATIENCE).unwrap());
        for door in [common, reserved] {
            n += 1;
            let mut pendant = Client::open(door, level, "p-1", PATIENCE).unwrap();
            pendant.publish(1, &topic("p-1", "alarm"), &alarm(n)).unwrap();
            assert_eq!(pendant.puback().unwrap(), (1, 0));
            // What follows may be that the tracker's line broke.
            assert!(reports(&house).iter().any(|report| counter(report) == Some(n)));
        }
    }
    // A device has one connection, by whatever door it comes.
    let mut older = Client::open(common, 5, "p-1", PATIENCE).unwrap();
    let newer = Client::open(reserved, 5, "p-1", PATIENCE).unwrap();
    assert_eq!(older.rest(), [0xe0, 0x01, 0x8e], "session taken over");
    drop(newer);
    assert_closes(&house);
    assert!(house.stop().success());
}

#[test]
fn paho_is_answered_over_tcp_and_tls_in_both_versions() {
    let Some(python) = python() else { return };
    for tls in [false, true] {
        let mut house = House::start_new(&Setup::default().with_mqtt(&["p-1"]));
        let addresses = house.addresses();
        let door = if tls { addresses.mqtts } else { addresses.mqtt };
        for version in ["311", "5"] {
            let mut peer = script(python, "mqtt_publish.py");
            peer.args([&door.ip().to_string(), &door.port().to_string(), version]);
            peer.args(["p-1", &password_of("p-1"), "20"]);
            if tls {
                peer.arg(house.data().join("tls.pem"));
            }
            let output = peer.output().unwrap();
            let (said, failed) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{version}, TLS {tls}:\n{said}{failed}");
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["before"], 20, "{said}");
            // A topic of others: MQTT 5 is told, 3.1.1 is closed.
            let reasons = said["reasons"].as_array().unwrap();
            let refused = reasons.iter().filter(|reason| **reason == 0x87).count();
            assert_eq!(refused, usize::from(version == "5"), "{said}");
        }
        let taken = reports(&house).iter().filter(|report| report.refused.is_none()).count();
        assert!(taken >= 40, "{taken}");
        assert_closes(&house);
        assert!(house.stop().success());
    }
}

#[test]
fn what_no_client_should_say_ends_its_connection_and_nobody_elses() {
    let names = ["p-1", "p-2", "t-1"];
    let mut house = House::start_new(&Setup::default().with_mqtt(&names));
    let door = house.addresses().mqtt;
    let core = house.core().unwrap();
    let mut neighbour = Client::open(door, 5, "p-2", PATIENCE).unwrap();
    let mut n = 0;
    let mut check = || {
        n += 1;
        neighbour.publish(7, &topic("p-2", "alarm"), &alarm(n)).unwrap();
        assert_eq!(neighbour.puback().unwrap(), (7, 0));
    };
    let quick = mqtt::publish(5, 0, 0, &topic("p-1", "alarm"), &alarm(1));
    let ends: [(&str, Vec<u8>, &[u8]); 7] = [
        ("an alarm with QoS 0", quick, &[0xe0, 0x01, 0x9b]),
        ("QoS 2", mqtt::publish(5, 2, 1, &topic("p-1", "alarm"), &alarm(2)), &[0xe0, 0x01, 0x9b]),
        (
            "a topic of 65,535 bytes",
            mqtt::publish(5, 1, 1, &"t".repeat(65_535), ""),
            &[0xe0, 0x01, 0x95],
        ),
        ("a second CONNECT", mqtt::connect(5, "p-1", None), &[0xe0, 0x01, 0x82]),
        (
            "packet id 0",
            mqtt::publish(5, 1, 0, &topic("p-1", "alarm"), &alarm(3)),
            &[0xe0, 0x01, 0x82],
        ),
        ("a length without an end", vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff], &[]),
        ("rubbish", Dice(7).bytes(10_000), &[]),
    ];
    for (name, bytes, answer) in ends {
        let mut client = Client::open(door, 5, "p-1", PATIENCE).unwrap();
        // The door may close before all is said.
        client.send(&bytes).ok();
        let rest = client.rest();
        assert!(answer.is_empty() || rest == answer, "{name}: {rest:02x?}");
        check();
    }
    // Before any log-in.
    let early = mqtt::publish(4, 1, 1, &topic("p-1", "alarm"), &alarm(4));
    for first in [early, vec![0xc0, 0x00], Dice(8).bytes(100)] {
        let mut client = Client::dial(door, 4, PATIENCE).unwrap();
        client.send(&first).unwrap();
        assert_eq!(client.rest(), b"");
    }
    // A thousand that open a connection and say nothing keep nobody out.
    let silent: Vec<_> = (0..1_000).map(|_| Client::dial(door, 4, PATIENCE).unwrap()).collect();
    check();
    drop(silent);
    assert_eq!(house.core(), Some(core), "the core has not ended");
    let state = house.client_of("dispatcher1").state();
    let devices = state["devices"].as_array().unwrap();
    let device = devices.iter().find(|each| each["id"] == "mqtt:P-1").unwrap();
    assert!(device["refused"].as_u64().unwrap() >= 1, "{device}");
    assert_closes(&house);
    assert!(house.stop().success());
    house.journal("verify");
}

#[test]
fn a_device_hears_of_itself_alone_and_its_newest_connection_counts() {
    let mut house = House::start_new(&Setup::default().with_mqtt(&["p-1"]));
    let door = house.addresses().mqtt;
    let mut client = Client::open(door, 5, "p-1", PATIENCE).unwrap();
    for filter in ["#", "hansho/v1/pendant/+/down", "hansho/v1/pendant/p-2/down"] {
        client.send(&mqtt::subscribe(5, 9, filter)).unwrap();
        assert_eq!(client.packet().unwrap(), [0x90, 0x04, 0x00, 0x09, 0x00, 0x87], "{filter}");
    }
    client.send(&mqtt::subscribe(5, 9, &topic("p-1", "down"))).unwrap();
    assert_eq!(client.packet().unwrap(), [0x90, 0x04, 0x00, 0x09, 0x00, 0x00]);
    // A packet id that is in use is answered as often as it came.
    let twice = [10, 11].map(|n| mqtt::publish(5, 1, 5, &topic("p-1", "alarm"), &alarm(n)));
    client.send(&twice.concat()).unwrap();
    assert_eq!([client.puback().unwrap(), client.puback().unwrap()], [(5, 0), (5, 0)]);
    // A newer connection of the client takes over.
    let mut newer = Client::open(door, 5, "p-1", PATIENCE).unwrap();
    assert_eq!(client.rest(), [0xe0, 0x01, 0x8e]);
    newer.publish(1, &topic("p-1", "alarm"), &alarm(12)).unwrap();
    assert_eq!(newer.puback().unwrap(), (1, 0));
    assert_closes(&house);
    assert!(house.stop().success());
}

#[test]
fn a_telemetry_device_that_claims_alarms_is_limited_and_said_to_be() {
    let mut house = House::start_new(&Setup::default().with_mqtt(&["t-1"]));
    let mut tracker = Client::open(house.addresses().mqtt, 5, "t-1", PATIENCE).unwrap();
    let mut reasons = BTreeMap::<u8, u32>::new();
    for n in 0..30 {
        tracker.publish(1, &topic("t-1", "alarm"), &alarm(n)).unwrap();
        *reasons.entry(tracker.puback().unwrap().1).or_default() += 1;
    }
    // Six, and one that is said to be too many; the minute may turn once.
    assert!((7..=14).contains(&reasons[&0]) && reasons[&0x97] == 30 - reasons[&0], "{reasons:?}");
    let stats = house.journal("stats");
    assert!(stats.contains("AlarmsLimited"), "{stats}");
    assert_closes(&house);
    assert!(house.stop().success());
}

/// Devices that publish side by side.
const DEVICES: usize = 16;
/// Publishes after which the load ends.
const PUBLISHES: u64 = 100_000;
/// The load ends after this time, too: a slow machine publishes less.
const TIME_MAX: Duration = Duration::from_secs(60);
/// How often the core is killed meanwhile.
const KILLS: u32 = 12;

/// What the devices and the killer share.
#[derive(Default)]
struct Load {
    door: RwLock<Option<std::net::SocketAddr>>,
    acknowledged: Mutex<BTreeSet<(usize, u64)>>,
    count: AtomicU64,
    over: AtomicBool,
}

#[test]
fn what_was_acknowledged_is_in_the_journal_however_the_core_is_killed() {
    let seed = seed();
    println!("HANSHO_SEED={seed}");
    let names: Vec<String> = (0..DEVICES).map(|device| format!("p-{device}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut house = House::start_new(&Setup::default().with_mqtt(&names));
    let load = Load::default();
    *load.door.write().unwrap() = Some(house.addresses().mqtt);
    let begun = now();
    let mut kills = 0;
    thread::scope(|scope| {
        for device in 0..DEVICES {
            let load = &load;
            scope.spawn(move || publish_for_long(device, load));
        }
        let mut dice = Dice(seed);
        while load.count.load(Ordering::SeqCst) < PUBLISHES && begun.elapsed() < TIME_MAX {
            // Spread over the load, each at a moment of chance.
            let due = load.count.load(Ordering::SeqCst)
                >= u64::from(kills) * PUBLISHES / u64::from(KILLS);
            if kills < KILLS && due {
                pause(Duration::from_micros(dice.below(400_000)));
                kills += u32::from(house.kill_core());
            }
            pause(Duration::from_millis(20));
        }
        load.over.store(true, Ordering::SeqCst);
    });
    house.wait_ready();
    let took = begun.elapsed().as_secs_f64();
    assert!(house.stop().success());
    house.journal("verify");
    let acknowledged = load.acknowledged.into_inner().unwrap();
    let mut held = BTreeSet::new();
    for report in reports(&house) {
        let device = report.source.strip_prefix("mqtt:P-").and_then(|number| number.parse().ok());
        let (Some(device), Some(n)) = (device, counter(&report)) else { continue };
        assert!(held.insert((device, n)), "{device} {n} is in the journal twice");
    }
    let missing: Vec<_> = acknowledged.difference(&held).collect();
    println!(
        "{kills} kills in {took:.0} s: {} acknowledged, {} in the journal",
        acknowledged.len(),
        held.len()
    );
    assert!(missing.is_empty(), "{} are missing: {:?}", missing.len(), missing.first());
    assert!(acknowledged.len() > 2_000 && kills > 0, "there was no load");
}

/// Publishes with 64 under way, and after each cut again what was not acknowledged.
fn publish_for_long(device: usize, load: &Load) {
    let name = format!("p-{device}");
    let level = if device.is_multiple_of(2) { 4 } else { 5 };
    let mut open: BTreeMap<u16, u64> = BTreeMap::new();
    let (mut next, mut id) = (0_u64, 0_u16);
    while !load.over.load(Ordering::SeqCst) {
        let door = load.door.read().unwrap().unwrap();
        let patience = Duration::from_secs(5);
        let Ok(mut client) = Client::open(door, level, &name, patience) else {
            pause(Duration::from_millis(20));
            continue;
        };
        let cut = converse(&mut client, &name, &mut open, (&mut next, &mut id), |n, reason| {
            assert_eq!(reason, 0, "alarms are never given up");
            load.acknowledged.lock().unwrap().insert((device, n));
            load.count.fetch_add(1, Ordering::SeqCst);
            !load.over.load(Ordering::SeqCst)
        });
        if cut.is_ok() {
            return;
        }
    }
}

/// Until the line is cut, or nobody wants more.
fn converse(
    client: &mut Client,
    name: &str,
    open: &mut BTreeMap<u16, u64>,
    (next, id): (&mut u64, &mut u16),
    mut acknowledged: impl FnMut(u64, u8) -> bool,
) -> io::Result<()> {
    let topic = topic(name, "alarm");
    for (id, n) in open.iter() {
        client.publish(*id, &topic, &alarm(*n))?;
    }
    let mut more = true;
    while more || !open.is_empty() {
        while more && open.len() < 64 {
            *id = id.checked_add(1).unwrap_or(1);
            client.publish(*id, &topic, &alarm(*next))?;
            open.insert(*id, *next);
            *next += 1;
        }
        let (id, reason) = client.puback()?;
        let n = open.remove(&id).ok_or_else(|| io::Error::other("acknowledged twice"))?;
        more = acknowledged(n, reason);
    }
    Ok(())
}

/// A mosquitto of somebody else, which keeps what it has on its disk.
struct Broker {
    folder: tempfile::TempDir,
    address: std::net::SocketAddr,
    child: Option<std::process::Child>,
}

impl Broker {
    /// `None`, with a printed reason, where there is no mosquitto.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // Nobody else listens at an address of this test's own.
        let own = crate::house::setup::own_address();
        let free = std::net::TcpListener::bind((own, 0)).unwrap().local_addr().unwrap();
        let store = folder.path().display();
        let config = format!(
            "listener {} {}\nallow_anonymous true\npersistence true\npersistence_location {store}/\n\
             autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\n\
             max_inflight_messages 200\nlog_dest file {store}/log\nuser root\n",
            free.port(),
            free.ip()
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self { folder, address: free, child: None };
        broker.run().then_some(broker)
    }

    fn run(&mut self) -> bool {
        for program in ["mosquitto", "/usr/sbin/mosquitto"] {
            let mut command = Command::new(program);
            command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
            let Ok(child) = command.spawn() else { continue };
            self.child = Some(child);
            wait("mosquitto", || Client::dial(self.address, 4, PATIENCE).ok());
            return true;
        }
        println!("skipped: mosquitto cannot be run; install it");
        false
    }

    /// As when its power is cut.
    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Publishes alarms of a device; all are acknowledged by the broker when this returns.
    fn publish(&self, device: &str, numbers: std::ops::Range<u64>) {
        let mut client = Client::dial(self.address, 4, PATIENCE).unwrap();
        client.send(&mqtt::connect(4, device, None)).unwrap();
        assert_eq!(client.packet().unwrap(), [0x20, 0x02, 0x00, 0x00]);
        for n in numbers {
            client.publish(1, &format!("vendor/{device}/alarm"), &alarm(n)).unwrap();
            assert_eq!(client.puback().unwrap(), (1, 0));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

#[test]
fn a_foreign_broker_that_is_killed_loses_nothing_that_it_had_kept() {
    let Some(mut broker) = Broker::start() else { return };
    let more = format!(
        "[[foreign_broker]]\nname = \"vendor\"\nserver = \"{}\"\nclient_id = \"hansho-test\"\n\
         topics = {{ \"vendor/+/alarm\" = \"alarm\" }}\n",
        broker.address
    );
    let mut house = House::start_new(&Setup { more, ..Setup::default() });
    house.wait_log(0, "A foreign broker is listened to.");
    let held = |house: &House| -> BTreeSet<u64> {
        let ours = reports(house).into_iter().filter(|each| each.source == "mqtt:VENDOR.B-1");
        ours.filter_map(|report| counter(&report)).collect()
    };
    broker.publish("b-1", 0..50);
    wait("what came while both were well", || (held(&house).len() == 50).then_some(()));
    // The core dies under load: the broker sends again what was not acknowledged.
    thread::scope(|scope| {
        scope.spawn(|| broker.publish("b-1", 50..400));
        wait("some of it", || (held(&house).len() > 100).then_some(()));
        assert!(house.kill_core());
    });
    wait("what came around the core's death", || (held(&house).len() == 400).then_some(()));
    // Nobody is there; the broker keeps it, is killed, and comes back with what it had kept.
    assert!(house.stop().success());
    broker.publish("b-1", 400..700);
    let store = broker.folder.path().join("mosquitto.db");
    let kept = || std::fs::metadata(&store).and_then(|found| found.modified()).ok();
    let last = kept();
    broker.publish("b-2", 0..1);
    // It writes its store after each change, a second later at most.
    wait("the broker to keep it", || (kept() > last).then_some(()));
    broker.kill();
    assert!(broker.run());
    house.start();
    wait("what the broker had kept", || (held(&house).len() == 700).then_some(()));
    assert_closes(&house);
    assert!(house.stop().success());
    house.journal("verify");
}
