//! Answers that are not the asked-for thing: what, where, how to mend.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hansho_model::{Refusal, RefusalCode};
use serde::Serialize;

use crate::limits::{BODY_BYTES_MAX, RETRY_AFTER_S};
use crate::view::{ErrorAnswer, ErrorBody, RefusedAnswer, RefusedBody};

/// A language of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    Ja,
    En,
}

impl Tongue {
    /// From `Accept-Language`: the first of ours that it names, else Japanese.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(wish) = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())
        else {
            return Self::Ja;
        };
        wish.split(',')
            .find_map(|each| {
                let tag = each.trim().to_ascii_lowercase();
                if tag.starts_with("ja") {
                    Some(Self::Ja)
                } else if tag.starts_with("en") {
                    Some(Self::En)
                } else {
                    None
                }
            })
            .unwrap_or(Self::Ja)
    }
}

/// Words for a refusal, from the console's own text files.
pub(crate) fn refusal_text(code: RefusalCode, tongue: Tongue) -> String {
    static TEXTS: std::sync::LazyLock<[serde_json::Value; 2]> = std::sync::LazyLock::new(|| {
        [include_str!("../web/src/texts/ja.json"), include_str!("../web/src/texts/en.json")]
            .map(|file| serde_json::from_str(file).unwrap_or_default())
    });
    let [ja, en] = &*TEXTS;
    let texts = match tongue {
        Tongue::Ja => ja,
        Tongue::En => en,
    };
    let key = format!("refusal.{code}");
    texts.get(&key).and_then(|text| text.as_str()).unwrap_or_else(|| code.as_str()).to_owned()
}

/// The core's "no" as an answer.
pub(crate) fn refused(refusal: &Refusal, tongue: Tongue) -> Response {
    let message = refusal_text(refusal.code, tongue);
    let body =
        RefusedAnswer { refused: RefusedBody { code: refusal.code.as_str().to_owned(), message } };
    json(StatusCode::CONFLICT, &body)
}

/// A JSON answer that no one may keep.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => json_bytes(status, bytes.into()),
        Err(error) => {
            tracing::error!(%error, "An answer could not be written as JSON.");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// As [`json`], for bytes made before.
pub(crate) fn json_bytes(status: StatusCode, bytes: axum::body::Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, bytes).into_response()
}

/// A request that cannot be answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{what}")]
    Malformed { what: String, place: String, how: String },
    #[error("nobody is logged in")]
    Unauthorized,
    #[error("name or password is wrong")]
    WrongPassword,
    #[error("the request did not come from this console's own page")]
    ForeignOrigin,
    #[error("the body has more than {} bytes", BODY_BYTES_MAX)]
    TooLarge,
    #[error("too many failed log-ins")]
    TooManyAttempts { wait_s: u64 },
    #[error("the core has no room for this now; it was not taken")]
    Busy,
    #[error("the core did not answer in time; it may have been taken")]
    Unanswered,
    #[error("something of ours is broken")]
    Internal,
    #[error("there is nothing here")]
    NotFound,
}

impl Fault {
    /// A malformed request.
    pub(crate) fn malformed(what: impl Into<String>, place: &str, how: &str) -> Self {
        Self::Malformed { what: what.into(), place: place.to_owned(), how: how.to_owned() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::WrongPassword => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unanswered => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotFound => StatusCode::NOT_FOUND,
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::WrongPassword => "wrong_password",
            Self::ForeignOrigin => "forbidden",
            Self::TooLarge => "too_large",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::Busy => "busy",
            Self::Unanswered => "unanswered",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
        }
    }

    fn place_and_remedy(&self) -> (&str, &str) {
        match self {
            Self::Malformed { place, how, .. } => (place, how),
            Self::Unauthorized => (
                "header `Cookie` or `Authorization`",
                "log in with POST /api/login, or send `Authorization: Bearer <token>`",
            ),
            Self::WrongPassword => ("`user` and `password`", "type them again"),
            Self::ForeignOrigin => (
                "header `Origin`",
                "send the address of this console, or use a bearer token in place of the cookie",
            ),
            Self::TooLarge => ("the body", "send less"),
            Self::TooManyAttempts { .. } => {
                ("this name and address", "wait as long as `Retry-After` says")
            }
            Self::Busy => ("the lane of commands", "send it again with the same id"),
            Self::Unanswered => {
                ("the core", "send it again with the same id: twice has the effect of once")
            }
            Self::Internal => ("the server", "tell the administrator; the log says more"),
            Self::NotFound => ("the path", "look into /api/openapi.json"),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (place, how) = self.place_and_remedy();
        let body = ErrorAnswer {
            error: ErrorBody {
                code: self.code().to_owned(),
                what: self.to_string(),
                r#where: place.to_owned(),
                how: how.to_owned(),
            },
        };
        let mut response = json(self.status(), &body);
        let wait = match &self {
            Self::TooManyAttempts { wait_s } => Some(*wait_s),
            Self::Busy | Self::Unanswered => Some(u64::from(RETRY_AFTER_S)),
            Self::Malformed { .. }
            | Self::Unauthorized
            | Self::WrongPassword
            | Self::ForeignOrigin
            | Self::TooLarge
            | Self::Internal
            | Self::NotFound => None,
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Unauthorized {
            let how = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_words_in_both_languages() {
        for code in RefusalCode::ALL {
            for tongue in [Tongue::Ja, Tongue::En] {
                assert_ne!(refusal_text(*code, tongue), code.as_str(), "{code} {tongue:?}");
            }
        }
    }

    #[test]
    fn the_first_language_of_ours_counts() {
        for (wish, tongue) in [
            ("", Tongue::Ja),
            ("en", Tongue::En),
            ("fr, en-GB;q=0.8, ja;q=0.7", Tongue::En),
            ("ja,en", Tongue::Ja),
            ("fr", Tongue::Ja),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(wish).unwrap());
            assert_eq!(Tongue::of(&headers), tongue, "{wish}");
        }
        assert_eq!(Tongue::of(&HeaderMap::new()), Tongue::Ja);
    }

    #[test]
    fn each_fault_has_its_status() {
        let malformed = Fault::malformed("x", "y", "z");
        for (fault, status) in [
            (malformed, 400),
            (Fault::Unauthorized, 401),
            (Fault::WrongPassword, 401),
            (Fault::ForeignOrigin, 403),
            (Fault::NotFound, 404),
            (Fault::TooLarge, 413),
            (Fault::TooManyAttempts { wait_s: 7 }, 429),
            (Fault::Internal, 500),
            (Fault::Busy, 503),
            (Fault::Unanswered, 503),
        ] {
            let response = fault.clone().into_response();
            assert_eq!(response.status().as_u16(), status, "{fault}");
            let waits = matches!(status, 429 | 503);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), waits, "{fault}");
        }
    }
}
