//! `cargo dev demo`: the whole house on loopback, with simulators and a mail catcher.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::house::{House, make_folder, write_file};
use crate::reaper::{self, Reaper};
use crate::run::{self, Stopwatch};
use crate::{Failure, web};

/// Sets up, builds, runs. With `check` the scenario is played once and its verdict handed on.
pub(crate) fn run(house: &House, check: bool, port_base: u16) -> Result<(), Failure> {
    web::build(house)?;
    println!("demo: cargo build");
    run::must_succeed(run::cargo(house.root()).args(["build", "--quiet"]), "cargo build")?;
    let stage = Stage::prepare(house, check, port_base)?;
    let mut cast = Cast::new()?;
    let outcome = play(house, &stage, &mut cast, check);
    cast.stop();
    outcome?;
    if check { prove(house, &stage) } else { Ok(()) }
}

/// The evening is over and the house is down: its journal proves, and folding it gives its hash, which
/// is that of the state that was kept when the house ended.
fn prove(house: &House, stage: &Stage) -> Result<(), Failure> {
    for task in ["verify", "replay"] {
        let mut journal = Command::new(house.binary("hansho")?);
        journal.arg("journal").arg(task).arg("--data").arg(&stage.data);
        run::must_succeed(&mut journal, &format!("hansho journal {task}"))?;
    }
    Ok(())
}

/// Folder and addresses of one demo.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    data: PathBuf,
    credentials: PathBuf,
    port_base: u16,
}

impl Stage {
    fn prepare(house: &House, check: bool, port_base: u16) -> Result<Self, Failure> {
        // Two demos side by side may not share a folder; the usual one has the usual name.
        let name = if port_base == 0 { "demo".to_owned() } else { format!("demo-{port_base}") };
        let folder = house.at("target").join(name);
        let data = folder.join(if check { "data-check" } else { "data" });
        if check && data.exists() {
            fs::remove_dir_all(&data)
                .map_err(|error| Failure::io(format!("emptying {}", data.display()), error))?;
        }
        make_folder(&data)?;
        let credentials = folder.join("credentials.toml");
        let stage = Self { folder, data, credentials, port_base };
        let source = house.at("config/demo/credentials.toml");
        let known = fs::read_to_string(&source)
            .map_err(|error| Failure::io(format!("reading {}", source.display()), error))?;
        let addresses = format!(
            "console = \"{}\"\ndc09 = \"{}\"\nsip = \"{}\"\nmailbox = \"{}\"\n\n",
            stage.console(),
            stage.address(DC09),
            stage.address(SIP),
            stage.mailbox()
        );
        write_file(&stage.credentials, &format!("{addresses}{known}"))?;
        Ok(stage)
    }

    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        // The command line allows no base that would pass the highest port.
        (Ipv4Addr::LOCALHOST, port.saturating_add(self.port_base)).into()
    }

    pub(crate) fn console(&self) -> String {
        format!("http://{}", self.address(CONSOLE))
    }

    pub(crate) fn mailbox(&self) -> String {
        format!("http://{}", self.address(MAILBOX_WEB))
    }
}

/// Runs `act` beside a backbone with a fresh journal and the seats' phones, then stops them.
pub(crate) fn beside_backbone<T>(
    house: &House,
    port_base: u16,
    act: impl FnOnce(&Stage) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run::must_succeed(run::cargo(house.root()).args(["build", "--quiet"]), "cargo build")?;
    let stage = Stage::prepare(house, true, port_base)?;
    let mut cast = Cast::new()?;
    let outcome = serve(house, &stage, &mut cast).and_then(|()| act(&stage));
    cast.stop();
    outcome
}

fn play(house: &House, stage: &Stage, cast: &mut Cast, check: bool) -> Result<(), Failure> {
    let mut mailbox = Command::new(house.binary("hansho-sim")?);
    mailbox.arg("mailbox");
    mailbox.arg("--smtp").arg(stage.address(SMTP).to_string());
    mailbox.arg("--web").arg(stage.address(MAILBOX_WEB).to_string());
    cast.start("mailbox", &stage.folder, mailbox)?;

    serve(house, stage, cast)?;
    drive(house, stage, cast, if check { CHECK_FACTOR } else { DEMO_FACTOR })?;

    let mut scenario = Command::new(house.binary("hansho-sim")?);
    scenario.arg("scenario").arg(if check { "--check" } else { "--demo" });
    scenario.arg("--console").arg(stage.console());
    scenario.arg("--credentials").arg(&stage.credentials);
    scenario.arg("--dc09").arg(stage.address(DC09).to_string());
    scenario.arg("--sip").arg(stage.address(SIP).to_string());
    scenario.arg("--watch").arg(stage.address(WATCH).to_string());
    scenario.arg("--mailbox").arg(stage.mailbox());
    scenario.arg("--devices").arg(house.at("config/demo/devices.toml"));
    scenario.arg("--satphone").arg(stage.folder.join("satphone"));
    scenario.arg("--time-factor").arg(CHECK_FACTOR.to_string());
    if !check {
        println!("{}", welcome(stage)?);
    }
    cast.start("scenario", &stage.folder, scenario)?;
    if check { cast.wait_for_verdict() } else { cast.wait_for_people() }
}

