//! The page itself: built from `web/` by `cargo dev web`, embedded here.

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// Files of the page. Empty when nobody built it; a debug build reads them from the disk.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// Nothing from outside, no inline script, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Shown in place of the page when it was not built.
const MISSING: &str = "<!doctype html><html lang=\"ja\"><meta charset=\"utf-8\"><title>Hansho</title>\
    <h1>画面がまだ作られていません</h1><p><code>cargo dev web</code> を実行してください (Node 20.19 以上が必要です)。\
    API は動いています。</p><h1 lang=\"en\">The page has not been built yet</h1>\
    <p lang=\"en\">Run <code>cargo dev web</code> (it needs Node 20.19 or later). The API is working.</p></html>";

/// `GET` of anything that is no route of the API.
pub(crate) async fn asset(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Dist::get(path) else {
        let status = if path == "index.html" { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let page = if path == "index.html" { MISSING } else { "404" };
        return with_policy(
            (status, [(header::CONTENT_TYPE, kind("x.html"))], page).into_response(),
        );
    };
    // Vite names files by their content; the page itself must be asked for each time.
    let keep = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, kind(path)),
        (header::CACHE_CONTROL, HeaderValue::from_static(keep)),
    ];
    with_policy((headers, file.data.into_owned()).into_response())
}

fn with_policy(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn kind(path: &str) -> HeaderValue {
    let extension = path.rsplit_once('.').map_or("", |(_name, extension)| extension);
    HeaderValue::from_static(match extension {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _other => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_outside_the_folder_is_served() {
        for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/assets/../../package.json", "/x.js"]
        {
            let response = asset(path.parse().unwrap()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn the_page_is_there_built_or_not_and_allows_nothing_from_outside() {
        let response = asset("/".parse().unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let policy = &response.headers()[header::CONTENT_SECURITY_POLICY];
        assert!(policy.to_str().unwrap().starts_with("default-src 'none'"));
        assert!(MISSING.contains("cargo dev web"));
    }
}
