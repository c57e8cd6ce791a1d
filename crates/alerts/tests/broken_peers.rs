//! The mail channel against peers that break the protocol, byte by byte.
//!
//! Real servers stand in `servers.rs`; what no real server does on demand is played here.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hansho_alerts::Rendered;
use hansho_alerts::mail::{Lookups, MailChannel, MailConfig};
use hansho_model::{DistrictId, EffectId, Language, Outcome, Private, Reveal, Sealed};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

struct Nobody;

impl Reveal for Nobody {
    fn reveal(&self, _sealed: &Sealed) -> Option<Vec<u8>> {
        None
    }
}

impl Lookups for Nobody {
    fn answer_mac(&self, _effect: EffectId) -> [u8; 16] {
        [0; 16]
    }

    fn district_name(&self, _district: DistrictId, _language: Language) -> Option<String> {
        None
    }
}

fn channel(port: u16) -> MailChannel {
    let mut config = MailConfig::plain("127.0.0.1", port, "hansho.example.jp");
    config.timeouts.attempt = Duration::from_millis(1_500);
    config.timeouts.greeting = Duration::from_millis(700);
    MailChannel::new(config, Arc::new(Nobody), Arc::new(Nobody)).unwrap()
}

fn mail(size: usize) -> Rendered {
    let mut bytes = b"Subject: x\r\n\r\n".to_vec();
    while bytes.len() < size {
        bytes.extend_from_slice(b"0123456789012345678901234567890123456789\r\n");
    }
    Rendered {
        from: "a@hansho.example.jp".to_owned(),
        to: Private("\"a..b\"@docomo.example.jp".to_owned()),
        to_bare: Some(Private("a..b@docomo.example.jp".to_owned())),
        bytes: Private(bytes),
    }
}

type Peer = BufReader<TcpStream>;

/// Plays one connection: each step is what the client's line begins with and what is answered.
async fn play(peer: &mut Peer, steps: &[(&str, &str)]) {
    for (expected, answer) in steps {
        let mut line = String::new();
        if !expected.is_empty() {
            peer.read_line(&mut line).await.unwrap();
        }
        assert!(line.starts_with(expected), "{line:?} does not begin with {expected:?}");
        peer.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// Reads up to the dot.
async fn text(peer: &mut Peer) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n.\r\n") {
        assert!(peer.read_line(&mut text).await.unwrap() > 0, "the end before the dot");
    }
    text
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn accept(listener: &TcpListener) -> Peer {
    accept_with(listener, "250 peer\r\n").await
}

async fn accept_with(listener: &TcpListener, offer: &str) -> Peer {
    let mut peer = BufReader::new(listener.accept().await.unwrap().0);
    play(&mut peer, &[("", "220 peer\r\n"), ("EHLO", offer), ("EHLO", offer)]).await;
    peer
}

/// One connection with these steps, then the text, then this answer to the dot.
fn peer(
    listener: TcpListener,
    steps: Vec<(&'static str, &'static str)>,
    answer: Option<&'static str>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        play(&mut peer, &steps).await;
        if let Some(answer) = answer {
            text(&mut peer).await;
            peer.write_all(answer.as_bytes()).await.unwrap();
        }
        // Until the client has gone: a close of ours would be another fault.
        drop(peer.read_line(&mut String::new()).await);
    })
}

const BEGIN: [(&str, &str); 2] = [("MAIL", "250 ok\r\n"), ("RCPT", "250 ok\r\n")];

async fn outcome(
    steps: Vec<(&'static str, &'static str)>,
    answer: Option<&'static str>,
) -> (Outcome, u16, bool) {
    let (listener, port) = listener().await;
    let peer = peer(listener, steps, answer);
    let delivery = channel(port).send(&mail(100)).await;
    peer.abort();
    (delivery.outcome, delivery.detail.code, delivery.detail.again)
}

#[tokio::test]
async fn the_bare_form_follows_when_the_quoted_one_is_refused() {
    let steps = vec![
        ("MAIL FROM:<a@hansho.example.jp>", "250 ok\r\n"),
        ("RCPT TO:<\"a..b\"@docomo.example.jp>", "553 no quotes here\r\n"),
        ("RCPT TO:<a..b@docomo.example.jp>", "250 ok\r\n"),
        ("DATA", "354 go\r\n"),
    ];
    let told = outcome(steps, Some("250 2.0.0 ok\r\n")).await;
    assert_eq!(told, (Outcome::Done, 250, false));
}

