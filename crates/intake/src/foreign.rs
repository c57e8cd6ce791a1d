//! Brokers of others: we are a subscriber that acknowledges by hand, in order, after the commit.
//!
//! The session there is persistent and our client id fixed, so the broker keeps what comes while we
//! are away, and sends again what we had not acknowledged. How safe that is is the broker's affair:
//! its own PUBACK to a device may come from its memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hansho_model::Lane;
use hansho_protocols::Durable;
use hansho_protocols::mqtt::{Class, PACKET_SIZE_MAX, foreign_report};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS, SubscribeFilter};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::Sink;

/// Messages that may wait for their commit; then the broker is not read.
const WAITING_MAX: usize = 1_024;
/// Acknowledgements that may wait to be written: more than messages, so that the two tasks never
/// wait for each other.
const REQUESTS_MAX: usize = 4_096;
/// First pause after a broken connection; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Longest name of a device, in bytes.
const DEVICE_SIZE_MAX: usize = 32;

/// A broker to listen to.
#[derive(Clone, Debug)]
pub struct ForeignBroker {
    /// Our name for it.
    pub name: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Our client id there.
    pub client_id: String,
    /// User and password.
    pub login: Option<(String, hansho_model::Private<String>)>,
    /// What to listen to.
    pub topics: Vec<ForeignTopic>,
}

/// Topics of a foreign broker.
#[derive(Clone, Debug)]
pub struct ForeignTopic {
    /// Filter with one `+`, where the device's name stands.
    pub filter: String,
    /// A for alarms, C for states, D for telemetry.
    pub lane: Lane,
}

