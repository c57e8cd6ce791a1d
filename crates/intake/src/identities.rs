//! One device, one connection: a newer connection of a device takes over from an older one, which
//! may hang half-open for hours when a radio link broke.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Open connections that know whose they are, by the device's name.
#[derive(Debug, Default)]
pub struct Identities {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_name: BTreeMap<String, (u64, Arc<Notify>)>,
}

impl Identities {
    /// Takes a name for a connection; an older connection that holds it is told to leave.
    pub(crate) fn claim(self: &Arc<Self>, name: String) -> Claim {
        let left = Arc::new(Notify::new());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.next = open.next.wrapping_add(1);
        let number = open.next;
        if let Some((_, older)) = open.by_name.insert(name.clone(), (number, Arc::clone(&left))) {
            // The permit stays until the older one asks, so it is never missed.
            older.notify_one();
        }
        Claim { identities: Arc::clone(self), name, number, left }
    }
}

/// A connection's hold on a name; given up when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    identities: Arc<Identities>,
    name: String,
    number: u64,
    left: Arc<Notify>,
}

impl Claim {
    /// Whose connection it is.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends when a newer connection has taken the name.
    pub(crate) async fn lost(&self) {
        self.left.notified().await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut open = self.identities.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(held) = open.by_name.entry(self.name.clone())
            && held.get().0 == self.number
        {
            held.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newer_connection_has_the_name_and_keeps_it_when_the_older_goes() {
        let identities = Arc::new(Identities::default());
        let older = identities.claim("8800000015".to_owned());
        let other = identities.claim("8800000016".to_owned());
        let newer = identities.claim("8800000015".to_owned());
        older.lost().await;
        drop(older);
        assert_eq!(identities.open.lock().unwrap().by_name.len(), 2);
        drop((newer, other));
        assert!(identities.open.lock().unwrap().by_name.is_empty());
    }
}
