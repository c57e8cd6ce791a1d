//! The schema of CAP 1.2 (`CAP-v1.2.xsd`, OASIS 2010), as a table.
//!
//! What it leaves to the text of the standard is in [`accept`](super::accept). `xsi:type` and
//! `xsi:nil`, which would change what is checked, count as attributes like any other. What stands inside
//! of a signature is not looked at.

use roxmltree::Node;

use super::fault::{CapFault, cut};
use super::simple::{
    collapse, is_any_uri, is_date_time, is_decimal, is_integer, is_language, is_space,
};
use super::words::{
    Category, Certainty, MsgType, ResponseType, ScopeWord, Severity, Status, Urgency,
};
use super::{CAP_1_2, SIGNATURE};

const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What an element holds.
enum Holds {
    /// Any text.
    Text,
    /// A text of a certain form, white space at its ends apart.
    Form(fn(&str) -> bool, &'static str),
    /// One of a list of words.
    Word(fn(&str) -> bool),
    /// Elements, in this order.
    Elements(&'static [Rule]),
}

/// An element and how often it comes.
struct Rule {
    name: &'static str,
    holds: Holds,
    needed: bool,
    many: bool,
}

const fn one(name: &'static str, holds: Holds) -> Rule {
    Rule { name, holds, needed: true, many: false }
}

const fn maybe(name: &'static str, holds: Holds) -> Rule {
    Rule { name, holds, needed: false, many: false }
}

const fn any(name: &'static str, holds: Holds) -> Rule {
    Rule { name, holds, needed: false, many: true }
}

const TIME: Holds = Holds::Form(is_date_time, "time such as 2025-11-23T08:45:00+09:00");
const URI: Holds = Holds::Form(is_any_uri, "URI");
const DECIMAL: Holds = Holds::Form(is_decimal, "decimal number");
const INTEGER: Holds = Holds::Form(is_integer, "whole number");
const LANGUAGE: Holds = Holds::Form(is_language, "tag of a language");

const PAIR: &[Rule] = &[one("valueName", Holds::Text), one("value", Holds::Text)];

const ALERT: Rule = one(
    "alert",
    Holds::Elements(&[
        one("identifier", Holds::Text),
        one("sender", Holds::Text),
        one("sent", TIME),
        one("status", Holds::Word(|word| Status::from_word(word).is_some())),
        one("msgType", Holds::Word(|word| MsgType::from_word(word).is_some())),
        maybe("source", Holds::Text),
        one("scope", Holds::Word(|word| ScopeWord::from_word(word).is_some())),
        maybe("restriction", Holds::Text),
        maybe("addresses", Holds::Text),
        any("code", Holds::Text),
        maybe("note", Holds::Text),
        maybe("references", Holds::Text),
        maybe("incidents", Holds::Text),
        any("info", Holds::Elements(INFO)),
    ]),
);

const INFO: &[Rule] = &[
    maybe("language", LANGUAGE),
    Rule {
        name: "category",
        holds: Holds::Word(|word| Category::from_word(word).is_some()),
        needed: true,
        many: true,
    },
    one("event", Holds::Text),
    any("responseType", Holds::Word(|word| ResponseType::from_word(word).is_some())),
    one("urgency", Holds::Word(|word| Urgency::from_word(word).is_some())),
    one("severity", Holds::Word(|word| Severity::from_word(word).is_some())),
    one("certainty", Holds::Word(|word| Certainty::from_word(word).is_some())),
    maybe("audience", Holds::Text),
    any("eventCode", Holds::Elements(PAIR)),
    maybe("effective", TIME),
    maybe("onset", TIME),
    maybe("expires", TIME),
    maybe("senderName", Holds::Text),
    maybe("headline", Holds::Text),
    maybe("description", Holds::Text),
    maybe("instruction", Holds::Text),
    maybe("web", URI),
    maybe("contact", Holds::Text),
    any("parameter", Holds::Elements(PAIR)),
    any(
        "resource",
        Holds::Elements(&[
            one("resourceDesc", Holds::Text),
            one("mimeType", Holds::Text),
            maybe("size", INTEGER),
            maybe("uri", URI),
            maybe("derefUri", Holds::Text),
            maybe("digest", Holds::Text),
        ]),
    ),
    any(
        "area",
        Holds::Elements(&[
            one("areaDesc", Holds::Text),
            any("polygon", Holds::Text),
            any("circle", Holds::Text),
            any("geocode", Holds::Elements(PAIR)),
            maybe("altitude", DECIMAL),
            maybe("ceiling", DECIMAL),
        ]),
    ),
];

/// Whether an element is an alert as the schema has it.
pub(super) fn check(alert: Node<'_, '_>) -> Result<(), CapFault> {
    if !alert.has_tag_name((CAP_1_2, "alert")) {
        let namespace = cut(alert.tag_name().namespace().unwrap_or_default());
        return Err(CapFault::Version { namespace });
    }
    element(alert, &ALERT)
}

fn element(node: Node<'_, '_>, rule: &'static Rule) -> Result<(), CapFault> {
    let of_schema = |name: &str| matches!(name, "schemaLocation" | "noNamespaceSchemaLocation");
    let strange = node.attributes().find(|attribute| {
        !(attribute.namespace() == Some(INSTANCE) && of_schema(attribute.name()))
    });
    if let Some(attribute) = strange {
        return Err(CapFault::Attribute { element: rule.name, attribute: cut(attribute.name()) });
    }
    if let Holds::Elements(rules) = &rule.holds {
        return elements(node, rule.name, rules);
    }
    if let Some(child) = node.children().find(Node::is_element) {
        let element = cut(child.tag_name().name());
        return Err(CapFault::Unexpected { element, within: rule.name });
    }
    value(&super::document::text(node), rule)
}

fn value(text: &str, rule: &'static Rule) -> Result<(), CapFault> {
    let (good, form) = match &rule.holds {
        Holds::Text | Holds::Elements(_) => return Ok(()),
        // The one element with a default, which stands for an empty one.
        Holds::Form(_, _) if rule.name == "language" && text.is_empty() => return Ok(()),
        Holds::Form(is_good, form) => (is_good(collapse(text)), *form),
        Holds::Word(is_known) => (is_known(text), "word of its list"),
    };
    if good { Ok(()) } else { Err(CapFault::Value { element: rule.name, text: cut(text), form }) }
}

/// Each element is the next one that the rules allow.
fn elements(
    node: Node<'_, '_>,
    within: &'static str,
    rules: &'static [Rule],
) -> Result<(), CapFault> {
    if node
        .children()
        .any(|child| child.is_text() && !child.text().unwrap_or("").chars().all(is_space))
    {
        return Err(CapFault::StrayText { within });
    }
    let mut rules = rules.iter().peekable();
    let mut seen = false;
    for child in node.children().filter(Node::is_element) {
        let name = child.tag_name();
        let fits = |rule: &Rule| name.namespace() == Some(CAP_1_2) && name.name() == rule.name;
        while let Some(rule) = rules.next_if(|rule| !fits(rule)) {
            if rule.needed && !seen {
                return Err(CapFault::Missing { element: rule.name, within });
            }
            seen = false;
        }
        match rules.peek().copied() {
            Some(rule) => {
                element(child, rule)?;
                seen = rule.many;
                if !rule.many {
                    rules.next();
                }
            }
            None if within == "alert" && name.namespace() == Some(SIGNATURE) => {}
            None => {
                return Err(CapFault::Unexpected { element: cut(name.name()), within });
            }
        }
    }
    for rule in rules {
        if rule.needed && !seen {
            return Err(CapFault::Missing { element: rule.name, within });
        }
        seen = false;
    }
    Ok(())
}
