//! The pass itself: bus, cards, groups, virtual functions, vGPUs, in this order.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{
    DriverRules, Framework, Function, Gpu, IommuGroup, Observed, PciAddress, Reading, Unknown, Vgpu, VgpuId,
};

use super::boot::BootFacts;
use super::bus::{self, Bus};
use super::extent::Extent;
use super::function::{self, Seen};
use super::names::KnownNames;
use super::rules::GpuRules;
use super::{driver, gpu, host, iommu, mdev, nodes, nvidia_vfio, sriov, usage};
use crate::error::HostError;
use crate::files::Files;

/// Everything found so far.
struct Pass<'a> {
    files: Files<'a>,
    extent: Extent,
    bus: Bus,
    seen: BTreeMap<PciAddress, Seen>,
    groups: BTreeMap<u32, IommuGroup>,
    vgpus: BTreeMap<VgpuId, Vgpu>,
}

/// What need not be read at each look.
#[derive(Debug, Default)]
pub(crate) struct Known {
    names: KnownNames,
    boot: BootFacts,
}

/// A fresh picture of what is in `extent`, holders not looked for and domains unknown.
///
/// # Errors
/// [`HostError::Read`] when not even the PCI bus can be listed.
pub(crate) fn observe(
    files: Files<'_>,
    rules: &GpuRules,
    known: &Known,
    extent: Extent,
) -> Result<Observed, HostError> {
    // A card is one slot.
    let bus = bus::look(files, rules, extent)?;
    let mut pass =
        Pass { files, extent, bus, seen: BTreeMap::new(), groups: BTreeMap::new(), vgpus: BTreeMap::new() };
    let mut gpus = pass.gpus();
    if extent.in_full() {
        pass.read_groups(&gpus);
        pass.add_vfio_nodes();
    }
    pass.add_vgpus(&mut gpus, &rules.drivers);
    let Pass { bus, seen, groups, vgpus, .. } = pass;
    let shown = shown_functions(&gpus, &groups, &seen);
    let mut functions: BTreeMap<PciAddress, Function> = seen
        .into_iter()
        .filter(|(address, _)| shown.contains(address))
        .map(|(address, seen)| (address, seen.function))
        .collect();
    let read_host = if extent.in_full() {
        known.names.fill(files, &mut functions);
        host::read
    } else {
        host::of_offers
    };
    Ok(Observed {
        host: read_host(files, &known.boot, &rules.drivers, bus.count, bus.oddities),
        gpus: gpus.into_iter().map(|gpu| (gpu.address, gpu)).collect(),
        functions,
        groups,
        vgpus,
        mig: BTreeMap::new(),
        domains: Reading::Unknown(Unknown::NeedsDaemon),
    })
}

