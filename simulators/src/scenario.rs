//! What happens in the demo: once with a verdict, or for as long as somebody watches.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::Plan;
use crate::desk::{Desk, list};
use crate::devices::dc09::{Content, Key};
use crate::http::{request, request_as};
use crate::pendant::{Link, Pendant};
use crate::satphone::Satphone;
use crate::volunteer::{Shares, Tally, Volunteers};

mod calls;
mod evening;
mod fire;
mod office;
mod tracks;

/// Where everything is.
#[derive(Debug)]
pub struct Stage {
    /// Console, such as `http://127.0.0.1:8119`.
    pub console: String,
    /// Bearer tokens by log-in; `dispatcher1` and `supervisor1` are needed.
    pub tokens: BTreeMap<String, String>,
    /// DC-09 receiver.
    pub dc09: SocketAddr,
    /// SIP door.
    pub sip: SocketAddr,
    /// Receiver of the watches.
    pub watch: SocketAddr,
    /// Web page of the mail catcher.
    pub mailbox: String,
    /// Keys of the pendants that encrypt, by account.
    pub keys: BTreeMap<String, Key>,
    /// The satellite modem on the roof, if there is one.
    pub satphone: Option<Satphone>,
}

/// Longest wait for something that must come about.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a caller of the demo waits for an answer before hanging up.
const CALLERS_PATIENCE: Duration = Duration::from_mins(3);
/// Key of account 4391 in the demo's register.
const KEY_4391: [u8; 24] = [
    0x07, 0xe5, 0x43, 0x60, 0xd6, 0x99, 0x84, 0x4c, 0x3a, 0xfa, 0x71, 0x07, 0x52, 0xdc, 0x76, 0xff,
    0xbe, 0xaf, 0x14, 0x7e, 0xde, 0x73, 0x0a, 0xa9,
];

/// Plays once, the evening `time_factor` times as fast as life; a line for each expectation. Returns
/// how many were met and how many not.
pub async fn check(stage: &Stage, time_factor: u32, out: &mut (dyn Write + Send)) -> (u32, u32) {
    let verdict = &Verdict::new(out);
    let desk = stage.desk();
    let first = desk.state().await;
    verdict.say(
        "the console shows the demo's mode",
        matches!(&first, Ok(state) if state["mode"] == "demo"),
    );
    press_and_mail(stage, &desk, verdict).await;
    repeat_and_strangers(stage, &desk, verdict).await;
    faults_and_rubbish(stage, &desk, verdict).await;
    through_an_incident(&desk, verdict).await;
    // All its scenes stand side by side in one future: too much for a stack.
    let round = Round { number: 0, time_factor };
    Box::pin(evening::play(stage, &desk, round, &|what, met| verdict.say(what, met))).await;
    let books = eventually(|| async {
        let state = desk.state().await.ok()?;
        let all = list(&state, "accounting");
        let used = all.iter().any(|book| book["door"] == "dc09" && book["received"] != 0);
        (used && all.iter().all(closes)).then_some(())
    });
    verdict
        .say("the doors' books close: nothing received is unaccounted for", books.await.is_some());
    verdict.counts()
}

/// One evening of several at the same house.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// 0 for the first; devices count on from there.
    pub number: u16,
    /// How many times as fast as life it is.
    pub time_factor: u32,
}

/// Plays the evening alone, once more than the rounds before it; a line for each expectation. Returns
/// how many were met and how many not.
pub async fn evening(stage: &Stage, round: Round, out: &mut (dyn Write + Send)) -> (u32, u32) {
    let verdict = &Verdict::new(out);
    let desk = stage.desk();
    Box::pin(evening::play(stage, &desk, round, &|what, met| verdict.say(what, met))).await;
    verdict.counts()
}

/// Whether whatever came in at a door has met its fate.
fn closes(book: &Value) -> bool {
    let count = |name: &str| book[name].as_u64().unwrap_or_default();
    let fates: u64 = ["durable", "refused", "shed", "coalesced"].map(count).iter().sum();
    count("received") == fates && count("in_flight") == 0
}

