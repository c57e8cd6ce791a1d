//! The seats' phones: what we ask them, and what they answer.

use hansho_model::{CallFact, CallRef};
use jiff::Timestamp;

use super::address::Uri;
use super::call::{Fork, ForkState, Leg, Ok200, Owed, Stage};
use super::dialog::{self, ALLOW, Dialog};
use super::endpoint::{Endpoint, TRANSACTION_COUNT_MAX};
use super::message::{Header, Message};
use super::multipart::Parts;
use super::transaction::{Client, ClientState, Heard, Hop, Purpose, Repeat, after};

/// Most facts of one call that may wait for their receipts; beyond, phones that did not take it
/// are no longer told of.
const PENDING_COUNT_MAX: usize = 64;
const SDP: &str = "application/sdp";

fn client_key(branch: &str, method: &str) -> String {
    format!("{branch}|{method}")
}

impl Endpoint {
    /// Sends a request and remembers it; gives the branch.
    fn request(
        &mut self,
        now: Timestamp,
        hop: Hop,
        mut request: Message,
        purpose: Purpose,
    ) -> String {
        let branch = self.names.branch();
        let via = self.via(hop, &branch);
        request.headers.insert(0, Header { name: "Via".to_owned(), value: via });
        let key = client_key(&branch, request.method().unwrap_or_default());
        if self.clients.len() < TRANSACTION_COUNT_MAX {
            let client = Client::new(now, &request, hop, purpose, &self.setup.timers);
            self.clients.insert(key, client);
        }
        self.send(hop, request.encode());
        branch
    }

    fn via(&self, hop: Hop, branch: &str) -> String {
        let transport = hop.transport();
        format!("SIP/2.0/{} {};branch={branch};rport", transport.as_str(), self.own(transport))
    }

    fn hop_of(&self, dialog: &Dialog) -> Hop {
        let target = Uri::parse(&dialog.target).and_then(|uri| uri.socket());
        self.alive(dialog.next_hop(), target.unwrap_or_else(|| dialog.hop.address()))
    }

    /// Sends a request within a dialog.
    pub(super) fn request_in(
        &mut self,
        now: Timestamp,
        dialog: &Dialog,
        request: Message,
        purpose: Purpose,
    ) {
        let hop = self.hop_of(dialog);
        self.request(now, hop, request, purpose);
    }

    /// Rings a seat's phone, if it does not ring already.
    pub(super) fn ring(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        seat: &str,
        everywhere: bool,
    ) -> bool {
        let Some(seat) = self.setup.seats.iter().find(|each| each.name == seat).cloned() else {
            return false;
        };
        let Some(found) = self.calls.get(call) else { return false };
        if found.rings_at(&seat.name) {
            return true;
        }
        if self.clients.len() >= TRANSACTION_COUNT_MAX {
            return false;
        }
        self.forget_gone(call);
        let hop = Hop::Address(seat.transport, seat.address);
        let own = self.own(seat.transport);
        let (tag, call_id) = (self.names.next(), format!("{}@{}", self.names.next(), own.ip()));
        let Some(found) = self.calls.get(call) else { return false };
        let from = match found.number.as_deref().map(shown_number) {
            Some(number) if !number.is_empty() => format!("<sip:{number}@{own}>;tag={tag}"),
            _ => format!("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag={tag}"),
        };
        let to = format!("<{}>", seat.uri);
        let mut invite = Message::request("INVITE", &seat.uri);
        invite.push("Max-Forwards", "70");
        invite.push("From", &from);
        invite.push("To", &to);
        invite.push("Call-ID", &call_id);
        invite.push("CSeq", "1 INVITE");
        invite.push("Contact", &self.contact(seat.transport));
        invite.push("Allow", ALLOW);
        if let Some(sdp) = &found.sdp {
            invite.push("Content-Type", SDP);
            invite.body.clone_from(sdp);
        }
        let dialog = Dialog {
            call_id: call_id.clone(),
            local: from,
            remote: to,
            remote_tag: None,
            target: seat.uri.clone(),
            routes: Vec::new(),
            cseq: 1,
            remote_cseq: 0,
            hop,
        };
        let id = found.forks.iter().map(|fork| fork.id).max().unwrap_or(0).saturating_add(1);
        let branch = self.request(now, hop, invite, Purpose::Ring(call.clone(), id));
        self.dialogs.insert((call_id, tag.clone()), (call.clone(), Leg::Phone(id)));
        let answer_by = (!everywhere).then(|| after(now, self.setup.timers.answer));
        if let Some(found) = self.calls.get_mut(call) {
            found.forks.push(Fork {
                id,
                seat: seat.name,
                branch,
                tag,
                dialog,
                state: ForkState::Ringing,
                owes_cancel: false,
                answer_by,
                owes_ack: false,
            });
        }
        true
    }

