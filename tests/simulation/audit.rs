//! What must hold at every step, read off the durable journal alone.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{
    AlarmClass, AlarmKind, CallFact, CallRef, CommandId, EffectId, Event, Idem, NoticeId, Outcome,
    PersonId, Phase, Recorded, SealedCallReport, SealedReport, Seq, SignalId, SourceId, Template,
    Token,
};
use jiff::{SignedDuration, Timestamp};

/// The shortest time for which the core tells a repeat.
const MEMORY: SignedDuration = SignedDuration::from_mins(10);

/// Somebody was told "we have it".
#[derive(Clone, Debug, PartialEq, Eq)]
struct Promise {
    seq: Seq,
    idem: Idem,
}

/// A device's message: account and sequence number.
pub(super) type Message = (String, u16);

/// What the durable journal says.
#[derive(Default)]
struct Read {
    events: usize,
    last: Option<Timestamp>,
    names: BTreeMap<SourceId, String>,
    messages: BTreeMap<Message, Timestamp>,
    beats: BTreeMap<String, u64>,
    keys: BTreeSet<Idem>,
    idems: Vec<Idem>,
    attempts: BTreeMap<EffectId, u16>,
    settled: BTreeMap<EffectId, u16>,
    uncertain: BTreeSet<EffectId>,
    open: BTreeMap<SourceId, SignalId>,
    owners: BTreeMap<SignalId, SourceId>,
    /// Wearers who left their safe zone and have not come back, and the signals of that: each exit
    /// has its own, beside a call for help.
    outside: BTreeSet<SourceId>,
    exits: BTreeSet<SignalId>,
    /// Words of sites: each message has its own, whatever is open.
    words: BTreeSet<SignalId>,
    /// Exits that nobody need be told of again: taken on, answered, over, or told twice.
    taken_on: BTreeSet<SignalId>,
    notices: BTreeMap<NoticeId, SignalId>,
    helpers: BTreeMap<SourceId, Vec<PersonId>>,
    erased: BTreeSet<PersonId>,
    /// What was said of calls, by its event.
    said: BTreeMap<Seq, SealedCallReport>,
    /// Calls by the event that offered them, and by their signals.
    offers: BTreeMap<Seq, CallRef>,
    rings: BTreeMap<SignalId, CallRef>,
    /// Seats that answered a call.
    answered: BTreeSet<(CallRef, String)>,
    /// Consequences that must be in the same batch: the cause, and what must follow.
    expected: BTreeMap<Seq, &'static str>,
}

/// The auditor.
#[derive(Default)]
pub(super) struct Audit {
    read: Read,
    promises: Vec<Promise>,
    /// The event that a command or an answer was told of.
    told: BTreeMap<CommandId, Seq>,
    acked: BTreeSet<Message>,
    /// What was said of calls and was told to be kept.
    heard: BTreeMap<Seq, SealedCallReport>,
    beats_acked: BTreeMap<String, u64>,
    made: BTreeSet<(EffectId, u16)>,
    /// When a notice was ordered, by the time that nobody sets.
    ordered: BTreeMap<Seq, i64>,
    /// Longest time from an order to its first attempt, in microseconds.
    slowest: i64,
    mailboxes: BTreeMap<(Token, NoticeId), u32>,
    mails: BTreeMap<EffectId, u32>,
}

impl Audit {
    /// Reads what is new in the durable journal; to be called between steps.
    pub(super) fn read(&mut self, durable: &[Recorded], now: i64) {
        if durable.len() < self.read.events {
            self.read = Read::default();
        }
        for recorded in durable.get(self.read.events..).unwrap_or_default() {
            self.read.event(recorded);
            if matches!(recorded.event, Event::NoticeOrdered { .. }) {
                self.ordered.entry(recorded.seq).or_insert(now);
            }
        }
        assert!(
            self.read.expected.is_empty(),
            "a batch is not whole: {:?} did not follow",
            self.read.expected
        );
    }

