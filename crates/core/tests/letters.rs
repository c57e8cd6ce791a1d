//! Notices of a person to a group: who may send them, how many get them, what replaces what.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use hansho_core::{RecipientStatus, State};
use hansho_model::{
    AnswerChoice, CommandKind, DistrictId, Effect, EffectId, EffectOutcome, Event, Input, Letter,
    MailContent, NoticeId, NoticeKind, Outcome, OutcomeDetail, PublicText, RefusalCode, Replacing,
    Role, Sealed, SendNotice, Severity,
};
use world::{World, sealed, start_with_group};

/// So many sealed bytes.
fn words(count: usize) -> Sealed {
    sealed(&"x".repeat(count))
}

fn letter() -> Letter {
    Letter {
        group: "all".to_owned(),
        kind: NoticeKind::CallOut,
        drill: false,
        subject: words(60),
        text: words(60),
        incident: None,
        replaces: None,
        public: None,
    }
}

fn send(letter: Letter, count: Option<u32>) -> CommandKind {
    CommandKind::SendNotice(Box::new(SendNotice { letter, count, minutes: 60 }))
}

fn replacing(notice: NoticeId, how: Replacing) -> CommandKind {
    send(Letter { replaces: Some((notice, how)), ..letter() }, None)
}

/// The notice that the last command ordered.
fn newest(world: &World) -> NoticeId {
    *world.state.notices().last_key_value().unwrap().0
}

fn statuses(state: &State, notice: NoticeId) -> Vec<RecipientStatus> {
    state.notices()[&notice].recipients.iter().map(|each| each.status).collect()
}

fn mail(notice: NoticeId, index: u32) -> EffectId {
    EffectId { seq: notice.0, index }
}

fn attempt(world: &mut World, id: EffectId) {
    world.give(&Input::Attempt(vec![id])).unwrap();
}

fn settle(world: &mut World, id: EffectId, outcome: Outcome) {
    let attempt = world.state.owed()[&id].attempts;
    let detail = OutcomeDetail::default();
    let outcome = EffectOutcome { effect: id, attempt, outcome, detail };
    world.give(&Input::Outcome(vec![outcome])).unwrap();
}

fn deliver(world: &mut World, id: EffectId) {
    attempt(world, id);
    settle(world, id, Outcome::Done);
}

fn refused(world: &mut World, role: Role, kind: CommandKind) -> RefusalCode {
    world.command(role, kind).unwrap_err().code
}

#[test]
fn each_member_with_an_address_gets_one_mail_and_the_count_must_be_right() {
    let mut world = World::with_group();
    let group = world.state.groups()["all"].clone();
    // One shares a mailbox with another, and one has none.
    assert_eq!((group.members.len(), world.state.count_of_group(&group)), (5, 3));
    let wrong = send(letter(), Some(4));
    assert_eq!(refused(&mut world, Role::Dispatcher, wrong), RefusalCode::CountChanged);
    assert_eq!(
        refused(&mut world, Role::Dispatcher, send(letter(), None)),
        RefusalCode::CountChanged
    );
    world.command(Role::Dispatcher, send(letter(), Some(3))).unwrap();
    let notice = newest(&world);
    assert_eq!(statuses(&world.state, notice), [RecipientStatus::Queued; 3]);
    assert_eq!(world.state.owed().len(), 3);
    for index in 0..3 {
        let Some(Effect::Mail(mail)) = world.state.effect(mail(notice, index)) else { panic!() };
        let MailContent::Letter(to) = mail.content else { panic!() };
        assert_eq!((to.letter.text, to.earlier), (words(60), None));
    }
    let erased = world.state.notices()[&notice].recipients[0].recipient.person;
    world.command(Role::Administrator, CommandKind::ErasePerson { person: erased }).unwrap();
    assert_eq!(world.state.count_of_group(&group), 2);
    assert!(world.replayed() == world.state);
}

