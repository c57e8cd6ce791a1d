//! The exchange (電話交換): calls to 119, in the supervisor's process.
//!
//! It owns the SIP sockets and every transaction and dialog, so that a call outlives the core: with
//! the core gone, or silent for a second, it rings the seats' phones itself. What it says goes to
//! the core over the supervisor's line and is answered only when it is in the journal; without a
//! core it is answered from the [`spool`] and journalled later, marked as unrecorded.
//!
//! It is the driver: what to say is [`Endpoint`]'s, what is durable is [`records`]'.

pub mod line;
pub mod records;
pub mod spool;
