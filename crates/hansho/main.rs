//! `hansho`: the backbone's command line. Wiring and exit codes only.
//!
//! Exit codes: 0 done, 1 the check failed, 2 bad usage or configuration, 70 our fault.

use std::error::Error;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hansho_engine::house::{self, HouseError};
use hansho_engine::supervisor::{EXIT_MEND, Options, SuperviseError, supervise};
use hansho_engine::{backup, clock, conformance, officer, tls};
use hansho_telemetry::{Chain, Format};

/// What one thread takes and another gives back, a report from a door to the journal, is this
/// allocator's daily bread; the system's own spent a fifth of the intake's time on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The check failed.
const EXIT_FAILED: u8 = 1;
/// Longest input of `password`: more than any password may have.
const PASSWORD_INPUT_MAX: u64 = 4_096;
/// Longest input of `decode`.
const DECODE_BYTES_MAX: u64 = 16 << 20;
/// Our fault.
const EXIT_FAULT: u8 = 70;

/// Hansho (半鐘): emergency communications and dispatch backbone of a city.
#[derive(Debug, Parser)]
#[command(name = "hansho", version, about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the backbone until it is asked to end (Ctrl-C, SIGTERM).
    Serve(Place),
    /// The core under its supervisor; started by `serve`, not by hand.
    #[command(hide = true)]
    ServeCore(Place),
    /// Checks a configuration: every fault with file, line and remedy.
    CheckConfig {
        /// Folder with hansho.toml, people.toml, devices.toml, units.toml and plans.toml.
        config: PathBuf,
    },
    /// Proves, counts, reads and replays a journal; works beside a running backbone.
    Journal {
        #[command(subcommand)]
        task: JournalTask,
    },
    /// Copies the journal, and its keys apart from it, beside a running backbone or none; proves
    /// the copy before it is done.
    Backup {
        #[command(flatten)]
        data: Data,
        /// New folder for the journal and the certificates.
        #[arg(long)]
        to: PathBuf,
        /// New folder, somewhere else, for the vault and the private keys.
        #[arg(long)]
        keys: Option<PathBuf>,
    },
    /// Puts a backup into a data folder without a journal, after proving it.
    Restore {
        /// Folder with the journal's backup.
        #[arg(long)]
        from: PathBuf,
        /// Folder with the keys; not needed where the data folder still has its vault.
        #[arg(long)]
        keys: Option<PathBuf>,
        #[command(flatten)]
        data: Data,
    },
    /// Makes certificates for vehicle terminals: `<id>.pem` and `<id>.key` each. Works beside a
    /// running backbone.
    Terminal {
        /// Ids, as `terminal` in units.toml has them.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Data folder, where the key that vouches for them stands; made when it is missing.
        #[arg(long)]
        data: PathBuf,
        /// Folder that the files are put into; made when it is missing.
        #[arg(long)]
        out: PathBuf,
    },
    /// Makes the line of a log-in's password for people.toml; the password is read from standard
    /// input.
    Password,
    /// Makes a bearer token for a program, and its line for people.toml; or a device's password, and
    /// its line for devices.toml.
    Token {
        /// For a device at door `mqtt`.
        #[arg(long)]
        device: bool,
    },
    /// Runs conformance files or folders; the last line is `N passed, N failed, N skipped`.
    Vectors {
        /// Files or folders of JSON Lines.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Decodes frames from standard input (raw, or lines of hexadecimal digits): one JSON report
    /// a line.
    Decode {
        /// Protocol, such as `dc09`.
        #[arg(long)]
        protocol: String,
        /// Configuration with the keys of devices that encrypt.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum JournalTask {
    /// Proves the chain and prints its head.
    Verify(Data),
    /// Counts events by kind.
    Stats(Data),
    /// Folds the journal and prints the hashes of state and effects.
    Replay(Data),
    /// Writes every event as a line of JSON.
    Export {
        #[command(flatten)]
        data: Data,
        /// File; standard output when absent.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Prints the last events.
    Tail {
        #[command(flatten)]
        data: Data,
        /// How many.
        #[arg(long, default_value_t = 20)]
        count: usize,
    },
}

#[derive(Debug, clap::Args)]
struct Data {
    /// Data folder.
    #[arg(long)]
    data: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Folder with hansho.toml, people.toml, devices.toml, units.toml and plans.toml.
    #[arg(long)]
    config: PathBuf,
    /// Folder of journal, vault and snapshots; made when it is missing.
    #[arg(long)]
    data: PathBuf,
    /// Added to every port, so that two can run side by side.
    #[arg(long, default_value_t = 0)]
    port_base: u16,
}

impl Place {
    fn options(self) -> Options {
        Options { config: self.config, data: self.data, port_base: self.port_base }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_MEND } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE };
        }
    };
    match arguments.task {
        Task::Serve(place) => serve(&place.options()),
        Task::ServeCore(place) => serve_core(&place.options()),
        Task::CheckConfig { config } => check_config(&config),
        Task::Journal { task } => journal(task),
        Task::Password => password(),
        Task::Token { device } => token(device),
        Task::Backup { data, to, keys } => back_up(&data.data, &to, keys.as_deref()),
        Task::Restore { from, keys, data } => restore(&from, keys.as_deref(), &data.data),
        Task::Terminal { ids, data, out } => terminal(&ids, &data, &out),
        Task::Vectors { paths } => vectors(&paths),
        Task::Decode { protocol, config } => decode(&protocol, config.as_deref()),
    }
}

