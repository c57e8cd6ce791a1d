//! The line between supervisor and core: frames both ways over one Unix socket.
//!
//! Both ends are the same program file, so the frames are no format for ever: a core of another
//! release never meets this supervisor. [`Said`] alone stands on the disk as well, in the
//! [`spool`](super::spool), where the next release may find it: the spool says which form it has.

use std::collections::BTreeSet;
use std::io;

use hansho_model::{CallEnd, CallFact, CallRef, CallReport};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest frame: a request of 64 KiB with what goes around it.
pub const FRAME_BYTES_MAX: usize = 128 << 10;
/// Most bytes of names in one [`ToCore::Living`]; what goes around them has room beside it.
const NAMES_BYTES_MAX: usize = 64 << 10;

/// From the supervisor to the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToCore {
    /// The first frames of a line: the calls that live, piece by piece. After the last one, what
    /// else the core holds for living is over.
    Living {
        /// Names of calls.
        calls: Vec<String>,
        /// Whether no more pieces follow.
        last: bool,
    },
    /// The telephone side says something; the core answers [`ToSupervisor::Durable`].
    Said(Said),
    /// An order was taken, or there is no such call or seat (any more).
    Ordered {
        /// Number of the order.
        order: u64,
        /// Whether the seat's phone is being rung.
        taken: bool,
    },
}

/// From the core to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSupervisor {
    /// It lives.
    Alive,
    /// What was said under this number is in the journal.
    Durable(u64),
    /// Ring a seat's phone for a call. The same order twice has the effect of once.
    Connect {
        /// Number of the order.
        order: u64,
        /// The call.
        call: String,
        /// The seat.
        seat: String,
    },
}

/// What the telephone side says, with the request itself in place of what was read in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Number of the report; one that is sent again keeps it.
    pub number: u64,
    /// Which call.
    pub call: String,
    /// When the signalling had it, microseconds since 1970 UTC.
    pub received_at_us: i64,
    /// Whether it was answered before it was in the journal.
    pub unrecorded: bool,
    /// What happened.
    pub what: What,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The request names the caller.
        f.debug_struct("Said").field("number", &self.number).finish_non_exhaustive()
    }
}

/// What happened to a call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// See [`CallFact::Offered`].
    Offered {
        /// Address and port of the sender.
        peer: String,
        /// The request as it came.
        raw: Vec<u8>,
    },
    /// See [`CallFact::Abandoned`].
    Abandoned,
    /// See [`CallFact::Connected`].
    Connected {
        /// Seat.
        seat: String,
    },
    /// See [`CallFact::NotConnected`].
    NotConnected {
        /// Seat.
        seat: String,
        /// SIP status.
        status: u16,
    },
    /// See [`CallFact::Ended`].
    Ended {
        /// Place in [`CallEnd::ALL`].
        by: u8,
    },
}

impl std::fmt::Debug for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("▮")
    }
}

impl Said {
    /// A report under a number of the line's.
    #[must_use]
    pub fn new(number: u64, report: &CallReport) -> Self {
        let what = match &report.fact {
            CallFact::Offered(offer) => {
                What::Offered { peer: offer.peer.0.clone(), raw: offer.raw.0.clone() }
            }
            CallFact::Abandoned => What::Abandoned,
            CallFact::Connected { position } => What::Connected { seat: position.clone() },
            CallFact::NotConnected { position, status } => {
                What::NotConnected { seat: position.clone(), status: *status }
            }
            CallFact::Ended { by } => {
                let place = CallEnd::ALL.iter().position(|each| each == by).unwrap_or_default();
                What::Ended { by: u8::try_from(place).unwrap_or_default() }
            }
        };
        Self {
            number,
            call: report.call.0.clone(),
            received_at_us: report.received_at.as_microsecond(),
            unrecorded: report.unrecorded,
            what,
        }
    }

    /// The report again; `offer` reads the request. `None` for what no supervisor of this release
    /// says.
    pub fn report(
        self,
        offer: impl FnOnce(
            &str,
            Vec<u8>,
        ) -> hansho_model::CallOffer<
            hansho_model::Private<String>,
            hansho_model::Private<Vec<u8>>,
        >,
    ) -> Option<CallReport> {
        let fact = match self.what {
            What::Offered { peer, raw } => CallFact::Offered(Box::new(offer(&peer, raw))),
            What::Abandoned => CallFact::Abandoned,
            What::Connected { seat } => CallFact::Connected { position: seat },
            What::NotConnected { seat, status } => {
                CallFact::NotConnected { position: seat, status }
            }
            What::Ended { by } => CallFact::Ended { by: *CallEnd::ALL.get(usize::from(by))? },
        };
        Some(CallReport {
            call: CallRef(self.call),
            received_at: Timestamp::from_microsecond(self.received_at_us).ok()?,
            unrecorded: self.unrecorded,
            fact,
        })
    }
}

/// The calls that live, in frames that fit on the line: there may be more names than one holds.
#[must_use]
pub fn living(names: &BTreeSet<&str>) -> Vec<ToCore> {
    let mut pieces = Vec::new();
    let mut calls = Vec::new();
    let mut bytes = 0_usize;
    for name in names {
        // Three bytes tell how long it is.
        let more = name.len().saturating_add(3);
        if bytes.saturating_add(more) > NAMES_BYTES_MAX && !calls.is_empty() {
            pieces.push(ToCore::Living { calls: std::mem::take(&mut calls), last: false });
            bytes = 0;
        }
        bytes = bytes.saturating_add(more);
        calls.push((*name).to_owned());
    }
    pieces.push(ToCore::Living { calls, last: true });
    pieces
}

