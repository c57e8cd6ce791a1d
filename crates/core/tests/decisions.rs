//! What the core decides, refusals as much as successes.

mod world;

use hansho_core::{RecipientStatus, SignalState};
use hansho_model::{
    AlarmClass, AlarmKind, AnswerChoice, CommandKind, DistrictId, Effect, FrameFault, IncidentId,
    IncidentKind, IncidentOutcome, Input, Lane, MailContent, Outcome, Phase, Place, RefusalCode,
    Role, SealedReport, SignalId, SignalOutcome,
};
use world::{World, finding, names, press, refused, report, sealed, seq_of, start, token};

fn open(signals: Vec<SignalId>) -> CommandKind {
    CommandKind::OpenIncident {
        signals,
        kind: IncidentKind::Ems,
        subkind: None,
        place: Place::default(),
        place_text: None,
    }
}

#[test]
fn a_press_becomes_a_signal_and_a_mail_to_each_helper() {
    let mut world = World::started();
    let batch = world.report(press(1)).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalReceived", "NoticeOrdered"]);
    assert_eq!(batch[1].cause, Some(batch[0].seq));
    assert_eq!(batch[2].cause, Some(batch[1].seq));
    let signal = &world.state.signals()[&SignalId(batch[1].seq)];
    assert_eq!(
        (signal.state, signal.presses, signal.alarm),
        (SignalState::Ringing, 1, AlarmKind::Help)
    );
    assert_eq!(world.state.owed().len(), 2);
    let Some(Effect::Mail(mail)) = world.state.effect(world.first_effect()) else { panic!() };
    let MailContent::Alarm { facts, .. } = &mail.content else { panic!() };
    assert_eq!(facts.district, Some(DistrictId(2)));
}

#[test]
fn the_same_message_again_is_answered_with_the_first_event() {
    let mut world = World::started();
    let first = world.report(press(1)).unwrap();
    world.wait(5);
    let refusal = world.report(press(1)).unwrap_err();
    assert_eq!((refusal.code, refusal.original), (RefusalCode::Duplicate, Some(first[0].seq)));
    assert_eq!(world.state.signals().len(), 1);
}

#[test]
fn a_press_while_one_is_open_adds_to_it_and_mails_nobody_twice() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let mut second = press(2);
    second.findings = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "004")];
    let batch = world.report(second).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalRepeated"]);
    let signal = world.state.signals().values().next().unwrap();
    assert_eq!(
        (signal.presses, signal.zones.as_slice()),
        (2, ["003".to_owned(), "004".to_owned()].as_slice())
    );
    assert_eq!(world.state.notices().len(), 1);
}

#[test]
fn a_fire_after_a_press_stands_beside_it() {
    let mut world = World::started();
    let call = |sequence, class, kind| {
        report("dc09:4901", sequence, vec![finding(class, kind, Phase::New, "003")])
    };
    let kinds = |world: &World| {
        let signal = world.state.signals().values().next().unwrap();
        let kinds: Vec<_> = signal.findings.iter().map(|finding| finding.kind).collect();
        (signal.alarm, kinds)
    };
    world.report(call(1, AlarmClass::Check, AlarmKind::Inactivity)).unwrap();
    world.report(call(2, AlarmClass::Life, AlarmKind::Help)).unwrap();
    let both = vec![AlarmKind::Help, AlarmKind::Inactivity];
    assert_eq!(kinds(&world), (AlarmKind::Help, both), "the more urgent one goes first");
    world.report(call(3, AlarmClass::Life, AlarmKind::Fire)).unwrap();
    world.report(call(4, AlarmClass::Life, AlarmKind::Fire)).unwrap();
    let all = vec![AlarmKind::Help, AlarmKind::Fire, AlarmKind::Inactivity];
    assert_eq!(kinds(&world), (AlarmKind::Help, all));
}

