//! Any bytes as a presence document. Checked: no panic, and every place that is given lies on Earth.
#![no_main]

use hansho_protocols::sip::decimal::Decimal;
use hansho_protocols::sip::pidf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(located) = pidf::read(bytes) else { return };
    assert!(located.geodetic.is_some() || !located.civic.is_empty());
    let Some(geodetic) = located.geodetic else { return };
    let within = |value: Decimal, most: i32| value.e9().abs() <= i64::from(most) * 1_000_000_000;
    assert!(geodetic.lat.is_none_or(|lat| within(lat, 90)));
    assert!(geodetic.lon.is_none_or(|lon| within(lon, 180)));
    assert!(geodetic.ring.iter().all(|(lat, lon)| within(*lat, 90) && within(*lon, 180)));
    assert_eq!(geodetic.lat.is_none(), !geodetic.ring.is_empty());
});
