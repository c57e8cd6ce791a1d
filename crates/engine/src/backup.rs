//! Backup of a running house, and its way back.
//!
//! Two folders come of it. One holds the journal and the certificates, and nothing that opens a
//! sealed value; the other holds the keys: the vault and the private keys of certificates. Kept
//! together they would bring back every person who was erased for as long as the backups last, so
//! they are asked for apart. Each has a `manifest.json` with the size and the BLAKE3 of every file.
//!
//! A backup has its name only when it is whole, durable and proved; until then it is called
//! `<name>.part`. The keys are copied after the journal, and named before it: who finds a journal's
//! backup finds its keys, and they open all of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hansho_journal::{
    Head, JOURNAL_FILE, JournalError, RESERVE_FILE, SNAPSHOT_FILE, SqliteReader, VAULT_FILE,
    check_vault, copy_journal, copy_vault, free_bytes, journal_id, verify,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::officer::hex;
use crate::tls::{MADE_CERTIFICATE, MADE_KEY, TERMINALS, TERMINALS_KEY};

/// File that says what a backup holds.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Version of the manifest.
const FORMAT: u32 = 1;
/// Longest manifest that is read, bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;
/// Room that is left alone beside the reserve: below it the house sheds telemetry.
const ROOM_LEFT_BYTES: u64 = 64 << 20;
/// Certificates, which everybody may see.
const CERTIFICATES: [&str; 2] = [MADE_CERTIFICATE, TERMINALS];
/// Private keys of certificates.
const PRIVATE_KEYS: [&str; 2] = [MADE_KEY, TERMINALS_KEY];

/// Why there is no backup, or no way back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The journal or the vault.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Nothing is overwritten.
    #[error("{} is there already: nothing is overwritten, give a new name", path.display())]
    Taken {
        /// File or folder.
        path: PathBuf,
    },
    /// Two folders that must be apart are not.
    #[error(
        "{} stands in {}: keep data, journal's backup and keys apart; a key beside the journal that \
         it opens undoes every erasure",
        inner.display(), outer.display()
    )]
    Together {
        /// The one within.
        inner: PathBuf,
        /// The one around it.
        outer: PathBuf,
    },
    /// Too little room.
    #[error("{} has room for {free} bytes and needs {needed}: make room, or give another disk", path.display())]
    Room {
        /// Folder.
        path: PathBuf,
        /// Bytes.
        free: u64,
        /// Bytes, with what must be left for the house.
        needed: u64,
    },
    /// The copy is not what was written; the journal itself may not be either.
    #[error("the copy is broken: prove the journal itself with `hansho journal verify`")]
    Broken(#[source] JournalError),
    /// The file system refused.
    #[error("could not {what} {}", path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// It is no backup, or one of a newer release.
    #[error("{} is no manifest that this release knows: give the folder of a backup, or update hansho", path.display())]
    Manifest {
        /// File.
        path: PathBuf,
    },
    /// A file of the backup is not what was written.
    #[error("{} is not what the manifest says: take another backup", path.display())]
    Changed {
        /// File.
        path: PathBuf,
    },
    /// Journal and keys do not go together.
    #[error("{} and {} do not go together: {why}", from.display(), keys.display())]
    Apart {
        /// Folder with the journal.
        from: PathBuf,
        /// Folder with the keys.
        keys: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// No keys to open the journal with.
    #[error("{} holds no vault: give the backup's keys with --keys", path.display())]
    Keyless {
        /// Data folder.
        path: PathBuf,
    },
    /// The output could not be written.
    #[error("the output could not be written")]
    Output(#[from] io::Error),
}

/// What a backup is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Content {
    Journal,
    Keys,
}

/// What a folder of a backup holds. Of the keys, `seq` is the last event whose values they open for
/// certain, and `sum` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    content: Content,
    release: String,
    journal_id: String,
    made_at: String,
    seq: u64,
    sum: String,
    last_at: Option<String>,
    files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    blake3: String,
}

