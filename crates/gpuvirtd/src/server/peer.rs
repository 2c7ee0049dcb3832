//! Who is at the other end, from the kernel.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{getsockopt, sockopt};

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
    /// When that process started, in clock ticks since boot (field 22 of /proc/PID/stat): with it the number is unique. Root's is
    /// not looked for: polkit is not asked about root, and that file takes the kernel some work.
    pub started: Option<u64>,
}

impl Peer {
    /// Whether its user is in a group. What is not known counts as no.
    pub(super) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.iter().flatten().any(|group| *group == gid)
    }
}

/// More groups than any user has; the kernel's own limit is 65536 (NGROUPS_MAX).
const MAX_GROUPS: usize = 65_536;

/// The peer of a connected Unix socket: SO_PEERCRED and SO_PEERGROUPS, both as of its `connect(2)`.
///
/// # Errors
/// The errno of `getsockopt(2)`. Groups that can't be read leave `groups` empty-handed, not an error.
pub fn identify(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Peer {
        uid: credentials.uid(),
        gid: credentials.gid(),
        groups: groups(socket).ok(),
        pid: Some(credentials.pid()),
        started: (credentials.uid() != 0).then(|| started(credentials.pid())).flatten(),
    })
}

/// When a process started, from what follows the last bracket of its stat file: its name may hold any byte.
fn started(pid: i32) -> Option<u64> {
    // Of a file without a size the first of its bytes would be read by the dozen.
    let mut stat = Vec::with_capacity(1024);
    File::open(format!("/proc/{pid}/stat")).ok()?.read_to_end(&mut stat).ok()?;
    let after_name = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(after_name + 1..)?).ok()?;
    // Field 3 is the first after the name.
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Supplementary groups. `/proc/PID/status` would not do: the pid may be another process by now, and no crate of ours
/// wraps SO_PEERGROUPS safely.
fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut room = 32;
    while room <= MAX_GROUPS {
        let mut groups = vec![0_u32; room];
        match groups_into(socket, &mut groups) {
            Ok(count) => {
                groups.truncate(count);
                return Ok(groups);
            }
            // ERANGE: the buffer is too small (net/core/sock.c).
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) => room *= 4,
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ERANGE))
}

/// How many groups the kernel put into `groups`.
#[allow(unsafe_code)] // the one system call without a safe wrapper
fn groups_into(socket: BorrowedFd<'_>, groups: &mut [u32]) -> io::Result<usize> {
    let bytes = size_of_val(groups);
    let mut length = libc::socklen_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: `groups` is writable for `length` bytes, every bit pattern is a valid u32, and the kernel writes no more
    // than `length` bytes and stores how many it wrote.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((length as usize).min(bytes) / size_of::<u32>())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn our_own_connection_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let peer = identify(server.as_fd()).unwrap();
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(peer.gid, nix::unistd::getegid().as_raw());
        assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
        let own = started(peer.pid.unwrap());
        assert!(own.is_some_and(|ticks| ticks > 0));
        assert_eq!(peer.started, own.filter(|_| peer.uid != 0));
        let mut want: Vec<u32> = nix::unistd::getgroups().unwrap().iter().map(|gid| gid.as_raw()).collect();
        let mut found = peer.groups.unwrap();
        want.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, want);
    }

    #[test]
    fn a_buffer_that_is_too_small_is_an_error_and_no_partial_list() {
        let (here, _there) = UnixStream::pair().unwrap();
        if !nix::unistd::getgroups().unwrap().is_empty() {
            let error = groups_into(here.as_fd(), &mut []).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ERANGE));
        }
        groups(here.as_fd()).unwrap();
    }

    #[test]
    fn what_is_no_unix_socket_has_no_peer() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(identify(file.as_fd()).is_err());
    }
}
