//! The one encoding of the state: for its hash and for snapshots.
//!
//! Every field is written in the order listed in `canonical!`, integers little-endian, lengths as
//! `u32`, maps and sets in the order of their keys. Equal states have equal bytes, on any machine.
//! A change of any list here asks for a new [`SNAPSHOT_VERSION`]; older snapshots are then set
//! aside and the state is folded from the journal again.

use std::collections::{BTreeMap, BTreeSet};

use hansho_model::{
    AlarmClass, AlarmKind, AnswerChoice, CallBackOutcome, CallEnd, CallRef, CallerLocation,
    CommandId, DegreesE7, DeviceEntry, DistrictId, Door, EffectId, EffectOutcome, Facts, Finding,
    FixMethod, FrameFault, Idem, IncidentId, IncidentKind, IncidentOutcome, IncidentSubkind, KeyId,
    Language, LoadLevel, LocationFault, LocationMark, LocationShape, LocationSource, Mailbox,
    MetresU32, Mode, NoticeId, Outcome, OutcomeDetail, PersonEntry, PersonId, Phase, Place,
    Position, Recipient, Role, Sealed, Seq, Settings, Sighting, SignalId, SignalOutcome, SourceId,
    Template, Token, Zone, ZoneDistance,
};
use jiff::Timestamp;

/// Version of this encoding; part of every snapshot.
pub const SNAPSHOT_VERSION: u32 = 6;

/// Longest list, map or text that is read back, in elements.
const LENGTH_MAX: u32 = 16_000_000;

/// Why bytes are not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too soon.
    #[error("the snapshot ends in the middle of a value")]
    Cut,
    /// A value that this release cannot mean.
    #[error("the snapshot holds a value out of range")]
    Range,
    /// Bytes are left over.
    #[error("{0} bytes are left after the last value of the snapshot")]
    Rest(usize),
}

/// Has exactly one encoding.
pub trait Canonical: Sized {
    /// Appends the encoding.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it back, advancing `input`.
    ///
    /// # Errors
    ///
    /// When the bytes end too soon or mean nothing.
    fn take(input: &mut &[u8]) -> Result<Self, DecodeError>;
}

/// Implements [`Canonical`] for a struct (fields in the order given) or an enum (codes given).
macro_rules! canonical {
    ($name:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::canonical::Canonical for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::canonical::Canonical::put(&self.$field, out);)+
            }
            fn take(input: &mut &[u8]) -> Result<Self, $crate::canonical::DecodeError> {
                Ok(Self { $($field: $crate::canonical::Canonical::take(input)?,)+ })
            }
        }
    };
    (enum $name:ty { $($code:literal => $variant:ident $({ $($field:ident),+ })?),+ $(,)? }) => {
        impl $crate::canonical::Canonical for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),+ })? => {
                        out.push($code);
                        $($($crate::canonical::Canonical::put($field, out);)+)?
                    })+
                }
            }
            fn take(input: &mut &[u8]) -> Result<Self, $crate::canonical::DecodeError> {
                match <u8 as $crate::canonical::Canonical>::take(input)? {
                    $($code => Ok(Self::$variant $({
                        $($field: $crate::canonical::Canonical::take(input)?),+
                    })?),)+
                    _ => Err($crate::canonical::DecodeError::Range),
                }
            }
        }
    };
}
pub(crate) use canonical;

macro_rules! integers {
    ($($name:ty),+) => {$(
        impl Canonical for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(Canonical::take(input)?))
            }
        }
    )+};
}
integers!(u8, u16, u32, u64, i32, i64);

/// Word enums, by their place in `ALL`, which is append only.
macro_rules! word_enums {
    ($($name:ty),+) => {$(
        impl Canonical for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let place = Self::ALL.iter().position(|each| each == self).unwrap_or_default();
                out.push(u8::try_from(place).unwrap_or(u8::MAX));
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                let place = u8::take(input)?;
                Self::ALL.get(usize::from(place)).copied().ok_or(DecodeError::Range)
            }
        }
    )+};
}
pub(crate) use word_enums;

word_enums!(
    AlarmClass,
    AlarmKind,
    AnswerChoice,
    Door,
    FixMethod,
    FrameFault,
    IncidentKind,
    IncidentOutcome,
    Language,
    Mode,
    Outcome,
    Phase,
    Role,
    SignalOutcome,
    Template,
    CallBackOutcome,
    CallEnd,
    IncidentSubkind,
    LocationFault,
    LocationMark,
    LocationShape,
    LocationSource
);

macro_rules! newtypes {
    ($($name:ident),+) => {$(
        impl Canonical for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }
            fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
                Canonical::take(input).map(Self)
            }
        }
    )+};
}
pub(crate) use newtypes;

newtypes!(
    SourceId, PersonId, KeyId, CommandId, Idem, Token, DistrictId, MetresU32, SignalId, IncidentId,
    NoticeId, CallRef
);

