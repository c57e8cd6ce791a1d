//! Notices of a person to a group: who may send them, to how many, and what they replace.

use std::collections::BTreeMap;

use hansho_model::{
    Event, Group, GroupEntry, Letter, Mode, NOTICE_BYTES_MAX, NoticeId, PersonId, PublicText,
    RECIPIENTS_MAX, Recipient, Refusal, RefusalCode, Replacing, Role, SUBJECT_BYTES_MAX, Sealed,
    SendNotice,
};
use jiff::SignedDuration;

use super::Batch;
use super::command::Case;
use crate::state::{Notice, SEAL_BYTES, State};

impl State {
    pub(super) fn register_groups(
        &self,
        entries: &[GroupEntry],
        people: &BTreeMap<String, PersonId>,
        batch: &mut Batch,
    ) {
        for entry in entries {
            if self.groups.get(&entry.key).is_some_and(|known| known.digest == entry.digest) {
                continue;
            }
            let group = Group {
                name: entry.name.clone(),
                members: entry.members.iter().filter_map(|key| people.get(key).copied()).collect(),
                senders: entry.senders.clone(),
                digest: entry.digest,
            };
            batch.push_core(Event::GroupRegistered { key: entry.key.clone(), group });
        }
        let listed = |key: &String| entries.iter().any(|entry| entry.key == *key);
        for key in self.groups.keys().filter(|key| !listed(key)) {
            batch.push_core(Event::GroupWithdrawn { key: key.clone() });
        }
    }

    pub(super) fn send_notice(
        &self,
        role: Role,
        wanted: &SendNotice,
        case: &Case,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let refuse = |code| Err(Refusal::new(code));
        let SendNotice { letter, count, minutes } = wanted;
        let group = self.groups.get(&letter.group).ok_or(Refusal::new(RefusalCode::NotFound))?;
        if !group.senders.contains(&role) {
            return refuse(RefusalCode::Forbidden);
        }
        // What everybody may read, a dispatcher does not publish alone.
        if letter.public.is_some() && role == Role::Dispatcher {
            return refuse(RefusalCode::Forbidden);
        }
        let fits = fits(&letter.subject, SUBJECT_BYTES_MAX)
            && fits(&letter.text, NOTICE_BYTES_MAX)
            && letter.public.as_ref().is_none_or(is_sound)
            && (1..=1_440).contains(minutes);
        if !fits {
            return refuse(RefusalCode::Invalid);
        }
        if let Some(incident) = letter.incident
            && !self.incidents.contains_key(&incident)
        {
            return refuse(RefusalCode::NotFound);
        }
        let recipients = match letter.replaces {
            None => self.recipients_of_group(group),
            Some((replaced, how)) => self.recipients_again(letter, replaced, how)?,
        };
        // A withdrawal that nobody need be told of still stops what has not gone.
        if recipients.is_empty() && letter.replaces.is_none() {
            return refuse(RefusalCode::NotFound);
        }
        if recipients.len() > RECIPIENTS_MAX {
            return refuse(RefusalCode::LimitReached);
        }
        let shown = count.map(usize::try_from);
        let agreed = match shown {
            None => letter.replaces.is_some(),
            Some(shown) => shown == Ok(recipients.len()),
        };
        if !agreed {
            return refuse(RefusalCode::CountChanged);
        }
        let lasts = SignedDuration::from_mins(i64::from(*minutes));
        let expires_at = case.now.saturating_add(lasts).unwrap_or(case.now);
        let notice = NoticeId(batch.next_seq());
        // Where everything is a drill, a letter is one, whatever the sender's screen said.
        let training = self.settings.as_ref().is_some_and(|it| it.mode == Mode::Training);
        let drill = letter.drill || training;
        let public = self.public_of(letter)?;
        let letter = Box::new(Letter { drill, public, ..letter.clone() });
        let replaces = letter.replaces;
        let event = Event::LetterOrdered { notice, letter, recipients, expires_at };
        let cause = case.push(event, batch);
        if let Some((replaced, _)) = replaces {
            let event = Event::NoticeReplaced { notice: replaced, by: notice };
            batch.follow(case.actor, cause, event);
        }
        Ok(())
    }

    /// What the public reads of it. What it has read must not stand when the notice is corrected
    /// without a word for it; of one that is withdrawn the same words are withdrawn.
    fn public_of(&self, letter: &Letter) -> Result<Option<PublicText>, Refusal> {
        let Some((replaced, how)) = letter.replaces else { return Ok(letter.public.clone()) };
        let before = self.notices.get(&replaced).and_then(|notice| notice.letter()?.public.clone());
        match (how, before) {
            (Replacing::Withdrawal, before) => Ok(before),
            (Replacing::Correction, Some(_)) if letter.public.is_none() => {
                Err(Refusal::new(RefusalCode::Invalid))
            }
            (Replacing::Correction, _) => Ok(letter.public.clone()),
        }
    }

    /// Whom a notice concerns that replaces an earlier one: of a correction everybody who was to have
    /// that one, of a withdrawal those alone who may have it. Who was erased since is left out.
    fn recipients_again(
        &self,
        letter: &Letter,
        replaced: NoticeId,
        how: Replacing,
    ) -> Result<Vec<Recipient>, Refusal> {
        let before = self.notices.get(&replaced).ok_or(Refusal::new(RefusalCode::NotFound))?;
        let first = before.letter().ok_or(Refusal::new(RefusalCode::Invalid))?;
        if before.replaced_by().is_some() {
            return Err(Refusal::new(RefusalCode::AlreadyReplaced));
        }
        // A drill's correction is a drill, and a real one's is real: neither may turn into the other.
        if first.group != letter.group || first.drill != letter.drill {
            return Err(Refusal::new(RefusalCode::Invalid));
        }
        let all: Vec<Recipient> = recipients(before)
            .filter(|each| self.people.get(&each.person).is_some_and(|person| !person.erased))
            .cloned()
            .collect();
        if how == Replacing::Correction {
            return Ok(all);
        }
        let has =
            self.earlier_mails(&Letter { replaces: Some((replaced, how)), ..letter.clone() }, &all);
        let those = all.into_iter().zip(has).filter(|(_, earlier)| earlier.is_some());
        Ok(those.map(|(recipient, _)| recipient).collect())
    }
}

fn recipients(notice: &Notice) -> impl Iterator<Item = &Recipient> {
    notice.recipients.iter().map(|each| &each.recipient)
}

fn fits(sealed: &Sealed, bytes_max: usize) -> bool {
    let size = sealed.bytes.len().checked_sub(SEAL_BYTES);
    size.is_some_and(|size| (1..=bytes_max).contains(&size))
}

fn is_sound(public: &PublicText) -> bool {
    let PublicText { headline, text, districts, severity: _ } = public;
    let sorted = districts.is_sorted_by(|a, b| a.0 < b.0);
    let known = districts.iter().all(|id| hansho_atlas::by_id(*id).is_some());
    (1..=SUBJECT_BYTES_MAX).contains(&headline.len())
        && (1..=NOTICE_BYTES_MAX).contains(&text.len())
        && !districts.is_empty()
        && sorted
        && known
}
