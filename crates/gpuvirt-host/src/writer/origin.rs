//! Where writers come from: children of the asking program, or of the service of writers, which starts one for each
//! connection to its socket, in a unit of its own and under that unit's limits.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, socket};

use super::announce::NAME;

/// How a writer is started: a program that calls [`super::writer_main`] on its standard input and output.
#[derive(Debug, Clone)]
pub struct WriterCommand {
    /// The program; `/proc/self/exe` for ourselves.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Where writers come from.
#[derive(Debug, Clone)]
pub enum WriterOrigin {
    /// They are our children.
    Child(WriterCommand),
    /// Each connection to this socket has a writer at its other end ([`super::listen()`]).
    Socket(PathBuf),
}

impl From<WriterCommand> for WriterOrigin {
    fn from(command: WriterCommand) -> Self {
        Self::Child(command)
    }
}

/// A writer's process, as far as it is ours to know.
#[derive(Debug)]
pub(super) enum WriterProcess {
    /// Our child.
    Child(Child),
    /// Somebody else's: it has ended when its end of the connection is closed.
    Elsewhere {
        /// What it said of itself.
        pid: u32,
        /// The connection.
        connection: UnixStream,
    },
}

/// A writer's process with the two ends that we talk through.
pub(super) struct Started {
    pub(super) process: WriterProcess,
    pub(super) input: File,
    pub(super) output: File,
}

impl WriterOrigin {
    /// Whether there is somebody to ask: a child can be started at any time, a socket may have gone with its unit.
    pub(super) fn is_there(&self) -> io::Result<()> {
        match self {
            Self::Child(_) => Ok(()),
            Self::Socket(path) => is_bound(path).map_err(|source| no_writer(path, &source)),
        }
    }

    /// Starts a child, or connects. Who is at the other end of a connection is not known yet: its pid is 0.
    pub(super) fn start(&self) -> io::Result<Started> {
        match self {
            Self::Child(command) => child(command),
            Self::Socket(path) => {
                let connection = connect(path).map_err(|source| no_writer(path, &source))?;
                let input = File::from(OwnedFd::from(connection.try_clone()?));
                let output = File::from(OwnedFd::from(connection.try_clone()?));
                Ok(Started { process: WriterProcess::Elsewhere { pid: 0, connection }, input, output })
            }
        }
    }
}

/// Whether somebody has a stream socket bound to this path, without connecting, which would have a writer started. A connect(2)
/// of the other type finds the socket and ends there: EPROTOTYPE (unix_find_bsd in net/unix/af_unix.c). A socket's file that
/// nobody has any more, and any other file, is ECONNREFUSED.
fn is_bound(path: &Path) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
    match nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        Err(Errno::EPROTOTYPE) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(()) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a socket of another kind")),
    }
}

fn no_writer(path: &Path, source: &io::Error) -> io::Error {
    io::Error::new(source.kind(), format!("no writer is to be had at {}: {source}", path.display()))
}

/// Connects without waiting: a listener that accepts nobody would keep a blocking connect(2) for ever once its backlog is
/// full (unix_stream_connect in net/unix/af_unix.c). With room in it the connection is there at once.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    let connection = UnixStream::from(socket);
    connection.set_nonblocking(false)?;
    Ok(connection)
}

fn child(command: &WriterCommand) -> io::Result<Started> {
    let mut child = Command::new(&command.program)
        .arg0(NAME)
        .args(&command.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the writer has no standard input or output"));
    };
    let (input, output) = (File::from(OwnedFd::from(input)), File::from(OwnedFd::from(output)));
    Ok(Started { process: WriterProcess::Child(child), input, output })
}

impl WriterProcess {
    /// Its number.
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Child(child) => child.id(),
            Self::Elsewhere { pid, .. } => *pid,
        }
    }

    /// Nothing more is asked: it ends when what it is at has ended. A child's input is closed with its file.
    pub(super) fn hang_up(&self) {
        if let Self::Elsewhere { connection, .. } = self {
            // Fails only where it has ended already.
            let _ = connection.shutdown(Shutdown::Write);
        }
    }

    /// Whether it has ended; a child is collected then.
    pub(super) fn has_ended(&mut self) -> bool {
        match self {
            Self::Child(child) => !matches!(child.try_wait(), Ok(None)),
            Self::Elsewhere { connection, .. } => is_closed(connection),
        }
    }
}

/// Whether nobody has the other end of a connection on which we send nothing more (POLLHUP: both ways are shut). What
/// was sent to us and not read is no matter.
fn is_closed(connection: &UnixStream) -> bool {
    let mut one = [PollFd::new(connection.as_fd(), PollFlags::empty())];
    match poll(&mut one, PollTimeout::ZERO) {
        Ok(_) => one.iter().filter_map(PollFd::revents).any(|got| got.contains(PollFlags::POLLHUP)),
        // It is asked again with the next request.
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_closed_when_the_writer_has_ended_and_not_before() {
        use std::io::Write as _;
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut process = WriterProcess::Elsewhere { pid: 4711, connection: ours };
        assert!(!process.has_ended());
        process.hang_up();
        assert!(!process.has_ended(), "it is at work still");
        theirs.write_all(b"an answer that nobody reads\n").unwrap();
        drop(theirs);
        assert!(process.has_ended());
        assert_eq!(process.id(), 4711);
    }
}
