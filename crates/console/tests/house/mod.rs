//! A small house for the console: the real core, folded by hand, and a vault of glass.
//! Everything is durable at once here; what must be proved about the disk is proved elsewhere.

#![allow(dead_code, reason = "each test and the example use a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod calls;
pub(crate) mod client;
pub(crate) mod desk;
pub(crate) mod words;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, ThreadId};

use hansho_console::view::Accounting;
use hansho_console::{
    Account, Accounts, Answered, Answers, ApiToken, Console, Page, PublicAlerts, Reads, Seal,
    Settings, Submit, Tail, hash_password,
};
use hansho_core::State;
use hansho_model::{
    Ability, AlarmClass, AlarmKind, CallFact, CallOffer, CallRef, CallSaid, CallerLocation,
    DegreesE7, DeviceEntry, DistrictId, Door, Draft, EffectId, EffectOutcome, Finding, Fleet,
    IncidentKind, Input, KeyId, Lane, Language, LocationShape, LocationSource, Mailbox, MetresU32,
    Mode, Outcome, OutcomeDetail, PersonEntry, Phase, Plan, PlanNeed, Position, Receipt, Recorded,
    Refusal, Registry, Reveal, Role, Sealed, SealedReport, Seq, Start, Token, UnitEntry, UnitKind,
};
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

/// Events kept for streams; small, so that a test can fall behind.
pub(crate) const KEPT: usize = 300;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const TOKEN: &str = "an-api-token-of-the-test";

/// What a person typed is sealed with this key.
const TYPED: KeyId = KeyId(9);
/// Bytes that a seal adds.
const SEAL_BYTES: usize = 40;

type Held = (Input, oneshot::Sender<Result<Receipt, Refusal>>);

pub(crate) struct House {
    state: RwLock<State>,
    recent: RwLock<VecDeque<Arc<Recorded>>>,
    head: watch::Sender<Seq>,
    micros: AtomicU64,
    /// The core started degraded.
    pub(crate) degraded: AtomicBool,
    /// The lane is full.
    pub(crate) full: AtomicBool,
    /// Inputs are taken, but not yet durable: until released.
    held: Mutex<Option<Vec<Held>>>,
    /// What the answer page was posted.
    pub(crate) posted: Mutex<Vec<(String, Vec<u8>)>>,
    /// Who made each world.
    pub(crate) makers: Mutex<Vec<ThreadId>>,
}

impl House {
    pub(crate) fn new(at: &str) -> Arc<Self> {
        Self::open(at, start())
    }

    /// A house with these registers.
    pub(crate) fn open(at: &str, start: Start) -> Arc<Self> {
        let at: Timestamp = at.parse().unwrap();
        let house = Arc::new(Self {
            state: RwLock::default(),
            recent: RwLock::default(),
            head: watch::channel(Seq::ZERO).0,
            micros: AtomicU64::new(u64::try_from(at.as_microsecond()).unwrap()),
            degraded: AtomicBool::new(false),
            full: AtomicBool::new(false),
            held: Mutex::new(None),
            posted: Mutex::default(),
            makers: Mutex::default(),
        });
        house.run(&Input::Start(Box::new(start))).unwrap();
        house
    }

    pub(crate) fn now(&self) -> Timestamp {
        let micros = self.micros.load(Ordering::SeqCst);
        Timestamp::from_microsecond(i64::try_from(micros).unwrap()).unwrap()
    }

