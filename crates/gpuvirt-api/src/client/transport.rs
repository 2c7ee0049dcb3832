//! HTTP over a Unix socket, for ureq.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::TimeVal;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// Opens the one socket, whatever host an address names.
#[derive(Debug)]
pub struct UnixConnector {
    socket: PathBuf,
}

/// Looks up no names: there is nothing to look up.
#[derive(Debug)]
pub struct NoNames;

/// The socket could not be opened; kept apart from errors on an open connection.
#[derive(Debug, thiserror::Error)]
#[error("no connection")]
pub struct NoConnection(#[source] pub io::Error);

/// An open connection.
#[derive(Debug)]
pub struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl UnixConnector {
    /// A connector to `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }
}

impl Resolver for NoNames {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        // ureq asks for at least one; the connector looks at none.
        addresses.push(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        Ok(addresses)
    }
}

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _chained: Option<()>,
    ) -> Result<Option<UnixTransport>, ureq::Error> {
        let stream = open(&self.socket, details.timeout.not_zero().as_deref().copied())
            .map_err(|error| ureq::Error::Other(Box::new(NoConnection(error))))?;
        let sizes = details.config;
        let buffers = LazyBuffers::new(sizes.input_buffer_size(), sizes.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers }))
    }
}

/// Connects within `deadline`.
///
/// connect(2) on a Unix socket waits while the listener's backlog is full, for as long as `SO_SNDTIMEO` says and then
/// answers EAGAIN (unix_stream_connect in net/unix/af_unix.c), so the timeout is set first. The standard library's
/// `connect` leaves no room for that.
fn open(path: &Path, deadline: Option<Duration>) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    if let Some(deadline) = deadline {
        let seconds = i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX);
        let limit = TimeVal::new(seconds, i64::from(deadline.subsec_micros()).max(1));
        socket::setsockopt(&fd, sockopt::SendTimeout, &limit)?;
    }
    socket::connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &address).map_err(|errno| match errno {
        nix::errno::Errno::EAGAIN => io::ErrorKind::TimedOut.into(),
        other => io::Error::from(other),
    })?;
    Ok(UnixStream::from(fd))
}

/// A socket whose timeout passed says `EAGAIN`.
fn in_time<T>(result: io::Result<T>, timeout: &NextTimeout) -> Result<T, ureq::Error> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => ureq::Error::Io(error),
    })
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.set_write_timeout(timeout.not_zero().as_deref().copied())?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        in_time(self.stream.write_all(output), &timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.set_read_timeout(timeout.not_zero().as_deref().copied())?;
        let amount = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break in_time(result, &timeout)?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // One request a connection: none is kept for a second one.
        false
    }
}
