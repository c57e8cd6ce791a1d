//! A console to look at: the real core in memory with invented people, no journal behind it.
//! `cargo run -p hansho-console --example desk -- 127.0.0.1:8119`, log in as `sato` with the
//! password `correct horse`. Each `POST /r/<account>` lets a pendant call, `POST /r/call-<what>`
//! somebody call 119 (`mobile`, `cell`, `withheld`, `unread`, `nowhere`), `POST /r/gone` the last
//! caller hang up.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example, not the program")]

#[path = "../tests/house/mod.rs"]
mod house;

use std::sync::Arc;
use std::time::Duration;

use hansho_console::Settings;
use hansho_model::{AlarmKind, Outcome};

#[expect(clippy::disallowed_methods, reason = "the example's one look at the clock")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let house = house::House::new(&now().to_string());
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
                match path.as_str() {
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
