//! Replay: the same journal gives the same state and the same effects; so does snapshot plus tail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use hansho_core::{CallPhase, DecodeError, OwedPhase, State, limits};
use hansho_model::{
    AlarmClass, AlarmKind, AnswerChoice, CallBackOutcome, CallEnd, CallFact, CommandKind,
    DistrictId, IncidentKind, IncidentOutcome, IncidentSubkind, Input, Outcome, Phase, Place, Role,
    Sealed, SignalId, SignalOutcome,
};
use proptest::prelude::*;
use world::{World, circle, finding, offered, press, report, start};

/// One thing that may happen; numbers pick what it happens to.
#[derive(Debug, Clone)]
enum Step {
    Press(u16),
    Restore(u16),
    Fault(u16),
    Heartbeat,
    Acknowledge(usize),
    Open(usize),
    End(usize),
    Close(usize),
    Attempt(usize),
    Settle(usize, u8),
    Answer(usize),
    Wait(i64),
    Restart,
    Call(u8, u8),
    AnswerCall(usize, bool),
    CallBack(usize, usize),
    Place(usize, usize),
    Draft(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..50_u16).prop_map(Step::Press),
        (50..80_u16).prop_map(Step::Restore),
        (80..99_u16).prop_map(Step::Fault),
        Just(Step::Heartbeat),
        any::<usize>().prop_map(Step::Acknowledge),
        any::<usize>().prop_map(Step::Open),
        any::<usize>().prop_map(Step::End),
        any::<usize>().prop_map(Step::Close),
        any::<usize>().prop_map(Step::Attempt),
        (any::<usize>(), 0..4_u8).prop_map(|(which, how)| Step::Settle(which, how)),
        any::<usize>().prop_map(Step::Answer),
        (1..4_000_i64).prop_map(Step::Wait),
        Just(Step::Restart),
        (0..4_u8, 0..7_u8).prop_map(|(call, fact)| Step::Call(call, fact)),
        (any::<usize>(), any::<bool>()).prop_map(|(which, other)| Step::AnswerCall(which, other)),
        (any::<usize>(), any::<usize>()).prop_map(|(which, how)| Step::CallBack(which, how)),
        (any::<usize>(), any::<usize>()).prop_map(|(which, how)| Step::Place(which, how)),
        (0..300_u16).prop_map(Step::Draft),
    ];
    prop::collection::vec(step, 1..60)
}

#[expect(clippy::too_many_lines, reason = "one arm a step: the list is the point")]
fn play(world: &mut World, step: &Step) {
    let signal = |world: &World, which: usize| {
        let signals: Vec<SignalId> = world.state.signals().keys().copied().collect();
        signals.get(which % signals.len().max(1)).copied()
    };
    let done = match step {
        Step::Press(sequence) => world.report(press(*sequence)),
        Step::Restore(sequence) => world.report(report(
            "dc09:4901",
            *sequence,
            vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::Restored, "003")],
        )),
        Step::Fault(sequence) => world.report(report(
            "dc09:4901",
            *sequence,
            vec![finding(AlarmClass::Fault, AlarmKind::Mains, Phase::New, "")],
        )),
        Step::Heartbeat => {
            let mut beat = report("dc09:4902", 0, Vec::new());
            beat.device_key.clear();
            world.report(beat)
        }
        Step::Acknowledge(which) => {
            let Some(signal) = signal(world, *which) else { return };
            let position = "desk1".to_owned();
            world.command(Role::Dispatcher, CommandKind::AcknowledgeSignal { signal, position })
        }
        Step::Open(which) => {
            let Some(signal) = signal(world, *which) else { return };
            let (signals, kind, place) = (vec![signal], IncidentKind::Ems, Place::default());
            let subkind = Some(IncidentSubkind::Illness);
            let open =
                CommandKind::OpenIncident { signals, kind, subkind, place, place_text: None };
            world.command(Role::Dispatcher, open)
        }
        Step::End(which) => {
            let Some(signal) = signal(world, *which) else { return };
            let outcome = SignalOutcome::Mistake;
            let end = CommandKind::EndSignal { signal, outcome, reason: None };
            world.command(Role::Dispatcher, end)
        }
        Step::Close(which) => {
            let incidents: Vec<_> = world.state.incidents().keys().copied().collect();
            let Some(incident) = incidents.get(which % incidents.len().max(1)) else { return };
            let (incident, outcome) = (*incident, IncidentOutcome::Handled);
            world.command(
                Role::Dispatcher,
                CommandKind::CloseIncident { incident, outcome, note: None },
            )
        }
        Step::Attempt(which) => {
            let owed: Vec<_> = world.state.owed().keys().copied().collect();
            let Some(effect) = owed.get(which % owed.len().max(1)) else { return };
            world.attempt(*effect)
        }
        Step::Settle(which, how) => {
            let owed: Vec<_> =
                world.state.owed().iter().map(|(id, owed)| (*id, owed.attempts)).collect();
            let Some((effect, attempt)) = owed.get(which % owed.len().max(1)) else { return };
            let outcome = [Outcome::Done, Outcome::Failed, Outcome::Failed, Outcome::Uncertain]
                [usize::from(*how)];
            world.outcome(*effect, *attempt, outcome, *how == 1)
        }
        Step::Answer(which) => {
            let notices: Vec<_> = world.state.notices().keys().copied().collect();
            let Some(notice) = notices.get(which % notices.len().max(1)) else { return };
            let effect = hansho_model::EffectId { seq: notice.0, index: 0 };
            world.answer(effect, AnswerChoice::Coming)
        }
        Step::Wait(seconds) => {
            world.wait(*seconds);
            world.give(&Input::Tick)
        }
        Step::Restart => world.give(&Input::Start(Box::new(start()))),
        Step::Call(call, fact) => world.said(&format!("call-{call}"), heard(*fact)),
        Step::AnswerCall(which, other) => {
            let Some(signal) = signal(world, *which) else { return };
            let position = if *other { "desk2" } else { "desk1" }.to_owned();
            world.command(Role::Dispatcher, CommandKind::AnswerCall { signal, position })
        }
        Step::CallBack(which, how) => {
            let Some(signal) = signal(world, *which) else { return };
            let outcome = CallBackOutcome::ALL[how % CallBackOutcome::ALL.len()];
            world.command(Role::Dispatcher, CommandKind::CallBack { signal, outcome })
        }
        Step::Place(which, how) => {
            let incidents: Vec<_> = world.state.incidents().keys().copied().collect();
            let Some(incident) = incidents.get(which % incidents.len().max(1)) else { return };
            let (incident, place_text) = (*incident, None);
            let district = Some(DistrictId(u8::try_from(how % 13).unwrap() + 1));
            let place = Place { district, confirmed: how.is_multiple_of(2), ..Place::default() };
            let subkind = IncidentSubkind::ALL[how % IncidentSubkind::ALL.len()];
            let (kind, subkind) = (subkind.kind(), Some(subkind));
            let command = if how.is_multiple_of(3) {
                CommandKind::SetKind { incident, kind, subkind }
            } else {
                CommandKind::SetPlace { incident, place, place_text }
            };
            world.command(Role::Supervisor, command)
        }
        Step::Draft(which) => {
            let form = format!("call:s{}", which / 2);
            let text = world::sealed("typed");
            let save = which.is_multiple_of(2);
            let command = if save {
                CommandKind::SaveDraft { form, text }
            } else {
                CommandKind::ClearDraft { form }
            };
            world.command(Role::Dispatcher, command)
        }
    };
    // A refusal is an answer: the invariants below hold after it, too.
    drop(done);
}

