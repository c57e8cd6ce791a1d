//! Reads `config/*.toml`: every fault with file, line and remedy.
//!
//! A configuration is a folder of files: `hansho.toml` (the house), `people.toml` (people by key),
//! `devices.toml` (devices by source name), and for a house with vehicles `units.toml` (stations and
//! units), `plans.toml` (what goes out for which kind of incident) `groups.toml` (whom notices
//! go to) and `sites.toml` (satellite modems, and who is reached through them). All faults of all files are reported at once,
//! and a configuration with a fault is refused whole: half a register is worse than a clear stop.
//!
//! Secrets (keys, password hashes, tokens) never stand in a fault's text: the quoted line shows `▮`
//! in their place.
//!
//! Limits: [`FILE_SIZE_MAX`], [`PEOPLE_MAX`], [`DEVICES_MAX`], [`HELPERS_MAX`],
//! [`MAIL_ADDRESSES_MAX`], [`TEXT_CHARS_MAX`], [`STATIONS_MAX`], [`UNITS_MAX`], [`PLANS_MAX`],
//! [`PLAN_NEEDS_MAX`], [`ZONES_MAX`], [`GROUPS_MAX`], [`GROUP_MEMBERS_MAX`],
//! [`MODEMS_MAX`], [`SITES_MAX`], [`FOREIGN_BROKERS_MAX`], [`FOREIGN_TOPICS_MAX`].
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/demo");
//! let config = hansho_config::Config::load(&folder)?;
//! assert_eq!(config.site.mode, hansho_model::Mode::Demo);
//! assert_eq!(config.devices.keys().filter(|name| name.starts_with("dc09:")).count(), 400);
//! # Ok(())
//! # }
//! ```

mod devices;
mod fault;
mod groups;
mod mqtt;
mod people;
mod plans;
mod reader;
mod secrets;
mod site;
mod sites;
mod source;
mod syntax;
mod units;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hansho_model::{DeviceKind, DistrictId, Fleet, Lane, Language, Mode, Private, Role, Zone};

pub use fault::{ConfigError, Fault, FaultPlace};

/// Longest file that is read, bytes: ten times the register of a city of 300,000.
pub const FILE_SIZE_MAX: u64 = 64 * 1024 * 1024;
/// Most people in the register.
pub const PEOPLE_MAX: usize = 200_000;
/// Most devices in the register.
pub const DEVICES_MAX: usize = 100_000;
/// Most helpers of one device.
pub const HELPERS_MAX: usize = 16;
/// Most mail addresses of one person.
pub const MAIL_ADDRESSES_MAX: usize = 4;
/// Most stations.
pub const STATIONS_MAX: usize = 200;
/// Most vehicles.
pub const UNITS_MAX: usize = 1_000;
/// Most response plans.
pub const PLANS_MAX: usize = 100;
/// Most needs of one plan.
pub const PLAN_NEEDS_MAX: usize = 16;
/// Most safe zones of one device.
pub const ZONES_MAX: usize = 8;
/// Longest name of a zone, bytes.
pub const ZONE_NAME_BYTES_MAX: usize = 48;
/// Longest text value (name, address), characters.
pub const TEXT_CHARS_MAX: usize = 200;
/// Most brokers of others.
pub const FOREIGN_BROKERS_MAX: usize = 8;
/// Most topics of one of them.
pub const FOREIGN_TOPICS_MAX: usize = 64;
/// Most groups.
pub const GROUPS_MAX: usize = 1_000;
/// Most members of one group: a notice to more is two.
pub const GROUP_MEMBERS_MAX: usize = hansho_model::RECIPIENTS_MAX;
/// Most satellite modems.
pub const MODEMS_MAX: usize = 8;
/// Most sites that are reached over a satellite.
pub const SITES_MAX: usize = 200;
/// Districts of the city are numbered from 1 to this.
pub const DISTRICT_MAX: u8 = 13;

/// A door that may be listened at beside the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoorKey {
    /// Its key in `[listen]`.
    pub name: &'static str,
    /// Its sockets.
    pub takes: Takes,
}

