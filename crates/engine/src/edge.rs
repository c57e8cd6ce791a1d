//! The edge: where personal values are sealed on their way in, and opened on their way out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hansho_atlas::by_id;
use hansho_console::{Answered, Seal};
use hansho_intake::{Decided, Sink};
use hansho_journal::{Vault, VaultError};
use hansho_model::{
    CallFact, CallOffer, CallReport, CallSaid, CallerLocation, DistrictId, Door, EffectId,
    FrameFault, Input, Lane, Language, Private, Receipt, Refusal, RefusalCode, Report, Sealed,
    SealedCallReport, SealedReport, Token,
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

    /// Seals what the telephone side says. Callers are nobody in the register: their data is the
    /// day's. The token tells that two calls came from one number, and not from which.
    fn seal_call(&self, said: CallReport) -> Result<(SealedCallReport, Option<Token>), VaultError> {
        let CallSaid { call, received_at, unrecorded, fact } = said;
        let day = day_subject(received_at);
        let (fact, caller) = match fact {
            CallFact::Offered(offer) => {
                let number = offer.number.as_ref();
                let caller =
                    number.map(|number| self.vault.token(CALLER_PURPOSE, number.0.as_bytes()));
                (CallFact::Offered(Box::new(self.seal_offer(&day, *offer)?)), caller)
            }
            CallFact::Abandoned => (CallFact::Abandoned, None),
            CallFact::Connected { position } => (CallFact::Connected { position }, None),
            CallFact::NotConnected { position, status } => {
                (CallFact::NotConnected { position, status }, None)
            }
            CallFact::Ended { by } => (CallFact::Ended { by }, None),
        };
        Ok((CallSaid { call, received_at, unrecorded, fact }, caller))
    }

    fn seal_offer(
        &self,
        day: &str,
        offer: CallOffer<Private<String>, Private<Vec<u8>>>,
    ) -> Result<CallOffer<Sealed, Sealed>, VaultError> {
        let seal = |text: &Private<String>| self.vault.seal(day, text.0.as_bytes());
        let location = |each: CallerLocation<Private<String>>| -> Result<_, VaultError> {
            Ok(CallerLocation {
                source: each.source,
                shape: each.shape,
                centre: each.centre,
                radius: each.radius,
                confidence: each.confidence,
                method: each.method,
                at: each.at,
                civic: each.civic.as_ref().map(seal).transpose()?,
                refused: each.refused,
                marks: each.marks,
            })
        };
        let locations: Result<_, _> = offer.locations.into_iter().map(location).collect();
        Ok(CallOffer {
            number: offer.number.as_ref().map(seal).transpose()?,
            withheld: offer.withheld,
            service: offer.service,
            locations: locations?,
            peer: seal(&offer.peer)?,
            raw: self.vault.seal(day, &offer.raw.0)?,
        })
    }

    /// Puts what the telephone side says through the seal and into the queue: what is said first is
    /// decided about first. What comes of it ends when it is decided; only [`Durable::Stored`] says
    /// that it is in the journal: before that nothing may be answered.
    pub async fn hear(self: Arc<Self>, said: CallReport) -> Decided {
        self.books.receive(Door::Sip);
        Counter::IntakeReportsTotal.add(Lane::A.as_str(), 1);
        let entered = match self.seal_call(said) {
            Ok((said, caller)) => {
                self.enter(Lane::A, Input::Call { said: Box::new(said), caller }).await
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "A call could not be sealed.");
                None
            }
        };
        // A task of its own, as for reports: what became of it is booked though nobody waits.
        let booked = tokio::spawn(async move {
            let fate = match entered {
                Some(answered) => fate_of(answered.await),
                None => Fate::Shed,
            };
            self.book(Door::Sip, Lane::A, fate)
        });
        Box::pin(async move { booked.await.unwrap_or(Durable::Shed) })
    }

    /// Books what became of something that came in.
    fn book(&self, door: Door, lane: Lane, fate: Fate) -> Durable {
        self.books.settle(door, fate);
        match fate {
            Fate::Durable | Fate::Refused => Durable::Stored,
            Fate::Shed => {
                Counter::IntakeShedTotal.add(lane.as_str(), 1);
                Durable::Shed
            }
        }
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
            Ok(report) => self.decide(lane, Input::Report(Box::new(report))).await,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "A report could not be sealed.");
                Fate::Shed
            }
        };
        self.book(door, lane, fate)
    }

    async fn decide(&self, lane: Lane, input: Input) -> Fate {
        match self.enter(lane, input).await {
            Some(answered) => fate_of(answered.await),
            None => Fate::Shed,
        }
    }

    /// Alarms wait for room and hold back their sender; states and telemetry are shed.
    async fn enter(&self, lane: Lane, mut input: Input) -> Option<Answered> {
        if lane > Lane::B && self.tight.load(Ordering::Relaxed) {
            return None;
        }
        loop {
            match self.queue.offer(lane, input) {
                Ok(answered) => return Some(answered),
                Err(_shed) if lane > Lane::B => return None,
                Err(back) => input = back,
            }
            self.queue.space().await;
        }
    }
}

