//! A configuration for tests: a few people with log-ins, a few devices, ports of the kernel's
//! choice. The log-ins are the demo's: their passwords and tokens are no secrets.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const DEMO_PEOPLE: &str = include_str!("../../config/demo/people.toml");

/// The demo's bearer token of a log-in.
pub(crate) fn token_of(user: &str) -> String {
    format!("hansho-demo-token-{user}")
}

/// The demo's password of a log-in.
pub(crate) fn password_of(user: &str) -> String {
    format!("{user}-demo")
}

/// A configuration to write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) devices: Vec<Device>,
    /// Where mails go; none without it.
    pub(crate) relay: Option<SocketAddr>,
    /// Seats and their phones, reached over TCP where it says so.
    pub(crate) phones: Vec<(&'static str, SocketAddr, bool)>,
    /// `refuse` in place of `show`.
    pub(crate) refuse_unknown: bool,
    /// Pendants that log in over MQTT, by name; `t-` begins that of one for telemetry alone.
    pub(crate) mqtt: Vec<String>,
    /// Units, each with its terminal.
    pub(crate) units: Vec<(String, String)>,
    /// Port of a satellite modem, as the configuration has it.
    pub(crate) modem: Option<String>,
    /// Sites that are reached through it: IMEI, name, district.
    pub(crate) sites: Vec<(String, String, u8)>,
    /// Members of the group `all`, whom notices go to: their mail addresses.
    pub(crate) group: Vec<String>,
    /// More of `hansho.toml`.
    pub(crate) more: String,
}

/// A loopback address that nobody else has: a port that a killed house leaves behind may go to
/// another test's house at once, and a device must not be acknowledged by that one.
pub(crate) fn own_address() -> Ipv4Addr {
    let random = *uuid::Uuid::now_v7().as_bytes();
    Ipv4Addr::new(127, random[13].max(1), random[14], random[15].clamp(1, 254))
}

/// A device with the person it protects and those who help.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) account: String,
    pub(crate) subscriber: String,
    pub(crate) address: String,
    pub(crate) helpers: Vec<(String, String)>,
    pub(crate) aes_key: Option<String>,
    /// `dc09` or `watch`.
    door: &'static str,
    /// Safe zone: latitude, longitude, radius in metres.
    zone: Option<(f64, f64, u32)>,
}

impl Device {
    /// A device whose subscriber has a name and an address of its own and whose helpers have these
    /// mail addresses.
    pub(crate) fn new(account: &str, mails: &[&str]) -> Self {
        let helper = |(index, mail): (usize, &&str)| {
            (format!("協力員{account}{index}の名"), (*mail).to_owned())
        };
        Self {
            account: account.to_owned(),
            subscriber: format!("利用者{account}の名"),
            address: format!("架空町{account}番地"),
            helpers: mails.iter().enumerate().map(helper).collect(),
            aes_key: None,
            door: "dc09",
            zone: None,
        }
    }

    /// The same at the watches' door, with a safe zone.
    pub(crate) fn wearing_watch(mut self, lat: f64, lon: f64, radius_m: u32) -> Self {
        (self.door, self.zone) = ("watch", Some((lat, lon, radius_m)));
        self
    }

    pub(crate) fn with_key(mut self, hex: &str) -> Self {
        self.aes_key = Some(hex.to_owned());
        self
    }
}

impl Setup {
    pub(crate) fn new(devices: Vec<Device>) -> Self {
        Self { devices, ..Self::default() }
    }

    pub(crate) fn with_relay(mut self, relay: SocketAddr) -> Self {
        self.relay = Some(relay);
        self
    }

    /// With the phone of one more seat.
    pub(crate) fn with_phone(mut self, seat: &'static str, phone: SocketAddr, tcp: bool) -> Self {
        self.phones.push((seat, phone, tcp));
        self
    }

