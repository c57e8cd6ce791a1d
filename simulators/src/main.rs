//! `hansho-sim`: fake devices and people for demos, drills and load.
//!
//! Exit codes: 0 done, 1 the check failed, 2 bad usage.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hansho_simulators::caller::{self, Crowd, Plan};
use hansho_simulators::desk::{Desk, Habits};
use hansho_simulators::devices::dc09::{Content, Key};
use hansho_simulators::devices::mqtt;
use hansho_simulators::devices::sbd::{Fault, Modem, Sky};
use hansho_simulators::devices::sip::{self, Shape};
use hansho_simulators::devices::watch::{Place, Said};
use hansho_simulators::driver::{Driver, Spot};
use hansho_simulators::mailbox::Mailbox;
use hansho_simulators::mqtt_device::MqttDevice;
use hansho_simulators::pendant::{Link, Pendant, Stats};
use hansho_simulators::phone::{Manner, Phone};
use hansho_simulators::satphone::Satphone;
use hansho_simulators::scenario::{self, Stage};
use hansho_simulators::tracker::{self, Tracker, TrackerError};
use hansho_simulators::vehicle::Vehicle;
use hansho_simulators::volunteer::{Shares, Tally, Volunteers};
use serde::Deserialize as _;

/// Fake devices and people for Hansho.
#[derive(Debug, Parser)]
#[command(name = "hansho-sim", version, about)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// A home unit: presses, repeats until it is acknowledged, prints what came of it.
    Pendant(PendantTask),
    /// Somebody who calls 119: prints what came of it.
    Caller(CallerTask),
    /// The phone on a dispatcher's desk: prints what happens to it, until it is stopped.
    Phone(PhoneTask),
    /// A person with a watch: walks, presses, leaves a zone and comes back.
    Tracker(TrackerTask),
    /// Units' terminals: show orders, drive there, press their statuses, come back.
    Vehicle(VehicleTask),
    /// A satellite modem (Iridium 9602) on a pty: prints what goes and comes, until it is stopped.
    Satphone(SatphoneTask),
    /// Catches all mails of a demo and shows them on a page.
    Mailbox {
        /// SMTP.
        #[arg(long, default_value = "127.0.0.1:2525")]
        smtp: SocketAddr,
        /// Web page.
        #[arg(long, default_value = "127.0.0.1:8025")]
        web: SocketAddr,
    },
    /// Helpers and volunteers who read their mails at the catcher and answer by the links.
    Volunteer {
        /// Web page of the mail catcher.
        #[arg(long, default_value = "http://127.0.0.1:8025")]
        mailbox: String,
        /// What they answer follows from it.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How much faster than life they are.
        #[arg(long, default_value_t = 10)]
        time_factor: u32,
        /// Answers as at night.
        #[arg(long)]
        night: bool,
    },
    /// A dispatcher made of API calls.
    Desk {
        /// Console.
        #[arg(long, default_value = "http://127.0.0.1:8119")]
        console: String,
        /// File with the bearer token.
        #[arg(long, default_value = "target/demo/credentials.toml")]
        credentials: PathBuf,
        /// Seat.
        #[arg(long, default_value = "desk1")]
        position: String,
        /// How long a signal rings before it is taken, milliseconds.
        #[arg(long, default_value_t = 3_000)]
        answer_after: u64,
        /// Opens an incident for what it takes or joins the suggested one, calls back, closes.
        #[arg(long)]
        open: bool,
        /// Orders what is recommended for the incidents it opened.
        #[arg(long, requires = "open")]
        dispatch: bool,
    },
    /// The demo's story: once with a verdict, or for as long as somebody watches.
    Scenario(ScenarioTask),
}

