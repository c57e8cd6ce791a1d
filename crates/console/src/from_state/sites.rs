//! Sites and messages to them, from the core's state to what the API shows.

use hansho_core::SentMessage;
use hansho_model::{MessageId, SourceId};

use super::Viewer;
use crate::limits::MESSAGES_SHOWN_MAX;
use crate::view;

impl Viewer<'_> {
    pub(super) fn sites(self) -> Vec<view::Site> {
        let sites = self.state.sites().iter();
        sites
            .map(|(source, entry)| {
                let heard = self.state.devices().get(source).and_then(|device| device.last_heard);
                view::Site {
                    device: entry.source.clone(),
                    name: entry.name.clone(),
                    district: entry.district.map(|district| district.0),
                    last_heard: heard.map(|at| at.to_string()),
                }
            })
            .collect()
    }

    /// Name of the site that a source is.
    pub(super) fn site_name(self, source: SourceId) -> Option<String> {
        self.state.sites().get(&source).map(|entry| entry.name.clone())
    }

    pub(super) fn messages(self) -> Vec<view::Message> {
        let latest = self.state.messages().iter().rev().take(MESSAGES_SHOWN_MAX);
        latest.map(|(id, message)| self.message(*id, message)).collect()
    }

    fn message(self, id: MessageId, message: &SentMessage) -> view::Message {
        view::Message {
            id: id.to_string(),
            device: self.state.source_name(message.device).to_owned(),
            text: self.open(Some(&message.text)),
            by: self.operator(message.by),
            ordered_at: message.ordered_at.to_string(),
            until: message.until.to_string(),
            state: message.status.as_str().to_owned(),
            settled_at: message.settled_at.map(|at| at.to_string()),
            code: message.detail.code,
            maybe_twice: message.maybe_twice,
        }
    }
}