    fn forget_gone(&mut self, call: &CallRef) {
        let Some(found) = self.calls.get_mut(call) else { return };
        let (gone, rest): (Vec<Fork>, Vec<Fork>) =
            std::mem::take(&mut found.forks).into_iter().partition(|f| f.state == ForkState::Gone);
        found.forks = rest;
        for fork in gone {
            self.dialogs.remove(&(fork.dialog.call_id, fork.tag));
        }
    }

    /// Tells every phone but one to stop.
    pub(super) fn cancel_forks(&mut self, now: Timestamp, call: &CallRef, but: Option<u64>) {
        let Some(found) = self.calls.get(call) else { return };
        let ringing = found.forks.iter().filter(|fork| fork.state == ForkState::Ringing);
        let ids: Vec<u64> = ringing.map(|fork| fork.id).filter(|id| Some(*id) != but).collect();
        for id in ids {
            self.cancel_fork(now, call, id);
        }
    }

    pub(super) fn cancel_fork(&mut self, now: Timestamp, call: &CallRef, id: u64) {
        let long = after(now, self.setup.timers.long());
        let Some(fork) = self.calls.get_mut(call).and_then(|found| found.fork(id)) else { return };
        fork.state = ForkState::Cancelled;
        fork.answer_by = None;
        let Some(client) = self.clients.get_mut(&client_key(&fork.branch, "INVITE")) else {
            fork.state = ForkState::Gone;
            return;
        };
        client.ends_at = Some(long);
        if client.state == ClientState::Calling {
            fork.owes_cancel = true;
            return;
        }
        let (hop, request) = (client.hop, dialog::cancel(&client.request));
        let key = client_key(&fork.branch, "CANCEL");
        self.send_cancel(now, key, hop, &request);
    }

    fn send_cancel(&mut self, now: Timestamp, key: String, hop: Hop, request: &Message) {
        let cancel = Client::new(now, request, hop, Purpose::End, &self.setup.timers);
        self.clients.insert(key, cancel);
        self.send(hop, request.encode());
    }

    /// A response came.
    pub(super) fn response(&mut self, now: Timestamp, message: &Message) {
        let (Some(via), Some(status), Some((_number, method))) =
            (message.via(), message.status(), message.cseq())
        else {
            return;
        };
        let key = client_key(via.branch(), method);
        let timers = self.setup.timers;
        let Some(client) = self.clients.get_mut(&key) else { return };
        let heard = client.heard(now, status, &timers);
        let invite = client.is_invite();
        if heard == Heard::Again {
            // The ACK was lost.
            if status >= 200
                && let Some((hop, bytes)) = client.ack.clone()
            {
                self.send(hop, bytes);
            }
            return;
        }
        let purpose = client.purpose.clone();
        if invite && status >= 300 {
            let bytes = dialog::ack(&client.request, message).encode();
            let hop = client.hop;
            client.ack = Some((hop, bytes.clone()));
            self.send(hop, bytes);
        }
        match (purpose, status) {
            (Purpose::Ring(call, id), 100..=199) => {
                let fork = self.calls.get_mut(&call).and_then(|found| found.fork(id));
                let owes = fork.is_some_and(|fork| std::mem::take(&mut fork.owes_cancel));
                if owes {
                    self.cancel_fork(now, &call, id);
                }
            }
            (Purpose::Ring(call, id), 200..=299) => self.took(now, &call, id, &key, message),
            (Purpose::Ring(call, id), _) => self.did_not_take(now, &call, id, status),
            (Purpose::Relay(server), 200..) => self.relayed(now, &server, &key, message),
            // The other side took what it was told to forget: unless it gets its ACK, it ends the
            // call.
            (Purpose::End, 200..=299) if invite => {
                if let Some((call, leg, number)) = self.leg_of(&key) {
                    self.acknowledge_leg(&call, leg, number, &key, None);
                }
            }
            (Purpose::Relay(_) | Purpose::End, _) => {}
        }
    }

