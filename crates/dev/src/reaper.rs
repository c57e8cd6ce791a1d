//! Nothing outlives the demo, however it ends.
//!
//! The demo starts this program once more as a reaper, tells it each child's process group through
//! a pipe, and holds the pipe open for as long as it lives. When the pipe closes, be it by a proper
//! end or by SIGKILL, the reaper stops every group that is left.

use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Failure;

/// The demo's end of the pipe.
#[derive(Debug)]
pub(crate) struct Reaper {
    /// Closed first when dropped; that is the sign.
    pipe: Option<ChildStdin>,
    child: Child,
}

impl Reaper {
    pub(crate) fn start() -> Result<Self, Failure> {
        // The running program by its descriptor: a build may have replaced the file meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .arg("reaper")
            .stdin(Stdio::piped())
            // A group of its own, so that Ctrl-C does not reach it.
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::io("starting the reaper", error))?;
        Ok(Self { pipe: child.stdin.take(), child })
    }

    /// With another program in the reaper's place.
    #[cfg(test)]
    pub(crate) fn for_tests(mut child: Child) -> Self {
        Self { pipe: child.stdin.take(), child }
    }

    /// From now on the reaper answers for this process group.
    pub(crate) fn watch(&mut self, group: u32) -> Result<(), Failure> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        writeln!(pipe, "+{group}").map_err(|error| Failure::io("telling the reaper", error))
    }

    /// This process group has ended; its number may be given to strangers.
    pub(crate) fn forget(&mut self, group: u32) -> Result<(), Failure> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        writeln!(pipe, "-{group}").map_err(|error| Failure::io("telling the reaper", error))
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.pipe = None;
        // It ends by itself now; a failed wait leaves nothing to do.
        let _status = self.child.wait();
    }
}

/// The reaper's own run: reads groups until the pipe closes, then stops those that are left.
pub(crate) fn run() -> Result<(), Failure> {
    let mut groups: Vec<String> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::io("reading the pipe", error))?;
        note(&mut groups, &line);
    }
    for signal in ["TERM", "KILL"] {
        for group in &groups {
            stop(signal, group);
        }
        if signal == "TERM" && !groups.is_empty() {
            wait_for_end(&groups);
        }
    }
    Ok(())
}

/// Asks a process group to end (`TERM`) or ends it (`KILL`).
pub(crate) fn stop(signal: &str, group: &str) {
    // The shell's own `kill` is everywhere (dash knows no `--`); a group that is gone already is not an error.
    let script = format!("kill -{signal} -{group} 2>/dev/null");
    let _status = Command::new("sh").args(["-c", &script]).status();
}

fn note(groups: &mut Vec<String>, line: &str) {
    let Some((sign, group)) = line.split_at_checked(1) else { return };
    if !group.bytes().all(|byte| byte.is_ascii_digit()) || group.is_empty() {
        return;
    }
    groups.retain(|other| other != group);
    if sign == "+" {
        groups.push(group.to_owned());
    }
}

/// Up to twenty seconds for a proper end: flush, close, say goodbye.
fn wait_for_end(groups: &[String]) {
    let alive: Vec<String> =
        groups.iter().map(|group| format!("kill -0 -{group} 2>/dev/null")).collect();
    let alive = alive.join(" || ");
    let script = format!("for i in $(seq 200); do {{ {alive}; }} || exit 0; sleep 0.1; done");
    let _status = Command::new("sh").args(["-c", &script]).status();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_that_still_run_are_kept() {
        let mut groups = Vec::new();
        for line in ["+12", "+13", "-12", "", "+", "+1 2", "+14", "x", "+13"] {
            note(&mut groups, line);
        }
        assert_eq!(groups, ["14", "13"]);
    }

    #[test]
    fn a_group_is_stopped() {
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        stop("TERM", &child.id().to_string());
        assert!(!child.wait().unwrap().success());
    }
}
