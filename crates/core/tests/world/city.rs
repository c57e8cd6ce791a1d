//! The demo city's units and plans; that a post stands there and what it has is invented.

use hansho_model::{
    Ability, DegreesE7, Fleet, IncidentKind, IncidentSubkind, Plan, PlanNeed, Position, UnitEntry,
    UnitFound, UnitKind, UnitStatus, Usable,
};
use hansho_model::{Availability, AvailabilityReason};

/// Station, latitude, longitude, then call sign, kind, crew and the vehicle with the same crew.
type Station = (&'static str, i32, i32, &'static [(&'static str, UnitKind, u8, &'static str)]);

use UnitKind::{Ambulance, Boat, Chemical, Command, Ladder, Logistics, Mini, Pump, Rescue, Tank};

const STATIONS: [Station; 13] = [
    (
        "平",
        370_558_000,
        1_408_930_000,
        &[
            ("平指揮1", Command, 3, ""),
            ("平1", Tank, 4, ""),
            ("平2", Pump, 4, "平はしご1"),
            ("平はしご1", Ladder, 4, "平2"),
            ("平救助1", Rescue, 5, "平支援1"),
            ("平支援1", Logistics, 5, "平救助1"),
            ("平救1★", Ambulance, 3, ""),
            ("平救2★", Ambulance, 3, ""),
            ("平救9", Ambulance, 0, ""),
        ],
    ),
    (
        "小名浜",
        369_548_000,
        1_409_050_000,
        &[
            ("小名浜1", Tank, 4, "小名浜はしご1"),
            ("小名浜2", Pump, 4, "小名浜化1"),
            ("小名浜化1", Chemical, 4, "小名浜2"),
            ("小名浜はしご1", Ladder, 4, "小名浜1"),
            ("小名浜救助1", Rescue, 4, "小名浜水難1"),
            ("小名浜水難1", Boat, 4, "小名浜救助1"),
            ("小名浜救1★", Ambulance, 3, ""),
            ("小名浜救2", Ambulance, 3, ""),
        ],
    ),
    (
        "勿来",
        369_200_000,
        1_407_977_000,
        &[
            ("勿来1", Tank, 4, ""),
            ("勿来2", Pump, 4, "勿来化1"),
            ("勿来化1", Chemical, 4, "勿来2"),
            ("勿来救1★", Ambulance, 3, ""),
            ("勿来救9", Ambulance, 0, ""),
        ],
    ),
    (
        "常磐",
        370_133_000,
        1_408_462_000,
        &[("常磐1", Tank, 4, "常磐2"), ("常磐2", Pump, 4, "常磐1"), ("常磐救1★", Ambulance, 3, "")],
    ),
    ("内郷", 370_346_000, 1_408_556_000, &[("内郷1", Tank, 4, ""), ("内郷救1★", Ambulance, 3, "")]),
    ("四倉", 371_096_000, 1_409_821_000, &[("四倉1", Tank, 4, ""), ("四倉救1★", Ambulance, 3, "")]),
    (
        "中央台",
        370_154_000,
        1_409_129_000,
        &[("中央台1", Pump, 4, ""), ("中央台救1★", Ambulance, 3, "")],
    ),
    (
        "江名",
        369_714_000,
        1_409_565_000,
        &[("江名1", Pump, 4, "江名救1"), ("江名救1", Ambulance, 4, "江名1")],
    ),
    ("泉", 369_533_000, 1_408_647_000, &[("泉1", Pump, 4, ""), ("泉救1★", Ambulance, 3, "")]),
    (
        "遠野",
        370_031_000,
        1_407_596_000,
        &[("遠野1", Mini, 4, "遠野救1"), ("遠野救1", Ambulance, 4, "遠野1")],
    ),
    (
        "小川",
        371_262_000,
        1_408_579_000,
        &[("小川1", Tank, 4, "小川救1"), ("小川救1", Ambulance, 4, "小川1")],
    ),
    (
        "三和",
        371_187_000,
        1_407_410_000,
        &[("三和1", Mini, 4, "三和救1★"), ("三和救1★", Ambulance, 4, "三和1")],
    ),
    (
        "田人",
        369_833_000,
        1_406_964_000,
        &[("田人1", Mini, 4, "田人救1"), ("田人救1", Ambulance, 4, "田人1")],
    ),
];

