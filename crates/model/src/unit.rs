//! Units (隊): vehicles with their crews, what they may be used for and what they are doing.

use jiff::Timestamp;

use crate::alarm::words;
use crate::{
    IncidentId, IncidentKind, IncidentSubkind, MetresU32, Mode, Place, Position, Sealed, Seq,
};

/// A unit in the register. Given by `UnitRegistered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub u32);

/// One unit's part in one order: what it does for an incident (one row of the time line).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentId {
    /// The `UnitsOrdered`; of a unit that was out already at the first start, its `UnitFoundOut`.
    pub order: Seq,
    /// The unit.
    pub unit: UnitId,
}

words! {
    /// Kind of a vehicle.
    UnitKind {
        /// 指揮車
        Command = "CMD",
        /// ポンプ車
        Pump = "PUMP",
        /// 水槽付ポンプ車
        Tank = "TANK",
        /// 小型の水槽付ポンプ車, for narrow roads
        Mini = "MINI",
        /// はしご車
        Ladder = "LADDER",
        /// 救助工作車
        Rescue = "RESC",
        /// 化学車
        Chemical = "CHEM",
        /// 水難救助車
        Boat = "BOAT",
        /// 支援車
        Logistics = "LOG",
        /// 救急車
        Ambulance = "AMB",
    }
}

words! {
    /// What a unit can do; a plan asks for these, never for kinds of vehicles.
    Ability {
        /// Lead at the scene.
        Command = "command",
        /// Pump water.
        Pump = "pump",
        /// Bring water along.
        Water = "water",
        /// Reach high floors.
        Ladder = "ladder",
        /// Rescue people.
        Rescue = "rescue",
        /// Cut people out of wrecks.
        Extrication = "extrication",
        /// See heat.
        ThermalCamera = "thermal_camera",
        /// See from above.
        Drone = "drone",
        /// Make foam.
        Foam = "foam",
        /// Rescue people from water.
        WaterRescue = "water_rescue",
        /// Light a scene.
        Lighting = "lighting",
        /// Fill breathing air.
        AirRefill = "air_refill",
        /// Carry a patient.
        Ambulance = "ambulance",
        /// Advanced life support: a paramedic (救急救命士) is on board.
        Als = "als",
        /// Drive where there is no road.
        FourWheelDrive = "4wd",
        /// Drive narrow roads.
        Narrow = "narrow",
    }
}

words! {
    /// Whether a unit may be used: an axis of its own, beside what it is doing.
    Availability {
        /// 出動可
        Available = "AV",
        /// 条件付: later, or with a reduced crew.
        Delayed = "AD",
        /// 出動不能
        OutOfService = "OO",
        /// 閉鎖, 非番
        Off = "OF",
    }
}

words! {
    /// Why a unit may not be used, or not at once.
    AvailabilityReason {
        /// 整備
        Maintenance = "maintenance",
        /// 乗員不足
        Crew = "crew",
        /// 訓練
        Training = "training",
        /// 転用
        Reassigned = "reassigned",
    }
}

words! {
    /// What a unit is doing for an incident, in the order of its usual course.
    UnitStatus {
        /// 指令: ordered, not yet acknowledged.
        Ordered = "AL",
        /// 了解
        Acknowledged = "AK",
        /// 出動: left for the scene.
        EnRoute = "ER",
        /// 現着
        OnScene = "OS",
        /// 活動: water on, or contact with the patient.
        Working = "WK",
        /// 搬送
        Transporting = "TR",
        /// 病着
        AtHospital = "HP",
        /// 引揚: released, returning, may be diverted.
        Returning = "RT",
        /// 帰署: back in station; the assignment ends.
        InStation = "IN",
        /// 取消 before arrival; the assignment ends.
        Cancelled = "CX",
    }
}

words! {
    /// How an assignment ended.
    AssignmentEnd {
        /// The unit is back in station.
        Returned = "returned",
        /// Cancelled before arrival.
        Cancelled = "cancelled",
        /// 転戦: ordered to another incident on its way.
        Diverted = "diverted",
        /// The incident was closed while it returned, or waited for it.
        Released = "released",
    }
}

words! {
    /// Why a unit is recommended, or is not. A closed list: it is stored with the order and must be
    /// read a year later.
    Why {
        /// The nearest by line that can do it.
        NearestByLine = "nearest_by_line",
        /// It stands in its station.
        HomeStation = "home_station",
        /// No other that may be used can do it.
        OnlyWithCapability = "only_with_capability",
        /// It returns from another incident.
        Diverted = "diverted_from",
        /// Where it is was known longer ago than it should be.
        StalePosition = "stale_position",
        /// It can leave only after some minutes.
        Delayed = "delayed",
        /// Nearer ones do what is needed.
        Farther = "farther",
        /// The plan asks for nothing it can do.
        NotNeeded = "not_needed",
        /// It is at work for another incident.
        Busy = "busy",
        /// It is ordered to this incident already.
        AlreadyOrdered = "already_ordered",
        /// Its crew goes with the other vehicle that it is cross-staffed with.
        NoCrew = "no_crew",
        /// 整備
        OutMaintenance = "out:maintenance",
        /// 乗員不足
        OutCrew = "out:crew",
        /// 訓練
        OutTraining = "out:training",
        /// 転用
        OutReassigned = "out:reassigned",
        /// 閉鎖, 非番
        OutOff = "out:off",
        /// Where the incident is, is not known.
        NoPlace = "no_place",
    }
}