/// Listens to a broker until `stop` turns true; connects again whenever the line breaks.
pub async fn follow_broker(
    broker: ForeignBroker,
    sink: Arc<dyn Sink>,
    mut stop: watch::Receiver<bool>,
) {
    let mut options = MqttOptions::new(&broker.client_id, &broker.host, broker.port);
    options.set_manual_acks(true).set_clean_session(false).set_keep_alive(Duration::from_secs(30));
    let packet_size = usize::try_from(PACKET_SIZE_MAX).unwrap_or(usize::MAX);
    options.set_max_packet_size(packet_size, packet_size);
    if let Some((user, password)) = &broker.login {
        options.set_credentials(user, &password.0);
    }
    let (client, events) = AsyncClient::new(options, REQUESTS_MAX);
    let lives = Arc::new(AtomicU64::new(0));
    let (waiting, taken) = mpsc::channel(WAITING_MAX);
    let acknowledging = tokio::spawn(acknowledge(client.clone(), Arc::clone(&lives), taken));
    let follower = Follower { broker, sink, client, lives, waiting };
    tokio::select! {
        () = follower.follow(events) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    // Without a farewell: the broker keeps the session.
    acknowledging.abort();
}

/// A message that waits for its commit.
struct Waiting {
    publish: Publish,
    /// The connection it came by.
    life: u64,
    lane: Lane,
    decided: JoinHandle<Durable>,
}

struct Follower {
    broker: ForeignBroker,
    sink: Arc<dyn Sink>,
    client: AsyncClient,
    /// Number of the connection; acknowledgements of an older one are not sent on a newer.
    lives: Arc<AtomicU64>,
    waiting: mpsc::Sender<Waiting>,
}

impl Follower {
    async fn follow(self, mut events: EventLoop) {
        let (name, mut pause, mut well) = (&self.broker.name, PAUSE_MIN, true);
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    // Also when the broker says that it knows us: it may have lost its store.
                    self.subscribe();
                    tracing::info!(broker = %name, "A foreign broker is listened to.");
                    (pause, well) = (PAUSE_MIN, true);
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    if !self.take(publish).await {
                        return;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    self.lives.fetch_add(1, Ordering::SeqCst);
                    if well {
                        tracing::warn!(broker = %name, %error, "A foreign broker cannot be heard.");
                    }
                    well = false;
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn subscribe(&self) {
        let filter =
            |topic: &ForeignTopic| SubscribeFilter::new(topic.filter.clone(), QoS::AtLeastOnce);
        if let Err(error) = self.client.try_subscribe_many(self.broker.topics.iter().map(filter)) {
            tracing::error!(broker = %self.broker.name, %error, "A subscription was not sent.");
        }
    }

    /// Hands a message to the house; `false` when nobody acknowledges any more.
    async fn take(&self, publish: Publish) -> bool {
        let topics = self.broker.topics.iter();
        let mut found =
            topics.filter_map(|topic| Some((topic, device(&topic.filter, &publish.topic)?)));
        let Some((topic, device)) = found.next() else {
            // On a topic that nobody asked for any more: the broker may forget it.
            return self.client.try_ack(&publish).is_ok();
        };
        let class = match topic.lane {
            Lane::A | Lane::B => Class::Alarm,
            Lane::C => Class::State,
            Lane::D => Class::Telemetry,
        };
        let name = device_name(&self.broker.name, device);
        let report = foreign_report(&name, class, &publish.topic, &publish.payload);
        let peer = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.broker.port));
        let decided = Arc::clone(&self.sink).take(peer, self.sink.now(), report);
        let life = self.lives.load(Ordering::SeqCst);
        let decided = tokio::spawn(decided);
        self.waiting.send(Waiting { publish, life, lane: topic.lane, decided }).await.is_ok()
    }
}

/// Acknowledges in the order of the messages, each when it is durable.
async fn acknowledge(
    client: AsyncClient,
    lives: Arc<AtomicU64>,
    mut taken: mpsc::Receiver<Waiting>,
) {
    while let Some(Waiting { publish, life, lane, decided }) = taken.recv().await {
        let durable = decided.await.unwrap_or(Durable::Shed);
        // MQTT 3.1.1 has no word for "no room": telemetry that was given up is given up. What else
        // was not taken stays with the broker, which sends it again on the next connection.
        let settled = durable == Durable::Stored || lane == Lane::D;
        if !settled {
            lives.fetch_add(1, Ordering::SeqCst);
            if let Err(error) = client.disconnect().await {
                tracing::debug!(%error, "A foreign broker was gone already.");
            }
            continue;
        }
        if life == lives.load(Ordering::SeqCst)
            && publish.qos != QoS::AtMostOnce
            && client.ack(&publish).await.is_err()
        {
            return;
        }
    }
}

/// The device's name in a topic: what stands where the filter has its `+`.
fn device<'a>(filter: &str, topic: &'a str) -> Option<&'a str> {
    let (mut wanted, mut found) = (filter.split('/'), topic.split('/'));
    let mut device = None;
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return device,
            (Some("+"), Some(level)) => device = Some(level),
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return None,
        }
    }
}

/// `<broker>.<device>`, with nothing in it that a name may not have.
fn device_name(broker: &str, device: &str) -> String {
    let plain = |sign: char| {
        if sign.is_ascii_alphanumeric() || "-_.".contains(sign) { sign } else { '-' }
    };
    let name = format!("{broker}.{device}");
    name.chars().map(plain).take(DEVICE_SIZE_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_says_where_the_name_stands() {
        assert_eq!(device("v/+/alarm", "v/p-1/alarm"), Some("p-1"));
        assert_eq!(device("+", "p-1"), Some("p-1"));
        for (filter, topic) in
            [("v/+/alarm", "v/p-1/state"), ("v/+", "v/p-1/alarm"), ("v/+/a", "v/p-1")]
        {
            assert_eq!(device(filter, topic), None, "{filter} {topic}");
        }
        assert_eq!(device_name("vendor", "花 1"), "vendor.--1");
        assert_eq!(device_name("vendor", &"x".repeat(99)).len(), DEVICE_SIZE_MAX);
    }
}
