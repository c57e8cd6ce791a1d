//! Sites that are reached over a satellite, and messages to them: what is known of them, and what
//! their events change.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{
    EffectId, EffectOutcome, Message, MessageId, Mode, Outcome, OutcomeDetail, Recorded, Sealed,
    Seq, SiteEntry, SourceId,
};
use jiff::Timestamp;

use crate::canonical::{Canonical, DecodeError, canonical, newtypes};
use crate::state::{OwedPhase, RecipientStatus, State, limits};

newtypes!(MessageId);
canonical!(SiteEntry { source, name, district, digest });

/// Sites, and messages to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sites {
    /// By their handset.
    pub(crate) entries: BTreeMap<SourceId, SiteEntry>,
    pub(crate) messages: BTreeMap<MessageId, SentMessage>,
    /// Found again from the rest: messages that are still owed, and those that are settled.
    pub(crate) open: BTreeSet<MessageId>,
    pub(crate) settled: BTreeSet<MessageId>,
}

/// A message to a site, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    /// To whom.
    pub device: SourceId,
    /// The words.
    pub text: Sealed,
    /// Operator.
    pub by: SourceId,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// When it is given up, if it could not go by then.
    pub until: Timestamp,
    /// Real, training or demo, when it was ordered.
    pub mode: Mode,
    /// What came of it.
    pub status: RecipientStatus,
    /// When that was known; `None` while it is still owed.
    pub settled_at: Option<Timestamp>,
    /// More about it.
    pub detail: OutcomeDetail,
    /// Attempts made.
    pub attempts: u16,
    /// Whether the site may have it twice, as the core ended in the middle of an attempt.
    pub maybe_twice: bool,
}

canonical!(SentMessage {
    device,
    text,
    by,
    ordered_at,
    until,
    mode,
    status,
    settled_at,
    detail,
    attempts,
    maybe_twice,
});

impl Canonical for Sites {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { entries, messages, open: _, settled: _ } = self;
        entries.put(out);
        messages.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let entries = Canonical::take(input)?;
        let messages: BTreeMap<MessageId, SentMessage> = Canonical::take(input)?;
        let over = |id: &MessageId| messages.get(id).is_some_and(|each| each.settled_at.is_some());
        let (settled, open) = messages.keys().partition(|id| over(id));
        Ok(Self { entries, messages, open, settled })
    }
}

impl State {
    /// Sites, by their handset.
    #[must_use]
    pub const fn sites(&self) -> &BTreeMap<SourceId, SiteEntry> {
        &self.sites.entries
    }

    /// Messages to sites, oldest first; of the settled ones the last [`limits::ENDED_KEPT`].
    #[must_use]
    pub const fn messages(&self) -> &BTreeMap<MessageId, SentMessage> {
        &self.sites.messages
    }

    /// A message as an effect.
    pub(crate) fn message(&self, seq: Seq) -> Option<Message> {
        let message = MessageId(seq);
        let record = self.sites.messages.get(&message)?;
        Some(Message {
            message,
            device: self.source_name(record.device).to_owned(),
            text: record.text.clone(),
            until: record.until,
            mode: record.mode,
        })
    }

    /// Messages that no attempt is under way for, by the time when they are given up.
    pub(crate) fn messages_to_give_up(&self) -> impl Iterator<Item = (Timestamp, EffectId)> {
        self.sites.open.iter().filter_map(|id| {
            let effect = EffectId { seq: id.0, index: 0 };
            let waits = matches!(self.owed.get(&effect)?.phase, OwedPhase::Waiting { .. });
            waits.then_some((self.sites.messages.get(id)?.until, effect))
        })
    }

    pub(crate) fn order_message(
        &mut self,
        recorded: &Recorded,
        message: MessageId,
        (device, text, until): (SourceId, &Sealed, Timestamp),
    ) {
        let Some(mode) = self.settings.as_ref().map(|settings| settings.mode) else { return };
        let record = SentMessage {
            device,
            text: text.clone(),
            by: recorded.source,
            ordered_at: recorded.at,
            until,
            mode,
            status: RecipientStatus::Queued,
            settled_at: None,
            detail: OutcomeDetail::default(),
            attempts: 0,
            maybe_twice: false,
        };
        let id = EffectId { seq: recorded.seq, index: 0 };
        let mut bytes = vec![4];
        id.put(&mut bytes);
        record.put(&mut bytes);
        self.sites.messages.insert(message, record);
        self.sites.open.insert(message);
        self.owe(id, recorded.at, &bytes);
    }

    /// An attempt at a message has an outcome; `again` says whether another follows, and
    /// `uncertain_before` whether one before it may have happened.
    pub(crate) fn settle_message(
        &mut self,
        outcome: &EffectOutcome,
        again: bool,
        uncertain_before: bool,
    ) {
        let id = MessageId(outcome.effect.seq);
        let Some(record) = self.sites.messages.get_mut(&id) else { return };
        record.detail = outcome.detail;
        record.attempts = outcome.attempt;
        record.maybe_twice |= again && outcome.outcome == Outcome::Uncertain;
        record.status = match outcome.outcome {
            Outcome::Done => RecipientStatus::Accepted,
            Outcome::Failed if again => RecipientStatus::Queued,
            Outcome::Failed if !uncertain_before => RecipientStatus::Failed,
            Outcome::Uncertain | Outcome::Failed => RecipientStatus::Uncertain,
        };
        if again {
            return;
        }
        record.settled_at = self.at;
        self.sites.open.remove(&id);
        self.sites.settled.insert(id);
        while self.sites.settled.len() > limits::ENDED_KEPT {
            if let Some(old) = self.sites.settled.pop_first() {
                self.sites.messages.remove(&old);
            }
        }
    }
}

impl Sites {
    /// Whether a message may still go at a time; `None` when this event owes none.
    pub(crate) fn lives(&self, seq: Seq, at: Timestamp) -> Option<bool> {
        self.messages.get(&MessageId(seq)).map(|message| at < message.until)
    }
}
