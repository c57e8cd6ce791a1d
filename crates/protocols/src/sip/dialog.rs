//! Dialogs, and the messages that are built from requests and dialogs.

use std::net::SocketAddr;

use super::address::{Address, PORT, Uri, Via, split_list};
use super::message::{Header, Message, Start};
use super::transaction::{Flow, Hop, SipTransport};

/// Most routes of a dialog.
const ROUTE_COUNT_MAX: usize = 16;

/// What we answer when asked what we can do.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE";

/// One side of a call, as seen from us.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// Our side, with our tag: `From` of what we send.
    pub(super) local: String,
    /// Their side, with their tag once it is known.
    pub(super) remote: String,
    pub(super) remote_tag: Option<String>,
    /// Their contact.
    pub(super) target: String,
    /// Proxies on the way, nearest first.
    pub(super) routes: Vec<String>,
    /// Number of our last request.
    pub(super) cseq: u32,
    /// Number of their last request.
    pub(super) remote_cseq: u32,
    /// Where the first message came from or went to.
    pub(super) hop: Hop,
}

impl Dialog {
    /// The caller's side, from the INVITE.
    pub(super) fn of_caller(invite: &Message, hop: Hop, tag: &str) -> Self {
        let remote = invite.first("From").unwrap_or_default().to_owned();
        let contact = invite.all("Contact").flat_map(split_list).find_map(Address::parse);
        let routes = invite.all("Record-Route").flat_map(split_list).map(str::to_owned);
        Self {
            call_id: invite.first("Call-ID").unwrap_or_default().to_owned(),
            local: with_tag(invite.first("To").unwrap_or_default(), tag),
            remote_tag: invite.tag("From"),
            // Without a contact the sender itself is all that is known.
            target: contact.map_or_else(|| format!("sip:{}", hop.address()), |contact| contact.uri),
            remote,
            routes: routes.take(ROUTE_COUNT_MAX).collect(),
            cseq: 0,
            remote_cseq: invite.cseq().map_or(0, |(number, _method)| number),
            hop,
        }
    }

    /// Takes what a phone's response says of its side.
    pub(super) fn learn(&mut self, response: &Message) {
        if let Some(to) = response.first("To") {
            to.clone_into(&mut self.remote);
        }
        self.remote_tag = response.tag("To");
        if let Some(contact) = response.all("Contact").flat_map(split_list).find_map(Address::parse)
        {
            self.target = contact.uri;
        }
        let routes = response.all("Record-Route").flat_map(split_list).map(str::to_owned);
        self.routes = routes.take(ROUTE_COUNT_MAX).collect();
        self.routes.reverse();
    }

    /// A request within the dialog; `Via` is still missing. An ACK keeps the number of its INVITE.
    pub(super) fn request(&self, method: &str, cseq: u32) -> Message {
        let loose = self.routes.first().is_none_or(|route| {
            let uri = Address::parse(route).and_then(|route| Uri::parse(&route.uri));
            uri.is_some_and(|uri| uri.param("lr").is_some())
        });
        let mut routes = self.routes.clone();
        let mut uri = self.target.clone();
        if !loose && !routes.is_empty() {
            // RFC 2543's way: the first proxy stands in the request line, the target at the end.
            let first = routes.remove(0);
            routes.push(format!("<{uri}>"));
            uri = Address::parse(&first).map_or(uri, |route| route.uri);
        }
        let mut message = Message::request(method, &uri);
        message.push("Max-Forwards", "70");
        for route in &routes {
            message.push("Route", route);
        }
        message.push("From", &self.local);
        message.push("To", &self.remote);
        message.push("Call-ID", &self.call_id);
        message.push("CSeq", &format!("{cseq} {method}"));
        message
    }

    /// Where the next request goes: to the first proxy, else to the contact, when that is an
    /// address; else back to where the dialog came from.
    pub(super) fn next_hop(&self) -> Hop {
        let first = self.routes.first().and_then(|route| Address::parse(route));
        let uri = first.map_or_else(|| self.target.clone(), |route| route.uri);
        let Some(uri) = Uri::parse(&uri) else { return self.hop };
        let Some(address) = uri.socket() else { return self.hop };
        let transport = match uri.param("transport") {
            Some(name) if name.eq_ignore_ascii_case("tcp") => SipTransport::Tcp,
            Some(name) if name.eq_ignore_ascii_case("udp") => SipTransport::Udp,
            _ => self.hop.transport(),
        };
        match self.hop {
            Hop::Flow(flow) if flow.transport == transport => match transport {
                SipTransport::Udp if flow.peer == address => self.hop,
                // A connection that stands is used again, whatever port the contact names.
                SipTransport::Tcp if flow.peer.ip() == address.ip() => self.hop,
                SipTransport::Udp | SipTransport::Tcp => Hop::Address(transport, address),
            },
            Hop::Flow(_) | Hop::Address(..) => Hop::Address(transport, address),
        }
    }
}

