//! `hansho.toml`: the house.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use hansho_model::Mode;

use crate::fault::Fault;
use crate::reader::{Located, ParsedToml, Reader, Section};
use crate::source::Source;
use crate::{DOORS, MailSettings, SeatSettings, SipSettings, Site, TEXT_CHARS_MAX, UnknownDevices};
use crate::{mqtt, syntax};

/// Reads `hansho.toml` in `dir`.
pub(crate) fn read(dir: &Path) -> (Option<Site>, Vec<Fault>) {
    let source = match Source::read(dir, "hansho.toml") {
        Ok(source) => source,
        Err(fault) => return (None, vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let site = site(&mut reader, &parsed.root(), source.folder());
    (site, reader.into_faults())
}

fn site<'a>(reader: &mut Reader<'a>, root: &Section<'a>, folder: &Path) -> Option<Site> {
    reader.check_keys(root, &KEYS);
    let mode = word(reader, root, "mode", "\"demo\"", Mode::ALL, Mode::as_str);
    let headquarters =
        reader.required_text(root, "headquarters", TEXT_CHARS_MAX, "\"name of the headquarters\"");
    let unknown = word(
        reader,
        root,
        "unknown_devices",
        "\"refuse\"",
        &[UnknownDevices::Show, UnknownDevices::Refuse],
        |each| match each {
            UnknownDevices::Show => "show",
            UnknownDevices::Refuse => "refuse",
        },
    );
    let listeners = listeners(reader, root);
    let mail_section = reader.table(root, "mail");
    let mail = mail_section.as_ref().map(|section| mail(reader, section, folder));
    let answers = reader.table(root, "answers");
    let answers = answers.as_ref().map(|section| {
        reader.check_keys(section, &["url", "minutes"]);
        let url = reader.required_text(section, "url", TEXT_CHARS_MAX, "\"http://127.0.0.1:8119\"");
        let url = reader.parsed(url, syntax::url);
        (url, reader.integer(section, "minutes", 1..=1_440))
    });
    let (answer_url, answer_minutes) = answers.unwrap_or_default();
    let data = reader.table(root, "data");
    let reserve = data.as_ref().and_then(|section| {
        reader.check_keys(section, &["reserve_mib"]);
        reader.integer(section, "reserve_mib", 1..=65_536)
    });
    let sip = sip(reader, root, mode.as_ref());
    let session = reader.table(root, "console");
    let session = session.as_ref().and_then(|section| {
        reader.check_keys(section, &["session_hours"]);
        reader.integer(section, "session_hours", 1..=24)
    });
    let tls = mqtt::tls(reader, root, folder, mode.as_ref().map(|mode| mode.value));
    let foreign_brokers = mqtt::foreign_brokers(reader, root, folder);
    demo_is_harmless(reader, mode.as_ref(), headquarters.as_ref(), mail.as_ref());
    let (console, doors) = listeners?;
    let mail = match mail {
        Some((settings, _, _)) => Some(settings?),
        None => None,
    };
    Some(Site {
        mode: mode?.value,
        headquarters: headquarters?.value.to_owned(),
        console,
        doors,
        sip,
        unknown_devices: unknown?.value,
        tls,
        foreign_brokers,
        mail,
        answer_url: answer_url
            .map_or_else(|| format!("http://{console}"), |url| url.value.to_owned()),
        answer_minutes: narrow(answer_minutes, ANSWER_MINUTES),
        reserve_mib: narrow(reserve, RESERVE_MIB),
        session_hours: narrow(session, SESSION_HOURS),
    })
}

/// A number whose range was checked, or what stands for none.
fn narrow<T: TryFrom<i64>>(number: Option<i64>, otherwise: T) -> T {
    number.and_then(|number| T::try_from(number).ok()).unwrap_or(otherwise)
}

/// A required word out of a closed list.
fn word<'a, T: Copy>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    example: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Option<Located<T>> {
    let text = reader.required_text(section, key, TEXT_CHARS_MAX, example);
    reader.parsed(text, |text| {
        all.iter().copied().find(|each| name(*each) == text).ok_or_else(|| {
            let known = all.iter().map(|each| format!("\"{}\"", name(*each)));
            let known = known.collect::<Vec<_>>().join(", ");
            (format!("`{key}` cannot be \"{text}\""), format!("write one of {known}"))
        })
    })
}

