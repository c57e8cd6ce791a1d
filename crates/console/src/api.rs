//! The routes of the API.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hansho_model::{Command, Input, Lane, RefusalCode, Seq};
use hansho_telemetry::{Counter, Gauge};
use serde_json::json;

use crate::auth::{self, Peer, Who};
use crate::commands;
use crate::fault::{Fault, Tongue, json, json_bytes, refused};
use crate::from_state::{Sight, Viewer};
use crate::limits::{BODY_BYTES_MAX, STATE_AGE_MAX, STATE_COST_CHEAP, STATE_WAIT_MAX, STREAMS_MAX};
use crate::server::{Cached, Shared};
use crate::view::{ErrorAnswer, LogIn, Me, RefusedAnswer, Taken, World};

/// `GET /api/state`.
#[utoipa::path(
    get, path = "/api/state", tag = "console",
    responses(
        (status = 200, body = World, description = "for a viewer without names, addresses, typed \
            words and positions of devices"),
        (status = 401, body = ErrorAnswer),
    ),
)]
pub(crate) async fn state(State(shared): State<Arc<Shared>>, who: Who) -> Result<Response, Fault> {
    let (_seq, bytes) = world_bytes(&shared, Sight::of(who.role)).await?;
    Ok(json_bytes(StatusCode::OK, bytes))
}

/// The world as JSON and its number. Many consoles that ask at once share one.
///
/// What was acknowledged to anybody before this is called is in it, as long as making a world is
/// cheap ([`STATE_COST_CHEAP`]) and the replica keeps up ([`STATE_WAIT_MAX`]).
pub(crate) async fn world_bytes(shared: &Arc<Shared>, sight: Sight) -> Result<(Seq, Bytes), Fault> {
    let durable = caught_up(shared).await;
    let maker = &shared.maker;
    let shared = Arc::clone(shared);
    // Opening sealed values costs a decryption each: not on an async thread.
    let made = maker.make(move || {
        let now = (shared.console.clock)();
        let mut cached = shared.cached(sight);
        if let Some(cached) = cached.as_ref() {
            let age = now.duration_since(cached.made_at).unsigned_abs();
            // Under load the world is made a fifth of the time, however many ask. Who needs a
            // newer one sees its number and asks again.
            let dear = cached.cost >= STATE_COST_CHEAP;
            let fresh = cached.seq >= durable || (dear && age < cached.cost.saturating_mul(4));
            if fresh && age < STATE_AGE_MAX {
                return Ok((cached.seq, cached.bytes.clone()));
            }
        }
        let accounting = (shared.console.accounting)();
        let degraded_from = shared.console.reads.degraded_from();
        let mut world = None;
        shared.console.reads.with_state(&mut |state| {
            let (reveal, accounts) = (&*shared.console.reveal, &shared.console.accounts);
            let erased = &state.erased_keys();
            let viewer = Viewer { state, reveal, accounts, sight, erased };
            world = Some(viewer.world(accounting.clone(), degraded_from));
        });
        let world = world.ok_or(Fault::Internal)?;
        let seq = Seq::new(world.seq);
        let bytes = serde_json::to_vec(&world).map_err(|_unreachable| Fault::Internal)?;
        let bytes = Bytes::from(bytes);
        let made_at = (shared.console.clock)();
        let cost = made_at.duration_since(now).unsigned_abs();
        *cached = Some(Cached { seq, made_at, cost, bytes: bytes.clone() });
        Ok((seq, bytes))
    });
    made.await.map_err(|_panicked| Fault::Internal)?
}

/// Waits until the replica holds what is durable now, which is returned. One that lags is shown as
/// it is: an old state is better than none.
pub(crate) async fn caught_up(shared: &Shared) -> Seq {
    let durable = shared.console.reads.durable();
    let mut head = shared.console.reads.head();
    let there = head.wait_for(|head| *head >= durable);
    drop(tokio::time::timeout(STATE_WAIT_MAX, there).await);
    durable
}

