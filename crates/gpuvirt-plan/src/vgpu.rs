//! Plans that make and remove vGPUs, many at once, and where a vGPU is.

use std::collections::BTreeSet;

use gpuvirt_model::{
    DriverBinding, DriverName, Framework, Function, Gpu, ModulePresence, Observed, PciAddress, Profile,
    ProfileName, Vgpu, VgpuId,
};
use uuid::Uuid;

use crate::driver::{self, BindingGoal};
use crate::wish::Making;
use crate::{Marks, MdevPlace, Plan, Promise, Snapshot, Step, params, power_control};

/// Plans new vGPUs, in this order.
///
/// None where a type is no type of its framework, or a function is gone.
pub fn create(gpu: &Gpu, makings: &[Making<'_>], observed: &Observed) -> Option<Plan> {
    let named = makings.iter().map(|making| (making.id, &making.profile.name));
    let mut plan = empty(gpu.address, "gets", named);
    let mut bound = Vec::new();
    for Making { id, profile } in makings {
        match profile.framework {
            Framework::Mdev => make_mdev(&mut plan, id.uuid()?, profile),
            Framework::NvidiaVfio => {
                let change = TypeChange { vf: profile.parent, from: 0, to: number(&profile.type_id)? };
                set_type(&mut plan, &change, &profile.name);
            }
            Framework::Sriov => bound.push(observed.functions.get(&profile.parent)?),
        }
    }
    if !bound.is_empty() && observed.host.vfio_pci == ModulePresence::Loadable {
        plan.steps.push(Step::LoadModule { module: DriverName::vfio_pci() });
    }
    bind(&mut plan, &bound, &BindingGoal::vfio());
    Some(plan)
}

/// Plans the removal of vGPUs of one GPU, in this order; none where a type is no type of its framework.
pub fn remove(gpu: PciAddress, vgpus: &[&Vgpu], observed: &Observed) -> Option<Plan> {
    let mut plan = empty(gpu, "loses", vgpus.iter().map(|vgpu| (vgpu.id, &vgpu.profile)));
    let mut bound = Vec::new();
    for vgpu in vgpus {
        match vgpu.id {
            VgpuId::Mdev(uuid) => {
                plan.steps.push(Step::RemoveMdev { uuid, parent: vgpu.parent });
                plan.before.mdevs.insert(uuid, Some(place(vgpu)));
                plan.promises.push(Promise::MdevGone { uuid });
            }
            VgpuId::Vf(vf) if vgpu.framework == Framework::Sriov => bound.push(observed.functions.get(&vf)?),
            VgpuId::Vf(vf) => {
                set_type(&mut plan, &TypeChange { vf, from: number(&vgpu.type_id)?, to: 0 }, &vgpu.profile);
            }
        }
    }
    let free = DriverBinding { driver: None, driver_override: None };
    bind(&mut plan, &bound, &BindingGoal::Exactly(free));
    params::clear_before_removal(&mut plan, vgpus);
    Some(plan)
}

/// A plan without steps, and what it is for.
fn empty<'a>(gpu: PciAddress, verb: &str, vgpus: impl Iterator<Item = (VgpuId, &'a ProfileName)>) -> Plan {
    let vgpus: Vec<_> = vgpus.collect();
    let purpose = match vgpus.as_slice() {
        [(id, profile)] => format!("{gpu} {verb} vGPU {id} of profile {profile}"),
        many => format!("{gpu} {verb} {}", in_number(many.iter().map(|(_, profile)| *profile))),
    };
    Plan {
        gpu,
        purpose,
        steps: Vec::new(),
        before: Snapshot::default(),
        promises: Vec::new(),
        marks: Marks::default(),
    }
}

/// `3 vGPUs of profile a`, `3 vGPUs of profiles a, b`.
pub fn in_number<'a>(profiles: impl Iterator<Item = &'a ProfileName> + Clone) -> String {
    let count = profiles.clone().count();
    let names: BTreeSet<&str> = profiles.map(|name| name.0.as_str()).collect();
    let word = if names.len() == 1 { "profile" } else { "profiles" };
    format!("{count} vGPUs of {word} {}", names.into_iter().collect::<Vec<_>>().join(", "))
}

/// Binds plain virtual functions: to VFIO they are vGPUs, without a driver they are none.
fn bind(plan: &mut Plan, vfs: &[&Function], goal: &BindingGoal) {
    let goals = vfs.iter().map(|vf| (vf.address, goal.clone())).collect();
    plan.steps.extend(driver::steps(vfs, &goals));
    power_control::note(plan, vfs);
    for vf in vfs {
        plan.before.bindings.insert(vf.address, vf.binding.clone());
        plan.before.identities.insert(vf.address, vf.identity);
        plan.promises.push(match goal {
            BindingGoal::Exactly(binding) => {
                Promise::Bound { function: vf.address, binding: binding.clone() }
            }
            BindingGoal::Host { driver_override } => {
                Promise::WithHost { function: vf.address, driver_override: driver_override.clone() }
            }
        });
    }
}

fn make_mdev(plan: &mut Plan, uuid: Uuid, profile: &Profile) {
    let place =
        MdevPlace { parent: profile.parent, type_id: profile.type_id.clone(), profile: profile.name.clone() };
    plan.steps.push(Step::CreateMdev { uuid, place: place.clone() });
    plan.before.mdevs.insert(uuid, None);
    plan.promises.push(Promise::MdevAlive { uuid, place });
}

/// A change of a virtual function's vGPU type.
struct TypeChange {
    vf: PciAddress,
    from: u32,
    to: u32,
}

fn set_type(plan: &mut Plan, change: &TypeChange, profile: &ProfileName) {
    let TypeChange { vf, from, to } = *change;
    plan.steps.push(Step::SetVgpuType { vf, from, to, profile: profile.clone() });
    plan.before.vgpu_types.insert(vf, from);
    plan.promises.push(Promise::VgpuType { vf, type_id: to });
}

/// A type's number; 0 is no type.
fn number(type_id: &str) -> Option<u32> {
    type_id.parse().ok().filter(|number| *number != 0)
}

/// Where a live mediated device is.
pub fn place(vgpu: &Vgpu) -> MdevPlace {
    MdevPlace { parent: vgpu.parent, type_id: vgpu.type_id.clone(), profile: vgpu.profile.clone() }
}
