//! Drives a [`Desk`] on tokio.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hansho_model::{EffectId, EffectOutcome, Input, Lane, Outcome, Receipt, Refusal};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, warn};

use crate::{Action, Change, Channel, Delivery, Desk, Limits, Task};

/// What an asker hears when its input is durable or refused.
pub type Answered = Pin<Box<dyn Future<Output = Result<Receipt, Refusal>> + Send>>;

/// The core, as the outbox needs it.
pub trait Core: Send + Sync + 'static {
    /// Queues an input. `None` when the lane is full or the core is stopping: not taken.
    fn submit(&self, lane: Lane, input: Input) -> Option<Answered>;
}

/// The clock of the engine.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;
}

/// Carries effects out until the engine stops telling of changes.
#[derive(Debug)]
pub struct Runner<Co, Ch, Cl> {
    core: Co,
    channel: Arc<Ch>,
    clock: Cl,
    desk: Desk,
    flights: JoinSet<Delivery>,
    flying: HashMap<Id, (EffectId, u16)>,
    /// Not delivered since the last line about it.
    losses: u32,
    told_at: Option<Timestamp>,
}

impl<Co: Core, Ch: Channel, Cl: Clock> Runner<Co, Ch, Cl> {
    /// With limits that fit the channel's width.
    #[must_use]
    pub fn new(core: Co, channel: Ch, clock: Cl) -> Self {
        let limits = Limits::for_width(channel.width()).with_provider_max(channel.provider_width());
        Self {
            core,
            channel: Arc::new(channel),
            clock,
            desk: Desk::new(limits),
            flights: JoinSet::new(),
            flying: HashMap::new(),
            losses: 0,
            told_at: None,
        }
    }

    /// Runs until `changes` is closed; then lets the deliveries that fly come down (the channel's
    /// own deadline bounds that), reports them once and returns. Whoever drops it earlier leaves
    /// uncertain what flies.
    ///
    /// `changes` should have room for a few thousand: the loop here never waits for anything else
    /// while changes are there.
    pub async fn run(mut self, mut changes: mpsc::Receiver<Change>) {
        let mut asking: Option<(Vec<EffectId>, Answered)> = None;
        let mut reporting: Option<(Vec<EffectOutcome>, Answered)> = None;
        let mut fresh = Vec::with_capacity(FRESH_MAX);
        let mut open = true;
        loop {
            self.act(open, &mut asking, &mut reporting);
            if !open && self.flights.is_empty() && reporting.is_none() {
                break;
            }
            let pause = self.pause();
            tokio::select! {
                count = changes.recv_many(&mut fresh, FRESH_MAX), if open => {
                    open = count > 0;
                    for change in fresh.drain(..) {
                        self.desk.handle_change(change, |effect| self.channel.provider(effect));
                    }
                }
                Some(landed) = self.flights.join_next_with_id() => self.land(landed),
                answer = heard(asking.as_mut().map(|(_ids, answer)| answer)) => {
                    if let Some((ids, _heard)) = asking.take() {
                        if let Err(refusal) = &answer {
                            debug!(count = ids.len(), error = %refusal, "Attempts refused.");
                        }
                        self.desk.handle_asked(self.clock.now(), ids, Some(answer));
                    }
                }
                answer = heard(reporting.as_mut().map(|(_outcomes, answer)| answer)) => {
                    if let Some((outcomes, _heard)) = reporting.take() {
                        if let Err(refusal) = &answer {
                            debug!(count = outcomes.len(), error = %refusal, "Outcomes refused.");
                        }
                        self.desk.handle_reported(self.clock.now(), outcomes, Some(answer));
                    }
                }
                () = rest(pause) => {}
            }
        }
        let counts = self.desk.counts();
        if counts.unreported > 0 {
            warn!(
                unreported = counts.unreported,
                "The core no longer took outcomes; the next start makes these uncertain."
            );
        }
    }

    /// Does all that can be done now.
    fn act(
        &mut self,
        open: bool,
        asking: &mut Option<(Vec<EffectId>, Answered)>,
        reporting: &mut Option<(Vec<EffectOutcome>, Answered)>,
    ) {
        let now = self.clock.now();
        while let Some(action) = self.desk.poll(now) {
            match action {
                Action::Ask(ids) => {
                    let submitted =
                        if open { self.submit(Input::Attempt(ids.clone())) } else { None };
                    match submitted {
                        Some(answer) => *asking = Some((ids, answer)),
                        None => self.desk.handle_asked(now, ids, None),
                    }
                }
                Action::Deliver(task) if open => self.fly(task),
                // Written down, and stopping: it certainly does not happen in this run.
                Action::Deliver(task) => {
                    let delivery = Delivery::failed(0, true);
                    self.desk.handle_delivered(task.id, task.number, delivery);
                }
                Action::Report(outcomes) => match self.submit(Input::Outcome(outcomes.clone())) {
                    Some(answer) => *reporting = Some((outcomes, answer)),
                    None => self.desk.handle_reported(now, outcomes, None),
                },
            }
        }
    }

    fn submit(&self, input: Input) -> Option<Answered> {
        self.core.submit(Lane::B, input)
    }

    fn fly(&mut self, task: Task) {
        let flight = (task.id, task.number);
        let channel = Arc::clone(&self.channel);
        let handle = self.flights.spawn(async move { channel.deliver(task).await });
        self.flying.insert(handle.id(), flight);
    }

    fn land(&mut self, landed: Result<(Id, Delivery), JoinError>) {
        let (task, delivery) = match landed {
            Ok((task, delivery)) => (task, delivery),
            // A panic in a channel: nobody knows how far it came.
            Err(error) => (error.id(), Delivery::uncertain()),
        };
        let Some((id, number)) = self.flying.remove(&task) else { return };
        if delivery.outcome == Outcome::Done {
            debug!(effect = %id, attempt = number, code = delivery.detail.code, "Delivered.");
        } else {
            debug!(
                effect = %id,
                attempt = number,
                outcome = %delivery.outcome,
                code = delivery.detail.code,
                again = delivery.detail.again,
                "Not delivered."
            );
            self.tell_of_losses(delivery);
        }
        self.desk.handle_delivered(id, number, delivery);
    }

    /// One line for what was lost in the last ten seconds: a dead relay must not fill the log.
    fn tell_of_losses(&mut self, delivery: Delivery) {
        self.losses += 1;
        let now = self.clock.now();
        let quiet = self.told_at.is_some_and(|at| now.duration_since(at) < TELL_AGAIN);
        if !quiet {
            let code = delivery.detail.code;
            warn!(count = self.losses, code, outcome = %delivery.outcome, "Effects not delivered.");
            self.losses = 0;
            self.told_at = Some(now);
        }
    }

    /// How long nothing is to be done if nothing happens.
    fn pause(&self) -> Option<Duration> {
        let wake = self.desk.next_wake()?;
        let span = wake.duration_since(self.clock.now());
        Some(Duration::try_from(span).unwrap_or(Duration::ZERO).max(SHORTEST_PAUSE))
    }
}

/// The answer that is waited for; for ever when none is.
async fn heard(answer: Option<&mut Answered>) -> Result<Receipt, Refusal> {
    match answer {
        Some(answer) => answer.await,
        None => pending().await,
    }
}

/// Waits that long; for ever when nothing is due.
async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => pending().await,
    }
}

/// Lines about losses are this far apart.
const TELL_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Changes taken in at once.
const FRESH_MAX: usize = 512;

/// A timer cannot be finer, and a wake-up in the past must not spin.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
