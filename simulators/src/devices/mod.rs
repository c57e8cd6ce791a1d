//! What devices put on the wire, encoded with code of its own: never with the decoder's, so that a
//! mistake of one cannot hide in the other.

pub mod dc09;
pub mod mqtt;
pub mod sbd;
pub mod sip;
pub mod watch;
