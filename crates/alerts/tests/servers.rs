//! The mail channel against servers that other people wrote: aiosmtpd with faults, smtp-sink.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail and say why")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use hansho_alerts::Rendered;
use hansho_alerts::mail::{Lookups, MailChannel, MailConfig, MailConfigError, Server};
use hansho_model::{
    AlarmKind, DistrictId, Effect, EffectId, Facts, KeyId, Language, Mail, MailContent, Mode,
    NoticeId, Outcome, PersonId, Private, Recipient, Reveal, Sealed, Seq, Settings, Template,
    Token,
};
use hansho_outbox::{Channel, Delivery, Task};
use lettre::transport::smtp::authentication::Credentials;

/// Seals nothing: the bytes are the text. Key 0 was destroyed.
struct Glass;

impl Reveal for Glass {
    fn reveal(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        (sealed.key != KeyId(0)).then(|| sealed.bytes.clone())
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

fn sealed(text: &str) -> Sealed {
    Sealed { key: KeyId(1), bytes: text.as_bytes().to_vec() }
}

fn mail(address: &str) -> Mail {
    Mail {
        notice: NoticeId(Seq::new(184_300)),
        recipient: Recipient {
            person: PersonId(1),
            address: sealed(address),
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

fn task(address: &str) -> Task {
    let id = EffectId { seq: Seq::new(184_300), index: 2 };
    Task { id, number: 1, effect: Effect::Mail(Box::new(mail(address))) }
}

fn plain(from: &str, to: &str) -> Rendered {
    Rendered {
        from: from.to_owned(),
        to: Private(to.to_owned()),
        to_bare: None,
        bytes: Private(b"Subject: x\r\n\r\n.a dot first\r\n..two\r\nlast\r\n".to_vec()),
    }
}

fn config(port: u16) -> MailConfig {
    let mut config = MailConfig::plain("127.0.0.1", port, "hansho.example.jp");
    config.timeouts.command = Duration::from_millis(1_500);
    config.timeouts.dot = Duration::from_millis(800);
    config
}

fn channel(config: MailConfig) -> MailChannel {
    MailChannel::new(config, Arc::new(Glass), Arc::new(Glass)).unwrap()
}

fn told(delivery: Delivery) -> (Outcome, u16, bool) {
    (delivery.outcome, delivery.detail.code, delivery.detail.again)
}

#[test]
fn domains_of_one_provider_share_its_limits() {
    let mut config = config(25);
    config.width = 2;
    for domain in ["softbank.example.jp", "i.softbank.example.jp"] {
        config.providers.insert(domain.to_owned(), "softbank".to_owned());
    }
    let channel = channel(config);
    let of = |address| channel.provider(&Effect::Mail(Box::new(mail(address))));
    assert_eq!(of("a@Softbank.example.jp").name(), "softbank");
    assert_eq!(of("\"a@b\"@i.softbank.example.jp").name(), "softbank");
    assert_eq!(of("a@mail.example.jp").name(), "mail.example.jp", "a provider of its own");
    assert_eq!(channel.provider(&Effect::DestroyKey(KeyId(1))).name(), "", "without limits");
    assert_eq!((channel.width(), channel.provider_width()), (2, 2), "four, and never over two");
}

/// aiosmtpd, started once for each test, ended with it.
struct Faulty {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
    closed: u16,
    tls: Option<u16>,
}

impl Faulty {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// With a file that holds a key and a certificate it speaks STARTTLS on a port of its own.
    fn start_with(arguments: &[&Path]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faulty_server.py");
        let mut child = Command::new(python())
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It writes a trace for each fault that is asked of it.
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python of the virtual environment starts");
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut faulty = Self { child, lines, port: 0, closed: 0, tls: None };
        let ports = faulty.next();
        faulty.tls = ports.contains("tls").then(|| number(&ports, "tls"));
        faulty.port = number(&ports, "port");
        faulty.closed = number(&ports, "closed");
        faulty
    }

    /// The next message it took, as Python reads it.
    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn number(line: &str, name: &str) -> u16 {
    let after = line.split(&format!("\"{name}\": ")).nth(1).unwrap();
    after.split([',', '}']).next().unwrap().parse().unwrap()
}

/// A Python with aiosmtpd: the one of `cargo dev test`, or one made below the target folder.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(find_or_make_python).clone()
}

fn find_or_make_python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-aiosmtpd");
    let pythons = [root.join("target/venv/bin/python"), own.join("bin/python")];
    for python in &pythons {
        let asked = Command::new(python).args(["-c", "import aiosmtpd"]).output();
        if asked.is_ok_and(|output| output.status.success()) {
            return python.clone();
        }
    }
    let remedy = "`cargo dev test` sets it up";
    let made = Command::new("python3").args(["-m", "venv"]).arg(&own).output();
    let made = made.expect("python3 is needed for the mail tests");
    assert!(made.status.success(), "python3 -m venv failed: {remedy}");
    let [_, python] = pythons;
    let pip = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "aiosmtpd==1.4.6"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&pip.stderr).into_owned();
    assert!(pip.status.success(), "pip could not fetch aiosmtpd 1.4.6: {remedy}: {said}");
    python
}

/// A key with its certificate in one file, and the certificate alone; made by `openssl`.
fn certificate() -> (PathBuf, Vec<u8>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (key, certificate) = (folder.join("mail-key.pem"), folder.join("mail-certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is needed for the mail tests: install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let both = folder.join("mail-both.pem");
    let certificate = std::fs::read(certificate).unwrap();
    let mut pem = std::fs::read(key).unwrap();
    pem.extend_from_slice(&certificate);
    std::fs::write(&both, pem).unwrap();
    (both, certificate)
}

/// One at a time: the machine has few cores, and the time limits here are short.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(test: impl Future<Output = ()>) {
    let _alone = alone();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

#[test]
fn another_mail_parser_reads_what_we_wrote() {
    run(async {
        let mut server = Faulty::start();
        let channel = channel(config(server.port));
        let delivery = channel.deliver(task("ok@mail.example.jp")).await;
        assert_eq!(told(delivery), (Outcome::Done, 250, false));
        assert_eq!(delivery.detail.enhanced, Some((2, 0, 0)));
        insta::assert_snapshot!(server.next());
    });
}

#[test]
fn dots_and_line_ends_survive() {
    run(async {
        let mut server = Faulty::start();
        let channel = channel(config(server.port));
        let delivery = channel.send(&plain("a@hansho.example.jp", "ok@mail.example.jp")).await;
        assert_eq!(told(delivery), (Outcome::Done, 250, false));
        let line = server.next();
        assert!(line.contains(r#""text": ".a dot first\r\n..two\r\nlast\r\n""#), "{line}");
        assert!(line.contains(r#""ends_in_empty_line": false"#), "{line}");
    });
}

#[test]
fn refusals_and_cuts() {
    run(async {
        let server = Faulty::start();
        let channel = channel(config(server.port));
        let (done, failed, uncertain) = (Outcome::Done, Outcome::Failed, Outcome::Uncertain);
        let mut told_of = Vec::new();
        for (name, expected) in [
            ("rcpt550", (failed, 550, false)),
            ("rcpt452", (failed, 452, true)),
            ("rcpt552", (failed, 552, true)),
            ("rcpt421", (failed, 421, true)),
            ("rcptclose", (failed, 0, true)),
            ("rcpthang", (failed, 0, true)),
            ("data451", (failed, 451, true)),
            ("data554", (failed, 554, false)),
            ("dataodd", (failed, 0, true)),
            ("dataclose", (failed, 0, true)),
            ("dot451", (failed, 451, true)),
            ("dot554", (failed, 554, false)),
            ("dot421", (uncertain, 421, false)),
            ("dotclose", (uncertain, 0, false)),
            ("dothang", (uncertain, 0, false)),
            ("slow", (done, 250, false)),
            ("slow451", (failed, 451, true)),
            ("slow451", (failed, 451, true)),
            ("slow451", (done, 250, false)),
            ("ok", (done, 250, false)),
        ] {
            let to = format!("{name}@mail.example.jp");
            let delivery = channel.send(&plain("a@hansho.example.jp", &to)).await;
            told_of.push((name, told(delivery), expected));
        }
        for (name, told, expected) in told_of {
            assert_eq!(told, expected, "{name}");
        }
    });
}

#[test]
fn refusals_of_the_sender() {
    run(async {
        let server = Faulty::start();
        let channel = channel(config(server.port));
        for (name, expected) in [
            ("mail451", (Outcome::Failed, 451, true)),
            ("mail550", (Outcome::Failed, 550, false)),
            ("mail530", (Outcome::Failed, 530, true)),
        ] {
            let from = format!("{name}@hansho.example.jp");
            let delivery = channel.send(&plain(&from, "ok@mail.example.jp")).await;
            assert_eq!(told(delivery), expected, "{name}");
        }
    });
}

#[test]
fn enhanced_codes_of_a_refusal_are_kept() {
    run(async {
        let server = Faulty::start();
        let channel = channel(config(server.port));
        let delivery = channel.send(&plain("a@hansho.example.jp", "rcpt550@mail.example.jp")).await;
        assert_eq!(delivery.detail.enhanced, Some((5, 1, 1)));
    });
}

#[test]
fn a_deadline_before_the_dot_is_a_failure_and_after_it_uncertain() {
    run(async {
        let server = Faulty::start();
        let mut config = config(server.port);
        config.timeouts.attempt = Duration::from_millis(400);
        let channel = channel(config);
        let hung = channel.send(&plain("a@hansho.example.jp", "rcpthang@mail.example.jp")).await;
        assert_eq!(told(hung), (Outcome::Failed, 0, true));
        let hung = channel.send(&plain("a@hansho.example.jp", "dothang@mail.example.jp")).await;
        assert_eq!(told(hung), (Outcome::Uncertain, 0, false));
    });
}

#[test]
fn living_but_illegal_addresses_go_in_quotes() {
    run(async {
        let mut server = Faulty::start();
        let channel = channel(config(server.port));
        let delivery = channel.deliver(task("ok+ab..cd@docomo.example.jp")).await;
        assert_eq!(told(delivery), (Outcome::Done, 250, false));
        let line = server.next();
        assert!(line.contains(r#""to": ["ok+ab..cd@docomo.example.jp"]"#), "{line}");
    });
}

#[test]
fn the_second_relay_takes_over() {
    run(async {
        let server = Faulty::start();
        let mut config = config(server.closed);
        config.servers.push(Server { host: "127.0.0.1".to_owned(), port: server.port });
        let channel = channel(config);
        let delivery = channel.send(&plain("a@hansho.example.jp", "ok@mail.example.jp")).await;
        assert_eq!(told(delivery), (Outcome::Done, 250, false));
    });
}

#[test]
fn nobody_at_the_door() {
    run(async {
        let server = Faulty::start();
        let turned_away = channel(config(server.closed));
        let mail = plain("a@hansho.example.jp", "ok@mail.example.jp");
        assert_eq!(told(turned_away.send(&mail).await), (Outcome::Failed, 421, true));
        // A port that nothing listens on: bound once, and given back.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nobody = channel(config(free));
        assert_eq!(told(nobody.send(&mail).await), (Outcome::Failed, 0, true));
    });
}

#[test]
fn log_in() {
    run(async {
        let server = Faulty::start();
        let mail = plain("a@hansho.example.jp", "ok@mail.example.jp");
        for (password, expected) in
            [("invented", (Outcome::Done, 250, false)), ("wrong", (Outcome::Failed, 535, true))]
        {
            let mut config = config(server.port);
            let credentials = Credentials::new("hansho".to_owned(), password.to_owned());
            config.credentials = Some(credentials);
            assert_eq!(told(channel(config).send(&mail).await), expected, "{password}");
        }
    });
}

#[test]
fn what_is_no_mail_or_cannot_be_one_fails_for_good() {
    run(async {
        let channel = channel(config(1));
        let mut gone = mail("ok@mail.example.jp");
        gone.recipient.address.key = KeyId(0);
        let id = EffectId { seq: Seq::new(1), index: 0 };
        for effect in [
            Effect::DestroyKey(KeyId(1)),
            Effect::Mail(Box::new(gone)),
            Effect::Mail(Box::new(mail("nobody"))),
        ] {
            let delivery = channel.deliver(Task { id, number: 1, effect }).await;
            assert_eq!(told(delivery), (Outcome::Failed, 0, false));
        }
    });
}

#[test]
fn configurations_that_cannot_work() {
    let refused = |config: MailConfig| {
        MailChannel::new(config, Arc::new(Glass), Arc::new(Glass)).map(drop).unwrap_err()
    };
    let mut config = MailConfig::plain("relay.example.jp", 587, "hansho.example.jp");
    config.credentials = Some(Credentials::new("a".to_owned(), "b".to_owned()));
    assert_eq!(refused(config.clone()), MailConfigError::SecretInTheClear);
    config.starttls = true;
    if !cfg!(feature = "starttls") {
        assert_eq!(refused(config.clone()), MailConfigError::NoTls);
    }
    config.hello = "a b".to_owned();
    assert_eq!(refused(config.clone()), MailConfigError::BadHello);
    config.servers.clear();
    assert_eq!(refused(config), MailConfigError::NoServer);
}

#[test]
fn the_clear_is_refused_by_a_server_that_wants_tls() {
    run(async {
        let (pem, _certificate) = certificate();
        let server = Faulty::start_with(&[&pem]);
        let channel = channel(config(server.tls.unwrap()));
        let delivery = channel.send(&plain("a@hansho.example.jp", "ok@mail.example.jp")).await;
        assert_eq!(told(delivery), (Outcome::Failed, 530, true));
    });
}

#[cfg(feature = "starttls")]
#[test]
fn starttls() {
    run(async {
        let (pem, certificate) = certificate();
        let mut server = Faulty::start_with(&[&pem]);
        let port = server.tls.unwrap();
        let mail = |name: &str| plain("a@hansho.example.jp", &format!("{name}@mail.example.jp"));
        let mut config = config(port);
        config.servers = vec![Server { host: "localhost".to_owned(), port }];
        config.starttls = true;
        // Nobody vouches for it yet.
        let stranger = channel(config.clone());
        assert_eq!(told(stranger.send(&mail("ok")).await), (Outcome::Failed, 0, true));
        config.roots_pem = vec![certificate];
        config.credentials = Some(Credentials::new("hansho".to_owned(), "invented".to_owned()));
        let channel = channel(config.clone());
        assert_eq!(told(channel.send(&mail("ok")).await), (Outcome::Done, 250, false));
        assert!(server.next().contains(r#""text": ".a dot first"#));
        for (name, expected) in [
            ("dataclose", (Outcome::Failed, 0, true)),
            ("rcpt550", (Outcome::Failed, 550, false)),
            ("dotclose", (Outcome::Uncertain, 0, false)),
            ("dothang", (Outcome::Uncertain, 0, false)),
            ("dot451", (Outcome::Failed, 451, true)),
        ] {
            assert_eq!(told(channel.send(&mail(name)).await), expected, "{name}");
        }
        // A server without TLS gets nothing.
        config.servers = vec![Server { host: "localhost".to_owned(), port: server.port }];
        let channel = self::channel(config);
        assert_eq!(told(channel.send(&mail("ok")).await), (Outcome::Failed, 0, true));
    });
}

#[test]
fn smtp_sink_takes_a_thousand_over_eight_connections() {
    let sink = Path::new("/usr/sbin/smtp-sink");
    if !sink.exists() {
        eprintln!("not run: smtp-sink is not here; install postfix");
        return;
    }
    run(async move {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let mut child = Command::new(sink)
            .args(["-u", "nobody", "-c", &format!("127.0.0.1:{port}"), "64"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let channel = Arc::new(channel(config(port)));
        // Until it listens, attempts fail before the dot: that is a retry, not a sleep.
        let first = plain("a@hansho.example.jp", "ok@mail.example.jp");
        while channel.send(&first).await.outcome != Outcome::Done {
            tokio::task::yield_now().await;
        }
        let mut all = tokio::task::JoinSet::new();
        for worker in 0..8 {
            let channel = Arc::clone(&channel);
            all.spawn(async move {
                let to = format!("ok{worker}@mail.example.jp");
                let mail = plain("a@hansho.example.jp", &to);
                for _ in 0..125 {
                    assert_eq!(channel.send(&mail).await.outcome, Outcome::Done);
                }
            });
        }
        all.join_all().await;
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
