//! The command's side of the socket: typed requests, blocking, one connection each.
//!
//! It reads no kernel file and decides nothing: it carries requests and hands back documents, the daemon's own
//! errors among them. Every wait has a deadline and every answer a largest size. What can be asked of each noun stands
//! in the file of its name; how anything is asked stands here.

mod error;
mod gpu;
mod host;
mod metrics;
mod mig;
mod stream;
mod transport;
mod vgpu;
mod vm;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Method;
use uuid::Uuid;

pub use error::ClientError;
pub use stream::{EventStream, Told};

use crate::{API_VERSION, ApiError, Change, route};

/// Where the daemon listens unless it is told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/gpuvirt/gpuvirt.sock";
/// What goes over the connection at a time. The library's own 128 KiB are cleared before the first byte, which takes longer than
/// most questions and their answers do. The head of an answer must fit in it; those of the daemon have some hundred bytes.
const BUFFER: usize = 16 << 10;
/// Longest wait for the connection: it is local, so a longer one means a daemon that accepts nobody.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// Longest wait for the whole answer to a question.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for the whole answer to a change, beyond what the request itself allows: a switch waits for drivers.
const CHANGE_DEADLINE: Duration = Duration::from_secs(600);
/// The largest answer: thousands of vGPUs fit, a daemon gone wild does not.
const MAX_ANSWER: u64 = 32 * 1024 * 1024;

/// A client of one daemon.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    agent: ureq::Agent,
    key: Option<Uuid>,
}

/// One question or order.
struct Call<'a, B> {
    method: Method,
    path: String,
    body: Option<&'a B>,
    deadline: Duration,
}

impl Client {
    /// A client of the daemon behind `socket`. Nothing is opened yet.
    pub fn new(socket: &Path) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_DEADLINE))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_response_header_size(BUFFER - 1)
            .user_agent(concat!("gpuvirt/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent =
            ureq::Agent::with_parts(config, transport::UnixConnector::new(socket), transport::NoNames);
        Self { socket: socket.to_owned(), agent, key: None }
    }

    /// The same client for one change under a key: asked for again with it, by whatever client of the same user, the change
    /// is not made again, and the first answer is given.
    #[must_use]
    pub fn with_key(self, key: Option<Uuid>) -> Self {
        Self { key, ..self }
    }

    fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        self.call(Call { method: Method::GET, path, body: None::<&()>, deadline: READ_DEADLINE })
    }

    fn change<B: Serialize>(
        &self,
        method: Method,
        path: String,
        body: Option<&B>,
    ) -> Result<Change, ClientError> {
        self.call(Call { method, path, body, deadline: CHANGE_DEADLINE })
    }

    fn call<T: DeserializeOwned, B: Serialize>(&self, call: Call<'_, B>) -> Result<T, ClientError> {
        let deadline = call.deadline;
        let key = self.key.filter(|_| call.method != Method::GET);
        let body = call.body.map(serde_json::to_vec).transpose().map_err(ClientError::Request)?;
        let request = request(call.method, &call.path)
            .header("accept", "application/json")
            // Whoever runs the command wants to see the host, and not what it was a second ago.
            .header("cache-control", "no-cache")
            .header("content-type", "application/json");
        let request = match key {
            Some(key) => request.header(route::IDEMPOTENCY_KEY, key.to_string()),
            None => request,
        };
        let answer = self.send(request.body(body.unwrap_or_default()), deadline)?;
        let status = answer.status();
        understand(status, &self.whole(answer, deadline)?)
    }

    /// The answer's head, within a deadline that is also its body's.
    fn send(
        &self,
        request: Result<ureq::http::Request<Vec<u8>>, ureq::http::Error>,
        deadline: Duration,
    ) -> Result<Answer, ClientError> {
        let failed = |error| ClientError::from_ureq(&self.socket, deadline, error);
        let request = request.map_err(|error| failed(error.into()))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(deadline))
            .allow_non_standard_methods(true)
            .build();
        self.agent.run(request).map_err(failed)
    }

    fn whole(&self, mut answer: Answer, deadline: Duration) -> Result<Vec<u8>, ClientError> {
        let bytes = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        bytes.map_err(|error| ClientError::from_ureq(&self.socket, deadline, error))
    }
}

type Answer = ureq::http::Response<ureq::Body>;

fn request(method: Method, path: &str) -> ureq::http::request::Builder {
    ureq::http::Request::builder().method(method).uri(format!("http://gpuvirt{path}"))
}

/// The daemon's error, of an answer that is none of what was asked for.
fn error_of(status: ureq::http::StatusCode, bytes: &[u8]) -> ClientError {
    match serde_json::from_slice::<ApiError>(bytes) {
        Ok(error) => ClientError::Api(error),
        Err(_) => {
            ClientError::NotUnderstood { what: format!("status {status} with a body that is none of ours") }
        }
    }
}

/// Reads an answer: the document for a good status, the daemon's error otherwise.
fn understand<T: DeserializeOwned>(status: ureq::http::StatusCode, bytes: &[u8]) -> Result<T, ClientError> {
    if !status.is_success() {
        return Err(error_of(status, bytes));
    }
    serde_json::from_slice(bytes).map_err(|error| match other_version(bytes) {
        Some(found) => ClientError::OtherVersion { found, ours: API_VERSION },
        None => ClientError::NotUnderstood { what: error.to_string() },
    })
}

/// The version that a document names, when it is not ours.
fn other_version(bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let version = document.get("apiVersion")?.as_str()?;
    (version != API_VERSION).then(|| version.to_owned())
}

#[cfg(test)]
mod tests;
