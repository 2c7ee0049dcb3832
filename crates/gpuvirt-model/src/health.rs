//! What `gpuvirt doctor` asks of a host beside what every change looks at: facts with the place that they were read from.
//!
//! A fact that could not be read is not an absent one: each says why it is unknown, and no finding is made of it.

mod boot;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Evidence, Machine, PciAddress, PciDeviceId, Reading, Unknown};

pub use boot::{BootHealth, Loader};

/// A value with where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<T> {
    /// The file or folder.
    pub source: String,
    /// What was found.
    pub value: Reading<T>,
}

impl<T> Default for Fact<T> {
    fn default() -> Self {
        Self { source: String::new(), value: Reading::Unknown(Unknown::NotRecorded) }
    }
}

impl<T> Fact<T> {
    /// The value, when it is known.
    pub fn known(&self) -> Option<&T> {
        self.value.known()
    }

    /// The same place with a value derived from this one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        Fact { source: self.source, value: self.value.map(f) }
    }

    /// The fact as evidence, in these words.
    pub fn shows(&self, value: impl std::fmt::Display) -> Evidence {
        Evidence { source: self.source.clone(), value: value.to_string() }
    }

    /// Why it is unknown, when it is.
    pub fn unknown(&self) -> Option<&Unknown> {
        match &self.value {
            Reading::Known(_) => None,
            Reading::Unknown(why) => Some(why),
        }
    }
}

impl<T: PartialEq> Fact<T> {
    /// Whether it is known to be this.
    pub fn is(&self, value: &T) -> bool {
        self.known() == Some(value)
    }
}

/// libvirt, as whoever asked it found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LibvirtHealth {
    /// The URI at which it is asked; none where nobody asked.
    pub uri: Option<String>,
    /// The versions of its daemon and of QEMU.
    pub versions: Reading<LibvirtVersions>,
    /// The machines of the domains that have or ask for a GPU.
    pub machines: Reading<Vec<Machine>>,
    /// It was asked and still owes the answer: it is busy, or it hangs. Earlier recordings don't have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owes_answer: bool,
}

impl Default for LibvirtHealth {
    fn default() -> Self {
        let unknown = Unknown::NeedsDaemon;
        let (versions, machines) = (Reading::Unknown(unknown.clone()), Reading::Unknown(unknown));
        Self { uri: None, versions, machines, owes_answer: false }
    }
}

/// Versions as libvirt counts them: major * 1,000,000 + minor * 1,000 + release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LibvirtVersions {
    /// Of libvirt's daemon.
    pub libvirt: u32,
    /// Of the QEMU that it runs.
    pub qemu: u32,
}

/// What gpuvirtd knows of itself and its part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DaemonHealth {
    /// Why it did not answer, when it was asked and did not.
    pub unanswered: Option<String>,
    /// Why the next boot will not claim passthrough cards before host drivers load, when it will not.
    pub stale_boot_image: Option<String>,
    /// What of our own files can't be understood.
    pub problems: Vec<String>,
    /// Changes that neither succeeded nor could be undone: the GPU, and what the change was for.
    pub unsettled: Vec<(PciAddress, String)>,
    /// VMs with our devices that started while it watched, and for which libvirt ran no hook.
    pub unhooked: Vec<String>,
    /// Whether something that it saw shows that libvirt can run our hook and the hook reach it; none where nobody knows. Earlier
    /// recordings don't have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_proven: Option<bool>,
    /// Why nobody is to be had who writes to the host for it, when that is so. Earlier recordings don't have it.
    #[serde(default)]
    pub no_writer: Option<String>,
    /// GPUs that a change is at just now, or that its start has not come to yet: what they lack may be on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_work: Vec<PciAddress>,
    /// GPUs that its start could not lead to what is configured, and why. What became of them since, it does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unrestored: Vec<(PciAddress, String)>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// The processor.
    pub cpu: CpuHealth,
    /// How the kernel was built and started.
    pub boot: BootHealth,
    /// The IOMMU.
    pub iommu: IommuHealth,
    /// VFIO's settings.
    pub vfio: VfioHealth,
    /// What modules are told, and which are there.
    pub modules: ModuleHealth,
    /// Memory.
    pub memory: MemoryHealth,
    /// What keeps code from running.
    pub security: SecurityHealth,
    /// libvirt's hook, and what else must be installed.
    pub install: InstallHealth,
    /// Who has claimed the cards' memory.
    pub display: DisplayHealth,
    /// Bridges between GPUs that make one machine of them.
    pub nvswitch: NvswitchHealth,
    /// Functions of GPUs, and what is upstream of them.
    pub functions: BTreeMap<PciAddress, FunctionHealth>,
}

