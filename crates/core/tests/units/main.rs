//! Units: moves, late presses, corrections, crews, queues, orders, recommendations.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod terminals;
#[path = "../world/mod.rs"]
mod world;

use hansho_core::{OwedPhase, State};
use hansho_model::{
    Ability, Actor, AlarmClass, AlarmKind, AssignmentEnd, AssignmentId, Availability,
    AvailabilityReason, Command, CommandId, CommandKind, Door, Effect, Fix, Fleet, IncidentId,
    IncidentKind, IncidentOutcome, IncidentSubkind, Input, Lane, OrderWord, Outcome, Phase, Place,
    Position, Recommendation, Recorded, Refusal, RefusalCode, Role, SealedReport, Seq, SignalId,
    Telemetry, UnitStatus, Usable, Why,
};
use jiff::{SignedDuration, Timestamp};
use world::city::{at, evening, fleet};
use world::{World, finding, names, report, sealed, seq_of, start};

const OUT: Usable = Usable {
    availability: Availability::OutOfService,
    reason: Some(AvailabilityReason::Maintenance),
    minutes: None,
};

fn city(fleet: Fleet) -> World {
    let mut world = World::blank();
    let mut first = start();
    first.registry.fleet = fleet;
    world.give(&Input::Start(Box::new(first))).unwrap();
    world
}

fn sumiyoshi() -> Position {
    at(369_758_000, 1_408_861_000)
}

/// An incident at this place, by a device that says where it is.
fn incident(world: &mut World, kind: IncidentKind, position: Option<Position>) -> IncidentId {
    let device = format!("dc09:{}", 5_000 + world.state.incidents().len());
    let press = finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "");
    let mut said = report(&device, 1, vec![press]);
    said.position = position;
    let batch = world.report(said).unwrap();
    let signals = vec![SignalId(seq_of(&batch, "SignalReceived"))];
    let open = CommandKind::OpenIncident {
        signals,
        kind,
        subkind: None,
        place: Place::default(),
        place_text: None,
    };
    IncidentId(seq_of(&world.command(Role::Dispatcher, open).unwrap(), "IncidentOpened"))
}

fn fire(world: &mut World) -> IncidentId {
    incident(world, IncidentKind::Fire, Some(sumiyoshi()))
}

fn order(
    world: &mut World,
    incident: IncidentId,
    units: &[&str],
) -> Result<Vec<Recorded>, Refusal> {
    order_as(world, incident, units, false)
}

fn order_as(
    world: &mut World,
    incident: IncidentId,
    units: &[&str],
    divert: bool,
) -> Result<Vec<Recorded>, Refusal> {
    let units = units.iter().map(|unit| (*unit).to_owned()).collect();
    let kind = CommandKind::OrderUnits { incident, units, reason: None, divert };
    world.command(Role::Dispatcher, kind)
}

fn say(unit: &str, status: UnitStatus) -> CommandKind {
    CommandKind::UnitStatus {
        unit: unit.to_owned(),
        status,
        at: None,
        incident: None,
        corrects: None,
    }
}

fn press(world: &mut World, unit: &str, status: UnitStatus) -> Result<Vec<Recorded>, Refusal> {
    world.wait(60);
    world.command(Role::Dispatcher, say(unit, status))
}

fn press_at(
    world: &mut World,
    (unit, status): (&str, UnitStatus),
    time: Timestamp,
    incident: Option<IncidentId>,
) -> Result<Vec<Recorded>, Refusal> {
    let (unit, at) = (unit.to_owned(), Some(time));
    let said = CommandKind::UnitStatus { unit, status, at, incident, corrects: None };
    world.command(Role::Dispatcher, said)
}

fn correct(
    world: &mut World,
    (unit, status): (&str, UnitStatus),
    wrong: Seq,
    time: Option<Timestamp>,
) -> Result<Vec<Recorded>, Refusal> {
    let (unit, at, corrects) = (unit.to_owned(), time, Some(wrong));
    let said = CommandKind::UnitStatus { unit, status, at, incident: None, corrects };
    world.command(Role::Dispatcher, said)
}

fn set(world: &mut World, unit: &str, usable: Usable) -> Result<Vec<Recorded>, Refusal> {
    let unit = unit.to_owned();
    world.command(Role::Dispatcher, CommandKind::SetAvailability { unit, usable })
}

fn close(world: &mut World, incident: IncidentId) -> Result<Vec<Recorded>, Refusal> {
    let outcome = IncidentOutcome::Handled;
    let close = CommandKind::CloseIncident { incident, outcome, note: None };
    world.command(Role::Dispatcher, close)
}

fn code(result: Result<Vec<Recorded>, Refusal>) -> RefusalCode {
    result.unwrap_err().code
}

/// What a unit is doing now.
fn doing(world: &World, unit: &str) -> Option<(Option<IncidentId>, UnitStatus)> {
    let unit = &world.state.units()[&world.state.unit(unit).unwrap()];
    let row = world.state.assignment(unit.active?).unwrap();
    Some((row.incident, row.current().unwrap().status))
}

