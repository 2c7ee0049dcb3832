//! What we did to the host and must be able to take back: nothing else may be removed by us.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    DriverName, Framework, Function, GpuInstance, GpuInstanceRecord, PciAddress, PciIdentity, PowerControl,
    ProfileName, Vgpu, VgpuId, VgpuMode,
};

/// What is ours, and how things were before us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Records {
    /// Format version.
    #[serde(default = "version")]
    pub version: u32,
    /// How the host had each function before it was taken from it: where the way back leads.
    #[serde(default)]
    pub host_bindings: BTreeMap<PciAddress, HostBinding>,
    /// The vGPUs that we made.
    #[serde(default)]
    pub vgpus: BTreeMap<VgpuId, VgpuRecord>,
    /// The virtual functions that we enabled, by physical function.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vfs: BTreeMap<PciAddress, VfsRecord>,
    /// The GPU instances that we made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu_instances: Vec<GpuInstanceRecord>,
    /// The vGPU modes that we set and that no file of the kernel's shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vgpu_modes: BTreeMap<PciAddress, VgpuModeRecord>,
}

/// A vGPU mode of our setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VgpuModeRecord {
    /// The mode.
    pub mode: VgpuMode,
    /// The boot in which it was set, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Uuid>,
}

/// Virtual functions of our making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VfsRecord {
    /// How many.
    pub count: u16,
    /// `sriov_drivers_autoprobe` as it was before: where the way back leads.
    pub autoprobe_before: bool,
    /// The boot in which they were enabled, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Uuid>,
}

fn version() -> u32 {
    1
}

/// How the host had a function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostBinding {
    /// The driver that had it.
    pub driver: Option<DriverName>,
    /// Its `driver_override`.
    pub driver_override: Option<DriverName>,
    /// What it was: another function at the address is another function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PciIdentity>,
    /// Its `power/control`, which VFIO sets to its own liking when it comes and when it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_control: Option<PowerControl>,
}

fn mdev() -> Framework {
    Framework::Mdev
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_mdev(framework: &Framework) -> bool {
    *framework == Framework::Mdev
}

impl Records {
    /// These records without what a reboot took: virtual functions, and what they were.
    ///
    /// Their addresses come again and may then be somebody else's vGPUs. A uuid does not: those records stay.
    #[must_use]
    pub fn of_boot(mut self, boot: Option<Uuid>) -> Self {
        let gone = |made: Option<Uuid>| made.zip(boot).is_some_and(|(made, now)| made != now);
        self.vgpus.retain(|id, record| id.vf().is_none() || !gone(record.boot));
        self.vfs.retain(|_, record| !gone(record.boot));
        self.gpu_instances.retain(|record| !gone(record.boot));
        self.vgpu_modes.retain(|_, record| !gone(record.boot));
        self
    }

    /// Whether a live vGPU is of our making.
    ///
    /// Its name alone does not tell: a virtual function's address stays when its vGPU has gone, and somebody else can
    /// make a mediated device of the same uuid. So its parent and its type must be those that we recorded, the type as
    /// far as it shows.
    pub fn made(&self, vgpu: &Vgpu) -> bool {
        let record = self.vgpus.get(&vgpu.id);
        record.is_some_and(|record| {
            record.parent == vgpu.parent && (vgpu.removing || record.type_id == vgpu.type_id)
        })
    }

    /// Whether a live GPU instance is of our making.
    pub fn made_instance(&self, gpu: PciAddress, instance: &GpuInstance) -> bool {
        self.gpu_instances.iter().any(|record| record.is_of(gpu, instance))
    }

    /// How the host had this function, as far as it is the same one.
    pub fn host_binding(&self, function: &Function) -> Option<&HostBinding> {
        let recorded = self.host_bindings.get(&function.address)?;
        (recorded.identity == Some(function.identity)).then_some(recorded)
    }
}

/// A vGPU of our making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VgpuRecord {
    /// The function that it was made on.
    pub parent: PciAddress,
    /// The driver's type.
    pub type_id: String,
    /// The profile asked for.
    pub profile: ProfileName,
    /// How it was made. Files of before there was a choice say nothing.
    #[serde(default = "mdev", skip_serializing_if = "is_mdev")]
    pub framework: Framework,
    /// The boot in which it was made, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Uuid>,
    /// The domain for whose start it was made: it ends with that, and is never restored. None: the admin made it, and
    /// the desired document has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Uuid>,
    /// The name that it was asked for by, where a virtual function's address became its name: asked for again by that, it is
    /// there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_as: Option<Uuid>,
}
