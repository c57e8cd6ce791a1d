//! The frame: where it begins and ends, its header, its escapes.

use hansho_model::FrameFault;

use crate::FrameError;

/// Longest frame, from `[` to `]`.
pub const FRAME_MAX: usize = 32_768;
/// Longest name of a device: a whole IMEI has 15 digits.
const ID_SIZE_MAX: usize = 20;
/// Longest index; devices send four digits.
const INDEX_SIZE_MAX: usize = 8;
/// Digits of a length or index.
const DIGITS: usize = 4;
const OPEN: u8 = b'[';
const CLOSE: u8 = b']';
const STAR: u8 = b'*';
/// Begins an escape.
const ESCAPE: u8 = b'}';

/// One frame, its header read.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// Two letters or digits of the maker, to be echoed.
    pub(super) maker: &'a str,
    /// The device.
    pub(super) id: &'a str,
    /// Index, to be echoed.
    pub(super) index: Option<&'a str>,
    /// Content as it came, escapes and all.
    pub(super) content: &'a [u8],
    /// From `[` to `]`.
    pub(super) wire: &'a [u8],
}

#[derive(Debug)]
pub(super) enum Step<'a> {
    /// More bytes are needed.
    Wait,
    /// A frame may end here; more bytes, or their absence, will tell.
    Hesitate,
    /// So many bytes before a frame.
    Skip(usize),
    /// So many bytes that are no frame.
    Drop(usize, FrameError),
    /// A frame.
    Frame(Frame<'a>),
}

/// Takes the next thing off a stream. With `settled`, no more bytes are waited for where what is
/// there can be a frame. The outcome for given bytes does not depend on how they were cut.
pub(super) fn next(bytes: &[u8], settled: bool) -> Step<'_> {
    match start(bytes) {
        None => return Step::Wait,
        Some(0) => {}
        Some(count) => return Step::Skip(count),
    }
    if bytes.len() < DIGITS {
        return Step::Wait;
    }
    let head = match head(bytes, settled) {
        Head::Wait => return Step::Wait,
        Head::Bad(hint) => {
            let error = FrameError::new(FrameFault::MalformedHeader, hint, false);
            return Step::Drop(to_next(bytes), error);
        }
        Head::Good(head) => head,
    };
    let content = bytes.get(head.content_at..).unwrap_or_default();
    let (end, hesitates) = match end(content, head.length) {
        End::At(end) => (end, false),
        End::Maybe(end) => (end, true),
        End::Broken(at) => {
            let error = bad_frame("a new frame begins before this one ends");
            return Step::Drop(head.content_at.saturating_add(at), error);
        }
        End::Open if bytes.len() > FRAME_MAX => return Step::Drop(to_next(bytes), too_long()),
        End::Open => return Step::Wait,
    };
    let size = head.content_at.saturating_add(end).saturating_add(1);
    if size > FRAME_MAX {
        return Step::Drop(size, too_long());
    }
    if hesitates && !settled {
        return Step::Hesitate;
    }
    let wire = bytes.get(..size).unwrap_or_default();
    let content = content.get(..end).unwrap_or_default();
    let Head1 { maker, id, index, .. } = head;
    Step::Frame(Frame { maker, id, index, content, wire })
}

/// The first frame of bytes after which nothing more comes: unescaped, and how many bytes it took
/// with what stood before it. `None` when there is no whole frame.
#[must_use]
pub fn first_frame(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut taken: usize = 0;
    loop {
        match next(bytes.get(taken..)?, true) {
            Step::Wait | Step::Hesitate => return None,
            Step::Skip(count) | Step::Drop(count, _) => taken = taken.saturating_add(count.max(1)),
            Step::Frame(frame) => {
                let head = frame.wire.len().saturating_sub(frame.content.len()).saturating_sub(1);
                let mut whole = frame.wire.get(..head)?.to_vec();
                whole.extend(unescape(frame.content)?);
                whole.push(CLOSE);
                return Some((whole, taken.saturating_add(frame.wire.len())));
            }
        }
    }
}

