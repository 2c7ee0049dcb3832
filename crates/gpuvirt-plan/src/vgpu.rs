//! Plans that make and remove vGPUs, and where a vGPU is.

use gpuvirt_model::{Framework, Gpu, Observed, PciAddress, Profile, ProfileName, Vgpu, VgpuId};
use uuid::Uuid;

use crate::{MdevPlace, Plan, Promise, Snapshot, Step};

/// Plans a vGPU of `profile`. The uuid is a mediated device's; a virtual function has its address.
///
/// None where the profile is of a framework that makes no vGPU by request, or its type is no type of it.
pub fn create(gpu: &Gpu, profile: &Profile, uuid: Uuid) -> Option<Plan> {
    match profile.framework {
        Framework::Mdev => Some(create_mdev(gpu, profile, uuid)),
        Framework::NvidiaVfio => {
            let (vf, name) = (profile.parent, &profile.name);
            let purpose = format!("{} gets vGPU {vf} of profile {name}", gpu.address);
            let change = TypeChange { gpu: gpu.address, purpose, vf, profile: name };
            Some(set_type(&change, 0, number(&profile.type_id)?))
        }
        Framework::Sriov => None,
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
pub fn remove(vgpu: &Vgpu) -> Option<Plan> {
    let purpose = format!("{} loses vGPU {} of profile {}", vgpu.gpu, vgpu.id, vgpu.profile);
    match vgpu.id {
        VgpuId::Mdev(uuid) => Some(Plan {
            gpu: vgpu.gpu,
            purpose,
            steps: vec![Step::RemoveMdev { uuid, parent: vgpu.parent }],
            before: Snapshot { mdevs: [(uuid, Some(place(vgpu)))].into(), ..Snapshot::default() },
            promises: vec![Promise::MdevGone { uuid }],
        }),
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
