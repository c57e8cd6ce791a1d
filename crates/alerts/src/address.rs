//! Mail addresses: the form that goes over the wire.
//!
//! Addresses that docomo and au gave out before 2009 may hold two dots in a row or a dot at an
//! end. They are illegal and alive: over the wire they go in quotes, and bare once if the server
//! takes no quotes (mass-mail rules, section 5).

use lettre::Address;

/// An address for one mail.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WireAddress {
    /// Legal form: quoted when it has to be.
    pub(crate) legal: Address,
    /// The form without quotes, when that is what the person typed and it is not legal.
    pub(crate) bare: Option<String>,
}

impl WireAddress {
    /// From an address as typed. `None` when no server could take it: no `@`, a blank or a control
    /// sign (never send a line break to a server), letters that need SMTPUTF8, or too long.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let typed = typed.trim();
        let (local, domain) = typed.rsplit_once('@')?;
        let printable = typed.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if !printable || local.is_empty() || local.len() > 64 || domain.len() > 255 {
            return None;
        }
        if domain.bytes().any(|byte| matches!(byte, b'<' | b'>' | b'"' | b'\\')) {
            return None;
        }
        if let Ok(legal) = Address::new(local, domain) {
            return Some(Self { legal, bare: None });
        }
        if local.bytes().any(|byte| matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'@')) {
            return None;
        }
        let legal = Address::new(format!("\"{local}\""), domain).ok()?;
        Some(Self { legal, bare: Some(typed.to_owned()) })
    }
}

impl std::fmt::Debug for WireAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("▮")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(typed: &str) -> String {
        WireAddress::parse(typed).map_or_else(
            || "refused".to_owned(),
            |address| match address.bare {
                Some(bare) => format!("{} or {bare}", address.legal),
                None => address.legal.to_string(),
            },
        )
    }

    #[test]
    fn legal_and_living_addresses() {
        assert_eq!(run(" yamada@mail.example.jp "), "yamada@mail.example.jp");
        assert_eq!(run("a+b@mail.example.jp"), "a+b@mail.example.jp");
        assert_eq!(
            run("ab..cd@docomo.example.jp"),
            "\"ab..cd\"@docomo.example.jp or ab..cd@docomo.example.jp"
        );
        assert_eq!(
            run("ab.@docomo.example.jp"),
            "\"ab.\"@docomo.example.jp or ab.@docomo.example.jp"
        );
        assert_eq!(run(".ab@au.example.jp"), "\".ab\"@au.example.jp or .ab@au.example.jp");
        assert_eq!(run("\"a..b\"@docomo.example.jp"), "\"a..b\"@docomo.example.jp");
    }

    #[test]
    fn refused_addresses() {
        let long = format!("{}@mail.example.jp", "a".repeat(65));
        for bad in [
            "",
            "nobody",
            "@mail.example.jp",
            "a@",
            "a b@mail.example.jp",
            "a@mail.example.jp\r\nRCPT TO:<b@mail.example.jp",
            "山田@mail.example.jp",
            "a@メール.example.jp",
            "a>b@mail.example.jp",
            "a\"b..@mail.example.jp",
            "a@b>c.example.jp",
            &long,
        ] {
            assert_eq!(run(bad), "refused", "{bad}");
        }
    }
}
