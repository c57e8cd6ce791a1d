//! What the core decides about calls, refusals as much as successes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use hansho_core::{
    Call, CallFailure, CallPhase, EffectChange, SIMILAR_METRES, Signal, SignalState, limits,
};
use hansho_model::{
    CallBackOutcome, CallEnd, CallFact, CallRef, CallSaid, CallerLocation, CommandKind, DegreesE7,
    DistrictId, Effect, EffectId, IncidentId, IncidentKind, IncidentOutcome, IncidentSubkind,
    Input, LocationFault, LocationMark, MetresU32, Outcome, Place, Position, RefusalCode, Role,
    Sealed, SignalId, SignalOutcome,
};
use jiff::{SignedDuration, Timestamp};
use world::{World, circle, names, offered, press, sealed, seq_of, start, token};

const ONAHAMA: (i32, i32) = (369_650_000, 1_408_936_000);

fn answer(signal: SignalId, seat: &str) -> CommandKind {
    CommandKind::AnswerCall { signal, position: seat.to_owned() }
}

fn open(signal: SignalId) -> CommandKind {
    let (signals, kind, place) = (vec![signal], IncidentKind::Fire, Place::default());
    CommandKind::OpenIncident { signals, kind, subkind: None, place, place_text: None }
}

fn end(signal: SignalId) -> CommandKind {
    CommandKind::EndSignal { signal, outcome: SignalOutcome::Prank, reason: None }
}

fn connected(seat: &str) -> CallFact<Sealed, Sealed> {
    CallFact::Connected { position: seat.to_owned() }
}

fn not_connected(seat: &str) -> CallFact<Sealed, Sealed> {
    CallFact::NotConnected { position: seat.to_owned(), status: 486 }
}

fn done(world: &mut World, kind: CommandKind) -> Vec<&'static str> {
    names(&world.command(Role::Dispatcher, kind).unwrap())
}

fn refusal(world: &mut World, kind: CommandKind) -> RefusalCode {
    world.command(Role::Dispatcher, kind).unwrap_err().code
}

fn call_of(world: &World, call: &str) -> Call {
    world.state.calls()[&CallRef(call.to_owned())].clone()
}

fn signal_of(world: &World, id: SignalId) -> &Signal {
    &world.state.signals()[&id]
}

/// The deadline that comes next.
fn tick(world: &mut World) -> Vec<&'static str> {
    world.now = world.state.next_deadline().unwrap();
    names(&world.give(&Input::Tick).unwrap())
}

#[test]
fn a_call_rings_until_a_seat_answers_and_its_phone_takes_it() {
    let mut world = World::started();
    let batch = world.said("c1", offered(Vec::new())).unwrap();
    assert_eq!(names(&batch), ["SourceNamed", "CallReceived", "SignalReceived"]);
    assert_eq!(batch[2].cause, Some(batch[1].seq));
    let id = SignalId(batch[2].seq);
    assert_eq!(signal_of(&world, id).state, SignalState::Ringing);
    assert_eq!(world.state.source_name(signal_of(&world, id).source), "sip");

    assert_eq!(done(&mut world, answer(id, "desk1")), ["SourceNamed", "CallAnswered"]);
    let effect = EffectId { seq: world.state.seq(), index: 0 };
    let (call, position) = (CallRef("c1".to_owned()), "desk1".to_owned());
    assert_eq!(world.state.effect(effect), Some(Effect::ConnectCall { call, position }));
    assert_eq!(call_of(&world, "c1").phase, CallPhase::Connecting);
    assert_eq!(signal_of(&world, id).acknowledged.as_ref().unwrap().position, "desk1");
    assert_eq!(refusal(&mut world, answer(id, "desk2")), RefusalCode::AlreadyAnswered);

    world.attempt(effect).unwrap();
    world.outcome(effect, 1, Outcome::Done, false).unwrap();
    assert!(world.state.owed().is_empty());
    world.said("c1", connected("desk1")).unwrap();
    assert_eq!(call_of(&world, "c1").phase, CallPhase::Connected);
    assert_eq!(refusal(&mut world, answer(id, "desk2")), RefusalCode::AlreadyAnswered);
    world.said("c1", CallFact::Ended { by: CallEnd::Caller }).unwrap();
    assert_eq!(call_of(&world, "c1").over.unwrap().by, CallEnd::Caller);
    assert_eq!(signal_of(&world, id).state, SignalState::Answered, "it still needs an outcome");
    assert_eq!(refusal(&mut world, answer(id, "desk2")), RefusalCode::AlreadyEnded);
    assert_eq!(world.state.next_deadline(), None);
    assert_eq!(done(&mut world, end(id)), ["SignalEnded"]);
    assert_eq!(refusal(&mut world, answer(id, "desk2")), RefusalCode::AlreadyEnded);
}

