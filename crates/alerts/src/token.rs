//! The token in an answer link: which notice and recipient, and a proof that we made the link.
//!
//! `<seq>-<index>-<32 hexadecimal digits>`; the proof is a keyed hash (128 bits) that the vault
//! makes for the purpose "answer" over the effect's id.

use hansho_model::{EffectId, Seq};

/// The token of an effect's answer link.
#[must_use]
pub fn make(effect: EffectId, mac: [u8; 16]) -> String {
    use std::fmt::Write as _;

    let mut text = format!("{}-{}-", effect.seq, effect.index);
    for byte in mac {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// What a token says; not yet whether it is true: see [`verify`].
///
/// There is exactly one way to write a token: no signs, no leading zeros, lower case.
#[must_use]
pub fn parse(text: &str) -> Option<(EffectId, [u8; 16])> {
    if text.len() > LEN_MAX {
        return None;
    }
    let mut parts = text.split('-');
    let (seq, index, digits) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || digits.len() != 32 {
        return None;
    }
    let effect = EffectId { seq: Seq::new(decimal(seq)?), index: decimal(index)?.try_into().ok()? };
    let mut mac = [0_u8; 16];
    for (byte, pair) in mac.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        *byte = match pair {
            [high, low] => hexadecimal(*high)? << 4 | hexadecimal(*low)?,
            _ => return None,
        };
    }
    Some((effect, mac))
}

/// Whether the proof in a token is the right one. Takes the same time wherever they differ.
#[must_use]
pub fn verify(given: &[u8; 16], right: &[u8; 16]) -> bool {
    let widen = |mac: &[u8; 16]| {
        let mut wide = [0_u8; 32];
        wide[..16].copy_from_slice(mac);
        blake3::Hash::from_bytes(wide)
    };
    // blake3 compares its hashes in constant time.
    widen(given) == widen(right)
}

fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    (plain && canonical && !text.is_empty()).then(|| text.parse().ok()).flatten()
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// 20 digits, 10 digits, 32 digits and two hyphens.
const LEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_spelling_is_a_token() {
        let mac = "00112233445566778899aabbccddeeff";
        let good = format!("184300-2-{mac}");
        assert!(parse(&good).is_some());
        for bad in [
            String::new(),
            "1-2".to_owned(),
            format!("+1-2-{mac}"),
            format!("01-2-{mac}"),
            format!("1--{mac}"),
            format!("1-4294967296-{mac}"),
            format!("18446744073709551616-0-{mac}"),
            format!("1-2-{}", mac.to_uppercase()),
            format!("1-2-{mac}0"),
            format!("1-2-{mac}-"),
            "1-2-0112233445566778899aabbccddeeff".to_owned(),
            "1-2-0112233445566778899aabbccddeeffg".to_owned(),
            "1-2-ああああああああああa".to_owned(),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reads_back(seq: u64, index: u32, mac: [u8; 16], bit in 0_usize..128) {
            let effect = EffectId { seq: Seq::new(seq), index };
            let (back, given) = parse(&make(effect, mac)).unwrap();
            prop_assert_eq!(back, effect);
            prop_assert!(verify(&given, &mac));
            let mut forged = mac;
            forged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify(&forged, &mac));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            prop_assert!(parse(&text).is_none_or(|(id, mac)| make(id, mac) == text));
        }
    }
}
