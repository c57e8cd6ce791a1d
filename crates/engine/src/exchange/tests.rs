//! The exchange with sockets, a spool and a core that is made of frames.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

use hansho_protocols::sip::{Setup, Timers};
use tokio::sync::mpsc;

use super::line::{self, Said, ToCore, ToSupervisor, What};
use super::spool::Spool;
use super::{Exchange, WORDS_MAX, Word};

/// Nothing here takes this long.
const LONG: Duration = Duration::from_secs(60);
/// As the supervisor's, and less than some of these tests say.
const LINE_MAX: usize = 4_096;

/// An exchange without seats on sockets of its own.
fn exchange(folder: &std::path::Path) -> Exchange {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let local = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(local).unwrap();
    let setup = Setup {
        udp: local,
        tcp: local,
        numbers: Vec::new(),
        trunks: Vec::new(),
        seats: Vec::new(),
        timers: Timers::default(),
        seed: [7; 16],
    };
    Exchange::new(setup, udp, tcp, folder).unwrap()
}

/// Reports that an earlier supervisor left, each of another call with the longest name there is.
fn leave(folder: &std::path::Path, count: usize) -> BTreeSet<String> {
    let (mut spool, _none) = Spool::open(folder);
    let names = (0..count).map(|index| format!("{index:0>255}"));
    names
        .inspect(|call| {
            let (call, received_at_us) = (call.clone(), 1);
            let what = What::Abandoned;
            assert!(spool.keep(&Said { number: 1, call, received_at_us, unrecorded: true, what }));
        })
        .collect()
}

/// A core that writes all down: what it was told that lives, and what was said, until `count`
/// reports are written down.
async fn core(tell: &mpsc::Sender<Word>, count: usize) -> (BTreeSet<String>, Vec<Said>) {
    let (hears, mut to_say) = mpsc::channel(LINE_MAX);
    let (mut ours, mut theirs) = tokio::io::duplex(64 << 10);
    let speak = tokio::spawn(async move {
        while let Some(message) = to_say.recv().await {
            if line::send(&mut ours, &message).await.is_err() {
                return;
            }
        }
    });
    tell.send(Word::CoreCame(hears)).await.unwrap();
    let (mut living, mut said) = (BTreeSet::new(), Vec::new());
    while said.len() < count {
        match line::receive::<ToCore>(&mut theirs).await.unwrap() {
            ToCore::Living { calls, .. } => {
                assert_eq!(said, [], "who lives is told first");
                living.extend(calls);
            }
            ToCore::Said(report) => {
                tell.send(Word::Core(ToSupervisor::Durable(report.number))).await.unwrap();
                said.push(report);
            }
            ToCore::Ordered { .. } => panic!("nothing was ordered"),
        }
    }
    speak.abort();
    (living, said)
}

/// Waits until nothing of the spool is left.
async fn cleared(folder: &std::path::Path) {
    let spool = folder.join("calls.spool");
    let gone = async {
        while spool.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}

#[tokio::test]
async fn a_core_that_comes_late_lives_and_hears_of_5000_calls() {
    let folder = tempfile::tempdir().unwrap();
    let names = leave(folder.path(), 5_000);
    let (tell, words) = mpsc::channel(WORDS_MAX);
    tokio::spawn(exchange(folder.path()).run(words));
    let core = tokio::time::timeout(LONG, core(&tell, names.len()));
    let (living, said) = core.await.unwrap();
    assert!(living == names, "none of them is lost");
    assert!(said.into_iter().map(|report| report.call).eq(names));
    cleared(folder.path()).await;
}
