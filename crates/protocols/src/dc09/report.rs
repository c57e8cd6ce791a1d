//! From a decoded frame to the report that the rest of the house understands.

use hansho_model::{DegreesE7, Door, Position, Private, Report};
use jiff::Timestamp;

use super::message::{Decoded, subscriber};
use super::payload::Payload;
use super::{text, time};
use crate::findings::lane;

/// Longest text of a report, in bytes.
const TEXT_SIZE_MAX: usize = 1_024;
/// Longest name of a device, in bytes.
const DEVICE_SIZE_MAX: usize = 32;

impl Decoded {
    /// The name of the device that the report is about: the data's account when it differs from the
    /// header's (one home unit may forward for another). In capitals, as accounts compare without
    /// regard to case: one device has one name.
    #[must_use]
    pub fn device(&self) -> String {
        let message = &self.message;
        let named = message.data_account.as_deref().or(message.account.as_deref());
        let name = match named {
            Some(name) if message.id == "OH" => subscriber(name),
            Some(name) => name,
            None => return "unreadable".to_owned(),
        };
        text::clip(&name.to_ascii_uppercase(), DEVICE_SIZE_MAX)
    }

    /// Free text: of the events, then of extended data that holds text for people.
    #[must_use]
    pub fn text(&self) -> Option<Private<String>> {
        let events: &[String] = match &self.message.event {
            Some(Payload::Sia(sia)) => &sia.texts,
            Some(Payload::Cid(_)) | None => &[],
        };
        // Alarm text, location, building, room, site.
        let extended = self.message.xdata.iter().filter_map(|field| {
            field.strip_prefix(['I', 'L', 'O', 'R', 'S']).filter(|value| !value.is_empty())
        });
        let lines: Vec<&str> =
            events.iter().map(String::as_str).chain(extended).map(str::trim).collect();
        let joined = text::clip(&lines.join("\n"), TEXT_SIZE_MAX);
        (!joined.is_empty()).then_some(Private(joined))
    }

    /// When the device says it happened: extended data H, else the stamp.
    #[must_use]
    pub fn observed_at(&self) -> Option<Timestamp> {
        let occurred = self.xdata('H').find_map(|value| time::parse(value.as_bytes()));
        occurred.or(self.message.timestamp)
    }

    /// Where the device says it is: extended data X (longitude) and Y (latitude).
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let lon = self.xdata('X').find_map(|value| degrees(value, b'E', b'W'))?;
        let lat = self.xdata('Y').find_map(|value| degrees(value, b'N', b'S'))?;
        Position::new(lat, lon)
    }

    /// The report of these bytes.
    #[must_use]
    pub fn report(&self, raw: &[u8]) -> Report {
        Report {
            door: Door::Dc09,
            device: self.device(),
            lane: lane(&self.findings),
            observed_at: self.observed_at(),
            device_key: self.key.clone(),
            findings: self.findings.clone(),
            position: self.position(),
            telemetry: None,
            text: self.text(),
            raw: Private(raw.to_vec()),
            refused: self.refused,
            deviations: self.message.deviations.clone(),
        }
    }

    fn xdata(&self, letter: char) -> impl Iterator<Item = &str> {
        self.message.xdata.iter().filter_map(move |field| field.strip_prefix(letter))
    }
}