    /// Nobody answered a request of ours.
    pub(super) fn client_failed(&mut self, now: Timestamp, key: &str, status: u16) {
        let Some(mut client) = self.clients.remove(key) else { return };
        if client.state == ClientState::Completed {
            return;
        }
        match std::mem::replace(&mut client.purpose, Purpose::End) {
            Purpose::Ring(call, id) => self.did_not_take(now, &call, id, status),
            Purpose::Relay(server) => {
                let tag = self.tag.clone();
                // A 408 would end the call itself (RFC 3261, 12.2.1.2).
                self.answer(now, &server, &tag, 488, |_answer| {});
                self.take_back(now, key, client);
            }
            Purpose::End => {}
        }
    }

    /// The other side said that it thinks about an INVITE, and nothing more: it may forget it.
    fn take_back(&mut self, now: Timestamp, key: &str, mut client: Client) {
        let Some(branch) = client.request.via().map(|via| via.branch().to_owned()) else { return };
        if !client.is_invite() || client.state != ClientState::Proceeding {
            return;
        }
        let (hop, request) = (client.hop, dialog::cancel(&client.request));
        client.ends_at = Some(after(now, self.setup.timers.long()));
        self.clients.insert(key.to_owned(), client);
        self.send_cancel(now, client_key(&branch, "CANCEL"), hop, &request);
    }

    /// A phone took the call.
    fn took(&mut self, now: Timestamp, call: &CallRef, id: u64, key: &str, message: &Message) {
        let sdp = Parts::of(message).by_type(SDP).map(|part| part.content.clone());
        let Some(found) = self.calls.get_mut(call) else { return };
        let first = found.stage == Stage::Offered;
        let delayed = first && found.sdp.is_none() && sdp.is_some();
        let Some(fork) = found.fork(id) else { return };
        fork.dialog.learn(message);
        fork.answer_by = None;
        fork.owes_cancel = false;
        fork.owes_ack = delayed;
        fork.state = if first { ForkState::Won } else { ForkState::Gone };
        let seat = fork.seat.clone();
        if !delayed {
            self.acknowledge_phone(call, id, key, None);
        }
        if !first {
            // Another phone was faster, or the caller is gone.
            self.bye(now, call, Leg::Phone(id));
            return;
        }
        self.cancel_forks(now, call, Some(id));
        let until = after(now, self.setup.timers.talking);
        let Some(found) = self.calls.get_mut(call) else { return };
        found.stage = Stage::Connected;
        found.winner = Some(id);
        found.until = until;
        found.refresh_at = None;
        found.again_at = None;
        found.everywhere = false;
        let (server, tag) = (found.server.clone(), found.tag.clone());
        self.accept(now, call, Leg::Caller, &server, &tag, sdp);
        self.tell(now, call, CallFact::Connected { position: seat }, Owed::Nothing(call.clone()));
    }

