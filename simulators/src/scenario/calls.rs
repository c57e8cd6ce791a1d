//! The evening's calls to 119: an illness, the fire in Onahama, somebody who hangs up.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Stage, Verdict, eventually};
use crate::caller::{End, Outcome, Plan, call};
use crate::desk::{Desk, list};
use crate::devices::sip::{Place, Shape};
use crate::pendant::Link;

/// Callers of the fire; those from [`FIRE_CELLS`] on are placed by a mast alone.
const FIRE_CALLERS: u32 = 8;
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

pub(super) async fn answered(stage: &Stage, desk: &Desk, verdict: &mut Verdict<'_>) {
    let plan = Plan { talk: Duration::from_millis(500), ..illness() };
    let calling = tokio::spawn(dial(stage.sip, plan));
    let signal = eventually(|| async { of_number(desk, 2, rings).await }).await;
    let place = signal.as_ref().map(|signal| &signal["location"]);
    verdict.say(
        "a call to 119 rings on the console with its circle",
        place.is_some_and(|place| place["shape"] == "circle" && place["radius_m"] == 42),
    );
    let signal = signal.unwrap_or_default();
    let taken = desk.take(&signal).await.unwrap_or_default();
    let other = Desk { position: "desk2".to_owned(), ..desk.clone() };
    let second = other.take(&signal).await.unwrap_or_default();
    verdict.say("the desk answers it; a second desk is told so", taken && !second);
    let outcome = calling.await.ok();
    let spoke = |outcome: &Outcome| matches!(outcome.end, End::HungUp);
    let over = eventually(|| async {
        of_number(desk, 2, |each| {
            each["call"]["state"] == "over" && each["call"]["connected_at"].is_string()
        })
        .await
    });
    verdict.say(
        "the seat's phone rings, the two speak, the caller hangs up",
        outcome.as_ref().is_some_and(spoke) && over.await.is_some(),
    );
}

pub(super) async fn a_fire(stage: &Stage, desk: &Desk, verdict: &mut Verdict<'_>) {
    let mut callers = JoinSet::new();
    for index in 0..FIRE_CALLERS {
        let plan = Plan { talk: Duration::from_millis(500), ..of_the_fire(index) };
        callers.spawn(dial(stage.sip, plan));
    }
    let all = |found: Vec<Value>| (found.len() == FIRE_CALLERS as usize).then_some(found);
    let ringing = eventually(|| async { all(fires(desk, rings).await) }).await;
    let wide = ringing.as_deref().unwrap_or_default().iter();
    let wide = wide.filter(|signal| signal["location"]["method"] == "Cell").count();
    verdict.say("eight callers see one fire, three placed by a mast alone", wide == 3);
    // A person takes one after the other, and writes down before the next.
    for signal in ringing.unwrap_or_default() {
        desk.take(&signal).await.ok();
        let answered = eventually(|| async {
            fires(desk, |each| each["id"] == signal["id"] && !rings(each)).await.pop()
        });
        if let Some(signal) = answered.await
            && let Ok(seq) = desk.write_down(&signal).await
        {
            desk.state_since(seq).await.ok();
        }
    }
    let written = |signal: &Value| signal["incident"].is_string();
    let signals = eventually(|| async { all(fires(desk, written).await) }).await;
    let incident =
        signals.as_ref().and_then(|all| all.first()).map(|each| each["incident"].clone());
    let one = signals
        .is_some_and(|all| all.iter().all(|each| Some(&each["incident"]) == incident.as_ref()));
    let mut spoken = 0;
    while let Some(outcome) = callers.join_next().await {
        spoken += u32::from(outcome.is_ok_and(|outcome| matches!(outcome.end, End::HungUp)));
    }
    verdict.say("all eight are answered and become one incident", one && spoken == FIRE_CALLERS);
    let id = incident.as_ref().and_then(Value::as_str).unwrap_or_default();
    let advice = desk.recommendation(id).await.unwrap_or_default();
    let needed: Vec<&str> =
        list(&advice, "needs").iter().filter_map(|need| need["ability"].as_str()).collect();
    verdict.say(
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
    verdict.say(
        "what is recommended is ordered, the nearest units first",
        ordered && gone.await.is_some(),
    );
    let acknowledged = eventually(|| async {
        let state = desk.state().await.ok()?;
        let unit = list(&state, "units").iter().find(|unit| unit["id"] == "小名浜1")?;
        (unit["terminal"]["order_shown_at"].is_string() && unit["times"]["AK"].is_string())
            .then_some(())
    });
    verdict.say(
        "the order stands on the nearest unit's terminal, and its crew acknowledges",
        acknowledged.await.is_some(),
    );
}

pub(super) async fn given_up(stage: &Stage, desk: &Desk, verdict: &mut Verdict<'_>) {
    let hang_up_after = Some(Duration::from_millis(300));
    let plan = Plan { tel: Some(tel(21)), hang_up_after, ..illness() };
    let outcome = dial(stage.sip, plan).await;
    let abandoned = eventually(|| async {
        of_number(desk, 21, |each| {
            each["state"] == "abandoned" && each["call"]["callback_due"].is_string()
        })
        .await
    });
    let signal = abandoned.await;
    verdict.say(
        "a caller who hangs up too early stays on the list, with a call-back due",
        matches!(outcome.end, End::Abandoned) && signal.is_some(),
    );
    let id = signal.unwrap_or_default()["id"].clone();
    let tried = desk.command("CallBack", json!({"signal": id, "outcome": "reached"})).await.is_ok();
    let end = json!({"signal": id, "outcome": "mistake"});
    let ended = desk.command("EndSignal", end).await.is_ok();
    let settled = eventually(|| async {
        of_number(desk, 21, |each| {
            each["state"] == "ended" && list(&each["call"], "callbacks").len() == 1
        })
        .await
    });
    verdict.say("the call-back is written down", tried && ended && settled.await.is_some());
}

/// The newest signal of a caller that is so.
async fn of_number(desk: &Desk, number: u32, is: impl Fn(&Value) -> bool) -> Option<Value> {
    let state = desk.state().await.ok()?;
    let mut signals = list(&state, "signals").iter();
    signals.find(|each| each["from"] == tel(number).as_str() && is(each)).cloned()
}

/// The signals of the fire that are so.
async fn fires(desk: &Desk, is: impl Fn(&Value) -> bool) -> Vec<Value> {
    let state = desk.state().await.unwrap_or_default();
    let fire = |each: &&Value| {
        let callers = (10..10 + FIRE_CALLERS).map(tel);
        callers.into_iter().any(|tel| each["from"] == tel.as_str()) && is(each)
    };
    list(&state, "signals").iter().filter(fire).cloned().collect()
}

fn rings(signal: &Value) -> bool {
    signal["state"] == "ringing"
}

/// A number that belongs to nobody (demo-city: 090-0000-....).
fn tel(number: u32) -> String {
    format!("+81900000{number:04}")
}

/// How long a caller of the demo speaks.
const TALK: Duration = Duration::from_secs(30);
