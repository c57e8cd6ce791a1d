//! Terminals of units: what crews say goes to the core as their commands, and orders go to their
//! screens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hansho_config::Config;
use hansho_intake::{Crews, Pressed};
use hansho_journal::Vault;
use hansho_model::{
    Actor, Command, CommandKind, Door, EffectId, Input, Lane, OrderSheet, RefusalCode, Reveal as _,
    Role,
};
use hansho_outbox::Delivery;
use hansho_protocols::vehicle::{CrewSaid, Order, OrderKey, Press};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::accounting::{Books, Fate};
use crate::edge::{enter, fate_of};
use crate::live::Queue;

/// How long a terminal may take to say that an order stands on its screen.
const SHOW_MAX: Duration = Duration::from_secs(5);
/// A press is not of tomorrow: a clock that is further ahead than this is not believed.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(30);

/// The crews' side of the house.
#[derive(Debug)]
pub struct Terminals {
    vault: Arc<Vault>,
    queue: Arc<Queue>,
    books: Arc<Books>,
    /// Call signs by terminal.
    units: BTreeMap<String, String>,
    links: Mutex<BTreeMap<String, mpsc::Sender<Vec<u8>>>>,
    /// Who waits for an order to stand on a screen: whose, which.
    shown: Mutex<BTreeMap<(String, OrderKey), oneshot::Sender<()>>>,
}

impl Terminals {
    /// Of the units of a configuration.
    #[must_use]
    pub fn new(config: &Config, vault: Arc<Vault>, queue: Arc<Queue>, books: Arc<Books>) -> Self {
        let with = config.fleet.units.iter();
        let with = with.filter_map(|unit| Some((unit.terminal.clone()?, unit.call_sign.clone())));
        let units = with.collect();
        Self { vault, queue, books, units, links: Mutex::default(), shown: Mutex::default() }
    }

    /// Puts an order on a unit's screen. Said again with the same key it is the same order, so what
    /// is not confirmed in time is simply tried again.
    pub async fn show(&self, id: EffectId, sheet: OrderSheet) -> Delivery {
        let again = Delivery::failed(0, true);
        let (terminal, key) = (sheet.terminal.clone(), OrderKey(id));
        let Some(link) = lock(&self.links).get(&terminal).cloned() else { return again };
        let place = (terminal, key);
        let (tell, shown) = oneshot::channel();
        lock(&self.shown).insert(place.clone(), tell);
        let content = self.order(key, sheet).content();
        let sent = async { link.send(content).await.is_ok() && shown.await.is_ok() };
        let shown = tokio::time::timeout(SHOW_MAX, sent).await;
        lock(&self.shown).remove(&place);
        if matches!(shown, Ok(true)) { Delivery::done(0) } else { again }
    }

    fn order(&self, key: OrderKey, sheet: OrderSheet) -> Order {
        let place = sheet.place_text.as_ref().and_then(|text| self.vault.reveal_text(text));
        Order {
            key,
            word: sheet.word,
            incident: sheet.incident,
            number: sheet.number,
            kind: sheet.kind,
            subkind: sheet.subkind,
            at: sheet.ordered_at,
            place,
            position: sheet.place.position,
            radius: sheet.place.radius,
            units: sheet.units,
            mode: sheet.mode,
        }
    }

    /// What a press asks of the core; `None` from a terminal that no unit has any more.
    fn command(&self, terminal: &str, received_at: Timestamp, press: Press) -> Option<Command> {
        let unit = self.units.get(terminal)?.clone();
        let kind = match press.said {
            CrewSaid::Status { status, at, incident } => {
                let at = at.filter(|at| at.duration_since(received_at) <= AHEAD_MAX);
                CommandKind::UnitStatus { unit, status, at, incident, corrects: None }
            }
            CrewSaid::Availability(usable) => CommandKind::SetAvailability { unit, usable },
        };
        let actor = Actor { source: format!("{}:{terminal}", Door::Quic), role: Role::Crew };
        Some(Command { id: press.id, actor, received_at, kind })
    }
}

impl Crews for Terminals {
    fn knows(&self, terminal: &str) -> bool {
        self.units.contains_key(terminal)
    }

    fn press(self: Arc<Self>, terminal: &str, received_at: Timestamp, press: Press) -> Pressed {
        let command = self.command(terminal, received_at, press);
        Box::pin(async move {
            let command = command.ok_or(RefusalCode::NotFound)?;
            self.books.receive(Door::Quic);
            // Commands are never given up: a full lane has its sender wait.
            let entered = enter(&self.queue, Lane::B, Input::Command(Box::new(command))).await;
            let Some(entered) = entered else {
                self.books.settle(Door::Quic, Fate::Shed);
                return Err(RefusalCode::Degraded);
            };
            let answer = entered.await;
            self.books.settle(Door::Quic, fate_of(answer.clone()));
            match answer {
                Ok(receipt) => Ok(receipt.seq),
                Err(refusal) => refusal
                    .original
                    .filter(|_| refusal.code == RefusalCode::Duplicate)
                    .ok_or(refusal.code),
            }
        })
    }

    fn arrived(&self, terminal: &str, orders: mpsc::Sender<Vec<u8>>) {
        lock(&self.links).insert(terminal.to_owned(), orders);
    }

    fn received(&self, terminal: &str, key: OrderKey) {
        let waiting = lock(&self.shown).remove(&(terminal.to_owned(), key));
        if waiting.is_none_or(|tell| tell.send(()).is_err()) {
            tracing::debug!(terminal, %key, "A terminal shows an order that nobody waits for.");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
