//! A watch's line, and a clock that shows each second once: a fix is new when its time is.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hansho_simulators::devices::watch::{Place, Said, Wearable};
use jiff::{SignedDuration, Timestamp};

pub(crate) struct Watch {
    pub(crate) wearable: Wearable,
    stream: TcpStream,
    clock: Timestamp,
}

impl Watch {
    #[expect(clippy::disallowed_methods, reason = "a simulated device has a clock of its own")]
    pub(crate) fn connect(door: SocketAddr, id: &str, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&door, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self { wearable: Wearable::new(id), stream, clock: Timestamp::now() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says it one second later than the last thing, and reads the answer that is owed.
    pub(crate) fn say(&mut self, said: &Said) {
        self.try_say(said).unwrap();
    }

    /// The same where the line may break; the frame that was said.
    pub(crate) fn try_say(&mut self, said: &Said) -> io::Result<Vec<u8>> {
        self.wait(1);
        let frame = self.wearable.encode(self.clock, said);
        self.send(&frame)?;
        let owed = self.wearable.answer(said).unwrap_or_default();
        let heard = self.hear(owed.len())?;
        let is_owed = heard == owed;
        is_owed.then_some(frame).ok_or_else(|| io::Error::other(heard.escape_ascii().to_string()))
    }

    /// Reports from there, and waits until that is taken.
    pub(crate) fn walk(&mut self, place: Place) {
        self.say(&Said::Position(place));
        self.say(&Said::Link);
    }

    pub(crate) fn hear(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Lets time pass on the watch.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.clock = self.clock.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}
