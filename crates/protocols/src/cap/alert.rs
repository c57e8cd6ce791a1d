//! An alert that keeps all rules: what cannot be said by the standard cannot be made.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::simple::{is_any_uri, is_date_time, is_language, is_xml_char};
use super::words::{
    Category, Certainty, MsgType, ResponseType, ScopeWord, Severity, Status, Urgency,
};
use crate::sip::decimal::Decimal;

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its number; with sender and time it names the alert.
    pub identifier: Name,
    /// Who wrote it, such as `alert@hansho.example.jp`.
    pub sender: Name,
    /// When.
    pub sent: Time,
    /// Whether it is meant in earnest.
    pub status: Status,
    /// What it does to earlier ones.
    pub kind: Kind,
    /// Who or what is behind the sender.
    pub source: Option<Text>,
    /// For whom it is.
    pub scope: Scope,
    /// Codes of the sender's own.
    pub codes: Vec<Text>,
    /// A remark: the name of the exercise, the reason of an error.
    pub note: Option<Text>,
    /// Numbers of the incidents (事案) that it is about.
    pub incidents: Option<AtLeastOne<Item>>,
    /// The same in several languages, or several phases; none in a cancellation.
    pub infos: Vec<Info>,
}

/// What an alert does to earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// News. It may name others that it is related to.
    Alert(Vec<Reference>),
    /// Replaces all of these: every version that is still alive.
    Update(AtLeastOne<Reference>),
    /// These were wrong, or are withdrawn. What is over is an update with `AllClear`.
    Cancel(AtLeastOne<Reference>),
    /// These were received.
    Ack(AtLeastOne<Reference>),
    /// These are refused; the note says why.
    Error(AtLeastOne<Reference>),
}

impl Kind {
    /// Its word.
    #[must_use]
    pub const fn word(&self) -> MsgType {
        match self {
            Self::Alert(_) => MsgType::Alert,
            Self::Update(_) => MsgType::Update,
            Self::Cancel(_) => MsgType::Cancel,
            Self::Ack(_) => MsgType::Ack,
            Self::Error(_) => MsgType::Error,
        }
    }

    /// Those that it names.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        match self {
            Self::Alert(references) => references,
            Self::Update(references)
            | Self::Cancel(references)
            | Self::Ack(references)
            | Self::Error(references) => references.as_slice(),
        }
    }
}

/// For whom an alert is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    Public {
        /// Whom it is sent to all the same.
        addresses: Option<AtLeastOne<Item>>,
    },
    /// Those whom the restriction names.
    Restricted {
        /// Who may see it.
        restriction: Text,
        /// Whom it is sent to.
        addresses: Option<AtLeastOne<Item>>,
    },
    /// These.
    Private {
        /// Whom it is sent to.
        addresses: AtLeastOne<Item>,
    },
}

impl Scope {
    /// Its word.
    #[must_use]
    pub const fn word(&self) -> ScopeWord {
        match self {
            Self::Public { .. } => ScopeWord::Public,
            Self::Restricted { .. } => ScopeWord::Restricted,
            Self::Private { .. } => ScopeWord::Private,
        }
    }

    /// Whom it is sent to.
    #[must_use]
    pub fn addresses(&self) -> &[Item] {
        match self {
            Self::Public { addresses } | Self::Restricted { addresses, .. } => {
                addresses.as_ref().map_or(&[], AtLeastOne::as_slice)
            }
            Self::Private { addresses } => addresses.as_slice(),
        }
    }
}

/// What an alert says, in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Of the texts.
    pub language: Language,
    /// What kind of thing it is.
    pub categories: AtLeastOne<Category>,
    /// What it is: 建物火災.
    pub event: Text,
    /// What to do.
    pub response_types: Vec<ResponseType>,
    /// How soon.
    pub urgency: Urgency,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// Whom it is meant for.
    pub audience: Option<Text>,
    /// The event in others' lists.
    pub event_codes: Vec<Pair>,
    /// When it takes effect and expires.
    pub period: Period,
    /// When it is expected to begin.
    pub onset: Option<Time>,
    /// The sender's name, for people.
    pub sender_name: Option<Text>,
    /// One line.
    pub headline: Option<Text>,
    /// All of it.
    pub description: Option<Text>,
    /// What to do, at length.
    pub instruction: Option<Text>,
    /// A page with more; the standard wants it absolute, which is not asked of others.
    pub web: Option<Uri>,
    /// Whom to ask.
    pub contact: Option<Text>,
    /// The sender's own values.
    pub parameters: Vec<Pair>,
    /// Pictures and sounds.
    pub resources: Vec<Resource>,
    /// Where; several are a union.
    pub areas: Vec<Area>,
}