    /// After a crash: everything that was promised is still there.
    pub(super) fn keep_promises(&self) {
        for promise in &self.promises {
            let found = self.read.idem(promise.seq);
            assert!(found == Some(promise.idem), "{promise:?} was told and is lost: {found:?}");
        }
        for message in &self.acked {
            assert!(self.read.messages.contains_key(message), "{message:?} was acked and is lost");
        }
        for (seq, said) in &self.heard {
            assert!(self.read.said.get(seq) == Some(said), "{said:?} was kept and is lost");
        }
        for (account, count) in &self.beats_acked {
            let kept = self.read.beats.get(account).copied().unwrap_or_default();
            assert!(kept >= *count, "{count} beats of {account} were acked, {kept} are kept");
        }
    }

    /// An answer is about to be told that names this event.
    pub(super) fn promise(&mut self, id: CommandId, seq: Seq) {
        let before = *self.told.entry(id).or_insert(seq);
        assert!(before == seq, "{id:?} was told of event {before} and is told of event {seq}");
        let idem = self.read.idem(seq);
        assert!(idem.is_some(), "event {seq} is told of and is not durable");
        self.promises.extend(idem.map(|idem| Promise { seq, idem }));
    }

    /// An ACK is about to leave.
    pub(super) fn ack(&mut self, account: &str, sequence: u16) {
        if sequence == 0 {
            let count = self.beats_acked.entry(account.to_owned()).or_default();
            *count += 1;
            let kept = self.read.beats.get(account).copied().unwrap_or_default();
            assert!(*count <= kept, "{count} beats of {account} are acked, {kept} are durable");
            return;
        }
        let message = (account.to_owned(), sequence);
        assert!(
            self.read.messages.contains_key(&message),
            "{message:?} is acknowledged and is not durable"
        );
        self.acked.insert(message);
    }

    /// The network is about to be answered: what was said is in the journal, word for word.
    pub(super) fn call_heard(&mut self, said: &SealedCallReport, seq: Option<Seq>) {
        let seq = seq.unwrap();
        assert!(self.read.said.get(&seq) == Some(said), "{said:?} is answered and not durable");
        self.heard.insert(seq, said.clone());
    }

    /// A seat's phone is about to ring.
    pub(super) fn phone_rings(&self, call: &CallRef, position: &str) {
        let answer = (call.clone(), position.to_owned());
        assert!(self.read.answered.contains(&answer), "{answer:?} rings and nobody answered");
    }

    /// An attempt is about to be made.
    pub(super) fn attempt(&mut self, id: EffectId, number: u16, now: i64) {
        if let Some(ordered) = self.ordered.get(&id.seq).filter(|_ordered| number == 1) {
            self.slowest = self.slowest.max(now - ordered);
        }
        let durable = self.read.attempts.get(&id).copied();
        assert!(durable == Some(number), "attempt {number} of {id} is made, durable: {durable:?}");
        assert!(self.made.insert((id, number)), "attempt {number} of {id} is made twice");
        let settled = self.read.settled.get(&id).copied().unwrap_or_default();
        assert!(settled < number, "attempt {number} of {id} is made after it was settled");
    }

    /// A mail lands in somebody's mailbox.
    pub(super) fn mail(&mut self, id: EffectId, mailbox: Token) {
        *self.mails.entry(id).or_default() += 1;
        let count = self.mailboxes.entry((mailbox, NoticeId(id.seq))).or_default();
        *count += 1;
        assert!(
            *count < 2 || self.read.uncertain.contains(&id),
            "mail {id} is in the mailbox {count} times and the journal says nothing of it"
        );
    }

    /// How often a mail landed.
    pub(super) fn mails(&self, id: EffectId) -> u32 {
        self.mails.get(&id).copied().unwrap_or_default()
    }

    /// Mails that landed in all.
    pub(super) fn mail_count(&self) -> u64 {
        self.mails.values().map(|count| u64::from(*count)).sum()
    }

    /// Longest time from an order to its first attempt, in microseconds.
    pub(super) const fn slowest_us(&self) -> i64 {
        self.slowest
    }

    /// Promises made in all.
    pub(super) fn promise_count(&self) -> u64 {
        (self.promises.len() + self.acked.len()) as u64
    }

