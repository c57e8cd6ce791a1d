//! The frame: LF, CRC, length, body, CR.

use hansho_model::{Deviation, FrameFault};

use crate::FrameError;

/// Longest frame: LF, CRC (4), length (4), a body of 0xFFF bytes, CR.
pub const FRAME_MAX: usize = 4_105;

pub(crate) const LF: u8 = 0x0A;
pub(crate) const CR: u8 = 0x0D;

/// A frame whose length and CRC are right.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// From the first quote to the byte before CR.
    pub(crate) body: &'a [u8],
    /// How the sender writes its CRC; the answer uses the same form.
    pub(crate) crc_form: CrcForm,
    /// The CRC as sent.
    pub(crate) crc: u16,
    /// What is not as the standard has it.
    pub(crate) deviations: Vec<Deviation>,
}

/// How a CRC is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CrcForm {
    /// Four hexadecimal characters: the standard.
    #[default]
    Hex,
    /// Two raw bytes, the greater first: Trikdis, Lupusec.
    Raw,
}

/// What stands between LF and CR.
#[derive(Debug)]
pub(crate) enum Line<'a> {
    /// A DC-09 frame.
    Dc09(Frame<'a>),
    /// A heartbeat line of Osborne-Hoffman's style: no CRC, no length.
    OsborneHoffman(&'a [u8]),
}

/// CRC-16/ARC over bytes: polynomial 0xA001 reflected, start 0, no final exclusive or (DC-07).
#[must_use]
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _bit| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        })
    })
}

/// Whether `inner`, what follows LF, begins with a CRC of two raw bytes: quote at 6, length at 2.
/// Those two bytes may be anything, LF and CR included.
pub(crate) fn has_raw_crc(inner: &[u8]) -> bool {
    matches!(inner, [_, _, a, b, c, d, b'"', ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()))
}

/// Opens a frame: LF first, CR last.
pub(crate) fn open(bytes: &[u8]) -> Result<Line<'_>, FrameError> {
    let after_lf =
        bytes.strip_prefix(&[LF]).ok_or_else(|| bad_frame("it does not begin with LF (0x0A)"))?;
    if bytes.len() > FRAME_MAX {
        return Err(too_long());
    }
    let inner =
        after_lf.strip_suffix(&[CR]).ok_or_else(|| bad_frame("it does not end with CR (0x0D)"))?;
    let raw = has_raw_crc(inner);
    let opaque = if raw { 2 } else { 0 };
    if inner.iter().skip(opaque).any(|byte| matches!(*byte, LF | CR)) {
        return Err(bad_frame("LF or CR stands inside it"));
    }
    if raw {
        return open_raw(inner);
    }
    if inner.starts_with(b"SR") {
        return Ok(Line::OsborneHoffman(inner));
    }
    open_hex(inner)
}

fn open_raw(inner: &[u8]) -> Result<Line<'_>, FrameError> {
    let Some(([high, low], rest)) = inner.split_first_chunk::<2>() else {
        return Err(bad_frame("it ends before its header"));
    };
    let Some((length, body)) = rest.split_first_chunk::<4>() else {
        return Err(bad_frame("it ends before its header"));
    };
    let crc = u16::from_be_bytes([*high, *low]);
    if length_field(*length)? != body.len() {
        return Err(bad_length());
    }
    if crc != crc16(body) {
        return Err(bad_crc());
    }
    let mut deviations = vec![Deviation::RawCrc];
    note_lower_case(&mut deviations, length);
    Ok(Line::Dc09(Frame { body, crc_form: CrcForm::Raw, crc, deviations }))
}

fn open_hex(inner: &[u8]) -> Result<Line<'_>, FrameError> {
    let Some((crc_digits, rest)) = inner.split_first_chunk::<4>() else {
        return Err(bad_frame("it ends before its header"));
    };
    let Some((length_digits, body)) = rest.split_first_chunk::<4>() else {
        return Err(bad_frame("it ends before its header"));
    };
    let crc = hex16(*crc_digits).ok_or_else(malformed)?;
    let length = length_field(*length_digits)?;
    let mut deviations = Vec::new();
    if length == body.len() {
        if crc != crc16(body) {
            return Err(bad_crc());
        }
    } else if Some(length) == body.len().checked_add(1) && crc == crc16_with_cr(body) {
        deviations.push(Deviation::CrcWithCr);
    } else {
        return Err(bad_length());
    }
    note_lower_case(&mut deviations, crc_digits.iter().chain(length_digits));
    Ok(Line::Dc09(Frame { body, crc_form: CrcForm::Hex, crc, deviations }))
}

fn crc16_with_cr(body: &[u8]) -> u16 {
    let mut with_cr = body.to_vec();
    with_cr.push(CR);
    crc16(&with_cr)
}

