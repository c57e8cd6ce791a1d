//! Bad input of every kind at the real program: bytes at the door, configurations, data folders.
//!
//! Whatever comes in: no panic, no stop, a refusal that is counted or explained, and a neighbour
//! who is answered meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hansho_simulators::devices::dc09::{Answer, Content, Key, Unit, read_answer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::house::dc09::{self, Link};
use crate::house::setup::{Device, Setup};
use crate::house::{Dice, House, seed, serve_to_end, text, wait};

const PATIENCE: Duration = Duration::from_secs(20);
/// Nothing should come; a busy machine must not make that slow.
const SILENCE: Duration = Duration::from_millis(150);
const KEY: [u8; 16] = *b"AAAAAAAAAAAAAAAA";

fn setup() -> Setup {
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    Setup::new(vec![
        Device::new("9001", &[]),
        Device::new("9002", &[]),
        Device::new("9003", &[]).with_key(&key),
    ])
}

/// A house with a device that presses between all that goes wrong around it.
struct Street {
    house: House,
    neighbour: Link,
    sequence: u16,
    core: rustix::process::Pid,
}

impl Street {
    fn new(setup: &Setup) -> Self {
        let house = House::start_new(setup);
        let neighbour = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
        let core = house.core().unwrap();
        Self { house, neighbour, sequence: 0, core }
    }

    fn door(&self) -> SocketAddr {
        self.house.addresses().dc09
    }

    fn tcp(&self, patience: Duration) -> Link {
        Link::tcp(self.door(), patience).unwrap()
    }

    /// The neighbour is answered on the line that it has had all the time.
    fn neighbour_is_answered(&mut self, after: &str) {
        self.sequence += 1;
        let answer = self.neighbour.ask(&dc09::press("9001", self.sequence, 3));
        let answer = answer.unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert!(answer.contains(&dc09::ack(self.sequence)), "after {after}: {answer}");
    }

    /// How often bytes were refused for this fault.
    fn refused(&self, fault: &str) -> u64 {
        let metrics = text(&self.house.client().get("/metrics").unwrap().body);
        let name = format!("hansho_intake_refused_total{{fault=\"{fault}\"}}");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }

    fn wait_refused(&self, fault: &str, count: u64) {
        wait(fault, || (self.refused(fault) >= count).then_some(()));
    }

    /// The same core as at the start, no panic, and books that balance.
    fn close(mut self) {
        self.neighbour_is_answered("all");
        assert_eq!(self.house.core(), Some(self.core), "the core was restarted");
        let books = |state: &Value| {
            let books = state["accounting"].as_array().unwrap().clone();
            books.into_iter().find(|book| book["door"] == "dc09").unwrap()
        };
        let desk = self.house.client_of("viewer1");
        let settled = wait("the books to settle", || {
            let book = books(&desk.state());
            (book["in_flight"] == 0).then_some(book)
        });
        let count = |name: &str| settled[name].as_u64().unwrap();
        assert_eq!(count("received"), count("durable") + count("refused") + count("shed"));
        assert!(count("refused") > 0 || count("durable") > 0, "{settled}");
        assert!(self.house.stop().success());
        for line in self.house.log() {
            assert!(!line.contains("panicked"), "{line}");
        }
        self.house.journal("verify");
    }
}

