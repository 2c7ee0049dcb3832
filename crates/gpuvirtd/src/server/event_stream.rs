//! `/v1/events` as Server-Sent Events: each event as it comes, for as long as both sides live.
//!
//! ```text
//! id: DAEMON:SEQUENCE        what to say in Last-Event-ID on return
//! data: {"sequence": ...}    an event; `event: lost` before it says that some before it were missed
//! ```
//!
//! Nothing is kept for a listener: one that falls behind finds in the log what is still there, and is told of the rest that it is
//! lost. One that takes nothing for too long is let go. Nothing is sent to say that nothing happens: the end of either side is
//! the end of a local connection, which the other sees at once.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gpuvirt_api::event::{EventList, EventsLost, LOST, STREAM};
use gpuvirt_api::{ApiError, ErrorKind};
use hyper::body::{Body as HttpBody, Frame};
use uuid::Uuid;

use super::answer::Failure;
use super::places::{Place, Places};
use crate::events::EventLog;

/// How many of root's listen at once: each keeps one of root's places, of which there must be enough for requests.
const ROOTS: u32 = 8;
/// How many of all other users, and of one of them.
const USERS: u32 = 16;
const OF_ONE_USER: u32 = 4;

const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// Says that an answer goes on until somebody leaves: no deadline is for its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endless;

/// Who listens.
pub(super) struct Listeners {
    root: Places,
    users: Places,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { root: Places::new(ROOTS, ROOTS), users: Places::new(USERS, OF_ONE_USER) }
    }
}

impl Listeners {
    pub(super) fn take(&self, uid: u32) -> Result<Place, Failure> {
        let places = if uid == 0 { &self.root } else { &self.users };
        places.take(uid).map_err(|_| {
            let text = format!("too many listen to events already for uid {uid} to be one more");
            ApiError::new(ErrorKind::Unreachable, text).into()
        })
    }
}

/// Whether a client asks for a stream.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let said = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds = said.flat_map(|value| value.split(','));
    kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim()).any(|kind| kind == STREAM)
}

/// Where a listener goes on: what it says itself on return counts more than what its address has said from the beginning.
pub(super) fn position(headers: &HeaderMap, log: &EventLog, after: u64) -> Result<Position, Failure> {
    let Some(said) = headers.get(LAST_EVENT) else { return Ok(Position { after, lost: false }) };
    let text = said.to_str().unwrap_or_default().trim();
    let parts = text
        .split_once(':')
        .and_then(|(daemon, sequence)| Some((Uuid::parse_str(daemon).ok()?, sequence.parse::<u64>().ok()?)));
    match parts {
        Some((daemon, after)) if daemon == log.daemon() => Ok(Position { after, lost: false }),
        // Another daemon's: all of this one's are new to it.
        Some(_) => Ok(Position { after: 0, lost: true }),
        None => {
            let text = "Last-Event-ID is the id of an event of this stream";
            Err(Failure::usage(StatusCode::BAD_REQUEST, text))
        }
    }
}

/// After which event, and whether something before it is known to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    after: u64,
    lost: bool,
}

/// The answer that goes on.
pub(super) fn answer(log: Arc<EventLog>, from: Position, place: Place) -> Response {
    let waiting = Box::pin(log.beyond(from.after));
    let body = Body::new(EventStream { log, at: from, waiting, ended: false, _place: place });
    let mut response = ([(CONTENT_TYPE, STREAM), (CACHE_CONTROL, "no-store")], body).into_response();
    response.extensions_mut().insert(Endless);
    response
}

struct EventStream {
    log: Arc<EventLog>,
    at: Position,
    waiting: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    _place: Place,
}

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while !self.ended {
            // Asked first, so that the last event is sent whenever it comes.
            self.ended = self.log.is_over();
            let mut list = self.log.after(self.at.after);
            list.lost |= self.at.lost;
            self.waiting = Box::pin(self.log.beyond(list.last));
            self.at = Position { after: list.last, lost: false };
            if list.lost || !list.items.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(text(&list).into()))));
            }
            if !self.ended {
                ready!(self.waiting.as_mut().poll(task));
            }
        }
        Poll::Ready(None)
    }
}

fn text(list: &EventList) -> String {
    let mut text = String::new();
    // JSON of ours has no line ends, and writing to a string does not fail.
    if list.lost {
        let lost = serde_json::to_string(&EventsLost { daemon: list.daemon }).unwrap_or_default();
        let _ = write!(text, "event: {LOST}\ndata: {lost}\n\n");
    }
    for event in &list.items {
        let data = serde_json::to_string(event).unwrap_or_default();
        let _ = write!(text, "id: {}:{}\ndata: {data}\n\n", list.daemon, event.sequence);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_stream_is_for_who_asks_for_one() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("application/json, text/event-stream;q=0.5", true),
            ("*/*", false),
            ("application/json", false),
            ("text/event-streams", false),
            ("", false),
        ] {
            assert_eq!(is_wanted(&said(ACCEPT, accept)), wanted, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn a_listener_goes_on_where_it_was_or_learns_that_it_can_not() {
        let log = EventLog::default();
        let at = |text: &str| position(&said(LAST_EVENT, text), &log, 3).ok();
        assert_eq!(position(&HeaderMap::new(), &log, 3).ok(), Some(Position { after: 3, lost: false }));
        assert_eq!(at(&format!("{}:7", log.daemon())), Some(Position { after: 7, lost: false }));
        assert_eq!(at(&format!("{}:7", Uuid::from_u128(1))), Some(Position { after: 0, lost: true }));
        for odd in ["", "7", "x:7", &format!("{}:", log.daemon()), &format!("{}:-1", log.daemon())] {
            assert_eq!(at(odd), None, "{odd}");
        }
    }

    #[test]
    fn no_user_is_all_that_listen() {
        let listeners = Listeners::default();
        let four: Vec<Place> = (0..4).map(|_| listeners.take(1000).unwrap()).collect();
        assert!(listeners.take(1000).is_err());
        assert!(listeners.take(1001).is_ok() && listeners.take(0).is_ok());
        drop(four);
        assert!(listeners.take(1000).is_ok());
    }
}