/// A picture, a sound or a page beside an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What it shows.
    pub description: Text,
    /// Its media type.
    pub mime_type: Text,
    /// In bytes, about.
    pub size: Option<u64>,
    /// Where it is, or its name when it stands here.
    pub uri: Option<Uri>,
    /// Itself.
    pub content: Option<Base64>,
    /// Of its bytes.
    pub digest: Option<Digest>,
}

/// A place that people know, and its shapes; all of them are a union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Its name.
    pub description: Text,
    /// Shapes.
    pub polygons: Vec<Polygon>,
    /// Round ones.
    pub circles: Vec<Circle>,
    /// Its codes: `JIS_X0402`, `07204`.
    pub geocodes: Vec<Pair>,
    /// How high it reaches.
    pub heights: Option<Heights>,
}

/// The name of a list of the sender's, and a value of it, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Of the list.
    pub name: Text,
    /// Of the value. Characters that XML does not have are written as U+FFFD.
    pub value: String,
}

/// The three things that name an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Who sent it.
    pub sender: Name,
    /// Under which number.
    pub identifier: Name,
    /// When.
    pub sent: Time,
}

/// One thing or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtLeastOne<T>(Vec<T>);

impl<T> AtLeastOne<T> {
    /// `None` when there is nothing.
    #[must_use]
    pub fn new(all: Vec<T>) -> Option<Self> {
        (!all.is_empty()).then_some(Self(all))
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<T> for AtLeastOne<T> {
    fn from(only: T) -> Self {
        Self(vec![only])
    }
}

/// A checked text, with its constructor and a way to see it.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $text:ident => $good:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// `None` for what it cannot be.
            #[must_use]
            pub fn new($text: &str) -> Option<Self> {
                $good.then(|| Self($text.to_owned()))
            }

            /// As written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

checked! {
    /// A text of any length that says something: characters that XML has, not all of them white
    /// space.
    Text, text => (text.chars().all(is_xml_char) && !text.trim().is_empty())
}

checked! {
    /// What names an alert or its sender: no white space, comma, `<` or `&` (CAP 1.2, 3.2.1).
    Name, text => (!text.is_empty() && text.chars().all(|c| {
        is_xml_char(c) && !c.is_whitespace() && !matches!(c, ',' | '<' | '&')
    }))
}

checked! {
    /// An address or the number of an incident, one of a list: without quotation marks, which are
    /// written around those that hold white space.
    Item, text => (text.chars().all(|c| is_xml_char(c) && c != '"') && !text.trim().is_empty())
}

checked! {
    /// The tag of a language (RFC 3066): `ja-JP`, `ja-x-yasashii` for plain Japanese (やさしい日本語).
    Language, text => is_language(text)
}

checked! {
    /// A URI, or a reference relative to one, without white space. Nobody here follows it.
    Uri, text => (!text.is_empty() && is_any_uri(text)
        && text.chars().all(|c| is_xml_char(c) && !c.is_whitespace()))
}

checked! {
    /// The SHA-1 of a resource, 40 hexadecimal digits. Nobody here computes it.
    Digest, text => (text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

checked! {
    /// Bytes in base64 (RFC 2045), white space anywhere.
    Base64, text => is_base64(text)
}

impl Language {
    /// What a text is in that does not say (CAP 1.2, 3.2.2).
    #[must_use]
    pub fn unsaid() -> Self {
        Self("en-US".to_owned())
    }
}

fn is_base64(text: &str) -> bool {
    let solid = || text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let padding = solid().rev().take_while(|byte| *byte == b'=').count();
    let count = solid().count();
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    count > 0
        && count.is_multiple_of(4)
        && padding <= 2
        && solid().take(count.saturating_sub(padding)).all(digit)
}

/// A time with the offset of its place, to the second. UTC is written `-00:00`.
///
/// Two are equal when they are written alike, as it is the text that names an alert; the moment is
/// [`Time::at`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    text: String,
    at: Timestamp,
}

impl Time {
    /// A moment as the clocks of a place show it, cut to the second; of the offset its hours and
    /// minutes. `None` outside of the years 1 to 9999 and of offsets of 14 hours.
    #[must_use]
    pub fn new(at: Timestamp, offset: Offset) -> Option<Self> {
        let minutes = offset.seconds().checked_div(60)?;
        let offset = Offset::from_seconds(minutes.checked_mul(60)?).ok()?;
        let local = offset.to_datetime(at);
        let sign = if minutes > 0 { '+' } else { '-' };
        let minutes = minutes.unsigned_abs();
        let offset = format!("{:02}:{:02}", minutes.div_euclid(60), minutes.rem_euclid(60));
        Self::parse(&format!("{}{sign}{offset}", local.strftime("%Y-%m-%dT%H:%M:%S")))
    }

    /// `2025-11-23T08:45:00+09:00`, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at = is_date_time(text).then(|| text.parse().ok())??;
        Some(Self { text: text.to_owned(), at })
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The moment.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// From when until when an alert holds. Without a beginning it begins when it is sent; without an
/// end, the reader decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Period {
    effective: Option<Time>,
    expires: Option<Time>,
}

impl Period {
    /// `None` when it ends before it begins.
    #[must_use]
    pub fn new(effective: Option<Time>, expires: Option<Time>) -> Option<Self> {
        let backwards = match (&effective, &expires) {
            (Some(effective), Some(expires)) => expires.at < effective.at,
            (None, _) | (_, None) => false,
        };
        (!backwards).then_some(Self { effective, expires })
    }

    /// Its beginning.
    #[must_use]
    pub const fn effective(&self) -> Option<&Time> {
        self.effective.as_ref()
    }

    /// Its end.
    #[must_use]
    pub const fn expires(&self) -> Option<&Time> {
        self.expires.as_ref()
    }
}

/// A place on Earth, WGS 84, in units of 1e-9 degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    lat: Decimal,
    lon: Decimal,
}

impl Point {
    /// `None` beyond a pole, or beyond 180 degrees.
    #[must_use]
    pub fn new(lat: Decimal, lon: Decimal) -> Option<Self> {
        let within = |value: Decimal, most: i32| {
            (Decimal::whole(most.saturating_neg())..=Decimal::whole(most)).contains(&value)
        };
        (within(lat, 90) && within(lon, 180)).then_some(Self { lat, lon })
    }

    /// Latitude, -90 to 90.
    #[must_use]
    pub const fn lat(self) -> Decimal {
        self.lat
    }

    /// Longitude, -180 to 180.
    #[must_use]
    pub const fn lon(self) -> Decimal {
        self.lon
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.lat, self.lon)
    }
}

/// A shape with straight edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polygon(Vec<Point>);

impl Polygon {
    /// `None` with fewer than four points, or when the last is not the first.
    #[must_use]
    pub fn new(points: Vec<Point>) -> Option<Self> {
        (points.len() >= 4 && points.first() == points.last()).then_some(Self(points))
    }

