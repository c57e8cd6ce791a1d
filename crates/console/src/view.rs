//! What the API shows: types of its own, made by hand, never a derive over the model.
//!
//! The shape is a contract: fields may be added, none is renamed or removed.

mod letters;
mod sites;
mod units;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use letters::{Group, Letter, PublicText};
pub use sites::{Message, Site};
pub use units::{
    Advice, Assignment, Need, Order, OrderWithAdvice, Orders, Press, Recommendation, Terminal,
    Unit, UnitPosition,
};

/// The whole world as the console draws it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct World {
    /// Last event folded into this.
    pub seq: u64,
    /// Recorded time of that event, RFC 3339 in UTC.
    pub at: String,
    /// `real`, `training` or `demo`.
    pub mode: String,
    /// Name of the headquarters.
    pub headquarters: String,
    /// Whether the core started degraded: what is shown is incomplete.
    pub degraded: bool,
    /// The first event that could not be folded, when it did.
    pub degraded_from: Option<u64>,
    /// Calls for help, unfinished ones first.
    pub signals: Vec<Signal>,
    /// Incidents, open ones first.
    pub incidents: Vec<Incident>,
    /// Vehicles in the order of the register.
    pub units: Vec<Unit>,
    /// Notices to many.
    pub notices: Vec<Notice>,
    /// Devices that are registered or were heard.
    pub devices: Vec<Device>,
    /// What came in and what became of it, for each door.
    pub accounting: Vec<Accounting>,
    /// How the mail does.
    pub mail: MailHealth,
    /// What is typed and not yet sent, the newest of each form; any seat may go on with it.
    pub drafts: Vec<Draft>,
    /// What the house gives up under load.
    pub load: Load,
    /// Groups that notices go to.
    pub groups: Vec<Group>,
    /// Sites that are reached over a satellite.
    pub sites: Vec<Site>,
    /// Messages to them, the newest first.
    pub messages: Vec<Message>,
}

/// What the house gives up under load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Load {
    /// 0: nothing. 1: telemetry is thinned. 2: telemetry is refused. 3: states are thinned, too. 4:
    /// only calls, alarms and commands are taken.
    pub level: u8,
    /// Since when; `null` before the first change.
    pub since: Option<String>,
}

/// A call for help (通報).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Signal {
    /// Such as `s184200`.
    pub id: String,
    /// `call`, `pendant`, `tracker`, or `message` for words over a satellite; later also others.
    pub kind: String,
    /// Where it came in.
    pub door: String,
    /// Number of its first event.
    pub seq: u64,
    /// When intake had it.
    pub received_at: String,
    /// `ringing` (nobody has it), `answered` (somebody has it), `abandoned` (a caller hung up before
    /// anybody answered; it still needs an outcome), `ended`.
    pub state: String,
    /// Caller's number, for calls; absent when the caller withholds it, and for a viewer.
    pub from: Option<String>,
    /// Whether the caller withholds the number (184).
    pub withheld: bool,
    /// Service that a caller asked for, without `urn:service:`, such as `sos.fire`.
    pub service: Option<String>,
    /// Source, such as `dc09:4901`.
    pub device: Option<String>,
    /// Where it says it is: of `locations` the one to show. A proposal until a person confirms it.
    pub location: Option<Location>,
    /// Every place that was told, in the order of arrival. None is ever overwritten.
    pub locations: Vec<Location>,
    /// Open incidents that may be the same event, nearest first, at most 3.
    pub similar: Vec<Similar>,
    /// The call, when it is one.
    pub call: Option<Call>,
    /// What it is about, such as `help` or `fire`: the most urgent of `alarms`.
    pub alarm: String,
    /// What it says, the first first.
    pub alarms: Vec<Alarm>,
    /// Pendants or sensors that called, in the order of their first call.
    pub zones: Vec<String>,
    /// How often it called, 1 or more.
    pub count: u32,
    /// The device's own time; its clock may be wrong.
    pub observed_at: Option<String>,
    /// When it was durable.
    pub recorded_at: String,
    /// When the device last took it back. That never closes it.
    pub restored_at: Option<String>,
    /// Whether the report was refused (unknown device, wrong key): shown, never trusted.
    pub refused: bool,
    /// Who has it.
    pub acknowledged: Option<Acknowledged>,
    /// Name of the site that says it, for a `message` of one that is registered.
    pub site: Option<String>,
    /// Whom the device protects.
    pub subscriber: Option<Subscriber>,
    /// Free text the device sent.
    pub text: Option<String>,
    /// Incident it belongs to.
    pub incident: Option<String>,
    /// Notices about it.
    pub notices: Vec<String>,
    /// What became of it.
    pub outcome: Option<String>,
    /// Why, in the words of who ended it.
    pub reason: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Who ended it.
    pub ended_by: Option<String>,
}

