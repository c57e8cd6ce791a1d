//! The answer page: plain HTML, no script, for any browser on any phone.
//!
//! GET shows [`page()`] and records nothing: mail scanners follow every link. POST of the form
//! (`answer=coming`, `late.10`, `late.30`, `cannot` or `arrived`) records and shows [`thanks`].
//! The order of the buttons never changes.

use hansho_model::{AlarmKind, AnswerChoice, Language, Mode, Position};
use jiff::Timestamp;

use crate::texts::{PageTexts, alarm_text, degrees, fill, mode_line, texts};

/// What the page shows. Values are clear text; the page escapes them.
#[derive(Clone, Debug)]
pub struct PageFacts {
    /// Language of the page.
    pub language: Language,
    /// Real, training, demo.
    pub mode: Mode,
    /// Name of the headquarters.
    pub headquarters: String,
    /// What it is about.
    pub about: About,
    /// The person's own last answer.
    pub own: Option<OwnAnswer>,
    /// Answers of all.
    pub counts: AnswerCounts,
    /// Now.
    pub now: Timestamp,
}

/// What a page is about.
#[derive(Clone, Debug)]
pub enum About {
    /// Somebody's device called for help.
    Alarm {
        /// The alarm.
        alarm: AlarmKind,
        /// Name of the person in need.
        name: Option<String>,
        /// Address of the home.
        address: Option<String>,
        /// District, in the page's language.
        district: Option<String>,
        /// When the alarm was received.
        at: Timestamp,
        /// Where the person was seen last, and when.
        seen: Option<(Position, Timestamp)>,
    },
    /// A person's words to a group.
    Letter {
        /// Subject.
        subject: String,
        /// Text, in lines.
        text: String,
        /// Whether it is a drill.
        drill: bool,
    },
}

/// A person's last answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAnswer {
    /// What.
    pub choice: AnswerChoice,
    /// In how many minutes.
    pub minutes: Option<u16>,
    /// When we had it.
    pub at: Timestamp,
}

/// How many gave which answer, by the last answer of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerCounts {
    /// Coming at once.
    pub coming: u32,
    /// Coming later.
    pub late: u32,
    /// Cannot come.
    pub cannot: u32,
    /// There.
    pub arrived: u32,
}

/// Why a form is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// More bytes than any button sends.
    #[error("the form has {size} bytes, at most {FORM_MAX} make sense")]
    TooLong {
        /// Bytes.
        size: usize,
    },
    /// No field `answer`, or more than one.
    #[error("the form needs exactly one field `answer`, it has {count}")]
    NotOneAnswer {
        /// Fields of that name.
        count: usize,
    },
    /// A value that no button has.
    #[error("`answer` must be one of coming, late, late.<minutes>, cannot, arrived")]
    UnknownAnswer,
    /// Minutes out of range.
    #[error("minutes must be 0 to 1440")]
    BadMinutes,
}

/// The page with the buttons.
#[must_use]
pub fn page(facts: &PageFacts) -> String {
    shown(facts, None)
}

/// The page after an answer was recorded; `facts.own` is that answer.
#[must_use]
pub fn thanks(facts: &PageFacts) -> String {
    let said = &texts(facts.language).page.thanks;
    shown(facts, Some(said))
}

/// When the answers are closed, or the link is none of ours: which of the two is not told.
#[must_use]
pub fn expired(language: Language, mode: Mode) -> String {
    let texts = &texts(language).page;
    note(language, mode, &texts.expired_title, &texts.expired)
}

/// When the notice was withdrawn: nobody is to go, and nobody is asked.
#[must_use]
pub fn withdrawn(language: Language, mode: Mode) -> String {
    let words = &texts(language).letter;
    note(language, mode, &words.page_title, &words.page_withdrawn)
}

/// When a form could not be read.
#[must_use]
pub fn unreadable(language: Language, mode: Mode) -> String {
    let texts = &texts(language).page;
    note(language, mode, &texts.unreadable_title, &texts.unreadable)
}

/// Reads the form of the page: `application/x-www-form-urlencoded`.
///
/// # Errors
///
/// See [`FormError`].
pub fn parse_form(body: &[u8]) -> Result<(AnswerChoice, Option<u16>), FormError> {
    if body.len() > FORM_MAX {
        return Err(FormError::TooLong { size: body.len() });
    }
    let mut answers = body
        .split(|byte| *byte == b'&')
        .filter_map(|field| field.strip_prefix(b"answer="))
        .collect::<Vec<_>>();
    let (Some(value), true) = (answers.pop(), answers.is_empty()) else {
        let count = if answers.is_empty() { 0 } else { answers.len() + 1 };
        return Err(FormError::NotOneAnswer { count });
    };
    // No value of a button has a sign that a browser would escape.
    let value = str::from_utf8(value).map_err(|_not_text| FormError::UnknownAnswer)?;
    let (word, minutes) = match value.split_once('.') {
        Some((word, minutes)) => (word, Some(minutes)),
        None => (value, None),
    };
    let choice = AnswerChoice::from_word(word).ok_or(FormError::UnknownAnswer)?;
    let minutes = match minutes {
        None => None,
        Some(_) if choice != AnswerChoice::Late => return Err(FormError::UnknownAnswer),
        Some(text) => Some(minutes_of(text)?),
    };
    Ok((choice, minutes))
}

