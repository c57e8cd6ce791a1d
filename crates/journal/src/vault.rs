//! The vault: data keys of people and days, sealing, tokens, erasure.
//!
//! One file, `vault.db`, beside the journal and never in it: destroying a key here makes every
//! value sealed under it unreadable, while the journal with its chain stays whole. A key is
//! durable before anything sealed under it is handed out. A destroyed key's subject stays
//! destroyed.
//!
//! Erasure goes as far as files go: the row is overwritten, the file is written anew without any
//! left-over, the rollback journal is filled with zeros. Copies of blocks that a solid-state disk
//! or a file system keeps for itself are out of reach; encrypt the disk for those.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hansho_model::{KeyId, Reveal, Sealed, Seq, Token};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::sqlite::file::{self, beside, fault, file_fault, name};
use crate::{JOURNAL_FILE, JournalError, SqliteReader};

/// File of the vault in the data folder.
pub const VAULT_FILE: &str = "vault.db";
/// File whose lock says that a process has the vault.
const LOCK_FILE: &str = "vault.lock";
/// `application_id` of a vault: `HNSV`.
pub(crate) const APPLICATION_ID: i64 = 0x484e_5356;
/// Version of the tables; in `user_version`.
pub(crate) const SCHEMA_VERSION: i64 = 1;
/// Bytes of a nonce in front of the ciphertext.
const NONCE_SIZE: usize = 24;

const SCHEMA: &str = "
CREATE TABLE data_key(
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  subject TEXT NOT NULL UNIQUE,
  key     BLOB
) STRICT;
CREATE TABLE meta(k TEXT PRIMARY KEY, v BLOB NOT NULL) STRICT;
";

const PRAGMAS: [(&str, &str, &str); 9] = [
    ("page_size", "4096", "4096"),
    // The rollback journal stays, so that its bytes can be overwritten where they lie.
    ("journal_mode", "PERSIST", "persist"),
    ("synchronous", "EXTRA", "3"),
    ("secure_delete", "ON", "1"),
    ("temp_store", "MEMORY", "2"),
    ("mmap_size", "0", "0"),
    ("trusted_schema", "OFF", "0"),
    ("cell_size_check", "ON", "1"),
    ("auto_vacuum", "NONE", "0"),
];

/// Why the vault could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The vault's file refused.
    #[error(transparent)]
    File(#[from] JournalError),
    /// There is a journal and no vault: everything personal in it would stay closed for ever.
    #[error(
        "{path} is missing and the journal beside it has events: restore it from a copy; only \
         the vault opens the journal's personal values"
    )]
    Missing {
        /// File.
        path: String,
    },
    /// The person was erased.
    #[error("data key {} was destroyed: its person was erased and cannot be written about again", key.0)]
    Destroyed {
        /// Key.
        key: KeyId,
    },
    /// There is no such key.
    #[error("data key {} is not in the vault", key.0)]
    Unknown {
        /// Key.
        key: KeyId,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Random(#[source] getrandom::Error),
    /// The cipher refused: the value is longer than 256 GiB.
    #[error("a value is too long to seal")]
    TooLong,
}

/// Keys that were used lately.
#[derive(Default)]
struct Cache {
    subjects: HashMap<String, KeyId>,
    ciphers: HashMap<KeyId, XChaCha20Poly1305>,
}

/// The vault, open. Shared by all who seal and reveal.
pub struct Vault {
    path: PathBuf,
    /// Taken before `cache` where both are.
    store: Mutex<Connection>,
    cache: RwLock<Cache>,
    token_key: [u8; 32],
    mac_key: [u8; 32],
    /// Never read: its lock ends with it.
    _lock: File,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", name(&self.path))
    }
}

