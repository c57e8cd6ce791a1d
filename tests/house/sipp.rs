//! sipp, a caller and a phone of others, with the scenarios of the shared folder.
//!
//! Also part of the simulators' tests, so it uses nothing of this house.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hansho_simulators::pendant::Link;

/// sipp and its scenarios.
pub(crate) struct Sipp {
    scenarios: PathBuf,
}

impl Sipp {
    /// `None`, with a printed reason, where it cannot be had.
    pub(crate) fn find(root: &Path) -> Option<Self> {
        let shared = std::env::var_os("HANSHO_SHARED").map(PathBuf::from);
        let scenarios = shared.unwrap_or_else(|| root.join("../shared")).join("peers/sipp");
        if !scenarios.is_dir() {
            println!("skipped: {} is no folder (HANSHO_SHARED)", scenarios.display());
            return None;
        }
        if Command::new("sipp").arg("-v").output().is_err() {
            println!("skipped: there is no sipp here (Debian's sip-tester)");
            return None;
        }
        Some(Self { scenarios })
    }

    fn command(&self, scenario: &str, link: Link, count: u32) -> Command {
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(self.scenarios.join(scenario));
        command.args(["-i", "127.0.0.1", "-nostdin", "-timeout", "60", "-timeout_error"]);
        command.args(["-t", if link == Link::Tcp { "t1" } else { "u1" }]);
        command.args(["-m", &count.to_string()]);
        // sipp leaves files behind where it runs.
        command.current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// A caller with this number; must be content.
    pub(crate) fn call(&self, to: SocketAddr, link: Link, scenario: &str, tel: &str) {
        let mut command = self.command(scenario, link, 1);
        for (key, value) in [
            ("tel", tel),
            ("lat", "37.05041"),
            ("lon", "140.88771"),
            ("rad", "18"),
            ("ts", "2026-01-15T03:04:05Z"),
        ] {
            command.args(["-key", key, value]);
        }
        run(command.arg(to.to_string()), &format!("{scenario} over {link:?}"));
    }

    /// Twenty callers in a second; all must be content.
    pub(crate) fn crowd(&self, to: SocketAddr, link: Link) {
        let mut command = self.command("uac_fire20.xml", link, 20);
        command.args(["-r", "20", "-rp", "1000", "-l", "20", "-key", "ts", "2026-01-15T03:04:05Z"]);
        command.arg("-inf").arg(self.scenarios.join("fire20.csv"));
        run(command.arg(to.to_string()), &format!("fire20 over {link:?}"));
    }

    /// A desk's phone that takes so many calls.
    pub(crate) fn phone(&self, link: Link, count: u32) -> Phone {
        // A free port, which sipp takes a moment later.
        let address = {
            let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            stream.local_addr().unwrap()
        };
        let mut command = self.command("uas_position_phone.xml", link, count);
        let child = command.args(["-p", &address.port().to_string()]).spawn().unwrap();
        let phone = Phone { address, child };
        for _ in 0..1_000 {
            let taken = match link {
                Link::Tcp => TcpListener::bind(address).is_err(),
                Link::Udp => UdpSocket::bind(address).is_err(),
            };
            if taken {
                return phone;
            }
            pause();
        }
        panic!("sipp does not listen on {address}");
    }
}

/// A desk's phone.
pub(crate) struct Phone {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Phone {
    /// Waits until it has taken all its calls; they must have gone as written.
    pub(crate) fn assert_content(mut self) {
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "sipp's phone: {ended}");
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn run(command: &mut Command, what: &str) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{said}", output.status);
}

#[expect(clippy::disallowed_methods, reason = "the pace of a poll for a port")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
