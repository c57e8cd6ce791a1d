//! Which devices we know, and with which key they encrypt.

use std::collections::BTreeMap;
use std::fmt;

use hansho_model::DeviceKind;

/// What to do with a device that nobody registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownDevices {
    /// Take it like any other; the core shows it as unregistered.
    Show,
    /// Keep its report for an operator's eyes, and answer that we cannot process it.
    #[default]
    Refuse,
}

/// An AES key of 16, 24 or 32 bytes. `Debug` prints its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

/// A key of a length that AES does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key has {count} bytes; give 16, 24 or 32 bytes (32, 48 or 64 hex digits)")]
pub struct KeyError {
    /// How many bytes were given.
    pub count: usize,
}

impl Key {
    /// From its bytes.
    ///
    /// # Errors
    ///
    /// When there are not 16, 24 or 32 of them.
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(bytes)),
            count => Err(KeyError { count }),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// What the register says of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Not in the register.
    Unknown,
    /// Registered, speaks in the clear.
    Plain,
    /// Registered, must encrypt with this key.
    Keyed(&'a Key),
}

/// How a device logs in, and what it is registered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIn {
    /// BLAKE3 of its password. A plain hash is enough, as a device's password is made by a machine
    /// and cannot be guessed; a slow one would let a thousand devices that come back at once, or
    /// anybody who tries passwords, take the processor from the alarms.
    pub password: blake3::Hash,
    /// Pendant or tracker.
    pub kind: DeviceKind,
    /// Whether it is registered for telemetry alone.
    pub telemetry_only: bool,
}

/// The register of devices as sessions need it. Accounts compare without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    entries: BTreeMap<String, Option<Key>>,
    log_ins: BTreeMap<String, LogIn>,
    unknown: UnknownDevices,
}

impl Accounts {
    /// Empty.
    #[must_use]
    pub const fn new(unknown: UnknownDevices) -> Self {
        Self { entries: BTreeMap::new(), log_ins: BTreeMap::new(), unknown }
    }

    /// Enters a device; a later entry of the same account replaces the earlier.
    pub fn register(&mut self, account: &str, key: Option<Key>) {
        self.entries.insert(account.to_ascii_uppercase(), key);
    }

    /// Enters a device that logs in; a later entry of the same account replaces the earlier.
    pub fn admit(&mut self, account: &str, log_in: LogIn) {
        self.log_ins.insert(account.to_ascii_uppercase(), log_in);
    }

    /// How this account logs in; `None` when it is not in the register.
    #[must_use]
    pub fn log_in(&self, account: &str) -> Option<&LogIn> {
        self.log_ins.get(&account.to_ascii_uppercase())
    }

    /// What the register says of this account.
    #[must_use]
    pub fn standing(&self, account: &str) -> Standing<'_> {
        match self.entries.get(&account.to_ascii_uppercase()) {
            None => Standing::Unknown,
            Some(None) => Standing::Plain,
            Some(Some(key)) => Standing::Keyed(key),
        }
    }

    /// What to do with accounts that are not registered.
    #[must_use]
    pub const fn unknown(&self) -> UnknownDevices {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_lengths_of_aes_and_are_not_printed() {
        for count in [0, 15, 17, 23, 25, 31, 33] {
            assert_eq!(Key::new(vec![7; count]), Err(KeyError { count }));
        }
        for count in [16, 24, 32] {
            let key = Key::new(vec![7; count]).unwrap();
            assert_eq!(format!("{key:?}"), format!("Key({count} bytes)"));
        }
    }

    #[test]
    fn accounts_compare_without_regard_to_case() {
        let mut accounts = Accounts::new(UnknownDevices::Refuse);
        accounts.register("49a1", None);
        accounts.register("BEEF", Key::new(vec![1; 16]).ok());
        assert_eq!(accounts.standing("49A1"), Standing::Plain);
        assert!(matches!(accounts.standing("beef"), Standing::Keyed(_)));
        assert_eq!(accounts.standing("4901"), Standing::Unknown);
        let (password, kind) = (blake3::hash(b"secret"), DeviceKind::Tracker);
        accounts.admit("w-7", LogIn { password, kind, telemetry_only: false });
        assert_eq!(accounts.log_in("W-7").map(|known| known.kind), Some(DeviceKind::Tracker));
        assert_eq!(accounts.log_in("beef"), None);
    }
}
