//! What a device says over MQTT: topics and payloads, as the README of `crates/protocols` describes
//! them to makers.

use serde_json::{Map, Value, json};

/// A device, as its topics name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `pendant` or `tracker`.
    pub kind: String,
    /// Its id, which is its user name, too.
    pub id: String,
}

impl Name {
    /// A pendant.
    #[must_use]
    pub fn pendant(id: &str) -> Self {
        Self { kind: "pendant".to_owned(), id: id.to_owned() }
    }

    /// A tracker.
    #[must_use]
    pub fn tracker(id: &str) -> Self {
        Self { kind: "tracker".to_owned(), id: id.to_owned() }
    }

    /// The topic of a class: `alarm`, `state`, `telemetry`, or `down` for what it is told.
    #[must_use]
    pub fn topic(&self, class: &str) -> String {
        format!("hansho/v1/{}/{}/{class}", self.kind, self.id)
    }
}

/// Where a device says it is, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lon: f64,
    /// How far off it may be, in metres.
    pub accuracy_m: u32,
}

/// What a device says.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Somebody needs help, such as `help` or `fall`.
    Alarm {
        /// What it is.
        kind: String,
        /// Pendant or sensor.
        zone: String,
        /// Where.
        place: Option<Place>,
    },
    /// A fault begins or ends.
    State {
        /// What it is, such as `battery`.
        kind: String,
        /// Whether it is over.
        restored: bool,
    },
    /// Place and battery.
    Telemetry {
        /// Where.
        place: Option<Place>,
        /// Per cent.
        battery: Option<u8>,
    },
}

impl Message {
    /// Its class, the last level of its topic.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Alarm { .. } => "alarm",
            Self::State { .. } => "state",
            Self::Telemetry { .. } => "telemetry",
        }
    }

    /// Its payload, with the device's counter.
    #[must_use]
    pub fn payload(&self, counter: u64) -> String {
        let mut map = Map::from_iter([("n".to_owned(), json!(counter))]);
        let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
        match self {
            Self::Alarm { kind, zone, place } => {
                let zone = (!zone.is_empty()).then_some(zone);
                put("alarms", json!([{ "kind": kind, "zone": zone }]));
                if let Some(place) = place {
                    put("position", position(*place));
                }
            }
            Self::State { kind, restored } => {
                let phase = if *restored { "restored" } else { "new" };
                put("alarms", json!([{ "kind": kind, "phase": phase }]));
            }
            Self::Telemetry { place, battery } => {
                if let Some(place) = place {
                    put("position", position(*place));
                }
                if let Some(battery) = battery {
                    put("battery", json!(battery));
                }
            }
        }
        Value::Object(map).to_string()
    }
}

fn position(Place { lat, lon, accuracy_m }: Place) -> Value {
    json!({ "lat": lat, "lon": lon, "accuracy_m": accuracy_m, "method": "gnss" })
}

#[cfg(test)]
mod tests {
    use hansho_protocols::mqtt::message_report;

    use super::*;

    fn report(message: &Message) -> hansho_model::Report {
        let name = Name::tracker("t-8001");
        let payload = message.payload(7);
        message_report(&name.topic(message.class()), payload.as_bytes()).unwrap()
    }

    #[test]
    fn the_house_understands_what_a_device_says() {
        let place = Some(Place { lat: 37.0505, lon: 140.887_666_6, accuracy_m: 12 });
        let alarm = Message::Alarm { kind: "fall".to_owned(), zone: "3".to_owned(), place };
        let said = report(&alarm);
        assert_eq!((said.device.as_str(), said.lane.as_str(), said.refused), ("T-8001", "A", None));
        assert_eq!((said.findings[0].kind.as_str(), said.findings[0].zone.as_str()), ("fall", "3"));
        let position = said.position.unwrap();
        assert_eq!((position.lat.e7(), position.lon.e7()), (370_505_000, 1_408_876_666));
        assert!(said.deviations.is_empty());
        let state = Message::State { kind: "battery".to_owned(), restored: true };
        assert_eq!((report(&state).lane.as_str(), report(&state).refused), ("C", None));
        for (place, battery) in [(place, Some(81)), (None, None)] {
            let said = report(&Message::Telemetry { place, battery });
            assert_eq!((said.lane.as_str(), said.refused), ("D", None));
            assert_eq!(said.telemetry.and_then(|said| said.battery), battery);
        }
        let bare = Message::Alarm { kind: "help".to_owned(), zone: String::new(), place: None };
        assert_eq!(report(&bare).refused, None);
    }
}
