//! Why a verb did not do what it was asked to, with the exit code and what to do about it.

use std::error::Error;

use gpuvirt_api::{ApiError, ClientError, ErrorKind};
use gpuvirt_model::chain;

/// What a panic of ours ends with: a failure like others, not Rust's 101.
pub(crate) const EXIT_BUG: u8 = 1;

/// An error as the command shows it: the wire's shape, and remedies of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Family, message, refusals.
    pub error: ApiError,
    /// What to do, a line each.
    pub remedy: Vec<String>,
}

impl Failure {
    /// An error of a family.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { error: ApiError::new(kind, message), remedy: Vec::new() }
    }

    /// We tried and it failed: the error with all its causes.
    pub fn failed(error: &dyn Error) -> Self {
        Self::new(ErrorKind::Failed, chain(error))
    }

    /// The request makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A question that the daemon did not answer. Nothing was ordered, so nothing may still go on.
    pub fn of_question(error: ClientError) -> Self {
        match error {
            ClientError::TimedOut { .. } | ClientError::Broken { .. } => {
                Self::new(ErrorKind::Unreachable, chain(&error)).try_this("journalctl -u gpuvirtd")
            }
            other => other.into(),
        }
    }

    /// The same with a remedy more.
    #[must_use]
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let failure = Self { error, remedy: Vec::new() };
        match failure.error.kind {
            ErrorKind::Denied => {
                failure.try_this("run it as root, or as a member of the group that gpuvirtd.toml names")
            }
            ErrorKind::Unreachable => failure.try_this("the same again, when other requests have ended"),
            _ => failure,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let unreachable = Self::new(ErrorKind::Unreachable, chain(&error));
        match error {
            ClientError::Api(error) => error.into(),
            ClientError::Unreachable { .. } => unreachable
                .try_this("systemctl start gpuvirtd")
                .try_this("journalctl -u gpuvirtd, when it does not start"),
            ClientError::NotAllowed { socket, .. } => unreachable
                .try_this(format!("run it as root, or look at the permissions: ls -ld {}", socket.display())),
            ClientError::TimedOut { .. } => Self::failed(&error)
                .try_this("what was ordered may still go on: `gpuvirt status`, journalctl -u gpuvirtd"),
            ClientError::Broken { .. } => Self::failed(&error)
                .try_this("what was ordered may have been done: `gpuvirt status`, journalctl -u gpuvirtd"),
            ClientError::OtherVersion { .. }
            | ClientError::NotUnderstood { .. }
            | ClientError::Request(_) => Self::failed(&error),
        }
    }
}
