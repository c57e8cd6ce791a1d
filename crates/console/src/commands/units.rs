//! Commands about units.

use hansho_model::{Availability, AvailabilityReason, CommandKind, IncidentId, Seq, Usable};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{id, sealed_option, word};
use crate::fault::Fault;
use crate::seams::Seal;

/// `OrderUnits`: orders units to an incident. One that is at work gets the order when it returns.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderUnits {
    /// The incident.
    incident: String,
    /// 1 to 64 call signs, each once.
    units: Vec<String>,
    /// Why these, in words.
    #[serde(default)]
    reason: Option<String>,
    /// Whether a unit on its way to another incident leaves that one (転戦).
    #[serde(default)]
    divert: bool,
}

/// `UnitStatus`: a unit reached a status.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnitStatus {
    /// Call sign.
    unit: String,
    /// `AK`, `ER`, `OS`, `WK`, `TR`, `HP`, `RT`, `IN`, `CX`.
    status: String,
    /// When, RFC 3339, if not now; of a correction, if not when the wrong one was. A time before
    /// the unit's last status changes nothing newer; one up to 60 s before the order counts as the
    /// order's.
    #[serde(default)]
    at: Option<String>,
    /// For which incident, when it is not the one the unit is at work for.
    #[serde(default)]
    incident: Option<String>,
    /// Number of the earlier status event that was wrong.
    #[serde(default)]
    corrects: Option<u64>,
}

/// `SetAvailability`: a unit may be used, or may not.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAvailability {
    /// Call sign.
    unit: String,
    /// `AV`, `AD`, `OO`, `OF`.
    availability: String,
    /// `maintenance`, `crew`, `training`, `reassigned`: must be given for `OO`, may be for `AD`.
    #[serde(default)]
    reason: Option<String>,
    /// 1 to 1,440, for `AD` alone.
    #[serde(default)]
    minutes: Option<u16>,
}

pub(super) fn order(body: OrderUnits, seal: &dyn Seal) -> Result<CommandKind, Fault> {
    let OrderUnits { incident, units, reason, divert } = body;
    if units.is_empty() || units.len() > 64 {
        let what = format!("{} units", units.len());
        return Err(Fault::malformed(what, "body.units", "name 1 to 64 call signs"));
    }
    Ok(CommandKind::OrderUnits {
        incident: id(&incident, "body.incident")?,
        units,
        reason: sealed_option(reason, "body.reason", seal)?,
        divert,
    })
}

pub(super) fn status(body: UnitStatus) -> Result<CommandKind, Fault> {
    let UnitStatus { unit, status, at, incident, corrects } = body;
    let all = hansho_model::UnitStatus::ALL;
    Ok(CommandKind::UnitStatus {
        unit,
        status: word(&status, "body.status", all, hansho_model::UnitStatus::as_str)?,
        at: at.map(|at| time(&at)).transpose()?,
        incident: incident
            .map(|incident| id::<IncidentId>(&incident, "body.incident"))
            .transpose()?,
        corrects: corrects.map(Seq::new),
    })
}

pub(super) fn availability(body: SetAvailability) -> Result<CommandKind, Fault> {
    let SetAvailability { unit, availability, reason, minutes } = body;
    let place = "body.availability";
    let availability = word(&availability, place, Availability::ALL, Availability::as_str)?;
    let reason = reason
        .map(|reason| {
            word(&reason, "body.reason", AvailabilityReason::ALL, AvailabilityReason::as_str)
        })
        .transpose()?;
    let usable = Usable { availability, reason, minutes };
    if !usable.is_whole() {
        return Err(Fault::malformed(
            "reason and minutes do not agree with the availability",
            place,
            "OO needs a `reason`, AD needs `minutes` from 1 to 1440, AV and OF need neither",
        ));
    }
    Ok(CommandKind::SetAvailability { unit, usable })
}

/// A time to the microsecond, as the journal keeps it.
fn time(text: &str) -> Result<Timestamp, Fault> {
    let time: Option<Timestamp> = text.parse().ok();
    time.and_then(|time| Timestamp::from_microsecond(time.as_microsecond()).ok())
        .ok_or_else(|| Fault::malformed("no time", "body.at", "write it as 2026-11-23T05:07:42Z"))
}