    /// With devices that log in over MQTT.
    pub(crate) fn with_mqtt(mut self, names: &[&str]) -> Self {
        self.mqtt = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// With a unit that has a terminal.
    pub(crate) fn with_unit(mut self, call_sign: &str, terminal: &str) -> Self {
        self.units.push((call_sign.to_owned(), terminal.to_owned()));
        self
    }

    /// With a group of members with these addresses; the desk may send to it.
    pub(crate) fn with_group(mut self, mails: impl IntoIterator<Item = String>) -> Self {
        self.group = mails.into_iter().collect();
        self
    }

    /// With a satellite modem at this port.
    pub(crate) fn with_modem(mut self, port: &str) -> Self {
        self.modem = Some(port.to_owned());
        self
    }

    /// With a site that is reached over a satellite.
    pub(crate) fn with_site(mut self, imei: &str, name: &str, district: u8) -> Self {
        self.sites.push((imei.to_owned(), name.to_owned(), district));
        self
    }

    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("hansho.toml"), self.house()).unwrap();
        fs::write(folder.join("people.toml"), self.people()).unwrap();
        fs::write(folder.join("devices.toml"), self.devices()).unwrap();
        if !self.units.is_empty() {
            fs::write(folder.join("units.toml"), self.fleet()).unwrap();
        }
        if let Some(last) = self.group.len().checked_sub(1) {
            let text = format!(
                "all = {{ name = \"第一分団\", senders = [\"dispatcher\", \"supervisor\"], \
                 members = [\"member-0000..member-{last:04}\"] }}\n"
            );
            fs::write(folder.join("groups.toml"), text).unwrap();
        }
        if let Some(port) = &self.modem {
            let mut text = format!("[modems]\nroof = {{ port = \"{port}\" }}\n[sites]\n");
            for (imei, name, district) in &self.sites {
                writeln!(text, "{imei} = {{ name = \"{name}\", district = {district} }}").unwrap();
            }
            fs::write(folder.join("sites.toml"), text).unwrap();
        }
    }

    fn house(&self) -> String {
        let unknown = if self.refuse_unknown { "refuse" } else { "show" };
        let (sip, mqtt, quic) = (own_address(), own_address(), own_address());
        let (console, dc09, watch) = (own_address(), own_address(), own_address());
        let mut text = format!(
            "mode = \"demo\"\nheadquarters = \"試験消防本部(架空)\"\nunknown_devices = \"{unknown}\"\n\
             [listen]\nconsole = \"{console}:0\"\ndc09 = \"{dc09}:0\"\nwatch = \"{watch}:0\"\n\
             sip = \"{sip}:0\"\n\
             mqtt = \"{mqtt}:0\"\nmqtts = \"127.0.0.1:0\"\n\
             mqtt_alarms = \"127.0.0.1:0\"\nquic = \"{quic}:0\"\n\
             [sip]\ntrunks = [\"127.0.0.1\"]\nnumbers = [\"119\"]\n\
             [answers]\nurl = \"http://127.0.0.1:8119\"\nminutes = 120\n\
             [data]\nreserve_mib = 1\n"
        );
        if !self.phones.is_empty() {
            text.push_str("[seats]\n");
        }
        for (seat, phone, tcp) in &self.phones {
            let parameter = if *tcp { ";transport=tcp" } else { "" };
            writeln!(text, "{seat} = \"sip:{seat}@{phone}{parameter}\"").unwrap();
        }
        if let Some(relay) = self.relay {
            write!(
                text,
                "[mail]\nrelay = \"{relay}\"\nconnections = 16\n\
                 sender = \"demo@hansho.example.jp\"\nmessage_domain = \"hansho.example.jp\"\n\
                 starttls = \"never\"\n"
            )
            .unwrap();
        }
        text.push_str(&self.more);
        text
    }

    fn fleet(&self) -> String {
        let mut text =
            "[stations]\n\"小名浜\" = { lat = 36.9548, lon = 140.9050 }\n[units]\n".to_owned();
        for (call_sign, terminal) in &self.units {
            writeln!(
                text,
                "\"{call_sign}\" = {{ station = \"小名浜\", kind = \"TANK\", crew = 4, \
                 terminal = \"{terminal}\" }}"
            )
            .unwrap();
        }
        text
    }

    fn people(&self) -> String {
        let mut text = String::new();
        for device in &self.devices {
            let account = &device.account;
            writeln!(text, "subscriber-{account} = {{ name = \"{}\" }}", device.subscriber)
                .unwrap();
            for (index, (name, mail)) in device.helpers.iter().enumerate() {
                writeln!(
                    text,
                    "helper-{account}-{index} = {{ name = \"{name}\", mail = [\"{mail}\"] }}"
                )
                .unwrap();
            }
        }
        for name in &self.mqtt {
            writeln!(text, "subscriber-{name} = {{ name = \"利用者{name}の名\" }}").unwrap();
        }
        for (index, mail) in self.group.iter().enumerate() {
            writeln!(
                text,
                "member-{index:04} = {{ name = \"団員{index}の名\", mail = [\"{mail}\"] }}"
            )
            .unwrap();
        }
        // The demo's operators stand at the end of its register.
        let (_people, operators) =
            DEMO_PEOPLE.split_once("[dispatcher1]").expect("the demo has operators");
        text.push_str("[dispatcher1]");
        text.push_str(operators);
        text
    }

    fn devices(&self) -> String {
        let mut text = String::new();
        for device in &self.devices {
            let account = &device.account;
            let helpers: Vec<String> = (0..device.helpers.len())
                .map(|index| format!("\"helper-{account}-{index}\""))
                .collect();
            let key = device.aes_key.as_ref().map(|key| format!(", aes_key = \"{key}\""));
            let zone = device.zone.map(|(lat, lon, radius)| {
                let zone = format!("lat = {lat}, lon = {lon}, radius_m = {radius}");
                format!(", zones = [{{ name = \"自宅\", {zone} }}]")
            });
            writeln!(
                text,
                "\"{}:{account}\" = {{ subscriber = \"subscriber-{account}\", helpers = [{}], \
                 district = 1, address = \"{}\"{}{} }}",
                device.door,
                helpers.join(", "),
                device.address,
                key.unwrap_or_default(),
                zone.unwrap_or_default()
            )
            .unwrap();
        }
        for name in &self.mqtt {
            let hash = blake3::hash(super::mqtt::password_of(name).as_bytes()).to_hex();
            let class = if name.starts_with("t-") { "telemetry" } else { "alarm" };
            writeln!(
                text,
                "\"mqtt:{name}\" = {{ subscriber = \"subscriber-{name}\", class = \"{class}\", \
                 password_blake3 = \"{hash}\" }}"
            )
            .unwrap();
        }
        text
    }
}
