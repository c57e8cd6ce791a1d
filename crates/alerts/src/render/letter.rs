//! A person's words to a group, as a mail.

use hansho_model::{EffectId, LetterTo, Mail, Mode, NoticeKind, Replacing, Reveal};

use super::{RenderError, Surroundings, message_id_of, one_line, open};
use crate::texts::{LetterTexts, TRAINING, fill, mode_line, mode_mark, texts};
use crate::token;

/// Subject of a letter: what is not real says so first, what is a drill at both ends.
pub(super) fn subject(
    mail: &Mail,
    to: &LetterTo,
    reveal: &dyn Reveal,
) -> Result<String, RenderError> {
    let words = &texts(mail.recipient.language).letter;
    let letter = &to.letter;
    let subject = open(reveal, &letter.subject, "subject of the notice")?;
    // Who never had the first reads a first notice.
    let replaced = letter.replaces.filter(|_| to.earlier.is_some()).map(|(_, how)| how);
    let prefix = match replaced {
        Some(Replacing::Correction) => words.subject_correction.clone(),
        Some(Replacing::Withdrawal) => words.subject_withdrawal.clone(),
        None => String::new(),
    };
    let kind = kind_of(letter.kind, words);
    let plain = format!("{prefix}{}", fill(kind, &[("subject", &subject)]));
    let demo = match mail.settings.mode {
        Mode::Demo => mode_mark(Mode::Demo).unwrap_or_default(),
        Mode::Real | Mode::Training => "",
    };
    let mark = if is_drill(mail, to) { TRAINING } else { "" };
    Ok(format!("{demo}{mark}{plain}{mark}"))
}

/// Text of a letter.
pub(super) fn body(
    mail: &Mail,
    to: &LetterTo,
    id: EffectId,
    reveal: &dyn Reveal,
    surroundings: &Surroundings,
) -> Result<String, RenderError> {
    let language = mail.recipient.language;
    let (texts, settings, letter) = (texts(language), &mail.settings, &to.letter);
    let words = &texts.letter;
    let mut lines = Vec::new();
    if settings.mode == Mode::Demo {
        lines.extend(mode_line(Mode::Demo, language));
    }
    if is_drill(mail, to) {
        lines.extend(mode_line(Mode::Training, language));
    }
    let how = letter.replaces.filter(|_| to.earlier.is_some()).map(|(_, how)| how);
    lines.extend(how.map(|how| match how {
        Replacing::Correction => words.correction.clone(),
        Replacing::Withdrawal => words.withdrawal.clone(),
    }));
    lines.push(fill(&words.greeting, &[("headquarters", &one_line(&settings.headquarters))]));
    lines.push(String::new());
    let text = reveal
        .reveal_text(&letter.text)
        .ok_or(RenderError::Erased { what: "text of the notice" })?;
    lines.extend(text.lines().map(one_line));
    lines.push(String::new());
    if asks(to) {
        lines.push(fill(&words.answer, &[("time", &texts.mail.time_short(mail.expires_at))]));
        let token = token::make(id, surroundings.answer_mac);
        lines.push(format!("{}/r/{token}", settings.answer_url));
        lines.push(String::new());
    }
    let name = open(reveal, &mail.recipient.name, "name of the recipient")?;
    lines.push(fill(&words.closing, &[("name", &name)]));
    lines.push(String::new());
    Ok(lines.join("\r\n"))
}

/// The mail before it in the thread.
pub(super) fn in_reply_to(mail: &Mail, to: &LetterTo) -> Option<String> {
    to.earlier.map(|earlier| message_id_of(&mail.settings, earlier))
}

/// Whether the recipient is asked for an answer: not about what is withdrawn.
fn asks(to: &LetterTo) -> bool {
    let withdrawn = matches!(to.letter.replaces, Some((_, Replacing::Withdrawal)));
    to.letter.kind.asks() && !withdrawn
}

fn is_drill(mail: &Mail, to: &LetterTo) -> bool {
    to.letter.drill || mail.settings.mode == Mode::Training
}

fn kind_of(kind: NoticeKind, words: &LetterTexts) -> &str {
    match kind {
        NoticeKind::CallOut => &words.subject_call_out,
        NoticeKind::Muster => &words.subject_muster,
        NoticeKind::Search => &words.subject_search,
        NoticeKind::Information => &words.subject_information,
        NoticeKind::AllClear => &words.subject_all_clear,
    }
}

#[cfg(test)]
mod tests {
    use hansho_model::{Language, Letter, MailContent, NoticeId, Seq};

    use super::super::render;
    use super::super::tests::{Glass, ID, around, mail, sealed};
    use super::*;

