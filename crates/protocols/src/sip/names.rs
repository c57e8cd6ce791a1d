//! Tags, branches and names of our own calls: nobody may guess them.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// A counter under a key that comes from outside: no two names are equal, and none tells the next.
pub(super) struct Names {
    cipher: Aes128,
    counter: u128,
}

impl Names {
    pub(super) fn new(seed: [u8; 16]) -> Self {
        Self { cipher: Aes128::new(&Array(seed)), counter: 0 }
    }

    /// A new name of 20 digits.
    pub(super) fn next(&mut self) -> String {
        let mut block = Array(self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        self.cipher.encrypt_block(&mut block);
        let mut name = format!("{:032x}", u128::from_be_bytes(block.0));
        name.truncate(20);
        name
    }

    /// A new name of a transaction, with the mark of RFC 3261.
    pub(super) fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.next())
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Names({} given)", self.counter)
    }
}
