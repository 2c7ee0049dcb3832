//! Steps as data: what can be done to the host, one write each.
//!
//! A new one is a variant here; the compiler then asks for its sentence and shell, its undo, its audit, and how the
//! host performs it.

use gpuvirt_model::{
    DriverName, GpuInstance, PciAddress, PowerControl, ProfileName, ProgramPath, UnitName, VgpuId, VgpuParams,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::setting::{MdevPlace, MigMode, MixedSize, UnbindLock, VfAutoprobe};

/// One act on the host. Each is a single write, and each is safe to find done already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Step {
    /// Load a kernel module.
    LoadModule {
        /// The module.
        module: DriverName,
    },
    /// Set or clear a function's `driver_override`.
    SetOverride {
        /// The function.
        function: PciAddress,
        /// The only driver that may bind it; none clears it.
        driver: Option<DriverName>,
    },
    /// Unbind a function from its driver. Can block for as long as somebody holds the device.
    Unbind {
        /// The function.
        function: PciAddress,
        /// The driver that must still have it.
        driver: DriverName,
    },
    /// Let the kernel bind a driverless function: `drivers_probe`. Its success says nothing; the binding is re-read.
    Probe {
        /// The function.
        function: PciAddress,
        /// The driver that must have it afterwards; none: whichever the kernel finds, or no driver.
        expect: Option<DriverName>,
    },
    /// Create a mediated device.
    CreateMdev {
        /// The new device's uuid.
        uuid: Uuid,
        /// Where it is made, and of which type.
        #[serde(flatten)]
        place: MdevPlace,
    },
    /// Remove a mediated device. Can block for as long as somebody holds it.
    RemoveMdev {
        /// The device.
        uuid: Uuid,
        /// The parent function.
        parent: PciAddress,
    },
    /// Set the vGPU type of a virtual function of NVIDIA's (`nvidia/current_vgpu_type`): what makes it a vGPU, and
    /// with 0 what makes it none. A type that is set is changed by way of 0 only.
    SetVgpuType {
        /// The virtual function.
        vf: PciAddress,
        /// The type that it must still have; 0 is none.
        from: u32,
        /// The type to have.
        to: u32,
        /// The profile, for people.
        profile: ProfileName,
    },
    /// Set the parameters of a live vGPU (`nvidia/vgpu_params`), all of them. They take effect when a VM starts on it.
    SetVgpuParams {
        /// The vGPU.
        vgpu: VgpuId,
        /// The function that it was made on.
        parent: PciAddress,
        /// What it must still have.
        from: VgpuParams,
        /// What to have; none clears them.
        to: VgpuParams,
    },
    /// Set the number of a physical function's virtual ones: none, or some where there are none. Taking them away
    /// can block for as long as somebody holds one.
    SetVfCount {
        /// The physical function.
        function: PciAddress,
        /// The number that it must still have.
        from: u16,
        /// The number to have.
        to: u16,
    },
    /// Set whether the kernel binds new virtual functions by itself.
    SetVfAutoprobe {
        /// The physical function.
        function: PciAddress,
        /// Whether it does.
        on: VfAutoprobe,
    },
    /// Turn a card's MIG mode on or off. Refused by its driver while virtual functions are enabled.
    SetMigMode {
        /// The card.
        gpu: PciAddress,
        /// The vendor's command.
        command: ProgramPath,
        /// The mode to have.
        to: MigMode,
    },
    /// Make a GPU instance with its default compute instance; one that is there and lost its compute instance gets that.
    CreateGpuInstance {
        /// The card.
        gpu: PciAddress,
        /// The vendor's command.
        command: ProgramPath,
        /// Of which profile.
        profile: String,
        /// The profile's number on this card.
        profile_id: u32,
        /// The first memory slice; none: the driver chooses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<u32>,
        /// How many of this profile the card has afterwards: what tells that the step is done.
        count: u32,
    },
    /// Remove a GPU instance, its compute instances first.
    RemoveGpuInstance {
        /// The card.
        gpu: PciAddress,
        /// The vendor's command.
        command: ProgramPath,
        /// The instance as it must still be: its number may have come again for another.
        instance: GpuInstance,
    },
    /// Have the vendor's tool make all of a card's virtual functions, or remove them. GPU instances and the mixed-size
    /// mode go with the old ones.
    CycleVfs {
        /// The physical function.
        function: PciAddress,
        /// The tool.
        tool: ProgramPath,
        /// The number that it must still have.
        from: u16,
        /// The number to have.
        to: u16,
    },
    /// Have the vendor's command let sizes of vGPUs be mixed on a card, or no more. No file shows it: the step itself
    /// asks the command afterwards.
    SetMixedSize {
        /// The card.
        gpu: PciAddress,
        /// The command.
        command: ProgramPath,
        /// The mode to have.
        to: MixedSize,
    },
    /// Take the lock of a card's driver, without which it must not be unbound, or give it back.
    SetUnbindLock {
        /// The card's function.
        function: PciAddress,
        /// Its driver.
        driver: DriverName,
        /// Taken or free.
        to: UnbindLock,
    },
    /// Let a function sleep while it is idle, or keep it awake (`power/control`), as it was before VFIO had it. Writes
    /// nothing where its driver has seen to that.
    SetPowerControl {
        /// The function.
        function: PciAddress,
        /// The value to have.
        to: PowerControl,
    },
    /// Stop a service that holds the card.
    StopService {
        /// The card.
        gpu: PciAddress,
        /// The service.
        unit: UnitName,
    },
    /// Start a service that was stopped. That one does not start again is told, and fails no change.
    StartService {
        /// The card.
        gpu: PciAddress,
        /// The service.
        unit: UnitName,
    },
}

impl Step {
    /// The function that the step is about, a mediated device's parent included.
    pub fn function(&self) -> Option<PciAddress> {
        match self {
            Self::LoadModule { .. } => None,
            Self::SetOverride { function, .. }
            | Self::Unbind { function, .. }
            | Self::Probe { function, .. }
            | Self::SetVfCount { function, .. }
            | Self::SetVfAutoprobe { function, .. }
            | Self::SetPowerControl { function, .. } => Some(*function),
            Self::CreateMdev { place, .. } => Some(place.parent),
            Self::RemoveMdev { parent, .. } | Self::SetVgpuParams { parent, .. } => Some(*parent),
            Self::SetVgpuType { vf, .. } => Some(*vf),
            Self::SetMigMode { gpu, .. }
            | Self::CreateGpuInstance { gpu, .. }
            | Self::RemoveGpuInstance { gpu, .. } => Some(*gpu),
            Self::CycleVfs { function, .. } | Self::SetUnbindLock { function, .. } => Some(*function),
            Self::SetMixedSize { gpu, .. }
            | Self::StopService { gpu, .. }
            | Self::StartService { gpu, .. } => Some(*gpu),
        }
    }
}
