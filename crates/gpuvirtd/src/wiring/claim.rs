//! The engine's store with the list of early claims beside it: written anew whenever the documents change.

use std::sync::{Arc, Mutex, PoisonError};

use gpuvirt_engine::ports::{PortError, Store};
use gpuvirt_model::{Desired, Records, chain};
use gpuvirt_plan::{Plan, claim};
use gpuvirt_state::{ClaimFiles, StateError, Syncer};

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
    syncer: Arc<Syncer>,
}

impl ClaimingStore {
    /// A store with its list, which is brought up to date.
    pub fn new(store: FileStore, files: ClaimFiles, kernel: String) -> Self {
        let claiming = Self { store, files, kernel, problem: Arc::default(), syncer: Arc::default() };
        claiming.claim_what_is_stored();
        claiming
    }

    /// Documents are stored with the list beside them, which is written first: what the disk is to be waited for is then under
    /// way together. Where they can't be stored after all, the list follows those that are.
    fn claiming<T>(
        &self,
        (desired, records): (&Desired, &Records),
        commit: impl FnOnce() -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let new = self.claim(desired, records);
        let done = commit();
        match &done {
            Ok(_) if new => self.settle_soon(),
            Ok(_) => {}
            Err(_) => self.claim_what_is_stored(),
        }
        done
    }

    /// Documents that can't be read say nothing about claims: the list stays.
    fn claim_what_is_stored(&self) {
        if let Ok((desired, records)) = self.store.load() {
            if self.claim(&desired, &records) {
                self.settle_soon();
            }
        }
    }

    /// The documents are what counts: a list that can't be written is reported and fails no change. Says whether it is another
    /// one now.
    fn claim(&self, desired: &Desired, records: &Records) -> bool {
        let written = self.files.write(&claim::claims(desired, records));
        self.note(written.as_ref().err());
        written.unwrap_or(false)
    }

    /// The list is derived from documents that are durable by now, so a change need not wait for the disk a second time: what
    /// a power cut takes of it is written again at the next start.
    fn settle_soon(&self) {
        let this = self.clone();
        drop(self.syncer.run(move || {
            if let Err(error) = this.files.settle() {
                this.note(Some(&error));
            }
        }));
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
        self.claiming((desired, records), || self.store.commit(desired, records))
    }

    fn commit_settling(&self, plan: &Plan, desired: &Desired, records: &Records) -> Result<(), PortError> {
        self.claiming((desired, records), || self.store.commit_settling(plan, desired, records))
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

    fn open_journal_expecting(
        &self,
        plan: &Plan,
        desired: &Desired,
        records: &Records,
    ) -> Result<(), PortError> {
        self.store.open_journal_expecting(plan, desired, records)
    }

    fn open_intents(&self) -> Result<Vec<Plan>, PortError> {
        self.store.open_intents()
    }

    fn close_journal(&self, plan: &Plan) -> Result<(), PortError> {
        self.store.close_journal(plan)
    }
}
