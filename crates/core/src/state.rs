//! The state: what the city's dispatch knows after an event of the journal.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{
    AlarmKind, AnswerChoice, CallRef, DeviceEntry, Door, Effect, EffectId, Finding, Group,
    IncidentId, IncidentKind, IncidentOutcome, IncidentSubkind, KeyId, LoadLevel, Mail, NoticeId,
    OutcomeDetail, PersonEntry, PersonId, Place, Position, Recipient, Role, Sealed, Seq, Settings,
    SignalId, SignalOutcome, SourceId, Template, Token,
};
use jiff::{SignedDuration, Timestamp};

use crate::call::{Call, Connection, SavedDraft};
use crate::canonical::{Canonical, DecodeError, canonical};
use crate::deadlines::Deadlines;
use crate::dedupe::Seen;
use crate::notice::NoticeContent;
use crate::site::Sites;
use crate::track::Track;
use crate::units::Dispatch;

/// After this time without an answer carers are told of an exit once more (wandering reference,
/// section 1).
pub(crate) const REMINDER_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What a seal adds to a value, bytes: nonce 24, tag 16.
pub(crate) const SEAL_BYTES: usize = 40;

/// Declared limits. An alarm is never refused for a limit; it then shares a record with others.
pub mod limits {
    /// Sources with a number of their own; later ones share one per door.
    pub const SOURCES: usize = 100_000;
    /// Ended signals, closed incidents and ended notices kept in memory, each.
    pub const ENDED_KEPT: usize = 1_000;
    /// Kinds of alarm of one signal, as many as one report may have.
    pub const FINDINGS: usize = 16;
    /// Presses kept singly on one signal.
    pub const ZONES: usize = 64;
    /// Faults of one device that are kept at once.
    pub const FAULTS: usize = 64;
    /// Notes kept on one incident.
    pub const NOTES: usize = 1_000;
    /// Answers one person may give to one notice.
    pub const ANSWERS: usize = 20;
    /// Signals joined in one command.
    pub const SIGNALS_JOINED: usize = 64;
    /// Units in one order.
    pub const UNITS_ORDERED: usize = 64;
    /// Sheets owed to a terminal for one order: the order, what changes, its end.
    pub const SHEETS: usize = 32;
    /// Statuses kept of one unit for one order.
    pub const PRESSES: usize = 64;
    /// Orders that wait for one unit.
    pub const QUEUED: usize = 8;
    /// Open log-ins.
    pub const SESSIONS: usize = 1_000;
    /// Refused reports of one source that are journalled in a minute; more are counted only.
    pub const REFUSALS_A_MINUTE: u16 = 6;
    /// Tries to call back that are kept of one call.
    pub const CALL_BACKS: usize = 50;
    /// Drafts; the oldest makes room.
    pub const DRAFTS: usize = 200;
    /// Bytes of a draft's name.
    pub const FORM_BYTES: usize = 64;
    /// Bytes of a draft's text with its seal.
    pub const DRAFT_BYTES: usize = 4_096 + super::SEAL_BYTES;
    /// Messages to sites that may wait to be sent; a modem takes as many.
    pub const MESSAGES_WAITING: usize = 16;
    /// Bytes of a seat's name.
    pub const SEAT_BYTES: usize = 32;
    /// How far from its centre an incident may be said to be, in metres.
    pub const PLACE_METRES: u32 = 100_000;
    /// Alarms of a device registered for telemetry alone that are taken in a minute; the next is
    /// said to be too many, more are counted only.
    pub const TELEMETRY_ALARMS_A_MINUTE: u16 = 6;
}

