//! Alerts as XML: always the same text for the same alert, in the order of the standard.

use std::fmt::Display;

use super::CAP_1_2;
use super::alert::{
    Alert, Area, AtLeastOne, Info, Item, Kind, Pair, Reference, Resource, Scope, Text,
};
use super::simple::is_xml_char;

/// Writes an alert. [`read`](super::read) gives the same alert again, as long as it is no larger than
/// [`DOCUMENT_SIZE_MAX`](super::DOCUMENT_SIZE_MAX).
#[must_use]
pub fn write(alert: &Alert) -> String {
    let mut xml = Xml::new();
    xml.open_with("alert", &[("xmlns", CAP_1_2)]);
    xml.leaf("identifier", alert.identifier.as_str());
    xml.leaf("sender", alert.sender.as_str());
    xml.leaf("sent", alert.sent.as_str());
    xml.leaf("status", alert.status.as_str());
    xml.leaf("msgType", alert.kind.word().as_str());
    xml.text("source", alert.source.as_ref());
    xml.leaf("scope", alert.scope.word().as_str());
    if let Scope::Restricted { restriction, .. } = &alert.scope {
        xml.leaf("restriction", restriction.as_str());
    }
    xml.items("addresses", alert.scope.addresses());
    for code in &alert.codes {
        xml.leaf("code", code.as_str());
    }
    xml.text("note", alert.note.as_ref());
    xml.references(&alert.kind);
    xml.items("incidents", alert.incidents.as_ref().map_or(&[], AtLeastOne::as_slice));
    for info in &alert.infos {
        xml.info(info);
    }
    xml.close("alert");
    xml.finish()
}

/// A document that is being written.
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    pub(super) fn open(&mut self, name: &str) {
        self.open_with(name, &[]);
    }

    pub(super) fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str(">\n");
    }

    pub(super) fn close(&mut self, name: &str) {
        self.0.extend(["</", name, ">\n"]);
    }

    /// An element with nothing in it.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.0.push_str("/>\n");
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.extend(["<", name]);
        for (name, value) in attributes {
            self.0.extend([" ", *name, "=\""]);
            self.escaped(value);
            self.0.push('"');
        }
    }

    /// An element with text in it.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.0.extend(["<", name, ">"]);
        self.escaped(text);
        self.close(name);
    }

    pub(super) fn text(&mut self, name: &str, text: Option<&Text>) {
        if let Some(text) = text {
            self.leaf(name, text.as_str());
        }
    }

    fn shown(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(name, &value.to_string());
        }
    }

    /// A carriage return would come back as a line feed; in attributes tabs and line feeds would
    /// come back as spaces, and none of ours holds them.
    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#13;"),
                c if is_xml_char(c) => self.0.push(c),
                _ => self.0.push(char::REPLACEMENT_CHARACTER),
            }
        }
    }

    fn items(&mut self, name: &str, items: &[Item]) {
        if items.is_empty() {
            return;
        }
        let quoted = |item: &Item| {
            let text = item.as_str();
            if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text.to_owned() }
        };
        self.leaf(name, &items.iter().map(quoted).collect::<Vec<_>>().join(" "));
    }

    fn references(&mut self, kind: &Kind) {
        if kind.references().is_empty() {
            return;
        }
        let one = |reference: &Reference| {
            let Reference { sender, identifier, sent } = reference;
            format!("{},{},{sent}", sender.as_str(), identifier.as_str())
        };
        self.leaf("references", &kind.references().iter().map(one).collect::<Vec<_>>().join(" "));
    }

    fn pairs(&mut self, name: &str, pairs: &[Pair]) {
        for pair in pairs {
            self.open(name);
            self.leaf("valueName", pair.name.as_str());
            self.leaf("value", &pair.value);
            self.close(name);
        }
    }

    fn info(&mut self, info: &Info) {
        self.open("info");
        self.leaf("language", info.language.as_str());
        for category in info.categories.as_slice() {
            self.leaf("category", category.as_str());
        }
        self.leaf("event", info.event.as_str());
        for response in &info.response_types {
            self.leaf("responseType", response.as_str());
        }
        self.leaf("urgency", info.urgency.as_str());
        self.leaf("severity", info.severity.as_str());
        self.leaf("certainty", info.certainty.as_str());
        self.text("audience", info.audience.as_ref());
        self.pairs("eventCode", &info.event_codes);
        self.shown("effective", info.period.effective());
        self.shown("onset", info.onset.as_ref());
        self.shown("expires", info.period.expires());
        self.text("senderName", info.sender_name.as_ref());
        self.text("headline", info.headline.as_ref());
        self.text("description", info.description.as_ref());
        self.text("instruction", info.instruction.as_ref());
        if let Some(web) = &info.web {
            self.leaf("web", web.as_str());
        }
        self.text("contact", info.contact.as_ref());
        self.pairs("parameter", &info.parameters);
        for resource in &info.resources {
            self.resource(resource);
        }
        for area in &info.areas {
            self.area(area);
        }
        self.close("info");
    }

    fn resource(&mut self, resource: &Resource) {
        self.open("resource");
        self.leaf("resourceDesc", resource.description.as_str());
        self.leaf("mimeType", resource.mime_type.as_str());
        self.shown("size", resource.size);
        if let Some(uri) = &resource.uri {
            self.leaf("uri", uri.as_str());
        }
        if let Some(content) = &resource.content {
            self.leaf("derefUri", content.as_str());
        }
        if let Some(digest) = &resource.digest {
            self.leaf("digest", digest.as_str());
        }
        self.close("resource");
    }

    fn area(&mut self, area: &Area) {
        self.open("area");
        self.leaf("areaDesc", area.description.as_str());
        for polygon in &area.polygons {
            let points = polygon.points().iter().map(ToString::to_string);
            self.leaf("polygon", &points.collect::<Vec<_>>().join(" "));
        }
        for circle in &area.circles {
            self.leaf("circle", &format!("{} {}", circle.centre(), circle.radius_km()));
        }
        self.pairs("geocode", &area.geocodes);
        self.shown("altitude", area.heights.map(|heights| heights.altitude_ft()));
        self.shown("ceiling", area.heights.and_then(|heights| heights.ceiling_ft()));
        self.close("area");
    }
}
