//! What goes on beside the evening, far from its scenes, at a steady rate: it is what is timed.
//!
//! Whoever sends does so when it is due and counts from then: a late answer must not slow the load
//! down and hide itself.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hansho_simulators::caller::{Plan, call};
use hansho_simulators::devices::sip::Place;
use hansho_simulators::pendant::{Link, Pendant};
use hansho_simulators::vehicle::{Pressed, now};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep_until;

use super::arrows::{Arrow, Times};
use super::city::{City, TERMINAL};
use crate::house::http::Client;
use crate::house::mqtt;
use crate::house::{PATIENCE, pause, wait};

/// The city, and what all who work in it share.
pub(crate) struct Beside {
    pub(crate) city: City,
    pub(crate) times: Times,
    over: AtomicBool,
    /// When the unit was ordered that its crew has not seen yet.
    ordered: Mutex<Option<Instant>>,
    /// The incident that its crew has come back from.
    back_from: Mutex<Option<String>>,
}

/// All who work.
pub(crate) struct Work {
    beside: Arc<Beside>,
    threads: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    endless: Vec<AbortHandle>,
}

impl Beside {
    pub(crate) fn new(city: City) -> Self {
        let (ordered, back_from) = (Mutex::default(), Mutex::default());
        Self { city, times: Times::new(), over: AtomicBool::new(false), ordered, back_from }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Gives a command, which must be taken, and times it; the number of its event.
    fn command(&self, desk: &Client, kind: &str, body: &Value) -> u64 {
        let begun = Instant::now();
        let answer = desk.command(kind, body).unwrap();
        self.times.note(Arrow::Command, begun.elapsed());
        assert_eq!(answer.status, 200, "{kind} {body}: {answer:?}");
        answer.seq()
    }
}

impl Work {
    pub(crate) fn begin(beside: Beside, runtime: &Runtime) -> Self {
        let beside = Arc::new(beside);
        let threads = [track, words, watch, send_notices, dispatch];
        let threads = threads.map(|work| {
            let beside = Arc::clone(&beside);
            thread::spawn(move || work(&beside))
        });
        let (mut tasks, _inside) = (JoinSet::new(), runtime.enter());
        let mut endless = Vec::new();
        for place in 0..PENDANTS {
            endless.push(tasks.spawn(press(Arc::clone(&beside), place)));
        }
        endless.push(tasks.spawn(dial(Arc::clone(&beside))));
        endless.push(tasks.spawn(crew(Arc::clone(&beside))));
        Self { beside, threads: threads.into(), tasks, endless }
    }

    /// Whether nobody fell over something yet.
    pub(crate) fn goes_on(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
            && !self.endless.iter().any(AbortHandle::is_finished)
    }

    pub(crate) fn beside(&self) -> &Beside {
        &self.beside
    }

