//! From the configuration to the first input of a run: registers, sealed.

use std::collections::BTreeMap;

use hansho_config::{Config, Device, Group, MailSettings, Person, SatelliteSite};
use hansho_core::State;
use hansho_journal::{Vault, VaultError};
use hansho_model::{
    DeviceEntry, Door, GroupEntry, Mailbox, PersonEntry, Registry, Sealed, Settings, SiteEntry,
    Start, Token, Zone,
};

/// Whose data a device's reports are: the vault's subject of the person it protects.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    by_device: BTreeMap<String, String>,
    /// Safe zones of those that have any.
    zones: BTreeMap<String, Vec<Zone>>,
}

impl Subjects {
    /// From the register of devices.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let by_device = config
            .devices
            .iter()
            .map(|(source, device)| (source.clone(), person_subject(&device.subscriber)))
            .collect();
        let zoned = config.devices.iter().filter(|(_, device)| !device.zones.is_empty());
        let zones = zoned.map(|(source, device)| (source.clone(), device.zones.clone())).collect();
        Self { by_device, zones }
    }

    /// The safe zones of a device's wearer.
    #[must_use]
    pub fn zones(&self, source: &str) -> &[Zone] {
        self.zones.get(source).map_or(&[], Vec::as_slice)
    }

    /// The subject of a device; `None` when nobody registered it.
    #[must_use]
    pub fn of_device(&self, source: &str) -> Option<&str> {
        self.by_device.get(source).map(String::as_str)
    }
}

/// Builds the first input. What did not change since the state was folded is not sealed anew: its
/// known entry is given back, so that the core journals nothing for it. People whose key was
/// destroyed are left out.
///
/// # Errors
///
/// When the vault refuses.
pub fn start(config: &Config, state: &State, vault: &Vault) -> Result<Start, VaultError> {
    let mut people = Vec::new();
    for (key, person) in &config.people {
        let digest = vault.token("register", person_text(key, person).as_bytes());
        let known = state.person_by_key(key).and_then(|id| state.people().get(&id));
        match known {
            Some(known) if known.erased => {}
            Some(known) if known.entry.digest == digest => people.push(known.entry.clone()),
            _ => match enter(key, person, digest, vault) {
                // Erased by law in days that a journal from a backup knows nothing of.
                Err(VaultError::Destroyed { .. }) => {}
                entry => people.push(entry?),
            },
        }
    }
    let mut devices = Vec::new();
    for (source, device) in &config.devices {
        let digest = vault.token("register", device_text(source, device).as_bytes());
        let known = state
            .source(source)
            .and_then(|id| state.devices().get(&id))
            .and_then(|device| device.entry.as_ref());
        match known {
            Some(known) if known.digest == digest => devices.push(known.clone()),
            _ => match register(source, device, digest, vault) {
                // The person was erased by law; the device is then nobody's.
                Err(VaultError::Destroyed { .. }) => {}
                entry => devices.push(entry?),
            },
        }
    }
    let fleet = config.fleet.clone();
    let sites = config.satellite.sites.iter().map(|site| enter_site(site, vault)).collect();
    let groups = config.groups.iter().map(|group| enter_group(group, vault)).collect();
    let registry = Registry { people, devices, groups, sites, settings: settings(config), fleet };
    Ok(Start { release: env!("CARGO_PKG_VERSION").to_owned(), registry })
}

fn enter(
    key: &str,
    person: &Person,
    digest: Token,
    vault: &Vault,
) -> Result<PersonEntry, VaultError> {
    let subject = person_subject(key);
    let mailboxes: Result<_, VaultError> = person
        .mail
        .iter()
        .map(|address| {
            let token = vault.token("mail", address.0.to_ascii_lowercase().as_bytes());
            Ok(Mailbox { address: vault.seal(&subject, address.0.as_bytes())?, token })
        })
        .collect();
    Ok(PersonEntry {
        key: key.to_owned(),
        digest,
        name: vault.seal(&subject, person.name.0.as_bytes())?,
        mailboxes: mailboxes?,
        language: person.language,
        role: person.login.as_ref().map(|login| login.role),
    })
}

