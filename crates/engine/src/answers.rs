//! The answer page's other side: what a link leads to, and what is recorded when it is posted.

use std::sync::Arc;

use hansho_alerts::{
    About, AnswerCounts, OwnAnswer, PageFacts, expired, page, parse_form, thanks, token,
    unreadable, withdrawn,
};
use hansho_console::{Answers, Page, Reads, Submit};
use hansho_core::{AnswerRecord, Notice, NoticeContent, RecipientState, State};
use hansho_model::{
    Answer, AnswerChoice, CommandId, EffectId, Input, Lane, Language, Mode, NoticeId, Position,
    RefusalCode, Replacing, Reveal, Sealed, Seq,
};
use hansho_telemetry::Counter;
use jiff::Timestamp;

use crate::clock::HouseClock;
use crate::edge::{ANSWER_PURPOSE, Edge, district_name};
use crate::replica::Replica;

/// The answer page.
#[derive(Debug, Clone)]
pub struct AnswerDesk {
    /// What is known.
    pub replica: Arc<Replica>,
    /// Seals, and the way into the core.
    pub edge: Arc<Edge>,
    /// The clock by which notices end.
    pub clock: Arc<HouseClock>,
}

impl Answers for AnswerDesk {
    fn page(&self, token: &str) -> (u16, String) {
        let shown = self.shown();
        match self.facts(token) {
            Some((_, facts, Standing::Open)) => (200, page(&facts)),
            Some((_, facts, standing)) => closed(&facts, standing),
            None => self.nowhere(token, shown),
        }
    }

    fn answer(&self, token: &str, form: &[u8]) -> Page {
        let desk = self.clone();
        let (token, form) = (token.to_owned(), form.to_vec());
        Box::pin(async move { desk.record(&token, &form).await })
    }
}

impl AnswerDesk {
    async fn record(&self, token: &str, form: &[u8]) -> (u16, String) {
        let shown = self.shown();
        let Some((effect, facts, standing)) = self.facts(token) else {
            return self.nowhere(token, shown);
        };
        if standing != Standing::Open {
            return closed(&facts, standing);
        }
        let Ok((choice, minutes)) = parse_form(form) else {
            return (400, unreadable(facts.language, facts.mode));
        };
        let now = self.clock.now();
        let id = self.answer_id(effect, choice, minutes, now);
        let answer = Answer { id, effect, choice, minutes, received_at: now };
        let Some(answered) = self.edge.queue().submit(Lane::B, Input::Answer(answer)) else {
            return (503, unreadable(facts.language, facts.mode));
        };
        let result = match answered.await {
            Ok(_receipt) => "recorded",
            Err(refusal) if refusal.code == RefusalCode::Duplicate => "recorded",
            Err(_refusal) => "refused",
        };
        Counter::ConsoleAnswersTotal.add(result, 1);
        if result == "refused" {
            return (410, expired(facts.language, facts.mode));
        }
        let own = Some(OwnAnswer { choice, minutes, at: now });
        (200, thanks(&PageFacts { own, ..facts }))
    }

    /// The same answer within a minute is one: a thumb that presses twice, a page loaded again.
    /// Whoever said something else meanwhile and comes back to it says it anew.
    fn answer_id(
        &self,
        effect: EffectId,
        choice: AnswerChoice,
        minutes: Option<u16>,
        now: Timestamp,
    ) -> CommandId {
        let minute = now.as_second().div_euclid(60);
        let mut other = None;
        self.replica.with_state(&mut |state| {
            let recipient = recipient(state, effect);
            other = recipient.and_then(|(_, each)| last_other(&each.answers, choice, minutes));
        });
        let words = format!("{effect} {choice} {minutes:?} {minute} {other:?}");
        CommandId(self.edge.vault().mac("answer-id", words.as_bytes()))
    }

    /// What a link leads to, and whether it still takes answers. The link of a notice that was
    /// corrected leads to the correction: who opens the older mail reads and answers the newer one.
    fn facts(&self, text: &str) -> Option<(EffectId, PageFacts, Standing)> {
        let effect = self.effect(text)?;
        let now = self.clock.now();
        let mut found = None;
        self.replica.with_state(&mut |state| {
            let effect = state.newest_mail(effect);
            let page = page_facts(state, effect, now, self.edge.vault().as_ref());
            found = page.map(|(facts, standing)| (effect, facts, standing));
        });
        found
    }

    /// The mail that a link of ours stands in.
    fn effect(&self, text: &str) -> Option<EffectId> {
        let (effect, mac) = token::parse(text)?;
        let right = self.edge.vault().mac(ANSWER_PURPOSE, effect.to_string().as_bytes());
        token::verify(&mac, &right).then_some(effect)
    }

    /// What is shown so far: it follows what is durable by a moment.
    fn shown(&self) -> Seq {
        *self.replica.head().borrow()
    }

    /// What is said of a link that led to nothing when so much was shown. Who follows one of ours
    /// sooner than its notice is shown may try again.
    fn nowhere(&self, text: &str, shown: Seq) -> (u16, String) {
        let early = self.effect(text).is_some_and(|effect| effect.seq > shown);
        let (language, mode) = (Language::Ja, self.mode());
        if early { (503, unreadable(language, mode)) } else { (404, expired(language, mode)) }
    }

