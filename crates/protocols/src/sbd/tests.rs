//! Whole conversations with a modem that is played here, in a time that is played, too.

use std::collections::VecDeque;

use hansho_model::Private;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::{Durable, Receipt};

const IMEI: &str = "300234010753370";

/// A modem, its sky and its gateway, as far as these tests need them.
struct Modem {
    echo: bool,
    /// Goes on echoing whatever it is told.
    keeps_echo: bool,
    typed: Vec<u8>,
    /// Bytes of a message that are still to come.
    awaited: usize,
    mo: Option<Vec<u8>>,
    mt: Option<Vec<u8>>,
    momsn: u16,
    mtmsn: u16,
    ring: bool,
    /// Status of each session to come, then 0.
    fates: VecDeque<u8>,
    queue: VecDeque<Vec<u8>>,
    /// What the gateway got.
    sent: Vec<Vec<u8>>,
    commands: Vec<String>,
    /// Swallows the answers of so many sessions.
    dumb_sessions: u32,
    /// Does not answer at all.
    dead: bool,
    /// Takes every command and knows nothing of messages: it is a telephone.
    telephone: bool,
    /// Answers so many reads with a wrong checksum.
    bad_reads: u32,
    /// Is reset after so many bytes of a message that is read.
    reset_in: Option<usize>,
    imei: &'static str,
}

