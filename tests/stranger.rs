//! A stranger's hour: config/README.md, "Your own house, in an hour", walked as it stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::http::Client;
use crate::house::{PROGRAM, text, wait};

const PAGE: &str = include_str!("../config/README.md");
const PASSWORD: &str = "change me";

/// The section of the page.
fn section() -> &'static str {
    let (_before, rest) = PAGE.split_once("## Your own house, in an hour\n").unwrap();
    rest.split_once("\n## ").unwrap().0
}

/// A file's text on the page: the block after the first line that begins with its name.
fn file(name: &str) -> &'static str {
    let (_before, rest) = section().split_once(&format!("\n`{name}`")).unwrap();
    let (_before, rest) = rest.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0
}

/// The commands on the page, in their order.
fn commands() -> Vec<Vec<&'static str>> {
    let blocks = section().split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split_once("```").unwrap().0.lines());
    lines.map(|line| line.split_whitespace().collect()).collect()
}

/// Whatever was started ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.0),
            rustix::process::Signal::TERM,
        )
        .ok();
        self.0.wait().ok();
    }
}

/// `hansho-sim` stands beside `hansho`.
fn program(name: &str) -> Option<PathBuf> {
    let found = Path::new(PROGRAM).with_file_name(name);
    found.is_file().then_some(found)
}

/// Ports of the page, each with its place behind the first of ours: other tests may listen where the
/// page does.
const PORTS: [(&str, u16); 6] =
    [("8219", 0), ("5109", 1), ("5160", 2), ("5170", 3), ("2625", 4), ("8125", 5)];

fn with_ports(base: u16, text: &str) -> String {
    PORTS.iter().fold(text.to_owned(), |text, (port, place)| {
        text.replace(&format!(":{port}"), &format!(":{}", base + place))
    })
}

/// Step 1 of the page.
fn write_city(city: &Path, base: u16) {
    let made = Command::new("sh")
        .args(["-c", &format!("printf %s '{PASSWORD}' | {PROGRAM} password")])
        .output()
        .unwrap();
    let line = text(&made.stdout);
    let hash = line.trim().strip_prefix("password_hash = \"").unwrap().trim_end_matches('"');
    fs::create_dir(city).unwrap();
    for name in ["hansho.toml", "people.toml", "devices.toml", "units.toml", "groups.toml"] {
        let text = with_ports(base, file(name)).replace("PASSWORD_HASH", hash);
        fs::write(city.join(name), text).unwrap();
    }
    assert!(section().contains("cp config/demo/plans.toml my-city/"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(root.join("config/demo/plans.toml"), city.join("plans.toml")).unwrap();
}

/// Logs in at the console as the page says.
fn log_in(console: Client, base: u16) -> Client {
    let log_in = json!({ "user": "chief", "password": PASSWORD });
    let inside = console.post_json("/api/login", &log_in).unwrap();
    assert!(inside.status < 300, "{inside:?}");
    let cookie = inside.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let origin = format!("http://127.0.0.1:{base}");
    console.with_header("Cookie", &cookie).with_header("Origin", &origin)
}

fn wait_mails(catcher: &Client, count: usize) -> Vec<Value> {
    wait("the mails", || {
        let mails: Value = catcher.get("/api/mails").ok()?.json();
        mails.as_array().filter(|mails| mails.len() == count).cloned()
    })
}

#[test]
fn the_page_leads_to_a_house_of_ones_own() {
    let Some(simulators) = program("hansho-sim") else {
        println!("skipped: hansho-sim is not built; `cargo build` makes it");
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let base = 20_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    write_city(&place.path().join("my-city"), base);
    let mut all = commands().into_iter();
    let mut next = |name: &str| {
        let words = all.next().unwrap();
        assert_eq!(words[0], name, "{words:?}");
        let program = if name == "hansho" { PathBuf::from(PROGRAM) } else { simulators.clone() };
        let mut command = Command::new(program);
        command.args(words[1..].iter().map(|word| with_ports(base, word)));
        command.current_dir(place.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let quiet = |mut command: Command| Running(command.stdout(Stdio::null()).spawn().unwrap());
    let checked = next("hansho").output().unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    let _mailbox = quiet(next("hansho-sim"));
    let _phone = quiet(next("hansho-sim"));
    let house = quiet(next("hansho"));
    let console = Client::new(([127, 0, 0, 1], base).into()).with_patience(Duration::from_secs(5));
    wait("the house to be well", || {
        console.get("/healthz").ok().filter(|answer| answer.status == 200).map(drop)
    });
    let chief = log_in(console, base);
    assert!(next("hansho-sim").output().unwrap().status.success(), "the pendant is acknowledged");
    let catcher = Client::new(([127, 0, 0, 1], base + 5).into());
    let mails = wait_mails(&catcher, 1);
    assert_eq!(mails[0]["to"][0], "me@my-city.example.jp");
    assert!(mails[0]["subject"].as_str().unwrap().contains("【訓練】"), "{mails:?}");
    let _caller = quiet(next("hansho-sim"));
    wait("both to stand on the console", || {
        let state = chief.state();
        (state["signals"].as_array().unwrap().len() == 2).then_some(())
    });
    let notice = json!({
        "group": "everybody", "kind": "information", "drill": false, "subject": "はじめての配信",
        "text": "届きましたか。", "count": 1, "minutes": 60,
    });
    assert_eq!(chief.command("SendNotice", &notice).unwrap().status, 200);
    wait_mails(&catcher, 2);
    for _look in 0..2 {
        let looked = next("hansho").output().unwrap();
        assert!(looked.status.success() && !looked.stdout.is_empty());
    }
    drop(house);
    assert!(all.next().is_none(), "the page has more to walk");
}
