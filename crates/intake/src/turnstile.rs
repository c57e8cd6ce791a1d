//! Where telemetry waits for its turn, so that a flood of it leaves the machine to alarms.
//!
//! A house that read telemetry as fast as it comes would have no processor left for an alarm that
//! comes by another connection. So bytes of a connection that brought nothing but telemetry last are
//! handled in turns, one connection after the other, and all turns together take a share of the
//! machine's time and no more. Who has not spoken yet, or has just brought an alarm or a state,
//! passes without a turn; so does who was quiet for [`QUIET`] and brings little: a tracker that
//! reports now and then is no flood, and what it brings may be a call for help.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The share of all processors' time that handling telemetry at the doors may take: an eighth, a
/// quarter of one processor of two. What follows from it in the core comes on top.
const SHARE: u32 = 8;

/// Time that was not used and may be made up for: a timer wakes late by a millisecond or so.
const CREDIT_MAX: Duration = Duration::from_millis(2);

/// What a turn costs at most: one that took longer was stopped by the machine, and nobody shall pay
/// for that.
const COST_MAX: Duration = Duration::from_millis(2);

/// Who was quiet for so long is no part of a flood.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// The turnstile; one for the whole house.
#[derive(Clone, Debug)]
pub struct Turnstile {
    /// Those who wait stand in line.
    line: Arc<Semaphore>,
    free_at: Arc<Mutex<Option<Instant>>>,
    processors: u32,
}

impl Default for Turnstile {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        let processors = u32::try_from(processors).unwrap_or(1);
        Self { line: Arc::new(Semaphore::new(1)), free_at: Arc::default(), processors }
    }
}

impl Turnstile {
    /// Waits for a turn; those who asked before come before.
    pub(crate) async fn turn(self) -> Turn {
        let asked = Instant::now();
        // Never closed; if it were, nobody would have to wait.
        let place = Arc::clone(&self.line).acquire_owned().await.ok();
        let free_at = *self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(free_at) = free_at.filter(|free_at| *free_at > Instant::now()) {
            tokio::time::sleep_until(free_at).await;
        }
        let begun = Instant::now();
        Turn { waited: begun.duration_since(asked), begun, turnstile: self, _place: place }
    }
}

/// A turn, until it is dropped; the next begins when its cost is paid for.
#[derive(Debug)]
pub(crate) struct Turn {
    /// How long it was waited for.
    pub(crate) waited: Duration,
    begun: Instant,
    turnstile: Turnstile,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let now = Instant::now();
        let took = now.duration_since(self.begun).min(COST_MAX);
        let cost = took.saturating_mul(SHARE) / self.turnstile.processors;
        let mut free_at = self.turnstile.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = self.begun.checked_sub(CREDIT_MAX).unwrap_or(self.begun);
        *free_at = Some(free_at.map_or(earliest, |free_at| free_at.max(earliest)) + cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turnstile() -> Turnstile {
        Turnstile { processors: 2, ..Turnstile::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn all_turns_together_take_their_share_of_the_time() {
        let (turnstile, begun) = (turnstile(), Instant::now());
        for _turn in 0..1_000 {
            let turn = turnstile.clone().turn().await;
            tokio::time::advance(Duration::from_micros(300)).await;
            drop(turn);
        }
        let took = begun.elapsed();
        let whole = Duration::from_micros(300 * 1_000) * SHARE / 2;
        assert!(took.abs_diff(whole) <= CREDIT_MAX, "{took:?} of {whole:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_seldom_does_not_wait() {
        let turnstile = turnstile();
        for _turn in 0..100 {
            tokio::time::advance(Duration::from_millis(10)).await;
            let turn = turnstile.clone().turn().await;
            assert_eq!(turn.waited, Duration::ZERO);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_the_machine_stopped_is_not_paid_for() {
        let turnstile = turnstile();
        let turn = turnstile.clone().turn().await;
        tokio::time::advance(Duration::from_millis(500)).await;
        drop(turn);
        let waited = turnstile.turn().await.waited;
        assert_eq!(waited, Duration::ZERO, "its time has long passed");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asked_first_comes_first_and_who_leaves_holds_nobody_up() {
        let turnstile = turnstile();
        let first = turnstile.clone().turn().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting: Vec<_> = (0..5)
            .map(|number| {
                let (turnstile, order) = (turnstile.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    let turn = turnstile.turn().await;
                    order.lock().unwrap().push(number);
                    tokio::time::advance(Duration::from_millis(1)).await;
                    turn.waited
                })
            })
            .collect();
        tokio::task::yield_now().await;
        waiting.remove(2).abort();
        tokio::time::advance(Duration::from_millis(20)).await;
        drop(first);
        let mut waited = Vec::new();
        for each in waiting {
            waited.push(each.await.unwrap());
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 3, 4]);
        assert!(waited.is_sorted() && waited[0] >= Duration::from_millis(20), "{waited:?}");
    }
}
