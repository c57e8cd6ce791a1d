//! Counts of failed log-ins, in fixed memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::limits::{
    LOG_IN_KEYS_MAX, LOG_IN_WINDOW, LOG_INS_PER_ADDRESS_MAX, LOG_INS_PER_NAME_MAX,
};

/// Failed log-ins by address, and by address and name. A name alone is no key: whoever knows it
/// could lock its owner out in the middle of a shift.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    counts: BTreeMap<(IpAddr, Option<String>), Count>,
}

#[derive(Debug)]
struct Count {
    since: Timestamp,
    failed: u32,
}

impl Rates {
    /// How long to wait before the next try; `None` when it may be made now.
    pub(crate) fn wait(&self, now: Timestamp, address: IpAddr, user: &str) -> Option<Duration> {
        let address = network(address);
        let name = (address, Some(user.to_owned()));
        let whole = (address, None);
        self.over(now, &name, LOG_INS_PER_NAME_MAX).max(self.over(
            now,
            &whole,
            LOG_INS_PER_ADDRESS_MAX,
        ))
    }

    fn over(&self, now: Timestamp, key: &(IpAddr, Option<String>), limit: u32) -> Option<Duration> {
        let count = self.counts.get(key)?;
        let left = window().checked_sub(now.duration_since(count.since))?;
        let left = Duration::try_from(left).ok()?;
        (count.failed >= limit && !left.is_zero()).then_some(left)
    }

    /// Counts a failure.
    pub(crate) fn failed(&mut self, now: Timestamp, address: IpAddr, user: &str) {
        self.make_room(now);
        let address = network(address);
        for key in [(address, Some(user.to_owned())), (address, None)] {
            let count = self.counts.entry(key).or_insert(Count { since: now, failed: 0 });
            if now.duration_since(count.since) >= window() {
                *count = Count { since: now, failed: 0 };
            }
            count.failed = count.failed.saturating_add(1);
        }
    }

    /// Forgets the failures of a name whose owner got in.
    pub(crate) fn succeeded(&mut self, address: IpAddr, user: &str) {
        self.counts.remove(&(network(address), Some(user.to_owned())));
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.counts.len() + 2 <= LOG_IN_KEYS_MAX {
            return;
        }
        self.counts.retain(|_key, count| now.duration_since(count.since) < window());
        // Names go first: the counts of addresses are what holds an attacker who tries many names.
        if self.counts.len() + 2 > LOG_IN_KEYS_MAX {
            self.counts.retain(|(_address, name), _count| name.is_none());
        }
        if self.counts.len() + 2 > LOG_IN_KEYS_MAX {
            self.counts.clear();
        }
    }
}

/// Who counts as one: a host of IPv6 has a whole /64 to itself and could try from all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::from((address.to_bits() >> 64 << 64).to_be_bytes()),
    }
}

fn window() -> SignedDuration {
    SignedDuration::try_from(LOG_IN_WINDOW).unwrap_or(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_name_waits_at_its_limit_and_no_other_address_pays_for_it() {
        let mut rates = Rates::default();
        for n in 0..LOG_INS_PER_NAME_MAX {
            assert_eq!(rates.wait(at(0), address(1), "sato"), None, "try {n}");
            rates.failed(at(0), address(1), "sato");
        }
        assert_eq!(rates.wait(at(0), address(1), "sato"), Some(LOG_IN_WINDOW));
        assert_eq!(rates.wait(at(0), address(1), "suzuki"), None);
        assert_eq!(rates.wait(at(0), address(2), "sato"), None);
        assert_eq!(rates.wait(at(300), address(1), "sato"), None, "the window is over");
        rates.failed(at(300), address(1), "sato");
        assert_eq!(rates.wait(at(300), address(1), "sato"), None, "counted anew");
    }

    #[test]
    fn an_address_waits_however_many_names_it_tries() {
        let mut rates = Rates::default();
        for n in 0..LOG_INS_PER_ADDRESS_MAX {
            rates.failed(at(1), address(1), &format!("user{n}"));
        }
        assert!(rates.wait(at(1), address(1), "another").is_some());
        assert!(rates.wait(at(1), address(2), "another").is_none());
    }

    #[test]
    fn an_ipv6_host_cannot_hide_in_its_own_network() {
        let mut rates = Rates::default();
        let v6 = |text: &str| -> IpAddr { text.parse().unwrap() };
        for n in 0..LOG_INS_PER_NAME_MAX {
            rates.failed(at(0), v6(&format!("2001:db8:1:2::{n}")), "sato");
        }
        assert!(rates.wait(at(0), v6("2001:db8:1:2:ffff::9"), "sato").is_some());
        assert!(rates.wait(at(0), v6("2001:db8:1:3::1"), "sato").is_none());
        rates.succeeded(v6("2001:db8:1:2::77"), "sato");
        assert!(rates.wait(at(0), v6("2001:db8:1:2::1"), "sato").is_none());
        for _ in 0..LOG_INS_PER_NAME_MAX {
            rates.failed(at(0), address(1), "sato");
        }
        assert!(rates.wait(at(0), v6("::ffff:192.0.2.1"), "sato").is_some(), "the same by IPv4");
    }

    #[test]
    fn success_forgets_the_name_only() {
        let mut rates = Rates::default();
        for _ in 0..LOG_INS_PER_NAME_MAX {
            rates.failed(at(0), address(1), "sato");
        }
        rates.succeeded(address(1), "sato");
        assert_eq!(rates.wait(at(0), address(1), "sato"), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut rates = Rates::default();
        for n in 0..20_000 {
            rates.failed(at(0), address(1), &format!("user{n}"));
            assert!(rates.counts.len() <= LOG_IN_KEYS_MAX);
        }
        assert!(rates.wait(at(0), address(1), "x").is_some(), "the address is still held");
        for n in 0..20_000_u32 {
            rates.failed(at(0), IpAddr::from(n.to_be_bytes()), "x");
            assert!(rates.counts.len() <= LOG_IN_KEYS_MAX);
        }
    }
}