fn availability(world: &World, unit: &str) -> (Availability, Option<AvailabilityReason>) {
    let usable = world.state.units()[&world.state.unit(unit).unwrap()].usable_now();
    (usable.availability, usable.reason)
}

/// Times of the unit's part in the only order of an incident, in minutes after it.
fn minutes(world: &World, incident: IncidentId, unit: &str) -> Vec<(&'static str, i64)> {
    let id = world.state.unit(unit).unwrap();
    let (_, row) = world.state.assignments_of(incident).find(|(row, _)| row.unit == id).unwrap();
    let after = |time: Timestamp| time.duration_since(row.ordered_at).as_mins();
    row.times().into_iter().map(|(status, time)| (status.as_str(), after(time))).collect()
}

fn call_sign(world: &World, unit: hansho_model::UnitId) -> String {
    world.state.units()[&unit].entry.call_sign.clone()
}

fn why_not(world: &World, recommendation: &Recommendation, unit: &str) -> Vec<Why> {
    let id = world.state.unit(unit).unwrap();
    let advice = recommendation.units.iter().find(|advice| advice.unit == id).unwrap();
    assert!(!advice.chosen, "{unit} is chosen: {:?}", advice.why);
    advice.why.clone()
}

#[test]
fn a_start_registers_units_once_and_finds_them_as_they_are() {
    let mut world = city(evening());
    assert_eq!(world.state.units().len(), 43);
    assert_eq!(availability(&world, "平はしご1").0, Availability::OutOfService);
    let ladder = &world.state.units()[&world.state.unit("平はしご1").unwrap()];
    let since = world.state.at().unwrap().duration_since(ladder.usable_since);
    assert_eq!(since.as_mins(), 470);
    assert_eq!(availability(&world, "平救9").0, Availability::Off, "a reserve has no crew");
    assert_eq!(doing(&world, "四倉救1"), Some((None, UnitStatus::AtHospital)));
    assert_eq!(doing(&world, "小名浜救2"), Some((None, UnitStatus::Returning)));

    press(&mut world, "四倉救1", UnitStatus::Returning).unwrap();
    press(&mut world, "四倉救1", UnitStatus::InStation).unwrap();
    assert_eq!(doing(&world, "四倉救1"), None);
    let mut again = start();
    again.registry.fleet = evening();
    let batch = world.give(&Input::Start(Box::new(again.clone()))).unwrap();
    assert_eq!(names(&batch), ["CoreStarted"], "nothing changed, and nothing is found again");

    again.registry.fleet.units.retain(|unit| unit.call_sign != "平救9");
    again.registry.fleet.units[0].crew = 2;
    again.registry.fleet.plans.pop();
    let batch = world.give(&Input::Start(Box::new(again))).unwrap();
    assert_eq!(names(&batch), ["CoreStarted", "UnitRegistered", "UnitWithdrawn", "PlansApplied"]);
    let incident = fire(&mut world);
    assert_eq!(code(order(&mut world, incident, &["平救9"])), RefusalCode::NotFound);
    assert_eq!(world.replayed(), world.state);
}

/// Every pair of statuses against the table of the console reference, 6.1.
#[test]
fn every_move_is_allowed_or_refused_as_the_table_says() {
    use UnitStatus::{
        Acknowledged, AtHospital, Cancelled, EnRoute, InStation, OnScene, Ordered, Returning,
        Transporting, Working,
    };
    let course = [
        Ordered,
        Acknowledged,
        EnRoute,
        OnScene,
        Working,
        Transporting,
        AtHospital,
        Returning,
        InStation,
    ];
    for from in UnitStatus::ALL.iter().copied() {
        for to in UnitStatus::ALL.iter().copied() {
            let mut world = city(fleet());
            let incident = fire(&mut world);
            order(&mut world, incident, &["泉1"]).unwrap();
            if from != Ordered {
                press(&mut world, "泉1", from).unwrap();
            }
            let place = |status| course.iter().position(|each| *each == status);
            let over = matches!(from, InStation | Cancelled);
            let forward = place(from) < place(to);
            let early = matches!(from, Ordered | Acknowledged | EnRoute);
            let wanted = match (from, to) {
                _ if over => false,
                (_, Cancelled) => early,
                (Returning, OnScene) => true,
                _ => forward,
            };
            let result = press(&mut world, "泉1", to);
            assert_eq!(result.is_ok(), wanted, "{from} to {to}");
            if !wanted {
                assert_eq!(code(result), RefusalCode::WrongMove, "{from} to {to}");
            }
        }
    }
}

#[test]
fn skipped_times_stay_empty_and_the_way_home_counts_last() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉1"]).unwrap();
    for status in [
        UnitStatus::OnScene,
        UnitStatus::Returning,
        UnitStatus::OnScene,
        UnitStatus::Returning,
        UnitStatus::InStation,
    ] {
        press(&mut world, "泉1", status).unwrap();
    }
    let times = [("AL", 0), ("OS", 1), ("RT", 4), ("IN", 5)];
    assert_eq!(minutes(&world, incident, "泉1"), times);
    assert_eq!(doing(&world, "泉1"), None);
    assert_eq!(code(press(&mut world, "泉1", UnitStatus::OnScene)), RefusalCode::WrongMove);
}

