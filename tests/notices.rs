//! Notices of a person to a group at the real program, with a real mail server at its side: counted
//! before they go, answered by link, corrected, withdrawn, marked as what they are, and one to each
//! however often the core is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use hansho_protocols::cap::{self, MsgType, Status};
use hansho_simulators::mailbox::Caught;
use serde_json::{Value, json};

use crate::house::http::Client;
use crate::house::post::{Post, answer_path};
use crate::house::setup::Setup;
use crate::house::{House, pause, wait};

const SUBJECT: &str = "架空町 建物火災";
const TEXT: &str = "集合: 架空集会所\n道具: 可搬ポンプ";

/// A house with a group of so many members at domains that take mail.
fn house(post: &Post, members: usize) -> House {
    let mails = (0..members).map(|index| format!("member{index}@docomo.example.jp"));
    House::start_new(&Setup::default().with_relay(post.relay()).with_group(mails))
}

fn wanted(count: usize) -> Value {
    json!({
        "group": "all", "kind": "call_out", "drill": false, "subject": SUBJECT, "text": TEXT,
        "count": count, "minutes": 60,
    })
}

fn send(desk: &Client, wanted: &Value) -> String {
    let sent = desk.command("SendNotice", wanted).unwrap();
    assert_eq!(sent.status, 200, "{sent:?}");
    format!("n{}", sent.seq())
}

fn notice(desk: &Client, id: &str) -> Value {
    let state = desk.state();
    let notices = state["notices"].as_array().unwrap();
    notices.iter().find(|notice| notice["id"] == id).unwrap().clone()
}

fn wait_sent(desk: &Client, id: &str) -> Value {
    wait("the mails to be sent", || Some(notice(desk, id)).filter(|it| it["state"] == "sent"))
}

/// Mails by recipient.
fn by_member(mails: &[Caught]) -> BTreeMap<String, Vec<Caught>> {
    let mut found: BTreeMap<String, Vec<Caught>> = BTreeMap::new();
    for mail in mails {
        found.entry(mail.to[0].clone()).or_default().push(mail.clone());
    }
    found
}

#[test]
fn a_group_is_counted_told_once_and_answers_stand_on_the_console() {
    let post = Post::start();
    let house = house(&post, 12);
    let desk = house.client_of("dispatcher1");
    let group = desk.state()["groups"][0].clone();
    assert_eq!((&group["key"], &group["count"]), (&json!("all"), &json!(12)));
    let refused = desk.command("SendNotice", &wanted(11)).unwrap();
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(refused.code(), "count_changed");
    assert!(post.mails().is_empty());
    let id = send(&desk, &wanted(12));
    wait_sent(&desk, &id);
    let mails = post.wait(12);
    assert_eq!(by_member(&mails).len(), 12, "one each");
    for mail in &mails {
        assert_eq!(
            mail.subject,
            format!("【デモ・実際の災害ではありません】【出動指令】{SUBJECT}")
        );
        assert!(mail.text.starts_with("【デモ・実際の災害ではありません】"), "{}", mail.text);
        assert!(mail.text.contains("集合: 架空集会所\n道具"), "{}", mail.text);
    }
    // Scanners follow every link: that answers nothing. Then people do.
    let page = house.client();
    for (index, answer) in ["coming", "late.30", "cannot"].into_iter().enumerate() {
        let path = answer_path(&mails[index]);
        assert_eq!(page.get(&path).unwrap().status, 200);
        let silent = 12 - index;
        assert_eq!(notice(&desk, &id)["answers"]["silent"], silent);
        assert_eq!(page.post_form(&path, &format!("answer={answer}")).unwrap().status, 200);
    }
    let answers = wait("three answers", || {
        let answers = notice(&desk, &id)["answers"].clone();
        (answers["silent"] == 9).then_some(answers)
    });
    let wanted = json!({ "coming": 1, "late": 1, "cannot": 1, "arrived": 0, "silent": 9 });
    assert_eq!(answers, wanted);
    let viewer = house.client_of("viewer1").state();
    let letter = &viewer["notices"][0]["letter"];
    assert_eq!((&letter["subject"], &letter["kind"]), (&Value::Null, &json!("call_out")));
}

