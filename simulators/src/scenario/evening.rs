//! An evening in the invented city, minute by minute: what happens outside, what the desk does about
//! it, and what must come of it. All of it plays at once, by one clock.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{Round, Stage, calls, eventually, fire, office, ringing, tracks};
use crate::desk::{Desk, list};
use crate::devices::dc09::Content;
use crate::pendant::{Link, Pendant};

/// The evening's clock: it is 17:00 when it begins, and goes so many times as fast as life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    begun: Instant,
    time_factor: u32,
}

impl Clock {
    pub(super) fn begin(time_factor: u32) -> Self {
        Self { begun: Instant::now(), time_factor: time_factor.max(1) }
    }

    /// Waits until it is 17:00 and so many minutes.
    pub(super) async fn minute(self, minute: u32) {
        sleep_until(self.begun + Duration::from_secs(60) * minute / self.time_factor).await;
    }

    /// So many minutes of the story in whole minutes of life, for what the house times by its own
    /// clock.
    pub(super) fn minutes_of_life(self, minutes: u32) -> u32 {
        (minutes / self.time_factor).max(1)
    }

    /// What it shows.
    fn shows(self) -> String {
        let story = self.begun.elapsed() * self.time_factor;
        let minute = story.as_secs() / 60;
        format!("{}:{:02}", 17 + minute / 60, minute % 60)
    }
}

/// Who plays.
pub(super) struct Play<'a> {
    pub(super) stage: &'a Stage,
    pub(super) desk: Desk,
    pub(super) clock: Clock,
    /// Which evening at this house.
    pub(super) round: u16,
    /// What is older is of an earlier evening: events up to this one, mails up to that one.
    since: u64,
    pub(super) mails: u64,
    /// Takes an expectation and whether it was met.
    verdict: &'a (dyn Fn(&str, bool) + Sync),
}

impl Play<'_> {
    /// An expectation, with the time of the story.
    pub(super) fn say(&self, what: &str, met: bool) {
        (self.verdict)(&format!("{} {what}", self.clock.shows()), met);
    }

    /// A home unit that has not spoken this evening: it counts on from what it said before.
    pub(super) fn unit(&self, account: &str, link: Link) -> Pendant {
        let key = self.stage.keys.get(account).cloned();
        let mut unit = Pendant::new(self.stage.dc09, link, account, key);
        unit.set_sequence(self.round % (SEQUENCES / UNIT_SAYS) * UNIT_SAYS);
        unit
    }

    /// Whether a signal is of this evening.
    pub(super) fn is_new(&self, signal: &Value) -> bool {
        signal["seq"].as_u64().is_some_and(|seq| seq > self.since)
    }

    /// The incident that a signal belongs to.
    pub(super) async fn incident_of(&self, signal: &Value) -> Option<Value> {
        eventually(|| async {
            let state = self.desk.state().await.ok()?;
            let holds = |incident: &&Value| list(incident, "signals").contains(&signal["id"]);
            list(&state, "incidents").iter().find(holds).cloned()
        })
        .await
    }

    /// Takes a signal and opens an incident for it, orders what is recommended; the incident's id.
    pub(super) async fn handle(&self, signal: &Value, kind: &str, subkind: &str) -> Option<String> {
        let claim = json!({"signal": signal["id"], "position": self.desk.position});
        self.desk.command("AcknowledgeSignal", claim).await.ok()?;
        self.open(signal, kind, subkind).await
    }

    /// Opens an incident for a signal that somebody has, and orders what is recommended.
    pub(super) async fn open(&self, signal: &Value, kind: &str, subkind: &str) -> Option<String> {
        let body = json!({"signals": [signal["id"]], "kind": kind, "subkind": subkind});
        let seq = self.desk.command("OpenIncident", body).await.ok()?;
        let id = format!("i{seq}");
        self.desk.state_since(seq).await.ok()?;
        self.desk.order(&id).await.ok()?;
        Some(id)
    }

    /// Units of an incident.
    pub(super) async fn units(&self, incident: &str) -> Vec<String> {
        let found = eventually(|| async {
            let state = self.desk.state().await.ok()?;
            let incident = list(&state, "incidents").iter().find(|each| each["id"] == incident)?;
            let units = list(incident, "units").iter().filter_map(Value::as_str);
            let units: Vec<String> = units.map(str::to_owned).collect();
            (!units.is_empty()).then_some(units)
        });
        found.await.unwrap_or_default()
    }

    /// Has each unit of an incident say it, as by radio; whoever says so himself has said it already.
    pub(super) async fn all_say(&self, incident: &str, status: &str) {
        for unit in self.units(incident).await {
            let body = json!({"unit": unit, "status": status, "incident": incident});
            self.desk.command("UnitStatus", body).await.ok();
        }
    }

    pub(super) async fn note(&self, incident: &str, text: &str) -> bool {
        let body = json!({"incident": incident, "text": text});
        self.desk.command("AddNote", body).await.is_ok()
    }

    /// Sends everybody home and closes; whether it is closed.
    pub(super) async fn close(&self, incident: &str, outcome: &str) -> bool {
        self.all_say(incident, "RT").await;
        let body = json!({"incident": incident, "outcome": outcome});
        let closed =
            eventually(|| async { self.desk.command("CloseIncident", body.clone()).await.ok() });
        closed.await.is_some()
    }

    /// The newest signal of a device that is not over.
    pub(super) async fn signal_of(&self, device: &str) -> Option<Value> {
        eventually(|| async { ringing(&self.desk.state().await.ok()?, device) }).await
    }
}