/// Which sockets a door has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// TCP alone.
    Streams,
    /// UDP alone.
    Datagrams,
    /// Both, on the same port.
    Both,
}

/// All doors beside the console.
pub const DOORS: [DoorKey; 8] = [
    DoorKey { name: "dc09", takes: Takes::Both },
    DoorKey { name: "watch", takes: Takes::Streams },
    DoorKey { name: "sip", takes: Takes::Both },
    DoorKey { name: "mqtt", takes: Takes::Streams },
    DoorKey { name: "mqtts", takes: Takes::Streams },
    DoorKey { name: "mqtt_alarms", takes: Takes::Streams },
    DoorKey { name: "mqtts_alarms", takes: Takes::Streams },
    DoorKey { name: "quic", takes: Takes::Datagrams },
];

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `hansho.toml`: the house.
    pub site: Site,
    /// `people.toml`: people by key.
    pub people: BTreeMap<String, Person>,
    /// `devices.toml`: devices by source name, such as `dc09:4901`.
    pub devices: BTreeMap<String, Device>,
    /// `units.toml` and `plans.toml`: vehicles and response plans.
    pub fleet: Fleet,
    /// `groups.toml`: groups that notices go to, in the order of the file.
    pub groups: Vec<Group>,
    /// `sites.toml`: what goes over satellites.
    pub satellite: Satellite,
}

/// A group that notices go to (配信グループ).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Stable key, such as `dan-2-3`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Who may send to it: dispatcher, supervisor, disaster manager.
    pub senders: Vec<Role>,
    /// Keys of its members, each once.
    pub members: Vec<String>,
}

/// Satellite modems, and the sites that are reached through them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Satellite {
    /// Modems of this house, in the order of their names; a message goes through the first that
    /// answers.
    pub modems: Vec<Modem>,
    /// Sites in the order of their IMEIs.
    pub sites: Vec<SatelliteSite>,
}

/// A satellite modem of the short-burst kind on a serial line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modem {
    /// Our name for it.
    pub name: String,
    /// Its port, best by its lasting name. One that is not absolute is looked for from the data
    /// folder.
    pub port: PathBuf,
    /// Whether it is a 9522B or 9523, which send 1,960 bytes; else a 9602 or 9603 with 340.
    pub long_messages: bool,
    /// From one look into the mailbox to the next, 5 to 1,440 minutes; each look is paid for.
    pub mailbox_minutes: u16,
}

/// A site with a satellite handset: a branch office, a body of the disaster headquarters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SatelliteSite {
    /// The handset's IMEI, 15 digits.
    pub imei: String,
    /// The site's name, an office's.
    pub name: String,
    /// District it stands in.
    pub district: Option<DistrictId>,
}

/// The house.
#[derive(Debug, Clone)]
pub struct Site {
    /// Real, training or demo.
    pub mode: Mode,
    /// Name of the headquarters.
    pub headquarters: String,
    /// Console and API.
    pub console: SocketAddr,
    /// The other doors that are open, by their key in `[listen]`: one of [`DOORS`].
    pub doors: BTreeMap<&'static str, SocketAddr>,
    /// What the exchange knows beside its sockets.
    pub sip: SipSettings,
    /// What happens to a device nobody registered.
    pub unknown_devices: UnknownDevices,
    /// Certificate and key of the doors that speak TLS; without them a demo makes its own.
    pub tls: Option<TlsFiles>,
    /// Brokers of others that are listened to.
    pub foreign_brokers: Vec<ForeignBroker>,
    /// Mail relay and sender.
    pub mail: Option<MailSettings>,
    /// First part of answer links.
    pub answer_url: String,
    /// Minutes until an answer link expires, 1 to 1,440.
    pub answer_minutes: u16,
    /// Free space kept in reserve in the data folder, MiB, 1 to 65,536.
    pub reserve_mib: u32,
    /// Hours until a log-in at the console expires, 1 to 24; a shift is 24 hours at most.
    pub session_hours: u8,
}

