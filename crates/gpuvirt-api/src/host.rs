//! The host's defaults as they are shown.

use gpuvirt_model::{AssignmentPolicy, ConfiguredType, Desired, PciAddress, Reservation, VgpuMode};
use serde::{Deserialize, Serialize};

/// The host's defaults, and the GPUs that they concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostDocument {
    /// What `default` means for a GPU.
    pub default_type: ConfiguredType,
    /// The GPUs that follow it.
    pub following: Vec<PciAddress>,
    /// On which of several suitable GPUs a vGPU is made.
    pub assignment_policy: AssignmentPolicy,
    /// The GPUs on which it does not act: mixed-size and MIG have rules of their own.
    pub policy_not_in_effect: Vec<NotInEffect>,
    /// Nothing more is placed on this host.
    pub maintenance: bool,
    /// GPUs on which nothing more is placed.
    pub cordoned: Vec<PciAddress>,
    /// Capacity that is kept free.
    pub reservations: Vec<Reservation>,
}

/// A GPU on which the assignment policy does not act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotInEffect {
    /// The GPU.
    pub gpu: PciAddress,
    /// Its vGPU mode.
    pub mode: VgpuMode,
}

impl HostDocument {
    /// What the admin asked for, of the host as a whole.
    pub fn new(desired: &Desired) -> Self {
        let gpus = || desired.gpus.iter();
        let other_rule = |mode: &VgpuMode| *mode != VgpuMode::SameSize;
        Self {
            default_type: desired.host.default_type,
            following: gpus()
                .filter(|gpu| gpu.graphics_type == ConfiguredType::Default)
                .map(|gpu| gpu.address)
                .collect(),
            assignment_policy: desired.host.assignment_policy,
            policy_not_in_effect: gpus()
                .filter_map(|gpu| {
                    Some(NotInEffect { gpu: gpu.address, mode: gpu.vgpu_mode.filter(other_rule)? })
                })
                .collect(),
            maintenance: desired.host.maintenance,
            cordoned: gpus().filter(|gpu| gpu.cordoned).map(|gpu| gpu.address).collect(),
            reservations: desired.host.reservations.clone(),
        }
    }
}
