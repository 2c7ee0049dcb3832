//! Profiles and vGPUs as they are shown.

use gpuvirt_model::{Desired, Observed, PciAddress, Profile, Reading, Records, Vgpu};
use gpuvirt_plan::profile::judged;
use serde::{Deserialize, Serialize};

use crate::gpu::GpuVm;

/// A profile of one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProfileDocument {
    /// The GPU that offers it.
    pub gpu: PciAddress,
    /// The profile.
    #[serde(flatten)]
    pub profile: Profile,
    /// How many of it exist on this GPU.
    pub consumed: u32,
}

/// A live vGPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VgpuDocument {
    /// The vGPU.
    #[serde(flatten)]
    pub vgpu: Vgpu,
    /// Whether we made it; others' are never removed.
    pub ours: bool,
    /// The domains that have it or name it.
    pub vms: Reading<Vec<GpuVm>>,
}

impl ProfileDocument {
    /// Every profile of every GPU, in the order of the GPUs.
    pub fn all(observed: &Observed, desired: &Desired) -> Vec<Self> {
        let live = |parent, type_id: &str| {
            observed.vgpus.values().filter(|vgpu| vgpu.parent == parent && vgpu.type_id == type_id).count()
        };
        let of = |gpu: PciAddress, profile: Profile| Self {
            gpu,
            consumed: u32::try_from(live(profile.parent, &profile.type_id)).unwrap_or(u32::MAX),
            profile,
        };
        let gpus = observed.gpus.values();
        gpus.flat_map(|gpu| judged(gpu, observed, desired).into_iter().map(|p| of(gpu.address, p))).collect()
    }
}

impl VgpuDocument {
    /// The document of one vGPU.
    pub fn new(vgpu: &Vgpu, observed: &Observed, records: &Records) -> Self {
        let device = vgpu.id.hostdev();
        let users = |domains: Vec<gpuvirt_model::Domain>| {
            domains
                .into_iter()
                .filter(|domain| domain.has_live(&device) || domain.has_configured(&device))
                .map(|d| GpuVm {
                    running: d.has_live(&device),
                    name: d.name,
                    uuid: d.uuid,
                    vgpus: vec![vgpu.id],
                })
                .collect()
        };
        let ours = records.made(vgpu);
        Self { vgpu: vgpu.clone(), ours, vms: observed.domains.clone().map(users) }
    }
}
