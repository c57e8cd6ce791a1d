//! The spool: what the telephone side said while no core could write it down.
//!
//! One file beside the journal, `calls.spool`, a record after the other: length, BLAKE3 of the
//! record, record. It is synced after each record and read at the start of a supervisor; a torn end
//! is what a crash leaves and is cut off. Once all of it is in the journal the file is overwritten
//! with zeros and removed: it holds requests in the clear.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::line::{FRAME_BYTES_MAX, Said};

/// Name of the file in the data folder.
const FILE: &str = "calls.spool";
/// Most bytes the file may have: some thousand calls. Past it, what is said is kept in memory only.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The spool of a data folder.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl Spool {
    /// Reads what an earlier supervisor left. Without a folder, or with one that cannot be read, it
    /// begins empty and says so: 119 rings all the same.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, Vec<Said>) {
        let mut spool = Self { path: folder.join(FILE), file: None, bytes: 0 };
        let left = match spool.read() {
            Ok(left) => left,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let path = spool.path.display();
                tracing::error!(%error, %path, "The spool of calls cannot be read; it is set aside.");
                Vec::new()
            }
        };
        (spool, left)
    }

    fn read(&mut self) -> io::Result<Vec<Said>> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        let (left, sound) = records(&bytes);
        file.set_len(sound)?;
        file.seek(SeekFrom::End(0))?;
        self.bytes = sound;
        self.file = Some(file);
        Ok(left)
    }

    /// Writes a record down. `false` when it could not be made durable: it is then in memory only.
    pub fn keep(&mut self, said: &Said) -> bool {
        match self.append(said) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "A call could not be spooled; it rings all the same.");
                false
            }
        }
    }

    fn append(&mut self, said: &Said) -> io::Result<()> {
        let record = postcard::to_allocvec(said).map_err(io::Error::other)?;
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        let sum = blake3::hash(&record);
        let bytes = [length.to_le_bytes().as_slice(), sum.as_bytes(), &record].concat();
        let grown = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if self.bytes.saturating_add(grown) > FILE_BYTES_MAX {
            return Err(io::Error::other("the spool is full"));
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = OpenOptions::new()
                    .create(true)
                    .truncate(true)
                    .write(true)
                    .mode(0o600)
                    .open(&self.path)?;
                sync_folder(&self.path)?;
                self.file.insert(file)
            }
        };
        let done = file.write_all(&bytes).and_then(|()| file.sync_data());
        if done.is_err() {
            // Half a record would hide those after it.
            file.set_len(self.bytes)?;
            file.seek(SeekFrom::Start(self.bytes))?;
        }
        done?;
        self.bytes = self.bytes.saturating_add(grown);
        Ok(())
    }

    /// All of it is in the journal: nothing of it stays on the disk.
    pub fn clear(&mut self) {
        let Some(mut file) = self.file.take() else { return };
        let blank = vec![0; 64 << 10];
        let mut wipe = || -> io::Result<()> {
            file.seek(SeekFrom::Start(0))?;
            let mut left = self.bytes;
            while left > 0 {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(blank.len());
                file.write_all(blank.get(..count).unwrap_or_default())?;
                left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
            }
            file.sync_data()?;
            fs::remove_file(&self.path)?;
            sync_folder(&self.path)
        };
        if let Err(error) = wipe() {
            tracing::error!(%error, "The spool of calls could not be removed; it is sent again.");
        }
        self.bytes = 0;
    }
}

/// Makes the name of a file in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
    File::open(folder)?.sync_all()
}

/// The sound records from the beginning on, and how many bytes they take.
fn records(bytes: &[u8]) -> (Vec<Said>, u64) {
    let mut rest = bytes;
    let mut found = Vec::new();
    let mut sound = 0_u64;
    while let Some((said, taken)) = record(rest) {
        found.push(said);
        rest = rest.get(taken..).unwrap_or_default();
        sound = sound.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
    }
    (found, sound)
}

fn record(bytes: &[u8]) -> Option<(Said, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<32>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let record = rest.get(..length).filter(|_record| length <= FRAME_BYTES_MAX)?;
    if blake3::hash(record) != *sum {
        return None;
    }
    let said = postcard::from_bytes(record).ok()?;
    Some((said, length.checked_add(36)?))
}

#[cfg(test)]
mod tests {
    use super::super::line::What;
    use super::*;

    fn said(number: u64) -> Said {
        Said {
            number,
            call: format!("call{number}"),
            received_at_us: 1,
            unrecorded: true,
            what: What::Offered { peer: "127.0.0.1:1".to_owned(), raw: vec![7; 300] },
        }
    }

    #[test]
    fn what_was_kept_is_there_after_a_crash_and_gone_when_it_is_journalled() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, left) = Spool::open(folder.path());
        assert_eq!(left, []);
        assert!(spool.keep(&said(1)) && spool.keep(&said(2)));
        drop(spool);
        let (mut spool, left) = Spool::open(folder.path());
        assert_eq!(left, [said(1), said(2)]);
        assert!(spool.keep(&said(3)));
        drop(spool);
        let (mut spool, left) = Spool::open(folder.path());
        assert_eq!(left.len(), 3);
        spool.clear();
        assert!(!folder.path().join(FILE).exists());
        assert!(spool.keep(&said(4)));
        assert_eq!(Spool::open(folder.path()).1, [said(4)]);
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (mut spool, _none) = Spool::open(folder.path());
        assert!(spool.keep(&said(1)) && spool.keep(&said(2)));
        drop(spool);
        let whole = fs::read(&path).unwrap();
        let one = whole.len() / 2;
        for end in one..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let (mut spool, left) = Spool::open(folder.path());
            assert_eq!(left, [said(1)], "{end}");
            assert!(spool.keep(&said(9)));
            assert_eq!(Spool::open(folder.path()).1, [said(1), said(9)]);
        }
        let mut flipped = whole;
        flipped[one + 50] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(Spool::open(folder.path()).1, [said(1)]);
    }

    #[test]
    fn without_a_folder_a_call_is_not_lost_for_a_spool() {
        let (mut spool, left) = Spool::open(Path::new("/nowhere/at/all"));
        assert_eq!(left, []);
        assert!(!spool.keep(&said(1)));
        spool.clear();
    }
}
