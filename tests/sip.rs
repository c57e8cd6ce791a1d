//! Calls to 119 through the real program: from a caller's handset to a seat's phone, with a
//! dispatcher made of API calls between them; our own callers, sipp's and baresip.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hansho_simulators::caller::{End, Outcome, Plan, call};
use hansho_simulators::desk::{Desk, Habits};
use hansho_simulators::devices::sip::{Message, Place, Shape};
use hansho_simulators::pendant::Link;
use hansho_simulators::phone::{Manner, Phone, Stage};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::house::setup::{Setup, token_of};
use crate::house::sipp::Sipp;
use crate::house::{Dice, House, pause, seed, wait, wait_for};

const LINKS: [Link; 2] = [Link::Udp, Link::Tcp];
/// Nothing should come.
const SILENCE: Duration = Duration::from_millis(300);
const SOON: Manner = Manner::Answer(Duration::from_millis(50));

/// A house, its seats' phones, and those who sit there.
struct Room {
    runtime: Runtime,
    phones: Vec<Phone>,
    house: House,
}

impl Room {
    /// Two seats, whose phones have these manners.
    fn new(manners: [Manner; 2]) -> Self {
        Self::logged(manners, "hansho=info,warn")
    }

    /// The same, with another filter of the log.
    fn logged(manners: [Manner; 2], rust_log: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let start = |manner| {
            let any = (Ipv4Addr::LOCALHOST, 0).into();
            runtime.block_on(Phone::start(any, manner, None)).unwrap()
        };
        let phones: Vec<Phone> = manners.map(start).into();
        let setup = Setup::new(Vec::new())
            .with_phone("desk1", phones[0].address(), false)
            .with_phone("desk2", phones[1].address(), true);
        let mut house = House::new(&setup);
        house.set_rust_log(rust_log);
        house.start();
        Self { runtime, phones, house }
    }

    fn door(&self) -> SocketAddr {
        self.house.addresses().sip
    }

    /// Somebody at a seat, until dropped.
    fn sit(&self, position: &str, habits: Habits) -> Sitting {
        sit(&self.runtime, &self.house, position, habits)
    }

    fn call(&self, link: Link, plan: &Plan) -> Outcome {
        self.runtime.block_on(call(self.door(), link, plan))
    }

    /// Begins a call; its outcome comes later.
    fn dial(&self, link: Link, plan: Plan) -> JoinHandle<Outcome> {
        let door = self.door();
        self.runtime.spawn(async move { call(door, link, &plan).await })
    }

    fn end_of(&self, dialled: JoinHandle<Outcome>) -> Outcome {
        self.runtime.block_on(dialled).unwrap()
    }

    /// The call of this number, once it is as asked.
    fn signal(&self, what: &str, tel: &str, is: impl Fn(&Value) -> bool) -> Value {
        signal_in(&self.house, what, tel, is)
    }
}

struct Sitting(JoinHandle<()>);

impl Drop for Sitting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn sit(runtime: &Runtime, house: &House, position: &str, habits: Habits) -> Sitting {
    let console = format!("http://{}", house.addresses().console);
    let (token, position) = (token_of("dispatcher1"), position.to_owned());
    let desk = Desk { console, token, position };
    Sitting(runtime.spawn(async move { desk.work(habits).await.unwrap() }))
}

fn signal_in(house: &House, what: &str, tel: &str, is: impl Fn(&Value) -> bool) -> Value {
    let client = house.client_of("dispatcher1");
    let found = wait_for(Duration::from_secs(20), || {
        let state = client.state();
        let signals = state["signals"].as_array().unwrap();
        signals.iter().find(|signal| signal["from"] == tel && is(signal)).cloned()
    });
    found.unwrap_or_else(|| panic!("{what}: {:#}", client.state()["signals"]))
}

fn calls(house: &House) -> Vec<Value> {
    let state = house.client_of("dispatcher1").state();
    let signals = state["signals"].as_array().unwrap().iter();
    signals.filter(|signal| signal["kind"] == "call").cloned().collect()
}

fn plan(tel: &str, hang_up_after: Option<u64>) -> Plan {
    let hang_up_after = hang_up_after.map(Duration::from_millis);
    let talk = Duration::from_millis(200);
    Plan { tel: Some(tel.to_owned()), hang_up_after, talk, ..Plan::default() }
}

/// A telephone number that belongs to nobody.
fn tel(number: u32) -> String {
    format!("+81900001{number:04}")
}