/// Reads `140E53.25`: whole degrees, hemisphere, minutes and their fraction. Digits of the fraction
/// past the seventh are dropped; the result rounds toward zero.
fn degrees(value: &str, positive: u8, negative: u8) -> Option<DegreesE7> {
    let (split, hemisphere) =
        value.bytes().enumerate().find(|(_index, byte)| !byte.is_ascii_digit())?;
    let sign = match hemisphere.to_ascii_uppercase() {
        sign if sign == positive => 1,
        sign if sign == negative => -1,
        _ => return None,
    };
    let whole = value.get(..split).filter(|digits| (1..=3).contains(&digits.len()))?;
    let minutes = value.get(split.checked_add(1)?..)?;
    let (minutes, fraction) = minutes.split_once('.').unwrap_or((minutes, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&minutes.len()) || !digits(minutes) || !digits(fraction) {
        return None;
    }
    let minutes: i64 = minutes.parse().ok().filter(|minutes| *minutes < 60)?;
    let fraction_e7: i64 = format!("{fraction:0<7}").get(..7)?.parse().ok()?;
    let minutes_e7 = minutes.checked_mul(10_000_000)?.checked_add(fraction_e7)?;
    let whole_e7 = whole.parse::<i64>().ok()?.checked_mul(10_000_000)?;
    let e7 = whole_e7.checked_add(minutes_e7.checked_div(60)?)?.checked_mul(sign)?;
    i32::try_from(e7).ok().map(DegreesE7::from_e7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Accounts;
    use crate::dc09::{crc16, decode};

    fn decoded(body: &str) -> Decoded {
        let now = "2026-04-01T00:00:30Z".parse().unwrap();
        let bytes = format!("\n{:04X}{:04X}{body}\r", crc16(body.as_bytes()), body.len());
        let accounts = Accounts::new(crate::UnknownDevices::Show);
        decode(&accounts, now, bytes.as_bytes()).unwrap()
    }

    #[test]
    fn positions_are_exact_integers() {
        let read = |value| degrees(value, b'E', b'W').map(DegreesE7::e7);
        assert_eq!(read("140E53.25"), Some(1_408_875_000));
        assert_eq!(read("093W23.456"), Some(-933_909_333));
        assert_eq!(read("6E07.7777777999"), Some(61_296_296));
        assert_eq!(read("0E0"), Some(0));
        for bad in ["115000", "140E60.0", "1400E1", "E1", "140N1", "140E", "140E1.x", "140E-1", ""]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_position_needs_both_halves_in_range() {
        let at = |xdata: &str| {
            decoded(&format!("\"ADM-CID\"0002L0#4901[#4901|1101 01 003]{xdata}")).position()
        };
        let found = at("[X140E53.25][Y37N03.03]").unwrap();
        assert_eq!((found.lat.e7(), found.lon.e7()), (370_505_000, 1_408_875_000));
        assert_eq!(at("[X140E53.25]"), None);
        assert_eq!(at("[X140E53.25][Y91N00.0]"), None);
        assert_eq!(at("[X115000][X115000]"), None);
    }

    #[test]
    fn time_of_occurrence_goes_before_the_stamp() {
        let at = |tail: &str| {
            let decoded = decoded(&format!("\"ADM-CID\"0002L0#4901[#4901|1101 01 003]{tail}"));
            decoded.observed_at().map(|at| at.to_string())
        };
        let stamp = "_00:00:30,04-01-2026";
        assert_eq!(at(stamp).unwrap(), "2026-04-01T00:00:30Z");
        assert_eq!(at(&format!("[H23:58:10,03-31-2026]{stamp}")).unwrap(), "2026-03-31T23:58:10Z");
        assert_eq!(at(&format!("[Hlate]{stamp}")).unwrap(), "2026-04-01T00:00:30Z");
        assert_eq!(at(""), None);
    }

    #[test]
    fn names_are_one_per_device_and_text_is_for_people() {
        let report = decoded("\"SIA-DCS\"0002L0#49a1[#49A1|NQA3^hall^|Abath][Rroom 2]").report(b"");
        assert_eq!(report.device, "49A1");
        assert_eq!(report.text.unwrap().0, "hall\nbath\nroom 2");
        assert_eq!(decoded("\"NULL\"0000L0#foc7688[]").device(), "FOC7688");
        assert_eq!(decoded("\"NULL\"0000L0#FOc7688[]").device(), "FOC7688", "one device, one name");
        assert_eq!(decoded("\"ADM-CID\"0002L0#4901[#49b2|1101 01 003]").device(), "49B2");
        assert_eq!(decoded("hello").device(), "unreadable");
    }
}
