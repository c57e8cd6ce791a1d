//! From the disk to a state: newest sound snapshot, then the journal's tail.
//!
//! An event that makes the fold panic must not crash-loop a city. The first time, the process ends
//! and is started again; the second time at the same event, that event is passed over as a whole,
//! everything else goes on, and the console says so in red until a release that can fold it is
//! installed. No snapshot is made of such a state: that release has to meet the event again.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{fs, io};

use hansho_core::State;
use hansho_journal::{JournalError, SqliteReader};
use hansho_model::{Recorded, Seq};

/// Events read at once.
const CHUNK: usize = 4_096;
/// Beside the journal: the events at which starts failed, a line each.
const MARK_FILE: &str = "replay-fault";

/// Why no state could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An event makes the fold panic, for the first time.
    #[error(
        "event {seq} cannot be folded by this release; the next start passes it over and runs \
         degraded: install a release that can fold it, or report this event's kind to the makers"
    )]
    Poisoned {
        /// The event.
        seq: Seq,
    },
    /// The mark of a failed start cannot be written.
    #[error("{} cannot be written; make the data folder writable", path.display())]
    Mark {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// A state folded to the end of the journal.
#[derive(Debug)]
pub struct Folded {
    /// The state.
    pub state: State,
    /// Events that were passed over; not empty means degraded.
    pub passed_over: Vec<Seq>,
}

/// Folds the journal in `folder` on top of `state` (a snapshot's, or the first).
///
/// # Errors
///
/// A journal that cannot be read, or an event that cannot be folded (see the module).
pub fn fold(folder: &Path, state: State) -> Result<Folded, FoldError> {
    fold_with(folder, state, State::evolve)
}

/// Sets the mark of a failed start aside: this release folded everything.
///
/// # Errors
///
/// When the file is there and cannot be removed.
pub fn clear_mark(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(MARK_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn fold_with(
    folder: &Path,
    mut state: State,
    mut evolve: impl FnMut(&mut State, &Recorded),
) -> Result<Folded, FoldError> {
    let mut reader = SqliteReader::open(folder)?;
    let mut passed_over = Vec::new();
    let mut failed = marked(folder);
    loop {
        let events = reader.read(state.seq(), CHUNK)?;
        if events.is_empty() {
            return Ok(Folded { state, passed_over });
        }
        for recorded in &events {
            // What panics half-way must not leave half of what it said.
            let before = failed.contains(&recorded.seq.get()).then(|| state.clone());
            let folded = catch_unwind(AssertUnwindSafe(|| evolve(&mut state, recorded)));
            if folded.is_ok() {
                continue;
            }
            let Some(before) = before else {
                failed.insert(recorded.seq.get());
                mark(folder, &failed)?;
                return Err(FoldError::Poisoned { seq: recorded.seq });
            };
            tracing::error!(
                seq = recorded.seq.get(),
                "An event cannot be folded by this release and was passed over."
            );
            passed_over.push(recorded.seq);
            state = before;
            state.pass_over(recorded);
        }
    }
}

/// Events at which earlier starts failed.
fn marked(folder: &Path) -> BTreeSet<u64> {
    let marks = fs::read_to_string(folder.join(MARK_FILE)).unwrap_or_default();
    marks.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn mark(folder: &Path, failed: &BTreeSet<u64>) -> Result<(), FoldError> {
    let path = folder.join(MARK_FILE);
    let lines: String = failed.iter().map(|seq| format!("{seq}\n")).collect();
    fs::write(&path, lines).map_err(|source| FoldError::Mark { path, source })
}

#[cfg(test)]
mod tests {
    use hansho_journal::{Journal, SqliteJournal};
    use hansho_model::{Event, Idem, SourceId};

    use super::*;

    fn journal_of(folder: &Path, count: u64) {
        let mut journal = SqliteJournal::open(folder).unwrap();
        let events: Vec<Recorded> = (1..=count)
            .map(|number| Recorded {
                seq: Seq::new(number),
                at: jiff::Timestamp::from_microsecond(number.cast_signed()).unwrap(),
                source: SourceId::CORE,
                cause: None,
                idem: Idem::default(),
                event: Event::ClockStepped { back_us: number.cast_signed() },
            })
            .collect();
        journal.append(&events).unwrap();
    }

    #[test]
    fn an_event_that_cannot_be_folded_stops_once_and_is_then_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        journal_of(folder.path(), 10);
        let poisoned = |state: &mut State, recorded: &Recorded| {
            assert!(recorded.seq != Seq::new(7), "injected");
            state.evolve(recorded);
        };
        let first = fold_with(folder.path(), State::default(), poisoned).unwrap_err();
        assert!(matches!(first, FoldError::Poisoned { seq } if seq == Seq::new(7)));
        let second = fold_with(folder.path(), State::default(), poisoned).unwrap();
        assert_eq!(second.passed_over, [Seq::new(7)]);
        assert_eq!(second.state.seq(), Seq::new(10));
        let mended = fold(folder.path(), State::default()).unwrap();
        assert!(mended.passed_over.is_empty());
        clear_mark(folder.path()).unwrap();
        clear_mark(folder.path()).unwrap();
        let again = fold_with(folder.path(), State::default(), poisoned).unwrap_err();
        assert!(matches!(again, FoldError::Poisoned { .. }), "a cleared mark counts anew");
    }

    #[test]
    fn each_such_event_is_passed_over_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        journal_of(folder.path(), 10);
        let poisoned = |state: &mut State, recorded: &Recorded| {
            state.evolve(recorded);
            assert!(![3, 7].contains(&recorded.seq.get()), "injected, when half of it was done");
        };
        for seq in [3, 7] {
            let stop = fold_with(folder.path(), State::default(), poisoned).unwrap_err();
            assert!(matches!(stop, FoldError::Poisoned { seq: at } if at == Seq::new(seq)));
        }
        let before = |state: &mut State, recorded: &Recorded| {
            if [3, 7].contains(&recorded.seq.get()) {
                state.pass_over(recorded);
            } else {
                state.evolve(recorded);
            }
        };
        let wanted = fold_with(folder.path(), State::default(), before).unwrap().state;
        let got = fold_with(folder.path(), State::default(), poisoned).unwrap();
        assert_eq!(got.passed_over, [Seq::new(3), Seq::new(7)]);
        assert_eq!(got.state, wanted);
    }
}
