//! How everything was that a plan can change: where undo leads.
//!
//! It is taken when the plan is made and durable before the first write. It only tells; [`undo`](crate::undo) leads back.

use std::collections::BTreeMap;

use gpuvirt_model::{
    DriverBinding, Function, PciAddress, PciIdentity, PowerControl, UnitName, VgpuId, VgpuParams,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::setting::{MdevPlace, MigLayout, MixedSizeSetting, VfSetting};

/// The values that steps can change, at one moment: where undo leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Functions and what they are bound to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bindings: BTreeMap<PciAddress, DriverBinding>,
    /// What these functions are: after a reboot another device may sit at the address, which is not led anywhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identities: BTreeMap<PciAddress, PciIdentity>,
    /// Functions that change hands, and their `power/control`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub power_control: BTreeMap<PciAddress, PowerControl>,
    /// Mediated devices that exist (with their place) or don't.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mdevs: BTreeMap<Uuid, Option<MdevPlace>>,
    /// Virtual functions of NVIDIA's, and the vGPU type that each has; 0 is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vgpu_types: BTreeMap<PciAddress, u32>,
    /// vGPUs and their parameters. One that the plan makes is not in it: its parameters go with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vgpu_params: BTreeMap<VgpuId, VgpuParams>,
    /// Physical functions, and how they had their virtual ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vfs: BTreeMap<PciAddress, VfSetting>,
    /// Cards, and how their GPU instances were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mig: BTreeMap<PciAddress, MigLayout>,
    /// Cards, and whether sizes of vGPUs could be mixed on them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mixed_sizes: BTreeMap<PciAddress, MixedSizeSetting>,
    /// Services that ran and are stopped meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<UnitName>,
}

impl Snapshot {
    /// How `function` was bound, if the snapshot has it and the function is the same device still.
    pub fn binding_of(&self, function: &Function) -> Option<&DriverBinding> {
        self.bindings.get(&function.address).filter(|_| self.is_same(function))
    }

    /// Whether `function` is the device that the snapshot has at its address, as far as it tells.
    pub fn is_same(&self, function: &Function) -> bool {
        let known = self.identities.get(&function.address);
        known.is_none_or(|identity| *identity == function.identity)
    }

    /// Whether the snapshot tells how a vGPU was.
    pub fn has_vgpu(&self, id: VgpuId) -> bool {
        match id {
            VgpuId::Mdev(uuid) => self.mdevs.contains_key(&uuid),
            VgpuId::Vf(vf) => self.vgpu_types.contains_key(&vf) || self.bindings.contains_key(&vf),
        }
    }
}
