//! The officer's tools: prove, count, read and replay a journal, also while the core runs.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use hansho_console::{PasswordError, hash_password};
use hansho_core::{SNAPSHOT_VERSION, State};
use hansho_journal::{
    JournalError, SqliteReader, body, export, snapshot_marks, stats, tail, verify,
};

/// Events read at once.
const CHUNK: usize = 4_096;

/// Why a tool gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfficerError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Output could not be written.
    #[error("the output could not be written")]
    Output(#[from] io::Error),
    /// The journal is not what was written.
    #[error("the chain is broken at event {first_bad}: {why}")]
    Broken {
        /// First event that is not good.
        first_bad: u64,
        /// Why.
        why: JournalError,
    },
    /// A password that nobody may have.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] io::Error),
    /// A snapshot is not what the journal folds to.
    #[error(
        "the snapshot at event {seq} is not what the journal folds to: the journal is right; move \
         snapshots.db away, and keep it for whoever looks for the fault"
    )]
    Disagrees {
        /// The snapshot's last event.
        seq: u64,
    },
    /// The output's file.
    #[error("{} cannot be written", path.display())]
    File {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
}

/// Proves the chain and prints its head, which can be kept elsewhere as a witness.
///
/// # Errors
///
/// When the journal cannot be read, or is not what was written.
pub fn print_proof(data: &Path, out: &mut dyn Write) -> Result<(), OfficerError> {
    let report = verify(data)?;
    writeln!(out, "events  {}", report.events)?;
    if let (Some(first), Some(last)) = (report.first_at, report.last_at) {
        writeln!(out, "from    {first}")?;
        writeln!(out, "to      {last}")?;
    }
    writeln!(out, "head    {}", hex(&report.head.sum))?;
    let first_bad = report.first_bad().map(hansho_model::Seq::get);
    match (report.fault, first_bad) {
        (Some(why), Some(first_bad)) => Err(OfficerError::Broken { first_bad, why }),
        _ => {
            writeln!(out, "every link and every body is good")?;
            Ok(())
        }
    }
}

/// Counts events by kind.
///
/// # Errors
///
/// When the journal cannot be read, or is not what was written.
pub fn print_stats(data: &Path, out: &mut dyn Write) -> Result<(), OfficerError> {
    let stats = stats(data)?;
    writeln!(out, "{:<22} {:>10} {:>12}", "kind", "events", "bytes")?;
    for (kind, count) in &stats.kinds {
        let name = body::kind_name(*kind).unwrap_or("unknown");
        writeln!(out, "{name:<22} {:>10} {:>12}", count.count, count.bytes)?;
    }
    writeln!(out, "{:<22} {:>10} {:>12}", "all", stats.last, stats.file_bytes)?;
    Ok(())
}

/// Prints the last `count` events, a line each; sealed values stay sealed.
///
/// # Errors
///
/// When the journal cannot be read, or is not what was written.
pub fn print_tail(data: &Path, count: usize, out: &mut dyn Write) -> Result<(), OfficerError> {
    for recorded in tail(data, count)? {
        let cause = recorded.cause.map(|cause| format!(" after {cause}")).unwrap_or_default();
        writeln!(out, "{} {}{cause} {:?}", recorded.seq, recorded.at, recorded.event)?;
    }
    Ok(())
}

/// Writes every event as a line of JSON.
///
/// # Errors
///
/// When the journal cannot be read, is not what was written, or the file cannot be written.
pub fn write_export(
    data: &Path,
    to: Option<&Path>,
    out: &mut dyn Write,
) -> Result<(), OfficerError> {
    let Some(path) = to else {
        export(data, out)?;
        return Ok(());
    };
    let fault = |source| OfficerError::File { path: path.to_owned(), source };
    // For its owner alone, as the journal is: who reported when and from where is not sealed.
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = io::BufWriter::new(opened.map_err(fault)?);
    let head = export(data, &mut file)?;
    file.flush().map_err(fault)?;
    writeln!(out, "{} events, head {}", head.seq, hex(&head.sum))?;
    Ok(())
}

/// Folds the whole journal from nothing and prints the hash of the state and of the effects: equal
/// for equal journals on every machine.
///
/// # Errors
///
/// When the journal cannot be read, or is not what was written.
pub fn print_replay(data: &Path, out: &mut dyn Write) -> Result<(), OfficerError> {
    let (state, snapshots) = replay_past_snapshots(data)?;
    let open = state.signals().values().filter(|signal| signal.ended.is_none()).count();
    writeln!(out, "events   {}", state.seq())?;
    writeln!(out, "state    {}", hex(&state.hash()))?;
    writeln!(out, "effects  {}", hex(state.effects_sum()))?;
    writeln!(out, "open     {open} signals, {} effects owed", state.owed().len())?;
    writeln!(out, "agrees   with {snapshots} snapshots that were kept while it happened")?;
    Ok(())
}

/// Folds the whole journal from nothing.
///
/// # Errors
///
/// When the journal cannot be read, or is not what was written.
pub fn replay(data: &Path) -> Result<State, OfficerError> {
    replay_past_snapshots(data).map(|(state, _)| state)
}

/// The same, and how many snapshots of this release's encoding it agrees with.
fn replay_past_snapshots(data: &Path) -> Result<(State, usize), OfficerError> {
    let marks = snapshot_marks(data)?;
    let marks = marks.into_iter().filter(|mark| mark.version == SNAPSHOT_VERSION);
    let hashes: BTreeMap<_, _> = marks.map(|mark| (mark.seq, mark.hash)).collect();
    let mut reader = SqliteReader::open(data)?;
    let (mut state, mut agreed) = (State::default(), 0);
    loop {
        let events = reader.read(state.seq(), CHUNK)?;
        if events.is_empty() {
            return Ok((state, agreed));
        }
        for recorded in &events {
            state.evolve(recorded);
            let Some(hash) = hashes.get(&recorded.seq) else { continue };
            if state.hash() != *hash {
                return Err(OfficerError::Disagrees { seq: recorded.seq.get() });
            }
            agreed += 1;
        }
    }
}

/// The line of a log-in's password for `people.toml`.
///
/// # Errors
///
/// When it is empty or too long, or there are no random bytes for the salt.
pub fn password_line(password: &str) -> Result<String, OfficerError> {
    let hash = hash_password(password, &random()?)?;
    Ok(format!("password_hash = \"{hash}\""))
}

/// A new secret of 128 random bits, and the line by which a register knows it: `token_blake3` of a
/// log-in, `password_blake3` of a device.
///
/// # Errors
///
/// When there are no random bytes.
pub fn token_lines(key: &str) -> Result<String, OfficerError> {
    let secret = hex(&random()?);
    let hash = blake3::hash(secret.as_bytes());
    Ok(format!("{secret}\n{key} = \"{hash}\""))
}

fn random() -> Result<[u8; 16], OfficerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| OfficerError::Random(io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use hansho_journal::SqliteJournal;

    use super::*;

    #[test]
    fn an_export_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        drop(SqliteJournal::open(folder.path()).unwrap());
        let path = folder.path().join("export.jsonl");
        let mut said = Vec::new();
        write_export(folder.path(), Some(&path), &mut said).unwrap();
        assert!(String::from_utf8(said).unwrap().starts_with("0 events, head eb0e982a"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let nowhere = folder.path().join("no/export.jsonl");
        let refused = write_export(folder.path(), Some(&nowhere), &mut Vec::new());
        assert!(matches!(refused, Err(OfficerError::File { .. })));
    }
}