    pub(crate) fn advance(&self, micros: u64) {
        self.micros.fetch_add(micros, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, at: Timestamp) {
        let micros = u64::try_from(at.as_microsecond()).unwrap();
        self.micros.fetch_max(micros, Ordering::SeqCst);
    }

    /// Decides, folds, and calls it durable.
    pub(crate) fn run(&self, input: &Input) -> Result<Receipt, Refusal> {
        let mut state = self.state.write().unwrap();
        self.advance(1);
        let drafts = state.decide(self.now(), input)?;
        let first = state.seq().next();
        for draft in drafts {
            let Draft { source, cause, idem, event } = draft;
            self.advance(1);
            let seq = state.seq().next();
            let recorded = Recorded { seq, at: self.now(), source, cause, idem, event };
            state.evolve(&recorded);
            let mut recent = self.recent.write().unwrap();
            recent.push_back(Arc::new(recorded));
            if recent.len() > KEPT {
                recent.pop_front();
            }
        }
        let last = state.seq();
        drop(state);
        self.head.send_replace(last);
        Ok(Receipt { seq: first, last })
    }

    /// A pendant calls. `device` without its door.
    pub(crate) fn press(&self, device: &str, kind: AlarmKind) -> Receipt {
        self.advance(700_000);
        let raw = Sealed { key: KeyId(1), bytes: b"frame".to_vec() };
        let class = if kind == AlarmKind::Battery { AlarmClass::Fault } else { AlarmClass::Life };
        let code = if kind == AlarmKind::Battery { "CID 302" } else { "CID 101" };
        let finding = Finding {
            class,
            kind,
            phase: Phase::New,
            code: code.to_owned(),
            zone: "001".to_owned(),
        };
        let lane = if class == AlarmClass::Life { Lane::A } else { Lane::C };
        let report = SealedReport {
            door: Door::Dc09,
            source: format!("dc09:{device}"),
            lane,
            observed_at: Some(self.now()),
            received_at: self.now(),
            device_key: Vec::new(),
            findings: vec![finding],
            position: None,
            telemetry: None,
            text: None,
            raw: raw.clone(),
            peer: raw,
            refused: None,
            deviations: Vec::new(),
        };
        self.run(&Input::Report(Box::new(report))).unwrap()
    }

    /// The telephone side says something of a call.
    pub(crate) fn said(&self, call: &str, fact: CallFact<Sealed, Sealed>) -> Receipt {
        self.advance(700_000);
        let caller = match &fact {
            CallFact::Offered(offer) => offer.number.as_ref().map(|number| token(&number.bytes)),
            CallFact::Abandoned
            | CallFact::Connected { .. }
            | CallFact::NotConnected { .. }
            | CallFact::Ended { .. } => None,
        };
        let (call, received_at) = (CallRef(call.to_owned()), self.now());
        let said = Box::new(CallSaid { call, received_at, unrecorded: false, fact });
        self.run(&Input::Call { said, caller }).unwrap()
    }

    /// Somebody calls from Onahama, half a second ago by the phone's clock.
    pub(crate) fn call(&self, call: &str) -> Receipt {
        let at = self.now();
        let place = |shape, position: Option<Position>, civic| CallerLocation {
            source: LocationSource::Value,
            shape,
            centre: position,
            radius: position.map(|_| MetresU32(18)),
            confidence: position.map(|_| 95),
            method: if position.is_some() { "GPS" } else { "" }.to_owned(),
            at: position.map(|_| at),
            civic,
            refused: None,
            marks: Vec::new(),
        };
        let onahama =
            Position::new(DegreesE7::from_e7(369_758_000), DegreesE7::from_e7(1_408_861_000));
        let locations = vec![
            place(None, None, Some(sealed(1, "小名浜 (架空) 9-9"))),
            place(Some(LocationShape::Circle), onahama, None),
        ];
        let offer = CallOffer {
            number: Some(sealed(1, "+819000000001")),
            withheld: false,
            service: "sos.fire".to_owned(),
            locations,
            peer: sealed(1, "192.0.2.1:5060"),
            raw: sealed(1, "INVITE"),
        };
        self.said(call, CallFact::Offered(Box::new(offer)))
    }

    /// The core's deadline comes.
    pub(crate) fn tick(&self) {
        if let Some(deadline) = self.with(State::next_deadline) {
            self.set(deadline);
            self.run(&Input::Tick).unwrap();
        }
    }

    /// Lets every owed mail come to an end.
    pub(crate) fn settle(&self, outcome: Outcome) {
        let owed: Vec<EffectId> = self.state.read().unwrap().owed().keys().copied().collect();
        for effect in owed {
            if self.run(&Input::Attempt(vec![effect])).is_err() {
                continue;
            }
            let code = if outcome == Outcome::Done { 250 } else { 550 };
            let detail = OutcomeDetail { code, enhanced: None, again: false };
            let attempt =
                self.state.read().unwrap().owed().get(&effect).map_or(1, |owed| owed.attempts);
            let settled = EffectOutcome { effect, attempt, outcome, detail };
            self.run(&Input::Outcome(vec![settled])).unwrap();
        }
    }

    /// From now on inputs are taken, but not durable, until [`House::release`].
    pub(crate) fn hold(&self) {
        *self.held.lock().unwrap() = Some(Vec::new());
    }

    /// How many inputs wait for the disk.
    pub(crate) fn held(&self) -> usize {
        self.held.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// What was held becomes durable.
    pub(crate) fn release(&self) {
        let held = self.held.lock().unwrap().take().unwrap_or_default();
        for (input, sender) in held {
            drop(sender.send(self.run(&input)));
        }
    }

    pub(crate) fn with<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap())
    }

