//! `/v1/events`: a stream by asking again, each answer with what came since the last.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use gpuvirt_api::event::EventList;

use super::answer::Failure;
use super::context::Context;
use super::input::{AfterEvent, Params};
use super::presence;

/// Longest wait for an event before an empty answer: a connection holds one of its user's places meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// `GET /v1/events[?after=N][&waitSeconds=S]`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    Params(asked): Params<AfterEvent>,
) -> Result<Json<EventList>, Failure> {
    let wait = Duration::from_secs(asked.wait_seconds).min(LONGEST_WAIT);
    tokio::select! {
        () = context.events.beyond(asked.after) => {},
        () = tokio::time::sleep(wait) => {},
        () = presence::left() => {},
    }
    Ok(Json(context.events.after(asked.after)))
}
