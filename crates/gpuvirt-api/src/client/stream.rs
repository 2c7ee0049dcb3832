//! Events as they come: Server-Sent Events, read line by line.
//!
//! Only the answer's head has a deadline: how long nothing happens is nobody's to say. A line has a largest size.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

use ureq::http::Method;
use ureq::http::header::{ACCEPT, CONTENT_TYPE};

use super::{Answer, Client, ClientError, READ_DEADLINE, error_of, request};
use crate::event::{Event, LOST, STREAM};
use crate::route;

/// The longest line: an event's text is a sentence or a few.
const MAX_LINE: u64 = 1 << 20;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Something happened; with what to say on return.
    Event(String, Event),
    /// Events before the next one were missed.
    Lost,
}

/// What the daemon tells, until it ends.
pub struct EventStream {
    socket: PathBuf,
    lines: BufReader<ureq::BodyReader<'static>>,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventStream").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A message of the stream as far as it was read.
#[derive(Debug, Default)]
struct Message {
    name: String,
    id: String,
    data: String,
}

impl Client {
    /// Listens to events from the one after `last` on, or from the oldest that the daemon keeps.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn listen(&self, last: Option<&str>) -> Result<EventStream, ClientError> {
        let request = request(Method::GET, route::EVENTS).header(ACCEPT, STREAM);
        let request = match last {
            Some(last) => request.header(route::LAST_EVENT_ID, last),
            None => request,
        };
        let answer = self.begin(request.body(Vec::new()))?;
        let status = answer.status();
        let is_stream = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == STREAM);
        if status.is_success() && is_stream {
            let lines = BufReader::new(answer.into_body().into_reader());
            return Ok(EventStream { socket: self.socket.clone(), lines });
        }
        let bytes = self.whole(answer, READ_DEADLINE)?;
        if status.is_success() {
            let what = "it is no stream of events: install the same version of both".to_owned();
            return Err(ClientError::NotUnderstood { what });
        }
        Err(error_of(status, &bytes))
    }

    /// The head of an answer whose body has no deadline.
    fn begin(
        &self,
        request: Result<ureq::http::Request<Vec<u8>>, ureq::http::Error>,
    ) -> Result<Answer, ClientError> {
        let failed = |error| ClientError::from_ureq(&self.socket, READ_DEADLINE, error);
        let request = request.map_err(|error| failed(error.into()))?;
        let request =
            self.agent.configure_request(request).timeout_recv_response(Some(READ_DEADLINE)).build();
        self.agent.run(request).map_err(failed)
    }
}

impl Iterator for EventStream {
    type Item = Result<Told, ClientError>;

    /// The next, when it comes; none when the daemon has ended the stream.
    fn next(&mut self) -> Option<Self::Item> {
        let mut message = Message::default();
        loop {
            let line = match self.line() {
                Ok(Some(line)) => line,
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            };
            if !line.is_empty() {
                message.take(&line);
                continue;
            }
            match std::mem::take(&mut message).told() {
                Ok(Some(told)) => return Some(Ok(told)),
                Ok(None) => {}
                Err(error) => {
                    return Some(Err(ClientError::NotUnderstood { what: error.to_string() }));
                }
            }
        }
    }
}

impl EventStream {
    /// A line without its end; none at the end of the stream.
    fn line(&mut self) -> Result<Option<String>, ClientError> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut line);
        let broken = |source| ClientError::Broken { socket: self.socket.clone(), source };
        let amount = read.map_err(|error| broken(Box::new(error)))?;
        if amount == 0 {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(broken("it ended within a line, or the line does not end".into()));
        }
        let not_text = |_| ClientError::NotUnderstood { what: "a line that is no text".to_owned() };
        String::from_utf8(line).map(Some).map_err(not_text)
    }
}

impl Message {
    /// A line that is not empty: a field, with a colon and a space; or a comment, which begins with a colon.
    fn take(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" => value.clone_into(&mut self.id),
            "data" => self.data.push_str(value),
            _ => {}
        }
    }

    /// What it tells; nothing where it is of a kind that we don't know.
    fn told(self) -> Result<Option<Told>, serde_json::Error> {
        match self.name.as_str() {
            LOST => Ok(Some(Told::Lost)),
            "" if !self.data.is_empty() => Ok(Some(Told::Event(self.id, serde_json::from_str(&self.data)?))),
            _ => Ok(None),
        }
    }
}
