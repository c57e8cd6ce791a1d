//! What came in at each door: received = durable + refused + shed + coalesced + in flight, always.
//!
//! What was given up is counted for each device, too, by its lane: who looks at a place that is old
//! must be able to see whether the house or the device is the reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use hansho_console::view::{Accounting, GivenUp};
use hansho_model::{Door, Lane, RefusalCode};

/// Devices of one door, each once a lane, that are counted for themselves; further ones are counted
/// together.
pub const DEVICES_MAX: usize = 4_096;

/// Lines of a door that are shown each for itself, those who lost most; the rest is one line.
pub const LINES_MAX: usize = 32;

/// Counters of all doors since this core started.
#[derive(Debug, Default)]
pub struct Books {
    doors: [Book; Door::ALL.len()],
}

/// Counters of one door.
#[derive(Debug, Default)]
pub struct Book {
    received: AtomicU64,
    durable: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
    coalesced: AtomicU64,
    given_up: Mutex<BTreeMap<(String, Lane), Losses>>,
}

/// What a device lost in one lane.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    shed: u64,
    coalesced: u64,
}

/// What became of something received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the journal, now or since an earlier equal one.
    Durable,
    /// It was refused, for this reason.
    Refused(RefusalCode),
    /// It was given up under load.
    Shed,
    /// It was given up for a newer one of the same device, which is in the journal.
    Coalesced,
}

impl Books {
    /// Something came in.
    pub fn receive(&self, door: Door) {
        if let Some(book) = self.book(door) {
            book.received.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It is known what became of it.
    pub fn settle(&self, door: Door, fate: Fate) {
        let Some(book) = self.book(door) else { return };
        let counter = match fate {
            Fate::Durable => &book.durable,
            Fate::Refused(_) => &book.refused,
            Fate::Shed => &book.shed,
            Fate::Coalesced => &book.coalesced,
        };
        // Who reads this fate has seen its receipt, too.
        counter.fetch_add(1, Ordering::Release);
    }

    /// A report of a device was given up; further ones than [`DEVICES_MAX`] have no name.
    pub fn give_up(&self, door: Door, device: &str, lane: Lane, fate: Fate) {
        let Some(book) = self.book(door) else { return };
        let mut given_up = book.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let known = given_up.len() < DEVICES_MAX;
        let mut key = (device.to_owned(), lane);
        if !known && !given_up.contains_key(&key) {
            key.0.clear();
        }
        let losses = given_up.entry(key).or_default();
        match fate {
            Fate::Shed => losses.shed = losses.shed.saturating_add(1),
            Fate::Coalesced => losses.coalesced = losses.coalesced.saturating_add(1),
            Fate::Durable | Fate::Refused(_) => {}
        }
    }

    /// The counters now. In flight is what is left; fates are read first, so that it is never
    /// negative while others count on.
    #[must_use]
    pub fn read(&self) -> Vec<Accounting> {
        Door::ALL.iter().filter_map(|door| self.book(*door).map(|book| read(*door, book))).collect()
    }

    fn book(&self, door: Door) -> Option<&Book> {
        let place = Door::ALL.iter().position(|each| *each == door)?;
        self.doors.get(place)
    }
}

fn read(door: Door, book: &Book) -> Accounting {
    let durable = book.durable.load(Ordering::Acquire);
    let refused = book.refused.load(Ordering::Acquire);
    let shed = book.shed.load(Ordering::Acquire);
    let coalesced = book.coalesced.load(Ordering::Acquire);
    let received = book.received.load(Ordering::Acquire);
    let settled = durable.saturating_add(refused).saturating_add(shed).saturating_add(coalesced);
    let in_flight = received.saturating_sub(settled);
    let given_up = lines(&book.given_up.lock().unwrap_or_else(PoisonError::into_inner));
    let door = door.to_string();
    Accounting { door, received, durable, refused, shed, coalesced, in_flight, given_up }
}

/// Those who lost most, each in its line; the others in a line without a name for each lane.
fn lines(given_up: &BTreeMap<(String, Lane), Losses>) -> Vec<GivenUp> {
    let mut lines: Vec<GivenUp> = given_up
        .iter()
        .map(|((device, lane), losses)| GivenUp {
            device: device.clone(),
            lane: lane.as_str().to_owned(),
            shed: losses.shed,
            coalesced: losses.coalesced,
        })
        .collect();
    let lost = |line: &GivenUp| line.shed.saturating_add(line.coalesced);
    lines.sort_by_key(|line| (line.device.is_empty(), std::cmp::Reverse(lost(line))));
    let mut rest: BTreeMap<String, GivenUp> = BTreeMap::new();
    for line in lines.split_off(lines.len().min(LINES_MAX)) {
        let all = rest.entry(line.lane.clone()).or_insert_with(|| GivenUp {
            device: String::new(),
            lane: line.lane.clone(),
            ..GivenUp::default()
        });
        all.shed = all.shed.saturating_add(line.shed);
        all.coalesced = all.coalesced.saturating_add(line.coalesced);
    }
    lines.extend(rest.into_values());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_is_what_became_of_it_and_what_is_under_way() {
        let books = Books::default();
        let fates =
            [Fate::Durable, Fate::Refused(RefusalCode::Invalid), Fate::Shed, Fate::Coalesced];
        for fate in fates.map(Some).into_iter().chain([None]) {
            books.receive(Door::Dc09);
            if let Some(fate) = fate {
                books.settle(Door::Dc09, fate);
            }
        }
        let all = books.read();
        let book = all.iter().find(|each| each.door == "dc09").unwrap();
        let fates = [book.durable, book.refused, book.shed, book.coalesced];
        assert_eq!((book.received, fates, book.in_flight), (5, [1; 4], 1));
    }

    #[test]
    fn who_lost_most_is_named_and_nothing_is_lost_from_the_count() {
        let books = Books::default();
        let count = u64::try_from(DEVICES_MAX).unwrap() + 100;
        for number in 0..count {
            let device = format!("t-{number}");
            for _each in 0..=(number % 50) {
                books.give_up(Door::Mqtt, &device, Lane::D, Fate::Coalesced);
            }
            books.give_up(Door::Mqtt, &device, Lane::C, Fate::Shed);
        }
        let all = books.read();
        let book = all.iter().find(|each| each.door == "mqtt").unwrap();
        let (named, others): (Vec<_>, Vec<_>) =
            book.given_up.iter().partition(|line| !line.device.is_empty());
        assert_eq!((named.len(), others.len()), (LINES_MAX, 2));
        assert!(named.iter().all(|line| line.coalesced == 50 && line.lane == "D"), "{named:?}");
        let sum = |of: fn(&GivenUp) -> u64| book.given_up.iter().map(of).sum::<u64>();
        assert_eq!(sum(|line| line.shed), count);
        let coalesced: u64 = (0..count).map(|number| number % 50 + 1).sum();
        assert_eq!(sum(|line| line.coalesced), coalesced);
    }
}
