//! TCP: a task and a session for each connection.
//!
//! The last tenth of a door's places is for those who may call for help, and all of a reserved one:
//! a connection that gets one of them is told that only alarms are heard, and its session turns
//! everybody else away.

use std::collections::BTreeMap;
use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hansho_model::{Door, LoadLevel};
use hansho_telemetry::Gauge;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::conversation::{Conversation, Step};
use crate::identities::Claim;
use crate::turnstile::{QUIET, Turn, Turnstile};
use crate::{Entrance, Sink};

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
    /// Whether all places are for those who may call for help, and not the last tenth alone.
    pub reserved: bool,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            connections_per_address: 2_048,
            in_flight: 64,
            write_timeout: Duration::from_secs(10),
            reserved: false,
        }
    }
}

/// Accepts connections until `stop` turns true.
pub async fn serve_tcp(
    listener: TcpListener,
    entrance: Entrance,
    limits: TcpLimits,
    stop: watch::Receiver<bool>,
) {
    let (door, ending) = (entrance.door, stop.clone());
    let begin = move |stream, peer, place: Place| {
        let (entrance, stop) = (entrance.clone(), stop.clone());
        async move { converse(stream, peer, entrance, limits, place, stop).await }
    };
    accept(&listener, door, limits, ending, begin).await;
}

/// Accepts connections and begins each on a task of its own, until `stop` turns true.
pub(crate) async fn accept<Begin, Begun>(
    listener: &TcpListener,
    door: Door,
    limits: TcpLimits,
    mut stop: watch::Receiver<bool>,
    begin: Begin,
) where
    Begin: Fn(TcpStream, SocketAddr, Place) -> Begun,
    Begun: Future<Output = ()> + Send + 'static,
{
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
                tracing::warn!(%error, %door, "A connection was not accepted.");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = Place::take(&register, peer.ip(), limits) else {
            tracing::warn!(%door, "A connection over the limit was closed.");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set.");
        }
        let (counted, begun) = (Counted::new(door), begin(stream, peer, place));
        tokio::spawn(async move {
            begun.await;
            drop(counted);
        });
    }
}

/// One connection from its beginning to its end; its place is given back then.
pub(crate) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    peer: SocketAddr,
    entrance: Entrance,
    limits: TcpLimits,
    place: Place,
    mut stop: watch::Receiver<bool>,
) {
    let (sink, identities) = (Arc::clone(&entrance.sink), Arc::clone(&entrance.identities));
    let (door, mut load, turnstile) = (entrance.door, sink.load(), entrance.turnstile.clone());
    let mut claim: Option<Claim> = None;
    let mut conversation = Conversation::new(entrance, peer);
    let mut buffer = vec![0; READ_BYTES];
    // Bytes that were read and wait for their turn.
    let mut held: Option<Held> = None;
    let mut heard_at = Instant::now();
    let level = if place.late { LoadLevel::ALARMS_ONLY } else { *load.borrow_and_update() };
    let mut step = if level > LoadLevel::CALM { conversation.load(level) } else { Step::default() };
    // A peer that never says a word has its deadline too.
    step.then(conversation.timeout());
    let mut open = true;
    loop {
        let deadline = step.deadline;
        let answers = step.transmit.concat();
        let sending = send(&mut stream, &sink, door, limits, &answers);
        let sent = without_place(sending, &mut held, &turnstile).await;
        if !sent {
            drop(conversation.closed());
            return;
        }
        open &= !step.close;
        if !open && !conversation.is_waiting() {
            return;
        }
        if let Some(name) = conversation.identity().filter(|_| open)
            && claim.as_ref().is_none_or(|claim| claim.name() != name)
        {
            claim = Some(identities.claim(name));
        }
        let may_read = open
            && held.is_none()
            && conversation.waiting() < limits.in_flight
            && conversation.wants_bytes();
        step = tokio::select! {
            read = stream.read(&mut buffer), if may_read => match read {
                Ok(0) | Err(_) => conversation.closed(),
                Ok(count) if conversation.brings_telemetry()
                    && (count == READ_BYTES || heard_at.elapsed() < QUIET) =>
                {
                    held = Some(Held { count, turn: Box::pin(turnstile.clone().turn()) });
                    Step { deadline, ..Step::default() }
                }
                Ok(count) => {
                    heard_at = Instant::now();
                    conversation.bytes(buffer.get(..count).unwrap_or_default())
                }
            },
            (count, turn) = passed(&mut held), if open => {
                (held, heard_at) = (None, Instant::now());
                sink.held_back(turn.waited);
                conversation.bytes(buffer.get(..count).unwrap_or_default())
            },
            step = conversation.receipt() => step,
            // Who is held back is not silent.
            () = until(deadline, sink.now()), if open && held.is_none() => conversation.timeout(),
            () = lost(claim.as_ref()), if open => conversation.taken_over(),
            // Who got one of the last places keeps to their rule, whatever the load.
            level = changed(&mut load), if open && !place.late => conversation.load(level),
            _ = stop.wait_for(|stop| *stop) => return,
        };
    }
}

