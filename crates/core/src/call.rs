//! Calls to 119 as the state has them, and which of their places is shown.

use hansho_model::{
    CallBackOutcome, CallEnd, CallRef, CallerLocation, IncidentId, LocationMark, MetresU32, Sealed,
    Seq, SignalId, SourceId, Token,
};
use jiff::{SignedDuration, Timestamp};

use crate::canonical::canonical;
use crate::state::{Incident, Signal, State};

/// Earlier calls of the same number count for this long.
pub const EARLIER_TIME: SignedDuration = SignedDuration::from_hours(24);
/// An event farther away in time is another one.
pub const SIMILAR_TIME: SignedDuration = SignedDuration::from_mins(15);
/// So near two places may be one, however sure each is of itself.
pub const SIMILAR_METRES: u32 = 300;
/// Suggestions of the same event for one signal.
pub const SIMILAR_MAX: usize = 3;

/// A call (119番通報).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its signal; the newest, when it began to ring again after an earlier one had its outcome.
    pub signal: Option<SignalId>,
    /// The event that offered it.
    pub report: Seq,
    /// When the signalling had it (入電).
    pub received_at: Timestamp,
    /// Whether something of it was answered before it was in the journal.
    pub unrecorded: bool,
    /// The caller's number.
    pub number: Option<Sealed>,
    /// Equal for equal numbers.
    pub caller: Option<Token>,
    /// Calls of the same number in the 24 hours before.
    pub earlier: u32,
    /// Whether the caller withholds the number.
    pub withheld: bool,
    /// Service that was asked for.
    pub service: String,
    /// Where the caller is, in the order of arrival. Never overwritten.
    pub locations: Vec<CallerLocation<Sealed>>,
    /// How far it has come.
    pub phase: CallPhase,
    /// The last answer.
    pub answer: Option<CallAnswer>,
    /// When the two could speak.
    pub connected_at: Option<Timestamp>,
    /// How it ended, connected or not.
    pub over: Option<CallOver>,
    /// The last try to connect that came to nothing.
    pub failure: Option<CallFailure>,
    /// When to call back by, while nobody has.
    pub call_back_due: Option<Timestamp>,
    /// Whether that time has come.
    pub call_back_overdue: bool,
    /// Tries to call back, oldest first.
    pub call_backs: Vec<CallBackTry>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPhase {
    /// Nobody has answered.
    Ringing,
    /// Somebody has; the seat's phone rings.
    Connecting,
    /// The two can speak.
    Connected,
    /// The caller hung up before that.
    Abandoned,
    /// It was connected and is over.
    Over,
}

impl CallPhase {
    /// Its word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Abandoned => "abandoned",
            Self::Over => "over",
        }
    }
}

/// Somebody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallAnswer {
    /// The last event that owed ringing a seat's phone. `None` when a phone took the call by itself,
    /// while no core ran.
    pub seq: Option<Seq>,
    /// Seat.
    pub position: String,
    /// When.
    pub at: Timestamp,
}

/// A call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOver {
    /// When.
    pub at: Timestamp,
    /// Who hung up.
    pub by: CallEnd,
}

/// A seat's phone did not take a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// Seat.
    pub position: String,
    /// SIP status; 0 when nothing was heard.
    pub status: u16,
}

/// A try to call back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallBackTry {
    /// When.
    pub at: Timestamp,
    /// Operator.
    pub by: SourceId,
    /// What came of it.
    pub outcome: CallBackOutcome,
}

impl Call {
    /// The place to show: by the rules of the caller-location reference, section 0, it is the first
    /// with a point, until one comes that is newer and better. It is a proposal, nothing more.
    #[must_use]
    pub fn shown(&self) -> Option<&CallerLocation<Sealed>> {
        let points = self.locations.iter().filter(|each| each.centre.is_some());
        let shown = points.reduce(|shown, next| if replaces(next, shown) { next } else { shown });
        // Words are better than a fault, and a fault is better than silence.
        let words = || self.locations.iter().find(|each| each.civic.is_some());
        shown.or_else(words).or_else(|| self.locations.first())
    }

    /// When somebody took the call (受話); a try that came to nothing is no answer.
    pub(crate) fn answered_at(&self) -> Option<Timestamp> {
        let waits = matches!(self.phase, CallPhase::Ringing | CallPhase::Abandoned);
        self.answer.as_ref().filter(|_| !waits).map(|answer| answer.at)
    }

    /// Whether the caller waits and nobody can be said to try: giving the signal an outcome now
    /// would leave the caller alone. Where a try came to nothing, a person may know better.
    pub(crate) const fn waits_for_answer(&self) -> bool {
        matches!(self.phase, CallPhase::Ringing) && self.failure.is_none()
    }

