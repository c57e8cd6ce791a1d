//! A satellite modem in the world: the real driver in the house, a modem and its sky outside. The
//! driver dies with the core; the modem goes on, with whatever stands in its buffers.

use std::collections::BTreeMap;

use hansho_model::{
    AlarmClass, AlarmKind, Door, EffectId, Finding, Input, Lane, Message, MessageId, Phase,
    Private, SealedReport,
};
use hansho_outbox::{Delivery, Task};
use hansho_protocols::sbd::{
    Event, Failure, Incoming, Outcome, Outgoing, Output, Sbd, SendError, Setup, text,
};
use hansho_protocols::{Durable, Receipt};
use hansho_simulators::devices::sbd::{Fault, Modem, Sky};
use jiff::SignedDuration;

use super::dice::Dice;
use super::house::Waiter;
use super::town::{SITE, sealed};
use super::world::{Happening, World};

/// Longest time until the next look at a deadline, in microseconds: what was set for much later must
/// not keep a world awake that has come to rest.
pub(super) const LOOK_US: i64 = 60_000_000;

/// The driver, as long as the core lives.
pub(super) struct Port {
    driver: Sbd,
    /// What it was given, by the number of the modem's order.
    given: BTreeMap<u64, (EffectId, u16)>,
    next: u64,
}

/// What stands on the roof.
pub(super) struct Roof {
    modem: Modem,
    /// Sites' words that were spoken, and how many more are to come.
    pub(super) spoken: u64,
    left: u64,
    wake_at: i64,
}

impl Roof {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let session = SignedDuration::from_millis(dice.between(200, 8_000));
        let bars = if dice.one_in(4) { 0 } else { 5 };
        let left = dice.below(4);
        let modem = Modem::new(Sky { session, bars, ..Sky::default() });
        Self { modem, spoken: 0, left, wake_at: -1 }
    }

    /// How often the gateway got a message of the house.
    pub(super) fn got(&self, message: MessageId) -> usize {
        let head = format!("@{SITE}/{} ", message.0);
        self.modem.sent.iter().filter(|sent| sent.starts_with(head.as_bytes())).count()
    }

    fn is_quiet(&self) -> bool {
        let sky = &self.modem.sky;
        sky.queue.is_empty() && self.modem.unread().is_none() && self.left == 0
    }
}

impl World {
    /// A new core opens the port.
    pub(super) fn open_port(&mut self) {
        let now = self.true_time();
        let mut driver = Sbd::new(Setup::new(self.dice.next()));
        driver.handle_opened(now);
        let house = self.house.as_mut().unwrap();
        house.port = Some(Port { driver, given: BTreeMap::new(), next: 0 });
        self.pump();
    }

    /// A site says something, the sky changes, or the modem has a bad moment.
    pub(super) fn site_timer(&mut self) {
        if self.town.roof.left == 0 && !self.healed {
            return;
        }
        let said = if self.healed {
            self.town.roof.modem.faults.clear();
            self.town.roof.left = 0;
            self.town.roof.modem.look_up(5)
        } else if self.dice.one_in(3) {
            let bars = if self.dice.one_in(2) { 0 } else { 5 };
            self.town.roof.modem.look_up(bars)
        } else {
            if self.dice.one_in(3) {
                let cut = self.dice.place(8);
                let fault = *self
                    .dice
                    .pick(&[Fault::LostOk, Fault::LostSession, Fault::CutBuffer(cut)])
                    .unwrap();
                self.town.roof.modem.faults.push(fault);
            }
            let roof = &mut self.town.roof;
            roof.left -= 1;
            roof.spoken += 1;
            let head = text::Head { imei: SITE.to_owned(), number: roof.spoken };
            roof.modem.call(&text::write(&head, "words")).1
        };
        self.port_hears(&said);
        if !self.healed {
            let wait = self.dice.between(500, 8_000);
            self.after_ms(wait, Happening::SiteTimer);
        }
        self.pump();
    }

    /// The modem or its driver has something to do.
    pub(super) fn modem_timer(&mut self) {
        let now = self.true_time();
        if self.town.roof.modem.wake().is_some_and(|wake| now >= wake) {
            let said = self.town.roof.modem.tick(now);
            self.port_hears(&said);
        }
        if let Some(port) = self.house.as_mut().and_then(|house| house.port.as_mut()) {
            port.driver.handle_timeout(now);
        }
        self.pump();
    }

    fn port_hears(&mut self, said: &[u8]) {
        let now = self.true_time();
        let port = self.house.as_mut().and_then(|house| house.port.as_mut());
        if let Some(port) = port.filter(|_| !said.is_empty()) {
            port.driver.handle_bytes(now, said);
        }
    }

