//! Groups, notices to them and their answers, from the core's state to what the API shows.

use hansho_core::{Notice, NoticeContent, RecipientState};
use hansho_model::{AnswerChoice, PublicText, Replacing};

use super::Viewer;
use crate::view;

impl Viewer<'_> {
    pub(super) fn groups(self) -> Vec<view::Group> {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let groups = self.state.groups().iter();
        groups
            .map(|(key, group)| view::Group {
                key: key.clone(),
                name: group.name.clone(),
                members: number(group.members.len()),
                count: number(self.state.count_of_group(group)),
                senders: group.senders.iter().map(|role| role.as_str().to_owned()).collect(),
            })
            .collect()
    }

    pub(super) fn letter(self, notice: &Notice) -> Option<view::Letter> {
        let NoticeContent::Letter { letter, by, replaced_by } = &notice.content else {
            return None;
        };
        let group = self.state.groups().get(&letter.group);
        let how = letter.replaces.map(|(_, how)| how);
        Some(view::Letter {
            group: letter.group.clone(),
            group_name: group.map_or(&letter.group, |group| &group.name).clone(),
            kind: letter.kind.as_str().to_owned(),
            asks: letter.kind.asks() && how != Some(Replacing::Withdrawal),
            drill: letter.drill,
            subject: self.open(Some(&letter.subject)),
            text: self.open(Some(&letter.text)),
            by: self.operator(*by),
            incident: letter.incident.map(|incident| incident.to_string()),
            replaces: letter.replaces.map(|(notice, _)| notice.to_string()),
            replacing: how.map(|how| how.as_str().to_owned()),
            replaced_by: replaced_by.map(|notice| notice.to_string()),
            public: letter.public.as_ref().map(public),
        })
    }

    /// How many said what: each by what they said last, to this notice or to one it replaces.
    pub(super) fn answers(self, recipients: &[RecipientState]) -> view::Answers {
        let mut counts = view::Answers::default();
        for each in recipients {
            let count = match self.state.last_answer(each).map(|answer| answer.choice) {
                Some(AnswerChoice::Coming) => &mut counts.coming,
                Some(AnswerChoice::Late) => &mut counts.late,
                Some(AnswerChoice::Cannot) => &mut counts.cannot,
                Some(AnswerChoice::Arrived) => &mut counts.arrived,
                None => &mut counts.silent,
            };
            *count = count.saturating_add(1);
        }
        counts
    }
}

fn public(text: &PublicText) -> view::PublicText {
    view::PublicText {
        headline: text.headline.clone(),
        text: text.text.clone(),
        districts: text.districts.iter().map(|district| district.0).collect(),
        severity: text.severity.as_str().to_owned(),
    }
}