/// Every unit simply there.
pub(crate) fn fleet() -> Fleet {
    let mut units = Vec::new();
    for (station, lat_e7, lon_e7, vehicles) in STATIONS {
        for (name, kind, crew, with) in vehicles {
            units.push(UnitEntry {
                call_sign: call_sign(name),
                station: station.to_owned(),
                position: at(lat_e7, lon_e7),
                kind: *kind,
                abilities: abilities(*kind, name.ends_with('★')),
                crew: *crew,
                cross_staffed_with: (!with.is_empty()).then(|| call_sign(with)),
                reserve: *crew == 0,
                terminal: None,
            });
        }
    }
    Fleet { units, found: Vec::new(), plans: plans() }
}

/// As the evening begins, 17:00.
pub(crate) fn evening() -> Fleet {
    let found = |name: &str, usable, status, since_min| UnitFound {
        call_sign: name.to_owned(),
        usable,
        status,
        since_min,
    };
    let mended = Usable {
        availability: Availability::OutOfService,
        reason: Some(AvailabilityReason::Maintenance),
        minutes: None,
    };
    let drill = Usable {
        availability: Availability::Delayed,
        reason: Some(AvailabilityReason::Training),
        minutes: Some(10),
    };
    let found = vec![
        found("平はしご1", mended, None, 470),
        found("四倉救1", Usable::AVAILABLE, Some(UnitStatus::AtHospital), 12),
        found("常磐1", drill, None, 0),
        found("小名浜救2", Usable::AVAILABLE, Some(UnitStatus::Returning), 3),
    ];
    Fleet { found, ..fleet() }
}

pub(crate) fn at(lat_e7: i32, lon_e7: i32) -> Position {
    Position::new(DegreesE7::from_e7(lat_e7), DegreesE7::from_e7(lon_e7)).unwrap()
}

fn call_sign(name: &str) -> String {
    name.trim_end_matches('★').to_owned()
}

fn abilities(kind: UnitKind, als: bool) -> Vec<Ability> {
    let mut abilities = match kind {
        Command => vec![Ability::Command],
        Pump => vec![Ability::Pump],
        Tank => vec![Ability::Pump, Ability::Water],
        Mini => vec![Ability::Pump, Ability::Water, Ability::FourWheelDrive, Ability::Narrow],
        Ladder => vec![Ability::Ladder],
        Rescue => vec![Ability::Rescue, Ability::Extrication, Ability::ThermalCamera],
        Chemical => vec![Ability::Pump, Ability::Foam],
        Boat => vec![Ability::WaterRescue],
        Logistics => vec![Ability::Lighting, Ability::AirRefill],
        Ambulance => vec![Ability::Ambulance],
    };
    if als {
        abilities.push(Ability::Als);
    }
    abilities
}

fn plans() -> Vec<Plan> {
    let need = |ability, count| PlanNeed { ability, count, with: None };
    let pumps = PlanNeed { ability: Ability::Pump, count: 4, with: Some((Ability::Water, 2)) };
    let building = vec![
        need(Ability::Command, 1),
        pumps,
        need(Ability::Rescue, 1),
        need(Ability::Ambulance, 1),
    ];
    let water = vec![
        need(Ability::WaterRescue, 1),
        need(Ability::Rescue, 1),
        need(Ability::Pump, 1),
        need(Ability::Ambulance, 1),
    ];
    let plan = |kind, subkind: Option<IncidentSubkind>, first| Plan { kind, subkind, first };
    vec![
        plan(IncidentKind::Fire, None, building),
        plan(IncidentKind::Fire, Some(IncidentSubkind::Alarm), vec![need(Ability::Pump, 1)]),
        plan(IncidentKind::Ems, None, vec![need(Ability::Ambulance, 1)]),
        plan(
            IncidentKind::Ems,
            Some(IncidentSubkind::Cpa),
            vec![need(Ability::Als, 1), need(Ability::Pump, 1)],
        ),
        plan(IncidentKind::Rescue, Some(IncidentSubkind::Water), water),
    ]
}