#[test]
fn what_is_said_twice_is_journalled_once() {
    let mut world = World::started();
    let first = world.said("c1", offered(Vec::new())).unwrap();
    world.wait(5);
    let repeat = world.said("c1", offered(Vec::new())).unwrap_err();
    assert_eq!((repeat.code, repeat.original), (RefusalCode::Duplicate, Some(first[1].seq)));
    world.wait(25 * 3_600);
    let late = world.said("c1", offered(Vec::new())).unwrap_err();
    assert_eq!(late.code, RefusalCode::Duplicate, "it is open: the same call");
    for fact in [CallFact::Abandoned, CallFact::Ended { by: CallEnd::Lost }] {
        world.said("c1", fact.clone()).unwrap();
        world.wait(1);
        assert_eq!(world.said("c1", fact).unwrap_err().code, RefusalCode::Duplicate);
    }
    // The same words of the same moment are a repeat; a later moment is another try.
    let (call, received_at) = (CallRef("c2".to_owned()), world.now);
    let fact = not_connected("desk1");
    let said = Box::new(CallSaid { call, received_at, unrecorded: false, fact });
    let input = Input::Call { said, caller: None };
    world.give(&input).unwrap();
    assert_eq!(world.give(&input).unwrap_err().code, RefusalCode::Duplicate);
    world.wait(1);
    assert_eq!(names(&world.said("c2", not_connected("desk1")).unwrap()), ["CallReceived"]);
}

#[test]
fn a_call_that_rings_is_neither_acknowledged_nor_given_an_outcome() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    let other = world.call("c2", Vec::new());
    let position = "desk1".to_owned();
    let acknowledge = CommandKind::AcknowledgeSignal { signal: id, position };
    let tried = CommandKind::CallBack { signal: id, outcome: CallBackOutcome::Busy };
    for command in [acknowledge, end(id), open(id), tried] {
        assert_eq!(refusal(&mut world, command), RefusalCode::StillRinging);
    }
    done(&mut world, answer(other, "desk1"));
    done(&mut world, open(other));
    let incident = *world.state.incidents().first_key_value().unwrap().0;
    let join = CommandKind::JoinSignal { signal: id, incident };
    assert_eq!(refusal(&mut world, join.clone()), RefusalCode::StillRinging);
    // Once a try came to nothing a person may know better.
    done(&mut world, answer(id, "desk1"));
    world.said("c1", not_connected("desk1")).unwrap();
    assert_eq!(call_of(&world, "c1").phase, CallPhase::Ringing);
    done(&mut world, join);
}

#[test]
fn a_phone_that_does_not_take_it_lets_the_call_ring_for_another_seat() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    done(&mut world, answer(id, "desk1"));
    let effect = EffectId { seq: world.state.seq(), index: 0 };
    // Of a seat that was not asked it says nothing.
    world.said("c1", not_connected("desk2")).unwrap();
    assert_eq!(call_of(&world, "c1").phase, CallPhase::Connecting);
    let heard = world.said("c1", not_connected("desk1")).unwrap();
    let changes = world.state.effect_changes(&heard[0]);
    assert_eq!(changes, [EffectChange::Forget(effect)], "the phone need not be rung any more");
    let failure = CallFailure { position: "desk1".to_owned(), status: 486 };
    assert_eq!(call_of(&world, "c1").failure, Some(failure));
    let signal = signal_of(&world, id);
    assert_eq!((signal.state, signal.acknowledged.is_none()), (SignalState::Ringing, true));
    done(&mut world, answer(id, "desk2"));
    assert_eq!(call_of(&world, "c1").failure, None);
    world.said("c1", connected("desk2")).unwrap();
    assert_eq!(signal_of(&world, id).acknowledged.as_ref().unwrap().position, "desk2");
}

#[test]
fn a_try_to_answer_that_failed_is_no_answer_in_the_incident() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    done(&mut world, answer(id, "desk1"));
    world.said("c1", not_connected("desk1")).unwrap();
    world.said("c1", CallFact::Abandoned).unwrap();
    done(&mut world, open(id));
    let incident = world.state.incidents().first_key_value().unwrap().1;
    assert_eq!(incident.answered_at, None, "nobody spoke with anybody");
}

