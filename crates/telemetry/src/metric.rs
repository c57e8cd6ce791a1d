//! The metrics: the only place that knows their names.

// The house forbids the raw macros everywhere else.
#![expect(clippy::disallowed_macros, reason = "this is the enum that the rule points to")]

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Makes an enum of metrics. Each has a name `hansho_<part>_<what>_<unit>[_total]` and the name of
/// its one label, `""` for none.
macro_rules! metrics_of {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $help:literal])+ $variant:ident = $word:literal, $label:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $help])+ $variant,)+ }

        impl Metric for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help),+).trim_ascii(),)+ }
            }
        }
    };
}

/// What every metric can say of itself.
pub trait Metric: Copy + 'static {
    /// All of this kind.
    const ALL: &'static [Self];
    /// Its name at `/metrics`.
    fn name(self) -> &'static str;
    /// Name of its label; empty when it has none.
    fn label(self) -> &'static str;
    /// One line for people.
    fn help(self) -> &'static str;
}

metrics_of! {
    /// Things that only grow.
    Counter {
        /// Reports and calls that came in.
        IntakeReportsTotal = "hansho_intake_reports_total", "lane";
        /// Frames refused at the wire, by reason.
        IntakeRefusedTotal = "hansho_intake_refused_total", "fault";
        /// Reports and calls given up under load.
        IntakeShedTotal = "hansho_intake_shed_total", "lane";
        /// Connections closed because a newer one of the same device came.
        IntakeTakeoversTotal = "hansho_intake_takeovers_total", "door";
        /// Sessions that panicked and were closed.
        IntakePanicsTotal = "hansho_intake_panics_total", "door";
        /// Events committed.
        JournalEventsTotal = "hansho_journal_events_total", "";
        /// Commits.
        JournalCommitsTotal = "hansho_journal_commits_total", "";
        /// Snapshots written.
        JournalSnapshotsTotal = "hansho_journal_snapshots_total", "";
        /// Reports and calls the core refused, by code.
        CoreRefusedTotal = "hansho_core_refused_total", "code";
        /// Attempts at effects.
        OutboxAttemptsTotal = "hansho_outbox_attempts_total", "channel";
        /// Outcomes of effects: done, failed, uncertain.
        OutboxOutcomesTotal = "hansho_outbox_outcomes_total", "outcome";
        /// Requests answered at the console's door, by class of answer.
        ConsoleRequestsTotal = "hansho_console_requests_total", "status";
        /// Commands of people, by what the core said: taken, or the code of its refusal.
        ConsoleCommandsTotal = "hansho_console_commands_total", "code";
        /// Log-ins answered: opened, wrong, limited, failed.
        ConsoleLoginsTotal = "hansho_console_logins_total", "result";
        /// Answers of helpers at the answer page.
        ConsoleAnswersTotal = "hansho_console_answers_total", "result";
    }
}

metrics_of! {
    /// Things that go up and down.
    Gauge {
        /// Open connections of devices.
        IntakeConnectionsCount = "hansho_intake_connections_count", "door";
        /// Inputs that wait for the sequencer.
        IntakeQueueCount = "hansho_intake_queue_count", "lane";
        /// Of what came in, how much has no known end yet.
        IntakeInFlightCount = "hansho_intake_in_flight_count", "door";
        /// Number of the last committed event.
        JournalHeadSeq = "hansho_journal_head_seq", "";
        /// Size of the journal's file, without its write-ahead log.
        JournalFileBytes = "hansho_journal_file_bytes", "";
        /// Events the replica has not folded yet.
        EngineReplicaLagCount = "hansho_engine_replica_lag_count", "";
        /// 1 when an event could not be folded at the start and was passed over.
        EngineDegradedCount = "hansho_engine_degraded_count", "";
        /// Free room on the disk of the data folder.
        EngineDiskFreeBytes = "hansho_engine_disk_free_bytes", "";
        /// What the disk alone takes to make a page durable: the median, measured each minute.
        EngineDiskProbeSeconds = "hansho_engine_disk_probe_seconds", "";
        /// What is given up under load: 0 is nothing, 4 all but alarms and people.
        EngineLoadLevel = "hansho_engine_load_level", "";
        /// Effects that are owed.
        OutboxOwedCount = "hansho_outbox_owed_count", "";
        /// Consoles that listen to the stream.
        ConsoleStreamsCount = "hansho_console_streams_count", "";
    }
}

metrics_of! {
    /// Times and sizes, as distributions.
    Histogram {
        /// From a report's arrival to its commit, by the clock on the wall.
        IntakeDurableSeconds = "hansho_intake_durable_seconds", "lane";
        /// One batch, from its first decision to the end of its commit.
        JournalCommitSeconds = "hansho_journal_commit_seconds", "";
        /// Inputs in a batch.
        JournalBatchCount = "hansho_journal_batch_count", "";
        /// One attempt, until its outcome is known.
        OutboxAttemptSeconds = "hansho_outbox_attempt_seconds", "channel";
        /// From an event to its place in the stream of a console that kept up.
        ConsoleStreamSeconds = "hansho_console_stream_seconds", "";
        /// From a request at the console's door to the head of its answer.
        ConsoleRequestSeconds = "hansho_console_request_seconds", "";
    }
}

impl Counter {
    /// Adds to it. `value` is the label's value, a word out of a closed list and never an id; it is
    /// not looked at when the metric has no label.
    pub fn add(self, value: &'static str, count: u64) {
        if self.label().is_empty() {
            metrics::counter!(self.name()).increment(count);
        } else {
            metrics::counter!(self.name(), self.label() => value).increment(count);
        }
    }
}

impl Gauge {
    /// Sets it. `value` as in [`Counter::add`].
    pub fn set(self, value: &'static str, amount: f64) {
        self.handle(value).set(amount);
    }

