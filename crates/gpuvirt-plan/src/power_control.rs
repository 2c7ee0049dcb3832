//! `power/control` of functions that change hands: VFIO lets a function sleep while it has it, and leaves it awake for ever,
//! whatever was set before. So what was set is put back when the function is with its driver again.
//!
//! Drivers set it too when they take a function, some of them later, and udev's rules when they have: what they make of a
//! value that was put back is theirs, and fails no change.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{Function, Observed, PciAddress, PowerControl, Records};

use crate::{Plan, Snapshot, Step};

/// Notes how `functions` have it, of those that the plan unbinds or probes.
pub(crate) fn note(plan: &mut Plan, functions: &[&Function]) {
    let rebound = rebound(&plan.steps);
    let noted = functions.iter().filter(|function| rebound.contains(&function.address));
    plan.before.power_control.extend(noted.filter_map(|f| Some((f.address, f.power_control?))));
}

/// The steps that give functions back what the host had set, as the records know it: behind all others of a plan that gives
/// them back to their drivers.
pub(crate) fn hosts(plan: &Plan, functions: &[&Function], records: &Records) -> Vec<Step> {
    let noted = functions.iter().filter(|function| plan.before.power_control.contains_key(&function.address));
    let hosts = |function: &&Function| {
        Some(Step::SetPowerControl {
            function: function.address,
            to: records.host_binding(function)?.power_control?,
        })
    };
    noted.filter_map(hosts).collect()
}

/// The last steps of a way back: where its other steps rebind a function, and where its value is not what it was.
pub(crate) fn undo(before: &Snapshot, now: &Observed, back: &[Step]) -> Vec<Step> {
    let rebound = rebound(back);
    let differs = |function: &PciAddress, was: PowerControl| {
        let found = now.functions.get(function).filter(|found| before.is_same(found));
        found.and_then(|found| found.power_control).is_some_and(|is| is != was || rebound.contains(function))
    };
    let differing = before.power_control.iter().filter(|(function, was)| differs(function, **was));
    differing.map(|(function, was)| Step::SetPowerControl { function: *function, to: *was }).collect()
}

/// How the functions of the plan's snapshot have it now.
pub(crate) fn now(plan: &Plan, now: &Observed) -> BTreeMap<PciAddress, PowerControl> {
    let functions = plan.before.power_control.keys().filter_map(|function| now.functions.get(function));
    functions.filter_map(|function| Some((function.address, function.power_control?))).collect()
}

/// What a plan has put back and is otherwise by now, in words.
pub fn not_kept(plan: &Plan, now: &Observed) -> Vec<String> {
    let set = plan.steps.iter().filter_map(|step| match step {
        Step::SetPowerControl { function, to } => Some((function, *to)),
        _ => None,
    });
    let not_kept = set.filter_map(|(function, to)| {
        let is = now.functions.get(function)?.power_control.filter(|is| *is != to)?;
        Some(format!("power/control of {function} is {is} now; it was {to} before"))
    });
    not_kept.collect()
}

fn rebound(steps: &[Step]) -> BTreeSet<PciAddress> {
    let functions = steps.iter().filter_map(|step| match step {
        Step::Unbind { function, .. } | Step::Probe { function, .. } => Some(*function),
        _ => None,
    });
    functions.collect()
}
