//! What the admin asked for: the desired document.

mod vgpu;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gpu::GraphicsTypeError;
use crate::{
    AssignmentPolicy, GraphicsType, PciAddress, PciIdentity, ProfileName, RefusalCode, VgpuId, VgpuMode,
    VgpuParams,
};

/// The version of the desired document that this code writes.
pub const DESIRED_VERSION: u32 = 1;

/// The desired document: host defaults, and one entry for each managed GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Desired {
    /// Format version.
    pub version: u32,
    /// Rises by one with every change.
    pub generation: u64,
    /// The host's defaults.
    #[serde(default)]
    pub host: DesiredHost,
    /// Managed GPUs. One that is not here is unmanaged, and never written to.
    #[serde(default)]
    pub gpus: Vec<DesiredGpu>,
}

/// The host's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredHost {
    /// What `default` means for a GPU.
    pub default_type: ConfiguredType,
    /// On which of several suitable GPUs a vGPU is made.
    #[serde(default, skip_serializing_if = "AssignmentPolicy::is_performance")]
    pub assignment_policy: AssignmentPolicy,
    /// Nothing more is placed on this host; what runs, runs on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub maintenance: bool,
    /// Capacity that is kept free.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reservations: Vec<Reservation>,
}

/// Capacity that is kept free for vGPUs to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reservation {
    /// The profile.
    pub profile: ProfileName,
    /// How many.
    pub count: u32,
}

/// A vGPU that the admin made: it is there after a reboot too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredVgpu {
    /// What names it.
    pub id: VgpuId,
    /// Its profile.
    pub profile: ProfileName,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "VgpuParams::is_empty")]
    pub params: VgpuParams,
}

/// When a configured type comes into force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At once; refused where it can't be.
    #[default]
    Now,
    /// As soon as nothing is in the way.
    Idle,
    /// At the next boot.
    Boot,
    /// When a VM that asks for the card starts; the host has it back when the VM has stopped.
    Vm,
}

impl When {
    /// Nothing to be said of it.
    pub fn is_now(&self) -> bool {
        *self == Self::Now
    }
}

