//! The disk beneath: room held back for alarms, free room, and how long it takes to be durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::JournalError;
use crate::sqlite::file::{self, file_fault};

/// File of the reserve in the data folder.
pub const RESERVE_FILE: &str = "reserve.bin";
/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;
/// Bytes a probe writes at a time: a page of the journal.
const PROBE_SIZE: usize = 4_096;
/// Places in the probe's file that it writes in turn.
const PROBE_PLACES: u32 = 64;
/// File of a probe; gone when it ends.
const PROBE_FILE: &str = "probe.tmp";

/// Room on the disk that nobody but the journal may have: a file that is deleted at low water, so
/// that alarms can still be journalled while telemetry is refused.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// Makes the reserve of a data folder as large as said, durable when this returns. One that
    /// stands already is taken over. Where there is no room for it, nothing is held back and
    /// [`Reserve::bytes`] is 0: a core that starts on a full disk is at low water already, and
    /// must start all the same.
    ///
    /// # Errors
    ///
    /// The file system refuses otherwise.
    pub fn create(folder: &Path, mib: u32) -> Result<Self, JournalError> {
        file::ensure_folder(folder)?;
        let path = folder.join(RESERVE_FILE);
        let bytes = u64::from(mib).saturating_mul(MIB);
        let open = file::open_private(&path)?;
        // Asked first, because a file system may fill itself up before it says no.
        let held = open.metadata().map_or(0, |found| found.len());
        let room = free_bytes(folder)?.saturating_add(held);
        let occupied = if bytes > room {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            occupy(&open, bytes)
        };
        drop(open);
        match occupied {
            Ok(()) => {
                file::sync_folder(folder)?;
                Ok(Self { path, bytes })
            }
            Err(error) => {
                file::remove(&path)?;
                let fault = file_fault("hold room on the disk back", &path, error);
                let no_room = matches!(fault, JournalError::Full { .. });
                if no_room { Ok(Self { path, bytes: 0 }) } else { Err(fault) }
            }
        }
    }

    /// Bytes held back; 0 after the release, and where there was no room.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the room to whoever writes next. Doing it twice is doing it once.
    ///
    /// # Errors
    ///
    /// The file system refuses.
    pub fn release(&mut self) -> Result<(), JournalError> {
        file::remove(&self.path)?;
        self.bytes = 0;
        file::sync_folder(self.path.parent().unwrap_or(&self.path))
    }
}

/// Makes the file exactly so long, with blocks behind every byte, and durable.
fn occupy(open: &File, bytes: u64) -> io::Result<()> {
    open.set_len(bytes)?;
    match fallocate(open, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => {}
        // `fallocate` of no bytes is no call at all.
        Err(Errno::INVAL) if bytes == 0 => {}
        Err(Errno::OPNOTSUPP) => {
            let block = vec![0xff; usize::try_from(MIB).unwrap_or(PROBE_SIZE)];
            let step = u64::try_from(block.len()).unwrap_or(MIB);
            let mut at: u64 = 0;
            while at < bytes {
                open.write_all_at(&block, at)?;
                at = at.saturating_add(step);
            }
        }
        Err(error) => return Err(error.into()),
    }
    open.sync_all()
}

/// Bytes that hansho may still write on the disk of a folder.
///
/// # Errors
///
/// The file system refuses.
pub fn free_bytes(folder: &Path) -> Result<u64, JournalError> {
    let found =
        statvfs(folder).map_err(|error| file_fault("ask for free room", folder, error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// How long the disk took to make a page durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How many times it was tried.
    pub rounds: u32,
    /// Half took no longer.
    pub p50: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// Measures how long an fdatasync of a 4 KiB overwrite takes in a preallocated file of a folder.
/// Latency of the journal is promised in multiples of this and never in milliseconds.
///
/// # Errors
///
/// The file system refuses.
pub fn probe(folder: &Path, rounds: u32) -> Result<Probe, JournalError> {
    let path = folder.join(PROBE_FILE);
    let open = file::open_private(&path)?;
    let times = measure(&open, rounds.max(1));
    drop(open);
    file::remove(&path)?;
    let mut times = times.map_err(|error| file_fault("probe the disk", &path, error))?;
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let rank = |percent: usize| {
        let index = last.saturating_mul(percent) / 100;
        times.get(index).copied().unwrap_or_default()
    };
    Ok(Probe { rounds: rounds.max(1), p50: rank(50), p99: rank(99), max: rank(100) })
}

fn measure(open: &File, rounds: u32) -> io::Result<Vec<Duration>> {
    let page = vec![0x5a; PROBE_SIZE];
    let place = |round: u32| {
        u64::from(round % PROBE_PLACES).saturating_mul(u64::try_from(PROBE_SIZE).unwrap_or(0))
    };
    for round in 0..PROBE_PLACES {
        open.write_all_at(&page, place(round))?;
    }
    open.sync_all()?;
    let mut times = Vec::new();
    for round in 0..rounds {
        let before = stopwatch();
        open.write_all_at(&page, place(round))?;
        open.sync_data()?;
        times.push(before.elapsed());
    }
    Ok(times)
}

#[expect(clippy::disallowed_methods, reason = "measures the disk; no event gets this time")]
fn stopwatch() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_reserve_holds_blocks_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RESERVE_FILE);
        let mut reserve = Reserve::create(folder.path(), 2).unwrap();
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!((found.len(), reserve.bytes()), (2 << 20, 2 << 20));
        assert!(found.blocks() * 512 >= 2 << 20, "{} blocks", found.blocks());
        drop(Reserve::create(folder.path(), 1).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20);
        reserve.release().unwrap();
        reserve.release().unwrap();
        assert_eq!(reserve.bytes(), 0);
        assert!(!path.exists());
        assert_eq!(Reserve::create(folder.path(), 0).unwrap().bytes(), 0);
    }

    #[test]
    fn a_reserve_beyond_the_disk_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Reserve::create(folder.path(), u32::MAX).unwrap().bytes(), 0);
        assert!(!folder.path().join(RESERVE_FILE).exists());
    }

    #[test]
    fn the_probe_measures_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let found = probe(folder.path(), 20).unwrap();
        assert_eq!(found.rounds, 20);
        assert!(found.p50 > Duration::ZERO && found.p50 <= found.p99 && found.p99 <= found.max);
        assert_eq!(probe(folder.path(), 0).unwrap().rounds, 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(probe(&folder.path().join("no"), 1).is_err());
        assert!(free_bytes(folder.path()).unwrap() > 0);
        assert!(free_bytes(&folder.path().join("no")).is_err());
    }
}
