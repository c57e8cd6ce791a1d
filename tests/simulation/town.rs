//! The invented town: its register, and what its pendants, dispatchers and helpers have in hand.

use std::sync::Arc;

use hansho_model::{
    Answer, Command, DegreesE7, DeviceEntry, DeviceKind, DistrictId, Door, Fleet, GroupEntry,
    KeyId, Language, Mailbox, MetresU32, Mode, PersonEntry, Position, Registry, Role, Sealed,
    Settings, SiteEntry, Start, Token, UnitEntry, UnitKind, Zone,
};
use hansho_protocols::dc09::crc16;
use hansho_protocols::{Accounts, Key, LogIn, UnknownDevices};
use hansho_simulators::devices::watch::{Place, SOS, Said, Wearable};
use jiff::Timestamp;

use super::dice::Dice;
use super::line::Caller;
use super::satellite::Roof;
use crate::house::mqtt;

/// A home unit, an MQTT pendant or a watch. It repeats a message under the same number until that
/// is acknowledged.
pub(super) struct Pendant {
    pub(super) account: String,
    pub(super) door: Door,
    /// TCP when true, else UDP. Only a home unit keeps its stream; the others dial for each try, so
    /// that they know what an answer answers.
    pub(super) stream: bool,
    /// It must encrypt and does not: its messages are kept, shown and never acknowledged.
    pub(super) intruder: bool,
    pub(super) sequence: u16,
    pub(super) outstanding: Option<Outstanding>,
    /// Messages it will still send.
    pub(super) left: u32,
    /// Its stream, or the one that it dialled last.
    pub(super) link: u64,
    /// Its TCP link delivers nothing before this time: bytes keep their order.
    pub(super) link_free_at: i64,
}

/// A message without its acknowledgement.
pub(super) struct Outstanding {
    pub(super) sequence: u16,
    pub(super) frame: Vec<u8>,
    pub(super) sent: u32,
    /// A call for help.
    pub(super) urgent: bool,
}

/// A dispatcher. Repeats a command under the same id until it is answered.
#[derive(Default)]
pub(super) struct Dispatcher {
    pub(super) outstanding: Option<Command>,
    pub(super) left: u32,
}

/// A helper's answer to a mail, repeated until it is taken or refused.
pub(super) struct GivenAnswer {
    pub(super) answer: Answer,
    pub(super) done: bool,
}

pub(super) struct Town {
    pub(super) pendants: Vec<Pendant>,
    pub(super) callers: Vec<Caller>,
    pub(super) dispatchers: Vec<Dispatcher>,
    pub(super) answers: Vec<GivenAnswer>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) start: Start,
    pub(super) helpers: u8,
    pub(super) roof: Roof,
}

impl Town {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let devices = u8::try_from(dice.between(2, 5)).unwrap();
        let helpers = u8::try_from(dice.between(1, 5)).unwrap();
        let mut accounts = Accounts::new(UnknownDevices::Show);
        let mut pendants = Vec::new();
        for number in 0..devices {
            let account = format!("A{number:03}");
            let intruder = number == 1 && dice.one_in(3);
            let key = intruder.then(|| Key::new(vec![7; 16]).unwrap());
            accounts.register(&account, key);
            pendants.push(pendant(Door::Dc09, account, intruder, dice));
        }
        if dice.one_in(2) {
            // Nobody registered this one.
            pendants.push(pendant(Door::Dc09, "B000".to_owned(), false, dice));
        }
        let password = blake3::hash(mqtt::password_of(MQTT).as_bytes());
        accounts.admit(MQTT, LogIn { password, kind: DeviceKind::Pendant, telemetry_only: false });
        accounts.register(WATCH, None);
        for (door, account) in [(Door::Mqtt, MQTT), (Door::Watch, WATCH)] {
            if dice.one_in(2) {
                pendants.push(pendant(door, account.to_owned(), false, dice));
            }
        }
        for (place, pendant) in (0..).zip(&mut pendants) {
            pendant.link = place;
        }
        let dispatchers = (0..dice.between(1, 3)).map(|_each| {
            let left = u32::try_from(dice.between(4, 14)).unwrap();
            Dispatcher { outstanding: None, left }
        });
        let dispatchers = dispatchers.collect();
        let start = start(devices, helpers, dice);
        let accounts = Arc::new(accounts);
        let callers = (0..dice.place(5)).map(Caller::new).collect();
        let (answers, roof) = (Vec::new(), Roof::new(dice));
        Self { pendants, callers, dispatchers, answers, accounts, start, helpers, roof }
    }
}

