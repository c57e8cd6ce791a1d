//! A small invented world: a core, its journal in memory, and words for what happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "each test file uses its own part of the world")]

pub(crate) mod city;

use std::collections::BTreeSet;

use hansho_core::{EffectChange, State};
use hansho_model::{
    Actor, AlarmClass, AlarmKind, Answer, AnswerChoice, CallFact, CallOffer, CallRef, CallSaid,
    CallerLocation, Command, CommandId, CommandKind, DegreesE7, DeviceEntry, DistrictId, Door,
    EffectId, EffectOutcome, Event, Finding, Fix, FixMethod, Fleet, FrameFault, GroupEntry, Input,
    KeyId, Lane, Language, LocationShape, LocationSource, Mailbox, MetresU32, Mode, Outcome,
    OutcomeDetail, PersonEntry, Phase, Position, Recorded, Refusal, Registry, Role, Sealed,
    SealedReport, Seq, Settings, Start, Telemetry, Token, Zone,
};
use jiff::{SignedDuration, Timestamp};

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) journal: Vec<Recorded>,
    pub(crate) now: Timestamp,
    /// What an outbox was told is owed.
    pub(crate) told: BTreeSet<EffectId>,
    commands: u32,
}

impl World {
    /// A core that was started once, with pendant `dc09:4901` of a subscriber with two helpers.
    pub(crate) fn started() -> Self {
        let mut world = Self::blank();
        world.give(&Input::Start(Box::new(start()))).unwrap();
        world
    }

    pub(crate) fn blank() -> Self {
        let now = "2026-11-23T05:07:31Z".parse().unwrap();
        let (state, journal) = (State::default(), Vec::new());
        Self { state, journal, now, told: BTreeSet::new(), commands: 0 }
    }

    /// Decides, folds and journals; returns the events of the batch.
    pub(crate) fn give(&mut self, input: &Input) -> Result<Vec<Recorded>, Refusal> {
        self.now = self.now.checked_add(SignedDuration::from_micros(1)).unwrap();
        let drafts = self.state.decide(self.now, input)?;
        let mut batch = Vec::new();
        for draft in drafts {
            self.now = self.now.checked_add(SignedDuration::from_micros(1)).unwrap();
            let recorded = Recorded {
                seq: self.state.seq().next(),
                at: self.now,
                source: draft.source,
                cause: draft.cause,
                idem: draft.idem,
                event: draft.event,
            };
            self.state.evolve(&recorded);
            for change in self.state.effect_changes(&recorded) {
                match change {
                    EffectChange::Owe(id, _due) => self.told.insert(id),
                    EffectChange::Forget(id) => self.told.remove(&id),
                    EffectChange::Attempt(attempt) => self.told.contains(&attempt.effect),
                };
            }
            batch.push(recorded);
        }
        self.journal.extend(batch.iter().cloned());
        Ok(batch)
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    pub(crate) fn report(&mut self, report: SealedReport) -> Result<Vec<Recorded>, Refusal> {
        self.give(&Input::Report(Box::new(report)))
    }

    pub(crate) fn command(
        &mut self,
        role: Role,
        kind: CommandKind,
    ) -> Result<Vec<Recorded>, Refusal> {
        self.commands += 1;
        let id = CommandId(u128::from(self.commands).to_be_bytes());
        let actor = Actor { source: "user:dispatcher1".to_owned(), role };
        let command = Command { id, actor, received_at: self.now, kind };
        self.give(&Input::Command(Box::new(command)))
    }

    /// The telephone side says something of a call, just now.
    pub(crate) fn said(
        &mut self,
        call: &str,
        fact: CallFact<Sealed, Sealed>,
    ) -> Result<Vec<Recorded>, Refusal> {
        let caller = matches!(fact, CallFact::Offered(_)).then_some(token(70));
        let (call, received_at) = (CallRef(call.to_owned()), self.now);
        let said = Box::new(CallSaid { call, received_at, unrecorded: false, fact });
        self.give(&Input::Call { said, caller })
    }

    /// Somebody calls; returns the signal.
    pub(crate) fn call(
        &mut self,
        call: &str,
        locations: Vec<CallerLocation<Sealed>>,
    ) -> hansho_model::SignalId {
        let batch = self.said(call, offered(locations)).unwrap();
        hansho_model::SignalId(seq_of(&batch, "SignalReceived"))
    }

    pub(crate) fn answer(
        &mut self,
        effect: EffectId,
        choice: AnswerChoice,
    ) -> Result<Vec<Recorded>, Refusal> {
        self.commands += 1;
        let id = CommandId(u128::from(self.commands).to_be_bytes());
        let received_at = self.now;
        self.give(&Input::Answer(Answer { id, effect, choice, minutes: Some(10), received_at }))
    }

    pub(crate) fn attempt(&mut self, effect: EffectId) -> Result<Vec<Recorded>, Refusal> {
        self.give(&Input::Attempt(vec![effect]))
    }

    pub(crate) fn outcome(
        &mut self,
        effect: EffectId,
        attempt: u16,
        outcome: Outcome,
        again: bool,
    ) -> Result<Vec<Recorded>, Refusal> {
        let detail = OutcomeDetail { code: 250, enhanced: None, again };
        self.give(&Input::Outcome(vec![EffectOutcome { effect, attempt, outcome, detail }]))
    }

    /// A core that was started once, with the pendant and a tracker.
    pub(crate) fn with_tracker() -> Self {
        let mut world = Self::blank();
        world.give(&Input::Start(Box::new(start_with_tracker()))).unwrap();
        world
    }

    /// A core that was started once, with a group of five.
    pub(crate) fn with_group() -> Self {
        let mut world = Self::blank();
        world.give(&Input::Start(Box::new(start_with_group()))).unwrap();
        world
    }

    /// The tracker is so many metres north of home, now.
    pub(crate) fn walk(&mut self, metres: i32) -> Vec<Recorded> {
        self.wander(Telemetry { fix: Some(fix(metres, self.now)), ..Telemetry::default() })
    }

    /// The tracker says this.
    pub(crate) fn wander(&mut self, telemetry: Telemetry) -> Vec<Recorded> {
        let now = self.now;
        self.report(track(now, telemetry, Vec::new())).unwrap()
    }

    /// The one notice there is, as the id of its first effect.
    pub(crate) fn first_effect(&self) -> EffectId {
        let (notice, _) = self.state.notices().first_key_value().unwrap();
        EffectId { seq: notice.0, index: 0 }
    }

    /// Folds the journal from nothing.
    pub(crate) fn replayed(&self) -> State {
        let mut state = State::default();
        for recorded in &self.journal {
            state.evolve(recorded);
        }
        state
    }
}

pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed { key: KeyId(1), bytes: text.as_bytes().to_vec() }
}

