//! What was read of a file or a folder, for as long as it is that very one.
//!
//! Whoever writes a file replaces it as a whole, which makes another file of it; an admin's editor may write into it, which changes
//! its times, as each name that comes or goes changes those of its folder. Who owns it and its mode, which decide whether it is trusted, are looked at each time.
//!
//! The kernel takes those times from a clock that ticks every few milliseconds (before Linux 6.13, `current_time` in fs/inode.c): of
//! a file that was changed in the tick in which it was read, they do not tell. So what was read is kept only of one that had not
//! been changed for longer than that.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Two ticks of the slowest clock (HZ=100), and of a file system that keeps whole seconds.
const TICK: Duration = Duration::from_millis(20);
const SECOND: Duration = Duration::from_secs(2);

/// What was read last.
#[derive(Debug)]
pub(crate) struct Known<T>(Mutex<Option<(Which, T)>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// Which file or folder it is, whose, and when it was changed.
#[derive(Debug, PartialEq, Eq)]
struct Which {
    device: u64,
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl<T: Clone> Known<T> {
    /// What was read of it, if the path leads to the same one and nobody has changed it since.
    pub(crate) fn as_read(&self, path: &Path) -> Option<T> {
        let now = fs::symlink_metadata(path).ok()?;
        let known = self.known();
        let (which, read) = known.as_ref()?;
        (*which == Which::from(&now)).then(|| read.clone())
    }

    /// Keeps what was read of one that was like this before, and at that time.
    pub(crate) fn keep(&self, (before, at): (&Metadata, SystemTime), read: &T) {
        let which = Which::from(before);
        *self.known() = which.had_settled(at).then(|| (which, read.clone()));
    }

    fn known(&self) -> MutexGuard<'_, Option<(Which, T)>> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Which {
    /// Whether a change after this moment has other times than the last one before it.
    fn had_settled(&self, at: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let since = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
        let since = since.map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds));
        let changed = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        let grain = if nanoseconds == 0 { SECOND } else { TICK };
        changed.and_then(|changed| at.duration_since(changed).ok()).is_some_and(|age| age > grain)
    }
}

impl From<&Metadata> for Which {
    fn from(of: &Metadata) -> Self {
        Self {
            device: of.dev(),
            inode: of.ino(),
            mode: of.mode(),
            owner: (of.uid(), of.gid()),
            size: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_change_unseen_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::File::create(&path).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let known = Known::default();
        let changed = metadata.modified().unwrap();
        let kept = |at: SystemTime| {
            known.keep((&metadata, at), &());
            known.as_read(&path).is_some()
        };
        assert!(kept(changed + SECOND * 2));
        for too_soon in [changed, changed + TICK / 2, changed - SECOND] {
            assert!(!kept(too_soon), "{too_soon:?}");
        }
        assert!(kept(changed + SECOND * 2));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert!(known.as_read(&path).is_none(), "another mode");
        assert!(known.as_read(&dir.path().join("absent")).is_none());
    }
}