#[test]
fn helpers_are_told_when_a_mild_call_turns_grave() {
    let mut world = World::started();
    let mild = finding(AlarmClass::Check, AlarmKind::Inactivity, Phase::New, "030");
    let batch = world.report(report("dc09:4901", 1, vec![mild])).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalReceived"]);
    let grave = names(&world.report(press(2)).unwrap());
    assert_eq!(grave, ["ReportReceived", "SignalRepeated", "NoticeOrdered"]);
    assert_eq!(names(&world.report(press(3)).unwrap()), ["ReportReceived", "SignalRepeated"]);
    let signal = world.state.signals().values().next().unwrap();
    assert_eq!(signal.notices.len(), 1);
}

#[test]
fn two_grave_findings_in_one_report_tell_the_helpers_once() {
    let mut world = World::started();
    let help = finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "003");
    let fall = finding(AlarmClass::Life, AlarmKind::Fall, Phase::New, "003");
    let batch = world.report(report("dc09:4901", 1, vec![help, fall])).unwrap();
    let ordered = names(&batch).iter().filter(|name| **name == "NoticeOrdered").count();
    assert_eq!(ordered, 1);
}

#[test]
fn a_restore_is_noted_and_never_closes_a_call_for_help() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let restore = report(
        "dc09:4901",
        2,
        vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::Restored, "003")],
    );
    assert_eq!(names(&world.report(restore).unwrap()), ["ReportReceived", "SignalRepeated"]);
    let cancel =
        report("dc09:4901", 3, vec![finding(AlarmClass::Note, AlarmKind::Cancel, Phase::New, "")]);
    world.report(cancel).unwrap();
    let signal = world.state.signals().values().next().unwrap();
    assert_eq!(signal.state, SignalState::Ringing);
    assert!(signal.restored_at.is_some());
}

#[test]
fn a_number_used_again_after_its_signal_ended_is_a_new_call() {
    let mut world = World::started();
    let first = world.report(press(1)).unwrap();
    let signal = SignalId(first[1].seq);
    let outcome = SignalOutcome::Mistake;
    world
        .command(Role::Dispatcher, CommandKind::EndSignal { signal, outcome, reason: None })
        .unwrap();
    world.wait(60);
    assert_eq!(world.report(press(1)).unwrap_err().code, RefusalCode::Duplicate, "a late retry");
    world.wait(11 * 60);
    assert!(names(&world.report(press(1)).unwrap()).contains(&"SignalReceived"), "counts anew");
}

#[test]
fn heartbeats_in_between_do_not_make_a_second_call_a_repeat_of_the_first() {
    let mut world = World::started();
    let first = world.report(press(1)).unwrap();
    let signal = SignalId(first[1].seq);
    let beat = || SealedReport { device_key: Vec::new(), ..report("dc09:4901", 0, Vec::new()) };
    let hour = |world: &mut World| {
        for _ in 0..40 {
            world.wait(90);
            world.report(beat()).unwrap();
        }
    };
    hour(&mut world);
    let batch = world.report(press(1)).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalRepeated"], "it is open: a press more");
    let outcome = SignalOutcome::Mistake;
    world
        .command(Role::Dispatcher, CommandKind::EndSignal { signal, outcome, reason: None })
        .unwrap();
    world.wait(599);
    assert_eq!(world.report(press(1)).unwrap_err().code, RefusalCode::Duplicate, "a late retry");
    hour(&mut world);
    assert!(names(&world.report(press(1)).unwrap()).contains(&"SignalReceived"), "a new call");
}

#[test]
fn a_device_nobody_registered_is_shown_and_mails_nobody() {
    let mut world = World::started();
    let mut stranger = press(1);
    stranger.source = "dc09:BEEF".to_owned();
    let batch = world.report(stranger).unwrap();
    assert_eq!(names(&batch), ["SourceNamed", "ReportReceived", "SignalReceived"]);
    let source = world.state.source("dc09:BEEF").unwrap();
    assert!(world.state.devices()[&source].entry.is_none());
}

#[test]
fn a_refused_call_for_help_is_shown_and_moves_nobody() {
    let mut world = World::started();
    let help = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "003")];
    let batch =
        world.report(refused("dc09:4901", 1, FrameFault::EncryptionRequired, help)).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalReceived", "FaultRaised"]);
    assert!(world.state.notices().is_empty());
}

