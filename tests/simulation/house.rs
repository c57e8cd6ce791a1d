//! The house under test: real sessions, lanes, sequencer, core, desk and books, driven as the
//! engine drives them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hansho_core::State;
use hansho_engine::accounting::{Books, Fate};
use hansho_engine::clock::Steady;
use hansho_engine::lanes::{Envelope, LANE_CAPACITY, Lanes};
use hansho_engine::live::{changes, is_of_outbox, left_waiting};
use hansho_engine::sequencer::Sequencer;
use hansho_model::{
    CommandId, Door, Effect, EffectId, EffectOutcome, Input, Lane, Recorded, Refusal, RefusalCode,
    Report, SealedCallReport, SealedReport,
};
use hansho_outbox::{Action, Change, Desk, Limits, Provider};
use hansho_protocols::{Durable, Output, Protocol, Receipt, Session, Setup, Transport};
use jiff::Timestamp;

use super::audit::{acked, puback, sequence_of};
use super::disk::{Fault, ModelJournal};
use super::plan::Sabotage;
use super::satellite::{LOOK_US, Port};
use super::town::{Pendant, sealed};
use super::world::{CoreStep, Happening, Heard, World, uncertain, until};

/// Who waits for an answer of the core.
#[derive(Debug)]
pub(super) enum Waiter {
    Frame { door: Door, connection: u64, receipt: Receipt },
    Telemetry,
    Words(Receipt),
    Command(usize, CommandId),
    Said(usize, Box<SealedCallReport>),
    Answer(usize),
    Asked(Vec<EffectId>),
    Reported(Vec<EffectOutcome>),
    Nobody,
}

/// What a commit lets the house say, piece by piece.
enum Piece {
    Reply(Waiter, Heard),
    Fold(Arc<[Recorded]>),
    Change(Change),
}

struct Connection {
    session: Box<dyn Session>,
    pendant: usize,
    waiting: u32,
    /// Number of what was said last.
    said: Option<u16>,
}

/// One run of the core process.
pub(super) struct House {
    sequencer: Sequencer<ModelJournal>,
    lanes: Lanes<Waiter>,
    connections: BTreeMap<u64, Connection>,
    datagrams: u64,
    books: Books,
    in_flight: u64,
    desk: Desk,
    /// Changes on their way to the desk, in the order of the journal.
    to_desk: VecDeque<Change>,
    replica: State,
    /// A commit is under way, or what it brought is being told.
    busy: bool,
    /// Events were folded and not committed.
    ahead: bool,
    pieces: VecDeque<Piece>,
    /// When the live thread and the desk will look at the clock.
    tick_at: i64,
    wake_at: i64,
    steady: Steady,
    begun: i64,
    pub(super) port: Option<Port>,
}

/// Connections below this number are the home units' streams, and above it datagrams.
const STREAMS: u64 = 1_000;
/// From this number on they are streams that are dialled for one message.
pub(super) const LINKS: u64 = 1_000_000;
/// More actions than this at one time mean that the desk spins.
const ACTIONS_MAX: u32 = 10_000;

impl House {
    pub(super) fn state(&self) -> &State {
        self.sequencer.state()
    }

    pub(super) const fn replica(&self) -> &State {
        &self.replica
    }

    /// Something came in that waits for its commit.
    pub(super) fn receive(&mut self, door: Door) {
        self.books.receive(door);
        self.in_flight += 1;
    }