#[test]
fn ringing_a_phone_is_tried_again_at_once_and_not_for_long() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    done(&mut world, answer(id, "desk1"));
    let effect = EffectId { seq: world.state.seq(), index: 0 };
    for number in 1..=5 {
        world.attempt(effect).unwrap();
        if number == 3 {
            // The core dies in the middle: to ring twice is to ring once.
            world.give(&Input::Start(Box::new(start()))).unwrap();
        } else {
            world.outcome(effect, number, Outcome::Failed, true).unwrap();
        }
        assert_eq!(world.state.owed().contains_key(&effect), number < 5, "after try {number}");
        world.wait(2);
    }
    let call = call_of(&world, "c1");
    assert_eq!(call.phase, CallPhase::Ringing);
    assert_eq!(call.failure, Some(CallFailure { position: "desk1".to_owned(), status: 250 }));
    assert_eq!(signal_of(&world, id).state, SignalState::Ringing);
    // What cannot help is not tried again.
    done(&mut world, answer(id, "desk1"));
    let effect = EffectId { seq: world.state.seq(), index: 0 };
    world.attempt(effect).unwrap();
    world.outcome(effect, 1, Outcome::Failed, false).unwrap();
    assert_eq!(call_of(&world, "c1").phase, CallPhase::Ringing);
    // What came too late changes nothing.
    done(&mut world, answer(id, "desk1"));
    let effect = EffectId { seq: world.state.seq(), index: 0 };
    world.attempt(effect).unwrap();
    world.said("c1", connected("desk1")).unwrap();
    world.outcome(effect, 1, Outcome::Failed, true).unwrap();
    assert_eq!(call_of(&world, "c1").phase, CallPhase::Connected);
    assert!(world.state.owed().is_empty());
}

#[test]
fn a_call_rings_again_when_nothing_is_heard_of_the_phone() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    done(&mut world, answer(id, "desk1"));
    assert_eq!(tick(&mut world), ["CallAnswerLapsed"]);
    let call = call_of(&world, "c1");
    assert_eq!(call.phase, CallPhase::Ringing);
    assert_eq!(call.failure, Some(CallFailure { position: "desk1".to_owned(), status: 0 }));
    assert_eq!(signal_of(&world, id).state, SignalState::Ringing);
    assert!(world.state.owed().is_empty());
    // It was taken all the same.
    world.said("c1", connected("desk1")).unwrap();
    let call = call_of(&world, "c1");
    assert_eq!((call.phase, call.failure), (CallPhase::Connected, None));
    assert_eq!(signal_of(&world, id).state, SignalState::Answered);
}

#[test]
fn another_seats_phone_may_take_it_late() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    done(&mut world, answer(id, "desk1"));
    assert_eq!(tick(&mut world), ["CallAnswerLapsed"]);
    done(&mut world, answer(id, "desk2"));
    let effect = EffectId { seq: world.state.seq(), index: 0 };
    let heard = world.said("c1", connected("desk1")).unwrap();
    assert!(world.state.owed().is_empty());
    assert_eq!(world.state.effect_changes(&heard[0]), [EffectChange::Forget(effect)]);
    assert_eq!(call_of(&world, "c1").answer.unwrap().position, "desk1");
    assert_eq!(signal_of(&world, id).acknowledged.as_ref().unwrap().position, "desk1");
}

#[test]
fn a_caller_never_waits_unseen() {
    for how in 0..3 {
        let mut world = World::started();
        let id = world.call("c1", Vec::new());
        done(&mut world, answer(id, "desk1"));
        let effect = EffectId { seq: world.state.seq(), index: 0 };
        done(&mut world, open(id));
        assert!(signal_of(&world, id).ended.is_some());
        let told = match how {
            0 => names(&world.said("c1", not_connected("desk1")).unwrap()),
            1 => tick(&mut world),
            _ => {
                world.attempt(effect).unwrap();
                names(&world.outcome(effect, 1, Outcome::Failed, false).unwrap())
            }
        };
        assert_eq!(told[1], "SignalReceived", "{told:?}");
        let again = SignalId(world.state.seq());
        assert_ne!(again, id);
        assert_eq!(signal_of(&world, again).state, SignalState::Ringing);
        assert_eq!(call_of(&world, "c1").signal, Some(again));
        done(&mut world, answer(again, "desk2"));
    }
}

