//! Reads `config/*.toml`: every fault with file, line and remedy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use hansho_model::{DistrictId, Language, Mode, Private, Role};

/// A whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `hansho.toml`: the house.
    pub site: Site,
    /// `people.toml`: people by key.
    pub people: BTreeMap<String, Person>,
    /// `devices.toml`: devices by source name, such as `dc09:4901`.
    pub devices: BTreeMap<String, Device>,
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
    /// DC-09 receiver, TCP and UDP on the same port.
    pub dc09: Option<SocketAddr>,
    /// What happens to a device nobody registered.
    pub unknown_devices: UnknownDevices,
    /// Mail relay and sender.
    pub mail: Option<MailSettings>,
    /// First part of answer links.
    pub answer_url: String,
    /// Minutes until an answer link expires.
    pub answer_minutes: u16,
    /// Free space kept in reserve in the data folder, MiB.
    pub reserve_mib: u32,
}

/// What happens to a device nobody registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownDevices {
    /// Acknowledged, journalled, shown as unregistered.
    Show,
    /// Refused at the wire, journalled, shown.
    Refuse,
}

/// Mail relay and sender.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Relay, `host:port`.
    pub relay: String,
    /// Connections side by side, 1 to 64.
    pub connections: u16,
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
}
