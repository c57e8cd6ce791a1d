//! What leaves the house towards people: mails, and the page on which they answer.
//!
//! Place in the flow: the outbox hands an attempt that is already in the journal to
//! [`mail::MailChannel`], which opens the sealed values, renders the mail ([`render()`]) and speaks
//! SMTP; the answer comes back through the link ([`token`]) and the page ([`page()`]).
//!
//! Invariants:
//! - Rendering an effect twice gives the same bytes, so a repeat after a crash has the same
//!   Message-ID and the receiver may drop the copy.
//! - One mail a person; nobody sees another's address.
//! - A GET of the page never records an answer.
//! - Demo and training say so in the subject and in the first line; that is code, not text files.
//! - Names and addresses never reach a log line.
//!
//! ```
//! use hansho_alerts::token;
//! use hansho_model::{EffectId, Seq};
//! let effect = EffectId { seq: Seq::new(184_300), index: 2 };
//! let text = token::make(effect, [7; 16]);
//! let (back, mac) = token::parse(&text).unwrap();
//! assert_eq!(back, effect);
//! assert!(token::verify(&mac, &[7; 16]));
//! ```

mod address;
pub mod mail;
mod page;
mod render;
mod texts;
pub mod token;

pub use page::{
    About, AnswerCounts, FormError, OwnAnswer, PageFacts, expired, page, parse_form, thanks,
    unreadable, withdrawn,
};
pub use render::{RenderError, Rendered, Surroundings, render};
pub use texts::{alarm_text, event_text, mode_mark, withdrawn_text};
