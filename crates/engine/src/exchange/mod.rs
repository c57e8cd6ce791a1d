//! The exchange (電話交換): calls to 119, in the supervisor's process.
//!
//! It owns the SIP sockets and every transaction and dialog, so that a call outlives the core: with
//! the core gone, or silent for a second, it rings the seats' phones itself. What it says goes to
//! the core over the supervisor's line and is answered only when it is in the journal; without a
//! core it is answered from the [`spool`] and journalled later, marked as unrecorded.
//!
//! It is the driver: what to say is [`Endpoint`]'s, what is durable is [`records`]'.

pub mod flows;
pub mod line;
pub mod records;
pub mod scribe;
pub mod spool;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hansho_config::{SipSettings, Site};
use hansho_model::CallRef;
use hansho_protocols::sip::{
    Endpoint, Flow, Hop, Output, Seat, Setup, SipTransport, Standing, Timers,
};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::clock;
use crate::sockets::DoorSocket;
use flows::{Flows, Heard};
use line::{Said, ToCore, ToSupervisor};
use records::{Act, Records, WAIT_MAX};
use scribe::Scribe;
use spool::Spool;

/// Words of the supervisor that may wait.
const WORDS_MAX: usize = 1_024;
/// Shortest sleep.
const NAP_MIN: Duration = Duration::from_millis(1);
/// Longest sleep: the clock is looked at this often, whatever happens.
const NAP_MAX: Duration = Duration::from_millis(250);

/// What the supervisor tells the exchange.
#[derive(Debug)]
pub enum Word {
    /// A core lives and listens here.
    CoreCame(mpsc::Sender<ToCore>),
    /// The core is gone, or silent for too long.
    CoreWent,
    /// The core says something.
    Core(ToSupervisor),
}

/// Starts the exchange of a house beside the caller; `None` when the house has no SIP door. An
/// exchange that breaks is started again with the same sockets.
///
/// # Errors
///
/// When the system refuses a socket or random numbers.
pub fn start(
    site: &Site,
    door: Option<DoorSocket>,
    folder: PathBuf,
) -> io::Result<Option<mpsc::Sender<Word>>> {
    let Some(DoorSocket { stream: Some(stream), datagrams: Some(datagrams), .. }) = door else {
        return Ok(None);
    };
    let local = stream.local_addr()?;
    let make = {
        let site = site.sip.clone();
        move || {
            let setup = setup(&site, local)?;
            Exchange::new(setup, datagrams.try_clone()?, stream.try_clone()?, &folder)
        }
    };
    let first = make()?;
    let (tell, words) = mpsc::channel(WORDS_MAX);
    tokio::spawn(keep(first, make, words));
    Ok(Some(tell))
}