impl Modem {
    fn new() -> Self {
        Self {
            echo: true,
            keeps_echo: false,
            typed: Vec::new(),
            awaited: 0,
            mo: None,
            mt: None,
            momsn: 65_534,
            mtmsn: 41,
            ring: false,
            fates: VecDeque::new(),
            queue: VecDeque::new(),
            sent: Vec::new(),
            commands: Vec::new(),
            dumb_sessions: 0,
            dead: false,
            telephone: false,
            bad_reads: 0,
            reset_in: None,
            imei: IMEI,
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        for byte in bytes.iter().filter(|_| !self.dead).copied().collect::<Vec<_>>() {
            if self.awaited > 0 {
                self.typed.push(byte);
                self.awaited -= 1;
                if self.awaited == 0 {
                    said.extend(self.stored());
                }
                continue;
            }
            match byte {
                b'\r' => {
                    let command =
                        String::from_utf8_lossy(&std::mem::take(&mut self.typed)).into_owned();
                    if self.echo {
                        said.extend([command.as_bytes(), b"\r"].concat());
                    }
                    said.extend(self.obey(&command));
                    self.commands.push(command);
                }
                0x1B => self.typed.clear(),
                byte => self.typed.push(byte),
            }
        }
        said
    }

    fn stored(&mut self) -> Vec<u8> {
        let data = std::mem::take(&mut self.typed);
        let size = data.len() - 2;
        let result = LoadResult::of(size, &data, MO_SIZE_MAX);
        if result == LoadResult::Stored {
            self.mo = Some(data[..size].to_vec());
        }
        format!("\r\n{}\r\n\r\nOK\r\n", result.code()).into_bytes()
    }

    fn obey(&mut self, command: &str) -> Vec<u8> {
        let info = match command {
            _ if self.telephone && command.starts_with("AT+SBD") => String::new(),
            "ATE0" => {
                self.echo = self.keeps_echo;
                String::new()
            }
            "AT+CGSN" => format!("\r\n{}\r\n", self.imei),
            "AT+SBDD0" => {
                self.mo = None;
                "\r\n0\r\n".to_owned()
            }
            "AT+SBDD1" => {
                self.mt = None;
                "\r\n0\r\n".to_owned()
            }
            "AT+SBDSX" => format!(
                "\r\n+SBDSX: {}, {}, {}, {}, {}, {}\r\n",
                u8::from(self.mo.is_some()),
                self.momsn,
                u8::from(self.mt.is_some()),
                self.mtmsn,
                u8::from(self.ring),
                self.queue.len()
            ),
            "AT+SBDRB" => {
                let message = self.mt.clone().unwrap_or_default();
                let size = u16::try_from(message.len()).unwrap().to_be_bytes();
                let mut data = load_data(&message);
                if self.bad_reads > 0 {
                    self.bad_reads -= 1;
                    *data.last_mut().unwrap() ^= 1;
                }
                if let Some(came) = self.reset_in.take() {
                    (self.echo, self.mt, self.mo) = (true, None, None);
                    return [size.as_slice(), &data].concat()[..came].to_vec();
                }
                return [size.as_slice(), &data, b"\r\nOK\r\n"].concat();
            }
            "AT+SBDLOE" => "\r\n+SBDLOE:0,90\r\n".to_owned(),
            "AT+SBDIX" | "AT+SBDIXA" => match self.session() {
                Some(answer) => answer,
                None => return Vec::new(),
            },
            _ => match command.strip_prefix("AT+SBDWB=") {
                Some(size) => {
                    self.awaited = size.parse::<usize>().unwrap_or(0) + 2;
                    return b"\r\nREADY\r\n".to_vec();
                }
                None if !command.starts_with("AT") => "\r\nERROR\r\n".to_owned(),
                None => String::new(),
            },
        };
        format!("{info}\r\nOK\r\n").into_bytes()
    }

    fn session(&mut self) -> Option<String> {
        let status = self.fates.pop_front().unwrap_or(0);
        let momsn = self.momsn;
        let mut came = (2, 0, 0);
        if status <= 4 {
            self.sent.extend(self.mo.clone());
            self.momsn = self.momsn.wrapping_add(1);
            self.ring = false;
            self.mt = self.queue.pop_front();
            came = (0, 0, 0);
            if let Some(message) = &self.mt {
                self.mtmsn += 1;
                came = (1, self.mtmsn, message.len());
            }
        }
        if self.dumb_sessions > 0 {
            self.dumb_sessions -= 1;
            return None;
        }
        let (mt, mtmsn, size) = came;
        let queued = self.queue.len();
        Some(format!("\r\n+SBDIX: {status}, {momsn}, {mt}, {mtmsn}, {size}, {queued}\r\n"))
    }
}

/// The driver, its modem, the line between them and a clock.
struct Bench {
    driver: Sbd,
    modem: Modem,
    now: Timestamp,
    /// What the driver said.
    said: Vec<Event>,
    /// Messages that wait to be made durable; made so at once when `stores`.
    told: Vec<(Receipt, Incoming)>,
    stores: bool,
    closed: u32,
    /// Bytes of a read.
    cut: usize,
    /// What is done to the bytes from the modem, once each: at which byte of all, and what.
    faults: Vec<(usize, Fault)>,
    heard: usize,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Lost,
    Doubled,
    Turned(u8),
    Ring,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            driver: Sbd::new(Setup::new(7)),
            modem: Modem::new(),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            said: Vec::new(),
            told: Vec::new(),
            stores: true,
            closed: 0,
            cut: usize::MAX,
            faults: Vec::new(),
            heard: 0,
        };
        bench.driver.handle_opened(bench.now);
        bench
    }

    fn send(&mut self, id: u64, bytes: &[u8]) {
        let outgoing = Outgoing { id, bytes: Private(bytes.to_vec()), until: None };
        self.driver.send(self.now, outgoing).unwrap();
    }

    /// Plays so many seconds.
    fn run(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        for _turn in 0..20_000 {
            match self.driver.poll_output() {
                Output::Transmit(bytes) => self.exchange(&bytes),
                Output::Say(Event::Message(receipt, incoming)) => {
                    assert!(self.modem.mt.is_some() || incoming.damaged, "it is still there");
                    self.told.push((receipt, (*incoming).clone()));
                    self.said.push(Event::Message(receipt, incoming));
                    if self.stores {
                        self.driver.handle_durable(self.now, receipt, Durable::Stored);
                    }
                }
                Output::Say(event) => self.said.push(event),
                Output::Close => {
                    self.closed += 1;
                    self.driver.handle_closed(self.now);
                    self.driver.handle_opened(self.now);
                }
                Output::Idle(Some(next)) if next <= end => {
                    self.now = self.now.max(next);
                    self.driver.handle_timeout(self.now);
                }
                Output::Idle(_) => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("no rest: {:?}", self.driver);
    }

    fn exchange(&mut self, bytes: &[u8]) {
        let answer = self.modem.hear(bytes);
        let mut heard = Vec::new();
        for byte in answer {
            let fault = self.faults.iter().find(|(at, _)| *at == self.heard);
            match fault.map(|(_, fault)| *fault) {
                None => heard.push(byte),
                Some(Fault::Lost) => {}
                Some(Fault::Doubled) => heard.extend([byte, byte]),
                Some(Fault::Turned(by)) => heard.push(byte ^ by),
                Some(Fault::Ring) => {
                    heard.extend(b"\r\nSBDRING\r\n");
                    heard.push(byte);
                }
            }
            self.heard += 1;
        }
        for piece in heard.chunks(self.cut) {
            self.driver.handle_bytes(self.now, piece);
        }
    }

    /// What became of messages from us.
    fn outcomes(&self) -> Vec<(u64, Outcome)> {
        let outcome = |event: &Event| {
            if let Event::Sent(id, outcome) = event { Some((*id, *outcome)) } else { None }
        };
        self.said.iter().filter_map(outcome).collect()
    }

    fn states(&self) -> Vec<State> {
        let state =
            |event: &Event| if let Event::State(state) = event { Some(*state) } else { None };
        self.said.iter().filter_map(state).collect()
    }

    fn count(&self, command: &str) -> usize {
        self.modem.commands.iter().filter(|each| *each == command).count()
    }
}

#[test]
fn a_modem_is_probed_set_up_and_its_mailbox_looked_into() {
    let mut bench = Bench::new();
    bench.run(10);
    assert_eq!(bench.states(), [State::Probing, State::Ready]);
    assert_eq!(
        bench.modem.commands,
        [
            "AT",
            "ATE0",
            "ATV1",
            "AT&K0",
            "AT&D0",
            "AT+CGSN",
            "AT+SBDST=60",
            "AT+SBDMTA=1",
            "AT+CIER=1,1,1",
            "AT+SBDSX",
            "AT+SBDIX",
            "AT+SBDSX"
        ]
    );
    bench.run(30 * 60 - 20);
    assert_eq!(bench.count("AT+SBDIX"), 1);
    bench.run(20);
    assert_eq!(bench.count("AT+SBDIX"), 2);
}

#[test]
fn a_message_goes_and_is_cleared() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.send(1, &[0xFF; MO_SIZE_MAX]);
    bench.send(2, b"\r\nOK\r\n");
    bench.run(10);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done), (2, Outcome::Done)]);
    assert_eq!(bench.modem.sent, [vec![0xFF; MO_SIZE_MAX], b"\r\nOK\r\n".to_vec()]);
    assert_eq!((bench.modem.mo, bench.modem.momsn), (None, 1));
}

