//! Durable, then acknowledged: proved by a trace of the system calls of the real program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use hansho_journal::SqliteReader;
use hansho_model::{Event, Seq};
use rustix::process::{Pid, Signal, kill_process};

use crate::house::dc09::{self, Link};
use crate::house::setup::{Device, Setup};
use crate::house::{House, text, wait};

const CALLS: &str = "trace=fdatasync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg";
const PATIENCE: Duration = Duration::from_secs(20);

fn setup() -> Setup {
    Setup::new(["9001", "9002", "9003"].map(|account| Device::new(account, &[])).into())
}

/// A trace of a process and all its threads, into a file.
struct Trace {
    child: Child,
    file: PathBuf,
}

impl Trace {
    /// Attaches to a process. `None`, with a printed reason, where that cannot be done.
    fn attach(pid: Pid, folder: &Path, filters: &[&str]) -> Option<Self> {
        let file = folder.join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-yy", "-s", "4200", "-o"]).arg(&file);
        for filter in filters {
            command.args(["-e", filter]);
        }
        command.arg("-p").arg(pid.as_raw_nonzero().to_string());
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: strace cannot be run ({error}); install it");
                return None;
            }
        };
        let mut said = BufReader::new(child.stderr.take()?).lines();
        let mut heard = Vec::new();
        let attached = said.by_ref().map_while(Result::ok).any(|line| {
            let attached = line.contains(" attached");
            heard.push(line);
            attached
        });
        if !attached {
            child.wait().unwrap();
            println!("skipped: strace may not attach: {}", heard.join("; "));
            return None;
        }
        // Whatever it says later must not fill the pipe.
        thread::spawn(move || said.for_each(drop));
        Some(Self { child, file })
    }

    /// Lets go, or waits until what was traced is gone, and gives the lines.
    fn end(mut self, let_go: bool) -> Vec<String> {
        if let_go {
            let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
        }
        wait("strace to end", || self.child.try_wait().unwrap());
        let trace = std::fs::read(&self.file).unwrap();
        text(&trace).lines().map(str::to_owned).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // A failed test leaves nothing behind; after `end` there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What matters of a trace, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Frame with this number came in, from this account.
    Came(String, String),
    /// An fdatasync of the write-ahead log began at this place and is done now.
    Synced { begun: usize },
    /// An acknowledgement of this number goes out to this account.
    Acked(String, String),
}

/// Reads a trace. Each line begins with the thread; a call that another thread's line interrupts
/// stands on two lines, begun and resumed.
fn steps(lines: &[String]) -> Vec<(usize, Step)> {
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
    let mut steps = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let done = !call.contains("<unfinished ...>");
        let resumed = call.starts_with("<... ");
        if call.starts_with("fdatasync(") && call.contains("-wal") {
            begun.insert(thread, at);
        }
        if (call.starts_with("fdatasync(") || call.starts_with("<... fdatasync"))
            && done
            && let Some(begun) = begun.remove(thread)
        {
            assert!(call.ends_with("= 0"), "{line}");
            steps.push((at, Step::Synced { begun }));
        }
        // A read shows its bytes when it is done, a write when it begins.
        let reads = ["read", "recvfrom", "recvmsg"];
        let name = if resumed {
            unfinished.remove(thread).unwrap_or_default()
        } else {
            call.split('(').next().unwrap_or_default()
        };
        if !done {
            unfinished.insert(thread, name);
        }
        if reads.contains(&name) {
            for (number, account) in named(call, "\\\"ADM-CID\\\"") {
                steps.push((at, Step::Came(number, account)));
            }
        } else if !resumed {
            for (number, account) in named(call, "\\\"ACK\\\"") {
                steps.push((at, Step::Acked(number, account)));
            }
        }
    }
    steps
}

/// Number and account of each frame with this token in a traced call.
fn named(call: &str, token: &str) -> Vec<(String, String)> {
    call.split(token)
        .skip(1)
        .filter_map(|rest| {
            let number = rest.get(..4)?.to_owned();
            let account = rest.split_once('#')?.1.get(..4)?.to_owned();
            Some((number, account))
        })
        .collect()
}

