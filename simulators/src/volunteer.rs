//! Volunteers who read their mails at the catcher and answer by its links.
//!
//! Who answers what is fixed by the seed and the mail's Message-ID, so a repeat of a mail changes
//! nothing and a run can be played again. A GET never answers: some links are fetched by a
//! scanner first, as mail filters do, and a volunteer opens the page before the button is pressed.
//!
//! Left out: answers by reply mail (and so the one in a hundred whose text is unclear).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::http;
use crate::mailbox::Caught;

/// Out of a hundred, who answers what; the rest stays silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// "Leaving now".
    pub coming: u8,
    /// "Within ten minutes".
    pub late_10: u8,
    /// "Within thirty minutes".
    pub late_30: u8,
    /// "Cannot come".
    pub cannot: u8,
    /// Of those who answer: how many change their mind once.
    pub twice: u8,
    /// How many links a scanner fetches first.
    pub scanned: u8,
}

impl Shares {
    /// A weekday.
    pub const DAY: Self =
        Self { coming: 9, late_10: 12, late_30: 14, cannot: 25, twice: 3, scanned: 2 };
    /// A night.
    pub const NIGHT: Self =
        Self { coming: 18, late_10: 17, late_30: 12, cannot: 15, twice: 3, scanned: 2 };
    /// Everybody comes at once: for checks that need an answer.
    pub const ALL_COME: Self =
        Self { coming: 100, late_10: 0, late_30: 0, cannot: 0, twice: 0, scanned: 2 };
}

/// What one volunteer does about one mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// A scanner fetches the link first.
    pub scanned: bool,
    /// Answers: how long after the mail (or the answer before), and the form's value.
    pub answers: Vec<(Duration, &'static str)>,
}

/// What a volunteer does about a mail: always the same for the same seed and Message-ID.
#[must_use]
pub fn plan(seed: u64, message_id: &str, shares: Shares) -> Plan {
    let mut dice = Dice::new(seed, message_id);
    let scanned = dice.percent() < u64::from(shares.scanned);
    let mut answers = Vec::new();
    if let Some(first) = choose(dice.percent(), shares) {
        answers.push((dice.seconds(5, 60), first));
        if dice.percent() < u64::from(shares.twice) {
            let second = if first == "cannot" { "late.30" } else { "cannot" };
            answers.push((dice.seconds(30, 120), second));
        }
    }
    Plan { scanned, answers }
}

fn choose(percent: u64, shares: Shares) -> Option<&'static str> {
    let mut below = 0;
    for (share, answer) in [
        (shares.coming, "coming"),
        (shares.late_10, "late.10"),
        (shares.late_30, "late.30"),
        (shares.cannot, "cannot"),
    ] {
        below += u64::from(share);
        if percent < below {
            return Some(answer);
        }
    }
    None
}

/// What volunteers have done so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Mails read, repeats left out.
    pub mails: AtomicU64,
    /// Links fetched without an answer.
    pub fetched: AtomicU64,
    /// Answers that the page took (status 200 to 399).
    pub answered: AtomicU64,
    /// Fetches and answers that came to nothing.
    pub failed: AtomicU64,
}

/// Volunteers at work.
#[derive(Clone, Debug)]
pub struct Volunteers {
    /// Page of the catcher: `http://127.0.0.1:8025`.
    pub mailbox: String,
    /// Seed of the plans.
    pub seed: u64,
    /// Who answers what.
    pub shares: Shares,
    /// How much faster than life they act: 10 in the demo. 0 counts as 1.
    pub time_factor: u32,
    /// Mails up to this number are not theirs to answer.
    pub after: u64,
}

impl Volunteers {
    /// Reads the catcher's list every half second and acts, until dropped. `tally` counts.
    pub async fn run(&self, tally: Arc<Tally>) {
        let mut seen = BTreeSet::new();
        let mut last = self.after;
        let mut busy = JoinSet::new();
        let doors = Arc::new(Semaphore::new(AT_ONCE_MAX));
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            while busy.try_join_next().is_some() {}
            // A catcher that is not there yet is asked again.
            for mail in self.fetch(last).await {
                last = last.max(mail.id);
                let Some(link) = mail.link else { continue };
                if !seen.insert(mail.message_id.clone()) {
                    continue;
                }
                tally.mails.fetch_add(1, Ordering::Relaxed);
                let plan = plan(self.seed, &mail.message_id, self.shares);
                busy.spawn(act(
                    link,
                    plan,
                    self.time_factor,
                    Arc::clone(&doors),
                    Arc::clone(&tally),
                ));
            }
        }
    }

    async fn fetch(&self, after: u64) -> Vec<Caught> {
        let url = format!("{}/api/mails?after={after}", self.mailbox);
        let answer = http::request(&url, None).await;
        answer.ok().and_then(|each| serde_json::from_slice(&each.body).ok()).unwrap_or_default()
    }
}

