//! The SIP sockets: one for datagrams, one that takes connections, and those we open ourselves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hansho_protocols::sip::{FLOW_COUNT_MAX, SEAT_COUNT_MAX};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

/// Longest datagram that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Connections at once that others open. With ours they are as many as the endpoint takes.
const ACCEPTED_MAX: usize = FLOW_COUNT_MAX - OPENED_MAX;
/// Connections at once that we open: to the seats' phones, and to where answers and ends of calls
/// must go.
const OPENED_MAX: usize = 2 * SEAT_COUNT_MAX;
/// How long who connects may say nothing: as long as he may take for a whole message.
const SILENCE_MAX: Duration = Duration::from_secs(32);
/// Messages that may wait for a connection's other end to read; then it is closed.
const WAITING_MAX: usize = 64;
/// How long the other end may take to open or to read.
const PATIENCE: Duration = Duration::from_secs(10);
/// What was read and waits for the exchange.
const HEARD_MAX: usize = 1_024;

/// What came in.
#[derive(Debug)]
pub enum Heard {
    /// A datagram.
    Datagram(SocketAddr, Vec<u8>),
    /// Bytes of a connection.
    Bytes(u64, SocketAddr, Vec<u8>),
    /// A connection is over.
    Closed(u64, SocketAddr),
    /// No connection could be opened to there.
    Unreachable(SocketAddr),
}

/// The sockets.
#[derive(Debug)]
pub struct Flows {
    udp: Arc<UdpSocket>,
    local: SocketAddr,
    open: BTreeMap<u64, Connection>,
    /// Connections that we opened, by where to.
    opened: BTreeMap<SocketAddr, u64>,
    /// Where trunks and seats' phones are. Strangers take at most half of the connections.
    known: BTreeSet<IpAddr>,
    silence_max: Duration,
    next: u64,
    heard: mpsc::Receiver<Heard>,
    tell: mpsc::Sender<Heard>,
    accepted: mpsc::Receiver<(TcpStream, SocketAddr)>,
}

#[derive(Debug)]
struct Connection {
    say: mpsc::Sender<Vec<u8>>,
    peer: SocketAddr,
    /// Whether we opened it.
    ours: bool,
}

impl Flows {
    /// Takes the listening sockets over; `known` is where trunks and seats' phones are.
    ///
    /// # Errors
    ///
    /// When the system refuses one.
    pub fn new(
        udp: std::net::UdpSocket,
        tcp: std::net::TcpListener,
        known: BTreeSet<IpAddr>,
    ) -> io::Result<Self> {
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let local = udp.local_addr()?;
        let udp = Arc::new(UdpSocket::from_std(udp)?);
        let (tell, heard) = mpsc::channel(HEARD_MAX);
        let (take, accepted) = mpsc::channel(16);
        tokio::spawn(accept(TcpListener::from_std(tcp)?, take));
        tokio::spawn(receive(Arc::clone(&udp), tell.clone()));
        Ok(Self {
            udp,
            local,
            open: BTreeMap::new(),
            opened: BTreeMap::new(),
            known,
            silence_max: SILENCE_MAX,
            next: 1,
            heard,
            tell,
            accepted,
        })
    }

    /// Where we listen.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// What comes in next. May be dropped while it waits.
    pub async fn next(&mut self) -> Heard {
        loop {
            tokio::select! {
                accepted = self.accepted.recv() => match accepted {
                    Some((stream, peer)) => self.adopt(stream, peer),
                    None => std::future::pending().await,
                },
                heard = self.heard.recv() => match heard {
                    Some(heard) => {
                        if let Heard::Closed(id, _) = heard {
                            self.close(id);
                        }
                        return heard;
                    }
                    None => std::future::pending().await,
                },
            }
        }
    }

    /// Sends a datagram. What the system does not take at once is lost, as on the network: SIP
    /// repeats.
    pub fn send_datagram(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.udp.try_send_to(bytes, to) {
            tracing::debug!(%error, "A SIP datagram was not sent.");
        }
    }

