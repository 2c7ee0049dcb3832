//! The way back: a plan from what is now to a snapshot, run by the same loop as any other.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{DriverBinding, Function, Observed, PciAddress, VgpuId};
use uuid::Uuid;

use crate::driver::{self, BindingGoal};
use crate::{Plan, Promise, Snapshot, Step, VfSetting, sriov, vgpu};

/// Plans the way from `now` back to how things were before `plan`.
///
/// Only what `plan` could have changed is touched. Functions that have vanished since have nothing to be led back, and
/// where another device sits now (a reboot with other cards), it is not the one that was changed.
pub fn plan(plan: &Plan, now: &Observed) -> Plan {
    let bound = bound_before(&plan.before, now);
    let functions: Vec<&Function> = bound.iter().map(|(function, _)| *function).collect();
    let goals = bound
        .iter()
        .map(|(function, binding)| (function.address, BindingGoal::Exactly((*binding).clone())))
        .collect::<BTreeMap<_, _>>();
    let mut steps = mdev_steps(plan, now);
    steps.extend(type_steps(plan, now));
    let (taken, made) = vf_steps(plan, now);
    steps.extend(taken);
    steps.extend(driver::steps(&functions, &goals));
    // Only a driver can make virtual functions, so after it is back.
    steps.extend(made);
    Plan {
        gpu: plan.gpu,
        purpose: format!("undo: {}", plan.purpose),
        steps,
        before: now_as_snapshot(plan, now),
        promises: promises(plan, now),
    }
}

/// What `plan` is after its first `steps` steps: the part of it that a way back has to undo.
///
/// What no step has touched yet is as it was, or somebody else's by now: of many vGPUs that were to be made, another
/// may have taken a virtual function before its turn came.
pub fn begun(plan: &Plan, steps: usize) -> Plan {
    let mut part = plan.clone();
    part.steps.truncate(steps);
    let Plan { steps, before, .. } = &mut part;
    let touches = |function: &PciAddress| {
        steps.iter().any(|step| {
            matches!(step, Step::SetOverride { function: of, .. } | Step::Unbind { function: of, .. }
                | Step::Probe { function: of, .. } if of == function)
        })
    };
    let types = |vf: &PciAddress| {
        steps.iter().any(|step| matches!(step, Step::SetVgpuType { vf: of, .. } if of == vf))
    };
    let mdevs: BTreeSet<Uuid> = steps.iter().filter_map(mdev_of).collect();
    before.bindings.retain(|function, _| touches(function));
    before.identities.retain(|function, _| touches(function));
    before.vgpu_types.retain(|vf, _| types(vf));
    before.mdevs.retain(|uuid, _| mdevs.contains(uuid));
    part
}

fn mdev_of(step: &Step) -> Option<Uuid> {
    match step {
        Step::CreateMdev { uuid, .. } | Step::RemoveMdev { uuid, .. } => Some(*uuid),
        _ => None,
    }
}

/// The functions of the snapshot that are there still and the same, with how they were bound.
fn bound_before<'a>(before: &'a Snapshot, now: &'a Observed) -> Vec<(&'a Function, &'a DriverBinding)> {
    let functions = before.bindings.keys().filter_map(|address| now.functions.get(address));
    functions.filter_map(|function| Some((function, before.binding_of(function)?))).collect()
}

/// Removals before additions: capacity is shared.
fn mdev_steps(plan: &Plan, now: &Observed) -> Vec<Step> {
    let mut removals = Vec::new();
    let mut additions = Vec::new();
    for (uuid, was) in &plan.before.mdevs {
        match (was, now.vgpus.get(&VgpuId::Mdev(*uuid))) {
            (None, Some(vgpu)) if made_by(plan, vgpu) => {
                removals.push(Step::RemoveMdev { uuid: *uuid, parent: vgpu.parent });
            }
            (Some(place), None) => additions.push(Step::CreateMdev { uuid: *uuid, place: place.clone() }),
            _ => {}
        }
    }
    removals.into_iter().chain(additions).collect()
}

/// Types that `plan` set or took, set back; one that somebody else set since is not touched.
fn type_steps(plan: &Plan, now: &Observed) -> Vec<Step> {
    let (mut removals, mut additions) = (Vec::new(), Vec::new());
    for step in &plan.steps {
        let Step::SetVgpuType { vf, from, to, profile } = step else { continue };
        if from != to && now.functions.contains_key(vf) && vgpu::type_of(*vf, now) == *to {
            let back = Step::SetVgpuType { vf: *vf, from: *to, to: *from, profile: profile.clone() };
            if *from == 0 { removals.push(back) } else { additions.push(back) }
        }
    }
    removals.into_iter().chain(additions).collect()
}