pub(crate) fn token(number: u8) -> Token {
    Token([number; 16])
}

pub(crate) fn person(number: u8) -> PersonEntry {
    PersonEntry {
        key: format!("person-{number:04}"),
        digest: token(number),
        name: Sealed { key: KeyId(u64::from(number)), bytes: vec![number] },
        mailboxes: vec![Mailbox { address: sealed("mail"), token: token(100 + number) }],
        language: Language::Ja,
        role: None,
    }
}

pub(crate) fn start() -> Start {
    let device = DeviceEntry {
        source: "dc09:4901".to_owned(),
        subscriber: "person-0001".to_owned(),
        helpers: vec!["person-0002".to_owned(), "person-0003".to_owned()],
        district: Some(DistrictId(2)),
        address: Some(sealed("home")),
        digest: token(50),
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
    let people = vec![person(1), person(2), person(3)];
    let fleet = Fleet::default();
    let registry = Registry {
        people,
        devices: vec![device],
        groups: Vec::new(),
        sites: Vec::new(),
        settings,
        fleet,
    };
    Start { release: "test".to_owned(), registry }
}

/// The same with a tracker in 四倉: a zone of 200 m, a report every five minutes.
pub(crate) fn start_with_tracker() -> Start {
    let mut start = start();
    let zone = Zone { name: "自宅".to_owned(), centre: home(), radius: MetresU32(200) };
    let tracker = DeviceEntry {
        source: TRACKER.to_owned(),
        district: Some(DistrictId(6)),
        digest: token(51),
        zones: vec![zone],
        interval_s: Some(300),
        ..start.registry.devices[0].clone()
    };
    start.registry.devices.push(tracker);
    start
}

/// The same with a group of five: two share a mailbox, and one has none.
pub(crate) fn start_with_group() -> Start {
    let mut start = start();
    let without = PersonEntry { mailboxes: Vec::new(), ..person(4) };
    let couple = PersonEntry { mailboxes: person(3).mailboxes, ..person(5) };
    start.registry.people.extend([without, couple]);
    start.registry.groups.push(GroupEntry {
        key: "all".to_owned(),
        name: "全員".to_owned(),
        members: (1..=5).map(|number| format!("person-{number:04}")).collect(),
        senders: vec![Role::Dispatcher, Role::Supervisor],
        digest: token(60),
    });
    start
}

pub(crate) const TRACKER: &str = "watch:8800000003";

/// Centre of the tracker's zone.
pub(crate) fn home() -> Position {
    Position::new(DegreesE7::from_e7(371_060_000), DegreesE7::from_e7(1_409_589_000)).unwrap()
}

/// A fix so many metres north of home, at this time, good to 15 m.
pub(crate) fn fix(metres: i32, at: Timestamp) -> Fix {
    // A metre of latitude is 89.93e-7 degree.
    let north = i32::try_from(i64::from(metres) * 8_993 / 100).unwrap();
    let lat = DegreesE7::from_e7(home().lat.e7() + north);
    Fix {
        position: Position::new(lat, home().lon).unwrap(),
        at: Some(at),
        valid: true,
        method: FixMethod::Gnss,
        accuracy: Some(MetresU32(15)),
        speed_e2_kmh: None,
        course_e2: None,
        altitude_cm: None,
        satellites: Some(9),
    }
}

/// What the tracker says beside alarms, received now.
pub(crate) fn track(now: Timestamp, telemetry: Telemetry, findings: Vec<Finding>) -> SealedReport {
    let (door, received_at, device_key) = (Door::Watch, now, Vec::new());
    let position = telemetry.fix.filter(|fix| fix.valid).map(|fix| fix.position);
    let telemetry = Some(telemetry);
    let report = report(TRACKER, 0, findings);
    SealedReport { door, received_at, device_key, position, telemetry, ..report }
}

/// A press of the pendant with this sequence number.
pub(crate) fn press(sequence: u16) -> SealedReport {
    report(
        "dc09:4901",
        sequence,
        vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "003")],
    )
}