#[test]
fn who_hung_up_is_called_back_within_a_minute() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    world.said("c1", CallFact::Abandoned).unwrap();
    assert_eq!(signal_of(&world, id).state, SignalState::Abandoned);
    let due = call_of(&world, "c1").call_back_due.unwrap();
    assert_eq!(due.duration_since(world.now).as_secs(), 60);
    assert_eq!(refusal(&mut world, answer(id, "desk1")), RefusalCode::AlreadyEnded);
    assert_eq!(tick(&mut world), ["CallBackDue"]);
    assert!(call_of(&world, "c1").call_back_overdue);
    assert_eq!(world.state.next_deadline(), None, "said once");
    let tried = |outcome| CommandKind::CallBack { signal: id, outcome };
    assert_eq!(done(&mut world, tried(CallBackOutcome::NoAnswer))[1], "CallBackTried");
    done(&mut world, tried(CallBackOutcome::Reached));
    let call = call_of(&world, "c1");
    let outcomes: Vec<_> = call.call_backs.iter().map(|each| each.outcome).collect();
    assert_eq!(outcomes, [CallBackOutcome::NoAnswer, CallBackOutcome::Reached]);
    assert_eq!((call.call_back_due, call.call_back_overdue), (None, false));
    assert_eq!(signal_of(&world, id).state, SignalState::Abandoned, "open until it has an outcome");
    for _each in 2..limits::CALL_BACKS {
        done(&mut world, tried(CallBackOutcome::Busy));
    }
    assert_eq!(refusal(&mut world, tried(CallBackOutcome::Busy)), RefusalCode::LimitReached);
    let position = "desk1".to_owned();
    done(&mut world, CommandKind::AcknowledgeSignal { signal: id, position });
    done(&mut world, end(id));
    assert_eq!(refusal(&mut world, tried(CallBackOutcome::Busy)), RefusalCode::AlreadyEnded);
    // An outcome before the minute is over asks nobody to call back.
    let id = world.call("c2", Vec::new());
    world.said("c2", CallFact::Ended { by: CallEnd::Lost }).unwrap();
    assert_eq!(call_of(&world, "c2").phase, CallPhase::Abandoned, "it was never connected");
    done(&mut world, end(id));
    assert_eq!(world.state.next_deadline(), None);
}

#[test]
fn only_a_call_is_answered_or_called_back() {
    let mut world = World::started();
    let pressed = world.report(press(1)).unwrap();
    let pendant = SignalId(pressed[1].seq);
    let call = world.call("c1", Vec::new());
    let tried = CommandKind::CallBack { signal: pendant, outcome: CallBackOutcome::Busy };
    assert_eq!(refusal(&mut world, tried), RefusalCode::Invalid);
    assert_eq!(refusal(&mut world, answer(pendant, "desk1")), RefusalCode::Invalid);
    assert_eq!(refusal(&mut world, answer(call, "")), RefusalCode::Invalid);
    assert_eq!(refusal(&mut world, answer(call, &"x".repeat(33))), RefusalCode::Invalid);
    let nobody = SignalId(pressed[0].seq);
    assert_eq!(refusal(&mut world, answer(nobody, "desk1")), RefusalCode::NotFound);
    for role in [Role::Viewer, Role::DisasterManager, Role::Administrator] {
        let refused = world.command(role, answer(call, "desk1")).unwrap_err();
        assert_eq!(refused.code, RefusalCode::Forbidden);
    }
    done(&mut world, answer(call, &"x".repeat(32)));
    let busy = CommandKind::CallBack { signal: call, outcome: CallBackOutcome::Busy };
    assert_eq!(refusal(&mut world, busy), RefusalCode::AlreadyAnswered);
}

#[test]
fn a_call_that_was_taken_while_no_core_ran_is_shown_as_such() {
    let mut world = World::started();
    for fact in [offered(Vec::new()), connected("desk2"), CallFact::Ended { by: CallEnd::Desk }] {
        let (call, received_at) = (CallRef("c1".to_owned()), world.now);
        let said = Box::new(CallSaid { call, received_at, unrecorded: true, fact });
        world.give(&Input::Call { said, caller: None }).unwrap();
        world.wait(3);
    }
    let call = call_of(&world, "c1");
    assert!(call.unrecorded);
    assert_eq!(call.phase, CallPhase::Over);
    let answer = call.answer.unwrap();
    assert_eq!((answer.seq, answer.position.as_str()), (None, "desk2"));
    let signal = signal_of(&world, call.signal.unwrap());
    assert_eq!(signal.state, SignalState::Answered);
    assert_eq!(world.state.source_name(signal.acknowledged.as_ref().unwrap().by), "sip");
}

