//! The closed lists of words of CAP. Case counts.

/// An enum, each variant with the word that stands for it in a document.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of the standard.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// From its word, exactly as the standard has it.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.as_str() == word)
            }
        }
    };
}

words! {
    /// Whether somebody is to act on an alert. Only `Actual` may reach the live path.
    Status {
        /// For everybody whom it concerns.
        Actual = "Actual",
        /// For those who take part in an exercise (訓練).
        Exercise = "Exercise",
        /// Between machines.
        System = "System",
        /// A technical test, for nobody.
        Test = "Test",
        /// A template, not to be acted on.
        Draft = "Draft",
    }
}

words! {
    /// What kind of thing it is about.
    Category {
        /// The earth: earthquakes, landslides.
        Geo = "Geo",
        /// The weather, floods included.
        Met = "Met",
        /// Public safety.
        Safety = "Safety",
        /// Police and defence.
        Security = "Security",
        /// Rescue, missing persons.
        Rescue = "Rescue",
        /// Fire.
        Fire = "Fire",
        /// Health.
        Health = "Health",
        /// Pollution.
        Env = "Env",
        /// Roads, rails, ports.
        Transport = "Transport",
        /// Water, power, telephones.
        Infra = "Infra",
        /// Chemical, biological, radiological, nuclear, explosive.
        Cbrne = "CBRNE",
        /// Anything else.
        Other = "Other",
    }
}

words! {
    /// What the reader is to do.
    ResponseType {
        /// Take shelter where he is.
        Shelter = "Shelter",
        /// Leave.
        Evacuate = "Evacuate",
        /// Make ready.
        Prepare = "Prepare",
        /// Do what was planned: a call-out is one.
        Execute = "Execute",
        /// Stay away.
        Avoid = "Avoid",
        /// Keep informed.
        Monitor = "Monitor",
        /// Judge for himself.
        Assess = "Assess",
        /// Nothing any more: it is over (鎮火・解除).
        AllClear = "AllClear",
        /// Nothing.
        None = "None",
    }
}

words! {
    /// How soon to act.
    Urgency {
        /// At once.
        Immediate = "Immediate",
        /// Within the hour.
        Expected = "Expected",
        /// Soon.
        Future = "Future",
        /// Not any more.
        Past = "Past",
        /// Nobody knows.
        Unknown = "Unknown",
    }
}

words! {
    /// How bad it is.
    Severity {
        /// Extraordinary threat to life.
        Extreme = "Extreme",
        /// Significant threat to life.
        Severe = "Severe",
        /// Possible threat to life.
        Moderate = "Moderate",
        /// Hardly any.
        Minor = "Minor",
        /// Nobody knows.
        Unknown = "Unknown",
    }
}

words! {
    /// How sure it is.
    Certainty {
        /// It happened, or goes on.
        Observed = "Observed",
        /// More than half.
        Likely = "Likely",
        /// At most half.
        Possible = "Possible",
        /// Hardly.
        Unlikely = "Unlikely",
        /// Nobody knows.
        Unknown = "Unknown",
    }
}

words! {
    /// The word of [`Kind`](super::Kind).
    MsgType {
        /// News.
        Alert = "Alert",
        /// Replaces what it names.
        Update = "Update",
        /// What it names was wrong, or is withdrawn.
        Cancel = "Cancel",
        /// What it names was received.
        Ack = "Ack",
        /// What it names is refused.
        Error = "Error",
    }
}

words! {
    /// The word of [`Scope`](super::Scope).
    ScopeWord {
        /// For everybody.
        Public = "Public",
        /// For those whom the restriction names.
        Restricted = "Restricted",
        /// For the addresses given.
        Private = "Private",
    }
}
