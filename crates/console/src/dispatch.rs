//! Questions about an incident's units: what should go, and what was ordered why.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use hansho_model::IncidentId;
use serde::Serialize;

use crate::api::caught_up;
use crate::auth::Who;
use crate::fault::{Fault, json};
use crate::from_state::{Sight, Viewer};
use crate::server::Shared;
use crate::view::{ErrorAnswer, Orders, Recommendation};

/// `GET /api/incidents/{id}/recommendation`.
#[utoipa::path(
    get, path = "/api/incidents/{id}/recommendation", tag = "console",
    params(("id" = String, Path, description = "such as `i184210`")),
    responses(
        (status = 200, body = Recommendation, description = "what should go beside what is \
            ordered already; nothing is changed by asking"),
        (status = 400, body = ErrorAnswer), (status = 401, body = ErrorAnswer),
        (status = 404, body = ErrorAnswer),
    ),
)]
pub(crate) async fn recommendation(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let now = (shared.console.clock)();
    ask(shared, who, &id, move |viewer, incident| viewer.recommendation(incident, now)).await
}

/// `GET /api/incidents/{id}/orders`.
#[utoipa::path(
    get, path = "/api/incidents/{id}/orders", tag = "console",
    params(("id" = String, Path, description = "such as `i184210`")),
    responses(
        (status = 200, body = Orders, description = "with what was recommended then, and why not \
            every other unit"),
        (status = 400, body = ErrorAnswer), (status = 401, body = ErrorAnswer),
        (status = 404, body = ErrorAnswer),
    ),
)]
pub(crate) async fn orders(
    State(shared): State<Arc<Shared>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    ask(shared, who, &id, |viewer, incident| viewer.orders_with_advice(incident)).await
}

/// Asks the state once it holds what was acknowledged to anybody before.
async fn ask<T: Serialize + Send + 'static>(
    shared: Arc<Shared>,
    who: Who,
    id: &str,
    answer: impl Fn(Viewer<'_>, IncidentId) -> Option<T> + Send + 'static,
) -> Result<Response, Fault> {
    let incident: IncidentId = id.parse().map_err(|error: hansho_model::ParseIdError| {
        Fault::malformed(error.to_string(), "the path", "take the id from /api/state")
    })?;
    caught_up(&shared).await;
    let sight = Sight::of(who.role);
    // Opening sealed values costs a decryption each: not on an async thread.
    let made = tokio::task::spawn_blocking(move || {
        let mut found = None;
        shared.console.reads.with_state(&mut |state| {
            let (reveal, accounts) = (&*shared.console.reveal, &shared.console.accounts);
            let erased = &state.erased_keys();
            found = answer(Viewer { state, reveal, accounts, sight, erased }, incident);
        });
        found
    });
    let found = made.await.map_err(|_panicked| Fault::Internal)?;
    found.map(|found| json(StatusCode::OK, &found)).ok_or(Fault::NotFound)
}
