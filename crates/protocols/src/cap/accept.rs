//! From what a document says to an alert that keeps all rules, those of the schema first, then those
//! that stand in the text of the standard alone (CAP 1.2, section 3.2).

use super::alert::{
    Alert, Area, AtLeastOne, Base64, Circle, Digest, Heights, Info, Item, Kind, Language, Name,
    Pair, Period, Point, Polygon, Reference, Resource, Scope, Text, Time, Uri,
};
use super::document::{Document, Element, Found, Version};
use super::fault::{CapFault, cut};
use super::simple::{collapse, is_decimal};
use super::words::{
    Category, Certainty, MsgType, ResponseType, ScopeWord, Severity, Status, Urgency,
};
use crate::sip::decimal::Decimal;

/// Reads a document with one alert in it, itself or in a wrapper.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn read(bytes: &[u8]) -> Result<Alert, CapFault> {
    let document = Document::read(bytes)?;
    match document.alerts.as_slice() {
        [alert] => alert.accept(),
        [] if !document.is_wrapper() => Err(CapFault::NotAnAlert { root: cut(&document.root) }),
        alerts => Err(CapFault::AlertCount { count: alerts.len() }),
    }
}

impl Found {
    /// The alert, when it keeps all rules.
    ///
    /// # Errors
    ///
    /// The first one that it breaks.
    pub fn accept(&self) -> Result<Alert, CapFault> {
        if self.version != Some(Version::V1_2) {
            let namespace = cut(self.namespace.as_deref().unwrap_or_default());
            return Err(CapFault::Version { namespace });
        }
        self.schema.clone()?;
        let alert = alert(&self.element)?;
        match &self.wrapper_status {
            Some(wrapper) if wrapper != alert.status.as_str() => {
                let alert = alert.status.as_str();
                Err(CapFault::WrapperStatus { wrapper: cut(wrapper), alert })
            }
            _ => Ok(alert),
        }
    }
}

fn alert(element: &Element) -> Result<Alert, CapFault> {
    Ok(Alert {
        identifier: name(element, "identifier")?,
        sender: name(element, "sender")?,
        sent: time(element, "sent")?.ok_or_else(|| missing("sent", "alert"))?,
        status: word(element, "status", Status::from_word)?,
        kind: kind(element)?,
        source: maybe_text(element, "source"),
        scope: scope(element)?,
        codes: element.all("code").filter_map(|code| Text::new(&code.text)).collect(),
        note: maybe_text(element, "note"),
        incidents: AtLeastOne::new(items(element, "incidents")?),
        infos: element.all("info").map(info).collect::<Result<_, _>>()?,
    })
}

fn kind(element: &Element) -> Result<Kind, CapFault> {
    let word = word(element, "msgType", MsgType::from_word)?;
    let references = element.text_of("references").unwrap_or_default();
    let references = references.split_whitespace().map(reference).collect::<Result<Vec<_>, _>>()?;
    let some = |references| {
        AtLeastOne::new(references).ok_or(CapFault::NoReferences { kind: word.as_str() })
    };
    Ok(match word {
        MsgType::Alert => Kind::Alert(references),
        MsgType::Update => Kind::Update(some(references)?),
        MsgType::Cancel => Kind::Cancel(some(references)?),
        MsgType::Ack => Kind::Ack(some(references)?),
        MsgType::Error => Kind::Error(some(references)?),
    })
}

fn reference(text: &str) -> Result<Reference, CapFault> {
    let mut parts = text.split(',');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some(sender), Some(identifier), Some(sent), None] = parts else {
        return Err(CapFault::Reference { text: cut(text) });
    };
    let read = || {
        let (sender, identifier) = (Name::new(sender)?, Name::new(identifier)?);
        Some(Reference { sender, identifier, sent: Time::parse(sent)? })
    };
    read().ok_or_else(|| CapFault::Reference { text: cut(text) })
}

