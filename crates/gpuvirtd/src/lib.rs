//! The daemon, as a library: configuration, socket, server, and the wiring of the engine to the outside worlds.
//!
//! ```text
//! run      state folder -> engine -> socket -> serve until SIGTERM; beside it: recover -> READY
//! server   the API; knows the engine and its ports, not what is behind them
//! hearing  the kernel's events: when a picture of the host is out of date
//! events   what happened lately, for whoever listens
//! journal  the log with its fields, for systemd
//! wiring   the ports over the Linux host, libvirt and the state folder; nobody else knows those
//! ```

pub mod cli;
pub mod config;
pub mod events;
pub mod hearing;
pub mod hook_watch;
pub mod journal;
pub mod notify;
pub mod run;
pub mod server;
pub mod socket;
pub mod wiring;
