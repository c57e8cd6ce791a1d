//! Ways out of the house: each kind of effect has its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hansho_alerts::mail::MailChannel;
use hansho_journal::Vault;
use hansho_model::{CallRef, Effect};
use hansho_outbox::{Channel, Delivery, Task};
use hansho_telemetry::{Chain, Counter};

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
    /// Keeper of data keys.
    pub vault: Arc<Vault>,
}

impl Channel for Ways {
    fn width(&self) -> usize {
        self.mail.as_ref().map_or(1, Channel::width)
    }

    async fn deliver(&self, task: Task) -> Delivery {
        let delivery = match task.effect {
            Effect::Mail(_) => match &self.mail {
                Some(mail) => {
                    Counter::OutboxAttemptsTotal.add("mail", 1);
                    mail.deliver(task).await
                }
                None => Delivery::failed(0, false),
            },
            Effect::ConnectCall { call, position } => {
                Counter::OutboxAttemptsTotal.add("call", 1);
                match &self.line {
                    Some(line) => line.connect(call, position).await,
                    None => Delivery::failed(0, true),
                }
            }
            Effect::DestroyKey(key) => {
                Counter::OutboxAttemptsTotal.add("vault", 1);
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
        Counter::OutboxOutcomesTotal.add(delivery.outcome.as_str(), 1);
        delivery
    }
}