/// One thing a device says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Alarm {
    /// What it is about, such as `help` or `fall`.
    pub kind: String,
    /// How urgent: `life`, `check`, `fault`, `note`, `test`.
    pub class: String,
    /// `new`, `restored`, `still`.
    pub phase: String,
    /// The device's own code, such as `CID 101`.
    pub code: String,
    /// Pendant, sensor or zone; empty when none.
    pub zone: String,
}

/// A place as a shape, never a bare pin.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Location {
    /// `value` (in the request), `reference` (as an address to ask) or `device`.
    pub source: String,
    /// `point`, `circle`, `ellipse`, `arcband`, `polygon`, `sphere`, `ellipsoid`, `prism`; absent
    /// when it is refused or in words only.
    pub shape: Option<String>,
    /// Latitude of its middle in degrees, WGS 84; absent likewise.
    pub lat: Option<f64>,
    /// Longitude of its middle in degrees, WGS 84; absent likewise.
    pub lon: Option<f64>,
    /// How far off it may be, in metres; absent when that is unknown, which never means "exact".
    pub radius_m: Option<u32>,
    /// Chance that it is within, in per cent.
    pub confidence: Option<u8>,
    /// How it was found.
    pub method: Option<String>,
    /// When it was true.
    pub at: Option<String>,
    /// In words (civic address).
    pub civic: Option<String>,
    /// Why it has no point, such as `xml` or `range`.
    pub refused: Option<String>,
    /// What is odd about it: `stale`, `clock`, `no-time`, `outside`, `wide`, `looks-swapped`.
    pub marks: Vec<String>,
}

/// An open incident that may be the event that a signal is about.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Similar {
    /// Such as `i184210`.
    pub incident: String,
    /// Between the two places.
    pub distance_m: u32,
    /// How long it was known when the signal came.
    pub age_s: u32,
}

/// A call to 119.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Call {
    /// `ringing`, `connecting` (somebody answered, the seat's phone rings), `connected`,
    /// `abandoned` (the caller hung up before that), `over`.
    pub state: String,
    /// Seat that answered, or whose phone took it.
    pub position: Option<String>,
    /// When it was answered.
    pub answered_at: Option<String>,
    /// When the two could speak.
    pub connected_at: Option<String>,
    /// When it ended, connected or not.
    pub ended_at: Option<String>,
    /// `caller`, `desk`, or `lost`: a line died.
    pub ended_by: Option<String>,
    /// Whether some of it was answered before it was in the journal, as no core ran.
    pub unrecorded: bool,
    /// Calls of the same number in the 24 hours before.
    pub earlier: u32,
    /// When to call back by, while nobody has tried.
    pub callback_due: Option<String>,
    /// Whether that time has come.
    pub callback_overdue: bool,
    /// Tries to call back, oldest first.
    pub callbacks: Vec<CallBackTry>,
    /// The last try to connect, when it came to nothing: any seat may answer again.
    pub failed: Option<CallFailure>,
}

/// A try to call back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallBackTry {
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// `reached`, `no_answer`, `busy`, `wrong_number`.
    pub outcome: String,
}

/// A seat's phone did not take a call.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CallFailure {
    /// Seat.
    pub position: String,
    /// SIP status, such as 486 for busy; 0 when nothing was heard of it.
    pub status: u16,
}

/// What is typed and not yet sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Draft {
    /// Which form, such as `call:s184200`.
    pub form: String,
    /// What it holds; absent when the key to it was destroyed.
    pub text: Option<String>,
    /// Who typed last.
    pub by: String,
    /// When.
    pub at: String,
    /// Number of its event.
    pub seq: u64,
}

/// Who said "I have it".
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Acknowledged {
    /// Name of the operator.
    pub by: String,
    /// Seat.
    pub position: String,
    /// When.
    pub at: String,
}

/// The person a device protects (利用者).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Subscriber {
    /// Number of the person in the register.
    pub person: u32,
    /// Register key, such as `subscriber-0001`.
    pub key: String,
    /// Name; absent when the person was erased, and for a viewer.
    pub name: Option<String>,
    /// Address, with how to get in; absent likewise.
    pub address: Option<String>,
    /// District (地区), 1 to 13.
    pub district: Option<u8>,
    /// Whether the person was erased by law.
    pub erased: bool,
}