/// Runs exchanges, one after the other breaks.
async fn keep(
    first: Exchange,
    make: impl Fn() -> io::Result<Exchange>,
    mut words: mpsc::Receiver<Word>,
) {
    let mut next = Some(first);
    let mut core = None;
    loop {
        let exchange = match next.take().map_or_else(&make, Ok) {
            Ok(exchange) => exchange,
            Err(error) => {
                tracing::error!(%error, "The exchange cannot be started; it is tried again.");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (tell, heard) = mpsc::channel(WORDS_MAX);
        let mut running = tokio::spawn(exchange.run(heard));
        if let Some(core) = core.clone() {
            drop(tell.send(Word::CoreCame(core)).await);
        }
        loop {
            tokio::select! {
                word = words.recv() => {
                    let Some(word) = word else { return };
                    match &word {
                        Word::CoreCame(came) => core = Some(came.clone()),
                        Word::CoreWent => core = None,
                        Word::Core(_) => {}
                    }
                    if tell.send(word).await.is_err() {
                        break;
                    }
                }
                _ended = &mut running => break,
            }
        }
        tracing::error!("The exchange broke; it is started again. Its calls are lost.");
    }
}

/// What the endpoint is made from. Addresses are written into messages as others reach us.
fn setup(sip: &SipSettings, local: SocketAddr) -> io::Result<Setup> {
    let mut seed = [0; 16];
    getrandom(&mut seed)?;
    let seats = sip.seats.iter().map(|seat| Seat {
        name: seat.name.clone(),
        uri: seat.uri(),
        transport: if seat.tcp { SipTransport::Tcp } else { SipTransport::Udp },
        address: seat.address,
    });
    Ok(Setup {
        udp: local,
        tcp: local,
        numbers: sip.numbers.clone(),
        trunks: sip.trunks.clone(),
        seats: seats.collect(),
        timers: Timers::default(),
        seed,
    })
}

fn getrandom(bytes: &mut [u8]) -> io::Result<()> {
    io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, bytes)
}

/// The exchange of a house.
pub struct Exchange {
    endpoint: Endpoint,
    flows: Flows,
    records: Records,
    scribe: Scribe,
    core: Option<mpsc::Sender<ToCore>>,
    /// When time is looked at next, at the latest.
    due: Timestamp,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("waiting", &self.records.len()).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Takes the sockets over and reads what an earlier supervisor left in the spool of `folder`.
    ///
    /// # Errors
    ///
    /// When the system refuses a socket or a thread.
    pub fn new(
        setup: Setup,
        udp: std::net::UdpSocket,
        tcp: std::net::TcpListener,
        folder: &Path,
    ) -> io::Result<Self> {
        let (spool, left) = Spool::open(folder);
        if !left.is_empty() {
            tracing::warn!(count = left.len(), "Calls of an earlier run are not journalled yet.");
        }
        Self::with(setup, udp, tcp, Scribe::new(spool)?, left)
    }

    fn with(
        setup: Setup,
        udp: std::net::UdpSocket,
        tcp: std::net::TcpListener,
        scribe: Scribe,
        left: Vec<Said>,
    ) -> io::Result<Self> {
        let seats = setup.seats.iter().map(|seat| seat.address.ip());
        let known = seats.chain(setup.trunks.iter().copied());
        let flows = Flows::new(udp, tcp, known.map(|ip| ip.to_canonical()).collect())?;
        let records = Records::new(clock::now(), left);
        let endpoint = Endpoint::new(setup);
        Ok(Self { endpoint, flows, records, scribe, core: None, due: clock::now() })
    }

    /// Runs until the supervisor drops its end.
    pub async fn run(mut self, mut words: mpsc::Receiver<Word>) {
        loop {
            let nap = self.act(clock::now());
            if self.due <= clock::now() {
                // However much comes in, time passes, too.
                self.tick(clock::now());
                continue;
            }
            tokio::select! {
                word = words.recv() => match word {
                    Some(word) => self.obey(clock::now(), word),
                    None => return,
                },
                heard = self.flows.next() => self.hear(clock::now(), heard),
                number = self.scribe.next() => self.records.kept(number),
                () = tokio::time::sleep(nap) => self.tick(clock::now()),
            }
        }
    }

    fn obey(&mut self, now: Timestamp, word: Word) {
        match word {
            Word::CoreCame(core) => {
                self.core = Some(core);
                // A call whose end is yet to be told is not lost.
                let living = self.endpoint.calls().map(|call| call.call.0.as_str());
                let living: BTreeSet<&str> = living.chain(self.records.calls()).collect();
                for piece in line::living(&living) {
                    self.tell(piece);
                }
                self.records.core_came();
            }
            Word::CoreWent => {
                self.core = None;
                self.records.core_went(now);
            }
            Word::Core(ToSupervisor::Durable(number)) => self.records.durable(number),
            Word::Core(ToSupervisor::Connect { order, call, seat }) => {
                let taken = self.endpoint.connect(now, &CallRef(call), &seat);
                self.tell(ToCore::Ordered { order, taken });
            }
            Word::Core(ToSupervisor::Alive) => {}
        }
    }

    fn hear(&mut self, now: Timestamp, heard: Heard) {
        let local = self.flows.local();
        let flow = |transport, peer, id| Flow { transport, local, peer, id };
        let handled = match heard {
            Heard::Datagram(peer, bytes) => {
                self.endpoint.handle_datagram(now, flow(SipTransport::Udp, peer, 0), &bytes)
            }
            Heard::Bytes(id, peer, bytes) => {
                let flow = flow(SipTransport::Tcp, peer, id);
                let handled = self.endpoint.handle_stream(now, flow, &bytes);
                if handled.as_ref().is_err_and(|error| error.fatal) {
                    self.flows.close(id);
                    self.endpoint.handle_flow_closed(now, flow);
                }
                handled
            }
            Heard::Closed(id, peer) => {
                self.endpoint.handle_flow_closed(now, flow(SipTransport::Tcp, peer, id));
                Ok(())
            }
            Heard::Unreachable(peer) => {
                self.endpoint.handle_unreachable(now, SipTransport::Tcp, peer);
                Ok(())
            }
        };
        if let Err(error) = handled {
            tracing::debug!(%error, "A SIP message was refused.");
        }
    }

    fn tick(&mut self, now: Timestamp) {
        self.due = now.saturating_add(NAP_MAX).unwrap_or(now);
        self.endpoint.handle_timeout(now);
        let count = self.records.tick(now);
        if count > 0 {
            tracing::error!(count, "The spool takes too long; calls go on without it.");
        }
        let alone = self.records.alone_since();
        if alone.is_some_and(|since| now.duration_since(since) >= WAIT_MAX) {
            self.ring_for_all(now);
        }
    }

    /// There is nobody to press "answer": every call that rings rings at every seat. One that waits
    /// for the spool does not ring yet.
    fn ring_for_all(&mut self, now: Timestamp) {
        let unanswered = self.records.unanswered();
        let rings = self.endpoint.calls().filter(|call| {
            call.standing == Standing::Ringing && !unanswered.contains(call.call.0.as_str())
        });
        let ringing: Vec<CallRef> = rings.map(|call| call.call.clone()).collect();
        for call in ringing {
            self.endpoint.ring_all(now, &call);
        }
    }

    /// Does all that is to be done now; how long there is nothing to do if nothing happens.
    fn act(&mut self, now: Timestamp) -> Duration {
        loop {
            if let Some(act) = self.records.poll() {
                self.carry_out(now, act);
                continue;
            }
            match self.endpoint.poll_output() {
                Output::Fact(receipt, report) => self.records.hear(now, receipt, &report),
                Output::Transmit(hop, bytes) => self.transmit(hop, bytes),
                Output::Close(flow) => self.flows.close(flow.id),
                Output::Idle(deadline) => {
                    let next = [deadline, self.records.next_deadline()].into_iter().flatten().min();
                    // A moment at least: a deadline that stays in the past must not spin.
                    let soonest = now.saturating_add(NAP_MIN).unwrap_or(now);
                    self.due = next.map_or(self.due, |next| self.due.min(next.max(soonest)));
                    let nap = Duration::try_from(self.due.duration_since(now));
                    return nap.unwrap_or(Duration::ZERO).min(NAP_MAX);
                }
            }
        }
    }

    fn carry_out(&mut self, now: Timestamp, act: Act) {
        match act {
            Act::Send(said) => {
                let number = said.number;
                if !self.tell(ToCore::Said(said)) {
                    self.records.not_sent(number);
                }
            }
            // A spool that cannot be written must not keep a caller waiting: it rings all the same.
            Act::Keep(said) => {
                let number = said.number;
                tracing::error!("A call goes on without a core to record it.");
                if !self.scribe.keep(said) {
                    tracing::error!("Too much waits for the spool; a call goes on without it.");
                    self.records.kept(number);
                }
            }
            Act::Answer(receipt) => self.endpoint.handle_durable(now, receipt),
            Act::RingAll(call) => self.endpoint.ring_all(now, &call),
            Act::Clear => self.scribe.clear(),
        }
    }

    /// Whether the message is on its way. What a core that has just died does not take is sent to
    /// the next one.
    fn tell(&self, message: ToCore) -> bool {
        let sent = self.core.as_ref().is_none_or(|core| core.try_send(message).is_ok());
        if !sent {
            tracing::warn!("The core does not take what the telephone side says.");
        }
        sent
    }

    fn transmit(&mut self, hop: Hop, bytes: Vec<u8>) {
        match hop {
            Hop::Flow(Flow { transport: SipTransport::Udp, peer, .. })
            | Hop::Address(SipTransport::Udp, peer) => self.flows.send_datagram(peer, &bytes),
            Hop::Flow(flow) => self.flows.send(flow.id, bytes),
            Hop::Address(SipTransport::Tcp, peer) => self.flows.send_to(peer, bytes),
        }
    }
}
