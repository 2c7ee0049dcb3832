//! vGPUs as they are shown.

use gpuvirt_model::{Observed, Reading, Records, Vgpu};
use serde::{Deserialize, Serialize};

use crate::gpu::GpuVm;

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