async fn press_and_mail(stage: &Stage, desk: &Desk, verdict: &Verdict<'_>) {
    let mut pendant = Pendant::new(stage.dc09, Link::Tcp, "4017", None);
    let pressed = pendant.press(3).await;
    verdict.say("pendant 4017 is acknowledged over TCP", pressed.is_ok());
    let signal = eventually(|| async { ringing(&desk.state().await.ok()?, "dc09:4017") }).await;
    verdict.say(
        "it rings on the console, with the name of its user",
        signal.as_ref().is_some_and(|signal| {
            signal["subscriber"]["name"].as_str().is_some_and(|name| name.starts_with("利用者"))
        }),
    );
    let mails = eventually(|| async {
        let mails = stage.mails(0).await?;
        (mails.iter().filter(|mail| mail["link"].is_string()).count() >= 3).then_some(mails)
    });
    let mails = mails.await.unwrap_or_default();
    verdict.say("three helpers have a mail with an answer link", mails.len() >= 3);
    let marked = mails.iter().all(|mail| {
        mail["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("【デモ・実際の災害ではありません】"))
    });
    verdict
        .say("every mail says in its first line that this is a demo", marked && !mails.is_empty());
    let ids: Vec<&Value> = mails.iter().map(|mail| &mail["message_id"]).collect();
    let single =
        ids.iter().enumerate().all(|(place, id)| !ids.iter().take(place).any(|each| each == id));
    verdict.say("nobody has a mail twice", single);

    let link = mails.first().and_then(|mail| mail["link"].as_str()).unwrap_or_default().to_owned();
    let scanned = request(&link, None).await.is_ok_and(|answer| answer.status == 200);
    let silent = desk.state().await.is_ok_and(|state| answers(&state, "coming") == 0);
    verdict.say("a link that a scanner fetches records nothing", scanned && silent);
    let tally = Arc::new(Tally::default());
    let volunteers = stage.volunteers(Shares::ALL_COME, 1_000, 0);
    let reading = tokio::spawn(async move { volunteers.run(tally).await });
    let came =
        eventually(|| async { (answers(&desk.state().await.ok()?, "coming") >= 1).then_some(()) });
    verdict.say("a helper's answer by the link reaches the console", came.await.is_some());
    reading.abort();
}

async fn repeat_and_strangers(stage: &Stage, desk: &Desk, verdict: &Verdict<'_>) {
    let mut pendant = Pendant::new(stage.dc09, Link::Udp, "4018", None);
    let pressed = pendant.press(1).await.is_ok();
    let repeated = pendant.repeat(&Content::press(1)).await.is_ok();
    verdict.say("pendant 4018 is acknowledged over UDP, and so is its repeat", pressed && repeated);
    let once = eventually(|| async { ringing(&desk.state().await.ok()?, "dc09:4018") }).await;
    verdict.say("the repeat counts once", once.is_some_and(|signal| signal["count"] == 1));

    let key = Key::new(&KEY_4391).ok();
    let mut keyed = Pendant::new(stage.dc09, Link::Tcp, "4391", key);
    verdict.say("pendant 4391 is acknowledged in AES", keyed.press(1).await.is_ok());
    let mut stranger = Pendant::new(stage.dc09, Link::Tcp, "BEEF", None);
    let taken = stranger.press(1).await.is_ok();
    let shown = eventually(|| async {
        let state = desk.state().await.ok()?;
        let known = list(&state, "devices").iter().find(|device| device["id"] == "dc09:BEEF")?;
        (known["registered"] == false).then(|| ringing(&state, "dc09:BEEF"))?
    });
    verdict.say(
        "a device nobody registered is taken and shown as such",
        taken && shown.await.is_some(),
    );
}

async fn faults_and_rubbish(stage: &Stage, desk: &Desk, verdict: &Verdict<'_>) {
    let mut pendant = Pendant::new(stage.dc09, Link::Tcp, "4020", None);
    let mains = Content::ContactId { qualifier: 1, code: 301, partition: 0, zone: 0 };
    let taken = pendant.send(&mains).await.is_ok() && pendant.link_test().await.is_ok();
    let shown = eventually(|| async {
        let state = desk.state().await.ok()?;
        let device = list(&state, "devices").iter().find(|device| device["id"] == "dc09:4020")?;
        let faults = device["faults"].as_array()?;
        (!faults.is_empty() && ringing(&state, "dc09:4020").is_none()).then_some(())
    });
    verdict
        .say("a lost mains is a fault of the device, not a call", taken && shown.await.is_some());
    let before = desk.state().await.map(|state| refused(&state)).unwrap_or_default();
    let silent = rubbish(stage.dc09).await;
    let counted =
        eventually(|| async { (refused(&desk.state().await.ok()?) > before).then_some(()) });
    verdict.say("rubbish gets no answer and is counted", silent && counted.await.is_some());
}

async fn through_an_incident(desk: &Desk, verdict: &Verdict<'_>) {
    let state = desk.state().await.unwrap_or_default();
    let signal = ringing(&state, "dc09:4017").unwrap_or_default();
    let claim = json!({"signal": signal["id"], "position": desk.position});
    let claimed = desk.command("AcknowledgeSignal", claim.clone()).await.is_ok();
    let again = desk.command("AcknowledgeSignal", claim).await.is_err();
    verdict.say("the desk takes the call; a second taker is refused", claimed && again);
    let body = json!({"signals": [signal["id"]], "kind": "ems"});
    let opened = desk.command("OpenIncident", body).await.is_ok();
    let incident = eventually(|| async {
        let state = desk.state().await.ok()?;
        let found = list(&state, "incidents").iter().find(|incident| {
            incident["signals"].as_array().is_some_and(|all| all.contains(&signal["id"]))
        });
        found.cloned()
    });
    let incident = incident.await.unwrap_or_default();
    verdict.say(
        "an incident is opened with the district's place",
        opened && incident["place"]["lat"].is_number(),
    );
    let body = json!({"incident": incident["id"], "outcome": "handled"});
    let closed = desk.command("CloseIncident", body).await.is_ok();
    let done = eventually(|| async {
        let state = desk.state().await.ok()?;
        let found = list(&state, "incidents").iter().find(|each| each["id"] == incident["id"])?;
        (found["state"] == "closed").then_some(())
    });
    verdict.say("it is closed with an outcome", closed && done.await.is_some());
}

/// Gently, for a newcomer: link tests all the time, a call now and then, never more than a few that
/// wait. The newcomer is the dispatcher.
pub async fn demo(stage: &Stage, out: &mut (dyn Write + Send)) {
    let volunteers = stage.volunteers(Shares::DAY, 10, 0);
    let reading = tokio::spawn(async move { volunteers.run(Arc::new(Tally::default())).await });
    let desk = stage.desk();
    let pressed = |account, content| Act::Press(account, content);
    let acts = [
        pressed("4017", Content::press(3)),
        Act::Call(calls::illness()),
        pressed("4022", Content::ContactId { qualifier: 1, code: 301, partition: 0, zone: 0 }),
        pressed("4110", Content::Sia("Nri1/QA003".to_owned())),
        Act::Call(calls::of_the_fire(0)),
        pressed("BEEF", Content::press(1)),
        Act::Call(calls::of_the_fire(5)),
        pressed("4007", Content::ContactId { qualifier: 1, code: 302, partition: 0, zone: 0 }),
        Act::Call(calls::without_a_place()),
        Act::Words("道路寸断 負傷2 孤立12世帯"),
        pressed("4205", Content::ContactId { qualifier: 1, code: 110, partition: 1, zone: 10 }),
    ];
    for round in 0_u32.. {
        let account = format!("{}", 4_001 + round.wrapping_mul(7) % 390);
        let mut unit = Pendant::new(stage.dc09, Link::Udp, &account, None);
        note(out, "link test", &account, unit.link_test().await.is_ok());
        let place = usize::try_from(round / 8).unwrap_or_default() % acts.len();
        if round % 8 == 1
            && waiting(&desk).await < 4
            && let Some(act) = acts.get(place)
        {
            play(stage, act, round, out).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    reading.abort();
}

/// What happens in the demo.
enum Act {
    Press(&'static str, Content),
    Call(Plan),
    /// Words of the branch office of Kawamae, over a satellite.
    Words(&'static str),
}

async fn play(stage: &Stage, act: &Act, round: u32, out: &mut (dyn Write + Send)) {
    match act {
        Act::Call(plan) => {
            let plan = Plan { patience: CALLERS_PATIENCE, ..plan.clone() };
            drop(writeln!(out, "  {:<9} {}", "119", plan.tel.as_deref().unwrap_or("withheld")));
            // Whether it is answered is the newcomer's business.
            tokio::spawn(calls::dial(stage.sip, plan));
        }
        Act::Words(words) => {
            let message = office::words(u64::from(round), words);
            let sent = stage.satphone.as_ref().map(|satphone| satphone.call(message.as_bytes()));
            note(out, "satellite", "川前支所", sent.is_some());
        }
        Act::Press(account, content) => {
            let mut unit = Pendant::new(stage.dc09, Link::Tcp, account, None);
            unit.set_sequence(u16::try_from(round % 9_998).unwrap_or_default() + 1);
            note(out, content.id(), account, unit.send(content).await.is_ok());
        }
    }
}

async fn waiting(desk: &Desk) -> usize {
    let state = desk.state().await.unwrap_or_default();
    list(&state, "signals").iter().filter(|signal| signal["state"] != "ended").count()
}

fn note(out: &mut (dyn Write + Send), what: &str, who: impl Display, taken: bool) {
    let answer = if taken { "acknowledged" } else { "no answer" };
    // A terminal that went away is no reason to stop the demo.
    drop(writeln!(out, "  {what:<9} {who:<6} {answer}"));
}

impl Stage {
    fn desk(&self) -> Desk {
        self.seat("dispatcher1")
    }

    /// A seat where this log-in works.
    fn seat(&self, user: &str) -> Desk {
        let token = self.tokens.get(user).cloned().unwrap_or_default();
        Desk { console: self.console.clone(), token, position: "desk1".to_owned() }
    }

    fn volunteers(&self, shares: Shares, time_factor: u32, after: u64) -> Volunteers {
        Volunteers { mailbox: self.mailbox.clone(), seed: 1, shares, time_factor, after }
    }

    /// Mails that came after the one with this number.
    async fn mails(&self, after: u64) -> Option<Vec<Value>> {
        let url = format!("{}/api/mails?after={after}", self.mailbox);
        let answer = request_as("", &url, None).await.ok()?;
        serde_json::from_slice(&answer.body).ok()
    }
}

/// The ringing or answered signal of a device.
fn ringing(state: &Value, device: &str) -> Option<Value> {
    let found = list(state, "signals")
        .iter()
        .find(|signal| signal["device"] == device && signal["state"] != "ended");
    found.cloned()
}

fn answers(state: &Value, choice: &str) -> u64 {
    list(state, "notices").iter().filter_map(|notice| notice["answers"][choice].as_u64()).sum()
}

fn refused(state: &Value) -> u64 {
    list(state, "accounting").iter().filter_map(|book| book["refused"].as_u64()).sum()
}

/// Sends a frame with a wrong CRC; whether the receiver stays silent.
async fn rubbish(dc09: SocketAddr) -> bool {
    let Ok(socket) = tokio::net::UdpSocket::bind("127.0.0.1:0").await else { return false };
    let frame = b"\n18810027\"ADM-CID\"0200L0#4901[#4901|1101 01 003]\r";
    if socket.send_to(frame, dc09).await.is_err() {
        return false;
    }
    let mut buffer = [0; 256];
    let wait = Duration::from_millis(300);
    tokio::time::timeout(wait, socket.recv_from(&mut buffer)).await.is_err()
}

/// Asks until there is an answer, or patience ends.
async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> Option<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.ok()
}

/// What was expected, and whether it came about.
struct Verdict<'a>(Mutex<Lines<'a>>);

struct Lines<'a> {
    out: &'a mut (dyn Write + Send),
    met: u32,
    missed: u32,
}

impl<'a> Verdict<'a> {
    fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self(Mutex::new(Lines { out, met: 0, missed: 0 }))
    }

    fn say(&self, what: &str, met: bool) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let word = if met { "ok    " } else { "MISSED" };
        if met {
            lines.met += 1;
        } else {
            lines.missed += 1;
        }
        // The counts decide, whether or not anyone reads along.
        drop(writeln!(lines.out, "{word}  {what}"));
    }

    fn counts(&self) -> (u32, u32) {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.met, lines.missed)
    }
}