fn scope(element: &Element) -> Result<Scope, CapFault> {
    let addresses = AtLeastOne::new(items(element, "addresses")?);
    Ok(match word(element, "scope", ScopeWord::from_word)? {
        ScopeWord::Public => Scope::Public { addresses },
        ScopeWord::Restricted => {
            let restriction = maybe_text(element, "restriction").ok_or(CapFault::NoRestriction)?;
            Scope::Restricted { restriction, addresses }
        }
        ScopeWord::Private => Scope::Private { addresses: addresses.ok_or(CapFault::NoAddresses)? },
    })
}

fn info(element: &Element) -> Result<Info, CapFault> {
    let effective = time(element, "effective")?;
    let period = Period::new(effective, time(element, "expires")?).ok_or(CapFault::Expires)?;
    let categories = words(element, "category", Category::from_word)?;
    let language = element.text_of("language").map(collapse).filter(|tag| !tag.is_empty());
    let language = match language {
        None => Language::unsaid(),
        Some(tag) => {
            Language::new(tag).ok_or_else(|| value("language", tag, "tag of a language"))?
        }
    };
    Ok(Info {
        language,
        categories: AtLeastOne::new(categories).ok_or_else(|| missing("category", "info"))?,
        event: text(element, "event")?,
        response_types: words(element, "responseType", ResponseType::from_word)?,
        urgency: word(element, "urgency", Urgency::from_word)?,
        severity: word(element, "severity", Severity::from_word)?,
        certainty: word(element, "certainty", Certainty::from_word)?,
        audience: maybe_text(element, "audience"),
        event_codes: pairs(element, "eventCode")?,
        period,
        onset: time(element, "onset")?,
        sender_name: maybe_text(element, "senderName"),
        headline: maybe_text(element, "headline"),
        description: maybe_text(element, "description"),
        instruction: maybe_text(element, "instruction"),
        web: uri(element, "web")?,
        contact: maybe_text(element, "contact"),
        parameters: pairs(element, "parameter")?,
        resources: element.all("resource").map(resource).collect::<Result<_, _>>()?,
        areas: element.all("area").map(area).collect::<Result<_, _>>()?,
    })
}

fn resource(element: &Element) -> Result<Resource, CapFault> {
    let said = |name| element.text_of(name).map(collapse).filter(|text| !text.is_empty());
    let size = said("size")
        .map(|size| size.parse().map_err(|_error| value("size", size, "number of bytes")));
    let content = said("derefUri")
        .map(|text| Base64::new(text).ok_or_else(|| value("derefUri", text, "base64")));
    let digest = said("digest")
        .map(|text| Digest::new(text).ok_or_else(|| value("digest", text, "SHA-1 of 40 digits")));
    Ok(Resource {
        description: text(element, "resourceDesc")?,
        mime_type: text(element, "mimeType")?,
        size: size.transpose()?,
        uri: uri(element, "uri")?,
        content: content.transpose()?,
        digest: digest.transpose()?,
    })
}

fn area(element: &Element) -> Result<Area, CapFault> {
    Ok(Area {
        description: text(element, "areaDesc")?,
        polygons: element.all("polygon").map(polygon).collect::<Result<_, _>>()?,
        circles: element.all("circle").map(circle).collect::<Result<_, _>>()?,
        geocodes: pairs(element, "geocode")?,
        heights: heights(element)?,
    })
}

fn polygon(element: &Element) -> Result<Polygon, CapFault> {
    let points = element.text.split_whitespace().map(|text| point("polygon", text));
    let points = points.collect::<Result<Vec<_>, _>>()?;
    let (count, closed) = (points.len(), points.first() == points.last());
    Polygon::new(points).ok_or(CapFault::Polygon { points: count, closed })
}

fn circle(element: &Element) -> Result<Circle, CapFault> {
    let fault = || CapFault::Circle { text: cut(&element.text) };
    let mut parts = element.text.split_whitespace();
    let parts = [parts.next(), parts.next(), parts.next()];
    let [Some(centre), Some(radius), None] = parts else { return Err(fault()) };
    let centre = point("circle", centre)?;
    let radius = number(radius).ok_or_else(fault)?;
    Circle::new(centre, radius).ok_or_else(fault)
}

