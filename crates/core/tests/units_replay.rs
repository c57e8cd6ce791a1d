//! Units under any sequence of commands: what always holds, and that a replay is the same.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use hansho_core::State;
use hansho_model::{
    AssignmentId, Availability, AvailabilityReason, CommandKind, IncidentId, IncidentKind,
    IncidentOutcome, Input, Place, Role, SignalId, UnitId, UnitStatus, Usable,
};
use jiff::SignedDuration;
use proptest::prelude::*;
use world::city::evening;
use world::{World, press, start};

/// One thing that may happen; numbers pick what it happens to.
#[derive(Debug, Clone)]
enum Step {
    Open(u16),
    Order(usize, Vec<usize>, bool),
    Status { unit: usize, status: usize, ago_s: i64, incident: Option<usize> },
    Correct { which: usize, status: usize, ago_s: i64 },
    Set(usize, usize),
    Close(usize),
    Wait(i64),
    Restart,
}

/// Few units, so that they meet: three pairs with one crew each, and two alone.
const UNITS: [&str; 8] =
    ["小名浜1", "小名浜はしご1", "小名浜2", "小名浜化1", "江名1", "江名救1", "泉1", "四倉救1"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let unit = || 0..UNITS.len();
    let status = || 0..UnitStatus::ALL.len();
    let ago_s = || prop_oneof![3 => Just(0_i64), 1 => 0..600_i64];
    let step = prop_oneof![
        2 => (0..9_999_u16).prop_map(Step::Open),
        5 => (any::<usize>(), prop::collection::vec(unit(), 1..4), any::<bool>())
            .prop_map(|(which, units, divert)| Step::Order(which, units, divert)),
        12 => (unit(), status(), ago_s(), prop::option::weighted(0.2, any::<usize>()))
            .prop_map(|(unit, status, ago_s, incident)| Step::Status { unit, status, ago_s, incident }),
        4 => (any::<usize>(), status(), ago_s())
            .prop_map(|(which, status, ago_s)| Step::Correct { which, status, ago_s }),
        2 => (unit(), 0..4_usize).prop_map(|(unit, how)| Step::Set(unit, how)),
        2 => any::<usize>().prop_map(Step::Close),
        2 => (1..900_i64).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

fn began() -> Input {
    let mut first = start();
    first.registry.fleet = evening();
    Input::Start(Box::new(first))
}

fn pick<T: Copy>(all: &[T], which: usize) -> Option<T> {
    all.get(which % all.len().max(1)).copied()
}

fn command(world: &World, step: &Step) -> Option<CommandKind> {
    let incidents: Vec<IncidentId> = world.state.incidents().keys().copied().collect();
    let ago = |seconds: i64| world.now.checked_sub(SignedDuration::from_secs(seconds)).unwrap();
    Some(match step {
        Step::Order(which, units, divert) => {
            let incident = pick(&incidents, *which)?;
            let units = units.iter().map(|unit| UNITS[*unit].to_owned()).collect();
            CommandKind::OrderUnits { incident, units, reason: None, divert: *divert }
        }
        Step::Status { unit, status, ago_s, incident } => CommandKind::UnitStatus {
            unit: UNITS[*unit].to_owned(),
            status: UnitStatus::ALL[*status],
            at: (*ago_s > 0).then(|| ago(*ago_s)),
            incident: incident.and_then(|which| pick(&incidents, which)),
            corrects: None,
        },
        Step::Correct { which, status, ago_s } => {
            let presses: Vec<_> = rows(&world.state)
                .flat_map(|(id, row)| row.presses.iter().map(move |press| (id.unit, press.seq)))
                .collect();
            let (unit, wrong) = pick(&presses, *which)?;
            CommandKind::UnitStatus {
                unit: world.state.units()[&unit].entry.call_sign.clone(),
                status: UnitStatus::ALL[*status],
                at: (*ago_s > 0).then(|| ago(*ago_s)),
                incident: None,
                corrects: Some(wrong),
            }
        }
        Step::Set(unit, how) => {
            let usable = |availability, reason, minutes| Usable { availability, reason, minutes };
            let training = Some(AvailabilityReason::Training);
            let usable = [
                Usable::AVAILABLE,
                Usable::AVAILABLE,
                usable(Availability::Delayed, training, Some(10)),
                usable(Availability::OutOfService, training, None),
            ][*how];
            CommandKind::SetAvailability { unit: UNITS[*unit].to_owned(), usable }
        }
        Step::Close(which) => CommandKind::CloseIncident {
            incident: pick(&incidents, *which)?,
            outcome: IncidentOutcome::Handled,
            note: None,
        },
        Step::Open(_) | Step::Wait(_) | Step::Restart => return None,
    })
}

fn play(world: &mut World, step: &Step) {
    if let Some(kind) = command(world, step) {
        // A refusal is an answer: the invariants below hold after it, too.
        drop(world.command(Role::Dispatcher, kind));
        return;
    }
    match step {
        Step::Open(sequence) => {
            if world.report(press(*sequence)).is_err() {
                return;
            }
            let open = |signal: &hansho_core::Signal| signal.ended.is_none();
            let signals = world.state.signals().iter().filter(|(_, signal)| open(signal));
            let signals: Vec<SignalId> = signals.map(|(id, _)| *id).collect();
            let kind = IncidentKind::Fire;
            let open = CommandKind::OpenIncident {
                signals,
                kind,
                subkind: None,
                place: Place::default(),
                place_text: None,
            };
            world.command(Role::Dispatcher, open).unwrap();
        }
        Step::Wait(seconds) => world.wait(*seconds),
        Step::Restart => drop(world.give(&began()).unwrap()),
        Step::Order(..)
        | Step::Status { .. }
        | Step::Correct { .. }
        | Step::Set(..)
        | Step::Close(_) => {}
    }
}

/// Every assignment of every incident, and those of units that were out before.
fn rows(state: &State) -> impl Iterator<Item = (AssignmentId, &hansho_core::Assignment)> {
    let ordered = state.incidents().keys().flat_map(|incident| state.assignments_of(*incident));
    let found = state.units().values().filter_map(|unit| {
        let row = state.assignment(unit.active?)?;
        row.incident.is_none().then_some((unit.active?, row))
    });
    ordered.chain(found)
}

/// What always holds, whatever happened.
fn check(state: &State) {
    let mut active: BTreeMap<UnitId, AssignmentId> = BTreeMap::new();
    for (id, row) in rows(state) {
        let unit = &state.units()[&id.unit];
        if row.end.is_some() {
            assert!(unit.active != Some(id) && !unit.queued.contains(&id));
            continue;
        }
        let incident = row.incident.map(|incident| &state.incidents()[&incident]);
        assert!(incident.is_none_or(|incident| incident.end.is_none()), "closed, and not let go");
        match row.current() {
            None => assert!(unit.queued.contains(&id), "it waits in the queue"),
            Some(press) => {
                assert!(!matches!(press.status, UnitStatus::InStation | UnitStatus::Cancelled));
                assert_eq!(active.insert(id.unit, id), None, "one thing at a time");
            }
        }
    }
    for (id, unit) in state.units() {
        assert_eq!(unit.active, active.get(id).copied(), "{}", unit.entry.call_sign);
        if let Some(with) = unit.crew_with {
            assert!(unit.active.is_none(), "{} drives without a crew", unit.entry.call_sign);
            assert!(state.units()[&with].active.is_some(), "the crew is nowhere");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_123),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn one_thing_at_a_time_and_a_replay_is_the_same(
        steps in steps(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::blank();
        world.give(&began()).unwrap();
        let mut snapshots = vec![(world.journal.len(), world.state.encode())];
        for step in &steps {
            play(&mut world, step);
            check(&world.state);
            snapshots.push((world.journal.len(), world.state.encode()));
        }
        prop_assert_eq!(&world.replayed(), &world.state);
        let (folded, bytes) = cut.get(&snapshots);
        let mut resumed = State::decode(bytes).unwrap();
        for recorded in &world.journal[*folded..] {
            resumed.evolve(recorded);
        }
        prop_assert_eq!(&resumed, &world.state);
        prop_assert_eq!(resumed.hash(), world.state.hash());
    }
}
