//! Identifiers. Each is its own type, so that two of them can never be swapped.

use std::fmt;
use std::str::FromStr;

/// Number of an event in the journal: 1, 2, 3, ... without a gap. 0 means "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// From its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after this. At a million events a second the range lasts 580,000 years; it saturates.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a text is not the id it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is `{prefix}` and a decimal number, such as `{prefix}184200`")]
pub struct ParseIdError {
    /// The letter the id begins with.
    pub prefix: char,
}

macro_rules! seq_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Seq);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let error = ParseIdError { prefix: $prefix };
                let digits = text.strip_prefix($prefix).ok_or(error)?;
                if digits.is_empty() || digits.len() > 19 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(error);
                }
                digits.parse().map(|number| Self(Seq::new(number))).map_err(|_out_of_range| error)
            }
        }
    };
}

seq_id!(
    /// A signal (通報): a call, a pendant's alarm, a tracker's alarm. Number of its `SignalReceived`.
    SignalId, 's'
);
seq_id!(
    /// An incident (事案). Number of its `IncidentOpened`.
    IncidentId, 'i'
);
seq_id!(
    /// A notice (一斉配信) to one or many people. Number of its `NoticeOrdered`.
    NoticeId, 'n'
);

seq_id!(
    /// A message to a site that is reached over a satellite. Number of its `MessageOrdered`.
    MessageId, 'm'
);

/// A source of events, interned by `SourceNamed`: a device, an operator, an outside party.
/// 0 is the core itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

impl SourceId {
    /// The core itself: ticks, starts, settled effects.
    pub const CORE: Self = Self(0);
}

/// A person in the register: subscriber, helper, volunteer or operator. Given by `PersonEntered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonId(pub u32);

/// A data key in the vault. Destroying it makes everything sealed under it unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

/// An effect: number of the event that owes it, and its place among that event's effects.
/// It is the idempotency key towards the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId {
    /// The event that owes it.
    pub seq: Seq,
    /// 0-based place among the effects of that event.
    pub index: u32,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.index)
    }
}

/// Client-made UUID (version 7 expected) of a command, an answer or a log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub [u8; 16]);

/// 16 bytes that are equal when two inputs mean the same thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Idem(pub [u8; 16]);

/// Keyed hash of a personal value: tells that two are equal without telling what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print() {
        assert_eq!("s184200".parse(), Ok(SignalId(Seq::new(184_200))));
        assert_eq!(SignalId(Seq::new(7)).to_string(), "s7");
        for bad in ["", "s", "i7", "s-1", "s+1", "s99999999999999999999", "s1x"] {
            assert_eq!(bad.parse::<SignalId>(), Err(ParseIdError { prefix: 's' }), "{bad}");
        }
    }
}
