//! What the house would do: send, take what comes, unplug and plug in again.

use std::path::PathBuf;
use std::time::Duration;

use hansho_intake::serial::{Port, SbdModem, SbdOrder, SbdWord, SerialLine, drive};
use hansho_model::Private;
use hansho_protocols::Durable;
use hansho_protocols::sbd::{Event, Incoming, Outcome, Outgoing, Sbd, Setup, State};
use hansho_simulators::devices::sbd::{Fault, Modem, Sky};
use hansho_simulators::satphone::Satphone;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "this is the shell of a test")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// A modem whose sessions are quick, at a line of this name.
fn satphone(name: &str) -> Satphone {
    let sky = Sky { session: SignedDuration::from_millis(50), ..Sky::default() };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    Satphone::plug_in(Modem::new(sky), folder.join(format!("{name}-{}", std::process::id())))
        .unwrap()
}

fn house(satphone: &Satphone) -> Port<SbdModem> {
    let line = SerialLine::new(satphone.port().to_path_buf());
    let line = SerialLine { reopen_after: Duration::from_millis(200), ..line };
    drive(line, SbdModem::new(Sbd::new(Setup::new(7))), clock).unwrap()
}

fn send(port: &Port<SbdModem>, id: u64, bytes: &[u8]) {
    let outgoing = Outgoing { id, bytes: Private(bytes.to_vec()), until: None };
    port.orders().give(SbdOrder::Send(outgoing)).unwrap();
}

/// Waits for a word that `wanted` takes; messages that come meanwhile are made durable.
async fn wait<T>(port: &mut Port<SbdModem>, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let word = port.word().await.expect("the thread lives");
            let SbdWord::Event(event) = word else { panic!("{word:?}") };
            if let Event::Message(receipt, _) = &event {
                port.orders().give(SbdOrder::Durable(*receipt, Durable::Stored)).unwrap();
            }
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("it came in time")
}

/// Waits until the modem has come to this; nothing is said meanwhile that matters.
async fn until(port: &mut Port<SbdModem>, come: impl Fn() -> bool) {
    let found = async {
        while !come() {
            let _silence = timeout(Duration::from_millis(5), port.word()).await.is_err();
        }
    };
    timeout(PATIENCE, found).await.expect("it came to that in time");
}

fn is_in_session(satphone: &Satphone) -> bool {
    satphone.modem().wake().is_some()
}

async fn state(port: &mut Port<SbdModem>, state: State) {
    wait(port, |event| (*event == Event::State(state)).then_some(())).await;
}

async fn outcome(port: &mut Port<SbdModem>) -> (u64, Outcome) {
    wait(
        port,
        |event| if let Event::Sent(id, outcome) = event { Some((*id, *outcome)) } else { None },
    )
    .await
}

async fn message(port: &mut Port<SbdModem>) -> Incoming {
    wait(port, |event| {
        if let Event::Message(_, message) = event { Some((**message).clone()) } else { None }
    })
    .await
}

#[tokio::test]
async fn messages_go_and_come_over_a_real_line() {
    let satphone = satphone("messages");
    let mut port = house(&satphone);
    state(&mut port, State::Ready).await;
    // Flow control of ptys and lines would eat these.
    let all: Vec<u8> = (0..=255).chain(0..84).collect();
    send(&port, 1, &all);
    send(&port, 2, b"\r\nOK\r\n");
    assert_eq!(outcome(&mut port).await, (1, Outcome::Done));
    assert_eq!(outcome(&mut port).await, (2, Outcome::Done));
    assert_eq!(satphone.modem().sent, [all, b"\r\nOK\r\n".to_vec()]);
    for text in [&b"\r\nSBDRING\r\n"[..], &[0x11; 270], "川前支所 道路寸断".as_bytes()] {
        satphone.call(text);
        let found = message(&mut port).await;
        assert_eq!((found.bytes.0.as_slice(), found.damaged), (text, false));
    }
}

#[tokio::test]
async fn a_modem_that_is_unplugged_takes_up_where_it_was() {
    let satphone = satphone("unplugged");
    let mut port = house(&satphone);
    state(&mut port, State::Ready).await;
    satphone.pull_out();
    state(&mut port, State::Absent).await;
    satphone.call(b"while it was away");
    send(&port, 1, b"help");
    satphone.plug_in_again();
    assert_eq!(outcome(&mut port).await, (1, Outcome::Done));
    assert_eq!(satphone.modem().sent, [b"help".to_vec()]);
    // It came with that session.
    satphone.call(b"later");
    let found = message(&mut port).await;
    assert!(!found.damaged);
}

#[tokio::test]
async fn a_line_that_is_cut_in_a_session_leaves_no_doubt() {
    let satphone = satphone("cut");
    satphone.modem().sky.session = SignedDuration::from_secs(1);
    let mut port = house(&satphone);
    state(&mut port, State::Ready).await;
    // The look into the mailbox is over.
    until(&mut port, || satphone.modem().momsn == 1 && !is_in_session(&satphone)).await;
    satphone.modem().faults.push(Fault::LostSession);
    send(&port, 1, b"help");
    until(&mut port, || satphone.modem().loaded().is_some() && is_in_session(&satphone)).await;
    satphone.pull_out();
    state(&mut port, State::Absent).await;
    satphone.plug_in_again();
    assert_eq!(outcome(&mut port).await, (1, Outcome::Done));
    assert_eq!(satphone.modem().sent, [b"help".to_vec()]);
}

#[tokio::test]
async fn faults_of_the_modem_cost_time_and_nothing_else() {
    for fault in [
        Fault::LostOk,
        Fault::Garbage,
        Fault::WrongChecksum,
        Fault::CutBuffer(5),
        Fault::Ring(700),
        Fault::Lost(650),
        Fault::Doubled(680),
        Fault::HangUp,
    ] {
        let satphone = satphone("faults");
        satphone.modem().sky.queue.push_back(b"0123456789".to_vec());
        satphone.modem().sky.fates.extend([0, 0]);
        satphone.modem().faults.push(fault);
        let mut port = house(&satphone);
        let found = message(&mut port).await;
        assert_eq!(
            (found.bytes.0.as_slice(), found.damaged),
            (&b"0123456789"[..], false),
            "{fault:?}"
        );
        send(&port, 1, b"help");
        assert_eq!(outcome(&mut port).await, (1, Outcome::Done), "{fault:?}");
        assert_eq!(satphone.modem().sent, [b"help".to_vec()], "{fault:?}");
        assert_eq!(satphone.modem().unread(), None, "{fault:?}");
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_message_is_lived_through() {
    let satphone = satphone("reset");
    satphone.modem().sky.queue.push_back(b"0123456789".to_vec());
    satphone.modem().faults.push(Fault::Reset(6));
    let mut port = house(&satphone);
    state(&mut port, State::Ready).await;
    // The modem has lost it; nobody pretends to have it whole.
    send(&port, 1, b"help");
    assert_eq!(outcome(&mut port).await, (1, Outcome::Done));
    assert_eq!(satphone.modem().sent, [b"help".to_vec()]);
}

#[tokio::test]
async fn a_house_that_ends_leaves_the_modem_well() {
    let satphone = satphone("leaves");
    let mut port = house(&satphone);
    state(&mut port, State::Ready).await;
    let (orders, mut words, thread) = port.into_parts();
    drop(orders);
    while words.recv().await.is_some() {}
    thread.join().unwrap();
    let modem = satphone.modem();
    let last: Vec<&str> = modem.commands.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["AT*F", "AT+SBDDET"]);
}