/// Copies the journal of the data folder `data` into the new folder `to`, and its keys into the new
/// folder `keys`; beside a running house or none. Says what it did in `out`.
///
/// # Errors
///
/// See [`BackupError`]. What was begun is then called `<name>.part`, and the next try removes it.
pub fn back_up(
    data: &Path,
    to: &Path,
    keys: Option<&Path>,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), BackupError> {
    let folders = || [Some(data), Some(to), keys].into_iter().flatten();
    for (index, folder) in folders().enumerate() {
        for (_, other) in folders().enumerate().filter(|(other, _)| *other != index) {
            apart(folder, other)?;
        }
    }
    check_room(data, to)?;
    let journal = Draft::begin(to)?;
    let keys = keys.map(Draft::begin).transpose()?;
    copy_journal(data, &journal.file(JOURNAL_FILE))?;
    for name in CERTIFICATES {
        journal.copy(&data.join(name))?;
    }
    let report = verify(&journal.folder)?;
    if let Some(fault) = report.fault {
        return Err(BackupError::Broken(fault));
    }
    let manifest = Manifest {
        format: FORMAT,
        content: Content::Journal,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        journal_id: hex(&journal_id(&journal.folder)?),
        made_at: now.to_string(),
        seq: report.head.seq.get(),
        sum: hex(&report.head.sum),
        last_at: report.last_at.map(|at| at.to_string()),
        files: Vec::new(),
    };
    if let Some(keys) = keys {
        let seq = SqliteReader::open(data)?.last()?.get();
        copy_vault(data, &keys.file(VAULT_FILE))?;
        let count = check_vault(&keys.file(VAULT_FILE))?;
        for name in PRIVATE_KEYS {
            keys.copy(&data.join(name))?;
        }
        let (sum, last_at) = (String::new(), None);
        let of_keys = Manifest { content: Content::Keys, seq, sum, last_at, ..manifest.clone() };
        keys.finish(of_keys)?;
        writeln!(out, "keys    {count} in {}", keys.name.display())?;
    }
    let (seq, sum) = (manifest.seq, manifest.sum.clone());
    journal.finish(manifest)?;
    writeln!(out, "events  {seq} in {}", to.display())?;
    writeln!(out, "head    {sum}")?;
    writeln!(out, "every link and every body of the copy is good")?;
    Ok(())
}

/// Puts a backup into the data folder `data`, which must hold no journal; with `keys`, no vault
/// either. Everything is proved before anything is written, and the journal comes last: a house
/// that finds it finds all of it.
///
/// # Errors
///
/// See [`BackupError`].
pub fn restore(
    from: &Path,
    keys: Option<&Path>,
    data: &Path,
    out: &mut dyn Write,
) -> Result<(), BackupError> {
    let journal = Manifest::read(from, Content::Journal)?;
    let head = prove(from, &journal)?;
    let of_keys = keys.map(|folder| Manifest::read(folder, Content::Keys)).transpose()?;
    if let (Some(of_keys), Some(keys)) = (&of_keys, keys) {
        go_together(&journal, of_keys).map_err(|why| BackupError::Apart {
            from: from.to_owned(),
            keys: keys.to_owned(),
            why,
        })?;
        check_vault(&keys.join(VAULT_FILE))?;
    } else if !data.join(VAULT_FILE).is_file() {
        return Err(BackupError::Keyless { path: data.to_owned() });
    }
    make_folder(data)?;
    let files: Vec<(&Path, Entry)> = keys
        .zip(of_keys)
        .into_iter()
        .chain([(from, journal)])
        // In each folder from the last to the first: the journal's file comes last of all.
        .flat_map(|(folder, of)| of.files.into_iter().rev().map(move |entry| (folder, entry)))
        .collect();
    let log = format!("{JOURNAL_FILE}-wal");
    let beside = [log.as_str(), SNAPSHOT_FILE].map(|name| data.join(name));
    let other = |(_, entry): &(&Path, Entry)| {
        let path = data.join(&entry.name);
        // What an earlier try put there is not in the way.
        (path.exists() && Entry::of(&path).ok().as_ref() != Some(entry)).then_some(path)
    };
    let taken = files.iter().filter_map(other);
    if let Some(path) = taken.chain(beside.into_iter().filter(|path| path.exists())).next() {
        return Err(BackupError::Taken { path });
    }
    for (folder, entry) in &files {
        put_back(&folder.join(&entry.name), &data.join(&entry.name))?;
    }
    sync_folder(data)?;
    writeln!(out, "events  {} in {}", head.seq, data.display())?;
    writeln!(out, "head    {}", hex(&head.sum))?;
    writeln!(out, "what happened after that event is not in it, erasures included: repeat those")?;
    Ok(())
}

/// Proves the journal of a backup against its manifest.
fn prove(from: &Path, manifest: &Manifest) -> Result<Head, BackupError> {
    let report = verify(from)?;
    match report.fault {
        Some(fault) => Err(BackupError::Broken(fault)),
        None if hex(&report.head.sum) != manifest.sum => {
            Err(BackupError::Changed { path: from.join(JOURNAL_FILE) })
        }
        None => Ok(report.head),
    }
}

