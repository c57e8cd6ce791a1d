//! The stream: committed events as Server-Sent Events, resumed by number.
//!
//! Each stream pulls from the replica at its reader's pace, so a slow reader costs a few chunks of
//! memory and no more. A reader that takes nothing for [`STREAM_STALL_MAX`] is cut; its browser
//! comes back with `Last-Event-ID` and gets the rest, or a snapshot when that is too old.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use hansho_model::Seq;
use hansho_telemetry::Histogram;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::api::world_bytes;
use crate::auth::Who;
use crate::events;
use crate::fault::Fault;
use crate::from_state::Sight;
use crate::limits::{HEARTBEAT, STREAM_CHUNKS_MAX, STREAM_EVENTS_MAX, STREAM_STALL_MAX};
use crate::seams::Tail;
use crate::server::Shared;
use crate::view::Heartbeat;

/// Query of `GET /api/stream`.
#[derive(Debug, Deserialize)]
pub(crate) struct After {
    after: Option<u64>,
}

/// `GET /api/stream`.
#[utoipa::path(
    get, path = "/api/stream", tag = "console",
    params(
        ("after" = Option<u64>, Query, description = "events after this number; `Last-Event-ID` \
            goes before it; without both, from now on"),
        ("Last-Event-ID" = Option<u64>, Header, description = "sent by browsers on a reconnect"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = crate::view::StreamEvent,
            description = "`id:` is the number. `event: event` carries a StreamEvent, \
                `event: heartbeat` a Heartbeat every 2 s, `event: snapshot` a World when the \
                number asked for is too old"),
        (status = 401, body = crate::view::ErrorAnswer),
        (status = 503, body = crate::view::ErrorAnswer, description = "too many streams"),
    ),
)]
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    who: Who,
    query: Result<Query<After>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let after = start(&headers, query.map(|Query(after)| after.after))?;
    let after = after.unwrap_or_else(|| *shared.console.reads.head().borrow());
    let permit = Arc::clone(&shared.streams).try_acquire_owned();
    let permit = permit.map_err(|_full| Fault::Busy)?;
    let (sender, receiver) = mpsc::channel(STREAM_CHUNKS_MAX);
    let producer = Producer { shared, who, after, sender, live: false };
    tokio::spawn(producer.run(permit));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(Chunks(receiver))).into_response())
}

fn start<E>(headers: &HeaderMap, query: Result<Option<u64>, E>) -> Result<Option<Seq>, Fault> {
    let how = "the number of the last event you have, such as 184223";
    if let Some(value) = headers.get("last-event-id") {
        let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        let number =
            number.ok_or_else(|| Fault::malformed("no number", "header `Last-Event-ID`", how))?;
        return Ok(Some(Seq::new(number)));
    }
    let number = query.map_err(|_rejected| Fault::malformed("no number", "query `after`", how))?;
    Ok(number.map(Seq::new))
}

struct Chunks(mpsc::Receiver<Bytes>);

impl Stream for Chunks {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(Ok))
    }
}

/// Why a stream ends. None of these is a fault: the browser comes back.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The reader is gone, or took nothing for too long.
    Reader,
    /// The session ended.
    Session,
    /// The server stops.
    Stop,
}

struct Producer {
    shared: Arc<Shared>,
    who: Who,
    after: Seq,
    sender: mpsc::Sender<Bytes>,
    /// Whether all that was there at its beginning is sent: what comes then is new.
    live: bool,
}

impl Producer {
    async fn run(mut self, permit: OwnedSemaphorePermit) {
        let end = self.pump().await;
        tracing::debug!(?end, after = self.after.get(), "A stream ended.");
        drop(permit);
    }

