//! Keys that make a repeat recognisable.
//!
//! BLAKE3 in place of the reference's SHA-256: it is the house's one hash, and faster.

use hansho_model::{CallFact, CommandId, Idem, SealedCallReport, SealedReport, Seq};

/// Key of a report: equal for equal messages of one device. A report without a device key is new
/// every time: its key is made of the time it came and its sealed bytes.
pub(crate) fn of_report(report: &SealedReport) -> Idem {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"report\0").update(report.source.as_bytes()).update(b"\0");
    if report.device_key.is_empty() {
        hasher.update(&report.received_at.as_microsecond().to_le_bytes());
        hasher.update(&report.raw.bytes);
    } else {
        hasher.update(&report.device_key);
    }
    first_half(&hasher)
}

/// Key of what is said of a call. What can happen to a call once has no time in it, so that an offer
/// that was repeated over a lost answer is one; a phone may be tried twice.
pub(crate) fn of_call(said: &SealedCallReport) -> Idem {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"call\0").update(said.call.0.as_bytes()).update(b"\0");
    let (word, position) = match &said.fact {
        CallFact::Offered(_) => ("offered", None),
        CallFact::Abandoned => ("abandoned", None),
        CallFact::Connected { position } => ("connected", Some(position)),
        CallFact::NotConnected { position, .. } => ("not_connected", Some(position)),
        CallFact::Ended { .. } => ("ended", None),
    };
    hasher.update(word.as_bytes());
    if let Some(position) = position {
        hasher.update(b"\0").update(position.as_bytes()).update(b"\0");
        hasher.update(&said.received_at.as_microsecond().to_le_bytes());
    }
    first_half(&hasher)
}

/// Key of a command or an answer.
pub(crate) fn of_command(id: CommandId) -> Idem {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"command\0").update(&id.0);
    first_half(&hasher)
}

/// Key of an event that follows from another: (cause, place among its consequences).
pub(crate) fn of_derived(cause: Seq, index: usize) -> Idem {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"derived\0").update(&cause.get().to_le_bytes());
    hasher.update(&u64::try_from(index).unwrap_or(u64::MAX).to_le_bytes());
    first_half(&hasher)
}

fn first_half(hasher: &blake3::Hasher) -> Idem {
    let mut half = [0; 16];
    half.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    Idem(half)
}
