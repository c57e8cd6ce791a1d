//! A mail from an effect: the same bytes every time.

use std::time::{Duration, SystemTime};

use hansho_model::{EffectId, Language, Mail, Mode, Private, Reveal, Sealed, Template};
use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, Message};

use crate::address::WireAddress;
use crate::texts::{alarm_text, fill, mode_line, mode_mark, texts};
use crate::token;

/// What a mail needs that the effect does not hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Proof in the answer link: the vault's keyed hash over the effect's id.
    pub answer_mac: [u8; 16],
    /// Name of the district in the recipient's language.
    pub district: Option<String>,
}

/// A mail, ready to send to its one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipient, in its legal form.
    pub to: Private<String>,
    /// The recipient without quotes, for servers that refuse the quotes of a living but illegal
    /// address.
    pub to_bare: Option<Private<String>>,
    /// Header and text, CRLF line ends, no dots stuffed.
    pub bytes: Private<Vec<u8>>,
}

/// Why no mail can be made. None of these gets better by trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The recipient or the person in need was erased by law, or sealed by another vault.
    #[error("the {what} cannot be opened: the person was erased; take the recipient off the list")]
    Erased {
        /// Which value.
        what: &'static str,
    },
    /// The recipient's address is none.
    #[error("the recipient's address is no mail address; correct it in the register")]
    BadAddress,
    /// The sender in the settings is no mail address.
    #[error("the setting `sender` is no mail address; correct it in the configuration")]
    BadSender,
    /// lettre refused to build it.
    #[error("the mail could not be built; check `headquarters` and `message_domain`")]
    Unbuildable,
}

/// Renders a mail.
///
/// # Errors
///
/// See [`RenderError`].
pub fn render(
    mail: &Mail,
    id: EffectId,
    reveal: &dyn Reveal,
    surroundings: &Surroundings,
) -> Result<Rendered, RenderError> {
    let settings = &mail.settings;
    let to = WireAddress::parse(&open(reveal, &mail.recipient.address, "recipient's address")?)
        .ok_or(RenderError::BadAddress)?;
    let from: Address = settings.sender.parse().map_err(|_not_one| RenderError::BadSender)?;
    let headquarters = one_line(&settings.headquarters);
    let text = body(mail, id, reveal, surroundings)?;
    let text = Body::new_with_encoding(text, ContentTransferEncoding::Base64)
        .map_err(|_unfit| RenderError::Unbuildable)?;
    let message = Message::builder()
        .from(Mailbox::new(Some(headquarters), from.clone()))
        .to(Mailbox::new(None, to.legal.clone()))
        .subject(subject(mail, surroundings))
        .message_id(Some(message_id(mail, id)))
        .date(whole_second(mail.ordered_at))
        .raw_header(ascii_header("Auto-Submitted", "auto-generated")?)
        .raw_header(ascii_header("Importance", "high")?)
        .raw_header(ascii_header("X-Priority", "1")?)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(text)
        .map_err(|_incomplete| RenderError::Unbuildable)?;
    Ok(Rendered {
        from: from.to_string(),
        to: Private(to.legal.to_string()),
        to_bare: to.bare.map(Private),
        bytes: Private(message.formatted()),
    })
}

/// Unique for a notice and a recipient; the same on every repeat.
fn message_id(mail: &Mail, id: EffectId) -> String {
    let domain: String = mail
        .settings
        .message_domain
        .chars()
        .filter(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-'))
        .collect();
    format!("<{}.{}@{domain}>", mail.notice, id.index)
}

/// A mail's `Date` has whole seconds; a time before 1970 cannot come out of a journal.
fn whole_second(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn subject(mail: &Mail, surroundings: &Surroundings) -> String {
    let language = mail.recipient.language;
    let texts = &texts(language).mail;
    let district = surroundings
        .district
        .as_deref()
        .map(one_line)
        .map(|district| fill(&texts.subject_district, &[("district", &district)]));
    let alarm = match mail.template {
        Template::PendantAlarm => alarm_text(mail.facts.alarm, language),
    };
    let plain = fill(
        &texts.subject,
        &[("alarm", alarm), ("district", district.as_deref().unwrap_or_default())],
    );
    let mark = mode_mark(mail.settings.mode).unwrap_or_default();
    match mail.settings.mode {
        Mode::Real => plain,
        Mode::Training => format!("{mark}{plain}{mark}"),
        Mode::Demo => format!("{mark}{plain}"),
    }
}

/// All that is needed to go there stands in the first 250 signs: feature phones cut the rest.
fn body(
    mail: &Mail,
    id: EffectId,
    reveal: &dyn Reveal,
    surroundings: &Surroundings,
) -> Result<String, RenderError> {
    let language = mail.recipient.language;
    let texts = &texts(language).mail;
    let settings = &mail.settings;
    let mut lines = Vec::new();
    lines.extend(mode_line(settings.mode, language));
    let headquarters = one_line(&settings.headquarters);
    lines.push(fill(&texts.greeting, &[("headquarters", &headquarters)]));
    lines.push(String::new());
    lines.push(fill(&texts.what, &[("alarm", alarm_text(mail.facts.alarm, language))]));
    lines.push(match &mail.facts.subscriber {
        Some(name) => fill(&texts.who, &[("name", &open(reveal, name, "name of the person")?)]),
        None => texts.who_unknown.clone(),
    });
    lines.push(place_line(mail, reveal, surroundings)?);
    lines.push(fill(&texts.when, &[("time", &texts.time(mail.facts.at))]));
    lines.push(String::new());
    lines.push(fill(&texts.answer, &[("time", &texts.time_short(mail.expires_at))]));
    let link = format!("{}/r/{}", settings.answer_url, token::make(id, surroundings.answer_mac));
    lines.push(link);
    lines.push(String::new());
    let name = open(reveal, &mail.recipient.name, "name of the recipient")?;
    lines.push(fill(&texts.closing, &[("name", &name)]));
    lines.push(String::new());
    Ok(lines.join("\r\n"))
}

fn place_line(
    mail: &Mail,
    reveal: &dyn Reveal,
    surroundings: &Surroundings,
) -> Result<String, RenderError> {
    let language: Language = mail.recipient.language;
    let texts = &texts(language).mail;
    let district = surroundings.district.as_deref().map(one_line);
    let address = match &mail.facts.address {
        Some(address) => Some(open(reveal, address, "address of the person")?),
        None => None,
    };
    Ok(match (address, district) {
        (Some(address), district) => {
            let district = district
                .map(|district| fill(&texts.place_district, &[("district", &district)]))
                .unwrap_or_default();
            fill(&texts.place, &[("address", &address), ("district", &district)])
        }
        (None, Some(district)) => {
            let district = fill(&texts.place_district, &[("district", &district)]);
            fill(&texts.place, &[("address", ""), ("district", district.trim_start())])
        }
        (None, None) => texts.place_unknown.clone(),
    })
}

fn open(reveal: &dyn Reveal, sealed: &Sealed, what: &'static str) -> Result<String, RenderError> {
    reveal.reveal_text(sealed).map(|text| one_line(&text)).ok_or(RenderError::Erased { what })
}

/// A value from a register stays on its line: a line break in a name must not write a new one.
fn one_line(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

fn ascii_header(name: &str, value: &str) -> Result<HeaderValue, RenderError> {
    let name = HeaderName::new_from_ascii(name.to_owned())
        .map_err(|_not_a_name| RenderError::Unbuildable)?;
    Ok(HeaderValue::new(name, value.to_owned()))
}
