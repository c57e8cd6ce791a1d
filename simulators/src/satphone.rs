//! A satellite modem on a line of its own: a pty, that is, with a name that stays when the line is
//! cut and comes back.
//!
//! ```no_run
//! use hansho_simulators::devices::sbd::{Modem, Sky};
//! use hansho_simulators::satphone::Satphone;
//! let satphone = Satphone::plug_in(Modem::new(Sky::default()), "target/satphone".into())?;
//! satphone.call("路面が凍結しています".as_bytes());
//! satphone.look_up(0);
//! satphone.pull_out();
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::devices::sbd::{Fault, Modem};

/// Longest wait for a byte.
const READ_MAX: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
/// While nobody has the line open, and while it is cut.
const AWAY: Duration = Duration::from_millis(50);
/// How long a line stays cut by [`Fault::HangUp`].
pub const CUT: Duration = Duration::from_secs(1);
/// Orders that may wait for the thread.
const ORDERS_MAX: usize = 64;
/// Bytes of a read.
const READ_SIZE: usize = 512;

/// A modem on a line.
#[derive(Debug)]
pub struct Satphone {
    modem: Arc<Mutex<Modem>>,
    name: PathBuf,
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    Call(Vec<u8>),
    LookUp(u8),
    PullOut,
    PlugIn,
}

impl Satphone {
    /// A line by this name, with this modem at its end.
    ///
    /// # Errors
    ///
    /// When the system has no pty, or the name cannot be made.
    pub fn plug_in(modem: Modem, name: PathBuf) -> io::Result<Self> {
        let modem = Arc::new(Mutex::new(modem));
        let (orders, ordered) = mpsc::sync_channel(ORDERS_MAX);
        let line = Some(Line::open(&name)?);
        let end = End { modem: Arc::clone(&modem), name: name.clone(), line, ordered };
        let thread = std::thread::Builder::new().name("satphone".to_owned()).spawn(|| end.run())?;
        Ok(Self { modem, name, orders: Some(orders), thread: Some(thread) })
    }

    /// The port to open.
    #[must_use]
    pub fn port(&self) -> &Path {
        &self.name
    }

    /// The modem, to be looked at or set otherwise; it says and hears nothing meanwhile.
    pub fn modem(&self) -> MutexGuard<'_, Modem> {
        self.modem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message comes to the gateway.
    pub fn call(&self, message: &[u8]) {
        self.order(Order::Call(message.to_vec()));
    }

    /// The sky changes.
    pub fn look_up(&self, bars: u8) {
        self.order(Order::LookUp(bars));
    }

    /// Cuts the line; the modem keeps its power.
    pub fn pull_out(&self) {
        self.order(Order::PullOut);
    }

    /// Gives it a line again, by the same name.
    pub fn plug_in_again(&self) {
        self.order(Order::PlugIn);
    }

    fn order(&self, order: Order) {
        // The thread ends with us, not before.
        let _ended = self.orders.as_ref().map(|orders| orders.send(order).is_err());
    }
}

impl Drop for Satphone {
    fn drop(&mut self) {
        self.orders = None;
        let _panicked = self.thread.take().map(|thread| thread.join().is_err());
        unname(&self.name);
    }
}

/// The modem's end of the line.
struct End {
    modem: Arc<Mutex<Modem>>,
    name: PathBuf,
    line: Option<Line>,
    ordered: Receiver<Order>,
}

impl End {
    fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            match self.ordered.recv_timeout(wait) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            wait = self.turn();
        }
    }

    fn modem(&self) -> MutexGuard<'_, Modem> {
        self.modem.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&mut self, order: Order) {
        let said = match order {
            Order::Call(message) => self.modem().call(&message).1,
            Order::LookUp(bars) => self.modem().look_up(bars),
            Order::PullOut => {
                self.line = None;
                unname(&self.name);
                return;
            }
            Order::PlugIn => {
                self.line = Line::open(&self.name).ok();
                return;
            }
        };
        self.say(&said);
    }

    /// Hears and says once; how long to wait before the next time.
    fn turn(&mut self) -> Duration {
        let now = clock();
        if self.modem().takes(Fault::HangUp) {
            self.line = None;
            unname(&self.name);
            // Orders wait meanwhile, as nobody could hear what comes of them.
            std::thread::park_timeout(CUT);
            self.line = Line::open(&self.name).ok();
        }
        let Some(line) = &mut self.line else { return AWAY };
        let Ok(heard) = line.read() else {
            // Whoever had it open went away, and may have left his own claim on it (TIOCEXCL).
            self.line = Line::open(&self.name).ok();
            return AWAY;
        };
        let mut said = self.modem().hear(now, &heard);
        let wake = self.modem().wake();
        if wake.is_some_and(|wake| now >= wake) {
            said.extend(self.modem().tick(now));
        }
        self.say(&said);
        Duration::ZERO
    }

    fn say(&mut self, bytes: &[u8]) {
        if let Some(line) = &mut self.line
            && !bytes.is_empty()
        {
            // Who is not there does not hear it.
            let _unheard = line.pty.write_all(bytes).is_err();
        }
    }
}

/// A pty; its other end is opened by whoever drives the modem.
struct Line {
    pty: File,
}

impl Line {
    fn open(name: &Path) -> io::Result<Self> {
        let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&pty)?;
        unlockpt(&pty)?;
        let mut settings = tcgetattr(&pty)?;
        settings.make_raw();
        tcsetattr(&pty, OptionalActions::Now, &settings)?;
        let port = ptsname(&pty, Vec::new())?;
        let port = port.into_string().map_err(io::Error::other)?;
        // In one piece, so that nobody opens half a name.
        let made = name.with_extension("new");
        unname(&made);
        symlink(port, &made)?;
        std::fs::rename(&made, name)?;
        Ok(Self { pty: File::from(pty) })
    }

    /// What was said to it within [`READ_MAX`].
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut waits = [PollFd::new(&self.pty, PollFlags::IN)];
        poll(&mut waits, Some(&READ_MAX))?;
        let [wait] = waits;
        if wait.revents().is_empty() {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; READ_SIZE];
        let count = self.pty.read(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// It may never have been there.
fn unname(name: &Path) {
    let _absent = std::fs::remove_file(name).is_err();
}

#[expect(clippy::disallowed_methods, reason = "a simulated device has a clock of its own")]
fn clock() -> Timestamp {
    Timestamp::now()
}
