//! The real program, killed at random moments under load: what it acknowledged is in the journal.
//!
//! One house, one data folder. Home units press over TCP and UDP, a pendant publishes, a watch calls
//! for help, callers ring 119, a vehicle's crew presses, a site speaks over a satellite, a desk sends
//! commands, messages to the site and notices to a group, helpers answer their mails, and the core,
//! its supervisor or both are killed again and again. After each restart the journal is read on and
//! every acknowledgement that anybody holds is looked up in it.
//!
//! `HANSHO_KILLS` sets how often (200), `HANSHO_SEED` plays the moments of a run again. What runs
//! between two kills is up to the machine, so a seed repeats the plan and not the interleaving.

mod doors;
mod letters;
mod satphone;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::Duration;

use hansho_journal::{SqliteReader, Vault};
use hansho_model::{
    AnswerChoice, EffectId, Event, Idem, IncidentId, NoticeId, Outcome, PersonId, Recorded,
    Reveal as _, Sealed, Seq, Settled, SignalId,
};
use serde_json::json;

use crate::house::dc09::{self, Link};
use crate::house::http::{Client, new_id};
use crate::house::post::{Post, answer_path};
use crate::house::setup::{Device, Setup};
use crate::house::{Addresses, Dice, House, now, pause, seed, wait, wait_for};

/// Home units: every second one over UDP.
const UNITS: usize = 8;
/// The one whose second helper is at a relay that takes a mail and never says so.
const MUTE: usize = 6;
/// Longest wait of a sender for an answer before it repeats.
const REPEAT_AFTER: Duration = Duration::from_millis(400);
/// A unit's pause between two messages: load, not flood.
const PACE: Duration = Duration::from_millis(12);
/// After the kills: how long the mails that are owed may take to go out while one relay is mute, and
/// again once it was mended.
const MAILS_MAX: Duration = Duration::from_secs(150);

#[test]
fn nothing_that_was_acknowledged_is_lost_however_it_is_killed() {
    let seed = seed();
    let kills = std::env::var("HANSHO_KILLS").ok().and_then(|text| text.parse().ok());
    let kills: u32 = kills.unwrap_or(200);
    println!("HANSHO_SEED={seed} HANSHO_KILLS={kills}");
    let post = Post::start();
    let mut house = House::new(&setup(&post));
    let (terminals, trust) = (house.issue(&[doors::TERMINAL]), house.data().join("tls.pem"));
    let satphone = satphone::plug_in(&house);
    let shared = Shared::default();
    let mut witness = Witness::default();
    let begun = now();
    thread::scope(|scope| {
        for unit in 0..UNITS {
            let shared = &shared;
            scope.spawn(move || press_for_ever(unit, shared));
        }
        scope.spawn(|| command_for_ever(&shared));
        scope.spawn(|| answer_for_ever(&post, &shared));
        scope.spawn(|| doors::publish_for_ever(&shared));
        scope.spawn(|| doors::alarm_for_ever(&shared));
        scope.spawn(|| doors::call_for_ever(&shared));
        scope.spawn(|| doors::drive_for_ever(&shared, &terminals, &trust));
        scope.spawn(|| satphone::speak_for_ever(&shared, &satphone));
        scope.spawn(|| satphone::write_for_ever(&shared));
        scope.spawn(|| letters::send_for_ever(&shared));
        let end = EndAll(&shared);
        kill_for_long(&mut house, &shared, &mut witness, &mut Dice(seed), kills);
        shared.quiet.store(true, Ordering::SeqCst);
        println!("the last kill after {:.0} s", begun.elapsed().as_secs_f64());
        // What is owed to the mute relay holds up nobody else's mail; mended, it gets its own.
        let_mails_go_out(&house, &mut witness, |fate| !fate.mute);
        post.mend();
        let_mails_go_out(&house, &mut witness, |_fate| true);
        let_messages_go_through(&house, &mut witness, &shared);
        witness.wait_console(&house);
        drop(end);
    });
    let took = begun.elapsed();
    assert!(house.stop().success());
    house.journal("verify");
    let held = shared.held.lock().unwrap();
    witness.read(&house);
    witness.check(&held);
    witness.check_frames(&house, &held);
    let elsewhere = witness.doors.check(&house, &shared.doors.lock().unwrap());
    let mails = witness.check_mails(&post);
    let held_there = shared.satphone.lock().unwrap();
    let messages = witness.satphone.check(&house.data(), &held_there, &satphone);
    println!(
        "{kills} kills in {:.0} s: {} events, {} frames, {} commands, {} answers, {elsewhere}, \
         {mails}, {messages}",
        took.as_secs_f64(),
        witness.last,
        held.frames.len(),
        held.commands.len(),
        held.answers.len(),
    );
    assert!(!held.frames.is_empty() && !held.commands.is_empty(), "there was no load");
    assert!(kills < 50 || !held.answers.is_empty(), "nobody answered");
    let presses = shared.doors.lock().unwrap().presses;
    assert!(presses > 0, "no crew was answered");
    println!("{presses} presses of a crew were answered");
}

