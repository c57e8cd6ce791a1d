//! Running other programs: said aloud, timed, and with their output passed on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// Runs a program to its end with its output on the terminal; whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, Failure> {
    let status = command.status().map_err(|error| Failure::io(starting(command), error))?;
    Ok(status.success())
}

/// As [`succeeds`]; anything else is a failed check that `what` names.
pub(crate) fn must_succeed(command: &mut Command, what: &str) -> Result<(), Failure> {
    if succeeds(command)? { Ok(()) } else { Err(Failure::Check { what: format!("{what} failed") }) }
}

/// Runs a program, hands each line of its standard output to `each`, and tells whether it
/// succeeded. Its standard error goes to the terminal.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool, Failure> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::io(starting(command), error))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(|error| Failure::io("reading a program's output", error))?;
            if read == 0 {
                break;
            }
            each(String::from_utf8_lossy(&line).trim_end());
        }
    }
    let status = child.wait().map_err(|error| Failure::io("waiting for a program", error))?;
    Ok(status.success())
}

/// What a program prints, or `None` when it is not there or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started from here; Debian keeps some where only root's path looks.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}

/// A program in a folder.
pub(crate) fn command(folder: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// Cargo, in the project's root; the one that runs us, when there is one.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = command(root, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // `cargo run` sets these for us alone; handed on, they would make crates build anew.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn starting(command: &Command) -> String {
    format!("starting `{}`", command.get_program().to_string_lossy())
}

/// Measures time from its making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "this program is a shell and reads its clock here"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "as above")]
    pub(crate) fn elapsed(self) -> Duration {
        Instant::now().duration_since(self.0)
    }
}
