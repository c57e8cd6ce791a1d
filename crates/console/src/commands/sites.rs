//! Commands about sites that are reached over a satellite.

use hansho_model::{CommandKind, MESSAGE_BYTES_MAX};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::fault::Fault;
use crate::seams::Seal;

/// `SendMessage`: words to a site over a satellite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// The site's handset, such as `sbd:300000000000111`.
    device: String,
    /// The words, 1 to 300 bytes of UTF-8 (a hundred kanji).
    text: String,
}

pub(super) fn send(fields: SendMessage, seal: &dyn Seal) -> Result<CommandKind, Fault> {
    let SendMessage { device, text } = fields;
    let text = text.trim();
    if text.is_empty() || text.len() > MESSAGE_BYTES_MAX {
        return Err(Fault::malformed(
            format!("a message of {} bytes", text.len()),
            "body.text",
            &format!("1 to {MESSAGE_BYTES_MAX} bytes of UTF-8; a kanji has 3"),
        ));
    }
    if text.chars().any(|sign| sign.is_control() && sign != '\n') {
        return Err(Fault::malformed(
            "a message with a control character",
            "body.text",
            "plain words and line breaks; a handset shows nothing else",
        ));
    }
    let text = seal.seal(text.as_bytes()).ok_or(Fault::Internal)?;
    Ok(CommandKind::SendMessage { device, text })
}
