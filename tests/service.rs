//! The house as a service: what the manager hears, as whom it runs, and the unit files.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::house::setup::{Device, Setup};
use crate::house::{House, PATIENCE, PROGRAM, serve, serve_to_end, text, wait_for};

/// Debian's `nobody`.
const NOBODY: u32 = 65_534;

/// A configuration and a place for data, where an ordinary user may go.
fn folder() -> (TempDir, House) {
    let folder = tempfile::Builder::new().prefix("hansho-test-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let house = House::new(&Setup::new(vec![Device::new("9001", &[])]));
    (folder, house)
}

/// A house that somebody else than [`House`] starts; killed when the test is over.
struct Served {
    child: Child,
    said: Receiver<String>,
}

impl Served {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).process_group(0).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (tell, said) = sync_channel(65_536);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, said }
    }

    /// Waits for a line with these words; gives it with all before it.
    #[track_caller]
    fn wait_log(&self, words: &str) -> String {
        let mut all = String::new();
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            all.push_str(&line);
            all.push('\n');
            if line.contains(words) {
                return all;
            }
        }
        panic!("the log does not say {words:?}:\n{all}");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    fn core(&self) -> Pid {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        Pid::from_raw(children.split_whitespace().next().unwrap().parse().unwrap()).unwrap()
    }

    fn stop(&mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let ended = wait_for(PATIENCE, || self.child.try_wait().unwrap());
        assert!(ended.expect("it does not end").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        rustix::process::kill_process_group(self.pid(), Signal::KILL).ok();
        self.child.wait().ok();
    }
}

#[test]
fn the_service_manager_hears_that_it_is_ready_alive_and_ending() {
    let (folder, house) = folder();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 512];
        let size = manager.recv(&mut bytes).expect("the manager hears nothing");
        text(&bytes[..size])
    };
    let hear_until = |words: &str| while !hear().contains(words) {};
    let mut command = serve(&house.config(), &house.data());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let mut served = Served::start(&mut command);
    assert_eq!(hear(), "READY=1\nSTATUS=119 is answered here; the core starts.");
    hear_until("STATUS=All is well");
    hear_until("WATCHDOG=1");
    // A core that hangs does not end the supervisor's signs of life: 119 rings on.
    kill_process(served.core(), Signal::STOP).unwrap();
    hear_until("STATUS=The core is silent; 119 rings at every seat.");
    for _sign in 0..5 {
        hear_until("WATCHDOG=1");
    }
    kill_process(served.core(), Signal::CONT).unwrap();
    hear_until("STATUS=All is well");
    // A supervisor that hangs gives none; what it had sent before is read first.
    kill_process(served.pid(), Signal::STOP).unwrap();
    manager.set_read_timeout(Some(Duration::from_millis(900))).unwrap();
    let mut bytes = [0; 512];
    let signs = std::iter::repeat_with(|| manager.recv(&mut bytes)).take_while(Result::is_ok);
    assert!(signs.count() < 5, "signs of life of a process that stands still");
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    kill_process(served.pid(), Signal::CONT).unwrap();
    hear_until("WATCHDOG=1");
    served.stop();
    hear_until("STOPPING=1");
}

#[test]
fn a_manager_that_is_not_there_keeps_nobody_waiting() {
    let (folder, house) = folder();
    let mut command = serve(&house.config(), &house.data());
    let mut served = Served::start(command.env("NOTIFY_SOCKET", folder.path().join("no")));
    let said = served.wait_log("The core speaks.");
    assert!(said.contains("The service manager at NOTIFY_SOCKET cannot be reached."), "{said}");
    served.stop();
}

/// `hansho serve` as an ordinary user; `None`, and said, where the tests' user may not be another.
fn serve_as_nobody(folder: &Path, config: &Path, data: &Path) -> Option<Command> {
    if !getuid().is_root() {
        println!("skipped: another user needs root");
        return None;
    }
    let program = folder.join("hansho");
    if !program.exists() {
        fs::copy(PROGRAM, &program).unwrap();
    }
    let from = config.parent().unwrap();
    fs::set_permissions(from, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.arg("serve").arg("--config").arg(config).arg("--data").arg(data);
    command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null()).stdout(Stdio::null());
    Some(command)
}

#[test]
fn it_runs_as_an_ordinary_user_and_keeps_its_files_to_itself() {
    let (folder, house) = folder();
    let state = folder.path().join("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).ok();
    let data = state.join("data");
    let Some(mut command) = serve_as_nobody(folder.path(), &house.config(), &data) else { return };
    let mut served = Served::start(&mut command);
    let said = served.wait_log("The core speaks.");
    assert!(!said.contains("open to others"), "{said}");
    assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    for file in fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o777, found.uid()), (0o600, NOBODY), "{}", path.display());
    }
    served.stop();
    // Somebody opened the folder to everybody: it runs, and says so each time.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let mut served = Served::start(&mut command);
    let said = served.wait_log("The core speaks.");
    assert!(said.contains("The data folder is open to others: `chmod 700` it."), "{said}");
    served.stop();
}

#[test]
fn a_folder_of_somebody_else_is_named_with_its_remedy() {
    let (folder, house) = folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for mode in [0o700, 0o755] {
        fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
        let Some(mut command) = serve_as_nobody(folder.path(), &house.config(), &data) else {
            return;
        };
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let named = said.contains(&data.display().to_string());
        assert!(named && said.contains("let hansho's user own it"), "{said}");
    }
}

#[test]
fn a_data_folder_that_is_a_file_ends_with_its_name() {
    let (folder, house) = folder();
    let data = folder.path().join("data");
    fs::write(&data, "").unwrap();
    let (code, said) = serve_to_end(&house.config(), &data);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("cannot be used as a data folder"), "{said}");
}

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// Every line of the unit files is one that systemd knows, and little is open to the service.
#[test]
fn the_unit_files_are_sound() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["hansho.service", "hansho-backup.service", "hansho-backup.timer"];
    let paths = names.map(|name| folder.path().join(name));
    for (name, path) in names.iter().zip(&paths) {
        let unit = fs::read_to_string(units().join(name)).unwrap();
        fs::write(path, unit.replace("/usr/local/bin/hansho", PROGRAM)).unwrap();
    }
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&paths).output();
    let Ok(verify) = verify else {
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    let said = text(&verify.stderr);
    assert!(verify.status.success() && said.trim().is_empty(), "{said}");
    for (path, most) in [(&paths[0], "25"), (&paths[1], "50")] {
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=true", "--no-pager", "--threshold", most]);
        let output = security.arg(path).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
}