    /// Carries between driver and modem until both wait, and sets the next time for them.
    fn pump(&mut self) {
        let now = self.true_time();
        let mut wake = self.town.roof.modem.wake();
        while let Some(port) = self.house.as_mut().and_then(|house| house.port.as_mut()) {
            match port.driver.poll_output() {
                Output::Transmit(bytes) => {
                    let said = self.town.roof.modem.hear(now, &bytes);
                    self.port_hears(&said);
                }
                Output::Say(Event::Message(receipt, incoming)) => self.words(receipt, &incoming),
                Output::Say(Event::Sent(id, outcome)) => self.modem_sent(id, outcome),
                Output::Say(_) => {}
                Output::Close => {
                    port.driver.handle_closed(now);
                    port.driver.handle_opened(now);
                }
                Output::Idle(next) => {
                    let given = !port.given.is_empty();
                    wake = [self.town.roof.modem.wake(), next].into_iter().flatten().min();
                    // At the end nobody looks into an empty mailbox any more.
                    if self.healed && !given && self.town.roof.is_quiet() {
                        wake = None;
                    }
                    break;
                }
            }
        }
        if let Some(wake) = wake {
            let wait = wake.duration_since(now).as_micros().clamp(1_000, i128::from(LOOK_US));
            let at = self.now + i64::try_from(wait).unwrap();
            if self.town.roof.wake_at <= self.now || at < self.town.roof.wake_at {
                self.town.roof.wake_at = at;
                self.at(at, Happening::ModemTimer);
            }
        }
    }

    /// As the engine makes a report of it; the key is the message itself, as nothing is sealed here.
    fn words(&mut self, receipt: Receipt, incoming: &Incoming) {
        let words = text::Words::read(&incoming.bytes.0);
        let device = words.head.map_or_else(|| "roof".to_owned(), |head| head.imei);
        let report = SealedReport {
            door: Door::Sbd,
            source: format!("{}:{device}", Door::Sbd),
            lane: Lane::A,
            observed_at: None,
            received_at: self.wall(),
            device_key: incoming.bytes.0.clone(),
            findings: vec![Finding {
                class: AlarmClass::Check,
                kind: AlarmKind::Message,
                phase: Phase::New,
                code: String::new(),
                zone: String::new(),
            }],
            position: None,
            telemetry: None,
            text: None,
            raw: sealed(1, &incoming.bytes.0),
            peer: sealed(1, b"serial"),
            refused: None,
            deviations: Vec::new(),
        };
        let input = Input::Report(Box::new(report));
        self.house.as_mut().unwrap().receive(Door::Sbd);
        assert!(self.submit(Lane::A, input, Waiter::Words(receipt)), "lane A is full");
    }

    /// The journal has what the modem handed out.
    pub(super) fn words_are_kept(&mut self, receipt: Receipt) {
        let now = self.true_time();
        if let Some(port) = self.house.as_mut().and_then(|house| house.port.as_mut()) {
            port.driver.handle_durable(now, receipt, Durable::Stored);
        }
        self.pump();
    }

    /// The desk hands a message to the modem.
    pub(super) fn give_modem(&mut self, task: &Task, message: &Message) {
        let now = self.true_time();
        let head = text::Head { imei: SITE.to_owned(), number: message.message.0.get() };
        let bytes = Private(text::write(&head, "answer"));
        let house = self.house.as_mut().unwrap();
        let port = house.port.as_mut().unwrap();
        port.next += 1;
        let outgoing = Outgoing { id: port.next, bytes, until: Some(message.until) };
        match port.driver.send(now, outgoing) {
            Ok(()) => {
                port.given.insert(port.next, (task.id, task.number));
            }
            Err(error) => {
                let again = matches!(error, SendError::Full { .. });
                let delivery = Delivery::failed(0, again);
                house.desk_mut().handle_delivered(task.id, task.number, delivery);
            }
        }
        self.pump();
    }

    fn modem_sent(&mut self, id: u64, outcome: Outcome) {
        let house = self.house.as_mut().unwrap();
        let given = house.port.as_mut().and_then(|port| port.given.remove(&id));
        let Some((effect, number)) = given else { return };
        let delivery = match outcome {
            Outcome::Done => Delivery::done(0),
            Outcome::Uncertain => Delivery::uncertain(),
            Outcome::Failed(failure) => Delivery::failed(0, failure == Failure::Stopped),
        };
        house.desk_mut().handle_delivered(effect, number, delivery);
        self.core_after_ms(0, super::world::CoreStep::Desk);
    }
}