    /// Changes it. `value` as in [`Counter::add`].
    pub fn add(self, value: &'static str, amount: f64) {
        self.handle(value).increment(amount);
    }

    fn handle(self, value: &'static str) -> metrics::Gauge {
        if self.label().is_empty() {
            metrics::gauge!(self.name())
        } else {
            metrics::gauge!(self.name(), self.label() => value)
        }
    }
}

impl Histogram {
    /// Records a value of a metric without a label.
    pub fn record(self, amount: f64) {
        metrics::histogram!(self.name()).record(amount);
    }

    /// Records a value. `value` as in [`Counter::add`].
    pub fn record_for(self, value: &'static str, amount: f64) {
        if self.label().is_empty() {
            return self.record(amount);
        }
        metrics::histogram!(self.name(), self.label() => value).record(amount);
    }
}

/// Starts collecting in this process; metrics before that are lost. Further calls do nothing.
///
/// Where another library has set a recorder of its own, ours stays empty.
pub fn install_metrics() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&BUCKETS_SECONDS).unwrap_or_default();
        let counts = metrics_exporter_prometheus::Matcher::Suffix("_count".to_owned());
        let builder = builder.set_buckets_for_metric(counts, &BUCKETS_COUNT).unwrap_or_default();
        let handle = builder.install_recorder().ok();
        if handle.is_some() {
            describe();
        }
        handle
    });
}

/// The text of `/metrics`; empty before [`install_metrics`].
#[must_use]
pub fn render() -> String {
    // Without it the lines for people would be missing.
    tidy_metrics();
    HANDLE.get().and_then(Option::as_ref).map(PrometheusHandle::render).unwrap_or_default()
}

/// Moves what was recorded out of the histograms' buffers. To be called every few seconds: where
/// nobody asks for `/metrics`, they would grow for as long as the process lives.
pub fn tidy_metrics() {
    if let Some(handle) = HANDLE.get().and_then(Option::as_ref) {
        handle.run_upkeep();
    }
}

fn describe() {
    for each in Counter::ALL {
        metrics::describe_counter!(each.name(), each.help());
    }
    for each in Gauge::ALL {
        metrics::describe_gauge!(each.name(), each.help());
    }
    for each in Histogram::ALL {
        metrics::describe_histogram!(each.name(), each.help());
    }
}

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// From a fold of the state (microseconds) to a mail relay that hangs.
const BUCKETS_SECONDS: [f64; 16] = [
    0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
    100.0, 300.0,
];
/// Sizes of batches.
const BUCKETS_COUNT: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

#[cfg(test)]
mod tests {
    use super::*;

    fn check<M: Metric>(suffixes: &[&str]) {
        for metric in M::ALL {
            let name = metric.name();
            let part = name.split('_').nth(1).unwrap();
            assert!(name.starts_with("hansho_"), "{name}");
            assert!(PARTS.contains(&part), "{name}: no part of ours");
            assert!(suffixes.iter().any(|suffix| name.ends_with(suffix)), "{name}: no unit");
            assert!(LABELS.contains(&metric.label()), "{name}: label {}", metric.label());
            assert!(metric.help().ends_with('.'), "{name}: {}", metric.help());
        }
    }

    const PARTS: [&str; 6] = ["intake", "journal", "core", "outbox", "console", "engine"];
    /// Closed sets all of them: nothing here names a device, a person or an incident.
    const LABELS: [&str; 9] =
        ["", "door", "lane", "fault", "code", "channel", "outcome", "status", "result"];

    #[test]
    fn names_follow_the_house_rule() {
        check::<Counter>(&["_total"]);
        check::<Gauge>(&["_count", "_bytes", "_seq", "_seconds", "_level"]);
        check::<Histogram>(&["_seconds", "_count"]);
    }

    fn rows<M: Metric>(kind: &str) -> String {
        let row = |metric: &M| {
            format!("| `{}` | {kind} | {} | {} |\n", metric.name(), metric.label(), metric.help())
        };
        M::ALL.iter().map(row).collect()
    }

    #[test]
    fn the_readme_lists_them_all_and_no_others() {
        let rows =
            [rows::<Counter>("counter"), rows::<Gauge>("gauge"), rows::<Histogram>("histogram")];
        let table = format!(
            "| name | kind | label | meaning |\n| --- | --- | --- | --- |\n{}",
            rows.concat()
        );
        let readme = include_str!("../README.md");
        assert!(readme.contains(&format!("\n{table}\n")), "README.md should have this:\n{table}");
    }

    #[test]
    fn what_is_counted_is_rendered() {
        install_metrics();
        install_metrics();
        Counter::IntakeRefusedTotal.add("bad_crc", 2);
        Counter::JournalEventsTotal.add("", 3);
        Gauge::JournalHeadSeq.set("", 7.0);
        Gauge::IntakeConnectionsCount.add("dc09", 2.0);
        Gauge::IntakeConnectionsCount.add("dc09", -1.0);
        Histogram::JournalBatchCount.record(64.0);
        Histogram::IntakeDurableSeconds.record_for("A", 0.002);
        let text = render();
        for line in [
            "# HELP hansho_journal_events_total Events committed.",
            "hansho_intake_refused_total{fault=\"bad_crc\"} 2",
            "hansho_journal_events_total 3",
            "hansho_journal_head_seq 7",
            "hansho_intake_connections_count{door=\"dc09\"} 1",
            "hansho_journal_batch_count_bucket{le=\"32\"} 0",
            "hansho_journal_batch_count_bucket{le=\"64\"} 1",
            "hansho_intake_durable_seconds_bucket{lane=\"A\",le=\"0.003\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
