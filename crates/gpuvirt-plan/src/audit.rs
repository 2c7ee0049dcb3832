//! Invariants that any plan must keep, checked apart from whoever made it.

use std::collections::BTreeSet;

use gpuvirt_model::{Gpu, PciAddress};

use crate::{Plan, Step};

/// Every invariant that the plan breaks; empty: it may run.
///
/// - no function outside the GPU's own (and its virtual functions, for vGPUs) is touched;
/// - whatever a step changes is in the snapshot, so an undo exists;
/// - removals come before additions, of drivers and of vGPUs, and services stop before they start.
pub fn violations(plan: &Plan, gpu: &Gpu, parents: &[PciAddress]) -> Vec<String> {
    let allowed: BTreeSet<PciAddress> = gpu.functions.iter().chain(parents).copied().collect();
    let foreign = plan.steps.iter().filter_map(Step::function).filter(|function| !allowed.contains(function));
    let mut found: Vec<String> = foreign.map(|f| format!("{f} is no function of {}", gpu.address)).collect();
    found
        .extend(plan.steps.iter().filter(|step| !undoable(step, plan)).map(|s| format!("no undo for {s:?}")));
    if let Some(step) = first_out_of_order(plan) {
        found.push(format!("{step:?} adds before something is removed"));
    }
    found
}

fn undoable(step: &Step, plan: &Plan) -> bool {
    match step {
        // Loading a driver's module changes no device; it stays.
        Step::LoadModule { .. } => true,
        Step::SetOverride { function, .. } | Step::Unbind { function, .. } | Step::Probe { function, .. } => {
            plan.before.bindings.contains_key(function)
        }
        Step::CreateMdev { uuid, .. } | Step::RemoveMdev { uuid, .. } => plan.before.mdevs.contains_key(uuid),
        // From one number to another the kernel refuses: by way of none only.
        Step::SetVfCount { function, from, to } => {
            plan.before.vfs.contains_key(function) && (*from == 0 || *to == 0)
        }
        Step::SetVfAutoprobe { function, .. } => plan.before.vfs.contains_key(function),
        Step::SetVgpuParams { vgpu, .. } => plan.before.vgpu_params.contains_key(vgpu) || plan.makes(*vgpu),
        Step::SetMigMode { gpu, .. }
        | Step::CreateGpuInstance { gpu, .. }
        | Step::RemoveGpuInstance { gpu, .. } => plan.before.mig.contains_key(gpu),
        Step::CycleVfs { function, from, to, .. } => {
            plan.before.vfs.contains_key(function) && (*from == 0 || *to == 0)
        }
        Step::SetMixedSize { gpu, .. } => plan.before.mixed_sizes.contains_key(gpu),
        Step::SetUnbindLock { function, .. } => plan.before.bindings.contains_key(function),
        Step::SetPowerControl { function, .. } => plan.before.power_control.contains_key(function),
        Step::StopService { unit, .. } | Step::StartService { unit, .. } => {
            plan.before.services.contains(unit)
        }
        // A new type over an old one would be refused by the driver: by way of none only.
        Step::SetVgpuType { vf, from, to, .. } => {
            plan.before.vgpu_types.contains_key(vf) && (*from == 0 || *to == 0)
        }
    }
}

/// The first addition that stands before a removal of its own kind.
fn first_out_of_order(plan: &Plan) -> Option<&Step> {
    type Kind = fn(&Step) -> bool;
    let drivers: (Kind, Kind) = (|s| matches!(s, Step::Probe { .. }), |s| matches!(s, Step::Unbind { .. }));
    let mdevs: (Kind, Kind) =
        (|s| matches!(s, Step::CreateMdev { .. }), |s| matches!(s, Step::RemoveMdev { .. }));
    let types: (Kind, Kind) = (
        |s| matches!(s, Step::SetVgpuType { to, .. } if *to != 0),
        |s| matches!(s, Step::SetVgpuType { to: 0, .. }),
    );
    let vfs: (Kind, Kind) = (
        |s| matches!(s, Step::SetVfCount { to, .. } | Step::CycleVfs { to, .. } if *to != 0),
        |s| matches!(s, Step::SetVfCount { to: 0, .. } | Step::CycleVfs { to: 0, .. }),
    );
    let instances: (Kind, Kind) =
        (|s| matches!(s, Step::CreateGpuInstance { .. }), |s| matches!(s, Step::RemoveGpuInstance { .. }));
    // The driver forgets GPU instances when virtual functions come or go, and offers types only on what is there.
    let wiped: (Kind, Kind) = (
        |s| matches!(s, Step::CreateGpuInstance { .. }),
        |s| matches!(s, Step::SetVfCount { .. } | Step::CycleVfs { .. } | Step::SetMigMode { .. }),
    );
    let on_instances: (Kind, Kind) = (
        |s| matches!(s, Step::SetVgpuType { to, .. } if *to != 0),
        |s| matches!(s, Step::CreateGpuInstance { .. }),
    );
    // It refuses to turn the mode while there are any.
    let mode: (Kind, Kind) = (
        |s| matches!(s, Step::SetVfCount { to, .. } | Step::CycleVfs { to, .. } if *to != 0),
        |s| matches!(s, Step::SetMigMode { .. }),
    );
    let services: (Kind, Kind) =
        (|s| matches!(s, Step::StartService { .. }), |s| matches!(s, Step::StopService { .. }));
    let kinds = [drivers, mdevs, types, vfs, services, instances, wiped, on_instances, mode];
    kinds.into_iter().find_map(|(adds, removes)| {
        let last = plan.steps.iter().rposition(removes)?;
        plan.steps.iter().take(last).find(|step| adds(step))
    })
}
