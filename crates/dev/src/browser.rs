//! The console in a real browser: the scripts of `tests/browser`, most of them beside a backbone of
//! their own.

use std::process::Command;

use crate::Failure;
use crate::demo;
use crate::house::{House, make_folder};
use crate::run::{self, command};

/// Far from the demo's own ports, so that a demo may go on meanwhile; and below those that the kernel
/// gives to connections that go out (32,768 and up), of which it would be one in a while.
const PORT_BASE: u16 = 22_000;

/// Played against the backbone in this order, each with what it takes beside the arguments of all.
const BESIDE_BACKBONE: [(&str, &[&str]); 4] = [
    ("flow.mjs", &[]),
    ("calls.mjs", &[]),
    ("notices.mjs", &["--supervisor", SUPERVISOR, "--viewer", VIEWER]),
    ("chaos.mjs", &["--seconds", "10"]),
];
const SUPERVISOR: &str = "supervisor1:supervisor1-demo";
const VIEWER: &str = "viewer1:viewer1-demo";

/// Compares with goldens, and so brings its own house, with people who are always the same.
const ALONE: &str = "trees.mjs";

/// What the scripts said so far.
#[derive(Debug, Clone, Copy)]
struct Count {
    passed: u64,
    failed: u64,
    succeeded: bool,
}

/// Passed and failed steps, and whether the scripts themselves ended well.
pub(crate) fn flow(house: &House) -> Result<(u64, u64, bool), Failure> {
    let folder = house.at("tests/browser");
    let simulator = house.binary("hansho-sim")?;
    let mut count = Count { passed: 0, failed: 0, succeeded: true };
    demo::beside_backbone(house, PORT_BASE, |stage| {
        let shots = stage.folder.join("shots");
        make_folder(&shots)?;
        let press = format!("{} pendant --to {}", simulator.display(), stage.address(demo::DC09));
        let call = format!("{} caller --to {}", simulator.display(), stage.address(demo::SIP));
        let port = stage.folder.join("satphone");
        let satphone = format!("{} satphone --port {}", simulator.display(), port.display());
        let mailbox = format!(
            "{} mailbox --smtp {} --web {}",
            simulator.display(),
            stage.address(demo::SMTP),
            stage.address(demo::MAILBOX_WEB)
        );
        for (script, more) in BESIDE_BACKBONE {
            let mut node = command(&folder, "node");
            node.args([script, "--url", &stage.console(), "--press", &press, "--call", &call]);
            node.args(["--user", "dispatcher1", "--password", "dispatcher1-demo", "--shots"]);
            node.arg(&shots).args(["--satphone", &satphone, "--mailbox", &mailbox]);
            node.args(["--mails", &stage.mailbox()]).args(more);
            play(&mut node, &mut count)?;
        }
        let mut node = command(&folder, "node");
        node.args([ALONE, "--shots"]).arg(&shots);
        play(&mut node, &mut count)
    })?;
    Ok((count.passed, count.failed, count.succeeded))
}

fn play(script: &mut Command, count: &mut Count) -> Result<(), Failure> {
    count.succeeded &= run::lines(script, |line| {
        println!("{line}");
        count.passed += u64::from(line.starts_with("ok "));
        count.failed += u64::from(line.starts_with("not ok "));
    })?;
    Ok(())
}
