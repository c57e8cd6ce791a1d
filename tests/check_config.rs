//! `hansho check-config` at the program: exit codes, and what stands beside the configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::house::setup::Setup;
use crate::house::{PROGRAM, text};

/// A sound configuration of a drill with a relay that asks for a password, and a certificate.
fn drill() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let more = "[mail]\nrelay = \"relay.example.jp:25\"\nsender = \"a@hansho.example.jp\"\n\
                starttls = \"required\"\nuser = \"hansho\"\npassword_file = \"relay.password\"\n\
                [tls]\ncertificate = \"tls.pem\"\nkey = \"tls.key\"\n";
    Setup { more: more.to_owned(), ..Setup::default() }.write(&config);
    let house = config.join("hansho.toml");
    let written = fs::read_to_string(&house).unwrap();
    fs::write(&house, written.replace("mode = \"demo\"", "mode = \"training\"")).unwrap();
    fs::write(config.join("relay.password"), "架空の合言葉\n").unwrap();
    let mut make = Command::new(PROGRAM);
    make.args(["terminal", "tls", "--data"]).arg(folder.path().join("data"));
    assert!(make.arg("--out").arg(&config).output().unwrap().status.success());
    for name in ["people.toml", "devices.toml", "relay.password", "tls.key"] {
        let open = fs::Permissions::from_mode(0o640);
        fs::set_permissions(config.join(name), open).unwrap();
    }
    (folder, config)
}

fn check(config: &Path) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM).arg("check-config").arg(config).output().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_sound_configuration_ends_with_0() {
    let (_folder, config) = drill();
    let (code, said) = check(&config);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(": sound; 6 people, 0 devices"), "{said}");
    assert!(!said.contains("everybody"), "{said}");
}

#[test]
fn what_everybody_may_read_is_named_with_its_remedy_and_stops_nobody() {
    for name in ["people.toml", "devices.toml", "relay.password", "tls.key"] {
        let (_folder, config) = drill();
        let path = config.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let (code, said) = check(&config);
        assert_eq!(code, Some(0), "{said}");
        let path = path.display();
        assert!(
            said.contains(&format!("{path}: everybody may read it; `chmod o= {path}`")),
            "{said}"
        );
    }
}

#[test]
fn what_a_start_would_stumble_over_ends_with_2() {
    type Break = fn(&Path);
    let cases: [(Break, &str); 6] = [
        (|config| fs::remove_file(config.join("relay.password")).unwrap(), "is no file"),
        (|config| fs::write(config.join("relay.password"), [0xff]).unwrap(), "cannot be read"),
        (|config| fs::write(config.join("tls.pem"), "no certificate").unwrap(), "tls.pem"),
        (|config| drop(fs::copy(config.join("tls.pem"), config.join("tls.key"))), "tls.key"),
        (
            |config| fs::write(config.join("people.toml"), "[a]\nnmae = \"x\"\n").unwrap(),
            "people.toml:2:1",
        ),
        (|config| fs::remove_file(config.join("hansho.toml")).unwrap(), "does not exist"),
    ];
    for (harm, words) in cases {
        let (_folder, config) = drill();
        harm(&config);
        let (code, said) = check(&config);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(!said.contains("架空の合言葉"), "{said}");
    }
}
