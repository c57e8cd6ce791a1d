//! The position: date, place, speed, battery, status, and what radio stations were heard.

use hansho_model::{DegreesE7, Fix, FixMethod, MetresU32, Position, Telemetry};
use jiff::Timestamp;

use super::reading::{decimal, time, whole};

/// Fields up to the status.
const FIELDS_MIN: usize = 16;

/// What a position says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionReport {
    /// Time of the fix; of a message without one the device's clock. `None` when it is no time.
    pub at: Option<Timestamp>,
    /// Whether the date had begun again after 1,024 weeks and was moved.
    pub rolled_over: bool,
    /// The place; `None` only where an alarm's is unreadable.
    pub place: Option<Place>,
    /// Satellites used.
    pub satellites: Option<u8>,
    /// Strength of the mobile network, 0 to 100 per cent.
    pub signal: Option<u8>,
    /// Battery, 0 to 100 per cent.
    pub battery: Option<u8>,
    /// Steps counted.
    pub steps: Option<u32>,
    /// State bits below, alarm bits above.
    pub status: u32,
    /// What was heard around.
    pub network: Network,
}

/// A place as the device says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether the device itself trusts it.
    pub valid: bool,
    /// Where; 0, 0 is usual where it has none.
    pub position: Position,
    /// Speed in units of 0.01 km/h.
    pub speed_e2_kmh: Option<u32>,
    /// Course in units of 0.01 degree.
    pub course_e2: Option<u16>,
    /// Height in units of 0.01 m.
    pub altitude_cm: Option<i32>,
}

/// What was heard around. Read as far as it can be: firmware differs here most of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Cells of the mobile network.
    pub cells: u16,
    /// Wi-Fi stations.
    pub stations: u16,
    /// How far off the place may be.
    pub accuracy: Option<MetresU32>,
}

impl PositionReport {
    /// Reads the fields after the type. With `lenient` the status is enough: an alarm counts though
    /// its place cannot be read.
    pub(super) fn read(fields: &[&str], now: Timestamp, lenient: bool) -> Option<Self> {
        let field = |place: usize| fields.get(place).copied().unwrap_or_default();
        let status = fields.get(15).and_then(|text| status(text))?;
        let time = time(field(0), field(1), now);
        let place = place(fields);
        if !lenient && (time.is_none() || place.is_none()) {
            return None;
        }
        let (at, rolled_over) = time.unwrap_or_default();
        let percent = |text| whole(text).filter(|percent: &u8| *percent <= 100);
        Some(Self {
            at,
            rolled_over,
            place,
            satellites: whole(field(10)),
            signal: percent(field(11)),
            battery: percent(field(12)),
            steps: whole(field(13)),
            status,
            network: Network::read(fields.get(FIELDS_MIN..).unwrap_or_default()),
        })
    }

    /// The place in the house's words.
    #[must_use]
    pub fn fix(&self) -> Option<Fix> {
        let place = self.place?;
        Some(Fix {
            position: place.position,
            at: self.at,
            valid: place.valid,
            method: if place.valid { FixMethod::Gnss } else { FixMethod::Unknown },
            accuracy: self.network.accuracy.filter(|_| place.valid),
            speed_e2_kmh: place.speed_e2_kmh,
            course_e2: place.course_e2,
            altitude_cm: place.altitude_cm,
            satellites: self.satellites,
        })
    }

    /// All of it in the house's words.
    #[must_use]
    pub fn telemetry(&self, stored: bool) -> Telemetry {
        Telemetry {
            fix: self.fix(),
            battery: self.battery,
            charging: None,
            steps: self.steps,
            pulse: None,
            stored,
        }
    }

    /// Where the wearer is, if the device knows.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let place = self.place.filter(|place| place.valid)?;
        let nowhere = place.position.lat.e7() == 0 && place.position.lon.e7() == 0;
        (!nowhere).then_some(place.position)
    }
}

