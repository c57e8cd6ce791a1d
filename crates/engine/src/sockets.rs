//! Listening sockets belong to the supervisor; a core gets copies over a Unix socket.
//!
//! So the doors stay open while a core is restarted: connections wait in the kernel's queue
//! instead of being refused, and later doors can be answered by the supervisor itself.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hansho_config::Site;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// First word of the message that carries the sockets; a change of their order changes it.
const GREETING: &[u8] = b"hansho-sockets-1";

/// Most sockets in one message.
const SOCKETS_MAX: usize = 16;

/// A socket that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` cannot listen on {address}; is another Hansho running, or the port taken?")]
pub struct BindError {
    /// Key of the configuration.
    pub name: &'static str,
    /// Address.
    pub address: SocketAddr,
    /// Cause.
    #[source]
    pub source: io::Error,
}

/// The listening sockets of the house.
#[derive(Debug)]
pub struct Sockets {
    /// Console and API.
    pub console: TcpListener,
    /// DC-09, when it is configured.
    pub dc09: Option<(TcpListener, UdpSocket)>,
}

impl Sockets {
    /// Opens what the configuration names. With port 0 the kernel chooses; DC-09's UDP then takes
    /// the port that TCP got.
    ///
    /// # Errors
    ///
    /// The first socket that cannot be opened.
    pub fn bind(site: &Site) -> Result<Self, BindError> {
        let fault = |name, address| move |source| BindError { name, address, source };
        let console = TcpListener::bind(site.console).map_err(fault("console", site.console))?;
        let dc09 = match site.dc09 {
            None => None,
            Some(address) => {
                let stream = TcpListener::bind(address).map_err(fault("dc09", address))?;
                let same = stream.local_addr().map_err(fault("dc09", address))?;
                let datagrams = UdpSocket::bind(same).map_err(fault("dc09", same))?;
                Some((stream, datagrams))
            }
        };
        Ok(Self { console, dc09 })
    }

    /// Sends copies of the sockets to a core.
    ///
    /// # Errors
    ///
    /// When the core has gone.
    pub fn send(&self, core: impl AsFd) -> io::Result<()> {
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.console.as_fd()];
        if let Some((stream, datagrams)) = &self.dc09 {
            fds.extend([stream.as_fd(), datagrams.as_fd()]);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("too many sockets for one message"));
        }
        sendmsg(core, &[IoSlice::new(GREETING)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// Receives the sockets from the supervisor.
    ///
    /// # Errors
    ///
    /// When the supervisor has gone, or speaks another version.
    pub fn receive(supervisor: impl AsFd) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut greeting = [0; 64];
        let received = recvmsg(
            supervisor,
            &mut [IoSliceMut::new(&mut greeting)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        if greeting.get(..received.bytes) != Some(GREETING) {
            return Err(io::Error::other(
                "no sockets came; start this program as `hansho serve`, which brings them",
            ));
        }
        let mut fds: Vec<OwnedFd> = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let mut fds = fds.into_iter();
        let missing = || io::Error::other("a socket is missing in the supervisor's message");
        let console = TcpListener::from(fds.next().ok_or_else(missing)?);
        let dc09 = match (fds.next(), fds.next()) {
            (Some(stream), Some(datagrams)) => {
                Some((TcpListener::from(stream), UdpSocket::from(datagrams)))
            }
            _ => None,
        };
        Ok(Self { console, dc09 })
    }
}
