//! Copies of the journal and of the vault, made while another process writes them.
//!
//! A copy is made by `VACUUM INTO` of one read transaction: it is what stood there at one moment,
//! without free pages, and who writes meanwhile does not wait. As long as it takes, the write-ahead
//! log cannot be begun anew and grows by what is written; README.md says by how much.

use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::sqlite::file::{self, fault};
use crate::sqlite::{self, JOURNAL_FILE};
use crate::{JournalError, vault};

/// Copies the journal of a data folder into the file `to`, which must not be there or be empty;
/// durable when this returns, but for its name.
///
/// # Errors
///
/// The journal cannot be opened or read; the file cannot be written.
pub fn copy_journal(folder: &Path, to: &Path) -> Result<(), JournalError> {
    let from = folder.join(JOURNAL_FILE);
    let connection = file::connect(&from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    file::check_kind(&connection, &from, sqlite::APPLICATION_ID, sqlite::SCHEMA_VERSION)?;
    vacuum_into(&connection, &from, to)
}

/// Copies the vault of a data folder likewise. Taken after a copy of the journal, it holds every
/// key that the journal's copy needs: a key is durable before anything is sealed under it.
///
/// # Errors
///
/// The vault cannot be opened or read; the file cannot be written.
pub fn copy_vault(folder: &Path, to: &Path) -> Result<(), JournalError> {
    let from = folder.join(vault::VAULT_FILE);
    // For writing, because a write that broke off is rolled back by the first who reads.
    let connection = file::connect(&from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    file::check_kind(&connection, &from, vault::APPLICATION_ID, vault::SCHEMA_VERSION)?;
    vacuum_into(&connection, &from, to)
}

/// Checks a copy of a vault from its first page to its last; returns how many keys it holds.
///
/// # Errors
///
/// It is damaged, of a newer version, or no vault.
pub fn check_vault(path: &Path) -> Result<u64, JournalError> {
    let wrong = |error| fault("check the vault", path, error);
    let connection = file::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    file::check_kind(&connection, path, vault::APPLICATION_ID, vault::SCHEMA_VERSION)?;
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(wrong)?;
    if verdict != "ok" {
        return Err(JournalError::Foreign { path: file::name(path) });
    }
    let count: i64 = connection
        .query_row("SELECT count(*) FROM data_key", [], |row| row.get(0))
        .map_err(wrong)?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The journal's own 16 bytes: equal in all its copies, and in no other journal.
///
/// # Errors
///
/// The journal cannot be opened or read.
pub fn journal_id(folder: &Path) -> Result<[u8; 16], JournalError> {
    let path = folder.join(JOURNAL_FILE);
    let connection = file::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    file::check_kind(&connection, &path, sqlite::APPLICATION_ID, sqlite::SCHEMA_VERSION)?;
    connection
        .query_row("SELECT v FROM meta WHERE k = 'journal_id'", [], |row| row.get(0))
        .map_err(|error| fault("read the journal's id", &path, error))
}

fn vacuum_into(connection: &Connection, from: &Path, to: &Path) -> Result<(), JournalError> {
    // Made here, because SQLite would let others read it.
    drop(file::open_private(to)?);
    let real = file::real(to)?;
    let unspeakable = || JournalError::Folder {
        path: file::name(to),
        source: io::Error::new(io::ErrorKind::InvalidFilename, "SQLite takes names in UTF-8 only"),
    };
    let target = real.to_str().ok_or_else(unspeakable)?;
    let done = connection.execute("VACUUM INTO ?1", [target]);
    done.map_err(|error| {
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        fault("copy the database", if full { to } else { from }, error)
    })?;
    file::sync_file(to)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::sqlite::tests::batch;
    use crate::{Journal as _, SqliteJournal, Vault, verify};

    #[test]
    fn a_copy_beside_a_writer_is_whole_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(folder.path()).unwrap();
        journal.append(&batch(1, 5_000)).unwrap();
        let out = tempfile::tempdir().unwrap();
        let copy = out.path().join(JOURNAL_FILE);
        copy_journal(folder.path(), &copy).unwrap();
        let head = journal.head();
        journal.append(&batch(5_001, 1)).unwrap();
        let report = verify(out.path()).unwrap();
        assert_eq!((report.head, report.fault.is_none()), (head, true));
        assert_eq!(journal_id(out.path()).unwrap(), journal_id(folder.path()).unwrap());
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let mut again = SqliteJournal::open(out.path()).unwrap();
        assert_eq!(again.append(&batch(5_001, 1)).unwrap(), journal.head());
    }

    #[test]
    fn a_copy_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        SqliteJournal::open(folder.path()).unwrap().append(&batch(1, 3)).unwrap();
        let taken = folder.path().join("taken");
        fs::write(&taken, "something else").unwrap();
        assert!(copy_journal(folder.path(), &taken).is_err());
        assert_eq!(fs::read(&taken).unwrap(), b"something else");
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
        let refused = copy_journal(folder.path(), &folder.path().join(name));
        assert!(matches!(refused, Err(JournalError::Folder { .. })), "{refused:?}");
        let missing = folder.path().join("no");
        assert!(copy_journal(&missing, &folder.path().join("copy")).is_err());
    }

    #[test]
    fn a_copy_of_the_vault_opens_what_was_sealed_before_it() {
        let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let vault = Vault::open(folder.path()).unwrap();
        let sealed = vault.seal("person:a", b"secret").unwrap();
        copy_vault(folder.path(), &out.path().join(vault::VAULT_FILE)).unwrap();
        vault.destroy(sealed.key).unwrap();
        assert_eq!(check_vault(&out.path().join(vault::VAULT_FILE)).unwrap(), 1);
        let copy = Vault::open(out.path()).unwrap();
        let opened = hansho_model::Reveal::reveal(&copy, &sealed);
        assert_eq!(opened.as_deref(), Some(b"secret".as_slice()));
    }
}
