//! Groups, and notices of a person to them.

use serde::Serialize;
use utoipa::ToSchema;

/// A group that notices go to (配信グループ).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Group {
    /// Such as `dan-2-3`.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its members.
    pub members: u32,
    /// How many mails a notice to it is: members with an address, each address once. This is the
    /// `count` of `SendNotice`.
    pub count: u32,
    /// Who may send to it: `dispatcher`, `supervisor`, `disaster_manager`.
    pub senders: Vec<String>,
}

/// What a notice to a group says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Letter {
    /// Key of the group.
    pub group: String,
    /// Its name; the key when it left the register.
    pub group_name: String,
    /// `call_out`, `muster`, `search`, `information`, `all_clear`.
    pub kind: String,
    /// Whether it asks for an answer.
    pub asks: bool,
    /// Whether it is a drill.
    pub drill: bool,
    /// Subject; absent when the key to it was destroyed, and for a viewer.
    pub subject: Option<String>,
    /// Text; absent likewise.
    pub text: Option<String>,
    /// Who ordered it.
    pub by: String,
    /// Incident it belongs to.
    pub incident: Option<String>,
    /// The notice that it corrects or withdraws.
    pub replaces: Option<String>,
    /// `correction` or `withdrawal`, when it replaces one.
    pub replacing: Option<String>,
    /// The newer notice that replaces it.
    pub replaced_by: Option<String>,
    /// What the public may read of it.
    pub public: Option<PublicText>,
}

/// What the public may read of a notice.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PublicText {
    /// One line.
    pub headline: String,
    /// The text.
    pub text: String,
    /// Districts, 1 to 13.
    pub districts: Vec<u8>,
    /// `extreme`, `severe`, `moderate`, `minor`, `unknown`.
    pub severity: String,
}
