//! Notices of a person to a group (一斉配信): what they say, and to whom.

use crate::alarm::words;
use crate::{DistrictId, EffectId, IncidentId, NoticeId, PersonId, Role, Sealed, Token};

/// Longest subject of a notice, bytes before the seal: what a phone's list shows of it is shorter.
pub const SUBJECT_BYTES_MAX: usize = 200;
/// Longest text of a notice, bytes before the seal.
pub const NOTICE_BYTES_MAX: usize = 2_000;
/// Most recipients of one notice.
pub const RECIPIENTS_MAX: usize = 4_096;

words! {
    /// What a notice to a group is about.
    NoticeKind {
        /// 出動指令: come to the scene. Asks for an answer.
        CallOut = "call_out",
        /// 参集: come to your post. Asks for an answer.
        Muster = "muster",
        /// 捜索協力: help to look for somebody. Asks for an answer.
        Search = "search",
        /// お知らせ
        Information = "information",
        /// 解散・解除: it is over.
        AllClear = "all_clear",
    }
}

impl NoticeKind {
    /// Whether it asks for an answer.
    #[must_use]
    pub const fn asks(self) -> bool {
        match self {
            Self::CallOut | Self::Muster | Self::Search => true,
            Self::Information | Self::AllClear => false,
        }
    }
}

words! {
    /// How a notice stands to one before it.
    Replacing {
        /// 訂正: it says it right. Goes to everybody who was to have the first.
        Correction = "correction",
        /// 取消: the first was wrong altogether. Goes to those alone who may have the first.
        Withdrawal = "withdrawal",
    }
}

words! {
    /// How severe it is for the public, as CAP 1.2 has it.
    Severity {
        /// Extraordinary threat to life or property.
        Extreme = "extreme",
        /// Significant threat.
        Severe = "severe",
        /// Possible threat.
        Moderate = "moderate",
        /// Minimal or no known threat.
        Minor = "minor",
        /// Not known.
        Unknown = "unknown",
    }
}

/// What the public may read of a notice. Written for it: crews need the street number, the public
/// must not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicText {
    /// One line, 1 to [`SUBJECT_BYTES_MAX`] bytes.
    pub headline: String,
    /// The text, 1 to [`NOTICE_BYTES_MAX`] bytes.
    pub text: String,
    /// Whom it concerns: 1 to 13 districts, each once, in the order of their numbers.
    pub districts: Vec<DistrictId>,
    /// How severe it is.
    pub severity: Severity,
}

/// A person's words to a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Register key of the group, such as `dan-2-3`.
    pub group: String,
    /// What it is about.
    pub kind: NoticeKind,
    /// Whether it is a drill (訓練): said at both ends of the subject and in the first line.
    pub drill: bool,
    /// Subject.
    pub subject: Sealed,
    /// Text.
    pub text: Sealed,
    /// Incident it belongs to.
    pub incident: Option<IncidentId>,
    /// The notice that it corrects or withdraws.
    pub replaces: Option<(NoticeId, Replacing)>,
    /// What the public may read of it; without it, nothing.
    pub public: Option<PublicText>,
}

/// A letter as one person gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterTo {
    /// The letter.
    pub letter: Letter,
    /// The mail of the notice before it that this person has, or may have.
    pub earlier: Option<EffectId>,
}

/// A group (配信グループ) in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// Stable key, such as `dan-2-3`.
    pub key: String,
    /// Its name, such as `第二支団 第3分団`; never a person's.
    pub name: String,
    /// Register keys of its members, each once.
    pub members: Vec<String>,
    /// Who may send to it.
    pub senders: Vec<Role>,
    /// Equal when nothing about it changed.
    pub digest: Token,
}

/// A group as the journal has it: its members by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its members, each once.
    pub members: Vec<PersonId>,
    /// Who may send to it.
    pub senders: Vec<Role>,
    /// Equal when nothing about it changed.
    pub digest: Token,
}

/// A notice that a person wants sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendNotice {
    /// What it says, and to whom.
    pub letter: Letter,
    /// How many recipients the sender was shown; refused when they are not as many. May be left out
    /// of what replaces an earlier notice: a wrong one must not stand because somebody was counted
    /// otherwise.
    pub count: Option<u32>,
    /// Minutes until attempts and answers end, 1 to 1,440.
    pub minutes: u16,
}
