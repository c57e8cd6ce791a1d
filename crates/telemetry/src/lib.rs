//! Log set-up, metric names, chains of errors, and the limit on repeated warnings.
//!
//! Every part of the shell speaks through here; `core` and `protocols` do not, as they neither log
//! nor count. Metrics are variants of [`Counter`], [`Gauge`] and [`Histogram`], so that no name is
//! a string at the place of use and a test can list them all. Labels come from closed sets; an id
//! (device, person, incident) is never a label.
//!
//! Limits: [`REPEAT_PERIOD`], [`REPEAT_KEYS_MAX`].
//!
//! ```
//! use hansho_telemetry::{Counter, Histogram};
//! hansho_telemetry::install_metrics();
//! Counter::IntakeReportsTotal.add("A", 1);
//! Histogram::JournalCommitSeconds.record(0.004);
//! assert!(hansho_telemetry::render().contains("hansho_intake_reports_total{lane=\"A\"} 1"));
//! ```

mod chain;
mod log;
mod metric;
mod repeat;

pub use chain::Chain;
pub use log::{Format, InitError, init};
pub use metric::{Counter, Gauge, Histogram, Metric, install_metrics, render, tidy_metrics};
pub use repeat::{REPEAT_KEYS_MAX, REPEAT_PERIOD, Repeats};
