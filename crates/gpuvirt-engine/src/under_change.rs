//! Cards of changes that wait for a write: what others are told of them, and how long they wait for them.
//!
//! Whoever looks has the host in hand or only reads. Who waits here holds nothing: see `turn.rs`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gpuvirt_model::{Gpu, IommuGroup, Observed, PciAddress, Refusal, RefusalCode};

use crate::turn::Turn;
use crate::{Engine, EngineError};

/// How long a step of a card may take before another change of that card is refused instead of waiting for it: most of
/// what drivers do has ended by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a change that waits for others has begun a step.
const BETWEEN_STEPS: Duration = Duration::from_millis(200);

impl Engine {
    /// The same engine, where others have their turn in the midst of so long a change, and another change of its card is
    /// refused after so long a step. For tests: no value of either may make a change go wrong.
    #[must_use]
    pub fn with_patience(self, lent_after: Duration, patience: Duration) -> Self {
        Self { lent_after, patience, ..self }
    }

    /// The turn of a change of one GPU, after a change of it that is under way; a write that takes longer than
    /// [`PATIENCE`] is not waited for: what is asked then is refused.
    pub(crate) fn turn_at(&self, gpu: PciAddress, dry_run: bool) -> Turn<'_> {
        self.turn_after(gpu, dry_run, || self.turn(dry_run))
    }

    /// The same for a change that begins with [`Turn::view_of`] this GPU.
    pub(crate) fn turn_with_look_at(&self, gpu: PciAddress, dry_run: bool) -> Turn<'_> {
        self.turn_after(gpu, dry_run, || self.turn_and_look(gpu, dry_run))
    }

    fn turn_after<'a>(&'a self, gpu: PciAddress, dry_run: bool, turn: impl Fn() -> Turn<'a>) -> Turn<'a> {
        loop {
            let turn = turn();
            if dry_run || !self.is_to_end_soon(gpu) {
                return turn;
            }
            drop(turn);
            self.wait_for(&BTreeSet::from([gpu]));
        }
    }

    /// Whether a change of this GPU is under way that is worth waiting for.
    pub(crate) fn is_to_end_soon(&self, gpu: PciAddress) -> bool {
        self.starts.is_changing(gpu) && !self.is_late(gpu)
    }

    /// Waits for a change of one of these GPUs, until it ends or its step takes too long.
    pub(crate) fn wait_for(&self, gpus: &BTreeSet<PciAddress>) {
        while gpus.iter().all(|gpu| self.is_to_end_soon(*gpu)) {
            let late = gpus.iter().filter_map(|gpu| self.progress.of(*gpu)?.since.checked_add(self.patience));
            let look = late.min().unwrap_or_else(|| Instant::now() + BETWEEN_STEPS);
            if self.starts.one_ends(gpus, look) {
                return;
            }
        }
    }

    fn is_late(&self, gpu: PciAddress) -> bool {
        self.progress.of(gpu).is_some_and(|working| working.since.elapsed() >= self.patience)
    }

    /// A refusal while another change of this GPU is under way.
    pub(crate) fn under_change(&self, gpu: PciAddress) -> Option<Refusal> {
        self.starts.is_changing(gpu).then(|| busy(gpu, self.what_is_done_to(gpu)))
    }

    /// What a change that is under way does, in words.
    pub(crate) fn what_is_done_to(&self, gpu: PciAddress) -> String {
        match self.progress.of(gpu) {
            None => format!("a change of {gpu} is under way"),
            Some(working) => format!(
                "a change of {gpu} is under way ({}): it has waited {} s to {}",
                working.purpose,
                working.since.elapsed().as_secs(),
                working.step
            ),
        }
    }

    /// Refuses a GPU that shares an IOMMU group with one that is under change: they are bound and unbound together.
    pub(crate) fn neighbours_rest(&self, gpu: &Gpu, observed: &Observed) -> Result<(), EngineError> {
        let changing = self.starts.changing();
        if changing.is_empty() {
            return Ok(());
        }
        // The picture may be one of this GPU alone: of others it has what is in its groups.
        let beside = |other: &&PciAddress| {
            **other != gpu.address && observed.groups_of(gpu).any(|group| has_part_of(group, **other))
        };
        let other = changing.iter().find(beside);
        let Some(other) = other else { return Ok(()) };
        let because = format!("{}, and both are in one IOMMU group", self.what_is_done_to(*other));
        Err(EngineError::Refused(vec![busy(gpu.address, because)]))
    }
}

/// Whether a part of this card is in the group, which is opened as a whole.
pub(crate) fn has_part_of(group: &IommuGroup, gpu: PciAddress) -> bool {
    group.members.iter().any(|member| member.same_slot(&gpu))
}

/// Another change is in the way of one of this GPU, which may be asked for again when that has ended.
pub(crate) fn busy(gpu: PciAddress, because: String) -> Refusal {
    let code = RefusalCode::Busy;
    Refusal {
        code,
        summary: format!("{gpu} cannot be changed now"),
        because,
        remedy: vec![
            "try again when that has ended: gpuvirt status".to_owned(),
            format!("gpuvirt explain {code}"),
        ],
    }
}
