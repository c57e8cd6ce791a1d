//! What is for the example alone: sites that write over a satellite, groups, and their answers.

use std::sync::Arc;

use hansho_model::{
    AlarmClass, AlarmKind, Answer, AnswerChoice, CommandId, DistrictId, Door, EffectId, Finding,
    FrameFault, GroupEntry, Input, KeyId, Lane, Phase, Receipt, Role, Sealed, SealedReport,
    SiteEntry, Start,
};

use super::{House, person, start, token};

pub(crate) const SITE: &str = "sbd:300000000000111";

/// The usual registers, with three sites and two groups.
pub(crate) fn start_with_words() -> Start {
    let mut start = start();
    let sites = [
        (SITE, "川前支所", Some(12)),
        ("sbd:300000000000102", "勿来支所", Some(3)),
        ("sbd:300000000000201", "防災関係機関 01", None),
    ];
    start.registry.sites = sites
        .map(|(source, name, district)| SiteEntry {
            source: source.to_owned(),
            name: name.to_owned(),
            district: district.map(DistrictId),
            digest: token(source.as_bytes()),
        })
        .into();
    let members: Vec<String> = (1..=5).map(|each| format!("volunteer-{each:04}")).collect();
    for (key, number) in members.iter().zip(100_u64..) {
        let mail = format!("{key}@mail.example.jp");
        // One has no address, and is not reached.
        let mail = (number < 104).then_some(mail.as_str());
        start.registry.people.push(person(key, number, &format!("団員 {number}"), mail));
    }
    let group = |key: &str, name: &str, senders: &[Role]| GroupEntry {
        key: key.to_owned(),
        name: name.to_owned(),
        members: members.clone(),
        senders: senders.to_vec(),
        digest: token(key.as_bytes()),
    };
    start.registry.groups = vec![
        group("dan-2-3", "第二支団 第3分団", &[Role::Dispatcher, Role::Supervisor]),
        group("dan-all", "団 全員", &[Role::Supervisor, Role::DisasterManager]),
    ];
    start
}

impl House {
    /// Words over a satellite. `from` is a device with its door.
    pub(crate) fn words(&self, from: &str, text: &str, damaged: bool) -> Receipt {
        self.advance(700_000);
        let raw = Sealed { key: KeyId(1), bytes: text.as_bytes().to_vec() };
        let code = if damaged { "damaged" } else { "" }.to_owned();
        let finding = Finding {
            class: AlarmClass::Check,
            kind: AlarmKind::Message,
            phase: Phase::New,
            code,
            zone: String::new(),
        };
        let known = self.with(|state| {
            let mut sites = state.sites().values();
            sites.any(|site| site.source == from)
        });
        let strange = from.len() == SITE.len() && !known;
        self.said_over_satellite(from, vec![finding], Some(raw.clone()), raw, strange)
    }

    /// The modem of the house has lost its line.
    pub(crate) fn modem_absent(&self) -> Receipt {
        let finding = Finding {
            class: AlarmClass::Fault,
            kind: AlarmKind::Line,
            phase: Phase::New,
            code: "absent".to_owned(),
            zone: "modem".to_owned(),
        };
        let raw = Sealed { key: KeyId(1), bytes: Vec::new() };
        self.said_over_satellite("sbd:roof", vec![finding], None, raw, false)
    }

    fn said_over_satellite(
        &self,
        from: &str,
        findings: Vec<Finding>,
        text: Option<Sealed>,
        raw: Sealed,
        strange: bool,
    ) -> Receipt {
        let report = SealedReport {
            door: Door::Sbd,
            source: from.to_owned(),
            lane: Lane::A,
            observed_at: None,
            received_at: self.now(),
            device_key: Vec::new(),
            findings,
            position: None,
            telemetry: None,
            text,
            peer: raw.clone(),
            raw,
            refused: strange.then_some(FrameFault::UnknownAccount),
            deviations: Vec::new(),
        };
        self.run(&Input::Report(Box::new(report))).unwrap()
    }

    /// The first recipient of the newest notice who said nothing yet answers.
    pub(crate) fn answer_newest(self: &Arc<Self>, choice: AnswerChoice) {
        let silent = self.with(|state| {
            let (id, notice) = state.notices().iter().next_back()?;
            let mut each = (0_u32..).zip(&notice.recipients);
            let (index, _) = each.find(|(_, each)| state.last_answer(each).is_none())?;
            Some(EffectId { seq: id.0, index })
        });
        let Some(effect) = silent else { return };
        let mut id = [7; 16];
        id[..4].copy_from_slice(&effect.index.to_be_bytes());
        id[4..12].copy_from_slice(&effect.seq.get().to_be_bytes());
        let minutes = (choice == AnswerChoice::Late).then_some(10);
        let (id, received_at) = (CommandId(id), self.now());
        let answer = Answer { id, effect, choice, minutes, received_at };
        drop(self.run(&Input::Answer(answer)));
    }
}