/// The processor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuHealth {
    /// What it says of itself.
    pub features: Fact<CpuFeatures>,
    /// Whether the kernel offers KVM: the module for the processor works.
    pub kvm: Fact<bool>,
}

/// What a processor says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuFeatures {
    /// The vendor as it spells it: `GenuineIntel`, `AuthenticAMD`.
    pub vendor: String,
    /// Intel's virtualization.
    pub vmx: bool,
    /// AMD's virtualization.
    pub svm: bool,
    /// It is a VM's.
    pub hypervisor: bool,
    /// Bits of a physical address, where it tells.
    pub physical_bits: Option<u8>,
}

/// The IOMMU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IommuHealth {
    /// The firmware's table that describes one (`DMAR`, `IVRS`); none: it has none, or it is switched off in the setup.
    pub table: Fact<Option<String>>,
}

/// VFIO's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VfioHealth {
    /// Whether its mode without any IOMMU is on.
    pub noiommu: Fact<bool>,
    /// Whether `vfio_iommu_type1`, by which a VM's memory is mapped for its devices, is loaded, built in or installed.
    pub iommu_driver: Fact<bool>,
    /// Whether vfio-pci keeps cards awake that no VM has (`disable_idle_d3`); none where it is not loaded.
    pub keeps_awake: Fact<Option<bool>>,
}

/// A function of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionHealth {
    /// The bridges between it and its root, the root first.
    pub upstream: Vec<Port>,
    /// `power/runtime_status`.
    pub runtime_status: Option<String>,
    /// `d3cold_allowed`: the kernel may cut its power while it sleeps.
    pub d3cold_allowed: Option<bool>,
    /// Windows that the kernel found no place for.
    pub unassigned_bars: Vec<u8>,
    /// Windows whose size can be chosen.
    pub resizable_bars: Vec<ResizableBar>,
    /// It has a ROM that can be read.
    pub rom: bool,
}

/// A window whose size can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizableBar {
    /// Its number.
    pub index: u8,
    /// The largest size that the card offers, in bytes.
    pub largest: u64,
}

/// A bridge upstream of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Its address.
    pub address: PciAddress,
    /// Its Access Control Services; unknown where its config space can't be read in full.
    pub acs: Reading<Acs>,
}

/// What a bridge does so that devices behind it can't reach each other (PCI Express's Access Control Services).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Acs {
    /// It has none of them.
    Missing,
    /// It has them, and they are not all switched on.
    Off,
    /// They are on, as far as they can be switched.
    On,
    /// It has none, and is a root port of a chipset that tells devices apart by a register of its own.
    ByChipset,
    /// It is the upstream port of a switch, which the kernel asks for none: those below it tell devices apart.
    NotNeeded,
}

/// What modules are told, and which are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleHealth {
    /// Lines of modprobe.d that say something: the admin's, and those of packages that no file of the admin's hides.
    pub options: Fact<Vec<ModuleLine>>,
    /// Display drivers that are installed for this kernel, each with whether it is loaded.
    pub display_drivers: Fact<BTreeMap<String, bool>>,
    /// Those of them that did not come with the kernel, each with its file below `/lib/modules/RELEASE`.
    pub built_here: BTreeMap<String, String>,
    /// What takes cards for vfio-pci by what they are: words of the kernel's command line, lines of modprobe.d, of the
    /// initramfs' modules and of udev's rules.
    pub taken_by_id: Vec<TakingLine>,
    /// `vfio-pci` is no module, but part of the kernel.
    pub vfio_built_in: bool,
}

