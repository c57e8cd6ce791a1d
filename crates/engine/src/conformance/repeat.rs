//! Cases of the kind `dc09-repeat`: frames in time, and how many calls for help they make.

use hansho_core::State;
use hansho_model::{
    Actor, Command, CommandId, CommandKind, Event, Fleet, Input, KeyId, Mode, Recorded, Refusal,
    RefusalCode, Registry, Report, Role, Sealed, SealedReport, Settings, SignalOutcome, Start,
};
use hansho_protocols::Transport;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Mismatch;
use super::dc09::{Config, answer_word, equal, exchanges, hex_field};

/// A call that lies this far back, a day, was dealt with by a person before the next frame came:
/// the reference's window for one incident.
const DEALT_WITH_AFTER_S: i64 = 86_400;

pub(super) fn run(case: &Value) -> Result<(), Mismatch> {
    let config = Config::read(case)?;
    let steps = case.get("sequence").and_then(Value::as_array);
    let steps = steps.ok_or_else(|| Mismatch::missing("sequence"))?;
    let mut world = World::default();
    world.start(config.now)?;
    let mut last_s = 0;
    let mut replies = Vec::new();
    for step in steps {
        let at_s = step.get("at_s").and_then(Value::as_i64);
        let at_s = at_s.ok_or_else(|| Mismatch::missing("at_s"))?;
        let now = config.now.saturating_add(SignedDuration::from_secs(at_s));
        let now = now.map_err(|error| Mismatch::new("at_s", "a time", error))?;
        if at_s - last_s >= DEALT_WITH_AFTER_S {
            world.end_signals(now)?;
        }
        last_s = at_s;
        let transport = match step.get("transport").and_then(Value::as_str) {
            Some("udp") => Transport::Datagram,
            _ => Transport::Stream,
        };
        let mut session = config.session(transport);
        let bytes = hex_field(step, "input_hex")?;
        // A frame that is not one is met with silence.
        let _fault = session.handle_bytes(now, &bytes).err();
        let exchanges = exchanges(session.as_mut(), now)?;
        if exchanges.is_empty() {
            replies.push(Value::Null);
        }
        for exchange in exchanges {
            world.report(now, &exchange.report)?;
            let bytes = exchange.answer.unwrap_or_default();
            replies.push(json!(answer_word(&config, &bytes)));
        }
    }
    let found = world.found(&replies);
    for (key, wanted) in case.get("expect").and_then(Value::as_object).into_iter().flatten() {
        let Some(found) = found.get(key) else {
            return Err(Mismatch::new("expect", "a key that we know", key));
        };
        equal(key, wanted, found)?;
    }
    Ok(())
}

/// The core and its journal, in memory.
#[derive(Default)]
struct World {
    state: State,
    commands: u8,
    /// Reports that only went on the record: no call, and none to add to.
    noted: usize,
    calls: usize,
}

impl World {
    /// With empty registers: the core shows who is unregistered, which does not matter here.
    fn start(&mut self, now: Timestamp) -> Result<(), Mismatch> {
        let settings = Settings {
            mode: Mode::Training,
            headquarters: "Conformance".to_owned(),
            sender: "conformance@example.jp".to_owned(),
            message_domain: "example.jp".to_owned(),
            answer_url: "http://127.0.0.1".to_owned(),
            answer_minutes: 60,
        };
        let fleet = Fleet::default();
        let registry = Registry {
            people: Vec::new(),
            devices: Vec::new(),
            groups: Vec::new(),
            sites: Vec::new(),
            settings,
            fleet,
        };
        let start = Start { release: "conformance".to_owned(), registry };
        let given = self.give(now, &Input::Start(Box::new(start)));
        given.map(drop).map_err(|refusal| Mismatch::new("core", "starts", refusal))
    }

    fn report(&mut self, now: Timestamp, report: &Report) -> Result<(), Mismatch> {
        let speaks = !report.findings.is_empty();
        let events = match self.give(now, &Input::Report(Box::new(sealed(now, report)))) {
            Ok(events) => events,
            // The same message again: answered like the first, counted once.
            Err(refusal) if refusal.code == RefusalCode::Duplicate => return Ok(()),
            Err(refusal) => return Err(Mismatch::new("core", "takes the report", refusal)),
        };
        let called = events.iter().any(|event| matches!(event, Event::SignalReceived { .. }));
        let added = events.iter().any(|event| matches!(event, Event::SignalRepeated { .. }));
        self.calls += usize::from(called);
        self.noted += usize::from(speaks && !called && !added);
        Ok(())
    }

    /// Decides, numbers and folds, as the sequencer does.
    fn give(&mut self, now: Timestamp, input: &Input) -> Result<Vec<Event>, Refusal> {
        let drafts = self.state.decide(now, input)?;
        let mut events = Vec::new();
        for (index, draft) in drafts.into_iter().enumerate() {
            let micros = i64::try_from(index).unwrap_or(i64::MAX);
            let at = now.saturating_add(SignedDuration::from_micros(micros)).unwrap_or(now);
            let seq = self.state.seq().next();
            let recorded = Recorded {
                seq,
                at,
                source: draft.source,
                cause: draft.cause,
                idem: draft.idem,
                event: draft.event,
            };
            self.state.evolve(&recorded);
            events.push(recorded.event);
        }
        Ok(events)
    }

    /// An operator finishes what is open.
    fn end_signals(&mut self, now: Timestamp) -> Result<(), Mismatch> {
        let signals = self.state.signals().iter();
        let open: Vec<_> =
            signals.filter(|(_id, signal)| signal.ended.is_none()).map(|(id, _)| *id).collect();
        for signal in open {
            self.commands += 1;
            let actor = Actor { source: "user:dispatcher".to_owned(), role: Role::Dispatcher };
            let outcome = SignalOutcome::NothingFound;
            let kind = CommandKind::EndSignal { signal, outcome, reason: None };
            let id = CommandId([self.commands; 16]);
            let command = Command { id, actor, received_at: now, kind };
            self.give(now, &Input::Command(Box::new(command)))
                .map_err(|refusal| Mismatch::new("core", "ends the signal", refusal))?;
        }
        Ok(())
    }

    fn found(&self, replies: &[Value]) -> Value {
        let signals = || self.state.signals().values();
        let zones: Vec<&String> = signals().flat_map(|signal| &signal.zones).collect();
        json!({
            "replies": replies,
            "incidents": self.calls,
            "open": signals().filter(|signal| signal.ended.is_none()).count(),
            "presses": signals().map(|signal| signal.presses).sum::<u32>(),
            "zones": zones,
            "notices": self.noted,
        })
    }
}

/// The report as intake hands it to the core. The vault is left out: these cases hold nobody's data.
fn sealed(now: Timestamp, report: &Report) -> SealedReport {
    let seal = |bytes: &[u8]| Sealed { key: KeyId(0), bytes: bytes.to_vec() };
    SealedReport {
        door: report.door,
        source: format!("{}:{}", report.door, report.device),
        lane: report.lane,
        observed_at: report.observed_at,
        received_at: now,
        device_key: report.device_key.clone(),
        findings: report.findings.clone(),
        position: report.position,
        telemetry: report.telemetry,
        text: report.text.as_ref().map(|text| seal(text.0.as_bytes())),
        raw: seal(&report.raw.0),
        peer: seal(b""),
        refused: report.refused,
        deviations: report.deviations.clone(),
    }
}