#[test]
fn rubbish_is_refused_and_counted_and_the_neighbours_are_answered() {
    let seed = seed();
    println!("HANSHO_SEED={seed}");
    let mut dice = Dice(seed);
    let mut street = Street::new(&setup());
    for _ in 0..60 {
        let count = usize::try_from(dice.below(2_000) + 1).unwrap();
        let bytes = dice.bytes(count);
        street.tcp(PATIENCE).send(&bytes).unwrap();
        Link::udp(street.door(), PATIENCE).unwrap().send(&bytes).unwrap();
    }
    street.neighbour_is_answered("random bytes");
    street.wait_refused("bad_frame", 60);

    // A frame that never ends, and a sender who never says anything that is a frame: both are
    // counted, the second is cut off.
    let mut endless = b"\n5F3F0FFF\"ADM-CID\"".to_vec();
    endless.resize(6_000, b'A');
    let mut link = street.tcp(SILENCE);
    link.send(&endless).unwrap();
    street.wait_refused("too_long", 1);
    let mut link = street.tcp(PATIENCE);
    let sent = (0..40).try_for_each(|_| link.send(&[b'x'; 4_000]));
    assert!(sent.is_err() || link.rest().is_empty(), "64 KiB of rubbish end the connection");
    let huge = vec![b'y'; 60_000];
    Link::udp(street.door(), PATIENCE).unwrap().send(&huge).unwrap();
    street.neighbour_is_answered("over-long bytes");

    // Wrong CRC: silence, and the same connection goes on.
    let mut wrong = dc09::press("9002", 1, 3);
    wrong[2] = if wrong[2] == b'0' { b'1' } else { b'0' };
    let before = street.refused("bad_crc");
    for mut link in [street.tcp(PATIENCE), Link::udp(street.door(), PATIENCE).unwrap()] {
        link.send(&wrong).unwrap();
        let answer = link.ask(&dc09::press("9002", 2, 3)).unwrap();
        assert!(answer.contains(&dc09::ack(2)), "the wrong one has no answer: {answer}");
    }
    street.wait_refused("bad_crc", before + 2);
    // Wrong length.
    let body = "\"ADM-CID\"0003L0#9002[#9002|1101 01 003]";
    let short = format!("\n{:04X}0010{body}\r", dc09::crc16(body.as_bytes()));
    let mut link = street.tcp(SILENCE);
    link.send(short.as_bytes()).unwrap();
    assert_eq!(text(&link.rest()), "");
    street.wait_refused("bad_length", 1);
    street.close();
}

#[test]
fn a_frame_may_come_in_any_pieces_and_several_in_one() {
    let mut street = Street::new(&setup());
    let mut sequence = 0;
    let length = dc09::press("9002", 1, 3).len();
    for at in 1..length {
        sequence += 1;
        let frame = dc09::press("9002", sequence, 3);
        let mut link = street.tcp(PATIENCE);
        link.send(&frame[..at]).unwrap();
        street.neighbour_is_answered("half a frame");
        link.send(&frame[at..]).unwrap();
        let answer = link.answer().unwrap();
        assert!(answer.contains(&dc09::ack(sequence)), "cut at {at}: {answer}");
    }
    // Cut for good: nothing was said, so nothing is acknowledged.
    for at in [1, 9, 20, length - 1] {
        let mut link = street.tcp(PATIENCE);
        link.send(&dc09::press("9002", 900, 3)[..at]).unwrap();
        let Link::Tcp(stream) = &link else { unreachable!() };
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(text(&link.rest()), "", "cut at {at}");
    }
    // Two in one read, filling between them, and one with rubbish before it.
    let mut two = dc09::press("9002", 901, 3);
    two.extend_from_slice(b"\r\0\r");
    two.extend(dc09::press("9002", 902, 4));
    let mut link = street.tcp(PATIENCE);
    link.send(&two).unwrap();
    // Both are durable at once; which of the answers is first does not matter.
    let answers = link.answer().unwrap() + &link.answer().unwrap();
    assert!(answers.contains(&dc09::ack(901)) && answers.contains(&dc09::ack(902)), "{answers}");
    let mut late = b"rubbish".to_vec();
    late.extend(dc09::press("9002", 903, 3));
    assert!(link.ask(&late).unwrap().contains(&dc09::ack(903)));
    // A datagram holds one frame: two are none.
    let mut datagram = Link::udp(street.door(), SILENCE).unwrap();
    datagram.send(&two).unwrap();
    assert_eq!(text(&datagram.rest()), "");
    street.close();
}

