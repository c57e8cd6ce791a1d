//! The texts that people read: one file a language, read once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use hansho_model::{AlarmKind, DegreesE7, IncidentKind, IncidentSubkind, Language, Mode, Position};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;

/// Said in the subject and the first line of everything that leaves a demo. It stands in the code
/// and in Japanese for every language: an invented disaster with real place names is a hoax if it
/// leaks without these words.
const DEMO: &str = "【デモ・実際の災害ではありません】";
/// Said at both ends of the subject and in the first line of a drill.
pub(crate) const TRAINING: &str = "【訓練】";

/// What marks a text as not real, in its first line; `None` when it is real.
#[must_use]
pub const fn mode_mark(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::Real => None,
        Mode::Training => Some(TRAINING),
        Mode::Demo => Some(DEMO),
    }
}

/// What an alarm is, in words.
#[must_use]
pub fn alarm_text(alarm: AlarmKind, language: Language) -> &'static str {
    texts(language).alarms.get(alarm.as_str()).map_or(alarm.as_str(), String::as_str)
}

/// What an incident is, in words: by its second level, if it has one.
#[must_use]
pub fn event_text(
    kind: IncidentKind,
    subkind: Option<IncidentSubkind>,
    language: Language,
) -> &'static str {
    let events = &texts(language).events;
    let exact = subkind.and_then(|subkind| events.get(subkind.as_str()));
    exact.or_else(|| events.get(kind.as_str())).map_or(kind.as_str(), String::as_str)
}

/// What the public reads of a notice that is withdrawn: before its headline, and before its text.
#[must_use]
pub fn withdrawn_text(language: Language) -> (&'static str, &'static str) {
    let words = &texts(language).letter;
    (&words.subject_withdrawal, &words.public_withdrawn)
}

/// The first line of a text that is not real.
pub(crate) fn mode_line(mode: Mode, language: Language) -> Option<String> {
    let mark = mode_mark(mode)?;
    Some(match (language, mode) {
        (Language::En, Mode::Demo) => format!("{mark} DEMO - not a real emergency"),
        (Language::En, Mode::Training) => format!("{mark} DRILL - not a real emergency"),
        (Language::Ja | Language::En, _) => mark.to_owned(),
    })
}

