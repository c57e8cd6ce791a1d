//! Device and network formats as sans-IO sessions.
//!
//! Place in the flow: `intake` owns the sockets, feeds bytes and times into a [`Session`] and
//! carries out its [`Output`]s; `core` never sees a byte. A session has no socket, file, clock,
//! random number or thread. It hands out a report with a [`Receipt`] and learns only through
//! [`Session::handle_durable`] that it may answer.
//!
//! Calls are no sessions with one device: [`sip::Endpoint`] keeps all of the house's, in the same
//! manner.
//!
//! A modem of the house's own is none either: [`sbd::Sbd`] drives one. Alerts are documents:
//! [`cap::read`] and [`cap::write`](fn@cap::write).
//!
//! Limits stand as named constants in each protocol's folder; [`Limits`] holds those in time.
//!
//! ```
//! use std::sync::Arc;
//! use hansho_protocols::{Accounts, Durable, Limits, Output, Protocol, Setup, Transport, UnknownDevices};
//!
//! let now = "2026-04-01T00:00:30Z".parse().unwrap();
//! let mut accounts = Accounts::new(UnknownDevices::Show);
//! accounts.register("4901", None);
//! let setup = Setup::new(Arc::new(accounts), Transport::Datagram, Limits::default(), now);
//! let mut session = Protocol::Dc09.session(setup);
//! session.handle_bytes(now, b"\nCF470013\"NULL\"0000L0#4901[]\r").unwrap();
//! let Output::Report(receipt, report) = session.poll_output() else { panic!() };
//! assert_eq!(report.device, "4901");
//! session.handle_durable(now, receipt, Durable::Stored);
//! let Output::Transmit(answer) = session.poll_output() else { panic!() };
//! assert_eq!(answer, b"\n0F250012\"ACK\"0000L0#4901[]\r");
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod accounts;
pub mod cap;
pub mod dc09;
mod findings;
pub mod mqtt;
mod registry;
pub mod sbd;
mod session;
pub mod sip;
#[cfg(test)]
mod tests;
mod time;
pub mod vehicle;
pub mod watch;

pub use accounts::{Accounts, Key, KeyError, LogIn, Standing, UnknownDevices};
pub use registry::Protocol;
pub use session::{Durable, FrameError, Limits, Output, Receipt, Session, Setup, Transport};
