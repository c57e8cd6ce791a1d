//! Programs of others at our doors: a DC-09 transmitter, a receiver for our simulator, a driver for
//! our satellite modem, and telephone modems for our driver.
//!
//! They come from PyPI into a virtual environment: `target/venv`, which `cargo dev test` makes, or
//! one that this test makes beside its own build. Without a network and without either, the tests
//! say so and are skipped. Neither peer is an oracle: each has faults of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use hansho_intake::serial::{self, SbdModem, SbdOrder, SbdWord, SerialLine};
use hansho_model::Private;
use hansho_protocols::sbd::{self, Event, Failure, Outcome, Outgoing, Sbd, State};
use hansho_simulators::devices::dc09::{Content, Key};
use hansho_simulators::devices::sbd::{Modem, Sky};
use hansho_simulators::pendant::{Link, Pendant};
use hansho_simulators::satphone::Satphone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::house::setup::{Device, Setup};
use crate::house::{House, text, wait};

const KEY: &str = "AAAAAAAAAAAAAAAA";
/// Number of a message that waits for a modem.
const MESSAGE: u64 = 7;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Python that has the peers; `None`, with a printed reason, where there is none to be had.
pub(crate) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(find_python) {
        Ok(python) => Some(python),
        Err(reason) => {
            println!("skipped: {reason}");
            None
        }
    }
}

fn find_python() -> Result<PathBuf, String> {
    let made = root().join("target/venv/bin/python");
    if has_peers(&made) {
        return Ok(made);
    }
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv");
    let python = own.join("bin/python");
    if has_peers(&python) {
        return Ok(python);
    }
    let run = |command: &mut Command| match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("no Python peers: {}", text(&output.stderr).trim())),
        Err(error) => Err(format!("no Python peers: {error}")),
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(&own))?;
    for (list, deps) in [("requirements.txt", None), ("alone.txt", Some("--no-deps"))] {
        let mut pip = Command::new(own.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--retries", "1"]);
        pip.args(["--timeout", "10"]).args(deps);
        run(pip.arg("-r").arg(root().join("tests/peers").join(list)))?;
    }
    Ok(python)
}

fn has_peers(python: &Path) -> bool {
    has(python, "my_dc09_spt.msg.dc09_msg, pysiaalarm, aiosmtpd, paho.mqtt, lxml.etree, feedparser")
}

fn has(python: &Path, modules: &str) -> bool {
    let ask = format!("import {modules}");
    Command::new(python).args(["-c", &ask]).output().is_ok_and(|output| output.status.success())
}

pub(crate) fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(root().join("tests/peers").join(name));
    command
}

#[test]
fn a_transmitter_of_others_is_content_with_our_answers() {
    let Some(python) = python() else { return };
    let long = KEY.repeat(2);
    let ways = [("tcp", None), ("udp", None), ("tcp", Some(KEY)), ("udp", Some(long.as_str()))];
    for (way, secret) in ways {
        let device = Device::new("4901", &[]);
        let hex = |key: &str| key.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let device = match secret {
            Some(key) => device.with_key(&hex(key)),
            None => device,
        };
        let mut house = House::start_new(&Setup::new(vec![device]));
        let door = house.addresses().dc09;
        let mut peer = script(python, "dc09_transmit.py");
        peer.args([&door.ip().to_string(), &door.port().to_string(), way, "4901"]);
        let output = peer.args(secret).output().unwrap();
        let (said, failed) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{way}, key {secret:?}:\n{said}{failed}");
        assert_eq!(said.matches("\"answer\": \"ACK\"").count(), 5, "{way}, {secret:?}: {said}");
        // The console follows the journal by a moment.
        let viewer = house.client_of("viewer1");
        let state = wait("the last event", || {
            let state = viewer.state();
            state["devices"][0]["faults"][0].is_object().then_some(state)
        });
        let signal = &state["signals"][0];
        assert_eq!(signal["device"], "dc09:4901", "{state}");
        let alarms: Vec<&str> = signal["alarms"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|a| a["kind"].as_str())
            .collect();
        assert!(alarms.contains(&"help") && alarms.contains(&"fire"), "{alarms:?}");
        assert!(signal["restored_at"].is_string(), "the restore is shown and closes nothing");
        assert_eq!(signal["state"], "ringing");
        let device = &state["devices"][0];
        assert_eq!(device["faults"][0]["kind"], "battery", "{device}");
        assert!(house.stop().success());
    }
}

/// The receiver of others, listening.
struct Receiver {
    child: Child,
    said: BufReader<ChildStdout>,
    port: u16,
}

