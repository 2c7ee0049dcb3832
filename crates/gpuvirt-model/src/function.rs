//! One PCI function as the host shows it.

use serde::{Deserialize, Serialize};

use crate::{Bar, DriverBinding, PciAddress, PciIdentity, PowerControl, Reading, Unknown};

/// A PCI function: one entry of `/sys/bus/pci/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Function {
    /// Where it sits.
    pub address: PciAddress,
    /// What it is.
    pub identity: PciIdentity,
    /// The vendor's name from pci.ids, when that file is there and has it.
    pub vendor_name: Option<String>,
    /// The device's name from pci.ids.
    pub device_name: Option<String>,
    /// What it is bound to.
    pub binding: DriverBinding,
    /// Its IOMMU group; none: no translation for this function.
    pub iommu_group: Option<u32>,
    /// The NUMA node; none where the firmware names none (`-1`).
    pub numa_node: Option<u32>,
    /// The windows that have a size.
    pub bars: Vec<Bar>,
    /// Reset methods that the kernel would try, in its order; empty: the function can't be reset.
    pub reset_methods: Reading<Vec<String>>,
    /// `boot_vga`: the firmware's display; the file exists for VGA-class functions only.
    pub boot_vga: Option<bool>,
    /// `boot_display`, on kernels that have it.
    pub boot_display: Option<bool>,
    /// SR-IOV, on a physical function that has it.
    pub sriov: Option<Sriov>,
    /// On a virtual function: its physical function.
    pub physfn: Option<PciAddress>,
    /// DRM nodes, e.g. `card0`, `renderD128`.
    pub drm_nodes: Vec<String>,
    /// Other device nodes below /dev that belong to it, e.g. `fb0`, `snd/pcmC0D0p`, `vfio/12`, `nvidia0`.
    pub device_nodes: Vec<String>,
    /// The VFIO device's name below `vfio-dev/`, when a VFIO driver has the function.
    pub vfio_device: Option<String>,
    /// `power_state`, e.g. `D0`, `D3cold`.
    pub power_state: Option<String>,
    /// `power/control`, of what may change hands: not of a virtual function that a host driver has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_control: Option<PowerControl>,
    /// A type 0 header: an endpoint, the only kind that can be given to a VM.
    pub endpoint: bool,
    /// Config space reads as all ones: the function has fallen off the bus or is in D3cold.
    pub unresponsive: bool,
    /// The kernel holds the function's lock, for a write of anybody's that waits: its `driver_override` could not be
    /// read, and whatever is written to it would wait too.
    /// Left out of JSON where it does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    /// Why `binding` can't be relied on: a file that could not be read or understood. None: it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_unknown: Option<String>,
    /// Files that are missing or make no sense, in words that name file and value.
    pub oddities: Vec<String>,
}

/// A physical function's SR-IOV side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sriov {
    /// `sriov_totalvfs`.
    pub total: u16,
    /// How many are enabled: the `virtfnN` links, since reading `sriov_numvfs` waits for the device's lock on some
    /// kernels.
    pub enabled: u16,
    /// `sriov_drivers_autoprobe`: new VFs are bound by the kernel.
    pub drivers_autoprobe: bool,
    /// The virtual functions that exist, in the order of `virtfnN`.
    pub vfs: Vec<PciAddress>,
}

impl Function {
    /// An endpoint of which nothing more is known than where and what it is: no driver, no group, nothing on it.
    pub fn new(address: PciAddress, identity: PciIdentity) -> Self {
        Self {
            address,
            identity,
            vendor_name: None,
            device_name: None,
            binding: DriverBinding { driver: None, driver_override: None },
            iommu_group: None,
            numa_node: None,
            bars: Vec::new(),
            reset_methods: Reading::Unknown(Unknown::NotRecorded),
            boot_vga: None,
            boot_display: None,
            sriov: None,
            physfn: None,
            drm_nodes: Vec::new(),
            device_nodes: Vec::new(),
            vfio_device: None,
            power_state: None,
            power_control: None,
            endpoint: true,
            unresponsive: false,
            locked: false,
            binding_unknown: None,
            oddities: Vec::new(),
        }
    }

    /// Sum of all memory BARs, in bytes: what a guest's MMIO window must hold.
    pub fn bar_bytes(&self) -> u64 {
        self.bars.iter().filter(|bar| bar.memory).fold(0, |sum, bar| sum.saturating_add(bar.size))
    }

    /// Bound to a VFIO driver, and so a guest's to take.
    pub fn on_vfio(&self) -> bool {
        self.binding.driver.as_ref().is_some_and(|driver| driver.is_vfio())
    }
}