    /// Whether the seat's phone of this answer is still to be rung.
    pub(crate) fn awaits(&self, answer: Seq) -> bool {
        self.phase == CallPhase::Connecting
            && self.answer.as_ref().is_some_and(|each| each.seq == Some(answer))
    }

    /// Whether this seat's phone is being rung.
    pub(crate) fn rings_at(&self, position: &str) -> bool {
        self.phase == CallPhase::Connecting
            && self.answer.as_ref().is_some_and(|each| each.position == position)
    }
}

/// Newer and better; or newer than one that is not to be relied on.
fn replaces(next: &CallerLocation<Sealed>, shown: &CallerLocation<Sealed>) -> bool {
    let marked = |each: &CallerLocation<Sealed>, mark| each.marks.contains(&mark);
    let outside = |each| marked(each, LocationMark::Outside);
    if outside(next) != outside(shown) {
        return outside(shown);
    }
    let time = |each: &CallerLocation<Sealed>| {
        if marked(each, LocationMark::Clock) { None } else { each.at }
    };
    let newer = match (time(next), time(shown)) {
        (Some(next), Some(shown)) => next > shown,
        (Some(_), None) => true,
        (None, Some(_) | None) => false,
    };
    let width = |each: &CallerLocation<Sealed>| each.radius.map_or(u32::MAX, |radius| radius.0);
    let better = width(next) < width(shown);
    let doubtful = marked(shown, LocationMark::Stale) || time(shown).is_none();
    newer && (better || doubtful)
}

/// An open incident that may be the event that a signal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Similar {
    /// The incident.
    pub incident: IncidentId,
    /// Between the two places.
    pub distance: MetresU32,
    /// How long it was known when the signal came; 0 when it was not yet.
    pub age: SignedDuration,
}

impl State {
    /// The call of a signal.
    #[must_use]
    pub fn call_of(&self, signal: &Signal) -> Option<&Call> {
        self.calls.get(signal.call.as_ref()?)
    }

    /// Where a signal comes from, as far as that can be said on a map.
    pub(crate) fn spot_of(&self, signal: &Signal) -> Option<Spot> {
        if let Some(call) = self.call_of(signal) {
            let shown = call.shown()?;
            let outside = shown.marks.contains(&LocationMark::Outside);
            let position = shown.centre.filter(|_| !outside)?;
            return Some(Spot { position, radius: shown.radius });
        }
        signal.position.map(|position| Spot { position, radius: None })
    }

    /// Open incidents that may be the same event, nearest first, at most [`SIMILAR_MAX`].
    #[must_use]
    pub fn similar(&self, signal: &Signal) -> Vec<Similar> {
        let Some(spot) = self.spot_of(signal) else { return Vec::new() };
        let open = self.incidents.iter().filter(|(_, incident)| incident.end.is_none());
        let mut similar: Vec<Similar> =
            open.filter_map(|(id, incident)| similar(*id, incident, signal, spot)).collect();
        similar.sort_by_key(|each| (each.distance, each.age));
        similar.truncate(SIMILAR_MAX);
        similar
    }
}

fn similar(id: IncidentId, incident: &Incident, signal: &Signal, spot: Spot) -> Option<Similar> {
    let position = incident.place.position?;
    let apart = signal.received_at.duration_since(incident.perceived_at);
    let wide = |radius: Option<MetresU32>| radius.map_or(0, |radius| radius.0);
    let near = SIMILAR_METRES.max(wide(spot.radius)).max(wide(incident.place.radius));
    let distance = hansho_atlas::distance(spot.position, position);
    let fits = apart.abs() <= SIMILAR_TIME
        && distance.0 <= near
        && signal.incident.is_none_or(|own| own != id);
    fits.then_some(Similar { incident: id, distance, age: apart.max(SignedDuration::ZERO) })
}

/// A point with what is known of its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) position: hansho_model::Position,
    pub(crate) radius: Option<MetresU32>,
}

/// Something typed and not yet sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedDraft {
    /// The event.
    pub seq: Seq,
    /// Operator.
    pub by: SourceId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: Sealed,
}

/// A phone that is to be rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) call: CallRef,
    pub(crate) position: String,
}

canonical!(Call {
    signal,
    report,
    received_at,
    unrecorded,
    number,
    caller,
    earlier,
    withheld,
    service,
    locations,
    phase,
    answer,
    connected_at,
    over,
    failure,
    call_back_due,
    call_back_overdue,
    call_backs,
});
canonical!(enum CallPhase {
    0 => Ringing,
    1 => Connecting,
    2 => Connected,
    3 => Abandoned,
    4 => Over,
});
canonical!(CallAnswer { seq, position, at });
canonical!(CallOver { at, by });
canonical!(CallFailure { position, status });
canonical!(CallBackTry { at, by, outcome });
canonical!(SavedDraft { seq, by, at, text });
canonical!(Connection { call, position });