/// The pendant that logs in over MQTT, and the watch.
const MQTT: &str = "M-1";
const WATCH: &str = "8800000003";
/// Where the watch's wearer lives; a kilometre off he has left his safe zone.
const HOME: Place = Place::new(371_060_000, 1_409_589_000);
const AWAY: Place = Place::new(371_150_000, 1_409_589_000);

fn pendant(door: Door, account: String, intruder: bool, dice: &mut Dice) -> Pendant {
    Pendant {
        account,
        door,
        stream: door != Door::Dc09 || dice.one_in(3),
        intruder,
        sequence: 0,
        outstanding: None,
        left: u32::try_from(dice.between(3, 12)).unwrap(),
        link: 0,
        link_free_at: 0,
    }
}

fn safe_zone() -> Zone {
    let (lat, lon) = (DegreesE7::from_e7(HOME.lat_e7), DegreesE7::from_e7(HOME.lon_e7));
    let centre = Position::new(lat, lon).unwrap();
    Zone { name: "home".to_owned(), centre, radius: MetresU32(200) }
}

impl Pendant {
    /// The next thing that it says.
    pub(super) fn say(&mut self, at: Timestamp, dice: &mut Dice) -> Outstanding {
        let next = self.sequence + 1;
        let (sequence, frame, urgent) = match self.door {
            Door::Mqtt => publication(&self.account, next, dice),
            Door::Watch => frame_of_watch(&self.account, next, at, dice),
            Door::Dc09 | Door::Console | Door::Answers | Door::Sip | Door::Quic | Door::Sbd => {
                message(&self.account, next, dice)
            }
        };
        self.sequence = self.sequence.max(sequence);
        Outstanding { sequence, frame, sent: 1, urgent }
    }
}

