//! What a document says, good or bad: texts as they stand, nothing trimmed.

use roxmltree::{Node, ParsingOptions};

use super::fault::{CapFault, cut};
use super::{CAP_1_0, CAP_1_1, CAP_1_2, DOCUMENT_SIZE_MAX, EDXL_DE, SIGNATURE};
use super::{encoding, guard, schema};

/// Most nodes of a document: elements, texts and comments.
const NODE_COUNT_MAX: u32 = 131_072;
/// Root of an EDXL-DE wrapper.
const WRAPPER: &str = "EDXLDistribution";

/// A version of CAP, known by its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.0, of 2004.
    V1_0,
    /// 1.1, of 2005.
    V1_1,
    /// 1.2, of 2010: the one that is accepted and written.
    V1_2,
}

impl Version {
    fn of(namespace: Option<&str>) -> Option<Self> {
        match namespace? {
            CAP_1_0 => Some(Self::V1_0),
            CAP_1_1 => Some(Self::V1_1),
            CAP_1_2 => Some(Self::V1_2),
            _ => None,
        }
    }

    /// `1.0`, `1.1` or `1.2`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

/// An element with those below it that are of its own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Name without a prefix.
    pub name: String,
    /// Its own text, on both sides of what stands in it.
    pub text: String,
    /// In the order of the document.
    pub children: Vec<Self>,
}

impl Element {
    /// The children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Text of the first child of this name.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.first(name).map(|child| child.text.as_str())
    }
}

/// An alert in a document, whatever is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Itself.
    pub element: Element,
    /// By its namespace, which may be none of ours.
    pub version: Option<Version>,
    /// That namespace.
    pub namespace: Option<String>,
    /// Whether it holds an XML signature. Nobody has verified it.
    pub signed: bool,
    /// What the schema of CAP 1.2 has against it.
    pub schema: Result<(), CapFault>,
    /// `distributionStatus` of the wrapper that it came in.
    pub(super) wrapper_status: Option<String>,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Name of its root, without a prefix.
    pub root: String,
    /// Namespace of its root.
    pub namespace: Option<String>,
    /// Version, when that namespace is one of CAP's.
    pub version: Option<Version>,
    /// The root, or those in an EDXL-DE 1.0 wrapper; none in anything else.
    pub alerts: Vec<Found>,
}

impl Document {
    /// Reads what a document says.
    ///
    /// # Errors
    ///
    /// When it is too large, declares a document type, is in an encoding that is not read, or is no
    /// well-formed XML.
    pub fn read(bytes: &[u8]) -> Result<Self, CapFault> {
        if bytes.len() > DOCUMENT_SIZE_MAX {
            return Err(CapFault::Size { size: bytes.len(), limit: DOCUMENT_SIZE_MAX });
        }
        let text = encoding::decode(bytes)?;
        guard::check(&text)?;
        let options = ParsingOptions { nodes_limit: NODE_COUNT_MAX, ..ParsingOptions::default() };
        let parsed = roxmltree::Document::parse_with_options(&text, options);
        let parsed = parsed.map_err(|error| {
            if error == roxmltree::Error::NodesLimitReached {
                let limit = usize::try_from(NODE_COUNT_MAX).unwrap_or(usize::MAX);
                CapFault::Limit { what: "elements, texts and comments", limit }
            } else {
                CapFault::Xml { line: error.pos().row }
            }
        })?;
        if !parsed.descendants().all(has_sound_namespaces) {
            return Err(CapFault::Namespaces);
        }
        let root = parsed.root_element();
        let name = root.tag_name();
        let wrapped = root.has_tag_name((EDXL_DE, WRAPPER));
        let alerts = if name.name() == "alert" {
            vec![found(root, None)]
        } else if wrapped {
            let status = root.children().find(|c| c.has_tag_name((EDXL_DE, "distributionStatus")));
            let status = status.map(text_of_wrapper);
            let alerts = root.descendants().filter(|node| is_alert(*node));
            alerts.map(|alert| found(alert, status.clone())).collect()
        } else {
            Vec::new()
        };
        Ok(Self {
            root: name.name().to_owned(),
            namespace: name.namespace().map(str::to_owned),
            version: Version::of(name.namespace()),
            alerts,
        })
    }

    /// Whether it is an EDXL-DE 1.0 wrapper, which may hold any number of alerts.
    #[must_use]
    pub fn is_wrapper(&self) -> bool {
        self.root == WRAPPER && self.namespace.as_deref() == Some(EDXL_DE)
    }

    /// Whether the document itself, and not what a wrapper holds, is valid by the schema of CAP 1.2.
    ///
    /// # Errors
    ///
    /// What the schema has against it.
    pub fn schema(&self) -> Result<(), CapFault> {
        match self.alerts.as_slice() {
            [alert] if self.root == "alert" => alert.schema.clone(),
            _ => Err(CapFault::NotAnAlert { root: cut(&self.root) }),
        }
    }
}

/// The parser lets a second default pass, and a prefix for nothing.
fn has_sound_namespaces(node: Node<'_, '_>) -> bool {
    let defaults = node.namespaces().filter(|namespace| namespace.name().is_none()).count();
    let nothing = |namespace: &roxmltree::Namespace<'_>| {
        namespace.name().is_some() && namespace.uri().is_empty()
    };
    defaults <= 1 && !node.namespaces().any(nothing)
}

fn is_alert(node: Node<'_, '_>) -> bool {
    let name = node.tag_name();
    node.is_element() && name.name() == "alert" && Version::of(name.namespace()).is_some()
}

fn text_of_wrapper(node: Node<'_, '_>) -> String {
    text(node).trim().to_owned()
}

fn found(alert: Node<'_, '_>, wrapper_status: Option<String>) -> Found {
    let namespace = alert.tag_name().namespace();
    Found {
        element: element(alert, namespace),
        version: Version::of(namespace),
        namespace: namespace.map(str::to_owned),
        signed: alert.descendants().any(|node| node.has_tag_name((SIGNATURE, "Signature"))),
        schema: schema::check(alert),
        wrapper_status,
    }
}

/// As deep as [`guard::DEPTH_MAX`].
fn element(node: Node<'_, '_>, namespace: Option<&str>) -> Element {
    let ours = node
        .children()
        .filter(|child| child.is_element() && child.tag_name().namespace() == namespace);
    Element {
        name: node.tag_name().name().to_owned(),
        text: text(node),
        children: ours.map(|child| element(child, namespace)).collect(),
    }
}

/// Text of an element without that of its children.
pub(super) fn text(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|child| child.text()).collect()
}