#[derive(Debug, Args)]
struct PendantTask {
    /// Receiver.
    #[arg(long)]
    to: Option<SocketAddr>,
    /// Account, 3 to 16 hexadecimal digits; over MQTT the device's id.
    #[arg(long, default_value = "4017")]
    account: String,
    /// Key of 32, 48 or 64 hexadecimal digits, when the unit encrypts.
    #[arg(long)]
    key: Option<String>,
    /// Sends datagrams instead of a stream.
    #[arg(long)]
    udp: bool,
    /// Contact ID code: 101 a pendant, 110 fire, 301 mains lost, 602 a test.
    #[arg(long, default_value_t = 101)]
    code: u16,
    /// Pendant or sensor, 0 to 999.
    #[arg(long, default_value_t = 1)]
    zone: u16,
    /// A link test instead of an event.
    #[arg(long)]
    link_test: bool,
    /// How many, one after the other.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// Speaks MQTT, as the device `account`, to `to` (its default is then 127.0.0.1:1883).
    #[arg(long, conflicts_with_all = ["udp", "key", "link_test"])]
    mqtt: bool,
    /// Its password over MQTT; the demo's devices have `hansho-demo-` and their name.
    #[arg(long, requires = "mqtt")]
    password: Option<String>,
    /// Over MQTT: what it calls for, such as help, fall, fire.
    #[arg(long, default_value = "help")]
    alarm: String,
    /// Over MQTT: a tracker that walks about Iwaki City Hall and sends its place in place of alarms,
    /// every so many milliseconds or as seldom as it is asked to.
    #[arg(long, requires = "mqtt", value_name = "MS")]
    walk: Option<u64>,
}

