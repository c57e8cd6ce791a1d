//! What a frame carries between its brackets: Contact ID (DC-05) or SIA (DC-03).

use std::collections::BTreeMap;

use hansho_model::Finding;

use super::codes;
use super::text;

/// Most findings of one report.
pub(crate) const FINDINGS_MAX: usize = 16;

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A Contact ID event.
    Cid(Cid),
    /// SIA events.
    Sia(Sia),
}

/// A Contact ID event, digits as sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cid {
    /// '1' new, '3' restored, '6' still present.
    pub qualifier: char,
    /// Three digits.
    pub code: String,
    /// Two digits.
    pub partition: String,
    /// Three digits: zone or user.
    pub zone: String,
}

/// Events in the SIA format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sia {
    /// 'N' new, 'O' old and sent late; absent when the sender leaves it out.
    pub qualifier: Option<char>,
    /// Lower-case pairs and their values, such as `ri` and `1`.
    pub modifiers: BTreeMap<String, String>,
    /// The events in the order sent.
    pub events: Vec<SiaEvent>,
    /// Free texts in the order sent.
    pub texts: Vec<String>,
    /// Whether the blocks are not as the standard has them.
    pub loose: bool,
}

/// One event of the SIA format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiaEvent {
    /// Two capitals.
    pub code: String,
    /// Address as sent.
    pub address: Option<String>,
}

/// Data between brackets, its account taken off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data<'a> {
    /// Account without its `#`.
    pub(crate) account: Option<&'a [u8]>,
    /// What follows the `|` after the account; `None` when there is no event part at all.
    pub(crate) blocks: Option<&'a [u8]>,
    /// Whether the account part is not as the standard has it.
    pub(crate) loose: bool,
}

impl<'a> Data<'a> {
    pub(crate) fn split(data: &'a [u8]) -> Self {
        if data.is_empty() {
            return Self::default();
        }
        let (first, rest) = match data.iter().position(|byte| *byte == b'|') {
            Some(bar) => {
                let (first, rest) = data.split_at_checked(bar).unwrap_or((data, &[]));
                (first, rest.split_first().map(|(_bar, rest)| rest))
            }
            None => (data, None),
        };
        let hex = first.iter().all(u8::is_ascii_hexdigit) && (3..=16).contains(&first.len());
        match (first, rest) {
            ([b'#', account @ ..], rest) => {
                Self { account: Some(account), blocks: rest, loose: false }
            }
            ([], rest) => Self { account: None, blocks: rest, loose: false },
            // `5004|Nri1/HA1`: an account without its sign. A capital at its head is an event code.
            ([b'0'..=b'9', ..], Some(rest)) if hex => {
                Self { account: Some(first), blocks: Some(rest), loose: true }
            }
            _ => Self { account: None, blocks: Some(data), loose: true },
        }
    }
}

impl Payload {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = match self {
            Self::Cid(cid) => vec![codes::cid_finding(cid.qualifier, &cid.code, &cid.zone)],
            Self::Sia(sia) => sia
                .events
                .iter()
                .map(|event| codes::sia_finding(&event.code, event.address.as_deref()))
                .collect(),
        };
        // Most urgent first, else as sent; a seventeenth could only be the least urgent.
        findings.sort_by_key(|finding: &Finding| finding.class);
        findings.truncate(FINDINGS_MAX);
        findings
    }
}

impl Cid {
    /// `Q XYZ` joined, one space, two digits, one space, three digits.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        let (qualifier, rest) = block.split_first()?;
        let (code, rest) = rest.split_first_chunk::<3>()?;
        let rest = rest.strip_prefix(b" ")?;
        let (partition, rest) = rest.split_first_chunk::<2>()?;
        let zone = rest.strip_prefix(b" ")?;
        let digits = |field: &[u8]| {
            field
                .iter()
                .all(u8::is_ascii_hexdigit)
                .then(|| field.iter().copied().map(char::from).collect::<String>())
        };
        if !matches!(qualifier, b'1' | b'3' | b'6') || zone.len() != 3 {
            return None;
        }
        Some(Self {
            qualifier: char::from(*qualifier),
            code: digits(code)?,
            partition: digits(partition)?,
            zone: digits(zone)?,
        })
    }

    /// The one event among blocks; bare `0` blocks are passed over.
    pub(crate) fn parse_blocks(blocks: &[u8]) -> Option<(Self, bool)> {
        let mut events = blocks.split(|byte| *byte == b'|').filter(|block| *block != b"0");
        let event = Self::parse(events.next()?)?;
        let loose = blocks.contains(&b'|');
        events.next().is_none().then_some((event, loose))
    }
}

