//! vGPUs: the shares of a GPU that exist now.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Holders, Hostdev, PciAddress, ProfileName, Reading, VgpuParams};

/// How vGPUs are made on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// What names a vGPU on its host: one text, in documents and on command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7])$")))]
pub enum VgpuId {
    /// A mediated device, by the uuid that it was created with.
    ///
    /// The kernel keeps it as the folder's name and the parent as the folder above; there are no files for them
    /// (drivers/vfio/mdev/mdev_sysfs.c).
    Mdev(Uuid),
    /// A virtual function, by its address: it is the vGPU itself, and there is one on it at most.
    Vf(PciAddress),
}

/// Why a text names no vGPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no vGPU: write a uuid, or the address of a virtual function")]
pub struct VgpuIdError(pub String);

impl VgpuId {
    /// The uuid of a mediated device.
    pub fn uuid(self) -> Option<Uuid> {
        match self {
            Self::Mdev(uuid) => Some(uuid),
            Self::Vf(_) => None,
        }
    }

    /// The address of a virtual function.
    pub fn vf(self) -> Option<PciAddress> {
        match self {
            Self::Mdev(_) => None,
            Self::Vf(address) => Some(address),
        }
    }

    /// The host device by which a domain has it.
    pub fn hostdev(self) -> Hostdev {
        match self {
            Self::Mdev(uuid) => Hostdev::Mdev { uuid },
            Self::Vf(address) => Hostdev::Pci { address, managed: false },
        }
    }
}

impl fmt::Display for VgpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mdev(uuid) => uuid.fmt(f),
            Self::Vf(address) => address.fmt(f),
        }
    }
}

impl FromStr for VgpuId {
    type Err = VgpuIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid = Uuid::try_parse(text).map(Self::Mdev);
        uuid.or_else(|_| PciAddress::parse(text).map(Self::Vf)).map_err(|_| VgpuIdError(text.to_owned()))
    }
}

impl TryFrom<String> for VgpuId {
    type Error = VgpuIdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<VgpuId> for String {
    fn from(id: VgpuId) -> Self {
        id.to_string()
    }
}

impl From<Uuid> for VgpuId {
    fn from(uuid: Uuid) -> Self {
        Self::Mdev(uuid)
    }
}

/// A live vGPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Vgpu {
    /// What names it.
    pub id: VgpuId,
    /// The same where that is a uuid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// The function that it was made on; a virtual function is its own.
    pub parent: PciAddress,
    /// The GPU that the parent belongs to.
    pub gpu: PciAddress,
    /// How it was made.
    pub framework: Framework,
    /// The driver's type, e.g. `nvidia-231`, or its number on a virtual function of NVIDIA's, e.g. `1145`.
    pub type_id: String,
    /// The profile's name.
    pub profile: ProfileName,
    /// Its IOMMU group.
    pub iommu_group: Option<u32>,
    /// The GPU instance that it lives on, as its driver says. It means something only while MIG mode is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_instance: Option<u32>,
    /// Where on a card with mixed sizes it sits, as its driver says (`placement_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_id: Option<u32>,
    /// Its removal has begun and waits for whoever has it open: it has left the bus, and its type is not shown any
    /// more, but it lives, takes its memory, and its VM runs on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removing: bool,
    /// Its parameters as its driver shows them; none: the driver takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Reading<VgpuParams>>,
    /// Who holds it now.
    pub holders: Holders,
}

impl Vgpu {
    /// The parameters that it is known to have.
    pub fn known_params(&self) -> Option<&VgpuParams> {
        self.params.as_ref()?.known()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` passes a reference
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_a_mediated_device_or_a_virtual_function() {
        let uuid = Uuid::from_u128(7);
        let vf = PciAddress { domain: 0, bus: 0x41, slot: 0, function: 4 };
        for (text, want, shown) in [
            (
                "00000000-0000-0000-0000-000000000007",
                VgpuId::Mdev(uuid),
                "00000000-0000-0000-0000-000000000007",
            ),
            ("0000:41:00.4", VgpuId::Vf(vf), "0000:41:00.4"),
            ("41:00.4", VgpuId::Vf(vf), "0000:41:00.4"),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
            assert_eq!(want.to_string(), shown);
            assert_eq!(serde_json::to_string(&want).unwrap(), format!("{shown:?}"));
            assert_eq!(serde_json::from_str::<VgpuId>(&format!("{text:?}")).unwrap(), want);
        }
        for text in ["", "vm-1", "41:00", "0000:41:00.4/..", "zz"] {
            assert!(text.parse::<VgpuId>().is_err(), "{text}");
        }
    }
}