    pub(super) const fn desk_mut(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// The live state, if all of it was committed.
    pub(super) fn last_words(&self) -> Option<State> {
        (!self.ahead).then(|| self.sequencer.state().clone())
    }

    pub(super) fn check_books(&self) {
        let books = self.books.read();
        let in_flight: u64 = books.iter().map(|book| book.in_flight).sum();
        assert!(in_flight == self.in_flight, "{} are under way: {books:?}", self.in_flight);
        for book in books {
            let fates = book.durable + book.refused + book.shed + book.in_flight;
            assert!(book.received == fates, "{book:?}");
        }
        for lane in Lane::ALL {
            assert!(self.lanes.len(lane) <= LANE_CAPACITY[lane.index()], "lane {lane:?} overflows");
        }
        let counts = self.desk.counts();
        assert!(counts.flying <= counts.in_flight && counts.in_flight <= 256, "{counts:?}");
    }

    /// At the end nothing is under way anywhere.
    pub(super) fn check_rest(&self) {
        self.check_books();
        assert!(self.in_flight == 0 && self.lanes.is_empty() && !self.busy, "not at rest");
        assert!(self.pieces.is_empty() && self.to_desk.is_empty(), "not all is told");
        let counts = self.desk.counts();
        assert!(
            (counts.known, counts.in_flight, counts.unreported) == (0, 0, 0),
            "the desk is not at rest: {counts:?}"
        );
        assert!(self.replica == *self.state(), "the replica is not the live state");
    }
}

impl World {
    /// A new core goes on from what the journal says.
    pub(super) fn open_house(&mut self, state: State) {
        let limits = Limits::for_width(self.dice.place(4) + 1);
        let mut desk = Desk::new(limits.with_provider_max(self.dice.place(2) + 1));
        for change in left_waiting(&state) {
            desk.handle_change(change, provider);
        }
        if self.plan.sabotage == Sabotage::RepeatsInterrupted {
            self.repeat_interrupted(&state);
        }
        let journal = ModelJournal::open(&self.disk);
        let steady = Steady::new(state.at().unwrap_or(Timestamp::MIN), Duration::ZERO);
        self.house = Some(House {
            replica: state.clone(),
            sequencer: Sequencer::new(state, journal),
            lanes: Lanes::default(),
            connections: BTreeMap::new(),
            datagrams: STREAMS,
            books: Books::default(),
            in_flight: 0,
            desk,
            to_desk: VecDeque::new(),
            busy: false,
            ahead: false,
            pieces: VecDeque::new(),
            tick_at: -1,
            wake_at: -1,
            steady,
            begun: self.now,
            port: None,
        });
        if self.dice.one_in(6) {
            self.change_register();
        }
        if self.epoch == 1 || self.plan.sabotage != Sabotage::SkipsStart {
            let start = Input::Start(Box::new(self.town.start.clone()));
            self.submit(Lane::B, start, Waiter::Nobody);
        }
        self.core_after_ms(0, CoreStep::Desk);
        self.core_after_ms(0, CoreStep::Tick);
        self.open_port();
    }

    pub(super) fn core_step(&mut self, step: CoreStep) {
        match step {
            CoreStep::Commit => self.commit(),
            CoreStep::Tell => self.tell_pieces(),
            CoreStep::Desk => self.desk_turn(),
            CoreStep::DeskHearsAsked(ids, heard) => {
                let now = self.steady();
                let house = self.house.as_mut().unwrap();
                house.desk.handle_asked(now, ids, heard);
                self.desk_turn();
            }
            CoreStep::DeskHearsReported(outcomes, heard) => {
                let now = self.steady();
                let house = self.house.as_mut().unwrap();
                house.desk.handle_reported(now, outcomes, heard);
                self.desk_turn();
            }
            CoreStep::Tick => self.wake_live(),
        }
    }

    /// The way into the core. `false` when the lane is full: not taken.
    pub(super) fn submit(&mut self, lane: Lane, input: Input, reply: Waiter) -> bool {
        let Some(house) = self.house.as_mut() else { return false };
        let taken = house.lanes.push(lane, Envelope { input, reply }).is_ok();
        self.wake_live();
        taken
    }

    /// The live thread has something to do, or its deadline has come.
    fn wake_live(&mut self) {
        if self.house.is_none() {
            return;
        }
        let now = self.steady();
        let house = self.house.as_mut().unwrap();
        let deadline = house.sequencer.state().next_deadline();
        let due = deadline.is_some_and(|deadline| deadline <= now);
        if house.busy {
            return;
        }
        if due || !house.lanes.is_empty() {
            house.busy = true;
            let wait = self.dice.between(0, 1);
            self.core_after_ms(wait, CoreStep::Commit);
        } else if let Some(deadline) = deadline {
            let at = self.now + until(now, deadline).min(LOOK_US);
            if house.tick_at <= self.now || at < house.tick_at {
                house.tick_at = at;
                self.core_at(at, CoreStep::Tick);
            }
        }
    }

