//! Lines that the modem says: answers, their ends, and what it says unasked.

use super::position::NetworkPlace;

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The command is done.
    Ok,
    /// It is refused, or failed.
    Error,
    /// The modem waits for the bytes of a message.
    Ready,
    /// A digit alone: what came of a message that was loaded, of a buffer that was cleared; after
    /// `ATV0` also the end of a command.
    Code(u8),
    /// What came of a session.
    Session(SessionAnswer),
    /// What stands in the buffers.
    Status(StatusAnswer),
    /// Seconds until the network takes messages again (`+SBDLOE`).
    Window(u32),
    /// Bars of signal, 0 to 5, as asked for.
    Bars(u8),
    /// The network's clock; `None` when it is unknown. See [`super::network_time`].
    Clock(Option<u32>),
    /// Where the network thinks that the modem is.
    Place(NetworkPlace),
    /// The modem's IMEI.
    Imei(String),
    /// Said unasked.
    Urc(Urc),
    /// Anything else: echoes, names, garbage.
    Other,
}

/// What the modem says unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urc {
    /// A message waits at the gateway.
    Ring,
    /// Bars of signal, 0 to 5.
    Signal(u8),
    /// Whether the network can be reached.
    Service(bool),
    /// The modem is broken.
    HardwareFailure {
        /// Which part.
        part: u32,
        /// What is wrong with it.
        error: u32,
    },
    /// It registered anew, or should: it has moved.
    Area {
        /// What happened.
        event: u32,
        /// What was wrong.
        error: u32,
    },
}

/// `+SBDIX`: what came of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionAnswer {
    /// What became of the message from us.
    pub mo: MoStatus,
    /// Its number.
    pub momsn: u16,
    /// What came to us: 0 nothing, 1 a message, 2 an error.
    pub mt: u8,
    /// Number of the message to us.
    pub mtmsn: Option<u16>,
    /// Its size, bytes; 0 when there is none.
    pub mt_size: u16,
    /// Messages to us that still wait at the gateway.
    pub mt_queued: u16,
}

/// `+SBDSX`: what stands in the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusAnswer {
    /// Whether a message from us stands in its buffer.
    pub mo: bool,
    /// Number of the next one.
    pub momsn: u16,
    /// Whether a message to us stands in its buffer.
    pub mt: bool,
    /// Its number; `None` when there is none.
    pub mtmsn: Option<u16>,
    /// Whether a ring waits to be answered.
    pub ring: bool,
    /// Messages that waited at the gateway after the last session, 0 to 255.
    pub waiting: u16,
}

/// What became of a message from us: first field of `+SBDIX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoStatus(pub u8);

/// What is to be done about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The gateway has it.
    Success,
    /// Again, after a wait that grows.
    Retry,
    /// Again in some minutes.
    RetryLater,
    /// Again when the network can be reached, or after a minute.
    RetryWaitService,
    /// Again, 180 s after the last registration.
    RetryAfterRegistration,
    /// Again when the network takes messages.
    RetryAfterWindow,
    /// The message is wrong; it will never go.
    Permanent,
    /// Somebody must see to contract or lock.
    PermanentOperator,
    /// Somebody must see to the antenna.
    PermanentHardware,
    /// No meaning is known: again, after a wait that grows.
    FailUnknown,
}

impl Class {
    /// Whether trying again is of no use before a person has seen to it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Permanent | Self::PermanentOperator | Self::PermanentHardware)
    }

    /// As the reference's cases name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Retry => "retry",
            Self::RetryLater => "retry_later",
            Self::RetryWaitService => "retry_wait_service",
            Self::RetryAfterRegistration => "retry_after_180s",
            Self::RetryAfterWindow => "retry_after_traffic_window",
            Self::Permanent => "permanent",
            Self::PermanentOperator => "permanent_operator",
            Self::PermanentHardware => "permanent_hw",
            Self::FailUnknown => "fail_unknown",
        }
    }
}

impl MoStatus {
    /// Whether the gateway has the message.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 <= 4
    }

    /// What is to be done (AT references of 9601, 9522B, 9523 and 9602).
    #[must_use]
    pub const fn class(self) -> Class {
        match self.0 {
            0..=4 => Class::Success,
            10 | 13 | 17 | 18 | 19 | 35 => Class::Retry,
            11 | 37 => Class::RetryLater,
            32 => Class::RetryWaitService,
            36 => Class::RetryAfterRegistration,
            38 => Class::RetryAfterWindow,
            12 | 14 => Class::Permanent,
            15 | 16 | 34 => Class::PermanentOperator,
            33 => Class::PermanentHardware,
            _ => Class::FailUnknown,
        }
    }

    /// Whether the radio itself is at fault, besides what is to be done: 64 and 65 are faults of its
    /// band and its oscillator.
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        matches!(self.0, 33 | 64 | 65)
    }
}