/// Plays the whole evening.
pub(super) async fn play(
    stage: &Stage,
    desk: &Desk,
    round: Round,
    verdict: &(dyn Fn(&str, bool) + Sync),
) {
    let clock = Clock::begin(round.time_factor);
    let state = desk.state().await.unwrap_or_default();
    let since = state["seq"].as_u64().unwrap_or_default();
    let mails = stage.mails(0).await.unwrap_or_default();
    let mails = mails.last().and_then(|mail| mail["id"].as_u64()).unwrap_or_default();
    let (desk, round) = (desk.clone(), round.number);
    let play = &Play { stage, desk, clock, round, since, mails, verdict };
    as_it_begins(play).await;
    tokio::join!(
        an_illness(play),
        an_alarm_of_a_building(play),
        tracks::leaves_home(play),
        fire::a_house_burns(play),
        a_pendant_without_a_voice(play),
        office::roads_are_cut(play),
        calls::given_up(play),
        a_heart_stands_still(play),
        an_ambulance_asks_hospitals(play),
        a_power_cut(play),
    );
    all_are_home(play).await;
}

/// 17:00, the state of the city.
async fn as_it_begins(play: &Play<'_>) {
    let state = play.desk.state().await.unwrap_or_default();
    let unit = |name: &str| list(&state, "units").iter().find(|unit| unit["id"] == name).cloned();
    let is =
        |name: &str, field: &str, value: &str| unit(name).is_some_and(|unit| unit[field] == value);
    let busy = is("平はしご1", "availability", "OO")
        && is("四倉救1", "status", "HP")
        && is("常磐1", "availability", "AD")
        && is("小名浜救2", "status", "RT");
    let free = list(&state, "units").iter().filter(|unit| unit["availability"] == "AV").count();
    play.say("a ladder is being mended, two ambulances are out, one crew is at a drill", busy);
    play.say(
        "43 vehicles are known, most of them free",
        list(&state, "units").len() == 43 && free > 30,
    );
}