/// An address header with a tag of ours added.
pub(super) fn with_tag(value: &str, tag: &str) -> String {
    format!("{value};tag={tag}")
}

/// Where answers to a request go: RFC 3261 section 18.2.2, RFC 3581.
pub(super) fn answer_hop(via: &Via, flow: Flow) -> Hop {
    if flow.transport == SipTransport::Tcp || via.param("rport").is_some() {
        return Hop::Flow(flow);
    }
    let address = fallback(via, flow);
    if address == flow.peer { Hop::Flow(flow) } else { Hop::Address(SipTransport::Udp, address) }
}

/// Where answers go when their connection is gone.
pub(super) fn fallback(via: &Via, flow: Flow) -> SocketAddr {
    SocketAddr::new(flow.peer.ip(), via.port.unwrap_or(PORT))
}

/// An answer: the request's own headers come back, the topmost `Via` with what we saw of the
/// sender.
pub(super) fn response(request: &Message, flow: Flow, status: u16, tag: &str) -> Message {
    let start = Start::Response { status, reason: reason(status).to_owned() };
    let mut found =
        Message { start, headers: Vec::new(), body: Vec::new(), truncated: false, flaw: None };
    for (index, value) in request.all("Via").enumerate() {
        if index == 0 {
            let mut entries = split_list(value);
            let first = entries.next().unwrap_or_default();
            let first = Via::parse(first).map_or_else(|| first.to_owned(), |via| seen(&via, flow));
            let rest: String = entries.map(|entry| format!(", {entry}")).collect();
            found.push("Via", &format!("{first}{rest}"));
        } else {
            found.push("Via", value);
        }
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        // A request that is answered 400 may lack any of them.
        let Some(value) = request.first(name) else { continue };
        if name == "To" && status > 100 && request.tag("To").is_none() {
            found.push(name, &with_tag(value, tag));
        } else {
            found.push(name, value);
        }
    }
    if (101..300).contains(&status) && request.method() == Some("INVITE") {
        for value in request.all("Record-Route") {
            found.push("Record-Route", value);
        }
    }
    found
}

/// The entry with the address that the request came from.
fn seen(via: &Via, flow: Flow) -> String {
    let host = if via.host.contains(':') { format!("[{}]", via.host) } else { via.host.clone() };
    let port = via.port.map(|port| format!(":{port}")).unwrap_or_default();
    let mut text = format!("SIP/2.0/{} {host}{port}", via.transport);
    let peer = flow.peer.ip().to_canonical();
    for (name, value) in &via.params {
        if name.eq_ignore_ascii_case("received") {
            continue;
        }
        let value = match value {
            None if name.eq_ignore_ascii_case("rport") => format!("={}", flow.peer.port()),
            None => String::new(),
            Some(value)
                if value
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"\";,<>\\".contains(&byte)) =>
            {
                format!("={value}")
            }
            Some(value) => {
                format!("=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
            }
        };
        text.push_str(&format!(";{name}{value}"));
    }
    if via.host != peer.to_string() {
        text.push_str(&format!(";received={peer}"));
    }
    text
}

/// The ACK of a response of 300 or more: it belongs to the INVITE's own transaction.
pub(super) fn ack(invite: &Message, response: &Message) -> Message {
    derived(invite, "ACK", response.first("To").unwrap_or_default())
}

/// The CANCEL of an INVITE.
pub(super) fn cancel(invite: &Message) -> Message {
    derived(invite, "CANCEL", invite.first("To").unwrap_or_default())
}

fn derived(invite: &Message, method: &str, to: &str) -> Message {
    let mut message = Message::request(method, invite.uri().unwrap_or_default());
    message.push("Via", invite.first("Via").unwrap_or_default());
    message.push("Max-Forwards", "70");
    message.push("From", invite.first("From").unwrap_or_default());
    message.push("To", to);
    message.push("Call-ID", invite.first("Call-ID").unwrap_or_default());
    let number = invite.cseq().map_or(1, |(number, _method)| number);
    message.push("CSeq", &format!("{number} {method}"));
    for route in invite.all("Route") {
        message.headers.push(Header { name: "Route".to_owned(), value: route.to_owned() });
    }
    message
}

pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        420 => "Bad Extension",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        _ => "See Status",
    }
}