canonical!(EffectId { seq, index });
canonical!(Sealed { key, bytes });
canonical!(Position { lat, lon });
canonical!(Place { district, position, radius, confirmed });
canonical!(Mailbox { address, token });
canonical!(PersonEntry { key, digest, name, mailboxes, language, role });
canonical!(DeviceEntry {
    source,
    subscriber,
    helpers,
    district,
    address,
    digest,
    zones,
    interval_s,
});
canonical!(Zone { name, centre, radius });
canonical!(ZoneDistance { zone, distance });
canonical!(Sighting { position, accuracy, at, zone });
canonical!(Settings { mode, headquarters, sender, message_domain, answer_url, answer_minutes });
canonical!(Finding { class, kind, phase, code, zone });
canonical!(Recipient { person, address, token, name, language });
canonical!(Facts { alarm, subscriber, address, district, at, sighting });
canonical!(OutcomeDetail { code, enhanced, again });
canonical!(EffectOutcome { effect, attempt, outcome, detail });
canonical!(CallerLocation<Sealed> {
    source,
    shape,
    centre,
    radius,
    confidence,
    method,
    at,
    civic,
    refused,
    marks,
});

impl Canonical for LoadLevel {
    fn put(&self, out: &mut Vec<u8>) {
        self.get().put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let number = u8::take(input)?;
        Self::new(number).ok_or(DecodeError::Range)
    }
}

impl Canonical for Seq {
    fn put(&self, out: &mut Vec<u8>) {
        self.get().put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        u64::take(input).map(Self::new)
    }
}

impl Canonical for DegreesE7 {
    fn put(&self, out: &mut Vec<u8>) {
        self.e7().put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        i32::take(input).map(Self::from_e7)
    }
}

impl Canonical for Timestamp {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_microsecond().put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Self::from_microsecond(i64::take(input)?).map_err(|_out_of_range| DecodeError::Range)
    }
}

impl Canonical for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        match u8::take(input)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Range),
        }
    }
}

impl<const N: usize> Canonical for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let (head, rest) = input.split_first_chunk::<N>().ok_or(DecodeError::Cut)?;
        *input = rest;
        Ok(*head)
    }
}

impl Canonical for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = take_length(input)?;
        let (head, rest) = input.split_at_checked(length).ok_or(DecodeError::Cut)?;
        *input = rest;
        let text = std::str::from_utf8(head).map_err(|_not_text| DecodeError::Range)?;
        Ok(text.to_owned())
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(if bool::take(input)? { Some(T::take(input)?) } else { None })
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for each in self {
            each.put(out);
        }
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = take_length(input)?;
        let mut list = Self::with_capacity(length.min(input.len()));
        for _ in 0..length {
            list.push(T::take(input)?);
        }
        Ok(list)
    }
}

impl<T: Canonical> Canonical for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        T::take(input).map(Self::new)
    }
}

impl<K: Canonical + Ord, V: Canonical> Canonical for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = take_length(input)?;
        let mut map = Self::new();
        for _ in 0..length {
            map.insert(K::take(input)?, V::take(input)?);
        }
        Ok(map)
    }
}

impl<T: Canonical + Ord> Canonical for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for each in self {
            each.put(out);
        }
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let length = take_length(input)?;
        let mut set = Self::new();
        for _ in 0..length {
            set.insert(T::take(input)?);
        }
        Ok(set)
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok((A::take(input)?, B::take(input)?))
    }
}

impl<A: Canonical, B: Canonical, C: Canonical> Canonical for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }

    fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok((A::take(input)?, B::take(input)?, C::take(input)?))
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    u32::try_from(length).unwrap_or(u32::MAX).put(out);
}

fn take_length(input: &mut &[u8]) -> Result<usize, DecodeError> {
    let length = u32::take(input)?;
    if length > LENGTH_MAX {
        return Err(DecodeError::Range);
    }
    usize::try_from(length).map_err(|_too_long| DecodeError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_bytes_that_are_cut_or_mean_nothing() {
        assert_eq!(u32::take(&mut [1, 2, 3].as_slice()), Err(DecodeError::Cut));
        assert_eq!(bool::take(&mut [2].as_slice()), Err(DecodeError::Range));
        assert_eq!(AlarmClass::take(&mut [200].as_slice()), Err(DecodeError::Range));
        assert_eq!(String::take(&mut [1, 0, 0, 0, 0xFF].as_slice()), Err(DecodeError::Range));
        assert_eq!(Vec::<u8>::take(&mut [0xFF; 8].as_slice()), Err(DecodeError::Range));
    }

    #[test]
    fn a_map_reads_back_in_order() {
        let map = BTreeMap::from([(Seq::new(3), "c".to_owned()), (Seq::new(1), "a".to_owned())]);
        let mut out = Vec::new();
        map.put(&mut out);
        let mut rest = out.as_slice();
        assert_eq!(BTreeMap::take(&mut rest), Ok(map));
        assert!(rest.is_empty());
    }
}
