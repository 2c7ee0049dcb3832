//! Whose turn it is to write, and what those before them left to be done.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_model::{PciAddress, chain};

use crate::ahead::Ahead;
use crate::staged::Staged;
use crate::{StateError, ahead, atomic, journal};

/// Writers take turns on it.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Turn>);

/// What whoever writes has to know of those who wrote before.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) staged: Staged,
    /// Names of a settled change have changed since the folders were synced.
    pub(crate) unsynced: bool,
    /// What goes on while a change of this GPU is made.
    pub(crate) behind: Option<(PciAddress, Receiver<Followed>)>,
    /// Whose intent is on the disk in the other file alone, until the change is closed, and why.
    pub(crate) failed: Option<(PciAddress, String)>,
}

/// What came of [`Following`].
pub(crate) struct Followed {
    staged: Staged,
    synced: Result<(), StateError>,
}

/// What follows while a change is made whose intent is [`Ahead`]: the documents that it is to lead to, and the file of the intent.
pub(crate) struct Following {
    pub(crate) ahead: Ahead,
    pub(crate) gpu: PciAddress,
    pub(crate) dir: PathBuf,
    pub(crate) journal: PathBuf,
    /// What the intent says.
    pub(crate) text: String,
    /// What others staged.
    pub(crate) staged: Staged,
    /// A document's name, and what it is to say.
    pub(crate) document: Option<(&'static str, String)>,
    pub(crate) unsynced: bool,
}

impl Following {
    /// Waits for the disk. A file that could not be brought there is written again: after an error the kernel takes its pages
    /// for clean (fsync(2)).
    pub(crate) fn follow(mut self) -> Followed {
        if let Some((name, text)) = self.document {
            self.staged.stage((&self.dir, name), self.gpu, text);
        }
        let (journal, name) = (&self.journal, journal::file_name(self.gpu));
        // Names of documents first, without which an intent must not go: this one's file may be in the place of the last one's.
        let names = if self.unsynced { atomic::sync_dir(&self.dir) } else { Ok(()) };
        let synced = names.and_then(|()| {
            let own = atomic::sync_file(journal, &name).and_then(|()| atomic::sync_dir(journal));
            own.or_else(|_| atomic::replace(journal, &name, self.text.as_bytes()))
        });
        Followed { staged: self.staged, synced: synced.and_then(|()| self.ahead.clear(&self.dir)) }
    }
}

impl Turns {
    /// Waits for who writes, and for what follows them.
    pub(crate) fn turn(&self) -> MutexGuard<'_, Turn> {
        // Files are replaced as a whole, so a panic elsewhere left nothing half done.
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((gpu, behind)) = turn.behind.take() {
            let failed = match behind.recv() {
                Ok(Followed { staged, synced }) => {
                    turn.staged = staged;
                    synced.err().map(|error| chain(&error))
                }
                Err(lost) => Some(lost.to_string()),
            };
            turn.unsynced &= failed.is_some();
            turn.failed = failed.map(|why| (gpu, why));
        }
        turn
    }
}

impl Turn {
    /// Makes the names of settled changes durable: the documents' first, without which an intent must not go.
    pub(crate) fn sync(&mut self, dir: &Path, journal: &Path) -> Result<(), StateError> {
        if self.unsynced {
            atomic::sync_dir(dir)?;
        }
        atomic::sync_dir(journal)?;
        self.unsynced = false;
        Ok(())
    }

    /// Why the intent of this GPU's change did not reach the disk in a file of its own, where it did not.
    pub(crate) fn reached_the_disk(&self, gpu: PciAddress, journal: &Path) -> Result<(), StateError> {
        match &self.failed {
            Some((of, why)) if *of == gpu => {
                let path = journal.join(journal::file_name(gpu));
                Err(StateError::io("syncing", path)(io::Error::other(why.clone())))
            }
            _ => Ok(()),
        }
    }

    /// An intent goes that may be on the disk in the other file alone.
    pub(crate) fn forget(&mut self, gpu: PciAddress, dir: &Path) -> Result<(), StateError> {
        if self.failed.as_ref().is_some_and(|(of, _)| *of == gpu) {
            ahead::clear(dir)?;
            self.failed = None;
        }
        Ok(())
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("staged", &self.staged)
            .field("unsynced", &self.unsynced)
            .finish_non_exhaustive()
    }
}
