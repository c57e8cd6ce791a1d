//! The core's end of the supervisor's line: what the telephone side says goes into the journal and
//! is acknowledged after that, and orders to ring a seat's phone go back.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hansho_core::{CallPhase, State};
use hansho_model::{CallEnd, CallFact, CallOffer, CallRef, CallReport, Private};
use hansho_outbox::Delivery;
use hansho_protocols::Durable;
use hansho_protocols::sip::message::Message;
use hansho_protocols::sip::offer;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::edge::Edge;
use crate::exchange::line::{self, Pieces, Said, ToCore, ToSupervisor};
use crate::replica::Replica;
use crate::ways::{Connecting, Line};

/// How often the supervisor is told that the core lives.
const LIFE_SIGN: Duration = Duration::from_millis(250);
/// Frames that may wait for the supervisor.
const LINE_MAX: usize = 4_096;
/// How long the telephone side may take to say whether it took an order.
const ORDER_MAX: Duration = Duration::from_secs(2);

/// Orders to the telephone side.
#[derive(Debug)]
pub struct Telephone {
    next: AtomicU64,
    say: mpsc::Sender<ToSupervisor>,
    /// Who waits for what became of an order.
    asked: Arc<Asked>,
}

type Asked = Mutex<BTreeMap<u64, oneshot::Sender<bool>>>;

/// What the line carries beside orders, not yet begun.
#[derive(Debug)]
pub struct Exchangeable {
    to_say: mpsc::Receiver<ToSupervisor>,
    say: mpsc::Sender<ToSupervisor>,
    asked: Arc<Asked>,
}

/// Both ends of the house's telephone: what takes orders, and what is to be put on the line.
#[must_use]
pub fn telephone() -> (Arc<Telephone>, Exchangeable) {
    let (say, to_say) = mpsc::channel(LINE_MAX);
    let asked = Arc::<Asked>::default();
    let orders = Telephone { next: AtomicU64::new(1), say: say.clone(), asked: Arc::clone(&asked) };
    (Arc::new(orders), Exchangeable { to_say, say, asked })
}

impl Line for Telephone {
    fn connect(&self, call: CallRef, position: String) -> Connecting {
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.asked).insert(order, answer);
        let message = ToSupervisor::Connect { order, call: call.0, seat: position };
        let (say, asked) = (self.say.clone(), Arc::clone(&self.asked));
        Box::pin(async move {
            if say.send(message).await.is_err() {
                lock(&asked).remove(&order);
                return Delivery::failed(0, true);
            }
            let answer = tokio::time::timeout(ORDER_MAX, answered).await;
            lock(&asked).remove(&order);
            match answer {
                Ok(Ok(true)) => Delivery::done(0),
                // The call is over, another seat has it, or there is no such seat.
                Ok(Ok(false)) => Delivery::failed(404, false),
                // The order may have been taken; given again it has the effect of once.
                Ok(Err(_)) | Err(_) => Delivery::failed(0, true),
            }
        })
    }
}

/// Puts the house on the line until the supervisor has gone.
pub async fn serve(
    line: UnixStream,
    telephone: Exchangeable,
    edge: Arc<Edge>,
    replica: Arc<Replica>,
    trunks: Vec<IpAddr>,
) {
    let Exchangeable { to_say, say, asked } = telephone;
    let (read, write) = line.into_split();
    let heard = Hearing { say, asked, edge, replica, trunks };
    // Either end of the line is the end of both.
    tokio::select! {
        () = speak(write, to_say) => {}
        () = heard.listen(read) => {}
    }
}

async fn speak(mut line: OwnedWriteHalf, mut to_say: mpsc::Receiver<ToSupervisor>) {
    let mut life = tokio::time::interval(LIFE_SIGN);
    loop {
        let message = tokio::select! {
            message = to_say.recv() => match message {
                Some(message) => message,
                None => return,
            },
            _ = life.tick() => ToSupervisor::Alive,
        };
        if line::send(&mut line, &message).await.is_err() {
            return;
        }
    }
}

