//! A domain's guest as far as VFIO minds it: memory that is locked for devices, and an IOMMU of the guest's own.

use serde::{Deserialize, Serialize};

/// What of a guest decides whether it can have devices of the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Guest {
    /// All its memory in KiB, memory devices included (`<memory>`); none where it is not written or makes no sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_kib: Option<u64>,
    /// The most memory in KiB that its QEMU may have, and lock (`<memtune><hard_limit>`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard_limit_kib: Option<u64>,
    /// Its memory is of huge pages, all of one size (`<memoryBacking><hugepages>`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<HugePages>,
    /// The host's NUMA node that all its memory is on (`<numatune>`), where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u32>,
    /// The IOMMU that it has itself (`<iommu>`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viommu: Option<Viommu>,
}

/// The huge pages of a guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HugePages {
    /// Of the size that is the host's default.
    HostDefault,
    /// Of this size in KiB.
    Kib(u64),
    /// Of several sizes, or for some NUMA nodes only.
    Several,
}

/// A guest's IOMMU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Viommu {
    /// libvirt's model: `intel`, `amd`, `virtio`, `smmuv3`.
    pub model: String,
    /// Its caching mode is on: with Intel's, QEMU learns of mappings only then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caching_mode: bool,
}

impl Guest {
    /// Nothing of it is known or out of the ordinary.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// The host's memory, as the kernel reckons it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// All of it in KiB.
    pub total_kib: u64,
    /// What programs can have without swapping, in KiB, and what swap takes besides.
    pub available_kib: u64,
    /// What a file system caches beside the page cache and gives back under pressure (ZFS), in KiB.
    pub cached_elsewhere_kib: u64,
    /// The size of huge pages that is meant where none is named, in KiB.
    pub default_huge_page_kib: Option<u64>,
    /// Huge pages that a new program can have, by their size in KiB.
    pub free_huge_pages: std::collections::BTreeMap<u64, u64>,
}