/// Why a text names no time for a type to come into force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time for a type to come into force: write now, idle, boot or vm")]
pub struct WhenError(pub String);

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Now, Self::Idle, Self::Boot, Self::Vm];
        all.into_iter().find(|when| when.to_string() == text).ok_or_else(|| WhenError(text.to_owned()))
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "now",
            Self::Idle => "idle",
            Self::Boot => "boot",
            Self::Vm => "vm",
        })
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` passes a reference
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Default for DesiredHost {
    fn default() -> Self {
        Self {
            default_type: ConfiguredType::Shared,
            assignment_policy: AssignmentPolicy::default(),
            maintenance: false,
            reservations: Vec::new(),
        }
    }
}

/// What one managed GPU is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredGpu {
    /// Where it sits.
    pub address: PciAddress,
    /// What it is; another card at the address is a refusal.
    pub identity: PciIdentity,
    /// The type asked for.
    #[serde(rename = "type")]
    pub graphics_type: ConfiguredType,
    /// The admin's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Refusals that the admin accepted for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<RefusalCode>,
    /// When the type comes into force.
    #[serde(default, skip_serializing_if = "When::is_now")]
    pub when: When,
    /// The boot in which `boot` was asked for: it is meant for a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_in: Option<Uuid>,
    /// Which profiles may live together on it, where the admin chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vgpu_mode: Option<VgpuMode>,
    /// How many virtual functions it gets, where the admin chose; else as many as it can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf_count: Option<u16>,
    /// GPU instances by profile (`1g.5gb`), one entry for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu_instances: Vec<String>,
    /// vGPUs that the admin made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vgpus: Vec<DesiredVgpu>,
    /// Nothing more is placed on it; what runs, runs on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cordoned: bool,
}

impl DesiredGpu {
    /// A GPU that is to be `graphics_type` at once, and nothing else asked for.
    pub fn new(address: PciAddress, identity: PciIdentity, graphics_type: ConfiguredType) -> Self {
        Self {
            address,
            identity,
            graphics_type,
            label: None,
            accepted: Vec::new(),
            when: When::Now,
            asked_in: None,
            vgpu_mode: None,
            vf_count: None,
            gpu_instances: Vec::new(),
            vgpus: Vec::new(),
            cordoned: false,
        }
    }

    /// Whether it was asked for in this boot and for the next: until then the card is what it was before.
    pub fn waits_for_a_boot(&self, boot: Option<Uuid>) -> bool {
        self.when == When::Boot && self.asked_in.is_some() && self.asked_in == boot
    }
}

/// A type that can be asked for. `basic` can't: it is the lack of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ConfiguredType {
    /// Follow the host's default type.
    Default,
    /// The host's driver has it.
    Shared,
    /// Passthrough.
    Direct,
    /// vGPUs.
    SharedDirect,
}

impl ConfiguredType {
    /// The type that this asks for, given the host's default.
    pub fn resolve(self, host: &DesiredHost) -> GraphicsType {
        match self {
            Self::Shared => GraphicsType::Shared,
            Self::Direct => GraphicsType::Direct,
            Self::SharedDirect => GraphicsType::SharedDirect,
            Self::Default => match host.default_type {
                Self::SharedDirect => GraphicsType::SharedDirect,
                Self::Default | Self::Shared | Self::Direct => GraphicsType::Shared,
            },
        }
    }
}

impl fmt::Display for ConfiguredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Shared => "shared",
            Self::Direct => "direct",
            Self::SharedDirect => "shared-direct",
        })
    }
}

impl FromStr for ConfiguredType {
    type Err = GraphicsTypeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("default") {
            return Ok(Self::Default);
        }
        match text.parse()? {
            GraphicsType::Shared => Ok(Self::Shared),
            GraphicsType::Direct => Ok(Self::Direct),
            GraphicsType::SharedDirect => Ok(Self::SharedDirect),
            GraphicsType::Basic => Err(GraphicsTypeError(text.to_owned())),
        }
    }
}

impl Default for Desired {
    fn default() -> Self {
        Self { version: DESIRED_VERSION, generation: 0, host: DesiredHost::default(), gpus: Vec::new() }
    }
}

impl Desired {
    /// The entry of a managed GPU.
    pub fn gpu(&self, address: PciAddress) -> Option<&DesiredGpu> {
        // Every document that we write is in the order of the addresses; one that somebody wrote by hand may not be.
        let found = self.gpus.binary_search_by_key(&address, |gpu| gpu.address).ok();
        found
            .and_then(|index| self.gpus.get(index))
            .or_else(|| self.gpus.iter().find(|gpu| gpu.address == address))
    }

    /// The addresses of the GPUs with this label: a kind of cards may share one.
    pub fn labelled(&self, label: &str) -> Vec<PciAddress> {
        self.gpus.iter().filter(|gpu| gpu.label.as_deref() == Some(label)).map(|gpu| gpu.address).collect()
    }

    /// The document with `entry` in it, replacing an earlier one for the same address, one generation on.
    #[must_use]
    pub fn with_gpu(&self, entry: DesiredGpu) -> Self {
        let mut next = self.without_gpu(entry.address);
        next.gpus.push(entry);
        next.gpus.sort_by_key(|gpu| gpu.address);
        next
    }

    /// The document with other defaults of the host, one generation on.
    #[must_use]
    pub fn with_host(&self, host: DesiredHost) -> Self {
        Self { host, generation: self.generation.saturating_add(1), ..self.clone() }
    }

    /// The document without an entry for this address, one generation on.
    #[must_use]
    pub fn without_gpu(&self, address: PciAddress) -> Self {
        let mut next = self.clone();
        next.gpus.retain(|gpu| gpu.address != address);
        next.generation = self.generation.saturating_add(1);
        next
    }
}