#[test]
fn strangers_and_wrong_clocks_are_answered_as_the_rules_say() {
    let mut street = Street::new(&setup());
    // A stranger is acknowledged and shown where the house says "show".
    let mut link = street.tcp(PATIENCE);
    assert!(link.ask(&dc09::press("9777", 1, 3)).unwrap().contains(&dc09::ack(1)));
    let state = street.house.client_of("viewer1").state();
    let devices = state["devices"].as_array().unwrap();
    let stranger = devices.iter().find(|device| device["id"] == "dc09:9777").unwrap();
    assert_eq!(stranger["registered"], false);
    // A clock years off: no matter in the clear, a NAK with our time where it is encrypted.
    let off = "2019-02-03T04:05:06Z".parse().unwrap();
    let plain = Unit::new("9002", None).frame(7, &Content::press(3), &[], off);
    assert!(link.ask(&plain).unwrap().contains(&dc09::ack(7)));
    let unit = Unit::new("9003", Some(Key::new(&KEY).unwrap()));
    for way in [Link::tcp, Link::udp] {
        let mut link = way(street.door(), PATIENCE).unwrap();
        let answer = link.ask(&unit.frame(1, &Content::press(3), &[], off)).unwrap();
        let told = read_answer(answer.as_bytes(), "9003", 1);
        let Some(Answer::Nak { at: Some(at) }) = told else { panic!("{answer}") };
        let answer = link.ask(&unit.frame(2, &Content::press(3), &[], at)).unwrap();
        assert_eq!(read_answer(answer.as_bytes(), "9003", 2), Some(Answer::Ack), "{answer}");
        street.neighbour_is_answered("a wrong clock");
    }
    // In the clear from who must encrypt, and with a wrong key.
    let answer = link.ask(&dc09::press("9003", 3, 3)).unwrap();
    assert!(answer.contains("\"DUH\"0003"), "{answer}");
    let wrong = Unit::new("9003", Some(Key::new(b"BBBBBBBBBBBBBBBB").unwrap()));
    let answer = link.ask(&wrong.frame(4, &Content::press(3), &[], off)).unwrap();
    assert!(answer.contains("\"DUH\"0004"), "{answer}");
    // Right frames that say nothing we can use.
    for body in ["\"ADM-CID\"0005L0#9002[#9002|xyz]", "\"AAA-BBB\"0006L0#9002[]"] {
        let answer = link.ask(&dc09::frame(body)).unwrap();
        assert!(answer.contains("\"DUH\""), "{body}: {answer}");
    }
    street.close();

    let mut street = Street::new(&Setup { refuse_unknown: true, ..setup() });
    let mut link = street.tcp(PATIENCE);
    let answer = link.ask(&dc09::press("9777", 1, 3)).unwrap();
    assert!(answer.contains("\"DUH\"0001"), "{answer}");
    street.neighbour_is_answered("a stranger");
    street.close();
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_else_out() {
    let many = Rlimit { current: Some(4_096), maximum: getrlimit(Resource::Nofile).maximum };
    let few = getrlimit(Resource::Nofile).current.is_some_and(|current| current < 4_096);
    if few && setrlimit(Resource::Nofile, many).is_err() {
        println!("skipped: this test needs 4,096 open files; raise `ulimit -n`");
        return;
    }
    let mut street = Street::new(&setup());
    let half = &dc09::press("9002", 1, 3)[..15];
    let mut open = Vec::new();
    for count in 0..1_000 {
        let mut stream = TcpStream::connect(street.door()).unwrap();
        stream.write_all(half).unwrap();
        open.push(stream);
        if count % 100 == 99 {
            street.neighbour_is_answered("many half-open connections");
        }
    }
    let mut late = street.tcp(PATIENCE);
    assert!(late.ask(&dc09::press("9002", 2, 3)).unwrap().contains(&dc09::ack(2)));
    let mut datagram = Link::udp(street.door(), PATIENCE).unwrap();
    assert!(datagram.ask(&dc09::press("9002", 3, 3)).unwrap().contains(&dc09::ack(3)));
    assert_eq!(street.house.client_of("viewer1").state()["mode"], "demo");
    // They were all really open: the last of them can still finish its frame.
    let last = open.last_mut().unwrap();
    last.write_all(&dc09::press("9002", 1, 3)[15..]).unwrap();
    let mut last = Link::Tcp(last.try_clone().unwrap());
    assert!(last.answer().unwrap().contains(&dc09::ack(1)));
    drop(open);
    street.close();
}

#[test]
fn a_wrong_configuration_is_told_with_file_line_and_remedy() {
    for (file, from, to, says) in [
        ("hansho.toml", "mode = \"demo\"", "mode = \"play\"", ["hansho.toml:1:", "\"real\""]),
        ("hansho.toml", "dc09 = \"127.", "dc09 = \"nowhere.", ["hansho.toml:6:", "dc09"]),
        ("hansho.toml", "[answers]", "[answers", ["hansho.toml:16:", "answers"]),
        ("devices.toml", "subscriber-9002", "subscriber-9999", ["devices.toml:2:", "9999"]),
        ("people.toml", "role = \"viewer\"", "role = \"god\"", ["people.toml:", "viewer"]),
    ] {
        let house = House::new(&setup());
        let path = house.config().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} holds {from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let (code, said) = serve_to_end(&house.config(), &house.data());
        assert_eq!(code, Some(2), "{said}");
        for words in says {
            assert!(said.contains(words), "{words} is not in:\n{said}");
        }
        assert!(!house.data().exists(), "nothing is made for a configuration that is wrong");
        let mut check = Command::new(crate::house::PROGRAM);
        let check = check.arg("check-config").arg(house.config()).output().unwrap();
        assert_eq!(check.status.code(), Some(2));
        assert!(crate::house::text(&check.stderr).contains(says[0]));
    }
    let nothing = tempfile::tempdir().unwrap();
    let (code, said) = serve_to_end(nothing.path(), &nothing.path().join("data"));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("hansho.toml"), "{said}");
}

