//! The SMTP side of the catcher.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{CONNECTIONS_MAX, SIZE_MAX, Shelf, Verdict};

pub(crate) async fn serve(listener: TcpListener, shelf: Arc<Shelf>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut sessions = JoinSet::new();
    loop {
        let Ok((mut stream, _peer)) = listener.accept().await else {
            // Out of descriptors: the next accept would fail as fast.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while sessions.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            drop(stream.write_all(b"421 4.3.2 too many connections\r\n").await);
            continue;
        };
        let shelf = Arc::clone(&shelf);
        sessions.spawn(async move {
            // A broken connection is the client's affair.
            drop(Session { shelf, from: None, to: Vec::new(), hang: false }.talk(stream).await);
            drop(permit);
        });
    }
}

struct Session {
    shelf: Arc<Shelf>,
    from: Option<String>,
    to: Vec<String>,
    hang: bool,
}

/// What to do after a line.
enum Next {
    Say(&'static str),
    Data,
    Quit,
}

impl Session {
    async fn talk(mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 mailbox.example.jp ESMTP, a catcher of demo mails\r\n").await?;
        loop {
            let Some(line) = read_line(&mut stream, LINE_MAX).await? else { return Ok(()) };
            let Ok(line) = line else {
                stream.write_all(b"500 5.5.2 line too long\r\n").await?;
                return Ok(());
            };
            match self.handle(&line) {
                Next::Say(answer) => {
                    stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
                }
                Next::Data => {
                    stream.write_all(b"354 end with a dot\r\n").await?;
                    let Some(bytes) = read_text(&mut stream).await? else {
                        stream.write_all(b"552 5.3.4 too big\r\n").await?;
                        return Ok(());
                    };
                    let from = self.from.take().unwrap_or_default();
                    self.shelf.keep(&from, &self.to, &bytes, !self.hang);
                    if self.hang {
                        // Nothing is answered for as long as the client waits; when it leaves, its
                        // place is free again.
                        while stream.read(&mut [0; 256]).await? > 0 {}
                        return Ok(());
                    }
                    self.to.clear();
                    stream.write_all(b"250 2.0.0 caught\r\n").await?;
                }
                Next::Quit => {
                    stream.write_all(b"221 2.0.0 bye\r\n").await?;
                    return Ok(());
                }
            }
        }
    }

    fn handle(&mut self, line: &str) -> Next {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => Next::Say(
                "250-mailbox.example.jp\r\n250-PIPELINING\r\n250-SIZE 1048576\r\n\
                 250-8BITMIME\r\n250 ENHANCEDSTATUSCODES",
            ),
            "HELO" => Next::Say("250 mailbox.example.jp"),
            "MAIL" => match path(rest, "FROM:") {
                Some(from) => {
                    self.reset();
                    self.from = Some(from.to_owned());
                    Next::Say("250 2.1.0 ok")
                }
                None => Next::Say("501 5.5.4 MAIL FROM:<address>"),
            },
            "RCPT" => self.recipient(rest),
            "DATA" if self.to.is_empty() => Next::Say("503 5.5.1 no recipient"),
            "DATA" => Next::Data,
            "RSET" => {
                self.reset();
                Next::Say("250 2.0.0 ok")
            }
            "NOOP" => Next::Say("250 2.0.0 ok"),
            "QUIT" => Next::Quit,
            _ => Next::Say("502 5.5.1 not known here"),
        }
    }

    fn recipient(&mut self, rest: &str) -> Next {
        if self.from.is_none() {
            return Next::Say("503 5.5.1 MAIL first");
        }
        let Some(to) = path(rest, "TO:").filter(|to| to.contains('@')) else {
            return Next::Say("501 5.5.4 RCPT TO:<address>");
        };
        if self.to.len() >= 100 {
            return Next::Say("452 4.5.3 too many recipients");
        }
        match self.shelf.verdict(to) {
            Verdict::Refuse(answer) => return Next::Say(answer),
            Verdict::Hang => self.hang = true,
            Verdict::Take => {}
        }
        self.to.push(to.to_owned());
        Next::Say("250 2.1.5 ok")
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
        self.hang = false;
    }
}

/// The address in `FROM:<...> PARAMETERS`.
fn path<'a>(rest: &'a str, word: &str) -> Option<&'a str> {
    let (head, tail) = rest.split_at_checked(word.len())?;
    if !head.eq_ignore_ascii_case(word) {
        return None;
    }
    let (inner, _parameters) = tail.trim_start().strip_prefix('<')?.rsplit_once('>')?;
    Some(inner)
}

/// A line without its end. The outer `None` is the end of the stream, the inner error a line
/// that is too long.
async fn read_line<R: AsyncBufRead + Unpin>(
    stream: &mut R,
    limit: usize,
) -> io::Result<Option<Result<String, ()>>> {
    let mut line = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    stream.take(most).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Ok(if line.len() + 1 >= limit { Some(Err(())) } else { None });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(Ok(String::from_utf8_lossy(&line).into_owned())))
}

/// The text up to the dot, dots unstuffed; `None` when it is too big.
async fn read_text<R: AsyncBufRead + Unpin>(stream: &mut R) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(SIZE_MAX).unwrap_or(u64::MAX);
    loop {
        let begin = bytes.len();
        let count = (&mut *stream).take(most).read_until(b'\n', &mut bytes).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = bytes.get(begin..).unwrap_or_default();
        // A bare line feed before or after the dot does not end a mail (SMTP smuggling).
        let follows_line =
            begin == 0 || bytes.get(..begin).is_some_and(|all| all.ends_with(b"\r\n"));
        if line == b".\r\n" && follows_line {
            bytes.truncate(begin);
            return Ok(Some(bytes));
        }
        if line.first() == Some(&b'.') && follows_line {
            bytes.remove(begin);
        }
        if bytes.len() > SIZE_MAX {
            return Ok(None);
        }
    }
}

const LINE_MAX: usize = 2_048;