#[derive(Debug, Args)]
struct CallerTask {
    /// SIP door.
    #[arg(long, default_value = "127.0.0.1:5060")]
    to: SocketAddr,
    /// A stream instead of datagrams.
    #[arg(long)]
    tcp: bool,
    /// Number as the network asserts it; empty when it gives none.
    #[arg(long, default_value = "+819000000001")]
    tel: String,
    /// Asks that the number be withheld (184).
    #[arg(long)]
    withhold: bool,
    /// What is asked for: sos, sos.fire, sos.ambulance ...
    #[arg(long, default_value = "sos")]
    service: String,
    /// How the network says where the caller is.
    #[arg(long, value_enum, default_value = "circle")]
    shape: ShapeWord,
    /// Degrees north.
    #[arg(long, default_value_t = 37.0558, allow_negative_numbers = true)]
    lat: f64,
    /// Degrees east.
    #[arg(long, default_value_t = 140.8930, allow_negative_numbers = true)]
    lon: f64,
    /// Metres.
    #[arg(long, default_value_t = 18)]
    radius: u32,
    /// How the place was found: GPS, Cell, 802.11.
    #[arg(long, default_value = "GPS")]
    method: String,
    /// How old the place is, seconds; negative from a clock that is ahead.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    age: i64,
    /// Hangs up so long after the first sign of the other side, milliseconds: CANCEL while it rings,
    /// BYE once it is answered.
    #[arg(long)]
    hang_up_after: Option<u64>,
    /// Else hangs up so long after the answer, milliseconds.
    #[arg(long, default_value_t = 5_000)]
    talk: u64,
    /// Gives up waiting for an answer, seconds.
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// How many callers, each with the next number.
    #[arg(long, default_value_t = 1)]
    count: u32,
    /// How many call in a second.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// How far around the place they stand, metres.
    #[arg(long, default_value_t = 0)]
    spread: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShapeWord {
    Circle,
    Point,
    Civic,
    None,
    Swapped,
    Broken,
}

#[derive(Debug, Args)]
struct PhoneTask {
    /// Where it listens, UDP and TCP.
    #[arg(long, default_value = "127.0.0.1:5070")]
    listen: SocketAddr,
    /// Rings so long before it is answered, milliseconds.
    #[arg(long, default_value_t = 200)]
    answer_after: u64,
    /// Rings and is never answered.
    #[arg(long, conflicts_with = "busy")]
    never: bool,
    /// Refuses every call with 486.
    #[arg(long)]
    busy: bool,
    /// Hangs up so long after the answer, milliseconds; without it the caller does.
    #[arg(long)]
    talk: Option<u64>,
}

#[derive(Debug, Args)]
struct TrackerTask {
    /// Receiver.
    #[arg(long, default_value = "127.0.0.1:5093")]
    to: SocketAddr,
    /// Name of the watch.
    #[arg(long, default_value = "8800000003")]
    id: String,
    /// Seconds between two reports.
    #[arg(long, default_value_t = 30)]
    every: u64,
    /// Home: latitude and longitude in degrees, with a comma between.
    #[arg(long, default_value = "37.1060,140.9589", value_parser = place)]
    home: Place,
    /// Points to walk along in place of a way from home; repeat it for each.
    #[arg(long = "point", value_parser = place)]
    points: Vec<Place>,
    /// Metres to go away from home; 0 stays there.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    leave: i32,
    /// Comes back home after that.
    #[arg(long)]
    returns: bool,
    /// Presses the button at the end of the walk.
    #[arg(long)]
    sos: bool,
    /// Battery, per cent.
    #[arg(long, default_value_t = 80)]
    battery: u8,
    /// Goes on reporting from the last point until it is stopped.
    #[arg(long)]
    stay: bool,
}

#[derive(Debug, Args)]
struct VehicleTask {
    /// Terminals with where they stand: `onahama-1=36.9548,140.9050`.
    #[arg(required = true, value_parser = terminal)]
    units: Vec<(String, Spot)>,
    /// The house.
    #[arg(long, default_value = "127.0.0.1:4119")]
    to: SocketAddr,
    /// Folder with each one's certificate and key: `hansho terminal` makes them.
    #[arg(long, default_value = "target/demo/terminals")]
    folder: PathBuf,
    /// The house's certificate.
    #[arg(long, default_value = "target/demo/data/tls.pem")]
    trust: PathBuf,
    /// How much faster than life they are.
    #[arg(long, default_value_t = 10)]
    time_factor: u32,
}

#[derive(Debug, Args)]
struct SatphoneTask {
    /// Name of the port; whoever drives the modem opens it at 19,200 bit/s.
    #[arg(long, default_value = "target/demo/satphone")]
    port: PathBuf,
    /// Serial number, 15 digits.
    #[arg(long, default_value = "300234010753370")]
    imei: String,
    /// Bars of signal, 0 to 5; with 0 nothing goes.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=5))]
    bars: u8,
    /// How long a session takes, milliseconds.
    #[arg(long, default_value_t = 5_000)]
    session: u32,
    /// Status of the next session; repeat it for those after it.
    #[arg(long = "fate", value_name = "STATUS")]
    fates: Vec<u8>,
    /// A message that waits at the gateway; repeat it for more.
    #[arg(long = "message", value_name = "TEXT")]
    messages: Vec<String>,
    /// A message that comes to the gateway later, with a ring; repeat it for more.
    #[arg(long = "call", value_name = "TEXT")]
    calls: Vec<String>,
    /// Milliseconds to the first of these, and from one to the next.
    #[arg(long, default_value_t = 10_000, value_name = "MS")]
    call_every: u64,
    /// Number of the next message that is sent.
    #[arg(long, default_value_t = 0)]
    momsn: u16,
    /// The network's clock counts from the era before.
    #[arg(long)]
    old_era: bool,
    /// Something that goes wrong once; repeat it for more: lost-ok, lost-session, cut=BYTES,
    /// wrong-checksum, reset=BYTES, ring=BYTES, lost=BYTES, doubled=BYTES, garbage, silence=SECONDS,
    /// hang-up.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
}

#[derive(Debug, Args)]
struct ScenarioTask {
    /// Plays once, prints a line an expectation; exit code 1 when one is missed.
    #[arg(long)]
    check: bool,
    /// Goes on until it is stopped.
    #[arg(long, conflicts_with = "check")]
    demo: bool,
    /// Console.
    #[arg(long, default_value = "http://127.0.0.1:8119")]
    console: String,
    /// File with the bearer token.
    #[arg(long, default_value = "target/demo/credentials.toml")]
    credentials: PathBuf,
    /// DC-09 receiver.
    #[arg(long, default_value = "127.0.0.1:5009")]
    dc09: SocketAddr,
    /// SIP door.
    #[arg(long, default_value = "127.0.0.1:5060")]
    sip: SocketAddr,
    /// Receiver of the watches.
    #[arg(long, default_value = "127.0.0.1:5093")]
    watch: SocketAddr,
    /// Web page of the mail catcher.
    #[arg(long, default_value = "http://127.0.0.1:8025")]
    mailbox: String,
    /// Register with the keys of the pendants that encrypt.
    #[arg(long, default_value = "config/demo/devices.toml")]
    devices: PathBuf,
    /// Where the satellite modem is plugged in.
    #[arg(long, default_value = "target/demo/satphone")]
    satphone: PathBuf,
    /// How many times as fast as life the evening is.
    #[arg(long, default_value_t = 10)]
    time_factor: u32,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the system refused threads: {error}"), 1),
    };
    runtime.block_on(play(arguments.task))
}

