//! Writers that were left in the kernel at a deadline: to be reaped, and to be remembered, so that no second one is
//! sent after the first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_model::PciAddress;

use super::origin::WriterProcess;

/// The writers that were left.
#[derive(Debug, Default)]
pub(super) struct Left(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    process: WriterProcess,
    /// The function whose lock it holds or waits for.
    function: Option<PciAddress>,
}

impl Left {
    /// Leaves one. It is asked nothing more.
    pub(super) fn add(&self, process: WriterProcess, function: Option<PciAddress>) {
        process.hang_up();
        self.lock().push(Waiting { process, function });
    }

    /// Collects those that have ended; the process of one that is still at this function.
    pub(super) fn at(&self, function: PciAddress) -> Option<u32> {
        let mut left = self.lock();
        left.retain_mut(|waiting| !waiting.process.has_ended());
        left.iter().find(|waiting| waiting.function == Some(function)).map(|waiting| waiting.process.id())
    }

    /// Collects those that have ended.
    pub(super) fn reap(&self) {
        self.lock().retain_mut(|waiting| !waiting.process.has_ended());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
