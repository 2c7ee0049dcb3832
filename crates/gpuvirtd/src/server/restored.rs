//! What the daemon's start made of what was asked for, kept for `status`, and what it has not come to yet.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_api::StatusDocument;
use gpuvirt_api::status::{RestoreStatus, RestoredGpu};
use gpuvirt_model::PciAddress;

/// What the start did so far.
#[derive(Debug, Default)]
pub(super) struct Restored {
    status: Mutex<Option<RestoreStatus>>,
    to_come: Mutex<BTreeSet<PciAddress>>,
    /// GPUs of which a write was given up and is still waited for.
    blocked: Mutex<BTreeSet<PciAddress>>,
}

impl Restored {
    fn lock(&self) -> MutexGuard<'_, Option<RestoreStatus>> {
        // Entries are added whole.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The GPUs that the start has not come to yet.
    pub(super) fn to_come(&self) -> MutexGuard<'_, BTreeSet<PciAddress>> {
        self.to_come.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The GPUs that are led on when a write has ended, which has not.
    pub(super) fn block(&self, gpus: &BTreeSet<PciAddress>) {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner).clone_from(gpus);
    }

    /// Whether a GPU is still to be led to what was asked for.
    pub(super) fn is_under_way(&self) -> bool {
        let blocked = !self.blocked.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        blocked || !self.to_come().is_empty()
    }

    pub(super) fn note(&self, gpu: RestoredGpu) {
        self.to_come().remove(&gpu.address);
        let mut restored = self.lock();
        let status = restored.get_or_insert_default();
        status.gpus.retain(|earlier| earlier.address != gpu.address);
        status.gpus.push(gpu);
        status.gpus.sort_by_key(|gpu| gpu.address);
    }

    /// A change that an earlier daemon had left open is settled.
    pub(super) fn note_settled(&self, what: String) {
        self.lock().get_or_insert_default().settled.push(what);
    }

    pub(super) fn finish(&self) {
        self.to_come().clear();
        if let Some(status) = self.lock().as_mut() {
            status.finished = true;
        }
    }

    /// The GPUs that the start could not lead to what was asked for, and why.
    pub(super) fn in_trouble(&self) -> Vec<(PciAddress, String)> {
        let status = self.lock();
        let gpus = status.iter().flat_map(|status| &status.gpus).filter(|gpu| gpu.outcome.is_trouble());
        gpus.map(|gpu| (gpu.address, gpu.what.clone())).collect()
    }

    /// Tells of it in the status: why a GPU is not as asked, and configured GPUs that are not on this host.
    pub(super) fn tell(&self, status: &mut StatusDocument) {
        let Some(restored) = self.lock().clone() else { return };
        for gpu in restored.gpus.iter().filter(|gpu| gpu.outcome.is_trouble()) {
            match status.gpus.iter_mut().find(|shown| shown.address == gpu.address) {
                Some(shown) if shown.pending.is_some() => {
                    shown.pending = Some(format!("it was not restored: {}", gpu.what));
                }
                Some(_) => {}
                None => status.problems.push(format!("{} was not restored: {}", gpu.address, gpu.what)),
            }
        }
        status.restore = Some(restored);
    }
}
