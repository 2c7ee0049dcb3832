//! Path, query and body of a request: read within limits, understood whole, or answered with what is wrong.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use gpuvirt_api::{GpuSelector, route};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::answer::Failure;
use super::context::Context;
use super::pictures::Freshness;

/// The largest body: no request of ours takes a tenth of it.
const MAX_BODY: usize = 64 * 1024;
/// The largest document of a whole host's configuration: hundreds of GPUs with their vGPUs.
pub(super) const MAX_LARGE_BODY: usize = 1024 * 1024;
/// Longest wait for the whole body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The one name in a path, percent-decoded.
pub(super) struct Name(pub String);

/// A GPU in a path: an address or a label.
pub(super) struct GpuName(pub GpuSelector);

/// A vGPU in a path: a uuid or an address.
pub(super) struct Id(pub gpuvirt_model::VgpuId);

/// The query. A key that the route does not know is an error: `?dryrun=true` must not be a change.
pub(super) struct Params<T>(pub T);

/// The JSON body.
pub(super) struct Body<T>(pub T);

/// The JSON body of a request that may be large.
pub(super) struct LargeBody<T>(pub T);

/// No parameter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Whether a removal is only to be shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Removal {
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// Events after which one, and how long to wait for the next, in seconds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AfterEvent {
    #[serde(default)]
    pub(super) after: u64,
    pub(super) wait_seconds: Option<u64>,
}

/// One GPU instead of all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfGpu {
    pub(super) gpu: Option<String>,
}

/// One profile instead of all.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfProfile {
    pub(super) profile: Option<String>,
}

/// Says in the log what the request is about.
pub(super) fn about(field: &str, object: &dyn std::fmt::Display) {
    tracing::Span::current().record(field, tracing::field::display(object));
}

/// Reads a GPU's name.
pub(super) fn selector(text: &str) -> Result<GpuSelector, Failure> {
    text.parse().map_err(|error| bad(&error))
}

/// A request that makes no sense, with why.
pub(super) fn bad(why: &dyn Error) -> Failure {
    Failure::usage(StatusCode::BAD_REQUEST, gpuvirt_model::chain(why))
}

fn bad_query(why: &dyn Error) -> Failure {
    Failure::usage(StatusCode::BAD_REQUEST, format!("the query can't be understood: {why}"))
}

fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

impl FromRequestParts<Arc<Context>> for Name {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, context).await {
            Ok(Path(name)) => {
                if parts.uri.path().starts_with(route::VMS) {
                    about("vm", &name);
                }
                Ok(Self(name))
            }
            Err(error) => Err(bad(&error)),
        }
    }
}

impl FromRequestParts<Arc<Context>> for GpuName {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        let Name(name) = Name::from_request_parts(parts, context).await?;
        let gpu = selector(&name)?;
        about("gpu", &gpu);
        Ok(Self(gpu))
    }
}

impl FromRequestParts<Arc<Context>> for Id {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        let Name(name) = Name::from_request_parts(parts, context).await?;
        let text = format!("{name:?} is not a uuid, nor the address of a virtual function");
        name.parse().map(Self).map_err(|_| Failure::usage(StatusCode::BAD_REQUEST, text))
    }
}

impl FromRequestParts<Arc<Context>> for Freshness {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Infallible> {
        let said = parts.headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
        let no_cache =
            said.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case("no-cache"));
        Ok(if no_cache { Self::Now } else { Self::AsHeard })
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<Context>> for Params<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        match Query::<T>::from_request_parts(parts, context).await {
            Ok(Query(params)) => Ok(Self(params)),
            // Each of its layers says the same again; the last one says it once.
            Err(error) => Err(bad_query(innermost(&error))),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Context>> for Body<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, _: &Arc<Context>) -> Result<Self, Failure> {
        body(request, MAX_BODY).await.map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Context>> for LargeBody<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, _: &Arc<Context>) -> Result<Self, Failure> {
        body(request, MAX_LARGE_BODY).await.map(Self)
    }
}

/// A body of at most `limit` bytes, understood.
async fn body<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Failure> {
    let bytes = bytes(request.into_body(), limit).await?;
    serde_json::from_slice(&bytes).map_err(|error| bad(&error))
}

/// A body of at most `limit` bytes, within the deadline.
pub(super) async fn bytes(body: axum::body::Body, limit: usize) -> Result<Bytes, Failure> {
    match tokio::time::timeout(BODY_DEADLINE, axum::body::to_bytes(body, limit)).await {
        Err(_) => {
            let text = format!("the body did not come within {} s", BODY_DEADLINE.as_secs());
            Err(Failure::usage(StatusCode::REQUEST_TIMEOUT, text))
        }
        Ok(Err(error)) => {
            let text = format!("the body can't be read, the limit is {limit} bytes: {error}");
            Err(Failure::usage(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        Ok(Ok(bytes)) => Ok(bytes),
    }
}
