//! The whole house in virtual time: home units, an MQTT pendant, a watch, callers, dispatchers,
//! helpers, units, a satellite modem, notices to a group and a mail relay around real sessions, lanes,
//! sequencer, core and desk, on a disk with a pending and a durable part. Packets are lost, doubled,
//! reordered and damaged; commits fail; the relay breaks off; clocks are set; the machine dies at any
//! step.
//!
//! A run follows from its seed alone. `HANSHO_SEEDS` says how many are played (10,000),
//! `HANSHO_SEED` plays one and tells its last steps.
mod audit;
mod dice;
mod disk;
mod house;
mod line;
mod outside;
mod plan;
mod satellite;
mod town;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use dice::Dice;
use disk::Vice;
use plan::{Plan, Sabotage};
use world::{Tally, World};

const SEEDS: u64 = 10_000;

/// Plays a run; on failure gives why, with its last steps.
fn play(make: impl Fn(bool) -> World) -> Result<Tally, String> {
    let first = catch_unwind(AssertUnwindSafe(|| make(false).run()));
    let Err(panic) = first else { return first.map_err(|_panic| String::new()) };
    // The same again, told this time.
    let mut world = make(true);
    let again = catch_unwind(AssertUnwindSafe(|| world.run()));
    let differs = if again.is_ok() { "(the second time it went well!)\n" } else { "" };
    Err(format!("{differs}{}{}", world.story(), words(panic.as_ref())))
}

/// The journal that a run leaves; nothing when the run fails.
pub(crate) fn journal_of(seed: u64) -> Vec<hansho_model::Recorded> {
    let mut world = World::new(seed, false);
    let whole = catch_unwind(AssertUnwindSafe(|| world.run())).is_ok();
    if whole { world.disk.read().durable.clone() } else { Vec::new() }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_error| panic!("{name} must be a number")))
}

fn add(sum: &mut Tally, tally: Tally) {
    sum.steps += tally.steps;
    sum.events += tally.events;
    sum.crashes += tally.crashes;
    sum.promises += tally.promises;
    sum.mails += tally.mails;
    sum.uncertain += tally.uncertain;
    sum.shed += tally.shed;
    sum.refused += tally.refused;
    sum.answers += tally.answers;
    sum.connected += tally.connected;
    sum.rung_again += tally.rung_again;
    sum.left += tally.left;
    sum.reminded += tally.reminded;
    sum.moves += tally.moves;
    sum.words += tally.words;
    sum.letters += tally.letters;
    sum.replaced += tally.replaced;
    sum.messages += tally.messages;
}

#[test]
fn every_seed_keeps_its_promises() {
    if let Some(seed) = number("HANSHO_SEED") {
        match play(|tell| World::new(seed, tell)) {
            Ok(tally) => println!("HANSHO_SEED={seed} {tally:?}"),
            Err(story) => panic!("{story}\nHANSHO_SEED={seed}"),
        }
        return;
    }
    let seeds = number("HANSHO_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let stories = Mutex::new(Vec::new());
    let sum = Mutex::new(Tally::default());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _thread in 0..threads {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    match play(|tell| World::new(seed, tell)) {
                        Ok(tally) => add(&mut sum.lock().unwrap(), tally),
                        Err(story) => {
                            failed.store(true, Ordering::Relaxed);
                            stories.lock().unwrap().push((seed, story));
                        }
                    }
                }
            });
        }
    });
    let mut stories = stories.into_inner().unwrap();
    stories.sort();
    if let Some((seed, story)) = stories.first() {
        panic!("{story}\nHANSHO_SEED={seed} cargo test -p hansho simulation");
    }
    println!("{seeds} seeds: {:?}", sum.into_inner().unwrap());
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let runs = [false, true].map(|tell| {
            let mut world = World::new(seed, tell);
            (world.run(), world.hash())
        });
        assert_eq!(runs[0], runs[1], "HANSHO_SEED={seed}");
    }
}

/// One busy run of which every step is the last of a core once.
#[test]
fn a_crash_at_every_step_of_one_run_breaks_nothing() {
    for seed in 0..3 {
        let plan = Plan { length_ms: 15_000, relay: seed > 0, ..Plan::CALM };
        let world = |crash_at, tell| {
            let plan = Plan { crash_at, ..plan.clone() };
            World::with(plan, Dice::new(seed), tell)
        };
        let steps = world(None, false).run().steps;
        assert!(steps > 100, "{steps} steps are no busy run");
        for step in 1..=steps {
            if let Err(story) = play(|tell| world(Some(step), tell)) {
                panic!("{story}\nseed {seed}, crash at step {step}");
            }
        }
    }
}

/// Whatever is done to the clock, a call for help reaches the helpers at once.
#[test]
fn a_clock_that_is_set_delays_no_mail() {
    for seed in 0..60 {
        let plan = Plan { clock_ms_max: 4_000_000, ..Plan::CALM };
        let mut world = World::with(plan, Dice::new(seed), false);
        world.run();
        let slowest = world.audit.slowest_us();
        assert!(slowest < 60_000_000, "seed {seed}: a mail waited {slowest} microseconds");
    }
}

/// Plays until the fault is noticed; gives what was said.
fn noticed(vice: Vice, sabotage: Sabotage) -> String {
    for seed in 0..300 {
        let world = |tell| {
            let mut dice = Dice::new(seed);
            let plan = Plan { vice, sabotage, ..Plan::new(seed, &mut dice) };
            World::with(plan, dice, tell)
        };
        if let Err(story) = play(world) {
            return story.lines().last().unwrap_or_default().to_owned();
        }
    }
    panic!("nobody noticed {vice:?}, {sabotage:?}");
}

#[test]
fn the_simulator_notices_a_disk_that_lies() {
    for (vice, words) in [
        (Vice::Forgets, ["durable", "are gone"]),
        (Vice::Tears, ["a batch is not whole", "is lost"]),
        (Vice::Alters, ["replay is not what was live", "differ"]),
    ] {
        let said = noticed(vice, Sabotage::None);
        assert!(words.iter().any(|words| said.contains(words)), "{vice:?}: {said}");
    }
}

#[test]
fn the_simulator_notices_a_shell_that_cuts_corners() {
    for (sabotage, words) in [
        (Sabotage::AcksEarly, "durable"),
        (Sabotage::DeliversEarly, "is made, durable"),
        (Sabotage::SkipsStart, "still owed at the end"),
        (Sabotage::SkipsDedupe, "is the same message as"),
        (Sabotage::LosesOutcomes, "the desk is not at rest"),
        (Sabotage::RepeatsInterrupted, "times and the journal says nothing of it"),
    ] {
        let said = noticed(Vice::None, sabotage);
        assert!(said.contains(words), "{sabotage:?}: {said}");
    }
}
