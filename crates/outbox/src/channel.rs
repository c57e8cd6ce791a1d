//! What a channel is: the thing that really does it.

use std::future::Future;

use hansho_model::{Effect, EffectId, Outcome, OutcomeDetail};

use crate::Provider;

/// One attempt of one effect, already in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The effect; the idempotency key towards the outside.
    pub id: EffectId,
    /// Which attempt, 1 for the first.
    pub number: u16,
    /// What to do.
    pub effect: Effect,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Done, failed, uncertain.
    pub outcome: Outcome,
    /// More about it.
    pub detail: OutcomeDetail,
}

impl Delivery {
    /// The other side confirmed it with `code` (0 when it has no codes).
    #[must_use]
    pub const fn done(code: u16) -> Self {
        Self {
            outcome: Outcome::Done,
            detail: OutcomeDetail { code, enhanced: None, again: false },
        }
    }

    /// It certainly did not happen; `again` says whether trying again may help.
    #[must_use]
    pub const fn failed(code: u16, again: bool) -> Self {
        Self { outcome: Outcome::Failed, detail: OutcomeDetail { code, enhanced: None, again } }
    }

    /// It may have happened.
    #[must_use]
    pub const fn uncertain() -> Self {
        Self {
            outcome: Outcome::Uncertain,
            detail: OutcomeDetail { code: 0, enhanced: None, again: false },
        }
    }

    /// The same with an RFC 3463 code.
    #[must_use]
    pub const fn with_enhanced(mut self, enhanced: Option<(u8, u16, u16)>) -> Self {
        self.detail.enhanced = enhanced;
        self
    }
}

/// Carries effects out. Each call of `deliver` ends by itself within a deadline of its own.
pub trait Channel: Send + Sync + 'static {
    /// How many deliveries may run at once, at least 1.
    fn width(&self) -> usize;

    /// How many deliveries may run at once to one provider, at least 1.
    fn provider_width(&self) -> usize {
        self.width()
    }

    /// Whose limits an effect goes by. Asked once when the effect begins to be owed: short.
    fn provider(&self, effect: &Effect) -> Provider {
        let _any = effect;
        Provider::default()
    }

    /// Makes one attempt. Dropping the future, or a panic in it, counts as [`Outcome::Uncertain`].
    fn deliver(&self, task: Task) -> impl Future<Output = Delivery> + Send;
}