#[test]
fn what_does_not_fit_is_not_taken() {
    let mut bench = Bench::new();
    let mut send = |size: usize| {
        let outgoing = Outgoing { id: 1, bytes: Private(vec![7; size]), until: None };
        bench.driver.send(bench.now, outgoing)
    };
    assert_eq!(send(0), Err(SendError::Empty));
    assert_eq!(send(341), Err(SendError::TooLong { size: 341, limit: 340 }));
    for _message in 0..OUTBOX_COUNT_MAX {
        assert_eq!(send(340), Ok(()));
    }
    assert_eq!(send(340), Err(SendError::Full { limit: OUTBOX_COUNT_MAX }));
}

#[test]
fn a_message_is_cleared_only_when_it_is_durable() {
    let mut bench = Bench::new();
    bench.stores = false;
    bench.modem.queue.extend([b"one".to_vec(), b"two".to_vec()]);
    bench.run(10);
    bench.send(1, b"waits");
    bench.run(600);
    let [(receipt, first)] = bench.told.clone().try_into().unwrap();
    assert_eq!(
        (first.bytes.0.as_slice(), first.mtmsn, first.damaged),
        (&b"one"[..], Some(42), false)
    );
    assert_eq!(first.imei.as_deref(), Some(IMEI));
    // No session, no clearing, and no receipt of another.
    assert_eq!((bench.count("AT+SBDIX"), bench.count("AT+SBDD1")), (1, 0));
    bench.driver.handle_durable(bench.now, Receipt(receipt.0 + 1), Durable::Stored);
    bench.run(60);
    assert_eq!(bench.count("AT+SBDD1"), 0);
    bench.driver.handle_durable(bench.now, receipt, Durable::Stored);
    bench.run(60);
    assert_eq!((bench.count("AT+SBDIX"), bench.count("AT+SBDD1")), (2, 1));
    assert_eq!(bench.told.len(), 2);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
}

