//! The way back: a plan from what is now to a snapshot, run by the same loop as any other.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{
    DriverBinding, DriverName, Function, ModulePresence, Observed, PciAddress, UnitName, VgpuId,
};
use uuid::Uuid;

use crate::driver::{self, BindingGoal};
use crate::{
    Marks, MixedSize, Plan, Promise, Snapshot, Step, UnbindLock, VfSetting, mig, params, power_control,
    sriov, vendor, vgpu,
};

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
    // Of what lives before it is taken, of what was taken once it is there again.
    let (mut steps, restored) = params::undo_steps(plan, now);
    steps.extend(mdev_steps(plan, now));
    steps.extend(type_steps(plan, now));
    steps.extend(restored);
    let (taken, made) = vf_steps(plan, now);
    let instances = mig::undo(plan, now, !taken.is_empty() || !made.is_empty());
    steps.extend(taken);
    steps.extend(instances.removals);
    let bindings = driver::steps(&functions, &goals);
    // After a boot nobody has loaded it yet.
    if now.host.vfio_pci == ModulePresence::Loadable && bindings.iter().any(wants_vfio_pci) {
        steps.push(Step::LoadModule { module: DriverName::vfio_pci() });
    }
    steps.extend(bindings);
    steps.extend(instances.mode);
    // Only a driver can make virtual functions, so after it is back.
    steps.extend(made);
    // The virtual functions' coming would have wiped them.
    steps.extend(instances.additions);
    steps.extend(mixed_size_steps(plan, &steps));
    steps.extend(power_control::undo(&plan.before, now, &steps));
    let steps = with_services(plan, steps, now);
    let steps = [locks_given_back(plan, now), steps].concat();
    let mut promises = promises(plan, now);
    promises.extend(instances.promises);
    Plan {
        gpu: plan.gpu,
        purpose: format!("undo: {}", plan.purpose),
        steps,
        before: now_as_snapshot(plan, now),
        promises,
        marks: Marks::default(),
    }
}

fn wants_vfio_pci(step: &Step) -> bool {
    matches!(step, Step::Probe { expect: Some(driver), .. } if *driver == DriverName::vfio_pci())
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
    before.power_control.retain(|function, _| touches(function));
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
        if from != to && now.functions.contains_key(vf) && now.vgpu_type_of(*vf) == *to {
            let back = Step::SetVgpuType { vf: *vf, from: *to, to: *from, profile: profile.clone() };
            if *from == 0 { removals.push(back) } else { additions.push(back) }
        }
    }
    removals.into_iter().chain(additions).collect()
}

/// Locks that `plan` took and that its driver still has. That a lock is taken does not tell by whom: the marks do.
fn locks_given_back(plan: &Plan, now: &Observed) -> Vec<Step> {
    let still = plan.marks.locks.iter().filter(|(function, driver)| {
        now.functions.get(function).is_some_and(|found| found.binding.driver.as_ref() == Some(driver))
    });
    still
        .map(|(function, driver)| Step::SetUnbindLock {
            function: *function,
            driver: driver.clone(),
            to: UnbindLock::Free,
        })
        .collect()
}

/// The steps with services stopped around them, where they must be, and with every one started that ran before `plan`.
fn with_services(plan: &Plan, steps: Vec<Step>, now: &Observed) -> Vec<Step> {
    let services = services(plan, now);
    let running: Vec<UnitName> =
        services.iter().filter(|unit| now.host.running_services.contains_key(*unit)).cloned().collect();
    let mut steps = vendor::surround(plan.gpu, steps, &running, now);
    let stopped = steps.iter().any(|step| matches!(step, Step::StopService { .. }));
    let to_run = if stopped { &services } else { &plan.before.services };
    steps.retain(|step| !matches!(step, Step::StartService { .. }));
    steps.extend(to_run.iter().rev().map(|unit| Step::StartService { gpu: plan.gpu, unit: unit.clone() }));
    steps
}

/// The services that ran before `plan`, and those that hold cards of the driver that has the card now.
fn services(plan: &Plan, now: &Observed) -> Vec<UnitName> {
    let mut all = plan.before.services.clone();
    let of_driver = now.functions.get(&plan.gpu).map(|primary| vendor::running_services(primary, now));
    all.extend(of_driver.into_iter().flatten().filter(|unit| !plan.before.services.contains(unit)));
    all
}

/// The mixed-size mode as it was: set again where virtual functions were made anew, or where `plan` set another.
fn mixed_size_steps(plan: &Plan, back: &[Step]) -> Vec<Step> {
    let cycled = |gpu: &PciAddress| {
        back.iter().any(|step| matches!(step, Step::CycleVfs { function, .. } if function == gpu))
    };
    let set = |gpu: &PciAddress| {
        plan.steps.iter().any(|step| matches!(step, Step::SetMixedSize { gpu: of, .. } if of == gpu))
    };
    let cycles = |gpu: &PciAddress| {
        plan.steps.iter().any(|step| matches!(step, Step::CycleVfs { function, .. } if function == gpu))
    };
    let needed = plan.before.mixed_sizes.iter().filter(|(gpu, was)| match was.on {
        // An earlier way back may have died behind its virtual functions: nothing on the host tells what they lost.
        MixedSize::On => cycles(gpu) || cycled(gpu) || set(gpu),
        // What the tool has made or removed has lost it.
        MixedSize::Off => set(gpu) && !cycled(gpu),
    });
    needed
        .map(|(gpu, was)| Step::SetMixedSize { gpu: *gpu, command: was.command.clone(), to: was.on })
        .collect()
}

/// Steps that take away virtual functions which `plan` made, and steps that make those again which it took.
fn vf_steps(plan: &Plan, now: &Observed) -> (Vec<Step>, Vec<Step>) {
    let ours = |function, count| {
        count == 0 || plan.steps.iter().any(|step| {
            matches!(step, Step::SetVfCount { function: of, to, .. } | Step::CycleVfs { function: of, to, .. }
                    if *of == function && *to == count)
        })
    };
    // The tool that the plan used; another driver may have the card by now.
    let tool = plan.steps.iter().find_map(|step| match step {
        Step::CycleVfs { tool, .. } => Some(tool),
        _ => None,
    });
    let all = plan.before.vfs.iter().filter_map(|(function, was)| {
        let is = now.functions.get(function).and_then(sriov::setting)?;
        // A number that is neither the old nor the new one is somebody else's.
        (is.count == was.count || ours(*function, is.count)).then(|| sriov::steps(*function, tool, is, *was))
    });
    all.flatten()
        .partition(|step| matches!(step, Step::SetVfCount { to: 0, .. } | Step::CycleVfs { to: 0, .. }))
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
        power_control: power_control::now(plan, now),
        vfs: plan.before.vfs.keys().filter_map(|function| vfs(function, now)).collect(),
        vgpu_params: params::now(plan, now),
        mig: plan.before.mig.keys().filter_map(|gpu| mig::now(plan, *gpu, now)).collect(),
        mixed_sizes: plan.before.mixed_sizes.clone(),
        services: services(plan, now),
        vgpu_types: plan.before.vgpu_types.keys().map(|vf| (*vf, now.vgpu_type_of(*vf))).collect(),
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
        let is = now.vgpu_type_of(*vf);
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
    let params = before.vgpu_params.iter();
    let params = params.map(|(vgpu, was)| Promise::VgpuParams { vgpu: *vgpu, params: was.clone() });
    bound.chain(mdevs).chain(types).chain(vfs).chain(params).collect()
}
