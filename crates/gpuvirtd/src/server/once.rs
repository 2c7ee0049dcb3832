//! `Idempotency-Key`: a client that lost the answer to a change asks again with the same key, and is given that answer; the
//! change is made once.
//!
//! Kept are answers of changes that were made, or that were tried and failed: where nothing was begun, asking again is safe
//! and is judged anew.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::answer::Failure;
use super::answers::{Answered, Answers, Asked, Turn};
use super::context::Context;
use super::input;
use super::peer::Peer;

/// The key: a UUID that the client makes for one change.
pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request, where it has one.
pub(super) struct Key(pub(super) Option<Uuid>);

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