/// The texts of a language.
pub(crate) fn texts(language: Language) -> &'static Texts {
    match language {
        Language::Ja => &JA,
        Language::En => &EN,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    pub(crate) mail: MailTexts,
    pub(crate) page: PageTexts,
    pub(crate) letter: LetterTexts,
    alarms: BTreeMap<String, String>,
    events: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailTexts {
    pub(crate) subject: String,
    pub(crate) subject_tracker: String,
    pub(crate) subject_again: String,
    pub(crate) subject_district: String,
    pub(crate) greeting: String,
    pub(crate) greeting_left: String,
    pub(crate) greeting_again: String,
    pub(crate) greeting_returned: String,
    pub(crate) what: String,
    pub(crate) who: String,
    pub(crate) who_unknown: String,
    #[serde(rename = "where")]
    pub(crate) place: String,
    pub(crate) home: String,
    #[serde(rename = "where_district")]
    pub(crate) place_district: String,
    #[serde(rename = "where_unknown")]
    pub(crate) place_unknown: String,
    pub(crate) seen: String,
    pub(crate) seen_zone: String,
    pub(crate) when: String,
    pub(crate) answer: String,
    pub(crate) closing: String,
    time: String,
    time_short: String,
    weekdays: [String; 7],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterTexts {
    pub(crate) subject_call_out: String,
    pub(crate) subject_muster: String,
    pub(crate) subject_search: String,
    pub(crate) subject_information: String,
    pub(crate) subject_all_clear: String,
    pub(crate) subject_correction: String,
    pub(crate) subject_withdrawal: String,
    pub(crate) correction: String,
    pub(crate) withdrawal: String,
    pub(crate) greeting: String,
    pub(crate) answer: String,
    pub(crate) closing: String,
    pub(crate) page_title: String,
    pub(crate) page_withdrawn: String,
    public_withdrawn: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageTexts {
    pub(crate) title: String,
    pub(crate) what: String,
    pub(crate) who: String,
    pub(crate) who_unknown: String,
    #[serde(rename = "where_district")]
    pub(crate) place_district: String,
    pub(crate) when: String,
    pub(crate) coming: String,
    pub(crate) late: String,
    pub(crate) cannot: String,
    pub(crate) arrived: String,
    pub(crate) own: String,
    pub(crate) own_none: String,
    pub(crate) counts: String,
    pub(crate) updated: String,
    pub(crate) refresh: String,
    pub(crate) thanks: String,
    pub(crate) expired_title: String,
    pub(crate) expired: String,
    pub(crate) unreadable_title: String,
    pub(crate) unreadable: String,
    pub(crate) other_language: String,
    pub(crate) answer_coming: String,
    pub(crate) answer_late: String,
    pub(crate) answer_late_open: String,
    pub(crate) answer_cannot: String,
    pub(crate) answer_arrived: String,
    pub(crate) seen: String,
}

impl MailTexts {
    /// Day and time in Japan.
    pub(crate) fn time(&self, at: Timestamp) -> String {
        let local = japan(at);
        let weekday = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or_default();
        fill(
            &self.time,
            &[
                ("month", &local.month().to_string()),
                ("day", &local.day().to_string()),
                ("weekday", self.weekdays.get(weekday).map_or("", String::as_str)),
                ("hour", &local.hour().to_string()),
                ("minute", &format!("{:02}", local.minute())),
            ],
        )
    }

    /// Time of day in Japan.
    pub(crate) fn time_short(&self, at: Timestamp) -> String {
        let local = japan(at);
        let (hour, minute) = (local.hour().to_string(), format!("{:02}", local.minute()));
        fill(&self.time_short, &[("hour", &hour), ("minute", &minute)])
    }
}

/// Latitude and longitude in degrees with five digits, a metre: `37.10600` and `140.95890`.
pub(crate) fn degrees(position: Position) -> [String; 2] {
    let text = |degrees: DegreesE7| {
        let sign = if degrees.e7() < 0 { "-" } else { "" };
        let e5 = degrees.e7().unsigned_abs() / 100;
        format!("{sign}{}.{:05}", e5 / 100_000, e5 % 100_000)
    };
    [text(position.lat), text(position.lon)]
}

/// Puts values into a text. What a value says is not looked at again: a name such as `{time}`
/// stays as it is.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        if let Some((_name, value)) = values.iter().find(|(each, _value)| *each == name) {
            filled.push_str(value);
        }
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

/// Japan has had one offset and no summer time since 1951.
pub(crate) fn japan(at: Timestamp) -> DateTime {
    const JST: Offset = Offset::constant(9);
    JST.to_datetime(at)
}

fn read(file: &str, text: &str) -> Texts {
    match toml::from_str(text) {
        Ok(texts) => texts,
        Err(error) => panic!("crates/alerts/texts/{file} is part of the program: {error}"),
    }
}

static JA: LazyLock<Texts> = LazyLock::new(|| read("ja.toml", include_str!("../texts/ja.toml")));
static EN: LazyLock<Texts> = LazyLock::new(|| read("en.toml", include_str!("../texts/en.toml")));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_has_words_in_every_language() {
        for &language in Language::ALL {
            let texts = texts(language);
            for alarm in AlarmKind::ALL {
                assert!(texts.alarms.contains_key(alarm.as_str()), "{language}: {alarm}");
            }
            assert_eq!(texts.alarms.len(), AlarmKind::ALL.len(), "{language}: an alarm too many");
        }
    }

    #[test]
    fn languages_use_the_same_values() {
        let names = |file: &str| -> Vec<(String, Vec<String>)> {
            let table: toml::Table = toml::from_str(file).unwrap();
            let mut all = Vec::new();
            for (section, keys) in table {
                for (key, value) in keys.as_table().unwrap() {
                    let text = value.as_str().unwrap_or_default();
                    let mut used: Vec<String> = text
                        .split('{')
                        .skip(1)
                        .map(|part| part.split('}').next().unwrap().to_owned())
                        .collect();
                    used.sort();
                    all.push((format!("{section}.{key}"), used));
                }
            }
            all.sort();
            all
        };
        assert_eq!(
            names(include_str!("../texts/ja.toml")),
            names(include_str!("../texts/en.toml"))
        );
    }

    #[test]
    fn a_place_is_told_to_the_metre() {
        let at = |lat, lon| {
            let (lat, lon) = (DegreesE7::from_e7(lat), DegreesE7::from_e7(lon));
            degrees(Position::new(lat, lon).unwrap()).join(",")
        };
        assert_eq!(at(371_060_000, 1_409_589_019), "37.10600,140.95890");
        assert_eq!(at(-500_000, -99), "-0.05000,-0.00000");
    }

    #[test]
    fn values_are_not_looked_at_again() {
        assert_eq!(fill("{a} und {b}{c}", &[("a", "{b}"), ("b", "2")]), "{b} und 2");
        assert_eq!(fill("{a", &[("a", "1")]), "{a");
    }
}
