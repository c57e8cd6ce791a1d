//! Times that others write.

use jiff::Timestamp;

/// Reads a time with its offset (RFC 3339), cut to the microsecond, as the journal keeps it: a finer
/// one would be another after a replay.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    Timestamp::from_microsecond(time.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_finer_than_a_microsecond_is_cut() {
        let read = |text| time(text).map(|time| time.to_string());
        let cut = Some("2026-11-23T05:40:48.123456Z".to_owned());
        assert_eq!(read("2026-11-23T14:40:48.123456789+09:00"), cut);
        assert_eq!(read("2026-11-23T05:40:48.123456Z"), cut);
        assert_eq!(read("noon"), None);
    }
}