fn account(unit: usize) -> String {
    format!("9{unit:03}")
}

/// Two helpers each: one at a relay that takes at once, one elsewhere.
fn setup(post: &Post) -> Setup {
    let others = ["mail", "slow", "au", "slow", "dead", "docomo", "hang", "full"];
    let devices = (0..UNITS).map(|unit| {
        let first = format!("first{unit}@docomo.example.jp");
        let second = format!("second{unit}@{}.example.jp", others[unit % others.len()]);
        Device::new(&account(unit), &[&first, &second])
    });
    let watch = Device::new(doors::WATCH, &[]).wearing_watch(37.106, 140.9589, 200);
    Setup::new(devices.chain([watch]).collect())
        .with_relay(post.relay())
        .with_mqtt(&[doors::PENDANT])
        .with_unit("小名浜1", doors::TERMINAL)
        .with_modem(satphone::PORT)
        .with_site(satphone::SITE, "川前支所", 12)
        .with_group(letters::members())
}

/// What the load and the killer know of each other.
#[derive(Default)]
struct Shared {
    /// Where the house listens; `None` while it is down.
    open: RwLock<Option<Addresses>>,
    /// Acknowledgements that somebody holds.
    held: Mutex<Held>,
    /// The same at the other doors.
    doors: Mutex<doors::Held>,
    /// What went through the satellite.
    satphone: Mutex<satphone::Held>,
    /// Open signals as last read in the journal.
    signals: Mutex<BTreeSet<SignalId>>,
    /// No new work: what is under way comes to its end.
    quiet: AtomicBool,
    over: AtomicBool,
}

/// Acknowledgements, as those outside hold them.
#[derive(Default)]
struct Held {
    frames: BTreeMap<(String, u16), Vec<u8>>,
    /// Number of its event by the command's id.
    commands: BTreeMap<uuid::Uuid, u64>,
    answers: BTreeSet<EffectId>,
}

impl Shared {
    fn addresses(&self) -> Option<Addresses> {
        *self.open.read().unwrap()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::SeqCst) || self.is_over()
    }
}

/// Ends the load when the killer ends, whatever ended it: a scope waits for its threads.
struct EndAll<'a>(&'a Shared);

impl Drop for EndAll<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// A home unit: a new message each time, the same one again until it is acknowledged.
fn press_for_ever(unit: usize, shared: &Shared) {
    let account = account(unit);
    let mut link = None;
    let mut sequence = 0_u16;
    while !shared.is_quiet() && sequence < 9_999 {
        sequence += 1;
        let frame = dc09::press(&account, sequence, sequence % 900 + 1);
        while !shared.is_over() {
            match say(&mut link, unit, shared, &frame) {
                Ok(answer) => {
                    assert!(answer.contains(&dc09::ack(sequence)), "{answer}");
                    let mut held = shared.held.lock().unwrap();
                    held.frames.insert((account.clone(), sequence), frame);
                    break;
                }
                Err(_lost) => {
                    link = None;
                    pause(Duration::from_millis(2));
                }
            }
        }
        pause(PACE);
    }
}

/// Sends over the open link, or over a new one to wherever the house is now.
fn say(link: &mut Option<Link>, unit: usize, shared: &Shared, frame: &[u8]) -> io::Result<String> {
    if link.is_none() {
        let Some(Addresses { dc09, .. }) = shared.addresses() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let open = if unit.is_multiple_of(2) { Link::tcp } else { Link::udp };
        *link = Some(open(dc09, REPEAT_AFTER)?);
    }
    let Some(link) = link else { return Err(io::ErrorKind::NotConnected.into()) };
    link.ask(frame)
}

/// A desk: has every open signal acknowledged, opened as an incident, noted and closed.
fn command_for_ever(shared: &Shared) {
    while !shared.is_quiet() {
        let signals = std::mem::take(&mut *shared.signals.lock().unwrap());
        for signal in signals {
            let signal = signal.to_string();
            command(shared, "AcknowledgeSignal", &json!({"signal": signal, "position": "desk1"}));
            let body = json!({"signals": [signal], "kind": "ems"});
            let Some(incident) = command(shared, "OpenIncident", &body) else { continue };
            let incident = IncidentId(Seq::new(incident)).to_string();
            command(shared, "AddNote", &json!({"incident": incident, "text": "出動"}));
            let body = json!({"incident": incident, "outcome": "handled"});
            command(shared, "CloseIncident", &body);
        }
        pause(Duration::from_millis(5));
    }
}

