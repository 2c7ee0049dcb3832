//! Why a durable file could not be read or written.

use std::io;
use std::path::PathBuf;

/// What went wrong with which file, and what an admin does about it.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is there and makes no sense.
    #[error("{}, line {line}: {what}; restore it from a backup, or move it aside to start anew", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
    /// The file was written by another version of gpuvirt.
    #[error(
        "{} has format version {found}, this gpuvirt reads up to {known}; install the gpuvirt that wrote it, or restore an earlier file",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it names.
        found: u64,
        /// The newest one that we read.
        known: u32,
    },
    /// The file is larger than any file of ours can be.
    #[error("{} is larger than {limit} bytes; restore it from a backup, or move it aside", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file or folder may have been planted by somebody else.
    #[error("{} is not trusted: {why}", path.display())]
    Untrusted {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it and how it is put right.
        why: String,
    },
    /// Another daemon owns the folder.
    #[error("another gpuvirtd works on {}; stop it, or name another folder with --state-dir", path.display())]
    Locked {
        /// The state folder.
        path: PathBuf,
    },
    /// An intent is open that the new one would overwrite, and with it the only record of how things were.
    #[error("{} records a change that is not settled", path.display())]
    IntentOpen {
        /// The journal file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// The operation, e.g. `reading`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StateError {
    /// For `map_err`: the operation and its object around an [`io::Error`].
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