    fn to(kind: NoticeKind, replaces: Option<Replacing>, had_one: bool) -> LetterTo {
        let before = NoticeId(Seq::new(184_100));
        let letter = Letter {
            group: "dan-2-3".to_owned(),
            kind,
            drill: false,
            subject: sealed("小名浜住吉 建物火災"),
            text: sealed("集合: 住吉集会所\n道具: 可搬ポンプ"),
            incident: None,
            replaces: replaces.map(|how| (before, how)),
            public: None,
        };
        let earlier = had_one.then_some(EffectId { seq: before.0, index: 7 });
        LetterTo { letter, earlier }
    }

    fn run(language: Language, mode: Mode, to: &LetterTo) -> String {
        let mut mail = mail(language, mode);
        mail.content = MailContent::Letter(Box::new(to.clone()));
        let subject = subject(&mail, to, &Glass).unwrap();
        let body = body(&mail, to, ID, &Glass, &around("")).unwrap();
        format!("{subject}\n--\n{}", body.replace("\r\n", "\n"))
    }

    #[test]
    fn a_call_out_in_both_languages() {
        let to = to(NoticeKind::CallOut, None, false);
        let both = [Language::Ja, Language::En].map(|each| run(each, Mode::Demo, &to));
        insta::assert_snapshot!(both.join("\n====\n"));
    }

    #[test]
    fn a_correction_and_a_withdrawal() {
        let correction = to(NoticeKind::CallOut, Some(Replacing::Correction), true);
        let withdrawal = to(NoticeKind::CallOut, Some(Replacing::Withdrawal), true);
        let both = [correction, withdrawal].map(|to| run(Language::Ja, Mode::Real, &to));
        insta::assert_snapshot!(both.join("\n====\n"));
    }

    #[test]
    fn who_never_had_the_first_reads_a_first_one() {
        let first = to(NoticeKind::CallOut, None, false);
        let stopped = to(NoticeKind::CallOut, Some(Replacing::Correction), false);
        assert_eq!(run(Language::Ja, Mode::Real, &first), run(Language::Ja, Mode::Real, &stopped));
    }

    #[test]
    fn a_drill_says_so_at_both_ends_and_first_in_every_mode() {
        for mode in [Mode::Real, Mode::Training, Mode::Demo] {
            let mut to = to(NoticeKind::Muster, None, false);
            to.letter.drill = true;
            let text = run(Language::Ja, mode, &to);
            let (subject, body) = text.split_once("\n--\n").unwrap();
            assert!(
                subject.ends_with("【訓練】") && subject.contains("【訓練】【参集】"),
                "{subject}"
            );
            let first: Vec<&str> = body.lines().take(2).collect();
            assert!(first.contains(&"【訓練】"), "{body}");
        }
    }

    #[test]
    fn only_what_asks_has_a_link() {
        for kind in NoticeKind::ALL {
            let text = run(Language::En, Mode::Real, &to(*kind, None, false));
            assert_eq!(text.contains("/r/"), kind.asks(), "{text}");
        }
        let withdrawn = to(NoticeKind::CallOut, Some(Replacing::Withdrawal), true);
        assert!(!run(Language::Ja, Mode::Real, &withdrawn).contains("/r/"));
    }

    #[test]
    fn a_correction_stands_in_the_thread_of_the_first() {
        let mut mail = mail(Language::Ja, Mode::Real);
        let to = to(NoticeKind::CallOut, Some(Replacing::Correction), true);
        mail.content = MailContent::Letter(Box::new(to));
        let rendered = render(&mail, ID, &Glass, &around("")).unwrap();
        let text = String::from_utf8(rendered.bytes.0).unwrap();
        let before = "<n184100.7@hansho.example.jp>";
        assert!(text.contains(&format!("In-Reply-To: {before}\r\n")), "{text}");
        assert!(text.contains(&format!("References: {before}\r\n")), "{text}");
        assert!(text.contains("Message-ID: <n184300.2@hansho.example.jp>\r\n"), "{text}");
    }

    #[test]
    fn a_line_break_in_the_subject_writes_no_header() {
        let mut to = to(NoticeKind::Information, None, false);
        to.letter.subject = sealed("一\r\nBcc: everybody@example.jp");
        let mut mail = mail(Language::Ja, Mode::Real);
        mail.content = MailContent::Letter(Box::new(to));
        let rendered = render(&mail, ID, &Glass, &around("")).unwrap();
        let text = String::from_utf8(rendered.bytes.0).unwrap();
        assert!(!text.contains("\r\nBcc:"), "{text}");
    }
}