/// What happens to a device nobody registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownDevices {
    /// Acknowledged, journalled, shown as unregistered.
    Show,
    /// Refused at the wire, journalled, shown.
    Refuse,
}

/// Calls to 119: who brings them, and whose phones ring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SipSettings {
    /// Users of ours that may be called beside `urn:service:sos`, such as the desk's own number.
    pub numbers: Vec<String>,
    /// Carriers' gateways: only these may assert a caller's number.
    pub trunks: Vec<IpAddr>,
    /// The seats' phones, in the order of their names.
    pub seats: Vec<SeatSettings>,
}

/// A seat's phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatSettings {
    /// Name of the seat, such as `desk1`.
    pub name: String,
    /// User part of its phone's URI.
    pub user: String,
    /// Where the phone is.
    pub address: SocketAddr,
    /// Whether it is reached over TCP; else over UDP.
    pub tcp: bool,
}

impl SeatSettings {
    /// URI of its phone.
    #[must_use]
    pub fn uri(&self) -> String {
        let parameter = if self.tcp { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{parameter}", self.user, self.address)
    }
}

/// Files for TLS, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// An MQTT broker of somebody else: a vendor's cloud, the prefecture's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignBroker {
    /// Our name for it; begins the names of its devices.
    pub name: String,
    /// `host:port`.
    pub server: String,
    /// Our client id there, always the same: the broker keeps for it what comes while we are away.
    pub client_id: String,
    /// Log-in, when it asks for one: user, file with the password.
    pub login: Option<(String, PathBuf)>,
    /// What to listen to.
    pub topics: Vec<ForeignTopic>,
}

/// Topics of a foreign broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignTopic {
    /// Filter with one `+`, where the device's name stands.
    pub filter: String,
    /// A for alarms, C for states, D for telemetry.
    pub lane: Lane,
}

/// Mail relay and sender.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Relay, `host:port`.
    pub relay: String,
    /// Connections side by side, 1 to 64.
    pub connections: u16,
    /// Of these, to one provider at most, 1 to 64.
    pub provider_connections: u16,
    /// Provider of a mail domain (in lower case) that shares its limits with others; a domain that
    /// is not here is a provider of its own.
    pub providers: BTreeMap<String, String>,
    /// Sender's address.
    pub sender: String,
    /// Domain of message ids.
    pub message_domain: String,
    /// STARTTLS: `never` on loopback, `required` elsewhere.
    pub starttls: bool,
    /// Log-in at the relay, when it asks for one: user, file with the password.
    pub login: Option<(String, PathBuf)>,
}

/// A person in the register.
#[derive(Debug, Clone)]
pub struct Person {
    /// Name.
    pub name: Private<String>,
    /// Mail addresses, the preferred one first.
    pub mail: Vec<Private<String>>,
    /// Language of mails.
    pub language: Language,
    /// Log-in at the console.
    pub login: Option<Login>,
}

/// A log-in.
#[derive(Debug, Clone)]
pub struct Login {
    /// Log-in name.
    pub user: String,
    /// Role.
    pub role: Role,
    /// Argon2id hash in PHC form.
    pub password_hash: String,
    /// BLAKE3 of a bearer token for the API that acts as this user, when there is one. A plain
    /// hash is enough, as a token is made by a machine and cannot be guessed.
    pub token_hash: Option<[u8; 32]>,
}

/// A registered device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Key of the person it protects.
    pub subscriber: String,
    /// Keys of those who are told.
    pub helpers: Vec<String>,
    /// District.
    pub district: Option<DistrictId>,
    /// Address of the home.
    pub address: Option<Private<String>>,
    /// AES key of 16, 24 or 32 bytes, when the device encrypts.
    pub aes_key: Option<Private<Vec<u8>>>,
    /// Safe zones of the wearer, for trackers.
    pub zones: Vec<Zone>,
    /// Seconds between two reports as the device is set, for trackers.
    pub interval_s: Option<u32>,
    /// How it logs in, when it does.
    pub login: Option<DeviceLogin>,
}

