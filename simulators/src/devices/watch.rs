//! A wearable that speaks the watch family's frames: `[3G*8800000003*0002*LK]`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Status bit of a press for help.
pub const SOS: u32 = 1 << 16;
/// Status bit of a strap that was removed.
pub const STRAP_REMOVED: u32 = 1 << 20;
/// Status bit of a fall.
pub const FALL: u32 = 1 << 21;

/// Where a wearer is, in units of 1e-7 degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Latitude.
    pub lat_e7: i32,
    /// Longitude.
    pub lon_e7: i32,
    /// Whether the device trusts it.
    pub valid: bool,
    /// Satellites.
    pub satellites: u8,
    /// How far off it may be, in metres; 0 where the device does not know.
    pub accuracy_m: u32,
}

impl Place {
    /// A good fix.
    #[must_use]
    pub const fn new(lat_e7: i32, lon_e7: i32) -> Self {
        Self { lat_e7, lon_e7, valid: true, satellites: 9, accuracy_m: 12 }
    }

    /// The same so many metres further north and east.
    #[must_use]
    pub fn moved(self, north_m: i32, east_m: i32) -> Self {
        // A metre of latitude is 89.93e-7 degree; one of longitude at 37 degrees north 112.6e-7.
        let e7 = |metres: i32, per_hundred: i64| {
            i32::try_from(i64::from(metres) * per_hundred / 100).unwrap_or_default()
        };
        let lat_e7 = self.lat_e7.saturating_add(e7(north_m, 8_993));
        let lon_e7 = self.lon_e7.saturating_add(e7(east_m, 11_260));
        Self { lat_e7, lon_e7, ..self }
    }
}

/// What a wearable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// INIT: it was switched on.
    Start,
    /// LK: it is still there.
    Link,
    /// UD: where it is.
    Position(Place),
    /// UD2: where it was, sent late.
    Stored(Place),
    /// AL: an alarm with these status bits.
    Alarm(u32, Place),
    /// heart: pulse.
    Pulse(u16),
}

/// A wearable.
#[derive(Clone, Debug)]
pub struct Wearable {
    /// Two signs of the maker.
    pub maker: String,
    /// Its name, usually ten digits.
    pub id: String,
    /// Battery, per cent.
    pub battery: u8,
    /// Steps so far.
    pub steps: u32,
    /// State bits that each position carries.
    pub state: u32,
    /// Index of the next frame, for those that count.
    pub index: Option<u16>,
}

impl Wearable {
    /// One of the common kind.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let (maker, id) = ("3G".to_owned(), id.to_owned());
        Self { maker, id, battery: 80, steps: 0, state: 0, index: None }
    }

    /// A frame.
    #[must_use]
    pub fn encode(&self, at: Timestamp, said: &Said) -> Vec<u8> {
        let content = match said {
            Said::Start => "INIT,,0,sim,1".to_owned(),
            Said::Link => format!("LK,{},0,{}", self.steps, self.battery),
            Said::Position(place) => format!("UD,{}", self.position(at, *place, 0)),
            Said::Stored(place) => format!("UD2,{}", self.position(at, *place, 0)),
            Said::Alarm(bits, place) => format!("AL,{}", self.position(at, *place, *bits)),
            Said::Pulse(beats) => format!("heart,{beats}"),
        };
        self.frame(&content)
    }

    /// The answer that the server owes, if any.
    #[must_use]
    pub fn answer(&self, said: &Said) -> Option<Vec<u8>> {
        match said {
            Said::Start => Some(self.frame("INIT,1")),
            Said::Link => Some(self.frame("LK")),
            Said::Alarm(..) => Some(self.frame("AL")),
            Said::Position(_) | Said::Stored(_) | Said::Pulse(_) => None,
        }
    }

    fn frame(&self, content: &str) -> Vec<u8> {
        let Self { maker, id, .. } = self;
        let index = self.index.map(|index| format!("{index:04x}*")).unwrap_or_default();
        format!("[{maker}*{id}*{index}{:04x}*{content}]", content.len()).into_bytes()
    }

    fn position(&self, at: Timestamp, place: Place, bits: u32) -> String {
        let clock = TimeZone::UTC.to_datetime(at);
        let (date, time) = (clock.strftime("%d%m%y"), clock.strftime("%H%M%S"));
        let validity = if place.valid { 'A' } else { 'V' };
        let north = if place.lat_e7 < 0 { 'S' } else { 'N' };
        let east = if place.lon_e7 < 0 { 'W' } else { 'E' };
        let (lat, lon) = (degrees(place.lat_e7), degrees(place.lon_e7));
        let Place { satellites, accuracy_m, .. } = place;
        let Self { battery, steps, state, .. } = self;
        let status = state | bits;
        format!(
            "{date},{time},{validity},{lat},{north},{lon},{east},3.50,90.0,12.0,{satellites},80,\
             {battery},{steps},0,{status:08X},1,255,440,10,6702,18433,120,0,{accuracy_m}.0"
        )
    }
}