/// A house that has lived: some events, stopped.
fn lived() -> House {
    let mut house = House::start_new(&setup());
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    for sequence in 1..=40 {
        assert!(link.ask(&dc09::press("9001", sequence, 3)).unwrap().contains("\"ACK\""));
    }
    assert!(house.stop().success());
    house
}

/// What stands in a folder; SQLite's shared memory is no data.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with("-shm"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// The house must refuse this folder at once, say so, and leave it as it is.
fn refuses(house: &House, words: &[&str]) {
    let before = contents(&house.data());
    let (code, said) = serve_to_end(&house.config(), &house.data());
    assert_eq!(code, Some(2), "{said}");
    for words in words {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    let after = contents(&house.data());
    for (path, was) in &before {
        assert!(after.get(path) == Some(was), "{} was changed", path.display());
    }
}

/// Runs SQL on a database with Python's own SQLite; `false` where there is none.
fn sql(database: &Path, statement: &str) -> bool {
    let script = "import sqlite3, sys\n\
                  c = sqlite3.connect(sys.argv[1])\n\
                  c.execute(sys.argv[2])\nc.commit()\nc.close()";
    let ran = Command::new("python3").args(["-c", script]).arg(database).arg(statement).status();
    ran.is_ok_and(|status| status.success())
}

#[test]
fn a_file_in_place_of_the_data_folder_stays_as_it_is() {
    let house = House::new(&setup());
    fs::write(house.data(), "somebody's letter").unwrap();
    let (code, said) = serve_to_end(&house.config(), &house.data());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&house.data().display().to_string()), "{said}");
    assert_eq!(fs::read_to_string(house.data()).unwrap(), "somebody's letter");
}

