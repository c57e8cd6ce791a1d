//! The conversation: a client logs in, publishes, and hears PUBACK when its message is durable.

use std::collections::VecDeque;

use hansho_model::{
    AlarmClass, AlarmKind, Deviation, Door, Finding, FrameFault, Lane, LoadLevel, Phase, Private,
    Report,
};
use jiff::{SignedDuration, Timestamp};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::payload::{self, Said};
use super::topic::{self, Class, Owner};
use super::wire::{Came, Connect, Reason, Step, UNANSWERED_MAX, Wire};
use crate::{
    Accounts, Durable, FrameError, LogIn, Output, Receipt, Session, Setup, Transport,
    UnknownDevices,
};

/// From the opening of a connection to its CONNECT.
pub const CONNECT_TIME_MAX: SignedDuration = SignedDuration::from_secs(5);
/// Longest keep-alive, in seconds: a client of MQTT 5 that asks for more, or for none, is given
/// this one.
pub const KEEP_ALIVE_S_MAX: u16 = 1_200;
/// Longest name of a client, in bytes.
pub const CLIENT_ID_SIZE_MAX: usize = 128;
/// Longest frame kept, in bytes.
const RAW_SIZE_MAX: usize = 4_200;
/// Interval that devices are asked to keep while telemetry is refused, in seconds.
pub const SLOW_INTERVAL_S: u16 = 300;
/// Zone of the fault "the connection broke", so that it is told from a device's own line faults.
const CONNECTION: &str = "connection";

/// An MQTT conversation over a stream.
#[derive(Debug)]
pub struct Mqtt {
    setup: Setup,
    wire: Wire,
    /// Bytes that are not read yet because too many publishes wait for their PUBACK.
    held: Vec<u8>,
    outputs: VecDeque<Output>,
    /// Publishes in their order, for PUBACKs leave in that order.
    unanswered: VecDeque<Unanswered>,
    receipts: u64,
    client: Option<Client>,
    load: LoadLevel,
    /// Whether the device was asked to send less.
    slowed: bool,
    /// Since when the first byte of an unfinished packet waits for its last.
    unfinished_since: Option<Timestamp>,
    last_packet: Option<Timestamp>,
    over: bool,
}

/// Who logged in.
#[derive(Debug)]
struct Client {
    /// The device; `None` for one that nobody registered.
    device: Option<Owner>,
    telemetry_only: bool,
    /// Whether it has called for help, registered for that or not.
    has_called: bool,
    identity: Option<String>,
    keep_alive: Option<SignedDuration>,
    /// Topic for what we tell it, once it has asked for that.
    down: Option<String>,
}

/// A publish with QoS 1 whose PUBACK has not left.
#[derive(Debug)]
struct Unanswered {
    receipt: Receipt,
    id: u16,
    planned: Option<Reason>,
    durable: Option<Durable>,
}