#[test]
fn a_message_that_was_shed_is_told_again() {
    let mut bench = Bench::new();
    bench.stores = false;
    bench.modem.queue.push_back(b"one".to_vec());
    bench.run(10);
    let receipt = bench.told[0].0;
    bench.driver.handle_durable(bench.now, receipt, Durable::Shed);
    bench.stores = true;
    bench.run(9);
    assert_eq!(bench.told.len(), 1);
    bench.run(2);
    assert_eq!(bench.told.len(), 2);
    assert_eq!(bench.told[0].1, bench.told[1].1);
    assert_eq!(bench.modem.mt, None);
}

#[test]
fn a_modem_that_goes_on_echoing_is_understood() {
    let mut bench = Bench::new();
    bench.modem.keeps_echo = true;
    bench.modem.queue.extend([b"\r\nOK\r\n".to_vec(), b"AT+SBDRB\r".to_vec()]);
    bench.send(1, b"AT+SBDWB=4\r");
    bench.run(20);
    let found: Vec<_> = bench.told.iter().map(|(_, message)| message.bytes.0.clone()).collect();
    assert_eq!(found, [b"\r\nOK\r\n".to_vec(), b"AT+SBDRB\r".to_vec()]);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
    assert_eq!(bench.modem.sent, [b"AT+SBDWB=4\r".to_vec()]);
}

#[test]
fn all_that_waits_at_the_gateway_comes() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.modem.queue.extend((0..5).map(|index| vec![index; 270]));
    bench.driver.handle_bytes(bench.now, b"\r\nSBDRING\r\n");
    bench.run(10);
    let found: Vec<u8> = bench.told.iter().map(|(_, message)| message.bytes.0[0]).collect();
    assert_eq!(found, [0, 1, 2, 3, 4]);
    assert_eq!(bench.count("AT+SBDIXA"), 1);
    assert!(bench.modem.queue.is_empty() && bench.modem.mt.is_none());
}

#[test]
fn a_ring_that_was_missed_is_answered_when_the_modem_comes_back() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.driver.handle_closed(bench.now);
    bench.modem.ring = true;
    bench.modem.queue.push_back(b"one".to_vec());
    bench.driver.handle_opened(bench.now);
    bench.run(10);
    assert_eq!(bench.told.len(), 1);
    assert_eq!(
        bench.states(),
        [State::Probing, State::Ready, State::Absent, State::Probing, State::Ready]
    );
}

#[test]
fn what_is_in_the_buffer_when_the_modem_comes_is_read_first() {
    let mut bench = Bench::new();
    bench.modem.mt = Some(b"left over".to_vec());
    bench.modem.queue.push_back(b"next".to_vec());
    bench.run(20);
    let found: Vec<_> = bench.told.iter().map(|(_, message)| message.bytes.0.clone()).collect();
    assert_eq!(found, [b"left over".to_vec(), b"next".to_vec()]);
}

#[test]
fn what_somebody_else_left_for_sending_is_not_sent() {
    let mut bench = Bench::new();
    bench.modem.mo = Some(b"not ours".to_vec());
    bench.run(20);
    assert!(bench.modem.sent.is_empty());
    assert_eq!(bench.count("AT+SBDIX"), 1);
}

#[test]
fn each_status_has_its_wait() {
    // Status, shortest and longest wait in seconds.
    for (status, least, most) in [
        (10, 5, 10),
        (18, 5, 10),
        (35, 5, 10),
        (65, 5, 10),
        (11, 300, 300),
        (37, 300, 300),
        (32, 60, 60),
        (36, 180, 180),
        (38, 90, 90),
    ] {
        let mut bench = Bench::new();
        bench.run(10);
        bench.modem.fates.push_back(status);
        bench.send(1, b"help");
        bench.run(least - 1);
        assert!(bench.outcomes().is_empty(), "{status}");
        let waits = bench.said.iter().any(|event| {
            matches!(event, Event::Waiting { id: 1, status: Some(said), .. } if said.0 == status)
        });
        assert!(waits, "{status}");
        bench.run(most - least + 2);
        assert_eq!(bench.outcomes(), [(1, Outcome::Done)], "{status}");
        assert_eq!(bench.count("AT+SBDWB=4"), 1, "the buffer is kept");
    }
}

