//! Fake devices and people: a library for tests first, then one binary.
//!
//! Everything here speaks with code of its own, never with the code it is to test.

pub mod caller;
pub mod desk;
pub mod devices;
pub mod driver;
pub mod http;
mod line;
pub mod mailbox;
pub mod mqtt_device;
pub mod pendant;
pub mod phone;
pub mod satphone;
pub mod scenario;
pub mod tracker;
pub mod vehicle;
pub mod volunteer;
