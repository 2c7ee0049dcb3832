//! The API on the Unix socket: who asks, what is asked, and the engine's answer as a document.
//!
//! ```text
//! listen   one connection, one request, every wait bounded
//!   places   how many connections at once, and of one user
//!   access   who the peer is, and whether it may read and write; polkit: who else may write
//!   routes   paths to handlers; one file for each noun: gpu, host, capacity, profile, vgpu, vm, status, event
//!   once     a change that is asked for again by its key is answered and not made again, from the answers that were kept
//!     input    path, query and body, checked
//!     pictures the picture of the host that questions share
//!     offers   the one of questions that nobody's holders matter to
//!     context  the engine, called on a thread of its own, if the client is still present when its turn comes
//!     restore  what was asked for, made so at the daemon's start
//!     autostart VMs that start with the host, tried again where their devices' places no longer fit
//!     violation what running VMs got against the rules, told as it comes
//!     waiting  who has the device that a write waits for in the kernel
//!     answer   documents and errors as they travel
//! ```
//!
//! Nothing here decides about GPUs: handlers translate between the wire and the engine.

pub mod access;
mod answer;
mod answers;
mod autostart;
mod capacity;
mod change;
mod config;
mod context;
mod doctor;
mod event;
mod gpu;
mod hook;
mod host;
mod input;
pub mod listen;
mod metrics;
mod mig;
mod offers;
mod once;
mod openapi;
mod peer;
mod pictures;
mod places;
pub mod polkit;
mod presence;
mod profile;
pub mod reconcile;
mod restore;
mod routes;
mod status;
mod vgpu;
mod violation;
mod vm;
mod waiting;

pub use access::{Peer, ReadGate, WriteGate};
pub use context::{Context, Definitions, Outside};
pub(crate) use context::{HOOKS_AT_ONCE, STARTS_AT_ONCE};
pub use peer::identify;
pub use routes::router;
