//! A whole chain of errors in one line.

use std::error::Error;
use std::fmt;

/// Shows an error and all its sources, outermost first, parted by colons. An error's own `Display`
/// says its own layer only, so log sites write `error = %Chain(&error)`.
///
/// ```
/// let error = "x".parse::<u8>().unwrap_err();
/// assert_eq!(hansho_telemetry::Chain(&error).to_string(), "invalid digit found in string");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            write!(f, ": {error}")?;
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the journal cannot be opened")]
    struct Outer {
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the file is read-only")]
    struct Inner;

    #[test]
    fn every_layer_is_shown_once() {
        let text = Chain(&Outer { source: Inner }).to_string();
        assert_eq!(text, "the journal cannot be opened: the file is read-only");
    }
}