fn go_together(journal: &Manifest, keys: &Manifest) -> Result<(), &'static str> {
    if journal.journal_id != keys.journal_id {
        return Err("they are of two houses");
    }
    // A vault that lacks the newest keys would give their numbers to other people.
    if keys.seq < journal.seq {
        return Err("the keys are older than the journal; take keys of the same day or later");
    }
    Ok(())
}

impl Manifest {
    /// Reads a folder's manifest and compares every file with it.
    fn read(folder: &Path, content: Content) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST_FILE);
        let mut text = String::new();
        let file = File::open(&path).map_err(refused("read", &path))?;
        io::Read::read_to_string(&mut io::Read::take(file, MANIFEST_BYTES_MAX), &mut text)
            .map_err(refused("read", &path))?;
        let known = |manifest: &Self| {
            let plain = |entry: &Entry| {
                Path::new(&entry.name).file_name().is_some_and(|name| name == entry.name.as_str())
            };
            manifest.format == FORMAT
                && manifest.content == content
                && manifest.files.iter().all(plain)
        };
        let manifest = serde_json::from_str(&text).ok().filter(known);
        let manifest: Self = manifest.ok_or(BackupError::Manifest { path })?;
        for entry in &manifest.files {
            if Entry::of(&folder.join(&entry.name))? != *entry {
                return Err(BackupError::Changed { path: folder.join(&entry.name) });
            }
        }
        Ok(manifest)
    }
}

impl Entry {
    fn of(path: &Path) -> Result<Self, BackupError> {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).map_err(refused("read", path))?;
        let bytes = io::copy(&mut file, &mut hasher).map_err(refused("read", path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, bytes, blake3: hasher.finalize().to_hex().to_string() })
    }
}

/// A folder of a backup that has not its name yet.
struct Draft {
    name: PathBuf,
    folder: PathBuf,
}

impl Draft {
    fn begin(name: &Path) -> Result<Self, BackupError> {
        if name.symlink_metadata().is_ok() {
            return Err(BackupError::Taken { path: name.to_owned() });
        }
        let mut part = name.as_os_str().to_owned();
        part.push(".part");
        let folder = PathBuf::from(part);
        match fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(BackupError::File { what: "remove", path: folder, source });
            }
            _removed_or_absent => {}
        }
        make_folder(&folder)?;
        Ok(Self { name: name.to_owned(), folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Copies a file of the data folder, if it is there.
    fn copy(&self, from: &Path) -> Result<(), BackupError> {
        let Some(name) = from.file_name().filter(|_name| from.is_file()) else { return Ok(()) };
        put_back(from, &self.folder.join(name))
    }

    /// Writes the manifest, makes all of it durable, and gives the folder its name.
    fn finish(&self, mut manifest: Manifest) -> Result<(), BackupError> {
        let files = fs::read_dir(&self.folder).map_err(refused("read", &self.folder))?;
        let mut names: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        names.sort();
        manifest.files = names.iter().map(|path| Entry::of(path)).collect::<Result<_, _>>()?;
        let path = self.file(MANIFEST_FILE);
        let text = serde_json::to_string_pretty(&manifest).map_err(io::Error::from)?;
        let mut file = private(&path)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .map_err(refused("write", &path))?;
        sync_folder(&self.folder)?;
        fs::rename(&self.folder, &self.name).map_err(refused("name", &self.name))?;
        sync_folder(self.name.parent().unwrap_or(&self.name))
    }
}

/// Refuses a folder within another.
fn apart(inner: &Path, outer: &Path) -> Result<(), BackupError> {
    let (real_inner, real_outer) = (resolve(inner), resolve(outer));
    if real_inner.starts_with(&real_outer) {
        return Err(BackupError::Together { inner: inner.to_owned(), outer: outer.to_owned() });
    }
    Ok(())
}

/// The path without links, also of one that is not there yet.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_empty| path.to_owned());
    let there = absolute.ancestors().find_map(|above| Some((above, fs::canonicalize(above).ok()?)));
    let Some((above, real)) = there else { return absolute };
    absolute.strip_prefix(above).map_or_else(|_outside| absolute.clone(), |rest| real.join(rest))
}