    /// Sends on an open connection; one whose other end does not read is closed.
    pub fn send(&mut self, id: u64, bytes: Vec<u8>) {
        let full = self.open.get(&id).is_some_and(|open| open.say.try_send(bytes).is_err());
        if full {
            self.close(id);
        }
    }

    /// Closes a connection.
    pub fn close(&mut self, id: u64) {
        self.open.remove(&id);
        self.opened.retain(|_to, opened| *opened != id);
    }

    /// Sends on a connection that we opened to there, or open now.
    pub fn send_to(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        if let Some(id) = self.opened.get(&to) {
            return self.send(*id, bytes);
        }
        if !self.has_room(to, true) {
            tracing::warn!("A SIP connection of ours over the limit was not opened.");
            if self.tell.try_send(Heard::Unreachable(to)).is_err() {
                tracing::debug!("What was to go there ends in its own time.");
            }
            return;
        }
        let id = self.number();
        let (say, to_say) = mpsc::channel(WAITING_MAX);
        drop(say.try_send(bytes));
        self.open.insert(id, Connection { say, peer: to, ours: true });
        self.opened.insert(to, id);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(to)).await;
            match connected {
                Ok(Ok(stream)) => converse(id, stream, to, None, to_say, tell).await,
                Ok(Err(_)) | Err(_) => {
                    drop(tell.send(Heard::Closed(id, to)).await);
                    drop(tell.send(Heard::Unreachable(to)).await);
                }
            }
        });
    }

    fn adopt(&mut self, stream: TcpStream, peer: SocketAddr) {
        if !self.has_room(peer, false) {
            tracing::warn!("A SIP connection over the limit was closed.");
            return;
        }
        let id = self.number();
        let (say, to_say) = mpsc::channel(WAITING_MAX);
        self.open.insert(id, Connection { say, peer, ours: false });
        let silence = Some(self.silence_max);
        tokio::spawn(converse(id, stream, peer, silence, to_say, self.tell.clone()));
    }

    /// Whether there is room for one more connection with this peer, of ours or of others'.
    fn has_room(&self, peer: SocketAddr, ours: bool) -> bool {
        let most = if ours { OPENED_MAX } else { ACCEPTED_MAX };
        let known = |peer: SocketAddr| self.known.contains(&peer.ip().to_canonical());
        let alike = || self.open.values().filter(|each| each.ours == ours);
        alike().count() < most
            && (known(peer) || alike().filter(|each| !known(each.peer)).count() < most / 2)
    }

    fn number(&mut self) -> u64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        id
    }
}

async fn accept(listener: TcpListener, take: mpsc::Sender<(TcpStream, SocketAddr)>) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                if take.send(accepted).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors, or the peer left: wait a little instead of spinning.
                tracing::warn!(%error, "A SIP connection was not accepted.");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn receive(socket: Arc<UdpSocket>, tell: mpsc::Sender<Heard>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((count, peer)) => {
                let bytes = buffer.get(..count).unwrap_or_default().to_vec();
                if tell.send(Heard::Datagram(peer, bytes)).await.is_err() {
                    return;
                }
            }
            // A neighbour said that nobody listens there; the socket itself is sound.
            Err(error) => tracing::debug!(%error, "A SIP datagram was not received."),
        }
    }
}

/// Carries one connection until either side ends it, or the peer has said nothing at all for so
/// long.
async fn converse(
    id: u64,
    stream: TcpStream,
    peer: SocketAddr,
    silence: Option<Duration>,
    to_say: mpsc::Receiver<Vec<u8>>,
    tell: mpsc::Sender<Heard>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set.");
    }
    let (read, write) = stream.into_split();
    tokio::select! {
        () = listen(id, read, peer, silence, &tell) => {}
        () = speak(write, to_say) => {}
    }
    drop(tell.send(Heard::Closed(id, peer)).await);
}