/// Everything that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(crate) seq: Seq,
    pub(crate) at: Option<Timestamp>,
    pub(crate) epoch: u32,
    pub(crate) release: String,
    pub(crate) settings: Option<Settings>,
    /// Name of each source; its place is its number.
    pub(crate) sources: Vec<String>,
    pub(crate) people: BTreeMap<PersonId, Person>,
    pub(crate) devices: BTreeMap<SourceId, Device>,
    pub(crate) signals: BTreeMap<SignalId, Signal>,
    pub(crate) incidents: BTreeMap<IncidentId, Incident>,
    pub(crate) notices: BTreeMap<NoticeId, Notice>,
    pub(crate) owed: BTreeMap<EffectId, Owed>,
    pub(crate) keys_to_destroy: BTreeMap<Seq, KeyId>,
    pub(crate) sessions: BTreeMap<Token, SessionState>,
    pub(crate) seen: Seen,
    /// Day in JST (as `mmdd`) and how many incidents it has.
    pub(crate) incident_day: (String, u32),
    /// BLAKE3 chain over every effect ever owed.
    pub(crate) effects_sum: [u8; 32],
    /// Calls whose newest signal is kept.
    pub(crate) calls: BTreeMap<CallRef, Call>,
    /// Phones that are to be rung, by the answer that owes it.
    pub(crate) connections: BTreeMap<Seq, Connection>,
    /// The newest draft of each form.
    pub(crate) drafts: BTreeMap<String, SavedDraft>,
    pub(crate) dispatch: Dispatch,
    /// When the core was started last: before that nobody listened.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) load: Load,
    pub(crate) sites: Sites,
    /// Groups for notices, by their key.
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) index: Index,
}

/// What the house gives up under load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How much.
    pub level: LoadLevel,
    /// Since when; `None` before the first change.
    pub since: Option<Timestamp>,
}

/// What can be found again from the rest; not part of the encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) sources: BTreeMap<String, SourceId>,
    pub(crate) people: BTreeMap<String, PersonId>,
    /// Signals without an outcome, by device.
    pub(crate) open_signals: BTreeMap<SourceId, BTreeSet<SignalId>>,
    /// Signals with an outcome, incidents closed, notices ended: oldest first.
    pub(crate) ended_signals: BTreeSet<(Timestamp, SignalId)>,
    pub(crate) closed_incidents: BTreeSet<(Timestamp, IncidentId)>,
    pub(crate) ended_notices: BTreeSet<(Timestamp, NoticeId)>,
    /// Notices that still run, by their end.
    pub(crate) expiries: BTreeSet<(Timestamp, NoticeId)>,
    /// Calls by the event that offered them.
    pub(crate) offers: BTreeMap<Seq, CallRef>,
    /// Calls that wait for a seat's phone, by the time when that takes too long.
    pub(crate) connecting: BTreeSet<(Timestamp, CallRef)>,
    /// Calls that nobody has called back, by the time when somebody should have.
    pub(crate) call_backs: BTreeSet<(Timestamp, CallRef)>,
    /// When each tracker's silence becomes a fault.
    pub(crate) silences: Deadlines<SourceId>,
    /// Notices that nobody has answered, by the time of their reminder.
    pub(crate) reminders: Deadlines<NoticeId>,
}

/// A person in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The entry.
    pub entry: PersonEntry,
    /// Whether the person was erased by law; the sealed values can no longer be opened.
    pub erased: bool,
}

/// A device that was registered or heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Where it comes in.
    pub door: Door,
    /// Its entry in the register; `None` when nobody registered it.
    pub entry: Option<DeviceEntry>,
    /// Person it protects.
    pub subscriber: Option<PersonId>,
    /// Who is told.
    pub helpers: Vec<PersonId>,
    /// When a report was last recorded.
    pub last_heard: Option<Timestamp>,
    /// Reports taken.
    pub reports: u64,
    /// Reports refused and journalled.
    pub refused: u64,
    /// Minute of the last refusals, and how many fell in it.
    pub refused_lately: (i64, u16),
    /// Last report.
    pub last_report: Option<Box<LastReport>>,
    /// Faults that go on.
    pub faults: BTreeSet<Fault>,
    /// Where its wearer is, for trackers.
    pub track: Track,
    /// Minute of the last alarms of a device that is registered for telemetry alone, and how many
    /// fell in it.
    pub alarms_lately: (i64, u16),
}