    fn commit(&mut self) {
        let (now, wall) = (self.steady(), self.wall());
        if self.dice.one_in(self.plan.disk) {
            let before = self.dice.one_in(2);
            let fault = if before { Fault::BeforeDurable } else { Fault::AfterDurable };
            self.disk.read().fault = Some(fault);
        }
        let house = self.house.as_mut().unwrap();
        let mut batch = house.lanes.drain();
        if house.sequencer.state().next_deadline().is_some_and(|deadline| deadline <= now) {
            batch.push(Envelope { input: Input::Tick, reply: Waiter::Nobody });
        }
        let asked = batch.iter().any(|each| is_of_outbox(&each.input));
        house.ahead = true;
        let Ok(committed) = house.sequencer.step_at(now, wall, batch) else {
            // Nobody may be answered; the process ends.
            self.crash();
            return;
        };
        house.ahead = false;
        // A fault that found nothing to append waits for nobody.
        self.disk.read().fault = None;
        let last = committed.events.last().map(|event| event.seq);
        let replies = committed.replies.into_iter();
        house.pieces.extend(replies.map(|(waiter, heard)| Piece::Reply(waiter, heard)));
        if last.is_some() {
            house.pieces.push_back(Piece::Fold(committed.events));
        }
        let changes = changes(house.sequencer.state(), committed.effects, asked);
        house.pieces.extend(changes.map(Piece::Change));
        let wait = if last.is_some() { self.dice.between(0, self.plan.commit_ms_max) } else { 0 };
        self.core_after_ms(wait, CoreStep::Tell);
    }

    /// Tells some of what a commit brought; a crash may come between any two pieces.
    fn tell_pieces(&mut self) {
        let many = self.house.as_ref().unwrap().pieces.len() > 200;
        let count = if many { 1_000 } else { 1 + self.dice.below(6) };
        for _each in 0..count {
            let Some(piece) = self.house.as_mut().and_then(|house| house.pieces.pop_front()) else {
                break;
            };
            match piece {
                Piece::Reply(waiter, heard) => self.reply(waiter, heard),
                Piece::Fold(events) => {
                    let house = self.house.as_mut().unwrap();
                    for recorded in events.iter() {
                        house.replica.evolve(recorded);
                    }
                }
                Piece::Change(change) => {
                    self.house.as_mut().unwrap().to_desk.push_back(change);
                    if self.dice.one_in(4) {
                        self.desk_soon();
                    }
                }
            }
        }
        let house = self.house.as_mut().unwrap();
        if house.pieces.is_empty() {
            house.busy = false;
            self.desk_soon();
            self.wake_live();
        } else {
            self.core_after_ms(0, CoreStep::Tell);
        }
    }

    fn reply(&mut self, waiter: Waiter, heard: Heard) {
        let told = match &heard {
            Ok(receipt) => Some(receipt.seq),
            Err(refusal) => refusal.original,
        };
        match waiter {
            Waiter::Frame { door, connection, receipt } => {
                self.settle(door, &heard);
                self.answer_frame(connection, receipt, Durable::Stored);
            }
            Waiter::Words(receipt) => {
                self.settle(Door::Sbd, &heard);
                self.words_are_kept(receipt);
            }
            Waiter::Telemetry => self.settle(Door::Dc09, &heard),
            Waiter::Said(place, said) => self.said_is_heard(place, &said, &heard),
            Waiter::Command(place, id) => {
                told.into_iter().for_each(|seq| self.audit.promise(id, seq));
                if !self.dice.percent(self.plan.loss) {
                    let wait = self.delay();
                    self.after_ms(wait, Happening::DispatcherHears(place, id, heard));
                }
            }
            Waiter::Answer(place) => {
                let id = self.town.answers[place].answer.id;
                told.into_iter().for_each(|seq| self.audit.promise(id, seq));
                if !self.dice.percent(self.plan.loss) {
                    let wait = self.delay();
                    self.after_ms(wait, Happening::HelperHears(place, heard));
                }
            }
            Waiter::Asked(ids) => {
                let wait = self.dice.between(0, 20);
                self.core_after_ms(wait, CoreStep::DeskHearsAsked(ids, Some(heard)));
            }
            Waiter::Reported(outcomes) => {
                let wait = self.dice.between(0, 20);
                self.core_after_ms(wait, CoreStep::DeskHearsReported(outcomes, Some(heard)));
            }
            Waiter::Nobody => {}
        }
    }

