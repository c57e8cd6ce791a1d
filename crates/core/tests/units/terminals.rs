//! What stands on a vehicle's terminal, and what its crew may say.

use super::*;

/// The city with a terminal in one of its units.
fn city_with_terminal(call_sign: &str) -> World {
    let mut fleet = fleet();
    let unit = fleet.units.iter_mut().find(|unit| unit.call_sign == call_sign).unwrap();
    unit.terminal = Some("IZUMI-A1".to_owned());
    city(fleet)
}

/// What the terminal says of where it is.
fn terminal_at(world: &mut World, position: Position) {
    let now = world.now;
    let fix = Fix { position, ..world::fix(0, now) };
    let said = Telemetry { fix: Some(fix), ..Telemetry::default() };
    let (door, source) = (Door::Quic, "quic:IZUMI-A1".to_owned());
    let report = world::track(now, said, Vec::new());
    world.report(SealedReport { door, source, lane: Lane::D, ..report }).unwrap();
}

fn crew(world: &mut World, source: &str, kind: CommandKind) -> Result<Vec<Recorded>, Refusal> {
    world.wait(60);
    let id = CommandId(world.now.as_microsecond().to_be_bytes().repeat(2).try_into().unwrap());
    let actor = Actor { source: source.to_owned(), role: Role::Crew };
    let command = Command { id, actor, received_at: world.now, kind };
    world.give(&Input::Command(Box::new(command)))
}

/// What a terminal is to be told of has an event of its own, which is due at once.
fn follow(world: &mut World) {
    assert!(world.told.is_empty(), "what has happened owes nothing by itself");
    assert!(world.state.next_deadline().unwrap() <= world.now);
    assert_eq!(State::decode(&world.state.encode()), Ok(world.replayed()));
    assert_eq!(names(&world.give(&Input::Tick).unwrap()), ["SheetOrdered"]);
}

#[test]
fn an_order_is_owed_to_a_terminal_until_it_is_shown_or_over() {
    let mut world = city_with_terminal("泉救1");
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉救1", "泉1"]).unwrap();
    let told = world.told.clone();
    assert_eq!(told.len(), 1, "the other unit has no terminal");
    let id = *told.first().unwrap();
    let Some(Effect::SendOrder(sheet)) = world.state.effect(id) else { panic!() };
    assert_eq!((sheet.incident, &*sheet.terminal), (incident, "IZUMI-A1"));
    assert_eq!(sheet.units, ["泉救1", "泉1"]);
    // Nobody is there: tried again later, but at once when it is heard.
    world.give(&Input::Attempt(vec![id])).unwrap();
    world.outcome(id, 1, Outcome::Failed, true).unwrap();
    let due = |world: &World| match world.state.owed()[&id].phase {
        OwedPhase::Waiting { due } => due,
        OwedPhase::Attempting { .. } => panic!("it is under way"),
    };
    assert!(due(&world) > world.now);
    terminal_at(&mut world, sumiyoshi());
    assert!(due(&world) <= world.now);
    world.give(&Input::Attempt(vec![id])).unwrap();
    world.outcome(id, 2, Outcome::Done, false).unwrap();
    assert!(world.told.is_empty() && world.state.owed().is_empty());
    let row = world.state.assignment(sheet.assignment).unwrap();
    assert_eq!(row.delivered_at, world.state.at());
    // One that is cancelled before it was shown is owed no more; what was shown is taken back.
    press(&mut world, "泉救1", UnitStatus::Cancelled).unwrap();
    follow(&mut world);
    let back = *world.told.first().unwrap();
    world.attempt(back).unwrap();
    world.outcome(back, 1, Outcome::Done, false).unwrap();
    order(&mut world, incident, &["泉救1"]).unwrap();
    assert_eq!(world.told.len(), 1);
    press(&mut world, "泉救1", UnitStatus::Cancelled).unwrap();
    assert!(world.told.is_empty() && world.state.owed().is_empty());
    let replayed = world.replayed();
    assert_eq!(replayed.hash(), world.state.hash());
    assert_eq!(State::decode(&world.state.encode()), Ok(replayed));
}

#[test]
fn an_end_that_was_a_mistake_before_anybody_was_told_leaves_the_order_standing() {
    let mut world = city_with_terminal("泉救1");
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉救1"]).unwrap();
    let shown = *world.told.first().unwrap();
    world.attempt(shown).unwrap();
    world.outcome(shown, 1, Outcome::Done, false).unwrap();
    let wrong = press(&mut world, "泉救1", UnitStatus::Cancelled).unwrap()[0].seq;
    correct(&mut world, ("泉救1", UnitStatus::EnRoute), wrong, None).unwrap();
    follow(&mut world);
    let [id] = world.told.iter().copied().collect::<Vec<_>>().try_into().unwrap();
    let Some(Effect::SendOrder(sheet)) = world.state.effect(id) else { panic!() };
    assert_eq!(sheet.word, OrderWord::Ordered);
    assert_eq!(world.state.withdrawal(sheet.assignment), None);
}