    /// Its points, the first one at the end again.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.0
    }
}

/// A round shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circle {
    centre: Point,
    radius_km: Decimal,
}

impl Circle {
    /// `None` with a negative radius; 0 is a point.
    #[must_use]
    pub fn new(centre: Point, radius_km: Decimal) -> Option<Self> {
        (radius_km >= Decimal::ZERO).then_some(Self { centre, radius_km })
    }

    /// Its centre.
    #[must_use]
    pub const fn centre(self) -> Point {
        self.centre
    }

    /// Its radius in kilometres, 0 or more.
    #[must_use]
    pub const fn radius_km(self) -> Decimal {
        self.radius_km
    }
}

/// A height, or what lies between two, in feet above mean sea level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heights {
    altitude_ft: Decimal,
    ceiling_ft: Option<Decimal>,
}

impl Heights {
    /// `None` when the ceiling lies lower.
    #[must_use]
    pub fn new(altitude_ft: Decimal, ceiling_ft: Option<Decimal>) -> Option<Self> {
        let good = ceiling_ft.is_none_or(|ceiling| ceiling >= altitude_ft);
        good.then_some(Self { altitude_ft, ceiling_ft })
    }

    /// The height, or the lower one.
    #[must_use]
    pub const fn altitude_ft(self) -> Decimal {
        self.altitude_ft
    }

    /// The upper one.
    #[must_use]
    pub const fn ceiling_ft(self) -> Option<Decimal> {
        self.ceiling_ft
    }
}