fn minutes_of(text: &str) -> Result<u16, FormError> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let minutes = plain.then(|| text.parse::<u16>().ok()).flatten();
    minutes.filter(|minutes| *minutes <= MINUTES_MAX).ok_or(FormError::BadMinutes)
}

fn shown(facts: &PageFacts, said: Option<&str>) -> String {
    let texts = texts(facts.language);
    let words = &texts.page;
    let time = |at| texts.mail.time_short(at);
    let title = match &facts.about {
        About::Alarm { .. } => &words.title,
        About::Letter { .. } => &texts.letter.page_title,
    };
    let mut html = Html::begin(facts.language, facts.mode, title);
    if matches!(facts.about, About::Letter { drill: true, .. }) && facts.mode != Mode::Training {
        let drill = mode_line(Mode::Training, facts.language).unwrap_or_default();
        html.line("p class=\"mode\"", "p", &drill);
    }
    if let Some(said) = said {
        html.line("p class=\"said\" role=\"status\"", "p", said);
    }
    html.about(&facts.about, facts.language);
    let own = match &facts.own {
        Some(own) => {
            let answer = own_text(own, words);
            fill(&words.own, &[("answer", &answer), ("time", &time(own.at))])
        }
        None => words.own_none.clone(),
    };
    html.line("p class=\"own\"", "p", &own);
    html.raw("<form method=\"post\">");
    html.button("coming", &words.coming);
    html.button("late.10", &fill(&words.late, &[("minutes", "10")]));
    html.button("late.30", &fill(&words.late, &[("minutes", "30")]));
    html.button("cannot", &words.cannot);
    // Last, so that the others stay where they are; who did not say yes has not arrived.
    let on_the_way = facts.own.is_some_and(|own| own.choice != AnswerChoice::Cannot);
    if on_the_way {
        html.button("arrived", &words.arrived);
    }
    html.raw("</form>\n");
    let counts = [
        ("coming", facts.counts.coming.saturating_add(facts.counts.late).to_string()),
        ("cannot", facts.counts.cannot.to_string()),
        ("arrived", facts.counts.arrived.to_string()),
    ];
    let counts: Vec<(&str, &str)> = counts.iter().map(|(name, n)| (*name, n.as_str())).collect();
    html.line("p", "p", &fill(&words.counts, &counts));
    html.raw("<p>");
    html.text(&fill(&words.updated, &[("time", &time(facts.now))]));
    html.raw(" <a href=\"?\">");
    html.text(&words.refresh);
    html.raw("</a> ");
    html.other_language(facts.language, &words.other_language);
    html.raw("</p>\n");
    html.line("footer", "footer", &facts.headquarters);
    html.end()
}

fn note(language: Language, mode: Mode, title: &str, said: &str) -> String {
    let mut html = Html::begin(language, mode, title);
    html.line("h1", "h1", title);
    html.line("p", "p", said);
    html.end()
}

/// Who needs help, and in which district: one line, as all has to fit on a small screen.
fn who_line(name: Option<&str>, district: Option<&str>, words: &PageTexts) -> String {
    let who = name.map(|name| fill(&words.who, &[("name", name)]));
    let mut line = who.unwrap_or_else(|| words.who_unknown.clone());
    if let Some(district) = district {
        line.push_str(&fill(&words.place_district, &[("district", district)]));
    }
    line
}

fn own_text(own: &OwnAnswer, words: &PageTexts) -> String {
    match (own.choice, own.minutes) {
        (AnswerChoice::Coming, _) => words.answer_coming.clone(),
        (AnswerChoice::Late, Some(minutes)) => {
            fill(&words.answer_late, &[("minutes", &minutes.to_string())])
        }
        (AnswerChoice::Late, None) => words.answer_late_open.clone(),
        (AnswerChoice::Cannot, _) => words.answer_cannot.clone(),
        (AnswerChoice::Arrived, _) => words.answer_arrived.clone(),
    }
}

/// A page being written; text is escaped, markup is not.
struct Html(String);

