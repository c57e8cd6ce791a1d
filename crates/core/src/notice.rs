//! Notices: to those who help a person whose device called, and of a person to a group.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{
    EffectId, Facts, Group, IncidentId, Letter, LetterTo, MailContent, Mailbox, NoticeId,
    NoticeKind, PersonId, PublicText, Recipient, Replacing, Severity, SignalId, SourceId, Template,
};
use jiff::Timestamp;

use crate::canonical::{Canonical, DecodeError, canonical, word_enums};
use crate::state::{
    AnswerRecord, Notice, OwedPhase, Person, RecipientState, RecipientStatus, State,
};

word_enums!(NoticeKind, Replacing, Severity);
canonical!(Group { name, members, senders, digest });
canonical!(PublicText { headline, text, districts, severity });
canonical!(Letter { group, kind, drill, subject, text, incident, replaces, public });
canonical!(LetterTo { letter, earlier });

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeContent {
    /// Somebody's device called for help.
    Alarm {
        /// The signal it is about.
        signal: Option<SignalId>,
        /// Which text.
        template: Template,
        /// The facts.
        facts: Facts,
    },
    /// A person's words to a group.
    Letter {
        /// The letter.
        letter: Letter,
        /// Who ordered it.
        by: SourceId,
        /// The newer notice that replaces it.
        replaced_by: Option<NoticeId>,
    },
}

canonical!(enum NoticeContent {
    0 => Alarm { signal, template, facts },
    1 => Letter { letter, by, replaced_by },
});

impl Notice {
    /// The signal it is about.
    #[must_use]
    pub const fn signal(&self) -> Option<SignalId> {
        match &self.content {
            NoticeContent::Alarm { signal, .. } => *signal,
            NoticeContent::Letter { .. } => None,
        }
    }

    /// Which text it has, when the machine wrote it, and the facts in it.
    #[must_use]
    pub const fn alarm(&self) -> Option<(Template, &Facts)> {
        match &self.content {
            NoticeContent::Alarm { template, facts, .. } => Some((*template, facts)),
            NoticeContent::Letter { .. } => None,
        }
    }

    pub(crate) fn has_template(&self, wanted: Template) -> bool {
        self.alarm().is_some_and(|(template, _)| template == wanted)
    }

    /// The words of a person, when it has any.
    #[must_use]
    pub const fn letter(&self) -> Option<&Letter> {
        match &self.content {
            NoticeContent::Letter { letter, .. } => Some(letter),
            NoticeContent::Alarm { .. } => None,
        }
    }

    /// The newer notice that replaces it.
    #[must_use]
    pub const fn replaced_by(&self) -> Option<NoticeId> {
        match &self.content {
            NoticeContent::Letter { replaced_by, .. } => *replaced_by,
            NoticeContent::Alarm { .. } => None,
        }
    }

    pub(crate) fn mail_content(&self, recipient: &RecipientState) -> MailContent {
        match &self.content {
            NoticeContent::Alarm { template, facts, .. } => {
                MailContent::Alarm { template: *template, facts: facts.clone() }
            }
            NoticeContent::Letter { letter, .. } => MailContent::Letter(Box::new(LetterTo {
                letter: letter.clone(),
                earlier: recipient.earlier,
            })),
        }
    }
}

impl State {
    /// Groups by their key.
    #[must_use]
    pub const fn groups(&self) -> &BTreeMap<String, Group> {
        &self.groups
    }

    /// Whom a notice to a group reaches by mail: one address a person, one mail an address, in the
    /// order of the register. Who was erased, or has no address, is left out.
    #[must_use]
    pub fn recipients_of_group(&self, group: &Group) -> Vec<Recipient> {
        let reached = self.reached_by(group);
        let recipient = |(id, person, mailbox): (PersonId, &Person, &Mailbox)| Recipient {
            person: id,
            address: mailbox.address.clone(),
            token: mailbox.token,
            name: person.entry.name.clone(),
            language: person.entry.language,
        };
        reached.map(recipient).collect()
    }

    /// How many mails a notice to a group is.
    #[must_use]
    pub fn count_of_group(&self, group: &Group) -> usize {
        self.reached_by(group).count()
    }

