//! TCP: a task and a session for each connection.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Entrance;
use crate::conversation::{Conversation, Step};
use crate::identities::Claim;

/// Limits of a TCP door.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address, so that one cannot take all.
    pub connections_per_address: usize,
    /// Reports of one connection that may wait for their receipts; then it is not read.
    pub in_flight: usize,
    /// Longest time a peer may take to accept an answer.
    pub write_timeout: Duration,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            connections_per_address: 2_048,
            in_flight: 64,
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// Accepts connections until `stop` turns true.
pub async fn serve_tcp(
    listener: TcpListener,
    entrance: Entrance,
    limits: TcpLimits,
    mut stop: watch::Receiver<bool>,
) {
    let register = Arc::new(Mutex::new(Register::default()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the peer left: wait a little instead of spinning.
                tracing::warn!(%error, door = %entrance.door, "A connection was not accepted.");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = Place::take(&register, peer.ip(), limits) else {
            tracing::warn!(door = %entrance.door, "A connection over the limit was closed.");
            continue;
        };
        let (entrance, stop) = (entrance.clone(), stop.clone());
        tokio::spawn(async move {
            converse(stream, peer, entrance, limits, stop).await;
            drop(place);
        });
    }
}

async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    entrance: Entrance,
    limits: TcpLimits,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set.");
    }
    let (sink, identities) = (Arc::clone(&entrance.sink), Arc::clone(&entrance.identities));
    let mut claim: Option<Claim> = None;
    let mut conversation = Conversation::new(entrance, peer);
    let mut buffer = vec![0; 8_192];
    // A peer that never says a word has its deadline too.
    let first = conversation.timeout();
    let mut deadline = first.deadline;
    let mut open = !first.close;
    while open || conversation.is_waiting() {
        let may_read = open && conversation.waiting() < limits.in_flight;
        let step = tokio::select! {
            read = stream.read(&mut buffer), if may_read => match read {
                Ok(0) | Err(_) => {
                    open = false;
                    Step::default()
                }
                Ok(count) => conversation.bytes(buffer.get(..count).unwrap_or_default()),
            },
            step = conversation.receipt() => step,
            () = until(deadline, sink.now()), if open => conversation.timeout(),
            () = lost(claim.as_ref()), if open => conversation.taken_over(),
            _ = stop.wait_for(|stop| *stop) => return,
        };
        deadline = step.deadline;
        for bytes in step.transmit {
            let sent = tokio::time::timeout(limits.write_timeout, stream.write_all(&bytes)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        open &= !step.close;
        if let Some(name) = conversation.identity().filter(|_| open)
            && claim.as_ref().is_none_or(|claim| claim.name() != name)
        {
            claim = Some(identities.claim(name));
        }
    }
}

/// Waits until a newer connection of the same device comes; for ever while nobody's is known.
async fn lost(claim: Option<&Claim>) {
    match claim {
        None => std::future::pending().await,
        Some(claim) => claim.lost().await,
    }
}

/// Waits until a time of the shell's clock; for ever when there is none.
async fn until(deadline: Option<Timestamp>, now: Timestamp) {
    match deadline {
        None => std::future::pending().await,
        Some(deadline) => {
            let wait = deadline.duration_since(now).unsigned_abs();
            if deadline > now {
                tokio::time::sleep(wait).await;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Register {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A connection's place among those allowed; given back when dropped.
struct Place {
    register: Arc<Mutex<Register>>,
    address: IpAddr,
}

impl Place {
    fn take(register: &Arc<Mutex<Register>>, address: IpAddr, limits: TcpLimits) -> Option<Self> {
        let mut open = register.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.by_address.get(&address).copied().unwrap_or_default();
        if open.total >= limits.connections || here >= limits.connections_per_address {
            return None;
        }
        open.total = open.total.saturating_add(1);
        open.by_address.insert(address, here.saturating_add(1));
        Some(Self { register: Arc::clone(register), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.register.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(here) = open.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hansho_model::{Door, FrameFault, Report};
    use hansho_protocols::{Durable, Limits, Protocol, Setup, Transport};
    use jiff::SignedDuration;

    use super::*;
    use crate::{Decided, Sink};

    /// Its clock stands still.
    struct Deaf(Timestamp);

    impl Sink for Deaf {
        fn take(self: Arc<Self>, _: SocketAddr, _: Timestamp, _: Report) -> Decided {
            Box::pin(std::future::ready(Durable::Shed))
        }

        fn refuse(&self, _: Door, _: FrameFault) {}

        fn broken(&self, _: Door) {}

        fn taken_over(&self, _: Door) {}

        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[tokio::test]
    async fn a_connection_that_never_says_a_word_is_closed() {
        let opened_at: Timestamp = "2026-04-01T00:00:30Z".parse().unwrap();
        let limits = Limits::default();
        let late = opened_at + limits.first_frame + SignedDuration::from_secs(1);
        let accounts = Arc::default();
        let setup = Setup::new(accounts, Transport::Stream, limits, opened_at);
        let sessions = Arc::new(move || Protocol::Dc09.session(setup.clone()));
        let (sink, identities) = (Arc::new(Deaf(late)), Arc::default());
        let entrance = Entrance { door: Door::Dc09, sessions, sink, identities };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_keep, stop) = watch::channel(false);
        tokio::spawn(serve_tcp(listener, entrance, TcpLimits::default(), stop));
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let register = Arc::new(Mutex::new(Register::default()));
        let limits =
            TcpLimits { connections: 3, connections_per_address: 2, ..TcpLimits::default() };
        let near = IpAddr::from([127, 0, 0, 1]);
        let far = IpAddr::from([127, 0, 0, 2]);
        let first = Place::take(&register, near, limits);
        let second = Place::take(&register, near, limits);
        assert!(first.is_some() && second.is_some());
        assert!(Place::take(&register, near, limits).is_none());
        let third = Place::take(&register, far, limits);
        assert!(third.is_some());
        assert!(Place::take(&register, far, limits).is_none(), "three in all");
        drop(first);
        assert!(Place::take(&register, near, limits).is_some());
    }
}
