//! `cargo dev test`: everything that must hold before a change goes in.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::house::House;
use crate::run::{self, Stopwatch, command};
use crate::{Failure, browser, setup, web};

/// Passed and failed tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// A step that is not a suite of tests: its failure counts as one.
    fn of_step(succeeded: bool) -> Self {
        Self { passed: 0, failed: u64::from(!succeeded) }
    }

    /// A suite that failed without a failed test (it did not compile, it was killed) counts as one.
    fn with_exit(mut self, succeeded: bool) -> Self {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

type Step = fn(&House) -> Result<Tally, Failure>;

/// In this order: what is quick to fail comes first, and the pages are built before the programs
/// that hold them.
const STEPS: [(&str, Step); 9] = [
    ("format", format),
    ("lints", lints),
    ("web-build", web_build),
    ("web-types", web_types),
    ("web-units", web_units),
    ("tests", cargo_tests),
    ("browser", browser_flow),
    ("documentation", documentation),
    ("dependencies", dependencies),
];

/// Sets up, runs every step even after a failed one, and ends with `N passed, N failed`. With a name
/// it runs that step alone.
pub(crate) fn run(house: &House, only: Option<&str>) -> Result<(), Failure> {
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    if !STEPS.iter().any(|(name, _)| wanted(name)) {
        let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::Missing {
            what: format!("there is no step `{}`", only.unwrap_or_default()),
            remedy: format!("there are: {}", known.join(", ")),
        });
    }
    let all = Stopwatch::start();
    setup::for_tests(house)?;
    println!("setup: done in {:.1} s", all.elapsed().as_secs_f64());
    let mut tally = Tally::default();
    let mut summary = Vec::new();
    for (name, step) in STEPS.into_iter().filter(|(name, _)| wanted(name)) {
        println!("── {name}");
        let watch = Stopwatch::start();
        let result = step(house).unwrap_or_else(|failure| {
            eprintln!("{name}: {failure}");
            Tally::of_step(false)
        });
        let verdict = if result.failed == 0 { "ok" } else { "FAILED" };
        summary.push(format!("{name:<14} {verdict:<6} {:>7.1} s", watch.elapsed().as_secs_f64()));
        tally.add(result);
    }
    println!("──\n{}", summary.join("\n"));
    println!("all steps took {:.1} s", all.elapsed().as_secs_f64());
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 {
        return Ok(());
    }
    Err(Failure::Check { what: "not all is well; what failed stands above".to_owned() })
}

fn format(house: &House) -> Result<Tally, Failure> {
    let succeeded = run::succeeds(run::cargo(house.root()).args(["fmt", "--all", "--check"]))?;
    Ok(Tally::of_step(succeeded))
}

fn lints(house: &House) -> Result<Tally, Failure> {
    let mut clippy = run::cargo(house.root());
    clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    Ok(Tally::of_step(run::succeeds(&mut clippy)?))
}

fn web_build(house: &House) -> Result<Tally, Failure> {
    web::build(house).map(|()| Tally::default())
}

const WEB: &str = "crates/console/web";

fn web_types(house: &House) -> Result<Tally, Failure> {
    if !house.at(WEB).join("tsconfig.json").is_file() {
        println!("web types: skipped, {WEB} holds no tsconfig.json");
        return Ok(Tally::default());
    }
    let mut check = npx(&house.at(WEB), "svelte-check");
    check.args(["--tsconfig", "./tsconfig.json", "--fail-on-warnings"]);
    Ok(Tally::of_step(run::succeeds(&mut check)?))
}

