//! GPU instances as they are shown, and requests for them.

use gpuvirt_model::{
    Desired, GpuInstance, GpuInstanceProfile, MigState, Observed, PciAddress, Records, VgpuId, VgpuMode,
};
use gpuvirt_plan::checks::mig::vgpus_on;
use serde::{Deserialize, Serialize};

/// The GPU instances of one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MigDocument {
    /// The GPU.
    pub gpu: PciAddress,
    /// The admin's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its configured vGPU mode.
    pub vgpu_mode: Option<VgpuMode>,
    /// Why nothing can be told, where that is so. The rest then says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// Whether the card can be cut at all.
    pub supported: bool,
    /// Whether MIG mode is on.
    pub enabled: bool,
    /// What the mode becomes at the card's next reset, where that is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<bool>,
    /// What it can make.
    pub profiles: Vec<GpuInstanceProfile>,
    /// What it has.
    pub instances: Vec<GpuInstanceDocument>,
    /// What it is to have, by profile.
    pub configured: Vec<String>,
}

/// A GPU instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuInstanceDocument {
    /// The instance.
    #[serde(flatten)]
    pub instance: GpuInstance,
    /// Whether we made it; others' are never removed.
    pub ours: bool,
    /// The vGPUs that live on it, or may.
    pub vgpus: Vec<VgpuId>,
}

/// `POST /v1/gpus/{gpu}/gpu-instances`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateGpuInstances {
    /// The profile of GPU instances, e.g. `1g.5gb`.
    pub profile: String,
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// Show the plan, write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

fn one() -> u32 {
    1
}

impl MigDocument {
    /// The document of one GPU; `state` is what was read of it, or why nothing could be.
    pub fn new(
        gpu: PciAddress,
        state: Result<MigState, String>,
        (observed, desired, records): (&Observed, &Desired, &Records),
    ) -> Self {
        let entry = desired.gpu(gpu);
        let (state, unknown) = match state {
            Ok(state) => (state, None),
            Err(why) => (MigState::default(), Some(why)),
        };
        let instance = |instance: GpuInstance| GpuInstanceDocument {
            ours: records.made_instance(gpu, &instance),
            vgpus: vgpus_on(gpu, instance.id, observed).map(|vgpu| vgpu.id).collect(),
            instance,
        };
        Self {
            gpu,
            label: entry.and_then(|entry| entry.label.clone()),
            vgpu_mode: entry.and_then(|entry| entry.vgpu_mode),
            unknown,
            supported: state.supported,
            enabled: state.enabled,
            pending: state.pending,
            profiles: state.profiles,
            instances: state.instances.into_iter().map(instance).collect(),
            configured: entry.map(|entry| entry.gpu_instances.clone()).unwrap_or_default(),
        }
    }
}