#[test]
fn waits_grow_and_never_end() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.modem.fates.extend([18; 8]);
    bench.send(1, b"help");
    bench.run(11);
    assert_eq!(bench.count("AT+SBDIX"), 3);
    bench.run(36);
    assert_eq!(bench.count("AT+SBDIX"), 4);
    bench.run(72);
    assert_eq!(bench.count("AT+SBDIX"), 5);
    bench.run(5 * 360);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
}

#[test]
fn a_message_that_can_never_go_fails_at_once() {
    for (status, trouble) in
        [(12, false), (14, false), (15, true), (16, true), (34, true), (33, true)]
    {
        let mut bench = Bench::new();
        bench.run(10);
        bench.modem.fates.push_back(status);
        bench.send(1, b"help");
        bench.run(10);
        let failure = Failure::Refused(MoStatus(status));
        assert_eq!(bench.outcomes(), [(1, Outcome::Failed(failure))]);
        let said = bench.said.contains(&Event::Trouble(Trouble::Session(MoStatus(status))));
        assert_eq!(said, trouble, "{status}");
        assert_eq!(bench.modem.mo, None);
    }
}

#[test]
fn service_and_rings_end_a_wait_but_not_one_that_is_owed() {
    for (status, line, ends) in [
        (32, "+CIEV:1,1", true),
        (32, "+CIEV:1,0", false),
        (18, "+CIEV:1,1", false),
        (11, "SBDRING", true),
        (36, "SBDRING", false),
        (38, "SBDRING", false),
    ] {
        let mut bench = Bench::new();
        bench.run(10);
        bench.modem.fates.push_back(status);
        bench.send(1, b"help");
        bench.run(3);
        bench.driver.handle_bytes(bench.now, format!("\r\n{line}\r\n").as_bytes());
        bench.run(1);
        assert_eq!(!bench.outcomes().is_empty(), ends, "{status} {line}");
    }
}

#[test]
fn a_new_message_waits_for_no_failed_look_into_the_mailbox() {
    let mut bench = Bench::new();
    bench.modem.fates.push_back(11);
    bench.run(10);
    bench.send(1, b"help");
    bench.run(1);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
}

#[test]
fn looks_that_fail_are_given_up_until_the_next_one() {
    let mut bench = Bench::new();
    bench.modem.fates.extend([18; 9]);
    bench.run(29 * 60);
    assert_eq!(bench.count("AT+SBDIX"), 3);
}

#[test]
fn a_message_whose_time_is_over_fails() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.modem.fates.extend([18; 9]);
    let until = Some(bench.now + SignedDuration::from_secs(20));
    for id in 1..3 {
        let outgoing = Outgoing { id, bytes: Private(b"help".to_vec()), until };
        bench.driver.send(bench.now, outgoing).unwrap();
    }
    bench.run(19);
    assert!(bench.outcomes().is_empty());
    bench.run(2);
    let over = Outcome::Failed(Failure::Expired);
    assert_eq!(bench.outcomes(), [(1, over), (2, over)]);
    bench.run(10);
    assert_eq!(bench.modem.mo, None);
}

#[test]
fn a_session_without_an_answer_is_asked_about() {
    // Gone, and not gone.
    for (status, sessions) in [(0, 2), (18, 3)] {
        let mut bench = Bench::new();
        bench.run(10);
        bench.modem.fates.push_back(status);
        bench.modem.dumb_sessions = 1;
        bench.send(1, b"help");
        bench.run(119);
        assert!(bench.outcomes().is_empty());
        bench.run(15);
        assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
        assert_eq!(bench.modem.sent, [b"help".to_vec()]);
        assert_eq!(bench.count("AT+SBDIX"), sessions);
    }
}

#[test]
fn a_line_that_is_cut_during_a_session_leaves_no_doubt_when_the_modem_is_back() {
    for status in [0, 18] {
        let mut bench = Bench::new();
        bench.run(10);
        bench.modem.fates.push_back(status);
        bench.modem.dumb_sessions = 1;
        bench.send(1, b"help");
        bench.run(60);
        bench.driver.handle_closed(bench.now);
        bench.run(300);
        bench.driver.handle_opened(bench.now);
        bench.run(20);
        assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
        assert_eq!(bench.modem.sent, [b"help".to_vec()]);
    }
}

