//! Calls, places, kinds and drafts: the frozen types of version 1 of kinds 28 to 36, and the way to
//! and from them. A choice is the varint of its place, from 0 on, and then its fields.

use hansho_model::{
    CallFact, CallOffer, CallRef, CallSaid, CallerLocation, DistrictId, Event, IncidentId,
    MetresU32, Place, SealedCallReport, Seq, SignalId, Token,
};
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::v1::{Bytes16, Position, Sealed};
use super::{BodyError, read, time, us, write};

/// Kind 28.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CallReceived<'a> {
    call: &'a str,
    received_at_us: i64,
    unrecorded: bool,
    caller: Option<Bytes16>,
    #[serde(borrow)]
    fact: Fact<'a>,
}

/// What happened to a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Fact<'a> {
    #[serde(borrow)]
    Offered(Offer<'a>),
    Abandoned,
    Connected {
        position: &'a str,
    },
    NotConnected {
        position: &'a str,
        status: u16,
    },
    Ended {
        by: u8,
    },
}

/// A call as it was offered.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offer<'a> {
    #[serde(borrow)]
    number: Option<Sealed<'a>>,
    withheld: bool,
    service: &'a str,
    #[serde(borrow)]
    locations: Vec<Location<'a>>,
    #[serde(borrow)]
    peer: Sealed<'a>,
    #[serde(borrow)]
    raw: Sealed<'a>,
}

/// Where a caller is, as one source says.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Location<'a> {
    source: u8,
    shape: Option<u8>,
    centre: Option<Position>,
    radius_m: Option<u32>,
    confidence: Option<u8>,
    method: &'a str,
    at_us: Option<i64>,
    #[serde(borrow)]
    civic: Option<Sealed<'a>>,
    refused: Option<u8>,
    marks: Vec<u8>,
}

/// Kind 29.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct CallAnswered<'a> {
    pub(super) signal: u64,
    pub(super) position: &'a str,
}

/// Kinds 30 and 31.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct OfSignal {
    pub(super) signal: u64,
}

/// Kind 32.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct CallBackTried {
    pub(super) signal: u64,
    pub(super) outcome: u8,
}

/// Kind 33.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct PlaceSet<'a> {
    pub(super) incident: u64,
    pub(super) district: Option<u8>,
    pub(super) position: Option<Position>,
    pub(super) radius_m: Option<u32>,
    pub(super) confirmed: bool,
    #[serde(borrow)]
    pub(super) place_text: Option<Sealed<'a>>,
}

/// Kind 34.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct KindSet {
    pub(super) incident: u64,
    pub(super) kind: u8,
    pub(super) subkind: Option<u8>,
}

/// Kind 35.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct DraftSaved<'a> {
    pub(super) form: &'a str,
    #[serde(borrow)]
    pub(super) text: Sealed<'a>,
}

/// Kind 36.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct DraftCleared<'a> {
    pub(super) form: &'a str,
}

pub(super) fn received(said: &SealedCallReport, caller: Option<Token>) -> CallReceived<'_> {
    let CallSaid { call, received_at, unrecorded, fact } = said;
    let fact = match fact {
        CallFact::Offered(offer) => Fact::Offered(offered(offer)),
        CallFact::Abandoned => Fact::Abandoned,
        CallFact::Connected { position } => Fact::Connected { position },
        CallFact::NotConnected { position, status } => {
            Fact::NotConnected { position, status: *status }
        }
        CallFact::Ended { by } => Fact::Ended { by: by.code() },
    };
    CallReceived {
        call: &call.0,
        received_at_us: us(*received_at),
        unrecorded: *unrecorded,
        caller: caller.map(|token| Bytes16(token.0)),
        fact,
    }
}

fn offered(offer: &CallOffer<hansho_model::Sealed, hansho_model::Sealed>) -> Offer<'_> {
    let CallOffer { number, withheld, service, locations, peer, raw } = offer;
    Offer {
        number: write::maybe(number.as_ref()),
        withheld: *withheld,
        service,
        locations: locations.iter().map(location).collect(),
        peer: write::sealed(peer),
        raw: write::sealed(raw),
    }
}

