//! Messages out of a stream: the head tells how long the body is.

use hansho_model::FrameFault;
use jiff::Timestamp;

use super::message::{HEAD_SIZE_MAX, MESSAGE_SIZE_MAX, Message};
use crate::FrameError;

/// A stream that is being read.
#[derive(Debug, Default)]
pub(super) struct Framer {
    buffer: Vec<u8>,
    /// Where the last line that is not yet whole begins.
    line_start: usize,
    /// How far `buffer` was searched.
    searched: usize,
    /// A head that waits for its body: its size, and that of the body.
    waiting: Option<(usize, usize)>,
    /// Bytes of a body that is too large: dropped as they come.
    skip: usize,
    /// Since when a message is unfinished.
    pub(super) unfinished_since: Option<Timestamp>,
    /// The length of a body could not be read: nobody knows where the next message begins.
    broken: bool,
    over: bool,
}

/// What came out of a stream.
#[derive(Debug)]
pub(super) enum Framed {
    /// A message, and its bytes.
    Message(Box<Message>, Vec<u8>),
    /// Bytes that are none; the stream is over.
    Fault(FrameError),
}

impl Framer {
    /// Takes bytes; gives what is whole. The outcome does not depend on how they were cut.
    pub(super) fn push(&mut self, now: Timestamp, bytes: &[u8]) -> Vec<Framed> {
        let mut found = Vec::new();
        if self.over {
            return found;
        }
        let skipped = self.skip.min(bytes.len());
        self.skip = self.skip.saturating_sub(skipped);
        self.buffer.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        while let Some(framed) = self.next() {
            self.over = matches!(framed, Framed::Fault(_));
            found.push(framed);
            self.unfinished_since = None;
            if self.over {
                self.buffer = Vec::new();
                return found;
            }
        }
        if self.buffer.is_empty() {
            self.unfinished_since = None;
        } else {
            self.unfinished_since.get_or_insert(now);
        }
        found
    }

    fn next(&mut self) -> Option<Framed> {
        if self.broken {
            return Some(fault(FrameFault::BadLength, "Content-Length is no number"));
        }
        let (head_size, body_size) = match self.waiting {
            Some(sizes) => sizes,
            None => {
                let blank =
                    self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                // Line ends between messages only keep the link alive.
                if blank > 0 && self.searched == 0 {
                    self.buffer.drain(..blank);
                }
                let Some(head_size) = self.head_size() else {
                    let endless = self.buffer.len() >= HEAD_SIZE_MAX;
                    return endless
                        .then(|| fault(FrameFault::TooLong, "a head ends within 16 KiB"));
                };
                match self.head(head_size) {
                    Ok(Sizes::Known(body_size)) => (head_size, body_size),
                    Ok(Sizes::TooLarge(message, raw)) => {
                        return Some(Framed::Message(message, raw));
                    }
                    Err(framed) => return Some(framed),
                }
            }
        };
        let size = head_size.saturating_add(body_size);
        if self.buffer.len() < size {
            self.waiting = Some((head_size, body_size));
            return None;
        }
        let raw = self.take(size);
        match Message::parse(&raw) {
            Ok(message) => Some(Framed::Message(Box::new(message), raw)),
            Err(error) => Some(fault(FrameFault::MalformedHeader, error.0)),
        }
    }

    fn head_size(&mut self) -> Option<usize> {
        let bytes = self.buffer.get(..self.buffer.len().min(HEAD_SIZE_MAX))?;
        for (at, byte) in bytes.iter().enumerate().skip(self.searched) {
            if *byte != b'\n' {
                continue;
            }
            if matches!(bytes.get(self.line_start..at)?, [] | [b'\r']) {
                return at.checked_add(1);
            }
            self.line_start = at.saturating_add(1);
        }
        self.searched = bytes.len();
        None
    }

    fn head(&mut self, head_size: usize) -> Result<Sizes, Framed> {
        let head = self.buffer.get(..head_size).unwrap_or_default();
        let mut message = Message::parse_head(head)
            .map_err(|error| fault(FrameFault::MalformedHeader, error.0))?;
        match message.content_length() {
            // RFC 3261 wants the length on a stream; without it there is no body.
            Ok(length) => {
                let body_size = length.unwrap_or(0);
                if head_size.saturating_add(body_size) <= MESSAGE_SIZE_MAX {
                    return Ok(Sizes::Known(body_size));
                }
                message.truncated = true;
                let raw = self.take(head_size);
                let dropped = body_size.min(self.buffer.len());
                self.buffer.drain(..dropped);
                self.skip = body_size.saturating_sub(dropped);
                Ok(Sizes::TooLarge(Box::new(message), raw))
            }
            Err(flaw) => {
                message.flaw.get_or_insert(flaw);
                self.broken = true;
                Ok(Sizes::TooLarge(Box::new(message), self.take(head_size)))
            }
        }
    }

    fn take(&mut self, size: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(size.min(self.buffer.len()));
        self.searched = 0;
        self.line_start = 0;
        self.waiting = None;
        std::mem::replace(&mut self.buffer, rest)
    }
}

enum Sizes {
    /// Of the body that follows.
    Known(usize),
    /// The message without its body.
    TooLarge(Box<Message>, Vec<u8>),
}

const fn fault(fault: FrameFault, hint: &'static str) -> Framed {
    Framed::Fault(FrameError::new(fault, hint, true))
}
