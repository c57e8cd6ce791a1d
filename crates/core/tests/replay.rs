//! Replay: the same journal gives the same state and the same effects; so does snapshot plus tail.

mod world;

use hansho_core::{DecodeError, State};
use hansho_model::{
    AlarmClass, AlarmKind, AnswerChoice, CommandKind, IncidentKind, IncidentOutcome, Input,
    Outcome, Phase, Role, SignalId, SignalOutcome,
};
use proptest::prelude::*;
use world::{World, finding, press, report, start};

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
            let (signals, kind) = (vec![signal], IncidentKind::Ems);
            let open =
                CommandKind::OpenIncident { signals, kind, district: None, place_text: None };
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
    };
    // A refusal is an answer: the invariants below hold after it, too.
    drop(done);
}

/// What always holds, whatever happened.
fn check(state: &State) {
    let open = state.signals().values().filter(|signal| signal.ended.is_none()).count();
    assert!(open <= 1, "one open signal a device");
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
