//! One program for all integration tests: flows, crashes, simulation, tidiness.
//!
//! Each module says `cfg(test)`, as that is how clippy knows that helpers belong to tests.

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tidy;