/// Starts the seats' phones and the backbone, and waits until it answers.
fn serve(house: &House, stage: &Stage, cast: &mut Cast) -> Result<(), Failure> {
    for (name, port) in PHONES {
        let mut phone = Command::new(house.binary("hansho-sim")?);
        phone.arg("phone").arg("--listen").arg(stage.address(port).to_string());
        phone.args(["--answer-after", "600"]);
        cast.start(name, &stage.folder, phone)?;
    }
    let mut serve = Command::new(house.binary("hansho")?);
    serve.arg("serve").arg("--config").arg(house.at("config/demo")).arg("--data").arg(&stage.data);
    if stage.port_base != 0 {
        serve.arg("--port-base").arg(stage.port_base.to_string());
    }
    cast.start("hansho", &stage.folder, serve)?;
    cast.wait_until_healthy(stage)
}

/// Starts the terminals of the units that have one, each with a certificate of its own.
fn drive(house: &House, stage: &Stage, cast: &mut Cast, factor: u32) -> Result<(), Failure> {
    let terminals = stage.folder.join("terminals");
    let mut issue = Command::new(house.binary("hansho")?);
    issue.arg("terminal").args(TERMINALS.map(|(id, _)| id));
    issue.arg("--data").arg(&stage.data).arg("--out").arg(&terminals);
    issue.stdout(std::process::Stdio::null());
    run::must_succeed(&mut issue, "making the terminals' certificates")?;
    let mut vehicles = Command::new(house.binary("hansho-sim")?);
    vehicles.arg("vehicle").args(TERMINALS.map(|(id, at)| format!("{id}={at}")));
    vehicles.arg("--time-factor").arg(factor.to_string());
    vehicles.arg("--to").arg(stage.address(QUIC).to_string());
    vehicles.arg("--folder").arg(&terminals).arg("--trust").arg(stage.data.join("tls.pem"));
    cast.start("vehicles", &stage.folder, vehicles)
}