impl Device {
    /// Notes a fault; one that goes on already keeps its beginning.
    pub(crate) fn raise(&mut self, fault: Fault) {
        if !self.faults.iter().any(|each| each.kind == fault.kind && each.zone == fault.zone) {
            self.faults.insert(fault);
        }
    }
}

/// What a device said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReport {
    /// The event.
    pub seq: Seq,
    /// The device's own time.
    pub observed_at: Option<Timestamp>,
    /// When intake had it.
    pub received_at: Timestamp,
    /// What it said.
    pub findings: Vec<Finding>,
    /// Where it said it was.
    pub position: Option<Position>,
    /// Text it sent.
    pub text: Option<Sealed>,
    /// Whether it was refused.
    pub refused: bool,
}

/// A fault of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What.
    pub kind: AlarmKind,
    /// Sensor or zone.
    pub zone: String,
    /// The device's code.
    pub code: String,
    /// Since when.
    pub since: Timestamp,
}

/// A signal (通報): a call for help that needs an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The device.
    pub source: SourceId,
    /// Where it came in.
    pub door: Door,
    /// The report.
    pub report: Seq,
    /// When intake had the report.
    pub received_at: Timestamp,
    /// When it was durable.
    pub recorded_at: Timestamp,
    /// The device's own time.
    pub observed_at: Option<Timestamp>,
    /// What it is about.
    pub alarm: AlarmKind,
    /// What the report said.
    pub findings: Vec<Finding>,
    /// Pendants or sensors that called, each once, in the order of their first call.
    pub zones: Vec<String>,
    /// How often it called.
    pub presses: u32,
    /// When the device last took it back; it stays open all the same.
    pub restored_at: Option<Timestamp>,
    /// Whether all its reports were refused: shown, never trusted.
    pub refused: bool,
    /// Where the device says it is.
    pub position: Option<Position>,
    /// Text the device sent.
    pub text: Option<Sealed>,
    /// Ringing, answered, ended.
    pub state: SignalState,
    /// Who answered, where and when.
    pub acknowledged: Option<Acknowledged>,
    /// Its incident.
    pub incident: Option<IncidentId>,
    /// Notices about it.
    pub notices: Vec<NoticeId>,
    /// What became of it.
    pub ended: Option<Ended>,
    /// The call, when it is one.
    pub call: Option<CallRef>,
}

impl Signal {
    /// Whether it is about a safe zone that a wearer left, and about nothing else.
    #[must_use]
    pub fn is_about_zone(&self) -> bool {
        self.alarm == AlarmKind::LeftZone && !self.zones.is_empty()
    }
}

/// Where a signal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// Nobody has it yet.
    Ringing,
    /// Somebody has it.
    Answered,
    /// It has an outcome.
    Ended,
    /// The caller hung up before anybody answered; it still needs an outcome.
    Abandoned,
}

impl SignalState {
    /// Its word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Ended => "ended",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Who has a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Operator.
    pub by: SourceId,
    /// Seat.
    pub position: String,
    /// When.
    pub at: Timestamp,
}

/// What became of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Outcome.
    pub outcome: SignalOutcome,
    /// Operator.
    pub by: SourceId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<Sealed>,
}

/// An incident (事案).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Month, day and number of the day.
    pub number: String,
    /// Kind.
    pub kind: IncidentKind,
    /// Place.
    pub place: Place,
    /// Place in words.
    pub place_text: Option<Sealed>,
    /// Signals.
    pub signals: Vec<SignalId>,
    /// Operator who opened it.
    pub by: SourceId,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
    /// How it ended.
    pub end: Option<IncidentEnd>,
    /// Second level of the kind.
    pub subkind: Option<IncidentSubkind>,
    /// When the fire service knew of it (覚知): the earliest of its signals.
    pub perceived_at: Timestamp,
    /// When the first of its calls was answered (受話).
    pub answered_at: Option<Timestamp>,
    /// When a dispatcher first confirmed a place (場所決定).
    pub placed_at: Option<Timestamp>,
    /// When a dispatcher last said of which kind it is (種別決定).
    pub kind_set_at: Timestamp,
}

