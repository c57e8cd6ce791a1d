//! What was said and is not in the journal yet: who waits for it, and when nobody waits longer.
//!
//! Nothing the telephone side says is answered before it is durable: in the journal, or, when no
//! core writes it down within [`WAIT_MAX`], in the spool; and a disk that takes longer than
//! [`SPOOL_MAX`] is not waited for: 119 rings all the same. No sockets, files or clocks here; what is
//! to be done comes out as [`Act`]s.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hansho_model::{CallFact, CallRef, CallReport};
use hansho_protocols::Receipt;
use jiff::{SignedDuration, Timestamp};

use super::line::Said;

/// How long a caller waits for the core to write down what is said; then the spool must do.
pub const WAIT_MAX: SignedDuration = SignedDuration::from_secs(1);
/// How long a caller waits for the spool; then the call goes on without.
pub const SPOOL_MAX: SignedDuration = SignedDuration::from_millis(500);
/// Most reports that a core has been told and has not written down yet; the others wait for their
/// turn. Each may be told twice, and the line has room for more than that.
pub const TOLD_COUNT_MAX: usize = 1_024;
/// How long a core may write nothing down of what it was told; then it is told again.
const STILL_MAX: SignedDuration = SignedDuration::from_secs(5);

/// What is to be done next, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Send it to the core.
    Send(Said),
    /// Write it to the spool and sync it, then call [`Records::kept`].
    Keep(Said),
    /// It is as durable as it gets: answer.
    Answer(Receipt),
    /// Ring every seat's phone for this call.
    RingAll(CallRef),
    /// Nothing of the spool is needed any more.
    Clear,
}

/// What was said and is not in the journal yet.
#[derive(Debug)]
pub struct Records {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// The core was told what stands before this number.
    untold: u64,
    /// Since when it has written nothing down of that.
    still_since: Option<Timestamp>,
    /// How many of them stand in the spool.
    spooled: usize,
    /// Since when there is no core to write anything down; `None` while there is one.
    alone_since: Option<Timestamp>,
    acts: VecDeque<Act>,
}

#[derive(Debug)]
struct Waiting {
    said: Said,
    /// `None` once it was answered.
    receipt: Option<Receipt>,
    since: Timestamp,
    /// Whether a caller waits for somebody to answer.
    offered: bool,
    /// `None` while the journal alone is waited for.
    spooled: Option<Spooled>,
}

/// A report that the spool was given.
#[derive(Clone, Copy, Debug)]
struct Spooled {
    since: Timestamp,
    /// Whether every seat's phone is to ring then, as the core does not answer.
    rings: bool,
}

impl Records {
    /// With what an earlier supervisor left in the spool. There is no core yet.
    ///
    /// The numbers begin at the time, in microseconds: what a core still answers to an exchange
    /// that broke is not taken for an answer to this one.
    #[must_use]
    pub fn new(now: Timestamp, left: Vec<Said>) -> Self {
        let mut records = Self {
            next: u64::try_from(now.as_microsecond()).unwrap_or_default().max(1),
            waiting: BTreeMap::new(),
            untold: 0,
            still_since: None,
            spooled: left.len(),
            alone_since: Some(now),
            acts: VecDeque::new(),
        };
        for mut said in left {
            said.number = records.next;
            let spooled = Some(Spooled { since: now, rings: false });
            records.insert(Waiting { said, receipt: None, since: now, offered: false, spooled });
        }
        records
    }

    /// Whether a core writes down what is said.
    #[must_use]
    pub const fn has_core(&self) -> bool {
        self.alone_since.is_none()
    }

    /// Since when there is none.
    #[must_use]
    pub const fn alone_since(&self) -> Option<Timestamp> {
        self.alone_since
    }

