//! Providers: whose connections a delivery needs, and how many of them it may have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hansho_model::{EffectId, Outcome, Seq};
use jiff::Timestamp;

use crate::Delivery;
use crate::desk::ROUNDS;

/// Whose limits an effect goes by: all mail domains that one provider serves, or another way out of
/// its own. The empty one has no limits but the channel's.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provider(Arc<str>);

impl Provider {
    /// By its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name; empty when there are no limits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// What is ready for a provider and under way to it.
///
/// It begins with half of its share; each delivery that is done gives it one more, up to the whole,
/// and each that shows it in trouble halves what it has, down to one (mass-mail reference, section
/// 5: grow on success, halve on 421, 450, 451 and a lost connection).
#[derive(Debug)]
pub(crate) struct Traffic {
    /// `Stage::Ready`, by owing event.
    ready: BTreeMap<Seq, BTreeSet<(Timestamp, u32)>>,
    /// Effects of it that the desk knows.
    pub(crate) known: usize,
    /// Between "asked" and "delivered".
    pub(crate) in_flight: usize,
    /// With the channel.
    pub(crate) flying: usize,
    /// How many may be with the channel now; `None` for as many as the channel takes.
    allowed: Option<usize>,
}

impl Traffic {
    pub(crate) fn new(provider: &Provider, max: usize) -> Self {
        let limited = !provider.name().is_empty();
        Self {
            ready: BTreeMap::new(),
            known: 0,
            in_flight: 0,
            flying: 0,
            allowed: limited.then_some(max.div_ceil(2)),
        }
    }

    pub(crate) fn list(&mut self, id: EffectId, due: Timestamp) {
        self.ready.entry(id.seq).or_default().insert((due, id.index));
    }

    pub(crate) fn unlist(&mut self, id: EffectId, due: Timestamp) {
        let Some(group) = self.ready.get_mut(&id.seq) else { return };
        group.remove(&(due, id.index));
        if group.is_empty() {
            self.ready.remove(&id.seq);
        }
    }

    /// What is due longest of the first notice from this number on.
    pub(crate) fn first_from(&self, seq: Seq) -> Option<(Seq, Timestamp, u32)> {
        let (seq, group) = self.ready.range(seq..).next()?;
        let (due, index) = group.first()?;
        Some((*seq, *due, *index))
    }

    /// Whether another attempt may be written down.
    pub(crate) fn has_room(&self) -> bool {
        self.allowed.is_none_or(|allowed| self.in_flight < allowed.saturating_mul(ROUNDS))
    }

    /// Whether another attempt may be made.
    pub(crate) fn may_fly(&self) -> bool {
        self.allowed.is_none_or(|allowed| self.flying < allowed)
    }

    /// A delivery came down.
    pub(crate) fn land(&mut self, delivery: &Delivery, max: usize) {
        self.in_flight -= 1;
        self.flying -= 1;
        let Some(allowed) = &mut self.allowed else { return };
        let detail = delivery.detail;
        match delivery.outcome {
            Outcome::Done => *allowed = allowed.saturating_add(1).min(max),
            Outcome::Uncertain => *allowed = (*allowed / 2).max(1),
            Outcome::Failed if detail.again && matches!(detail.code, 0 | 421 | 450 | 451) => {
                *allowed = (*allowed / 2).max(1);
            }
            Outcome::Failed => {}
        }
    }
}
