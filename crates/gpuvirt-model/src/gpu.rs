//! A GPU: a card with its companion functions, and its graphics type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Framework, Holders, HostDriver, PciAddress, Profile};

/// How a GPU is used, in vSphere's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum GraphicsType {
    /// No usable host driver.
    Basic,
    /// The host's driver has it.
    Shared,
    /// Passthrough: bound to a VFIO driver, whole, for one VM.
    Direct,
    /// Its vGPUs are for VMs.
    SharedDirect,
}

impl fmt::Display for GraphicsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic => "basic",
            Self::Shared => "shared",
            Self::Direct => "direct",
            Self::SharedDirect => "shared-direct",
        })
    }
}

/// Why a text names no graphics type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a graphics type: write shared, direct or shared-direct")]
pub struct GraphicsTypeError(pub String);

impl FromStr for GraphicsType {
    type Err = GraphicsTypeError;

    /// Reads our own spelling and those of esxcli (`SharedPassthru`), vSphere's API (`sharedDirect`) and its
    /// client (`Shared Direct`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect();
        match plain.as_str() {
            "basic" => Ok(Self::Basic),
            "shared" => Ok(Self::Shared),
            "direct" => Ok(Self::Direct),
            "shareddirect" | "sharedpassthru" => Ok(Self::SharedDirect),
            _ => Err(GraphicsTypeError(text.to_owned())),
        }
    }
}

/// A GPU of the host: a card's primary function with its companions in the same slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Gpu {
    /// The primary function's address, which names the GPU.
    pub address: PciAddress,
    /// All functions of the card, the primary first.
    pub functions: Vec<PciAddress>,
    /// How vGPUs can be made on it as things are now; empty where it can't make any.
    pub frameworks: Vec<Framework>,
    /// The vGPU profiles that it offers now.
    pub profiles: Vec<Profile>,
    /// Whether a driver, not VFIO's, has the primary function.
    pub host_driver: bool,
    /// What that driver is for.
    #[serde(default)]
    pub driver: HostDriver,
    /// Whether every function that the host binds is with VFIO, the primary included.
    pub on_vfio: bool,
    /// Live vGPUs, by uuid or VF, made by anybody.
    pub live_vgpus: usize,
    /// Virtual functions that exist.
    pub live_vfs: usize,
    /// Who holds the card now.
    pub holders: Holders,
    /// How busy it is, and its memory.
    #[serde(default)]
    pub usage: GpuUsage,
}

/// How busy a card is and how much memory it has, as far as its driver tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuUsage {
    /// How busy its engines are, in percent of the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_percent: Option<u8>,
    /// Its own memory in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl Gpu {
    /// A card of these functions, the primary first, that nobody has and that makes no vGPUs.
    pub fn new(address: PciAddress, functions: Vec<PciAddress>) -> Self {
        Self {
            address,
            functions,
            frameworks: Vec::new(),
            profiles: Vec::new(),
            host_driver: false,
            driver: HostDriver::default(),
            on_vfio: false,
            live_vgpus: 0,
            live_vfs: 0,
            holders: Holders::default(),
            usage: GpuUsage::default(),
        }
    }

    /// The graphics type that is in force, from what the host shows.
    ///
    /// A card whose driver offers vGPUs and which has none alive serves both the host and future vGPUs; it is
    /// reported as `configured`, the type that was asked for, where that is one of the two, and else as `shared`.
    pub fn active_type(&self, configured: Option<GraphicsType>) -> GraphicsType {
        let shares_live = self.live_vgpus > 0 || self.live_vfs > 0;
        // Plain virtual functions are no offer of the driver's: they exist, or the card is not set up for them.
        let offered = self.frameworks.iter().any(|framework| *framework != Framework::Sriov);
        let shares_offered = offered && configured == Some(GraphicsType::SharedDirect);
        if self.on_vfio {
            GraphicsType::Direct
        } else if !self.host_driver {
            GraphicsType::Basic
        } else if shares_live || shares_offered {
            GraphicsType::SharedDirect
        } else {
            GraphicsType::Shared
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_type_is_read() {
        for (text, want) in [
            ("shared", GraphicsType::Shared),
            ("Shared", GraphicsType::Shared),
            ("Shared Direct", GraphicsType::SharedDirect),
            ("sharedDirect", GraphicsType::SharedDirect),
            ("SharedPassthru", GraphicsType::SharedDirect),
            ("shared-direct", GraphicsType::SharedDirect),
            ("DIRECT", GraphicsType::Direct),
        ] {
            assert_eq!(text.parse::<GraphicsType>(), Ok(want), "{text}");
        }
        assert!("passthrough".parse::<GraphicsType>().is_err());
        assert!("".parse::<GraphicsType>().is_err());
    }
}