impl Sia {
    /// Reads all blocks; `None` when not one of them says anything.
    pub(crate) fn parse_blocks(blocks: &[u8]) -> Option<Self> {
        let mut sia = Self::default();
        let mut known_blocks = false;
        let mut unread_blocks = false;
        for block in blocks.split(|byte| *byte == b'|') {
            match sia.block(block) {
                Block::Taken => {}
                Block::Known => known_blocks = true,
                Block::Unread => unread_blocks = true,
            }
        }
        sia.loose |= unread_blocks;
        let empty = sia.events.is_empty() && sia.texts.is_empty();
        if empty && (unread_blocks || !known_blocks) { None } else { Some(sia) }
    }

    fn block(&mut self, block: &[u8]) -> Block {
        match block {
            [] | b"0" => {
                self.loose = true;
                Block::Taken
            }
            [letter @ (b'N' | b'O'), rest @ ..] if self.events(rest) => {
                self.qualifier.get_or_insert_with(|| char::from(*letter));
                Block::Taken
            }
            [b'A', rest @ ..] => {
                self.texts.push(text::decode(rest));
                Block::Taken
            }
            // The block's letter was left out: `ri1/QA003`, `QA003`.
            _ if self.events(block) => {
                self.loose = true;
                Block::Taken
            }
            // Origin, control, environment, program, configuration, extended, listen-in, V-channel,
            // video, a repeated account: legal, and nothing that we act upon.
            [b'&' | b'C' | b'E' | b'P' | b'@' | b'X' | b'L' | b'V' | b'v' | b'I' | b'#', ..] => {
                Block::Known
            }
            _ => Block::Unread,
        }
    }

    /// Reads modifiers, events and texts; changes nothing and says false when there is no event, or
    /// something else.
    fn events(&mut self, block: &[u8]) -> bool {
        let mut read = Self::default();
        let mut rest = block;
        loop {
            rest = match rest {
                [] => break,
                [b'/', rest @ ..] => rest,
                [b'^', rest @ ..] => {
                    let (inside, after) = cut(rest, |byte| byte == b'^');
                    read.texts.push(text::decode(inside));
                    after.strip_prefix(b"^").unwrap_or(after)
                }
                [first, second, rest @ ..]
                    if first.is_ascii_lowercase() && second.is_ascii_lowercase() =>
                {
                    let (value, after) = modifier_value(rest);
                    let key = [*first, *second].map(char::from).iter().collect();
                    read.modifiers.insert(key, text::decode(value));
                    after
                }
                [first, second, rest @ ..]
                    if first.is_ascii_uppercase() && second.is_ascii_uppercase() =>
                {
                    let code = [*first, *second].map(char::from).iter().collect();
                    read.event(code, rest)
                }
                _ => return false,
            };
        }
        if read.events.is_empty() {
            return false;
        }
        self.modifiers.append(&mut read.modifiers);
        self.events.append(&mut read.events);
        self.texts.append(&mut read.texts);
        self.loose |= read.loose;
        true
    }

    /// Takes an event's address; what follows it without a separator is kept as text.
    fn event<'a>(&mut self, code: String, rest: &'a [u8]) -> &'a [u8] {
        let (address, rest) = cut(rest, |byte| !byte.is_ascii_alphanumeric());
        let address = (!address.is_empty()).then(|| text::decode(address));
        self.events.push(SiaEvent { code, address });
        let (stray, rest) = cut(rest, |byte| matches!(byte, b'/' | b'^'));
        if !stray.is_empty() {
            self.loose = true;
            self.texts.push(text::decode(stray));
        }
        rest
    }
}

enum Block {
    Taken,
    Known,
    Unread,
}