    /// Calls of which something waits for the journal.
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        self.waiting.values().map(|each| each.said.call.as_str())
    }

    /// Calls of which something is not answered yet.
    #[must_use]
    pub fn unanswered(&self) -> BTreeSet<&str> {
        let unanswered = self.waiting.values().filter(|each| each.receipt.is_some());
        unanswered.map(|each| each.said.call.as_str()).collect()
    }

    /// How many reports wait for the journal.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The telephone side says something.
    pub fn hear(&mut self, now: Timestamp, receipt: Receipt, report: &CallReport) {
        let said = Said::new(self.next, report);
        let offered = matches!(report.fact, CallFact::Offered(_));
        let receipt = Some(receipt);
        let number = self.insert(Waiting { said, receipt, since: now, offered, spooled: None });
        if self.has_core() {
            self.send_more();
        } else {
            self.spool(now, number, false);
        }
    }

    /// A core is there: it hears everything that is not written down yet, oldest first.
    pub fn core_came(&mut self) {
        self.alone_since = None;
        self.untold = 0;
        self.still_since = None;
        self.send_more();
    }

    /// The line to the core had no room for this report: it is told again, with all after it.
    pub fn not_sent(&mut self, number: u64) {
        self.untold = self.untold.min(number);
        self.acts.retain(|act| match act {
            Act::Send(said) => {
                self.untold = self.untold.min(said.number);
                false
            }
            Act::Keep(_) | Act::Answer(_) | Act::RingAll(_) | Act::Clear => true,
        });
    }

    /// The core is gone or silent: whoever waits is answered from the spool.
    pub fn core_went(&mut self, now: Timestamp) {
        self.alone_since.get_or_insert(now);
        let unanswered = self.waiting.iter().filter(|(_, each)| each.receipt.is_some());
        let numbers: Vec<u64> = unanswered.map(|(number, _)| *number).collect();
        for number in numbers {
            self.spool(now, number, false);
        }
    }

    /// It is in the spool, or cannot be: nobody waits for that any longer.
    pub fn kept(&mut self, number: u64) {
        let Some(waiting) = self.waiting.get_mut(&number) else { return };
        let Some(receipt) = waiting.receipt.take() else { return };
        self.acts.push_back(Act::Answer(receipt));
        if waiting.offered && waiting.spooled.is_some_and(|spooled| spooled.rings) {
            self.acts.push_back(Act::RingAll(CallRef(waiting.said.call.clone())));
        }
    }

    /// The core has it in the journal.
    pub fn durable(&mut self, number: u64) {
        let Some(done) = self.waiting.remove(&number) else { return };
        self.still_since = None;
        if let Some(receipt) = done.receipt {
            self.acts.push_back(Act::Answer(receipt));
        }
        if done.spooled.is_some() {
            self.spooled = self.spooled.saturating_sub(1);
            if self.spooled == 0 {
                self.acts.push_back(Act::Clear);
            }
        }
        self.send_more();
    }

    /// Time has passed: nobody waits longer than [`WAIT_MAX`] for a core that says it lives, nor
    /// than [`SPOOL_MAX`] for the spool. Gives how many had to go on without that.
    pub fn tick(&mut self, now: Timestamp) -> usize {
        let late = self.waiting.iter().filter(|(_, each)| each.until().is_some_and(|at| now >= at));
        let late: Vec<(u64, bool)> =
            late.map(|(number, each)| (*number, each.spooled.is_some())).collect();
        for &(number, spooled) in &late {
            if spooled {
                self.kept(number);
            } else {
                self.spool(now, number, true);
            }
        }
        if self.waiting.is_empty() {
            self.still_since = None;
        } else if now.duration_since(*self.still_since.get_or_insert(now)) >= STILL_MAX {
            // What it could not store would take the room of the others for ever.
            self.still_since = None;
            self.untold = 0;
        }
        self.send_more();
        late.into_iter().filter(|(_number, spooled)| *spooled).count()
    }

    /// When to call [`Records::tick`].
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.waiting.values().filter_map(Waiting::until).min()
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    fn insert(&mut self, waiting: Waiting) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.waiting.insert(number, waiting);
        number
    }

    /// Tells the core as much as it may be told at once.
    fn send_more(&mut self) {
        if !self.has_core() {
            return;
        }
        let told = self.waiting.range(..self.untold).count();
        let more = self.waiting.range(self.untold..).take(TOLD_COUNT_MAX.saturating_sub(told));
        for (number, waiting) in more {
            self.untold = number.saturating_add(1);
            self.acts.push_back(Act::Send(waiting.said.clone()));
        }
    }

    fn spool(&mut self, now: Timestamp, number: u64, rings: bool) {
        let waiting = self.waiting.get_mut(&number).filter(|each| each.spooled.is_none());
        let Some(waiting) = waiting else { return };
        waiting.spooled = Some(Spooled { since: now, rings });
        waiting.said.unrecorded = true;
        self.spooled = self.spooled.saturating_add(1);
        self.acts.push_back(Act::Keep(waiting.said.clone()));
        // A core that was only slow may have taken it as recorded; it knows the report again.
        if self.alone_since.is_none() && number < self.untold {
            self.acts.push_back(Act::Send(waiting.said.clone()));
        }
    }
}

