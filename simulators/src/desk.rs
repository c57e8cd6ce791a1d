//! A dispatcher made of API calls: sees what rings, takes it, opens an incident, closes it.
//!
//! For drills and load. It does what a person at the console does and knows what a person sees: the
//! state of `GET /api/state`, nothing else.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::request_as;

/// What this dispatcher does with a signal that rings.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How long it rings before it is taken.
    pub answer_after: Duration,
    /// Whether an incident is opened for it, and closed once helpers have answered or a minute is
    /// over; else the signal is only taken.
    pub open: bool,
}

/// A seat with a log-in.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Console, such as `http://127.0.0.1:8119`.
    pub console: String,
    /// Bearer token.
    pub token: String,
    /// Seat.
    pub position: String,
}

/// Why a desk could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The console does not answer.
    #[error("the console at {console} does not answer")]
    Away {
        /// Console.
        console: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The console said no.
    #[error("the console refused {what}: {status} {code}")]
    Refused {
        /// What was asked.
        what: String,
        /// HTTP status.
        status: u16,
        /// Reason code; the start of the answer when there is none.
        code: String,
    },
    /// The answer is no JSON.
    #[error("the console's answer is no JSON")]
    Answer(#[from] serde_json::Error),
}

impl Desk {
    /// The whole state.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn state(&self) -> Result<Value, DeskError> {
        self.ask("/api/state", None).await
    }

    /// Gives a command; the number of its event once it is durable.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn command(&self, kind: &str, body: Value) -> Result<u64, DeskError> {
        let id = uuid::Uuid::now_v7().to_string();
        self.command_as(&id, kind, body).await
    }

    /// Gives a command under an id of the caller's own: sending it twice has the effect of once.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn command_as(&self, id: &str, kind: &str, body: Value) -> Result<u64, DeskError> {
        let text = json!({"id": id, "kind": kind, "body": body}).to_string();
        let answer = self.ask("/api/commands", Some(&text)).await?;
        Ok(answer["seq"].as_u64().unwrap_or_default())
    }

    /// Takes what rings, for ever. Returns only when the console has been away for a minute.
    ///
    /// # Errors
    ///
    /// The last reason why the console was away.
    pub async fn work(&self, habits: Habits) -> Result<(), DeskError> {
        let mut away = 0;
        loop {
            match self.round(habits).await {
                Ok(()) => away = 0,
                Err(error) if away >= 120 => return Err(error),
                Err(_for_now) => away += 1,
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// One look at the list, and what follows from it.
    async fn round(&self, habits: Habits) -> Result<(), DeskError> {
        let state = self.state().await?;
        let now = state["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
        for signal in list(&state, "signals") {
            let rung = signal["received_at"].as_str().and_then(|at| at.parse().ok());
            let (Some(now), Some(rung)) = (now, rung) else { continue };
            let rung: jiff::Timestamp = rung;
            let waited = now.duration_since(rung).unsigned_abs();
            if signal["state"] == "ringing" && waited >= habits.answer_after {
                self.take(signal, habits.open).await?;
            }
        }
        for incident in list(&state, "incidents") {
            if habits.open && incident["state"] == "open" {
                let body = json!({"incident": incident["id"], "outcome": "handled"});
                self.tolerate(self.command("CloseIncident", body).await)?;
            }
        }
        Ok(())
    }

    async fn take(&self, signal: &Value, open: bool) -> Result<(), DeskError> {
        let take = if signal["kind"] == "call" { "AnswerCall" } else { "AcknowledgeSignal" };
        let body = json!({"signal": signal["id"], "position": self.position});
        self.tolerate(self.command(take, body).await)?;
        if open {
            let body = json!({"signals": [signal["id"]], "kind": "ems"});
            self.tolerate(self.command("OpenIncident", body).await)?;
        }
        Ok(())
    }

    /// Another seat may have been faster: that is no fault.
    fn tolerate(&self, done: Result<u64, DeskError>) -> Result<(), DeskError> {
        match done {
            Err(DeskError::Refused { status: 409, .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, path: &str, body: Option<&str>) -> Result<Value, DeskError> {
        let url = format!("{}{path}", self.console);
        let away = |source| DeskError::Away { console: self.console.clone(), source };
        let answer = request_as(&self.token, &url, body).await.map_err(away)?;
        if answer.status == 200 {
            return Ok(serde_json::from_slice(&answer.body)?);
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = said["refused"]["code"].as_str().or_else(|| said["error"]["code"].as_str());
        Err(DeskError::Refused {
            what: path.to_owned(),
            status: answer.status,
            code: code.unwrap_or("no reason given").to_owned(),
        })
    }
}

/// A list in the state; empty when it is not there.
#[must_use]
pub fn list<'a>(state: &'a Value, name: &str) -> &'a [Value] {
    state[name].as_array().map_or(&[], Vec::as_slice)
}
