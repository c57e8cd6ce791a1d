//! Who asks: a bearer token, or a session cookie with a check of its origin.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use hansho_model::{
    Actor, Command, CommandId, CommandKind, Input, Lane, Receipt, Refusal, Role, Seq, Token,
};
use jiff::{SignedDuration, Timestamp};

use crate::fault::Fault;
use crate::from_state;
use crate::limits::{PASSWORD_BYTES_MAX, USER_BYTES_MAX};
use crate::server::Shared;
use crate::view::{LogIn, Me};

/// Name of the session's cookie.
const COOKIE: &str = "hansho_session";

/// Purpose of the keyed hash of a session's secret.
const SESSION_PURPOSE: &str = "session";

/// Purpose of the keyed hash of a name that failed to log in.
const NAME_PURPOSE: &str = "log_in_name";

/// Address of the other side of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) user: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The session, when it is not a bearer token.
    pub(crate) session: Option<(Token, Timestamp)>,
}

impl Who {
    pub(crate) fn actor(&self) -> Actor {
        Actor { source: format!("user:{}", self.user), role: self.role }
    }

    pub(crate) fn me(&self) -> Me {
        Me {
            user: self.user.clone(),
            name: self.name.clone(),
            role: self.role.as_str().to_owned(),
            expires_at: self.session.map(|(_token, at)| at.to_string()),
        }
    }

    /// Whether this may still be served: a session may have ended since the stream began.
    pub(crate) fn still_welcome(&self, shared: &Shared) -> bool {
        self.session.is_none_or(|(token, _at)| session(shared, token).is_ok())
    }
}

impl FromRequestParts<Arc<Shared>> for Who {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Fault> {
        if let Some(token) = bearer(&parts.headers) {
            return by_token(shared, token);
        }
        let secret = cookie(&parts.headers).ok_or(Fault::Unauthorized)?;
        let token = shared.console.seal.token(SESSION_PURPOSE, secret.as_bytes());
        let who = session(shared, token)?;
        let reads_only = matches!(parts.method, Method::GET | Method::HEAD);
        if !reads_only && !is_own_origin(parts) {
            return Err(Fault::ForeignOrigin);
        }
        Ok(who)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}

fn by_token(shared: &Shared, token: &str) -> Result<Who, Fault> {
    let found = shared.console.tokens.iter().find(|each| each.is(token));
    let found = found.ok_or(Fault::Unauthorized)?;
    let account = shared.console.accounts.account(&found.user);
    Ok(Who {
        user: found.user.clone(),
        name: account.map_or(&found.user, |account| &account.name).clone(),
        role: found.role,
        session: None,
    })
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The account behind an open session. An account that left the config opens nothing any more,
/// and a changed role counts from the next request.
fn session(shared: &Shared, token: Token) -> Result<Who, Fault> {
    let now = (shared.console.clock)();
    let mut found = None;
    shared.console.reads.with_state(&mut |state| found = from_state::session(state, &token, now));
    let found = found.ok_or(Fault::Unauthorized)?;
    let account = shared.console.accounts.account(&found.user).ok_or(Fault::Unauthorized)?;
    Ok(Who {
        name: account.name.clone(),
        role: account.role,
        user: found.user,
        session: Some((token, found.expires_at)),
    })
}

/// Whether the asking page was loaded by HTTPS, of a proxy in front of us: we speak plain HTTP.
pub(crate) fn is_behind_tls(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    origin.is_some_and(|origin| origin.starts_with("https://"))
}

/// Whether `Origin` names the address that was asked. Browsers always send it with a `POST`.
pub(crate) fn is_own_origin(parts: &Parts) -> bool {
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
    let origin = parts.headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    let origin = origin.and_then(|origin| {
        origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))
    });
    match (origin, host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        (None, _) | (_, None) => false,
    }
}

/// Checks name and password, opens a session, and gives the `Set-Cookie` value when it is durable.
/// `secure`: the page was loaded by HTTPS, so the cookie may travel by nothing else.
pub(crate) async fn log_in(
    shared: &Arc<Shared>,
    address: IpAddr,
    secure: bool,
    asked: LogIn,
) -> Result<(Who, String), Fault> {
    let LogIn { user, password } = asked;
    if user.is_empty() || user.len() > USER_BYTES_MAX || password.len() > PASSWORD_BYTES_MAX {
        return Err(Fault::malformed(
            "`user` or `password` has no usable length",
            "`user` and `password`",
            "1 to 64 bytes, and at most 256 bytes",
        ));
    }
    may_try(shared, address, &user)?;
    let right = verify(shared, address, user.clone(), password).await?;
    let account = shared.console.accounts.account(&user).filter(|_account| right);
    let Some(account) = account else {
        record_failure(shared, &user).await;
        return Err(Fault::WrongPassword);
    };
    let (name, role) = (account.name.clone(), account.role);
    let who = Who { user, name, role, session: None };
    open_session(shared, who, secure).await
}

/// What came of a log-in, as it is counted.
pub(crate) const fn result<T>(answer: &Result<T, Fault>) -> &'static str {
    match answer {
        Ok(_opened) => "opened",
        Err(Fault::WrongPassword) => "wrong",
        Err(Fault::TooManyAttempts { .. }) => "limited",
        Err(_not_judged) => "failed",
    }
}

fn may_try(shared: &Shared, address: IpAddr, user: &str) -> Result<(), Fault> {
    let now = (shared.console.clock)();
    let Some(wait) = shared.rates().wait(now, address, user) else { return Ok(()) };
    let wait_s = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(1);
    Err(Fault::TooManyAttempts { wait_s })
}

