//! Units, orders and recommendations as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// A vehicle with its crew (隊).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Unit {
    /// Call sign, such as `小名浜1`.
    pub id: String,
    /// Its number in events.
    pub number: u32,
    /// Station.
    pub station: String,
    /// Kind of vehicle: `CMD`, `PUMP`, `TANK`, `MINI`, `LADDER`, `RESC`, `CHEM`, `BOAT`, `LOG`,
    /// `AMB`.
    pub kind: String,
    /// What it can do, such as `pump` or `als`.
    pub abilities: Vec<String>,
    /// People on board.
    pub crew: u8,
    /// `AV`, `AD`, `OO`, `OF`: whether it may be used, whatever it is doing.
    pub availability: String,
    /// Why not: `maintenance`, `crew`, `training`, `reassigned`.
    pub availability_reason: Option<String>,
    /// In how many minutes it can leave, for `AD`.
    pub available_in_min: Option<u16>,
    /// Since when.
    pub availability_since: String,
    /// Incident it is at work for; absent also for one that was out before the journal began.
    pub assignment: Option<String>,
    /// What it is doing: `AL`, `AK`, `ER`, `OS`, `WK`, `TR`, `HP`, `RT`; absent in its station.
    pub status: Option<String>,
    /// Since when.
    pub status_at: Option<String>,
    /// When each status was reached; skipped ones are absent.
    pub times: BTreeMap<String, String>,
    /// Incidents whose orders wait for it, oldest first.
    pub queued: Vec<String>,
    /// Where it is believed to be.
    pub position: Option<UnitPosition>,
    /// The vehicle that has the same crew.
    pub cross_staffed_with: Option<String>,
    /// The vehicle its crew has gone with.
    pub crew_with: Option<String>,
    /// Whether it is a reserve, without a crew on duty.
    pub reserve: bool,
    /// Its terminal, if it has one.
    pub terminal: Option<Terminal>,
}

/// A unit's terminal.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Terminal {
    /// Its id.
    pub id: String,
    /// When it was heard last; absent when never.
    pub last_heard: Option<String>,
    /// Whether the link to it broke, and it was not heard since.
    pub lost: bool,
    /// When the order that the unit is at work for stood on its screen; absent until then.
    pub order_shown_at: Option<String>,
}

/// Where a unit is believed to be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnitPosition {
    /// Latitude in degrees.
    pub lat: f64,
    /// Longitude in degrees.
    pub lon: f64,
    /// When that was known; absent while it stands in its station.
    pub at: Option<String>,
    /// Seconds from then to the last event in this answer.
    pub age_s: Option<u64>,
    /// Whether it is only its station's place, while it is somewhere else.
    pub guessed: bool,
}

/// What one unit does, or did, for an incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Assignment {
    /// Call sign.
    pub unit: String,
    /// Number of the order's event.
    pub order: u64,
    /// The last status; absent while the order waits for the unit.
    pub status: Option<String>,
    /// When that was reached.
    pub status_at: Option<String>,
    /// When each status was reached; skipped ones are absent.
    pub times: BTreeMap<String, String>,
    /// How it ended: `returned`, `cancelled`, `diverted`, `released`.
    pub ended: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Where it was taken back from a unit with a terminal: `owed` while that does not show it yet (say
    /// it by radio), `shown`, or `given_up` after an hour.
    pub withdrawal: Option<String>,
    /// Why the unit was recommended, or was not, when it was ordered.
    pub reasons: Vec<String>,
    /// Every status that was said, in the order in which we knew.
    pub presses: Vec<Press>,
}

/// A status that was said.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Press {
    /// Number of its event: what a correction names.
    pub seq: u64,
    /// The status.
    pub status: String,
    /// When it happened, by who said so.
    pub at: String,
    /// When we knew.
    pub recorded_at: String,
    /// Who said so.
    pub by: String,
    /// The event that corrected it; it then no longer counts.
    pub corrected_by: Option<u64>,
}

/// An order (指令) to units.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Order {
    /// Number of its event.
    pub seq: u64,
    /// When.
    pub at: String,
    /// By whom.
    pub by: String,
    /// Call signs.
    pub units: Vec<String>,
    /// Why these; absent also for a viewer.
    pub reason: Option<String>,
    /// Whether they differ from what was recommended.
    pub overridden: bool,
    /// What the plan asked for, and what there was with the recommended ones.
    pub needs: Vec<Need>,
}

/// An order with the whole recommendation of its time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OrderWithAdvice {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// Every unit of that time: chosen, or why not.
    pub advice: Vec<Advice>,
}

/// Orders of an incident, oldest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Orders {
    /// The incident.
    pub incident: String,
    /// Its orders.
    pub orders: Vec<OrderWithAdvice>,
}

/// What should go to an incident beside what is ordered already.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Recommendation {
    /// The incident.
    pub incident: String,
    /// Number of the last event this rests on.
    pub seq: u64,
    /// What the plan asks for, with what is ordered or chosen.
    pub needs: Vec<Need>,
    /// Every unit: chosen ones first, nearest first; then why not.
    pub units: Vec<Advice>,
}

/// What a plan asks for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Need {
    /// The ability, such as `pump`.
    pub ability: String,
    /// How many are asked for.
    pub want: u8,
    /// How many are ordered already or chosen.
    pub have: u8,
}

/// What is advised about a unit.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Advice {
    /// Call sign.
    pub unit: String,
    /// Whether it is recommended.
    pub chosen: bool,
    /// Until it is there; absent without a place, and for a viewer.
    pub minutes: Option<u16>,
    /// By line; absent likewise.
    pub distance_m: Option<u32>,
    /// Why, the weightiest first: `nearest_by_line`, `home_station`, `only_with_capability`,
    /// `diverted_from`, `stale_position`, `delayed`, `farther`, `not_needed`, `busy`,
    /// `already_ordered`, `no_crew`, `out:maintenance`, `out:crew`, `out:training`,
    /// `out:reassigned`, `out:off`, `no_place`.
    pub why: Vec<String>,
    /// What it is chosen for, or could do.
    pub ability: Option<String>,
}
