//! The state machine: what is known, what is decided, what is owed.
//!
//! Two verbs: [`State::decide`] may say no and changes nothing; [`State::evolve`] is infallible
//! bookkeeping over events that are in the journal, or about to be committed with their batch.
//! A replay needs `evolve` alone. There are no sockets, files, clocks, random numbers, threads or
//! floats here; time comes in as an argument and with each event.
//!
//! ```
//! use hansho_core::State;
//! use hansho_model::Seq;
//! let state = State::default();
//! assert_eq!(state.seq(), Seq::ZERO);
//! assert_eq!(state.next_deadline(), None);
//! ```

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod call;
mod canonical;
mod deadlines;
mod decide;
mod dedupe;
mod evolve;
mod idem;
mod notice;
mod recommend;
mod site;
mod state;
mod track;
mod units;

pub use call::{
    Call, CallAnswer, CallBackTry, CallFailure, CallOver, CallPhase, EARLIER_TIME, SIMILAR_MAX,
    SIMILAR_METRES, SIMILAR_TIME, SavedDraft, Similar,
};
pub use canonical::{Canonical, DecodeError, SNAPSHOT_VERSION};
pub use decide::{CONNECT_DELAYS_S, MESSAGE_TIME, RETRY_DELAYS_S, UNCERTAIN_RESENDS};
pub use dedupe::Seen;
pub use evolve::EffectChange;
pub use notice::NoticeContent;
pub use site::SentMessage;
pub use state::{
    Acknowledged, AnswerRecord, Device, Ended, Fault, Incident, IncidentEnd, LastReport, Load,
    Note, Notice, Owed, OwedPhase, Person, RecipientState, RecipientStatus, SessionState, Signal,
    SignalState, State, limits,
};
pub use track::{Doubt, Episode, LastFix, Track, ZonePlace, ZoneState};
pub use units::{Assignment, Order, Press, Unit, UnitPosition};