/// One command, sent with the same id until there is an answer; its event when it was taken.
fn command(shared: &Shared, kind: &str, body: &serde_json::Value) -> Option<u64> {
    let id = new_id();
    while !shared.is_over() {
        let answer = console(shared).and_then(|client| client.command_as(&id, kind, body));
        match answer {
            Ok(answer) if answer.status == 200 => {
                let seq = answer.seq();
                shared.held.lock().unwrap().commands.insert(id.parse().unwrap(), seq);
                return Some(seq);
            }
            // Another kill came between the signal's reading and now: it is over already.
            Ok(answer) if answer.status == 409 => return None,
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => panic!("{kind} {body}: {answer:?}"),
            Err(_lost) => pause(Duration::from_millis(2)),
        }
    }
    None
}

fn console(shared: &Shared) -> io::Result<Client> {
    let Addresses { console, .. } = shared.addresses().ok_or(io::ErrorKind::NotConnected)?;
    let token = crate::house::setup::token_of("dispatcher1");
    let client = Client::new(console).with_patience(Duration::from_secs(2));
    Ok(client.with_header("Authorization", &format!("Bearer {token}")))
}

/// Helpers: every mail of an alarm that is caught is answered once.
fn answer_for_ever(post: &Post, shared: &Shared) {
    let mut done = 0;
    while !shared.is_quiet() {
        let fresh: Vec<_> =
            post.mails().into_iter().filter(|mail| mail.id > done).take(8).collect();
        for mail in fresh {
            done = mail.id;
            if letters::is_members(&mail) {
                continue;
            }
            let Some(effect) = effect_of(&mail.message_id) else { panic!("{mail:?}") };
            let path = answer_path(&mail);
            while !shared.is_over() {
                let posted =
                    console(shared).and_then(|client| client.post_form(&path, "answer=coming"));
                match posted {
                    Ok(answer) if answer.status == 200 => {
                        shared.held.lock().unwrap().answers.insert(effect);
                        break;
                    }
                    Ok(answer) if answer.status == 503 => {}
                    Ok(answer) => panic!("{path}: {answer:?}"),
                    Err(_lost) => pause(Duration::from_millis(2)),
                }
            }
        }
        pause(Duration::from_millis(5));
    }
}

/// The effect that a Message-ID names: `<n123.0@...>`.
fn effect_of(message_id: &str) -> Option<EffectId> {
    let (notice, rest) = message_id.strip_prefix('<')?.split_once('.')?;
    let notice: NoticeId = notice.parse().ok()?;
    let index = rest.split_once('@')?.0.parse().ok()?;
    Some(EffectId { seq: notice.0, index })
}

fn kill_for_long(
    house: &mut House,
    shared: &Shared,
    witness: &mut Witness,
    dice: &mut Dice,
    kills: u32,
) {
    for kill in 0..kills {
        if !house.is_running() {
            house.launch();
        }
        // Now and then in the middle of the start; else soon after the doors are open.
        if dice.below(10) > 0 {
            house.wait_ready();
            *shared.open.write().unwrap() = Some(house.addresses());
            // What is held now must be in what is read after: nobody may add to it between.
            let held = shared.held.lock().unwrap();
            witness.read(house);
            witness.check(&held);
            drop(held);
            shared.signals.lock().unwrap().extend(&witness.open);
            // A modem is set up half a second after the doors are open, and must be caught at work.
            let long = if dice.below(10) == 0 { 600 } else { 0 };
            pause(Duration::from_millis(10 + long + dice.below(141 + long)));
        } else {
            pause(Duration::from_millis(dice.below(60)));
        }
        match dice.below(10) {
            0..4 => {
                house.kill_core();
                continue;
            }
            4..7 => house.kill_supervisor(),
            _ => house.kill_both(),
        }
        *shared.open.write().unwrap() = None;
        if kill % 20 == 19 {
            house.journal("verify");
            // A quiet end between: the next start begins with a snapshot.
            house.start();
            assert!(house.stop().success());
        }
    }
    if !house.is_running() {
        house.launch();
    }
    house.wait_ready();
    *shared.open.write().unwrap() = Some(house.addresses());
}