#[test]
fn a_late_press_finds_its_place_and_overwrites_nothing_newer() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉1"]).unwrap();
    let ordered = world.now;
    let after = |minutes| ordered.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    world.wait(10 * 60);
    press_at(&mut world, ("泉1", UnitStatus::Working), after(9), None).unwrap();
    press_at(&mut world, ("泉1", UnitStatus::OnScene), after(7), None).unwrap();
    press_at(&mut world, ("泉1", UnitStatus::EnRoute), after(2), None).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(incident), UnitStatus::Working)));
    let times = [("AL", 0), ("ER", 2), ("OS", 7), ("WK", 9)];
    assert_eq!(minutes(&world, incident, "泉1"), times);

    let soon = press_at(&mut world, ("泉1", UnitStatus::Returning), after(12), None);
    assert_eq!(code(soon), RefusalCode::Invalid, "nobody knows the future");
    let early = press_at(&mut world, ("泉1", UnitStatus::EnRoute), after(-2), Some(incident));
    assert_eq!(code(early), RefusalCode::Invalid, "nothing was ordered then");
    let cancelled = press_at(&mut world, ("泉1", UnitStatus::Cancelled), after(1), None);
    assert_eq!(code(cancelled), RefusalCode::WrongMove, "it went");
    press(&mut world, "泉1", UnitStatus::InStation).unwrap();

    // From a dead zone, after all is over and the unit is out again.
    let second = fire(&mut world);
    order(&mut world, second, &["泉1"]).unwrap();
    press_at(&mut world, ("泉1", UnitStatus::Acknowledged), after(1), None).unwrap();
    press_at(&mut world, ("泉1", UnitStatus::Returning), after(10), Some(incident)).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(second), UnitStatus::Ordered)));
    assert_eq!(
        minutes(&world, incident, "泉1"),
        [("AL", 0), ("AK", 1), ("ER", 2), ("OS", 7), ("WK", 9), ("RT", 10), ("IN", 11)]
    );
    let unknown = IncidentId(Seq::new(9_999));
    let nowhere = press_at(&mut world, ("泉1", UnitStatus::OnScene), after(7), Some(unknown));
    assert_eq!(code(nowhere), RefusalCode::NotFound);
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn a_correction_strikes_out_and_adds() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    order(&mut world, incident, &["江名1"]).unwrap();
    press(&mut world, "江名1", UnitStatus::EnRoute).unwrap();
    let wrong =
        seq_of(&press(&mut world, "江名1", UnitStatus::OnScene).unwrap(), "UnitStatusReached");
    correct(&mut world, ("江名1", UnitStatus::EnRoute), wrong, None).unwrap();
    assert_eq!(doing(&world, "江名1"), Some((Some(incident), UnitStatus::EnRoute)));
    assert_eq!(minutes(&world, incident, "江名1"), [("AL", 0), ("ER", 1)]);
    let twice = correct(&mut world, ("江名1", UnitStatus::EnRoute), wrong, None);
    assert_eq!(code(twice), RefusalCode::NotFound, "it was corrected already");

    // An end that was none: the crew goes again, and the other vehicle stands without it.
    let home = press(&mut world, "江名1", UnitStatus::InStation).unwrap();
    assert_eq!(names(&home), ["UnitStatusReached", "CrewMoved"]);
    let home = seq_of(&home, "UnitStatusReached");
    let back = correct(&mut world, ("江名1", UnitStatus::Returning), home, None).unwrap();
    assert_eq!(names(&back), ["UnitStatusReached", "CrewMoved"]);
    assert_eq!(doing(&world, "江名1"), Some((Some(incident), UnitStatus::Returning)));
    assert_eq!(availability(&world, "江名救1").0, Availability::OutOfService);

    // A time alone, of an assignment that is over.
    let home = press(&mut world, "江名1", UnitStatus::InStation).unwrap();
    let home = seq_of(&home, "UnitStatusReached");
    let same = correct(&mut world, ("江名1", UnitStatus::InStation), home, None);
    assert_eq!(code(same), RefusalCode::Invalid, "nothing would change");
    let time = world.now.checked_sub(SignedDuration::from_secs(30)).unwrap();
    correct(&mut world, ("江名1", UnitStatus::InStation), home, Some(time)).unwrap();
    assert_eq!(doing(&world, "江名1"), None);

    // Nobody is brought back to an incident that is closed, or from another one.
    let last = world.state.seq();
    close(&mut world, incident).unwrap();
    let closed = correct(&mut world, ("江名1", UnitStatus::Returning), last, None);
    assert_eq!(code(closed), RefusalCode::AlreadyEnded);
    let second = fire(&mut world);
    let ordered = order(&mut world, second, &["江名1"]).unwrap();
    let busy = correct(&mut world, ("江名1", UnitStatus::Returning), last, None);
    assert_eq!(code(busy), RefusalCode::WrongMove);
    let started = seq_of(&ordered, "AssignmentStarted");
    let order = correct(&mut world, ("江名1", UnitStatus::EnRoute), started, None);
    assert_eq!(code(order), RefusalCode::WrongMove, "an order is taken back with CX");
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn a_correction_is_dated_by_what_it_corrects_unless_it_says_when() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉1"]).unwrap();
    let wrong =
        seq_of(&press(&mut world, "泉1", UnitStatus::OnScene).unwrap(), "UnitStatusReached");
    world.wait(7 * 60);
    correct(&mut world, ("泉1", UnitStatus::EnRoute), wrong, None).unwrap();
    assert_eq!(minutes(&world, incident, "泉1"), [("AL", 0), ("ER", 1)]);

    // What came after it stands.
    let wrong = world.state.seq();
    press(&mut world, "泉1", UnitStatus::OnScene).unwrap();
    world.wait(120);
    correct(&mut world, ("泉1", UnitStatus::Acknowledged), wrong, None).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(incident), UnitStatus::OnScene)));
    assert_eq!(minutes(&world, incident, "泉1"), [("AL", 0), ("AK", 1), ("OS", 9)]);
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn one_end_corrected_into_another_frees_nobody_twice() {
    let mut world = city(fleet());
    let (first, second, third) = (fire(&mut world), fire(&mut world), fire(&mut world));
    order(&mut world, first, &["江名1"]).unwrap();
    let batch = press(&mut world, "江名1", UnitStatus::Cancelled).unwrap();
    let cancelled = seq_of(&batch, "UnitStatusReached");
    order(&mut world, second, &["江名1"]).unwrap();
    order(&mut world, third, &["江名1"]).unwrap();
    let batch = correct(&mut world, ("江名1", UnitStatus::InStation), cancelled, None).unwrap();
    assert_eq!(names(&batch), ["UnitStatusReached"], "what waits still waits");
    assert_eq!(doing(&world, "江名1"), Some((Some(second), UnitStatus::Ordered)));
    assert_eq!(availability(&world, "江名救1").0, Availability::OutOfService, "its crew is out");
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn a_clock_read_to_the_minute_does_not_come_before_the_order() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    world.wait(20);
    order(&mut world, incident, &["泉1"]).unwrap();
    let minute = world.now.checked_sub(SignedDuration::from_secs(20)).unwrap();
    world.wait(5);
    let pressed = press_at(&mut world, ("泉1", UnitStatus::OnScene), minute, None).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(incident), UnitStatus::OnScene)));
    let wrong = pressed[0].seq;
    correct(&mut world, ("泉1", UnitStatus::EnRoute), wrong, Some(minute)).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(incident), UnitStatus::EnRoute)));
    assert_eq!(minutes(&world, incident, "泉1"), [("AL", 0), ("ER", 0)]);
    press_at(&mut world, ("泉1", UnitStatus::Cancelled), minute, None).unwrap();
    assert_eq!(doing(&world, "泉1"), None);
}

