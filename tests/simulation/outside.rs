//! Everybody outside the house: home units, dispatchers, helpers, and the mail relay.

use std::collections::BTreeSet;

use hansho_core::{Signal, SignalState, State};
use hansho_model::{
    Actor, Answer, AnswerChoice, CallBackOutcome, Command, CommandId, CommandKind, Door, Effect,
    EffectId, IncidentKind, IncidentOutcome, Input, Lane, Letter, NoticeKind, Place, RefusalCode,
    Replacing, Role, SendNotice, SignalId, SignalOutcome, Token, UnitStatus,
};
use hansho_outbox::{Delivery, Task};
use jiff::SignedDuration;

use super::audit::{acked, puback};
use super::dice::Dice;
use super::house::LINKS;
use super::house::Waiter;
use super::plan::Sabotage;
use super::town::{GROUP, GivenAnswer, SITE, UNITS, sealed};
use super::world::{Happening, Heard, World};

/// The relay's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    /// Anything may happen.
    Flaky,
    /// 4xx to everybody.
    Busy,
    /// The link breaks, mostly after the dot.
    Breaking,
}

impl Mood {
    pub(super) const ALL: [Self; 4] = [Self::Good, Self::Flaky, Self::Busy, Self::Breaking];
}

/// A notice to everybody, or one that takes the place of the newest.
fn send_notice(sees: &State, dice: &mut Dice) -> Option<CommandKind> {
    let newest = sees.notices().iter().rev().find_map(|(id, notice)| notice.letter().map(|_| *id));
    let how = *dice.pick(Replacing::ALL)?;
    let replaces = newest.filter(|_| dice.one_in(2)).map(|newest| (newest, how));
    let letter = Letter {
        group: GROUP.to_owned(),
        kind: NoticeKind::CallOut,
        drill: false,
        subject: sealed(1, &[0; 60]),
        text: sealed(1, &[0; 60]),
        incident: None,
        replaces,
        public: None,
    };
    let count = sees.count_of_group(sees.groups().get(GROUP)?);
    let count = replaces.is_none().then_some(u32::try_from(count).ok()?);
    Some(CommandKind::SendNotice(Box::new(SendNotice { letter, count, minutes: 5 })))
}

/// What will come of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Accepted,
    Refused(u16),
    BrokenBeforeDot,
    /// And whether the mail was taken all the same.
    BrokenAfterDot(bool),
}

/// A delivery under way.
pub(super) struct Flight {
    task: Task,
    fate: Fate,
    dotted: bool,
}

impl World {
    /// Milliseconds a packet takes.
    pub(super) fn delay(&mut self) -> i64 {
        if self.healed {
            self.dice.between(1, 50)
        } else {
            self.dice.between(1, self.plan.delay_ms_max)
        }
    }

    pub(super) fn pendant_timer(&mut self, place: usize) {
        let (healed, at) = (self.healed, self.true_time());
        let pendant = &mut self.town.pendants[place];
        let mut said = None;
        if let Some(outstanding) = &mut pendant.outstanding {
            outstanding.sent += 1;
            if pendant.intruder && outstanding.sent > 3 {
                pendant.outstanding = None;
            }
        } else if pendant.left > 0 && !healed {
            pendant.left -= 1;
            let next = pendant.say(at, &mut self.dice);
            // A watch that only says where it is hears nothing back.
            if pendant.door == Door::Watch && next.sequence == 0 {
                said = Some(next.frame);
            } else {
                pendant.outstanding = Some(next);
            }
        } else {
            return;
        }
        let repeated = pendant.outstanding.as_ref().map(|each| each.frame.clone());
        said.or(repeated).iter().for_each(|frame| self.send_frame(place, frame));
        let wait = self.dice.between(1_500, 6_000);
        self.after_ms(wait, Happening::PendantTimer(place));
    }

