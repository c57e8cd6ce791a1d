//! The server: connections with limits, routes, shutdown.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, Response, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use hansho_model::Seq;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_service::Service;

use crate::auth::Peer;
use crate::fault::Fault;
use crate::limits::{
    BODY_BYTES_MAX, PASSWORD_CHECKS_MAX, REQUEST_TIME_MAX, SHUTDOWN_TIME_MAX, STREAMS_MAX,
};
use crate::rate::Rates;
use crate::seams::Console;
use crate::{api, assets, stream};

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) console: Arc<Console>,
    pub(crate) password_checks: Arc<Semaphore>,
    pub(crate) streams: Arc<Semaphore>,
    /// True once the server stops; ends the streams.
    pub(crate) stop: watch::Receiver<bool>,
    rates: Mutex<Rates>,
    cached: Mutex<Option<Cached>>,
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

    /// The last answer of `GET /api/state`; whoever holds it while it is made makes it for all.
    pub(crate) fn cached(&self) -> MutexGuard<'_, Option<Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
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
    let room = Arc::new(Semaphore::new(console.settings.connections_max));
    let shared = Arc::new(Shared {
        console,
        password_checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stop,
        rates: Mutex::default(),
        cached: Mutex::default(),
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
            Ok((socket, peer)) => match Arc::clone(&room).try_acquire_owned() {
                Ok(permit) => connect(socket, peer, permit, &router, &graceful, head_time),
                // Closed at once: a reset is heard sooner than a queue.
                Err(_full) => drop(socket),
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
    permit: OwnedSemaphorePermit,
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
        drop(permit);
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
        .route("/api/login", post(api::log_in))
        .route("/api/logout", post(api::log_out))
        .route("/api/me", get(api::me))
        .route("/api/openapi.json", get(api::description))
        .route("/api/{*rest}", get(api::nothing).post(api::nothing))
        .route("/healthz", get(api::healthz))
        .route("/metrics", get(api::metrics))
        .route("/r/{token}", get(api::answer_page).post(api::answer))
        .fallback(fallback)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(guard))
        .with_state(shared)
}

async fn fallback(request: Request) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        assets::asset(request.uri().clone()).await
    } else {
        Fault::NotFound.into_response()
    }
}

/// A time for every request, and headers for every answer. A stream's head comes at once, so its
/// length does not count.
async fn guard(request: Request, next: Next) -> Response<Body> {
    let answered = tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_late| Fault::Unanswered.into_response());
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
