//! The words of Hansho: ids, places, times, reports, commands, events, effects. Data only.
//!
//! Every other crate speaks in these types; this one knows nobody. Nothing here reads a clock,
//! a file or a socket, and nothing here is serialised by a derive: the journal keeps frozen types
//! of its own, the console and the mail have views of their own.
//!
//! ```
//! use hansho_model::{DegreesE7, Position};
//! let city_hall = Position::new(DegreesE7::from_e7(370_505_000), DegreesE7::from_e7(1_408_876_666));
//! assert_eq!(city_hall.unwrap().lat.e7(), 370_505_000);
//! ```

mod alarm;
mod call;
mod command;
mod effect;
mod event;
mod id;
mod input;
mod lane;
mod notice;
mod place;
mod refusal;
mod registry;
mod report;
mod sealed;
mod telemetry;
mod unit;
mod zone;

pub use alarm::{
    AlarmClass, AlarmKind, Finding, IncidentKind, IncidentOutcome, IncidentSubkind, Phase,
    SignalOutcome,
};
pub use call::{
    CallBackOutcome, CallEnd, CallFact, CallOffer, CallRef, CallReport, CallSaid, CallerLocation,
    LocationFault, LocationMark, LocationShape, LocationSource, SealedCallReport,
};
pub use command::{Actor, Command, CommandKind, Role};
/// Most bytes of a message to a site, UTF-8: a hundred kanji. With its head it fits one burst of a
/// 9602, which is paid for whole.
pub const MESSAGE_BYTES_MAX: usize = 300;

pub use effect::{
    Answer, AnswerChoice, Attempt, Effect, EffectOutcome, Facts, Mail, MailContent, Message,
    Outcome, OutcomeDetail, Recipient, Settled, Template,
};
pub use event::{Draft, Event, Recorded};
pub use id::{
    CommandId, EffectId, Idem, IncidentId, KeyId, MessageId, NoticeId, ParseIdError, PersonId, Seq,
    SignalId, SourceId, Token,
};
pub use input::{Input, Receipt};
pub use lane::{Lane, LoadLevel};
pub use notice::{
    Group, GroupEntry, Letter, LetterTo, NOTICE_BYTES_MAX, NoticeKind, PublicText, RECIPIENTS_MAX,
    Replacing, SUBJECT_BYTES_MAX, SendNotice, Severity,
};
pub use place::{DegreesE7, DistrictId, MetresU32, Place, Position};
pub use refusal::{FrameFault, Refusal, RefusalCode};
pub use registry::{
    DeviceEntry, DeviceKind, Language, Mailbox, Mode, PersonEntry, Registry, Settings, SiteEntry,
    Start,
};
pub use report::{Deviation, Door, Report, SealedReport};
pub use sealed::{Private, Reveal, Sealed};
pub use telemetry::{Fix, FixMethod, Telemetry};
pub use unit::{
    Ability, AssignmentEnd, AssignmentId, Availability, AvailabilityReason, Fleet, NeedMet,
    OrderSheet, OrderWord, Plan, PlanNeed, Recommendation, StatusReached, UnitAdvice, UnitEntry,
    UnitFound, UnitId, UnitKind, UnitStatus, UnitsOrdered, Usable, Why, is_terminal_id,
};
pub use zone::{Sighting, Zone, ZoneDistance};
