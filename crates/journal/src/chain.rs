//! The chain: every row carries a BLAKE3 over the row before it and itself, so that no row can be
//! changed, taken out or put in without a trace.
//!
//! `sum(n) = BLAKE3(sum(n-1) ‖ seq ‖ tr ‖ src ‖ kind ‖ ver ‖ idem ‖ length of body ‖ body)`; the
//! numbers as 64-bit two's complement, least significant byte first; `idem` has 16 bytes;
//! `sum(0)` is [`GENESIS`]. Whoever cuts off the end leaves a whole chain: that is why the head is
//! printed by `verify` and exported daily.

/// `sum(0)`: BLAKE3 of the ASCII text `hansho journal 1`.
pub const GENESIS: [u8; 32] = [
    0xeb, 0x0e, 0x98, 0x2a, 0x44, 0x9b, 0x80, 0xcd, 0xb6, 0x9d, 0x18, 0xc2, 0xc0, 0x6c, 0x33, 0x71,
    0x91, 0xee, 0xe3, 0x1a, 0xf5, 0x14, 0xa1, 0x7b, 0x6a, 0x7c, 0xe8, 0x16, 0x58, 0xf1, 0x4f, 0xdf,
];

/// A row without its sum.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Number of the event.
    pub seq: i64,
    /// Recorded time, microseconds since 1970 UTC.
    pub tr: i64,
    /// Source.
    pub src: i64,
    /// Kind.
    pub kind: i64,
    /// Version of the payload.
    pub ver: i64,
    /// Idempotency key.
    pub idem: &'a [u8; 16],
    /// Cause and payload.
    pub body: &'a [u8],
}

/// The sum of `row`, which stands behind the row with the sum `previous`.
#[must_use]
pub fn link(previous: &[u8; 32], row: &Row<'_>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous);
    for number in [row.seq, row.tr, row.src, row.kind, row.ver] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(row.idem);
    // No body has 2^63 bytes; a saturated length would still be a fixed, checkable value.
    hasher.update(&i64::try_from(row.body.len()).unwrap_or(i64::MAX).to_le_bytes());
    hasher.update(row.body);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genesis_is_the_hash_of_its_text() {
        assert_eq!(GENESIS, *blake3::hash(b"hansho journal 1").as_bytes());
        assert!(include_str!("../README.md").contains(&crate::hex::encode(&GENESIS)));
    }

    #[test]
    fn a_link_is_the_hash_of_the_documented_bytes() {
        let row = Row { seq: 1, tr: -2, src: 3, kind: 4, ver: 5, idem: &[6; 16], body: b"body" };
        let mut bytes = vec![7; 32];
        for number in [1_i64, -2, 3, 4, 5] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([6; 16]);
        bytes.extend(4_i64.to_le_bytes());
        bytes.extend(b"body");
        assert_eq!(link(&[7; 32], &row), *blake3::hash(&bytes).as_bytes());
    }
}
