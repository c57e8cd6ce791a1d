//! A look over the marks of a document before it is parsed: no declaration of a type, nothing that
//! costs a parser more than its size, no character that XML does not have, not even by its number.
//! What is no XML otherwise, the parser says.

use super::fault::CapFault;
use super::simple::{collapse, is_space, is_xml_char};

/// Deepest element: the root is at 1.
pub const DEPTH_MAX: usize = 32;
/// Most elements.
pub const ELEMENT_COUNT_MAX: usize = 32_768;
/// Longest start of an element with its attributes, in bytes.
pub const TAG_SIZE_MAX: usize = 4_096;
/// Most declarations of namespaces.
pub const NAMESPACE_COUNT_MAX: usize = 256;

pub(super) fn check(text: &str) -> Result<(), CapFault> {
    let limit = |what, limit| Err(CapFault::Limit { what, limit });
    if !text.chars().all(is_xml_char) {
        return Err(CapFault::Characters);
    }
    let mut rest = text;
    let mut depth: usize = 0;
    let mut count: usize = 0;
    while let Some((before, mark)) = rest.split_once('<') {
        check_references(before)?;
        rest = if let Some(comment) = mark.strip_prefix("!--") {
            behind(comment, "-->")
        } else if let Some(section) = mark.strip_prefix("![CDATA[") {
            behind(section, "]]>")
        } else if let Some(instruction) = mark.strip_prefix('?') {
            let (inside, rest) = instruction.split_once("?>").unwrap_or((instruction, ""));
            let is_first = mark.len().checked_add(1) == Some(text.len());
            check_instruction(inside, is_first)?;
            rest
        } else if mark.starts_with('!') {
            return Err(CapFault::Doctype);
        } else {
            let Some(size) = tag_size(mark) else {
                return limit("bytes in the start of an element", TAG_SIZE_MAX);
            };
            let (tag, rest) = mark.split_at_checked(size).unwrap_or((mark, ""));
            check_references(tag)?;
            if tag.starts_with('/') {
                depth = depth.saturating_sub(1);
            } else {
                count = count.saturating_add(1);
                let here = depth.saturating_add(1);
                if here > DEPTH_MAX {
                    return limit("elements in each other", DEPTH_MAX);
                }
                depth = if tag.ends_with("/>") { depth } else { here };
            }
            rest
        };
    }
    if count > ELEMENT_COUNT_MAX {
        return limit("elements", ELEMENT_COUNT_MAX);
    }
    if text.matches("xmlns").count() > NAMESPACE_COUNT_MAX {
        return limit("declarations of namespaces", NAMESPACE_COUNT_MAX);
    }
    Ok(())
}

/// The parser takes a number that is no character for U+FFFD.
fn check_references(text: &str) -> Result<(), CapFault> {
    for reference in text.split("&#").skip(1) {
        let (number, _rest) = reference.split_once(';').unwrap_or((reference, ""));
        let number = match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        };
        if !number.and_then(char::from_u32).is_some_and(is_xml_char) {
            return Err(CapFault::Characters);
        }
    }
    Ok(())
}

/// What goes by the name of an XML declaration must be one, and stand at the start.
fn check_instruction(inside: &str, is_first: bool) -> Result<(), CapFault> {
    let (target, rest) = inside
        .split_at_checked(inside.find(is_space).unwrap_or(inside.len()))
        .unwrap_or((inside, ""));
    if !target.eq_ignore_ascii_case("xml") || (target == "xml" && is_first && declares(rest)) {
        Ok(())
    } else {
        Err(CapFault::Declaration)
    }
}

/// A version, an encoding and whether it stands alone, in this order; the first must be there.
fn declares(text: &str) -> bool {
    let is_version = |text: &str| {
        let minor = text.strip_prefix("1.").unwrap_or_default();
        !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
    };
    let of_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_label = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(of_label)
    };
    let Some((version, rest)) = pseudo_attribute(text, "version") else { return false };
    let (label, rest) = pseudo_attribute(rest, "encoding").unwrap_or(("UTF-8", rest));
    let (alone, rest) = pseudo_attribute(rest, "standalone").unwrap_or(("no", rest));
    is_version(version)
        && is_label(label)
        && matches!(alone, "yes" | "no")
        && collapse(rest).is_empty()
}