/// 17:02, somebody is ill in Taira.
async fn an_illness(play: &Play<'_>) {
    play.clock.minute(2).await;
    let Some(signal) = calls::answered(play).await else { return };
    let incident = play.open(&signal, "ems", "illness").await.unwrap_or_default();
    let units = play.units(&incident).await;
    play.say(
        "an ambulance with a crew of Taira is ordered",
        units.iter().any(|unit| unit.starts_with('平')),
    );
    play.clock.minute(45).await;
    play.say(
        "the patient is at the hospital, and it is closed",
        play.close(&incident, "handled").await,
    );
}

/// 17:05, the automatic fire alarm of a building in Nakoso; nothing burns.
async fn an_alarm_of_a_building(play: &Play<'_>) {
    play.clock.minute(5).await;
    let mut panel = play.unit("4205", Link::Tcp);
    let fire = Content::ContactId { qualifier: 1, code: 110, partition: 1, zone: 10 };
    let taken = panel.send(&fire).await.is_ok();
    let signal = play.signal_of("dc09:4205").await.unwrap_or_default();
    play.say("a building's fire alarm in Nakoso rings as one", taken && signal["alarm"] == "fire");
    let incident = play.handle(&signal, "fire", "alarm").await.unwrap_or_default();
    let units = play.units(&incident).await;
    play.say("one pump goes and looks", units.len() == 1 && units[0].starts_with("勿来"));
    play.clock.minute(20).await;
    play.say("nothing burns: a false alarm", play.close(&incident, "false_alarm").await);
}

/// 17:14, a pendant in Taira, and nobody speaks.
async fn a_pendant_without_a_voice(play: &Play<'_>) {
    play.clock.minute(14).await;
    let mut pendant = play.unit("4011", Link::Tcp);
    let pressed = pendant.press(3).await.is_ok();
    let signal = play.signal_of("dc09:4011").await.unwrap_or_default();
    let told = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        let notice = list(&state, "notices").iter().find(|each| each["signal"] == signal["id"])?;
        (notice["outcomes"]["accepted"].as_u64()? >= 2).then_some(())
    });
    play.say("a pendant in Taira: its helpers are told by mail", pressed && told.await.is_some());
    let incident = play.handle(&signal, "ems", "illness").await.unwrap_or_default();
    play.say("an ambulance goes", !play.units(&incident).await.is_empty());
    play.clock.minute(40).await;
    play.say("it is closed", play.close(&incident, "handled").await);
}

/// 17:25, somebody does not breathe in Chuodai.
async fn a_heart_stands_still(play: &Play<'_>) {
    play.clock.minute(25).await;
    let Some(signal) = calls::heart(play).await else { return };
    let incident = play.open(&signal, "ems", "cpa").await.unwrap_or_default();
    let units = play.units(&incident).await;
    let (ambulance, pump) = ("中央台救1".to_owned(), "中央台1".to_owned());
    play.say(
        "an ambulance with a paramedic goes, and the nearest pump before it",
        units.contains(&ambulance) && units.contains(&pump),
    );
    play.say(
        "the caller is told how to press",
        play.note(&incident, "口頭指導 開始: 胸骨圧迫").await,
    );
    play.clock.minute(55).await;
    play.say("it is closed", play.close(&incident, "handled").await);
}

/// 17:50, an ambulance of Joban asks four hospitals.
async fn an_ambulance_asks_hospitals(play: &Play<'_>) {
    play.clock.minute(44).await;
    let Some(signal) = calls::in_joban(play).await else { return };
    let incident = play.open(&signal, "ems", "illness").await.unwrap_or_default();
    let units = play.units(&incident).await;
    play.say("the ambulance of Joban goes", units == ["常磐救1"]);
    for (minute, status) in [(46, "AK"), (46, "ER"), (48, "OS"), (49, "WK")] {
        play.clock.minute(minute).await;
        play.all_say(&incident, status).await;
    }
    play.clock.minute(50).await;
    let mut written = 0;
    for answer in
        ["港湾病院丙 ×", "市民病院乙 × 処置中", "南部病院丁 × 専門外", "基幹病院甲 ○ 受入"]
    {
        written += u32::from(play.note(&incident, &format!("病院照会 {answer}")).await);
    }
    play.say("four hospitals are asked, and each answer is on the record", written == 4);
    for (minute, status) in [(56, "TR"), (63, "HP")] {
        play.clock.minute(minute).await;
        play.all_say(&incident, status).await;
    }
    let times = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        let incident = list(&state, "incidents").iter().find(|each| each["id"] == incident)?;
        let row = list(incident, "assignments").first()?.clone();
        ["AL", "AK", "ER", "OS", "WK", "TR", "HP"]
            .iter()
            .all(|status| row["times"][status].is_string())
            .then_some(())
    });
    play.say("every one of its times is known", times.await.is_some());
    play.say("it is closed", play.close(&incident, "handled").await);
}