#[test]
fn an_order_that_waited_and_is_over_cannot_be_taken_back() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["泉1"]).unwrap();
    press(&mut world, "泉1", UnitStatus::OnScene).unwrap();
    order(&mut world, second, &["泉1"]).unwrap();
    close(&mut world, second).unwrap();
    let now = world.now;
    let late = press_at(&mut world, ("泉1", UnitStatus::Cancelled), now, Some(second));
    assert_eq!(code(late), RefusalCode::WrongMove);
    let (_, row) = world.state.assignments_of(second).next().unwrap();
    assert_eq!(row.end.map(|(end, _)| end), Some(AssignmentEnd::Released));
}

#[test]
fn a_unit_made_ready_on_its_way_home_takes_what_waits() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["泉1"]).unwrap();
    press(&mut world, "泉1", UnitStatus::OnScene).unwrap();
    order(&mut world, second, &["泉1"]).unwrap();
    set(&mut world, "泉1", OUT).unwrap();
    press(&mut world, "泉1", UnitStatus::Returning).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(first), UnitStatus::Returning)));
    let batch = set(&mut world, "泉1", Usable::AVAILABLE).unwrap();
    assert_eq!(names(&batch), ["AvailabilityChanged", "AssignmentEnded", "AssignmentStarted"]);
    assert_eq!(doing(&world, "泉1"), Some((Some(second), UnitStatus::Ordered)));
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn a_unit_that_left_the_register_while_out_gets_no_new_order() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["泉1"]).unwrap();
    let mut less = fleet();
    less.units.retain(|unit| unit.call_sign != "泉1");
    let mut again = start();
    again.registry.fleet = less;
    world.give(&Input::Start(Box::new(again))).unwrap();
    assert_eq!(code(order(&mut world, second, &["泉1"])), RefusalCode::NotFound);
    press(&mut world, "泉1", UnitStatus::InStation).unwrap();
}