#[test]
fn a_call_is_answered_at_a_seat_and_ends() {
    let room = Room::new([SOON, SOON]);
    for (link, position) in LINKS.into_iter().zip(["desk1", "desk2"]) {
        let sitting = room.sit(position, Habits::default());
        let number = tel(u32::from(link == Link::Tcp));
        let outcome = room.call(link, &plan(&number, None));
        assert!(matches!(outcome.end, End::HungUp), "{link:?}: {outcome}");
        let over = |signal: &Value| signal["call"]["state"] == "over";
        let signal = room.signal("the call to be over", &number, over);
        assert_eq!(signal["call"]["position"], position, "{signal:#}");
        assert_eq!(signal["call"]["ended_by"], "caller", "{signal:#}");
        assert_eq!(signal["call"]["unrecorded"], false, "{signal:#}");
        assert_eq!(signal["location"]["shape"], "circle", "{signal:#}");
        assert_eq!(signal["location"]["radius_m"], 18, "{signal:#}");
        drop(sitting);
    }
    assert!(room.phones.iter().all(|phone| phone.calls().len() == 1));
}

#[test]
fn a_call_logged_at_trace_shows_nothing_private() {
    let room = Room::logged([SOON, SOON], "trace");
    let _sitting = room.sit("desk1", Habits { open: true, ..Habits::default() });
    let number = tel(5);
    let outcome = room.call(Link::Tcp, &plan(&number, None));
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
    let joined = |signal: &Value| signal["incident"].is_string();
    room.signal("the call to be written down", &number, joined);
    let log = room.house.log();
    assert!(log.iter().any(|line| line.contains("DEBUG")), "the filter was heard");
    // Number, place on the wire and in the core, and the request itself.
    for private in [number.trim_start_matches('+'), "37.0558", "370558", "140.893", "urn:service"] {
        let bytes = format!("{:?}", private.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        for form in [private, bytes] {
            let shown = log.iter().find(|line| line.contains(form));
            assert_eq!(shown, None, "the log shows {private}");
        }
    }
}

#[test]
fn a_call_given_up_asks_for_a_call_back() {
    let room = Room::new([SOON, SOON]);
    for link in LINKS {
        let number = tel(10 + u32::from(link == Link::Tcp));
        let outcome = room.call(link, &plan(&number, Some(200)));
        assert!(matches!(outcome.end, End::Abandoned), "{link:?}: {outcome}");
        let abandoned = |signal: &Value| signal["state"] == "abandoned";
        let signal = room.signal("the call to be abandoned", &number, abandoned);
        assert!(signal["call"]["callback_due"].is_string(), "{signal:#}");
        assert!(signal["location"]["lat"].is_number(), "{signal:#}");
    }
    assert!(room.phones.iter().all(|phone| phone.calls().is_empty()), "nobody answered");
}

#[test]
fn a_busy_seat_leaves_the_call_to_another() {
    let room = Room::new([Manner::Refuse(486), SOON]);
    let number = tel(20);
    let dialled = room.dial(Link::Udp, plan(&number, None));
    let client = room.house.client_of("dispatcher1");
    let ringing = |signal: &Value| signal["state"] == "ringing";
    let signal = room.signal("the call to ring", &number, ringing);
    let answer = |position: &str| {
        let body = json!({"signal": signal["id"], "position": position});
        client.command("AnswerCall", &body).unwrap()
    };
    assert_eq!(answer("desk1").status, 200);
    let failed = |signal: &Value| signal["call"]["failed"]["status"] == 486;
    let again = room.signal("the call to ring again", &number, failed);
    assert_eq!(
        (&again["state"], &again["call"]["failed"]["position"]),
        (&json!("ringing"), &json!("desk1"))
    );
    assert_eq!(answer("desk2").status, 200);
    let second = answer("desk1");
    assert_eq!((second.status, second.code().as_str()), (409, "already_answered"));
    let outcome = room.end_of(dialled);
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
}

#[test]
fn places_that_cannot_be_read_ring_all_the_same() {
    let room = Room::new([SOON, SOON]);
    let _sitting = room.sit("desk1", Habits::default());
    for (index, (shape, refused)) in [
        (Shape::Swapped, json!("range")),
        (Shape::Broken, json!("xml")),
        (Shape::Point, Value::Null),
        (Shape::Civic, Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let number = tel(30 + u32::try_from(index).unwrap());
        let place = Place { shape, ..Place::default() };
        let outcome = room.call(Link::Udp, &Plan { place, ..plan(&number, None) });
        assert!(matches!(outcome.end, End::HungUp), "{shape:?}: {outcome}");
        let signal = room.signal("the call", &number, |_| true);
        assert_eq!(signal["location"]["refused"], refused, "{shape:?}: {signal:#}");
        let pinned = signal["location"]["lat"].is_number();
        assert_eq!(pinned, shape == Shape::Point, "{shape:?}: {signal:#}");
    }
    let number = tel(40);
    let withheld = Plan { withheld: true, ..plan(&number, None) };
    assert!(matches!(room.call(Link::Udp, &withheld).end, End::HungUp));
    let hidden = calls(&room.house).into_iter().find(|signal| signal["withheld"] == true);
    assert!(hidden.is_some_and(|signal| signal["from"].is_null()), "184 is kept");
}

/// sipp's four scenarios with sipp's phone and our desks.
fn sipp_is_content(link: Link) {
    let Some(sipp) = Sipp::find(Path::new(env!("CARGO_MANIFEST_DIR"))) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let phone = sipp.phone(link, 22);
    let setup = Setup::new(Vec::new()).with_phone("desk1", phone.address, link == Link::Tcp);
    let house = House::start_new(&setup);
    let door = house.addresses().sip;
    // Nobody sits there yet.
    sipp.call(door, link, "uac_abandoned_cancel.xml", "+819000000002");
    let abandoned = |signal: &Value| signal["state"] == "abandoned";
    let signal = signal_in(&house, "an abandoned call", "+819000000002", abandoned);
    assert!(signal["call"]["callback_due"].is_string(), "{signal:#}");
    let habits = Habits { open: true, dispatch: true, ..Habits::default() };
    let _sitting = sit(&runtime, &house, "desk1", habits);
    sipp.crowd(door, link);
    one_fire(&house);
    sipp.call(door, link, "uac_malformed_swapped.xml", "+819000000003");
    let signal = signal_in(&house, "a swapped place", "+819000000003", |_| true);
    assert_eq!(signal["location"]["refused"], "range", "{signal:#}");
    sipp.call(door, link, "uac_answered_byvalue.xml", "+819000000001");
    let joined = |signal: &Value| signal["incident"].is_string();
    let signal = signal_in(&house, "an answered call", "+819000000001", joined);
    assert_eq!(signal["service"], "sos.fire", "{signal:#}");
    assert_eq!(
        (signal["location"]["lat"].as_f64(), signal["location"]["lon"].as_f64()),
        (Some(37.050_41), Some(140.887_71))
    );
    phone.assert_content();
}

/// Twenty callers: eighteen of one fire, two from elsewhere.
fn one_fire(house: &House) {
    let fire = wait("every caller of the fire to be written down", || {
        let mut calls = calls(house);
        calls.retain(|call| {
            call["from"].as_str().is_some_and(|from| from.starts_with("+8190000010"))
        });
        let written = calls.iter().all(|call| call["incident"].is_string());
        (calls.len() == 20 && written).then_some(calls)
    });
    let incident = |tel: &str| {
        let call = fire.iter().find(|call| call["from"] == tel).unwrap();
        call["incident"].as_str().unwrap().to_owned()
    };
    let first = incident("+819000001000");
    let together = fire.iter().filter(|call| call["incident"] == first.as_str()).count();
    assert_eq!(together, 18, "one fire, and two calls from elsewhere: {fire:#?}");
    assert_ne!(incident("+819000001007"), incident("+819000001016"));
}

#[test]
fn sipp_is_content_over_udp() {
    sipp_is_content(Link::Udp);
}

#[test]
fn sipp_is_content_over_tcp() {
    sipp_is_content(Link::Tcp);
}

/// baresip's folder: no sound but a file's, one account without a registrar.
fn baresip(folder: &Path, dial: &str) -> Child {
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let silence = folder.join("silence.wav");
    let length = 16_000_u32;
    let mut wave = b"RIFF".to_vec();
    wave.extend((36 + length).to_le_bytes());
    wave.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    wave.extend(length.to_le_bytes());
    wave.resize(44 + length as usize, 0);
    fs::write(&silence, wave).unwrap();
    write(
        "config",
        &format!(
            "sip_listen 127.0.0.1:0\naudio_source aufile,{0}\naudio_player aufile,{1}\n\
             audio_alert aufile,{1}\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\n\
             module aufile.so\nmodule_tmp account.so\nmodule_app menu.so\n",
            silence.display(),
            folder.join("heard.wav").display()
        ),
    );
    write("accounts", "<sip:caller@127.0.0.1>;regint=0\n");
    write("contacts", "");
    let mut command = Command::new("baresip");
    command.arg("-f").arg(folder).args(["-e", dial, "-t", "20"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn baresip_calls_in() {
    if Command::new("baresip").arg("-h").output().is_err() {
        println!("skipped: there is no baresip here (Debian's baresip-core)");
        return;
    }
    let room = Room::new([SOON, SOON]);
    let _sitting = room.sit("desk1", Habits::default());
    let folder = tempfile::tempdir().unwrap();
    let mut caller = baresip(folder.path(), &format!("/dial sip:119@{}", room.door()));
    let connected = wait_for(Duration::from_secs(15), || {
        let calls = calls(&room.house);
        calls.into_iter().find(|signal| signal["call"]["state"] == "connected")
    });
    if let Some(signal) = &connected {
        assert_eq!(signal["call"]["position"], "desk1", "{signal:#}");
        assert!(signal["location"].is_null(), "{signal:#}");
    }
    // It hangs up as it ends.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(caller.id()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .ok();
    let output = caller.wait().map(|_| caller.stdout.take()).unwrap();
    let said = output.map(|output| std::io::read_to_string(output).unwrap()).unwrap_or_default();
    if connected.is_none() && said.contains("network init failed") {
        println!("skipped: baresip wants a network beside loopback");
        return;
    }
    assert!(connected.is_some(), "{said}");
    wait("the call to be over", || {
        let calls = calls(&room.house);
        calls.iter().any(|signal| signal["call"]["state"] == "over").then_some(())
    });
}

#[test]
fn without_a_core_every_seat_rings_and_the_call_is_written_down_later() {
    let room = Room::new([Manner::RingOn, Manner::Answer(Duration::from_millis(300))]);
    let number = tel(50);
    // Stopped, a core is as gone as a killed one, and does not come back before the call is over.
    let core = room.house.core().unwrap();
    rustix::process::kill_process(core, rustix::process::Signal::STOP).unwrap();
    let outcome = room.call(Link::Udp, &plan(&number, None));
    rustix::process::kill_process(core, rustix::process::Signal::CONT).unwrap();
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
    let first = room.phones[0].calls();
    assert_eq!(
        first.values().collect::<Vec<_>>(),
        [&Stage::Cancelled],
        "the other seat was faster"
    );
    let over = |signal: &Value| signal["call"]["state"] == "over";
    let signal = room.signal("the call to be written down", &number, over);
    assert_eq!(signal["call"]["unrecorded"], true, "{signal:#}");
    assert_eq!(signal["call"]["position"], "desk2", "{signal:#}");
}

#[test]
fn a_killed_core_costs_no_call() {
    let room = Room::new([SOON, SOON]);
    let _sitting = room.sit("desk1", Habits::default());
    let talk = Duration::from_secs(3);
    let early = room.dial(Link::Tcp, Plan { talk, ..plan(&tel(60), None) });
    let connected = |signal: &Value| signal["call"]["state"] == "connected";
    room.signal("the call to be connected", &tel(60), connected);
    assert!(room.house.kill_core());
    let late = room.dial(Link::Udp, plan(&tel(61), None));
    for dialled in [early, late] {
        let outcome = room.end_of(dialled);
        assert!(matches!(outcome.end, End::HungUp), "{outcome}");
    }
    let over = |signal: &Value| signal["call"]["state"] == "over";
    for number in [60, 61] {
        room.signal("the call to be over", &tel(number), over);
    }
}

#[test]
fn a_killed_supervisor_leaves_no_call_behind_unseen() {
    let mut room = Room::new([SOON, SOON]);
    let number = tel(70);
    let dialled = room.dial(Link::Udp, plan(&number, None));
    room.signal("the call to ring", &number, |signal| signal["state"] == "ringing");
    room.house.kill_supervisor();
    dialled.abort();
    room.house.start();
    // Nobody knows what became of the caller: the number must be called back.
    let abandoned = |signal: &Value| signal["state"] == "abandoned";
    let signal = room.signal("the call to be abandoned", &number, abandoned);
    assert!(signal["call"]["callback_due"].is_string(), "{signal:#}");
    let _sitting = room.sit("desk1", Habits::default());
    let outcome = room.call(Link::Udp, &plan(&tel(71), None));
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
}

/// What scanners send to every address there is.
fn scans(door: SocketAddr) -> Vec<Vec<u8>> {
    let scan = |method: &str, uri: &str| {
        Message::request(method, uri)
            .with("Via", "SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK-524287-1---x")
            .with("Max-Forwards", 70)
            .with("From", "\"sipvicious\"<sip:100@1.1.1.1>;tag=6434396")
            .with("To", "\"sipvicious\"<sip:100@1.1.1.1>")
            .with("Call-ID", format_args!("{method}-{uri}"))
            .with("CSeq", format_args!("1 {method}"))
            .with("User-Agent", "friendly-scanner")
            .with("Contact", "<sip:100@127.0.0.1:9>")
            .encode()
    };
    vec![
        scan("OPTIONS", &format!("sip:100@{door}")),
        scan("REGISTER", &format!("sip:{door}")),
        scan("INVITE", &format!("sip:00972595117946@{door}")),
        scan("INVITE", "sip:100@192.0.2.1"),
        scan("SUBSCRIBE", &format!("sip:119@{door}")),
        scan("FROB", "urn:service:sos"),
    ]
}

/// Messages that are none, or not whole.
fn rubbish() -> Vec<Vec<u8>> {
    let doctype = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">\
                   <!ENTITY b \"&a;&a;&a;&a;\">]><presence>&b;</presence>";
    let invite = |body: &str, length: usize| {
        let text = format!(
            "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{length}\
             \r\nFrom: <sip:a@b>;tag=1\r\nTo: <urn:service:sos>\r\nCall-ID: rubbish-{length}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:9>\r\nContent-Type: application/pidf+xml\
             \r\nContent-Length: {length}\r\n\r\n{body}"
        );
        text.into_bytes()
    };
    let mut dice = Dice(seed());
    vec![
        Vec::new(),
        b"\r\n\r\n\0\0".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"INVITE urn:service:sos SIP/2.0\r\n\r\n".to_vec(),
        b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n".to_vec(),
        [b"INVITE urn:service:sos SIP/2.0\r\n".as_slice(), &b"A: b\r\n".repeat(9_000)].concat(),
        invite(doctype, doctype.len()),
        invite("", usize::MAX),
        invite("short", 4_000),
        dice.bytes(1_400),
    ]
}

#[test]
fn rubbish_rings_nobody_and_stops_nothing() {
    let room = Room::new([SOON, SOON]);
    let _sitting = room.sit("desk1", Habits::default());
    let core = room.house.core();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for bytes in scans(room.door()).into_iter().chain(rubbish()) {
        socket.send_to(&bytes, room.door()).unwrap();
        let mut stream = TcpStream::connect(room.door()).unwrap();
        // It may have been shut in our face.
        stream.write_all(&bytes).ok();
    }
    let outcome = room.call(Link::Udp, &plan(&tel(80), None));
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
    // A call whose location is rubbish is a call; a scan is none.
    let strange: Vec<Value> = calls(&room.house)
        .into_iter()
        .filter(|signal| signal["from"] != tel(80).as_str())
        .filter(|signal| {
            signal["service"].as_str().is_none_or(|service| !service.starts_with("sos"))
        })
        .collect();
    assert!(strange.is_empty(), "{strange:#?}");
    assert_eq!(room.house.core(), core, "the core was started again");
}

#[test]
fn streams_that_never_end_hold_up_nobody() {
    let room = Room::new([SOON, SOON]);
    let _sitting = room.sit("desk1", Habits::default());
    // Half open: some say nothing, some stop in the middle.
    let mut held: Vec<TcpStream> = Vec::new();
    for index in 0..100 {
        let mut stream = TcpStream::connect(room.door()).unwrap();
        let half = b"INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1";
        stream.write_all(&half[..index % half.len()]).unwrap();
        held.push(stream);
    }
    // Ten megabytes of body, as fast as they go.
    let mut stream = TcpStream::connect(room.door()).unwrap();
    let head =
        b"INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKbig\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <urn:service:sos>\r\nCall-ID: big\r\nCSeq: 1 INVITE\r\n\
        P-Asserted-Identity: <tel:+819000010090>\r\nContact: <sip:a@127.0.0.1:9>\r\n\
        Content-Type: application/pidf+xml\r\nContent-Length: 10000000\r\n\r\n";
    stream.write_all(head).unwrap();
    for _ in 0..100 {
        stream.write_all(&[b'a'; 100_000]).unwrap();
    }
    let outcome = room.call(Link::Tcp, &plan(&tel(81), None));
    assert!(matches!(outcome.end, End::HungUp), "{outcome}");
    // It rings without its body.
    let signal = room.signal("the large call", &tel(90), |_| true);
    assert_eq!(signal["location"]["refused"], "size", "{signal:#}");
    pause(SILENCE);
    for (index, stream) in held.iter().enumerate() {
        stream.set_nonblocking(true).unwrap();
        // One that was closed would give an end, or an error of another kind.
        let nothing = stream.peek(&mut [0]).map_err(|error| error.kind());
        assert_eq!(nothing, Err(ErrorKind::WouldBlock), "{index}");
    }
}
