//! Writers that were left in the kernel at a deadline: to be reaped, and to be remembered, so that no second one is
//! sent after the first.

use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gpuvirt_model::PciAddress;

/// The writers that were left.
#[derive(Debug, Default)]
pub(super) struct Left(Mutex<Vec<Waiting>>);

#[derive(Debug)]
struct Waiting {
    child: Child,
    /// The function whose lock it holds or waits for.
    function: Option<PciAddress>,
}

impl Left {
    /// Leaves one.
    pub(super) fn add(&self, child: Child, function: Option<PciAddress>) {
        self.lock().push(Waiting { child, function });
    }

    /// Collects those that have ended; the process of one that is still at this function.
    pub(super) fn at(&self, function: PciAddress) -> Option<u32> {
        let mut left = self.lock();
        left.retain_mut(|waiting| matches!(waiting.child.try_wait(), Ok(None)));
        left.iter().find(|waiting| waiting.function == Some(function)).map(|waiting| waiting.child.id())
    }

    /// Collects those that have ended.
    pub(super) fn reap(&self) {
        self.lock().retain_mut(|waiting| matches!(waiting.child.try_wait(), Ok(None)));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