    /// 200 to an INVITE, repeated until its ACK.
    fn accept(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        leg: Leg,
        server: &str,
        tag: &str,
        sdp: Option<Vec<u8>>,
    ) {
        let Some(asked) = self.servers.get(server) else { return };
        let contact = self.contact(asked.flow.transport);
        let sent = self.answer(now, server, tag, 200, |answer| {
            answer.push("Contact", &contact);
            answer.push("Allow", ALLOW);
            if let Some(sdp) = sdp {
                answer.push("Content-Type", SDP);
                answer.body = sdp;
            }
        });
        let Some((hop, bytes)) = sent else { return };
        let timers = self.setup.timers;
        let repeat = Repeat::new(now, &timers, bytes);
        if let Some(found) = self.calls.get_mut(call) {
            found.ok = Some(Ok200 { leg, hop, repeat, gives_up_at: after(now, timers.long()) });
        }
    }

    /// ACK to a phone's 200.
    fn acknowledge_phone(&mut self, call: &CallRef, id: u64, key: &str, sdp: Option<&Message>) {
        self.acknowledge_leg(call, Leg::Phone(id), 1, key, sdp);
    }

    fn acknowledge_leg(
        &mut self,
        call: &CallRef,
        leg: Leg,
        cseq: u32,
        key: &str,
        sdp: Option<&Message>,
    ) {
        let branch = self.names.branch();
        let Some(dialog) = self.dialog_mut(call, leg) else { return };
        let mut ack = dialog.request("ACK", cseq);
        let dialog = dialog.clone();
        let hop = self.hop_of(&dialog);
        ack.headers.insert(0, Header { name: "Via".to_owned(), value: self.via(hop, &branch) });
        if let Some(sdp) = sdp {
            pass_body(sdp, &mut ack);
        }
        let bytes = ack.encode();
        if let Some(client) = self.clients.get_mut(key) {
            client.ack = Some((hop, bytes.clone()));
        }
        self.send(hop, bytes);
    }

    /// The caller's ACK holds the answer that the phone's 200 asked for.
    pub(super) fn late_ack(&mut self, call: &CallRef, message: &Message) {
        let Some(fork) = self.calls.get_mut(call).and_then(super::call::Call::winner) else {
            return;
        };
        if std::mem::take(&mut fork.owes_ack) {
            let (id, key) = (fork.id, client_key(&fork.branch, "INVITE"));
            self.acknowledge_phone(call, id, &key, Some(message));
        }
    }

    /// A phone that still waits for its ACK gets it before the BYE.
    pub(super) fn ack_before_bye(&mut self, call: &CallRef, id: u64) {
        let Some(fork) = self.calls.get_mut(call).and_then(|found| found.fork(id)) else { return };
        if std::mem::take(&mut fork.owes_ack) {
            let key = client_key(&fork.branch, "INVITE");
            self.acknowledge_phone(call, id, &key, None);
        }
    }

    /// A phone did not take the call.
    pub(super) fn did_not_take(&mut self, now: Timestamp, call: &CallRef, id: u64, status: u16) {
        let again_at = after(now, self.setup.timers.again);
        let Some(found) = self.calls.get_mut(call) else { return };
        let offered = found.stage == Stage::Offered;
        let everywhere = found.everywhere;
        let Some(fork) = found.fork(id) else { return };
        let rang = fork.state == ForkState::Ringing;
        fork.state = ForkState::Gone;
        fork.answer_by = None;
        if !rang || !offered {
            return;
        }
        let seat = fork.seat.clone();
        if everywhere {
            found.again_at.get_or_insert(again_at);
        }
        self.tell_not_connected(now, call, seat, status);
    }

    /// Once for each seat while every phone rings; else each time.
    pub(super) fn tell_not_connected(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        seat: String,
        status: u16,
    ) {
        let Some(found) = self.calls.get_mut(call) else { return };
        if found.everywhere {
            if found.told.contains(&seat) {
                return;
            }
            found.told.push(seat.clone());
        }
        if found.pending >= PENDING_COUNT_MAX {
            return;
        }
        let fact = CallFact::NotConnected { position: seat, status: status.clamp(300, 699) };
        self.tell(now, call, fact, Owed::Nothing(call.clone()));
    }

