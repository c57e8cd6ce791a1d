//! The spool: what the telephone side said while no core could write it down.
//!
//! One file beside the journal, `calls.spool`: a byte that tells its form, then a record after the
//! other: length, BLAKE3 of the record, record. It is synced after each record and read at the start
//! of a supervisor; a torn end is what a crash leaves and is cut off. What else cannot be read is
//! kept beside it, as `calls.spool.1` and on, for a person to look at. Once all of it is in the
//! journal the file is overwritten and removed: it holds requests in the clear.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::line::{FRAME_BYTES_MAX, Said};

/// Name of the file in the data folder.
const FILE: &str = "calls.spool";
/// First byte of the file: the form of its records. It changes with what [`Said`] is made of.
const FORM: u8 = 1;
/// First byte of a file that is being overwritten: nothing of it is needed any more.
const WIPED: u8 = 0xFF;
/// Most spools that are kept aside; beyond, the last one gives way.
const ASIDE_COUNT_MAX: usize = 8;
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
    /// Reads what an earlier supervisor left. Without a folder, or with a file that cannot be read,
    /// it begins empty and says so: 119 rings all the same.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, Vec<Said>) {
        let mut spool = Self { path: folder.join(FILE), file: None, bytes: 0 };
        let left = match spool.read() {
            Ok(left) => left,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let path = spool.path.display();
                tracing::error!(%error, %path, "The spool of calls cannot be read; it is kept aside.");
                spool.move_aside();
                Vec::new()
            }
        };
        (spool, left)
    }

    fn read(&mut self) -> io::Result<Vec<Said>> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        if bytes.first() == Some(&WIPED) {
            self.bytes = file.metadata()?.len();
            self.file = Some(file);
            self.clear();
            return Ok(Vec::new());
        }
        let (left, sound) = records(&bytes);
        let rest = bytes.get(sound..).unwrap_or_default();
        let crashed = rest.is_empty() || (sound > 0 && is_torn(rest));
        if !crashed {
            let path = self.path.display();
            tracing::error!(sound, %path, "Part of the spool of calls cannot be read; a copy is kept aside.");
            if let Err(error) = self.copy_aside(&bytes) {
                tracing::error!(%error, "The spool could not be copied; it is moved.");
                self.move_aside();
                return Ok(left);
            }
        }
        let sound = u64::try_from(sound).map_err(io::Error::other)?;
        file.set_len(sound)?;
        file.seek(SeekFrom::End(0))?;
        self.bytes = sound;
        self.file = Some(file);
        Ok(left)
    }

    /// Where the next spool is kept that cannot be read.
    fn aside(&self) -> PathBuf {
        let mut last = self.path.clone();
        for number in 1..=ASIDE_COUNT_MAX {
            last.set_file_name(format!("{FILE}.{number}"));
            if !last.exists() {
                break;
            }
        }
        last
    }

    fn copy_aside(&self, bytes: &[u8]) -> io::Result<()> {
        let path = self.aside();
        // One that gives way leaves its place, not its rights.
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = create(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        sync_folder(&path)
    }

    fn move_aside(&self) {
        let owned = fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600));
        let moved = owned.and_then(|()| fs::rename(&self.path, self.aside()));
        if let Err(error) = moved.and_then(|()| sync_folder(&self.path)) {
            tracing::error!(%error, "The spool stays where it is; no call is spooled beside it.");
        }
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
        let form: &[u8] = if self.bytes == 0 { &[FORM] } else { &[] };
        let bytes = [form, &length.to_le_bytes(), sum.as_bytes(), &record].concat();
        let grown = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if self.bytes.saturating_add(grown) > FILE_BYTES_MAX {
            return Err(io::Error::other("the spool is full"));
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = self.file.insert(create(&self.path)?);
                sync_folder(&self.path)?;
                file
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
            file.write_all(&[WIPED])?;
            let mut left = self.bytes.saturating_sub(1);
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
            // Emptied at least: beside a file that stays, nothing more could be spooled.
            let emptied = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
            if emptied.is_ok() && self.path.exists() {
                self.file = Some(file);
            }
        }
        self.bytes = 0;
    }
}

/// A new file that its owner alone may read; one that is there is not overwritten.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

/// Makes the name of a file in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
    File::open(folder)?.sync_all()
}

/// The sound records from the beginning on, and how many bytes they take with the form. None when
/// the form is another one.
fn records(bytes: &[u8]) -> (Vec<Said>, usize) {
    let Some(mut rest) = bytes.strip_prefix(&[FORM]) else { return (Vec::new(), 0) };
    let mut found = Vec::new();
    while let Some((said, taken)) = record(rest) {
        found.push(said);
        rest = rest.get(taken..).unwrap_or_default();
    }
    (found, bytes.len().saturating_sub(rest.len()))
}

