//! Everything that findings are made of.

use gpuvirt_model::health::{DaemonHealth, LibvirtHealth};
use gpuvirt_model::{
    Desired, Domain, Gpu, GraphicsType, Health, Hostdev, Machine, Observed, PciAddress, Records, Severity,
    VgpuId, When,
};

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
        direct
            || gpu.on_vfio
            || self.domains().any(|domain| domain.config.iter().any(|device| of_card(device, gpu)))
    }

    /// The domains, as far as they are known.
    pub(super) fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.observed.domains.known().into_iter().flatten()
    }

    /// The machines of the VMs whose definitions name a function of this card.
    pub(super) fn machines_of(&self, gpu: &Gpu) -> impl Iterator<Item = &Machine> {
        let machines = self.libvirt.machines.known().into_iter().flatten();
        machines.filter(move |machine| {
            machine.devices.iter().any(|device| gpu.functions.contains(&device.address))
        })
    }

    /// The GPU that a domain's device is, or is a share of.
    pub(super) fn gpu_of(&self, device: &Hostdev) -> Option<&Gpu> {
        match device {
            Hostdev::Pci { address, .. } => self.observed.gpu_of(*address),
            Hostdev::Mdev { uuid } => {
                let vgpu = self.observed.vgpus.get(&VgpuId::Mdev(*uuid))?;
                self.observed.gpus.get(&vgpu.gpu)
            }
        }
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

    /// Whether a change is at a GPU just now, or will be: what it lacks may be on its way.
    pub(super) fn is_at_work(&self, gpu: PciAddress) -> bool {
        self.daemon.at_work.contains(&gpu)
    }

    /// Whether a change of a GPU has not ended: what it lacks is to be judged when it has.
    pub(super) fn is_unsettled(&self, gpu: PciAddress) -> bool {
        self.is_at_work(gpu) || self.daemon.unsettled.iter().any(|(unsettled, _)| *unsettled == gpu)
    }

    /// All GPUs.
    pub(super) fn gpus(&self) -> impl Iterator<Item = &Gpu> {
        self.observed.gpus.values()
    }
}

/// Whether a device is a function of a card, and no share of it.
fn of_card(device: &Hostdev, gpu: &Gpu) -> bool {
    matches!(device, Hostdev::Pci { address, .. } if gpu.functions.contains(address))
}
