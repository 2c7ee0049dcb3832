//! The state folder: owned by one daemon at a time, readable by everybody.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use gpuvirt_model::{Desired, Records};
use gpuvirt_plan::Plan;
use nix::fcntl::{Flock, FlockArg, OFlag};

use crate::document::State;
use crate::known::Known;
use crate::read::{check_dir, read_with_metadata};
use crate::staged::Staged;
use crate::{StateError, atomic, journal};

const STATE: &str = "state.json";
const JOURNAL: &str = "journal";
const LOCK: &str = "lock";

/// The state folder, locked: this process alone writes in it.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    journal: PathBuf,
    /// The kernel drops the lock when the process ends, however it ends.
    _lock: Flock<File>,
    /// Writers take turns on it.
    staged: Mutex<Staged>,
    known: Known<State>,
    /// A journal in which there was none. Whether there is one is asked several times in a change.
    no_intent: Known<u64>,
    /// How often one was opened: what was seen before says nothing about a journal since.
    opened: AtomicU64,
}

impl StateDir {
    /// Takes the folder, making it where it is not there.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another daemon has it; [`StateError::Untrusted`]; [`StateError::Io`].
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let journal = path.join(JOURNAL);
        for dir in [path, &journal] {
            make_dir(dir)?;
            check_dir(dir)?;
        }
        let lock = take_lock(path)?;
        // A crash may have left them; what they say did not come true.
        atomic::discard(path, STATE);
        Ok(Self {
            path: path.to_owned(),
            journal,
            _lock: lock,
            staged: Mutex::default(),
            known: Known::default(),
            no_intent: Known::default(),
            opened: AtomicU64::new(0),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The desired document and our records; defaults when there is no file yet. A file that is the one of the last time is not
    /// read again: a change asks several times, and reading takes longer the more is configured.
    ///
    /// # Errors
    /// Any [`StateError`] about the file: corrupt is not absent.
    pub fn load(&self) -> Result<State, StateError> {
        let path = self.path.join(STATE);
        if let Some(state) = self.known.as_read(&path) {
            return Ok(state);
        }
        let at = SystemTime::now();
        let Some((text, metadata)) = read_with_metadata(&path)? else { return Ok(State::default()) };
        let state = State::parse(&path, &text)?;
        self.known.keep((&metadata, at), &state);
        Ok(state)
    }

    /// Makes both durable. A file that can't be understood is not overwritten.
    ///
    /// # Errors
    /// Any [`StateError`]; the earlier content then still stands.
    pub fn commit(&self, desired: &Desired, records: &Records) -> Result<(), StateError> {
        let _turn = self.turn();
        match self.text_to_store(desired, records)? {
            None => Ok(()),
            Some(text) => atomic::replace(&self.path, STATE, text.as_bytes()),
        }
    }

    /// The same for documents that a plan led to, whose intent is settled by them. Where they are as before already, it is left
    /// to [`StateDir::close_journal`].
    ///
    /// Both names change before the disk is waited for, which is so waited for once. The documents' comes first, and file
    /// systems that survive a crash keep the order of such changes (ext4, XFS, Btrfs): no disk has neither the intent nor
    /// what came of it.
    ///
    /// # Errors
    /// Any [`StateError`]; the earlier content then still stands, or may not be durably replaced. The intent is open still.
    pub fn commit_settling(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), StateError> {
        let mut staged = self.turn();
        let Some(text) = self.text_to_store(desired, records)? else { return Ok(()) };
        staged.name((&self.path, STATE), &text)?;
        // One that can't be removed stays open, and closing it says why.
        let closed = journal::close_named(&self.journal, plan.gpu).unwrap_or(false);
        let synced = atomic::sync_dir(&self.path).and_then(|()| atomic::sync_dir(&self.journal));
        if synced.is_err() && closed {
            // Whoever is told of this takes the change back, and needs the intent for it.
            self.opened.fetch_add(1, Ordering::AcqRel);
            journal::open(&self.journal, plan)?;
        }
        synced
    }

    /// What `state.json` is to hold; none where it says the same already.
    fn text_to_store(&self, desired: &Desired, records: &Records) -> Result<Option<String>, StateError> {
        let state = State::new(desired.clone(), records.clone());
        if self.load()? == state && self.path.join(STATE).exists() {
            return Ok(None);
        }
        let text = state.to_text();
        text.map(Some)
            .map_err(|error| StateError::io("writing", self.path.join(STATE))(io::Error::other(error)))
    }

    /// Makes an intent durable before its first write. The same intent again is done already.
    ///
    /// # Errors
    /// [`StateError::IntentOpen`] when another one of this GPU is not settled; any other [`StateError`].
    pub fn open_journal(&self, plan: &Plan) -> Result<(), StateError> {
        let _turn = self.turn();
        self.opened.fetch_add(1, Ordering::AcqRel);
        journal::open(&self.journal, plan)
    }

    /// The same, and brings the documents that the plan is to lead to onto the disk: [`StateDir::commit_settling`] with the very
    /// same then waits for a rename alone.
    ///
    /// # Errors
    /// As [`StateDir::open_journal`]. Documents that could not be brought there are no error yet.
    pub fn open_journal_expecting(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), StateError> {
        let mut staged = self.turn();
        self.opened.fetch_add(1, Ordering::AcqRel);
        journal::open_named(&self.journal, plan)?;
        // Between the rename and its sync: on ext4, where the disk has one journal, both are there by one wait.
        if let Ok(Some(text)) = self.text_to_store(desired, records) {
            staged.stage((&self.path, STATE), plan.gpu, text);
        }
        atomic::sync_dir(&self.journal)
    }

    /// Intents that were opened and not closed, by address.
    ///
    /// # Errors
    /// Any [`StateError`] about one of the files.
    pub fn open_intents(&self) -> Result<Vec<Plan>, StateError> {
        let opened = self.opened.load(Ordering::Acquire);
        if self.no_intent.as_read(&self.journal) == Some(opened) {
            return Ok(Vec::new());
        }
        let (before, at) = (fs::metadata(&self.journal), SystemTime::now());
        let open = journal::open_intents(&self.journal)?;
        if let (true, Ok(before)) = (open.is_empty(), before) {
            self.no_intent.keep((&before, at), &opened);
        }
        Ok(open)
    }

    /// Forgets the intent of the plan's GPU; none is done already.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn close_journal(&self, plan: &Plan) -> Result<(), StateError> {
        let mut staged = self.turn();
        staged.discard((&self.path, STATE), plan.gpu);
        journal::close(&self.journal, plan.gpu)
    }

    fn turn(&self) -> MutexGuard<'_, Staged> {
        // Files are replaced as a whole, so a panic elsewhere left nothing half done.
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The desired document and our records, for whoever only reads; defaults when there is no file yet.
///
/// # Errors
/// Any [`StateError`] about the file.
pub fn read_state(dir: &Path) -> Result<State, StateError> {
    let path = dir.join(STATE);
    match read_with_metadata(&path)? {
        None => Ok(State::default()),
        Some((text, _)) => State::parse(&path, &text),
    }
}

fn make_dir(path: &Path) -> Result<(), StateError> {
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => path.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), atomic::sync_dir),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StateError::io("making the folder", path)(error)),
    }
}

fn take_lock(dir: &Path) -> Result<Flock<File>, StateError> {
    let path = dir.join(LOCK);
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(&path)
        .map_err(StateError::io("opening", &path))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => StateError::Locked { path: dir.to_owned() },
        other => StateError::io("locking", path)(other.into()),
    })
}
