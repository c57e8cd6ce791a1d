//! A browser's or a program's requests, one a connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// Asks one server, with the same headers each time.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    headers: Vec<(String, String)>,
    patience: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The code of a refusal or of an error.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let code = json["refused"]["code"].as_str().or_else(|| json["error"]["code"].as_str());
        code.unwrap_or_default().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn seq(&self) -> u64 {
        self.json()["seq"].as_u64().unwrap_or_else(|| panic!("no seq: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, headers: Vec::new(), patience: Duration::from_secs(20) }
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn get(&self, path: &str) -> io::Result<Answer> {
        self.ask("GET", path, "", b"")
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> io::Result<Answer> {
        self.ask("POST", path, "application/json", body.to_string().as_bytes())
    }

    pub(crate) fn post_form(&self, path: &str, body: &str) -> io::Result<Answer> {
        self.ask("POST", path, "application/x-www-form-urlencoded", body.as_bytes())
    }

    /// A command with a new id; gives the answer.
    pub(crate) fn command(&self, kind: &str, body: &Value) -> io::Result<Answer> {
        self.command_as(&new_id(), kind, body)
    }

    pub(crate) fn command_as(&self, id: &str, kind: &str, body: &Value) -> io::Result<Answer> {
        self.post_json("/api/commands", &json!({"id": id, "kind": kind, "body": body}))
    }

    /// The whole state.
    pub(crate) fn state(&self) -> Value {
        let answer = self.get("/api/state").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<Answer> {
        let mut stream = BufReader::new(self.send(method, path, kind, body)?);
        let (status, head) = read_head(&mut stream)?;
        let mut body = Vec::new();
        stream.read_to_end(&mut body)?;
        let answer = Answer { status, head, body };
        let whole = answer.header("content-length").and_then(|length| length.parse().ok());
        if whole.is_some_and(|length: usize| length != answer.body.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    }

    /// HTTP/1.0 on purpose: the answer ends with the connection.
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        Ok(stream)
    }

    /// Opens the stream of events, behind the event `last` when one is named.
    pub(crate) fn events(&self, last: Option<u64>) -> Events {
        let client = match last {
            Some(last) => self.clone().with_header("Last-Event-ID", &last.to_string()),
            None => self.clone(),
        };
        let stream = client.send("GET", "/api/stream", "", b"").unwrap();
        let mut stream = BufReader::new(stream);
        let (status, head) = read_head(&mut stream).unwrap();
        assert_eq!(status, 200, "{head}");
        Events { stream }
    }
}

/// A stream of events.
pub(crate) struct Events {
    stream: BufReader<TcpStream>,
}

/// One of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    /// The next one; fails when none comes in time.
    pub(crate) fn next(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            let count = self.stream.read_line(&mut line).unwrap();
            assert!(count > 0, "the stream ended");
            let line = line.trim_end();
            if line.is_empty() {
                return event;
            }
            match line.split_once(": ") {
                Some(("id", id)) => event.id = Some(id.parse().unwrap()),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ => panic!("no line of a stream: {line}"),
            }
        }
    }

    /// The next committed event, heartbeats left out.
    pub(crate) fn next_event(&mut self) -> Event {
        loop {
            let event = self.next();
            if event.name != "heartbeat" {
                return event;
            }
        }
    }
}

/// A new id for a command.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn read_head(stream: &mut impl BufRead) -> io::Result<(u16, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.map(|status| (status, head)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
