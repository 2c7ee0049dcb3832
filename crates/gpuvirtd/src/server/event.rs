//! `/v1/events`: what came since an event, with a wait for the next; or a stream, for who asks for one.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::access::Caller;
use super::answer::Failure;
use super::context::Context;
use super::input::{AfterEvent, Params};
use super::{event_stream, presence};

/// Longest wait for an event before an empty answer: a connection holds one of its user's places meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// `GET /v1/events[?after=N][&waitSeconds=S]`
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    Caller(peer): Caller,
    headers: HeaderMap,
    Params(asked): Params<AfterEvent>,
) -> Result<Response, Failure> {
    if event_stream::is_wanted(&headers) {
        if asked.wait_seconds.is_some() {
            let text = "waitSeconds is for single answers: a stream waits for as long as it is read";
            return Err(Failure::usage(StatusCode::BAD_REQUEST, text));
        }
        let from = event_stream::position(&headers, &context.events, asked.after)?;
        let place = context.listeners.take(peer.uid)?;
        return Ok(event_stream::answer(Arc::clone(&context.events), from, place));
    }
    let wait = Duration::from_secs(asked.wait_seconds.unwrap_or_default()).min(LONGEST_WAIT);
    tokio::select! {
        () = context.events.beyond(asked.after) => {},
        () = tokio::time::sleep(wait) => {},
        () = presence::left() => {},
    }
    Ok(Json(context.events.after(asked.after)).into_response())
}