    fn settle(&mut self, door: Door, heard: &Heard) {
        let house = self.house.as_mut().unwrap();
        house.in_flight -= 1;
        let fate = match heard {
            Ok(_receipt) => Fate::Durable,
            Err(refusal) if refusal.code == RefusalCode::Duplicate => Fate::Durable,
            Err(refusal) => Fate::Refused(refusal.code),
        };
        house.books.settle(door, fate);
        self.tally.refused += u64::from(fate != Fate::Durable);
    }

    /// Bytes reach the door.
    pub(super) fn bytes_arrive(
        &mut self,
        pendant: usize,
        stream: Option<(u32, u64)>,
        bytes: &[u8],
    ) {
        let now = self.wall();
        let accounts = Arc::clone(&self.town.accounts);
        let epoch = self.epoch;
        let Some(house) = self.house.as_mut() else { return };
        let (number, transport) = match stream {
            // The link broke when that core died.
            Some((of, _)) if of != epoch => return,
            Some((_, link)) => (link, Transport::Stream),
            None => {
                house.datagrams += 1;
                (house.datagrams, Transport::Datagram)
            }
        };
        let door = self.town.pendants[pendant].door;
        let connection = house.connections.entry(number).or_insert_with(|| {
            let limits = hansho_protocols::Limits::default();
            let protocol = match door {
                Door::Mqtt => Protocol::Mqtt,
                Door::Watch => Protocol::Watch,
                Door::Dc09 | Door::Console | Door::Answers | Door::Sip | Door::Quic | Door::Sbd => {
                    Protocol::Dc09
                }
            };
            let session = protocol.session(Setup::new(accounts, transport, limits, now));
            Connection { session, pendant, waiting: 0, said: None }
        });
        let handled = connection.session.handle_bytes(now, bytes);
        if let Err(error) = handled {
            house.books.receive(door);
            house.books.settle(door, Fate::Refused(RefusalCode::Invalid));
            if error.fatal {
                house.connections.remove(&number);
                return;
            }
        }
        self.drain(number);
    }

    /// Does what a session wants until it is idle.
    fn drain(&mut self, number: u64) {
        loop {
            let Some(connection) =
                self.house.as_mut().and_then(|house| house.connections.get_mut(&number))
            else {
                return;
            };
            let pendant = connection.pendant;
            match connection.session.poll_output() {
                Output::Report(receipt, report) => {
                    connection.waiting += 1;
                    connection.said = sequence_of(&report.raw.0);
                    self.take(number, receipt, *report);
                }
                Output::Transmit(bytes) => {
                    let said = connection.said;
                    self.transmit(pendant, number, said, bytes);
                }
                Output::Idle(_deadline) => break,
            }
        }
        let house = self.house.as_mut().unwrap();
        let over = house.connections.get(&number).is_some_and(|each| each.waiting == 0);
        if (STREAMS..LINKS).contains(&number) && over {
            house.connections.remove(&number);
        }
    }