/// The pieces of [`living`] at the core's end.
///
/// A list that was broken off does no harm to the next one: what it named beside it had its end
/// told meanwhile.
#[derive(Debug, Default)]
pub struct Pieces(BTreeSet<String>);

impl Pieces {
    /// Takes a piece; with the last one, gives them all.
    pub fn take(&mut self, calls: Vec<String>, last: bool) -> Option<BTreeSet<String>> {
        self.0.extend(calls);
        last.then(|| std::mem::take(&mut self.0))
    }
}

/// A frame: its length as four bytes, little-endian, then itself.
#[must_use]
pub fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    // Plain data of ours: there is nothing in it that postcard refuses.
    let body = postcard::to_allocvec(message).unwrap_or_default();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [length.to_le_bytes().as_slice(), &body].concat()
}

/// Sends a frame. One that [`receive`] would refuse is left out, and said: the other end would end
/// the line over it, and the next core would get the same frame again.
///
/// # Errors
///
/// When the other end has gone.
pub async fn send<T: Serialize>(
    line: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    let frame = frame(message);
    let bytes = frame.len().saturating_sub(4);
    if bytes > FRAME_BYTES_MAX {
        tracing::error!(bytes, "A frame longer than any on the supervisor's line is left out.");
        return Ok(());
    }
    line.write_all(&frame).await
}

/// Receives a frame. Not to be dropped half-way: the rest would be taken for the next one.
///
/// # Errors
///
/// When the other end has gone, or speaks another language.
pub async fn receive<T: DeserializeOwned>(line: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let mut length = [0; 4];
    line.read_exact(&mut length).await?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other("a frame longer than any on the supervisor's line"));
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).await?;
    postcard::from_bytes(&body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use hansho_model::{CallOffer, Private};

    use super::*;

    fn report(fact: CallFact<Private<String>, Private<Vec<u8>>>) -> CallReport {
        let received_at = Timestamp::from_microsecond(1_795_410_050_123_456).unwrap();
        CallReport {
            call: CallRef("a84b4c76@carrier;1928".to_owned()),
            received_at,
            unrecorded: true,
            fact,
        }
    }

    #[tokio::test]
    async fn what_is_said_arrives_as_it_was() {
        let read = |peer: &str, raw: Vec<u8>| CallOffer {
            number: None,
            withheld: false,
            service: "sos".to_owned(),
            locations: Vec::new(),
            peer: Private(peer.to_owned()),
            raw: Private(raw),
        };
        let offer = read("127.0.0.1:5060", b"INVITE urn:service:sos SIP/2.0".to_vec());
        let position = "desk1".to_owned();
        let facts = [
            CallFact::Offered(Box::new(offer)),
            CallFact::Abandoned,
            CallFact::Connected { position: position.clone() },
            CallFact::NotConnected { position, status: 486 },
            CallFact::Ended { by: CallEnd::Lost },
        ];
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        for (number, fact) in (1..).zip(facts) {
            let report = report(fact);
            let said = ToCore::Said(Said::new(number, &report));
            let (sent, heard) =
                tokio::join!(send(&mut ours, &said), receive::<ToCore>(&mut theirs));
            sent.unwrap();
            let ToCore::Said(heard) = heard.unwrap() else { panic!("another message") };
            assert_eq!(heard.number, number);
            assert!(!format!("{heard:?}").contains("INVITE"));
            assert_eq!(heard.report(read), Some(report));
        }
    }

    #[tokio::test]
    async fn what_would_be_refused_is_not_sent_and_the_line_goes_on() {
        let (mut ours, mut theirs) = tokio::io::duplex(1 << 20);
        let living = |bytes: usize| ToCore::Living { calls: vec!["x".repeat(bytes)], last: true };
        // Beside the name: which message, how many names, how long, whether the last.
        let most = FRAME_BYTES_MAX - 6;
        for bytes in [most, most + 1, 3] {
            send(&mut ours, &living(bytes)).await.unwrap();
        }
        assert_eq!(receive::<ToCore>(&mut theirs).await.unwrap(), living(most));
        assert_eq!(receive::<ToCore>(&mut theirs).await.unwrap(), living(3));
    }

    #[test]
    fn however_many_calls_live_each_frame_fits() {
        for count in [0, 1, 253, 254, 5_000] {
            let names: BTreeSet<String> =
                (0..count).map(|index| format!("{index:0>255}")).collect();
            let frames = living(&names.iter().map(String::as_str).collect());
            assert!(frames.iter().all(|each| frame(each).len() <= FRAME_BYTES_MAX), "{count}");
            let mut pieces = Pieces::default();
            let mut whole = Vec::new();
            for frame in frames {
                let ToCore::Living { calls, last } = frame else { panic!("another message") };
                whole.extend(pieces.take(calls, last));
            }
            assert_eq!(whole, [names], "once, with the last piece");
        }
    }

    #[tokio::test]
    async fn another_language_is_refused() {
        for bytes in [[0xFF; 8].as_slice(), &[2, 0, 0, 0, 99, 99], &[9, 0, 0, 0, 1]] {
            receive::<ToSupervisor>(&mut &bytes[..]).await.unwrap_err();
        }
    }
}
