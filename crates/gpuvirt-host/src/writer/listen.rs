//! The service of writers: one process that lives on, and starts a writer for each connection to its socket.
//!
//! Who serves must never wait for the kernel: it accepts, asks who connects, starts, and nothing else. A writer that waits
//! keeps its own process and connection, and nobody else's; it outlives us when we are told to stop, and whoever comes in
//! our place.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;

use super::announce::NAME;
use super::origin::WriterCommand;

/// Enough for a thread that waits for a child's end.
const STACK: usize = 64 << 10;

/// Starts a writer for each connection of our own user, for ever. `failed` hears why a connection has none; who made it
/// finds it closed.
///
/// # Errors
/// When no connection can be accepted any more: whoever started us starts us anew. Writers live on.
pub fn listen(
    listener: &UnixListener,
    command: &WriterCommand,
    failed: impl Fn(&io::Error),
) -> io::Result<Infallible> {
    loop {
        let connection = match listener.accept() {
            Ok((connection, _)) => connection,
            // It has hung up already.
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                continue;
            }
            Err(e) => return Err(e),
        };
        match start_for(connection, command) {
            Ok(child) => reap(child),
            Err(e) => failed(&e),
        }
    }
}

fn start_for(connection: UnixStream, command: &WriterCommand) -> io::Result<Child> {
    let peer = getsockopt(&connection, PeerCredentials)?;
    if !may_ask(peer.uid()) {
        let text = format!("process {} of user {} may not ask for writes", peer.pid(), peer.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Command::new(&command.program)
        .arg0(NAME)
        .args(&command.args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(connection.try_clone()?)))
        .stdout(Stdio::from(OwnedFd::from(connection)))
        .spawn()
}

/// The socket's mode says the same; this holds whatever becomes of the mode.
fn may_ask(uid: u32) -> bool {
    uid == geteuid().as_raw()
}

/// A writer that has ended is collected by a thread that waits for it: there is no other moment to look.
fn reap(mut child: Child) {
    let thread = thread::Builder::new().name("reaper".to_owned()).stack_size(STACK);
    // Without a thread it stays a zombie until we end, and harms nobody.
    drop(thread.spawn(move || child.wait()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_user_may_ask() {
        assert!(may_ask(geteuid().as_raw()));
        assert!(!may_ask(geteuid().as_raw() + 1));
    }
}
