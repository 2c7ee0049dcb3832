//! The plan that leads a GPU to a graphics type.

use std::collections::BTreeMap;

use gpuvirt_model::{Function, Gpu, GraphicsType, ModulePresence, Observed, PciAddress, Records};

use crate::driver::{self, BindingGoal};
use crate::{Plan, Promise, Snapshot, Step, sriov};

/// Plans a GPU's way to `to`: empty when it is there.
///
/// `basic` can't be asked for; it plans like `shared`.
///
/// It takes no virtual functions away: only [`plan_knowing`] knows which are ours.
pub fn plan(gpu: &Gpu, observed: &Observed, to: GraphicsType) -> Plan {
    plan_knowing(gpu, observed, to, &Records::default())
}

/// The same, with what is ours to take away.
pub fn plan_knowing(gpu: &Gpu, observed: &Observed, to: GraphicsType, records: &Records) -> Plan {
    let mut plan = bindings(gpu, observed, to);
    let now = observed.primary_of(gpu).and_then(sriov::setting);
    if let Some((now, wanted)) = now.zip(sriov::wanted(gpu, observed, to, records)) {
        // Before the driver goes: it would take them along, and nobody would wait for that.
        plan.steps.splice(0..0, sriov::steps(gpu.address, now, wanted));
        plan.before.vfs.insert(gpu.address, now);
        plan.promises.push(Promise::Vfs { function: gpu.address, setting: wanted });
    }
    plan
}

/// The part of it that is about drivers.
fn bindings(gpu: &Gpu, observed: &Observed, to: GraphicsType) -> Plan {
    let functions: Vec<&Function> = observed.functions_of(gpu).collect();
    let goal = match to {
        GraphicsType::Direct => direct_goal,
        GraphicsType::Shared | GraphicsType::SharedDirect | GraphicsType::Basic => host_goal,
    };
    let goals: BTreeMap<PciAddress, BindingGoal> =
        functions.iter().map(|function| (function.address, goal(function))).collect();
    let mut steps = driver::steps(&functions, &goals);
    // A host function that has no driver and no override is left alone unless the card comes back from VFIO.
    if to != GraphicsType::Direct && !steps.iter().any(|step| !matches!(step, Step::Probe { .. })) {
        steps.clear();
    }
    let loads = to == GraphicsType::Direct && observed.host.vfio_pci == ModulePresence::Loadable;
    if loads && !steps.is_empty() {
        steps.insert(0, Step::LoadModule { module: gpuvirt_model::DriverName::vfio_pci() });
    }
    Plan {
        gpu: gpu.address,
        purpose: format!("{} becomes {to}", gpu.address),
        before: Snapshot {
            bindings: functions.iter().map(|f| (f.address, f.binding.clone())).collect(),
            ..Snapshot::default()
        },
        promises: functions.iter().map(|f| promise(f.address, &goals)).collect(),
        steps,
    }
}

/// A function that a VFIO driver has already, `vfio-pci` or a vendor's variant of it, keeps it.
fn direct_goal(function: &Function) -> BindingGoal {
    if function.on_vfio() { BindingGoal::Exactly(function.binding.clone()) } else { BindingGoal::vfio() }
}

/// A function with a host driver keeps whatever it has, an admin's own override included.
fn host_goal(function: &Function) -> BindingGoal {
    let binding = &function.binding;
    let with_host = binding.driver.as_ref().is_some_and(|driver| !driver.is_vfio());
    if with_host { BindingGoal::Exactly(binding.clone()) } else { BindingGoal::Host }
}

fn promise(function: PciAddress, goals: &BTreeMap<PciAddress, BindingGoal>) -> Promise {
    match goals.get(&function) {
        Some(BindingGoal::Exactly(binding)) => Promise::Bound { function, binding: binding.clone() },
        Some(BindingGoal::Host) | None => Promise::WithHost { function },
    }
}
