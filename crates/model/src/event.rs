//! Events: facts in the journal, in the past tense.

use jiff::Timestamp;

use crate::{
    AlarmKind, AnswerChoice, AssignmentEnd, AssignmentId, Attempt, CallBackOutcome, DeviceEntry,
    EffectId, Facts, Group, Idem, IncidentId, IncidentKind, IncidentOutcome, IncidentSubkind,
    Letter, LoadLevel, MessageId, MetresU32, NoticeId, OrderWord, PersonEntry, PersonId, Place,
    Plan, Recipient, Sealed, SealedCallReport, SealedReport, Seq, Settings, Settled, SignalId,
    SignalOutcome, SiteEntry, SourceId, StatusReached, Template, Token, UnitEntry, UnitId,
    UnitStatus, UnitsOrdered, Usable,
};

/// An event as `decide` proposes it; the sequencer gives it its number and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who it is about or from.
    pub source: SourceId,
    /// Event that caused it; `None` for the first of a batch.
    pub cause: Option<Seq>,
    /// Key that makes a repeat recognisable.
    pub idem: Idem,
    /// The fact.
    pub event: Event,
}

/// An event as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub seq: Seq,
    /// `recorded_at`: microseconds, strictly increasing; the only time the core reasons with.
    pub at: Timestamp,
    /// Who it is about or from.
    pub source: SourceId,
    /// Event that caused it.
    pub cause: Option<Seq>,
    /// Key that makes a repeat recognisable.
    pub idem: Idem,
    /// The fact.
    pub event: Event,
}

