//! AES in CBC mode with an all-zero IV, as DC-09 asks, and hexadecimal text.

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};

use crate::Key;

/// Bytes of an AES block.
pub(crate) const BLOCK_SIZE: usize = 16;

/// The same IV for every message: the standard's choice, not ours. It is why the first block
/// must hold a pad that does not repeat.
const IV: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];

macro_rules! run {
    ($mode:ident, $cipher:ident, $call:ident, $key:expr, $bytes:expr) => {{
        let mut mode = cbc::$mode::<aes::$cipher>::new_from_slices($key, &IV).ok()?;
        let (blocks, rest) = Array::slice_as_chunks_mut($bytes);
        if !rest.is_empty() {
            return None;
        }
        mode.$call(blocks);
    }};
}

/// Decrypts; `None` when the count of bytes is no multiple of 16.
pub(crate) fn decrypt(key: &Key, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    match key.bytes().len() {
        16 => run!(Decryptor, Aes128, decrypt_blocks, key.bytes(), &mut bytes),
        24 => run!(Decryptor, Aes192, decrypt_blocks, key.bytes(), &mut bytes),
        _ => run!(Decryptor, Aes256, decrypt_blocks, key.bytes(), &mut bytes),
    }
    Some(bytes)
}

/// Encrypts; `None` when the count of bytes is no multiple of 16.
pub(crate) fn encrypt(key: &Key, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    match key.bytes().len() {
        16 => run!(Encryptor, Aes128, encrypt_blocks, key.bytes(), &mut bytes),
        24 => run!(Encryptor, Aes192, encrypt_blocks, key.bytes(), &mut bytes),
        _ => run!(Encryptor, Aes256, encrypt_blocks, key.bytes(), &mut bytes),
    }
    Some(bytes)
}

/// Reads hexadecimal digits of either case; `None` when odd in count or not hexadecimal.
pub(crate) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| {
        let value = (char::from(*high).to_digit(16)? << 4) | char::from(*low).to_digit(16)?;
        u8::try_from(value).ok()
    };
    pairs.iter().map(byte).collect()
}

/// Writes upper-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        write!(text, "{byte:02X}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_opens_and_closes() {
        let plain = b"kQ7zR2mW9|#4901|1101 01 003]_00:00:30,04-01-2026";
        let hex = "F0D541E9AEF291D286C12675A248804AE88248B5DFA20BC7838C4530303FFC1B\
                   FC8749EB11C52EBB324AECF8F7FC2122";
        let key = Key::new(vec![b'A'; 16]).unwrap();
        let secret = encrypt(&key, plain.to_vec()).unwrap();
        assert_eq!(to_hex(&secret), hex);
        assert_eq!(from_hex(hex.as_bytes()), Some(secret.clone()));
        assert_eq!(decrypt(&key, secret).unwrap(), plain);
    }

    #[test]
    fn every_key_length_reads_back() {
        for count in [16, 24, 32] {
            let key = Key::new(vec![9; count]).unwrap();
            let secret = encrypt(&key, vec![5; 48]).unwrap();
            assert_eq!(decrypt(&key, secret).unwrap(), vec![5; 48]);
            assert_eq!(decrypt(&key, vec![0; 15]), None);
            assert_eq!(encrypt(&key, vec![0; 17]), None);
        }
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        assert_eq!(from_hex(b"ABC"), None);
        assert_eq!(from_hex(b"AZ"), None);
        assert_eq!(from_hex(b"aBcD"), Some(vec![0xAB, 0xCD]));
    }
}