#[test]
fn where_nobody_can_be_asked_the_outcome_is_uncertain() {
    // It does not come back.
    let mut bench = Bench::new();
    bench.run(10);
    bench.modem.dumb_sessions = 1;
    bench.send(1, b"help");
    bench.send(2, b"more");
    bench.run(60);
    bench.driver.handle_closed(bench.now);
    bench.run(9 * 60 - 1);
    assert!(bench.outcomes().is_empty());
    bench.run(2);
    assert_eq!(bench.outcomes(), [(1, Outcome::Uncertain)]);
    bench.driver.handle_opened(bench.now);
    bench.run(10);
    assert_eq!(bench.outcomes(), [(1, Outcome::Uncertain), (2, Outcome::Done)]);
    assert_eq!(bench.modem.sent, [b"help".to_vec(), b"more".to_vec()]);
    // Another one comes back, or its number jumped.
    for jump in [0, 2, 5] {
        let mut bench = Bench::new();
        bench.run(10);
        bench.modem.dumb_sessions = 1;
        bench.send(1, b"help");
        bench.run(60);
        bench.driver.handle_closed(bench.now);
        bench.modem.momsn = bench.modem.momsn.wrapping_add(jump);
        bench.modem.imei = if jump == 0 { "300234010753371" } else { IMEI };
        bench.driver.handle_opened(bench.now);
        bench.run(20);
        assert_eq!(bench.outcomes(), [(1, Outcome::Uncertain)]);
        assert_eq!(bench.modem.sent.len(), 1);
    }
}

#[test]
fn a_modem_that_was_reset_gets_the_message_again() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.modem.fates.push_back(18);
    bench.send(1, b"help");
    bench.run(2);
    bench.modem.mo = None;
    bench.modem.echo = true;
    bench.run(10);
    assert_eq!(bench.modem.sent, [b"help".to_vec()]);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
}

#[test]
fn a_silent_modem_is_left_and_tried_again() {
    let mut bench = Bench::new();
    bench.modem.dead = true;
    bench.run(239);
    assert_eq!((bench.closed, bench.states()), (0, vec![State::Probing]));
    bench.run(10);
    assert_eq!((bench.closed, bench.states()), (1, vec![State::Probing, State::Silent]));
    bench.modem.dead = false;
    bench.run(10);
    assert_eq!(bench.states(), [State::Probing, State::Silent, State::Ready]);
    bench.modem.dead = true;
    bench.send(1, b"help");
    bench.run(600);
    assert_eq!(bench.states().last(), Some(&State::Silent));
    bench.modem.dead = false;
    bench.run(30);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
}

#[test]
fn a_modem_that_takes_every_setting_and_has_no_buffers_is_never_ready() {
    let mut bench = Bench::new();
    bench.modem.telephone = true;
    bench.send(1, b"help");
    bench.run(600);
    assert_eq!(bench.states(), [State::Probing, State::Silent]);
    assert_eq!(bench.outcomes(), []);
    let is_word =
        |command: &String| ["AT+SBDWB", "AT+SBDIX"].iter().any(|it| command.starts_with(it));
    assert!(!bench.modem.commands.iter().any(is_word), "{:?}", bench.modem.commands);
    bench.modem.telephone = false;
    bench.run(30);
    assert_eq!(bench.states(), [State::Probing, State::Silent, State::Ready]);
    assert_eq!(bench.outcomes(), [(1, Outcome::Done)]);
}

#[test]
fn a_message_that_stays_damaged_is_handed_over_as_damaged() {
    for bad_reads in 0..=READS_MAX {
        let mut bench = Bench::new();
        bench.modem.queue.push_back(b"0123456789".to_vec());
        bench.modem.bad_reads = bad_reads;
        bench.run(60);
        let [(_, message)] = bench.told.as_slice() else { panic!("{:?}", bench.told) };
        assert_eq!(message.damaged, bad_reads == READS_MAX);
        assert_eq!(message.bytes.0, b"0123456789");
        assert_eq!(bench.modem.mt, None);
    }
}