/// A fact. The numbers of the journal's kinds stand in `hansho_journal`, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The core started; effects whose attempt has no outcome became uncertain.
    CoreStarted {
        /// 1 for the first start of this journal.
        epoch: u32,
        /// Release of the program.
        release: String,
    },
    /// The clock went back; recorded times go on without a step.
    ClockStepped {
        /// How far back, in microseconds.
        back_us: i64,
    },
    /// Settings apply from here.
    SettingsApplied(Settings),
    /// A source got its number.
    SourceNamed {
        /// The number.
        source: SourceId,
        /// Such as `dc09:4901` or `user:sato`.
        name: String,
    },
    /// A person entered the register, or the entry changed.
    PersonEntered {
        /// The person.
        person: PersonId,
        /// The entry.
        entry: PersonEntry,
    },
    /// A person was erased by law; the data key is destroyed as an effect of this.
    PersonErased {
        /// The person.
        person: PersonId,
    },
    /// A device entered the register, or the entry changed.
    DeviceRegistered {
        /// The device.
        device: SourceId,
        /// The person it protects.
        subscriber: PersonId,
        /// Who is told.
        helpers: Vec<PersonId>,
        /// The entry.
        entry: DeviceEntry,
    },
    /// A device left the register.
    DeviceWithdrawn {
        /// The device.
        device: SourceId,
    },
    /// A device said something. The raw bytes are in it.
    ReportReceived(Box<SealedReport>),
    /// A call for help entered the list of signals.
    SignalReceived {
        /// The signal; its number is this event's own.
        signal: SignalId,
        /// The report.
        report: Seq,
        /// What it is about: the most urgent finding.
        alarm: AlarmKind,
        /// Pendant or sensor; empty when none.
        zone: String,
        /// Whether the report was refused (wrong key, unknown device): shown, never trusted.
        refused: bool,
    },
    /// The same device called again while its signal is open, or took it back. Never closes it.
    SignalRepeated {
        /// The signal.
        signal: SignalId,
        /// The report.
        report: Seq,
        /// What it says now.
        alarm: AlarmKind,
        /// Whether it is a restore or a cancel.
        restored: bool,
        /// Pendant or sensor.
        zone: String,
    },
    /// Somebody has it.
    SignalAcknowledged {
        /// The signal.
        signal: SignalId,
        /// The seat.
        position: String,
    },
    /// The signal belongs to an incident.
    SignalJoined {
        /// The signal.
        signal: SignalId,
        /// The incident.
        incident: IncidentId,
    },
    /// The signal is finished.
    SignalEnded {
        /// The signal.
        signal: SignalId,
        /// What became of it.
        outcome: SignalOutcome,
        /// Why.
        reason: Option<Sealed>,
    },
    /// An incident was opened.
    IncidentOpened {
        /// The incident; its number is this event's own.
        incident: IncidentId,
        /// Month, day (JST) and number of the day: `1123-3`.
        number: String,
        /// Kind.
        kind: IncidentKind,
        /// Second level of the kind.
        subkind: Option<IncidentSubkind>,
        /// Place.
        place: Place,
        /// Place in words.
        place_text: Option<Sealed>,
    },
    /// A line on an incident's record.
    IncidentNoted {
        /// The incident.
        incident: IncidentId,
        /// The line.
        text: Sealed,
    },
    /// An incident was closed.
    IncidentClosed {
        /// The incident.
        incident: IncidentId,
        /// How it ended.
        outcome: IncidentOutcome,
        /// Last words.
        note: Option<Sealed>,
    },
    /// A device reported a fault, or we found one.
    FaultRaised {
        /// The device.
        device: SourceId,
        /// What.
        fault: AlarmKind,
        /// The device's code.
        code: String,
        /// Sensor or zone.
        zone: String,
    },
    /// A fault is over.
    FaultCleared {
        /// The device.
        device: SourceId,
        /// What.
        fault: AlarmKind,
        /// Sensor or zone.
        zone: String,
    },
    /// A notice was ordered: one mail to each recipient is owed.
    NoticeOrdered {
        /// The notice; its number is this event's own.
        notice: NoticeId,
        /// The signal it is about.
        signal: Option<SignalId>,
        /// The text.
        template: Template,
        /// What it says.
        facts: Facts,
        /// To whom; the place in this list is the effect's index. At most 4,096.
        recipients: Vec<Recipient>,
        /// When attempts and answers end.
        expires_at: Timestamp,
    },
    /// A notice's time is over: no more attempts, no more answers.
    NoticeExpired {
        /// The notice.
        notice: NoticeId,
    },
    /// Attempts are about to be made.
    EffectsAttempted {
        /// Which.
        attempts: Vec<Attempt>,
    },
    /// What came of attempts.
    EffectsSettled {
        /// What.
        outcomes: Vec<Settled>,
    },
    /// A person answered a notice.
    AnswerGiven {
        /// Which notice, which recipient.
        effect: EffectId,
        /// What.
        choice: AnswerChoice,
        /// In how many minutes.
        minutes: Option<u16>,
        /// When we had it.
        received_at: Timestamp,
    },
    /// An operator logged in.
    SessionOpened {
        /// Keyed hash of the session's secret.
        token: Token,
        /// Role.
        role: crate::Role,
        /// When it ends by itself.
        expires_at: Timestamp,
    },
    /// An operator logged off.
    SessionClosed {
        /// Keyed hash of the session's secret.
        token: Token,
    },
    /// A log-in failed.
    LogInRefused {
        /// Keyed hash of the name that was typed.
        name: Token,
    },
    /// The telephone side said something of a call. The raw request is in it.
    CallReceived {
        /// What it said; the marks of its locations are decided.
        said: Box<SealedCallReport>,
        /// Equal for equal numbers; `None` when it is no offer, or came without a number.
        caller: Option<Token>,
    },
    /// Somebody answered a call: ringing the seat's phone is owed.
    CallAnswered {
        /// The signal.
        signal: SignalId,
        /// The seat.
        position: String,
    },
    /// Whether the seat's phone took it was not heard in time: it rings again.
    CallAnswerLapsed {
        /// The signal.
        signal: SignalId,
    },
    /// It is time to call back who hung up, and nobody has tried.
    CallBackDue {
        /// The signal.
        signal: SignalId,
    },
    /// Somebody tried to call back.
    CallBackTried {
        /// The signal.
        signal: SignalId,
        /// What came of it.
        outcome: CallBackOutcome,
    },
    /// A dispatcher said where an incident is.
    PlaceSet {
        /// The incident.
        incident: IncidentId,
        /// The whole place from here on.
        place: Place,
        /// Place in words from here on.
        place_text: Option<Sealed>,
    },
    /// A dispatcher said of which kind an incident is.
    KindSet {
        /// The incident.
        incident: IncidentId,
        /// Kind.
        kind: IncidentKind,
        /// Second level of the kind.
        subkind: Option<IncidentSubkind>,
    },
    /// What somebody types is kept.
    DraftSaved {
        /// Which form.
        form: String,
        /// What it holds.
        text: Sealed,
    },
    /// What was typed is not needed any more.
    DraftCleared {
        /// Which form.
        form: String,
    },
    /// A unit entered the register, or its entry changed.
    UnitRegistered {
        /// The unit.
        unit: UnitId,
        /// The entry.
        entry: UnitEntry,
    },
    /// A unit left the register.
    UnitWithdrawn {
        /// The unit.
        unit: UnitId,
    },
    /// These response plans apply from here.
    PlansApplied {
        /// All plans.
        plans: Vec<Plan>,
    },
    /// A unit that entered the register was out already, for something this journal does not know.
    UnitFoundOut {
        /// The unit.
        unit: UnitId,
        /// What it was doing.
        status: UnitStatus,
        /// Since when.
        at: Timestamp,
    },
    /// Units were ordered to an incident, with what was recommended at that time and why.
    UnitsOrdered(Box<UnitsOrdered>),
    /// A unit was on its way to, or at work for, this order; before that it may have waited in the
    /// unit's queue.
    AssignmentStarted {
        /// Which.
        assignment: AssignmentId,
    },
    /// An assignment is over without a status of the unit that says so.
    AssignmentEnded {
        /// Which.
        assignment: AssignmentId,
        /// How.
        end: AssignmentEnd,
    },
    /// What a terminal shows of an assignment is not what holds: another sheet is owed to it.
    SheetOrdered {
        /// Which.
        assignment: AssignmentId,
        /// What the sheet is to say.
        word: OrderWord,
    },
    /// A unit reached a status.
    UnitStatusReached(StatusReached),
    /// A unit may be used, or may not.
    AvailabilityChanged {
        /// The unit.
        unit: UnitId,
        /// Whether, why, when.
        usable: Usable,
        /// Since when.
        since: Timestamp,
    },
    /// A unit's crew went with the vehicle it is cross-staffed with, or came back.
    CrewMoved {
        /// The unit that stands.
        unit: UnitId,
        /// The unit its crew is with; `None` when the crew is back.
        with: Option<UnitId>,
    },
    /// A wearer is outside of a safe zone.
    ZoneLeft {
        /// The tracker.
        device: SourceId,
        /// The zone.
        zone: String,
        /// From its centre.
        distance: MetresU32,
        /// How far off that may be.
        accuracy: MetresU32,
        /// The signal that it opens: the next event. `None` when the wearer was never seen inside.
        signal: Option<SignalId>,
    },
    /// A wearer is inside of a safe zone.
    ZoneEntered {
        /// The tracker.
        device: SourceId,
        /// The zone.
        zone: String,
        /// From its centre.
        distance: MetresU32,
    },
    /// A fix lies outside of a safe zone, but one alone may be drift.
    ZoneDoubted {
        /// The tracker.
        device: SourceId,
        /// The zone.
        zone: String,
        /// From its centre.
        distance: MetresU32,
        /// Time of the first such fix in a row.
        since: Timestamp,
        /// Time of this one.
        at: Timestamp,
    },
    /// A fix lies so far from the one before that nobody can have gone there; it moves no fence.
    FixDoubted {
        /// The tracker.
        device: SourceId,
        /// From the fix before.
        distance: MetresU32,
        /// Since the fix before.
        seconds: u32,
    },
    /// A group entered the register, or changed.
    GroupRegistered {
        /// Stable key.
        key: String,
        /// The group.
        group: Group,
    },
    /// A group left the register.
    GroupWithdrawn {
        /// Stable key.
        key: String,
    },
    /// A notice to a group was ordered: one mail to each recipient is owed.
    LetterOrdered {
        /// The notice; its number is this event's own.
        notice: NoticeId,
        /// What it says.
        letter: Box<Letter>,
        /// To whom; the place in this list is the effect's index. At most
        /// [`crate::RECIPIENTS_MAX`].
        recipients: Vec<Recipient>,
        /// When attempts and answers end.
        expires_at: Timestamp,
    },
    /// A newer notice replaces this one: what of it is not on its way is not sent any more.
    NoticeReplaced {
        /// The older one.
        notice: NoticeId,
        /// The newer one.
        by: NoticeId,
    },
    /// A site entered the register, or its entry changed.
    SiteRegistered {
        /// Its handset.
        device: SourceId,
        /// The entry.
        entry: SiteEntry,
    },
    /// A site left the register.
    SiteWithdrawn {
        /// Its handset.
        device: SourceId,
    },
    /// A message to a site was ordered: sending it is owed.
    MessageOrdered {
        /// The message; its number is this event's own.
        message: MessageId,
        /// To whom.
        device: SourceId,
        /// The words.
        text: Sealed,
        /// When it is given up, if it could not go by then.
        until: Timestamp,
    },
    /// The house gives up more under load, or less.
    LoadChanged {
        /// From here on.
        level: LoadLevel,
    },
    /// A device that is registered for telemetry alone has called for help too often: until the
    /// minute is over its alarms are counted only.
    AlarmsLimited {
        /// The device.
        device: SourceId,
    },
}
