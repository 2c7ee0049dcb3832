//! What was read of a file, for as long as the file is that very one.
//!
//! Whoever writes it replaces it as a whole, which makes another file of it; an admin's editor may write into it, which changes
//! its times. Owner and mode, which decide whether it is trusted, don't change without them either.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::document::State;

/// The state that was read last.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Option<(Which, State)>>);

/// Which file it is, and when it was changed.
#[derive(Debug, PartialEq, Eq)]
struct Which {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Which {
    fn from(of: &Metadata) -> Self {
        Self {
            device: of.dev(),
            inode: of.ino(),
            size: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

impl Known {
    /// What was read of it, if the path leads to the same file and nobody has changed it since.
    pub(crate) fn as_read(&self, path: &Path) -> Option<State> {
        let now = fs::symlink_metadata(path).ok()?;
        let known = self.known();
        let (which, state) = known.as_ref()?;
        (*which == Which::from(&now)).then(|| state.clone())
    }

    /// Keeps what was read of a file that was like this before.
    pub(crate) fn keep(&self, before: &Metadata, state: &State) {
        *self.known() = Some((Which::from(before), state.clone()));
    }

    fn known(&self) -> MutexGuard<'_, Option<(Which, State)>> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
