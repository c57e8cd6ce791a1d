//! Modems on serial lines: one thread a port, which feeds a driver without IO of its own.
//!
//! A line is opened, lost and opened again; the driver learns of each and lives through all of them.
//! Reads block for [`READ_MAX`], so whatever the house asks waits no longer than that. A port has no
//! more than a handful of words and orders in the air: who does not take the words stops the reading,
//! and the modem keeps what it has.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use hansho_protocols::sbd::{Event, Outgoing, Output, Sbd, SendError};
use hansho_protocols::{Durable, Receipt};
use jiff::{SignedDuration, Timestamp};
use serialport::SerialPort as _;
use tokio::sync::mpsc as words;

/// Orders that may wait for the thread of a port.
pub const ORDERS_MAX: usize = 64;
/// What a driver says that may wait for the house.
pub const WORDS_MAX: usize = 64;
/// Longest wait for a byte.
pub const READ_MAX: Duration = Duration::from_millis(100);
/// From a port that was lost or not there to the next try.
pub const REOPEN_AFTER: Duration = Duration::from_secs(5);
/// How long a driver may take to leave its modem.
pub const LEAVE_MAX: SignedDuration = SignedDuration::from_secs(25);
/// Bytes of a read.
const READ_SIZE: usize = 512;

/// What a driver wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<Word> {
    /// Write these bytes to the port.
    Transmit(Vec<u8>),
    /// Tell this to the house.
    Say(Word),
    /// Close the port, and open it again unless the driver was stopped.
    Close,
    /// Nothing to do before this time, or before more bytes come.
    Idle(Option<Timestamp>),
}

/// A modem's side of the conversation, as a state machine.
pub trait Driver: Send + 'static {
    /// What the house asks of it.
    type Order: Send + std::fmt::Debug + 'static;
    /// What it says to the house.
    type Word: Send + std::fmt::Debug + 'static;

    /// The port was opened.
    fn handle_opened(&mut self, now: Timestamp);

    /// The port was closed, broke, or could not be opened.
    fn handle_closed(&mut self, now: Timestamp);

    /// Takes bytes off the wire. Any bytes at all are legal input.
    fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]);

    /// The house asks for something.
    fn handle_order(&mut self, now: Timestamp, order: Self::Order);

    /// The time that `Step::Idle` named has come.
    fn handle_timeout(&mut self, now: Timestamp);

    /// The house is about to end: leave the modem as it should be left, then ask for `Step::Close`.
    fn handle_stop(&mut self, now: Timestamp);

    /// The next thing to do; to be drained to `Idle` after every `handle_*`.
    fn poll_step(&mut self) -> Step<Self::Word>;
}

/// A line to a modem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialLine {
    /// The port, best by its lasting name: `/dev/serial/by-id/...`.
    pub path: PathBuf,
    /// Bits per second; 8 bits, no parity, no flow control.
    pub baud: u32,
    /// From a port that was lost or not there to the next try: [`REOPEN_AFTER`], but in tests.
    pub reopen_after: Duration,
}

impl SerialLine {
    /// With 19,200 bit/s, as satellite modems have it.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path, baud: 19_200, reopen_after: REOPEN_AFTER }
    }
}

/// Why an order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Too many wait.
    #[error("{ORDERS_MAX} orders wait for the port already")]
    Full,
    /// The thread has ended.
    #[error("the port's thread has ended")]
    Ended,
}

/// A port's thread, as the house holds it.
#[derive(Debug)]
pub struct Port<D: Driver> {
    orders: Orders<D>,
    words: words::Receiver<D::Word>,
    thread: JoinHandle<()>,
}

/// Where orders for a port are given. The last one that is dropped stops the port.
#[derive(Debug)]
pub struct Orders<D: Driver>(SyncSender<D::Order>);

impl<D: Driver> Clone for Orders<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D: Driver> Orders<D> {
    /// Gives an order.
    ///
    /// # Errors
    ///
    /// When too many wait, or the thread has ended.
    pub fn give(&self, order: D::Order) -> Result<(), OrderError> {
        self.0.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => OrderError::Full,
            TrySendError::Disconnected(_) => OrderError::Ended,
        })
    }
}

