//! The spool's own thread: a disk that takes its time holds up no other call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::mpsc;

use super::line::Said;
use super::spool::Spool;

/// Most records that may wait to be written.
const KEPT_COUNT_MAX: usize = 512;
/// Most jobs that may wait: there is a record between any two wipings.
const JOBS_MAX: usize = 2 * KEPT_COUNT_MAX + 2;
/// How long the thread may take to finish when it is needed no more.
const END_MAX: Duration = Duration::from_millis(500);

/// What is to be done with the spool.
#[derive(Debug)]
pub enum Job {
    /// Write this down and sync it.
    Keep(Said),
    /// Wipe it.
    Clear,
}

/// Who writes the spool.
#[derive(Debug)]
pub struct Scribe {
    /// `None` once it is to end.
    jobs: Option<mpsc::Sender<Job>>,
    done: mpsc::Receiver<u64>,
    /// Records that it was given and that are not done.
    open: usize,
    /// Whether there is anything to be wiped.
    used: bool,
    stop: Arc<AtomicBool>,
    /// Closes when the thread ends.
    ended: Receiver<()>,
}

impl Scribe {
    /// Gives the spool to a thread of its own.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn new(mut spool: Spool) -> io::Result<Self> {
        Self::start(move |job| match job {
            Job::Keep(said) => {
                spool.keep(said);
            }
            Job::Clear => spool.clear(),
        })
    }

    /// With anything that does the jobs.
    pub(super) fn start(work: impl FnMut(&Job) + Send + 'static) -> io::Result<Self> {
        let (jobs, to_do) = mpsc::channel(JOBS_MAX);
        let (tell, done) = mpsc::channel(KEPT_COUNT_MAX);
        let (alive, ended) = sync_channel(0);
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        thread::Builder::new().name("spool".to_owned()).spawn(move || {
            write(work, to_do, &tell, &stopped);
            drop(alive);
        })?;
        Ok(Self { jobs: Some(jobs), done, open: 0, used: true, stop, ended })
    }

    /// Has a record written down; its number comes from [`Scribe::next`]. `false` when too many
    /// wait: then it is in memory only.
    pub fn keep(&mut self, said: Said) -> bool {
        let taken = self.open < KEPT_COUNT_MAX && self.give(Job::Keep(said));
        self.open = self.open.saturating_add(usize::from(taken));
        self.used |= taken;
        taken
    }

    /// Has the spool wiped, after all that it was given before.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.used) && !self.give(Job::Clear) {
            tracing::error!("The spool of calls is not wiped; it is sent again.");
        }
    }

    /// The next record that is written down as well as can be. May be dropped while it waits.
    pub async fn next(&mut self) -> u64 {
        match self.done.recv().await {
            Some(number) => {
                self.open = self.open.saturating_sub(1);
                number
            }
            None => std::future::pending().await,
        }
    }

    fn give(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }
}

impl Drop for Scribe {
    /// The next one reads what this one wrote, and two must not write.
    fn drop(&mut self) {
        self.jobs = None;
        self.done.close();
        if self.ended.recv_timeout(END_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::error!("The disk takes too long; what waits for the spool is lost.");
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

fn write(
    mut work: impl FnMut(&Job),
    mut to_do: mpsc::Receiver<Job>,
    tell: &mpsc::Sender<u64>,
    stopped: &AtomicBool,
) {
    while let Some(job) = to_do.blocking_recv() {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        work(&job);
        if let Job::Keep(said) = job
            && tell.blocking_send(said.number).is_err()
        {
            tracing::debug!("Nobody waits for the spool any more.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::What;
    use super::*;

    fn said(number: u64) -> Said {
        let call = format!("call{number}");
        Said { number, call, received_at_us: 1, unrecorded: true, what: What::Abandoned }
    }

    #[tokio::test]
    async fn what_is_given_is_written_in_its_order_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut scribe = Scribe::new(Spool::open(folder.path()).0).unwrap();
        assert!(scribe.keep(said(1)));
        assert_eq!(scribe.next().await, 1);
        assert_eq!(Spool::open(folder.path()).1, [said(1)]);
        scribe.clear();
        assert!(scribe.keep(said(2)) && scribe.keep(said(3)));
        drop(scribe);
        assert_eq!(Spool::open(folder.path()).1, [said(2), said(3)]);
    }

    #[tokio::test]
    async fn a_disk_that_hangs_takes_so_many_and_no_more_and_is_not_waited_for() {
        let (release, held) = sync_channel::<()>(0);
        let mut scribe = Scribe::start(move |_job| held.recv().unwrap_or_default()).unwrap();
        let most = u64::try_from(KEPT_COUNT_MAX).unwrap();
        for number in 0..most {
            assert!(scribe.keep(said(number)));
            scribe.clear();
        }
        assert!(!scribe.keep(said(most)));
        release.send(()).unwrap();
        assert_eq!(scribe.next().await, 0);
        assert!(scribe.keep(said(most)), "there is room again");
        drop(scribe);
        drop(release);
    }
}