    async fn pump(&mut self) -> End {
        let mut head = self.shared.console.reads.head();
        let mut stop = self.shared.stop.clone();
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let seen = *head.borrow_and_update();
            if let Err(end) = self.catch_up(seen).await {
                return end;
            }
            self.live = true;
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return End::Stop,
                _now = beat.tick() => {
                    if !self.who.still_welcome(&self.shared) {
                        return End::Session;
                    }
                    if let Err(end) = self.heartbeat().await {
                        return end;
                    }
                }
                changed = head.changed() => if changed.is_err() { return End::Stop },
            }
        }
    }

    /// Sends all up to `seen`; at most one batch between two looks at stop and heartbeat.
    async fn catch_up(&mut self, seen: Seq) -> Result<(), End> {
        if self.after > seen {
            // A number from another journal, or from one that was restored.
            return self.snapshot().await;
        }
        while self.after < seen {
            match self.shared.console.reads.tail(self.after, STREAM_EVENTS_MAX) {
                Tail::Events(batch) if batch.is_empty() => return Ok(()),
                Tail::Events(batch) => {
                    let oldest = batch.first().map(|recorded| recorded.at);
                    let mut chunk = String::new();
                    for recorded in batch {
                        let view = events::view(&recorded);
                        frame(&mut chunk, Some(view.seq), "event", &view);
                        self.after = recorded.seq;
                    }
                    self.send(chunk.into()).await?;
                    if let Some(at) = oldest.filter(|_at| self.live) {
                        let took = (self.shared.console.clock)().duration_since(at);
                        Histogram::ConsoleStreamSeconds.record(took.as_secs_f64().max(0.0));
                    }
                }
                Tail::Behind => self.snapshot().await?,
            }
        }
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<(), End> {
        let made = world_bytes(&self.shared, Sight::of(self.who.role)).await;
        let Ok((seq, world)) = made else { return Err(End::Stop) };
        let mut chunk = format!("id: {seq}\nevent: snapshot\ndata: ").into_bytes();
        chunk.extend_from_slice(&world);
        chunk.extend_from_slice(b"\n\n");
        self.after = seq;
        self.send(chunk.into()).await
    }

    async fn heartbeat(&self) -> Result<(), End> {
        let at = (self.shared.console.clock)().to_string();
        let seq = self.shared.console.reads.head().borrow().get();
        let mut chunk = String::new();
        frame(&mut chunk, None, "heartbeat", &Heartbeat { at, seq });
        self.send(chunk.into()).await
    }

    async fn send(&self, chunk: Bytes) -> Result<(), End> {
        give(&self.sender, chunk).await
    }
}

/// Hands a chunk to the reader, who gets [`STREAM_STALL_MAX`] to make room for it.
async fn give(sender: &mpsc::Sender<Bytes>, chunk: Bytes) -> Result<(), End> {
    match timeout(STREAM_STALL_MAX, sender.send(chunk)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(End::Reader),
        Err(_stalled) => Err(End::Reader),
    }
}

/// Ends when the server stops, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ended = stop.wait_for(|stop| *stop).await.is_ok();
}

/// JSON never holds a line break, so one `data:` line is enough.
fn frame(chunk: &mut String, id: Option<u64>, event: &str, data: &impl Serialize) {
    if let Some(id) = id {
        chunk.push_str(&format!("id: {id}\n"));
    }
    let data = serde_json::to_string(data).unwrap_or_else(|_unreachable| "null".to_owned());
    chunk.push_str(&format!("event: {event}\ndata: {data}\n\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_at_the_limit() {
        let (sender, mut receiver) = mpsc::channel(STREAM_CHUNKS_MAX);
        let chunk = || Bytes::from_static(b"data: {}\n\n");
        for _ in 0..STREAM_CHUNKS_MAX {
            assert_eq!(give(&sender, chunk()).await, Ok(()));
        }
        let begun = tokio::time::Instant::now();
        assert_eq!(give(&sender, chunk()).await, Err(End::Reader));
        assert_eq!(begun.elapsed(), STREAM_STALL_MAX);
        assert!(receiver.recv().await.is_some());
        assert_eq!(give(&sender, chunk()).await, Ok(()), "it took one, so there is room again");
        drop(receiver);
        assert_eq!(give(&sender, chunk()).await, Err(End::Reader), "it is gone");
    }

    #[test]
    fn the_header_goes_before_the_query() {
        let mut headers = HeaderMap::new();
        let query = |number| Ok::<_, ()>(number);
        assert_eq!(start(&headers, query(None)), Ok(None));
        assert_eq!(start(&headers, query(Some(7))), Ok(Some(Seq::new(7))));
        assert!(start(&headers, Err(())).is_err());
        headers.insert("last-event-id", HeaderValue::from_static("9"));
        assert_eq!(start(&headers, query(Some(7))), Ok(Some(Seq::new(9))));
        headers.insert("last-event-id", HeaderValue::from_static("-1"));
        assert!(start(&headers, query(Some(7))).is_err());
    }

    #[test]
    fn a_frame_is_one_event() {
        let mut chunk = String::new();
        frame(&mut chunk, Some(7), "event", &"two\nlines");
        assert_eq!(chunk, "id: 7\nevent: event\ndata: \"two\\nlines\"\n\n");
    }
}
