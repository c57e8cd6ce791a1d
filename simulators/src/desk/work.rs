//! What a dispatcher does all day: answers, and writes down.
//!
//! Several seats work side by side without a word between them: whoever comes second to a call, an
//! incident or a unit is told so by the console and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Desk, DeskError, Habits, list};

/// Answers what has rung long enough. Returns when the console has been away for a minute.
pub(super) async fn answer(desk: &Desk, habits: Habits) -> Result<(), DeskError> {
    let mut hands = Hands { tried: BTreeMap::new() };
    let mut patience = Patience::default();
    loop {
        patience.judge(hands.answer(desk, habits).await)?;
        sleep(LOOK_PERIOD).await;
    }
}

/// Does what is to be done about what this seat has answered. Returns as [`answer`] does.
pub(super) async fn write_down(desk: &Desk, habits: Habits) -> Result<(), DeskError> {
    let mut papers = Papers { asked: BTreeMap::new() };
    let mut patience = Patience::default();
    loop {
        if habits.open {
            patience.judge(papers.round(desk, habits).await)?;
        }
        sleep(WRITE_PERIOD).await;
    }
}

/// Patience with a console that is away.
#[derive(Default)]
struct Patience {
    away_since: Option<Instant>,
}

impl Patience {
    fn judge(&mut self, round: Result<(), DeskError>) -> Result<(), DeskError> {
        let Err(error) = round else {
            self.away_since = None;
            return Ok(());
        };
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if since.elapsed() < AWAY_MAX { Ok(()) } else { Err(error) }
    }
}

struct Hands {
    /// When each signal was last taken: a phone that is busy is not rung without a pause.
    tried: BTreeMap<String, Instant>,
}

impl Hands {
    async fn answer(&mut self, desk: &Desk, habits: Habits) -> Result<(), DeskError> {
        let state = desk.state().await?;
        let ringing: Vec<&Value> =
            list(&state, "signals").iter().filter(|signal| signal["state"] == "ringing").collect();
        let ids: BTreeSet<&str> = ringing.iter().map(|signal| text(&signal["id"])).collect();
        self.tried.retain(|id, _| ids.contains(id.as_str()));
        let mut answers = JoinSet::new();
        for signal in ringing {
            let id = text(&signal["id"]).to_owned();
            let again = self.tried.get(&id).is_none_or(|at| at.elapsed() >= AGAIN_AFTER);
            let waited = since(&state["at"], &signal["received_at"]);
            if !again || waited.is_none_or(|waited| waited < habits.answer_after) {
                continue;
            }
            self.tried.insert(id.clone(), Instant::now());
            let (desk, signal) = (desk.clone(), signal.clone());
            answers.spawn(async move { desk.take(&signal).await.map(drop) });
            if answers.len() >= AT_ONCE_MAX
                && let Some(Ok(done)) = answers.join_next().await
            {
                done?;
            }
        }
        while let Some(Ok(done)) = answers.join_next().await {
            done?;
        }
        Ok(())
    }
}

struct Papers {
    /// When each incident was last looked at for what it still needs.
    asked: BTreeMap<String, Instant>,
}

impl Papers {
    async fn round(&mut self, desk: &Desk, habits: Habits) -> Result<(), DeskError> {
        let mut state = desk.state().await?;
        // Each of them may become what the next is similar to: so one after the other; and units
        // are not to wait until all is written down.
        let mut tried = BTreeSet::new();
        while let Some(signal) = list(&state, "signals")
            .iter()
            .find(|each| is_loose(desk, each) && !tried.contains(text(&each["id"])))
            .filter(|_more| tried.len() < WRITTEN_AT_ONCE_MAX)
        {
            tried.insert(text(&signal["id"]).to_owned());
            let seq = desk.write_down(signal).await?;
            state = desk.state_since(seq).await?;
        }
        for signal in list(&state, "signals") {
            if signal["state"] == "abandoned" && signal["call"]["callback_overdue"] == true {
                call_back(desk, &signal["id"]).await?;
            }
        }
        for incident in list(&state, "incidents").iter().filter(|each| is_mine(desk, each, &state))
        {
            let id = text(&incident["id"]).to_owned();
            if self.asked.get(&id).is_some_and(|at| at.elapsed() < AGAIN_AFTER) {
                continue;
            }
            self.asked.insert(id.clone(), Instant::now());
            let waits = habits.dispatch && list(incident, "units").is_empty();
            let ordered = waits && desk.order(&id).await?;
            if !ordered && is_over(incident, &state, habits.close_after) {
                let body = json!({"incident": id, "outcome": "handled"});
                tolerate(desk.command("CloseIncident", body).await)?;
                self.asked.remove(&id);
            }
        }
        Ok(())
    }
}

/// Whether this seat has it, and nothing has come of it yet.
fn is_loose(desk: &Desk, signal: &Value) -> bool {
    let taken = if signal["call"].is_null() { &signal["acknowledged"] } else { &signal["call"] };
    let seat = &taken["position"];
    signal["state"] == "answered" && signal["incident"].is_null() && *seat == desk.position
}