/// The addresses we listen at; each port once.
fn listeners<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
) -> Option<(SocketAddr, BTreeMap<&'static str, SocketAddr>)> {
    let names = || std::iter::once("console").chain(DOORS.iter().map(|door| door.name));
    let section = reader.table(root, "listen");
    let Some(section) = section else {
        if root.table.get("listen").is_none() {
            reader.required(root, "listen", "{ console = \"127.0.0.1:8119\" }");
        }
        return None;
    };
    reader.check_keys(&section, &names().collect::<Vec<_>>());
    let mut taken: Vec<(&'static str, SocketAddr)> = Vec::new();
    for name in names() {
        let text = if name == "console" {
            reader.required_text(&section, name, TEXT_CHARS_MAX, "\"127.0.0.1:8119\"")
        } else {
            reader.text(&section, name, TEXT_CHARS_MAX)
        };
        let Some(at) = reader.parsed(text, syntax::listener) else { continue };
        if let Some((other, _)) = taken.iter().find(|(_, other)| clash(*other, at.value)) {
            let message = format!("port {} is already taken by `{other}`", at.value.port());
            let remedy = format!("give `{name}` another port, or take `{other}` out of `listen`");
            reader.fault(at.span.clone(), message, remedy);
        }
        if name == "sip" && at.value.ip().is_unspecified() {
            let message = "peers answer to this address, and this is none".to_owned();
            let remedy = "name the address under which gateways and phones reach this machine";
            reader.fault(at.span, message, remedy.to_owned());
        }
        taken.push((name, at.value));
    }
    let mut doors: BTreeMap<&'static str, SocketAddr> = taken.into_iter().collect();
    Some((doors.remove("console")?, doors))
}

/// Who brings calls, and whose phones ring. In a demo all of them are on this machine: an invented
/// emergency must ring no real phone.
fn sip<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    mode: Option<&Located<Mode>>,
) -> SipSettings {
    let mut settings = SipSettings::default();
    let demo = mode.is_some_and(|mode| mode.value == Mode::Demo);
    let at_home = |reader: &mut Reader<'a>, span: &Range<usize>, ip: IpAddr| {
        if demo && !ip.is_loopback() && !reader.broken() {
            let message = "a demo's calls may not leave this machine".to_owned();
            reader.fault(span.clone(), message, "write an address in 127.0.0.0/8".to_owned());
        }
    };
    if let Some(section) = reader.table(root, "sip") {
        reader.check_keys(&section, &["numbers", "trunks"]);
        let numbers = reader.texts(&section, "numbers", NUMBERS_MAX, 32);
        settings.numbers.extend(numbers.iter().map(|number| number.value.to_owned()));
        for text in reader.texts(&section, "trunks", TRUNKS_MAX, 64) {
            let span = text.span.clone();
            let Some(trunk) = reader.parsed(Some(text), syntax::ip) else { continue };
            at_home(reader, &span, trunk.value);
            settings.trunks.push(trunk.value);
        }
    }
    let Some(section) = reader.table(root, "seats") else { return settings };
    for (key, _) in section.table {
        let name = key.get_ref().as_ref();
        if settings.seats.len() >= SEATS_MAX || name.is_empty() || name.len() > SEAT_BYTES_MAX {
            let message = format!("`{name}` is one seat too many, or no name of a seat");
            let remedy = format!("at most {SEATS_MAX} seats of 1 to {SEAT_BYTES_MAX} bytes each");
            reader.fault(key.span(), message, remedy);
            continue;
        }
        let text = reader.text(&section, name, TEXT_CHARS_MAX);
        let Some(phone) = reader.parsed(text, syntax::phone) else { continue };
        let (user, address, tcp) = phone.value;
        at_home(reader, &phone.span, address.ip());
        let (name, user) = (name.to_owned(), user.to_owned());
        settings.seats.push(SeatSettings { name, user, address, tcp });
    }
    settings.seats.sort_by(|a, b| a.name.cmp(&b.name));
    settings
}