/// Content with its escapes undone; `None` where an escape means nothing.
pub(super) fn unescape(content: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(content.len());
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            &ESCAPE => match bytes.next()? {
                1 => ESCAPE,
                2 => OPEN,
                3 => CLOSE,
                4 => b',',
                5 => STAR,
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(plain)
}

/// Whether a frame begins here; `None` while it cannot be told.
fn begins(bytes: &[u8]) -> Option<bool> {
    let fits = |(place, byte): (usize, &u8)| match place {
        0 => *byte == OPEN,
        1 | 2 => byte.is_ascii_alphanumeric(),
        _ => *byte == STAR,
    };
    let head = bytes.get(..DIGITS).unwrap_or(bytes);
    if !head.iter().enumerate().all(fits) {
        return Some(false);
    }
    (head.len() == DIGITS).then_some(true)
}

/// Where the first frame begins, or may begin; the end of the bytes when nowhere, `None` when there
/// are none.
fn start(bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    let mut places =
        (0..bytes.len()).filter(|at| begins(bytes.get(*at..).unwrap_or_default()) != Some(false));
    Some(places.next().unwrap_or(bytes.len()))
}

/// Bytes up to the next frame after the one that begins here.
fn to_next(bytes: &[u8]) -> usize {
    let rest = bytes.get(1..).unwrap_or_default();
    start(rest).unwrap_or_default().saturating_add(1)
}

enum Head<'a> {
    Wait,
    Bad(&'static str),
    Good(Head1<'a>),
}

struct Head1<'a> {
    maker: &'a str,
    id: &'a str,
    index: Option<&'a str>,
    length: usize,
    content_at: usize,
}

/// Reads `[MM*id*LLLL*` or `[MM*id*index*LLLL*`.
fn head(bytes: &[u8], settled: bool) -> Head<'_> {
    let maker = bytes.get(1..3).and_then(text).unwrap_or_default();
    let (id, after) = match word(bytes, DIGITS, ID_SIZE_MAX) {
        Word::Wait => return Head::Wait,
        Word::Bad => return Head::Bad("the device's name is 1 to 20 letters or digits"),
        Word::Good(id, after) => (id, after),
    };
    let (first, after) = match word(bytes, after, INDEX_SIZE_MAX) {
        Word::Wait => return Head::Wait,
        Word::Bad => return Head::Bad("the length is four hexadecimal digits"),
        Word::Good(first, after) => (first, after),
    };
    let following = bytes.get(after..).unwrap_or_default();
    let digits = following.iter().take(DIGITS).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let has_index = match following.get(digits) {
        // Nothing stands against it yet.
        None if !settled && digits <= DIGITS => return Head::Wait,
        byte => digits == DIGITS && byte == Some(&STAR),
    };
    let (index, length, content_at) = if has_index {
        let length = following.get(..DIGITS).and_then(text).unwrap_or_default();
        (Some(first), length, after.saturating_add(DIGITS).saturating_add(1))
    } else {
        (None, first, after)
    };
    if length.len() != DIGITS {
        return Head::Bad("the length is four hexadecimal digits");
    }
    match usize::from_str_radix(length, 16) {
        Ok(length) => Head::Good(Head1 { maker, id, index, length, content_at }),
        Err(_no_number) => Head::Bad("the length is four hexadecimal digits"),
    }
}

enum Word<'a> {
    Wait,
    Bad,
    /// The word, and where the byte after its `*` stands.
    Good(&'a str, usize),
}

/// Letters and digits up to `*`.
fn word(bytes: &[u8], from: usize, size_max: usize) -> Word<'_> {
    let rest = bytes.get(from..).unwrap_or_default();
    let size = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    match rest.get(size) {
        _ if size > size_max => Word::Bad,
        None => Word::Wait,
        Some(&STAR) if size > 0 => {
            let word = rest.get(..size).and_then(text).unwrap_or_default();
            Word::Good(word, from.saturating_add(size).saturating_add(1))
        }
        Some(_other) => Word::Bad,
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// `]` of the frame.
    At(usize),
    /// `]` of the frame if nothing follows that says otherwise.
    Maybe(usize),
    /// A new frame begins here.
    Broken(usize),
    /// Not among these bytes.
    Open,
}

