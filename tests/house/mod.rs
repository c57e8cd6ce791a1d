//! The real program in a folder of its own: configured, started, asked, killed.
//!
//! Ports are chosen by the kernel and read from the supervisor's first line in the log; nothing
//! here waits for time alone: every wait is for an event, with a deadline that fails the test.

pub(crate) mod dc09;
pub(crate) mod http;
pub(crate) mod mqtt;
pub(crate) mod post;
pub(crate) mod setup;
pub(crate) mod sipp;
pub(crate) mod watch;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use http::Client;
use setup::Setup;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hansho");
/// How long anything may take that takes a moment; a busy machine is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A house with its folder, running or not.
pub(crate) struct House {
    folder: TempDir,
    data: PathBuf,
    running: Option<Running>,
    log: Arc<Log>,
    starts: u32,
    rust_log: String,
}

struct Running {
    child: Child,
    addresses: Addresses,
}

/// Where a house listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) console: SocketAddr,
    pub(crate) dc09: SocketAddr,
    pub(crate) sip: SocketAddr,
    pub(crate) watch: SocketAddr,
    pub(crate) mqtt: SocketAddr,
    pub(crate) mqtts: SocketAddr,
    pub(crate) mqtt_alarms: SocketAddr,
    pub(crate) quic: SocketAddr,
}

/// All that the house said on standard error, over all its starts.
#[derive(Default)]
struct Log {
    said: Mutex<Said>,
    more: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    /// Starts whose standard error was closed: all its processes are gone.
    ended: u32,
}

impl House {
    /// Writes the configuration; starts nothing.
    pub(crate) fn new(setup: &Setup) -> Self {
        Self::configured(|config| setup.write(config))
    }

    /// With a configuration that `write` puts into the folder; starts nothing.
    pub(crate) fn configured(write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("hansho-test-").tempdir().unwrap();
        let house = Self {
            data: folder.path().join("data"),
            folder,
            running: None,
            log: Arc::default(),
            starts: 0,
            rust_log: "hansho=info,warn".to_owned(),
        };
        write(&house.config());
        house
    }

    /// Writes the configuration and starts the house.
    pub(crate) fn start_new(setup: &Setup) -> Self {
        let mut house = Self::new(setup);
        house.start();
        house
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Makes the certificates of these terminals; gives their folder.
    pub(crate) fn issue(&self, terminals: &[&str]) -> PathBuf {
        let out = self.data.join("terminals");
        let mut command = Command::new(PROGRAM);
        command.arg("terminal").args(terminals).arg("--data").arg(&self.data);
        let output = command.arg("--out").arg(&out).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        out
    }

    /// Takes another house's data folder from the next start on.
    pub(crate) fn use_data(&mut self, data: &Path) {
        data.clone_into(&mut self.data);
    }

    /// Filter of the log from the next start on.
    pub(crate) fn set_rust_log(&mut self, filter: &str) {
        filter.clone_into(&mut self.rust_log);
    }

    /// Starts the house and waits until it is well, and its supervisor knows.
    pub(crate) fn start(&mut self) {
        let before = self.log.lines().len();
        self.launch();
        self.wait_ready();
        self.log.wait_for(before, "The core speaks.");
    }

    /// Starts the house; its sockets are open when this returns, no more.
    pub(crate) fn launch(&mut self) {
        assert!(self.running.is_none(), "the house runs already");
        let before = self.log.lines().len();
        let mut child = serve(&self.config(), &self.data())
            .env("RUST_LOG", &self.rust_log)
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        self.starts += 1;
        let stderr = child.stderr.take().unwrap();
        let log = Arc::clone(&self.log);
        thread::spawn(move || log.follow(BufReader::new(stderr)));
        let line = self.log.wait_for(before, "The sockets are open.");
        let field = |name: &str| {
            let words = || line.split_whitespace().map(|word| word.trim_start_matches("doors="));
            let found = words().find_map(|word| word.strip_prefix(name));
            found.map(|value| value.trim_matches('"').parse().unwrap()).unwrap()
        };
        let addresses = Addresses {
            console: field("console="),
            dc09: field("dc09="),
            sip: field("sip="),
            watch: field("watch="),
            mqtt: field("mqtt="),
            mqtts: field("mqtts="),
            mqtt_alarms: field("mqtt_alarms="),
            quic: field("quic="),
        };
        self.running = Some(Running { child, addresses });
    }

    /// Waits until `/healthz` answers.
    pub(crate) fn wait_ready(&self) {
        let client = Client::new(self.addresses().console).with_patience(Duration::from_secs(2));
        wait("the house to be well", || {
            client.get("/healthz").ok().filter(|answer| answer.status == 200).map(drop)
        });
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.running.as_ref().expect("the house does not run").addresses
    }

    /// Asks as nobody.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.addresses().console)
    }

    /// Asks with the bearer token of this log-in.
    pub(crate) fn client_of(&self, user: &str) -> Client {
        self.client().with_header("Authorization", &format!("Bearer {}", setup::token_of(user)))
    }

    pub(crate) fn supervisor(&self) -> Pid {
        let child = &self.running.as_ref().expect("the house does not run").child;
        Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
    }

    /// The core, when there is one just now.
    pub(crate) fn core(&self) -> Option<Pid> {
        let pid = self.supervisor().as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        Pid::from_raw(children.split_whitespace().next()?.parse().ok()?)
    }