fn status(text: &str) -> Option<u32> {
    let is_hex = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

fn place(fields: &[&str]) -> Option<Place> {
    let [validity, lat, north, lon, east, speed, course, altitude] = fields.get(2..10)? else {
        return None;
    };
    let valid = match *validity {
        "A" => true,
        "V" => false,
        _ => return None,
    };
    let position = Position::new(degrees(lat, north, "N", "S")?, degrees(lon, east, "E", "W")?)?;
    let course_e2 = decimal(course, 2).and_then(|course| u16::try_from(course).ok());
    Some(Place {
        valid,
        position,
        speed_e2_kmh: decimal(speed, 2).and_then(|speed| u32::try_from(speed).ok()),
        course_e2: course_e2.filter(|course| *course < 36_000),
        altitude_cm: decimal(altitude, 2).and_then(|altitude| i32::try_from(altitude).ok()),
    })
}

/// The letter of the far hemisphere wins over a sign; any other keeps the sign.
fn degrees(text: &str, letter: &str, near: &str, far: &str) -> Option<DegreesE7> {
    let e7 = decimal(text, 7)?;
    let e7 = match letter {
        letter if letter == far => e7.checked_abs()?.checked_neg()?,
        letter if letter == near || letter.is_empty() => e7,
        _ => return None,
    };
    i32::try_from(e7).ok().map(DegreesE7::from_e7)
}

impl Network {
    /// Cells: count, and if there are any timing advance, country, network and three fields each.
    /// Then stations: count and three fields each. Then, often, the accuracy.
    fn read(fields: &[&str]) -> Self {
        let count = |place: usize| fields.get(place).and_then(|text| whole::<u16>(text));
        let past =
            |from: usize, count: u16| usize::from(count).saturating_mul(3).saturating_add(from);
        let cells = count(0).unwrap_or_default();
        let stations_at = if cells == 0 { 1 } else { past(4, cells) };
        let stations = count(stations_at).unwrap_or_default();
        let accuracy_at = past(stations_at.saturating_add(1), stations);
        let accuracy = fields.get(accuracy_at).and_then(|text| decimal(text, 0));
        let accuracy = accuracy.and_then(|metres| u32::try_from(metres).ok());
        // 0 m is what they say when they do not know.
        let accuracy = accuracy.filter(|metres| *metres > 0).map(MetresU32);
        Self { cells, stations, accuracy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, lenient: bool) -> Option<PositionReport> {
        let fields: Vec<&str> = text.split(',').collect();
        let now = "2026-08-21T12:00:00Z".parse().unwrap();
        PositionReport::read(&fields, now, lenient)
    }

    #[test]
    fn letters_of_the_far_hemisphere_win_over_signs() {
        let at = |lat: &str, lon: &str| {
            let found =
                read(&format!("210826,115500,A,{lat},{lon},0,0,0,9,80,67,1,0,00000000"), false);
            found
                .and_then(|found| found.place)
                .map(|place| (place.position.lat.e7(), place.position.lon.e7()))
        };
        assert_eq!(at("09.951861,N", "-84.1422119,W"), Some((99_518_610, -841_422_119)));
        assert_eq!(at("-33.5,N", "-70.7,E"), Some((-335_000_000, -707_000_000)));
        assert_eq!(at("16.5,S", "68.1,"), Some((-165_000_000, 681_000_000)));
        assert_eq!(at("48.7,N", " 9.1574736,E"), Some((487_000_000, 91_574_736)));
        assert_eq!(at("91.0,N", "140.0,E"), None);
        assert_eq!(at("48.7,E", "140.0,E"), None);
        assert_eq!(at(",N", "140.0,E"), None);
    }

    #[test]
    fn the_network_part_is_read_as_far_as_it_can_be() {
        let network = |tail: &str| {
            read(&format!("210826,115500,A,37.0,N,140.8,E,0,0,0,9,80,67,1,0,00000000{tail}"), false)
                .unwrap()
                .network
        };
        let metres = |metres: u32| Some(MetresU32(metres));
        let is = |cells, stations, accuracy| Network { cells, stations, accuracy };
        assert_eq!(network(""), Network::default());
        assert_eq!(network(",0,0,58.0"), is(0, 0, metres(58)));
        assert_eq!(network(",1,255,440,10,6702,18433,150,0,12.5"), is(1, 0, metres(13)));
        assert_eq!(network(",1,1,FFFF,FFFF,FFFE,3B882A2,132,,00"), is(1, 0, None));
        assert_eq!(network(",0,2,a,m,-1,b,m,-2,22.0"), is(0, 2, metres(22)));
        assert_eq!(network(",1,255,440,10,1,2,3,1,a name,m,-61,9"), is(1, 1, metres(9)));
        assert_eq!(network(",65535,x"), is(65_535, 0, None));
    }

    #[test]
    fn an_alarm_counts_though_its_place_cannot_be_read() {
        let text = "??,,X,,,,,,,,,,,,,00010000";
        assert_eq!(read(text, false), None);
        let found = read(text, true).unwrap();
        assert_eq!((found.status, found.place, found.at), (0x10000, None, None));
        assert_eq!(read("210826,115500,A,37.0,N,140.8,E,0,0,0,9,80,67,1,0,", true), None);
        assert_eq!(read("210826", true), None);
    }

    #[test]
    fn nowhere_is_no_position() {
        let at = |text: &str| read(text, false).unwrap().position();
        assert_eq!(at("210826,115500,V,0.0,N,0.0,E,0,0,0,9,80,67,1,0,00000000"), None);
        assert_eq!(at("210826,115500,A,0.0,N,0.0,E,0,0,0,9,80,67,1,0,00000000"), None);
        assert_eq!(at("210826,115500,V,37.0,N,140.8,E,0,0,0,9,80,67,1,0,00000000"), None);
        assert!(at("210826,115500,A,37.0,N,140.8,E,0,0,0,9,80,67,1,0,00000000").is_some());
    }
}