    /// As the engine's edge does: seal, admit by lane, wait for the core.
    fn take(&mut self, connection: u64, receipt: Receipt, report: Report) {
        let received_at = self.wall();
        let key = connection.min(STREAMS);
        let source = format!("{}:{}", report.door, report.device);
        let mut sealed = SealedReport {
            door: report.door,
            lane: report.lane,
            observed_at: report.observed_at,
            received_at,
            device_key: report.device_key,
            findings: report.findings,
            position: report.position,
            telemetry: report.telemetry,
            text: report.text.map(|text| sealed(key, text.0.as_bytes())),
            raw: sealed(key, &report.raw.0),
            peer: sealed(key, b"peer"),
            refused: report.refused,
            deviations: report.deviations,
            source,
        };
        if self.plan.sabotage == Sabotage::SkipsDedupe && !sealed.device_key.is_empty() {
            sealed.device_key.extend(self.now.to_le_bytes());
        }
        let (door, lane) = (sealed.door, sealed.lane);
        let house = self.house.as_mut().unwrap();
        house.books.receive(door);
        if lane > Lane::B && self.tight {
            self.shed(door, connection, receipt, lane);
            return;
        }
        house.in_flight += 1;
        let waiter = Waiter::Frame { door, connection, receipt };
        if !self.submit(lane, Input::Report(Box::new(sealed)), waiter) {
            self.house.as_mut().unwrap().in_flight -= 1;
            self.shed(door, connection, receipt, lane);
        } else if self.plan.sabotage == Sabotage::AcksEarly {
            self.answer_frame(connection, receipt, Durable::Stored);
        }
    }

    fn shed(&mut self, door: Door, connection: u64, receipt: Receipt, lane: Lane) {
        assert!(lane > Lane::B, "an alarm is shed");
        self.house.as_mut().unwrap().books.settle(door, Fate::Shed);
        self.tally.shed += 1;
        self.answer_frame(connection, receipt, Durable::Shed);
    }

    fn answer_frame(&mut self, number: u64, receipt: Receipt, durable: Durable) {
        let now = self.wall();
        let house = self.house.as_mut().unwrap();
        let Some(connection) = house.connections.get_mut(&number) else { return };
        connection.waiting = connection.waiting.saturating_sub(1);
        connection.session.handle_durable(now, receipt, durable);
        self.drain(number);
    }

    /// An answer leaves for a device: this is where a promise is made.
    fn transmit(&mut self, pendant: usize, link: u64, said: Option<u16>, bytes: Vec<u8>) {
        let Pendant { door, account, .. } = &self.town.pendants[pendant];
        let promised = match door {
            Door::Watch => said.filter(|_| bytes.ends_with(b"*AL]")),
            Door::Mqtt => puback(&bytes),
            Door::Dc09 | Door::Console | Door::Answers | Door::Sip | Door::Quic | Door::Sbd => {
                acked(&bytes)
            }
        };
        if let Some(sequence) = promised {
            self.audit.ack(account, sequence);
        }
        if !self.dice.percent(self.plan.loss) {
            let wait = self.delay();
            self.after_ms(wait, Happening::ReplyArrives { pendant, link, bytes });
        }
    }

    /// Telemetry of a whole region at once, from devices of which nothing else is simulated.
    pub(super) fn flood(&mut self, count: u64) {
        let received_at = self.wall();
        for number in 0..count {
            let Some(house) = self.house.as_mut() else { return };
            house.books.receive(Door::Dc09);
            let report = SealedReport {
                door: Door::Dc09,
                source: format!("dc09:F{}", number % 50),
                lane: Lane::D,
                observed_at: None,
                received_at,
                device_key: Vec::new(),
                findings: Vec::new(),
                position: None,
                telemetry: None,
                text: None,
                raw: sealed(0, &number.to_le_bytes()),
                peer: sealed(0, b"peer"),
                refused: None,
                deviations: Vec::new(),
            };
            let envelope =
                Envelope { input: Input::Report(Box::new(report)), reply: Waiter::Telemetry };
            if house.lanes.push(Lane::D, envelope).is_ok() {
                house.in_flight += 1;
            } else {
                house.books.settle(Door::Dc09, Fate::Shed);
                self.tally.shed += 1;
            }
        }
        self.wake_live();
    }

    pub(super) fn snapshot(&self) {
        if let Some(house) = &self.house {
            let snapshot = (house.replica.seq(), house.replica.encode());
            self.disk.read().snapshot = Some(snapshot);
        }
    }

