//! What MQTT needs: devices' log-ins, files for TLS, brokers of others.

use std::ops::Range;
use std::path::Path;

use hansho_model::{DeviceKind, Lane, Mode};
use toml::de::DeValue;

use crate::reader::{Reader, Section};
use crate::syntax;
use crate::{
    DeviceLogin, FOREIGN_BROKERS_MAX, FOREIGN_TOPICS_MAX, ForeignBroker, ForeignTopic,
    TEXT_CHARS_MAX, TlsFiles,
};

/// Keys of a device that logs in.
pub(crate) const LOGIN_KEYS: [&str; 3] = ["password_blake3", "kind", "class"];

/// How a device logs in.
pub(crate) fn login<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<DeviceLogin> {
    let example =
        "\"...\", the BLAKE3 of a password that a machine made: printf %s PASSWORD | b3sum";
    let hash = reader.required_text(section, "password_blake3", 512, example);
    let hash = reader.parsed(hash, syntax::blake3);
    let kind = reader.text(section, "kind", TEXT_CHARS_MAX);
    let kind = reader.parsed(kind, |text| {
        DeviceKind::from_word(text).ok_or_else(|| {
            let remedy = "write \"pendant\" or \"tracker\"".to_owned();
            (format!("kind \"{text}\" is not known"), remedy)
        })
    });
    let class = reader.text(section, "class", TEXT_CHARS_MAX);
    let class = reader.parsed(class, |text| match text {
        "alarm" => Ok(false),
        "telemetry" => Ok(true),
        _ => {
            let remedy = "write \"alarm\", or \"telemetry\" for one that never calls for help";
            Err((format!("class \"{text}\" is not known"), remedy.to_owned()))
        }
    });
    Some(DeviceLogin {
        password_hash: hash?.value,
        kind: kind.map_or(DeviceKind::Pendant, |kind| kind.value),
        telemetry_only: class.is_some_and(|class| class.value),
    })
}

/// The files for TLS.
pub(crate) fn tls<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    folder: &Path,
    mode: Option<Mode>,
) -> Option<TlsFiles> {
    let Some(section) = reader.table(root, "tls") else {
        let listen = reader.table(root, "listen");
        let place = |door| place_of(listen.as_ref()?, door).map(|place| (door, place));
        let door = place("mqtts").or_else(|| place("mqtts_alarms")).or_else(|| place("quic"));
        if let Some((door, place)) = door.filter(|_| mode == Some(Mode::Real)) {
            let message = format!("`{door}` has no certificate");
            let remedy = "add [tls] with certificate and key, PEM files; only a demo makes its own";
            reader.fault(place, message, remedy.to_owned());
        }
        return None;
    };
    reader.check_keys(&section, &["certificate", "key"]);
    let mut file = |key, example| {
        let text = reader.required_text(&section, key, TEXT_CHARS_MAX, example)?;
        let path = folder.join(text.value);
        if !path.is_file() {
            let message = format!("`{}` is no file", path.display());
            reader.fault(text.span, message, "put the PEM file there".to_owned());
        }
        Some(path)
    };
    let certificate = file("certificate", "\"hansho.pem\"");
    let key = file("key", "\"hansho.key\"");
    Some(TlsFiles { certificate: certificate?, key: key? })
}

/// Where a key of a section stands.
fn place_of(section: &Section<'_>, key: &str) -> Option<Range<usize>> {
    section.table.get_key_value(key).map(|(name, _)| name.span())
}

/// The brokers of others.
pub(crate) fn foreign_brokers<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    folder: &Path,
) -> Vec<ForeignBroker> {
    let Some(value) = root.table.get("foreign_broker") else { return Vec::new() };
    let DeValue::Array(items) = value.get_ref() else {
        let message = "`foreign_broker` is no list of tables".to_owned();
        reader.fault(value.span(), message, "write `[[foreign_broker]]`, once a broker".to_owned());
        return Vec::new();
    };
    if items.len() > FOREIGN_BROKERS_MAX {
        let message = format!("{} foreign brokers are listed", items.len());
        reader.fault(value.span(), message, format!("{FOREIGN_BROKERS_MAX} are allowed"));
    }
    let mut brokers: Vec<ForeignBroker> = Vec::new();
    for item in items {
        let place = item.span();
        let section = reader.as_table("foreign_broker".to_owned(), place.clone(), item);
        let Some(broker) = section.and_then(|section| broker(reader, &section, folder)) else {
            continue;
        };
        if brokers.iter().any(|other| other.name == broker.name) {
            let message = format!("two foreign brokers are called `{}`", broker.name);
            reader.fault(place, message, "give each a name of its own".to_owned());
        }
        brokers.push(broker);
    }
    brokers
}

fn broker<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    folder: &Path,
) -> Option<ForeignBroker> {
    let keys = ["name", "server", "client_id", "user", "password_file", "topics"];
    reader.check_keys(section, &keys);
    let name = reader.required_text(section, "name", 12, "\"vendor\"");
    let name = reader.parsed(name, syntax::key);
    let server =
        reader.required_text(section, "server", TEXT_CHARS_MAX, "\"mqtt.example.jp:1883\"");
    let server = reader.parsed(server, |text| syntax::server(text).map(str::to_owned));
    let client_id = reader.required_text(section, "client_id", 64, "\"hansho-hq\"");
    let client_id = client_id.map(|id| id.value.to_owned());
    let login = crate::site::login(reader, section, folder);
    let topics = topics(reader, section);
    Some(ForeignBroker {
        name: name?.value.to_owned(),
        server: server?.value,
        client_id: client_id?,
        login,
        topics: topics?,
    })
}

/// `topics = { "vendor/+/alarm" = "alarm" }`.
fn topics<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Vec<ForeignTopic>> {
    reader.required(section, "topics", "{ \"vendor/+/alarm\" = \"alarm\" }")?;
    let table = reader.table(section, "topics")?;
    if table.table.len() > FOREIGN_TOPICS_MAX {
        let message = format!("{} topics are listed", table.table.len());
        reader.fault(table.place.clone(), message, format!("{FOREIGN_TOPICS_MAX} are allowed"));
    }
    let mut topics = Vec::new();
    for (key, value) in table.table {
        let filter = key.get_ref().as_ref();
        let levels = filter.split('/');
        let plus = levels.clone().filter(|level| *level == "+").count();
        if plus != 1 || levels.clone().any(|level| level.contains(['+', '#']) && level != "+") {
            let message = format!("`{filter}` does not say where the device's name stands");
            let remedy = "write the topic with one level `+`, where the name stands".to_owned();
            reader.fault(key.span(), message, remedy);
        }
        let word = reader.as_text(filter, value, TEXT_CHARS_MAX);
        let lane = reader.parsed(word, |text| match text {
            "alarm" => Ok(Lane::A),
            "state" => Ok(Lane::C),
            "telemetry" => Ok(Lane::D),
            _ => {
                let remedy = "write \"alarm\", \"state\" or \"telemetry\"".to_owned();
                Err((format!("\"{text}\" is no class of messages"), remedy))
            }
        });
        topics
            .extend(lane.map(|lane| ForeignTopic { filter: filter.to_owned(), lane: lane.value }));
    }
    Some(topics)
}
