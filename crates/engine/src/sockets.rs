//! Listening sockets belong to the supervisor; a core gets copies over a Unix socket.
//!
//! So the doors stay open while a core is restarted: connections wait in the kernel's queue
//! instead of being refused, and later doors can be answered by the supervisor itself.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use hansho_config::{DOORS, Site, Takes};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};

/// First word of the message that carries the sockets; the doors' names follow, one a space, with
/// [`DATAGRAMS`] after those that bring a second socket, and [`DATAGRAMS_ALONE`] after those whose
/// only one it is.
const GREETING: &str = "hansho-sockets-3";

/// Marks a door that takes datagrams, too.
const DATAGRAMS: char = '+';

/// Marks a door that takes nothing else.
const DATAGRAMS_ALONE: char = '=';

/// Most sockets in one message.
const SOCKETS_MAX: usize = 32;

/// Longest message, in bytes.
const MESSAGE_SIZE_MAX: usize = 1_024;

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
    /// The other doors that are configured, in the order of [`DOORS`].
    pub doors: Vec<DoorSocket>,
}

/// Buffer of each connection in the kernel, which takes twice as much for its own needs. A device
/// that sends faster than it is read keeps the rest to itself, where it can put an alarm before it;
/// what waits here stands before its next alarm, and left to the kernel that could be minutes.
const RECEIVE_BUFFER_BYTES: usize = 16 << 10;

/// The sockets of one door.
#[derive(Debug)]
pub struct DoorSocket {
    /// Its key of the configuration.
    pub name: &'static str,
    /// Takes connections, where the door does.
    pub stream: Option<TcpListener>,
    /// Takes datagrams on the same port, where the door does.
    pub datagrams: Option<UdpSocket>,
}

impl DoorSocket {
    /// Opens a door. With port 0 the kernel chooses; UDP then takes the port that TCP got.
    fn bind(name: &'static str, address: SocketAddr, takes: Takes) -> Result<Self, BindError> {
        let fault = |address| move |source| BindError { name, address, source };
        if takes == Takes::Datagrams {
            let datagrams = UdpSocket::bind(address).map_err(fault(address))?;
            return Ok(Self { name, stream: None, datagrams: Some(datagrams) });
        }
        let stream = TcpListener::bind(address).map_err(fault(address))?;
        sockopt::set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER_BYTES)
            .map_err(|error| fault(address)(error.into()))?;
        let same = stream.local_addr().map_err(fault(address))?;
        let both = takes == Takes::Both;
        let datagrams = both.then(|| UdpSocket::bind(same)).transpose().map_err(fault(same))?;
        Ok(Self { name, stream: Some(stream), datagrams })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When the system does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match (&self.stream, &self.datagrams) {
            (Some(stream), _) => stream.local_addr(),
            (None, Some(datagrams)) => datagrams.local_addr(),
            (None, None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Sockets {
    /// Opens what the configuration names.
    ///
    /// # Errors
    ///
    /// The first socket that cannot be opened.
    pub fn bind(site: &Site) -> Result<Self, BindError> {
        let fault = |source| BindError { name: "console", address: site.console, source };
        let console = TcpListener::bind(site.console).map_err(fault)?;
        let configured = DOORS.iter().filter_map(|door| Some((door, *site.doors.get(door.name)?)));
        let doors = configured
            .map(|(door, address)| DoorSocket::bind(door.name, address, door.takes))
            .collect::<Result<_, _>>()?;
        Ok(Self { console, doors })
    }

    /// Takes a door out, for whoever answers it in place of the core.
    pub fn take(&mut self, name: &str) -> Option<DoorSocket> {
        let place = self.doors.iter().position(|door| door.name == name)?;
        Some(self.doors.remove(place))
    }

    /// Sends copies of the sockets to a core.
    ///
    /// # Errors
    ///
    /// When the core has gone.
    pub fn send(&self, core: impl AsFd) -> io::Result<()> {
        let mut message = GREETING.to_owned();
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.console.as_fd()];
        for door in &self.doors {
            message.extend([" ", door.name]);
            fds.extend(door.stream.as_ref().map(AsFd::as_fd));
            fds.extend(door.datagrams.as_ref().map(AsFd::as_fd));
            message.extend(match (&door.stream, &door.datagrams) {
                (Some(_), Some(_)) => Some(DATAGRAMS),
                (None, Some(_)) => Some(DATAGRAMS_ALONE),
                (_, None) => None,
            });
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("too many sockets for one message"));
        }
        sendmsg(core, &[IoSlice::new(message.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
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
        let mut message = [0; MESSAGE_SIZE_MAX];
        let received = recvmsg(
            supervisor,
            &mut [IoSliceMut::new(&mut message)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let message = message.get(..received.bytes).unwrap_or_default();
        let mut words = std::str::from_utf8(message).unwrap_or_default().split(' ');
        if words.next() != Some(GREETING) {
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
        let mut next = || {
            let missing = || io::Error::other("a socket is missing in the supervisor's message");
            fds.next().ok_or_else(missing)
        };
        let console = TcpListener::from(next()?);
        let mut doors = Vec::new();
        for word in words {
            let name = word.trim_end_matches([DATAGRAMS, DATAGRAMS_ALONE]);
            let unknown = || io::Error::other("the supervisor brings a door that no one knows");
            let door = DOORS.iter().find(|door| door.name == name).ok_or_else(unknown)?;
            let alone = word.ends_with(DATAGRAMS_ALONE);
            let stream = (!alone).then(&mut next).transpose()?.map(TcpListener::from);
            let datagrams = (alone || word.ends_with(DATAGRAMS)).then(&mut next).transpose()?;
            let datagrams = datagrams.map(UdpSocket::from);
            doors.push(DoorSocket { name: door.name, stream, datagrams });
        }
        Ok(Self { console, doors })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_core_gets_every_door_under_its_name() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let console = TcpListener::bind(any).unwrap();
        let doors = DOORS.iter().map(|door| DoorSocket::bind(door.name, any, door.takes));
        let mut sockets = Sockets { console, doors: doors.collect::<Result<_, _>>().unwrap() };
        for door in &sockets.doors {
            let Some(stream) = &door.stream else { continue };
            let size = sockopt::socket_recv_buffer_size(stream).unwrap();
            assert!(size <= 2 * RECEIVE_BUFFER_BYTES, "{}: {size}", door.name);
        }
        let taken = sockets.take("dc09").unwrap();
        assert!(taken.datagrams.is_some() && sockets.take("dc09").is_none());
        sockets.doors.push(taken);
        let (ours, theirs) = UnixStream::pair().unwrap();
        sockets.send(&ours).unwrap();
        let received = Sockets::receive(&theirs).unwrap();
        assert_eq!(received.doors.len(), DOORS.len());
        for (sent, got) in sockets.doors.iter().zip(&received.doors) {
            assert_eq!(sent.name, got.name);
            assert_eq!(sent.local_addr().unwrap(), got.local_addr().unwrap());
            assert_eq!(sent.stream.is_some(), got.stream.is_some());
            assert_eq!(sent.datagrams.is_some(), got.datagrams.is_some());
        }
    }

    #[test]
    fn another_versions_message_is_refused() {
        use std::io::Write as _;
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"hansho-sockets-1").unwrap();
        assert!(Sockets::receive(&theirs).is_err());
    }
}
