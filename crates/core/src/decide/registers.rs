//! The first input of a run: registers, settings, and what an earlier run left under way.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{
    DeviceEntry, EffectOutcome, Event, LoadLevel, Outcome, OutcomeDetail, PersonId, SourceId, Start,
};
use jiff::Timestamp;

use super::Batch;
use crate::state::{OwedPhase, State};

impl State {
    /// Registers are compared by digest, so an unchanged one journals nothing.
    pub(super) fn decide_start(&self, now: Timestamp, start: &Start, batch: &mut Batch) {
        let epoch = self.epoch.saturating_add(1);
        batch.push_core(Event::CoreStarted { epoch, release: start.release.clone() });
        if self.settings.as_ref() != Some(&start.registry.settings) {
            batch.push_core(Event::SettingsApplied(start.registry.settings.clone()));
        }
        let people = self.enter_people(start, batch);
        self.register_devices(start, &people, batch);
        self.register_groups(&start.registry.groups, &people, batch);
        self.register_sites(&start.registry.sites, batch);
        self.register_fleet(now, &start.registry.fleet, batch);
        self.settle_interrupted(now, batch);
        // A run begins calm, whatever the one before it ended in.
        self.decide_load(LoadLevel::CALM, batch);
    }

    fn enter_people(&self, start: &Start, batch: &mut Batch) -> BTreeMap<String, PersonId> {
        let mut ids = self.index.people.clone();
        let mut next = self.people.last_key_value().map_or(1, |(id, _)| id.0.saturating_add(1));
        for entry in &start.registry.people {
            let known = self.index.people.get(&entry.key).and_then(|id| self.people.get(id));
            if known.is_some_and(|person| person.erased || person.entry.digest == entry.digest) {
                continue;
            }
            let person = *ids.entry(entry.key.clone()).or_insert_with(|| {
                let id = PersonId(next);
                next = next.saturating_add(1);
                id
            });
            batch.push_core(Event::PersonEntered { person, entry: entry.clone() });
        }
        ids
    }

    fn register_devices(
        &self,
        start: &Start,
        people: &BTreeMap<String, PersonId>,
        batch: &mut Batch,
    ) {
        let mut listed = BTreeSet::new();
        for entry in &start.registry.devices {
            let source = self.source_or_name(&entry.source, batch);
            listed.insert(source);
            let known = self.devices.get(&source).and_then(|device| device.entry.as_ref());
            if known.is_some_and(|known| known.digest == entry.digest) {
                continue;
            }
            let Some(event) = registered(source, entry, people) else { continue };
            batch.push_core(event);
        }
        for (source, device) in &self.devices {
            if device.entry.is_some() && !listed.contains(source) {
                batch.push_core(Event::DeviceWithdrawn { device: *source });
            }
        }
    }

    /// An attempt without an outcome may have happened: the earlier run died in the middle of it.
    fn settle_interrupted(&self, now: Timestamp, batch: &mut Batch) {
        let interrupted: Vec<_> = self
            .owed
            .iter()
            .filter(|(_, owed)| matches!(owed.phase, OwedPhase::Attempting { .. }))
            .map(|(id, owed)| EffectOutcome {
                effect: *id,
                attempt: owed.attempts,
                outcome: Outcome::Uncertain,
                detail: OutcomeDetail::default(),
            })
            .collect();
        if !interrupted.is_empty() {
            let outcomes: Vec<_> =
                interrupted.iter().map(|each| self.interrupted(now, each)).collect();
            self.push_settled(&outcomes, batch);
        }
    }
}

/// `None` when a person it names is not in the register: the configuration check refuses that
/// before it comes here.
fn registered(
    device: SourceId,
    entry: &DeviceEntry,
    people: &BTreeMap<String, PersonId>,
) -> Option<Event> {
    let subscriber = *people.get(&entry.subscriber)?;
    let helpers = entry.helpers.iter().filter_map(|key| people.get(key).copied()).collect();
    Some(Event::DeviceRegistered { device, subscriber, helpers, entry: entry.clone() })
}
