//! What a domain's definition says about the guest's machine, as far as GPUs care.

use serde::{Deserialize, Serialize};

use crate::PciAddress;

/// A domain's machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// The domain's name.
    pub name: String,
    /// Whether KVM runs it (`type='kvm'`), and not software.
    pub kvm: bool,
    /// What of its memory it has now by ballooning, in KiB.
    pub current_kib: Option<u64>,
    /// A memory balloon.
    pub balloon: bool,
    /// `<os><type machine=>`, e.g. `pc-q35-9.2`. Earlier recordings don't have it.
    #[serde(default)]
    pub machine_type: Option<String>,
    /// How its PCI bus is built.
    pub bus: MachineBus,
    /// What it boots with.
    pub firmware: MachineFirmware,
    /// `<cpu mode=>`, where it says one.
    pub cpu_mode: Option<String>,
    /// `<cpu><maxphysaddr mode='passthrough'>`, or a mode of the processor that has it by itself with KVM: the guest sees how
    /// wide the host's addresses are.
    pub host_physical_bits: bool,
    /// `<cpu><maxphysaddr mode='emulate' bits=>`: how wide the guest is told that addresses are. Earlier recordings don't have it.
    #[serde(default)]
    pub physical_bits: Option<u8>,
    /// `opt/ovmf/X-PciMmio64Mb` among QEMU's own arguments, in MiB.
    pub mmio64_mib: Option<u64>,
    /// `<features><kvm><hidden state='on'>`.
    pub kvm_hidden: bool,
    /// `<features><hyperv><vendor_id state='on'>`.
    pub hyperv_vendor: bool,
    /// Host nodes that its memory is bound to (`<numatune>`), as libvirt writes sets: `0-1,3`.
    pub memory_nodes: Option<String>,
    /// Its PCI host devices.
    pub devices: Vec<MachineDevice>,
}

/// A PCI host device in its guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MachineDevice {
    /// The host's address of it.
    pub address: PciAddress,
    /// It sits on the root bus itself, where PCI Express devices pretend to be the chipset's own.
    pub on_root_bus: bool,
    /// `<rom file=>`.
    pub rom_file: bool,
}

/// How a guest's PCI bus is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MachineBus {
    /// PCI Express (q35).
    Express,
    /// Conventional (i440fx).
    Conventional,
    /// None that we know.
    #[default]
    Unknown,
}

/// What a guest boots with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MachineFirmware {
    /// UEFI (OVMF).
    Uefi,
    /// BIOS (SeaBIOS), libvirt's default.
    #[default]
    Bios,
}
