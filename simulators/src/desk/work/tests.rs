use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use super::*;

/// A console that knows as much as a desk asks of it.
#[derive(Clone)]
struct Console {
    house: Arc<Mutex<House>>,
}

#[derive(Default)]
struct House {
    seq: u64,
    signals: Vec<Value>,
    incidents: Vec<Value>,
    /// Commands that were taken, and how many were refused.
    taken: Vec<String>,
    refused: u32,
}

impl House {
    fn call(id: &str, service: &str) -> Value {
        json!({
            "id": id, "state": "ringing", "received_at": "2026-11-23T08:00:00Z",
            "service": service, "alarm": "call", "incident": null, "similar": [],
            "acknowledged": null, "notices": [], "call": {"state": "ringing", "position": null},
        })
    }

    fn state(&self) -> Value {
        json!({
            "seq": self.seq, "at": "2026-11-23T08:02:00Z", "signals": self.signals,
            "incidents": self.incidents, "notices": [],
        })
    }

    fn take(&mut self, kind: &str, body: &Value) -> Option<u64> {
        self.seq += 1;
        let names = |each: &Value, name: &str| each["id"] == body[name];
        let signal = self.signals.iter_mut();
        let mut signal =
            signal.filter(|each| names(each, "signal") || body["signals"][0] == each["id"]);
        let incident = self.incidents.iter_mut().find(|each| names(each, "incident"));
        match (kind, signal.next(), incident) {
            ("AnswerCall", Some(signal), _) if signal["state"] == "ringing" => {
                signal["state"] = "answered".into();
                signal["call"] = json!({"state": "over", "position": body["position"]});
            }
            ("AcknowledgeSignal", Some(signal), _) if signal["state"] == "ringing" => {
                signal["state"] = "answered".into();
                signal["acknowledged"] = json!({"position": body["position"]});
            }
            ("OpenIncident", Some(signal), _) if signal["incident"].is_null() => {
                let id = format!("i{}", self.seq);
                signal["incident"] = id.clone().into();
                let kind = body["kind"].clone();
                self.incidents.push(json!({
                    "id": id, "state": "open", "kind": kind, "units": [], "assignments": [],
                    "signals": body["signals"], "opened_at": "2026-11-23T08:00:10Z",
                }));
                // Every other fire is the same fire.
                for other in self.signals.iter_mut().filter(|each| each["service"] == "sos.fire") {
                    other["similar"] = json!([{"incident": id}]);
                }
            }
            ("JoinSignal", Some(signal), Some(incident)) if signal["incident"].is_null() => {
                signal["incident"] = incident["id"].clone();
                incident["signals"].as_array_mut().unwrap().push(signal["id"].clone());
            }
            ("OrderUnits", _, Some(incident)) if incident["units"] == json!([]) => {
                incident["units"] = body["units"].clone();
                incident["assignments"] = json!([{"unit": "平1", "status": "RT"}]);
            }
            ("CloseIncident", _, Some(incident)) if incident["state"] == "open" => {
                incident["state"] = "closed".into();
            }
            ("CallBack", Some(signal), _) if signal["state"] == "abandoned" => {
                signal["call"]["callback_overdue"] = false.into();
            }
            ("EndSignal", Some(signal), _) if signal["state"] == "abandoned" => {
                signal["state"] = "ended".into();
            }
            _ => return None,
        }
        self.taken.push(kind.to_owned());
        Some(self.seq)
    }
}

async fn command(
    State(console): State<Console>,
    Json(command): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut house = console.house.lock().unwrap();
    match house.take(command["kind"].as_str().unwrap(), &command["body"]) {
        Some(seq) => (StatusCode::OK, Json(json!({"seq": seq}))),
        None => {
            house.refused += 1;
            (StatusCode::CONFLICT, Json(json!({"refused": {"code": "already_answered"}})))
        }
    }
}

/// Two desks beside each other, until `done`.
async fn play(signals: Vec<Value>, done: impl Fn(&House) -> bool) -> Arc<Mutex<House>> {
    let house = Arc::new(Mutex::new(House { signals, ..House::default() }));
    let console = Console { house: Arc::clone(&house) };
    let app = Router::new()
        .route(
            "/api/state",
            get(async |State(console): State<Console>| Json(console.house.lock().unwrap().state())),
        )
        .route("/api/commands", post(command))
        .route(
            "/api/incidents/{id}/recommendation",
            get(async || {
                Json(json!({"units": [
                    {"unit": "平1", "chosen": true}, {"unit": "平2", "chosen": false},
                ]}))
            }),
        )
        .with_state(console);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let console = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    for position in ["desk1", "desk2"] {
        let (console, position) = (console.clone(), position.to_owned());
        let desk = Desk { console, token: String::new(), position };
        let habits = Habits { open: true, dispatch: true, ..Habits::default() };
        tasks.spawn(async move { desk.work(habits).await.unwrap() });
    }
    while !done(&house.lock().unwrap()) {
        sleep(Duration::from_millis(10)).await;
    }
    drop(tasks);
    house
}

fn count(house: &House, kind: &str) -> usize {
    house.taken.iter().filter(|taken| *taken == kind).count()
}

#[tokio::test]
async fn two_desks_answer_join_order_and_close() {
    let mut signals: Vec<Value> =
        (0..20).map(|index| House::call(&format!("s{index}"), "sos.fire")).collect();
    signals.push(House::call("s20", "sos.ambulance"));
    let mut pendant = House::call("s21", "");
    (pendant["call"], pendant["service"]) = (Value::Null, Value::Null);
    signals.push(pendant);
    let house = play(signals, |house| {
        !house.incidents.is_empty()
            && house.incidents.iter().all(|each| each["state"] == "closed")
            && house.signals.iter().all(|each| each["incident"].is_string())
    })
    .await;
    let house = house.lock().unwrap();
    assert_eq!((count(&house, "AnswerCall"), count(&house, "AcknowledgeSignal")), (21, 1));
    // Both desks may have opened the fire before either saw the other's.
    let fires = house.incidents.iter().filter(|each| each["kind"] == "fire").count();
    assert!((1..=2).contains(&fires), "{fires} fires");
    assert_eq!(count(&house, "OrderUnits"), house.incidents.len());
    assert!(house.incidents.iter().all(|each| each["units"] == json!(["平1"])));
}

#[tokio::test]
async fn who_hung_up_is_called_back_once_that_is_due() {
    let mut due = House::call("s1", "sos");
    due["state"] = "abandoned".into();
    due["call"] = json!({"state": "abandoned", "callback_overdue": true});
    let mut not_yet = due.clone();
    not_yet["id"] = "s2".into();
    not_yet["call"]["callback_overdue"] = false.into();
    let house = play(vec![due, not_yet], |house| house.signals[0]["state"] == "ended").await;
    let house = house.lock().unwrap();
    // Both may have dialled; it ends once.
    assert!((1..=2).contains(&count(&house, "CallBack")));
    assert_eq!(count(&house, "EndSignal"), 1);
    assert_eq!(house.signals[1]["state"], "abandoned");
}
