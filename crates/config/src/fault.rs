//! Faults and how they look to a person.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault in a configuration: where, what, and how to mend it.
///
/// Its `Display` is the form for a terminal:
///
/// ```text
/// config/devices.toml:14:8  port 7700 is already taken by `h02`
///    14 │ port = 7700
///       │        ^^^^ give `gt06` another port, or take `h02` out of `listen`
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as the caller named its folder.
    pub file: PathBuf,
    /// Where in the file; `None` when the file itself is at fault.
    pub place: Option<FaultPlace>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

/// Where in a file a fault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultPlace {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text, with secrets masked.
    pub text: String,
    /// Columns of a terminal before the caret.
    pub caret_start: usize,
    /// Carets, at least 1.
    pub caret_width: usize,
}

impl Fault {
    /// For a log: of a register only the place, what and how, as its lines hold names and
    /// addresses; of `hansho.toml`, which knows no person, all that `Display` shows.
    #[must_use]
    pub fn for_log(&self) -> String {
        if self.file.ends_with("hansho.toml") {
            return self.to_string();
        }
        let (file, message, remedy) = (self.file.display(), &self.message, &self.remedy);
        match &self.place {
            Some(FaultPlace { line, column, .. }) => {
                format!("{file}:{line}:{column}  {message}; {remedy}")
            }
            None => format!("{file}  {message}; {remedy}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        let Some(place) = &self.place else {
            return write!(f, "{file}  {}\n      │ {}", self.message, self.remedy);
        };
        writeln!(f, "{file}:{}:{}  {}", place.line, place.column, self.message)?;
        writeln!(f, "{:5} │ {}", place.line, place.text)?;
        let indent = " ".repeat(place.caret_start);
        let carets = "^".repeat(place.caret_width);
        write!(f, "      │ {indent}{carets} {}", self.remedy)
    }
}

/// A configuration that was refused, with all its faults.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// The folder.
    pub dir: PathBuf,
    /// Every fault; at least one.
    pub faults: Vec<Fault>,
}

impl ConfigError {
    pub(crate) fn new(dir: &Path, faults: Vec<Fault>) -> Self {
        assert!(!faults.is_empty(), "a refused configuration names at least one fault");
        Self { dir: dir.to_owned(), faults }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}\n")?;
        }
        let faults = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "{} {faults} in {}", self.faults.len(), self.dir.display())
    }
}
