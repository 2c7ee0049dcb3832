//! The engine's store over the state folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpuvirt_engine::ports::{PortError, Store};
use gpuvirt_model::{Desired, Records};
use gpuvirt_plan::Plan;
use gpuvirt_state::{StateDir, StateError, read_state};

/// The state folder as the engine's store.
#[derive(Debug, Clone)]
pub struct FileStore(Folder);

#[derive(Debug, Clone)]
enum Folder {
    /// It is ours to write in.
    Ours(Arc<StateDir>),
    /// It can't be written to, or may be somebody else's: questions are answered, and nothing is changed.
    Unusable { path: PathBuf, why: Arc<StateError> },
}

impl FileStore {
    /// Takes the folder. One that can't be used is no reason not to serve: what is asked of the host is answered, and each
    /// change is refused with what is wrong.
    ///
    /// # Errors
    /// [`StateError::Locked`]: another daemon has it, and serves.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        match StateDir::open(path) {
            Ok(dir) => Ok(Self(Folder::Ours(Arc::new(dir)))),
            Err(locked @ StateError::Locked { .. }) => Err(locked),
            Err(why) => {
                tracing::error!(error = gpuvirt_model::chain(&why), "nothing can be changed: {UNUSABLE}");
                Ok(Self(Folder::Unusable { path: path.to_owned(), why: Arc::new(why) }))
            }
        }
    }

    fn ours(&self) -> Result<&StateDir, PortError> {
        match &self.0 {
            Folder::Ours(dir) => Ok(dir),
            Folder::Unusable { why, .. } => Err(unusable(why)),
        }
    }
}

impl Store for FileStore {
    fn load(&self) -> Result<(Desired, Records), PortError> {
        let state = match &self.0 {
            Folder::Ours(dir) => dir.load(),
            // It may be read all the same: on a disk that is read-only now.
            Folder::Unusable { path, why } if matches!(**why, StateError::Io { .. }) => read_state(path),
            Folder::Unusable { why, .. } => return Err(unusable(why)),
        };
        let state = state.map_err(while_("the state can't be read"))?;
        Ok((state.desired, state.records))
    }

    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.ours()?.commit(desired, records).map_err(while_("the state can't be stored"))
    }

    fn commit_settling(&self, plan: &Plan, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.ours()?.commit_settling(plan, desired, records).map_err(while_("the state can't be stored"))
    }

    fn open_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.ours()?.open_journal(plan).map_err(while_("the journal can't be opened"))
    }

    fn open_journal_expecting(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), PortError> {
        let opened = self.ours()?.open_journal_expecting(plan, desired, records);
        opened.map_err(while_("the journal can't be opened"))
    }

    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        self.ours()?.open_intents().map_err(while_("the journal can't be read"))
    }

    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.ours()?.close_journal(plan).map_err(while_("the journal can't be closed"))
    }
}

/// What is to be done about a folder that can't be used.
const UNUSABLE: &str = "the state folder can't be used; put that right, and systemctl restart gpuvirtd";

fn unusable(why: &Arc<StateError>) -> PortError {
    PortError { doing: UNUSABLE.to_owned(), source: Box::new(Arc::clone(why)) }
}

fn while_(doing: &str) -> impl FnOnce(StateError) -> PortError {
    let doing = doing.to_owned();
    move |error| PortError { doing, source: Box::new(error) }
}
