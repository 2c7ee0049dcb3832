//! Which attributes of a device are recorded: those that gpuvirt itself reads, and what helps to understand them.
//!
//! A list, and no walk over everything that is there: drivers have attributes whose reading wakes a card, takes a second
//! (amdgpu's `pcie_bw`) or tells what is nobody's business, and new ones come with every kernel. What a driver answers from
//! memory is always read. What the kernel reads from the card is read of a card that is awake: `config`, the link's state and
//! the sizes of windows resume a card in D3cold and the bridge above it (`pci_config_pm_runtime_get` in
//! drivers/pci/pci-sysfs.c). Nothing here reads a window, a ROM or vital product data.

/// What may be done with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The kernel answers from memory.
    Always,
    /// The kernel, or the card's driver, asks the card.
    Awake,
    /// Reading it would be an error, wake the device or tell too much: that it exists is recorded.
    Existence,
    /// Its kernel may take the device's lock to answer.
    MayBlock,
    /// It is not recorded.
    Never,
}

/// Attributes of a PCI function that the PCI core answers from memory; of amdgpu's own, the size of its memory alone.
const OF_FUNCTIONS: [&str; 32] = [
    "ari_enabled",
    "boot_display",
    "boot_vga",
    "class",
    "consistent_dma_mask_bits",
    "d3cold_allowed",
    "device",
    "dma_mask_bits",
    "enable",
    "irq",
    "local_cpulist",
    "local_cpus",
    "mem_info_vram_total",
    "modalias",
    "msi_bus",
    "numa_node",
    "power/control",
    "power/runtime_enabled",
    "power/runtime_status",
    "power_state",
    "reset_method",
    "resource",
    "revision",
    "sriov_drivers_autoprobe",
    "sriov_offset",
    "sriov_stride",
    "sriov_totalvfs",
    "sriov_vf_device",
    "sriov_vf_total_msix",
    "subsystem_device",
    "subsystem_vendor",
    "vendor",
];
/// Of a PCI function, what takes the card: config space and what is read from it, and how busy it is.
const OF_AWAKE_FUNCTIONS: [&str; 6] = [
    "config",
    "current_link_speed",
    "current_link_width",
    "gpu_busy_percent",
    "max_link_speed",
    "max_link_width",
];
/// `driver_override_show` took the device's lock before the override moved into struct device.
const UNDER_LOCK: [&str; 1] = ["driver_override"];
/// Folders of drivers with vGPU types and parameters: answered from memory, or by a manager process, and read by every listing.
const TYPES: [&str; 2] = ["mdev_supported_types", "nvidia"];
/// A folder in which xe tells and takes what virtual functions get, for which it holds the card awake.
const AWAKE_FOLDERS: [&str; 1] = ["sriov_admin"];
/// Files that can only be written: that they exist is recorded.
const WRITE_ONLY: [&str; 7] =
    ["create", "remove", "rescan", "reset", "reset_subordinate", "rotate_all", "sriov_vf_msix_count"];
/// Only a bridge has numbers of buses, which is what they tell: they themselves are in its config space. A ROM's content is
/// its maker's, and reading it touches the card.
const TELLING: [&str; 3] = ["rom", "secondary_bus_number", "subordinate_bus_number"];
/// Attributes of what is no PCI function: names, numbers, and what an IOMMU unit says that it can. The `id` of a sound card is
/// no such name: people give it, and of what is plugged in it tells whose it is.
const OF_OTHERS: [&str; 15] = [
    "amd-iommu/cap",
    "amd-iommu/features",
    "bind",
    "bits_per_pixel",
    "dev",
    "intel-iommu/address",
    "intel-iommu/cap",
    "intel-iommu/domains_supported",
    "intel-iommu/domains_used",
    "intel-iommu/ecap",
    "intel-iommu/version",
    "name",
    "number",
    "power/runtime_status",
    "virtual_size",
];

/// What may be done with an attribute of a device of this subsystem, by its path below the device.
pub(crate) fn reading(subsystem: &str, key: &str) -> Reading {
    let name = key.rsplit('/').next().unwrap_or(key);
    if WRITE_ONLY.contains(&name) || (subsystem == "pci" && TELLING.contains(&key)) {
        return Reading::Existence;
    }
    let folder = key.split_once('/').map(|(folder, _)| folder);
    if folder.is_some_and(|folder| TYPES.contains(&folder)) {
        return Reading::Always;
    }
    match subsystem {
        "pci" if OF_FUNCTIONS.contains(&key) => Reading::Always,
        "pci" if UNDER_LOCK.contains(&key) => Reading::MayBlock,
        "pci" if OF_AWAKE_FUNCTIONS.contains(&key) || is_resize(key) => Reading::Awake,
        "pci" if folder.is_some_and(|folder| AWAKE_FOLDERS.contains(&folder)) => Reading::Awake,
        "pci" => Reading::Never,
        _ if OF_OTHERS.contains(&key) => Reading::Always,
        _ => Reading::Never,
    }
}

/// `resource0_resize`: the sizes that a window can have, which are in config space.
fn is_resize(key: &str) -> bool {
    let number = key.strip_prefix("resource").and_then(|rest| rest.strip_suffix("_resize"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_the_card_is_read_of_an_awake_one_alone() {
        for (subsystem, key, want) in [
            ("pci", "vendor", Reading::Always),
            ("pci", "power/runtime_status", Reading::Always),
            ("pci", "driver_override", Reading::MayBlock),
            ("pci", "config", Reading::Awake),
            ("pci", "resource0_resize", Reading::Awake),
            ("pci", "current_link_speed", Reading::Awake),
            ("pci", "gpu_busy_percent", Reading::Awake),
            ("pci", "sriov_admin/vf1/profile/exec_quantum_ms", Reading::Awake),
            ("pci", "mdev_supported_types/nvidia-1/available_instances", Reading::Always),
            ("pci", "nvidia/current_vgpu_type", Reading::Always),
            ("mdev", "nvidia/vgpu_params", Reading::Always),
            ("pci", "mdev_supported_types/nvidia-1/create", Reading::Existence),
            ("pci", "reset", Reading::Existence),
            // Windows, secrets, and what drivers have besides.
            ("pci", "resource0", Reading::Never),
            ("pci", "resource0_wc", Reading::Never),
            ("pci", "rom", Reading::Existence),
            ("pci", "secondary_bus_number", Reading::Existence),
            ("pci", "vpd", Reading::Never),
            ("pci", "unique_id", Reading::Never),
            ("pci", "pcie_bw", Reading::Never),
            ("pci", "pp_dpm_sclk", Reading::Never),
            ("pci", "sriov_numvfs", Reading::Never),
            ("drm", "gt/gt0/rc6_residency_ms", Reading::Never),
            ("drm", "error", Reading::Never),
            ("drm", "edid", Reading::Never),
            ("drm", "dev", Reading::Always),
            ("vtconsole", "bind", Reading::Always),
            ("sound", "number", Reading::Always),
            ("sound", "id", Reading::Never),
            ("iommu", "intel-iommu/cap", Reading::Always),
            ("net", "address", Reading::Never),
        ] {
            assert_eq!(reading(subsystem, key), want, "{subsystem} {key}");
        }
    }
}