/// An incident (事案).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Incident {
    /// Such as `i184210`.
    pub id: String,
    /// Month, day and number of the day: `1123-3`.
    pub number: String,
    /// Kind, such as `fire`.
    pub kind: String,
    /// Second level of the kind, such as `building`.
    pub subkind: Option<String>,
    /// `open` or `closed`.
    pub state: String,
    /// Where.
    pub place: Place,
    /// Signals joined to it.
    pub signals: Vec<String>,
    /// Call signs of the units that are at work for it, or will be when they are free.
    pub units: Vec<String>,
    /// When the fire service knew of it (覚知): the earliest of its signals.
    pub perceived_at: String,
    /// What happened when: `received` (入電), `answered` (受話), `perceived` (覚知), `opened`,
    /// `place_set` (場所決定), `kind_set` (種別決定), `closed` (終了). What did not happen is absent.
    pub times: BTreeMap<String, String>,
    /// What each unit did for it, in the order of the orders.
    pub assignments: Vec<Assignment>,
    /// Orders, oldest first.
    pub orders: Vec<Order>,
    /// When it was opened.
    pub opened_at: String,
    /// By whom.
    pub opened_by: String,
    /// Its record, oldest line first.
    pub notes: Vec<Note>,
    /// How it ended.
    pub outcome: Option<String>,
    /// By whom it was closed.
    pub closed_by: Option<String>,
    /// When it was closed.
    pub closed_at: Option<String>,
    /// Last words.
    pub closing_note: Option<String>,
}

/// Where an incident is believed to be.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Place {
    /// In words.
    pub text: Option<String>,
    /// District, 1 to 13.
    pub district: Option<u8>,
    /// Latitude in degrees.
    pub lat: Option<f64>,
    /// Longitude in degrees.
    pub lon: Option<f64>,
    /// How far from the centre, in metres.
    pub radius_m: Option<u32>,
    /// Whether a dispatcher confirmed it.
    pub confirmed: bool,
}

/// A line on an incident's record. Append only.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Note {
    /// Number of its event.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// What; absent when the key to it was destroyed, and for a viewer.
    pub text: Option<String>,
}

/// A notice to many (一斉配信).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Notice {
    /// Such as `n184300`.
    pub id: String,
    /// `sending`, `sent` or `expired`.
    pub state: String,
    /// The signal it is about.
    pub signal: Option<String>,
    /// What it says, when a person sent it to a group.
    pub letter: Option<Letter>,
    /// When it was ordered.
    pub ordered_at: String,
    /// When answers end.
    pub expires_at: String,
    /// How many mails stand how.
    pub outcomes: Outcomes,
    /// How many people answered what.
    pub answers: Answers,
    /// Each person.
    pub recipients: Vec<Recipient>,
}

/// Mails by how they stand.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Outcomes {
    /// Not handed over yet.
    pub queued: u32,
    /// The relay took it. Not the same as delivered.
    pub accepted: u32,
    /// The link broke after the point of no return: it may have gone out.
    pub uncertain: u32,
    /// It is certain that it did not go out.
    pub failed: u32,
    /// It did not go out, as a newer notice took its place.
    pub stopped: u32,
}

/// People by their answer.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Answers {
    /// Coming at once.
    pub coming: u32,
    /// Coming later.
    pub late: u32,
    /// Cannot come.
    pub cannot: u32,
    /// Is there.
    pub arrived: u32,
    /// No answer yet. Never shown as "cannot".
    pub silent: u32,
}

/// One person of a notice.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Recipient {
    /// Name; absent when the person was erased, and for a viewer.
    pub name: Option<String>,
    /// `queued`, `accepted`, `uncertain`, `failed`, `stopped`.
    pub mail: String,
    /// Attempts made.
    pub attempts: u16,
    /// Whether the person may have it twice, because an attempt was uncertain.
    pub maybe_twice: bool,
    /// The relay's code, 0 when none.
    pub code: u16,
    /// `coming`, `late`, `cannot`, `arrived`.
    pub answer: Option<String>,
    /// In how many minutes.
    pub minutes: Option<u16>,
    /// When the answer came.
    pub answered_at: Option<String>,
}

/// A device.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Device {
    /// Full name, such as `dc09:4901`.
    pub id: String,
    /// Door.
    pub door: String,
    /// Whether it stands in the register.
    pub registered: bool,
    /// When it was last heard.
    pub last_heard: Option<String>,
    /// Reports taken.
    pub reports: u64,
    /// Reports of it that were refused.
    pub refused: u64,
    /// Faults that go on.
    pub faults: Vec<Fault>,
    /// Where its wearer was seen last; absent for a viewer, and for what has no place.
    pub position: Option<DevicePosition>,
    /// Battery, 0 to 100 per cent.
    pub battery: Option<u8>,
    /// Safe zones of its wearer; empty for a viewer.
    pub zones: Vec<Zone>,
}

