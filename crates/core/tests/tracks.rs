//! Safe zones: when a wearer has left one, when not, and who is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use hansho_core::{Signal, State, ZonePlace};
use hansho_model::{
    AlarmClass, AlarmKind, AnswerChoice, CommandKind, Effect, EffectId, Event, FixMethod, Input,
    MailContent, MetresU32, Phase, Recorded, Role, SignalOutcome, Telemetry, Template,
};
use jiff::SignedDuration;
use proptest::prelude::*;
use world::{TRACKER, World, finding, fix, names, start_with_tracker, track};

fn zone(state: &State) -> ZonePlace {
    let source = state.source(TRACKER).unwrap();
    state.devices()[&source].track.zones[0].place
}

fn faults(state: &State) -> Vec<(AlarmKind, String)> {
    let source = state.source(TRACKER).unwrap();
    let faults = state.devices()[&source].faults.iter();
    faults.map(|fault| (fault.kind, fault.zone.clone())).collect()
}

fn zone_signal(state: &State) -> &Signal {
    state.signals().values().find(|signal| signal.is_about_zone()).unwrap()
}

/// At home, then 500 m away: the exit that people are told of.
fn left() -> (World, Vec<Recorded>) {
    let mut world = World::with_tracker();
    assert_eq!(names(&world.walk(10)), ["ReportReceived", "ZoneEntered"]);
    world.wait(60);
    let batch = world.walk(500);
    (world, batch)
}

fn templates(batch: &[Recorded]) -> Vec<Template> {
    let template = |recorded: &Recorded| {
        let Event::NoticeOrdered { template, .. } = &recorded.event else { return None };
        Some(*template)
    };
    batch.iter().filter_map(template).collect()
}

#[test]
fn who_is_far_outside_has_left_and_the_carers_are_told_where() {
    let (world, batch) = left();
    assert_eq!(names(&batch), ["ReportReceived", "ZoneLeft", "SignalReceived", "NoticeOrdered"]);
    assert_eq!(batch[2].cause, Some(batch[1].seq));
    let Event::ZoneLeft { signal, distance, .. } = &batch[1].event else { panic!() };
    assert_eq!((signal.unwrap().0, *distance), (batch[2].seq, MetresU32(500)));
    let signal = zone_signal(&world.state);
    assert_eq!(
        (signal.alarm, signal.zones.as_slice()),
        (AlarmKind::LeftZone, &["自宅".to_owned()][..])
    );
    assert_eq!(signal.findings[0].class, AlarmClass::Check);
    assert!(signal.position.is_some());
    assert_eq!(zone(&world.state), ZonePlace::Outside);
    assert_eq!(world.state.owed().len(), 2, "two carers");
    let Some(Effect::Mail(mail)) = world.state.effect(world.first_effect()) else { panic!() };
    let MailContent::Alarm { template, facts } = mail.content else { panic!() };
    assert_eq!(template, Template::TrackerLeftZone);
    let seen = facts.sighting.unwrap();
    assert_eq!(seen.zone.unwrap().distance, MetresU32(500));
}

#[test]
fn a_little_outside_it_takes_two_fixes_in_a_row_twenty_seconds_apart() {
    let mut world = World::with_tracker();
    world.walk(10);
    world.wait(60);
    // 260 m, less 15 m of accuracy: past 230 m, not past 400 m.
    assert_eq!(names(&world.walk(260)), ["ReportReceived", "ZoneDoubted"]);
    world.wait(10);
    assert_eq!(names(&world.walk(260)), ["ReportReceived", "ZoneDoubted"], "too soon");
    world.wait(10);
    let batch = names(&world.walk(260));
    assert_eq!(batch, ["ReportReceived", "ZoneLeft", "SignalReceived", "NoticeOrdered"]);
    world.wait(60);
    assert_eq!(names(&world.walk(300)), ["ReportReceived"], "one exit is told once");
}