#[test]
fn who_calls_again_is_seen() {
    let mut world = World::started();
    world.call("c1", Vec::new());
    world.wait(3_600);
    world.call("c2", Vec::new());
    world.wait(23 * 3_600);
    world.call("c3", Vec::new());
    let earlier = |world: &World, call: &str| call_of(world, call).earlier;
    assert_eq!(["c1", "c2", "c3"].map(|call| earlier(&world, call)), [0, 1, 1]);
    // Without a number nobody is the same.
    for call in ["c4", "c5"] {
        let (call, received_at) = (CallRef(call.to_owned()), world.now);
        let fact = offered(Vec::new());
        let said = Box::new(CallSaid { call, received_at, unrecorded: false, fact });
        world.give(&Input::Call { said, caller: None }).unwrap();
    }
    assert_eq!(earlier(&world, "c5"), 0);
    let (call, received_at) = (CallRef("c6".to_owned()), world.now);
    let fact = offered(Vec::new());
    let said = Box::new(CallSaid { call, received_at, unrecorded: false, fact });
    world.give(&Input::Call { said, caller: Some(token(71)) }).unwrap();
    assert_eq!(earlier(&world, "c6"), 0, "another number");
}

fn seconds_before(at: Timestamp, seconds: i64) -> Option<Timestamp> {
    Some(at.checked_sub(SignedDuration::from_secs(seconds)).unwrap())
}

#[test]
fn what_is_odd_about_a_place_is_marked() {
    let mut world = World::started();
    let now = world.now;
    let tokyo = (356_800_000, 1_397_600_000);
    let mut unread = circle(ONAHAMA, Some(10), None);
    (unread.centre, unread.shape, unread.refused) = (None, None, Some(LocationFault::Xml));
    let mut swapped = unread.clone();
    swapped.marks = vec![LocationMark::LooksSwapped];
    world.call(
        "c1",
        vec![
            circle(ONAHAMA, Some(1_000), seconds_before(now, 120)),
            circle(ONAHAMA, Some(1_001), seconds_before(now, 121)),
            circle(ONAHAMA, None, seconds_before(now, -5)),
            circle(ONAHAMA, None, seconds_before(now, -6)),
            circle(tokyo, None, None),
            unread,
            swapped,
        ],
    );
    let marks: Vec<_> =
        call_of(&world, "c1").locations.iter().map(|each| each.marks.clone()).collect();
    assert_eq!(
        marks,
        [
            vec![],
            vec![LocationMark::Stale, LocationMark::Wide],
            vec![],
            vec![LocationMark::Clock],
            vec![LocationMark::NoTime, LocationMark::Outside],
            vec![],
            vec![LocationMark::LooksSwapped],
        ]
    );
}

/// Radius of the place that is shown.
fn shown(world: &mut World, call: &str, places: Vec<CallerLocation<Sealed>>) -> Option<u32> {
    world.call(call, places);
    call_of(world, call).shown().and_then(|each| each.radius).map(|radius| radius.0)
}

#[test]
fn a_place_is_replaced_by_one_that_is_newer_and_better() {
    let mut world = World::started();
    let now = world.now;
    let at = |seconds, radius| circle(ONAHAMA, radius, seconds_before(now, seconds));
    let nowhere = circle((0, 0), Some(1), seconds_before(now, 0));
    let cases = [
        (vec![], None, "none at all"),
        (vec![at(30, Some(900)), at(10, Some(20))], Some(20), "newer and better"),
        (vec![at(30, Some(20)), at(10, Some(900))], Some(20), "newer and worse"),
        (vec![at(10, Some(900)), at(30, Some(20))], Some(900), "older and better"),
        (vec![at(30, Some(20)), at(30, Some(10))], Some(20), "of the same time"),
        (vec![at(300, Some(20)), at(10, Some(900))], Some(900), "newer than a stale one"),
        (vec![at(-60, Some(20)), at(10, Some(900))], Some(900), "the first clock is wrong"),
        (vec![at(10, Some(900)), at(-60, Some(20))], Some(900), "the second clock is wrong"),
        (vec![circle(ONAHAMA, Some(20), None), at(10, Some(30))], Some(30), "a time beats none"),
        (vec![at(10, None), at(5, Some(900))], Some(900), "a width beats none"),
        (vec![nowhere.clone(), at(30, Some(900))], Some(900), "in the city beats outside"),
        (vec![at(30, Some(900)), nowhere], Some(900), "outside beats nothing"),
    ];
    for (number, (places, radius, why)) in cases.into_iter().enumerate() {
        assert_eq!(shown(&mut world, &format!("c{number}"), places), radius, "{why}");
    }
    // A place in words goes before a fault, and a fault before silence.
    let mut unread = circle(ONAHAMA, None, None);
    (unread.centre, unread.refused) = (None, Some(LocationFault::Range));
    let mut words = unread.clone();
    (words.refused, words.civic) = (None, Some(sealed("小名浜花畑町")));
    world.call("w1", vec![unread.clone(), words]);
    assert!(call_of(&world, "w1").shown().unwrap().civic.is_some());
    world.call("w2", vec![unread]);
    assert_eq!(call_of(&world, "w2").shown().unwrap().refused, Some(LocationFault::Range));
}

