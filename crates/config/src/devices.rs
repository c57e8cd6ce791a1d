//! `devices.toml`: registered devices by source name.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use hansho_model::{DistrictId, MetresU32, Private, Zone};

use crate::fault::Fault;
use crate::mqtt;
use crate::people::People;
use crate::reader::{Located, ParsedToml, Reader, Section};
use crate::source::Source;
use crate::syntax::{self, nearest};
use crate::{
    DEVICES_MAX, DISTRICT_MAX, Device, HELPERS_MAX, TEXT_CHARS_MAX, ZONE_NAME_BYTES_MAX, ZONES_MAX,
};

/// Reads `devices.toml` in `dir`; `people` is `None` when that register could not be read, and
/// then its keys are not asked for.
pub(crate) fn read(
    dir: &Path,
    people: Option<&People>,
) -> (Option<BTreeMap<String, Device>>, Vec<Fault>) {
    let source = match Source::read(dir, "devices.toml") {
        Ok(source) => source,
        Err(fault) => return (None, vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let devices = devices(&mut reader, &parsed.root(), people);
    (Some(devices), reader.into_faults())
}

fn devices<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    people: Option<&People>,
) -> BTreeMap<String, Device> {
    if root.table.len() > DEVICES_MAX {
        let message = format!("{} devices are in the register", root.table.len());
        reader.fault(0..0, message, format!("{DEVICES_MAX} are allowed"));
    }
    let mut devices = BTreeMap::new();
    // Accounts are hexadecimal: `4a01` and `4A01` are one device, whichever the panel sends.
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (key, value) in root.table {
        let name = key.get_ref().as_ref();
        if let Err((message, remedy)) = syntax::source_name(name) {
            reader.fault(key.span(), message, remedy);
        }
        let canonical = canonical(name);
        if let Some(other) = seen.insert(canonical.clone(), name) {
            let message = format!("`{name}` and `{other}` are one device");
            reader.fault(key.span(), message, "keep one of them".to_owned());
        }
        let Some(section) = reader.as_table(name.to_owned(), key.span(), value) else { continue };
        if let Some(device) = device(reader, &section, people) {
            devices.insert(canonical, device);
        }
    }
    devices
}

/// The name under which a report of this device comes in: sessions hand accounts out in capitals.
fn canonical(name: &str) -> String {
    name.split_once(':').map_or_else(
        || name.to_owned(),
        |(door, device)| format!("{door}:{}", device.to_ascii_uppercase()),
    )
}

fn device<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    people: Option<&People>,
) -> Option<Device> {
    let mut keys = vec!["subscriber", "helpers", "district", "address", "zones", "interval_s"];
    let logs_in = section.name.starts_with("mqtt:");
    keys.extend(if logs_in { &mqtt::LOGIN_KEYS[..] } else { &["aes_key"] });
    reader.check_keys(section, &keys);
    let subscriber =
        reader.required_text(section, "subscriber", TEXT_CHARS_MAX, "\"subscriber-0001\"");
    let known = |reader: &mut Reader<'a>, key: &Located<&'a str>| {
        if let Some(people) = people.filter(|people| !people.contains_key(key.value)) {
            unknown_person(reader, key.value, key.span.clone(), people);
        }
    };
    if let Some(subscriber) = &subscriber {
        known(reader, subscriber);
    }
    let mut helpers: Vec<String> = Vec::new();
    for helper in reader.texts(section, "helpers", HELPERS_MAX, TEXT_CHARS_MAX) {
        known(reader, &helper);
        if helpers.iter().any(|other| other == helper.value) {
            let message = format!("helper `{}` stands here twice", helper.value);
            reader.fault(helper.span, message, "keep one of them".to_owned());
        } else {
            helpers.push(helper.value.to_owned());
        }
    }
    let district = reader.integer(section, "district", 1..=i64::from(DISTRICT_MAX));
    let address = reader.text(section, "address", TEXT_CHARS_MAX);
    let aes_key = reader.text(section, "aes_key", 512);
    let aes_key = reader.parsed(aes_key, syntax::aes_key);
    let zones = zones(reader, section);
    let interval = reader.integer(section, "interval_s", 30..=86_400);
    let login = logs_in.then(|| mqtt::login(reader, section));
    Some(Device {
        subscriber: subscriber?.value.to_owned(),
        helpers,
        district: district.and_then(|id| u8::try_from(id).ok()).map(DistrictId),
        address: address.map(|address| Private(address.value.to_owned())),
        aes_key: aes_key.map(|key| Private(key.value)),
        zones,
        interval_s: interval.and_then(|seconds| u32::try_from(seconds).ok()),
        login: match login {
            Some(login) => Some(login?),
            None => None,
        },
    })
}

/// Safe zones: circles with a name, each name once.
fn zones<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for section in reader.tables(section, "zones", ZONES_MAX) {
        reader.check_keys(&section, &["name", "lat", "lon", "radius_m"]);
        let name = reader.required_text(&section, "name", ZONE_NAME_BYTES_MAX, "\"自宅\"");
        let name = reader.parsed(name, syntax::zone_name);
        let centre = reader.position(&section);
        let radius = reader.integer(&section, "radius_m", 20..=50_000);
        let radius = radius.and_then(|metres| u32::try_from(metres).ok()).map(MetresU32);
        if section.table.get("radius_m").is_none() {
            reader.required(&section, "radius_m", "200");
        }
        let (Some(name), Some(centre), Some(radius)) = (name, centre, radius) else { continue };
        if zones.iter().any(|other| other.name == name.value) {
            let message = format!("zone `{}` stands here twice", name.value);
            reader.fault(name.span, message, "give one of them another name".to_owned());
            continue;
        }
        zones.push(Zone { name: name.value.to_owned(), centre, radius });
    }
    zones
}

fn unknown_person(reader: &mut Reader<'_>, key: &str, span: Range<usize>, people: &People) {
    let remedy = match nearest(key, people.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? Or add `{key}` to people.toml"),
        None => format!("add `{key}` to people.toml"),
    };
    reader.fault(span, format!("nobody in people.toml has the key `{key}`"), remedy);
}