/// Its value, and what follows.
fn pseudo_attribute<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let named = text.strip_prefix(is_space)?.trim_start_matches(is_space).strip_prefix(name)?;
    let value = named.trim_start_matches(is_space).strip_prefix('=')?.trim_start_matches(is_space);
    let mark = value.chars().next().filter(|mark| matches!(mark, '"' | '\''))?;
    value.strip_prefix(mark)?.split_once(mark)
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_inside, rest)| rest)
}

/// Bytes up to and with the `>` that ends a tag, which may stand in an attribute's value before.
fn tag_size(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (index, byte) in tag.bytes().enumerate().take(TAG_SIZE_MAX) {
        match (quote, byte) {
            (None, b'>') => return Some(index.saturating_add(1)),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    // The text ends in the middle of a tag: the parser refuses it.
    (tag.len() <= TAG_SIZE_MAX).then_some(tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        "<a>".repeat(depth) + &"</a>".repeat(depth)
    }

    #[test]
    fn at_the_limits_and_one_beyond() {
        let limit = |what, limit| Err(CapFault::Limit { what, limit });
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), limit("elements in each other", DEPTH_MAX));
        assert_eq!(check(&"<a/>".repeat(ELEMENT_COUNT_MAX)), Ok(()));
        assert_eq!(
            check(&"<a/>".repeat(ELEMENT_COUNT_MAX + 1)),
            limit("elements", ELEMENT_COUNT_MAX)
        );
        let tag = |size: usize| format!("<a b='{}'/>", "x".repeat(size - 8));
        assert_eq!(check(&tag(TAG_SIZE_MAX)), Ok(()));
        assert_eq!(
            check(&tag(TAG_SIZE_MAX + 1)),
            limit("bytes in the start of an element", TAG_SIZE_MAX)
        );
        assert_eq!(check(&"<a xmlns='b'/>".repeat(NAMESPACE_COUNT_MAX)), Ok(()));
        assert_eq!(
            check(&"<a xmlns='b'/>".repeat(NAMESPACE_COUNT_MAX + 1)),
            limit("declarations of namespaces", NAMESPACE_COUNT_MAX)
        );
    }

    #[test]
    fn characters_that_xml_does_not_have_are_refused() {
        for text in ["<a>\0</a>", "<a>&#0;</a>", "<a b='&#xD800;'/>", "<a>&#;</a>", "<a>&#"] {
            assert_eq!(check(&format!("{text}<a/>")), Err(CapFault::Characters), "{text}");
        }
        assert_eq!(check("<a>&#13;&#x706B;<![CDATA[&#0;]]></a>"), Ok(()));
    }

    #[test]
    fn a_declaration_is_one_and_comes_first() {
        for good in ["version='1.0'", "version = \"1.1\" encoding='UTF-8'\nstandalone = 'yes' "] {
            assert_eq!(check(&format!("<?xml {good}?><a/>")), Ok(()), "{good}");
        }
        for bad in [
            "",
            "encoding='UTF-8'",
            "version='2.0'",
            "version='1.'",
            "version='1.0'encoding='UTF-8'",
            "version='1.0' standalone='maybe'",
            "version='1.0' standalone='yes' encoding='UTF-8'",
            "version='1.0' encoding=''",
            "version='1.0' encoding='UTF!8'",
            "version='1.0",
            "version='1.0' x",
        ] {
            assert_eq!(check(&format!("<?xml {bad}?><a/>")), Err(CapFault::Declaration), "{bad}");
        }
        let elsewhere = " <?xml version='1.0'?><a/>";
        assert_eq!(check(elsewhere), Err(CapFault::Declaration));
        assert_eq!(check("<?XML version='1.0'?><a/>"), Err(CapFault::Declaration));
        assert_eq!(check("<?xml-stylesheet x?><a/>"), Ok(()));
    }

    #[test]
    fn a_type_is_declared_outside_of_comments_and_values_only() {
        assert_eq!(
            check("<?xml version='1.0'?><!-- x --><!DOCTYPE a><a/>"),
            Err(CapFault::Doctype)
        );
        let free = "<!-- <!DOCTYPE --><?a <!DOCTYPE ?><a b='>'><![CDATA[<!DOCTYPE]]></a>";
        assert_eq!(check(free), Ok(()));
        assert_eq!(check("<a"), Ok(()));
        assert_eq!(check("<!-- "), Ok(()));
    }
}
