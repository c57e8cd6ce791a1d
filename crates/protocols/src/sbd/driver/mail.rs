//! The way in: a message that stands in the modem is read, told, and kept as it is when it came to
//! harm.

use hansho_model::Private;
use jiff::Timestamp;

use super::{Mail, READS_MAX, Sbd, holds_ring};
use crate::Receipt;
use crate::sbd::frame::Buffer;
use crate::sbd::words::{Event, Incoming};

impl Sbd {
    /// What `AT+SBDRB` gave, or what came of it.
    pub(super) fn took_mail(&mut self, now: Timestamp, bytes: &[u8]) {
        let buffer = Buffer::read(bytes);
        let whole = buffer.is_some_and(|buffer| buffer.is_whole());
        let message = buffer.map_or([].as_slice(), |buffer| buffer.message);
        if !whole {
            self.ring |= holds_ring(bytes);
            self.reads = self.reads.saturating_add(1);
            self.keep_harmed(bytes);
            if self.reads >= READS_MAX {
                self.tell_harmed();
            }
            // Reading does not clear; what is left of this answer is waited for first.
            return self.probe(now);
        }
        self.misses = 0;
        if !message.is_empty() {
            self.harmed.clear();
            self.tell(message.to_vec(), false);
        } else if self.harmed.is_empty() {
            self.mail = Mail::Read;
        } else {
            self.tell_harmed();
        }
        self.go(now);
    }

    pub(super) fn keep_harmed(&mut self, bytes: &[u8]) {
        if let Some(Buffer { message, .. }) = Buffer::read(bytes)
            && message.len() >= self.harmed.len()
        {
            self.harmed = message.to_vec();
        }
    }

    /// What came of a message that cannot be read whole, or is there no more: the modem was reset.
    pub(super) fn tell_harmed(&mut self) {
        let harmed = std::mem::take(&mut self.harmed);
        self.tell(harmed, true);
    }

    /// Tells the house of the message in the buffer.
    pub(super) fn tell(&mut self, message: Vec<u8>, damaged: bool) {
        self.reads = 0;
        self.receipts = self.receipts.wrapping_add(1);
        let receipt = Receipt(self.receipts);
        self.mail = Mail::Told(receipt);
        self.told = self.mtmsn.map(|number| (self.imei.clone(), number));
        let (imei, mtmsn, bytes) = (self.imei.clone(), self.mtmsn, Private(message));
        self.say(Event::Message(receipt, Box::new(Incoming { imei, mtmsn, bytes, damaged })));
    }
}
