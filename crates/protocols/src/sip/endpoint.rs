//! The house's telephone signalling: a back-to-back user agent between the trunk and the seats.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use hansho_model::{CallFact, CallRef, CallReport, FrameFault};
use jiff::Timestamp;

use super::call::{Call, ForkState, Leg, Owed, Stage};
use super::dialog;
use super::message::{MESSAGE_SIZE_MAX, Message};
use super::names::Names;
use super::stream::{Framed, Framer};
use super::transaction::{Client, Flow, Hop, Server, SipTransport, Timers, after};
use crate::{FrameError, Receipt};

/// Most calls that live at once; the next one is answered 503. Those that no trunk brings may be
/// half as many.
pub const CALL_COUNT_MAX: usize = 512;
/// Most calls that are known at once, with those that are over and kept for late messages. Those
/// that no trunk brings may be half as many.
pub const KEPT_COUNT_MAX: usize = 4_096;
/// Most connections at once; the next one is refused, unless it leads to a seat's phone.
pub const FLOW_COUNT_MAX: usize = 512;
/// Most transactions of each side; beyond, what is no call is dropped.
pub const TRANSACTION_COUNT_MAX: usize = 8_192;
/// Most seats.
pub const SEAT_COUNT_MAX: usize = 64;
/// Most requests that may wait at one call for the receipt of its end.
pub(super) const REPLY_COUNT_MAX: usize = 8;

/// A seat's phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Name of the seat, such as `desk1`.
    pub name: String,
    /// URI of its phone.
    pub uri: String,
    /// How to reach it.
    pub transport: SipTransport,
    /// Where it is.
    pub address: SocketAddr,
}

/// What an endpoint is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Our address for datagrams, as others reach it.
    pub udp: SocketAddr,
    /// Our address for connections, as others reach it.
    pub tcp: SocketAddr,
    /// Users of ours that may be called beside `urn:service:sos`: the desk's own numbers.
    pub numbers: Vec<String>,
    /// Who may assert a caller's number: the carriers' gateways.
    pub trunks: Vec<IpAddr>,
    /// The seats' phones, at most [`SEAT_COUNT_MAX`].
    pub seats: Vec<Seat>,
    /// Times.
    pub timers: Timers,
    /// Random bytes: tags and branches follow from them.
    pub seed: [u8; 16],
}

/// What an endpoint wants done.
#[derive(Debug)]
pub enum Output {
    /// Make this durable, then call [`Endpoint::handle_durable`].
    Fact(Receipt, Box<CallReport>),
    /// Send these bytes.
    Transmit(Hop, Vec<u8>),
    /// Close this connection: a message on it was never finished.
    Close(Flow),
    /// Nothing to do before this time, or before something comes.
    Idle(Option<Timestamp>),
}

/// How far a call that lives is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// It waits to be answered; seats' phones may ring.
    Ringing,
    /// This seat's phone has it.
    Connected(&'a str),
}

/// A call that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live<'a> {
    /// Which.
    pub call: &'a CallRef,
    /// Since when.
    pub offered_at: Timestamp,
    /// How far it is.
    pub standing: Standing<'a>,
}

