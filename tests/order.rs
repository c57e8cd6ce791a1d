//! Durable, then acknowledged: proved by a trace of the system calls of the real program.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use hansho_journal::SqliteReader;
use hansho_model::{Event, IncidentId, Seq};
use hansho_simulators::caller::{self, End, Plan};
use hansho_simulators::devices::sbd::{Modem, Sky};
use hansho_simulators::devices::watch::{Place, SOS, Said};
use hansho_simulators::pendant;
use hansho_simulators::satphone::Satphone;
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::house::dc09::{self, Link};
use crate::house::mqtt::Client;
use crate::house::setup::{Device, Setup};
use crate::house::watch::Watch;
use crate::house::{House, text, wait};

const CALLS: &str = "trace=fdatasync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg";
/// A disk so slow (microseconds) that what does not wait for it is seen to be early.
const SLOW: &str = "inject=fdatasync:delay_enter=50000";
const PATIENCE: Duration = Duration::from_secs(20);
/// Of each kind, so many are sent and awaited one by one, and as many at once.
const COUNT: u16 = 20;
/// A watch of the tests, at home.
const WATCH: &str = "8800000003";
const HOME: Place = Place::new(371_060_000, 1_409_589_000);
/// A satellite modem at the house, and a site that speaks over it.
const MODEM: &str = "../satphone";
const SITE: &str = "300000000000111";

fn setup() -> Setup {
    let pendants = ["9001", "9002", "9003"].map(|account| Device::new(account, &[]));
    let watch = Device::new(WATCH, &[]).wearing_watch(37.106, 140.9589, 200);
    Setup::new(pendants.into_iter().chain([watch]).collect())
        .with_mqtt(&["p-1", "p-2"])
        .with_modem(MODEM)
        .with_site(SITE, "川前支所", 12)
}

/// A modem on a line, for a house that is not started yet.
fn plug_in(house: &House) -> Satphone {
    std::fs::create_dir_all(house.data()).unwrap();
    let session = SignedDuration::from_millis(50);
    let modem = Modem::new(Sky { session, ..Sky::default() });
    Satphone::plug_in(modem, house.data().join(MODEM)).unwrap()
}

/// A trace of processes and all their threads, into one file in the order of their calls.
struct Trace {
    child: Child,
    file: PathBuf,
}

impl Trace {
    /// Attaches to processes. `None`, with a printed reason, where that cannot be done.
    fn attach(pids: &[Pid], folder: &Path, filters: &[&str]) -> Option<Self> {
        let file = folder.join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-yy", "-s", "4200", "-o"]).arg(&file);
        for filter in filters {
            command.args(["-e", filter]);
        }
        for pid in pids {
            command.arg("-p").arg(pid.as_raw_nonzero().to_string());
        }
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                println!("skipped: strace cannot be run ({error}); install it");
                return None;
            }
        };
        let mut said = BufReader::new(child.stderr.take()?).lines();
        let mut heard = Vec::new();
        let mut attached = 0;
        while attached < pids.len()
            && let Some(Ok(line)) = said.next()
        {
            attached += usize::from(line.contains(" attached"));
            heard.push(line);
        }
        if attached < pids.len() {
            child.wait().unwrap();
            println!("skipped: strace may not attach: {}", heard.join("; "));
            return None;
        }
        // Whatever it says later must not fill the pipe.
        thread::spawn(move || said.for_each(drop));
        Some(Self { child, file })
    }

    /// Lets go, or waits until what was traced is gone, and gives the lines.
    fn end(mut self, let_go: bool) -> Vec<String> {
        if let_go {
            let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
        }
        wait("strace to end", || self.child.try_wait().unwrap());
        let trace = std::fs::read(&self.file).unwrap();
        text(&trace).lines().map(str::to_owned).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // A failed test leaves nothing behind; after `end` there is nothing to kill.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What matters of a trace, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Something of this name came in that is owed an answer.
    Came(String),
    /// An fdatasync of the write-ahead log began at this place and is done now.
    Synced { begun: usize },
    /// Its answer goes out.
    Answered(String),
}

