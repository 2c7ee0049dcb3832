//! Why a request to the daemon has no document as its answer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{ApiError, ErrorKind};

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("gpuvirtd does not answer on {}", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// The errno.
        #[source]
        source: io::Error,
    },
    /// The socket's permissions keep this user out.
    #[error("this user may not open gpuvirtd's socket {}", socket.display())]
    NotAllowed {
        /// The socket.
        socket: PathBuf,
        /// The errno.
        #[source]
        source: io::Error,
    },
    /// The deadline passed. An order may still be carried out.
    #[error("gpuvirtd has not answered within {} s", waited.as_secs())]
    TimedOut {
        /// The deadline.
        waited: Duration,
    },
    /// The connection broke, or the other side speaks no HTTP.
    #[error("the connection to gpuvirtd on {} failed", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What the transport says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer of another version of the API.
    #[error("gpuvirtd speaks {found:?} and this command {ours:?}: install the same version of both")]
    OtherVersion {
        /// The daemon's.
        found: String,
        /// Ours.
        ours: &'static str,
    },
    /// An answer that is no document of ours.
    #[error("gpuvirtd's answer makes no sense: {what}")]
    NotUnderstood {
        /// What is wrong with it.
        what: String,
    },
    /// A request that has no JSON form.
    #[error("the request can't be written as JSON")]
    Request(#[source] serde_json::Error),
    /// The daemon's own error.
    #[error(transparent)]
    Api(ApiError),
}

impl ClientError {
    /// Whether the daemon could not be asked at all, or had no place for the request: nothing was begun.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotAllowed { .. } => true,
            Self::Api(error) => error.kind == ErrorKind::Unreachable,
            _ => false,
        }
    }

    /// Whether no answer came, for whatever reason: a question may then be answered by reading the host itself. An order
    /// may have been carried out all the same, unless it [is unreachable](Self::is_unreachable).
    pub fn is_unanswered(&self) -> bool {
        self.is_unreachable() || matches!(self, Self::TimedOut { .. } | Self::Broken { .. })
    }

    pub(super) fn from_ureq(socket: &Path, deadline: Duration, error: ureq::Error) -> Self {
        let socket = socket.to_owned();
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect) => {
                Self::Unreachable { socket, source: io::ErrorKind::TimedOut.into() }
            }
            ureq::Error::Timeout(_) => Self::TimedOut { waited: deadline },
            ureq::Error::BodyExceedsLimit(limit) => {
                Self::NotUnderstood { what: format!("it is larger than {} MiB", limit / 1024 / 1024) }
            }
            ureq::Error::Other(inner) => match inner.downcast::<super::transport::NoConnection>() {
                Ok(failed) => Self::from_connect(socket, failed.0),
                Err(source) => Self::Broken { socket, source },
            },
            other => Self::Broken { socket, source: Box::new(other) },
        }
    }

    fn from_connect(socket: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NotAllowed { socket, source },
            _ => Self::Unreachable { socket, source },
        }
    }
}
