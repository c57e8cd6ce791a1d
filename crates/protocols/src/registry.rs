//! The list of protocols. Append-only: config, vectors test, fuzz target and tools walk `ALL`.

use crate::{Session, Setup, dc09, mqtt, watch};

macro_rules! protocols {
    ($($(#[$doc:meta])* $variant:ident = $module:ident,)+) => {
        /// A protocol we speak.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Protocol { $($(#[$doc])* $variant,)+ }

        impl Protocol {
            /// All of them, in the order in which they were added.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name in config, metrics, logs and files of test cases.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($module),)+ }
            }

            /// From its name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|each| each.name() == name)
            }

            /// A new conversation.
            #[must_use]
            pub fn session(self, setup: Setup) -> Box<dyn Session> {
                match self { $(Self::$variant => $module::session(setup),)+ }
            }
        }
    };
}

protocols! {
    /// Alarm receivers' IP protocol ANSI/SIA DC-09.
    Dc09 = dc09,
    /// Wearable trackers of the 3G Elec / SeTracker family.
    Watch = watch,
    /// Our own devices over MQTT 3.1.1 and 5.
    Mqtt = mqtt,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_protocol() {
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::from_name(protocol.name()), Some(*protocol));
            assert_eq!(protocol.to_string(), protocol.name());
        }
        assert_eq!(Protocol::from_name("morse"), None);
    }
}
