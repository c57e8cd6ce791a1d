//! One binary for all integration tests: flows, crashes, simulation, tidiness.

mod simulation;
mod tidy;
