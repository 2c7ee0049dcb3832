//! Who may change something, and who may read and see what a change would do: every local user, unless a group is named.
//!
//! A writer is as good as root on this host, as libvirt's manage right is: whoever gives a card to a VM gives it the
//! card's memory and firmware.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use gpuvirt_api::{ApiError, ErrorKind};

use super::answer::Failure;
use super::context::Context;
use super::polkit::{self, Polkit};

/// The process at the other end of the connection, as the kernel saw it when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups; none where the kernel did not tell them.
    pub groups: Option<Vec<u32>>,
    /// Its process, for the log and for polkit: the number may belong to another one by now.
    pub pid: Option<i32>,
    /// When that process started, in clock ticks since boot (field 22 of /proc/PID/stat): with it the number is unique.
    pub started: Option<u64>,
}

/// Who may read, besides root and those who may write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReadGate {
    /// Every local user.
    #[default]
    Everybody,
    /// Members of this group; nobody, where its number is not known.
    Group(String, Option<u32>),
}

impl ReadGate {
    fn lets_through(&self, peer: &Peer) -> bool {
        match self {
            Self::Everybody => true,
            Self::Group(_, gid) => gid.is_some_and(|gid| peer.is_in(gid)),
        }
    }
}

impl Peer {
    /// Whether its user is in a group. What is not known counts as no.
    fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.iter().flatten().any(|group| *group == gid)
    }
}

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

/// Who may write besides root.
#[derive(Debug, Clone, Default)]
pub struct WriteGate {
    /// A group's name and number.
    pub group: Option<(String, u32)>,
    /// The daemon's own user, who rules the daemon anyway: for one that somebody tries out on a recorded host.
    pub owner: Option<u32>,
    /// polkit, asked about everybody else; none: nobody else may.
    pub polkit: Option<Polkit>,
}

impl WriteGate {
    /// Whether this peer may change something. What is not known counts as no.
    pub fn lets_through(&self, peer: &Peer) -> bool {
        peer.uid == 0
            || Some(peer.uid) == self.owner
            || self.group.as_ref().is_some_and(|(_, gid)| peer.is_in(*gid))
    }

    /// The same, polkit asked about whoever is not known to us.
    async fn authorizes(&self, peer: &Peer) -> bool {
        match &self.polkit {
            _ if self.lets_through(peer) => true,
            Some(polkit) => polkit.authorizes(peer).await,
            None => false,
        }
    }

    fn denial(&self, peer: &Peer) -> ApiError {
        let who = match &self.group {
            Some((name, _)) => format!("root and members of group {name}"),
            None => "root".to_owned(),
        };
        let polkit = match &self.polkit {
            Some(_) => format!(", and whom polkit lets through ({})", polkit::ACTION),
            None => String::new(),
        };
        let uid = peer.uid;
        let text = format!(
            "uid {uid} may not change anything: only {who} may{polkit}; see write_group in gpuvirtd.toml"
        );
        ApiError::new(ErrorKind::Denied, text)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_group_may_write_and_nobody_else() {
        let open = WriteGate { group: Some(("gpuvirt".to_owned(), 990)), owner: None, polkit: None };
        let closed = WriteGate::default();
        let peer = |uid, gid, groups: Option<Vec<u32>>| Peer { uid, gid, groups, pid: None, started: None };
        for (peer, with_group, without) in [
            (peer(0, 0, Some(vec![])), true, true),
            (peer(0, 0, None), true, true),
            (peer(1000, 990, Some(vec![])), true, false),
            (peer(1000, 1000, Some(vec![4, 990])), true, false),
            (peer(1000, 1000, Some(vec![4, 24])), false, false),
            // The kernel does not tell groups: closed.
            (peer(1000, 1000, None), false, false),
            // Root's group is not root.
            (peer(1000, 0, Some(vec![0])), false, false),
            (peer(u32::MAX, u32::MAX, Some(vec![u32::MAX])), false, false),
        ] {
            assert_eq!(open.lets_through(&peer), with_group, "{peer:?}");
            assert_eq!(closed.lets_through(&peer), without, "{peer:?}");
        }
        let own = WriteGate { group: None, owner: Some(1000), polkit: None };
        assert!(own.lets_through(&peer(1000, 1000, None)));
        assert!(!own.lets_through(&peer(1001, 1000, None)));
    }
}
