//! Cases of CAP: a document beside the file, and what stands in it.
//!
//! A field that a case does not name is one that its document does not have, so nothing may be found
//! beyond it. Texts of another program's errors are not compared.

use std::path::{Component, Path};

use hansho_protocols::cap::{CapFault, Document, Element};
use serde_json::{Map, Value, json};

use super::Mismatch;

/// An encoding that a case may have and that is refused, which the cases allow.
const MAY_BE_REFUSED: &str = "ISO-2022-JP";

/// Whether a case is one of these.
pub(super) fn is_case(case: &Value) -> bool {
    case.get("file").is_some_and(Value::is_string)
        && case.get("expect").is_some_and(|expect| expect.get("well_formed").is_some())
}

pub(super) fn document(folder: &Path, case: &Value) -> Result<(), Mismatch> {
    let bytes = sample(folder, case)?;
    let read = Document::read(&bytes);
    if matches!(&read, Err(CapFault::Encoding { label }) if label == MAY_BE_REFUSED) {
        return Ok(());
    }
    let found = match &read {
        Ok(document) => said(document),
        // Nothing was parsed, so nobody knows whether it is well formed.
        Err(CapFault::Doctype) => json!({ "has_doctype": true }),
        Err(_fault) => json!({ "well_formed": false }),
    };
    let mut wanted = case.get("expect").cloned().unwrap_or_default();
    if let Some(fields) = wanted.as_object_mut() {
        fields.retain(|key, _value| !key.ends_with("error"));
        if matches!(read, Err(CapFault::Doctype)) {
            fields.remove("well_formed");
        }
    }
    same("expect", &wanted, &found)?;
    let Some(wanted) = case.get("accept").and_then(Value::as_bool) else { return Ok(()) };
    match (wanted, hansho_protocols::cap::read(&bytes)) {
        (true, Ok(_)) | (false, Err(_)) => Ok(()),
        (false, Ok(_)) => Err(Mismatch::new("accept", "that it is refused", "that it is not")),
        (true, Err(fault)) => Err(Mismatch::new("accept", "that it is taken", fault)),
    }
}

fn sample(folder: &Path, case: &Value) -> Result<Vec<u8>, Mismatch> {
    let name = case.get("file").and_then(Value::as_str).unwrap_or_default();
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !plain {
        return Err(Mismatch::new("file", "the name of a file beside this one", name));
    }
    let bytes = std::fs::read(folder.join(name));
    let bytes = bytes.map_err(|error| Mismatch::new("file", "a readable file", error))?;
    match case.get("bytes").and_then(Value::as_u64) {
        Some(size) if usize::try_from(size) != Ok(bytes.len()) => {
            Err(Mismatch::new("bytes", size, bytes.len()))
        }
        _ => Ok(bytes),
    }
}

fn said(document: &Document) -> Value {
    let mut fields = Map::new();
    fields.insert("well_formed".to_owned(), json!(true));
    fields.insert("root".to_owned(), json!(document.root));
    fields.insert("namespace".to_owned(), json!(document.namespace));
    fields.insert("cap_version".to_owned(), json!(document.version.map(|each| each.as_str())));
    fields.insert("xsd12_valid".to_owned(), json!(document.schema().is_ok()));
    // What a wrapper holds, the cases do not look into.
    if let [alert] = document.alerts.as_slice()
        && !document.is_wrapper()
    {
        put_texts(&mut fields, &alert.element, &ALERT_TEXTS);
        put_lists(&mut fields, &alert.element, &["code"]);
        if let Some(references) = alert.element.text_of("references") {
            fields.insert("references".to_owned(), triples(references));
        }
        fields.insert("signed".to_owned(), json!(alert.signed));
        let infos: Vec<Value> = alert.element.all("info").map(info).collect();
        fields.insert("info".to_owned(), json!(infos));
    }
    Value::Object(fields)
}