    /// Passes a request within a call on to the other side.
    pub(super) fn relay(
        &mut self,
        now: Timestamp,
        call: &CallRef,
        leg: Leg,
        message: &Message,
        key: &str,
    ) {
        let tag = self.tag.clone();
        let Some(found) = self.calls.get_mut(call) else { return };
        let winner = found.winner;
        let other = match (found.stage, leg) {
            (Stage::Connected, Leg::Caller) => winner.map(Leg::Phone),
            (Stage::Connected, Leg::Phone(id)) if winner == Some(id) => Some(Leg::Caller),
            (Stage::Over, _) => {
                self.answer(now, key, &tag, 481, |_answer| {});
                return;
            }
            (Stage::Offered | Stage::Connected, _) => None,
        };
        let method = message.method().unwrap_or_default();
        let invite = method == "INVITE";
        // An INVITE without an offer would need its answer in the ACK; and one at a time is enough.
        let simple = !invite || (!message.body.is_empty() && !message.truncated);
        let busy = invite && (found.ok.is_some() || !found.acknowledged);
        let Some(other) = other.filter(|_other| simple && !busy) else {
            let status = if busy { 491 } else { 488 };
            self.answer(now, key, &tag, status, |_answer| {});
            return;
        };
        if invite {
            self.answer(now, key, &tag, 100, |_answer| {});
        }
        let Some(dialog) = self.dialog_mut(call, other) else { return };
        dialog.cseq = dialog.cseq.saturating_add(1);
        let mut request = dialog.request(method, dialog.cseq);
        let dialog = dialog.clone();
        let hop = self.hop_of(&dialog);
        if method != "INFO" {
            request.push("Contact", &self.contact(hop.transport()));
        }
        pass_body(message, &mut request);
        self.request(now, hop, request, Purpose::Relay(key.to_owned()));
    }

    /// The side that a request of ours within a call went to, and its number.
    fn leg_of(&self, key: &str) -> Option<(CallRef, Leg, u32)> {
        let request = &self.clients.get(key)?.request;
        let id = request.first("Call-ID")?.to_owned();
        let (call, leg) = self.dialogs.get(&(id, request.tag("From")?))?;
        Some((call.clone(), *leg, request.cseq().map_or(1, |(number, _method)| number)))
    }

    /// Passes the other side's answer back.
    fn relayed(&mut self, now: Timestamp, server: &str, key: &str, message: &Message) {
        let status = message.status().unwrap_or(500);
        // Its wish for a password, or its new address, is none of the other side's business.
        let status = if matches!(status, 300..=399 | 401 | 407) { 488 } else { status };
        let Some(client) = self.clients.get(key) else { return };
        let invite = client.is_invite();
        let asked = self.servers.get(server).map(|server| server.request.clone());
        let tag = self.tag.clone();
        if !invite || status >= 300 {
            self.answer(now, server, &tag, status, |answer| pass_body(message, answer));
            return;
        }
        if let Some((call, leg, number)) = self.leg_of(key) {
            self.acknowledge_leg(&call, leg, number, key, None);
            let asker = match leg {
                Leg::Caller => self.calls.get(&call).and_then(|found| found.winner).map(Leg::Phone),
                Leg::Phone(_) => Some(Leg::Caller),
            };
            let Some((asker, asked)) = asker.zip(asked) else { return };
            let tag = asked.tag("To").unwrap_or_default();
            let sdp = Parts::of(message).by_type(SDP).map(|part| part.content.clone());
            self.accept(now, &call, asker, server, &tag, sdp);
        }
    }
}

/// What a phone may show of a number.
fn shown_number(number: &str) -> String {
    let fits = |sign: &char| sign.is_ascii_alphanumeric() || "+*.-_".contains(*sign);
    number.chars().filter(fits).collect()
}

/// Copies a body and what tells how to read it.
fn pass_body(from: &Message, to: &mut Message) {
    if from.body.is_empty() || from.truncated {
        return;
    }
    for name in ["Content-Type", "Content-Disposition", "Content-Encoding", "Info-Package"] {
        if let Some(value) = from.first(name) {
            to.push(name, value);
        }
    }
    to.body.clone_from(&from.body);
}
