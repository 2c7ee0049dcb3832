//! Steps and plans as data.

use std::collections::BTreeMap;

use gpuvirt_model::{
    DriverBinding, DriverName, Function, GpuInstance, PciAddress, PciIdentity, ProfileName, ProgramPath,
    UnitName, VgpuId, VgpuParams,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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

/// Whether a card makes GPU instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigMode {
    /// It does.
    On,
    /// It is whole.
    Off,
}

/// A card's MIG mode and its GPU instances, with the command that tells and changes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigLayout {
    /// The vendor's command.
    pub command: ProgramPath,
    /// Its MIG mode.
    pub mode: MigMode,
    /// Its GPU instances.
    pub instances: Vec<GpuInstance>,
}

/// Whether vGPUs of several sizes may live on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixedSize {
    /// They may.
    On,
    /// One size at a time.
    Off,
}

/// The lock of a card's driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnbindLock {
    /// Nobody new gets the card.
    Taken,
    /// Anybody may.
    Free,
}

/// A card's mixed-size mode, with the command that sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MixedSizeSetting {
    /// The mode.
    pub on: MixedSize,
    /// The vendor's command.
    pub command: ProgramPath,
}

/// Whether the kernel looks for a driver for new virtual functions (`sriov_drivers_autoprobe`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VfAutoprobe {
    /// It does: the host's driver takes them.
    On,
    /// They stay driverless, unless a `driver_override` names a driver.
    Off,
}

/// A physical function's virtual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VfSetting {
    /// How many there are.
    pub count: u16,
    /// Whether the kernel binds new ones.
    pub autoprobe: VfAutoprobe,
}

/// An ordered list of steps with how things were and what they promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The GPU that it is about.
    pub gpu: PciAddress,
    /// What it is for, in words: `0000:41:00.0 becomes direct`.
    pub purpose: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Everything that the steps can change, as it was.
    pub before: Snapshot,
    /// What must be true afterwards.
    pub promises: Vec<Promise>,
}

/// The values that steps can change, at one moment: where undo leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Functions and what they are bound to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bindings: BTreeMap<PciAddress, DriverBinding>,
    /// What these functions are: after a reboot another device may sit at the address, which is not led anywhere.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub identities: BTreeMap<PciAddress, PciIdentity>,
    /// Mediated devices that exist (with their place) or don't.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mdevs: BTreeMap<Uuid, Option<MdevPlace>>,
    /// Virtual functions of NVIDIA's, and the vGPU type that each has; 0 is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vgpu_types: BTreeMap<PciAddress, u32>,
    /// vGPUs and their parameters. One that the plan makes is not in it: its parameters go with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vgpu_params: BTreeMap<VgpuId, VgpuParams>,
    /// Physical functions, and how they had their virtual ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vfs: BTreeMap<PciAddress, VfSetting>,
    /// Cards, and how their GPU instances were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mig: BTreeMap<PciAddress, MigLayout>,
    /// Cards, and whether sizes of vGPUs could be mixed on them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mixed_sizes: BTreeMap<PciAddress, MixedSizeSetting>,
    /// Services that ran and are stopped meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<UnitName>,
}

/// Where a mediated device is made, and of which type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MdevPlace {
    /// The parent function.
    pub parent: PciAddress,
    /// The type's folder below `mdev_supported_types`.
    pub type_id: String,
    /// The profile, for people.
    pub profile: ProfileName,
}

