//! What the admin asked for: the desired document.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::gpu::GraphicsTypeError;
use crate::{GraphicsType, PciAddress, PciIdentity, RefusalCode};

/// The version of the desired document that this code writes.
pub const DESIRED_VERSION: u32 = 1;

/// The desired document: host defaults, and one entry for each managed GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredHost {
    /// What `default` means for a GPU.
    pub default_type: ConfiguredType,
}

impl Default for DesiredHost {
    fn default() -> Self {
        Self { default_type: ConfiguredType::Shared }
    }
}

/// What one managed GPU is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// A type that can be asked for. `basic` can't: it is the lack of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
        self.gpus.iter().find(|gpu| gpu.address == address)
    }

    /// The address of the GPU with this label.
    pub fn labelled(&self, label: &str) -> Option<PciAddress> {
        self.gpus.iter().find(|gpu| gpu.label.as_deref() == Some(label)).map(|gpu| gpu.address)
    }

    /// The document with `entry` in it, replacing an earlier one for the same address, one generation on.
    #[must_use]
    pub fn with_gpu(&self, entry: DesiredGpu) -> Self {
        let mut next = self.without_gpu(entry.address);
        next.gpus.push(entry);
        next.gpus.sort_by_key(|gpu| gpu.address);
        next
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
