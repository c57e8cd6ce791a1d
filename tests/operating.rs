//! The page of the person who runs it says what is: every metric and no other, commands that the
//! program knows, files that are there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use hansho_telemetry::{Counter, Gauge, Histogram, Metric};

use crate::house::setup::Setup;
use crate::house::{House, PROGRAM, text};

const PAGE: &str = include_str!("../config/OPERATING.md");

/// Metrics and their labels in the page's table.
fn on_the_page() -> BTreeSet<(String, String)> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `hansho_"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .map(|cells| {
            assert!(cells.len() == 5 && !cells[2].is_empty() && !cells[3].is_empty(), "{cells:?}");
            (format!("hansho_{}", cells[0].trim_end_matches('`')), cells[1].to_owned())
        })
        .collect()
}

fn all<M: Metric>() -> impl Iterator<Item = (String, String)> {
    M::ALL.iter().map(|metric| (metric.name().to_owned(), metric.label().to_owned()))
}

#[test]
fn every_metric_stands_on_the_page_and_no_other() {
    let declared: BTreeSet<_> =
        all::<Counter>().chain(all::<Gauge>()).chain(all::<Histogram>()).collect();
    let page = on_the_page();
    let missing: Vec<_> = declared.difference(&page).collect();
    let gone: Vec<_> = page.difference(&declared).collect();
    assert!(missing.is_empty() && gone.is_empty(), "missing {missing:?}, gone {gone:?}");
}

#[test]
fn what_the_program_shows_stands_on_the_page() {
    let house = House::start_new(&Setup::new(Vec::new()));
    let page: BTreeSet<String> = on_the_page().into_iter().map(|(name, _label)| name).collect();
    let shown = text(&house.client().get("/metrics").unwrap().body);
    let names = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let unknown: Vec<&str> = names.filter(|name| !page.contains(*name)).collect();
    assert!(unknown.is_empty() && shown.contains("# TYPE"), "{unknown:?}");
    let health = house.client().get("/healthz").unwrap().json();
    assert!(health["ok"] == true && health["seq"].is_u64(), "{health}");
}

/// The lines that are to be typed.
fn commands() -> impl Iterator<Item = &'static str> {
    PAGE.split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix("sh\n"))
        .flat_map(str::lines)
}

#[test]
fn the_program_knows_every_command_of_the_page() {
    let mut seen = BTreeSet::new();
    for line in commands() {
        let words: Vec<&str> = line.split('|').next().unwrap().split_whitespace().collect();
        let program = |word: &&str| ["hansho", "target/release/hansho"].contains(word);
        let as_user = words.first().is_some_and(|word| *word == "sudo")
            && words.get(1).is_some_and(|word| *word == "-u");
        let words = if as_user { words.get(3..).unwrap_or_default() } else { &words };
        let Some((_, arguments)) = words.split_first().filter(|(first, _)| program(first)) else {
            continue;
        };
        let output = Command::new(PROGRAM).args(arguments).arg("--help").output().unwrap();
        assert!(output.status.success(), "{line}\n{}", text(&output.stderr));
        seen.insert(arguments[0]);
    }
    let wanted = ["backup", "check-config", "journal", "restore", "terminal"];
    assert_eq!(seen, BTreeSet::from(wanted));
}

#[test]
fn the_files_of_the_page_and_of_the_units_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let words = commands().flat_map(str::split_whitespace);
    let files: Vec<&str> = words.filter(|word| word.starts_with("config/")).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert!(root.join(file).is_file(), "{file}");
    }
}
