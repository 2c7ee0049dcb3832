//! The plan that leads a GPU to a graphics type.

use std::collections::{BTreeMap, BTreeSet};

use gpuvirt_model::{
    DriverBinding, DriverName, Function, Gpu, GraphicsType, HostBinding, ModulePresence, Observed,
    PciAddress, Records,
};

use crate::driver::{self, BindingGoal};
use crate::{Plan, Promise, Snapshot, Step, sriov};

/// Plans a GPU's way to `to`: empty when it is there. `records` say how the host had the card.
///
/// `basic` can't be asked for; it plans like `shared`.
///
/// It takes no virtual functions away but those that `records` call ours.
pub fn plan(gpu: &Gpu, observed: &Observed, to: GraphicsType, records: &Records) -> Plan {
    let mut plan = bindings(gpu, observed, to, records);
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
fn bindings(gpu: &Gpu, observed: &Observed, to: GraphicsType, records: &Records) -> Plan {
    let functions: Vec<&Function> = observed.functions_of(gpu).collect();
    let goal = |function: &Function| match to {
        GraphicsType::Direct => direct_goal(function),
        GraphicsType::Shared | GraphicsType::SharedDirect | GraphicsType::Basic => {
            let drivers = &observed.host.pci_drivers;
            host_goal(function, function.address == gpu.address, records.host_binding(function), drivers)
        }
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
        steps.insert(0, Step::LoadModule { module: DriverName::vfio_pci() });
    }
    Plan {
        gpu: gpu.address,
        purpose: format!("{} becomes {to}", gpu.address),
        before: Snapshot {
            bindings: functions.iter().map(|f| (f.address, f.binding.clone())).collect(),
            identities: functions.iter().map(|f| (f.address, f.identity)).collect(),
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

/// A function with a host driver keeps whatever it has, an admin's own override included. One that the host gave away
/// goes back to how the host had it, as far as that is known and its driver is there; a companion that had no driver
/// gets none.
fn host_goal(
    function: &Function,
    primary: bool,
    recorded: Option<&HostBinding>,
    drivers: &BTreeSet<DriverName>,
) -> BindingGoal {
    let binding = &function.binding;
    if binding.driver.as_ref().is_some_and(|driver| !driver.leaves_group_viable()) {
        return BindingGoal::Exactly(binding.clone());
    }
    let lasting = |recorded: &HostBinding| {
        recorded.driver_override.clone().filter(|driver| !driver.leaves_group_viable())
    };
    let driver_override = recorded.and_then(lasting);
    match recorded.map(|recorded| recorded.driver.as_ref()) {
        Some(Some(driver)) if drivers.contains(driver) => {
            BindingGoal::Exactly(DriverBinding { driver: Some(driver.clone()), driver_override })
        }
        Some(None) if !primary => BindingGoal::Exactly(DriverBinding { driver: None, driver_override }),
        Some(_) | None => BindingGoal::Host { driver_override },
    }
}

fn promise(function: PciAddress, goals: &BTreeMap<PciAddress, BindingGoal>) -> Promise {
    match goals.get(&function) {
        Some(BindingGoal::Exactly(binding)) => Promise::Bound { function, binding: binding.clone() },
        Some(BindingGoal::Host { driver_override }) => {
            Promise::WithHost { function, driver_override: driver_override.clone() }
        }
        None => Promise::WithHost { function, driver_override: None },
    }
}