#[test]
fn drift_is_no_exit() {
    let mut world = World::with_tracker();
    world.walk(10);
    for metres in [260, 240, 260, 100, 260, 235, 260, 210, 260] {
        world.wait(30);
        world.walk(metres);
    }
    assert!(world.state.signals().is_empty(), "never two in a row");
    assert_eq!(zone(&world.state), ZonePlace::Inside);
    world.wait(30);
    world.walk(10);
    // Two rough fixes: what they may be off is taken from the distance.
    for _ in 0..3 {
        world.wait(30);
        let rough = hansho_model::Fix { accuracy: Some(MetresU32(120)), ..fix(340, world.now) };
        world.wander(Telemetry { fix: Some(rough), ..Telemetry::default() });
    }
    // Three satellites tell nothing near the edge.
    for _ in 0..3 {
        world.wait(30);
        let few = hansho_model::Fix { accuracy: None, satellites: Some(3), ..fix(320, world.now) };
        world.wander(Telemetry { fix: Some(few), ..Telemetry::default() });
    }
    assert!(world.state.signals().is_empty());
}

#[test]
fn cells_untrusted_places_and_nowhere_move_no_fence() {
    let mut world = World::with_tracker();
    world.walk(10);
    let mut try_fix = |change: fn(&mut hansho_model::Fix)| {
        world.wait(60);
        let mut fix = fix(900, world.now);
        change(&mut fix);
        world.wander(Telemetry { fix: Some(fix), ..Telemetry::default() });
        assert!(world.state.signals().is_empty());
    };
    for _ in 0..2 {
        try_fix(|fix| (fix.method, fix.accuracy) = (FixMethod::Cell, None));
        try_fix(|fix| fix.valid = false);
        try_fix(|fix| {
            let zero = hansho_model::DegreesE7::from_e7(0);
            fix.position = hansho_model::Position::new(zero, zero).unwrap();
        });
    }
}

#[test]
fn a_mast_beside_the_home_brings_nobody_home() {
    let mut world = World::with_tracker();
    world.walk(10);
    world.wait(60);
    world.walk(900);
    let open = |world: &World| world.state.signals().values().filter(|s| s.ended.is_none()).count();
    assert_eq!(open(&world), 1, "carers are looking");
    world.wait(60);
    let mast = hansho_model::Fix { method: FixMethod::Cell, accuracy: None, ..fix(10, world.now) };
    world.wander(Telemetry { fix: Some(mast), ..Telemetry::default() });
    assert_eq!(open(&world), 1, "and go on");
}

#[test]
fn nobody_jumps_five_kilometres_in_a_minute() {
    let mut world = World::with_tracker();
    world.walk(10);
    world.wait(60);
    assert_eq!(names(&world.walk(5_000)), ["ReportReceived", "FixDoubted"]);
    let source = world.state.source(TRACKER).unwrap();
    assert!(world.state.devices()[&source].track.fix.unwrap().suspect);
    world.wait(60);
    assert_eq!(names(&world.walk(10)), ["ReportReceived", "FixDoubted"]);
    world.wait(60);
    assert_eq!(names(&world.walk(10)), ["ReportReceived"], "still inside");
    // Who really is there says so again.
    world.wait(60);
    world.walk(5_000);
    world.wait(60);
    assert!(names(&world.walk(5_010)).contains(&"ZoneLeft"));
}

#[test]
fn late_and_older_fixes_move_no_fence() {
    let mut world = World::with_tracker();
    world.walk(10);
    world.wait(600);
    world.walk(20);
    let old = world.now.checked_sub(SignedDuration::from_secs(300)).unwrap();
    let away = Telemetry { fix: Some(fix(900, old)), stored: true, ..Telemetry::default() };
    assert_eq!(names(&world.wander(away)), ["ReportReceived"]);
    let source = world.state.source(TRACKER).unwrap();
    let known = world.state.devices()[&source].track.fix.unwrap();
    assert!(known.at > old, "the live place does not go back");
    // An alarm bit in a late report is an alarm all the same.
    let sos = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "")];
    let batch = world.report(track(world.now, away, sos)).unwrap();
    assert!(names(&batch).contains(&"SignalReceived"));
}