/// Bytes that are read at once: a turn of telemetry is short.
const READ_BYTES: usize = 4_096;

/// Bytes of telemetry that wait for their turn.
struct Held {
    count: usize,
    turn: Pin<Box<dyn Future<Output = Turn> + Send>>,
}

/// Waits for the turn of what is held back; for ever when nothing is.
async fn passed(held: &mut Option<Held>) -> (usize, Turn) {
    match held {
        None => std::future::pending().await,
        Some(held) => (held.count, held.turn.as_mut().await),
    }
}

/// Sends answers. Who does not take them at once must not hold a place in front of others: what is
/// held back goes to the end of the line.
async fn without_place(
    sending: impl Future<Output = bool>,
    held: &mut Option<Held>,
    turnstile: &Turnstile,
) -> bool {
    let mut sending = pin!(sending);
    tokio::select! {
        biased;
        sent = &mut sending => sent,
        () = ready(()) => {
            if let Some(held) = held {
                held.turn = Box::pin(turnstile.clone().turn());
            }
            sending.await
        }
    }
}

/// Writes an answer; whether the peer took it.
async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    sink: &Arc<dyn Sink>,
    door: Door,
    limits: TcpLimits,
    bytes: &[u8],
) -> bool {
    if bytes.is_empty() {
        return true;
    }
    sink.answering(door, bytes);
    let write = async {
        stream.write_all(bytes).await?;
        // TLS keeps what is written until it is told that no more comes.
        stream.flush().await
    };
    matches!(tokio::time::timeout(limits.write_timeout, write).await, Ok(Ok(())))
}

