//! The state folder: owned by one daemon at a time, readable by everybody.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use gpuvirt_model::{Desired, Records};
use gpuvirt_plan::Plan;
use nix::fcntl::{Flock, FlockArg, OFlag};
use uuid::Uuid;

use crate::document::State;
use crate::known::Known;
use crate::read::{check_dir, read_with_metadata};
use crate::syncer::Syncer;
use crate::turn::{Following, Turns};
use crate::{StateError, ahead, atomic, journal, settled};

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
    turns: Turns,
    syncer: Syncer,
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
        // What was settled is no more to be undone; what began after it may have its place in the journal.
        let all = settled::finish((path, STATE), &journal)?;
        if all {
            // A crash may have left them; what they say did not come true.
            atomic::discard(path, STATE);
        }
        // An earlier daemon may have left names that the disk has not, the documents' before those of intents.
        atomic::sync_dir(path)?;
        atomic::sync_dir(&journal)?;
        ahead::recover((path, &journal))?;
        Ok(Self {
            path: path.to_owned(),
            journal,
            _lock: lock,
            turns: Turns::default(),
            syncer: Syncer::default(),
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
        let mut turn = self.turns.turn();
        match self.text_to_store(desired, records)? {
            None => Ok(()),
            Some(text) => {
                // Else a power cut could bring back an intent that was settled by documents which are no more.
                let synced = if turn.unsynced { turn.sync(&self.path, &self.journal) } else { Ok(()) };
                let replaced = atomic::replace(&self.path, STATE, text.as_bytes());
                synced.and(replaced)
            }
        }
    }

    /// The same for documents that a plan led to, whose intent is settled by them. Where they are as before already, it is left
    /// to [`StateDir::close_journal`].
    ///
    /// Where they are on the disk already (see [`StateDir::open_journal_expecting`]), a mark in the intent is waited for.
    /// Otherwise both names change before the disk is waited for, which is so waited for once. The documents' comes first, and file
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
        let mut turn = self.turns.turn();
        turn.reached_the_disk(plan.gpu, &self.journal)?;
        let Some(text) = self.text_to_store(desired, records)? else { return Ok(()) };
        if turn.unsynced {
            // As in `commit`.
            turn.sync(&self.path, &self.journal)?;
        }
        let was_staged = turn.staged.name((&self.path, STATE), &text)?;
        let settled = was_staged && settled::mark(&self.journal, plan.gpu, &text).is_ok();
        // One that can't be removed stays open, and closing it says why.
        let closed = journal::close_named(&self.journal, plan.gpu).unwrap_or(false);
        turn.unsynced = true;
        if settled {
            return Ok(());
        }
        let synced = turn.sync(&self.path, &self.journal);
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
        let mut turn = self.turns.turn();
        self.opened.fetch_add(1, Ordering::AcqRel);
        journal::open_named(&self.journal, plan, None)?;
        turn.sync(&self.path, &self.journal)
    }

    /// The same, and brings the documents that the plan is to lead to onto the disk: [`StateDir::commit_settling`] with the very
    /// same then waits for a mark alone. What is waited for here is the intent in a file that is there ([`ahead`]); its own file
    /// and the documents follow while the change is made, and whoever writes here next waits for them.
    ///
    /// # Errors
    /// As [`StateDir::open_journal`]. Documents that could not be brought there are no error yet.
    pub fn open_journal_expecting(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), StateError> {
        let mut turn = self.turns.turn();
        self.opened.fetch_add(1, Ordering::AcqRel);
        let (gpu, text) = (plan.gpu, journal::to_open(&self.journal, plan, Some(Uuid::nil()))?);
        let document = self.text_to_store(desired, records).ok().flatten();
        // What it says of a change whose own file did not reach the disk is needed still.
        let ahead = match text.as_ref().filter(|_| turn.failed.is_none()) {
            Some(text) => ahead::put(&self.path, text)?,
            None => None,
        };
        let Some((ahead, text)) = ahead.zip(text) else {
            journal::open_named(&self.journal, plan, Some(Uuid::nil()))?;
            // Between the rename and its sync: on ext4, where the disk has one journal, both are there by one wait.
            if let Some(text) = document {
                turn.staged.stage((&self.path, STATE), gpu, text);
            }
            return turn.sync(&self.path, &self.journal);
        };
        if let Err(error) = atomic::replace_soon(&self.journal, &journal::file_name(gpu), text.as_bytes()) {
            ahead.clear(&self.path)?;
            return Err(error);
        }
        let following = Following {
            ahead,
            gpu,
            dir: self.path.clone(),
            journal: self.journal.clone(),
            text,
            staged: std::mem::take(&mut turn.staged),
            document: document.map(|text| (STATE, text)),
            unsynced: turn.unsynced,
        };
        turn.behind = Some((gpu, self.syncer.run(|| following.follow())));
        Ok(())
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
        let mut turn = self.turns.turn();
        turn.staged.discard((&self.path, STATE), plan.gpu);
        turn.forget(plan.gpu, &self.path)?;
        turn.unsynced |= journal::close_named(&self.journal, plan.gpu)?;
        if turn.unsynced { turn.sync(&self.path, &self.journal) } else { Ok(()) }
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // The lock goes when nobody writes any more.
        drop(self.turns.turn());
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

#[cfg(test)]
mod tests {
    use gpuvirt_model::PciAddress;
    use gpuvirt_plan::{Marks, Snapshot};

    use super::*;

    fn plan(bus: u8) -> Plan {
        let gpu = PciAddress { domain: 0, bus, slot: 0, function: 0 };
        let purpose = format!("{gpu} becomes direct");
        let (before, marks) = (Snapshot::default(), Marks::default());
        Plan { gpu, purpose, steps: Vec::new(), before, promises: Vec::new(), marks }
    }

    #[test]
    fn a_change_whose_intent_does_not_reach_the_disk_is_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let (desired, records) = (Desired::default(), Records::default());
        let settled = || dir.commit_settling(&plan(1), &desired, &records);
        dir.open_journal_expecting(&plan(1), &desired, &records).unwrap();
        let ahead = ahead::put(&dir.path, "the only one").unwrap().unwrap();
        dir.turns.turn().failed = Some((plan(1).gpu, "no disk".to_owned()));
        // Another's takes no place of it, and is none of its business.
        dir.open_journal_expecting(&plan(2), &desired, &records).unwrap();
        assert!(dir.turns.turn().behind.is_none());
        assert!(settled().unwrap_err().to_string().contains("1:00.0.json"));
        assert_eq!(dir.open_intents().unwrap(), [plan(1), plan(2)]);
        assert!(!folder.path().join(STATE).exists());
        dir.commit_settling(&plan(2), &desired, &records).unwrap();
        assert!(settled().is_err(), "it is not forgotten");
        // Taken back, it is gone from everywhere.
        dir.close_journal(&plan(1)).unwrap();
        drop((ahead, dir));
        let dir = StateDir::open(folder.path()).unwrap();
        assert!(dir.open_intents().unwrap().is_empty());
        dir.open_journal_expecting(&plan(1), &desired, &records).unwrap();
        assert!(dir.turns.turn().failed.is_none());
    }

    /// Two changes of one card in a row, and the power goes in the second before the disk has any name of the first's end.
    #[test]
    fn a_power_cut_in_the_next_change_loses_neither() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::open(folder.path()).unwrap();
        let (first, second) = (Desired::default(), Desired { generation: 2, ..Desired::default() });
        let (records, journal) = (Records::default(), dir.journal.clone());
        let next = Plan { purpose: "and back".to_owned(), ..plan(1) };
        let [file, kept, stored, staged] =
            ["journal/0000:01:00.0.json", "kept", STATE, ".state.json.staged"].map(|f| folder.path().join(f));
        dir.commit(&first, &records).unwrap();
        let before = fs::read(&stored).unwrap();
        dir.open_journal_expecting(&plan(1), &second, &records).unwrap();
        drop(dir.turns.turn());
        // What is written over its content is in this name's too.
        fs::hard_link(&file, &kept).unwrap();
        dir.commit_settling(&plan(1), &second, &records).unwrap();
        drop(dir);
        let text = journal::to_open(&journal, &next, Some(Uuid::nil())).unwrap().unwrap();
        drop(ahead::put(folder.path(), &text).unwrap().unwrap());
        fs::rename(&stored, staged).unwrap();
        atomic::replace(folder.path(), STATE, &before).unwrap();
        fs::rename(kept, file).unwrap();

        let dir = StateDir::open(folder.path()).unwrap();
        assert_eq!(dir.load().unwrap().desired, second);
        assert_eq!(dir.open_intents().unwrap(), [next]);
    }
}