/// All calls, dialogs and transactions of the house.
///
/// A call rings (180) only when [`CallFact::Offered`] is durable, and neither CANCEL nor BYE is
/// answered before the fact that it made is.
///
/// ```
/// use hansho_protocols::sip::{Endpoint, Flow, Output, Setup, SipTransport, Timers};
///
/// let now = "2026-04-01T00:00:30Z".parse().unwrap();
/// let ours = "192.0.2.1:5060".parse().unwrap();
/// let mut endpoint = Endpoint::new(Setup {
///     udp: ours,
///     tcp: ours,
///     numbers: Vec::new(),
///     trunks: Vec::new(),
///     seats: Vec::new(),
///     timers: Timers::default(),
///     seed: [7; 16],
/// });
/// let peer = "192.0.2.7:5060".parse().unwrap();
/// let flow = Flow { transport: SipTransport::Udp, local: ours, peer, id: 0 };
/// let invite = "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
///               From: <sip:+819000000001@carrier.example>;tag=1\r\nTo: <urn:service:sos>\r\n\
///               Call-ID: 1@192.0.2.7\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
/// endpoint.handle_datagram(now, flow, invite.as_bytes()).unwrap();
/// let Output::Transmit(_, trying) = endpoint.poll_output() else { panic!() };
/// assert!(trying.starts_with(b"SIP/2.0 100 "));
/// let Output::Fact(receipt, fact) = endpoint.poll_output() else { panic!() };
/// assert_eq!(fact.call.0, "1@192.0.2.7;1");
/// assert!(matches!(endpoint.poll_output(), Output::Idle(_)));
/// // Only now does it ring.
/// endpoint.handle_durable(now, receipt);
/// let Output::Transmit(_, ringing) = endpoint.poll_output() else { panic!() };
/// assert!(ringing.starts_with(b"SIP/2.0 180 "));
/// ```
#[derive(Debug)]
pub struct Endpoint {
    pub(super) setup: Setup,
    pub(super) names: Names,
    /// Tag of answers that are given without a transaction.
    pub(super) tag: String,
    outputs: VecDeque<Output>,
    flows: BTreeMap<Flow, Framer>,
    pub(super) calls: BTreeMap<CallRef, Call>,
    /// By `Call-ID` and our tag.
    pub(super) dialogs: BTreeMap<(String, String), (CallRef, Leg)>,
    pub(super) servers: BTreeMap<String, Server>,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) owed: BTreeMap<Receipt, Owed>,
    receipts: u64,
}

impl Endpoint {
    /// Without calls.
    #[must_use]
    pub fn new(mut setup: Setup) -> Self {
        setup.seats.truncate(SEAT_COUNT_MAX);
        let mut names = Names::new(setup.seed);
        let tag = names.next();
        Self {
            setup,
            names,
            tag,
            outputs: VecDeque::new(),
            flows: BTreeMap::new(),
            calls: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
            owed: BTreeMap::new(),
            receipts: 0,
        }
    }

