//! A satellite modem that says anything. It is set up; what follows is what it says, in any pieces,
//! parted by the byte 1; the byte after it says what happens then: a message is to be sent, one that
//! came becomes durable, the line is cut, time passes. The first byte of the input says where to cut.
//!
//! Checked: no panic; no session and no clearing while a message waits to be made durable; the same
//! words and commands however the bytes are cut; the driver comes to rest.
//!
//! ```text
//! cd crates/protocols && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none sbd -- -max_total_time=180
//! ```
#![no_main]

use hansho_model::Private;
use hansho_protocols::sbd::{ANSWER_SIZE_MAX, Event, Outgoing, Output, Sbd, Setup};
use hansho_protocols::{Durable, Receipt};
use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;

/// Gets a modem through its questions.
const SET_UP: [&[u8]; 9] = [
    b"OK\r",
    b"OK\r",
    b"OK\r",
    b"OK\r",
    b"OK\r",
    b"300234010753370\rOK\r",
    b"OK\r",
    b"OK\r",
    b"OK\r",
];

struct House {
    driver: Sbd,
    now: Timestamp,
    cut: usize,
    /// The message that waits to be made durable.
    told: Option<Receipt>,
    sent: u64,
    said: Vec<String>,
    next: Option<Timestamp>,
}

fuzz_target!(|input: &[u8]| {
    let [cut, steps @ ..] = input else { return };
    let whole = play(usize::MAX, steps);
    assert_eq!(whole, play(usize::from(*cut) % 40 + 1, steps));
});

fn play(cut: usize, steps: &[u8]) -> Vec<String> {
    let mut house = House::new(cut);
    for (index, step) in steps.split(|byte| *byte == 1).enumerate() {
        let (action, bytes) = match step {
            [action, bytes @ ..] if index > 0 => (*action, bytes),
            bytes => (0, bytes),
        };
        house.act(action);
        house.hear(bytes);
    }
    house.pass(700);
    house.said
}

impl House {
    fn new(cut: usize) -> Self {
        let mut house = Self {
            driver: Sbd::new(Setup::new(7)),
            now: "2026-11-23T00:00:00Z".parse().unwrap(),
            cut,
            told: None,
            sent: 0,
            said: Vec::new(),
            next: None,
        };
        house.driver.handle_opened(house.now);
        house.drain();
        for answer in SET_UP {
            house.hear(answer);
            if house.said.len() < 4 {
                house.now += SignedDuration::from_millis(500);
                house.driver.handle_timeout(house.now);
                house.drain();
            }
        }
        house
    }

    fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.cut) {
            self.driver.handle_bytes(self.now, piece);
            // What comes behind the end of a line is lost.
            if self.drain() {
                return;
            }
        }
    }

    fn act(&mut self, action: u8) {
        match action {
            b's' => {
                self.sent += 1;
                let bytes = Private(b"help".to_vec());
                let outgoing = Outgoing { id: self.sent, bytes, until: None };
                // A full outbox says so.
                let _full = self.driver.send(self.now, outgoing).is_err();
            }
            b'd' | b'n' => {
                let durable = if action == b'd' { Durable::Stored } else { Durable::Shed };
                if let Some(receipt) = self.told.take() {
                    self.driver.handle_durable(self.now, receipt, durable);
                }
            }
            b'c' => {
                self.driver.handle_closed(self.now);
                self.driver.handle_opened(self.now);
            }
            b'0'..=b'9' => self.pass(1 << (action - b'0')),
            _ => {}
        }
        self.drain();
    }

    fn pass(&mut self, seconds: i64) {
        let end = self.now + SignedDuration::from_secs(seconds);
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.now = next.max(self.now);
            self.driver.handle_timeout(self.now);
            self.drain();
            assert!(self.next.is_none_or(|next| next > self.now), "a duty that is never done");
        }
        self.now = end;
    }

    /// Whether the port was closed.
    fn drain(&mut self) -> bool {
        let mut closed = false;
        loop {
            match self.driver.poll_output() {
                Output::Transmit(bytes) => {
                    let early = [b"AT+SBDI".as_slice(), b"AT+SBDD1"];
                    let early = early.iter().any(|command| bytes.starts_with(command));
                    assert!(self.told.is_none() || !early, "it is on no disk yet");
                    self.said.push(bytes.escape_ascii().to_string());
                }
                Output::Say(event) => {
                    if let Event::Message(receipt, message) = &event {
                        assert!(message.bytes.0.len() <= ANSWER_SIZE_MAX);
                        assert!(self.told.replace(*receipt).is_none(), "two at once");
                    }
                    self.said.push(format!("{event:?}"));
                }
                Output::Close => {
                    closed = true;
                    self.driver.handle_closed(self.now);
                    self.driver.handle_opened(self.now);
                }
                Output::Idle(next) => {
                    self.next = next;
                    return closed;
                }
            }
        }
    }
}
