//! The mail catcher of the demo: takes mails over SMTP, shows them on a web page, sends none on.
//!
//! | domain | what it does |
//! |---|---|
//! | `docomo`, `au`, `softbank`, `mail` and other `*.example.jp` | takes it |
//! | `dead.example.jp` | 550 at RCPT |
//! | `full.example.jp` | 552 at RCPT |
//! | `slow.example.jp` | 451 twice for each address, then takes it |
//! | `hang.example.jp` | takes the dot and never answers |
//! | `bounce.example.jp` | takes it (the report that follows in a real city is not sent yet) |
//! | anything else | 550: no mail of a demo is for the world |
//!
//! Limits: the last [`KEEP_MAX`] mails, [`SIZE_MAX`] bytes each, [`CONNECTIONS_MAX`] connections.
//! No TLS, no log-in, no relaying.

mod message;
mod smtp;
mod web;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Mails that are kept; the oldest go first.
pub const KEEP_MAX: usize = 5_000;
/// Bytes of a mail.
pub const SIZE_MAX: usize = 1 << 20;
/// Connections at once.
pub const CONNECTIONS_MAX: usize = 256;

/// A mail that was caught.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caught {
    /// 1 for the first since the start.
    pub id: u64,
    /// When its dot came.
    pub received_at: String,
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// Message-ID with its brackets: equal for repeats of the same mail.
    pub message_id: String,
    /// Subject, decoded.
    pub subject: String,
    /// Text, decoded.
    pub text: String,
    /// The answer link in the text, when there is one.
    pub link: Option<String>,
    /// Whether the dot was answered; `hang.example.jp` never is.
    pub answered: bool,
}

/// A running catcher; dropping it ends it.
#[derive(Debug)]
pub struct Mailbox {
    smtp: SocketAddr,
    web: SocketAddr,
    shelf: Arc<Shelf>,
    _tasks: JoinSet<()>,
}

impl Mailbox {
    /// Listens on both addresses; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// When an address cannot be bound.
    pub async fn start(smtp: SocketAddr, web: SocketAddr) -> io::Result<Self> {
        let smtp = TcpListener::bind(smtp).await?;
        let web = TcpListener::bind(web).await?;
        let shelf = Arc::new(Shelf::default());
        let mut tasks = JoinSet::new();
        let addresses = (smtp.local_addr()?, web.local_addr()?);
        tasks.spawn(smtp::serve(smtp, Arc::clone(&shelf)));
        tasks.spawn(web::serve(web, Arc::clone(&shelf)));
        Ok(Self { smtp: addresses.0, web: addresses.1, shelf, _tasks: tasks })
    }

    /// Where it takes mails.
    #[must_use]
    pub const fn smtp_addr(&self) -> SocketAddr {
        self.smtp
    }

    /// Where its page is.
    #[must_use]
    pub const fn web_addr(&self) -> SocketAddr {
        self.web
    }

    /// The mails it holds, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Caught> {
        self.shelf.after(0)
    }

    /// Those with a number above this one.
    #[must_use]
    pub fn mails_after(&self, id: u64) -> Vec<Caught> {
        self.shelf.after(id)
    }

    /// From here on `hang.example.jp` answers like any other: a relay that was mended.
    pub fn mend(&self) {
        self.shelf.mended.store(true, Ordering::Relaxed);
    }

    /// Waits until it has caught that many since its start.
    pub async fn caught(&self, count: u64) {
        let mut seen = self.shelf.count.subscribe();
        // The sender lives in the shelf that we hold.
        drop(seen.wait_for(|caught| *caught >= count).await);
    }
}

/// The mails, and what the behaviours must remember.
#[derive(Debug)]
pub(crate) struct Shelf {
    mails: Mutex<VecDeque<Caught>>,
    /// How often `slow.example.jp` has put off an address.
    put_off: Mutex<BTreeMap<String, u8>>,
    count: watch::Sender<u64>,
    /// Whether the domain that never answers was mended.
    mended: AtomicBool,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            mails: Mutex::default(),
            put_off: Mutex::default(),
            count: watch::Sender::new(0),
            mended: AtomicBool::new(false),
        }
    }
}

impl Shelf {
    pub(crate) fn after(&self, id: u64) -> Vec<Caught> {
        lock(&self.mails).iter().filter(|mail| mail.id > id).cloned().collect()
    }

