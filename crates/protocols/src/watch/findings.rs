//! The status bits: state below, alarm above.

use hansho_model::{AlarmClass, AlarmKind, Finding, Phase};

/// Bits of one meaning, the alarm's first; most urgent meanings first.
const MEANINGS: [(&[u32], AlarmClass, AlarmKind); 8] = [
    (&[16], AlarmClass::Life, AlarmKind::Help),
    (&[21, 22], AlarmClass::Life, AlarmKind::Fall),
    (&[20, 3], AlarmClass::Check, AlarmKind::Removal),
    (&[18, 1], AlarmClass::Check, AlarmKind::LeftZone),
    (&[14], AlarmClass::Fault, AlarmKind::Mains),
    (&[17, 0], AlarmClass::Fault, AlarmKind::Battery),
    (&[19, 2], AlarmClass::Note, AlarmKind::EnteredZone),
    (&[23, 24, 25, 26, 27, 28, 29, 30, 31], AlarmClass::Check, AlarmKind::Other),
];
/// Bits that an alarm may be about: 0 to 2, 14, 16 to 22.
const KNOWN: u32 = 0x007F_4007;
/// Bits of an alarm.
pub(super) const ALARM: u32 = 0xFFFF_0000;
/// Strap open: a state, beside bit 20, which is its alarm.
const STRAP_OPEN: u32 = 3;

/// What an alarm (AL) says: every bit.
pub(super) fn of_alarm(status: u32) -> Vec<Finding> {
    let mut findings: Vec<Finding> = MEANINGS
        .iter()
        .filter_map(|(bits, class, kind)| {
            let set = among(bits, status);
            let class = match set.first()? {
                // The alarm is about something else, or was before.
                &STRAP_OPEN => AlarmClass::Note,
                23.. if status & KNOWN != 0 => AlarmClass::Note,
                _ => *class,
            };
            Some(finding(class, *kind, Phase::New, &set))
        })
        .collect();
    if status & (KNOWN | ALARM) == 0 {
        let mut general = finding(AlarmClass::Check, AlarmKind::Other, Phase::New, &[]);
        general.code.push_str(" general");
        findings.push(general);
    }
    findings.sort_by_key(|finding| finding.class);
    findings
}

/// What a report that is no alarm says: changes since `before`. Without a status before it, alarm
/// bits count as new and states as going on, for a link that broke is no change of a wearer.
pub(super) fn of_state(status: u32, before: Option<u32>) -> Vec<Finding> {
    let begun = status & !before.unwrap_or_default();
    let ended = before.unwrap_or_default() & !status;
    let mut findings = Vec::new();
    for (bits, class, kind) in &MEANINGS {
        let set = among(bits, begun);
        if let Some(first) = set.first() {
            let known = before.is_some() || *first >= 16;
            let phase = if known { Phase::New } else { Phase::Still };
            let waits = !known && *class == AlarmClass::Check;
            let class = if waits { AlarmClass::Note } else { *class };
            findings.push(finding(class, *kind, phase, &set));
            continue;
        }
        let cleared = among(bits, ended);
        if !cleared.is_empty() && among(bits, status).is_empty() && *class != AlarmClass::Note {
            findings.push(finding(*class, *kind, Phase::Restored, &cleared));
        }
    }
    findings.sort_by_key(|finding| finding.class);
    findings
}

fn among(bits: &[u32], status: u32) -> Vec<u32> {
    let set = |bit: &u32| status.checked_shr(*bit).is_some_and(|shifted| shifted & 1 == 1);
    bits.iter().copied().filter(set).collect()
}

/// The code names the bits, as the device's maker counts them.
fn finding(class: AlarmClass, kind: AlarmKind, phase: Phase, bits: &[u32]) -> Finding {
    let mut code = "watch".to_owned();
    for (place, bit) in bits.iter().take(3).enumerate() {
        code.push(if place == 0 { ' ' } else { '+' });
        code.push_str(&bit.to_string());
    }
    Finding { class, kind, phase, code, zone: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(findings: &[Finding]) -> String {
        let word =
            |each: &Finding| format!("{} {} {} {}", each.class, each.kind, each.phase, each.code);
        findings.iter().map(word).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn every_bit_of_an_alarm_is_told_the_most_urgent_first() {
        let alarm = |status| words(&of_alarm(status));
        assert_eq!(alarm(0x0001_0001), "life help new watch 16; fault battery new watch 0");
        assert_eq!(alarm(0x0010_0008), "check removal new watch 20+3");
        assert_eq!(alarm(0x0060_0010), "life fall new watch 21+22");
        assert_eq!(alarm(0x0004_0002), "check left_zone new watch 18+1");
        assert_eq!(alarm(0x0008_4000), "fault mains new watch 14; note entered_zone new watch 19");
        assert_eq!(alarm(0), "check other new watch general");
        assert_eq!(alarm(0x18), "check other new watch general; note removal new watch 3");
        assert_eq!(alarm(0x0100_0000), "check other new watch 24");
        assert_eq!(alarm(0x8101_0000), "life help new watch 16; note other new watch 24+31");
        for bit in 0..32 {
            assert!(!of_alarm(1 << bit).is_empty(), "{bit}");
        }
        assert!(of_alarm(u32::MAX).len() <= 16);
    }

    #[test]
    fn states_are_told_when_they_change() {
        let state = |status, before| words(&of_state(status, before));
        assert_eq!(state(0, None), "");
        assert_eq!(state(0b11, None), "fault battery still watch 0; note left_zone still watch 1");
        assert_eq!(state(0b11, Some(0b11)), "");
        assert_eq!(state(0b11, Some(0)), "check left_zone new watch 1; fault battery new watch 0");
        assert_eq!(
            state(0, Some(0b11)),
            "check left_zone restored watch 1; fault battery restored watch 0"
        );
        assert_eq!(state(0x0001_0000, None), "life help new watch 16");
        assert_eq!(state(0x0001_0000, Some(0x0001_0000)), "");
        assert_eq!(state(8, Some(0)), "check removal new watch 3");
        assert_eq!(state(8, Some(0x0010_0008)), "", "the strap is still open");
    }
}
