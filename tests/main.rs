//! One program for all integration tests: flows, crashes, simulation, tidiness.
//!
//! Each module says `cfg(test)`, as that is how clippy knows that helpers belong to tests.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cap;
#[cfg(test)]
mod check_config;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod house;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod mqtt;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod order;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod redaction;
#[cfg(test)]
mod satphones;
#[cfg(test)]
mod service;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod sip;
#[cfg(test)]
mod stranger;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod trackers;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod vehicles;