async fn play(task: Task) -> ExitCode {
    match task {
        Task::Pendant(task) => pendant(&task).await,
        Task::Caller(task) => call(&task).await,
        Task::Phone(task) => phone(&task).await,
        Task::Tracker(task) => match tracker(&task).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string(), 1),
        },
        Task::Vehicle(task) => vehicles(task).await,
        Task::Satphone(task) => satphone(task).await,
        Task::Mailbox { smtp, web } => mailbox(smtp, web).await,
        Task::Volunteer { mailbox, seed, time_factor, night } => {
            let shares = if night { Shares::NIGHT } else { Shares::DAY };
            let volunteers = Volunteers { mailbox, seed, shares, time_factor, after: 0 };
            volunteers.run(Arc::new(Tally::default())).await;
            ExitCode::SUCCESS
        }
        Task::Desk { console, credentials, position, answer_after, open, dispatch } => {
            let token = match token(&credentials) {
                Ok(token) => token,
                Err(error) => return fail(&error, 2),
            };
            let desk = Desk { console, token, position };
            let answer_after = Duration::from_millis(answer_after);
            let habits = Habits { answer_after, open, dispatch, ..Habits::default() };
            match desk.work(habits).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error.to_string(), 1),
            }
        }
        Task::Scenario(task) => scenario(task).await,
    }
}

/// Looks every so often, milliseconds, whether something has gone.
const SATPHONE_LOOK_MS: u64 = 100;

async fn satphone(task: SatphoneTask) -> ExitCode {
    let sky = Sky {
        bars: task.bars,
        session: jiff::SignedDuration::from_millis(i64::from(task.session)),
        fates: task.fates.into(),
        queue: task.messages.into_iter().map(String::into_bytes).collect(),
        old_era: task.old_era,
    };
    let mut modem = Modem::new(sky);
    modem.imei = task.imei;
    modem.momsn = task.momsn;
    modem.faults = task.faults;
    let satphone = match Satphone::plug_in(modem, task.port) {
        Ok(satphone) => satphone,
        Err(error) => return fail(&format!("no line for the modem: {error}"), 1),
    };
    say(&format!("port={} The modem is plugged in.", satphone.port().display()));
    let mut look = tokio::time::interval(Duration::from_millis(SATPHONE_LOOK_MS));
    let mut call = tokio::time::interval(Duration::from_millis(task.call_every.max(1)));
    call.reset();
    let mut calls = task.calls.into_iter();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {
                tell_sent(&satphone);
                return ExitCode::SUCCESS;
            }
            _ = call.tick() => {
                if let Some(text) = calls.next() {
                    satphone.call(text.as_bytes());
                    say(&format!("called: {text}"));
                }
            }
            _ = look.tick() => tell_sent(&satphone),
        }
    }
}

/// What the gateway got since the last time.
fn tell_sent(satphone: &Satphone) {
    let sent = std::mem::take(&mut satphone.modem().sent);
    for message in sent {
        let text = String::from_utf8_lossy(&message).escape_debug().to_string();
        say(&format!("sent {} bytes: {text}", message.len()));
    }
}

