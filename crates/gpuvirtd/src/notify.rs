//! Readiness to systemd: one datagram to `$NOTIFY_SOCKET` (sd_notify(3)). A crate would bring more than these lines.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What systemd is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The socket answers.
    Ready,
    /// On the way out.
    Stopping,
}

/// Tells systemd, where it asked to be told; its absence is no error.
///
/// # Errors
/// The errno of `sendto(2)`.
pub fn notify(notice: Notice) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(path) if !path.is_empty() => send(path.as_bytes(), notice),
        _ => Ok(()),
    }
}

fn send(address: &[u8], notice: Notice) -> io::Result<()> {
    let address = match address.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(address))?,
    };
    let text: &[u8] = match notice {
        Notice::Ready => b"READY=1",
        Notice::Stopping => b"STOPPING=1",
    };
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_it_on_both_kinds_of_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let named = UnixDatagram::bind(&path).unwrap();
        let name = format!("gpuvirtd-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let nameless = UnixDatagram::bind_addr(&address).unwrap();
        send(path.as_os_str().as_bytes(), Notice::Ready).unwrap();
        send(format!("@{name}").as_bytes(), Notice::Stopping).unwrap();
        let mut text = [0; 32];
        for (socket, want) in [(named, "READY=1"), (nameless, "STOPPING=1")] {
            let length = socket.recv(&mut text).unwrap();
            assert_eq!(std::str::from_utf8(&text[..length]).unwrap(), want);
        }
        assert!(send(b"/nonexistent/socket", Notice::Ready).is_err());
    }
}
