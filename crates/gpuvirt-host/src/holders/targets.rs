//! What is looked for: the device numbers of each card's and each vGPU's nodes.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{Function, Gpu, Observed, PciAddress, Vgpu, VgpuId};

use super::process::Thing;
use crate::files::Files;
use crate::inventory::nodes;
use crate::paths;
use crate::sysfs::DeviceNumber;

/// What can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A card, by its primary function.
    Gpu(PciAddress),
    /// A vGPU.
    Vgpu(VgpuId),
}

/// Everything that is looked for, from all cards together.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Device numbers; a VFIO group's node belongs to every card in the group.
    numbers: BTreeMap<DeviceNumber, BTreeSet<Target>>,
    /// Functions that can be written to.
    functions: BTreeMap<PciAddress, Target>,
}

impl Targets {
    /// The nodes of everything in the picture. A node that is not there can't be held.
    pub(super) fn of(files: Files<'_>, observed: &Observed) -> Self {
        let mut targets = Self::default();
        for gpu in observed.gpus.values() {
            for function in &gpu.functions {
                targets.functions.insert(*function, Target::Gpu(gpu.address));
            }
            for node in nodes_of(files, observed, gpu) {
                targets.add(files, &node, Target::Gpu(gpu.address));
            }
        }
        for vgpu in observed.vgpus.values() {
            let group = vgpu.iommu_group.map(|group| format!("vfio/{group}"));
            let own = own_devices(files, vgpu);
            for node in own.iter().map(|name| format!("vfio/devices/{name}")).chain(group) {
                targets.add(files, &node, Target::Vgpu(vgpu.id));
            }
        }
        targets
    }

    fn add(&mut self, files: Files<'_>, node: &str, target: Target) {
        if let Ok(Some(number)) = files.sysfs.device_number(&paths::device_node(node)) {
            self.numbers.entry(number).or_default().insert(target);
        }
    }

    /// What a thing belongs to; a VFIO group's node to every card of the group.
    pub(super) fn of_thing(&self, thing: Thing) -> impl Iterator<Item = Target> + '_ {
        let (number, function) = match thing {
            Thing::Node(number) => (Some(number), None),
            Thing::Write(function) => (None, Some(function)),
        };
        let by_number = number.and_then(|number| self.numbers.get(&number)).into_iter().flatten().copied();
        by_number.chain(function.and_then(|function| self.functions.get(&function).copied()))
    }
}

/// The VFIO devices of its own that a vGPU has beside its group, since 6.2.
fn own_devices(files: Files<'_>, vgpu: &Vgpu) -> Vec<String> {
    let folder = match vgpu.id {
        VgpuId::Mdev(uuid) => paths::mdev_file(uuid, "vfio-dev"),
        VgpuId::Vf(vf) => paths::function_file(vf, "vfio-dev"),
    };
    files.sysfs.list(&folder).unwrap_or_default()
}

/// The names below `/dev` of a card's nodes.
fn nodes_of(files: Files<'_>, observed: &Observed, gpu: &Gpu) -> Vec<String> {
    let of = |function: &Function| {
        let drm = function.drm_nodes.iter().map(|node| format!("dri/{node}"));
        let nodes = drm.chain(function.device_nodes.iter().cloned());
        let nodes = nodes.chain(nodes::connector_buses(files, function));
        nodes.chain(group_of_driverless(observed, function)).collect::<Vec<_>>()
    };
    observed.functions_of(gpu).flat_map(of).collect()
}

/// The VFIO group's node of a function without a driver. The kernel takes the driver's link and the VFIO device away before it
/// waits for those who have the function open (drivers/base/dd.c, `__device_release_driver`; drivers/vfio/vfio_main.c,
/// `vfio_unregister_group_dev`): through the whole wait only the group's node leads to them.
fn group_of_driverless(observed: &Observed, function: &Function) -> Option<String> {
    let group = function.iommu_group.filter(|_| function.binding.driver.is_none())?;
    observed.groups.get(&group).map(nodes::vfio_group)
}