async fn pendant(task: &PendantTask) -> ExitCode {
    let key = match task.key.as_deref().map(|key| Key::new(&unhex(key))).transpose() {
        Ok(key) => key,
        Err(error) => return fail(&error.to_string(), 2),
    };
    if task.mqtt {
        return mqtt_device(task).await;
    }
    let link = if task.udp { Link::Udp } else { Link::Tcp };
    let to = task.to.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5_009)));
    let mut unit = Pendant::new(to, link, &task.account, key);
    let content = match task.link_test {
        true => Content::LinkTest,
        false => {
            Content::ContactId { qualifier: 1, code: task.code, partition: 1, zone: task.zone }
        }
    };
    for _ in 0..task.count {
        let line = match unit.send(&content).await {
            Ok(delivery) => {
                let (sequence, tries) = (delivery.sequence, delivery.tries);
                format!("{sequence:04} acknowledged at try {tries} after {:?}", delivery.took)
            }
            Err(error) => format!("not acknowledged: {error}"),
        };
        say(&line);
    }
    let Stats { sent, acknowledged, unanswered, refused, .. } = unit.stats();
    say(&format!(
        "{sent} sent, {acknowledged} acknowledged, {refused} refused, {unanswered} unanswered"
    ));
    ExitCode::from(u8::from(*acknowledged < u64::from(task.count)))
}

/// A pendant that calls for help, or a tracker that walks.
async fn mqtt_device(task: &PendantTask) -> ExitCode {
    let to = task.to.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1_883)));
    let name = match task.walk {
        None => mqtt::Name::pendant(&task.account),
        Some(_) => mqtt::Name::tracker(&task.account),
    };
    let password = task.password.clone().unwrap_or_else(|| format!("hansho-demo-{}", name.id));
    let mut device = MqttDevice::new(&to.ip().to_string(), to.port(), name, &password);
    let mut acknowledged = 0;
    for step in 0..task.count {
        let message = match task.walk {
            None => mqtt::Message::Alarm {
                kind: task.alarm.clone(),
                zone: task.zone.to_string(),
                place: None,
            },
            Some(_) => mqtt::Message::Telemetry { place: Some(walk(step)), battery: Some(80) },
        };
        let line = match device.send(&message).await {
            Ok(done) => {
                acknowledged += 1;
                format!("{} acknowledged at try {} after {:?}", done.counter, done.tries, done.took)
            }
            Err(error) => format!("not acknowledged: {error}"),
        };
        say(&line);
        if let Some(pause) = task.walk.filter(|_| step + 1 < task.count) {
            let own = Duration::from_millis(pause);
            tokio::time::sleep(device.interval().unwrap_or(own)).await;
        }
    }
    say(&format!("{} sent, {acknowledged} acknowledged", task.count));
    ExitCode::from(u8::from(acknowledged < task.count))
}

/// A walk around Iwaki City Hall, a step of about ten metres at a time.
fn walk(step: u32) -> mqtt::Place {
    let angle = f64::from(step) / 20.0;
    mqtt::Place {
        lat: 37.0505 + 0.002 * angle.sin(),
        lon: 140.8877 + 0.002 * angle.cos(),
        accuracy_m: 12,
    }
}

