//! What is read when somebody asks for `/metrics`, and never counted on a report's way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hansho_console::Reads as _;
use hansho_journal::{JOURNAL_FILE, free_bytes};
use hansho_model::{Door, Lane};
use hansho_telemetry::{Chain, Gauge};
use tokio::sync::watch;

use crate::accounting::Books;
use crate::live::Queue;
use crate::replica::Replica;

/// How often what was recorded is tidied up though nobody asks for it.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Those who know.
#[derive(Debug)]
pub struct Gauges {
    /// What waits, and what is given up under load.
    pub queue: Arc<Queue>,
    /// What is durable, what is folded, what is owed.
    pub replica: Arc<Replica>,
    /// What is in flight.
    pub books: Arc<Books>,
    /// Data folder.
    pub data: PathBuf,
}

impl Gauges {
    /// The text of `/metrics`, with every gauge read anew.
    #[must_use]
    pub fn render(&self) -> String {
        self.read();
        hansho_telemetry::render()
    }

    fn read(&self) {
        for lane in Lane::ALL {
            let waiting = u64::try_from(self.queue.waiting(lane)).unwrap_or(u64::MAX);
            set(Gauge::IntakeQueueCount, lane.as_str(), waiting);
        }
        let books = self.books.read();
        for door in Door::ALL {
            let book = books.iter().find(|book| book.door == door.as_str());
            let in_flight = book.map(|book| book.in_flight).unwrap_or_default();
            set(Gauge::IntakeInFlightCount, door.as_str(), in_flight);
        }
        // What is folded is asked for first: what is durable is never behind it then.
        let folded = self.replica.head().borrow().get();
        let durable = self.replica.durable().get();
        set(Gauge::JournalHeadSeq, "", durable);
        set(Gauge::EngineReplicaLagCount, "", durable.saturating_sub(folded));
        let degraded = self.replica.degraded_from().is_some();
        set(Gauge::EngineDegradedCount, "", degraded.into());
        let level = self.queue.board().level().get();
        set(Gauge::EngineLoadLevel, "", level.into());
        self.replica.with_state(&mut |state| {
            let owed = u64::try_from(state.owed().len()).unwrap_or(u64::MAX);
            set(Gauge::OutboxOwedCount, "", owed);
        });
        self.read_disk();
    }

    /// What cannot be asked for just now keeps its last value.
    fn read_disk(&self) {
        match std::fs::metadata(self.data.join(JOURNAL_FILE)) {
            Ok(file) => set(Gauge::JournalFileBytes, "", file.len()),
            Err(error) => tracing::debug!(%error, "The journal's file could not be asked for."),
        }
        match free_bytes(&self.data) {
            Ok(free) => set(Gauge::EngineDiskFreeBytes, "", free),
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "Free room could not be asked for.");
            }
        }
    }
}

/// A gauge is a float by its format; nothing here comes near 2^53.
fn set(gauge: Gauge, value: &'static str, amount: u64) {
    gauge.set(value, amount as f64);
}

/// Tidies up what was recorded until `stop` turns true.
pub async fn tidy(mut stop: watch::Receiver<bool>) {
    while tokio::time::timeout(TIDY_EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
        hansho_telemetry::tidy_metrics();
    }
}
