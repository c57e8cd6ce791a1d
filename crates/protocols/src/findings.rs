//! What findings mean for the way of a report, whatever its protocol.

use hansho_model::{AlarmClass, Finding, Lane, Phase};

/// Which lane findings belong to. An alarm that is still on counts like a new one: the report of
/// its beginning may have been lost.
pub(crate) fn lane(findings: &[Finding]) -> Lane {
    let urgent = |finding: &Finding| {
        matches!(finding.class, AlarmClass::Life | AlarmClass::Check)
            && finding.phase != Phase::Restored
    };
    if findings.iter().any(urgent) {
        Lane::A
    } else if findings.iter().all(|finding| finding.class == AlarmClass::Test) {
        Lane::D
    } else {
        Lane::C
    }
}
