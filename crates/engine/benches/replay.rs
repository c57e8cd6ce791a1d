//! Replay beside its peers: how fast events fold into the state, and how soon a house with a long
//! journal stands again. Prints one JSON object a line. `HANSHO_BENCH_EVENTS` sets how many events
//! (1,000,000).
#![expect(clippy::print_stdout, reason = "a benchmark prints its rows")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "it measures time, and may fail"
)]
#![expect(clippy::cast_precision_loss, reason = "rates need no more digits than f64 has")]

use std::hint::black_box;
use std::path::Path;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use hansho_core::{SNAPSHOT_VERSION, State};
use hansho_engine::lanes::Envelope;
use hansho_engine::sequencer::Sequencer;
use hansho_engine::start;
use hansho_journal::{
    Head, Journal, JournalError, Snapshot, SnapshotStore, SqliteJournal, SqliteReader, body, chain,
};
use hansho_model::{
    Actor, AlarmClass, AlarmKind, Answer, AnswerChoice, Command, CommandId, CommandKind,
    DeviceEntry, DistrictId, Door, EffectId, EffectOutcome, Event, Finding, Fleet, IncidentKind,
    IncidentOutcome, Input, KeyId, Lane, Language, Mailbox, Mode, Outcome, OutcomeDetail,
    PersonEntry, Phase, Place, Recorded, Registry, Role, Sealed, SealedReport, Seq, Settings,
    SignalId, Start, Token,
};
use jiff::{SignedDuration, Timestamp};

const EVENTS: u64 = 1_000_000;
const DEVICES: u64 = 400;
const HELPERS: u64 = 200;
/// One report in this many is a call for help.
const CALLS: u64 = 500;
/// One report in this many is a test with a number of its own.
const TESTS: u64 = 20;
/// Events made, measured and written down at a time.
const CHUNK: usize = 50_000;
/// Events after the newest snapshot: the house makes one every 100,000.
const TAIL: u64 = 50_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--memory") {
        let folder = arguments.next().unwrap();
        return memory_of(Path::new(&folder));
    }
    let count = std::env::var("HANSHO_BENCH_EVENTS").ok();
    let count = count.and_then(|text| text.parse().ok()).unwrap_or(EVENTS);
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let size = fold(folder.path(), count);
    start_up(folder.path(), count);
    memory(folder.path(), count, size);
}

fn print(case: &str, ours: f64, peer: f64, peer_name: &str, unit: &str, better: &str) {
    let ratio = ours / peer;
    println!(
        r#"{{"bench":"replay","case":"{case}","ours":{ours:.3},"peer":{peer:.3},"peer_name":"{peer_name}","ratio":{ratio:.3},"unit":"{unit}","better":"{better}"}}"#
    );
}

/// Folds `count` events, and writes them into a journal with a snapshot before its tail. Returns
/// the size of the state's encoding at the end.
fn fold(folder: &Path, count: u64) -> usize {
    let mut city = City::new();
    let mut journal = SqliteJournal::open(folder).unwrap();
    let mut snapshots = SnapshotStore::open(folder).unwrap();
    let mut state = State::default();
    let (mut folding, mut decoding, mut chaining) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut sum = chain::GENESIS;
    let mut snapshot = false;
    while state.seq().get() < count {
        let left = usize::try_from(count - state.seq().get()).unwrap();
        let events = city.events(CHUNK.min(left));
        let bodies: Vec<body::Encoded> =
            events.iter().map(|each| body::encode(each.cause, &each.event).unwrap()).collect();

        let begun = Instant::now();
        for each in &events {
            state.evolve(black_box(each));
        }
        folding += begun.elapsed();

        let begun = Instant::now();
        for each in &bodies {
            let (kind, ver) = (i64::from(each.kind), i64::from(each.ver));
            black_box(body::decode(kind, ver, black_box(&each.body)).unwrap());
        }
        decoding += begun.elapsed();

        let begun = Instant::now();
        for each in &bodies {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&sum).update(&each.body);
            sum = *hasher.finalize().as_bytes();
        }
        chaining += begun.elapsed();
        black_box(sum);

        for batch in events.chunks(4_000) {
            journal.append(batch).unwrap();
            journal.idle().unwrap();
        }
        let seq = state.seq();
        if !snapshot && seq.get() + TAIL >= count {
            snapshots.put(&Snapshot::new(seq, SNAPSHOT_VERSION, state.encode())).unwrap();
            snapshot = true;
        }
    }
    let rate = |taken: Duration| count as f64 / taken.as_secs_f64();
    let ours = rate(folding);
    print(
        "evolve",
        ours,
        rate(chaining),
        "BLAKE3 chain over the same bodies",
        "events/s",
        "higher",
    );
    print("evolve", ours, rate(decoding), "decoding the same bodies", "events/s", "higher");
    print("evolve", ours, 1_000_000.0, "target", "events/s", "higher");
    state.encode().len()
}

