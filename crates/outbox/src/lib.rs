//! Carrying effects out: what is due, in which order, how often, and what came of it.
//!
//! No store of its own: what is owed stands in the core's state, and every attempt is an event
//! before it is made.

use std::future::Future;
use std::pin::Pin;

use hansho_model::{Attempt, Effect, EffectId, EffectOutcome};

/// An effect with its id, as a channel gets it.
#[derive(Clone, Debug)]
pub struct Task {
    /// Idempotency key.
    pub effect_id: EffectId,
    /// What to do.
    pub effect: Effect,
    /// Which attempt this is; its event is durable.
    pub attempt: Attempt,
}

/// A way out of the house: mail, a device's downlink, a printer.
pub trait Channel: Send + Sync + 'static {
    /// Carries out one attempt. Never panics, never waits longer than its own deadline.
    fn carry_out(&self, task: Task) -> Pin<Box<dyn Future<Output = EffectOutcome> + Send + '_>>;

    /// How many attempts may run side by side.
    fn width(&self) -> usize;
}