#[test]
fn one_crew_drives_one_of_two_vehicles() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    let both = order(&mut world, incident, &["小名浜2", "小名浜化1"]);
    assert_eq!(code(both), RefusalCode::NotAvailable);
    let batch = order(&mut world, incident, &["小名浜2"]).unwrap();
    assert_eq!(names(&batch), ["UnitsOrdered", "AssignmentStarted", "CrewMoved"]);
    let crew = (Availability::OutOfService, Some(AvailabilityReason::Crew));
    assert_eq!(availability(&world, "小名浜化1"), crew);
    assert_eq!(code(order(&mut world, incident, &["小名浜化1"])), RefusalCode::NotAvailable);
    press(&mut world, "小名浜2", UnitStatus::Cancelled).unwrap();
    assert_eq!(availability(&world, "小名浜化1"), (Availability::Available, None));

    // What was said of the standing one meanwhile stays said.
    order(&mut world, incident, &["小名浜2"]).unwrap();
    set(&mut world, "小名浜化1", OUT).unwrap();
    press(&mut world, "小名浜2", UnitStatus::InStation).unwrap();
    let mended = (Availability::OutOfService, Some(AvailabilityReason::Maintenance));
    assert_eq!(availability(&world, "小名浜化1"), mended);

    // A person may find another crew.
    order(&mut world, incident, &["小名浜2"]).unwrap();
    let batch = set(&mut world, "小名浜化1", Usable::AVAILABLE).unwrap();
    assert_eq!(names(&batch), ["AvailabilityChanged", "CrewMoved"]);
    order(&mut world, incident, &["小名浜化1"]).unwrap();
    press(&mut world, "小名浜2", UnitStatus::InStation).unwrap();
    assert!(doing(&world, "小名浜化1").is_some());
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn a_busy_unit_gets_its_second_order_when_it_returns() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["江名1"]).unwrap();
    press(&mut world, "江名1", UnitStatus::OnScene).unwrap();
    let batch = order(&mut world, second, &["江名1"]).unwrap();
    assert_eq!(names(&batch), ["UnitsOrdered"], "it waits");
    assert_eq!(doing(&world, "江名1"), Some((Some(first), UnitStatus::OnScene)));
    let waiting = press_at(&mut world, ("江名1", UnitStatus::EnRoute), batch[0].at, Some(second));
    assert_eq!(code(waiting), RefusalCode::WrongMove);
    let batch = press(&mut world, "江名1", UnitStatus::Returning).unwrap();
    assert_eq!(names(&batch), ["UnitStatusReached", "AssignmentEnded", "AssignmentStarted"]);
    assert_eq!(doing(&world, "江名1"), Some((Some(second), UnitStatus::Ordered)));
    assert_eq!(availability(&world, "江名救1").0, Availability::OutOfService);
    let (_, row) = world.state.assignments_of(first).next().unwrap();
    assert_eq!(row.end.map(|(end, _)| end), Some(AssignmentEnd::Diverted));

    // Taken back while it waits; nobody is called out for it.
    let third = fire(&mut world);
    order(&mut world, third, &["江名1"]).unwrap();
    let now = world.now;
    let batch = press_at(&mut world, ("江名1", UnitStatus::Cancelled), now, Some(third)).unwrap();
    assert_eq!(names(&batch), ["AssignmentEnded"]);
    let batch = press(&mut world, "江名1", UnitStatus::InStation).unwrap();
    assert_eq!(names(&batch), ["UnitStatusReached", "CrewMoved"]);
    assert_eq!(world.replayed(), world.state);
}

#[test]
fn a_queue_waits_while_the_unit_may_not_be_used() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["泉1"]).unwrap();
    order(&mut world, second, &["泉1"]).unwrap();
    set(&mut world, "泉1", OUT).unwrap();
    press(&mut world, "泉1", UnitStatus::InStation).unwrap();
    assert_eq!(doing(&world, "泉1"), None);
    let batch = set(&mut world, "泉1", Usable::AVAILABLE).unwrap();
    assert_eq!(names(&batch), ["AvailabilityChanged", "AssignmentStarted"]);
    assert_eq!(doing(&world, "泉1"), Some((Some(second), UnitStatus::Ordered)));

    let mut count = 0;
    let refused = loop {
        let next = fire(&mut world);
        match order(&mut world, next, &["泉1"]) {
            Ok(_) => count += 1,
            Err(refusal) => break refusal.code,
        }
    };
    assert_eq!((count, refused), (8, RefusalCode::LimitReached));
}

#[test]
fn a_unit_is_diverted_by_itself_on_its_way_home_and_by_will_on_its_way_out() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["泉1"]).unwrap();
    press(&mut world, "泉1", UnitStatus::EnRoute).unwrap();
    let batch = order_as(&mut world, second, &["泉1"], true).unwrap();
    assert_eq!(names(&batch), ["UnitsOrdered", "AssignmentEnded", "AssignmentStarted"]);
    assert_eq!(doing(&world, "泉1"), Some((Some(second), UnitStatus::Ordered)));
    press(&mut world, "泉1", UnitStatus::OnScene).unwrap();
    let third = fire(&mut world);
    assert_eq!(code(order_as(&mut world, third, &["泉1"], true)), RefusalCode::WrongMove);
    press(&mut world, "泉1", UnitStatus::Returning).unwrap();
    let batch = order(&mut world, third, &["泉1"]).unwrap();
    assert_eq!(names(&batch), ["UnitsOrdered", "AssignmentEnded", "AssignmentStarted"]);
    assert_eq!(doing(&world, "泉1"), Some((Some(third), UnitStatus::Ordered)));
    assert_eq!(code(order(&mut world, third, &["泉1"])), RefusalCode::AlreadyOrdered);
    close(&mut world, first).unwrap();
}

