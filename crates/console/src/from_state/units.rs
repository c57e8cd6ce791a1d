//! Units, orders and recommendations.

use std::collections::BTreeMap;

use hansho_core::{Assignment, Order, Unit};
use hansho_model::{
    AlarmKind, AssignmentId, IncidentId, MetresU32, NeedMet, Seq, UnitAdvice, UnitId, UnitStatus,
};
use jiff::Timestamp;

use super::{Viewer, degrees};
use crate::view;

impl Viewer<'_> {
    /// Vehicles in the order of the register.
    pub(super) fn units(self) -> Vec<view::Unit> {
        let listed = self.state.units().iter().filter(|(_, unit)| !unit.withdrawn);
        listed.map(|(id, unit)| self.unit(*id, unit)).collect()
    }

    fn unit(self, id: UnitId, unit: &Unit) -> view::Unit {
        let row = unit.active.and_then(|active| self.state.assignment(active));
        let press = row.and_then(Assignment::current);
        let usable = unit.usable_now();
        let entry = &unit.entry;
        let waiting = unit.queued.iter().filter_map(|queued| self.state.assignment(*queued));
        view::Unit {
            id: entry.call_sign.clone(),
            number: id.0,
            station: entry.station.clone(),
            kind: entry.kind.as_str().to_owned(),
            abilities: entry.abilities.iter().map(|each| each.as_str().to_owned()).collect(),
            crew: entry.crew,
            availability: usable.availability.as_str().to_owned(),
            availability_reason: usable.reason.map(|reason| reason.as_str().to_owned()),
            available_in_min: usable.minutes,
            availability_since: unit.usable_since.to_string(),
            assignment: row.and_then(|row| row.incident).map(|incident| incident.to_string()),
            status: press.map(|press| press.status.as_str().to_owned()),
            status_at: press.map(|press| press.at.to_string()),
            times: row.map(|row| times(row.times())).unwrap_or_default(),
            queued: waiting.filter_map(|row| Some(row.incident?.to_string())).collect(),
            position: self.unit_position(id),
            cross_staffed_with: entry.cross_staffed_with.clone(),
            crew_with: unit.crew_with.map(|with| self.call_sign(with)),
            reserve: entry.reserve,
            terminal: entry.terminal.as_deref().map(|id| self.terminal(id, row)),
        }
    }

    fn terminal(self, id: &str, row: Option<&Assignment>) -> view::Terminal {
        let device = self.state.terminal_device(id);
        view::Terminal {
            id: id.to_owned(),
            last_heard: device.and_then(|device| device.last_heard).map(|at| at.to_string()),
            lost: device.is_some_and(|device| {
                device.faults.iter().any(|fault| fault.kind == AlarmKind::Line)
            }),
            order_shown_at: row.and_then(|row| row.delivered_at).map(|at| at.to_string()),
        }
    }

    /// A unit at work tells where somebody lives: a viewer sees those in their stations only.
    fn unit_position(self, id: UnitId) -> Option<view::UnitPosition> {
        let known = self.state.unit_position(id)?;
        if known.at.is_some() && !self.is_whole() {
            return None;
        }
        let now = self.state.at()?;
        let age = known.at.map(|at| now.duration_since(at).as_secs());
        Some(view::UnitPosition {
            lat: degrees(known.position.lat),
            lon: degrees(known.position.lon),
            at: known.at.map(|at| at.to_string()),
            age_s: age.map(|age| u64::try_from(age).unwrap_or_default()),
            guessed: known.guessed,
        })
    }

    /// Call signs of those that are at work for an incident, or will be when they are free.
    pub(super) fn units_of(self, incident: IncidentId) -> Vec<String> {
        let rows = self.state.assignments_of(incident).filter(|(_, row)| row.end.is_none());
        rows.map(|(id, _)| self.call_sign(id.unit)).collect()
    }

    pub(super) fn assignments_of(self, incident: IncidentId) -> Vec<view::Assignment> {
        let rows = self.state.assignments_of(incident);
        rows.map(|(id, row)| self.assignment(id, row)).collect()
    }

    fn assignment(self, id: AssignmentId, row: &Assignment) -> view::Assignment {
        let order = self.state.orders().get(&id.order).map(|order| &order.ordered);
        let advice = order.and_then(|order| {
            order.recommendation.units.iter().find(|advice| advice.unit == id.unit)
        });
        let press = row.current();
        let presses = row.presses.iter().map(|press| view::Press {
            seq: press.seq.get(),
            status: press.status.as_str().to_owned(),
            at: press.at.to_string(),
            recorded_at: press.recorded_at.to_string(),
            by: self.operator(press.by),
            corrected_by: press.corrected_by.map(Seq::get),
        });
        view::Assignment {
            unit: self.call_sign(id.unit),
            order: id.order.get(),
            status: press.map(|press| press.status.as_str().to_owned()),
            status_at: press.map(|press| press.at.to_string()),
            times: times(row.times()),
            ended: row.end.map(|(end, _)| end.as_str().to_owned()),
            ended_at: row.end.map(|(_, at)| at.to_string()),
            withdrawal: self.state.withdrawal(id).map(str::to_owned),
            reasons: advice.map(why).unwrap_or_default(),
            presses: presses.collect(),
        }
    }

    pub(super) fn orders_of(self, incident: IncidentId) -> Vec<view::Order> {
        let orders = self.state.orders_of(incident);
        orders.map(|(seq, order)| self.order(seq, order)).collect()
    }

    /// Orders of an incident with what was advised then; `None` when it is not known.
    pub(crate) fn orders_with_advice(self, incident: IncidentId) -> Option<view::Orders> {
        self.state.incidents().get(&incident)?;
        let orders = self.state.orders_of(incident).map(|(seq, order)| view::OrderWithAdvice {
            order: self.order(seq, order),
            advice: self.advice(&order.ordered.recommendation.units),
        });
        Some(view::Orders { incident: incident.to_string(), orders: orders.collect() })
    }

    /// What should go to an incident now; `None` when it is not known.
    pub(crate) fn recommendation(
        self,
        incident: IncidentId,
        now: Timestamp,
    ) -> Option<view::Recommendation> {
        let found = self.state.recommend(incident, now)?;
        Some(view::Recommendation {
            incident: incident.to_string(),
            seq: self.state.seq().get(),
            needs: found.needs.iter().copied().map(need).collect(),
            units: self.advice(&found.units),
        })
    }

    fn order(self, seq: Seq, order: &Order) -> view::Order {
        let ordered = &order.ordered;
        view::Order {
            seq: seq.get(),
            at: order.at.to_string(),
            by: self.operator(order.by),
            units: ordered.units.iter().map(|unit| self.call_sign(*unit)).collect(),
            reason: self.open(ordered.reason.as_ref()),
            overridden: ordered.overridden,
            needs: ordered.recommendation.needs.iter().copied().map(need).collect(),
        }
    }

    /// How far each is tells where somebody lives, too.
    fn advice(self, all: &[UnitAdvice]) -> Vec<view::Advice> {
        let advice = all.iter().map(|each| view::Advice {
            unit: self.call_sign(each.unit),
            chosen: each.chosen,
            minutes: each.minutes.filter(|_| self.is_whole()),
            distance_m: each.distance.filter(|_| self.is_whole()).map(|MetresU32(metres)| metres),
            why: why(each),
            ability: each.ability.map(|ability| ability.as_str().to_owned()),
        });
        advice.collect()
    }

    fn call_sign(self, unit: UnitId) -> String {
        let unit = self.state.units().get(&unit);
        unit.map(|unit| unit.entry.call_sign.clone()).unwrap_or_default()
    }
}

fn times(times: BTreeMap<UnitStatus, Timestamp>) -> BTreeMap<String, String> {
    let words = times.into_iter().map(|(status, at)| (status.as_str().to_owned(), at.to_string()));
    words.collect()
}

fn why(advice: &UnitAdvice) -> Vec<String> {
    advice.why.iter().map(|why| why.as_str().to_owned()).collect()
}

fn need(need: NeedMet) -> view::Need {
    let NeedMet { ability, want, have } = need;
    view::Need { ability: ability.as_str().to_owned(), want, have }
}
