//! VMs that were started once more, and what came of it, kept for `status`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_api::StatusDocument;
use gpuvirt_model::Domain;
use uuid::Uuid;

/// The VMs that were or are to be started once more, by what came of it.
#[derive(Debug, Default)]
pub(super) struct Retried(Mutex<BTreeMap<Uuid, Retry>>);

#[derive(Debug, Clone)]
struct Retry {
    name: String,
    /// Why its second start failed too, when it did.
    failed: Option<String>,
}

impl Retried {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Retry>> {
        // Entries are added and replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the first time.
    pub(super) fn begin(&self, domain: &Domain) -> bool {
        let retry = Retry { name: domain.name.clone(), failed: None };
        self.lock().insert(domain.uuid, retry).is_none()
    }

    pub(super) fn failed(&self, domain: Uuid, why: String) {
        if let Some(retry) = self.lock().get_mut(&domain) {
            retry.failed = Some(why);
        }
    }

    /// The VM runs: whatever was the matter is over.
    pub(super) fn runs(&self, domain: Uuid) {
        if let Some(retry) = self.lock().get_mut(&domain) {
            retry.failed = None;
        }
    }

    /// Tells of those that do not run.
    pub(super) fn tell(&self, status: &mut StatusDocument) {
        for Retry { name, failed } in self.lock().values() {
            if let Some(why) = failed {
                status
                    .problems
                    .push(format!("VM {name} was not started with the host, nor on a second try: {why}"));
            }
        }
    }
}