#[test]
fn an_order_is_taken_whole_or_not_at_all() {
    let mut world = city(evening());
    let incident = fire(&mut world);
    let before = world.state.clone();
    for (units, refusal) in [
        (&["泉1", "泉9"][..], RefusalCode::NotFound),
        (&["泉1", "平はしご1"], RefusalCode::NotAvailable),
        (&["泉1", "平救9"], RefusalCode::NotAvailable),
        (&["泉1", "泉1"], RefusalCode::Invalid),
        (&[], RefusalCode::Invalid),
    ] {
        assert_eq!(code(order(&mut world, incident, units)), refusal, "{units:?}");
        assert_eq!(world.state, before);
    }
    let nowhere = IncidentId(Seq::new(9_999));
    assert_eq!(code(order(&mut world, nowhere, &["泉1"])), RefusalCode::NotFound);
    let units: Vec<String> = (0..65).map(|number| format!("隊{number}")).collect();
    let many = CommandKind::OrderUnits { incident, units, reason: None, divert: false };
    assert_eq!(code(world.command(Role::Dispatcher, many)), RefusalCode::Invalid);
    for role in [Role::Viewer, Role::DisasterManager, Role::Administrator] {
        for kind in [
            CommandKind::OrderUnits {
                incident,
                units: vec!["泉1".to_owned()],
                reason: Some(sealed("why")),
                divert: false,
            },
            say("泉1", UnitStatus::OnScene),
            CommandKind::SetAvailability { unit: "泉1".to_owned(), usable: OUT },
        ] {
            assert_eq!(code(world.command(role, kind)), RefusalCode::Forbidden);
        }
    }
    assert_eq!(code(press(&mut world, "泉1", UnitStatus::OnScene)), RefusalCode::WrongMove);
    assert_eq!(code(press(&mut world, "泉1", UnitStatus::Ordered)), RefusalCode::WrongMove);
    assert_eq!(code(press(&mut world, "泉9", UnitStatus::OnScene)), RefusalCode::NotFound);
}

#[test]
fn an_availability_says_why_and_when() {
    let mut world = city(fleet());
    let usable = |availability, reason, minutes| Usable { availability, reason, minutes };
    let training = Some(AvailabilityReason::Training);
    for (value, taken) in [
        (usable(Availability::Available, None, None), true),
        (usable(Availability::Available, training, None), false),
        (usable(Availability::Delayed, training, Some(1_440)), true),
        (usable(Availability::Delayed, training, Some(1_441)), false),
        (usable(Availability::Delayed, None, None), false),
        (usable(Availability::OutOfService, training, None), true),
        (usable(Availability::OutOfService, None, None), false),
        (usable(Availability::Off, None, None), true),
        (usable(Availability::Off, None, Some(5)), false),
    ] {
        let result = set(&mut world, "泉1", value);
        assert_eq!(result.is_ok(), taken, "{value:?}");
    }
    assert_eq!(code(set(&mut world, "泉9", OUT)), RefusalCode::NotFound);
}

#[test]
fn an_incident_is_closed_when_nobody_is_at_work_and_lets_go_visibly() {
    let mut world = city(fleet());
    let (first, second) = (fire(&mut world), fire(&mut world));
    order(&mut world, first, &["江名1", "泉1"]).unwrap();
    order(&mut world, second, &["泉1"]).unwrap();
    assert_eq!(code(close(&mut world, first)), RefusalCode::StillOpen);
    press(&mut world, "江名1", UnitStatus::Returning).unwrap();
    assert_eq!(code(close(&mut world, first)), RefusalCode::StillOpen);
    press(&mut world, "泉1", UnitStatus::Cancelled).unwrap();
    assert_eq!(doing(&world, "泉1"), Some((Some(second), UnitStatus::Ordered)));
    let batch = close(&mut world, first).unwrap();
    assert_eq!(names(&batch), ["IncidentClosed", "AssignmentEnded", "CrewMoved"]);
    assert_eq!(doing(&world, "江名1"), None);
    assert_eq!(minutes(&world, first, "江名1"), [("AL", 0), ("RT", 1)], "no 帰署 is invented");

    // Who waits in a queue is let go, too.
    let third = fire(&mut world);
    order(&mut world, third, &["泉1"]).unwrap();
    let batch = close(&mut world, third).unwrap();
    assert_eq!(names(&batch), ["IncidentClosed", "AssignmentEnded"]);
    assert_eq!(doing(&world, "泉1"), Some((Some(second), UnitStatus::Ordered)));
    assert_eq!(world.replayed(), world.state);
}

