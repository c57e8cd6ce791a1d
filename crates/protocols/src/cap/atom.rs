//! A feed of live alerts (Atom, RFC 4287), each entry with a link to its alert.
//!
//! Which alerts are live the caller knows; who may see them, the alert: nothing but public alerts come
//! into a feed, and never those in earnest and exercises into one.

use jiff::Timestamp;

use super::alert::{Alert, Language, Name, Scope, Text, Time, Uri};
use super::words::{MsgType, ScopeWord, Status};
use super::write::Xml;

/// Most entries of a feed; of more, the newest.
pub const ENTRY_COUNT_MAX: usize = 256;
/// Media type of a feed.
pub const ATOM_MEDIA_TYPE: &str = "application/atom+xml";

const ATOM: &str = "http://www.w3.org/2005/Atom";

/// A feed without its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name for ever, such as `tag:hansho.example.jp,2025:alerts`.
    pub id: Uri,
    /// Its title.
    pub title: Text,
    /// Who writes it.
    pub author: Text,
    /// Where it is to be had.
    pub here: Uri,
    /// Domain of the house, in the names of entries.
    pub authority: Name,
    /// What its alerts are: `Actual`, or `Exercise` in the feed of a house that only drills.
    pub status: Status,
}

/// An alert in a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    id: String,
    title: Text,
    summary: Option<Text>,
    language: Option<Language>,
    updated: Time,
    link: Uri,
}

/// Why an alert does not come into a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// It is not for everybody.
    #[error("an alert that is `{}`", .0.as_str())]
    Scope(ScopeWord),
    /// It is not what the feed is of: an exercise among alerts in earnest.
    #[error("an alert that is `{}`", .0.as_str())]
    Status(Status),
    /// It is about another alert and is no news: `Ack`, `Error`.
    #[error("an alert that is `{}`", .0.as_str())]
    Kind(MsgType),
}

impl Feed {
    /// The entry for an alert that is to be had at `link`.
    ///
    /// Its id is a tag (RFC 4151) of the house, the day and the alert's identifier; its title the
    /// headline, or else the event; both in the language of the first block of texts.
    ///
    /// # Errors
    ///
    /// When the alert is restricted, private, of another status than the feed, or an answer.
    pub fn entry(&self, alert: &Alert, link: Uri) -> Result<Entry, Withheld> {
        if !matches!(alert.scope, Scope::Public { .. }) {
            return Err(Withheld::Scope(alert.scope.word()));
        }
        if alert.status != self.status {
            return Err(Withheld::Status(alert.status));
        }
        let kind = alert.kind.word();
        if matches!(kind, MsgType::Ack | MsgType::Error) {
            return Err(Withheld::Kind(kind));
        }
        let info = alert.infos.first();
        let (day, _time) = alert.sent.as_str().split_once('T').unwrap_or_default();
        let [authority, identifier] = [&self.authority, &alert.identifier].map(escaped);
        let title = info.map(|info| info.headline.as_ref().unwrap_or(&info.event));
        Ok(Entry {
            id: format!("tag:{authority},{day}:{identifier}"),
            title: title.unwrap_or(&self.title).clone(),
            summary: info.and_then(|info| info.description.clone()),
            language: info.map(|info| info.language.clone()),
            updated: alert.sent.clone(),
            link,
        })
    }

    /// Writes the feed, newest entries first. `updated` is when its entries last changed.
    #[must_use]
    pub fn write(&self, updated: Timestamp, entries: &[Entry]) -> String {
        let mut newest: Vec<&Entry> = entries.iter().collect();
        newest.sort_by(|a, b| b.updated.at().cmp(&a.updated.at()).then_with(|| a.id.cmp(&b.id)));
        newest.truncate(ENTRY_COUNT_MAX);
        let mut xml = Xml::new();
        xml.open_with("feed", &[("xmlns", ATOM)]);
        xml.leaf("id", self.id.as_str());
        xml.leaf("title", self.title.as_str());
        xml.leaf("updated", &updated.to_string());
        xml.open("author");
        xml.leaf("name", self.author.as_str());
        xml.close("author");
        let here = self.here.as_str();
        xml.empty("link", &[("rel", "self"), ("type", ATOM_MEDIA_TYPE), ("href", here)]);
        for entry in newest {
            entry.write(&mut xml);
        }
        xml.close("feed");
        xml.finish()
    }
}

impl Entry {
    fn write(&self, xml: &mut Xml) {
        match &self.language {
            Some(language) => xml.open_with("entry", &[("xml:lang", language.as_str())]),
            None => xml.open("entry"),
        }
        xml.leaf("id", &self.id);
        xml.leaf("title", self.title.as_str());
        xml.leaf("updated", self.updated.as_str());
        let link = self.link.as_str();
        xml.empty("link", &[("rel", "alternate"), ("type", super::MEDIA_TYPE), ("href", link)]);
        xml.text("summary", self.summary.as_ref());
        xml.close("entry");
    }
}

/// A name as a tag may hold it: what is no letter, digit or common mark as `%` and two digits.
fn escaped(name: &Name) -> String {
    let one = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'/' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.as_str().bytes().map(one).collect()
}