fn fate_of(answer: Result<Receipt, Refusal>) -> Fate {
    match answer {
        Ok(_receipt) => Fate::Durable,
        Err(refusal) if refusal.code == RefusalCode::Duplicate => Fate::Durable,
        Err(refusal) => {
            Counter::CoreRefusedTotal.add(refusal.code.as_str(), 1);
            Fate::Refused
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

/// Purpose of the tokens of callers' numbers.
const CALLER_PURPOSE: &str = "caller";

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
    use hansho_model::{CallRef, LocationSource};
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

    fn offer(call: &str, number: Option<&str>) -> CallReport {
        let location = CallerLocation {
            source: LocationSource::Value,
            shape: None,
            centre: None,
            radius: None,
            confidence: None,
            method: String::new(),
            at: None,
            civic: Some(Private("invented town".to_owned())),
            refused: None,
            marks: Vec::new(),
        };
        let fact = CallFact::Offered(Box::new(CallOffer {
            number: number.map(|number| Private(number.to_owned())),
            withheld: false,
            service: "sos".to_owned(),
            locations: vec![location],
            peer: Private("127.0.0.1:5060".to_owned()),
            raw: Private(b"INVITE".to_vec()),
        }));
        CallSaid {
            call: CallRef(call.to_owned()),
            received_at: clock::now(),
            unrecorded: false,
            fact,
        }
    }

    #[tokio::test]
    async fn callers_are_sealed_and_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::open(folder.path()).unwrap());
        let (queue, books) = (Arc::new(Queue::default()), Arc::new(Books::default()));
        let edge = Edge::new(Arc::clone(&vault), queue, books, Subjects::default());
        let seal = |call, number| edge.seal_call(offer(call, number)).unwrap();
        let (said, first) = seal("c1", Some("+819000000001"));
        let CallFact::Offered(sealed) = said.fact else { panic!("another fact") };
        let clear = |sealed: &Sealed| hansho_model::Reveal::reveal_text(&*vault, sealed).unwrap();
        assert_eq!(clear(sealed.number.as_ref().unwrap()), "+819000000001");
        assert_eq!(clear(sealed.locations[0].civic.as_ref().unwrap()), "invented town");
        assert_eq!((clear(&sealed.raw), clear(&sealed.peer).len()), ("INVITE".to_owned(), 14));
        assert!(first.is_some());
        assert_eq!(seal("c2", Some("+819000000001")).1, first, "the same number");
        assert_ne!(seal("c3", Some("+819000000002")).1, first, "another");
        assert_eq!(seal("c4", None).1, None);
        let ended = CallSaid { fact: CallFact::Abandoned, ..offer("c1", None) };
        assert_eq!(edge.seal_call(ended).unwrap().1, None);
    }

    #[tokio::test]
    async fn a_call_is_heard_when_it_is_in_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path()).unwrap();
        let vault = Arc::new(Vault::open(folder.path()).unwrap());
        let (queue, books) = (Arc::new(Queue::default()), Arc::new(Books::default()));
        let (to_core, counted) = (Arc::clone(&queue), Arc::clone(&books));
        let edge = Arc::new(Edge::new(vault, to_core, counted, Subjects::default()));
        let live = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                let (replica, _batches) = sync_channel(64);
                let readers = Arc::new(Replica::new(State::default(), None));
                let (outbox, _changes) = mpsc::channel(64);
                let outlets = Outlets { replica, readers, outbox, committed: |_, _, _| {} };
                let mut sequencer = Sequencer::new(State::default(), journal);
                live::run(&mut sequencer, &queue, &outlets, &HouseClock::new(None))
            })
        };
        let said = offer("c1", Some("+819000000001"));
        for _each in 0..2 {
            let heard = Arc::clone(&edge).hear(said.clone()).await;
            let heard = tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
            assert_eq!(heard, Durable::Stored, "a repeat is answered like the first");
        }
        queue.stop();
        live.join().unwrap().unwrap();
        let books = books.read();
        let book = books.iter().find(|book| book.door == "sip").unwrap();
        assert_eq!((book.received, book.durable), (2, 2));
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
