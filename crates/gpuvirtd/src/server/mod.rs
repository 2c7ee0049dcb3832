//! The API on the Unix socket: who asks, what is asked, and the engine's answer as a document.
//!
//! ```text
//! listen   one connection, one request, every wait bounded
//!   places   how many connections at once, and of one user
//!   prompt   a client that does not take its answer is let go
//!   peer     who is at the other end; gate: whether they may read and write; polkit: who else may write
//!   access   the gate at each route
//!   routes   paths to handlers; one file for each noun: gpu, host, capacity, profile, vgpu, vm, status, event
//!   once     a change that is asked for again by its key is answered from the answers that were kept, and not made again
//!     input    path, query and body, checked
//!     lanes    the engine, called on a thread of its own, if the client is still present when its turn comes
//!     look     a question, answered from the pictures of the host that questions share
//!     answer   documents and errors as they travel; event_stream: events as they come, to who listens
//!
//! context  what every handler has: the engine, and what is kept: answers, pictures, restored, retried, stir
//!   restore   what was asked for, made so at the daemon's start
//!   reconcile the same when something happens that lets it
//!   autostart VMs that start with the host, tried again where their devices' places no longer fit
//!   violation what running VMs got against the rules, told as it comes
//! ```
//!
//! Nothing here decides about GPUs: handlers translate between the wire and the engine.

mod access;
mod answer;
mod answers;
mod autostart;
mod awaited;
mod capacity;
mod change;
mod config;
mod context;
mod doctor;
mod event;
mod event_stream;
mod forgotten;
mod gate;
mod gpu;
mod hook;
mod host;
mod input;
mod lane;
mod lanes;
mod last_mig;
pub mod listen;
mod look;
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
mod prompt;
mod reconcile;
mod restore;
mod restored;
mod retried;
mod routes;
mod sparingly;
mod status;
pub mod stir;
mod tried;
mod vgpu;
mod violation;
mod vm;
mod waiting;

pub(crate) use context::{CHANGES_AT_ONCE, HOOKS_AT_ONCE, READS_AT_ONCE, RELEASES_AT_ONCE, STARTS_AT_ONCE};
pub use context::{Context, Definitions, Outside, Patience};
pub use gate::{ReadGate, WriteGate};
pub use peer::{Peer, identify};
pub use routes::router;