impl Line {
    /// Reads a line without its end.
    #[must_use]
    pub fn read(line: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else { return Self::Other };
        let text = text.trim();
        match text {
            "OK" => return Self::Ok,
            "ERROR" => return Self::Error,
            "READY" => return Self::Ready,
            "SBDRING" => return Self::Urc(Urc::Ring),
            _ => {}
        }
        if let [digit @ b'0'..=b'9'] = text.as_bytes() {
            return Self::Code(digit.wrapping_sub(b'0'));
        }
        if text.len() == IMEI_SIZE && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::Imei(text.to_owned());
        }
        let Some((name, fields)) = text.split_once(':') else { return Self::Other };
        Self::named(name, fields.trim()).unwrap_or(Self::Other)
    }

    /// `name: fields`. `None` when the fields are not what that name has.
    fn named(name: &str, fields: &str) -> Option<Self> {
        Some(match name {
            "+CME ERROR" | "+CMS ERROR" => Self::Error,
            "+SBDIX" | "+SBDIXA" | "+SBDI" => Self::Session(SessionAnswer::read(fields)?),
            "+SBDSX" => Self::Status(StatusAnswer::read(fields)?),
            "+SBDLOE" => {
                let [_status, seconds] = numbers(fields)?;
                Self::Window(u32::try_from(seconds).ok()?)
            }
            "+CSQ" | "+CSQF" => {
                let [bars] = numbers(fields)?;
                Self::Bars(bars_of(bars)?)
            }
            "+CIEV" => Self::Urc(match numbers(fields)? {
                [0, bars] => Urc::Signal(bars_of(bars)?),
                [1, available @ 0..=1] => Urc::Service(available == 1),
                _ => return None,
            }),
            "HARDWARE FAILURE" => {
                let [part, error] = numbers(fields)?.map(|number| u32::try_from(number).ok());
                Self::Urc(Urc::HardwareFailure { part: part?, error: error? })
            }
            "+AREG" => {
                let [event, error] = numbers(fields)?.map(|number| u32::try_from(number).ok());
                Self::Urc(Urc::Area { event: event?, error: error? })
            }
            "-MSSTM" => Self::Clock(match fields {
                "no network service" => None,
                digits => Some(frame(digits)?),
            }),
            "-MSGEO" => Self::Place(NetworkPlace::read(fields)?),
            _ => return None,
        })
    }
}

impl SessionAnswer {
    fn read(fields: &str) -> Option<Self> {
        let [mo, momsn, mt, mtmsn, mt_size, mt_queued] = numbers(fields)?;
        if !(0..=2).contains(&mt) {
            return None;
        }
        Some(Self {
            mo: MoStatus(u8::try_from(mo).ok()?),
            momsn: u16::try_from(momsn).ok()?,
            mt: u8::try_from(mt).ok()?,
            mtmsn: message_number(mtmsn)?.0,
            mt_size: u16::try_from(mt_size).ok()?,
            mt_queued: u16::try_from(mt_queued).ok()?,
        })
    }
}

impl StatusAnswer {
    fn read(fields: &str) -> Option<Self> {
        let [mo, momsn, mt, mtmsn, ring, waiting] = numbers(fields)?;
        Some(Self {
            mo: flag(mo)?,
            momsn: u16::try_from(momsn).ok()?,
            mt: flag(mt)?,
            mtmsn: message_number(mtmsn)?.0,
            ring: flag(ring)?,
            waiting: u16::try_from(waiting).ok()?,
        })
    }
}

/// Exactly so many whole numbers, with spaces or without.
fn numbers<const COUNT: usize>(fields: &str) -> Option<[i64; COUNT]> {
    let numbers = fields.split(',').map(|field| field.trim().parse().ok());
    let numbers: Vec<i64> = numbers.collect::<Option<_>>()?;
    numbers.try_into().ok()
}

fn flag(number: i64) -> Option<bool> {
    (0..=1).contains(&number).then_some(number == 1)
}

fn bars_of(number: i64) -> Option<u8> {
    u8::try_from(number).ok().filter(|bars| *bars <= 5)
}

/// -1 stands for none.
fn message_number(number: i64) -> Option<Numbered> {
    match u16::try_from(number) {
        Ok(number) => Some(Numbered(Some(number))),
        Err(_) => (number == -1).then_some(Numbered(None)),
    }
}