fn serve(options: &Options) -> ExitCode {
    if let Err(code) = start_log() {
        return code;
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, EXIT_FAULT),
    };
    match runtime.block_on(supervise(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(SuperviseError::Config(error)) => explain_to_log(&error),
        Err(error @ SuperviseError::System { .. }) => fail(&error, EXIT_FAULT),
        Err(error) => fail(&error, EXIT_MEND),
    }
}

fn serve_core(options: &Options) -> ExitCode {
    if let Err(code) = start_log() {
        return code;
    }
    if let Err(error) = house::end_with_supervisor() {
        return fail(&error, EXIT_FAULT);
    }
    // The line to the supervisor is this process's standard input.
    let line = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(line) => UnixStream::from(line),
        Err(error) => return fail(&error, EXIT_FAULT),
    };
    match house::run(options, line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(HouseError::Config(error)) => explain_to_log(&error),
        Err(error) if error.needs_mending() => fail(&error, EXIT_MEND),
        Err(error) => fail(&error, EXIT_FAULT),
    }
}

fn check_config(config: &Path) -> ExitCode {
    let loaded = match hansho_config::Config::load(config) {
        Ok(loaded) => loaded,
        Err(error) => return explain(&error),
    };
    if let Err(error) = house::check(&loaded) {
        return fail(&error, EXIT_MEND);
    }
    let warn =
        |path: &PathBuf| format!("{}: everybody may read it; `chmod o= {0}`\n", path.display());
    let warnings: String = loaded.open_to_all(config).iter().map(warn).collect();
    let (people, devices) = (loaded.people.len(), loaded.devices.len());
    say(&format!("{warnings}{}: sound; {people} people, {devices} devices\n", config.display()))
}