#[test]
fn a_wrong_clock_is_told_and_our_own_time_counts() {
    let mut world = World::with_tracker();
    let day = SignedDuration::from_hours(24);
    let skewed = |world: &World, metres| Telemetry {
        fix: Some(fix(metres, world.now.checked_add(day).unwrap())),
        ..Telemetry::default()
    };
    let said = skewed(&world, 10);
    assert_eq!(names(&world.wander(said)), ["ReportReceived", "FaultRaised", "ZoneEntered"]);
    world.wait(60);
    let said = skewed(&world, 500);
    let batch = names(&world.wander(said));
    assert_eq!(batch, ["ReportReceived", "ZoneLeft", "SignalReceived", "NoticeOrdered"]);
    world.wait(60);
    assert!(names(&world.walk(500)).contains(&"FaultCleared"), "the clock is right again");
}

#[test]
fn who_was_never_seen_inside_has_left_nothing() {
    let mut world = World::with_tracker();
    assert_eq!(names(&world.walk(900)), ["ReportReceived", "ZoneLeft"]);
    assert_eq!(zone(&world.state), ZonePlace::Outside);
    world.wait(60);
    assert_eq!(names(&world.walk(10)), ["ReportReceived", "ZoneEntered"]);
    world.wait(60);
    assert!(names(&world.walk(500)).contains(&"SignalReceived"));
}

#[test]
fn back_within_three_minutes_ends_it_and_the_carers_hear_once() {
    let (mut world, _) = left();
    world.wait(170);
    let batch = world.walk(50);
    assert_eq!(names(&batch), ["ReportReceived", "ZoneEntered", "SignalEnded", "NoticeOrdered"]);
    assert_eq!(templates(&batch), [Template::TrackerReturned]);
    let ended = zone_signal(&world.state).ended.clone().unwrap();
    assert_eq!(ended.outcome, SignalOutcome::Returned);
    world.wait(60);
    assert_eq!(names(&world.walk(60)), ["ReportReceived"]);
    // The next time is a new one.
    world.wait(60);
    assert_eq!(templates(&world.walk(500)), [Template::TrackerLeftZone]);
}

#[test]
fn back_later_is_told_and_left_to_a_person_to_end() {
    let (mut world, _) = left();
    world.wait(181);
    let batch = world.walk(50);
    assert_eq!(names(&batch), ["ReportReceived", "ZoneEntered", "SignalRepeated", "NoticeOrdered"]);
    let signal = zone_signal(&world.state);
    assert!(signal.ended.is_none() && signal.restored_at.is_some());
    assert_eq!(signal.presses, 1);
}

/// What the tick brings that is due in so many seconds, and none before.
fn tick_after(world: &mut World, seconds: i64) -> Vec<Recorded> {
    let due = world.state.next_deadline().unwrap();
    assert!((due.duration_since(world.now).as_millis() - i128::from(seconds) * 1_000).abs() < 10);
    world.wait(seconds - 1);
    assert!(world.give(&Input::Tick).unwrap().is_empty());
    world.wait(2);
    world.give(&Input::Tick).unwrap()
}