#[test]
fn who_may_not_send_is_refused_and_so_is_what_does_not_fit() {
    let mut world = World::with_group();
    for role in [Role::Viewer, Role::Administrator, Role::Crew, Role::DisasterManager] {
        let wanted = send(letter(), Some(3));
        assert_eq!(refused(&mut world, role, wanted), RefusalCode::Forbidden, "{role}");
    }
    let public = PublicText {
        headline: "建物火災".to_owned(),
        text: "煙が見えます。".to_owned(),
        districts: vec![DistrictId(1)],
        severity: Severity::Moderate,
    };
    let published = Letter { public: Some(public.clone()), ..letter() };
    let wanted = send(published.clone(), Some(3));
    assert_eq!(refused(&mut world, Role::Dispatcher, wanted), RefusalCode::Forbidden);
    let nowhere = PublicText { districts: Vec::new(), ..public.clone() };
    let beyond = PublicText { districts: vec![DistrictId(14)], ..public.clone() };
    let twice = PublicText { districts: vec![DistrictId(1), DistrictId(1)], ..public };
    for public in [nowhere, beyond, twice] {
        let wanted = send(Letter { public: Some(public), ..letter() }, Some(3));
        assert_eq!(refused(&mut world, Role::Supervisor, wanted), RefusalCode::Invalid);
    }
    let long = words(2_041);
    for wrong in [
        Letter { text: long.clone(), ..letter() },
        Letter { subject: words(241), ..letter() },
        Letter { text: words(40), ..letter() },
    ] {
        let wanted = send(wrong, Some(3));
        assert_eq!(refused(&mut world, Role::Supervisor, wanted), RefusalCode::Invalid);
    }
    let fits = Letter { text: words(2_040), subject: words(240), ..letter() };
    world.command(Role::Supervisor, send(fits, Some(3))).unwrap();
    world.command(Role::Supervisor, send(published, Some(3))).unwrap();
    let unknown = Letter { group: "nobody".to_owned(), ..letter() };
    let wanted = send(unknown, Some(3));
    assert_eq!(refused(&mut world, Role::Supervisor, wanted), RefusalCode::NotFound);
}

#[test]
fn a_correction_stops_what_has_not_gone_and_says_to_each_what_he_had() {
    let mut world = World::with_group();
    world.command(Role::Dispatcher, send(letter(), Some(3))).unwrap();
    let first = newest(&world);
    deliver(&mut world, mail(first, 0));
    attempt(&mut world, mail(first, 1));
    world.command(Role::Dispatcher, replacing(first, Replacing::Correction)).unwrap();
    let second = newest(&world);
    assert_eq!(world.state.notices()[&first].replaced_by(), Some(second));
    use RecipientStatus::{Accepted, Queued, Stopped};
    assert_eq!(statuses(&world.state, first), [Accepted, Queued, Stopped]);
    assert!(!world.told.contains(&mail(first, 2)) && world.told.contains(&mail(second, 2)));
    let earlier: Vec<_> =
        world.state.notices()[&second].recipients.iter().map(|each| each.earlier).collect();
    assert_eq!(earlier, [Some(mail(first, 0)), Some(mail(first, 1)), None]);
    // What was under way and failed is not tried again.
    settle(&mut world, mail(first, 1), Outcome::Failed);
    assert!(world.state.owed().keys().all(|id| id.seq == second.0));
    let again = replacing(first, Replacing::Correction);
    assert_eq!(refused(&mut world, Role::Dispatcher, again), RefusalCode::AlreadyReplaced);
    assert!(world.replayed() == world.state);
}

#[test]
fn a_withdrawal_goes_to_those_alone_who_may_have_the_first() {
    let mut world = World::with_group();
    world.command(Role::Dispatcher, send(letter(), Some(3))).unwrap();
    let first = newest(&world);
    deliver(&mut world, mail(first, 0));
    attempt(&mut world, mail(first, 1));
    settle(&mut world, mail(first, 1), Outcome::Uncertain);
    world.command(Role::Dispatcher, replacing(first, Replacing::Withdrawal)).unwrap();
    let second = newest(&world);
    let told = &world.state.notices()[&second].recipients;
    let told: Vec<_> = told.iter().map(|each| each.earlier.unwrap().index).collect();
    assert_eq!(told, [0, 1]);
    assert!(world.replayed() == world.state);
}

