//! The edge: where personal values are sealed on their way in, and opened on their way out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hansho_atlas::by_id;
use hansho_console::{Answered, Seal};
use hansho_intake::{Decided, Sink};
use hansho_journal::{Vault, VaultError};
use hansho_model::{
    CallFact, CallOffer, CallReport, CallSaid, CallerLocation, DistrictId, Door, EffectId,
    FrameFault, Input, Lane, Language, LoadLevel, Private, Receipt, Refusal, RefusalCode, Report,
    Sealed, SealedCallReport, SealedReport, Token,
};
use hansho_protocols::Durable;
use hansho_telemetry::{Chain, Counter, Histogram};
use jiff::{Timestamp, tz::Offset};
use tokio::sync::{oneshot, watch};

use crate::accounting::{Books, Fate};
use crate::clock;
use crate::live::Queue;
use crate::registry::Subjects;
use crate::thin::{Offered, Stream, Thinner};

/// The edge of the house.
pub struct Edge {
    vault: Arc<Vault>,
    queue: Arc<Queue>,
    books: Arc<Books>,
    subjects: Subjects,
    thinner: Arc<Thinner>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge")
    }
}

impl Edge {
    /// With the keys, the way into the core, the counters, and whose data a device's reports are.
    #[must_use]
    pub fn new(
        vault: Arc<Vault>,
        queue: Arc<Queue>,
        books: Arc<Books>,
        subjects: Subjects,
    ) -> Self {
        Self { vault, queue, books, subjects, thinner: Arc::default() }
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
                enter(&self.queue, Lane::A, Input::Call { said: Box::new(said), caller }).await
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
            Fate::Durable | Fate::Coalesced | Fate::Refused(_) => Durable::Stored,
            Fate::Shed => {
                Counter::IntakeShedTotal.add(lane.as_str(), 1);
                Durable::Shed
            }
        }
    }
}

impl Sink for Edge {
    /// Sealed and queued before this returns: no alarm stands behind other tasks' turns, and what
    /// comes by one connection is decided about in its order.
    fn take(self: Arc<Self>, peer: SocketAddr, received_at: Timestamp, report: Report) -> Decided {
        let (door, lane) = (report.door, report.lane);
        let believed = report.refused.is_none();
        self.books.receive(door);
        Counter::IntakeReportsTotal.add(lane.as_str(), 1);
        // Keys are in memory but for the first report of a day: then a short write to a file.
        // Only these are ever given up.
        let device = if lane > Lane::B { report.device.clone() } else { String::new() };
        // Whatever its lane: an alarm's position says where the wearer is, too.
        let crossed = self.crosses(&report);
        let keep = lane == Lane::D && crossed.is_some();
        let begun = if self.gives_up(lane, keep) {
            Begun::GivenUp
        } else {
            match self.seal(peer, received_at, report) {
                Ok(report) => self.begin(lane, keep, Box::new(report)),
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "A report could not be sealed.");
                    Begun::GivenUp
                }
            }
        };
        Box::pin(async move {
            let fate = match begun {
                Begun::Queued(answered) => fate_of(answered.await),
                Begun::Thinned(waits) => waits.await.unwrap_or(Fate::Shed),
                Begun::Full(input) => submit(&self.queue, lane, input).await,
                Begun::GivenUp => Fate::Shed,
            };
            if matches!(fate, Fate::Shed | Fate::Coalesced) {
                self.books.give_up(door, &device, lane, fate);
            }
            if fate == Fate::Durable {
                // A wall that was set back meanwhile makes this nothing, and never less.
                let took = clock::now().duration_since(received_at).as_secs_f64();
                Histogram::IntakeDurableSeconds.record_for(lane.as_str(), took.max(0.0));
            }
            let durable = self.book(door, lane, fate);
            if let Some(source) = crossed.filter(|_source| fate != Fate::Durable) {
                self.thinner.forget(&source);
            }
            // What is refused for its rate alone is in no journal: a sender that would hear
            // "taken" does not hear it.
            let limited = fate == Fate::Refused(RefusalCode::RateLimited);
            if limited && believed { Durable::Shed } else { durable }
        })
    }

    fn refuse(&self, door: Door, fault: FrameFault) {
        self.books.receive(door);
        self.books.settle(door, Fate::Refused(RefusalCode::Invalid));
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

    fn load(&self) -> watch::Receiver<LoadLevel> {
        self.queue.board().watch()
    }

    fn held_back(&self, waited: Duration) {
        self.queue.board().note_held_back(waited);
    }
}

/// How far a report has come at once.
enum Begun {
    /// It waits for its commit.
    Queued(Answered),
    /// It waits for the end of a window.
    Thinned(oneshot::Receiver<Fate>),
    /// Its lane is full.
    Full(Input),
    /// It is shed.
    GivenUp,
}

