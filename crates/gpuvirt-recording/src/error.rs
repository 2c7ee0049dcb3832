//! Why a recording could not be opened or written.

use std::io;

/// A recording can't be used. The caller names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Opening or reading failed.
    #[error("cannot read the recording")]
    Read(#[source] io::Error),
    /// Nothing in it.
    #[error("the recording is empty")]
    Empty,
    /// More than any host makes.
    #[error("the recording has {size} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// More paths than any host has.
    #[error("the paths in the recording take more than the {limit} bytes that are kept of them")]
    TooManyPaths {
        /// How much is kept.
        limit: usize,
    },
    /// It is compressed.
    #[error("the recording is compressed with {with}: decompress it first")]
    Compressed {
        /// The program that reads it.
        with: &'static str,
    },
    /// Neither a dump nor a snapshot.
    #[error("no umockdev dump: line {line} is {found:?}, where \"P: /devices/...\" begins a device")]
    NotADump {
        /// The line's number, from 1.
        line: u64,
        /// Its beginning.
        found: String,
    },
    /// A snapshot that is damaged or hostile.
    #[error("no sound snapshot: {0}")]
    NotASnapshot(String),
    /// A snapshot of a later version.
    #[error("the snapshot has format version {found}; this gpuvirt reads {known}")]
    Version {
        /// The version in its manifest.
        found: u32,
        /// The newest that is read.
        known: u32,
    },
    /// The host to record can't even list its PCI bus.
    #[error("cannot read {path} of the host to record")]
    Host {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Writing failed.
    #[error("cannot write the snapshot")]
    Write(#[source] io::Error),
}
