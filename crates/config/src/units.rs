//! `units.toml`: stations, and the vehicles that stand in them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use hansho_model::{
    Ability, Availability, AvailabilityReason, Position, UnitEntry, UnitFound, UnitKind,
    UnitStatus, Usable, is_terminal_id,
};

use crate::fault::Fault;
use crate::reader::{Located, ParsedToml, Reader, Section};
use crate::source::Source;
use crate::syntax::nearest;
use crate::{STATIONS_MAX, UNITS_MAX};

/// Units in the order of the file, and how those are found that are not simply there.
pub(crate) type Units = (Vec<UnitEntry>, Vec<UnitFound>);

/// Reads `units.toml` in `dir`; a house without the file has no vehicles.
pub(crate) fn read(dir: &Path) -> (Units, Vec<Fault>) {
    let source = match Source::read_if_there(dir, "units.toml") {
        Ok(Some(source)) => source,
        Ok(None) => return (Units::default(), Vec::new()),
        Err(fault) => return (Units::default(), vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let root = parsed.root();
    reader.check_keys(&root, &["stations", "units"]);
    let stations = reader.table(&root, "stations");
    let stations = stations.map(|section| stations_of(&mut reader, &section)).unwrap_or_default();
    let units = reader.table(&root, "units");
    let units = units.map(|section| units_of(&mut reader, &section, &stations)).unwrap_or_default();
    (units, reader.into_faults())
}

fn stations_of<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
) -> BTreeMap<&'a str, Option<Position>> {
    let mut stations = BTreeMap::new();
    if section.table.len() > STATIONS_MAX {
        let message = format!("{} stations are in the register", section.table.len());
        reader.fault(section.place.clone(), message, format!("{STATIONS_MAX} are allowed"));
    }
    for (key, value) in section.table {
        let name = key.get_ref().as_ref();
        check_name(reader, name, key.span());
        let station = reader.as_table(name.to_owned(), key.span(), value);
        let position = station.and_then(|station| {
            reader.check_keys(&station, &["lat", "lon"]);
            reader.position(&station)
        });
        // One with a fault stays in, so that its vehicles are not at fault, too.
        stations.insert(name, position);
    }
    stations
}

/// A vehicle as the file has it, before crews are shared.
struct Vehicle<'a> {
    entry: UnitEntry,
    /// The vehicle whose crew it has.
    crew_of: Option<Located<&'a str>>,
    place: Range<usize>,
}

fn units_of<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    stations: &BTreeMap<&str, Option<Position>>,
) -> Units {
    if section.table.len() > UNITS_MAX {
        let message = format!("{} units are in the register", section.table.len());
        reader.fault(section.place.clone(), message, format!("{UNITS_MAX} are allowed"));
    }
    let mut vehicles = Vec::new();
    let mut found = Vec::new();
    for (key, value) in section.table {
        let name = key.get_ref().as_ref();
        check_name(reader, name, key.span());
        let Some(unit) = reader.as_table(name.to_owned(), key.span(), value) else { continue };
        if let Some(table) = reader.table(&unit, "found") {
            found.extend(found_of(reader, name, &table));
        }
        vehicles.extend(vehicle(reader, name, &unit, stations));
    }
    // The board keeps the order of the file: people learn where a unit stands.
    vehicles.sort_by_key(|vehicle| vehicle.place.start);
    share_crews(reader, &mut vehicles);
    check_terminals(reader, &vehicles);
    (vehicles.into_iter().map(|vehicle| vehicle.entry).collect(), found)
}

fn check_name(reader: &mut Reader<'_>, name: &str, span: Range<usize>) {
    let blank = name.chars().any(|sign| sign.is_whitespace() || sign.is_control());
    if name.is_empty() || blank || name.chars().count() > NAME_CHARS_MAX {
        let remedy = format!("use 1 to {NAME_CHARS_MAX} characters without blanks");
        reader.fault(span, format!("`{name}` is no name for the radio"), remedy);
    }
}