impl Html {
    fn begin(language: Language, mode: Mode, title: &str) -> Self {
        let mut html = Self(String::with_capacity(4096));
        html.raw("<!DOCTYPE html>\n<html lang=\"");
        html.text(language.as_str());
        html.raw("\">\n<head><meta charset=\"utf-8\">");
        html.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
        // The address of this page is a secret of its reader: not in a Referer, not in an index.
        html.raw("<meta name=\"referrer\" content=\"no-referrer\">");
        html.raw("<meta name=\"robots\" content=\"noindex\">");
        html.raw("<title>");
        html.text(title);
        html.raw("</title>\n<style>");
        html.raw(STYLE);
        html.raw("</style></head>\n<body>\n");
        if let Some(mark) = mode_line(mode, language) {
            html.line("p class=\"mode\"", "p", &mark);
        }
        html
    }

    fn about(&mut self, about: &About, language: Language) {
        let texts = texts(language);
        let words = &texts.page;
        match about {
            About::Alarm { alarm, name, address, district, at, seen } => {
                let alarm = alarm_text(*alarm, language);
                self.line("h1", "h1", &fill(&words.what, &[("alarm", alarm)]));
                self.line("p", "p", &who_line(name.as_deref(), district.as_deref(), words));
                if let Some(address) = address {
                    self.line("p", "p", address);
                }
                if let Some((position, at)) = *seen {
                    let ([lat, lon], at) = (degrees(position), texts.mail.time_short(at));
                    let values = [("lat", lat.as_str()), ("lon", &lon), ("time", &at)];
                    self.line("p", "p", &fill(&words.seen, &values));
                }
                self.line("p", "p", &fill(&words.when, &[("time", &texts.mail.time(*at))]));
            }
            About::Letter { subject, text, drill: _ } => {
                self.line("h1", "h1", subject);
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    self.line("p", "p", line);
                }
            }
        }
    }

    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    fn text(&mut self, text: &str) {
        for sign in text.chars() {
            match sign {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                sign => self.0.push(sign),
            }
        }
    }

    fn line(&mut self, open: &str, close: &str, text: &str) {
        self.raw("<");
        self.raw(open);
        self.raw(">");
        self.text(text);
        self.raw("</");
        self.raw(close);
        self.raw(">\n");
    }

    fn button(&mut self, value: &str, label: &str) {
        self.raw("<button name=\"answer\" value=\"");
        self.text(value);
        self.raw("\">");
        self.text(label);
        self.raw("</button>\n");
    }

    fn other_language(&mut self, language: Language, label: &str) {
        let other = match language {
            Language::Ja => Language::En,
            Language::En => Language::Ja,
        };
        self.raw("<a lang=\"");
        self.text(other.as_str());
        self.raw("\" href=\"?lang=");
        self.text(other.as_str());
        self.raw("\">");
        self.text(label);
        self.raw("</a>");
    }

    fn end(mut self) -> String {
        self.raw("</body>\n</html>\n");
        self.0
    }
}

/// Text of at least 18 px, buttons of at least 48 px, black on white in any light.
const STYLE: &str = "body{margin:4px;font:18px/1.25 sans-serif;color:#000;background:#fff}\
h1{font-size:20px;margin:1px 0}p{margin:1px 0}\
.mode{background:#fd0;font-weight:bold}\
.said{background:#063;color:#fff;padding:4px}.own{font-weight:bold}\
button{display:block;width:100%;min-height:48px;margin:3px 0;font:inherit;font-weight:bold;\
text-align:left;padding:0 12px;color:#000;background:#eee;border:2px solid #000;border-radius:6px}\
a{color:#00c}footer{margin:0}";

/// A day; nobody answers for later.
const MINUTES_MAX: u16 = 1_440;