#[test]
fn nobody_has_it_so_nobody_is_told_and_that_is_said() {
    let mut world = World::with_group();
    world.command(Role::Dispatcher, send(letter(), Some(3))).unwrap();
    let first = newest(&world);
    let withdrawal = replacing(first, Replacing::Withdrawal);
    world.command(Role::Dispatcher, withdrawal).unwrap();
    assert_eq!(statuses(&world.state, first), [RecipientStatus::Stopped; 3]);
    assert!(world.state.owed().is_empty());
    assert!(world.replayed() == world.state);
}

#[test]
fn what_the_public_has_read_is_corrected_for_it_and_withdrawn_from_it() {
    let mut world = World::with_group();
    let public = PublicText {
        headline: "建物火災".to_owned(),
        text: "煙が見えます。".to_owned(),
        districts: vec![DistrictId(2)],
        severity: Severity::Moderate,
    };
    let published = Letter { public: Some(public.clone()), ..letter() };
    world.command(Role::Supervisor, send(published.clone(), Some(3))).unwrap();
    let first = newest(&world);
    let silent = replacing(first, Replacing::Correction);
    assert_eq!(refused(&mut world, Role::Supervisor, silent), RefusalCode::Invalid);
    // A dispatcher may withdraw what he could not publish: at once matters more than by whom.
    world.command(Role::Dispatcher, replacing(first, Replacing::Withdrawal)).unwrap();
    let withdrawn = world.state.notices()[&newest(&world)].letter().unwrap().public.clone();
    assert_eq!(withdrawn, Some(public));
}

#[test]
fn a_drill_stays_a_drill() {
    let mut world = World::with_group();
    let drill = Letter { drill: true, ..letter() };
    world.command(Role::Dispatcher, send(drill, Some(3))).unwrap();
    let first = newest(&world);
    let real = replacing(first, Replacing::Correction);
    assert_eq!(refused(&mut world, Role::Dispatcher, real), RefusalCode::Invalid);
    let replaces = Some((first, Replacing::Correction));
    let drill = Letter { drill: true, replaces, ..letter() };
    world.command(Role::Dispatcher, send(drill, None)).unwrap();
    assert!(world.state.notices()[&newest(&world)].letter().unwrap().drill);
}

#[test]
fn who_has_answered_is_asked_no_second_time_and_an_old_link_leads_to_the_newest() {
    let mut world = World::with_group();
    world.command(Role::Dispatcher, send(letter(), Some(3))).unwrap();
    let first = newest(&world);
    deliver(&mut world, mail(first, 0));
    world.answer(mail(first, 0), AnswerChoice::Coming).unwrap();
    world.command(Role::Dispatcher, replacing(first, Replacing::Correction)).unwrap();
    let second = newest(&world);
    assert_eq!(world.state.newest_mail(mail(first, 0)), mail(second, 0));
    assert_eq!(world.state.newest_mail(mail(first, 2)), mail(first, 2), "he has no older one");
    let said = |world: &World, index: usize| {
        let recipient = &world.state.notices()[&second].recipients[index];
        world.state.last_answer(recipient).map(|answer| answer.choice)
    };
    assert_eq!((said(&world, 0), said(&world, 1)), (Some(AnswerChoice::Coming), None));
    world.answer(mail(second, 0), AnswerChoice::Cannot).unwrap();
    assert_eq!(said(&world, 0), Some(AnswerChoice::Cannot));
    assert!(world.replayed() == world.state);
}

#[test]
fn a_group_that_changed_is_registered_anew_and_one_that_is_gone_is_withdrawn() {
    let mut world = World::with_group();
    let mut start = start_with_group();
    start.registry.groups[0].members.truncate(1);
    start.registry.groups[0].digest.0[0] ^= 1;
    world.give(&Input::Start(Box::new(start.clone()))).unwrap();
    assert_eq!(world.state.count_of_group(&world.state.groups()["all"]), 1);
    start.registry.groups.clear();
    world.give(&Input::Start(Box::new(start))).unwrap();
    assert!(world.state.groups().is_empty());
    let withdrawn =
        |each: &hansho_model::Recorded| matches!(each.event, Event::GroupWithdrawn { .. });
    assert_eq!(world.journal.iter().filter(|each| withdrawn(each)).count(), 1);
}
