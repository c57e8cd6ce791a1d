//! What the city's registers say at a start of the core, with personal values sealed.

use crate::alarm::words;
use crate::{DistrictId, Fleet, GroupEntry, Role, Sealed, Token, Zone};

words! {
    /// Language of a person's mails and pages.
    Language {
        /// Japanese.
        Ja = "ja",
        /// English.
        En = "en",
    }
}

words! {
    /// Whether this system is the real one. Real and training never share a send path.
    Mode {
        /// The real thing.
        Real = "real",
        /// A drill (訓練).
        Training = "training",
        /// The invented city: every outgoing text says so in its first line.
        Demo = "demo",
    }
}

words! {
    /// What kind of device it is, where it says so itself; a part of its topics over MQTT.
    DeviceKind {
        /// Emergency pendant (緊急通報装置).
        Pendant = "pendant",
        /// Tracker (見守りGPS端末).
        Tracker = "tracker",
    }
}

/// A mail address of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The address as typed.
    pub address: Sealed,
    /// Equal for equal addresses.
    pub token: Token,
}

/// A person in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonEntry {
    /// Stable key in the register, such as `helper-0001`; not personal by itself.
    pub key: String,
    /// Equal when nothing about the person changed.
    pub digest: Token,
    /// Name.
    pub name: Sealed,
    /// Mail addresses, the preferred one first.
    pub mailboxes: Vec<Mailbox>,
    /// Language.
    pub language: Language,
    /// Role at the console, for operators.
    pub role: Option<Role>,
}

/// A registered device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEntry {
    /// Full name of the source, such as `dc09:4901`.
    pub source: String,
    /// Register key of the person it protects (利用者).
    pub subscriber: String,
    /// Register keys of the helpers (協力員) told when it alarms, nearest first.
    pub helpers: Vec<String>,
    /// District of the home.
    pub district: Option<DistrictId>,
    /// Address of the home, with how to get in.
    pub address: Option<Sealed>,
    /// Equal when nothing about the device changed.
    pub digest: Token,
    /// Safe zones of the wearer, for trackers; at most 8.
    pub zones: Vec<Zone>,
    /// Seconds between two reports as the device is set, 30 to 86,400, for trackers.
    pub interval_s: Option<u32>,
}

/// A site that speaks and is spoken to over a satellite: a branch office (支所), a body of the
/// disaster headquarters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteEntry {
    /// Full name of its handset among the sources: `sbd:` and the IMEI, such as
    /// `sbd:300000000000111`.
    pub source: String,
    /// Its name, such as `川前支所`; an office's, never a person's.
    pub name: String,
    /// District it stands in.
    pub district: Option<DistrictId>,
    /// Equal when nothing about it changed.
    pub digest: Token,
}

/// Settings that decide what leaves the house; in the journal, so that a replay makes the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Real, training or demo.
    pub mode: Mode,
    /// Name of the headquarters, in the sender of mails.
    pub headquarters: String,
    /// Sender's address of mails.
    pub sender: String,
    /// Domain of message ids.
    pub message_domain: String,
    /// First part of answer links, without a slash at its end: `http://127.0.0.1:8119`.
    pub answer_url: String,
    /// Minutes until an answer link expires, 1 to 1,440.
    pub answer_minutes: u16,
}

/// Everything the registers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// People.
    pub people: Vec<PersonEntry>,
    /// Devices.
    pub devices: Vec<DeviceEntry>,
    /// Groups for notices.
    pub groups: Vec<GroupEntry>,
    /// Sites with a satellite handset.
    pub sites: Vec<SiteEntry>,
    /// Settings.
    pub settings: Settings,
    /// Units and plans.
    pub fleet: Fleet,
}

/// The first input of every run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Release of the program.
    pub release: String,
    /// Registers.
    pub registry: Registry,
}
