//! Sites that are reached over a satellite, and messages to them: frozen payloads, and the way to
//! and from the model.

use hansho_model::{DistrictId, Event, MessageId, Sealed, Seq, SiteEntry, SourceId, Token};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::read::{json, sealed, time};
use super::v1::{self, Bytes16};
use super::write::us;
use super::{BodyError, kinds, whole, write};

/// Kind 58.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SiteRegistered<'a> {
    pub(super) device: u32,
    #[serde(borrow)]
    pub(super) source: &'a str,
    #[serde(borrow)]
    pub(super) name: &'a str,
    pub(super) district: Option<u8>,
    pub(super) digest: Bytes16,
}

/// Kind 59.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SiteWithdrawn {
    pub(super) device: u32,
}

/// Kind 60.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MessageOrdered<'a> {
    pub(super) message: u64,
    pub(super) device: u32,
    #[serde(borrow)]
    pub(super) text: v1::Sealed<'a>,
    pub(super) until_us: i64,
}

pub(super) fn registered(device: SourceId, entry: &SiteEntry) -> SiteRegistered<'_> {
    let SiteEntry { source, name, district, digest } = entry;
    let district = district.map(|district| district.0);
    SiteRegistered { device: device.0, source, name, district, digest: Bytes16(digest.0) }
}

pub(super) const fn withdrawn(device: SourceId) -> SiteWithdrawn {
    SiteWithdrawn { device: device.0 }
}

pub(super) fn ordered(
    message: MessageId,
    device: SourceId,
    text: &Sealed,
    until: Timestamp,
) -> MessageOrdered<'_> {
    let (message, device) = (message.0.get(), device.0);
    MessageOrdered { message, device, text: write::sealed(text), until_us: us(until) }
}

pub(super) fn event(kind: u16, payload: &[u8]) -> Result<Event, BodyError> {
    match kind {
        kinds::SITE_REGISTERED => {
            let SiteRegistered { device, source, name, district, digest } = whole(payload)?;
            let entry = SiteEntry {
                source: source.to_owned(),
                name: name.to_owned(),
                district: district.map(DistrictId),
                digest: Token(digest.0),
            };
            Ok(Event::SiteRegistered { device: SourceId(device), entry })
        }
        kinds::SITE_WITHDRAWN => {
            let SiteWithdrawn { device } = whole(payload)?;
            Ok(Event::SiteWithdrawn { device: SourceId(device) })
        }
        kinds::MESSAGE_ORDERED => {
            let MessageOrdered { message, device, text, until_us } = whole(payload)?;
            Ok(Event::MessageOrdered {
                message: MessageId(Seq::new(message)),
                device: SourceId(device),
                text: sealed(text),
                until: time(until_us)?,
            })
        }
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}

/// The frozen type as JSON.
pub(super) fn json_of(kind: u16, payload: &[u8]) -> Result<serde_json::Value, BodyError> {
    match kind {
        kinds::SITE_REGISTERED => json::<SiteRegistered<'_>>(payload),
        kinds::SITE_WITHDRAWN => json::<SiteWithdrawn>(payload),
        kinds::MESSAGE_ORDERED => json::<MessageOrdered<'_>>(payload),
        other => Err(BodyError::UnknownKind { kind: i64::from(other) }),
    }
}
