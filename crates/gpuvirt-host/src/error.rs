//! Why the host could not be read, or a step not be carried out.

use std::io;
use std::time::Duration;

/// A failure at the kernel's files.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Without this file nothing can be said about the host.
    #[error("cannot read {path}")]
    Read {
        /// The kernel path.
        path: String,
        /// The errno.
        #[source]
        source: io::Error,
    },
    /// The host is no longer as it was when the step was planned. Nothing was written.
    #[error("{what}")]
    NotAsPlanned {
        /// The write and its object.
        what: String,
        /// What was found instead.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a write.
    #[error("{what}")]
    Refused {
        /// The write and its object.
        what: String,
        /// The kernel's errno, or what was found instead.
        #[source]
        source: io::Error,
    },
    /// The write succeeded, and reading back shows something else.
    #[error("{what}: the kernel accepted it, but {found}")]
    NotSo {
        /// The write and its object.
        what: String,
        /// What is there instead.
        found: String,
    },
    /// The deadline passed; the write goes on in another process.
    #[error("{what}: no end after {waited:?}, process {writer} still waits in the kernel")]
    StillWaiting {
        /// The write and its object.
        what: String,
        /// The waiting process; it must not be killed.
        writer: u32,
        /// How long we waited.
        waited: Duration,
    },
}
