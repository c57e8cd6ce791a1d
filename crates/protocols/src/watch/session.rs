//! The conversation: bytes in, reports out, and an answer for each report that became durable.

use std::collections::{BTreeMap, VecDeque};

use hansho_model::{Door, FrameFault, Private, Report};
use jiff::{SignedDuration, Timestamp};

use super::frame::{self, Frame, Step};
use super::message::{Meaning, Message, decode};
use crate::findings::lane;
use crate::{
    Durable, FrameError, Output, Receipt, Session, Setup, Standing, Transport, UnknownDevices,
};

/// Most reports of one session that may wait for their receipt.
pub const PENDING_MAX: usize = 1_024;
/// Bytes that a stream may bring without one good frame before it is given up.
pub const JUNK_MAX: usize = 65_536;
/// Bad frames in a row after which a stream is given up.
pub const BAD_FRAMES_MAX: u32 = 20;
/// How long the end of a frame whose length is wrong is waited for.
pub const HESITATION: SignedDuration = SignedDuration::from_millis(200);
/// Bytes of a frame that are kept; of voice and pictures that is the beginning.
const RAW_SIZE_MAX: usize = 4_096;
/// Bytes that tell two messages apart: type, time, place and status.
const KEY_SIZE_MAX: usize = 128;

/// A conversation with a watch.
#[derive(Debug)]
pub struct Watch {
    setup: Setup,
    /// Bytes that are not yet a frame.
    buffer: Vec<u8>,
    outputs: VecDeque<Output>,
    /// The answer to each report that waits for its receipt, and the status before it.
    pending: BTreeMap<Receipt, (Option<Vec<u8>>, Option<u32>)>,
    receipts: u64,
    /// The device that this connection speaks for, and whether it may.
    id: Option<(String, bool)>,
    /// Status of the last message that had one.
    status: Option<u32>,
    /// Since when it is waited for whether a frame ends where it seems to.
    hesitates_since: Option<Timestamp>,
    /// Since when the first byte of an unfinished frame waits for its last.
    unfinished_since: Option<Timestamp>,
    last_frame: Option<Timestamp>,
    junk: usize,
    bad_frames: u32,
    over: bool,
}

impl Watch {
    /// A new conversation.
    #[must_use]
    pub const fn new(setup: Setup) -> Self {
        Self {
            setup,
            buffer: Vec::new(),
            outputs: VecDeque::new(),
            pending: BTreeMap::new(),
            receipts: 0,
            id: None,
            status: None,
            hesitates_since: None,
            unfinished_since: None,
            last_frame: None,
            junk: 0,
            bad_frames: 0,
            over: false,
        }
    }

