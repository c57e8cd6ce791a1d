//! Thinning under load: of what one device sends in a while, only the newest goes on.
//!
//! The first report passes and opens a window of [`WINDOW`]. Of those that come in it the newest is
//! kept; at its end that one passes and opens the next window. Whoever waits for one that was given
//! up waits for the one that stands for it, and is answered only when that is durable.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hansho_atlas::distance;
use hansho_model::{AlarmKind, Lane, Position, SealedReport, Zone};
use tokio::sync::oneshot;

use crate::accounting::Fate;

/// In this time one report of a device passes.
pub const WINDOW: Duration = Duration::from_secs(5);

/// What is thinned together: the telemetry of a device; of its states, those about the same things,
/// as a battery that is low must not hide behind a strap that was closed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    source: String,
    lane: Lane,
    kinds: Vec<AlarmKind>,
}

impl Stream {
    /// The stream that a report belongs to.
    #[must_use]
    pub fn of(lane: Lane, report: &SealedReport) -> Self {
        let mut kinds: Vec<AlarmKind> = report.findings.iter().map(|each| each.kind).collect();
        kinds.sort_unstable();
        Self { source: report.source.clone(), lane, kinds }
    }
}

/// Open windows, and what waits in them.
#[derive(Debug)]
pub struct Thinner {
    window: Duration,
    /// On which side of each zone's edge a device was seen last.
    sides: Mutex<BTreeMap<String, Vec<bool>>>,
    windows: Mutex<BTreeMap<Stream, Option<Held>>>,
}

/// The newest report of a window, and who waits for it or for an older one.
#[derive(Debug)]
pub struct Held {
    /// What goes on at the end of the window.
    pub report: Box<SealedReport>,
    newest: oneshot::Sender<Fate>,
    older: Vec<oneshot::Sender<Fate>>,
}

impl Held {
    /// Tells all who wait what became of it: an older one was given up for a newer, if that is
    /// durable.
    pub fn settle(self, fate: Fate) {
        let older = if fate == Fate::Durable { Fate::Coalesced } else { fate };
        // Who has gone is told nothing; it is counted by who told it to wait.
        self.newest.send(fate).ok();
        for waiting in self.older {
            waiting.send(older).ok();
        }
    }
}

/// What to do with a report.
#[derive(Debug)]
pub enum Offered {
    /// It passes, and opened a window: [`Thinner::close`] is to be called at its end.
    Passes(Box<SealedReport>),
    /// It waits.
    Waits(oneshot::Receiver<Fate>),
}

impl Default for Thinner {
    fn default() -> Self {
        Self::new(WINDOW)
    }
}

impl Thinner {
    /// With windows of this length.
    #[must_use]
    pub const fn new(window: Duration) -> Self {
        let sides = Mutex::new(BTreeMap::new());
        Self { window, sides, windows: Mutex::new(BTreeMap::new()) }
    }

    /// How long a window is open.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// Whether a safe zone is concerned: the wearer is outside of all of them, or on another side of
    /// an edge than before. One fix outside is no exit yet, so those after it count, too.
    pub fn crosses(&self, source: &str, zones: &[Zone], position: Position) -> bool {
        if zones.is_empty() {
            return false;
        }
        let inside = |zone: &Zone| distance(zone.centre, position) <= zone.radius;
        let now: Vec<bool> = zones.iter().map(inside).collect();
        let outside = !now.contains(&true);
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        sides.insert(source.to_owned(), now.clone()) != Some(now) || outside
    }

    /// A position that counted did not reach the journal: the next one counts as one that crosses.
    pub fn forget(&self, source: &str) {
        self.sides.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }

    /// Whether a window of this report's stream is open: nothing may overtake what waits in it,
    /// though the load is less by now.
    #[must_use]
    pub fn is_open(&self, lane: Lane, report: &SealedReport) -> bool {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        !windows.is_empty() && windows.contains_key(&Stream::of(lane, report))
    }

    /// Offers a report of a stream.
    pub fn offer(&self, stream: &Stream, report: Box<SealedReport>) -> Offered {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(window) = windows.get_mut(stream) else {
            windows.insert(stream.clone(), None);
            return Offered::Passes(report);
        };
        let (newest, waits) = oneshot::channel();
        let mut older = Vec::new();
        if let Some(held) = window.take() {
            older = held.older;
            older.push(held.newest);
        }
        *window = Some(Held { report, newest, older });
        Offered::Waits(waits)
    }

    /// The window of a stream ends: what goes on, which opens the next one; `None` when nothing
    /// came, and then no window is open.
    pub fn close(&self, stream: &Stream) -> Option<Held> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let held = windows.get_mut(stream).and_then(Option::take);
        if held.is_none() {
            windows.remove(stream);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use hansho_model::{DegreesE7, MetresU32};

    use super::*;

    #[test]
    fn what_concerns_a_zone_is_told_from_a_step_inside_it() {
        let at = |lat_e7| {
            let (lat, lon) = (DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(1_408_876_666));
            Position::new(lat, lon).unwrap()
        };
        let home =
            Zone { name: "home".to_owned(), centre: at(370_505_000), radius: MetresU32(100) };
        let thinner = Thinner::default();
        // 0.0001 degree is about 11 m.
        let steps = [(0, true), (5_000, false), (20_000, true), (30_000, true), (1_000, true)];
        for (away_e7, crosses) in steps {
            let position = at(370_505_000 + away_e7);
            let found = thinner.crosses("watch:1", std::slice::from_ref(&home), position);
            assert_eq!(found, crosses, "{away_e7}");
        }
        assert!(!thinner.crosses("watch:1", std::slice::from_ref(&home), at(370_505_000)));
        thinner.forget("watch:1");
        assert!(thinner.crosses("watch:1", std::slice::from_ref(&home), at(370_505_000)));
        assert!(!thinner.crosses("watch:2", &[], at(0)));
    }
}
