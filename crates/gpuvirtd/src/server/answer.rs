//! Documents that are kept as they travel, and errors: one JSON shape with the status of its kind, whatever went wrong.

use axum::Json;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gpuvirt_api::{ApiError, ErrorKind};
use gpuvirt_engine::EngineError;
use gpuvirt_engine::ports::PortError;
use gpuvirt_model::{Refusal, RefusalCode};
use serde::Serialize;

use gpuvirt_model::chain;

/// A request that has no document as its answer.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) error: ApiError,
    status: StatusCode,
}

impl Failure {
    /// The request makes no sense, in HTTP's or our own terms.
    pub(super) fn usage(status: StatusCode, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(ErrorKind::Usage, message), status }
    }

    /// Somebody else whom the answer needs does not answer.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self { error: ApiError::new(ErrorKind::Failed, message), status: StatusCode::SERVICE_UNAVAILABLE }
    }

    /// One refusal.
    pub(super) fn refused(refusal: Refusal) -> Self {
        ApiError::refused(vec![refusal]).into()
    }

    /// Our fault. What happened is in the log.
    pub(super) fn bug() -> Self {
        let text = "gpuvirtd made a mistake on this request and carries on; its log says where";
        ApiError::new(ErrorKind::Bug, text).into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let of_kind = StatusCode::from_u16(error.kind.http_status());
        let status = match error.refusals.as_slice() {
            [only] if is_absence(only.code) => StatusCode::NOT_FOUND,
            _ => of_kind.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        Self { error, status }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusals) => ApiError::refused(refusals),
            EngineError::Bug(_) => ApiError::new(ErrorKind::Bug, chain(&error)),
            EngineError::Failed { .. } | EngineError::Port(_) => {
                ApiError::new(ErrorKind::Failed, chain(&error))
            }
        }
        .into()
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        EngineError::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.error)).into_response()
    }
}

/// A document that is kept as it travels.
pub(super) struct Written(pub(super) Bytes);

impl Written {
    /// The document as JSON.
    pub(super) fn of(document: &impl Serialize) -> Result<Self, Failure> {
        serde_json::to_vec(document).map(|text| Self(text.into())).map_err(|error| {
            tracing::error!(%error, "an answer can't be written as JSON");
            Failure::bug()
        })
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

/// What the path names is not there.
fn is_absence(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::GpuNotFound | RefusalCode::VgpuNotFound | RefusalCode::DomainNotFound)
}
