//! A house that plays. The first byte of the input picks the transport. The rest is messages, parted
//! by the byte 1; the byte after it says what happens then: facts become durable, time passes, a
//! seat answers, a phone says something. `$T` in a message is our last tag.
//!
//! Checked: no panic, nothing that waits for a receipt leaves early, a stream says the same however
//! it is cut, and in the end no call and no timer is left.
#![no_main]

use std::collections::BTreeSet;

use hansho_model::{CallFact, CallRef};
use hansho_protocols::Receipt;
use hansho_protocols::sip::message::Message;
use hansho_protocols::sip::{Endpoint, Flow, Hop, Output, Seat, Setup, SipTransport, Timers};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

const PHONE: &str = "192.0.2.11:5060";

struct House {
    endpoint: Endpoint,
    now: Timestamp,
    flow: Flow,
    cut: usize,
    tag: String,
    /// The last INVITE that the phone got.
    invite: Option<Message>,
    call: CallRef,
    facts: Vec<Receipt>,
    /// Calls whose offer is durable.
    offered: BTreeSet<CallRef>,
    offers: Vec<(Receipt, CallRef)>,
    said: Vec<String>,
    next: Option<Timestamp>,
}

fuzz_target!(|input: &[u8]| {
    let [pick, steps @ ..] = input else { return };
    let transport = if pick & 1 == 0 { SipTransport::Udp } else { SipTransport::Tcp };
    let whole = play(transport, usize::MAX, steps);
    if transport == SipTransport::Tcp {
        let cut = play(transport, usize::from(*pick >> 1) + 1, steps);
        assert_eq!(whole, cut);
    }
});

fn play(transport: SipTransport, cut: usize, steps: &[u8]) -> Vec<String> {
    let mut house = House::new(transport, cut);
    for (index, step) in steps.split(|byte| *byte == 1).enumerate() {
        let (action, text) = match step {
            [action, text @ ..] if index > 0 => (*action, text),
            text => (0, text),
        };
        house.act(action);
        house.hear(text);
    }
    house.durable();
    for _hour in 0..30 {
        house.pass(3_600);
        house.durable();
    }
    assert_eq!(house.endpoint.calls().count(), 0, "a call without an end");
    assert_eq!(house.next, None, "a timer without a reason");
    house.said
}

impl House {
    fn new(transport: SipTransport, cut: usize) -> Self {
        let ours = "192.0.2.1:5060".parse().unwrap();
        let phone = PHONE.parse().unwrap();
        let peer = "192.0.2.7:5060".parse().unwrap();
        let seat = Seat {
            name: "desk1".to_owned(),
            uri: format!("sip:desk1@{PHONE}"),
            transport: SipTransport::Udp,
            address: phone,
        };
        let setup = Setup {
            udp: ours,
            tcp: ours,
            numbers: vec!["119".to_owned()],
            trunks: Vec::new(),
            seats: vec![seat],
            timers: Timers::default(),
            seed: [7; 16],
        };
        Self {
            endpoint: Endpoint::new(setup),
            now: "2026-04-01T00:00:30Z".parse().unwrap(),
            flow: Flow { transport, local: ours, peer, id: 1 },
            cut,
            tag: String::new(),
            invite: None,
            call: CallRef(String::new()),
            facts: Vec::new(),
            offered: BTreeSet::new(),
            offers: Vec::new(),
            said: Vec::new(),
            next: None,
        }
    }

    fn hear(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text).replace("$T", &self.tag);
        if text.is_empty() {
            return;
        }
        match self.flow.transport {
            SipTransport::Udp => {
                drop(self.endpoint.handle_datagram(self.now, self.flow, text.as_bytes()));
            }
            SipTransport::Tcp => {
                for piece in text.as_bytes().chunks(self.cut.min(text.len())) {
                    let fault = self.endpoint.handle_stream(self.now, self.flow, piece).err();
                    self.drain();
                    if fault.is_some_and(|fault| fault.fatal) {
                        self.endpoint.handle_flow_closed(self.now, self.flow);
                        break;
                    }
                }
            }
        }
        self.drain();
    }

    fn act(&mut self, action: u8) {
        let call = self.call.clone();
        match action {
            b'd' => self.durable(),
            b'c' => drop(self.endpoint.connect(self.now, &call, "desk1")),
            b'r' => self.endpoint.ring_all(self.now, &call),
            b'u' => {
                let there = PHONE.parse().unwrap();
                self.endpoint.handle_unreachable(self.now, SipTransport::Udp, there);
            }
            b'x' => self.endpoint.handle_flow_closed(self.now, self.flow),
            b'0'..=b'9' => self.pass(1 << (action - b'0')),
            b'A' => self.phone(100),
            b'B' => self.phone(180),
            b'C' => self.phone(200),
            b'D' => self.phone(487),
            b'E' => self.phone(302),
            _ => {}
        }
        self.drain();
    }

    fn phone(&mut self, status: u16) {
        let Some(invite) = &self.invite else { return };
        let value = |name| invite.first(name).unwrap_or_default();
        let text = format!(
            "SIP/2.0 {status} Word\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=p\r\nCall-ID: {}\r\n\
             CSeq: {}\r\nContact: <sip:desk@{PHONE}>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n",
            value("Via"),
            value("From"),
            value("To"),
            value("Call-ID"),
            value("CSeq"),
        );
        let peer = PHONE.parse().unwrap();
        let flow = Flow { transport: SipTransport::Udp, peer, id: 0, ..self.flow };
        drop(self.endpoint.handle_datagram(self.now, flow, text.as_bytes()));
    }

    fn durable(&mut self) {
        for (receipt, call) in std::mem::take(&mut self.offers) {
            assert!(self.facts.contains(&receipt));
            self.offered.insert(call);
        }
        for receipt in std::mem::take(&mut self.facts) {
            self.endpoint.handle_durable(self.now, receipt);
            self.drain();
        }
    }

    fn pass(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.endpoint.handle_timeout(self.now);
            self.drain();
            assert!(self.next.is_none_or(|next| next > self.now), "a duty that is never done");
        }
        self.now = end;
    }

    fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Fact(receipt, report) => {
                    self.said.push(format!("{:?}", report.fact));
                    self.facts.push(receipt);
                    self.call = report.call.clone();
                    if let CallFact::Offered(_) = report.fact {
                        self.offers.push((receipt, report.call));
                    }
                }
                Output::Transmit(hop, bytes) => self.look(hop, &bytes),
                Output::Close(_) => {}
                Output::Idle(next) => {
                    self.next = next;
                    return;
                }
            }
        }
    }

    fn look(&mut self, hop: Hop, bytes: &[u8]) {
        self.said.push(format!("{hop:?} {}", bytes.escape_ascii()));
        let message = Message::parse(bytes).unwrap();
        assert!(!message.truncated);
        if message.status() == Some(180) {
            assert!(!self.offered.is_empty(), "it rang before it was durable");
        }
        if let Some(tag) = message.tag("To").filter(|_tag| message.status().is_some()) {
            self.tag = tag;
        }
        if message.method() == Some("INVITE")
            && hop == Hop::Address(SipTransport::Udp, PHONE.parse().unwrap())
        {
            self.invite = Some(message);
        }
    }
}
