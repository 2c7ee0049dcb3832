//! libvirt: which domains have which host devices, and a domain's stored definition, read and replaced.
//!
//! The only crate that loads libvirt's library. It offers what the engine needs from libvirt and knows nothing of
//! GPUs; what the XML means is gpuvirt-domain's business.
//!
//! ```text
//! caller --> Libvirt --> bounded (4 threads at most, a deadline each) --> connection --> libvirtd
//!            \-> single_flight (one listing at a time, for all who ask) -----^
//! ```
//!
//! Calls block, from any thread, and each ends by its deadline:
//!
//! - libvirt waits for a domain that is being started, hooks included, before it lists or dumps it, for as long as
//!   that takes. So nothing on the path of a hook may call this crate.
//! - libvirt's keepalive is not used: it pings every few seconds on an idle host, and would tell only what the deadline
//!   tells too. A libvirtd that died is noticed by the next call, which opens a new connection.
//! - Events come on a thread of their own ([`events`]), for whoever wants them ([`Libvirt::with_events`]).
//! - No connection is made before the first call, so that our own start does not wake a socket-activated libvirtd. Nor is the
//!   library loaded before that (`library.rs`).

mod bounded;
mod connection;
mod definition;
mod domain;
mod error;
mod events;
mod forward;
mod library;
pub mod pages;
mod single_flight;

pub use bounded::MAX_REQUESTS;
pub use connection::{DEADLINE, Libvirt};
pub use definition::Definition;
pub use domain::{Listing, Redefined, UnreadableDomain};
pub use error::{Failure, LibvirtError};
pub use events::{DomainEvent, Happened, Told};