const ALERT_TEXTS: [&str; 11] = [
    "identifier",
    "sender",
    "sent",
    "status",
    "msgType",
    "source",
    "scope",
    "restriction",
    "addresses",
    "note",
    "incidents",
];
const INFO_TEXTS: [&str; 13] = [
    "language",
    "event",
    "urgency",
    "severity",
    "certainty",
    "audience",
    "effective",
    "onset",
    "expires",
    "senderName",
    "headline",
    "web",
    "contact",
];

fn info(element: &Element) -> Value {
    let mut fields = Map::new();
    put_texts(&mut fields, element, &INFO_TEXTS);
    put_sizes(&mut fields, element, &["description", "instruction"]);
    put_lists(&mut fields, element, &["category", "responseType"]);
    put_pairs(&mut fields, element, &["eventCode", "parameter"]);
    put_all(&mut fields, element, "resource", |resource| {
        let mut fields = Map::new();
        let texts = ["resourceDesc", "mimeType", "size", "uri", "digest"];
        put_texts(&mut fields, resource, &texts);
        put_sizes(&mut fields, resource, &["derefUri"]);
        Value::Object(fields)
    });
    put_all(&mut fields, element, "area", |area| {
        let mut fields = Map::new();
        put_texts(&mut fields, area, &["areaDesc", "altitude", "ceiling"]);
        put_lists(&mut fields, area, &["circle"]);
        put_pairs(&mut fields, area, &["geocode"]);
        put_all(&mut fields, area, "polygon", |polygon| {
            let points: Vec<&str> = polygon.text.split_whitespace().collect();
            let closed = !points.is_empty() && points.first() == points.last();
            json!({ "points": points.len(), "first": points.first(), "closed": closed })
        });
        Value::Object(fields)
    });
    Value::Object(fields)
}

fn put_texts(fields: &mut Map<String, Value>, element: &Element, names: &[&str]) {
    for name in names {
        if let Some(text) = element.text_of(name) {
            fields.insert((*name).to_owned(), json!(text));
        }
    }
}

fn put_sizes(fields: &mut Map<String, Value>, element: &Element, names: &[&str]) {
    for name in names {
        if let Some(text) = element.text_of(name) {
            fields.insert(format!("{name}_chars"), json!(text.chars().count()));
        }
    }
}

fn put_lists(fields: &mut Map<String, Value>, element: &Element, names: &[&str]) {
    for name in names {
        put_all(fields, element, name, |child| json!(child.text));
    }
}

fn put_pairs(fields: &mut Map<String, Value>, element: &Element, names: &[&str]) {
    for name in names {
        put_all(fields, element, name, |pair| {
            json!([pair.text_of("valueName"), pair.text_of("value")])
        });
    }
}

/// All children of a name, when there are any.
fn put_all(
    fields: &mut Map<String, Value>,
    element: &Element,
    name: &str,
    see: impl Fn(&Element) -> Value,
) {
    let all: Vec<Value> = element.all(name).map(see).collect();
    if !all.is_empty() {
        fields.insert(name.to_owned(), json!(all));
    }
}

fn triples(references: &str) -> Value {
    let triple = |item: &str| match item.split(',').collect::<Vec<_>>().as_slice() {
        [sender, identifier, sent] => {
            Some(json!({ "sender": sender, "identifier": identifier, "sent": sent }))
        }
        _ => None,
    };
    references.split_whitespace().filter_map(triple).collect()
}

/// The first place where two values differ.
fn same(what: &str, wanted: &Value, found: &Value) -> Result<(), Mismatch> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let beyond = found.keys().filter(|key| !wanted.contains_key(*key));
            for key in wanted.keys().chain(beyond) {
                let place = format!("{what}.{key}");
                match (wanted.get(key), found.get(key)) {
                    (Some(wanted), Some(found)) => same(&place, wanted, found)?,
                    (Some(wanted), None) => return Err(Mismatch::new(&place, wanted, "nothing")),
                    (None, found) => {
                        let found = found.cloned().unwrap_or_default();
                        return Err(Mismatch::new(&place, "nothing", found));
                    }
                }
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                same(&format!("{what}[{index}]"), wanted, found)?;
            }
            Ok(())
        }
        _ => super::dc09::equal(what, wanted, found),
    }
}