#[test]
fn carers_who_do_not_answer_are_told_once_more_and_where_the_wearer_is_by_now() {
    let (mut world, _) = left();
    world.wait(60);
    world.walk(900);
    let batch = tick_after(&mut world, 240);
    assert_eq!(templates(&batch), [Template::TrackerStillAway]);
    let Event::NoticeOrdered { signal, facts, recipients, .. } = &batch[0].event else { panic!() };
    assert_eq!((signal.is_some(), recipients.len()), (true, 2));
    let seen = facts.sighting.as_ref().unwrap();
    assert_eq!(seen.zone.as_ref().unwrap().distance, MetresU32(900));
    assert_eq!(world.state.owed().len(), 4);
    // Once; and what a start makes of the state waits for nothing else.
    let rest = State::decode(&world.state.encode()).unwrap();
    assert_eq!(rest.next_deadline(), world.state.next_deadline());
    world.wait(600);
    assert!(templates(&world.give(&Input::Tick).unwrap()).is_empty());
    // Who comes by the second mail has found the wearer, too; the return is told once.
    let effect = EffectId { seq: batch[0].seq, index: 0 };
    let said = world.answer(effect, AnswerChoice::Arrived).unwrap();
    assert!(names(&said).contains(&"SignalEnded"), "{:?}", names(&said));
    let (mut world, _) = left();
    tick_after(&mut world, 300);
    let Event::NoticeOrdered { recipients, .. } = &world.walk(50).pop().unwrap().event else {
        panic!()
    };
    assert_eq!(recipients.len(), 2, "each hears of the return once");
}

#[test]
fn whoever_takes_it_on_nobody_is_told_again() {
    let answered = |world: &mut World, batch: &[Recorded]| {
        let effect = EffectId { seq: batch[3].seq, index: 1 };
        world.answer(effect, AnswerChoice::Cannot).unwrap();
    };
    let acknowledged = |world: &mut World, batch: &[Recorded]| {
        let signal = hansho_model::SignalId(batch[2].seq);
        let position = "desk1".to_owned();
        world
            .command(Role::Dispatcher, CommandKind::AcknowledgeSignal { signal, position })
            .unwrap();
    };
    let returned = |world: &mut World, _: &[Recorded]| {
        world.wait(200);
        world.walk(50);
    };
    for take_on in [answered, acknowledged, returned] as [fn(&mut World, &[Recorded]); 3] {
        let (mut world, batch) = left();
        take_on(&mut world, &batch);
        world.wait(400);
        assert!(templates(&world.give(&Input::Tick).unwrap()).is_empty());
        let rest = State::decode(&world.state.encode()).unwrap();
        assert_eq!(rest.next_deadline(), world.state.next_deadline());
    }
}

#[test]
fn arrival_of_a_carer_ends_the_signal_and_nothing_else_does() {
    let (mut world, batch) = left();
    let effect = EffectId { seq: batch[3].seq, index: 1 };
    world.answer(effect, AnswerChoice::Coming).unwrap();
    assert!(zone_signal(&world.state).ended.is_none());
    let said = world.answer(effect, AnswerChoice::Arrived).unwrap();
    assert_eq!(names(&said), ["AnswerGiven", "SignalEnded"]);
    assert_eq!(said[1].cause, Some(said[0].seq));
    let ended = zone_signal(&world.state).ended.clone().unwrap();
    assert_eq!(ended.outcome, SignalOutcome::Found);
    // Twice is once, and the way home is no news to who walks beside.
    let again = EffectId { seq: effect.seq, index: 0 };
    assert_eq!(names(&world.answer(again, AnswerChoice::Arrived).unwrap()), ["AnswerGiven"]);
    world.wait(60);
    assert_eq!(names(&world.walk(50)), ["ReportReceived", "ZoneEntered"]);
}

#[test]
fn arrival_at_a_press_does_not_end_it() {
    let mut world = World::with_tracker();
    let sos = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "")];
    let report =
        track(world.now, Telemetry { fix: Some(fix(10, world.now)), ..Telemetry::default() }, sos);
    let batch = world.report(report).unwrap();
    let ordered =
        batch.iter().find(|each| matches!(each.event, Event::NoticeOrdered { .. })).unwrap();
    let Event::NoticeOrdered { facts, template, .. } = &ordered.event else { panic!() };
    assert_eq!(*template, Template::PendantAlarm);
    assert!(facts.sighting.is_some(), "who carries it may be far from home");
    let effect = EffectId { seq: ordered.seq, index: 0 };
    assert_eq!(
        names(&world.answer(effect, AnswerChoice::Arrived).unwrap()),
        ["SourceNamed", "AnswerGiven"]
    );
}