impl Desk {
    /// Takes a signal; whether no other seat was faster.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn take(&self, signal: &Value) -> Result<bool, DeskError> {
        let kind = if signal["call"].is_null() { "AcknowledgeSignal" } else { "AnswerCall" };
        let body = json!({"signal": signal["id"], "position": self.position});
        tolerate(self.command(kind, body).await).map(|seq| seq.is_some())
    }

    /// Joins a signal to what the console suggests, or opens an incident for it; gives the number
    /// of the event, 0 when somebody else had done so.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn write_down(&self, signal: &Value) -> Result<u64, DeskError> {
        if let Some(similar) = list(signal, "similar").first() {
            let body = json!({"signal": signal["id"], "incident": similar["incident"]});
            if let Some(seq) = tolerate(self.command("JoinSignal", body).await)? {
                return Ok(seq);
            }
        }
        let (kind, subkind) = kind_of(signal);
        let body = json!({"signals": [signal["id"]], "kind": kind, "subkind": subkind});
        tolerate(self.command("OpenIncident", body).await).map(Option::unwrap_or_default)
    }

    /// Orders what is recommended for an incident; whether that was anything.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn order(&self, incident: &str) -> Result<bool, DeskError> {
        let advice = self.recommendation(incident).await?;
        let chosen = list(&advice, "units").iter().filter(|unit| unit["chosen"] == true);
        let units: Vec<&Value> = chosen.map(|unit| &unit["unit"]).collect();
        if units.is_empty() {
            return Ok(false);
        }
        let body = json!({"incident": incident, "units": units});
        tolerate(self.command("OrderUnits", body).await).map(|seq| seq.is_some())
    }
}

/// What a caller asks for, or a device says.
fn kind_of(signal: &Value) -> (&'static str, &'static str) {
    let asked = signal["service"].as_str().or_else(|| signal["alarm"].as_str());
    match asked.unwrap_or_default() {
        "sos.fire" => ("fire", "building"),
        "fire" => ("fire", "alarm"),
        "sos.marine" => ("rescue", "water"),
        "sos.mountain" => ("rescue", "traffic"),
        "gas" => ("precaution", "gas"),
        _ => ("ems", "illness"),
    }
}

/// Nobody can be reached by a program; that is what it says.
async fn call_back(desk: &Desk, signal: &Value) -> Result<(), DeskError> {
    let body = json!({"signal": signal, "outcome": "no_answer"});
    if tolerate(desk.command("CallBack", body).await)?.is_some() {
        let body = json!({"signal": signal, "outcome": "nothing_found"});
        tolerate(desk.command("EndSignal", body).await)?;
    }
    Ok(())
}

/// Whether an open incident stands on a signal that this seat took.
fn is_mine(desk: &Desk, incident: &Value, state: &Value) -> bool {
    let first = list(incident, "signals").first();
    let first = list(state, "signals").iter().find(|signal| Some(&signal["id"]) == first);
    let seats =
        first.map(|signal| [&signal["acknowledged"]["position"], &signal["call"]["position"]]);
    incident["state"] == "open"
        && seats.is_some_and(|seats| seats.iter().any(|seat| **seat == desk.position))
}

/// Whether all callers have hung up, all units are on their way back, and a helper comes or the time is
/// over.
fn is_over(incident: &Value, state: &Value, close_after: Duration) -> bool {
    let joined = |signal: &&Value| signal["incident"] == incident["id"];
    let signals: Vec<&Value> = list(state, "signals").iter().filter(joined).collect();
    let speaks = |call: &Value| call["state"] == "connecting" || call["state"] == "connected";
    let out = |assignment: &Value| assignment["ended"].is_null() && assignment["status"] != "RT";
    let away = list(incident, "assignments").iter().any(out);
    let noticed =
        |notice: &Value| signals.iter().any(|each| list(each, "notices").contains(notice));
    let coming = list(state, "notices").iter().any(|notice| {
        notice["answers"]["coming"].as_u64().unwrap_or_default() > 0 && noticed(&notice["id"])
    });
    let old = since(&state["at"], &incident["opened_at"]).is_some_and(|age| age >= close_after);
    !away && !signals.iter().any(|signal| speaks(&signal["call"])) && (coming || old)
}

/// Another seat may have been faster: that is no fault, and there is no event of ours.
fn tolerate(done: Result<u64, DeskError>) -> Result<Option<u64>, DeskError> {
    match done {
        Ok(seq) => Ok(Some(seq)),
        Err(DeskError::Refused { status: 409, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// From one moment to a later one; `None` when either cannot be read.
fn since(later: &Value, earlier: &Value) -> Option<Duration> {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    time(later)?.duration_since(time(earlier)?).try_into().ok()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Between two looks at what rings.
const LOOK_PERIOD: Duration = Duration::from_millis(100);
/// Between two rounds of writing down.
const WRITE_PERIOD: Duration = Duration::from_millis(250);
/// Before the same thing is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a console may be away.
const AWAY_MAX: Duration = Duration::from_mins(1);
/// Signals written down before units are thought of.
const WRITTEN_AT_ONCE_MAX: usize = 8;
/// Answers at once.
const AT_ONCE_MAX: usize = 64;

#[cfg(test)]
mod tests;