#[test]
fn what_a_reset_left_of_a_message_is_handed_over_as_damaged() {
    for cut in [false, true] {
        let mut bench = Bench::new();
        bench.modem.queue.push_back(b"0123456789".to_vec());
        bench.modem.reset_in = Some(7);
        while bench.modem.reset_in.is_some() {
            bench.run(1);
        }
        // The port may be lost with it.
        if cut {
            bench.driver.handle_closed(bench.now);
            bench.driver.handle_opened(bench.now);
        }
        bench.run(30);
        let [(_, message)] = bench.told.as_slice() else { panic!("{:?}", bench.told) };
        assert!(message.damaged && message.bytes.0.starts_with(b"01234"), "{message:?}");
        bench.modem.queue.push_back(b"next".to_vec());
        bench.driver.handle_bytes(bench.now, b"\r\nSBDRING\r\n");
        bench.run(30);
        assert_eq!(bench.told.len(), 2);
        assert!(!bench.told[1].1.damaged);
    }
}

#[test]
fn the_modem_is_left_with_its_memory_written() {
    let mut bench = Bench::new();
    bench.run(10);
    bench.driver.stop(bench.now);
    assert_eq!(bench.driver.poll_output(), Output::Transmit(b"AT+SBDDET\r".to_vec()));
    bench.driver.handle_bytes(bench.now, b"\r\n+SBDDET:0,0\r\n\r\nOK\r\n");
    assert_eq!(bench.driver.poll_output(), Output::Transmit(b"AT*F\r".to_vec()));
    bench.driver.handle_bytes(bench.now, b"\r\nOK\r\n");
    assert_eq!(bench.driver.poll_output(), Output::Close);
    bench.driver.handle_closed(bench.now);
    assert_eq!(bench.driver.poll_output(), Output::Say(Event::State(State::Absent)));
}

#[test]
fn what_waits_is_given_back_when_the_driver_is_stopped() {
    let mut driver = Sbd::new(Setup::new(1));
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    for id in [7, 8] {
        let bytes = Private(b"text".to_vec());
        driver.send(now, Outgoing { id, bytes, until: None }).unwrap();
    }
    driver.stop(now);
    let stopped = |id| Output::Say(Event::Sent(id, Outcome::Failed(Failure::Stopped)));
    assert_eq!(driver.poll_output(), stopped(8));
    assert_eq!(driver.poll_output(), stopped(7));
    assert_eq!(driver.poll_output(), Output::Idle(None));
}

#[test]
fn digits_for_results_are_understood_until_they_are_switched_off() {
    let mut driver = Sbd::new(Setup::new(1));
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    driver.handle_opened(now);
    driver.handle_bytes(now, b"AT\r0\r");
    while !matches!(driver.poll_output(), Output::Idle(_)) {}
    driver.handle_timeout(now + SETTLE);
    assert_eq!(driver.poll_output(), Output::Transmit(b"ATE0\r".to_vec()));
    driver.handle_bytes(now, b"ATE0\r0\r");
    assert_eq!(driver.poll_output(), Output::Transmit(b"ATV1\r".to_vec()));
    driver.handle_bytes(now, b"\r\nOK\r\n");
    assert_eq!(driver.poll_output(), Output::Transmit(b"AT&K0\r".to_vec()));
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]))
}

fn faults() -> impl Strategy<Value = Vec<(usize, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::Lost),
        Just(Fault::Doubled),
        (1..=255_u8).prop_map(Fault::Turned),
        Just(Fault::Ring),
    ];
    vec((0..900_usize, fault), 0..6)
}

/// A day with two messages out and two in, on a line with faults.
fn day(faults: &[(usize, Fault)], fates: &[u8], cut: usize) -> Bench {
    let mut bench = Bench::new();
    bench.cut = cut;
    bench.faults = faults.to_vec();
    bench.modem.fates.extend(fates);
    bench.modem.queue.push_back(b"\r\nOK\r\n".to_vec());
    bench.send(1, b"\r\nSBDRING\r\n");
    bench.run(600);
    bench.modem.queue.push_back(vec![0x0D; 270]);
    bench.modem.ring = true;
    bench.driver.handle_bytes(bench.now, b"SBDRING\r");
    bench.send(2, &[0; 340]);
    bench.run(7_200);
    bench
}