/// From the first look at the folder to a state that may decide.
fn start_up(folder: &Path, count: u64) {
    let (with, whole) = timed(|| open(folder, true));
    let (without, again) = timed(|| open(folder, false));
    assert!(whole.seq().get() == count && whole == again, "the two ways lead to two states");
    let (bare, _last) = timed(|| {
        let mut reader = SqliteReader::open(folder).unwrap();
        let mut after = Seq::ZERO;
        while let Some(last) = reader.read(after, 4_096).unwrap().last() {
            after = last.seq;
        }
        after
    });
    let case = format!("start, {count} events");
    print(&format!("{case}, with snapshot"), with, without, "without snapshot", "s", "lower");
    print(&format!("{case}, without"), without, bare, "reading and proving alone", "s", "lower");
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed().as_secs_f64(), result)
}

/// As the house does at its start.
fn open(folder: &Path, snapshot: bool) -> State {
    let journal = SqliteJournal::open(folder).unwrap();
    let mut store = SnapshotStore::open(folder).unwrap();
    let newest = store.newest(journal.head().seq, SNAPSHOT_VERSION).unwrap();
    let begin = newest.filter(|_newest| snapshot);
    let begin = begin.map(|newest| State::decode(&newest.state).unwrap()).unwrap_or_default();
    start::fold(folder, begin).unwrap().state
}

/// What the state takes, in a process that does nothing else.
fn memory(folder: &Path, count: u64, size: usize) {
    let itself = std::env::current_exe().unwrap();
    let output = Process::new(itself).arg("--memory").arg(folder).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ours: f64 = text.trim().parse().unwrap();
    let peer = size as f64 / 1_048_576.0;
    let case = format!("memory of the state, {count} events");
    print(&case, ours, peer, "its canonical encoding", "MiB", "lower");
}

