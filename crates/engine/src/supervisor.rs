//! The supervisor: owns the sockets, starts the core, and starts it again when it ends.
//!
//! It is small on purpose: it reads the configuration, opens sockets and watches one child. What
//! can fail (disk, fold, codecs) is in the core. Connections that come while the core is away wait
//! in the kernel's queue, and nothing is acknowledged meanwhile.
//!
//! Its first line in the log names the addresses that were bound, `console=127.0.0.1:8119
//! dc09=127.0.0.1:5009 The sockets are open.`; scripts and tests that configure port 0 read it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use hansho_config::{Config, ConfigError, PortShiftError};
use hansho_telemetry::Chain;
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock;
use crate::exchange::line::{self, ToCore, ToSupervisor};
use crate::exchange::{self, Word};
use crate::notify::Manager;
use crate::sockets::{BindError, Sockets};

/// How a house is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the configuration.
    pub config: PathBuf,
    /// Folder of journal, vault and snapshots.
    pub data: PathBuf,
    /// Added to every port.
    pub port_base: u16,
}

/// Exit code of the core that asks not to be started again: somebody must mend something first.
pub const EXIT_MEND: u8 = 2;

/// First pause before a core is started again; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause before a core is started again.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A core that ran this long has a fresh start: the pause is short again.
const SOUND_AFTER: Duration = Duration::from_secs(60);
/// A core says "I live" four times a second; silent this long, it is no longer relied on.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// A core that is silent this long will not come back by itself: it is killed and started again.
/// The journal is whole whenever that happens.
const HUNG_AFTER: Duration = Duration::from_secs(20);
/// Frames of the line to the core that may wait, each way.
const LINE_MAX: usize = 4_096;
/// Time that a core has to end when it is asked to.
const END_TIME_MAX: Duration = Duration::from_secs(15);

