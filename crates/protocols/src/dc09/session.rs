//! The conversation: bytes in, reports out, and an answer for each report that became durable.

use std::collections::{BTreeMap, VecDeque};

use hansho_model::FrameFault;
use jiff::Timestamp;

use super::frame::{self, CR, FRAME_MAX, LF};
use super::message::decode;
use super::reply::Answer;
use crate::{Durable, FrameError, Output, Receipt, Session, Setup, Transport};

/// Most reports of one session that may wait for their receipt. DC-09 has one message outstanding
/// per device; a concentrator may have one for each of its devices.
pub const PENDING_MAX: usize = 4_096;
/// Bytes that a stream may bring without one good frame before it is given up.
pub const JUNK_MAX: usize = 65_536;
/// Before this many bytes nobody can tell how the CRC is written, and no frame is shorter.
const HEAD_SIZE: usize = 8;

/// A DC-09 conversation over TCP or UDP.
#[derive(Debug)]
pub struct Dc09 {
    setup: Setup,
    /// Bytes of a stream that are not yet a frame.
    buffer: Vec<u8>,
    /// How far `buffer` was searched for the end of its first frame.
    searched: usize,
    outputs: VecDeque<Output>,
    pending: BTreeMap<Receipt, Answer>,
    receipts: u64,
    /// Since when the first byte of an unfinished frame waits for its last.
    unfinished_since: Option<Timestamp>,
    last_frame: Option<Timestamp>,
    junk: usize,
    over: bool,
}

impl Dc09 {
    /// A new conversation.
    #[must_use]
    pub const fn new(setup: Setup) -> Self {
        Self {
            setup,
            buffer: Vec::new(),
            searched: 0,
            outputs: VecDeque::new(),
            pending: BTreeMap::new(),
            receipts: 0,
            unfinished_since: None,
            last_frame: None,
            junk: 0,
            over: false,
        }
    }

    /// One whole frame or line.
    fn frame(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), FrameError> {
        let decoded = decode(&self.setup.accounts, now, bytes)?;
        if self.pending.len() >= PENDING_MAX {
            return Err(FrameError {
                fault: FrameFault::TooLong,
                hint: "more than 4,096 of its reports wait for their answer",
                fatal: true,
            });
        }
        self.receipts = self.receipts.wrapping_add(1);
        let receipt = Receipt(self.receipts);
        self.outputs.push_back(Output::Report(receipt, Box::new(decoded.report(bytes))));
        self.pending.insert(receipt, decoded.answer);
        self.last_frame = Some(now);
        self.junk = 0;
        Ok(())
    }

    fn stream(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), FrameError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let mut faults = Faults(None);
        let mut rest = buffer.as_slice();
        loop {
            let (step, after) = next(rest, self.searched);
            let used = rest.len().saturating_sub(after.len());
            match step {
                Step::Wait(searched) => {
                    self.searched = searched;
                    break;
                }
                Step::Skip => {}
                Step::Drop(error) => {
                    self.junk = self.junk.saturating_add(used);
                    faults.note(error);
                }
                Step::Frame(bytes) => {
                    if let Err(error) = self.frame(now, bytes) {
                        self.junk = self.junk.saturating_add(used);
                        faults.note(error);
                    }
                }
            }
            self.searched = 0;
            self.unfinished_since = None;
            rest = after;
        }
        self.buffer = rest.to_vec();
        if self.buffer.is_empty() {
            self.unfinished_since = None;
        } else {
            self.unfinished_since.get_or_insert(now);
        }
        if self.junk > JUNK_MAX {
            self.over = true;
            return Err(FrameError {
                fault: FrameFault::TooLong,
                hint: "65,536 bytes came without one good frame; is this a DC-09 sender?",
                fatal: true,
            });
        }
        faults.0.map_or(Ok(()), Err)
    }

    fn deadline(&self) -> Option<Timestamp> {
        if self.over || self.setup.transport == Transport::Datagram {
            return None;
        }
        let limits = &self.setup.limits;
        let link = match self.last_frame {
            None => self.setup.opened_at.saturating_add(limits.first_frame),
            Some(last) => last.saturating_add(limits.idle),
        };
        let unfinished = self.unfinished_since.map(|since| since.saturating_add(limits.unfinished));
        // A limit too long for the calendar is no limit.
        [link.ok(), unfinished.and_then(Result::ok)].into_iter().flatten().min()
    }
}

impl Session for Dc09 {
    fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), FrameError> {
        match self.setup.transport {
            Transport::Datagram => self.frame(now, bytes),
            Transport::Stream => self.stream(now, bytes),
        }
    }

    fn handle_durable(&mut self, now: Timestamp, receipt: Receipt, durable: Durable) {
        let Some(answer) = self.pending.remove(&receipt) else { return };
        let bytes = match durable {
            Durable::Stored => answer.encode(now, receipt.0),
            Durable::Shed => None,
        };
        if let Some(bytes) = bytes {
            self.outputs.push_back(Output::Transmit(bytes));
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.buffer = Vec::new();
            self.searched = 0;
            self.unfinished_since = None;
            self.over = true;
        }
    }

    fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(self.deadline()))
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// The first fault of a read, or the first fatal one.
struct Faults(Option<FrameError>);

impl Faults {
    fn note(&mut self, error: FrameError) {
        if error.fatal && !self.0.as_ref().is_some_and(|first| first.fatal) {
            self.0 = Some(error);
        } else {
            self.0.get_or_insert(error);
        }
    }
}

enum Step<'a> {
    /// More bytes are needed; so many were searched.
    Wait(usize),
    /// Filling between frames.
    Skip,
    /// Bytes that are no frame.
    Drop(FrameError),
    /// LF to CR.
    Frame(&'a [u8]),
}

/// Takes the next thing off a stream; gives what follows it. The outcome for given bytes does not
/// depend on how they were cut into reads.
fn next(bytes: &[u8], searched: usize) -> (Step<'_>, &[u8]) {
    let Some(start) = bytes.iter().position(|byte| *byte == LF) else {
        if bytes.is_empty() {
            return (Step::Wait(0), bytes);
        }
        return (outside(bytes), &[]);
    };
    if start > 0 {
        let (junk, rest) = bytes.split_at_checked(start).unwrap_or((bytes, &[]));
        return (outside(junk), rest);
    }
    if bytes.len() < HEAD_SIZE {
        return (Step::Wait(0), bytes);
    }
    // A raw CRC's two bytes may look like an end.
    let raw = bytes.get(1..).is_some_and(frame::has_raw_crc);
    let from = searched.max(if raw { 3 } else { 1 });
    let found = bytes.iter().enumerate().skip(from).find(|(_at, byte)| matches!(**byte, LF | CR));
    match found {
        Some((at, &CR)) => {
            let end = at.saturating_add(1);
            let (frame, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            (Step::Frame(frame), rest)
        }
        Some((at, _lf)) => {
            let rest = bytes.get(at..).unwrap_or_default();
            (Step::Drop(frame::bad_frame("a new frame begins before this one ends")), rest)
        }
        None if bytes.len() > FRAME_MAX => (Step::Drop(frame::too_long()), &[]),
        None => (Step::Wait(bytes.len()), bytes),
    }
}

/// Bytes before LF. NUL and line ends are filling that some senders add.
fn outside(bytes: &[u8]) -> Step<'static> {
    if bytes.iter().all(|byte| matches!(*byte, 0 | CR)) {
        Step::Skip
    } else {
        Step::Drop(frame::bad_frame("bytes stand outside of any frame"))
    }
}
