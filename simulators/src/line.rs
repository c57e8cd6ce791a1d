//! A telephone line: SIP messages over UDP or TCP.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::devices::sip::Message;
use crate::pendant::Link;

/// A line to one other side.
#[derive(Debug)]
pub(crate) struct Line {
    wire: Wire,
    local: SocketAddr,
}

#[derive(Debug)]
enum Wire {
    Udp(UdpSocket),
    /// With what came without making a message yet.
    Tcp(TcpStream, Vec<u8>),
}

impl Line {
    pub(crate) async fn connect(to: SocketAddr, link: Link) -> io::Result<Self> {
        let (wire, local) = match link {
            Link::Tcp => {
                let stream = TcpStream::connect(to).await?;
                stream.set_nodelay(true)?;
                let local = stream.local_addr()?;
                (Wire::Tcp(stream, Vec::new()), local)
            }
            Link::Udp => {
                let any: IpAddr = match to {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0)).await?;
                socket.connect(to).await?;
                let local = socket.local_addr()?;
                (Wire::Udp(socket), local)
            }
        };
        Ok(Self { wire, local })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// As `Via` names it.
    pub(crate) const fn transport(&self) -> &'static str {
        match self.wire {
            Wire::Udp(_) => "UDP",
            Wire::Tcp(..) => "TCP",
        }
    }

    /// Whether what is lost on the way is lost for good.
    pub(crate) const fn is_lossy(&self) -> bool {
        matches!(self.wire, Wire::Udp(_))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Tcp(stream, _) => stream.write_all(bytes).await,
            // Nobody listens just now: the datagram is lost like any other, and will be repeated.
            Wire::Udp(socket) => match socket.send(bytes).await {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
                sent => sent.map(drop),
            },
        }
    }

    /// The next message; what is none is passed over.
    pub(crate) async fn receive(&mut self) -> io::Result<Message> {
        match &mut self.wire {
            Wire::Udp(socket) => {
                let mut buffer = vec![0; SIZE_MAX];
                loop {
                    match socket.recv(&mut buffer).await {
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                        Err(error) => return Err(error),
                        Ok(count) => {
                            let bytes = buffer.get(..count).unwrap_or_default();
                            if let Some(message) = Message::read(bytes) {
                                return Ok(message);
                            }
                        }
                    }
                }
            }
            Wire::Tcp(stream, rest) => loop {
                if let Some(message) = Message::take(rest) {
                    return Ok(message);
                }
                if rest.len() > SIZE_MAX {
                    return Err(ErrorKind::InvalidData.into());
                }
                if stream.read_buf(rest).await? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            },
        }
    }
}

/// Longest message that is read.
pub(crate) const SIZE_MAX: usize = 65_536;