    pub(super) fn desk_soon(&mut self) {
        let wait = self.dice.between(0, 10);
        self.core_after_ms(wait, CoreStep::Desk);
    }

    /// The desk takes in what it was told and does what is to be done.
    pub(super) fn desk_turn(&mut self) {
        let now = self.steady();
        let some = self.dice.one_in(3);
        let house = self.house.as_mut().unwrap();
        let count = if some { house.to_desk.len().min(2) } else { house.to_desk.len() };
        for change in house.to_desk.drain(..count) {
            house.desk.handle_change(change, provider);
        }
        if !house.to_desk.is_empty() {
            self.desk_soon();
        }
        let mut actions = 0;
        while let Some(action) = self.house.as_mut().unwrap().desk.poll(now) {
            actions += 1;
            assert!(actions < ACTIONS_MAX, "the desk spins");
            match action {
                Action::Ask(ids) => self.ask(ids),
                Action::Deliver(task) => self.fly(task),
                Action::Report(outcomes) => self.report_outcomes(outcomes),
            }
        }
        let house = self.house.as_mut().unwrap();
        if let Some(wake) = house.desk.next_wake() {
            let at = self.now + until(now, wake);
            if house.wake_at <= self.now || at < house.wake_at {
                house.wake_at = at;
                self.core_at(at, CoreStep::Desk);
            }
        }
    }

    /// The time that the core and the desk act by.
    pub(super) fn steady(&mut self) -> Timestamp {
        let (wall, now) = (self.wall(), self.now);
        let house = self.house.as_mut().unwrap();
        let age = Duration::from_micros(u64::try_from(now - house.begun).unwrap());
        house.steady.read(wall, age)
    }

    fn ask(&mut self, ids: Vec<EffectId>) {
        if self.plan.sabotage == Sabotage::DeliversEarly {
            self.fly_early(&ids);
        }
        let refused = self.dice.one_in(50) && !self.healed;
        let no = busy(&mut self.dice);
        let waiter = Waiter::Asked(ids.clone());
        if refused {
            self.core_after_ms(0, CoreStep::DeskHearsAsked(ids, no));
        } else {
            let input = Input::Attempt(ids);
            assert!(self.submit(Lane::B, input.clone(), waiter), "lane B is full");
            if self.dice.one_in(8) {
                // The same once more: it must be refused, as the first is under way.
                self.submit(Lane::B, input, Waiter::Nobody);
            }
        }
    }

    fn report_outcomes(&mut self, outcomes: Vec<EffectOutcome>) {
        self.tally.uncertain += uncertain(&outcomes);
        if self.plan.sabotage == Sabotage::LosesOutcomes {
            let seq = self.house.as_ref().unwrap().state().seq();
            let heard = Some(Ok(hansho_model::Receipt { seq, last: seq }));
            self.core_after_ms(0, CoreStep::DeskHearsReported(outcomes, heard));
            return;
        }
        let refused = self.dice.one_in(50) && !self.healed;
        let no = busy(&mut self.dice);
        let waiter = Waiter::Reported(outcomes.clone());
        if refused {
            self.core_after_ms(0, CoreStep::DeskHearsReported(outcomes, no));
        } else {
            assert!(self.submit(Lane::B, Input::Outcome(outcomes), waiter), "lane B is full");
        }
    }
}

/// The core does not take an input: its lane is full, or it says "not now".
fn busy(dice: &mut super::dice::Dice) -> Option<Heard> {
    dice.one_in(2).then(|| Err(Refusal::new(RefusalCode::RateLimited)))
}

/// Mails go to three providers; other effects have no limits.
fn provider(effect: &Effect) -> Provider {
    match effect {
        Effect::Mail(mail) => {
            let place = usize::from(mail.recipient.token.0[0]) % 3;
            Provider::new(["au", "docomo", "softbank"][place])
        }
        Effect::ConnectCall { .. }
        | Effect::SendOrder(_)
        | Effect::SendMessage(_)
        | Effect::DestroyKey(_) => Provider::default(),
    }
}