/// Finds the `]` that ends a content of this length. The length may count escapes as they are on
/// the wire or undone; it may be wrong, and names may hold brackets without their partner.
fn end(content: &[u8], length: usize) -> End {
    let mut depth: usize = 1;
    // Where counting says the end is, while the length may still say otherwise.
    let mut counted = None;
    let (mut at, mut plain): (usize, usize) = (0, 0);
    while let Some(byte) = content.get(at) {
        let rest = content.get(at..).unwrap_or_default();
        if *byte == OPEN && begins(rest) == Some(true) {
            return counted.or_else(|| closed_before(content, at)).map_or(End::Broken(at), End::At);
        }
        let at_length = at == length || plain == length;
        if let Some(end) = counted
            && plain >= length
            && !(at_length && *byte == CLOSE)
        {
            return End::At(end);
        }
        match *byte {
            OPEN if counted.is_none() => depth = depth.saturating_add(1),
            CLOSE => {
                let ends_count = counted.is_none() && depth == 1;
                depth = depth.saturating_sub(1).max(1);
                match (ends_count, at_length, content.get(at.saturating_add(1))) {
                    (true, true, _) => return End::At(at),
                    // The length lies behind and was not believed.
                    (true, false, _) if plain > length => return End::At(at),
                    (true, false, None) | (false, true, None) => return End::Maybe(at),
                    (true, false, Some(next)) | (false, true, Some(next)) if parts(*next) => {
                        return End::At(at);
                    }
                    (true, false, Some(_)) => counted = Some(at),
                    (false, true, Some(_)) => {
                        if let Some(end) = counted {
                            return End::At(end);
                        }
                    }
                    (false, false, _) => {}
                }
            }
            _ => {}
        }
        let escaped = *byte == ESCAPE && matches!(rest.get(1), Some(1..=5));
        at = at.saturating_add(if escaped { 2 } else { 1 });
        plain = plain.saturating_add(1);
    }
    counted.map_or(End::Open, End::Maybe)
}

/// Whether this byte may stand between two frames or begin the next.
const fn parts(byte: u8) -> bool {
    matches!(byte, OPEN | b'\r' | b'\n')
}

/// The `]` before this place, with nothing but line ends between.
fn closed_before(content: &[u8], at: usize) -> Option<usize> {
    let before = content.get(..at)?;
    let last = before.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'))?;
    (before.get(last) == Some(&CLOSE)).then_some(last)
}

fn bad_frame(hint: &'static str) -> FrameError {
    FrameError::new(FrameFault::BadFrame, hint, false)
}