    fn mode(&self) -> Mode {
        let mut mode = Mode::Real;
        self.replica.with_state(&mut |state| {
            mode = state.settings().map_or(Mode::Real, |settings| settings.mode);
        });
        mode
    }
}

/// Whether a link still takes answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Open,
    Over,
    Withdrawn,
}

fn closed(facts: &PageFacts, standing: Standing) -> (u16, String) {
    let page = match standing {
        Standing::Withdrawn => withdrawn(facts.language, facts.mode),
        Standing::Open | Standing::Over => expired(facts.language, facts.mode),
    };
    (410, page)
}

fn recipient(state: &State, effect: EffectId) -> Option<(&Notice, &RecipientState)> {
    let notice = state.notices().get(&NoticeId(effect.seq))?;
    let recipient = notice.recipients.get(usize::try_from(effect.index).ok()?)?;
    Some((notice, recipient))
}

/// The last answer that said something else.
fn last_other(answers: &[AnswerRecord], choice: AnswerChoice, minutes: Option<u16>) -> Option<Seq> {
    let other = |each: &&AnswerRecord| (each.choice, each.minutes) != (choice, minutes);
    answers.iter().rev().find(other).map(|each| each.seq)
}

fn page_facts(
    state: &State,
    effect: EffectId,
    now: Timestamp,
    vault: &dyn Reveal,
) -> Option<(PageFacts, Standing)> {
    let (notice, recipient) = recipient(state, effect)?;
    let language = recipient.recipient.language;
    let erased = state.erased_keys();
    let open = |sealed: &Option<Sealed>| {
        let shown = sealed.as_ref().filter(|sealed| !erased.contains(&sealed.key))?;
        vault.reveal_text(shown)
    };
    let about = match &notice.content {
        NoticeContent::Alarm { facts, .. } => About::Alarm {
            alarm: facts.alarm,
            name: open(&facts.subscriber),
            address: open(&facts.address),
            district: facts.district.and_then(|district| district_name(district, language)),
            at: facts.at,
            seen: last_seen(state, notice),
        },
        NoticeContent::Letter { letter, .. } => About::Letter {
            subject: vault.reveal_text(&letter.subject)?,
            text: vault.reveal_text(&letter.text)?,
            drill: letter.drill,
        },
    };
    let own = state.last_answer(recipient).map(|answer| OwnAnswer {
        choice: answer.choice,
        minutes: answer.minutes,
        at: answer.at,
    });
    let page = PageFacts {
        language,
        mode: notice.settings.mode,
        headquarters: notice.settings.headquarters.clone(),
        about,
        own,
        counts: counts(state, notice),
        now,
    };
    let newest = state.newest_of(NoticeId(effect.seq));
    let replaces = state.notices().get(&newest).and_then(|notice| notice.letter()?.replaces);
    let standing = if matches!(replaces, Some((_, Replacing::Withdrawal))) {
        Standing::Withdrawn
    } else if notice.expired || notice.expires_at <= now {
        Standing::Over
    } else {
        Standing::Open
    };
    Some((page, standing))
}

/// Where the wearer of a tracker was seen last: while the signal is open by what is known now.
fn last_seen(state: &State, notice: &Notice) -> Option<(Position, Timestamp)> {
    let told = notice.alarm()?.1.sighting.as_ref()?;
    let signal = notice.signal().and_then(|id| state.signals().get(&id));
    let open = signal.filter(|signal| signal.ended.is_none());
    let device = open.and_then(|signal| state.devices().get(&signal.source));
    let now = device.and_then(|device| device.track.fix).filter(|fix| !fix.suspect);
    Some(now.map_or((told.position, told.at), |fix| (fix.position, fix.at)))
}

/// How many said what; each person's last answer counts.
fn counts(state: &State, notice: &Notice) -> AnswerCounts {
    let count = |choice| {
        let said = |last: &AnswerRecord| last.choice == choice;
        let last = notice.recipients.iter().filter_map(|each| state.last_answer(each));
        let found = last.filter(|answer| said(answer)).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    AnswerCounts {
        coming: count(AnswerChoice::Coming),
        late: count(AnswerChoice::Late),
        cannot: count(AnswerChoice::Cannot),
        arrived: count(AnswerChoice::Arrived),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_back_to_an_answer_is_a_new_one_and_a_second_press_is_not() {
        let mut answers = Vec::new();
        let mut say = |seq: u64, choice| {
            let seq = Seq::new(seq);
            let other = last_other(&answers, choice, None);
            answers.push(AnswerRecord { seq, choice, minutes: None, at: Timestamp::UNIX_EPOCH });
            other
        };
        let first = say(1, AnswerChoice::Coming);
        assert_eq!(say(2, AnswerChoice::Coming), first, "the thumb pressed twice");
        say(3, AnswerChoice::Cannot);
        let back = say(4, AnswerChoice::Coming);
        assert_eq!(back, Some(Seq::new(3)));
        assert_ne!(back, first);
    }
}