#[tokio::test]
async fn answers_out_of_step_are_never_success() {
    let failed = (Outcome::Failed, 0, true);
    // One answer too many at MAIL: from here on every answer is the one before.
    let steps =
        vec![("MAIL", "250 ok\r\n250 ok\r\n"), ("RCPT", "250 ok\r\n"), ("DATA", "354 go\r\n")];
    assert_eq!(outcome(steps, None).await, failed);
    let steps = vec![("MAIL", "354 go\r\n")];
    assert_eq!(outcome(steps, None).await, failed);
    let steps = vec![("MAIL", "250 ok\r\n"), ("RCPT", "354 go\r\n")];
    assert_eq!(outcome(steps, None).await, failed);
    let steps = vec![("MAIL", "no SMTP at all\r\n")];
    assert_eq!(outcome(steps, None).await, failed);
    let mut steps = BEGIN.to_vec();
    steps.push(("DATA", "354 go\r\n"));
    let told = outcome(steps.clone(), Some("354 go\r\n")).await;
    assert_eq!(told, (Outcome::Uncertain, 0, false));
    assert_eq!(outcome(steps, Some("what?\r\n")).await, (Outcome::Uncertain, 0, false));
}

#[tokio::test]
async fn a_peer_that_is_no_mail_server() {
    for banner in ["SSH-2.0-invented\r\n", "", "220 no end of line", "554 go away\r\n"] {
        let (listener, port) = listener().await;
        let peer = tokio::spawn(async move {
            let mut peer = BufReader::new(listener.accept().await.unwrap().0);
            peer.write_all(banner.as_bytes()).await.unwrap();
            drop(peer.read_line(&mut String::new()).await);
        });
        let delivery = channel(port).send(&mail(100)).await;
        assert_eq!(delivery.outcome, Outcome::Failed, "{banner}");
        assert!(delivery.detail.again, "{banner}: the recipient is not to blame");
        peer.abort();
    }
}

/// More than the buffers of two sockets hold, so that the dot cannot have left.
const HUGE: usize = 32 << 20;

#[tokio::test]
async fn a_cut_in_the_middle_of_the_text_is_certainly_not_sent() {
    let (listener, port) = listener().await;
    let peer = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        play(&mut peer, &BEGIN).await;
        play(&mut peer, &[("DATA", "354 go\r\n")]).await;
        // A little of it is read, then the peer is gone.
        peer.read_line(&mut String::new()).await.unwrap();
    });
    let delivery = channel(port).send(&mail(HUGE)).await;
    assert_eq!((delivery.outcome, delivery.detail.again), (Outcome::Failed, true));
    peer.await.unwrap();
}

#[tokio::test]
async fn a_deadline_in_the_middle_of_the_text_is_certainly_not_sent() {
    let (listener, port) = listener().await;
    let mut steps = BEGIN.to_vec();
    steps.push(("DATA", "354 go\r\n"));
    let peer = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        play(&mut peer, &steps).await;
        // Reads nothing more, and stays.
        std::future::pending::<()>().await;
    });
    let delivery = channel(port).send(&mail(HUGE)).await;
    assert_eq!((delivery.outcome, delivery.detail.again), (Outcome::Failed, true));
    peer.abort();
}

#[tokio::test]
async fn a_kept_connection_that_went_stale_costs_no_attempt() {
    for farewell in ["", "421 4.4.2 idle for too long\r\n"] {
        let (listener, port) = listener().await;
        let peer = tokio::spawn(async move {
            let mut first = accept(&listener).await;
            play(&mut first, &BEGIN).await;
            play(&mut first, &[("DATA", "354 go\r\n")]).await;
            text(&mut first).await;
            first.write_all(b"250 ok\r\n").await.unwrap();
            first.write_all(farewell.as_bytes()).await.unwrap();
            drop(first);
            let mut second = accept(&listener).await;
            play(&mut second, &BEGIN).await;
            play(&mut second, &[("DATA", "354 go\r\n")]).await;
            let text = text(&mut second).await;
            second.write_all(b"250 ok\r\n").await.unwrap();
            text
        });
        let channel = channel(port);
        for _ in 0..2 {
            assert_eq!(channel.send(&mail(100)).await.outcome, Outcome::Done, "{farewell}");
        }
        assert!(peer.await.unwrap().starts_with("Subject: x\r\n"));
    }
}