/// An incident at this place, opened for a call of its own.
fn incident_at(world: &mut World, call: &str, place: CallerLocation<Sealed>) -> IncidentId {
    let id = world.call(call, vec![place]);
    world.command(Role::Dispatcher, answer(id, "desk1")).unwrap();
    let batch = world.command(Role::Dispatcher, open(id)).unwrap();
    IncidentId(seq_of(&batch, "IncidentOpened"))
}

#[test]
fn the_same_event_is_suggested_by_place_and_time() {
    let mut world = World::started();
    // 111 m of latitude each.
    let north = |thousandths: i32| (ONAHAMA.0 + thousandths * 10_000, ONAHAMA.1);
    let at = Some(world.now);
    let near = incident_at(&mut world, "n1", circle(north(1), Some(20), at));
    let nearest = incident_at(&mut world, "n2", circle(ONAHAMA, Some(20), at));
    let edge = incident_at(&mut world, "n3", circle((ONAHAMA.0 + 26_900, ONAHAMA.1), None, at));
    let far = incident_at(&mut world, "n4", circle(north(3), Some(20), at));
    let wide = incident_at(&mut world, "n5", circle(north(9), Some(1_500), at));
    let closed = incident_at(&mut world, "n6", circle(ONAHAMA, Some(20), at));
    let (outcome, note) = (IncidentOutcome::Handled, None);
    done(&mut world, CommandKind::CloseIncident { incident: closed, outcome, note });
    world.wait(60);
    let similar = |world: &World, id: SignalId| -> Vec<_> {
        world.state.similar(signal_of(world, id)).iter().map(|each| each.incident).collect()
    };
    let id = world.call("c1", vec![circle(ONAHAMA, Some(20), at)]);
    assert_eq!(similar(&world, id), [nearest, near, edge], "nearest first, three at most");
    let found = world.state.similar(signal_of(&world, id));
    assert_eq!((found[0].distance, found[2].distance.0 <= SIMILAR_METRES), (MetresU32(0), true));
    assert_eq!(found[0].age.as_secs(), 60);
    for done_with in [nearest, near, edge] {
        let (incident, outcome, note) = (done_with, IncidentOutcome::Handled, None);
        done(&mut world, CommandKind::CloseIncident { incident, outcome, note });
    }
    assert_eq!(similar(&world, id), [wide], "its own width counts; {far} is too far");
    let unsure = world.call("c2", vec![circle(ONAHAMA, Some(400), at)]);
    assert_eq!(similar(&world, unsure), [far, wide]);
    let nowhere = world.call("c3", vec![]);
    let outside = world.call("c4", vec![circle((0, 0), Some(4_000_000_000), at)]);
    assert!(similar(&world, nowhere).is_empty() && similar(&world, outside).is_empty());
    world.wait(14 * 60);
    let late = world.call("c5", vec![circle(ONAHAMA, Some(400), at)]);
    assert!(similar(&world, late).is_empty(), "more than 15 minutes");
    done(&mut world, answer(unsure, "desk2"));
    done(&mut world, CommandKind::JoinSignal { signal: unsure, incident: far });
    assert_eq!(similar(&world, unsure), [wide], "its own incident is no suggestion");
}

fn at_onahama(radius: Option<u32>) -> Place {
    let position = Position::new(DegreesE7::from_e7(ONAHAMA.0), DegreesE7::from_e7(ONAHAMA.1));
    Place { position, radius: radius.map(MetresU32), ..Place::default() }
}

