//! The dispatchers' web console and API.
//!
//! Place in the flow: committed events come in through [`Reads`] (a replica that folds them), what
//! people want goes out through [`Submit`]. The console holds no state of its own but rates of
//! log-in attempts: sessions are in the core's state and outlive a restart.
//!
//! Invariants:
//! - An answer 200 to a command is given only after the [`Receipt`](hansho_model::Receipt): durable.
//! - The stream carries committed events only, each once per connection, in order, with its number.
//! - A `GET` changes nothing; the answer page and the public's alerts alone are open to all.
//! - Nothing is loaded from outside: page, scripts and fonts come from this binary.
//!
//! Limits stand in [`limits`].
//!
//! ```no_run
//! # async fn run(console: std::sync::Arc<hansho_console::Console>) -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8119").await?;
//! hansho_console::serve(listener, console, std::future::pending::<()>()).await
//! # }
//! ```

mod accounts;
mod api;
mod assets;
mod auth;
mod commands;
mod dispatch;
mod events;
mod fault;
mod from_state;
pub mod limits;
mod openapi;
mod rate;
mod seams;
mod server;
mod stream;
pub mod view;

pub use accounts::{Account, Accounts, ApiToken, PasswordError, hash_password};
pub use openapi::openapi_json;
pub use seams::{
    Accountings, Answered, Answers, Clock, Console, Metrics, Page, PublicAlerts, Reads, Seal,
    Settings, Submit, Tail,
};
pub use server::serve;
