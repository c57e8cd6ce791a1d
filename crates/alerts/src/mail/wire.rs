//! Our own stream below lettre's connection: it knows whether the final dot has left.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How far the message on a connection has come. Shared by the stream and the one who drives it.
#[derive(Debug, Default)]
pub(crate) struct Mark(AtomicU8);

impl Mark {
    /// Commands only: nothing of a message is on its way.
    pub(crate) fn commands(&self) {
        self.0.store(COMMANDS, Ordering::Release);
    }

    /// A message's text comes now: hold it until its dot is there, then write both at once.
    pub(crate) fn text(&self) {
        self.0.store(TEXT, Ordering::Release);
    }

    /// The dot has been handed to the system: the server may have it.
    pub(crate) fn sent(&self) {
        self.0.store(SENT, Ordering::Release);
    }

    /// Whether the dot has been handed to the system.
    pub(crate) fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire) == SENT
    }

    fn is_text(&self) -> bool {
        self.0.load(Ordering::Acquire) == TEXT
    }
}

/// A TCP stream with `TCP_NODELAY` that writes a message and its dot in one go.
///
/// lettre writes the text, flushes, and writes the dot by itself: with Nagle's algorithm that
/// costs 40 ms a mail. Holding the text until the dot is there also gives a sharp line: before the
/// system has taken the last byte of the dot, the server cannot have the message.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    mark: Arc<Mark>,
    held: Vec<u8>,
    written: usize,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, mark: Arc<Mark>) -> Self {
        Self { stream, mark, held: Vec::new(), written: 0 }
    }

    /// Whether what is held ends with the dot. Dot-stuffing keeps these bytes out of any text.
    fn is_whole(&self) -> bool {
        self.held.ends_with(b"\r\n.\r\n")
    }

    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.held.get(self.written..).filter(|rest| !rest.is_empty()) {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.mark.sent();
        self.held.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.mark.is_text() {
            this.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.mark.is_text() {
            return if this.is_whole() { this.poll_held(cx) } else { Poll::Ready(Ok(())) };
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

const COMMANDS: u8 = 0;
const TEXT: u8 = 1;
const SENT: u8 = 2;
