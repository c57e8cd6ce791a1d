use std::sync::Arc;

use hansho_protocols::{
    Accounts, Durable, Limits, Output, Protocol, Session, Setup, Transport, UnknownDevices,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// A receiver on loopback that stores everything at once. Its clock stands at `receiver_clock`. It
/// leaves the first `deaf` messages unanswered.
struct Receiver {
    address: SocketAddr,
    heard: mpsc::Receiver<String>,
}

fn receiver_clock() -> Timestamp {
    "2026-04-01T00:00:30Z".parse().unwrap()
}

fn session(transport: Transport) -> Box<dyn Session> {
    let mut accounts = Accounts::new(UnknownDevices::Refuse);
    accounts.register("4901", None);
    accounts.register("4902", hansho_protocols::Key::new(vec![b'A'; 16]).ok());
    let setup = Setup::new(Arc::new(accounts), transport, Limits::default(), receiver_clock());
    Protocol::Dc09.session(setup)
}

/// Takes bytes; gives what was said and what to answer.
fn take(session: &mut dyn Session, bytes: &[u8], deaf: &mut usize) -> (Vec<String>, Vec<u8>) {
    session.handle_bytes(receiver_clock(), bytes).unwrap();
    let (mut said, mut answers) = (Vec::new(), Vec::new());
    let mut receipts = Vec::new();
    while let Output::Report(receipt, report) = session.poll_output() {
        let codes: Vec<String> = report.findings.iter().map(|each| each.code.clone()).collect();
        said.push(format!("{} {}", report.device, codes.join(",")));
        receipts.push(receipt);
    }
    for receipt in receipts {
        let durable = if *deaf > 0 { Durable::Shed } else { Durable::Stored };
        *deaf = deaf.saturating_sub(1);
        session.handle_durable(receiver_clock(), receipt, durable);
    }
    while let Output::Transmit(bytes) = session.poll_output() {
        answers.extend(bytes);
    }
    (said, answers)
}

async fn tcp_receiver(mut deaf: usize) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, heard) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _peer)) = listener.accept().await {
            let mut session = session(Transport::Stream);
            let mut buffer = vec![0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                let (said, answers) = take(session.as_mut(), &buffer[..count], &mut deaf);
                stream.write_all(&answers).await.unwrap();
                for line in said {
                    tell.send(line).await.unwrap();
                }
            }
        }
    });
    Receiver { address, heard }
}

async fn udp_receiver(mut deaf: usize) -> Receiver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (tell, heard) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut buffer = vec![0; 4_200];
        while let Ok((count, peer)) = socket.recv_from(&mut buffer).await {
            let mut session = session(Transport::Datagram);
            let (said, answers) = take(session.as_mut(), &buffer[..count], &mut deaf);
            if !answers.is_empty() {
                socket.send_to(&answers, peer).await.unwrap();
            }
            for line in said {
                tell.send(line).await.unwrap();
            }
        }
    });
    Receiver { address, heard }
}

fn key() -> Option<Key> {
    Key::new(b"AAAAAAAAAAAAAAAA").ok()
}

fn hasty() -> Patience {
    Patience { answer_timeout: Duration::from_millis(200), tries_max: 3 }
}

#[tokio::test]
async fn presses_and_link_tests_are_acknowledged_over_both_links() {
    for (link, mut receiver) in
        [(Link::Tcp, tcp_receiver(0).await), (Link::Udp, udp_receiver(0).await)]
    {
        let mut pendant = Pendant::new(receiver.address, link, "4901", None);
        let delivery = pendant.press(3).await.unwrap();
        assert_eq!((delivery.sequence, delivery.tries), (1, 1));
        assert_eq!(receiver.heard.recv().await.unwrap(), "4901 CID 101");
        assert_eq!(pendant.link_test().await.unwrap().sequence, 0);
        assert_eq!(receiver.heard.recv().await.unwrap(), "4901 ");
        assert_eq!(pendant.restore(3).await.unwrap().sequence, 2);
        assert_eq!((pendant.stats().sent, pendant.stats().acknowledged), (3, 3));
        assert!(pendant.stats().latency_at(500).is_some());
    }
}

#[tokio::test]
async fn an_unanswered_message_is_repeated_under_its_number() {
    for (link, receiver) in [(Link::Tcp, tcp_receiver(1).await), (Link::Udp, udp_receiver(1).await)]
    {
        let pendant = Pendant::new(receiver.address, link, "4901", None);
        let mut pendant = pendant.with_patience(hasty());
        let delivery = pendant.press(3).await.unwrap();
        assert_eq!((delivery.sequence, delivery.tries), (1, 2));
        assert_eq!(pendant.stats().repeated, 1);
    }
}

#[tokio::test]
async fn a_message_that_nobody_answers_is_given_up() {
    let receiver = udp_receiver(usize::MAX).await;
    let pendant = Pendant::new(receiver.address, Link::Udp, "4901", None);
    let mut pendant = pendant.with_patience(hasty());
    let error = pendant.press(3).await.unwrap_err();
    assert!(matches!(error, PendantError::NoAnswer { sequence: 1, tries: 3 }), "{error}");
    assert_eq!(pendant.stats().unanswered, 1);
}

#[tokio::test]
async fn a_clock_that_is_off_is_set_from_the_nak() {
    let receiver = tcp_receiver(0).await;
    let pendant = Pendant::new(receiver.address, Link::Tcp, "4902", key());
    let mut pendant = pendant.with_clock(|| "2026-04-01T09:00:30Z".parse().unwrap());
    let delivery = pendant.press(3).await.unwrap();
    assert_eq!((delivery.tries, pendant.stats().clock_set), (2, 1));
    assert_eq!(pendant.press(3).await.unwrap().tries, 1, "the clock stays set");
}

#[tokio::test]
async fn a_stranger_is_refused_and_a_closed_port_is_told() {
    let receiver = tcp_receiver(0).await;
    let mut stranger = Pendant::new(receiver.address, Link::Tcp, "BEEF", None);
    let error = stranger.press(3).await.unwrap_err();
    assert!(matches!(error, PendantError::Refused { sequence: 1 }), "{error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut alone = Pendant::new(address, Link::Tcp, "4901", None).with_patience(hasty());
    let error = alone.press(3).await.unwrap_err();
    assert!(matches!(error, PendantError::Link { .. }), "{error}");
}

#[tokio::test]
async fn numbers_wrap_from_9999_to_1_and_a_cut_link_is_opened_anew() {
    let receiver = tcp_receiver(0).await;
    let mut pendant = Pendant::new(receiver.address, Link::Tcp, "4901", None);
    pendant.set_sequence(9_998);
    assert_eq!(pendant.press(3).await.unwrap().sequence, 9_999);
    pendant.hang_up();
    assert_eq!(pendant.press(3).await.unwrap().sequence, 1);
    assert_eq!(pendant.repeat(&Content::press(3)).await.unwrap().sequence, 1);
    assert_eq!(pendant.sequence(), 1);
}

#[test]
fn percentiles_are_those_of_the_latencies() {
    let mut stats = Stats::default();
    assert_eq!(stats.latency_at(500), None);
    stats.latencies = (1..=100).map(Duration::from_millis).collect();
    assert_eq!(stats.latency_at(0), Some(Duration::from_millis(1)));
    assert_eq!(stats.latency_at(1_000), Some(Duration::from_millis(100)));
    let mut sum = Stats::default();
    sum.add(&stats);
    assert_eq!(sum.latencies.len(), 100);
}
