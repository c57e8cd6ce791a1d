//! The demo's house and everything around it: mail catcher, phones, satellite modem, vehicles.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hansho_simulators::devices::dc09::Key;
use hansho_simulators::devices::sbd::{Modem, Sky};
use hansho_simulators::driver::{Driver, Spot};
use hansho_simulators::mailbox::Mailbox;
use hansho_simulators::phone::{Manner, Phone};
use hansho_simulators::satphone::Satphone;
use hansho_simulators::scenario::Stage;
use hansho_simulators::vehicle::Vehicle;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use toml::Table;

use crate::FACTOR;
use crate::house::House;
use crate::house::setup::{own_address, token_of};

/// The demo's city, on a loopback address of its own.
pub(crate) struct City {
    pub(crate) house: House,
    pub(crate) stage: Stage,
    pub(crate) mailbox: Mailbox,
    folder: PathBuf,
    /// Phones and drivers.
    people: JoinSet<()>,
}

impl City {
    /// Starts it all, the drivers as fast as the evening.
    pub(crate) async fn start() -> Self {
        let at = own_address();
        let mut house = House::configured(|config| configure(config, at));
        let mailbox = Mailbox::start((at, SMTP).into(), (at, MAILS).into()).await.unwrap();
        let mut people = JoinSet::new();
        for port in PHONES {
            let manner = Manner::Answer(std::time::Duration::from_millis(600));
            let mut phone = Phone::start((at, port).into(), manner, None).await.unwrap();
            people.spawn(async move { while phone.next().await.is_some() {} });
        }
        fs::create_dir_all(house.data()).unwrap();
        // A session of two seconds.
        let session = SignedDuration::from_millis(2_000 / i64::from(FACTOR));
        let modem = Modem::new(Sky { session, ..Sky::default() });
        let satphone = Satphone::plug_in(modem, house.data().join("../satphone")).unwrap();
        house.start();
        let terminals: Vec<&str> = DRIVEN.iter().map(|(id, ..)| *id).chain([TERMINAL.0]).collect();
        let folder = house.issue(&terminals);
        let stage = stage(&house, at, satphone);
        let mut city = Self { house, stage, mailbox, folder, people };
        for (id, lat, lon) in DRIVEN {
            let driver = Driver::new(city.vehicle(id), Spot { lat, lon }, FACTOR);
            city.people.spawn(driver.run(|_told| {}));
        }
        city
    }

    /// The terminal of this name.
    pub(crate) fn vehicle(&self, id: &str) -> Vehicle {
        let trust = self.house.data().join("tls.pem");
        Vehicle::new(id, &self.folder, &trust, self.house.addresses().quic).unwrap()
    }
}

/// Copies the demo's configuration to another address; links in its mails are good for a hundred
/// minutes of the story, and one unit that the evening does not need has a terminal, too.
fn configure(folder: &Path, at: Ipv4Addr) {
    let (terminal, unit) = TERMINAL;
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(DEMO).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let line = format!("\"{unit}\" = {{ ");
        let text = text
            .replace("127.0.0.1:", &format!("{at}:"))
            .replace("\nminutes = 120 ", "\nminutes = 1 ")
            .replace(&line, &format!("{line}terminal = \"{terminal}\", "));
        fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
    }
}

fn stage(house: &House, at: Ipv4Addr, satphone: Satphone) -> Stage {
    let addresses = house.addresses();
    let users = ["dispatcher1", "supervisor1"];
    Stage {
        console: format!("http://{}", addresses.console),
        tokens: users.map(|user| (user.to_owned(), token_of(user))).into(),
        dc09: addresses.dc09,
        sip: addresses.sip,
        watch: addresses.watch,
        mailbox: format!("http://{}", SocketAddr::from((at, MAILS))),
        keys: keys(),
        satphone: Some(satphone),
    }
}

/// Keys of the demo's pendants that encrypt.
fn keys() -> BTreeMap<String, Key> {
    let devices = fs::read_to_string(format!("{DEMO}/devices.toml")).unwrap();
    let devices: Table = devices.parse().unwrap();
    let keyed = devices.iter().filter_map(|(name, device)| {
        let digits = device.get("aes_key")?.as_str()?.as_bytes();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let key: Vec<u8> = digits.chunks(2).map(byte).collect();
        Some((name.strip_prefix("dc09:")?.to_owned(), Key::new(&key).unwrap()))
    });
    keyed.collect()
}

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo");
// Ports of the demo.
const SMTP: u16 = 2_525;
const MAILS: u16 = 8_025;
const PHONES: [u16; 2] = [5_070, 5_072];
/// Terminals whose crews play the evening, and where these stand.
const DRIVEN: [(&str, f64, f64); 4] = [
    ("onahama-1", 36.9548, 140.9050),
    ("onahama-a1", 36.9548, 140.9050),
    ("taira-1", 37.0558, 140.8930),
    ("taira-a1", 37.0558, 140.8930),
];
/// The terminal of the unit that is ordered beside the evening.
pub(crate) const TERMINAL: (&str, &str) = ("tabito-1", "田人1");
