//! What event codes mean for people who dispatch: urgency and kind. Names of the codes are those
//! of DC-05-2016 (Contact ID) and DC-03 (SIA); the urgency is ours.

use hansho_model::{AlarmClass, AlarmKind, Finding, Phase};

/// Longest `code` and `zone` of a finding, in bytes.
const WORD_SIZE_MAX: usize = 16;

/// A Contact ID event in our words. `qualifier` is the digit as sent: 1 new, 3 restored, 6 still.
#[must_use]
pub fn cid_finding(qualifier: char, code: &str, zone: &str) -> Finding {
    let (class, kind) = cid_meaning(code);
    let phase = match qualifier {
        '3' => Phase::Restored,
        '6' => Phase::Still,
        _ => Phase::New,
    };
    Finding { class, kind, phase, code: word(&format!("CID {code}")), zone: word(zone) }
}

/// A SIA event in our words.
#[must_use]
pub fn sia_finding(code: &str, address: Option<&str>) -> Finding {
    let (class, kind, phase) = sia_meaning(code);
    let zone = word(address.unwrap_or_default());
    Finding { class, kind, phase, code: word(&format!("SIA {code}")), zone }
}

/// Cuts to what a finding's words may hold.
pub(crate) fn word(text: &str) -> String {
    text.chars().filter(|sign| matches!(sign, ' '..='~')).take(WORD_SIZE_MAX).collect()
}

fn cid_meaning(code: &str) -> (AlarmClass, AlarmKind) {
    use AlarmClass::{Check, Fault, Life, Note, Test};
    match code {
        "100" => (Life, AlarmKind::Medical),
        "101" => (Life, AlarmKind::Help),
        "102" | "642" => (Check, AlarmKind::NoReport),
        "103" => (Life, AlarmKind::Fall),
        "110" | "111" | "112" | "114" | "115" | "117" | "118" => (Life, AlarmKind::Fire),
        "120" | "121" | "122" | "123" | "129" => (Life, AlarmKind::Panic),
        "150" => (Life, AlarmKind::Other),
        "151" | "162" => (Life, AlarmKind::Gas),
        "154" => (Check, AlarmKind::Water),
        "158" | "159" => (Check, AlarmKind::Temperature),
        "301" => (Fault, AlarmKind::Mains),
        "302" | "309" | "311" | "384" => (Fault, AlarmKind::Battery),
        "344" | "355" | "381" => (Fault, AlarmKind::Radio),
        "350" | "351" | "352" | "353" | "354" | "356" => (Fault, AlarmKind::Line),
        "383" => (Fault, AlarmKind::Tamper),
        "406" => (Note, AlarmKind::Cancel),
        "458" | "645" | "646" | "647" => (Note, AlarmKind::Presence),
        "465" => (Note, AlarmKind::Panic),
        "606" => (Note, AlarmKind::Voice),
        "601" | "602" | "603" | "607" | "611" | "612" | "613" | "614" | "615" => {
            (Test, AlarmKind::Test)
        }
        "608" => (Fault, AlarmKind::Test),
        "641" | "654" => (Check, AlarmKind::Inactivity),
        // Codes without a word of ours, by DC-05's hundreds: 2 supervisory and 3 trouble; 4 opening
        // and closing, 5 bypass, 6 tests and records. All else is for a person to look at.
        _ => match code.bytes().next() {
            Some(b'2' | b'3') => (Fault, AlarmKind::Other),
            Some(b'4'..=b'6') => (Note, AlarmKind::Other),
            _ => (Check, AlarmKind::Other),
        },
    }
}

fn sia_meaning(code: &str) -> (AlarmClass, AlarmKind, Phase) {
    use AlarmClass::{Check, Fault, Note, Test};
    use Phase::{New, Restored};
    match code {
        "NA" => (Check, AlarmKind::Inactivity, New),
        "NS" => (Check, AlarmKind::Inactivity, Restored),
        "TA" => (Fault, AlarmKind::Tamper, New),
        "TR" => (Fault, AlarmKind::Tamper, Restored),
        "AT" => (Fault, AlarmKind::Mains, New),
        "AR" => (Fault, AlarmKind::Mains, Restored),
        "YT" | "YM" | "XT" => (Fault, AlarmKind::Battery, New),
        "YR" | "XR" => (Fault, AlarmKind::Battery, Restored),
        "XL" | "XQ" => (Fault, AlarmKind::Radio, New),
        "XH" => (Fault, AlarmKind::Radio, Restored),
        "YC" | "YS" | "LT" => (Fault, AlarmKind::Line, New),
        "YK" | "LR" => (Fault, AlarmKind::Line, Restored),
        "RP" | "RX" | "TS" | "TE" => (Test, AlarmKind::Test, New),
        "RY" => (Fault, AlarmKind::Test, New),
        "LF" => (Note, AlarmKind::Voice, New),
        "LE" => (Note, AlarmKind::Voice, Restored),
        "OC" => (Note, AlarmKind::Cancel, New),
        "YW" | "YX" => (Fault, AlarmKind::Other, New),
        _ => sia_meaning_by_letters(code),
    }
}

