//! The way back: a plan from what is now to a snapshot, run by the same loop as any other.

use std::collections::BTreeMap;

use gpuvirt_model::{DriverBinding, Function, Observed};

use crate::driver::{self, BindingGoal};
use crate::{Plan, Promise, Snapshot, Step, vgpu};

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
    steps.extend(driver::steps(&functions, &goals));
    Plan {
        gpu: plan.gpu,
        purpose: format!("undo: {}", plan.purpose),
        steps,
        before: now_as_snapshot(plan, now),
        promises: promises(&plan.before, now),
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
        match (was, now.vgpus.get(uuid)) {
            (None, Some(vgpu)) if made_by(plan, vgpu) => {
                removals.push(Step::RemoveMdev { uuid: *uuid, parent: vgpu.parent });
            }
            (Some(place), None) => additions.push(Step::CreateMdev { uuid: *uuid, place: place.clone() }),
            _ => {}
        }
    }
    removals.into_iter().chain(additions).collect()
}

/// Whether a live mediated device is the one that `plan` was to make: same uuid, parent and type.
fn made_by(plan: &Plan, vgpu: &gpuvirt_model::Vgpu) -> bool {
    plan.steps.iter().any(|step| match step {
        Step::CreateMdev { uuid, place } => {
            *uuid == vgpu.uuid && place.parent == vgpu.parent && place.type_id == vgpu.type_id
        }
        _ => false,
    })
}

fn now_as_snapshot(plan: &Plan, now: &Observed) -> Snapshot {
    let bound = bound_before(&plan.before, now);
    Snapshot {
        bindings: bound.iter().map(|(function, _)| (function.address, function.binding.clone())).collect(),
        identities: bound.iter().map(|(function, _)| (function.address, function.identity)).collect(),
        mdevs: plan.before.mdevs.keys().map(|uuid| (*uuid, now.vgpus.get(uuid).map(vgpu::place))).collect(),
    }
}

fn promises(before: &Snapshot, now: &Observed) -> Vec<Promise> {
    let bound = bound_before(before, now)
        .into_iter()
        .map(|(function, binding)| Promise::Bound { function: function.address, binding: binding.clone() });
    let mdevs = before.mdevs.iter().map(|(uuid, was)| match was {
        Some(place) => Promise::MdevAlive { uuid: *uuid, place: place.clone() },
        None => Promise::MdevGone { uuid: *uuid },
    });
    bound.chain(mdevs).collect()
}
