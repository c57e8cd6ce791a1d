//! Notices to groups.

use hansho_model::{
    CommandKind, DistrictId, Letter, NOTICE_BYTES_MAX, NoticeKind, PublicText, Replacing,
    SUBJECT_BYTES_MAX, Severity,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{id, word};
use crate::fault::Fault;
use crate::seams::Seal;

/// `SendNotice`: a notice to a group, or one that corrects or withdraws an earlier one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendNotice {
    /// Key of the group, such as `dan-2-3`.
    group: String,
    /// `call_out`, `muster`, `search`, `information`, `all_clear`.
    kind: String,
    /// Whether it is a drill.
    drill: bool,
    /// One line, 1 to 200 bytes of UTF-8.
    subject: String,
    /// 1 to 2,000 bytes of UTF-8; what is needed to turn out belongs in the first 250 signs.
    text: String,
    /// Incident it belongs to.
    #[serde(default)]
    incident: Option<String>,
    /// The notice that it corrects or withdraws.
    #[serde(default)]
    replaces: Option<String>,
    /// `correction` or `withdrawal`; goes with `replaces`.
    #[serde(default)]
    replacing: Option<String>,
    /// How many recipients the sender was shown; may be left out with `replaces` alone.
    #[serde(default)]
    count: Option<u32>,
    /// Minutes until attempts and answers end, 1 to 1,440.
    minutes: u16,
    /// What the public may read of it.
    #[serde(default)]
    public: Option<PublicNotice>,
}

/// What the public may read of a notice. Street numbers belong to crews alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicNotice {
    /// One line, 1 to 200 bytes of UTF-8.
    headline: String,
    /// 1 to 2,000 bytes of UTF-8.
    text: String,
    /// Districts, 1 to 13, at least one.
    districts: Vec<u8>,
    /// `extreme`, `severe`, `moderate`, `minor`, `unknown`.
    severity: String,
}

pub(super) fn send(fields: &SendNotice, seal: &dyn Seal) -> Result<CommandKind, Fault> {
    let SendNotice { group, kind, drill, subject, text, incident, replaces, replacing, .. } =
        fields;
    let replaces = match (replaces, replacing) {
        (None, None) => None,
        (Some(notice), Some(how)) => {
            let how = word(how, "body.replacing", Replacing::ALL, Replacing::as_str)?;
            Some((id(notice, "body.replaces")?, how))
        }
        _ => {
            return Err(Fault::malformed(
                "`replaces` and `replacing` go together",
                "body",
                "write both, or neither",
            ));
        }
    };
    let sealed = |text: &str| seal.seal(text.as_bytes()).ok_or(Fault::Internal);
    let letter = Letter {
        group: group.clone(),
        kind: word(kind, "body.kind", NoticeKind::ALL, NoticeKind::as_str)?,
        drill: *drill,
        subject: sealed(one_line(subject, "body.subject")?)?,
        text: sealed(lines(text, "body.text")?)?,
        incident: incident.as_ref().map(|text| id(text, "body.incident")).transpose()?,
        replaces,
        public: fields.public.as_ref().map(public).transpose()?,
    };
    let (count, minutes) = (fields.count, fields.minutes);
    Ok(CommandKind::SendNotice(Box::new(hansho_model::SendNotice { letter, count, minutes })))
}

fn public(notice: &PublicNotice) -> Result<PublicText, Fault> {
    let PublicNotice { headline, text, districts, severity } = notice;
    let mut districts: Vec<DistrictId> = districts.iter().copied().map(DistrictId).collect();
    districts.sort_by_key(|district| district.0);
    districts.dedup();
    Ok(PublicText {
        headline: one_line(headline, "body.public.headline")?.to_owned(),
        text: lines(text, "body.public.text")?.to_owned(),
        districts,
        severity: word(severity, "body.public.severity", Severity::ALL, Severity::as_str)?,
    })
}

fn one_line<'a>(text: &'a str, place: &str) -> Result<&'a str, Fault> {
    let text = within(text, SUBJECT_BYTES_MAX, place)?;
    if text.chars().any(char::is_control) {
        return Err(Fault::malformed("a control character", place, "one line of plain text"));
    }
    Ok(text)
}

fn lines<'a>(text: &'a str, place: &str) -> Result<&'a str, Fault> {
    let text = within(text, NOTICE_BYTES_MAX, place)?;
    if text.chars().any(|sign| sign.is_control() && sign != '\n') {
        return Err(Fault::malformed("a control character", place, "plain text and line breaks"));
    }
    Ok(text)
}

fn within<'a>(text: &'a str, bytes_max: usize, place: &str) -> Result<&'a str, Fault> {
    let text = text.trim();
    if text.is_empty() || text.len() > bytes_max {
        return Err(Fault::malformed(
            format!("a text of {} bytes", text.len()),
            place,
            &format!("1 to {bytes_max} bytes of UTF-8; a kanji has 3"),
        ));
    }
    Ok(text)
}
