//! The world: virtual time, what happens next, and the crash that may come before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use hansho_core::{RecipientStatus, State};
use hansho_model::{
    AlarmKind, AssignmentId, Command, CommandId, EffectId, EffectOutcome, Event, KeyId, Outcome,
    Receipt, Refusal, Template, Token,
};
use jiff::Timestamp;

use super::audit::Audit;
use super::dice::Dice;
use super::disk::Disk;
use super::house::House;
use super::outside::{Flight, Mood};
use super::plan::Plan;
use super::town::Town;

/// What an asker hears.
pub(super) type Heard = Result<Receipt, Refusal>;

/// 2026-11-23T05:00:00Z in microseconds.
const BEGIN_US: i64 = 1_795_410_000_000_000;
/// A run that takes longer turns in a circle.
const STEPS_MAX: u64 = 100_000;
/// Steps told of a failed run.
const TOLD: usize = 60;
/// How long the longest run may need to come to rest, in microseconds.
const REST_US_MAX: i64 = 3_600_000_000;

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Happening {
    PendantTimer(usize),
    SiteTimer,
    ModemTimer,
    /// Bytes for the door; on a stream with the number of the core they were sent to, and its own.
    BytesArrive {
        pendant: usize,
        stream: Option<(u32, u64)>,
        bytes: Vec<u8>,
    },
    ReplyArrives {
        pendant: usize,
        link: u64,
        bytes: Vec<u8>,
    },
    CallerTimer(usize),
    /// The phone of this seat takes the call or not, if it still rings.
    PhoneAnswers(usize, String),
    DispatcherTimer(usize),
    CommandArrives(usize, Box<Command>),
    DispatcherHears(usize, CommandId, Heard),
    AnswerTimer(usize),
    AnswerArrives(usize),
    HelperHears(usize, Heard),
    /// Of the core with this number.
    Core(u32, CoreStep),
    /// The message of this flight is with the relay, as far as it gets.
    Dot(u64),
    /// The relay's word, or its silence.
    Return(u64),
    Lands(EffectId, Token),
    Restart,
    Snapshot,
    Flood(u64),
    ClockJumps(i64),
    Tight(bool),
    RelayMood(Mood),
    Heal,
}

#[derive(Debug)]
pub(super) enum CoreStep {
    Commit,
    Tell,
    Desk,
    DeskHearsAsked(Vec<EffectId>, Option<Heard>),
    DeskHearsReported(Vec<EffectOutcome>, Option<Heard>),
    Tick,
}

/// What a run was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) steps: u64,
    pub(super) events: u64,
    pub(super) crashes: u64,
    pub(super) promises: u64,
    pub(super) mails: u64,
    pub(super) uncertain: u64,
    pub(super) shed: u64,
    pub(super) refused: u64,
    pub(super) answers: u64,
    /// Calls that were connected, and that rang again after somebody had answered.
    pub(super) connected: u64,
    pub(super) rung_again: u64,
    /// Wearers who left their safe zone, and statuses of units.
    pub(super) left: u64,
    /// Carers who were told of it once more.
    pub(super) reminded: u64,
    pub(super) moves: u64,
    /// Words of sites that became signals, and messages to them that the gateway took.
    pub(super) words: u64,
    pub(super) messages: u64,
    /// Notices to everybody, and those that took another's place.
    pub(super) letters: u64,
    pub(super) replaced: u64,
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) plan: Plan,
    /// Microseconds since the begin; never goes back.
    pub(super) now: i64,
    /// What the clock on the wall shows more than it should.
    clock_offset: i64,
    agenda: BTreeMap<(i64, u64), Happening>,
    scheduled: u64,
    pub(super) disk: Disk,
    pub(super) house: Option<House>,
    /// Number of the core that runs or ran last.
    pub(super) epoch: u32,
    /// The state of the last core, if all of it was committed when it died.
    last_words: Option<State>,
    pub(super) audit: Audit,
    pub(super) town: Town,
    pub(super) mood: Mood,
    pub(super) flights: BTreeMap<u64, Flight>,
    pub(super) flown: u64,
    /// Streams that were dialled in all.
    pub(super) dialled: u64,
    pub(super) keys_destroyed: BTreeSet<KeyId>,
    /// Orders that stood on a terminal's screen.
    pub(super) orders_shown: BTreeSet<AssignmentId>,
    pub(super) tight: bool,
    pub(super) healed: bool,
    pub(super) tally: Tally,
    story: Option<VecDeque<String>>,
    /// The plan as it was before all healed.
    told_plan: String,
}

impl World {
    pub(super) fn new(seed: u64, tell: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::new(seed, &mut dice);
        Self::with(plan, dice, tell)
    }

