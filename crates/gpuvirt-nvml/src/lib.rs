//! A card's GPU instances, read through NVIDIA's management library (NVML), which is opened when it is asked.
//!
//! The only crate that opens that library. An open one is a client of every card: the tool that makes virtual functions
//! does not get a card then. So nothing long-lived may call this crate: the daemon has a process of its own do it,
//! which ends with its answer. It reads and changes nothing.
//!
//! The bindings are nvml-wrapper's raw ones: its safe part knows no GPU instances.

mod error;
// Calls of a C library, each with its reason.
#[allow(unsafe_code)]
mod library;
mod read;

pub use error::NvmlError;
pub use read::gpu_instances;
