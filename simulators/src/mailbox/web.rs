//! The page of the catcher.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::{Caught, Shelf};

pub(crate) async fn serve(listener: TcpListener, shelf: Arc<Shelf>) {
    let app = Router::new().route("/", get(page)).route("/api/mails", get(list)).with_state(shelf);
    // It runs until it is dropped; axum goes on after faults of single connections.
    drop(axum::serve(listener, app).await);
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

async fn list(State(shelf): State<Arc<Shelf>>, Query(query): Query<After>) -> impl IntoResponse {
    let json = serde_json::to_vec(&shelf.after(query.after)).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], json)
}

async fn page(State(shelf): State<Arc<Shelf>>) -> Html<String> {
    let mails = shelf.after(0);
    let mut html = String::from(HEAD);
    html.push_str(&format!("<p>{} 通 / mails</p>\n", mails.len()));
    for mail in mails.iter().rev().take(SHOWN_MAX) {
        show(mail, &mut html);
    }
    html.push_str("</body></html>\n");
    Html(html)
}

fn show(mail: &Caught, html: &mut String) {
    html.push_str("<article><h2>");
    escape(&mail.subject, html);
    html.push_str("</h2><p>");
    escape(&format!("{} → {}  {}", mail.from, mail.to.join(", "), mail.received_at), html);
    if !mail.answered {
        html.push_str(" (終わりの点に返事なし / dot not answered)");
    }
    html.push_str("</p><pre>");
    escape(&mail.text, html);
    html.push_str("</pre>");
    if let Some(link) = &mail.link {
        html.push_str("<p><a href=\"");
        escape(link, html);
        html.push_str("\">回答ページ / answer page</a></p>");
    }
    html.push_str("</article>\n");
}

fn escape(text: &str, html: &mut String) {
    for sign in text.chars() {
        match sign {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            sign => html.push(sign),
        }
    }
}

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"refresh\" content=\"3\">\
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Mailbox</title>\
<style>body{font:16px/1.4 sans-serif;margin:1em auto;max-width:48em}\
article{border:1px solid #888;border-radius:6px;padding:0 1em;margin:1em 0}\
h2{font-size:1.1em}pre{white-space:pre-wrap;background:#f4f4f4;padding:.5em}</style></head>\
<body><h1>【デモ】メール受け / Mail catcher</h1>\n";

/// Mails on the page; the list holds all.
const SHOWN_MAX: usize = 100;