#[tokio::test]
async fn one_connection_carries_many_mails_and_is_closed_politely() {
    let (listener, port) = listener().await;
    let peer = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        for _ in 0..3 {
            play(&mut peer, &BEGIN).await;
            play(&mut peer, &[("DATA", "354 go\r\n")]).await;
            text(&mut peer).await;
            peer.write_all(b"250 ok\r\n").await.unwrap();
        }
        play(&mut peer, &[("QUIT", "221 bye\r\n")]).await;
    });
    let mut config = MailConfig::plain("127.0.0.1", port, "hansho.example.jp");
    config.messages_per_connection = 3;
    let channel = MailChannel::new(config, Arc::new(Nobody), Arc::new(Nobody)).unwrap();
    for _ in 0..3 {
        assert_eq!(channel.send(&mail(100)).await.outcome, Outcome::Done);
    }
    peer.await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (listener, port) = listener().await;
    let peer = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        play(&mut peer, &BEGIN).await;
        play(&mut peer, &[("DATA", "354 go\r\n")]).await;
        text(&mut peer).await;
        play(&mut peer, &[("", "250 ok\r\n"), ("QUIT", "221 bye\r\n")]).await;
    });
    let mut config = MailConfig::plain("127.0.0.1", port, "hansho.example.jp");
    config.timeouts.idle = Duration::from_millis(20);
    let channel = MailChannel::new(config, Arc::new(Nobody), Arc::new(Nobody)).unwrap();
    assert_eq!(channel.send(&mail(100)).await.outcome, Outcome::Done);
    peer.await.unwrap();
}

/// A group of commands comes as one; these are the answers to it, and what follows.
async fn grouped(
    answers: &'static str,
    then: Vec<(&'static str, &'static str)>,
) -> (Outcome, u16, bool) {
    let (listener, port) = listener().await;
    let peer = tokio::spawn(async move {
        let mut peer =
            accept_with(&listener, "250-peer\r\n250-8BITMIME\r\n250 PIPELINING\r\n").await;
        play(&mut peer, &[("MAIL", ""), ("RCPT", ""), ("DATA", answers)]).await;
        if answers.ends_with("354 go\r\n") && then.is_empty() {
            text(&mut peer).await;
            peer.write_all(b"250 2.0.0 ok\r\n").await.unwrap();
        }
        play(&mut peer, &then).await;
        drop(peer.read_line(&mut String::new()).await);
    });
    let mut mail = mail(100);
    mail.to_bare = None;
    let delivery = channel(port).send(&mail).await;
    peer.abort();
    (delivery.outcome, delivery.detail.code, delivery.detail.again)
}

#[tokio::test]
async fn a_group_of_commands_keeps_its_answers_apart() {
    let failed = |code, again| (Outcome::Failed, code, again);
    let reset = || vec![("RSET", "250 ok\r\n")];
    let dot = || vec![(".\r\n", "554 nobody\r\n")];
    let told = grouped("250 ok\r\n250 ok\r\n354 go\r\n", vec![]).await;
    assert_eq!(told, (Outcome::Done, 250, false));
    let told = grouped("250 ok\r\n550 5.1.1 no\r\n503 no\r\n", reset()).await;
    assert_eq!(told, failed(550, false));
    let told = grouped("250 ok\r\n550 5.1.1 no\r\n354 go\r\n", dot()).await;
    assert_eq!(told, failed(550, false));
    let told = grouped("451 later\r\n503 no\r\n503 no\r\n", reset()).await;
    assert_eq!(told, failed(451, true));
    let told = grouped("250 ok\r\n250 ok\r\n451 later\r\n", reset()).await;
    assert_eq!(told, failed(451, true));
    let told = grouped("250 ok\r\n421 4.3.2 bye\r\n", vec![]).await;
    assert_eq!(told, failed(421, true));
    let told = grouped("421 4.3.2 bye\r\n", vec![]).await;
    assert_eq!(told, failed(421, true));
    let told = grouped("250 ok\r\n250 ok\r\n250 out of step\r\n", vec![]).await;
    assert_eq!(told, failed(0, true));
    let told = grouped("354 out of step\r\n250 ok\r\n354 go\r\n", reset()).await;
    assert_eq!(told, failed(0, true));
}
