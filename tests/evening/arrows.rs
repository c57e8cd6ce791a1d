//! The arrows of the picture, each with a histogram of how long it took, as the far end saw it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrow {
    Press,
    Position,
    Ring,
    Satellite,
    Crew,
    Command,
    Shown,
    Mail,
    Answer,
    Order,
    Notice,
}

impl Arrow {
    pub(crate) const ALL: [Self; 11] = [
        Self::Press,
        Self::Position,
        Self::Ring,
        Self::Satellite,
        Self::Crew,
        Self::Command,
        Self::Shown,
        Self::Mail,
        Self::Answer,
        Self::Order,
        Self::Notice,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Press => "pendant's press to its ACK",
            Self::Position => "tracker's position to its PUBACK",
            Self::Ring => "INVITE to 180",
            Self::Satellite => "satellite message in the modem to cleared",
            Self::Crew => "crew's press to its receipt",
            Self::Command => "command to 200",
            Self::Shown => "event to the console's stream",
            Self::Mail => "call-out to a mail's dot",
            Self::Answer => "answer to its page",
            Self::Order => "order to the vehicle's screen",
            Self::Notice => "notice to the public's feed",
        }
    }
}

/// A histogram for each arrow, in microseconds.
#[derive(Debug)]
pub(crate) struct Times(Mutex<[Histogram<u64>; Arrow::ALL.len()]>);

impl Times {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(std::array::from_fn(|_arrow| Histogram::new(DIGITS).unwrap())))
    }

    pub(crate) fn note(&self, arrow: Arrow, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap();
        self.all()[arrow as usize].record(us).unwrap();
    }

    pub(crate) fn of(&self, arrow: Arrow) -> Histogram<u64> {
        self.all()[arrow as usize].clone()
    }

    fn all(&self) -> MutexGuard<'_, [Histogram<u64>; Arrow::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Significant digits that a histogram keeps.
const DIGITS: u8 = 3;