/// What a plan promises of the host after its last step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "promise", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Promise {
    /// The function is bound exactly so.
    Bound {
        /// The function.
        function: PciAddress,
        /// How.
        binding: DriverBinding,
    },
    /// The function is the host's: this override, and no driver that is not the host's.
    WithHost {
        /// The function.
        function: PciAddress,
        /// Its lasting `driver_override`.
        driver_override: Option<DriverName>,
    },
    /// The mediated device exists there.
    MdevAlive {
        /// The device.
        uuid: Uuid,
        /// Where, and of which type.
        place: MdevPlace,
    },
    /// The mediated device does not exist.
    MdevGone {
        /// The device.
        uuid: Uuid,
    },
    /// The virtual function has this vGPU type.
    VgpuType {
        /// The virtual function.
        vf: PciAddress,
        /// The type; 0 is none, and a virtual function that is gone has none.
        type_id: u32,
    },
    /// The vGPU has these parameters, and no others.
    VgpuParams {
        /// The vGPU.
        vgpu: VgpuId,
        /// The parameters.
        params: VgpuParams,
    },
    /// The physical function has so many virtual ones.
    Vfs {
        /// The physical function.
        function: PciAddress,
        /// How many, and what becomes of new ones.
        #[serde(flatten)]
        setting: VfSetting,
    },
    /// The card has this MIG mode, and so many GPU instances of each profile.
    Mig {
        /// The card.
        gpu: PciAddress,
        /// The mode.
        mode: MigMode,
        /// How many of each profile; none of any other.
        instances: BTreeMap<String, u32>,
    },
    /// The GPU offers vGPUs, in whichever way.
    OffersVgpus {
        /// The GPU.
        gpu: PciAddress,
    },
}

impl Snapshot {
    /// How `function` was bound, if the snapshot has it and the function is the same device still.
    pub fn binding_of(&self, function: &Function) -> Option<&DriverBinding> {
        let known = self.identities.get(&function.address);
        let same = known.is_none_or(|identity| *identity == function.identity);
        self.bindings.get(&function.address).filter(|_| same)
    }

    /// Whether the snapshot tells how a vGPU was.
    pub fn has_vgpu(&self, id: VgpuId) -> bool {
        match id {
            VgpuId::Mdev(uuid) => self.mdevs.contains_key(&uuid),
            VgpuId::Vf(vf) => self.vgpu_types.contains_key(&vf) || self.bindings.contains_key(&vf),
        }
    }
}

impl Plan {
    /// A plan that has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it makes this vGPU, so that without it nothing of it is there.
    pub fn makes(&self, vgpu: VgpuId) -> bool {
        match vgpu {
            VgpuId::Mdev(uuid) => self.before.mdevs.get(&uuid).is_some_and(Option::is_none),
            VgpuId::Vf(vf) => self.before.vgpu_types.get(&vf) == Some(&0),
        }
    }

    /// Whether it goes on where `earlier` ended: the same steps first, and whatever that noted before them.
    ///
    /// What a card's driver offers shows only once it has the card, so some changes are planned in two parts. The whole
    /// then takes the first part's place in the journal, and is undone as a whole.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.gpu == earlier.gpu
            && self.steps.starts_with(&earlier.steps)
            && earlier.before.bindings.iter().all(|(at, was)| self.before.bindings.get(at) == Some(was))
            && earlier.before.vfs.iter().all(|(at, was)| self.before.vfs.get(at) == Some(was))
    }

    /// This plan and what follows it, as one: undone to where this began.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let mut before = next.before.clone();
        before.bindings.extend(self.before.bindings.clone());
        before.identities.extend(self.before.identities.clone());
        before.vfs.extend(self.before.vfs.clone());
        before.mig.extend(self.before.mig.clone());
        before.mixed_sizes.extend(self.before.mixed_sizes.clone());
        before.services = [self.before.services.as_slice(), next.before.services.as_slice()].concat();
        before.services.dedup();
        Self {
            gpu: self.gpu,
            purpose: self.purpose.clone(),
            steps: [self.steps.as_slice(), next.steps.as_slice()].concat(),
            before,
            promises: next.promises.clone(),
        }
    }

    /// The functions that it takes from a driver: what makes holders matter.
    pub fn unbinds(&self) -> impl Iterator<Item = PciAddress> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Unbind { function, .. } => Some(*function),
            _ => None,
        })
    }
}

impl VfAutoprobe {
    /// As a function shows it.
    pub fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }

    /// Whether new virtual functions are bound.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

impl MigMode {
    /// As a card shows it.
    pub fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
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
            | Self::SetVfAutoprobe { function, .. } => Some(*function),
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
