//! The evening's calls to 119: an illness, the fire in Onahama, somebody who hangs up.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::evening::Play;
use super::eventually;
use crate::caller::{End, Outcome, Plan, call};
use crate::desk::{Desk, list};
use crate::devices::sip::{Place, Shape};
use crate::pendant::Link;

/// Callers of the fire; those from [`FIRE_CELLS`] on are placed by a mast alone.
pub(super) const FIRE_CALLERS: u32 = 8;
const FIRE_CELLS: u32 = 5;

/// Calls, and speaks for a while once answered.
pub(super) async fn dial(sip: SocketAddr, plan: Plan) -> Outcome {
    call(sip, Link::Udp, &plan).await
}

/// 17:02, somebody is ill in Taira; a handset that knows where it is within 42 m.
pub(super) fn illness() -> Plan {
    let place = Place { lat: 37.0504, lon: 140.8867, radius_m: 42, ..Place::default() };
    let service = "sos.ambulance".to_owned();
    Plan { tel: Some(tel(2)), service, place, talk: TALK, ..Plan::default() }
}

/// 17:10, a house burns in Onahama: one of those who see it.
pub(super) fn of_the_fire(index: u32) -> Plan {
    let cell = index >= FIRE_CELLS;
    let place = Place { lat: 36.9758, lon: 140.8861, ..Place::default() };
    let place = match cell {
        true => Place { radius_m: 900 + 200 * index % 700, method: "Cell".to_owned(), ..place },
        false => Place { radius_m: 12 + 9 * index, ..place },
    };
    let service = "sos.fire".to_owned();
    let plan = Plan { service, place, talk: TALK, ..Plan::default() };
    let plan = plan.of_one(index * 7 + 1, if cell { 600 } else { 120 });
    Plan { tel: Some(tel(10 + index)), ..plan }
}

/// A number and nothing else.
pub(super) fn without_a_place() -> Plan {
    let place = Place { shape: Shape::None, ..Place::default() };
    Plan { tel: Some(tel(30)), place, talk: TALK, ..Plan::default() }
}

/// 17:02: it rings, the desk answers, the two speak; its signal.
pub(super) async fn answered(play: &Play<'_>) -> Option<Value> {
    let desk = &play.desk;
    let plan = Plan { talk: Duration::from_millis(500), ..illness() };
    let calling = tokio::spawn(dial(play.stage.sip, plan));
    let signal = eventually(|| async { of_number(play, 2, rings).await }).await;
    let place = signal.as_ref().map(|signal| &signal["location"]);
    play.say(
        "a call to 119 rings on the console with its circle",
        place.is_some_and(|place| place["shape"] == "circle" && place["radius_m"] == 42),
    );
    let signal = signal.unwrap_or_default();
    let taken = desk.take(&signal).await.unwrap_or_default();
    let other = Desk { position: "desk2".to_owned(), ..desk.clone() };
    let second = other.take(&signal).await.unwrap_or_default();
    play.say("the desk answers it; a second desk is told so", taken && !second);
    let outcome = calling.await.ok();
    let spoke = |outcome: &Outcome| matches!(outcome.end, End::HungUp);
    let over = eventually(|| async {
        of_number(play, 2, |each| {
            each["call"]["state"] == "over" && each["call"]["connected_at"].is_string()
        })
        .await
    });
    let over = over.await;
    play.say(
        "the seat's phone rings, the two speak, the caller hangs up",
        outcome.as_ref().is_some_and(spoke) && over.is_some(),
    );
    over
}

/// 17:25, at Chuodai-Iino.
pub(super) async fn heart(play: &Play<'_>) -> Option<Value> {
    let place = Place { lat: 37.0154, lon: 140.9129, radius_m: 15, ..Place::default() };
    spoken(play, 40, place).await
}

/// 17:44, in Joban.
pub(super) async fn in_joban(play: &Play<'_>) -> Option<Value> {
    let place = Place { lat: 36.9952, lon: 140.8189, radius_m: 25, ..Place::default() };
    spoken(play, 41, place).await
}

/// Somebody calls for an ambulance and is spoken to; the signal.
async fn spoken(play: &Play<'_>, number: u32, place: Place) -> Option<Value> {
    let service = "sos.ambulance".to_owned();
    let talk = Duration::from_millis(500);
    let plan = Plan { tel: Some(tel(number)), service, place, talk, ..Plan::default() };
    let calling = tokio::spawn(dial(play.stage.sip, plan));
    let signal = eventually(|| async { of_number(play, number, rings).await }).await?;
    play.desk.take(&signal).await.ok()?;
    let outcome = calling.await.ok();
    let over = |each: &Value| each["call"]["state"] == "over";
    let signal = eventually(|| async { of_number(play, number, over).await }).await;
    let spoke = outcome.is_some_and(|outcome| matches!(outcome.end, End::HungUp));
    play.say(&format!("a call from {} is answered", tel(number)), spoke && signal.is_some());
    signal
}

/// 17:21, somebody hangs up too early.
pub(super) async fn given_up(play: &Play<'_>) {
    play.clock.minute(21).await;
    let desk = &play.desk;
    let hang_up_after = Some(Duration::from_millis(300));
    let plan = Plan { tel: Some(tel(21)), hang_up_after, ..illness() };
    let outcome = dial(play.stage.sip, plan).await;
    let abandoned = eventually(|| async {
        of_number(play, 21, |each| {
            each["state"] == "abandoned" && each["call"]["callback_due"].is_string()
        })
        .await
    });
    let signal = abandoned.await;
    play.say(
        "a caller who hangs up too early stays on the list, with a call-back due",
        matches!(outcome.end, End::Abandoned) && signal.is_some(),
    );
    let id = signal.unwrap_or_default()["id"].clone();
    let tried = desk.command("CallBack", json!({"signal": id, "outcome": "reached"})).await.is_ok();
    let end = json!({"signal": id, "outcome": "mistake"});
    let ended = desk.command("EndSignal", end).await.is_ok();
    let settled = eventually(|| async {
        of_number(play, 21, |each| {
            each["state"] == "ended" && list(&each["call"], "callbacks").len() == 1
        })
        .await
    });
    play.say("the call-back is written down", tried && ended && settled.await.is_some());
}

/// The newest signal of a caller that is so.
async fn of_number(play: &Play<'_>, number: u32, is: impl Fn(&Value) -> bool) -> Option<Value> {
    let state = play.desk.state().await.ok()?;
    let mut signals = list(&state, "signals").iter();
    signals
        .find(|each| play.is_new(each) && each["from"] == tel(number).as_str() && is(each))
        .cloned()
}

/// The signals of the fire that are so.
pub(super) async fn fires(play: &Play<'_>, is: impl Fn(&Value) -> bool) -> Vec<Value> {
    let state = play.desk.state().await.unwrap_or_default();
    let fire = |each: &&Value| {
        let callers = (10..10 + FIRE_CALLERS).map(tel);
        callers.into_iter().any(|tel| each["from"] == tel.as_str()) && play.is_new(each) && is(each)
    };
    list(&state, "signals").iter().filter(fire).cloned().collect()
}

pub(super) fn rings(signal: &Value) -> bool {
    signal["state"] == "ringing"
}

/// A number that belongs to nobody (demo-city: 090-0000-....).
fn tel(number: u32) -> String {
    format!("+81900000{number:04}")
}

/// How long a caller of the demo speaks.
const TALK: Duration = Duration::from_secs(30);
