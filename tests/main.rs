//! One binary for all integration tests: flows, crashes, simulation, tidiness.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail and say why")]

mod bad_input;
mod crash;
mod flow;
mod house;
mod order;
mod peers;
mod tidy;