/// `POST /api/commands`.
#[utoipa::path(
    post, path = "/api/commands", tag = "console", request_body = commands::Envelope,
    responses(
        (status = 200, body = Taken, description = "durable; the same for the same id sent again"),
        (status = 400, body = ErrorAnswer), (status = 401, body = ErrorAnswer),
        (status = 403, body = RefusedAnswer, description = "this role may not do that, or (as an \
            ErrorAnswer) the request came from a foreign page"),
        (status = 409, body = RefusedAnswer), (status = 413, body = ErrorAnswer),
        (status = 503, body = ErrorAnswer, description = "not taken, or not known: send it again \
            with the same id after `Retry-After`"),
    ),
)]
pub(crate) async fn command(
    State(shared): State<Arc<Shared>>,
    who: Who,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let bytes = whole_json(&headers, body)?;
    let received_at = (shared.console.clock)();
    let seal = Arc::clone(&shared.console.seal);
    // Sealing writes a key; that may wait for the disk.
    let read = tokio::task::spawn_blocking(move || commands::read(&bytes, &*seal));
    let (id, kind) = read.await.map_err(|_panicked| Fault::Internal)??;
    let command = Command { id, actor: who.actor(), received_at, kind };
    let input = Input::Command(Box::new(command));
    let answered = shared.console.submit.submit(Lane::B, input).ok_or(Fault::Busy)?;
    let taken = |seq: Seq| json(StatusCode::OK, &Taken { seq: seq.get() });
    let answer = answered.await;
    let code = answer.as_ref().map_or_else(|refusal| refusal.code.as_str(), |_receipt| "taken");
    Counter::ConsoleCommandsTotal.add(code, 1);
    Ok(match answer {
        Ok(receipt) => taken(receipt.seq),
        Err(refusal) => match (refusal.code, refusal.original) {
            // Its first answer was lost on the way: twice has the effect of once.
            (RefusalCode::Duplicate, Some(original)) => taken(original),
            (RefusalCode::Forbidden, _) => {
                let mut response = refused(&refusal, Tongue::of(&headers));
                *response.status_mut() = StatusCode::FORBIDDEN;
                response
            }
            _other => refused(&refusal, Tongue::of(&headers)),
        },
    })
}

fn whole_json(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("application/json")) {
        return Err(Fault::malformed(
            "the body is not declared as JSON",
            "header `Content-Type`",
            "send `application/json`",
        ));
    }
    whole(body)
}

fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Fault> {
    body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Fault::TooLarge
        } else {
            Fault::malformed("the body broke off", "the body", "send it whole")
        }
    })
}

/// `POST /api/login`.
#[utoipa::path(
    post, path = "/api/login", tag = "session", request_body = LogIn,
    responses(
        (status = 200, body = Me, description = "with `Set-Cookie`; the session is durable"),
        (status = 400, body = ErrorAnswer), (status = 401, body = ErrorAnswer),
        (status = 403, body = ErrorAnswer), (status = 429, body = ErrorAnswer),
        (status = 503, body = ErrorAnswer),
    ),
)]
pub(crate) async fn log_in(
    State(shared): State<Arc<Shared>>,
    Extension(Peer(address)): Extension<Peer>,
    request: Request,
) -> Result<Response, Fault> {
    let (parts, body) = request.into_parts();
    // Another page must not log a person in as somebody else; programs send no origin.
    if parts.headers.contains_key(header::ORIGIN) && !auth::is_own_origin(&parts) {
        return Err(Fault::ForeignOrigin);
    }
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await;
    let body = body.map_err(|_too_large_or_broken| Fault::TooLarge)?;
    let bytes = whole_json(&parts.headers, Ok(body))?;
    let asked: LogIn = serde_json::from_slice(&bytes).map_err(|_error| {
        // The parser's own words could quote a password.
        Fault::malformed("no log-in", "the body", r#"send {"user": "...", "password": "..."}"#)
    })?;
    let secure = auth::is_behind_tls(&parts.headers);
    let answer = auth::log_in(&shared, address, secure, asked).await;
    Counter::ConsoleLoginsTotal.add(auth::result(&answer), 1);
    let (who, cookie) = answer?;
    let mut response = json(StatusCode::OK, &who.me());
    set_cookie(&mut response, &cookie)?;
    Ok(response)
}

/// `POST /api/logout`.
#[utoipa::path(
    post, path = "/api/logout", tag = "session",
    responses((status = 204, description = "the session's end is durable"),
        (status = 401, body = ErrorAnswer), (status = 403, body = ErrorAnswer)),
)]
pub(crate) async fn log_out(
    State(shared): State<Arc<Shared>>,
    who: Who,
) -> Result<Response, Fault> {
    let cookie = auth::log_out(&shared, &who).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, &cookie)?;
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: &str) -> Result<(), Fault> {
    let value = HeaderValue::from_str(cookie).map_err(|_unreachable| Fault::Internal)?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(())
}

