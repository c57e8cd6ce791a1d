//! Commands of people.

use jiff::Timestamp;

use crate::alarm::words;
use crate::{
    CallBackOutcome, CommandId, IncidentId, IncidentKind, IncidentOutcome, IncidentSubkind,
    PersonId, Place, Sealed, SendNotice, Seq, SignalId, SignalOutcome, Token, UnitStatus, Usable,
};

words! {
    /// Role of an operator.
    Role {
        /// 指令員
        Dispatcher = "dispatcher",
        /// 当務司令
        Supervisor = "supervisor",
        /// 危機管理課
        DisasterManager = "disaster_manager",
        /// Administrator of the system.
        Administrator = "administrator",
        /// May look, may not act.
        Viewer = "viewer",
        /// A unit's crew at its terminal: may say what its own unit does. Nobody logs in as this.
        Crew = "crew",
    }
}

/// Who gives a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Source name of the operator: `user:<log-in name>`.
    pub source: String,
    /// Role.
    pub role: Role,
}

/// A command, as the console hands it to the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Made by the client; sending it twice has the effect of once.
    pub id: CommandId,
    /// Who.
    pub actor: Actor,
    /// When the server had it.
    pub received_at: Timestamp,
    /// What.
    pub kind: CommandKind,
}

/// What a person wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// "I have it": stops the alarm's sound, shows the name.
    AcknowledgeSignal {
        /// The signal.
        signal: SignalId,
        /// The seat, such as `desk1`; at most 32 bytes.
        position: String,
    },
    /// Opens an incident for one or more signals.
    OpenIncident {
        /// 1 to 64 signals that have no incident yet.
        signals: Vec<SignalId>,
        /// Kind.
        kind: IncidentKind,
        /// Second level of the kind.
        subkind: Option<IncidentSubkind>,
        /// What the dispatcher says of the place; what is left out is taken from the signals.
        place: Place,
        /// Place in words, when the dispatcher typed some.
        place_text: Option<Sealed>,
    },
    /// Adds a signal to an incident.
    JoinSignal {
        /// The signal.
        signal: SignalId,
        /// The incident.
        incident: IncidentId,
    },
    /// Finishes a signal that leads to no incident.
    EndSignal {
        /// The signal.
        signal: SignalId,
        /// What became of it.
        outcome: SignalOutcome,
        /// Why, in words.
        reason: Option<Sealed>,
    },
    /// Adds a line to an incident's record. Append only.
    AddNote {
        /// The incident.
        incident: IncidentId,
        /// The line.
        text: Sealed,
    },
    /// Closes an incident.
    CloseIncident {
        /// The incident.
        incident: IncidentId,
        /// How it ended.
        outcome: IncidentOutcome,
        /// Last words.
        note: Option<Sealed>,
    },
    /// Answers a call: the seat's phone rings and the two can speak.
    AnswerCall {
        /// The call's signal.
        signal: SignalId,
        /// The seat, such as `desk1`; 1 to 32 bytes.
        position: String,
    },
    /// Tells of a try to call back who hung up.
    CallBack {
        /// The call's signal.
        signal: SignalId,
        /// What came of it.
        outcome: CallBackOutcome,
    },
    /// Says where an incident is; what is left out stays as it is.
    SetPlace {
        /// The incident.
        incident: IncidentId,
        /// The place.
        place: Place,
        /// Place in words.
        place_text: Option<Sealed>,
    },
    /// Says of which kind an incident is.
    SetKind {
        /// The incident.
        incident: IncidentId,
        /// Kind.
        kind: IncidentKind,
        /// Second level of the kind.
        subkind: Option<IncidentSubkind>,
    },
    /// Keeps what somebody types, before it is sent.
    SaveDraft {
        /// Which form, such as `call:s123`; 1 to 64 bytes.
        form: String,
        /// What it holds, at most 4,096 bytes before the seal.
        text: Sealed,
    },
    /// Drops what was typed.
    ClearDraft {
        /// Which form.
        form: String,
    },
    /// Orders units to an incident (出動指令). One that is at work for another incident gets the
    /// order queued; one that returns is diverted (転戦).
    OrderUnits {
        /// The incident.
        incident: IncidentId,
        /// 1 to 64 call signs, each once.
        units: Vec<String>,
        /// Why these, in words.
        reason: Option<Sealed>,
        /// Whether a unit that is on its way to another incident leaves that one.
        divert: bool,
    },
    /// A unit reached a status.
    UnitStatus {
        /// Call sign.
        unit: String,
        /// The status.
        status: UnitStatus,
        /// When, if not now; of a correction, if not when the wrong one was.
        at: Option<Timestamp>,
        /// For which incident, when it is not the one it is at work for.
        incident: Option<IncidentId>,
        /// The earlier status event that was wrong.
        corrects: Option<Seq>,
    },
    /// A unit may be used, or may not.
    SetAvailability {
        /// Call sign.
        unit: String,
        /// Whether, why, when.
        usable: Usable,
    },
    /// Sends a notice to a group (一斉配信), or one that corrects or withdraws an earlier one.
    SendNotice(Box<SendNotice>),
    /// Sends words to a site over a satellite.
    SendMessage {
        /// Full name of the site's handset among the sources, such as `sbd:300000000000111`.
        device: String,
        /// The words, 1 to [`crate::MESSAGE_BYTES_MAX`] bytes before the seal.
        text: Sealed,
    },
    /// Erases a person by law: the data key is destroyed once this is durable.
    ErasePerson {
        /// The person.
        person: PersonId,
    },
    /// A log-in succeeded; the session outlives a restart of the core.
    OpenSession {
        /// Keyed hash of the session's secret.
        token: Token,
        /// When it ends by itself.
        expires_at: Timestamp,
    },
    /// A log-off.
    CloseSession {
        /// Keyed hash of the session's secret.
        token: Token,
    },
    /// A log-in failed; kept for the officer who must prove what happened.
    RefuseLogIn {
        /// Name that was typed, keyed hash: it may be a password typed in the wrong field.
        name: Token,
    },
}

impl CommandKind {
    /// Its word in the API.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::AcknowledgeSignal { .. } => "AcknowledgeSignal",
            Self::OpenIncident { .. } => "OpenIncident",
            Self::JoinSignal { .. } => "JoinSignal",
            Self::EndSignal { .. } => "EndSignal",
            Self::AddNote { .. } => "AddNote",
            Self::CloseIncident { .. } => "CloseIncident",
            Self::AnswerCall { .. } => "AnswerCall",
            Self::CallBack { .. } => "CallBack",
            Self::SetPlace { .. } => "SetPlace",
            Self::SetKind { .. } => "SetKind",
            Self::SaveDraft { .. } => "SaveDraft",
            Self::ClearDraft { .. } => "ClearDraft",
            Self::OrderUnits { .. } => "OrderUnits",
            Self::UnitStatus { .. } => "UnitStatus",
            Self::SetAvailability { .. } => "SetAvailability",
            Self::SendNotice(_) => "SendNotice",
            Self::SendMessage { .. } => "SendMessage",
            Self::ErasePerson { .. } => "ErasePerson",
            Self::OpenSession { .. } => "OpenSession",
            Self::CloseSession { .. } => "CloseSession",
            Self::RefuseLogIn { .. } => "RefuseLogIn",
        }
    }
}