struct Hearing {
    say: mpsc::Sender<ToSupervisor>,
    asked: Arc<Asked>,
    edge: Arc<Edge>,
    replica: Arc<Replica>,
    trunks: Vec<IpAddr>,
}

impl Hearing {
    async fn listen(self, mut line: OwnedReadHalf) {
        let mut pieces = Pieces::default();
        loop {
            match line::receive(&mut line).await {
                Ok(ToCore::Said(said)) => self.take(said).await,
                Ok(ToCore::Ordered { order, taken }) => {
                    let asked = lock(&self.asked).remove(&order);
                    if asked.is_some_and(|answer| answer.send(taken).is_err()) {
                        tracing::debug!(order, "Who gave this order has waited long enough.");
                    }
                }
                Ok(ToCore::Living { calls, last }) => {
                    if let Some(living) = pieces.take(calls, last) {
                        self.end_others(&living).await;
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "The supervisor's line ended.");
                    return;
                }
            }
        }
    }

    /// What is said of a call is decided about in the order in which it was said: the queue is
    /// entered here, the answer is waited for elsewhere.
    async fn take(&self, said: Said) {
        let number = said.number;
        let report = said.report(|peer, raw| read_offer(peer, raw, &self.trunks));
        let Some(report) = report else {
            tracing::error!(number, "The supervisor says something that nobody understands.");
            return;
        };
        let durable = Arc::clone(&self.edge).hear(report).await;
        let say = self.say.clone();
        tokio::spawn(acknowledge(durable, number, say));
    }

    /// Calls that lived when an earlier supervisor died are over.
    async fn end_others(&self, living: &BTreeSet<String>) {
        let mut lost = Vec::new();
        hansho_console::Reads::with_state(&*self.replica, &mut |state| {
            lost = lost_calls(state, living);
        });
        for call in lost {
            tracing::warn!("A call was lost with the supervisor that carried it.");
            let fact = CallFact::Ended { by: CallEnd::Lost };
            let received_at = clock::now();
            let report = CallReport { call, received_at, unrecorded: false, fact };
            // Nobody is to be answered.
            drop(Arc::clone(&self.edge).hear(report).await);
        }
    }
}

async fn acknowledge(
    durable: impl Future<Output = Durable>,
    number: u64,
    say: mpsc::Sender<ToSupervisor>,
) {
    // What could not be stored is said again, or goes into the spool.
    if durable.await == Durable::Stored && say.send(ToSupervisor::Durable(number)).await.is_err() {
        tracing::debug!(number, "A call is in the journal and nobody waits for the word.");
    }
}

/// Calls of the state that the supervisor does not know.
fn lost_calls(state: &State, living: &BTreeSet<String>) -> Vec<CallRef> {
    let lives = |phase: CallPhase| {
        matches!(phase, CallPhase::Ringing | CallPhase::Connecting | CallPhase::Connected)
    };
    let calls = state.calls().iter().filter(|(_name, call)| lives(call.phase));
    calls.map(|(name, _call)| name.clone()).filter(|name| !living.contains(&name.0)).collect()
}

/// Reads the request again, as the exchange has read it.
fn read_offer(
    peer: &str,
    raw: Vec<u8>,
    trunks: &[IpAddr],
) -> CallOffer<Private<String>, Private<Vec<u8>>> {
    let ip = peer.parse::<SocketAddr>().ok().map(|address| address.ip().to_canonical());
    let asserted = ip.is_some_and(|ip| trunks.contains(&ip));
    match Message::parse(&raw) {
        Ok(request) => offer::offer(&request, asserted, peer.to_owned(), raw),
        // The exchange has read it; whatever happened to it since, somebody called.
        Err(error) => {
            tracing::error!(%error, "A request of a call cannot be read any more.");
            CallOffer {
                number: None,
                withheld: false,
                service: String::new(),
                locations: Vec::new(),
                peer: Private(peer.to_owned()),
                raw: Private(raw),
            }
        }
    }
}

fn lock(asked: &Asked) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<bool>>> {
    // A panic while an entry goes in or out leaves a whole map.
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}