    /// Takes all that can be taken.
    fn take(&mut self, now: Timestamp, bytes: &[u8], settled: bool) -> Result<(), FrameError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let mut rest = buffer.as_slice();
        let mut fault = None;
        let mut hesitates = false;
        while !self.over {
            let (used, refused) = match frame::next(rest, settled) {
                Step::Wait => break,
                Step::Hesitate => {
                    hesitates = true;
                    break;
                }
                Step::Skip(count) => {
                    self.junk = self.junk.saturating_add(count);
                    (count, None)
                }
                Step::Drop(count, error) => (count, Some(error)),
                Step::Frame(frame) => (frame.wire.len(), self.frame(now, &frame).err()),
            };
            if let Some(error) = refused {
                self.junk = self.junk.saturating_add(used);
                self.bad_frames = self.bad_frames.saturating_add(1);
                self.over |= error.fatal;
                fault.get_or_insert(error);
            }
            rest = rest.get(used.max(1)..).unwrap_or_default();
            self.unfinished_since = None;
            self.hesitates_since = None;
            self.over |= self.bad_frames >= BAD_FRAMES_MAX || self.junk > JUNK_MAX;
        }
        self.buffer = rest.to_vec();
        self.wait(now, hesitates);
        match fault {
            _ if self.over => Err(given_up(fault)),
            None => Ok(()),
            Some(fault) => Err(fault),
        }
    }

    /// Notes since when what is left is waited for.
    fn wait(&mut self, now: Timestamp, hesitates: bool) {
        if self.over {
            self.buffer = Vec::new();
        }
        if self.buffer.is_empty() {
            self.unfinished_since = None;
        } else {
            self.unfinished_since.get_or_insert(now);
        }
        // Whatever comes moves the end of the hesitation: more of it may be on the way.
        self.hesitates_since = hesitates.then_some(now);
    }

    fn frame(&mut self, now: Timestamp, frame: &Frame<'_>) -> Result<(), FrameError> {
        let message = decode(now, frame.content)?;
        let accepted = self.accept(frame.id)?;
        if self.pending.len() >= PENDING_MAX {
            let hint = "more than 1,024 of its reports wait for their answer";
            return Err(FrameError::new(FrameFault::TooLong, hint, true));
        }
        let report = self.report(frame, &message, accepted);
        let before = self.status;
        if let Some(position) = message.report()
            && !matches!(message.meaning, Meaning::StoredPlace(_))
        {
            self.status = Some(position.status);
        }
        self.receipts = self.receipts.wrapping_add(1);
        let receipt = Receipt(self.receipts);
        self.outputs.push_back(Output::Report(receipt, Box::new(report)));
        let answer = message.answer().filter(|_| accepted).map(|content| encode(frame, content));
        self.pending.insert(receipt, (answer, before));
        self.last_frame = Some(now);
        self.junk = 0;
        self.bad_frames = 0;
        Ok(())
    }

    /// A connection speaks for the device that it named first; whether that one may speak.
    fn accept(&mut self, id: &str) -> Result<bool, FrameError> {
        if let Some((first, accepted)) = &self.id {
            if first == id {
                return Ok(*accepted);
            }
            let hint = "one connection speaks for one device";
            return Err(FrameError::new(FrameFault::UnknownAccount, hint, false));
        }
        let accounts = &self.setup.accounts;
        let accepted = match accounts.standing(id) {
            // These devices cannot encrypt; a key in the register changes nothing.
            Standing::Plain | Standing::Keyed(_) => true,
            Standing::Unknown => accounts.unknown() == UnknownDevices::Show,
        };
        self.id = Some((id.to_owned(), accepted));
        Ok(accepted)
    }

    fn report(&self, frame: &Frame<'_>, message: &Message, accepted: bool) -> Report {
        let findings = message.findings(self.status);
        let position = message.report();
        // An alarm repeats until it is answered, and what was kept may be sent twice.
        let repeats = matches!(message.meaning, Meaning::Alarm(_) | Meaning::StoredPlace(_));
        let key = if repeats { clipped(frame.content, KEY_SIZE_MAX) } else { Vec::new() };
        Report {
            door: Door::Watch,
            device: frame.id.to_ascii_uppercase(),
            lane: lane(&findings),
            observed_at: position.and_then(|position| position.at),
            device_key: key,
            findings,
            position: message.position(),
            telemetry: message.telemetry(),
            text: None,
            raw: Private(clipped(frame.wire, RAW_SIZE_MAX)),
            refused: (!accepted).then_some(FrameFault::UnknownAccount),
            deviations: Vec::new(),
        }
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
        let settles = self.hesitates_since.map(|since| since.saturating_add(HESITATION));
        // A limit too long for the calendar is no limit.
        let all = [link.ok(), unfinished.and_then(Result::ok), settles.and_then(Result::ok)];
        all.into_iter().flatten().min()
    }
}

impl Session for Watch {
    fn handle_bytes(&mut self, now: Timestamp, bytes: &[u8]) -> Result<(), FrameError> {
        match self.setup.transport {
            Transport::Stream => self.take(now, bytes, false),
            Transport::Datagram => {
                let taken = self.take(now, bytes, true);
                if std::mem::take(&mut self.buffer).is_empty() {
                    return taken;
                }
                let hint = "the datagram ends before its frame does";
                let cut = || FrameError::new(FrameFault::BadFrame, hint, false);
                Err(taken.err().unwrap_or_else(cut))
            }
        }
    }

