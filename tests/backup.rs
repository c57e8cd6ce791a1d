//! Backup beside a running house under load, and the way back: state, keys, erasures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use hansho_core::State;
use hansho_journal::{Journal as _, SqliteJournal, SqliteReader, Vault, verify};
use hansho_model::{Event, Idem, Recorded, Reveal as _, Sealed, Seq, SourceId};
use serde_json::{Value, json};

use crate::house::dc09::{self, Link};
use crate::house::setup::{Device, Setup};
use crate::house::{House, PROGRAM, now, text, wait};

const PATIENCE: Duration = Duration::from_secs(20);
/// Home units that go on pressing while the backup is made.
const UNITS: [&str; 4] = ["9001", "9002", "9003", "9004"];
/// Events in the journal whose copy takes long enough to be written beside.
const LONG: u64 = 60_000;

fn hansho(words: &[&str], paths: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(words);
    for (option, path) in paths {
        command.arg(option).arg(path);
    }
    command.output().unwrap()
}

/// Runs it; it must succeed. Gives what it printed.
#[track_caller]
fn done(output: &Output) -> String {
    let (said, failed) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{said}{failed}", output.status);
    said
}

fn back_up(house: &House, out: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (to, keys) = (out.join(name), out.join(format!("{name}-keys")));
    let output =
        hansho(&["backup"], &[("--data", &house.data()), ("--to", &to), ("--keys", &keys)]);
    let said = done(&output);
    assert!(said.contains("every link and every body of the copy is good"), "{said}");
    (to, keys)
}

fn restore(from: &Path, keys: &Path, data: &Path) {
    done(&hansho(&["restore"], &[("--from", from), ("--keys", keys), ("--data", data)]));
}

/// The live journal folded as far as a copy goes.
fn state_at(data: &Path, last: Seq) -> State {
    let mut reader = SqliteReader::open(data).unwrap();
    let mut state = State::default();
    while state.seq() < last {
        let left = usize::try_from(last.get() - state.seq().get()).unwrap();
        for recorded in &reader.read(state.seq(), left.min(4_096)).unwrap() {
            state.evolve(recorded);
        }
    }
    state
}

#[test]
fn a_backup_under_load_is_a_state_that_was_and_goes_on_from_there() {
    let devices = UNITS.iter().map(|account| Device::new(account, &[])).collect();
    let mut house = House::start_new(&Setup::new(devices));
    let out = tempfile::tempdir().unwrap();
    let (stop, pressed) = (AtomicBool::new(false), AtomicU64::new(0));
    let (to, keys) = thread::scope(|scope| {
        for account in UNITS {
            let (address, stop, pressed) = (house.addresses().dc09, &stop, &pressed);
            scope.spawn(move || {
                let mut link = Link::tcp(address, PATIENCE).unwrap();
                let mut sequence = 0;
                while !stop.load(Ordering::Relaxed) {
                    sequence = sequence % 9_999 + 1;
                    let frame = dc09::press(account, sequence, sequence % 900);
                    assert!(link.ask(&frame).unwrap().contains(&dc09::ack(sequence)));
                    pressed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = |least: u64| {
            let from = pressed.load(Ordering::Relaxed);
            wait("alarms", || (pressed.load(Ordering::Relaxed) >= from + least).then_some(()));
        };
        more(200);
        let made = back_up(&house, out.path(), "first");
        more(50);
        let second = back_up(&house, out.path(), "second");
        assert!(last_of(&second.0) > last_of(&made.0), "the house went on meanwhile");
        stop.store(true, Ordering::Relaxed);
        second
    });
    let report = verify(&to).unwrap();
    assert!(report.fault.is_none());
    let copied = state_at(&to, report.head.seq);
    assert_eq!(copied.hash(), state_at(&house.data(), report.head.seq).hash());
    let live = last_of(&house.data());
    assert!(live > report.head.seq, "the copy is older than the house");
    assert!(house.stop().success());
    let new = out.path().join("new");
    restore(&to, &keys, &new);
    house.use_data(&new);
    house.start();
    let names = house.client_of("dispatcher1").state()["signals"].to_string();
    assert!(names.contains("利用者9001の名"), "the keys open what is in the journal");
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    assert!(link.ask(&dc09::press("9001", 1, 901)).unwrap().contains(&dc09::ack(1)));
    assert!(house.stop().success());
    house.journal("verify");
    let again = state_at(&new, report.head.seq);
    assert_eq!(again.hash(), copied.hash(), "the old events are as they were");
    assert!(last_of(&new) > report.head.seq, "the new ones follow");
}

fn last_of(data: &Path) -> Seq {
    SqliteReader::open(data).unwrap().last().unwrap()
}

/// A writer beside a copy does not wait for it, and its log grows by what it writes and no more.
#[test]
fn who_writes_does_not_wait_for_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("backup"));
    let mut journal = SqliteJournal::open(&data).unwrap();
    let event = |seq: u64| Recorded {
        seq: Seq::new(seq),
        at: jiff::Timestamp::from_microsecond(seq.cast_signed()).unwrap(),
        source: SourceId::CORE,
        cause: None,
        idem: Idem::default(),
        event: Event::ClockStepped { back_us: 1 },
    };
    for first in (1..=LONG).step_by(4_000) {
        journal.append(&(first..first + 4_000).map(event).collect::<Vec<_>>()).unwrap();
    }
    let log = data.join("journal.db-wal");
    let before = fs::metadata(&log).unwrap().len();
    let mut next = LONG + 1;
    let mut append = || {
        let begun = now();
        journal.append(&[event(next)]).unwrap();
        next += 1;
        begun.elapsed()
    };
    let mut quiet: Vec<Duration> = (0..500).map(|_each| append()).collect();
    let copying =
        Command::new(PROGRAM).arg("backup").arg("--data").arg(&data).arg("--to").arg(&out).spawn();
    let mut copying = copying.unwrap();
    let mut beside = Vec::new();
    let status = loop {
        beside.push(append());
        if let Some(status) = copying.try_wait().unwrap() {
            break status;
        }
    };
    assert!(status.success());
    let report = verify(&out).unwrap();
    assert!(report.fault.is_none() && report.events >= LONG);
    assert!(beside.len() > 1, "nothing was written beside the copy");
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100].as_secs_f64()
    };
    let after = fs::metadata(&log).unwrap().len();
    println!(
        "append beside a copy: {} of them; p50 {:.2} and p99 {:.2} of the quiet ones; log {before} to {after} bytes",
        beside.len(),
        at(&mut beside, 50) / at(&mut quiet, 50),
        at(&mut beside, 99) / at(&mut quiet, 99),
    );
    // Each event is a page of the log or two, with its header, and the checkpoints come all the same.
    let most = u64::try_from(beside.len() + 500).unwrap() * 3 * 4_120;
    assert!(after <= before + most, "{before} {after}");
}

