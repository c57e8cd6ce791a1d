//! The console in a real browser: `tests/browser/flow.mjs` beside a backbone of its own.

use crate::Failure;
use crate::demo;
use crate::house::{House, make_folder};
use crate::run::{self, command};

/// Far from the demo's own ports, so that a demo may go on meanwhile.
const PORT_BASE: u16 = 37_000;

/// Passed and failed steps, and whether the script itself ended well.
pub(crate) fn flow(house: &House) -> Result<(u64, u64, bool), Failure> {
    let folder = house.at("tests/browser");
    let simulator = house.binary("hansho-sim")?;
    demo::beside_backbone(house, PORT_BASE, |stage| {
        let shots = stage.folder.join("shots");
        make_folder(&shots)?;
        let press = format!("{} pendant --to {}", simulator.display(), stage.address(demo::DC09));
        let mut node = command(&folder, "node");
        node.args(["flow.mjs", "--url", &stage.console(), "--press", &press]);
        node.args(["--user", "dispatcher1", "--password", "dispatcher1-demo", "--shots"]);
        node.arg(&shots);
        let (mut passed, mut failed) = (0, 0);
        let succeeded = run::lines(&mut node, |line| {
            println!("{line}");
            passed += u64::from(line.starts_with("ok "));
            failed += u64::from(line.starts_with("not ok "));
        })?;
        Ok((passed, failed, succeeded))
    })
}
