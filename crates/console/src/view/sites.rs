//! Sites that are reached over a satellite, and messages to them.

use serde::Serialize;
use utoipa::ToSchema;

/// A site with a satellite handset: a branch office (支所), a body of the disaster headquarters.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Site {
    /// Its handset among the devices, such as `sbd:300000000000111`.
    pub device: String,
    /// Its name; an office's, never a person's.
    pub name: String,
    /// District it stands in, 1 to 13.
    pub district: Option<u8>,
    /// When it was heard last.
    pub last_heard: Option<String>,
}

/// Words to a site over a satellite.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Message {
    /// Such as `m184400`; its number goes with the words.
    pub id: String,
    /// To whom.
    pub device: String,
    /// The words; absent when the key to them was destroyed, and for a viewer.
    pub text: Option<String>,
    /// Who ordered it.
    pub by: String,
    /// When.
    pub ordered_at: String,
    /// When it is given up, if it could not go by then.
    pub until: String,
    /// `queued` (it waits for a modem, or for a satellite in sight), `accepted` (the network has it;
    /// not the same as read), `uncertain` (nobody knows whether it went, and no machine sends it
    /// again), `failed`.
    pub state: String,
    /// When that was known; absent while it is `queued`.
    pub settled_at: Option<String>,
    /// Status of the modem when it failed, 0 when it gave none.
    pub code: u16,
    /// Whether the site may have it twice.
    pub maybe_twice: bool,
}
