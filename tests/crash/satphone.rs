//! A satellite modem under the same kills: a site speaks over it, and the desk writes to the site.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hansho_journal::Vault;
use hansho_model::{EffectId, Event, Outcome, Recorded, Reveal as _, Sealed, Seq};
use hansho_simulators::devices::sbd::{Modem, Sky};
use hansho_simulators::satphone::Satphone;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Fate, Shared, command};
use crate::house::{House, pause};

/// The site's handset.
pub(super) const SITE: &str = "300000000000111";
/// A session takes so long here, that many fit between two kills.
const SESSION: SignedDuration = SignedDuration::from_millis(50);
/// The site's pause between two messages, and the desk's.
const PACE: Duration = Duration::from_millis(250);
const DESK_PACE: Duration = Duration::from_secs(1);
/// Messages that wait at the gateway; it has room for more.
const QUEUED_MAX: usize = 4;
/// One of so many messages comes a second time.
const COPIED: u64 = 5;
/// Of so many messages the network drops the session of one.
const DROPPED: u64 = 16;
/// Status of a session that the network dropped; it is tried again.
const RF_DROP: u8 = 18;

/// What was handed over, and must become of it what it says.
#[derive(Default)]
pub(super) struct Held {
    /// Messages of the site as the gateway took them.
    spoken: BTreeSet<String>,
    /// Messages of the desk that were acknowledged: words by number.
    written: BTreeMap<u64, String>,
}

/// A modem at the house's side.
pub(super) fn plug_in(house: &House) -> Satphone {
    let port = house.data().join(PORT);
    Satphone::plug_in(Modem::new(Sky { session: SESSION, ..Sky::default() }), port).unwrap()
}

/// Its port as the configuration has it.
pub(super) const PORT: &str = "../satphone";

/// The site: a new message whenever the gateway has room, some of them twice.
pub(super) fn speak_for_ever(shared: &Shared, satphone: &Satphone) {
    let mut number = 0;
    while !shared.is_quiet() {
        if satphone.modem().sky.queue.len() < QUEUED_MAX {
            number += 1;
            if number % DROPPED == 0 {
                satphone.modem().sky.fates.push_back(RF_DROP);
            }
            // Signs that end lines and commands are words like any others.
            let message = format!("@{SITE}/{number} 第{number}報 道路寸断\r\nOK\r\n負傷2");
            shared.satphone.lock().unwrap().spoken.insert(message.clone());
            satphone.call(message.as_bytes());
            if number % COPIED == 0 {
                satphone.call(message.as_bytes());
            }
        }
        pause(PACE);
    }
}

/// The desk: a message to the site; when too many wait already, it waits.
pub(super) fn write_for_ever(shared: &Shared) {
    let mut number = 0;
    while !shared.is_quiet() {
        number += 1;
        let words = format!("第{number}信 了解");
        let body = json!({ "device": format!("sbd:{SITE}"), "text": words });
        if let Some(seq) = command(shared, "SendMessage", &body) {
            shared.satphone.lock().unwrap().written.insert(seq, words);
        }
        pause(DESK_PACE);
    }
}

/// What stands in the journal of the modem.
#[derive(Default)]
pub(super) struct Witness {
    /// What the site said, by the report.
    reports: BTreeMap<Seq, Sealed>,
    /// Reports that became a signal.
    signals: BTreeSet<Seq>,
    /// Messages to the site, by number.
    pub(super) messages: BTreeMap<EffectId, Fate>,
}

impl Witness {
    /// Takes one event; whether it was of the modem alone.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a witness looks for a few kinds")]
    pub(super) fn take(&mut self, recorded: &Recorded) -> bool {
        match &recorded.event {
            Event::ReportReceived(report) if report.source == format!("sbd:{SITE}") => {
                assert!(report.refused.is_none() && report.deviations.is_empty(), "{report:?}");
                self.reports.insert(recorded.seq, report.raw.clone());
            }
            // How it is with the modem.
            Event::ReportReceived(report) if report.source.starts_with("sbd:") => {}
            Event::SignalReceived { report, .. } if self.reports.contains_key(report) => {
                assert!(self.signals.insert(*report), "one message, two signals: {recorded:?}");
                return false;
            }
            Event::MessageOrdered { message, .. } => {
                self.messages.insert(EffectId { seq: message.0, index: 0 }, Fate::default());
            }
            _ => return false,
        }
        true
    }