/// Cuts before the first byte that ends it.
fn cut(bytes: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|byte| ends(*byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// A modifier's value runs to the next `/` or `^`. Some senders leave the `/` before the event out
/// (`ri1BA503`): digits are then the value, when no later event would be left without them.
fn modifier_value(rest: &[u8]) -> (&[u8], &[u8]) {
    let (run, after) = cut(rest, |byte| matches!(byte, b'/' | b'^'));
    let (digits, tail) = cut(run, |byte| !byte.is_ascii_digit());
    let holds_event = starts_with_code(tail) && tail.iter().all(u8::is_ascii_alphanumeric);
    let event_follows = after.split(|byte| *byte == b'/').any(starts_with_code);
    if holds_event && !event_follows {
        return (digits, rest.strip_prefix(digits).unwrap_or(rest));
    }
    (run, after)
}

fn starts_with_code(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first.is_ascii_uppercase() && second.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sia(blocks: &str) -> String {
        let Some(sia) = Sia::parse_blocks(blocks.as_bytes()) else {
            return "unreadable".to_owned();
        };
        let events: Vec<_> = sia
            .events
            .iter()
            .map(|event| format!("{}{}", event.code, event.address.as_deref().unwrap_or("-")))
            .collect();
        let modifiers: Vec<_> =
            sia.modifiers.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!(
            "{}|{}|{}|{}{}",
            sia.qualifier.unwrap_or('-'),
            modifiers.join(","),
            events.join(","),
            sia.texts.join(";"),
            if sia.loose { "|loose" } else { "" }
        )
    }

    #[test]
    fn sia_blocks_are_read_as_field_senders_write_them() {
        assert_eq!(sia("Nri1/QA003"), "N|ri=1|QA003|");
        assert_eq!(sia("NFA129"), "N||FA129|");
        assert_eq!(sia("NRR|Atest"), "N||RR-|test");
        assert_eq!(sia("Nri1BA503^hall ^"), "N|ri=1|BA503|hall ");
        assert_eq!(sia("Nri01^TOTAL^/LX901^ja^"), "N|ri=01|LX901|TOTAL;ja");
        assert_eq!(
            sia("Nti10:20/id001/ri1BA/QA003/AT0000"),
            "N|id=001,ri=1BA,ti=10:20|QA003,AT0000|"
        );
        assert_eq!(sia("0|NRP"), "N||RP-||loose");
        assert_eq!(sia("ri1/QA003"), "-|ri=1|QA003||loose");
        assert_eq!(sia("NA030"), "-||NA030||loose");
        assert_eq!(sia("Ori1/QA003"), "O|ri=1|QA003|");
        assert_eq!(sia("Nri04/OP001NM"), "N|ri=04|OP001NM|");
        assert_eq!(sia("NQA003 bath"), "N||QA003| bath|loose");
        assert_eq!(sia("NQA003^cut"), "N||QA003|cut");
        assert_eq!(sia("Ahello"), "-|||hello");
        assert_eq!(sia("X1|NQA1"), "N||QA1|");
        assert_eq!(sia("NQA1|%"), "N||QA1||loose");
    }

    #[test]
    fn what_says_nothing_is_unreadable() {
        for blocks in ["", "0", "N", "Nri1", "Nqa003", "N1/QA", "%", "whatever"] {
            assert_eq!(sia(blocks), "unreadable", "{blocks}");
        }
    }

    #[test]
    fn contact_id_is_read_strictly() {
        let good = Cid::parse(b"1101 0B 0CF").unwrap();
        assert_eq!((good.qualifier, good.code.as_str(), good.zone.as_str()), ('1', "101", "0CF"));
        let bad: [&[u8]; 9] = [
            b"",
            b"101 01 003",
            b"2101 01 003",
            b"110101003",
            b"1101 01 03",
            b"1101 01 0003",
            b"1101  01 003",
            b"1G01 01 003",
            b"1101 01 003 ",
        ];
        for block in bad {
            assert_eq!(Cid::parse(block), None, "{block:?}");
        }
        assert!(Cid::parse_blocks(b"0|1101 01 003").unwrap().1);
        assert_eq!(Cid::parse_blocks(b"1101 01 003|1101 01 004"), None);
    }

    #[test]
    fn the_account_is_taken_off_the_data() {
        let split = |data: &'static str| {
            let data = Data::split(data.as_bytes());
            let show = |part: Option<&[u8]>| part.map_or_else(|| "-".to_owned(), text::decode);
            format!(
                "{} {}{}",
                show(data.account),
                show(data.blocks),
                if data.loose { " loose" } else { "" }
            )
        };
        assert_eq!(split(""), "- -");
        assert_eq!(split("#4901|1101 01 003"), "4901 1101 01 003");
        assert_eq!(split("#4901|"), "4901 ");
        assert_eq!(split("#4901"), "4901 -");
        assert_eq!(split("|NQA"), "- NQA");
        assert_eq!(split("5004|NHA1"), "5004 NHA1 loose");
        assert_eq!(split("FA129|Ax"), "- FA129|Ax loose");
        assert_eq!(split("1101 01 003"), "- 1101 01 003 loose");
    }

    #[test]
    fn findings_are_sorted_and_limited() {
        let blocks = format!("NRP{}/QA003", "/AT1".repeat(20));
        let findings = Payload::Sia(Sia::parse_blocks(blocks.as_bytes()).unwrap()).findings();
        assert_eq!(findings.len(), FINDINGS_MAX);
        assert_eq!(findings[0].code, "SIA QA");
    }
}