#[test]
fn an_fdatasync_of_the_log_stands_before_every_acknowledgement() {
    let mut house = House::start_new(&setup());
    let core = house.core().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Some(trace) = Trace::attach(core, folder.path(), &[CALLS]) else { return };
    let dc09 = house.addresses().dc09;
    // One at a time, each over its own way, and then all at once: batches.
    let mut links = [
        ("9001", Link::tcp(dc09, PATIENCE).unwrap()),
        ("9002", Link::udp(dc09, PATIENCE).unwrap()),
        ("9003", Link::tcp(dc09, PATIENCE).unwrap()),
    ];
    let mut sent = 0;
    for sequence in 1..=20 {
        for (account, link) in &mut links {
            let answer = link.ask(&dc09::press(account, sequence, 3)).unwrap();
            assert!(answer.contains(&dc09::ack(sequence)), "{answer}");
            sent += 1;
        }
    }
    for sequence in 21..=40 {
        for (account, link) in &mut links {
            link.send(&dc09::press(account, sequence, 3)).unwrap();
            sent += 1;
        }
    }
    for _ in 21..=40 {
        for (_, link) in &mut links {
            assert!(link.answer().unwrap().contains("\"ACK\""));
        }
    }
    let lines = trace.end(true);
    let steps = steps(&lines);
    let mut acks = 0;
    for (at, step) in &steps {
        let Step::Acked(number, account) = step else { continue };
        acks += 1;
        let came = steps.iter().rev().find_map(|(came, step)| {
            (came < at && *step == Step::Came(number.clone(), account.clone())).then_some(*came)
        });
        let came = came.unwrap_or_else(|| panic!("{number} of {account} was never read"));
        let synced = steps.iter().any(|(done, step)| {
            matches!(step, Step::Synced { begun } if *begun > came) && done < at
        });
        assert!(
            synced,
            "{number} of {account} was acknowledged before it was durable:\n{}",
            lines[came..=*at].join("\n")
        );
    }
    let syncs = steps.iter().filter(|(_, step)| matches!(step, Step::Synced { .. })).count();
    println!("{acks} acknowledgements after {syncs} fdatasyncs");
    assert_eq!(acks, sent, "every acknowledgement is in the trace");
    assert!(house.stop().success());
}

#[test]
fn a_disk_that_fails_ends_the_core_without_an_acknowledgement() {
    let mut house = House::start_new(&setup());
    let core = house.core().unwrap();
    let dc09 = house.addresses().dc09;
    let mut first = Link::tcp(dc09, PATIENCE).unwrap();
    let answer = first.ask(&dc09::press("9001", 1, 3)).unwrap();
    assert!(answer.contains(&dc09::ack(1)), "{answer}");
    let folder = tempfile::tempdir().unwrap();
    let inject = "inject=fdatasync:error=EIO:when=1";
    let Some(trace) = Trace::attach(core, folder.path(), &[CALLS, inject]) else { return };
    let said = house.log().len();
    let frame = dc09::press("9001", 2, 3);
    first.send(&frame).unwrap();
    let mut datagrams = Link::udp(dc09, PATIENCE).unwrap();
    let line = house.wait_log(said, "The core ended; it is started again.");
    assert!(line.contains("exit status: 70"), "{line}");
    assert!(house.log()[said..].iter().any(|line| line.contains("A commit failed.")));
    assert_eq!(text(&first.rest()), "", "nothing was acknowledged on the old line");
    let lines = trace.end(false);
    assert!(lines.iter().any(|line| line.contains("EIO") && line.contains("INJECTED")));
    assert!(steps_sent(&lines).is_empty(), "{:?}", steps_sent(&lines));
    house.wait_ready();
    // The device repeats with the same number, by whichever way it has.
    let answer = datagrams.ask(&frame).unwrap();
    assert!(answer.contains(&dc09::ack(2)), "{answer}");
    let mut again = Link::tcp(dc09, Duration::from_millis(300)).unwrap();
    assert!(again.ask(&frame).unwrap().contains(&dc09::ack(2)));
    assert_eq!(text(&again.rest()), "", "one acknowledgement for one repeat");
    assert!(house.stop().success());
    house.journal("verify");
    let mut reader = SqliteReader::open(&house.data()).unwrap();
    let events = reader.read(Seq::ZERO, 10_000).unwrap();
    let reports = events.iter().filter(|each| matches!(each.event, Event::ReportReceived(_)));
    assert_eq!(reports.count(), 2, "the repeat is the same report");
}

/// The acknowledgements in a trace that has failed calls.
fn steps_sent(lines: &[String]) -> Vec<(String, String)> {
    lines.iter().flat_map(|line| named(line, "\\\"ACK\\\"")).collect()
}
