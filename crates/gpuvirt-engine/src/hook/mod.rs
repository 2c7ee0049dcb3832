//! libvirt's hook: whether a domain may start, what is made for it, and what goes when it ended.
//!
//! ```text
//! prepare:  look -> judge -> claim                       nothing to make: no change is waited for but one of its GPUs
//!                \-> the host's turn -> make -> judge -> claim
//! release:  the claim ends, a ticket is left -> (later, on nobody's time) remove what was made for it
//! ```
//!
//! While a hook is open libvirt holds the domain, and answers no listing: nothing here asks it. See [`crate::turn`].

mod awaited;
mod deadline;
mod judge;
mod prepare;
mod release;

pub(crate) use deadline::WRITE_AT_LEAST;
pub use deadline::{Asker, CREATION_DEADLINE, VALIDATION_DEADLINE};
pub use prepare::took_too_long;