/// A message's number, or that there is none.
struct Numbered(Option<u16>);

/// Up to eight hexadecimal digits, without zeros before them.
fn frame(digits: &str) -> Option<u32> {
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { u32::from_str_radix(digits, 16).ok() } else { None }
}

const IMEI_SIZE: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_spaces_and_without() {
        let wanted = SessionAnswer {
            mo: MoStatus(1),
            momsn: 65_535,
            mt: 1,
            mtmsn: Some(7),
            mt_size: 270,
            mt_queued: 49,
        };
        for line in [
            "+SBDIX: 1, 65535, 1, 7, 270, 49",
            "+SBDIX:1,65535,1,7,270,49",
            "+SBDIXA:1,65535,1,7,270,49 ",
        ] {
            assert_eq!(Line::read(line.as_bytes()), Line::Session(wanted));
        }
        let wanted =
            StatusAnswer { mo: true, momsn: 0, mt: false, mtmsn: None, ring: true, waiting: 50 };
        assert_eq!(Line::read(b"+SBDSX: 1, 0, 0, -1, 1, 50"), Line::Status(wanted));
        assert_eq!(Line::read(b"+SBDLOE:0,45"), Line::Window(45));
        assert_eq!(Line::read(b"300234010753370"), Line::Imei("300234010753370".to_owned()));
        assert_eq!(Line::read(b"-MSSTM: 24fa3b00"), Line::Clock(Some(0x24FA_3B00)));
        assert_eq!(Line::read(b"-MSSTM: no network service"), Line::Clock(None));
        assert_eq!(Line::read(b"+CSQ:5"), Line::Bars(5));
        assert_eq!(Line::read(b"3"), Line::Code(3));
        assert_eq!(Line::read(b"+CME ERROR: 3"), Line::Error);
        assert!(matches!(Line::read(b"-MSGEO: -3948,3212,3840"), Line::Place(_)));
    }

    #[test]
    fn what_is_said_unasked_is_read() {
        let urc = |line: &str| Line::read(line.as_bytes());
        assert_eq!(urc("SBDRING"), Line::Urc(Urc::Ring));
        assert_eq!(urc("+CIEV:0,4"), Line::Urc(Urc::Signal(4)));
        assert_eq!(urc("+CIEV:1,0"), Line::Urc(Urc::Service(false)));
        let failure = Urc::HardwareFailure { part: 2, error: 13 };
        assert_eq!(urc("HARDWARE FAILURE: 2,13"), Line::Urc(failure));
        assert_eq!(urc("+AREG:1,0"), Line::Urc(Urc::Area { event: 1, error: 0 }));
    }

    #[test]
    fn what_came_to_harm_is_no_answer() {
        for line in [
            "+SBDIX: 0, 498, 0, 0, 0",
            "+SBDIX: 0, 498, 0, 0, 0, 0, 0",
            "+SBDIX: 256, 498, 0, 0, 0, 0",
            "+SBDIX: 0, 65536, 0, 0, 0, 0",
            "+SBDIX: 0, 498, 3, 0, 0, 0",
            "+SBDIX: , 498, 0, 0, 0, 0",
            "+SBDIX: 0 0, 498, 0, 0, 0, 0",
            "SBDIX: 0, 498, 0, 0, 0, 0",
            "+SBDSX: 2, 0, 0, -1, 1, 50",
            "+SBDSX: 1, 0, 0, -2, 1, 50",
            "+CIEV:0,6",
            "+CIEV:1,2",
            "+CIEV:2,0",
            "+CSQ: 6",
            "-MSSTM: 1ffffffff",
            "-MSSTM: +1",
            "-MSSTM:",
            "HARDWARE FAILURE: -1,2",
            "300234010753",
            "OKAY",
            "",
            "\u{FF}",
        ] {
            assert_eq!(Line::read(line.as_bytes()), Line::Other, "{line}");
        }
        assert_eq!(Line::read(&[0xFF, 0xFE]), Line::Other);
    }

    #[test]
    fn every_status_has_a_class() {
        let class = |status| MoStatus(status).class();
        for status in 0..=u8::MAX {
            assert_eq!(MoStatus(status).is_ok(), class(status) == Class::Success);
            assert!(!class(status).as_str().is_empty());
        }
        assert_eq!(class(32), Class::RetryWaitService);
        assert_eq!(class(36), Class::RetryAfterRegistration);
        assert_eq!(class(65), Class::FailUnknown);
        assert!(MoStatus(65).is_hardware() && !MoStatus(32).is_hardware());
    }
}
