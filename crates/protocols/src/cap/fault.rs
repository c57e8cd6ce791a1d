//! What can be wrong with a document, each with its remedy.

/// Longest piece of a document, in characters, that a fault repeats.
const QUOTE_CHARS_MAX: usize = 64;

/// Why a document, or an alert in it, is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapFault {
    /// Too large to be looked at.
    #[error("{size} bytes, where at most {limit} are read")]
    Size {
        /// Of the document, in bytes.
        size: usize,
        /// [`DOCUMENT_SIZE_MAX`](super::DOCUMENT_SIZE_MAX).
        limit: usize,
    },
    /// Holds more of something than is read.
    #[error("more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// Has a document type declaration. Nothing of it was expanded or fetched.
    #[error("a document type declaration")]
    Doctype,
    /// Is in an encoding that is not read; it is refused rather than shown garbled.
    #[error("in the encoding `{label}`")]
    Encoding {
        /// As declared.
        label: String,
    },
    /// Has bytes that its encoding does not have, or characters that XML does not.
    #[error("bytes or characters that no document can have")]
    Characters,
    /// Is no well-formed XML with namespaces.
    #[error("no well-formed XML, line {line}")]
    Xml {
        /// Where it ceases to be, from 1.
        line: u32,
    },
    /// Has an XML declaration that is none, or does not stand at the start.
    #[error("an XML declaration that is none, or does not stand at the start")]
    Declaration,
    /// Declares two default namespaces at once, or a prefix for none.
    #[error("two default namespaces at once, or a prefix for none")]
    Namespaces,
    /// Its root is something else, and holds no alerts that are looked for.
    #[error("the root is `{root}`, which is no alert")]
    NotAnAlert {
        /// Name of the root.
        root: String,
    },
    /// One alert was asked for.
    #[error("{count} alerts in the wrapper, where one is expected")]
    AlertCount {
        /// Those that were found.
        count: usize,
    },
    /// Of another version than 1.2, or of none.
    #[error("of the namespace `{namespace}`, which is not that of CAP 1.2")]
    Version {
        /// Of the alert.
        namespace: String,
    },
    /// An element that must be there is not.
    #[error("`{within}` has no `{element}` where it belongs")]
    Missing {
        /// The element.
        element: &'static str,
        /// What it belongs into.
        within: &'static str,
    },
    /// An element that is unknown, stands out of order, or once too often.
    #[error("`{element}` is not expected at its place in `{within}`")]
    Unexpected {
        /// The element.
        element: String,
        /// What it stands in.
        within: &'static str,
    },
    /// An attribute, where CAP has none.
    #[error("`{element}` has the attribute `{attribute}`")]
    Attribute {
        /// The element.
        element: &'static str,
        /// The attribute.
        attribute: String,
    },
    /// Text between elements.
    #[error("`{within}` has text between its elements")]
    StrayText {
        /// What it stands in.
        within: &'static str,
    },
    /// A value that its element cannot have.
    #[error("`{element}` is `{text}`, which is no {form}")]
    Value {
        /// The element.
        element: &'static str,
        /// Its text, cut.
        text: String,
        /// What it should be.
        form: &'static str,
    },
    /// Nothing but white space, where something must be said.
    #[error("`{element}` is empty")]
    Empty {
        /// The element.
        element: &'static str,
    },
    /// A space, a comma, `<` or `&` in what names an alert or its sender.
    #[error("`{element}` is `{text}`, with a space, a comma, `<` or `&`")]
    Name {
        /// The element.
        element: &'static str,
        /// Its text, cut.
        text: String,
    },
    /// An update, a cancellation, an acknowledgement or an error that names nothing.
    #[error("`{kind}` without `references`")]
    NoReferences {
        /// `msgType`.
        kind: &'static str,
    },
    /// Something in `references` that is no `sender,identifier,sent`.
    #[error("`{text}` in `references` is no sender,identifier,sent")]
    Reference {
        /// The item, cut.
        text: String,
    },
    /// `Restricted` without saying to whom.
    #[error("`Restricted` without `restriction`")]
    NoRestriction,
    /// `Private` without saying to whom.
    #[error("`Private` without `addresses`")]
    NoAddresses,
    /// A list whose quotation marks do not come in pairs, or stand inside an item.
    #[error("`{element}` has a quotation mark that is not closed, or stands inside an item")]
    Quotes {
        /// The element.
        element: &'static str,
    },
    /// A place that is not on Earth.
    #[error("`{text}` in `{element}` is no latitude,longitude{}", swapped_hint(*.looks_swapped))]
    Place {
        /// The element.
        element: &'static str,
        /// The place, cut.
        text: String,
        /// Whether it would be one the other way round.
        looks_swapped: bool,
    },
    /// A polygon with fewer than four points, or that does not end where it began.
    #[error("a polygon of {points} points that {}", if *.closed { "is closed" } else { "is open" })]
    Polygon {
        /// How many points it has.
        points: usize,
        /// Whether the last one is the first one.
        closed: bool,
    },
    /// A circle without a radius that is a number of kilometres from 0 up.
    #[error("`{text}` is no circle: latitude,longitude radius")]
    Circle {
        /// The circle, cut.
        text: String,
    },
    /// `ceiling` without `altitude`, or below it.
    #[error("`ceiling` without `altitude`, or below it")]
    Ceiling,
    /// Expires before it takes effect.
    #[error("expires before it takes effect")]
    Expires,
    /// The wrapper and the alert in it do not agree on whether it is meant in earnest.
    #[error("the wrapper is `{wrapper}`, the alert in it `{alert}`")]
    WrapperStatus {
        /// `distributionStatus`, cut.
        wrapper: String,
        /// `status`.
        alert: &'static str,
    },
}

