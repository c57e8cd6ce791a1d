//! The console in a real browser: `flow.mjs` and `calls.mjs` of `tests/browser` beside a backbone of
//! its own.

use crate::Failure;
use crate::demo;
use crate::house::{House, make_folder};
use crate::run::{self, command};

/// Far from the demo's own ports, so that a demo may go on meanwhile.
const PORT_BASE: u16 = 37_000;

/// Passed and failed steps, and whether the scripts themselves ended well.
pub(crate) fn flow(house: &House) -> Result<(u64, u64, bool), Failure> {
    let folder = house.at("tests/browser");
    let simulator = house.binary("hansho-sim")?;
    demo::beside_backbone(house, PORT_BASE, |stage| {
        let shots = stage.folder.join("shots");
        make_folder(&shots)?;
        let press = format!("{} pendant --to {}", simulator.display(), stage.address(demo::DC09));
        let call = format!("{} caller --to {}", simulator.display(), stage.address(demo::SIP));
        let (mut passed, mut failed, mut succeeded) = (0, 0, true);
        for script in ["flow.mjs", "calls.mjs"] {
            let mut node = command(&folder, "node");
            node.args([script, "--url", &stage.console(), "--press", &press, "--call", &call]);
            node.args(["--user", "dispatcher1", "--password", "dispatcher1-demo", "--shots"]);
            node.arg(&shots);
            succeeded &= run::lines(&mut node, |line| {
                println!("{line}");
                passed += u64::from(line.starts_with("ok "));
                failed += u64::from(line.starts_with("not ok "));
            })?;
        }
        Ok((passed, failed, succeeded))
    })
}
