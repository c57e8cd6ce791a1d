//! What the house knows of a call.

use hansho_model::CallRef;
use jiff::Timestamp;

use super::dialog::Dialog;
use super::transaction::{Hop, Repeat};
use crate::Receipt;

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits to be answered.
    Offered,
    /// A phone took it.
    Connected,
    /// It is over; late messages are still answered.
    Over,
}

/// A call from the outside.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) offered_at: Timestamp,
    /// Whether a trunk brought it.
    pub(super) trusted: bool,
    /// Transaction of the INVITE.
    pub(super) server: String,
    /// Tag of ours towards the caller.
    pub(super) tag: String,
    pub(super) dialog: Dialog,
    /// Number that the seats' phones show.
    pub(super) number: Option<String>,
    /// The caller's session description.
    pub(super) sdp: Option<Vec<u8>>,
    pub(super) stage: Stage,
    pub(super) forks: Vec<Fork>,
    /// When 180 is repeated.
    pub(super) refresh_at: Option<Timestamp>,
    /// Whether every seat's phone rings, and goes on ringing.
    pub(super) everywhere: bool,
    /// When those phones are rung again that did not take it.
    pub(super) again_at: Option<Timestamp>,
    /// The longest that it may stay as it is.
    pub(super) until: Timestamp,
    /// Our 200, repeated until the caller's ACK.
    pub(super) ok: Option<Ok200>,
    /// The caller's ACK is there.
    pub(super) acknowledged: bool,
    /// The caller is to get a BYE as soon as its ACK is there.
    pub(super) owes_bye: bool,
    /// Fork that took it.
    pub(super) winner: Option<u64>,
    /// Facts that wait for their receipt.
    pub(super) pending: usize,
    /// The fact of its end, while it waits.
    pub(super) end: Option<Receipt>,
    /// Seats of which it was told that their phone did not take it, while every phone rings.
    pub(super) told: Vec<String>,
    /// How often its end was put off, as facts waited for their receipt.
    pub(super) put_off: u8,
}

/// A 200 that waits for its ACK.
#[derive(Debug)]
pub(super) struct Ok200 {
    /// Who owes the ACK.
    pub(super) leg: Leg,
    pub(super) hop: Hop,
    pub(super) repeat: Repeat,
    pub(super) gives_up_at: Timestamp,
}

/// How far a phone is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForkState {
    /// It was asked.
    Ringing,
    /// It was told to stop; its last word is waited for.
    Cancelled,
    /// It took the call.
    Won,
    /// It is out of this.
    Gone,
}

/// A seat's phone that rings for a call.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) id: u64,
    pub(super) seat: String,
    /// Transaction of the INVITE.
    pub(super) branch: String,
    /// Tag of ours towards the phone.
    pub(super) tag: String,
    pub(super) dialog: Dialog,
    pub(super) state: ForkState,
    /// CANCEL may only follow a provisional response.
    pub(super) owes_cancel: bool,
    pub(super) answer_by: Option<Timestamp>,
    /// The phone's 200 held an offer, and waits for the caller's answer in the ACK.
    pub(super) owes_ack: bool,
}

/// Which side of a call a dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leg {
    Caller,
    Phone(u64),
}

impl Call {
    pub(super) fn fork(&mut self, id: u64) -> Option<&mut Fork> {
        self.forks.iter_mut().find(|fork| fork.id == id)
    }

    pub(super) fn winner(&mut self) -> Option<&mut Fork> {
        let id = self.winner?;
        self.fork(id)
    }

    pub(super) fn rings_at(&self, seat: &str) -> bool {
        self.forks.iter().any(|fork| {
            fork.seat == seat && matches!(fork.state, ForkState::Ringing | ForkState::Won)
        })
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let forks = self.forks.iter().filter(|fork| fork.state == ForkState::Ringing);
        let answer = forks.filter_map(|fork| fork.answer_by).min();
        let ok = self.ok.as_ref().map(|ok| ok.repeat.at.min(ok.gives_up_at));
        [self.refresh_at, self.again_at, Some(self.until), answer, ok].into_iter().flatten().min()
    }
}

/// What waits for a fact to be durable.
#[derive(Debug)]
pub(super) enum Owed {
    /// 180 to the caller.
    Ringing(CallRef),
    /// The final answer to the INVITE, and 200 to what ended it.
    Abandoned { call: CallRef, status: u16, replies: Vec<String> },
    /// 200 to what ended it.
    Ended { call: CallRef, replies: Vec<String> },
    /// Nothing.
    Nothing(CallRef),
}

impl Owed {
    pub(super) const fn call(&self) -> &CallRef {
        match self {
            Self::Ringing(call)
            | Self::Abandoned { call, .. }
            | Self::Ended { call, .. }
            | Self::Nothing(call) => call,
        }
    }

    pub(super) const fn replies(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Abandoned { replies, .. } | Self::Ended { replies, .. } => Some(replies),
            Self::Ringing(_) | Self::Nothing(_) => None,
        }
    }
}
