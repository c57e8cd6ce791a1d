//! A file's text, and where in it a byte stands.

use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthChar;

use crate::FILE_SIZE_MAX;
use crate::fault::{Fault, FaultPlace};

/// A configuration file, read whole.
pub(crate) struct Source {
    path: PathBuf,
    text: String,
    /// Byte offset of the first byte of each line.
    line_starts: Vec<usize>,
}

impl Source {
    /// Reads `dir/name`; a file that cannot be read is a fault of its own.
    pub(crate) fn read(dir: &Path, name: &str) -> Result<Self, Box<Fault>> {
        let path = dir.join(name);
        let fault = |message: String, remedy: &str| {
            let remedy = remedy.to_owned();
            Box::new(Fault { file: path.clone(), place: None, message, remedy })
        };
        let bytes = match read_limited(&path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let message = format!("is longer than {FILE_SIZE_MAX} bytes");
                return Err(fault(message, "no register is that long: is this the right file?"));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let remedy = "make the file (it may be empty if it is a register), or name the \
                              right folder; config/demo is a whole example";
                return Err(fault("does not exist".to_owned(), remedy));
            }
            Err(error) => {
                let remedy = "let the user that runs hansho read this file";
                return Err(fault(format!("cannot be read: {error}"), remedy));
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(path, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line =
                    error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count();
                let message = format!("is not UTF-8 text in line {}", line.saturating_add(1));
                Err(fault(message, "save the file as UTF-8; it may be Shift_JIS now"))
            }
        }
    }

    /// Reads `dir/name`, which may be absent.
    pub(crate) fn read_if_there(dir: &Path, name: &str) -> Result<Option<Self>, Box<Fault>> {
        if dir.join(name).exists() { Self::read(dir, name).map(Some) } else { Ok(None) }
    }

    pub(crate) fn new(path: PathBuf, text: String) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { path, text, line_starts }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The folder the file stands in.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }

    /// A fault at these bytes of the file.
    pub(crate) fn fault(&self, span: Range<usize>, message: String, remedy: String) -> Fault {
        let index = self.line_starts.partition_point(|start| *start <= span.start).max(1) - 1;
        let start = self.line_starts.get(index).copied().unwrap_or(0);
        let rest = self.text.get(start..).unwrap_or("");
        let line = rest.lines().next().unwrap_or("");
        let before = chars_before(line, span.start.saturating_sub(start));
        let until = chars_before(line, span.end.saturating_sub(start));
        let text = masked(line);
        let caret_start = text.chars().take(before).map(width).sum();
        let covered = text.chars().skip(before).take(until.saturating_sub(before));
        let caret_width = covered.map(width).sum::<usize>().max(1);
        let place =
            FaultPlace { line: index + 1, column: before + 1, text, caret_start, caret_width };
        Fault { file: self.path.clone(), place: Some(place), message, remedy }
    }
}

/// The file's bytes, or `None` when there are too many.
fn read_limited(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let size = fs::File::open(path)?.take(FILE_SIZE_MAX + 1).read_to_end(&mut bytes)?;
    let fits = u64::try_from(size).is_ok_and(|size| size <= FILE_SIZE_MAX);
    Ok(fits.then_some(bytes))
}

/// How many characters of the line start before this byte of it.
fn chars_before(line: &str, byte: usize) -> usize {
    line.char_indices().take_while(|(at, _)| *at < byte).count()
}

/// Columns of a terminal; a tab is printed as one space by [`masked`].
fn width(c: char) -> usize {
    c.width().unwrap_or(1)
}

/// The line with every secret's text replaced sign by sign, so that carets still fit.
fn masked(line: &str) -> String {
    let mut out: Vec<char> = line.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
    for key in SECRET_KEYS {
        let key: Vec<char> = key.chars().collect();
        let mut at = 0;
        while at + key.len() <= out.len() {
            if out.get(at..at + key.len()) == Some(key.as_slice()) {
                mask_value(&mut out, at + key.len());
            }
            at += 1;
        }
    }
    out.into_iter().collect()
}

/// Masks from the first quote or sign after `=` to the end of the value. A value without its
/// closing quote is masked to the end of the line.
fn mask_value(line: &mut [char], after_key: usize) {
    let rest = line.get_mut(after_key..).unwrap_or_default();
    let Some(equals) = rest.iter().position(|c| *c == '=') else { return };
    if rest.iter().take(equals).any(|c| !matches!(c, ' ' | '"' | '\'')) {
        return;
    }
    let value = rest.get_mut(equals + 1..).unwrap_or_default();
    let Some(first) = value.iter().position(|c| *c != ' ') else { return };
    let value = value.get_mut(first..).unwrap_or_default();
    let quote = value.first().copied().filter(|c| matches!(c, '"' | '\''));
    for sign in value.iter_mut().skip(usize::from(quote.is_some())) {
        let ends = match quote {
            Some(quote) => *sign == quote,
            None => matches!(*sign, ',' | '}' | ' '),
        };
        if ends {
            return;
        }
        *sign = '▮';
    }
}

/// Keys whose values no fault may show.
const SECRET_KEYS: [&str; 5] =
    ["aes_key", "password_hash", "password_blake3", "token_blake3", "password"];
