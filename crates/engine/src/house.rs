//! The core process: opens what is on the disk, then the doors, and closes them in order.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use hansho_alerts::mail::{Credentials, MailChannel, MailConfig, MailConfigError, Server};
use hansho_config::{Config, ConfigError, MailSettings, PortShiftError};
use hansho_console::{Account, Accounts, ApiToken, Console, PasswordError, Settings, Submit};
use hansho_core::{SNAPSHOT_VERSION, State};
use hansho_intake::{
    Crews, Entrance, ForeignBroker, ForeignTopic, Identities, QuicDoor, Sessions, TcpLimits,
    Turnstile, follow_broker, serve_quic, serve_tcp, serve_tls, serve_udp,
};
use hansho_journal::{
    Journal as _, JournalError, Reserve, Snapshot, SnapshotStore, SqliteJournal, Vault, VaultError,
    free_bytes, probe,
};
use hansho_model::{Door, Input, Lane, Private, Recorded, Seq};
use hansho_outbox::{Change, Runner};
use hansho_protocols as protocols;
use hansho_telemetry::{Chain, Counter, Gauge, Histogram};
use tokio::net::{TcpListener, UdpSocket, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::accounting::Books;
use crate::answers::AnswerDesk;
use crate::clock::{self, HouseClock};
use crate::edge::Edge;
use crate::gauges::{self, Gauges};
use crate::live::{self, Outlets, Queue};
use crate::public::PublicDesk;
use crate::registry::{self, Subjects};
use crate::replica::Replica;
use crate::satellite::Satellites;
use crate::sequencer::Sequencer;
use crate::sockets::{DoorSocket, Sockets};
use crate::start::{self, FoldError, Folded};
use crate::supervisor::{Options, Signals, SuperviseError};
use crate::telephone::{self, Exchangeable};
use crate::terminals::Terminals;
use crate::tls::{self, CertificateError};
use crate::ways::Ways;

/// Events after which a snapshot is made.
const SNAPSHOT_EVENTS: u64 = 100_000;
/// Time after which a snapshot is made, when anything happened.
const SNAPSHOT_TIME: Duration = Duration::from_secs(900);
/// Room that a start needs: its own events, and a log that may grow.
const ROOM_TO_START_BYTES: u64 = 32 << 20;
/// How often free room is looked at.
const DISK_WATCH: Duration = Duration::from_secs(5);
/// How often the disk's own speed is measured, and with how many writes.
const PROBE_EVERY: Duration = Duration::from_secs(60);
/// See [`PROBE_EVERY`].
const PROBE_ROUNDS: u32 = 16;
/// Time that mails under way have to come down when the core ends.
const OUTBOX_END_MAX: Duration = Duration::from_secs(8);
/// Batches that may wait for the replica; changes that may wait for the outbox.
const WAITING_MAX: usize = 65_536;

/// Why the core ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HouseError {
    /// No sockets came from the supervisor.
    #[error("the core has no sockets")]
    Sockets(#[source] io::Error),
    /// The configuration is unsound.
    #[error("the configuration has faults")]
    Config(#[from] ConfigError),
    /// The ports cannot be shifted.
    #[error(transparent)]
    Ports(#[from] PortShiftError),
    /// The journal, the snapshots or the reserve.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A snapshot was made of events that the journal no longer has.
    #[error(
        "the journal ends at event {head}, but a snapshot holds event {snapshot}: the journal has \
         lost its end, or an older copy was put back. Put back the newest copy of journal.db with \
         its -wal; or, to go on without what was lost, move snapshots.db away"
    )]
    EndLost {
        /// Where the journal ends.
        head: Seq,
        /// Last event of the snapshot.
        snapshot: Seq,
    },
    /// The vault of data keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The journal cannot be folded.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The mail relay's settings.
    #[error("the mail settings are unusable")]
    Mail(#[from] MailConfigError),
    /// The file with the password of a relay or a broker.
    #[error("{path}, which holds a password, cannot be read")]
    PasswordFile {
        /// File.
        path: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The certificate of the doors that speak TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A log-in's password hash.
    #[error("a log-in cannot be used")]
    Password(#[from] PasswordError),
    /// Signals cannot be watched.
    #[error(transparent)]
    Signals(#[from] SuperviseError),
    /// The system refused a thread, a runtime or a socket.
    #[error("the system refused to {what}")]
    System {
        /// What was asked.
        what: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The live thread ended: durability is lost, nobody may be answered any more.
    #[error("the core stops: the journal could not commit, or a rule of the core was broken")]
    Lost,
    /// A part that runs as long as the house ended by itself.
    #[error("the core stops: {what} broke; the line before says why")]
    Broken {
        /// Part.
        what: &'static str,
    },
}

impl HouseError {
    /// Whether starting again would meet the same fault: somebody must mend something first.
    #[must_use]
    pub const fn needs_mending(&self) -> bool {
        match self {
            Self::Sockets(_)
            | Self::EndLost { .. }
            | Self::Config(_)
            | Self::Ports(_)
            | Self::Vault(_)
            | Self::Mail(_)
            | Self::PasswordFile { .. }
            | Self::Certificate(_)
            | Self::Password(_) => true,
            // Another process that is about to end may still hold the folder.
            Self::Journal(error) | Self::Fold(FoldError::Journal(error)) => {
                !matches!(error, JournalError::Busy { .. })
            }
            Self::Fold(_)
            | Self::Signals(_)
            | Self::System { .. }
            | Self::Lost
            | Self::Broken { .. } => false,
        }
    }
}

/// Runs the core until it is asked to end. `supervisor` is the line to the supervisor.
///
/// # Errors
///
/// See [`HouseError`]; on [`HouseError::Lost`] the process must exit at once.
pub fn run(
    options: &Options,
    supervisor: std::os::unix::net::UnixStream,
) -> Result<(), HouseError> {
    let sockets = Sockets::receive(&supervisor).map_err(HouseError::Sockets)?;
    let mut config = Config::load(&options.config)?;
    config.site.shift_ports(options.port_base)?;
    let disk = Disk::open(&options.data, config.site.reserve_mib)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(refused("start its threads"))?;
    let house = House::build(&config, disk, options, runtime.handle())?;
    let ended = runtime.block_on(house.open(&config, sockets, supervisor));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Opens what a configuration names beside itself, as a start does: certificate, key, passwords and
/// log-ins. A check before a start, so that the start does not fail on them.
///
/// # Errors
///
/// The first that cannot be used.
pub fn check(config: &Config) -> Result<(), HouseError> {
    if config.site.tls.is_some() {
        tls::identity(config.site.tls.as_ref(), Path::new(""))?;
    }
    config.site.mail.as_ref().map(mail_config).transpose()?;
    for (_user, path) in config.site.foreign_brokers.iter().filter_map(|each| each.login.as_ref()) {
        password(path)?;
    }
    Accounts::new(accounts(config).0)?;
    Ok(())
}

fn refused(what: &'static str) -> impl FnOnce(io::Error) -> HouseError {
    move |source| HouseError::System { what, source }
}

/// What stands in the data folder.
struct Disk {
    journal: SqliteJournal,
    vault: Arc<Vault>,
    snapshots: SnapshotStore,
    reserve: Reserve,
    folded: Folded,
}

impl Disk {
    fn open(folder: &Path, reserve_mib: u32) -> Result<Self, HouseError> {
        let journal = open_journal(folder)?;
        warn_if_open(folder);
        let vault = Arc::new(Vault::open(folder)?);
        let mut snapshots = SnapshotStore::open(folder)?;
        let mut reserve = Reserve::create(folder, reserve_mib)?;
        if reserve.bytes() == 0 {
            tracing::error!("There is no room for the reserve; make room in the data folder.");
        } else if free_bytes(folder)? < ROOM_TO_START_BYTES {
            tracing::error!("The disk is full: the reserve is given up so that alarms go on.");
            reserve.release()?;
        }
        let head = journal.head().seq;
        if let Some(snapshot) = snapshots.last()?.filter(|snapshot| *snapshot > head) {
            return Err(HouseError::EndLost { head, snapshot });
        }
        let begin = newest_state(&mut snapshots, head)?;
        let folded = start::fold(folder, begin)?;
        if folded.passed_over.is_empty()
            && let Err(error) = start::clear_mark(folder)
        {
            tracing::warn!(%error, "The mark of an earlier failed start could not be removed.");
        }
        Ok(Self { journal, vault, snapshots, reserve, folded })
    }
}

/// Who may read the folder reads who reported when and from where, and has the keys to the rest.
fn warn_if_open(folder: &Path) {
    let mode = std::fs::metadata(folder).map_or(0o700, |found| found.permissions().mode());
    if mode & 0o077 != 0 {
        let (path, mode) = (folder.display(), format!("{:o}", mode & 0o777));
        tracing::error!(%path, mode, "The data folder is open to others: `chmod 700` it.");
    }
}

/// Opens the journal; where even that needs more room than there is, the reserve is given up for it.
fn open_journal(folder: &Path) -> Result<SqliteJournal, JournalError> {
    match SqliteJournal::open(folder) {
        Err(JournalError::Full { .. }) => {
            tracing::error!("No room to open the journal: the reserve is given up for it.");
            Reserve::create(folder, 0)?;
            SqliteJournal::open(folder)
        }
        opened => opened,
    }
}

/// The newest snapshot that is sound; else the state before the first event.
fn newest_state(snapshots: &mut SnapshotStore, head: Seq) -> Result<State, HouseError> {
    let Some(snapshot) = snapshots.newest(head, SNAPSHOT_VERSION)? else {
        return Ok(State::default());
    };
    match State::decode(&snapshot.state) {
        Ok(state) if state.seq() == snapshot.seq => Ok(state),
        Ok(_) | Err(_) => {
            tracing::warn!(seq = snapshot.seq.get(), "A snapshot is not used: it does not decode.");
            Ok(State::default())
        }
    }
}

/// All parts, joined, with no door open yet.
struct House {
    queue: Arc<Queue>,
    books: Arc<Books>,
    edge: Arc<Edge>,
    replica: Arc<Replica>,
    ways: Ways,
    terminals: Arc<Terminals>,
    satellites: Arc<Satellites>,
    telephone: Exchangeable,
    owed: Vec<Change>,
    changes: mpsc::Receiver<Change>,
    start: Input,
    reserve: Arc<Mutex<Reserve>>,
    data: std::path::PathBuf,
    clock: Arc<HouseClock>,
    live: thread::JoinHandle<()>,
    folding: thread::JoinHandle<()>,
    lost: watch::Receiver<bool>,
}

impl House {
    fn build(
        config: &Config,
        disk: Disk,
        options: &Options,
        runtime: &Handle,
    ) -> Result<Self, HouseError> {
        let Disk { journal, vault, snapshots, reserve, folded } = disk;
        let queue = Arc::new(Queue::default());
        let books = Arc::new(Books::default());
        let subjects = Subjects::new(config);
        let erased = registry::forget_erased(&folded.state, &vault)?;
        if erased > 0 {
            tracing::warn!(erased, "Keys of erased people had come back and are destroyed again.");
        }
        vault.prepare(config.people.keys().map(|key| registry::person_subject(key)))?;
        let edge = Arc::new(Edge::new(
            Arc::clone(&vault),
            Arc::clone(&queue),
            Arc::clone(&books),
            subjects,
        ));
        let start = Input::Start(Box::new(registry::start(config, &folded.state, &vault)?));
        let replica =
            Arc::new(Replica::new(folded.state.clone(), folded.passed_over.first().copied()));
        let (orders, telephone) = telephone::telephone();
        let terminals =
            Terminals::new(config, Arc::clone(&vault), Arc::clone(&queue), Arc::clone(&books));
        let terminals = Arc::new(terminals);
        let satellites = Arc::new(Satellites::new(config, Arc::clone(&vault)));
        let ways = Ways {
            mail: mail(config, &vault, &edge)?,
            line: Some(orders),
            terminals: Some(Arc::clone(&terminals)),
            satellites: Some(Arc::clone(&satellites)),
            vault,
        };

        let (to_replica, committed) = sync_channel(WAITING_MAX);
        let (to_outbox, changes) = mpsc::channel(WAITING_MAX);
        let owed = live::left_waiting(&folded.state).collect();
        let outlets = Outlets {
            replica: to_replica,
            readers: Arc::clone(&replica),
            outbox: to_outbox,
            runtime: runtime.clone(),
            committed: observe,
        };
        let (died, lost) = watch::channel(false);
        let died_too = died.clone();
        let folded_whole = folded.passed_over.is_empty();
        let clock = Arc::new(HouseClock::new(folded.state.at()));
        let sequencer = Sequencer::new(folded.state, journal);
        let live = spawn_live(sequencer, Arc::clone(&queue), outlets, Arc::clone(&clock), died)?;
        // A snapshot without the event that was passed over would hide it from the next release.
        let snapshots = folded_whole.then_some(snapshots);
        let folding = spawn_folding(committed, Arc::clone(&replica), snapshots, died_too)?;
        let reserve = Arc::new(Mutex::new(reserve));
        let data = options.data.clone();
        Ok(Self {
            queue,
            books,
            edge,
            replica,
            ways,
            terminals,
            satellites,
            telephone,
            owed,
            changes,
            start,
            reserve,
            data,
            clock,
            live,
            folding,
            lost,
        })
    }

    /// Opens the doors and keeps them until somebody asks to end.
    async fn open(
        self,
        config: &Config,
        sockets: Sockets,
        supervisor: std::os::unix::net::UnixStream,
    ) -> Result<(), HouseError> {
        let mut signals = Signals::new()?;
        let mut lost = self.lost.clone();
        let (stop, stopped) = watch::channel(false);
        let started = self.queue.submit(Lane::B, self.start.clone());
        let (changes, to_runner) = mpsc::channel(WAITING_MAX);
        tokio::spawn(pass_on(self.owed, self.changes, changes, stopped.clone()));
        let core = CoreLine(Arc::clone(&self.queue));
        let clock = Arc::clone(&self.clock);
        let mut outbox =
            tokio::spawn(Runner::new(core, self.ways, ShellClock(self.clock)).run(to_runner));
        if let Some(started) = started {
            tokio::select! {
                _answer = started => {}
                _ = lost.wait_for(|lost| *lost) => return Err(HouseError::Lost),
            }
        }
        // Before any door: who finds the house well may rely on calls being written down.
        supervisor.set_nonblocking(true).map_err(refused("use a socket"))?;
        let line = UnixStream::from_std(supervisor).map_err(refused("use a socket"))?;
        let trunks = config.site.sip.trunks.clone();
        let (edge, replica) = (Arc::clone(&self.edge), Arc::clone(&self.replica));
        let line = telephone::serve(line, self.telephone, edge, replica, trunks);
        let mut line = tokio::spawn(line);
        let mut doors = tokio::task::JoinSet::new();
        let behind = Behind { edge: &self.edge, crews: self.terminals };
        open_doors(config, &self.data, sockets.doors, &behind, &stopped, &mut doors)?;
        let satellites = self.satellites;
        satellites
            .open(config, &self.data, &self.edge, &stopped, &mut doors)
            .map_err(refused("start a serial port's thread"))?;
        let gauges = Gauges {
            queue: Arc::clone(&self.queue),
            replica: Arc::clone(&self.replica),
            books: Arc::clone(&self.books),
            data: self.data.clone(),
        };
        let console = console(config, &self.edge, &self.replica, gauges, &clock)?;
        doors.spawn(serve_console(listener(sockets.console)?, console, stopped.clone()));
        follow_brokers(config, &self.edge, &stopped, &mut doors)?;
        doors.spawn(gauges::tidy(stopped.clone()));
        doors.spawn(probe_disk(self.data.clone(), Arc::clone(&self.queue), stopped.clone()));
        doors.spawn(watch_disk(self.data, self.reserve, Arc::clone(&self.edge), stopped.clone()));
        tracing::info!("The doors are open.");
        tokio::select! {
            () = signals.any() => {}
            _ = &mut line => tracing::error!("The supervisor has gone; the core ends with it."),
            _ = lost.wait_for(|lost| *lost) => return Err(HouseError::Lost),
            // A house with a door or its way out shut must not look alive: it is started again.
            _ = doors.join_next() => return Err(HouseError::Broken { what: "a door" }),
            _ = &mut outbox => return Err(HouseError::Broken { what: "the outbox" }),
        }
        // From here on the exchange spools what is said; the next core writes it down.
        line.abort();
        stop.send_replace(true);
        while doors.join_next().await.is_some() {}
        // What is at the relay comes down and is journalled; what hangs becomes uncertain.
        if tokio::time::timeout(OUTBOX_END_MAX, outbox).await.is_err() {
            tracing::warn!("Mails under way did not come down in time.");
        }
        self.queue.stop();
        let (live, folding) = (self.live, self.folding);
        let joined =
            tokio::task::spawn_blocking(move || live.join().is_ok() && folding.join().is_ok());
        let whole = joined.await.unwrap_or(false);
        if whole { Ok(()) } else { Err(HouseError::Lost) }
    }
}

async fn serve_console(
    listener: TcpListener,
    console: Arc<Console>,
    mut stop: watch::Receiver<bool>,
) {
    let asked = async move {
        let asked = stop.wait_for(|stop| *stop).await;
        drop(asked);
    };
    if let Err(error) = hansho_console::serve(listener, console, asked).await {
        tracing::error!(%error, "The console's door broke.");
    }
}

/// Hands what is owed and then every change on to the outbox until the house ends: from then on it
/// begins nothing new, while the live thread still commits what comes of attempts under way.
async fn pass_on(
    owed: Vec<Change>,
    mut changes: mpsc::Receiver<Change>,
    outbox: mpsc::Sender<Change>,
    mut stop: watch::Receiver<bool>,
) {
    for change in owed {
        if outbox.send(change).await.is_err() {
            return;
        }
    }
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some(change) = change else { return };
        if outbox.send(change).await.is_err() {
            break;
        }
    }
    drop(outbox);
    while changes.recv().await.is_some() {}
}

fn spawn_live(
    mut sequencer: Sequencer<SqliteJournal>,
    queue: Arc<Queue>,
    outlets: Outlets,
    clock: Arc<HouseClock>,
    died: watch::Sender<bool>,
) -> Result<thread::JoinHandle<()>, HouseError> {
    let run = move || {
        let guard = Died(died);
        match live::run(&mut sequencer, &queue, &outlets, &clock) {
            Ok(()) => tracing::debug!("All that waited is committed."),
            Err(error) => tracing::error!(error = %Chain(&error), "A commit failed."),
        }
        drop(guard);
    };
    thread::Builder::new()
        .name("sequencer".to_owned())
        .spawn(run)
        .map_err(refused("start a thread"))
}

/// Says that a thread ended that the house cannot do without, by whatever way it ended.
struct Died(watch::Sender<bool>);

impl Drop for Died {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

fn spawn_folding(
    committed: Receiver<Arc<[Recorded]>>,
    replica: Arc<Replica>,
    mut snapshots: Option<SnapshotStore>,
    died: watch::Sender<bool>,
) -> Result<thread::JoinHandle<()>, HouseError> {
    let run = move || {
        // Without a replica consoles would show an old state for ever.
        let guard = Died(died);
        let mut since = 0_u64;
        let mut last = clock::now();
        loop {
            match committed.recv_timeout(SNAPSHOT_TIME) {
                Ok(batch) => {
                    replica.fold(&batch);
                    since = since.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let waited = clock::now().duration_since(last).unsigned_abs();
            if since >= SNAPSHOT_EVENTS || (since > 0 && waited >= SNAPSHOT_TIME) {
                take_snapshot(&replica, snapshots.as_mut());
                (since, last) = (0, clock::now());
            }
        }
        if since > 0 {
            take_snapshot(&replica, snapshots.as_mut());
        }
        drop(guard);
    };
    thread::Builder::new().name("replica".to_owned()).spawn(run).map_err(refused("start a thread"))
}

fn take_snapshot(replica: &Replica, snapshots: Option<&mut SnapshotStore>) {
    let Some(snapshots) = snapshots else { return };
    let (seq, state) = replica.encode();
    let snapshot = Snapshot::new(seq, SNAPSHOT_VERSION, state);
    match snapshots.put(&snapshot) {
        Ok(()) => Counter::JournalSnapshotsTotal.add("", 1),
        // The journal is whole without it: the next start folds a longer tail.
        Err(error) => tracing::error!(error = %Chain(&error), "A snapshot could not be kept."),
    }
}

fn observe(took: Duration, inputs: usize, events: usize) {
    Counter::JournalCommitsTotal.add("", u64::from(events > 0));
    Counter::JournalEventsTotal.add("", u64::try_from(events).unwrap_or(u64::MAX));
    Histogram::JournalCommitSeconds.record(took.as_secs_f64());
    let inputs = u32::try_from(inputs).unwrap_or(u32::MAX);
    Histogram::JournalBatchCount.record(f64::from(inputs));
}

fn mail(
    config: &Config,
    vault: &Arc<Vault>,
    edge: &Arc<Edge>,
) -> Result<Option<MailChannel>, HouseError> {
    let Some(settings) = &config.site.mail else { return Ok(None) };
    let mail = mail_config(settings)?;
    let lookups: Arc<dyn hansho_alerts::mail::Lookups> = Arc::<Edge>::clone(edge);
    let reveal: Arc<dyn hansho_model::Reveal> = Arc::<Vault>::clone(vault);
    Ok(Some(MailChannel::new(mail, reveal, lookups)?))
}

fn mail_config(settings: &MailSettings) -> Result<MailConfig, HouseError> {
    let (host, port) = settings.relay.rsplit_once(':').unwrap_or((&settings.relay, "25"));
    let host = host.trim_matches(['[', ']']).to_owned();
    let port = port.parse().unwrap_or(25);
    let mut mail = MailConfig::plain(&host, port, &settings.message_domain);
    mail.servers = vec![Server { host, port }];
    mail.width = usize::from(settings.connections);
    mail.provider_width = usize::from(settings.provider_connections);
    mail.providers.clone_from(&settings.providers);
    mail.starttls = settings.starttls;
    if let Some((user, path)) = &settings.login {
        mail.credentials = Some(Credentials::new(user.clone(), password(path)?));
    }
    Ok(mail)
}

/// For what the vault's secret is used at the terminals' door.
const QUIC_PURPOSE: &str = "quic reset";

/// What is spoken at a door: under which name it is accounted, and how long its links may rest.
struct Spoken {
    protocol: protocols::Protocol,
    door: Door,
    limits: protocols::Limits,
}

/// What is spoken at a door of the configuration, by its key in `[listen]`.
fn spoken_at(key: &str) -> Option<Spoken> {
    let (protocol, door, limits) = match key {
        "dc09" => (protocols::Protocol::Dc09, Door::Dc09, protocols::Limits::default()),
        "watch" => (protocols::Protocol::Watch, Door::Watch, protocols::Limits::TRACKERS),
        "mqtt" | "mqtts" | "mqtt_alarms" | "mqtts_alarms" => {
            (protocols::Protocol::Mqtt, Door::Mqtt, protocols::Limits::default())
        }
        _ => return None,
    };
    Some(Spoken { protocol, door, limits })
}

/// What stands behind the doors.
struct Behind<'a> {
    edge: &'a Arc<Edge>,
    crews: Arc<dyn Crews>,
}

fn open_doors(
    config: &Config,
    data: &Path,
    sockets: Vec<DoorSocket>,
    behind: &Behind<'_>,
    stop: &watch::Receiver<bool>,
    doors: &mut tokio::task::JoinSet<()>,
) -> Result<(), HouseError> {
    // A device may come by any door of its protocol; its newest connection counts.
    let mut identities: BTreeMap<Door, Arc<Identities>> = BTreeMap::new();
    let turnstile = Turnstile::default();
    let edge = behind.edge;
    for DoorSocket { name, stream, datagrams } in sockets {
        let Some(stream) = stream else {
            let Some(socket) = datagrams else { continue };
            let terminals = QuicDoor {
                sink: Arc::<Edge>::clone(edge),
                crews: Arc::clone(&behind.crews),
                turnstile: turnstile.clone(),
                identities: Arc::default(),
            };
            open_to_terminals(config, data, socket, (terminals, edge), (stop, doors))?;
            continue;
        };
        let Some(Spoken { protocol, door, limits }) = spoken_at(name) else {
            tracing::error!(name, "Nothing is spoken at this door; it stays shut.");
            continue;
        };
        let accounts = Arc::new(accounts_of(config, door.as_str()));
        let identities = identities.entry(door).or_default();
        let entrance = |transport| {
            let accounts = Arc::clone(&accounts);
            let sessions: Sessions = Arc::new(move || {
                let accounts = Arc::clone(&accounts);
                protocol.session(protocols::Setup::new(accounts, transport, limits, clock::now()))
            });
            let sink: Arc<dyn hansho_intake::Sink> = Arc::<Edge>::clone(edge);
            let (identities, turnstile) = (Arc::clone(identities), turnstile.clone());
            Entrance { door, sessions, sink, identities, turnstile }
        };
        let listener = listener(stream)?;
        // Devices that may only report never fill these: a pendant finds a place whatever happens.
        let reserved = name.ends_with("_alarms");
        let (streams, limits) = (
            entrance(protocols::Transport::Stream),
            TcpLimits { reserved, ..TcpLimits::default() },
        );
        if name.starts_with("mqtts") {
            let identity = tls::identity(config.site.tls.as_ref(), data)?;
            doors.spawn(serve_tls(listener, identity, streams, limits, stop.clone()));
        } else {
            doors.spawn(serve_tcp(listener, streams, limits, stop.clone()));
        }
        let Some(datagrams) = datagrams else { continue };
        datagrams.set_nonblocking(true).map_err(refused("use a socket"))?;
        let socket = UdpSocket::from_std(datagrams).map_err(refused("use a socket"))?;
        let single = entrance(protocols::Transport::Datagram);
        doors.spawn(serve_udp(Arc::new(socket), single, stop.clone()));
    }
    Ok(())
}

fn open_to_terminals(
    config: &Config,
    data: &Path,
    socket: std::net::UdpSocket,
    (door, edge): (QuicDoor, &Edge),
    (stop, doors): (&watch::Receiver<bool>, &mut tokio::task::JoinSet<()>),
) -> Result<(), HouseError> {
    socket.set_nonblocking(true).map_err(refused("use a socket"))?;
    let secret = edge.vault().mac(QUIC_PURPOSE, b"");
    let identity = tls::quic_identity(config.site.tls.as_ref(), data, &secret)?;
    let stop = stop.clone();
    doors.spawn(async move {
        if let Err(error) = serve_quic(socket, identity, door, stop).await {
            tracing::error!(%error, "The terminals' door broke.");
        }
    });
    Ok(())
}

/// Listens to the brokers of others.
fn follow_brokers(
    config: &Config,
    edge: &Arc<Edge>,
    stop: &watch::Receiver<bool>,
    doors: &mut tokio::task::JoinSet<()>,
) -> Result<(), HouseError> {
    for broker in &config.site.foreign_brokers {
        let login = match &broker.login {
            None => None,
            Some((user, path)) => Some((user.clone(), Private(password(path)?))),
        };
        let (host, port) = broker.server.rsplit_once(':').unwrap_or((&broker.server, "1883"));
        let topics = broker
            .topics
            .iter()
            .map(|topic| ForeignTopic { filter: topic.filter.clone(), lane: topic.lane });
        let broker = ForeignBroker {
            name: broker.name.clone(),
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().unwrap_or(1_883),
            client_id: broker.client_id.clone(),
            login,
            topics: topics.collect(),
        };
        let sink: Arc<dyn hansho_intake::Sink> = Arc::<Edge>::clone(edge);
        doors.spawn(follow_broker(broker, sink, stop.clone()));
    }
    Ok(())
}

/// The password that stands alone in a file.
fn password(path: &Path) -> Result<String, HouseError> {
    let read = std::fs::read_to_string(path);
    let fault = |source| HouseError::PasswordFile { path: path.display().to_string(), source };
    Ok(read.map_err(fault)?.trim_end().to_owned())
}

/// The register of a door's devices as its sessions need it; a door has its protocol's name.
#[must_use]
pub fn accounts_of(config: &Config, door: &str) -> protocols::Accounts {
    let unknown = match config.site.unknown_devices {
        hansho_config::UnknownDevices::Show => protocols::UnknownDevices::Show,
        hansho_config::UnknownDevices::Refuse => protocols::UnknownDevices::Refuse,
    };
    let mut accounts = protocols::Accounts::new(unknown);
    for (source, device) in &config.devices {
        let Some((at, account)) = source.split_once(':') else { continue };
        if at != door {
            continue;
        }
        let key = device.aes_key.as_ref().and_then(|key| protocols::Key::new(key.0.clone()).ok());
        accounts.register(account, key);
        if let Some(login) = &device.login {
            let log_in = protocols::LogIn {
                password: login.password_hash.into(),
                kind: login.kind,
                telemetry_only: login.telemetry_only,
            };
            accounts.admit(account, log_in);
        }
    }
    accounts
}

fn listener(socket: std::net::TcpListener) -> Result<TcpListener, HouseError> {
    socket.set_nonblocking(true).map_err(refused("use a socket"))?;
    TcpListener::from_std(socket).map_err(refused("use a socket"))
}

/// The log-ins at the console, and the tokens of programs.
fn accounts(config: &Config) -> (BTreeMap<String, Account>, Vec<ApiToken>) {
    let mut by_user = BTreeMap::new();
    let mut tokens = Vec::new();
    for person in config.people.values() {
        let Some(login) = &person.login else { continue };
        let account = Account {
            password_hash: login.password_hash.clone(),
            role: login.role,
            name: person.name.0.clone(),
        };
        by_user.insert(login.user.clone(), account);
        if let Some(digest) = login.token_hash {
            tokens.push(ApiToken::from_digest(digest, login.user.clone(), login.role));
        }
    }
    (by_user, tokens)
}

fn console(
    config: &Config,
    edge: &Arc<Edge>,
    replica: &Arc<Replica>,
    gauges: Gauges,
    clock: &Arc<HouseClock>,
) -> Result<Arc<Console>, HouseError> {
    let (by_user, tokens) = accounts(config);
    let books = Arc::clone(&gauges.books);
    let (replica, edge) = (Arc::clone(replica), Arc::clone(edge));
    let clock = Arc::clone(clock);
    let answers = AnswerDesk {
        replica: Arc::clone(&replica),
        edge: Arc::clone(&edge),
        clock: Arc::clone(&clock),
    };
    let session_time = Duration::from_secs(3_600 * u64::from(config.site.session_hours));
    Ok(Arc::new(Console {
        submit: Arc::<Queue>::clone(edge.queue()),
        reveal: Arc::<Vault>::clone(edge.vault()),
        seal: edge,
        public: Arc::new(PublicDesk { replica: Arc::clone(&replica) }),
        reads: replica,
        answers: Arc::new(answers),
        accounts: Accounts::new(by_user)?,
        tokens,
        accounting: Arc::new(move || books.read()),
        metrics: Arc::new(move || gauges.render()),
        // The core judges by this clock: a log-in that ends by another may have ended for it
        // before it began.
        clock: Arc::new(move || clock.now()),
        settings: Settings { session_time, ..Settings::default() },
    }))
}

/// Measures what the disk alone takes, now and then: the time of a commit is judged by it.
async fn probe_disk(
    folder: std::path::PathBuf,
    queue: Arc<Queue>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let folder = folder.clone();
        let probed = tokio::task::spawn_blocking(move || probe(&folder, PROBE_ROUNDS)).await;
        match probed {
            Ok(Ok(probe)) => {
                queue.board().note_probe(probe.p50);
                Gauge::EngineDiskProbeSeconds.set("", probe.p50.as_secs_f64());
            }
            Ok(Err(error)) => {
                tracing::warn!(error = %Chain(&error), "The disk could not be measured.");
            }
            Err(_ended) => {}
        }
        if tokio::time::timeout(PROBE_EVERY, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// Looks at the free room; when it is low, gives up the reserve and sheds telemetry, so that
/// alarms can still be journalled.
async fn watch_disk(
    folder: std::path::PathBuf,
    reserve: Arc<Mutex<Reserve>>,
    edge: Arc<Edge>,
    mut stop: watch::Receiver<bool>,
) {
    let low = reserve.lock().unwrap_or_else(PoisonError::into_inner).bytes().max(64 << 20) / 2;
    loop {
        let stopped = tokio::time::timeout(DISK_WATCH, stop.wait_for(|stop| *stop)).await;
        if stopped.is_ok() {
            return;
        }
        let free = match free_bytes(&folder) {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "Free room could not be asked for.");
                continue;
            }
        };
        let tight = free < low;
        if tight && !edge.queue().board().set_tight(true) {
            tracing::error!(free, "Little room is left: telemetry is shed, the reserve given up.");
            let released = reserve.lock().unwrap_or_else(PoisonError::into_inner).release();
            if let Err(error) = released {
                tracing::error!(error = %Chain(&error), "The reserve could not be given up.");
            }
        } else if free > low.saturating_mul(4) && edge.queue().board().set_tight(false) {
            tracing::warn!(free, "There is room again; the next start sets the reserve up.");
        }
    }
}

/// The outbox's line to the core.
#[derive(Debug)]
struct CoreLine(Arc<Queue>);

impl hansho_outbox::Core for CoreLine {
    fn submit(&self, lane: Lane, input: Input) -> Option<hansho_outbox::Answered> {
        Submit::submit(self.0.as_ref(), lane, input)
    }
}

/// The outbox's clock.
#[derive(Debug)]
struct ShellClock(Arc<HouseClock>);

impl hansho_outbox::Clock for ShellClock {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
}

/// Asks the system to end this process with its supervisor: no core without a supervisor.
///
/// # Errors
///
/// When the system refuses.
pub fn end_with_supervisor() -> Result<(), HouseError> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| refused("end with the supervisor")(error.into()))
}