    /// Keeps a mail. Returns when it is on the shelf: the answer to its dot comes after that.
    pub(crate) fn keep(&self, from: &str, to: &[String], bytes: &[u8], answered: bool) {
        let message = message::parse(bytes);
        let mut mails = lock(&self.mails);
        let id = *self.count.borrow() + 1;
        if mails.len() >= KEEP_MAX {
            mails.pop_front();
        }
        mails.push_back(Caught {
            id,
            received_at: now().to_string(),
            from: from.to_owned(),
            to: to.to_vec(),
            message_id: message.message_id,
            subject: message.subject,
            link: link_in(&message.text),
            text: message.text,
            answered,
        });
        self.count.send_replace(id);
    }

    /// What a recipient's domain answers to RCPT.
    pub(crate) fn verdict(&self, address: &str) -> Verdict {
        let domain = address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        match domain.as_str() {
            "dead.example.jp" => Verdict::Refuse("550 5.1.1 Unknown user"),
            "full.example.jp" => Verdict::Refuse("552 5.2.2 mailbox full"),
            "hang.example.jp" if self.mended.load(Ordering::Relaxed) => Verdict::Take,
            "hang.example.jp" => Verdict::Hang,
            "slow.example.jp" => {
                let mut put_off = lock(&self.put_off);
                if put_off.len() > KEEP_MAX {
                    put_off.clear();
                }
                let times = put_off.entry(address.to_owned()).or_default();
                if *times < 2 {
                    *times += 1;
                    return Verdict::Refuse("451 4.7.1 try again later");
                }
                Verdict::Take
            }
            "example.jp" => Verdict::Take,
            other if other.ends_with(".example.jp") => Verdict::Take,
            _ => Verdict::Refuse("550 5.7.1 this is a demo: only *.example.jp is taken"),
        }
    }
}

/// What becomes of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Take,
    /// Takes the dot and falls silent.
    Hang,
    Refuse(&'static str),
}

