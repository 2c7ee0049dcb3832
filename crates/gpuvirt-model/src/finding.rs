//! Findings: what `gpuvirt doctor` sees that keeps GPUs from working in VMs, or will.
//!
//! A finding is no refusal: nothing was asked for. One that is about the same matter as a refusal or a warning has the
//! same name, and the same explanation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::refusal::{UnknownCode, codes};
use crate::{PciAddress, WarningCode};

/// Something that an admin should know of the host, a GPU or a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The stable name, the same in JSON, `explain` and the docs.
    pub code: FindingCode,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is the matter and what follows, naming the objects.
    pub cause: String,
    /// From what it is known.
    pub evidence: Vec<Evidence>,
    /// What to do: commands to copy, or sentences; one line each.
    pub remedy: Vec<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing before the next step; nothing is wrong.
    Note,
    /// It works, and something will go wrong: at the next reboot, under load, for one of several VMs.
    Warning,
    /// What is configured, or any passthrough or vGPU at all, does not work.
    Error,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Subject {
    /// The host as a whole.
    Host,
    /// A GPU, by its primary function.
    Gpu(PciAddress),
    /// A VM, by libvirt's name of it.
    Vm(String),
}

/// One thing that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Where: a file of the host, an element of a domain's definition, or who said it.
    pub source: String,
    /// What was found there.
    pub value: String,
}

impl Finding {
    /// A finding without evidence and remedy yet.
    pub fn new(code: FindingCode, severity: Severity, subject: Subject, cause: impl Into<String>) -> Self {
        Self { code, severity, subject, cause: cause.into(), evidence: Vec::new(), remedy: Vec::new() }
    }

    /// The same, with one thing more that was read.
    #[must_use]
    pub fn seen(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// The same, with one thing more that was read at a place.
    #[must_use]
    pub fn seen_at(self, source: impl Into<String>, value: impl fmt::Display) -> Self {
        self.seen(Evidence { source: source.into(), value: value.to_string() })
    }

    /// The same, with one line more of what to do.
    #[must_use]
    pub fn remedy(mut self, line: impl Into<String>) -> Self {
        self.remedy.push(line.into());
        self
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Gpu(address) => address.fmt(f),
            Self::Vm(name) => write!(f, "VM {name}"),
        }
    }
}