impl<D: Driver> Port<D> {
    /// Where orders are given.
    #[must_use]
    pub const fn orders(&self) -> &Orders<D> {
        &self.orders
    }

    /// The next word; `None` when the thread has ended.
    pub async fn word(&mut self) -> Option<D::Word> {
        self.words.recv().await
    }

    /// Parts it: where orders are given, what is said, and the thread, which ends when the last
    /// `Orders` is dropped and the driver has left its modem, or when nobody takes the words.
    #[must_use]
    pub fn into_parts(self) -> (Orders<D>, words::Receiver<D::Word>, JoinHandle<()>) {
        (self.orders, self.words, self.thread)
    }
}

/// Starts the thread of a port; `clock` is the shell's.
///
/// # Errors
///
/// When the system refuses a thread.
pub fn drive<D: Driver>(
    line: SerialLine,
    driver: D,
    clock: impl Fn() -> Timestamp + Send + 'static,
) -> std::io::Result<Port<D>> {
    let (orders, ordered) = mpsc::sync_channel(ORDERS_MAX);
    let (say, words) = words::channel(WORDS_MAX);
    let hand = Hand { line, driver, clock, ordered, say, wake: None, stopping: None };
    let thread = std::thread::Builder::new().name("serial".to_owned()).spawn(|| hand.run())?;
    Ok(Port { orders: Orders(orders), words, thread })
}

/// What ends a conversation by a port.
enum End {
    /// The driver wants the port closed.
    Closed,
    /// The line broke: the modem was unplugged, or the other side of it is gone.
    Broken(std::io::Error),
    /// The house does not listen any more, or the driver has had its time.
    Over,
}

/// The thread's own.
struct Hand<D: Driver, C> {
    line: SerialLine,
    driver: D,
    clock: C,
    ordered: mpsc::Receiver<D::Order>,
    say: words::Sender<D::Word>,
    wake: Option<Timestamp>,
    /// Since the house is about to end: until when the driver may take its leave.
    stopping: Option<Timestamp>,
}

impl<D: Driver, C: Fn() -> Timestamp> Hand<D, C> {
    fn run(mut self) {
        let mut well = true;
        loop {
            match self.open() {
                Ok(port) => {
                    tracing::info!(port = %self.line.path.display(), "A serial port is open.");
                    well = true;
                    match self.talk(port) {
                        End::Over => return,
                        End::Closed => {}
                        End::Broken(error) => {
                            let path = self.line.path.display();
                            tracing::warn!(port = %path, %error, "A serial port is lost.");
                            well = false;
                        }
                    }
                }
                Err(error) => {
                    if std::mem::take(&mut well) {
                        let path = self.line.path.display();
                        tracing::warn!(port = %path, %error, "A serial port cannot be opened.");
                    }
                }
            }
            self.driver.handle_closed((self.clock)());
            if self.rest().is_err() {
                return;
            }
        }
    }

    /// Modem lines are set as far as there are any: a three-wire cable and a pty have none.
    fn open(&self) -> Result<serialport::TTYPort, serialport::Error> {
        let path = self.line.path.to_string_lossy();
        let builder = serialport::new(path, self.line.baud).timeout(READ_MAX);
        let mut port = builder.open_native()?;
        if let Err(error) = port.write_request_to_send(true) {
            tracing::debug!(%error, "The port has no modem lines.");
        }
        Ok(port)
    }

    fn talk(&mut self, mut port: serialport::TTYPort) -> End {
        let mut buffer = [0; READ_SIZE];
        self.driver.handle_opened((self.clock)());
        loop {
            if let Err(end) = self.carry_out(Some(&mut port)) {
                return end;
            }
            let read = port.read(&mut buffer);
            let now = (self.clock)();
            match read {
                Ok(0) => return End::Broken(ErrorKind::BrokenPipe.into()),
                Ok(count) => {
                    self.driver.handle_bytes(now, buffer.get(..count).unwrap_or_default());
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return End::Broken(error),
            }
            if let Err(end) = self.carry_out(Some(&mut port)) {
                return end;
            }
            if self.wake.is_some_and(|wake| now >= wake) {
                self.driver.handle_timeout(now);
            }
            if self.hear_orders(now) {
                return End::Over;
            }
        }
    }

    /// All orders that are there; whether the time to leave is over.
    fn hear_orders(&mut self, now: Timestamp) -> bool {
        for _order in 0..ORDERS_MAX {
            match self.ordered.try_recv() {
                Ok(order) => self.driver.handle_order(now, order),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    if self.stopping.is_none() {
                        self.stopping = Some(now.saturating_add(LEAVE_MAX).unwrap_or(now));
                        self.driver.handle_stop(now);
                    }
                    break;
                }
            }
        }
        self.stopping.is_some_and(|until| now >= until)
    }

