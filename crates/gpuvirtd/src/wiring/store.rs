//! The engine's store over the state folder.

use std::sync::Arc;

use gpuvirt_engine::ports::{PortError, Store};
use gpuvirt_model::{Desired, Records};
use gpuvirt_plan::Plan;
use gpuvirt_state::{StateDir, StateError};

/// The state folder as the engine's store.
#[derive(Debug, Clone)]
pub struct FileStore(pub Arc<StateDir>);

impl Store for FileStore {
    fn load(&self) -> Result<(Desired, Records), PortError> {
        let state = self.0.load().map_err(while_("the state can't be read"))?;
        Ok((state.desired, state.records))
    }

    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.0.commit(desired, records).map_err(while_("the state can't be stored"))
    }

    fn commit_settling(&self, plan: &Plan, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.0.commit_settling(plan, desired, records).map_err(while_("the state can't be stored"))
    }

    fn open_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.0.open_journal(plan).map_err(while_("the journal can't be opened"))
    }

    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        self.0.open_intents().map_err(while_("the journal can't be read"))
    }

    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.0.close_journal(plan).map_err(while_("the journal can't be closed"))
    }
}

fn while_(doing: &str) -> impl FnOnce(StateError) -> PortError {
    let doing = doing.to_owned();
    move |error| PortError { doing, source: Box::new(error) }
}