fn note_lower_case<'a>(deviations: &mut Vec<Deviation>, digits: impl IntoIterator<Item = &'a u8>) {
    if digits.into_iter().any(u8::is_ascii_lowercase) {
        deviations.push(Deviation::LowerCase);
    }
}

/// '0' and three hexadecimal digits.
fn length_field(digits: [u8; 4]) -> Result<usize, FrameError> {
    let value = hex16(digits).ok_or_else(malformed)?;
    if digits.first() == Some(&b'0') { Ok(usize::from(value)) } else { Err(bad_length()) }
}

fn hex16(digits: [u8; 4]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |value, digit| {
        let nibble = char::from(*digit).to_digit(16)?;
        Some((value << 4) | u16::try_from(nibble).ok()?)
    })
}

pub(crate) const fn bad_frame(hint: &'static str) -> FrameError {
    FrameError { fault: FrameFault::BadFrame, hint, fatal: false }
}

pub(crate) const fn too_long() -> FrameError {
    FrameError {
        fault: FrameFault::TooLong,
        hint: "no legal frame has more than 4,105 bytes",
        fatal: false,
    }
}

const fn bad_length() -> FrameError {
    FrameError {
        fault: FrameFault::BadLength,
        hint: "the length field is not the count of bytes from the first quote to before CR",
        fatal: false,
    }
}

const fn bad_crc() -> FrameError {
    FrameError {
        fault: FrameFault::BadCrc,
        hint: "the CRC is not that of the bytes from the first quote to before CR",
        fatal: false,
    }
}

const fn malformed() -> FrameError {
    FrameError {
        fault: FrameFault::MalformedHeader,
        hint: "CRC and length are not hexadecimal; is this a DC-09 sender?",
        fatal: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> FrameFault {
        open(bytes).unwrap_err().fault
    }

    #[test]
    fn crc_has_the_published_check_values() {
        assert_eq!(crc16(b""), 0);
        assert_eq!(crc16(b"A"), 0x30C0);
        assert_eq!(crc16(b"123456789"), 0xBB3D);
        assert_eq!(crc16(b"\"NULL\"0000L0#4901[]"), 0xCF47);
    }

    #[test]
    fn each_fault_of_a_frame_is_named() {
        assert_eq!(fault(b""), FrameFault::BadFrame);
        assert_eq!(fault(b"\n"), FrameFault::BadFrame);
        assert_eq!(fault(b"\n\r"), FrameFault::BadFrame);
        assert_eq!(fault(b"\n0000\r"), FrameFault::BadFrame);
        assert_eq!(fault(b"\nCF470013\"NULL\"0000L0#4901[]"), FrameFault::BadFrame);
        assert_eq!(fault(b"\nCF470013\"NULL\"\r000L0#4901[]\r"), FrameFault::BadFrame);
        assert_eq!(fault(b"\nCF470013\"NULL\"0000L0#4901[\r"), FrameFault::BadLength);
        assert_eq!(fault(b"\nCF471013\"NULL\"0000L0#4901[]\r"), FrameFault::BadLength);
        assert_eq!(fault(b"\nCF460013\"NULL\"0000L0#4901[]\r"), FrameFault::BadCrc);
        assert_eq!(fault(b"\nCF4G0013\"NULL\"0000L0#4901[]\r"), FrameFault::MalformedHeader);
        assert_eq!(fault(b"\nCF4700G3\"NULL\"0000L0#4901[]\r"), FrameFault::MalformedHeader);
    }

    #[test]
    fn the_longest_legal_frame_opens_and_one_more_byte_does_not() {
        let frame = |count: usize| {
            let body = vec![b'"'; count];
            let mut bytes = format!("\n{:04X}{count:04X}", crc16(&body)).into_bytes();
            bytes.extend(body);
            bytes.push(CR);
            bytes
        };
        assert_eq!(frame(4_095).len(), FRAME_MAX);
        assert!(open(&frame(4_095)).is_ok());
        assert_eq!(fault(&frame(4_096)), FrameFault::TooLong);
    }

    #[test]
    fn raw_crc_bytes_may_be_any() {
        // Bodies are tried until their CRC holds a CR, then an LF.
        for wanted in [CR, LF] {
            let found = (0..10_000).find_map(|number| {
                let body = format!("\"NULL\"{number:04}L0#4901[]");
                let crc = crc16(body.as_bytes()).to_be_bytes();
                crc.contains(&wanted).then_some((body, crc))
            });
            let (body, crc) = found.unwrap();
            let mut bytes = vec![LF];
            bytes.extend(crc);
            bytes.extend(format!("{:04X}{body}\r", body.len()).bytes());
            let Ok(Line::Dc09(frame)) = open(&bytes) else { panic!("{bytes:?}") };
            assert_eq!(frame.crc_form, CrcForm::Raw);
        }
    }
}