/// DC-03 builds most codes from a kind and a state: `QA` emergency alarm, `QR` its restoral.
fn sia_meaning_by_letters(code: &str) -> (AlarmClass, AlarmKind, Phase) {
    use AlarmClass::{Check, Fault, Life, Note, Test};
    let (first, second) = match code.as_bytes() {
        [first, second, ..] => (*first, *second),
        _ => (b'?', b'?'),
    };
    let (class, kind) = match first {
        b'M' => (Life, AlarmKind::Medical),
        b'Q' => (Life, AlarmKind::Help),
        b'P' | b'H' => (Life, AlarmKind::Panic),
        b'F' | b'K' => (Life, AlarmKind::Fire),
        b'G' => (Life, AlarmKind::Gas),
        b'W' => (Check, AlarmKind::Water),
        b'Z' => (Check, AlarmKind::Temperature),
        b'B' | b'U' => (Check, AlarmKind::Other),
        // Openings and closings, doors, programming, remote work: records.
        b'C' | b'D' | b'J' | b'L' | b'N' | b'O' | b'R' | b'V' => {
            return (Note, AlarmKind::Other, Phase::New);
        }
        // Equipment: mains, extensions, intercoms, transmitters, the system itself.
        b'A' | b'E' | b'I' | b'T' | b'X' | b'Y' => return (Fault, AlarmKind::Other, Phase::New),
        _ => return (Check, AlarmKind::Other, Phase::New),
    };
    match second {
        b'R' | b'H' => (class, kind, Phase::Restored),
        b'T' | b'S' => (Fault, AlarmKind::Other, Phase::New),
        b'J' => (Fault, AlarmKind::Other, Phase::Restored),
        b'B' | b'U' => (Note, AlarmKind::Other, Phase::New),
        b'X' => (Test, AlarmKind::Test, Phase::New),
        // A for alarm, and whatever is not told above: for a person to see.
        _ => (class, kind, Phase::New),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::lane;

    fn cid(qualifier: char, code: &str) -> String {
        let found = cid_finding(qualifier, code, "003");
        let lane = lane(std::slice::from_ref(&found)).as_str();
        format!("{} {} {} {lane}", found.class, found.kind, found.phase)
    }

    fn sia(code: &str) -> String {
        let found = sia_finding(code, Some("003"));
        let lane = lane(std::slice::from_ref(&found)).as_str();
        format!("{} {} {} {lane}", found.class, found.kind, found.phase)
    }

    #[test]
    fn contact_id_codes_have_the_urgency_of_the_table() {
        assert_eq!(cid('1', "101"), "life help new A");
        assert_eq!(cid('3', "101"), "life help restored C");
        assert_eq!(cid('6', "101"), "life help still A");
        assert_eq!(cid('1', "102"), "check no_report new A");
        assert_eq!(cid('1', "384"), "fault battery new C");
        assert_eq!(cid('1', "406"), "note cancel new C");
        assert_eq!(cid('1', "602"), "test test new D");
        assert_eq!(cid('1', "608"), "fault test new C");
        assert_eq!(cid('1', "654"), "check inactivity new A");
        assert_eq!(cid('1', "999"), "check other new A");
        assert_eq!(cid('3', "401"), "note other restored C");
    }

    #[test]
    fn sia_codes_have_the_urgency_of_the_table() {
        assert_eq!(sia("QA"), "life help new A");
        assert_eq!(sia("QR"), "life help restored C");
        assert_eq!(sia("MA"), "life medical new A");
        assert_eq!(sia("KA"), "life fire new A");
        assert_eq!(sia("HA"), "life panic new A");
        assert_eq!(sia("FT"), "fault other new C");
        assert_eq!(sia("FX"), "test test new D");
        assert_eq!(sia("WA"), "check water new A");
        assert_eq!(sia("NA"), "check inactivity new A");
        assert_eq!(sia("NS"), "check inactivity restored C");
        assert_eq!(sia("XT"), "fault battery new C");
        assert_eq!(sia("RP"), "test test new D");
        assert_eq!(sia("CL"), "note other new C");
        assert_eq!(sia("QZ"), "life help new A");
        assert_eq!(sia("??"), "check other new A");
    }

    #[test]
    fn no_finding_is_a_heartbeat_and_words_are_short() {
        assert_eq!(lane(&[]), hansho_model::Lane::D);
        let found = sia_finding("QA", Some("01234567890123456789"));
        assert_eq!(found.zone.len(), WORD_SIZE_MAX);
    }
}
