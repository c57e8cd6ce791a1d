//! Distances over the earth's surface.

use hansho_model::{MetresU32, Position};

use crate::DISTRICTS;

/// Mean radius of the earth in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Distance as the crow flies, rounded to whole metres.
#[must_use]
pub fn metres_between(one: Position, other: Position) -> MetresU32 {
    let radians = |e7: i32| (f64::from(e7) / 1e7).to_radians();
    let (lat, other_lat) = (radians(one.lat.e7()), radians(other.lat.e7()));
    let lat_half = (other_lat - lat) / 2.0;
    let lon_half = (radians(other.lon.e7()) - radians(one.lon.e7())) / 2.0;
    let square = lat_half.sin().powi(2) + lat.cos() * other_lat.cos() * lon_half.sin().powi(2);
    let metres = 2.0 * EARTH_RADIUS_M * square.sqrt().min(1.0).asin();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "half the earth's girth is 20,015 km, and a distance is never negative"
    )]
    let metres = metres.round() as u32;
    MetresU32(metres)
}

/// How far a place is from the city: 0 within any district's radius around its centre.
#[must_use]
pub fn metres_from_city(position: Position) -> MetresU32 {
    let beyond = DISTRICTS.iter().map(|district| {
        metres_between(position, district.centre).0.saturating_sub(district.radius.0)
    });
    MetresU32(beyond.min().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use hansho_model::DegreesE7;

    use super::*;

    fn at(lat_e7: i32, lon_e7: i32) -> Position {
        Position::new(DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(lon_e7)).unwrap()
    }

    #[test]
    fn distances_are_those_of_a_sphere() {
        let onahama = at(369_650_000, 1_408_936_000);
        assert_eq!(metres_between(onahama, onahama), MetresU32(0));
        // A thousandth of a degree of latitude.
        assert_eq!(metres_between(onahama, at(369_660_000, 1_408_936_000)), MetresU32(111));
        // A thousandth of a degree of longitude: shorter by the cosine of the latitude.
        assert_eq!(metres_between(onahama, at(369_650_000, 1_408_946_000)), MetresU32(89));
        // From pole to pole.
        let poles = metres_between(at(900_000_000, 0), at(-900_000_000, 0));
        assert_eq!(poles, MetresU32(20_015_114));
        assert_eq!(metres_between(at(0, -1_800_000_000), at(0, 1_800_000_000)), MetresU32(0));
    }

    #[test]
    fn a_place_within_a_district_is_in_the_city() {
        assert_eq!(metres_from_city(at(369_650_000, 1_408_936_000)), MetresU32(0));
        // Tokyo; and the nought of a device that does not know.
        assert!(metres_from_city(at(356_800_000, 1_397_600_000)).0 > 100_000);
        assert!(metres_from_city(at(0, 0)).0 > 10_000_000);
    }
}
