//! Common Alerting Protocol (CAP) 1.2: alerts as XML, in and out, and feeds of them.
//!
//! - **Transport**: any; media type [`MEDIA_TYPE`].
//! - **Source**: OASIS CAP 1.2 of 2010, section 3.2, and its schema `CAP-v1.2.xsd`; EDXL-DE 1.0; RFC
//!   4287 and 4151 for the feed.
//! - **Limits**: a document has at most [`DOCUMENT_SIZE_MAX`] bytes, [`ELEMENT_COUNT_MAX`] elements,
//!   [`DEPTH_MAX`] in each other, each with at most [`TAG_SIZE_MAX`] bytes of attributes, and
//!   [`NAMESPACE_COUNT_MAX`] declarations of namespaces; a feed [`ENTRY_COUNT_MAX`] entries.
//! - **Encodings**: UTF-8, UTF-16, ISO-8859-1 and US-ASCII. Others, ISO-2022-JP too, are refused and
//!   never guessed at.
//!
//! It is read in two steps. [`Document::read`] says what stands in a document, of version 1.0, 1.1 or
//! 1.2, alone or wrapped in EDXL-DE 1.0, however wrong: raw texts, and what the schema has against it.
//! [`Found::accept`] makes an [`Alert`] of what keeps all rules of 1.2, those of the schema and those
//! that stand in the text alone; [`read`] is both. An `Alert` cannot be made against these rules, so
//! that what [`write`](fn@write) writes is always accepted.
//!
//! A document type declaration is refused before anything is parsed. A signature is recognised and not
//! verified: who wants to keeps the bytes that came. `addresses`, `note` and the like with nothing in
//! them count as absent. `+00:00` is taken, though the text wants `-00:00`: the schema has it, and
//! clocks in Iceland show it.
//!
//! What it must not be mistaken for: [`Alert::status`] says whether an alert is meant in earnest, and
//! whoever takes one in looks there, never at its texts. That an alert has expired is for its reader to
//! see: there is no clock here.
//!
//! A call-out of the fire corps goes to its members alone:
//!
//! ```
//! use hansho_protocols::cap::{
//!     Alert, Area, AtLeastOne, Category, Certainty, Circle, Info, Kind, Language, Name, Pair, Period,
//!     Point, Reference, ResponseType, Scope, Severity, Status, Text, Time, Urgency, read, write,
//! };
//! use hansho_protocols::sip::decimal::Decimal;
//!
//! # fn main() { example().unwrap() }
//! # fn example() -> Option<()> {
//! let sent = Time::parse("2026-11-23T08:45:00+09:00")?;
//! let centre = Point::new(Decimal::parse("37.0505").ok()?, Decimal::parse("140.8876").ok()?)?;
//! let area = Area {
//!     description: Text::new("いわき市平")?,
//!     polygons: Vec::new(),
//!     circles: vec![Circle::new(centre, Decimal::parse("0.5").ok()?)?],
//!     geocodes: vec![Pair { name: Text::new("JIS_X0402")?, value: "07204".to_owned() }],
//!     heights: None,
//! };
//! let info = Info {
//!     language: Language::new("ja-JP")?,
//!     categories: Category::Fire.into(),
//!     event: Text::new("建物火災")?,
//!     response_types: vec![ResponseType::Execute],
//!     urgency: Urgency::Immediate,
//!     severity: Severity::Severe,
//!     certainty: Certainty::Observed,
//!     audience: None,
//!     event_codes: Vec::new(),
//!     period: Period::new(Some(sent.clone()), None)?,
//!     onset: None,
//!     sender_name: Text::new("いわき市消防本部"),
//!     headline: Text::new("【火災出動】平 一般建物火災"),
//!     description: Text::new("出動 平方面隊 第1分団。"),
//!     instruction: None,
//!     web: None,
//!     contact: None,
//!     parameters: Vec::new(),
//!     resources: Vec::new(),
//!     areas: vec![area],
//! };
//! let call_out = Alert {
//!     identifier: Name::new("HANSHO-20261123-0001")?,
//!     sender: Name::new("alert@hansho.example.jp")?,
//!     sent,
//!     status: Status::Actual,
//!     kind: Kind::Alert(Vec::new()),
//!     source: None,
//!     scope: Scope::Restricted { restriction: Text::new("消防団員のみ")?, addresses: None },
//!     codes: Vec::new(),
//!     note: None,
//!     incidents: None,
//!     infos: vec![info],
//! };
//! assert_eq!(read(write(&call_out).as_bytes()).as_ref(), Ok(&call_out));
//!
//! // The fire is out (鎮火): an update that names every version still alive, no cancellation.
//! let mut out = call_out.clone();
//! out.identifier = Name::new("HANSHO-20261123-0002")?;
//! out.sent = Time::parse("2026-11-23T10:20:00+09:00")?;
//! out.kind = Kind::Update(AtLeastOne::from(Reference {
//!     sender: call_out.sender.clone(),
//!     identifier: call_out.identifier.clone(),
//!     sent: call_out.sent.clone(),
//! }));
//! out.infos[0].response_types = vec![ResponseType::AllClear];
//! out.infos[0].urgency = Urgency::Past;
//! assert_eq!(read(write(&out).as_bytes()).as_ref(), Ok(&out));
//!
//! // The same as a drill (訓練): its status says so, and the note which one.
//! let mut exercise = call_out.clone();
//! exercise.status = Status::Exercise;
//! exercise.note = Text::new("令和8年度秋季火災予防訓練");
//! exercise.infos[0].headline = Text::new("【訓練】火災出動 平 一般建物火災");
//! assert_eq!(read(write(&exercise).as_bytes()).as_ref(), Ok(&exercise));
//! # Some(())
//! # }
//! ```

mod accept;
mod alert;
pub mod atom;
mod document;
mod encoding;
mod fault;
mod guard;
mod schema;
mod simple;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use accept::read;
pub use alert::{
    Alert, Area, AtLeastOne, Base64, Circle, Digest, Heights, Info, Item, Kind, Language, Name,
    Pair, Period, Point, Polygon, Reference, Resource, Scope, Text, Time, Uri,
};
pub use atom::ENTRY_COUNT_MAX;
pub use document::{Document, Element, Found, Version};
pub use fault::CapFault;
pub use guard::{DEPTH_MAX, ELEMENT_COUNT_MAX, NAMESPACE_COUNT_MAX, TAG_SIZE_MAX};
pub use words::{Category, Certainty, MsgType, ResponseType, ScopeWord, Severity, Status, Urgency};
pub use write::write;

/// Largest document that is read, in bytes.
pub const DOCUMENT_SIZE_MAX: usize = 1_048_576;
/// Media type of an alert.
pub const MEDIA_TYPE: &str = "application/cap+xml";

const CAP_1_0: &str = "http://www.incident.com/cap/1.0";
const CAP_1_1: &str = "urn:oasis:names:tc:emergency:cap:1.1";
const CAP_1_2: &str = "urn:oasis:names:tc:emergency:cap:1.2";
const EDXL_DE: &str = "urn:oasis:names:tc:emergency:EDXL:DE:1.0";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