    fn send_frame(&mut self, place: usize, frame: &[u8]) {
        if self.town.pendants[place].stream {
            // TCP: whole and in order, cut anywhere, or not at all.
            if self.house.is_none() || self.dice.percent(self.plan.loss) {
                return;
            }
            let cut = if self.dice.one_in(3) { self.dice.place(frame.len()) } else { frame.len() };
            let (first, second) = frame.split_at(cut);
            let pendant = &mut self.town.pendants[place];
            if pendant.door != Door::Dc09 {
                self.dialled += 1;
                pendant.link = LINKS + self.dialled;
            }
            let stream = Some((self.epoch, pendant.link));
            for part in [first, second] {
                if part.is_empty() {
                    continue;
                }
                let wait = self.delay() * 1_000;
                let pendant = &mut self.town.pendants[place];
                let at = (self.now + wait).max(pendant.link_free_at + 1);
                pendant.link_free_at = at;
                let bytes = part.to_vec();
                self.at(at, Happening::BytesArrive { pendant: place, stream, bytes });
            }
            return;
        }
        let copies = if self.dice.percent(self.plan.doubled) { 2 } else { 1 };
        for _copy in 0..copies {
            if self.dice.percent(self.plan.loss) {
                continue;
            }
            let mut bytes = frame.to_vec();
            if self.dice.one_in(40) && !self.healed {
                let at = self.dice.place(bytes.len());
                bytes[at] ^= 1 << self.dice.below(8);
            }
            let wait = self.delay();
            self.after_ms(wait, Happening::BytesArrive { pendant: place, stream: None, bytes });
        }
    }

    pub(super) fn reply_arrives(&mut self, place: usize, link: u64, bytes: &[u8]) {
        let pendant = &mut self.town.pendants[place];
        let number = match pendant.door {
            // Whoever dialled again hears no more of the link before.
            Door::Mqtt | Door::Watch if link != pendant.link => None,
            Door::Watch => {
                let answers = bytes.ends_with(b"*AL]");
                pendant.outstanding.as_ref().filter(|_| answers).map(|each| each.sequence)
            }
            Door::Mqtt => puback(bytes),
            Door::Dc09 | Door::Console | Door::Answers | Door::Sip | Door::Quic | Door::Sbd => {
                acked(bytes)
            }
        };
        if number.is_some()
            && pendant.outstanding.as_ref().is_some_and(|each| Some(each.sequence) == number)
        {
            let done = pendant.outstanding.take().unwrap();
            let account = pendant.account.clone();
            // Of a call for help the device may now forget everything.
            assert!(
                !done.urgent || self.audit.has(&(account, done.sequence)),
                "a call for help is acknowledged and not in the journal"
            );
        }
    }

    pub(super) fn dispatcher_timer(&mut self, place: usize) {
        let dispatcher = &self.town.dispatchers[place];
        let idle = dispatcher.outstanding.is_none();
        if idle && (dispatcher.left == 0 || self.healed) {
            return;
        }
        if idle && let Some(command) = self.next_command(place) {
            let dispatcher = &mut self.town.dispatchers[place];
            dispatcher.left -= 1;
            dispatcher.outstanding = Some(command);
        }
        if let Some(command) = self.town.dispatchers[place].outstanding.clone() {
            let copies = if self.dice.percent(self.plan.doubled) { 2 } else { 1 };
            for _copy in 0..copies {
                if !self.dice.percent(self.plan.loss) {
                    let wait = self.delay();
                    let command = Box::new(command.clone());
                    self.after_ms(wait, Happening::CommandArrives(place, command));
                }
            }
        }
        let wait = self.dice.between(800, 5_000);
        self.after_ms(wait, Happening::DispatcherTimer(place));
    }