pub(crate) fn report(source: &str, sequence: u16, findings: Vec<Finding>) -> SealedReport {
    let urgent = findings.iter().any(|each| each.class <= AlarmClass::Check);
    SealedReport {
        door: Door::Dc09,
        source: source.to_owned(),
        lane: if urgent { Lane::A } else { Lane::C },
        observed_at: None,
        received_at: "2026-11-23T05:07:31Z".parse().unwrap(),
        device_key: sequence.to_be_bytes().to_vec(),
        findings,
        position: None,
        telemetry: None,
        text: None,
        raw: sealed("raw"),
        peer: sealed("peer"),
        refused: None,
        deviations: Vec::new(),
    }
}

/// An offer of a call from these places.
pub(crate) fn offered(locations: Vec<CallerLocation<Sealed>>) -> CallFact<Sealed, Sealed> {
    CallFact::Offered(Box::new(CallOffer {
        number: Some(sealed("+819000000001")),
        withheld: false,
        service: "sos".to_owned(),
        locations,
        peer: sealed("peer"),
        raw: sealed("raw"),
    }))
}

/// A circle around a point, in units of 1e-7 degree and metres.
pub(crate) fn circle(
    (lat_e7, lon_e7): (i32, i32),
    radius_m: Option<u32>,
    at: Option<Timestamp>,
) -> CallerLocation<Sealed> {
    CallerLocation {
        source: LocationSource::Value,
        shape: Some(LocationShape::Circle),
        centre: Position::new(DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(lon_e7)),
        radius: radius_m.map(MetresU32),
        confidence: Some(95),
        method: "GPS".to_owned(),
        at,
        civic: None,
        refused: None,
        marks: Vec::new(),
    }
}

pub(crate) fn refused(
    source: &str,
    sequence: u16,
    fault: FrameFault,
    findings: Vec<Finding>,
) -> SealedReport {
    SealedReport { refused: Some(fault), ..report(source, sequence, findings) }
}

pub(crate) fn finding(class: AlarmClass, kind: AlarmKind, phase: Phase, zone: &str) -> Finding {
    Finding { class, kind, phase, code: "CID 101".to_owned(), zone: zone.to_owned() }
}

