//! Ways out of the house: each kind of effect has its own.

use std::sync::Arc;

use hansho_alerts::mail::MailChannel;
use hansho_journal::Vault;
use hansho_model::Effect;
use hansho_outbox::{Channel, Delivery, Provider, Task};
use hansho_telemetry::{Chain, Counter};

/// All ways out.
#[derive(Debug)]
pub struct Ways {
    /// Mail; without it mails fail for good and the console says so.
    pub mail: Option<MailChannel>,
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
            (Effect::Mail(_), None) | (Effect::DestroyKey(_), _) => Provider::default(),
        }
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