/// A line on an incident's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The event.
    pub seq: Seq,
    /// Operator.
    pub by: SourceId,
    /// When.
    pub at: Timestamp,
    /// The line.
    pub text: Sealed,
}

/// How an incident ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentEnd {
    /// Outcome.
    pub outcome: IncidentOutcome,
    /// Operator.
    pub by: SourceId,
    /// When.
    pub at: Timestamp,
    /// Last words.
    pub note: Option<Sealed>,
}

/// A notice (一斉配信) to one or many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub content: NoticeContent,
    /// Settings when it was ordered.
    pub settings: Settings,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// When attempts and answers end.
    pub expires_at: Timestamp,
    /// Whether that time is over.
    pub expired: bool,
    /// To whom, with what came of it.
    pub recipients: Vec<RecipientState>,
}

/// A recipient of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientState {
    /// Who.
    pub recipient: Recipient,
    /// What came of the mail.
    pub status: RecipientStatus,
    /// More about it.
    pub detail: OutcomeDetail,
    /// Attempts made.
    pub attempts: u16,
    /// Whether the recipient may have it twice, because an attempt was uncertain.
    pub maybe_twice: bool,
    /// Answers, oldest first; the last one counts.
    pub answers: Vec<AnswerRecord>,
    /// The mail of an earlier notice, which this one replaces, that the recipient has or may have.
    pub earlier: Option<EffectId>,
}

impl RecipientState {
    pub(crate) fn new(recipient: &Recipient) -> Self {
        Self {
            recipient: recipient.clone(),
            status: RecipientStatus::Queued,
            detail: OutcomeDetail::default(),
            attempts: 0,
            maybe_twice: false,
            answers: Vec::new(),
            earlier: None,
        }
    }
}

/// What came of one recipient's mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientStatus {
    /// Still owed.
    Queued,
    /// The relay took it.
    Accepted,
    /// It may have left.
    Uncertain,
    /// It did not leave and will not.
    Failed,
    /// It did not leave, as a newer notice took its place.
    Stopped,
}

impl RecipientStatus {
    /// Its word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Accepted => "accepted",
            Self::Uncertain => "uncertain",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// An answer to a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The event.
    pub seq: Seq,
    /// What.
    pub choice: AnswerChoice,
    /// In how many minutes.
    pub minutes: Option<u16>,
    /// When we had it.
    pub at: Timestamp,
}

/// An effect that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    /// Attempts made or being made.
    pub attempts: u16,
    /// Waiting or under way.
    pub phase: OwedPhase,
    /// How many attempts were uncertain.
    pub uncertain: u16,
}

/// Where an owed effect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedPhase {
    /// The next attempt may be made at this time.
    Waiting {
        /// When.
        due: Timestamp,
    },
    /// An attempt is journalled and its outcome is not.
    Attempting {
        /// Since when.
        since: Timestamp,
    },
}