    fn handle_durable(&mut self, _now: Timestamp, receipt: Receipt, durable: Durable) {
        let Some((answer, before)) = self.pending.remove(&receipt) else { return };
        match durable {
            Durable::Stored => self.outputs.extend(answer.map(Output::Transmit)),
            // Nobody was told what had changed: the next message says it again.
            Durable::Shed => self.status = before,
        }
    }

    fn handle_timeout(&mut self, now: Timestamp) {
        let settles = self.hesitates_since.and_then(|since| since.checked_add(HESITATION).ok());
        if settles.is_some_and(|at| now >= at) {
            // A fault of such a frame is counted here like any other.
            let taken = self.take(now, &[], true);
            self.over |= taken.is_err_and(|error| error.fatal);
        }
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.buffer = Vec::new();
            self.unfinished_since = None;
            self.hesitates_since = None;
            self.over = true;
        }
    }

    fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Idle(self.deadline()))
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn identity(&self) -> Option<&str> {
        self.id.as_ref().filter(|(_, accepted)| *accepted).map(|(id, _)| id.as_str())
    }
}

/// `[MM*id*LLLL*content]`, with the index that came.
fn encode(frame: &Frame<'_>, content: &str) -> Vec<u8> {
    let Frame { maker, id, index, .. } = frame;
    let index = index.map(|index| format!("{index}*")).unwrap_or_default();
    format!("[{maker}*{id}*{index}{:04x}*{content}]", content.len()).into_bytes()
}

fn clipped(bytes: &[u8], size_max: usize) -> Vec<u8> {
    bytes.get(..bytes.len().min(size_max)).unwrap_or_default().to_vec()
}

/// The last fault of a connection that is given up.
fn given_up(fault: Option<FrameError>) -> FrameError {
    let hint = "20 bad frames in a row, or 65,536 bytes without one; is this a watch?";
    let fault = fault.unwrap_or_else(|| FrameError::new(FrameFault::TooLong, hint, true));
    FrameError { fatal: true, ..fault }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hansho_model::{AlarmKind, Phase};

    use super::*;
    use crate::{Accounts, Limits};

    /// What the reports of these bytes say.
    fn hear(watch: &mut Watch, now: Timestamp, bytes: &[u8]) -> Vec<(Receipt, Report)> {
        watch.handle_bytes(now, bytes).unwrap();
        let mut reports = Vec::new();
        while let Output::Report(receipt, report) = watch.poll_output() {
            reports.push((receipt, *report));
        }
        reports
    }

    #[test]
    fn a_change_that_was_shed_is_told_again() {
        let now: Timestamp = "2026-11-23T05:40:48Z".parse().unwrap();
        let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
        let setup = Setup::new(accounts, Transport::Stream, Limits::default(), now);
        let mut watch = Watch::new(setup);
        let frame = |status: u32| {
            let content = format!(
                "UD,231126,054048,A,37.1060000,N,140.9589000,E,3.50,90.0,12.0,9,80,15,0,0,\
                 {status:08X},1,255,440,10,6702,18433,120,0,12.0"
            );
            format!("[3G*8800000003*{:04x}*{content}]", content.len()).into_bytes()
        };
        let calm = hear(&mut watch, now, &frame(0));
        watch.handle_durable(now, calm[0].0, Durable::Stored);
        for fate in [Durable::Shed, Durable::Stored] {
            let said = hear(&mut watch, now, &frame(1));
            let told = said[0].1.findings.iter().map(|each| (each.kind, each.phase));
            assert_eq!(told.collect::<Vec<_>>(), [(AlarmKind::Battery, Phase::New)]);
            watch.handle_durable(now, said[0].0, fate);
        }
        let said = hear(&mut watch, now, &frame(1));
        assert!(said[0].1.findings.is_empty(), "it was told");
    }
}
