//! What comes in: requests of callers, and of seats' phones within their calls.

use hansho_model::{CallEnd, CallFact, CallRef, FrameFault};
use jiff::Timestamp;

use super::address::{Uri, Via};
use super::call::{Call, Leg, Owed, Stage};
use super::dialog::{self, ALLOW, Dialog, response};
use super::endpoint::{
    CALL_COUNT_MAX, Endpoint, KEPT_COUNT_MAX, REPLY_COUNT_MAX, TRANSACTION_COUNT_MAX,
};
use super::message::{Flaw, Message};
use super::multipart::Parts;
use super::offer;
use super::transaction::{Flow, Hop, Purpose, Server, SipTransport, after};
use crate::FrameError;

/// Largest session description that is passed on.
const SDP_SIZE_MAX: usize = 8_192;

/// Most requests of one side of a call that are open at once.
pub(super) const DIALOG_COUNT_MAX: usize = 32;

/// Methods that we know and do not speak.
const KNOWN: [&str; 7] =
    ["MESSAGE", "REGISTER", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER", "PRACK"];

/// Name of a request's transaction, as that of `method`: CANCEL and ACK look for their INVITE.
fn server_key(message: &Message, via: &Via, method: &str) -> String {
    let host = via.host.to_ascii_lowercase();
    let port = via.port.unwrap_or(super::address::PORT);
    let branch = via.branch();
    if branch.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("z9hG4bK")) {
        return format!("{branch}|{host}:{port}|{method}");
    }
    // A sender of RFC 2543 has no branch that can be relied on.
    let call_id = message.first("Call-ID").unwrap_or_default();
    let tag = message.tag("From").unwrap_or_default();
    let number = message.cseq().map_or(0, |(number, _method)| number);
    format!("{branch}|{host}:{port}|{method}|{call_id}|{tag}|{number}")
}

impl Endpoint {
    /// One whole message.
    pub(super) fn message(
        &mut self,
        now: Timestamp,
        flow: Flow,
        message: Message,
        raw: &[u8],
    ) -> Result<(), FrameError> {
        if message.status().is_some() {
            self.response(now, &message);
            return Ok(());
        }
        let Some(via) = message.via() else {
            let hint = "without a Via nobody knows where an answer goes";
            return Err(FrameError::new(FrameFault::MalformedHeader, hint, false));
        };
        let method = message.method().unwrap_or_default().to_owned();
        let key = server_key(&message, &via, &method);
        if method == "ACK" {
            self.acknowledge(now, &via, &message);
            return Ok(());
        }
        if let Some(flaw) = message.flaw {
            let status = if flaw == Flaw::Version { 505 } else { 400 };
            self.answer_without(&message, &via, flow, status);
            return Ok(());
        }
        if let Some(server) = self.servers.get(&key) {
            if let Some(bytes) = server.again() {
                let hop = self.standing_hop(server);
                self.send(hop, bytes);
            }
            return Ok(());
        }
        if method == "CANCEL" {
            self.cancel(now, flow, &via, message, key);
        } else if message.tag("To").is_some() {
            self.in_dialog(now, flow, &via, message, key);
        } else if method == "INVITE" {
            self.invite(now, flow, &via, &message, &key, raw);
        } else {
            let status = match method.as_str() {
                "OPTIONS" => 200,
                "BYE" | "INFO" | "UPDATE" => 481,
                known if KNOWN.contains(&known) => 405,
                _ => 501,
            };
            self.answer_without(&message, &via, flow, status);
        }
        Ok(())
    }

    /// Answers without a transaction: each repeat gets the same again.
    fn answer_without(&mut self, request: &Message, via: &Via, flow: Flow, status: u16) {
        let mut answer = response(request, flow, status, &self.tag);
        match status {
            200 | 405 | 501 => answer.push("Allow", ALLOW),
            503 => answer.push("Retry-After", "5"),
            _ => {}
        }
        if status == 200 {
            answer.push("Accept", "application/sdp, multipart/mixed, application/pidf+xml");
        }
        self.send(dialog::answer_hop(via, flow), answer.encode());
    }