impl Vault {
    /// Opens the vault of a data folder, alone; makes folder and vault at the first start.
    ///
    /// # Errors
    ///
    /// The folder cannot be used; another process has the vault; it is damaged, of a newer
    /// version, or no vault; it is missing beside a journal with events.
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        file::ensure_folder(folder)?;
        let lock = file::lock(&folder.join(LOCK_FILE))?;
        let path = folder.join(VAULT_FILE);
        let empty = file::size(&path)?.unwrap_or(0) == 0;
        if empty && has_events(folder)? {
            return Err(VaultError::Missing { path: name(&path) });
        }
        drop(file::open_private(&path)?);
        let mut connection = file::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A first start that was cut off in the middle of making it rolls back to nothing.
        let fresh = pages(&connection, &path)? == 0;
        if fresh && !empty && has_events(folder)? {
            return Err(VaultError::Missing { path: name(&path) });
        }
        if !fresh {
            file::check_kind(&connection, &path, APPLICATION_ID, SCHEMA_VERSION)?;
        }
        for (setting, value, wanted) in PRAGMAS {
            file::set(&connection, &path, setting, value, wanted)?;
        }
        if fresh {
            let secret = random::<32>()?;
            create(&mut connection, &secret)
                .map_err(|error| fault("make the vault", &path, error))?;
            file::sync_folder(folder)?;
        }
        let unswept = meta(&connection, &path, "unswept")?.is_some();
        if unswept {
            match sweep(&connection, &path) {
                // Whoever destroyed the key was told that it failed, and will try again.
                Ok(()) | Err(JournalError::Full { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let secret = meta(&connection, &path, "secret")?
            .ok_or_else(|| JournalError::Foreign { path: name(&path) })?;
        Ok(Self {
            path,
            store: Mutex::new(connection),
            cache: RwLock::default(),
            token_key: blake3::derive_key("hansho 1 vault token", &secret),
            mac_key: blake3::derive_key("hansho 1 vault mac", &secret),
            _lock: lock,
        })
    }

    /// The key of a subject such as `person:helper-0001` or `day:2026-11-23`, made durable if it
    /// is new.
    ///
    /// # Errors
    ///
    /// The key was destroyed; the vault's file refuses.
    pub fn key(&self, subject: &str) -> Result<KeyId, VaultError> {
        let known = self.read_cache(|cache| cache.subjects.get(subject).copied());
        match known {
            Some(key) => Ok(key),
            None => self.load(subject).map(|(key, _cipher)| key),
        }
    }

    /// Makes the missing keys of many subjects in one durable write: a register of thousands is
    /// entered in one commit. Destroyed keys stay destroyed.
    ///
    /// # Errors
    ///
    /// The vault's file refuses; no random bytes.
    pub fn prepare(&self, subjects: impl Iterator<Item = String>) -> Result<(), VaultError> {
        let mut store = self.lock_store();
        let wrong = |error| fault("make data keys", &self.path, error);
        let transaction = store.transaction().map_err(wrong)?;
        for subject in subjects {
            let fresh = random::<32>()?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO data_key(subject, key) VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute(params![subject, fresh]))
                .map_err(wrong)?;
        }
        Ok(transaction.commit().map_err(wrong)?)
    }

    /// Seals a value under its subject's key.
    ///
    /// # Errors
    ///
    /// The key was destroyed; the vault's file refuses a new key; no random bytes.
    pub fn seal(&self, subject: &str, clear: &[u8]) -> Result<Sealed, VaultError> {
        let sealed = self.read_cache(|cache| {
            let key = *cache.subjects.get(subject)?;
            cache.ciphers.get(&key).map(|cipher| seal(cipher, key, clear))
        });
        match sealed {
            Some(sealed) => sealed,
            None => self.load(subject).and_then(|(key, cipher)| seal(&cipher, key, clear)),
        }
    }

    /// Equal for equal values of one purpose, and telling nothing else. Bring the value into one
    /// form first (case, spaces): the vault compares bytes.
    #[must_use]
    pub fn token(&self, purpose: &str, value: &[u8]) -> Token {
        Token(keyed(&self.token_key, purpose, value))
    }

    /// Proves that bytes such as those of an answer link came from us. Compare it with one from
    /// outside in constant time only.
    #[must_use]
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 16] {
        keyed(&self.mac_key, purpose, bytes)
    }

    /// Destroys a key for ever; durable when this returns. Doing it twice is doing it once.
    ///
    /// # Errors
    ///
    /// There is no such key; the vault's file refuses: then it is unknown whether the key is
    /// destroyed, and it must be tried again.
    pub fn destroy(&self, key: KeyId) -> Result<(), VaultError> {
        let mut store = self.lock_store();
        {
            // Who seals from here on waits for the store and finds the key destroyed.
            let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
            cache.ciphers.remove(&key);
            cache.subjects.retain(|_subject, known| *known != key);
        }
        let wrong = |error| fault("destroy a data key", &self.path, error);
        let transaction = store.transaction().map_err(wrong)?;
        let changed = transaction
            .execute("UPDATE data_key SET key = NULL WHERE id = ?1", [row_id(key)])
            .map_err(wrong)?;
        if changed == 0 {
            return Err(VaultError::Unknown { key });
        }
        transaction
            .execute("INSERT OR REPLACE INTO meta(k, v) VALUES ('unswept', x'01')", [])
            .map_err(wrong)?;
        transaction.commit().map_err(wrong)?;
        Ok(sweep(&store, &self.path)?)
    }

    /// Destroys the key of a person who was erased, if it is there: a copy that was put back may
    /// bring again what the journal says was destroyed. `true` when it did. A key that is another
    /// subject's is left alone.
    ///
    /// # Errors
    ///
    /// As [`Vault::destroy`].
    pub fn forget(&self, subject: &str, key: KeyId) -> Result<bool, VaultError> {
        let wrong = |error| fault("read a data key", &self.path, error);
        let found: Option<i64> = self
            .lock_store()
            .prepare_cached(
                "SELECT id FROM data_key WHERE subject = ?1 AND id = ?2 AND key IS NOT NULL",
            )
            .and_then(|mut find| {
                find.query_row(params![subject, row_id(key)], |row| row.get(0)).optional()
            })
            .map_err(wrong)?;
        if found.is_some() {
            self.destroy(key)?;
        }
        Ok(found.is_some())
    }

    fn lock_store(&self) -> MutexGuard<'_, Connection> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_cache<T>(&self, look: impl FnOnce(&Cache) -> T) -> T {
        look(&self.cache.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings a subject's key into the cache; makes it first if there is none.
    fn load(&self, subject: &str) -> Result<(KeyId, XChaCha20Poly1305), VaultError> {
        let store = self.lock_store();
        let wrong = |error| fault("read a data key", &self.path, error);
        let found: Option<(i64, Option<[u8; 32]>)> = store
            .prepare_cached("SELECT id, key FROM data_key WHERE subject = ?1")
            .and_then(|mut find| {
                find.query_row([subject], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })
            .map_err(wrong)?;
        let (key, bytes) = match found {
            Some((id, None)) => return Err(VaultError::Destroyed { key: key_id(id) }),
            Some((id, Some(bytes))) => (key_id(id), bytes),
            None => {
                let bytes = random::<32>()?;
                store
                    .prepare_cached("INSERT INTO data_key(subject, key) VALUES (?1, ?2)")
                    .and_then(|mut insert| insert.execute(params![subject, bytes]))
                    .map_err(|error| fault("make a data key", &self.path, error))?;
                (key_id(store.last_insert_rowid()), bytes)
            }
        };
        let cipher = XChaCha20Poly1305::new(&Key::from(bytes));
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.subjects.insert(subject.to_owned(), key);
        cache.ciphers.insert(key, cipher.clone());
        Ok((key, cipher))
    }

    /// A key's cipher from the file.
    fn find(&self, key: KeyId) -> Option<XChaCha20Poly1305> {
        let store = self.lock_store();
        let bytes: Option<[u8; 32]> = store
            .prepare_cached("SELECT key FROM data_key WHERE id = ?1")
            .and_then(|mut find| find.query_row([row_id(key)], |row| row.get(0)))
            .ok()?;
        let cipher = XChaCha20Poly1305::new(&Key::from(bytes?));
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        cache.ciphers.insert(key, cipher.clone());
        Some(cipher)
    }
}

impl Reveal for Vault {
    fn reveal(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        let cached = self
            .read_cache(|cache| cache.ciphers.get(&sealed.key).map(|cipher| open(cipher, sealed)));
        cached.unwrap_or_else(|| self.find(sealed.key).and_then(|cipher| open(&cipher, sealed)))
    }
}

fn seal(cipher: &XChaCha20Poly1305, key: KeyId, clear: &[u8]) -> Result<Sealed, VaultError> {
    let nonce = random::<NONCE_SIZE>()?;
    let payload = Payload { msg: clear, aad: &key.0.to_le_bytes() };
    let closed =
        cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_opaque| VaultError::TooLong)?;
    Ok(Sealed { key, bytes: [nonce.as_slice(), &closed].concat() })
}

fn open(cipher: &XChaCha20Poly1305, sealed: &Sealed) -> Option<Vec<u8>> {
    let (nonce, closed) = sealed.bytes.split_first_chunk::<NONCE_SIZE>()?;
    let payload = Payload { msg: closed, aad: &sealed.key.0.to_le_bytes() };
    cipher.decrypt(&XNonce::from(*nonce), payload).ok()
}

/// The first 16 bytes of a keyed BLAKE3 of the purpose's length, the purpose and the value.
fn keyed(key: &[u8; 32], purpose: &str, value: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&u64::try_from(purpose.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(value);
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn random<const SIZE: usize>() -> Result<[u8; SIZE], VaultError> {
    let mut bytes = [0; SIZE];
    getrandom::fill(&mut bytes).map_err(VaultError::Random)?;
    Ok(bytes)
}

/// Numbers of keys are those of rows, from 1; one beyond a row's range is no key.
fn row_id(key: KeyId) -> i64 {
    i64::try_from(key.0).unwrap_or(0)
}

fn key_id(row: i64) -> KeyId {
    KeyId(u64::try_from(row).unwrap_or(0))
}

fn create(connection: &mut Connection, secret: &[u8; 32]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta(k, v) VALUES ('secret', ?1)", [secret])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn pages(connection: &Connection, path: &Path) -> Result<i64, JournalError> {
    connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .map_err(|error| fault("read the vault", path, error))
}

fn has_events(folder: &Path) -> Result<bool, VaultError> {
    if file::size(&folder.join(JOURNAL_FILE))?.unwrap_or(0) == 0 {
        return Ok(false);
    }
    Ok(SqliteReader::open(folder)?.last()? > Seq::ZERO)
}

fn meta(connection: &Connection, path: &Path, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
    connection
        .query_row("SELECT v FROM meta WHERE k = ?1", [key], |row| row.get(0))
        .optional()
        .map_err(|error| fault("read the vault", path, error))
}

/// Writes the file anew, so that no page keeps a copy of a cell in its free room, and fills the
/// rollback journal, which holds pages as they were, with zeros.
fn sweep(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let wrong = |error| fault("sweep the vault", path, error);
    connection.flush_prepared_statement_cache();
    connection.execute_batch("VACUUM").map_err(wrong)?;
    let old = beside(path, "-journal");
    if let Some(size) = file::size(&old)?.filter(|size| *size > 0) {
        let zeros = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        OpenOptions::new()
            .write(true)
            .open(&old)
            .and_then(|mut open| {
                open.write_all(&zeros)?;
                open.sync_all()
            })
            .map_err(|error| file_fault("sweep the vault", &old, error))?;
    }
    connection.execute("DELETE FROM meta WHERE k = 'unswept'", []).map_err(wrong)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn raw_key(vault: &Vault, key: KeyId) -> Vec<u8> {
        let store = vault.lock_store();
        store
            .query_row("SELECT key FROM data_key WHERE id = ?1", [row_id(key)], |row| row.get(0))
            .unwrap()
    }

    /// Whether any file of the folder holds the bytes.
    fn anywhere(folder: &Path, bytes: &[u8]) -> bool {
        fs::read_dir(folder).unwrap().any(|entry| {
            let found = fs::read(entry.unwrap().path()).unwrap();
            found.windows(bytes.len()).any(|window| window == bytes)
        })
    }

    #[test]
    fn what_is_sealed_is_revealed_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let sealed = vault.seal("person:helper-0001", "山田 花子".as_bytes()).unwrap();
        let again = vault.seal("person:helper-0001", "山田 花子".as_bytes()).unwrap();
        let empty = vault.seal("day:2026-11-23", b"").unwrap();
        assert_eq!(sealed.key, again.key);
        assert_ne!(sealed.bytes, again.bytes);
        assert_ne!(sealed.key, empty.key);
        assert_eq!(sealed.bytes.len(), 24 + "山田 花子".len() + 16);
        assert_eq!(vault.reveal_text(&sealed).as_deref(), Some("山田 花子"));
        assert_eq!(vault.reveal(&empty), Some(Vec::new()));
        drop(vault);
        let vault = Vault::open(folder.path()).unwrap();
        assert_eq!(vault.reveal_text(&sealed).as_deref(), Some("山田 花子"));
        assert_eq!(vault.key("person:helper-0001").unwrap(), sealed.key);
        assert!(!anywhere(folder.path(), "山田 花子".as_bytes()));
    }

    #[test]
    fn a_key_that_came_back_is_destroyed_again_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let (erased, other) =
            (vault.key("person:a").unwrap(), vault.seal("person:b", b"secret").unwrap());
        assert!(!vault.forget("person:a", other.key).unwrap());
        assert!(!vault.forget("person:a", KeyId(u64::MAX)).unwrap());
        assert!(vault.forget("person:a", erased).unwrap());
        assert!(!vault.forget("person:a", erased).unwrap(), "once is enough");
        let gone = vault.key("person:a");
        assert!(matches!(gone, Err(VaultError::Destroyed { key }) if key == erased));
        assert_eq!(vault.reveal(&other).as_deref(), Some(b"secret".as_slice()));
    }

    #[test]
    fn changed_or_moved_values_are_not_revealed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let sealed = vault.seal("person:a", b"secret").unwrap();
        let other = vault.key("person:b").unwrap();
        for index in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[index] ^= 1;
            assert_eq!(vault.reveal(&changed), None);
        }
        for key in [other, KeyId(99), KeyId(0), KeyId(u64::MAX)] {
            assert_eq!(vault.reveal(&Sealed { key, ..sealed.clone() }), None);
        }
        for size in [0, 23, 24, 39] {
            let bytes = sealed.bytes[..size].to_vec();
            assert_eq!(vault.reveal(&Sealed { key: sealed.key, bytes }), None);
        }
    }