#[test]
fn helpers_are_told_by_the_first_press_that_can_be_trusted() {
    // A clock that is wrong: the answer sets it, and the device presses once more.
    let mut world = World::started();
    let help = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "003")];
    world.report(refused("dc09:4901", 1, FrameFault::TimestampOutOfWindow, help)).unwrap();
    let signal = |world: &World| world.state.signals().values().next().unwrap().clone();
    assert!(signal(&world).refused && world.state.notices().is_empty());
    let batch = world.report(press(2)).unwrap();
    assert_eq!(
        names(&batch),
        ["ReportReceived", "SignalRepeated", "NoticeOrdered", "FaultCleared"]
    );
    assert!(!signal(&world).refused, "it is trusted now");
    let batch = world.report(press(3)).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalRepeated"], "nobody is told twice");
    // Something less than a call was open.
    let mut world = World::started();
    let check = vec![finding(AlarmClass::Check, AlarmKind::NoReport, Phase::New, "")];
    world.report(SealedReport { lane: Lane::A, ..report("dc09:4901", 1, check) }).unwrap();
    assert!(world.state.notices().is_empty());
    let batch = world.report(press(2)).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "SignalRepeated", "NoticeOrdered"]);
    assert_eq!(signal(&world).notices.len(), 1);
}

#[test]
fn refused_reports_are_journalled_six_times_a_minute_then_counted() {
    let mut world = World::started();
    for sequence in 0..6 {
        world.report(refused("dc09:4901", sequence, FrameFault::BadPayload, Vec::new())).unwrap();
    }
    let seventh = refused("dc09:4901", 7, FrameFault::BadPayload, Vec::new());
    assert_eq!(world.report(seventh.clone()).unwrap_err().code, RefusalCode::RateLimited);
    let help = vec![finding(AlarmClass::Life, AlarmKind::Help, Phase::New, "003")];
    world.report(refused("dc09:4901", 8, FrameFault::UnknownAccount, help)).unwrap();
    world.wait(60);
    world.report(seventh).unwrap();
}

#[test]
fn a_wrong_clock_is_a_fault_until_a_good_frame_comes() {
    let mut world = World::started();
    let batch = world
        .report(refused("dc09:4901", 1, FrameFault::TimestampOutOfWindow, Vec::new()))
        .unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "FaultRaised"]);
    let source = world.state.source("dc09:4901").unwrap();
    let fault = world.state.devices()[&source].faults.first().unwrap();
    assert_eq!(fault.kind, AlarmKind::Clock);
    let batch = world.report(report("dc09:4901", 2, Vec::new())).unwrap();
    assert_eq!(names(&batch), ["ReportReceived", "FaultCleared"]);
    assert!(world.state.devices()[&source].faults.is_empty());
}

#[test]
fn a_fault_is_raised_once_and_cleared_by_its_restore() {
    let mut world = World::started();
    let mains = |phase| vec![finding(AlarmClass::Fault, AlarmKind::Mains, phase, "000")];
    let raised = world.report(report("dc09:4901", 1, mains(Phase::New))).unwrap();
    assert_eq!(names(&raised), ["ReportReceived", "FaultRaised"]);
    let still = world.report(report("dc09:4901", 2, mains(Phase::Still))).unwrap();
    assert_eq!(names(&still), ["ReportReceived"]);
    let cleared = world.report(report("dc09:4901", 3, mains(Phase::Restored))).unwrap();
    assert_eq!(names(&cleared), ["ReportReceived", "FaultCleared"]);
    assert!(world.state.signals().is_empty());
}

#[test]
fn a_device_that_invents_zones_has_a_limit() {
    let mut world = World::started();
    for zone in 0..200_u16 {
        let zone_text = zone.to_string();
        let fault = finding(AlarmClass::Fault, AlarmKind::Mains, Phase::New, &zone_text);
        world.report(report("dc09:4901", zone, vec![fault])).unwrap();
    }
    let source = world.state.source("dc09:4901").unwrap();
    assert_eq!(world.state.devices()[&source].faults.len(), hansho_core::limits::FAULTS);
}

