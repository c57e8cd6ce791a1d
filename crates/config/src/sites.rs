//! `sites.toml`: satellite modems of the house, and the sites that are reached through them.

use std::path::{Path, PathBuf};

use hansho_model::DistrictId;

use crate::fault::Fault;
use crate::reader::{ParsedToml, Reader, Section};
use crate::source::Source;
use crate::{DISTRICT_MAX, MODEMS_MAX, Modem, SITES_MAX, Satellite, SatelliteSite, TEXT_CHARS_MAX};

/// Reads `sites.toml` in `dir`; a house without the file has no satellite modem.
pub(crate) fn read(dir: &Path) -> (Satellite, Vec<Fault>) {
    let source = match Source::read_if_there(dir, "sites.toml") {
        Ok(Some(source)) => source,
        Ok(None) => return (Satellite::default(), Vec::new()),
        Err(fault) => return (Satellite::default(), vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let root = parsed.root();
    reader.check_keys(&root, &["modems", "sites"]);
    let modems = reader.table(&root, "modems");
    let modems = modems.map(|section| modems_of(&mut reader, &section)).unwrap_or_default();
    let sites = reader.table(&root, "sites");
    let sites = sites.map(|section| sites_of(&mut reader, &section)).unwrap_or_default();
    (Satellite { modems, sites }, reader.into_faults())
}

fn modems_of<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<Modem> {
    let mut modems: Vec<Modem> = Vec::new();
    if section.table.len() > MODEMS_MAX {
        let message = format!("{} modems are in the register", section.table.len());
        reader.fault(section.place.clone(), message, format!("{MODEMS_MAX} are allowed"));
    }
    for (key, value) in section.table {
        let name = key.get_ref().as_ref();
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain {
            let remedy = format!("use 1 to {NAME_BYTES_MAX} of a-z and -, such as `roof`");
            reader.fault(key.span(), format!("`{name}` is no name for a modem"), remedy);
        }
        let Some(modem) = reader.as_table(name.to_owned(), key.span(), value) else { continue };
        reader.check_keys(&modem, &["port", "model", "mailbox_minutes"]);
        let example = "\"/dev/serial/by-id/...\"";
        let port = reader.required_text(&modem, "port", TEXT_CHARS_MAX, example);
        let model = reader.text(&modem, "model", TEXT_CHARS_MAX);
        let long = reader.word(model, &[false, true], |long| if long { "9523" } else { "9602" });
        let minutes = reader.integer(&modem, "mailbox_minutes", 5..=1_440);
        let Some(port) = port else { continue };
        let path = PathBuf::from(port.value);
        if modems.iter().any(|other| other.port == path) {
            let message = format!("`{}` is another modem's port already", port.value);
            reader.fault(port.span, message, "give each modem a port of its own".to_owned());
        }
        modems.push(Modem {
            name: name.to_owned(),
            port: path,
            long_messages: long.unwrap_or(false),
            mailbox_minutes: minutes.and_then(|each| u16::try_from(each).ok()).unwrap_or(30),
        });
    }
    modems
}

fn sites_of<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<SatelliteSite> {
    let mut sites = Vec::new();
    if section.table.len() > SITES_MAX {
        let message = format!("{} sites are in the register", section.table.len());
        reader.fault(section.place.clone(), message, format!("{SITES_MAX} are allowed"));
    }
    for (key, value) in section.table {
        let imei = key.get_ref().as_ref();
        if imei.len() != IMEI_DIGITS || !imei.bytes().all(|byte| byte.is_ascii_digit()) {
            let remedy = format!("write the {IMEI_DIGITS} digits that stand on the handset");
            reader.fault(key.span(), format!("`{imei}` is no IMEI"), remedy);
        }
        let Some(site) = reader.as_table(imei.to_owned(), key.span(), value) else { continue };
        reader.check_keys(&site, &["name", "district"]);
        let name = reader.required_text(&site, "name", NAME_CHARS_MAX, "\"川前支所\"");
        let district = reader.integer(&site, "district", 1..=i64::from(DISTRICT_MAX));
        let district = district.and_then(|id| u8::try_from(id).ok()).map(DistrictId);
        let Some(name) = name else { continue };
        sites.push(SatelliteSite { imei: imei.to_owned(), name: name.value.to_owned(), district });
    }
    sites.sort_by(|a, b| a.imei.cmp(&b.imei));
    sites
}

const IMEI_DIGITS: usize = 15;
const NAME_BYTES_MAX: usize = 16;
const NAME_CHARS_MAX: usize = 40;
