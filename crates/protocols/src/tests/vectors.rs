//! The vectors of every protocol: bytes in, report and answer out.

use std::path::Path;
use std::sync::Arc;

use hansho_model::{AlarmClass, DeviceKind, Finding, Report};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Accounts, Durable, Key, Limits, LogIn, Output, Protocol, Receipt, Session, Setup, Transport,
    UnknownDevices,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: String,
    #[serde(default)]
    account: Vec<Account>,
    vector: Vec<Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    name: String,
    key: Option<String>,
    /// Of a device that logs in: its password, and what it is registered for.
    password: Option<String>,
    #[serde(default)]
    tracker: bool,
    #[serde(default)]
    telemetry_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    at: String,
    /// What was said before, and answered: a log-in.
    before_hex: Option<String>,
    rx: Option<String>,
    rx_hex: Option<String>,
    /// LF, so many times A, CR.
    fill: Option<usize>,
    /// `datagram` when absent.
    transport: Option<String>,
    fault: Option<String>,
    report: Option<Wanted>,
    tx: Option<String>,
    tx_hex: Option<String>,
}

/// What a report must say; deviations, text, time and place that are not named must be absent.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Wanted {
    device: String,
    lane: String,
    findings: Vec<String>,
    text: Option<String>,
    lat_e7: Option<i32>,
    lon_e7: Option<i32>,
    observed_at: Option<String>,
    refused: Option<String>,
    #[serde(default)]
    deviations: Vec<String>,
}

impl Wanted {
    fn of(report: &Report) -> Self {
        let word = |finding: &Finding| {
            let Finding { class, kind, phase, code, zone } = finding;
            format!("{class} {kind} {phase} {code} {zone}").trim_end().to_owned()
        };
        Self {
            device: report.device.clone(),
            lane: report.lane.as_str().to_owned(),
            findings: report.findings.iter().map(word).collect(),
            text: report.text.as_ref().map(|text| text.0.clone()),
            lat_e7: report.position.map(|at| at.lat.e7()),
            lon_e7: report.position.map(|at| at.lon.e7()),
            observed_at: report.observed_at.map(|at| at.to_string()),
            refused: report.refused.map(|fault| fault.as_str().to_owned()),
            deviations: report.deviations.iter().map(|each| each.as_str().to_owned()).collect(),
        }
    }
}

fn file(protocol: Protocol) -> File {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let path = folder.join(format!("{}.toml", protocol.name()));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} has no vectors: {}: {error}", protocol, path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

fn accounts(file: &File) -> Arc<Accounts> {
    let mut accounts = Accounts::new(UnknownDevices::Refuse);
    for Account { name, key, password, tracker, telemetry_only } in &file.account {
        accounts.register(name, key.as_ref().map(|key| Key::new(key.clone().into()).unwrap()));
        let Some(password) = password else { continue };
        let password = blake3::hash(password.as_bytes());
        let kind = if *tracker { DeviceKind::Tracker } else { DeviceKind::Pendant };
        accounts.admit(name, LogIn { password, kind, telemetry_only: *telemetry_only });
    }
    Arc::new(accounts)
}

impl Vector {
    fn bytes(&self) -> Vec<u8> {
        match (&self.rx, &self.rx_hex, self.fill) {
            (Some(text), None, None) => text.clone().into_bytes(),
            (None, Some(digits), None) => unhex(digits),
            (None, None, Some(count)) => [vec![b'\n'], vec![b'A'; count], vec![b'\r']].concat(),
            _ => panic!("{}: give one of rx, rx_hex, fill", self.name),
        }
    }

    fn answer(&self) -> Option<Vec<u8>> {
        let text = self.tx.as_ref().map(|text| text.clone().into_bytes());
        text.or_else(|| self.tx_hex.as_deref().map(unhex))
    }

    fn session(&self, protocol: Protocol, accounts: &Arc<Accounts>) -> Box<dyn Session> {
        let transport = match self.transport.as_deref() {
            None => Transport::Datagram,
            Some("stream") => Transport::Stream,
            Some(other) => panic!("{}: transport {other}?", self.name),
        };
        let now = self.now();
        let setup = Setup::new(Arc::clone(accounts), transport, Limits::default(), now);
        let mut session = protocol.session(setup);
        if let Some(digits) = &self.before_hex {
            session.handle_bytes(now, &unhex(digits)).unwrap();
            while matches!(session.poll_output(), Output::Transmit(_)) {}
        }
        session
    }

