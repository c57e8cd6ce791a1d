//! From an INVITE to what the core takes of a call.

use hansho_model::{
    CallOffer, CallRef, CallerLocation, LocationFault, LocationMark, LocationSource, Private,
};

use super::address::{Address, Uri, split_list};
use super::geolocation::{self, Geolocation, VALUE_COUNT_MAX};
use super::message::Message;
use super::multipart::Parts;
use super::pidf::{self, Confidence, Located, Refused};
use super::shape;

/// Longest number that is kept.
const NUMBER_SIZE_MAX: usize = 64;
/// Longest name of a call.
const CALL_REF_SIZE_MAX: usize = 255;
/// Longest name of a service.
const SERVICE_SIZE_MAX: usize = 64;
/// Longest name of a method.
const METHOD_SIZE_MAX: usize = 32;
/// Longest civic address in words.
const CIVIC_SIZE_MAX: usize = 1_024;
/// What is assumed when a shape does not say (RFC 7459).
const CONFIDENCE_ASSUMED: u8 = 95;

/// An offer in the clear.
pub type Offer = CallOffer<Private<String>, Private<Vec<u8>>>;

/// Where one value of a `Geolocation` header led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conveyed {
    /// How the location came; unknown when the header cannot be read.
    pub source: Option<LocationSource>,
    /// URI, as written.
    pub uri: String,
    /// What came of it; a reference is `NotAsked`.
    pub found: Result<Located, Refused>,
}

/// What a request conveys of its caller's location, a line for each value of `Geolocation`.
#[must_use]
pub fn conveyed(request: &Message, parts: &Parts) -> Vec<Conveyed> {
    let mut lines = Vec::new();
    for value in request.all("Geolocation") {
        match geolocation::parse(value) {
            Ok(values) => {
                lines.extend(values.into_iter().map(|value| follow(value, request, parts)));
            }
            Err(fault) => {
                lines.push(Conveyed { source: None, uri: String::new(), found: Err(fault.into()) });
            }
        }
    }
    lines.truncate(VALUE_COUNT_MAX);
    lines
}

fn follow(value: Geolocation, request: &Message, parts: &Parts) -> Conveyed {
    let Geolocation { source, uri } = value;
    let found = match source {
        LocationSource::Reference => Err(LocationFault::NotAsked.into()),
        LocationSource::Value => match parts.by_cid(&uri) {
            Some(part) => match pidf::read(&part.content) {
                // Half a document is no broken document: the message lost its end on the way.
                Err(_broken) if !part.whole => Err(LocationFault::Size.into()),
                found => found,
            },
            None if request.truncated || parts.cut => Err(LocationFault::Size.into()),
            None => Err(LocationFault::CidMissing.into()),
        },
    };
    Conveyed { source: Some(source), uri, found }
}

/// Name of the call that an INVITE opens: `Call-ID` and the tag of `From`.
#[must_use]
pub fn call_ref(request: &Message) -> CallRef {
    let id = request.first("Call-ID").unwrap_or_default();
    let tag = request.tag("From").unwrap_or_default();
    let name = format!("{id};{tag}");
    if name.len() <= CALL_REF_SIZE_MAX {
        return CallRef(name);
    }
    let digest =
        name.bytes().fold(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D, |hash: u128, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B)
        });
    CallRef(format!("{}~{digest:032x}", cut(&name, CALL_REF_SIZE_MAX.saturating_sub(33))))
}

/// What an INVITE offers.
///
/// `asserted` says whether the sender may assert identities: then `P-Asserted-Identity` counts.
#[must_use]
pub fn offer(request: &Message, asserted: bool, peer: String, raw: Vec<u8>) -> Offer {
    let parts = Parts::of(request);
    let mut locations: Vec<_> = conveyed(request, &parts).iter().map(caller_location).collect();
    if locations.is_empty() && request.truncated {
        // There may have been one, and nobody can tell.
        locations.push(unusable(LocationSource::Value, LocationFault::Size, false));
    }
    let withheld = withheld(request);
    CallOffer {
        number: number(request, asserted).map(Private),
        withheld,
        service: service(request),
        locations,
        peer: Private(peer),
        raw: Private(raw),
    }
}

