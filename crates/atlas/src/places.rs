//! The small built-in gazetteer: districts, posts and named places of the demo city, without any
//! import. A point means "about here": in the hills one stands for a whole 大字.

use hansho_model::{DegreesE7, DistrictId, MetresU32, Position};

/// A named place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    /// Its name.
    pub name: &'static str,
    /// Its district.
    pub district: DistrictId,
    /// Middle of what the name covers.
    pub position: Position,
    /// How far from there the meant house may be; an estimate, wide in the hills.
    pub radius: MetresU32,
}

/// Posts and named places, posts first.
pub const PLACES: [NamedPlace; 40] = [
    post(1, "平消防署", 370_558_000, 1_408_930_000),
    post(2, "小名浜消防署", 369_548_000, 1_409_050_000),
    post(3, "勿来消防署", 369_200_000, 1_407_977_000),
    post(4, "常磐消防署", 370_133_000, 1_408_462_000),
    post(5, "内郷消防署", 370_346_000, 1_408_556_000),
    post(6, "四倉分署", 371_096_000, 1_409_821_000),
    post(1, "中央台分遣所", 370_154_000, 1_409_129_000),
    post(2, "江名分遣所", 369_714_000, 1_409_565_000),
    post(2, "泉分遣所", 369_533_000, 1_408_647_000),
    post(7, "遠野分遣所", 370_031_000, 1_407_596_000),
    post(8, "小川分遣所", 371_262_000, 1_408_579_000),
    post(10, "三和分遣所", 371_187_000, 1_407_410_000),
    post(11, "田人分遣所", 369_833_000, 1_406_964_000),
    town(1, "平字梅本", 370_504_000, 1_408_867_000),
    town(1, "平下平窪", 370_782_000, 1_408_829_000),
    town(1, "平中平窪", 370_887_000, 1_408_745_000),
    town(1, "平薄磯", 370_036_000, 1_409_757_000),
    town(1, "平豊間", 369_906_000, 1_409_668_000),
    town(1, "平沼ノ内", 370_119_000, 1_409_675_000),
    town(2, "小名浜古港", 369_474_000, 1_409_112_000),
    town(2, "小名浜住吉", 369_758_000, 1_408_861_000),
    town(2, "永崎", 369_595_000, 1_409_374_000),
    town(2, "中之作", 369_607_000, 1_409_484_000),
    town(3, "岩間町", 369_160_000, 1_408_203_000),
    town(3, "小浜町", 369_188_000, 1_408_329_000),
    town(3, "勿来町関田西", 368_819_000, 1_407_858_000),
    town(4, "常磐藤原町", 369_952_000, 1_408_189_000),
    town(5, "内郷御厩町", 370_461_000, 1_408_745_000),
    town(9, "好間町北好間", 370_698_000, 1_408_360_000),
    town(13, "久之浜町末続", 371_757_000, 1_409_837_000),
    // Its unnamed point lies 8 km north, in the gorge; this is the village.
    hill(8, "小川町上小川", 371_342_000, 1_408_583_000),
    hill(10, "三和町差塩", 371_819_000, 1_407_198_000),
    hill(10, "三和町上三坂", 371_744_000, 1_406_248_000),
    hill(10, "三和町合戸", 370_869_000, 1_407_604_000),
    hill(10, "三和町下市萱", 371_385_000, 1_406_764_000),
    hill(11, "田人町石住", 370_396_000, 1_406_525_000),
    hill(11, "田人町旅人", 369_316_000, 1_406_362_000),
    hill(12, "川前町小白井", 373_000_000, 1_407_140_000),
    hill(12, "川前町川前", 372_159_000, 1_407_709_000),
    hill(6, "四倉町薬王寺", 371_149_000, 1_409_184_000),
];

const fn post(district: u8, name: &'static str, lat_e7: i32, lon_e7: i32) -> NamedPlace {
    place(district, name, lat_e7, lon_e7, 100)
}

const fn town(district: u8, name: &'static str, lat_e7: i32, lon_e7: i32) -> NamedPlace {
    place(district, name, lat_e7, lon_e7, 800)
}

const fn hill(district: u8, name: &'static str, lat_e7: i32, lon_e7: i32) -> NamedPlace {
    place(district, name, lat_e7, lon_e7, 4_000)
}

const fn place(
    district: u8,
    name: &'static str,
    lat_e7: i32,
    lon_e7: i32,
    radius_m: u32,
) -> NamedPlace {
    NamedPlace {
        name,
        district: DistrictId(district),
        position: Position { lat: DegreesE7::from_e7(lat_e7), lon: DegreesE7::from_e7(lon_e7) },
        radius: MetresU32(radius_m),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{by_id, distance};

    #[test]
    fn every_place_has_a_name_of_its_own_and_lies_in_or_near_its_district() {
        for (index, each) in PLACES.iter().enumerate() {
            let district = by_id(each.district).unwrap();
            let metres = distance(each.position, district.centre).0;
            // 平's centre is its post, at the western end of the town: the coast is 10 km away.
            assert!(metres <= district.radius.0 + 2_000, "{} lies {metres} m off", each.name);
            assert!(PLACES.iter().take(index).all(|other| other.name != each.name));
        }
    }
}
