//! The engine's store with the list of early claims beside it: written anew whenever the documents change.

use std::sync::{Arc, Mutex, PoisonError};

use gpuvirt_engine::ports::{PortError, Store};
use gpuvirt_model::{Desired, Records, chain};
use gpuvirt_plan::{Plan, claim};
use gpuvirt_state::{ClaimFiles, StateError};

use super::store::FileStore;

/// The state folder, and the list that is derived from it.
#[derive(Debug, Clone)]
pub struct ClaimingStore {
    store: FileStore,
    files: ClaimFiles,
    /// The running kernel's release.
    kernel: String,
    /// Why the list is not up to date.
    problem: Arc<Mutex<Option<String>>>,
}

impl ClaimingStore {
    /// A store with its list, which is brought up to date.
    pub fn new(store: FileStore, files: ClaimFiles, kernel: String) -> Self {
        let claiming = Self { store, files, kernel, problem: Arc::default() };
        // Documents that can't be read say nothing about claims: the list stays.
        if let Ok((desired, records)) = claiming.store.load() {
            claiming.claim(&desired, &records);
        }
        claiming
    }

    /// The documents are what counts: a list that can't be written is reported and fails no change.
    fn claim(&self, desired: &Desired, records: &Records) {
        let written = self.files.write(&claim::claims(desired, records));
        if written.as_ref().is_ok_and(|new| *new) {
            self.settle_soon();
        }
        self.note(written.err().as_ref());
    }

    /// The list is derived from documents that are durable by now, so a change need not wait for the disk a second time: what
    /// a power cut takes of it is written again at the next start.
    fn settle_soon(&self) {
        let this = self.clone();
        let settle = move || {
            if let Err(error) = this.files.settle() {
                this.note(Some(&error));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("claims".to_owned()).spawn(settle) {
            tracing::warn!(%error, "the list of early claims reaches the disk when the kernel writes it");
        }
    }

    fn note(&self, error: Option<&StateError>) {
        let problem = error.map(|error| format!("early claims: {}", chain(error)));
        if let Some(problem) = &problem {
            tracing::warn!(problem, "the list of early claims is not up to date");
        }
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

impl Store for ClaimingStore {
    fn load(&self) -> Result<(Desired, Records), PortError> {
        self.store.load()
    }

    fn commit(&self, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.store.commit(desired, records)?;
        self.claim(desired, records);
        Ok(())
    }

    fn commit_settling(&self, plan: &Plan, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.store.commit_settling(plan, desired, records)?;
        self.claim(desired, records);
        Ok(())
    }

    fn stale_boot_image(&self) -> Option<String> {
        self.files.stale_image(&self.kernel)
    }

    fn problems(&self) -> Vec<String> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn open_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.store.open_journal(plan)
    }

    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        self.store.open_intents()
    }

    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.store.close_journal(plan)
    }
}