impl Pass<'_> {
    /// Reads a function once.
    fn read(&mut self, address: PciAddress) -> Option<&Function> {
        let (files, extent) = (self.files, self.extent);
        let ids = self.bus.ids(files, address)?;
        let seen = self.seen.entry(address).or_insert_with(|| function::read(files, address, ids, extent));
        Some(&seen.function)
    }

    /// The cards, with their virtual functions read too.
    fn gpus(&mut self) -> Vec<Gpu> {
        let bus = std::mem::take(&mut self.bus);
        let (files, extent, seen) = (self.files, self.extent, &mut self.seen);
        let cards = gpu::cards(&bus, &mut |address| {
            let ids = bus.known_ids(address)?;
            let seen = seen.entry(address).or_insert_with(|| function::read(files, address, ids, extent));
            Some(seen.function.clone())
        });
        self.bus = bus;
        let gpus: Vec<Gpu> = cards.into_iter().filter_map(|card| gpu::gpu(card, &self.seen)).collect();
        for vf in gpus.iter().flat_map(|gpu| gpu::parents(gpu, &self.seen)).collect::<Vec<_>>() {
            self.read(vf);
        }
        gpus
    }

    /// The groups of the cards' functions and virtual functions, and all members of these groups.
    fn read_groups(&mut self, gpus: &[Gpu]) {
        let of_gpus: BTreeSet<u32> = gpus
            .iter()
            .flat_map(|gpu| gpu::parents(gpu, &self.seen))
            .filter_map(|address| self.seen.get(&address)?.function.iommu_group)
            .collect();
        for id in of_gpus {
            let group = iommu::read(self.files, id);
            for member in &group.members {
                self.read(*member);
            }
            self.groups.insert(id, group);
        }
    }

    fn add_vfio_nodes(&mut self) {
        for seen in self.seen.values_mut() {
            let function = &mut seen.function;
            let group = function.iommu_group.and_then(|id| self.groups.get(&id));
            let vfio = nodes::vfio(function, group);
            function.device_nodes.extend(vfio);
        }
    }

    /// What each card offers, and what lives on it.
    fn add_vgpus(&mut self, gpus: &mut [Gpu], rules: &DriverRules) {
        let mut owners: BTreeMap<PciAddress, (PciAddress, usize)> = BTreeMap::new();
        let mut types: Vec<mdev::Types> = Vec::new();
        let mut modules = driver::Modules::default();
        for (index, gpu) in gpus.iter_mut().enumerate() {
            let mut of_card = mdev::Types::new();
            for parent in self.add_profiles(gpu, &mut of_card, rules) {
                owners.insert(parent, (gpu.address, index));
            }
            types.push(of_card);
            let primary = self.seen.get(&gpu.address).and_then(|seen| seen.function.binding.driver.as_ref());
            gpu.driver = modules.driver(self.files, gpu, primary);
            let primary = self.seen.get(&gpu.address).filter(|_| self.extent.in_full());
            gpu.usage = primary.map(|seen| usage::read(self.files, seen)).unwrap_or_default();
        }
        let parents: BTreeSet<PciAddress> = owners.keys().copied().collect();
        let mut alive = mdev::live(self.files, &parents, &mut self.bus.oddities);
        for parent in self.possible_parents(gpus) {
            let Some(seen) = self.seen.get(&parent.0) else { continue };
            let leaving = mdev::leaving(self.files, parent.0, seen.folder.names());
            if !leaving.is_empty() {
                owners.insert(parent.0, parent.1);
            }
            alive.extend(leaving);
        }
        for live in alive {
            let Some((gpu, index)) = owners.get(&live.parent) else { continue };
            let (Some(owner), Some(types)) = (gpus.get_mut(*index), types.get(*index)) else { continue };
            owner.live_vgpus += 1;
            self.vgpus.insert(VgpuId::Mdev(live.uuid), live.on(*gpu, types));
        }
    }

    /// Every function on which a vGPU can be, whether it offers types now or its driver is going.
    fn possible_parents(&self, gpus: &[Gpu]) -> Vec<(PciAddress, (PciAddress, usize))> {
        let of = |(index, gpu): (usize, &Gpu)| {
            let parents = gpu::parents(gpu, &self.seen).into_iter();
            parents.map(|parent| (parent, (gpu.address, index))).collect::<Vec<_>>()
        };
        gpus.iter().enumerate().flat_map(of).collect()
    }

    /// Fills in a card's frameworks and profiles; returns the parents of mediated devices.
    fn add_profiles(
        &mut self,
        gpu: &mut Gpu,
        types: &mut mdev::Types,
        rules: &DriverRules,
    ) -> Vec<PciAddress> {
        let mut mdev_parents = Vec::new();
        let mut vendor = nvidia_vfio::Card::default();
        let mut plain = true;
        for parent in gpu::parents(gpu, &self.seen) {
            let Some(seen) = self.seen.get(&parent) else { continue };
            if seen.folder.has("mdev_supported_types") {
                mdev_parents.push(parent);
                plain &= seen.function.physfn.is_none();
                gpu.profiles.extend(mdev::profiles(self.files, parent, types, &mut self.bus.oddities));
            } else if let Some(vf) = nvidia_vfio::read(self.files, seen, &mut self.bus.oddities) {
                vendor.push(vf);
            }
        }
        gpu.profiles.extend(vendor.profiles());
        let live = vendor.live(gpu.address);
        gpu.live_vgpus += live.len();
        self.vgpus.extend(live.into_iter().map(|vgpu| (vgpu.id, vgpu)));
        if !mdev_parents.is_empty() {
            gpu.frameworks.push(Framework::Mdev);
        }
        if !vendor.is_empty() {
            gpu.frameworks.push(Framework::NvidiaVfio);
        }
        // Virtual functions that are something else already are not plain ones.
        if plain && vendor.is_empty() && gpu::offers_vfs(gpu, &self.seen, rules) {
            gpu.frameworks.push(Framework::Sriov);
        }
        if gpu.frameworks == [Framework::Sriov] {
            let vfs = gpu::parents(gpu, &self.seen).into_iter().filter_map(|vf| self.seen.get(&vf));
            let vfs: Vec<&Function> =
                vfs.map(|seen| &seen.function).filter(|function| function.physfn.is_some()).collect();
            gpu.profiles.extend(vfs.iter().map(|vf| sriov::profile(vf, vfs.len())));
            let live: Vec<Vgpu> = vfs.iter().filter_map(|vf| sriov::live(vf, gpu.address)).collect();
            gpu.live_vgpus += live.len();
            self.vgpus.extend(live.into_iter().map(|vgpu| (vgpu.id, vgpu)));
        }
        mdev_parents
    }
}

/// Functions of GPUs, members of their groups, and their virtual functions; nothing else that was looked at.
fn shown_functions(
    gpus: &[Gpu],
    groups: &BTreeMap<u32, IommuGroup>,
    seen: &BTreeMap<PciAddress, Seen>,
) -> BTreeSet<PciAddress> {
    let of_gpus = gpus.iter().flat_map(|gpu| gpu::parents(gpu, seen));
    of_gpus.chain(groups.values().flat_map(|group| group.members.iter().copied())).collect()
}
