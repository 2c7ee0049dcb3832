//! The gates at the routes: what a handler takes says who may call it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use gpuvirt_api::{ApiError, ErrorKind};

use super::answer::Failure;
use super::context::Context;
use super::gate::ReadGate;
use super::peer::Peer;

/// Closes every route to who may not read.
pub(super) async fn readers_only(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let ReadGate::Group(name, _) = &context.read_gate else { return Ok(next.run(request).await) };
    let may = |peer: &&Peer| context.read_gate.lets_through(peer) || context.gate.lets_through(peer);
    if request.extensions().get::<Peer>().filter(may).is_some() {
        return Ok(next.run(request).await);
    }
    let text = format!("only root and members of group {name} may ask; see read_group in gpuvirtd.toml");
    Err(ApiError::new(ErrorKind::Denied, text).into())
}

/// Whoever asks.
#[derive(Debug)]
pub(super) struct Caller(pub Peer);

/// A peer that may write: a handler that takes one is closed to everybody else, before it reads a body.
#[derive(Debug)]
pub(super) struct Writer(pub Peer);

impl Caller {
    /// The caller as one that may write.
    pub(super) async fn writer(self, context: &Context) -> Result<Writer, Failure> {
        let Self(peer) = self;
        if context.gate.authorizes(&peer).await {
            Ok(Writer(peer))
        } else {
            Err(context.gate.denial(&peer).into())
        }
    }
}

impl FromRequestParts<Arc<Context>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Context>) -> Result<Self, Failure> {
        let unknown = || ApiError::new(ErrorKind::Denied, "it is not known who asks");
        parts.extensions.get::<Peer>().cloned().map(Self).ok_or_else(|| unknown().into())
    }
}

impl FromRequestParts<Arc<Context>> for Writer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        Caller::from_request_parts(parts, context).await?.writer(context).await
    }
}
