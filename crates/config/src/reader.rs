//! Typed reading of one TOML file that goes on after a fault, so that all are reported at once.

use std::ops::{Range, RangeInclusive};

use hansho_model::DegreesE7;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::Fault;
use crate::source::Source;
use crate::syntax::{self, nearest};

/// Reads values out of one file and collects its faults.
pub(crate) struct Reader<'a> {
    source: &'a Source,
    faults: Vec<(usize, Fault)>,
    /// The file has faults of syntax, so a value that seems to be missing may only be unreadable.
    broken: bool,
}

/// A table with a name for messages, and the place to point at when something is missing in it.
#[derive(Clone)]
pub(crate) struct Section<'a> {
    /// Its name in messages; empty for the file itself.
    pub(crate) name: String,
    pub(crate) place: Range<usize>,
    pub(crate) table: &'a DeTable<'a>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl<'a> Reader<'a> {
    /// A reader of this file and the table it holds; faults of syntax are noted already.
    pub(crate) fn new(source: &'a Source, parsed: &ParsedToml<'a>) -> Self {
        let mut reader = Self { source, faults: Vec::new(), broken: !parsed.errors.is_empty() };
        for (span, message) in &parsed.errors {
            let first = message.lines().next().unwrap_or("is not TOML");
            let remedy = if first.contains("duplicate key") {
                "this key stands in the file twice: keep one of them"
            } else {
                "mend the TOML here (https://toml.io)"
            };
            reader.fault(span.clone(), format!("not TOML: {first}"), remedy.to_owned());
        }
        reader
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, span: Range<usize>, message: String, remedy: String) {
        self.faults.push((span.start, self.source.fault(span, message, remedy)));
    }

    /// Whether the file's syntax is at fault.
    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    /// All faults in the order of the file.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults;
        faults.sort_by_key(|(at, _)| *at);
        faults.into_iter().map(|(_, fault)| fault).collect()
    }

    /// Refuses keys that are not in `known`, with the nearest one that is.
    pub(crate) fn check_keys(&mut self, section: &Section<'a>, known: &[&str]) {
        for key in section.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = if section.name.is_empty() { String::new() } else { section.in_words() };
            let remedy = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys are {}", listed(known)),
            };
            self.fault(key.span(), format!("unknown key `{name}`{place}"), remedy);
        }
    }

    /// The value of `key`; when there is none, a fault that says what to write.
    pub(crate) fn required(
        &mut self,
        section: &Section<'a>,
        key: &str,
        example: &str,
    ) -> Option<&'a Spanned<DeValue<'a>>> {
        let found = section.table.get(key);
        if found.is_none() && !self.broken {
            let message = format!("`{key}` is missing{}", section.in_words());
            self.fault(section.place.clone(), message, format!("add `{key} = {example}`"));
        }
        found
    }

    /// A table inside a section.
    pub(crate) fn table(&mut self, section: &Section<'a>, key: &str) -> Option<Section<'a>> {
        let (name, value) = section.table.get_key_value(key)?;
        self.as_table(key.to_owned(), name.span(), value)
    }

    /// A list of tables.
    pub(crate) fn tables(
        &mut self,
        section: &Section<'a>,
        key: &str,
        count_max: usize,
    ) -> Vec<Section<'a>> {
        let Some(value) = section.table.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let remedy = "write a list: [{ ... }, { ... }]";
            self.wrong_type(value.span(), key, "a list", value.get_ref(), remedy);
            return Vec::new();
        };
        if items.len() > count_max {
            let message = format!("`{key}` has {} entries, {count_max} are allowed", items.len());
            self.fault(value.span(), message, "keep those that matter most".to_owned());
        }
        items.iter().filter_map(|item| self.as_table(key.to_owned(), item.span(), item)).collect()
    }

    /// Latitude or longitude in degrees, at most `limit` either way; read to 1e-7 degree.
    pub(crate) fn degrees(
        &mut self,
        section: &Section<'a>,
        key: &str,
        limit: u32,
    ) -> Option<DegreesE7> {
        let value = section.table.get(key)?;
        let text = match value.get_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            other @ (DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_)) => {
                let remedy = "write degrees: 37.1060";
                self.wrong_type(value.span(), key, "a number", other, remedy);
                return None;
            }
        };
        let found = syntax::degrees_e7(text).filter(|e7| e7.unsigned_abs() <= limit * 10_000_000);
        if found.is_none() {
            let message = format!("`{key}` is {text}, it may be -{limit} to {limit}");
            self.fault(value.span(), message, "write degrees: 37.1060".to_owned());
        }
        found.map(DegreesE7::from_e7)
    }

    /// A value as a table.
    pub(crate) fn as_table(
        &mut self,
        name: String,
        place: Range<usize>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Section<'a>> {
        let DeValue::Table(table) = value.get_ref() else {
            let remedy = format!("write `[{name}]` and its keys below it");
            self.wrong_type(value.span(), &name, "a table", value.get_ref(), &remedy);
            return None;
        };
        Some(Section { name, place, table })
    }

    /// A value as text of 1 to `chars_max` characters without control characters.
    pub(crate) fn as_text(
        &mut self,
        key: &str,
        value: &'a Spanned<DeValue<'a>>,
        chars_max: usize,
    ) -> Option<Located<&'a str>> {
        let span = value.span();
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(span, key, "text", value.get_ref(), "put it in double quotes");
            return None;
        };
        let count = text.chars().count();
        if count == 0 || text.trim().is_empty() {
            self.fault(span, format!("`{key}` is empty"), "write it, or take the key out".into());
            return None;
        }
        if count > chars_max {
            let message = format!("`{key}` has {count} characters, {chars_max} are allowed");
            self.fault(span, message, "shorten it".to_owned());
            return None;
        }
        if text.chars().any(char::is_control) {
            let message = format!("`{key}` holds a control character");
            self.fault(span, message, "write it in one line of plain text".to_owned());
            return None;
        }
        Some(Located { value: text.as_ref(), span })
    }

    /// An optional text.
    pub(crate) fn text(
        &mut self,
        section: &Section<'a>,
        key: &str,
        chars_max: usize,
    ) -> Option<Located<&'a str>> {
        let value = section.table.get(key)?;
        self.as_text(key, value, chars_max)
    }

    /// A required text.
    pub(crate) fn required_text(
        &mut self,
        section: &Section<'a>,
        key: &str,
        chars_max: usize,
        example: &str,
    ) -> Option<Located<&'a str>> {
        let value = self.required(section, key, example)?;
        self.as_text(key, value, chars_max)
    }

    /// A text that `parse` understands; its error is (message, remedy).
    pub(crate) fn parsed<T>(
        &mut self,
        text: Option<Located<&'a str>>,
        parse: impl FnOnce(&'a str) -> Result<T, (String, String)>,
    ) -> Option<Located<T>> {
        let Located { value, span } = text?;
        match parse(value) {
            Ok(value) => Some(Located { value, span }),
            Err((message, remedy)) => {
                self.fault(span, message, remedy);
                None
            }
        }
    }

    /// An optional whole number within `range`.
    pub(crate) fn integer(
        &mut self,
        section: &Section<'a>,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = section.table.get(key)?;
        let (low, high) = (range.start(), range.end());
        let remedy = format!("write a whole number from {low} to {high}");
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value.span(), key, "a whole number", value.get_ref(), &remedy);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("`{key}` is {integer}, it may be {low} to {high}");
            self.fault(value.span(), message, remedy);
        }
        number
    }

    /// An optional list of texts, at most `count_max` of them.
    pub(crate) fn texts(
        &mut self,
        section: &Section<'a>,
        key: &str,
        count_max: usize,
        chars_max: usize,
    ) -> Vec<Located<&'a str>> {
        let Some(value) = section.table.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            let remedy = "write a list: [\"...\", \"...\"]";
            self.wrong_type(value.span(), key, "a list", value.get_ref(), remedy);
            return Vec::new();
        };
        if items.len() > count_max {
            let message = format!("`{key}` has {} entries, {count_max} are allowed", items.len());
            self.fault(value.span(), message, "keep those that matter most".to_owned());
        }
        items.iter().filter_map(|item| self.as_text(key, item, chars_max)).collect()
    }

    fn wrong_type(
        &mut self,
        span: Range<usize>,
        key: &str,
        wanted: &str,
        found: &DeValue<'_>,
        remedy: &str,
    ) {
        let found = match found {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.fault(span, format!("`{key}` is {found}, {wanted} is wanted"), remedy.to_owned());
    }
}

impl Section<'_> {
    /// ` in [name]`, or nothing for the file itself.
    fn in_words(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) }
    }
}

/// A file's table and the faults of its syntax.
pub(crate) struct ParsedToml<'a> {
    table: Spanned<DeTable<'a>>,
    errors: Vec<(Range<usize>, String)>,
}

impl<'a> ParsedToml<'a> {
    /// Parses as far as it can.
    pub(crate) fn new(source: &'a Source) -> Self {
        let (table, errors) = DeTable::parse_recoverable(source.text());
        let errors = errors
            .into_iter()
            .map(|error| (error.span().unwrap_or(0..0), error.message().to_owned()))
            .collect();
        Self { table, errors }
    }

    /// The file's own table.
    pub(crate) fn root(&'a self) -> Section<'a> {
        Section { name: String::new(), place: 0..0, table: self.table.get_ref() }
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