/// A log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Operator.
    pub source: SourceId,
    /// Role.
    pub role: Role,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl State {
    /// The last event folded.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// Time of the last event folded.
    #[must_use]
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// How often the core was started.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Settings; `None` before the first start.
    #[must_use]
    pub const fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Name of a source, such as `dc09:4901`; `core` for the core.
    #[must_use]
    pub fn source_name(&self, source: SourceId) -> &str {
        usize::try_from(source.0)
            .ok()
            .and_then(|place| self.sources.get(place))
            .map_or("core", |n| n)
    }

    /// Number of a source.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<SourceId> {
        self.index.sources.get(name).copied()
    }

    /// People in the order of their numbers.
    #[must_use]
    pub const fn people(&self) -> &BTreeMap<PersonId, Person> {
        &self.people
    }

    /// The person of this register key.
    #[must_use]
    pub fn person_by_key(&self, key: &str) -> Option<PersonId> {
        self.index.people.get(key).copied()
    }

    /// Data keys of people who were erased. What is sealed under one of them is shown to nobody from
    /// the moment of the erasure, though the key itself is destroyed a little later.
    #[must_use]
    pub fn erased_keys(&self) -> BTreeSet<KeyId> {
        let erased = self.people.values().filter(|person| person.erased);
        erased.map(|person| person.entry.name.key).collect()
    }

    /// Devices in the order of their numbers.
    #[must_use]
    pub const fn devices(&self) -> &BTreeMap<SourceId, Device> {
        &self.devices
    }

    /// Signals, oldest first; of the ended ones the last [`limits::ENDED_KEPT`].
    #[must_use]
    pub const fn signals(&self) -> &BTreeMap<SignalId, Signal> {
        &self.signals
    }

    /// Incidents, oldest first; of the closed ones the last [`limits::ENDED_KEPT`].
    #[must_use]
    pub const fn incidents(&self) -> &BTreeMap<IncidentId, Incident> {
        &self.incidents
    }

    /// Notices, oldest first; of the ended ones the last [`limits::ENDED_KEPT`].
    #[must_use]
    pub const fn notices(&self) -> &BTreeMap<NoticeId, Notice> {
        &self.notices
    }

    /// Calls whose newest signal is kept.
    #[must_use]
    pub const fn calls(&self) -> &BTreeMap<CallRef, Call> {
        &self.calls
    }

    /// The newest draft of each form.
    #[must_use]
    pub const fn drafts(&self) -> &BTreeMap<String, SavedDraft> {
        &self.drafts
    }

    /// Effects that are owed.
    #[must_use]
    pub const fn owed(&self) -> &BTreeMap<EffectId, Owed> {
        &self.owed
    }

    /// The log-in of this token, if it is open at `now`.
    #[must_use]
    pub fn session(&self, token: &Token, now: Timestamp) -> Option<&SessionState> {
        self.sessions.get(token).filter(|session| session.expires_at > now)
    }

    /// What the house gives up under load.
    #[must_use]
    pub const fn load(&self) -> Load {
        self.load
    }

    /// What was taken lately.
    #[must_use]
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// BLAKE3 chain over every effect ever owed: equal when two replays would do the same.
    #[must_use]
    pub const fn effects_sum(&self) -> &[u8; 32] {
        &self.effects_sum
    }

    /// An owed effect as data; rendering it twice gives the same bytes.
    #[must_use]
    pub fn effect(&self, id: EffectId) -> Option<Effect> {
        if !self.owed.contains_key(&id) {
            return None;
        }
        if let Some(key) = self.keys_to_destroy.get(&id.seq) {
            return Some(Effect::DestroyKey(*key));
        }
        if let Some(Connection { call, position }) = self.connections.get(&id.seq) {
            let (call, position) = (call.clone(), position.clone());
            return Some(Effect::ConnectCall { call, position });
        }
        if let Some(message) = self.message(id.seq) {
            return Some(Effect::SendMessage(Box::new(message)));
        }
        if self.dispatch.sheets.contains_key(&id) {
            return self.sheet(id).map(|sheet| Effect::SendOrder(Box::new(sheet)));
        }
        let notice = NoticeId(id.seq);
        self.mail(notice, id.index).map(|mail| Effect::Mail(Box::new(mail)))
    }

    /// The mail of one recipient of a notice, owed or not.
    #[must_use]
    pub fn mail(&self, notice: NoticeId, index: u32) -> Option<Mail> {
        let record = self.notices.get(&notice)?;
        let recipient = record.recipients.get(usize::try_from(index).ok()?)?;
        Some(Mail {
            notice,
            recipient: recipient.recipient.clone(),
            content: record.mail_content(recipient),
            ordered_at: record.ordered_at,
            expires_at: record.expires_at,
            settings: record.settings.clone(),
        })
    }

    /// Whether a place is no more than a district's centre, which says nothing of anybody.
    #[must_use]
    pub fn is_districts_centre(place: &Place) -> bool {
        let known = place.district.and_then(hansho_atlas::by_id);
        known.is_some_and(|district| {
            place.position == Some(district.centre) && place.radius == Some(district.radius)
        })
    }

    /// When `decide` wants a tick, if ever.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let expiry = self.index.expiries.first().map(|(at, _)| *at);
        let lapse = self.index.connecting.first().map(|(at, _)| *at);
        let call_back = self.index.call_backs.first().map(|(at, _)| *at);
        let silence = self.index.silences.first();
        let reminder = self.index.reminders.first();
        let given_up = self.messages_to_give_up().chain(self.sheets_to_give_up());
        let given_up = given_up.map(|(until, _)| until).min();
        // What is due by what has happened is due at once.
        let sheets = self.at.filter(|_| !self.dispatch.due.is_empty());
        [expiry, lapse, call_back, silence, reminder, given_up, sheets].into_iter().flatten().min()
    }

    /// When the carers who were told of an exit are told again: nobody has answered them, no
    /// dispatcher has taken it on, and the wearer is not back.
    pub(crate) fn reminder_at(&self, id: NoticeId) -> Option<Timestamp> {
        let notice = self.notices.get(&id)?;
        let signal = self.signals.get(&notice.signal()?)?;
        let reminded = signal.notices.iter().filter_map(|each| self.notices.get(each));
        let waits = notice.has_template(Template::TrackerLeftZone)
            && !notice.expired
            && notice.recipients.iter().all(|each| each.answers.is_empty())
            && signal.state == SignalState::Ringing
            && signal.restored_at.is_none()
            && !reminded.into_iter().any(|each| each.has_template(Template::TrackerStillAway));
        waits.then(|| notice.ordered_at.checked_add(REMINDER_AFTER).ok())?
    }

    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// BLAKE3 of the canonical encoding.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Self::hash_of(&self.encode())
    }

    /// BLAKE3 of an encoding that was made already.
    #[must_use]
    pub fn hash_of(encoding: &[u8]) -> [u8; 32] {
        *blake3::hash(encoding).as_bytes()
    }

    /// Reads an encoding back.
    ///
    /// # Errors
    ///
    /// When the bytes are cut, mean nothing, or go on after the end.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = bytes;
        let state = Self::take(&mut input)?;
        if input.is_empty() { Ok(state) } else { Err(DecodeError::Rest(input.len())) }
    }

    fn rebuild_index(&mut self) {
        let mut index = Index::default();
        for (place, name) in self.sources.iter().enumerate() {
            let source = SourceId(u32::try_from(place).unwrap_or(u32::MAX));
            index.sources.insert(name.clone(), source);
        }
        for (id, person) in &self.people {
            index.people.insert(person.entry.key.clone(), *id);
        }
        for (id, signal) in &self.signals {
            if let Some(ended) = &signal.ended {
                index.ended_signals.insert((ended.at, *id));
            } else {
                index.open_signals.entry(signal.source).or_default().insert(*id);
            }
        }
        for (id, incident) in &self.incidents {
            if let Some(end) = &incident.end {
                index.closed_incidents.insert((end.at, *id));
            }
        }
        for (id, notice) in &self.notices {
            if notice.expired {
                index.ended_notices.insert((notice.expires_at, *id));
            } else {
                index.expiries.insert((notice.expires_at, *id));
            }
        }
        for (call, record) in &self.calls {
            index.add_call(call, record);
        }
        for (source, device) in &self.devices {
            index.silences.note(*source, device.silent_at(self.started_at));
        }
        for id in self.notices.keys() {
            index.reminders.note(*id, self.reminder_at(*id));
        }
        self.index = index;
    }
}