fn journal(task: JournalTask) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match task {
        JournalTask::Verify(place) => officer::print_proof(&place.data, &mut out),
        JournalTask::Stats(place) => officer::print_stats(&place.data, &mut out),
        JournalTask::Replay(place) => officer::print_replay(&place.data, &mut out),
        JournalTask::Export { data, to } => {
            officer::write_export(&data.data, to.as_deref(), &mut out)
        }
        JournalTask::Tail { data, count } => officer::print_tail(&data.data, count, &mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn back_up(data: &Path, to: &Path, keys: Option<&Path>) -> ExitCode {
    match backup::back_up(data, to, keys, clock::now(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn restore(from: &Path, keys: Option<&Path>, data: &Path) -> ExitCode {
    match backup::restore(from, keys, data, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn password() -> ExitCode {
    let mut typed = String::new();
    let read = io::stdin().lock().take(PASSWORD_INPUT_MAX).read_to_string(&mut typed);
    if let Err(error) = read {
        return fail(&error, EXIT_FAILED);
    }
    match officer::password_line(typed.trim_end_matches(['\r', '\n'])) {
        Ok(line) => print(&line),
        Err(error) => fail(&error, EXIT_MEND),
    }
}

fn token(device: bool) -> ExitCode {
    match officer::token_lines(if device { "password_blake3" } else { "token_blake3" }) {
        Ok(lines) => print(&lines),
        Err(error) => fail(&error, EXIT_FAULT),
    }
}

fn print(lines: &str) -> ExitCode {
    match writeln!(io::stdout(), "{lines}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, EXIT_FAILED),
    }
}

fn terminal(ids: &[String], data: &Path, out: &Path) -> ExitCode {
    if let Some(bad) = ids.iter().find(|id| !tls::is_terminal_id(id)) {
        let remedy = "use 1 to 32 of `A-Z a-z 0-9 -`, no `-` at either end";
        return fail(
            &io::Error::other(format!("`{bad}` is no id of a terminal; {remedy}")),
            EXIT_MEND,
        );
    }
    for folder in [data, out] {
        if let Err(error) = std::fs::create_dir_all(folder) {
            let error = io::Error::other(format!("{} cannot be made: {error}", folder.display()));
            return fail(&error, EXIT_FAILED);
        }
    }
    for id in ids {
        if let Err(error) = tls::issue(data, id, out) {
            return fail(&error, EXIT_FAILED);
        }
    }
    say(&format!(
        "{} made in {}; terminals trust {} or the certificate in the configuration's [tls]\n",
        ids.len(),
        out.display(),
        data.join(tls::MADE_CERTIFICATE).display()
    ))
}

fn vectors(paths: &[PathBuf]) -> ExitCode {
    let summary = conformance::run(paths);
    let said = say(&format!("{summary}\n"));
    if summary.failed.is_empty() { said } else { ExitCode::from(EXIT_FAILED) }
}

fn decode(protocol: &str, config: Option<&Path>) -> ExitCode {
    let accounts = match config.map(hansho_config::Config::load).transpose() {
        Ok(config) => config.map(|config| house::accounts_of(&config, protocol)),
        Err(error) => return explain(&error),
    };
    let mut input = Vec::new();
    if let Err(error) = io::stdin().take(DECODE_BYTES_MAX).read_to_end(&mut input) {
        return fail(&error, EXIT_FAILED);
    }
    match conformance::decode_named(protocol, accounts, clock::now(), &input) {
        Ok(lines) => say(&lines.iter().map(|line| format!("{line}\n")).collect::<String>()),
        Err(error) => fail(&error, EXIT_MEND),
    }
}

fn start_log() -> Result<(), ExitCode> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_unset| "hansho=info,warn".to_owned());
    let format = if io::stderr().is_terminal() { Format::Terminal } else { Format::Plain };
    hansho_telemetry::init(format, &filter).map_err(|error| fail(&error, EXIT_MEND))
}

/// Prints the faults of a configuration; where a log may keep them, without lines of the registers.
fn explain_to_log(error: &hansho_config::ConfigError) -> ExitCode {
    if io::stderr().is_terminal() {
        return explain(error);
    }
    let faults: String =
        error.faults.iter().map(|fault| format!("{}\n", fault.for_log())).collect();
    let how = format!("`hansho check-config {}` shows every line\n", error.dir.display());
    if io::stderr().write_all(format!("{faults}{how}").as_bytes()).is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(EXIT_MEND)
}

/// Prints the faults of a configuration with their lines and remedies.
fn explain(error: &hansho_config::ConfigError) -> ExitCode {
    if writeln!(io::stderr(), "{error}").is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(EXIT_MEND)
}

fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_closed) => ExitCode::FAILURE,
    }
}

/// Last words, with the whole chain of causes.
fn fail(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    if writeln!(io::stderr(), "hansho: {}", Chain(error)).is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(code)
}