impl Edge {
    /// Whose position this is, when a safe zone is concerned.
    fn crosses(&self, report: &Report) -> Option<String> {
        let place = report.telemetry.and_then(|said| said.fix).filter(|fix| fix.valid);
        let position = place.map(|fix| fix.position).or(report.position)?;
        let source = format!("{}:{}", report.door, report.device);
        let believed = report.refused.is_none();
        let crosses =
            believed && self.thinner.crosses(&source, self.subjects.zones(&source), position);
        crosses.then_some(source)
    }

    /// Whether a lane is shed just now: asked before anything is spent on its reports. `keep` is said
    /// of a position that concerns a safe zone.
    fn gives_up(&self, lane: Lane, keep: bool) -> bool {
        let board = self.queue.board();
        match lane {
            Lane::A | Lane::B => false,
            Lane::D if !keep => board.is_tight() || board.level() >= LoadLevel::REFUSE_TELEMETRY,
            Lane::C | Lane::D => board.is_tight() || board.level() >= LoadLevel::ALARMS_ONLY,
        }
    }

    /// Alarms wait for room and hold back their sender; states and telemetry are thinned.
    fn begin(&self, lane: Lane, keep: bool, report: Box<SealedReport>) -> Begun {
        let level = self.queue.board().level();
        let thinned = match lane {
            Lane::A | Lane::B => false,
            Lane::C => level >= LoadLevel::THIN_STATES || self.thinner.is_open(lane, &report),
            Lane::D if keep => false,
            Lane::D => level >= LoadLevel::THIN_TELEMETRY || self.thinner.is_open(lane, &report),
        };
        let mut passing = report;
        if thinned {
            let stream = Stream::of(lane, &passing);
            match self.thinner.offer(&stream, passing) {
                Offered::Waits(waits) => return Begun::Thinned(waits),
                Offered::Passes(report) => passing = report,
            }
            let (queue, thinner) = (Arc::clone(&self.queue), Arc::clone(&self.thinner));
            tokio::spawn(windows(queue, thinner, lane, stream));
        }
        match self.queue.offer(lane, Input::Report(passing)) {
            Ok(answered) => Begun::Queued(answered),
            Err(_shed) if lane > Lane::B => Begun::GivenUp,
            Err(back) => Begun::Full(back),
        }
    }
}

/// Lets the newest report of each window go on, until one ends in which nothing came.
async fn windows(queue: Arc<Queue>, thinner: Arc<Thinner>, lane: Lane, stream: Stream) {
    loop {
        tokio::time::sleep(thinner.window()).await;
        let Some(held) = thinner.close(&stream) else { return };
        let fate = submit(&queue, lane, Input::Report(held.report.clone())).await;
        held.settle(fate);
    }
}

async fn submit(queue: &Queue, lane: Lane, input: Input) -> Fate {
    match enter(queue, lane, input).await {
        Some(answered) => fate_of(answered.await),
        None => Fate::Shed,
    }
}

/// Into the queue: alarms wait for room and hold back their sender, all else is given up.
pub(crate) async fn enter(queue: &Queue, lane: Lane, mut input: Input) -> Option<Answered> {
    loop {
        match queue.offer(lane, input) {
            Ok(answered) => return Some(answered),
            Err(_shed) if lane > Lane::B => return None,
            Err(back) => input = back,
        }
        queue.space().await;
    }
}

