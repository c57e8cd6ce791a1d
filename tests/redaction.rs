//! Every door and every way out, logged at trace, in good days and bad: nothing private is in the
//! log, in the metrics or in the health page, neither as it is nor as hex, base64, percent signs or
//! a list of bytes. `flow.rs` does the same for one alarm's whole story.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use hansho_simulators::caller::{Plan, call};
use hansho_simulators::devices::sbd::{Modem, Sky};
use hansho_simulators::devices::sip::{Place as Spot, Shape};
use hansho_simulators::devices::watch::{Place, SOS, Said};
use hansho_simulators::pendant::Link as Carrier;
use hansho_simulators::satphone::Satphone;
use hansho_simulators::vehicle::{Vehicle, now};
use jiff::SignedDuration;
use serde_json::json;
use tokio::time::timeout;

use crate::house::dc09::{self, Link};
use crate::house::http::Client;
use crate::house::mqtt;
use crate::house::setup::{Device, Setup, password_of, token_of};
use crate::house::watch::Watch;
use crate::house::{House, PATIENCE, text, wait};

/// How long an answer to rubbish is waited for.
const SOON: Duration = Duration::from_millis(200);
const KEY: &str = "8a1f0c5b7d3e96424f60a1b2c3d4e5f6";
const WATCH: &str = "8800000009";
/// Where the wearer lives and was seen.
const HOME: Place = Place::new(371_234_567, 1_409_876_543);
/// A village hall with a satellite phone, and a member of a corps.
const SITE: &str = "300000000000111";
const MEMBER: &str = "refused.member@docomo.example.jp";
const CALLER: &str = "+819000004321";
/// Typed by people, or said by devices, where it has no business.
const TYPED: [&str; 13] = [
    "架空町七丁目の角の青い家",
    "玄関の鍵は植木鉢の下",
    "合言葉を間違えた",
    "password-in-the-user-field",
    "token-that-nobody-issued",
    "下書きの中の病名",
    "pendant says 架空太郎",
    "架空花子の名を問う",
    "架空次郎が運転",
    "架空町 建物火災の件",
    "集合は架空三郎の家",
    "架空四郎が倒れた",
    "架空五郎を待て",
];

/// A relay that says in every refusal whom and what it refuses.
struct Tattler {
    address: SocketAddr,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Tattler {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mails: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&mails);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                thread::spawn(move || converse(stream, &kept));
            }
        });
        Self { address, mails }
    }
}

/// One connection; ends with its line.
fn converse(mut stream: TcpStream, mails: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut answer = "220 relay.example.jp".to_owned();
    loop {
        if stream.write_all(format!("{answer}\r\n").as_bytes()).is_err() {
            return;
        }
        let Some(line) = lines.next() else { return };
        answer = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "RCPT" if line.contains("refused") => format!("550 5.1.1 {line}: nobody of that name"),
            "DATA" => {
                stream.write_all(b"354 go on\r\n").ok();
                let mail: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                let mail = mail.join(" ");
                let start: String = mail.chars().take(400).collect();
                mails.lock().unwrap().push(mail);
                format!("554 5.7.1 not taken: {start}")
            }
            "QUIT" => "221 bye".to_owned(),
            _ => format!("250 {line}"),
        };
    }
}

fn devices() -> Vec<Device> {
    vec![
        Device::new("9001", &["refused.9001@docomo.example.jp", "taken.9001@au.example.jp"]),
        Device::new("9002", &[]).with_key(KEY),
        Device::new(WATCH, &["refused.carer@docomo.example.jp"]).wearing_watch(37.1, 140.9, 300),
    ]
}

