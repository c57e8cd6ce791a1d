//! Sites that are reached over a satellite: their register, and messages to them.

use std::collections::BTreeSet;

use hansho_model::{
    EffectOutcome, Event, MESSAGE_BYTES_MAX, MessageId, Outcome, OutcomeDetail, Refusal,
    RefusalCode, Sealed, Settled, SiteEntry,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use super::command::Case;
use crate::state::{SEAL_BYTES, State, limits};

/// A message that could not go for so long is given up, and the desk sees that it failed: what it
/// says is then of another day.
pub const MESSAGE_TIME: SignedDuration = SignedDuration::from_hours(12);

impl State {
    pub(super) fn register_sites(&self, entries: &[SiteEntry], batch: &mut Batch) {
        let mut listed = BTreeSet::new();
        for entry in entries {
            let device = self.source_or_name(&entry.source, batch);
            listed.insert(device);
            let known = self.sites.entries.get(&device);
            if known.is_none_or(|known| known.digest != entry.digest) {
                batch.push_core(Event::SiteRegistered { device, entry: entry.clone() });
            }
        }
        for device in self.sites.entries.keys().filter(|device| !listed.contains(device)) {
            batch.push_core(Event::SiteWithdrawn { device: *device });
        }
    }

    /// Messages and sheets that could not go in their time have failed.
    pub(super) fn give_up(&self, now: Timestamp, batch: &mut Batch) {
        let all = self.messages_to_give_up().chain(self.sheets_to_give_up());
        let over = all.filter(|(until, _)| *until <= now);
        let outcomes: Vec<_> = over
            .map(|(_, effect)| {
                let attempt = self.owed.get(&effect).map_or(0, |owed| owed.attempts);
                let (outcome, detail) = (Outcome::Failed, OutcomeDetail::default());
                let outcome = EffectOutcome { effect, attempt, outcome, detail };
                Settled { outcome, again_at: None }
            })
            .collect();
        if !outcomes.is_empty() {
            self.push_settled(&outcomes, batch);
        }
    }

    pub(super) fn send_message(
        &self,
        device: &str,
        text: &Sealed,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let device = self.source(device).filter(|id| self.sites.entries.contains_key(id));
        let device = device.ok_or(Refusal::new(RefusalCode::NotFound))?;
        let size = text.bytes.len();
        if !(SEAL_BYTES + 1..=SEAL_BYTES + MESSAGE_BYTES_MAX).contains(&size) {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        if self.sites.open.len() >= limits::MESSAGES_WAITING {
            return Err(Refusal::new(RefusalCode::LimitReached));
        }
        let until = case.now.saturating_add(MESSAGE_TIME).unwrap_or(case.now);
        let (message, text) = (MessageId(batch.next_seq()), text.clone());
        case.push(Event::MessageOrdered { message, device, text, until }, batch);
        Ok(())
    }
}
