//! A mail from an effect: the same bytes every time.

mod letter;

use std::time::{Duration, SystemTime};

use hansho_model::{
    EffectId, Facts, Language, Mail, MailContent, Mode, NoticeId, Private, Reveal, Sealed,
    Settings, Sighting, Template,
};
use jiff::Timestamp;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0,
};
use lettre::message::{Body, Mailbox, Message};

use crate::address::WireAddress;
use crate::texts::{MailTexts, alarm_text, degrees, fill, mode_line, mode_mark, texts};
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
    /// The recipient was erased by law, or sealed by another vault.
    #[error(
        "the {what} cannot be opened: the recipient was erased; take the recipient off the list"
    )]
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
    let (subject, text) = words(mail, id, reveal, surroundings)?;
    let text = Body::new_with_encoding(text, ContentTransferEncoding::Base64)
        .map_err(|_unfit| RenderError::Unbuildable)?;
    let envelope = Envelope::new(Some(from.clone()), vec![to.legal.clone()])
        .map_err(|_no_recipient| RenderError::Unbuildable)?;
    let mut message = Message::builder();
    if let MailContent::Letter(to) = &mail.content
        && let Some(before) = letter::in_reply_to(mail, to)
    {
        // Phones keep one thread.
        message = message.in_reply_to(before.clone()).references(before);
    }
    let message = message
        .from(Mailbox::new(Some(headquarters), from.clone()))
        .to(Mailbox::new(None, to.legal.clone()))
        .subject(subject)
        .message_id(Some(message_id_of(settings, id)))
        .date(whole_second(mail.ordered_at))
        .raw_header(ascii_header("Auto-Submitted", "auto-generated")?)
        .raw_header(ascii_header("Importance", "high")?)
        .raw_header(ascii_header("X-Priority", "1")?)
        // Without it lettre reads the recipients back out of the header.
        .envelope(envelope)
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

/// Subject and text.
fn words(
    mail: &Mail,
    id: EffectId,
    reveal: &dyn Reveal,
    surroundings: &Surroundings,
) -> Result<(String, String), RenderError> {
    Ok(match &mail.content {
        MailContent::Alarm { template, facts } => {
            let alarm = Alarm { mail, template: *template, facts };
            (subject(alarm, surroundings), body(alarm, id, reveal, surroundings)?)
        }
        MailContent::Letter(to) => {
            (letter::subject(mail, to, reveal)?, letter::body(mail, to, id, reveal, surroundings)?)
        }
    })
}

