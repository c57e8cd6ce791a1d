//! Personal values: sealed where they are stored, masked where they are printed.

use std::fmt;

use crate::KeyId;

/// A personal value, encrypted under one person's data key. The core holds it and cannot read it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sealed {
    /// Key in the vault; when it is destroyed, the value is gone for ever.
    pub key: KeyId,
    /// Nonce (24 bytes), ciphertext, tag (16 bytes): XChaCha20-Poly1305.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(key {}, {} bytes)", self.key.0, self.bytes.len())
    }
}

/// Opens sealed values for those who may show them. The vault implements it.
pub trait Reveal: Send + Sync {
    /// The clear bytes, or `None` when the key was destroyed (the person was erased) or the value
    /// was not sealed by this vault.
    fn reveal(&self, sealed: &Sealed) -> Option<Vec<u8>>;

    /// The clear text; bytes that are not UTF-8 are replaced, as a person may still need the rest.
    fn reveal_text(&self, sealed: &Sealed) -> Option<String> {
        self.reveal(sealed).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A personal value in the clear, on its short way between the wire and the seal.
/// `Debug` and `Display` print `▮`, so that no log shows it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Private<T>(pub T);

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("▮")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("▮")
    }
}