/// A line, or a word of the kernel's command line, that takes cards for vfio-pci by what they are. Of one file they are in the
/// order in which they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakingLine {
    /// The file.
    pub file: String,
    /// The line.
    pub line: String,
    /// What it takes; none where it takes nothing, which replaces an earlier value too.
    pub ids: Vec<PciDeviceId>,
    /// Whether the driver is told it when it is loaded: of initramfs-tools' lines by the first one that names it.
    pub heard: bool,
}

/// A line of modprobe.d.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLine {
    /// The file.
    pub file: String,
    /// The line.
    pub line: String,
}

/// Memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryHealth {
    /// All of it, in KiB.
    pub total_kib: Fact<u64>,
    /// The size of a huge page where none is asked for, in KiB.
    pub huge_page_kib: Fact<u64>,
    /// Huge pages.
    pub pools: Fact<Vec<HugePages>>,
    /// libvirt's daemons with what they may lock.
    pub lockers: Fact<Vec<Locker>>,
}

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugePages {
    /// Their size in KiB.
    pub size_kib: u64,
    /// How many there are.
    pub total: u64,
    /// How many nobody has.
    pub free: u64,
}

/// A daemon of libvirt's, and how much memory what it starts may lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Locker {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub command: String,
    /// Its limit on locked memory, in KiB; none: unlimited.
    pub limit_kib: Option<u64>,
    /// It has CAP_SYS_RESOURCE, by which it raises the limit for each VM.
    pub may_raise: bool,
}

/// What keeps code from running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityHealth {
    /// Secure Boot is on.
    pub secure_boot: Fact<bool>,
    /// The kernel's lockdown, where it has one: `none`, `integrity`, `confidentiality`.
    pub lockdown: Fact<Option<String>>,
    /// The kernel loads modules with a signature that it trusts and no others, whatever lockdown says.
    pub signatures_enforced: Fact<bool>,
    /// SELinux enforces its policy.
    pub selinux: Fact<bool>,
    /// The virtqemud that runs is confined by it, as `virtqemud_t`; false where none runs.
    pub virtqemud_confined: Fact<bool>,
    /// Its policy's switch `virt_hooks_unconfined`; none where it has no such switch.
    pub hooks_unconfined: Fact<Option<bool>>,
    /// AppArmor's profile of libvirt's daemon lets it run hooks; none where there is no such profile, or none that is enforced.
    pub apparmor_hooks: Fact<Option<bool>>,
}

/// What systemd will do with a unit at the next boot, and udev with a file of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enablement {
    /// Start it, read it.
    Enabled,
    /// Nothing.
    Disabled,
    /// Refuse to start it, whoever asks (`systemctl mask`); read nothing in its place.
    Masked,
}

/// libvirt's hook, and what else must be installed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstallHealth {
    /// Whether libvirt's hook is ours; none: there is no file.
    pub hook: Fact<Option<bool>>,
    /// The hook may be executed.
    pub hook_executable: Fact<bool>,
    /// The program that the hook calls is there.
    pub command: Fact<bool>,
    /// gpuvirtd is installed.
    pub daemon: Fact<bool>,
    /// systemd starts it with the host.
    pub daemon_enabled: Fact<bool>,
    /// Whether systemd claims passthrough cards early in a boot.
    pub claim: Fact<Enablement>,
    /// Whether udev claims passthrough cards that come while the host runs.
    pub udev_rule: Fact<Enablement>,
    /// libvirt's daemon is installed.
    pub libvirt: Fact<bool>,
    /// QEMU is installed.
    pub qemu: Fact<bool>,
}

/// Who has claimed the cards' memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DisplayHealth {
    /// Claims of the firmware's frame buffers inside the windows of PCI functions.
    pub claims: Fact<Vec<MemoryClaim>>,
}

/// A frame buffer of the firmware's in a function's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryClaim {
    /// The function.
    pub function: PciAddress,
    /// The claim's name, e.g. `BOOTFB`, `efifb`.
    pub name: String,
}

/// The PCI bus as a whole, and bridges between GPUs that make one machine of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NvswitchHealth {
    /// All PCI functions that are there.
    pub present: Fact<BTreeSet<PciAddress>>,
    /// NVIDIA's NVSwitches.
    pub switches: Fact<Vec<PciAddress>>,
    /// The service that sets them up runs.
    pub fabric_manager: Fact<bool>,
}