#[test]
fn a_press_does_not_hide_behind_an_exit() {
    let (mut world, _) = left();
    world.wait(60);
    let sos = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "")];
    let now = world.now;
    let report = track(now, Telemetry { fix: Some(fix(510, now)), ..Telemetry::default() }, sos);
    let batch = world.report(report).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalReceived", "NoticeOrdered"]);
    assert_eq!(templates(&batch), [Template::PendantAlarm]);
    assert_eq!(world.state.signals().len(), 2);
    // And an exit does not hide behind a press.
    let mut world = World::with_tracker();
    world.walk(10);
    let sos = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "")];
    world.report(track(world.now, Telemetry::default(), sos)).unwrap();
    world.wait(60);
    assert_eq!(templates(&world.walk(500)), [Template::TrackerLeftZone]);
    assert_eq!(world.state.signals().len(), 2);
}

#[test]
fn what_the_device_itself_calls_an_exit_is_a_signal_of_its_own() {
    let mut world = World::with_tracker();
    let own = vec![finding(AlarmClass::Check, AlarmKind::LeftZone, Phase::New, "")];
    let batch = world.report(track(world.now, Telemetry::default(), own)).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalReceived"]);
    let signal = world.state.signals().values().next().unwrap();
    assert!(!signal.is_about_zone());
    assert_eq!(signal.findings[0].code, "CID 101", "labelled with the device's own code");
}

#[test]
fn a_dispatcher_ends_it_and_the_return_is_told_all_the_same() {
    let (mut world, batch) = left();
    let signal = hansho_model::SignalId(batch[2].seq);
    let outcome = SignalOutcome::Transferred;
    let end = CommandKind::EndSignal { signal, outcome, reason: None };
    world.command(Role::Dispatcher, end).unwrap();
    world.wait(60);
    assert_eq!(names(&world.walk(510)), ["ReportReceived"], "still away: no second signal");
    world.wait(60);
    let batch = world.walk(50);
    assert_eq!(names(&batch), ["ReportReceived", "ZoneEntered", "NoticeOrdered"]);
    let Event::NoticeOrdered { recipients, .. } = &batch[2].event else { panic!() };
    assert_eq!(recipients.len(), 2, "exactly those who were told");
}