    pub(crate) fn console(self: &Arc<Self>, settings: Settings) -> Arc<Console> {
        self.console_for(settings, accounts())
    }

    pub(crate) fn console_for(
        self: &Arc<Self>,
        settings: Settings,
        accounts: Accounts,
    ) -> Arc<Console> {
        let (clock, counted) = (Arc::clone(self), Arc::clone(self));
        Arc::new(Console {
            reads: Arc::clone(self) as _,
            submit: Arc::clone(self) as _,
            reveal: Arc::clone(self) as _,
            seal: Arc::clone(self) as _,
            answers: Arc::clone(self) as _,
            public: Arc::clone(self) as _,
            accounts,
            tokens: vec![
                ApiToken::new(TOKEN, "api".to_owned(), Role::Dispatcher),
                ApiToken::new("admin-token", "admin".to_owned(), Role::Administrator),
                ApiToken::new("viewer-token", "wall".to_owned(), Role::Viewer),
            ],
            accounting: Arc::new(move || vec![counted.accounting()]),
            metrics: Arc::new(|| "hansho_up 1\n".to_owned()),
            clock: Arc::new(move || clock.now()),
            settings,
        })
    }

    /// A part of each world that is made.
    fn accounting(&self) -> Accounting {
        self.makers.lock().unwrap().push(thread::current().id());
        let reports =
            self.with(|state| state.devices().values().map(|each| each.reports).sum::<u64>());
        let door = "dc09".to_owned();
        Accounting { door, received: reports, durable: reports, ..Accounting::default() }
    }
}

impl Reads for House {
    fn with_state(&self, read: &mut dyn FnMut(&State)) {
        read(&self.state.read().unwrap());
    }

    fn tail(&self, after: Seq, limit: usize) -> Tail {
        let recent = self.recent.read().unwrap();
        match recent.front() {
            Some(first) if after.next() < first.seq => Tail::Behind,
            _enough => {
                let newer = recent.iter().filter(|each| each.seq > after);
                Tail::Events(newer.take(limit).cloned().collect())
            }
        }
    }

    fn head(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    fn degraded_from(&self) -> Option<Seq> {
        self.degraded.load(Ordering::SeqCst).then_some(Seq::new(3))
    }
}

impl Submit for House {
    fn submit(&self, _lane: Lane, input: Input) -> Option<Answered> {
        if self.full.load(Ordering::SeqCst) {
            return None;
        }
        if let Some(held) = self.held.lock().unwrap().as_mut() {
            let (sender, receiver) = oneshot::channel();
            held.push((input, sender));
            return Some(Box::pin(async move { receiver.await.unwrap() }));
        }
        let answer = self.run(&input);
        Some(Box::pin(async move { answer }))
    }
}

impl Reveal for House {
    fn reveal(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        let mut clear = sealed.bytes.clone();
        if sealed.key == TYPED {
            clear.truncate(clear.len().saturating_sub(SEAL_BYTES));
        }
        (sealed.key != KeyId(0)).then_some(clear)
    }
}

impl Seal for House {
    fn seal(&self, clear: &[u8]) -> Option<Sealed> {
        // As long as a real one, as the core counts what is in it.
        Some(Sealed { key: TYPED, bytes: [clear, &[0; SEAL_BYTES]].concat() })
    }

    fn token(&self, purpose: &'static str, clear: &[u8]) -> Token {
        token(&[purpose.as_bytes(), clear].concat())
    }
}

impl PublicAlerts for House {
    fn feed(&self) -> Option<String> {
        Some("<feed/>".to_owned())
    }

    fn alert(&self, identifier: &str) -> Option<String> {
        (identifier == "hansho-n7").then(|| "<alert/>".to_owned())
    }
}

impl Answers for House {
    fn page(&self, token: &str) -> (u16, String) {
        if token == "good" { (200, "<p>page</p>".to_owned()) } else { (404, "none".to_owned()) }
    }