/// Unique for a notice and a recipient; the same on every repeat.
fn message_id_of(settings: &Settings, id: EffectId) -> String {
    let signs = settings.message_domain.chars();
    let domain: String =
        signs.filter(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-')).collect();
    format!("<{}.{}@{domain}>", NoticeId(id.seq), id.index)
}

/// A mail's `Date` has whole seconds; a time before 1970 cannot come out of a journal.
fn whole_second(at: Timestamp) -> SystemTime {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// What a machine says of a device's call.
#[derive(Clone, Copy)]
struct Alarm<'a> {
    mail: &'a Mail,
    template: Template,
    facts: &'a Facts,
}

fn subject(alarm: Alarm<'_>, surroundings: &Surroundings) -> String {
    let Alarm { mail, template, facts } = alarm;
    let language = mail.recipient.language;
    let texts = &texts(language).mail;
    let district = surroundings
        .district
        .as_deref()
        .map(one_line)
        .map(|district| fill(&texts.subject_district, &[("district", &district)]));
    let alarm = alarm_text(facts.alarm, language);
    let subject = match template {
        Template::PendantAlarm => &texts.subject,
        Template::TrackerLeftZone | Template::TrackerReturned => &texts.subject_tracker,
        Template::TrackerStillAway => &texts.subject_again,
    };
    let plain =
        fill(subject, &[("alarm", alarm), ("district", district.as_deref().unwrap_or_default())]);
    let mark = mode_mark(mail.settings.mode).unwrap_or_default();
    match mail.settings.mode {
        Mode::Real => plain,
        Mode::Training => format!("{mark}{plain}{mark}"),
        Mode::Demo => format!("{mark}{plain}"),
    }
}

/// All that is needed to go there stands in the first 250 signs: feature phones cut the rest.
fn body(
    alarm: Alarm<'_>,
    id: EffectId,
    reveal: &dyn Reveal,
    surroundings: &Surroundings,
) -> Result<String, RenderError> {
    let Alarm { mail, template, facts } = alarm;
    let language = mail.recipient.language;
    let texts = &texts(language).mail;
    let settings = &mail.settings;
    let mut lines = Vec::new();
    lines.extend(mode_line(settings.mode, language));
    let headquarters = one_line(&settings.headquarters);
    let greeting = match template {
        Template::PendantAlarm => &texts.greeting,
        Template::TrackerLeftZone => &texts.greeting_left,
        Template::TrackerStillAway => &texts.greeting_again,
        Template::TrackerReturned => &texts.greeting_returned,
    };
    lines.push(fill(greeting, &[("headquarters", &headquarters)]));
    lines.push(String::new());
    lines.push(fill(&texts.what, &[("alarm", alarm_text(facts.alarm, language))]));
    // A person who was erased since is named to nobody; the call for help goes out all the same.
    let who = facts.subscriber.as_ref().and_then(|name| reveal.reveal_text(name));
    lines.push(match who {
        Some(name) => fill(&texts.who, &[("name", &one_line(&name))]),
        None => texts.who_unknown.clone(),
    });
    lines.extend(facts.sighting.as_ref().map(|seen| seen_line(seen, texts)));
    lines.push(place_line(alarm, reveal, surroundings));
    lines.push(fill(&texts.when, &[("time", &texts.time(facts.at))]));
    lines.push(String::new());
    // Who is back needs nobody's answer.
    if template != Template::TrackerReturned {
        lines.push(fill(&texts.answer, &[("time", &texts.time_short(mail.expires_at))]));
        let token = token::make(id, surroundings.answer_mac);
        lines.push(format!("{}/r/{token}", settings.answer_url));
        lines.push(String::new());
    }
    let name = open(reveal, &mail.recipient.name, "name of the recipient")?;
    lines.push(fill(&texts.closing, &[("name", &name)]));
    lines.push(String::new());
    Ok(lines.join("\r\n"))
}

/// Where the wearer was seen: a place that a map finds, and how far from where he is safe.
fn seen_line(seen: &Sighting, texts: &MailTexts) -> String {
    let zone = seen.zone.as_ref().map(|away| {
        let metres = away.distance.0.to_string();
        fill(&texts.seen_zone, &[("name", &one_line(&away.zone)), ("metres", &metres)])
    });
    let [lat, lon] = degrees(seen.position);
    let (zone, time) = (zone.unwrap_or_default(), texts.time_short(seen.at));
    fill(&texts.seen, &[("zone", &zone), ("lat", &lat), ("lon", &lon), ("time", &time)])
}

fn place_line(alarm: Alarm<'_>, reveal: &dyn Reveal, surroundings: &Surroundings) -> String {
    let language: Language = alarm.mail.recipient.language;
    let texts = &texts(language).mail;
    // Who wanders is not at home.
    let place = match alarm.template {
        Template::PendantAlarm => &texts.place,
        Template::TrackerLeftZone | Template::TrackerStillAway | Template::TrackerReturned => {
            &texts.home
        }
    };
    let district = surroundings.district.as_deref().map(one_line);
    let address = alarm.facts.address.as_ref().and_then(|address| reveal.reveal_text(address));
    match (address.as_deref().map(one_line), district) {
        (Some(address), district) => {
            let district = district
                .map(|district| fill(&texts.place_district, &[("district", &district)]))
                .unwrap_or_default();
            fill(place, &[("address", &address), ("district", &district)])
        }
        (None, Some(district)) => {
            let district = fill(&texts.place_district, &[("district", &district)]);
            fill(place, &[("address", ""), ("district", district.trim_start())])
        }
        (None, None) => texts.place_unknown.clone(),
    }
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

#[cfg(test)]
mod tests {
    use hansho_model::{
        AlarmKind, DegreesE7, DistrictId, Facts, KeyId, MetresU32, NoticeId, PersonId, Position,
        Recipient, Seq, Settings, Token, ZoneDistance,
    };

    use super::*;

    /// Seals nothing; key 0 was destroyed.
    pub(super) struct Glass;

    impl Reveal for Glass {
        fn reveal(&self, sealed: &Sealed) -> Option<Vec<u8>> {
            (sealed.key != KeyId(0)).then(|| sealed.bytes.clone())
        }
    }

    pub(super) fn sealed(text: &str) -> Sealed {
        Sealed { key: KeyId(1), bytes: text.as_bytes().to_vec() }
    }

    pub(super) fn mail(language: Language, mode: Mode) -> Mail {
        Mail {
            notice: NoticeId(Seq::new(184_300)),
            recipient: Recipient {
                person: PersonId(1),
                address: sealed("helper@mail.example.jp"),
                token: Token([1; 16]),
                name: sealed("協力員 0001"),
                language,
            },
            content: MailContent::Alarm {
                template: Template::PendantAlarm,
                facts: Facts {
                    alarm: AlarmKind::Help,
                    subscriber: Some(sealed("利用者 0001")),
                    address: Some(sealed("小名浜住吉1-2 鍵は植木鉢の下")),
                    district: Some(DistrictId(2)),
                    at: "2026-11-23T05:07:42Z".parse().unwrap(),
                    sighting: None,
                },
            },
            ordered_at: "2026-11-23T05:07:43.5Z".parse().unwrap(),
            expires_at: "2026-11-23T06:07:43Z".parse().unwrap(),
            settings: Settings {
                mode,
                headquarters: "ハンショウ市消防本部(架空)".to_owned(),
                sender: "demo@hansho.example.jp".to_owned(),
                message_domain: "hansho.example.jp".to_owned(),
                answer_url: "http://127.0.0.1:8119".to_owned(),
                answer_minutes: 60,
            },
        }
    }

    /// The facts in a mail about an alarm.
    fn facts_of(mail: &mut Mail) -> &mut Facts {
        let MailContent::Alarm { facts, .. } = &mut mail.content else { panic!() };
        facts
    }

    fn tracker(language: Language, template: Template) -> Mail {
        let mut mail = mail(language, Mode::Demo);
        let position =
            Position::new(DegreesE7::from_e7(371_105_000), DegreesE7::from_e7(1_409_589_000));
        let away = ZoneDistance { zone: "自宅".to_owned(), distance: MetresU32(500) };
        let facts = facts_of(&mut mail);
        facts.alarm = match template {
            Template::TrackerReturned => AlarmKind::EnteredZone,
            Template::PendantAlarm | Template::TrackerLeftZone | Template::TrackerStillAway => {
                AlarmKind::LeftZone
            }
        };
        facts.sighting = Some(Sighting {
            position: position.unwrap(),
            accuracy: Some(MetresU32(15)),
            at: facts.at,
            zone: (template != Template::TrackerReturned).then_some(away),
        });
        let MailContent::Alarm { template: text, .. } = &mut mail.content else { panic!() };
        *text = template;
        mail
    }

    pub(super) const ID: EffectId = EffectId { seq: Seq::new(184_300), index: 2 };

    pub(super) fn around(district: &str) -> Surroundings {
        Surroundings { answer_mac: [0xab; 16], district: Some(district.to_owned()) }
    }

    /// Subject and text, as a person sees them.
    fn run(mail: &Mail, around: &Surroundings) -> String {
        match words(mail, ID, &Glass, around) {
            Ok((subject, text)) => format!("{subject}\n\n{}", text.replace('\r', "")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn japanese() {
        insta::assert_snapshot!(run(&mail(Language::Ja, Mode::Real), &around("小名浜")));
    }

    #[test]
    fn japanese_drill() {
        insta::assert_snapshot!(run(&mail(Language::Ja, Mode::Training), &around("小名浜")));
    }

    #[test]
    fn japanese_demo() {
        insta::assert_snapshot!(run(&mail(Language::Ja, Mode::Demo), &around("小名浜")));
    }

    #[test]
    fn english() {
        insta::assert_snapshot!(run(&mail(Language::En, Mode::Real), &around("Onahama")));
    }

    #[test]
    fn english_drill() {
        insta::assert_snapshot!(run(&mail(Language::En, Mode::Training), &around("Onahama")));
    }

    #[test]
    fn english_demo() {
        insta::assert_snapshot!(run(&mail(Language::En, Mode::Demo), &around("Onahama")));
    }

    #[test]
    fn a_wearer_left_and_is_back() {
        for (language, district) in [(Language::Ja, "四倉"), (Language::En, "Yotsukura")] {
            for template in [Template::TrackerLeftZone, Template::TrackerReturned] {
                let mail = tracker(language, template);
                insta::assert_snapshot!(run(&mail, &around(district)));
            }
        }
    }

    #[test]
    fn a_wearer_is_still_away() {
        for (language, district) in [(Language::Ja, "四倉"), (Language::En, "Yotsukura")] {
            let mail = tracker(language, Template::TrackerStillAway);
            insta::assert_snapshot!(run(&mail, &around(district)));
        }
    }

    #[test]
    fn little_is_known() {
        let mut mail = mail(Language::Ja, Mode::Real);
        facts_of(&mut mail).subscriber = None;
        facts_of(&mut mail).address = None;
        facts_of(&mut mail).alarm = AlarmKind::Fire;
        insta::assert_snapshot!(run(&mail, &around("小名浜")));
        insta::assert_snapshot!(run(&mail, &Surroundings::default()));
    }

    #[test]
    fn the_bytes_are_always_the_same() {
        let mail = mail(Language::Ja, Mode::Demo);
        let first = render(&mail, ID, &Glass, &around("小名浜")).unwrap();
        assert_eq!(first, render(&mail, ID, &Glass, &around("小名浜")).unwrap());
        assert!(first.bytes.0.is_ascii());
        let text = String::from_utf8(first.bytes.0).unwrap();
        assert!(
            text.split_whitespace()
                .all(|word| word.len() <= 76 && (!word.starts_with("=?") || word.len() <= 75)),
            "{text}"
        );
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        insta::assert_snapshot!(text.replace('\r', ""));
    }

    #[test]
    fn all_that_is_needed_stands_in_the_first_250_signs() {
        for &language in Language::ALL {
            let left = tracker(language, Template::TrackerLeftZone);
            let again = tracker(language, Template::TrackerStillAway);
            let usual = Mode::ALL.iter().map(|mode| mail(language, *mode));
            for mail in usual.chain([left, again]) {
                let mode = mail.settings.mode;
                let (_, text) = words(&mail, ID, &Glass, &around("小名浜")).unwrap();
                let end = text.find("/r/184300-2-").unwrap();
                let before = text.char_indices().filter(|(place, _sign)| *place < end).count();
                // A feature phone counts 500 half-width cells; an ASCII sign takes one of them.
                let cells: usize =
                    text.chars().take(before).map(|sign| if sign.is_ascii() { 1 } else { 2 }).sum();
                assert!(cells <= 430, "{language} {mode}: the link begins at cell {cells}");
            }
        }
    }

    #[test]
    fn a_living_but_illegal_address() {
        let mut mail = mail(Language::Ja, Mode::Demo);
        mail.recipient.address = sealed("a..b@docomo.example.jp");
        let rendered = render(&mail, ID, &Glass, &around("平")).unwrap();
        assert_eq!(rendered.to.0, "\"a..b\"@docomo.example.jp");
        assert_eq!(rendered.to_bare, Some(Private("a..b@docomo.example.jp".to_owned())));
        let text = String::from_utf8(rendered.bytes.0).unwrap();
        assert!(text.contains("\r\nTo: \"a..b\"@docomo.example.jp\r\n"), "{text}");
    }

    #[test]
    fn values_cannot_write_headers_or_lines() {
        let mut mail = mail(Language::Ja, Mode::Real);
        facts_of(&mut mail).subscriber = Some(sealed("花子\r\n119 は不要です"));
        mail.settings.headquarters = "本部\r\nBcc: x@mail.example.jp".to_owned();
        mail.settings.message_domain = "a>\r\nX: y".to_owned();
        let around = around("平\r\nX-Evil: 1");
        let (_, text) = words(&mail, ID, &Glass, &around).unwrap();
        assert!(text.contains("どなた: 花子  119 は不要です 様\r\n"), "{text}");
        let bytes = render(&mail, ID, &Glass, &around).unwrap().bytes.0;
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("\nBcc") && !text.contains("\nX-Evil") && !text.contains("\nX:"));
        assert!(text.contains("<n184300.2@aXy>"), "{text}");
    }

    #[test]
    fn who_was_erased_gets_no_mail() {
        type Break = fn(&mut Mail);
        let erase: [(Break, &str); 2] = [
            (|mail| mail.recipient.address.key = KeyId(0), "recipient's address"),
            (|mail| mail.recipient.name.key = KeyId(0), "name of the recipient"),
        ];
        for (erase, what) in erase {
            let mut mail = mail(Language::Ja, Mode::Real);
            erase(&mut mail);
            let refused = render(&mail, ID, &Glass, &around("平"));
            assert_eq!(refused, Err(RenderError::Erased { what }));
        }
    }

    #[test]
    fn helpers_of_an_erased_person_hear_of_the_call_without_a_name() {
        let mut mail = mail(Language::Ja, Mode::Real);
        let (_, whole) = words(&mail, ID, &Glass, &around("平")).unwrap();
        let name = Glass.reveal_text(facts_of(&mut mail).subscriber.as_ref().unwrap()).unwrap();
        let address = Glass.reveal_text(facts_of(&mut mail).address.as_ref().unwrap()).unwrap();
        assert!(whole.contains(&name) && whole.contains(&address), "{whole}");
        facts_of(&mut mail).subscriber.as_mut().unwrap().key = KeyId(0);
        facts_of(&mut mail).address.as_mut().unwrap().key = KeyId(0);
        let (_, text) = words(&mail, ID, &Glass, &around("平")).unwrap();
        assert!(!text.contains(&name) && !text.contains(&address), "{text}");
        assert!(text.contains(&texts(Language::Ja).mail.who_unknown), "{text}");
        assert!(text.contains('平') && text.contains("/r/184300-2-"), "{text}");
    }

    #[test]
    fn what_cannot_be_sent() {
        let mut bad = mail(Language::Ja, Mode::Real);
        bad.recipient.address = sealed("nobody");
        let refused = render(&bad, ID, &Glass, &around("平"));
        assert_eq!(refused, Err(RenderError::BadAddress));
        let mut bad = mail(Language::Ja, Mode::Real);
        bad.settings.sender = "nobody".to_owned();
        assert_eq!(render(&bad, ID, &Glass, &around("平")), Err(RenderError::BadSender));
    }
}
