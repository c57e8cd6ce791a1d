//! The demo's city for the benchmark of its evening: who plays, what is timed, what the house costs.

pub(crate) mod arrows;
pub(crate) mod city;
pub(crate) mod cost;
pub(crate) mod load;