impl Canonical for State {
    fn put(&self, out: &mut Vec<u8>) {
        let Self {
            seq,
            at,
            epoch,
            release,
            settings,
            sources,
            people,
            devices,
            signals,
            incidents,
            notices,
            owed,
            keys_to_destroy,
            sessions,
            seen,
            incident_day,
            effects_sum,
            calls,
            connections,
            drafts,
            dispatch,
            started_at,
            load,
            sites,
            groups,
            index: _,
        } = self;
        seq.put(out);
        at.put(out);
        epoch.put(out);
        release.put(out);
        settings.put(out);
        sources.put(out);
        people.put(out);
        devices.put(out);
        signals.put(out);
        incidents.put(out);
        notices.put(out);
        owed.put(out);
        keys_to_destroy.put(out);
        sessions.put(out);
        seen.put(out);
        incident_day.put(out);
        effects_sum.put(out);
        calls.put(out);
        connections.put(out);
        drafts.put(out);
        dispatch.put(out);
        started_at.put(out);
        load.put(out);
        sites.put(out);
        groups.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut state = Self {
            seq: Canonical::take(input)?,
            at: Canonical::take(input)?,
            epoch: Canonical::take(input)?,
            release: Canonical::take(input)?,
            settings: Canonical::take(input)?,
            sources: Canonical::take(input)?,
            people: Canonical::take(input)?,
            devices: Canonical::take(input)?,
            signals: Canonical::take(input)?,
            incidents: Canonical::take(input)?,
            notices: Canonical::take(input)?,
            owed: Canonical::take(input)?,
            keys_to_destroy: Canonical::take(input)?,
            sessions: Canonical::take(input)?,
            seen: Canonical::take(input)?,
            incident_day: Canonical::take(input)?,
            effects_sum: Canonical::take(input)?,
            calls: Canonical::take(input)?,
            connections: Canonical::take(input)?,
            drafts: Canonical::take(input)?,
            dispatch: Canonical::take(input)?,
            started_at: Canonical::take(input)?,
            load: Canonical::take(input)?,
            sites: Canonical::take(input)?,
            groups: Canonical::take(input)?,
            index: Index::default(),
        };
        state.rebuild_index();
        Ok(state)
    }
}

