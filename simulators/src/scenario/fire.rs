//! 17:10, a house burns in Onahama: eight callers, two alarms, the corps, the public, and its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::calls::{FIRE_CALLERS, dial, fires, of_the_fire, rings};
use super::evening::Play;
use super::eventually;
use crate::caller::{End, Plan};
use crate::desk::list;
use crate::http::request;
use crate::volunteer::{Shares, Tally};

/// The division that is called out, and how many of its members have a mail address.
const DIVISION: &str = "dan-2-3";

pub(super) async fn a_house_burns(play: &Play<'_>) {
    play.clock.minute(10).await;
    let Some(incident) = eight_callers(play).await else { return };
    first_alarm(play, &incident).await;
    play.clock.minute(12).await;
    let called = call_out(play, &incident).await;
    play.clock.minute(16).await;
    second_alarm(play, &incident).await;
    play.clock.minute(40).await;
    play.say("the fire is under control (鎮圧)", play.note(&incident, "鎮圧 17:40").await);
    play.clock.minute(65).await;
    all_clear(play, &incident, called.as_deref()).await;
    play.say(
        "the fire is out (鎮火); all go home and it is closed",
        play.close(&incident, "handled").await,
    );
}

/// Eight calls in four minutes, three of them placed by a mast alone: one incident.
async fn eight_callers(play: &Play<'_>) -> Option<String> {
    let (stage, desk) = (play.stage, &play.desk);
    let mut callers = JoinSet::new();
    for index in 0..FIRE_CALLERS {
        let plan = Plan { talk: Duration::from_millis(500), ..of_the_fire(index) };
        callers.spawn(dial(stage.sip, plan));
    }
    let all = |found: Vec<Value>| (found.len() == FIRE_CALLERS as usize).then_some(found);
    let ringing = eventually(|| async { all(fires(play, rings).await) }).await;
    let wide = ringing.as_deref().unwrap_or_default().iter();
    let wide = wide.filter(|signal| signal["location"]["method"] == "Cell").count();
    play.say("eight callers see one fire, three placed by a mast alone", wide == 3);
    // A person takes one after the other, and writes down before the next.
    for signal in ringing.unwrap_or_default() {
        desk.take(&signal).await.ok();
        let answered = eventually(|| async {
            fires(play, |each| each["id"] == signal["id"] && !rings(each)).await.pop()
        });
        if let Some(signal) = answered.await
            && let Ok(seq) = desk.write_down(&signal).await
        {
            desk.state_since(seq).await.ok();
        }
    }
    let written = |signal: &Value| signal["incident"].is_string();
    let signals = eventually(|| async { all(fires(play, written).await) }).await;
    let incident =
        signals.as_ref().and_then(|all| all.first()).map(|each| each["incident"].clone());
    let one = signals
        .is_some_and(|all| all.iter().all(|each| Some(&each["incident"]) == incident.as_ref()));
    let mut spoken = 0;
    while let Some(outcome) = callers.join_next().await {
        spoken += u32::from(outcome.is_ok_and(|outcome| matches!(outcome.end, End::HungUp)));
    }
    play.say("all eight are answered and become one incident", one && spoken == FIRE_CALLERS);
    incident?.as_str().map(str::to_owned)
}

async fn first_alarm(play: &Play<'_>, id: &str) {
    let desk = &play.desk;
    let advice = desk.recommendation(id).await.unwrap_or_default();
    let needed: Vec<&str> =
        list(&advice, "needs").iter().filter_map(|need| need["ability"].as_str()).collect();
    play.say(
        "the plan asks for command, pumps, rescue and an ambulance",
        ["command", "pump", "rescue", "ambulance"].iter().all(|each| needed.contains(each)),
    );
    let ordered = desk.order(id).await.unwrap_or_default();
    let gone = eventually(|| async {
        let state = desk.state().await.ok()?;
        let incident = list(&state, "incidents").iter().find(|each| each["id"] == id)?;
        let near = list(incident, "units").iter().any(|unit| unit == "小名浜1");
        let ordered = |each: &Value| each["times"]["AL"].is_string();
        (near && list(incident, "assignments").iter().all(ordered)).then_some(())
    });
    play.say(
        "what is recommended is ordered, the nearest units first",
        ordered && gone.await.is_some(),
    );
    let acknowledged = eventually(|| async {
        let state = desk.state().await.ok()?;
        let unit = list(&state, "units").iter().find(|unit| unit["id"] == "小名浜1")?;
        (unit["terminal"]["order_shown_at"].is_string() && unit["times"]["AK"].is_string())
            .then_some(())
    });
    play.say(
        "the order stands on the nearest unit's terminal, and its crew acknowledges",
        acknowledged.await.is_some(),
    );
}

