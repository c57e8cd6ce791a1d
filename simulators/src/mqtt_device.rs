//! A pendant or a tracker over MQTT: keeps a message until it is acknowledged, connects again and
//! repeats it with the same counter, and sends as seldom as it is asked to.

use std::time::Duration;

use jiff::Timestamp;
use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS};
use tokio::time::{Instant, sleep, timeout};

use crate::devices::mqtt::{Message, Name};

/// Longest wait for a PUBACK before the connection is given up.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);
/// Pause before a new connection.
const PAUSE: Duration = Duration::from_millis(500);
/// Requests that may wait in the client.
const REQUESTS_MAX: usize = 16;

/// Why a message was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MqttDeviceError {
    /// After so many tries.
    #[error("message {counter} was not acknowledged in {tries} tries")]
    Unanswered {
        /// Its counter.
        counter: u64,
        /// How often it was sent.
        tries: u32,
        /// What went wrong last.
        #[source]
        last: Option<Box<ConnectionError>>,
    },
}

/// A message that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// Its counter.
    pub counter: u64,
    /// How often it was sent.
    pub tries: u32,
    /// From its first sending to its PUBACK.
    pub took: Duration,
}

/// A device.
pub struct MqttDevice {
    name: Name,
    options: MqttOptions,
    line: Option<(AsyncClient, EventLoop)>,
    counter: u64,
    tries_max: u32,
    /// What it was asked for; 0 is its own interval.
    interval_s: u32,
}

impl std::fmt::Debug for MqttDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MqttDevice({}, {} sent)", self.name.id, self.counter)
    }
}

impl MqttDevice {
    /// A device that counts on from its clock's milliseconds: where no earlier run can have been.
    #[must_use]
    pub fn new(host: &str, port: u16, name: Name, password: &str) -> Self {
        let counter = system_clock().as_millisecond().unsigned_abs();
        let mut options = MqttOptions::new(&name.id, host, port);
        options.set_credentials(&name.id, password).set_keep_alive(Duration::from_secs(60));
        Self { name, options, line: None, counter, tries_max: 4, interval_s: 0 }
    }

    /// Seconds between its messages of telemetry, as the house asked; `None` when it did not.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        (self.interval_s > 0).then(|| Duration::from_secs(u64::from(self.interval_s)))
    }

    /// Sends a message and waits until it is acknowledged; repeats it on a new connection.
    ///
    /// # Errors
    ///
    /// After four tries.
    pub async fn send(&mut self, message: &Message) -> Result<Acknowledged, MqttDeviceError> {
        self.counter += 1;
        let (topic, payload) = (self.name.topic(message.class()), message.payload(self.counter));
        let begun = Instant::now();
        let mut last = None;
        for tries in 1..=self.tries_max {
            match timeout(ANSWER_TIME_MAX, self.try_once(&topic, &payload)).await {
                Ok(Ok(())) => {
                    return Ok(Acknowledged {
                        counter: self.counter,
                        tries,
                        took: begun.elapsed(),
                    });
                }
                Ok(Err(error)) => last = Some(Box::new(error)),
                Err(_silent) => last = None,
            }
            self.line = None;
            sleep(PAUSE).await;
        }
        Err(MqttDeviceError::Unanswered { counter: self.counter, tries: self.tries_max, last })
    }

    async fn try_once(&mut self, topic: &str, payload: &str) -> Result<(), ConnectionError> {
        if self.line.is_none() {
            let (client, events) = AsyncClient::new(self.options.clone(), REQUESTS_MAX);
            // The queue of a new client has room.
            drop(client.try_subscribe(self.name.topic("down"), QoS::AtMostOnce));
            self.line = Some((client, events));
        }
        let Some((client, events)) = &mut self.line else { return Ok(()) };
        drop(client.try_publish(topic, QoS::AtLeastOnce, false, payload));
        loop {
            match events.poll().await? {
                Event::Incoming(Packet::PubAck(_)) => return Ok(()),
                Event::Incoming(Packet::Publish(told)) => {
                    let told: serde_json::Value =
                        serde_json::from_slice(&told.payload).unwrap_or_default();
                    let asked = told["interval_s"].as_u64();
                    self.interval_s = asked.and_then(|asked| asked.try_into().ok()).unwrap_or(0);
                }
                Event::Incoming(_) | Event::Outgoing(_) => {}
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a simulated device has a clock of its own")]
fn system_clock() -> Timestamp {
    Timestamp::now()
}