/// An older copy that was put back, or a log that lost its end: what was acknowledged since is gone,
/// and nobody may go on as if nothing had been.
#[test]
fn a_journal_that_lost_its_end_is_noticed() {
    let mut house = lived();
    let journal = |name: &str| house.data().join(name);
    let files = ["journal.db", "journal.db-wal"];
    let kept: Vec<Vec<u8>> = files.iter().map(|name| fs::read(journal(name)).unwrap()).collect();
    house.start();
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    assert!(link.ask(&dc09::press("9001", 77, 3)).unwrap().contains(&dc09::ack(77)));
    assert!(house.stop().success());
    for (name, bytes) in files.iter().zip(&kept) {
        fs::write(house.data().join(name), bytes).unwrap();
    }
    for _ in 0..2 {
        let (code, said) = serve_to_end(&house.config(), &house.data());
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("lost its end") && said.contains("Put back the newest copy"),
            "{said}"
        );
    }
}

#[test]
fn a_journal_of_a_newer_version_is_not_touched() {
    let house = lived();
    if !sql(&house.data().join("journal.db"), "PRAGMA user_version = 999") {
        println!("skipped: no python3 with sqlite3 to make such a journal");
        return;
    }
    refuses(&house, &["newer version (999", "update hansho"]);
}

#[test]
fn a_damaged_journal_is_kept_and_refused() {
    let house = lived();
    let journal = house.data().join("journal.db");
    if !sql(&journal, "PRAGMA wal_checkpoint(TRUNCATE)") {
        println!("skipped: no python3 with sqlite3 to move the log into the journal");
        return;
    }
    let whole = fs::read(&journal).unwrap();
    let pages = whole.len() / 4_096;
    assert!(pages > 3, "{pages} pages");
    // A page of rows that is no page any more; and one bit of one event.
    let mut torn = whole.clone();
    torn[(pages - 2) * 4_096..(pages - 1) * 4_096].fill(0xa5);
    fs::write(&journal, &torn).unwrap();
    // With a snapshot a start reads only what follows it; without one it reads all.
    fs::remove_file(house.data().join("snapshots.db")).unwrap();
    refuses(&house, &["journal.db", "restore"]);
    let output = crate::house::journal("verify", &house.data());
    assert_eq!(output.status.code(), Some(1));
    let mut bit = whole.clone();
    let at = bit.windows(9).rposition(|window| window == b"9001|0007").unwrap();
    bit[at + 8] ^= 1;
    fs::write(&journal, &bit).unwrap();
    let output = crate::house::journal("verify", &house.data());
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("is missing or not what was written"), "{said}");
    // No head: a log that belongs to nothing.
    fs::write(&journal, b"").unwrap();
    fs::write(house.data().join("journal.db-wal"), [7; 100]).unwrap();
    refuses(&house, &["journal.db", "restore"]);
}

#[test]
fn another_program_s_files_are_left_alone() {
    let house = House::new(&setup());
    fs::create_dir(house.data()).unwrap();
    fs::write(house.data().join("journal.db"), vec![b'?'; 9_000]).unwrap();
    refuses(&house, &["journal.db", "restore a copy, or give another data folder"]);
}

#[test]
fn a_vault_that_is_missing_is_not_made_anew() {
    let house = lived();
    let proof = house.journal("verify");
    fs::rename(house.data().join("vault.db"), house.config().join("vault.db")).unwrap();
    let (code, said) = serve_to_end(&house.config(), &house.data());
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("vault.db is missing") && said.contains("restore it"), "{said}");
    assert!(!house.data().join("vault.db").exists());
    // The journal was opened first and is sound; its log may have been moved into it.
    assert_eq!(house.journal("verify"), proof);
}