/// What an MQTT pendant sends from the log-in on, with its counter, which is the packet's id, too.
fn publication(account: &str, sequence: u16, dice: &mut Dice) -> (u16, Vec<u8>, bool) {
    let password = mqtt::password_of(account);
    let (class, urgent) = if dice.one_in(2) { ("alarm", true) } else { ("telemetry", false) };
    let topic = format!("hansho/v1/pendant/{account}/{class}");
    let said = if urgent { r#""alarms":[{"kind":"help"}]"# } else { r#""battery":80"# };
    let payload = format!(r#"{{"n":{sequence},{said}}}"#);
    let level = if sequence.is_multiple_of(2) { 4 } else { 5 };
    let log_in = mqtt::connect(level, account, Some((account, &password)));
    (sequence, [log_in, mqtt::publish(level, 1, sequence, &topic, &payload)].concat(), urgent)
}

/// What a watch says. Its steps are the number of the message; what only tells where it is has none
/// and is not answered.
fn frame_of_watch(
    account: &str,
    sequence: u16,
    at: Timestamp,
    dice: &mut Dice,
) -> (u16, Vec<u8>, bool) {
    let watch = Wearable { steps: sequence.into(), ..Wearable::new(account) };
    let place = if dice.one_in(2) { AWAY } else { HOME };
    if dice.one_in(2) {
        return (0, watch.encode(at, &Said::Position(place)), false);
    }
    (sequence, watch.encode(at, &Said::Alarm(SOS, place)), true)
}

/// What a home unit says, with the number of the message; 0 for those that have none.
fn message(account: &str, sequence: u16, dice: &mut Dice) -> (u16, Vec<u8>, bool) {
    let event = match dice.below(20) {
        0..=7 => "1101 01 003",
        8 => "1641 01 004",
        9 | 10 => "3101 01 003",
        11 => "1301 00 000",
        12 => "3301 00 000",
        13 => "1602 00 000",
        14 => "1406 01 003",
        _ => return (0, frame(&format!("\"NULL\"0000L0#{account}[]")), false),
    };
    let body = format!("\"ADM-CID\"{sequence:04}L0#{account}[#{account}|{event}]");
    (sequence, frame(&body), event == "1101 01 003")
}

pub(super) fn frame(body: &str) -> Vec<u8> {
    let crc = crc16(body.as_bytes());
    format!("\n{crc:04X}{:04X}{body}\r", body.len()).into_bytes()
}

pub(super) fn sealed(key: u64, bytes: &[u8]) -> Sealed {
    Sealed { key: KeyId(key), bytes: bytes.to_vec() }
}

fn person(number: u8, mailbox: u8) -> PersonEntry {
    let key = u64::from(number);
    PersonEntry {
        key: format!("person-{number:04}"),
        digest: Token([number; 16]),
        name: sealed(key, b"name"),
        mailboxes: vec![Mailbox { address: sealed(key, b"mail"), token: Token([mailbox; 16]) }],
        language: if number.is_multiple_of(2) { Language::Ja } else { Language::En },
        role: None,
    }
}

/// The group that notices go to: everybody.
pub(super) const GROUP: &str = "all";

/// Handset of the town's one site.
pub(super) const SITE: &str = "300000000000111";

/// Units of the town; the last two share a crew.
pub(super) const UNITS: [&str; 3] = ["救1", "1", "はしご1"];

fn unit(call_sign: &str) -> UnitEntry {
    let (kind, with) = match call_sign {
        "救1" => (UnitKind::Ambulance, None),
        "1" => (UnitKind::Pump, Some("はしご1")),
        _ => (UnitKind::Ladder, Some("1")),
    };
    UnitEntry {
        call_sign: call_sign.to_owned(),
        station: "invented".to_owned(),
        position: safe_zone().centre,
        kind,
        abilities: Vec::new(),
        crew: 4,
        cross_staffed_with: with.map(str::to_owned),
        reserve: false,
        terminal: with.is_none().then(|| "T-1".to_owned()),
    }
}

/// Helpers are persons 1 and up, the one subscriber is person 100.
fn start(devices: u8, helpers: u8, dice: &mut Dice) -> Start {
    let couple = dice.one_in(2);
    let mut people: Vec<PersonEntry> = (1..=helpers)
        // The second helper may share the mailbox of the first.
        .map(|number| person(number, if couple && number == 2 { 1 } else { number }))
        .collect();
    people.push(person(100, 100));
    let sources = (0..devices).map(|number| format!("dc09:A{number:03}"));
    let sources = sources.chain([format!("mqtt:{MQTT}"), format!("watch:{WATCH}")]);
    let devices = (0_u8..)
        .zip(sources)
        .map(|(number, source)| DeviceEntry {
            zones: if source.starts_with("watch:") { vec![safe_zone()] } else { Vec::new() },
            source,
            subscriber: "person-0100".to_owned(),
            helpers: (1..=helpers)
                .filter(|each| *each == 1 || dice.percent(60))
                .map(|each| format!("person-{each:04}"))
                .collect(),
            district: Some(DistrictId(2)),
            address: Some(sealed(100, b"home")),
            digest: Token([200 + number; 16]),
            interval_s: None,
        })
        .collect();
    let settings = Settings {
        mode: Mode::Demo,
        headquarters: "invented".to_owned(),
        sender: "demo@hansho.example.jp".to_owned(),
        message_domain: "hansho.example.jp".to_owned(),
        answer_url: "http://127.0.0.1:8119".to_owned(),
        answer_minutes: u16::try_from(dice.between(1, 5)).unwrap(),
    };
    let fleet = Fleet { units: UNITS.map(unit).into(), ..Fleet::default() };
    let site = SiteEntry {
        source: format!("sbd:{SITE}"),
        name: "invented".to_owned(),
        district: Some(DistrictId(12)),
        digest: Token([90; 16]),
    };
    let group = GroupEntry {
        key: GROUP.to_owned(),
        name: "invented".to_owned(),
        members: people.iter().map(|person| person.key.clone()).collect(),
        senders: vec![Role::Dispatcher],
        digest: Token([91; 16]),
    };
    let registry =
        Registry { people, devices, groups: vec![group], sites: vec![site], settings, fleet };
    Start { release: "simulated".to_owned(), registry }
}