#[test]
fn every_door_at_trace_on_a_bad_day_says_nothing_private() {
    let relay = Tattler::start();
    let phone: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let setup = Setup::new(devices()).with_relay(relay.address).with_mqtt(&["p-1"]);
    let setup = setup.with_group([MEMBER.to_owned()]).with_modem("../satphone");
    let setup = setup.with_site(SITE, "川前支所", 12);
    let setup = setup.with_unit("小名浜1", "onahama-1").with_phone("desk1", phone, false);
    let mut house = House::new(&setup);
    house.set_rust_log("trace");
    let terminals = house.issue(&["onahama-1"]);
    std::fs::create_dir_all(house.data()).unwrap();
    let port = house.data().join("../satphone");
    let satphone = Satphone::plug_in(
        Modem::new(Sky { session: SignedDuration::from_millis(50), ..Sky::default() }),
        port,
    )
    .unwrap();
    house.start();
    let mut frames = pendants(&house);
    frames.extend(watch(&house));
    over_mqtt(&house);
    calls(&house, "before");
    crew(&house, &terminals);
    people(&house);
    answers(&house, &relay);
    words(&house, &satphone);
    let mut shown = vec![page(&house, "/metrics"), page(&house, "/healthz")];
    // On a bad day: no core while somebody calls, and a journal that is read again.
    assert!(house.kill_core());
    calls(&house, "while the core is gone");
    house.wait_ready();
    pendants(&house);
    shown.extend([page(&house, "/metrics"), page(&house, "/healthz")]);
    assert!(house.stop().success());
    shown.extend(house.log());
    assert!(shown.iter().any(|line| line.contains("TRACE")), "the filter was heard");
    let told = |part: &str| shown.iter().any(|line| line.contains(part));
    for part in ["hansho_intake", "hansho_engine::exchange", "hansho_console"] {
        assert!(told(part), "{part} said nothing at all");
    }
    let mut secrets: Vec<Vec<u8>> = secrets().into_iter().map(String::into_bytes).collect();
    secrets.extend(frames);
    for mail in relay.mails.lock().unwrap().iter() {
        secrets.extend(links(mail).map(String::into_bytes));
    }
    let found: Vec<String> = secrets.iter().filter_map(|secret| shown_as(secret, &shown)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn page(house: &House, path: &str) -> String {
    text(&house.client().get(path).unwrap().body)
}

/// All that must not be said.
fn secrets() -> Vec<String> {
    let mut secrets: Vec<String> = TYPED.iter().map(|typed| (*typed).to_owned()).collect();
    for device in devices() {
        secrets.extend([device.subscriber, device.address]);
        for (name, mail) in device.helpers {
            secrets.extend([mail.split('@').next().unwrap().to_owned(), name, mail]);
        }
    }
    secrets.extend([MEMBER, "refused.member"].map(str::to_owned));
    secrets.extend([CALLER, "09000004321", "9000004321", KEY].map(str::to_owned));
    secrets.extend(["37.1234567", "371234567", "140.9876543", "1409876543"].map(str::to_owned));
    secrets.extend(["37.0765432", "370765432", "36.9876123"].map(str::to_owned));
    let users = ["dispatcher1", "admin1"];
    secrets.extend(users.iter().flat_map(|user| [password_of(user), token_of(user)]));
    secrets.extend([mqtt::password_of("p-1"), "hansho_session=".to_owned()]);
    secrets
}

/// Good frames, broken ones, and one that should have been encrypted; gives what was sent.
fn pendants(house: &House) -> Vec<Vec<u8>> {
    let mut link = Link::tcp(house.addresses().dc09, PATIENCE).unwrap();
    let good = dc09::press("9001", 1, 1);
    link.ask(&good).unwrap();
    let open = dc09::press("9002", 2, 1);
    link.ask(&open).unwrap();
    let mut frames = vec![good, open];
    for rubbish in [format!("\nFFFF0020\"ADM-CID\"{}\r", TYPED[6]), format!("\n{}\r", TYPED[6])] {
        let mut link = Link::tcp(house.addresses().dc09, SOON).unwrap();
        link.ask(rubbish.as_bytes()).ok();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        udp.send_to(rubbish.as_bytes(), house.addresses().dc09).unwrap();
        frames.push(rubbish.into_bytes());
    }
    frames
}

fn watch(house: &House) -> Vec<Vec<u8>> {
    let mut watch = Watch::connect(house.addresses().watch, WATCH, PATIENCE).unwrap();
    let alarm = watch.try_say(&Said::Alarm(SOS, HOME)).unwrap();
    let position = watch.try_say(&Said::Position(HOME)).unwrap();
    watch.say(&Said::Link);
    watch.send(format!("[3G*{WATCH}*00FF*UD,{},", TYPED[6]).as_bytes()).ok();
    watch.send(format!("[XX*{}]", TYPED[6]).as_bytes()).ok();
    vec![alarm, position]
}

fn over_mqtt(house: &House) {
    let door = house.addresses().mqtt;
    for level in [4, 5] {
        let mut pendant = mqtt::Client::open(door, level, "p-1", PATIENCE).unwrap();
        let topic = "hansho/v1/pendant/p-1/alarm";
        let alarm = json!({"n": u32::from(level), "alarms": [{"kind": "help"}], "text": TYPED[6]});
        pendant.publish(1, topic, &alarm.to_string()).unwrap();
        pendant.puback().ok();
        for rubbish in [format!("{{\"n\":\"{}\"}}", TYPED[6]), TYPED[6].to_owned()] {
            let mut pendant = mqtt::Client::open(door, level, "p-1", SOON).unwrap();
            pendant.publish(2, topic, &rubbish).unwrap();
            pendant.rest();
        }
        for (user, password) in [("p-1", TYPED[2]), (TYPED[3], "nonsense")] {
            let mut stranger = mqtt::Client::dial(door, level, SOON).unwrap();
            stranger.send(&mqtt::connect(level, TYPED[3], Some((user, password)))).unwrap();
            stranger.rest();
        }
    }
}

/// A call with a number and a place, and requests that are none.
fn calls(house: &House, when: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place =
        Spot { shape: Shape::Point, lat: 37.076_543_2, lon: 140.987_654_3, ..Spot::default() };
    for carrier in [Carrier::Udp, Carrier::Tcp] {
        let plan = Plan {
            tel: Some(CALLER.to_owned()),
            place: place.clone(),
            hang_up_after: Some(Duration::from_millis(50)),
            ..Plan::default()
        };
        let outcome = runtime.block_on(call(house.addresses().sip, carrier, &plan));
        assert!(outcome.ringing.is_some(), "{when}: {outcome}");
    }
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let rubbish =
        format!("INVITE sip:{}@example.jp SIP/2.0\r\nFrom: {}\r\n\r\n", TYPED[7], TYPED[7]);
    udp.send_to(rubbish.as_bytes(), house.addresses().sip).unwrap();
    let mut tcp = TcpStream::connect(house.addresses().sip).unwrap();
    tcp.write_all(rubbish.as_bytes()).unwrap();
}

fn crew(house: &House, terminals: &std::path::Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let trust = house.data().join("tls.pem");
    runtime.block_on(async {
        let door = house.addresses().quic;
        let mut vehicle = Vehicle::new("onahama-1", terminals, &trust, door).unwrap();
        vehicle.position(36.987_612_3, 140.987_654_3).await.unwrap();
        timeout(SOON, vehicle.press("EN", now())).await.ok();
        timeout(SOON, vehicle.mayday(1)).await.ok();
        timeout(SOON, vehicle.say(&json!({"kind": TYPED[8], "text": TYPED[8]}))).await.ok();
    });
}

/// Log-ins right and wrong, commands whole and broken, questions that nobody answers.
fn people(house: &House) {
    let nobody = house.client();
    let log_in = |user: &str, password: &str| {
        nobody.post_json("/api/login", &json!({"user": user, "password": password})).unwrap()
    };
    assert_eq!(log_in("dispatcher1", &password_of("dispatcher1")).status, 200);
    assert_ne!(log_in("dispatcher1", TYPED[2]).status, 200);
    assert_ne!(log_in(TYPED[3], TYPED[2]).status, 200);
    let stranger = nobody.clone().with_header("Authorization", &format!("Bearer {}", TYPED[4]));
    assert_eq!(stranger.get("/api/state").unwrap().status, 401);
    let desk = house.client_of("dispatcher1");
    let signal = desk.state()["signals"][0]["id"].clone();
    let open = json!({
        "signals": [signal], "kind": "ems", "place_text": TYPED[0], "lat": 37.123_456_7, "lon": 140.987_654_3,
    });
    let opened = desk.command("OpenIncident", &open).unwrap();
    assert_eq!(opened.status, 200, "{opened:?}");
    let incident = format!("i{}", opened.seq());
    let note = |client: &Client, body: &serde_json::Value| client.command("AddNote", body).unwrap();
    assert_eq!(note(&desk, &json!({"incident": incident, "text": TYPED[1]})).status, 200);
    assert_ne!(note(&desk, &json!({"incident": TYPED[1], "text": TYPED[1]})).status, 200);
    assert_ne!(note(&desk, &json!({TYPED[1]: TYPED[5]})).status, 200);
    desk.command(TYPED[5], &json!({"draft": TYPED[5]})).unwrap();
    desk.post_form("/api/commands", TYPED[5]).unwrap();
    desk.get("/api/nothing?name=%E6%9E%B6%E7%A9%BA%E8%8A%B1%E5%AD%90%E3%81%AE%E5%90%8D%E3%82%92%E5%95%8F%E3%81%86").unwrap();
}

/// A notice to a group, and words over a satellite in both directions.
fn words(house: &House, satphone: &Satphone) {
    let desk = house.client_of("dispatcher1");
    let notice = json!({
        "group": "all", "kind": "call_out", "drill": false, "subject": TYPED[9],
        "text": TYPED[10], "count": 1, "minutes": 60,
    });
    let sent = desk.command("SendNotice", &notice).unwrap();
    assert_eq!(sent.status, 200, "{sent:?}");
    satphone.call(format!("@{SITE}/7 {}", TYPED[11]).as_bytes());
    let message = json!({ "device": format!("sbd:{SITE}"), "text": TYPED[12] });
    let sent = desk.command("SendMessage", &message).unwrap();
    assert_eq!(sent.status, 200, "{sent:?}");
    wait("the site's words", || desk.state().to_string().contains(TYPED[11]).then_some(()));
    wait("the notice's end", || (desk.state()["notices"][0]["state"] != "sending").then_some(()));
}

/// Links of mails, followed and bent.
fn answers(house: &House, relay: &Tattler) {
    let mails = || relay.mails.lock().unwrap().clone();
    wait("a mail at the relay", || (!mails().is_empty()).then_some(()));
    for token in mails().iter().flat_map(|mail| links(mail).collect::<Vec<_>>()) {
        let path = format!("/r/{token}");
        house.client().get(&path).unwrap();
        house.client().post_form(&path, "answer=coming").unwrap();
        house.client().get(&format!("{path}0")).unwrap();
    }
}

/// Tokens of the answer links in a mail, where its lines were not folded.
fn links(mail: &str) -> impl Iterator<Item = String> {
    let after = mail.split("/r/").skip(1);
    let token =
        after.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-'));
    token.map(Iterator::collect::<String>).filter(|token| token.len() > 20)
}

/// As what a secret is shown, and where.
fn shown_as(secret: &[u8], shown: &[String]) -> Option<String> {
    let plain = text(secret);
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
    let list = format!("{secret:?}");
    let mut forms = vec![
        ("plain", plain.trim().to_owned()),
        ("escaped", plain.trim().escape_debug().to_string()),
        ("ASCII", secret.trim_ascii().escape_ascii().to_string()),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("percent", percent),
        ("list", list.trim_matches(['[', ']']).to_owned()),
    ];
    forms.extend((0..3).map(|skip| ("base64", base64(secret, skip))));
    let (form, line) = forms.iter().find_map(|(form, word)| {
        let line = shown.iter().find(|line| word.len() > 5 && line.contains(word.as_str()))?;
        Some((form, line))
    })?;
    Some(format!("{plain:?} as {form} in: {line}"))
}

/// The letters of a secret in base64, wherever in three bytes it begins: the first `skip` bytes are
/// left out, and so are letters that hang on what follows.
fn base64(secret: &[u8], skip: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let threes = secret.get(skip..).unwrap_or_default().chunks_exact(3);
    let letters = threes.flat_map(|three| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[bits >> shift & 63]))
    });
    letters.collect()
}

#[test]
fn the_search_sees_what_it_looks_for() {
    let secret = "架空太郎".as_bytes();
    for line in [
        "x 架空太郎 y",
        "e69eb6e7a9bae5a4aae9838e",
        "aE69EB6E7A9BAE5A4AAE9838Eb",
        "%E6%9E%B6%E7%A9%BA%E5%A4%AA%E9%83%8E",
        "bytes: [1, 230, 158, 182, 231, 169, 186, 229, 164, 170, 233, 131, 142]",
        "5p6256m65aSq6YOO",
        "eOaetuepuuWkqumDjng=",
        "eHjmnrbnqbrlpKrpg454",
    ] {
        assert!(shown_as(secret, &[line.to_owned()]).is_some(), "{line}");
    }
    assert_eq!(shown_as(secret, &["架空花子 e69eb6".to_owned()]), None);
}
