//! Notices to a group under the same kills: some corrected, some withdrawn while they go out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hansho_model::{EffectId, Letter, NoticeId, Outcome, PersonId, Recipient, Replacing};
use hansho_simulators::mailbox::Caught;
use serde_json::{Value, json};

use super::{Shared, command};
use crate::house::pause;

/// The group: most at a relay that takes at once, one that is put off, one that is refused.
const MEMBERS: [&str; 6] = ["docomo", "au", "softbank", "slow", "dead", "mail"];
/// The desk's pause between two notices.
const PACE: Duration = Duration::from_millis(900);

/// Mail addresses of the group.
pub(super) fn members() -> impl Iterator<Item = String> {
    (0..).zip(MEMBERS).map(|(index, domain)| format!("member{index}@{domain}.example.jp"))
}

/// Whether a mail goes to the group.
pub(super) fn is_members(mail: &Caught) -> bool {
    mail.to[0].starts_with("member")
}

/// A desk: a notice, and in turn no other, one that corrects it, one that withdraws it.
pub(super) fn send_for_ever(shared: &Shared) {
    let mut number = 0;
    while !shared.is_quiet() {
        number += 1;
        let mut body = json!({
            "group": "all", "kind": "information", "drill": false, "subject": "架空町 断水",
            "text": format!("第{number}報"), "count": MEMBERS.len(), "minutes": 1_440,
        });
        let Some(first) = command(shared, "SendNotice", &body) else { continue };
        if number % 3 != 0 {
            // Some of it has gone by then.
            pause(Duration::from_millis(number % 7 * 8));
            body["count"] = Value::Null;
            body["replaces"] = json!(format!("n{first}"));
            body["replacing"] = json!(["correction", "withdrawal"][usize::from(number % 3 == 2)]);
            command(shared, "SendNotice", &body);
        }
        pause(PACE);
    }
}

/// What stands in the journal of notices to the group.
#[derive(Default)]
pub(super) struct Witness {
    recipients: BTreeMap<NoticeId, Vec<PersonId>>,
    /// Newer notices, by the one that each replaces.
    newer: BTreeMap<NoticeId, (NoticeId, Replacing)>,
}

impl Witness {
    pub(super) fn order(&mut self, notice: NoticeId, letter: &Letter, recipients: &[Recipient]) {
        let people = recipients.iter().map(|each| each.person).collect();
        self.recipients.insert(notice, people);
        if let Some((older, how)) = letter.replaces {
            assert_eq!(self.newer.insert(older, (notice, how)), None, "{older} replaced twice");
        }
    }

    /// Who has a notice was told of its correction or withdrawal; says how many there were.
    pub(super) fn check(&self, caught: &BTreeSet<EffectId>) -> String {
        for (older, (newer, how)) in &self.newer {
            let (first, told) = (&self.recipients[older], &self.recipients[newer]);
            assert!(*how == Replacing::Withdrawal || first == told, "{older}, {newer}");
            for (index, person) in (0..).zip(first) {
                let has = caught.contains(&EffectId { seq: older.0, index });
                assert!(!has || told.contains(person), "{person:?} has {older} and not {newer}");
            }
        }
        let withdrawn = |(_, how): &&(NoticeId, Replacing)| *how == Replacing::Withdrawal;
        let withdrawn = self.newer.values().filter(withdrawn).count();
        let [all, corrected] = [self.recipients.len(), self.newer.len() - withdrawn];
        assert!(all > 0, "there were no notices");
        format!(
            "among them those of {all} notices, {corrected} of them corrected and {withdrawn} withdrawn"
        )
    }
}

/// Whether the console says the same of every mail that it shows.
pub(super) fn agree(witness: &super::Witness, state: &Value) -> bool {
    let mut notices = state["notices"].as_array().unwrap().iter();
    notices.all(|notice| {
        let id: NoticeId = notice["id"].as_str().unwrap().parse().unwrap();
        let mut mails = (0..).zip(notice["recipients"].as_array().unwrap());
        mails.all(|(index, mail)| {
            let fate = witness.recipients.get(&EffectId { seq: id.0, index });
            fate.is_some_and(|fate| {
                let accepted = matches!(fate.last, Some((Outcome::Done, _, _)));
                (mail["mail"] == "accepted") == accepted && mail["maybe_twice"] == fate.maybe_twice
            })
        })
    })
}
