//! Mails a second into Postfix's smtp-sink: our channel beside smtp-source and lettre's own pool.
//!
//! One mail a recipient, about 0.9 KB, everything on this machine and in the same run. Prints one
//! JSON line for each pair; says on stderr why when there is nothing to compare with. Compare the
//! columns, not the absolute numbers.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark speaks to a person and stops at the first surprise"
)]

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hansho_alerts::mail::{Lookups, MailChannel, MailConfig};
use hansho_alerts::{Rendered, Surroundings, render};
use hansho_model::{
    AlarmKind, DistrictId, Effect, EffectId, Facts, KeyId, Language, Mail, MailContent, Mode,
    NoticeId, Outcome, PersonId, Private, Recipient, Reveal, Sealed, Seq, Settings, Template,
    Token,
};
use hansho_outbox::{Channel, Task};
use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::task::JoinSet;
use tokio::time::Instant;

const SINK: &str = "/usr/sbin/smtp-sink";
const SOURCE: &str = "/usr/sbin/smtp-source";
/// Connections of the three cases.
const WIDTHS: [usize; 3] = [1, 8, 32];
/// Mails of a round, for us and for smtp-source.
const COUNT: u32 = 20_000;
/// Mails of a round for each of lettre's connections: without NODELAY each takes 40 ms.
const LETTRE_COUNT_PER_CONNECTION: u32 = 50;
/// Rounds; the median counts.
const ROUNDS: usize = 3;

fn main() {
    // `cargo test --all-targets` runs this too: then it only has to be there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for program in [SINK, SOURCE] {
        if !Path::new(program).exists() {
            eprintln!("mail: not measured: {program} is missing; install the package postfix");
            return;
        }
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let mail = sample();
    let rendered = Arc::new(rendered(&mail));
    for width in WIDTHS {
        let name =
            if width == 1 { "1 connection".to_owned() } else { format!("{width} connections") };
        let sink = Sink::start().await;
        let channel = Arc::new(channel(sink.port, width));
        let (mut ours, mut source) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(send(&channel, &rendered, width).await);
            source.push(smtp_source(sink.port, width, rendered.bytes.0.len()));
        }
        let (ours, source) = (median(ours), median(source));
        row(&name, ours, source, "smtp-source");
        row(&name, ours, lettre(sink.port, &rendered, width).await, "lettre pool");
        if width == 8 {
            let whole = deliver(&channel, &mail, width).await;
            row("8 connections, opened and rendered each", whole, source, "smtp-source");
        }
    }
}

fn row(case: &str, ours: f64, peer: f64, peer_name: &str) {
    println!(
        "{{\"bench\":\"mail\",\"case\":\"{case}\",\"ours\":{ours:.0},\"peer\":{peer:.0},\
         \"peer_name\":\"{peer_name}\",\"ratio\":{:.2},\"unit\":\"mails/s\",\"better\":\"higher\"}}",
        ours / peer
    );
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// `width` workers share `count` turns; returns turns a second.
async fn share<F, W>(count: u32, width: usize, work: W) -> f64
where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(u32) -> F + Clone + Send + 'static,
{
    let next = Arc::new(AtomicU32::new(0));
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..width {
        let (next, work) = (Arc::clone(&next), work.clone());
        workers.spawn(async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= count {
                    break;
                }
                work(turn).await;
            }
        });
    }
    workers.join_all().await;
    f64::from(count) / begun.elapsed().as_secs_f64()
}

async fn send(channel: &Arc<MailChannel>, mail: &Arc<Rendered>, width: usize) -> f64 {
    let (channel, mail) = (Arc::clone(channel), Arc::clone(mail));
    share(COUNT, width, move |_turn| {
        let (channel, mail) = (Arc::clone(&channel), Arc::clone(&mail));
        async move { assert_eq!(channel.send(&mail).await.outcome, Outcome::Done) }
    })
    .await
}

/// The whole way of an effect: open the seals, render, send.
async fn deliver(channel: &Arc<MailChannel>, mail: &Mail, width: usize) -> f64 {
    let (channel, mail) = (Arc::clone(channel), mail.clone());
    share(COUNT, width, move |turn| {
        let id = EffectId { seq: Seq::new(184_300), index: turn };
        let task = Task { id, number: 1, effect: Effect::Mail(Box::new(mail.clone())) };
        let channel = Arc::clone(&channel);
        async move { assert_eq!(channel.deliver(task).await.outcome, Outcome::Done) }
    })
    .await
}

