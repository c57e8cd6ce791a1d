//! A person with a watch: walks, presses, leaves a zone and comes back.
//!
//! ```no_run
//! # async fn run() -> Result<(), hansho_simulators::tracker::TrackerError> {
//! use hansho_simulators::devices::watch::Place;
//! use hansho_simulators::tracker::Tracker;
//! let mut tracker = Tracker::new(([127, 0, 0, 1], 5093).into(), "8800000003");
//! tracker.start().await?;
//! let home = Place::new(371_060_000, 1_409_589_000);
//! tracker.walk_to(home).await?;
//! tracker.walk_to(home.moved(500, 0)).await?;
//! # Ok(())
//! # }
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::devices::watch::{Place, SOS, Said, Wearable};

/// Longest answer that is read.
const ANSWER_SIZE_MAX: usize = 1_024;
/// Longest way between two reports: a longer one in a short time is held for an error.
const STEP_M: i32 = 400;

/// How patient a watch is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Wait for an answer.
    pub answer_timeout: Duration,
    /// Tries of one message before it is given up.
    pub tries_max: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer_timeout: Duration::from_secs(20), tries_max: 4 }
    }
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// Nobody answered.
    #[error("no answer after {tries} tries; is the receiver up?")]
    NoAnswer {
        /// How often it was sent.
        tries: u32,
    },
    /// The receiver cannot be reached.
    #[error("no link to {address}")]
    Link {
        /// Address that was tried.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// A person with a watch.
#[derive(Debug)]
pub struct Tracker {
    /// The watch; may be changed to play one that deviates.
    pub watch: Wearable,
    /// How patient it is.
    pub patience: Patience,
    address: SocketAddr,
    stream: Option<TcpStream>,
    /// Its clock has whole seconds and never shows one twice.
    last: Option<Timestamp>,
    place: Option<Place>,
}

impl Tracker {
    /// A watch of this name that reports to `address`.
    #[must_use]
    pub fn new(address: SocketAddr, id: &str) -> Self {
        let (watch, patience) = (Wearable::new(id), Patience::default());
        Self { watch, patience, address, stream: None, last: None, place: None }
    }

    /// Switches the watch on.
    ///
    /// # Errors
    ///
    /// When it is not answered.
    pub async fn start(&mut self) -> Result<(), TrackerError> {
        self.say(&Said::Start).await?;
        self.say(&Said::Link).await
    }

    /// Reports from there.
    ///
    /// # Errors
    ///
    /// When the receiver cannot be reached.
    pub async fn walk_to(&mut self, place: Place) -> Result<(), TrackerError> {
        self.place = Some(place);
        self.watch.steps = self.watch.steps.saturating_add(120);
        self.say(&Said::Position(place)).await
    }

    /// The button is pressed where the wearer was last.
    ///
    /// # Errors
    ///
    /// When it is not acknowledged.
    pub async fn press(&mut self) -> Result<(), TrackerError> {
        let nowhere = Place { valid: false, satellites: 0, accuracy_m: 0, ..Place::new(0, 0) };
        self.say(&Said::Alarm(SOS, self.place.unwrap_or(nowhere))).await
    }

    /// Says it, and repeats it until the answer that is owed has come.
    ///
    /// # Errors
    ///
    /// When it is not answered, or nobody is reached.
    pub async fn say(&mut self, said: &Said) -> Result<(), TrackerError> {
        let at = self.now();
        let frame = self.watch.encode(at, said);
        let Some(answer) = self.watch.answer(said) else { return self.send(&frame).await };
        for _try in 0..self.patience.tries_max {
            self.send(&frame).await?;
            if self.hear(&answer).await {
                return Ok(());
            }
            // A link on which nothing comes is made anew.
            self.stream = None;
        }
        Err(TrackerError::NoAnswer { tries: self.patience.tries_max })
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), TrackerError> {
        let address = self.address;
        let failed = |source| TrackerError::Link { address, source };
        if let Some(stream) = &mut self.stream
            && stream.write_all(frame).await.is_ok()
        {
            return Ok(());
        }
        let mut stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.write_all(frame).await.map_err(failed)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Whether the answer comes in time, whatever comes before it.
    async fn hear(&mut self, answer: &[u8]) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let heard = async {
            let mut said = Vec::new();
            let mut buffer = [0; 256];
            while said.len() < ANSWER_SIZE_MAX {
                match stream.read(&mut buffer).await {
                    Ok(count @ 1..) => said.extend_from_slice(buffer.get(..count).unwrap_or(&[])),
                    Ok(0) | Err(_) => return false,
                }
                if said.windows(answer.len()).any(|part| part == answer) {
                    return true;
                }
            }
            false
        };
        timeout(self.patience.answer_timeout, heard).await.unwrap_or(false)
    }

    #[expect(clippy::disallowed_methods, reason = "a simulated device has a clock of its own")]
    fn now(&mut self) -> Timestamp {
        let now = Timestamp::now();
        let second = SignedDuration::from_secs(1);
        let next = self.last.and_then(|last| last.checked_add(second).ok());
        let at = next.map_or(now, |next| next.max(now));
        self.last = Some(at);
        at
    }
}

/// The points of a walk from `home` so many metres north, and back when `returns`.
#[must_use]
pub fn walk(home: Place, away_m: i32, returns: bool) -> Vec<Place> {
    let stages = away_m.unsigned_abs().div_ceil(STEP_M.unsigned_abs()).max(1);
    let stages = i32::try_from(stages).unwrap_or(i32::MAX);
    let out = (0..=stages).map(|stage| home.moved(stage.saturating_mul(away_m) / stages, 0));
    let mut points: Vec<Place> = out.collect();
    if returns {
        let back: Vec<Place> = points.iter().rev().skip(1).copied().collect();
        points.extend(back);
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_in_steps_that_a_person_can_make() {
        let home = Place::new(371_060_000, 1_409_589_000);
        let north = |points: &[Place]| -> Vec<i32> {
            points.iter().map(|point| (point.lat_e7 - home.lat_e7) / 90).collect()
        };
        assert_eq!(north(&walk(home, 500, false)), [0, 249, 499]);
        assert_eq!(north(&walk(home, 900, true)), [0, 299, 599, 899, 599, 299, 0]);
        assert_eq!(walk(home, 0, false), [home, home]);
    }

    #[tokio::test]
    async fn a_press_is_repeated_until_it_is_answered() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut tracker = Tracker::new(listener.local_addr().unwrap(), "8800000003");
        tracker.patience.answer_timeout = Duration::from_millis(100);
        let receiver = tokio::spawn(async move {
            let mut heard = Vec::new();
            for answers in [false, true] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 512];
                let count = stream.read(&mut buffer).await.unwrap();
                heard.push(buffer[..count].to_vec());
                if answers {
                    stream.write_all(b"[3G*8800000003*0002*AL]").await.unwrap();
                }
            }
            heard
        });
        tracker.press().await.unwrap();
        let heard = receiver.await.unwrap();
        assert_eq!(heard[0], heard[1], "the same message again");
        assert!(heard[0].starts_with(b"[3G*8800000003*"));
    }
}
