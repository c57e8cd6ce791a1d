//! Districts and distances: pure look-ups in built-in data; integers out.
//!
//! Only `decide` asks the atlas; its answers go into the event, so `evolve` and a replay never look
//! anything up and a better atlas cannot rewrite an old shift.

mod distance;

use hansho_model::{DegreesE7, DistrictId, MetresU32, Position};

pub use distance::{metres_between, metres_from_city};

/// A district (地区) of the city.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct District {
    /// Its number.
    pub id: DistrictId,
    /// Japanese name.
    pub name: &'static str,
    /// Name in Latin letters.
    pub name_latin: &'static str,
    /// Centre: median of its named places (of 平: the post, as the median lies 3 km east of town).
    pub centre: Position,
    /// How far from the centre a place in it may be.
    pub radius: MetresU32,
}

/// All districts in the order of their numbers.
pub const DISTRICTS: [District; 13] = [
    district(1, "平", "Taira", 370_558_000, 1_408_930_000, 9_000),
    district(2, "小名浜", "Onahama", 369_650_000, 1_408_936_000, 8_000),
    district(3, "勿来", "Nakoso", 369_103_000, 1_407_803_000, 9_000),
    district(4, "常磐", "Joban", 369_978_000, 1_408_543_000, 6_000),
    district(5, "内郷", "Uchigo", 370_426_000, 1_408_581_000, 5_000),
    district(6, "四倉", "Yotsukura", 371_060_000, 1_409_589_000, 8_000),
    district(7, "遠野", "Tono", 370_181_000, 1_407_366_000, 9_000),
    district(8, "小川", "Ogawa", 371_205_000, 1_408_618_000, 12_000),
    district(9, "好間", "Yoshima", 370_672_000, 1_408_521_000, 6_000),
    district(10, "三和", "Miwa", 371_537_000, 1_407_130_000, 14_000),
    district(11, "田人", "Tabito", 369_759_000, 1_406_528_000, 12_000),
    district(12, "川前", "Kawamae", 372_624_000, 1_407_374_000, 12_000),
    district(13, "久之浜・大久", "Hisanohama-Ohisa", 371_430_000, 1_409_933_000, 7_000),
];

/// The district of this number.
#[must_use]
pub fn by_id(id: DistrictId) -> Option<&'static District> {
    DISTRICTS.iter().find(|each| each.id == id)
}

const fn district(
    id: u8,
    name: &'static str,
    name_latin: &'static str,
    lat_e7: i32,
    lon_e7: i32,
    radius_m: u32,
) -> District {
    District {
        id: DistrictId(id),
        name,
        name_latin,
        centre: Position { lat: DegreesE7::from_e7(lat_e7), lon: DegreesE7::from_e7(lon_e7) },
        radius: MetresU32(radius_m),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_district_is_found_by_its_number_and_lies_in_the_city() {
        for (index, each) in DISTRICTS.iter().enumerate() {
            assert_eq!(usize::from(each.id.0), index + 1);
            assert_eq!(by_id(each.id), Some(each));
            assert!((368_000_000..=374_000_000).contains(&each.centre.lat.e7()), "{}", each.name);
            assert!(
                (1_404_000_000..=1_411_000_000).contains(&each.centre.lon.e7()),
                "{}",
                each.name
            );
        }
        assert_eq!(by_id(DistrictId(0)), None);
        assert_eq!(by_id(DistrictId(14)), None);
    }
}