#[test]
fn a_signal_goes_from_ringing_through_an_incident_to_its_end() {
    let mut world = World::started();
    let pressed = world.report(press(1)).unwrap();
    let signal = SignalId(pressed[1].seq);
    let claim = CommandKind::AcknowledgeSignal { signal, position: "desk1".to_owned() };
    let batch = world.command(Role::Dispatcher, claim.clone()).unwrap();
    assert_eq!(names(&batch), ["SourceNamed", "SignalAcknowledged"]);
    assert_eq!(
        world.command(Role::Dispatcher, claim).unwrap_err().code,
        RefusalCode::AlreadyAnswered
    );

    let batch = world.command(Role::Dispatcher, open(vec![signal])).unwrap();
    assert_eq!(names(&batch), ["IncidentOpened", "SignalJoined", "SignalEnded"]);
    let incident = IncidentId(batch[0].seq);
    let record = &world.state.incidents()[&incident];
    assert_eq!(record.number, "1123-1");
    assert_eq!(record.place.position.unwrap().lat.e7(), 369_650_000, "centre of Onahama");
    assert!(!record.place.confirmed);
    assert_eq!(
        world.state.signals()[&signal].ended.as_ref().unwrap().outcome,
        SignalOutcome::NewIncident
    );

    let note = CommandKind::AddNote { incident, text: sealed("note") };
    world.command(Role::Dispatcher, note).unwrap();
    let outcome = IncidentOutcome::Handled;
    let close = CommandKind::CloseIncident { incident, outcome, note: None };
    world.command(Role::Dispatcher, close.clone()).unwrap();
    assert_eq!(world.command(Role::Dispatcher, close).unwrap_err().code, RefusalCode::AlreadyEnded);
    assert_eq!(world.state.incidents()[&incident].notes.len(), 1);
}

#[test]
fn an_incident_opened_before_the_call_was_claimed_claims_it() {
    let mut world = World::started();
    let pressed = world.report(press(1)).unwrap();
    let batch = world.command(Role::Supervisor, open(vec![SignalId(pressed[1].seq)])).unwrap();
    assert!(names(&batch).contains(&"SignalAcknowledged"));
}

#[test]
fn commands_that_cannot_be_done_are_refused_by_name() {
    let mut world = World::started();
    let pressed = world.report(press(1)).unwrap();
    let signal = SignalId(pressed[1].seq);
    let none = SignalId(pressed[0].seq);
    let mut refusal = |role, kind| world.command(role, kind).unwrap_err().code;
    assert_eq!(refusal(Role::Dispatcher, open(vec![none])), RefusalCode::NotFound);
    assert_eq!(refusal(Role::Dispatcher, open(vec![signal, signal])), RefusalCode::Invalid);
    assert_eq!(refusal(Role::Dispatcher, open(vec![signal; 65])), RefusalCode::Invalid);
    assert_eq!(refusal(Role::Viewer, open(vec![signal])), RefusalCode::Forbidden);
    let outcome = SignalOutcome::Joined;
    let end = CommandKind::EndSignal { signal, outcome, reason: None };
    assert_eq!(refusal(Role::Dispatcher, end), RefusalCode::Invalid);
    let far = CommandKind::OpenIncident {
        signals: vec![signal],
        kind: IncidentKind::Ems,
        subkind: None,
        place: Place { district: Some(DistrictId(99)), ..Place::default() },
        place_text: None,
    };
    assert_eq!(refusal(Role::Dispatcher, far), RefusalCode::Invalid);
    let long = CommandKind::AcknowledgeSignal { signal, position: "x".repeat(33) };
    assert_eq!(refusal(Role::Dispatcher, long), RefusalCode::Invalid);
    let erase = CommandKind::ErasePerson { person: hansho_model::PersonId(1) };
    assert_eq!(refusal(Role::Dispatcher, erase), RefusalCode::Forbidden);
}

