//! What the journal, the snapshots and the vault have in common as files: folder, lock, settings.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::{Cause, JournalError};

/// First SQLite without the WAL-reset bug (3.7.0 to 3.51.2): 3.51.3.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Names a path in an error.
pub(crate) fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Turns SQLite's error into one that says how to mend it.
pub(crate) fn fault(what: &'static str, path: &Path, error: rusqlite::Error) -> JournalError {
    let code = error.sqlite_error_code();
    let (path, source) = (name(path), Cause::Sqlite(error));
    match code {
        Some(ErrorCode::DiskFull) => JournalError::Full { path, source },
        Some(ErrorCode::ReadOnly) => JournalError::ReadOnly { path, source },
        Some(ErrorCode::DatabaseCorrupt) => JournalError::Damaged { path, source },
        Some(ErrorCode::NotADatabase) => JournalError::Foreign { path },
        _ => JournalError::Storage { what, path, source },
    }
}

/// Turns the file system's error into one that says how to mend it.
pub(crate) fn file_fault(what: &'static str, path: &Path, error: io::Error) -> JournalError {
    let kind = error.kind();
    let (path, source) = (name(path), Cause::File(error));
    if kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded {
        JournalError::Full { path, source }
    } else if kind == io::ErrorKind::ReadOnlyFilesystem || kind == io::ErrorKind::PermissionDenied {
        JournalError::ReadOnly { path, source }
    } else {
        JournalError::Storage { what, path, source }
    }
}

/// Makes the folder with all above it, for its owner alone, and each durable.
pub(crate) fn ensure_folder(folder: &Path) -> Result<(), JournalError> {
    let wrong = |source| JournalError::Folder { path: name(folder), source };
    let mut missing: Vec<&Path> = Vec::new();
    for above in folder.ancestors().filter(|above| !above.as_os_str().is_empty()) {
        match fs::metadata(above) {
            Ok(found) if found.is_dir() => break,
            Ok(_) => return Err(wrong(io::ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(above),
            Err(error) => return Err(wrong(error)),
        }
    }
    for each in missing.into_iter().rev() {
        match fs::DirBuilder::new().mode(0o700).create(each) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(wrong(error)),
        }
        sync_folder(each.parent().unwrap_or(each))?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), JournalError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)
        .and_then(|open| open.sync_all())
        .map_err(|error| file_fault("make the folder durable", folder, error))
}

/// Makes a file's bytes durable.
pub(crate) fn sync_file(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|open| open.sync_all())
        .map_err(|error| file_fault("make the file durable", path, error))
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(file_fault("remove a left-over", path, error))
        }
        _removed_or_absent => Ok(()),
    }
}

/// Size of a file; `None` when there is none.
pub(crate) fn size(path: &Path) -> Result<Option<u64>, JournalError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_fault("look", path, error)),
    }
}

/// `path` with `suffix` behind its name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a file for writing, makes it if need be, for its owner alone.
pub(crate) fn open_private(path: &Path) -> Result<File, JournalError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| file_fault("open the file", path, error))
}

/// Takes a lock that ends with the process, however it ends. Hold the file as long as the lock.
pub(crate) fn lock(path: &Path) -> Result<File, JournalError> {
    let file = open_private(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(JournalError::Busy { path: name(path) }),
        Err(error) => Err(file_fault("lock the file", path, error.into())),
    }
}

/// Opens a database; `flags` say whether it may be written and made.
pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, JournalError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(JournalError::OldSqlite { found: rusqlite::version() });
    }
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let path = &real(path)?;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| fault("open the database", path, error))?;
    // Only the writer checkpoints, and only when it says so; the last one to leave does not.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(|error| fault("open the database", path, error))?;
    Ok(connection)
}

/// The path with the links of its folder resolved: a data folder may be a link, a database not.
pub(crate) fn real(path: &Path) -> Result<PathBuf, JournalError> {
    let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let folder = fs::canonicalize(folder)
        .map_err(|source| JournalError::Folder { path: name(folder), source })?;
    Ok(folder.join(file))
}

/// Sets a pragma and reads it back: SQLite says nothing when it does not know or obey one.
pub(crate) fn set(
    connection: &Connection,
    path: &Path,
    setting: &'static str,
    value: &str,
    wanted: &'static str,
) -> Result<(), JournalError> {
    let what = "set up the database";
    connection
        .execute_batch(&format!("PRAGMA {setting}={value}"))
        .map_err(|error| fault(what, path, error))?;
    let found = connection
        .query_row(&format!("PRAGMA {setting}"), [], |row| Ok(text(row.get_ref(0)?)))
        .map_err(|error| fault(what, path, error))?;
    if found == wanted {
        Ok(())
    } else {
        let source = Cause::Setting { setting, wanted, found };
        Err(JournalError::Storage { what, path: name(path), source })
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => String::new(),
    }
}

/// Checks that a database is ours, of this kind and of a version that we know.
pub(crate) fn check_kind(
    connection: &Connection,
    path: &Path,
    application: i64,
    known: i64,
) -> Result<(), JournalError> {
    let number = |pragma: &str| {
        connection
            .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0))
            .map_err(|error| fault("read the database", path, error))
    };
    if number("application_id")? != application {
        return Err(JournalError::Foreign { path: name(path) });
    }
    let found = number("user_version")?;
    if found > known {
        return Err(JournalError::Newer { path: name(path), found, known });
    }
    if found < 1 {
        return Err(JournalError::Foreign { path: name(path) });
    }
    Ok(())
}
