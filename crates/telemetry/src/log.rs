//! Logs: fields first, then a sentence, to standard error.

use std::io;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::util::SubscriberInitExt;

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: time, level, part, fields, sentence; coloured at a terminal.
    Terminal,
    /// For files and the machine's own log: the same without colours.
    Plain,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The filter is no filter.
    #[error(
        "the log filter `{filter}` is not understood; write it as `hansho=info` or `hansho_intake=debug,warn`"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What the parser says.
        source: ParseError,
    },
    /// A log was set up before.
    #[error("the log is set up already; set it up once, at the start of `main`")]
    Twice {
        /// What the library says.
        source: tracing_subscriber::util::TryInitError,
    },
}

/// Sets up the log and the metrics of this process. `filter` is as in `RUST_LOG`; as all our crates
/// begin with `hansho`, `hansho=debug` reaches all of them.
///
/// # Errors
///
/// When the filter is not understood, or when there is a log already.
pub fn init(format: Format, filter: &str) -> Result<(), InitError> {
    let parsed = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| InitError::Filter { filter: filter.to_owned(), source })?;
    crate::install_metrics();
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(io::stderr)
        .with_ansi(format == Format::Terminal)
        .finish()
        .try_init()
        .map_err(|source| InitError::Twice { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_and_a_second_log_too() {
        let error = init(Format::Plain, "hansho=loud").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the log filter `hansho=loud` is not understood"), "{text}");
        init(Format::Plain, "hansho=warn").unwrap();
        assert!(matches!(init(Format::Terminal, "warn"), Err(InitError::Twice { .. })));
    }
}
