//! sipp, with the scenarios of the shared folder.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hansho_simulators::pendant::Link;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::spawn_blocking;

pub(crate) struct Sipp {
    scenarios: PathBuf,
}

impl Sipp {
    /// `None`, with a printed reason, where it cannot be had.
    pub(crate) fn find() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let shared = std::env::var_os("HANSHO_SHARED").map(PathBuf::from);
        let scenarios = shared.unwrap_or_else(|| root.join("../shared")).join("peers/sipp");
        if !scenarios.is_dir() {
            println!("skipped: {} is no folder (HANSHO_SHARED)", scenarios.display());
            return None;
        }
        let version = Command::new("sipp").arg("-v").output();
        if version.is_err() {
            println!("skipped: there is no sipp here (Debian's sip-tester)");
            return None;
        }
        Some(Self { scenarios })
    }

    fn command(&self, scenario: &str, link: Link, count: u32) -> Command {
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(self.scenarios.join(scenario));
        command.args(["-i", "127.0.0.1", "-nostdin", "-timeout", "30", "-timeout_error"]);
        command.args(["-t", if link == Link::Tcp { "t1" } else { "u1" }]);
        command.args(["-m", &count.to_string()]);
        // sipp leaves files behind where it runs.
        command.current_dir(std::env::temp_dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// A caller; it must be content.
    pub(crate) async fn calls(&self, to: SocketAddr, link: Link, scenario: &str) {
        let mut command = self.command(scenario, link, 1);
        for (key, value) in [
            ("tel", "+819000000001"),
            ("lat", "37.05041"),
            ("lon", "140.88771"),
            ("rad", "18"),
            ("ts", "2026-01-15T03:04:05Z"),
        ] {
            command.args(["-key", key, value]);
        }
        command.arg(to.to_string());
        run(command, format!("{scenario} over {link:?}")).await;
    }

    /// Twenty callers in a second; all must be content.
    pub(crate) async fn crowd(&self, to: SocketAddr, link: Link) {
        let mut command = self.command("uac_fire20.xml", link, 20);
        command.args(["-r", "20", "-rp", "1000", "-l", "20", "-key", "ts", "2026-01-15T03:04:05Z"]);
        command.arg("-inf").arg(self.scenarios.join("fire20.csv"));
        command.arg(to.to_string());
        run(command, format!("fire20 over {link:?}")).await;
    }

    /// A desk's phone that takes so many calls.
    pub(crate) async fn phone(&self, link: Link, count: u32) -> SippPhone {
        // A free port; sipp takes it a moment later.
        let address = {
            let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            stream.local_addr().unwrap()
        };
        let mut command = self.command("uas_position_phone.xml", link, count);
        let child = command.args(["-p", &address.port().to_string()]).spawn().unwrap();
        let phone = SippPhone { address, child };
        // It is there once the port is taken.
        for _ in 0..1_000 {
            let taken = match link {
                Link::Tcp => TcpListener::bind(address).await.is_err(),
                Link::Udp => UdpSocket::bind(address).await.is_err(),
            };
            if taken {
                return phone;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("sipp does not listen on {address}");
    }
}

pub(crate) struct SippPhone {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl SippPhone {
    /// Waits until it has taken all its calls; they must have gone as written.
    pub(crate) async fn assert_content(mut self) {
        let ended = spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "sipp's phone: {ended}");
    }
}

impl Drop for SippPhone {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn run(mut command: Command, what: String) {
    let output = spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{said}", output.status);
}
