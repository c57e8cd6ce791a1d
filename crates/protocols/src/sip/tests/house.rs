//! An endpoint with its surroundings: a caller at the trunk, two seats' phones, a clock.

use std::net::SocketAddr;

use hansho_model::{CallFact, CallRef, CallReport};
use jiff::{SignedDuration, Timestamp};

use crate::Receipt;
use crate::sip::message::Message;
use crate::sip::{Endpoint, Flow, Hop, Output, Seat, Setup, SipTransport, Timers};

pub(super) const OURS: &str = "192.0.2.1:5060";
pub(super) const TRUNK: &str = "192.0.2.7:5060";
pub(super) const PHONES: [&str; 2] = ["192.0.2.11:5060", "192.0.2.12:5060"];
pub(super) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
pub(super) const PHONE_SDP: &str = "v=0\r\no=- 2 2 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\nm=audio 50000 RTP/AVP 0\r\n";

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn setup() -> Setup {
    let seat = |index: usize, transport| Seat {
        name: format!("desk{}", index + 1),
        uri: format!("sip:desk{}@{}", index + 1, PHONES[index]),
        transport,
        address: address(PHONES[index]),
    };
    Setup {
        udp: address(OURS),
        tcp: address(OURS),
        numbers: vec!["119".to_owned()],
        trunks: vec![address(TRUNK).ip()],
        seats: vec![seat(0, SipTransport::Udp), seat(1, SipTransport::Tcp)],
        timers: Timers::default(),
        seed: [7; 16],
    }
}

pub(super) fn flow(transport: SipTransport, peer: &str) -> Flow {
    let id = u64::from(transport == SipTransport::Tcp);
    Flow { transport, local: address(OURS), peer: address(peer), id }
}

pub(super) struct House {
    pub(super) endpoint: Endpoint,
    pub(super) now: Timestamp,
    pub(super) transport: SipTransport,
    /// Sent and not yet looked at.
    pub(super) sent: Vec<(Hop, Message)>,
    /// Told and not yet durable.
    pub(super) facts: Vec<(Receipt, CallReport)>,
    pub(super) next: Option<Timestamp>,
    pub(super) closed: Vec<Flow>,
}

impl House {
    pub(super) fn new(transport: SipTransport) -> Self {
        Self {
            endpoint: Endpoint::new(setup()),
            now: "2026-04-01T00:00:30Z".parse().unwrap(),
            transport,
            sent: Vec::new(),
            facts: Vec::new(),
            next: None,
            closed: Vec::new(),
        }
    }

