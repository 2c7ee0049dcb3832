//! Plans that make and remove vGPUs.

use gpuvirt_model::{Gpu, Profile, Vgpu};
use uuid::Uuid;

use crate::{MdevPlace, Plan, Promise, Snapshot, Step};

/// Plans a mediated device of `profile`.
pub fn create(gpu: &Gpu, profile: &Profile, uuid: Uuid) -> Plan {
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

/// Plans a vGPU's removal.
pub fn remove(vgpu: &Vgpu) -> Plan {
    Plan {
        gpu: vgpu.gpu,
        purpose: format!("{} loses vGPU {} of profile {}", vgpu.gpu, vgpu.uuid, vgpu.profile),
        steps: vec![Step::RemoveMdev { uuid: vgpu.uuid, parent: vgpu.parent }],
        before: Snapshot { mdevs: [(vgpu.uuid, Some(place(vgpu)))].into(), ..Snapshot::default() },
        promises: vec![Promise::MdevGone { uuid: vgpu.uuid }],
    }
}

/// Where a live vGPU is.
pub fn place(vgpu: &Vgpu) -> MdevPlace {
    MdevPlace { parent: vgpu.parent, type_id: vgpu.type_id.clone(), profile: vgpu.profile.clone() }
}
