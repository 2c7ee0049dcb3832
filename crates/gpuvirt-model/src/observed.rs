//! One picture of the host, on which decisions are made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Domain, Framework, Function, Gpu, HostFacts, IommuGroup, MigState, PciAddress, Reading, Vgpu, VgpuId,
};

/// The host as one pass over sysfs shows it, joined with libvirt's domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The host as a whole.
    pub host: HostFacts,
    /// GPUs, by primary function.
    pub gpus: BTreeMap<PciAddress, Gpu>,
    /// Every function of a GPU, every member of a GPU's group and every VF of a GPU.
    pub functions: BTreeMap<PciAddress, Function>,
    /// The groups of those functions.
    pub groups: BTreeMap<u32, IommuGroup>,
    /// Live vGPUs of GPUs.
    pub vgpus: BTreeMap<VgpuId, Vgpu>,
    /// GPU instances, by GPU: only of those whose were asked for. A GPU that is not here was not asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mig: BTreeMap<PciAddress, MigState>,
    /// libvirt's domains; unknown without the daemon.
    pub domains: Reading<Vec<Domain>>,
}

impl Observed {
    /// The GPU that a function belongs to, as primary, companion or virtual function.
    pub fn gpu_of(&self, address: PciAddress) -> Option<&Gpu> {
        let owner = self.functions.get(&address).and_then(|f| f.physfn).unwrap_or(address);
        self.gpus.get(&owner).or_else(|| self.gpus.values().find(|gpu| gpu.functions.contains(&owner)))
    }

    /// The functions of a GPU, primary first.
    pub fn functions_of<'a>(&'a self, gpu: &'a Gpu) -> impl Iterator<Item = &'a Function> + 'a {
        gpu.functions.iter().filter_map(|address| self.functions.get(address))
    }

    /// The primary function of a GPU.
    pub fn primary_of(&self, gpu: &Gpu) -> Option<&Function> {
        self.functions.get(&gpu.address)
    }

    /// The groups of a GPU's functions: one for most cards, several where the platform isolates functions.
    pub fn groups_of<'a>(&'a self, gpu: &'a Gpu) -> impl Iterator<Item = &'a IommuGroup> + 'a {
        let mut ids: Vec<u32> = self.functions_of(gpu).filter_map(|f| f.iommu_group).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter_map(|id| self.groups.get(&id))
    }

    /// The live vGPUs of a GPU.
    pub fn vgpus_of<'a>(&'a self, gpu: &'a Gpu) -> impl Iterator<Item = &'a Vgpu> + 'a {
        self.vgpus.values().filter(move |vgpu| vgpu.gpu == gpu.address)
    }

    /// The number of the vGPU type that a virtual function of NVIDIA's has; 0 is none.
    pub fn vgpu_type_of(&self, vf: PciAddress) -> u32 {
        let found = self.vgpus.get(&VgpuId::Vf(vf));
        let typed = found.filter(|vgpu| vgpu.framework == Framework::NvidiaVfio);
        typed.and_then(|vgpu| vgpu.type_id.parse().ok()).unwrap_or(0)
    }
}
