//! The engine's ports over the outside worlds: newtypes that translate values and errors, and decide nothing.

pub mod claim;
pub mod domains;
pub mod host;
#[cfg(feature = "nvml")]
pub mod nvml;
pub mod store;
pub mod writer;

mod assemble;
mod autostarted;
mod libvirt_daemon;

pub use assemble::{Assembled, assemble};
