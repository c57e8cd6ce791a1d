//! The developers' front door: `cargo dev demo | test | bench | web | sbom`.
//!
//! Each command sets up what it needs, says what it does, and ends with an exit code: 0 done,
//! 1 a check failed, 2 bad usage or something is missing on this machine, 70 our own fault.
//!
//! It depends on nothing of the house and on two small crates, so that it is up within seconds on a
//! cold machine and still works when the house does not compile.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to a terminal")]

mod bench;
mod browser;
mod demo;
mod house;
mod reaper;
mod run;
mod sbom;
mod setup;
mod test;
mod web;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use house::House;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = parse(&arguments).and_then(|command| {
        let house = House::find()?;
        match command {
            Command::Demo { check, port_base } => demo::run(&house, check, port_base),
            Command::Test { step } => test::run(&house, step.as_deref()),
            Command::Bench { name, json, size } => {
                bench::run(&house, name.as_deref(), json.as_deref(), size)
            }
            Command::Web => web::build(&house),
            Command::Sbom => sbom::run(&house),
            Command::Reaper => reaper::run(),
            Command::Help => {
                println!("{USAGE}");
                Ok(())
            }
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo dev: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Demo {
        check: bool,
        port_base: u16,
    },
    Test {
        step: Option<String>,
    },
    Bench {
        name: Option<String>,
        json: Option<PathBuf>,
        size: bench::Size,
    },
    Web,
    Sbom,
    /// Not for people: what `demo` starts to clean up after itself.
    Reaper,
    Help,
}

fn parse(arguments: &[String]) -> Result<Command, Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => Ok(Command::Help),
        ["demo", rest @ ..] => parse_demo(rest),
        ["test"] => Ok(Command::Test { step: None }),
        ["test", step] => Ok(Command::Test { step: Some((*step).to_owned()) }),
        ["bench", rest @ ..] => parse_bench(rest),
        ["web"] => Ok(Command::Web),
        ["sbom"] => Ok(Command::Sbom),
        ["reaper"] => Ok(Command::Reaper),
        ["test", _, extra, ..] | ["web" | "sbom" | "reaper", extra, ..] | [extra, ..] => {
            Err(Failure::Usage { word: (*extra).to_owned() })
        }
    }
}

fn parse_demo(mut words: &[&str]) -> Result<Command, Failure> {
    let (mut check, mut port_base) = (false, 0);
    loop {
        words = match words {
            [] => return Ok(Command::Demo { check, port_base }),
            ["--check", rest @ ..] => {
                check = true;
                rest
            }
            ["--port-base", number, rest @ ..] => {
                port_base = number
                    .parse()
                    .ok()
                    .filter(|base| *base <= PORT_BASE_MAX)
                    .ok_or_else(|| Failure::Usage { word: (*number).to_owned() })?;
                rest
            }
            [other, ..] => return Err(Failure::Usage { word: (*other).to_owned() }),
        };
    }
}

fn parse_bench(mut words: &[&str]) -> Result<Command, Failure> {
    let (mut name, mut json, mut size) = (None, None, bench::Size::default());
    loop {
        words = match words {
            [] => return Ok(Command::Bench { name, json, size }),
            ["--full", rest @ ..] => {
                size.full = true;
                rest
            }
            ["--minutes", number, rest @ ..] => {
                let minutes = number.parse().ok().filter(|minutes| *minutes > 0);
                size.minutes =
                    Some(minutes.ok_or_else(|| Failure::Usage { word: (*number).to_owned() })?);
                rest
            }
            ["--json", file, rest @ ..] => {
                json = Some(PathBuf::from(file));
                rest
            }
            [word, rest @ ..] if name.is_none() && !word.starts_with('-') => {
                name = Some((*word).to_owned());
                rest
            }
            [other, ..] => return Err(Failure::Usage { word: (*other).to_owned() }),
        };
    }
}

/// Why a command did not succeed.
#[derive(Debug)]
enum Failure {
    /// A word on the command line is not understood.
    Usage { word: String },
    /// Something that must be on this machine is not.
    Missing { what: String, remedy: String },
    /// A check said no; its output stands above.
    Check { what: String },
    /// A program could not be started, or a file not be written.
    Io { doing: String, source: std::io::Error },
}

impl Failure {
    fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { doing: doing.into(), source }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Missing { .. } => 2,
            Self::Check { .. } => 1,
            Self::Io { .. } => 70,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage { word } => write!(f, "`{word}` is not understood\n{USAGE}"),
            Self::Missing { what, remedy } => write!(f, "{what}; {remedy}"),
            Self::Check { what } => write!(f, "{what}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

const USAGE: &str = "\
cargo dev demo [--check] [--port-base N]   run everything on loopback; --check plays it once and asserts
cargo dev test [STEP]                      format, lints, tests, documentation; or one of the steps
cargo dev bench [NAME] [--json FILE]       benchmarks beside their peers; --full: at their full size;
                                           --minutes N: how long `evening` plays; 30 are a soak
cargo dev web                              build the console's web pages
cargo dev sbom                             what the program is made of, target/sbom.cdx.json";

/// The highest port of the demo is 10,800, and 65,535 is the highest there is.
const PORT_BASE_MAX: u16 = 54_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Ok(command) => format!("{command:?}"),
            Err(failure) => {
                format!("{} ({})", failure.to_string().lines().next().unwrap(), failure.exit_code())
            }
        }
    }

    #[test]
    fn the_contract_is_understood_and_nothing_else() {
        for (line, wanted) in [
            ("", "Help"),
            ("demo", "Demo { check: false, port_base: 0 }"),
            ("demo --check --port-base 54000", "Demo { check: true, port_base: 54000 }"),
            ("demo --port-base 54001", "`54001` is not understood (2)"),
            ("demo --port-base", "`--port-base` is not understood (2)"),
            ("demo now", "`now` is not understood (2)"),
            ("test", "Test { step: None }"),
            ("test lints", "Test { step: Some(\"lints\") }"),
            ("test lints format", "`format` is not understood (2)"),
            (
                "bench",
                "Bench { name: None, json: None, size: Size { full: false, minutes: None } }",
            ),
            (
                "bench mail --json out.json --full",
                "Bench { name: Some(\"mail\"), json: Some(\"out.json\"), \
                 size: Size { full: true, minutes: None } }",
            ),
            (
                "bench evening --minutes 30",
                "Bench { name: Some(\"evening\"), json: None, \
                 size: Size { full: false, minutes: Some(30) } }",
            ),
            ("bench evening --minutes 0", "`0` is not understood (2)"),
            ("bench evening --minutes", "`--minutes` is not understood (2)"),
            ("bench mail journal", "`journal` is not understood (2)"),
            ("bench --json", "`--json` is not understood (2)"),
            ("web", "Web"),
            ("sbom", "Sbom"),
            ("sbom now", "`now` is not understood (2)"),
            ("dance", "`dance` is not understood (2)"),
        ] {
            assert_eq!(run(line), wanted, "{line}");
        }
    }
}
