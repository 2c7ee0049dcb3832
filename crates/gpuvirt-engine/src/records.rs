//! What we remember of a change: how the host had each function, and what on the cards is ours.

use gpuvirt_model::{
    Function, GpuInstance, GpuInstanceRecord, GraphicsType, HostBinding, Observed, PciAddress, PowerControl,
    Records, VfsRecord, VgpuMode, VgpuModeRecord, When,
};
use gpuvirt_plan::{Marks, MigMode, MixedSize, Plan, Step, mig};

use crate::View;

/// Remembers how the host has each function that it is about to lose, and which virtual functions are ours. A
/// driverless function tells nothing that an earlier record of the same function doesn't tell better.
pub(crate) fn records_after(view: &View, plan: &Plan) -> Records {
    let mut records = view.records.clone();
    for (function, binding) in &plan.before.bindings {
        let Some(observed) = view.observed.functions.get(function) else { continue };
        let host_driver = binding.driver.as_ref().is_some_and(|driver| !driver.leaves_group_viable());
        let first = binding.driver.is_none() && records.host_binding(observed).is_none();
        if host_driver || first {
            let recorded = HostBinding {
                driver: binding.driver.clone(),
                driver_override: binding.driver_override.clone(),
                identity: Some(observed.identity),
                power_control: hosts_power_control(view, plan, observed),
            };
            records.host_bindings.insert(*function, recorded);
        }
    }
    for step in &plan.steps {
        if let Step::CycleVfs { function, .. } = step {
            // The vendor's tool wipes the mode either way.
            records.vgpu_modes.retain(|gpu, record| gpu != function || record.mode == VgpuMode::Mig);
        }
        match step {
            Step::SetVfCount { function, to: 0, .. } | Step::CycleVfs { function, to: 0, .. } => {
                records.vfs.remove(function);
            }
            Step::SetMigMode { gpu, to: MigMode::On, .. } => {
                // The mode outlives a reboot.
                records.vgpu_modes.insert(*gpu, VgpuModeRecord { mode: VgpuMode::Mig, boot: None });
            }
            Step::SetMigMode { gpu, to: MigMode::Off, .. } => drop(records.vgpu_modes.remove(gpu)),
            Step::SetMixedSize { gpu, to, .. } => {
                let mode = match to {
                    MixedSize::On => VgpuMode::MixedSize,
                    MixedSize::Off => VgpuMode::SameSize,
                };
                records.vgpu_modes.insert(*gpu, VgpuModeRecord { mode, boot: view.observed.host.boot_id });
            }
            Step::SetVfCount { function, to, .. } | Step::CycleVfs { function, to, .. } => {
                let before = plan.before.vfs.get(function).is_some_and(|before| before.autoprobe.is_on());
                records.vfs.insert(
                    *function,
                    VfsRecord { count: *to, autoprobe_before: before, boot: view.observed.host.boot_id },
                );
            }
            _ => {}
        }
    }
    records
}

/// What the host itself set. A card that is `direct` already, and that somebody took from VFIO behind us, is awake because VFIO
/// leaves them all so: what the host had set is known better. One that is lent is the host's in between.
fn hosts_power_control(view: &View, plan: &Plan, function: &Function) -> Option<PowerControl> {
    let found = plan.before.power_control.get(&function.address).copied();
    let direct = view.desired.gpu(plan.gpu).is_some_and(|entry| {
        entry.graphics_type.resolve(&view.desired.host) == GraphicsType::Direct && entry.when != When::Vm
    });
    let known = view.records.host_binding(function).and_then(|recorded| recorded.power_control);
    if direct && found == Some(PowerControl::On) { known.or(found) } else { found }
}

/// Our records after a switch: what it made is ours, and what it wiped is nobody's. Others' would have been refused, and
/// what they made meanwhile is theirs.
pub(crate) fn with_instances_after(mut records: Records, plan: &Plan, now: &Observed) -> Records {
    for gpu in plan.before.mig.keys() {
        let found = now.mig.get(gpu).map(|state| state.instances.as_slice()).unwrap_or_default();
        records.gpu_instances.retain(|known| {
            known.gpu != *gpu || (!mig::wipes(plan) && found.iter().any(|one| known.is_of(*gpu, one)))
        });
        let new = new_instances(*gpu, &plan.marks, now);
        records.gpu_instances.extend(new.iter().map(|one| record(*gpu, one, now)));
    }
    records
}

/// Our records after a way back that made GPU instances again, which then have other numbers. None: they are right.
/// `marks`: what was noted of an earlier way back, whose daemon died before it could store what it had made: all that it
/// noted, and the one that it was making.
pub(crate) fn renumbered(
    records: &Records,
    (before, after): (&Observed, &Observed),
    marks: &Marks,
) -> Option<Records> {
    let mut next = records.clone();
    for record in &mut next.gpu_instances {
        let live = |now: &Observed| now.mig.get(&record.gpu).map(|state| state.instances.clone());
        let (Some(was), Some(is)) = (live(before), live(after)) else { continue };
        if is.iter().any(|instance| record.is_of(record.gpu, instance)) {
            continue;
        }
        let new = |one: &&GpuInstance| {
            marks.made(record.gpu, one.id)
                || marks.making.contains(&record.gpu)
                || !was.iter().any(|known| known.is_same(one))
        };
        let there = |one: &&GpuInstance| one.profile == record.profile && one.placement == record.placement;
        if let Some(instance) = is.iter().filter(new).find(there) {
            record.id = instance.id;
        }
    }
    (next != *records).then_some(next)
}

/// Whether our records are right about the GPU instances that a plan could make or remove.
pub(crate) fn instances_agree(plan: &Plan, view: &View) -> bool {
    plan.before.mig.iter().all(|(gpu, before)| {
        let found = view.observed.mig.get(gpu).map(|state| state.instances.as_slice()).unwrap_or_default();
        let mut recorded = view.records.gpu_instances.iter().filter(|record| record.gpu == *gpu);
        let lives = |record: &GpuInstanceRecord| found.iter().any(|instance| record.is_of(*gpu, instance));
        let new = view.observed.mig.get(gpu).map(|state| mig::made_by(plan, *gpu, before, state));
        recorded.all(lives)
            && new.into_iter().flatten().all(|instance| view.records.made_instance(*gpu, instance))
    })
}

/// What the plan has made on a card. What else is new there is somebody else's.
pub(crate) fn new_instances(gpu: PciAddress, marks: &Marks, now: &Observed) -> Vec<GpuInstance> {
    let found = now.mig.get(&gpu).into_iter().flat_map(|state| &state.instances);
    found.filter(|instance| marks.made(gpu, instance.id)).cloned().collect()
}

pub(crate) fn record(gpu: PciAddress, instance: &GpuInstance, now: &Observed) -> GpuInstanceRecord {
    GpuInstanceRecord {
        gpu,
        id: instance.id,
        profile: instance.profile.clone(),
        placement: instance.placement,
        boot: now.host.boot_id,
        key: None,
    }
}