async fn listen(
    id: u64,
    mut read: OwnedReadHalf,
    peer: SocketAddr,
    mut silence: Option<Duration>,
    tell: &mpsc::Sender<Heard>,
) {
    let mut buffer = vec![0; 16_384];
    loop {
        let more = read.read(&mut buffer);
        let read = match silence.take() {
            Some(most) => tokio::time::timeout(most, more).await,
            None => Ok(more.await),
        };
        let Ok(Ok(count @ 1..)) = read else { return };
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        if tell.send(Heard::Bytes(id, peer, bytes)).await.is_err() {
            return;
        }
    }
}

/// Ends when the exchange drops its end, or the peer does not read.
async fn speak(mut write: OwnedWriteHalf, mut to_say: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = to_say.recv().await {
        let sent = tokio::time::timeout(PATIENCE, write.write_all(&bytes)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Sockets of their own, where loopback's first address alone is known.
    fn flows() -> (Flows, SocketAddr) {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let door = tcp.local_addr().unwrap();
        let known = BTreeSet::from([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        (Flows::new(udp, tcp, known).unwrap(), door)
    }

    /// As many connections with this peer as there is room for.
    fn fill(flows: &mut Flows, peer: SocketAddr, ours: bool) -> usize {
        let mut count = 0;
        while flows.has_room(peer, ours) {
            let id = flows.number();
            flows.open.insert(id, Connection { say: mpsc::channel(1).0, peer, ours });
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn who_connects_and_says_nothing_is_closed() {
        let (mut flows, door) = flows();
        flows.silence_max = Duration::from_millis(100);
        let mut speaks = TcpStream::connect(door).await.unwrap();
        speaks.write_all(b"a").await.unwrap();
        let heard = tokio::time::timeout(LONG, flows.next()).await.unwrap();
        assert!(matches!(heard, Heard::Bytes(1, ..)), "{heard:?}");
        let mut silent = TcpStream::connect(door).await.unwrap();
        let heard = tokio::time::timeout(LONG, flows.next()).await.unwrap();
        assert!(matches!(heard, Heard::Closed(2, _)), "{heard:?}");
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
        // Once it has spoken, it may be as silent as it likes.
        speaks.write_all(b"b").await.unwrap();
        let heard = tokio::time::timeout(LONG, flows.next()).await.unwrap();
        assert!(matches!(heard, Heard::Bytes(1, ..)), "{heard:?}");
    }

    #[tokio::test]
    async fn whoever_connects_leaves_room_for_the_phones() {
        let (mut flows, door) = flows();
        let stranger: SocketAddr = "127.0.0.2:5060".parse().unwrap();
        assert_eq!(fill(&mut flows, stranger, false), ACCEPTED_MAX / 2);
        assert_eq!(fill(&mut flows, door, false), ACCEPTED_MAX - ACCEPTED_MAX / 2);
        let mut refused = TcpStream::connect(door).await.unwrap();
        let mut byte = [0];
        let closed = async {
            tokio::select! {
                heard = flows.next() => panic!("{heard:?}"),
                read = refused.read(&mut byte) => read.unwrap_or_default(),
            }
        };
        assert_eq!(tokio::time::timeout(LONG, closed).await.unwrap(), 0);
        assert_eq!(fill(&mut flows, stranger, true), OPENED_MAX / 2);
        flows.send_to(stranger, b"a".to_vec());
        let heard = tokio::time::timeout(LONG, flows.next()).await.unwrap();
        assert!(matches!(heard, Heard::Unreachable(there) if there == stranger), "{heard:?}");
        let phone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        flows.send_to(phone.local_addr().unwrap(), b"a".to_vec());
        let (mut rung, _from) = phone.accept().await.unwrap();
        rung.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, *b"a");
        assert_eq!(fill(&mut flows, door, true), OPENED_MAX - OPENED_MAX / 2 - 1);
        assert_eq!(flows.open.len(), FLOW_COUNT_MAX);
    }
}
