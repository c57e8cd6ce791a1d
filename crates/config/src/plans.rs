//! `plans.toml`: response plans (出動計画), what goes out at once for a kind of incident.

use std::path::Path;

use hansho_model::{Ability, IncidentKind, IncidentSubkind, Plan, PlanNeed};

use crate::fault::Fault;
use crate::reader::{ParsedToml, Reader, Section};
use crate::source::Source;
use crate::{PLAN_NEEDS_MAX, PLANS_MAX};

/// Reads `plans.toml` in `dir`; a house without the file recommends nothing.
pub(crate) fn read(dir: &Path) -> (Vec<Plan>, Vec<Fault>) {
    let source = match Source::read_if_there(dir, "plans.toml") {
        Ok(Some(source)) => source,
        Ok(None) => return (Vec::new(), Vec::new()),
        Err(fault) => return (Vec::new(), vec![*fault]),
    };
    let parsed = ParsedToml::new(&source);
    let mut reader = Reader::new(&source, &parsed);
    let root = parsed.root();
    if root.table.len() > PLANS_MAX {
        let message = format!("{} plans are in the file", root.table.len());
        reader.fault(0..0, message, format!("{PLANS_MAX} are allowed"));
    }
    let mut plans = Vec::new();
    for (key, value) in root.table {
        let name = key.get_ref().as_ref();
        let (kind, subkind) = match name.split_once('/') {
            Some((kind, subkind)) => (kind, Some(subkind)),
            None => (name, None),
        };
        let known = IncidentKind::from_word(kind);
        if known.is_none() {
            let words: Vec<&str> = IncidentKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let message = format!("`{kind}` is no kind of incident");
            reader.fault(key.span(), message, format!("known kinds are {}", words.join(", ")));
        }
        let level = match (known, subkind) {
            (Some(known), Some(word)) => {
                let found = IncidentSubkind::from_word(word).filter(|level| level.kind() == known);
                if found.is_none() {
                    let levels = IncidentSubkind::ALL.iter().filter(|level| level.kind() == known);
                    let words: Vec<&str> = levels.map(|level| level.as_str()).collect();
                    let message = format!("`{word}` is no second level of `{kind}`");
                    let remedy = match words.as_slice() {
                        [] => "it has none: write the kind alone".to_owned(),
                        words => format!("known ones are {}", words.join(", ")),
                    };
                    reader.fault(key.span(), message, remedy);
                    continue;
                }
                found
            }
            _ => None,
        };
        let Some(section) = reader.as_table(name.to_owned(), key.span(), value) else { continue };
        reader.check_keys(&section, &["first"]);
        let first = needs(&mut reader, &section);
        plans.extend(known.map(|kind| Plan { kind, subkind: level, first }));
    }
    (plans, reader.into_faults())
}

fn needs<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<PlanNeed> {
    if !section.table.contains_key("first") {
        let example = "[{ ability = \"ambulance\", count = 1 }]";
        reader.required(section, "first", example);
    }
    let sections = reader.tables(section, "first", PLAN_NEEDS_MAX);
    sections.iter().filter_map(|section| need(reader, section)).collect()
}

fn need<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<PlanNeed> {
    reader.check_keys(section, &["ability", "count", "with", "with_count"]);
    let ability = reader.required_text(section, "ability", 32, "\"pump\"");
    let ability = reader.word(ability, Ability::ALL, Ability::as_str);
    let count = reader.integer(section, "count", 1..=UNITS_OF_NEED_MAX).unwrap_or(1);
    let with = reader.text(section, "with", 32);
    let with = reader.word(with, Ability::ALL, Ability::as_str);
    let with_count = reader.integer(section, "with_count", 1..=count);
    if with.is_none() && with_count.is_some() {
        let message = "`with_count` says how many, but not of what".to_owned();
        reader.fault(section.place.clone(), message, "add `with = \"water\"`".to_owned());
    }
    let number = |count: i64| u8::try_from(count).unwrap_or(u8::MAX);
    let with = with.map(|ability| (ability, number(with_count.unwrap_or(1))));
    Some(PlanNeed { ability: ability?, count: number(count), with })
}

const UNITS_OF_NEED_MAX: i64 = 32;
