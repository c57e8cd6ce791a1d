//! The SIP sockets: one for datagrams, one that takes connections, and those we open ourselves.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;

/// Longest datagram that UDP can carry.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Connections at once, ours and others'.
const CONNECTIONS_MAX: usize = 512;
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
    open: BTreeMap<u64, mpsc::Sender<Vec<u8>>>,
    /// Connections that we opened, by where to.
    opened: BTreeMap<SocketAddr, u64>,
    next: u64,
    heard: mpsc::Receiver<Heard>,
    tell: mpsc::Sender<Heard>,
    accepted: mpsc::Receiver<(TcpStream, SocketAddr)>,
}

impl Flows {
    /// Takes the listening sockets over.
    ///
    /// # Errors
    ///
    /// When the system refuses one.
    pub fn new(udp: std::net::UdpSocket, tcp: std::net::TcpListener) -> io::Result<Self> {
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
        let full = self.open.get(&id).is_some_and(|open| open.try_send(bytes).is_err());
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
        let id = self.number();
        let (say, to_say) = mpsc::channel(WAITING_MAX);
        drop(say.try_send(bytes));
        self.open.insert(id, say);
        self.opened.insert(to, id);
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(to)).await;
            match connected {
                Ok(Ok(stream)) => converse(id, stream, to, to_say, tell).await,
                Ok(Err(_)) | Err(_) => {
                    drop(tell.send(Heard::Closed(id, to)).await);
                    drop(tell.send(Heard::Unreachable(to)).await);
                }
            }
        });
    }

    fn adopt(&mut self, stream: TcpStream, peer: SocketAddr) {
        if self.open.len() >= CONNECTIONS_MAX {
            tracing::warn!("A SIP connection over the limit was closed.");
            return;
        }
        let id = self.number();
        let (say, to_say) = mpsc::channel(WAITING_MAX);
        self.open.insert(id, say);
        tokio::spawn(converse(id, stream, peer, to_say, self.tell.clone()));
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

/// Carries one connection until either side ends it.
async fn converse(
    id: u64,
    stream: TcpStream,
    peer: SocketAddr,
    to_say: mpsc::Receiver<Vec<u8>>,
    tell: mpsc::Sender<Heard>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set.");
    }
    let (read, write) = stream.into_split();
    tokio::select! {
        () = listen(id, read, peer, &tell) => {}
        () = speak(write, to_say) => {}
    }
    drop(tell.send(Heard::Closed(id, peer)).await);
}

async fn listen(id: u64, mut read: OwnedReadHalf, peer: SocketAddr, tell: &mpsc::Sender<Heard>) {
    let mut buffer = vec![0; 16_384];
    while let Ok(count @ 1..) = read.read(&mut buffer).await {
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
