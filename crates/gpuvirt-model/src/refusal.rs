//! Refusals: what we will not do, why, and what to do about it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A request that we will not carry out: nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The stable name, the same in JSON, `explain` and the docs.
    pub code: RefusalCode,
    /// What was asked of which object, e.g. `0000:41:00.0 cannot become direct`.
    pub summary: String,
    /// The cause, naming the objects.
    pub because: String,
    /// The next step for the admin; one line each.
    pub remedy: Vec<String>,
}

/// Something that is not refused but must be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// The stable name.
    pub code: WarningCode,
    /// What is the matter with which object, and what follows.
    pub text: String,
}

/// Declares an enum of kebab-case names with `as_str`, `Display`, `FromStr`, serde and a list of all.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = UnknownCode;
            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or_else(|| UnknownCode(text.to_owned()))
            }
        }
    };
}

/// A name that no refusal, warning or finding has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no refusal, warning or finding named {0:?}")]
pub struct UnknownCode(pub String);

pub(crate) use codes;

codes! {
    /// The name of a refusal.
    RefusalCode {
        /// No such GPU on this host.
        GpuNotFound => "gpu-not-found",
        /// The function is a bridge or no endpoint.
        NotAnEndpoint => "not-an-endpoint",
        /// The host has no working IOMMU, or none for this function.
        NoIommu => "no-iommu",
        /// Another device with a host driver is in the card's IOMMU group.
        GroupNotViable => "group-not-viable",
        /// A process, console or sound stream holds the card.
        GpuInUse => "gpu-in-use",
        /// A running domain holds the card.
        DomainRunning => "domain-running",
        /// The card is the firmware's display.
        BootDisplay => "boot-display",
        /// The kernel's console draws on the card.
        ConsoleActive => "console-active",
        /// Virtual functions of the card exist.
        VfsAlive => "vfs-alive",
        /// The card can't have so many virtual functions.
        TooManyVfs => "too-many-vfs",
        /// The vendor's tool makes all virtual functions or none.
        VfCountFixed => "vf-count-fixed",
        /// The card's driver can't mix sizes of vGPUs.
        NoMixedSize => "no-mixed-size",
        /// vGPUs of the card exist.
        VgpusAlive => "vgpus-alive",
        /// Another card sits at the stored address.
        IdentityChanged => "identity-changed",
        /// The vfio-pci driver is neither there nor installable.
        VfioMissing => "vfio-missing",
        /// The platform does not remap interrupts: VFIO would refuse the guest.
        NoInterruptRemapping => "no-interrupt-remapping",
        /// The card does not answer on the bus.
        GpuUnresponsive => "gpu-unresponsive",
        /// A write to the card waits in the kernel, which holds its lock meanwhile.
        DeviceLocked => "device-locked",
        /// What the card is bound to cannot be read, so that it could not be led back.
        BindingUnknown => "binding-unknown",
        /// An earlier change failed and could not be undone; nothing more is done to the card.
        HandsOff => "hands-off",
        /// Several GPUs have the label, and one is to be named.
        LabelAmbiguous => "label-ambiguous",
        /// The GPU was never configured with gpuvirt, so it is not touched.
        Unmanaged => "unmanaged",
        /// The driver of the card offers no vGPUs.
        NoVgpuSupport => "no-vgpu-support",
        /// The card is configured for another type.
        NotSharedDirect => "not-shared-direct",
        /// The card is not on a VFIO driver.
        NotPassthrough => "not-passthrough",
        /// The card can't be cut into GPU instances, or nothing here can do it.
        NoMig => "no-mig",
        /// MIG mode is off, or another vGPU mode is configured.
        MigOff => "mig-off",
        /// No GPU instance with this number.
        GpuInstanceNotFound => "gpu-instance-not-found",
        /// A vGPU lives on the GPU instance.
        GpuInstanceInUse => "gpu-instance-in-use",
        /// The GPU offers no profile of this name.
        ProfileNotOffered => "profile-not-offered",
        /// The profile's capacity is used up.
        NoCapacity => "no-capacity",
        /// The uuid is taken.
        UuidInUse => "uuid-in-use",
        /// No vGPU with this uuid.
        VgpuNotFound => "vgpu-not-found",
        /// A process or a running domain holds the vGPU.
        VgpuInUse => "vgpu-in-use",
        /// The vGPU was made by somebody else.
        NotOurs => "not-ours",
        /// The vGPUs are on several GPUs: one change is about one.
        SeveralGpus => "several-gpus",
        /// No such domain.
        DomainNotFound => "domain-not-found",
        /// One VM would have a passthrough GPU and a vGPU.
        MixedModes => "mixed-modes",
        /// The domain would have more GPUs and vGPUs than one VM may have.
        TooManyDevices => "too-many-devices",
        /// Several vGPUs that one VM can't have together.
        NotFullSize => "not-full-size",
        /// The domain's definition keeps changing under us, or cannot be edited.
        DomainNotEditable => "domain-not-editable",
        /// The domain has the device in a way in which libvirt binds and unbinds its driver.
        HostdevManaged => "hostdev-managed",
        /// The device is not part of the domain.
        DeviceNotFound => "device-not-found",
        /// A document names GPUs by what they are, and more of them are there than it says.
        SelectorAmbiguous => "selector-ambiguous",
        /// Other tools' files say two things of one GPU.
        ImportContradiction => "import-contradiction",
        /// A document names GPUs by what they are, and fewer of them are there than it says.
        SelectorUnmatched => "selector-unmatched",
        /// No GPU of the host can take the vGPU now.
        NoSuitableGpu => "no-suitable-gpu",
        /// The room that is left is kept for others.
        CapacityReserved => "capacity-reserved",
        /// Nothing more is placed on the GPU.
        Cordoned => "cordoned",
        /// Nothing more is placed on the host.
        Maintenance => "maintenance",
        /// The request would change GPUs that it does not name.
        AffectsOthers => "affects-others",
        /// The domain's requests were written for the domain that it was cloned from.
        ClonedRequest => "cloned-request",
        /// A device of the domain is not what its request asks for, or not there.
        RequestUnmet => "request-unmet",
        /// The daemon is busy with another change of the GPU or of the VM's devices, or does not get to it in time.
        Busy => "busy",
        /// The vGPU's driver takes no parameters.
        NoVgpuParams => "no-vgpu-params",
        /// The host's driver of the card is not the one that makes vGPUs.
        WrongHostDriver => "wrong-host-driver",
        /// The VM can't move to another host while it runs.
        NotMigratable => "not-migratable",
        /// The guest's memory can't be locked for its devices.
        MemoryNotLockable => "memory-not-lockable",
        /// The guest would have an IOMMU of its own and a vGPU.
        ViommuWithVgpu => "viommu-with-vgpu",
        /// A driver package is not one for the GPU, or for what the VM has.
        DriverDoesNotFit => "driver-does-not-fit",
        /// A stored file cannot be read; nothing is changed until it can.
        StateUnreadable => "state-unreadable",
        /// Whoever writes to the host for the daemon is not to be had.
        NoWriter => "no-writer",
    }
}

