//! Plans that make and remove vGPUs, and where a vGPU is.

use gpuvirt_model::{
    DriverBinding, DriverName, Framework, Function, Gpu, ModulePresence, Observed, PciAddress, Profile,
    ProfileName, Vgpu, VgpuId,
};
use uuid::Uuid;

use crate::driver::{self, BindingGoal};
use crate::{MdevPlace, Plan, Promise, Snapshot, Step};

/// Plans a vGPU of `profile`. The uuid is a mediated device's; a virtual function has its address.
///
/// None where its type is no type of its framework, or its function is gone.
pub fn create(gpu: &Gpu, profile: &Profile, uuid: Uuid, observed: &Observed) -> Option<Plan> {
    match profile.framework {
        Framework::Mdev => Some(create_mdev(gpu, profile, uuid)),
        Framework::NvidiaVfio => {
            let (vf, name) = (profile.parent, &profile.name);
            let purpose = format!("{} gets vGPU {vf} of profile {name}", gpu.address);
            let change = TypeChange { gpu: gpu.address, purpose, vf, profile: name };
            Some(set_type(&change, 0, number(&profile.type_id)?))
        }
        Framework::Sriov => {
            let vf = observed.functions.get(&profile.parent)?;
            let purpose = format!("{} gets vGPU {} of profile {}", gpu.address, vf.address, profile.name);
            let mut plan = bind(gpu.address, purpose, vf, BindingGoal::vfio());
            if observed.host.vfio_pci == ModulePresence::Loadable {
                plan.steps.insert(0, Step::LoadModule { module: DriverName::vfio_pci() });
            }
            Some(plan)
        }
    }
}

/// Binds a plain virtual function: to VFIO it is a vGPU, without a driver it is none.
fn bind(gpu: PciAddress, purpose: String, vf: &Function, goal: BindingGoal) -> Plan {
    let promises = match &goal {
        BindingGoal::Exactly(binding) => {
            vec![Promise::Bound { function: vf.address, binding: binding.clone() }]
        }
        BindingGoal::Host { driver_override } => {
            vec![Promise::WithHost { function: vf.address, driver_override: driver_override.clone() }]
        }
    };
    Plan {
        gpu,
        purpose,
        steps: driver::steps(&[vf], &[(vf.address, goal)].into()),
        before: Snapshot {
            bindings: [(vf.address, vf.binding.clone())].into(),
            identities: [(vf.address, vf.identity)].into(),
            ..Snapshot::default()
        },
        promises,
    }
}

/// What will name a vGPU of this profile.
pub fn id_of_new(profile: &Profile, uuid: Uuid) -> VgpuId {
    match profile.framework {
        Framework::Mdev => VgpuId::Mdev(uuid),
        Framework::NvidiaVfio | Framework::Sriov => VgpuId::Vf(profile.parent),
    }
}

fn create_mdev(gpu: &Gpu, profile: &Profile, uuid: Uuid) -> Plan {
    let place =
        MdevPlace { parent: profile.parent, type_id: profile.type_id.clone(), profile: profile.name.clone() };
    Plan {
        gpu: gpu.address,
        purpose: format!("{} gets vGPU {uuid} of profile {}", gpu.address, profile.name),
        steps: vec![Step::CreateMdev { uuid, place: place.clone() }],
        before: Snapshot { mdevs: [(uuid, None)].into(), ..Snapshot::default() },
        promises: vec![Promise::MdevAlive { uuid, place }],
    }
}

/// Plans a vGPU's removal; none where its type is no type of its framework.
pub fn remove(vgpu: &Vgpu, observed: &Observed) -> Option<Plan> {
    let purpose = format!("{} loses vGPU {} of profile {}", vgpu.gpu, vgpu.id, vgpu.profile);
    match vgpu.id {
        VgpuId::Mdev(uuid) => Some(Plan {
            gpu: vgpu.gpu,
            purpose,
            steps: vec![Step::RemoveMdev { uuid, parent: vgpu.parent }],
            before: Snapshot { mdevs: [(uuid, Some(place(vgpu)))].into(), ..Snapshot::default() },
            promises: vec![Promise::MdevGone { uuid }],
        }),
        VgpuId::Vf(vf) if vgpu.framework == Framework::Sriov => {
            let free = DriverBinding { driver: None, driver_override: None };
            Some(bind(vgpu.gpu, purpose, observed.functions.get(&vf)?, BindingGoal::Exactly(free)))
        }
        VgpuId::Vf(vf) => Some(set_type(
            &TypeChange { gpu: vgpu.gpu, purpose, vf, profile: &vgpu.profile },
            number(&vgpu.type_id)?,
            0,
        )),
    }
}

/// A change of a virtual function's vGPU type.
struct TypeChange<'a> {
    gpu: PciAddress,
    purpose: String,
    vf: PciAddress,
    profile: &'a ProfileName,
}

fn set_type(change: &TypeChange, from: u32, to: u32) -> Plan {
    let vf = change.vf;
    Plan {
        gpu: change.gpu,
        purpose: change.purpose.clone(),
        steps: vec![Step::SetVgpuType { vf, from, to, profile: change.profile.clone() }],
        before: Snapshot { vgpu_types: [(vf, from)].into(), ..Snapshot::default() },
        promises: vec![Promise::VgpuType { vf, type_id: to }],
    }
}

/// A type's number; 0 is no type.
fn number(type_id: &str) -> Option<u32> {
    type_id.parse().ok().filter(|number| *number != 0)
}

/// The vGPU type that a virtual function of NVIDIA's has; 0 is none.
pub fn type_of(vf: PciAddress, observed: &Observed) -> u32 {
    let found = observed.vgpus.get(&VgpuId::Vf(vf)).filter(|vgpu| vgpu.framework == Framework::NvidiaVfio);
    found.and_then(|vgpu| number(&vgpu.type_id)).unwrap_or(0)
}

/// Where a live mediated device is.
pub fn place(vgpu: &Vgpu) -> MdevPlace {
    MdevPlace { parent: vgpu.parent, type_id: vgpu.type_id.clone(), profile: vgpu.profile.clone() }
}
