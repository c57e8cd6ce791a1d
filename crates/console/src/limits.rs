//! Limits, each with a name and a unit.

use std::time::Duration;

/// Connections at once; further ones are closed at once.
pub const CONNECTIONS_MAX: usize = 1_024;

/// Connections at once from one address, so that one machine cannot lock the others out. A proxy in
/// front counts as one machine.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 512;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 64 * 1_024;

/// A request's head must be complete within this; also ends idle connections.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// A request must be answered within this, streams excepted.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(15);

/// Connections get this long to end at a shutdown.
pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(3);

/// Between two heartbeats of a stream.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// Events taken from the replica at once for one stream.
pub const STREAM_EVENTS_MAX: usize = 64;

/// Chunks that wait for a slow reader.
pub const STREAM_CHUNKS_MAX: usize = 4;

/// A stream whose reader takes nothing for this long is cut; it resumes by itself.
pub const STREAM_STALL_MAX: Duration = Duration::from_secs(15);

/// Streams at once.
pub const STREAMS_MAX: usize = 256;

/// Signals in an answer of `GET /api/state`: all open ones count first.
pub const SIGNALS_SHOWN_MAX: usize = 2_000;

/// Incidents in an answer of `GET /api/state`: all open ones count first.
pub const INCIDENTS_SHOWN_MAX: usize = 2_000;

/// Notices in an answer of `GET /api/state`, the latest first.
pub const NOTICES_SHOWN_MAX: usize = 500;

/// Recipients listed one by one in a notice; counts always hold all.
pub const RECIPIENTS_SHOWN_MAX: usize = 200;

/// Messages to sites that are shown, the newest.
pub const MESSAGES_SHOWN_MAX: usize = 200;

/// A world that takes less than this to make is made anew whenever there is something new.
pub const STATE_COST_CHEAP: Duration = Duration::from_millis(25);

/// How long `GET /api/state` waits for the replica to catch up with what is durable.
pub const STATE_WAIT_MAX: Duration = Duration::from_millis(500);

/// No answer of `GET /api/state` is older than this.
pub const STATE_AGE_MAX: Duration = Duration::from_millis(250);

/// Bytes of a draft's name.
pub const FORM_BYTES_MAX: usize = 64;

/// Bytes of a draft.
pub const DRAFT_BYTES_MAX: usize = 4_096;

/// Bytes of a note, a reason or a place in words.
pub const TEXT_BYTES_MAX: usize = 2_000;

/// Bytes of a log-in name.
pub const USER_BYTES_MAX: usize = 64;

/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// Passwords checked at once: argon2id takes 19 MiB and a core for each.
pub const PASSWORD_CHECKS_MAX: usize = 2;

/// Failed log-ins of one name from one address within [`LOG_IN_WINDOW`].
pub const LOG_INS_PER_NAME_MAX: u32 = 5;

/// Failed log-ins from one address within [`LOG_IN_WINDOW`].
pub const LOG_INS_PER_ADDRESS_MAX: u32 = 30;

/// Time over which failed log-ins are counted.
pub const LOG_IN_WINDOW: Duration = Duration::from_secs(300);

/// Names and addresses remembered for the counts above.
pub const LOG_IN_KEYS_MAX: usize = 4_096;

/// Seconds that the asker should wait when the lane is full.
pub const RETRY_AFTER_S: u32 = 1;
