//! A dispatcher made of API calls: answers what rings, opens an incident or joins one, orders what
//! is recommended, calls back, closes.
//!
//! For drills and load. It does what a person at the console does and knows what a person sees: the
//! state of `GET /api/state`, nothing else.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::request_as;

mod work;

/// What this dispatcher does with a signal that rings.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How long it rings before it is taken.
    pub answer_after: Duration,
    /// Whether what was taken joins the incident that the console suggests, or one is opened for it;
    /// whether those who hung up are called back once that is due; and whether what is over is
    /// closed.
    pub open: bool,
    /// Whether what is recommended is ordered, for every incident that this seat opened.
    pub dispatch: bool,
    /// How long an incident stays open, unless a helper comes before.
    pub close_after: Duration,
}

impl Default for Habits {
    /// Takes at once what rings, no more.
    fn default() -> Self {
        Self {
            answer_after: Duration::ZERO,
            open: false,
            dispatch: false,
            close_after: Duration::from_mins(1),
        }
    }
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

    /// What the plan sends to an incident, and why.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn recommendation(&self, incident: &str) -> Result<Value, DeskError> {
        self.ask(&format!("/api/incidents/{incident}/recommendation"), None).await
    }

    /// The state with this event in it: what is read follows what is written by a moment.
    ///
    /// # Errors
    ///
    /// See [`DeskError`].
    pub async fn state_since(&self, seq: u64) -> Result<Value, DeskError> {
        loop {
            let state = self.state().await?;
            if state["seq"].as_u64().unwrap_or_default() >= seq {
                return Ok(state);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Works as a dispatcher does, for ever. Returns only when the console has been away for a
    /// minute.
    ///
    /// # Errors
    ///
    /// The last reason why the console was away.
    pub async fn work(&self, habits: Habits) -> Result<(), DeskError> {
        // Who rings is not to wait for what is written down about others.
        tokio::try_join!(work::answer(self, habits), work::write_down(self, habits)).map(drop)
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