    /// Drains the driver.
    fn carry_out(&mut self, mut port: Option<&mut serialport::TTYPort>) -> Result<(), End> {
        loop {
            match self.driver.poll_step() {
                Step::Transmit(bytes) => {
                    let Some(port) = &mut port else { continue };
                    port.write_all(&bytes).map_err(End::Broken)?;
                }
                Step::Say(word) => self.say.blocking_send(word).map_err(|_ended| End::Over)?,
                Step::Close if self.stopping.is_some() => {
                    self.driver.handle_closed((self.clock)());
                    return self.carry_out(None).and(Err(End::Over));
                }
                Step::Close => return Err(End::Closed),
                Step::Idle(wake) => {
                    self.wake = wake;
                    return Ok(());
                }
            }
        }
    }

    /// Waits before the port is tried again; orders are heard meanwhile.
    fn rest(&mut self) -> Result<(), End> {
        let wait = SignedDuration::try_from(self.line.reopen_after).unwrap_or_default();
        let start = (self.clock)();
        let end = start.saturating_add(wait).unwrap_or(start);
        loop {
            // A port that is closed takes no bytes and cannot be closed again.
            match self.carry_out(None) {
                Ok(()) | Err(End::Closed | End::Broken(_)) => {}
                Err(End::Over) => return Err(End::Over),
            }
            let now = (self.clock)();
            if now >= end {
                return Ok(());
            }
            let next = self.wake.map_or(end, |wake| wake.clamp(now, end));
            let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            match self.ordered.recv_timeout(left) {
                Ok(order) => self.driver.handle_order((self.clock)(), order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(End::Over),
            }
            let now = (self.clock)();
            if self.wake.is_some_and(|wake| now >= wake) {
                self.driver.handle_timeout(now);
            }
        }
    }
}

/// What the house asks of a satellite modem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SbdOrder {
    /// Send this. What is not taken has failed, and is said to have.
    Send(Outgoing),
    /// A message that came was decided about.
    Durable(Receipt, Durable),
}

/// What a satellite modem's driver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SbdWord {
    /// Something happened.
    Event(Event),
    /// A message was not taken for sending, and why.
    NotTaken(u64, SendError),
}

/// [`Sbd`] on a line.
#[derive(Debug)]
pub struct SbdModem {
    sbd: Sbd,
    /// Still to be said, oldest first; no more than orders are heard at once.
    not_taken: VecDeque<(u64, SendError)>,
}

impl SbdModem {
    /// Drives a modem by this.
    #[must_use]
    pub const fn new(sbd: Sbd) -> Self {
        Self { sbd, not_taken: VecDeque::new() }
    }
}

impl Driver for SbdModem {
    type Order = SbdOrder;
    type Word = SbdWord;

    fn handle_opened(&mut self, now: Timestamp) {
        self.sbd.handle_opened(now);
    }

    fn handle_closed(&mut self, now: Timestamp) {
        self.sbd.handle_closed(now);
    }

    fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]) {
        self.sbd.handle_bytes(now, bytes);
    }

    fn handle_order(&mut self, now: Timestamp, order: SbdOrder) {
        match order {
            SbdOrder::Durable(receipt, durable) => self.sbd.handle_durable(now, receipt, durable),
            SbdOrder::Send(outgoing) => {
                let id = outgoing.id;
                self.not_taken.extend(self.sbd.send(now, outgoing).err().map(|error| (id, error)));
            }
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        self.sbd.handle_timeout(now);
    }

    fn handle_stop(&mut self, now: Timestamp) {
        self.sbd.stop(now);
    }

    fn poll_step(&mut self) -> Step<SbdWord> {
        if let Some((id, error)) = self.not_taken.pop_front() {
            return Step::Say(SbdWord::NotTaken(id, error));
        }
        match self.sbd.poll_output() {
            Output::Transmit(bytes) => Step::Transmit(bytes),
            Output::Say(event) => Step::Say(SbdWord::Event(event)),
            Output::Close => Step::Close,
            Output::Idle(wake) => Step::Idle(wake),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use hansho_model::Private;
    use hansho_protocols::sbd::Setup;
    use serialport::TTYPort;

    use super::*;

    /// Says what happens to it, and writes what it is ordered to.
    #[derive(Debug, Default)]
    struct Toy {
        steps: VecDeque<Step<String>>,
        wake: Option<Timestamp>,
    }

    impl Toy {
        fn say(&mut self, word: &str) {
            self.steps.push_back(Step::Say(word.to_owned()));
        }
    }

    impl Driver for Toy {
        type Order = &'static str;
        type Word = String;

        fn handle_opened(&mut self, now: Timestamp) {
            self.say("opened");
            self.wake = Some(now + SignedDuration::from_millis(1));
        }

        fn handle_closed(&mut self, _now: Timestamp) {
            self.say("closed");
        }

        fn handle_bytes(&mut self, _now: Timestamp, bytes: &[u8]) {
            self.say(&String::from_utf8_lossy(bytes));
            if bytes == b"close" {
                self.steps.push_back(Step::Close);
            }
        }

        fn handle_order(&mut self, _now: Timestamp, order: &'static str) {
            self.say("ordered");
            self.steps.push_back(Step::Transmit(order.as_bytes().to_vec()));
        }

        fn handle_timeout(&mut self, _now: Timestamp) {
            self.wake = None;
            self.say("late");
        }

        fn handle_stop(&mut self, _now: Timestamp) {
            self.steps.push_back(Step::Transmit(b"bye".to_vec()));
            self.steps.push_back(Step::Close);
        }

        fn poll_step(&mut self) -> Step<String> {
            self.steps.pop_front().unwrap_or(Step::Idle(self.wake))
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the shell's clock is not to be had from here")]
    fn clock() -> Timestamp {
        Timestamp::now()
    }

    /// A line with a name of its own, as udev gives, that stays when the device changes.
    struct Cable {
        name: PathBuf,
        plug: Option<TTYPort>,
        /// Kept open where what was written must not be lost when the thread closes its end.
        socket: Option<std::fs::File>,
    }

    impl Cable {
        fn new(name: &str) -> Self {
            let name = std::env::temp_dir().join(format!("hansho-{}-{name}", std::process::id()));
            let mut cable = Self { name, plug: None, socket: None };
            cable.plug_in();
            cable
        }

        fn plug_in(&mut self) {
            let (plug, socket) = TTYPort::pair().unwrap();
            drop(std::fs::remove_file(&self.name));
            std::os::unix::fs::symlink(socket.name().unwrap(), &self.name).unwrap();
            self.plug = Some(plug);
        }

        fn hold(&mut self) {
            self.socket = Some(std::fs::File::open(&self.name).unwrap());
        }

        fn pull_out(&mut self) {
            self.plug = None;
            self.socket = None;
            std::fs::remove_file(&self.name).unwrap();
        }

        fn line(&self) -> SerialLine {
            let reopen_after = Duration::from_millis(20);
            SerialLine { reopen_after, ..SerialLine::new(self.name.clone()) }
        }

        fn write(&mut self, bytes: &[u8]) {
            self.plug.as_mut().unwrap().write_all(bytes).unwrap();
        }

        /// Reads so many bytes.
        fn read(&mut self, size: usize) -> Vec<u8> {
            let mut bytes = vec![0; size];
            let plug = self.plug.as_mut().unwrap();
            plug.set_timeout(Duration::from_secs(10)).unwrap();
            plug.read_exact(&mut bytes).unwrap();
            bytes
        }
    }

    impl Drop for Cable {
        fn drop(&mut self) {
            drop(std::fs::remove_file(&self.name));
        }
    }

    async fn hear(port: &mut Port<Toy>, words: &[&str]) {
        for word in words {
            assert_eq!(port.word().await.as_deref(), Some(*word), "of {words:?}");
        }
    }

    #[tokio::test]
    async fn bytes_orders_and_times_reach_the_driver() {
        let mut cable = Cable::new("bytes");
        let mut port = drive(cable.line(), Toy::default(), clock).unwrap();
        hear(&mut port, &["opened", "late"]).await;
        cable.write(b"\x00\r\n\xFF");
        hear(&mut port, &["\0\r\n\u{FFFD}"]).await;
        port.orders().give("\x11\x13\n").unwrap();
        hear(&mut port, &["ordered"]).await;
        assert_eq!(cable.read(3), b"\x11\x13\n");
    }

    #[tokio::test]
    async fn a_modem_that_is_unplugged_comes_back() {
        let mut cable = Cable::new("unplugged");
        let mut port = drive(cable.line(), Toy::default(), clock).unwrap();
        hear(&mut port, &["opened", "late"]).await;
        cable.pull_out();
        hear(&mut port, &["closed"]).await;
        // It is told each time that nothing is there.
        hear(&mut port, &["closed", "closed"]).await;
        cable.plug_in();
        while port.word().await.unwrap() == "closed" {}
        hear(&mut port, &["late"]).await;
        cable.write(b"here");
        hear(&mut port, &["here"]).await;
    }

    #[tokio::test]
    async fn a_driver_may_have_its_port_closed_and_opened_again() {
        let mut cable = Cable::new("closed");
        let mut port = drive(cable.line(), Toy::default(), clock).unwrap();
        hear(&mut port, &["opened", "late"]).await;
        cable.write(b"close");
        hear(&mut port, &["close", "closed", "opened", "late"]).await;
    }

    #[tokio::test]
    async fn orders_are_heard_while_there_is_no_port() {
        let mut cable = Cable::new("away");
        cable.pull_out();
        let mut port = drive(cable.line(), Toy::default(), clock).unwrap();
        hear(&mut port, &["closed"]).await;
        port.orders().give("lost").unwrap();
        while port.word().await.unwrap() != "ordered" {}
        cable.plug_in();
    }

    #[tokio::test]
    async fn a_port_that_is_stopped_leaves_its_modem_and_ends() {
        let mut cable = Cable::new("stopped");
        cable.hold();
        let mut port = drive(cable.line(), Toy::default(), clock).unwrap();
        hear(&mut port, &["opened", "late"]).await;
        let (orders, mut words, thread) = port.into_parts();
        drop(orders);
        assert_eq!(cable.read(3), b"bye");
        assert_eq!(words.recv().await.as_deref(), Some("closed"));
        assert_eq!(words.recv().await, None);
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_to_ends() {
        let mut cable = Cable::new("unheard");
        cable.hold();
        let port = drive(cable.line(), Toy::default(), clock).unwrap();
        let (orders, words, thread) = port.into_parts();
        drop(words);
        cable.write(b"anybody?");
        thread.join().unwrap();
        assert_eq!(orders.give("anything"), Err(OrderError::Ended));
    }

    #[tokio::test]
    async fn orders_have_a_limit() {
        let (orders, _ordered) = mpsc::sync_channel(ORDERS_MAX);
        let orders: Orders<Toy> = Orders(orders);
        for _order in 0..ORDERS_MAX {
            assert_eq!(orders.give("more"), Ok(()));
        }
        assert_eq!(orders.give("too many"), Err(OrderError::Full));
    }

    #[test]
    fn what_a_modem_does_not_take_is_said() {
        let mut modem = SbdModem::new(Sbd::new(Setup::new(1)));
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        // Several orders may be heard at once, and one that is taken hides none of the others.
        for (id, bytes) in [(7, Vec::new()), (8, Vec::new()), (9, b"text".to_vec())] {
            let outgoing = Outgoing { id, bytes: Private(bytes), until: None };
            modem.handle_order(now, SbdOrder::Send(outgoing));
        }
        for id in [7, 8] {
            assert_eq!(modem.poll_step(), Step::Say(SbdWord::NotTaken(id, SendError::Empty)));
        }
        assert_eq!(modem.poll_step(), Step::Idle(None));
    }
}