    fn now(&self) -> Timestamp {
        self.at.parse().unwrap()
    }

    /// Feeds it; gives the one report, its receipt, and the fault.
    fn feed(&self, session: &mut dyn Session) -> (Option<(Receipt, Box<Report>)>, Option<String>) {
        let fault = session.handle_bytes(self.now(), &self.bytes()).err();
        let mut report = None;
        loop {
            match session.poll_output() {
                Output::Report(receipt, said) => {
                    assert!(report.is_none(), "{}: two reports", self.name);
                    report = Some((receipt, said));
                }
                Output::Transmit(_) => panic!("{}: answered before it was durable", self.name),
                Output::Idle(_) => break,
            }
        }
        (report, fault.map(|fault| fault.fault.as_str().to_owned()))
    }
}

#[test]
fn every_protocol_passes_its_vectors() {
    for protocol in Protocol::ALL {
        let file = file(*protocol);
        assert!(!file.source.is_empty());
        let accounts = accounts(&file);
        for vector in &file.vector {
            let mut session = vector.session(*protocol, &accounts);
            let (report, fault) = vector.feed(session.as_mut());
            assert_eq!(fault, vector.fault, "{protocol}: {}", vector.name);
            let found = report.as_ref().map(|(_receipt, report)| Wanted::of(report));
            assert_eq!(found, vector.report, "{protocol}: {}", vector.name);
            let mut answer = None;
            if let Some((receipt, _report)) = report {
                session.handle_durable(vector.now(), receipt, Durable::Stored);
                if let Output::Transmit(bytes) = session.poll_output() {
                    answer = Some(bytes);
                }
            }
            let show = |bytes: Option<Vec<u8>>| bytes.map(|bytes| bytes.escape_ascii().to_string());
            assert_eq!(show(answer), show(vector.answer()), "{protocol}: {}", vector.name);
            assert!(matches!(session.poll_output(), Output::Idle(_)), "{}", vector.name);
        }
    }
}

#[test]
fn what_is_shed_is_not_answered_and_no_receipt_works_twice() {
    for protocol in Protocol::ALL {
        let file = file(*protocol);
        let accounts = accounts(&file);
        for vector in &file.vector {
            let mut session = vector.session(*protocol, &accounts);
            let Some((receipt, _report)) = vector.feed(session.as_mut()).0 else { continue };
            session.handle_durable(vector.now(), receipt, Durable::Shed);
            // MQTT 5 alone has a word for it: a PUBACK with reason 0x97.
            if let Output::Transmit(bytes) = session.poll_output() {
                assert!(*protocol == Protocol::Mqtt && bytes.ends_with(&[0x97]), "{}", vector.name);
            }
            session.handle_durable(vector.now(), receipt, Durable::Stored);
            session.handle_durable(vector.now(), Receipt(receipt.0 + 7), Durable::Stored);
            assert!(matches!(session.poll_output(), Output::Idle(_)), "{}", vector.name);
        }
    }
}

/// A refused message and its good repeat are two; a heartbeat is new each time.
#[test]
fn keys_tell_repeats_from_new_messages() {
    for protocol in Protocol::ALL {
        let file = file(*protocol);
        let accounts = accounts(&file);
        let mut keys: Vec<(Vec<u8>, &str)> = Vec::new();
        for vector in &file.vector {
            let mut first = vector.session(*protocol, &accounts);
            let mut second = vector.session(*protocol, &accounts);
            let Some((_, report)) = vector.feed(first.as_mut()).0 else { continue };
            let (_, again) = vector.feed(second.as_mut()).0.unwrap();
            assert_eq!(report.device_key, again.device_key, "{}", vector.name);
            let test = report.findings.iter().all(|each| each.class == AlarmClass::Test);
            if report.device_key.is_empty() {
                let zero = report.deviations.contains(&hansho_model::Deviation::SequenceZero);
                assert!(test || zero, "{}", vector.name);
                continue;
            }
            let key = (report.device_key.clone(), vector.name.as_str());
            let twin = keys.iter().find(|(other, _name)| *other == key.0);
            assert!(twin.is_none(), "{} has the key of {twin:?}", vector.name);
            keys.push(key);
        }
    }
}