#[test]
fn an_incident_takes_the_callers_place_as_a_proposal() {
    let mut world = World::started();
    let at = Some(world.now);
    let first = world.now;
    let id = world.call("c1", vec![circle(ONAHAMA, Some(42), at)]);
    world.wait(4);
    done(&mut world, answer(id, "desk1"));
    let answered = world.now;
    world.wait(20);
    done(&mut world, open(id));
    let incident = world.state.incidents().values().next().unwrap().clone();
    assert_eq!(incident.place, at_onahama(Some(42)));
    assert_eq!(incident.placed_at, None, "nobody has confirmed it");
    assert_eq!(incident.perceived_at.as_second(), first.as_second(), "覚知 is the first ring");
    assert_eq!(incident.answered_at, Some(answered));
    // What a dispatcher says goes before it.
    let id = world.call("c2", vec![circle(ONAHAMA, Some(42), at)]);
    done(&mut world, answer(id, "desk2"));
    let position = Position::new(DegreesE7::from_e7(370_000_000), DegreesE7::from_e7(ONAHAMA.1));
    let place = Place { position, radius: None, district: Some(DistrictId(2)), confirmed: true };
    let (signals, kind, subkind) = (vec![id], IncidentKind::Fire, Some(IncidentSubkind::Building));
    let said = CommandKind::OpenIncident {
        signals,
        kind,
        subkind,
        place: place.clone(),
        place_text: Some(sealed("橋のたもと")),
    };
    done(&mut world, said);
    let (id, incident) = world.state.incidents().last_key_value().unwrap();
    assert_eq!((&incident.place, incident.subkind), (&place, subkind));
    assert_eq!(incident.placed_at, Some(incident.opened_at));
    // A signal that came earlier moves 覚知.
    let (id, before) = (*id, incident.perceived_at);
    let early = world.state.signals().values().next().unwrap().received_at;
    assert!(early < before);
    // A place out of the city is shown, and is no incident's place.
    let lost = world.call("c3", vec![circle((0, 0), Some(10), at)]);
    done(&mut world, answer(lost, "desk3"));
    done(&mut world, open(lost));
    let incident = world.state.incidents().last_key_value().unwrap().1;
    assert_eq!(incident.place, Place::default());
    assert_ne!(world.state.incidents()[&id].place, Place::default());
}

#[test]
fn an_earlier_signal_that_joins_makes_the_incident_known_earlier() {
    let mut world = World::started();
    let early = world.call("c1", Vec::new());
    world.wait(30);
    let late = world.call("c2", Vec::new());
    done(&mut world, answer(late, "desk1"));
    done(&mut world, open(late));
    let incident = *world.state.incidents().first_key_value().unwrap().0;
    let perceived = |world: &World| world.state.incidents()[&incident].perceived_at;
    assert_eq!(perceived(&world), signal_of(&world, late).received_at);
    done(&mut world, answer(early, "desk2"));
    done(&mut world, CommandKind::JoinSignal { signal: early, incident });
    assert_eq!(perceived(&world), signal_of(&world, early).received_at);
}

#[test]
fn a_place_is_set_and_what_is_left_out_stays() {
    let mut world = World::started();
    let at = Some(world.now);
    let incident = incident_at(&mut world, "c1", circle(ONAHAMA, Some(42), at));
    let set = |place, text: Option<&str>| CommandKind::SetPlace {
        incident,
        place,
        place_text: text.map(sealed),
    };
    let place = |world: &World| {
        let incident = &world.state.incidents()[&incident];
        (incident.place.clone(), incident.place_text.clone())
    };
    let confirmed = Place { confirmed: true, ..Place::default() };
    assert_eq!(done(&mut world, set(confirmed, Some("花畑町"))), ["PlaceSet"]);
    let placed_at = world.state.incidents()[&incident].placed_at.unwrap();
    let sure = Place { confirmed: true, ..at_onahama(Some(42)) };
    assert_eq!(place(&world), (sure, Some(sealed("花畑町"))));
    // A new point does not keep the old width.
    done(&mut world, set(Place { confirmed: true, ..at_onahama(None) }, None));
    assert_eq!(place(&world).0.radius, None);
    assert_eq!(place(&world).1, Some(sealed("花畑町")));
    assert_eq!(world.state.incidents()[&incident].placed_at, Some(placed_at), "the first counts");
    // Another district has another centre; the same one changes nothing.
    let taira = Place { district: Some(DistrictId(1)), ..Place::default() };
    done(&mut world, set(taira.clone(), None));
    let (moved, _) = place(&world);
    assert_eq!((moved.district, moved.radius), (Some(DistrictId(1)), Some(MetresU32(9_000))));
    assert!(!moved.confirmed);
    done(&mut world, set(Place { district: Some(DistrictId(1)), ..at_onahama(Some(5)) }, None));
    done(&mut world, set(taira, None));
    assert_eq!(place(&world).0.radius, Some(MetresU32(5)));
    // Refusals.
    let nowhere = Place { district: Some(DistrictId(14)), ..Place::default() };
    assert_eq!(refusal(&mut world, set(nowhere, None)), RefusalCode::Invalid);
    let no_point = Place { radius: Some(MetresU32(5)), ..Place::default() };
    for place in [no_point, at_onahama(Some(0)), at_onahama(Some(limits::PLACE_METRES + 1))] {
        assert_eq!(refusal(&mut world, set(place.clone(), None)), RefusalCode::Invalid);
    }
    done(&mut world, set(at_onahama(Some(limits::PLACE_METRES)), None));
    let (outcome, note) = (IncidentOutcome::Handled, None);
    done(&mut world, CommandKind::CloseIncident { incident, outcome, note });
    let late = refusal(&mut world, set(Place::default(), None));
    assert_eq!(late, RefusalCode::AlreadyEnded);
}