/// Name of the emergency service that is asked for, without `urn:service:`.
#[must_use]
pub fn service(request: &Message) -> String {
    let to = request.address("To").map(|to| to.uri);
    let named = [request.uri().map(str::to_owned), to];
    let found = named.into_iter().flatten().find_map(|uri| service_of(&uri));
    found.unwrap_or_default()
}

fn service_of(uri: &str) -> Option<String> {
    const PREFIX: &str = "urn:service:";
    let (prefix, name) = uri.split_at_checked(PREFIX.len())?;
    let sos = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("sos"));
    let whole = matches!(name.as_bytes().get(3), None | Some(b'.'));
    let ours = prefix.eq_ignore_ascii_case(PREFIX) && sos && whole;
    ours.then(|| cut(&name.to_ascii_lowercase(), SERVICE_SIZE_MAX).to_owned())
}

/// The caller's number: asserted by the network, else what the caller says.
fn number(request: &Message, asserted: bool) -> Option<String> {
    let identities = request.all("P-Asserted-Identity").flat_map(split_list);
    let network = identities
        .filter(|_one| asserted)
        .filter_map(Address::parse)
        .find_map(|address| user(&address));
    network.or_else(|| user(&request.address("From")?))
}

fn user(address: &Address) -> Option<String> {
    let uri = Uri::parse(&address.uri)?;
    let anonymous = |host: &str| host.eq_ignore_ascii_case("anonymous.invalid");
    if anonymous(&uri.host) {
        return None;
    }
    let user = uri.user?;
    if user.eq_ignore_ascii_case("anonymous") || user.eq_ignore_ascii_case("unavailable") {
        return None;
    }
    // People write numbers with marks between the digits.
    let number = user.bytes().all(|byte| byte.is_ascii_digit() || b"+-.() *#".contains(&byte));
    let mark = |sign: &char| sign.is_control() || (number && "-.() ".contains(*sign));
    let plain: String = user.chars().filter(|sign| !mark(sign)).collect();
    Some(cut(&plain, NUMBER_SIZE_MAX).to_owned()).filter(|plain| !plain.is_empty())
}

/// Whether the caller asked that the number be hidden (184).
fn withheld(request: &Message) -> bool {
    let private = request.all("Privacy").flat_map(|value| value.split([';', ','])).any(|word| {
        ["id", "user", "header"].iter().any(|name| word.trim().eq_ignore_ascii_case(name))
    });
    let from = request.address("From").and_then(|from| Uri::parse(&from.uri));
    let anonymous = from.is_some_and(|uri| {
        uri.host.eq_ignore_ascii_case("anonymous.invalid")
            || uri.user.is_some_and(|user| user.eq_ignore_ascii_case("anonymous"))
    });
    private || anonymous
}

fn unusable(
    source: LocationSource,
    fault: LocationFault,
    looks_swapped: bool,
) -> CallerLocation<Private<String>> {
    CallerLocation {
        source,
        shape: None,
        centre: None,
        radius: None,
        confidence: None,
        method: String::new(),
        at: None,
        civic: None,
        refused: Some(fault),
        marks: looks_swapped.then_some(LocationMark::LooksSwapped).into_iter().collect(),
    }
}

fn caller_location(line: &Conveyed) -> CallerLocation<Private<String>> {
    let source = line.source.unwrap_or(LocationSource::Value);
    let located = match &line.found {
        Ok(located) => located,
        Err(Refused { fault, looks_swapped }) => return unusable(source, *fault, *looks_swapped),
    };
    let circle = located.geodetic.as_ref().and_then(shape::circle);
    let radius = circle.and_then(|(_centre, radius)| radius);
    let confidence = match located.confidence {
        Confidence::Percent(percent) => {
            percent.ceiling().and_then(|percent| percent.try_into().ok())
        }
        Confidence::Absent if radius.is_some() => Some(CONFIDENCE_ASSUMED),
        Confidence::Absent | Confidence::Unknown => None,
    };
    CallerLocation {
        source,
        shape: located.geodetic.as_ref().map(|geodetic| geodetic.shape),
        centre: circle.map(|(centre, _radius)| centre),
        radius,
        confidence,
        method: located.method.as_deref().map_or("", |name| cut(name, METHOD_SIZE_MAX)).to_owned(),
        at: located.timestamp.as_ref().map(|(_text, at)| *at),
        civic: civic_text(&located.civic).map(Private),
        refused: located.partial_error,
        marks: Vec::new(),
    }
}

