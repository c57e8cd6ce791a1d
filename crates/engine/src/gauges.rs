//! The metrics' upkeep.

use std::time::Duration;

use tokio::sync::watch;

/// How often what was recorded is tidied up though nobody asks for it.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Tidies up what was recorded until `stop` turns true.
pub async fn tidy(mut stop: watch::Receiver<bool>) {
    while tokio::time::timeout(TIDY_EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
        hansho_telemetry::tidy_metrics();
    }
}