/// Why a house could not be started, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The configuration is unsound.
    #[error("the configuration has faults")]
    Config(#[from] ConfigError),
    /// The ports cannot be shifted.
    #[error(transparent)]
    Ports(#[from] PortShiftError),
    /// A socket cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The core asks that somebody mend something first; it has said what.
    #[error("the core stopped and asks to be mended first; its last message says how")]
    Mend,
    /// The system refused a process, a signal or a socket pair.
    #[error("the system refused to {what}")]
    System {
        /// What was asked.
        what: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// Runs until a signal asks to end, or the core asks to be mended.
///
/// # Errors
///
/// See [`SuperviseError`].
pub async fn supervise(options: &Options) -> Result<(), SuperviseError> {
    let manager = Manager::of_environment();
    let mut config = Config::load(&options.config)?;
    config.site.shift_ports(options.port_base)?;
    allow_many_connections();
    let mut sockets = Sockets::bind(&config.site)?;
    say_where(&sockets);
    // Calls to 119 are answered here: they must ring with the core gone.
    let exchange = exchange::start(&config.site, sockets.take("sip"), options.data.clone())
        .map_err(|source| SuperviseError::System { what: "open the SIP door", source })?;
    drop(config);
    let mut signals = Signals::new()?;
    manager.ready("119 is answered here; the core starts.");
    tokio::spawn(manager.clone().live());
    let around = Around { options, sockets: &sockets, exchange: exchange.as_ref(), manager };
    let mut pause = PAUSE_MIN;
    let mut was_sound = false;
    loop {
        let started = clock::now();
        let (end, spoke) = live_one(&around, &mut signals).await;
        let asks = |status: &ExitStatus| status.code() == Some(i32::from(EXIT_MEND));
        was_sound |= spoke;
        match end {
            Ok(End::Asked) => return Ok(()),
            Ok(End::Exited(status)) if status.success() => return Ok(()),
            // At the first start a person is looking: stop and say so. Later the doors stay open,
            // and the core is tried again until somebody has mended it.
            Ok(End::Exited(status)) if asks(&status) && !was_sound => {
                return Err(SuperviseError::Mend);
            }
            Err(error) if !was_sound => return Err(error),
            Ok(End::Exited(status)) => {
                tracing::error!(%status, "The core ended; it is started again.");
            }
            // No process to be had just now is no reason to close the doors for good.
            Err(error) => {
                tracing::error!(error = %Chain(&error), "The core could not be run; it is tried again.");
            }
        }
        if clock::now().duration_since(started).unsigned_abs() >= SOUND_AFTER {
            pause = PAUSE_MIN;
        }
        around.manager.status("The core ended and is started again; 119 rings at every seat.");
        if signals.within(pause).await {
            around.manager.stopping();
            return Ok(());
        }
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
}

/// What a core is started with.
struct Around<'a> {
    options: &'a Options,
    sockets: &'a Sockets,
    exchange: Option<&'a mpsc::Sender<Word>>,
    manager: Manager,
}

/// One life of a core: how it ended, and whether it ever spoke.
async fn live_one(
    around: &Around<'_>,
    signals: &mut Signals,
) -> (Result<End, SuperviseError>, bool) {
    let lived = match Core::start(around) {
        Ok(mut core) => (core.watch(signals).await, core.spoke),
        Err(error) => (Err(error), false),
    };
    if let Some(exchange) = around.exchange {
        tell(exchange, Word::CoreWent).await;
    }
    lived
}

async fn tell(exchange: &mpsc::Sender<Word>, word: Word) {
    if exchange.send(word).await.is_err() {
        tracing::error!("The exchange does not listen any more.");
    }
}

/// Shells allow 1,024 open files by default; the doors take more connections than that. The core
/// inherits what is set here.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, "The limit of open files could not be raised.");
    }
}

/// Says where the house listens: with port 0 in the configuration nobody else knows.
fn say_where(sockets: &Sockets) {
    let name = |address: io::Result<SocketAddr>| {
        address.map_or_else(|_unknown| "-".to_owned(), |address| address.to_string())
    };
    let console = name(sockets.console.local_addr());
    let doors = sockets.doors.iter();
    let doors: Vec<String> =
        doors.map(|door| format!("{}={}", door.name, name(door.local_addr()))).collect();
    tracing::info!(console, doors = %doors.join(" "), "The sockets are open.");
}

/// How a core's life ended.
enum End {
    Asked,
    Exited(ExitStatus),
}

struct Core {
    child: Ward,
    /// What it says.
    says: mpsc::Receiver<ToSupervisor>,
    /// Where it hears of calls.
    hears: mpsc::Sender<ToCore>,
    exchange: Option<mpsc::Sender<Word>>,
    manager: Manager,
    heard: Timestamp,
    silent: bool,
    spoke: bool,
}

impl Core {
    fn start(around: &Around<'_>) -> Result<Self, SuperviseError> {
        let Around { options, sockets, exchange, manager } = around;
        let refused = |what| move |source| SuperviseError::System { what, source };
        let (ours, theirs) = StdUnixStream::pair().map_err(refused("make a pair of sockets"))?;
        // The running program itself: an upgrade may have replaced the file meanwhile.
        let child = Command::new("/proc/self/exe")
            .arg0("hansho")
            .arg("serve-core")
            .arg("--config")
            .arg(&options.config)
            .arg("--data")
            .arg(&options.data)
            .arg("--port-base")
            .arg(options.port_base.to_string())
            // Only the supervisor speaks with the service manager.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .map_err(refused("start the core"))?;
        // From here on whatever fails takes the child with it.
        let child = Ward(child);
        hand_over(sockets, &ours)?;
        ours.set_nonblocking(true).map_err(refused("watch the core"))?;
        let line = UnixStream::from_std(ours).map_err(refused("watch the core"))?;
        let (read, write) = line.into_split();
        let (tell, says) = mpsc::channel(LINE_MAX);
        let (hears, to_say) = mpsc::channel(LINE_MAX);
        tokio::spawn(listen(read, tell));
        tokio::spawn(speak(write, to_say));
        let heard = clock::now();
        let (exchange, manager) = (exchange.cloned(), manager.clone());
        Ok(Self { child, says, hears, exchange, manager, heard, silent: false, spoke: false })
    }

    async fn watch(&mut self, signals: &mut Signals) -> Result<End, SuperviseError> {
        loop {
            if let Some(status) = self.exited()? {
                return Ok(End::Exited(status));
            }
            tokio::select! {
                said = self.says.recv() => match said {
                    // The line closes just before the core ends; its status comes at once.
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                    Some(ToSupervisor::Alive) => self.hear().await,
                    Some(said) => self.pass_on(Word::Core(said)).await,
                },
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    if self.hangs().await {
                        tracing::error!("The core hangs; it is killed. The journal is whole.");
                        return self.kill().map(End::Exited);
                    }
                }
                () = signals.any() => return Ok(self.end().await.unwrap_or_else(|error| {
                    // Dropping it ends it once more; it is not to be started again.
                    tracing::error!(error = %Chain(&error), "The core could not be ended in order.");
                    End::Asked
                })),
            }
        }
    }

    async fn hear(&mut self) {
        if self.silent {
            tracing::warn!("The core speaks again.");
        }
        if self.silent || !self.spoke {
            self.pass_on(Word::CoreCame(self.hears.clone())).await;
            self.manager.status("All is well: 119 is answered here, and the core runs.");
        }
        if !self.spoke {
            tracing::info!("The core speaks.");
        }
        self.silent = false;
        self.spoke = true;
        self.heard = clock::now();
    }

    async fn pass_on(&self, word: Word) {
        if let Some(exchange) = &self.exchange {
            tell(exchange, word).await;
        }
    }

    /// Listens for signs of life; whether there were none for so long that there will be none.
    async fn hangs(&mut self) -> bool {
        let silence = clock::now().duration_since(self.heard).unsigned_abs();
        // A first start enters whole registers and folds the journal before it speaks.
        if self.spoke && silence >= SILENCE_MAX && !self.silent {
            self.silent = true;
            self.manager.status("The core is silent; 119 rings at every seat.");
            tracing::error!("The core is silent; what it has not acknowledged, devices repeat.");
            self.pass_on(Word::CoreWent).await;
        }
        self.spoke && silence >= HUNG_AFTER
    }

    fn kill(&mut self) -> Result<ExitStatus, SuperviseError> {
        let refused = |source| SuperviseError::System { what: "end the core", source };
        self.child.0.kill().map_err(refused)?;
        self.child.0.wait().map_err(refused)
    }

    /// Asks the core to end, and ends it when it does not.
    async fn end(&mut self) -> Result<End, SuperviseError> {
        self.manager.stopping();
        let pid = rustix::process::Pid::from_child(&self.child.0);
        if let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM) {
            tracing::debug!(%error, "The core had ended already.");
        }
        let asked = clock::now();
        while clock::now().duration_since(asked).unsigned_abs() < END_TIME_MAX {
            if self.exited()?.is_some() {
                return Ok(End::Asked);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tracing::error!("The core did not end when asked; it is killed. The journal is whole.");
        self.kill()?;
        Ok(End::Asked)
    }

    fn exited(&mut self) -> Result<Option<ExitStatus>, SuperviseError> {
        self.child
            .0
            .try_wait()
            .map_err(|source| SuperviseError::System { what: "wait for the core", source })
    }
}

/// Gives a core its copies of the sockets. One that ended before it had them is no fault of ours:
/// its end is watched for like any other, and the next one gets them.
fn hand_over(sockets: &Sockets, core: &StdUnixStream) -> Result<(), SuperviseError> {
    let gone = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    };
    match sockets.send(core) {
        Err(error) if gone(&error) => {
            tracing::warn!(%error, "The core ended before it had the sockets.");
            Ok(())
        }
        sent => {
            sent.map_err(|source| SuperviseError::System { what: "hand over the sockets", source })
        }
    }
}

