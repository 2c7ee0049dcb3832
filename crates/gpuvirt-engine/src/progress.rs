//! Which steps are being carried out, one of each GPU, for whoever asks meanwhile. Told beside the work: nothing waits for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gpuvirt_model::PciAddress;

/// A step that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// The GPU that is changed.
    pub gpu: PciAddress,
    /// What the change is for, in a sentence.
    pub purpose: String,
    /// The step, in a sentence.
    pub step: String,
    /// Which one it is, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// When the step began.
    pub since: Instant,
}

/// The steps that are under way, by GPU.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<BTreeMap<PciAddress, Working>>);

impl Progress {
    fn state(&self) -> MutexGuard<'_, BTreeMap<PciAddress, Working>> {
        // Entries are put in and taken out whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, the oldest first.
    pub(crate) fn now(&self) -> Vec<Working> {
        let mut all: Vec<Working> = self.state().values().cloned().collect();
        all.sort_by_key(|working| working.since);
        all
    }

    /// The one of this GPU.
    pub(crate) fn of(&self, gpu: PciAddress) -> Option<Working> {
        self.state().get(&gpu).cloned()
    }

    /// A step begins; it ends when this is dropped.
    #[must_use]
    pub(crate) fn begin(&self, working: Working) -> Step<'_> {
        let gpu = working.gpu;
        self.state().insert(gpu, working);
        Step { progress: self, gpu }
    }
}

/// A step is under way until this is dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    progress: &'a Progress,
    gpu: PciAddress,
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.progress.state().remove(&self.gpu);
    }
}
