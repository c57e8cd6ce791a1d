//! SIP: calls to 119, with the caller's location.

pub mod address;
pub mod decimal;
pub mod geolocation;
pub mod message;
pub mod multipart;
pub mod offer;
pub mod pidf;
mod shape;
