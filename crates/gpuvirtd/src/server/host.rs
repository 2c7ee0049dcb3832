//! `/v1/host`: the host's defaults.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gpuvirt_api::{Change, HostDocument, List, SetHost};
use gpuvirt_engine::{HostRequest, Report};
use gpuvirt_model::ConfiguredType;

use super::access::Writer;
use super::answer::Failure;
use super::change;
use super::context::Context;
use super::input::{Body, Nothing, Params};
use super::pictures::Refreshed;

/// `GET /v1/host`
pub(super) async fn show(
    State(context): State<Arc<Context>>,
    _: Params<Nothing>,
) -> Result<Json<List<HostDocument>>, Failure> {
    let read = |context: &Context| {
        let picture = context.picture()?;
        let host = HostDocument::new(&picture.view.desired);
        Ok(context.list("Host", &picture, vec![host]))
    };
    context.read(read).await.map(Json)
}

/// `PUT /v1/host`
pub(super) async fn set(
    State(context): State<Arc<Context>>,
    Writer(peer): Writer,
    _: Params<Nothing>,
    Body(asked): Body<SetHost>,
) -> Result<Json<Change>, Failure> {
    if !matches!(asked.default_type, None | Some(ConfiguredType::Shared | ConfiguredType::SharedDirect)) {
        let text = "the default type is shared or shared-direct: passthrough is asked for card by card";
        return Err(Failure::usage(StatusCode::BAD_REQUEST, text));
    }
    let what = format!("host set {asked:?}");
    let work = move |context: &Context| {
        let request = HostRequest {
            default_type: asked.default_type,
            assignment_policy: asked.assignment_policy,
            maintenance: asked.maintenance,
            reserve: asked.reserve,
            yes: asked.yes,
            deadline: context.write_deadline,
        };
        Ok(change::document(context.engine.set_host(&request)?, false))
    };
    context.change(&peer, what, work).await.map(Json)
}

/// `POST /v1/host/refresh`
pub(super) async fn refresh(
    State(context): State<Arc<Context>>,
    Writer(peer): Writer,
    _: Params<Nothing>,
) -> Result<Json<Change>, Failure> {
    // What waits for something is looked at again when this has ended, as after every change.
    let work = |context: &Context| {
        let found = context.pictures.refresh(&context.picture()?);
        Ok(change::document(refreshed(&found), false))
    };
    context.change(&peer, "host refresh".to_owned(), work).await.map(Json)
}

fn refreshed(found: &Refreshed) -> Report {
    let count = found.now.count();
    match &found.differences {
        None => Report::unchanged(format!("{count}; there was no earlier look to compare with")),
        Some(none) if none.is_empty() => {
            Report::unchanged(format!("{count}, all as at the last refresh, or as gpuvirtd first saw it"))
        }
        Some(found) => Report::changed(format!("{count}; {}", found.join("; "))),
    }
}