/// Whether both cannot be listened at. Port 0 means any free port.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_host
}

/// Settings of the mail, and the places of relay and sender for the demo's rule.
type Mail = (Option<MailSettings>, Option<Located<String>>, Option<Located<String>>);

fn mail<'a>(reader: &mut Reader<'a>, section: &Section<'a>, folder: &Path) -> Mail {
    reader.check_keys(section, &MAIL_KEYS);
    let relay = reader.required_text(section, "relay", TEXT_CHARS_MAX, "\"mail.example.jp:25\"");
    let relay = reader.parsed(relay, |text| syntax::server(text).map(str::to_owned));
    let sender = reader.required_text(section, "sender", 254, "\"dispatch@city.example.jp\"");
    let sender = reader.parsed(sender, |text| syntax::mail_address(text).map(str::to_owned));
    let domain = reader.text(section, "message_domain", 253);
    let domain = reader.parsed(domain, syntax::domain).map(|domain| domain.value.to_owned());
    let connections = reader.integer(section, "connections", 1..=64);
    let provider_connections = reader.integer(section, "provider_connections", 1..=64);
    let providers = providers(reader, section);
    let starttls = starttls(reader, section, relay.as_ref());
    let login = login(reader, section, folder);
    let settings = relay.as_ref().zip(sender.as_ref()).and_then(|(relay, sender)| {
        let sender_domain = sender.value.rsplit_once('@').map(|(_, domain)| domain.to_owned());
        Some(MailSettings {
            relay: relay.value.clone(),
            connections: narrow(connections, CONNECTIONS),
            provider_connections: narrow(provider_connections, PROVIDER_CONNECTIONS),
            providers: providers.clone(),
            sender: sender.value.clone(),
            message_domain: domain.or(sender_domain)?,
            starttls: starttls?,
            login,
        })
    });
    (settings, relay, sender)
}

/// Mail domains with the provider that serves them, each once.
fn providers<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(table) = reader.table(section, "providers") else { return found };
    for (key, _) in table.table {
        let name = key.get_ref().as_ref();
        if name.is_empty() || name.len() > PROVIDER_NAME_BYTES_MAX {
            let message = format!("a provider's name of {} bytes", name.len());
            let remedy = format!("1 to {PROVIDER_NAME_BYTES_MAX} bytes, such as `docomo`");
            reader.fault(key.span(), message, remedy);
            continue;
        }
        for text in reader.texts(&table, name, PROVIDER_DOMAINS_MAX, 253) {
            let span = text.span.clone();
            let Some(domain) = reader.parsed(Some(text), syntax::domain) else { continue };
            let domain = domain.value.to_ascii_lowercase();
            if let Some(other) = found.insert(domain, name.to_owned()) {
                let message = format!("this domain is served by `{other}` already");
                reader.fault(span, message, "let each domain stand once".to_owned());
            }
        }
    }
    found
}

/// STARTTLS is required, unless the relay is on this machine.
fn starttls<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    relay: Option<&Located<String>>,
) -> Option<bool> {
    let loopback = relay.is_some_and(|relay| syntax::is_loopback(syntax::host(&relay.value)));
    if section.table.get("starttls").is_none() {
        return Some(!loopback);
    }
    let word = word(reader, section, "starttls", "\"required\"", &[true, false], |required| {
        if required { "required" } else { "never" }
    })?;
    if !word.value && !loopback && relay.is_some() {
        let message = "mails would cross the network in the clear".to_owned();
        let remedy = "write \"required\"; \"never\" is for a relay on this machine".to_owned();
        reader.fault(word.span, message, remedy);
        return None;
    }
    Some(word.value)
}

