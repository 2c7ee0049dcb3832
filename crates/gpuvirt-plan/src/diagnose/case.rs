//! Everything that findings are made of.

use gpuvirt_model::health::{DaemonHealth, LibvirtHealth};
use gpuvirt_model::{Desired, Gpu, GraphicsType, Health, Observed, PciAddress, Records, Severity, When};

use crate::gpu::domains_using;

/// A host with all that is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What only the doctor asks.
    pub health: &'a Health,
    /// What every change looks at.
    pub observed: &'a Observed,
    /// What the admin asked for.
    pub desired: &'a Desired,
    /// What gpuvirt made.
    pub records: &'a Records,
    /// libvirt, as the daemon found it.
    pub libvirt: &'a LibvirtHealth,
    /// What gpuvirtd knows of itself.
    pub daemon: &'a DaemonHealth,
}

impl Case<'_> {
    /// What a GPU is to be: what the admin asked for, or what it is and its VMs' definitions say.
    pub(super) fn is_for_passthrough(&self, gpu: &Gpu) -> bool {
        let configured = self.desired.gpu(gpu.address);
        let direct = configured.is_some_and(|entry| {
            entry.graphics_type.resolve(&self.desired.host) == GraphicsType::Direct || entry.when == When::Vm
        });
        direct || gpu.on_vfio
    }

    /// How bad something is that only passthrough suffers from: this bad where the card is for that, and else worth
    /// knowing before.
    pub(super) fn for_passthrough(&self, gpu: &Gpu, severity: Severity) -> Severity {
        if self.is_for_passthrough(gpu) { severity } else { Severity::Note }
    }

    /// Whether a VM has or names a function or a vGPU of a GPU.
    pub(super) fn uses(&self, vm: &str, gpu: PciAddress) -> bool {
        let gpu = self.observed.gpus.get(&gpu);
        gpu.is_some_and(|gpu| domains_using(gpu, self.observed).any(|(domain, _)| domain.name == vm))
    }

    /// GPUs that are whole cards: what a card's own driver made of it is not asked again.
    pub(super) fn gpus(&self) -> impl Iterator<Item = &Gpu> {
        self.observed.gpus.values()
    }
}