fn web_units(house: &House) -> Result<Tally, Failure> {
    let folder = house.at(WEB);
    if !folder.join("package.json").is_file() {
        println!("web units: skipped, {WEB} holds no package.json");
        return Ok(Tally::default());
    }
    let report = house.notes()?.join("vitest.json");
    if report.exists() {
        fs::remove_file(&report).map_err(|error| Failure::io("removing an old report", error))?;
    }
    let mut vitest = npx(&folder, "vitest");
    vitest.args(["run", "--reporter=default", "--reporter=json"]);
    vitest.arg(format!("--outputFile.json={}", report.display()));
    let succeeded = run::succeeds(&mut vitest)?;
    let text = fs::read_to_string(&report).unwrap_or_default();
    Ok(vitest_tally(&text).with_exit(succeeded))
}

/// Counts of Vitest's JSON report; nothing when there is none.
fn vitest_tally(report: &str) -> Tally {
    let report: serde_json::Value = serde_json::from_str(report).unwrap_or_default();
    let count = |key: &str| report.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
    Tally { passed: count("numPassedTests"), failed: count("numFailedTests") }
}

/// A program of the folder's own `node_modules`, never fetched.
fn npx(folder: &Path, program: &str) -> Command {
    let mut npx = command(folder, "npx");
    npx.args(["--no-install", program]);
    npx
}

fn cargo_tests(house: &House) -> Result<Tally, Failure> {
    let mut tests = run::cargo(house.root());
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    tests.env("INSTA_UPDATE", "no");
    // Random tests play the same cases every time; a search for new ones is the fuzzer's work.
    tests.env("PROPTEST_RNG_SEED", "20261123");
    let mut tally = Tally::default();
    let succeeded = run::lines(&mut tests, |line| {
        println!("{line}");
        tally.add(cargo_tally(line).unwrap_or_default());
    })?;
    Ok(tally.with_exit(succeeded))
}

/// Counts of one suite: `test result: ok. 15 passed; 0 failed; 0 ignored; ...`.
fn cargo_tally(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
    };
    Some(Tally { passed: count("passed")?, failed: count("failed")? })
}

fn browser_flow(house: &House) -> Result<Tally, Failure> {
    // The program that it starts has the pages in it as they are now.
    web::build(house)?;
    let (passed, failed, succeeded) = browser::flow(house)?;
    Ok(Tally { passed, failed }.with_exit(succeeded))
}

fn documentation(house: &House) -> Result<Tally, Failure> {
    let mut doc = run::cargo(house.root());
    doc.args(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    Ok(Tally::of_step(run::succeeds(&mut doc)?))
}

fn dependencies(house: &House) -> Result<Tally, Failure> {
    if !run::is_installed("cargo-deny") {
        println!("dependencies: skipped, cargo-deny is not installed (cargo install cargo-deny)");
        return Ok(Tally::default());
    }
    let mut deny = run::cargo(house.root());
    deny.args(["deny", "check"]);
    Ok(Tally::of_step(run::succeeds(&mut deny)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_lines_are_counted() {
        let ok = "test result: ok. 15 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; \
                  finished in 0.19s";
        assert_eq!(cargo_tally(ok), Some(Tally { passed: 15, failed: 0 }));
        let bad = "test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(cargo_tally(bad), Some(Tally { passed: 5, failed: 1 }));
        assert_eq!(cargo_tally("test tests::result ... ok"), None);
        assert_eq!(cargo_tally("test result: who knows"), None);
    }

    #[test]
    fn vitests_report_is_counted() {
        let report = r#"{"numTotalTests":4,"numPassedTests":3,"numFailedTests":1}"#;
        assert_eq!(vitest_tally(report), Tally { passed: 3, failed: 1 });
        assert_eq!(vitest_tally(""), Tally::default());
    }

    #[test]
    fn a_suite_that_did_not_run_counts_as_failed() {
        let nothing = Tally::default();
        assert_eq!(nothing.with_exit(false).failed, 1);
        assert_eq!(nothing.with_exit(true).failed, 0);
        assert_eq!(Tally { passed: 0, failed: 3 }.with_exit(false).failed, 3);
        assert_eq!(Tally::of_step(false).failed, 1);
    }
}