codes! {
    /// The name of a finding.
    FindingCode {
        /// The processor does not virtualize, or hides it.
        NoCpuVirtualization => "no-cpu-virtualization",
        /// The processor virtualizes, and the kernel's KVM is not there.
        KvmMissing => "kvm-missing",
        /// The host has no working IOMMU.
        NoIommu => "no-iommu",
        /// The platform does not remap interrupts.
        NoInterruptRemapping => "no-interrupt-remapping",
        /// VFIO goes without interrupt remapping, by an admin's consent.
        UnsafeInterrupts => "unsafe-interrupts",
        /// VFIO's mode without any IOMMU is on.
        NoIommuMode => "noiommu-mode",
        /// The kernel was told to pretend isolation that the hardware does not have.
        AcsOverride => "acs-override",
        /// The vfio-pci driver is neither there nor installable.
        VfioMissing => "vfio-missing",
        /// VFIO's modules are kept from being loaded.
        VfioKeptAway => "vfio-kept-away",
        /// Another device with a host driver is in the card's IOMMU group.
        GroupNotViable => "group-not-viable",
        /// libvirt's daemon is not installed.
        LibvirtMissing => "libvirt-missing",
        /// QEMU is not installed.
        QemuMissing => "qemu-missing",
        /// libvirt does not answer.
        LibvirtUnreachable => "libvirt-unreachable",
        /// gpuvirtd asks another libvirt than the host's own.
        LibvirtUri => "libvirt-uri",
        /// libvirt is too old.
        LibvirtOld => "libvirt-old",
        /// QEMU is too old for a VM's machine.
        QemuOld => "qemu-old",
        /// gpuvirtd does not answer.
        DaemonUnreachable => "daemon-unreachable",
        /// gpuvirtd does not start with the host.
        DaemonNotEnabled => "daemon-not-enabled",
        /// Passthrough cards are not kept from host drivers early in a boot.
        ClaimNotEnabled => "claim-not-enabled",
        /// Passthrough cards that are plugged in are not kept from host drivers.
        UdevRuleMissing => "udev-rule-missing",
        /// libvirt's hook is not installed.
        HookMissing => "hook-missing",
        /// The file of our hook is somebody else's.
        HookForeign => "hook-foreign",
        /// libvirt's hook may not be executed.
        HookNotExecutable => "hook-not-executable",
        /// The program that the hook calls is not there.
        HookProgramMissing => "hook-program-missing",
        /// SELinux or AppArmor keeps the hook from its work.
        HookBlocked => "hook-blocked",
        /// libvirt did not run the hook.
        HookNotRun => "hook-not-run",
        /// The initramfs was made before the list of cards that it is to claim.
        InitramfsStale => "initramfs-stale",
        /// A stored file cannot be read.
        StateUnreadable => "state-unreadable",
        /// Whoever writes to the host for the daemon is not to be had.
        NoWriter => "no-writer",
        /// An earlier change failed and could not be undone.
        HandsOff => "hands-off",
        /// vfio-pci takes cards by what they are.
        TakenById => "taken-by-id",
        /// Ids that vfio-pci was given have no effect.
        IdsUnheeded => "ids-unheeded",
        /// A configured GPU is not on the host.
        GpuNotFound => "gpu-not-found",
        /// Another card sits at the stored address.
        IdentityChanged => "identity-changed",
        /// A GPU is not what was asked for.
        TypePending => "type-pending",
        /// Somebody on the host holds a card that a VM is to have.
        GpuInUse => "gpu-in-use",
        /// The guest's driver and the host's do not go together.
        DriverDoesNotFit => "driver-does-not-fit",
        /// The host's driver of the card is not the one that makes vGPUs.
        WrongHostDriver => "wrong-host-driver",
        /// No host driver has a card that the host is to use.
        NoHostDriver => "no-host-driver",
        /// A driver that is not signed is refused by the kernel.
        DriverUnsigned => "driver-unsigned",
        /// The card cannot be reset.
        NoResetMethod => "no-reset-method",
        /// The card hangs after its reset.
        ResetBug => "reset-bug",
        /// The card does not answer on the bus.
        GpuUnresponsive => "gpu-unresponsive",
        /// The card sleeps and does not wake.
        PowerStuck => "power-stuck",
        /// The card's power is off while no VM has it.
        D3cold => "d3cold",
        /// The card is the firmware's display.
        BootDisplay => "boot-display",
        /// The firmware's frame buffer has a part of the card's memory.
        FirmwareFramebuffer => "firmware-framebuffer",
        /// The card's ROM may read as what the firmware made of it.
        ShadowedRom => "shadowed-rom",
        /// The kernel found no place for a window of the card.
        BarUnassigned => "bar-unassigned",
        /// A window of the card could be larger.
        BarResizable => "bar-resizable",
        /// The guest's firmware has no room for the card's windows.
        ApertureSmall => "aperture-small",
        /// The processor's addresses are not as wide as what the guest is told or needs.
        AddressWidth => "address-width",
        /// A guest's memory and its GPU are on different nodes.
        NumaRemote => "numa-remote",
        /// A reboot takes virtual functions or vGPUs away.
        LostAtReboot => "lost-at-reboot",
        /// The host's driver has virtual functions that are meant for VMs.
        VfTakenByHost => "vf-taken-by-host",
        /// Virtual functions for vGPUs are on vfio-pci.
        VgpuVfOnVfio => "vgpu-vf-on-vfio",
        /// The GPUs are joined by NVSwitches.
        Nvswitch => "nvswitch",
        /// A guest's memory can't be locked for its devices.
        MemoryNotLockable => "memory-not-lockable",
        /// A vGPU's driver may not lock as much as the guest has.
        MemoryLimit => "memory-limit",
        /// A guest with an IOMMU of its own and a vGPU.
        ViommuWithVgpu => "viommu-with-vgpu",
        /// A guest's IOMMU without the mode that a whole GPU needs.
        ViommuCachingMode => "viommu-caching-mode",
        /// VMs together pin more memory than the host has.
        MemoryOvercommitted => "memory-overcommitted",
        /// Ballooning with a GPU.
        BalloonUseless => "balloon-useless",
        /// libvirt may not lock as much memory as a VM has.
        LockLimitLow => "lock-limit-low",
        /// One VM would have a passthrough GPU and a vGPU.
        MixedModes => "mixed-modes",
        /// A running VM has what the rules would have refused at its start.
        LiveViolation => "live-violation",
        /// A request in the domain's metadata has no host device.
        RequestWithoutDevice => "request-without-device",
        /// A host device of the domain has no request, while its others have.
        DeviceWithoutRequest => "device-without-request",
        /// The requests are those of the domain that this one was cloned from.
        CopiedRequest => "copied-request",
        /// libvirt binds and unbinds the driver of a managed GPU.
        HostdevManaged => "hostdev-managed",
        /// A device of a VM is not on the host.
        DeviceAbsent => "device-absent",
        /// Another domain's definition names the device too.
        AlsoDefinedIn => "also-defined-in",
        /// A PCI Express card on a conventional bus.
        ConventionalBus => "conventional-bus",
        /// A card on the guest's root bus.
        OnRootBus => "on-root-bus",
        /// The guest's driver refuses to work in a VM.
        Code43 => "code-43",
        /// KVM is hidden from a driver that does not mind.
        Code43Needless => "code-43-needless",
        /// QEMU runs the VM in software.
        NotKvm => "not-kvm",
    }
}

impl FindingCode {
    /// The finding that says the same as a warning, where there is one.
    pub fn of_warning(code: WarningCode) -> Option<Self> {
        code.as_str().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_unique_and_read_back() {
        let mut names: Vec<&str> = FindingCode::ALL.iter().map(|code| code.as_str()).collect();
        for name in &names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
            assert_eq!(name.parse::<FindingCode>().unwrap().as_str(), *name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FindingCode::ALL.len());
    }

    #[test]
    fn errors_are_the_worst() {
        assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Note);
    }
}
