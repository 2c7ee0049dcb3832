//! vGPU profiles: what a VM asks for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Framework, PciAddress};

/// A profile's name as a VM asks for it: stable over driver releases, unlike the driver's own numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ProfileName(pub String);

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a profile is made for, the letter at the end of its name (NVIDIA vGPU software documentation, "vGPU types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProfileClass {
    /// `Q`: workstations, all APIs.
    Workstation,
    /// `C`: computing, no display licence.
    Compute,
    /// `A`: published applications.
    Application,
    /// `B`: office desktops.
    Desktop,
}

/// How vGPUs of a profile share the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Taking turns on all of it.
    TimeSliced,
    /// Each on a GPU instance.
    MigBacked,
    /// Each on a part of the hardware that SR-IOV cuts.
    Partitioned,
}

/// A vGPU profile as one parent function offers it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The name to ask for: the type's `name` in lower case with `_` for spaces, or the driver's type id where
    /// it has no name.
    pub name: ProfileName,
    /// The function on which such a vGPU is created.
    pub parent: PciAddress,
    /// How it is made.
    pub framework: Framework,
    /// The driver's own identifier, e.g. the folder `nvidia-231` below `mdev_supported_types`.
    pub type_id: String,
    /// The driver's own name for it, as shown.
    pub title: String,
    /// What the guest's driver talks to, e.g. `vfio-pci`.
    pub device_api: String,
    /// How many can be created now; capacity is shared between profiles, so it is re-read after each creation.
    pub available: u32,
    /// How many fit on the empty card, when the driver says.
    pub max: Option<u32>,
    /// Frame buffer in MiB, when the driver says.
    pub framebuffer_mib: Option<u64>,
    /// What it is made for, where its name says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ProfileClass>,
    /// How it shares the card, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Virtual display heads, when the driver says.
    pub heads: Option<u32>,
    /// Largest resolution, e.g. `5120x2880`, when the driver says.
    pub max_resolution: Option<String>,
    /// Why none can be created there now, in words. Filled where a listing is made, from the whole picture; the
    /// inventory leaves it empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
}