codes! {
    /// The name of a warning.
    WarningCode {
        /// The card cannot be reset: its next guest gets it as the last one left it.
        NoResetMethod => "no-reset-method",
        /// It cannot be told whether interrupts are remapped.
        InterruptRemappingUnknown => "interrupt-remapping-unknown",
        /// Holders may be hidden from us.
        HoldersUnseen => "holders-unseen",
        /// No host driver took the card back.
        NoHostDriver => "no-host-driver",
        /// Another domain's definition names the device too.
        AlsoDefinedIn => "also-defined-in",
        /// The initramfs was made before the list of cards that it is to claim.
        InitramfsStale => "initramfs-stale",
        /// A request in the domain's metadata has no host device.
        RequestWithoutDevice => "request-without-device",
        /// A host device of the domain has no request, while its others have.
        DeviceWithoutRequest => "device-without-request",
        /// The requests are those of the domain that this one was cloned from.
        CopiedRequest => "copied-request",
        /// A running VM has what the rules would have refused at its start.
        LiveViolation => "live-violation",
        /// Several vGPUs of one VM that may not go together.
        FractionalVgpus => "fractional-vgpus",
        /// It cannot be told whether the host's driver makes vGPUs.
        HostDriverUnsure => "host-driver-unsure",
        /// The host's driver of a card is not the one for the type that is configured.
        HostDriverMismatch => "host-driver-mismatch",
        /// A service that was stopped for a change did not start again.
        ServiceDown => "service-down",
        /// `power/control` was put back and is otherwise by now.
        PowerControlLost => "power-control-lost",
        /// The assignment policy does not act on a GPU.
        PolicyNotInEffect => "policy-not-in-effect",
        /// A limit on the guest's memory is smaller than what its vGPU may come to lock.
        MemoryLimit => "memory-limit",
        /// The guest's IOMMU is not set up for a GPU that is passed through.
        ViommuCachingMode => "viommu-caching-mode",
        /// A refusal was accepted by the admin.
        Accepted => "accepted",
    }
}

impl RefusalCode {
    /// Whether it ends when something stops that uses the card: then a change can wait for that.
    pub fn passes(self) -> bool {
        matches!(
            self,
            Self::GpuInUse | Self::DomainRunning | Self::VgpusAlive | Self::VgpuInUse | Self::DeviceLocked
        )
    }

    /// Whether what is in the way goes without a word: a process that lets go of a card, what the kernel or those who write for us
    /// come back from. A vGPU's end, and a VM's, are told.
    pub fn passes_untold(self) -> bool {
        matches!(self, Self::GpuInUse | Self::VgpuInUse | Self::DeviceLocked | Self::NoWriter)
    }

    /// Whether an admin may say `--accept NAME` to it. Everything else is absolute.
    pub fn acceptable(self) -> bool {
        matches!(self, Self::BootDisplay | Self::ConsoleActive)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {:<66} [{}]\n  because  {}", self.summary, self.code, self.because)?;
        for line in &self.remedy {
            write!(f, "\n  try      {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_unique_and_read_back() {
        let mut names: Vec<&str> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
        for name in &names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert_eq!(name.parse::<RefusalCode>().unwrap().as_str(), *name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RefusalCode::ALL.len());
    }
}