    /// Whether a message of a device is in the journal.
    pub(super) fn has(&self, message: &Message) -> bool {
        self.read.messages.contains_key(message)
    }
}

impl Read {
    fn idem(&self, seq: Seq) -> Option<Idem> {
        let place = usize::try_from(seq.get().checked_sub(1)?).ok()?;
        self.idems.get(place).copied()
    }

    fn event(&mut self, recorded: &Recorded) {
        let Recorded { seq, at, source, cause, idem, event } = recorded;
        self.events += 1;
        assert!(seq.get() == self.events as u64, "event {seq} stands at place {}", self.events);
        assert!(self.last.is_none_or(|last| last < *at), "event {seq} is not later than the last");
        self.last = Some(*at);
        self.idems.push(*idem);
        if let Some(cause) = cause {
            assert!(cause < seq, "event {seq} is caused by {cause}");
            if matches!(
                event,
                Event::SignalReceived { .. }
                    | Event::SignalRepeated { .. }
                    | Event::NoticeOrdered { .. }
            ) {
                self.expected.remove(cause);
            }
        } else if *source != SourceId::CORE && !matches!(event, Event::ReportReceived(_)) {
            assert!(self.keys.insert(*idem), "event {seq} has the key of an earlier one");
        }
        self.reminder(event);
        self.fact(*seq, *at, *source, event);
    }

    /// Carers are told of an exit once more, and only while nobody has taken it on.
    fn reminder(&mut self, event: &Event) {
        if let Event::NoticeOrdered { notice, signal: Some(signal), template, .. } = event {
            self.notices.insert(*notice, *signal);
            if *template == Template::TrackerStillAway {
                assert!(self.exits.contains(signal), "carers are told again of {signal}");
                assert!(self.taken_on.insert(*signal), "{signal} is taken on, or told twice");
            }
        } else if let Event::AnswerGiven { effect, .. } = event {
            self.taken_on.extend(self.notices.get(&NoticeId(effect.seq)));
        } else if let Event::SignalAcknowledged { signal, .. }
        | Event::SignalRepeated { signal, restored: true, .. } = event
        {
            self.taken_on.insert(*signal);
        }
    }

    fn fact(&mut self, seq: Seq, at: Timestamp, source: SourceId, event: &Event) {
        if let Event::SourceNamed { source, name } = event {
            self.names.insert(*source, name.clone());
        } else if let Event::ReportReceived(report) = event {
            self.report(seq, at, report);
        } else if let Event::CallReceived { said, .. } = event {
            self.call(seq, said);
        } else if let Event::SignalReceived { signal, report, alarm: AlarmKind::Call, .. } = event {
            self.rings.insert(*signal, self.offers[report].clone());
        } else if let Event::CallAnswered { signal, position } = event {
            self.answered.insert((self.rings[signal].clone(), position.clone()));
        } else if let Event::ZoneEntered { device, .. } = event {
            self.outside.remove(device);
        } else if let Event::ZoneLeft { device, .. } = event {
            assert!(self.outside.insert(*device), "{device:?} leaves and is outside");
        } else if let Event::SignalReceived { signal, alarm: AlarmKind::LeftZone, .. } = event {
            self.exits.insert(*signal);
            if self.has_helpers(source) {
                self.expected.insert(seq, "a notice");
            }
        } else if let Event::SignalReceived { signal, alarm: AlarmKind::Message, .. } = event {
            self.words.insert(*signal);
        } else if let Event::SignalReceived { signal, alarm, refused, .. } = event {
            let other = self.open.insert(source, *signal);
            assert!(other.is_none(), "{signal} opens while {other:?} of the same device is open");
            self.owners.insert(*signal, source);
            if *alarm == AlarmKind::Help && !refused && self.has_helpers(source) {
                self.expected.insert(seq, "a notice");
            }
        } else if let Event::SignalEnded { signal, .. } = event
            && !self.rings.contains_key(signal)
            && !self.exits.remove(signal)
            && !self.words.remove(signal)
        {
            let owner = self.owners.get(signal).copied();
            assert!(
                owner.and_then(|owner| self.open.remove(&owner)) == Some(*signal),
                "{signal} ends and is not open"
            );
        } else if let Event::DeviceRegistered { device, helpers, .. } = event {
            self.helpers.insert(*device, helpers.clone());
        } else if let Event::DeviceWithdrawn { device } = event {
            self.helpers.remove(device);
        } else if let Event::PersonErased { person } = event {
            self.erased.insert(*person);
        } else if let Event::EffectsAttempted { attempts } = event {
            for attempt in attempts {
                let before = self.attempts.insert(attempt.effect, attempt.number);
                assert!(
                    before.unwrap_or_default() + 1 == attempt.number,
                    "attempt {} of {} follows {before:?}",
                    attempt.number,
                    attempt.effect
                );
                let settled = self.settled.get(&attempt.effect).copied();
                assert!(
                    settled.unwrap_or_default() + 1 == attempt.number,
                    "attempt {} of {} is under way twice",
                    attempt.number,
                    attempt.effect
                );
            }
        } else if let Event::EffectsSettled { outcomes } = event {
            for each in outcomes {
                let id = each.outcome.effect;
                self.settled.insert(id, each.outcome.attempt);
                if each.outcome.outcome == Outcome::Uncertain {
                    self.uncertain.insert(id);
                }
            }
        }
    }