/// Steps that take away virtual functions which `plan` made, and steps that make those again which it took.
fn vf_steps(plan: &Plan, now: &Observed) -> (Vec<Step>, Vec<Step>) {
    let ours = |function, count| {
        count == 0
            || plan.steps.iter().any(|step| {
                matches!(step, Step::SetVfCount { function: of, to, .. } if *of == function && *to == count)
            })
    };
    let all = plan.before.vfs.iter().filter_map(|(function, was)| {
        let is = now.functions.get(function).and_then(sriov::setting)?;
        // A number that is neither the old nor the new one is somebody else's.
        (is.count == was.count || ours(*function, is.count)).then(|| sriov::steps(*function, is, *was))
    });
    all.flatten().partition(|step| matches!(step, Step::SetVfCount { to: 0, .. }))
}

/// Whether a live mediated device is the one that `plan` was to make: same uuid, parent and type.
fn made_by(plan: &Plan, vgpu: &gpuvirt_model::Vgpu) -> bool {
    plan.steps.iter().any(|step| match step {
        Step::CreateMdev { uuid, place } => {
            vgpu.id == VgpuId::Mdev(*uuid) && place.parent == vgpu.parent && place.type_id == vgpu.type_id
        }
        _ => false,
    })
}

fn now_as_snapshot(plan: &Plan, now: &Observed) -> Snapshot {
    let bound = bound_before(&plan.before, now);
    Snapshot {
        bindings: bound.iter().map(|(function, _)| (function.address, function.binding.clone())).collect(),
        identities: bound.iter().map(|(function, _)| (function.address, function.identity)).collect(),
        mdevs: plan
            .before
            .mdevs
            .keys()
            .map(|uuid| (*uuid, now.vgpus.get(&VgpuId::Mdev(*uuid)).map(vgpu::place)))
            .collect(),
        vfs: plan.before.vfs.keys().filter_map(|function| vfs(function, now)).collect(),
        vgpu_types: plan.before.vgpu_types.keys().map(|vf| (*vf, vgpu::type_of(*vf, now))).collect(),
    }
}

fn vfs(function: &PciAddress, now: &Observed) -> Option<(PciAddress, VfSetting)> {
    Some((*function, sriov::setting(now.functions.get(function)?)?))
}

/// What is true after the way back. Of what somebody else has put in the place of ours nothing is promised: it is
/// theirs, and ours is gone.
fn promises(plan: &Plan, now: &Observed) -> Vec<Promise> {
    let before = &plan.before;
    let others = |uuid: &Uuid| {
        // One that is being removed does not show its type: it may be ours.
        now.vgpus.get(&VgpuId::Mdev(*uuid)).is_some_and(|vgpu| !vgpu.removing && !made_by(plan, vgpu))
    };
    let others_type = |vf: &PciAddress, was: u32| {
        let is = vgpu::type_of(*vf, now);
        let ours =
            |step: &Step| matches!(step, Step::SetVgpuType { vf: of, to, .. } if of == vf && *to == is);
        was == 0 && is != 0 && !plan.steps.iter().any(ours)
    };
    let bound = bound_before(before, now)
        .into_iter()
        .map(|(function, binding)| Promise::Bound { function: function.address, binding: binding.clone() });
    let mdevs = before.mdevs.iter().filter(|(uuid, was)| was.is_some() || !others(uuid));
    let mdevs = mdevs.map(|(uuid, was)| match was {
        Some(place) => Promise::MdevAlive { uuid: *uuid, place: place.clone() },
        None => Promise::MdevGone { uuid: *uuid },
    });
    let types = before.vgpu_types.iter().filter(|(vf, was)| !others_type(vf, **was));
    let types = types.map(|(vf, was)| Promise::VgpuType { vf: *vf, type_id: *was });
    let vfs = before.vfs.iter().filter(|(function, _)| now.functions.contains_key(function));
    let vfs = vfs.map(|(function, was)| Promise::Vfs { function: *function, setting: *was });
    bound.chain(mdevs).chain(types).chain(vfs).collect()
}