#[test]
fn a_correction_reaches_everybody_and_the_old_link_leads_to_it() {
    let post = Post::start();
    let house = house(&post, 5);
    let desk = house.client_of("dispatcher1");
    let first = send(&desk, &wanted(5));
    wait_sent(&desk, &first);
    let mails = post.wait(5);
    let page = house.client();
    let path = answer_path(&mails[0]);
    assert_eq!(page.post_form(&path, "answer=coming").unwrap().status, 200);
    let correction = json!({
        "group": "all", "kind": "call_out", "drill": false, "subject": SUBJECT,
        "text": "集合: 架空小学校", "replaces": first, "replacing": "correction", "minutes": 60,
    });
    let second = send(&desk, &correction);
    wait_sent(&desk, &second);
    let all = post.wait(10);
    for (member, mails) in by_member(&all) {
        let [_, newer] = mails.as_slice() else { panic!("{member} has {}", mails.len()) };
        assert!(newer.subject.contains("【訂正】【出動指令】"), "{}", newer.subject);
        assert!(newer.text.contains("集合: 架空小学校"), "{}", newer.text);
    }
    let shown = page.get(&path).unwrap();
    assert!(
        shown.text().contains("架空小学校") && !shown.text().contains("架空集会所"),
        "{shown:?}"
    );
    assert_eq!(notice(&desk, &second)["answers"]["coming"], 1, "who answered is not asked again");
    assert_eq!(page.post_form(&path, "answer=cannot").unwrap().status, 200);
    wait("the newer answer", || (notice(&desk, &second)["answers"]["cannot"] == 1).then_some(()));
    let withdrawal = json!({
        "group": "all", "kind": "call_out", "drill": false, "subject": SUBJECT,
        "text": "誤報でした。", "replaces": second, "replacing": "withdrawal", "minutes": 60,
    });
    let third = send(&desk, &withdrawal);
    wait_sent(&desk, &third);
    let last = post.wait(15);
    let told = last.iter().filter(|mail| mail.subject.contains("【取消】")).count();
    assert_eq!(told, 5);
    let shown = page.get(&path).unwrap();
    assert_eq!(shown.status, 410);
    assert!(shown.text().contains("取り消されました"), "{shown:?}");
    assert_eq!(page.post_form(&path, "answer=coming").unwrap().status, 410);
}

#[test]
fn what_has_not_gone_is_stopped_by_a_withdrawal_and_nobody_else_is_told() {
    let post = Post::start();
    // The relay never answers for this domain: their mails stay where they are.
    let mails = (0..40).map(|index| format!("member{index}@hang.example.jp"));
    let setup = Setup::default().with_relay(post.relay()).with_group(mails);
    let house = House::start_new(&setup);
    let desk = house.client_of("dispatcher1");
    let first = send(&desk, &wanted(40));
    wait("some to be under way", || (!post.mails().is_empty()).then_some(()));
    let withdrawal = json!({
        "group": "all", "kind": "call_out", "drill": false, "subject": SUBJECT,
        "text": "誤報でした。", "replaces": first, "replacing": "withdrawal", "minutes": 60,
    });
    let second = send(&desk, &withdrawal);
    let outcomes = notice(&desk, &first)["outcomes"].clone();
    let stopped = outcomes["stopped"].as_u64().unwrap();
    assert!(stopped >= 30, "{outcomes}");
    let told = notice(&desk, &second)["recipients"].as_array().unwrap().len() as u64;
    assert_eq!(told + stopped, 40, "those alone who may have the first");
}

#[test]
fn a_drill_says_so_in_every_mail_and_on_the_page() {
    let post = Post::start();
    let house = house(&post, 2);
    let desk = house.client_of("dispatcher1");
    let mut drill = wanted(2);
    drill["drill"] = json!(true);
    send(&desk, &drill);
    let mails = post.wait(2);
    for mail in &mails {
        assert!(mail.subject.ends_with("【訓練】"), "{}", mail.subject);
        assert!(mail.text.lines().take(2).any(|line| line == "【訓練】"), "{}", mail.text);
    }
    let page = house.client().get(&answer_path(&mails[0])).unwrap();
    assert!(page.text().contains("【訓練】"), "{page:?}");
}