/// Waits until nothing of this is owed any more.
fn let_mails_go_out(house: &House, witness: &mut Witness, of: impl Fn(&Fate) -> bool) {
    let mut owed = 0;
    let done = wait_for(MAILS_MAX, || {
        witness.read(house);
        owed = witness.recipients.values().filter(|fate| of(fate) && fate.is_owed()).count();
        if owed > 0 {
            pause(Duration::from_millis(250));
        }
        (owed == 0).then_some(())
    });
    assert!(done.is_some(), "{owed} mails are still owed");
}

/// Waits until all words of the site are signals and all messages to it have their outcome.
fn let_messages_go_through(house: &House, witness: &mut Witness, shared: &Shared) {
    let mut owed = 0;
    let done = wait_for(MAILS_MAX, || {
        witness.read(house);
        owed = witness.satphone.owed(&shared.satphone.lock().unwrap());
        if owed > 0 {
            pause(Duration::from_millis(250));
        }
        (owed == 0).then_some(())
    });
    assert!(done.is_some(), "{owed} messages of the satellite are still owed");
}

/// What stands in the journal.
#[derive(Default)]
struct Witness {
    last: Seq,
    /// Sealed frames by account and sequence.
    frames: BTreeMap<(String, u16), Sealed>,
    keys: BTreeMap<Idem, Seq>,
    answers: BTreeSet<EffectId>,
    open: BTreeSet<SignalId>,
    recipients: BTreeMap<EffectId, Fate>,
    /// Helpers whose relay is mute.
    mute: BTreeSet<PersonId>,
    doors: doors::Witness,
    satphone: satphone::Witness,
    letters: letters::Witness,
}

/// What became of a mail, or of a message to the site.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    mute: bool,
    /// An attempt is under way.
    attempted: bool,
    /// A newer notice took its place: what is not under way is not sent any more.
    replaced: bool,
    /// An attempt may have happened, and another was made.
    maybe_twice: bool,
    last: Option<(Outcome, u16, bool)>,
}

impl Fate {
    fn is_owed(self) -> bool {
        self.attempted || (!self.replaced && self.last.is_none_or(|(_outcome, _code, again)| again))
    }

    fn settle(&mut self, settled: &Settled) {
        let (outcome, again) = (&settled.outcome, settled.again_at.is_some());
        self.attempted = false;
        self.maybe_twice |= outcome.outcome == Outcome::Uncertain && again;
        self.last = Some((outcome.outcome, outcome.detail.code, again));
    }
}

