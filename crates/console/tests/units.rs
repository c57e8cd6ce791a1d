//! Units, orders and recommendations through the API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod house;

use house::TOKEN;
use house::client::ask;
use house::desk::{Desk, refusal};
use serde_json::{Value, json};

const VIEWER: &str = "viewer-token";

async fn state(desk: &Desk, token: &str) -> Value {
    let bearer = Desk::bearer(token);
    ask(desk.address, "GET", "/api/state", &[("authorization", &bearer)], "").await.json()
}

async fn unit(desk: &Desk, call_sign: &str) -> Value {
    let units = state(desk, TOKEN).await["units"].as_array().unwrap().clone();
    units.into_iter().find(|unit| unit["id"] == call_sign).unwrap()
}

/// Gives a command that is taken; returns its event.
async fn done(desk: &Desk, id: u8, kind: &str, body: Value) -> Value {
    let answer = desk.command(TOKEN, id, kind, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["seq"].clone()
}

/// An incident in 小名浜住吉.
async fn incident(desk: &Desk, id: u8, device: &str, kind: &str) -> String {
    let signal = desk.press(device).await;
    let body = json!({"signals": [signal], "kind": kind, "lat": 36.9758, "lon": 140.8861});
    done(desk, id, "OpenIncident", body).await;
    let incidents = state(desk, TOKEN).await["incidents"].as_array().unwrap().clone();
    incidents[0]["id"].as_str().unwrap().to_owned()
}

async fn recommendation(desk: &Desk, token: &str, incident: &str) -> Value {
    let path = format!("/api/incidents/{incident}/recommendation");
    let bearer = Desk::bearer(token);
    let answer = ask(desk.address, "GET", &path, &[("authorization", &bearer)], "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[tokio::test]
async fn a_unit_is_shown_with_both_axes() {
    let desk = Desk::new().await;
    let units = state(&desk, TOKEN).await["units"].clone();
    let signs: Vec<&str> =
        units.as_array().unwrap().iter().map(|unit| unit["id"].as_str().unwrap()).collect();
    assert_eq!(signs, ["小名浜1", "小名浜はしご1", "小名浜救1", "平救1"]);
    let tank = json!({
        "id": "小名浜1", "number": 1, "station": "小名浜", "kind": "TANK",
        "abilities": ["pump", "water"], "crew": 4,
        "availability": "AV", "availability_reason": null, "available_in_min": null,
        "availability_since": units[0]["availability_since"],
        "assignment": null, "status": null, "status_at": null, "times": {}, "queued": [],
        "position": {"lat": 36.9548, "lon": 140.905, "at": null, "age_s": null, "guessed": false},
        "cross_staffed_with": "小名浜はしご1", "crew_with": null, "reserve": false,
        "terminal": null,
    });
    assert_eq!(units[0], tank);
}

#[tokio::test]
async fn a_recommendation_is_ordered_and_its_reasons_are_kept() {
    let desk = Desk::new().await;
    let fire = incident(&desk, 1, "4021", "fire").await;
    let advice = recommendation(&desk, TOKEN, &fire).await;
    assert_eq!(advice["incident"], fire);
    let needs = json!([
        {"ability": "pump", "want": 1, "have": 1}, {"ability": "command", "want": 1, "have": 0},
    ]);
    assert_eq!(advice["needs"], needs, "what lacks is said");
    let first = json!({
        "unit": "小名浜1", "chosen": true, "minutes": 7, "distance_m": 2876,
        "why": ["only_with_capability", "home_station"], "ability": "pump",
    });
    assert_eq!(advice["units"][0], first);
    assert_eq!(advice["units"].as_array().unwrap().len(), 4);

    let body = json!({"incident": fire, "units": ["小名浜1", "小名浜救1"], "reason": "けが人あり"});
    let order = done(&desk, 2, "OrderUnits", body).await;
    let shown = state(&desk, TOKEN).await["incidents"][0].clone();
    assert_eq!(shown["units"], json!(["小名浜1", "小名浜救1"]));
    let kept = json!({
        "seq": order, "at": shown["orders"][0]["at"], "by": "api",
        "units": ["小名浜1", "小名浜救1"], "reason": "けが人あり", "overridden": true,
        "needs": needs,
    });
    assert_eq!(shown["orders"], json!([kept]));
    let row = &shown["assignments"][0];
    assert_eq!((&row["unit"], &row["status"]), (&json!("小名浜1"), &json!("AL")));
    assert_eq!(row["reasons"], json!(["only_with_capability", "home_station"]));
    assert_eq!(row["times"], json!({"AL": row["status_at"]}));
    assert_eq!(unit(&desk, "小名浜はしご1").await["availability"], "OO");
    assert_eq!(unit(&desk, "小名浜はしご1").await["crew_with"], "小名浜1");

    let all = desk.get(&format!("/api/incidents/{fire}/orders")).await.json();
    assert_eq!(all["orders"][0]["seq"], order);
    assert_eq!(all["orders"][0]["advice"], advice["units"]);
}

#[tokio::test]
async fn a_status_runs_its_course_and_can_be_mended() {
    let desk = Desk::new().await;
    let ems = incident(&desk, 1, "4021", "ems").await;
    done(&desk, 2, "OrderUnits", json!({"incident": ems, "units": ["小名浜救1"]})).await;
    let said = |status: &str| json!({"unit": "小名浜救1", "status": status});
    done(&desk, 3, "UnitStatus", said("ER")).await;
    let wrong = done(&desk, 4, "UnitStatus", said("OS")).await;
    assert_eq!(unit(&desk, "小名浜救1").await["position"]["lat"], 36.9758);
    let back = json!({"unit": "小名浜救1", "status": "ER", "corrects": wrong});
    let mended = done(&desk, 5, "UnitStatus", back).await;
    let shown = unit(&desk, "小名浜救1").await;
    assert_eq!((&shown["status"], &shown["assignment"]), (&json!("ER"), &json!(ems)));
    assert_eq!(shown["position"]["guessed"], true);
    let row = state(&desk, TOKEN).await["incidents"][0]["assignments"][0].clone();
    assert_eq!(row["presses"][2]["corrected_by"], mended);
    assert!(row["times"]["OS"].is_null() && row["times"]["ER"].is_string());

    let at = "2026-11-23T05:07:42.5Z";
    let late = json!({"unit": "小名浜救1", "status": "AK", "at": at, "incident": ems});
    done(&desk, 6, "UnitStatus", late).await;
    let shown = unit(&desk, "小名浜救1").await;
    assert_eq!((&shown["status"], &shown["times"]["AK"]), (&json!("ER"), &row["times"]["AL"]));

    let close = json!({"incident": ems, "outcome": "handled"});
    let answer = desk.command(TOKEN, 7, "CloseIncident", close.clone()).await;
    assert_eq!(refusal(&answer), (409, "still_open".to_owned()));
    done(&desk, 8, "UnitStatus", said("RT")).await;
    done(&desk, 9, "CloseIncident", close).await;
    let row = state(&desk, TOKEN).await["incidents"][0]["assignments"][0].clone();
    assert_eq!((&row["ended"], &row["status"]), (&json!("released"), &json!("RT")));
    assert_eq!(unit(&desk, "小名浜救1").await["assignment"], Value::Null);
}

#[tokio::test]
async fn refusals_say_why_in_the_askers_language() {
    let desk = Desk::new().await;
    let fire = incident(&desk, 1, "4021", "fire").await;
    let order = |units: Value| json!({"incident": fire, "units": units});
    let out = json!({"unit": "平救1", "availability": "OO", "reason": "maintenance"});
    done(&desk, 2, "SetAvailability", out).await;
    done(&desk, 3, "OrderUnits", order(json!(["小名浜1"]))).await;
    for (id, kind, body, code) in [
        (4, "OrderUnits", order(json!(["平救1"])), "not_available"),
        (5, "OrderUnits", order(json!(["小名浜はしご1"])), "not_available"),
        (6, "OrderUnits", order(json!(["小名浜1"])), "already_ordered"),
        (7, "OrderUnits", order(json!(["小名浜7"])), "not_found"),
        (8, "UnitStatus", json!({"unit": "小名浜1", "status": "AL"}), "wrong_move"),
        (9, "UnitStatus", json!({"unit": "小名浜救1", "status": "OS"}), "wrong_move"),
    ] {
        let answer = desk.command(TOKEN, id, kind, body).await;
        assert_eq!(refusal(&answer), (409, code.to_owned()));
        let message = answer.json()["refused"]["message"].clone();
        assert!(message != code && message.as_str().unwrap().is_ascii(), "{message}");
    }
    let viewer = desk.command(VIEWER, 10, "OrderUnits", order(json!(["小名浜救1"]))).await;
    assert_eq!(refusal(&viewer), (403, "forbidden".to_owned()));
    assert_eq!(desk.get("/api/incidents/i99999/recommendation").await.status, 404);
    assert_eq!(desk.get("/api/incidents/i99999/orders").await.status, 404);
    assert_eq!(desk.get("/api/incidents/s1/recommendation").await.status, 400);
    let nobody = ask(desk.address, "GET", "/api/incidents/i1/orders", &[], "").await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn a_viewer_cannot_find_out_where_a_unit_works() {
    let desk = Desk::new().await;
    let ems = incident(&desk, 1, "4021", "ems").await;
    let body = json!({"incident": ems, "units": ["小名浜救1"], "reason": "けが人あり"});
    done(&desk, 2, "OrderUnits", body).await;
    done(&desk, 3, "UnitStatus", json!({"unit": "小名浜救1", "status": "OS"})).await;
    let shown = state(&desk, VIEWER).await;
    assert_eq!(shown["units"][2]["status"], "OS");
    assert_eq!(shown["units"][2]["position"], Value::Null);
    assert_eq!(shown["units"][3]["position"]["lat"], 37.0558, "a station is no secret");
    assert_eq!(shown["incidents"][0]["orders"][0]["reason"], Value::Null);
    let advice = recommendation(&desk, VIEWER, &ems).await;
    for unit in advice["units"].as_array().unwrap() {
        assert_eq!((&unit["minutes"], &unit["distance_m"]), (&Value::Null, &Value::Null));
    }
    let bearer = Desk::bearer(VIEWER);
    let path = format!("/api/incidents/{ems}/orders");
    let orders = ask(desk.address, "GET", &path, &[("authorization", &bearer)], "").await.json();
    assert_eq!(orders["orders"][0]["reason"], Value::Null);
    assert_eq!(orders["orders"][0]["advice"][0]["minutes"], Value::Null);
}