/// What a newcomer needs: where to look and how to get in.
fn welcome(stage: &Stage) -> Result<String, Failure> {
    let credentials = fs::read_to_string(&stage.credentials)
        .map_err(|error| Failure::io("reading the log-ins", error))?;
    let mut lines = vec![
        String::new(),
        "デモ・実際の災害ではありません (a demo with invented people; no real emergency)"
            .to_owned(),
        format!("  console   {}", stage.console()),
        format!("  mail box  {}", stage.mailbox()),
        format!("  119       {} (SIP, UDP and TCP)", stage.address(SIP)),
        format!("  pendants  {} (DC-09, TCP and UDP)", stage.address(DC09)),
        format!("  journal   {}", stage.data.display()),
        format!("  logs      {}/*.log", stage.folder.display()),
        format!("  log-ins   {}", stage.credentials.display()),
    ];
    for login in credentials.split("[[login]]").skip(1) {
        let field = |name: &str| {
            let line = login.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let (user, password, role) = (field("user"), field("password"), field("role"));
        lines.push(format!("            {user:<12} {password:<18} {role}"));
    }
    lines.push("Ctrl-C ends it.".to_owned());
    Ok(lines.join("\n"))
}

/// The running programs.
struct Cast {
    events: Receiver<Happening>,
    sender: SyncSender<Happening>,
    running: Vec<(&'static str, u32)>,
    reaper: Reaper,
}

enum Happening {
    Ended(&'static str, std::io::Result<ExitStatus>),
    /// Somebody wants us to end.
    Signal,
}

impl Cast {
    fn new() -> Result<Self, Failure> {
        let reaper = Reaper::start()?;
        let (sender, events) = sync_channel(EVENTS_MAX);
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|error| Failure::io("listening for Ctrl-C", error))?;
        let own = sender.clone();
        thread::spawn(move || {
            for _ in &mut signals {
                // When nobody listens any more we are ending already.
                let _sent = own.send(Happening::Signal);
            }
        });
        Ok(Self { events, sender, running: Vec::new(), reaper })
    }

    /// Starts a program in a process group of its own, with its log in a file; the scenario talks
    /// to the terminal.
    fn start(
        &mut self,
        name: &'static str,
        folder: &Path,
        mut command: Command,
    ) -> Result<(), Failure> {
        let doing = |what: &str| format!("{what} {name}");
        let log = folder.join(format!("{name}.log"));
        let log = fs::File::create(&log).map_err(|error| Failure::io(doing("logging"), error))?;
        if name == "scenario" {
            command.stderr(log);
        } else {
            let copy = log.try_clone().map_err(|error| Failure::io(doing("logging"), error))?;
            command.stdout(log).stderr(copy);
        }
        let mut child = command
            .stdin(std::process::Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::io(doing("starting"), error))?;
        self.reaper.watch(child.id())?;
        self.running.push((name, child.id()));
        let sender = self.sender.clone();
        thread::spawn(move || {
            let status = child.wait();
            let _sent = sender.send(Happening::Ended(name, status));
        });
        Ok(())
    }

    /// Waits until the console answers, or says why it will not.
    fn wait_until_healthy(&mut self, stage: &Stage) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        while watch.elapsed() < HEALTHY_WITHIN {
            if is_healthy(stage.address(CONSOLE)) {
                return Ok(());
            }
            match self.events.recv_timeout(HEALTH_PERIOD) {
                Err(_) => {}
                Ok(Happening::Ended(name, status)) => {
                    self.ended(name)?;
                    return Err(ended_early(name, &status, stage));
                }
                Ok(Happening::Signal) => return Err(interrupted()),
            }
        }
        show_log(stage, "hansho");
        let what = format!("{}/healthz did not answer within 60 s", stage.console());
        Err(Failure::Check { what })
    }

    /// Waits for the scenario's exit code.
    fn wait_for_verdict(&mut self) -> Result<(), Failure> {
        loop {
            match self.events.recv_timeout(VERDICT_WITHIN) {
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let what = "the scenario did not end within ten minutes".to_owned();
                    return Err(Failure::Check { what });
                }
                Ok(Happening::Signal) => return Err(interrupted()),
                Ok(Happening::Ended("scenario", status)) => {
                    self.ended("scenario")?;
                    if status.is_ok_and(|status| status.success()) {
                        return Ok(());
                    }
                    let what = "the demo's check failed; its lines stand above".to_owned();
                    return Err(Failure::Check { what });
                }
                // The scenario itself may restart the backbone and judge what comes of it; what it
                // does not know of, its own checks will miss.
                Ok(Happening::Ended(name, _)) => self.ended(name)?,
            }
        }
    }

    /// Runs until somebody ends it, or until the backbone ends by itself.
    fn wait_for_people(&mut self) -> Result<(), Failure> {
        loop {
            match self.events.recv() {
                Err(_) | Ok(Happening::Signal) => {
                    println!("\ndemo: ending");
                    return Ok(());
                }
                Ok(Happening::Ended("scenario", _)) => {
                    self.ended("scenario")?;
                    println!("demo: the scenario is over; everything else runs on");
                }
                Ok(Happening::Ended(name, _)) => {
                    self.ended(name)?;
                    let what = format!("{name} ended by itself; see its log in target/demo");
                    return Err(Failure::Check { what });
                }
            }
        }
    }

    fn ended(&mut self, name: &'static str) -> Result<(), Failure> {
        let Some(index) = self.running.iter().position(|(running, _)| *running == name) else {
            return Ok(());
        };
        let (_, group) = self.running.remove(index);
        self.reaper.forget(group)
    }

    /// Asks all that still run to end, the last started first, and waits for each. Whoever does not
    /// end in time is left to the reaper, which does not ask.
    fn stop(mut self) {
        while let Some((name, group)) = self.running.pop() {
            reaper::stop("TERM", &group.to_string());
            let watch = Stopwatch::start();
            while let Some(left) = STOP_WITHIN.checked_sub(watch.elapsed()) {
                match self.events.recv_timeout(left) {
                    Ok(Happening::Ended(ended, _)) => {
                        if ended == name {
                            // A broken pipe means the reaper is gone; then there is nothing to tell.
                            let _told = self.reaper.forget(group);
                            break;
                        }
                        let _told = self.ended(ended);
                    }
                    Ok(Happening::Signal) => {}
                    Err(_) => break,
                }
            }
        }
    }
}

fn interrupted() -> Failure {
    Failure::Check { what: "interrupted".to_owned() }
}