/// How a device logs in over MQTT, and what it is registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLogin {
    /// BLAKE3 of its password. A plain hash is enough, as a device's password is made by a machine
    /// and cannot be guessed.
    pub password_hash: [u8; 32],
    /// Pendant or tracker.
    pub kind: DeviceKind,
    /// Whether it is registered for telemetry alone.
    pub telemetry_only: bool,
}

impl Config {
    /// Reads the files of the folder `dir` and checks them.
    ///
    /// # Errors
    ///
    /// Every fault of every file, in the order of the files and their lines.
    pub fn load(dir: &Path) -> Result<Self, ConfigError> {
        let (site, mut faults) = site::read(dir);
        let (people, more) = people::read(dir, site.as_ref().map(|site| site.mode));
        faults.extend(more);
        let (devices, more) = devices::read(dir, people.as_ref());
        faults.extend(more);
        let ((units, found), more) = units::read(dir);
        faults.extend(more);
        let (plans, more) = plans::read(dir);
        faults.extend(more);
        let (groups, more) = groups::read(dir, people.as_ref());
        faults.extend(more);
        let (satellite, more) = sites::read(dir);
        faults.extend(more);
        let fleet = Fleet { units, found, plans };
        match (site, people, devices) {
            (Some(site), Some(people), Some(devices)) if faults.is_empty() => {
                Ok(Self { site, people, devices, fleet, groups, satellite })
            }
            _ => Err(ConfigError::new(dir, faults)),
        }
    }
}

/// Every fault of the configuration in the folder `dir`; none when it is sound.
#[must_use]
pub fn check_config(dir: &Path) -> Vec<Fault> {
    Config::load(dir).err().map(|error| error.faults).unwrap_or_default()
}

impl Site {
    /// Adds `shift` to every port of this machine (listeners; relay and answer links when they
    /// point at loopback), so that two demos can run side by side. Port 0, which means "any",
    /// stays 0.
    ///
    /// # Errors
    ///
    /// When a port would pass 65,535; nothing is changed then.
    pub fn shift_ports(&mut self, shift: u16) -> Result<(), PortShiftError> {
        let mut shifted = self.clone();
        shifted.console.set_port(shift_port(self.console.port(), shift)?);
        for door in shifted.doors.values_mut() {
            door.set_port(shift_port(door.port(), shift)?);
        }
        for seat in shifted.sip.seats.iter_mut().filter(|seat| seat.address.ip().is_loopback()) {
            seat.address.set_port(shift_port(seat.address.port(), shift)?);
        }
        if let Some(mail) = &mut shifted.mail {
            mail.relay = shift_loopback(&mail.relay, shift)?;
        }
        for broker in &mut shifted.foreign_brokers {
            broker.server = shift_loopback(&broker.server, shift)?;
        }
        if let Some(rest) = self.answer_url.strip_prefix("http://") {
            shifted.answer_url = format!("http://{}", shift_loopback(rest, shift)?);
        }
        *self = shifted;
        Ok(())
    }
}

/// A port that cannot be shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("port {port} plus {shift} is past 65535; choose a smaller port base")]
pub struct PortShiftError {
    /// The port as configured.
    pub port: u16,
    /// What was to be added.
    pub shift: u16,
}

fn shift_port(port: u16, shift: u16) -> Result<u16, PortShiftError> {
    if port == 0 {
        return Ok(0);
    }
    port.checked_add(shift).ok_or(PortShiftError { port, shift })
}

/// Shifts the port of `host:port` when the host is loopback; another machine's port is not ours.
fn shift_loopback(authority: &str, shift: u16) -> Result<String, PortShiftError> {
    let Some((host, port)) = authority.rsplit_once(':') else { return Ok(authority.to_owned()) };
    let Ok(port) = port.parse::<u16>() else { return Ok(authority.to_owned()) };
    if !syntax::is_loopback(host) {
        return Ok(authority.to_owned());
    }
    Ok(format!("{host}:{}", shift_port(port, shift)?))
}

#[cfg(test)]
mod tests;