/// Postfix's own source: `-d` keeps the connections, as we do.
fn smtp_source(port: u16, width: usize, size: usize) -> f64 {
    let begun = Instant::now();
    let ended = Command::new(SOURCE)
        .args(["-d", "-s", &width.to_string(), "-m", &COUNT.to_string()])
        .args(["-l", &size.to_string(), "-f", "demo@hansho.example.jp"])
        .args(["-t", "helper@mail.example.jp", &format!("127.0.0.1:{port}")])
        .status()
        .unwrap();
    assert!(ended.success());
    f64::from(COUNT) / begun.elapsed().as_secs_f64()
}

async fn lettre(port: u16, mail: &Arc<Rendered>, width: usize) -> f64 {
    let connections = u32::try_from(width).unwrap();
    let pool = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .pool_config(PoolConfig::new().max_size(connections))
        .build();
    let to = vec![mail.to.0.parse().unwrap()];
    let envelope = Arc::new(Envelope::new(Some(mail.from.parse().unwrap()), to).unwrap());
    let mail = Arc::clone(mail);
    share(LETTRE_COUNT_PER_CONNECTION * connections, width, move |_turn| {
        let (pool, mail, envelope) = (pool.clone(), Arc::clone(&mail), Arc::clone(&envelope));
        async move {
            pool.send_raw(&envelope, &mail.bytes.0).await.unwrap();
        }
    })
    .await
}

fn channel(port: u16, width: usize) -> MailChannel {
    let mut config = MailConfig::plain("127.0.0.1", port, "hansho.example.jp");
    config.width = width;
    // The peers do not reconnect either.
    config.messages_per_connection = u32::MAX;
    MailChannel::new(config, Arc::new(Glass), Arc::new(Glass)).unwrap()
}

/// A sink that ends with its value.
struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    async fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new(SINK);
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .args([&format!("127.0.0.1:{port}"), "128"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Self { child, port }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Seals nothing: the bytes are the text.
struct Glass;

impl Reveal for Glass {
    fn reveal(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        Some(sealed.bytes.clone())
    }
}

impl Lookups for Glass {
    fn answer_mac(&self, _effect: EffectId) -> [u8; 16] {
        [0xab; 16]
    }

    fn district_name(&self, _district: DistrictId, _language: Language) -> Option<String> {
        Some("小名浜".to_owned())
    }
}

fn rendered(mail: &Mail) -> Rendered {
    let id = EffectId { seq: Seq::new(184_300), index: 0 };
    let around = Surroundings { answer_mac: [0xab; 16], district: Some("小名浜".to_owned()) };
    let rendered = render(mail, id, &Glass, &around).unwrap();
    assert_ne!(rendered.bytes, Private(Vec::new()));
    rendered
}

fn sample() -> Mail {
    let sealed = |text: &str| Sealed { key: KeyId(1), bytes: text.as_bytes().to_vec() };
    Mail {
        notice: NoticeId(Seq::new(184_300)),
        recipient: Recipient {
            person: PersonId(1),
            address: sealed("helper@mail.example.jp"),
            token: Token([1; 16]),
            name: sealed("協力員 0001"),
            language: Language::Ja,
        },
        content: MailContent::Alarm {
            template: Template::PendantAlarm,
            facts: Facts {
                alarm: AlarmKind::Help,
                subscriber: Some(sealed("利用者 0001")),
                address: Some(sealed("小名浜住吉1-2")),
                district: Some(DistrictId(2)),
                at: "2026-11-23T05:07:42Z".parse().unwrap(),
                sighting: None,
            },
        },
        ordered_at: "2026-11-23T05:07:43Z".parse().unwrap(),
        expires_at: "2026-11-23T06:07:43Z".parse().unwrap(),
        settings: Settings {
            mode: Mode::Demo,
            headquarters: "ハンショウ市消防本部(架空)".to_owned(),
            sender: "demo@hansho.example.jp".to_owned(),
            message_domain: "hansho.example.jp".to_owned(),
            answer_url: "http://127.0.0.1:8119".to_owned(),
            answer_minutes: 60,
        },
    }
}