    pub(super) fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Fact(receipt, report) => self.facts.push((receipt, *report)),
                Output::Transmit(hop, bytes) => {
                    let message = Message::parse(&bytes).unwrap();
                    // An answer to what is flawed has the same flaw.
                    let good = message.flaw.is_none() || message.status() == Some(400);
                    assert!(good, "{}", String::from_utf8_lossy(&bytes));
                    assert!(!message.truncated);
                    self.sent.push((hop, message));
                }
                Output::Close(flow) => self.closed.push(flow),
                Output::Idle(next) => {
                    assert!(next.is_none_or(|next| next >= self.now), "a duty that is overdue");
                    self.next = next;
                    return;
                }
            }
        }
    }

    pub(super) fn give(&mut self, transport: SipTransport, peer: &str, text: &str) {
        let flow = flow(transport, peer);
        match transport {
            SipTransport::Udp => {
                self.endpoint.handle_datagram(self.now, flow, text.as_bytes()).unwrap();
            }
            SipTransport::Tcp => {
                self.endpoint.handle_stream(self.now, flow, text.as_bytes()).unwrap();
            }
        }
        self.drain();
    }

    /// The caller says something.
    pub(super) fn caller(&mut self, text: &str) {
        self.give(self.transport, TRUNK, text);
    }

    /// Lets time pass, in the steps that the endpoint asks for.
    pub(super) fn pass(&mut self, wait: SignedDuration) {
        let end = self.now + wait;
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.now = next;
            self.endpoint.handle_timeout(self.now);
            self.drain();
            assert!(self.next.is_none_or(|next| next > self.now), "a duty that is never done");
        }
        self.now = end;
    }

    pub(super) fn pass_s(&mut self, seconds: i64) {
        self.pass(SignedDuration::from_secs(seconds));
    }

    /// All that was told is durable now.
    pub(super) fn durable(&mut self) -> Vec<String> {
        let facts = std::mem::take(&mut self.facts);
        let words = facts.iter().map(|(_receipt, report)| word(report)).collect();
        for (receipt, _report) in facts {
            self.endpoint.handle_durable(self.now, receipt);
            self.drain();
        }
        words
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.facts.iter().map(|(_receipt, report)| word(report)).collect()
    }

    /// What was sent to an address since it was last asked, as words; and forgets it.
    pub(super) fn to(&mut self, peer: &str) -> Vec<String> {
        self.messages(peer).iter().map(said).collect()
    }

    pub(super) fn messages(&mut self, peer: &str) -> Vec<Message> {
        let there = address(peer);
        let (taken, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sent).into_iter().partition(|(hop, _)| match hop {
                Hop::Flow(flow) => flow.peer == there,
                Hop::Address(_, address) => *address == there,
            });
        self.sent = rest;
        taken.into_iter().map(|(_hop, message)| message).collect()
    }

    /// A call that rings.
    pub(super) fn ringing(&mut self) -> CallRef {
        let invite = self.invite();
        self.caller(&invite);
        self.durable();
        assert_eq!(self.to(TRUNK), ["100 INVITE", "180 INVITE"]);
        CallRef("c1@t;f1".to_owned())
    }

    /// A call that rings at every seat, however often it is asked to; gives what the phones got.
    pub(super) fn ringing_everywhere(&mut self) -> (CallRef, [Message; 2]) {
        let call = self.ringing();
        self.endpoint.ring_all(self.now, &call);
        self.endpoint.ring_all(self.now, &call);
        self.drain();
        let invites = PHONES.map(|phone| {
            let mut got = self.messages(phone);
            assert_eq!(got.iter().map(said).collect::<Vec<_>>(), ["INVITE"]);
            got.remove(0)
        });
        (call, invites)
    }

    /// A call that desk1 took, with its ACK; gives our tags towards caller and phone.
    pub(super) fn connected(&mut self) -> (CallRef, Legs) {
        let call = self.ringing();
        assert!(self.endpoint.connect(self.now, &call, "desk1"));
        self.drain();
        let invite = self.messages(PHONES[0]).remove(0);
        self.phone(0, &answer(&invite, 200, Some(PHONE_SDP)));
        assert_eq!(self.to(PHONES[0]), ["ACK"]);
        let ok = self.messages(TRUNK).remove(0);
        assert_eq!(said(&ok), "200 INVITE");
        let tag = ok.tag("To").unwrap();
        let ack = self.in_dialog("ACK", &tag, 1, "");
        self.caller(&ack);
        assert_eq!(self.durable(), ["connected desk1"]);
        (call, Legs { caller: tag, phone: invite })
    }

    pub(super) fn phone(&mut self, index: usize, text: &str) {
        let transport = if index == 0 { SipTransport::Udp } else { SipTransport::Tcp };
        self.give(transport, PHONES[index], text);
    }

    pub(super) fn via(&self, branch: &str) -> String {
        format!("SIP/2.0/{} {TRUNK};branch=z9hG4bK{branch}", self.transport.as_str())
    }

    pub(super) fn invite(&self) -> String {
        self.request("INVITE", "i1", "", 1, SDP)
    }

    pub(super) fn cancel(&self) -> String {
        self.request("CANCEL", "i1", "", 1, "")
    }

    pub(super) fn in_dialog(&self, method: &str, tag: &str, number: u32, body: &str) -> String {
        let branch = format!("{}{number}", method.to_lowercase());
        self.request(method, &branch, &format!(";tag={tag}"), number, body)
    }

    pub(super) fn request(
        &self,
        method: &str,
        branch: &str,
        tag: &str,
        number: u32,
        body: &str,
    ) -> String {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let length = body.len();
        format!(
            "{method} urn:service:sos.fire SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\n\
             From: <sip:+819000000001@carrier.example>;tag=f1\r\nTo: <urn:service:sos.fire>{tag}\r\n\
             Call-ID: c1@t\r\nCSeq: {number} {method}\r\nContact: <sip:c@{TRUNK}>\r\n\
             P-Asserted-Identity: <tel:+819000000001>\r\n{kind}Content-Length: {length}\r\n\r\n{body}",
            self.via(branch)
        )
    }
}

pub(super) struct Legs {
    /// Our tag towards the caller.
    pub(super) caller: String,
    /// The INVITE that the phone got.
    pub(super) phone: Message,
}

impl Legs {
    /// A request of desk1's phone within the call.
    pub(super) fn request(&self, method: &str, number: u32, body: &str) -> String {
        let invite = &self.phone;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:hansho@{OURS} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {};branch=z9hG4bKp{method}{number}\r\nFrom: {};tag=p\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {number} {method}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            PHONES[0],
            invite.first("To").unwrap(),
            invite.first("From").unwrap(),
            invite.first("Call-ID").unwrap(),
            body.len(),
        )
    }
}

/// A peer's answer to what it got.
pub(super) fn answer(request: &Message, status: u16, body: Option<&str>) -> String {
    let value = |name| request.first(name).unwrap();
    let to = value("To");
    let tag = if request.tag("To").is_some() || status == 100 { "" } else { ";tag=p" };
    let body = body.unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let second = request.uri().is_some_and(|uri| uri.contains("desk2"));
    format!(
        "SIP/2.0 {status} Word\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:desk@{}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        value("Via"),
        value("From"),
        value("Call-ID"),
        value("CSeq"),
        PHONES[usize::from(second)],
        body.len(),
    )
}

pub(super) fn said(message: &Message) -> String {
    match message.status() {
        Some(status) => format!("{status} {}", message.cseq().unwrap().1),
        None => message.method().unwrap().to_owned(),
    }
}

pub(super) fn word(report: &CallReport) -> String {
    match &report.fact {
        CallFact::Offered(offer) => {
            let number = offer.number.as_ref().map_or("-", |number| number.0.as_str());
            format!("offered {number} {}", offer.service)
        }
        CallFact::Abandoned => "abandoned".to_owned(),
        CallFact::Connected { position } => format!("connected {position}"),
        CallFact::NotConnected { position, status } => format!("not connected {position} {status}"),
        CallFact::Ended { by } => format!("ended {by}"),
    }
}