/// Reads a trace. Each line begins with the thread; a call that another thread's line interrupts
/// stands on two lines, begun and resumed.
fn steps(lines: &[String]) -> Vec<(usize, Step)> {
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unfinished: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut steps = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let done = !call.contains("<unfinished ...>");
        let resumed = call.starts_with("<... ");
        if call.starts_with("fdatasync(") && call.contains("-wal") {
            begun.insert(thread, at);
        }
        if (call.starts_with("fdatasync(") || call.starts_with("<... fdatasync"))
            && done
            && let Some(begun) = begun.remove(thread)
        {
            assert!(call.trim_end_matches(" (DELAYED)").ends_with("= 0"), "{line}");
            steps.push((at, Step::Synced { begun }));
        }
        let (name, socket) = if resumed {
            unfinished.remove(thread).unwrap_or_default()
        } else {
            let (name, arguments) = call.split_once('(').unwrap_or_default();
            (name, arguments.split("]>").next().unwrap_or_default())
        };
        if !done {
            unfinished.insert(thread, (name, socket));
        }
        // A read shows its bytes when it is done, a write when it begins.
        if ["read", "recvfrom", "recvmsg"].contains(&name) {
            steps.extend(came(socket, &bytes(call)).into_iter().map(|it| (at, Step::Came(it))));
        } else if !resumed {
            let answered = answered(socket, &bytes(call)).into_iter();
            steps.extend(answered.map(|it| (at, Step::Answered(it))));
        }
    }
    steps
}

/// All that stands between quotes in a traced call, its escapes undone.
fn bytes(call: &str) -> Vec<u8> {
    let mut found = Vec::new();
    let mut signs = call.bytes().peekable();
    let mut quoted = false;
    while let Some(sign) = signs.next() {
        match sign {
            b'"' => quoted = !quoted,
            b'\\' if quoted => match signs.next().unwrap() {
                b'n' => found.push(b'\n'),
                b'r' => found.push(b'\r'),
                b't' => found.push(b'\t'),
                b'v' => found.push(0x0b),
                b'f' => found.push(0x0c),
                digit @ b'0'..=b'7' => {
                    let mut value = digit - b'0';
                    for _more in 0..2 {
                        let Some(digit) = signs.next_if(|sign| matches!(sign, b'0'..=b'7')) else {
                            break;
                        };
                        value = value * 8 + (digit - b'0');
                    }
                    found.push(value);
                }
                itself => found.push(itself),
            },
            _ if quoted => found.push(sign),
            _ => {}
        }
    }
    found
}