    #[test]
    fn a_destroyed_key_is_nowhere_and_stays_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let people: Vec<String> = (0..300).map(|number| format!("person:{number:04}")).collect();
        vault.prepare(people.iter().cloned()).unwrap();
        let sealed: Vec<Sealed> =
            people.iter().map(|person| vault.seal(person, b"name").unwrap()).collect();
        for victim in [7, 150, 299] {
            let (subject, sealed) = (&people[victim], &sealed[victim]);
            let bytes = raw_key(&vault, sealed.key);
            assert!(anywhere(folder.path(), &bytes));
            vault.destroy(sealed.key).unwrap();
            vault.destroy(sealed.key).unwrap();
            assert!(!anywhere(folder.path(), &bytes));
            assert_eq!(vault.reveal(sealed), None);
            let error = vault.seal(subject, b"name").unwrap_err();
            assert!(matches!(error, VaultError::Destroyed { key } if key == sealed.key));
            vault.prepare([subject.clone()].into_iter()).unwrap();
            assert!(matches!(vault.key(subject), Err(VaultError::Destroyed { .. })));
        }
        let error = vault.destroy(KeyId(5_000)).unwrap_err();
        assert!(matches!(error, VaultError::Unknown { key: KeyId(5_000) }));
        drop(vault);
        let vault = Vault::open(folder.path()).unwrap();
        for (number, (subject, sealed)) in people.iter().zip(&sealed).enumerate() {
            let gone = [7, 150, 299].contains(&number);
            assert_eq!(vault.reveal(sealed).is_none(), gone);
            assert_eq!(vault.key(subject).is_err(), gone);
        }
        let fresh = vault.key("person:new").unwrap();
        assert!(sealed.iter().all(|old| old.key != fresh), "numbers are never given twice");
    }

    #[test]
    fn a_sweep_that_broke_off_is_done_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        for number in 0..100 {
            vault.key(&format!("person:{number}")).unwrap();
        }
        let bytes = raw_key(&vault, KeyId(50));
        vault
            .lock_store()
            .execute_batch(
                "BEGIN; UPDATE data_key SET key = NULL WHERE id = 50;
                 INSERT INTO meta(k, v) VALUES ('unswept', x'01'); COMMIT;",
            )
            .unwrap();
        drop(vault);
        assert!(anywhere(folder.path(), &bytes), "the rollback journal has it");
        drop(Vault::open(folder.path()).unwrap());
        assert!(!anywhere(folder.path(), &bytes));
    }

    #[test]
    fn tokens_and_macs_are_equal_for_equals_only() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let token = vault.token("mail", b"a@example.jp");
        let mac = vault.mac("answer", b"184300.1");
        assert_ne!(token, vault.token("mail", b"b@example.jp"));
        assert_ne!(token, vault.token("phone", b"a@example.jp"));
        assert_ne!(vault.token("a", b"bc"), vault.token("ab", b"c"));
        assert_ne!(token.0, vault.mac("mail", b"a@example.jp"));
        assert_ne!(mac, vault.mac("answer", b"184300.2"));
        assert_ne!(mac, vault.mac("session", b"184300.1"));
        drop(vault);
        let vault = Vault::open(folder.path()).unwrap();
        assert_eq!(
            (vault.token("mail", b"a@example.jp"), vault.mac("answer", b"184300.1")),
            (token, mac)
        );
        let other = tempfile::tempdir().unwrap();
        let stranger = Vault::open(other.path()).unwrap();
        assert_ne!(token, stranger.token("mail", b"a@example.jp"));
        assert_ne!(mac, stranger.mac("answer", b"184300.1"));
    }

    #[test]
    fn one_process_has_it_and_many_threads() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let error = Vault::open(folder.path()).unwrap_err();
        assert!(matches!(error, VaultError::File(JournalError::Busy { .. })), "{error}");
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let vault = &vault;
                scope.spawn(move || {
                    for number in 0..50_u32 {
                        let subject = format!("person:{}", (number + thread) % 20);
                        let sealed = vault.seal(&subject, b"x").unwrap();
                        assert_eq!(vault.key(&subject).unwrap(), sealed.key);
                        assert_eq!(vault.reveal(&sealed).unwrap(), b"x");
                    }
                });
            }
        });
        let keys: std::collections::BTreeSet<KeyId> =
            (0..20).map(|number| vault.key(&format!("person:{number}")).unwrap()).collect();
        assert_eq!(keys.len(), 20);
    }

    #[test]
    fn a_first_start_that_was_cut_off_is_begun_anew() {
        let (cut, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let young = Connection::open(cut.path().join(VAULT_FILE)).unwrap();
        young
            .execute_batch(
                "PRAGMA journal_mode=PERSIST; PRAGMA cache_size=10; BEGIN; CREATE TABLE t(v BLOB);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
                 INSERT INTO t SELECT zeroblob(4000) FROM n;",
            )
            .unwrap();
        // What a power cut leaves: pages in the file, and the journal that takes them back.
        for each in [VAULT_FILE.to_owned(), format!("{VAULT_FILE}-journal")] {
            let bytes = fs::copy(cut.path().join(&each), folder.path().join(&each)).unwrap();
            assert!(bytes > 0, "{each} is empty");
        }
        let vault = Vault::open(folder.path()).unwrap();
        let sealed = vault.seal("day:2026-11-23", b"x").unwrap();
        assert_eq!(vault.reveal(&sealed).unwrap(), b"x");
    }

    #[test]
    fn a_lost_newer_or_foreign_vault_is_refused() {
        use crate::{Journal as _, SqliteJournal};
        let folder = tempfile::tempdir().unwrap();
        drop(Vault::open(folder.path()).unwrap());
        let path = folder.path().join(VAULT_FILE);
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA user_version=2").unwrap();
        let error = Vault::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("newer version (2; this release knows 1)"), "{error}");
        connection.execute_batch("PRAGMA application_id=1").unwrap();
        let error = Vault::open(folder.path()).unwrap_err();
        assert!(matches!(error, VaultError::File(JournalError::Foreign { .. })), "{error}");
        drop(connection);
        fs::remove_file(&path).unwrap();
        let mut journal = SqliteJournal::open(folder.path()).unwrap();
        drop(Vault::open(folder.path()).unwrap());
        fs::remove_file(&path).unwrap();
        journal.append(&crate::sqlite::tests::batch(1, 1)).unwrap();
        let error = Vault::open(folder.path()).unwrap_err();
        assert!(matches!(error, VaultError::Missing { .. }), "{error}");
        assert!(!path.exists());
    }
}
