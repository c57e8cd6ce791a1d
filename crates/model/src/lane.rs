//! Lanes: which inputs pass which others.

/// Class of an input. A smaller one passes a greater one; alarms are never shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Calls and alarms.
    A,
    /// Commands and answers of people, outcomes of effects, ticks.
    B,
    /// States: faults, battery, unit status.
    C,
    /// Telemetry: positions, heartbeats, tests. The only lane that may be shed.
    D,
}

impl Lane {
    /// All lanes, most urgent first.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// 0 for A to 3 for D.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
            Self::C => 2,
            Self::D => 3,
        }
    }

    /// Its letter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}
