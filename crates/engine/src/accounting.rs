//! What came in at each door: received = durable + refused + shed + coalesced + in flight, always.

use std::sync::atomic::{AtomicU64, Ordering};

use hansho_console::view::Accounting;
use hansho_model::{Door, RefusalCode};

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
    Accounting { door: door.to_string(), received, durable, refused, shed, coalesced, in_flight }
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
}
