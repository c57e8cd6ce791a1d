//! Presence documents with a caller's location (PIDF-LO): RFC 4119, 5139, 5491, 7459.
//!
//! Elements are known by namespace, never by prefix. Latitude comes first, and two numbers are
//! never swapped. A document type declaration is refused before anything is parsed.

use hansho_model::{LocationFault, LocationShape};
use jiff::Timestamp;
use roxmltree::{Document, Node, ParsingOptions};

use super::decimal::{Decimal, NumberFault};
use super::shape;
use crate::time::time;

/// Largest document that is read.
pub const DOCUMENT_SIZE_MAX: usize = 65_536;
/// Most elements and texts of a document that are read.
const NODES_MAX: u32 = 16_384;
/// Most civic elements that are kept.
const CIVIC_COUNT_MAX: usize = 64;

const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
const GEOPRIV: &str = "urn:ietf:params:xml:ns:pidf:geopriv10";
const CIVIC: &str = "urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr";
const CONFIDENCE: &str = "urn:ietf:params:xml:ns:geopriv:conf";

/// Element that a location stood in. RFC 5491: a device comes before a tuple, a person last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Container {
    /// `device` of the data model.
    Device,
    /// `tuple`.
    Tuple,
    /// `person` of the data model.
    Person,
    /// None at all: it stood directly in the presence.
    Geopriv,
}

impl Container {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Tuple => "tuple",
            Self::Person => "person",
            Self::Geopriv => "geopriv",
        }
    }
}

/// A shape, with those of its numbers that its kind has. Lengths in metres, angles in degrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geodetic {
    /// Kind.
    pub shape: LocationShape,
    /// Latitude of its position; polygons and prisms have none.
    pub lat: Option<Decimal>,
    /// Longitude of its position.
    pub lon: Option<Decimal>,
    /// Height above the ellipsoid.
    pub alt_m: Option<Decimal>,
    /// Radius.
    pub radius_m: Option<Decimal>,
    /// Longer half axis.
    pub semi_major_m: Option<Decimal>,
    /// Shorter half axis.
    pub semi_minor_m: Option<Decimal>,
    /// Vertical half axis.
    pub vertical_m: Option<Decimal>,
    /// Direction of the longer axis.
    pub orientation_deg: Option<Decimal>,
    /// Inner radius.
    pub inner_m: Option<Decimal>,
    /// Outer radius.
    pub outer_m: Option<Decimal>,
    /// Where an arc begins, clockwise from north.
    pub start_deg: Option<Decimal>,
    /// How far it goes on.
    pub opening_deg: Option<Decimal>,
    /// Latitudes and longitudes of a ring, closed.
    pub ring: Vec<(Decimal, Decimal)>,
    /// Height of a prism.
    pub height_m: Option<Decimal>,
}

/// What a document says of the chance that the caller is within its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    /// Nothing: RFC 7459 has 95 per cent assumed.
    Absent,
    /// That it is unknown, or what cannot be read.
    Unknown,
    /// Per cent.
    Percent(Decimal),
}

/// A location as a document gives it. It has a shape, a civic address, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where in the document it stood.
    pub container: Container,
    /// Shape.
    pub geodetic: Option<Geodetic>,
    /// Civic address in the order of the document: name, or `{namespace}name`, and text.
    pub civic: Vec<(String, String)>,
    /// How it was found.
    pub method: Option<String>,
    /// When it was true, as written and as understood; without a zone there is no time.
    pub timestamp: Option<(String, Timestamp)>,
    /// Chance.
    pub confidence: Confidence,
    /// Whether the document holds more locations than this one.
    pub more_locations: bool,
    /// Why the shape beside a good civic address could not be used.
    pub partial_error: Option<LocationFault>,
}

/// Why a document has no location that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which rule it broke.
    pub fault: LocationFault,
    /// Whether its numbers would make sense the other way round.
    pub looks_swapped: bool,
}

impl From<LocationFault> for Refused {
    fn from(fault: LocationFault) -> Self {
        Self { fault, looks_swapped: false }
    }
}

/// Reads a document and picks the location that counts.
///
/// # Errors
///
/// When there is none that can be used; that is never a reason to refuse a call.
pub fn read(bytes: &[u8]) -> Result<Located, Refused> {
    if bytes.len() > DOCUMENT_SIZE_MAX {
        return Err(LocationFault::Size.into());
    }
    if has_doctype(bytes) {
        return Err(LocationFault::Dtd.into());
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_error| LocationFault::Xml)?;
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text.trim_ascii_start(), options)
        .map_err(|_error| LocationFault::Xml)?;
    let root = document.root_element();
    if !root.has_tag_name((PIDF, "presence")) {
        return Err(LocationFault::Namespace.into());
    }
    choose(&candidates(root))
}

fn has_doctype(bytes: &[u8]) -> bool {
    const WORD: &[u8] = b"<!DOCTYPE";
    bytes.windows(WORD.len()).any(|window| window.eq_ignore_ascii_case(WORD))
}

/// A `geopriv` element and what it stands in.
struct Candidate<'a> {
    container: Container,
    outer: Node<'a, 'a>,
    geopriv: Node<'a, 'a>,
}

