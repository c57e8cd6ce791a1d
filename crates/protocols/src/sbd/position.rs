//! Where the network thinks that the modem is: kilometres from the middle of the Earth.
//!
//! The places lie on a sphere and 4 km apart; they are off by 10 km in most cases and by 75 km in
//! some. To be drawn as a circle, never as a pin.

use hansho_model::DegreesE7;

/// Farthest from the middle in one direction, kilometres.
const KM_MAX: i32 = 6_376;
/// Bits after the point while angles are sought.
const FRACTION_BITS: u32 = 40;
/// The same while a square root is drawn; it has half of them.
const ROOT_BITS: u32 = 36;
/// Arc tangents of 1, 1/2, 1/4 ... in 1e-9 degrees.
const ANGLES_E9: [i64; 28] = [
    45_000_000_000,
    26_565_051_177,
    14_036_243_468,
    7_125_016_349,
    3_576_334_375,
    1_789_910_608,
    895_173_710,
    447_614_171,
    223_810_500,
    111_905_677,
    55_952_892,
    27_976_453,
    13_988_227,
    6_994_114,
    3_497_057,
    1_748_528,
    874_264,
    437_132,
    218_566,
    109_283,
    54_642,
    27_321,
    13_660,
    6_830,
    3_415,
    1_708,
    854,
    427,
];
/// Half a turn, 1e-9 degrees.
const HALF_TURN_E9: i64 = 180_000_000_000;

/// A place as `-MSGEO` says it: kilometres, multiples of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkPlace {
    /// Towards latitude 0, longitude 0.
    pub x_km: i32,
    /// Towards latitude 0, longitude 90 east.
    pub y_km: i32,
    /// Towards the north pole.
    pub z_km: i32,
    /// The network's clock when it was found; see [`super::network_time`].
    pub frame: Option<u32>,
}

impl NetworkPlace {
    /// From `x,y,z` or `x,y,z,frame`.
    pub(super) fn read(fields: &str) -> Option<Self> {
        let mut fields = fields.split(',').map(str::trim);
        let mut km = || {
            let value: i32 = fields.next()?.parse().ok()?;
            (-KM_MAX..=KM_MAX).contains(&value).then_some(value)
        };
        let (x_km, y_km, z_km) = (km()?, km()?, km()?);
        let frame = match fields.next() {
            Some(digits) => Some(u32::from_str_radix(digits, 16).ok()?),
            None => None,
        };
        let middle = (x_km, y_km, z_km) == (0, 0, 0);
        (fields.next().is_none() && !middle).then_some(Self { x_km, y_km, z_km, frame })
    }

    /// Latitude on the sphere; up to 0.2 degrees from that of a map.
    #[must_use]
    pub fn lat(&self) -> DegreesE7 {
        let [x, y] =
            [self.x_km, self.y_km].map(|km| i64::from(km).saturating_pow(2).cast_unsigned());
        let root = x.saturating_add(y).saturating_mul(1 << ROOT_BITS).isqrt();
        let root = i64::try_from(root).unwrap_or_default();
        let out = root.saturating_mul(1 << (FRACTION_BITS - ROOT_BITS / 2));
        degrees(angle_e9(out, scaled(self.z_km)))
    }

    /// Longitude, east positive; 0 at the poles.
    #[must_use]
    pub fn lon(&self) -> DegreesE7 {
        degrees(angle_e9(scaled(self.x_km), scaled(self.y_km)))
    }
}

fn scaled(km: i32) -> i64 {
    i64::from(km).saturating_mul(1 << FRACTION_BITS)
}

fn degrees(angle_e9: i64) -> DegreesE7 {
    let nearest = angle_e9.saturating_add(50_i64.saturating_mul(angle_e9.signum()));
    DegreesE7::from_e7(i32::try_from(nearest.saturating_div(100)).unwrap_or_default())
}

/// The angle from the x axis to this point, by turning it step by step onto the axis (Volder 1959):
/// whole numbers alone, the same on every machine.
fn angle_e9(x: i64, y: i64) -> i64 {
    if x < 0 {
        let turned = angle_e9(x.saturating_neg(), y.saturating_neg());
        let half = if y < 0 { -HALF_TURN_E9 } else { HALF_TURN_E9 };
        return turned.saturating_add(half);
    }
    if y == 0 {
        return 0;
    }
    let (mut x, mut y, mut angle) = (x, y, 0_i64);
    let mut divisor = 1_i64;
    for step in ANGLES_E9 {
        let towards = if y < 0 { -1 } else { 1 };
        let part = |of: i64| of.checked_div(divisor).unwrap_or_default().saturating_mul(towards);
        (x, y) = (x.saturating_add(part(y)), y.saturating_sub(part(x)));
        angle = angle.saturating_add(step.saturating_mul(towards));
        divisor = divisor.saturating_mul(2);
    }
    // The last steps may turn too far.
    angle.clamp(-HALF_TURN_E9 / 2, HALF_TURN_E9 / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> (f64, f64) {
        let place = NetworkPlace::read(text).unwrap();
        (f64::from(place.lat().e7()) / 1e7, f64::from(place.lon().e7()) / 1e7)
    }

    #[test]
    fn angles_are_those_of_the_sphere() {
        let (lat, lon) = place("-3948,3212,3840");
        assert!((lat - 37.0340).abs() < 0.0001 && (lon - 140.8690).abs() < 0.0001, "{lat} {lon}");
        for (x, y, z) in [
            (6376, 0, 0),
            (0, 6376, 0),
            (-6376, 0, 0),
            (-4, -4, -6376),
            (0, -6000, 2000),
            (3, 4, 5),
        ] {
            let (lat, lon) = place(&format!("{x},{y},{z}"));
            let [x, y, z] = [x, y, z].map(f64::from);
            let wanted = (z.atan2(x.hypot(y)).to_degrees(), y.atan2(x).to_degrees());
            assert!((lat - wanted.0).abs() < 1e-6, "{lat} {wanted:?}");
            assert!((lon - wanted.1).abs() < 1e-6, "{lon} {wanted:?}");
        }
        assert_eq!(place("0,0,6376"), (90.0, 0.0));
        assert_eq!(place("0,0,-6376"), (-90.0, 0.0));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "1,2", "0,0,0", "6377,0,0", "1,2,x", "1,2,3,xyz", "1,2,3,4,5", "1,2,3,"] {
            assert_eq!(NetworkPlace::read(text), None, "{text}");
        }
        let place = NetworkPlace::read("-3940, 3228, 3836, 9cb3c000").unwrap();
        assert_eq!(place.frame, Some(0x9CB3_C000));
    }
}