/// `GET /api/me`.
#[utoipa::path(
    get, path = "/api/me", tag = "session",
    responses((status = 200, body = Me), (status = 401, body = ErrorAnswer)),
)]
pub(crate) async fn me(who: Who) -> Response {
    json(StatusCode::OK, &who.me())
}

/// `GET /api/openapi.json`.
pub(crate) async fn description() -> Response {
    json_bytes(StatusCode::OK, Bytes::from(crate::openapi::openapi_json()))
}

/// `GET /healthz`: for probes, open to all; says nothing about people.
pub(crate) async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let seq = shared.console.reads.head().borrow().get();
    json(StatusCode::OK, &json!({"ok": true, "seq": seq}))
}

/// `GET /metrics`: open to all, as probes are seldom given a token; counts and times only, and no
/// label is an id.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let streams = STREAMS_MAX.saturating_sub(shared.streams.available_permits());
    Gauge::ConsoleStreamsCount.set("", u32::try_from(streams).map_or(f64::MAX, f64::from));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], (shared.console.metrics)()).into_response()
}

/// `GET /r/{token}`: the public answer page. Mail scanners fetch every link, so it records nothing.
pub(crate) async fn answer_page(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
) -> Result<Response, Fault> {
    let answers = Arc::clone(&shared.console.answers);
    let page = tokio::task::spawn_blocking(move || answers.page(&token));
    Ok(html(page.await.map_err(|_panicked| Fault::Internal)?))
}

/// `POST /r/{token}`: records an answer.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Fault> {
    let form = whole(body)?;
    let page = shared.console.answers.answer(&token, &form).await;
    Ok(html(page))
}

/// `GET /public/alerts.atom`: live notices for the public.
pub(crate) async fn feed(State(shared): State<Arc<Shared>>) -> Result<Response, Fault> {
    let public = Arc::clone(&shared.console.public);
    let feed = tokio::task::spawn_blocking(move || public.feed());
    let feed = feed.await.map_err(|_panicked| Fault::Internal)?;
    Ok(xml("application/atom+xml; charset=utf-8", feed.ok_or(Fault::NotFound)?))
}

/// `GET /public/alerts/{identifier}.xml`: one of them as a CAP alert.
pub(crate) async fn public_alert(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Response, Fault> {
    let public = Arc::clone(&shared.console.public);
    let alert = tokio::task::spawn_blocking(move || public.alert(name.strip_suffix(".xml")?));
    let alert = alert.await.map_err(|_panicked| Fault::Internal)?;
    Ok(xml("application/cap+xml; charset=utf-8", alert.ok_or(Fault::NotFound)?))
}

fn xml(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // Readers that come often may be answered by a cache for a moment.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=10")),
    ];
    (headers, text).into_response()
}

fn html((status, page): (u16, String)) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
                 base-uri 'none'; frame-ancestors 'none'",
            ),
        ),
    ];
    (status, headers, page).into_response()
}

/// Whatever stands nowhere under `/api`.
pub(crate) async fn nothing() -> Fault {
    Fault::NotFound
}