/// Names of the events of a batch, for reading.
pub(crate) fn names(batch: &[Recorded]) -> Vec<&'static str> {
    batch
        .iter()
        .map(|recorded| match &recorded.event {
            Event::SourceNamed { .. } => "SourceNamed",
            Event::ReportReceived(_) => "ReportReceived",
            Event::SignalReceived { .. } => "SignalReceived",
            Event::SignalRepeated { .. } => "SignalRepeated",
            Event::SignalAcknowledged { .. } => "SignalAcknowledged",
            Event::SignalJoined { .. } => "SignalJoined",
            Event::SignalEnded { .. } => "SignalEnded",
            Event::IncidentOpened { .. } => "IncidentOpened",
            Event::IncidentNoted { .. } => "IncidentNoted",
            Event::IncidentClosed { .. } => "IncidentClosed",
            Event::FaultRaised { .. } => "FaultRaised",
            Event::FaultCleared { .. } => "FaultCleared",
            Event::NoticeOrdered { .. } => "NoticeOrdered",
            Event::NoticeExpired { .. } => "NoticeExpired",
            Event::EffectsAttempted { .. } => "EffectsAttempted",
            Event::EffectsSettled { .. } => "EffectsSettled",
            Event::AnswerGiven { .. } => "AnswerGiven",
            Event::PersonErased { .. } => "PersonErased",
            Event::SessionOpened { .. } => "SessionOpened",
            Event::SessionClosed { .. } => "SessionClosed",
            Event::LogInRefused { .. } => "LogInRefused",
            Event::GroupRegistered { .. } => "GroupRegistered",
            Event::GroupWithdrawn { .. } => "GroupWithdrawn",
            Event::LetterOrdered { .. } => "LetterOrdered",
            Event::NoticeReplaced { .. } => "NoticeReplaced",
            Event::SiteRegistered { .. } => "SiteRegistered",
            Event::SiteWithdrawn { .. } => "SiteWithdrawn",
            Event::MessageOrdered { .. } => "MessageOrdered",
            Event::LoadChanged { .. } => "LoadChanged",
            Event::AlarmsLimited { .. } => "AlarmsLimited",
            Event::CoreStarted { .. } => "CoreStarted",
            Event::ClockStepped { .. } => "ClockStepped",
            Event::SettingsApplied(_) => "SettingsApplied",
            Event::PersonEntered { .. } => "PersonEntered",
            Event::DeviceRegistered { .. } => "DeviceRegistered",
            Event::DeviceWithdrawn { .. } => "DeviceWithdrawn",
            Event::CallReceived { .. } => "CallReceived",
            Event::CallAnswered { .. } => "CallAnswered",
            Event::CallAnswerLapsed { .. } => "CallAnswerLapsed",
            Event::CallBackDue { .. } => "CallBackDue",
            Event::CallBackTried { .. } => "CallBackTried",
            Event::PlaceSet { .. } => "PlaceSet",
            Event::KindSet { .. } => "KindSet",
            Event::DraftSaved { .. } => "DraftSaved",
            Event::DraftCleared { .. } => "DraftCleared",
            Event::UnitRegistered { .. } => "UnitRegistered",
            Event::UnitWithdrawn { .. } => "UnitWithdrawn",
            Event::PlansApplied { .. } => "PlansApplied",
            Event::UnitFoundOut { .. } => "UnitFoundOut",
            Event::UnitsOrdered(_) => "UnitsOrdered",
            Event::AssignmentStarted { .. } => "AssignmentStarted",
            Event::AssignmentEnded { .. } => "AssignmentEnded",
            Event::SheetOrdered { .. } => "SheetOrdered",
            Event::UnitStatusReached(_) => "UnitStatusReached",
            Event::AvailabilityChanged { .. } => "AvailabilityChanged",
            Event::CrewMoved { .. } => "CrewMoved",
            Event::ZoneLeft { .. } => "ZoneLeft",
            Event::ZoneEntered { .. } => "ZoneEntered",
            Event::ZoneDoubted { .. } => "ZoneDoubted",
            Event::FixDoubted { .. } => "FixDoubted",
        })
        .collect()
}

pub(crate) fn seq_of(batch: &[Recorded], name: &str) -> Seq {
    let place = names(batch).iter().position(|each| *each == name).unwrap();
    batch[place].seq
}
