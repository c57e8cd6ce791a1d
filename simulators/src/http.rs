//! One HTTP request at a time, as a simple device makes it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status, such as 200.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// Asks `http://host:port/path` and reads the whole answer, at most 64 MiB, within ten seconds.
///
/// `body` makes it a POST of a form. HTTP/1.0 on purpose: the answer ends with the connection.
///
/// # Errors
///
/// A URL that is not plain `http://`, a network fault, a time-out, or no HTTP in the answer.
pub async fn request(url: &str, body: Option<&str>) -> io::Result<Answer> {
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    call(url, if body.is_some() { headers } else { "" }, body).await
}

/// As [`request`], for a program with a bearer token; a body is JSON.
///
/// # Errors
///
/// As [`request`].
pub async fn request_as(token: &str, url: &str, body: Option<&str>) -> io::Result<Answer> {
    let mut headers = format!("Authorization: Bearer {token}\r\n");
    if body.is_some() {
        headers.push_str("Content-Type: application/json\r\n");
    }
    call(url, &headers, body).await
}

async fn call(url: &str, headers: &str, body: Option<&str>) -> io::Result<Answer> {
    let rest = url.strip_prefix("http://").ok_or_else(|| invalid("only http:// is spoken here"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let whole = host.contains(':');
    let address = if whole { host.to_owned() } else { format!("{host}:80") };
    let mut text = match body {
        Some(body) => {
            let length = body.len();
            format!("POST /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n")
        }
        None => format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n"),
    };
    text.push_str(headers);
    text.push_str("Connection: close\r\n\r\n");
    text.push_str(body.unwrap_or_default());
    let asked = tokio::time::timeout(PATIENCE, ask(&address, text.as_bytes())).await;
    let bytes = asked.map_err(|_late| io::Error::from(io::ErrorKind::TimedOut))??;
    parse(&bytes).ok_or_else(|| invalid("the answer is no HTTP"))
}

async fn ask(address: &str, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = bytes.split_at_checked(end + 4)?;
    let line = str::from_utf8(head).ok()?.lines().next()?;
    let mut words = line.split(' ');
    let version = words.next()?;
    let status = words.next()?.parse().ok()?;
    version.starts_with("HTTP/1.").then(|| Answer { status, body: body.to_vec() })
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let good = parse(b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nbody").unwrap();
        assert_eq!(good, Answer { status: 404, body: b"body".to_vec() });
        for bad in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"SMTP 200\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"] {
            assert_eq!(parse(bad), None);
        }
    }

    #[tokio::test]
    async fn only_plain_http() {
        let refused = request("https://127.0.0.1/", None).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