fn too_long() -> FrameError {
    FrameError::new(FrameFault::TooLong, "a frame has at most 32,768 bytes", false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> String {
        match first_frame(text.as_bytes()) {
            Some((frame, taken)) => format!("{} {taken}", frame.escape_ascii()),
            None => "wait".to_owned(),
        }
    }

    fn step(text: &[u8]) -> String {
        match next(text, false) {
            Step::Wait => "wait".to_owned(),
            Step::Hesitate => "hesitate".to_owned(),
            Step::Skip(count) => format!("skip {count}"),
            Step::Drop(count, error) => format!("drop {count} {}", error.fault),
            Step::Frame(frame) => frame.wire.escape_ascii().to_string(),
        }
    }

    #[test]
    fn a_right_length_ends_a_frame_at_once() {
        assert_eq!(step(b"[3G*1*0002*LK]"), "[3G*1*0002*LK]");
        assert_eq!(step(b"[3G*1*0002*LK][3G*1*0003*TKQ]"), "[3G*1*0002*LK]");
        assert_eq!(step(b"[ZJ*1*0034*0002*LK]x"), "[ZJ*1*0034*0002*LK]");
    }

    #[test]
    fn brackets_in_names_are_no_end() {
        // 0007 is right; counting would end at the first `]`, or never.
        assert_eq!(step(b"[3G*1*0007*UD,a]b,]"), "hesitate");
        assert_eq!(step(b"[3G*1*0007*UD,a]b,]\r"), "[3G*1*0007*UD,a]b,]");
        assert_eq!(step(b"[3G*1*0007*UD,a[b,]"), "hesitate");
        assert_eq!(first("[3G*1*0007*UD,a[b,]"), "[3G*1*0007*UD,a[b,] 19");
        assert_eq!(step(b"[3G*1*0008*UD,[a]b,]"), "[3G*1*0008*UD,[a]b,]");
        // The length is wrong: pairs are counted.
        assert_eq!(step(b"[3G*1*0003*UD,[a]b,][3G"), "[3G*1*0003*UD,[a]b,]");
    }

    #[test]
    fn a_wrong_length_is_told_by_what_follows_or_by_silence() {
        // Too short: the place of the length has passed.
        assert_eq!(step(b"[3G*1*0001*LK]"), "[3G*1*0001*LK]");
        // Too long: the rest may still come.
        assert_eq!(step(b"[3G*1*0009*LK]"), "hesitate");
        assert_eq!(first("[3G*1*0009*LK]"), "[3G*1*0009*LK] 14");
        assert_eq!(step(b"[3G*1*0009*LK][3G*1*0002*LK]"), "[3G*1*0009*LK]");
        assert_eq!(step(b"[3G*1*0009*LK]\r\n"), "[3G*1*0009*LK]");
        assert_eq!(step(b"[3G*1*0004*LK] x"), "[3G*1*0004*LK]");
        assert_eq!(step(b"[3G*1*0040*LK] [3G*1*0002*LK]"), "[3G*1*0040*LK]");
        // Brackets without partner and a wrong length: the next frame tells.
        assert_eq!(step(b"[3G*1*0001*UD,a[b,]\r\n[3G*1*"), "[3G*1*0001*UD,a[b,]");
        assert_eq!(step(b"[3G*1*0001*UD,a[b,[3G*1*"), "drop 18 bad_frame");
    }

    #[test]
    fn escapes_may_be_counted_or_not() {
        let payload = b"#\x7d\x01\x7d\x02\x7d\x03\x7d\x04\x7d\x05\xff";
        let frame = |length: usize| {
            let head = format!("[CS*1*{length:04x}*TK,");
            [head.as_bytes(), payload, b"]"].concat()
        };
        for length in [3 + 7, 3 + payload.len()] {
            let bytes = frame(length);
            let Step::Frame(found) = next(&bytes, false) else { panic!("{length}") };
            assert_eq!(unescape(found.content).unwrap(), b"TK,#}[],*\xff");
        }
        assert_eq!(unescape(b"TK,\x7d\x06"), None);
        assert_eq!(unescape(b"TK,\x7d"), None);
    }

    #[test]
    fn what_stands_before_a_frame_is_skipped_and_a_bad_header_dropped() {
        assert_eq!(step(b"\r\n$$[3G*1*0002*LK]"), "skip 4");
        assert_eq!(step(b"GET / HTTP/1.1\r\n"), "skip 16");
        assert_eq!(step(b"text [3"), "skip 5");
        assert_eq!(step(b"[3G"), "wait");
        assert_eq!(step(b"[3G*880000"), "wait");
        assert_eq!(step(b"[3G*1*000"), "wait");
        assert_eq!(step(b"[3G**0002*LK]"), "drop 13 malformed_header");
        assert_eq!(step(b"[3G*1]2*0002*LK][3G*1*"), "drop 16 malformed_header");
        assert_eq!(step(b"[3G*1*00x2*LK]"), "drop 14 malformed_header");
        assert_eq!(step(b"[3G*123456789012345678901*0002*LK]"), "drop 34 malformed_header");
    }

    #[test]
    fn a_frame_has_its_limit() {
        let frame = |size: usize| {
            let content = "a".repeat(size - 12);
            format!("[3G*1*{:04x}*{content}]", content.len()).into_bytes()
        };
        assert_eq!(frame(FRAME_MAX).len(), FRAME_MAX);
        assert!(matches!(next(&frame(FRAME_MAX), false), Step::Frame(_)));
        assert!(step(&frame(FRAME_MAX + 1)).ends_with("too_long"));
        let open = &frame(FRAME_MAX + 5)[..=FRAME_MAX];
        assert!(step(open).ends_with("too_long"));
        assert_eq!(step(&open[..FRAME_MAX]), "wait");
    }
}
