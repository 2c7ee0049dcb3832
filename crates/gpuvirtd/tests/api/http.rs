//! A client as plain as can be: one request in bytes, one answer.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Longer than any of the server's own deadlines.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error document of a request that must have failed.
    pub fn error(&self) -> gpuvirt_api::ApiError {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `request` as it is and reads to the end.
pub fn raw(socket: &Path, request: &[u8]) -> Answer {
    let mut stream = connect(socket);
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    finish(stream)
}

pub fn finish(mut stream: UnixStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub fn get(socket: &Path, path: &str) -> Answer {
    send(socket, "GET", path, "")
}

/// The same with a header more.
pub fn get_with(socket: &Path, path: &str, header: &str) -> Answer {
    raw(socket, format!("GET {path} HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n").as_bytes())
}

pub fn send(socket: &Path, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    raw(socket, request.as_bytes())
}