/// Checks a password and counts what came of it before the next check may begin, even when the
/// asker hangs up meanwhile.
async fn verify(
    shared: &Arc<Shared>,
    address: IpAddr,
    user: String,
    password: String,
) -> Result<bool, Fault> {
    let closed = |_closed| Fault::Internal;
    let permit = Arc::clone(&shared.password_checks).acquire_owned().await.map_err(closed)?;
    // Others of a burst may have failed while this one waited for its turn.
    may_try(shared, address, &user)?;
    let shared = Arc::clone(shared);
    let check = tokio::task::spawn_blocking(move || {
        let right = shared.console.accounts.verify(&user, &password);
        if right {
            shared.rates().succeeded(address, &user);
        } else {
            shared.rates().failed((shared.console.clock)(), address, &user);
        }
        drop(permit);
        right
    });
    check.await.map_err(|_panicked| Fault::Internal)
}

async fn open_session(
    shared: &Arc<Shared>,
    mut who: Who,
    secure: bool,
) -> Result<(Who, String), Fault> {
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).map_err(|_no_random| Fault::Internal)?;
    let secret = blake3::Hash::from_bytes(secret).to_hex();
    let token = shared.console.seal.token(SESSION_PURPOSE, secret.as_bytes());
    let time = shared.console.settings.session_time;
    let lasts = SignedDuration::try_from(time).map_err(|_too_long| Fault::Internal)?;
    let expires_at = (shared.console.clock)().checked_add(lasts).map_err(|_end| Fault::Internal)?;
    let kind = CommandKind::OpenSession { token, expires_at };
    let receipt = send(shared, who.actor(), kind).await?.map_err(|refusal| {
        tracing::warn!(code = refusal.code.as_str(), "A log-in was refused by the core.");
        Fault::Busy
    })?;
    wait_until_shown(shared, receipt.last).await?;
    who.session = Some((token, expires_at));
    let secure = if secure || shared.console.settings.secure_cookie { "; Secure" } else { "" };
    let seconds = time.as_secs();
    let cookie =
        format!("{COOKIE}={secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    Ok((who, cookie))
}

/// The `Set-Cookie` value that takes the cookie away, once the session's end is durable.
pub(crate) async fn log_out(shared: &Arc<Shared>, who: &Who) -> Result<String, Fault> {
    if let Some((token, _at)) = who.session {
        let closed = send(shared, who.actor(), CommandKind::CloseSession { token }).await?;
        match closed {
            Ok(receipt) => wait_until_shown(shared, receipt.last).await?,
            // Closed by another window a moment ago: the same end.
            Err(refusal) => {
                tracing::debug!(code = refusal.code.as_str(), "A log-off found no session.");
            }
        }
    }
    Ok(format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"))
}

/// Keeps a failed log-in for the officer who must prove what happened; never the typed name.
async fn record_failure(shared: &Arc<Shared>, user: &str) {
    let name = shared.console.seal.token(NAME_PURPOSE, user.as_bytes());
    let actor = Actor { source: "user:-".to_owned(), role: Role::Viewer };
    match send(shared, actor, CommandKind::RefuseLogIn { name }).await {
        Ok(Ok(_receipt)) => {}
        Ok(Err(refusal)) => {
            tracing::warn!(code = refusal.code.as_str(), "A failed log-in was not recorded.");
        }
        Err(fault) => tracing::warn!(error = %fault, "A failed log-in was not recorded."),
    }
}

async fn send(
    shared: &Shared,
    actor: Actor,
    kind: CommandKind,
) -> Result<Result<Receipt, Refusal>, Fault> {
    let received_at = (shared.console.clock)();
    let id = new_command_id(received_at)?;
    let command = Command { id, actor, received_at, kind };
    let input = Input::Command(Box::new(command));
    let answered = shared.console.submit.submit(Lane::B, input).ok_or(Fault::Busy)?;
    Ok(answered.await)
}

fn new_command_id(now: Timestamp) -> Result<CommandId, Fault> {
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).map_err(|_no_random| Fault::Internal)?;
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    Ok(CommandId(id.into_bytes()))
}

/// The replica follows the journal by a moment. Who got a cookie must not hear "nobody" next.
async fn wait_until_shown(shared: &Shared, seq: Seq) -> Result<(), Fault> {
    let mut head = shared.console.reads.head();
    head.wait_for(|head| *head >= seq).await.map(|_shown| ()).map_err(|_stopped| Fault::Busy)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/api/commands").method("POST");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_our_own_page_is_our_origin() {
        let own = |headers: &[(&str, &str)]| is_own_origin(&parts(headers));
        assert!(own(&[("host", "127.0.0.1:8119"), ("origin", "http://127.0.0.1:8119")]));
        assert!(own(&[("host", "desk.example.jp"), ("origin", "https://desk.example.jp")]));
        assert!(!own(&[("host", "127.0.0.1:8119"), ("origin", "http://127.0.0.1:9")]));
        assert!(!own(&[("host", "127.0.0.1:8119"), ("origin", "null")]));
        assert!(!own(&[("host", "127.0.0.1:8119")]), "a browser always says");
        assert!(!own(&[("origin", "http://127.0.0.1:8119")]));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let find = |value: &str| cookie(&parts(&[("cookie", value)]).headers).map(str::to_owned);
        assert_eq!(find("a=b; hansho_session=xyz; c=d").as_deref(), Some("xyz"));
        assert_eq!(find("hansho_session_old=xyz"), None);
        assert_eq!(find(""), None);
    }
}
