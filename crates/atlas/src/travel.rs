//! How far and how long, where no roads are known: by line, with a factor for the detour.

use geo::{Distance, Haversine, Point};
use hansho_model::{DegreesE7, DistrictId, MetresU32, Position};

use crate::{DISTRICTS, District};

/// A way by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Travel {
    /// Length of the line.
    pub line: MetresU32,
    /// Time on the road, in seconds, with the detour.
    pub seconds: u32,
}

/// Length of the great circle between two places, to the metre.
///
/// The error against the ellipsoid is below 0.6 %, far below that of a detour factor.
#[must_use]
pub fn distance(from: Position, to: Position) -> MetresU32 {
    let metres = Haversine.distance(point(from), point(to)).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 20,016 km in metres"
    )]
    MetresU32(metres as u32)
}

/// Way and time between two places: 36 km/h and a detour of 1.35 in town; 30 km/h and 1.8 when
/// either end is in the hills. Invented for the demo city until its roads are imported.
#[must_use]
pub fn travel(from: Position, to: Position) -> Travel {
    let line = distance(from, to);
    let hills = [from, to].into_iter().any(|end| HILLS.contains(&nearest_district(end).id));
    let milliseconds_a_metre: u64 = if hills { 216 } else { 135 };
    let seconds = u64::from(line.0).saturating_mul(milliseconds_a_metre).div_ceil(1_000);
    Travel { line, seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
}

/// The district whose centre is nearest. Borders are not known here.
#[must_use]
pub fn nearest_district(position: Position) -> &'static District {
    let [first, rest @ ..] = &DISTRICTS;
    let mut nearest = (distance(first.centre, position), first);
    for each in rest {
        let metres = distance(each.centre, position);
        if metres < nearest.0 {
            nearest = (metres, each);
        }
    }
    nearest.1
}

fn point(position: Position) -> Point<f64> {
    let degrees = |value: DegreesE7| f64::from(value.e7()) / 1e7;
    Point::new(degrees(position.lon), degrees(position.lat))
}

/// 三和, 田人, 川前: valleys apart, one road each.
const HILLS: [DistrictId; 3] = [DistrictId(10), DistrictId(11), DistrictId(12)];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat_e7: i32, lon_e7: i32) -> Position {
        Position::new(DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(lon_e7)).unwrap()
    }

    /// First-due post and line of each district's centre, from the reference for the demo city.
    #[test]
    fn lines_are_those_of_the_reference() {
        let posts = [
            (2, at(369_548_000, 1_409_050_000), 1_500),
            (3, at(369_200_000, 1_407_977_000), 1_900),
            (4, at(370_133_000, 1_408_462_000), 1_900),
            (5, at(370_346_000, 1_408_556_000), 900),
            (6, at(371_096_000, 1_409_821_000), 2_100),
            (7, at(370_031_000, 1_407_596_000), 2_600),
            (8, at(371_262_000, 1_408_579_000), 700),
            (9, at(370_346_000, 1_408_556_000), 3_600),
            (10, at(371_187_000, 1_407_410_000), 4_600),
            (11, at(369_833_000, 1_406_964_000), 4_000),
            (12, at(371_187_000, 1_407_410_000), 16_000),
            (13, at(371_096_000, 1_409_821_000), 3_800),
        ];
        for (district, post, metres) in posts {
            let centre = crate::by_id(DistrictId(district)).unwrap().centre;
            let found = distance(post, centre).0;
            assert!(found.abs_diff(metres) <= 50, "{district}: {found} m, not {metres} m");
        }
    }

    #[test]
    fn hills_are_slower() {
        let onahama = at(369_548_000, 1_409_050_000);
        let town = travel(onahama, at(369_758_000, 1_408_861_000));
        assert_eq!(town, Travel { line: MetresU32(2_876), seconds: 389 });
        let (post, centre) = (at(371_187_000, 1_407_410_000), at(371_537_000, 1_407_130_000));
        let hills = travel(post, centre);
        assert_eq!(hills.seconds, (hills.line.0 * 216).div_ceil(1_000));
        assert_eq!(travel(onahama, onahama), Travel { line: MetresU32(0), seconds: 0 });
        let far = distance(at(900_000_000, 0), at(-900_000_000, 0)).0;
        assert_eq!(far, 20_015_114, "half of the globe");
    }
}