/// Chosen units as `call sign minutes why ...`, needs as `ability have/want`.
fn told(world: &World, recommendation: &Recommendation) -> String {
    let needs = recommendation.needs.iter();
    let needs = needs.map(|need| format!("{} {}/{}", need.ability, need.have, need.want));
    let chosen = recommendation.units.iter().filter(|advice| advice.chosen);
    let chosen = chosen.map(|advice| {
        let why: Vec<_> = advice.why.iter().map(|why| why.as_str()).collect();
        let minutes = advice.minutes.unwrap();
        format!("{} {minutes} {}", call_sign(world, advice.unit), why.join(" "))
    });
    needs.chain(chosen).collect::<Vec<_>>().join("\n")
}

fn recommend(world: &World, incident: IncidentId) -> Recommendation {
    world.state.recommend(incident, world.now).unwrap()
}

#[test]
fn a_house_burns_in_sumiyoshi() {
    let mut world = city(evening());
    let incident = fire(&mut world);
    let advice = recommend(&world, incident);
    assert_eq!(
        told(&world, &advice),
        "command 1/1\npump 4/4\nwater 2/2\nrescue 1/1\nambulance 1/1\n\
         小名浜1 7 nearest_by_line home_station\n\
         小名浜2 7 nearest_by_line home_station\n\
         小名浜救助1 7 nearest_by_line home_station\n\
         小名浜救1 7 nearest_by_line home_station\n\
         泉1 8 nearest_by_line home_station\n\
         内郷1 16 nearest_by_line home_station\n\
         平指揮1 21 only_with_capability home_station"
    );
    assert_eq!(advice.units.len(), 43, "every unit has its reason");
    let not = |unit: &str| why_not(&world, &advice, unit);
    assert_eq!(not("中央台1"), [Why::Farther, Why::HomeStation], "nearer, but without water");
    assert_eq!(not("常磐1"), [Why::Farther, Why::Delayed, Why::HomeStation]);
    assert_eq!(not("小名浜化1"), [Why::NoCrew, Why::HomeStation]);
    assert_eq!(not("小名浜水難1"), [Why::NoCrew, Why::HomeStation]);
    assert_eq!(not("小名浜救2"), [Why::Farther, Why::Diverted, Why::StalePosition]);
    assert_eq!(not("平はしご1"), [Why::OutMaintenance]);
    assert_eq!(not("四倉救1"), [Why::Busy]);
    assert_eq!(not("平救9"), [Why::NoCrew]);
    assert_eq!(not("平支援1"), [Why::NotNeeded, Why::HomeStation]);
}

#[test]
fn a_heart_stops_in_chuodai() {
    let mut world = city(evening());
    let place = Some(at(370_154_000, 1_409_129_000));
    let incident = incident(&mut world, IncidentKind::Ems, place);
    let cpa = world.state.recommend_as(
        incident,
        IncidentKind::Ems,
        Some(IncidentSubkind::Cpa),
        world.now,
    );
    assert_eq!(
        told(&world, &cpa.unwrap()),
        "als 1/1\npump 1/1\n\
         中央台1 0 nearest_by_line home_station\n\
         中央台救1 0 nearest_by_line home_station"
    );
    set(&mut world, "中央台救1", OUT).unwrap();
    let cpa = world.state.recommend_as(
        incident,
        IncidentKind::Ems,
        Some(IncidentSubkind::Cpa),
        world.now,
    );
    let cpa = cpa.unwrap();
    assert_eq!(why_not(&world, &cpa, "中央台救1"), [Why::OutMaintenance]);
    assert_eq!(
        told(&world, &cpa),
        "als 1/1\npump 1/1\n\
         中央台1 0 nearest_by_line home_station\n\
         平救1 11 nearest_by_line home_station"
    );
    let unknown = world.state.recommend_as(
        incident,
        IncidentKind::Ems,
        Some(IncidentSubkind::Mass),
        world.now,
    );
    assert_eq!(told(&world, &unknown.unwrap()), told(&world, &recommend(&world, incident)));
    let none = world.state.recommend_as(incident, IncidentKind::Support, None, world.now).unwrap();
    assert!(none.needs.is_empty() && none.units.iter().all(|unit| !unit.chosen));
    assert_eq!(world.state.recommend(IncidentId(Seq::new(9_999)), world.now), None);
}

#[test]
fn a_boat_takes_the_crew_of_the_rescue_truck() {
    let mut world = city(fleet());
    let port = Some(at(369_474_000, 1_409_112_000));
    let incident = incident(&mut world, IncidentKind::Rescue, port);
    let water = world.state.recommend_as(
        incident,
        IncidentKind::Rescue,
        Some(IncidentSubkind::Water),
        world.now,
    );
    let water = water.unwrap();
    assert_eq!(
        told(&world, &water),
        "water_rescue 1/1\nrescue 1/1\npump 1/1\nambulance 1/1\n\
         小名浜2 3 nearest_by_line home_station\n\
         小名浜水難1 3 only_with_capability home_station\n\
         小名浜救2 3 nearest_by_line home_station\n\
         平救助1 28 nearest_by_line home_station"
    );
    assert_eq!(why_not(&world, &water, "小名浜救助1")[0], Why::NoCrew);
}