/// The first answer link in a text.
fn link_in(text: &str) -> Option<String> {
    text.split_whitespace()
        .find(|word| word.starts_with("http") && word.contains("/r/"))
        .map(str::to_owned)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a simulator runs on the clock of the day")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncBufReadExt, AsyncReadExt as _, AsyncWriteExt, BufReader};
    use tokio::net::TcpStream;

    use super::*;

    async fn mailbox() -> Mailbox {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Mailbox::start(any, any).await.unwrap()
    }

    /// Says each line and collects the answers.
    async fn talk(mailbox: &Mailbox, lines: &[&str]) -> String {
        let stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        stream.read_line(&mut heard).await.unwrap();
        for line in lines {
            stream.write_all(line.as_bytes()).await.unwrap();
            loop {
                let mut answer = String::new();
                if stream.read_line(&mut answer).await.unwrap() == 0 {
                    return heard + "(closed)";
                }
                heard.push_str(&answer);
                if answer.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
        }
        heard.replace('\r', "")
    }

    #[tokio::test]
    async fn takes_a_mail_and_shows_it() {
        let mailbox = mailbox().await;
        let heard = talk(
            &mailbox,
            &[
                "EHLO test\r\n",
                "MAIL FROM:<demo@hansho.example.jp> SIZE=100\r\n",
                "RCPT TO:<\"a..b\"@docomo.example.jp>\r\n",
                "DATA\r\n",
                "Subject: =?utf-8?b?44OH44Oi?=\r\n =?utf-8?b?44Gn44GZ?=\r\n\
                 Message-ID: <n1.0@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                 5Zue562UOiBodHRwOi8vMTI3LjAuMC4xOjEvci8xLTAtYWI=\r\n.\r\n",
                "QUIT\r\n",
            ],
        )
        .await;
        insta::assert_snapshot!(heard, @r"
        220 mailbox.example.jp ESMTP, a catcher of demo mails
        250-mailbox.example.jp
        250-PIPELINING
        250-SIZE 1048576
        250-8BITMIME
        250 ENHANCEDSTATUSCODES
        250 2.1.0 ok
        250 2.1.5 ok
        354 end with a dot
        250 2.0.0 caught
        221 2.0.0 bye
        ");
        mailbox.caught(1).await;
        let mails = mailbox.mails();
        assert_eq!(mails[0].subject, "デモです");
        assert_eq!(mails[0].text, "回答: http://127.0.0.1:1/r/1-0-ab");
        assert_eq!(mails[0].link.as_deref(), Some("http://127.0.0.1:1/r/1-0-ab"));
        assert_eq!(mails[0].to, ["\"a..b\"@docomo.example.jp"]);
        let url = format!("http://{}", mailbox.web_addr());
        let json = crate::http::request(&format!("{url}/api/mails?after=0"), None).await.unwrap();
        let read: Vec<Caught> = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(read, mails);
        let page = crate::http::request(&url, None).await.unwrap();
        let page = String::from_utf8(page.body).unwrap();
        assert!(page.contains("デモです") && page.contains("&quot;a..b&quot;@docomo"), "{page}");
        let none = crate::http::request(&format!("{url}/api/mails?after=1"), None).await.unwrap();
        assert_eq!(none.body, b"[]");
    }

    #[tokio::test]
    async fn who_leaves_a_mute_relay_leaves_a_free_place() {
        let mailbox = mailbox().await;
        let mail = b"MAIL FROM:<a@hansho.example.jp>\r\nRCPT TO:<x@hang.example.jp>\r\nDATA\r\n\
                     Message-ID: <n1.0@x>\r\n\r\nhelp\r\n.\r\n";
        for place in 0..CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
            stream.write_all(mail).await.unwrap();
            mailbox.caught(u64::try_from(place).unwrap() + 1).await;
        }
        let free = async {
            loop {
                let mut stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
                let mut banner = [0; 3];
                stream.read_exact(&mut banner).await.unwrap();
                if &banner == b"220" {
                    return;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), free).await.unwrap();
    }

    #[tokio::test]
    async fn each_domain_has_its_ways() {
        let mailbox = mailbox().await;
        let mut said = vec!["MAIL FROM:<a@hansho.example.jp>\r\n".to_owned()];
        for to in ["dead", "full", "slow", "slow", "slow", "bounce", "au"] {
            said.push(format!("RCPT TO:<x@{to}.example.jp>\r\n"));
        }
        said.push("RCPT TO:<x@example.com>\r\n".to_owned());
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        insta::assert_snapshot!(talk(&mailbox, &said).await, @r"
        220 mailbox.example.jp ESMTP, a catcher of demo mails
        250 2.1.0 ok
        550 5.1.1 Unknown user
        552 5.2.2 mailbox full
        451 4.7.1 try again later
        451 4.7.1 try again later
        250 2.1.5 ok
        250 2.1.5 ok
        250 2.1.5 ok
        550 5.7.1 this is a demo: only *.example.jp is taken
        ");
    }

    #[tokio::test]
    async fn rubbish_is_refused_and_harms_nobody() {
        let mailbox = mailbox().await;
        let long = format!("{}\r\n", "x".repeat(5_000));
        let heard = talk(
            &mailbox,
            &[
                "BOGUS\r\n",
                "RCPT TO:<a@au.example.jp>\r\n",
                "DATA\r\n",
                "MAIL FROM:a@b\r\n",
                "MAIL FROM:<>\r\n",
                "RCPT TO:<nobody>\r\n",
                "RSET\r\n",
                "NOOP\r\n",
                &long,
            ],
        )
        .await;
        insta::assert_snapshot!(heard, @r"
        220 mailbox.example.jp ESMTP, a catcher of demo mails
        502 5.5.1 not known here
        503 5.5.1 MAIL first
        503 5.5.1 no recipient
        501 5.5.4 MAIL FROM:<address>
        250 2.1.0 ok
        501 5.5.4 RCPT TO:<address>
        250 2.0.0 ok
        250 2.0.0 ok
        500 5.5.2 line too long
        ");
        talk(&mailbox, &["QUIT\r\n"]).await;
    }

    #[tokio::test]
    async fn the_hanging_server_never_answers_the_dot() {
        let mailbox = mailbox().await;
        let mut stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
        stream
            .write_all(
                b"MAIL FROM:<>\r\nRCPT TO:<x@hang.example.jp>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n",
            )
            .await
            .unwrap();
        mailbox.caught(1).await;
        assert!(!mailbox.mails()[0].answered);
    }
}
