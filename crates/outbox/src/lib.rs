//! Carries effects out: which one is attempted next, never two attempts of one at once, and never
//! an attempt that is not in the journal.
//!
//! Place in the flow: the core owes effects by events; the engine tells the outbox of them
//! ([`Change`]); the outbox asks the core to write down an attempt (`Input::Attempt`), hands the
//! effect to a [`Channel`] once that is durable, and reports what came of it (`Input::Outcome`).
//!
//! Invariants:
//! - It has no store. After a crash the core's state says what is owed.
//! - It decides nothing about retries, escalation or expiry: after an outcome it waits until the
//!   core owes the effect again, or forgets it.
//! - An effect is with the channel at most once at any moment, and only after its attempt was
//!   seen among the committed events.
//! - Everything is bounded: [`BATCH_MAX`] effects an input, [`Limits::in_flight_max`] effects
//!   between "asked" and "reported", [`Limits::provider_max`] deliveries at once to one provider.
//!
//! [`Desk`] is the scheduler without time, threads or sockets; [`Runner`] drives it on tokio.
//!
//! ```
//! use hansho_model::{Attempt, Effect, EffectId, KeyId, Seq};
//! use hansho_outbox::{Action, Change, Desk, Limits, Provider};
//! let now = jiff::Timestamp::UNIX_EPOCH;
//! let id = EffectId { seq: Seq::new(7), index: 0 };
//! let mut desk = Desk::new(Limits::for_width(8));
//! let owed = Change::Owed { id, effect: Effect::DestroyKey(KeyId(1)), due: now };
//! desk.handle_change(owed, |_effect| Provider::default());
//! assert_eq!(desk.poll(now), Some(Action::Ask(vec![id])));
//! assert_eq!(desk.poll(now), None, "nothing is done before the attempt is durable");
//! let attempted = Change::Attempted(Attempt { effect: id, number: 1 });
//! desk.handle_change(attempted, |_effect| Provider::default());
//! assert!(matches!(desk.poll(now), Some(Action::Deliver(task)) if task.number == 1));
//! ```

mod channel;
mod desk;
mod provider;
mod runner;

pub use channel::{Channel, Delivery, Task};
pub use desk::{Action, BATCH_MAX, CALLS_MAX, Change, Counts, Desk, Limits};
pub use provider::Provider;
pub use runner::{Answered, Clock, Core, Runner};
