//! `watch`: wearable trackers of the 3G Elec / SeTracker family (`[3G*`, `[SG*`, `[CS*`, `[ZJ*`).
//!
//! - **Devices**: GPS watches and pendants for people who may lose their way (見守りGPS端末).
//! - **Transport**: TCP; the device connects. Frames of ASCII with binary voice and pictures.
//! - **Source**: Traccar's open decoder and its captured frames (Apache-2.0), in our own words.
//! - **Limits**: a frame has at most [`FRAME_MAX`] bytes; at most [`PENDING_MAX`] reports of one
//!   session wait for their receipt; [`BAD_FRAMES_MAX`] bad frames in a row or [`JUNK_MAX`] bytes
//!   without a good frame end a connection. The door closes a link that is silent for 30 minutes.
//! - **Quirks**, each accepted: a length that is wrong (14 of 49 captured frames); a length that
//!   counts escaped bytes once; names of Wi-Fi stations with brackets and braces; numbers with spaces
//!   before them; hemisphere letters that are absent; network parts of any kind after the status.
//!
//! A length is believed where `]` stands at its end; where counted brackets end elsewhere, the next
//! byte decides, and when none comes within [`HESITATION`], what is there.
//!
//! Of an alarm every bit is told, never the first alone. State bits are told when they change. A
//! message without a place of its own has none: the last one is never repeated. Nothing is answered
//! before it is durable, and nothing that cannot be read is answered at all.
//!
//! Nobody proves who he is here and nothing is encrypted: a connection speaks for the one device
//! that it named first.

mod findings;
mod frame;
mod message;
mod position;
mod reading;
mod session;

pub use frame::{FRAME_MAX, first_frame};
pub use message::{Meaning, Message, decode};
pub use position::{Network, Place, PositionReport};
pub use session::{BAD_FRAMES_MAX, HESITATION, JUNK_MAX, PENDING_MAX, Watch};

use crate::{Session, Setup};

/// A new conversation.
#[must_use]
pub fn session(setup: Setup) -> Box<dyn Session> {
    Box::new(Watch::new(setup))
}