impl Waiting {
    /// How long somebody waits for the answer; `None` when it was given.
    fn until(&self) -> Option<Timestamp> {
        self.receipt?;
        let (since, most) = match self.spooled {
            Some(spooled) => (spooled.since, SPOOL_MAX),
            None => (self.since, WAIT_MAX),
        };
        since.checked_add(most).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn abandoned(call: &str) -> CallReport {
        let call = CallRef(call.to_owned());
        CallReport { call, received_at: at(0), unrecorded: false, fact: CallFact::Abandoned }
    }

    fn offered(call: &str) -> CallReport {
        let offer = hansho_model::CallOffer {
            number: None,
            withheld: false,
            service: String::new(),
            locations: Vec::new(),
            peer: hansho_model::Private(String::new()),
            raw: hansho_model::Private(Vec::new()),
        };
        CallReport { fact: CallFact::Offered(Box::new(offer)), ..abandoned(call) }
    }

    fn acts(records: &mut Records) -> String {
        let mut told = String::new();
        while let Some(act) = records.poll() {
            let mark = |said: &Said| if said.unrecorded { "!" } else { "" };
            match act {
                Act::Send(said) => write!(told, "send {}{}; ", said.call, mark(&said)),
                Act::Keep(said) => write!(told, "keep {}{}; ", said.call, mark(&said)),
                Act::Answer(receipt) => write!(told, "answer {}; ", receipt.0),
                Act::RingAll(call) => write!(told, "ring all for {call}; "),
                Act::Clear => write!(told, "clear; "),
            }
            .unwrap();
        }
        told
    }

    #[test]
    fn with_a_core_nothing_is_answered_before_it_is_in_the_journal() {
        let mut records = Records::new(at(0), Vec::new());
        records.core_came();
        records.hear(at(0), Receipt(7), &offered("a"));
        assert_eq!(acts(&mut records), "send a; ");
        records.tick(at(999));
        assert_eq!(acts(&mut records), "");
        records.durable(1);
        assert_eq!(acts(&mut records), "answer 7; ");
        assert!(records.is_empty());
        assert_eq!(records.next_deadline(), None);
    }

    #[test]
    fn without_a_core_the_spool_must_do_and_the_core_hears_of_it_later() {
        let mut records = Records::new(at(0), Vec::new());
        records.hear(at(0), Receipt(1), &offered("a"));
        assert_eq!(acts(&mut records), "keep a!; ");
        records.hear(at(5), Receipt(2), &abandoned("a"));
        assert_eq!(acts(&mut records), "keep a!; ");
        assert_eq!(records.unanswered(), BTreeSet::from(["a"]));
        records.kept(1);
        records.kept(2);
        assert_eq!(acts(&mut records), "answer 1; answer 2; ");
        assert_eq!(records.unanswered(), BTreeSet::new());
        records.core_came();
        assert_eq!(acts(&mut records), "send a!; send a!; ");
        records.durable(1);
        assert_eq!(acts(&mut records), "");
        records.durable(2);
        assert_eq!(acts(&mut records), "clear; ");
    }

    #[test]
    fn a_core_that_is_too_slow_costs_a_caller_one_second() {
        let mut records = Records::new(at(0), Vec::new());
        records.core_came();
        records.hear(at(0), Receipt(1), &offered("a"));
        records.hear(at(400), Receipt(2), &abandoned("b"));
        assert_eq!(acts(&mut records), "send a; send b; ");
        assert_eq!(records.next_deadline(), Some(at(1_000)));
        records.tick(at(1_000));
        assert_eq!(acts(&mut records), "keep a!; send a!; ");
        records.kept(1);
        assert_eq!(acts(&mut records), "answer 1; ring all for a; ");
        records.tick(at(1_400));
        records.kept(2);
        assert_eq!(acts(&mut records), "keep b!; send b!; answer 2; ", "nobody is to be rung");
        records.durable(1);
        records.durable(1);
        records.durable(2);
        assert_eq!(acts(&mut records), "clear; ");
    }

    #[test]
    fn a_core_that_dies_leaves_nobody_waiting() {
        let mut records = Records::new(at(0), Vec::new());
        records.core_came();
        records.hear(at(0), Receipt(1), &offered("a"));
        acts(&mut records);
        records.core_went(at(50));
        records.kept(1);
        assert_eq!(acts(&mut records), "keep a!; answer 1; ");
        assert_eq!(records.alone_since(), Some(at(50)));
        records.core_came();
        assert_eq!(acts(&mut records), "send a!; ");
    }

    #[test]
    fn a_spool_that_is_too_slow_costs_a_caller_half_a_second() {
        let mut records = Records::new(at(0), Vec::new());
        records.hear(at(0), Receipt(1), &offered("a"));
        assert_eq!(records.next_deadline(), Some(at(500)));
        assert_eq!(records.tick(at(499)), 0);
        assert_eq!(acts(&mut records), "keep a!; ");
        assert_eq!(records.tick(at(500)), 1);
        assert_eq!(acts(&mut records), "answer 1; ");
        records.kept(1);
        assert_eq!((acts(&mut records).as_str(), records.next_deadline()), ("", None));
        // A core that is slow beside it.
        records.core_came();
        records.hear(at(1_000), Receipt(2), &offered("b"));
        assert_eq!(records.tick(at(2_000)), 0);
        assert_eq!(acts(&mut records), "send a!; send b; keep b!; send b!; ");
        assert_eq!(records.tick(at(2_500)), 1);
        assert_eq!(acts(&mut records), "answer 2; ring all for b; ");
        // The journal is there before the spool: that is enough.
        records.hear(at(3_000), Receipt(3), &offered("c"));
        records.tick(at(4_000));
        acts(&mut records);
        for number in 1..=3 {
            records.durable(number);
        }
        records.kept(3);
        assert_eq!(acts(&mut records), "answer 3; clear; ");
    }

    #[test]
    fn what_an_earlier_supervisor_left_is_sent_first() {
        let left = Said::new(900, &offered("old"));
        let mut records = Records::new(at(0), vec![left]);
        records.core_came();
        records.hear(at(1), Receipt(1), &offered("new"));
        assert_eq!(acts(&mut records), "send old; send new; ");
        records.durable(2);
        assert_eq!(acts(&mut records), "answer 1; ");
        records.durable(1);
        assert_eq!(acts(&mut records), "clear; ");
    }

    #[test]
    fn a_core_is_told_no_more_than_it_can_take_and_the_rest_as_it_writes_down() {
        let most = u64::try_from(TOLD_COUNT_MAX).unwrap();
        let sent = |records: &mut Records| acts(records).matches("send").count();
        let left = vec![Said::new(1, &abandoned("a")); TOLD_COUNT_MAX];
        let mut records = Records::new(at(0), left);
        records.core_came();
        assert_eq!(sent(&mut records), TOLD_COUNT_MAX);
        records.hear(at(0), Receipt(7), &offered("new"));
        assert_eq!(acts(&mut records), "", "it waits for its turn");
        records.durable(3);
        records.durable(3);
        assert_eq!(acts(&mut records), "send new; ");
        records.hear(at(0), Receipt(8), &offered("late"));
        records.tick(at(1_000));
        assert_eq!(acts(&mut records), "keep new!; send new!; keep late!; ");
        records.kept(most + 1);
        records.kept(most + 2);
        let told = "answer 7; ring all for new; answer 8; ring all for late; ";
        assert_eq!(acts(&mut records), told);
        records.durable(most + 1);
        assert_eq!(acts(&mut records), "send late!; ");
        // The next core hears it all from the beginning.
        records.core_went(at(2_000));
        records.durable(4);
        assert_eq!(acts(&mut records), "");
        records.core_came();
        assert_eq!(sent(&mut records), TOLD_COUNT_MAX - 1);
    }

    #[test]
    fn what_the_line_had_no_room_for_is_told_again_in_order() {
        let mut records = Records::new(at(0), Vec::new());
        records.core_came();
        for call in ["a", "b", "c"] {
            records.hear(at(0), Receipt(1), &abandoned(call));
        }
        assert_eq!(records.poll(), Some(Act::Send(Said::new(1, &abandoned("a")))));
        assert_eq!(records.poll(), Some(Act::Send(Said::new(2, &abandoned("b")))));
        records.not_sent(2);
        assert_eq!(acts(&mut records), "");
        records.tick(at(250));
        assert_eq!(acts(&mut records), "send b; send c; ");
    }

    #[test]
    fn what_a_core_could_not_store_is_told_again_after_a_while() {
        let mut records = Records::new(at(0), vec![Said::new(1, &abandoned("a"))]);
        records.core_came();
        assert_eq!(acts(&mut records), "send a; ");
        for (ms, told) in [(0, ""), (4_999, ""), (5_000, "send a; "), (9_000, ""), (13_999, "")] {
            records.tick(at(ms));
            assert_eq!(acts(&mut records), told, "{ms}");
        }
        records.hear(at(13_999), Receipt(1), &abandoned("b"));
        records.durable(2);
        records.tick(at(14_000));
        assert_eq!(acts(&mut records), "send b; answer 1; ", "it goes on writing down");
    }

    #[test]
    fn a_late_answer_to_an_exchange_that_broke_answers_nobody_else() {
        let numbers = |ms: i64| {
            let mut records = Records::new(at(ms), Vec::new());
            records.core_came();
            (0..TOLD_COUNT_MAX).for_each(|_each| records.hear(at(ms), Receipt(1), &abandoned("a")));
            let sent = std::iter::from_fn(move || records.poll());
            sent.map(|act| {
                let Act::Send(said) = act else { panic!("another act") };
                said.number
            })
        };
        let before = numbers(1_795_410_050_000).max().unwrap();
        assert!(numbers(1_795_410_050_002).all(|number| number > before));
    }
}
