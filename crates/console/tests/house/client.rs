//! A plain HTTP/1.1 client that hides nothing: one connection for each request.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The cookie to send back.
    pub(crate) fn cookie(&self) -> String {
        self.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

/// Sends a request and leaves the connection open.
pub(crate) async fn begin(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads the answer to its end.
pub(crate) async fn finish(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a body closes before it has read all of it: what came counts.
    drop(stream.read_to_end(&mut bytes).await);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    finish(begin(address, method, path, headers, body).await).await
}

/// A stream of events, read as it comes.
pub(crate) struct Events {
    stream: TcpStream,
    text: String,
    pub(crate) head: String,
}

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let stream = begin(address, "GET", path, headers, "").await;
        let mut events = Self { stream, text: String::new(), head: String::new() };
        while !events.text.contains("\r\n\r\n") {
            assert!(events.more().await, "the head broke off: {}", events.text);
        }
        let (head, rest) = events.text.split_once("\r\n\r\n").unwrap();
        (events.head, events.text) = (head.to_owned(), rest.to_owned());
        events
    }

    async fn more(&mut self) -> bool {
        let mut bytes = vec![0; 16_384];
        let count = self.stream.read(&mut bytes).await.unwrap_or(0);
        self.text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        count > 0
    }

    /// The next one; `None` when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            // The chunks' sizes stand on lines of their own, which no event has.
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let value = event.lines().find_map(|line| line.strip_prefix(name));
                    value.map(|value| value.trim().to_owned())
                };
                if let (Some(event), Some(data)) = (field("event:"), field("data:")) {
                    let id = field("id:").and_then(|id| id.parse().ok());
                    self.text = rest.to_owned();
                    let data = serde_json::from_str(&data).unwrap();
                    return Some(Sent { id, event, data });
                }
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next one that is no heartbeat.
    pub(crate) async fn next_event(&mut self) -> Option<Sent> {
        loop {
            let sent = self.next().await?;
            if sent.event != "heartbeat" {
                return Some(sent);
            }
        }
    }
}