    fn next_command(&mut self, place: usize) -> Option<Command> {
        let received_at = self.wall();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.dice.next().to_be_bytes());
        let sees = self.house.as_ref()?.replica();
        let dice = &mut self.dice;
        let administrator = dice.one_in(40);
        let kind = if dice.one_in(12) {
            send_notice(sees, dice)?
        } else if dice.one_in(12) {
            let device = format!("{}:{SITE}", Door::Sbd);
            CommandKind::SendMessage { device, text: sealed(1, &[0; 60]) }
        } else if administrator {
            let last = usize::from(self.town.helpers).checked_sub(1)?;
            let person = sees.people().keys().nth(last).copied()?;
            CommandKind::ErasePerson { person }
        } else {
            let signals: Vec<SignalId> = sees.signals().keys().copied().collect();
            let signal = dice.pick(&signals).copied();
            command_about(sees, signal, received_at, dice)?
        };
        let role = if administrator { Role::Administrator } else { Role::Dispatcher };
        let actor = Actor { source: format!("user:dispatcher{place}"), role };
        Some(Command { id: CommandId(id), actor, received_at, kind })
    }

    pub(super) fn command_arrives(&mut self, place: usize, command: Box<Command>) {
        let waiter = Waiter::Command(place, command.id);
        if self.house.is_some() {
            assert!(self.submit(Lane::B, Input::Command(command), waiter), "lane B is full");
        }
    }

    pub(super) fn dispatcher_hears(&mut self, place: usize, id: CommandId, heard: &Heard) {
        let dispatcher = &mut self.town.dispatchers[place];
        if dispatcher.outstanding.as_ref().is_some_and(|each| each.id == id) {
            dispatcher.outstanding = None;
            self.tally.refused += u64::from(heard.is_err());
        }
    }

    /// A helper who got a mail presses a button, mostly.
    fn answer_mail(&mut self, id: EffectId) {
        if self.dice.percent(40) {
            return;
        }
        let number = self.town.answers.len() as u64;
        let mut key = [1; 16];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key[8..].copy_from_slice(&self.dice.next().to_be_bytes());
        let choice = *self.dice.pick(AnswerChoice::ALL).unwrap();
        let received_at = self.wall();
        let answer =
            Answer { id: CommandId(key), effect: id, choice, minutes: Some(10), received_at };
        self.town.answers.push(GivenAnswer { answer, done: false });
        let wait = self.dice.between(500, 20_000);
        self.after_ms(wait, Happening::AnswerTimer(self.town.answers.len() - 1));
    }

    pub(super) fn answer_timer(&mut self, place: usize) {
        if self.town.answers[place].done {
            return;
        }
        if !self.dice.percent(self.plan.loss) {
            let wait = self.delay();
            self.after_ms(wait, Happening::AnswerArrives(place));
        }
        let wait = self.dice.between(2_000, 8_000);
        self.after_ms(wait, Happening::AnswerTimer(place));
    }

    pub(super) fn answer_arrives(&mut self, place: usize) {
        let answer = self.town.answers[place].answer.clone();
        if self.house.is_some() {
            let waiter = Waiter::Answer(place);
            assert!(self.submit(Lane::B, Input::Answer(answer), waiter), "lane B is full");
        }
    }

    pub(super) fn helper_hears(&mut self, place: usize, heard: &Heard) {
        let answer = &mut self.town.answers[place];
        if !answer.done {
            answer.done = true;
            self.tally.answers += u64::from(heard.is_ok());
            let code = heard.as_ref().err().map(|refusal| refusal.code);
            assert!(
                matches!(
                    code,
                    None | Some(
                        RefusalCode::Duplicate | RefusalCode::Expired | RefusalCode::LimitReached
                    )
                ),
                "a helper's answer is refused: {code:?}"
            );
        }
    }

    /// The desk hands out an attempt.
    pub(super) fn fly(&mut self, task: Task) {
        self.audit.attempt(task.id, task.number, self.now);
        let fate = match task.effect {
            Effect::Mail(_) => self.fate(),
            Effect::DestroyKey(_) => Fate::Accepted,
            // A terminal is out of coverage now and then, too.
            Effect::ConnectCall { .. } | Effect::SendOrder(_) => self.fate_of_line(),
            Effect::SendMessage(ref message) => {
                let message = message.clone();
                return self.give_modem(&task, &message);
            }
        };
        self.flown += 1;
        let number = self.flown;
        self.flights.insert(number, Flight { task, fate, dotted: false });
        let dot = self.dice.between(1, 200);
        let back = self.dice.between(1, if self.healed { 100 } else { 4_000 });
        self.after_ms(dot, Happening::Dot(number));
        self.after_ms(dot + back, Happening::Return(number));
    }

    fn fate(&mut self) -> Fate {
        let chance = self.dice.below(100);
        let taken = self.dice.one_in(2);
        match self.mood {
            Mood::Good => Fate::Accepted,
            Mood::Busy => Fate::Refused(451),
            Mood::Breaking if chance < 70 => Fate::BrokenAfterDot(taken),
            Mood::Breaking => Fate::BrokenBeforeDot,
            Mood::Flaky => match chance {
                0..40 => Fate::Accepted,
                40..60 => Fate::Refused(421),
                60..70 => Fate::Refused(550),
                70..85 => Fate::BrokenBeforeDot,
                _ => Fate::BrokenAfterDot(taken),
            },
        }
    }

    /// The line to the telephone side is short, and broken only while a process starts.
    fn fate_of_line(&mut self) -> Fate {
        if self.healed {
            return Fate::Accepted;
        }
        let taken = self.dice.one_in(2);
        match self.dice.below(10) {
            0..7 => Fate::Accepted,
            7 => Fate::Refused(481),
            8 => Fate::BrokenBeforeDot,
            _ => Fate::BrokenAfterDot(taken),
        }
    }

    /// The whole message is with the relay, if it gets so far.
    pub(super) fn dot(&mut self, number: u64) {
        let Some(flight) = self.flights.get_mut(&number) else { return };
        flight.dotted = true;
        let landed = matches!(flight.fate, Fate::Accepted | Fate::BrokenAfterDot(true));
        if landed {
            let effect = flight.task.effect.clone();
            let id = flight.task.id;
            self.carry_out(id, effect);
        }
    }

    fn carry_out(&mut self, id: EffectId, effect: Effect) {
        match effect {
            Effect::Mail(mail) => {
                let wait = self.dice.between(1, 3_000);
                self.after_ms(wait, Happening::Lands(id, mail.recipient.token));
            }
            Effect::DestroyKey(key) => {
                self.keys_destroyed.insert(key);
            }
            Effect::ConnectCall { call, position } => self.ring_phone(&call, &position),
            // The modem carries it out.
            Effect::SendMessage(_) => {}
            Effect::SendOrder(sheet) => {
                self.orders_shown.insert(sheet.assignment);
            }
        }
    }

    pub(super) fn mail_lands(&mut self, id: EffectId, mailbox: Token) {
        self.audit.mail(id, mailbox);
        self.answer_mail(id);
    }

    pub(super) fn flight_returns(&mut self, number: u64) {
        let Some(flight) = self.flights.remove(&number) else { return };
        let delivery = match flight.fate {
            Fate::Accepted => Delivery::done(250),
            Fate::Refused(code) => Delivery::failed(code, code < 500),
            Fate::BrokenBeforeDot => Delivery::failed(0, true),
            Fate::BrokenAfterDot(_) => Delivery::uncertain(),
        };
        let house = self.house.as_mut().unwrap();
        house.desk_mut().handle_delivered(flight.task.id, flight.task.number, delivery);
        self.desk_turn();
    }

    /// The machine died: what was with the relay may be taken or not, nobody will hear.
    pub(super) fn flights_break(&mut self) {
        for flight in std::mem::take(&mut self.flights).into_values() {
            if !flight.dotted && self.dice.one_in(3) {
                self.carry_out(flight.task.id, flight.task.effect);
            }
        }
    }

    /// The register may have changed between two runs.
    pub(super) fn change_register(&mut self) {
        let devices = &mut self.town.start.registry.devices;
        let place = self.dice.place(devices.len());
        if self.dice.one_in(3) && devices.len() > 1 {
            devices.remove(place);
        } else {
            devices[place].helpers = vec!["person-0001".to_owned()];
            devices[place].digest = Token([u8::try_from(self.dice.below(100)).unwrap(); 16]);
        }
    }

    /// Sabotage: the shell does not wait for the journal.
    pub(super) fn fly_early(&mut self, ids: &[EffectId]) {
        let state = self.house.as_ref().unwrap().state();
        let tasks: BTreeSet<(EffectId, u16)> = ids
            .iter()
            .filter_map(|id| state.owed().get(id).map(|owed| (*id, owed.attempts + 1)))
            .collect();
        for (id, number) in tasks {
            let effect = self.house.as_ref().unwrap().state().effect(id);
            effect.into_iter().for_each(|effect| self.fly(Task { id, number, effect }));
        }
    }

    /// Sabotage: the shell takes what was under way for not yet done.
    pub(super) fn repeat_interrupted(&mut self, state: &State) {
        for (id, owed) in state.owed() {
            if matches!(owed.phase, hansho_core::OwedPhase::Attempting { .. })
                && let Some(effect) = state.effect(*id)
            {
                assert_ne!(self.plan.sabotage, Sabotage::None);
                self.carry_out(*id, effect);
            }
        }
    }
}