canonical!(Person { entry, erased });
canonical!(Device {
    door,
    entry,
    subscriber,
    helpers,
    last_heard,
    reports,
    refused,
    refused_lately,
    last_report,
    faults,
    track,
    alarms_lately,
});
canonical!(Load { level, since });
canonical!(LastReport { seq, observed_at, received_at, findings, position, text, refused });
canonical!(Fault { kind, zone, code, since });
canonical!(Signal {
    source,
    door,
    report,
    received_at,
    recorded_at,
    observed_at,
    alarm,
    findings,
    zones,
    presses,
    restored_at,
    refused,
    position,
    text,
    state,
    acknowledged,
    incident,
    notices,
    ended,
    call,
});
canonical!(enum SignalState { 0 => Ringing, 1 => Answered, 2 => Ended, 3 => Abandoned });
canonical!(Acknowledged { by, position, at });
canonical!(Ended { outcome, by, at, reason });
canonical!(Incident {
    number,
    kind,
    place,
    place_text,
    signals,
    by,
    opened_at,
    notes,
    end,
    subkind,
    perceived_at,
    answered_at,
    placed_at,
    kind_set_at,
});
canonical!(Note { seq, by, at, text });
canonical!(IncidentEnd { outcome, by, at, note });
canonical!(Notice { content, settings, ordered_at, expires_at, expired, recipients });
canonical!(RecipientState { recipient, status, detail, attempts, maybe_twice, answers, earlier });
canonical!(enum RecipientStatus { 0 => Queued, 1 => Accepted, 2 => Uncertain, 3 => Failed, 4 => Stopped });
canonical!(AnswerRecord { seq, choice, minutes, at });
canonical!(Owed { attempts, phase, uncertain });
canonical!(enum OwedPhase { 0 => Waiting { due }, 1 => Attempting { since } });
canonical!(SessionState { source, role, expires_at });