/// Waits until the house gives up more or less; for ever where that never changes.
async fn changed(load: &mut watch::Receiver<LoadLevel>) -> LoadLevel {
    if load.changed().await.is_err() {
        return std::future::pending().await;
    }
    *load.borrow_and_update()
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

/// Counts a connection for as long as it is open, by whatever way it ends.
pub(crate) struct Counted(Door);

impl Counted {
    pub(crate) fn new(door: Door) -> Self {
        Gauge::IntakeConnectionsCount.add(door.as_str(), 1.0);
        Self(door)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        Gauge::IntakeConnectionsCount.add(self.0.as_str(), -1.0);
    }
}

#[derive(Debug, Default)]
struct Register {
    total: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A connection's place among those allowed; given back when dropped.
pub(crate) struct Place {
    register: Arc<Mutex<Register>>,
    address: IpAddr,
    /// Whether it is one of those for who may call for help.
    late: bool,
}

impl Place {
    fn take(register: &Arc<Mutex<Register>>, address: IpAddr, limits: TcpLimits) -> Option<Self> {
        let mut open = register.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.by_address.get(&address).copied().unwrap_or_default();
        if open.total >= limits.connections || here >= limits.connections_per_address {
            return None;
        }
        let last = open.total >= limits.connections.saturating_sub(limits.connections / 10);
        let late = limits.reserved || last;
        open.total = open.total.saturating_add(1);
        open.by_address.insert(address, here.saturating_add(1));
        Some(Self { register: Arc::clone(register), address, late })
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
    use hansho_protocols::{Accounts, Durable, Limits, Protocol, Setup, Transport, UnknownDevices};
    use jiff::SignedDuration;
    use tokio::io::DuplexStream;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::{Decided, Sink};

    /// Its clock stands still.
    struct Deaf(Timestamp);

    impl Sink for Deaf {
        fn take(self: Arc<Self>, _: SocketAddr, _: Timestamp, _: Report) -> Decided {
            Box::pin(ready(Durable::Shed))
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
        let entrance = Entrance {
            door: Door::Dc09,
            sessions,
            sink,
            identities,
            turnstile: Turnstile::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_keep, stop) = watch::channel(false);
        tokio::spawn(serve_tcp(listener, entrance, TcpLimits::default(), stop));
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap(), 0);
    }

    /// Stores everything, when it is let.
    struct Late(Semaphore);

    impl Sink for Late {
        fn take(self: Arc<Self>, _: SocketAddr, _: Timestamp, _: Report) -> Decided {
            Box::pin(async move {
                self.0.acquire().await.unwrap().forget();
                Durable::Stored
            })
        }

        fn refuse(&self, _: Door, _: FrameFault) {}

        fn broken(&self, _: Door) {}

        fn taken_over(&self, _: Door) {}

        fn now(&self) -> Timestamp {
            "2026-04-01T00:00:30Z".parse().unwrap()
        }
    }

    /// A sign of life of a watch: telemetry. Its answer is the same again.
    const ALIVE: &[u8; 23] = b"[3G*8800000001*0002*LK]";

    /// A watch's end of a line that holds so many bytes each way, and what keeps the house open.
    fn watch_of(
        sink: &Arc<Late>,
        turnstile: &Turnstile,
        bytes: usize,
    ) -> (DuplexStream, watch::Sender<bool>) {
        let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
        let setup = Setup::new(accounts, Transport::Stream, Limits::TRACKERS, sink.now());
        let entrance = Entrance {
            door: Door::Watch,
            sessions: Arc::new(move || Protocol::Watch.session(setup.clone())),
            sink: Arc::<Late>::clone(sink),
            identities: Arc::default(),
            turnstile: turnstile.clone(),
        };
        let (watch, line) = tokio::io::duplex(bytes);
        let (peer, limits) = (SocketAddr::from(([127, 0, 0, 1], 9)), TcpLimits::default());
        let place = Place::take(&Arc::default(), peer.ip(), limits).unwrap();
        let (keep, stop) = watch::channel(false);
        tokio::spawn(converse(line, peer, entrance, limits, place, stop));
        (watch, keep)
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answers_holds_no_place_in_front_of_others() {
        let (sink, turnstile) = (Arc::new(Late(Semaphore::new(0))), Turnstile::default());
        // An answer is longer than what the line takes; nobody reads it.
        let (mut watch, _keep) = watch_of(&sink, &turnstile, 16);
        let ours = turnstile.clone().turn().await;
        // The first passes and waits for its receipt; of the second the beginning waits in line.
        watch.write_all(ALIVE).await.unwrap();
        watch.write_all(&ALIVE[..16]).await.unwrap();
        // The clock stands, and goes on when nobody has anything to do.
        let moment = || tokio::time::sleep(Duration::from_millis(50));
        moment().await;
        sink.0.add_permits(1);
        moment().await;
        drop(ours);
        let next = tokio::time::timeout(Duration::from_secs(5), turnstile.turn()).await;
        assert!(next.is_ok(), "the line stands still");
    }

    #[tokio::test(start_paused = true)]
    async fn who_reports_now_and_then_waits_behind_no_flood() {
        let (sink, turnstile) = (Arc::new(Late(Semaphore::new(10))), Turnstile::default());
        let (mut watch, _keep) = watch_of(&sink, &turnstile, 256);
        let ours = turnstile.clone().turn().await;
        watch.write_all(ALIVE).await.unwrap();
        assert!(is_answered(&mut watch).await, "the first has no turn to wait for");
        watch.write_all(ALIVE).await.unwrap();
        assert!(!is_answered(&mut watch).await, "the second came at once: it waits in line");
        drop(ours);
        assert!(is_answered(&mut watch).await, "its turn has come");
        let _ours = turnstile.turn().await;
        tokio::time::sleep(QUIET).await;
        watch.write_all(ALIVE).await.unwrap();
        assert!(is_answered(&mut watch).await, "it was quiet: nobody stands before it");
    }

    async fn is_answered(watch: &mut DuplexStream) -> bool {
        let mut answer = [0; ALIVE.len()];
        let heard = watch.read_exact(&mut answer);
        tokio::time::timeout(Duration::from_secs(20), heard).await.is_ok()
    }

    #[test]
    fn the_last_tenth_of_the_places_is_marked() {
        let register = Arc::new(Mutex::new(Register::default()));
        let limits = TcpLimits { connections: 20, ..TcpLimits::default() };
        let place = || Place::take(&register, IpAddr::from([127, 0, 0, 1]), limits);
        let taken: Vec<bool> = (0..20).map(|_| place()).map(|place| place.unwrap().late).collect();
        assert!(taken.iter().all(|late| !late), "each is given back at once");
        let held: Vec<Place> = (0..20).filter_map(|_| place()).collect();
        let late: Vec<usize> = (0..20).filter(|at| held[*at].late).collect();
        assert_eq!((late, held.len()), (vec![18, 19], 20));
        assert!(place().is_none());
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