    pub(super) fn with(plan: Plan, mut dice: Dice, tell: bool) -> Self {
        let town = Town::new(&mut dice);
        let told_plan = if tell { format!("{plan:?}") } else { String::new() };
        let disk = Disk::new(plan.vice);
        let mut world = Self {
            dice,
            plan,
            now: 0,
            clock_offset: 0,
            agenda: BTreeMap::new(),
            scheduled: 0,
            disk,
            house: None,
            epoch: 0,
            last_words: None,
            audit: Audit::default(),
            town,
            mood: Mood::Good,
            flights: BTreeMap::new(),
            flown: 0,
            dialled: 0,
            keys_destroyed: BTreeSet::new(),
            orders_shown: BTreeSet::new(),
            tight: false,
            healed: false,
            tally: Tally::default(),
            story: tell.then(VecDeque::new),
            told_plan,
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        let end = self.plan.length_ms;
        self.after_ms(0, Happening::Restart);
        self.after_ms(end, Happening::Heal);
        for place in 0..self.town.pendants.len() {
            let wait = self.dice.between(1, 5_000);
            self.after_ms(wait, Happening::PendantTimer(place));
        }
        for place in 0..self.town.callers.len() {
            let wait = self.dice.between(1, 15_000);
            self.after_ms(wait, Happening::CallerTimer(place));
        }
        for place in 0..self.town.dispatchers.len() {
            let wait = self.dice.between(2_000, 10_000);
            self.after_ms(wait, Happening::DispatcherTimer(place));
        }
        let wait = self.dice.between(1, 10_000);
        self.after_ms(wait, Happening::SiteTimer);
        for _each in 0..self.dice.below(4) {
            let at = self.dice.between(0, end);
            self.after_ms(at, Happening::Snapshot);
        }
        if self.plan.flood > 0 {
            let at = self.dice.between(1_000, end - 1);
            self.after_ms(at, Happening::Flood(self.plan.flood));
        }
        if self.plan.clock_ms_max > 0 {
            for _each in 0..self.dice.between(1, 4) {
                let at = self.dice.between(0, end - 1);
                let by = self.dice.between(-self.plan.clock_ms_max, self.plan.clock_ms_max);
                self.after_ms(at, Happening::ClockJumps(by));
            }
        }
        if self.plan.tight {
            let at = self.dice.between(0, end - 2);
            self.after_ms(at, Happening::Tight(true));
            self.after_ms((at + end) / 2, Happening::Tight(false));
        }
        if self.plan.relay {
            for _each in 0..self.dice.between(1, 5) {
                let at = self.dice.between(0, end - 1);
                let mood = *self.dice.pick(&Mood::ALL).unwrap();
                self.after_ms(at, Happening::RelayMood(mood));
            }
        }
    }

    /// Plays to the end; panics when something does not hold.
    pub(super) fn run(&mut self) -> Tally {
        let mut rest_by = None;
        while let Some(((at, number), what)) = self.agenda.pop_first() {
            self.now = self.now.max(at);
            self.tally.steps += 1;
            if self.crashes_now() {
                self.tell(|| "CRASH".to_owned());
                self.crash();
            }
            self.tell(|| format!("{number} {what:?}"));
            self.handle(what);
            self.audit();
            assert!(self.tally.steps < STEPS_MAX, "the run turns in a circle");
            if self.healed {
                let by = *rest_by.get_or_insert(self.now + REST_US_MAX);
                assert!(self.now < by, "the world does not come to rest");
            }
        }
        self.finish();
        self.tally.events = self.disk.read().durable.len() as u64;
        for recorded in &self.disk.read().durable {
            let event = &recorded.event;
            let left = matches!(event, Event::SignalReceived { alarm: AlarmKind::LeftZone, .. });
            self.tally.left += u64::from(left);
            let again = Template::TrackerStillAway;
            let again =
                matches!(event, Event::NoticeOrdered { template, .. } if *template == again);
            self.tally.reminded += u64::from(again);
            self.tally.letters += u64::from(matches!(event, Event::LetterOrdered { .. }));
            self.tally.replaced += u64::from(matches!(event, Event::NoticeReplaced { .. }));
            let words = matches!(event, Event::SignalReceived { alarm: AlarmKind::Message, .. });
            self.tally.words += u64::from(words);
            self.tally.moves += u64::from(matches!(event, Event::UnitStatusReached(_)));
        }
        self.tally.promises = self.audit.promise_count();
        self.tally.mails = self.audit.mail_count();
        let house = self.house.as_ref().unwrap().state();
        self.tally.messages =
            house.messages().keys().map(|id| self.town.roof.got(*id) as u64).sum();
        self.tally
    }

    fn crashes_now(&mut self) -> bool {
        let may = self.house.is_some() && self.tally.crashes < u64::from(self.plan.crashes_max);
        if !may || self.healed {
            return false;
        }
        self.plan.crash_at == Some(self.tally.steps) || self.dice.one_in(self.plan.crash)
    }

    fn handle(&mut self, what: Happening) {
        match what {
            Happening::PendantTimer(place) => self.pendant_timer(place),
            Happening::SiteTimer => self.site_timer(),
            Happening::ModemTimer => self.modem_timer(),
            Happening::BytesArrive { pendant, stream, bytes } => {
                self.bytes_arrive(pendant, stream, &bytes);
            }
            Happening::ReplyArrives { pendant, link, bytes } => {
                self.reply_arrives(pendant, link, &bytes);
            }
            Happening::CallerTimer(place) => self.caller_timer(place),
            Happening::PhoneAnswers(place, position) => self.phone_answers(place, position),
            Happening::DispatcherTimer(place) => self.dispatcher_timer(place),
            Happening::CommandArrives(place, command) => self.command_arrives(place, command),
            Happening::DispatcherHears(place, id, heard) => {
                self.dispatcher_hears(place, id, &heard);
            }
            Happening::AnswerTimer(place) => self.answer_timer(place),
            Happening::AnswerArrives(place) => self.answer_arrives(place),
            Happening::HelperHears(place, heard) => self.helper_hears(place, &heard),
            Happening::Core(epoch, step) => {
                if epoch == self.epoch && self.house.is_some() {
                    self.core_step(step);
                }
            }
            Happening::Dot(flight) => self.dot(flight),
            Happening::Return(flight) => self.flight_returns(flight),
            Happening::Lands(id, mailbox) => self.mail_lands(id, mailbox),
            Happening::Restart => self.restart(),
            Happening::Snapshot => self.snapshot(),
            Happening::Flood(count) => self.flood(count),
            Happening::ClockJumps(by_ms) => {
                self.clock_offset += by_ms * 1_000;
                self.core_after_ms(0, CoreStep::Tick);
                self.core_after_ms(0, CoreStep::Desk);
            }
            Happening::Tight(tight) => self.tight = tight && !self.healed,
            Happening::RelayMood(mood) => {
                self.mood = if self.healed { Mood::Good } else { mood };
            }
            Happening::Heal => self.heal(),
        }
    }

    /// All faults end; what is under way must now come to rest.
    fn heal(&mut self) {
        self.healed = true;
        self.plan.crash = 0;
        self.plan.loss = 0;
        self.plan.doubled = 0;
        self.plan.disk = 0;
        self.tight = false;
        self.mood = Mood::Good;
        self.site_timer();
    }

    /// The machine dies: everything in memory is gone, and so is what was pending on the disk.
    pub(super) fn crash(&mut self) {
        let Some(house) = self.house.take() else { return };
        self.tally.crashes += 1;
        self.last_words = house.last_words();
        self.disk.crash();
        self.flights_break();
        let wait = self.dice.between(100, 4_000);
        self.after_ms(wait, Happening::Restart);
        self.audit.read(&self.disk.read().durable, self.now);
        self.audit.keep_promises();
    }

    fn restart(&mut self) {
        if self.house.is_some() {
            return;
        }
        let replayed = self.disk.replay();
        if let Some(last) = self.last_words.take() {
            assert!(last.seq() <= replayed.seq(), "committed events are gone");
            assert!(
                last.seq() != replayed.seq() || last == replayed,
                "replay is not what was live"
            );
        }
        if let Some(shorter) = self.disk.replay_from_snapshot() {
            assert!(shorter.effects_sum() == replayed.effects_sum(), "other effects are owed");
            assert!(shorter.hash() == replayed.hash(), "snapshot and tail have another hash");
            assert!(shorter == replayed, "snapshot and tail differ beyond the hash");
        }
        self.epoch += 1;
        self.open_house(replayed);
    }

    fn audit(&mut self) {
        let platter = self.disk.read();
        self.audit.read(&platter.durable, self.now);
        drop(platter);
        if self.tally.steps.is_multiple_of(16)
            && let Some(house) = &self.house
        {
            house.check_books();
        }
    }

    /// Nothing is left to happen: nobody waits, nothing is owed, and all views agree.
    fn finish(&self) {
        let house = self.house.as_ref().unwrap();
        house.check_rest();
        let state = house.state();
        assert!(*state == self.disk.replay(), "the live state is not what a replay gives");
        for pendant in &self.town.pendants {
            let waits = pendant.outstanding.as_ref().map(|each| each.sequence);
            assert!(waits.is_none(), "{} waits for {waits:?} for ever", pendant.account);
        }
        for dispatcher in &self.town.dispatchers {
            let waits = &dispatcher.outstanding;
            assert!(waits.is_none(), "a dispatcher waits for ever: {waits:?}");
        }
        for caller in &self.town.callers {
            caller.check_rest(state);
        }
        assert!(self.town.answers.iter().all(|each| each.done), "a helper waits for ever");
        assert!(state.owed().is_empty(), "still owed at the end: {:?}", state.owed());
        for (order, row) in state.orders() {
            for unit in &row.ordered.units {
                let id = AssignmentId { order: *order, unit: *unit };
                let Some(assignment) = state.assignment(id) else { continue };
                let started = !assignment.presses.is_empty() && assignment.end.is_none();
                let has_one = state.units()[unit].entry.terminal.is_some();
                let said = assignment.delivered_at.is_some();
                assert!(!said || self.orders_shown.contains(&id), "{id:?} never stood on a screen");
                assert!(said || !(started && has_one), "the crew of {id:?} was never shown it");
            }
        }
        for (id, person) in state.people() {
            let destroyed = self.keys_destroyed.contains(&person.entry.name.key);
            assert!(!person.erased || destroyed, "the key of {id:?} was not destroyed");
        }
        let words = state.signals().values().filter(|each| each.alarm == AlarmKind::Message);
        assert!(
            words.count() as u64 == self.town.roof.spoken,
            "a site's words are lost or doubled"
        );
        for (id, record) in state.messages() {
            let got = self.town.roof.got(*id);
            let fits = match record.status {
                RecipientStatus::Queued => false,
                RecipientStatus::Accepted => got == 1 || got > 1 && record.maybe_twice,
                RecipientStatus::Failed | RecipientStatus::Stopped => got == 0,
                RecipientStatus::Uncertain => got <= 1 || record.maybe_twice,
            };
            assert!(fits, "message {id} is {:?}, and the gateway got {got}", record.status);
        }
        for (notice, record) in state.notices() {
            for (index, recipient) in (0_u32..).zip(&record.recipients) {
                let id = EffectId { seq: notice.0, index };
                let mails = self.audit.mails(id);
                let fits = match recipient.status {
                    RecipientStatus::Queued => false,
                    RecipientStatus::Accepted => mails > 0,
                    RecipientStatus::Failed | RecipientStatus::Stopped => mails == 0,
                    RecipientStatus::Uncertain => true,
                };
                assert!(fits, "mail {id} is {:?} and landed {mails} times", recipient.status);
            }
        }
    }

    /// What every clock should show.
    pub(super) fn true_time(&self) -> Timestamp {
        Timestamp::from_microsecond(BEGIN_US + self.now).unwrap()
    }

    /// What the clock on the wall shows.
    pub(super) fn wall(&self) -> Timestamp {
        Timestamp::from_microsecond(BEGIN_US + self.now + self.clock_offset).unwrap()
    }

    pub(super) fn at(&mut self, at: i64, what: Happening) {
        self.scheduled += 1;
        self.agenda.insert((at.max(self.now), self.scheduled), what);
    }

    pub(super) fn after_ms(&mut self, wait: i64, what: Happening) {
        // Two things rarely happen in the same microsecond.
        let jitter = self.dice.between(0, 999);
        self.at(self.now + wait * 1_000 + jitter, what);
    }

    pub(super) fn core_after_ms(&mut self, wait: i64, step: CoreStep) {
        if self.house.is_some() {
            self.after_ms(wait, Happening::Core(self.epoch, step));
        }
    }

    pub(super) fn core_at(&mut self, at: i64, step: CoreStep) {
        if self.house.is_some() {
            self.at(at, Happening::Core(self.epoch, step));
        }
    }

    /// Keeps the last steps of a run that is told again.
    fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(story) = &mut self.story {
            let line = line();
            let short: String = line.chars().take(300).collect();
            let (seconds, rest) = (now / 1_000_000, now % 1_000_000);
            story.push_back(format!("{seconds:>6}.{rest:06} s  {short}"));
            while story.len() > TOLD {
                story.pop_front();
            }
        }
    }

    /// Hash of the state at the end.
    pub(super) fn hash(&self) -> [u8; 32] {
        self.disk.replay().hash()
    }

    /// The last steps, for a person who looks for the fault.
    pub(super) fn story(&self) -> String {
        let mut text = format!("{}\n", self.told_plan);
        for line in self.story.iter().flatten() {
            writeln!(text, "{line}").unwrap();
        }
        text
    }
}

/// Counts outcomes of a kind.
pub(super) fn uncertain(outcomes: &[EffectOutcome]) -> u64 {
    outcomes.iter().filter(|each| each.outcome == Outcome::Uncertain).count() as u64
}

/// Microseconds to wait for a time; as the engine does, one that is over must not spin.
pub(super) fn until(now: Timestamp, time: Timestamp) -> i64 {
    (time.as_microsecond() - now.as_microsecond()).max(1_000)
}