/// What the telephone side may say.
fn heard(fact: u8) -> CallFact<Sealed, Sealed> {
    let at = Some("2026-11-23T05:07:30Z".parse().unwrap());
    let position = if fact.is_multiple_of(2) { "desk2" } else { "desk1" }.to_owned();
    match fact {
        0 | 1 => offered(vec![circle((369_650_000, 1_408_936_000), Some(42), at)]),
        2 => CallFact::Abandoned,
        3 => CallFact::Connected { position },
        4 | 5 => CallFact::NotConnected { position, status: 486 },
        _ => CallFact::Ended { by: CallEnd::Caller },
    }
}

/// What always holds, whatever happened.
fn check(state: &State) {
    let open = state.signals().values().filter(|signal| signal.ended.is_none());
    let open = open.filter(|signal| signal.call.is_none()).count();
    assert!(open <= 1, "one open signal a device");
    for (name, call) in state.calls() {
        let signal = &state.signals()[&call.signal.unwrap()];
        assert_eq!(signal.call.as_ref(), Some(name));
        let waits = call.phase == CallPhase::Ringing && call.failure.is_none();
        assert!(!waits || signal.ended.is_none(), "a caller waits and nobody sees it");
        let awaited = call.phase == CallPhase::Connecting;
        let answer = call.answer.as_ref().and_then(|answer| answer.seq);
        for (id, owed) in state.owed() {
            let waiting = matches!(owed.phase, OwedPhase::Waiting { .. });
            let rings = Some(id.seq) == answer && waiting;
            assert!(!rings || awaited, "a phone is to be rung for nobody");
        }
        let answered = awaited || call.phase == CallPhase::Connected;
        assert!(!answered || signal.acknowledged.is_some(), "nobody has an answered call");
    }
    assert!(state.drafts().len() <= limits::DRAFTS);
    for (id, owed) in state.owed() {
        assert!(state.effect(*id).is_some(), "an owed effect can be carried out: {id} {owed:?}");
    }
    for incident in state.incidents().values() {
        for signal in &incident.signals {
            assert!(state.signals()[signal].incident.is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_123),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn live_replay_and_snapshot_agree(steps in steps(), cut in any::<prop::sample::Index>()) {
        let mut world = World::started();
        let mut snapshots = vec![(world.journal.len(), world.state.encode())];
        for step in &steps {
            play(&mut world, step);
            check(&world.state);
            prop_assert!(world.told.iter().eq(world.state.owed().keys()), "the outbox knows else");
            snapshots.push((world.journal.len(), world.state.encode()));
        }
        let replayed = world.replayed();
        prop_assert_eq!(&replayed, &world.state);
        prop_assert_eq!(replayed.hash(), world.state.hash());
        prop_assert_eq!(replayed.effects_sum(), world.state.effects_sum());

        let (folded, bytes) = cut.get(&snapshots);
        let mut resumed = State::decode(bytes).unwrap();
        for recorded in &world.journal[*folded..] {
            resumed.evolve(recorded);
        }
        prop_assert_eq!(&resumed, &world.state);
    }
}

#[test]
fn a_snapshot_that_is_cut_or_goes_on_is_refused() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let bytes = world.state.encode();
    assert_eq!(State::decode(&bytes[..bytes.len() - 1]), Err(DecodeError::Cut));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(State::decode(&longer), Err(DecodeError::Rest(1)));
    assert_eq!(State::decode(&bytes).unwrap(), world.state);
}