/// Keys of last week come back with the disk; who was erased since stays erased.
#[test]
fn an_erasure_that_the_journal_knows_is_carried_out_again_after_a_restore() {
    let device = Device::new("9001", &[]);
    let mut house = House::start_new(&Setup::new(vec![device.clone(), Device::new("9002", &[])]));
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    assert!(link.ask(&dc09::press("9001", 1, 1)).unwrap().contains(&dc09::ack(1)));
    let out = tempfile::tempdir().unwrap();
    let admin = house.client_of("admin1");
    let state = admin.state();
    let of_device = |state: &Value| {
        let signals = state["signals"].as_array().unwrap().clone();
        signals.into_iter().find(|signal| signal["device"] == "dc09:9001").unwrap()
    };
    let person = of_device(&state)["subscriber"]["person"].clone();
    let last_week = out.path().join("vault.db");
    hansho_journal::copy_vault(&house.data(), &last_week).unwrap();
    assert_eq!(admin.command("ErasePerson", &json!({"person": person})).unwrap().status, 200);
    wait("the key's destruction", || (admin.state()["mail"]["owed"] == 0).then_some(()));
    let (to, keys) = back_up(&house, out.path(), "after");
    assert!(house.stop().success());
    let new = out.path().join("new");
    restore(&to, &keys, &new);
    // Somebody puts an older vault in its place by hand.
    fs::copy(&last_week, new.join("vault.db")).unwrap();
    let sealed = sealed_name(&new, "subscriber-9001");
    let other = sealed_name(&new, "subscriber-9002");
    assert!(Vault::open(&new).unwrap().reveal(&sealed).is_some(), "the old key is back");
    house.use_data(&new);
    house.start();
    house.wait_log(0, "Keys of erased people had come back and are destroyed again.");
    assert!(!house.client_of("admin1").state().to_string().contains(&device.subscriber));
    assert!(house.stop().success());
    let vault = Vault::open(&new).unwrap();
    assert_eq!(vault.reveal(&sealed), None, "destroyed once more");
    assert!(vault.reveal(&other).is_some(), "nobody else's");
}

/// An older journal beside newer keys: the erasure is not in the journal, and the key is gone.
#[test]
fn a_house_starts_with_a_journal_from_before_an_erasure() {
    let mut house =
        House::start_new(&Setup::new(vec![Device::new("9001", &["h9001@docomo.example.jp"])]));
    let out = tempfile::tempdir().unwrap();
    let (to, _keys) = back_up(&house, out.path(), "before");
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    assert!(link.ask(&dc09::press("9001", 1, 1)).unwrap().contains(&dc09::ack(1)));
    let admin = house.client_of("admin1");
    let person = admin.state()["signals"][0]["subscriber"]["person"].clone();
    assert_eq!(admin.command("ErasePerson", &json!({"person": person})).unwrap().status, 200);
    wait("the key's destruction", || (admin.state()["mail"]["owed"] == 0).then_some(()));
    let (_to, keys) = back_up(&house, out.path(), "after");
    assert!(house.stop().success());
    let new = out.path().join("new");
    restore(&to, &keys, &new);
    // The register has changed meanwhile, so that the person would be entered anew.
    let people = house.config().join("people.toml");
    let changed = fs::read_to_string(&people).unwrap().replace("利用者9001の名", "改名9001の名");
    fs::write(&people, changed).unwrap();
    house.use_data(&new);
    house.start();
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    assert!(link.ask(&dc09::press("9001", 2, 1)).unwrap().contains(&dc09::ack(2)));
    assert!(!house.client_of("admin1").state().to_string().contains("9001の名"));
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one kind has it")]
fn sealed_name(data: &Path, key: &str) -> Sealed {
    let mut reader = SqliteReader::open(data).unwrap();
    let events = reader.read(Seq::ZERO, 100_000).unwrap();
    let name = |recorded: Recorded| match recorded.event {
        Event::PersonEntered { entry, .. } if entry.key == key => Some(entry.name),
        _ => None,
    };
    events.into_iter().find_map(name).unwrap()
}
