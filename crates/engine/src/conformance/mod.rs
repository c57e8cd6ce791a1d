//! Conformance files: cases that the formats' references publish, run against our own code.
//!
//! A file holds one JSON object a line. `protocol` (in files about calls `kind`) names the kind of
//! the case; one about CAP names instead the `file` beside it that holds its document. Kinds that are
//! not spoken yet are counted as skipped, so that a folder can be run as it is. A line that is no JSON
//! object, or a case that lacks what its kind needs, has failed: a damaged file must not look green.

mod bench;
mod calls;
mod cap;
mod dc09;
mod repeat;
mod satphones;
mod trackers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hansho_protocols::{Accounts, Protocol, UnknownDevices};
use serde_json::Value;

pub use bench::decode;

/// Deepest folder below a given path that is looked into.
const DEPTH_MAX: usize = 8;

/// What came of a run. `Display` prints a line per failing case and the closing line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Cases that came out as their file says.
    pub passed: usize,
    /// Cases that did not.
    pub failed: Vec<Failure>,
    /// Cases of kinds that we do not speak yet.
    pub skipped: usize,
}

/// A case that did not come out as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// File it stands in.
    pub file: PathBuf,
    /// Line of the file, from 1; 0 for the file itself.
    pub line: usize,
    /// Kind and name of the case.
    pub name: String,
    /// What differs.
    pub mismatch: Mismatch,
}

/// What differs between a case and what we made of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, found {found}")]
pub struct Mismatch {
    /// Part of the case.
    pub what: String,
    /// What the file says.
    pub expected: String,
    /// What we made of it.
    pub found: String,
}

impl Mismatch {
    fn new(what: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { what: what.to_owned(), expected: expected.to_string(), found: found.to_string() }
    }

    fn missing(what: &str) -> Self {
        Self::new(what, "it in the case", "nothing that can be read")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failed {
            let Failure { file, line, name, mismatch } = failure;
            writeln!(f, "{}:{line}  {name}  {mismatch}", file.display())?;
        }
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped)
    }
}

/// A protocol that nobody here speaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no protocol we speak; give one of: {known}")]
pub struct UnknownProtocol {
    /// As given.
    pub name: String,
    /// Those we speak.
    pub known: String,
}

/// [`decode`] for a protocol by its name. Without a configuration every device counts as
/// registered nowhere and is decoded all the same.
///
/// # Errors
///
/// When nobody here speaks that protocol.
pub fn decode_named(
    name: &str,
    accounts: Option<Accounts>,
    now: jiff::Timestamp,
    input: &[u8],
) -> Result<Vec<String>, UnknownProtocol> {
    let Some(protocol) = Protocol::from_name(name) else {
        let known: Vec<&str> = Protocol::ALL.iter().map(|each| each.name()).collect();
        return Err(UnknownProtocol { name: name.to_owned(), known: known.join(", ") });
    };
    let accounts = accounts.unwrap_or_else(|| Accounts::new(UnknownDevices::Show));
    Ok(decode(protocol, &Arc::new(accounts), now, input))
}

/// Runs files, and all `*.jsonl` files of folders, in the order of their names.
#[must_use]
pub fn run(paths: &[PathBuf]) -> Summary {
    let mut summary = Summary::default();
    for path in paths {
        walk(path, 0, &mut summary);
    }
    summary
}

fn walk(path: &Path, depth: usize, summary: &mut Summary) {
    if !path.is_dir() {
        return file(path, depth, summary);
    }
    if depth == DEPTH_MAX {
        return;
    }
    let entries = match std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => return unreadable(path, &error, summary),
    };
    let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        walk(&path, depth + 1, summary);
    }
}

fn file(path: &Path, depth: usize, summary: &mut Summary) {
    if path.extension().is_none_or(|extension| extension != "jsonl") {
        // In a folder it is a sample or a page; named by itself it is a case we cannot run.
        if depth == 0 {
            if path.exists() {
                summary.skipped += 1;
            } else {
                let error = std::io::Error::from(std::io::ErrorKind::NotFound);
                unreadable(path, &error, summary);
            }
        }
        return;
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return unreadable(path, &error, summary),
    };
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    for (index, line) in text.lines().enumerate().filter(|(_index, line)| !line.trim().is_empty()) {
        let (name, outcome) = run_line(folder, line);
        match outcome {
            Outcome::Passed => summary.passed += 1,
            Outcome::Skipped => summary.skipped += 1,
            Outcome::Failed(mismatch) => {
                let file = path.to_path_buf();
                summary.failed.push(Failure { file, line: index + 1, name, mismatch });
            }
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error, summary: &mut Summary) {
    let mismatch = Mismatch::new("file", "a readable file", error);
    let file = path.to_path_buf();
    summary.failed.push(Failure { file, line: 0, name: "-".to_owned(), mismatch });
}

/// What came of one case.
enum Outcome {
    Passed,
    Failed(Mismatch),
    Skipped,
}

/// `folder` is where the file of the line stands, and the samples that it names.
fn run_line(folder: &Path, line: &str) -> (String, Outcome) {
    let case: Value = match serde_json::from_str(line) {
        Ok(case) => case,
        Err(error) => {
            let mismatch = Mismatch::new("line", "a JSON object", error);
            return ("-".to_owned(), Outcome::Failed(mismatch));
        }
    };
    if !case.is_object() {
        let mismatch = Mismatch::new("line", "a JSON object", "another JSON value");
        return ("-".to_owned(), Outcome::Failed(mismatch));
    }
    let word = |key: &str| case.get(key).and_then(Value::as_str).unwrap_or("-");
    let outcome =
        |ran: Result<(), Mismatch>| ran.map_or_else(Outcome::Failed, |()| Outcome::Passed);
    if cap::is_case(&case) {
        return (format!("cap/{}", word("file")), outcome(cap::document(folder, &case)));
    }
    // Files about calls use other words for the same two things.
    let [kind, name] = if case.get("protocol").is_none() && case.get("kind").is_some() {
        ["kind", "id"]
    } else {
        ["protocol", "name"]
    };
    let name = format!("{}/{}", word(kind), word(name));
    let run: fn(&Value) -> Result<(), Mismatch> = match word(kind) {
        "dc09" => dc09::frame,
        "dc09-reply" => dc09::reply,
        "dc09-stream" => dc09::stream,
        "dc09-repeat" => repeat::run,
        "pidf-lo" => calls::document,
        "geolocation-header" => calls::header,
        "sip-request" => calls::request,
        "watch" => trackers::watch,
        "iridium.sbdwb" => satphones::load,
        "iridium.sbdrb" => satphones::buffer,
        "iridium.sbdix" | "iridium.sbdsx" | "iridium.urc" | "iridium.msstm" | "iridium.msgeo" => {
            satphones::line
        }
        "iridium.msstm.encode" => satphones::clock,
        _ => return (name, Outcome::Skipped),
    };
    (name, outcome(run(&case)))
}

#[cfg(test)]
mod tests;