fn swapped_hint(looks_swapped: bool) -> &'static str {
    if looks_swapped { "; it would be the other way round" } else { "" }
}

impl CapFault {
    /// How its sender mends it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Size { .. } | Self::Limit { .. } => "send less, and large resources by `uri`",
            Self::Doctype => "leave the document type declaration out",
            Self::Encoding { .. } | Self::Characters => "write UTF-8, and declare it or nothing",
            Self::Xml { .. } | Self::Declaration | Self::Namespaces => {
                "let a writer of XML write it"
            }
            Self::NotAnAlert { .. } => "send a CAP alert, or EDXL-DE 1.0 with alerts in it",
            Self::AlertCount { .. } => "wrap one alert each",
            Self::Version { .. } => "use the namespace urn:oasis:names:tc:emergency:cap:1.2",
            Self::Missing { .. } => "add it, in the order of the standard",
            Self::Unexpected { .. } => "take it out, or put it where the standard has it",
            Self::Attribute { .. } => "leave the attribute out",
            Self::StrayText { .. } => "leave nothing but white space between elements",
            Self::Value { .. } => "write it as the standard says; upper and lower case count",
            Self::Empty { .. } => "say it, or leave the element out where it may be left out",
            Self::Name { .. } => "use letters, digits and marks, without white space",
            Self::NoReferences { .. } => "name every earlier message that it is about",
            Self::Reference { .. } => {
                "write sender,identifier,sent exactly as that message has them"
            }
            Self::NoRestriction => "say in `restriction` who may see it",
            Self::NoAddresses => "say in `addresses` for whom it is",
            Self::Quotes { .. } => {
                "put items with spaces into double quotes, and quotes nowhere else"
            }
            Self::Place { .. } => "write latitude first, in degrees of WGS 84: 37.05,140.88",
            Self::Polygon { .. } => "give four points or more, the last one the same as the first",
            Self::Circle { .. } => "write latitude,longitude, a space, and kilometres from 0 up",
            Self::Ceiling => "give `altitude` too, and `ceiling` not below it",
            Self::Expires => "let `expires` come after `effective`",
            Self::WrapperStatus { .. } => "give the wrapper and the alert the same status",
        }
    }
}

/// The beginning of what stands in a document, as a fault repeats it.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(QUOTE_CHARS_MAX).collect()
}
