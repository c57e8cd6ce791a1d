//! What the service manager is told (sd_notify of systemd): ready, alive, what the state is, ending.
//!
//! A word is a datagram to the socket that `NOTIFY_SOCKET` names: a path, or an abstract name behind
//! an `@`. Where the manager asks for a sign of life (`WATCHDOG_USEC`), it gets one three times in
//! that time, from the thread that answers 119: when that thread hangs, the signs stop, and the
//! manager starts the house again. A core that hangs is the supervisor's own business.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// Signs of life in the time after which the manager gives the house up.
const SIGNS: u32 = 3;

/// The service manager; nobody where there is none.
#[derive(Clone, Debug, Default)]
pub struct Manager {
    socket: Option<Arc<UnixDatagram>>,
    /// It wants a sign of life at least this often.
    patience: Option<Duration>,
}

impl Manager {
    /// The one that started this process, by its environment. One that cannot be reached is nobody:
    /// 119 is answered all the same.
    #[must_use]
    pub fn of_environment() -> Self {
        let asked = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let ours = asked("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let patience = asked("WATCHDOG_USEC").filter(|us| ours && *us > 0);
        let manager = Self::at(env::var_os("NOTIFY_SOCKET"), patience.map(Duration::from_micros));
        manager.unwrap_or_else(|error| {
            tracing::warn!(%error, "The service manager at NOTIFY_SOCKET cannot be reached.");
            Self::default()
        })
    }

    fn at(address: Option<OsString>, patience: Option<Duration>) -> io::Result<Self> {
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _path => SocketAddr::from_pathname(&address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some(Arc::new(socket)), patience })
    }

    /// The house answers 119 from here on.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// What a person should see in the manager's list.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}"));
    }

    /// The house was asked to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=The house ends.");
    }

    /// Gives signs of life for as long as the caller's runtime turns.
    pub async fn live(self) {
        let Some(patience) = self.patience else { return };
        loop {
            self.send("WATCHDOG=1");
            tokio::time::sleep(patience / SIGNS).await;
        }
    }

    fn send(&self, words: &str) {
        let Some(socket) = &self.socket else { return };
        // A manager that is gone or does not read is no reason not to answer 119.
        if let Err(error) = socket.send(words.as_bytes()) {
            tracing::debug!(%error, "The service manager was not told.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let size = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..size].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_manager_hears_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("hansho-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&abstract_name).unwrap(), format!("@{name}").into()),
        ] {
            let manager = Manager::at(Some(address), Some(Duration::from_millis(30))).unwrap();
            manager.ready("119 rings.");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=119 rings.");
            let signs = tokio::spawn(manager.clone().live());
            tokio::task::yield_now().await;
            assert_eq!(heard(&socket), "WATCHDOG=1");
            signs.abort();
            manager.stopping();
            assert!(heard(&socket).starts_with("STOPPING=1\n"));
        }
        assert!(Manager::at(Some(folder.path().join("no").into()), None).is_err());
    }

    #[tokio::test]
    async fn without_a_manager_nothing_is_said() {
        for address in [None, Some(OsString::new())] {
            let manager = Manager::at(address, Some(Duration::ZERO)).unwrap();
            manager.ready("119 rings.");
            manager.live().await;
        }
    }
}