/// Whether these bytes are the beginning of a record that was never whole, or a place that was made
/// for one and not filled.
fn is_torn(rest: &[u8]) -> bool {
    let short = rest.split_first_chunk::<4>().is_none_or(|(length, record)| {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        length <= FRAME_BYTES_MAX && record.len() < length.saturating_add(32)
    });
    short || rest.iter().all(|byte| *byte == 0)
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

    /// Names of what is kept aside.
    fn asides(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap()).filter(|name| name != FILE);
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
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
        // Its form stands before the two.
        let one = whole.len().div_ceil(2);
        for end in one..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let (mut spool, left) = Spool::open(folder.path());
            assert_eq!(left, [said(1)], "{end}");
            assert!(spool.keep(&said(9)));
            assert_eq!(Spool::open(folder.path()).1, [said(1), said(9)]);
        }
        let mut unfilled = whole[..one].to_vec();
        unfilled.resize(one + 4_096, 0);
        fs::write(&path, &unfilled).unwrap();
        assert_eq!(Spool::open(folder.path()).1, [said(1)]);
        assert_eq!(asides(folder.path()), [""; 0], "there was nothing to be kept");
    }

    #[test]
    fn what_cannot_be_read_is_kept_aside_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (mut spool, _none) = Spool::open(folder.path());
        assert!(spool.keep(&said(1)) && spool.keep(&said(2)) && spool.keep(&said(3)));
        drop(spool);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let mut another = whole;
        another[0] = FORM + 1;
        for (number, (bytes, sound)) in (1..).zip([(flipped, vec![said(1)]), (another, vec![])]) {
            fs::write(&path, &bytes).unwrap();
            let (mut spool, left) = Spool::open(folder.path());
            assert_eq!(left, sound);
            assert!(spool.keep(&said(9)));
            drop(spool);
            let aside = folder.path().join(format!("{FILE}.{number}"));
            assert!(fs::read(&aside).unwrap() == bytes, "{number}");
            assert_eq!(fs::metadata(&aside).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(Spool::open(folder.path()).1, [sound, vec![said(9)]].concat());
        }
        // A name that is no file can be moved only.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let (mut spool, left) = Spool::open(folder.path());
        assert_eq!(left, []);
        assert!(spool.keep(&said(4)));
        assert_eq!(asides(folder.path()), ["calls.spool.1", "calls.spool.2", "calls.spool.3"]);
    }

    #[test]
    fn no_more_are_kept_aside_than_eight() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..=ASIDE_COUNT_MAX {
            fs::write(folder.path().join(FILE), [FORM + 1, u8::try_from(round).unwrap()]).unwrap();
            assert_eq!(Spool::open(folder.path()).1, []);
        }
        assert_eq!(asides(folder.path()).len(), ASIDE_COUNT_MAX);
        assert_eq!(fs::read(folder.path().join("calls.spool.8")).unwrap(), [FORM + 1, 8]);
    }

    #[test]
    fn a_crash_amid_the_wiping_brings_nothing_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (mut spool, _none) = Spool::open(folder.path());
        assert!(spool.keep(&said(1)));
        drop(spool);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] = WIPED;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(Spool::open(folder.path()).1, []);
        assert!(!path.exists());
        assert_eq!(asides(folder.path()), [""; 0]);
    }

    #[test]
    fn the_form_of_records_is_the_one_that_the_file_names() {
        let seat = "s".to_owned();
        let forms: [(What, &[u8]); 5] = [
            (What::Offered { peer: "p".to_owned(), raw: vec![7] }, &[0, 1, b'p', 1, 7]),
            (What::Abandoned, &[1]),
            (What::Connected { seat: seat.clone() }, &[2, 1, b's']),
            (What::NotConnected { seat, status: 486 }, &[3, 1, b's', 0xE6, 3]),
            (What::Ended { by: 2 }, &[4, 2]),
        ];
        for (what, bytes) in forms {
            let call = "c".to_owned();
            let said = Said { number: 5, call, received_at_us: 1, unrecorded: true, what };
            let whole = [&[5, 1, b'c', 2, 1], bytes].concat();
            assert_eq!(postcard::to_allocvec(&said).unwrap(), whole, "then FORM is another one");
        }
        assert_eq!(FORM, 1);
    }

    #[test]
    fn without_a_folder_a_call_is_not_lost_for_a_spool() {
        let (mut spool, left) = Spool::open(Path::new("/nowhere/at/all"));
        assert_eq!(left, []);
        assert!(!spool.keep(&said(1)));
        spool.clear();
    }
}