pub(crate) fn login<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    folder: &Path,
) -> Option<(String, PathBuf)> {
    let user = reader.text(section, "user", TEXT_CHARS_MAX);
    let file = reader.text(section, "password_file", TEXT_CHARS_MAX);
    match (user, file) {
        (None, None) => None,
        (Some(user), Some(file)) => {
            let path = folder.join(file.value);
            if !path.is_file() {
                let message = format!("`{}` is no file", path.display());
                let remedy = "put the relay's password alone into this file".to_owned();
                reader.fault(file.span, message, remedy);
            }
            Some((user.value.to_owned(), path))
        }
        (Some(lone), None) | (None, Some(lone)) => {
            let message = "`user` and `password_file` go together".to_owned();
            reader.fault(lone.span, message, "write both, or neither".to_owned());
            None
        }
    }
}

/// Real place names with invented disasters are a hoax when they leak, so a demo can neither look
/// like the real headquarters nor reach a real relay or a real domain.
fn demo_is_harmless(
    reader: &mut Reader<'_>,
    mode: Option<&Located<Mode>>,
    headquarters: Option<&Located<&str>>,
    mail: Option<&Mail>,
) {
    if reader.broken() || mode.is_none_or(|mode| mode.value != Mode::Demo) {
        return;
    }
    let mut refuse = |span: &Range<usize>, message: &str, remedy: &str| {
        reader.fault(span.clone(), message.to_owned(), remedy.to_owned());
    };
    if let Some(name) = headquarters.filter(|name| !name.value.contains(FICTITIOUS)) {
        let message = "a demo's headquarters must show that it is invented";
        refuse(&name.span, message, "put (架空) at the end of the name");
    }
    let Some((_, relay, sender)) = mail else { return };
    let elsewhere = |relay: &&Located<String>| !syntax::is_loopback(syntax::host(&relay.value));
    if let Some(relay) = relay.as_ref().filter(elsewhere) {
        let message = "a demo's mails may not leave this machine";
        refuse(&relay.span, message, "name a relay at 127.0.0.1, such as `hansho-sim mailbox`");
    }
    let real = |sender: &&Located<String>| {
        !sender.value.rsplit_once('@').is_some_and(|(_, domain)| syntax::is_example(domain))
    };
    if let Some(sender) = sender.as_ref().filter(real) {
        let message = "a demo's sender must be at an example domain";
        refuse(&sender.span, message, "write \"demo@hansho.example.jp\"");
    }
}

const KEYS: [&str; 12] = [
    "mode",
    "headquarters",
    "unknown_devices",
    "listen",
    "sip",
    "seats",
    "tls",
    "foreign_broker",
    "mail",
    "answers",
    "data",
    "console",
];
const NUMBERS_MAX: usize = 16;
const TRUNKS_MAX: usize = 64;
const SEATS_MAX: usize = 64;
const SEAT_BYTES_MAX: usize = 32;
const MAIL_KEYS: [&str; 9] = [
    "relay",
    "connections",
    "provider_connections",
    "providers",
    "sender",
    "message_domain",
    "starttls",
    "user",
    "password_file",
];
/// What must stand in the name of a demo's headquarters.
const FICTITIOUS: &str = "架空";
const ANSWER_MINUTES: u16 = 120;
const RESERVE_MIB: u32 = 64;
const SESSION_HOURS: u8 = 12;
const CONNECTIONS: u16 = 8;
const PROVIDER_CONNECTIONS: u16 = 4;
const PROVIDER_NAME_BYTES_MAX: usize = 64;
const PROVIDER_DOMAINS_MAX: usize = 64;
