//! What an alarm says, and what became of it.

/// Makes an enum with a fixed word for each variant: on the wire to the console, in logs, in views.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its word in the API, in logs and in files of test cases.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// From its word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How urgent a finding is.
    AlarmClass {
        /// A life may be in danger: someone must act at once.
        Life = "life",
        /// Something is not as it should be: someone must look.
        Check = "check",
        /// The device or its link has a fault.
        Fault = "fault",
        /// Worth a line on the record.
        Note = "note",
        /// A test.
        Test = "test",
    }
}

words! {
    /// What a finding is about.
    AlarmKind {
        /// A button was pressed for help (緊急通報).
        Help = "help",
        /// Medical alarm.
        Medical = "medical",
        /// A fall.
        Fall = "fall",
        /// Fire, smoke, heat.
        Fire = "fire",
        /// Gas or carbon monoxide.
        Gas = "gas",
        /// Panic, duress, hold-up.
        Panic = "panic",
        /// Water leak.
        Water = "water",
        /// Too hot or too cold.
        Temperature = "temperature",
        /// No movement for too long (安否センサー).
        Inactivity = "inactivity",
        /// Failed to report in.
        NoReport = "no_report",
        /// Voice follows on the line.
        Voice = "voice",
        /// Mains lost.
        Mains = "mains",
        /// Battery low, missing or failed.
        Battery = "battery",
        /// Radio link to a pendant or sensor.
        Radio = "radio",
        /// Telephone or network line.
        Line = "line",
        /// Tampering.
        Tamper = "tamper",
        /// Cancelled by the user.
        Cancel = "cancel",
        /// Someone is there: user home, help arrived, help asked or no longer asked.
        Presence = "presence",
        /// A test of the device.
        Test = "test",
        /// The device's clock is wrong.
        Clock = "clock",
        /// A report that could not be read.
        Unreadable = "unreadable",
        /// A known device's message that we have no word for.
        Other = "other",
        /// The strap was opened, or the device taken off.
        Removal = "removal",
        /// The wearer left a safe zone.
        LeftZone = "left_zone",
        /// The wearer entered a safe zone.
        EnteredZone = "entered_zone",
        /// Nothing was heard for too long.
        Silent = "silent",
        /// A call to 119 (119番通報).
        Call = "call",
        /// A message in words, such as a branch office's over a satellite (文面).
        Message = "message",
    }
}

words! {
    /// Whether a finding begins, ends or goes on.
    Phase {
        /// It begins.
        New = "new",
        /// It is over. Never closes a call for help.
        Restored = "restored",
        /// It is still so.
        Still = "still",
    }
}

words! {
    /// First level of an incident's kind (事案種別).
    IncidentKind {
        /// 火災
        Fire = "fire",
        /// 救急
        Ems = "ems",
        /// 救助
        Rescue = "rescue",
        /// 警戒
        Precaution = "precaution",
        /// 水防・自然災害
        Disaster = "disaster",
        /// 捜索
        Search = "search",
        /// 支援
        Support = "support",
        /// その他
        Other = "other",
    }
}

words! {
    /// Second level of an incident's kind. Each belongs to one [`IncidentKind`].
    IncidentSubkind {
        /// 火災 建物
        Building = "building",
        /// 火災 林野
        Forest = "forest",
        /// 火災 車両
        Vehicle = "vehicle",
        /// 火災 船舶
        Ship = "ship",
        /// 自火報 (automatic fire alarm of a building)
        Alarm = "alarm",
        /// 救急 急病
        Illness = "illness",
        /// 救急 CPA疑い
        Cpa = "cpa",
        /// 救急 多数傷病者
        Mass = "mass",
        /// 救助 交通
        Traffic = "traffic",
        /// 救助 水難
        Water = "water",
        /// 警戒 ガス
        Gas = "gas",
        /// 水防
        Flood = "flood",
        /// 土砂
        Landslide = "landslide",
        /// 津波
        Tsunami = "tsunami",
    }
}

impl IncidentSubkind {
    /// The kind it belongs to.
    #[must_use]
    pub const fn kind(self) -> IncidentKind {
        match self {
            Self::Building | Self::Forest | Self::Vehicle | Self::Ship | Self::Alarm => {
                IncidentKind::Fire
            }
            Self::Illness | Self::Cpa | Self::Mass => IncidentKind::Ems,
            Self::Traffic | Self::Water => IncidentKind::Rescue,
            Self::Gas => IncidentKind::Precaution,
            Self::Flood | Self::Landslide | Self::Tsunami => IncidentKind::Disaster,
        }
    }
}

words! {
    /// What became of a signal; exactly one is needed to finish it.
    SignalOutcome {
        /// A new incident was opened for it.
        NewIncident = "new_incident",
        /// It was joined to an incident.
        Joined = "joined",
        /// It was information for an incident.
        Information = "information",
        /// It was handed to somebody else.
        Transferred = "transferred",
        /// Not an emergency.
        NotEmergency = "not_emergency",
        /// Wrong number, or pressed by mistake.
        Mistake = "mistake",
        /// A prank.
        Prank = "prank",
        /// A test.
        Test = "test",
        /// Nothing was found after calling back.
        NothingFound = "nothing_found",
        /// A carer found the person.
        Found = "found",
        /// The person came back before anybody had to go.
        Returned = "returned",
    }
}

words! {
    /// How an incident ended.
    IncidentOutcome {
        /// It was dealt with.
        Handled = "handled",
        /// It was a false alarm (誤報).
        FalseAlarm = "false_alarm",
        /// A prank (いたずら).
        Prank = "prank",
        /// Taken back by the caller (取消).
        Cancelled = "cancelled",
        /// Handed to another authority.
        Transferred = "transferred",
        /// Nothing was found.
        NothingFound = "nothing_found",
    }
}

/// One thing a report says. A report may say several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How urgent it is.
    pub class: AlarmClass,
    /// What it is about.
    pub kind: AlarmKind,
    /// Begins, ends, goes on.
    pub phase: Phase,
    /// The device's own code, for a person who knows it: `CID 101`, `SIA QA`. At most 16 bytes.
    pub code: String,
    /// Pendant, sensor or zone number as sent, at most 16 bytes; empty when none.
    pub zone: String,
}
