//! What the tests need on this machine, put there when it is missing.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use crate::Failure;
use crate::house::{House, write_file};
use crate::run::{self, command, is_installed, must_succeed};

/// A Debian package and how to see that what it brings is there, from wherever it came.
struct Package {
    name: &'static str,
    is_there: fn() -> bool,
}

const PACKAGES: [Package; 10] = [
    Package { name: "chromium", is_there: chromium_is_there },
    Package { name: "postfix", is_there: || is_installed("smtp-sink") },
    Package { name: "mosquitto", is_there: mosquitto_is_there },
    Package { name: "mosquitto-clients", is_there: || is_installed("mosquitto_pub") },
    Package { name: "strace", is_there: || is_installed("strace") },
    Package { name: "fonts-noto-cjk", is_there: japanese_font_is_there },
    Package { name: "python3-venv", is_there: venv_is_there },
    Package { name: "sip-tester", is_there: || is_installed("sipp") },
    Package { name: "systemd", is_there: || is_installed("systemd-analyze") },
    Package { name: "baresip-core", is_there: || is_installed("baresip") },
];

/// Everything that `cargo dev test` needs.
pub(crate) fn for_tests(house: &House) -> Result<(), Failure> {
    rust_components(house)?;
    debian_packages()?;
    node_is_new_enough()?;
    for folder in NPM_FOLDERS {
        npm_packages(house, folder)?;
    }
    python_peers(house)
}

/// The folders with a `package-lock.json`.
const NPM_FOLDERS: [&str; 2] = ["crates/console/web", "tests/browser"];

/// Where the browser tests look for it: a name on the path is not enough.
fn chromium_is_there() -> bool {
    let named = std::env::var_os("CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
    Path::new(&named).is_file()
}

fn japanese_font_is_there() -> bool {
    run::output("fc-list", &[":lang=ja"]).is_some_and(|fonts| !fonts.trim().is_empty())
}

/// Debian puts it where only root's path looks.
fn mosquitto_is_there() -> bool {
    is_installed("mosquitto") || Path::new("/usr/sbin/mosquitto").is_file()
}

fn venv_is_there() -> bool {
    run::output("python3", &["-c", "import venv, ensurepip"]).is_some()
}

fn rust_components(house: &House) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let mut probe = run::cargo(house.root());
        let there = probe.args([subcommand, "--version"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            missing.push(component);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("rustup component add {}", missing.join(" "));
    println!("setup: {line}");
    let mut rustup = command(house.root(), "rustup");
    let added = run::succeeds(rustup.args(["component", "add"]).args(&missing));
    if added.unwrap_or(false) {
        return Ok(());
    }
    let what = format!("{} not installed", missing.join(" and "));
    Err(Failure::Missing { what, remedy: format!("type: {line}") })
}

fn debian_packages() -> Result<(), Failure> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|package| !(package.is_there)())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    let is_root = run::output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    if !is_root || !is_installed("apt-get") {
        return Err(Failure::Missing {
            what: format!("the tests need what these Debian packages bring: {}", missing.join(" ")),
            remedy: format!("type: sudo {install}"),
        });
    }
    println!("setup: {install}");
    // Postfix asks what kind of mail server this is; we want its test programs and no server.
    let script = format!(
        "export DEBIAN_FRONTEND=noninteractive
         echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
         apt-get update -qq && {install} -qq"
    );
    must_succeed(command(Path::new("/"), "sh").args(["-c", &script]), "installing Debian packages")
}

/// Vite needs 20.19 or later.
pub(crate) fn node_is_new_enough() -> Result<(), Failure> {
    let version = run::output("node", &["--version"]).unwrap_or_default();
    if node_version(&version).is_some_and(|version| version >= NODE_VERSION_MIN) {
        return Ok(());
    }
    let found = if version.is_empty() { "none" } else { version.trim() };
    Err(Failure::Missing {
        what: format!("the console needs Node 20.19 or later (found: {found})"),
        remedy: "install it from https://nodejs.org or your distribution".to_owned(),
    })
}

const NODE_VERSION_MIN: (u32, u32) = (20, 19);

/// `v20.19.1` as (20, 19).
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// `npm ci`, unless the lock file is the one of the last time.
pub(crate) fn npm_packages(house: &House, folder: &str) -> Result<(), Failure> {
    let path = house.at(folder);
    let Ok(lock) = fs::read(path.join("package-lock.json")) else { return Ok(()) };
    let stamp = house.notes()?.join(format!("npm-{}.stamp", folder.replace('/', "-")));
    let wanted = digest(&lock);
    if path.join("node_modules").is_dir() && is_stamped(&stamp, &wanted) {
        return Ok(());
    }
    println!("setup: npm ci in {folder}");
    let mut npm = command(&path, "npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
    must_succeed(&mut npm, "npm ci")?;
    write_file(&stamp, &wanted)
}

/// The programs of others that our doors are tested against, in `target/venv`.
fn python_peers(house: &House) -> Result<(), Failure> {
    let list = house.at("tests/peers/requirements.txt");
    let alone = house.at("tests/peers/alone.txt");
    let (Ok(requirements), Ok(more)) = (fs::read(&list), fs::read(&alone)) else { return Ok(()) };
    let stamp = house.notes()?.join("venv.stamp");
    let wanted = digest(&(requirements, more));
    let venv = house.at("target/venv");
    if venv.is_dir() && is_stamped(&stamp, &wanted) {
        return Ok(());
    }
    println!("setup: python packages of tests/peers/*.txt into target/venv");
    let mut make = command(house.root(), "python3");
    must_succeed(make.args(["-m", "venv", "target/venv"]), "python3 -m venv")?;
    for (list, deps) in [(&list, None), (&alone, Some("--no-deps"))] {
        let mut pip = command(house.root(), venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(deps);
        must_succeed(pip.arg("-r").arg(list), "pip install")?;
    }
    write_file(&stamp, &wanted)
}

/// Whether the note of the last time says the same.
pub(crate) fn is_stamped(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == wanted)
}

/// A short name for this content, good enough to see that it changed.
pub(crate) fn digest(content: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_version_is_read() {
        assert_eq!(node_version("v20.19.1\n"), Some((20, 19)));
        assert_eq!(node_version(""), None);
        assert!(node_version("v18.20.4") < Some(NODE_VERSION_MIN));
        assert!(node_version("v22.0.0") > Some(NODE_VERSION_MIN));
    }
}