fn vehicle<'a>(
    reader: &mut Reader<'a>,
    name: &str,
    section: &Section<'a>,
    stations: &BTreeMap<&str, Option<Position>>,
) -> Option<Vehicle<'a>> {
    reader.check_keys(
        section,
        &["station", "kind", "crew", "crew_of", "reserve", "also", "found", "terminal"],
    );
    let station = reader.required_text(section, "station", NAME_CHARS_MAX, "\"平\"");
    let station = station.and_then(|station| {
        let known = stations.get(station.value);
        if known.is_none() {
            let remedy = match nearest(station.value, stations.keys().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `{}` to [stations]", station.value),
            };
            let message = format!("no station is called `{}`", station.value);
            reader.fault(station.span.clone(), message, remedy);
        }
        known.map(|position| (station.value, *position))
    });
    let kind = reader.required_text(section, "kind", NAME_CHARS_MAX, "\"PUMP\"");
    let kind = reader.word(kind, UnitKind::ALL, UnitKind::as_str);
    let mut also = Vec::new();
    for text in reader.texts(section, "also", Ability::ALL.len(), NAME_CHARS_MAX) {
        also.extend(reader.word(Some(text), Ability::ALL, Ability::as_str));
    }
    let crew = reader.integer(section, "crew", 1..=CREW_MAX);
    let crew_of = reader.text(section, "crew_of", NAME_CHARS_MAX);
    let terminal = reader.text(section, "terminal", NAME_CHARS_MAX);
    let terminal = reader.parsed(terminal, terminal_id);
    let reserve = reader.boolean(section, "reserve").unwrap_or(false);
    let ways = [section.table.contains_key("crew"), section.table.contains_key("crew_of"), reserve];
    if ways.iter().filter(|way| **way).count() != 1 && !reader.broken() {
        let message = format!("it must be said who drives `{name}`, and once");
        let remedy = "add `crew = 4`, or `crew_of = \"...\"` for a vehicle that shares the crew of \
                      another, or `reserve = true`";
        reader.fault(section.place.clone(), message, remedy.to_owned());
    }
    let (station, position) = station?;
    let kind = kind?;
    let entry = UnitEntry {
        call_sign: name.to_owned(),
        station: station.to_owned(),
        position: position?,
        kind,
        abilities: abilities(kind, &also),
        crew: crew.and_then(|crew| u8::try_from(crew).ok()).unwrap_or(0),
        cross_staffed_with: None,
        reserve,
        terminal: terminal.map(|id| id.value),
    };
    Some(Vehicle { entry, crew_of, place: section.place.clone() })
}

fn terminal_id(text: &str) -> Result<String, (String, String)> {
    if is_terminal_id(text) {
        return Ok(text.to_ascii_uppercase());
    }
    let remedy = "use 1 to 32 of `A-Z a-z 0-9 -`, as in its certificate; no `-` at either end";
    Err((format!("`{text}` is no id of a terminal"), remedy.to_owned()))
}

/// Two units that shared a terminal could not be told apart.
fn check_terminals(reader: &mut Reader<'_>, vehicles: &[Vehicle<'_>]) {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for vehicle in vehicles {
        let Some(terminal) = &vehicle.entry.terminal else { continue };
        if let Some(other) = known.insert(terminal, &vehicle.entry.call_sign) {
            let message = format!("`{other}` has the terminal {terminal} already");
            reader.fault(vehicle.place.clone(), message, "give each its own".to_owned());
        }
    }
}

/// What a kind of vehicle can do by itself, and what this one can do beside.
fn abilities(kind: UnitKind, also: &[Ability]) -> Vec<Ability> {
    let usual: &[Ability] = match kind {
        UnitKind::Command => &[Ability::Command],
        UnitKind::Pump => &[Ability::Pump],
        UnitKind::Tank => &[Ability::Pump, Ability::Water],
        UnitKind::Mini => {
            &[Ability::Pump, Ability::Water, Ability::FourWheelDrive, Ability::Narrow]
        }
        UnitKind::Ladder => &[Ability::Ladder],
        UnitKind::Rescue => &[Ability::Rescue, Ability::Extrication, Ability::ThermalCamera],
        UnitKind::Chemical => &[Ability::Pump, Ability::Foam],
        UnitKind::Boat => &[Ability::WaterRescue],
        UnitKind::Logistics => &[Ability::Lighting, Ability::AirRefill],
        UnitKind::Ambulance => &[Ability::Ambulance],
    };
    let has = |each: &Ability| usual.contains(each) || also.contains(each);
    Ability::ALL.iter().copied().filter(has).collect()
}

