//! Groups, and notices of a person to them: frozen payloads, and the way to and from the model.

use hansho_model::{
    DistrictId, Event, Group, IncidentId, Letter, NoticeId, PersonId, PublicText, Recipient, Role,
    Seq, Token,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::codes::Code;
use super::read::{json, recipient as read_recipient, sealed, time};
use super::v1::{self, Bytes16};
use super::write::{recipient, us};
use super::{BodyError, kinds, whole, write};

/// Kind 61.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupRegistered<'a> {
    #[serde(borrow)]
    pub(super) key: &'a str,
    #[serde(borrow)]
    pub(super) name: &'a str,
    pub(super) members: Vec<u32>,
    pub(super) senders: Vec<u8>,
    pub(super) digest: Bytes16,
}

/// Kind 62.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GroupWithdrawn<'a> {
    #[serde(borrow)]
    pub(super) key: &'a str,
}

/// What the public may read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Public<'a> {
    #[serde(borrow)]
    pub(super) headline: &'a str,
    #[serde(borrow)]
    pub(super) text: &'a str,
    pub(super) districts: Vec<u8>,
    pub(super) severity: u8,
}

/// Kind 63.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LetterOrdered<'a> {
    pub(super) notice: u64,
    #[serde(borrow)]
    pub(super) group: &'a str,
    pub(super) about: u8,
    pub(super) drill: bool,
    #[serde(borrow)]
    pub(super) subject: v1::Sealed<'a>,
    #[serde(borrow)]
    pub(super) text: v1::Sealed<'a>,
    pub(super) incident: Option<u64>,
    /// The notice before it, and how this one stands to it.
    pub(super) replaces: Option<(u64, u8)>,
    #[serde(borrow)]
    pub(super) public: Option<Public<'a>>,
    #[serde(borrow)]
    pub(super) recipients: Vec<v1::Recipient<'a>>,
    pub(super) expires_at_us: i64,
}

/// Kind 64.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NoticeReplaced {
    pub(super) notice: u64,
    pub(super) by: u64,
}

pub(super) fn registered<'a>(key: &'a str, group: &'a Group) -> GroupRegistered<'a> {
    let Group { name, members, senders, digest } = group;
    GroupRegistered {
        key,
        name,
        members: members.iter().map(|person| person.0).collect(),
        senders: senders.iter().map(|role| role.code()).collect(),
        digest: Bytes16(digest.0),
    }
}

pub(super) fn ordered<'a>(
    notice: NoticeId,
    letter: &'a Letter,
    recipients: &'a [Recipient],
    expires_at: Timestamp,
) -> LetterOrdered<'a> {
    let Letter { group, kind, drill, subject, text, incident, replaces, public } = letter;
    LetterOrdered {
        notice: notice.0.get(),
        group,
        about: kind.code(),
        drill: *drill,
        subject: write::sealed(subject),
        text: write::sealed(text),
        incident: incident.map(|incident| incident.0.get()),
        replaces: replaces.map(|(notice, how)| (notice.0.get(), how.code())),
        public: public.as_ref().map(|public| Public {
            headline: &public.headline,
            text: &public.text,
            districts: public.districts.iter().map(|district| district.0).collect(),
            severity: public.severity.code(),
        }),
        recipients: recipients.iter().map(recipient).collect(),
        expires_at_us: us(expires_at),
    }
}

pub(super) const fn replaced(notice: NoticeId, by: NoticeId) -> NoticeReplaced {
    NoticeReplaced { notice: notice.0.get(), by: by.0.get() }
}

pub(super) fn event(kind: u16, payload: &[u8]) -> Result<Event, BodyError> {
    match kind {
        kinds::GROUP_REGISTERED => {
            let GroupRegistered { key, name, members, senders, digest } = whole(payload)?;
            let senders: Result<Vec<Role>, BodyError> =
                senders.into_iter().map(Code::from_code).collect();
            let group = Group {
                name: name.to_owned(),
                members: members.into_iter().map(PersonId).collect(),
                senders: senders?,
                digest: Token(digest.0),
            };
            Ok(Event::GroupRegistered { key: key.to_owned(), group })
        }
        kinds::GROUP_WITHDRAWN => {
            let GroupWithdrawn { key } = whole(payload)?;
            Ok(Event::GroupWithdrawn { key: key.to_owned() })
        }
        kinds::LETTER_ORDERED => read_ordered(whole(payload)?),
        kinds::NOTICE_REPLACED => {
            let NoticeReplaced { notice: older, by } = whole(payload)?;
            Ok(Event::NoticeReplaced { notice: notice(older), by: notice(by) })
        }
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}

fn notice(number: u64) -> NoticeId {
    NoticeId(Seq::new(number))
}

fn read_ordered(value: LetterOrdered<'_>) -> Result<Event, BodyError> {
    let public = |public: Public<'_>| {
        Ok(PublicText {
            headline: public.headline.to_owned(),
            text: public.text.to_owned(),
            districts: public.districts.into_iter().map(DistrictId).collect(),
            severity: Code::from_code(public.severity)?,
        })
    };
    let replaces =
        |(older, how): (u64, u8)| Ok::<_, BodyError>((notice(older), Code::from_code(how)?));
    let letter = Letter {
        group: value.group.to_owned(),
        kind: Code::from_code(value.about)?,
        drill: value.drill,
        subject: sealed(value.subject),
        text: sealed(value.text),
        incident: value.incident.map(|incident| IncidentId(Seq::new(incident))),
        replaces: value.replaces.map(replaces).transpose()?,
        public: value.public.map(public).transpose()?,
    };
    let recipients: Result<_, _> = value.recipients.iter().map(read_recipient).collect();
    Ok(Event::LetterOrdered {
        notice: notice(value.notice),
        letter: Box::new(letter),
        recipients: recipients?,
        expires_at: time(value.expires_at_us)?,
    })
}

/// The frozen type as JSON.
pub(super) fn json_of(kind: u16, payload: &[u8]) -> Result<serde_json::Value, BodyError> {
    match kind {
        kinds::GROUP_REGISTERED => json::<GroupRegistered<'_>>(payload),
        kinds::GROUP_WITHDRAWN => json::<GroupWithdrawn<'_>>(payload),
        kinds::LETTER_ORDERED => json::<LetterOrdered<'_>>(payload),
        kinds::NOTICE_REPLACED => json::<NoticeReplaced>(payload),
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}
