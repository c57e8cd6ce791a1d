//! A house with a console in front of it.

use std::net::SocketAddr;
use std::sync::Arc;

use hansho_console::{Settings, serve};
use hansho_model::AlarmKind;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::{Answer, ask};
use super::{House, TOKEN};

/// A house with a console in front of it.
pub(crate) struct Desk {
    pub(crate) house: Arc<House>,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(House::new("2026-11-23T05:07:42Z"), Settings::default()).await
    }

    pub(crate) async fn with(house: Arc<House>, settings: Settings) -> Self {
        let console = house.console(settings);
        Self::serving(house, console).await
    }

    pub(crate) async fn serving(house: Arc<House>, console: Arc<hansho_console::Console>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(serve(listener, console, async move {
            drop(stopped.await);
        }));
        Self { house, address, stop: Some(stop), served }
    }

    pub(crate) async fn stop(mut self) -> Arc<House> {
        self.stop.take().unwrap().send(()).unwrap();
        self.served.await.unwrap().unwrap();
        self.house
    }

    pub(crate) fn bearer(token: &str) -> String {
        format!("Bearer {token}")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let bearer = Self::bearer(TOKEN);
        ask(self.address, "GET", path, &[("authorization", &bearer)], "").await
    }

    pub(crate) async fn command(
        &self,
        token: &str,
        id: u8,
        kind: &str,
        body: serde_json::Value,
    ) -> Answer {
        let text = envelope(id, kind, &body);
        let bearer = Self::bearer(token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept-language", "en"),
        ];
        ask(self.address, "POST", "/api/commands", &headers, &text).await
    }

    pub(crate) async fn log_in(&self, user: &str, password: &str) -> Answer {
        let body = json!({"user": user, "password": password}).to_string();
        let headers = [("content-type", "application/json")];
        ask(self.address, "POST", "/api/login", &headers, &body).await
    }

    /// The signal of a call for help.
    pub(crate) async fn press(&self, device: &str) -> String {
        self.house.press(device, AlarmKind::Help);
        let state = self.get("/api/state").await.json();
        let mut signals = state["signals"].as_array().unwrap().iter();
        let device = format!("dc09:{device}");
        let signal = signals.find(|each| each["device"] == device).unwrap();
        signal["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn envelope(id: u8, kind: &str, body: &serde_json::Value) -> String {
    let id = format!("019ab000-0000-7000-8000-0000000000{id:02x}");
    json!({"id": id, "kind": kind, "body": body}).to_string()
}

pub(crate) fn refusal(answer: &Answer) -> (u16, String) {
    let code = answer.json()["refused"]["code"].as_str().unwrap_or("").to_owned();
    (answer.status, code)
}