fn command_about(
    sees: &State,
    signal: Option<SignalId>,
    now: jiff::Timestamp,
    dice: &mut Dice,
) -> Option<CommandKind> {
    let incidents: Vec<_> = sees.incidents().keys().copied().collect();
    let incident = dice.pick(&incidents).copied();
    let words = dice.one_in(2).then(|| sealed(9, b"words"));
    Some(match dice.below(24) {
        0..=2 => CommandKind::AcknowledgeSignal { signal: signal?, position: "desk1".to_owned() },
        3 | 4 => CommandKind::OpenIncident {
            signals: vec![signal?],
            kind: IncidentKind::Ems,
            subkind: None,
            place: Place::default(),
            place_text: words,
        },
        5 => CommandKind::JoinSignal { signal: signal?, incident: incident? },
        6..=8 => {
            let outcome = *dice.pick(SignalOutcome::ALL)?;
            CommandKind::EndSignal { signal: signal?, outcome, reason: words }
        }
        9 => CommandKind::AddNote { incident: incident?, text: sealed(9, b"note") },
        10 => {
            let outcome = IncidentOutcome::Handled;
            CommandKind::CloseIncident { incident: incident?, outcome, note: words }
        }
        11..=14 => {
            let position = if dice.one_in(2) { "desk1" } else { "desk2" }.to_owned();
            // Mostly a call that rings; now and then whatever there is.
            let rings =
                |signal: &Signal| signal.call.is_some() && signal.state == SignalState::Ringing;
            let ringing: Vec<SignalId> =
                sees.signals().iter().filter(|(_, each)| rings(each)).map(|(id, _)| *id).collect();
            let signal = dice.pick(&ringing).copied().or(signal)?;
            CommandKind::AnswerCall { signal, position }
        }
        15 => {
            let outcome = *dice.pick(CallBackOutcome::ALL)?;
            CommandKind::CallBack { signal: signal?, outcome }
        }
        16..=19 => {
            let units = vec![(*dice.pick(&UNITS)?).to_owned()];
            CommandKind::OrderUnits {
                incident: incident?,
                units,
                reason: words,
                divert: dice.one_in(3),
            }
        }
        20..=22 => CommandKind::UnitStatus {
            unit: (*dice.pick(&UNITS)?).to_owned(),
            status: *dice.pick(&[
                UnitStatus::EnRoute,
                UnitStatus::OnScene,
                UnitStatus::Returning,
                UnitStatus::InStation,
            ])?,
            // Now and then a press that comes late.
            at: dice.one_in(3).then_some(now),
            incident: None,
            corrects: None,
        },
        _ => {
            let token = Token([u8::try_from(dice.below(4)).unwrap(); 16]);
            if dice.one_in(3) {
                CommandKind::CloseSession { token }
            } else {
                let expires_at = now.checked_add(SignedDuration::from_mins(5)).unwrap();
                CommandKind::OpenSession { token, expires_at }
            }
        }
    })
}