fn point(element: &'static str, text: &str) -> Result<Point, CapFault> {
    let numbers = text.split_once(',').and_then(|(lat, lon)| Some((number(lat)?, number(lon)?)));
    let place = numbers.and_then(|(lat, lon)| Point::new(lat, lon));
    place.ok_or_else(|| {
        let looks_swapped = numbers.is_some_and(|(lat, lon)| Point::new(lon, lat).is_some());
        CapFault::Place { element, text: cut(text), looks_swapped }
    })
}

fn heights(element: &Element) -> Result<Option<Heights>, CapFault> {
    let read = |name| {
        let text = element.text_of(name).map(collapse);
        text.map(|text| number(text).ok_or_else(|| value(name, text, "height in feet"))).transpose()
    };
    match (read("altitude")?, read("ceiling")?) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(CapFault::Ceiling),
        (Some(altitude), ceiling) => {
            Heights::new(altitude, ceiling).map(Some).ok_or(CapFault::Ceiling)
        }
    }
}

/// The numbers of CAP have no exponent.
fn number(text: &str) -> Option<Decimal> {
    is_decimal(text).then(|| Decimal::parse(text).ok())?
}

fn name(element: &Element, name: &'static str) -> Result<Name, CapFault> {
    let text = element.text_of(name).ok_or_else(|| missing(name, "alert"))?;
    if text.is_empty() {
        return Err(CapFault::Empty { element: name });
    }
    Name::new(text).ok_or_else(|| CapFault::Name { element: name, text: cut(text) })
}

fn text(element: &Element, name: &'static str) -> Result<Text, CapFault> {
    maybe_text(element, name).ok_or(CapFault::Empty { element: name })
}

/// An element with nothing in it says as much as none.
fn maybe_text(element: &Element, name: &str) -> Option<Text> {
    Text::new(element.text_of(name)?)
}

fn time(element: &Element, name: &'static str) -> Result<Option<Time>, CapFault> {
    let Some(text) = element.text_of(name).map(collapse) else { return Ok(None) };
    let time = Time::parse(text).ok_or_else(|| value(name, text, "time that can be reckoned with"));
    time.map(Some)
}

fn uri(element: &Element, name: &'static str) -> Result<Option<Uri>, CapFault> {
    let text = element.text_of(name).map(collapse).filter(|text| !text.is_empty());
    text.map(|text| Uri::new(text).ok_or_else(|| value(name, text, "URI"))).transpose()
}

fn word<T>(
    element: &Element,
    name: &'static str,
    from: fn(&str) -> Option<T>,
) -> Result<T, CapFault> {
    let text = element.text_of(name).ok_or_else(|| missing(name, "alert"))?;
    from(text).ok_or_else(|| value(name, text, "word of its list"))
}

fn words<T>(
    element: &Element,
    name: &'static str,
    from: fn(&str) -> Option<T>,
) -> Result<Vec<T>, CapFault> {
    let read = |child: &Element| from(&child.text).ok_or_else(|| value(name, &child.text, "word"));
    element.all(name).map(read).collect()
}

fn pairs(element: &Element, name: &'static str) -> Result<Vec<Pair>, CapFault> {
    let pair = |child: &Element| {
        let value = child.text_of("value").unwrap_or_default().to_owned();
        Ok(Pair { name: text(child, "valueName")?, value })
    };
    element.all(name).map(pair).collect()
}

/// A list parted by white space; what holds white space stands in double quotes.
fn items(element: &Element, name: &'static str) -> Result<Vec<Item>, CapFault> {
    let fault = || CapFault::Quotes { element: name };
    let mut rest = element.text_of(name).unwrap_or_default().trim();
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(fault)?,
            None => rest
                .split_at_checked(rest.find(char::is_whitespace).unwrap_or(rest.len()))
                .unwrap_or((rest, "")),
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(fault());
        }
        items.push(Item::new(item).ok_or_else(fault)?);
        rest = after.trim_start();
    }
    Ok(items)
}

const fn missing(element: &'static str, within: &'static str) -> CapFault {
    CapFault::Missing { element, within }
}

fn value(element: &'static str, text: &str, form: &'static str) -> CapFault {
    CapFault::Value { element, text: cut(text), form }
}
