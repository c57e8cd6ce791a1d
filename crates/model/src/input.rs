//! Inputs: what the core decides about.

use crate::{Answer, Command, EffectId, EffectOutcome, LoadLevel, SealedReport, Seq, Start};

/// A report from a device, a command of a person, the outcome of an effect, or a tick of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The core starts: registers and settings. The first input of every run.
    Start(Box<Start>),
    /// A device said something.
    Report(Box<SealedReport>),
    /// A person wants something done.
    Command(Box<Command>),
    /// A person answered a notice.
    Answer(Answer),
    /// These effects are about to be attempted. At most 256.
    Attempt(Vec<EffectId>),
    /// What came of attempts. At most 256.
    Outcome(Vec<EffectOutcome>),
    /// Time has passed; `State::next_deadline` asked for it.
    Tick,
    /// The house gives up more under load, or less.
    Load(LoadLevel),
}

/// What an asker gets when its input is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// First event of the input's batch.
    pub seq: Seq,
    /// Last event of the input's batch.
    pub last: Seq,
}
