//! A plan as data: its steps, how everything was, and what it promises.
//!
//! Planners make it, the audit holds it to the invariants, the journal keeps it, and the engine carries it out.

use gpuvirt_model::{PciAddress, VgpuId};
use serde::{Deserialize, Serialize};

use crate::mark::Marks;
use crate::promise::Promise;
use crate::snapshot::Snapshot;
use crate::step::Step;

/// An ordered list of steps with how things were and what they promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The GPU that it is about.
    pub gpu: PciAddress,
    /// What it is for, in words: `0000:41:00.0 becomes direct`.
    pub purpose: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Everything that the steps can change, as it was.
    pub before: Snapshot,
    /// What must be true afterwards.
    pub promises: Vec<Promise>,
    /// What it took or made so far and nobody could tell to be ours; nothing before it runs.
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    pub marks: Marks,
}

impl Plan {
    /// A plan that has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it makes this vGPU, so that without it nothing of it is there.
    pub fn makes(&self, vgpu: VgpuId) -> bool {
        match vgpu {
            VgpuId::Mdev(uuid) => self.before.mdevs.get(&uuid).is_some_and(Option::is_none),
            VgpuId::Vf(vf) => self.before.vgpu_types.get(&vf) == Some(&0),
        }
    }

    /// Whether it goes on where `earlier` ended: the same steps first, and whatever that noted before them.
    ///
    /// What a card's driver offers shows only once it has the card, so some changes are planned in two parts. The whole
    /// then takes the first part's place in the journal, and is undone as a whole.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.gpu == earlier.gpu
            && self.steps.starts_with(&earlier.steps)
            && earlier.before.bindings.iter().all(|(at, was)| self.before.bindings.get(at) == Some(was))
            && earlier.before.vfs.iter().all(|(at, was)| self.before.vfs.get(at) == Some(was))
    }

    /// This plan and what follows it, as one: undone to where this began.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let mut before = next.before.clone();
        before.bindings.extend(self.before.bindings.clone());
        before.identities.extend(self.before.identities.clone());
        before.power_control.extend(self.before.power_control.clone());
        before.vfs.extend(self.before.vfs.clone());
        before.mig.extend(self.before.mig.clone());
        before.mixed_sizes.extend(self.before.mixed_sizes.clone());
        before.services = [self.before.services.as_slice(), next.before.services.as_slice()].concat();
        before.services.dedup();
        Self {
            gpu: self.gpu,
            purpose: self.purpose.clone(),
            steps: [self.steps.as_slice(), next.steps.as_slice()].concat(),
            before,
            promises: next.promises.clone(),
            marks: self.marks.clone().and(&next.marks),
        }
    }

    /// The functions that it takes from a driver: what makes holders matter.
    pub fn unbinds(&self) -> impl Iterator<Item = PciAddress> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Unbind { function, .. } => Some(*function),
            _ => None,
        })
    }
}