    fn report(&mut self, seq: Seq, at: Timestamp, report: &SealedReport) {
        let account = report.source.split_once(':').unwrap().1.to_owned();
        if report.device_key.is_empty() {
            *self.beats.entry(account).or_default() += 1;
            return;
        }
        if let Some(sequence) = sequence_of(&report.raw.bytes) {
            let before = self.messages.insert((account, sequence), at);
            // The core remembers telemetry for ten minutes; a clock set forward ends them.
            let new = before.is_none_or(|before| at.duration_since(before) >= MEMORY);
            assert!(new, "event {seq} is the same message as that of {before:?}");
        }
        let calls = report
            .findings
            .iter()
            .any(|finding| finding.class == AlarmClass::Life && finding.phase != Phase::Restored);
        if calls {
            self.expected.insert(seq, "a signal");
        }
    }

    fn call(&mut self, seq: Seq, said: &SealedCallReport) {
        let before = self.said.insert(seq, said.clone());
        assert!(before.is_none());
        match &said.fact {
            CallFact::Offered(_) => {
                self.offers.insert(seq, said.call.clone());
                self.expected.insert(seq, "a signal");
            }
            CallFact::Connected { position } | CallFact::NotConnected { position, .. } => {
                let answer = (said.call.clone(), position.clone());
                assert!(self.answered.contains(&answer), "{answer:?} and nobody answered");
            }
            CallFact::Abandoned | CallFact::Ended { .. } => {}
        }
    }

    fn has_helpers(&self, device: SourceId) -> bool {
        let helpers = self.helpers.get(&device);
        helpers.is_some_and(|helpers| helpers.iter().any(|each| !self.erased.contains(each)))
    }
}

/// The number of a message: a DC-09 frame's or answer's four digits after its kind, the counter of
/// an MQTT message, the steps in a watch's alarm.
pub(super) fn sequence_of(frame: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(frame).ok()?;
    if let Some((_topic, rest)) = text.split_once("{\"n\":") {
        return rest.split(',').next()?.parse().ok();
    }
    if let Some((_head, alarm)) = text.split_once("*AL,") {
        return alarm.split(',').nth(13)?.parse().ok();
    }
    let after = text.split('"').nth(2)?;
    after.get(..4)?.parse().ok()
}

/// The number that a DC-09 answer acknowledges.
pub(super) fn acked(bytes: &[u8]) -> Option<u16> {
    String::from_utf8_lossy(bytes).contains("\"ACK\"").then(|| sequence_of(bytes)).flatten()
}

/// The packet's id, if this is a PUBACK that does not tell of a failure.
pub(super) fn puback(bytes: &[u8]) -> Option<u16> {
    let [0x40, _length, high, low, reason @ ..] = bytes else { return None };
    if reason.first().is_some_and(|reason| *reason >= 0x80) {
        return None;
    }
    Some(u16::from_be_bytes([*high, *low]))
}
