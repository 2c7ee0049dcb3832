//! How long whoever calls a hook waits, and how long what comes after it may take.

use std::time::{Duration, Instant};

/// Longest that a start waits where nothing is to be made for it.
pub const VALIDATION_DEADLINE: Duration = Duration::from_secs(2);
/// Longest that a start waits where a vGPU is to be made.
pub const CREATION_DEADLINE: Duration = Duration::from_secs(10);
/// What must be left of that for a write to begin: one that is given up makes its card hands-off.
pub(crate) const WRITE_AT_LEAST: Duration = Duration::from_secs(1);
/// Longest wait for the host's turn to remove what nobody needs any more; then it is tried at the next occasion.
pub(super) const REMOVAL_TURN: Duration = Duration::from_secs(120);

/// Who waits for a start's answer. libvirt calls the start off when they give up, and its release comes before what is done
/// for the start later.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Since when they wait: a while in a queue counts.
    pub since: Instant,
    /// Whether they do.
    pub waits: &'a dyn Fn() -> bool,
}

impl Asker<'_> {
    /// One who has just come, and stays.
    pub(super) fn now() -> Self {
        Self { since: Instant::now(), waits: &|| true }
    }

    pub(super) fn has_left(&self) -> bool {
        !(self.waits)() || self.since.elapsed() > CREATION_DEADLINE
    }
}

/// When a start's answer is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Where nothing is to be made for it.
    pub(super) validation: Instant,
    /// Where something is.
    pub(super) creation: Instant,
}

impl Due {
    pub(super) fn to(asker: &Asker<'_>) -> Self {
        let creation = asker.since + CREATION_DEADLINE;
        Self { validation: creation.min(Instant::now() + VALIDATION_DEADLINE), creation }
    }
}
