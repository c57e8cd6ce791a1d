//! Effects: may this attempt be made, and what follows from its outcome.

use hansho_model::{
    Attempt, EffectId, EffectOutcome, Event, MessageId, Outcome, Refusal, RefusalCode, Settled,
};
use jiff::{SignedDuration, Timestamp};

use super::Batch;
use crate::state::{Owed, OwedPhase, State};

/// Seconds to wait after the first, second, ... attempt that certainly failed
/// (mass-mail reference, section 8: for call-outs, not twenty minutes).
pub const RETRY_DELAYS_S: [i64; 5] = [2, 5, 10, 20, 40];

/// How often an uncertain effect is sent again, with the same Message-ID: a double call for help
/// is better than none, and many receivers drop the copy (mass-mail reference, section 1).
pub const UNCERTAIN_RESENDS: u16 = 1;

/// Seconds to wait after the first, second, ... attempt to have a seat's phone rung: somebody waits
/// on the line, and another seat may answer once these are used up.
pub const CONNECT_DELAYS_S: [i64; 4] = [1, 1, 2, 2];

impl State {
    /// Either all effects may be attempted, or the asker is told no and asks for each alone.
    pub(super) fn decide_attempt(
        &self,
        now: Timestamp,
        effects: &[EffectId],
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let mut attempts = Vec::with_capacity(effects.len());
        for effect in effects {
            let not_due =
                |not_before| Refusal { code: RefusalCode::NotDue, original: None, not_before };
            let owed = self.owed.get(effect).ok_or_else(|| not_due(None))?;
            match owed.phase {
                OwedPhase::Attempting { .. } => return Err(not_due(None)),
                OwedPhase::Waiting { due } if due > now => return Err(not_due(Some(due))),
                OwedPhase::Waiting { .. } => {}
            }
            // After a long stop, what has expired meanwhile is asked for before the first tick.
            if !self.effect_lives(*effect, now) {
                return Err(not_due(None));
            }
            if attempts.iter().any(|each: &Attempt| each.effect == *effect) {
                return Err(not_due(None));
            }
            attempts.push(Attempt { effect: *effect, number: owed.attempts.saturating_add(1) });
        }
        if attempts.is_empty() {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        batch.push_core(Event::EffectsAttempted { attempts });
        Ok(())
    }

    /// Outcomes of attempts that are under way count; what is settled already is passed over.
    pub(super) fn decide_outcome(
        &self,
        now: Timestamp,
        outcomes: &[EffectOutcome],
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let outcomes: Vec<Settled> = outcomes
            .iter()
            .filter(|each| self.owed.get(&each.effect).is_some_and(|owed| awaits(owed, each)))
            .map(|each| self.settled(now, each))
            .collect();
        if outcomes.is_empty() {
            return Err(Refusal::new(RefusalCode::NotDue));
        }
        self.push_settled(&outcomes, batch);
        Ok(())
    }

    /// What came of attempts, and what follows from it.
    pub(super) fn push_settled(&self, outcomes: &[Settled], batch: &mut Batch) {
        let cause = batch.push_core(Event::EffectsSettled { outcomes: outcomes.to_owned() });
        self.follow_settled(outcomes, cause, batch);
    }

    /// Decides whether and when to try again.
    pub(super) fn settled(&self, now: Timestamp, outcome: &EffectOutcome) -> Settled {
        let owed = self.owed.get(&outcome.effect).copied();
        let delay = self.delay_of(outcome.effect);
        self.settle_as(now, outcome, owed, delay)
    }

    /// Decides about an attempt that the core's own end cut off. It says nothing about the relay,
    /// so it costs the effect none of its [`UNCERTAIN_RESENDS`]: however often the core is killed,
    /// a call for help goes out as long as there are tries left.
    pub(super) fn interrupted(&self, now: Timestamp, outcome: &EffectOutcome) -> Settled {
        let owed = self.owed.get(&outcome.effect).map(|owed| Owed { uncertain: 0, ..*owed });
        // Words to a site carry their number: who gets them twice can tell.
        let message = self.sites.messages.contains_key(&MessageId(outcome.effect.seq));
        let delay = if message { until_done } else { self.delay_of(outcome.effect) };
        self.settle_as(now, outcome, owed, delay)
    }

    /// By which rule an effect is tried again.
    fn delay_of(&self, effect: EffectId) -> Delay {
        let cause = effect.seq;
        let harmless =
            self.keys_to_destroy.contains_key(&cause) || self.dispatch.sheets.contains_key(&effect);
        if harmless {
            until_done
        } else if self.connections.contains_key(&cause) {
            delay_of_connection
        } else if self.sites.messages.contains_key(&MessageId(cause)) {
            delay_of_message
        } else {
            delay
        }
    }

    fn settle_as(
        &self,
        now: Timestamp,
        outcome: &EffectOutcome,
        owed: Option<Owed>,
        delay: Delay,
    ) -> Settled {
        let again_at = owed
            .and_then(|owed| delay(&owed, outcome))
            .and_then(|delay| now.checked_add(delay).ok())
            .filter(|due| self.effect_lives(outcome.effect, *due));
        Settled { outcome: outcome.clone(), again_at }
    }

    /// Whether an effect is still wanted at a time: a notice's mails are not, once it has expired.
    fn effect_lives(&self, id: EffectId, at: Timestamp) -> bool {
        if self.keys_to_destroy.contains_key(&id.seq) {
            return true;
        }
        if let Some(lives) = self.connection_lives(id.seq) {
            return lives;
        }
        if let Some(lives) = self.dispatch.sheet_lives(id, at) {
            return lives;
        }
        if let Some(lives) = self.sites.lives(id.seq, at) {
            return lives;
        }
        self.notices.get(&hansho_model::NoticeId(id.seq)).is_some_and(|notice| {
            notice.replaced_by().is_none() && !notice.expired && at < notice.expires_at
        })
    }
}

/// How long to wait before the next attempt; `None` when there is none.
type Delay = fn(&Owed, &EffectOutcome) -> Option<SignedDuration>;

fn awaits(owed: &Owed, outcome: &EffectOutcome) -> bool {
    matches!(owed.phase, OwedPhase::Attempting { .. }) && owed.attempts == outcome.attempt
}

fn delay(owed: &Owed, outcome: &EffectOutcome) -> Option<SignedDuration> {
    match outcome.outcome {
        Outcome::Done => None,
        Outcome::Uncertain if owed.uncertain >= UNCERTAIN_RESENDS => None,
        Outcome::Failed if !outcome.detail.again => None,
        Outcome::Uncertain | Outcome::Failed => {
            let place = usize::from(owed.attempts.saturating_sub(1));
            RETRY_DELAYS_S.get(place).map(|seconds| SignedDuration::from_secs(*seconds))
        }
    }
}

/// Somebody waits, and to ring a phone twice is to ring it once: tried again at once, not for long.
fn delay_of_connection(owed: &Owed, outcome: &EffectOutcome) -> Option<SignedDuration> {
    match outcome.outcome {
        Outcome::Done => None,
        Outcome::Failed if !outcome.detail.again => None,
        Outcome::Uncertain | Outcome::Failed => {
            let place = usize::from(owed.attempts.saturating_sub(1));
            CONNECT_DELAYS_S.get(place).map(|seconds| SignedDuration::from_secs(*seconds))
        }
    }
}

/// Every burst is paid for and heard by somebody: what may have gone is not sent again by a machine.
/// The driver of the modem has tried for long; what it gave back it could not take yet.
fn delay_of_message(owed: &Owed, outcome: &EffectOutcome) -> Option<SignedDuration> {
    let again = outcome.outcome == Outcome::Failed && outcome.detail.again;
    if again { until_done(owed, outcome) } else { None }
}

/// The law asks that a key is destroyed, a crew must see its order, and neither does harm twice:
/// tried until done.
fn until_done(owed: &Owed, outcome: &EffectOutcome) -> Option<SignedDuration> {
    if outcome.outcome == Outcome::Done {
        return None;
    }
    let place = usize::from(owed.attempts.saturating_sub(1));
    let last = RETRY_DELAYS_S.last();
    RETRY_DELAYS_S.get(place).or(last).map(|seconds| SignedDuration::from_secs(*seconds))
}