    /// Takes one datagram.
    ///
    /// # Errors
    ///
    /// When it is no message; it is not answered then.
    pub fn handle_datagram(
        &mut self,
        now: Timestamp,
        flow: Flow,
        bytes: &[u8],
    ) -> Result<(), FrameError> {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            // Keeps a path through a firewall open.
            return Ok(());
        }
        if bytes.len() > MESSAGE_SIZE_MAX {
            return Err(FrameError::new(FrameFault::TooLong, "a datagram has 64 KiB", false));
        }
        let message = Message::parse(bytes)
            .map_err(|error| FrameError::new(FrameFault::MalformedHeader, error.0, false))?;
        self.message(now, flow, message, bytes)
    }

    /// Takes bytes of a connection, cut anywhere.
    ///
    /// # Errors
    ///
    /// The first fault. When it is fatal the connection cannot go on: close it and call
    /// [`Endpoint::handle_flow_closed`].
    pub fn handle_stream(
        &mut self,
        now: Timestamp,
        flow: Flow,
        bytes: &[u8],
    ) -> Result<(), FrameError> {
        let seat = || self.setup.seats.iter().any(|seat| seat.address == flow.peer);
        if self.flows.len() >= FLOW_COUNT_MAX && !self.flows.contains_key(&flow) && !seat() {
            return Err(FrameError::new(FrameFault::TooLong, "512 connections are open", true));
        }
        let mut first = None;
        for framed in self.flows.entry(flow).or_default().push(now, bytes) {
            let fault = match framed {
                Framed::Message(message, raw) => self.message(now, flow, *message, &raw).err(),
                Framed::Fault(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                let worse = fault.fatal && !first.as_ref().is_some_and(|f: &FrameError| f.fatal);
                if first.is_none() || worse {
                    first = Some(fault);
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// A connection is gone. Calls live on: what is to be said goes over a new one.
    pub fn handle_flow_closed(&mut self, _now: Timestamp, flow: Flow) {
        self.flows.remove(&flow);
    }

    /// An address cannot be reached: phones there do not take their calls.
    pub fn handle_unreachable(
        &mut self,
        now: Timestamp,
        transport: SipTransport,
        address: SocketAddr,
    ) {
        let hop = Hop::Address(transport, address);
        let there = self.clients.iter().filter(|(_branch, client)| client.hop == hop);
        let branches: Vec<String> = there.map(|(branch, _client)| branch.clone()).collect();
        for branch in branches {
            self.client_failed(now, &branch, 503);
        }
    }

    /// The fact of this receipt is durable; only now may what waits for it leave.
    pub fn handle_durable(&mut self, now: Timestamp, receipt: Receipt) {
        let Some(owed) = self.owed.remove(&receipt) else { return };
        if let Some(call) = self.calls.get_mut(owed.call()) {
            call.pending = call.pending.saturating_sub(1);
            if call.end == Some(receipt) {
                call.end = None;
            }
        }
        match owed {
            Owed::Ringing(call) => self.ringing(now, &call),
            Owed::Abandoned { call, status, replies } => {
                self.reply_all(now, &replies);
                self.refuse_call(now, &call, status);
            }
            Owed::Ended { replies, .. } => self.reply_all(now, &replies),
            Owed::Nothing(_) => {}
        }
    }

    /// Answers a call at a seat: rings its phone. Doing it again does nothing.
    ///
    /// `false` when there is no such call or seat, or another seat's phone has it.
    pub fn connect(&mut self, now: Timestamp, call: &CallRef, seat: &str) -> bool {
        let Some(found) = self.calls.get_mut(call) else { return false };
        match found.stage {
            Stage::Over => false,
            Stage::Connected => found.winner().is_some_and(|fork| fork.seat == seat),
            Stage::Offered => {
                self.stop_ringing_everywhere(now, call, seat);
                self.ring(now, call, seat, false)
            }
        }
    }

    /// Rings every seat's phone until one takes the call: for the time when there is no core.
    /// Doing it again does nothing: phones that do not take it are rung again in their time.
    pub fn ring_all(&mut self, now: Timestamp, call: &CallRef) {
        let rings = |found: &Call| found.everywhere || found.stage != Stage::Offered;
        if !self.calls.get(call).is_none_or(rings) {
            self.ring_everywhere(now, call);
        }
    }

    /// The core is back and names a seat: the other phones are not needed any more.
    fn stop_ringing_everywhere(&mut self, now: Timestamp, call: &CallRef, seat: &str) {
        let answer_by = after(now, self.setup.timers.answer);
        let known = self.setup.seats.iter().any(|each| each.name == seat);
        let Some(found) = self.calls.get_mut(call) else { return };
        if !known || !std::mem::take(&mut found.everywhere) {
            return;
        }
        found.again_at = None;
        found.told.clear();
        let mut its = found.forks.iter_mut().filter(|fork| fork.seat == seat);
        let but = its.find(|fork| fork.state == ForkState::Ringing).map(|fork| {
            fork.answer_by = Some(answer_by);
            fork.id
        });
        self.cancel_forks(now, call, but);
    }

    pub(super) fn ring_everywhere(&mut self, now: Timestamp, call: &CallRef) {
        let Some(found) = self.calls.get_mut(call) else { return };
        found.everywhere = true;
        for fork in &mut found.forks {
            fork.answer_by = None;
        }
        let seats: Vec<String> = self.setup.seats.iter().map(|seat| seat.name.clone()).collect();
        for seat in seats {
            self.ring(now, call, &seat, true);
        }
    }

    /// The time that `Output::Idle` named has come.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.server_timers(now);
        self.client_timers(now);
        self.call_timers(now);
        let wait = self.setup.timers.unfinished;
        let late = |framer: &Framer| {
            framer.unfinished_since.is_some_and(|since| now >= after(since, wait))
        };
        let closed = self.flows.iter().filter(|(_flow, framer)| late(framer));
        let closed: BTreeSet<Flow> = closed.map(|(flow, _framer)| *flow).collect();
        for flow in closed {
            self.flows.remove(&flow);
            self.outputs.push_back(Output::Close(flow));
        }
    }

    /// The next thing to do; to be drained to `Idle` after every call of another function.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(self.deadline()))
    }

    /// Calls that live, oldest name first: for a core that has just started.
    pub fn calls(&self) -> impl Iterator<Item = Live<'_>> {
        self.calls.iter().filter_map(|(call, found)| {
            let standing = match found.stage {
                Stage::Over => return None,
                Stage::Offered => Standing::Ringing,
                Stage::Connected => {
                    let won = found.forks.iter().find(|fork| fork.state == ForkState::Won);
                    Standing::Connected(won.map_or("", |fork| fork.seat.as_str()))
                }
            };
            Some(Live { call, offered_at: found.offered_at, standing })
        })
    }

    fn deadline(&self) -> Option<Timestamp> {
        let unfinished = self.flows.values().filter_map(|framer| framer.unfinished_since);
        let unfinished = unfinished.min().map(|since| after(since, self.setup.timers.unfinished));
        let servers = self.servers.values().filter_map(Server::deadline).min();
        let clients = self.clients.values().filter_map(Client::deadline).min();
        let calls = self.calls.values().filter_map(Call::deadline).min();
        [unfinished, servers, clients, calls].into_iter().flatten().min()
    }

    pub(super) fn send(&mut self, hop: Hop, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Transmit(hop, bytes));
    }

    /// Tells a fact of a call, and what waits for it.
    pub(super) fn tell(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        fact: CallFact<hansho_model::Private<String>, hansho_model::Private<Vec<u8>>>,
        owed: Owed,
    ) -> Receipt {
        self.receipts = self.receipts.wrapping_add(1);
        let receipt = Receipt(self.receipts);
        self.owed.insert(receipt, owed);
        if let Some(found) = self.calls.get_mut(call) {
            found.pending = found.pending.saturating_add(1);
        }
        let report = CallReport { call: call.clone(), received_at: now, unrecorded: false, fact };
        self.outputs.push_back(Output::Fact(receipt, Box::new(report)));
        receipt
    }

    /// Our address, as it is written in `Via` and `Contact`.
    pub(super) const fn own(&self, transport: SipTransport) -> SocketAddr {
        match transport {
            SipTransport::Udp => self.setup.udp,
            SipTransport::Tcp => self.setup.tcp,
        }
    }

    pub(super) fn contact(&self, transport: SipTransport) -> String {
        match transport {
            SipTransport::Udp => format!("<sip:hansho@{}>", self.setup.udp),
            SipTransport::Tcp => format!("<sip:hansho@{};transport=tcp>", self.setup.tcp),
        }
    }

    /// Where an answer goes now: over a connection that is gone nothing goes.
    pub(super) fn standing_hop(&self, server: &Server) -> Hop {
        match server.hop {
            Hop::Flow(flow)
                if flow.transport == SipTransport::Tcp && !self.flows.contains_key(&flow) =>
            {
                let via = server.request.via();
                let address = via.map_or(flow.peer, |via| dialog::fallback(&via, flow));
                Hop::Address(SipTransport::Tcp, address)
            }
            Hop::Flow(_) | Hop::Address(..) => server.hop,
        }
    }

    /// The same for what we ask.
    pub(super) fn alive(&self, hop: Hop, else_to: SocketAddr) -> Hop {
        match hop {
            Hop::Flow(flow)
                if flow.transport == SipTransport::Tcp && !self.flows.contains_key(&flow) =>
            {
                Hop::Address(SipTransport::Tcp, else_to)
            }
            Hop::Flow(_) | Hop::Address(..) => hop,
        }
    }
}
