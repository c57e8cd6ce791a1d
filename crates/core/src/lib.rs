//! Placeholder.

/// The state of the world, folded from the journal.
#[derive(Debug, Default)]
pub struct State;
