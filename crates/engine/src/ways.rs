//! Ways out of the house: each kind of effect has its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hansho_alerts::mail::MailChannel;
use hansho_journal::Vault;
use hansho_model::{CallRef, Effect};
use hansho_outbox::{Channel, Delivery, Provider, Task};
use hansho_telemetry::{Chain, Counter, Histogram};

use crate::clock;
use crate::satellite::Satellites;
use crate::terminals::Terminals;

/// What came of asking for a seat's phone to be rung.
pub type Connecting = Pin<Box<dyn Future<Output = Delivery> + Send>>;

/// The telephone side, as the house needs it.
pub trait Line: std::fmt::Debug + Send + Sync + 'static {
    /// Rings the seat's phone and joins it with the caller; twice is once. It ends as soon as the
    /// telephone side has the word: what comes of the ringing is told as facts of the call.
    fn connect(&self, call: CallRef, position: String) -> Connecting;
}

/// All ways out.
#[derive(Debug)]
pub struct Ways {
    /// Mail; without it mails fail for good and the console says so.
    pub mail: Option<MailChannel>,
    /// The telephone side; without it no call can be connected, and each try fails.
    pub line: Option<Arc<dyn Line>>,
    /// The units' terminals; without them no order is shown, and each try fails.
    pub terminals: Option<Arc<Terminals>>,
    /// Satellite modems; without them no message reaches a site, and each try fails.
    pub satellites: Option<Arc<Satellites>>,
    /// Keeper of data keys.
    pub vault: Arc<Vault>,
}

impl Channel for Ways {
    fn width(&self) -> usize {
        self.mail.as_ref().map_or(1, Channel::width)
    }

    fn provider_width(&self) -> usize {
        self.mail.as_ref().map_or(1, Channel::provider_width)
    }

    fn provider(&self, effect: &Effect) -> Provider {
        match (effect, &self.mail) {
            (Effect::Mail(_), Some(mail)) => mail.provider(effect),
            (Effect::Mail(_), None)
            | (
                Effect::ConnectCall { .. }
                | Effect::SendOrder(_)
                | Effect::SendMessage(_)
                | Effect::DestroyKey(_),
                _,
            ) => Provider::default(),
        }
    }

    async fn deliver(&self, task: Task) -> Delivery {
        let (channel, begun) = (channel(&task.effect), clock::now());
        Counter::OutboxAttemptsTotal.add(channel, 1);
        let delivery = match task.effect {
            Effect::Mail(_) => match &self.mail {
                Some(mail) => mail.deliver(task).await,
                None => Delivery::failed(0, false),
            },
            Effect::ConnectCall { call, position } => match &self.line {
                Some(line) => line.connect(call, position).await,
                None => Delivery::failed(0, true),
            },
            Effect::SendOrder(sheet) => match &self.terminals {
                Some(terminals) => terminals.show(task.id, *sheet).await,
                None => Delivery::failed(0, true),
            },
            Effect::SendMessage(message) => match &self.satellites {
                Some(satellites) => satellites.send(*message).await,
                None => Delivery::failed(0, true),
            },
            Effect::DestroyKey(key) => {
                let vault = Arc::clone(&self.vault);
                match tokio::task::spawn_blocking(move || vault.destroy(key)).await {
                    Ok(Ok(())) => Delivery::done(0),
                    Ok(Err(error)) => {
                        tracing::error!(error = %Chain(&error), "A data key was not destroyed.");
                        Delivery::failed(0, true)
                    }
                    Err(_panicked) => Delivery::uncertain(),
                }
            }
        };
        let took = clock::now().duration_since(begun).as_secs_f64();
        Histogram::OutboxAttemptSeconds.record_for(channel, took.max(0.0));
        Counter::OutboxOutcomesTotal.add(delivery.outcome.as_str(), 1);
        delivery
    }
}

/// By which way an effect goes, as it is counted.
const fn channel(effect: &Effect) -> &'static str {
    match effect {
        Effect::Mail(_) => "mail",
        Effect::ConnectCall { .. } => "call",
        Effect::SendOrder(_) => "terminal",
        Effect::SendMessage(_) => "satellite",
        Effect::DestroyKey(_) => "vault",
    }
}

#[cfg(test)]
mod tests {
    use hansho_model::{EffectId, Outcome, Seq};

    use super::*;

    #[derive(Debug)]
    struct Phones;

    impl Line for Phones {
        fn connect(&self, call: CallRef, position: String) -> Connecting {
            let known = call.0 == "c1" && position == "desk1";
            let delivery = if known { Delivery::done(0) } else { Delivery::failed(404, false) };
            Box::pin(async move { delivery })
        }
    }

    #[tokio::test]
    async fn a_call_is_connected_by_the_telephone_side_and_never_without_it() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::open(folder.path()).unwrap());
        let task = |call: &str| {
            let (call, position) = (CallRef(call.to_owned()), "desk1".to_owned());
            let id = EffectId { seq: Seq::new(7), index: 0 };
            Task { id, number: 1, effect: Effect::ConnectCall { call, position } }
        };
        let mut ways = Ways { mail: None, line: None, terminals: None, satellites: None, vault };
        let delivery = ways.deliver(task("c1")).await;
        assert_eq!((delivery.outcome, delivery.detail.again), (Outcome::Failed, true));
        ways.line = Some(Arc::new(Phones));
        assert_eq!(ways.deliver(task("c1")).await.outcome, Outcome::Done);
        let unknown = ways.deliver(task("c2")).await;
        assert_eq!((unknown.detail.code, unknown.detail.again), (404, false));
    }
}
