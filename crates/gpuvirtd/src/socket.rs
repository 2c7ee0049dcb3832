//! The daemon's socket file: taken over from a daemon that is gone, never from one that answers.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, socket};

/// Every local user may connect; each request is judged by who sent it.
const MODE: u32 = 0o666;

/// A listening socket; its file, where it is ours, goes when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: Option<SocketFile>,
}

/// The file, recognised by device and inode: a later daemon's is not removed.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers on it.
    #[error("another daemon listens on {}", path.display())]
    Served {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is there and is no socket; move it away", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// An operation failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Socket {
    /// The socket that systemd opened for us (sd_listen_fds(3)); none where it opened none. Its file is systemd's.
    ///
    /// # Errors
    /// [`SocketError::Io`] when what was handed over is no listening Unix socket.
    pub fn handed_over() -> Result<Option<Self>, SocketError> {
        let failed =
            |source| SocketError::Io { doing: "taking over", path: "systemd's socket".into(), source };
        let listener = listenfd::ListenFd::from_env().take_unix_listener(0).map_err(failed)?;
        let Some(listener) = listener else { return Ok(None) };
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Some(Self { listener, file: None }))
    }

    /// Listens on `path`.
    ///
    /// The socket is made under another name and then renamed: it is never there with the wrong mode.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        free(path)?;
        // A name that nobody else uses: what an earlier daemon of our number left there is a socket.
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}", std::process::id()));
        let fresh = PathBuf::from(fresh);
        let failed = |doing| {
            let path = path.to_owned();
            move |source| SocketError::Io { doing, path, source }
        };
        free(&fresh)?;
        remove(&fresh).map_err(failed("clearing the way for"))?;
        let listener = UnixListener::bind(&fresh).map_err(failed("listening on"))?;
        fs::set_permissions(&fresh, Permissions::from_mode(MODE)).map_err(failed("opening to all"))?;
        let metadata = fs::symlink_metadata(&fresh).map_err(failed("looking at"))?;
        fs::rename(&fresh, path).map_err(failed("naming"))?;
        listener.set_nonblocking(true).map_err(failed("preparing"))?;
        let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
        Ok(Self { listener, file: Some(file) })
    }

    /// The listener, and the file to drop when nobody listens any more.
    pub fn into_parts(self) -> (UnixListener, Option<SocketFile>) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |m: fs::Metadata| (m.dev(), m.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // A file that stays is stale, and the next daemon takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes sure that nobody uses `path`.
fn free(path: &Path) -> Result<(), SocketError> {
    let io = |doing, source| SocketError::Io { doing, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("looking at", error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::Foreign { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match connect(path) {
        // EAGAIN: so many wait to be accepted that there is no room; somebody listens, however slowly.
        Ok(()) | Err(Errno::EAGAIN) => Err(SocketError::Served { path: path.to_owned() }),
        // Its daemon is gone.
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(()),
        Err(error) => Err(io("trying", error.into())),
    }
}

/// Connects without waiting: a listener that accepts nobody would keep a blocking connect(2) for ever once its backlog is
/// full (unix_stream_connect in net/unix/af_unix.c).
fn connect(path: &Path) -> nix::Result<()> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &address)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_socket_is_taken_over_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gpuvirt.sock");
        // A daemon that was killed leaves its file.
        drop(UnixListener::bind(&path).unwrap());
        let socket = Socket::bind(&path).unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::Served { .. })));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        drop(socket);
        assert!(!path.exists(), "the file goes with the socket");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_listener_that_accepts_nobody_is_a_daemon_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gpuvirt.sock");
        let address = UnixAddr::new(&path).unwrap();
        let kind = (AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC);
        let listener = socket(kind.0, kind.1, kind.2, None).unwrap();
        nix::sys::socket::bind(listener.as_raw_fd(), &address).unwrap();
        let backlog = nix::sys::socket::Backlog::new(1).unwrap();
        nix::sys::socket::listen(&listener, backlog).unwrap();
        let mut waiting = Vec::new();
        let full = loop {
            let client = socket(kind.0, kind.1, kind.2 | SockFlag::SOCK_NONBLOCK, None).unwrap();
            if let Err(error) = nix::sys::socket::connect(client.as_raw_fd(), &address) {
                break error;
            }
            waiting.push(client);
        };
        assert_eq!(full, Errno::EAGAIN);
        assert!(matches!(Socket::bind(&path), Err(SocketError::Served { .. })));
    }

    #[test]
    fn a_later_daemons_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gpuvirt.sock");
        let (listener, file) = Socket::bind(&path).unwrap().into_parts();
        drop(listener);
        let later = Socket::bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
        drop(later);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["file", "link"] {
            let path = dir.path().join(name);
            let beside = path.with_extension("new");
            fs::File::create(&beside).unwrap();
            if name == "file" {
                fs::File::create(&path).unwrap();
            } else {
                std::os::unix::fs::symlink("/nonexistent", &path).unwrap();
            }
            assert!(matches!(Socket::bind(&path), Err(SocketError::Foreign { .. })));
            assert!(fs::symlink_metadata(&path).is_ok());
            fs::remove_file(&path).unwrap();
            Socket::bind(&path).unwrap();
            assert!(beside.exists(), "nothing beside it is touched");
        }
        assert!(matches!(Socket::bind(&dir.path().join("no/dir/s")), Err(SocketError::Io { .. })));
    }
}