#[test]
fn the_same_command_twice_has_the_effect_of_once() {
    let mut world = World::started();
    let pressed = world.report(press(1)).unwrap();
    let command = hansho_model::Command {
        id: hansho_model::CommandId([9; 16]),
        actor: hansho_model::Actor {
            source: "user:dispatcher1".to_owned(),
            role: Role::Dispatcher,
        },
        received_at: world.now,
        kind: open(vec![SignalId(pressed[1].seq)]),
    };
    let input = Input::Command(Box::new(command));
    let first = world.give(&input).unwrap();
    let again = world.give(&input).unwrap_err();
    assert_eq!(again.code, RefusalCode::Duplicate);
    assert_eq!(again.original, Some(seq_of(&first, "IncidentOpened")));
}

#[test]
fn a_mail_is_attempted_after_its_attempt_is_an_event_and_settled_once() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    world.attempt(effect).unwrap();
    assert_eq!(world.attempt(effect).unwrap_err().code, RefusalCode::NotDue);
    world.outcome(effect, 1, Outcome::Done, false).unwrap();
    assert_eq!(
        world.outcome(effect, 1, Outcome::Done, false).unwrap_err().code,
        RefusalCode::NotDue
    );
    assert_eq!(world.attempt(effect).unwrap_err().code, RefusalCode::NotDue);
    let recipient = &world.state.notices().values().next().unwrap().recipients[0];
    assert_eq!((recipient.status, recipient.attempts), (RecipientStatus::Accepted, 1));
}

#[test]
fn a_mail_that_certainly_failed_is_tried_again_after_2_5_10_20_40_seconds() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    for (attempt, delay) in (1_u16..).zip([2, 5, 10, 20, 40]) {
        world.attempt(effect).unwrap();
        world.outcome(effect, attempt, Outcome::Failed, true).unwrap();
        assert_eq!(world.attempt(effect).unwrap_err().code, RefusalCode::NotDue);
        world.wait(delay);
    }
    world.attempt(effect).unwrap();
    world.outcome(effect, 6, Outcome::Failed, true).unwrap();
    let recipient = &world.state.notices().values().next().unwrap().recipients[0];
    assert_eq!(recipient.status, RecipientStatus::Failed);
}

#[test]
fn a_refused_address_is_not_tried_again() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    world.attempt(effect).unwrap();
    world.outcome(effect, 1, Outcome::Failed, false).unwrap();
    assert!(!world.state.owed().contains_key(&effect));
}

#[test]
fn an_uncertain_mail_is_sent_once_more_and_never_called_failed() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    world.attempt(effect).unwrap();
    world.outcome(effect, 1, Outcome::Uncertain, false).unwrap();
    world.wait(2);
    world.attempt(effect).unwrap();
    world.outcome(effect, 2, Outcome::Uncertain, false).unwrap();
    assert!(!world.state.owed().contains_key(&effect), "one resend");
    let recipient = &world.state.notices().values().next().unwrap().recipients[0];
    assert_eq!((recipient.status, recipient.maybe_twice), (RecipientStatus::Uncertain, true));
}

#[test]
fn attempts_that_a_crash_cut_off_become_uncertain_at_the_next_start() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    world.attempt(effect).unwrap();
    let batch = world.give(&Input::Start(Box::new(start()))).unwrap();
    assert_eq!(names(&batch), ["CoreStarted", "EffectsSettled"]);
    let recipient = &world.state.notices().values().next().unwrap().recipients[0];
    assert_eq!(recipient.status, RecipientStatus::Uncertain);
    assert!(world.state.owed().contains_key(&effect), "it will be sent once more");
}

#[test]
fn a_mail_goes_out_however_often_the_core_is_killed_over_it() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    for delay in [2, 5, 10] {
        world.attempt(effect).unwrap();
        world.give(&Input::Start(Box::new(start()))).unwrap();
        assert_eq!(world.attempt(effect).unwrap_err().code, RefusalCode::NotDue);
        world.wait(delay);
    }
    world.attempt(effect).unwrap();
    world.outcome(effect, 4, Outcome::Done, false).unwrap();
    let recipient = &world.state.notices().values().next().unwrap().recipients[0];
    assert_eq!((recipient.status, recipient.maybe_twice), (RecipientStatus::Accepted, true));
}

