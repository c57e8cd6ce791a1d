//! One session on its way: drained after every step, guarded against its own panics.

use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hansho_model::{FrameFault, Lane, LoadLevel, Private, Report};
use hansho_protocols::{Durable, Output, Receipt, Session};
use jiff::Timestamp;
use tokio::runtime::Handle;

use crate::{Decided, Entrance};

/// Bytes of a broken session that are kept as evidence.
const EVIDENCE_BYTES_MAX: usize = 4_096;

/// What a step of the conversation asks of the transport.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Send these, in order.
    pub(crate) transmit: Vec<Vec<u8>>,
    /// Wake at this time when nothing comes.
    pub(crate) deadline: Option<Timestamp>,
    /// The conversation is over.
    pub(crate) close: bool,
}

impl Step {
    fn closed() -> Self {
        Self { close: true, ..Self::default() }
    }

    /// What a later step asks, after this one.
    pub(crate) fn then(&mut self, later: Self) {
        self.transmit.extend(later.transmit);
        self.deadline = later.deadline;
        self.close |= later.close;
    }
}

/// A report that waits for its receipt.
struct Awaited {
    receipt: Receipt,
    decided: Decided,
}

impl Future for Awaited {
    type Output = (Receipt, Durable);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let receipt = self.receipt;
        self.decided.as_mut().poll(context).map(|durable| (receipt, durable))
    }
}

/// A session with the reports that wait for their receipts.
pub(crate) struct Conversation {
    entrance: Entrance,
    peer: SocketAddr,
    /// `None` once it has panicked: nothing it holds can be trusted any more.
    session: Option<Box<dyn Session>>,
    /// Polled by this connection's own task: a task for each would be one more turn to wait for.
    waiting: FuturesUnordered<Awaited>,
    /// The highest lane of what the last bytes brought, when they brought anything.
    lane: Option<Lane>,
}

impl Drop for Conversation {
    /// The connection is gone; what became of its reports is accounted for all the same.
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        for awaited in mem::take(&mut self.waiting) {
            runtime.spawn(awaited.decided);
        }
    }
}

impl Conversation {
    pub(crate) fn new(entrance: Entrance, peer: SocketAddr) -> Self {
        let session = Some((entrance.sessions)());
        Self { entrance, peer, session, waiting: FuturesUnordered::new(), lane: None }
    }