    /// Opens a transaction; `false` when there are too many: the sender will repeat. Where trunks are
    /// named, strangers may take half of them.
    pub(super) fn open(
        &mut self,
        now: Timestamp,
        flow: Flow,
        via: &Via,
        request: Message,
        key: &str,
    ) -> bool {
        let half = TRANSACTION_COUNT_MAX / 2;
        let crowded = self.servers.len() >= half && !self.is_known(flow) && {
            self.servers.values().filter(|server| !self.is_known(server.flow)).count() >= half
        };
        if crowded || self.servers.len() >= TRANSACTION_COUNT_MAX {
            return false;
        }
        let hop = dialog::answer_hop(via, flow);
        let server = Server::new(now, request, flow, hop, &self.setup.timers);
        self.servers.insert(key.to_owned(), server);
        true
    }

    /// Answers a transaction; gives the bytes that were sent.
    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        key: &str,
        tag: &str,
        status: u16,
        edit: impl FnOnce(&mut Message),
    ) -> Option<(Hop, Vec<u8>)> {
        let timers = self.setup.timers;
        let server = self.servers.get_mut(key)?;
        let mut answer = response(&server.request, server.flow, status, tag);
        edit(&mut answer);
        let bytes = server.respond(now, status, answer.encode(), &timers)?;
        let server = self.servers.get(key)?;
        let hop = self.standing_hop(server);
        self.send(hop, bytes.clone());
        Some((hop, bytes))
    }

    /// 200 to all that waited.
    pub(super) fn reply_all(&mut self, now: Timestamp, keys: &[String]) {
        for key in keys {
            let tag = self.tag.clone();
            self.answer(now, key, &tag, 200, |_answer| {});
        }
    }

    fn is_ours(&self, message: &Message) -> bool {
        if !offer::service(message).is_empty() {
            return true;
        }
        let user = message.uri().and_then(Uri::parse).and_then(|uri| uri.user);
        user.is_some_and(|user| self.setup.numbers.contains(&user))
    }

    /// Whether a peer is one of the trunks or of the seats' phones; everybody is where no trunk is
    /// named.
    fn is_known(&self, flow: Flow) -> bool {
        let (peer, setup) = (flow.peer.ip().to_canonical(), &self.setup);
        setup.trunks.is_empty()
            || setup.trunks.contains(&peer)
            || setup.seats.iter().any(|seat| seat.address.ip().to_canonical() == peer)
    }

    /// Whether one more call finds room. Where trunks are named, strangers may take half of it: the
    /// rest is for those whom a trunk brings.
    fn has_room(&self, trusted: bool) -> bool {
        let strange = || self.calls.values().filter(|call| !call.trusted);
        let lives = |call: &&Call| call.stage != Stage::Over;
        self.calls.len() < KEPT_COUNT_MAX
            && self.calls.values().filter(lives).count() < CALL_COUNT_MAX
            && (trusted
                || self.setup.trunks.is_empty()
                || (strange().count() < KEPT_COUNT_MAX / 2
                    && strange().filter(lives).count() < CALL_COUNT_MAX / 2))
    }

    /// Somebody calls.
    fn invite(
        &mut self,
        now: Timestamp,
        flow: Flow,
        via: &Via,
        message: &Message,
        key: &str,
        raw: &[u8],
    ) {
        if !self.is_ours(message) {
            self.answer_without(message, via, flow, 404);
            return;
        }
        let call = offer::call_ref(message);
        if self.calls.contains_key(&call) {
            // The same request by another way, or once more after its end.
            self.answer_without(message, via, flow, 482);
            return;
        }
        let asserted = self.setup.trunks.contains(&flow.peer.ip().to_canonical());
        let offer = offer::offer(message, asserted, flow.peer.to_string(), raw.to_vec());
        let sdp = Parts::of(message).by_type("application/sdp").map(|part| part.content.clone());
        let tag = self.names.next();
        let hop = dialog::answer_hop(via, flow);
        let dialog = Dialog::of_caller(message, hop, &tag);
        if !self.has_room(asserted) || !self.open(now, flow, via, message.clone(), key) {
            self.answer_without(message, via, flow, 503);
            return;
        }
        let leg = (dialog.call_id.clone(), tag.clone());
        self.dialogs.insert(leg, (call.clone(), Leg::Caller));
        let number = offer.number.as_ref().filter(|_number| !offer.withheld);
        let found = Call {
            offered_at: now,
            trusted: asserted,
            server: key.to_owned(),
            tag: tag.clone(),
            dialog,
            number: number.map(|number| number.0.clone()),
            sdp: sdp.filter(|sdp| sdp.len() <= SDP_SIZE_MAX),
            stage: Stage::Offered,
            forks: Vec::new(),
            refresh_at: None,
            everywhere: false,
            again_at: None,
            until: after(now, self.setup.timers.ringing),
            ok: None,
            acknowledged: false,
            owes_bye: false,
            winner: None,
            pending: 0,
            end: None,
            told: Vec::new(),
            put_off: 0,
        };
        self.calls.insert(call.clone(), found);
        self.answer(now, key, &tag, 100, |_answer| {});
        let fact = CallFact::Offered(Box::new(offer));
        self.tell(now, &call, fact, Owed::Ringing(call.clone()));
    }

    /// Tells the caller that it rings.
    pub(super) fn ringing(&mut self, now: Timestamp, call: &CallRef) {
        let refresh_at = after(now, self.setup.timers.refresh);
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.stage != Stage::Offered {
            return;
        }
        found.refresh_at = Some(refresh_at);
        let (key, tag) = (found.server.clone(), found.tag.clone());
        let server = self.servers.get(&key);
        let transport = server.map_or(SipTransport::Udp, |server| server.flow.transport);
        let contact = self.contact(transport);
        self.answer(now, &key, &tag, 180, |answer| answer.push("Contact", &contact));
    }

    /// The final answer to a call that nobody took.
    pub(super) fn refuse_call(&mut self, now: Timestamp, call: &CallRef, status: u16) {
        let Some(found) = self.calls.get(call) else { return };
        let (key, tag) = (found.server.clone(), found.tag.clone());
        self.answer(now, &key, &tag, status, |_answer| {});
    }

    fn cancel(&mut self, now: Timestamp, flow: Flow, via: &Via, message: Message, key: String) {
        let invite = server_key(&message, via, "INVITE");
        let call = offer::call_ref(&message);
        if !self.servers.contains_key(&invite) {
            self.answer_without(&message, via, flow, 481);
            return;
        }
        if !self.open(now, flow, via, message, &key) {
            return;
        }
        let ours = self.calls.get(&call).filter(|found| found.server == invite);
        match ours.map(|found| found.stage) {
            Some(Stage::Offered) => self.abandon(now, &call, 487, vec![key]),
            // Too late, or for a request within a call: it changes nothing.
            Some(Stage::Over) => self.reply_at_end(now, &call, key),
            Some(Stage::Connected) | None => self.reply_all(now, &[key]),
        }
    }

    /// The call is over before anybody took it.
    pub(super) fn abandon(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        status: u16,
        replies: Vec<String>,
    ) {
        self.is_over(now, call);
        self.cancel_forks(now, call, None);
        let owed = Owed::Abandoned { call: call.clone(), status, replies };
        let receipt = self.tell(now, call, CallFact::Abandoned, owed);
        if let Some(found) = self.calls.get_mut(call) {
            found.end = Some(receipt);
        }
    }

    fn is_over(&mut self, now: Timestamp, call: &CallRef) {
        let until = after(now, self.setup.timers.long());
        let Some(found) = self.calls.get_mut(call) else { return };
        found.stage = Stage::Over;
        found.until = until;
        found.refresh_at = None;
        found.again_at = None;
        found.everywhere = false;
    }

    /// A late request to end what is over: it waits for the same receipt, if that is not there yet.
    fn reply_at_end(&mut self, now: Timestamp, call: &CallRef, key: String) {
        let end = self.calls.get(call).and_then(|found| found.end);
        let waiting = end.and_then(|receipt| self.owed.get_mut(&receipt));
        match waiting.and_then(Owed::replies) {
            Some(replies) if replies.len() < REPLY_COUNT_MAX => replies.push(key),
            Some(_full) => {}
            None => self.reply_all(now, &[key]),
        }
    }

    fn acknowledge(&mut self, now: Timestamp, via: &Via, message: &Message) {
        let timers = self.setup.timers;
        let key = server_key(message, via, "INVITE");
        if let Some(server) = self.servers.get_mut(&key) {
            server.acknowledge(now, &timers);
        }
        let Some((call, leg)) = self.dialog_of(message) else { return };
        let Some(found) = self.calls.get_mut(&call) else { return };
        if found.ok.as_ref().is_none_or(|ok| ok.leg != leg) {
            return;
        }
        found.ok = None;
        if leg != Leg::Caller {
            return;
        }
        found.acknowledged = true;
        let owes_bye = std::mem::take(&mut found.owes_bye);
        self.late_ack(&call, message);
        if owes_bye {
            self.bye(now, &call, Leg::Caller);
        }
    }

    /// The call and side that a request within a dialog belongs to.
    fn dialog_of(&self, message: &Message) -> Option<(CallRef, Leg)> {
        let id = message.first("Call-ID")?.to_owned();
        let (call, leg) = self.dialogs.get(&(id, message.tag("To")?))?;
        let found = self.calls.get(call)?;
        let dialog = match leg {
            Leg::Caller => &found.dialog,
            Leg::Phone(id) => &found.forks.iter().find(|fork| fork.id == *id)?.dialog,
        };
        (dialog.remote_tag == message.tag("From")).then(|| (call.clone(), *leg))
    }

    fn in_dialog(&mut self, now: Timestamp, flow: Flow, via: &Via, message: Message, key: String) {
        let Some((call, leg)) = self.dialog_of(&message) else {
            self.answer_without(&message, via, flow, 481);
            return;
        };
        let number = message.cseq().map_or(0, |(number, _method)| number);
        let Some(dialog) = self.dialog_mut(&call, leg) else { return };
        if number < dialog.remote_cseq {
            self.answer_without(&message, via, flow, 500);
            return;
        }
        dialog.remote_cseq = number;
        let id = dialog.call_id.clone();
        let open = self.servers.values().filter(|s| s.request.first("Call-ID") == Some(&id));
        if open.count() >= DIALOG_COUNT_MAX {
            // One call may not take the room of all; who means it will ask again.
            return;
        }
        match message.method().unwrap_or_default() {
            "BYE" => {
                if self.open(now, flow, via, message, &key) {
                    self.hang_up(now, &call, leg, key);
                }
            }
            "INVITE" | "UPDATE" | "INFO" => {
                if self.open(now, flow, via, message.clone(), &key) {
                    self.relay(now, &call, leg, &message, &key);
                }
            }
            "OPTIONS" => self.answer_without(&message, via, flow, 200),
            known if KNOWN.contains(&known) => self.answer_without(&message, via, flow, 405),
            _ => self.answer_without(&message, via, flow, 501),
        }
    }

    pub(super) fn dialog_mut(&mut self, call: &CallRef, leg: Leg) -> Option<&mut Dialog> {
        let found = self.calls.get_mut(call)?;
        match leg {
            Leg::Caller => Some(&mut found.dialog),
            Leg::Phone(id) => found.fork(id).map(|fork| &mut fork.dialog),
        }
    }

    /// A BYE came.
    fn hang_up(&mut self, now: Timestamp, call: &CallRef, leg: Leg, key: String) {
        let Some(found) = self.calls.get(call) else { return };
        let winner = found.winner;
        match (found.stage, leg) {
            (Stage::Offered, Leg::Caller) => self.abandon(now, call, 487, vec![key]),
            (Stage::Connected, Leg::Caller) => self.end(now, call, CallEnd::Caller, vec![key]),
            (Stage::Connected, Leg::Phone(id)) if winner == Some(id) => {
                self.end(now, call, CallEnd::Desk, vec![key]);
            }
            (Stage::Over, _) => self.reply_at_end(now, call, key),
            (Stage::Offered | Stage::Connected, Leg::Phone(_)) => self.reply_all(now, &[key]),
        }
    }

    /// The connection is over: the other side hears of it at once.
    pub(super) fn end(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        by: CallEnd,
        replies: Vec<String>,
    ) {
        self.is_over(now, call);
        let owed = Owed::Ended { call: call.clone(), replies };
        let receipt = self.tell(now, call, CallFact::Ended { by }, owed);
        let Some(found) = self.calls.get_mut(call) else { return };
        found.end = Some(receipt);
        let phone = found.winner.map(Leg::Phone);
        if by != CallEnd::Desk
            && let Some(phone) = phone
        {
            self.bye(now, call, phone);
        }
        let Some(found) = self.calls.get_mut(call) else { return };
        if by == CallEnd::Caller {
            found.ok = None;
        } else if found.acknowledged || by == CallEnd::Lost {
            found.ok = None;
            self.bye(now, call, Leg::Caller);
        } else {
            // RFC 3261: not before the caller's ACK.
            found.owes_bye = true;
        }
    }

    /// Sends a BYE.
    pub(super) fn bye(&mut self, now: Timestamp, call: &CallRef, leg: Leg) {
        if let Leg::Phone(id) = leg {
            self.ack_before_bye(call, id);
        }
        let Some(dialog) = self.dialog_mut(call, leg) else { return };
        dialog.cseq = dialog.cseq.saturating_add(1);
        let request = dialog.request("BYE", dialog.cseq);
        let dialog = dialog.clone();
        self.request_in(now, &dialog, request, Purpose::End);
    }
}