#[test]
fn a_second_level_belongs_to_its_kind() {
    let mut world = World::started();
    let id = world.call("c1", Vec::new());
    done(&mut world, answer(id, "desk1"));
    let (kind, subkind) = (IncidentKind::Ems, Some(IncidentSubkind::Building));
    let (signals, place) = (vec![id], Place::default());
    let wrong = CommandKind::OpenIncident { signals, kind, subkind, place, place_text: None };
    assert_eq!(refusal(&mut world, wrong), RefusalCode::Invalid);
    done(&mut world, open(id));
    let incident = *world.state.incidents().first_key_value().unwrap().0;
    let set = |kind, subkind| CommandKind::SetKind { incident, kind, subkind };
    assert_eq!(refusal(&mut world, set(kind, subkind)), RefusalCode::Invalid);
    assert_eq!(done(&mut world, set(kind, Some(IncidentSubkind::Cpa))), ["KindSet"]);
    let record = &world.state.incidents()[&incident];
    assert_eq!((record.kind, record.subkind), (kind, Some(IncidentSubkind::Cpa)));
    assert!(record.kind_set_at > record.opened_at);
    done(&mut world, set(IncidentKind::Other, None));
    let incident = IncidentId(world.state.seq());
    let unknown = CommandKind::SetKind { incident, kind, subkind: None };
    assert_eq!(refusal(&mut world, unknown), RefusalCode::NotFound);
}

#[test]
fn what_is_typed_is_kept_for_any_seat() {
    let mut world = World::started();
    let save = |form: &str, text: &str| CommandKind::SaveDraft {
        form: form.to_owned(),
        text: sealed(text),
    };
    let clear = |form: &str| CommandKind::ClearDraft { form: form.to_owned() };
    assert_eq!(done(&mut world, save("call:s123", "2階")), ["SourceNamed", "DraftSaved"]);
    done(&mut world, save("call:s123", "2階から煙"));
    let draft = &world.state.drafts()["call:s123"];
    assert_eq!(draft.text, sealed("2階から煙"));
    assert_eq!(world.state.source_name(draft.by), "user:dispatcher1");
    assert_eq!(done(&mut world, clear("call:s123")), ["DraftCleared"]);
    assert_eq!(refusal(&mut world, clear("call:s123")), RefusalCode::NotFound);
    for form in ["", &"x".repeat(65)] {
        assert_eq!(refusal(&mut world, save(form, "x")), RefusalCode::Invalid);
    }
    done(&mut world, save(&"x".repeat(64), &"x".repeat(limits::DRAFT_BYTES)));
    let long = save("form", &"x".repeat(limits::DRAFT_BYTES + 1));
    assert_eq!(refusal(&mut world, long), RefusalCode::Invalid);
    let refused = world.command(Role::Viewer, save("form", "x")).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Forbidden);
    world.command(Role::DisasterManager, save("notice", "x")).unwrap();
    for number in 0..limits::DRAFTS {
        done(&mut world, save(&format!("form:{number}"), "x"));
    }
    assert_eq!(world.state.drafts().len(), limits::DRAFTS);
    assert!(!world.state.drafts().contains_key("notice"), "the oldest makes room");
}

#[test]
fn a_call_is_forgotten_with_its_signal() {
    let mut world = World::started();
    let first = world.call("c-first", Vec::new());
    world.said("c-first", CallFact::Abandoned).unwrap();
    done(&mut world, end(first));
    for number in 0..limits::ENDED_KEPT {
        let id = world.call(&format!("c{number}"), Vec::new());
        world.said(&format!("c{number}"), CallFact::Abandoned).unwrap();
        done(&mut world, end(id));
    }
    assert!(!world.state.signals().contains_key(&first));
    assert_eq!(world.state.calls().len(), limits::ENDED_KEPT);
    assert_eq!(world.replayed(), world.state);
}