#[test]
fn what_ended_first_is_dropped_first_however_old_its_number_is() {
    let mut world = World::started();
    let ring = |number: u16| SealedReport { source: format!("dc09:{number}"), ..press(number) };
    let end = |signal| {
        let outcome = SignalOutcome::Mistake;
        CommandKind::EndSignal { signal, outcome, reason: None }
    };
    let first = SignalId(seq_of(&world.report(ring(1)).unwrap(), "SignalReceived"));
    let mut others = Vec::new();
    for number in 2..=1_001 {
        let signal = SignalId(seq_of(&world.report(ring(number)).unwrap(), "SignalReceived"));
        world.command(Role::Dispatcher, end(signal)).unwrap();
        others.push(signal);
    }
    world.command(Role::Dispatcher, end(first)).unwrap();
    assert!(world.state.signals().contains_key(&first), "it has only just ended");
    assert!(!world.state.signals().contains_key(&others[0]));
    let read_back = hansho_core::State::decode(&world.state.encode()).unwrap();
    assert_eq!(read_back, world.state);
}

#[test]
fn a_notice_expires_by_a_tick_and_takes_no_answer_after_it() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    world.answer(effect, AnswerChoice::Coming).unwrap();
    assert!(world.give(&Input::Tick).unwrap().is_empty(), "nothing is due");
    world.wait(3_600);
    assert!(world.state.next_deadline().unwrap() <= world.now);
    assert_eq!(world.answer(effect, AnswerChoice::Late).unwrap_err().code, RefusalCode::Expired);
    assert_eq!(names(&world.give(&Input::Tick).unwrap()), ["NoticeExpired"]);
    assert!(world.state.owed().is_empty());
    assert_eq!(world.state.next_deadline(), None);
}

#[test]
fn a_mail_whose_notice_is_over_is_not_sent_even_before_the_tick() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    world.wait(3_600);
    world.give(&Input::Start(Box::new(start()))).unwrap();
    assert_eq!(world.attempt(effect).unwrap_err().code, RefusalCode::NotDue);
    world.give(&Input::Tick).unwrap();
    assert!(world.state.owed().is_empty());
}

#[test]
fn answers_are_kept_with_their_times_up_to_a_limit() {
    let mut world = World::started();
    world.report(press(1)).unwrap();
    let effect = world.first_effect();
    for _ in 0..20 {
        world.answer(effect, AnswerChoice::Late).unwrap();
    }
    assert_eq!(
        world.answer(effect, AnswerChoice::Coming).unwrap_err().code,
        RefusalCode::LimitReached
    );
    let nobody = hansho_model::EffectId { index: 7, ..effect };
    assert_eq!(world.answer(nobody, AnswerChoice::Coming).unwrap_err().code, RefusalCode::NotFound);
}

#[test]
fn an_unchanged_register_journals_only_the_start() {
    let mut world = World::started();
    let batch = world.give(&Input::Start(Box::new(start()))).unwrap();
    assert_eq!(names(&batch), ["CoreStarted"]);
    let mut changed = start();
    changed.registry.people[1].digest = token(77);
    changed.registry.devices.clear();
    let batch = world.give(&Input::Start(Box::new(changed))).unwrap();
    assert_eq!(names(&batch), ["CoreStarted", "PersonEntered", "DeviceWithdrawn"]);
    assert_eq!(world.state.epoch(), 3);
}

#[test]
fn an_erased_person_gets_no_mail_and_comes_not_back_with_the_register() {
    let mut world = World::started();
    let person = world.state.person_by_key("person-0002").unwrap();
    let batch = world.command(Role::Administrator, CommandKind::ErasePerson { person }).unwrap();
    let id = hansho_model::EffectId { seq: seq_of(&batch, "PersonErased"), index: 0 };
    assert!(matches!(world.state.effect(id), Some(Effect::DestroyKey(_))));
    world.report(press(1)).unwrap();
    assert_eq!(world.state.notices().values().next().unwrap().recipients.len(), 1);
    let batch = world.give(&Input::Start(Box::new(start()))).unwrap();
    assert_eq!(names(&batch), ["CoreStarted"]);
}