fn register(
    source: &str,
    device: &Device,
    digest: Token,
    vault: &Vault,
) -> Result<DeviceEntry, VaultError> {
    let subject = person_subject(&device.subscriber);
    let seal = |address: &String| -> Result<Sealed, VaultError> {
        vault.seal(&subject, address.as_bytes())
    };
    Ok(DeviceEntry {
        source: source.to_owned(),
        subscriber: device.subscriber.clone(),
        helpers: device.helpers.clone(),
        district: device.district,
        address: device.address.as_ref().map(|address| seal(&address.0)).transpose()?,
        digest,
        zones: device.zones.clone(),
        interval_s: device.interval_s,
    })
}

/// A group's name is an office's or a corps', and its members are numbers.
fn enter_group(group: &Group, vault: &Vault) -> GroupEntry {
    let Group { key, name, senders, members } = group;
    let roles: Vec<&str> = senders.iter().map(|role| role.as_str()).collect();
    let lists = [roles.join("\u{1f}"), members.join("\u{1f}")];
    let text = [key, name, &lists[0], &lists[1]].map(String::as_str).join("\u{1e}");
    GroupEntry {
        key: key.clone(),
        name: name.clone(),
        members: members.clone(),
        senders: senders.clone(),
        digest: vault.token("register", text.as_bytes()),
    }
}

/// Nothing of an office is personal, so nothing is sealed.
fn enter_site(site: &SatelliteSite, vault: &Vault) -> SiteEntry {
    let SatelliteSite { imei, name, district } = site;
    let source = format!("{}:{imei}", Door::Sbd);
    let place = district.map_or(0, |district| district.0).to_string();
    let text = [source.as_str(), name, &place].join("\u{1e}");
    let digest = vault.token("register", text.as_bytes());
    SiteEntry { source, name: name.clone(), district: *district, digest }
}

fn settings(config: &Config) -> Settings {
    let site = &config.site;
    let mail = site.mail.as_ref();
    let text = |pick: fn(&MailSettings) -> &String| mail.map(pick).cloned().unwrap_or_default();
    Settings {
        mode: site.mode,
        headquarters: site.headquarters.clone(),
        sender: text(|mail| &mail.sender),
        message_domain: text(|mail| &mail.message_domain),
        answer_url: site.answer_url.trim_end_matches('/').to_owned(),
        answer_minutes: site.answer_minutes,
    }
}

/// Destroys again what the journal says was destroyed: a vault that was put back from a backup may
/// still hold the keys of people who were erased since. Returns how many there were.
///
/// # Errors
///
/// When the vault refuses.
pub fn forget_erased(state: &State, vault: &Vault) -> Result<usize, VaultError> {
    let mut count = 0;
    for person in state.people().values().filter(|person| person.erased) {
        let (subject, key) = (person_subject(&person.entry.key), person.entry.name.key);
        count += usize::from(vault.forget(&subject, key)?);
    }
    Ok(count)
}

/// The vault's subject of a person.
#[must_use]
pub fn person_subject(key: &str) -> String {
    format!("person:{key}")
}

/// Everything about a person, for telling whether any of it changed.
fn person_text(key: &str, person: &Person) -> String {
    let role = person.login.as_ref().map_or("", |login| login.role.as_str());
    let mail: Vec<&str> = person.mail.iter().map(|address| address.0.as_str()).collect();
    [key, &person.name.0, person.language.as_str(), role, &mail.join("\u{1f}")].join("\u{1e}")
}

fn device_text(source: &str, device: &Device) -> String {
    let address = device.address.as_ref().map_or("", |address| address.0.as_str());
    let district = device.district.map_or(0, |district| district.0).to_string();
    let helpers = device.helpers.join("\u{1f}");
    let mut text = [source, &device.subscriber, &helpers, address, &district].join("\u{1e}");
    // What only trackers have is told only where it is, so that other entries stay as they were.
    for Zone { name, centre, radius } in &device.zones {
        let (lat, lon) = (centre.lat.e7(), centre.lon.e7());
        text.push_str(&format!("\u{1e}zone\u{1f}{name}\u{1f}{lat}\u{1f}{lon}\u{1f}{}", radius.0));
    }
    if let Some(seconds) = device.interval_s {
        text.push_str(&format!("\u{1e}interval\u{1f}{seconds}"));
    }
    text
}