async fn call(task: &CallerTask) -> ExitCode {
    let shape = match task.shape {
        ShapeWord::Circle => Shape::Circle,
        ShapeWord::Point => Shape::Point,
        ShapeWord::Civic => Shape::Civic,
        ShapeWord::None => Shape::None,
        ShapeWord::Swapped => Shape::Swapped,
        ShapeWord::Broken => Shape::Broken,
    };
    let place = sip::Place {
        shape,
        lat: task.lat,
        lon: task.lon,
        radius_m: task.radius,
        method: task.method.clone(),
        age: jiff::SignedDuration::from_secs(task.age),
    };
    let plan = Plan {
        tel: Some(task.tel.clone()).filter(|tel| !tel.is_empty()),
        withheld: task.withhold,
        service: task.service.clone(),
        place,
        hang_up_after: task.hang_up_after.map(Duration::from_millis),
        talk: Duration::from_millis(task.talk),
        patience: Duration::from_secs(task.patience),
    };
    let link = if task.tcp { Link::Tcp } else { Link::Udp };
    let crowd = Crowd { count: task.count, per_second: task.rate, spread_m: task.spread };
    let mut outcomes = caller::swarm(task.to, link, plan, crowd);
    let (mut asked, mut not_asked) = (0_u32, 0_u32);
    while let Some((plan, outcome)) = outcomes.recv().await {
        say(&outcome.to_string());
        if outcome.is_as_asked(&plan) {
            asked += 1;
        } else {
            not_asked += 1;
        }
    }
    if task.count > 1 {
        say(&format!("{asked} as asked, {not_asked} otherwise"));
    }
    ExitCode::from(u8::from(not_asked > 0))
}

async fn phone(task: &PhoneTask) -> ExitCode {
    let manner = match (task.never, task.busy) {
        (true, _) => Manner::RingOn,
        (false, true) => Manner::Refuse(486),
        (false, false) => Manner::Answer(Duration::from_millis(task.answer_after)),
    };
    match Phone::start(task.listen, manner, task.talk.map(Duration::from_millis)).await {
        Ok(mut phone) => {
            say(&format!("a phone at {}, UDP and TCP", phone.address()));
            while let Some(change) = phone.next().await {
                say(&change.to_string());
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("the phone cannot listen on {}: {error}", task.listen), 2),
    }
}

async fn tracker(task: &TrackerTask) -> Result<(), TrackerError> {
    let mut tracker = Tracker::new(task.to, &task.id);
    tracker.watch.battery = task.battery;
    tracker.start().await?;
    say("started");
    let points = match task.points.as_slice() {
        [] => tracker::walk(task.home, task.leave, task.returns),
        points => points.to_vec(),
    };
    let every = Duration::from_secs(task.every);
    let mut last = task.home;
    for (count, point) in points.into_iter().enumerate() {
        if count > 0 {
            tokio::time::sleep(every).await;
        }
        tracker.walk_to(point).await?;
        say(&format!("at {:.5},{:.5}", degrees(point.lat_e7), degrees(point.lon_e7)));
        last = point;
    }
    if task.sos {
        tracker.press().await?;
        say("pressed and acknowledged");
    }
    if task.stay {
        loop {
            tokio::time::sleep(every).await;
            tracker.walk_to(last).await?;
        }
    }
    // The last report has no answer; the keep-alive's says that it was taken before.
    tracker.say(&Said::Link).await
}

async fn vehicles(task: VehicleTask) -> ExitCode {
    let mut driving = tokio::task::JoinSet::new();
    for (id, home) in task.units {
        let vehicle = match Vehicle::new(&id, &task.folder, &task.trust, task.to) {
            Ok(vehicle) => vehicle,
            Err(error) => return fail(&format!("{id}: {error}"), 1),
        };
        let driver = Driver::new(vehicle, home, task.time_factor);
        driving.spawn(driver.run(move |told| say(&format!("{id} {told}"))));
    }
    while driving.join_next().await.is_some() {}
    ExitCode::SUCCESS
}

/// Reads `onahama-1=36.9548,140.9050`.
fn terminal(text: &str) -> Result<(String, Spot), String> {
    let (id, at) =
        text.split_once('=').ok_or("give a terminal and its place: onahama-1=36.9548,140.9050")?;
    let Place { lat_e7, lon_e7, .. } = place(at)?;
    Ok((id.to_owned(), Spot { lat: degrees(lat_e7), lon: degrees(lon_e7) }))
}

fn degrees(e7: i32) -> f64 {
    f64::from(e7) / 1e7
}

/// Reads `37.1060,140.9589`.
fn place(text: &str) -> Result<Place, String> {
    let e7 = |part: &str| {
        let degrees: f64 = part.trim().parse().ok()?;
        let in_range = (-180.0..=180.0).contains(&degrees);
        #[expect(clippy::cast_possible_truncation, reason = "180e7 fits")]
        in_range.then_some((degrees * 1e7).round() as i32)
    };
    let (lat, lon) = text.split_once(',').ok_or("give latitude and longitude: 37.1060,140.9589")?;
    match (e7(lat), e7(lon)) {
        (Some(lat_e7), Some(lon_e7)) => Ok(Place::new(lat_e7, lon_e7)),
        _ => Err("give degrees: 37.1060,140.9589".to_owned()),
    }
}

async fn mailbox(smtp: SocketAddr, web: SocketAddr) -> ExitCode {
    match Mailbox::start(smtp, web).await {
        Ok(mailbox) => {
            say(&format!("SMTP {}, page http://{}", mailbox.smtp_addr(), mailbox.web_addr()));
            std::future::pending().await
        }
        Err(error) => fail(&format!("the catcher cannot listen on {smtp} or {web}: {error}"), 2),
    }
}

async fn scenario(task: ScenarioTask) -> ExitCode {
    let (tokens, keys) = match tokens(&task.credentials)
        .and_then(|tokens| keys(&task.devices).map(|keys| (tokens, keys)))
    {
        Ok(found) => found,
        Err(error) => return fail(&error, 2),
    };
    let session = jiff::SignedDuration::from_secs(2);
    let satphone = Satphone::plug_in(Modem::new(Sky { session, ..Sky::default() }), task.satphone);
    if let Err(error) = &satphone {
        say(&format!("no line for the satellite modem: {error}"));
    }
    let ScenarioTask { console, dc09, sip, watch, mailbox, demo, time_factor, .. } = task;
    let satphone = satphone.ok();
    let stage = Stage { console, tokens, dc09, sip, watch, mailbox, keys, satphone };
    let mut out = std::io::stdout();
    if demo {
        scenario::demo(&stage, &mut out).await;
        return ExitCode::SUCCESS;
    }
    let (met, missed) = scenario::check(&stage, time_factor, &mut out).await;
    say(&format!("{met} passed, {missed} failed"));
    ExitCode::from(u8::from(missed > 0))
}

/// The bearer tokens in a file of log-ins, by log-in.
fn tokens(path: &Path) -> Result<BTreeMap<String, String>, String> {
    #[derive(serde::Deserialize)]
    struct Credentials {
        login: Vec<Login>,
    }
    #[derive(serde::Deserialize)]
    struct Login {
        user: String,
        token: Option<String>,
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("{} cannot be read: {error}; run `cargo dev demo` first", path.display())
    })?;
    let parsed = toml::Deserializer::parse(&text)
        .and_then(Credentials::deserialize)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(parsed.login.into_iter().filter_map(|each| Some((each.user, each.token?))).collect())
}