    fn answer(&self, token: &str, form: &[u8]) -> Page {
        self.posted.lock().unwrap().push((token.to_owned(), form.to_vec()));
        Box::pin(async { (200, "<p>thanks</p>".to_owned()) })
    }
}

pub(crate) fn token(clear: &[u8]) -> Token {
    let mut token = [0; 16];
    token.copy_from_slice(&blake3::hash(clear).as_bytes()[..16]);
    Token(token)
}

pub(crate) fn accounts() -> Accounts {
    let people = [
        ("sato", Role::Dispatcher, "佐藤"),
        ("honda", Role::Supervisor, "本田"),
        ("admin", Role::Administrator, "管理者"),
        ("wall", Role::Viewer, "表示盤"),
    ];
    let accounts = people.map(|(user, role, name)| {
        let password_hash = hash_password(PASSWORD, &[7; 16]).unwrap();
        (user.to_owned(), Account { password_hash, role, name: name.to_owned() })
    });
    Accounts::new(BTreeMap::from(accounts)).unwrap()
}

fn sealed(key: u64, text: &str) -> Sealed {
    Sealed { key: KeyId(key), bytes: text.as_bytes().to_vec() }
}

fn person(key: &str, number: u64, name: &str, mail: Option<&str>) -> PersonEntry {
    PersonEntry {
        key: key.to_owned(),
        digest: token(key.as_bytes()),
        name: sealed(number, name),
        mailboxes: mail
            .map(|mail| Mailbox { address: sealed(number, mail), token: token(mail.as_bytes()) })
            .into_iter()
            .collect(),
        language: Language::Ja,
        role: None,
    }
}

pub(crate) fn start() -> Start {
    let mut people = Vec::new();
    let mut devices = Vec::new();
    let homes = [
        ("4017", 1, "利用者 0017", "平字梅本 (架空) 1-2 鍵ボックスは玄関右"),
        ("4021", 2, "利用者 0021", "小名浜花畑町 (架空) 5-6"),
        ("4033", 6, "利用者 0033", "四倉町 (架空) 7-8"),
    ];
    for (n, (account, district, name, address)) in homes.iter().enumerate() {
        let number = u64::try_from(n).unwrap() * 10 + 10;
        people.push(person(&format!("subscriber-{account}"), number, name, None));
        let mut helpers = Vec::new();
        for helper in 1..=3 {
            let key = format!("helper-{account}-{helper}");
            let mail = format!("helper{helper}.{account}@mail.example.jp");
            let name = format!("協力員 {account}-{helper}");
            people.push(person(&key, number + helper, &name, Some(&mail)));
            helpers.push(key);
        }
        devices.push(DeviceEntry {
            source: format!("dc09:{account}"),
            subscriber: format!("subscriber-{account}"),
            helpers,
            district: Some(DistrictId(*district)),
            address: Some(sealed(number, address)),
            digest: token(account.as_bytes()),
            zones: Vec::new(),
            interval_s: None,
        });
    }
    let settings = hansho_model::Settings {
        mode: Mode::Demo,
        headquarters: "ハンショウ市消防本部(架空)".to_owned(),
        sender: "demo@hansho.example.jp".to_owned(),
        message_domain: "hansho.example.jp".to_owned(),
        answer_url: "http://127.0.0.1:8119".to_owned(),
        answer_minutes: 60,
    };
    Start {
        release: "test".to_owned(),
        registry: Registry {
            people,
            devices,
            groups: Vec::new(),
            sites: Vec::new(),
            settings,
            fleet: fleet(),
        },
    }
}

/// Three vehicles of one station, two of them with one crew, and one somewhere else.
fn fleet() -> Fleet {
    let station = |lat_e7, lon_e7| {
        Position::new(DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(lon_e7)).unwrap()
    };
    let unit = |call_sign: &str, kind, abilities: &[Ability]| UnitEntry {
        call_sign: call_sign.to_owned(),
        station: "小名浜".to_owned(),
        position: station(369_548_000, 1_409_050_000),
        kind,
        abilities: abilities.to_vec(),
        crew: 4,
        cross_staffed_with: None,
        reserve: false,
        terminal: None,
    };
    let mut tank = unit("小名浜1", UnitKind::Tank, &[Ability::Pump, Ability::Water]);
    let mut ladder = unit("小名浜はしご1", UnitKind::Ladder, &[Ability::Ladder]);
    tank.cross_staffed_with = Some(ladder.call_sign.clone());
    ladder.cross_staffed_with = Some(tank.call_sign.clone());
    let ambulance = unit("小名浜救1", UnitKind::Ambulance, &[Ability::Ambulance, Ability::Als]);
    let mut far = unit("平救1", UnitKind::Ambulance, &[Ability::Ambulance, Ability::Als]);
    far.station = "平".to_owned();
    far.position = station(370_558_000, 1_408_930_000);
    let need = |ability| PlanNeed { ability, count: 1, with: None };
    let plan = |kind, first| Plan { kind, subkind: None, first };
    let plans = vec![
        plan(IncidentKind::Fire, vec![need(Ability::Pump), need(Ability::Command)]),
        plan(IncidentKind::Ems, vec![need(Ability::Ambulance)]),
    ];
    Fleet { units: vec![tank, ladder, ambulance, far], found: Vec::new(), plans }
}
