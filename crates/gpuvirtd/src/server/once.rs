//! `Idempotency-Key`: a client that lost the answer to a change asks again with the same key, and is given that answer; the
//! change is made once.
//!
//! Kept are answers of changes that were made, or that were tried and failed: where nothing was begun, asking again is safe
//! and is judged anew. They are kept in memory, a few for each user, and each user has names of its own.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::watch;
use uuid::Uuid;

use super::access::Peer;
use super::answer::Failure;
use super::context::Context;
use super::input;

/// The key: a UUID that the client makes for one change.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Answers kept for one user, and their bytes.
const KEPT_OF_ONE: usize = 64;
const BYTES_OF_ONE: usize = 1 << 20;
/// Users for whom answers are kept. The one that was not heard of for longest is forgotten, root never.
const USERS: usize = 16;

/// The key of a request, where it has one.
pub(super) struct Key(pub(super) Option<Uuid>);

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
struct Asked {
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
struct Answered {
    status: StatusCode,
    media_type: Option<HeaderValue>,
    body: Bytes,
}

/// What is to be done with a request.
enum Turn {
    /// It is the first.
    First(watch::Sender<()>),
    /// Another one is under way.
    Wait(watch::Receiver<()>),
    Known(Answered),
    OtherRequest,
}

/// Carries out a change once for each key.
pub(super) async fn once(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if request.method() == Method::GET {
        return Ok(next.run(request).await);
    }
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    let Some(uid) = request.extensions().get::<Peer>().map(|peer| peer.uid) else {
        // The handler says so: it is not known who asks.
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let body = input::bytes(body, input::MAX_LARGE_BODY).await?;
    let asked = Asked::new(&parts, &body);
    loop {
        match context.answers.turn(uid, key, &asked) {
            Turn::Known(answered) => return Ok(answered.into_replay()),
            Turn::OtherRequest => return Err(other_request(key)),
            // The sender is dropped at the end, whatever that is.
            Turn::Wait(mut end) => while end.changed().await.is_ok() {},
            Turn::First(under_way) => {
                let request = Request::from_parts(parts, Body::from(body));
                let first = First { answers: &context.answers, uid, key };
                let answer = first.keep(next.run(request).await).await;
                drop(under_way);
                return answer;
            }
        }
    }
}

/// The request that makes the change. However it ends, the next one finds an answer or is the first.
struct First<'a> {
    answers: &'a Answers,
    uid: u32,
    key: Uuid,
}

impl First<'_> {
    async fn keep(self, response: Response) -> Result<Response, Failure> {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Failure::bug())?;
        if matches!(parts.status, StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR) {
            let media_type = parts.headers.get(CONTENT_TYPE).cloned();
            let answered = Answered { status: parts.status, media_type, body: body.clone() };
            self.answers.keep(self.uid, self.key, answered);
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        self.answers.forget_unanswered(self.uid, self.key);
    }
}

impl Answers {
    fn turn(&self, uid: u32, key: Uuid, asked: &Asked) -> Turn {
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

    fn keep(&self, uid: u32, key: Uuid, answered: Answered) {
        let mut users = self.lock();
        let Some(shelf) = users.get_mut(&uid) else { return };
        if let Some(entry) = shelf.entries.iter_mut().find(|entry| entry.key == key) {
            entry.state = Progress::Answered(answered);
        }
        shelf.shrink();
    }

    fn forget_unanswered(&self, uid: u32, key: Uuid) {
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
    fn new(parts: &Parts, body: &Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        Self { method: parts.method.clone(), target: parts.uri.to_string(), body: hasher.finish() }
    }
}

impl Answered {
    fn into_replay(self) -> Response {
        let mut response = (self.status, Body::from(self.body)).into_response();
        let headers = response.headers_mut();
        if let Some(media_type) = self.media_type {
            headers.insert(CONTENT_TYPE, media_type);
        }
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

/// The one key of a request.
fn key(headers: &HeaderMap) -> Result<Option<Uuid>, Failure> {
    let mut said = headers.get_all(KEY).iter();
    let Some(first) = said.next() else { return Ok(None) };
    let text = first.to_str().unwrap_or_default().trim().trim_matches('"');
    match (Uuid::parse_str(text), said.next()) {
        (Ok(key), None) => Ok(Some(key)),
        _ => {
            let text = "Idempotency-Key is one UUID, made by the client for this change alone";
            Err(Failure::usage(StatusCode::BAD_REQUEST, text))
        }
    }
}

fn other_request(key: Uuid) -> Failure {
    let text =
        format!("another request was made with the Idempotency-Key {key}: a key is for one change alone");
    Failure::usage(StatusCode::UNPROCESSABLE_ENTITY, text)
}

impl FromRequestParts<Arc<Context>> for Key {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Failure> {
        key(&parts.headers).map(Self)
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
        drop(First { answers: &answers, uid: 0, key });
        drop(end);
        assert!(matches!(answers.turn(0, key, &asked("/b")), Turn::First(_)));
    }

    #[test]
    fn a_key_is_one_uuid() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(KEY, value.parse().unwrap());
            }
            key(&headers)
        };
        let text = "c73f1fa6-489e-4834-9476-d70dabd98c40";
        assert_eq!(with(&[]).unwrap(), None);
        assert_eq!(with(&[text]).unwrap().unwrap().to_string(), text);
        assert_eq!(with(&[&format!("\"{text}\"")]).unwrap().unwrap().to_string(), text);
        for wrong in [&[""][..], &["1"], &["x\u{e9}"], &[text, text]] {
            assert!(with(wrong).is_err(), "{wrong:?}");
        }
    }
}