fn memory_of(folder: &Path) {
    // Opened once before, so that what the program itself needs is not counted.
    drop(SqliteReader::open(folder).unwrap().read(Seq::ZERO, 1_024).unwrap());
    let before = resident_kib();
    let state = start::fold(folder, State::default()).unwrap().state;
    let after = resident_kib();
    assert!(state.seq() > Seq::ZERO);
    println!("{:.3}", (after - before) / 1_024.0);
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

/// Keeps what it is given until somebody takes it.
#[derive(Default)]
struct Memory {
    head: Seq,
    events: Vec<Recorded>,
}

impl Journal for Memory {
    fn append(&mut self, batch: &[Recorded]) -> Result<Head, JournalError> {
        self.head = batch.last().map_or(self.head, |last| last.seq);
        self.events.extend_from_slice(batch);
        Ok(self.head())
    }

    fn head(&self) -> Head {
        Head { seq: self.head, sum: chain::GENESIS }
    }

    fn read(&mut self, _after: Seq, _limit: usize) -> Result<Vec<Recorded>, JournalError> {
        Ok(Vec::new())
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// A city that lives: beats, tests, calls for help with all that follows from them. The benchmark
/// of the start has it from here.
pub(crate) struct City {
    sequencer: Sequencer<Memory>,
    now: Timestamp,
    reports: u64,
}

impl City {
    pub(crate) fn new() -> Self {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let sequencer = Sequencer::new(State::default(), Memory::default());
        let mut city = Self { sequencer, now, reports: 0 };
        city.give(Input::Start(Box::new(register())));
        city
    }

    /// The next events of its life.
    pub(crate) fn events(&mut self, count: usize) -> Vec<Recorded> {
        while self.sequencer.journal_mut().events.len() < count {
            self.report();
        }
        let events = &mut self.sequencer.journal_mut().events;
        let rest = events.split_off(count);
        std::mem::replace(events, rest)
    }

    fn give(&mut self, input: Input) -> Vec<Recorded> {
        self.now = self.now.checked_add(SignedDuration::from_millis(1)).unwrap();
        let envelope = Envelope { input, reply: () };
        let committed = self.sequencer.step(self.now, vec![envelope]).unwrap();
        committed.events.to_vec()
    }

    fn report(&mut self) {
        // 400 devices, each every 30 seconds.
        self.now = self.now.checked_add(SignedDuration::from_millis(74)).unwrap();
        self.reports += 1;
        let number = self.reports;
        if number.is_multiple_of(CALLS) {
            self.call(number);
        } else if number.is_multiple_of(TESTS) {
            let test = finding(AlarmClass::Test, AlarmKind::Test, "CID 602");
            self.give(report(number, self.now, Lane::D, vec![test]));
        } else {
            self.give(report(number, self.now, Lane::D, Vec::new()));
        }
        if self.sequencer.state().next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.give(Input::Tick);
        }
    }

    /// A press, three mails, two answers, an incident from its opening to its end.
    fn call(&mut self, number: u64) {
        let help = finding(AlarmClass::Life, AlarmKind::Help, "CID 101");
        let events = self.give(report(number, self.now, Lane::A, vec![help]));
        let of = |wanted: fn(&Event) -> bool| {
            events.iter().find(|each| wanted(&each.event)).map(|each| each.seq)
        };
        let signal = of(|event| matches!(event, Event::SignalReceived { .. }));
        let notice = of(|event| matches!(event, Event::NoticeOrdered { .. }));
        let (Some(signal), Some(notice)) = (signal, notice) else { return };
        let effects: Vec<EffectId> = (0..3).map(|index| EffectId { seq: notice, index }).collect();
        self.give(Input::Attempt(effects.clone()));
        let detail = OutcomeDetail { code: 250, enhanced: None, again: false };
        let done = |effect| EffectOutcome { effect, attempt: 1, outcome: Outcome::Done, detail };
        self.give(Input::Outcome(effects.iter().copied().map(done).collect()));
        for (index, effect) in (0_u8..2).zip(effects) {
            let (id, choice) = (id(number, 10 + index), AnswerChoice::Coming);
            let received_at = self.now;
            self.give(Input::Answer(Answer { id, effect, choice, minutes: Some(10), received_at }));
        }
        let signal = SignalId(signal);
        let position = "desk1".to_owned();
        self.command(number, 1, CommandKind::AcknowledgeSignal { signal, position });
        let (signals, kind) = (vec![signal], IncidentKind::Ems);
        let (subkind, place) = (None, Place::default());
        let open = CommandKind::OpenIncident { signals, kind, subkind, place, place_text: None };
        let events = self.command(number, 2, open);
        let Some(Event::IncidentOpened { incident, .. }) = events.first().map(|each| &each.event)
        else {
            return;
        };
        let (incident, outcome) = (*incident, IncidentOutcome::Handled);
        self.command(number, 3, CommandKind::AddNote { incident, text: sealed(7, 60) });
        self.command(number, 4, CommandKind::CloseIncident { incident, outcome, note: None });
    }

    fn command(&mut self, number: u64, step: u8, kind: CommandKind) -> Vec<Recorded> {
        let actor = Actor { source: "user:dispatcher1".to_owned(), role: Role::Dispatcher };
        let command = Command { id: id(number, step), actor, received_at: self.now, kind };
        self.give(Input::Command(Box::new(command)))
    }
}

fn id(number: u64, step: u8) -> CommandId {
    let mut id = [step; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    CommandId(id)
}

fn sealed(key: u64, size: usize) -> Sealed {
    Sealed { key: KeyId(key), bytes: vec![0x5a; size] }
}

fn finding(class: AlarmClass, kind: AlarmKind, code: &str) -> Finding {
    Finding { class, kind, phase: Phase::New, code: code.to_owned(), zone: "003".to_owned() }
}

fn report(number: u64, now: Timestamp, lane: Lane, findings: Vec<Finding>) -> Input {
    // A step that has no factor in common with the devices: each takes its turn at everything.
    let device = number.wrapping_mul(7) % DEVICES;
    let key = if findings.is_empty() { Vec::new() } else { number.to_be_bytes().to_vec() };
    Input::Report(Box::new(SealedReport {
        door: Door::Dc09,
        source: format!("dc09:{device:04}"),
        lane,
        observed_at: None,
        received_at: now,
        device_key: key,
        findings,
        position: None,
        telemetry: None,
        text: None,
        raw: sealed(device, 72),
        peer: sealed(device, 60),
        refused: None,
        deviations: Vec::new(),
    }))
}

fn token(kind: u8, number: u64) -> Token {
    let mut token = [kind; 16];
    token[..8].copy_from_slice(&number.to_be_bytes());
    Token(token)
}

/// Persons 0 to 199 are helpers; each device protects a person of its own.
fn register() -> Start {
    let person = |number: u64| PersonEntry {
        key: format!("person-{number:04}"),
        digest: token(1, number),
        name: sealed(number, 56),
        mailboxes: vec![Mailbox { address: sealed(number, 68), token: token(2, number) }],
        language: Language::Ja,
        role: None,
    };
    let device = |number: u64| DeviceEntry {
        source: format!("dc09:{number:04}"),
        subscriber: format!("person-{:04}", HELPERS + number),
        helpers: (0..3).map(|each| format!("person-{:04}", (number + each) % HELPERS)).collect(),
        district: Some(DistrictId(2)),
        address: Some(sealed(HELPERS + number, 90)),
        digest: token(3, number),
        zones: Vec::new(),
        interval_s: None,
    };
    let settings = Settings {
        mode: Mode::Demo,
        headquarters: "invented".to_owned(),
        sender: "demo@hansho.example.jp".to_owned(),
        message_domain: "hansho.example.jp".to_owned(),
        answer_url: "http://127.0.0.1:8119".to_owned(),
        answer_minutes: 60,
    };
    let people = (0..HELPERS + DEVICES).map(person).collect();
    let devices = (0..DEVICES).map(device).collect();
    Start {
        release: "bench".to_owned(),
        registry: Registry {
            people,
            devices,
            groups: Vec::new(),
            sites: Vec::new(),
            settings,
            fleet: Fleet::default(),
        },
    }
}
