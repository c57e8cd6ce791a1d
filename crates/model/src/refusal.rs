//! Refusals: answers to an asker, with a reason code from closed lists.

use jiff::Timestamp;

use crate::Seq;
use crate::alarm::words;

words! {
    /// Why a device's frame was not taken, as the conformance files name it.
    FrameFault {
        /// Not a frame at all.
        BadFrame = "bad_frame",
        /// The length field and the bytes disagree.
        BadLength = "bad_length",
        /// The checksum is wrong.
        BadCrc = "bad_crc",
        /// The header cannot be read.
        MalformedHeader = "malformed_header",
        /// The body cannot be read.
        MalformedBody = "malformed_body",
        /// The time stamp is no time.
        BadTimestamp = "bad_timestamp",
        /// The frame is right, what it carries is not.
        BadPayload = "bad_payload",
        /// The cipher text does not open with this device's key.
        DecryptFailed = "decrypt_failed",
        /// It is encrypted and we hold no key for it.
        NoKey = "no_key",
        /// An encrypted frame without its time.
        MissingTimestamp = "missing_timestamp",
        /// The device's clock is too far off to trust the frame.
        TimestampOutOfWindow = "timestamp_out_of_window",
        /// It came in the clear from a device that must encrypt.
        EncryptionRequired = "encryption_required",
        /// Nobody registered this device.
        UnknownAccount = "unknown_account",
        /// A kind of message we do not know.
        UnknownId = "unknown_id",
        /// A message only a receiver sends.
        NotATransmitterMessage = "not_a_transmitter_message",
        /// More bytes than any legal message has.
        TooLong = "too_long",
        /// An alarm that was sent without asking for an acknowledgement, or asking for more than we give.
        WrongQos = "wrong_qos",
        /// This device may not say that here: a wrong password, another's topic.
        NotAllowed = "not_allowed",
    }
}

words! {
    /// Why an input was refused; the `code` of the API's refusals.
    RefusalCode {
        /// The same thing was taken before; not an error for who repeats after a lost answer.
        Duplicate = "duplicate",
        /// More than this source may send; counted, not journalled.
        RateLimited = "rate_limited",
        /// No such signal, incident, notice or person.
        NotFound = "not_found",
        /// It is over already.
        AlreadyEnded = "already_ended",
        /// Somebody has it already.
        AlreadyAnswered = "already_answered",
        /// It belongs to an incident already.
        AlreadyJoined = "already_joined",
        /// The incident still has signals without an outcome, or units at work.
        StillOpen = "still_open",
        /// This role may not do that.
        Forbidden = "forbidden",
        /// A value is out of its range, or too long.
        Invalid = "invalid",
        /// Too late: its time has passed.
        Expired = "expired",
        /// Nothing to do: the effect is not owed, or not due.
        NotDue = "not_due",
        /// A declared limit is reached.
        LimitReached = "limit_reached",
        /// The core started degraded and takes raw reports only.
        Degraded = "degraded",
        /// The caller still waits: answer first.
        StillRinging = "still_ringing",
        /// The unit may not be used: out of service, closed, or without its crew.
        NotAvailable = "not_available",
        /// From what the unit does now, that status cannot follow.
        WrongMove = "wrong_move",
        /// The unit is ordered to this incident already.
        AlreadyOrdered = "already_ordered",
        /// The notice would go to more or fewer people than the sender was shown.
        CountChanged = "count_changed",
        /// A newer notice replaces this one already.
        AlreadyReplaced = "already_replaced",
    }
}

/// An answer "no" to an asker. The state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: {code}")]
pub struct Refusal {
    /// Reason code.
    pub code: RefusalCode,
    /// For `Duplicate`: the event that took it first.
    pub original: Option<Seq>,
    /// For `NotDue`: when to ask again.
    pub not_before: Option<Timestamp>,
}

impl Refusal {
    /// With a reason code alone.
    #[must_use]
    pub const fn new(code: RefusalCode) -> Self {
        Self { code, original: None, not_before: None }
    }

    /// The same thing was taken before, as event `original`.
    #[must_use]
    pub const fn duplicate(original: Seq) -> Self {
        Self { code: RefusalCode::Duplicate, original: Some(original), not_before: None }
    }
}
