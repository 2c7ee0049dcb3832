//! Connections: one request each, so many at once, and no wait without an end.
//!
//! Root has places of its own: other users can take all of theirs and root still gets through. A request goes on when
//! its client leaves; a panic in it answers as a bug and ends nothing else.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::access::Peer;
use super::answer::Failure;

/// Places for root.
const ROOT_PLACES: u32 = 32;
/// Places for all other users together.
const USER_PLACES: u32 = 32;
/// Longest wait for a request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes; hyper's own minimum.
const MAX_HEAD: usize = 8192;
/// Longest wait for a client to take its answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for requests under way when the daemon is told to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// Pause after a failed accept, which would fail again at once (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What a client is told for which there is no place.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How a connection's other end is made out; [`super::identify`] outside tests.
pub type Identify = fn(&UnixStream) -> io::Result<Peer>;

/// The kernel's own word on the peer.
///
/// # Errors
/// The errno of `getsockopt(2)`.
pub fn by_kernel(stream: &UnixStream) -> io::Result<Peer> {
    super::identify(stream.as_fd())
}

/// The server on one socket.
pub struct Server {
    router: Router,
    identify: Identify,
    root: Arc<Semaphore>,
    users: Arc<Semaphore>,
}

impl Server {
    /// A server of these routes that asks the kernel who its clients are.
    pub fn new(router: Router) -> Self {
        Self::with_identify(router, by_kernel)
    }

    /// A server that is told who its clients are.
    pub fn with_identify(router: Router, identify: Identify) -> Self {
        let places = |count: u32| Arc::new(Semaphore::new(count as usize));
        Self { router, identify, root: places(ROOT_PLACES), users: places(USER_PLACES) }
    }

    /// Serves until `stop`, then waits for the requests under way, within a deadline.
    pub async fn serve(self, listener: UnixListener, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = &mut stop => break,
            }
        }
        drop(listener);
        let idle = async {
            let _ = self.root.acquire_many(ROOT_PLACES).await;
            let _ = self.users.acquire_many(USER_PLACES).await;
        };
        if tokio::time::timeout(STOP_DEADLINE, idle).await.is_err() {
            tracing::warn!("stopping while a request is under way; its journal is open");
        }
    }

    /// Starts the conversation, if there is a place for it.
    fn admit(&self, stream: UnixStream) {
        let peer = match (self.identify)(&stream) {
            Ok(peer) => peer,
            Err(error) => return tracing::warn!(%error, "a connection's other end is unknown; it was closed"),
        };
        let lane = if peer.uid == 0 { &self.root } else { &self.users };
        match Arc::clone(lane).try_acquire_owned() {
            Ok(place) => drop(tokio::spawn(converse(stream, self.router.clone(), peer, Arc::new(place)))),
            Err(_) => {
                tracing::warn!(uid = peer.uid, "too many connections; one was turned away");
                // Whoever can't even take this learns from the closed connection.
                let _ = stream.try_write(BUSY);
            }
        }
    }
}

/// One connection, from its request to the taken answer.
async fn converse(stream: UnixStream, router: Router, peer: Peer, place: Arc<OwnedSemaphorePermit>) {
    let answered = Notify::new();
    let routes = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let answer = answer(routes.clone(), request, Arc::clone(&place));
        let answered = &answered;
        async move {
            let response = answer.await;
            answered.notify_one();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        // A waiting connection would hold a place and a timer; connecting anew costs microseconds here.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let overdue = async {
        answered.notified().await;
        tokio::time::sleep(ANSWER_DEADLINE).await;
    };
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(uid = peer.uid, %error, "a connection broke");
            }
        }
        () = overdue => tracing::debug!(uid = peer.uid, "a client did not take its answer"),
    }
}

/// The answer to one request, made by a task of its own: neither a client that leaves nor a panic ends more than that.
async fn answer(
    routes: TowerToHyperService<Router>,
    request: Request<Incoming>,
    place: Arc<OwnedSemaphorePermit>,
) -> Response<Body> {
    let what = format!("{} {:?}", request.method(), request.uri().path());
    let task = tokio::spawn(async move {
        let _place = place;
        routes.call(request).await
    });
    match task.await {
        Ok(Ok(response)) => response,
        Err(error) => {
            tracing::error!(what, %error, "a request's handler panicked");
            Failure::bug().into_response()
        }
    }
}
