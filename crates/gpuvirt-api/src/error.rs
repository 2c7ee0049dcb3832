//! The one error shape.

use gpuvirt_model::Refusal;
use serde::{Deserialize, Serialize};

/// An error as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct ApiError {
    /// Always [`crate::API_VERSION`].
    pub api_version: String,
    /// Which family it is of.
    pub kind: ErrorKind,
    /// What is the matter, in one paragraph; for refusals the first one's summary.
    pub message: String,
    /// All refusals at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refusal>,
}

/// The families of errors, each with an exit code of the command and an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The request makes no sense.
    Usage,
    /// The user may not ask for this.
    Denied,
    /// We will not.
    Refused,
    /// We tried; the message says what is true now.
    Failed,
    /// The daemon did not answer, which only the command says; or it had no place for the request, which it says itself.
    Unreachable,
    /// Our fault.
    Bug,
}

impl ErrorKind {
    /// Exit code of the command.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Bug | Self::Denied => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 5,
        }
    }

    /// HTTP status.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Usage => 400,
            Self::Denied => 403,
            Self::Refused => 409,
            Self::Failed | Self::Bug => 500,
            Self::Unreachable => 503,
        }
    }
}

impl ApiError {
    /// An error of `kind` with a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            api_version: crate::API_VERSION.to_owned(),
            kind,
            message: message.into(),
            refusals: Vec::new(),
        }
    }

    /// All refusals of a request.
    pub fn refused(refusals: Vec<Refusal>) -> Self {
        let message = refusals.first().map(|r| r.summary.clone()).unwrap_or_default();
        Self { refusals, ..Self::new(ErrorKind::Refused, message) }
    }
}
