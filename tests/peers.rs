//! Programs of others at our doors: a DC-09 transmitter, a receiver for our simulator, and a driver
//! for our satellite modem.
//!
//! They come from PyPI into a virtual environment: `target/venv`, which `cargo dev test` makes, or
//! one that this test makes beside its own build. Without a network and without either, the tests
//! say so and are skipped. Neither peer is an oracle: each has faults of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use hansho_simulators::devices::dc09::{Content, Key};
use hansho_simulators::devices::sbd::{Modem, Sky};
use hansho_simulators::pendant::{Link, Pendant};
use hansho_simulators::satphone::Satphone;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::house::setup::{Device, Setup};
use crate::house::{House, text, wait};

const KEY: &str = "AAAAAAAAAAAAAAAA";

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