/// Whether there is room for a copy beside what a running house needs.
fn check_room(data: &Path, to: &Path) -> Result<(), BackupError> {
    let size = |name: &str| fs::metadata(data.join(name)).map_or(0, |found| found.len());
    let log = format!("{JOURNAL_FILE}-wal");
    let copy: u64 = [JOURNAL_FILE, &log, VAULT_FILE].into_iter().map(size).sum();
    let left = size(RESERVE_FILE).max(ROOM_LEFT_BYTES).saturating_mul(2);
    let needed = copy.saturating_add(left);
    let there = resolve(to).ancestors().find(|above| above.is_dir()).map(Path::to_owned);
    let path = there.unwrap_or_default();
    let free = free_bytes(&path)?;
    if free < needed { Err(BackupError::Room { path, free, needed }) } else { Ok(()) }
}

/// Copies a file under a name of its own, durable, and then gives it its name.
fn put_back(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut young = to.as_os_str().to_owned();
    young.push(".part");
    let young = PathBuf::from(young);
    let mut file = private(&young)?;
    let mut source = File::open(from).map_err(refused("copy", to))?;
    io::copy(&mut source, &mut file)
        .and_then(|_bytes| file.sync_all())
        .map_err(refused("write", to))?;
    fs::rename(&young, to).map_err(refused("name", to))
}

/// Makes a folder for its owner alone, with all above it.
fn make_folder(path: &Path) -> Result<(), BackupError> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(refused("make", path))
}

/// Opens a file for its owner alone, empty.
fn private(path: &Path) -> Result<File, BackupError> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(refused("write", path))
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |source| BackupError::File { what, path, source }
}

fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|folder| folder.sync_all()).map_err(refused("make durable", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use hansho_journal::{Journal as _, SqliteJournal, Vault};
    use hansho_model::{Event, Idem, Recorded, Reveal as _, Seq, SourceId};
    use tempfile::TempDir;

    use super::*;

    struct Case {
        folder: TempDir,
    }

    impl Case {
        fn new() -> Self {
            let case = Self { folder: tempfile::tempdir().unwrap() };
            drop(Vault::open(&case.at("data")).unwrap());
            case.append(3);
            case
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn append(&self, count: u64) {
            let mut journal = SqliteJournal::open(&self.at("data")).unwrap();
            for _each in 0..count {
                let seq = journal.head().seq.next();
                let event = Recorded {
                    seq,
                    at: Timestamp::from_second(i64::try_from(seq.get()).unwrap()).unwrap(),
                    source: SourceId::CORE,
                    cause: None,
                    idem: Idem::default(),
                    event: Event::ClockStepped { back_us: 1 },
                };
                journal.append(&[event]).unwrap();
            }
        }

        fn back_up(&self, to: &str, keys: Option<&str>) -> Result<String, BackupError> {
            let mut said = Vec::new();
            let keys = keys.map(|keys| self.at(keys));
            back_up(
                &self.at("data"),
                &self.at(to),
                keys.as_deref(),
                Timestamp::UNIX_EPOCH,
                &mut said,
            )?;
            Ok(String::from_utf8(said).unwrap())
        }

        fn restore(&self, from: &str, keys: Option<&str>, data: &str) -> Result<(), BackupError> {
            let keys = keys.map(|keys| self.at(keys));
            restore(&self.at(from), keys.as_deref(), &self.at(data), &mut Vec::new())
        }
    }

    #[test]
    fn a_backup_comes_back_and_goes_on() {
        let case = Case::new();
        let vault = Vault::open(&case.at("data")).unwrap();
        let sealed = vault.seal("person:a", b"secret").unwrap();
        fs::write(case.at("data/terminals.pem"), "public").unwrap();
        fs::write(case.at("data/terminals.key"), "private").unwrap();
        let said = case.back_up("backup", Some("keys")).unwrap();
        assert!(said.contains("events  3 in"), "{said}");
        case.append(2);
        case.restore("backup", Some("keys"), "new").unwrap();
        let report = verify(&case.at("new")).unwrap();
        assert_eq!((report.events, report.fault.is_none()), (3, true));
        assert_eq!(SqliteJournal::open(&case.at("new")).unwrap().head().seq, Seq::new(3));
        let again = Vault::open(&case.at("new")).unwrap();
        assert_eq!(again.reveal(&sealed).as_deref(), Some(b"secret".as_slice()));
        for name in ["terminals.key", "terminals.pem", "journal.db", "vault.db"] {
            let mode = fs::metadata(case.at("new").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(!case.at("backup/terminals.key").exists(), "no secret beside the journal");
        assert!(!case.at("backup/vault.db").exists(), "no secret beside the journal");
    }

    #[test]
    fn nothing_is_overwritten_and_a_left_over_is_not_in_the_way() {
        let case = Case::new();
        fs::create_dir(case.at("backup.part")).unwrap();
        fs::write(case.at("backup.part/journal.db"), "torn").unwrap();
        case.back_up("backup", None).unwrap();
        let before = fs::read(case.at("backup/manifest.json")).unwrap();
        let twice = case.back_up("backup", None);
        assert!(matches!(twice, Err(BackupError::Taken { .. })), "{twice:?}");
        assert_eq!(fs::read(case.at("backup/manifest.json")).unwrap(), before);
        let taken = case.restore("backup", None, "data");
        assert!(matches!(taken, Err(BackupError::Taken { .. })), "{taken:?}");
        let mut names: Vec<_> = fs::read_dir(case.at("backup"))
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["journal.db", "manifest.json"]);
    }

    #[test]
    fn keys_data_and_journal_stand_apart() {
        let case = Case::new();
        for (to, keys) in [
            ("data/backup", None),
            ("backup", Some("backup/keys")),
            ("backup", Some("backup")),
            ("keys/backup", Some("keys")),
            ("backup", Some("data/keys")),
        ] {
            let refused = case.back_up(to, keys);
            assert!(matches!(refused, Err(BackupError::Together { .. })), "{to} {refused:?}");
        }
    }

    #[test]
    fn no_room_is_said_before_anything_is_copied() {
        let case = Case::new();
        // A reserve of holes: as long as it is, no disk has twice as much.
        File::create(case.at("data/reserve.bin")).unwrap().set_len(1 << 42).unwrap();
        let refused = case.back_up("backup", None);
        assert!(matches!(refused, Err(BackupError::Room { .. })), "{refused:?}");
        assert!(!case.at("backup").exists());
    }

    #[test]
    fn a_broken_journal_is_not_backed_up_and_a_broken_backup_not_put_back() {
        let case = Case::new();
        case.back_up("backup", Some("keys")).unwrap();
        for name in ["backup/journal.db", "keys/vault.db"] {
            let whole = fs::read(case.at(name)).unwrap();
            let mut broken = whole.clone();
            broken[100] ^= 1;
            fs::write(case.at(name), broken).unwrap();
            let refused = case.restore("backup", Some("keys"), "new");
            assert!(matches!(refused, Err(BackupError::Changed { .. })), "{refused:?}");
            fs::write(case.at(name), whole).unwrap();
        }
        for text in ["", "{}", "{\"format\":2}"] {
            let whole = fs::read(case.at("backup/manifest.json")).unwrap();
            fs::write(case.at("backup/manifest.json"), text).unwrap();
            let refused = case.restore("backup", Some("keys"), "new");
            assert!(matches!(refused, Err(BackupError::Manifest { .. })), "{refused:?}");
            fs::write(case.at("backup/manifest.json"), whole).unwrap();
        }
        assert!(!case.at("new").exists(), "proved before anything is written");
        let swapped = case.restore("keys", Some("backup"), "new");
        assert!(matches!(swapped, Err(BackupError::Manifest { .. })), "{swapped:?}");
        let head = SqliteJournal::open(&case.at("data")).unwrap().head();
        for side in ["data/journal.db-wal", "data/journal.db-shm"] {
            fs::remove_file(case.at(side)).unwrap();
        }
        let mut bytes = fs::read(case.at("data/journal.db")).unwrap();
        let at = bytes.windows(32).position(|window| window == head.sum).unwrap();
        bytes[at] ^= 1;
        fs::write(case.at("data/journal.db"), bytes).unwrap();
        let refused = case.back_up("broken", None);
        assert!(matches!(refused, Err(BackupError::Broken(_))), "{refused:?}");
        assert!(!case.at("broken").exists());
    }

    #[test]
    fn keys_that_are_older_missing_or_of_another_house_are_refused() {
        let case = Case::new();
        case.back_up("old", Some("old-keys")).unwrap();
        case.append(1);
        case.back_up("backup", Some("keys")).unwrap();
        let older = case.restore("backup", Some("old-keys"), "new");
        assert!(matches!(older, Err(BackupError::Apart { .. })), "{older:?}");
        let none = case.restore("backup", None, "new");
        assert!(matches!(none, Err(BackupError::Keyless { .. })), "{none:?}");
        case.restore("old", Some("keys"), "new").unwrap();
        let other = Case::new();
        other.back_up("backup", Some("keys")).unwrap();
        let mixed = restore(
            &case.at("backup"),
            Some(&other.at("keys")),
            &case.at("newer"),
            &mut Vec::new(),
        );
        assert!(matches!(mixed, Err(BackupError::Apart { .. })), "{mixed:?}");
    }
}
