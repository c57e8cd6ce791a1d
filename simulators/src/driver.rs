//! Who drives a vehicle: shows orders to the crew, leaves, arrives, works, comes back, and tells where
//! it is all the time.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use crate::vehicle::{Pressed, Vehicle, VehicleError, now};

/// Speed where no roads are known, in metres a second (36 km/h in town).
const SPEED: f64 = 10.0;
/// A way is longer than the line.
const DETOUR: f64 = 1.35;
/// Metres of a degree of latitude.
const DEGREE: f64 = 111_195.0;
/// From an order to its acknowledgement, to leaving, and at work, in seconds of the story.
const ACKNOWLEDGES: u64 = 10;
const LEAVES: u64 = 60;
const WORKS: u64 = 1_200;
/// Seconds of the story between two positions.
const EVERY: u64 = 10;

/// A place in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lon: f64,
}

impl Spot {
    /// Metres by line; near enough within a city.
    #[must_use]
    pub fn metres_to(self, other: Self) -> f64 {
        let north = (other.lat - self.lat) * DEGREE;
        let east = (other.lon - self.lon) * DEGREE * self.lat.to_radians().cos();
        north.hypot(east)
    }

    /// So many metres nearer to `other`, and there when it is not as far.
    #[must_use]
    pub fn towards(self, other: Self, metres: f64) -> Self {
        let whole = self.metres_to(other);
        if whole <= metres {
            return other;
        }
        let share = metres / whole;
        let between = |from: f64, to: f64| (to - from).mul_add(share, from);
        Self { lat: between(self.lat, other.lat), lon: between(self.lon, other.lon) }
    }
}

/// What the crew does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Says this status when the time has come.
    Say(&'static str),
    /// Drives to the scene, or home.
    Drive(Spot),
}

/// A crew with its vehicle.
#[derive(Debug)]
pub struct Driver {
    vehicle: Vehicle,
    home: Spot,
    at: Spot,
    time_factor: u32,
    /// What is still to be done for the order, with when.
    plan: Vec<(Instant, Step)>,
}

impl Driver {
    /// In its station; `time_factor` times as fast as life.
    #[must_use]
    pub fn new(vehicle: Vehicle, home: Spot, time_factor: u32) -> Self {
        let time_factor = time_factor.max(1);
        Self { vehicle, home, at: home, time_factor, plan: Vec::new() }
    }

    /// Drives until it is stopped; tells `out` what happens.
    pub async fn run(mut self, out: impl Fn(&str)) {
        loop {
            let next = self.plan.first().map_or_else(|| later(3_600), |(at, _)| *at);
            let told = Instant::now() + self.story(EVERY);
            let heard = tokio::select! {
                order = self.vehicle.order() => Some(order),
                () = sleep_until(next.min(told)) => None,
            };
            if let Some(order) = heard {
                out(&format!("ordered: {order}"));
                self.take(&order);
                continue;
            }
            if let Err(error) = self.go_on(&out).await {
                out(&format!("{error}; it goes on"));
                sleep(Duration::from_secs(1)).await;
            }
        }
    }

    fn story(&self, seconds: u64) -> Duration {
        (Duration::from_secs(seconds) / self.time_factor).max(Duration::from_millis(200))
    }

    fn take(&mut self, order: &Value) {
        let begun = Instant::now();
        let place = (order["lat"].as_f64(), order["lon"].as_f64());
        let scene = if let (Some(lat), Some(lon)) = place { Spot { lat, lon } } else { self.at };
        match order["state"].as_str() {
            // There is nothing to be said about an order that is taken back.
            Some("withdrawn") => {
                self.plan = vec![(begun, Step::Drive(self.home))];
                return;
            }
            Some("changed") => {
                let home = self.home;
                for (_, step) in &mut self.plan {
                    if matches!(step, Step::Drive(goal) if *goal != home) {
                        *step = Step::Drive(scene);
                    }
                }
                return;
            }
            _ => {}
        }
        let steps = [
            (self.story(ACKNOWLEDGES), Step::Say("AK")),
            (self.story(LEAVES), Step::Say("ER")),
            (Duration::ZERO, Step::Drive(scene)),
            (Duration::ZERO, Step::Say("OS")),
            (self.story(LEAVES), Step::Say("WK")),
            (self.story(WORKS), Step::Say("RT")),
            (Duration::ZERO, Step::Drive(self.home)),
            (Duration::ZERO, Step::Say("IN")),
        ];
        let mut at = begun;
        self.plan = steps
            .into_iter()
            .map(|(after, step)| {
                at += after;
                (at, step)
            })
            .collect();
    }

    async fn go_on(&mut self, out: &impl Fn(&str)) -> Result<(), VehicleError> {
        let due = self.plan.first().filter(|(at, _)| *at <= Instant::now()).map(|(_, step)| *step);
        match due {
            Some(Step::Say(status)) => {
                let at: Timestamp = now();
                match self.vehicle.press(status, at).await? {
                    Pressed::Stored(seq) => out(&format!("{status}: event {seq}")),
                    Pressed::Refused(why) => out(&format!("{status} is refused: {why}")),
                }
                self.plan.remove(0);
            }
            Some(Step::Drive(goal)) => self.drive(goal),
            None => {}
        }
        self.vehicle.position(self.at.lat, self.at.lon).await
    }

    /// Goes on for one interval; when it is there, what waits for that begins.
    fn drive(&mut self, goal: Spot) {
        let each = self.story(EVERY);
        let metres = each.as_secs_f64() * f64::from(self.time_factor) * SPEED / DETOUR;
        self.at = self.at.towards(goal, metres);
        if self.at == goal {
            self.plan.remove(0);
        }
        // The rest is late by as much as the way takes.
        for (at, _step) in &mut self.plan {
            *at += each;
        }
    }
}

fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_driven_piece_by_piece() {
        let (home, scene) =
            (Spot { lat: 36.9548, lon: 140.905 }, Spot { lat: 36.9758, lon: 140.8861 });
        let whole = home.metres_to(scene);
        assert!((2_850.0..2_880.0).contains(&whole), "{whole}");
        let half = home.towards(scene, whole / 2.0);
        let (before, behind) = (home.metres_to(half), half.metres_to(scene));
        assert!((before - behind).abs() < 5.0, "{before} {behind}");
        assert_eq!(half.towards(scene, whole), scene);
    }
}
