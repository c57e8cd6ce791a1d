//! The edge: where personal values are sealed on their way in, and opened on their way out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hansho_atlas::by_id;
use hansho_console::Seal;
use hansho_intake::{Decided, Sink};
use hansho_journal::{Vault, VaultError};
use hansho_model::{
    DistrictId, Door, EffectId, FrameFault, Input, Lane, Language, RefusalCode, Report, Sealed,
    SealedReport, Token,
};
use hansho_protocols::Durable;
use hansho_telemetry::{Chain, Counter};
use jiff::{Timestamp, tz::Offset};

use crate::accounting::{Books, Fate};
use crate::clock;
use crate::live::Queue;
use crate::registry::Subjects;

/// The edge of the house.
pub struct Edge {
    vault: Arc<Vault>,
    queue: Arc<Queue>,
    books: Arc<Books>,
    subjects: Subjects,
    /// Little room is left on the disk: only alarms and people's commands are taken.
    tight: AtomicBool,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge")
    }
}

impl Edge {
    /// With the keys, the way into the core, the counters, and whose data a device's reports are.
    #[must_use]
    pub const fn new(
        vault: Arc<Vault>,
        queue: Arc<Queue>,
        books: Arc<Books>,
        subjects: Subjects,
    ) -> Self {
        Self { vault, queue, books, subjects, tight: AtomicBool::new(false) }
    }

    /// Keeper of data keys.
    #[must_use]
    pub const fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Way into the core.
    #[must_use]
    pub const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Takes only alarms and commands from here on, or everything again; returns what held before.
    pub fn set_tight(&self, tight: bool) -> bool {
        self.tight.swap(tight, Ordering::Relaxed)
    }

    fn seal(
        &self,
        peer: SocketAddr,
        at: Timestamp,
        report: Report,
    ) -> Result<SealedReport, VaultError> {
        let source = format!("{}:{}", report.door, report.device);
        let day = day_subject(at);
        let subject = self.subjects.of_device(&source).unwrap_or(&day);
        // A person who was erased is no subject any more: what the device still says is kept for
        // the day's purposes, under the day's key.
        let seal = |bytes: &[u8]| match self.vault.seal(subject, bytes) {
            Err(VaultError::Destroyed { .. }) => self.vault.seal(&day, bytes),
            sealed => sealed,
        };
        let text = report.text.map(|text| seal(text.0.as_bytes())).transpose()?;
        Ok(SealedReport {
            door: report.door,
            lane: report.lane,
            observed_at: report.observed_at,
            received_at: at,
            device_key: report.device_key,
            findings: report.findings,
            position: report.position,
            telemetry: report.telemetry,
            text,
            raw: seal(&report.raw.0)?,
            peer: seal(peer.to_string().as_bytes())?,
            refused: report.refused,
            deviations: report.deviations,
            source,
        })
    }
}

impl Sink for Edge {
    fn take(self: Arc<Self>, peer: SocketAddr, received_at: Timestamp, report: Report) -> Decided {
        Box::pin(async move {
            // A task of its own: what became of the report is booked though its sender has gone.
            match tokio::spawn(self.see_through(peer, received_at, report)).await {
                Ok(durable) => durable,
                // It panicked or the house ends: nobody knows, so nobody is told.
                Err(_lost) => Durable::Shed,
            }
        })
    }

    fn refuse(&self, door: Door, fault: FrameFault) {
        self.books.receive(door);
        self.books.settle(door, Fate::Refused);
        Counter::IntakeRefusedTotal.add(fault.as_str(), 1);
    }

    fn broken(&self, door: Door) {
        Counter::IntakePanicsTotal.add(door.as_str(), 1);
    }

    fn taken_over(&self, door: Door) {
        Counter::IntakeTakeoversTotal.add(door.as_str(), 1);
    }

    fn now(&self) -> Timestamp {
        clock::now()
    }
}

