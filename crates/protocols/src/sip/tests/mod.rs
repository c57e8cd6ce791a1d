//! Tests of the endpoint, driven by messages and time.

mod calls;
mod hostile;
mod house;
mod messages;
mod properties;
