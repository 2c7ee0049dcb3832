//! What other tools' files say of GPUs: driverctl, mdevctl, `vfio-pci.ids=`, Proxmox.
//!
//! As read, nothing concluded: which GPU is meant and what becomes of it is planned elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{PciAddress, PciDeviceId, VgpuParams};

/// Everything that other tools' files say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForeignSetup {
    /// Overrides of driverctl's, and of udev's rules.
    pub overrides: Vec<DriverOverride>,
    /// mdevctl's definitions.
    pub mdevs: Vec<MdevDefinition>,
    /// What `vfio-pci` is told to take by vendor and device; of one place in the order in which it stands there.
    pub vfio_ids: Vec<VfioIds>,
    /// `vfio-pci` is no module, but part of the kernel.
    pub vfio_built_in: bool,
    /// What keeps host drivers away from cards.
    pub kept_away: Vec<KeptAway>,
    /// Host devices of Proxmox guests.
    pub hostpci: Vec<HostPci>,
    /// Files and lines that are not understood, each with what is wrong.
    pub oddities: Vec<String>,
}

/// Where something is said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The file, or `libvirt` for a domain's definition.
    pub path: String,
    /// The line, from 1, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The line on which it ends, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<usize>,
    /// Other things are said there too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub and_more: bool,
}

/// A driver that driverctl binds a function to at each boot (`/etc/driverctl.d/pci-ADDRESS`), or a rule of udev's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverOverride {
    /// The function.
    pub address: PciAddress,
    /// The driver's name; driverctl also knows `none`.
    pub driver: String,
    /// The file, with the line of a rule.
    pub origin: Origin,
}

/// A mediated device that mdevctl can start (`/etc/mdevctl.d/PARENT/UUID`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdevDefinition {
    /// Its UUID.
    pub uuid: Uuid,
    /// The function that it is made on.
    pub parent: PciAddress,
    /// The driver's name of its type, such as `nvidia-558`.
    pub type_id: String,
    /// Started when its parent appears; else by hand.
    pub auto: bool,
    /// NVIDIA's parameters, from the attribute `nvidia/vgpu_params`.
    pub params: VgpuParams,
    /// Attributes that gpuvirt has no word for.
    pub other_attributes: Vec<String>,
    /// The file.
    pub origin: Origin,
}

/// A value of `vfio-pci`'s parameter `ids`, or a rule of udev's that does the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VfioIds {
    /// What it takes: nothing where it is empty, which counts as any other value does.
    pub ids: Vec<PciDeviceId>,
    /// The file and line.
    pub origin: Origin,
    /// Whether the driver is told it when it is loaded: of initramfs-tools' lines by the first one that names it.
    pub heard: bool,
}

/// A blacklist, a soft dependency, a program in a module's place, an alias or `pci-stub`'s ids: it keeps a host driver away from every card of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAway {
    /// The word or line, as it is written.
    pub says: String,
    /// The file and line.
    pub origin: Origin,
}

/// A `hostpciN` line of a Proxmox guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPci {
    /// The guest's name, or its number where it has none.
    pub guest: String,
    /// The functions that it names, by itself or through a mapping of the cluster: whole slots or single functions.
    pub devices: Vec<MappedDevice>,
    /// The type of a mediated device that is made for it.
    pub mdev: Option<String>,
    /// The file and line.
    pub origin: Origin,
}

/// A device of a `hostpciN` line, with what a mapping says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappedDevice {
    /// The device.
    pub device: HostPciDevice,
    /// Vendor and device of its first function, where a mapping has them.
    pub id: Option<(u16, u16)>,
    /// Subsystem vendor and device of it, where a mapping has them.
    pub subsystem_id: Option<(u16, u16)>,
}

impl From<HostPciDevice> for MappedDevice {
    fn from(device: HostPciDevice) -> Self {
        Self { device, id: None, subsystem_id: None }
    }
}

/// What a `hostpciN` line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPciDevice {
    /// All functions of a slot, by its function 0.
    Slot(PciAddress),
    /// One function.
    Function(PciAddress),
}

impl Origin {
    /// A whole file.
    pub fn file(path: &str) -> Self {
        Self { path: path.to_owned(), line: None, last_line: None, and_more: false }
    }

    /// A line of a file, from 1.
    pub fn line(path: &str, line: usize) -> Self {
        Self { line: Some(line), ..Self::file(path) }
    }

    /// Lines of a file, from 1.
    pub fn lines(path: &str, first: usize, last: usize) -> Self {
        Self { last_line: (last > first).then_some(last), ..Self::line(path, first) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

impl HostPciDevice {
    /// A function of what is named.
    pub fn address(self) -> PciAddress {
        match self {
            Self::Slot(address) | Self::Function(address) => address,
        }
    }
}
