//! The exchange with sockets, a spool and a core that is made of frames.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use hansho_protocols::sip::{Setup, Timers};
use tokio::sync::mpsc;

use super::line::{self, Said, ToCore, ToSupervisor, What};
use super::scribe::{Job, Scribe};
use super::spool::Spool;
use super::{Exchange, WORDS_MAX, Word};

/// Nothing here takes this long.
const LONG: Duration = Duration::from_secs(60);
/// As the supervisor's, and less than some of these tests say.
const LINE_MAX: usize = 4_096;

/// An exchange without seats on sockets of its own.
fn exchange(folder: &std::path::Path) -> Exchange {
    let (setup, udp, tcp) = sockets();
    Exchange::new(setup, udp, tcp, folder).unwrap()
}

fn sockets() -> (Setup, UdpSocket, TcpListener) {
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
    (setup, udp, tcp)
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

/// The status of each answer to a call, until it rings.
async fn statuses_of_a_call(door: SocketAddr) -> Vec<String> {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let us = socket.local_addr().unwrap();
    let invite = format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK1\r\n\
         From: <sip:caller@{us}>;tag=1\r\nTo: <urn:service:sos>\r\nCall-ID: {us}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:caller@{us}>\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(invite.as_bytes(), door).await.unwrap();
    let mut statuses = Vec::new();
    let mut buffer = vec![0; 65_536];
    while statuses.last().is_none_or(|last| last != "180") {
        let count = socket.recv(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]);
        statuses.push(text.split(' ').nth(1).unwrap().to_owned());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_hangs_keeps_no_caller_waiting() {
    let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
    let scribe = Scribe::start(move |_job: &Job| held.recv().unwrap_or_default()).unwrap();
    let (setup, udp, tcp) = sockets();
    let door = setup.udp;
    let exchange = Exchange::with(setup, udp, tcp, scribe, Vec::new()).unwrap();
    let (tell, words) = mpsc::channel(WORDS_MAX);
    tokio::spawn(exchange.run(words));
    for _call in 0..3 {
        let statuses = tokio::time::timeout(LONG, statuses_of_a_call(door)).await;
        assert_eq!(statuses, Ok(vec!["100".to_owned(), "180".to_owned()]));
    }
    drop((tell, release));
}