#[test]
fn no_fault_of_the_line_makes_a_false_word() {
    let fates = vec(prop_oneof![3 => Just(0_u8), 1 => Just(18), 1 => Just(32)], 0..5);
    let run = runner(2_000).run(&(faults(), fates), |(faults, fates)| {
        let bench = day(&faults, &fates, usize::MAX);
        let outcomes = bench.outcomes();
        prop_assert_eq!(outcomes.len(), 2, "{:?}", outcomes);
        for (id, outcome) in outcomes {
            let message = if id == 1 { b"\r\nSBDRING\r\n".to_vec() } else { vec![0; 340] };
            let times = bench.modem.sent.iter().filter(|each| **each == message).count();
            prop_assert!(outcome != Outcome::Done || times == 1, "{} times", times);
            prop_assert!(times <= 1, "sent twice");
        }
        let wanted = [b"\r\nOK\r\n".to_vec(), vec![0x0D; 270]];
        // The modem's sum does not see two faults that undo each other.
        let same = |a: &[u8], b: &[u8]| a.len() == b.len() && checksum(a) == checksum(b);
        for (_, message) in &bench.told {
            let right = wanted.iter().any(|wanted| same(wanted, &message.bytes.0));
            prop_assert!(message.damaged || right, "{:?}", message.bytes.0);
        }
        prop_assert!(bench.told.len() >= wanted.len(), "{:?}", bench.told);
        prop_assert!(bench.modem.mt.is_none() && bench.modem.mo.is_none());
        Ok(())
    });
    run.unwrap();
}

#[test]
fn bytes_say_the_same_however_they_are_cut() {
    let run = runner(500).run(&(faults(), 1..40_usize), |(faults, cut)| {
        let whole = day(&faults, &[18], usize::MAX);
        for cut in [1, cut] {
            let pieces = day(&faults, &[18], cut);
            prop_assert_eq!(&pieces.said, &whole.said);
            prop_assert_eq!(&pieces.modem.commands, &whole.modem.commands);
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn any_bytes_are_legal() {
    let word = prop_oneof![
        4 => vec(any::<u8>(), 0..40),
        2 => Just(b"\r\nOK\r\n".to_vec()),
        1 => Just(b"\r\nERROR\r\n".to_vec()),
        1 => Just(b"\r\n+SBDSX: 1, 5, 1, 6, 1, 3\r\n\r\nOK\r\n".to_vec()),
        1 => Just(b"\r\n+SBDIX: 0, 5, 1, 6, 3, 3\r\n\r\nOK\r\n".to_vec()),
        1 => Just(b"\r\nREADY\r\n".to_vec()),
        1 => Just(b"\r\n0\r\n\r\nOK\r\n".to_vec()),
        1 => Just(b"\x00\x03abc\x01\x26\r\nOK\r\n".to_vec()),
        1 => Just(format!("\r\n{IMEI}\r\n\r\nOK\r\n").into_bytes()),
    ];
    let run = runner(2_000).run(&vec((word, 0..200_i64), 0..60), |words| {
        let mut driver = Sbd::new(Setup::new(3));
        let mut now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        driver.handle_opened(now);
        let bytes = Private(b"help".to_vec());
        driver.send(now, Outgoing { id: 1, bytes, until: None }).unwrap();
        for (bytes, seconds) in words {
            driver.handle_bytes(now, &bytes);
            now += SignedDuration::from_secs(seconds);
            driver.handle_timeout(now);
            for _output in 0..100 {
                match driver.poll_output() {
                    Output::Say(Event::Message(receipt, message)) => {
                        prop_assert!(message.bytes.0.len() <= ANSWER_SIZE_MAX);
                        driver.handle_durable(now, receipt, Durable::Stored);
                    }
                    Output::Close => {
                        driver.handle_closed(now);
                        driver.handle_opened(now);
                    }
                    Output::Transmit(bytes) => prop_assert!(bytes.len() <= MO_SIZE_MAX + 2),
                    Output::Say(_) => {}
                    Output::Idle(next) => {
                        prop_assert!(next.is_none_or(|next| next > now), "{:?}", driver);
                        break;
                    }
                }
            }
            prop_assert!(matches!(driver.poll_output(), Output::Idle(_)));
        }
        Ok(())
    });
    run.unwrap();
}