#[test]
fn a_call_from_an_erased_persons_device_still_moves_helpers() {
    let mut world = World::started();
    let person = world.state.person_by_key("person-0001").unwrap();
    assert!(world.state.erased_keys().is_empty());
    world.command(Role::Administrator, CommandKind::ErasePerson { person }).unwrap();
    let key = world.state.people()[&person].entry.name.key;
    assert!(world.state.erased_keys().contains(&key), "shown to nobody from here on");
    world.report(press(1)).unwrap();
    let Some(Effect::Mail(mail)) = world.state.effect(world.first_effect()) else { panic!() };
    let MailContent::Alarm { facts, .. } = &mail.content else { panic!() };
    assert_eq!((&facts.subscriber, &facts.address), (&None, &None), "cannot be opened");
    assert_eq!(facts.district, Some(DistrictId(2)));
}

#[test]
fn strangers_beyond_the_limit_share_one_name_and_one_limit() {
    let mut world = World::started();
    for number in 0..hansho_core::limits::SOURCES {
        let mut stranger = report("", 1, Vec::new());
        stranger.source = format!("dc09:S{number}");
        world.report(stranger).unwrap();
    }
    world.journal.clear();
    let stranger = |number: u16| {
        let bad = refused("", number, FrameFault::BadPayload, Vec::new());
        SealedReport { source: format!("dc09:T{number}"), ..bad }
    };
    for number in 0..6 {
        world.report(stranger(number)).unwrap();
    }
    assert!(world.state.source("dc09:others").is_some());
    assert_eq!(world.report(stranger(7)).unwrap_err().code, RefusalCode::RateLimited);
    let call = SealedReport { source: "dc09:T8".to_owned(), ..press(8) };
    assert!(names(&world.report(call).unwrap()).contains(&"SignalReceived"));
}

#[test]
fn a_key_is_destroyed_in_the_end_whatever_breaks_off() {
    let mut world = World::started();
    let person = world.state.person_by_key("person-0002").unwrap();
    let batch = world.command(Role::Administrator, CommandKind::ErasePerson { person }).unwrap();
    let id = hansho_model::EffectId { seq: seq_of(&batch, "PersonErased"), index: 0 };
    for attempt in 1..=12 {
        world.attempt(id).unwrap();
        match attempt % 3 {
            0 => world.outcome(id, attempt, Outcome::Uncertain, false).unwrap(),
            1 => world.outcome(id, attempt, Outcome::Failed, attempt == 1).unwrap(),
            // The core dies in the middle of it.
            _ => world.give(&Input::Start(Box::new(start()))).unwrap(),
        };
        assert!(world.state.effect(id).is_some(), "given up after attempt {attempt}");
        world.wait(60);
    }
    world.attempt(id).unwrap();
    world.outcome(id, 13, Outcome::Done, false).unwrap();
    assert!(world.state.owed().is_empty());
}

#[test]
fn two_helpers_with_one_address_get_one_mail() {
    let mut world = World::blank();
    let mut start = start();
    start.registry.people[2].mailboxes = start.registry.people[1].mailboxes.clone();
    world.give(&Input::Start(Box::new(start))).unwrap();
    world.report(press(1)).unwrap();
    assert_eq!(world.state.owed().len(), 1);
}

#[test]
fn a_log_in_lasts_until_its_time_is_over() {
    let mut world = World::started();
    let expires_at = world.now.checked_add(jiff::SignedDuration::from_hours(12)).unwrap();
    let log_in = CommandKind::OpenSession { token: token(9), expires_at };
    world.command(Role::Viewer, log_in).unwrap();
    assert!(world.state.session(&token(9), world.now).is_some());
    assert!(world.state.session(&token(9), expires_at).is_none());
    world.command(Role::Viewer, CommandKind::CloseSession { token: token(9) }).unwrap();
    assert!(world.state.session(&token(9), world.now).is_none());
}