/// A browser sends some 20 bytes.
const FORM_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(language: Language, mode: Mode) -> PageFacts {
        let at = |text: &str| text.parse().unwrap();
        PageFacts {
            language,
            mode,
            headquarters: "ハンショウ市消防本部(架空)".to_owned(),
            about: About::Alarm {
                alarm: AlarmKind::Help,
                name: Some("利用者 0001".to_owned()),
                address: Some("小名浜住吉1-2".to_owned()),
                district: Some("小名浜".to_owned()),
                at: at("2026-11-23T05:07:42Z"),
                seen: None,
            },
            own: Some(OwnAnswer {
                choice: AnswerChoice::Late,
                minutes: Some(10),
                at: at("2026-11-23T05:09:00Z"),
            }),
            counts: AnswerCounts { coming: 2, late: 1, cannot: 3, arrived: 0 },
            now: at("2026-11-23T05:10:00Z"),
        }
    }

    #[test]
    fn japanese_page() {
        insta::assert_snapshot!(page(&facts(Language::Ja, Mode::Demo)));
    }

    #[test]
    fn english_thanks() {
        insta::assert_snapshot!(thanks(&facts(Language::En, Mode::Real)));
    }

    #[test]
    fn closed_and_unreadable() {
        insta::assert_snapshot!(expired(Language::Ja, Mode::Training));
        insta::assert_snapshot!(unreadable(Language::En, Mode::Real));
    }

    #[test]
    fn a_letter_and_its_withdrawal() {
        let mut facts = facts(Language::Ja, Mode::Demo);
        facts.about = About::Letter {
            subject: "小名浜住吉 建物火災".to_owned(),
            text: "集合: 住吉集会所\n\n道具: <可搬ポンプ>".to_owned(),
            drill: true,
        };
        insta::assert_snapshot!(page(&facts));
        let withdrawn = withdrawn(Language::Ja, Mode::Real);
        assert!(!withdrawn.contains("<form"), "{withdrawn}");
        insta::assert_snapshot!(withdrawn);
    }

    #[test]
    fn only_who_said_yes_can_arrive() {
        let mut facts = facts(Language::Ja, Mode::Real);
        for (choice, offered) in [
            (Some(AnswerChoice::Coming), true),
            (Some(AnswerChoice::Late), true),
            (Some(AnswerChoice::Arrived), true),
            (Some(AnswerChoice::Cannot), false),
            (None, false),
        ] {
            facts.own = choice.map(|choice| OwnAnswer { choice, minutes: None, at: facts.now });
            assert_eq!(page(&facts).contains("value=\"arrived\""), offered, "{choice:?}");
        }
    }

    #[test]
    fn every_page_is_small_and_has_no_script() {
        for &language in Language::ALL {
            for &mode in Mode::ALL {
                let mut facts = facts(language, mode);
                for own in AnswerChoice::ALL {
                    facts.own = Some(OwnAnswer { choice: *own, minutes: None, at: facts.now });
                    let html = page(&facts);
                    assert!(html.len() < 30_000 && !html.contains("<script"), "{html}");
                    assert!(html.contains("<form method=\"post\">"), "a GET must record nothing");
                }
                facts.own = None;
                assert!(thanks(&facts).len() < 30_000);
            }
        }
    }

    #[test]
    fn values_are_text_and_never_markup() {
        let mut facts = facts(Language::Ja, Mode::Real);
        let evil = "<img src=x onerror=\"a('b')\">&amp;{time}";
        facts.headquarters = evil.to_owned();
        let about = About::Alarm {
            alarm: AlarmKind::Help,
            name: Some(evil.to_owned()),
            address: Some(evil.to_owned()),
            district: Some(evil.to_owned()),
            at: facts.now,
            seen: None,
        };
        let (subject, text) = (evil.to_owned(), format!("{evil}\n{evil}"));
        let letter = About::Letter { subject, text, drill: false };
        for about in [about, letter] {
            facts.about = about;
            let html = page(&facts);
            assert!(!html.contains("<img"), "{html}");
            let shown = "&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;amp;{time}";
            assert_eq!(html.matches(shown).count(), 4, "{html}");
        }
    }

    #[test]
    fn forms() {
        assert_eq!(parse_form(b"answer=coming"), Ok((AnswerChoice::Coming, None)));
        assert_eq!(parse_form(b"answer=late.10"), Ok((AnswerChoice::Late, Some(10))));
        assert_eq!(parse_form(b"answer=late.1440"), Ok((AnswerChoice::Late, Some(1_440))));
        assert_eq!(parse_form(b"answer=late"), Ok((AnswerChoice::Late, None)));
        assert_eq!(parse_form(b"x=1&answer=cannot&y="), Ok((AnswerChoice::Cannot, None)));
        assert_eq!(parse_form(b"answer=arrived"), Ok((AnswerChoice::Arrived, None)));
        for (form, error) in [
            (&b""[..], FormError::NotOneAnswer { count: 0 }),
            (b"Answer=coming", FormError::NotOneAnswer { count: 0 }),
            (b"answer=coming&answer=cannot", FormError::NotOneAnswer { count: 2 }),
            (b"answer=", FormError::UnknownAnswer),
            (b"answer=Coming", FormError::UnknownAnswer),
            (b"answer=coming.10", FormError::UnknownAnswer),
            (b"answer=\xff\xfe", FormError::UnknownAnswer),
            (b"answer=late.", FormError::BadMinutes),
            (b"answer=late.-1", FormError::BadMinutes),
            (b"answer=late.1441", FormError::BadMinutes),
            (b"answer=late.99999", FormError::BadMinutes),
            (&[b'a'; 2_000], FormError::TooLong { size: 2_000 }),
        ] {
            assert_eq!(parse_form(form), Err(error), "{}", String::from_utf8_lossy(form));
        }
    }
}