fn candidates<'a>(root: Node<'a, 'a>) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for outer in root.children().filter(Node::is_element) {
        let name = outer.tag_name();
        let ours = matches!(name.namespace(), Some(PIDF | DATA_MODEL));
        let container = match name.name() {
            "geopriv" if name.namespace() == Some(GEOPRIV) => Container::Geopriv,
            "device" if ours => Container::Device,
            "tuple" if ours => Container::Tuple,
            "person" if ours => Container::Person,
            _ => continue,
        };
        let inner = outer.descendants().filter(|node| node.has_tag_name((GEOPRIV, "geopriv")));
        found.extend(inner.map(|geopriv| Candidate { container, outer, geopriv }));
    }
    found.sort_by_key(|candidate| candidate.container);
    found
}

/// The first location that can be used; else the first fault, where "there is none" comes last.
fn choose(candidates: &[Candidate<'_>]) -> Result<Located, Refused> {
    let mut chosen: Option<Located> = None;
    let mut refused: Option<Refused> = None;
    for candidate in candidates {
        match (locate(candidate), &mut chosen) {
            (Ok(_another), Some(first)) => first.more_locations = true,
            (Ok(first), None) => chosen = Some(first),
            (Err(Refused { fault: LocationFault::NoLocation, .. }), _) => {}
            (Err(fault), _) => {
                refused.get_or_insert(fault);
            }
        }
    }
    chosen.ok_or_else(|| refused.unwrap_or_else(|| LocationFault::NoLocation.into()))
}

fn locate(candidate: &Candidate<'_>) -> Result<Located, Refused> {
    let infos = || children(candidate.geopriv, GEOPRIV, "location-info");
    let geodetic = infos().find_map(shape::find);
    let civic: Vec<(String, String)> = infos()
        .flat_map(|info| children(info, CIVIC, "civicAddress"))
        .map(civic)
        .find(|civic| !civic.is_empty())
        .unwrap_or_default();
    let (geodetic, partial_error) = match geodetic {
        None if civic.is_empty() => return Err(LocationFault::NoLocation.into()),
        None => (None, None),
        Some(Ok(shape)) => (Some(shape), None),
        Some(Err(fault)) if civic.is_empty() => return Err(fault),
        Some(Err(Refused { fault, .. })) => (None, Some(fault)),
    };
    Ok(Located {
        container: candidate.container,
        geodetic,
        civic,
        method: child_text(candidate.geopriv, GEOPRIV, "method"),
        timestamp: timestamp(candidate),
        confidence: infos().find_map(confidence).unwrap_or(Confidence::Absent),
        more_locations: false,
        partial_error,
    })
}

fn civic(address: Node<'_, '_>) -> Vec<(String, String)> {
    let elements = address.children().filter(Node::is_element);
    let named = elements.map(|element| {
        let name = element.tag_name();
        let key = match name.namespace() {
            Some(CIVIC) | None => name.name().to_owned(),
            Some(other) => format!("{{{other}}}{}", name.name()),
        };
        (key, text(element))
    });
    named.filter(|(_name, text)| !text.is_empty()).take(CIVIC_COUNT_MAX).collect()
}

/// A zone is needed: without one nobody can tell nine hours apart in Japan.
fn timestamp(candidate: &Candidate<'_>) -> Option<(String, Timestamp)> {
    let stamp = |node: Node<'_, '_>| {
        [PIDF, DATA_MODEL].iter().find_map(|namespace| child_text(node, namespace, "timestamp"))
    };
    let found = match candidate.container {
        Container::Geopriv => {
            stamp(candidate.outer).or_else(|| stamp(candidate.outer.parent_element()?))
        }
        Container::Device | Container::Tuple | Container::Person => stamp(candidate.outer),
    };
    let text = found?;
    let at = time(&text)?;
    Some((text, at))
}

fn confidence(info: Node<'_, '_>) -> Option<Confidence> {
    let said = child_text(info, CONFIDENCE, "confidence")?;
    let hundred = Decimal::whole(100);
    let percent = Decimal::parse(&said).ok();
    let percent = percent.filter(|percent| (Decimal::ZERO..=hundred).contains(percent));
    Some(percent.map_or(Confidence::Unknown, Confidence::Percent))
}

/// Children of this name.
pub(super) fn children<'a>(
    node: Node<'a, 'a>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

/// Text of an element, on both sides of comments, without white space around it.
pub(super) fn text(node: Node<'_, '_>) -> String {
    let texts = node.children().filter(Node::is_text).filter_map(|child| child.text());
    texts.collect::<String>().trim().to_owned()
}

fn child_text(node: Node<'_, '_>, namespace: &str, name: &str) -> Option<String> {
    let child = node.children().find(|child| child.has_tag_name((namespace, name)))?;
    Some(text(child)).filter(|text| !text.is_empty())
}

impl From<NumberFault> for Refused {
    fn from(fault: NumberFault) -> Self {
        match fault {
            NumberFault::NotANumber => LocationFault::Number.into(),
            NumberFault::Huge => LocationFault::Range.into(),
        }
    }
}
