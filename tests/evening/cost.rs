//! What a process costs: processor, memory, threads, open files; and whether its memory is flat.

use std::fs;
use std::time::Duration;

use rustix::process::Pid;

/// A process at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Since its start.
    pub(crate) cpu: Duration,
    /// Bytes in memory, now and at most.
    pub(crate) rss: u64,
    pub(crate) rss_max: u64,
    pub(crate) threads: u64,
    pub(crate) files: u64,
}

impl Cost {
    pub(crate) fn of(process: Pid) -> Self {
        let folder = format!("/proc/{}", process.as_raw_nonzero());
        let status = fs::read_to_string(format!("{folder}/status")).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let stat = fs::read_to_string(format!("{folder}/stat")).unwrap();
        // Behind the name in brackets, which may hold anything: user and system time are the 12th
        // and 13th field.
        let (_name, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Self {
            cpu: Duration::from_millis(ticks * MILLIS_A_TICK),
            rss: field("VmRSS:") * 1_024,
            rss_max: field("VmHWM:") * 1_024,
            threads: field("Threads:"),
            files: u64::try_from(fs::read_dir(format!("{folder}/fd")).unwrap().count()).unwrap(),
        }
    }
}

/// The slope of the line through these points that is nearest to all of them.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let square: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    both / square
}

/// Linux counts processor time for programs in hundredths of a second, on every machine.
const MILLIS_A_TICK: u64 = 10;
