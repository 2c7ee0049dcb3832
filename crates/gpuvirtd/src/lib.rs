//! The daemon, as a library: configuration, socket, server, and the wiring of the engine to the outside worlds.
//!
//! ```text
//! run      state folder -> engine -> recover -> socket -> READY -> serve until SIGTERM
//! server   the API; knows the engine and its ports, not what is behind them
//! wiring   the ports over the Linux host, libvirt and the state folder; nobody else knows those
//! ```

pub mod cli;
pub mod config;
pub mod notify;
pub mod run;
pub mod server;
pub mod socket;
pub mod wiring;

/// An error with all its causes, for a log line or a test.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