pub(crate) fn fate_of(answer: Result<Receipt, Refusal>) -> Fate {
    match answer {
        Ok(_receipt) => Fate::Durable,
        Err(refusal) if refusal.code == RefusalCode::Duplicate => Fate::Durable,
        Err(refusal) => {
            Counter::CoreRefusedTotal.add(refusal.code.as_str(), 1);
            Fate::Refused(refusal.code)
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

    use hansho_console::view::Accounting;
    use hansho_core::State;
    use hansho_journal::{SqliteJournal, SqliteReader};
    use hansho_model::{
        AlarmClass, AlarmKind, CallRef, Event, Finding, LocationSource, Phase, Private, Seq,
    };
    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::HouseClock;
    use crate::live::{self, Outlets};
    use crate::replica::Replica;
    use crate::sequencer::Sequencer;

    fn report(lane: Lane, device: &str, number: u8) -> Report {
        Report {
            door: Door::Mqtt,
            device: device.to_owned(),
            lane,
            observed_at: None,
            device_key: vec![number],
            findings: Vec::new(),
            position: None,
            telemetry: None,
            text: None,
            raw: Private(vec![number]),
            refused: None,
            deviations: Vec::new(),
        }
    }

    /// An edge with a live thread behind it.
    struct House {
        edge: Arc<Edge>,
        folder: tempfile::TempDir,
        journal: Option<SqliteJournal>,
        live: Option<std::thread::JoinHandle<()>>,
    }

    impl House {
        fn new(window: Duration) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let journal = Some(SqliteJournal::open(folder.path()).unwrap());
            let vault = Arc::new(Vault::open(folder.path()).unwrap());
            let (queue, books) = (Arc::default(), Arc::default());
            let mut edge = Edge::new(vault, queue, books, Subjects::default());
            edge.thinner = Arc::new(Thinner::new(window));
            Self { edge: Arc::new(edge), folder, journal, live: None }
        }

        fn begin(&mut self) {
            let (queue, journal) = (Arc::clone(&self.edge.queue), self.journal.take().unwrap());
            let runtime = tokio::runtime::Handle::current();
            self.live = Some(std::thread::spawn(move || {
                // Nobody folds or sends what is committed here.
                let (replica, _batches) = sync_channel(65_536);
                let (outbox, _changes) = mpsc::channel(65_536);
                let readers = Arc::new(Replica::new(State::default(), None));
                let outlets =
                    Outlets { replica, readers, outbox, runtime, committed: |_, _, _| {} };
                let mut sequencer = Sequencer::new(State::default(), journal);
                live::run(&mut sequencer, &queue, &outlets, &HouseClock::new(None)).unwrap();
            }));
        }

        fn take(&self, report: Report) -> tokio::task::JoinHandle<Durable> {
            let peer = SocketAddr::from(([127, 0, 0, 1], 9));
            tokio::spawn(Arc::clone(&self.edge).take(peer, clock::now(), report))
        }

        fn book(&self) -> Accounting {
            self.edge.books.read().into_iter().find(|book| book.door == "mqtt").unwrap()
        }

        /// What the journal says was received, and how often each device was named as limited.
        fn end(mut self) -> (Vec<Vec<u8>>, usize) {
            self.edge.queue.stop();
            self.live.take().unwrap().join().unwrap();
            let events = SqliteReader::open(self.folder.path()).unwrap().read(Seq::ZERO, 10_000);
            let mut keys = Vec::new();
            let mut limited = 0;
            for recorded in events.unwrap() {
                if let Event::ReportReceived(report) = recorded.event {
                    keys.push(report.device_key);
                } else if matches!(recorded.event, Event::AlarmsLimited { .. }) {
                    limited += 1;
                }
            }
            (keys, limited)
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
        let mut house = House::new(Duration::from_secs(5));
        house.begin();
        let said = offer("c1", Some("+819000000001"));
        for _each in 0..2 {
            let heard = Arc::clone(&house.edge).hear(said.clone()).await;
            let heard = tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
            assert_eq!(heard, Durable::Stored, "a repeat is answered like the first");
        }
        let books = house.edge.books.read();
        let book = books.iter().find(|book| book.door == "sip").unwrap();
        assert_eq!((book.received, book.durable), (2, 2));
        house.end();
    }

    #[tokio::test]
    async fn a_report_is_queued_at_once_and_accounted_for_when_it_is_durable() {
        let mut house = House::new(Duration::from_secs(5));
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let decided = Arc::clone(&house.edge).take(peer, clock::now(), report(Lane::A, "4901", 1));
        assert_eq!(house.edge.queue.waiting(Lane::A), 1, "before anybody waits for it");
        assert_eq!(house.book().in_flight, 1);
        house.begin();
        let decided = tokio::time::timeout(Duration::from_secs(10), decided).await.unwrap();
        assert_eq!((decided, house.book().durable), (Durable::Stored, 1));
        assert_eq!(house.end().0.len(), 1);
    }

    #[tokio::test]
    async fn of_a_devices_telemetry_the_newest_goes_on_and_all_is_accounted_for() {
        let mut house = House::new(Duration::from_millis(100));
        house.begin();
        house.edge.queue.board().show(LoadLevel::THIN_TELEMETRY);
        let mut waiting = vec![house.take(report(Lane::D, "T-1", 0))];
        // The first one passes at once, and opens the window.
        while house.book().durable == 0 {
            tokio::task::yield_now().await;
        }
        for number in 1..=9 {
            waiting.push(house.take(report(Lane::D, "T-1", number)));
            while house.book().received <= u64::from(number) {
                tokio::task::yield_now().await;
            }
        }
        let others =
            [report(Lane::D, "T-2", 0), report(Lane::C, "T-1", 100), report(Lane::A, "T-1", 101)];
        waiting.extend(others.map(|each| house.take(each)));
        for each in waiting {
            assert_eq!(each.await.unwrap(), Durable::Stored);
        }
        let book = house.book();
        assert_eq!((book.received, book.durable, book.coalesced, book.in_flight), (13, 5, 8, 0));
        let [line] = &book.given_up[..] else { panic!("{:?}", book.given_up) };
        assert_eq!((&*line.device, &*line.lane, line.shed, line.coalesced), ("T-1", "D", 0, 8));
        let (mut keys, _) = house.end();
        keys.sort_unstable();
        assert_eq!(keys, [vec![0], vec![0], vec![9], vec![100], vec![101]]);
    }

    #[tokio::test]
    async fn nothing_overtakes_what_still_waits_when_the_load_falls() {
        let mut house = House::new(Duration::from_millis(200));
        house.begin();
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let take = |number| {
            let report = report(Lane::C, "T-1", number);
            Arc::clone(&house.edge).take(peer, clock::now(), report)
        };
        house.edge.queue.board().show(LoadLevel::THIN_STATES);
        assert_eq!(take(1).await, Durable::Stored);
        let older = take(2);
        house.edge.queue.board().show(LoadLevel::CALM);
        let newer = take(3);
        assert_eq!((older.await, newer.await), (Durable::Stored, Durable::Stored));
        assert_eq!(house.book().coalesced, 1, "the newer one stands for the older");
        assert_eq!(house.end().0, [vec![1], vec![3]]);
    }

    #[tokio::test]
    async fn what_is_given_up_is_refused_and_alarms_never_are() {
        let mut house = House::new(Duration::from_millis(10));
        house.begin();
        for (number, taken) in [(0, 4), (1, 4), (2, 3), (3, 3), (4, 2)] {
            house.edge.queue.board().show(LoadLevel::new(number).unwrap());
            let device = format!("T-{number}");
            let mut stored = 0;
            for lane in Lane::ALL {
                let decided = house.take(report(lane, &device, number)).await.unwrap();
                stored += usize::from(decided == Durable::Stored);
            }
            // Lane A and B of one device and number are one message.
            assert_eq!(stored, taken, "level {number}");
        }
        let book = house.book();
        assert_eq!((book.received, book.shed, book.in_flight), (20, 4, 0));
        let lines: Vec<_> =
            book.given_up.iter().map(|line| (&*line.device, &*line.lane, line.shed)).collect();
        assert_eq!(lines, [("T-2", "D", 1), ("T-3", "D", 1), ("T-4", "C", 1), ("T-4", "D", 1)]);
        assert_eq!(book.received, book.durable + book.refused + book.shed + book.coalesced);
        house.end();
    }

    #[tokio::test]
    async fn a_lane_that_fills_is_a_level_in_the_journal_and_alarms_pass_it() {
        let mut house = House::new(Duration::from_millis(10));
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let take = |report| Arc::clone(&house.edge).take(peer, clock::now(), report);
        let flood: Vec<Decided> =
            (0..14_000).map(|n: u32| take(report(Lane::D, &format!("T-{n}"), 0))).collect();
        let alarm = take(report(Lane::A, "P-1", 1));
        house.begin();
        assert_eq!(alarm.await, Durable::Stored);
        // The first commit holds the change: more than four fifths of lane D were taken.
        assert_eq!(house.edge.queue.board().level(), LoadLevel::REFUSE_TELEMETRY);
        let late = house.take(report(Lane::D, "T-1", 9)).await.unwrap();
        assert_eq!(late, Durable::Shed);
        for each in flood {
            assert_eq!(each.await, Durable::Stored, "what was taken is not given up");
        }
        let book = house.book();
        assert_eq!((book.received, book.durable, book.shed), (14_002, 14_001, 1));
        house.edge.queue.stop();
        house.live.take().unwrap().join().unwrap();
        let events = SqliteReader::open(house.folder.path()).unwrap().read(Seq::ZERO, 2_000);
        let changed = Event::LoadChanged { level: LoadLevel::REFUSE_TELEMETRY };
        assert!(events.unwrap().iter().any(|each| each.event == changed));
    }

    #[tokio::test]
    async fn a_telemetry_device_may_call_six_times_a_minute() {
        let mut house = House::new(Duration::from_millis(10));
        house.begin();
        let help = Finding {
            class: AlarmClass::Life,
            kind: AlarmKind::Help,
            phase: Phase::New,
            code: String::new(),
            zone: String::new(),
        };
        let mut told = Vec::new();
        for number in 0..20 {
            let alarm = Report {
                findings: vec![help.clone()],
                deviations: vec![hansho_model::Deviation::AlarmFromTelemetry],
                ..report(Lane::A, "T-1", number)
            };
            told.push(house.take(alarm).await.unwrap());
        }
        let stored = told.iter().filter(|each| **each == Durable::Stored).count();
        let book = house.book();
        assert_eq!(book.received, book.durable + book.refused);
        let (keys, limited) = house.end();
        // The minute may turn once while this runs.
        assert!((7..=14).contains(&stored) && keys.len() == stored, "{stored}");
        assert!((1..=2).contains(&limited), "{limited}");
    }
}