    /// Bytes came.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Step {
        let now = self.entrance.sink.now();
        let Some(session) = &mut self.session else { return Step::closed() };
        let before = self.lane.take();
        let handled = catch_unwind(AssertUnwindSafe(|| session.handle_bytes(now, bytes)));
        let fatal = match handled {
            Ok(Ok(())) => false,
            Ok(Err(error)) => {
                self.entrance.sink.refuse(self.entrance.door, error.fault);
                tracing::debug!(door = %self.entrance.door, %error, "Bytes were refused.");
                error.fatal
            }
            Err(_panic) => return self.broken(now, bytes),
        };
        let mut step = self.drain(now);
        step.close |= fatal;
        // A part of a frame says nothing new.
        self.lane = self.lane.or(before);
        step
    }

    /// Whether the peer brought telemetry last, and nothing else with it.
    pub(crate) fn brings_telemetry(&self) -> bool {
        self.lane == Some(Lane::D)
    }

    /// The session's own time has come.
    pub(crate) fn timeout(&mut self) -> Step {
        let now = self.entrance.sink.now();
        let Some(session) = &mut self.session else { return Step::closed() };
        let handled = catch_unwind(AssertUnwindSafe(|| session.handle_timeout(now)));
        match handled {
            Ok(()) => self.drain(now),
            Err(_panic) => self.broken(now, &[]),
        }
    }

    /// The peer closed, or the line broke.
    pub(crate) fn closed(&mut self) -> Step {
        let now = self.entrance.sink.now();
        let Some(session) = &mut self.session else { return Step::closed() };
        match catch_unwind(AssertUnwindSafe(|| session.handle_closed(now))) {
            Ok(()) => Step { transmit: Vec::new(), close: true, ..self.drain(now) },
            Err(_panic) => self.broken(now, &[]),
        }
    }

    /// The house gives up more, or less.
    pub(crate) fn load(&mut self, load: LoadLevel) -> Step {
        let now = self.entrance.sink.now();
        let Some(session) = &mut self.session else { return Step::closed() };
        match catch_unwind(AssertUnwindSafe(|| session.handle_load(now, load))) {
            Ok(()) => self.drain(now),
            Err(_panic) => self.broken(now, &[]),
        }
    }

    /// Whether bytes should be read now.
    pub(crate) fn wants_bytes(&self) -> bool {
        self.session.as_ref().is_some_and(|session| {
            // A session that panics here ends at its next step.
            catch_unwind(AssertUnwindSafe(|| session.wants_bytes())).unwrap_or(true)
        })
    }

    /// The device whose connection this is, once that is known.
    pub(crate) fn identity(&self) -> Option<String> {
        let session = self.session.as_ref()?;
        let asked = catch_unwind(AssertUnwindSafe(|| session.identity().map(str::to_owned)));
        asked.ok().flatten()
    }

    /// A newer connection of the same device came: the session's last words, then the end.
    pub(crate) fn taken_over(&mut self) -> Step {
        let now = self.entrance.sink.now();
        self.entrance.sink.taken_over(self.entrance.door);
        let Some(session) = &mut self.session else { return Step::closed() };
        match catch_unwind(AssertUnwindSafe(|| session.handle_takeover(now))) {
            Ok(()) => Step { close: true, ..self.drain(now) },
            Err(_panic) => self.broken(now, &[]),
        }
    }

    /// Whether reports wait for their receipts.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many reports wait for their receipts.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for the next receipt, and takes all that have come by then, so that their answers
    /// leave together; never ends while none is awaited.
    pub(crate) async fn receipt(&mut self) -> Step {
        let ready = poll_fn(|context| {
            let mut ready = Vec::new();
            while let Poll::Ready(Some(decided)) = self.waiting.poll_next_unpin(context) {
                ready.push(decided);
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(ready) }
        });
        // They are as many as bytes brought at once: none of them has to give way in between.
        let mut ready = tokio::task::unconstrained(ready).await;
        // They come in the order in which they were woken; answers leave in that of the reports.
        ready.sort_unstable_by_key(|(receipt, _durable)| *receipt);
        let mut step = Step::default();
        for (receipt, durable) in ready {
            step.then(self.decided(receipt, durable));
        }
        step
    }

    fn decided(&mut self, receipt: Receipt, durable: Durable) -> Step {
        let now = self.entrance.sink.now();
        let Some(session) = &mut self.session else { return Step::closed() };
        let handled =
            catch_unwind(AssertUnwindSafe(|| session.handle_durable(now, receipt, durable)));
        match handled {
            Ok(()) => self.drain(now),
            Err(_panic) => self.broken(now, &[]),
        }
    }

    fn drain(&mut self, now: Timestamp) -> Step {
        let mut step = Step::default();
        loop {
            let Some(session) = &mut self.session else { return Step::closed() };
            match catch_unwind(AssertUnwindSafe(|| session.poll_output())) {
                Ok(Output::Report(receipt, report)) => self.take(now, receipt, *report),
                Ok(Output::Transmit(bytes)) => step.transmit.push(bytes),
                Ok(Output::Idle(deadline)) => {
                    step.deadline = deadline;
                    let over = catch_unwind(AssertUnwindSafe(|| session.is_over()));
                    step.close = over.unwrap_or(true);
                    return step;
                }
                Err(_panic) => return self.broken(now, &[]),
            }
        }
    }

    fn take(&mut self, now: Timestamp, receipt: Receipt, report: Report) {
        let lane = self.lane.map_or(report.lane, |lane| lane.min(report.lane));
        self.lane = Some(lane);
        let decided = Arc::clone(&self.entrance.sink).take(self.peer, now, report);
        self.waiting.push(Awaited { receipt, decided });
    }

    /// A panic of a session closes it; its bytes are kept, for the person who mends it.
    fn broken(&mut self, now: Timestamp, bytes: &[u8]) -> Step {
        let door = self.entrance.door;
        tracing::error!(%door, "A session panicked and was closed; its bytes are in the journal.");
        self.entrance.sink.broken(door);
        let evidence = bytes.get(..bytes.len().min(EVIDENCE_BYTES_MAX)).unwrap_or_default();
        let report = Report {
            door,
            device: "broken-session".to_owned(),
            lane: Lane::C,
            observed_at: None,
            device_key: Vec::new(),
            findings: Vec::new(),
            position: None,
            telemetry: None,
            text: None,
            raw: Private(evidence.to_vec()),
            refused: Some(FrameFault::BadFrame),
            deviations: Vec::new(),
        };
        self.session = None;
        self.take(now, Receipt(u64::MAX), report);
        Step::closed()
    }
}
