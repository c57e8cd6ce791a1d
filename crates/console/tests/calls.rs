//! Calls, places and drafts through the API.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod house;

use hansho_model::{CallEnd, CallFact};
use house::TOKEN;
use house::client::ask;
use house::desk::{Desk, refusal};
use serde_json::{Value, json};

async fn signals(desk: &Desk) -> Vec<Value> {
    desk.get("/api/state").await.json()["signals"].as_array().unwrap().clone()
}

async fn incident(desk: &Desk) -> Value {
    desk.get("/api/state").await.json()["incidents"][0].clone()
}

/// Gives a command that is taken.
async fn done(desk: &Desk, id: u8, kind: &str, body: Value) {
    let answer = desk.command(TOKEN, id, kind, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn a_call_is_shown_with_its_number_and_places() {
    let desk = Desk::new().await;
    desk.house.call("c1");
    let signal = signals(&desk).await[0].clone();
    let shown = |key: &str| signal[key].clone();
    assert_eq!(shown("kind"), "call");
    assert_eq!((shown("door"), shown("state")), (json!("sip"), json!("ringing")));
    assert_eq!((shown("from"), shown("withheld")), (json!("+819000000001"), json!(false)));
    assert_eq!((shown("service"), shown("device")), (json!("sos.fire"), Value::Null));
    assert_eq!(shown("alarm"), "call");
    let location = json!({
        "source": "value", "shape": "circle", "lat": 36.9758, "lon": 140.8861, "radius_m": 18,
        "confidence": 95, "method": "GPS", "at": shown("location")["at"], "civic": null,
        "refused": null, "marks": [],
    });
    assert_eq!(shown("location"), location);
    let words = json!({
        "source": "value", "shape": null, "lat": null, "lon": null, "radius_m": null,
        "confidence": null, "method": null, "at": null, "civic": "小名浜 (架空) 9-9",
        "refused": null, "marks": [],
    });
    assert_eq!(shown("locations"), json!([words, location]));
    assert_eq!(shown("similar"), json!([]));
    let call = json!({
        "state": "ringing", "position": null, "answered_at": null, "connected_at": null,
        "ended_at": null, "ended_by": null, "unrecorded": false, "earlier": 0,
        "callback_due": null, "callback_overdue": false, "callbacks": [], "failed": null,
    });
    assert_eq!(shown("call"), call);
    desk.press("4017").await;
    let pendant = signals(&desk).await[1].clone();
    assert_eq!((&pendant["kind"], &pendant["call"]), (&json!("pendant"), &Value::Null));
}

#[tokio::test]
async fn a_call_is_answered_once_and_ends() {
    let desk = Desk::new().await;
    desk.house.call("c1");
    let signal = signals(&desk).await[0]["id"].clone();
    let answer = |seat: &str| json!({"signal": signal, "position": seat});
    let early = desk.command(TOKEN, 1, "AcknowledgeSignal", answer("desk1")).await;
    assert_eq!(refusal(&early), (409, "still_ringing".to_owned()));
    assert_eq!(early.json()["refused"]["message"], "It is still ringing. Answer it first.");
    done(&desk, 2, "AnswerCall", answer("desk1")).await;
    let other = desk.command(TOKEN, 3, "AnswerCall", answer("desk2")).await;
    assert_eq!(refusal(&other), (409, "already_answered".to_owned()));
    let shown = signals(&desk).await[0].clone();
    assert_eq!(
        (&shown["state"], &shown["call"]["state"]),
        (&json!("answered"), &json!("connecting"))
    );
    assert_eq!(shown["acknowledged"]["position"], "desk1");
    assert_eq!(desk.get("/api/state").await.json()["mail"]["owed"], 0, "a call is no mail");
    let position = "desk1".to_owned();
    desk.house.said("c1", CallFact::NotConnected { position: position.clone(), status: 486 });
    let shown = signals(&desk).await[0].clone();
    assert_eq!((&shown["state"], &shown["call"]["state"]), (&json!("ringing"), &json!("ringing")));
    assert_eq!(shown["call"]["failed"], json!({"position": "desk1", "status": 486}));
    assert_eq!(shown["call"]["position"], Value::Null);
    done(&desk, 4, "AnswerCall", answer("desk1")).await;
    desk.house.said("c1", CallFact::Connected { position });
    desk.house.said("c1", CallFact::Ended { by: CallEnd::Caller });
    let shown = signals(&desk).await[0].clone();
    assert_eq!((&shown["state"], &shown["call"]["state"]), (&json!("answered"), &json!("over")));
    let call = &shown["call"];
    assert_eq!((&call["ended_by"], &call["position"]), (&json!("caller"), &json!("desk1")));
    let time = |key: &str| call[key].as_str().unwrap().to_owned();
    assert!(time("answered_at") < time("connected_at") && time("connected_at") < time("ended_at"));
    done(&desk, 5, "EndSignal", json!({"signal": signal, "outcome": "mistake"})).await;
    assert_eq!(signals(&desk).await[0]["state"], "ended");
    let late = desk.command(TOKEN, 6, "AnswerCall", answer("desk2")).await;
    assert_eq!(refusal(&late), (409, "already_ended".to_owned()));
}

#[tokio::test]
async fn who_hung_up_is_called_back() {
    let desk = Desk::new().await;
    desk.house.call("c1");
    desk.house.said("c1", CallFact::Abandoned);
    let shown = signals(&desk).await[0].clone();
    assert_eq!(
        (&shown["state"], &shown["call"]["state"]),
        (&json!("abandoned"), &json!("abandoned"))
    );
    assert!(shown["call"]["callback_due"].is_string() && shown["call"]["ended_at"].is_string());
    desk.house.tick();
    assert_eq!(signals(&desk).await[0]["call"]["callback_overdue"], true);
    let tried = json!({"signal": shown["id"], "outcome": "no_answer"});
    done(&desk, 1, "CallBack", tried).await;
    let call = signals(&desk).await[0]["call"].clone();
    assert_eq!((&call["callback_due"], &call["callback_overdue"]), (&Value::Null, &json!(false)));
    assert_eq!(call["callbacks"][0]["outcome"], "no_answer");
    assert_eq!(call["callbacks"][0]["by"], "api");
    desk.house.call("c2");
    assert_eq!(signals(&desk).await[1]["call"]["earlier"], 1, "the same number again");
}

#[tokio::test]
async fn an_incident_has_a_place_a_kind_and_times() {
    let desk = Desk::new().await;
    desk.house.call("c1");
    let first = signals(&desk).await[0].clone();
    done(&desk, 1, "AnswerCall", json!({"signal": first["id"], "position": "desk1"})).await;
    let body = json!({"signals": [first["id"]], "kind": "fire", "subkind": "cpa"});
    let wrong = desk.command(TOKEN, 2, "OpenIncident", body).await;
    assert_eq!(refusal(&wrong), (409, "invalid".to_owned()));
    let body = json!({"signals": [first["id"]], "kind": "fire", "subkind": "building"});
    done(&desk, 3, "OpenIncident", body).await;
    let opened = incident(&desk).await;
    assert_eq!(opened["subkind"], "building");
    let place = json!({
        "text": null, "district": null, "lat": 36.9758, "lon": 140.8861, "radius_m": 18,
        "confirmed": false,
    });
    assert_eq!(opened["place"], place, "the caller's place is a proposal");
    assert_eq!(opened["perceived_at"], first["received_at"]);
    let times: Vec<&String> = opened["times"].as_object().unwrap().keys().collect();
    assert_eq!(times, ["answered", "kind_set", "opened", "perceived", "received"]);
    desk.house.call("c2");
    let similar = signals(&desk).await[0]["similar"].clone();
    assert_eq!(similar[0]["incident"], opened["id"]);
    assert_eq!((&similar[0]["distance_m"], similar[0]["age_s"].is_u64()), (&json!(0), true));

    let body = json!({
        "incident": opened["id"], "place_text": "小名浜港2号埠頭", "district": 2, "lat": 36.9412,
        "lon": 140.8955, "radius_m": 30, "confirmed": true,
    });
    done(&desk, 4, "SetPlace", body).await;
    let body = json!({"incident": opened["id"], "kind": "fire", "subkind": "ship"});
    done(&desk, 5, "SetKind", body).await;
    let set = incident(&desk).await;
    let place = json!({
        "text": "小名浜港2号埠頭", "district": 2, "lat": 36.9412, "lon": 140.8955,
        "radius_m": 30, "confirmed": true,
    });
    assert_eq!((&set["place"], &set["subkind"]), (&place, &json!("ship")));
    assert!(set["times"]["place_set"].is_string());
    assert!(set["times"]["kind_set"].as_str() > opened["times"]["kind_set"].as_str());
    let bad = json!({"incident": opened["id"], "confirmed": true, "radius_m": 5});
    let bad = desk.command(TOKEN, 6, "SetPlace", bad).await;
    assert_eq!(refusal(&bad), (409, "invalid".to_owned()), "a width of no point");
}

#[tokio::test]
async fn a_draft_is_there_for_another_seat() {
    let desk = Desk::new().await;
    let draft = |text: &str| json!({"form": "call:s123", "text": text});
    done(&desk, 1, "SaveDraft", draft("2階")).await;
    done(&desk, 2, "SaveDraft", draft("2階から煙")).await;
    let drafts = desk.get("/api/state").await.json()["drafts"].clone();
    assert_eq!(drafts.as_array().unwrap().len(), 1);
    let shown = &drafts[0];
    let (form, text) = (&shown["form"], &shown["text"]);
    assert_eq!(
        (form, text, &shown["by"]),
        (&json!("call:s123"), &json!("2階から煙"), &json!("api"))
    );
    assert!(shown["at"].is_string() && shown["seq"].is_u64());
    done(&desk, 3, "ClearDraft", json!({"form": "call:s123"})).await;
    let gone = desk.command(TOKEN, 4, "ClearDraft", json!({"form": "call:s123"})).await;
    assert_eq!(refusal(&gone), (409, "not_found".to_owned()));
    assert_eq!(desk.get("/api/state").await.json()["drafts"], json!([]));
}

#[tokio::test]
async fn a_viewer_sees_that_somebody_calls_and_never_who_or_where() {
    let desk = Desk::new().await;
    desk.house.call("c1");
    let signal = signals(&desk).await[0]["id"].clone();
    done(&desk, 1, "AnswerCall", json!({"signal": signal, "position": "desk1"})).await;
    done(&desk, 2, "OpenIncident", json!({"signals": [signal], "kind": "fire"})).await;
    desk.house.call("c2");
    done(&desk, 3, "SaveDraft", json!({"form": "call:s9", "text": "2階から煙"})).await;
    let viewer = Desk::bearer("viewer-token");
    let auth = [("authorization", viewer.as_str())];
    let state = ask(desk.address, "GET", "/api/state", &auth, "").await;
    for personal in ["+8190", "小名浜 (架空)", "36.9758", "140.8861", "2階から煙", "INVITE"]
    {
        assert!(!state.body.contains(personal), "{personal}");
    }
    let state = state.json();
    let shown = &state["signals"][0];
    assert_eq!((&shown["kind"], &shown["state"]), (&json!("call"), &json!("ringing")));
    assert_eq!((&shown["locations"], &shown["similar"]), (&json!([]), &json!([])));
    assert_eq!((&state["drafts"], &shown["location"]), (&json!([]), &Value::Null));
    assert_eq!(state["incidents"][0]["place"]["lat"], Value::Null);
    for (id, kind, body) in [
        (4, "AnswerCall", json!({"signal": shown["id"], "position": "wall"})),
        (5, "CallBack", json!({"signal": shown["id"], "outcome": "busy"})),
        (6, "SetPlace", json!({"incident": state["incidents"][0]["id"], "confirmed": true})),
        (7, "SetKind", json!({"incident": state["incidents"][0]["id"], "kind": "ems"})),
        (8, "SaveDraft", json!({"form": "x", "text": "x"})),
        (9, "ClearDraft", json!({"form": "call:s9"})),
    ] {
        let refused = desk.command("viewer-token", id, kind, body).await;
        assert_eq!(refusal(&refused), (403, "forbidden".to_owned()), "{kind}");
    }
}
