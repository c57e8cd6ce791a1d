//! The server: connections with limits, routes, shutdown.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hansho_model::Seq;
use hansho_telemetry::{Counter, Histogram};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tower_service::Service;

use crate::auth::Peer;
use crate::fault::Fault;
use crate::from_state::Sight;
use crate::limits::{
    BODY_BYTES_MAX, PASSWORD_CHECKS_MAX, REQUEST_TIME_MAX, SHUTDOWN_TIME_MAX, STREAMS_MAX,
};
use crate::rate::Rates;
use crate::seams::{Console, Settings};
use crate::{api, assets, dispatch, stream};

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) console: Arc<Console>,
    pub(crate) password_checks: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    /// True once the server stops; ends the streams.
    pub(crate) stop: watch::Receiver<bool>,
    /// Where worlds are made.
    pub(crate) maker: Maker,
    rates: Mutex<Rates>,
    cached: [Mutex<Option<Cached>>; 2],
}

/// The one thread that makes worlds, as long as there are any to make. A world is megabytes, and of
/// what is freed the allocator keeps some for the thread that had it: were it a thread for each who
/// asks, all that would wait in as many places.
pub(crate) struct Maker(Option<Runtime>);

impl Maker {
    fn new() -> io::Result<Self> {
        let mut runtime = runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).thread_name("worlds").build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs it when those before it are done.
    pub(crate) fn make<T: Send + 'static>(
        &self,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match &self.0 {
            Some(runtime) => runtime.spawn_blocking(make),
            None => tokio::task::spawn_blocking(make),
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        // Who still waits for a world has gone by now.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The last answer of `GET /api/state`.
pub(crate) struct Cached {
    pub(crate) seq: Seq,
    pub(crate) made_at: Timestamp,
    /// How long it took to make.
    pub(crate) cost: Duration,
    pub(crate) bytes: Bytes,
}

impl Shared {
    /// Counts of failed log-ins. They hold no invariant that a panic could break.
    pub(crate) fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last answer of `GET /api/state` for those who see as much; whoever holds it while it is
    /// made makes it for all of them.
    pub(crate) fn cached(&self, sight: Sight) -> MutexGuard<'_, Option<Cached>> {
        let [whole, nothing_personal] = &self.cached;
        let cached = match sight {
            Sight::Whole => whole,
            Sight::NothingPersonal => nothing_personal,
        };
        cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until `shutdown` is done; then streams end, and answers under way get
/// [`SHUTDOWN_TIME_MAX`].
///
/// # Errors
/// Only when the listener itself is broken; a failed connection is none.
pub async fn serve(
    listener: TcpListener,
    console: Arc<Console>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop_sender, stop) = watch::channel(false);
    let head_time = console.settings.request_head_time;
    let room = Room::new(&console.settings);
    let shared = Arc::new(Shared {
        console,
        password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stop,
        maker: Maker::new()?,
        rates: Mutex::default(),
        cached: Default::default(),
    });
    let router = router(shared);
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => match room.seat(peer.ip()) {
                Some(seat) => connect(socket, peer, seat, &router, &graceful, head_time),
                // Closed at once: a reset is heard sooner than a queue.
                None => drop(socket),
            },
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "No connection can be taken; trying again.");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    stop_sender.send_replace(true);
    if tokio::time::timeout(SHUTDOWN_TIME_MAX, graceful.shutdown()).await.is_err() {
        tracing::info!("Some connections were cut at the shutdown.");
    }
    Ok(())
}

/// How many connections there are, in all and from each address.
struct Room {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    per_address_max: usize,
}

impl Room {
    fn new(settings: &Settings) -> Self {
        Self {
            all: Arc::new(Semaphore::new(settings.connections_max)),
            by_address: Arc::default(),
            per_address_max: settings.connections_per_address_max,
        }
    }

    fn seat(&self, address: IpAddr) -> Option<Seat> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let address = address.to_canonical();
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&address).copied().unwrap_or(0);
        if count >= self.per_address_max {
            return None;
        }
        counts.insert(address, count + 1);
        drop(counts);
        let by_address = Arc::clone(&self.by_address);
        Some(Seat { address, by_address, _permit: permit })
    }
}

/// A connection's place in the room; given back when it is dropped.
struct Seat {
    address: IpAddr,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _last => drop(counts.remove(&self.address)),
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn connect(
    socket: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    router: &Router,
    graceful: &GracefulShutdown,
    head_time: Duration,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "A socket kept its delay.");
    }
    let router = router.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer.ip()));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(answer(&mut router, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(BODY_BYTES_MAX)
        .serve_connection(TokioIo::new(socket), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "A connection broke.");
        }
        drop(seat);
    });
}

async fn answer(router: &mut Router, request: Request) -> Response<Body> {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/state", get(api::state))
        .route("/api/stream", get(stream::stream))
        .route("/api/commands", post(api::command))
        .route("/api/incidents/{id}/recommendation", get(dispatch::recommendation))
        .route("/api/incidents/{id}/orders", get(dispatch::orders))
        .route("/api/login", post(api::log_in))
        .route("/api/logout", post(api::log_out))
        .route("/api/me", get(api::me))
        .route("/api/openapi.json", get(api::description))
        .route("/api/{*rest}", get(api::nothing).post(api::nothing))
        .route("/healthz", get(api::healthz))
        .route("/metrics", get(api::metrics))
        .route("/r/{token}", get(api::answer_page).post(api::answer))
        .route("/public/alerts.atom", get(api::feed))
        .route("/public/alerts/{name}", get(api::public_alert))
        .fallback(fallback)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

async fn fallback(request: Request) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        assets::asset(request.uri().clone()).await
    } else {
        Fault::NotFound.into_response()
    }
}

/// The class of an answer, as it is counted.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

/// A time for every request, and headers for every answer. A stream's head comes at once, so its
/// length does not count.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response<Body> {
    let begun = (shared.console.clock)();
    let answered = tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_late| Fault::Unanswered.into_response());
    let took = (shared.console.clock)().duration_since(begun).as_secs_f64();
    Histogram::ConsoleRequestSeconds.record(took.max(0.0));
    Counter::ConsoleRequestsTotal.add(class(response.status()), 1);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
