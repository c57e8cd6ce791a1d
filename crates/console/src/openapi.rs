//! The description of the API, made from the code.

use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

use crate::{api, commands, dispatch, stream, view};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hansho console API",
        description = "Fields may be added; none is renamed or removed. Times are RFC 3339 in UTC.",
        version = "1",
        license(name = "AGPL-3.0-or-later"),
    ),
    paths(
        api::state, api::command, api::log_in, api::log_out, api::me, stream::stream,
        dispatch::recommendation, dispatch::orders,
    ),
    components(schemas(
        commands::AcknowledgeSignal, commands::OpenIncident, commands::JoinSignal,
        commands::EndSignal, commands::AddNote, commands::CloseIncident, commands::ErasePerson,
        commands::AnswerCall, commands::CallBack, commands::SetPlace, commands::SetKind,
        commands::SaveDraft, commands::ClearDraft,
        commands::OrderUnits, commands::UnitStatus, commands::SetAvailability,
        commands::SendMessage,
        commands::SendNotice, commands::PublicNotice,
        view::Heartbeat, view::StreamEvent, view::World,
    )),
    security(("cookie" = []), ("bearer" = [])),
    modifiers(&Schemes),
)]
struct Description;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let cookie = ApiKey::Cookie(ApiKeyValue::new("hansho_session"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
        let bearer = Http::new(HttpAuthScheme::Bearer);
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The OpenAPI 3.1 document, pretty-printed, with a line break at its end.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = Description::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed file is what `web/src/api.ts` is made from. After a change of the API:
    /// `HANSHO_WRITE=1 cargo test -p hansho-console openapi`, then `npm run api` in `web`.
    #[test]
    fn the_committed_description_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let made = openapi_json();
        if std::env::var_os("HANSHO_WRITE").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == made,
            "crates/console/openapi.json is stale: run `HANSHO_WRITE=1 cargo test -p \
             hansho-console openapi`, then `npm run api` in crates/console/web, and commit both"
        );
    }
}
