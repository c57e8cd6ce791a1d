//! Topics: `hansho/v1/<pendant|tracker>/<id>/<alarm|state|telemetry|down>`.

use hansho_model::{DeviceKind, Lane};

/// Longest name of a device, in bytes.
const DEVICE_SIZE_MAX: usize = 32;

/// Class of a message: it decides the lane, together with what the device is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A call for help. Must be sent with QoS 1.
    Alarm,
    /// A fault, its end, something worth a line.
    State,
    /// Place, battery, sign of life.
    Telemetry,
}

impl Class {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Alarm, Self::State, Self::Telemetry];

    /// Its word in topics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::State => "state",
            Self::Telemetry => "telemetry",
        }
    }

    /// From its word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|each| each.as_str() == word)
    }

    /// Its lane.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::Alarm => Lane::A,
            Self::State => Lane::C,
            Self::Telemetry => Lane::D,
        }
    }
}

/// Whose topic it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: DeviceKind,
    /// In capitals, as one device has one name.
    pub(super) device: String,
}

impl Owner {
    pub(super) fn new(kind: DeviceKind, device: &str) -> Option<Self> {
        let sound = (1..=DEVICE_SIZE_MAX).contains(&device.len())
            && device.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        sound.then(|| Self { kind, device: device.to_ascii_uppercase() })
    }
}

/// A topic that a device may publish to, and its class.
pub(super) fn publish(topic: &str) -> Option<(Owner, Class)> {
    let (owner, last) = split(topic)?;
    Some((owner, Class::from_word(last)?))
}

/// A topic that a device may subscribe to.
pub(super) fn down(topic: &str) -> Option<Owner> {
    split(topic).filter(|(_, last)| *last == "down").map(|(owner, _)| owner)
}

fn split(topic: &str) -> Option<(Owner, &str)> {
    let mut levels = topic.strip_prefix("hansho/v1/")?.split('/');
    let (kind, device, last) = (levels.next()?, levels.next()?, levels.next()?);
    if levels.next().is_some() {
        return None;
    }
    Some((Owner::new(DeviceKind::from_word(kind)?, device)?, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_five_levels_and_one_owner() {
        let (owner, class) = publish("hansho/v1/pendant/p-7001/alarm").unwrap();
        assert_eq!((owner.kind, owner.device.as_str()), (DeviceKind::Pendant, "P-7001"));
        assert_eq!(class, Class::Alarm);
        assert_eq!(down("hansho/v1/tracker/A/down").unwrap().kind, DeviceKind::Tracker);
        for bad in [
            "",
            "hansho/v1/pendant/a",
            "hansho/v1/pendant/a/alarm/",
            "/hansho/v1/pendant/a/alarm",
            "hansho/v1/pendant//alarm",
            "hansho/v1/pendant/+/alarm",
            "hansho/v1/pendant/#",
            "hansho/v1/siren/a/alarm",
            "hansho/v2/pendant/a/alarm",
            "hansho/v1/pendant/a/down",
            "hansho/v1/pendant/a/ALARM",
            "hansho/v1/pendant/a b/alarm",
            "hansho/v1/pendant/\u{e9}/alarm",
            "hansho/v1/pendant/123456789012345678901234567890123/alarm",
            "$share/g/hansho/v1/pendant/a/alarm",
        ] {
            assert_eq!(publish(bad), None, "{bad}");
        }
        for bad in
            ["#", "hansho/v1/pendant/+/down", "hansho/v1/pendant/a/alarm", "hansho/v1/pendant/a/#"]
        {
            assert_eq!(down(bad), None, "{bad}");
        }
    }
}