    /// What is still to come: words of the site, and outcomes of messages to it.
    pub(super) fn owed(&self, held: &Held) -> usize {
        let unheard = held.spoken.len().saturating_sub(self.signals.len());
        unheard + self.messages.values().filter(|fate| fate.is_owed()).count()
    }

    /// Each message is one signal, and each acknowledged one to the site has an honest outcome; says
    /// how many there were.
    pub(super) fn check(&self, data: &Path, held: &Held, satphone: &Satphone) -> String {
        let vault = Vault::open(data).unwrap();
        let heard: Vec<String> =
            self.reports.values().map(|raw| vault.reveal_text(raw).unwrap()).collect();
        assert_eq!(heard.iter().cloned().collect::<BTreeSet<_>>(), held.spoken);
        assert_eq!(heard.len(), held.spoken.len(), "each message of the site is one report");
        assert_eq!(self.signals, self.reports.keys().copied().collect(), "and one signal");
        let modem = satphone.modem();
        assert!(modem.unread().is_none() && modem.sky.queue.is_empty(), "{modem:?}");

        for number in held.written.keys() {
            let effect = EffectId { seq: Seq::new(*number), index: 0 };
            assert!(self.messages.contains_key(&effect), "lost: the acknowledged message {effect}");
        }
        let mut gone: BTreeMap<EffectId, u32> = BTreeMap::new();
        for bytes in &modem.sent {
            let said = String::from_utf8(bytes.clone()).unwrap();
            let (number, words) = said
                .strip_prefix(&format!("@{SITE}/"))
                .and_then(|rest| rest.split_once(" 【デモ】"))
                .unwrap_or_else(|| panic!("nobody wrote {said}"));
            let number = number.parse().unwrap();
            // An acknowledgement may have been lost with a kill and the end of the load.
            let wanted = held.written.get(&number);
            assert!(wanted.is_none_or(|wanted| wanted == words), "{said}, not {wanted:?}");
            *gone.entry(EffectId { seq: Seq::new(number), index: 0 }).or_default() += 1;
        }
        let (mut twice, mut unknown) = (0, 0);
        for (effect, count) in &gone {
            let fate = self.messages.get(effect);
            let fate = fate.unwrap_or_else(|| panic!("a message that nobody ordered: {effect}"));
            assert!(*count == 1 || fate.maybe_twice, "{effect} went {count} times: {fate:?}");
            twice += u32::from(*count > 1);
        }
        for (effect, fate) in &self.messages {
            let (outcome, _, again) = fate.last.unwrap_or_else(|| panic!("{effect}: {fate:?}"));
            assert!(!again, "{effect} is still owed: {fate:?}");
            let settled = match outcome {
                Outcome::Done => gone.contains_key(effect),
                Outcome::Uncertain => true,
                Outcome::Failed => false,
            };
            assert!(settled, "{effect} (gone: {}): {fate:?}", gone.contains_key(effect));
            unknown += u32::from(outcome == Outcome::Uncertain);
        }
        let [spoken, owed] = [held.spoken.len(), self.messages.len()];
        assert!(spoken > 0 && owed > 0, "there was no load at the modem");
        let said = self.messages.values().filter(|fate| fate.maybe_twice).count();
        format!(
            "{spoken} messages of a site, {owed} to it, of which {said} may have gone twice, {twice} \
             did and {unknown} are uncertain"
        )
    }

    /// The console says the same of each message that it shows.
    pub(super) fn agrees_with(&self, state: &Value) -> bool {
        let mut messages = state["messages"].as_array().unwrap().iter();
        messages.all(|message| {
            let number = message["id"].as_str().and_then(|id| id.strip_prefix('m')).unwrap();
            let seq = Seq::new(number.parse().unwrap());
            let fate = self.messages.get(&EffectId { seq, index: 0 });
            fate.is_some_and(|fate| {
                let word = match fate.last {
                    Some((Outcome::Done, _, _)) => "accepted",
                    _ => "uncertain",
                };
                message["state"] == word && message["maybe_twice"] == fate.maybe_twice
            })
        })
    }
}
