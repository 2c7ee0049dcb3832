//! Answers that were given to changes with an `Idempotency-Key`, by user: a bounded shelf for each.
//!
//! They are kept in memory, and each user has names of its own. `once` asks here whether a change is the first of its key.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::watch;
use uuid::Uuid;

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers kept for one user, and their bytes.
const KEPT_OF_ONE: usize = 64;
const BYTES_OF_ONE: usize = 1 << 20;
/// Users for whom answers are kept. The one that was not heard of for longest is forgotten, root never.
const USERS: usize = 16;

/// The answers, by user.
#[derive(Debug, Default)]
pub(super) struct Answers {
    users: Mutex<HashMap<u32, Shelf>>,
}

/// One user's.
#[derive(Debug, Default)]
struct Shelf {
    /// The oldest first.
    entries: VecDeque<Entry>,
    /// Rises with each use of any shelf.
    used: u64,
}

#[derive(Debug)]
struct Entry {
    key: Uuid,
    asked: Asked,
    state: Progress,
}

/// What was asked: another request under the same key is a mistake of the client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    method: Method,
    target: String,
    body: u64,
}

#[derive(Debug)]
enum Progress {
    /// Somebody makes the change; the sender is gone when that has ended.
    UnderWay(watch::Receiver<()>),
    Answered(Answered),
}

#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) media_type: Option<HeaderValue>,
    pub(super) body: Bytes,
}

/// What is to be done with a request.
pub(super) enum Turn {
    /// It is the first.
    First(watch::Sender<()>),
    /// Another one is under way.
    Wait(watch::Receiver<()>),
    Known(Answered),
    OtherRequest,
}

impl Answers {
    pub(super) fn turn(&self, uid: u32, key: Uuid, asked: &Asked) -> Turn {
        let mut users = self.lock();
        let used = users.values().map(|shelf| shelf.used).max().unwrap_or_default().saturating_add(1);
        let shelf = users.entry(uid).or_default();
        shelf.used = used;
        if let Some(entry) = shelf.entries.iter().find(|entry| entry.key == key) {
            return match &entry.state {
                _ if entry.asked != *asked => Turn::OtherRequest,
                Progress::UnderWay(end) => Turn::Wait(end.clone()),
                Progress::Answered(answered) => Turn::Known(answered.clone()),
            };
        }
        let (sender, end) = watch::channel(());
        shelf.entries.push_back(Entry { key, asked: asked.clone(), state: Progress::UnderWay(end) });
        shelf.shrink();
        forget_users(&mut users);
        Turn::First(sender)
    }

    pub(super) fn keep(&self, uid: u32, key: Uuid, answered: Answered) {
        let mut users = self.lock();
        let Some(shelf) = users.get_mut(&uid) else { return };
        if let Some(entry) = shelf.entries.iter_mut().find(|entry| entry.key == key) {
            entry.state = Progress::Answered(answered);
        }
        shelf.shrink();
    }

    pub(super) fn forget_unanswered(&self, uid: u32, key: Uuid) {
        let mut users = self.lock();
        let Some(shelf) = users.get_mut(&uid) else { return };
        shelf.entries.retain(|entry| entry.key != key || matches!(entry.state, Progress::Answered(_)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Shelf>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Forgets the oldest answers until what is left fits. What is under way stays: there are no more of it than places.
    fn shrink(&mut self) {
        let size = |entry: &Entry| match &entry.state {
            Progress::UnderWay(_) => 0,
            Progress::Answered(answered) => answered.body.len(),
        };
        while self.entries.len() > KEPT_OF_ONE || self.entries.iter().map(size).sum::<usize>() > BYTES_OF_ONE
        {
            let oldest = self.entries.iter().position(|entry| matches!(entry.state, Progress::Answered(_)));
            let Some(oldest) = oldest else { break };
            self.entries.remove(oldest);
        }
    }
}

fn forget_users(users: &mut HashMap<u32, Shelf>) {
    while users.len() > USERS {
        let idle = |shelf: &Shelf| shelf.entries.iter().all(|e| matches!(e.state, Progress::Answered(_)));
        let others = users.iter().filter(|(uid, shelf)| **uid != 0 && idle(shelf));
        let Some(oldest) = others.min_by_key(|(_, shelf)| shelf.used).map(|(uid, _)| *uid) else { break };
        users.remove(&oldest);
    }
}

impl Asked {
    pub(super) fn new(parts: &Parts, body: &Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self { method: parts.method.clone(), target: parts.uri.to_string(), body: hasher.finish() }
    }
}

impl Answered {
    pub(super) fn into_replay(self) -> Response {
        let mut response = (self.status, Body::from(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(media_type) = self.media_type {
            headers.insert(CONTENT_TYPE, media_type);
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Asked {
        Asked { method: Method::POST, target: target.to_owned(), body: 0 }
    }

    fn answered(size: usize) -> Answered {
        Answered { status: StatusCode::OK, media_type: None, body: vec![b'x'; size].into() }
    }

    fn make(answers: &Answers, uid: u32, key: u128, size: usize) {
        let key = Uuid::from_u128(key);
        let Turn::First(_end) = answers.turn(uid, key, &asked("/a")) else { panic!("{uid} {key}") };
        answers.keep(uid, key, answered(size));
    }

    fn knows(answers: &Answers, uid: u32, key: u128) -> bool {
        let users = answers.lock();
        users.get(&uid).is_some_and(|shelf| shelf.entries.iter().any(|e| e.key == Uuid::from_u128(key)))
    }

    #[test]
    fn the_oldest_answers_of_a_user_make_room_and_other_users_lose_nothing() {
        let answers = Answers::default();
        make(&answers, 0, 1, 10);
        (0..KEPT_OF_ONE as u128 + 3).for_each(|key| make(&answers, 1000, key, 10));
        assert!(knows(&answers, 0, 1));
        assert!(!knows(&answers, 1000, 2) && knows(&answers, 1000, 3));
        // One that is too large for any shelf leaves an empty one, not a full one.
        make(&answers, 1000, 9999, BYTES_OF_ONE + 1);
        assert!(!knows(&answers, 1000, 9999) && !knows(&answers, 1000, 3));
    }

    #[test]
    fn of_many_users_the_one_that_was_not_heard_of_for_longest_is_forgotten_and_root_never() {
        let answers = Answers::default();
        make(&answers, 0, 1, 10);
        (1..USERS as u32 + 2).for_each(|uid| make(&answers, uid, 1, 10));
        assert!(knows(&answers, 0, 1) && !knows(&answers, 1, 1) && !knows(&answers, 2, 1));
        assert!(knows(&answers, 3, 1));
        assert!(answers.lock().len() <= USERS);
    }

    #[test]
    fn what_ends_without_an_answer_is_forgotten() {
        let answers = Answers::default();
        let key = Uuid::from_u128(7);
        let Turn::First(end) = answers.turn(0, key, &asked("/a")) else { panic!() };
        assert!(matches!(answers.turn(0, key, &asked("/a")), Turn::Wait(_)));
        assert!(matches!(answers.turn(0, key, &asked("/b")), Turn::OtherRequest));
        answers.forget_unanswered(0, key);
        drop(end);
        assert!(matches!(answers.turn(0, key, &asked("/b")), Turn::First(_)));
    }
}