/// Reads what a core says until it ends.
async fn listen(mut line: OwnedReadHalf, tell: mpsc::Sender<ToSupervisor>) {
    while let Ok(said) = line::receive(&mut line).await {
        if tell.send(said).await.is_err() {
            return;
        }
    }
}

/// Tells a core of calls until it ends.
async fn speak(mut line: OwnedWriteHalf, mut to_say: mpsc::Receiver<ToCore>) {
    while let Some(message) = to_say.recv().await {
        if line::send(&mut line, &message).await.is_err() {
            return;
        }
    }
}

/// A child that ends with whoever holds it.
struct Ward(Child);

impl Drop for Ward {
    fn drop(&mut self) {
        // Whatever ended the supervisor's care: no core without a supervisor.
        if matches!(self.0.try_wait(), Ok(None)) && self.0.kill().is_ok() {
            let ended = self.0.wait();
            tracing::debug!(ended = ended.is_ok(), "The core was ended with its supervisor.");
        }
    }
}

/// The signals that ask to end.
pub(crate) struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, SuperviseError> {
        let refused = |source| SuperviseError::System { what: "watch signals", source };
        Ok(Self {
            term: signal(SignalKind::terminate()).map_err(refused)?,
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
        })
    }

    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Whether one came within this time.
    async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.any()).await.is_ok()
    }
}

/// Logs a whole chain of causes, for the last words before an exit.
pub fn last_words(error: &(dyn std::error::Error + 'static)) {
    tracing::error!(error = %Chain(error), "Hansho ends.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::DoorSocket;

    #[test]
    fn a_core_that_ends_before_it_has_the_sockets_does_not_end_the_supervisor() {
        let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sockets = Sockets { console: listener(), doors: Vec::new() };
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        drop(theirs);
        hand_over(&sockets, &ours).unwrap();
        // What is our own fault stays one.
        let door = || DoorSocket { name: "mqtt", stream: Some(listener()), datagrams: None };
        sockets.doors = (0..64).map(|_| door()).collect();
        let (ours, _theirs) = StdUnixStream::pair().unwrap();
        assert!(hand_over(&sockets, &ours).is_err());
    }

    #[test]
    fn a_low_limit_of_open_files_is_raised_as_far_as_allowed() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(512), maximum }).unwrap();
        allow_many_connections();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