/// Names of what came in by a socket or a line. Where nothing else tells it, the socket is part of
/// the name: over MQTT, from a watch, of a desk.
fn came(socket: &str, bytes: &[u8]) -> Vec<String> {
    let said = text(bytes);
    let mut names = dc09_named(&said, "\"ADM-CID\"");
    for rest in said.split("{\"n\":").skip(1) {
        let number = rest.split(',').next().unwrap_or_default();
        names.push(format!("MQTT {socket} {number}"));
    }
    names.extend(said.matches("*AL,").map(|_| format!("watch {socket}")));
    names.extend(said.matches(r#""body":{"#).map(|_| format!("desk {socket}")));
    if socket.contains("/dev/pts/") {
        names.extend(said.matches(&format!("@{SITE}/")).map(|_| "SBD".to_owned()));
    }
    for method in ["INVITE", "CANCEL"] {
        let asks = said.contains(" SIP/2.0\r\n");
        if asks && said.contains(&format!(" {method}\r\n")) {
            names.push(format!("SIP {method} {}", call_id(&said)));
        }
    }
    names
}

/// Names of what is answered by a socket.
fn answered(socket: &str, bytes: &[u8]) -> Vec<String> {
    let said = text(bytes);
    let mut names = dc09_named(&said, "\"ACK\"");
    let mut rest = bytes;
    // A PUBACK: its head, how long it is, and the id; nothing but these is sent after the log-in.
    while let [0x40, length, high, low, ..] = rest {
        names.push(format!("MQTT {socket} {}", u16::from_be_bytes([*high, *low])));
        rest = rest.get(2 + usize::from(*length)..).unwrap_or_default();
    }
    names.extend(said.matches("*AL]").map(|_| format!("watch {socket}")));
    // To a command nothing but the number of its event; whoever asks for more has that among much.
    let number =
        said.rsplit_once("\r\n\r\n{\"seq\":").map(|(_head, rest)| rest.trim_end_matches('}'));
    if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
        names.push(format!("desk {socket}"));
    }
    if socket.contains("/dev/pts/") {
        // From here on the modem has the message no more.
        names.extend(said.matches("AT+SBDD1\r").map(|_| "SBD".to_owned()));
    }
    for (status, method) in [("180", "INVITE"), ("200", "CANCEL")] {
        let answers = said.contains(&format!("SIP/2.0 {status} "));
        if answers && said.contains(&format!(" {method}\r\n")) {
            names.push(format!("SIP {method} {}", call_id(&said)));
        }
    }
    names
}

/// Number and account of each DC-09 frame with this token.
fn dc09_named(said: &str, token: &str) -> Vec<String> {
    said.split(token)
        .skip(1)
        .filter_map(|rest| {
            let number = rest.get(..4)?;
            let account = rest.split_once('#')?.1.get(..4)?;
            Some(format!("DC-09 {account} {number}"))
        })
        .collect()
}

fn call_id(said: &str) -> &str {
    said.split("Call-ID: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap()
}

/// Sends to every door and hears every answer; how many of each kind.
fn talk(house: &House, satphone: &Satphone) -> BTreeMap<&'static str, usize> {
    let addresses = house.addresses();
    let mut sent = BTreeMap::new();
    let mut links = [
        ("9001", Link::tcp(addresses.dc09, PATIENCE).unwrap()),
        ("9002", Link::udp(addresses.dc09, PATIENCE).unwrap()),
        ("9003", Link::tcp(addresses.dc09, PATIENCE).unwrap()),
    ];
    for sequence in 1..=COUNT {
        for (account, link) in &mut links {
            let answer = link.ask(&dc09::press(account, sequence, 3)).unwrap();
            assert!(answer.contains(&dc09::ack(sequence)), "{answer}");
        }
    }
    for sequence in COUNT + 1..=2 * COUNT {
        for (account, link) in &mut links {
            link.send(&dc09::press(account, sequence, 3)).unwrap();
        }
    }
    for (_, link) in &mut links {
        for _each in 0..COUNT {
            assert!(link.answer().unwrap().contains("\"ACK\""));
        }
    }
    sent.insert("DC-09", links.len() * 2 * usize::from(COUNT));

    let mut clients = [(4, "p-1"), (5, "p-2")]
        .map(|(level, name)| (name, Client::open(addresses.mqtt, level, name, PATIENCE).unwrap()));
    let publish = |client: &mut (&str, Client), id: u16| {
        let topic = format!("hansho/v1/pendant/{}/alarm", client.0);
        let payload = format!(r#"{{"n":{id},"alarms":[{{"kind":"help"}}]}}"#);
        client.1.publish(id, &topic, &payload).unwrap();
    };
    for client in &mut clients {
        for id in 1..=COUNT {
            publish(client, id);
            assert_eq!(client.1.puback().unwrap(), (id, 0));
        }
    }
    for id in COUNT + 1..=2 * COUNT {
        clients.iter_mut().for_each(|client| publish(client, id));
    }
    for client in &mut clients {
        for id in COUNT + 1..=2 * COUNT {
            assert_eq!(client.1.puback().unwrap(), (id, 0), "in their order");
        }
    }
    sent.insert("MQTT", clients.len() * 2 * usize::from(COUNT));

    let mut watch = Watch::connect(addresses.watch, WATCH, PATIENCE).unwrap();
    watch.say(&Said::Start);
    for _each in 0..2 * COUNT {
        watch.say(&Said::Alarm(SOS, HOME));
    }
    sent.insert("watch", 2 * usize::from(COUNT));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hang_up_after = Some(Duration::from_millis(20));
    for number in 0..COUNT {
        let link = if number % 2 == 0 { pendant::Link::Udp } else { pendant::Link::Tcp };
        let tel = Some(format!("+81900000{number:04}"));
        let plan = Plan { tel, hang_up_after, ..Plan::default() };
        let heard = runtime.block_on(caller::call(addresses.sip, link, &plan));
        assert!(matches!(heard.end, End::Abandoned) && heard.ringing.is_some(), "{heard}");
    }
    sent.insert("SIP", 2 * usize::from(COUNT));
    sent.insert("desk", note_at_a_desk(house));
    sent.insert("SBD", speak_over_a_satellite(satphone));
    sent
}

/// Opens an incident and notes; how many commands.
fn note_at_a_desk(house: &House) -> usize {
    let desk = house.client_of("dispatcher1");
    let signal = desk.state()["signals"][0]["id"].clone();
    let opened = desk.command("OpenIncident", &json!({ "signals": [signal], "kind": "ems" }));
    let incident = IncidentId(Seq::new(opened.unwrap().seq())).to_string();
    for number in 1..=2 * COUNT {
        let note = json!({ "incident": incident, "text": format!("{number}") });
        assert_eq!(desk.command("AddNote", &note).unwrap().status, 200);
    }
    1 + 2 * usize::from(COUNT)
}

/// Messages one by one, and as many that wait for one another at the gateway; how many.
fn speak_over_a_satellite(satphone: &Satphone) -> usize {
    for number in 1..=2 * COUNT {
        satphone.call(format!("@{SITE}/{number} 第{number}報").as_bytes());
        if number <= COUNT {
            wait_cleared(satphone, number);
        }
    }
    wait_cleared(satphone, 2 * COUNT);
    2 * usize::from(COUNT)
}

/// Waits until so many messages were cleared in the modem.
fn wait_cleared(satphone: &Satphone, count: u16) {
    wait("the modem to be cleared", || {
        let modem = satphone.modem();
        let cleared = modem.commands.iter().filter(|command| *command == "AT+SBDD1").count();
        (modem.mtmsn == count && cleared >= usize::from(count)).then_some(())
    });
}

#[test]
fn an_fdatasync_of_the_log_stands_before_every_answer_at_every_door() {
    let mut house = House::new(&setup());
    let satphone = plug_in(&house);
    house.start();
    let folder = tempfile::tempdir().unwrap();
    // The telephone side speaks from the supervisor, after the core's word.
    let both = [house.core().unwrap(), house.supervisor()];
    let Some(trace) = Trace::attach(&both, folder.path(), &[CALLS]) else { return };
    let sent = talk(&house, &satphone);
    assert_durable_first(&trace.end(true), &sent);
    assert!(house.stop().success());
}

/// A port hears what it is told a tenth of a second late, which would hide that it was told too soon.
#[test]
fn on_a_slow_disk_a_message_waits_in_the_modem_until_it_is_durable() {
    let mut house = House::new(&setup());
    let satphone = plug_in(&house);
    house.start();
    let folder = tempfile::tempdir().unwrap();
    let core = [house.core().unwrap()];
    let Some(trace) = Trace::attach(&core, folder.path(), &[CALLS, SLOW]) else { return };
    let sent = [("SBD", speak_over_a_satellite(&satphone))].into();
    assert_durable_first(&trace.end(true), &sent);
    assert!(house.stop().success());
}

/// Every answer in the trace comes after a sync that began after what it answers had come, and there
/// are as many as were sent at each door.
fn assert_durable_first(lines: &[String], sent: &BTreeMap<&'static str, usize>) {
    let steps = steps(lines);
    let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, step) in &steps {
        let Step::Answered(name) = step else { continue };
        *answers.entry(name.split(' ').next().unwrap()).or_default() += 1;
        let asked: Vec<usize> = steps
            .iter()
            .filter(|(came, step)| came < at && matches!(step, Step::Came(it) if it == name))
            .map(|(came, _)| *came)
            .collect();
        // What has no number of its own is answered in its order; a repeat as the first.
        let nth = before.entry(name).or_default();
        let came = asked.get(*nth).or_else(|| asked.last());
        let came = *came.unwrap_or_else(|| panic!("{name} was never read"));
        *nth += 1;
        let synced = steps.iter().any(|(done, step)| {
            matches!(step, Step::Synced { begun } if *begun > came) && done < at
        });
        assert!(
            synced,
            "{name} was answered before it was durable:\n{}",
            lines[came..=*at].join("\n")
        );
    }
    let syncs = steps.iter().filter(|(_, step)| matches!(step, Step::Synced { .. })).count();
    println!("{answers:?} after {syncs} fdatasyncs");
    for (door, sent) in sent {
        let seen = answers.get(door).copied().unwrap_or_default();
        assert!(seen >= *sent, "{door}: {seen} of {sent} answers are seen");
    }
}

#[test]
fn a_disk_that_fails_ends_the_core_without_an_acknowledgement() {
    let mut house = House::start_new(&setup());
    let core = house.core().unwrap();
    let dc09 = house.addresses().dc09;
    let mut first = Link::tcp(dc09, PATIENCE).unwrap();
    let answer = first.ask(&dc09::press("9001", 1, 3)).unwrap();
    assert!(answer.contains(&dc09::ack(1)), "{answer}");
    let folder = tempfile::tempdir().unwrap();
    let inject = "inject=fdatasync:error=EIO:when=1";
    let Some(trace) = Trace::attach(&[core], folder.path(), &[CALLS, inject]) else { return };
    let said = house.log().len();
    let frame = dc09::press("9001", 2, 3);
    first.send(&frame).unwrap();
    let mut datagrams = Link::udp(dc09, PATIENCE).unwrap();
    let line = house.wait_log(said, "The core ended; it is started again.");
    assert!(line.contains("exit status: 70"), "{line}");
    assert!(house.log()[said..].iter().any(|line| line.contains("A commit failed.")));
    assert_eq!(text(&first.rest()), "", "nothing was acknowledged on the old line");
    let lines = trace.end(false);
    assert!(lines.iter().any(|line| line.contains("EIO") && line.contains("INJECTED")));
    let sent = lines.iter().flat_map(|line| dc09_named(&text(&bytes(line)), "\"ACK\""));
    assert_eq!(sent.collect::<Vec<_>>(), Vec::<String>::new());
    house.wait_ready();
    // The device repeats with the same number, by whichever way it has.
    let answer = datagrams.ask(&frame).unwrap();
    assert!(answer.contains(&dc09::ack(2)), "{answer}");
    let mut again = Link::tcp(dc09, Duration::from_millis(300)).unwrap();
    assert!(again.ask(&frame).unwrap().contains(&dc09::ack(2)));
    assert_eq!(text(&again.rest()), "", "one acknowledgement for one repeat");
    assert!(house.stop().success());
    house.journal("verify");
    let mut reader = SqliteReader::open(&house.data()).unwrap();
    let events = reader.read(Seq::ZERO, 10_000).unwrap();
    let reports = events.iter().filter(|each| matches!(each.event, Event::ReportReceived(_)));
    assert_eq!(reports.count(), 2, "the repeat is the same report");
}
