//! Trackers: where a wearer is, which safe zones that concerns, and when silence is an alarm.
//!
//! The numbers are those of the wandering reference, section 1; what needs a distance is decided in
//! `decide`, which alone asks the atlas.

use hansho_model::{Door, FixMethod, MetresU32, Position, SealedReport, SignalId, Telemetry};
use jiff::{SignedDuration, Timestamp};

use crate::canonical::canonical;
use crate::state::Device;

/// Least accuracy that is believed: no fix is better than this.
const ACCURACY_LEAST: MetresU32 = MetresU32(15);
/// Accuracy of a satellite fix of four satellites or more that does not tell its own.
const ACCURACY_GNSS: MetresU32 = MetresU32(15);
/// Accuracy of any other fix that does not tell its own.
const ACCURACY_POOR: MetresU32 = MetresU32(100);
/// Accuracy of a place found by cells.
const ACCURACY_CELL: MetresU32 = MetresU32(1_000);
/// Satellites from which a fix is one of [`ACCURACY_GNSS`].
const SATELLITES_MIN: u8 = 4;
/// From here on a device's clock is not believed on a message that was not kept.
pub(crate) const SKEW_MAX: SignedDuration = SignedDuration::from_secs(120);
/// Shortest silence that is a fault.
const SILENCE_LEAST: SignedDuration = SignedDuration::from_mins(15);
/// Interval of a device whose register entry names none.
const INTERVAL_S: u32 = 360;

/// What a tracker's reports add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// The last fix; only newer ones replace it.
    pub fix: Option<LastFix>,
    /// Battery, 0 to 100 per cent.
    pub battery: Option<u8>,
    /// Safe zones, in the order of the register.
    pub zones: Vec<ZoneState>,
}

/// A fix that a live view may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFix {
    /// Where.
    pub position: Position,
    /// When: by the device's clock, or by ours where that is wrong.
    pub at: Timestamp,
    /// How far off it may be.
    pub accuracy: MetresU32,
    /// How it was found.
    pub method: FixMethod,
    /// Whether nobody can have gone there from the fix before.
    pub suspect: bool,
}

/// Where a wearer is, seen from one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneState {
    /// Name of the zone.
    pub name: String,
    /// Inside, outside, not known.
    pub place: ZonePlace,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Fixes outside that do not yet make an exit.
    pub doubt: Option<Doubt>,
    /// The exit that people were told of.
    pub episode: Option<Episode>,
}

/// Inside or outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZonePlace {
    /// Not seen since the zone was entered in the register.
    Unknown,
    /// Inside.
    Inside,
    /// Outside.
    Outside,
}

impl ZonePlace {
    /// Its word in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inside => "inside",
            Self::Outside => "outside",
        }
    }
}

/// Fixes in a row that lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Time of the first.
    pub since: Timestamp,
    /// Time of the last. Where the device's last fix is another one, the row is broken.
    pub at: Timestamp,
}

/// An exit that opened a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The signal.
    pub signal: SignalId,
    /// When it was recorded.
    pub left_at: Timestamp,
}

canonical!(Track { fix, battery, zones });
canonical!(LastFix { position, at, accuracy, method, suspect });
canonical!(ZoneState { name, place, since, doubt, episode });
canonical!(enum ZonePlace { 0 => Unknown, 1 => Inside, 2 => Outside });
canonical!(Doubt { since, at });
canonical!(Episode { signal, left_at });

impl Track {
    pub(crate) fn zone(&self, name: &str) -> Option<&ZoneState> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    pub(crate) fn zone_mut(&mut self, name: &str) -> Option<&mut ZoneState> {
        self.zones.iter_mut().find(|zone| zone.name == name)
    }

    /// Takes in what a report says.
    pub(crate) fn hear(&mut self, report: &SealedReport) {
        let Some(telemetry) = &report.telemetry else { return };
        if report.refused.is_some() {
            return;
        }
        self.battery = telemetry.battery.or(self.battery);
        if let Some(fix) = believed_fix(report, telemetry)
            && self.is_new(&fix)
        {
            self.fix = Some(fix);
        }
    }

    /// Whether a fix is newer than what is known: the live state only moves forward.
    pub(crate) fn is_new(&self, fix: &LastFix) -> bool {
        self.fix.is_none_or(|last| fix.at > last.at)
    }
}

/// The fix of a report, if the device itself trusts it: with the time and accuracy to reckon with.
pub(crate) fn believed_fix(report: &SealedReport, telemetry: &Telemetry) -> Option<LastFix> {
    let fix = telemetry.fix.filter(|fix| fix.valid)?;
    let nowhere = fix.position.lat.e7() == 0 && fix.position.lon.e7() == 0;
    if nowhere {
        return None;
    }
    let right = |at: &Timestamp| at.duration_since(report.received_at).abs() <= SKEW_MAX;
    let at = if telemetry.stored {
        // What was kept may be as old as it says, but not of tomorrow.
        fix.at.filter(|at| at.duration_since(report.received_at) <= SKEW_MAX)?
    } else {
        fix.at.filter(right).unwrap_or(report.received_at)
    };
    let enough = fix.satellites.is_some_and(|count| count >= SATELLITES_MIN);
    let usual = match fix.method {
        FixMethod::Gnss if enough => ACCURACY_GNSS,
        FixMethod::Gnss | FixMethod::Wifi | FixMethod::Unknown => ACCURACY_POOR,
        FixMethod::Cell => ACCURACY_CELL,
    };
    let accuracy = fix.accuracy.unwrap_or(usual).max(ACCURACY_LEAST);
    Some(LastFix { position: fix.position, at, accuracy, method: fix.method, suspect: false })
}

impl Device {
    /// Whether it is a tracker: at a tracker's door, or registered with what only trackers have.
    #[must_use]
    pub fn is_tracker(&self) -> bool {
        let entry = self.entry.as_ref();
        self.door == Door::Watch
            || entry.is_some_and(|entry| !entry.zones.is_empty() || entry.interval_s.is_some())
    }

    /// When its silence becomes a fault: two and a half of its intervals after it was heard, or after
    /// the core that listens was started. `None` when nobody waits for it.
    pub(crate) fn silent_at(&self, started_at: Option<Timestamp>) -> Option<Timestamp> {
        use hansho_model::AlarmKind::Silent;
        let entry = self.entry.as_ref().filter(|_| self.is_tracker())?;
        if self.faults.iter().any(|fault| fault.kind == Silent) {
            return None;
        }
        let heard = self.last_heard.max(self.last_heard.and(started_at))?;
        let interval_s = i64::from(entry.interval_s.unwrap_or(INTERVAL_S));
        let silence = SignedDuration::from_secs(interval_s.saturating_mul(5).saturating_div(2));
        heard.checked_add(silence.max(SILENCE_LEAST)).ok()
    }
}
