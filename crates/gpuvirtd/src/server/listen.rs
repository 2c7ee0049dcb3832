//! Connections: one request each, so many at once, and no wait without an end.
//!
//! Root has places of its own, and of the others no user gets more than a few: nobody can lock anybody out. Beyond root's there
//! are places for libvirt's hook alone: a start that root waits for needs the hook to be heard. Who finds no place is told so in
//! the API's own shape. A request that was begun goes on when its client leaves; a panic in
//! it answers as a bug and ends nothing else.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use gpuvirt_api::{ApiError, ErrorKind};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::answer::Failure;
use super::event_stream::Endless;
use super::peer::Peer;
use super::places::{Full, Place, Places};
use super::presence::Presence;
use super::prompt::Prompt;
use super::stir::Stir;
use crate::journal::OBJECT;

/// Places for root.
const ROOT_PLACES: u32 = 32;
/// Places beyond those, where nothing but libvirt's hook is served: each start that root asks for keeps a place of root's until
/// its hook has been answered.
const HOOK_PLACES: u32 = 64;
/// Places for all other users together, and for each of them.
const USER_PLACES: u32 = 64;
const PLACES_OF_ONE_USER: u32 = 8;
/// How many are told at once that there is no place; more than that learn it from the closed connection.
const FAREWELLS: usize = 32;
/// Longest wait for a client to take that, and the most that is read of what it wanted.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(2);
const FAREWELL_BYTES: usize = 128 * 1024;
/// Longest wait for a request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes; hyper's own minimum.
const MAX_HEAD: usize = 8192;
/// Longest wait for a client to take its answer, or what has come of one that has no end.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait for requests under way when the daemon is told to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
/// Pause after a failed accept, which would fail again at once (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
    root: Places,
    hooks: Places,
    users: Places,
    farewells: Arc<Semaphore>,
    stir: Arc<Stir>,
}

impl Server {
    /// A server of these routes that asks the kernel who its clients are.
    pub fn new(router: Router) -> Self {
        Self::with_identify(router, by_kernel)
    }

    /// A server that is told who its clients are.
    pub fn with_identify(router: Router, identify: Identify) -> Self {
        let root = Places::new(ROOT_PLACES, ROOT_PLACES);
        let hooks = Places::new(HOOK_PLACES, HOOK_PLACES);
        let users = Places::new(USER_PLACES, PLACES_OF_ONE_USER);
        let farewells = Arc::new(Semaphore::new(FAREWELLS));
        Self { router, identify, root, hooks, users, farewells, stir: Arc::default() }
    }

    /// The same, and `stir` learns that somebody was turned away who may have been libvirt's hook.
    #[must_use]
    pub fn stirring(self, stir: Arc<Stir>) -> Self {
        Self { stir, ..self }
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
            self.root.all_free().await;
            self.hooks.all_free().await;
            self.users.all_free().await;
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
        match self.place_for(peer.uid) {
            Ok((place, served)) => {
                drop(tokio::spawn(converse(stream, self.router.clone(), peer, (Arc::new(place), served))));
            }
            Err(full) => {
                if full.first {
                    tracing::warn!(uid = peer.uid, "too many connections; what comes now is turned away");
                }
                if peer.uid == 0 {
                    self.stir.unheard();
                }
                if let Ok(turn) = Arc::clone(&self.farewells).try_acquire_owned() {
                    drop(tokio::spawn(turn_away(stream, peer.uid, turn)));
                }
            }
        }
    }

    fn place_for(&self, uid: u32) -> Result<(Place, Served), Full> {
        if uid != 0 {
            return Ok((self.users.take(uid)?, Served::Anything));
        }
        match self.root.take(uid) {
            Ok(place) => Ok((place, Served::Anything)),
            Err(full) => {
                if full.first {
                    tracing::warn!("too many connections of root; of what comes now hooks alone are served");
                }
                Ok((self.hooks.take(uid)?, Served::HooksAlone))
            }
        }
    }
}

/// What a connection's place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    Anything,
    HooksAlone,
}

impl Served {
    fn serves(self, path: &str) -> bool {
        self == Self::Anything || path == gpuvirt_api::route::HOOK
    }
}

/// Says that there is no place, and reads what the client still sends: closing before it has sent all would break its
/// connection under it, and it would never see the answer.
async fn turn_away(stream: UnixStream, uid: u32, _turn: OwnedSemaphorePermit) {
    let farewell = async {
        // It fits into the buffer of a connection that has sent nothing yet.
        stream.writable().await?;
        stream.try_write(busy(uid).as_bytes())?;
        shutdown(stream.as_fd().as_raw_fd(), Shutdown::Write)?;
        let mut buffer = [0; 4096];
        let mut left = FAREWELL_BYTES;
        while left > 0 {
            stream.readable().await?;
            match stream.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(amount) => left = left.saturating_sub(amount),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        io::Result::Ok(())
    };
    match tokio::time::timeout(FAREWELL_DEADLINE, farewell).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(uid, %error, "a client was turned away and did not listen"),
        Err(_) => tracing::debug!(uid, "a client was turned away and did not leave"),
    }
}

fn no_place(uid: u32) -> ApiError {
    let text = format!("gpuvirtd has no place for another request of uid {uid} now: others are under way");
    ApiError::new(ErrorKind::Unreachable, text)
}

/// The whole answer for a client for which there is no place.
fn busy(uid: u32) -> String {
    let body = serde_json::to_string(&no_place(uid)).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// One connection, from its request to the taken answer.
async fn converse(stream: UnixStream, router: Router, peer: Peer, (place, served): (Arc<Place>, Served)) {
    let answered = Notify::new();
    let routes = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let refusal = (!served.serves(request.uri().path())).then(|| Failure::from(no_place(peer.uid)));
        let answer = answer(routes.clone(), request, Arc::clone(&place));
        let answered = &answered;
        async move {
            let response = match refusal {
                Some(refusal) => refusal.into_response(),
                None => answer.await,
            };
            // One without an end is overdue only while its client does not take what has come.
            if response.extensions().get::<Endless>().is_none() {
                answered.notify_one();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        // A waiting connection would hold a place and a timer; connecting anew costs microseconds here.
        .keep_alive(false)
        .serve_connection(TokioIo::new(Prompt::new(stream, ANSWER_DEADLINE)), service);
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
    place: Arc<Place>,
) -> Response<Body> {
    let what = format!("{} {:?}", request.method(), request.uri().path());
    // Dropped with this future, when the connection ends.
    let presence = Presence::new();
    // Whoever reads the path and the body fills it in, and a change who asked for it.
    let about =
        tracing::trace_span!(target: OBJECT, "object", gpu = Empty, vm = Empty, uid = Empty, pid = Empty);
    let work = async move {
        let _place = place;
        routes.call(request).await
    };
    let task = tokio::spawn(presence.of(work.instrument(about)));
    match task.await {
        Ok(Ok(response)) => response,
        Err(error) => {
            tracing::error!(what, %error, "a request's handler panicked");
            Failure::bug().into_response()
        }
    }
}
