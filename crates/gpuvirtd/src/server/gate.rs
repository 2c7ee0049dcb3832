//! Who may change something, and who may read and see what a change would do: every local user, unless a group is named.
//!
//! A writer is as good as root on this host, as libvirt's manage right is: whoever gives a card to a VM gives it the
//! card's memory and firmware.

use gpuvirt_api::{ApiError, ErrorKind};

use super::peer::Peer;
use super::polkit::{self, Polkit};

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
    pub(super) fn lets_through(&self, peer: &Peer) -> bool {
        match self {
            Self::Everybody => true,
            Self::Group(_, gid) => gid.is_some_and(|gid| peer.is_in(gid)),
        }
    }
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
    pub(super) async fn authorizes(&self, peer: &Peer) -> bool {
        match &self.polkit {
            _ if self.lets_through(peer) => true,
            Some(polkit) => polkit.authorizes(peer).await,
            None => false,
        }
    }

    pub(super) fn denial(&self, peer: &Peer) -> ApiError {
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
