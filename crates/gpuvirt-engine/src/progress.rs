//! Which step is being carried out, for whoever asks meanwhile. Told beside the work: nothing waits for it.

use std::sync::{Mutex, PoisonError};
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

/// The step that is under way, if any is.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Option<Working>>);

impl Progress {
    pub(crate) fn now(&self) -> Option<Working> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn tell(&self, working: Option<Working>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = working;
    }
}