fn degrees(e7: i32) -> String {
    let e7 = e7.unsigned_abs();
    format!("{}.{:07}", e7 / 10_000_000, e7 % 10_000_000)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hansho_model::AlarmKind;
    use hansho_protocols::{
        Accounts, Durable, Limits, Output, Protocol, Setup, Transport, UnknownDevices,
    };

    use super::*;

    fn at() -> Timestamp {
        "2026-11-23T05:40:48Z".parse().unwrap()
    }

    #[test]
    fn frames_look_as_devices_send_them() {
        let mut watch = Wearable::new("8800000003");
        assert_eq!(watch.encode(at(), &Said::Link), b"[3G*8800000003*0009*LK,0,0,80]");
        watch.index = Some(52);
        assert_eq!(watch.answer(&Said::Link).unwrap(), b"[3G*8800000003*0034*0002*LK]");
        watch.index = None;
        let place = Place::new(371_060_000, -1_409_589_001);
        let frame = String::from_utf8(watch.encode(at(), &Said::Alarm(SOS, place))).unwrap();
        assert_eq!(
            frame,
            "[3G*8800000003*0074*AL,231126,054048,A,37.1060000,N,140.9589001,W,3.50,90.0,12.0,9,80,\
             80,0,0,00010000,1,255,440,10,6702,18433,120,0,12.0]"
        );
    }

    #[test]
    fn the_house_understands_and_answers() {
        let accounts = Arc::new(Accounts::new(UnknownDevices::Show));
        let setup = Setup::new(accounts, Transport::Stream, Limits::TRACKERS, at());
        let mut session = Protocol::Watch.session(setup);
        let watch = Wearable::new("8800000003");
        let place = Place::new(371_060_000, 1_409_589_000).moved(500, 0);
        for said in [
            Said::Start,
            Said::Link,
            Said::Position(place),
            Said::Stored(place),
            Said::Alarm(SOS | FALL, place),
            Said::Pulse(62),
        ] {
            session.handle_bytes(at(), &watch.encode(at(), &said)).unwrap();
            let Output::Report(receipt, report) = session.poll_output() else { panic!("{said:?}") };
            session.handle_durable(at(), receipt, Durable::Stored);
            let answer = match session.poll_output() {
                Output::Transmit(bytes) => Some(bytes),
                Output::Report(..) | Output::Idle(_) => None,
            };
            assert_eq!(answer, watch.answer(&said), "{said:?}");
            let kinds: Vec<AlarmKind> = report.findings.iter().map(|each| each.kind).collect();
            let alarms = matches!(said, Said::Alarm(..));
            let expected = if alarms { vec![AlarmKind::Help, AlarmKind::Fall] } else { Vec::new() };
            assert_eq!(kinds, expected);
            if let Some(fix) = report.telemetry.and_then(|telemetry| telemetry.fix) {
                assert_eq!(fix.position.lat.e7(), place.lat_e7);
                assert_eq!(fix.at, Some(at()));
                assert_eq!(fix.accuracy.unwrap().0, 12);
            }
        }
    }
}