/// Two vehicles with one crew know each other; three cannot share one.
fn share_crews(reader: &mut Reader<'_>, vehicles: &mut [Vehicle<'_>]) {
    let mut pairs: BTreeMap<String, String> = BTreeMap::new();
    let known: BTreeMap<String, bool> =
        vehicles.iter().map(|each| (each.entry.call_sign.clone(), each.entry.crew > 0)).collect();
    for vehicle in vehicles.iter() {
        let Some(of) = &vehicle.crew_of else { continue };
        let own = &vehicle.entry.call_sign;
        let fault = match known.get(of.value) {
            None => {
                let near = nearest(of.value, known.keys().map(String::as_str));
                let remedy = near.map_or_else(
                    || format!("add `{}`, or say `crew = ...`", of.value),
                    |near| format!("did you mean `{near}`?"),
                );
                Some((format!("no unit is called `{}`", of.value), remedy))
            }
            Some(false) => {
                let message = format!("`{}` has no crew of its own", of.value);
                Some((message, "name the vehicle of the two that has `crew`".to_owned()))
            }
            Some(true) => pairs.insert(of.value.to_owned(), own.clone()).map(|other| {
                let message = format!("`{other}` shares the crew of `{}` already", of.value);
                (message, "two vehicles can share a crew, three cannot".to_owned())
            }),
        };
        if let Some((message, remedy)) = fault {
            reader.fault(of.span.clone(), message, remedy);
        }
    }
    let crews: BTreeMap<String, u8> =
        vehicles.iter().map(|each| (each.entry.call_sign.clone(), each.entry.crew)).collect();
    for vehicle in vehicles {
        let entry = &mut vehicle.entry;
        if let Some(of) = &vehicle.crew_of {
            entry.crew = crews.get(of.value).copied().unwrap_or(0);
            entry.cross_staffed_with = Some(of.value.to_owned());
        } else {
            entry.cross_staffed_with = pairs.get(&entry.call_sign).cloned();
        }
    }
}

fn found_of<'a>(reader: &mut Reader<'a>, name: &str, section: &Section<'a>) -> Option<UnitFound> {
    reader.check_keys(section, &["availability", "reason", "minutes", "status", "since_min"]);
    let availability = reader.text(section, "availability", NAME_CHARS_MAX);
    let availability = reader.word(availability, Availability::ALL, Availability::as_str);
    let reason = reader.text(section, "reason", NAME_CHARS_MAX);
    let reason = reader.word(reason, AvailabilityReason::ALL, AvailabilityReason::as_str);
    let minutes = reader.integer(section, "minutes", 1..=1_440);
    let status = reader.text(section, "status", NAME_CHARS_MAX);
    let out: Vec<UnitStatus> = UnitStatus::ALL
        .iter()
        .copied()
        .filter(|each| {
            !matches!(each, UnitStatus::Ordered | UnitStatus::InStation | UnitStatus::Cancelled)
        })
        .collect();
    let status = reader.word(status, &out, UnitStatus::as_str);
    let since = reader.integer(section, "since_min", 0..=i64::from(u16::MAX));
    let short = |number: i64| u16::try_from(number).ok();
    let usable = Usable {
        availability: availability.unwrap_or(Availability::Available),
        reason,
        minutes: minutes.and_then(short),
    };
    if !usable.is_whole() {
        let message = format!("how `{name}` is found does not agree with itself");
        let remedy = "OO needs a `reason`, AD needs `minutes`, AV and OF need neither";
        reader.fault(section.place.clone(), message, remedy.to_owned());
        return None;
    }
    let since_min = since.and_then(short).unwrap_or(0);
    Some(UnitFound { call_sign: name.to_owned(), usable, status, since_min })
}

const NAME_CHARS_MAX: usize = 32;
const CREW_MAX: i64 = 12;