/// 17:12, the division of the volunteers is called out by mail, and the public told.
async fn call_out(play: &Play<'_>, incident: &str) -> Option<String> {
    let state = play.desk.state().await.ok()?;
    let group = list(&state, "groups").iter().find(|group| group["key"] == DIVISION)?.clone();
    let count = group["count"].as_u64().unwrap_or_default();
    let mut notice = json!({
        "group": DIVISION, "kind": "call_out", "drill": false, "incident": incident,
        "subject": "小名浜住吉 一般建物火災", "count": count + 1,
        "minutes": play.clock.minutes_of_life(120),
        "text": "集合: 住吉集会所\n道具: 可搬ポンプ\n注意: 風下に入らない",
        "public": {
            "headline": "小名浜で建物火災", "severity": "moderate", "districts": [2],
            "text": "消防車が通ります。近づかないでください。",
        },
    });
    let supervisor = play.stage.seat("supervisor1");
    let wrong = supervisor.command("SendNotice", notice.clone()).await.is_err();
    notice["count"] = json!(count);
    let sent = supervisor.command("SendNotice", notice).await;
    let id = sent.as_ref().map(|seq| format!("n{seq}")).ok()?;
    play.say(
        "a notice whose count is not right is refused, and then goes to all of the division",
        wrong && count > 50,
    );
    let tally = Arc::new(Tally::default());
    let volunteers = play.stage.volunteers(Shares::DAY, 100, play.mails);
    let counting = Arc::clone(&tally);
    let reading = tokio::spawn(async move { volunteers.run(counting).await });
    let notice = eventually(|| async {
        let notice = self_notice(play, &id).await?;
        (notice["state"] == "sent").then_some(notice)
    });
    let outcomes = notice.await.unwrap_or_default()["outcomes"].clone();
    let accepted = outcomes["accepted"].as_u64().unwrap_or_default();
    let failed = outcomes["failed"].as_u64().unwrap_or_default();
    play.say(
        &format!("{accepted} of {count} mails are with the relay, {failed} failed and are said to"),
        accepted + failed == count && accepted > 50,
    );
    let answered = eventually(|| async {
        let answers = self_notice(play, &id).await?["answers"].clone();
        let said = |word: &str| answers[word].as_u64().unwrap_or_default();
        (said("coming") > 0 && said("late") > 0 && said("cannot") > 0 && said("silent") > 0)
            .then_some(())
    });
    play.say(
        "volunteers answer by their links, and who is silent is no \"cannot\"",
        answered.await.is_some(),
    );
    reading.abort();
    play.say("no link was answered in vain", tally.failed.load(Ordering::Relaxed) == 0);
    let feed = request(&format!("{}/public/alerts.atom", play.stage.console), None).await;
    let feed = feed.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    let alert = format!("{}/public/alerts/hansho-{id}.xml", play.stage.console);
    let alert = request(&alert, None).await;
    let alert = alert.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    play.say(
        "the public reads of it in the feed, as an exercise, and no street of it",
        feed.is_ok_and(|feed| feed.contains(&format!("hansho-{id}.xml")))
            && alert.is_ok_and(|alert| {
                alert.contains("<status>Exercise</status>") && !alert.contains("住吉集会所")
            }),
    );
    Some(id)
}

async fn self_notice(play: &Play<'_>, id: &str) -> Option<Value> {
    let state = play.desk.state().await.ok()?;
    list(&state, "notices").iter().find(|notice| notice["id"] == id).cloned()
}

/// 17:16, it is larger: pumps, lights, an ambulance more.
async fn second_alarm(play: &Play<'_>, incident: &str) {
    let before = play.units(incident).await;
    let state = play.desk.state().await.unwrap_or_default();
    let free = |unit: &&Value| unit["availability"] == "AV" && unit["status"].is_null();
    let near = ["泉1", "江名1", "平支援1", "泉救1", "内郷1"];
    let idle = list(&state, "units")
        .iter()
        .filter(|unit| free(unit) && !before.iter().any(|b| unit["id"] == b.as_str()));
    // Those are nearest; when the town is busy, others come.
    let (first, others): (Vec<&Value>, Vec<&Value>) =
        idle.map(|unit| &unit["id"]).partition(|id| near.iter().any(|name| **id == *name));
    let more: Vec<&Value> = first.into_iter().chain(others).take(3).collect();
    let body = json!({"incident": incident, "units": more, "reason": "第2出動"});
    let ordered = play.desk.command("OrderUnits", body).await.is_ok();
    // At a hundred times the speed of life the first of them may be home again by then.
    let came = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        let incident = list(&state, "incidents").iter().find(|each| each["id"] == incident)?;
        let rows = list(incident, "assignments");
        more.iter().all(|id| rows.iter().any(|row| row["unit"] == **id)).then_some(())
    });
    let came = came.await.is_some();
    play.say("the second alarm adds three units", ordered && more.len() == 3 && came);
}

/// 18:05, it is out: the division is sent home, and the public told that it is over.
async fn all_clear(play: &Play<'_>, incident: &str, called: Option<&str>) {
    let state = play.desk.state().await.unwrap_or_default();
    let group = list(&state, "groups").iter().find(|group| group["key"] == DIVISION);
    let count = group.map(|group| group["count"].clone()).unwrap_or_default();
    let notice = json!({
        "group": DIVISION, "kind": "all_clear", "drill": false, "incident": incident,
        "subject": "小名浜住吉 鎮火", "text": "18:05 鎮火。解散。", "count": count,
        "minutes": play.clock.minutes_of_life(60),
        "public": {
            "headline": "小名浜の火災は鎮火しました", "severity": "minor", "districts": [2],
            "text": "火は消えました。",
        },
    });
    let sent = play.stage.seat("supervisor1").command("SendNotice", notice).await;
    let id = sent.map(|seq| format!("n{seq}")).unwrap_or_default();
    let alert = format!("{}/public/alerts/hansho-{id}.xml", play.stage.console);
    let alert = eventually(|| async {
        let answer = request(&alert, None).await.ok().filter(|answer| answer.status == 200)?;
        Some(String::from_utf8_lossy(&answer.body).into_owned())
    });
    let alert = alert.await.unwrap_or_default();
    play.say(
        "the division is sent home; the public's alert is updated: all clear",
        alert.contains("<msgType>Update</msgType>")
            && alert.contains("<responseType>AllClear</responseType>")
            && called.is_some_and(|called| alert.contains(&format!("hansho-{called},"))),
    );
}