/// Keys of the DC-09 units of a register that encrypt, by account.
fn keys(path: &Path) -> Result<BTreeMap<String, Key>, String> {
    #[derive(serde::Deserialize)]
    struct Device {
        aes_key: Option<String>,
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let parsed = toml::Deserializer::parse(&text)
        .and_then(BTreeMap::<String, Device>::deserialize)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let keyed = parsed.into_iter().filter_map(|(name, device)| {
        let account = name.strip_prefix("dc09:")?.to_owned();
        Some((account, Key::new(&unhex(&device.aes_key?)).ok()?))
    });
    Ok(keyed.collect())
}

/// The bearer token in a file of log-ins.
fn token(path: &Path) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Credentials {
        token: String,
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("{} cannot be read: {error}; run `cargo dev demo` first", path.display())
    })?;
    let parsed = toml::Deserializer::parse(&text)
        .and_then(Credentials::deserialize)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(parsed.token)
}

/// Bytes of hexadecimal digits; none when they are not, which no key accepts.
fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes.unwrap_or_default()
}

fn say(line: &str) {
    // Nobody may be reading; what was done is done.
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn fail(line: &str, code: u8) -> ExitCode {
    drop(writeln!(std::io::stderr(), "hansho-sim: {line}"));
    ExitCode::from(code)
}