#[test]
fn a_terminal_is_told_of_a_new_place_and_that_an_order_is_taken_back() {
    let mut world = city_with_terminal("泉救1");
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉救1", "泉1"]).unwrap();
    let place =
        Place { district: None, position: Some(sumiyoshi()), radius: None, confirmed: true };
    let moved = CommandKind::SetPlace { incident, place, place_text: None };
    world.command(Role::Dispatcher, moved.clone()).unwrap();
    assert_eq!(world.told.len(), 1, "what nobody has tried to show yet shows the new place itself");
    let show = |world: &mut World| {
        let [id] = world.told.iter().copied().collect::<Vec<_>>().try_into().unwrap();
        let Some(Effect::SendOrder(sheet)) = world.state.effect(id) else { panic!() };
        world.attempt(id).unwrap();
        world.outcome(id, 1, Outcome::Done, false).unwrap();
        assert!(world.told.is_empty());
        (sheet.word, sheet.assignment)
    };
    let (word, row) = show(&mut world);
    assert_eq!(word, OrderWord::Ordered);
    world.command(Role::Dispatcher, moved).unwrap();
    follow(&mut world);
    assert_eq!(show(&mut world).0, OrderWord::Changed);
    press(&mut world, "泉救1", UnitStatus::Cancelled).unwrap();
    assert_eq!(world.state.withdrawal(row), Some("owed"));
    follow(&mut world);
    assert_eq!(world.state.withdrawal(row), Some("owed"));
    assert_eq!(show(&mut world).0, OrderWord::Withdrawn);
    assert_eq!(world.state.withdrawal(row), Some("shown"));
    // A second order that is taken back from a terminal that is away: told for an hour.
    order(&mut world, incident, &["泉救1"]).unwrap();
    let id = *world.told.first().unwrap();
    world.attempt(id).unwrap();
    world.outcome(id, 1, Outcome::Failed, true).unwrap();
    press(&mut world, "泉救1", UnitStatus::Cancelled).unwrap();
    follow(&mut world);
    let [id] = world.told.iter().copied().collect::<Vec<_>>().try_into().unwrap();
    let Some(Effect::SendOrder(sheet)) = world.state.effect(id) else { panic!() };
    assert_eq!(sheet.word, OrderWord::Withdrawn);
    world.wait(3_600);
    assert!(world.state.next_deadline().unwrap() <= world.now);
    world.give(&Input::Tick).unwrap();
    assert_eq!(world.state.withdrawal(sheet.assignment), Some("given_up"));
    assert!(world.told.is_empty() && world.state.owed().is_empty());
    assert!(world.replayed() == world.state);
    assert_eq!(State::decode(&world.state.encode()), Ok(world.replayed()));
}

#[test]
fn a_crew_speaks_for_its_own_unit_and_takes_nothing_back() {
    let mut world = city_with_terminal("泉救1");
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉救1", "泉1"]).unwrap();
    let own = "quic:IZUMI-A1";
    let code = |heard: Result<Vec<Recorded>, Refusal>| heard.err().map(|refusal| refusal.code);
    let acknowledged = crew(&mut world, own, say("泉救1", UnitStatus::Acknowledged));
    let wrong = acknowledged.unwrap()[1].seq;
    for kind in [
        say("泉1", UnitStatus::Acknowledged),
        say("泉救1", UnitStatus::Cancelled),
        CommandKind::UnitStatus {
            unit: "泉救1".to_owned(),
            status: UnitStatus::EnRoute,
            at: None,
            incident: None,
            corrects: Some(wrong),
        },
        CommandKind::OpenSession { token: world::token(1), expires_at: world.now },
        CommandKind::ClearDraft { form: "call:s1".to_owned() },
        CommandKind::CloseIncident { incident, outcome: IncidentOutcome::Handled, note: None },
    ] {
        let heard = code(crew(&mut world, own, kind.clone()));
        assert_eq!(heard, Some(RefusalCode::Forbidden), "{kind:?}");
    }
    let strange = crew(&mut world, "quic:OTHER", say("泉救1", UnitStatus::EnRoute));
    assert_eq!(code(strange), Some(RefusalCode::Forbidden));
    let out = CommandKind::SetAvailability { unit: "泉救1".to_owned(), usable: OUT };
    assert_eq!(code(crew(&mut world, own, out)), None);
}

#[test]
fn a_unit_is_where_its_terminal_says_if_that_is_the_newest_word() {
    let mut world = city_with_terminal("泉救1");
    let id = world.state.unit("泉救1").unwrap();
    let place = |world: &World| {
        let found = world.state.unit_position(id).unwrap();
        (found.position, found.at.is_some(), found.guessed)
    };
    let (station, road) = (at(369_533_000, 1_408_647_000), at(369_600_000, 1_408_700_000));
    // Near enough to the station is the station, however long ago it was said.
    terminal_at(&mut world, at(369_534_000, 1_408_648_000));
    assert_eq!(place(&world), (station, false, false));
    world.wait(60);
    terminal_at(&mut world, road);
    assert_eq!(place(&world), (road, true, false));
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉救1"]).unwrap();
    press(&mut world, "泉救1", UnitStatus::EnRoute).unwrap();
    assert_eq!(place(&world), (road, true, false), "better than a guess");
    press(&mut world, "泉救1", UnitStatus::OnScene).unwrap();
    assert_eq!(place(&world), (sumiyoshi(), true, false), "newer than its last place");
    world.wait(60);
    terminal_at(&mut world, road);
    assert_eq!(place(&world), (road, true, false));
}
