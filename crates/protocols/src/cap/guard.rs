//! A look over the marks of a document before it is parsed: no declaration of a type, nothing that
//! costs a parser more than its size, no character that XML does not have, not even by its number.
//! What is no XML otherwise, the parser says.

use super::fault::CapFault;
use super::simple::is_xml_char;

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
            behind(instruction, "?>")
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
    fn a_type_is_declared_outside_of_comments_and_values_only() {
        assert_eq!(check("<?xml?><!-- x --><!DOCTYPE a><a/>"), Err(CapFault::Doctype));
        let free = "<!-- <!DOCTYPE --><?a <!DOCTYPE ?><a b='>'><![CDATA[<!DOCTYPE]]></a>";
        assert_eq!(check(free), Ok(()));
        assert_eq!(check("<a"), Ok(()));
        assert_eq!(check("<!-- "), Ok(()));
    }
}
