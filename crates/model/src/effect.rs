//! Effects: what leaves the house, as data.

use jiff::Timestamp;

use crate::alarm::words;
use crate::{
    AlarmKind, CallRef, CommandId, DistrictId, EffectId, KeyId, Language, LetterTo, MessageId,
    Mode, NoticeId, OrderSheet, PersonId, Sealed, Settings, Sighting, Token,
};

words! {
    /// Which text a notice carries.
    Template {
        /// To helpers: a pendant called for help; will you go and look?
        PendantAlarm = "pendant_alarm",
        /// To carers: a wearer left a safe zone; will you go and look?
        TrackerLeftZone = "tracker_left_zone",
        /// To carers who were told of it and have not answered: the wearer is still away.
        TrackerStillAway = "tracker_still_away",
        /// To carers who were told of it: the wearer is back.
        TrackerReturned = "tracker_returned",
    }
}

words! {
    /// What came of an effect. These three words everywhere.
    Outcome {
        /// It is done; the other side confirmed it.
        Done = "done",
        /// It is certain that it did not happen.
        Failed = "failed",
        /// It may have happened: the link broke after the point of no return.
        Uncertain = "uncertain",
    }
}

words! {
    /// What a person answered.
    AnswerChoice {
        /// Will come, leaving at once (行く).
        Coming = "coming",
        /// Will come, later (遅れる).
        Late = "late",
        /// Cannot come (行けない).
        Cannot = "cannot",
        /// Is there (到着).
        Arrived = "arrived",
    }
}

/// One recipient of a notice; the effect's index is the place in the notice's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub person: PersonId,
    /// Address, as in the register when the notice was ordered.
    pub address: Sealed,
    /// Equal for equal addresses.
    pub token: Token,
    /// Name.
    pub name: Sealed,
    /// Language.
    pub language: Language,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What the alarm is.
    pub alarm: AlarmKind,
    /// Name of the person in need.
    pub subscriber: Option<Sealed>,
    /// Address of the home.
    pub address: Option<Sealed>,
    /// District.
    pub district: Option<DistrictId>,
    /// When the alarm was received.
    pub at: Timestamp,
    /// Where the wearer was seen last, when the device knows.
    pub sighting: Option<Sighting>,
}

/// An effect owed to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A mail to one person.
    Mail(Box<Mail>),
    /// Destroy a person's data key in the vault.
    DestroyKey(KeyId),
    /// Ring a seat's phone and join it with the caller. Doing it twice is doing it once.
    ConnectCall {
        /// The call.
        call: CallRef,
        /// The seat.
        position: String,
    },
    /// Put an order on a unit's terminal. Doing it twice is doing it once: it has a key.
    SendOrder(Box<OrderSheet>),
    /// Words to a site over a satellite. Who gets them twice can tell by their number.
    SendMessage(Box<Message>),
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailContent {
    /// Somebody's device called for help.
    Alarm {
        /// Which text.
        template: Template,
        /// The facts.
        facts: Facts,
    },
    /// A person's words to a group.
    Letter(Box<LetterTo>),
}

/// Everything a mail is made of. Rendering it twice gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The notice.
    pub notice: NoticeId,
    /// To whom.
    pub recipient: Recipient,
    /// What it says.
    pub content: MailContent,
    /// When the notice was ordered: the mail's `Date`.
    pub ordered_at: Timestamp,
    /// When the answer link and the attempts end.
    pub expires_at: Timestamp,
    /// Settings when the notice was ordered.
    pub settings: Settings,
}

/// Words to a site over a satellite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which; its number goes with the words, so that a second copy is known for one.
    pub message: MessageId,
    /// Full name of the site's handset, such as `sbd:300000000000111`.
    pub device: String,
    /// The words.
    pub text: Sealed,
    /// When it is given up, if it could not go by then.
    pub until: Timestamp,
    /// Real, training or demo, when it was ordered: what is not real says so first.
    pub mode: Mode,
}

/// An attempt that is about to be made; durable before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The effect.
    pub effect: EffectId,
    /// 1 for the first.
    pub number: u16,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectOutcome {
    /// The effect.
    pub effect: EffectId,
    /// Which attempt.
    pub attempt: u16,
    /// Done, failed, uncertain.
    pub outcome: Outcome,
    /// More about it.
    pub detail: OutcomeDetail,
}

/// More about an outcome. No personal data: server texts may quote addresses and stay in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeDetail {
    /// The other side's code: SMTP reply such as 250 or 550; 0 when there was none.
    pub code: u16,
    /// RFC 3463 enhanced code (class, subject, detail), when there was one.
    pub enhanced: Option<(u8, u16, u16)>,
    /// For `Failed`: whether trying again may help.
    pub again: bool,
}

/// An outcome with what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What came of the attempt.
    pub outcome: EffectOutcome,
    /// When to try again; `None` when this outcome is the last.
    pub again_at: Option<Timestamp>,
}

/// An answer of a person to a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Made by the page or the gateway; the same answer twice has the effect of once.
    pub id: CommandId,
    /// Which notice, which recipient.
    pub effect: EffectId,
    /// What.
    pub choice: AnswerChoice,
    /// In how many minutes, 0 to 1,440.
    pub minutes: Option<u16>,
    /// When we had it.
    pub received_at: Timestamp,
}