fn ended_early(name: &str, status: &std::io::Result<ExitStatus>, stage: &Stage) -> Failure {
    show_log(stage, name);
    let status = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Failure::Check {
        what: format!(
            "{name} ended at once ({status}); its log stands above. If a port is taken by another \
             demo, try: cargo dev demo --port-base 20000"
        ),
    }
}

/// The end of a program's log, on the terminal.
fn show_log(stage: &Stage, name: &str) {
    let log = fs::read_to_string(stage.folder.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES_SHOWN)) {
        eprintln!("{line}");
    }
}

/// One GET of `/healthz`; anything but a 200 is "not yet".
fn is_healthy(address: SocketAddr) -> bool {
    let answer = || -> std::io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect_timeout(&address, HEALTH_TIMEOUT)?;
        stream.set_read_timeout(Some(HEALTH_TIMEOUT))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    answer().is_ok_and(|start| start == *b"HTTP/1.1 200")
}

// The demo's ports, as in config/demo and its README.
const CONSOLE: u16 = 8_119;
pub(crate) const DC09: u16 = 5_009;
pub(crate) const SIP: u16 = 5_060;
const WATCH: u16 = 5_093;
/// The seats' phones, by the name of their log.
const PHONES: [(&str, u16); 2] = [("phone-desk1", 5_070), ("phone-desk2", 5_072)];
const QUIC: u16 = 4_119;
/// Terminals of the demo's units, and where these stand.
const TERMINALS: [(&str, &str); 4] = [
    ("onahama-1", "36.9548,140.9050"),
    ("onahama-a1", "36.9548,140.9050"),
    ("taira-1", "37.0558,140.8930"),
    ("taira-a1", "37.0558,140.8930"),
];
/// How many times as fast as life the evening is: for a person who watches, and for a check.
const DEMO_FACTOR: u32 = 10;
const CHECK_FACTOR: u32 = 60;
pub(crate) const SMTP: u16 = 2_525;
pub(crate) const MAILBOX_WEB: u16 = 8_025;

const HEALTHY_WITHIN: Duration = Duration::from_mins(1);
const HEALTH_PERIOD: Duration = Duration::from_millis(100);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
const VERDICT_WITHIN: Duration = Duration::from_mins(10);
/// The backbone gives its core 15 s to end.
const STOP_WITHIN: Duration = Duration::from_secs(20);
const LOG_LINES_SHOWN: usize = 40;
const EVENTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn health_is_a_200_and_nothing_else() {
        for (answer, healthy) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                // Unread bytes would make the close a reset, which may overtake the answer.
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    request.extend_from_slice(&byte);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            });
            assert_eq!(is_healthy(address), healthy, "{answer}");
            server.join().unwrap();
            assert!(!is_healthy(address), "nobody listens");
        }
    }

    #[test]
    fn the_ports_are_those_of_the_demos_configuration() {
        let house = House::find().unwrap();
        let site = fs::read_to_string(house.at("config/demo/hansho.toml")).unwrap();
        for port in [CONSOLE, DC09, SIP, WATCH, SMTP, QUIC] {
            assert!(site.contains(&format!("\"127.0.0.1:{port}\"")), "{port}");
        }
        let units = fs::read_to_string(house.at("config/demo/units.toml")).unwrap();
        for (id, _) in TERMINALS {
            assert!(units.contains(&format!("terminal = \"{id}\"")), "{id}");
        }
        for (name, port) in PHONES {
            let seat = name.trim_start_matches("phone-");
            let line = format!("{seat} = \"sip:{seat}@127.0.0.1:{port}\"");
            assert!(site.contains(&line), "{line}");
        }
    }

    #[test]
    fn a_program_that_ends_is_noticed_and_one_that_runs_is_stopped() {
        let folder = std::env::temp_dir().join(format!("hansho-dev-{}", std::process::id()));
        make_folder(&folder).unwrap();
        let (sender, events) = sync_channel(EVENTS_MAX);
        let child = Command::new("sh")
            .args(["-c", "cat"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let reaper = Reaper::for_tests(child);
        let mut cast = Cast { events, sender, running: Vec::new(), reaper };
        cast.start("mailbox", &folder, {
            let mut sleep = Command::new("sleep");
            sleep.arg("600");
            sleep
        })
        .unwrap();
        cast.start("scenario", &folder, Command::new("true")).unwrap();
        cast.wait_for_verdict().unwrap();
        assert_eq!(cast.running.len(), 1);
        cast.stop();
        fs::remove_dir_all(&folder).unwrap();
    }
}