/// A unit, as the register has it. Nothing in it is personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitEntry {
    /// Call sign, such as `小名浜救1`: 1 to 32 characters, unique.
    pub call_sign: String,
    /// Name of its station.
    pub station: String,
    /// Where the station is.
    pub position: Position,
    /// Kind of vehicle.
    pub kind: UnitKind,
    /// What it can do, in the order of [`Ability::ALL`].
    pub abilities: Vec<Ability>,
    /// People on board; of two vehicles with one crew, both have the same people.
    pub crew: u8,
    /// Call sign of the vehicle that has the same crew (乗換): one of the two can leave.
    pub cross_staffed_with: Option<String>,
    /// Whether it is a reserve, without a crew on duty.
    pub reserve: bool,
    /// Id of its terminal (車両端末), in upper case, if it has one.
    pub terminal: Option<String>,
}

/// Whether a text can be a terminal's id: 1 to 32 of `A-Z a-z 0-9 -`, no `-` at either end. Case
/// does not count.
#[must_use]
pub fn is_terminal_id(id: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=32).contains(&id.len())
        && id.bytes().all(sound)
        && !id.starts_with('-')
        && !id.ends_with('-')
}

/// How a unit is found when it enters the register: a system that is switched on in the middle of a
/// shift meets vehicles that are out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFound {
    /// Call sign.
    pub call_sign: String,
    /// Whether it may be used.
    pub usable: Usable,
    /// What it is doing, if it is out.
    pub status: Option<UnitStatus>,
    /// Since when, in minutes before the start.
    pub since_min: u16,
}

/// Whether a unit may be used, with why not and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usable {
    /// The code.
    pub availability: Availability,
    /// Why, for `AD` and `OO`.
    pub reason: Option<AvailabilityReason>,
    /// In how many minutes it can leave, for `AD`: 1 to 1,440.
    pub minutes: Option<u16>,
}

impl Usable {
    /// `AV`.
    pub const AVAILABLE: Self =
        Self { availability: Availability::Available, reason: None, minutes: None };

    /// Whether code, reason and minutes agree.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self.availability {
            Availability::Available | Availability::Off => {
                self.reason.is_none() && self.minutes.is_none()
            }
            Availability::Delayed => {
                self.minutes.is_some_and(|minutes| (1..=1_440).contains(&minutes))
            }
            Availability::OutOfService => self.reason.is_some() && self.minutes.is_none(),
        }
    }
}

/// What a plan asks for: so many units of an ability, of which some can do more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanNeed {
    /// The ability.
    pub ability: Ability,
    /// How many units: 1 to 32.
    pub count: u8,
    /// Of these, so many with another ability, too: pumps that bring water.
    pub with: Option<(Ability, u8)>,
}

/// A response plan (出動計画): what goes out at once for a kind of incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Kind.
    pub kind: IncidentKind,
    /// Second level; `None` for all that have no plan of their own.
    pub subkind: Option<IncidentSubkind>,
    /// 第1出動
    pub first: Vec<PlanNeed>,
}

/// Units and plans, as the registers have them at a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Units in the order of the register.
    pub units: Vec<UnitEntry>,
    /// How those are found that are not simply there.
    pub found: Vec<UnitFound>,
    /// Plans.
    pub plans: Vec<Plan>,
}

/// What was recommended for an incident, and why, at the time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recommendation {
    /// What the plan asks for, with what is there or chosen.
    pub needs: Vec<NeedMet>,
    /// Every unit of the register: chosen or why not; chosen ones first, nearest first.
    pub units: Vec<UnitAdvice>,
}

/// What a plan asks for and what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedMet {
    /// The ability.
    pub ability: Ability,
    /// How many are asked for.
    pub want: u8,
    /// How many are ordered already or chosen.
    pub have: u8,
}

/// What is advised about one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitAdvice {
    /// The unit.
    pub unit: UnitId,
    /// Whether it is recommended.
    pub chosen: bool,
    /// What it is chosen for, or could do.
    pub ability: Option<Ability>,
    /// Until it is there, with what it waits for; unknown without a place.
    pub minutes: Option<u16>,
    /// By line.
    pub distance: Option<MetresU32>,
    /// Why, the weightiest first.
    pub why: Vec<Why>,
}

/// What a dispatcher orders (指令).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitsOrdered {
    /// To which incident.
    pub incident: IncidentId,
    /// Which units.
    pub units: Vec<UnitId>,
    /// Why these, in words.
    pub reason: Option<Sealed>,
    /// Whether they differ from what was recommended.
    pub overridden: bool,
    /// What was recommended.
    pub recommendation: Recommendation,
}

words! {
    /// What a sheet says of the order that it is about.
    OrderWord {
        /// It is given.
        Ordered = "ordered",
        /// Its place or kind is another now; the sheet says which.
        Changed = "changed",
        /// It is taken back: the crew need not go.
        Withdrawn = "withdrawn",
    }
}

/// What a unit's terminal shows of an order (指令書), as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderSheet {
    /// The unit's part in the order.
    pub assignment: AssignmentId,
    /// What it says of it.
    pub word: OrderWord,
    /// To which terminal.
    pub terminal: String,
    /// To which incident.
    pub incident: IncidentId,
    /// The incident's number of the day.
    pub number: String,
    /// Kind.
    pub kind: IncidentKind,
    /// Second level of the kind.
    pub subkind: Option<IncidentSubkind>,
    /// When it was given.
    pub ordered_at: Timestamp,
    /// Where.
    pub place: Place,
    /// Where, in words.
    pub place_text: Option<Sealed>,
    /// Call signs of all units of the order.
    pub units: Vec<String>,
    /// Real, training or demo.
    pub mode: Mode,
}

/// A status that a unit reached (a press of a button, or a word on the radio).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusReached {
    /// The assignment.
    pub assignment: AssignmentId,
    /// The status.
    pub status: UnitStatus,
    /// When it happened, by who says so.
    pub at: Timestamp,
    /// The earlier `UnitStatusReached` that this one corrects; that one no longer counts.
    pub corrects: Option<Seq>,
}