impl Witness {
    /// Reads the journal on from where it was left; the reader checks the chain.
    fn read(&mut self, house: &House) {
        let mut reader = SqliteReader::open(&house.data()).unwrap();
        loop {
            let events = reader.read(self.last, 4_096).unwrap();
            let Some(last) = events.last() else { return };
            self.last = last.seq;
            for recorded in &events {
                self.take(recorded);
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a witness looks for a few kinds")]
    fn take(&mut self, recorded: &Recorded) {
        assert_eq!(self.keys.insert(recorded.idem, recorded.seq), None, "twice: {recorded:?}");
        if self.doors.take(recorded) || self.satphone.take(recorded) {
            return;
        }
        match &recorded.event {
            Event::ReportReceived(report) => {
                let key = String::from_utf8_lossy(&report.device_key).into_owned();
                let mut parts = key.split('|');
                let (Some(account), Some(sequence)) = (parts.next(), parts.next()) else {
                    panic!("{report:?}");
                };
                let key = (account.to_owned(), sequence.parse().unwrap());
                let twice = self.frames.insert(key, report.raw.clone());
                assert!(twice.is_none(), "one message, two reports: {recorded:?}");
            }
            Event::SignalReceived { signal, .. } => drop(self.open.insert(*signal)),
            Event::SignalEnded { signal, .. } => drop(self.open.remove(signal)),
            Event::PersonEntered { person, entry }
                if entry.key == format!("helper-{}-1", account(MUTE)) =>
            {
                self.mute.insert(*person);
            }
            Event::NoticeOrdered { notice, recipients, .. } => {
                for (index, recipient) in (0..).zip(recipients) {
                    let effect = EffectId { seq: notice.0, index };
                    let mute = self.mute.contains(&recipient.person);
                    self.recipients.insert(effect, Fate { mute, ..Fate::default() });
                }
            }
            Event::LetterOrdered { notice, letter, recipients, .. } => {
                self.letters.order(*notice, letter, recipients);
                for index in (0..).take(recipients.len()) {
                    self.recipients.insert(EffectId { seq: notice.0, index }, Fate::default());
                }
            }
            Event::NoticeReplaced { notice, .. } => {
                let last = EffectId { seq: notice.0, index: u32::MAX };
                let first = EffectId { seq: notice.0, index: 0 };
                let mails = self.recipients.range_mut(first..=last);
                mails.for_each(|(_, fate)| fate.replaced = true);
            }
            Event::EffectsAttempted { attempts } => {
                attempts.iter().for_each(|each| self.fate(each.effect).attempted = true);
            }
            Event::EffectsSettled { outcomes } => {
                outcomes.iter().for_each(|each| self.fate(each.outcome.effect).settle(each));
            }
            Event::AnswerGiven { effect, choice, .. } => {
                assert_eq!(*choice, AnswerChoice::Coming);
                self.answers.insert(*effect);
            }
            _ => {}
        }
    }

    fn fate(&mut self, effect: EffectId) -> &mut Fate {
        match self.satphone.messages.get_mut(&effect) {
            Some(fate) => fate,
            None => self.recipients.entry(effect).or_default(),
        }
    }

    /// Waits until the console, which follows the journal by a moment, says the same of every mail
    /// and message that it shows.
    fn wait_console(&mut self, house: &House) {
        let desk = house.client_of("dispatcher1");
        wait("the console to agree with the journal", || {
            let state = desk.state();
            self.read(house);
            let agreed = self.satphone.agrees_with(&state) && letters::agree(self, &state);
            agreed.then_some(())
        });
    }

    /// Every acknowledgement that anybody holds is in the journal.
    fn check(&self, held: &Held) {
        for frame in held.frames.keys() {
            assert!(self.frames.contains_key(frame), "lost: the acknowledged frame {frame:?}");
        }
        for (id, seq) in &held.commands {
            let mut key = b"command\0".to_vec();
            key.extend_from_slice(id.as_bytes());
            let idem = Idem(blake3::hash(&key).as_bytes()[..16].try_into().unwrap());
            let found = self.keys.get(&idem).map(|seq| seq.get());
            assert_eq!(found, Some(*seq), "lost: the acknowledged command {id}");
        }
        for effect in &held.answers {
            assert!(self.answers.contains(effect), "lost: the acknowledged answer to {effect}");
        }
    }

    /// The journal opens to the very bytes that were acknowledged.
    fn check_frames(&self, house: &House, held: &Held) {
        let vault = Vault::open(&house.data()).unwrap();
        for (key, frame) in &held.frames {
            let raw = vault.reveal(&self.frames[key]);
            assert_eq!(raw.as_deref(), Some(frame.as_slice()), "{key:?}");
        }
    }

    /// Every mail that was owed went out or is settled; twice only where `maybe_twice` says so.
    fn check_mails(&self, post: &Post) -> String {
        let mut caught: BTreeMap<EffectId, u32> = BTreeMap::new();
        for mail in post.mails() {
            assert_eq!(mail.to.len(), 1, "one mail a person: {mail:?}");
            *caught.entry(effect_of(&mail.message_id).unwrap()).or_default() += 1;
        }
        let (mut twice, mut refused, mut unknown) = (0, 0, 0);
        for (effect, count) in &caught {
            let fate = self.recipients.get(effect);
            let fate = fate.unwrap_or_else(|| panic!("a mail that nobody ordered: {effect}"));
            assert!(*count == 1 || fate.maybe_twice, "{effect} went out {count} times: {fate:?}");
            twice += u32::from(*count > 1);
        }
        let mut stopped = 0;
        for (effect, fate) in &self.recipients {
            assert!(!fate.is_owed(), "{effect} is still owed: {fate:?}");
            let went_out = caught.contains_key(effect);
            let settled = match fate.last {
                Some((Outcome::Done, _, _)) => went_out,
                Some((Outcome::Uncertain, _, _)) => true,
                Some((Outcome::Failed, code, _)) => fate.replaced || matches!(code, 550 | 552),
                None => fate.replaced && !went_out,
            };
            assert!(settled, "{effect} (caught: {went_out}): {fate:?}");
            match fate.last.map(|(outcome, _, _)| outcome) {
                Some(Outcome::Failed) if !fate.replaced => refused += 1,
                Some(Outcome::Uncertain) if !went_out => unknown += 1,
                None => stopped += 1,
                Some(_) => {}
            }
        }
        let owed = self.recipients.len();
        let letters = self.letters.check(&caught.into_keys().collect());
        format!(
            "{owed} mails owed, {letters}: {refused} refused by the relay, {stopped} stopped by a \
             newer notice; by `uncertain` attempts that a kill cut short, {twice} came twice and \
             {unknown} not at all"
        )
    }
}