    /// Everybody goes; whoever fell over something says so now.
    pub(crate) fn end(mut self, runtime: &Runtime) -> Beside {
        self.beside.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        runtime.block_on(async {
            while let Some(ended) = self.tasks.try_join_next() {
                ended.unwrap();
            }
            self.tasks.shutdown().await;
        });
        Arc::into_inner(self.beside).expect("nobody works any more")
    }
}

/// A pendant that is pressed again and again.
async fn press(beside: Arc<Beside>, place: u32) {
    let account = (FIRST_PENDANT + place).to_string();
    let mut pendant = Pendant::new(beside.city.stage.dc09, Link::Tcp, &account, None);
    let mut due = Instant::now() + PRESS_PERIOD * place;
    loop {
        sleep_until(due.into()).await;
        pendant.press(1).await.unwrap();
        beside.times.note(Arrow::Press, due.elapsed());
        due += PRESS_PERIOD * PENDANTS;
    }
}

/// Callers who hang up before anybody answers.
async fn dial(beside: Arc<Beside>) {
    let mut due = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0_u32.. {
        sleep_until(due.into()).await;
        due += CALL_PERIOD;
        let place = Place { lat: PLACE.0, lon: PLACE.1, ..Place::default() };
        let plan = Plan {
            tel: Some(format!("{TEL}{number:06}")),
            place,
            hang_up_after: Some(Duration::from_secs(2)),
            ..Plan::default()
        };
        let beside = Arc::clone(&beside);
        calls.spawn(async move {
            let outcome = call(beside.city.stage.sip, Link::Udp, &plan).await;
            let rang = outcome.ringing.unwrap_or_else(|| panic!("nobody heard it: {outcome}"));
            beside.times.note(Arrow::Ring, rang);
        });
        while let Some(ended) = calls.try_join_next() {
            ended.unwrap();
        }
    }
}

/// The crew that is ordered: it says at once that it has been there.
async fn crew(beside: Arc<Beside>) {
    let mut vehicle = beside.city.vehicle(TERMINAL.0);
    loop {
        let order = vehicle.order().await;
        let seen = Instant::now();
        if let Some(ordered) = lock(&beside.ordered).take() {
            beside.times.note(Arrow::Order, seen.duration_since(ordered));
        }
        for status in ["AK", "ER", "OS", "RT", "IN"] {
            let begun = Instant::now();
            let pressed = vehicle.press(status, now()).await.unwrap();
            beside.times.note(Arrow::Crew, begun.elapsed());
            assert!(matches!(pressed, Pressed::Stored(_)), "{status}: {pressed:?}");
        }
        *lock(&beside.back_from) = order["incident"].as_str().map(str::to_owned);
    }
}

/// Trackers that nobody registered say where they are, in turn.
fn track(beside: &Beside) {
    let door = beside.city.house.addresses().mqtt;
    let names: Vec<_> = (0..TRACKERS).map(|number| format!("b-{number}")).collect();
    let mut trackers: Vec<_> = names
        .iter()
        .map(|name| {
            let mut client = mqtt::Client::dial(door, MQTT, PATIENCE).unwrap();
            client.send(&mqtt::connect(MQTT, name, None)).unwrap();
            assert!(matches!(client.packet().unwrap().as_slice(), [0x20, _, 0, 0, ..]));
            client
        })
        .collect();
    let mut due = Instant::now();
    for number in 0_u64.. {
        if beside.is_over() {
            return;
        }
        pause(due.saturating_duration_since(Instant::now()));
        let place = usize::try_from(number).unwrap() % TRACKERS;
        let topic = format!("hansho/v1/tracker/{}/telemetry", names[place]);
        let lat = PLACE.0 + (number % 1_000) as f64 / 1e6;
        let payload = format!(
            r#"{{"n":{},"battery":80,"position":{{"lat":{lat:.6},"lon":{},"accuracy_m":12}}}}"#,
            number + 1,
            PLACE.1
        );
        let id = u16::try_from(number % 60_000).unwrap() + 1;
        trackers[place].publish(id, &topic, &payload).unwrap();
        let (taken, reason) = trackers[place].puback().unwrap();
        assert!(taken == id && (reason == 0 || reason == OVER_QUOTA), "{reason:#x}");
        beside.times.note(Arrow::Position, due.elapsed());
        // While the house thins, a PUBACK comes at the end of its window: who would have spoken
        // meanwhile is left out.
        due = (due + POSITION_PERIOD).max(Instant::now());
    }
}

/// A branch office that says over a satellite that all is well.
fn words(beside: &Beside) {
    let satphone = beside.city.stage.satphone.as_ref().unwrap();
    let unread = || satphone.modem().unread().is_some();
    let until = |is: bool| {
        let begun = Instant::now();
        while unread() != is {
            assert!(begun.elapsed() < PATIENCE, "a message is not fetched, or not cleared");
            pause(Duration::from_millis(1));
        }
    };
    for number in 1_u32.. {
        until(false);
        satphone.call(format!("@{SITE}/{number} 異状なし").as_bytes());
        until(true);
        let begun = Instant::now();
        until(false);
        beside.times.note(Arrow::Satellite, begun.elapsed());
        for _ in 0..WORDS_PERIOD.as_secs() {
            if beside.is_over() {
                return;
            }
            pause(Duration::from_secs(1));
        }
    }
}

/// A console that is open, and how old each event is when it gets there.
fn watch(beside: &Beside) {
    let desk = beside.city.house.client_of("dispatcher2");
    let mut stream = desk.events(desk.state()["seq"].as_u64());
    while !beside.is_over() {
        // A heartbeat comes every two seconds.
        let event = stream.next();
        if event.name == "event" {
            let at: Timestamp = event.data["at"].as_str().unwrap().parse().unwrap();
            let age = Timestamp::now().duration_since(at);
            beside.times.note(Arrow::Shown, age.try_into().unwrap());
        }
    }
}

/// Calls a division out, and tells the public; some members answer.
fn send_notices(beside: &Beside) {
    let house = &beside.city.house;
    let (desk, people) = (house.client_of("supervisor1"), house.client());
    let state = desk.state();
    let groups = state["groups"].as_array().unwrap();
    let count = groups.iter().find(|group| group["key"] == GROUP).unwrap()["count"].clone();
    let notice = json!({
        "group": GROUP, "kind": "call_out", "drill": false, "subject": "田人 枯草火災",
        "text": "集合: 架空集会所", "minutes": 1, "count": count,
        "public": {
            "headline": "田人で枯草火災", "severity": "minor", "districts": [11],
            "text": "煙が見えます。",
        },
    });
    let mut read = 0;
    let mut due = Instant::now();
    while !beside.is_over() {
        pause(due.saturating_duration_since(Instant::now()));
        due += NOTICE_PERIOD;
        let (at, begun) = (Timestamp::now(), Instant::now());
        let id = format!("n{}", beside.command(&desk, "SendNotice", &notice));
        let alert = format!("hansho-{id}.xml");
        wait("the public to read of it", || {
            people.get("/public/alerts.atom").unwrap().text().contains(&alert).then_some(())
        });
        beside.times.note(Arrow::Notice, begun.elapsed());
        wait("the mails to be sent", || {
            let state = desk.state();
            let notices = state["notices"].as_array().unwrap();
            notices.iter().any(|each| each["id"] == id && each["state"] == "sent").then_some(())
        });
        let mails = beside.city.mailbox.mails_after(read);
        read = mails.last().map_or(read, |mail| mail.id);
        let own = format!("<{id}.");
        let mut links = Vec::new();
        for mail in mails.iter().filter(|mail| mail.message_id.starts_with(&own)) {
            let dot: Timestamp = mail.received_at.parse().unwrap();
            beside.times.note(Arrow::Mail, dot.duration_since(at).try_into().unwrap());
            let (_address, token) = mail.link.as_ref().unwrap().split_once("/r/").unwrap();
            links.push(format!("/r/{token}"));
        }
        assert!(links.len() >= ANSWERS, "{id}: {} mails", links.len());
        for path in links.iter().take(ANSWERS) {
            let begun = Instant::now();
            assert_eq!(people.post_form(path, "answer=coming").unwrap().status, 200);
            beside.times.note(Arrow::Answer, begun.elapsed());
        }
    }
}

/// The desk that takes what these devices say: an incident for each pendant, sometimes with the unit,
/// and an end for the rest.
fn dispatch(beside: &Beside) {
    let desk = beside.city.house.client_of("dispatcher2");
    let mut unit_is_free = true;
    // What is shown may be older than what this desk has done.
    let mut done = BTreeSet::new();
    while !beside.is_over() {
        if let Some(incident) = lock(&beside.back_from).take() {
            close(beside, &desk, &incident);
            unit_is_free = true;
        }
        let state = desk.state();
        for signal in state["signals"].as_array().unwrap() {
            let id = signal["id"].as_str().unwrap();
            if done.contains(id) {
                continue;
            }
            let device = signal["device"].as_str().unwrap_or_default();
            let rings = signal["state"] == "ringing";
            let given_up = signal["state"] == "abandoned";
            if given_up && signal["from"].as_str().is_some_and(|from| from.starts_with(TEL)) {
                end(beside, &desk, &signal["id"]);
                done.insert(id.to_owned());
            } else if rings && device == format!("sbd:{SITE}") {
                take(beside, &desk, &signal["id"]);
                end(beside, &desk, &signal["id"]);
                done.insert(id.to_owned());
            } else if rings && is_ours(device) {
                take(beside, &desk, &signal["id"]);
                done.insert(id.to_owned());
                let body = json!({ "signals": [signal["id"]], "kind": "ems" });
                let incident = format!("i{}", beside.command(&desk, "OpenIncident", &body));
                if std::mem::take(&mut unit_is_free) {
                    *lock(&beside.ordered) = Some(Instant::now());
                    let body = json!({ "incident": incident, "units": [TERMINAL.1] });
                    beside.command(&desk, "OrderUnits", &body);
                } else {
                    close(beside, &desk, &incident);
                }
            }
        }
        pause(DESK_PERIOD);
    }
}

/// Whether it is one of the pendants beside the evening.
fn is_ours(device: &str) -> bool {
    let account = device.strip_prefix("dc09:").and_then(|account| account.parse::<u32>().ok());
    account.is_some_and(|account| (FIRST_PENDANT..FIRST_PENDANT + PENDANTS).contains(&account))
}

fn take(beside: &Beside, desk: &Client, signal: &Value) {
    let body = json!({ "signal": signal, "position": "desk2" });
    beside.command(desk, "AcknowledgeSignal", &body);
}

fn end(beside: &Beside, desk: &Client, signal: &Value) {
    beside.command(desk, "EndSignal", &json!({ "signal": signal, "outcome": "mistake" }));
}

fn close(beside: &Beside, desk: &Client, incident: &str) {
    let body = json!({ "incident": incident, "outcome": "handled" });
    beside.command(desk, "CloseIncident", &body);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// At Tabito, in the hills: none of the evening's scenes is there, and its district's register says
// where the pendants are.
const PLACE: (f64, f64) = (36.9833, 140.6964);
const SITE: &str = "300000000000110";
const FIRST_PENDANT: u32 = 4_370;
const PENDANTS: u32 = 16;
/// How the numbers of those begin who call beside the evening, whose own callers have zeros there.
const TEL: &str = "+819001";
const TRACKERS: usize = 32;
/// Version 5: it has a word for what was given up under load, which is no fault of the house.
const MQTT: u8 = 5;
const OVER_QUOTA: u8 = 0x97;
/// A division of 68, and how many of it answer.
const GROUP: &str = "dan-1-1";
const ANSWERS: usize = 8;
// From one to the next, of all pendants, callers and so on together.
const PRESS_PERIOD: Duration = Duration::from_millis(500);
const CALL_PERIOD: Duration = Duration::from_secs(1);
const POSITION_PERIOD: Duration = Duration::from_millis(20);
const WORDS_PERIOD: Duration = Duration::from_secs(3);
const NOTICE_PERIOD: Duration = Duration::from_secs(5);
const DESK_PERIOD: Duration = Duration::from_millis(250);