#[test]
fn a_second_house_cannot_have_the_same_folder() {
    let mut house = House::start_new(&setup());
    let other = House::new(&setup());
    let mut second = House::new(&setup());
    drop(other);
    // It waits for the first to go, as a core does whose predecessor is just ending.
    second.use_data(&house.data());
    second.launch();
    second.wait_log(0, "is held by another hansho");
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    assert!(link.ask(&dc09::press("9001", 1, 3)).unwrap().contains(&dc09::ack(1)));
    assert!(house.stop().success());
    second.wait_ready();
    assert!(second.stop().success());
    second.journal("verify");
}

/// A file system of its own, where this test may mount one.
struct Mount(PathBuf);

impl Mount {
    fn new(folder: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "hansho"])
            .arg(folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            Ok(output) => {
                println!("skipped: a tmpfs cannot be mounted: {}", text(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: mount cannot be run ({error})");
                None
            }
        }
    }

    fn again(&self, options: &str) {
        let options = format!("remount,{options}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: in a test that failed the house still has files open there.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_read_only_folder_is_a_clear_stop() {
    let house = House::new(&setup());
    fs::create_dir(house.data()).unwrap();
    fs::set_permissions(house.data(), fs::Permissions::from_mode(0o500)).unwrap();
    let probe = fs::write(house.data().join("probe"), "");
    if probe.is_err() {
        refuses(&house, &["write"]);
        return;
    }
    // Root writes anywhere, but not where nobody can.
    fs::remove_file(house.data().join("probe")).unwrap();
    let Some(mount) = Mount::new(&house.data(), "size=16m") else { return };
    mount.again("ro");
    refuses(&house, &[house.data().display().to_string().as_str()]);
    assert!(contents(&house.data()).is_empty());
}

#[test]
fn a_full_disk_acknowledges_nothing_and_loses_nothing() {
    let mut house = House::new(&setup());
    let Some(mount) = Mount::new(&house.data(), "size=16m") else { return };
    let filler = house.data().join("filler");
    house.start();
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    // Messages are numbered from 1 to 9,999; the next round comes from another sensor.
    let press = |number: u16| {
        let (sequence, zone) = (number % 9_999 + 1, 3 + number / 9_999);
        (dc09::press("9001", sequence, zone), dc09::ack(sequence))
    };
    assert!(link.ask(&press(0).0).unwrap().contains("\"ACK\""));
    let said = house.log().len();
    fill(&filler);
    // The journal's own room takes some thousand events more; then a commit fails.
    let mut link = Link::tcp(house.addresses().dc09, Duration::from_secs(2)).unwrap();
    let mut held = 0;
    let last = (1..60_000).find(|number| {
        let (frame, ack) = press(*number);
        let answer = link.ask(&frame);
        if let Ok(answer) = &answer {
            assert!(answer.contains(&ack), "{number}: {answer}");
            held += 1;
            fill(&filler);
        }
        answer.is_err()
    });
    let ended = house.wait_log(said, "The core ended; it is started again.");
    assert!(ended.contains("exit status"), "{ended}");
    let mended = house.log()[said..].iter().any(|line| line.contains("no room left on the disk"));
    assert!(mended, "{:?}", &house.log()[said..]);
    // Somebody makes room: the house comes back by itself and the device's repeat is taken.
    fs::remove_file(&filler).unwrap();
    let (frame, _ack) = press(last.expect("a commit fails"));
    wait("the repeat to be acknowledged", || {
        let link = Link::tcp(house.addresses().dc09, Duration::from_secs(2));
        link.and_then(|mut link| link.ask(&frame)).ok().filter(|answer| answer.contains("ACK"))
    });
    assert!(house.stop().success());
    house.journal("verify");
    let export = house.journal("export");
    assert!(export.matches("\"ReportReceived\"").count() > held, "each one is there");
    // Before its folder goes.
    drop(mount);
}

/// Takes all room that is left.
fn fill(file: &Path) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![0_u8; size]).is_ok() {}
    }
}