    /// Kills the core alone and waits until it is gone. `false` when there was none to kill.
    pub(crate) fn kill_core(&self) -> bool {
        let Some(core) = self.core() else { return false };
        let killed = kill_process(core, Signal::KILL).is_ok();
        self.wait_core_gone(core);
        killed
    }

    /// Waits until this core is no longer the supervisor's.
    pub(crate) fn wait_core_gone(&self, core: Pid) {
        wait("the old core to be gone", || (self.core() != Some(core)).then_some(()));
    }

    /// Kills the supervisor alone; the core must not outlive it.
    pub(crate) fn kill_supervisor(&mut self) {
        let supervisor = self.supervisor();
        kill_process(supervisor, Signal::KILL).unwrap();
        self.bury();
    }

    /// Kills both at once.
    pub(crate) fn kill_both(&mut self) {
        let supervisor = self.supervisor();
        kill_process_group(supervisor, Signal::KILL).unwrap();
        self.bury();
    }

    /// Asks the house to end, as a system does at a shutdown.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        kill_process(self.supervisor(), Signal::TERM).unwrap();
        self.bury()
    }

    /// Waits until the supervisor and all that it started are gone.
    pub(crate) fn bury(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the house does not run");
        let ended = wait("the supervisor to end", || running.child.try_wait().unwrap());
        self.log.wait_ended(self.starts);
        ended
    }

    /// All that was said on standard error so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits for a line that has `words`, behind the first `after` lines.
    pub(crate) fn wait_log(&self, after: usize, words: &str) -> String {
        self.log.wait_for(after, words)
    }

    /// Runs `hansho journal TASK --data ...` and gives what it printed; it must succeed.
    pub(crate) fn journal(&self, task: &str) -> String {
        let output = journal(task, &self.data());
        let (said, failed) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "journal {task}: {}\n{said}{failed}", output.status);
        said
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        if let Some(group) = i32::try_from(running.child.id()).ok().and_then(Pid::from_raw) {
            kill_process_group(group, Signal::KILL).ok();
        }
        running.child.wait().ok();
        if thread::panicking() {
            eprintln!("── the house's last words\n{}", self.log.last_words());
        }
    }
}

impl Log {
    fn follow(&self, stderr: impl BufRead) {
        for line in stderr.split(b'\n') {
            let Ok(line) = line else { break };
            self.said.lock().unwrap().lines.push(text(&line));
            self.more.notify_all();
        }
        self.said.lock().unwrap().ended += 1;
        self.more.notify_all();
    }

    fn lines(&self) -> Vec<String> {
        self.said.lock().unwrap().lines.clone()
    }

    fn last_words(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The first line behind `after` that has `words`; fails when the house ends before.
    fn wait_for(&self, after: usize, words: &str) -> String {
        let mut said = self.said.lock().unwrap();
        let ended = said.ended;
        let deadline = now() + PATIENCE;
        loop {
            let found = said.lines.iter().skip(after).find(|line| line.contains(words));
            if let Some(line) = found {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(now());
            let over = said.ended > ended || left.is_zero();
            assert!(!over, "the log does not say {words:?}:\n{}", said.lines.join("\n"));
            said = self.more.wait_timeout(said, left).unwrap().0;
        }
    }

    /// Waits until the standard error of so many starts is closed.
    fn wait_ended(&self, starts: u32) {
        let mut said = self.said.lock().unwrap();
        let deadline = now() + PATIENCE;
        while said.ended < starts {
            let left = deadline.saturating_duration_since(now());
            assert!(!left.is_zero(), "a process outlives its supervisor");
            said = self.more.wait_timeout(said, left).unwrap().0;
        }
    }
}

/// `hansho serve` for these folders.
pub(crate) fn serve(config: &Path, data: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("serve").arg("--config").arg(config).arg("--data").arg(data);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs `hansho journal TASK --data DATA`.
pub(crate) fn journal(task: &str, data: &Path) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["journal", task, "--data"]).arg(data).env("RUST_LOG", "warn").output().unwrap()
}

/// Runs a `hansho serve` that must end by itself; gives its exit code and what it said.
pub(crate) fn serve_to_end(config: &Path, data: &Path) -> (Option<i32>, String) {
    let mut command = serve(config, data);
    let mut child = command.stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut { stderr }, &mut said).unwrap();
        text(&said)
    });
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let ended = wait_for(Duration::from_secs(30), || child.try_wait().unwrap());
    if ended.is_none() {
        kill_process_group(group, Signal::KILL).unwrap();
        child.wait().unwrap();
    }
    let said = reader.join().unwrap();
    let status = ended.unwrap_or_else(|| panic!("it does not end by itself:\n{said}"));
    (status.code(), said)
}

/// Asks again and again until there is an answer; fails after [`PATIENCE`].
pub(crate) fn wait<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    wait_for(PATIENCE, ask).unwrap_or_else(|| panic!("waited too long for {what}"))
}

/// Asks again and again until there is an answer or the time is over.
pub(crate) fn wait_for<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + time;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if now() >= deadline {
            return None;
        }
        pause(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of tests")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Between two looks, or two frames of a sender; never in place of an event.
#[expect(clippy::disallowed_methods, reason = "the pace of a poll or of a load")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

/// Any bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// splitmix64: small, and the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The seed of this run: `HANSHO_SEED`, or a new one.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("HANSHO_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        u64::from_le_bytes(uuid::Uuid::now_v7().as_bytes()[8..].try_into().unwrap())
    })
}