/// Parts of an address from the country down to the room, as Japan writes them.
const CIVIC_ORDER: [&str; 17] = [
    "PC", "A1", "A2", "A3", "A4", "A5", "A6", "RD", "STS", "HNO", "HNS", "LMK", "BLD", "NAM",
    "FLR", "ROOM", "LOC",
];

fn civic_text(civic: &[(String, String)]) -> Option<String> {
    let place = |name: &str| CIVIC_ORDER.iter().position(|each| *each == name);
    let mut parts: Vec<(usize, String)> = Vec::new();
    for (name, text) in civic.iter().filter(|(name, _text)| name != "country") {
        // What we have no place for is still shown, with its name.
        let word = |place: Option<usize>| match place {
            Some(_known) => text.clone(),
            None => format!("{}={text}", name.rsplit('}').next().unwrap_or_default()),
        };
        let place = place(name);
        parts.push((place.unwrap_or(usize::MAX), word(place)));
    }
    parts.sort_by_key(|(place, _text)| *place);
    let words: Vec<String> = parts.into_iter().map(|(_place, text)| text).collect();
    let text = words.join(" ");
    Some(cut(&text, CIVIC_SIZE_MAX).to_owned()).filter(|text| !text.is_empty())
}

/// The longest start of a text that has at most so many bytes.
fn cut(text: &str, size_max: usize) -> &str {
    text.get(..text.floor_char_boundary(size_max)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(headers: &str) -> Message {
        let head = format!(
            "INVITE urn:service:sos.fire SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
             To: <urn:service:sos.fire>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n{headers}\r\n"
        );
        Message::parse(head.as_bytes()).unwrap()
    }

    fn said(headers: &str, asserted: bool) -> (Option<String>, bool) {
        let offer = offer(&invite(headers), asserted, String::new(), Vec::new());
        (offer.number.map(|number| number.0), offer.withheld)
    }

    #[test]
    fn the_networks_word_comes_before_the_callers() {
        let both = "From: <sip:+819000000009@x.example>;tag=1\r\n\
                    P-Asserted-Identity: \"A\" <sip:+81-90-0000-0001;x=y@x.example>, <tel:+819000000002>\r\n";
        assert_eq!(said(both, true), (Some("+819000000001".to_owned()), false));
        assert_eq!(said(both, false), (Some("+819000000009".to_owned()), false));
    }

    #[test]
    fn a_withheld_number_is_marked_and_kept_when_the_network_gives_it() {
        let hidden = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1\r\nPrivacy: id;critical\r\n";
        assert_eq!(said(hidden, true), (None, true));
        let given = format!("{hidden}P-Asserted-Identity: <tel:+819000000001>\r\n");
        assert_eq!(said(&given, true), (Some("+819000000001".to_owned()), true));
        let open = "From: <sip:+819000000001@x.example>;tag=1\r\nPrivacy: none\r\n";
        assert_eq!(said(open, true), (Some("+819000000001".to_owned()), false));
    }

    #[test]
    fn services_are_named_without_their_prefix() {
        for (uri, wanted) in [
            ("urn:service:sos", Some("sos")),
            ("URN:service:SOS.Fire", Some("sos.fire")),
            ("urn:service:sosx", None),
            ("urn:service:counseling", None),
            ("sip:119@x.example", None),
        ] {
            assert_eq!(service_of(uri).as_deref(), wanted, "{uri}");
        }
    }

    #[test]
    fn a_long_name_of_a_call_is_cut_and_stays_its_own() {
        let name = |id: &str| {
            let mut message = Message::request("INVITE", "urn:service:sos");
            message.push("Call-ID", id);
            message.push("From", "<sip:a@b>;tag=7");
            call_ref(&message).0
        };
        assert_eq!(name("a@b"), "a@b;7");
        let long = name(&"あ".repeat(200));
        assert!(long.len() <= CALL_REF_SIZE_MAX);
        assert_ne!(long, name(&"あ".repeat(201)));
    }
}
