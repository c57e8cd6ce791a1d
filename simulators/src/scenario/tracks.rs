//! 17:08, T03 leaves home in Yotsukura; a carer is told, goes and finds the wearer.

use serde_json::Value;

use super::evening::Play;
use super::eventually;
use crate::desk::list;
use crate::devices::watch::Place;
use crate::http::request;
use crate::tracker::Tracker;

/// T03 of the demo's register: watch, home, and how far away its wearer is seen next, in metres: out
/// of the zone at a single glance, and not so far that nobody can have gone there in a second.
const WATCH: &str = "8800000003";
const HOME: Place = Place::new(371_060_000, 1_409_589_000);
const AWAY_M: i32 = 450;

pub(super) async fn leaves_home(play: &Play<'_>) {
    play.clock.minute(8).await;
    let stage = play.stage;
    let mut tracker = Tracker::new(stage.watch, WATCH);
    let at_home = tracker.start().await.is_ok() && tracker.walk_to(HOME).await.is_ok();
    let away = tracker.walk_to(HOME.moved(AWAY_M, 0)).await.is_ok();
    let left = eventually(|| async { of_watch(play).await }).await;
    play.say(
        "tracker T03 leaves its safe zone in Yotsukura and is on the list",
        at_home && away && left.is_some_and(|signal| signal["alarm"] == "left_zone"),
    );
    let mails = eventually(|| async {
        let mails = stage.mails(play.mails).await?;
        let told: Vec<Value> =
            mails.into_iter().filter(|mail| to_carer(mail) && mail["link"].is_string()).collect();
        (told.len() >= 2).then_some(told)
    });
    let mails = mails.await.unwrap_or_default();
    play.say("both carers have a mail with an answer link", mails.len() == 2);
    play.clock.minute(30).await;
    let link = mails.first().and_then(|mail| mail["link"].as_str()).unwrap_or_default().to_owned();
    let answered = request(&link, Some("answer=arrived")).await;
    let closed = eventually(|| async {
        let signal = of_watch(play).await?;
        (signal["state"] == "ended").then_some(())
    });
    play.say(
        "a carer who is there closes it by the link",
        answered.is_ok_and(|answer| answer.status == 200) && closed.await.is_some(),
    );
}

async fn of_watch(play: &Play<'_>) -> Option<Value> {
    let state = play.desk.state().await.ok()?;
    let source = format!("watch:{WATCH}");
    let of_it = |signal: &&Value| signal["device"] == source.as_str() && play.is_new(signal);
    list(&state, "signals").iter().find(of_it).cloned()
}

fn to_carer(mail: &Value) -> bool {
    let to = mail["to"].as_array().into_iter().flatten().filter_map(Value::as_str);
    to.into_iter().any(|address| address.contains("carer"))
}