impl Mqtt {
    /// A new conversation.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            wire: Wire::new(),
            held: Vec::new(),
            outputs: VecDeque::new(),
            unanswered: VecDeque::new(),
            receipts: 0,
            client: None,
            load: LoadLevel::CALM,
            slowed: false,
            unfinished_since: None,
            last_packet: None,
            over: false,
        }
    }

    /// Reads what is held until nothing whole is left, or too many publishes wait.
    fn advance(&mut self, now: Timestamp) -> Result<(), FrameError> {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        let mut fault = Ok(());
        while !rest.is_empty() && !self.over && self.may_read() {
            let (step, used) = self.wire.receive(rest);
            rest = rest.get(used..).unwrap_or_default();
            if step.whole {
                self.unfinished_since = None;
                self.last_packet = Some(now);
            } else {
                self.unfinished_since.get_or_insert(now);
            }
            let taken = self.take(now, step);
            fault = fault.and(taken);
            if used == 0 {
                break;
            }
        }
        if !self.over {
            self.held = rest.to_vec();
        }
        fault
    }

    /// A client of 3.1.1 does not know our limit: its bytes wait here, and its socket is not read.
    /// A client of 5 knows it, and is told when it passes it.
    fn may_read(&self) -> bool {
        let limit = usize::from(UNANSWERED_MAX);
        let limit = if self.wire.is_v5() { limit.saturating_mul(2) } else { limit };
        self.unanswered.len() < limit
    }

    fn take(&mut self, now: Timestamp, step: Step) -> Result<(), FrameError> {
        let (error, came) = (step.error, self.carry_out(step));
        if let Some(error) = error {
            self.over = true;
            return Err(refused(error));
        }
        let Some(came) = came else { return Ok(()) };
        match (came, self.client.is_some()) {
            (Came::Connect(connect), false) => self.connect(now, &connect),
            (Came::Publish { topic, payload, qos, id }, true) => {
                self.publish(&topic, &payload, qos, id)
            }
            (Came::Subscribe { id, filters }, true) => {
                self.subscribe(id, &filters);
                Ok(())
            }
            (Came::Unsubscribe { id, count }, true) => {
                if let Some(client) = &mut self.client {
                    client.down = None;
                }
                let step = self.wire.unsubscribed(id, count);
                self.carry_out(step);
                Ok(())
            }
            (Came::Ping, true) => {
                let step = self.wire.pong();
                self.carry_out(step);
                Ok(())
            }
            (Came::Disconnect, true) => {
                self.over = true;
                Ok(())
            }
            _ => {
                self.part(Reason::Protocol);
                Err(bad_frame("this packet has no place here"))
            }
        }
    }

    /// Queues what a call of the codec wants sent; gives what came.
    fn carry_out(&mut self, step: Step) -> Option<Came> {
        self.outputs.extend(step.transmit.into_iter().map(Output::Transmit));
        self.over |= step.close;
        step.came
    }

    fn part(&mut self, reason: Reason) {
        if !self.over {
            let step = self.wire.part(reason);
            self.carry_out(step);
            self.over = true;
        }
    }

    fn connect(&mut self, now: Timestamp, connect: &Connect) -> Result<(), FrameError> {
        let (client, assigned) = match admit(&self.setup.accounts, self.load, now, connect) {
            Ok(admitted) => admitted,
            Err((reason, error)) => {
                let step = self.wire.turn_away(reason);
                self.carry_out(step);
                self.over = true;
                return Err(error);
            }
        };
        let longest = SignedDuration::from_secs(i64::from(KEEP_ALIVE_S_MAX));
        let ours = client.keep_alive.is_none_or(|asked| asked > longest);
        let ours = (ours && self.wire.is_v5()).then_some(KEEP_ALIVE_S_MAX);
        let keep_alive = if ours.is_some() { Some(longest) } else { client.keep_alive };
        self.client = Some(Client { keep_alive, ..client });
        let step = self.wire.welcome(ours, assigned.as_deref());
        self.carry_out(step);
        Ok(())
    }

    fn publish(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: u8,
        id: Option<u16>,
    ) -> Result<(), FrameError> {
        let Some(client) = &mut self.client else { return Ok(()) };
        if qos > 1 || id == Some(0) {
            self.part(if qos > 1 { Reason::Qos } else { Reason::Protocol });
            return Err(bad_frame("it asks for a QoS that is not offered, or has packet id 0"));
        }
        let whose = topic::publish(topic);
        let owned = whose.filter(|(owner, _)| match &client.device {
            Some(device) => device == owner,
            None => self.setup.accounts.log_in(&owner.device).is_none(),
        });
        let Some((owner, class)) = owned else { return self.not_yours(topic, payload, qos, id) };
        let mut said = payload::read(class, payload);
        // An alarm without an acknowledgement is lost without a word: the device has a fault.
        let unasked = class == Class::Alarm && qos == 0;
        if unasked {
            said.refused = Some(FrameFault::WrongQos);
        }
        if said.calls() {
            client.has_called = true;
            if client.telemetry_only {
                said.deviations.push(Deviation::AlarmFromTelemetry);
            }
        }
        let planned = said.refused.map(|_fault| Reason::Payload);
        let report = report(&owner.device, class, said, topic, payload);
        self.hand_out(report, id, planned);
        if unasked {
            self.part(Reason::Qos);
        }
        Ok(())
    }

    /// A message on somebody else's topic, or on none of ours. Of a device we know it is a fault
    /// to be shown; nobody's is counted only.
    fn not_yours(
        &mut self,
        topic: &str,
        payload: &[u8],
        qos: u8,
        id: Option<u16>,
    ) -> Result<(), FrameError> {
        let device = self.client.as_ref().and_then(|client| client.device.as_ref());
        if let Some(owner) = device {
            let report = Report {
                refused: Some(FrameFault::NotAllowed),
                ..empty(&owner.device, Lane::C, raw(topic, payload))
            };
            self.hand_out(report, id, Some(Reason::NotAuthorized));
        } else if let Some(id) = id.filter(|_| self.wire.is_v5() && qos == 1) {
            // In its turn, like every other.
            self.receipts = self.receipts.wrapping_add(1);
            let (receipt, planned) = (Receipt(self.receipts), Some(Reason::NotAuthorized));
            let durable = Some(Durable::Stored);
            self.unanswered.push_back(Unanswered { receipt, id, planned, durable });
            self.answer();
        }
        if !self.wire.is_v5() {
            // 3.1.1 has no word for "no": it either takes a message or closes.
            self.part(Reason::NotAuthorized);
        }
        let hint = "it may publish to hansho/v1/<kind>/<its own id>/<alarm|state|telemetry> alone";
        Err(FrameError::new(FrameFault::NotAllowed, hint, false))
    }

    fn hand_out(&mut self, report: Report, id: Option<u16>, planned: Option<Reason>) {
        self.receipts = self.receipts.wrapping_add(1);
        let receipt = Receipt(self.receipts);
        self.outputs.push_back(Output::Report(receipt, Box::new(report)));
        if let Some(id) = id {
            self.unanswered.push_back(Unanswered { receipt, id, planned, durable: None });
        }
    }

    /// Acknowledges what is decided, up to the first that is not.
    fn answer(&mut self) {
        while !self.over
            && let Some(durable) = self.unanswered.front().and_then(|first| first.durable)
        {
            let Some(first) = self.unanswered.pop_front() else { return };
            let refusal = match durable {
                Durable::Stored => first.planned,
                Durable::Shed if self.wire.is_v5() => Some(Reason::Quota),
                // Silence, then the end: the device repeats it on a new connection.
                Durable::Shed => {
                    self.over = true;
                    return;
                }
            };
            let step = self.wire.acknowledge(first.id, refusal);
            self.carry_out(step);
        }
    }

    fn subscribe(&mut self, id: u16, filters: &[String]) {
        let Some(client) = &mut self.client else { return };
        let mut granted = Vec::with_capacity(filters.len());
        for filter in filters {
            let own = topic::down(filter).is_some_and(|owner| client.device == Some(owner));
            if own {
                client.down = Some(filter.clone());
            }
            granted.push(own);
        }
        let step = self.wire.subscribed(id, &granted);
        self.carry_out(step);
        self.slowed = false;
        self.ask_for_less();
    }

    /// Tells a device that listens how often it should send, when that has changed.
    fn ask_for_less(&mut self) {
        let slow = self.load >= LoadLevel::REFUSE_TELEMETRY;
        let down = self.client.as_ref().and_then(|client| client.down.as_deref());
        let Some(down) = down.filter(|_| slow != self.slowed && !self.over) else { return };
        let interval = if slow { SLOW_INTERVAL_S } else { 0 };
        let step = self.wire.tell(down, format!(r#"{{"interval_s":{interval}}}"#).as_bytes());
        self.slowed = slow;
        self.carry_out(step);
    }

    /// The connection broke: a fault of the device until it is heard again.
    fn lose(&mut self, now: Timestamp) {
        let device = self.client.as_ref().and_then(|client| client.device.as_ref());
        let Some(owner) = device else { return };
        let report = lost(&owner.device, now);
        self.hand_out(report, None, None);
        self.client = None;
    }

    /// Where it was not read for a while, its silence since then was ours.
    fn hear_again(&mut self, now: Timestamp, wanted: bool) {
        if self.wants_bytes() && !wanted {
            self.last_packet = self.last_packet.map(|_silent| now);
            self.unfinished_since = self.unfinished_since.map(|_waits| now);
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.over {
            return None;
        }
        let limits = &self.setup.limits;
        let link = match (&self.client, self.last_packet) {
            (Some(client), Some(last)) if self.wants_bytes() => {
                let time = client.keep_alive.map_or(limits.idle, with_grace);
                last.saturating_add(time).ok()
            }
            (Some(_), _) => None,
            (None, _) => {
                let time = limits.first_frame.min(CONNECT_TIME_MAX);
                self.setup.opened_at.saturating_add(time).ok()
            }
        };
        // While it is not read an unfinished packet cannot be finished.
        let unfinished = self.unfinished_since.filter(|_| self.wants_bytes());
        let unfinished = unfinished.and_then(|since| since.saturating_add(limits.unfinished).ok());
        // A limit too long for the calendar is no limit.
        [link, unfinished].into_iter().flatten().min()
    }
}

impl Session for Mqtt {
    fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), FrameError> {
        if self.setup.transport == Transport::Datagram {
            return Err(bad_frame("MQTT needs a stream"));
        }
        if self.over {
            return Ok(());
        }
        self.held.extend_from_slice(bytes);
        self.advance(now)
    }

    fn handle_durable(&mut self, now: Timestamp, receipt: Receipt, durable: Durable) {
        let wanted = self.wants_bytes();
        let waiting = self.unanswered.iter_mut().find(|each| each.receipt == receipt);
        let Some(waiting) = waiting.filter(|waiting| waiting.durable.is_none()) else { return };
        waiting.durable = Some(durable);
        self.answer();
        self.hear_again(now, wanted);
        if let Err(error) = self.advance(now) {
            self.over |= error.fatal;
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.client.is_some() {
            self.part(Reason::KeepAlive);
            self.lose(now);
        }
        self.held = Vec::new();
        self.over = true;
    }

    fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(self.deadline()))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn identity(&self) -> Option<&str> {
        self.client.as_ref()?.identity.as_deref()
    }

    fn handle_takeover(&mut self, _now: Timestamp) {
        self.part(Reason::TakenOver);
    }

    fn handle_closed(&mut self, now: Timestamp) {
        if !self.over {
            self.over = true;
            self.lose(now);
        }
    }

    fn handle_load(&mut self, now: Timestamp, load: LoadLevel) {
        let wanted = self.wants_bytes();
        self.load = load;
        self.hear_again(now, wanted);
        self.ask_for_less();
    }

    fn wants_bytes(&self) -> bool {
        let telemetry_only =
            self.client.as_ref().is_some_and(|client| client.telemetry_only && !client.has_called);
        self.may_read() && (!telemetry_only || self.load < LoadLevel::REFUSE_TELEMETRY)
    }
}

/// Decides who is let in: the client, and the name we gave it where it brought none.
fn admit(
    accounts: &Accounts,
    load: LoadLevel,
    now: Timestamp,
    connect: &Connect,
) -> Result<(Client, Option<String>), (Reason, FrameError)> {
    let no = |reason, hint| (reason, FrameError::new(FrameFault::NotAllowed, hint, true));
    if connect.auth_method {
        return Err(no(
            Reason::AuthMethod,
            "it asks for an authentication method; none is offered",
        ));
    }
    let user = connect.user.as_deref().unwrap_or_default();
    let known = accounts.log_in(user);
    if known.is_none() && accounts.unknown() == UnknownDevices::Refuse {
        let reason = if user.is_empty() { Reason::NotAuthorized } else { Reason::Password };
        let error =
            FrameError::new(FrameFault::UnknownAccount, "nobody registered this user", true);
        return Err((reason, error));
    }
    let password = connect.password.as_deref().unwrap_or_default();
    // Hashes are compared in constant time.
    if known.is_some_and(|known| known.password != blake3::hash(password)) {
        return Err(no(Reason::Password, "the password is not that of this device"));
    }
    let nameless = connect.client_id.is_empty();
    if connect.client_id.len() > CLIENT_ID_SIZE_MAX || (nameless && connect.keeps) {
        return Err(no(Reason::ClientId, "a client id has 1 to 128 bytes"));
    }
    let device = known.and_then(|known| Owner::new(known.kind, user));
    if let Some((topic, qos)) = &connect.will {
        let own = topic::publish(topic).is_some_and(|(owner, _)| match &device {
            Some(device) => *device == owner,
            None => accounts.log_in(&owner.device).is_none(),
        });
        if !own {
            return Err(no(Reason::NotAuthorized, "its will is on a topic that is not its own"));
        }
        if *qos > 1 {
            return Err(no(Reason::Qos, "its will asks for QoS 2, which is not offered"));
        }
    }
    let telemetry_only = known.is_some_and(|LogIn { telemetry_only, .. }| *telemetry_only);
    if telemetry_only && load >= LoadLevel::ALARMS_ONLY {
        return Err(no(Reason::Quota, "only devices that may call for help are let in now"));
    }
    // Names are a device's own: nobody takes over another device's connection.
    let owner = device.as_ref().map_or("?", |owner| owner.device.as_str());
    let identity = (!nameless).then(|| format!("{owner}/{}", connect.client_id));
    let assigned = nameless.then(|| format!("hansho-{:x}", now.as_microsecond()));
    let keep_alive = SignedDuration::from_secs(i64::from(connect.keep_alive_s));
    let client = Client {
        device,
        telemetry_only,
        has_called: false,
        identity,
        keep_alive: (!keep_alive.is_zero()).then_some(keep_alive),
        down: None,
    };
    Ok((client, assigned))
}

/// One and a half times the keep-alive, as the standard wants it.
fn with_grace(keep_alive: SignedDuration) -> SignedDuration {
    keep_alive.checked_mul(3).and_then(|tripled| tripled.checked_div(2)).unwrap_or(keep_alive)
}

/// The report of a message.
pub(super) fn report(
    device: &str,
    class: Class,
    said: Said,
    topic: &str,
    payload: &[u8],
) -> Report {
    // What calls for help goes before all else, wherever it stands.
    let lane = if said.calls() { Lane::A } else { class.lane() };
    Report {
        observed_at: said.observed_at,
        device_key: key(class, &said, payload),
        position: said.position(),
        findings: said.findings,
        telemetry: said.telemetry,
        text: said.text,
        refused: said.refused,
        deviations: said.deviations,
        ..empty(device, lane, raw(topic, payload))
    }
}

/// The device's own counter, and a hash of what it says: a counter that begins anew hides nothing.
fn key(class: Class, said: &Said, payload: &[u8]) -> Vec<u8> {
    let Some(counter) = said.counter else { return Vec::new() };
    let hash = blake3::hash(payload);
    let mut key = class.as_str().as_bytes().to_vec();
    key.extend_from_slice(&counter.to_be_bytes());
    key.extend(hash.as_bytes().iter().take(8));
    key.push(u8::from(said.refused.is_some()));
    key
}

/// The fault that a device's connection broke.
pub(super) fn lost(device: &str, now: Timestamp) -> Report {
    let finding = Finding {
        class: AlarmClass::Fault,
        kind: AlarmKind::Line,
        phase: Phase::New,
        code: "lost".to_owned(),
        zone: CONNECTION.to_owned(),
    };
    let minute = now.as_second().div_euclid(60);
    Report {
        // A device whose radio flaps is one line a minute, not one a loss.
        device_key: format!("lost {minute}").into_bytes(),
        findings: vec![finding],
        ..empty(device, Lane::C, Vec::new())
    }
}

/// Topic, line feed, payload; cut to what a report may hold.
fn raw(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut raw = [topic.as_bytes(), b"\n", payload].concat();
    raw.truncate(RAW_SIZE_MAX);
    raw
}

pub(super) fn empty(device: &str, lane: Lane, raw: Vec<u8>) -> Report {
    Report {
        door: Door::Mqtt,
        device: device.to_owned(),
        lane,
        observed_at: None,
        device_key: Vec::new(),
        findings: Vec::new(),
        position: None,
        telemetry: None,
        text: None,
        raw: Private(raw),
        refused: None,
        deviations: Vec::new(),
    }
}

fn bad_frame(hint: &'static str) -> FrameError {
    FrameError::new(FrameFault::BadFrame, hint, true)
}

/// What the codec found wrong, in the house's words.
fn refused(error: MqttError) -> FrameError {
    let fault = |fault, hint| FrameError::new(fault, hint, true);
    if error == MqttError::PacketTooLarge {
        fault(FrameFault::TooLong, "a packet has at most 65,536 bytes")
    } else if error == MqttError::ReceiveMaximumExceeded {
        fault(FrameFault::TooLong, "more than 64 publishes wait for their PUBACK")
    } else if error == MqttError::UnsupportedProtocolVersion {
        fault(FrameFault::MalformedHeader, "it speaks neither MQTT 3.1.1 nor 5")
    } else {
        bad_frame("the packet breaks a rule of MQTT")
    }
}
