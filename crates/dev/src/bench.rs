//! `cargo dev bench`: our numbers beside those of our peers, measured in the same run.

use std::path::Path;

use serde_json::Value;

use crate::Failure;
use crate::house::{House, write_file};
use crate::run;

/// A benchmark: its name, and the package it stands in. It is a `[[bench]]` without a harness that
/// prints one JSON object a line: bench, case, ours, peer, peer_name, ratio, unit, better.
const BENCHES: [(&str, &str); 8] = [
    ("journal", "hansho-journal"),
    ("intake", "hansho-engine"),
    ("call", "hansho"),
    ("quic", "hansho"),
    ("replay", "hansho-engine"),
    ("start", "hansho"),
    ("evening", "hansho"),
    ("mail", "hansho-alerts"),
];

/// Events of a journal of full size.
const FULL_EVENTS: &str = "10000000";

/// How much a benchmark does, where it leaves a choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// The size that a city reaches in years.
    pub(crate) full: bool,
    /// How long it plays.
    pub(crate) minutes: Option<u16>,
}

/// Runs one benchmark or all of them, prints a table of ratios, and writes the rows as JSON.
pub(crate) fn run(
    house: &House,
    name: Option<&str>,
    json: Option<&Path>,
    size: Size,
) -> Result<(), Failure> {
    let chosen: Vec<_> =
        BENCHES.into_iter().filter(|(bench, _)| name.is_none_or(|name| name == *bench)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = BENCHES.iter().map(|(bench, _)| *bench).collect();
        return Err(Failure::Missing {
            what: format!("there is no benchmark `{}`", name.unwrap_or_default()),
            remedy: format!("there are: {}", known.join(", ")),
        });
    }
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (bench, package) in chosen {
        println!("── {bench}");
        let mut cargo = run::cargo(house.root());
        cargo.args(["bench", "--quiet", "--package", package, "--bench", bench]);
        if size.full {
            cargo.env("HANSHO_BENCH_EVENTS", FULL_EVENTS);
        }
        if let Some(minutes) = size.minutes {
            cargo.env("HANSHO_BENCH_MINUTES", minutes.to_string());
        }
        let succeeded = run::lines(&mut cargo, |line| match row(line) {
            Some(row) => rows.push(row),
            None => println!("{line}"),
        })?;
        if !succeeded {
            failed.push(bench);
        }
    }
    println!("{}", table(&rows));
    if let Some(file) = json {
        write_file(file, &format!("{:#}\n", Value::Array(rows)))?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Check { what: format!("failed: {}", failed.join(", ")) })
}

/// A row, when the line is one.
fn row(line: &str) -> Option<Value> {
    let row: Value = serde_json::from_str(line).ok()?;
    FIELDS.iter().all(|field| row.get(field).is_some()).then_some(row)
}

const FIELDS: [&str; 8] = ["bench", "case", "ours", "peer", "peer_name", "ratio", "unit", "better"];

/// A table for people; a ratio is ours divided by the peer's.
fn table(rows: &[Value]) -> String {
    let head = ["benchmark", "case", "ours", "peer", "unit", "ratio", "better", "peer's name"];
    let mut lines = vec![head.map(str::to_owned)];
    for row in rows {
        let cells = ["bench", "case", "ours", "peer", "unit", "ratio", "better", "peer_name"];
        lines.push(cells.map(|field| cell(&row[field])));
    }
    let mut widths = [0; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = lines.iter().map(|line| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn cell(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    match value.as_f64() {
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) => format!("{number:.3}"),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_other_lines_and_make_a_table() {
        let line = r#"{"bench":"journal","case":"batch 64","ours":81234.5,"peer":40617.25,"peer_name":"log file","ratio":2.0,"unit":"events/s","better":"higher"}"#;
        let rows = [row(line).unwrap()];
        assert!(row("running 3 cases").is_none());
        assert!(row(r#"{"bench":"journal"}"#).is_none());
        let table = table(&rows);
        let (head, body) = table.split_once('\n').unwrap();
        assert!(head.starts_with("benchmark  case      ours   peer   unit"), "{table}");
        assert!(body.starts_with("journal    batch 64  81234  40617  events/s  2.000"), "{table}");
    }

    #[test]
    fn an_unknown_benchmark_names_the_known() {
        let failure =
            run(&House::find().unwrap(), Some("speed"), None, Size::default()).unwrap_err();
        assert!(
            failure
                .to_string()
                .contains("there are: journal, intake, call, quic, replay, start, evening, mail"),
            "{failure}"
        );
        assert_eq!(failure.exit_code(), 2);
    }
}
