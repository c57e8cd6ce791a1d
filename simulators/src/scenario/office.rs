//! 17:18, the branch office of Kawamae speaks over a satellite: roads are cut.

use serde_json::json;

use super::evening::Play;
use super::eventually;
use crate::desk::list;

/// The handset of 川前支所 in the demo's register.
const HANDSET: &str = "300000000000111";

pub(super) async fn roads_are_cut(play: &Play<'_>) {
    play.clock.minute(18).await;
    let Some(satphone) = &play.stage.satphone else {
        play.say("the satellite modem is plugged in", false);
        return;
    };
    satphone.call(words(u64::from(play.round) + 1, "道路寸断 負傷2 孤立12世帯").as_bytes());
    let device = format!("sbd:{HANDSET}");
    let signal = play.signal_of(&device).await.unwrap_or_default();
    play.say(
        "the branch office of Kawamae speaks over a satellite: roads cut, 2 hurt, 12 households",
        signal["site"] == "川前支所" && signal["text"] == "道路寸断 負傷2 孤立12世帯",
    );
    let cleared = eventually(|| async { satphone.modem().unread().is_none().then_some(()) }).await;
    play.say("the modem is cleared, now that it is written down", cleared.is_some());
    let claim = json!({"signal": signal["id"], "position": play.desk.position});
    let claimed = play.desk.command("AcknowledgeSignal", claim).await.is_ok();
    let body = json!({"signals": [signal["id"]], "kind": "disaster", "subkind": "landslide"});
    let opened = play.desk.command("OpenIncident", body).await.is_ok();
    let incident = play.incident_of(&signal).await.unwrap_or_default();
    play.say(
        "a disaster is opened where that office is",
        claimed && opened && incident["place"]["district"] == 12,
    );
    let answer = json!({"device": device, "text": "了解。防災ヘリ要請中。20分後に再送せよ。"});
    let sent = play.desk.command("SendMessage", answer).await;
    let number = sent.as_ref().copied().unwrap_or_default();
    let wanted = format!("@{HANDSET}/{number} 【デモ】了解。");
    let gone = eventually(|| async {
        let sent = satphone.modem().sent.clone();
        sent.iter().any(|message| message.starts_with(wanted.as_bytes())).then_some(())
    });
    let gone = gone.await.is_some();
    let known = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        let id = format!("m{number}");
        let message = list(&state, "messages").iter().find(|each| each["id"] == id.as_str())?;
        (message["state"] == "accepted").then_some(())
    });
    play.say(
        "the desk's answer is with the network, and is known to be",
        gone && known.await.is_some(),
    );
    let id = incident["id"].as_str().unwrap_or_default().to_owned();
    play.clock.minute(66).await;
    let body = json!({"incident": id, "outcome": "transferred"});
    let closed = play.desk.command("CloseIncident", body).await.is_ok();
    play.say("the disaster headquarters takes it over", closed);
}

/// What the office's handset sends: who it is, which of its messages, the words.
pub(super) fn words(number: u64, text: &str) -> String {
    format!("@{HANDSET}/{number} {text}")
}