/// One volunteer and one mail.
async fn act(link: String, plan: Plan, time_factor: u32, doors: Arc<Semaphore>, tally: Arc<Tally>) {
    let ask = async |body: Option<&str>| {
        // Nobody closes this semaphore; without a permit nothing would be asked.
        let Ok(_door) = doors.acquire().await else { return };
        let taken = http::request(&link, body).await.is_ok_and(|each| each.status < 400);
        let count = match (taken, body) {
            (false, _) => &tally.failed,
            (true, None) => &tally.fetched,
            (true, Some(_)) => &tally.answered,
        };
        count.fetch_add(1, Ordering::Relaxed);
    };
    if plan.scanned {
        ask(None).await;
    }
    for (delay, answer) in plan.answers {
        tokio::time::sleep(delay / time_factor.max(1)).await;
        ask(None).await;
        ask(Some(&format!("answer={answer}"))).await;
    }
}

/// splitmix64 from a seed and a text: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, text: &str) -> Self {
        // FNV-1a; nobody attacks a simulator.
        let mixed = text.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mixed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to 99.
    const fn percent(&mut self) -> u64 {
        self.next() % 100
    }

    /// Between two numbers of seconds, to the millisecond.
    const fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from * 1_000 + self.next() % ((to - from) * 1_000))
    }
}

/// Connections at once.
const AT_ONCE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    use super::*;
    use crate::mailbox::Mailbox;

    #[test]
    fn plans_follow_the_shares_and_repeat() {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let (mut twice, mut scanned) = (0, 0);
        for number in 0..20_000 {
            let id = format!("<n1.{number}@hansho.example.jp>");
            let made = plan(7, &id, Shares::DAY);
            assert_eq!(made, plan(7, &id, Shares::DAY));
            let first = made.answers.first().map_or("silent", |(_delay, answer)| *answer);
            *counts.entry(first).or_default() += 1;
            twice += u32::from(made.answers.len() == 2);
            scanned += u32::from(made.scanned);
        }
        for (answer, percent) in
            [("coming", 9), ("late.10", 12), ("late.30", 14), ("cannot", 25), ("silent", 40)]
        {
            let found = counts[answer];
            assert!(found.abs_diff(percent * 200) < 200, "{answer}: {found} of 20,000");
        }
        assert!(u32::abs_diff(twice, 360) < 100 && u32::abs_diff(scanned, 400) < 100);
        let other = (0..100)
            .any(|n| plan(1, &n.to_string(), Shares::DAY) != plan(2, &n.to_string(), Shares::DAY));
        assert!(other, "the seed changes nothing");
    }

    async fn send(mailbox: &Mailbox, message_id: &str, link: &str) {
        let stream = TcpStream::connect(mailbox.smtp_addr()).await.unwrap();
        let mut stream = BufReader::new(stream);
        let text = format!(
            "MAIL FROM:<>\r\nRCPT TO:<a@mail.example.jp>\r\nDATA\r\n\
             Message-ID: {message_id}\r\n\r\n{link}\r\n.\r\nQUIT\r\n"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap() > 0 {}
    }

    #[tokio::test]
    async fn a_mail_is_read_and_answered_once() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mailbox = Mailbox::start(any, any).await.unwrap();
        let (heard, mut hear) = mpsc::channel::<String>(16);
        let (opened, answered) = (heard.clone(), heard);
        let page = get(async move || {
            opened.send("GET".to_owned()).await.unwrap();
            "page"
        })
        .post(async move |form: String| {
            answered.send(form).await.unwrap();
            "thanks"
        });
        let listener = TcpListener::bind(any).await.unwrap();
        let link = format!("http://{}/r/1-0-ab", listener.local_addr().unwrap());
        let app = Router::new().route("/r/{token}", page);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        // A repeat of the same mail is no second mail.
        send(&mailbox, "<n1.0@x>", &link).await;
        send(&mailbox, "<n1.0@x>", &link).await;
        send(&mailbox, "<n1.1@x>", "no link in it").await;
        mailbox.caught(3).await;
        let shares = Shares { scanned: 0, ..Shares::ALL_COME };
        let volunteers = Volunteers {
            mailbox: format!("http://{}", mailbox.web_addr()),
            seed: 1,
            shares,
            time_factor: 10_000,
            after: 0,
        };
        let tally = Arc::new(Tally::default());
        let counted = Arc::clone(&tally);
        let mut work = JoinSet::new();
        work.spawn(async move { volunteers.run(counted).await });
        assert_eq!(hear.recv().await.unwrap(), "GET");
        assert_eq!(hear.recv().await.unwrap(), "answer=coming");
        assert_eq!(tally.mails.load(Ordering::Relaxed), 1);
    }
}
