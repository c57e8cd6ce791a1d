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

/// How much the house gives up under load: 0 nothing, 1 telemetry is thinned, 2 telemetry is
/// refused, 3 states are thinned too, 4 only alarms and people are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadLevel(u8);

impl LoadLevel {
    /// All is taken.
    pub const CALM: Self = Self(0);
    /// Telemetry of a device is thinned to its newest.
    pub const THIN_TELEMETRY: Self = Self(1);
    /// Telemetry is refused, and devices are asked to send less of it.
    pub const REFUSE_TELEMETRY: Self = Self(2);
    /// States of a device are thinned to its newest.
    pub const THIN_STATES: Self = Self(3);
    /// Only alarms, calls and people's commands are taken.
    pub const ALARMS_ONLY: Self = Self(4);

    /// From its number; `None` past 4.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::ALARMS_ONLY.0 { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The one below; the lowest stays.
    #[must_use]
    pub const fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