/// Where a device was seen last.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DevicePosition {
    /// Latitude in degrees, WGS 84.
    pub lat: f64,
    /// Longitude in degrees, WGS 84.
    pub lon: f64,
    /// When, by the device's clock; by ours where that is wrong.
    pub at: String,
    /// Seconds from then to the last event of this state.
    pub age_s: u64,
    /// How far off it may be, in metres.
    pub accuracy_m: u32,
    /// How it was found: `gnss`, `wifi`, `cell`, `unknown`.
    pub method: String,
    /// Whether nobody can have gone there from the place before: to be shown hollow.
    pub suspect: bool,
}

/// A safe zone (見守り区域).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Zone {
    /// Its name, such as `自宅`.
    pub name: String,
    /// `inside`, `outside`, `unknown`.
    pub state: String,
    /// Since when.
    pub since: Option<String>,
    /// Latitude of its centre in degrees.
    pub lat: f64,
    /// Longitude of its centre in degrees.
    pub lon: f64,
    /// Radius in metres.
    pub radius_m: u32,
}

/// A fault that goes on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Fault {
    /// What, such as `battery`.
    pub kind: String,
    /// Sensor or zone; empty when the device itself.
    pub zone: String,
    /// The device's own code.
    pub code: String,
    /// Since when.
    pub since: String,
}

/// What came in at a door: received = durable + refused + shed + coalesced + in flight, always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Accounting {
    /// Door.
    pub door: String,
    /// Reports received.
    pub received: u64,
    /// Of these, in the journal.
    pub durable: u64,
    /// Refused with an answer.
    pub refused: u64,
    /// Telemetry dropped under load.
    pub shed: u64,
    /// Under load given up for a newer one of the same device, which is in the journal.
    pub coalesced: u64,
    /// Neither yet.
    pub in_flight: u64,
    /// What was shed and coalesced, by device: those who lost most, then all others together.
    pub given_up: Vec<GivenUp>,
}

/// What the house gave up of one device under load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct GivenUp {
    /// Device, as its door names it; empty for all others together.
    pub device: String,
    /// Lane of what was given up: `C` states, `D` telemetry.
    pub lane: String,
    /// Dropped.
    pub shed: u64,
    /// Given up for a newer one, which is in the journal.
    pub coalesced: u64,
}

/// How the mail does.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct MailHealth {
    /// `ok`, `sending`, `failing`.
    pub state: String,
    /// Mails owed.
    pub owed: u32,
    /// Mails that failed for good, in the notices shown.
    pub failed: u32,
    /// Mails that may or may not have gone out, in the notices shown.
    pub uncertain: u32,
}

/// Who is logged in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    /// Log-in name.
    pub user: String,
    /// Name of the person.
    pub name: String,
    /// Role.
    pub role: String,
    /// When the session ends by itself; absent for API tokens.
    pub expires_at: Option<String>,
}

/// A log-in.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// Log-in name.
    pub user: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for LogIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogIn(▮)")
    }
}

/// A command taken.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Taken {
    /// Event that took it: durable.
    pub seq: u64,
}

/// The core said no; nothing changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedAnswer {
    /// Why.
    pub refused: RefusedBody,
}

/// Why the core said no.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedBody {
    /// From the closed list of reason codes.
    pub code: String,
    /// In the language of `Accept-Language`, Japanese when it names none of ours.
    pub message: String,
}

/// The request itself was wrong.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorAnswer {
    /// The fault.
    pub error: ErrorBody,
}

/// What, where, how to mend.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// From a closed list: `malformed`, `unauthorized`, `forbidden`, `too_large`, `busy`,
    /// `too_many_attempts`, `not_found`, `timeout`, `internal`.
    pub code: String,
    /// What is wrong.
    pub what: String,
    /// Where in the request.
    pub r#where: String,
    /// How to mend it.
    pub how: String,
}

/// One event of the stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StreamEvent {
    /// Its number.
    pub seq: u64,
    /// Recorded time.
    pub at: String,
    /// Kind, such as `SignalReceived`.
    pub kind: String,
    /// What it says.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
}

/// Sent every two seconds, and as the first thing on a stream.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Heartbeat {
    /// The server's clock.
    pub at: String,
    /// The replica's last event.
    pub seq: u64,
}
