//! A console to look at: the real core in memory with invented people, no journal behind it.
//! `cargo run -p hansho-console --example desk -- 127.0.0.1:8119`, log in as `sato` with the
//! password `correct horse`. Each `POST /r/<account>` lets a pendant call, `POST /r/call-<what>`
//! somebody call 119 (`mobile`, `cell`, `withheld`, `unread`, `nowhere`), `POST /r/gone` the last
//! caller hang up, `POST /r/site` (`site-damaged`, `site-unknown`, `site-nameless`) a site write over
//! a satellite, `POST /r/answer-<what>` the next recipient of the newest notice answer.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example, not the program")]

#[path = "../tests/house/mod.rs"]
mod house;

use std::sync::Arc;
use std::time::Duration;

use hansho_console::Settings;
use hansho_model::{AlarmKind, AnswerChoice, Outcome};
use house::words::SITE;

#[expect(clippy::disallowed_methods, reason = "the example's one look at the clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let house = house::House::open(&now().to_string(), house::words::start_with_words());
    let ticking = Arc::clone(&house);
    tokio::spawn(async move {
        let (mut seen, mut callers) = (0, 0_u32);
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            ticking.set(now());
            ticking.catch_up();
            ticking.take_up();
            let posted: Vec<String> =
                ticking.posted.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
            for path in posted.iter().skip(seen) {
                if let Some(what) = path.strip_prefix("call-") {
                    callers += 1;
                    ticking.ring(&format!("call-{callers}"), what);
                    continue;
                }
                if let Some(choice) = path.strip_prefix("answer-").and_then(AnswerChoice::from_word)
                {
                    ticking.answer_newest(choice);
                    continue;
                }
                match path.as_str() {
                    "site" => drop(ticking.words(SITE, "道路寸断 負傷2 孤立12世帯", false)),
                    "site-damaged" => drop(ticking.words(SITE, "県道3", true)),
                    "site-unknown" => drop(ticking.words("sbd:300000000000999", "救援を", false)),
                    "site-nameless" => drop(ticking.words("sbd:roof", "名乗らない電文", false)),
                    "modem" => drop(ticking.modem_absent()),
                    "gone" => ticking.hang_up(&format!("call-{callers}")),
                    "battery" => drop(ticking.press("4021", AlarmKind::Battery)),
                    "mails" => ticking.settle(Outcome::Done),
                    "fails" => ticking.settle(Outcome::Failed),
                    account => drop(ticking.press(account, AlarmKind::Help)),
                }
            }
            seen = posted.len();
        }
    });
    hansho_console::serve(listener, house.console(Settings::default()), std::future::pending())
        .await
}
