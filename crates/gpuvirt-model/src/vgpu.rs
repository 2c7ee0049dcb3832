//! vGPUs: the shares of a GPU that exist now.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Holders, PciAddress, ProfileName};

/// How vGPUs are made on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framework {
    /// Mediated devices (`mdev_supported_types`), on the card or on each of its virtual functions.
    Mdev,
    /// Plain SR-IOV virtual functions.
    Sriov,
    /// NVIDIA's vendor-specific VFIO on virtual functions (`nvidia/current_vgpu_type`).
    NvidiaVfio,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mdev => "mdev",
            Self::Sriov => "sriov",
            Self::NvidiaVfio => "nvidia-vfio",
        })
    }
}

/// A live mediated device.
///
/// The kernel keeps its uuid as the folder's name and its parent as the folder above; there are no files for them
/// (drivers/vfio/mdev/mdev_sysfs.c).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vgpu {
    /// Its uuid, unique on the host.
    pub uuid: Uuid,
    /// The function that it was made on.
    pub parent: PciAddress,
    /// The GPU that the parent belongs to.
    pub gpu: PciAddress,
    /// How it was made.
    pub framework: Framework,
    /// The driver's type, e.g. `nvidia-231`.
    pub type_id: String,
    /// The profile's name.
    pub profile: ProfileName,
    /// Its IOMMU group.
    pub iommu_group: Option<u32>,
    /// Its removal has begun and waits for whoever has it open: it has left the bus, and its type is not shown any
    /// more, but it lives, takes its memory, and its VM runs on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removing: bool,
    /// Who holds it now.
    pub holders: Holders,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` passes a reference
fn is_false(flag: &bool) -> bool {
    !flag
}
