//! Reports: what a device said, as a session hands it out and as the core takes it.

use jiff::Timestamp;

use crate::alarm::words;
use crate::{Finding, FrameFault, Lane, Position, Private, Sealed, Telemetry};

words! {
    /// Where a report came in.
    Door {
        /// Alarm receivers' IP protocol ANSI/SIA DC-09, TCP and UDP.
        Dc09 = "dc09",
        /// The console's API.
        Console = "console",
        /// The answer page.
        Answers = "answers",
        /// Calls to 119 over SIP.
        Sip = "sip",
        /// Our own devices over MQTT.
        Mqtt = "mqtt",
        /// Watches of the 3G Elec / SeTracker family over TCP.
        Watch = "watch",
        /// Vehicle terminals over QUIC.
        Quic = "quic",
        /// Satellite modems of the short-burst kind on serial lines.
        Sbd = "sbd",
    }
}

words! {
    /// A known deviation of a real sender, accepted and shown.
    Deviation {
        /// CRC and length include the closing CR (ELDES).
        CrcWithCr = "crc_with_cr",
        /// CRC as two raw bytes (Trikdis, Lupusec).
        RawCrc = "raw_crc",
        /// No digits after `L`.
        EmptyLine = "empty_line",
        /// No `L` at all.
        NoLine = "no_line",
        /// Lower-case digits in CRC or length.
        LowerCase = "lower_case",
        /// An event with sequence 0000.
        SequenceZero = "sequence_zero",
        /// Account with signs outside 0-9 and A-F.
        AccountNotHex = "account_not_hex",
        /// No account in the header.
        HeaderWithoutAccount = "header_without_account",
        /// No account in the data.
        DataWithoutAccount = "data_without_account",
        /// Payload's block structure is not the standard's.
        LoosePayload = "loose_payload",
        /// Heartbeat line outside DC-09 (Osborne-Hoffman).
        OsborneHoffman = "osborne_hoffman",
        /// Padding at the end of an encrypted frame.
        TrailingPad = "trailing_pad",
        /// Stamp that is no time, on a plain frame.
        UnreadableStamp = "unreadable_stamp",
        /// An alarm of a device that is registered for telemetry alone.
        AlarmFromTelemetry = "alarm_from_telemetry",
        /// Its checksum was wrong, or a part of it is missing: kept as it came.
        Damaged = "damaged",
    }
}

/// What a device said, in the clear, as a session hands it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Where it came in.
    pub door: Door,
    /// The device's own name at that door, such as a DC-09 account: 1 to 32 bytes of ASCII.
    pub device: String,
    /// Lane; follows from the findings.
    pub lane: Lane,
    /// When the device says it happened; its clock may be wrong.
    pub observed_at: Option<Timestamp>,
    /// What makes two reports of this device the same message (its own counter, id and data);
    /// empty when every one is new, as with heartbeats.
    pub device_key: Vec<u8>,
    /// What it says, most urgent first; empty for a heartbeat. At most 16.
    pub findings: Vec<Finding>,
    /// Where the device says it is.
    pub position: Option<Position>,
    /// What it says beside alarms.
    pub telemetry: Option<Telemetry>,
    /// Free text it sent, at most 1,024 bytes.
    pub text: Option<Private<String>>,
    /// The frame as it came, at most 4,200 bytes.
    pub raw: Private<Vec<u8>>,
    /// `Some` when the answer will be a refusal; the bytes are kept all the same.
    pub refused: Option<FrameFault>,
    /// Deviations from the standard.
    pub deviations: Vec<Deviation>,
}

/// A report whose personal parts are sealed: what the core takes and the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedReport {
    /// Where it came in.
    pub door: Door,
    /// Full name of the source, `<door>:<device>`, such as `dc09:4901`.
    pub source: String,
    /// Lane.
    pub lane: Lane,
    /// When the device says it happened.
    pub observed_at: Option<Timestamp>,
    /// When intake had the whole frame.
    pub received_at: Timestamp,
    /// Key of the message among those of this device; empty when every one is new.
    pub device_key: Vec<u8>,
    /// What it says.
    pub findings: Vec<Finding>,
    /// Where the device says it is.
    pub position: Option<Position>,
    /// What it says beside alarms.
    pub telemetry: Option<Telemetry>,
    /// Free text.
    pub text: Option<Sealed>,
    /// The frame as it came.
    pub raw: Sealed,
    /// Address and port it came from.
    pub peer: Sealed,
    /// Why it is refused, if it is.
    pub refused: Option<FrameFault>,
    /// Deviations from the standard.
    pub deviations: Vec<Deviation>,
}