#[test]
fn a_battery_is_told_at_twenty_and_ten_and_when_it_is_well_again() {
    let mut world = World::with_tracker();
    let mut level = |percent| {
        world.wait(300);
        world.wander(Telemetry { battery: Some(percent), ..Telemetry::default() });
        faults(&world.state).into_iter().map(|(_, zone)| zone).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(level(21), "");
    assert_eq!(level(20), "20 %");
    assert_eq!(level(11), "20 %");
    assert_eq!(level(10), "10 %, 20 %");
    assert_eq!(level(15), "10 %, 20 %", "it hovers");
    assert_eq!(level(16), "20 %");
    assert_eq!(level(25), "20 %");
    assert_eq!(level(26), "");
}

#[test]
fn silence_is_a_fault_after_two_and_a_half_intervals() {
    let mut world = World::with_tracker();
    assert_eq!(world.state.next_deadline(), None, "never heard, never missed");
    world.walk(10);
    let due = world.state.next_deadline().unwrap();
    // 2.5 times 300 s is less than the least.
    let heard =
        world.journal.iter().rev().find(|each| matches!(each.event, Event::ReportReceived(_)));
    assert_eq!(due.duration_since(heard.unwrap().at), SignedDuration::from_mins(15));
    world.wait(900);
    assert_eq!(names(&world.give(&Input::Tick).unwrap()), ["FaultRaised"]);
    assert_eq!(faults(&world.state), [(AlarmKind::Silent, String::new())]);
    assert_eq!(world.state.next_deadline(), None, "told once");
    assert_eq!(names(&world.walk(10)), ["ReportReceived", "FaultCleared"]);
    assert!(world.state.next_deadline().is_some());
    // Nobody listened while the house was down.
    world.wait(3_600);
    world.give(&Input::Start(Box::new(start_with_tracker()))).unwrap();
    assert!(world.give(&Input::Tick).unwrap().is_empty());
    let mut start = start_with_tracker();
    start.registry.devices[1].interval_s = Some(1_200);
    start.registry.devices[1].digest = world::token(52);
    world.give(&Input::Start(Box::new(start))).unwrap();
    let due = world.state.next_deadline().unwrap();
    assert!(due.duration_since(world.now) > SignedDuration::from_mins(49), "3,000 s");
}

#[test]
fn a_zone_that_was_moved_is_not_known_any_more() {
    let (mut world, _) = left();
    let mut start = start_with_tracker();
    start.registry.devices[1].helpers.pop();
    start.registry.devices[1].digest = world::token(52);
    world.give(&Input::Start(Box::new(start.clone()))).unwrap();
    assert_eq!(zone(&world.state), ZonePlace::Outside, "the zone is the same");
    start.registry.devices[1].zones[0].radius = MetresU32(300);
    start.registry.devices[1].digest = world::token(53);
    world.give(&Input::Start(Box::new(start))).unwrap();
    assert_eq!(zone(&world.state), ZonePlace::Unknown);
}

#[test]
fn replay_and_snapshot_agree_about_tracks() {
    let (mut world, batch) = left();
    let bytes = world.state.encode();
    let folded = world.journal.len();
    world.wait(100);
    world.walk(50);
    world.wait(2_000);
    world.give(&Input::Tick).unwrap();
    world.walk(260);
    let effect = EffectId { seq: batch[3].seq, index: 0 };
    drop(world.answer(effect, AnswerChoice::Arrived));
    assert_eq!(world.replayed(), world.state);
    let mut resumed = State::decode(&bytes).unwrap();
    for recorded in &world.journal[folded..] {
        resumed.evolve(recorded);
    }
    assert_eq!(resumed, world.state);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_123),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn wherever_a_wearer_goes_replay_and_live_agree(
        steps in proptest::collection::vec((0..6_u8, 0..900_i32, 0..1_200_i64), 1..60),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut world = World::with_tracker();
        let mut snapshots = vec![(world.journal.len(), world.state.encode())];
        for (what, metres, seconds) in steps {
            world.wait(seconds);
            match what {
                0 => drop(world.give(&Input::Tick)),
                1 => drop(world.give(&Input::Start(Box::new(start_with_tracker())))),
                2 => {
                    let last = world.state.notices().keys().next_back().copied();
                    let Some(notice) = last else { continue };
                    let effect = EffectId { seq: notice.0, index: 0 };
                    drop(world.answer(effect, AnswerChoice::Arrived));
                }
                _ => drop(world.walk(metres)),
            }
            let exits = world.state.signals().values();
            let open = exits.filter(|signal| signal.is_about_zone() && signal.ended.is_none());
            let outside = zone(&world.state) == ZonePlace::Outside;
            prop_assert!(open.filter(|signal| signal.restored_at.is_none()).count() <= usize::from(outside));
            snapshots.push((world.journal.len(), world.state.encode()));
        }
        prop_assert_eq!(&world.replayed(), &world.state);
        let (folded, bytes) = cut.get(&snapshots);
        let mut resumed = State::decode(bytes).unwrap();
        for recorded in &world.journal[*folded..] {
            resumed.evolve(recorded);
        }
        prop_assert_eq!(&resumed, &world.state);
    }
}