fn location(value: &CallerLocation<hansho_model::Sealed>) -> Location<'_> {
    Location {
        source: value.source.code(),
        shape: value.shape.map(Code::code),
        centre: value.centre.map(write::position),
        radius_m: value.radius.map(|metres| metres.0),
        confidence: value.confidence,
        method: &value.method,
        at_us: value.at.map(us),
        civic: write::maybe(value.civic.as_ref()),
        refused: value.refused.map(Code::code),
        marks: value.marks.iter().map(|mark| mark.code()).collect(),
    }
}

pub(super) fn event_of_received(value: CallReceived<'_>) -> Result<Event, BodyError> {
    let CallReceived { call, received_at_us, unrecorded, caller, fact } = value;
    let fact = match fact {
        Fact::Offered(offer) => CallFact::Offered(Box::new(offer_of(offer)?)),
        Fact::Abandoned => CallFact::Abandoned,
        Fact::Connected { position } => CallFact::Connected { position: position.to_owned() },
        Fact::NotConnected { position, status } => {
            CallFact::NotConnected { position: position.to_owned(), status }
        }
        Fact::Ended { by } => CallFact::Ended { by: Code::from_code(by)? },
    };
    let (call, received_at) = (CallRef(call.to_owned()), time(received_at_us)?);
    let said = Box::new(CallSaid { call, received_at, unrecorded, fact });
    Ok(Event::CallReceived { said, caller: caller.map(|token| Token(token.0)) })
}

fn offer_of(
    value: Offer<'_>,
) -> Result<CallOffer<hansho_model::Sealed, hansho_model::Sealed>, BodyError> {
    let Offer { number, withheld, service, locations, peer, raw } = value;
    let locations: Result<_, _> = locations.into_iter().map(location_of).collect();
    Ok(CallOffer {
        number: number.map(read::sealed),
        withheld,
        service: service.to_owned(),
        locations: locations?,
        peer: read::sealed(peer),
        raw: read::sealed(raw),
    })
}

fn location_of(value: Location<'_>) -> Result<CallerLocation<hansho_model::Sealed>, BodyError> {
    let marks: Result<_, _> = value.marks.into_iter().map(Code::from_code).collect();
    Ok(CallerLocation {
        source: Code::from_code(value.source)?,
        shape: read::word(value.shape)?,
        centre: read::position(value.centre)?,
        radius: value.radius_m.map(MetresU32),
        confidence: value.confidence,
        method: value.method.to_owned(),
        at: value.at_us.map(time).transpose()?,
        civic: value.civic.map(read::sealed),
        refused: read::word(value.refused)?,
        marks: marks?,
    })
}

pub(super) fn place_set<'a>(
    incident: IncidentId,
    place: &Place,
    place_text: Option<&'a hansho_model::Sealed>,
) -> PlaceSet<'a> {
    PlaceSet {
        incident: incident.0.get(),
        district: place.district.map(|district| district.0),
        position: place.position.map(write::position),
        radius_m: place.radius.map(|metres| metres.0),
        confirmed: place.confirmed,
        place_text: write::maybe(place_text),
    }
}

pub(super) fn event_of_place_set(value: PlaceSet<'_>) -> Result<Event, BodyError> {
    let PlaceSet { incident, district, position, radius_m, confirmed, place_text } = value;
    let place = Place {
        district: district.map(DistrictId),
        position: read::position(position)?,
        radius: radius_m.map(MetresU32),
        confirmed,
    };
    let incident = IncidentId(Seq::new(incident));
    Ok(Event::PlaceSet { incident, place, place_text: place_text.map(read::sealed) })
}

pub(super) const fn of_signal(signal: SignalId) -> OfSignal {
    OfSignal { signal: signal.0.get() }
}