/// 18:10, a power cut in Hisanohama: twelve pendants on battery, and three fire alarms that are none.
async fn a_power_cut(play: &Play<'_>) {
    play.clock.minute(70).await;
    let mut units: Vec<Pendant> =
        (4_389..=4_400_u32).map(|account| play.unit(&account.to_string(), Link::Tcp)).collect();
    let mains = |qualifier| Content::ContactId { qualifier, code: 301, partition: 0, zone: 0 };
    let fire = Content::ContactId { qualifier: 1, code: 110, partition: 1, zone: 2 };
    let mut taken = 0;
    for unit in &mut units {
        taken += u32::from(unit.send(&mains(1)).await.is_ok());
    }
    let mut rung = 0;
    for unit in units.iter_mut().take(3) {
        rung += u32::from(unit.send(&fire).await.is_ok());
    }
    let line = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        let outages = list(&state, "outages");
        let all = |each: &&Value| each["district"] == 13 && each["devices"] == 12;
        (outages.iter().any(|each| all(&each))).then_some(())
    });
    play.say(
        "twelve pendants without mains are one line: Hisanohama",
        taken == 12 && line.await.is_some(),
    );
    let mut signals = Vec::new();
    for account in ["4389", "4390", "4391"] {
        signals.extend(play.signal_of(&format!("dc09:{account}")).await);
    }
    play.say("three fire alarms of the same moment ring", rung == 3 && signals.len() == 3);
    let ids: Vec<&Value> = signals.iter().map(|signal| &signal["id"]).collect();
    let body = json!({"signals": ids, "kind": "precaution", "district": 13});
    let opened = play.desk.command("OpenIncident", body).await;
    let incident = opened.as_ref().map(|seq| format!("i{seq}")).unwrap_or_default();
    play.say("the desk makes one incident of them", opened.is_ok());
    let closed = eventually(|| async {
        let body = json!({"incident": incident, "outcome": "false_alarm"});
        play.desk.command("CloseIncident", body).await.ok()
    });
    play.say("and closes it: a power cut", closed.await.is_some());
    play.clock.minute(75).await;
    for unit in &mut units {
        unit.send(&mains(3)).await.ok();
    }
    let over = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        list(&state, "outages").iter().all(|each| each["district"] != 13).then_some(())
    });
    play.say("the power is back, and the line is gone", over.await.is_some());
}

/// 18:15, whoever is still on the way home has come; but the ambulance of Onahama that was found so.
async fn all_are_home(play: &Play<'_>) {
    let home = eventually(|| async {
        let state = play.desk.state().await.ok()?;
        let out = list(&state, "units").iter().filter(|unit| {
            unit["status"] == "RT" && unit["assignment"].is_null() && unit["id"] != "小名浜救2"
        });
        let mut all = true;
        for unit in out {
            all = false;
            let body = json!({"unit": unit["id"], "status": "IN"});
            play.desk.command("UnitStatus", body).await.ok();
        }
        all.then_some(())
    });
    play.say("all vehicles are home", home.await.is_some());
}

/// What a home unit says in an evening at most, and how far it counts.
const UNIT_SAYS: u16 = 4;
const SEQUENCES: u16 = 9_996;