impl Receiver {
    fn start(python: &Path, way: &str, secret: Option<&str>) -> Self {
        let mut command = script(python, "dc09_receive.py");
        command.args([way, "4901"]).args(secret).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut receiver = Self { child, said, port: 0 };
        receiver.port = receiver.line()["port"].as_u64().unwrap().try_into().unwrap();
        receiver
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_receiver_of_others_understands_our_simulator() {
    let Some(python) = python() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (way, link, secret) in [
        ("tcp", Link::Tcp, None),
        ("udp", Link::Udp, None),
        ("tcp", Link::Tcp, Some(KEY)),
        ("udp", Link::Udp, Some(KEY)),
    ] {
        let mut receiver = Receiver::start(python, way, secret);
        let key = secret.map(|key| Key::new(key.as_bytes()).unwrap());
        let address = ([127, 0, 0, 1], receiver.port).into();
        let mut pendant = Pendant::new(address, link, "4901", key);
        // Its answer is unreadable without a receiver number in the frame.
        pendant.unit.receiver = Some("1".to_owned());
        let fire = Content::ContactId { qualifier: 1, code: 110, partition: 1, zone: 4 };
        for (content, sequence, code, zone) in
            [(Content::press(3), "0001", "101", "003"), (fire, "0002", "110", "004")]
        {
            let delivered = runtime.block_on(pendant.send(&content));
            let delivered = delivered.unwrap_or_else(|error| panic!("{way} {secret:?}: {error}"));
            assert_eq!(delivered.tries, 1, "{way} {secret:?}");
            let event = receiver.line();
            let read = ["account", "sequence", "event_qualifier", "event_type", "partition", "ri"]
                .map(|name| event[name].as_str().unwrap_or_default());
            assert_eq!(read, ["4901", sequence, "1", code, "01", zone], "{way} {secret:?}");
        }
    }
}

#[test]
fn a_driver_of_others_is_content_with_our_modem() {
    let Some(python) = python() else { return };
    if !has(python, "adafruit_rockblock, serial") {
        println!("skipped: the Python peers are older than tests/peers/alone.txt");
        return;
    }
    // That driver cannot read messages of 10 bytes or 13: it takes their length for the end of a line.
    let sky = Sky {
        session: SignedDuration::from_millis(50),
        fates: [18].into(),
        queue: [b"01234567890".to_vec(), "川前支所".as_bytes().to_vec()].into(),
        ..Sky::default()
    };
    let port = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("modem-{}", std::process::id()));
    let satphone = Satphone::plug_in(Modem::new(sky), port).unwrap();
    let output = script(python, "sbd_drive.py").arg(satphone.port()).output().unwrap();
    let (said, failed) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{failed}");
    let said: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wanted = json!([
        {"model": "IRIDIUM 9600 Family SBD Transceiver", "serial": "300234010753370", "bars": 5,
         "status": [0, 0, 0, -1, 0, 0]},
        {"session": [18, 0, 2, 0, 0, 0]},
        {"session": [0, 0, 1, 1, 11, 1]},
        {"came": "3031323334353637383930", "status": [0, 1, 1, 1, 0, 1]},
        {"session": [0, 1, 1, 2, 12, 0]},
        {"text": "川前支所", "status": [0, 2, 1, 2, 0, 0]},
        {"status": [0, 2, 0, -1, 0, 0]},
    ]);
    assert_eq!(json!(said), wanted);
    let sent = [b"\r\nOK\r\n\x11\x13\x1a\x1b\x00\xff".to_vec(), b"help".to_vec()];
    assert_eq!(satphone.modem().sent, sent);
}

/// Unpacked source packages of others; `None`, with a printed reason, where they are not to be had.
fn sources(python: &Path) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sources");
    let unpacked = folder.join("python-gsmmodem-new-0.13.0");
    if unpacked.join("test/fakemodems.py").is_file() {
        return Some(unpacked);
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--no-binary", ":all:", "--retries", "1", "--timeout", "10"]);
    pip.arg("--dest").arg(&folder).arg("-r").arg(root().join("tests/peers/sources.txt"));
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(unpacked.with_extension("0.tar.gz")).arg("-C").arg(&folder);
    for command in [&mut pip, &mut tar] {
        let output = command.stdin(Stdio::null()).output();
        if !output.is_ok_and(|output| output.status.success()) {
            println!("skipped: no source packages of tests/peers/sources.txt");
            return None;
        }
    }
    Some(unpacked)
}

/// A telephone modem of others on a line.
struct Telephone {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    link: PathBuf,
}

impl Telephone {
    fn plug_in(python: &Path, sources: &Path, modem: &str, ways: &[&str]) -> Self {
        let name = format!("telephone-{}-{modem}-{}", std::process::id(), ways.concat());
        let link = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::remove_file(&link).ok();
        let mut command = script(python, "gsm_modem.py");
        command.arg(sources).arg(modem).arg(&link).args(ways);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let writes = Arc::clone(&told);
        thread::spawn(move || {
            said.lines().map_while(Result::ok).for_each(|line| writes.lock().unwrap().push(line));
        });
        wait("the telephone modem", || link.exists().then_some(()));
        Self { child, told, link }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Drop for Telephone {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_file(&self.link).ok();
    }
}

/// What our driver says of a modem that knows nothing of satellites, with a message waiting for it all
/// the time, and then of its own end.
fn drive_telephone(telephone: &Telephone) -> Vec<SbdWord> {
    let reopen_after = Duration::from_millis(50);
    let line = SerialLine { reopen_after, ..SerialLine::new(telephone.link.clone()) };
    let driver = SbdModem::new(Sbd::new(sbd::Setup::new(1)));
    let (orders, mut words, thread) = serial::drive(line, driver, clock).unwrap().into_parts();
    let bytes = Private(b"nobody has this".to_vec());
    orders.give(SbdOrder::Send(Outgoing { id: MESSAGE, bytes, until: None })).unwrap();
    // Seven times set up: it has given in twice by then, and tried again.
    let tries = || telephone.told().iter().filter(|command| *command == "AT+CGSN").count();
    wait("another try", || (tries() >= 7).then_some(()));
    drop(orders);
    let said = std::iter::from_fn(|| words.blocking_recv()).collect();
    thread.join().unwrap();
    said
}

#[expect(clippy::disallowed_methods, reason = "the shell's clock is not to be had from here")]
fn clock() -> Timestamp {
    Timestamp::now()
}

#[test]
fn a_telephone_modem_of_others_is_no_satellite_modem_and_has_sent_nothing() {
    let Some(python) = python() else { return };
    let Some(sources) = sources(python) else { return };
    // What each does besides: the line echoes, what is unknown is refused, calls cut in.
    let modems: [(&str, &[&str]); 7] = [
        ("GenericTestModem", &["echo"]),
        ("WavecomMultiband900E1800", &["echo", "unasked"]),
        ("HuaweiK3715", &["unasked"]),
        ("HuaweiE1752", &["errors", "unasked"]),
        ("QualcommM6280", &["echo", "errors"]),
        ("ZteK3565Z", &[]),
        ("NokiaN79", &["echo", "errors", "unasked"]),
    ];
    let tried = modems.map(|(modem, ways)| {
        let sources = sources.clone();
        thread::spawn(move || {
            let telephone = Telephone::plug_in(python, &sources, modem, ways);
            (modem, drive_telephone(&telephone), telephone.told())
        })
    });
    for (modem, said, told) in tried.map(|thread| thread.join().unwrap()) {
        let stopped = Outcome::Failed(Failure::Stopped);
        let wanted = [
            Event::State(State::Probing),
            Event::State(State::Silent),
            Event::Sent(MESSAGE, stopped),
            Event::State(State::Absent),
        ];
        assert_eq!(said, wanted.map(SbdWord::Event), "{modem}: {told:?}");
        let first = ["AT", "ATE0", "ATV1", "AT&K0", "AT&D0", "AT+CGSN"];
        assert!(told.starts_with(&first.map(str::to_owned)), "{modem}: {told:?}");
        // One that gives no serial number and no error is not asked on.
        let asked = told.iter().any(|command| command == "AT+SBDSX");
        assert_eq!(asked, modem != "GenericTestModem", "{modem}: {told:?}");
        let is_word =
            |command: &&String| ["+SBDWB", "+SBDIX"].iter().any(|it| command.contains(it));
        assert_eq!(told.iter().find(is_word), None, "{modem}");
    }
}

#[test]
fn a_house_with_a_telephone_modem_says_so_and_keeps_the_message() {
    let Some(python) = python() else { return };
    let Some(sources) = sources(python) else { return };
    let telephone = Telephone::plug_in(python, &sources, "HuaweiE1752", &["unasked", "echo"]);
    let setup = Setup::default().with_modem(telephone.link.to_str().unwrap());
    let mut house = House::start_new(&setup.with_site("300000000000111", "川前支所", 12));
    let desk = house.client_of("dispatcher1");
    let message = json!({ "device": "sbd:300000000000111", "text": "届かない" });
    assert_eq!(desk.command("SendMessage", &message).unwrap().status, 200);
    let fault = || desk.state()["devices"][0]["faults"][0]["code"].clone();
    wait("the fault", || (fault() == "silent").then_some(()));
    let before = telephone.told().len();
    wait("another try", || (telephone.told().len() > before + 20).then_some(()));
    assert_eq!(fault(), "silent", "it is not well for a moment either");
    assert_eq!(desk.state()["messages"][0]["state"], "queued");
    assert!(house.stop().success());
}
