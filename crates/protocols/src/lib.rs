//! Device and network formats as sans-IO sessions.
//!
//! A session takes bytes and times and hands out reports, bytes and the time of its next duty. It
//! has no socket, file, clock or thread. It hands out a report with a [`Receipt`] and learns only
//! through [`Session::handle_durable`] that it may answer.

mod session;

pub use session::{Durable, FrameError, Output, Receipt, Session};