#[test]
fn a_notice_to_many_outlives_kills_of_the_core_and_nobody_has_it_twice_unsaid() {
    let post = Post::start();
    let house = house(&post, 200);
    let id = send(&house.client_of("dispatcher1"), &wanted(200));
    for _kill in 0..4 {
        pause(Duration::from_millis(60));
        house.kill_core();
        house.wait_ready();
    }
    let desk = house.client_of("dispatcher1");
    let notice = wait_sent(&desk, &id);
    assert_eq!(notice["outcomes"]["accepted"], 200, "{}", notice["outcomes"]);
    let maybe_twice: BTreeMap<&str, bool> = notice["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| (each["name"].as_str().unwrap(), each["maybe_twice"] == true))
        .collect();
    let mails = post.mails();
    let members = by_member(&mails);
    assert_eq!(members.len(), 200, "nobody is left out");
    for (member, mails) in members.iter().filter(|(_, mails)| mails.len() > 1) {
        let number = member.trim_start_matches("member").split('@').next().unwrap();
        assert!(maybe_twice[format!("団員{number}の名").as_str()], "{member} has it twice, unsaid");
        assert!(mails.iter().all(|mail| mail.message_id == mails[0].message_id), "{mails:?}");
    }
}

#[test]
fn what_is_public_is_a_cap_alert_and_stands_in_the_feed_while_it_lives() {
    let post = Post::start();
    let house = house(&post, 2);
    let boss = house.client_of("supervisor1");
    let page = house.client();
    let feed = || page.get("/public/alerts.atom").unwrap();
    assert_eq!(feed().text().matches("<entry").count(), 0);
    let mut public = wanted(2);
    public["public"] = json!({
        "headline": "架空町で建物火災", "text": "煙が見えます。近づかないでください。",
        "districts": [2, 1], "severity": "moderate",
    });
    let desk = house.client_of("dispatcher1");
    let refused = desk.command("SendNotice", &public).unwrap();
    assert_eq!(refused.code(), "forbidden", "{refused:?}");
    let first = send(&boss, &public);
    let shown = wait("the entry", || Some(feed()).filter(|feed| feed.text().contains("<entry")));
    assert_eq!(shown.header("Content-Type"), Some("application/atom+xml; charset=utf-8"));
    let shown = shown.text();
    assert!(shown.contains("【デモ・実際の災害ではありません】架空町で建物火災"), "{shown}");
    let alert_of = |id: &str| page.get(&format!("/public/alerts/hansho-{id}.xml")).unwrap();
    assert!(shown.contains(&format!("/public/alerts/hansho-{first}.xml")), "{shown}");
    // What is read follows what is acknowledged by a moment.
    let read = |id: &str| {
        let found = wait("the alert", || Some(alert_of(id)).filter(|answer| answer.status == 200));
        cap::read(found.text().as_bytes()).unwrap()
    };
    let alert = read(&first);
    assert_eq!((alert.status, alert.kind.word()), (Status::Exercise, MsgType::Alert));
    let info = &alert.infos[0];
    let areas: Vec<&str> = info.areas.iter().map(|area| area.description.as_str()).collect();
    assert_eq!(areas, ["平", "小名浜"]);
    let description = info.description.as_ref().unwrap().as_str();
    assert!(description.starts_with("【デモ・実際の災害ではありません】"), "{description}");
    // What the crews read is not in it.
    let text = alert_of(&first).text();
    assert!(!text.contains("架空集会所") && !text.contains(SUBJECT), "{text}");

    let mut correction = public.clone();
    correction["replaces"] = json!(first);
    correction["replacing"] = json!("correction");
    correction["public"]["text"] = json!("火は消えました。");
    let second = send(&boss, &correction);
    let alert = read(&second);
    assert_eq!(alert.kind.word(), MsgType::Update);
    let references = alert.kind.references();
    assert_eq!(references[0].identifier.as_str(), format!("hansho-{first}"));
    assert_eq!(references[0].sent, read(&first).sent);
    let shown = feed().text();
    assert!(shown.contains(&second), "{shown}");
    assert_eq!(shown.matches("<entry").count(), 1, "the newer one stands for both: {shown}");

    let withdrawal = json!({
        "group": "all", "kind": "call_out", "drill": false, "subject": SUBJECT,
        "text": "誤報でした。", "replaces": second, "replacing": "withdrawal", "minutes": 60,
    });
    let third = send(&desk, &withdrawal);
    let cancel = read(&third);
    assert_eq!(cancel.kind.word(), MsgType::Cancel);
    assert!(cancel.infos[0].headline.as_ref().unwrap().as_str().contains("【取消】"));
    assert_eq!(feed().text().matches("<entry").count(), 1);
    // What is for a group alone is nobody else's.
    let private = send(&desk, &wanted(2));
    assert_eq!(alert_of(&private).status, 404);
    for nothing in ["hansho-n1", "hansho-nX", "n1", ""] {
        assert_eq!(page.get(&format!("/public/alerts/{nothing}.xml")).unwrap().status, 404);
    }
}
