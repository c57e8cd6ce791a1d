//! Calls to 119: what the telephone side says, and where the caller is.
//!
//! The same shapes serve in the clear, between the wire and the seal, and sealed, in the core and
//! the journal: `T` is a personal text, `B` are personal bytes.

use std::fmt;

use jiff::Timestamp;

use crate::alarm::words;
use crate::{MetresU32, Position, Private, Sealed};

/// A call's name at its door, the same in everything that is said of it: at most 255 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallRef(pub String);

impl fmt::Display for CallRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the telephone side says of a call, in the clear.
pub type CallReport = CallSaid<Private<String>, Private<Vec<u8>>>;
/// The same with its personal parts sealed: what the core takes and the journal keeps.
pub type SealedCallReport = CallSaid<Sealed, Sealed>;

/// What the telephone side says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSaid<T, B> {
    /// Which call.
    pub call: CallRef,
    /// When the signalling had it.
    pub received_at: Timestamp,
    /// Whether it was answered before it was in the journal, because there was no core to write it
    /// down: it stood in the supervisor's spool until then.
    pub unrecorded: bool,
    /// What happened.
    pub fact: CallFact<T, B>,
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFact<T, B> {
    /// Somebody calls (入電).
    Offered(Box<CallOffer<T, B>>),
    /// The caller hung up before anybody answered.
    Abandoned,
    /// A seat's phone took it: the two can speak.
    Connected {
        /// Seat, such as `desk1`.
        position: String,
    },
    /// A seat's phone did not take it.
    NotConnected {
        /// Seat.
        position: String,
        /// SIP status, 300 to 699; 408 when the phone never answered.
        status: u16,
    },
    /// The connection is over.
    Ended {
        /// Who hung up.
        by: CallEnd,
    },
}

words! {
    /// What came of calling back.
    CallBackOutcome {
        /// Somebody was reached.
        Reached = "reached",
        /// Nobody answered.
        NoAnswer = "no_answer",
        /// Busy.
        Busy = "busy",
        /// It was another's number.
        WrongNumber = "wrong_number",
    }
}

words! {
    /// Who ended a call.
    CallEnd {
        /// The caller.
        Caller = "caller",
        /// The seat.
        Desk = "desk",
        /// Nobody: a leg died.
        Lost = "lost",
    }
}

/// A call as it was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOffer<T, B> {
    /// Number as the network gives it, such as `+819000000001`; `None` when it gives none.
    pub number: Option<T>,
    /// Whether the caller asked that the number be withheld (184): hidden until it is asked for
    /// with a reason.
    pub withheld: bool,
    /// Service that was asked for, without `urn:service:`: `sos`, `sos.fire`; empty when the
    /// request names none. At most 64 bytes.
    pub service: String,
    /// Where the caller is, a line for each source, in the order of the request. At most 8.
    pub locations: Vec<CallerLocation<T>>,
    /// Address and port of the sender.
    pub peer: T,
    /// The request as it came, at most 65,536 bytes.
    pub raw: B,
}

words! {
    /// How a location came.
    LocationSource {
        /// In the request itself.
        Value = "value",
        /// As an address to ask.
        Reference = "reference",
    }
}

words! {
    /// Shape of a caller's location, as RFC 5491 names them.
    LocationShape {
        /// Point: how far off it may be is unknown.
        Point = "point",
        /// Circle.
        Circle = "circle",
        /// Ellipse.
        Ellipse = "ellipse",
        /// Part of a ring around a mast.
        ArcBand = "arcband",
        /// Polygon.
        Polygon = "polygon",
        /// Sphere.
        Sphere = "sphere",
        /// Ellipsoid.
        Ellipsoid = "ellipsoid",
        /// Polygon with a height.
        Prism = "prism",
    }
}

words! {
    /// Why there is no point on the map, as the conformance files name it. Never a reason to drop
    /// or delay a call.
    LocationFault {
        /// Not well-formed XML.
        Xml = "xml",
        /// A document type declaration.
        Dtd = "dtd",
        /// The root or a needed element is in another namespace.
        Namespace = "namespace",
        /// There is no location in it.
        NoLocation = "no-location",
        /// Another datum than WGS 84.
        Crs = "crs",
        /// A coordinate or size out of its range.
        Range = "range",
        /// Not a number.
        Number = "number",
        /// A unit we do not know.
        Uom = "uom",
        /// A shape without its parts.
        Shape = "shape",
        /// A ring that is not closed, or too short.
        Ring = "ring",
        /// The header names a part of the body that is not there.
        CidMissing = "cid-missing",
        /// The header cannot be read.
        Syntax = "syntax",
        /// An address of a kind that we do not follow.
        Scheme = "scheme",
        /// More bytes or parts than we read, or fewer than the message claims.
        Size = "size",
        /// An address to ask that nobody has asked.
        NotAsked = "not-asked",
    }
}

words! {
    /// What is odd about a location that is shown all the same.
    LocationMark {
        /// More than 120 s older than the call.
        Stale = "stale",
        /// More than 5 s in the future.
        Clock = "clock",
        /// It does not say when it was true.
        NoTime = "no-time",
        /// Farther than 30 km from the city.
        Outside = "outside",
        /// More than 1,000 m wide: an area, never a pin.
        Wide = "wide",
        /// The two numbers would make sense the other way round.
        LooksSwapped = "looks-swapped",
    }
}

/// Where a caller is, as one source says (位置情報通知). Never overwritten: the next one is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerLocation<T> {
    /// How it came.
    pub source: LocationSource,
    /// Shape; `None` when it is refused or in words only.
    pub shape: Option<LocationShape>,
    /// Middle of the shape.
    pub centre: Option<Position>,
    /// A circle of this radius around the middle holds the whole shape, rounded up; `None` when it
    /// is unknown how far off it may be, which never means "exact".
    pub radius: Option<MetresU32>,
    /// Chance in per cent that the caller is within, 0 to 100; `None` when unknown.
    pub confidence: Option<u8>,
    /// How it was found, such as `GPS` or `Cell`: at most 32 bytes, empty when it does not say.
    pub method: String,
    /// When it was true.
    pub at: Option<Timestamp>,
    /// In words (civic address), at most 1,024 bytes.
    pub civic: Option<T>,
    /// Why it has no point, if it has none for a fault.
    pub refused: Option<LocationFault>,
    /// What is odd about it.
    pub marks: Vec<LocationMark>,
}