    fn reached_by<'a>(
        &'a self,
        group: &'a Group,
    ) -> impl Iterator<Item = (PersonId, &'a Person, &'a Mailbox)> {
        let mut known = BTreeSet::new();
        group.members.iter().filter_map(move |id| {
            let person = self.people.get(id).filter(|person| !person.erased)?;
            let mailbox = person.entry.mailboxes.first()?;
            known.insert(mailbox.token).then_some((*id, person, mailbox))
        })
    }

    /// Whether any mail of a notice is still owed.
    #[must_use]
    pub fn owes_mails(&self, notice: NoticeId) -> bool {
        let first = EffectId { seq: notice.0, index: 0 };
        let last = EffectId { seq: notice.0, index: u32::MAX };
        self.owed.range(first..=last).next().is_some()
    }

    /// The newest notice of those that replace this one, and so on; itself when none does.
    #[must_use]
    pub fn newest_of(&self, notice: NoticeId) -> NoticeId {
        let mut newest = notice;
        // A newer one has the higher number, so this ends.
        while let Some(by) = self.notices.get(&newest).and_then(Notice::replaced_by) {
            newest = by;
        }
        newest
    }

    /// Where an answer to a mail belongs: to the mail that replaces it, if the same person has one.
    #[must_use]
    pub fn newest_mail(&self, mail: EffectId) -> EffectId {
        let mut newest = mail;
        loop {
            let notice = self.notices.get(&NoticeId(newest.seq));
            let Some(by) = notice.and_then(Notice::replaced_by) else { return newest };
            let recipients = self.notices.get(&by).map(|each| each.recipients.as_slice());
            let place = recipients
                .and_then(|all| all.iter().position(|each| each.earlier == Some(newest)))
                .and_then(|place| u32::try_from(place).ok());
            let Some(index) = place else { return newest };
            newest = EffectId { seq: by.0, index };
        }
    }

    /// What a recipient answered last, to this notice or to one that it replaces: a correction asks
    /// nobody again who has said what he does.
    #[must_use]
    pub fn last_answer<'a>(&'a self, recipient: &'a RecipientState) -> Option<&'a AnswerRecord> {
        let mut asked = Some(recipient);
        while let Some(each) = asked {
            if let Some(answer) = each.answers.last() {
                return Some(answer);
            }
            asked = each.earlier.and_then(|earlier| self.recipient(earlier));
        }
        None
    }

    pub(crate) fn recipient(&self, id: EffectId) -> Option<&RecipientState> {
        let index = usize::try_from(id.index).ok()?;
        self.notices.get(&NoticeId(id.seq))?.recipients.get(index)
    }

    /// Letters about an incident that are not over, oldest first.
    pub fn letters_of(&self, incident: IncidentId) -> impl Iterator<Item = (NoticeId, &Notice)> {
        self.notices.iter().filter_map(move |(id, notice)| {
            (notice.letter()?.incident == Some(incident)).then_some((*id, notice))
        })
    }

    /// Whether a mail may be with its recipient: only what certainly never left is not.
    pub(crate) fn may_be_there(&self, mail: EffectId) -> bool {
        let Some(recipient) = self.recipient(mail) else { return false };
        match recipient.status {
            RecipientStatus::Accepted | RecipientStatus::Uncertain => true,
            RecipientStatus::Failed | RecipientStatus::Stopped => false,
            RecipientStatus::Queued => self.owed.get(&mail).is_some_and(|owed| {
                owed.uncertain > 0 || matches!(owed.phase, OwedPhase::Attempting { .. })
            }),
        }
    }

    /// Each recipient's mail of the notice that a letter replaces, where it may be there.
    pub(crate) fn earlier_mails(
        &self,
        letter: &Letter,
        recipients: &[Recipient],
    ) -> Vec<Option<EffectId>> {
        let Some((replaced, _)) = letter.replaces else { return vec![None; recipients.len()] };
        let before = self.notices.get(&replaced).map_or(&[][..], |notice| &notice.recipients);
        let mails: BTreeMap<_, _> = (0_u32..)
            .zip(before)
            .map(|(index, each)| (each.recipient.token, EffectId { seq: replaced.0, index }))
            .collect();
        let of = |recipient: &Recipient| mails.get(&recipient.token).copied();
        // One that never left may stand for one before it, which did.
        let there = |mail: EffectId| {
            let before = self.recipient(mail).and_then(|each| each.earlier);
            if self.may_be_there(mail) { Some(mail) } else { before }
        };
        recipients.iter().map(|each| of(each).and_then(there)).collect()
    }

    pub(crate) fn order_letter(
        &mut self,
        at: Timestamp,
        (notice, by): (NoticeId, SourceId),
        letter: &Letter,
        recipients: &[Recipient],
        expires_at: Timestamp,
    ) {
        let earlier = self.earlier_mails(letter, recipients);
        let states = recipients.iter().zip(earlier);
        let states = states.map(|(recipient, earlier)| RecipientState {
            earlier,
            ..RecipientState::new(recipient)
        });
        let content = NoticeContent::Letter { letter: letter.clone(), by, replaced_by: None };
        let states = states.collect();
        self.enter_notice((notice, at), content, states, expires_at);
    }

    /// What is not on its way is not sent any more; what is comes down by itself.
    pub(crate) fn replace_notice(&mut self, notice: NoticeId, newer: NoticeId) {
        if let Some(record) = self.notices.get_mut(&notice)
            && let NoticeContent::Letter { replaced_by, .. } = &mut record.content
        {
            *replaced_by = Some(newer);
        }
        self.stop_mails(notice, RecipientStatus::Stopped);
    }
}
