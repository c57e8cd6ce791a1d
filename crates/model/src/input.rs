//! Inputs: what the core decides about.

use crate::{
    Answer, Command, EffectId, EffectOutcome, LoadLevel, SealedCallReport, SealedReport, Seq,
    Start, Token,
};

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
    /// The telephone side said something of a call.
    Call {
        /// What it said.
        said: Box<SealedCallReport>,
        /// Equal for equal numbers; `None` when it is no offer, or came without a number.
        caller: Option<Token>,
    },
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