impl Edge {
    async fn see_through(
        self: Arc<Self>,
        peer: SocketAddr,
        received_at: Timestamp,
        report: Report,
    ) -> Durable {
        let (door, lane) = (report.door, report.lane);
        self.books.receive(door);
        Counter::IntakeReportsTotal.add(lane.as_str(), 1);
        // Keys are in memory but for the first report of a day: then a short write to a file.
        let fate = match self.seal(peer, received_at, report) {
            Ok(report) => self.decide(lane, report).await,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "A report could not be sealed.");
                Fate::Shed
            }
        };
        self.books.settle(door, fate);
        match fate {
            Fate::Durable | Fate::Refused => Durable::Stored,
            Fate::Shed => {
                Counter::IntakeShedTotal.add(lane.as_str(), 1);
                Durable::Shed
            }
        }
    }

    /// Alarms wait for room and hold back their sender; states and telemetry are shed.
    async fn decide(&self, lane: Lane, report: SealedReport) -> Fate {
        if lane > Lane::B && self.tight.load(Ordering::Relaxed) {
            return Fate::Shed;
        }
        let mut input = Input::Report(Box::new(report));
        let answered = loop {
            match self.queue.offer(lane, input) {
                Ok(answered) => break answered,
                Err(_shed) if lane > Lane::B => return Fate::Shed,
                Err(back) => input = back,
            }
            self.queue.space().await;
        };
        match answered.await {
            Ok(_receipt) => Fate::Durable,
            Err(refusal) if refusal.code == RefusalCode::Duplicate => Fate::Durable,
            Err(refusal) => {
                Counter::CoreRefusedTotal.add(refusal.code.as_str(), 1);
                Fate::Refused
            }
        }
    }
}

impl Seal for Edge {
    fn seal(&self, clear: &[u8]) -> Option<Sealed> {
        match self.vault.seal(&day_subject(clock::now()), clear) {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                tracing::error!(error = %Chain(&error), "Typed words could not be sealed.");
                None
            }
        }
    }

    fn token(&self, purpose: &'static str, clear: &[u8]) -> Token {
        self.vault.token(purpose, clear)
    }
}

impl hansho_alerts::mail::Lookups for Edge {
    fn answer_mac(&self, effect: EffectId) -> [u8; 16] {
        self.vault.mac(ANSWER_PURPOSE, effect.to_string().as_bytes())
    }

    fn district_name(&self, district: DistrictId, language: Language) -> Option<String> {
        district_name(district, language)
    }
}

/// Purpose of the proofs in answer links.
pub const ANSWER_PURPOSE: &str = "answer";

/// Name of a district in a language.
#[must_use]
pub fn district_name(district: DistrictId, language: Language) -> Option<String> {
    let district = by_id(district)?;
    Some(match language {
        Language::Ja => district.name.to_owned(),
        Language::En => district.name_latin.to_owned(),
    })
}

/// Data that belongs to no registered person is sealed under a key of its civil day in Japan, so
/// that it, too, can be destroyed when its time is over.
fn day_subject(at: Timestamp) -> String {
    format!("day:{}", Offset::constant(9).to_datetime(at).date())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use hansho_core::State;
    use hansho_journal::SqliteJournal;
    use hansho_model::Private;
    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::HouseClock;
    use crate::live::{self, Outlets};
    use crate::replica::Replica;
    use crate::sequencer::Sequencer;

    fn call() -> Report {
        Report {
            door: Door::Dc09,
            device: "4901".to_owned(),
            lane: Lane::A,
            observed_at: None,
            device_key: vec![1],
            findings: Vec::new(),
            position: None,
            telemetry: None,
            text: None,
            raw: Private(b"frame".to_vec()),
            refused: None,
            deviations: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_report_is_accounted_for_though_its_sender_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path()).unwrap();
        let vault = Arc::new(Vault::open(folder.path()).unwrap());
        let (queue, books) = (Arc::new(Queue::default()), Arc::new(Books::default()));
        let subjects = Subjects::default();
        let edge = Arc::new(Edge::new(vault, Arc::clone(&queue), Arc::clone(&books), subjects));
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let waits = tokio::spawn(edge.take(peer, clock::now(), call()));
        while queue.waiting(Lane::A) == 0 {
            tokio::task::yield_now().await;
        }
        waits.abort();
        assert!(waits.await.unwrap_err().is_cancelled(), "the connection is gone");
        queue.stop();
        let live = std::thread::spawn(move || {
            let (replica, _batches) = sync_channel(4);
            let (outbox, _changes) = mpsc::channel(4);
            let readers = Arc::new(Replica::new(State::default(), None));
            let outlets = Outlets { replica, readers, outbox, committed: |_, _, _| {} };
            let mut sequencer = Sequencer::new(State::default(), journal);
            live::run(&mut sequencer, &queue, &outlets, &HouseClock::new(None))
        });
        live.join().unwrap().unwrap();
        let settled = async {
            while books.read().iter().any(|book| book.durable == 0 && book.received > 0) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled).await.unwrap();
    }
}
