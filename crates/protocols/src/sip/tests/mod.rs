//! Tests of the endpoint, driven by messages and time.

mod calls;
mod hostile;
mod house;
mod locations;
mod messages;
mod properties;