#[test]
fn what_is_ordered_counts_and_what_lacks_is_said() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    order(&mut world, incident, &["小名浜1", "小名浜救助1"]).unwrap();
    for unit in ["平指揮1", "平救助1"] {
        set(&mut world, unit, OUT).unwrap();
    }
    let advice = recommend(&world, incident);
    assert_eq!(
        told(&world, &advice),
        "command 0/1\npump 4/4\nwater 2/2\nrescue 1/1\nambulance 1/1\n\
         小名浜2 7 nearest_by_line home_station\n\
         小名浜救2 7 nearest_by_line home_station\n\
         泉1 8 nearest_by_line home_station\n\
         常磐1 13 nearest_by_line home_station"
    );
    assert_eq!(why_not(&world, &advice, "小名浜1"), [Why::AlreadyOrdered]);
    // One that goes home does not count any more.
    press(&mut world, "小名浜1", UnitStatus::Returning).unwrap();
    let advice = recommend(&world, incident);
    assert!(told(&world, &advice).contains("中央台1") || told(&world, &advice).contains("内郷1"));
    assert_eq!(why_not(&world, &advice, "小名浜1"), [Why::AlreadyOrdered]);
}

#[test]
fn an_old_position_is_marked_and_then_taken_only_for_want_of_another() {
    let mut world = city(fleet());
    let first = incident(&mut world, IncidentKind::Ems, Some(sumiyoshi()));
    order(&mut world, first, &["小名浜救1"]).unwrap();
    press(&mut world, "小名浜救1", UnitStatus::Returning).unwrap();
    let second = incident(&mut world, IncidentKind::Ems, Some(sumiyoshi()));
    let best = |world: &World| told(world, &recommend(world, second));
    assert_eq!(best(&world), "ambulance 1/1\n小名浜救1 0 nearest_by_line diverted_from");
    world.wait(6 * 60);
    let stale = "ambulance 1/1\n小名浜救1 0 nearest_by_line diverted_from stale_position";
    assert_eq!(best(&world), stale);
    world.wait(25 * 60);
    assert_eq!(best(&world), "ambulance 1/1\n小名浜救2 7 nearest_by_line home_station");
    let ambulances = fleet().units.into_iter().filter(|unit| {
        unit.abilities.contains(&Ability::Ambulance) && unit.call_sign != "小名浜救1"
    });
    for unit in ambulances {
        set(&mut world, &unit.call_sign, OUT).unwrap();
    }
    let last = "ambulance 1/1\n小名浜救1 0 only_with_capability diverted_from stale_position";
    assert_eq!(best(&world), last);
}

#[test]
fn without_a_place_nothing_is_near() {
    let mut world = city(fleet());
    let incident = incident(&mut world, IncidentKind::Ems, None);
    let advice = recommend(&world, incident);
    assert_eq!(told(&world, &advice), "ambulance 0/1");
    assert!(advice.units.iter().all(|unit| unit.minutes.is_none() && unit.distance.is_none()));
    assert_eq!(why_not(&world, &advice, "泉救1"), [Why::NoPlace]);
    order(&mut world, incident, &["泉救1"]).unwrap();
}

#[test]
fn an_order_keeps_what_was_recommended_and_whether_it_was_followed() {
    let mut world = city(fleet());
    let incident = fire(&mut world);
    let advice = recommend(&world, incident);
    let chosen = advice.units.iter().filter(|advice| advice.chosen);
    let units: Vec<String> = chosen.map(|each| call_sign(&world, each.unit)).collect();
    let units: Vec<&str> = units.iter().map(String::as_str).collect();
    let followed = order(&mut world, incident, &units).unwrap()[0].seq;
    let other = order(&mut world, incident, &["勿来1"]).unwrap()[0].seq;
    let kept = &world.state.orders()[&followed].ordered;
    assert!(!kept.overridden && kept.recommendation == advice);
    assert!(world.state.orders()[&other].ordered.overridden);
    let id = AssignmentId { order: other, unit: world.state.unit("勿来1").unwrap() };
    assert_eq!(world.state.assignment(id).unwrap().incident, Some(incident));
}

#[test]
fn a_unit_is_where_its_work_is() {
    let mut world = city(evening());
    let incident = fire(&mut world);
    order(&mut world, incident, &["泉救1"]).unwrap();
    let id = world.state.unit("泉救1").unwrap();
    let place = |world: &World| {
        let found = world.state.unit_position(id);
        found.map(|found| (found.position, found.at.is_some(), found.guessed))
    };
    let station = at(369_533_000, 1_408_647_000);
    assert_eq!(place(&world), Some((station, false, false)));
    for (status, found) in [
        (UnitStatus::EnRoute, Some((station, true, true))),
        (UnitStatus::OnScene, Some((sumiyoshi(), true, false))),
        (UnitStatus::Transporting, None),
        (UnitStatus::AtHospital, None),
        (UnitStatus::Returning, Some((sumiyoshi(), true, false))),
        (UnitStatus::InStation, Some((station, false, false))),
    ] {
        press(&mut world, "泉救1", status).unwrap();
        assert_eq!(place(&world), found, "{status}");
    }
    let found = world.state.unit("小名浜救2").unwrap();
    let found = world.state.unit_position(found).unwrap();
    assert_eq!((found.position, found.guessed), (at(369_548_000, 1_409_050_000), true));
}
